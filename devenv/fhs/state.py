"""What a session in a root keeps for itself: files of /etc that name the user, hosts, what daemons write.

In the state directory:

    etc/passwd, etc/group    those of the packages, with the user's own lines
    etc/hosts                the machine's at first; edits stay, see `refresh_hosts`
    etc/hosts.machine        the machine's as it was last seen
    var/..., run/...         directories that packages left empty, and those of their daemons' sockets
    usr-local/               /usr/local
    base/                    an empty directory where roots are put together
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from devenv.errors import DevenvError
from devenv.fhs.mounts import Machine, Root

_KEPT_OF_MACHINE = ("resolv.conf", "hostname", "localtime", "machine-id")
# Where daemons keep what they write.
_WRITTEN = ("var/lib", "var/log", "var/cache", "var/spool", "var/mail", "var/games", "var/www")
_DEEPEST = 2


def machine() -> Machine:
    """This machine."""
    links: dict[str, str] = {}

    def names(directory: str) -> tuple[str, ...]:
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            return ()
        for entry in found:
            if entry.is_symlink():
                links[entry.path] = os.readlink(entry.path)
        return tuple(entry.name for entry in found if _is_shown(entry))

    top, opt, run = names("/"), names("/opt"), names("/run")
    etc = frozenset(name for name in _KEPT_OF_MACHINE if os.path.exists(f"/etc/{name}"))
    return Machine(top=top, opt=opt, run=run, links=links, etc=etc, fonts=os.path.isdir("/usr/share/fonts"))


def _is_shown(entry: os.DirEntry[str]) -> bool:
    """Links, directories, and what can be mounted on a file."""
    try:
        if entry.is_symlink():
            return os.path.exists(entry.path)
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)


def root(directory: str) -> Root:
    """The composed root `directory`. Raises DevenvError when it is not there."""
    try:
        with os.scandir(directory) as entries:
            links = {entry.name: os.readlink(entry.path) for entry in entries if entry.is_symlink()}
        opt = tuple(sorted(os.listdir(f"{directory}/opt")))
    except OSError as error:
        raise DevenvError(
            f"entering the root {directory}: {error.strerror}", hint="Run the command again: it is made anew."
        ) from error
    written = tuple(_empty_directories(directory))
    daemons = tuple(_daemons(written))
    run = tuple(_wanted_in_run(directory, daemons))
    return Root(directory=directory, links=links, opt=opt, written=written, run=run, daemons=daemons)


def _empty_directories(directory: str) -> Iterator[str]:
    for top in _WRITTEN:
        yield from _empty_below(directory, top, _DEEPEST)


def _empty_below(directory: str, path: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(f"{directory}/{path}") as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    if not entries:
        yield path
    elif depth:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _empty_below(directory, f"{path}/{entry.name}", depth - 1)


def _daemons(written: Iterable[str]) -> Iterator[str]:
    """What is empty in /var/lib or /var/log belongs to a daemon, whose sockets usually lie in /run/NAME."""
    yield from sorted({path.split("/")[2] for path in written if path.startswith(("var/lib/", "var/log/"))})


def _wanted_in_run(directory: str, daemons: tuple[str, ...]) -> Iterator[str]:
    """Directories in /run that packages ask for: lines `d /run/NAME ...` of tmpfiles.d(5), and one for each daemon."""
    folder = f"{directory}/usr/lib/tmpfiles.d"
    found = set(daemons)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0][:1] in ("d", "D"):
                    place = words[1].replace("/var/run/", "/run/")
                    parts = place.removeprefix("/run/").strip("/").split("/")
                    if place.startswith("/run/") and all(part not in ("", ".", "..") for part in parts):
                        found.add("/".join(parts))
    yield from sorted(found - {"host", "user"})


def prepare(state: str, root: Root) -> None:
    """Bring the state directory up to date. Raises DevenvError."""
    try:
        for name in (
            "etc",
            "usr-local/share/fonts",
            "usr-local/bin",
            "base",
            *root.written,
            *(f"run/{name}" for name in root.daemons),
        ):
            os.makedirs(f"{state}/{name}", exist_ok=True)
        _write(f"{state}/etc/passwd", _with_user(f"{root.directory}/etc/passwd", _user_line()))
        _write(f"{state}/etc/group", _with_user(f"{root.directory}/etc/group", _group_line()))
        refresh_hosts(state)
    except OSError as error:
        raise DevenvError(
            f"preparing {state}, where a session in a root keeps its files: {error.strerror}",
            hint="It must be writable, with space left.",
        ) from error


def _write(path: str, text: str) -> None:
    """In place, for a session that runs has it mounted; only where it differs."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _with_user(path: str, line: str) -> str:
    """The packages' file with the user's line; a line of theirs with the same name or number gives way."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    mine = line.split(":")
    kept = [each for each in lines if each.split(":")[0] != mine[0] and each.split(":")[2:3] != mine[2:3]]
    if mine[2] == "0":
        return "".join(f"{each}\n" for each in [line, *kept])
    return "".join(f"{each}\n" for each in [*kept, line])


def _user_line() -> str:
    import pwd

    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        name = os.environ.get("USER") or "user"
        return f"{name}:x:{os.getuid()}:{os.getgid()}::{os.environ.get('HOME', '/')}:/bin/sh"
    return ":".join((entry.pw_name, "x", str(entry.pw_uid), str(entry.pw_gid), *entry[4:7]))


def _group_line() -> str:
    import grp

    try:
        return f"{grp.getgrgid(os.getgid()).gr_name}:x:{os.getgid()}:"
    except KeyError:
        return f"group{os.getgid()}:x:{os.getgid()}:"


def refresh_hosts(state: str) -> str:
    """The path of the hosts file of sessions. It follows the machine's; lines that were added here stay."""
    own, seen = f"{state}/etc/hosts", f"{state}/etc/hosts.machine"
    now, before, mine = _lines("/etc/hosts"), _lines(seen), _lines(own)
    if not os.path.exists(own):
        _write(own, "".join(now))
        _write(seen, "".join(now))
    elif now != before:
        added = [line for line in mine if line not in before]
        removed = [line for line in before if line not in mine]
        _write(own, "".join([*(line for line in now if line not in removed), *added]))
        _write(seen, "".join(now))
    return own


