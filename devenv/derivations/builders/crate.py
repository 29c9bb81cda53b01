"""A crate as a directory that cargo takes for a source of its own: its files, and `.cargo-checksum.json`.

From a registry it is a gzipped tar archive whose members all lie in NAME-VERSION/. From a repository it is the
directory whose Cargo.toml names the package, with what it inherits from its workspace written out, because
a directory source has no workspace around its crates.

`.cargo-checksum.json` holds {"files": {}, "package": the checksum in Cargo.lock, null for a repository}. An empty list
of files is accepted, and a store object needs no second list. Source: the Cargo Book, "Source Replacement", and
"The workspace section".
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from typing import Any

from devenv.derivations.builders.tar import CHUNK, Stream, Tar
from devenv.derivations.builders.toml_text import toml_text
from devenv.derivations.builders.tree import Tree, ceiling, clean, most_members
from devenv.derivations.errors import ArchiveError

CHECKSUMS = b".cargo-checksum.json"
MANIFEST = b"Cargo.toml"
_LARGEST_MANIFEST = 4 << 20
_DEPENDENCIES = (
    "dependencies",
    "dev-dependencies",
    "build-dependencies",
    "dev_dependencies",
    "build_dependencies",
)
# Nothing of a repository, but of builds in it.
_NOT_WALKED = frozenset((".git", "target", "node_modules"))


def unpack_crate(archive: str, target: str, checksum: str | None) -> tuple[str, ...]:
    """Unpack the .crate file `archive` into the new directory `target`. Raises ArchiveError, OSError."""
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    links = 0
    try:
        compressed = os.fstat(descriptor).st_size
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        tar = Tar(Stream(descriptor))
        for member in tar:
            rest = clean(member.name).partition(b"/")[2]
            tree.expect(rest, member.size)
            if member.kind == "file" and rest and rest != CHECKSUMS:
                tree.file(rest, tar.data(), executable=bool(member.mode & 0o100))
            links += member.kind == "link"
    finally:
        os.close(descriptor)
    if not tree.is_file(MANIFEST):
        raise ArchiveError("holds no Cargo.toml, so it is no crate")
    _finish(tree, checksum)
    return (f"{links} link{'s' if links > 1 else ''} in the crate left out, as cargo does",) if links else ()


def _finish(tree: Tree, checksum: str | None) -> None:
    tree.file(CHECKSUMS, [json.dumps({"files": {}, "package": checksum}).encode() + b"\n"])
    tree.finish()


def crate_of_repository(
    source: str, target: str, name: str, version: str | None, checksum: str | None = None
) -> tuple[str, ...]:
    """Copy the crate `name` out of the checked-out repository `source`. Raises ArchiveError, OSError.

    `checksum`: what Cargo.lock has for it, if it has something.
    """
    folder, manifest = _find(source, name, version)
    whole = _size(folder)
    tree = Tree(target, ceiling=ceiling(whole), members=most_members(whole))
    skipped = _copy(source, folder, tree)
    tree.file(MANIFEST, [toml_text(manifest).encode()])
    _finish(tree, checksum)
    return (f"{skipped} links that leave the repository were left out",) if skipped else ()


def _size(folder: str) -> int:
    return sum(
        os.lstat(os.path.join(place, each)).st_size for place, _, names in os.walk(folder) for each in names
    )


def _find(source: str, name: str, version: str | None) -> tuple[str, dict[str, Any]]:
    """The directory of the crate, the least deep one, and its manifest with nothing left to inherit."""
    found = []
    for place, folders, names in os.walk(source):
        folders[:] = sorted(each for each in folders if each not in _NOT_WALKED)
        manifest = _manifest(place) if "Cargo.toml" in names else None
        if manifest is not None and _package(manifest).get("name") == name:
            found.append((place.count("/"), place, manifest))
    problems = []
    for _, place, manifest in sorted(found, key=lambda each: each[:2]):
        whole = _standalone(source, place, manifest)
        has = _package(whole).get("version", "0.0.0")
        if version is None or has == version:
            return place, whole
        problems.append(str(has))
    if problems:
        raise ArchiveError(f"has {name} {' and '.join(problems)}, where the lock says {version}")
    raise ArchiveError(f"has no Cargo.toml of a package {name}")


def _package(manifest: dict[str, Any]) -> dict[str, Any]:
    found = manifest.get("package", manifest.get("project"))
    return found if isinstance(found, dict) else {}


def _manifest(place: str) -> dict[str, Any] | None:
    path = os.path.join(place, "Cargo.toml")
    if not stat.S_ISREG(os.lstat(path).st_mode) or os.path.getsize(path) > _LARGEST_MANIFEST:
        return None
    try:
        with open(path, "rb") as file:
            return tomllib.loads(file.read().decode())
    except (ValueError, RecursionError):
        return None  # of a test, most likely: cargo would not get to read it either


def _standalone(source: str, place: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with what it takes from its workspace written in. Raises ArchiveError where that is missing."""
    workspace = _workspace(source, place, manifest)
    found = {
        key: value
        for key, value in manifest.items()
        if key not in ("workspace", "patch", "replace", "profile")
    }
    for key in ("package", "project"):
        if isinstance(found.get(key), dict):
            found[key] = _inherited_package(found[key], workspace)
    if _inherits(found.get("lints")):
        found["lints"] = workspace.get("lints", {})
    _inherit_dependencies(found, workspace)
    targets = found.get("target")
    if isinstance(targets, dict):
        found["target"] = {
            key: dict(value) if isinstance(value, dict) else value for key, value in targets.items()
        }
        for table in found["target"].values():
            if isinstance(table, dict):
                _inherit_dependencies(table, workspace)
    return found


