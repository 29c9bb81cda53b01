"""devenv.lock: what `devenv lock` found out, so that nothing later has to ask.

JSON, UTF-8, with one entry on a line and sorted keys, so that two branches merge line by line::

    {
      "version": 1,
      "requests": {NAME: REQUEST, ...},            # [packages] of devenv.toml when it was locked
      "lockfiles": {PATH: LOCKFILE, ...},
      "toolchains": [TOOLCHAIN, ...],              # by name
      "files": {QUERY KEY: [FILE, ...], ...},      # what the lockfiles do not say: adapter.Completions
      "base": BASE,                                # only where devenv.toml asks for system packages
      "crates": {"default": URL, "index": URL},    # only where crates come from cargo's default registry
      "extends": [TREE, ...],                      # only where it extends git repositories
      "overrides": {LABEL: {WHAT: TEXT, ...}, ...} # only where packages are overridden: config.overrides
    }
    LOCKFILE  = {"ecosystem", "sha256": hex, "siblings": {PATH: hex}, "omit", "extras", "groups", "system"}
    TOOLCHAIN = {"name", "request", "version", "files": {PLATFORM: FILE}}
    FILE      = {"file_name", "url", "hash": "sha512:<hex>", "size", "needs": [TEXT, ...], "system": TEXT}
    BASE      = {"name", "architecture", "requests": [TEXT, ...], "added": [TEXT, ...], "outside": [TEXT, ...],
                 "suites": [SUITE, ...], "packages": [DEB, ...]}
    SUITE     = {"archive", "suite", "sha256", "date"}                     # debian.locked.SuiteState
    DEB       = {"name", "version", "architecture", "path", "size", "sha256", "archive"}  # debian.locked.LockedDeb
    TREE      = {"git": URL, "rev", "directory", "commit": hex, "hash": "sha256:<hex> of the NAR", "files": {PATH: TEXT}}

PATH is relative to the project, in TREE to the repository. Of LOCKFILE and FILE, what is empty or unknown is left out.
This module lies near the start of every command: it must stay cheap to import and to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from devenv.adapter import ECOSYSTEMS, Completions, Options, RemoteFile
from devenv.config.errors import LockError
from devenv.config.paths import is_normal_path
from devenv.debian.locked import LockedBase, LockedDeb, SuiteState
from devenv.formats.hashes import SIZES, Hash

if TYPE_CHECKING:
    from devenv.config.model import Config, LockfileConfig

VERSION = 1

_MISSING = object()
_BLANKS = (" ", "\n", "\t", "\r")

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedToolchain:
    """A toolchain as it was locked.

    `name`: "node", "npm" or "python". `request`: as in [packages] ("17"), `version`: what it means.
    `files`: by "linux-x86_64", "linux-aarch64" or "any"; empty for python, which the host supplies.
    """

    name: str
    request: str
    version: str
    files: Mapping[str, RemoteFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLockfile:
    """The state of one lockfile when it was locked.

    `sha256`: of its text, hexadecimal. `siblings`: the same of the files that its adapter read beside it,
    by path relative to the project. `options`: what devenv.toml said about it.
    """

    ecosystem: str
    sha256: str
    siblings: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTree:
    """A repository that devenv.toml extends: `rev` of `url` was `commit`, whose tree has this hash as a NAR.

    `files`: the texts of the devenv.toml of `directory` and of those that it extends in the same repository, by path.
    """

    url: str
    rev: str
    directory: str
    commit: str
    hash: Hash
    files: Mapping[str, str]

    @property
    def file(self) -> RemoteFile:
        """The tree as something to fetch."""
        name = self.url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "source"
        return RemoteFile(file_name=name, url=f"git+{self.url}#{self.commit}", hash=self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCrates:
    """cargo's default registry: its index as a Cargo.lock names it, and the sparse one that is asked in its place.

    `default` is "" where it is none of those that the project's locks name.
    """

    default: str
    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A devenv.lock. `lockfiles` is keyed by path relative to the project.

    `system`: the packages of `base` as [packages] asked for them when it was locked; `added`: what toolchains and the
    packages of lockfiles needed of it besides; `outside`: the keys of packages that these are not built with.
    """

    version: int = VERSION
    requests: Mapping[str, str] = field(default_factory=dict)
    lockfiles: Mapping[str, LockedLockfile] = field(default_factory=dict)
    toolchains: tuple[LockedToolchain, ...] = ()
    files: Completions = field(default_factory=dict)
    system: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    base: LockedBase | None = None
    crates: LockedCrates | None = None
    extends: tuple[LockedTree, ...] = ()
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class _Damage(Exception):
    """Something in the JSON has the wrong shape. `keys` lead to it, outermost first."""

    def __init__(self, keys: Keys, what: str) -> None:
        super().__init__(what)
        self.keys = keys
        self.what = what


