"""Shells in a root and builds there do not compile what the other did: with real compilers and ccache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network

TOML = """
base = "debian/bookworm"
[packages]
system = ["gcc", "libc6-dev", "make", "ccache"]
[build.count]
sources = ["src", "Makefile"]
inputs = ["system"]
[build.count.phases]
install = 'cp count "$out"'
"""
# By absolute paths, as CMake compiles, and with what names the file in the object.
MAKEFILE = """
count: one.o two.o
	cc -o $@ $^
%.o: $(CURDIR)/src/%.c
	cc -O2 -c -o $@ $<
clean:
	rm -f *.o count
"""
ONE = '#include <stdio.h>\nint two(void);\nint main(void) { printf("%d %s\\n", two(), __FILE__); }\n'
FILES = {
    "devenv.toml": TOML,
    "Makefile": MAKEFILE,
    "src/one.c": ONE,
    "src/two.c": "int two(void) { return 2; }\n",
}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    require_sandboxes()
    return User(tmp_path_factory.mktemp("home"))


@pytest.fixture
def project(user: User, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    user.run("lock", cwd=folder)
    return folder


def shell(user: User, project: Path, line: str, **env: str) -> str:
    return user.run("enter", "-c", line, cwd=project, check=True, timeout=900, **env).stdout


def counts(user: User, project: Path, **env: str) -> tuple[int, int]:
    """(hits, misses) since this was asked last."""
    text = shell(user, project, "ccache --print-stats; ccache --zero-stats >&2", **env)
    found = dict(line.split("\t") for line in text.splitlines())
    return int(found["direct_cache_hit"]) + int(found["preprocessed_cache_hit"]), int(found["cache_miss"])


def test_neither_compiles_what_the_other_did(user: User, project: Path) -> None:
    assert shell(user, project, "make -s && ./count") == "2 src/one.c\n"
    assert counts(user, project) == (0, 2)
    built = user.run("build", cwd=project).stdout.strip()
    assert counts(user, project) == (2, 0)
    assert shell(user, project, built) == "2 src/one.c\n"
    # The other way round.
    (project / "src/two.c").write_text("int two(void) { return 3; }\n")
    user.run("build", cwd=project)
    assert counts(user, project) == (1, 1)
    assert shell(user, project, "make -s && ./count") == "3 src/one.c\n"
    assert counts(user, project) == (1, 0)


def test_a_build_gives_the_same_with_another_cache(user: User, project: Path, tmp_path: Path) -> None:
    shell(user, project, "make -s")
    built = Path(user.run("build", cwd=project).stdout.strip())
    again = user.run("build", "--from", "unpack", cwd=project, CCACHE_DIR=str(tmp_path / "empty"))
    assert again.stdout.strip() == str(built) and "came out different" not in again.stderr
    assert counts(user, project, CCACHE_DIR=str(tmp_path / "empty")) == (0, 2)


def test_two_checkouts_share_a_cache_of_the_users_own(user: User, project: Path, tmp_path: Path) -> None:
    cache = {"CCACHE_DIR": str(tmp_path / "mine")}
    shell(user, project, "make -s", **cache)
    other = tmp_path / "other"
    project.rename(other)
    shell(user, other, "make -s clean count", **cache)
    assert counts(user, other, **cache) == (2, 2)


def test_a_build_cannot_say_what_shells_run(user: User, project: Path) -> None:
    """What it writes beside the objects is no configuration."""
    evil = TOML.replace(
        "install = 'cp", 'install = \'echo "prefix_command = false" >$CCACHE_DIR/ccache.conf; cp'
    )
    (project / "devenv.toml").write_text(evil)
    user.run("build", cwd=project)
    assert (project / ".devenv/state/ccache/ccache.conf").exists()
    assert shell(user, project, "make -s && ./count") == "2 src/one.c\n"
