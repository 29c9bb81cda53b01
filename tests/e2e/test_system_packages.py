"""System packages from devenv.toml to devenv.lock, and the verbs that look for them, against an archive of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.server import Server, serving
from tests.support.archive import publish, settings, stanza
from tests.support.devenv import User

PACKAGES = {
    "amd64": [
        stanza("base", Essential="yes"),
        stanza("gdal-bin", "3.6", Depends="libgdal (>= 3)", Description="tools for maps"),
        stanza("libgdal", "3.6", Multi_Arch="same", Description="maps"),
        stanza("git", Description="versions of files"),
    ],
    "i386": [stanza("libgdal", "3.6", "i386", Multi_Arch="same")],
}
CONTENTS = {
    "amd64": "usr/bin/gdalinfo science/gdal-bin\nusr/include/gdal/gdal.h libdevel/libgdal-dev\n",
    "all": "",
}
TOML = 'base = "debian/bookworm"\n[packages]\nsystem = ["gdal-bin"]\n'


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        publish(found, "bookworm", PACKAGES, contents=CONTENTS)
        yield found


@pytest.fixture
def user(tmp_path: Path, server: Server) -> User:
    found = User(tmp_path / "home")
    found.env |= settings(tmp_path, server.url + "/debian")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "devenv.toml").write_text(TOML)
    return folder


def locked(project: Path) -> list[str]:
    base = json.loads((project / "devenv.lock").read_text())["base"]
    return [f"{deb['name']}:{deb['architecture']} {deb['version']}" for deb in base["packages"]]


def test_system_packages_are_locked_and_stay_so(user: User, project: Path, server: Server) -> None:
    said = user.run("lock", cwd=project).stderr
    assert "debian/bookworm: 3 packages" in said
    assert locked(project) == ["base:amd64 1", "gdal-bin:amd64 3.6", "libgdal:amd64 3.6"]
    text = (project / "devenv.lock").read_bytes()
    publish(server, "bookworm-security", {"amd64": [stanza("libgdal", "3.6+u1", Multi_Arch="same")]})
    asked = len(server.seen)
    assert "up to date" in user.run("lock", cwd=project).stderr
    assert len(server.seen) == asked
    assert (project / "devenv.lock").read_bytes() == text
    assert "base       debian/bookworm: 3 packages" in user.run("status", cwd=project).stdout
    said = user.run("lock", "--update", cwd=project).stderr
    assert "libgdal:amd64 3.6 -> 3.6+u1" in said and "1 changed" in said


def test_another_request_makes_the_lock_stale_and_leaves_the_rest_as_it_was(
    user: User, project: Path, server: Server
) -> None:
    user.run("lock", cwd=project)
    publish(server, "bookworm-security", {"amd64": [stanza("libgdal", "3.6+u1", Multi_Arch="same")]})
    (project / "devenv.toml").write_text(TOML.replace('"gdal-bin"', '"gdal-bin", "git"'))
    failed = user.run("check", cwd=project, check=False)
    assert failed.returncode == 1
    assert "packages.system asks for git, which devenv.lock lacks" in failed.stderr
    user.run("lock", cwd=project)
    assert locked(project) == ["base:amd64 1", "gdal-bin:amd64 3.6", "git:amd64 1", "libgdal:amd64 3.6"]
    user.run("check", cwd=project)


def test_two_architectures_lie_in_one_lock(user: User, project: Path) -> None:
    (project / "devenv.toml").write_text(TOML.replace('"gdal-bin"', '"libgdal", "libgdal:i386"'))
    user.run("lock", cwd=project)
    assert locked(project) == ["base:amd64 1", "libgdal:amd64 3.6", "libgdal:i386 3.6"]


def test_packages_that_do_not_exist_are_told_together(user: User, project: Path) -> None:
    (project / "devenv.toml").write_text(TOML.replace('"gdal-bin"', '"gdal-bim", "gti"'))
    failed = user.run("lock", cwd=project, check=False)
    assert failed.returncode == 1
    for part in ("'gdal-bim'", "did you mean gdal-bin?", "'gti'"):
        assert part in failed.stderr
    assert not (project / "devenv.lock").exists()


def test_without_system_packages_no_archive_is_asked(user: User, project: Path, server: Server) -> None:
    (project / "devenv.toml").write_text('base = "debian/bookworm"\n')
    user.run("lock", cwd=project)
    assert not server.seen
    assert "base" not in json.loads((project / "devenv.lock").read_text())


def test_packages_are_searched_located_and_described(user: User, project: Path) -> None:
    assert user.run("search", "maps", cwd=project).stdout.split()[0] == "libgdal"
    assert user.run("locate", "bin/gdalinfo", cwd=project).stdout == "gdal-bin  /usr/bin/gdalinfo\n"
    described = user.run("info", "gdal-bin", cwd=project).stdout
    assert "gdal-bin 3.6: tools for maps" in described and "3 packages with all it needs" in described
    # Everything is there now.
    for words in (("search", "maps"), ("locate", "gdalinfo"), ("info", "gdal-bin")):
        assert user.run(*words, "--offline", "--json", cwd=project).stdout


def test_programs_get_data(user: User, project: Path) -> None:
    (found,) = json.loads(user.run("search", "versions", "--json", cwd=project).stdout)
    assert (found["name"], found["version"], found["suite"]) == ("git", "1", "bookworm")
    located = json.loads(user.run("locate", "gdalinfo", "--json", cwd=project).stdout)
    assert located["found"] == [{"path": "/usr/bin/gdalinfo", "package": "gdal-bin", "architecture": "amd64"}]
    described = json.loads(user.run("info", "libgdal:i386", "--json", cwd=project).stdout)
    assert (described["architecture"], described["needs"]["packages"]) == ("i386", 2)


def test_a_header_in_another_place_is_shown_there(user: User, project: Path) -> None:
    done = user.run("locate", "/usr/include/gdal.h", cwd=project)
    assert done.stdout == "libgdal-dev  /usr/include/gdal/gdal.h\n"
    assert "debian/bookworm has no /usr/include/gdal.h" in done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("search", "mapz"), "did you mean maps?|in its name or description"),
        (("locate", "gdalinfx"), "did you mean gdalinfo?"),
        (("info", "gdal-bni"), "did you mean gdal-bin?"),
        (("search", "x", "--base", "debian"), "is no base"),
        (("info", "a b"), "is no package"),
    ],
)
def test_what_is_not_found_is_told_with_what_may_have_been_meant(
    user: User, project: Path, command: tuple[str, ...], message: str
) -> None:
    failed = user.run(*command, cwd=project, check=False)
    assert failed.returncode == 1
    assert any(part in failed.stderr for part in message.split("|"))
    assert "Traceback" not in failed.stderr
