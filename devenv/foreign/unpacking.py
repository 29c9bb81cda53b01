"""Archives of programs as directories: unpacked once, named by their contents, bounded, never outside themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from devenv.derivations.builders.deb import unpack_deb
from devenv.derivations.builders.tar import Chunks, Member, Tar
from devenv.derivations.builders.tree import Tree, ceiling, clean, most_members, open_up
from devenv.derivations.builders.zip_members import Zip
from devenv.derivations.errors import ArchiveError
from devenv.errors import DevenvError
from devenv.foreign import iso9660, squashfs
from devenv.foreign.digests import digest_of
from devenv.foreign.errors import ForeignError
from devenv.foreign.kinds import HEAD, compression_of
from devenv.store.compression import CompressionError, decompress
from devenv.store.last_use import mark_used
from devenv.store.locks import PathLocks
from devenv.store.tree import remove

PIECE = 1 << 20
ARCHIVES = frozenset(("appimage-1", "appimage-2", "deb", "tar", "zip", "wheel", "run", "squashfs", "iso"))


def unpacked(path: str, kind: str, cache: str) -> str:
    """The directory that the archive `path` unpacks to, below `cache`; made if it is not there. Raises ForeignError."""
    place = os.path.join(cache, "foreign", digest_of(path)[:32])
    if os.path.isdir(place) and mark_used(place, exactly=True):
        return place
    aside = f"{place}.new"
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with PathLocks([place]):
            if not (os.path.isdir(place) and mark_used(place, exactly=True)):
                remove(aside)
                _unpack(path, kind, aside)
                open_up(aside)
                os.rename(aside, place)
    except (ArchiveError, CompressionError) as error:
        remove(aside)
        member = getattr(error, "member", None)
        what = (
            f"its member {os.fsdecode(member) if isinstance(member, bytes) else member} " if member else "it "
        )
        found = error.finding if isinstance(error, ArchiveError) else f"is damaged: {error}"
        raise ForeignError(path, f"cannot be unpacked: {what}{found}", hint=error.hint) from error
    except DevenvError as error:
        remove(aside)
        if isinstance(error, ForeignError):
            raise
        raise ForeignError(path, f"cannot be unpacked: {error}", hint=error.hint) from error
    except (OSError, EOFError) as error:
        remove(aside)
        raise ForeignError(path, f"cannot be unpacked: {error}") from error
    return place


def _unpack(path: str, kind: str, target: str) -> None:
    if kind == "deb":
        unpack_deb(path, target)
    elif kind in ("zip", "wheel", "jar"):
        _unpack_zip(path, target)
    elif kind == "tar":
        with open(path, "rb") as file:
            _unpack_tar(_plain(_pieces(file.fileno(), 0)), target, os.path.getsize(path))
    elif kind == "run":
        with open(path, "rb") as file:
            _unpack_tar(_plain(_pieces(file.fileno(), archive_offset(path))), target, os.path.getsize(path))
    elif kind in ("appimage-2", "squashfs"):
        squashfs.unpack(path, payload_offset(path) if kind == "appimage-2" else 0, target)
    elif kind in ("appimage-1", "iso"):
        iso9660.unpack(path, target)
    else:
        raise ForeignError(path, "is no archive that devenv can unpack")


def payload_offset(path: str) -> int:
    """Where the squashfs image of an AppImage of type 2 begins: behind its ELF file."""
    from devenv.elf.elf import Elf

    with Elf.open(path) as elf:
        ends = [segment.end for segment in elf.segments]
        offset = max([*ends, elf.shoff + elf.shnum * elf.shentsize])
        size = elf.source.size
    with open(path, "rb") as file:
        while offset < size:  # some runtimes are padded
            file.seek(offset)
            piece = file.read(PIECE)
            at = piece.find(b"hsqs")
            if at >= 0:
                return offset + at
            offset += max(len(piece) - 3, 1)
    raise ForeignError(path, "is an AppImage without a squashfs image in it: the download may be incomplete")


def archive_offset(path: str) -> int:
    """Where the archive begins that a self-extracting script has at its end: at the first magic after a line's end."""
    with open(path, "rb") as file:
        head = file.read(1 << 20)
    for magic in (b"\n\x1f\x8b\x08", b"\n\xfd7zXZ\0", b"\nBZh", b"\n\x28\xb5\x2f\xfd"):
        at = head.find(magic)
        if at >= 0:
            return at + 1
    at = head.find(b"ustar")
    if at >= 257:
        return at - 257
    raise ForeignError(
        path, "is a script with an archive in it that devenv cannot find", hint="Run it as it is: sh FILE"
    )


def plain_head(path: str, size: int) -> bytes:
    """The first bytes of a file, uncompressed; b"" for damaged data."""
    try:
        with open(path, "rb") as file:
            return Chunks(_plain(_pieces(file.fileno(), 0))).read(size)
    except (OSError, DevenvError):
        return b""


def _pieces(descriptor: int, offset: int) -> Iterator[bytes]:
    while piece := os.pread(descriptor, PIECE, offset):
        yield piece
        offset += len(piece)


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = iter(pieces)
    first = next(rest, b"")

    def all_of_it() -> Iterator[bytes]:
        yield first
        yield from rest

    return decompress(compression_of(first[:HEAD]), all_of_it())


def _unpack_tar(chunks: Iterable[bytes], target: str, compressed: int) -> None:
    tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
    tar = Tar(Chunks(chunks))
    for member in tar:
        _place(tree, member, tar)
    tree.finish()


def _place(tree: Tree, member: Member, tar: Tar) -> None:
    path = clean(member.name.lstrip(b"/"))
    tree.expect(path, member.size)
    if member.kind == "directory":
        tree.directory(path)
    elif member.kind == "file":
        tree.file(path, tar.data(), executable=bool(member.mode & 0o111))
    elif member.is_hard:
        tree.hard_link(path, clean(member.target.lstrip(b"/")))
    else:
        tree.symlink(path, member.target)


def _unpack_zip(path: str, target: str) -> None:
    size = os.path.getsize(path)
    tree = Tree(target, ceiling=ceiling(size), members=most_members(size))
    with Zip(path) as archive:
        for member in archive.members:
            name = clean(os.fsencode(member.name))
            tree.expect(name, member.size)
            if member.is_directory:
                tree.directory(name)
            elif member.mode & 0o170000 == 0o120000:
                tree.symlink(name, b"".join(archive.data(member)))
            else:
                tree.file(name, archive.data(member), executable=_runs(member.mode))
    tree.finish()


def _runs(mode: int) -> bool:
    """Archives made on systems without modes say nothing: then everything may be a program."""
    return bool(mode & 0o111) or mode == 0
