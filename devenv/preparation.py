"""Making a project's environment present: realise what is missing, compose, remember."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from devenv.adapter import SitePackages
from devenv.caching import substitution
from devenv.config.lock import Lock
from devenv.environment.instantiate import Instantiated
from devenv.errors import DevenvError
from devenv.extending import OUTSIDE, outside_files
from devenv.formats.store_path import sanitize_name
from devenv.instantiation import instantiate_project
from devenv.known import key as known_key
from devenv.known import read as read_known
from devenv.known import write as write_known
from devenv.overrides.reading import files as override_files
from devenv.overrides.reading import watched as watched_overrides
from devenv.project import CONFIG_NAME, LOCK_NAME, Project, StaleLock
from devenv.providers.python_host import minor_version
from devenv.recalling import project_lock, recall
from devenv.recording import known_environment
from devenv.stamp import store_request as requested_store
from devenv.stamp import take_signatures, write_stamp

if TYPE_CHECKING:
    from devenv.composition import Composed
    from devenv.derivations.process import BuildOptions
    from devenv.formats.store_path import StorePath
    from devenv.store.generations import Generation
    from devenv.store.local import Store


# What an unpacked package says may lead to others that have to be asked as well.
_MOST_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """`spec` is the environment's store path; `notices` are lines for people.

    `uncompiled` says whether byte code is missing that `realise_bytecode` would make.
    """

    spec: str
    notices: tuple[str, ...]
    uncompiled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `devenv status` shows. `missing` and `objects` are None while the lock does not fit.

    `base`: what is locked of it, its name, the number of its packages and the dates of its suites.
    """

    project: str
    name: str
    lock: str
    reasons: list[str]
    toolchains: list[dict[str, str]]
    lockfiles: list[dict[str, Any]]
    base: dict[str, Any] | None
    store: str
    objects: int | None
    missing: int | None
    views: list[dict[str, str]]
    drift: list[dict[str, str | None]]
    overrides: list[dict[str, Any]]
    next_step: str


def realise_bytecode(project: Project) -> None:
    """Make the packages and their byte code valid in the store; `prepare` then puts it into the view.

    Takes no lock of the project's, so that nobody waits for what is only good to have.
    """
    from devenv.derivations.realise import realise
    from devenv.store.local import Store

    made, _ = instantiate_project(project)
    with Store.open(project.workplace.layout) as store:
        _add_directories(made, store)
        realise(
            store,
            made.graph,
            (*made.targets, *made.later),
            client=project.workplace.client,
            pythons=_pythons(made),
            reporter=project.settings.reporter,
            jobs=project.workplace.jobs,
            options=_build_options(project),
            bring=substitution(project.workplace, store),
        )


def _add_directories(made: Instantiated, store: Store) -> None:
    """The directories of the project of which wheels are built."""
    if made.directories:
        from devenv.providers.local_sources import source_tree
        from devenv.recipes.sources import add_source

        for directory in made.directories:
            add_source(source_tree(directory), store)


def prepare(project: Project, *, back_to: Generation | None = None) -> Prepared:
    """Bring everything of the project's environment into being and return its spec.

    Byte code is used where it is there, and not made. `back_to`: the generation that this is, if it is an earlier one.
    With given parameters it is an environment for one time: a generation, but not the one that the project is in.

    Killed at any point, it leaves the former environment or one that the next call completes. Raises StaleLock,
    FetchError, BuildError, ViewError, StoreError.
    """
    environ = {**project.settings.environ}
    if project.settings.store_dir:
        environ["DEVENV_STORE_DIR"] = project.settings.store_dir
    lasting = back_to is not None or not (project.given or project.profiles)
    here = lasting and project.sources == project.root  # it is what the files here say
    with project_lock(project.root):
        key = known_key(project.root, environ) if here else ""
        known = read_known(key, environ) if here else None
        if known is not None:
            layout, reporter = project.workplace.layout, project.settings.reporter
            if recall(project.root, known, layout, environ, reporter):
                return Prepared(spec=known.spec, notices=tuple(known.notices), uncompiled=bool(known.later))
        # Taken before anything is read: a file edited meanwhile must look changed next time.
        signatures = take_signatures(watched_by(project))
        if project.sources != project.root:
            # Made of files of another time: what counts as a change is one of those that are here now.
            signatures |= take_signatures(_present_files(project))
        made, composed, sources, notices = _make(project, back_to, lasting=lasting)
        if here and sources is not None and key == known_key(project.root, environ):
            found = known_environment(
                project.root, made, composed, sources=sources, signatures=signatures, notices=notices
            )
            if found is not None:
                write_known(key, found, environ)
        signatures |= take_signatures(composed.watched)
        if lasting:
            write_stamp(project.root, requested_store(environ), composed.spec, signatures, environ)
    uncompiled = not composed.compiled.issuperset(node.out for node in made.later)
    return Prepared(spec=composed.spec, notices=(*notices, *composed.notices), uncompiled=uncompiled)


