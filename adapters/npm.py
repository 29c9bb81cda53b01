"""npm: package-lock.json, npm-shrinkwrap.json or what npm wrote into node_modules, as a node_modules tree.

The lock already says where every package lies; planning chooses the entries for the platform and turns each
into a tarball to fetch. Nothing is resolved again: no version range is looked at, only positions.

A lock of version 1 does not say which commands a package has and which platforms it fits: the packages say it
themselves, once they are unpacked (`ManifestFacts`).

The scripts that npm would run are named with what they find around them; devenv runs them in sandboxes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from devenv.adapter import (
    AdapterError,
    Changes,
    Completions,
    Ecosystem,
    FileQuery,
    ManifestFacts,
    NodeModules,
    NpmQuery,
    Options,
    Package,
    Plan,
    Query,
    RemoteFile,
    Target,
)
from devenv.adapters._fields import Faults, Table, parse_json
from devenv.adapters._npm_lock import DEPENDENCY_KINDS, Entry, Lock, parse_lock, with_project
from devenv.adapters._npm_lock_v1 import is_version_1, parse_lock_v1
from devenv.adapters._npm_platform import missing_platform_packages
from devenv.adapters._npm_scripts import install_scripts, refused_notice
from devenv.adapters._npm_sources import git_query, local_url, source_kind
from devenv.adapters._npm_tree import Tree, installed, node_names
from devenv.errors import DevenvError
from devenv.formats.errors import FormatError
from devenv.formats.hashes import SIZES, Hash
from devenv.formats.npm_manifest import parse_manifest
from devenv.formats.npm_places import HIDDEN_LOCK, MODULES, command_place, linking_order

ecosystem: Ecosystem = "npm"
patterns = ("npm-shrinkwrap.json", "package-lock.json", HIDDEN_LOCK)
sibling_names = ("package.json",)

_OMIT = frozenset({"dev", "optional", "peer"})
_STRENGTH = tuple(SIZES)
_TARBALLS = (".tgz", ".tar.gz", ".tar")
_PLACEHOLDER = "${REGISTRY}/"


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """Parse and plan: see `devenv.adapter.Adapter`.

    Raises `AdapterError`, or `Problems` of them: a damaged lock, a required package or a missing platform package that this platform lacks.
    """
    check_options(options, path)
    manifest = parse_json(siblings["package.json"], "package.json") if "package.json" in siblings else None
    top = parse_json(text, path)
    hidden = posixpath.basename(path) == HIDDEN_LOCK
    if hidden:
        _check_hidden(top, options)
        top = with_project(top, manifest)
    lock = parse_lock_v1(top, manifest) if is_version_1(top) else parse_lock(top)
    return plan_lock(
        lock,
        manifest,
        target=target,
        options=options,
        completions=completions,
        siblings=siblings,
        hidden=text if hidden else None,
    )


def plan_lock(
    lock: Lock,
    manifest: Table | None,
    *,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
    hidden: str | None = None,
) -> Plan:
    """What a lock means on a platform, whatever format it was read from. `manifest` is the project's package.json.

    `hidden`: the text, where it was read from node_modules; there it stays as it is.
    """
    linked = _linked_commands(lock, siblings)
    tree = Tree(lock)
    entries = installed(tree, target, options.omit)
    missing_platform_packages(tree, entries, target, options.omit)
    bundlers = {entry.place: _bundler(entry, lock) for entry in entries}
    fetched = [e for e in entries if not e.link and bundlers[e.place] is None and not _placeholder(e)]
    present = [e for e in entries if e.link or not _placeholder(e)]
    bundled = [e for e in present if bundlers[e.place] is not None]
    packages, queries = _packages(tree, fetched, completions, _executables(entries, bundlers))
    facts = None
    if lock.keys is not None:
        facts = _facts(tree, present, bundled, target, manifest)
        packages = _with_manifests(packages, bundled, bundlers)
    places = {entry.place for entry in fetched}
    if hidden is None and facts is None:
        hidden = _hidden_lock(lock, tree, present)
    view = NodeModules(
        packages=packages,
        links={e.place: e.resolved or "." for e in present if e.link},
        bins=_bins(tree, present, linked),
        hidden_lock=hidden,
        manifests=facts,
        scripts=install_scripts(tree, present, places, options.scripts),
    )
    notices = [
        *refused_notice(present, places, options.scripts),
        *_outside_notices(lock),
        *_stale_notice(lock, manifest),
    ]
    return Plan(view=view, notices=tuple(notices), queries=tuple(queries))


def _check_hidden(top: Table, options: Options) -> None:
    if options.omit:
        raise AdapterError(
            f"{top.file} says what is installed, so nothing of it can be left out",
            hint="Write a lock of all there is: npm install --package-lock-only.",
            file=top.file,
        )


def check_options(options: Options, path: str) -> None:
    """Refuse what devenv.toml asks of a lock of Node's packages and they do not have."""
    unknown = sorted(options.omit - _OMIT)
    if unknown:
        raise AdapterError(
            f"{path}: npm knows no dependency type {', '.join(unknown)} that could be omitted",
            hint=f"The types are {', '.join(sorted(_OMIT))}.",
            file=path,
        )
    given = [name for name, value in (("extras", options.extras), ("groups", options.groups)) if value]
    if given:
        raise AdapterError(
            f"{path}: npm has no {' and no '.join(given)}", hint="Use omit instead.", file=path
        )


