"""What prompt hooks are told about a project: prepares its environment if it may be entered, and writes the answer down.

Started by a hook, in the background, when a project is new to it or something changed; by `devenv allow` and
`devenv deny` in the foreground. Never asks and never prints.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from devenv.composition import add_spec
from devenv.errors import DevenvError
from devenv.events import Event, Reporter, Started
from devenv.hook_index import (
    Entry,
    Kind,
    can_be_hooked,
    entry_directory,
    read_entry,
    write_entry,
)
from devenv.instantiation import instantiate_project
from devenv.preparation import prepare, watched_by
from devenv.project import CONFIG_NAME, LOCK_NAME, Project, StaleLock
from devenv.stamp import current_spec, watched_files
from devenv.state_home import hook_directory
from devenv.trust import Trust
from devenv.trust_request import Request, safe_part
from devenv.trusting import is_trusted, project_request
from devenv.workplace import Settings

# Two edits within this time can have the same modification time: the clock that files are stamped with ticks slower
# than the one that programs read.
_TICK = 20_000_000  # nanoseconds
_LONGEST_WAIT = 2.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh found. `uncompiled`: byte code is missing, and worth making in the background."""

    entry: Entry
    uncompiled: bool = False


class _Announcer(Reporter):
    """Calls a function once, when work begins that takes time."""

    def __init__(self, announce: object) -> None:
        self._announce = announce

    def event(self, event: Event) -> None:
        if isinstance(event, Started) and callable(self._announce):
            announce, self._announce = self._announce, None
            announce()


def refresh(root: str, settings: Settings) -> Refreshed | None:
    """Bring the entry of the project at `root` up to date; None where another process is doing it.

    `root` is a real path. Raises HookIndexError; what is wrong with the project goes into its entry.
    """
    tree = hook_directory(settings.environ)
    if not can_be_hooked(root):
        return None
    with _only_one(entry_directory(tree, root)) as alone:
        return _refresh(root, tree, settings) if alone else None


def _refresh(root: str, tree: str, settings: Settings) -> Refreshed:
    before = read_entry(tree, root)
    project = Project(root, settings)
    often = _watched(project, before)
    mtimes = settled_mtimes(often)
    watched: tuple[tuple[Kind, str], ...] = tuple(("watch", path) for path in often)
    last = Entry(project=root, state="failed", spec=before.spec if before else "", watched=watched)

    def announce() -> None:
        what = "the former environment stays meanwhile" if last.spec else "you can go on working"
        label = _label(project)
        write_entry(
            tree,
            replace(last, state="building", say=f"{label} is being prepared in the background; {what}"),
            mtimes,
        )

    project = Project(root, replace(settings, reporter=_Announcer(announce)))
    found = _judge(project, last)
    if found.entry.state == "ready":
        more = [
            path for path in watched_files(root, settings.environ) if path not in mtimes and path not in often
        ]
        mtimes |= settled_mtimes(more)
        looked: tuple[tuple[Kind, str], ...] = tuple(("look", path) for path in more)
        found = replace(found, entry=replace(found.entry, watched=(*watched, *looked)))
    if before is not None and found.entry.spec != before.spec and found.entry.state == "ready":
        found = replace(
            found, entry=replace(found.entry, news=f"{_label(project)}: the environment is ready")
        )
    write_entry(tree, found.entry, mtimes)
    return found


def _judge(project: Project, last: Entry) -> Refreshed:
    """The new entry, with the last environment where there is no new one."""
    try:
        trust = Trust(project.settings.environ)
        request = project_request(project)
        verdict = trust.verdict(project.root, request)
        if verdict == "denied":
            return Refreshed(entry=replace(last, state="denied", spec=""))
        if is_trusted(project, trust, request):
            return _prepared(project, last)
        return Refreshed(entry=_safe(project, request, last))
    except StaleLock as stale:
        why = "has no devenv.lock" if stale.missing else "has a stale devenv.lock"
        return Refreshed(entry=replace(last, say=f"{_label(project)} {why}: run `devenv lock`{_stays(last)}"))
    except DevenvError as error:
        return Refreshed(
            entry=replace(last, say=f"{_label(project)}: {error}{_stays(last)}".replace("\n", " "))
        )


def _prepared(project: Project, last: Entry) -> Refreshed:
    spec = current_spec(project.root, project.settings.environ)
    uncompiled = False
    if spec is None:
        prepared = prepare(project)
        spec, uncompiled = prepared.spec, prepared.uncompiled
    return Refreshed(entry=replace(last, state="ready", spec=spec), uncompiled=uncompiled)


def _safe(project: Project, request: Request, last: Entry) -> Entry:
    """The part of the environment that needs no answer, and a line about the rest."""
    from devenv.derivations.realise import realise
    from devenv.store.local import Store
    from devenv.store.roots import add_indirect_root

    made, _ = instantiate_project(project)
    made = replace(made, spec=safe_part(made.spec, request.items))
    state: str = "waiting" if request.items else "ready"
    say = ""
    if request.items:
        say = f"{_label(project)} waits for you: `devenv allow` shows what it wants to do"
    if not made.spec.variables:
        return replace(last, state="waiting" if request.items else "ready", spec="", say=say)
    place = project.workplace
    packages = {package.path for package in made.spec.packages}
    targets = [node for node in made.targets if node.out in packages]
    with Store.open(place.layout) as store:
        realise(
            store,
            made.graph,
            targets,
            client=place.client,
            pythons={},
            reporter=project.settings.reporter,
            jobs=place.jobs,
        )
        spec = add_spec(made, store)
        folder = entry_directory(hook_directory(project.settings.environ), project.root)
        add_indirect_root(store.layout, os.path.join(folder, "root"), spec)
    return replace(last, state="waiting" if state == "waiting" else "ready", spec=spec, say=say)


def _stays(last: Entry) -> str:
    return " (the former environment stays)" if last.spec else ""


def _label(project: Project) -> str:
    try:
        return project.config.name
    except DevenvError:
        return os.path.basename(project.root)


def _watched(project: Project, before: Entry | None) -> list[str]:
    """The files whose change may change the environment, as far as they can be told."""
    try:
        return watched_by(project)
    except DevenvError:
        known = [path for kind, path in before.watched if kind != "look"] if before else []
        return known or [os.path.join(project.root, name) for name in (CONFIG_NAME, LOCK_NAME)]


def settled_mtimes(paths: list[str]) -> dict[str, int]:
    """Modification times in nanoseconds of those that exist, none of them so young that a further edit could keep it.

    Waits for at most some seconds, while somebody goes on writing.
    """
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        found = _mtimes(paths)
        now = time.time_ns()
        if not any(0 <= now - mtime < _TICK for mtime in found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(_TICK / 1e9)


def _mtimes(paths: list[str]) -> dict[str, int]:
    found = {}
    for path in paths:
        try:
            found[path] = os.stat(path).st_mtime_ns
        except OSError:
            continue
    return found


@contextmanager
def _only_one(place: str) -> Iterator[bool]:
    """Whether this process is the only one that refreshes this entry."""
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(place, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DevenvError(f"preparing {place}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def told(environ: Mapping[str, str], root: str) -> Entry | None:
    """What hooks know about a project at present."""
    return read_entry(hook_directory(environ), root)
