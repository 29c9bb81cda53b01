"""What is overridden, as rows for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devenv.config.overrides import Override

Locked = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One override. `fields`: what it says something about; `state`: "in devenv.lock", or what keeps it from counting."""

    label: str
    origin: str
    fields: tuple[str, ...]
    state: str

    @property
    def sentence(self) -> str:
        what = f": {', '.join(self.fields)}" if self.fields else ""
        origin = f"{self.origin}, " if self.origin else ""
        return f"{self.label}{what} ({origin}{self.state})"


def rows(overrides: Iterable[Override], locked: Locked) -> list[Row]:
    """All of them, and those that devenv.lock still has. `locked`: what that says of each."""
    found = []
    for override in overrides:
        facts, before = override.facts(), locked.get(override.label)
        if not facts:
            state = "says nothing yet"
        elif before is None:
            state = "not locked yet"
        else:
            state = "in devenv.lock" if before == facts else "changed since it was locked"
        found.append(Row(label=override.label, origin=override.origin, fields=tuple(facts), state=state))
    gone = sorted(locked.keys() - {row.label for row in found})
    return found + [
        Row(label=label, origin="", fields=(), state="removed since it was locked") for label in gone
    ]


def about(name: str, locked: Locked) -> list[str]:
    """A sentence for each locked override of a package of this name, "esbuild" or "npm:esbuild"."""
    found = []
    for label, facts in locked.items():
        plain = label.partition(":")[2]
        own = (
            plain[:1] + plain[1:].partition("@")[0] if plain[:1] != "@" else plain.rpartition("@")[0] or plain
        )
        if name in (own, plain, label):
            said = ", ".join(f"{key} {value}" for key, value in facts.items())
            found.append(f"{label} is overridden: {said}")
    return found
