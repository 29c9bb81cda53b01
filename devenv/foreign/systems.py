"""The libraries of a whole system, this machine or a composed root, as its loader finds them: cache, then directories.

    cache  = [ old ] "glibc-ld.so.cache1.1" header entries strings       # ldconfig(8); offsets from the magic on
    header = count:u32 strings:u32 flags:u8 pad[3] extension:u32 unused[12]
    entry  = flags:i32 name:u32 path:u32 osversion:u32 hwcap:u64

Source: glibc's dl-cache.h. What the cache says is checked by the header of the library: it may be stale.
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache

from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.elf.versions import defined_names
from devenv.foreign.program import TRIPLETS

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = struct.Struct("=20sII4xI12x"), struct.Struct("=iIIIQ")
_LARGEST = 64 << 20
_CLASSES = {
    "amd64": (2, 62),
    "i386": (1, 3),
    "arm64": (2, 183),
    "armhf": (1, 40),
    "riscv64": (2, 243),
    "ppc64el": (2, 21),
    "s390x": (2, 22),
}


def parse_cache(data: bytes) -> dict[str, list[str]]:
    """Soname -> paths, in the order of the cache; what makes no sense in it is left out."""
    start = data.find(_MAGIC)
    found: dict[str, list[str]] = {}
    if start < 0 or start + _HEADER.size > len(data):
        return found
    count = _HEADER.unpack_from(data, start)[1]
    at = start + _HEADER.size
    for _ in range(min(count, (len(data) - at) // _ENTRY.size)):
        _, name, path, _, _ = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        soname, place = _string(data, start + name), _string(data, start + path)
        if soname and place:
            found.setdefault(soname, []).append(place)
    return found


def _string(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + 4096)
    return os.fsdecode(data[at:end]) if end > at else ""


class System:
    """`directory` is "" for this machine, else where a root lies. Paths are as seen from inside."""

    def __init__(self, directory: str = "", directories: tuple[str, ...] | None = None) -> None:
        self.directory = directory
        self._extra = directories
        self._cache: dict[str, list[str]] | None = None

    def outside(self, path: str) -> str:
        """Where a path of the system lies for us. Links inside a root that are absolute are followed within it."""
        if not self.directory:
            return path
        place = path
        for _ in range(16):
            try:
                target = os.readlink(self.directory + place)
            except OSError:
                break
            place = (
                target if target.startswith("/") else os.path.normpath(f"{os.path.dirname(place)}/{target}")
            )
        return self.directory + place

    def exists(self, path: str) -> bool:
        return os.path.exists(self.outside(path))

    def find(self, soname: str, architecture: str, libc: str = "glibc") -> str | None:
        """Where the loader finds a library, None where it does not."""
        candidates = self._entries().get(soname, []) if libc == "glibc" else []
        for path in (*candidates, *(f"{place}/{soname}" for place in self.directories(architecture, libc))):
            if is_for(self.outside(path), architecture):
                return path
        return None

    def all_libraries(self, architecture: str) -> list[tuple[str, str]]:
        """(name, path) of everything in the cache that is for an architecture, by name, the first of each."""
        found = {}
        for name, paths in sorted(self._entries().items()):
            for path in paths:
                if name not in found and is_for(self.outside(path), architecture):
                    found[name] = path
        return list(found.items())

    def directories(self, architecture: str, libc: str = "glibc") -> tuple[str, ...]:
        """The directories that are searched without being asked for."""
        triplet = TRIPLETS.get(architecture, "")
        if self._extra is not None:
            return self._extra
        if libc == "musl":
            musl = triplet.replace("-gnu", "-musl")
            return (f"/lib/{musl}", f"/usr/lib/{musl}", "/lib", "/usr/local/lib", "/usr/lib")
        wide = (
            ("/lib64", "/usr/lib64")
            if architecture != "i386"
            else ("/lib32", "/usr/lib32", "/lib/i686", "/usr/lib/i686")
        )
        return (f"/lib/{triplet}", f"/usr/lib/{triplet}", *wide, "/lib", "/usr/lib")

    def versions(self, path: str) -> frozenset[str]:
        """The symbol versions that a library of the system defines; nothing where it cannot be read."""
        return _versions(self.outside(path))

    def _entries(self) -> dict[str, list[str]]:
        if self._cache is None:
            try:
                with open(f"{self.directory}/etc/ld.so.cache", "rb") as file:
                    self._cache = parse_cache(file.read(_LARGEST))
            except OSError:
                self._cache = {}
        return self._cache


@lru_cache(maxsize=256)
def _versions(path: str) -> frozenset[str]:
    try:
        with Elf.open(path) as elf:
            return frozenset(defined_names(elf))
    except ElfError:
        return frozenset()


def is_for(path: str, architecture: str) -> bool:
    """Is this an ELF file for the architecture? Reads 20 bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except (OSError, ValueError):
        return False
    wanted = _CLASSES.get(architecture)
    if len(head) < 20 or head[:4] != b"\x7fELF" or wanted is None:
        return False
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return (head[4], machine) == wanted
