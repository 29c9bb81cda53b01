"""The system calls that Python has no functions for, one thin function each. All raise OSError.

Library functions are used where the C library has one; the rest goes by number. Numbers from 424 on are the
same on every architecture (the kernel's syscall tables), clone's is not.
"""

from __future__ import annotations

import ctypes
import os

# unshare(2), clone(2)
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000
_SIGCHLD = 17

# mount(2), umount2(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 1024, 2048, 4096, 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE, MS_RELATIME, MS_STRICTATIME = 1 << 18, 1 << 21, 1 << 24
MNT_DETACH = 2

# mount_setattr(2), since Linux 5.12
_SYS_MOUNT_SETATTR = 442
MOUNT_ATTR_RDONLY = 1
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000

_CLOSE_RANGE_CLOEXEC = 4
_SYS_CLOSE_RANGE = 436

_SYS_LANDLOCK_CREATE_RULESET, _SYS_LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1

_SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_KEYCTL_JOIN_SESSION_KEYRING = 1
_SIG_SETMASK, _SIG_DFL = 2, 0
_CAPABILITY_VERSION_3 = 0x20080522
# capabilities(7) by number: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SYS_CHROOT. DAC_READ_SEARCH is not
# among them: with it, files could be opened by handle.
INSTALLING_CAPABILITIES = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 18))

PER_LINUX32, ADDR_NO_RANDOMIZE = 0x0008, 0x0040000

# PyDLL, as a thread that lets go of the interpreter's lock around clone would find it held by nobody after it.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_long, _text, _null = ctypes.c_long, ctypes.c_char_p, None


def _check(result: int, what: str | bytes | None = None) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def _bytes(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def clone(flags: int) -> int:
    """Like fork, with new namespaces by `flags`: the child's process id, or 0 in the child.

    The C library's locks are copied as they are: only a process with a single thread may call it.
    """
    number = _SYS_CLONE.get(os.uname().machine)
    if number is None:
        raise OSError(38, f"devenv does not know the number of clone on {os.uname().machine}")
    return _check(_libc.syscall(_long(number), _long(flags | _SIGCHLD), _null, _null, _null, _null))


def unshare(flags: int) -> None:
    """Put this process into new namespaces (its children, in the case of process ids)."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def mount(
    source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2)."""
    arguments = _text(_bytes(source)), _text(_bytes(target)), _text(_bytes(kind)), _long(flags)
    _check(_libc.mount(*arguments, _text(_bytes(data))), target)


def detach(target: str) -> None:
    """Take a mount and those in it out of the tree of files at once."""
    _check(_libc.umount2(_text(_bytes(target)), ctypes.c_int(MNT_DETACH)), target)


def pivot_root(new: str, old: str) -> None:
    """Make the mount `new` the root and put the old root at `old`."""
    _check(_libc.pivot_root(_text(_bytes(new)), _text(_bytes(old))), new)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64),
    )


def set_mount_attributes(path: str, *, set: int = 0, clear: int = 0, recursive: bool = False) -> None:
    """mount_setattr(2). Raises OSError with ENOSYS before Linux 5.12."""
    attributes = _MountAttributes(set, clear, 0, 0)
    _check(
        _libc.syscall(
            _long(_SYS_MOUNT_SETATTR),
            _long(_AT_FDCWD),
            _text(_bytes(path)),
            _long(_AT_RECURSIVE if recursive else 0),
            ctypes.byref(attributes),
            _long(ctypes.sizeof(attributes)),
        ),
        path,
    )


def set_host_name(name: str, domain: str) -> None:
    """The two names of the UTS namespace."""
    host, belongs_to = os.fsencode(name), os.fsencode(domain)
    _check(_libc.sethostname(_text(host), ctypes.c_size_t(len(host))))
    _check(_libc.setdomainname(_text(belongs_to), ctypes.c_size_t(len(belongs_to))))


def bring_loopback_up() -> None:
    """Give the network namespace a working 127.0.0.1. See netdevice(7)."""
    import fcntl

    af_inet, sock_dgram, ioctl_set_flags, up_running = 2, 2, 0x8914, 0x1 | 0x40
    socket = _check(_libc.socket(af_inet, sock_dgram, 0))
    try:
        request = b"lo".ljust(16, b"\0") + up_running.to_bytes(2, "little" if _LITTLE else "big") + bytes(22)
        fcntl.ioctl(socket, ioctl_set_flags, request)
    finally:
        os.close(socket)


_LITTLE = (1).to_bytes(2, "little") == bytes(ctypes.c_uint16(1))


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` when the thread that made this process ends.

    Lost whenever the process changes who it is, so it comes last. The parent may have died before.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _long(signal), _long(0), _long(0), _long(0)))


def forbid_new_privileges() -> None:
    """From now on no program gives more rights than its caller has, setuid or not."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, _long(1), _long(0), _long(0), _long(0)))


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def filter_calls(program: bytes) -> None:
    """Have the kernel look at every system call from now on, see `filter`. Needs `forbid_new_privileges`."""
    whole = _FilterProgram(len(program) // 8, program)
    _check(_libc.prctl(_PR_SET_SECCOMP, _long(_SECCOMP_MODE_FILTER), ctypes.byref(whole), _long(0), _long(0)))


def leave_abstract_sockets() -> bool:
    """Reach no abstract socket of a program outside from now on. Whether the kernel can do that (Linux 6.12).

    Landlock's scopes, see landlock(7). Needs `forbid_new_privileges`.
    """
    attributes = (ctypes.c_uint64 * 3)(0, 0, _LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    rules = _libc.syscall(_long(_SYS_LANDLOCK_CREATE_RULESET), attributes, size, _long(0))
    if rules < 0:
        return False
    try:
        return bool(_libc.syscall(_long(_SYS_LANDLOCK_RESTRICT_SELF), _long(rules), _long(0)) == 0)
    finally:
        os.close(rules)


def keep_capabilities(kept: int) -> None:
    """Give up all capabilities but those of the bits in `kept`, each 1 << its number, below 32."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted and inheritable, of the lower 32 and then of the upper ones
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)))


def new_session_keyring() -> None:
    """Leave the user's session keyring (Kerberos tickets, disk keys) for an empty one, where there are such."""
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number is not None:
        _libc.syscall(_long(number), _long(_KEYCTL_JOIN_SESSION_KEYRING), _null, _null, _null, _null)


def set_personality(persona: int) -> None:
    """personality(2): what kind of kernel this process sees."""
    _check(_libc.personality(ctypes.c_ulong(persona)))


def reset_signals() -> None:
    """What a new program expects: nothing ignored, nothing blocked. Python ignores SIGPIPE."""
    for number in range(1, 32):
        _libc.signal(ctypes.c_int(number), ctypes.c_void_p(_SIG_DFL))  # fails for 9 and 19
    _check(_libc.sigprocmask(ctypes.c_int(_SIG_SETMASK), ctypes.create_string_buffer(128), _null))


def close_from(first: int) -> None:
    """Have all descriptors from `first` on closed by the next execve."""
    result = _libc.syscall(
        _long(_SYS_CLOSE_RANGE), _long(first), ctypes.c_ulong(0xFFFFFFFF), _long(_CLOSE_RANGE_CLOEXEC)
    )
    if result < 0:  # before Linux 5.11
        for name in os.listdir("/proc/self/fd"):
            if int(name) >= first:
                try:
                    os.set_inheritable(int(name), False)
                except OSError:
                    continue  # the descriptor that listdir itself had open
