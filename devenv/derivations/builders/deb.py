"""`builtin:devenv-deb`: a Debian package as a tree, the way it lies in an FHS root.

env: `src` the package file. The tree has the package's files with the old top directories folded into /usr (`bin` is
`usr/bin`, and so on for sbin, lib, lib32, lib64, libo32, libx32), and its control files where dpkg keeps them:
var/lib/dpkg/info/NAME.postinst, or NAME:ARCHITECTURE.postinst for a package that can be installed for several
architectures at once. Two files there are made here: NAME.list with the paths of the package, as dpkg writes it, and
NAME.control, which dpkg keeps in its status file.

Owners, times and special mode bits are dropped, as in everything that is in a store. Devices and pipes are refused.
Source: deb(5), deb-control(5), dpkg-query(1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from devenv.derivations.builders.ar import Ar
from devenv.derivations.builders.job import Job
from devenv.derivations.builders.tar import Chunks, Member, Tar
from devenv.derivations.builders.tree import Tree, ceiling, clean, most_members
from devenv.derivations.errors import ArchiveError, BuildError, shown
from devenv.formats.deb822 import parse_one
from devenv.formats.errors import FormatError
from devenv.store.compression import CompressionError, decompress

INFO = b"var/lib/dpkg/info"

_COMPRESSIONS = {"": "none", ".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
_FOLDED = frozenset({b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libo32", b"libx32"})
_LONGEST_CONTROL = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}", re.ASCII)
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_CONTROL_FILE = re.compile(rb"[a-z0-9][a-z0-9_-]{0,63}")


def build(job: Job) -> tuple[str, ...]:
    """Unpack. Raises BuildError naming package, archive, member and what is wrong."""
    source = job.env["src"]
    try:
        unpack_deb(source, job.target)
    except (ArchiveError, CompressionError, FormatError) as error:
        member = error.member if isinstance(error, ArchiveError) else None
        subject = "it" if member is None else f"its member {shown(member)}"
        finding = error.finding if isinstance(error, ArchiveError) else f"is damaged: {error}"
        archive = os.path.basename(source).partition("-")[2]
        raise BuildError(
            f"cannot unpack {job.label} from {archive}: {subject} {finding}",
            package=job.label,
            hint=error.hint
            or "The file is the one that devenv.lock names, so the package itself is unusable: choose another version "
            "with `devenv lock`, or report it to the archive.",
        ) from error
    return ()


def unpack_deb(archive: str, target: str) -> None:
    """Unpack the package file `archive` into the new directory `target`.

    Raises ArchiveError, CompressionError, FormatError, OSError.
    """
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        compressed = os.fstat(descriptor).st_size
        members = _Members(descriptor)
        control = _read_control(members.tar("control.tar"))
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        prefix = _write_control(tree, control)
        paths = _fill(tree, members.tar("data.tar"))
        _write(tree, prefix + b".list", b"".join(b"/%s\n" % path for path in (b".", *paths)))
        tree.finish()
    finally:
        os.close(descriptor)


class _Members:
    """The members of a package file, which come in a fixed order."""

    def __init__(self, descriptor: int) -> None:
        self._ar = Ar(descriptor)
        self._members = iter(self._ar)
        name, size = next(self._members, ("", 0))
        if name != "debian-binary" or size > 64 or not b"".join(self._ar.data()).startswith(b"2."):
            raise ArchiveError("is no Debian package of format 2")

    def tar(self, name: str) -> Tar:
        """The next member, which is the tar archive `name`, compressed in one way or another."""
        for found, _ in self._members:
            extension = found.removeprefix(name)
            if found.startswith(name) and extension in _COMPRESSIONS:
                return Tar(Chunks(decompress(_COMPRESSIONS[extension], self._ar.data())))
            if not found.startswith("_"):  # which future versions of the format may add
                raise ArchiveError(
                    f"should be {name}, compressed with gzip, xz, zstd or not at all", member=found
                )
        raise ArchiveError(f"has no {name}")


def _read_control(tar: Tar) -> dict[bytes, tuple[bytes, bool]]:
    """The control files: name -> contents, and whether it is a program."""
    found: dict[bytes, tuple[bytes, bool]] = {}
    left = _LONGEST_CONTROL * 16
    for member in tar:
        name = clean(member.name)
        if member.kind == "directory" and not name:
            continue
        if member.kind != "file" or not _CONTROL_FILE.fullmatch(name) or name == b"list":
            raise ArchiveError("is not what a package can have as a control file", member=member.name)
        left -= member.size
        if left < 0 or (name == b"control" and member.size > _LONGEST_CONTROL):
            raise ArchiveError("is far too large for a control file", member=member.name)
        found[name] = b"".join(tar.data()), bool(member.mode & 0o100)
    tar.finish()
    if b"control" not in found:
        raise ArchiveError("has no control file")
    return found


def _write_control(tree: Tree, control: dict[bytes, tuple[bytes, bool]]) -> bytes:
    """Put the control files in their places. What their paths begin with."""
    fields = parse_one(control[b"control"][0].decode("utf-8", "replace"))
    name, architecture = fields.get("package", ""), fields.get("architecture", "")
    if not _NAME.fullmatch(name) or not _ARCHITECTURE.fullmatch(architecture):
        raise ArchiveError(f"names itself {name[:99]!r} for {architecture[:99]!r}, which no package can")
    several = fields.get("multi-arch") == "same"
    prefix = b"%s/%s" % (INFO, (f"{name}:{architecture}" if several else name).encode())
    for file, (contents, program) in sorted(control.items()):
        _write(tree, prefix + b"." + file, contents, executable=program)
    return prefix


def _write(tree: Tree, path: bytes, contents: bytes, *, executable: bool = False) -> None:
    tree.expect(path, len(contents))
    tree.file(path, [contents], executable=executable)


def _fill(tree: Tree, tar: Tar) -> list[bytes]:
    """Unpack the package's own files; their paths, in the order of the archive."""
    paths: dict[bytes, None] = {}
    for member in tar:
        shipped = clean(member.name)
        path = fold(shipped)
        if path.startswith(INFO + b"/"):
            raise ArchiveError("belongs to dpkg, not to a package", member=member.name)
        tree.expect(path, member.size)
        if _place(tree, member, shipped, path, tar.data()):
            paths.update(dict.fromkeys((*_above(path), path)))
    tar.finish()
    return list(paths)


