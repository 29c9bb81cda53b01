from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from devenv.providers.python_answers import remembered
from devenv.providers.python_host import find_python

REAL = os.path.realpath(sys.executable)


class Asked:
    """Answers, and counts how often it had to."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> dict[str, Any]:
        self.count += 1
        return {"number": self.count}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def program(place: Path) -> Path:
    """A copy of an ELF file, for nobody starts it here."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/true", place)
    return place


def test_a_program_is_asked_once_for_all_commands(environ: dict[str, str], tmp_path: Path) -> None:
    python, asked = str(program(tmp_path / "bin/python3")), Asked()
    assert [remembered(python, (), environ, asked) for _ in range(3)] == [{"number": 1}] * 3


def test_a_replaced_program_and_other_variables_are_asked_again(
    environ: dict[str, str], tmp_path: Path
) -> None:
    python, asked = program(tmp_path / "bin/python3"), Asked()
    remembered(str(python), (), environ, asked)
    assert remembered(str(python), (("PYENV_VERSION", "3"),), environ, asked) == {"number": 2}
    python.unlink()
    program(python)
    assert remembered(str(python), (), environ, asked) == {"number": 3}
    (tmp_path / "pyvenv.cfg").write_text("home = /\n")
    assert remembered(str(python), (), environ, asked) == {"number": 4}


def test_a_script_is_asked_each_time(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\n")
    asked = Asked()
    for _ in range(2):
        remembered(str(tmp_path / "python3"), (), environ, asked)
    assert asked.count == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a"', "[" * 100_000], ids=repr)
def test_damaged_notes_are_none(text: str, environ: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "home/.local/state/devenv/interpreters"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    asked = Asked()
    for _ in range(2):
        remembered(str(program(tmp_path / "bin/python3")), (), environ, asked)
    assert asked.count >= 1


def test_finding_an_interpreter_notes_what_it_said(tmp_path: Path) -> None:
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    environ = {"HOME": str(tmp_path), "PATH": os.path.dirname(REAL)}
    found = find_python(minor, environ)
    assert find_python(minor, environ) == found
    notes = tmp_path / ".local/state/devenv/interpreters"
    assert os.path.dirname(found.path) in notes.read_text()