def parse_lock(text: str, path: str) -> Lock:
    """Read a devenv.lock; `path` is for messages. Raises `LockError` with the place of the damage."""
    data = _load(text, path)
    try:
        return _read_lock(data, path)
    except _Damage as damage:
        raise LockError(
            f"{_dotted(damage.keys)}: {damage.what}" if damage.keys else damage.what,
            path=path,
            line=_line_of(text, damage.keys),
            hint="it was edited or damaged; run `devenv lock` to write it anew",
        ) from None


def dump_lock(lock: Lock) -> str:
    """Write a devenv.lock: equal locks give equal text."""
    toolchains = [
        _inline(_toolchain_json(toolchain)) for toolchain in sorted(lock.toolchains, key=lambda t: t.name)
    ]
    parts = [
        f'"version": {lock.version}',
        f'"requests": {_block(_members(lock.requests))}',
        f'"lockfiles": {_block(_members({p: _lockfile_json(f) for p, f in lock.lockfiles.items()}))}',
        f'"toolchains": {_block(toolchains, "[]")}',
        f'"files": {_block(_file_members(lock.files))}',
    ]
    if lock.base is not None:
        parts.append(f'"base": {_block(_base_members(lock, lock.base))}')
    if lock.crates is not None:
        parts.append(f'"crates": {_inline({"default": lock.crates.default, "index": lock.crates.index})}')
    if lock.extends:
        trees = sorted(lock.extends, key=lambda tree: (tree.url, tree.rev, tree.directory))
        parts.append(f'"extends": {_block([_inline(_tree_json(tree)) for tree in trees], "[]")}')
    if lock.overrides:
        members = _members({label: dict(sorted(facts.items())) for label, facts in lock.overrides.items()})
        parts.append(f'"overrides": {_block(members)}')
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def stale_reasons(lock: Lock, config: Config, hashes: Mapping[str, str]) -> list[str]:
    """Why `lock` no longer fits, one sentence each; empty when it does.

    `config` has its lockfiles found already: no `path` of `config.lockfiles` is None. `hashes` holds the
    SHA-256 in hexadecimal of every one of them and of their siblings, by path relative to the project.
    """
    reasons = [
        *_stale_requests(lock.requests, config.packages),
        *_stale_system(lock, config),
        *_stale_overrides(lock, config),
    ]
    current = {entry.path: entry for entry in config.lockfiles if entry.path is not None}
    for path in sorted(current.keys() | lock.lockfiles.keys()):
        if path not in lock.lockfiles:
            reasons.append(f"{path} is new")
        elif path not in current:
            reasons.append(f"{path} is no longer used")
        else:
            reasons += _stale_lockfile(path, lock.lockfiles[path], current[path], hashes)
    return list(dict.fromkeys(reasons))


