"""requirements.txt whose requirements are pinned, as `pip-compile`, `uv pip compile` and `pip freeze` write it.

Such a file is a lock: every requirement names a version, and best the hashes of all its files. It says neither
file names nor URLs, so an index is asked once for the files with these hashes (`PypiQuery`); of the
answers the best wheel is taken, else the sdist. Without hashes those of the answer are what counts from then on. There is no
graph: what is listed, and no more, is installed. Directories are imported in place.
The grammar is in `_requirements_txt`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

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
from devenv.adapters._fields import Faults
from devenv.adapters._interpreter import Interpreter, interpreter_of
from devenv.adapters._project_names import project_name
from devenv.adapters._requirements_txt import (
    VARIABLE,
    Entry,
    Option,
    Parsed,
    directory_of,
    editable_entries,
    included_names,
    is_directory,
    is_file,
    parse,
)
from devenv.formats.hashes import Hash

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["ecosystem", "included_names", "patterns", "plan", "sibling_names"]

ecosystem: Ecosystem = "python"
patterns: tuple[str, ...] = ("requirements.txt",)
sibling_names: tuple[str, ...] = ()  # `included_names` tells which

_NO_HASHES = (
    "Make one with `uv pip compile --generate-hashes requirements.in -o requirements.txt`, "
    "or with `pip-compile --generate-hashes`."
)
_EFFECTLESS = ("--pre", "--prefer-binary", "--require-hashes", "--use-feature")
_SCHEMES = ("git+", "hg+", "svn+", "bzr+")
_ALGORITHMS = ("sha256", "sha384", "sha512")


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """The packages that `pip install --no-deps -r` would install."""
    interpreter = interpreter_of(target, path)
    _refuse_names(path, options)
    parsed = parse(text, path, siblings)
    index, notices = _index(parsed.options)
    hashed = any(entry.hashes for entry in (*parsed.requirements, *parsed.constraints))
    if parsed.requirements and not hashed:
        notices += (f"{path}: it has no hashes; those that the index gave are in devenv.lock",)
    faults = Faults()
    editables = _in_place(parsed, siblings, faults)
    sources = [entry for entry in parsed.requirements if not is_directory(entry.text)]
    sources += [entry for entry in editable_entries(parsed) if not is_directory(entry.text)]
    pins = _pins(sources, parsed.constraints, interpreter, faults, hashed=hashed)
    packages, queries = _installed(pins, interpreter, completions, index, _formats(parsed.options), faults)
    faults.report(f"{path}: not everything in it can be installed:")
    view = SitePackages(packages=packages, editables=editables)
    return Plan(view=view, notices=notices, queries=queries)


def _in_place(parsed: Parsed, siblings: Mapping[str, str], faults: Faults) -> tuple[Editable, ...]:
    """The directories that are named, called as they say themselves."""
    found: dict[str, Editable] = {}
    marked = editable_entries(parsed)
    for entry in (*parsed.requirements, *marked):
        if is_directory(entry.text):
            with faults.caught():
                place = directory_of(entry)
                name = _wheels.check_package_name(_name_of(place, entry, siblings), entry.where, None)
                found[place] = Editable(name=name, path=place, in_place=entry in marked)
    return tuple(found[place] for place in sorted(found))


def _name_of(place: str, entry: Entry, siblings: Mapping[str, str]) -> str:
    """The name of a directory's project: as the line itself says (#egg=), or its files; else that of the directory."""
    said = (
        parse_qs(entry.text.partition("#")[2].partition(";")[0].strip()).get("egg", [""])[0].partition("[")[0]
    )
    found = said or project_name(
        lambda name: siblings.get(posixpath.normpath(posixpath.join(place, name)), "")
    )
    name = found or posixpath.basename(place)
    if name in ("", ".", ".."):
        raise entry.fault(f"nothing says what the project in {place} is called", f"Write {place}#egg=NAME.")
    return name


def _formats(options: Sequence[Option]) -> Callable[[str], tuple[bool, bool]]:
    """Whether a package may be a wheel, and whether it may be built: --no-binary and --only-binary, the later counts."""
    from packaging.utils import canonicalize_name

    said: dict[str, dict[str, bool]] = {"--no-binary": {}, "--only-binary": {}}
    for option in options:
        if option.name in said:
            for name in option.value.split(","):
                if name == ":none:":
                    said[option.name].clear()
                else:
                    said[option.name]["" if name == ":all:" else canonicalize_name(name)] = True

    def formats(name: str) -> tuple[bool, bool]:
        return tuple(not ({"", name} & table.keys()) for table in said.values())  # type: ignore[return-value]

    return formats


def _refuse_names(path: str, options: Options) -> None:
    faults = Faults()
    for kind, names in (("extra", options.extras), ("dependency group", options.groups or ())):
        error = _wheels.unknown_names(path, kind, names, ())
        if error is not None:
            faults.add(error)
    faults.report()


