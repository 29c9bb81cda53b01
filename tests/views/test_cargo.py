"""The view of Cargo's sources, and the small program in front of cargo, in real shells."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from devenv.adapter import CargoSource, CargoSources, Package, RemoteFile
from devenv.formats.hashes import Hash
from devenv.views.cargo import cargo_files, cargo_ops, crate_key, source_links
from devenv.views.compose import compose

INDEX = "registry+https://index.test/default"
GIT = "git+https://git.test/a?branch=x%2Fy"
LOCK = "version = 4\n# the lock\n"


def crate(name: str) -> Package:
    file = RemoteFile(file_name=name, url="https://f.test/x", hash=Hash.of("sha256", name.encode()))
    return Package(name=name, version="1.0.0", format="crate", file=file)


SOURCES = CargoSources(
    sources={
        GIT: CargoSource(url="https://git.test/a", kind="git", selector=("branch", 'x/"y')),
        INDEX: CargoSource(url=INDEX, kind="registry"),
        "sparse+https://corp.test/": CargoSource(url="sparse+https://corp.test/", kind="registry"),
    },
    crates={GIT: {"a-1.0.0": crate("a")}, INDEX: {"a-1.0.0": crate("a")}, "sparse+https://corp.test/": {}},
    lock=LOCK,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the composed view, and a cargo that tells its arguments."""
    found = tmp_path / "it's a project"
    view = found / ".devenv/cargo"
    view.parent.mkdir(parents=True)
    files = cargo_files(
        [("", SOURCES)],
        sources=f"{tmp_path}/store/sources",
        shared=f"{tmp_path}/shared",
        around="host",
        default_index="https://index.test/default",
        names={},
    )
    compose(str(view), cargo_ops(files), key="k")
    (found / "Cargo.lock").write_text(LOCK)
    (found / "member/src").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cargo").write_text('#!/bin/sh\nfor word do printf "%s\\n" "$word"; done\n')
    (tmp_path / "bin/cargo").chmod(0o755)
    return found