def _stale_requests(locked: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    reasons = []
    for name in sorted(locked.keys() | wanted.keys()):
        if name not in locked:
            reasons.append(f'packages.{name} = "{wanted[name]}" is new')
        elif name not in wanted:
            reasons.append(f'packages.{name} is gone, devenv.lock has "{locked[name]}"')
        elif locked[name] != wanted[name]:
            reasons.append(f'packages.{name} is "{wanted[name]}", devenv.lock has "{locked[name]}"')
    return reasons


def _stale_system(lock: Lock, config: Config) -> list[str]:
    if not config.uses_base:
        return ["packages.system is gone, devenv.lock has packages of a base"] if lock.base else []
    if lock.base is None:
        return [f"packages.system is new, {len(config.system)} of {config.base}"] if config.system else []
    reasons = []
    if lock.base.base != config.base:
        reasons.append(f'base is "{config.base}", devenv.lock has "{lock.base.base}"')
    more = [name for name in config.system if name not in lock.system]
    fewer = [name for name in lock.system if name not in config.system]
    if more:
        reasons.append(f"packages.system asks for {', '.join(more)}, which devenv.lock lacks")
    if fewer:
        reasons.append(f"packages.system no longer asks for {', '.join(fewer)}")
    return reasons


def _stale_overrides(lock: Lock, config: Config) -> list[str]:
    reasons = []
    current = {override.label: override for override in config.overrides if override.facts()}
    for label in sorted(current.keys() | lock.overrides.keys()):
        if label not in current:
            reasons.append(f"{label} is no longer overridden")
        elif label not in lock.overrides:
            reasons.append(f"{label} is overridden now ({current[label].origin})")
        elif current[label].facts() != lock.overrides[label]:
            reasons.append(f"the override of {label} changed ({current[label].origin})")
    return reasons


def _stale_lockfile(
    path: str, locked: LockedLockfile, current: LockfileConfig, hashes: Mapping[str, str]
) -> list[str]:
    reasons = []
    for name, digest in {path: locked.sha256, **locked.siblings}.items():
        found = hashes.get(name)
        if found is None:
            reasons.append(f"{name} is gone since devenv.lock was written")
        elif found != digest:
            reasons.append(f"{name} changed since devenv.lock was written")
    changes = _option_changes(locked.options, current.options)
    if changes:
        reasons.append(f"options of {path} changed ({'; '.join(changes)})")
    return reasons


def _option_changes(before: Options, after: Options) -> list[str]:
    """The options that differ, with their present values: "groups: test, docs"."""
    changes = []
    if before.omit != after.omit:
        changes.append(f"omit: {', '.join(sorted(after.omit)) or 'nothing'}")
    if set(before.extras) != set(after.extras):
        changes.append(f"extras: {', '.join(after.extras) or 'none'}")
    if set(before.system) != set(after.system):
        changes.append(f"system: {', '.join(after.system) or 'nothing'}")
    before_groups = None if before.groups is None else set(before.groups)
    after_groups = None if after.groups is None else set(after.groups)
    if before_groups != after_groups:
        changes.append(
            "groups: the defaults" if after.groups is None else f"groups: {', '.join(after.groups) or 'none'}"
        )
    return changes


# Reading


def _load(text: str, path: str) -> Any:
    try:
        data = json.loads(text, object_pairs_hook=_unique)
        if not text.isascii() or "\\u" in text:
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except RecursionError:
        raise LockError("cannot read it: it is nested too deeply", path=path) from None
    except UnicodeEncodeError:
        raise LockError("cannot read it: it is not valid Unicode text", path=path) from None
    except ValueError as error:
        _raise_syntax(text, path, error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {json.dumps(twice)} occurs twice, as after a bad merge")
    return found


def _raise_syntax(text: str, path: str, error: ValueError) -> NoReturn:
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(("<<<<<<<", ">>>>>>>", "|||||||")):
            raise LockError(
                "it holds the marks of an unfinished merge",
                path=path,
                line=number,
                hint="take either side of the file, then run `devenv lock` to bring it up to date",
            ) from None
    if isinstance(error, json.JSONDecodeError):
        what = f"cannot read it: {error.msg} (column {error.colno})"
        raise LockError(what, path=path, line=error.lineno) from None
    raise LockError(f"cannot read it: {error}", path=path) from None


def _line_of(text: str, keys: Keys) -> int:
    """The line of what `keys` lead to in valid JSON, or of the innermost of them that there is."""
    decode = json.JSONDecoder().raw_decode
    found = position = _skip(text, 0)
    for wanted in keys:
        members = text[position] == "{"
        position = _skip(text, position + 1)
        index = 0
        while text[position] not in "]}":
            start, name = position, index
            if members:
                name, position = decode(text, position)
                position = _skip(text, _skip(text, position) + 1)
            if name == wanted:
                found = start
                break
            position = _skip(text, decode(text, position)[1])
            position = _skip(text, position + (text[position] == ","))
            index += 1
        else:
            break
    return text.count("\n", 0, found) + 1


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _BLANKS:
        position += 1
    return position


def _dotted(keys: Keys) -> str:
    """files.npm:a@1[0].url"""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _read_lock(data: Any, path: str) -> Lock:
    if type(data) is not dict:
        raise _Damage((), f"expected an object, found {_kind(data)}")
    _check_version(data.get("version", _MISSING), path)
    members = _fields(
        data,
        (),
        "version",
        "requests",
        "lockfiles",
        "toolchains",
        "files",
        "base",
        "crates",
        "extends",
        "overrides",
    )
    read = _read_base(members["base"], ("base",)) if "base" in members else ((), (), (), None)
    system, added, outside, base = read
    return Lock(
        version=VERSION,
        requests=_texts(members.get("requests", {}), ("requests",)),
        lockfiles={
            key: _read_lockfile(key, value, ("lockfiles", key))
            for key, value in _object(members.get("lockfiles", {}), ("lockfiles",)).items()
        },
        toolchains=tuple(
            _read_toolchain(value, ("toolchains", index))
            for index, value in enumerate(_array(members.get("toolchains", []), ("toolchains",)))
        ),
        files={
            key: tuple(
                [
                    _read_file(value, ("files", key, index))
                    for index, value in enumerate(_array(values, ("files", key)))
                ]
            )
            for key, values in _object(members.get("files", {}), ("files",)).items()
        },
        system=system,
        added=added,
        outside=outside,
        base=base,
        crates=_read_crates(members["crates"], ("crates",)) if "crates" in members else None,
        extends=tuple(
            _read_tree(value, ("extends", index))
            for index, value in enumerate(_array(members.get("extends", []), ("extends",)))
        ),
        overrides={
            label: _texts(facts, ("overrides", label))
            for label, facts in _object(members.get("overrides", {}), ("overrides",)).items()
        },
    )


def _read_crates(data: Any, keys: Keys) -> LockedCrates:
    found = _fields(data, keys, "default", "index")
    texts = {name: _text(found, name, keys) for name in ("default", "index")}
    for name, text in texts.items():
        if ("://" not in text and (text or name == "index")) or not text.isprintable():
            raise _Damage((*keys, name), f"expected a URL, found {_inline(text[:80])}")
    return LockedCrates(**texts)


def _read_tree(data: Any, keys: Keys) -> LockedTree:
    found = _fields(data, keys, "git", "rev", "directory", "commit", "hash", "files")
    commit, directory = _text(found, "commit", keys), _text(found, "directory", keys)
    if not 40 <= len(commit) <= 64 or not set(commit) <= set("0123456789abcdef"):
        raise _Damage((*keys, "commit"), f"expected a commit's whole name, found {_inline(commit)}")
    files = _texts(found.get("files", {}), (*keys, "files"))
    for name in (*files, directory or "x"):
        if not is_normal_path(name):
            raise _Damage((*keys, "files"), f"expected a path in the repository, found {_inline(name)}")
    return LockedTree(
        url=_text(found, "git", keys),
        rev=_text(found, "rev", keys),
        directory=directory,
        commit=commit,
        hash=_read_hash(found, keys),
        files=files,
    )


def _check_version(version: Any, path: str) -> None:
    if type(version) is int and version > VERSION:
        raise LockError(
            f"it has version {version}; this devenv reads version {VERSION}",
            path=path,
            hint="it was written by a newer devenv: update devenv, or run `devenv lock` to write it anew",
        )
    if version != VERSION or type(version) is not int:
        found = "none" if version is _MISSING else _inline(version)
        raise _Damage(("version",), f"expected {VERSION}, found {found}")


def _read_base(data: Any, keys: Keys) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], LockedBase]:
    """(the requests, what was added to them, what is not built with, the base)."""
    found = _fields(data, keys, "name", "architecture", "requests", "added", "outside", "suites", "packages")
    suites = _array(found.get("suites", []), (*keys, "suites"))
    packages = _array(found.get("packages", []), (*keys, "packages"))
    requests = _strings(found.get("requests", []), (*keys, "requests"))
    added = _strings(found.get("added", []), (*keys, "added"))
    base = LockedBase(
        base=_text(found, "name", keys),
        architecture=_text(found, "architecture", keys),
        suites=tuple([_read_suite(value, (*keys, "suites", index)) for index, value in enumerate(suites)]),
        packages=tuple(
            [_read_deb(value, (*keys, "packages", index)) for index, value in enumerate(packages)]
        ),
    )
    outside = _strings(found.get("outside", []), (*keys, "outside"))
    return requests, added, outside, base