def add_host(state: str, name: str, address: str) -> None:
    """Give `name` an address in sessions; a line of its own replaces one that was added before. Raises DevenvError."""
    _check_host(name, address)
    _edit_hosts(state, name, f"{address}\t{name}\n")


def remove_host(state: str, name: str) -> bool:
    """Forget what was added for `name`; whether there was something. Lines of the machine's stay. Raises DevenvError."""
    there = any(name in line.split()[1:] for line in added_hosts(state))
    if there:
        _edit_hosts(state, name, "")
    return there


def added_hosts(state: str) -> list[str]:
    """The lines of the hosts file of sessions that are not the machine's."""
    machine = _lines(f"{state}/etc/hosts.machine")
    return [line for line in _lines(f"{state}/etc/hosts") if line not in machine]


def _edit_hosts(state: str, name: str, line: str) -> None:
    try:
        os.makedirs(f"{state}/etc", exist_ok=True)
        own = refresh_hosts(state)
        added = [each for each in added_hosts(state) if name in each.split()[1:]]
        _write(own, "".join([*(each for each in _lines(own) if each not in added), line]))
    except OSError as error:
        raise DevenvError(f"changing {state}/etc/hosts: {error.strerror}") from error


def _check_host(name: str, address: str) -> None:
    import ipaddress

    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise DevenvError(
            f"{address!r} is no address",
            hint="An IPv4 or IPv6 address, such as 127.0.0.9 or ::1, comes second.",
        ) from None
    labels = name.rstrip(".").split(".")
    fits = all(
        label and label.replace("-", "").replace("_", "").isalnum() and label.isascii() for label in labels
    )
    if not fits or len(name) > 253:
        raise DevenvError(
            f"{name!r} is no host name", hint="Letters, digits, hyphens and dots: db.example.test"
        )


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line if line.endswith("\n") else f"{line}\n" for line in file]
    except OSError:
        return []
