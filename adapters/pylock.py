"""pylock.toml (also pylock.NAME.toml): the lock file format of the Python packaging specifications, 1.0.

::

    lock-version = "1.0"; environments?, requires-python?, extras?, dependency-groups?, default-groups?
    [[packages]]  name, version?, marker?, requires-python?, index?, and exactly one of
                  vcs | directory {path, editable?, subdirectory?} | archive {url|path, size?, hashes}
                  | sdist and/or wheels = [{name?, url|path, size?, hashes = {ALGORITHM = HEX}}]

Markers may ask for `"x" in extras` and `"x" in dependency_groups`. Some writers name no files: then the
last segment of the URL is the name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from devenv.adapter import (
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
from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.adapters._interpreter import Interpreter, interpreter_of

ecosystem: Ecosystem = "python"
patterns: tuple[str, ...] = ("pylock.toml", "pylock.*.toml")
sibling_names: tuple[str, ...] = ()

_SOURCES = ("vcs", "directory", "archive")


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """The packages that an installer would install from the file."""
    interpreter = interpreter_of(target, path)
    top = parse_toml(text, path)
    notices = _check_version(top)
    _check_platform(top, interpreter)
    extras, groups = _selected(top, options)
    chosen = _selected_packages(top, interpreter, extras, groups)
    return _planned(path, chosen, interpreter, completions, notices)


def _check_version(top: Table) -> tuple[str, ...]:
    """Raise for another major version; a newer minor one gives a notice, as the specification asks."""
    version = top.required_text("lock-version")
    if version.partition(".")[0] != "1":
        raise top.fault("lock-version", f"version {version[:40]!r} is not known here, only 1")
    if version != "1.0":
        return (f"{top.file}: it has version {version[:40]}; what is newer than 1.0 in it is not understood",)
    return ()


def _check_platform(top: Table, interpreter: Interpreter) -> None:
    interpreter.check_requirement(top, "requires-python", "the project")
    environments = top.texts("environments")
    if environments and not any(interpreter.holds(marker, top, "environments") for marker in environments):
        raise top.fault(
            "environments",
            f"it is made only for {' or '.join(environments)[:300]}, not for {interpreter.name}",
            hint="Lock again for this platform too.",
        )


def _selected(top: Table, options: Options) -> tuple[frozenset[str], frozenset[str]]:
    """The extras and groups that markers see. Raises for names that the file does not have."""
    from packaging.utils import canonicalize_name

    defaults = top.texts("default-groups")
    asked = defaults if options.groups is None else options.groups
    # Some writers list a default group only as such.
    groups = [canonicalize_name(name) for name in (*top.texts("dependency-groups"), *defaults)]
    extras = [canonicalize_name(name) for name in top.texts("extras")]
    faults = Faults()
    for kind, names, known in (("extra", options.extras, extras), ("dependency group", asked, groups)):
        error = _wheels.unknown_names(top.file, kind, names, known)
        if error is not None:
            faults.add(error)
    faults.report()
    return frozenset(map(canonicalize_name, options.extras)), frozenset(map(canonicalize_name, asked))


def _selected_packages(
    top: Table, interpreter: Interpreter, extras: frozenset[str], groups: frozenset[str]
) -> dict[str, Table]:
    """The tables of the packages to install, by name. Raises all problems of single entries together."""
    found: dict[str, Table] = {}
    faults = Faults()
    for table in top.tables("packages"):
        with faults.caught():
            name = _wheels.canonical_name(table)
            if not interpreter.applies(table, extras=extras, groups=groups):
                continue
            interpreter.check_requirement(table, "requires-python", _label(table))
            if name in found:
                raise table.fault(
                    None,
                    f"both {_label(found[name])} ({found[name].key}) and {_label(table)} are selected; "
                    "an environment can hold one",
                    hint="Choose other extras or groups in [lockfiles] of devenv.toml, or lock again.",
                )
            found[name] = table
    faults.report(f"{top.file}: not everything in it can be installed:")
    return found


def _label(table: Table) -> str:
    version = table.text("version")
    return f"{table.text('name')} {version}" if version else f"{table.text('name')}"


def _planned(
    path: str,
    chosen: Mapping[str, Table],
    interpreter: Interpreter,
    completions: Completions,
    notices: Sequence[str],
) -> Plan:
    faults = Faults()
    packages: list[Package] = []
    queries: list[Query] = []
    editables: list[Editable] = []
    for name, table in sorted(chosen.items()):
        with faults.caught():
            made = _made(name, table, interpreter, completions)
            if isinstance(made, Package):
                packages.append(made)
            elif isinstance(made, Editable):
                editables.append(made)
            else:
                queries.append(made)
    faults.report(f"{path}: not everything in it can be installed:")
    view = SitePackages(packages=tuple(packages), editables=tuple(editables))
    return Plan(view=view, notices=tuple(notices), queries=tuple(queries))


def _made(
    name: str, table: Table, interpreter: Interpreter, completions: Completions
) -> Package | Editable | Query:
    """What one entry becomes."""
    kinds = [kind for kind in _SOURCES if kind in table]
    from_index = "sdist" in table or "wheels" in table
    if len(kinds) + from_index != 1:
        found = ", ".join([*kinds, *(["sdist or wheels"] if from_index else [])]) or "none"
        raise table.fault(
            None,
            f"{_label(table)} needs exactly one source (vcs, directory, archive, or files), it has {found}",
        )
    if kinds == ["vcs"]:
        return _of_vcs(name, table, interpreter, completions)
    if kinds == ["directory"]:
        return _in_place(name, table)
    direct = kinds == ["archive"]
    sdist = table.table("sdist")
    files = [*table.tables("wheels"), *([sdist] if sdist is not None else [])]
    if direct:
        files = [table.required_table("archive")]
    wanted = _wheels.Wanted(
        name=name,
        version=table.text("version"),
        where=table,
        files=files,
        names=[_file_name(file) for file in files],
        index=table.text("index"),
        direct=direct,
        subdirectory=(files[0].text("subdirectory") or "") if direct else "",
    )
    return _package(wanted, interpreter, completions)


def _of_vcs(name: str, table: Table, interpreter: Interpreter, completions: Completions) -> Package | Query:
    vcs = table.required_table("vcs")
    kind = vcs.required_text("type")
    url = vcs.text("url") or vcs.text("path")
    if kind != "git" or not url:
        raise vcs.fault("type", f"{_label(table)} comes from {kind[:40]}, and only git is known here")
    return _sdists.from_git(
        name,
        table.text("version") or "",
        url,
        vcs.required_text("commit-id"),
        where=vcs,
        interpreter=interpreter,
        completions=completions,
        subdirectory=vcs.text("subdirectory") or "",
    )


def _in_place(name: str, table: Table) -> Editable:
    directory = table.required_table("directory")
    path = directory.required_text("path")
    place = posixpath.join(path, directory.text("subdirectory") or ".")
    return Editable(name=name, path=place, in_place=directory.flag("editable"))


def _package(wanted: _wheels.Wanted, interpreter: Interpreter, completions: Completions) -> Package | Query:
    file, file_name = _wheels.choose(wanted, interpreter)
    url, path = file.text("url"), file.text("path")
    if url:
        url = _wheels.check_url(url, file, "url")
    elif path:
        url = _wheels.file_url(path, file)
    else:
        raise file.fault(None, f"{file_name} has neither url nor path")
    hashes = file.text_map("hashes")
    if not hashes:
        raise file.fault("hashes", f"{file_name} has no hash")
    best = _wheels.strongest(hashes, file, "hashes")
    return _wheels.package_of(
        wanted, file_name, url, best, file.number("size"), interpreter=interpreter, completions=completions
    )


def _file_name(file: Table) -> str:
    name = file.text("name")
    return name if name else _wheels.last_segment(file.text("url") or file.text("path") or "")