def _read_suite(data: Any, keys: Keys) -> SuiteState:
    found = _fields(data, keys, *SuiteState._fields)
    state = SuiteState(*[_text(found, name, keys) for name in SuiteState._fields])
    _check_sha256(state.sha256, (*keys, "sha256"))
    return state


def _read_deb(data: Any, keys: Keys) -> LockedDeb:
    """Hundreds in a lock; the names become names of files, so they are looked at."""
    found = _fields(data, keys, *LockedDeb._fields)
    size = found.get("size")
    if type(size) is not int or size < 0:
        raise _Damage((*keys, "size"), f"expected a number of bytes, found {_kind(size)}")
    texts = {name: _text(found, name, keys) for name in LockedDeb._fields if name != "size"}
    _check_sha256(texts["sha256"], (*keys, "sha256"))
    for name in ("name", "version", "architecture", "archive"):
        if not texts[name] or "/" in texts[name] or not texts[name].isprintable() or texts[name][0] in ".-":
            raise _Damage((*keys, name), f"expected a name, found {_inline(texts[name])}")
    if not is_normal_path(texts["path"]):
        raise _Damage((*keys, "path"), f"expected a path in the archive, found {_inline(texts['path'])}")
    return LockedDeb(size=size, **texts)


def _read_lockfile(name: str, data: Any, keys: Keys) -> LockedLockfile:
    if not is_normal_path(name):
        raise _Damage(keys, "expected the path of a file inside the project")
    found = _fields(data, keys, "ecosystem", "sha256", "siblings", "omit", "extras", "groups", "system")
    ecosystem = _text(found, "ecosystem", keys)
    if ecosystem not in ECOSYSTEMS:
        raise _Damage(
            (*keys, "ecosystem"), f"expected one of {', '.join(ECOSYSTEMS)}, found {_inline(ecosystem)}"
        )
    siblings = _texts(found.get("siblings", {}), (*keys, "siblings"))
    for sibling, digest in siblings.items():
        if not is_normal_path(sibling):
            raise _Damage((*keys, "siblings", sibling), "expected the path of a file inside the project")
        _check_sha256(digest, (*keys, "siblings", sibling))
    sha256 = _text(found, "sha256", keys)
    _check_sha256(sha256, (*keys, "sha256"))
    groups = found.get("groups")
    return LockedLockfile(
        ecosystem=ecosystem,
        sha256=sha256,
        siblings=siblings,
        options=Options(
            omit=frozenset(_strings(found.get("omit", []), (*keys, "omit"))),
            extras=_strings(found.get("extras", []), (*keys, "extras")),
            groups=None if groups is None else _strings(groups, (*keys, "groups")),
            system=_strings(found.get("system", []), (*keys, "system")),
        ),
    )


