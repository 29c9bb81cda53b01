from __future__ import annotations

import io
import json
import math
import os
import stat
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.derivations.builders.crate import crate_of_repository, unpack_crate
from devenv.derivations.builders.toml_text import toml_text
from devenv.derivations.errors import ArchiveError

SUM = "ab" * 32


def archive(path: Path, members: dict[str, bytes | None], links: dict[str, str] | None = None) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data or b"")
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(data or b""))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return str(path)


def write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def test_a_crate_lies_without_its_top_directory_beside_its_checksum(tmp_path: Path) -> None:
    source = archive(
        tmp_path / "a.crate",
        {"a-1.0.0/Cargo.toml": b"[package]", "a-1.0.0/src/lib.rs": b"", "a-1.0.0/x.sh": b"#"},
    )
    assert unpack_crate(source, str(tmp_path / "out"), SUM) == ()
    found = tmp_path / "out"
    assert json.loads((found / ".cargo-checksum.json").read_text()) == {"files": {}, "package": SUM}
    assert sorted(os.listdir(found)) == [".cargo-checksum.json", "Cargo.toml", "src", "x.sh"]
    assert stat.S_IMODE((found / "x.sh").stat().st_mode) == 0o555
    assert stat.S_IMODE((found / "Cargo.toml").stat().st_mode) == 0o444


def test_a_checksum_of_the_crates_own_is_not_believed(tmp_path: Path) -> None:
    source = archive(tmp_path / "a", {"a-1/Cargo.toml": b"", "a-1/.cargo-checksum.json": b"{}"})
    unpack_crate(source, str(tmp_path / "out"), SUM)
    assert SUM in (tmp_path / "out/.cargo-checksum.json").read_text()


def test_links_are_left_out_and_said(tmp_path: Path) -> None:
    source = archive(tmp_path / "a", {"a-1/Cargo.toml": b""}, links={"a-1/passwd": "/etc/passwd"})
    assert unpack_crate(source, str(tmp_path / "out"), SUM) == (
        "1 link in the crate left out, as cargo does",
    )
    assert not (tmp_path / "out/passwd").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("a-1/../../Cargo.toml", "leaves the package", id="upwards"),
        pytest.param("/a-1/Cargo.toml", "absolute path", id="absolute"),
        pytest.param("a-1/src/lib.rs", "holds no Cargo.toml", id="no crate"),
    ],
)
def test_what_is_no_crate_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        unpack_crate(archive(tmp_path / "a", {name: b""}), str(tmp_path / "out"), SUM)
    assert said in caught.value.finding


WORKSPACE = """
[workspace]
members = ["crates/*"]
[workspace.package]
version = "0.3.0"
edition = "2021"
[workspace.dependencies]
plain = "1"
table = { version = "2", default-features = false, features = ["x"] }
[workspace.lints.rust]
unused = "warn"
"""
MEMBER = """
[package]
name = "a"
version.workspace = true
edition = { workspace = true }
[dependencies]
plain.workspace = true
table = { workspace = true, features = ["y"], optional = true }
own = { path = "../b" }
[target.'cfg(unix)'.build-dependencies]
table.workspace = true
[lints]
workspace = true
[profile.release]
lto = true
"""


def test_what_is_inherited_from_a_workspace_is_written_out(tmp_path: Path) -> None:
    files = {"Cargo.toml": WORKSPACE, "crates/a/Cargo.toml": MEMBER, "crates/a/src/lib.rs": "x"}
    source = write(tmp_path / "repo", files)
    assert crate_of_repository(source, str(tmp_path / "out"), "a", "0.3.0") == ()
    assert tomllib.loads((tmp_path / "out/Cargo.toml").read_text()) == {
        "package": {"name": "a", "version": "0.3.0", "edition": "2021"},
        "dependencies": {
            "plain": {"version": "1"},
            "table": {"version": "2", "default-features": False, "features": ["x", "y"], "optional": True},
            "own": {"path": "../b"},
        },
        "target": {
            "cfg(unix)": {
                "build-dependencies": {
                    "table": {"version": "2", "default-features": False, "features": ["x"]}
                }
            }
        },
        "lints": {"rust": {"unused": "warn"}},
    }
    assert json.loads((tmp_path / "out/.cargo-checksum.json").read_text())["package"] is None


def test_a_crate_is_found_by_its_name_and_version_not_by_its_directory(tmp_path: Path) -> None:
    source = write(
        tmp_path / "repo",
        {
            "a/Cargo.toml": '[package]\nname = "b"\nversion = "1.0.0"\n',
            "deep/er/Cargo.toml": '[package]\nname = "a"\nversion = "2.0.0"\n',
            "deep/er/here": "yes",
            "old/Cargo.toml": '[package]\nname = "a"\nversion = "1.0.0"\n',
            "broken/Cargo.toml": "[package\n",
        },
    )
    crate_of_repository(source, str(tmp_path / "out"), "a", "2.0.0")
    assert (tmp_path / "out/here").read_text() == "yes"


def test_links_are_followed_inside_the_repository_only(tmp_path: Path) -> None:
    source = write(
        tmp_path / "repo",
        {
            "Cargo.toml": "[workspace]",
            "LICENSE": "free",
            "a/Cargo.toml": '[package]\nname = "a"\n',
            "data/x/y": "z",
        },
    )
    (tmp_path / "repo/a/LICENSE").symlink_to("../LICENSE")
    (tmp_path / "repo/a/data").symlink_to("../data")
    (tmp_path / "repo/a/out").symlink_to("/etc/passwd")
    (tmp_path / "repo/a/self").symlink_to("..")
    (said,) = crate_of_repository(source, str(tmp_path / "out"), "a", None)
    assert said.startswith("2 links")
    assert (tmp_path / "out/LICENSE").read_text() == "free"
    assert (tmp_path / "out/data/x/y").read_text() == "z"
    assert not (tmp_path / "out/LICENSE").is_symlink()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"x": ""}, "no Cargo.toml of a package a", id="none"),
        pytest.param(
            {"Cargo.toml": '[package]\nname = "a"\nversion = "1.0.0"\n'}, "has a 1.0.0, where", id="version"
        ),
        pytest.param(
            {"Cargo.toml": '[package]\nname = "a"\nversion.workspace = true\n[workspace]\n'},
            "inherits `version`",
            id="package",
        ),
        pytest.param(
            {"Cargo.toml": '[package]\nname = "a"\nversion = "2.0.0"\n[dependencies]\nx.workspace = true\n'},
            "inherits the dependency `x`",
            id="dependency",
        ),
    ],
)
def test_what_a_repository_lacks_is_said(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        crate_of_repository(write(tmp_path / "repo", files), str(tmp_path / "out"), "a", "2.0.0")
    assert said in caught.value.finding


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.times()
    | st.datetimes()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_a_document_becomes_text_that_means_the_same(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(document)) == document


def test_infinities_are_written_as_toml_has_them() -> None:
    assert tomllib.loads(toml_text({"a": math.inf, "b": -math.inf})) == {"a": math.inf, "b": -math.inf}
