"""Where the packages of npm locks come from besides registries: repositories, tarballs by URL, tarballs of the project.

    GIT   = "git+" URL "#" commit | forge ":" owner "/" name "#" commit | "git@" host ":" path "#" commit
    LOCAL = "file:" path

npm writes repositories in the form for ssh whatever was asked for (npm's manual, package-lock-json(5), "resolved"), and
fetches public ones otherwise. So does this: what would be fetched as the user `git` without a port is asked for by https, which
the user's own git settings (`url.<base>.insteadOf`, credential helpers) may change.
"""

from __future__ import annotations

import posixpath
import re

from devenv.adapter import GitQuery
from devenv.formats.npm_places import lock_directory

_FORGES = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_SSH = re.compile(r"(?:git\+)?ssh://git@([^/:@]+)[/:](.+)")
_SCP = re.compile(r"git@([^/:@]+):(.+)")
_PLAIN = re.compile(r"[!-~]+")


def source_kind(resolved: str) -> str:
    """ "git", "local" for a file of the project, "remote" for all else."""
    scheme, colon, _ = resolved.partition(":")
    scheme = scheme.lower()
    path = resolved.partition("#")[0]
    if colon and scheme == "file":
        return "local"
    if (colon and scheme.startswith(("git", "ssh", "gist", "bitbucket"))) or path.endswith(".git"):
        return "git"
    return "git" if resolved.startswith("git@") else "remote"


def git_query(resolved: str) -> GitQuery | str:
    """What to ask a repository, or what is wrong with the text."""
    url, _, commit = resolved.partition("#")
    if not _COMMIT.fullmatch(commit):
        return f"{resolved!r} names no commit of a repository"
    forge, _, path = url.partition(":")
    found = _SSH.fullmatch(url) or _SCP.fullmatch(url)
    if forge.lower() in _FORGES and not path.startswith("//"):
        url = f"https://{_FORGES[forge.lower()]}/{path.removesuffix('.git')}.git"
    elif found:
        url = f"https://{found[1]}/{found[2]}"
    else:
        url = url.removeprefix("git+")
    if "://" not in url or not _PLAIN.fullmatch(url):
        return f"{resolved!r} is no URL of a repository"
    return GitQuery(url=url, commit=commit)


def local_url(resolved: str, lockfile: str) -> str | None:
    """The file of the project that a `file:` source names, as "project:<path>"; None where it is outside."""
    path = resolved.partition(":")[2].partition("#")[0]
    whole = posixpath.normpath(posixpath.join(lock_directory(lockfile), path.removeprefix("//")))
    if whole.startswith(("/", "../")) or whole in (".", "..") or not whole.isprintable():
        return None
    return f"project:{whole}"
