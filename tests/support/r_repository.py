"""A repository of R packages on loopback: packages made by the test, and those that Debian has the sources of."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import subprocess
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from devenv.fetch.apt_sources import apt_mirrors
from devenv.formats.deb822 import parse_one
from tests.fetch.server import Server

_FIELDS = "Title: For Tests\nAuthor: T\nMaintainer: T <t@t.test>\nDescription: Nothing.\nLicense: MIT\n"


def r_package(
    name: str, version: str, code: str = "", files: Mapping[str, str] | None = None, **description: str
) -> bytes:
    """The tarball of a package. `code` is R that it exports all of; fields of DESCRIPTION with _ for -."""
    fields = {"Package": name, "Version": version, "Repository": "CRAN", **description}
    text = "".join(f"{key}: {value}\n" for key, value in fields.items() if value) + _FIELDS
    imports = "".join(
        f"import({each.split('(')[0].strip()})\n"
        for each in description.get("Imports", "").split(",")
        if each.strip()
    )
    dynamic = f"useDynLib({name})\n" if any(path.startswith("src/") for path in files or {}) else ""
    contents = {
        "DESCRIPTION": text,
        "NAMESPACE": f'{imports}{dynamic}exportPattern("^[a-z]")\n',
        "R/code.R": code,
        **(files or {}),
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, body in contents.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(body.encode()), 0o755 if path == "configure" else 0o644
            archive.addfile(member, io.BytesIO(body.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


def _needs(data: bytes) -> str:
    """The fields of a package's DESCRIPTION about others, as an index has them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = next(
            each for each in archive if each.name.count("/") == 1 and each.name.endswith("/DESCRIPTION")
        )
        file = archive.extractfile(member)
        assert file is not None
        fields = parse_one(file.read().decode("utf-8", "replace"))
    names = ("Depends", "Imports", "LinkingTo")
    found = {name: " ".join(fields.get(name.lower(), "").split()) for name in names}
    return "".join(f"{name}: {value}\n" for name, value in found.items() if value)


class Repository:
    """A repository that grows. `index` is what `install.packages` looks at: only what is current."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = f"{server.url}/cran"
        self._index: list[str] = []

    def page(self, path: str, data: bytes) -> None:
        """Publish anything at a path of the server."""
        self._server.page(path, data)

    def add(self, name: str, version: str, data: bytes, *, archived: bool = False) -> None:
        """Publish the tarball of a package, as the current version or an earlier one."""
        folder = f"/cran/src/contrib/Archive/{name}" if archived else "/cran/src/contrib"
        self._server.page(f"{folder}/{name}_{version}.tar.gz", data)
        if not archived:
            self._index.append(f"Package: {name}\nVersion: {version}\nNeedsCompilation: no\n{_needs(data)}")
            self._server.page("/cran/src/contrib/PACKAGES", "\n".join(self._index))

    def add_git(self, name: str, files: Mapping[str, str], scratch: Path) -> tuple[str, str]:
        """Publish a repository of git with one commit, as plain files; its URL and the commit."""
        work, bare = scratch / name, scratch / f"{name}.git"
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        own = ("-c", "user.name=T", "-c", "user.email=t@t.test", "-c", "commit.gpgsign=false")

        def git(*arguments: str) -> str:
            done = subprocess.run(["git", *own, *arguments], check=True, capture_output=True, text=True)
            return done.stdout.strip()

        git("init", "--quiet", str(work))
        git("-C", str(work), "add", ".")
        git("-C", str(work), "commit", "--quiet", "-m", "All of it")
        git("clone", "--quiet", "--bare", str(work), str(bare))
        git("-C", str(bare), "update-server-info")
        for file in bare.rglob("*"):
            if file.is_file():
                self._server.page(f"/{name}.git/{file.relative_to(bare)}", file.read_bytes())
                self._server.page(
                    f"/{name}.git/{file.relative_to(bare)}?service=git-upload-pack", file.read_bytes()
                )
        return f"{self._server.url}/{name}.git", git("-C", str(work), "rev-parse", "HEAD")

    def asked(self, name: str) -> int:
        """How often files of a package were asked for."""
        return sum(f"/{name}_" in each.path for each in self._server.seen)


class DebianFile(NamedTuple):
    """A file of a Debian archive that holds a package of R. `path` is below pool/main."""

    name: str
    version: str
    path: str
    sha256: str


def debian_file(file: DebianFile, cache: Path) -> bytes:
    """Its bytes, from a mirror that this machine's apt is configured for. Kept in `cache`."""
    kept = cache / Path(file.path).name
    if not kept.exists():
        mirrors = apt_mirrors("debian")
        if not mirrors:
            pytest.skip("apt of this machine names no mirror of Debian")
        url = f"{mirrors[0]}pool/main/{file.path.replace('+', '%2b')}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            kept.write_bytes(answer.read())
    data = kept.read_bytes()
    assert hashlib.sha256(data).hexdigest() == file.sha256, f"{file.path} is not what it was"
    return data


def r_tarball(file: DebianFile, cache: Path) -> bytes:
    """The package as R takes it: source archives are, but for their compression; of binary packages what was built."""
    data = debian_file(file, cache)
    if file.path.endswith(".tar.gz"):
        return data
    if file.path.endswith(".tar.xz"):
        return gzip.compress(lzma.decompress(data), compresslevel=1, mtime=0)
    unpacked = cache / f"{file.name}-unpacked"
    subprocess.run(["dpkg-deb", "--extract", cache / Path(file.path).name, unpacked], check=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive:
        archive.add(unpacked / "usr/lib/R/site-library" / file.name, file.name)
    return raw.getvalue()
