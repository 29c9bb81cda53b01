"""A loader for machines that have none: a static ELF file to lie where programs look for theirs, such as /lib64/ld-linux-x86-64.so.2.

What it does is in shim_x86_64.S and shim_i386.S. It finds the real loader by DEVENV_LD, else NIX_LD, else by what was written into it
when it was made, and libraries by DEVENV_LD_LIBRARY_PATH, NIX_LD_LIBRARY_PATH and what was written into it. Each name may end in
_x86_64_linux or _i686_linux, which counts more. A program with rights that its user has not gets only what was written, and no
library path.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from devenv.installing.shim_code import CODE


class _Format(NamedTuple):
    """An ELF class and machine: layouts of headers, which of the fields of a program header comes second, a number."""

    ehdr: struct.Struct
    phdr: struct.Struct
    flags_last: bool
    number: struct.Struct
    machine: int
    marks: bytes


_FORMATS = {
    "amd64": _Format(
        struct.Struct("<16sHHIQQQIHHHHHH"),
        struct.Struct("<IIQQQQQQ"),
        False,
        struct.Struct("<2Q"),
        62,
        b"\2\1\1",
    ),
    "i386": _Format(
        struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<8I"), True, struct.Struct("<2I"), 3, b"\1\1\1"
    ),
}
_SHARED, _LOAD, _STACK = 3, 1, 0x6474E551
_PAGE = 0x1000
# Behind the start of the code, as the code knows; what it keeps there, and no more text than fits before.
_STATE, _STATE_SIZE, _MOST = 0x8000, 128, 0x7000


def shim(loader: str = "", libraries: Sequence[str] = (), architecture: str = "amd64") -> bytes:
    """The file. loader: the real one, libraries: directories, for where no variable says so. Raises ValueError.

    It can be loaded at any address, as an interpreter must be: programs choose theirs.
    """
    form = _FORMATS[architecture]
    path = os.fsencode(":".join(libraries))
    texts = os.fsencode(loader) + b"\0" + path + b"\0"
    if texts.count(b"\0") != 2 or any(":" in each for each in libraries):
        raise ValueError(f"{loader!r} and {libraries!r} cannot be written into a loader")
    first = form.number.size
    data = CODE[architecture] + form.number.pack(first, first + len(os.fsencode(loader)) + 1) + texts
    if len(data) > _MOST:
        raise ValueError(f"{len(libraries)} directories of libraries are more than a loader has room for")
    return _file(form, data)


def _file(form: _Format, data: bytes) -> bytes:
    head = form.ehdr.size + 3 * form.phdr.size
    size, state = head + len(data), head + _STATE
    offset = -(-size // _PAGE) * _PAGE + state % _PAGE
    ident = (b"\x7fELF" + form.marks).ljust(16, b"\0")
    header = form.ehdr.pack(
        ident,
        _SHARED,
        form.machine,
        1,
        head,
        form.ehdr.size,
        0,
        0,
        form.ehdr.size,
        form.phdr.size,
        3,
        0,
        0,
        0,
    )
    segments = (
        (_LOAD, 5, 0, 0, size, _PAGE),
        (_LOAD, 6, offset, state, _STATE_SIZE, _PAGE),
        (_STACK, 6, 0, 0, 0, 16),
    )
    headers = b"".join(_segment(form, *each) for each in segments)
    return (header + headers + data).ljust(offset, b"\0") + bytes(_STATE_SIZE)


def _segment(form: _Format, kind: int, flags: int, offset: int, address: int, size: int, align: int) -> bytes:
    places = (offset, address, address, size, size)
    if form.flags_last:
        return form.phdr.pack(kind, *places, flags, align)
    return form.phdr.pack(kind, flags, *places, align)


def is_shim(data: bytes) -> bool:
    """Was this made here, perhaps by another release? By the text in its code."""
    return data[:4] == b"\x7fELF" and b"\0DEVENV_LD=\0" in data[: 2 * _MOST]
