"""Objects from binary caches instead of building them: which cache has what, whom to believe, into the store.

A path is taken from a cache where its content address or a trusted signature covers it, together with all that it
refers to; what is unpacked is compared with that before it is registered, references first. A cache that cannot be
asked, or has what must be refused, costs no more than a notice: the next one is asked, and at last whoever called
builds. `strict` turns all this into errors, for those who want an object from a cache and from nowhere else.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from devenv.errors import DevenvError
from devenv.events import Finished, Notice, Planned, Progressed, Reporter, Started
from devenv.fetch.errors import CancelledError
from devenv.formats.narinfo import NarInfo
from devenv.formats.signing import TrustedKeys
from devenv.formats.store_path import StorePath, digest_of, name_of
from devenv.store import tree as trees
from devenv.store.binary_cache import BinaryCache
from devenv.store.cache_files import CacheError
from devenv.store.errors import is_hopeless
from devenv.store.in_order import in_order
from devenv.store.local import PathInfo, Store
from devenv.store.misses import Misses
from devenv.store.receiving import RefusedError, UntrustedError, check_trust, receive

THREADS = 16  # that wait for the network
_LOCAL_THREADS = 4
_NOTICES = 3  # of one kind, in full


@dataclass(frozen=True, slots=True)
class Offer:
    """What a cache has for a path, and may be believed if it is as it says."""

    info: NarInfo
    cache: BinaryCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of the paths asked for: which are valid now, and what stood in the way of others. The rest no cache has."""

    valid: set[StorePath] = field(default_factory=set)
    problems: dict[StorePath, DevenvError] = field(default_factory=dict)


