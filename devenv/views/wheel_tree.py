"""An unpacked wheel in the store: which of its files go where, and what it says about itself.

Layout (binary distribution format, packaging.python.org): everything at the top belongs to site-packages,
STEM.dist-info describes the package, STEM.data/KEY holds the files of another place of the environment,
KEY one of purelib, platlib, scripts, headers, data. STEM is NAME-VERSION.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from devenv.views.launchers import EntryPoint, parse_entry_point, parse_sections
from devenv.views.operations import ViewError

_LARGEST_TEXT = 64 << 20
# Made by installers, or no longer true once installed.
_NOT_INSTALLED = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The directory `source` of the wheel ("" for all of it) goes to `dest`, without `skip` (relative to it)."""

    source: str
    dest: str
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelTree:
    """One unpacked wheel. `label` is "NAME VERSION" for messages, `path` its directory in the store.

    `files`: path in the environment -> path in the wheel, byte code left out.
    """

    label: str
    path: str
    stem: str
    parts: tuple[Part, ...]
    files: Mapping[str, str]
    site: str

    @property
    def dist_info(self) -> str:
        """The package's metadata directory in the environment."""
        return f"{self.site}/{self.stem}.dist-info"

    @property
    def scripts(self) -> str:
        """The wheel's directory of ready-made scripts, which may be missing."""
        return f"{self.stem}.data/scripts"

    def text(self, name: str) -> str:
        """A file of the metadata directory, "" when missing. Raises ViewError for what is not text."""
        return read_text(f"{self.path}/{self.stem}.dist-info/{name}", self.label)


def read_wheel(path: str, *, label: str, name: str, site: str, include: str) -> WheelTree:
    """Look at an unpacked wheel. `site` and `include`: where modules and headers go, relative to the environment.

    Raises ViewError for what is no wheel, OSError.
    """
    stem = _stem(path, label)
    wheel_version = _header(read_text(f"{path}/{stem}.dist-info/WHEEL", label), "Wheel-Version")
    if wheel_version.partition(".")[0] != "1":
        raise ViewError(f"{label}: wheel format {wheel_version[:40]!r} is not known here, only 1")
    parts = []
    files: dict[str, str] = {}
    for part in _parts(path, stem, label, site, f"{include}/{name}"):
        caches: set[str] = set()
        for relative in _walk(f"{path}/{part.source}", part.skip, caches):
            dest = f"{part.dest}/{relative}" if part.dest else relative
            files[dest] = f"{part.source}/{relative}" if part.source else relative
        parts.append(replace(part, skip=part.skip | caches))
    return WheelTree(label=label, path=path, stem=stem, parts=tuple(parts), files=files, site=site)


def _stem(path: str, label: str) -> str:
    found = [name for name in os.listdir(path) if name.endswith(".dist-info")]
    if len(found) != 1:
        raise ViewError(
            f"{label}: {path} is no wheel: it has {len(found)} .dist-info directories instead of one"
        )
    return found[0].removesuffix(".dist-info")


def _parts(path: str, stem: str, label: str, site: str, include: str) -> Iterator[Part]:
    data = f"{stem}.data"
    yield Part(
        source="",
        dest=site,
        skip=frozenset({data, *(f"{stem}.dist-info/{name}" for name in _NOT_INSTALLED)}),
    )
    places = {"purelib": site, "platlib": site, "scripts": "bin", "headers": include, "data": ""}
    for key in sorted(os.listdir(f"{path}/{data}")) if os.path.isdir(f"{path}/{data}") else ():
        if key not in places or not os.path.isdir(f"{path}/{data}/{key}"):
            raise ViewError(f"{label}: its directory {data} has {key!r}, and nothing says where that belongs")
        # lib64 of an environment is a link to lib, and files cannot be put through a link.
        split = key == "data" and os.path.isdir(f"{path}/{data}/data/lib64")
        yield Part(
            source=f"{data}/{key}", dest=places[key], skip=frozenset({"lib64"}) if split else frozenset()
        )
        if split:
            yield Part(source=f"{data}/data/lib64", dest="lib")


def _walk(top: str, skip: frozenset[str], caches: set[str]) -> Iterator[str]:
    """The files below `top`, relative to it. Byte code is left out, ours is better; `caches` gets where it is."""
    waiting = [""]
    while waiting:
        place = waiting.pop()
        with os.scandir(f"{top}/{place}") as entries:
            for entry in entries:
                path = f"{place}/{entry.name}" if place else entry.name
                if entry.name == "__pycache__":
                    caches.add(path)
                elif path in skip:
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    yield path


def read_text(path: str, label: str) -> str:
    """A text file of a package, "" when missing. Raises ViewError for what is not UTF-8 text, OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ViewError(f"{label}: cannot read {path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ViewError(f"{label}: {path} is no regular file")
        data = file.read(_LARGEST_TEXT + 1)
    if len(data) > _LARGEST_TEXT:
        raise ViewError(f"{label}: {path} is larger than {_LARGEST_TEXT >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ViewError(f"{label}: {path} is not UTF-8 text (byte {error.start})") from None


def _header(text: str, name: str) -> str:
    prefix = f"{name}:".lower()
    for line in text.splitlines():
        if line.lower().startswith(prefix):
            return line[len(prefix) :].strip()
    return ""


def entry_points(tree: WheelTree) -> list[EntryPoint]:
    """The programs that the wheel asks an installer to make. Raises ViewError for bad names."""
    found = []
    for section, name, value in parse_sections(tree.text("entry_points.txt")):
        if section in ("console_scripts", "gui_scripts"):
            try:
                found.append(parse_entry_point(name, value))
            except ValueError as error:
                raise ViewError(f"{tree.label}: its entry_points.txt is wrong: {error}") from None
    return found


def recorded(tree: WheelTree) -> dict[str, tuple[str, str]]:
    """The hash and size columns of the wheel's RECORD, by path in the wheel; unreadable rows are left out."""
    rows = {}
    try:
        for row in csv.reader(io.StringIO(tree.text("RECORD"), newline="")):
            if len(row) == 3:
                rows[row[0]] = (row[1], row[2])
    except csv.Error:
        pass
    return rows


def render_record(rows: Iterable[tuple[str, str, str]], own_path: str) -> bytes:
    """A RECORD of (path, hash, size) rows and its own, sorted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted({*rows, (own_path, "", "")}))
    return text.getvalue().encode("utf-8", "surrogateescape")


def record_columns(contents: bytes) -> tuple[str, str]:
    """The hash and size columns for a file that is made here."""
    digest = base64.urlsafe_b64encode(sha256(contents).digest()).rstrip(b"=").decode("ascii")
    return f"sha256={digest}", str(len(contents))
