"""Lockfiles as plans, and the rounds of questions and answers that make these complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from devenv.adapter import BuildQuery, FileQuery, GitQuery, PypiQuery, Query, RemoteFile, RQuery, Target
from devenv.basis import Basis
from devenv.environment.planned import PlannedLockfile
from devenv.errors import DevenvError, raise_problems
from devenv.lockfiles import Lockfile
from devenv.project import CONFIG_NAME, Project

if TYPE_CHECKING:
    from devenv.answers import Answers

_MOST_ROUNDS = 6


def plan_lockfiles(
    lockfiles: tuple[Lockfile, ...], target: Target, completions: Mapping[str, tuple[RemoteFile, ...]]
) -> list[PlannedLockfile]:
    """Every lockfile's plan; the errors of all of them are reported together."""
    found, problems = [], []
    for lockfile in lockfiles:
        if lockfile.ecosystem == "python" and target.python is None:
            problems.append(
                DevenvError(
                    f"{lockfile.path} needs a Python and {CONFIG_NAME} names none",
                    hint='add `python = "3.11"`, or the version you need, to [packages]',
                )
            )
            continue
        try:
            plan = lockfile.plan(target, completions)
            found.append(PlannedLockfile(path=lockfile.path, directory=lockfile.directory, plan=plan))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return found


def all_queries(plans: list[PlannedLockfile]) -> list[Query]:
    unique = {query.key: query for entry in plans for query in entry.plan.queries}
    return list(unique.values())


def complete(
    project: Project,
    lockfiles: tuple[Lockfile, ...],
    basis: Basis,
    known: Mapping[str, tuple[RemoteFile, ...]],
) -> tuple[list[PlannedLockfile], Answers]:
    """Plans without open queries, and the answers that they used: those `known` that still hold, and new ones.

    Raises DevenvError, as Problems for several, for what nobody answers, and where the answers never settle it.
    """
    files: Answers = {}
    plans = plan_builds(project, lockfiles, basis, files)
    # An answer may be about a file that the lockfile no longer means: such a plan asks again. Some lead to further
    # questions: which file it is, then what its build needs.
    asked: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        open_queries = all_queries(plans)
        if not open_queries:
            return plans, files
        old = {q.key: known[q.key] for q in open_queries if q.key in known and q.key not in asked}
        files |= {q.key: old[q.key] for q in open_queries if q.key in old and _is_answered(q, old[q.key])}
        missing = [query for query in open_queries if query.key not in files or query.key in asked]
        asked |= {query.key for query in open_queries}
        answers = _answers(project, missing, basis)
        files |= {key: useful_files(found, basis.target) for key, found in answers.items()}
        plans = plan_builds(project, lockfiles, basis, files)
    raise DevenvError(
        "the registries' answers do not settle "
        + ", ".join(sorted(query.key for query in all_queries(plans))[:5]),
        hint="the lockfile and the registry disagree; write the lockfile anew with its own tool",
    )


def plan_builds(
    project: Project,
    lockfiles: tuple[Lockfile, ...],
    basis: Basis,
    files: Mapping[str, tuple[RemoteFile, ...]],
) -> list[PlannedLockfile]:
    """What the lockfiles mean, with the builds of the directories that they name."""
    from devenv.local_projects import with_builds

    return with_builds(project.root, plan_lockfiles(lockfiles, basis.target, files), basis.python, files)


def _answers(project: Project, queries: list[Query], basis: Basis) -> Answers:
    """Ask registries, repositories and build backends. Raises one error for all that cannot be answered."""
    from devenv.answers import answer

    builds = [query for query in queries if isinstance(query, BuildQuery)]
    answers = answer(project.workplace, queries)
    if builds and basis.python is not None:
        from devenv.plugins import load_adapters
        from devenv.providers.build_requirements import Asker
        from devenv.providers.rust_sources import RustReader

        place = project.workplace
        asker = Asker(
            endpoints=place.endpoints,
            client=place.client,
            layout=place.layout,
            reporter=project.settings.reporter,
            jobs=place.jobs,
            python=basis.python,
            base=basis.base,
            rust=RustReader(
                adapter=load_adapters()["cargo"],
                ask=lambda queries: answer(place, list(queries)),
                environ=project.settings.environ,
                offline=project.settings.offline,
            ),
        )
        answers |= asker.answer(builds)
    return answers


def _is_answered(query: Query, files: tuple[RemoteFile, ...]) -> bool:
    """Do these files answer the query as the lockfile asks it now? Its hashes may have changed since."""
    if isinstance(query, BuildQuery):
        return True  # all that it depends on is in its key
    if isinstance(query, FileQuery) and query.url.startswith(("project:", "file:")):
        return False  # it may be another by now, and is asked at no cost
    if isinstance(query, GitQuery | RQuery | FileQuery):
        return bool(files)  # a commit never changes, a named file is checked when it is fetched
    hashes = query.hashes if isinstance(query, PypiQuery) else tuple(filter(None, [query.hash]))
    return bool(files) and (not hashes or all(file.hash in hashes for file in files))


def useful_files(files: tuple[RemoteFile, ...], target: Target) -> tuple[RemoteFile, ...]:
    """The wheels that this Python can use on either supported machine, and the sdist; all files when there is no such wheel.

    devenv.lock then works on x86_64 and aarch64 without listing every file that was ever uploaded.
    """
    from packaging.utils import parse_wheel_filename

    if len(files) < 2 or target.python is None:
        return files
    tags = set(target.python.tags)
    other = "aarch64" if target.machine == "x86_64" else "x86_64"
    tags |= {tag.replace(target.machine, other) for tag in tags}
    kept, sources = [], []
    for file in files:
        try:
            wheel_tags = parse_wheel_filename(file.file_name)[3]
        except ValueError:
            sources += [file] if file.crate or file.file_name.endswith((".tar.gz", ".zip")) else []
            continue
        if any(str(tag) in tags for tag in wheel_tags):
            kept.append(file)
    return (*kept, *sources) if kept else files