class Substituters:
    """Caches of one store, in the order in which they are asked."""

    def __init__(
        self,
        caches: Sequence[BinaryCache],
        store: Store,
        *,
        trusted: TrustedKeys,
        misses: Misses | None,
        reporter: Reporter,
        cancel: Callable[[], None],
        cancelled: threading.Event,
        strict: bool = False,
    ) -> None:
        """`misses`: what the caches need not be asked again. `cancel` ends all transfers, and sets `cancelled`."""
        self._store, self._trusted, self._misses = store, trusted, misses
        self._reporter, self._cancel, self._cancelled, self._strict = reporter, cancel, cancelled, strict
        self._asked = list(caches)
        self._usable: list[BinaryCache] | None = None
        self._refused: dict[StorePath, DevenvError] = {}
        self._hopeless: DevenvError | None = None

    def bring(self, paths: Iterable[StorePath]) -> Outcome:
        """Make those of `paths` valid that a cache has, with all that they refer to."""
        self._refused = {}
        wanted = set(paths)
        valid = self._store.valid_paths(wanted)
        offers = self._find_all(wanted - valid) if wanted - valid else {}
        problems = self._take(offers) if offers else {}
        valid |= self._store.valid_paths(wanted - valid)
        problems = {path: error for path, error in {**self._refused, **problems}.items() if path not in valid}
        if not self._strict:
            self._tell(problems)
        return Outcome(valid=valid, problems=problems)

    # Which cache has what

    def _caches(self) -> list[BinaryCache]:
        """Those that are for this store, the most preferred first."""
        if self._usable is None:
            found = []
            for cache in self._asked:
                try:
                    found.append((cache.info().priority, cache))
                except CancelledError:
                    raise
                except DevenvError as error:
                    self._give_up(cache, error)
            self._usable = [cache for _, cache in sorted(found, key=lambda item: item[0])]
        return self._usable

    def _give_up(self, cache: BinaryCache, error: DevenvError) -> None:
        if self._strict:
            raise error
        hint = f" ({error.hint})" if error.hint else ""
        self._reporter.event(Notice(text=f"The cache {cache.url} is not used: {error}{hint}"))
        if self._usable is not None:
            self._usable = [other for other in self._usable if other is not cache]

    def _find_all(self, paths: Iterable[StorePath]) -> dict[StorePath, Offer]:
        """Offers for `paths` and what they refer to, as far as that is not valid; only such as are complete."""
        offers: dict[StorePath, Offer] = {}
        absent: set[StorePath] = set()
        present: set[StorePath] = set()
        ahead = set(paths)
        while ahead:
            found = self._find(ahead)
            offers.update(found)
            absent |= ahead - found.keys()
            below = {reference for offer in found.values() for reference in offer.info.references}
            below -= offers.keys() | absent | present
            present |= self._store.valid_paths(below)
            ahead = below - present
        return self._complete(offers, absent)

    def _complete(
        self, offers: dict[StorePath, Offer], absent: Collection[StorePath]
    ) -> dict[StorePath, Offer]:
        """Without those that refer to something absent, directly or not."""
        users: dict[StorePath, list[StorePath]] = {}
        for path, offer in offers.items():
            for reference in offer.info.references:
                users.setdefault(reference, []).append(path)
        stack = list(absent)
        while stack:
            missing = stack.pop()
            for path in users.get(missing, ()):
                if path in offers:
                    offer = offers.pop(path)
                    found = f"it refers to {missing}, which no cache offers"
                    self._refused[path] = self._refused.get(missing) or RefusedError(
                        path, offer.cache.url, found
                    )
                    stack.append(path)
        return offers

    def _find(self, paths: Collection[StorePath]) -> dict[StorePath, Offer]:
        offers: dict[StorePath, Offer] = {}
        for cache in self._caches():
            open_paths = set(paths) - offers.keys()
            if open_paths:
                offers.update(self._find_in(cache, open_paths))
        return offers

    def _find_in(self, cache: BinaryCache, paths: set[StorePath]) -> dict[StorePath, Offer]:
        misses = None if cache.is_local else self._misses
        if misses is not None:
            paths = paths - misses.among(cache.url, paths)
        try:
            answers = cache.lookups(sorted(paths), self._cancel)
        except CancelledError:
            raise
        except DevenvError as error:
            self._give_up(cache, error)
            return {}
        if misses is not None:
            misses.add(cache.url, paths - answers.keys())
        offers = {}
        for path, answer in answers.items():
            try:
                if isinstance(answer, RefusedError):
                    raise answer
                check_trust(answer, self._store.store_dir, self._trusted, cache.url)
                offers[path] = Offer(answer, cache)
                self._refused.pop(path, None)
            except RefusedError as error:
                self._refused.setdefault(path, error)
        return offers

    # Into the store

    def _take(self, offers: Mapping[StorePath, Offer]) -> dict[StorePath, DevenvError]:
        sizes = [offer.info.file_size for offer in offers.values()]
        known = [size for size in sizes if size is not None]
        self._reporter.event(
            Planned(kind="transfer", count=len(offers), size=sum(known) if len(known) == len(sizes) else None)
        )
        needs = {path: offer.info.references for path, offer in offers.items()}
        with self._store.temporary_directory() as directory:

            def begin(path: StorePath) -> tuple[PathInfo, str]:
                return self._receive(offers[path], f"{directory}/{digest_of(path)}")

            threads = _LOCAL_THREADS if all(offer.cache.is_local for offer in offers.values()) else THREADS
            problems = in_order(needs, begin, self._register, threads=threads, stop=self._cancel)
        if self._hopeless is not None:
            raise self._hopeless
        return problems

    def _register(
        self, received: Sequence[tuple[StorePath, tuple[PathInfo, str]]]
    ) -> Mapping[StorePath, DevenvError]:
        """As much at a time as there is: a transaction costs more than a row."""
        try:
            self._store.register_outputs([each for _, each in received])
            return {}
        except DevenvError as error:
            if len(received) == 1:
                return {received[0][0]: error}
        problems: dict[StorePath, DevenvError] = {}
        for each in received:
            problems.update(self._register([each]))
        return problems

    def _receive(self, offer: Offer, target: str) -> tuple[PathInfo, str]:
        """From the cache that offered it, or else from another that has the same."""
        try:
            return self._receive_from(offer, target)
        except CancelledError:
            raise
        except DevenvError as error:
            if is_hopeless(error):
                self._hopeless = self._hopeless or error
                raise
            for other in self._others(offer):
                try:
                    found = self._receive_from(other, target)
                except CancelledError:
                    raise
                except DevenvError:
                    continue
                self._reporter.event(Notice(text=f"{error}. It comes from {other.cache.url} instead."))
                return found
            raise

    def _others(self, offer: Offer) -> Iterator[Offer]:
        """Offers of further caches whose references are those that were followed."""
        for cache in self._caches():
            if cache is offer.cache:
                continue
            try:
                info = cache.lookup(offer.info.path)
                if info is None or info.references != offer.info.references:
                    continue
                check_trust(info, self._store.store_dir, self._trusted, cache.url)
            except CancelledError:
                raise
            except DevenvError:
                continue
            yield Offer(info, cache)

    def _receive_from(self, offer: Offer, target: str) -> tuple[PathInfo, str]:
        info, url = offer.info, offer.cache.url
        if self._hopeless is not None:
            raise self._hopeless
        key = f"{info.path} {url}"
        self._reporter.event(Started(kind="transfer", key=key, label=name_of(info.path), size=info.file_size))
        failed = True
        try:
            nar = offer.cache.nar(info, lambda done: self._progress(key, done))
            received = receive(info, nar, target, store_dir=self._store.store_dir, cache=url)
            failed = False
            return received, target
        except (RefusedError, CancelledError):
            raise
        except DevenvError as error:
            raise CacheError(
                f"getting {info.path} from {url}: {error}", cache=url, path=info.path, hint=error.hint
            ) from error
        finally:
            self._reporter.event(Finished(key=key, failed=failed))
            if failed:
                trees.remove(target)

    def _progress(self, key: str, done: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError("Copying was stopped.")
        self._reporter.event(Progressed(key=key, done=done))

    # Words

    def _tell(self, problems: Mapping[StorePath, DevenvError]) -> None:
        """One line for a single thing, one for many that are alike."""
        kinds = Counter(_kind(error) for error in problems.values())
        told: Counter[tuple[str, str]] = Counter()
        for path in sorted(problems):
            error = problems[path]
            kind = _kind(error)
            told[kind] += 1
            if isinstance(error, UntrustedError):
                if told[kind] == 1:
                    self._reporter.event(Notice(text=_untrusted_text(error, kinds[kind])))
            elif told[kind] <= _NOTICES:
                self._reporter.event(Notice(text=f"{error}. It is made here instead."))
            elif told[kind] == _NOTICES + 1:
                more = kinds[kind] - _NOTICES
                self._reporter.event(Notice(text=f"The same goes for {more} more of {kind[0]}."))


def _kind(error: DevenvError) -> tuple[str, str]:
    url = error.cache if isinstance(error, CacheError) else ""
    return url, error.found if isinstance(error, UntrustedError) else type(error).__name__


def _untrusted_text(error: UntrustedError, count: int) -> str:
    many = f" The same goes for {count - 1} more." if count > 1 else ""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error}.{many}{hint}"
