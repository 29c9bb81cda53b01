"""docs/architecture.md and the import contracts know every part of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import devenv

TOP = Path(devenv.__file__).parent
ROOT = TOP.parent
PLUGINS = {"adapters", "shells"}  # folders of their own, behind links


def parts() -> set[str]:
    """The modules and packages right below `devenv`."""
    modules = {path.stem for path in TOP.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in TOP.glob("*/__init__.py")}
    return (modules | packages) - PLUGINS


def test_the_layout_names_every_part_once() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    layout = text.partition("## Layout of the code")[2].partition("```")[2].partition("```")[0]
    rows = [line for line in layout.splitlines() if line[:1].strip()]  # others go on with what a row says
    named = [word for line in rows for word in line[:27].split()]
    assert sorted(named) == sorted(parts())


def test_the_layers_hold_every_part_once() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    named = [name.strip().removeprefix("devenv.") for layer in layers for name in layer.split("|")]
    assert sorted(named) == sorted(parts())
