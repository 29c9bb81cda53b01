"""The digest of a scratch path gives way to the final one, wherever it stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.recipes.rewriting import replace_digest

OLD, NEW = b"0" * 32, b"1" * 32


def test_contents_links_and_names_are_rewritten(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    inner = tree / f"lib-{OLD.decode()}"
    inner.mkdir(parents=True)
    (inner / f"{OLD.decode()}.conf").write_bytes(b"prefix=/store/" + OLD + b"-hello\n\0" + OLD + OLD)
    (tree / "link").symlink_to(f"/store/{OLD.decode()}-hello/bin")
    (tree / "other").write_bytes(b"nothing here")
    replace_digest(str(tree), OLD, NEW)
    new = NEW.decode()
    assert (tree / f"lib-{new}" / f"{new}.conf").read_bytes() == (
        b"prefix=/store/" + NEW + b"-hello\n\0" + NEW + NEW
    )
    assert os.readlink(tree / "link") == f"/store/{new}-hello/bin"
    assert (tree / "other").read_bytes() == b"nothing here"


def test_read_only_trees_and_single_files_are_rewritten(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/file").write_bytes(OLD)
    (tree / "deep/file").chmod(0o444)
    (tree / "deep").chmod(0o555)
    replace_digest(str(tree), OLD, NEW)
    assert (tree / "deep/file").read_bytes() == NEW
    single = tmp_path / "single"
    single.write_bytes(b"x" + OLD)
    replace_digest(str(single), OLD, NEW)
    assert single.read_bytes() == b"x" + NEW


def test_hard_links_stay_together(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a").write_bytes(OLD)
    os.link(tmp_path / "tree/a", tmp_path / "tree/b")
    replace_digest(str(tmp_path / "tree"), OLD, NEW)
    assert (tmp_path / "tree/b").read_bytes() == NEW
    assert os.path.samefile(tmp_path / "tree/a", tmp_path / "tree/b")


def test_a_file_through_a_link_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(OLD)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(outside)
    replace_digest(str(tmp_path / "tree"), OLD, NEW)
    assert outside.read_bytes() == OLD


def test_digests_of_different_lengths_are_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lengths"):
        replace_digest(str(tmp_path), OLD, NEW + b"1")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.one_of(st.binary(max_size=40), st.just(OLD), st.just(OLD[:16])), max_size=8))
def test_the_result_is_what_replacing_bytes_gives(tmp_path: Path, parts: list[bytes]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"".join(parts))
    replace_digest(str(file), OLD, NEW)
    assert file.read_bytes() == b"".join(parts).replace(OLD, NEW)
