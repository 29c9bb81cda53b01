"""Archives and machines that are not as they should be, as people meet them: what is said, and that nothing is half made."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.derivations.archives import deb, entry
from tests.fetch.server import serving
from tests.support.archive import Archive, settings
from tests.support.devenv import User, devenv_program
from tests.support.openpgp import rsa_key
from tests.support.sandboxes import require_sandboxes

SUITE = "/debian/dists/bookworm/"
TOML = 'base = "debian/bookworm"\n[packages]\nsystem = ["left", "right"]\n'


@contextmanager
def mirror() -> Iterator[Archive]:
    with serving() as server:
        made = Archive(server)
        made.package("left", entry("./etc/left", b"left\n"))
        made.package("right", entry("./etc/right", b"right\n"))
        made.publish()
        yield made


@pytest.fixture
def archive() -> Iterator[Archive]:
    with mirror() as made:
        yield made


@pytest.fixture
def other() -> Iterator[Archive]:
    """A mirror of the same, in order."""
    with mirror() as made:
        yield made


@pytest.fixture
def user(tmp_path: Path, archive: Archive) -> User:
    found = User(tmp_path / "home")
    found.env |= settings(tmp_path, archive.server.url + "/debian")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "devenv.toml").write_text(TOML)
    return folder


def both(user: User, archive: Archive, other: Archive) -> None:
    """The user has two mirrors: `archive`, then `other`."""
    urls = f"{archive.server.url}/debian {other.server.url}/debian"
    user.env |= {"DEVENV_DEBIAN_MIRROR": urls, "DEVENV_DEBIAN_SECURITY_MIRROR": urls}


# What an archive says of itself


def changed_after_signing(archive: Archive) -> None:
    page = archive.server.pages[SUITE + "InRelease"]
    page.body = page.body.replace(b"Origin: Test", b"Origin: Evil")


def signed_by_a_stranger(archive: Archive) -> None:
    archive.publish(key=rsa_key("stranger"))


def another_index(archive: Archive) -> None:
    for path, page in archive.server.pages.items():
        if "/dists/" in path and "InRelease" not in path:
            page.body = lzma.compress(b"Package: evil\n" * 20)


def no_index(archive: Archive) -> None:
    for path in [path for path in archive.server.pages if "/dists/" in path and "InRelease" not in path]:
        del archive.server.pages[path]


def another_suite(archive: Archive) -> None:
    archive.publish(codename="buster")


def down(archive: Archive) -> None:
    for path, page in [*archive.server.pages.items()]:
        archive.server.page(path, page.body, "status:503")


ARCHIVES: dict[str, tuple[Callable[[Archive], None], tuple[str, ...]]] = {
    "text changed after it was signed": (changed_after_signing, ("bookworm", "the text is not the one")),
    "signed by a stranger": (signed_by_a_stranger, ("not trusted", "DEVENV_DEBIAN_KEYRING")),
    "another suite in its place": (another_suite, ("it is not bookworm but buster",)),
    "an index that is not the one signed": (
        another_index,
        ("do not fit its Release file", "name another mirror"),
    ),
    "an index that is missing": (no_index, ("main/binary-amd64/Packages", "another mirror")),
}


@pytest.mark.parametrize(("break_it", "words"), ARCHIVES.values(), ids=ARCHIVES.keys())
def test_a_bad_archive_locks_nothing(
    user: User, project: Path, archive: Archive, break_it: Callable[[Archive], None], words: tuple[str, ...]
) -> None:
    break_it(archive)
    failed = user.run("lock", cwd=project, check=False)
    assert failed.returncode == 1
    for word in (*words, archive.server.url.removeprefix("http://")):
        assert word in failed.stderr
    assert "hint: " in failed.stderr
    assert not (project / "devenv.lock").exists()


@pytest.mark.parametrize(
    "break_it", [*(case[0] for case in ARCHIVES.values()), down], ids=[*ARCHIVES.keys(), "down"]
)
def test_a_bad_archive_is_passed_over_for_the_next(
    user: User, project: Path, archive: Archive, other: Archive, break_it: Callable[[Archive], None]
) -> None:
    both(user, archive, other)
    break_it(archive)
    user.run("lock", cwd=project)
    assert '"right"' in (project / "devenv.lock").read_text()


def test_a_suite_past_its_date_is_locked_with_a_warning(user: User, project: Path, archive: Archive) -> None:
    archive.publish(lasts=timedelta(days=7))
    done = user.run("lock", cwd=project)
    assert "bookworm was valid until 2026-01-17 only" in done.stderr
    assert (project / "devenv.lock").exists()


def test_misspelt_packages_are_told_with_what_may_have_been_meant(
    user: User, project: Path, archive: Archive
) -> None:
    (project / "devenv.toml").write_text(TOML.replace('"left", "right"', '"lefft", "rihgt"'))
    failed = user.run("lock", cwd=project, check=False)
    assert failed.returncode == 1
    for word in ("'lefft'", "did you mean left?", "'rihgt'", "did you mean right?"):
        assert word in failed.stderr


# Packages


FHS = ("fhs", "--base", "debian/bookworm", "left", "right", "--")


def fhs(user: User, *command: str) -> subprocess.CompletedProcess[str]:
    return user.run(*FHS, *(command or ("sh", "-c", ":")), cwd=user.home, check=False)


def roots(user: User) -> list[str]:
    views = user.store_root / "state/views"
    return sorted(os.listdir(views)) if views.is_dir() else []


def test_a_package_that_is_not_the_one_locked_is_taken_from_the_next_mirror(
    user: User, archive: Archive, other: Archive
) -> None:
    require_sandboxes()
    both(user, archive, other)
    path = "/debian/pool/main/l/left/left_1_amd64.deb"
    body = archive.server.pages[path].body
    archive.server.pages[path].body = body[:-1] + bytes([body[-1] ^ 1])  # of the same size
    done = fhs(user, "cat", "/etc/left")
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr
    assert archive.server.asked(path) and other.server.asked(path)


def test_a_package_that_no_mirror_has_as_it_was_locked_is_refused(user: User, archive: Archive) -> None:
    archive.server.pages["/debian/pool/main/l/left/left_1_amd64.deb"].body = deb("left", Version="9")
    done = fhs(user)
    assert done.returncode == 1
    assert "left 1" in done.stderr and "not the file that was locked" in done.stderr
    assert roots(user) == []


def test_a_package_that_no_mirror_has_any_more_is_named(user: User, archive: Archive) -> None:
    del archive.server.pages["/debian/pool/main/l/left/left_1_amd64.deb"]
    done = fhs(user)
    assert done.returncode == 1
    assert "left 1" in done.stderr and "404" in done.stderr
    assert roots(user) == []


def test_two_packages_with_one_file_are_both_named(user: User, archive: Archive) -> None:
    require_sandboxes()
    archive.stanzas = archive.stanzas[:1]
    archive.package("left", entry("./etc/same", b"left\n"))
    archive.package("right", entry("./etc/same", b"right\n"))
    archive.publish()
    done = fhs(user)
    assert done.returncode == 1
    for word in ("etc/same", "-left-1", "-right-1", "Only one of the two"):
        assert word in done.stderr
    assert roots(user) == []


# The machine


def test_without_user_namespaces_the_remedy_is_told(user: User, archive: Archive) -> None:
    """In a namespace where no further one may be made, as the setting says."""
    require_sandboxes()
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    for made in (False, True):  # while the root is made, and where it is there already
        if made:
            assert fhs(user).returncode == 0
        done = subprocess.run(
            ["unshare", "-Ur", "sh", "-c", forbid, "sh", devenv_program(), *FHS, "sh", "-c", ":"],
            cwd=user.home,
            env=user.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "user.max_user_namespaces is 0" in done.stderr
        assert "sysctl -w user.max_user_namespaces=15000" in done.stderr
        assert "Traceback" not in done.stderr


_FULL_DISK = """
left=$1 disk=$2
shift 2
mount -t tmpfs -o size=64m,mode=755 none "$disk" || exit 77
cat /dev/zero > "$disk/filler" 2>/dev/null
truncate -s -"$left" "$disk/filler"
"$@"; echo "status $?"
rm "$disk/filler"
"$@"; echo "status $?"
"""

# Needs 8 MB, and does not care.
_CARELESS = (
    "cat /usr/bin/bash /usr/bin/bash /usr/bin/bash /usr/bin/bash /usr/bin/bash /usr/bin/bash >/etc/big || :"
)


@pytest.mark.parametrize("left", ["100K", "1M", "5M", "9M", "13M", "17M"])
def test_a_root_on_a_full_disk_is_made_when_there_is_space(user: User, archive: Archive, left: str) -> None:
    """Whatever was under way: asking the archive, fetching, unpacking, configuring, composing."""
    require_sandboxes()
    archive.stanzas.pop()
    archive.package("right", postinst=_CARELESS)
    archive.publish()
    disk = user.store_root
    disk.mkdir(parents=True)
    done = subprocess.run(
        [
            *("unshare", "-Urm", "sh", "-c", _FULL_DISK, "sh", left, str(disk)),
            *(devenv_program(), *FHS, "stat", "-c", "%s", "/etc/big"),
        ],
        cwd=user.home,
        env=user.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    whole = 6 * os.path.getsize(shutil.which("bash") or "")
    assert done.stdout == f"status 1\n{whole}\nstatus 0\n", done.stderr
    assert "No space left" in done.stderr or "disk is full" in done.stderr, done.stderr
    assert "hint: Free some space" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "bug in devenv" not in done.stderr
