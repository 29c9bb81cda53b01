"""What long work says about itself: values, and a reporter that does nothing with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lock", "fetch", "build", "view", "collect", "verify", "optimise", "transfer", "index"]


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


class Reporter:
    """Receives events from any thread. This one ignores them; the command line has others."""

    def event(self, event: Event) -> None:
        """Take one event. Must return quickly and never raise."""
