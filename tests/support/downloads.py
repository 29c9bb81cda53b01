"""Programs as people download them: from the registries and the archive that this machine is configured for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

from devenv.debian.base import resolve, urls
from devenv.derivations.builders.deb import unpack_deb
from devenv.events import Reporter
from devenv.fetch.download import Download, download
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.formats.hashes import Hash
from tests.support.programs import program


def npm(name: str, folder: Path) -> Path:
    """The directory of a package of the npm registry."""
    folder.mkdir(parents=True)
    command = [program("npm"), "pack", "--silent", "--cache", str(folder / "cache"), name]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder)
    return folder / "package"


def wheel(name: str, folder: Path, *, platform: str | None = None) -> Path:
    """The directory that a wheel for this Python unpacks to, and for this machine or another ("win_amd64")."""
    folder.mkdir(parents=True)
    options = ["-q", "--no-deps", "--only-binary", ":all:", "-d", "."]
    if platform is not None:
        options += ["--platform", platform]
    command = [sys.executable, "-m", "pip", "download", *options, name]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            place = Path(opened.extract(info, folder))
            if info.external_attr >> 16 & 0o111:
                place.chmod(0o755)
    return folder


def deb(name: str, folder: Path, cache: Path, *, base: str, architecture: str = "amd64") -> Path:
    """The package file of a distribution's package."""
    folder.mkdir(parents=True, exist_ok=True)
    endpoints = Endpoints.load(project=str(folder), environ=os.environ, registries={}, cache=str(cache))
    with Client(endpoints) as client:
        locked = resolve(
            base,
            [f"{name}:{architecture}"],
            cache_dir=str(cache),
            events=Reporter(),
            client=client,
            max_age=86400,
        )
        (found,) = [
            each for each in locked.packages if each.name == name and each.architecture == architecture
        ]
        target = folder / found.path.rpartition("/")[2]
        item = Download(
            url=urls(found, endpoints)[0],
            hash=Hash.from_hex("sha256", found.sha256),
            size=found.size,
            label=name,
        )
        part = f"{target}.part"
        download(client, item, str(target), part=part, reporter=Reporter(), cancelled=threading.Event())
    return target


def unpacked_deb(name: str, folder: Path, cache: Path, *, base: str, architecture: str = "amd64") -> Path:
    """The directory that a package's files are unpacked to, and nothing else done."""
    return unpacked(deb(name, folder, cache, base=base, architecture=architecture), folder / "files")


def unpacked(package: Path, files: Path) -> Path:
    """The directory `files`, with those of a Debian package."""
    unpack_deb(str(package), str(files))
    for place in [files, *files.rglob("*")]:
        if place.is_dir() and not place.is_symlink():
            place.chmod(0o755)
    shutil.rmtree(files / "var")
    return files
