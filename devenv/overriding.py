"""What `devenv override` does: find the package that is meant, write its file, say what is overridden."""

from __future__ import annotations

import os
from dataclasses import dataclass

from devenv.adapter import Package, Plan
from devenv.basis import Basis
from devenv.config.overrides import KINDS, Override, split_name
from devenv.errors import DevenvError
from devenv.overrides.choice import Known, kind_of, known_packages, missing
from devenv.overrides.listing import Row, rows
from devenv.overrides.reading import file_of
from devenv.overrides.writing import full_copy, template
from devenv.project import Project, StaleLock


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A package that can be overridden: what `lockfile` has of this name, and the path of its file in the project."""

    override: Override
    packages: tuple[Package, ...]
    lockfile: str

    @property
    def path(self) -> str:
        return file_of(self.override.kind, self.override.label.partition(":")[2])


def find(project: Project, text: str) -> Meant:
    """The package that `text` names, "npm:esbuild" or "esbuild", with "@VERSION" or without. Raises DevenvError."""
    plans, known = _plans(project)
    kind, name, only = _parsed(text, known)
    override = Override(kind=kind, name=name, only=only, origin=text)
    problems = missing([override], known)
    if problems:
        raise DevenvError(str(problems[0]), hint=problems[0].hint)
    for path, plan in plans:
        found = [
            each
            for each in plan.packages
            if kind_of(plan.view) == kind and override.is_of(each.name, each.version)
        ]
        if found:
            return Meant(override=override, packages=tuple(found), lockfile=path)
    return Meant(override=override, packages=(), lockfile="the lockfile")


def _plans(project: Project) -> tuple[list[tuple[str, Plan]], Known]:
    """The plan of each lockfile, without overrides, and what there is in them. Raises StaleLock where there is no lock."""
    lock = project.lock
    if lock is None:
        raise StaleLock([], missing=True)
    target = Basis.of(lock, project.settings.environ).target
    plans = [
        (lockfile.path, lockfile.plan_as_locked(target, lock.files))
        for lockfile in project.lockfiles
        if lockfile.ecosystem != "python" or target.python is not None
    ]
    return plans, known_packages(plan for _, plan in plans)


def _parsed(text: str, known: Known) -> tuple[str, str, str | None]:
    kind, mark, rest = text.partition(":")
    if mark and kind not in KINDS:
        raise DevenvError(
            f"{text!r}: there is no kind of package {kind!r}", hint=f"known are {', '.join(KINDS)}"
        )
    if mark:
        try:
            return kind, *split_name(kind, rest)
        except ValueError as error:
            raise DevenvError(f"{rest!r} {error}") from None
    found = []
    for each in KINDS:
        try:
            name, only = split_name(each, text)
        except ValueError:
            continue
        if name in known[each]:
            found.append((each, name, only))
    if len(found) == 1:
        return found[0]
    if found:
        labels = " or ".join(f"{kind}:{text}" for kind, _, _ in found)
        raise DevenvError(f"{text} is the name of several packages", hint=f"write {labels}")
    raise DevenvError(f"no lockfile has a package {text}", hint=_near(text, known))


def _near(text: str, known: Known) -> str:
    from difflib import get_close_matches

    labels = {f"{kind}:{name}": name for kind, names in known.items() for name in names}
    close = get_close_matches(text.lower(), labels.values(), 3)
    shown = [label for label, name in labels.items() if name in close]
    return (
        f"did you mean {' or '.join(shown)}?" if shown else "`devenv status` shows which lockfiles there are"
    )


def write(project: Project, meant: Meant, *, full: bool) -> bool:
    """Write the file of an override if there is none yet; whether it was written. Raises DevenvError."""
    path = os.path.join(project.root, meant.path)
    for override in project.config.overrides:
        if override.label == meant.override.label and override.origin != meant.path:
            raise DevenvError(
                f"{override.label} is overridden already, in {override.origin}", hint="edit it there"
            )
    if os.path.exists(path):
        if full:
            raise DevenvError(f"{meant.path} exists already", hint="move it away first; it is not replaced")
        return False
    if full:
        if not meant.packages:
            raise DevenvError(
                f"nothing is known of {meant.override.label} yet", hint="run `devenv lock` first"
            )
        if len(meant.packages) > 1:
            versions = " or ".join(f"{meant.override.label}@{each.version}" for each in meant.packages)
            raise DevenvError(f"{meant.lockfile} has several versions of it", hint=f"write {versions}")
        text = full_copy(meant.override, meant.packages[0], meant.lockfile)
    else:
        text = template(meant.override, meant.packages, meant.lockfile)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DevenvError(f"writing {path}: {error.strerror}") from error
    return True


def existing_file(root: str, text: str) -> str | None:
    """The file of an override that is there already, by the name of its package alone; None for none or several."""
    found = []
    for kind in KINDS:
        rest = text.removeprefix(f"{kind}:")
        try:
            split_name(kind, rest)
        except ValueError:
            continue
        if os.path.isfile(os.path.join(root, file_of(kind, rest))):
            found.append(file_of(kind, rest))
    return found[0] if len(found) == 1 else None


def listed(project: Project) -> list[Row]:
    """All overrides of the project, and those that devenv.lock still has."""
    return rows(project.config.overrides, project.lock.overrides if project.lock is not None else {})