def _make(
    project: Project, back_to: Generation | None, *, lasting: bool
) -> tuple[Instantiated, Composed, StorePath | None, tuple[str, ...]]:
    """Realise and compose: what was instantiated, what came of it, the sources where they were kept, notices."""
    from devenv.composition import compose
    from devenv.derivations.realise import realise
    from devenv.env.compiled_objects import offer
    from devenv.store.generations import record_generation, select_generation
    from devenv.store.local import Store

    made, notices = instantiate_project(project)
    place = project.workplace
    sources = None
    with Store.open(place.layout) as store:
        bring = substitution(place, store)
        _add_directories(made, store)
        for _ in range(_MOST_ROUNDS):
            if not made.undecided:
                break
            realise(
                store,
                made.graph,
                made.undecided,
                client=place.client,
                pythons={},
                reporter=project.settings.reporter,
                jobs=place.jobs,
                options=_build_options(project),
                bring=bring,
            )
            made, notices = instantiate_project(project)
        realise(
            store,
            made.graph,
            made.targets,
            client=place.client,
            pythons=_pythons(made),
            reporter=project.settings.reporter,
            jobs=place.jobs,
            options=_build_options(project),
            bring=bring,
        )
        with suppress(OSError):  # a full disk, say: it only saves time
            offer(project.root)
        if bring is not None:
            bring(node.out for node in made.later)
        composed = compose(project.root, made, store, project.settings.reporter, lasting=lasting)
        if back_to is not None and composed.spec == back_to.target:
            select_generation(place.layout, project.root, back_to.number)
        else:
            sources = _add_sources(project, store)
            record_generation(place.layout, project.root, composed.spec, sources, current=lasting)
    return made, composed, sources, notices


def _build_options(project: Project) -> BuildOptions:
    from devenv.derivations.process import BuildOptions

    return BuildOptions(project=project.root)


def _present_files(project: Project) -> list[str]:
    try:
        return watched_by(Project(project.root, project.settings))
    except DevenvError:
        return [os.path.join(project.root, name) for name in (CONFIG_NAME, LOCK_NAME)]


