"""Constants of the ELF format: System V gABI, the GNU extensions, and the processor supplements."""

from __future__ import annotations

MAGIC = b"\x7fELF"

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4

PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_SHLIB, PT_PHDR, PT_TLS = range(8)
PT_GNU_EH_FRAME = 0x6474E550
PT_GNU_STACK = 0x6474E551
PT_GNU_RELRO = 0x6474E552
PT_GNU_PROPERTY = 0x6474E553
PF_X, PF_W, PF_R = 1, 2, 4
PN_XNUM = 0xFFFF  # the count is in sh_info of section 0

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS = range(
    9
)
SHT_REL, SHT_DYNSYM = 9, 11
SHT_GNU_HASH = 0x6FFFFFF6
SHT_GNU_VERDEF = 0x6FFFFFFD
SHT_GNU_VERNEED = 0x6FFFFFFE
SHT_GNU_VERSYM = 0x6FFFFFFF
SHF_WRITE, SHF_ALLOC = 1, 2
SHN_LORESERVE = 0xFF00  # indices from here on mean other things
SHN_XINDEX = 0xFFFF  # the index is in sh_link of section 0

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_PLTGOT, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = range(9)
DT_STRSZ, DT_SYMENT, DT_INIT, DT_FINI, DT_SONAME, DT_RPATH, DT_REL, DT_RELSZ = 10, 11, 12, 13, 14, 15, 17, 18
DT_PLTREL, DT_DEBUG, DT_JMPREL, DT_RUNPATH, DT_FLAGS = 20, 21, 23, 29, 30
DT_GNU_PRELINKED, DT_GNU_CONFLICTSZ, DT_GNU_LIBLISTSZ, DT_CHECKSUM = (
    0x6FFFFDF5,
    0x6FFFFDF6,
    0x6FFFFDF7,
    0x6FFFFDF8,
)
DT_GNU_HASH = 0x6FFFFEF5
DT_GNU_CONFLICT, DT_GNU_LIBLIST = 0x6FFFFEF8, 0x6FFFFEF9
DT_VERSYM, DT_FLAGS_1 = 0x6FFFFFF0, 0x6FFFFFFB
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF
DT_MIPS_RLD_MAP_REL = 0x70000035
DT_ANDROID_REL, DT_ANDROID_RELA = 0x6000000F, 0x60000011
DF_1_NODEFLIB, DF_1_PIE = 0x800, 0x08000000

# Entries whose value is an offset into the dynamic string table.
STRING_TAGS = frozenset({DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_AUXILIARY, DT_FILTER})
# Entries whose value is the address of a table that may move.
TABLE_TAGS = frozenset({DT_HASH, DT_STRTAB, DT_SYMTAB, DT_GNU_HASH, DT_VERSYM, DT_VERDEF, DT_VERNEED})
# What the prelink program left behind: promises about other files and addresses that an edit breaks.
PRELINK_TAGS = frozenset(
    {DT_GNU_PRELINKED, DT_GNU_CONFLICTSZ, DT_GNU_LIBLISTSZ, DT_CHECKSUM, DT_GNU_CONFLICT, DT_GNU_LIBLIST}
)

NT_GNU_BUILD_ID, NT_GNU_ABI_TAG = 3, 1
# UAPI group, "ELF dlopen metadata"; owner FDO.
NT_FDO_DLOPEN = 0x407C0C0A

EM_386, EM_MIPS, EM_PPC, EM_PPC64, EM_S390, EM_ARM, EM_X86_64 = 3, 8, 20, 21, 22, 40, 62
EM_AARCH64, EM_RISCV = 183, 243
MACHINES = {
    2: "sparc",
    EM_386: "i386",
    4: "m68k",
    EM_MIPS: "mips",
    15: "parisc",
    18: "sparc32plus",
    EM_PPC: "powerpc",
    EM_PPC64: "powerpc64",
    22: "s390",
    EM_ARM: "arm",
    42: "sh",
    43: "sparc64",
    50: "ia64",
    EM_X86_64: "x86_64",
    EM_AARCH64: "aarch64",
    191: "tilegx",
    EM_RISCV: "riscv",
    247: "bpf",
    258: "loongarch",
    0x9026: "alpha",
}
# The largest page that kernels for a machine use: what a segment must be aligned to, to be mapped everywhere.
PAGE_SIZES = {
    number: size
    for size, numbers in (
        (0x10000, (EM_MIPS, EM_PPC, EM_PPC64, 50, EM_AARCH64, 191, 258, 0x9026)),
        (0x2000, (2, 18, 43)),
    )
    for number in numbers
}
PAGE_SIZE = 0x1000

# EI_OSABI: the name to print, then the names to accept besides.
OS_ABIS: dict[int, tuple[str, ...]] = {
    0: ("System V", "system-v", "sysv"),
    1: ("HP-UX",),
    2: ("NetBSD",),
    3: ("Linux", "gnu"),
    4: ("GNU Hurd", "gnu-hurd", "hurd"),
    6: ("Solaris",),
    7: ("AIX",),
    8: ("IRIX",),
    9: ("FreeBSD",),
    10: ("Tru64",),
    12: ("OpenBSD",),
    13: ("OpenVMS",),
}