def _index(options: Sequence[Option]) -> tuple[str | None, tuple[str, ...]]:
    """The index that the file names, if it can be used, and what people should know about the other options."""
    index: str | None = None
    notices = []
    faults = Faults()
    for option in options:
        where = f"{option.file}:{option.line}"
        if option.name in ("--index-url", "--pypi-url"):
            index = option.value if "://" in option.value and not VARIABLE.search(option.value) else None
            if index is None:
                notices.append(
                    f"{where}: the index is taken from pip's configuration: {option.name} cannot be read"
                )
        elif option.name in ("--extra-index-url", "--find-links", "--trusted-host"):
            notices.append(f"{where}: {option.name} is ignored; set it in pip's configuration instead")
        elif option.name not in (*_EFFECTLESS, "--editable", "--no-binary", "--only-binary"):
            faults.add(_refused_option(option))
    faults.report()
    return index, tuple(notices)


def _refused_option(option: Option) -> AdapterError:
    if option.name == "--no-index":
        return option.fault("--no-index: without an index there is nobody to ask for the files")
    return option.fault(f"{option.name} stands behind no requirement")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    """One package to install: `version` of an index, or the file at `url`, or the repository at a `commit`."""

    entry: Entry
    name: str
    version: str | None
    url: str | None
    hashes: tuple[Hash, ...]
    commit: str | None = None
    subdirectory: str = ""


def _pins(
    requirements: Sequence[Entry],
    constraints: Sequence[Entry],
    interpreter: Interpreter,
    faults: Faults,
    *,
    hashed: bool,
) -> list[_Pin]:
    """What is to be installed here, one of each name, sorted."""
    limits: dict[str, list[tuple[Entry, Requirement]]] = {}
    for entry in constraints:
        with faults.caught():
            limit = _requirement(entry)
            if _applies(limit, entry, interpreter):
                limits.setdefault(_name(limit, entry), []).append((entry, limit))
    found: dict[str, _Pin] = {}
    for entry in requirements:
        with faults.caught():
            requirement = _requirement(entry)
            if _applies(requirement, entry, interpreter):
                pin = _pin(entry, requirement, limits, hashed=hashed)
                found[pin.name] = _merged(found.get(pin.name), pin)
    return [found[name] for name in sorted(found)]


def _requirement(entry: Entry) -> Requirement:
    """The parsed requirement; a bare URL gets the name that its file tells."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = entry.text
    variable = VARIABLE.search(text)
    if variable:
        raise entry.fault(f"uses the environment variable {variable[0]}; a lock must not depend on it")
    place, mark, marker = text.partition(";")
    place = place.strip()
    try:
        if "://" in place.partition("@")[0] or is_file(place):
            text = f"{_told_name(place)} @ {place}" + (f" ; {marker}" if mark else "")
        return Requirement(text)
    except (InvalidRequirement, RecursionError, ValueError):  # the last of a URL that is none
        pass
    raise entry.fault(f"cannot understand the requirement {text[:200]!r}")


def _told_name(place: str) -> str:
    """The name of what is given by its URL or path alone: what it says itself, else what its file is called."""
    egg = parse_qs(urlsplit(place).fragment).get("egg", [""])[0].partition("[")[0]
    if egg:
        return egg
    file = _wheels.last_segment(place) if "://" in place else posixpath.basename(place)
    if place.lower().startswith(_SCHEMES):
        return file.partition("@")[0].removesuffix(".git")
    return file.partition("-")[0]


def _name(requirement: Requirement, entry: Entry) -> str:
    return _wheels.check_package_name(requirement.name, entry.where, None)


def _applies(requirement: Requirement, entry: Entry, interpreter: Interpreter) -> bool:
    return requirement.marker is None or interpreter.holds(str(requirement.marker), entry.where, None)


def _pin(
    entry: Entry,
    requirement: Requirement,
    limits: Mapping[str, list[tuple[Entry, Requirement]]],
    *,
    hashed: bool,
) -> _Pin:
    name = _name(requirement, entry)
    if requirement.url:
        return _url_pin(entry, name, requirement.url, hashed=hashed)
    version, texts = _exact(requirement), entry.hashes
    for limiting, limit in limits.get(name, ()):
        version = version or _exact(limit)
        if version is not None and not _admits(limit, version):
            raise entry.fault(
                f"{name} {version} is excluded by {limiting.file}:{limiting.line}: {limiting.text}"
            )
        texts = (
            tuple(text for text in texts if text in limiting.hashes or not limiting.hashes) or limiting.hashes
        )
    if version is None:
        raise entry.fault(f"{entry.text[:200]!r} is not pinned to a version with ==", _NO_HASHES)
    if hashed and not texts:
        raise entry.fault(f"{name}=={version} has no hash, while others in the file have", _NO_HASHES)
    hashes = tuple(_hash(text, entry) for text in dict.fromkeys(texts))
    return _Pin(entry=entry, name=name, version=version, url=None, hashes=hashes)


def _git_pin(entry: Entry, name: str, url: str, fragment: str) -> _Pin:
    """git+URL@COMMIT#subdirectory=PLACE"""
    if not url.lower().startswith("git+"):
        raise entry.fault(f"{name} comes from {_wheels.shown_url(url)[:200]}, and only git is known here")
    address, mark, commit = url.rpartition("@")
    if not mark or "/" in commit:
        address, commit = url, ""
    subdirectory = parse_qs(fragment).get("subdirectory", [""])[0]
    return _Pin(
        entry=entry,
        name=name,
        version=None,
        url=address,
        hashes=(),
        commit=commit,
        subdirectory=subdirectory,
    )


