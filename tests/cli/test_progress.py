"""What people and programs see of long work."""

from __future__ import annotations

import io
import json
import threading
import time

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.cli import progress
from devenv.cli.progress import (
    ClosingReporter,
    JsonReporter,
    LineReporter,
    Tally,
    TerminalReporter,
    choose_reporter,
    size_text,
    time_text,
)
from devenv.events import (
    Event,
    Finished,
    Notice,
    Planned,
    Printed,
    Progressed,
    Reporter,
    Started,
    event_of,
    event_values,
)

WORK: list[Event] = [
    Planned(kind="fetch", count=2, size=3_000_000),
    Started(kind="fetch", key="a", label="left-pad 1.0", size=1_000_000),
    Progressed(key="a", done=400_000),
    Notice(text="retrying"),
    Started(kind="fetch", key="b", label="numpy 2.0", size=2_000_000),
    Finished(key="a"),
    Finished(key="b", failed=True),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_tell_beginning_notices_and_end() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream)
    for event in WORK:
        reporter.event(event)
    assert stream.getvalue().splitlines() == [
        "fetching 2 files (3.0 MB)",
        "retrying",
        "fetched 1 file, 1.0 MB in 0 s, 1 failed",
    ]


def test_verbose_lines_name_each_thing() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream, verbose=True)
    for event in WORK:
        reporter.event(event)
    assert "fetched left-pad 1.0\n" in stream.getvalue()
    assert "failed numpy 2.0\n" in stream.getvalue()


def test_lines_come_every_few_seconds_and_no_oftener(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("devenv.cli.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    reporter = LineReporter(stream)
    reporter.event(Planned(kind="fetch", count=1000, size=1000))
    for number in range(1000):
        now[0] += 0.03
        reporter.event(Started(kind="fetch", key=str(number), label="x", size=1))
        reporter.event(Finished(key=str(number)))
    lines = stream.getvalue().splitlines()
    assert 8 <= len(lines) <= 14
    assert lines[-1] == "fetched 1000 files, 1.0 kB in 30 s"


def test_json_lines_hold_every_event() -> None:
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    for event in WORK:
        reporter.event(event)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [each["event"] for each in found] == [type(event).__name__.lower() for event in WORK]
    assert found[2] == {"event": "progressed", "key": "a", "done": 400_000}


def test_the_stream_decides_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    chosen = {
        "quiet": choose_reporter(Terminal(), quiet=True),
        "json": choose_reporter(Terminal(), as_json=True),
        "terminal": choose_reporter(Terminal()),
        "verbose": choose_reporter(Terminal(), verbose=True),
        "file": choose_reporter(io.StringIO()),
    }
    monkeypatch.setenv("TERM", "dumb")
    chosen["dumb"] = choose_reporter(Terminal())
    assert {name: type(reporter) for name, reporter in chosen.items()} == {
        "quiet": ClosingReporter,
        "json": JsonReporter,
        "terminal": TerminalReporter,
        "verbose": LineReporter,
        "file": LineReporter,
        "dumb": LineReporter,
    }


@pytest.mark.parametrize("event", [*WORK, Printed(key="a", line="x")], ids=lambda event: type(event).__name__)
def test_an_event_is_the_same_after_json(event: Event) -> None:
    assert event_of(json.loads(json.dumps(event_values(event)))) == event


def test_labels_cannot_command_the_terminal() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream, verbose=True)
    reporter.event(Started(kind="fetch", key="a", label="\x1b[2Jevil\r\n"))
    reporter.event(Finished(key="a"))
    reporter.event(Notice(text="\x1b]0;title\x07"))
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("make", [LineReporter, JsonReporter, TerminalReporter])
def test_a_reader_that_went_away_stops_nothing(make: type[ClosingReporter]) -> None:
    reporter = make(Gone())  # type: ignore[call-arg]
    for event in WORK:
        reporter.event(event)
    time.sleep(0.2)
    reporter.close()


def test_quick_work_draws_nothing() -> None:
    stream = Terminal()
    reporter = TerminalReporter(stream)
    for event in WORK:
        reporter.event(event)
    reporter.close()
    assert stream.getvalue() == "retrying\n"


def test_notices_after_the_end_are_still_shown() -> None:
    stream = Terminal()
    reporter = TerminalReporter(stream)
    reporter.close()
    reporter.event(Notice(text="late"))
    assert stream.getvalue() == "late\n"


def test_a_terminal_shows_a_bar_and_gets_its_lines_back() -> None:
    program = """
import sys, time
from devenv.cli.progress import choose_reporter
from devenv.events import *
reporter = choose_reporter(sys.stderr)
reporter.event(Planned(kind="fetch", count=2, size=2000000))
reporter.event(Started(kind="fetch", key="a", label="left-pad", size=1000000))
reporter.event(Progressed(key="a", done=500000))
time.sleep(0.5)
reporter.event(Notice(text="[bold]careful"))
time.sleep(0.3)
reporter.close()
print("after")
"""
    import sys

    child = pexpect.spawn(
        sys.executable, ["-c", program], env={"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": ":".join(sys.path)},
        encoding="utf-8", timeout=20,
    )  # fmt: skip
    child.expect("0/2 files, 500 kB of 2.0 MB")
    child.expect("left-pad  500 kB of 1.0 MB")
    child.expect_exact("[bold]careful")
    child.expect_exact("\x1b[?25h")  # the cursor is back
    child.expect("after")
    child.expect(pexpect.EOF)


def test_between_work_the_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # on a dumb one nothing is drawn
    stream = Terminal()
    reporter = TerminalReporter(stream)
    reporter.event(Started(kind="lock", key="a", label="x"))
    deadline = time.monotonic() + 20
    while "asking about" not in stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)
    reporter.event(Finished(key="a"))
    time.sleep(0.4)
    drawn = stream.getvalue()
    assert "asking about" in drawn
    time.sleep(0.3)
    assert stream.getvalue() == drawn
    reporter.close()


