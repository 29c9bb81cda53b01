"""requirements.txt with hashes, as `pip-compile --generate-hashes` and `uv pip compile` write it.

Such a file is a lock: every requirement is pinned and lists the hashes of all its files. It says neither
file names nor URLs, so an index is asked once for the files with these hashes (`PypiQuery`); of the
answers the best wheel is taken. There is no graph: what is listed, and no more, is installed.
The grammar is in `_requirements_txt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devenv.adapter import (
    AdapterError,
    Completions,
    Ecosystem,
    Options,
    Package,
    Plan,
    Query,
    SitePackages,
    Target,
)
from devenv.adapters import _wheels
from devenv.adapters._fields import Faults
from devenv.adapters._interpreter import Interpreter, interpreter_of
from devenv.adapters._requirements_txt import VARIABLE, Entry, Option, included_names, parse
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
_EFFECTLESS = ("--pre", "--prefer-binary", "--require-hashes", "--only-binary", "--use-feature")
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
    """The packages that `pip install --require-hashes -r` would install, as wheels."""
    interpreter = interpreter_of(target, path)
    _refuse_names(path, options)
    parsed = parse(text, path, siblings)
    index, notices = _index(parsed.options)
    if parsed.requirements and not any(
        entry.hashes or "#" in entry.text for entry in _all(parsed.requirements, parsed.constraints)
    ):
        raise AdapterError(
            f"{path}: no requirement has a hash, so it does not say which files to install",
            hint=_NO_HASHES,
            file=path,
        )
    faults = Faults()
    pins = _pins(parsed.requirements, parsed.constraints, interpreter, faults)
    packages, queries = _installed(pins, interpreter, completions, index, faults)
    faults.report(f"{path}: not everything in it can be installed:")
    return Plan(view=SitePackages(packages=packages), notices=notices, queries=queries)


def _all(*lists: Sequence[Entry]) -> Iterable[Entry]:
    for entries in lists:
        yield from entries


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
        elif option.name not in _EFFECTLESS:
            faults.add(_refused_option(option))
    faults.report()
    return index, tuple(notices)


def _refused_option(option: Option) -> AdapterError:
    if option.name == "--editable":
        return option.fault(
            f"-e {option.value[:200]}: what is editable has no hash, and cannot be in a locked file"
        )
    if option.name == "--no-binary":
        return option.fault(f"--no-binary {option.value[:200]}: building from source is not supported yet")
    if option.name == "--no-index":
        return option.fault("--no-index: without an index there is nobody to ask for the files")
    return option.fault(f"{option.name} stands behind no requirement")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    """One package to install: `version` of an index, or the file at `url`."""

    entry: Entry
    name: str
    version: str | None
    url: str | None
    hashes: tuple[Hash, ...]


def _pins(
    requirements: Sequence[Entry], constraints: Sequence[Entry], interpreter: Interpreter, faults: Faults
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
                pin = _pin(entry, requirement, limits)
                found[pin.name] = _merged(found.get(pin.name), pin)
    return [found[name] for name in sorted(found)]


def _requirement(entry: Entry) -> Requirement:
    """The parsed requirement; a bare URL gets the name that its file tells."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = entry.text
    variable = VARIABLE.search(text)
    if variable:
        raise entry.fault(f"uses the environment variable {variable[0]}; a lock must not depend on it")
    if text.lower().startswith(_SCHEMES):
        raise entry.fault(
            f"{_wheels.shown_url(text)[:200]}: packages from version control are not supported yet"
        )
    if "://" in text.partition("@")[0].partition(";")[0]:
        text = f"{_wheels.last_segment(text.split()[0]).partition('-')[0]} @ {text}"
    try:
        return Requirement(text)
    except (InvalidRequirement, RecursionError):
        pass
    if text.startswith((".", "/", "~")) or text.partition(";")[0].strip().endswith((".whl", ".gz", ".zip")):
        raise entry.fault(f"{text[:200]}: files and directories of the project are not supported yet")
    raise entry.fault(f"cannot understand the requirement {text[:200]!r}")


def _name(requirement: Requirement, entry: Entry) -> str:
    return _wheels.check_package_name(requirement.name, entry.where, None)


def _applies(requirement: Requirement, entry: Entry, interpreter: Interpreter) -> bool:
    return requirement.marker is None or interpreter.holds(str(requirement.marker), entry.where, None)


def _pin(
    entry: Entry, requirement: Requirement, limits: Mapping[str, list[tuple[Entry, Requirement]]]
) -> _Pin:
    name = _name(requirement, entry)
    if requirement.url:
        return _url_pin(entry, name, requirement.url)
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
    if not texts:
        raise entry.fault(f"{name}=={version} has no hash, while others in the file have", _NO_HASHES)
    hashes = tuple(_hash(text, entry) for text in dict.fromkeys(texts))
    return _Pin(entry=entry, name=name, version=version, url=None, hashes=hashes)


def _url_pin(entry: Entry, name: str, url: str) -> _Pin:
    url, _, fragment = url.partition("#")
    if url.lower().startswith(_SCHEMES):
        raise entry.fault(
            f"{name} comes from {_wheels.shown_url(url)[:200]}: version control is not supported yet"
        )
    parts = (part.partition("=") for part in fragment.split("&"))
    texts = [f"{key}:{value}" for key, _, value in parts if key in _ALGORITHMS]
    hashes = {_hash(text, entry) for text in (*texts, *entry.hashes)}
    if len({hash.algorithm for hash in hashes}) != len(hashes):
        raise entry.fault(f"{name} is one file, and has several hashes of one kind")
    if not hashes:
        raise entry.fault(
            f"{name} @ {_wheels.shown_url(url)[:200]} has no hash", "Add #sha256=... to the URL."
        )
    return _Pin(entry=entry, name=name, version=None, url=url, hashes=tuple(hashes))


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
    if (before.version, before.url) != (pin.version, pin.url) or not common:
        first = f"{before.entry.file}:{before.entry.line}"
        raise pin.entry.fault(f"{pin.entry.text[:200]!r} contradicts {before.entry.text[:200]!r} of {first}")
    return _Pin(entry=pin.entry, name=pin.name, version=pin.version, url=pin.url, hashes=common)


def _installed(
    pins: Sequence[_Pin],
    interpreter: Interpreter,
    completions: Completions,
    index: str | None,
    faults: Faults,
) -> tuple[tuple[Package, ...], tuple[Query, ...]]:
    """The wheels of the pins, and what must be asked about the others."""
    packages: list[Package] = []
    queries: list[Query] = []
    for pin in pins:
        with faults.caught():
            found = (
                _at_url(pin, interpreter)
                if pin.url
                else _wheels.indexed(
                    pin.name,
                    pin.version or "",
                    pin.hashes,
                    where=pin.entry.where,
                    interpreter=interpreter,
                    completions=completions,
                    index=index,
                )
            )
            if isinstance(found, Package):
                packages.append(found)
            else:
                queries.append(found)
    return tuple(packages), tuple(queries)


def _at_url(pin: _Pin, interpreter: Interpreter) -> Package | Query:
    url = _wheels.check_url(pin.url or "", pin.entry.where, None)
    name = _wheels.last_segment(url)
    wanted = _wheels.Wanted(
        name=pin.name,
        version=None,
        where=pin.entry.where,
        files=(pin.entry.where,),
        names=(name,),
        has_sdist=not name.endswith(".whl"),
        direct=True,
    )
    _wheels.choose(wanted, interpreter)
    best = _wheels.strongest({hash.algorithm: hash.hex for hash in pin.hashes}, pin.entry.where, None)
    return _wheels.package_of(wanted, name, url, best, None, {})
