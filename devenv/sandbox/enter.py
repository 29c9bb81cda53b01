"""Entering a sandbox: what a new process does between its birth and the program that it becomes.

An `Entry` is a sandbox as plain data. It is made from a `SandboxSpec` where there is time for it (`entry`), and
performed in the new process, which may belong to a helper that has loaded nothing else: this module imports only
what that needs, and all of it at once, since nothing can be imported in the new root.
"""

from __future__ import annotations

import errno
import os
import resource
import select
from marshal import dumps, loads  # only between our own processes

from devenv.sandbox import syscalls
from devenv.sandbox.building import Refused, build, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from devenv.sandbox.spec import SandboxSpec

    # flags: of clone(2); users, groups: maps of ids; operations: as in `mounts`; the rest as in SandboxSpec
    Entry = dict[str, Any]

NOT_STARTED = 125  # the status of a process that did not become its program

# Where a root may be put together: a directory that is hidden for a moment.
_BASES = ("/tmp", "/run", "/mnt", "/media", "/srv", "/opt", "/var", "/home", "/boot", "/etc", "/usr")  # noqa: S108


def entry(spec: SandboxSpec) -> Entry:
    """`spec` as plain data, for this machine and user. Raises SandboxError for mounts that cannot be."""
    from devenv.sandbox.mounts import operations

    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS
    flags |= 0 if spec.network else syscalls.CLONE_NEWNET
    flags |= syscalls.CLONE_NEWPID if spec.processes else 0
    flags |= syscalls.CLONE_NEWIPC if spec.ipc else 0
    flags |= 0 if spec.hostname is None else syscalls.CLONE_NEWUTS
    user, group = os.geteuid(), os.getegid()
    return {
        "flags": flags,
        "users": f"{user if spec.uid is None else spec.uid} {user} 1\n",
        "groups": f"{group if spec.gid is None else spec.gid} {group} 1\n",
        "operations": operations(spec.mounts, _is_directory),
        "base": _base(spec) if spec.base is None else spec.base,
        "loopback": not spec.network,
        "abstract_sockets": spec.abstract_sockets or not spec.network,
        "hostname": spec.hostname,
        "new_session": spec.new_session,
        "init": spec.init,
        "dies_with_parent": spec.dies_with_parent,
        "filter": _filter(spec),
        "capabilities": syscalls.INSTALLING_CAPABILITIES if spec.installs else 0,
        "memory": spec.memory,
        "persona": spec.persona,
        "umask": spec.umask,
    }


def _filter(spec: SandboxSpec) -> bytes:
    if not spec.plain_files and not spec.installs:
        return b""
    from devenv.sandbox.filter import installing_filter, plain_files_filter

    machine = os.uname().machine
    return installing_filter(machine) if spec.installs else plain_files_filter(machine)


def _is_directory(path: str) -> bool | None:
    try:
        return os.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return None


def _base(spec: SandboxSpec) -> str:
    """A directory that nothing of what is shown lies in."""
    from devenv.sandbox.errors import SandboxError
    from devenv.sandbox.spec import Bind

    sources = [os.path.realpath(mount.source) + "/" for mount in spec.mounts if isinstance(mount, Bind)]
    for base in _BASES:
        hidden = os.path.realpath(base) + "/"
        if os.path.isdir(base) and not any(source.startswith(hidden) for source in sources):
            return base
    raise SandboxError(
        "no directory is left to put a sandbox's root together in: something is shown from each of "
        f"{', '.join(_BASES)}",
        hint="Make one of them.",
    )


def request(
    spec: SandboxSpec,
    argv: Sequence[str] | Sequence[bytes],
    env: Mapping[str, str] | Mapping[bytes, bytes],
    cwd: str,
    program: str | None = None,
) -> tuple[int, bytes]:
    """The flags for `clone`, and what `become` reads: the sandbox and the program in it, `argv[0]` unless named."""
    made = entry(spec)
    return made["flags"], dumps((made, program or argv[0], tuple(argv), dict(env), cwd))


def run(
    spec: SandboxSpec,
    argv: Sequence[str] | Sequence[bytes],
    env: Mapping[str, str] | Mapping[bytes, bytes],
    cwd: str,
    *,
    stdin: int = 0,
    stdout: int = 1,
    stderr: int = 2,
) -> int:
    """Start `argv`, whose first entry is a path inside, in a sandbox: the id of a child to wait for.

    `cwd` is a directory inside. No other descriptors are open in it. With `new_session=False` it keeps the
    terminal, so a shell has job control. Raises SandboxError when the sandbox or the program cannot be started.
    Unlike `become` it may be called from a process with several threads.
    """
    flags, data = request(spec, argv, env, cwd)
    try:
        return _start(flags, data, (stdin, stdout, stderr))
    except Refused as refused:
        from devenv.sandbox.probe import explained

        raise explained(refused, f"starting {os.fsdecode(argv[0])} in a sandbox") from refused


def _start(flags: int, data: bytes, stdio: tuple[int, int, int]) -> int:
    ours, theirs = os.pipe()
    with open(ours, "rb") as report:
        try:
            between = os.fork()
            if between == 0:
                # A process with one thread, as clone wants it. What it makes becomes a child of ours.
                _between(flags, data, stdio, theirs)
        finally:
            os.close(theirs)
        os.waitpid(between, 0)
        child = int.from_bytes(report.read(8), "little")
        said = report.read()
    if said:
        if child:
            os.waitpid(child, 0)
        raise reported(said)
    return child


