"""Builds whose builder is a program: run as Nix runs it, in a sandbox of its own.

`prepare` makes the room that the builder works in, for a build or for a person who wants to look around; `Processes`
builds. Everything here may be called from several threads at once.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import termios
import threading
import time
import tty
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from devenv.derivations.build_log import BuildLog, end_of_log, log_path
from devenv.derivations.build_root import (
    Scratch,
    build_sandbox,
    check_impure_paths,
    default_sandbox_paths,
    make_mount_points,
    parse_sandbox_path,
)
from devenv.derivations.cargo_tools import CompiledCrates, with_compiled
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Node
from devenv.derivations.in_root import (
    SETTING,
    cache_owner,
    root_of,
    shown_paths,
    with_compiler_cache,
    with_package_cache,
)
from devenv.derivations.on_host import host_paths, is_on_host
from devenv.derivations.output_checks import check_outputs
from devenv.derivations.outputs import Made, measure_outputs
from devenv.derivations.program import TOP, Program, flag, program, references_text, string_list
from devenv.derivations.schedule import Resources
from devenv.formats.derivation import Derivation
from devenv.formats.errors import FormatError
from devenv.formats.missing_tools import missing, missing_tools, wants_network
from devenv.formats.store_path import StorePath, digest_of
from devenv.sandbox.errors import SandboxError
from devenv.sandbox.launcher import Launcher, Running
from devenv.sandbox.spec import SandboxSpec
from devenv.sandbox.syscalls import ADDR_NO_RANDOMIZE, PER_LINUX32
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.store.tree import remove

_SHOWN_LINES = 25
_FEATURES = frozenset({"benchmark", "big-parallel", "nixos-test"})  # which any machine is said to have
_READ_SIZE = 65536
_PATIENCE_SECONDS = 2.0  # with a thread that measures something large


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How builders are run. Times are in seconds, None for no limit.

    sandbox_paths: what of the machine every builder sees, as in Nix's setting; None for a static /bin/sh if any
    keep_failed: leave the build directory of a failed build, and name it
    timeout: for a whole build; silence: for how long a builder may print nothing
    memory: bytes of address space of each process
    cores: what builders are told that they may use
    environ: the variables that fixed outputs may ask for
    resources: what builds take of the machine, where that is declared, by the paths of their derivations
    compiler_cache: a directory for the objects that compilers make in roots with ccache, shared with shells there
    project: the directory with the caches for packages of lockfiles, each package's its own, None for no caches
    compiled: the directories of compiled crates, for builders that have cargo's tools among their inputs
    """

    sandbox_paths: tuple[str, ...] | None = None
    keep_failed: bool = False
    timeout: float | None = None
    silence: float | None = None
    memory: int | None = None
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    resources: Mapping[StorePath, Resources] = field(default_factory=dict)
    compiler_cache: str | None = None
    project: str | None = None
    compiled: CompiledCrates | None = None


