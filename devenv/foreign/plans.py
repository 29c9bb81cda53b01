"""How a file is going to be started: a verdict, boiled down to what the next start needs to know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from devenv.foreign.digests import digest_of
from devenv.foreign.errors import ForeignError
from devenv.foreign.starts import LIBRARIES
from devenv.foreign.verdict import HOST, NOTHING, ROOT, Verdict
from devenv.formats.deb822 import parse_one
from devenv.roots import LocalDeb, Wanted
from devenv.stamp import signature, take_signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """route: "host" or "root"; start: the file to start, as a path where it runs; prefix: what it is handed to
    base, packages, files: what its root is made of; beside: directories of libraries of its own, for the root's loader
    watched: path -> signature of what decided besides the file itself: what it starts and brings
    proven: it ended well before, so nobody needs to watch
    """

    route: str
    start: str
    prefix: tuple[str, ...]
    architecture: str
    libc: str
    base: str
    packages: tuple[str, ...]
    files: tuple[LocalDeb, ...]
    features: tuple[str, ...]
    beside: tuple[str, ...]
    reasons: tuple[str, ...]
    watched: dict[str, str] = field(default_factory=dict)
    proven: bool = False

    def wanted(self, machine: str) -> Wanted:
        return Wanted(base=self.base, packages=self.packages, architecture=machine, files=self.files)

    def with_packages(self, more: Sequence[str]) -> Plan:
        return replace(self, packages=tuple(sorted({*self.packages, *more})), proven=False)


def plan_of(verdict: Verdict, machine: str) -> Plan:
    """Raises ForeignError for what cannot be run, saying why."""
    if verdict.start is None or verdict.route == NOTHING:
        reasons = "; ".join(verdict.reasons) or "nothing in it can be started"
        found = reasons if verdict.route == NOTHING else "it holds nothing that is to be started by itself"
        raise ForeignError(
            verdict.path,
            f"cannot be run: {found}",
            hint=". ".join(verdict.notes) or f"See: devenv inspect {verdict.path}",
        )
    files: tuple[LocalDeb, ...] = ()
    start = os.path.abspath(verdict.start)
    if verdict.kind == "deb":
        start, files = _installed(verdict)
    return Plan(
        route=verdict.route,
        start=start,
        prefix=verdict.prefix,
        architecture=verdict.architecture or machine,
        libc=verdict.libc,
        base=verdict.base or "",
        packages=verdict.packages if verdict.route == ROOT else (),
        files=files,
        features=verdict.features,
        beside=verdict.beside,
        reasons=verdict.reasons,
        watched=take_signatures(_deciding(verdict)),
    )


def _deciding(verdict: Verdict) -> Iterator[str]:
    """The files besides the one that was judged on which its verdict rests."""
    if verdict.start is not None and verdict.start != verdict.path:
        yield verdict.start
    for each in verdict.libraries:
        if each.where in ("bundled", "beside") and each.path is not None:
            yield each.path
    if verdict.route == HOST:
        yield LIBRARIES


def _installed(verdict: Verdict) -> tuple[str, tuple[LocalDeb, ...]]:
    """The program of a Debian package where the root will have it, and the package."""
    place = package_files(verdict.start or "/")
    folder = f"{place}/var/lib/dpkg/info"
    control = next(name for name in sorted(os.listdir(folder)) if name.endswith(".control"))
    with open(f"{folder}/{control}", encoding="utf-8", errors="replace") as file:
        fields = parse_one(file.read())
    path = os.path.abspath(verdict.path)
    package = LocalDeb(
        path=path,
        name=fields["package"],
        version=fields["version"],
        architecture=fields["architecture"],
        sha256=digest_of(path),
        size=os.path.getsize(path),
    )
    return f"/{os.path.relpath(verdict.start or place, place)}", (package,)


def package_files(path: str) -> str:
    """The directory of the unpacked Debian package that a file lies in."""
    place = path
    while place != "/" and not os.path.isdir(f"{place}/var/lib/dpkg/info"):
        place = os.path.dirname(place)
    return place


def as_json(plan: Plan) -> dict[str, Any]:
    files = [{name: getattr(file, name) for name in LocalDeb.__annotations__} for file in plan.files]
    return {**asdict(replace(plan, files=())), "files": files}


def from_json(found: Mapping[str, Any]) -> Plan | None:
    """A plan that was kept; None for one that another devenv wrote, or nobody."""
    try:
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
        }
        fields.pop("revision", None)
        fields["files"] = tuple(LocalDeb(**each) for each in found["files"])
        return Plan(**fields)
    except (TypeError, KeyError):
        return None


def holds(plan: Plan) -> bool:
    """Is all that decided as it was? Unpacked archives may have been cleaned away, libraries changed."""
    if any(signature(path) != was for path, was in plan.watched.items()):
        return False
    return bool(plan.files) or os.path.exists(plan.start)