def _placeholder(entry: Entry) -> bool:
    """An optional peer that was never installed: npm keeps its place in the lock, empty."""
    empty = entry.resolved is None and entry.integrity is None and entry.version is None
    return empty and not entry.link and (entry.optional or entry.peer)


def _bundler(entry: Entry, lock: Lock) -> str | None:
    """The place of the package whose tarball carries this one, None when it must be fetched.

    What the project itself bundles is fetched like everything else, though npm marks it in the same way.
    """
    above = entry.enclosing
    while entry.in_bundle and above is not None:
        holder = lock.entries.get(above)
        if holder is None or not holder.is_placed:
            return None
        if holder.bundles or not holder.in_bundle:
            outer = _bundler(holder, lock)
            return outer or above
        above = holder.enclosing
    return None


def _executables(entries: Iterable[Entry], bundlers: Mapping[str, str | None]) -> Mapping[str, set[str]]:
    """By place of a tarball, the files in it that commands run, those of bundled packages too."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        owner = bundlers[entry.place] or entry.place
        inner = entry.place[len(owner) + 1 :]
        found.setdefault(owner, set()).update(f"{inner}/{f}" if inner else f for f in entry.bins.values())
    return found


def _packages(
    tree: Tree,
    entries: Iterable[Entry],
    completions: Completions,
    executables: Mapping[str, set[str]],
) -> tuple[dict[str, Package], list[Query]]:
    """The package at each place, and what must be asked before the others are known."""
    faults = Faults()
    known = _strongest(tree.lock, entries)
    files: dict[str, RemoteFile] = {}
    queries: dict[str, Query] = {}
    for entry in entries:
        with faults.caught():
            answer = _file(tree, entry, known, completions)
            if isinstance(answer, RemoteFile):
                files[entry.place] = answer
            else:
                queries[answer.key] = answer
    faults.report(f"{tree.lock.file}: {len(faults.found)} entries cannot be used:")
    runs: dict[tuple[str, Hash], set[str]] = {}
    for place, file in files.items():
        runs.setdefault((file.url, file.hash), set()).update(executables.get(place, ()))
    packages = {
        place: Package(
            name=tree.lock.entries[place].name,
            version=tree.lock.entries[place].version or "0.0.0",
            format="git-npm" if file.url.startswith("git+") else "npm",
            file=file,
            executables=tuple(sorted(runs[file.url, file.hash])),
            changes=Changes(patches=tree.lock.entries[place].patches),
        )
        for place, file in files.items()
    }
    return packages, [queries[key] for key in sorted(queries)]


def _with_manifests(
    packages: Mapping[str, Package], bundled: Iterable[Entry], bundlers: Mapping[str, str | None]
) -> dict[str, Package]:
    """The packages with the directories whose package.json name commands: their own, and those they carry."""
    carried: dict[tuple[str, Hash], set[str]] = {}
    for package in packages.values():
        carried.setdefault((package.file.url, package.file.hash), {""})
    for entry in bundled:
        owner = bundlers[entry.place] or ""
        if owner in packages:
            file = packages[owner].file
            carried[file.url, file.hash].add(entry.place[len(owner) + 1 :])
    return {
        place: replace(p, manifests=tuple(sorted(carried[p.file.url, p.file.hash])))
        for place, p in packages.items()
    }


def _facts(
    tree: Tree, present: Iterable[Entry], bundled: Iterable[Entry], target: Target, manifest: Table | None
) -> ManifestFacts:
    """What the view needs to finish the plan. Without the project's package.json it asks for all at the top."""
    packages = [e for e in present if not e.link]
    directories = {"", *(place for place, entry in tree.targets.items() if not entry.is_placed)}
    asked = {edge.target for directory in directories for edge in tree.outward.get(directory, ())}
    own = {e.place for e in packages if e.enclosing in directories and (e.enclosing or manifest is None)}
    return ManifestFacts(
        platform=dict(zip(("os", "cpu", "libc"), node_names(target), strict=True)),
        bundled=tuple(sorted(e.place for e in bundled)),
        optional=tuple(sorted(e.place for e in packages if e.optional)),
        asked=tuple(sorted(e.place for e in packages if e.place in asked | own)),
    )