class BuilderFailed(BuildError):
    """A builder ended badly. `log` is the file with all that it printed, `kept` its build directory if that was kept.

    `missing`: what it said that it did not find, by kind and name, and `advice` the sentences about that. `place`: where
    its log is, for people. `setting`: what to write so that builds like it have further packages, NAMES in it for these.
    """

    def __init__(
        self, package: str, how: str, *, lines: list[str], log: str, kept: str | None, setting: str = ""
    ) -> None:
        said = "".join(f"\n  {line}" for line in lines[-_SHOWN_LINES:])
        last = f". The last it printed:{said}" if said else " and printed nothing"
        where = f" Its build directory is kept: {kept}" if kept else ""
        printed = [*end_of_log(log), *lines]
        self.missing = missing(printed)
        self.place = f"The whole log: {log}.{where}"
        self.setting = setting or "system = [NAMES] under [packages]"
        self.advice = missing_tools(printed)
        if self.advice is None and wants_network(printed):
            self.advice = "It wanted to reach a server, and builds have no network."
        super().__init__(
            f"cannot build {package}: its builder {how}{last}",
            package=package,
            hint=f"{self.advice} {self.place}" if self.advice else self.place,
        )
        self.log = log
        self.kept = kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where a builder works. `inputs` is the closure of what it may use; `program` says how it is started."""

    scratch: Scratch
    sandbox: SandboxSpec
    program: Program
    inputs: frozenset[StorePath]


def prepare(node: Node, store: Store, path: str, options: BuildOptions, *, interactive: bool = False) -> Room:
    """Make the room for the builder of `node` in the new directory `path`, inside the store's `tmp`.

    The inputs must be valid. With `interactive` its sandbox keeps the caller's terminal. Raises BuildError,
    StoreError.
    """
    derivation, label = node.derivation, node.label
    _check(derivation, label)
    shown = default_sandbox_paths() if options.sandbox_paths is None else options.sandbox_paths
    root = root_of(derivation)
    if root is not None:
        shown = ()
    elif is_on_host(derivation):
        shown = host_paths(derivation)
    check_impure_paths(string_list(derivation, "__impureHostDeps", label), shown, label)
    used = [each for each in node.used if each != root]
    inputs = store.closure([*node.derivation.input_sources, *used, *_in_store(store, shown)])
    scratch = Scratch(path)
    started = program(
        derivation,
        store_dir=store.layout.store,
        cores=options.cores,
        environ=options.environ,
        graph_text=lambda text: _graph_text(store, text, inputs, label),
        label=label,
    )
    with explaining("preparing a build in", path):
        scratch.make()
        if root is not None:
            shown = shown_paths(node, store, path, label)
        mounted = make_mount_points(scratch, store.layout.store, inputs)
        for name, contents in started.files.items():
            with open(f"{scratch.build}/{name}", "wb") as file:
                file.write(contents)
    sandbox = build_sandbox(
        scratch,
        store_dir=store.layout.store,
        inputs=mounted,
        sandbox_paths=shown,
        network=derivation.fixed is not None,
        devices=("kvm",) if "kvm" in string_list(derivation, "requiredSystemFeatures", label) else (),
        memory=options.memory,
        persona=ADDR_NO_RANDOMIZE | (PER_LINUX32 if _is_32_bit_guest(derivation.system) else 0),
        interactive=interactive,
    )
    owner = cache_owner(derivation)
    if root is not None and owner is None and options.compiler_cache is not None:
        sandbox, started = with_compiler_cache(sandbox, started, options.compiler_cache)
    elif root is not None and owner and options.project is not None:
        sandbox, started = with_package_cache(sandbox, started, owner, options.project)
    if options.compiled is not None:
        sandbox, started = with_compiled(sandbox, started, options.compiled, used)
    return Room(scratch=scratch, sandbox=sandbox, program=started, inputs=frozenset(inputs))


def _in_store(store: Store, sandbox_paths: Iterable[str]) -> set[StorePath]:
    """The store objects that are shown to all builds; what they refer to must be there as well."""
    prefix = store.layout.store + "/"
    sources = [parse_sandbox_path(text).source for text in sandbox_paths]
    names = [source.removeprefix(prefix).partition("/")[0] for source in sources if source.startswith(prefix)]
    return {store.store_dir.parse(prefix + name) for name in names}


def _check(derivation: Derivation, label: str) -> None:
    """Refuse what cannot be built here, saying why."""
    machine = os.uname().machine
    if derivation.system != f"{machine}-linux" and not _is_32_bit_guest(derivation.system):
        raise BuildError(
            f"cannot build {label}: it is for {derivation.system}, and this machine is {machine}-linux",
            package=label,
        )
    if any(output.hash_algorithm and not output.hash for output in derivation.outputs.values()):
        raise BuildError(
            f"cannot build {label}: its outputs are named by their contents (ca-derivations), which is not supported",
            package=label,
        )
    if flag(derivation, "__noChroot", label):
        raise BuildError(
            f"cannot build {label}: it must not be sandboxed (__noChroot), and here everything is",
            package=label,
        )
    wanted = set(string_list(derivation, "requiredSystemFeatures", label)) - _FEATURES
    if "kvm" in wanted and os.access("/dev/kvm", os.R_OK | os.W_OK):
        wanted.discard("kvm")
    if wanted:
        raise BuildError(
            f"cannot build {label}: it needs {', '.join(sorted(wanted))} of the machine (requiredSystemFeatures), which "
            "this one does not offer",
            package=label,
        )


def _is_32_bit_guest(system: str) -> bool:
    return system == "i686-linux" and os.uname().machine == "x86_64"


def _graph_text(store: Store, text: str, inputs: set[StorePath], label: str) -> str:
    try:
        path = store.store_dir.parse(text)
    except FormatError as error:
        raise BuildError(
            f"cannot build {label}: in its exportReferencesGraph, {error}", package=label
        ) from error
    closure = store.closure([path]) if path in inputs else set()
    if not closure or any(each.endswith(".drv") for each in closure):
        raise BuildError(
            f"cannot build {label}: its exportReferencesGraph names {path}, which is "
            f"{'no input of it' if not closure else 'a derivation, or refers to one; that is not supported'}",
            package=label,
        )
    infos = {each: store.info(each) for each in closure}
    return references_text({path: info.references for path, info in infos.items() if info is not None})


class Processes:
    """Builds with programs, one call at a time for each thread. `close` kills what runs."""

    def __init__(self, store: Store, directory: str, options: BuildOptions) -> None:
        """`directory` is a temporary one of the store, for the builds' own."""
        self._store = store
        self._directory = directory
        self._options = options
        self._launcher = Launcher()
        self._closed = threading.Event()
        self._busy = 0
        self._less_busy = threading.Condition()
        self._memory: dict[StorePath, int] = {}

    def close(self) -> None:
        """End all builds. When this returns, none of their processes is left."""
        self._closed.set()
        self._launcher.close()
        with self._less_busy:  # nobody shall be in the directories that are removed next
            self._less_busy.wait_for(lambda: not self._busy, _PATIENCE_SECONDS)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._less_busy:
            self._busy += 1
        try:
            yield
        finally:
            with self._less_busy:
                self._busy -= 1
                self._less_busy.notify_all()

    def memory_of(self, node: Node) -> int | None:
        """The most memory that a process of a finished build had, in bytes; None if that tells nothing of the next."""
        return self._memory.get(node.path, 0)

    def build(self, node: Node, show: Callable[[str], None]) -> tuple[Made, ...]:
        """Run the builder of `node`: its outputs, not registered yet. `show` is given what it prints, by lines.

        Raises BuildError, StoreError.
        """
        with self._working():
            room = prepare(
                node, self._store, f"{self._directory}/{digest_of(node.path)}.build", self._options
            )
            try:
                self.run(node, room, show)
                made = self.measure(node, room)
            except BuildError as error:
                if self._closed.is_set():
                    raise  # who closed this removes the whole directory
                if self._options.keep_failed and not isinstance(error, BuilderFailed):
                    kept = f"Its build directory is kept: {self._keep(room, node)}"
                    error.hint = f"{error.hint} {kept}" if error.hint else kept
                remove(room.scratch.path)
                raise
            clear(room.scratch, {each.tree for each in made})
            return made

    def run(self, node: Node, room: Room, show: Callable[[str], None]) -> None:
        """Run the builder in its room. Raises BuilderFailed when it does not end well, BuildError, StoreError."""
        path = log_path(self._store.layout.log, node.path)
        with explaining("writing the log", path):
            log = BuildLog(path, show)
            try:
                how = self._run(node, room, log)
            finally:
                log.close()
        if self._closed.is_set():
            raise BuildError(f"cannot build {node.label}: stopped", package=node.label)
        if how is not None:
            kept = self._keep(room, node) if self._options.keep_failed else None
            setting = node.derivation.env.get(SETTING, "")
            raise BuilderFailed(node.label, how, lines=log.tail(), log=log.path, kept=kept, setting=setting)

    def measure(self, node: Node, room: Room) -> tuple[Made, ...]:
        """The outputs that the builder left in its room, each after those that it refers to.

        Raises BuildError when they are not as they should be, StoreError.
        """
        made = measure_outputs(node.derivation, node.path, room.scratch.store, room.inputs, node.label)
        infos = {each.info.path: each.info for each in made}
        by_name = {name: infos[path] for name, path in node.outputs.items()}
        check_outputs(node.derivation, by_name, self._store.closure, self._store.info, node.label)
        return made

    def _run(self, node: Node, room: Room, log: BuildLog) -> str | None:
        """How the builder failed, None when it did not."""
        started = room.program
        master, slave = _terminal()
        try:
            with open(os.devnull, "rb") as nothing:
                try:
                    running = self._launcher.start(
                        room.sandbox,
                        started.arguments,
                        started.environment,
                        TOP,
                        program=started.path,
                        stdin=nothing.fileno(),
                        stdout=slave,
                        stderr=slave,
                    )
                finally:
                    os.close(slave)
            how = _Watch(running, master, log, self._options).until_the_end()
            self._memory[node.path] = max(running.memory, self._memory.get(node.path, 0))
            return how
        except SandboxError as error:
            raise BuildError(
                f"cannot build {node.label}: {error}", package=node.label, hint=error.hint
            ) from error
        finally:
            os.close(master)

    def _keep(self, room: Room, node: Node) -> str:
        """Move the build directory to where it stays."""
        place = os.path.join(self._store.layout.tmp, "kept")
        os.makedirs(place, exist_ok=True)
        number = 0
        while True:
            kept = os.path.join(place, f"{node.derivation.name}-{number}")
            try:
                os.mkdir(kept, 0o700)
                break
            except FileExistsError:
                number += 1
        os.rename(room.scratch.build, kept)  # over the empty directory
        return kept


