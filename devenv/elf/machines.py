"""The machines that distributions build for, by what an ELF header says."""

from __future__ import annotations

from devenv.elf.elf import Elf
from devenv.elf.numbers import EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64

_DISTRIBUTION = {
    (EM_X86_64, 64): "amd64",
    (EM_386, 32): "i386",
    (EM_AARCH64, 64): "arm64",
    (EM_ARM, 32): "armhf",
    (EM_RISCV, 64): "riscv64",
    (EM_PPC64, 64): "ppc64el",
    (EM_S390, 64): "s390x",
}


def architecture_of(elf: Elf) -> str | None:
    """The distributions' name ("amd64"); None for a machine, or a byte order of one, that no distribution here has."""
    found = _DISTRIBUTION.get((elf.machine, elf.shape.bits))
    return found if elf.shape.little or found == "s390x" else None
