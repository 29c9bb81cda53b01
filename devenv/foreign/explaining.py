"""Why a program failed, in words: from the messages of its loader and its own, and from how it ended.

The loader's texts are those of glibc's elf/dl-load.c, dl-version.c, dl-lookup.c and of musl's ldso/dynlink.c.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from devenv.foreign.launching import Launch, command
from devenv.values import replaced


class Cause(NamedTuple):
    """One thing that is wrong. library: a soname that is missing, "" if it is something else"""

    text: str
    library: str = ""


_NOT_FOUND = re.compile(r"^\s*(\S+) => not found$")
_CANNOT_OPEN = re.compile(r"error while loading shared libraries: ([^:\s]+): cannot open shared object file")
_MUSL = re.compile(r"Error loading shared library ([^:\s]+): (.+?) \(needed by (.+?)\)")
_VERSION = re.compile(r"(\S+): version [`']([^']+)' not found \(required by ([^)]+)\)")
_SYMBOL = re.compile(
    r"(?:undefined symbol|symbol lookup error|symbol not found)[:,]\s*(?:\S+: )?(?:undefined symbol: )?([^\s,]+)(?:, version (\S+))?"
)
_CLASS = re.compile(r"(\S+): wrong ELF class: (\S+)")
_OTHERS = (
    (re.compile(r"cannot enable executable stack"), "it wants an executable stack, which this kernel refuses"),
    (re.compile(r"[Nn]o usable sandbox"), "its own sandbox needs user namespaces, which were refused inside"),
    (re.compile(r"[Cc]annot open display|[Cc]ould not connect to display|no DISPLAY"), "there is no display: DISPLAY and WAYLAND_DISPLAY lead nowhere"),
    (re.compile(r"could not load the Qt platform plugin"), "Qt's plug-in for the display lacks a library: see --trace"),
    (re.compile(r"valid display library|[Nn]o available video device"), "it found no library that it could draw with: see --trace"),
    (re.compile(r"valid ICU package"), ".NET found no ICU library"),
    (re.compile(r"Settings schema '([^']+)' is not installed"), "a GSettings schema is missing: add the package that has it with --package"),
    (re.compile(r"AppImages? require FUSE|libfuse\.so\.2"), "it wants to mount itself with FUSE; `devenv run` on the AppImage unpacks it instead"),
    (re.compile(r"CERTIFICATE_VERIFY_FAILED|unable to get local issuer certificate"), "it found no certificates: SSL_CERT_FILE may name them"),
)  # fmt: skip


def causes(text: str) -> list[Cause]:
    """What the messages of a loader or program mean, without repetitions."""
    found: dict[Cause, None] = {}
    for line in text.splitlines():
        for cause in _of_line(line):
            found[cause] = None
    return list(found)


def _of_line(line: str) -> Iterator[Cause]:
    if match := _NOT_FOUND.search(line) or _CANNOT_OPEN.search(line):
        yield Cause(f"the library {match[1]} is missing", match[1])
    elif match := _MUSL.search(line):
        yield Cause(f"the library {match[1]} is missing, which {match[3]} needs, built for musl", match[1])
    elif match := _VERSION.search(line):
        yield Cause(
            f"{os.path.basename(match[1])} is too old: {os.path.basename(match[3])} needs {match[2]} of it"
        )
    elif match := _CLASS.search(line):
        yield Cause(f"{match[1]} is for another word size ({match[2]})")
    elif match := _SYMBOL.search(line):
        version = f" of version {match[2]}" if match[2] else ""
        yield Cause(f"no library has the symbol {match[1]}{version}")
    else:
        yield from (Cause(meaning) for pattern, meaning in _OTHERS if pattern.search(line))


def of_status(status: int) -> str:
    """How a program ended, by its status as subprocess gives it."""
    if status >= 0:
        return f"it ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    known = {
        "SIGILL": "it uses instructions that this processor lacks",
        "SIGSYS": "it made a system call that a filter forbids",
        "SIGBUS": "it read beyond the end of a file that it had mapped: the download may be incomplete",
    }
    return f"it was ended by {name}" + (f": {known[name]}" if name in known else "")


def loader_says(launch: Launch | None, program: str, environ: dict[str, str]) -> str:
    """What the loader finds wrong, asked with ld.so's own LD_TRACE_LOADED_OBJECTS: nothing of the program is run."""
    asked = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes", "LC_ALL": "C"}
    if launch is not None:
        words = command(replaced(launch, argv=(program,), environ={**launch.environ, **asked}))
        done = _quietly(words, environ)
    else:
        done = _quietly([program], {**environ, **asked})
    return done


def _quietly(words: list[str], environ: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