def _strongest(lock: Lock, entries: Iterable[Entry]) -> Mapping[str, Hash]:
    """The best hash that the lock has for each URL: one place may have sha1 where another has sha512."""
    faults = Faults()
    found: dict[str, Hash] = {}
    for entry in entries:
        if entry.resolved is None or entry.integrity is None:
            continue
        other = found.setdefault(entry.resolved, entry.integrity)
        if other.algorithm == entry.integrity.algorithm and other != entry.integrity:
            problem = f"the lock has two different hashes of {entry.resolved}"
            faults.add(lock.fault(entry.place, "integrity", problem))
        if _STRENGTH.index(entry.integrity.algorithm) > _STRENGTH.index(other.algorithm):
            found[entry.resolved] = entry.integrity
    faults.report()
    return found


def _file(
    tree: Tree, entry: Entry, known: Mapping[str, Hash], completions: Completions
) -> RemoteFile | Query:
    """The file of an entry, or the question for it."""
    found = known.get(entry.resolved) if entry.resolved else entry.integrity
    kind = source_kind(entry.resolved) if entry.resolved else None
    if entry.resolved and kind == "git":
        question = git_query(entry.resolved)
        if isinstance(question, str):
            raise tree.lock.fault(entry.place, "resolved", question)
        return next(iter(completions.get(question.key, ())), question)
    if entry.resolved:
        url = _url(tree.lock, entry, entry.resolved)
        if found:
            return RemoteFile(file_name=_file_name(url, entry), url=url, hash=found)
        if kind == "local" or _is_remote(tree, entry):
            asked = FileQuery(url=url, file_name=_file_name(url, entry), label=entry.label)
            return next(iter(completions.get(asked.key, ())), asked)
    if entry.version is None:
        problem = f"nothing says which version of {entry.name} this is"
        raise tree.lock.fault(
            entry.place, None, problem, hint="The lock is damaged: run npm install to repair it."
        )
    query = NpmQuery(name=entry.name, version=entry.version, hash=found)
    return _answer(tree.lock, entry, query, completions)


def _answer(lock: Lock, entry: Entry, query: NpmQuery, completions: Completions) -> RemoteFile | NpmQuery:
    answers = completions.get(query.key, ())
    if not answers:
        return query
    answer = answers[0]
    known = query.hash
    if known and known.algorithm == answer.hash.algorithm and known != answer.hash:
        problem = (
            f"devenv.lock has another hash for {entry.label} ({answer.hash.sri}) than this lock ({known.sri})"
        )
        raise lock.fault(entry.place, "integrity", problem, hint="Run devenv lock.")
    return answer


def _is_remote(tree: Tree, entry: Entry) -> bool:
    """Whether a dependent asks for the entry by URL, so that no registry could be asked for it."""
    return entry.remote or any("://" in edge.spec for edge in tree.inward.get(entry.place, ()))


def _url(lock: Lock, entry: Entry, resolved: str) -> str:
    """The tarball's URL without fragment, which may carry an old hash.

    npm replaces the host of its registry by the configured one; some locks hold a placeholder for that already.
    """
    url = resolved.partition("#")[0]
    if source_kind(resolved) == "local":
        local = local_url(resolved, lock.file)
        if local is not None and not local.lower().endswith(_TARBALLS):
            problem = f"{resolved!r} is a directory, which npm packed"
            raise lock.fault(
                entry.place, "resolved", problem, hint="Let npm link it: npm install --install-links=false."
            )
        if local is None:
            raise lock.fault(entry.place, "resolved", f"{resolved!r} is not a file of the project")
        return local
    if url.startswith(_PLACEHOLDER):
        url = f"npm:{url.removeprefix(_PLACEHOLDER)}"
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    plain = url.isascii() and url.isprintable() and not any(c in url for c in ' "<>\\^`{|}')
    if not plain or not (url.startswith("npm:") or (scheme.lower() in ("https", "http") and host)):
        raise lock.fault(entry.place, "resolved", f"{resolved!r} is not the URL of a tarball")
    return url


def _file_name(url: str, entry: Entry) -> str:
    """The last part of the URL where it looks like a tarball's name, else one made of name and version."""
    last = url.partition("?")[0].rpartition("/")[2]
    if last.endswith((".tgz", ".tar.gz")) and not last.startswith("."):
        return last
    return f"{entry.name.rpartition('/')[2]}-{entry.version or '0.0.0'}.tgz"


