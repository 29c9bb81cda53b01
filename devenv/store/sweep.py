"""Collecting garbage: everything that no root reaches is deleted, while others go on working.

gc.lock is held exclusively only until what is dead is unregistered and out of the store directory, by renaming;
taking it apart comes afterwards. Meanwhile other processes send their roots to `root_server`, and each batch is
checked against them at the last moment. A path is unregistered before it is moved, and nothing that is
registered refers to it then: a process killed at any instant leaves garbage, which the next collection finds, and
nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Planned, Reporter, Started
from devenv.formats.store_path import StorePath, digest_of
from devenv.store import reserve
from devenv.store.collect import (
    DEFAULT_POLICY,
    Plan,
    Policy,
    deletion_order,
    live_paths,
    make_plan,
)
from devenv.store.database import Database
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.gc_lock import collecting, locked
from devenv.store.generations import (
    Generation,
    Profile,
    expired,
    find_profiles,
    remove_generations,
)
from devenv.store.layout import Layout
from devenv.store.leftovers import LINKS, digest_in, forgotten_downloads, is_being_made, remove_unused_links
from devenv.store.objects import Objects, referrers, referrers_closure, size_of
from devenv.store.root_search import Root, RootSearch, roots_of
from devenv.store.root_server import RootServer
from devenv.store.temporary import remove_stale
from devenv.store.trash import Trash, delete
from devenv.store.views import dead_views

__all__ = ["Collected", "Limits", "collect", "delete_paths"]

# Unregistered in one transaction; so long others may have to wait for an answer.
_AT_ONCE = 256
_PATIENCE = 1.0  # seconds, with those who ask to keep something and then do not write it down
# With fewer bytes free than this, space is made before more of it is taken.
_SCARCE = 16 * 1024 * 1024
_AT_ONCE_WHEN_SCARCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what is not in use stays.

    older_than: seconds since when a generation is no longer in use, after which it goes
    keep: how many generations of each project stay in any case; without `older_than`, exactly so many stay
    max_size: bytes of NARs that the store may have; less than that is deleted only as far as needed, and old
        generations go as well where garbage is not enough
    """

    older_than: float | None = None
    keep: int | None = None
    max_size: int | None = None


NO_LIMITS = Limits()


