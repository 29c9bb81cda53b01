# Changes an renv.lock without installing anything: Rscript -e THIS LOCKFILE add|remove|update [PACKAGE...]
#
# R says what a package needs (available.packages), renv reads, records and writes. A package that is needed and locked stays
# as it is, unless it is too old for what needs it now. See ?renv::record, ?renv::lockfiles.

arguments <- commandArgs(TRUE)
path <- arguments[[1]]
action <- arguments[[2]]
wanted <- arguments[-(1:2)]

fail <- function(...) {
  message(...)
  quit(save = "no", status = 1)
}

if (!requireNamespace("renv", quietly = TRUE) || packageVersion("renv") < "1.0.0")
  fail("renv 1.0.0 or newer is needed in the environment, by renv.lock or by the system package r-cran-renv")
options(renv.consent = TRUE, renv.verbose = FALSE)

project <- dirname(path)
lock <- renv::lockfile_read(path)
override <- Sys.getenv("RENV_CONFIG_REPOS_OVERRIDE")
repositories <- if (nzchar(override)) c(CRAN = override) else unlist(lock$R$Repositories)
if (is.null(repositories)) repositories <- getOption("repos")
options(repos = repositories)

locked <- function() lock$Packages
base <- rownames(installed.packages(priority = "base"))

# What the fields of a DESCRIPTION or a record ask for: versions by name, "0" where any will do.
needs <- function(fields) {
  text <- unlist(fields[intersect(c("Depends", "Imports", "LinkingTo"), names(fields))])
  parts <- trimws(unlist(strsplit(text[!is.na(text)], ",")))
  parts <- parts[nzchar(parts)]
  found <- ifelse(grepl(">", parts), gsub("^.*>=?[[:space:]]*|[[:space:]]*\\).*$", "", parts), "0")
  names(found) <- sub("[[:space:](].*$", "", parts)
  found[!names(found) %in% c("R", base)]
}

# What a locked package asks for, by what is recorded of it, or else by the repositories.
needs_of <- function(name, available) {
  record <- locked()[[name]]
  if (any(c("Imports", "Depends", "LinkingTo") %in% names(record))) return(needs(record))
  if (length(record$Requirements)) return(setNames(rep("0", length(record$Requirements)), unlist(record$Requirements)))
  if (name %in% rownames(available)) needs(available[name, ]) else character()
}

is_enough <- function(name, version) {
  record <- locked()[[name]]
  !is.null(record) && package_version(record$Version) >= package_version(version)
}

record <- function(what) {
  renv::record(what, lockfile = path, project = project)
  lock <<- renv::lockfile_read(path)
}

# A package as the repositories have it; of an earlier version it is they who know where.
record_version <- function(name, version, available) {
  place <- available[name, "Repository"]
  from <- Filter(function(each) startsWith(place, repositories[[each]]), names(repositories))
  what <- list(Package = name, Version = version, Source = "Repository", Repository = c(from, "CRAN")[[1]])
  record(setNames(list(what), name))
}

# Record packages, and what they need and is not locked.
add <- function(requests, available) {
  missing <- character()
  known <- character()
  queue <- list()
  push <- function(found, why) for (name in names(found)) queue[[length(queue) + 1]] <<- list(name, found[[name]], why)
  for (request in requests) {
    name <- sub("@.*$", "", request)
    if (grepl("[/:]", request)) {
      before <- locked()
      record(request)
      name <- Filter(function(each) !identical(before[[each]], locked()[[each]]), names(locked()))
      # What the record does not tell, `devenv lock` finds in the package itself, and asks for.
      for (each in name) push(needs_of(each, available), each)
    } else if (!name %in% rownames(available)) {
      missing <- c(missing, name)
    } else {
      version <- if (grepl("@", request)) sub("^.*@", "", request) else available[name, "Version"]
      record_version(name, version, available)
      push(needs(available[name, ]), name)
    }
    known <- c(known, name)
  }
  while (length(queue)) {
    each <- queue[[1]]
    queue <- queue[-1]
    if (each[[1]] %in% known || is_enough(each[[1]], each[[2]])) next
    known <- c(known, each[[1]])
    if (each[[1]] %in% rownames(available)) {
      record_version(each[[1]], available[each[[1]], "Version"], available)
      push(needs(available[each[[1]], ]), each[[1]])
    } else {
      missing <- c(missing, sprintf("%s, which %s needs", each[[1]], each[[3]]))
    }
  }
  if (length(missing))
    fail("not in ", paste(repositories, collapse = ", "), ": ", paste(missing, collapse = "; "))
}

# Forget packages, and what only they needed and no file of the project uses.
remove <- function(names, available) {
  absent <- setdiff(names, names(locked()))
  if (length(absent)) fail("not in renv.lock: ", paste(absent, collapse = ", "))
  wanting <- function(name, but) Filter(function(each) name %in% names(needs_of(each, available)), setdiff(names(locked()), but))
  for (name in names) {
    by <- wanting(name, names)
    if (length(by)) fail(name, " is needed by ", paste(by, collapse = ", "))
  }
  used <- unique(renv::dependencies(project, quiet = TRUE, progress = FALSE)$Package)
  gone <- names
  repeat {
    candidates <- setdiff(unlist(lapply(gone, function(each) names(needs_of(each, available)))), c(gone, used, "renv"))
    more <- Filter(function(each) each %in% names(locked()) && !length(wanting(each, c(gone, each))), candidates)
    if (!length(more)) break
    gone <- c(gone, more)
  }
  lock$Packages[gone] <<- NULL
  renv::lockfile_write(lock, path)
}

# How renv::record takes a package of a forge or a repository of git: by the branch or tag that was asked for, if any.
remote_of <- function(record) {
  type <- record$RemoteType
  place <- if (type %in% c("github", "gitlab", "bitbucket")) paste(c(record$RemoteUsername, record$RemoteRepo), collapse = "/")
  else if (type %in% c("git", "git2r", "xgit")) record$RemoteUrl
  if (is.null(place)) return(NULL)
  ref <- if (length(record$RemoteRef) && !identical(record$RemoteRef, record$RemoteSha)) paste0("@", record$RemoteRef)
  subdir <- if (length(record$RemoteSubdir)) paste0(":", record$RemoteSubdir)
  paste0(if (type %in% c("git2r", "xgit")) "git" else type, "::", place, subdir, ref)
}

# The newest versions of packages, by default of all that come from repositories; of others where they are named.
update <- function(names, available) {
  absent <- setdiff(names, base::names(locked()))
  if (length(absent)) fail("not in renv.lock: ", paste(absent, collapse = ", "))
  if (!length(names))
    names <- Filter(function(each) identical(locked()[[each]]$Source, "Repository"), base::names(locked()))
  remotes <- lapply(names, function(each) if (length(locked()[[each]]$RemoteType)) remote_of(locked()[[each]]))
  is_remote <- !vapply(remotes, is.null, NA)
  older <- Filter(function(each) each %in% rownames(available) && !is_enough(each, available[each, "Version"]), names[!is_remote])
  add(c(older, unlist(remotes[is_remote])), available)
}

available <- available.packages(type = "source", repos = repositories)
if (!nrow(available)) fail("no packages in ", paste(repositories, collapse = ", "))
switch(action, add = add(wanted, available), remove = remove(wanted, available), update = update(wanted, available))
