"""The tools that know how to change a manifest and its lockfile, one driver for each kind of lockfile.

A driver gives commands, as argument lists to be run in the lockfile's directory; or, where no tool edits the manifest,
edits it and gives the command that locks anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal, Protocol

from devenv.dependencies.request import Request, RequestError

Action = Literal["add", "remove", "update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do: `action` with `requests`, none of them for an update of everything.

    directory: absolute; lockfile: its name there; group: of dependencies ("dev"), None for the main one
    """

    action: Action
    requests: tuple[Request, ...]
    directory: str
    lockfile: str
    group: str | None = None

    @property
    def texts(self) -> list[str]:
        """The packages as tools take them: with versions where they are added."""
        return [each.text if self.action == "add" else each.name for each in self.requests]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command. `edits`: files to be written before it, by name.

    SCRATCH in `argv` stands for a directory that is removed after it.

    inside: it is a program of the project's environment, and runs there
    here: it is run where the user is, if that is below the lockfile's directory: it tells members of a workspace apart
    shown: what it is called when it fails; the command itself without
    """

    argv: tuple[str, ...]
    edits: Mapping[str, str]
    environ: Mapping[str, str]
    inside: bool = False
    here: bool = False
    shown: str | None = None


# For tools that cannot help installing.
SCRATCH = "{scratch}"


class Driver(Protocol):
    """Steps of a job. Raises RequestError for what its tool cannot do."""

    def __call__(self, job: Job) -> Sequence[Step]: ...


def step(
    *argv: str, edits: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> Step:
    return Step(argv=argv, edits=edits or {}, environ=environ or {})


def uv(job: Job) -> Sequence[Step]:
    """uv.lock: `uv add`, `uv remove`, `uv lock --upgrade-package`. The environment is ours, so nothing is synchronised."""
    if job.action == "update":
        which = [word for name in job.texts for word in ("--upgrade-package", name)] or ["--upgrade"]
        return [step("uv", "lock", *which)]
    group = ["--group", job.group] if job.group else []
    return [step("uv", job.action, "--no-sync", *group, "--", *job.texts)]


def poetry(job: Job) -> Sequence[Step]:
    """poetry.lock: each verb with `--lock`, which installs nothing."""
    group = ["--group", job.group] if job.group and job.action != "update" else []
    return [step("poetry", job.action, "--lock", "--no-interaction", *group, "--", *job.texts)]


def requirements(job: Job) -> Sequence[Step]:
    """requirements.txt made of a requirements.in beside it: that is edited, and compiled by uv."""
    source = os.path.splitext(job.lockfile)[0] + ".in"
    place = os.path.join(job.directory, source)
    if not os.path.isfile(place):
        raise RequestError(
            f"{job.lockfile} has no {source} beside it, so nothing says what it was made for",
            hint=f"write what the project itself asks for into {source}; what follows from it is locked in {job.lockfile}",
        )
    if job.group:
        raise RequestError(f"{source} has no groups, so nothing can be added to {job.group!r}")
    with open(place, encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(job.directory, job.lockfile), encoding="utf-8") as file:
        hashes = ["--generate-hashes"] if "--hash=" in file.read() else []
    edits = {} if job.action == "update" else {source: edited_requirements(text, job)}
    upgrade: list[str] = []
    if job.action == "update":
        upgrade = [word for name in job.texts for word in ("--upgrade-package", name)] or ["--upgrade"]
    argv = ("uv", "pip", "compile", "--quiet", source, "-o", job.lockfile, *hashes, *upgrade)
    return [step(*argv, edits=edits)]


def edited_requirements(text: str, job: Job) -> str:
    """A requirements.in with packages added, in the place of an older line about one, or removed.

    Raises RequestError for one that is to be removed and is not there.
    """
    from packaging.utils import canonicalize_name

    def name_of(line: str) -> str:
        bare = line.partition("#")[0].strip()
        for mark in "[=<>!~;@ ":
            bare = bare.partition(mark)[0]
        return "" if bare.startswith("-") else canonicalize_name(bare)

    lines = text.splitlines()
    for each in job.requests:
        at = [i for i, line in enumerate(lines) if name_of(line) == canonicalize_name(each.name)]
        if job.action == "remove" and not at:
            raise RequestError(f"{each.name} is not in {os.path.splitext(job.lockfile)[0]}.in")
        if job.action == "remove":
            lines = [line for i, line in enumerate(lines) if i not in at]
        elif at:
            lines[at[0]] = each.text
        else:
            lines.append(each.text)
    return "".join(f"{line}\n" for line in lines)


def npm(job: Job) -> Sequence[Step]:
    """package-lock.json: npm itself, which changes the two files only."""
    verb = {"add": "install", "remove": "uninstall", "update": "update"}[job.action]
    group = _dev_only(job, "npm", "--save-dev")
    quiet = ("--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund")
    return [step("npm", verb, *quiet, *group, "--", *job.texts)]


def pnpm(job: Job) -> Sequence[Step]:
    """pnpm-lock.yaml: pnpm itself, which changes the two files only."""
    group = _dev_only(job, "pnpm", "--save-dev")
    quiet = ("--lockfile-only", "--ignore-scripts") if job.action != "remove" else ("--lockfile-only",)
    return [step("pnpm", job.action, *quiet, *group, *job.texts)]


def yarn(job: Job) -> Sequence[Step]:
    """yarn.lock: yarn of the version that wrote it. Yarn 1 cannot but install, so it does that elsewhere."""
    with open(os.path.join(job.directory, job.lockfile), encoding="utf-8") as file:
        modern = "__metadata:" in file.read()
    group = _dev_only(job, "yarn", "--dev")
    if modern:
        verb = "up" if job.action == "update" else job.action
        which = job.texts or ["*"]
        return [step("yarn", verb, "--mode=update-lockfile", *group, *which)]
    aside = ("--ignore-scripts", "--non-interactive", "--modules-folder", SCRATCH)
    classic = "upgrade" if job.action == "update" else job.action
    shown = " ".join(("yarn", classic, *group, *job.texts))
    return [replace(step("yarn", classic, *aside, *group, *job.texts), shown=shown)]


def _dev_only(job: Job, tool: str, option: str) -> list[str]:
    """The option for the one group that there is. Raises RequestError for others."""
    if job.group not in (None, "dev"):
        raise RequestError(f"{tool} has no group {job.group!r} of dependencies, only dev")
    return [option] if job.group and job.action == "add" else []


def cargo(job: Job) -> Sequence[Step]:
    """Cargo.lock: `cargo add` and `remove` change the manifest, `cargo metadata` then the lock, as little as needed."""
    plain = {"DEVENV_CARGO": "plain"}
    if job.action == "update":
        which = [word for name in job.texts for word in ("--package", name)]
        return [step("cargo", "update", *which, environ=plain)]
    group = [f"--{job.group}"] if job.group in ("dev", "build") else []
    if job.group and not group:
        raise RequestError(f"cargo has no group {job.group!r} of dependencies, only dev and build")
    by_registry: dict[str, list[str]] = {}
    for text in job.texts:
        registry, _, crate = text.rpartition("/") if "/" in text.partition("@")[0] else ("", "", text)
        by_registry.setdefault(registry, []).append(crate)
    steps = []
    for registry, crates in by_registry.items():
        of = ["--registry", registry] if registry else []
        changed = step("cargo", job.action, *of, *group, "--", *crates, environ=plain)
        steps.append(replace(changed, here=True))
    return [*steps, step("cargo", "update", "--workspace", "--quiet", environ=plain)]


def renv(job: Job) -> Sequence[Step]:
    """renv.lock: R says what packages need, renv records them; both in the project's environment."""
    if job.group:
        raise RequestError(f"an renv.lock has no groups, so nothing can be added to {job.group!r}")
    code = (files("devenv.dependencies") / "renv_lock.R").read_text("utf-8")
    place = os.path.join(job.directory, job.lockfile)
    return [
        Step(
            argv=("Rscript", "-e", code, place, job.action, *job.texts),
            edits={},
            environ={},
            inside=True,
            shown=f"renv: {job.action} {' '.join(job.texts)}".rstrip(),
        )
    ]


# By the names of lockfiles; what is not here has no tool that changes it without installing.
DRIVERS: Mapping[str, Driver] = {
    "uv.lock": uv,
    "poetry.lock": poetry,
    "package-lock.json": npm,
    "npm-shrinkwrap.json": npm,
    "pnpm-lock.yaml": pnpm,
    "yarn.lock": yarn,
    "Cargo.lock": cargo,
    "renv.lock": renv,
}

_BY_HAND = {
    "Pipfile.lock": "pipenv install NAME",
    ".package-lock.json": "npm install NAME",
}


def driver_of(lockfile: str) -> Driver:
    """Who changes a lockfile of this name. Raises RequestError naming what to do by hand."""
    name = os.path.basename(lockfile)
    if name in DRIVERS:
        return DRIVERS[name]
    if name.startswith("requirements") and name.endswith(".txt"):
        return requirements
    tool = _BY_HAND.get(name)
    raise RequestError(
        f"{lockfile}: devenv knows no tool that changes it without installing",
        hint=f"in the environment, `{tool}`; then `devenv lock`"
        if tool
        else "change it by its own tool, then `devenv lock`",
    )