def clear(scratch: Scratch, outputs: Collection[str]) -> None:
    """Remove all but the outputs: a build directory may be large, and its mount points many."""
    for directory in (scratch.root, scratch.build, scratch.tmp):
        remove(directory)
    with explaining("removing", scratch.store), os.scandir(scratch.store) as entries:
        for entry in entries:
            if entry.path not in outputs:
                remove(entry.path)


def _terminal() -> tuple[int, int]:
    """A pseudo terminal for what a builder prints, which then comes line by line: its two ends.

    Nothing is done to what passes, and it controls no session.
    """
    with explaining("making a terminal", "/dev/ptmx"):
        master, slave = os.openpty()
        tty.setraw(slave, termios.TCSANOW)
    return master, slave


class _Watch:
    """Reads what a builder prints and minds the limits, until nothing of it is left."""

    def __init__(self, running: Running, master: int, log: BuildLog, options: BuildOptions) -> None:
        self._running = running
        self._master = master
        self._log = log
        self._options = options
        self._started = self._heard = time.monotonic()
        self._killed = ""

    def until_the_end(self) -> str | None:
        """How it failed, None when it did not. Raises SandboxError when it was never started, OSError by the log."""
        try:
            while not self._wait():
                pass
        except BaseException:
            self._running.kill()
            self._running.wait()
            raise
        status = self._running.wait()
        while self._read():  # all that it ever printed is there by now
            pass
        if self._killed:
            return self._killed
        return None if status == 0 else _ended(status)

    def _wait(self) -> bool:
        """Whether it has ended. Returns after a while in any case."""
        poll = select.poll()
        poll.register(self._running, select.POLLIN)
        poll.register(self._master, select.POLLIN)
        for descriptor, _ in poll.poll(self._check_limits()):
            if descriptor != self._master:
                return True
            if not self._read():
                # Everything that held the terminal has closed it; some builders do, and go on.
                poll.unregister(self._master)
                poll.poll(self._check_limits())
        return False

    def _read(self) -> bool:
        """Whether there was something to read."""
        try:
            data = os.read(self._master, _READ_SIZE)
        except OSError as error:
            if error.errno != errno.EIO:  # the end of a terminal
                raise
            return False
        self._heard = time.monotonic()
        self._log.feed(data)
        return bool(data)

    def _check_limits(self) -> float | None:
        """Kill what is over its limits; how many milliseconds are left to the next one."""
        now = time.monotonic()
        ends = []
        for limit, since, what in (
            (self._options.timeout, self._started, "took longer than {:g} s, its time limit"),
            (self._options.silence, self._heard, "printed nothing for {:g} s, its limit on silence"),
        ):
            if limit is not None and not self._killed:
                if now >= since + limit:
                    self._killed = what.format(limit)
                    self._running.kill()
                    return None
                ends.append(since + limit - now)
        return 1000 * min(ends) if ends else None


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