def run(
    project: Path, *arguments: str, cwd: Path | None = None, shell: str = "sh", **environ: str
) -> list[str]:
    """What cargo was given; lines of devenv's come last."""
    view = project / ".devenv/cargo/bin"
    path = f"{view}:{project.parent / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        [shell, str(view / "cargo"), *arguments],
        cwd=cwd or project,
        env={"PATH": path, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    return done.stdout.decode().splitlines()


def config(project: Path) -> str:
    return str(project.resolve() / ".devenv/cargo/locks/0/config.toml")


def test_every_source_is_replaced_by_a_directory_of_its_crates(project: Path) -> None:
    with open(config(project), "rb") as file:
        found = tomllib.load(file)["source"]
    view = str(project.parent / "store/sources")
    assert found["crates-io"] == {"replace-with": "devenv-directory-1"}
    assert found["devenv-0"] == {
        "git": "https://git.test/a",
        "branch": 'x/"y',
        "replace-with": "devenv-directory-0",
    }
    assert found["devenv-2"]["registry"] == "sparse+https://corp.test/"
    assert [found[f"devenv-directory-{number}"]["directory"] for number in range(3)] == [
        f"{view}/{number}" for number in range(3)
    ]
    trees = {crate_key(key, "a-1.0.0"): f"/store/{number}" for number, key in enumerate(SOURCES.sources)}
    assert source_links([("", SOURCES)], trees) == {"0/a-1.0.0": "/store/0", "1/a-1.0.0": "/store/1"}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_cargo_is_told_of_the_sources(project: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        shell = "sh"
    expected = ["--config", config(project), "build", "--offline", "a b"]
    assert run(project, "build", "--offline", "a b", shell=shell) == expected


def test_a_toolchain_stays_the_first_word(project: Path) -> None:
    assert run(project, "+nightly", "test") == ["+nightly", "--config", config(project), "test"]


def test_a_member_of_the_workspace_uses_its_lock(project: Path) -> None:
    assert run(project, "build", cwd=project / "member/src")[:1] == ["--config"]


@pytest.mark.parametrize(
    "form", ["--manifest-path=it's a project/Cargo.toml", "--manifest-path|it's a project/Cargo.toml"]
)
def test_a_manifest_named_from_outside_is_found(project: Path, form: str) -> None:
    words = form.split("|")
    assert run(project, "build", *words, cwd=project.parent) == ["--config", config(project), "build", *words]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["add", "serde"], id="add"),
        pytest.param(["--config", "net.offline=true", "update"], id="after an option with a value"),
        pytest.param(["-Z", "unstable-options", "search", "x"], id="after a short option"),
        pytest.param(["--version"], id="no command"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_must_see_registries_sees_them(project: Path, words: list[str]) -> None:
    assert run(project, *words) == words


def test_it_can_be_switched_off(project: Path) -> None:
    assert run(project, "build", DEVENV_CARGO="plain") == ["build"]


def test_a_changed_lock_is_cargos_own_matter(project: Path) -> None:
    (project / "Cargo.lock").write_text(LOCK + "# changed\n")
    (told, *rest) = run(project, "build")
    assert "Cargo.lock has changed" in told
    assert rest == ["build"]


def test_other_projects_are_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert run(project, "build", cwd=tmp_path / "other") == ["build"]
    (tmp_path / "other/Cargo.lock").write_text("other")
    assert run(project, "build", cwd=tmp_path / "other") == ["build"]


def test_without_cargo_it_says_what_to_install(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bin/cargo").unlink()
    view = project / ".devenv/cargo/bin"
    done = subprocess.run(
        ["sh", str(view / "cargo"), "build"],
        env={"PATH": f"{view}:{tmp_path}/bin"},
        executable="/bin/sh",
        capture_output=True,
    )
    assert done.returncode == 127
    assert b"no cargo on PATH" in done.stderr


# A cargo that compiles: a crate of the lock, a package of the project, and a crate that it does not finish.
COMPILER = """#!/bin/sh
mkdir -p target/debug/deps target/debug/build
unit() {
    [ -e "target/debug/.fingerprint/$1/lib.json" ] && return
    mkdir -p "target/debug/.fingerprint/$1" "target/debug/build/$1"
    echo compiled >>"target/debug/deps/lib$1.rlib"
    echo compiling "$1"
    [ "$1" = a-03 ] || echo {} >"target/debug/.fingerprint/$1/lib.json"
}
unit a-01
unit own-02
unit a-03
exit 3
"""
OWN = LOCK + '[[package]]\nname = "own"\nversion = "1.0.0"\n'


def checkout(place: Path, lock: str = OWN) -> Path:
    """Another checkout of the project, whose cargo compiles."""
    view = replace(SOURCES, lock=lock)
    files = cargo_files(
        [("", view)],
        sources=f"{place.parent}/store/sources",
        shared=f"{place.parent}/state/shared",
        around="host",
        default_index=None,
        names={},
    )
    (place / "project/.devenv").mkdir(parents=True)
    compose(str(place / "project/.devenv/cargo"), cargo_ops(files), key="k")
    (place / "project/Cargo.lock").write_text(lock)
    (place / "bin").mkdir()
    (place / "bin/cargo").write_text(COMPILER)
    (place / "bin/cargo").chmod(0o755)
    (place / "bin/rustc").write_text("#!/bin/sh\necho rustc 1\n")
    (place / "bin/rustc").chmod(0o755)
    return place / "project"


def compiled(project: Path, *words: str, **environ: str) -> list[str]:
    """What cargo compiled; its exit code comes through."""
    view = project / ".devenv/cargo/bin"
    path = f"{view}:{project.parent / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", str(view / "cargo"), *words], cwd=project, env={"PATH": path, **environ}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (3, b"")
    return done.stdout.decode().splitlines()


ALL = ["compiling a-01", "compiling own-02", "compiling a-03"]


def test_what_one_checkout_compiled_the_next_begins_with(tmp_path: Path) -> None:
    one, two = checkout(tmp_path / "the one"), checkout(tmp_path / "two")
    assert compiled(one, "build") == ALL
    # Neither the project's own packages nor what is not complete.
    assert compiled(two, "test") == ALL[1:]
    assert (two / "target/debug/deps/liba-01.rlib").read_text() == "compiled\n"
    assert compiled(two, "build") == ALL[2:]


def test_a_target_that_is_there_is_left_alone(tmp_path: Path) -> None:
    one, two = checkout(tmp_path / "one"), checkout(tmp_path / "two")
    compiled(one, "build")
    (two / "target").mkdir()
    assert compiled(two, "build") == ALL


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        pytest.param(["build"], {"DEVENV_CARGO": "unshared"}, id="switched off"),
        pytest.param(["build"], {"DEVENV_CARGO": "plain"}, id="another cargo"),
        pytest.param(["check", "--message-format=json"], {}, id="an editor's"),
        pytest.param(["build", "--target-dir", "x"], {}, id="another directory"),
        pytest.param(["metadata"], {}, id="a command that compiles nothing"),
    ],
)
def test_nothing_is_shared(tmp_path: Path, words: list[str], environ: dict[str, str]) -> None:
    one, two = checkout(tmp_path / "one"), checkout(tmp_path / "two")
    compiled(one, *words, **environ)
    assert not (tmp_path / "state").exists()
    assert compiled(two, "build") == ALL


