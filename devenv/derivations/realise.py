"""Brings outputs into being: writes .drv files, fetches, builds, registers, as much as possible at once.

Downloads run in threads, which wait for the network. Builds run in worker processes, or in sandboxes where the
builder is a program; each is served by a thread. One more thread registers what comes out. A process killed at any moment leaves
what is registered, and part files that the next run goes on with.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from devenv.derivations.costs import Cost, Costs, more_than_guessed
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import FETCH, FETCH_GIT
from devenv.derivations.plan import Plan, is_process, make_plan, requisites
from devenv.derivations.schedule import Resources, Schedule
from devenv.derivations.substitution import Bring, substitute
from devenv.derivations.workers import Worker
from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Notice, Planned, Printed, Reporter, Started
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.errors import explaining
from devenv.store.local import PathInfo, Store
from devenv.store.locks import PathLocks
from devenv.store.tree import canonicalise, scan

if TYPE_CHECKING:
    from devenv.derivations.process import BuildOptions, Processes
    from devenv.fetch.http import Client

FETCHES_AT_ONCE = 16
_REGISTERED_AT_ONCE = 128

# What every further job would meet as well.
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO})


def realise(
    store: Store,
    graph: Graph,
    targets: Iterable[Node],
    *,
    client: Client | None,
    pythons: Mapping[str, str],
    reporter: Reporter,
    jobs: int,
    options: BuildOptions | None = None,
    programs: Programs | None = None,
    keep_going: bool = True,
    bring: Bring | None = None,
) -> None:
    """Make the outputs of `targets` valid, and their .drv files.

    `bring` is asked for what is missing before anything is fetched or built.

    `pythons` are interpreters by version ("3.11"), `jobs` how many builds may run at once, `options` how
    builders that are programs are run, `programs` who runs them instead of `Processes`. Raises BuildError, FetchError
    and StoreError, as `Problems` when there are several: a failure stops only what depends on it, or, without
    `keep_going`, all that has not begun. On KeyboardInterrupt all work stops at once; `client` cannot be used any
    more then. It may be None where nothing has to be fetched.
    """
    wanted = tuple(targets)
    below = requisites(wanted)
    assert all(path in graph.nodes for path in below)
    outputs = [path for node in below.values() for path in node.outputs.values()]
    valid = store.valid_paths([*below, *outputs])
    store.add_texts(
        (path, node.aterm, (*node.derivation.input_sources, *(each.path for each in node.inputs)))
        for path, node in below.items()
        if path not in valid
    )
    store.add_temp_roots(outputs)
    if bring is not None:
        valid = substitute(wanted, valid, bring)
    costs = Costs(store.layout.cache)
    plan = make_plan(wanted, valid, costs.estimate)
    if not plan.waits_for:
        return
    _announce(plan, reporter)
    jobs = max(jobs, 1)
    machine = Resources(cores=jobs, memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    needs = _needs(options, costs, machine)
    schedule = Schedule(plan, needs=needs, machine=machine, keep_going=keep_going)
    for node in plan.foreign:
        schedule.failed([node], _foreign(node))
    with store.temporary_directory() as directory:
        run = _Run(store, schedule, directory, client, dict(pythons), reporter, options, programs)
        try:
            run.run(plan, jobs)
        finally:
            costs.record(run.costs)
    raise_problems(sorted(schedule.problems, key=str))


def _needs(
    options: BuildOptions | None, costs: Costs, machine: Resources
) -> Callable[[Node], Resources] | None:
    """What a build takes: as declared, else one processor and the memory that it took before."""
    declared = options.resources if options is not None else {}
    if not declared and not costs.know_memory:
        return None

    def needs(node: Node) -> Resources:
        said = declared.get(node.path, Resources())
        known = costs.expected(node)
        memory = said.memory or (known.memory if known is not None else 0)
        return Resources(min(said.cores, machine.cores), memory)

    return needs


def _announce(plan: Plan, reporter: Reporter) -> None:
    if plan.fetches:
        sizes = [node.size for node in plan.fetches if node.size is not None]
        whole = sum(sizes) if len(sizes) == len(plan.fetches) else None
        reporter.event(Planned(kind="fetch", count=len(plan.fetches), size=whole))
    if plan.builds:
        reporter.event(Planned(kind="build", count=len(plan.builds)))


def _foreign(node: Node) -> BuildError:
    return BuildError(
        f"cannot build {node.label}: {node.path} is built by {node.derivation.builder}, which devenv does not have",
        package=node.label,
        hint="Build it with nix-store --realise, on the same store: `devenv store env` says how.",
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """Finished outputs that are not registered yet, each with its tree. `locks` are on their paths, if they are held."""

    node: Node
    outputs: tuple[tuple[PathInfo, str], ...]
    locks: PathLocks | None = None


# Makes who runs builders that are programs: of a store, in a temporary directory of it.
Programs = Callable[[Store, str, "BuildOptions"], "Processes"]


class _Run:
    """The threads and processes of one `realise`. `costs` grows: what each build took."""

    def __init__(
        self,
        store: Store,
        schedule: Schedule,
        directory: str,
        client: Client | None,
        pythons: dict[str, str],
        reporter: Reporter,
        options: BuildOptions | None,
        programs: Programs | None,
    ) -> None:
        self.costs: list[tuple[Node, Cost]] = []
        self._store = store
        self._schedule = schedule
        self._directory = directory
        self._client = client
        self._pythons = pythons
        self._reporter = reporter
        self._cancelled = threading.Event()
        # Outputs on their way into the store; None ends the thread that registers them.
        self._made: SimpleQueue[_Made | None] = SimpleQueue()
        # Held while the store is written, so that nothing touches it once `run` has ended.
        self._registering = threading.Lock()
        self._workers: list[Worker] = []
        self._options = options
        self._programs = programs
        self._processes: Processes | None = None
        # On outputs that are being built, or are but not registered.
        self._locks: set[PathLocks] = set()

    def run(self, plan: Plan, jobs: int) -> None:
        """Do all that can be done; `schedule.problems` says what could not. Raises what stops everything."""
        os.makedirs(self._store.layout.downloads, exist_ok=True)
        try:
            (registrar,) = self._start(self._register_all, 1)
            threads = self._start(self._fetch_all, min(FETCHES_AT_ONCE, len(plan.fetches)))
            threads += self._start_builds(plan, jobs)
            self._schedule.wait()
            if self._schedule.failure is None:
                for thread in threads:
                    thread.join()
                self._made.put(None)
                registrar.join()
            if self._schedule.failure is not None:
                raise self._schedule.failure
        except BaseException:
            self._cancel()
            raise
        finally:
            for worker in self._workers:
                worker.close()
            if self._processes is not None:
                self._processes.close()
            for locks in tuple(self._locks):
                self._release(locks)

    def _start_builds(self, plan: Plan, jobs: int) -> list[threading.Thread]:
        own = sum(not is_process(node) for node in plan.builds)
        if own < len(plan.builds):
            from devenv.derivations.process import BuildOptions, Processes

            make = self._programs or Processes
            self._processes = make(self._store, self._directory, self._options or BuildOptions())
        threads = []
        for number in range(min(jobs, len(plan.builds))):
            worker = None
            if own:
                self._workers.append(worker := Worker(f"{self._directory}/worker-{number}.log"))
            threads += self._start(partial(self._build_all, worker), 1)
        return threads

    def _start(self, work: Callable[[], None], count: int) -> list[threading.Thread]:
        # Daemons: an interrupted program does not wait for a server that is silent.
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._schedule.stop(error)

    def _cancel(self) -> None:
        self._cancelled.set()
        self._schedule.stop()
        if self._client is not None:
            self._client.cancel()
        for worker in self._workers:
            worker.kill()
        if self._processes is not None:
            self._processes.close()
        # Who is just registering finishes that, unless it waits for another process.
        if self._registering.acquire(timeout=1):
            self._registering.release()

    def _fetch_all(self) -> None:
        while node := self._schedule.fetch():
            try:
                self._made.put(self._fetch(node))
            except DevenvError as error:
                self._fail(node, error)

    def _fetch(self, node: Node) -> _Made:
        derivation = node.derivation
        expected = derivation.outputs["out"].fixed_hash
        if expected is None:
            raise BuildError(f"cannot fetch {node.label}: {node.path} has no hash", package=node.label)
        name = digest_of(node.out)
        tree = f"{self._directory}/{name}"
        if self._client is None:
            raise BuildError(f"cannot fetch {node.label}: nothing can be fetched here", package=node.label)
        if derivation.builder == FETCH_GIT:
            return self._fetched(node, tree, self._fetch_git(node, self._client, tree))
        # Loaded only here: a client takes longer than most builds.
        from devenv.fetch.download import Download, download_first

        urls = dict.fromkeys((derivation.env["url"], *derivation.env.get("urls", "").split()))
        download_first(
            self._client,
            [Download(url=url, hash=expected, size=node.size, label=node.label) for url in urls],
            tree,
            part=f"{self._store.layout.downloads}/{name}.part",
            reporter=self._reporter,
            cancelled=self._cancelled,
        )
        canonicalise(tree)
        return self._fetched(node, tree, f"fixed:{expected.typed_nix32}")

    def _fetched(self, node: Node, tree: str, content_address: str) -> _Made:
        found = scan(tree, ())
        info = PathInfo(
            path=node.out,
            nar_hash=found.nar_hash,
            nar_size=found.nar_size,
            references=(),
            deriver=node.path,
            content_address=content_address,
            ultimate=True,
        )
        return _Made(node, ((info, tree),))

    def _fetch_git(self, node: Node, client: Client, tree: str) -> str:
        """Check a repository out; gives the content address. Raises MismatchError for another tree than was locked."""
        from devenv.derivations.git_trees import fetch_tree

        expected = node.derivation.outputs["out"].fixed_hash
        assert expected is not None
        env = node.derivation.env
        self._reporter.event(Started(kind="fetch", key=node.out, label=node.label))
        try:
            fetch_tree(env["url"], env["rev"], tree, expected=expected, client=client)
        except BaseException:
            self._reporter.event(Finished(key=node.out, failed=True))
            raise
        self._reporter.event(Finished(key=node.out))
        return f"fixed:r:{expected.typed_nix32}"

    def _build_all(self, worker: Worker | None) -> None:
        while node := self._schedule.build():
            self._reporter.event(Started(kind="build", key=node.out, label=node.label))
            made = None
            try:
                made = self._run_builder(node) if is_process(node) else self._build(worker, node)
            except DevenvError as error:
                self._fail(node, error)
            self._reporter.event(Finished(key=node.out, failed=made is None))
            if made is not None:
                self._schedule.built(node)
                self._made.put(made)

    def _run_builder(self, node: Node) -> _Made:
        """Under locks on the outputs, as Nix takes them, so that of several processes only one builds."""
        assert self._processes is not None
        waits = Notice(text=f"{node.label}: another process is building it; waiting for that.")
        locks = PathLocks(node.outputs.values(), waiting=lambda: self._reporter.event(waits))
        with explaining("locking", node.out):
            locks.take()
        self._locks.add(locks)
        try:
            if len(self._store.valid_paths(node.outputs.values())) == len(node.outputs):
                return _Made(node, (), locks)
            begun = time.monotonic()
            made = self._processes.build(
                node, lambda line: self._reporter.event(Printed(key=node.out, line=line))
            )
            memory = self._processes.memory_of(node)
            if memory is not None:
                self.costs.append((node, Cost(time.monotonic() - begun, memory)))
            return _Made(node, tuple((each.info, each.tree) for each in made), locks)
        except BaseException:
            self._release(locks)
            raise

    def _release(self, locks: PathLocks | None) -> None:
        if locks is not None and locks in self._locks:
            self._locks.discard(locks)
            locks.release()

    def _build(self, worker: Worker | None, node: Node) -> _Made:
        assert worker is not None
        begun = time.monotonic()
        worker.send(self._request(node))
        made = self._receive(worker, node)
        self.costs.append((node, Cost(time.monotonic() - begun)))
        return made

    def _request(self, node: Node) -> dict[str, Any]:
        # Our builders copy or name these and nothing else, so what those refer to cannot occur.
        candidates = {node.out, *node.derivation.input_sources, *(below.out for below in node.inputs)}
        return {
            "builder": node.derivation.builder,
            "label": node.label,
            "env": dict(node.derivation.env),
            "target": f"{self._directory}/{digest_of(node.out)}",
            "candidates": sorted(candidates),
            "pythons": self._pythons,
        }

    def _receive(self, worker: Worker, node: Node) -> _Made:
        answer = worker.receive(node.label, self._reporter)
        if "bug" in answer:
            raise RuntimeError(answer["bug"])
        if "error" in answer:
            raise _problem(node, answer)
        for text in answer["notices"]:
            self._reporter.event(Notice(text=f"{node.label}: {text}."))
        info = PathInfo(
            path=node.out,
            nar_hash=Hash.from_hex("sha256", answer["nar_hash"]),
            nar_size=answer["nar_size"],
            references=tuple(StorePath(path) for path in answer["references"]),
            deriver=node.path,
            content_address=None,
            ultimate=True,
        )
        return _Made(node, ((info, f"{self._directory}/{digest_of(node.out)}"),))

    def _register_all(self) -> None:
        """Registers what is finished, as much at a time as there is: a transaction costs more than a row."""
        while made := self._made.get():
            batch = [made]
            while sum(len(each.outputs) for each in batch) < _REGISTERED_AT_ONCE and not self._made.empty():
                if (more := self._made.get()) is None:
                    return
                batch.append(more)
            with self._registering:
                if self._cancelled.is_set():
                    return
                self._register(batch)

    def _register(self, batch: list[_Made]) -> None:
        try:
            outputs = [output for made in batch for output in made.outputs]
            held = {path for made in batch if made.locks is not None for path in made.node.outputs.values()}
            self._store.register_outputs(outputs, held=held)
        except DevenvError as error:
            if len(batch) == 1:
                self._release(batch[0].locks)
                self._fail(batch[0].node, error)
                return
            for made in batch:
                self._register([made])
            return
        for made in batch:
            self._release(made.locks)
        # Without sizes in lockfile and index, the largest files are known only when they are there.
        more = {
            info.path: more_than_guessed(info.nar_size)
            for made in batch
            if made.node.size is None and made.node.derivation.builder == FETCH
            for info, _ in made.outputs
        }
        self._schedule.done([made.node for made in batch], more)

    def _fail(self, node: Node, error: DevenvError) -> None:
        if _errno(error) in _HOPELESS:
            self._schedule.stop(error)
        else:
            self._schedule.failed([node], error)


def _problem(node: Node, answer: dict[str, Any]) -> BuildError:
    problem = BuildError(answer["error"], package=node.label, hint=answer["hint"])
    if answer["errno"] is not None:
        problem.__cause__ = OSError(answer["errno"], os.strerror(answer["errno"]))
    return problem


def _errno(error: BaseException | None) -> int | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return None if error is None else error.errno
