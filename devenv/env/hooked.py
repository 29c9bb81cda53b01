"""Whether the user's shell brings devenv's hook along, so that `devenv enter` has but to start it.

What is to be entered is handed over by variables, which the hook takes away when the user's files load it. At the first
prompt it enters, and writes the mark that it was given into a note:

    $XDG_STATE_HOME/devenv/hook/=shells=/NAME     mark LF, NAME that of the shell's program

The mark tells how the shell's files were and the variables that such files often ask for. As long as it is the same, the
next shell is started plainly, by the user's own files alone. A note is good for one start, as the hook writes it anew: should
the hook be gone though the mark is the same, that is noticed by the start after. On the way of every entering: imports
nothing that takes time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from zlib import crc32

VARIABLE = "__devenv_start"  # "PID NAME MARK"
_FOLDER = "=shells="
# By these, files choose what they read.
_BY_VALUE = ("TERM", "TERM_PROGRAM")
_BY_PRESENCE = ("INSIDE_EMACS", "VSCODE_PID", "DEVENV_PROJECT", "SSH_TTY", "TMUX")
_BASES = {"~config/": ("XDG_CONFIG_HOME", ".config"), "~zdot/": ("ZDOTDIR", ""), "~/": ("HOME", "")}


def expects_hook(name: str, files: tuple[str, ...], hooks: str, environ: dict[str, str]) -> bool:
    """Whether the shell can be started plainly, by the note, which is used up. The hand-over goes into `environ`.

    `files` are those that the shell reads, as `devenv.env.launch` has them, `hooks` the hook's directory.
    """
    mark = mark_of(files, environ)
    environ[VARIABLE] = f"{os.getpid()} {name} {mark}"
    folder = os.path.join(hooks, _FOLDER)
    note = os.path.join(folder, name)
    try:
        with open(note, encoding="ascii", errors="replace") as file:
            known = file.read() == f"{mark}\n"
        os.unlink(note)
    except OSError:
        _make(folder)
        return False
    return known


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return  # without a note the environment's own file is read, and that is all


def mark_of(files: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Eight hexadecimal digits that are others when a file or one of the variables is."""
    told = [_signature(_place(file, environ)) for file in files]
    told += [environ.get(name, "") for name in _BY_VALUE]
    told += [name for name in _BY_PRESENCE if name in environ]
    return f"{crc32(repr(told).encode('utf-8', 'surrogateescape')):08x}"


def _place(file: str, environ: Mapping[str, str]) -> str:
    if file == "$ENV":
        return environ.get("ENV", "")
    for start, (variable, below) in _BASES.items():
        if file.startswith(start):
            base = environ.get(variable) or os.path.join(environ.get("HOME", ""), below)
            return os.path.join(base, file[len(start) :])
    return file


def _signature(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_size}-{found.st_ino}"
