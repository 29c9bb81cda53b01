"""[parameters]: declarations, given values, and where these go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.model import Config
from devenv.config.parameters import argument_text, defaults, settle, split_given
from devenv.config.toml import parse_config
from devenv.env.spec import Set
from devenv.errors import DevenvError, Problems

TEXT = """
[parameters]
port = { type = "int", default = 8080 }
mode = { choices = ["dev", "prod"], default = "dev" }
debug = false
token = { type = "text", doc = "what the server asks for" }

[env]
URL = "http://localhost:${parameter:port}/${parameter:mode}"
RAW = "$${parameter:port} ${project}"
TOKEN = { default = "${parameter:token}" }
PATH = { prepend = ["./${parameter:mode}/bin"] }

[aliases]
serve = ["server", "--port=${parameter:port}", "${parameter:token}"]

[functions]
at = { sh = "cd ${parameter:mode}", fish = "cd $${parameter:mode}" }

[scripts]
run = "exec server -p ${parameter:port} ${parameter:debug}"
"""


def values(config: Config, name: str) -> str:
    operation = config.env[name][0]
    return getattr(operation, "value", None) or operation.entries[0]  # type: ignore[union-attr]


def problems(caught: pytest.ExceptionInfo[DevenvError]) -> list[str]:
    error = caught.value
    return [str(each) for each in error.problems] if isinstance(error, Problems) else [str(error)]


def test_values_stand_in_variables_entries_aliases_and_scripts() -> None:
    config = settle(parse_config(TEXT, "devenv.toml"), {"port": "9000", "token": "a b'c", "debug": "true"})
    assert values(config, "URL") == "http://localhost:9000/dev"
    assert values(config, "RAW") == "${parameter:port} ${project}"
    assert values(config, "TOKEN") == "a b'c"
    assert values(config, "PATH") == "./dev/bin"
    assert config.aliases["serve"] == ("server", "--port=9000", "a b'c")
    assert config.scripts["run"] == "exec server -p 9000 true"
    assert config.functions["at"] == {"sh": "cd dev", "fish": "cd ${parameter:mode}"}
    assert config.arguments == {"port": 9000, "mode": "dev", "debug": True, "token": "a b'c"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Problems) as caught:
        settle(
            parse_config(TEXT, "devenv.toml"), {"port": "80 80", "mode": "test", "debug": "yes", "prot": "1"}
        )
    found = problems(caught)
    assert len(found) == 5
    for part in (
        'no parameter "prot"',
        'port (devenv.toml:3): expected a whole number, found "80 80"',
        'expected one of dev, prod, found "test"',
        'expected true or false, found "yes"',
        "token (devenv.toml:6) has no value: what the server asks for",
    ):
        assert any(part in each for each in found), part


def test_defaults_alone_leave_what_must_be_given() -> None:
    config = defaults(parse_config(TEXT, "devenv.toml"))
    assert values(config, "URL") == "http://localhost:8080/dev"
    assert values(config, "TOKEN") == "${parameter:token}"


WRONG = {
    "default of another type": (
        'x = { type = "int", default = "8" }',
        "parameters.x.default: expected a whole number",
    ),
    "choice of another type": (
        'x = { type = "int", choices = [1, "2"] }',
        "parameters.x.choices[1]: expected",
    ),
    "default that is no choice": ('x = { default = "c", choices = ["a", "b"] }', "c is none of the choices"),
    "true for a number": ('x = { type = "int", default = true }', "expected a whole number"),
    "unknown type": ('x = { type = "port" }', 'expected "text", "int" or "bool"'),
    "unknown key": ('x = { description = "y" }', "did you mean `doc`?"),
    "a float": ("x = 1.5", "expected a default, or a table"),
    "a bad name": ('"a b" = 1', "expected a parameter's name"),
    "unknown mark": ('port = 1\n[env]\nA = "${parameter:prt}"', 'env.A: there is no parameter "prt"'),
    "mark in a script": ('port = 1\n[scripts]\na = "${parameter:x}"', "scripts.a: there is no parameter"),
    "mark in an entry": (
        'port = 1\n[env]\nA = {prepend = ["${parameter:x}"]}',
        "env.A.prepend[0]: there is no",
    ),
}


@pytest.mark.parametrize(("text", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_file_is_said_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(DevenvError) as caught:
        parse_config(f"[parameters]\n{text}\n", "devenv.toml")
    error = caught.value
    hints = [each.hint for each in error.problems] if isinstance(error, Problems) else [error.hint]
    assert any(problem in each for each in [*problems(caught), *filter(None, hints)]), problems(caught)


@pytest.mark.parametrize("value", ["a b", "$(x)", "a;b", "'", '"', "`", "\n", "é", "~", "*", "#"])
def test_a_value_that_is_code_is_not_put_into_a_script(value: str) -> None:
    config = parse_config('[parameters]\nx = ""\n[scripts]\nrun = "echo ${parameter:x}"\n', "devenv.toml")
    with pytest.raises(DevenvError, match="cannot stand in code"):
        settle(config, {"x": value})


def test_a_value_with_the_separator_would_be_several_entries() -> None:
    config = parse_config(
        '[parameters]\nx = "a"\n[env]\nPATH = {prepend=["./${parameter:x}"]}\n', "devenv.toml"
    )
    with pytest.raises(DevenvError, match="separator"):
        settle(config, {"x": "a:/evil"})


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_any_text_reaches_a_variable_as_it_is(value: str) -> None:
    config = parse_config('[parameters]\nx = ""\n[env]\nA = "${parameter:x}"\n', "devenv.toml")
    assert settle(config, {"x": value}).env["A"] == (Set(value=value, origin="devenv.toml:4"),)


@given(st.integers(-(10**17), 10**17) | st.booleans())
def test_numbers_and_switches_come_back_from_their_text(value: int | bool) -> None:
    kind = "bool" if isinstance(value, bool) else "int"
    config = parse_config(f'[parameters]\nx = {{ type = "{kind}" }}\n', "devenv.toml")
    assert settle(config, {"x": argument_text(value)}).arguments == {"x": value}


def test_words_of_the_command_line_are_split_at_the_first_sign() -> None:
    assert split_given(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(Problems) as caught:
        split_given(["a", "=1", "b=1", "b=2"])
    assert len(caught.value.problems) == 3
