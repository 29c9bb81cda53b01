from __future__ import annotations

from pathlib import Path

import pytest

from devenv.adapter import Options
from devenv.adapters import requirements
from devenv.errors import DevenvError
from devenv.lockfiles import read
from tests.support.pythons import linux_target

PIN = "kit==1.0 --hash=sha256:" + "ab" * 32 + "\n"


def test_included_files_are_read_hashed_and_given_to_the_adapter(tmp_path: Path) -> None:
    files = {
        "app/requirements/dev.txt": "-r ../base.txt\n-c c.txt\n",
        "app/base.txt": PIN + "-r more/x.txt\n",
        "app/more/x.txt": "",
        "app/requirements/c.txt": "kit<2\n",
        "app/requirements/unrelated.txt": "not a requirement",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    lockfile = read(str(tmp_path), "app/requirements/dev.txt", Options(), {"requirements": requirements})
    assert set(lockfile.hashes()) == set(files) - {"app/requirements/unrelated.txt"}
    assert [query.key for query in lockfile.plan(linux_target(), {}).queries] == ["pypi:kit==1.0"]


def test_files_outside_the_project_are_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(PIN)
    (tmp_path / "project").mkdir()
    for line in ("-r ../secret.txt", f"-r {tmp_path}/secret.txt"):
        (tmp_path / "project/requirements.txt").write_text(line)
        lockfile = read(
            str(tmp_path / "project"), "requirements.txt", Options(), {"requirements": requirements}
        )
        assert set(lockfile.siblings) == set()
        with pytest.raises(DevenvError, match="which is not there"):
            lockfile.plan(linux_target(), {})
