"""`devenv add`, `remove` and `update`: the ecosystem's own tool is run on its manifest, then devenv.lock is made to fit."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from devenv.adapter import missing_packages
from devenv.dependencies.drivers import SCRATCH, Action, Job, Step, driver_of, renv
from devenv.dependencies.keeping import Kept, changed_files
from devenv.dependencies.request import KINDS, Request, RequestError
from devenv.dependencies.system_packages import change_system
from devenv.errors import DevenvError, raise_problems
from devenv.locking import Locked, lock_project
from devenv.project import CONFIG_NAME, Project

_HINTS = {
    "uv": "`pip install uv` in the environment of devenv, or as uv's own documentation says",
    "npm": 'add `node = "22"` to [packages] of devenv.toml, `devenv lock`, and try again in `devenv enter`',
    "pnpm": "`npm install -g pnpm` in `devenv enter` puts it into the project",
    "yarn": "`npm install -g yarn` in `devenv enter` puts it into the project",
    "cargo": "install Rust as its own documentation says",
}
_BEGINNINGS = {
    "python": "`uv init --bare`, or a requirements.in with `uv pip compile -o requirements.txt`",
    "npm": "`npm init -y && npm install --package-lock-only`",
    "cargo": "`cargo init`",
    "r": "`renv::init()`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for. `lockfile`: which one is meant, where a project has several of an ecosystem."""

    action: Action
    requests: tuple[Request, ...]
    group: str | None = None
    lockfile: str | None = None


def change(project: Project, wanted: Wanted) -> Locked:
    """Do it, all of it or nothing: what fails leaves manifests and lockfiles as they were.

    Raises RequestError before anything is touched, if possible, and what the tools and `lock` raise.
    """
    jobs = _jobs(project, wanted)
    steps = [(job, _inside_at_once(driver_of(job.lockfile)(job), project)) for job in jobs]
    for _, each in steps:
        for one in each:
            _command(one, project)
    config = os.path.join(project.root, CONFIG_NAME)
    places = {(_place(one, job.directory), job.lockfile) for job, each in steps for one in each}
    places |= {(job.directory, job.lockfile) for job in jobs}
    kept = Kept((config, *(path for place in sorted(places) for path in changed_files(*place))))
    try:
        for job, each in steps:
            for one in each:
                _run(one, job.directory, project)
        system = tuple(request for request in wanted.requests if request.kind == "system")
        if system:
            change_system(config, wanted.action, system)
        return _locked(project, jobs, kept)
    except BaseException:
        if kept.put_back():
            print("devenv: manifests and lockfiles are as they were before", file=sys.stderr)
        raise


def _locked(project: Project, jobs: Sequence[Job], kept: Kept) -> Locked:
    """Make devenv.lock fit. What an added R package needs and no repository knew of is added as well.

    Of a package that is in no repository (r:owner/name) only its DESCRIPTION says what it needs, which `lock` reads.
    """
    asked: set[str] = set()
    while True:
        try:
            # Read anew: files have changed.
            return lock_project(Project(project.root, project.settings))
        except DevenvError as error:
            missing = missing_packages(error)
            job = next((job for job in jobs if driver_of(job.lockfile) is renv and job.action == "add"), None)
            if job is None or not missing or missing & asked:
                raise
            asked |= missing
            requests = tuple(Request(kind="r", name=name, text=name) for name in sorted(asked))
            # From the start, as the environment that R runs in is the one of the lockfile as it was.
            kept.put_back(os.path.join(job.directory, job.lockfile))
            for one in renv(replace(job, requests=(*job.requests, *requests))):
                _run(one, job.directory, project)


def _jobs(project: Project, wanted: Wanted) -> list[Job]:
    """One for each lockfile that is concerned. Raises RequestError for packages without one."""
    problems: list[DevenvError] = []
    by_lockfile: dict[str, list[Request]] = {}
    for request in wanted.requests:
        ecosystem = KINDS[request.kind]
        if ecosystem is None:
            continue
        paths = [each.path for each in project.lockfiles if each.ecosystem == ecosystem]
        chosen = [path for path in paths if wanted.lockfile in (None, path)]
        if len(chosen) == 1:
            by_lockfile.setdefault(chosen[0], []).append(request)
        else:
            problems.append(_undecided(request, ecosystem, paths))
    if not wanted.requests:
        by_lockfile = {each.path: [] for each in project.lockfiles if wanted.lockfile in (None, each.path)}
    raise_problems(problems)
    return [
        Job(
            action=wanted.action,
            requests=tuple(requests),
            directory=os.path.join(project.root, os.path.dirname(path)),
            lockfile=os.path.basename(path),
            group=wanted.group,
        )
        for path, requests in by_lockfile.items()
    ]


