"""Builds of recipes that need what they do not declare; those of packages are among the tests of their lockfiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

CONFIG = 'name = "p"\n[build.doc]\nsources = ["src"]\nhost = true\n[build.doc.phases]\nbuild = "{}"\n'


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("PATH=/none autopoint", "The program autopoint is missing; the system package autopoint has it"),
        ("PATH=/none frobnicate", "The program frobnicate is missing; `devenv locate bin/frobnicate`"),
        (
            "echo '#include <frob.h>' > a.c; cc -c a.c",
            "The header frob.h is missing; `devenv locate include/frob.h`",
        ),
    ],
    ids=["known program", "program", "header"],
)
def test_a_recipe_that_lacks_something_says_what(tmp_path: Path, user: User, command: str, said: str) -> None:
    require_sandboxes()
    (tmp_path / "src").mkdir()
    (tmp_path / "devenv.toml").write_text(CONFIG.format(command))
    # No archive is asked which package has a file: what is known without one is said.
    user.env["DEVENV_DEBIAN_MIRROR"] = "http://127.0.0.1:9/"
    user.run("lock", cwd=tmp_path)
    done = user.run("build", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "cannot build doc (phase build)" in done.stderr
