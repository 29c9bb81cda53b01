"""Store objects into a binary cache: archives at once and in any order, then what is said of them, references first.

Killed at any moment, the cache has for each narinfo its archive and those of all that it refers to. What is there
already is left as it is, but for signatures that it lacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Planned, Progressed, Reporter, Started
from devenv.fetch.errors import CancelledError
from devenv.formats.narinfo import NarInfo
from devenv.formats.signing import SecretKey
from devenv.formats.store_path import StorePath, digest_of, name_of
from devenv.store.binary_cache import LOOKUPS_AT_ONCE, BinaryCache, signed
from devenv.store.compression import check_name, default
from devenv.store.errors import is_hopeless
from devenv.store.in_order import in_order
from devenv.store.local import PathInfo, Store
from devenv.store.receiving import RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """`written` are new in the cache, `signed` were there without our signature, `present` were there."""

    written: tuple[StorePath, ...]
    signed: tuple[StorePath, ...]
    present: tuple[StorePath, ...]
    size: int


class Pusher:
    """Puts objects of one store into one cache."""

    def __init__(
        self,
        store: Store,
        cache: BinaryCache,
        *,
        compression: str | None,
        keys: Sequence[SecretKey],
        jobs: int,
        reporter: Reporter,
        cancel: Callable[[], None],
        cancelled: threading.Event,
    ) -> None:
        """`compression` None is the best one that is here. `cancel` ends all transfers, and sets `cancelled`."""
        self._store, self._cache, self._keys, self._reporter = store, cache, tuple(keys), reporter
        self._compression = check_name(compression) if compression is not None else default()
        # Compressing needs processors, uploading waits for the network.
        self._threads = max(jobs, 1) if cache.is_local else max(jobs, LOOKUPS_AT_ONCE)
        self._cancel, self._cancelled = cancel, cancelled
        self._hopeless: DevenvError | None = None

    def push(self, paths: Iterable[StorePath], *, again: bool = False) -> Pushed:
        """`paths` and all that they refer to. `again`: also what the cache has already, in case it is damaged.

        Raises what stands in the way of single objects at the end, when the others are there.
        """
        wanted = self._store.closure(paths)
        self._store.add_temp_roots(wanted)
        self._cache.prepare()
        infos = {path: info for path in sorted(wanted) if (info := self._store.info(path)) is not None}
        known = {} if again else self._known(infos)
        to_sign = [
            new for path, old in known.items() if (new := self._resigned(infos[path], old)) is not None
        ]
        missing = {path: info for path, info in infos.items() if path not in known}
        self._reporter.event(
            Planned(kind="transfer", count=len(missing), size=sum(info.nar_size for info in missing.values()))
        )
        problems = dict(self._publish(to_sign))
        written: dict[StorePath, int] = {}
        problems.update(self._write(missing, written))
        if self._hopeless is not None:
            raise self._hopeless
        raise_problems(problems[path] for path in sorted(problems))
        resigned = {info.path for info in to_sign}
        return Pushed(
            written=tuple(sorted(written)),
            signed=tuple(sorted(resigned)),
            present=tuple(sorted(known.keys() - resigned)),
            size=sum(written.values()),
        )

    def _known(self, infos: Mapping[StorePath, PathInfo]) -> dict[StorePath, NarInfo]:
        """What the cache has, whole as far as can be told cheaply."""
        answers = self._cache.lookups(list(infos), self._cancel)
        return {
            path: answer
            for path, answer in answers.items()
            if not isinstance(answer, RefusedError) and self._cache.holds(answer)
        }

    def _resigned(self, info: PathInfo, known: NarInfo) -> NarInfo | None:
        """`known` with signatures that it lacks. Ours are for what we have, so only if that is the same."""
        same = (known.nar_hash, known.nar_size, known.references) == (
            info.nar_hash,
            info.nar_size,
            info.references,
        )
        if not same or not self._keys:
            return None
        more = signed(known, self._keys)
        return more if more.signatures != known.signatures else None

    def _write(
        self, missing: Mapping[StorePath, PathInfo], written: dict[StorePath, int]
    ) -> dict[StorePath, DevenvError]:
        with self._store.temporary_directory() as directory:

            def begin(path: StorePath) -> NarInfo:
                return signed(self._archive(missing[path], f"{directory}/{digest_of(path)}"), self._keys)

            def finish(ready: list[tuple[StorePath, NarInfo]]) -> Mapping[StorePath, DevenvError]:
                problems = dict(self._publish([info for _, info in ready]))
                written.update({path: info.file_size or 0 for path, info in ready if path not in problems})
                return problems

            needs = {path: info.references for path, info in missing.items()}
            return in_order(needs, begin, finish, threads=self._threads, stop=self._cancel)

    def _archive(self, info: PathInfo, scratch: str) -> NarInfo:
        if self._hopeless is not None:
            raise self._hopeless
        self._reporter.event(
            Started(kind="transfer", key=info.path, label=name_of(info.path), size=info.nar_size)
        )
        failed = True
        try:
            found = self._cache.store_archive(
                info, self._compression, scratch, lambda done: self._progress(info.path, done)
            )
            failed = False
            return found
        except DevenvError as error:
            if is_hopeless(error):
                self._hopeless = self._hopeless or error
            raise
        finally:
            self._reporter.event(Finished(key=info.path, failed=failed))

    def _progress(self, key: str, done: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError("Pushing was stopped.")
        self._reporter.event(Progressed(key=key, done=done))

    def _publish(self, infos: Collection[NarInfo]) -> Iterator[tuple[StorePath, DevenvError]]:
        """Tell the cache of these, none of which refers to another."""
        if self._cache.is_local or len(infos) < 2:
            yield from self._problems(map(self._publish_one, infos))
            return
        with ThreadPoolExecutor(max_workers=LOOKUPS_AT_ONCE) as pool:
            try:
                yield from self._problems(pool.map(self._publish_one, infos))
            except BaseException:
                self._cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _problems(
        self, results: Iterable[tuple[StorePath, DevenvError | None]]
    ) -> Iterator[tuple[StorePath, DevenvError]]:
        return ((path, error) for path, error in results if error is not None)

    def _publish_one(self, info: NarInfo) -> tuple[StorePath, DevenvError | None]:
        try:
            self._cache.publish(info)
        except CancelledError:
            raise
        except DevenvError as error:
            if is_hopeless(error):
                self._hopeless = self._hopeless or error
            return info.path, error
        return info.path, None
