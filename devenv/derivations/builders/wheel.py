"""A wheel, unpacked as it is: `NAME.data` stays, nothing is installed.

A wheel is a zip file with one directory `NAME-VERSION.dist-info` whose RECORD lists every file with a hash
(Binary distribution format, packaging.python.org/specifications; PEP 376, PEP 427).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
from collections.abc import Iterator

from devenv.derivations.builders.tree import Tree, ceiling, clean, most_members
from devenv.derivations.builders.zip_members import Zip, ZipMember
from devenv.derivations.errors import ArchiveError
from devenv.store.meter import Meter, order

LARGEST_RECORD = 64 << 20
_STRONG = ("sha256", "sha384", "sha512")
_SETUID_OR_SETGID = 0o6000


def unpack_wheel(archive: str, target: str, meter: Meter | None = None) -> tuple[str, ...]:
    """Unpack the wheel `archive` into the new directory `target`; returns lines about what is odd.

    `meter` measures what is written. Raises ArchiveError, OSError.
    """
    with Zip(archive) as wheel:
        compressed = os.path.getsize(archive)
        members = _files(wheel.members)
        record_name = _record_name(members)
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        for path, member in members.items():
            tree.expect(path, member.size)
        record = _record(wheel, members[record_name])
        unlisted = 0
        for path, member in sorted(members.items(), key=lambda item: order(item[0])):
            data = wheel.data(member)
            if (expected := record.get(path)) is not None:
                data = _verified(data, expected, member)
            elif path != record_name and not path.startswith((record_name + b".jws", record_name + b".p7s")):
                unlisted += 1
            executable = _is_executable(path, member)
            if meter is not None:
                data = meter.file(path, member.size, data, executable=executable)
            tree.file(path, data, executable=executable)
    tree.finish()
    if unlisted:
        return (
            f"{unlisted} file{'s' if unlisted > 1 else ''} of the wheel not in its RECORD, so not verified",
        )
    return ()


def built_wheel(directory: str) -> str:
    """The one wheel that a build has left in its output. Raises ArchiveError."""
    found = [name for name in os.listdir(directory) if name.endswith(".whl")]
    if len(found) != 1:
        raise ArchiveError(f"holds {len(found)} wheels instead of one")
    return f"{directory}/{found[0]}"


def _files(members: tuple[ZipMember, ...]) -> dict[bytes, ZipMember]:
    """The wheel's files by path. Directories are only checked: they come with the files in them."""
    files: dict[bytes, ZipMember] = {}
    for member in members:
        path = clean(member.name.encode("utf-8", "surrogateescape"))
        if member.is_directory:
            continue
        kind = stat.S_IFMT(member.mode)
        if kind not in (0, stat.S_IFREG):
            what = "a symbolic link" if kind == stat.S_IFLNK else "no regular file"
            raise ArchiveError(f"is {what}, which a wheel cannot hold", member=member.name)
        if member.mode & _SETUID_OR_SETGID:
            raise ArchiveError("is a program with the setuid or setgid bit", member=member.name)
        if not path:
            raise ArchiveError("has an empty name", member=member.name)
        earlier = files.setdefault(path, member)
        if (earlier.size, earlier.crc) != (member.size, member.crc):
            raise ArchiveError("is there twice with different contents", member=member.name)
    return files


def _record_name(members: dict[bytes, ZipMember]) -> bytes:
    found = {
        directory
        for path in members
        if (directory := path.partition(b"/")[0]).endswith(b".dist-info") and b"/" in path
    }
    if len(found) != 1:
        raise ArchiveError(f"is no wheel: it has {len(found)} .dist-info directories instead of one")
    name = found.pop() + b"/RECORD"
    if name not in members:
        raise ArchiveError(f"is no wheel: {os.fsdecode(name)!r} is missing")
    return name


def _record(wheel: Zip, member: ZipMember) -> dict[bytes, tuple[str, bytes]]:
    """RECORD's hashes by path. Its rows are: path, "algorithm=urlsafe base64 without padding", size."""
    if member.size > LARGEST_RECORD:
        raise ArchiveError(f"has {member.size} bytes, too many for a RECORD", member=member.name)
    hashes: dict[bytes, tuple[str, bytes]] = {}
    try:
        text = b"".join(wheel.data(member)).decode("utf-8")
        for row in csv.reader(text.splitlines()):
            if len(row) < 2 or not row[1]:
                continue
            algorithm, _, value = row[1].partition("=")
            path = clean(row[0].encode("utf-8", "surrogateescape"))
            hashes[path] = algorithm, base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
    except (ValueError, csv.Error) as error:
        raise ArchiveError(f"cannot be read: {error}", member=member.name) from error
    return hashes


def _verified(chunks: Iterator[bytes], expected: tuple[str, bytes], member: ZipMember) -> Iterator[bytes]:
    algorithm, digest = expected
    if algorithm not in _STRONG:
        raise ArchiveError(f"has a RECORD hash of the unsupported kind {algorithm!r}", member=member.name)
    hasher = hashlib.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if hasher.digest() != digest:
        found = base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode()
        wanted = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        raise ArchiveError(
            f"is not what the wheel's RECORD says: expected {algorithm}={wanted}, found {found}",
            member=member.name,
        )


def _is_executable(path: bytes, member: ZipMember) -> bool:
    # Installers make scripts executable whatever the archive says.
    top, _, rest = path.partition(b"/")
    return bool(member.mode & 0o111) or (top.endswith(b".data") and rest.startswith(b"scripts/"))