def _undecided(request: Request, ecosystem: str, paths: Sequence[str]) -> RequestError:
    if not paths:
        return RequestError(
            f"{request.kind}:{request.text}: the project has no lockfile for it",
            hint=f"begin one with {_BEGINNINGS[ecosystem]}",
        )
    return RequestError(
        f"{request.kind}:{request.text}: which lockfile is meant? There are {', '.join(paths)}",
        hint=f"say it with --lockfile {paths[0]}",
    )


def _program(name: str, environ: Mapping[str, str]) -> str:
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = shutil.which(name, path=environ.get("PATH"))
    if found is None and name == "uv" and os.access(beside, os.X_OK):
        found = beside
    if found is None:
        raise RequestError(f"{name} is needed for this, and is not on PATH", hint=_HINTS.get(name))
    return found


def _inside_at_once(steps: Sequence[Step], project: Project) -> Sequence[Step]:
    """The steps as they are; as one, where this machine lacks their program and the project's system packages have it.

    The environment could not be entered for the second when the first changed the lockfile.
    """
    first = steps[0]
    lacking = shutil.which(first.argv[0], path=project.settings.environ.get("PATH")) is None
    if first.inside or first.edits or not lacking or first.argv[0] not in project.config.system:
        return steps
    line = " && ".join(shlex.join(each.argv) for each in steps)
    return [replace(first, argv=("sh", "-c", line), inside=True, shown=line)]


def _command(step: Step, project: Project) -> list[str]:
    """The command line of a step. Raises RequestError for a program that is not there."""
    settings = project.settings
    if not step.inside:
        return [_program(step.argv[0], settings.environ), *step.argv[1:]]
    store = ["--store-dir", settings.store_dir] if settings.store_dir else []
    offline = ["--offline"] if settings.offline else []
    own = (sys.executable, "-m", "devenv", "enter", "--project", project.root)
    return [*own, *store, *offline, "--", *step.argv]


def _run(step: Step, directory: str, project: Project) -> None:
    """Run one command, its output shown as it comes."""
    environ = project.settings.environ
    try:
        for name, text in step.edits.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        with tempfile.TemporaryDirectory(prefix="devenv-") as scratch:
            done = subprocess.run(
                [word.replace(SCRATCH, scratch) for word in _command(step, project)],
                cwd=_place(step, directory),
                env={**environ, **_indexes(step.argv[0], project), **step.environ},
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                check=False,
            )
        status = done.returncode
    except OSError as error:
        raise RequestError(f"running {step.argv[0]} in {directory}: {error.strerror or error}") from error
    if status:
        command = step.shown or " ".join(step.argv)
        raise RequestError(
            f"`{command}` in {directory} ended with status {status}; devenv.lock is as it was",
            hint="what it printed above says why",
        )


def _place(step: Step, directory: str) -> str:
    here = os.getcwd()
    return here if step.here and f"{here}/".startswith(f"{os.path.realpath(directory)}/") else directory


def _indexes(program: str, project: Project) -> dict[str, str]:
    """What tools do not read by themselves: pip's settings, for uv; [registries] of devenv.toml.

    Only what is named is told to them.
    """
    endpoints = project.workplace.endpoints
    if program == "Rscript" and "cran" in project.config.registries:
        return {"RENV_CONFIG_REPOS_OVERRIDE": project.config.registries["cran"]}
    if program != "uv" or not (endpoints.python.settings.index_url or "pypi" in project.config.registries):
        return {}
    indexes = endpoints.python.urls()
    return {"UV_DEFAULT_INDEX": indexes[-1], "UV_INDEX": " ".join(indexes[:-1])} if indexes else {}