def _between(flags: int, data: bytes, stdio: tuple[int, int, int], report: int) -> NoReturn:
    try:
        waiting, go = os.pipe()
        child = clone(flags | syscalls.CLONE_PARENT)
        if child == 0:
            os.close(go)
            os.read(waiting, 1)  # until its number has been written
            become(data, stdio, report, None)
        os.write(report, child.to_bytes(8, "little"))
    except Refused as refused:
        os.write(report, bytes(8))
        report_refusal(report, refused)
    finally:
        os._exit(0)


def clone(flags: int) -> int:
    """Like fork, into new namespaces. Raises Refused."""
    try:
        return syscalls.clone(flags)
    except OSError as error:
        raise Refused("making namespaces", error.errno or errno.EINVAL) from error


def become(data: bytes, stdio: tuple[int, int, int], report: int, parent: int | None) -> NoReturn:
    """In a process that `clone` made with the flags of its request: enter the sandbox, be the program.

    What goes wrong is written to `report`, for `reported`; it is closed when all went well. `parent` is a
    descriptor (pidfd) of the process that made this one.
    """
    try:
        made, program, arguments, environment, directory = loads(data)  # noqa: S302
        perform(made)
        _settle(made, stdio, directory)
        if made["init"]:
            _serve(report)
        _check_parent(parent)
        if made["memory"] is not None:  # at the very last, as this program counts as well
            step("limiting memory", resource.setrlimit, resource.RLIMIT_AS, (made["memory"],) * 2)
        step(f"starting {program}", os.execve, program, arguments, environment)
    except Refused as refused:
        report_refusal(report, refused)
    except BaseException as error:  # noqa: BLE001 - there is nobody above to see it
        report_refusal(report, Refused(f"entering, where devenv has a bug ({error!r})", errno.EINVAL))
    finally:
        os._exit(NOT_STARTED)


def report_refusal(report: int, refused: Refused) -> None:
    """Write what `reported` reads."""
    os.write(report, dumps((refused.step, refused.code)))


def reported(data: bytes) -> Refused:
    """What `report_refusal` wrote."""
    step, code = loads(data)  # noqa: S302
    return Refused(step, code)


def perform(made: Entry) -> None:
    """In new namespaces: become their user, build the root, move into it. Raises Refused."""
    step("mapping user ids", _map_ids, made["users"], made["groups"])
    operations, base = made["operations"], made["base"]
    if operations and operations[0][:2] == ("bind", ""):
        step("mounting the root", syscalls.mount, operations[0][2], base, None, _BIND)
        operations = operations[1:]
    elif operations and operations[0][:2] == ("overlay", ""):
        # By relative names, in which no comma or colon can be.
        step("entering the layers of the root", os.chdir, operations[0][2])
        step("mounting an overlay", syscalls.mount, "overlay", base, "overlay", _SAFE, _LAYERS)
        operations = operations[1:]
    else:
        step("mounting the root", syscalls.mount, "none", base, "tmpfs", _SAFE, "mode=755")
        # What is shown may be around it, and would have it in itself otherwise.
        step("keeping the root out of itself", syscalls.mount, None, base, None, syscalls.MS_UNBINDABLE)
    step("entering the new root", os.chdir, base)
    build(operations, base)
    step("moving to the new root", _pivot)
    if made["hostname"] is not None:
        step("setting the host name", syscalls.set_host_name, made["hostname"], "(none)")
    if made["loopback"]:
        step("starting the loopback device", syscalls.bring_loopback_up)


_BIND = syscalls.MS_BIND | syscalls.MS_REC
_SAFE = syscalls.MS_NOSUID | syscalls.MS_NODEV
_LAYERS = "lowerdir=lower,upperdir=upper,workdir=work,userxattr"


def _map_ids(users: str, groups: str) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", users), ("gid_map", groups)):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _pivot() -> None:
    # The old root comes to lie upon the new one, and is taken away there: no directory is needed for it.
    syscalls.pivot_root(".", ".")
    syscalls.detach(".")
    os.chdir("/")


def _settle(made: Entry, stdio: tuple[int, int, int], directory: str) -> None:
    """All that a process has besides its view of files."""
    if made["new_session"]:
        os.setsid()
    step(f"entering {directory}", os.chdir, directory)
    os.umask(made["umask"])
    _take_descriptors(stdio)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if made["persona"]:
        step("setting the personality", syscalls.set_personality, made["persona"])
    syscalls.new_session_keyring()
    step("giving up new privileges", syscalls.forbid_new_privileges)
    step("giving up capabilities", syscalls.keep_capabilities, made["capabilities"])
    if not made["abstract_sockets"]:
        syscalls.leave_abstract_sockets()
    if made["filter"]:
        step("filtering system calls", syscalls.filter_calls, made["filter"])
    if made["dies_with_parent"]:
        step("tying its life to devenv's", syscalls.die_with_parent, 9)
    syscalls.reset_signals()


def _take_descriptors(stdio: tuple[int, int, int]) -> None:
    """`stdio` as 0, 1 and 2; all others are closed when the program starts."""
    above = list(stdio)
    while min(above) < 3:  # out of each other's way
        above = [os.dup(descriptor) for descriptor in above]
    for number, descriptor in enumerate(above):
        os.dup2(descriptor, number, inheritable=True)
    syscalls.close_from(3)


def _check_parent(parent: int | None) -> None:
    """End now if the parent died before that could be noticed."""
    if parent is not None:
        poll = select.poll()
        poll.register(parent, select.POLLIN)
        if poll.poll(0):
            os._exit(NOT_STARTED)


def _serve(report: int) -> None:
    """Stay process 1, and end with the status of the program. Returns in the process that becomes it."""
    child = os.fork()
    if child == 0:
        return
    os.close(report)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
