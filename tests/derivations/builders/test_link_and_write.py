"""Trees of links, and of small files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devenv.derivations.builders import link, write
from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError
from tests.derivations.archives import listing


def job(tmp_path: Path, **env: object) -> Job:
    return Job(
        label="demo",
        env={name: json.dumps(value) for name, value in env.items()},
        target=str(tmp_path / "out"),
        pythons={},
        interpreters=Interpreters(),
    )


def test_links_are_made_with_their_directories(tmp_path: Path) -> None:
    link.build(job(tmp_path, links={"bin/node": "/store/n/bin/node", "top": "/x", "a/b/c": "/y"}))
    assert listing(tmp_path / "out") == {
        "bin/node": ("l", b"/store/n/bin/node"),
        "top": ("l", b"/x"),
        "a/b/c": ("l", b"/y"),
    }


def test_files_are_written_with_their_modes(tmp_path: Path) -> None:
    write.build(job(tmp_path, files={"bin/run": "#!/bin/sh\n", "é.txt": "é" * 100}, executables=["bin/run"]))
    assert listing(tmp_path / "out") == {
        "bin/run": ("x", b"#!/bin/sh\n"),
        "é.txt": ("-", ("é" * 100).encode()),
    }


@pytest.mark.parametrize(
    "names",
    [["../x"], ["a/../../x"], ["/etc/x"], ["a\0b"], ["a", "a/b"], ["x" * 300]],
    ids=["parent", "parent inside", "absolute", "NUL", "below another", "too long"],
)
@pytest.mark.parametrize("builder", [link, write], ids=["link", "write"])
def test_names_that_leave_the_tree_or_contradict_each_other_are_errors(
    tmp_path: Path, names: list[str], builder: object
) -> None:
    values = dict.fromkeys(names, "/target")
    with pytest.raises(BuildError, match="demo"):
        if builder is link:
            link.build(job(tmp_path, links=values))
        else:
            write.build(job(tmp_path, files=values))
    assert set(os.listdir(tmp_path)) <= {"out"}