def _workspace(source: str, place: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The [workspace] table that the manifest in `place` belongs to, empty if there is none."""
    while True:
        table = manifest.get("workspace")
        if isinstance(table, dict):
            return table
        package = manifest.get("package")
        named = package.get("workspace") if isinstance(package, dict) else None
        if isinstance(named, str):
            place = os.path.normpath(os.path.join(place, named))
        elif place == source:
            return {}
        else:
            place = os.path.dirname(place)
        if place != source and not place.startswith(f"{source}/"):
            return {}
        manifest = (_manifest(place) if os.path.lexists(os.path.join(place, "Cargo.toml")) else None) or {}
        if isinstance(named, str) and "workspace" not in manifest:
            return {}


def _inherits(value: object) -> bool:
    return isinstance(value, dict) and value.get("workspace") is True


def _inherited_package(package: dict[str, Any], workspace: dict[str, Any]) -> dict[str, Any]:
    shared = workspace.get("package")
    found: dict[str, Any] = {}
    for key, value in package.items():
        if key == "workspace":
            continue
        if not _inherits(value):
            found[key] = value
        elif isinstance(shared, dict) and key in shared:
            found[key] = shared[key]
        else:
            raise ArchiveError(
                f"has a package that inherits `{key}` from a workspace which does not define it"
            )
    return found


def _inherit_dependencies(table: dict[str, Any], workspace: dict[str, Any]) -> None:
    shared = workspace.get("dependencies")
    for kind in _DEPENDENCIES:
        if not isinstance(table.get(kind), dict):
            continue
        table[kind] = {
            name: _inherited_dependency(name, value, shared if isinstance(shared, dict) else {})
            for name, value in table[kind].items()
        }


def _inherited_dependency(name: str, value: Any, shared: dict[str, Any]) -> Any:
    """Features add up; `optional` is the member's own; `default-features` is the workspace's."""
    if not _inherits(value):
        return value
    if name not in shared:
        raise ArchiveError(
            f"has a package that inherits the dependency `{name}`, which its workspace does not define"
        )
    base = shared[name]
    found = dict(base) if isinstance(base, dict) else {"version": base}
    features = [*found.get("features", ()), *value.get("features", ())]
    if features:
        found["features"] = list(dict.fromkeys(features))
    for key in ("optional", "public"):
        if key in value:
            found[key] = value[key]
    # An inherited dependency can switch the default features on, but not off.
    for key in ("default-features", "default_features"):
        if value.get(key) is True:
            found[key] = True
    return found


def _copy(source: str, folder: str, tree: Tree) -> int:
    """Copy the files below `folder`. What links lead to inside the repository is copied in their place."""
    skipped = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != ".git")
        for name in sorted(
            [*names, *(each for each in folders if os.path.islink(os.path.join(place, each)))]
        ):
            path = os.path.join(place, name)
            inner = os.fsencode(os.path.relpath(path, folder))
            if inner in (MANIFEST, CHECKSUMS):
                continue
            real = os.path.realpath(path)
            if not real.startswith(f"{source}/") or not os.path.exists(real):
                skipped += 1
            elif os.path.isfile(real):
                _copy_file(real, inner, tree)
            elif os.path.isdir(real) and not folder.startswith(real):
                _copy_directory(real, inner, tree)
            else:
                skipped += 1
    return skipped


def _copy_directory(real: str, inner: bytes, tree: Tree) -> None:
    for place, folders, names in os.walk(real):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            if not os.path.islink(path):
                _copy_file(path, inner + b"/" + os.fsencode(os.path.relpath(path, real)), tree)


def _copy_file(path: str, inner: bytes, tree: Tree) -> None:
    found = os.stat(path)
    tree.expect(clean(inner), found.st_size)
    tree.file(clean(inner), _chunks(path), executable=bool(found.st_mode & 0o100))


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
