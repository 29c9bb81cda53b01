"""The distributions that bases come from: which suites make up a base, and in which archives they are."""

from __future__ import annotations

import re
from typing import NamedTuple

from devenv.debian.errors import DebianError

_NAME = re.compile(r"([a-z][a-z0-9-]*)/([a-z][a-z0-9.-]*)")
# These move on by themselves: there are no fixes beside them.
_ROLLING = frozenset({"sid", "unstable", "experimental", "rc-buggy"})

COMPONENTS = ("main",)
ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "i386",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
}


class Suite(NamedTuple):
    """A suite of an archive. `required`: the base is nothing without it."""

    archive: str
    name: str
    required: bool


class Base(NamedTuple):
    """A base by its parts: "debian/bookworm" is the suite "bookworm" of the distribution "debian"."""

    distribution: str
    suite: str

    def __str__(self) -> str:
        return f"{self.distribution}/{self.suite}"

    @property
    def suites(self) -> tuple[Suite, ...]:
        """What packages are taken from unasked, the base's own suite first."""
        main = Suite("debian", self.suite, True)
        if self.suite in _ROLLING:
            return (main,)
        return (
            main,
            Suite("debian", f"{self.suite}-updates", False),
            Suite("debian-security", f"{self.suite}-security", False),
        )

    def further_suite(self, name: str) -> Suite:
        """A suite that a request names itself: "bookworm-backports". Raises `DebianError`."""
        if not name.startswith(f"{self.suite}-") or not _NAME.fullmatch(f"{self.distribution}/{name}"):
            raise DebianError(f"{name!r} is no suite of {self}", hint=f"for instance {self.suite}-backports")
        return next((each for each in self.suites if each.name == name), Suite("debian", name, True))


def parse_base(text: str) -> Base:
    """Read "debian/bookworm". Raises `DebianError`."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise DebianError(
            f"{text!r} is no base: expected a distribution and one of its suites",
            hint='for instance "debian/bookworm" or "debian/trixie"',
        )
    if found[1] != "debian":
        raise DebianError(
            f"the base {text!r} is of a distribution that devenv does not know", hint='known is "debian"'
        )
    return Base(found[1], found[2])


def architecture_of(machine: str) -> str:
    """The distributions' name for a machine as uname(2) names it. Raises `DebianError`."""
    found = ARCHITECTURES.get(machine)
    if found is None:
        raise DebianError(f"no distribution's architecture is known for the machine {machine!r}")
    return found
