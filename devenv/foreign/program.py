"""One ELF file, as far as it matters for running it: for which machine and C library, what it needs and opens."""

from __future__ import annotations

from dataclasses import dataclass, field

from devenv.elf.elf import Elf
from devenv.elf.errors import DamagedElf
from devenv.elf.machines import architecture_of
from devenv.elf.notes import dlopen_notes
from devenv.elf.numbers import (
    DF_1_PIE,
    DT_FLAGS_1,
    ET_CORE,
    ET_DYN,
    ET_EXEC,
    ET_REL,
    MACHINES,
)
from devenv.elf.versions import needed_by_library
from devenv.foreign.openings import Opening, guessed

TRIPLETS = {
    "amd64": "x86_64-linux-gnu",
    "i386": "i386-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
    "ppc64el": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
}
# Where the loaders of glibc are, by the psABI supplements.
LOADERS = {
    "amd64": "/lib64/ld-linux-x86-64.so.2",
    "i386": "/lib/ld-linux.so.2",
    "arm64": "/lib/ld-linux-aarch64.so.1",
    "armhf": "/lib/ld-linux-armhf.so.3",
    "riscv64": "/lib/ld-linux-riscv64-lp64d.so.1",
    "ppc64el": "/lib64/ld64.so.2",
    "s390x": "/lib/ld64.so.1",
}
# Which programs a machine's kernel starts besides its own.
ALSO_RUNS = {"amd64": ("i386",), "arm64": ("armhf",)}
_GO_SECTIONS = (".go.buildinfo", ".note.go.buildid", ".gopclntab")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one file says of itself.

    role: "program", "library", "object", "core"; libc: "glibc", "musl", "bionic", or "" where it needs none
    architecture: the distributions' name ("amd64"), None for one that no distribution here has; needed: sonames in order
    run_path: as written, $ORIGIN included; inherited: it is a DT_RPATH, which holds for its libraries, too
    versions: library -> the symbol versions that are wanted of it; openings: what it opens by itself
    payload: bytes behind the last that its headers speak of
    """

    path: str
    role: str
    machine: str
    bits: int
    architecture: str | None
    interpreter: str | None
    libc: str
    needed: tuple[str, ...] = ()
    soname: str | None = None
    run_path: tuple[str, ...] = ()
    inherited: bool = False
    versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    openings: tuple[Opening, ...] = ()
    language: str = ""
    payload: int = 0

    @property
    def static(self) -> bool:
        return self.role == "program" and self.interpreter is None and not self.needed


def read_program(path: str, *, guess: bool = True) -> Program:
    """Read one file; with `guess` all of it, for names of libraries that it may open.

    Raises NotElf, DamagedElf, ElfError.
    """
    with Elf.open(path) as elf:
        architecture = architecture_of(elf)
        needed = tuple(elf.needed)
        interpreter = elf.interpreter
        runpath, rpath = elf.runpath, elf.rpath
        _check_loadable(elf)
        return Program(
            path=path,
            role=_role(elf, interpreter),
            machine=MACHINES.get(elf.machine, f"machine {elf.machine}"),
            bits=elf.shape.bits,
            architecture=architecture,
            interpreter=interpreter,
            libc=_libc(interpreter, needed),
            needed=needed,
            soname=elf.soname,
            run_path=tuple(part for part in (runpath or rpath or "").split(":") if part),
            inherited=runpath is None and rpath is not None,
            versions={name: tuple(found) for name, found in needed_by_library(elf).items()},
            openings=_openings(elf, path, guess),
            language=_language(elf),
            payload=_payload(elf),
        )


def _check_loadable(elf: Elf) -> None:
    """The kernel maps segments: bytes that are not there would be a bus error later. Raises DamagedElf."""
    if elf.type not in (ET_EXEC, ET_DYN):
        return
    if not elf.segments:
        raise elf.damaged("has no program headers, so nothing of it can be loaded")
    for segment in elf.segments:
        if segment.type == 1 and segment.end > elf.source.size:
            raise elf.damaged(
                f"is cut off: it has {elf.source.size} bytes, and its segments reach to {segment.end}"
            )


def _role(elf: Elf, interpreter: str | None) -> str:
    if elf.type == ET_REL:
        return "object"
    if elf.type == ET_CORE:
        return "core"
    if elf.type == ET_EXEC or interpreter is not None or (elf.value(DT_FLAGS_1) or 0) & DF_1_PIE:
        # libc.so.6 and its kin can be run, too; they have a soname.
        return "library" if elf.soname and elf.type == ET_DYN and ".so" in elf.soname else "program"
    return "library"


def _libc(interpreter: str | None, needed: tuple[str, ...]) -> str:
    loader = (interpreter or "").rpartition("/")[2]
    if loader.startswith("ld-musl-") or any(name.startswith("libc.musl-") for name in needed):
        return "musl"
    if loader in ("linker", "linker64"):
        return "bionic"
    if loader.startswith(("ld-linux", "ld64.so", "ld-lsb", "ld.so")) or "libc.so.6" in needed:
        return "glibc"
    if "libc.so" in needed:  # the soname of musl's, and of Android's
        return "musl"
    return "glibc" if interpreter is not None or needed else ""


def _openings(elf: Elf, path: str, guess: bool) -> tuple[Opening, ...]:
    try:
        declared = [Opening(note.sonames, note.priority, note.feature) for note in dlopen_notes(elf)]
    except DamagedElf:  # notes are advice; the loader does not read them
        declared = []
    known = {name for opening in declared for name in opening.sonames} | set(elf.needed)
    known.add(elf.soname or "")
    return (*declared, *(guessed(path, known) if guess else ()))


def _language(elf: Elf) -> str:
    try:
        names = elf.section_names
    except DamagedElf:
        return ""
    return "Go" if any(name.encode() in names for name in _GO_SECTIONS) else ""


def _payload(elf: Elf) -> int:
    end = max((segment.end for segment in elf.segments), default=0)
    try:
        sections = elf.sections
    except DamagedElf:
        sections = []
    end = max([end, *(s.end for s in sections if s.type not in (0, 8))])
    if sections:
        end = max(end, elf.shoff + len(sections) * elf.shentsize)
    return max(elf.source.size - end, 0)
