"""What a builder is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devenv.derivations.builders.interpreters import Interpreters
from devenv.events import Reporter
from devenv.store.meter import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One build inside a worker process.

    A builder is a function of a Job. It makes `target`, which does not exist yet, in canonical form (modes
    0444, 0555, times 1), and returns lines for people about what it left out. It reads nothing but `env`
    and the store paths there, so that equal derivations give equal bytes.

    `label` is what people call the package, `pythons` are interpreters' paths by version ("3.11"), `reporter` hears
    of the steps of long work. A builder that writes the files of the tree in the order of a NAR, and changes none afterwards,
    may have `meter` measure them on the way; else they are read again.
    """

    label: str
    env: Mapping[str, str]
    target: str
    pythons: Mapping[str, str]
    interpreters: Interpreters
    reporter: Reporter = field(default_factory=Reporter)
    meter: Meter | None = None
