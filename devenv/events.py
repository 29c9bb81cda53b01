"""What long work says about itself: values, and a reporter that does nothing with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

Kind = Literal[
    "lock", "fetch", "build", "configure", "view", "collect", "verify", "optimise", "transfer", "index"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """`count` pieces of work of one kind lie ahead, `size` bytes in all where that is known."""

    kind: Kind
    count: int
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Work on one thing begins. `key` is unique among unfinished work, `label` is for people."""

    kind: Kind
    key: str
    label: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """`done` bytes of the thing are there, counted from its beginning."""

    key: str
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Work on one thing ended, well or with an error that is raised as well."""

    key: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One line that a person should read: nothing failed, but something was left out or retried."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A line that a builder printed, safe for a terminal. `key` is that of the work."""

    key: str
    line: str


Event = Planned | Started | Progressed | Finished | Notice | Printed

_KINDS = {kind.__name__.lower(): kind for kind in (Planned, Started, Progressed, Finished, Notice, Printed)}


def event_values(event: Event) -> dict[str, Any]:
    """The event for JSON: its fields, and "event" with its name in lower case."""
    return {
        "event": type(event).__name__.lower(),
        **{each.name: getattr(event, each.name) for each in fields(event)},
    }


def event_of(values: dict[str, Any]) -> Event:
    """The event that `event_values` gave these for."""
    return _KINDS[values["event"]](**{name: value for name, value in values.items() if name != "event"})


class Reporter:
    """Receives events from any thread. This one ignores them; the command line has others."""

    def event(self, event: Event) -> None:
        """Take one event. Must return quickly and never raise."""