def test_a_directory_that_is_configured_elsewhere_is_left_alone(tmp_path: Path) -> None:
    one = checkout(tmp_path / "one")
    (one / ".cargo").mkdir()
    (one / ".cargo/config.toml").write_text('[build]\ntarget-dir = "/elsewhere"\n')
    compiled(one, "build")
    assert not (tmp_path / "state").exists()


def test_another_compiler_begins_anew(tmp_path: Path) -> None:
    one, two = checkout(tmp_path / "one"), checkout(tmp_path / "two")
    compiled(one, "build")
    (two.parent / "bin/rustc").write_text("#!/bin/sh\necho rustc 2\n")
    assert compiled(two, "build") == ALL


def test_a_crate_with_the_name_of_the_projects_own_is_not_shared(tmp_path: Path) -> None:
    lock = OWN.replace('"own"', '"a"')
    one, two = checkout(tmp_path / "one", lock), checkout(tmp_path / "two", lock)
    compiled(one, "build")
    assert compiled(two, "build") == ALL


def test_what_a_build_compiled_is_for_its_project_only(tmp_path: Path) -> None:
    """A sandbox sees what all share, and where it may write, under other names."""
    one, two, inside = (checkout(tmp_path / name) for name in ("one", "two", "inside"))
    built = str(one / ".devenv/state/cargo")
    shown = {"DEVENV_CARGO_BUILT": built, "DEVENV_CARGO_SHARED": f"{tmp_path}/state/shared"}
    assert compiled(inside, "build", **shown, NIX_BUILD_TOP=str(tmp_path)) == ALL
    assert not (tmp_path / "state").exists()
    assert compiled(two, "build") == ALL
    (tmp_path / "state/shared").rename(tmp_path / "aside")
    assert compiled(one, "build") == ALL[1:]


def test_a_build_begins_with_what_shells_compiled(tmp_path: Path) -> None:
    one, inside = checkout(tmp_path / "one"), checkout(tmp_path / "inside")
    compiled(one, "build")
    (tmp_path / "state").rename(tmp_path / "mounted")
    shown = {"DEVENV_CARGO_BUILT": f"{tmp_path}/built", "DEVENV_CARGO_SHARED": f"{tmp_path}/mounted/shared"}
    assert compiled(inside, "build", **shown) == ALL[1:]
    assert not list((tmp_path / "built").rglob("*.rlib"))


@pytest.mark.parametrize(
    ("metadata", "is_said"), [pytest.param(101, True, id="not locked"), pytest.param(0, False, id="locked")]
)
def test_a_manifest_that_asks_for_more_than_the_lock_has_is_explained(
    tmp_path: Path, metadata: int, is_said: bool
) -> None:
    project = checkout(tmp_path / "one")
    fails = f'#!/bin/sh\ncase "$*" in *" metadata --locked "*) exit {metadata} ;; esac\nexit 101\n'
    (project.parent / "bin/cargo").write_text(fails)
    view = project / ".devenv/cargo/bin"
    path = f"{view}:{project.parent / 'bin'}:/usr/bin:/bin"
    done = subprocess.run([view / "cargo", "build"], cwd=project, env={"PATH": path}, capture_output=True)
    assert done.returncode == 101
    assert (b"`cargo update --workspace` locks them" in done.stderr) == is_said


@pytest.mark.parametrize("switch", ["", "plain"])
def test_what_build_scripts_copied_of_crates_can_be_written_again(tmp_path: Path, switch: str) -> None:
    project = checkout(tmp_path / "one")
    for profile in ("debug", "x86_64-unknown-linux-gnu/release"):
        copied = project / "target" / profile / "build/a-01/out/bindings.rs"
        copied.parent.mkdir(parents=True)
        copied.write_text("read-only in the store")
        copied.chmod(0o444)
        compiled(project, "run", DEVENV_CARGO=switch)
        assert copied.stat().st_mode & 0o200