def _url_pin(entry: Entry, name: str, url: str, *, hashed: bool) -> _Pin:
    url, _, fragment = url.partition("#")
    if url.lower().startswith(_SCHEMES):
        return _git_pin(entry, name, url, fragment)
    parts = (part.partition("=") for part in fragment.split("&"))
    texts = [f"{key}:{value}" for key, _, value in parts if key in _ALGORITHMS]
    hashes = {_hash(text, entry) for text in (*texts, *entry.hashes)}
    if hashed and not hashes:
        raise entry.fault(
            f"{name} @ {_wheels.shown_url(url)[:200]} has no hash", "Add #sha256=... to the URL."
        )
    return _Pin(
        entry=entry,
        name=name,
        version=None,
        url=url,
        hashes=tuple(sorted(hashes, key=lambda hash: (hash.algorithm, hash.hex))),
        subdirectory=parse_qs(fragment).get("subdirectory", [""])[0],
    )


def _exact(requirement: Requirement) -> str | None:
    """The version that a requirement pins, None when it leaves a choice."""
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "==="):
        return None
    version = specifiers[0].version
    return None if version.endswith(".*") else version


def _admits(limit: Requirement, version: str) -> bool:
    try:
        return limit.specifier.contains(version, prereleases=True)
    except ValueError:
        return False


def _hash(text: str, entry: Entry) -> Hash:
    algorithm = text.partition(":")[0]
    if algorithm not in _ALGORITHMS:
        raise entry.fault(f"--hash={text[:80]}: expected one of {', '.join(_ALGORITHMS)}")
    return _wheels.parse_hash(text, entry.where, None)


def _merged(before: _Pin | None, pin: _Pin) -> _Pin:
    """Naming a package twice is fine as long as both say the same."""
    if before is None:
        return pin
    common = tuple(hash for hash in before.hashes if hash in pin.hashes)
    same = (before.version, before.url, before.commit) == (pin.version, pin.url, pin.commit)
    if not same or (not common and (before.hashes or pin.hashes)):
        first = f"{before.entry.file}:{before.entry.line}"
        raise pin.entry.fault(f"{pin.entry.text[:200]!r} contradicts {before.entry.text[:200]!r} of {first}")
    return replace(pin, hashes=common)


def _installed(
    pins: Sequence[_Pin],
    interpreter: Interpreter,
    completions: Completions,
    index: str | None,
    formats: Callable[[str], tuple[bool, bool]],
    faults: Faults,
) -> tuple[tuple[Package, ...], tuple[Query, ...]]:
    """The packages of the pins, and what must be asked about the others."""
    packages: list[Package] = []
    queries: list[Query] = []
    for pin in pins:
        with faults.caught():
            if pin.commit is not None:
                found = _sdists.from_git(
                    pin.name,
                    "",
                    pin.url or "",
                    pin.commit,
                    where=pin.entry.where,
                    interpreter=interpreter,
                    completions=completions,
                    subdirectory=pin.subdirectory,
                )
            elif pin.url:
                found = _at_url(pin, interpreter, completions)
            else:
                binary, source = formats(pin.name)
                found = _wheels.indexed(
                    pin.name,
                    pin.version or "",
                    pin.hashes,
                    where=pin.entry.where,
                    interpreter=interpreter,
                    completions=completions,
                    index=index,
                    binary=binary,
                    source=source,
                )
            if isinstance(found, Package):
                packages.append(found)
            else:
                queries.append(found)
    return tuple(packages), tuple(queries)


def _at_url(pin: _Pin, interpreter: Interpreter, completions: Completions) -> Package | Query:
    place = pin.url or ""
    if is_file(place):
        url = _wheels.file_url(place, pin.entry.where)
    else:
        url = _wheels.check_url(place, pin.entry.where, None)
    name = _wheels.last_segment(place)
    wanted = _wheels.Wanted(
        name=pin.name,
        version=None,
        where=pin.entry.where,
        files=(pin.entry.where,),
        names=(name,),
        direct=True,
        subdirectory=pin.subdirectory,
    )
    _wheels.choose(wanted, interpreter)
    return _wheels.named_file(wanted, name, url, pin.hashes, interpreter=interpreter, completions=completions)
