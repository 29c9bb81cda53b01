"""Places that are no good for a store: our error, which says what to do, and nothing left open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.formats.hashes import Hash
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store, StoreError

ordinary_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def refused(layout: Layout, message: str) -> StoreError:
    """The error of opening the store; no lock or file stays behind."""
    before = open_descriptors()
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(layout)
    assert open_descriptors() == before
    assert caught.value.hint
    return caught.value


def test_a_store_that_is_a_link_is_refused(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.makedirs(layout.root)
    os.symlink(tmp_path / "elsewhere", layout.store)
    error = refused(layout, "symbolic link")
    assert f"--store-dir {tmp_path.resolve()}/elsewhere" in str(error.hint)


def test_a_store_below_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    refused(Layout(f"{tmp_path}/link"), "symbolic link")
    with Store.open(Layout.find(f"{tmp_path}/link/store", {})) as store:
        assert store.layout.store == f"{tmp_path.resolve()}/real/store"


@pytest.mark.parametrize(
    "place", ["store", "state", "tmp", "state/db", "state/temproots", "state/db/db.sqlite", "state/gc.lock"]
)
def test_something_else_in_the_way_is_named(layout: Layout, place: str) -> None:
    path = Path(layout.root, place)
    path.parent.mkdir(parents=True)
    if path.suffix:
        path.mkdir()
    else:
        path.write_text("mine")
    error = refused(layout, "opening the store")
    assert place.partition(".")[0] in str(error)


@ordinary_user
@pytest.mark.parametrize("place", ["store", "state", "state/db", "state/temproots"])
def test_a_directory_that_may_not_be_written_is_named(layout: Layout, place: str) -> None:
    with Store.open(layout):
        pass
    for name in ("state/gc.lock", "state/db/big-lock", "state/db/db.sqlite"):
        if os.path.dirname(name) == place:
            os.unlink(os.path.join(layout.root, name))
    os.chmod(os.path.join(layout.root, place), 0o555)
    try:
        error = refused(layout, "Permission denied|unable to open database file")
        assert place in str(error)
        assert "--store-dir" in str(error.hint)
    finally:
        os.chmod(os.path.join(layout.root, place), 0o755)


@ordinary_user
def test_a_place_below_another_users_directory_is_refused() -> None:
    refused(Layout("/proc/nobody/devenv"), "No such file|Permission denied")
    refused(Layout("/usr/devenv-test"), "/usr/devenv-test: Permission denied|Read-only")


@ordinary_user
def test_an_unreadable_file_in_a_tree_is_named(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/secret\n").touch(0o000)
    with Store.open(layout) as store:
        with pytest.raises(StoreError, match=r"t/secret\\n: Permission denied"):
            store.add_tree("t", str(tmp_path / "t"))
        assert os.listdir(layout.store) == []


def test_a_tree_that_cannot_be_added_leaves_nothing(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a").touch()
    os.mkfifo(tmp_path / "t/pipe")
    with Store.open(layout) as store:
        with pytest.raises(StoreError, match="pipe is a named pipe"):
            store.add_tree("t", str(tmp_path / "t"))
        with store.temporary_directory() as directory:
            os.mkfifo(f"{directory}/pipe")
            with pytest.raises(StoreError, match="pipe is a named pipe"):
                store.adopt_tree("t", f"{directory}/pipe", ())
        assert os.listdir(layout.store) == []
        (own,) = os.listdir(layout.tmp)
        assert os.listdir(f"{layout.tmp}/{own}") == []


def test_an_output_that_is_not_there_is_an_error(layout: Layout) -> None:
    with Store.open(layout) as store:
        path = store.store_dir.output_path("out", Hash.of("sha256", b""), "x")
        with pytest.raises(StoreError, match="nothing: No such file"):
            store.register_output(
                None,
                path,
                f"{layout.tmp}/nothing",
                nar_hash=Hash.of("sha256", b""),
                nar_size=1,
                references=(),
                content_address=None,
            )
        assert not store.is_valid(path)
        assert os.listdir(layout.store) == []


def test_odd_names_come_and_go(layout: Layout, tmp_path: Path) -> None:
    source = os.fsencode(tmp_path / "t")
    os.mkdir(source)
    for name in (b"\xff\xfe", b"a\nb", b"-", b"*", b" ", b"\x1b[31m", b"~", b"x" * 255):
        with open(source + b"/" + name, "wb") as file:
            file.write(name)
    with Store.open(layout) as store:
        path = store.add_tree("t", os.fsdecode(source))
        assert tree.scan(path, ()) == tree.scan(os.fsdecode(source), ())


FULL = """
import os, sys
from devenv.store.layout import Layout
from devenv.store.local import Store, StoreError
root, source = sys.argv[1:]
with Store.open(Layout(root)) as store:
    kept = store.add_text("kept", b"kept")
    try:
        store.add_tree("big", source)
    except StoreError as error:
        print(error)
        print(error.hint)
    assert store.valid_paths([kept]) == {kept}
    assert os.listdir(root + "/store") == [os.path.basename(kept)]
    try:
        for number in range(100_000):
            store.add_text("text", str(number).encode() * 2000)
    except StoreError as error:
        print(error)
        print(error.hint)
with Store.open(Layout(root)) as store:
    assert store.is_valid(kept)
    print("still good")
"""


def in_namespace(directory: Path, options: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a file system of its own at `directory`, where the kernel allows that to users."""
    script = 'mount -t tmpfs -o "$1" none "$0" || exit 77; shift; exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, str(directory), options, *command],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    return done


def test_a_full_disk_is_an_error_and_spoils_nothing(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 4_000_000)
    (tmp_path / "disk").mkdir()
    disk = (tmp_path / "disk").resolve()
    done = in_namespace(disk, "size=3m", sys.executable, "-c", FULL, str(disk), str(tmp_path / "big"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "No space left on device" in lines[0]
    assert "Free some space" in lines[1]
    assert "No space left on device" in lines[2] or "full" in lines[2]
    assert lines[-1] == "still good"


READ_ONLY = """
import subprocess, sys
from devenv.store.layout import Layout
from devenv.store.local import Store, StoreError
layout = Layout(sys.argv[1])
with Store.open(layout):
    pass
subprocess.run(["mount", "-o", "remount,ro", "none", sys.argv[1]], check=True)
try:
    Store.open(layout)
except StoreError as error:
    print(error)
    print(error.hint)
"""


def test_a_read_only_file_system_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    disk = (tmp_path / "disk").resolve()
    done = in_namespace(disk, "size=3m", sys.executable, "-c", READ_ONLY, str(disk))
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stdout
    assert "--store-dir" in done.stdout
