"""A program that enters a sandbox and becomes another, with nothing else between: a static ELF file of a few kilobytes.

It is a fixed piece of code (`launcher_x86_64.S`) and what that works on: a table of system calls, the words and variables
of the program. Entering a root is the same calls each time, so they are worked out once, when the launcher is
made. Starting it reads one file, and needs neither Python nor any library.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

# What `as` makes of launcher_x86_64.S; a test does that and compares.
CODE = bytes.fromhex(
    """
    4989e44c8d2db60100004881ec001100004889e5b84f0000004889efbe001000000f054885c0790666c745002f004d8b
    7500498b064883f8ff7466498b7e084883fffe480f44fb498b7610498b56184d8b56204d8b46284531c90f05498b4e30
    4885c0780ef6c10274034889c34983c640ebbff6c10175f5498b763831d2803c1600740548ffc2ebf5b801000000bf02
    0000000f05bf7e000000b8e70000000f05498b76384889b500100000b8500000004889ef0f05498b04244d8d7cc4104c
    89fb4d8b4d30488b334885f674544883c308813e5041544875ec807e043d75e631c9803c0e00740548ffc1ebf54883f9
    05742f498b552831c0803c0200740548ffc0ebf5488d7c08204883e7f04829fc4889e74989e1fcf3a44889d6488d4801
    f3a46a004151498b5d20488b334885f67407564883c308ebf1498b374983c7084885f67426498b5d18488b3b4883c308
    4885ff741331c98a040f84c074db3a040e75e648ffc1ebef56ebce4989e26a00498b0c244883f9017e0941ff34cc48ff
    c9ebf1498b5d1031c948833ccb00740548ffc1ebf44885c9740848ffc9ff34cbebf3498b7d084889e64c89d2b83b0000
    000f05488bb500100000e9bdfeffff90
    """
)
_ADDRESS = 0x400000  # where static programs lie on x86-64
_EHDR, _PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_MACHINE, _EXECUTABLE, _LOAD, _STACK = 62, 2, 1, 0x6474E551
MAY_FAIL, KEEP = 1, 2  # flags of a call
KEPT = -2  # as the first argument: the result that was kept

Argument = int | bytes | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A system call: number and up to five arguments, texts and bytes by their address. complaint: said when it fails"""

    number: int
    arguments: tuple[Argument, ...]
    flags: int = 0
    complaint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """calls: done at first; program: the path to become, after the calls; words: before the user's own arguments
    dropped: names of variables; set: name -> value; path: directories added to PATH; failure: said when it cannot start
    """

    calls: Sequence[Call]
    program: str
    words: Sequence[str]
    dropped: Sequence[str]
    set: dict[str, str]
    path: Sequence[str]
    failure: str

    def elf(self) -> bytes:
        """The launcher as an ELF file."""
        return _Image(self).file()


class _Image:
    """Code, parameters, tables and strings, at the addresses where they will be."""

    def __init__(self, launcher: Launcher) -> None:
        self._head = _EHDR.size + 2 * _PHDR.size
        self._at = _ADDRESS + self._head + len(CODE)
        self._data = bytearray(7 * 8)  # the parameters, filled in at the end
        self._known: dict[bytes, int] = {}
        words = self._list(launcher.words)
        dropped = self._list([f"{name}=" for name in (*launcher.dropped, *launcher.set, "PATH")])
        given = self._list([f"{name}={value}" for name, value in launcher.set.items()])
        suffix = "".join(f":{place}" for place in launcher.path)
        struct.pack_into(
            "<7Q",
            self._data,
            0,
            self._calls(launcher.calls, launcher.failure),
            self._text(launcher.program),
            words,
            dropped,
            given,
            self._text(suffix),
            self._text(f"PATH={suffix[1:]}"),
        )

    def file(self) -> bytes:
        size = self._head + len(CODE) + len(self._data)
        ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        entry = _ADDRESS + self._head
        header = _EHDR.pack(
            ident, _EXECUTABLE, _MACHINE, 1, entry, _EHDR.size, 0, 0, _EHDR.size, _PHDR.size, 2, 0, 0, 0
        )
        load = _PHDR.pack(_LOAD, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
        stack = _PHDR.pack(_STACK, 6, 0, 0, 0, 0, 0, 16)
        return header + load + stack + CODE + self._data

    def _put(self, data: bytes) -> int:
        """The address of the data, which is there once however often it is asked for."""
        if data not in self._known:
            self._data += bytes(-len(self._data) % 8)
            self._known[data] = self._at + len(self._data)
            self._data += data
        return self._known[data]

    def _text(self, text: str) -> int:
        data = os.fsencode(text)
        if b"\0" in data:
            raise ValueError(f"{text!r} has a NUL in it")
        return self._put(data + b"\0")

    def _list(self, texts: Sequence[str]) -> int:
        return self._put(struct.pack(f"<{len(texts) + 1}Q", *map(self._text, texts), 0))

    def _calls(self, calls: Sequence[Call], failure: str) -> int:
        table = bytearray()
        for call in calls:
            values = [self._value(argument) for argument in call.arguments]
            values += [0] * (5 - len(values))
            table += struct.pack("<q5qqQ", call.number, *values, call.flags, self._text(call.complaint))
        table += struct.pack("<q5qqQ", -1, 0, 0, 0, 0, 0, 0, self._text(failure))
        return self._put(bytes(table))

    def _value(self, argument: Argument) -> int:
        if isinstance(argument, int):
            return argument
        return self._text(argument) if isinstance(argument, str) else self._put(argument)
