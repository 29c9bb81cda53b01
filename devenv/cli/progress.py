"""Showing long work: a bar on a terminal, lines elsewhere, JSON for programs, or nothing."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from devenv.events import (
    Event,
    Finished,
    Kind,
    Notice,
    Planned,
    Printed,
    Progressed,
    Reporter,
    Started,
    event_values,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

# kind -> (doing, done, what is counted)
_WORDS: Mapping[Kind, tuple[str, str, str]] = {
    "lock": ("asking about", "asked about", "package"),
    "fetch": ("fetching", "fetched", "file"),
    "build": ("building", "built", "package"),
    "configure": ("running", "ran", "configuration script"),
    "view": ("linking", "linked", "view"),
    "collect": ("deleting", "deleted", "object"),
    "verify": ("checking", "checked", "object"),
    "transfer": ("copying", "copied", "object"),
    "optimise": ("comparing", "compared", "object"),
    "index": ("indexing", "indexed", "list"),
}
_REFRESH = 0.12  # seconds
_WINDOW = 5.0  # seconds over which the rate is taken
_IN_FLIGHT = 4  # lines
_LINE_EVERY = 5.0  # seconds
_LINE_SHARE = 0.1


class ClosingReporter(Reporter):
    """A reporter that may hold the terminal until it is closed."""

    def close(self) -> None:
        """Ends the display. Events after this are still taken."""


def choose_reporter(
    stream: TextIO, *, quiet: bool = False, verbose: bool = False, as_json: bool = False
) -> ClosingReporter:
    """The reporter that fits the stream: a bar only where it is a terminal that can move its cursor."""
    if quiet:
        return ClosingReporter()
    if as_json:
        return JsonReporter(stream)
    is_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if verbose or not is_terminal:
        return LineReporter(stream, verbose=verbose)
    return TerminalReporter(stream)


# What is known


@dataclass(slots=True)
class _Item:
    kind: Kind
    label: str
    size: int | None
    done: int = 0


@dataclass(slots=True)
class KindTally:
    """The work of one kind: counts of things, and bytes where they are known."""

    planned: int = 0
    finished: int = 0
    failed: int = 0
    size: int | None = 0
    done: int = 0
    began: float = 0.0
    # (moment, bytes) of the last seconds
    history: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def is_over(self) -> bool:
        return self.finished >= self.planned

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1: of the bytes where all are known, else of the things."""
        if self.size:
            return min(self.done / self.size, 1.0)
        return self.finished / self.planned if self.planned else 0.0

    def rate(self, now: float) -> float:
        """Bytes a second, lately."""
        if not self.history:
            return 0.0
        moment, done = self.history[0]
        return max(self.done - done, 0) / max(now - moment, 0.5)


class Tally:
    """All events so far, summed up. Not thread-safe."""

    def __init__(self) -> None:
        self.kinds: dict[Kind, KindTally] = {}
        self.items: dict[str, _Item] = {}

    def take(self, event: Event, now: float) -> _Item | None:
        """Counts the event; gives the thing that it is about."""
        match event:
            case Planned():
                self._planned(event, now)
                return None
            case Started():
                return self._started(event, now)
            case Progressed():
                item = self.items.get(event.key)
                if item is not None:
                    self._progressed(item, event.done, now)
                return item
            case Finished():
                item = self.items.pop(event.key, None)
                if item is not None:
                    self._finished(item, event.failed, now)
                return item
            case Printed():
                return self.items.get(event.key)
            case Notice():
                return None

    def _planned(self, event: Planned, now: float) -> None:
        tally = self.kinds.get(event.kind)
        if tally is None or tally.is_over:
            tally = self.kinds[event.kind] = KindTally(began=now)
        tally.planned += event.count
        tally.size = None if tally.size is None or event.size is None else tally.size + event.size

    def _started(self, event: Started, now: float) -> _Item:
        item = self.items[event.key] = _Item(event.kind, _printable(event.label), event.size)
        tally = self.kinds.setdefault(event.kind, KindTally(size=None, began=now))
        under_way = sum(each.kind == event.kind for each in self.items.values())
        tally.planned = max(tally.planned, tally.finished + under_way)
        return item

    def _progressed(self, item: _Item, done: int, now: float) -> None:
        tally = self.kinds[item.kind]
        tally.history.append((now, tally.done))
        tally.done += done - item.done
        item.done = done
        while len(tally.history) > 1 and now - tally.history[0][0] > _WINDOW:
            tally.history.popleft()

    def _finished(self, item: _Item, failed: bool, now: float) -> None:
        if item.size is not None and not failed and item.done != item.size:
            self._progressed(item, item.size, now)
        tally = self.kinds[item.kind]
        tally.finished += 1
        tally.failed += failed

    @property
    def is_idle(self) -> bool:
        return not self.items and all(tally.is_over for tally in self.kinds.values())


