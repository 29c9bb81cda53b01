"""Unpacked wheels, as the store holds them, made from a mapping of files."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections.abc import Mapping

from devenv.adapter import Package, RemoteFile
from devenv.formats.hashes import Hash


def write_tree(directory: str, files: Mapping[str, str | bytes]) -> None:
    """Write files by relative path; what is below NAME.data/scripts becomes executable, as unpacking does."""
    for path, contents in files.items():
        full = os.path.join(directory, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(contents.encode() if isinstance(contents, str) else contents)
        os.chmod(full, 0o555 if ".data/scripts/" in path else 0o444)


def make_wheel(
    directory: str,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    *,
    entry_points: str = "",
    requires: tuple[str, ...] = (),
) -> str:
    """An unpacked wheel below `directory`; returns its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    contents: dict[str, str | bytes] = {
        **(files or {}),
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        contents[f"{stem}.dist-info/entry_points.txt"] = entry_points
    record = f"{stem}.dist-info/RECORD"
    text = io.StringIO()
    rows = [(path, _digest(data), str(len(_bytes(data)))) for path, data in contents.items()]
    csv.writer(text).writerows([*rows, (record, "", "")])
    contents[record] = text.getvalue()
    path = os.path.join(directory, stem)
    write_tree(path, contents)
    return path


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _digest(data: str | bytes) -> str:
    digest = hashlib.sha256(_bytes(data)).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def wheel_package(name: str, version: str = "1.0", *, direct: bool = False, url: str = "") -> Package:
    """A package value whose file is never fetched."""
    file_name = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    file = RemoteFile(
        file_name=file_name,
        url=url or f"https://files.pypi.test/{file_name}",
        hash=Hash.of("sha256", file_name.encode()),
    )
    return Package(name=name, version=version, format="wheel", file=file, direct=direct)
