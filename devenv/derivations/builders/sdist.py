"""The source of a Python package, ready to be built: `source/`, and `build.json` about how.

A source is an sdist (a gzipped tar archive, or in former times a zip file or another compression, whose members all lie
in one directory), or a directory such as a repository. `build.json` is what the [build-system] of its pyproject.toml
says, with the defaults of PEP 517 and 518:

    {"requires": [REQUIREMENT, ...], "backend": "MODULE" | "MODULE:OBJECT", "path": [DIRECTORY, ...]}

Links of an archive are kept where they stay inside; others are left out.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from typing import IO, Any

from devenv.derivations.builders.tar import CHUNK, Chunks, Member, Source, Stream, Tar
from devenv.derivations.builders.tree import CEILING_BASE, Tree, ceiling, clean, most_members, seal
from devenv.derivations.builders.zip_members import Zip
from devenv.derivations.errors import ArchiveError
from devenv.store.tree import canonicalise, copy_tree

SOURCE, DESCRIPTION = "source", "build.json"
MANIFEST = "pyproject.toml"
_LARGEST_MANIFEST = 4 << 20

# What PEP 517 and 518 say of projects that do not say anything.
_DEFAULT_REQUIRES = ["setuptools >= 40.8.0"]
_DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"


def unpack_source(
    archive: str, target: str, subdirectory: str, change: Callable[[str], None] = lambda source: None
) -> tuple[str, ...]:
    """Make the new directory `target` of the file or directory `archive`; returns what was left out.

    `subdirectory` is where in it the project is, `change` is called with the source before that is looked at. Raises
    ArchiveError, OSError.
    """
    os.mkdir(target, 0o755)
    source = f"{target}/{SOURCE}"
    notices = unpack_tree(archive, source)
    change(source)
    text = json.dumps(description_of(source, subdirectory), sort_keys=True, indent=1) + "\n"
    with open(f"{target}/{DESCRIPTION}", "x", encoding="utf-8") as file:
        file.write(text)
    canonicalise(f"{target}/{DESCRIPTION}")
    seal(target)
    return notices


def unpack_tree(archive: str, target: str) -> tuple[str, ...]:
    """Make the new directory `target` of an archive's one directory, or of a directory. Raises ArchiveError, OSError."""
    links = 0
    if os.path.isdir(archive):
        copy_tree(archive, target)
    elif _starts_with(archive, b"PK"):
        _unpack_zip(archive, target)
    else:
        links = _unpack_tar(archive, target)
    return (f"{links} link{'s' if links > 1 else ''} that leave the source left out",) if links else ()


def _starts_with(path: str, magic: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _unpack_zip(archive: str, target: str) -> None:
    with Zip(archive) as members:
        compressed = os.path.getsize(archive)
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        for member in members.members:
            path = _place(member.name.encode("utf-8", "surrogateescape"))
            tree.expect(path, member.size)
            if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError("is no regular file", member=member.name)
            if path and not member.is_directory:
                tree.file(path, members.data(member), executable=bool(member.mode & 0o100))
        tree.finish()


def _unpack_tar(archive: str, target: str) -> int:
    """How many links were left out."""
    left_out = 0
    with open(archive, "rb", buffering=0) as file:
        compressed = os.fstat(file.fileno()).st_size
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        tar = Tar(_stream(file))
        for member in tar:
            path = _place(member.name)
            tree.expect(path, member.size)
            if member.kind == "file" and path:
                tree.file(path, tar.data(), executable=bool(member.mode & 0o100))
            elif member.kind == "link" and path:
                left_out += not _link(tree, path, member)
        tree.finish()
    return left_out


def _stream(file: IO[bytes]) -> Source:
    """The tar archive in a file, however it is compressed."""
    magic = os.pread(file.fileno(), 6, 0)
    if magic.startswith(b"BZh"):
        import bz2

        return Chunks(_pieces(bz2.open(file, "rb")))
    if magic == b"\xfd7zXZ\x00":
        import lzma

        return Chunks(_pieces(lzma.open(file, "rb")))
    return Stream(file.fileno())


def _pieces(file: Any) -> Iterator[bytes]:
    from lzma import LZMAError

    read = 0
    try:
        while piece := file.read(CHUNK):
            read += len(piece)
            if read > 64 * CEILING_BASE:
                raise ArchiveError("unpacks to far too much; it was not unpacked")
            yield piece
    except (OSError, EOFError, ValueError, LZMAError) as error:
        raise ArchiveError(f"is damaged: {error}") from None


def _place(name: bytes) -> bytes:
    return clean(name).partition(b"/")[2]


def _link(tree: Tree, path: bytes, member: Member) -> bool:
    """Make a link if it stays inside; whether it was made."""
    if member.is_hard:
        tree.hard_link(path, _place(member.target))
        return True
    depth = path.count(b"/")
    for part in member.target.split(b"/"):
        depth += {b"..": -1, b".": 0, b"": 0}.get(part, 1)
        if depth < 0:
            return False
    if not member.target or member.target.startswith(b"/"):
        return False
    tree.symlink(path, member.target)
    return True


def description_of(source: str, subdirectory: str) -> dict[str, Any]:
    """What the project says about how it is built. Raises ArchiveError for what cannot be understood."""
    inside = os.fsdecode(clean(os.fsencode(subdirectory)))
    place = f"{inside}/{MANIFEST}" if inside else MANIFEST
    folder = f"{source}/{inside}" if inside else source
    if not os.path.isdir(folder):
        raise ArchiveError(f"has no directory {inside!r}, which the lockfile names")
    manifest = _read(f"{source}/{place}", place)
    if manifest is None and not os.path.lexists(f"{folder}/setup.py"):
        where = f" in {inside}" if inside else ""
        raise ArchiveError(f"has neither {MANIFEST} nor setup.py{where}, so nothing says how to build it")
    table = (manifest or {}).get("build-system")
    if table is None:
        return {"requires": _DEFAULT_REQUIRES, "backend": _DEFAULT_BACKEND, "path": []}
    requires = _texts(table, "requires", place)
    backend = table.get("build-backend")
    if backend is None:
        return {"requires": requires or _DEFAULT_REQUIRES, "backend": _DEFAULT_BACKEND, "path": []}
    if not isinstance(backend, str) or not backend:
        raise ArchiveError("has a build-backend that is no name", member=place)
    paths = [os.fsdecode(clean(os.fsencode(each))) for each in _texts(table, "backend-path", place)]
    return {"requires": requires, "backend": backend, "path": paths}


def _read(path: str, place: str) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"cannot be read: {error.strerror}", member=place) from None
    with open(descriptor, "rb") as file:
        data = file.read(_LARGEST_MANIFEST + 1)
    if len(data) > _LARGEST_MANIFEST:
        raise ArchiveError(f"is larger than {_LARGEST_MANIFEST >> 20} MiB", member=place)
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"is not TOML: {error}", member=place) from None


def _texts(table: Any, name: str, place: str) -> list[str]:
    values = table.get(name, []) if isinstance(table, dict) else None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ArchiveError(f"has a build-system.{name} that is no list of texts", member=place)
    return values
