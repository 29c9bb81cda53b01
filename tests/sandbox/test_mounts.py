"""The order in which a root is put together, as values."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.sandbox.errors import SandboxError
from devenv.sandbox.mounts import describe, is_inside, normalise, operations
from devenv.sandbox.spec import (
    DEVICES,
    Bind,
    Directory,
    File,
    Mount,
    Overlay,
    Proc,
    ReadOnly,
    SandboxSpec,
    Symlink,
    Terminals,
    Tmpfs,
    root_guards,
)

MACHINE: Mapping[str, bool] = {
    "/": True,
    "/usr": True,
    "/usr/lib": True,
    "/bin/sh": False,
    "/store/a": True,
    "/scratch": True,
    "/home": True,
}


def is_directory(path: str) -> bool | None:
    return MACHINE.get(path)


LOCK_ROOT = ("lock", "", False)

CASES: list[tuple[str, list[Mount], list[tuple[object, ...]]]] = [
    (
        "an overlay is the root, stays writable, and has mount points of its own",
        [
            Overlay("/scratch"),
            Tmpfs("/dev"),
            Directory("/dev/x"),
            Bind("/store/a", "/usr/a", writable=True),
            Proc(),
        ],
        [
            ("overlay", "", "/scratch"),
            ("tmpfs", "dev", "mode=755"),
            ("directory", "dev/x", 0o755),
            ("proc", "proc"),
            ("bind", "usr/a", "/store/a"),
        ],
    ),
    ("nothing", [], [LOCK_ROOT]),
    (
        "a directory is mounted and locked",
        [Bind("/usr", "/usr")],
        [("directory", "usr", 0o755), ("bind", "usr", "/usr"), ("lock", "usr", True), LOCK_ROOT],
    ),
    (
        "a file has a file as its mount point, in directories that are made once",
        [File("/a/b/d", b"x", 0o600), Bind("/bin/sh", "/a/b/c", writable=True)],
        [
            ("directory", "a", 0o755),
            ("directory", "a/b", 0o755),
            ("file", "a/b/c", b"", 0o644),
            ("bind", "a/b/c", "/bin/sh"),
            ("file", "a/b/d", b"x", 0o600),
            LOCK_ROOT,
        ],
    ),
    (
        "outer before inner, however they are given",
        [Bind("/usr/lib", "/x/y", writable=True), Tmpfs("/x", 0o1777, size=100)],
        [
            ("directory", "x", 0o755),
            ("tmpfs", "x", "mode=1777,size=100"),
            ("directory", "x/y", 0o755),
            ("bind", "x/y", "/usr/lib"),
            LOCK_ROOT,
        ],
    ),
    (
        "the later of two for one place counts",
        [Bind("/usr", "/x"), Symlink("/x", "y")],
        [("symlink", "x", "y"), LOCK_ROOT],
    ),
    (
        "what is shown anyway is not mounted again",
        [Bind("/usr", "/usr"), Bind("/usr/lib", "/usr/lib")],
        [("directory", "usr", 0o755), ("bind", "usr", "/usr"), ("lock", "usr", True), LOCK_ROOT],
    ),
    (
        "but it is when it is writable, after the outer was locked",
        [Bind("/usr", "/usr"), Bind("/usr/lib", "/usr/lib", writable=True)],
        [
            ("directory", "usr", 0o755),
            ("bind", "usr", "/usr"),
            ("lock", "usr", True),
            ("bind", "usr/lib", "/usr/lib"),
            LOCK_ROOT,
        ],
    ),
    (
        "a writable directory with only read-only mounts in it is locked as a whole",
        [
            Bind("/scratch", "/store", writable=True),
            Bind("/store/a", "/store/a"),
            Bind("/store/b", "/store/b"),
        ],
        [
            ("directory", "store", 0o755),
            ("bind", "store", "/scratch"),
            ("bind", "store/a", "/store/a"),
            ("bind", "store/b", "/store/b"),
            ("lock", "store", True),
            ("unlock", "store"),
            LOCK_ROOT,
        ],
    ),
    (
        "optional sources that are missing are left out",
        [Bind("/missing", "/missing", optional=True), Bind("/usr", "/u", writable=True, optional=True)],
        [("directory", "u", 0o755), ("bind", "u", "/usr"), LOCK_ROOT],
    ),
    (
        "a part of another mount can be locked",
        [Proc(), ReadOnly("/proc/sys")],
        [
            ("directory", "proc", 0o755),
            ("proc", "proc"),
            ("bind", "proc/sys", None),
            ("lock", "proc/sys", True),
            LOCK_ROOT,
        ],
    ),
    (
        "a directory in memory can be read-only, once things were made in it",
        [Tmpfs("/t", writable=False), Directory("/t/d", 0o700)],
        [
            ("directory", "t", 0o755),
            ("tmpfs", "t", "mode=755"),
            ("directory", "t/d", 0o700),
            ("lock", "t", False),
            LOCK_ROOT,
        ],
    ),
    (
        "the whole root can be a directory of the machine",
        [Bind("/home", "/home", writable=True), Bind("/", "/")],
        [("bind", "", "/"), ("lock", "", True), ("bind", "home", "/home")],
    ),
]


@pytest.mark.parametrize(
    ("mounts", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_mounts_become_operations(mounts: list[Mount], expected: list[tuple[object, ...]]) -> None:
    assert list(operations(mounts, is_directory)) == expected


REFUSED: list[tuple[str, list[Mount], str]] = [
    ("relative", [Bind("/usr", "usr")], "absolute path"),
    ("with dots", [Bind("/usr", "/a/../b")], "absolute path"),
    ("not normal", [Bind("/usr", "/a/")], "absolute path"),
    ("doubled slash", [Bind("/usr", "//a")], "absolute path"),
    ("with NUL", [Directory("/a\0b")], "absolute path"),
    ("a missing source", [Bind("/missing", "/missing")], "does not exist"),
    ("inside of a file", [File("/a"), Directory("/a/b")], "inside of /a, a file"),
    ("inside of a link", [Symlink("/a", "/usr"), Bind("/usr", "/a/b")], "inside of /a, a symbolic link"),
    ("inside of terminals", [Terminals(), Tmpfs("/dev/pts/x")], "set of terminals"),
    (
        "made in a directory of the machine",
        [Bind("/usr", "/usr"), Directory("/usr/x")],
        "which is the machine's",
    ),
    ("written into one", [Bind("/usr", "/usr", writable=True), File("/usr/x")], "which is the machine's"),
    ("an overlay elsewhere", [Overlay("/scratch", "/x")], "only be the root"),
    ("no root", [Tmpfs("/")], "the root cannot be"),
]


@pytest.mark.parametrize(
    ("mounts", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_cannot_be_mounted_is_refused(mounts: list[Mount], said: str) -> None:
    with pytest.raises(SandboxError, match=said):
        operations(mounts, is_directory)


def test_each_operation_and_mount_describes_itself() -> None:
    mounts = [mount for case in CASES for mount in case[1]]
    assert all(mount.describe() for mount in (*mounts, *DEVICES))
    lines = [describe(operation) for case in CASES for operation in operations(case[1], is_directory)]
    assert "mount /usr at /usr" in lines
    assert "make / read-only" in lines
    assert "make the file /a/b/d" in lines
    text = SandboxSpec(mounts=(Bind("/usr", "/u"), Proc()), memory=5).describe()
    assert text.splitlines() == [
        "network: none but loopback",
        "processes: its own",
        "host name: localhost",
        "user: 1000, group: 100",
        "address space of a process: 5 bytes",
        "read-only /u, which is /usr",
        "processes at /proc",
    ]


def test_root_is_guarded_from_what_the_machine_has() -> None:
    there = {"/proc/sys", "/proc/kcore"}
    assert root_guards(there.__contains__) == (ReadOnly("/proc/sys"), Bind("/dev/null", "/proc/kcore"))


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
mounts = st.lists(
    st.one_of(
        st.builds(Bind, paths, paths, st.booleans()),
        st.builds(Tmpfs, paths),
        st.builds(Directory, paths),
        st.builds(File, paths),
        st.builds(Symlink, paths, paths),
    ),
    max_size=6,
)


@given(mounts)
def test_whatever_is_given_is_ordered_or_refused(given: list[Mount]) -> None:
    """Nothing is made in a directory of the machine, nothing happens in what is not there yet."""
    try:
        found = operations(given, lambda path: True)
    except SandboxError:
        return
    there = {"": "memory"}
    for name, path, *_ in found:
        assert isinstance(path, str)
        if name in ("lock", "unlock"):
            assert path in there
            continue
        parent = path.rpartition("/")[0]
        covering = next(
            there[outer] for outer in _outward(path if name == "bind" else parent) if outer in there
        )
        if name in ("directory", "file", "symlink"):
            assert covering == "memory"
        assert parent in there or covering == "machine"
        there[path] = "machine" if name == "bind" else "memory"


def _outward(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)] + [""]


@given(mounts)
def test_normal_mounts_are_normal(given: list[Mount]) -> None:
    once = normalise(given, lambda path: True)
    assert normalise(once, lambda path: True) == once
    assert len({mount.target for mount in once}) == len(once)
    for position, mount in enumerate(once):
        assert not any(is_inside(mount.target, later.target) for later in once[position:])
