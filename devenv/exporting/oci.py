"""Container images, written without an engine: an OCI image layout in one tar file, which docker and podman load.

Formats: the OCI image spec 1.1 (image-layout, manifest, config, layer), and beside it `manifest.json` of docker's own
archives, for engines that know only that. The same environment gives the same bytes: entries are sorted, owned by root, and have
the store's time. Layers go from what changes seldom to what changes often: system, store objects, project.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, NamedTuple

_TIME = 1  # seconds since 1970, as in the store
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_BLOCK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}


class Part(NamedTuple):
    """A tree of this machine and where it lies in the image. `skip` says which paths below it are left out."""

    source: str
    target: str
    skip: Callable[[str], bool] = lambda path: False


class Layer(NamedTuple):
    """A layer on disk. `diff_id` is the SHA-256 of the tar, `digest` and `size` (bytes) those of the compressed file."""

    path: str
    diff_id: str
    digest: str
    size: int


class Image(NamedTuple):
    """What an image is besides its layers: how it is called, what runs in it, where and with which variables."""

    name: str
    variables: Mapping[str, str]
    directory: str
    command: Sequence[str]


def write_layer(path: str, parts: Iterable[Part], modes: Mapping[str, int] | None = None) -> Layer:
    """Write a layer to `path`. `modes` are those of some directories in the image. Raises OSError."""
    with open(path, "xb") as file:
        compressed = _Hashing(file)
        with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, compresslevel=6, mtime=0) as squeezed:
            plain = _Hashing(squeezed)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
                seen: set[str] = set()
                for part in parts:
                    _add_above(archive, part.target, seen)
                    _add(archive, part, seen, modes or {})
    return Layer(path, plain.hexdigest, compressed.hexdigest, compressed.size)


class _Hashing:
    """A file that is written to, and hashed on the way."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _add_above(archive: tarfile.TarFile, target: str, seen: set[str]) -> None:
    parts = target.strip("/").split("/")[:-1]
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[:count])
        if name not in seen:
            seen.add(name)
            archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))


def _add(archive: tarfile.TarFile, part: Part, seen: set[str], modes: Mapping[str, int]) -> None:
    stack = [""]
    while stack:
        below = stack.pop()
        source = f"{part.source}/{below}" if below else part.source
        name = f"{part.target.strip('/')}/{below}".strip("/")
        status = os.lstat(source)
        if stat.S_ISDIR(status.st_mode):
            if name and name not in seen:
                seen.add(name)
                mode = modes.get(name, stat.S_IMODE(status.st_mode) | 0o200)
                archive.addfile(_entry(name, tarfile.DIRTYPE, mode))
            inside = [f"{below}/{entry}".lstrip("/") for entry in sorted(os.listdir(source), reverse=True)]
            stack.extend(each for each in inside if not part.skip(each))
        elif stat.S_ISLNK(status.st_mode):
            link = _entry(name, tarfile.SYMTYPE, 0o777)
            link.linkname = os.readlink(source)
            archive.addfile(link)
        elif stat.S_ISREG(status.st_mode):
            entry = _entry(name, tarfile.REGTYPE, stat.S_IMODE(status.st_mode) & 0o777)
            entry.size = status.st_size
            with open(source, "rb") as file:
                archive.addfile(entry, file)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, _TIME
    return entry


def write_image(path: str, layers: Sequence[Layer], image: Image) -> str:
    """Write the image archive; the digest of its manifest. Raises OSError."""
    config = _dumped(_config(layers, image))
    manifest = _dumped(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [
                {"mediaType": _LAYER, "digest": f"sha256:{layer.digest}", "size": layer.size}
                for layer in layers
            ],
        }
    )
    reference = f"{image.name}:latest"
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": "latest"}
    described = {**_descriptor(_MANIFEST, manifest), "annotations": names}
    index = _dumped({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]})
    old = [
        {
            "Config": _blob(config),
            "RepoTags": [reference],
            "Layers": [_place(layer.digest) for layer in layers],
        }
    ]
    texts = {
        "oci-layout": _dumped({"imageLayoutVersion": "1.0.0"}),
        "index.json": index,
        "manifest.json": _dumped(old),
        _blob(config): config,
        _blob(manifest): manifest,
    }
    _write_archive(path, texts, layers)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _write_archive(path: str, texts: Mapping[str, bytes], layers: Sequence[Layer]) -> None:
    import io

    aside = f"{path}.{os.getpid()}.tmp"
    try:
        with tarfile.open(aside, "x", format=tarfile.PAX_FORMAT) as archive:
            for name in (
                "blobs",
                "blobs/sha256",
            ):  # who unpacks it without root cannot give missing ones to root
                archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
            for name, data in texts.items():
                entry = _entry(name, tarfile.REGTYPE, 0o644)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            for layer in {layer.digest: layer for layer in layers}.values():
                entry = _entry(_place(layer.digest), tarfile.REGTYPE, 0o644)
                entry.size = layer.size
                with open(layer.path, "rb") as file:
                    archive.addfile(entry, file)
        os.rename(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise


def _config(layers: Sequence[Layer], image: Image) -> dict[str, object]:
    machine = os.uname().machine
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:01Z",
        "config": {
            "Env": [f"{name}={value}" for name, value in sorted(image.variables.items())],
            "WorkingDir": image.directory,
            "Cmd": list(image.command),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
    }


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def _blob(data: bytes) -> str:
    return _place(hashlib.sha256(data).hexdigest())


def _place(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _dumped(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def sorted_parts(paths: Iterable[str]) -> Iterator[Part]:
    """Store objects, each at its own place."""
    return (Part(path, path) for path in sorted(paths))
