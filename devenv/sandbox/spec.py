"""A sandbox as a value: what can be seen inside, and which of the machine's namespaces are left.

Builds, shells in a build's environment and programs that want another root are the same thing with different
values. Nothing here touches the machine; `mounts` orders what is mounted, `enter` does it.
"""

from __future__ import annotations

from collections.abc import Callable

from devenv.values import value

# The user that Nix's sandbox has: numbers and names get into what is built.
BUILD_UID, BUILD_GID = 1000, 100


@value(frozen=True, slots=True)
class Bind:
    """A file or directory of the machine, shown at `target`, with what is mounted in it.

    `source` may be a symbolic link, which is followed. One that does not exist is an error unless `optional`.
    """

    source: str
    target: str
    writable: bool = False
    optional: bool = False

    def describe(self) -> str:
        kind = "writable" if self.writable else "read-only"
        where = self.target if self.source == self.target else f"{self.target}, which is {self.source}"
        return f"{kind} {where}" + (" if there" if self.optional else "")


@value(frozen=True, slots=True)
class Overlay:
    """A directory of the machine as the root, with what is changed in it kept apart: `overlay` of the kernel.

    `directory` has three others: `lower` is shown and stays as it is, `upper` takes the changes, `work` belongs to the
    kernel. All but `lower` are empty at first. What `upper` looks like afterwards: Documentation/filesystems/overlayfs
    of the kernel, with attributes in the name space `user`. Needs Linux 5.11, and a file system that has those.
    """

    directory: str
    target: str = "/"

    def describe(self) -> str:
        return f"{self.target}, which is {self.directory}/lower with changes in {self.directory}/upper"


@value(frozen=True, slots=True)
class Tmpfs:
    """An empty directory in memory. `size` limits its contents, in bytes."""

    target: str
    mode: int = 0o755
    size: int | None = None
    writable: bool = True

    def describe(self) -> str:
        limit = f", at most {self.size} bytes" if self.size is not None else ""
        return f"empty directory in memory {self.target} ({self.mode:04o}{limit})"


@value(frozen=True, slots=True)
class Proc:
    """The process file system, of the sandbox's own processes only where these are apart."""

    target: str = "/proc"

    def describe(self) -> str:
        return f"processes at {self.target}"


@value(frozen=True, slots=True)
class Terminals:
    """Pseudo terminals of the sandbox's own."""

    target: str = "/dev/pts"

    def describe(self) -> str:
        return f"pseudo terminals at {self.target}"


@value(frozen=True, slots=True)
class Directory:
    """A new directory."""

    target: str
    mode: int = 0o755

    def describe(self) -> str:
        return f"directory {self.target} ({self.mode:04o})"


@value(frozen=True, slots=True)
class File:
    """A new file."""

    target: str
    contents: bytes = b""
    mode: int = 0o644

    def describe(self) -> str:
        return f"file {self.target} ({len(self.contents)} bytes, {self.mode:04o})"


@value(frozen=True, slots=True)
class Symlink:
    """A new symbolic link."""

    target: str
    points_to: str

    def describe(self) -> str:
        return f"symbolic link {self.target} to {self.points_to}"


@value(frozen=True, slots=True)
class ReadOnly:
    """A part of another mount that nobody may write any more."""

    target: str

    def describe(self) -> str:
        return f"no writing below {self.target}"


Mount = Bind | Overlay | Tmpfs | Proc | Terminals | Directory | File | Symlink | ReadOnly


@value(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What a program sees of the machine.

    mounts: what is in its root, which is otherwise empty and read-only. Of two for one place the later counts
    network: the machine's, abstract sockets included; else one of its own with only a loopback device
    abstract_sockets: with the machine's network, those of programs outside; False needs Linux 6.12 to be heeded
    processes: its own process ids, so that it sees and reaches no process outside; all of them end with the first
    ipc: its own System V and POSIX message queues and shared memory
    hostname: its own, None for the machine's
    uid, gid: who it is inside; outside it stays the caller. None for the same numbers
    new_session: without a controlling terminal. A shell for a person keeps the terminal that it has
    init: a process of ours stays process 1, so that signals have their usual meaning for the program
    dies_with_parent: killed when the thread that started it ends
    plain_files: nobody can set set-user-id bits or extended attributes (see `filter`)
    installs: for programs that install packages and believe to be root: see `filter.installing_filter`; they keep
        the capabilities over files and processes that they need, over nothing but what is theirs
    memory: of each process, in bytes of address space (RLIMIT_AS)
    persona: personality(2)
    umask: of what it creates
    base: an empty directory of the machine, needed for a moment; found by itself where it is not given
    """

    mounts: tuple[Mount, ...] = ()
    network: bool = False
    abstract_sockets: bool = True
    processes: bool = True
    ipc: bool = True
    hostname: str | None = "localhost"
    uid: int | None = BUILD_UID
    gid: int | None = BUILD_GID
    new_session: bool = True
    init: bool = False
    dies_with_parent: bool = True
    plain_files: bool = False
    installs: bool = False
    memory: int | None = None
    persona: int = 0
    umask: int = 0o022
    base: str | None = None

    def describe(self) -> str:
        """One line for each thing, for people."""
        lines = [
            f"network: {'of the machine' if self.network else 'none but loopback'}",
            f"processes: {'its own' if self.processes else 'of the machine'}",
            f"host name: {self.hostname or 'of the machine'}",
            f"user: {_number(self.uid)}, group: {_number(self.gid)}",
        ]
        if self.memory is not None:
            lines.append(f"address space of a process: {self.memory} bytes")
        return "\n".join([*lines, *(mount.describe() for mount in self.mounts)])


def _number(id: int | None) -> str:
    return "the caller's" if id is None else str(id)


# What every program may count on in /dev, whatever else there is.
_NODES = ("full", "null", "random", "tty", "urandom", "zero")

DEVICES: tuple[Mount, ...] = (
    Directory("/dev"),
    *(Bind(f"/dev/{name}", f"/dev/{name}", writable=True) for name in _NODES),
    Terminals(),
    Symlink("/dev/ptmx", "pts/ptmx"),
    Tmpfs("/dev/shm", 0o1777),  # noqa: S108
    Symlink("/dev/fd", "/proc/self/fd"),
    Symlink("/dev/stdin", "/proc/self/fd/0"),
    Symlink("/dev/stdout", "/proc/self/fd/1"),
    Symlink("/dev/stderr", "/proc/self/fd/2"),
)

# Files that belong to the machine's root and that root may read or write without any capability. Whoever runs
# devenv as root is that user in the sandbox too, by another number.
_SETTINGS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SECRETS = (
    "/proc/kcore",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/timer_list",
)


def root_guards(exists: Callable[[str], bool]) -> tuple[Mount, ...]:
    """What has to be mounted over /proc when the caller is root. `exists` asks the machine."""
    return (
        *(ReadOnly(path) for path in _SETTINGS if exists(path)),
        *(Bind("/dev/null", path) for path in _SECRETS if exists(path)),
    )
