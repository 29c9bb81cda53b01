"""Pipfile.lock, as pipenv writes it (pipfile-spec 6, and 2 to 5, which differ in nothing that counts here).

::

    {"_meta":   {"hash", "pipfile-spec", "requires", "sources": [{"name", "url", "verify_ssl"}]},
     "default": {NAME: ENTRY}, "develop": {NAME: ENTRY}, CATEGORY: {NAME: ENTRY}, ...}
    ENTRY       {"version": "==1.0", "hashes": ["sha256:..."], "index": NAME of a source, "markers", "extras"}
                or one with "path" (and "editable"), "file", "git" (and "ref")

Hashes are those of all files of a version, without names: the index says which is which. Markers already hold
what edges say, so entries are chosen one by one. `groups` are the categories; "develop" is what `pipenv install --dev`
adds, and installed as other formats' dev group is, unless groups are named. Where categories have other versions of one
package, the later one counts, as pipenv installs them one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from devenv.adapter import (
    AdapterError,
    Completions,
    Ecosystem,
    Editable,
    Options,
    Package,
    Plan,
    Query,
    SitePackages,
    Target,
)
from devenv.adapters import _sdists, _wheels
from devenv.adapters._fields import Faults, Table, parse_json
from devenv.adapters._interpreter import Interpreter, interpreter_of
from devenv.formats.hashes import Hash

ecosystem: Ecosystem = "python"
patterns: tuple[str, ...] = ("Pipfile.lock",)
sibling_names: tuple[str, ...] = ()

_META, _DEFAULT, _DEVELOP = "_meta", "default", "develop"
_ELSEWHERE = ("git", "hg", "svn", "bzr", "file", "path")


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """The packages that `pipenv sync --dev` would install."""
    interpreter = interpreter_of(target, path)
    top = parse_json(text, path)
    _check(top, options)
    indexes = _indexes(top)
    packages: dict[str, Package] = {}
    queries: dict[str, Query] = {}
    editables: dict[str, Editable] = {}
    notices: list[str] = []
    faults = Faults()
    for name, entry in _entries(top, options, faults):
        with faults.caught():
            if not interpreter.applies(entry, "markers"):
                continue
            place = entry.text("path")
            if place is not None and not _sdists.is_sdist(place) and not place.endswith(".whl"):
                editables[name] = Editable(name=name, path=place, in_place=entry.flag("editable"))
                continue
            found = _chosen(name, entry, indexes, interpreter, completions)
            if not isinstance(found, Package):
                queries[found.key] = found
                continue
            earlier = packages.get(name, found)
            if earlier.file.hash != found.file.hash:
                notices.append(
                    f"{entry.key} is {found.version}, in place of {earlier.version} of another category"
                )
            packages[name] = found
    faults.report(f"{path}: {len(faults.found)} entries cannot be used:")
    in_place = tuple(editables[name] for name in sorted(editables))
    return Plan(
        view=SitePackages(packages=tuple(packages[name] for name in sorted(packages)), editables=in_place),
        notices=tuple(f"{path}: {notice}" for notice in notices),
        queries=tuple(queries[key] for key in sorted(queries)),
    )


def _check(top: Table, options: Options) -> None:
    meta = top.required_table(_META)
    spec = meta.number("pipfile-spec")
    if spec not in range(2, 7):
        raise meta.fault(
            "pipfile-spec", f"version {spec} is not known here, only 2 to 6", hint="Run pipenv lock."
        )
    faults = Faults()
    if options.extras:
        faults.add(
            AdapterError(
                f"{top.file}: a Pipfile.lock has no extras of the project",
                hint="`groups` names the categories to install.",
                file=top.file,
            )
        )
    known = [name for name in top.values if name not in (_META, _DEFAULT)]
    error = _wheels.unknown_names(top.file, "category", options.groups or (), known)
    if error is not None:
        faults.add(error)
    faults.report()


def _indexes(top: Table) -> Mapping[str, str | None]:
    """The URL of each source by its name; None for one with a variable in it, whose login is not ours to fill in."""
    found: dict[str, str | None] = {}
    for source in top.required_table(_META).tables("sources"):
        url = source.text("url")
        found[source.text("name") or ""] = None if url is None or "$" in url else url
    return found


def _entries(top: Table, options: Options, faults: Faults) -> list[tuple[str, Table]]:
    groups = (_DEVELOP,) if options.groups is None else options.groups
    found = []
    for category in (_DEFAULT, *groups):
        table = top.table(category)
        for key in table.values if table is not None else ():
            with faults.caught():
                assert table is not None
                name = _wheels.check_package_name(key, table, key)
                found.append((name, table.required_table(key)))
    return found


def _chosen(
    name: str,
    entry: Table,
    indexes: Mapping[str, str | None],
    interpreter: Interpreter,
    completions: Completions,
) -> Package | Query:
    other = next((key for key in _ELSEWHERE if key in entry), None)
    if other == "git":
        return _sdists.from_git(
            name,
            "",
            entry.required_text("git"),
            entry.text("ref") or "",
            where=entry,
            interpreter=interpreter,
            completions=completions,
            subdirectory=entry.text("subdirectory") or "",
        )
    if other in ("file", "path"):
        return _at(name, entry, other, interpreter, completions)
    if other is not None:
        raise entry.fault(other, f"{name} comes from version control ({other}), and only git is known here")
    version = entry.required_text("version")
    if not version.startswith("==") or version.endswith(".*"):
        raise entry.fault("version", f"{version[:80]!r} is no pinned version", hint="Run pipenv lock.")
    hashes = tuple(_hash(text, entry) for text in dict.fromkeys(entry.texts("hashes")))
    if not hashes:
        raise entry.fault("hashes", f"{name} has no hash", hint="Run pipenv lock.")
    return _wheels.indexed(
        name,
        version.lstrip("="),
        hashes,
        where=entry,
        interpreter=interpreter,
        completions=completions,
        index=indexes.get(entry.text("index") or ""),
    )


def _at(
    name: str, entry: Table, key: str, interpreter: Interpreter, completions: Completions
) -> Package | Query:
    """A file given by its URL or path."""
    place = entry.required_text(key)
    wanted = _wheels.Wanted(
        name=name,
        version=None,
        where=entry,
        files=(entry,),
        names=(_wheels.last_segment(place),),
        direct=True,
        subdirectory=entry.text("subdirectory") or "",
    )
    _, file_name = _wheels.choose(wanted, interpreter)
    url = _wheels.check_url(place, entry, key) if "://" in place else _wheels.file_url(place, entry)
    hashes = [_hash(text, entry) for text in dict.fromkeys(entry.texts("hashes"))]
    return _wheels.named_file(
        wanted, file_name, url, hashes, interpreter=interpreter, completions=completions
    )


def _hash(text: str, entry: Table) -> Hash:
    return _wheels.parse_hash(text, entry, "hashes")