@pytest.mark.parametrize("make", [LineReporter, JsonReporter, TerminalReporter])
def test_events_may_come_from_many_threads(make: type[ClosingReporter]) -> None:
    stream = Terminal()
    reporter: Reporter = make(stream)  # type: ignore[call-arg]
    reporter.event(Planned(kind="build", count=400))

    def work(name: int) -> None:
        for number in range(100):
            key = f"{name}-{number}"
            reporter.event(Started(kind="build", key=key, label=key))
            reporter.event(Finished(key=key))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if make is JsonReporter:
        assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 801
    if make is LineReporter:
        assert stream.getvalue().splitlines()[-1].startswith("built 400 packages")
    reporter.close()  # type: ignore[attr-defined]


KEYS = st.sampled_from("abc")
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Planned, kind=st.just("fetch"), count=st.integers(0, 3), size=st.none() | st.integers(0, 99)),
    st.builds(Started, kind=st.just("fetch"), key=KEYS, label=st.text(), size=st.none() | st.integers(0, 99)),
    st.builds(Progressed, key=KEYS, done=st.integers(0, 200)),
    st.builds(Finished, key=KEYS, failed=st.booleans()),
    st.builds(Notice, text=st.text()),
)


@given(st.lists(EVENTS))
def test_no_sequence_of_events_breaks_the_display(events: list[Event]) -> None:
    tally, stream = Tally(), io.StringIO()
    reporter = LineReporter(stream)
    for moment, event in enumerate(events):
        tally.take(event, float(moment))
        reporter.event(event)
        progress.render(tally, float(moment))
        assert all(0 <= each.share <= 1 for each in tally.kinds.values())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (45_000_000, "45 MB"),
        (999_600, "1.0 MB"),
        (5e13, "50000 GB"),
    ],
)
def test_sizes_are_short(size: float, expected: str) -> None:
    assert size_text(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.2, "0 s"), (59, "59 s"), (125, "2:05"), (3723, "1:02:03")]
)
def test_times_are_short(seconds: float, expected: str) -> None:
    assert time_text(seconds) == expected
