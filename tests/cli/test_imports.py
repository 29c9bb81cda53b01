"""What commands that are given all day may not load: modules cost milliseconds each, and are easily added."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What is loaded for long work only.
_HEAVY = {
    "rich",
    "tomlkit",
    "urllib3",
    "packaging",
    "ssl",
    "email",
    "asyncio",
    "importlib.metadata",
    "devenv.fetch.http",
}


def loaded(code: str) -> set[str]:
    """The modules that a new interpreter, without site-packages' own, has after `code`."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(*sys.modules)",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("word", ["--help", "help"])
def test_the_overview_needs_no_project_code(word: str) -> None:
    found = loaded(f"from devenv.cli.dispatch import main; main([{word!r}])")
    assert "devenv.cli.dispatch" in found
    assert not found & {*_HEAVY, "sqlite3", "devenv.project", "devenv.cli.context"}


@pytest.mark.parametrize("verb", ["why", "store", "cache"])
def test_commands_about_the_store_do_not_load_what_a_project_is(verb: str) -> None:
    found = loaded(
        f"from devenv.cli.dispatch import main\ntry: main([{verb!r}, '--help'])\nexcept SystemExit: pass\n"
        "import devenv.cli.context"
    )
    assert not found & {*_HEAVY, "devenv.project", "devenv.adapter", "devenv.environment"}


def test_what_is_looked_at_all_day_loads_nothing_heavy() -> None:
    found = loaded("import devenv.cli.warm, devenv.known, devenv.stamp, devenv.env.enter")
    assert not found & {*_HEAVY, "dataclasses", "typing", "re", "json", "sqlite3", "subprocess", "pathlib"}


def test_a_known_environment_is_made_without_adapters_and_network() -> None:
    found = loaded("import devenv.recalling, devenv.keeping, devenv.store.generations, devenv.views.compose")
    assert not found & {
        *_HEAVY,
        "devenv.adapter",
        "devenv.project",
        "devenv.environment",
        "devenv.env.spec",
        "csv",
    }
