"""`devenv env --json` where nothing changed: what was made is shown, and nothing is planned for it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.e2e.projects import configure
from tests.support.devenv import User


def test_it_shows_the_same_as_when_it_is_planned(tmp_path: Path) -> None:
    user, root = User(tmp_path / "home"), tmp_path / "project"
    root.mkdir()
    configure(root, 'name = "p"\n[env]\nA = "first"\n')
    user.run("lock", cwd=root)
    planned = user.run("env", "--json", cwd=root).stdout
    user.run("enter", "-c", "true", cwd=root)
    user.env["PYTHONPROFILEIMPORTTIME"] = "1"
    shown = user.run("env", "--json", cwd=root)
    assert shown.stdout == planned
    assert not re.search(r"\| *devenv\.project\n", shown.stderr)
    configure(root, 'name = "p"\n[env]\nA = "second"\n')
    changed = json.loads(user.run("env", "--json", cwd=root).stdout)
    assert "second" in json.dumps(changed)
    shutil.rmtree(user.home / ".local/share/devenv/store", ignore_errors=True)
    assert json.loads(user.run("env", "--json", cwd=root).stdout) == changed
