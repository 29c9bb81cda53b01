"""What came of one input: nothing to say of it, or a finding."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import devenv
from devenv.errors import DevenvError

from .cases import Files, Subject

# Adapters lie beside the package, and are reached through a link in it.
_OURS = os.path.dirname(os.path.dirname(os.path.realpath(devenv.__file__))) + os.sep
_TESTS = os.path.dirname(os.path.realpath(__file__)) + os.sep


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one input may take: seconds of processor time, and bytes of memory beyond what the process had."""

    seconds: float = 10.0
    memory: int = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something else than a value or an error for people. `key` is the same for the same fault."""

    key: str
    text: str


class TimeIsUp(BaseException):
    """The limit of time; no `except Exception` swallows it."""


def limit_memory(limits: Limits) -> None:
    """For this process, from now on. Asking for more raises MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as file:
        present = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (present + limits.memory, resource.RLIM_INFINITY))


def judge(subject: Subject, files: Files, limits: Limits) -> Finding | None:
    """Run a subject on an input. Whether it succeeded is of no interest."""
    try:
        with _time_limit(limits.seconds):
            subject.parse(files)
    except DevenvError as error:
        return _judge_error(error)
    except TimeIsUp as error:
        return _finding(f"took more than {limits.seconds:g} s", error)
    except MemoryError as error:
        return _finding(f"took more than {limits.memory >> 20} MiB", error)
    except Exception as error:  # noqa: BLE001 - whatever else it is, it is what is looked for
        return _finding(type(error).__name__, error)
    return None


def _judge_error(error: DevenvError) -> Finding | None:
    """An error for people has a text, and one that can be printed."""
    text = f"{error} {error.hint or ''}"
    if not str(error).strip():
        return _finding(f"{type(error).__name__} without a message", error)
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _finding(f"{type(error).__name__} whose message cannot be printed", error)
    return None


def _finding(what: str, error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(_OURS) and not f.filename.startswith(_TESTS)]
    place = ours[-1] if ours else frames[-1]
    # The whole of a recursion says no more than its end.
    told = "".join(traceback.format_list(frames[-12:]))
    name = place.filename.removeprefix(_OURS)
    return Finding(
        key=f"{what} at {name}:{place.lineno}", text=f"{what}: {str(error)[:500]!r}\n{told}".rstrip()
    )


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Of processor time, so that a busy machine changes nothing."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Lines:
    """The lines of devenv that were reached so far."""

    def __init__(self) -> None:
        self._known: set[tuple[object, int]] = set()
        self._new = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(None)

    def taken(self) -> bool:
        """Whether there were new ones since it was asked last."""
        new, self._new = self._new, False
        return new

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_OURS) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        place = (frame.f_code, frame.f_lineno)
        if place not in self._known:
            self._known.add(place)
            self._new = True
        return self._line
