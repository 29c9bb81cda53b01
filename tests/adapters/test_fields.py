from __future__ import annotations

from collections.abc import Callable

import pytest

from devenv.adapter import AdapterError
from devenv.adapters._fields import Faults, Table, join_key, parse_json, parse_toml
from devenv.errors import DevenvError, Problems

TABLE = Table(
    {
        "text": "x",
        "empty": "",
        "flag": True,
        "number": 3,
        "real": 1.5,
        "list": ["a", 1],
        "texts": ["a", "b"],
        "table": {"a b": "c", "n": 1},
        "tables": [{"x": 1}, {"y": "z"}],
        "null": None,
    },
    file="some.lock",
    key="top",
)


def test_values_of_the_right_type_are_given() -> None:
    assert (TABLE.text("text"), TABLE.flag("flag"), TABLE.number("number")) == ("x", True, 3)
    assert TABLE.texts("texts") == ("a", "b")
    assert [t.key for t in TABLE.tables("tables")] == ["top.tables[0]", "top.tables[1]"]
    assert TABLE.tables("tables")[1].required_text("y") == "z"
    assert TABLE.required_table("table").key == "top.table"


def test_missing_values_are_none_or_empty() -> None:
    for name in ("none", "null"):
        assert (TABLE.text(name), TABLE.number(name), TABLE.table(name)) == (None, None, None)
        assert TABLE.flag(name) is False
        assert (TABLE.texts(name), TABLE.tables(name), TABLE.text_map(name)) == ((), (), {})


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: TABLE.text("number"), "top.number: expected text, found a number"),
        (lambda: TABLE.text("real"), "top.real: expected text, found a number"),
        (lambda: TABLE.flag("text"), "top.text: expected true or false, found text"),
        (lambda: TABLE.number("flag"), "top.flag: expected a whole number, found true or false"),
        (lambda: TABLE.number("real"), "top.real: expected a whole number, found a number"),
        (lambda: TABLE.table("list"), "top.list: expected a table, found a list"),
        (lambda: TABLE.texts("list"), "top.list[1]: expected text, found a number"),
        (lambda: TABLE.texts("table"), "top.table: expected a list, found a table"),
        (lambda: TABLE.tables("texts"), "top.texts[0]: expected a table, found text"),
        (lambda: TABLE.text_map("table"), "top.table.n: expected text, found a number"),
        (lambda: TABLE.required_text("none"), "top.none: is missing"),
        (lambda: TABLE.required_text("empty"), "top.empty: is empty"),
        (lambda: TABLE.required_number("none"), "top.none: is missing"),
        (lambda: TABLE.required_table("none"), "top.none: is missing"),
        (lambda: parse_json("{", "a.json"), "a.json: not JSON"),
        (lambda: parse_json("9" * 5000, "a.json"), "a.json: JSON that cannot be read"),
        (lambda: parse_toml("a =", "a.toml"), "a.toml: not TOML"),
        (lambda: parse_toml("<<<<<<< x\n", "a.toml"), "a.toml: it contains merge conflict markers"),
        (lambda: parse_toml("a = " + "[" * 5000, "a.toml"), "a.toml: not TOML"),
    ],
)
def test_fault_names_file_key_and_kind(ask: Callable[[], object], message: str) -> None:
    with pytest.raises(AdapterError) as caught:
        ask()
    assert str(caught.value).removeprefix("some.lock: ").startswith(message)


@pytest.mark.parametrize(
    ("path", "name", "joined"),
    [
        ("", "a", "a"),
        ("a", "b", "a.b"),
        ("a", "", 'a[""]'),
        ("a", "b c", 'a["b c"]'),
        ("a", 'b"c', 'a["b\\"c"]'),
        ("a", "b\nc", 'a["b\\nc"]'),
        ("a", 2, "a[2]"),
    ],
)
def test_key_paths_are_readable(path: str, name: str | int, joined: str) -> None:
    assert join_key(path, name) == joined


def test_all_faults_are_raised_together() -> None:
    faults = Faults()
    for name in ("number", "text", "flag"):
        with faults.caught():
            TABLE.text(name)
    faults.add(Problems([DevenvError("one"), DevenvError("two")]))
    with pytest.raises(Problems) as caught:
        faults.report("summary")
    assert len(caught.value.problems) == 4
    assert str(caught.value).startswith("summary\n")


def test_no_fault_is_no_error() -> None:
    Faults().report()
