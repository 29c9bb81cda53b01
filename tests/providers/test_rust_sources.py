"""Crates of Python packages that are written in Rust: which Cargo.lock counts, and what is said where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import AdapterError, GitQuery, RemoteFile
from devenv.adapters import cargo
from devenv.config.lock import Lock
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_writing import dump_lock
from devenv.crate_files import crates_of, files_of, sources_of
from devenv.debian.locked import LockedBase, LockedDeb
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from devenv.providers.rust_sources import RustReader, check_cargo, is_rust

INDEX = "registry+https://index.crates.test/"
COMMIT = "1" * 40
TREE = Hash.of("sha256", b"tree")


def lock_of(*crates: str) -> str:
    """A Cargo.lock with crates of the registry, all of version 1.0.0."""
    return "version = 4\n" + "".join(
        f'[[package]]\nname = "{name}"\nversion = "1.0.0"\nsource = "{INDEX}"\nchecksum = "{"ab" * 32}"\n'
        for name in crates
    )


def crates(root: Path, subdirectory: str = "", *, path: str = "", offline: bool = False) -> list[str]:
    """The names of the crates that the source in `root` needs; a repository that is asked for has the tree TREE."""

    def ask(queries: object) -> dict[str, tuple[RemoteFile, ...]]:
        assert isinstance(queries, list)
        return {
            query.key: (RemoteFile(file_name="x", url=f"git+{query.url}#{query.commit}", hash=TREE),)
            for query in queries
            if isinstance(query, GitQuery)
        }

    reader = RustReader(adapter=cargo, ask=ask, environ={"PATH": path}, offline=offline)
    return [file.crate.partition(" ")[0] for file in reader.crates(os.fspath(root), subdirectory, "pkg 1.0")]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MATURIN = '[build-system]\nrequires = ["maturin"]\n[tool.maturin]\nmanifest-path = "rust/Cargo.toml"\n'
SETUPTOOLS = '[[tool.setuptools-rust.ext-modules]]\ntarget = "a"\npath = "src/rust/Cargo.toml"\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"Cargo.toml": "", "Cargo.lock": lock_of("one")}, ["one"]),
        (
            {
                "pyproject.toml": MATURIN,
                "rust/Cargo.toml": "",
                "rust/Cargo.lock": lock_of("one"),
                "other/Cargo.toml": "",
                "other/Cargo.lock": lock_of("two"),
            },
            ["one"],
        ),
        ({"pyproject.toml": MATURIN, "rust/Cargo.toml": "", "Cargo.lock": lock_of("top")}, ["top"]),
        (
            {"pyproject.toml": SETUPTOOLS, "src/rust/Cargo.toml": "", "src/rust/Cargo.lock": lock_of("s")},
            ["s"],
        ),
        (
            {
                "setup.py": "",
                "a/Cargo.toml": "",
                "a/Cargo.lock": lock_of("one"),
                "b/Cargo.toml": "",
                "b/Cargo.lock": lock_of("one", "two"),
                "tests/Cargo.toml": "",
                "tests/Cargo.lock": lock_of("three"),
            },
            ["one", "two"],
        ),
        ({"setup.py": ""}, []),
    ],
    ids=[
        "at the top",
        "the one that maturin is told",
        "a workspace's",
        "the one that setuptools-rust is told",
        "all but those of tests",
        "no Rust at all",
    ],
)
def test_the_lock_of_what_is_compiled_counts(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    write(tmp_path, files)
    assert crates(tmp_path) == expected


def test_a_lock_above_the_subdirectory_counts_and_one_above_the_source_does_not(tmp_path: Path) -> None:
    write(tmp_path, {"Cargo.lock": lock_of("outside"), "source/python/Cargo.toml": ""})
    with pytest.raises(DevenvError, match=r"no Cargo.lock beside python/Cargo.toml"):
        crates(tmp_path / "source", "python")
    write(tmp_path, {"source/Cargo.lock": lock_of("inside")})
    assert crates(tmp_path / "source", "python") == ["inside"]


def test_crates_of_repositories_keep_their_selector(tmp_path: Path) -> None:
    source = f"git+https://git.test/r?branch=a%2Fb#{COMMIT}"
    text = f'version = 4\n[[package]]\nname = "g"\nversion = "0.1.0"\nsource = "{source}"\n'
    write(tmp_path, {"Cargo.toml": "", "Cargo.lock": text})
    reader = RustReader(
        adapter=cargo,
        ask=lambda queries: {
            query.key: (RemoteFile(file_name="r", url=f"git+{query.url}#{query.commit}", hash=TREE),)
            for query in queries
        },
        environ={},
    )
    (file,) = reader.crates(os.fspath(tmp_path), "", "pkg 1.0")
    (crate,) = crates_of([file])
    assert crate.package.format == "git-crate"
    assert (crate.package.file.url, crate.package.file.hash) == (f"git+https://git.test/r#{COMMIT}", TREE)
    assert crate.origin.selector == ("branch", "a/b")


@pytest.mark.parametrize("offline", [False, True])
def test_without_a_lock_and_a_cargo_it_is_said_what_to_do(tmp_path: Path, offline: bool) -> None:
    write(tmp_path, {"Cargo.toml": ""})
    with pytest.raises(DevenvError) as caught:
        crates(tmp_path, offline=offline)
    said = str(caught.value)
    assert "pkg 1.0 is written in Rust: its source has no Cargo.lock beside Cargo.toml" in said
    assert ("--offline" if offline else "no cargo on PATH") in said
    assert "devenv override" in (caught.value.hint or "")


def test_cargo_makes_a_missing_lock_without_the_settings_of_the_source(tmp_path: Path) -> None:
    """The cargo here is a program that writes one, and says what it saw."""
    source, tools = tmp_path / "source", tmp_path / "tools"
    write(source, {"Cargo.toml": "", ".cargo/config.toml": "", "rust-toolchain.toml": "", "src/lib.rs": ""})
    write(
        tools,
        {
            "cargo": "#!/bin/sh\n"
            f'd=$(dirname "$3"); (cd "$d"; find . -type f) >{tools}/seen\n'
            f'cp {tools}/lock "$d/Cargo.lock"\n',
            "lock": lock_of("chosen"),
        },
    )
    (tools / "cargo").chmod(0o755)
    assert crates(source, path=f"{tools}:/usr/bin:/bin") == ["chosen"]
    assert sorted((tools / "seen").read_text().split()) == ["./Cargo.toml", "./src/lib.rs"]
    assert not (source / "Cargo.lock").exists()


def test_what_cargo_says_about_a_lock_that_cannot_be_made_is_shown(tmp_path: Path) -> None:
    write(tmp_path, {"s/Cargo.toml": "", "t/cargo": "#!/bin/sh\necho 'no such crate: x' >&2\nexit 101\n"})
    (tmp_path / "t/cargo").chmod(0o755)
    with pytest.raises(DevenvError, match="no such crate: x"):
        crates(tmp_path / "s", path=f"{tmp_path}/t:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (["maturin>=1,<2"], True),
        (["setuptools", "setuptools_rust >= 1"], True),
        (["setuptools", "maturinish"], False),
        ([], False),
    ],
)
def test_what_a_build_requires_says_whether_it_compiles_rust(requires: list[str], expected: bool) -> None:
    assert is_rust(requires) is expected


def test_a_base_without_cargo_is_named_before_anything_is_built() -> None:
    def base(*names: str) -> LockedBase:
        debs = (
            LockedDeb(
                name=name, version="1", architecture="amd64", path="p", size=1, sha256="a" * 64, archive="a"
            )
            for name in names
        )
        return LockedBase(base="debian/trixie", architecture="amd64", suites=(), packages=tuple(debs))

    check_cargo("pkg 1.0", base("gcc", "cargo"))
    with pytest.raises(DevenvError) as caught:
        check_cargo("pkg 1.0", base("gcc"))
    assert "cargo and rustc, which are not among the project's system packages" in str(caught.value)
    assert 'system = ["cargo", "rustc"' in (caught.value.hint or "")


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), st.booleans()), unique=True)
)
def test_crates_come_back_from_devenv_lock_as_they_went_in(named: list[tuple[str, bool]]) -> None:
    def block(name: str, is_git: bool) -> str:
        source = f'"git+https://git.test/{name}?tag=v%2B1#{COMMIT}"' if is_git else f'"{INDEX}"'
        checksum = "" if is_git else f'checksum = "{"cd" * 32}"\n'
        return f'[[package]]\nname = "{name}"\nversion = "1.0.0-a.1+b"\nsource = {source}\n{checksum}'

    text = "version = 4\n" + "".join(block(name, is_git) for name, is_git in named)
    reader = {
        f"git:https://git.test/{name}#{COMMIT}": (
            RemoteFile(file_name="r", url=f"git+https://git.test/{name}#{COMMIT}", hash=TREE),
        )
        for name, _ in named
    }
    from devenv.adapter import CargoSources, Options, Target

    view = cargo.plan(
        text, path="Cargo.lock", target=Target(), options=Options(), completions=reader, siblings={}
    ).view
    assert isinstance(view, CargoSources)
    stored = parse_lock(dump_lock(Lock(files={"build:x": tuple(files_of(view))})), "devenv.lock")
    again = sources_of(crates_of(stored.files["build:x"]))
    assert dict(again.sources) == dict(view.sources)
    assert {key: set(value) for key, value in again.crates.items()} == {
        key: set(value) for key, value in view.crates.items()
    }


@given(st.text())
def test_what_names_no_crate_is_an_error_of_ours(text: str) -> None:
    file = RemoteFile(file_name="x.crate", url="crates+i:x/1/2", hash=TREE, crate=text)
    try:
        crates_of([file])
    except AdapterError as error:
        assert "names no crate" in str(error)