def _add_sources(project: Project, store: Store) -> StorePath:
    """What the environment was made from as a store object, for going back to it."""
    names = {CONFIG_NAME, LOCK_NAME, *(name for lockfile in project.lockfiles for name in lockfile.files)}
    names |= {name for name in project.extended if not name.startswith(("/", "../"))}
    names |= set(override_files(project.config.overrides))
    with store.temporary_directory() as folder:
        tree = os.path.join(folder, "sources")
        for name in sorted(names):
            path = os.path.join(tree, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(os.path.join(project.sources, name), "rb") as source, open(path, "wb") as target:
                target.write(source.read())
        outside = outside_files(project.root, project.extended)
        if outside:
            with open(os.path.join(tree, OUTSIDE), "w", encoding="utf-8") as file:
                json.dump(outside, file, indent=1, sort_keys=True)
        return store.adopt_tree(sanitize_name(f"{project.config.name}-sources"), tree, frozenset())


def watched_by(project: Project) -> list[str]:
    """Every file whose change may change the environment."""
    lockfiles = project.lockfiles  # what else was read for the configuration is known after that
    names = [
        CONFIG_NAME,
        LOCK_NAME,
        *project.extended,
        *watched_overrides(project.config.overrides),
        *(name for lockfile in lockfiles for name in lockfile.files),
    ]
    for lockfile in lockfiles:
        if lockfile.ecosystem == "cargo":  # the names of its sources are those of cargo's own settings
            beside = os.path.dirname(lockfile.path)
            names += [os.path.join(beside, ".cargo", name) for name in ("config.toml", "config")]
    if not lockfiles:
        from devenv.adapter import ECOSYSTEMS
        from devenv.config.lockfile_names import found_by_themselves

        names += [name for ecosystem in ECOSYSTEMS for name in found_by_themselves(ecosystem)]
    return [os.path.join(project.root, name) for name in names]


def _pythons(made: Instantiated) -> Mapping[str, str]:
    return {minor_version(made.python.version): made.python.path} if made.python else {}


def project_status(project: Project) -> Status:
    """Compare configuration, lockfiles, lock, store and views. Changes nothing, asks no network."""
    reasons: list[str] = []
    made: Instantiated | None = None
    state = "current"
    try:
        made, _ = instantiate_project(project)
    except StaleLock as stale:
        state, reasons = ("missing" if stale.missing else "stale"), stale.reasons
    lock = project.lock
    layout = project.workplace.layout
    objects = missing = None
    views: list[dict[str, str]] = []
    if made is not None:
        objects, missing = _count_missing(made, layout)
        views = _view_states(project.root, made)
    return Status(
        project=project.root,
        name=project.config.name,
        lock=state,
        reasons=reasons,
        toolchains=[{"name": t.name, "version": t.version} for t in (lock.toolchains if lock else ())],
        lockfiles=_lockfile_counts(project, made),
        base=_base_state(lock),
        store=layout.store,
        objects=objects,
        missing=missing,
        views=views,
        drift=_drift(project.root, made) if made is not None else [],
        overrides=_overrides(project),
        next_step=_next_step(state, missing, views),
    )


def _count_missing(made: Instantiated, layout: Any) -> tuple[int, int]:
    from devenv.store.local import Store

    outputs = {node.out for node in made.targets}
    if not os.path.exists(layout.database):
        return len(outputs), len(outputs)
    with Store.open(layout) as store:
        return len(outputs), len(outputs) - len(store.valid_paths(outputs))


def _view_states(root: str, made: Instantiated) -> list[dict[str, str]]:
    from devenv.composition import view_roots
    from devenv.views.compose import composed_key

    found = []
    for place, key in view_roots(root, made):
        present = composed_key(place)
        state = "composed" if present == key else "missing" if present is None else "of another version"
        found.append({"root": os.path.relpath(place, root), "state": state})
    return found


def _drift(root: str, made: Instantiated) -> list[dict[str, str | None]]:
    """What was installed by hand over what the lockfiles say, each with a sentence about it."""
    from devenv.environment.views import NPM_PREFIX, RPackages
    from devenv.views.drift import npm_drift, python_drift, r_drift

    rows = list(npm_drift(os.path.join(root, NPM_PREFIX), NPM_PREFIX))
    for recipe in made.recipes:
        if isinstance(recipe.view, SitePackages):
            rows += python_drift(os.path.join(root, recipe.root), recipe.view, recipe.root)
        elif isinstance(recipe.view, RPackages):
            library = os.path.join(root, recipe.root, recipe.view.directory)
            locked = {package.name: package.version for package in recipe.view.packages}
            rows += r_drift(library, locked, recipe.trees, recipe.root)
    return [{**asdict(row), "sentence": row.sentence} for row in rows]


def _overrides(project: Project) -> list[dict[str, Any]]:
    from devenv.overrides.listing import rows

    found = rows(project.config.overrides, project.lock.overrides if project.lock else {})
    return [{**asdict(row), "sentence": row.sentence} for row in found]


def _lockfile_counts(project: Project, made: Instantiated | None) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    if made is not None:
        for recipe in made.recipes:
            kind = {"node_modules": "npm"}.get(recipe.kind, recipe.kind)
            counts[kind] = counts.get(kind, 0) + len(recipe.trees)
    return [
        {"path": lockfile.path, "ecosystem": lockfile.ecosystem, "packages": counts.get(lockfile.ecosystem)}
        for lockfile in project.lockfiles
    ]


def _base_state(lock: Lock | None) -> dict[str, Any] | None:
    if lock is None or lock.base is None:
        return None
    base = lock.base
    return {
        "name": base.base,
        "architecture": base.architecture,
        "packages": len(base.packages),
        "bytes": sum(deb.size for deb in base.packages),
        "suites": {state.suite: state.date for state in base.suites},
    }


def _next_step(state: str, missing: int | None, views: list[dict[str, str]]) -> str:
    if state != "current":
        return "devenv lock"
    if missing or any(view["state"] != "composed" for view in views):
        return "devenv enter fetches and composes what is missing"
    return "devenv enter"
