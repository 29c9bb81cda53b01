"""What of the machine a build sees, and where its mounts go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.derivations.build_root import (
    Scratch,
    build_sandbox,
    check_impure_paths,
    default_sandbox_paths,
    is_static,
    make_mount_points,
    parse_sandbox_path,
)
from devenv.derivations.errors import BuildError
from devenv.sandbox.mounts import operations
from devenv.sandbox.spec import Bind, File, SandboxSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/bin", Bind("/bin", "/bin")),
        ("/bin/sh=/usr/bin/busybox", Bind("/usr/bin/busybox", "/bin/sh")),
        ("/lib64?", Bind("/lib64", "/lib64", optional=True)),
        ("/a=/b=c?", Bind("/b=c", "/a", optional=True)),
        ("/usr/", Bind("/usr/", "/usr")),
    ],
)
def test_sandbox_paths_are_read_as_nix_reads_them(text: str, expected: Bind) -> None:
    assert parse_sandbox_path(text) == expected


def test_a_derivation_gets_no_path_of_the_machine_by_asking() -> None:
    shown = ("/usr/bin", "/bin/sh=/x", "/lib64?")
    check_impure_paths([], (), "p")
    check_impure_paths(["/usr/bin", "/usr/bin/env", "/bin/sh"], shown, "p")
    with pytest.raises(BuildError, match=r"cannot build p: it wants /bin, /usr/binary of this machine"):
        check_impure_paths(["/usr/binary", "/usr/bin", "/bin"], shown, "p")


def test_a_static_program_is_told_from_others(tmp_path: Path) -> None:
    python = os.path.realpath(sys.executable)
    assert not is_static(python)
    assert not is_static("/etc/passwd")
    assert not is_static("/")
    assert not is_static(str(tmp_path / "missing"))
    loader = subprocess.run(["ldd", python], capture_output=True, text=True, check=True).stdout.split()
    static = next(word for word in loader if "/ld-" in word)  # the loader itself has none
    assert is_static(static)
    assert default_sandbox_paths((python, static)) == (f"/bin/sh={static}",)
    assert default_sandbox_paths((python,)) == ()


@given(st.binary(max_size=200))
def test_no_file_is_too_damaged_to_be_looked_at(data: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        for contents in (data, b"\x7fELF" + data, b"\x7fELF\x02\x01" + data):
            file.seek(0)
            file.truncate()
            file.write(contents)
            file.flush()
            is_static(file.name)


def make(scratch: Scratch, store_dir: str, **more: object) -> SandboxSpec:
    return build_sandbox(scratch, store_dir=store_dir, inputs=(), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "store_dir", ["/nix/store", "/tmp/a/store", "/build/store", "/dev/shm/x/store", "/home/u/store"]
)
def test_a_store_can_be_anywhere(tmp_path: Path, store_dir: str) -> None:
    scratch = Scratch(str(tmp_path / "scratch"))
    scratch.make()
    make_mount_points(scratch, store_dir, [])
    found = operations(make(scratch, store_dir).mounts, lambda path: os.path.isdir(path))
    places = {operation[1] for operation in found}
    assert store_dir[1:] in places
    if store_dir.startswith(("/tmp", "/build")):  # a directory of the machine, where nothing is made later
        top, _, rest = store_dir[1:].partition("/")
        assert os.path.isdir(f"{scratch.path}/{top}/{rest}")


def test_inputs_have_mount_points_of_their_kind(tmp_path: Path) -> None:
    (tmp_path / "store/a-directory").mkdir(parents=True)
    for name in ("b-file", "c-file"):
        (tmp_path / "store" / name).write_text("contents")
    (tmp_path / "store/d-link").symlink_to("/no/where")
    scratch = Scratch(str(tmp_path / "scratch"))
    scratch.make()
    inputs = sorted(str(path) for path in (tmp_path / "store").iterdir())
    assert make_mount_points(scratch, str(tmp_path / "store"), inputs) == inputs[:3]
    assert os.path.isdir(f"{scratch.store}/a-directory")
    for name in ("b-file", "c-file"):
        assert Path(scratch.store, name).read_bytes() == b""
    assert os.readlink(f"{scratch.store}/d-link") == "/no/where"
    for path, mode in ((scratch.store, 0o1775), (scratch.build, 0o700), (scratch.tmp, 0o1777)):
        assert os.stat(path).st_mode & 0o7777 == mode


def test_a_shown_directory_has_its_own_idea_of_what_is_in_it(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    mounts = make(scratch, "/nix/store", sandbox_paths=("/etc",)).mounts
    assert [mount for mount in mounts if isinstance(mount, File)] == []
    assert Bind("/etc", "/etc") in mounts


def test_only_a_build_with_a_network_has_the_files_for_it(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    without, having = (make(scratch, "/nix/store", network=network) for network in (False, True))
    assert (without.network, having.network) == (False, True)
    added = {mount.target for mount in having.mounts} - {mount.target for mount in without.mounts}
    assert "/etc/nsswitch.conf" in added
    assert {"/etc/resolv.conf" in added} == {os.path.exists("/etc/resolv.conf")}
    assert all(target.startswith("/etc/") for target in added)
