"""Pinned repositories in devenv.lock: written, read again, refused where they are damaged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.errors import LockError
from devenv.config.lock import Lock, LockedTree
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_writing import dump_lock
from devenv.formats.hashes import Hash

TREE = LockedTree(
    url="https://git.test/envs.git",
    rev="main",
    directory="py",
    commit="a" * 40,
    hash=Hash(algorithm="sha256", digest=b"1" * 32),
    files={"py/devenv.toml": '[env]\nA = "é\\u0001"\n'},
)


@given(st.lists(st.sampled_from(["", "a", "a/b"]), unique=True), st.text(st.characters(codec="utf-8")))
def test_pins_are_read_as_they_were_written(directories: list[str], text: str) -> None:
    trees = tuple(
        LockedTree(
            url=TREE.url,
            rev="v1",
            directory=directory,
            commit="0" * 40,
            hash=TREE.hash,
            files={"devenv.toml": text},
        )
        for directory in sorted(directories)
    )
    lock = Lock(extends=trees)
    assert parse_lock(dump_lock(lock), "devenv.lock") == lock


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"commit": "main"}, "extends[0].commit: expected a commit's whole name", id="branch"),
        pytest.param({"commit": None}, "extends[0].commit: expected text", id="no commit"),
        pytest.param({"hash": "sha256:00"}, "extends[0].hash: expected a hash", id="short hash"),
        pytest.param({"files": {"../x": ""}}, "extends[0].files: expected a path", id="file above"),
        pytest.param({"files": {"x": 1}}, "extends[0].files.x: expected text", id="file that is no text"),
        pytest.param({"directory": "/etc"}, "extends[0].files: expected a path", id="absolute directory"),
        pytest.param({"more": 1}, "extends[0].more: unknown key", id="unknown key"),
    ],
)
def test_damage_is_said_with_its_place(changes: dict[str, Any], problem: str) -> None:
    data = json.loads(dump_lock(Lock(extends=(TREE,))))
    data["extends"][0].update(changes)
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(data), "devenv.lock")
    assert problem in str(caught.value)