def _printable(text: str) -> str:
    """Labels hold names out of lockfiles: nothing in them may reach the terminal as a command."""
    return "".join(character if character.isprintable() else "?" for character in text)


def size_text(size: float) -> str:
    """Bytes in the unit that fits: "312 B", "4.1 kB", "45 MB"."""
    units = ["GB", "MB", "kB", "B"]
    while size >= 999.5 and len(units) > 1:
        units.pop()
        size /= 1000
    return f"{size:.0f} {units[-1]}" if size >= 10 or units[-1] == "B" else f"{size:.1f} {units[-1]}"


def time_text(seconds: float) -> str:
    """ "8 s", "2:05", "1:02:03"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# Lines and JSON


class LineReporter(ClosingReporter):
    """Plain lines: one when work begins, one every few seconds or tenth, one when it ends."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream, self._verbose = stream, verbose
        self._lock = threading.Lock()
        self._tally = Tally()
        self._said: dict[Kind, tuple[float, float]] = {}  # kind -> (moment, share)

    def event(self, event: Event) -> None:
        now = time.monotonic()
        with self._lock:
            item = self._tally.take(event, now)
            match event:
                case Notice(text=text):
                    self._write(_printable(text))
                case Planned(kind=kind, count=count) if count:
                    self._begin(kind, now)
                case Started() | Progressed() | Finished() if item is not None:
                    if self._verbose and isinstance(event, Finished):
                        self._write(f"{'failed' if event.failed else _WORDS[item.kind][1]} {item.label}")
                    self._advance(item.kind, now)
                case Printed(line=line) if self._verbose and item is not None:
                    self._write(f"{item.label}> {line}")
                case _:
                    pass

    def _begin(self, kind: Kind, now: float) -> None:
        tally = self._tally.kinds[kind]
        doing, _, noun = _WORDS[kind]
        size = f" ({size_text(tally.size)})" if tally.size else ""
        self._said[kind] = now, 0.0
        self._write(f"{doing} {_count(tally.planned, noun)}{size}")

    def _advance(self, kind: Kind, now: float) -> None:
        tally = self._tally.kinds[kind]
        if kind not in self._said:
            self._begin(kind, now)
        if tally.is_over:
            self._end(kind, tally, now)
            return
        moment, share = self._said[kind]
        if now - moment >= _LINE_EVERY or (tally.share - share >= _LINE_SHARE and now - moment >= 1.0):
            self._said[kind] = now, tally.share
            self._write(f"{_WORDS[kind][0]} {_state(kind, tally)}")

    def _end(self, kind: Kind, tally: KindTally, now: float) -> None:
        _, did, noun = _WORDS[kind]
        size = f", {size_text(tally.done)}" if tally.done else ""
        failed = f", {tally.failed} failed" if tally.failed else ""
        good = _count(tally.finished - tally.failed, noun)
        self._write(f"{did} {good}{size} in {time_text(now - tally.began)}{failed}")
        del self._said[kind]

    def _write(self, line: str) -> None:
        # A reader that went away must not stop the work.
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()


