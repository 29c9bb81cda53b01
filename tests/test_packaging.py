"""What is installed, and that the links which make it so are intact."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["adapters", "shells"])
def test_the_package_holds_a_relative_link_to_the_top_folder(name: str) -> None:
    assert os.readlink(ROOT / "devenv" / name) == f"../{name}"


def test_only_one_import_name_is_installed() -> None:
    text = distribution("devenv-spec").read_text("top_level.txt")
    assert text is not None
    assert text.split() == ["devenv"]


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


HEAVY = {
    "argparse",
    "tomllib",
    "subprocess",
    "json",
    "re",
    "typing",
    "dataclasses",
    "pathlib",
    "urllib3",
    "rich",
}


def test_the_warm_path_imports_nothing_heavy() -> None:
    # The modules of a bare interpreter do not count: some systems' site loads more than others.
    code = (
        "import sys; before = set(sys.modules); import devenv.cli.main, devenv.cli.warm, devenv.stamp, "
        "devenv.env.enter; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & HEAVY, sorted(loaded & HEAVY)
