"""A tiny Debian-family archive, signed with a key of the tests' own, on a server of the tests' own."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from tests.derivations.archives import Entry, deb
from tests.fetch.server import Server
from tests.support.openpgp import Key, armored, certificate, rsa_key, signed_by
from tests.support.packages import base_deb

KEY = rsa_key("archive")
DATE = datetime(2026, 1, 10, 10, 2, 3, tzinfo=UTC)


def stanza(name: str, version: str = "1", architecture: str = "amd64", **fields: str) -> str:
    """A package as an index describes it; fields with _ for - ("Multi_Arch")."""
    file = f"pool/main/{name[0]}/{name}/{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    found = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Priority": "optional",
        "Section": "misc",
        "Filename": file,
        "Size": str(len(file)),
        "SHA256": hashlib.sha256(file.encode()).hexdigest(),
        "Description": f"the package {name}",
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    return "".join(f"{key}: {value}\n" for key, value in found.items())


def publish(
    server: Server,
    suite: str,
    packages: Mapping[str, Sequence[str]],
    *,
    root: str = "/debian",
    contents: Mapping[str, str] | None = None,
    key: Key = KEY,
    date: datetime = DATE,
    lasts: timedelta | None = None,
    by_hash: bool = True,
    codename: str | None = None,
) -> None:
    """Put a suite onto the server: its indices ("amd64": stanzas), its Contents ("amd64": text), its InRelease."""
    below = f"{root}/dists/{suite}/"
    plain = {f"main/binary-{each}/Packages": "\n".join(found).encode() for each, found in packages.items()}
    plain |= {f"main/Contents-{each}": text.encode() for each, text in (contents or {}).items()}
    files: dict[str, bytes] = {}
    for path, data in plain.items():
        files[path] = data
        if "Contents" in path:
            files[path + ".gz"] = gzip.compress(data, mtime=0)
        else:
            files[path + ".xz"] = lzma.compress(data, preset=0)
    for path, data in files.items():
        if not path.endswith((".gz", ".xz")):
            continue  # as real archives do: listed, but there in compressed forms only
        server.page(below + path, data)
        if by_hash:
            folder = path.rpartition("/")[0]
            server.page(f"{below}{folder}/by-hash/SHA256/{hashlib.sha256(data).hexdigest()}", data)
    text = release(suite, files, packages, date=date, lasts=lasts, by_hash=by_hash, codename=codename)
    server.page(below + "InRelease", signed_by(text, key))


def release(
    suite: str,
    files: Mapping[str, bytes],
    architectures: Mapping[str, object],
    *,
    date: datetime,
    lasts: timedelta | None,
    by_hash: bool,
    codename: str | None,
) -> str:
    fields = {
        "Origin": "Test",
        "Suite": "stable" if codename is None else codename,
        "Codename": suite if codename is None else codename,
        "Date": format_datetime(date, usegmt=True),
        **({"Valid-Until": format_datetime(date + lasts, usegmt=True)} if lasts is not None else {}),
        "Architectures": " ".join(["all", *architectures]),
        "Components": "main",
        "Acquire-By-Hash": "yes" if by_hash else "no",
    }
    lines = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in files.items()]
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + "SHA256:\n" + "".join(lines)


def settings(tmp_path: Path, *mirrors: str, key: Key = KEY) -> dict[str, str]:
    """Variables that lead devenv to mirrors (URLs of their archives' roots) and to the key."""
    keyring = tmp_path / f"{key.fingerprint}.asc"
    keyring.write_text(armored(certificate(key), "PUBLIC KEY BLOCK"))
    return {
        "DEVENV_DEBIAN_MIRROR": " ".join(mirrors),
        "DEVENV_DEBIAN_SECURITY_MIRROR": " ".join(mirrors),
        "DEVENV_DEBIAN_KEYRING": str(keyring),
    }


class Archive:
    """A mirror with packages that are really there: "base", which has this machine's programs, and what is added."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stanzas: list[str] = []
        self.add("base", base_deb(), Essential="yes")

    def add(self, name: str, data: bytes, **fields: str) -> None:
        path = f"pool/main/{name[0]}/{name}/{name}_1_amd64.deb"
        self.server.page(f"/debian/{path}", data)
        described = stanza(name, Size=str(len(data)), SHA256=hashlib.sha256(data).hexdigest(), **fields)
        self.stanzas.append(described)

    def package(self, name: str, *entries: Entry, postinst: str = "exit 0") -> None:
        self.add(name, deb(name, entries, scripts={"postinst": f"#!/bin/sh\n{postinst}\n"}))

    def publish(self, **more: object) -> None:
        publish(self.server, "bookworm", {"amd64": self.stanzas}, **more)  # type: ignore[arg-type]