def _check_sha256(text: str, keys: Keys) -> None:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise _Damage(keys, "expected 64 hexadecimal digits")


def _read_toolchain(data: Any, keys: Keys) -> LockedToolchain:
    found = _fields(data, keys, "name", "request", "version", "files")
    return LockedToolchain(
        name=_text(found, "name", keys),
        request=_text(found, "request", keys),
        version=_text(found, "version", keys),
        files={
            platform: _read_file(value, (*keys, "files", platform))
            for platform, value in _object(found.get("files", {}), (*keys, "files")).items()
        },
    )


def _read_file(data: Any, keys: Keys) -> RemoteFile:
    """There may be thousands: the straight case is one dictionary look-up and one test per field."""
    found = _fields(data, keys, "file_name", "url", "hash", "size", "needs", "system")
    name = _text(found, "file_name", keys)
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise _Damage((*keys, "file_name"), f"expected a file name, found {_inline(name)}")
    size = found.get("size")
    if size is not None and (type(size) is not int or size < 0):
        raise _Damage((*keys, "size"), f"expected a number of bytes, found {_kind(size)}")
    hash = _read_hash(found, keys)
    url = _text(found, "url", keys)
    if "needs" not in found and "system" not in found:
        return RemoteFile(file_name=name, url=url, hash=hash, size=size)
    needs = _strings(found.get("needs", []), (*keys, "needs"))
    system = _text(found, "system", keys) if "system" in found else ""
    return RemoteFile(file_name=name, url=url, hash=hash, size=size, needs=needs, system=system)


def _read_hash(found: dict[str, Any], keys: Keys) -> Hash:
    text = _text(found, "hash", keys)
    algorithm, _, digits = text.partition(":")
    length = SIZES.get(algorithm)
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if length is None or len(digest) != length or len(digits) != 2 * length:
        raise _Damage((*keys, "hash"), f'expected a hash such as "sha256:<hex>", found {_inline(text)}')
    return Hash(algorithm=algorithm, digest=digest)  # type: ignore[arg-type]  # a key of SIZES


# Typed access: each returns the value, or raises `_Damage` saying what was expected and found.


