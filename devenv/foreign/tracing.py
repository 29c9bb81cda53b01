"""What a program looked for in vain: from the loader's log of itself and all that it starts, and from strace's of their system calls.

Loader: glibc's LD_DEBUG=libs,files, ld.so(8), as elf/dl-load.c and dl-error-skeleton.c print it:

    PID:  file=NAME [N];  needed by|dynamically loaded by FILE [N]      # asked for, and not loaded yet
    PID:  file=NAME [N];  generating link map                           # found
    PID:  FILE: error: KIND: TEXT (fatal)                               # what dlopen gives a program that may keep it to itself

System calls: strace(1). A call that another thread's interrupts is two lines, "<unfinished ...>" and "<... NAME resumed>".
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from devenv.foreign.launching import command
from devenv.foreign.running import Started
from devenv.values import replaced

_MOST_SAID = 1 << 16  # characters of what the program said itself
_ASKED = re.compile(r"\tfile=(.+) \[\d+\];  (?:needed|dynamically loaded) by (.*) \[\d+\]$")
_LOADED = re.compile(r"\tfile=(.+) \[\d+\];  generating link map$")
_ERROR = re.compile(r"\t(.*): error: (.*) \(fatal\)$")
# What C libraries and interpreters try first and do without, on any system.
_USUAL = re.compile(
    r"/glibc-hwcaps/|/tls(/|$)|/x86_64(/|$)|/locale(/|$)|ld\.so\.preload|\.pth$|\._pth$|/__init__\.|pyvenv\.cfg|pybuilddir|/(dist|site)-packages(/|$)"
)
_CALL = re.compile(
    r'(?:open|openat|access|faccessat2?|execve|stat|newfstatat|readlink)\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)+)".*?= (-?\d+)(?: (E[A-Z]+))?'
)
_SAID = re.compile(r'write\(2, "((?:[^"\\]|\\.)*)"')
_THREAD = re.compile(r"^(\d+) +")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
_CHARACTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}


@dataclass(slots=True)
class Vain:
    """What was looked for and found nowhere.

    libraries: soname -> the file that asked for it, "" if that is not known; files: absolute paths; errors: of the loader
    said: the last of what the program wrote to its standard error; calls: whether system calls were seen, for the latter two
    """

    libraries: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    said: str = ""
    calls: bool = False


def traced(started: Started, watch: Callable[[Started], int]) -> tuple[int, Vain]:
    """Run it by `watch`: its status, and what it looked for. Without a strace that works, libraries only."""
    with tempfile.TemporaryDirectory(prefix="devenv-trace-") as folder:
        calls = f"{folder}/calls"
        words = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=%file,write", "-o", calls]
        if not _can_trace(started, words):
            words = []
        status = watch(
            _with(started, words, {"LD_DEBUG": "libs,files", "LD_DEBUG_OUTPUT": f"{folder}/loader"})
        )
        found = Vain()
        if os.path.exists(calls):
            with open(calls, encoding="utf-8", errors="replace") as file:
                found = of_calls(file)
        for name in sorted(os.listdir(folder)):
            if name.startswith("loader."):
                with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as file:
                    add_loaders(found, file)
    return status, found


def _with(started: Started, words: list[str], variables: dict[str, str]) -> Started:
    launch = started.launch
    if launch is None:
        return replace(started, argv=[*words, *started.argv], environ={**started.environ, **variables})
    launch = replaced(launch, argv=(*words, *launch.argv), environ={**launch.environ, **variables}, tied=True)
    return replace(started, argv=command(launch), launch=launch)


def _can_trace(started: Started, words: list[str]) -> bool:
    """Is strace there, and is it allowed to trace? Containers may forbid it. Asked with a program that does nothing."""
    if started.launch is None:
        if shutil.which(words[0]) is None:
            return False
        asking = replace(started, argv=["/bin/sh"])
    else:
        asking = replace(started, launch=replaced(started.launch, argv=("/bin/sh",)))
    trial = _with(asking, [*words[:-1], "/dev/null"], {})
    try:
        done = subprocess.run(
            trial.argv, env=trial.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def of_calls(trace: Iterable[str]) -> Vain:
    """From strace's lines."""
    libraries: dict[str, bool] = {}
    files: dict[str, None] = {}
    said = ""
    for line in _whole(trace):
        if match := _SAID.search(line):
            said = (said + _plain(match[1]))[-_MOST_SAID:]
        if not (match := _CALL.search(line)):
            continue
        path, there = _plain(match[1]), not match[2].startswith("-")
        name = os.path.basename(path)
        if ".so" in name and name.startswith("lib"):
            libraries[name] = libraries.get(name, False) or there
        elif (
            match[3] == "ENOENT" and path.startswith(("/usr/", "/etc/", "/opt/")) and not _USUAL.search(path)
        ):
            files[path] = None
        elif there:
            files.pop(path, None)
    missing = {name: "" for name, there in libraries.items() if not there}
    return Vain(libraries=missing, files=list(files), said=said, calls=True)


def _whole(trace: Iterable[str]) -> Iterator[str]:
    """Lines with what was cut apart put together."""
    begun: dict[str, str] = {}
    for line in trace:
        thread = _THREAD.match(line)
        number, text = (thread[1], line[thread.end() :]) if thread is not None else ("", line)
        if text.rstrip().endswith("<unfinished ...>"):
            begun[number] = text.rstrip().removesuffix("<unfinished ...>")
        elif resumed := _RESUMED.match(text):
            yield begun.pop(number, "") + text[resumed.end() :]
        else:
            yield text


def _plain(text: str) -> str:
    """A string as strace prints it, without its escapes; those of bytes that are no ASCII become one character each."""

    def one(match: re.Match[str]) -> str:
        escaped = match[1]
        return chr(int(escaped, 8) & 0xFF) if escaped.isdigit() else _CHARACTERS.get(escaped, escaped)

    return _ESCAPE.sub(one, text)


def add_loaders(found: Vain, log: Iterable[str]) -> None:
    """Add what the loader of one process says: who asked for what is missing, and errors."""
    asked: dict[str, str] = {}
    for line in log:
        line = line.rstrip("\n")
        if match := _ASKED.search(line):
            asked[match[1]] = match[2]
        elif match := _LOADED.search(line):
            for name in (
                match[1],
                os.path.basename(match[1]),
            ):  # by its path, after it was not found by its name
                asked.pop(name, None)
        elif match := _ERROR.search(line):
            text = f"{match[1]}: {match[2]}"
            if text not in found.errors:
                found.errors.append(text)
    for name, by in asked.items():
        if "/" not in name or name not in found.files:
            found.libraries[name] = by
