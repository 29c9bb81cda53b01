"""What a person sees in a root: the packages' /usr and /etc, and everything else of their machine. Pure.

The root itself is a directory in memory, so that every top directory of the machine can be shown. /usr and /etc come
from the composed root, read-only, but for the few files of /etc by which a machine is known. Directories of /var that packages
leave empty, /run and /usr/local can be written: daemons and `make install` want them; what is in them lies in
the state directory, but for /run.
"""

from __future__ import annotations

from collections.abc import Iterator

from devenv.sandbox.spec import Bind, Directory, Mount, Symlink, Tmpfs
from devenv.values import value

# Top directories of a machine that are not simply shown.
_OWN = frozenset(
    (
        *("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32", "etc", "var", "run", "opt"),
        *("dev", "proc", "sys", "tmp", "boot", "lost+found", "swapfile"),
    )
)
# What of the machine's own system can be looked at below /run/host.
_HOST = ("usr", "etc", "opt", "bin", "sbin", "lib", "lib32", "lib64")
# Files of /etc that are the machine's, others are written for the user: see `state.ETC_FILES`.
_ETC = ("resolv.conf", "hostname", "localtime", "machine-id")
_FONTS = "usr/local/share/fonts"


@value(frozen=True, slots=True, kw_only=True)
class Machine:
    """What of the machine decides about mounts.

    top, opt, run: names in /, /opt and /run; links: those of them that are symbolic links, by path, and their targets
    etc: which of the files of /etc exist; fonts: whether there are fonts of its own
    """

    top: tuple[str, ...]
    opt: tuple[str, ...]
    run: tuple[str, ...]
    links: dict[str, str]
    etc: frozenset[str]
    fonts: bool


@value(frozen=True, slots=True, kw_only=True)
class Root:
    """A composed root: its `directory`, the links and directories at its top, and what lies in a few of them.

    links: "bin" -> "usr/bin"; opt: names in its /opt; written: directories of /var that packages left empty
    run: directories that packages want in /run; daemons: those of them that are the packages' own even where the machine
    has one of that name, which belongs to a daemon of the machine
    """

    directory: str
    links: dict[str, str]
    opt: tuple[str, ...]
    written: tuple[str, ...]
    run: tuple[str, ...]
    daemons: tuple[str, ...] = ()


def mounts(machine: Machine, root: Root, state: str) -> tuple[Mount, ...]:
    """The mounts of a session whose changes go to the directory `state`."""
    return (
        *_system(machine, root, state),
        *_devices(),
        *_shown(machine, root),
        *_run(machine, root, state),
        *_host(machine),
    )


def _system(machine: Machine, root: Root, state: str) -> Iterator[Mount]:
    yield Bind(f"{root.directory}/usr", "/usr")
    yield Bind(f"{state}/usr-local", "/usr/local", writable=True)
    if machine.fonts:
        yield Bind("/usr/share/fonts", f"/{_FONTS}")
    for name, target in sorted(root.links.items()):
        yield Symlink(f"/{name}", target)
    yield Bind(f"{root.directory}/etc", "/etc")
    for name in _ETC:
        if name in machine.etc:
            yield Bind(f"/etc/{name}", f"/etc/{name}", writable=name == "resolv.conf")
    for name in ("passwd", "group", "hosts"):
        yield Bind(f"{state}/etc/{name}", f"/etc/{name}", writable=name == "hosts")
    yield Bind(f"{root.directory}/var", "/var")
    yield Bind("/var/tmp", "/var/tmp", writable=True)  # noqa: S108 - the machine's, as it is
    for path in root.written:
        yield Bind(f"{state}/{path}", f"/{path}", writable=True)


def _devices() -> Iterator[Mount]:
    for path in ("/dev", "/proc", "/sys", "/tmp"):  # noqa: S108
        yield Bind(path, path, writable=True)


def _shown(machine: Machine, root: Root) -> Iterator[Mount]:
    """Home, and whatever else the machine has at its top; /opt holds both the machine's and the packages'."""
    for name in machine.top:
        if name in _OWN:
            continue
        path = f"/{name}"
        if path in machine.links:
            yield Symlink(path, machine.links[path])
        else:
            yield Bind(path, path, writable=True)
    yield Directory("/opt")
    for name in machine.opt:
        yield Bind(f"/opt/{name}", f"/opt/{name}", writable=True)
    for name in root.opt:
        yield Bind(f"{root.directory}/opt/{name}", f"/opt/{name}")


def _run(machine: Machine, root: Root, state: str) -> Iterator[Mount]:
    """The machine's sockets of X11, Wayland, sound, D-Bus and so on, in a /run where more can be made."""
    yield Tmpfs("/run")
    for name in machine.run:
        if name != "host" and name not in root.daemons:
            path = f"/run/{name}"
            if path in machine.links:
                yield Symlink(path, machine.links[path])
            else:
                yield Bind(path, path, writable=True)
    for name in root.run:
        top = name.partition("/")[0]
        if (
            top in root.daemons
        ):  # shared by all sessions, so that a client in the next terminal finds the socket
            yield Bind(f"{state}/run/{top}", f"/run/{top}", writable=True)
        elif top not in machine.run:
            yield Directory(f"/run/{name}")


def _host(machine: Machine) -> Iterator[Mount]:
    for name in _HOST:
        if name not in machine.top:
            continue
        path = f"/{name}"
        if path in machine.links:
            yield Symlink(f"/run/host/{name}", machine.links[path].lstrip("/"))
        else:
            yield Bind(path, f"/run/host/{name}")
