"""The published schema: current, valid, and of one mind with the reader."""

from __future__ import annotations

import json
import os
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from devenv.config.fields.document import DOCUMENT, fields_of
from devenv.config.fields.texts import VARIABLE
from devenv.config.reserved import COMMANDS, reserved_pattern, why_reserved
from devenv.config.schema import schema, schema_text
from devenv.config.toml import parse_config
from devenv.errors import DevenvError
from tests.config.test_toml import REFUSED, problems

VALIDATOR = Draft7Validator(schema())

# What a schema cannot say, or only at the price of being unreadable.
BEYOND_A_SCHEMA = {
    "base of another distribution",
    "system packages without a base",
    "R without a base",
    "mirrors of a registry",
    "lockfile above",
    "absolute lockfile",
    "lockfile with a newline",
    "project as lockfile",
    "twice one lockfile",
    "one lockfile for both",
    "several without a path",
    "entry with the separator",
    "PATH as a whole",
    "profile that loses PATH",
    "blank alias",
    "alias of an empty program",
    "alias of an empty word",
    "alias with an open quote",
    "alias with a pipe",
    "script and alias",
    "function and script",
    "function and alias",
    "name that ends in a newline",  # Python's `$` fits before the last newline, that of ECMA-262 does not
    "registry without host",
    "registry with a bad port",
}


def plain(text: str) -> Any:
    """A document as an editor's TOML reader gives it to a schema."""
    return json.loads(json.dumps(tomllib.loads(text), default=lambda date: {"date": str(date)}))


def test_the_schema_is_valid() -> None:
    Draft7Validator.check_schema(schema())


def test_the_published_schema_is_current() -> None:
    path = files("devenv.config") / "devenv.schema.json"
    if os.environ.get("DEVENV_REGENERATE"):
        with open(str(path), "w", encoding="utf-8") as file:
            file.write(schema_text())
    assert path.read_text("utf-8") == schema_text(), "run the tests once with DEVENV_REGENERATE=1"


def test_every_key_of_the_schema_is_described() -> None:
    for key, field in fields_of(DOCUMENT).items():
        assert field.doc.endswith("."), key


@pytest.mark.parametrize(
    ("table", "line"), [entry[:2] for name, entry in REFUSED.items() if name not in BEYOND_A_SCHEMA]
)
def test_what_is_refused_does_not_fit_the_schema(table: str, line: str) -> None:
    assert not VALIDATOR.is_valid(plain(f"{table}\n{line}\n"))


@pytest.mark.parametrize("name", sorted(BEYOND_A_SCHEMA))
def test_what_a_schema_cannot_say_is_at_least_no_error_in_it(name: str) -> None:
    """Otherwise the case belongs to the test above."""
    table, line = REFUSED[name][:2]
    assert VALIDATOR.is_valid(plain(f"{table}\n{line}\n"))


TEXTS = st.one_of(
    st.sampled_from(["a", "./bin", "17", "https://a.test/", "dev", "", "a b", "x/y.lock"]),
    st.text(max_size=3),
)
LEAVES = st.one_of(TEXTS, st.integers(-5, 5), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
LOCKFILES = st.dictionaries(
    st.sampled_from(["path", "omit", "extras", "groups"]),
    st.one_of(LEAVES, st.lists(TEXTS, max_size=2)),
    max_size=2,
)
OPERATIONS = st.dictionaries(
    st.sampled_from(["set", "unset", "default", "prepend", "append", "separator", "x"]),
    st.one_of(LEAVES, st.lists(TEXTS, max_size=2)),
    max_size=2,
)
NAMES = st.one_of(st.sampled_from(["A", "HOME", "if", "npm", "a.b", "pypi"]), st.text(max_size=2))
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": LEAVES,
        "packages": st.dictionaries(st.sampled_from(["node", "npm", "python", "ruby"]), LEAVES, max_size=2),
        "lockfiles": st.dictionaries(
            st.sampled_from(["npm", "pip"]),
            st.one_of(LEAVES, LOCKFILES, st.lists(LOCKFILES, max_size=2)),
            max_size=2,
        ),
        "env": st.dictionaries(NAMES, st.one_of(LEAVES, OPERATIONS), max_size=2),
        "aliases": st.dictionaries(NAMES, st.one_of(LEAVES, st.lists(LEAVES, max_size=2)), max_size=2),
        "scripts": st.dictionaries(NAMES, LEAVES, max_size=2),
        "registries": st.dictionaries(NAMES, LEAVES, max_size=2),
    },
)


def to_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_toml(key)} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(to_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(document=DOCUMENTS)
def test_what_devenv_reads_fits_the_schema(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {to_toml(value)}\n" for key, value in document.items())
    try:
        parse_config(text, "devenv.toml")
    except DevenvError:
        return
    assert VALIDATOR.is_valid(document), list(VALIDATOR.iter_errors(document))


@given(
    name=st.one_of(st.from_regex(reserved_pattern(), fullmatch=True), st.from_regex(VARIABLE, fullmatch=True))
)
def test_the_pattern_of_reserved_variables_is_the_list(name: str) -> None:
    fits = not Draft7Validator({"not": {"pattern": reserved_pattern()}}).is_valid(name)
    assert fits == (why_reserved(name) is not None)


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "TZ", "EDITOR", "NODE_ENV", "PYTHONPATH", "PATH", "Path"])
def test_a_project_may_have_its_own_value_of_what_is_not_the_sessions(name: str) -> None:
    assert why_reserved(name) is None


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_alias_and_no_script_takes_a_word_of_the_shells(name: str) -> None:
    assert [problem.key for problem in problems(f'[aliases]\n{name} = "x"')] == [f"aliases.{name}"]
