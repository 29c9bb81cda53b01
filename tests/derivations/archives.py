"""Archives made to order, good and bad."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping

Entry = tuple[tarfile.TarInfo, bytes]


def entry(
    name: str, data: bytes = b"", *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> Entry:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname, info.size = mode, kind, link, len(data)
    return info, data


def tar(entries: Iterable[Entry], *, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tgz(entries: Iterable[Entry], *, format: int = tarfile.PAX_FORMAT) -> bytes:
    return gzip.compress(tar(entries, format=format), mtime=0)


def npm_package(files: Mapping[str, bytes]) -> bytes:
    return tgz(entry(f"package/{name}", data) for name, data in files.items())


def record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def wheel(
    files: Mapping[str, bytes],
    *,
    name: str = "demo",
    record: str | None = None,
    modes: Mapping[str, int] | None = None,
) -> bytes:
    """A wheel with a right RECORD, or with `record` in its place."""
    info = f"{name}-1.0.dist-info"
    whole = {
        **files,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
    }
    if record is None:
        record = "".join(record_line(path, data) for path, data in whole.items()) + f"{info}/RECORD,,\n"
    whole[f"{info}/RECORD"] = record.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in whole.items():
            member = zipfile.ZipInfo(path)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (modes or {}).get(path, stat.S_IFREG | 0o644) << 16
            archive.writestr(member, data)
    return out.getvalue()


def listing(root: str | os.PathLike[str]) -> dict[str, tuple[str, bytes]]:
    """Every file and link below `root`: how it is ("-", "x" or "l") and what is in it. All must be canonical."""
    found: dict[str, tuple[str, bytes]] = {}
    base = os.fsencode(root)
    for place, directories, files in os.walk(base):
        for path in [place, *(os.path.join(place, each) for each in [*directories, *files])]:
            status = os.lstat(path)
            assert status.st_mtime_ns == 1_000_000_000, path
            relative = os.fsdecode(os.path.relpath(path, base))
            if stat.S_ISLNK(status.st_mode):
                found[relative] = "l", os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                assert stat.S_IMODE(status.st_mode) == 0o555, path
            else:
                mode = stat.S_IMODE(status.st_mode)
                assert mode in (0o444, 0o555), path
                with open(path, "rb") as file:
                    found[relative] = "x" if mode == 0o555 else "-", file.read()
    return found


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An ar archive: header fields are name, time, user, group, mode, size, each padded with blanks."""
    parts = [b"!<arch>\n"]
    for name, data in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        parts += [header, data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def control_text(name: str, **fields: str) -> bytes:
    """A control file; `Pre_Depends="x"` is the field Pre-Depends."""
    known = {"Package": name, "Version": "1.0", "Architecture": "amd64", "Description": "for a test"}
    given = known | {field.replace("_", "-"): value for field, value in fields.items()}
    return "".join(f"{field}: {value}\n" for field, value in given.items()).encode()


def deb(
    name: str,
    entries: Iterable[Entry] = (),
    *,
    scripts: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    pack: Callable[[bytes], bytes] = lzma.compress,
    extension: str = ".xz",
    **fields: str,
) -> bytes:
    """A Debian package. `scripts` are maintainer scripts, `files` other control files."""
    control = [entry("./control", control_text(name, **fields))]
    control += [entry(f"./{kind}", text.encode(), mode=0o755) for kind, text in (scripts or {}).items()]
    control += [entry(f"./{kind}", text.encode()) for kind, text in (files or {}).items()]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{extension}", pack(tar(control, format=tarfile.GNU_FORMAT))),
            (f"data.tar{extension}", pack(tar(entries, format=tarfile.GNU_FORMAT))),
        ]
    )


def directory(name: str) -> Entry:
    return entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str, *, hard: bool = False) -> Entry:
    return entry(name, kind=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, link=target, mode=0o777)