def _place(tree: Tree, member: Member, shipped: bytes, path: bytes, data: Iterable[bytes]) -> bool:
    """Make one member. Whether it counts as the package's."""
    if not path:
        return False
    if member.kind == "directory":
        tree.directory(path, member=member.name)
    elif member.kind == "file":
        tree.file(path, data, executable=bool(member.mode & 0o100))
    elif member.is_hard:
        tree.hard_link(path, fold(clean(member.target)))
    else:
        if shipped in _FOLDED:
            return False  # base-files has /bin -> usr/bin; roots get that anyway
        target = refold(shipped, member.target)
        if _leads_to(path, target) == path:
            # One name for a file, by way of a directory that is the same now.
            return False
        tree.symlink(path, target)
    return True


def _above(path: bytes) -> Iterator[bytes]:
    """The directories above a path, outermost first."""
    parts = path.split(b"/")[:-1]
    for count in range(1, len(parts) + 1):
        yield b"/".join(parts[:count])


def fold(path: bytes) -> bytes:
    """A relative path as it is where /bin, /lib and so on are links to those in /usr."""
    return b"usr/" + path if path.partition(b"/")[0] in _FOLDED else path


def refold(shipped: bytes, target: bytes) -> bytes:
    """What a symbolic link must hold that was packed as `shipped` and lies at `fold(shipped)`.

    One that climbs out of its top directory would find itself in /usr; it becomes absolute. The text of others stays.
    """
    if target.startswith(b"/") or fold(shipped) == shipped:
        return target
    depth = shipped.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth <= 0:
            return os.path.normpath(b"/" + os.path.dirname(shipped) + b"/" + target)
    return target


def _leads_to(path: bytes, target: bytes) -> bytes:
    """The folded path that a link's text names, without looking at other links."""
    whole = target if target.startswith(b"/") else b"/" + os.path.dirname(path) + b"/" + target
    return fold(os.path.normpath(whole).lstrip(b"/"))
