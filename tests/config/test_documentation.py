"""docs/devenv.toml.md against the table that it describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devenv.config.fields.document import DOCUMENT, fields_of
from devenv.config.fields.registries import REGISTRY
from devenv.config.reserved import why_reserved
from devenv.config.shapes import Either, Names, Table
from devenv.config.toml import parse_config

TEXT = (Path(__file__).parents[2] / "docs" / "devenv.toml.md").read_text("utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_devenv_toml(block: str) -> None:
    parse_config(block, "devenv.toml")


@pytest.mark.parametrize("table", DOCUMENT.fields)
def test_every_table_has_a_chapter_and_an_example(table: str) -> None:
    assert re.search(rf"^## \[?{table}\]?$", TEXT, re.MULTILINE)
    assert any(re.search(rf"^(\[\[?{table}\b|{table} = )", block, re.MULTILINE) for block in BLOCKS)


def tables(shape: object) -> list[Table]:
    if isinstance(shape, Table):
        return [shape, *(found for field in shape.fields.values() for found in tables(field.shape))]
    if isinstance(shape, Either):
        return [found for inner in shape.shapes for found in tables(inner)]
    return tables(shape.values) if isinstance(shape, Names) else []


@pytest.mark.parametrize("key", sorted({key for table in tables(DOCUMENT) for key in table.fields}))
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"(`{key}`|`\{{ {key} =|^## \[?{key}\b|, {key} = )", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "key", sorted({key for table in (DOCUMENT, *tables(DOCUMENT)) for key in table.later})
)
def test_every_key_that_comes_later_is_announced(key: str) -> None:
    chapter = TEXT[TEXT.index("## Not yet") :]
    assert f"`{key}`" in chapter


def test_every_registry_is_explained() -> None:
    for key in ("npm", "npm+@scope", "pypi", "pypi-files"):
        assert re.fullmatch(REGISTRY, key)
        assert f"`{key}`" in TEXT or f'`"{key}"`' in TEXT


def test_the_variables_that_are_said_to_be_refused_are_refused() -> None:
    rows = [
        line.split("|")[1]
        for line in TEXT.splitlines()
        if line.startswith("| `PWD`") or "session's |" in line
    ]
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(names) > 20
    for name in names:
        assert why_reserved(name.replace("*", "X")), name


def test_every_key_of_the_top_level_is_known_by_its_dotted_name() -> None:
    assert {"name", "packages.node", "lockfiles.pip", "env", "registries"} <= fields_of(DOCUMENT).keys()
