"""What interpreters answered, kept from one command to the next: starting one costs more than most of what is done with it.

`$XDG_STATE_HOME/devenv/interpreters` is JSON, question -> answer. A question is the program, what decides how it answers, and its
signature, so that one that was replaced is asked again. Only programs that are ELF files are kept: a script may be a
shim, which answers for another program, by files that nobody here knows of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from devenv.state_home import state_directory

_MOST = 64  # answers that are kept

Answer = dict[str, Any]


def remembered(
    path: str,
    variables: Sequence[tuple[str, str]],
    environ: Mapping[str, str],
    ask: Callable[[], Answer | None],
) -> Answer | None:
    """The answer of the interpreter at `path` with these `variables`: the one known, else that of `ask`."""
    question = _question(path, variables) if environ.get("HOME") else None
    if question is None:
        return ask()
    place = os.path.join(state_directory(environ), "interpreters")
    known = _read(place)
    answer = known.get(question)
    if isinstance(answer, dict):
        return answer
    answer = ask()
    if answer is not None:
        _write(place, {question: answer, **dict([*known.items()][: _MOST - 1])})
    return answer


def _question(path: str, variables: Sequence[tuple[str, str]]) -> str | None:
    """All that an answer depends on, None for what is not to be kept."""
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
            found = os.fstat(file.fileno())
    except OSError:
        return None
    signature = [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]
    # A configuration beside it makes a virtual environment of it; markers have the kernel's edition.
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(path))), "pyvenv.cfg")
    return json.dumps([path, real, signature, os.path.exists(beside), sorted(variables), list(os.uname())])


def _read(place: str) -> dict[str, Any]:
    try:
        with open(place, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(place: str, answers: Mapping[str, Answer]) -> None:
    """Where it cannot be written, interpreters are asked each time, and that is all."""
    aside = f"{place}.{os.getpid()}"
    with suppress(OSError, ValueError):
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(answers, file)
        os.rename(aside, place)