@dataclass(slots=True, kw_only=True)
class Collected:
    """What a collection deleted or, as a dry run, would delete.

    paths: registered ones with the bytes of their NARs; others: what else lay in the store directory
    views: directories of views that nothing keeps
    generations: links that went; stale: roots whose link is gone; live, kept: how many paths stay, used or unused
    freed: bytes freed on the disk, of a real run; problems: what could not be deleted
    """

    paths: dict[StorePath, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    live: int = 0
    kept: int = 0
    freed: int = 0
    problems: list[DevenvError] = field(default_factory=list)


def collect(
    layout: Layout,
    *,
    limits: Limits = NO_LIMITS,
    policy: Policy = DEFAULT_POLICY,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Collected:
    """Delete all garbage of a store. Raises `StoreError`; what single paths refuse is in `problems`."""
    if not os.path.exists(layout.gcroots):
        return Collected()  # there has never been a store
    reporter = reporter or Reporter()
    with closing(Trash(layout.tmp)) as trash:
        if dry_run:
            with locked(layout, reporter, exclusive=False), closing(Database(layout.database)) as database:
                return _Collection(layout, database, limits, policy, None).preview()
        _make_room(layout, trash)
        with collecting(layout, reporter) as (server, database):
            collection = _Collection(layout, database, limits, policy, server)
            collection.run(trash)
        done = collection.done
        _empty(trash, done, reporter)
    done.freed += remove_unused_links(layout)
    reserve.make(layout.database)
    return done


def delete_paths(
    layout: Layout,
    paths: Iterable[StorePath],
    *,
    with_referrers: bool = False,
    policy: Policy = DEFAULT_POLICY,
    reporter: Reporter | None = None,
) -> Collected:
    """Delete just these paths, `with_referrers` also all that refer to them; none if one is in use.

    Raises `StoreError`, as `Problems` for several.
    """
    reporter = reporter or Reporter()
    with closing(Trash(layout.tmp)) as trash:
        with collecting(layout, reporter) as (server, database):
            collection = _Collection(layout, database, NO_LIMITS, policy, server)
            collection.run_for(set(paths), with_referrers, trash)
        _empty(trash, collection.done, reporter)
    collection.done.freed += remove_unused_links(layout)
    return collection.done


class _Collection:
    """One collection with gc.lock held. `server` is None where nothing is to be deleted."""

    def __init__(
        self, layout: Layout, database: Database, limits: Limits, policy: Policy, server: RootServer | None
    ) -> None:
        self.layout = layout
        self.database = database
        self.limits = limits
        self.policy = policy
        self.server = server
        self.done = Collected()
        self._kept_digests: set[str] = set()

    def preview(self) -> Collected:
        """What `run` would delete now."""
        objects, _, plan = self._plan()
        self.done.paths = {path: objects[path].size for path in plan.dead}
        self.done.others = list(self._others(objects))
        self.done.downloads = list(forgotten_downloads(self.layout))
        self.done.views = self._dead_views(set(plan.dead))
        return self.done

    def run(self, trash: Trash) -> None:
        """Delete, or move to the trash. `done` says at any time what is done."""
        objects, profiles, plan = self._plan()
        remove_generations(profiles, self.done.generations)
        for link in self.done.stale:
            with explaining("removing a stale root", link), suppress(FileNotFoundError):
                os.unlink(link)
        self._remove_downloads(trash)
        for path in self._others(objects):
            self._remove_other(path, trash)
        self._delete(objects, plan.dead, trash)
        self._remove_views(trash)
        self._settle()

    def run_for(self, wanted: set[StorePath], with_referrers: bool, trash: Trash) -> None:
        """Delete `wanted`, unless a root reaches some of it."""
        objects = self.database.objects()
        temporary, roots, _ = _find_roots(self.layout, objects, tidy=True)
        assert self.server is not None
        self.server.keep(temporary)
        if with_referrers:
            wanted |= referrers_closure(objects, wanted)
        raise_problems(_objections(objects, roots, wanted, self.policy))
        self._delete(objects, deletion_order(objects, wanted), trash)
        self._remove_views(trash)
        self._settle()

    def _plan(self) -> tuple[Objects, list[Profile], Plan]:
        objects = self.database.objects()
        temporary, roots, self.done.stale = _find_roots(self.layout, objects, tidy=self.server is not None)
        if self.server is not None:
            self.server.keep(temporary)
        self._kept_digests = temporary
        profiles = find_profiles(self.layout)
        before = None if self.limits.older_than is None else time.time() - self.limits.older_than
        self.done.generations = expired(profiles, before=before, keep=self.limits.keep)
        if self.limits.max_size is not None:
            self.done.generations += self._more_generations(objects, roots, profiles, self.limits.max_size)
        plan = make_plan(
            objects,
            _without(roots, self.done.generations),
            policy=self.policy,
            max_size=self.limits.max_size,
        )
        self.done.live, self.done.kept = len(plan.live), len(plan.kept)
        return objects, profiles, plan

    def _more_generations(
        self, objects: Objects, roots: set[Root], profiles: list[Profile], max_size: int
    ) -> list[Generation]:
        """The generations, longest out of use first, that must go besides for the store to get small enough."""
        gone = {generation.link for generation in self.done.generations}
        candidates = [
            generation
            for profile in profiles
            for generation in profile.generations
            if generation.replaced is not None
            and os.path.basename(generation.link) != profile.current
            and generation.link not in gone
        ]
        candidates.sort(key=lambda generation: (generation.replaced or 0, generation.link))

        def fits(count: int) -> bool:
            left = _without(roots, [*self.done.generations, *candidates[:count]])
            return size_of(objects, live_paths(objects, left, self.policy)) <= max_size

        low, high = 0, len(candidates)
        while low < high:  # more generations gone never make more paths live
            middle = (low + high) // 2
            low, high = (low, middle) if fits(middle) else (middle + 1, high)
        return candidates[:low]

    def _others(self, objects: Objects) -> Iterator[str]:
        """What lies in the store directory and is not registered, except what processes asked to keep."""
        with explaining("reading the store directory", self.layout.store):
            names = sorted(os.listdir(self.layout.store))
        for name in names:
            path = f"{self.layout.store}/{name}"
            if path in objects or name == LINKS or is_being_made(name):
                continue
            digest = digest_in(self.layout, path)
            if digest is None or digest not in self._kept_digests:
                yield path

    def _remove_other(self, path: str, trash: Trash) -> None:
        digest = digest_in(self.layout, path)
        server = self.server
        assert server is not None
        if digest is not None:
            if not server.claim([StorePath(path)]):
                return
            # It may have become valid since the database was read.
            if self.database.valid_paths([path]):
                server.release()
                return
        try:
            self._move(path, trash)
            self.done.others.append(path)
        finally:
            server.release()

    def _delete(self, objects: Objects, dead: Iterable[StorePath], trash: Trash) -> None:
        server = self.server
        assert server is not None
        todo, kept = list(dead), set[StorePath]()
        while todo:
            scarce = reserve.free_bytes(self.layout.database) < _SCARCE
            count = _AT_ONCE_WHEN_SCARCE if scarce else _AT_ONCE
            batch, todo = todo[:count], todo[count:]
            wanted = [path for path in batch if path not in kept]
            try:
                free = server.claim(wanted)
                if len(free) < len(wanted):
                    # Asked for meanwhile: they stay, with all that they reach.
                    kept |= live_paths(objects, set(wanted).difference(free), self.policy)
                    free = [path for path in free if path not in kept]
                gone = self.database.unregister(free, checkpoint=scarce)
                for path in free:
                    if path in gone:
                        self.done.paths[path] = objects[path].size
                        self._move(path, trash, at_once=scarce)
            finally:
                server.release()
        self.done.live += len(kept)

    def _settle(self) -> None:
        """Have the roots that were sent written down before another collection may begin."""
        assert self.server is not None
        search = RootSearch(self.layout, ())
        self.server.settle(lambda: {path for path, _ in search.temporary(tidy=False)}, _PATIENCE)

    def _move(self, path: str, trash: Trash, *, at_once: bool = False) -> None:
        try:
            self.done.freed += trash.take(path, at_once=at_once)
        except StoreError as error:
            self.done.problems.append(error)

    def _dead_views(self, gone: Collection[str] = ()) -> list[str]:
        """The views whose recipes are not valid, or among `gone`."""
        with explaining("looking for views", self.layout.views):
            return dead_views(
                self.layout,
                lambda paths: self.database.valid_paths(
                    StorePath(path) for path in paths if path not in gone
                ),
            )

    def _remove_views(self, trash: Trash) -> None:
        for path in self._dead_views():
            self._move(path, trash)
            self.done.views.append(path)

    def _remove_downloads(self, trash: Trash) -> None:
        for path in forgotten_downloads(self.layout):
            self._move(path, trash)
            self.done.downloads.append(path)


def _objections(
    objects: Objects, roots: set[Root], wanted: set[StorePath], policy: Policy
) -> Iterator[StoreError]:
    """Why some of `wanted` cannot be deleted."""
    users = referrers(objects)
    live = live_paths(objects, {root.path for root in roots}, policy)
    for path in sorted(wanted):
        others = [user for user in users.get(path, ()) if user not in wanted]
        if path not in objects:
            yield StoreError(f"deleting {path}: it is not in the store", path=path)
        elif path in live:
            keeping = sorted(root.link for root in roots_of(objects, roots, [path], policy))
            yield StoreError(
                f"deleting {path}: it is in use, by {', '.join(map(shown, keeping[:3]))}"
                + (f" and {len(keeping) - 3} more" if len(keeping) > 3 else ""),
                hint="Remove those links, or end those processes; `devenv why` shows what needs it.",
                path=path,
            )
        elif others:
            yield StoreError(
                f"deleting {path}: {', '.join(others[:3])} would lack it",
                hint="--referrers deletes what refers to a path as well.",
                path=path,
            )


def _find_roots(layout: Layout, objects: Objects, *, tidy: bool) -> tuple[set[str], set[Root], list[str]]:
    """The hashes of temporary roots, all roots, and links to nothing."""
    search = RootSearch(layout, objects)
    temporary = set()
    for path, _ in search.temporary(tidy=tidy):
        digest = digest_in(layout, path)
        if digest is not None:
            temporary.add(digest)
    search.links()
    search.processes()
    roots = search.roots | {Root(path, "{temp}") for path in objects if digest_of(path) in temporary}
    return temporary, roots, search.stale


def _without(roots: set[Root], gone: Iterable[Generation]) -> set[StorePath]:
    links = {link for generation in gone for link in generation.links}
    return {root.path for root in roots if root.link not in links}


def _empty(trash: Trash, done: Collected, reporter: Reporter) -> None:
    """Delete what is in the trash. `done.freed` grows."""
    with explaining("removing what killed processes left", trash.directory):
        remove_stale(trash.directory)
    entries = trash.entries()
    reporter.event(Planned(kind="collect", count=len(entries)))
    for path in entries:
        reporter.event(Started(kind="collect", key=path, label=os.path.basename(path)))
        problem: StoreError | None = None
        try:
            with explaining("emptying the trash", path):
                for freed in delete(path):
                    done.freed += freed
        except StoreError as error:
            problem = error
            done.problems.append(error)
        reporter.event(Finished(key=path, failed=problem is not None))


def _make_room(layout: Layout, trash: Trash) -> None:
    """Where the disk is full, delete first what needs no database: deleting rows takes space, too."""
    if reserve.free_bytes(layout.database) >= _SCARCE:
        return
    reserve.release(layout.database)
    with suppress(StoreError, OSError):
        remove_stale(layout.tmp)
        for path in trash.entries():
            for _ in delete(path):
                pass
        for path in forgotten_downloads(layout, age=0):
            os.unlink(path)
