"""Reads devenv.lock, whose form `devenv.config.lock` describes.

This module lies near the start of every command: it must stay cheap to import and to run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from devenv.adapter import ECOSYSTEMS, Options, RemoteFile
from devenv.config.errors import LockError
from devenv.config.json_access import (
    Damage,
    Keys,
    dotted,
    kind_of,
    line_of,
    read_array,
    read_fields,
    read_object,
    read_strings,
    read_text,
    read_texts,
    shown,
)
from devenv.config.lock import VERSION, Lock, LockedCrates, LockedLockfile, LockedToolchain, LockedTree
from devenv.config.paths import is_normal_path
from devenv.debian.locked import LockedBase, LockedDeb, SuiteState
from devenv.formats.hashes import SIZES, Hash

_MISSING = object()
_KEYS = (
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


def parse_lock(text: str, path: str) -> Lock:
    """Read a devenv.lock; `path` is for messages. Raises `LockError` with the place of the damage."""
    data = _load(text, path)
    try:
        return _read_lock(data, path)
    except Damage as damage:
        raise LockError(
            f"{dotted(damage.keys)}: {damage.what}" if damage.keys else damage.what,
            path=path,
            line=line_of(text, damage.keys),
            hint="it was edited or damaged; run `devenv lock` to write it anew",
        ) from None


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


def _read_lock(data: Any, path: str) -> Lock:
    if type(data) is not dict:
        raise Damage((), f"expected an object, found {kind_of(data)}")
    _check_version(data.get("version", _MISSING), path)
    members = read_fields(data, (), *_KEYS)

    def table(name: str) -> Iterator[tuple[str, Any, Keys]]:
        for key, value in read_object(members.get(name, {}), (name,)).items():
            yield key, value, (name, key)

    def listed(name: str) -> Iterator[tuple[Any, Keys]]:
        for index, value in enumerate(read_array(members.get(name, []), (name,))):
            yield value, (name, index)

    read = _read_base(members["base"], ("base",)) if "base" in members else ((), (), (), None)
    system, added, outside, base = read
    return Lock(
        version=VERSION,
        requests=read_texts(members.get("requests", {}), ("requests",)),
        lockfiles={key: _read_lockfile(key, value, keys) for key, value, keys in table("lockfiles")},
        toolchains=tuple(_read_toolchain(value, keys) for value, keys in listed("toolchains")),
        files={key: _read_files(values, keys) for key, values, keys in table("files")},
        system=system,
        added=added,
        outside=outside,
        base=base,
        crates=_read_crates(members["crates"], ("crates",)) if "crates" in members else None,
        extends=tuple(_read_tree(value, keys) for value, keys in listed("extends")),
        overrides={label: read_texts(facts, keys) for label, facts, keys in table("overrides")},
    )


def _check_version(version: Any, path: str) -> None:
    if type(version) is int and version > VERSION:
        raise LockError(
            f"it has version {version}; this devenv reads version {VERSION}",
            path=path,
            hint="it was written by a newer devenv: update devenv, or run `devenv lock` to write it anew",
        )
    if version != VERSION or type(version) is not int:
        found = "none" if version is _MISSING else shown(version)
        raise Damage(("version",), f"expected {VERSION}, found {found}")


def _read_crates(data: Any, keys: Keys) -> LockedCrates:
    found = read_fields(data, keys, "default", "index")
    texts = {name: read_text(found, name, keys) for name in ("default", "index")}
    for name, text in texts.items():
        if ("://" not in text and (text or name == "index")) or not text.isprintable():
            raise Damage((*keys, name), f"expected a URL, found {shown(text[:80])}")
    return LockedCrates(**texts)


def _read_tree(data: Any, keys: Keys) -> LockedTree:
    found = read_fields(data, keys, "git", "rev", "directory", "commit", "hash", "files")
    commit, directory = read_text(found, "commit", keys), read_text(found, "directory", keys)
    if not 40 <= len(commit) <= 64 or not set(commit) <= set("0123456789abcdef"):
        raise Damage((*keys, "commit"), f"expected a commit's whole name, found {shown(commit)}")
    files = read_texts(found.get("files", {}), (*keys, "files"))
    for name in (*files, directory or "x"):
        if not is_normal_path(name):
            raise Damage((*keys, "files"), f"expected a path in the repository, found {shown(name)}")
    return LockedTree(
        url=read_text(found, "git", keys),
        rev=read_text(found, "rev", keys),
        directory=directory,
        commit=commit,
        hash=_read_hash(found, keys),
        files=files,
    )


def _read_base(data: Any, keys: Keys) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], LockedBase]:
    """(the requests, what was added to them, what is not built with, the base)."""
    found = read_fields(
        data, keys, "name", "architecture", "requests", "added", "outside", "suites", "packages"
    )
    suites = read_array(found.get("suites", []), (*keys, "suites"))
    packages = read_array(found.get("packages", []), (*keys, "packages"))
    requests = read_strings(found.get("requests", []), (*keys, "requests"))
    added = read_strings(found.get("added", []), (*keys, "added"))
    base = LockedBase(
        base=read_text(found, "name", keys),
        architecture=read_text(found, "architecture", keys),
        suites=tuple([_read_suite(value, (*keys, "suites", index)) for index, value in enumerate(suites)]),
        packages=tuple(
            [_read_deb(value, (*keys, "packages", index)) for index, value in enumerate(packages)]
        ),
    )
    outside = read_strings(found.get("outside", []), (*keys, "outside"))
    return requests, added, outside, base


def _read_suite(data: Any, keys: Keys) -> SuiteState:
    found = read_fields(data, keys, *SuiteState._fields)
    state = SuiteState(*[read_text(found, name, keys) for name in SuiteState._fields])
    _check_sha256(state.sha256, (*keys, "sha256"))
    return state


def _read_deb(data: Any, keys: Keys) -> LockedDeb:
    """Hundreds in a lock; the names become names of files, so they are looked at."""
    found = read_fields(data, keys, *LockedDeb._fields)
    size = found.get("size")
    if type(size) is not int or size < 0:
        raise Damage((*keys, "size"), f"expected a number of bytes, found {kind_of(size)}")
    texts = {name: read_text(found, name, keys) for name in LockedDeb._fields if name != "size"}
    _check_sha256(texts["sha256"], (*keys, "sha256"))
    for name in ("name", "version", "architecture", "archive"):
        if not texts[name] or "/" in texts[name] or not texts[name].isprintable() or texts[name][0] in ".-":
            raise Damage((*keys, name), f"expected a name, found {shown(texts[name])}")
    if not is_normal_path(texts["path"]):
        raise Damage((*keys, "path"), f"expected a path in the archive, found {shown(texts['path'])}")
    return LockedDeb(size=size, **texts)


def _read_lockfile(name: str, data: Any, keys: Keys) -> LockedLockfile:
    if not is_normal_path(name):
        raise Damage(keys, "expected the path of a file inside the project")
    found = read_fields(data, keys, "ecosystem", "sha256", "siblings", "omit", "extras", "groups", "system")
    ecosystem = read_text(found, "ecosystem", keys)
    if ecosystem not in ECOSYSTEMS:
        raise Damage(
            (*keys, "ecosystem"), f"expected one of {', '.join(ECOSYSTEMS)}, found {shown(ecosystem)}"
        )
    siblings = read_texts(found.get("siblings", {}), (*keys, "siblings"))
    for sibling, digest in siblings.items():
        if not is_normal_path(sibling):
            raise Damage((*keys, "siblings", sibling), "expected the path of a file inside the project")
        _check_sha256(digest, (*keys, "siblings", sibling))
    sha256 = read_text(found, "sha256", keys)
    _check_sha256(sha256, (*keys, "sha256"))
    groups = found.get("groups")
    return LockedLockfile(
        ecosystem=ecosystem,
        sha256=sha256,
        siblings=siblings,
        options=Options(
            omit=frozenset(read_strings(found.get("omit", []), (*keys, "omit"))),
            extras=read_strings(found.get("extras", []), (*keys, "extras")),
            groups=None if groups is None else read_strings(groups, (*keys, "groups")),
            system=read_strings(found.get("system", []), (*keys, "system")),
        ),
    )


def _check_sha256(text: str, keys: Keys) -> None:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise Damage(keys, "expected 64 hexadecimal digits")


def _read_toolchain(data: Any, keys: Keys) -> LockedToolchain:
    found = read_fields(data, keys, "name", "request", "version", "files")
    return LockedToolchain(
        name=read_text(found, "name", keys),
        request=read_text(found, "request", keys),
        version=read_text(found, "version", keys),
        files={
            platform: _read_file(value, (*keys, "files", platform))
            for platform, value in read_object(found.get("files", {}), (*keys, "files")).items()
        },
    )


def _read_files(values: Any, keys: Keys) -> tuple[RemoteFile, ...]:
    return tuple([_read_file(value, (*keys, index)) for index, value in enumerate(read_array(values, keys))])


def _read_file(data: Any, keys: Keys) -> RemoteFile:
    """There may be thousands: the straight case is one dictionary look-up and one test per field."""
    found = read_fields(data, keys, "file_name", "url", "hash", "size", "needs", "system", "crate")
    name = read_text(found, "file_name", keys)
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise Damage((*keys, "file_name"), f"expected a file name, found {shown(name)}")
    size = found.get("size")
    if size is not None and (type(size) is not int or size < 0):
        raise Damage((*keys, "size"), f"expected a number of bytes, found {kind_of(size)}")
    hash = _read_hash(found, keys)
    url = read_text(found, "url", keys)
    if "crate" in found:
        crate = read_text(found, "crate", keys)
        return RemoteFile(file_name=name, url=url, hash=hash, size=size, crate=crate)
    if "needs" not in found and "system" not in found:
        return RemoteFile(file_name=name, url=url, hash=hash, size=size)
    needs = read_strings(found.get("needs", []), (*keys, "needs"))
    system = read_text(found, "system", keys) if "system" in found else ""
    return RemoteFile(file_name=name, url=url, hash=hash, size=size, needs=needs, system=system)


def _read_hash(found: dict[str, Any], keys: Keys) -> Hash:
    text = read_text(found, "hash", keys)
    algorithm, _, digits = text.partition(":")
    length = SIZES.get(algorithm)
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if length is None or len(digest) != length or len(digits) != 2 * length:
        raise Damage((*keys, "hash"), f'expected a hash such as "sha256:<hex>", found {shown(text)}')
    return Hash(algorithm=algorithm, digest=digest)  # type: ignore[arg-type]  # a key of SIZES