def _state(kind: Kind, tally: KindTally) -> str:
    """For example "12/340 files, 45 MB of 130 MB"."""
    text = f"{tally.finished}/{_count(tally.planned, _WORDS[kind][2])}"
    if tally.size:
        return f"{text}, {size_text(tally.done)} of {size_text(tally.size)}"
    return f"{text}, {size_text(tally.done)}" if tally.done else text


class JsonReporter(ClosingReporter):
    """One JSON object a line for each event: its fields, and "event" with its name."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def event(self, event: Event) -> None:
        line = json.dumps(event_values(event))
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()


# The terminal


class TerminalReporter(ClosingReporter):
    """A bar for each kind of work and the things under way, gone when the work is done.

    A thread draws it, so that events cost nothing and rich is imported beside the work, only if the
    work lasts.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._tally = Tally()
        self._notices: list[str] = []
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def event(self, event: Event) -> None:
        with self._lock:
            self._tally.take(event, time.monotonic())
            if isinstance(event, Notice):
                self._notices.append(_printable(event.text))
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="devenv-progress", daemon=True)
                self._thread.start()
        self._changed.set()
        if self._closed.is_set():
            self._print_notices()

    def close(self) -> None:
        self._closed.set()
        self._changed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        self._print_notices()

    def _print_notices(self) -> None:
        with self._lock, suppress(OSError, ValueError):
            lines, self._notices = self._notices, []
            self._stream.write("".join(line + "\n" for line in lines))
            self._stream.flush()

    def _run(self) -> None:
        """Draws while there is work, and keeps its hands off the terminal while there is none."""
        with suppress(OSError, ValueError):
            while not self._closed.wait(_REFRESH):
                with self._lock:
                    is_idle = self._tally.is_idle
                if not is_idle:
                    self._draw_until_idle()
                self._print_notices()
                self._changed.wait()
                self._changed.clear()

    def _draw_until_idle(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, highlight=False)
        with Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            while not self._closed.is_set():
                with self._lock:
                    notices, self._notices = self._notices, []
                    picture = render(self._tally, time.monotonic())
                    is_idle = self._tally.is_idle
                for notice in notices:
                    console.print(notice, markup=False, soft_wrap=True)
                live.update(picture, refresh=True)
                if is_idle:
                    return
                self._closed.wait(_REFRESH)


def render(tally: Tally, now: float) -> RenderableType:
    """What the terminal shows, as a rich renderable."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for kind, state in tally.kinds.items():
        if not state.is_over:
            bar = ProgressBar(total=1.0, completed=state.share, width=24)
            grid.add_row(_WORDS[kind][0], bar, Text(_state(kind, state) + _speed(state, now)))
    shown = sorted(tally.items.values(), key=lambda item: -(item.size or 0))[:_IN_FLIGHT]
    lines = [Text(f"  {_item_text(item)}", style="dim", overflow="ellipsis", no_wrap=True) for item in shown]
    hidden = len(tally.items) - len(shown)
    if hidden:
        lines.append(Text(f"  and {hidden} more", style="dim"))
    return Group(grid, *lines)


def _item_text(item: _Item) -> str:
    if item.size and item.done:
        return f"{item.label}  {size_text(item.done)} of {size_text(item.size)}"
    return f"{item.label}  {size_text(item.done)}" if item.done else item.label


def _speed(tally: KindTally, now: float) -> str:
    """For example ", 8.1 MB/s, 12 s left"."""
    rate = tally.rate(now)
    speed = f", {size_text(rate)}/s" if rate >= 1 else ""
    elapsed = now - tally.began
    if 0 < tally.share < 1 and elapsed > 2:
        left = (tally.size - tally.done) / rate if tally.size and rate >= 1 else None
        left = elapsed * (1 - tally.share) / tally.share if left is None else left
        return f"{speed}, {time_text(left)} left"
    return speed
