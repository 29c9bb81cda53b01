"""What kind of thing a file is, by its first bytes and its shape, never by its name alone.

Sources: elf(5), the AppImage specification 1.0 ("AI" and the type in e_ident[8:11]), ar(5) and deb(5), POSIX ustar,
PKWARE APPNOTE, the PE format, [MS-CFB], squashfs and ISO 9660 superblocks, RFC 1952 and the magic of xz, bzip2 and zstd.
"""

from __future__ import annotations

import os
import stat
import zipfile

from devenv.foreign.errors import ForeignError
from devenv.foreign.windows import portable

HEAD = 64 << 10
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TAR_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst", ".tzst")


def kind_of(path: str) -> str:
    """One of: directory, elf, script, appimage-1, appimage-2, deb, rpm, tar, zip, wheel, jar, run, squashfs, iso, windows, msi, dos,
    dotnet, macos, compressed, text, empty, data. Raises ForeignError where the file cannot be read or is no file.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return "directory"
        if not stat.S_ISREG(status.st_mode):
            raise ForeignError(path, "is neither a file nor a directory")
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError as error:
        dangling = os.path.islink(path)
        found = (
            f"is a link to {os.readlink(path)}, which is not there" if dangling else "there is no such file"
        )
        raise ForeignError(path, found) from error
    except OSError as error:
        raise ForeignError(path, f"cannot be read: {error.strerror}") from error
    return _by_head(path, head)


def _by_head(path: str, head: bytes) -> str:
    if not head:
        return "empty"
    if head.startswith(b"\x7fELF"):
        return {b"AI\x01": "appimage-1", b"AI\x02": "appimage-2"}.get(head[8:11], "elf")
    if head.startswith(b"#!"):
        return "run" if is_self_extracting(head, os.path.getsize(path)) else "script"
    if head.startswith(b"MZ"):
        return _of_windows(head)
    if head.startswith(b"!<arch>\n"):
        return "deb" if head[8:].startswith(b"debian-binary") else "data"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_zip(path)
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(_COMPOUND) and path.lower().endswith(".msi"):
        return "msi"
    if any(head.startswith(magic) for magic, _ in _COMPRESSED):
        return "tar" if path.lower().endswith(_TAR_NAMES) else _inside(path)
    return _rare(head)


def _rare(head: bytes) -> str:
    starts = ((b"hsqs", "squashfs"), (b"\xed\xab\xee\xdb", "rpm"))
    for magic, kind in starts:
        if head.startswith(magic):
            return kind
    if head[0x8001:0x8006] == b"CD001":
        return "iso"
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
        return (
            "java class"
            if head[:4] == b"\xca\xfe\xba\xbe" and head[4:6] == b"\0\0" and head[7] >= 45
            else "macos"
        )
    return "text" if _is_text(head) else "data"


def _is_text(head: bytes) -> bool:
    return b"\0" not in head[:4096]


def _of_windows(head: bytes) -> str:
    found = portable(head)
    if found is None:
        return "dos"
    return "dotnet" if found.managed else "windows"


def _of_zip(path: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ForeignError(path, f"is a damaged zip file: {error}") from error
    if any(name.endswith(".dist-info/WHEEL") for name in names):
        return "wheel"
    return "jar" if "META-INF/MANIFEST.MF" in names else "zip"


def _inside(path: str) -> str:
    """Is a compressed file a tar archive, whatever it is called?"""
    from devenv.foreign.unpacking import plain_head

    return "tar" if plain_head(path, 512)[257:262] == b"ustar" else "compressed"


def compression_of(head: bytes) -> str:
    """How data that begins with `head` is compressed, as `store.compression` names it."""
    return next((name for magic, name in _COMPRESSED if head.startswith(magic)), "none")


def is_self_extracting(head: bytes, size: int) -> bool:
    """A shell script that a long archive follows: makeself and its kin."""
    text = head.split(b"\0", 1)[0]
    first = text.split(b"\n", 1)[0]
    if not any(shell in first for shell in (b"sh", b"bash", b"dash")):
        return False
    marks = (
        b"makeself",
        b"MS_dd",
        b"__ARCHIVE_BELOW__",
        b"__ARCHIVE__",
        b"sed -e '1,/^exit",
        b"tail -n +",
        b"tail +",
    )
    return any(mark in text for mark in marks) and (size > len(text) + 512 or b"\0" in head)


def shebang(path: str) -> tuple[str, ...]:
    """The interpreter of a script and its one argument, as the kernel reads them; () where there is none."""
    try:
        with open(path, "rb") as file:
            line = file.read(256).split(b"\n", 1)[0]
    except OSError:
        return ()
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    return tuple(os.fsdecode(word.strip()) for word in words)