def _bins(tree: Tree, entries: Iterable[Entry], linked: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Links of .bin directories. Of two packages with one command the first counts, linked ones last."""
    found: dict[str, str] = {}
    for entry in sorted(entries, key=lambda e: (e.link, linking_order(e.place))):
        source = tree.flags(entry)
        commands = source.bins
        if entry.link and not commands and not entry.resolved:
            commands = tree.lock.entries[""].bins if "" in tree.lock.entries else {}
        if entry.link and not commands:
            commands = linked.get(entry.resolved or "", {})
        for command, file in commands.items():
            found.setdefault(command_place(entry.place, command), f"{entry.place}/{file}")
    return dict(sorted(found.items()))


def _hidden_lock(lock: Lock, tree: Tree, entries: Iterable[Entry]) -> str:
    """node_modules/.package-lock.json as npm writes it: what is installed, without the project itself."""
    import json

    places = {e.place for e in entries}
    places |= {e.resolved or "" for e in entries if e.link} - {""}
    head: dict[str, object] = {}
    if lock.name is not None:
        head["name"] = lock.name
    if lock.version is not None:
        head["version"] = lock.version
    packages = {place: entry.raw for place, entry in lock.entries.items() if place in places}
    whole = {**head, "lockfileVersion": 3, "requires": True, "packages": packages}
    try:
        text = json.dumps(whole, indent=2, ensure_ascii=False)
    except RecursionError:
        raise AdapterError(f"{lock.file}: an entry is nested too deeply", file=lock.file) from None
    if any("\ud800" <= char <= "\udfff" for char in text):  # half a character, which UTF-8 cannot hold
        text = json.dumps(whole, indent=2)
    return text + "\n"


def _outside_notices(lock: Lock) -> list[str]:
    leading = sorted({e.resolved or "" for e in lock.entries.values() if e.link and _leaves(e.resolved)})
    held = sorted({e.enclosing or "" for e in lock.entries.values() if e.outside and e.is_placed})
    notices = []
    if leading:
        notices.append(f"linked from outside the project, as they are: {', '.join(leading)}")
    if held:
        notices.append(f"nothing is installed outside the project, below {', '.join(held)}")
    return notices


def _leaves(resolved: str | None) -> bool:
    return resolved is not None and (resolved == ".." or resolved.startswith("../"))


def included_names(text: str, name: str) -> list[str]:
    """The package.json of linked directories, which say their commands where a lock of version 1 does not."""
    try:
        top = parse_json(text, name)
        if name.endswith("package.json") or not is_version_1(top):
            return []
        lock = parse_lock_v1(top, None)
    except DevenvError:
        return []  # said when it is planned
    found = sorted({e.resolved or "" for e in lock.entries.values() if e.link})
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(name), each, "package.json")) for each in found
    ]


def _linked_commands(lock: Lock, siblings: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Linked directory -> its commands, by its own package.json, of locks that do not know them."""
    if lock.keys is None:
        return {}
    found = {}
    for entry in lock.entries.values():
        text = siblings.get(posixpath.join(entry.resolved or "", "package.json")) if entry.link else None
        if text is not None:
            with suppress(FormatError):  # npm installs without commands as well
                manifest = parse_manifest(text.encode("utf-8", "replace"), entry.name)
                found[entry.resolved or ""] = manifest.commands
    return found


def _stale_notice(lock: Lock, manifest: Table | None) -> list[str]:
    """One line when package.json asks for something else than it did when the lock was written."""
    root = lock.entries.get("")
    if manifest is None or root is None:
        return []
    changed = _unlocked(lock, root) if lock.keys is not None else _changed(root, manifest)
    if not changed:
        return []
    names = ", ".join(sorted(changed))
    return [f"package.json and {lock.file} disagree about {names}: run npm install --package-lock-only"]


def _changed(root: Entry, manifest: Table) -> set[str]:
    """The names that a lock of version 2 or 3 records differently."""
    changed: set[str] = set()
    for kind in DEPENDENCY_KINDS:
        asked = manifest.text_map(kind)
        locked = root.raw.get(kind)
        recorded = locked if isinstance(locked, dict) else {}
        changed.update(name for name in {*asked, *recorded} if asked.get(name) != recorded.get(name))
    return changed


def _unlocked(lock: Lock, root: Entry) -> set[str]:
    """The names that a lock of version 1, which records no ranges of the project's, lacks."""
    asked = {*root.dependencies, *root.dev_dependencies, *root.optional_dependencies}
    return {name for name in asked if f"{MODULES}/{name}" not in lock.entries}