def _fields(value: Any, keys: Keys, *known: str) -> dict[str, Any]:
    found = _object(value, keys)
    for name in found:
        if name not in known:
            raise _Damage((*keys, name), f"unknown key; known are {', '.join(known)}")
    return found


def _object(value: Any, keys: Keys) -> dict[str, Any]:
    if type(value) is not dict:
        raise _Damage(keys, f"expected an object, found {_kind(value)}")
    return value


def _array(value: Any, keys: Keys) -> list[Any]:
    if type(value) is not list:
        raise _Damage(keys, f"expected an array, found {_kind(value)}")
    return value


def _text(found: dict[str, Any], name: str, keys: Keys) -> str:
    value = found.get(name, _MISSING)
    if type(value) is not str:
        what = "is missing" if value is _MISSING else f"expected text, found {_kind(value)}"
        raise _Damage((*keys, name), what)
    return value


def _texts(value: Any, keys: Keys) -> dict[str, str]:
    found = _object(value, keys)
    return {name: _text(found, name, keys) for name in found}


def _strings(value: Any, keys: Keys) -> tuple[str, ...]:
    for item in _array(value, keys):
        if type(item) is not str:
            raise _Damage(keys, f"expected an array of texts, found {_kind(item)} in it")
    return tuple(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# Writing


def _inline(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _members(found: Mapping[str, object]) -> list[str]:
    return [f"{_inline(name)}: {_inline(found[name])}" for name in sorted(found)]


def _file_members(files: Completions) -> list[str]:
    """One line for each file. The order of the files is kept: it is the registry's answer."""
    lines = []
    for key in sorted(files):
        texts = [_inline(_file_json(file)) for file in files[key]]
        body = f"[{''.join(texts)}]" if len(texts) < 2 else _block(texts, "[]", indent="    ")
        lines.append(f"{_inline(key)}: {body}")
    return lines


def _block(lines: list[str], brackets: str = "{}", indent: str = "  ") -> str:
    if not lines:
        return brackets
    inner = f",\n{indent}  ".join(lines)
    return f"{brackets[0]}\n{indent}  {inner}\n{indent}{brackets[1]}"


def _file_json(file: RemoteFile) -> dict[str, object]:
    found: dict[str, object] = {
        "file_name": file.file_name,
        "url": file.url,
        "hash": f"{file.hash.algorithm}:{file.hash.digest.hex()}",
    }
    if file.size is not None:
        found["size"] = file.size
    if file.needs:
        found["needs"] = list(file.needs)
    if file.system:
        found["system"] = file.system
    return found


def _tree_json(tree: LockedTree) -> dict[str, object]:
    return {
        "git": tree.url,
        "rev": tree.rev,
        "directory": tree.directory,
        "commit": tree.commit,
        "hash": f"{tree.hash.algorithm}:{tree.hash.digest.hex()}",
        "files": dict(sorted(tree.files.items())),
    }


def _toolchain_json(toolchain: LockedToolchain) -> dict[str, object]:
    return {
        "name": toolchain.name,
        "request": toolchain.request,
        "version": toolchain.version,
        "files": {platform: _file_json(toolchain.files[platform]) for platform in sorted(toolchain.files)},
    }


def _base_members(lock: Lock, base: LockedBase) -> list[str]:
    def listed(key: str, entries: list[str]) -> str:
        return f'"{key}": {_block(entries, "[]", indent="    ")}'

    further = [
        listed(key, [_inline(name) for name in sorted(names)])
        for key, names in (("added", lock.added), ("outside", lock.outside))
        if names
    ]
    return [
        f'"name": {_inline(base.base)}',
        f'"architecture": {_inline(base.architecture)}',
        listed("requests", [_inline(name) for name in sorted(lock.system)]),
        *further,
        listed("suites", [_inline(state._asdict()) for state in base.suites]),
        listed("packages", [_inline(deb._asdict()) for deb in base.packages]),
    ]


def _lockfile_json(entry: LockedLockfile) -> dict[str, object]:
    options = entry.options
    found: dict[str, object] = {"ecosystem": entry.ecosystem, "sha256": entry.sha256}
    if entry.siblings:
        found["siblings"] = dict(sorted(entry.siblings.items()))
    if options.omit:
        found["omit"] = sorted(options.omit)
    if options.extras:
        found["extras"] = sorted(set(options.extras))
    if options.system:
        found["system"] = sorted(set(options.system))
    if options.groups is not None:
        found["groups"] = sorted(set(options.groups))
    return found
