"""Lines of keys, against tomllib's view of the same text."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.positions import MAX_DEPTH, Keys, TooDeepError, find_positions

# What comes behind the marker of a leaf: everything that a scanner could take for grammar.
TAILS = ["", "]", "}", "# no comment", "=", ",", '"', "'", '""', "\\", "\n[x]\n", "\na = 1", '\\"', "{[", "é"]
KEYS = st.one_of(
    st.sampled_from(["a", "b-c", "1", "a.b", "", 'q"uote', "#", "[x]", "ключ", "new\nline", "\\", "true"]),
    st.text(max_size=4).filter(lambda key: not any("\ud800" <= c <= "\udfff" for c in key)),
)
TREES = st.recursive(
    st.sampled_from(TAILS),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(KEYS, children, min_size=1, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, TREES, max_size=4)


class Writer:
    """Writes a tree as TOML in a random style. Each leaf begins with a marker of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.count = 0

    def document(self, tree: dict[str, Any]) -> str:
        return "".join(self.table(tree, []))

    def table(self, tree: dict[str, Any], prefix: list[str]) -> Iterator[str]:
        later = []
        for key, value in tree.items():
            if self.random.random() < 0.5 and (self.is_tables([value]) or self.is_tables(value)):
                later.append((key, value))
            elif self.is_tables([value]) and self.random.random() < 0.5:
                yield from self.dotted([key], value)
            else:
                yield f"{self.key(key)} {self.blank()}= {self.value(value)}{self.end()}"
        for key, value in later:
            path = [*prefix, key]
            for part in value if isinstance(value, list) else [value]:
                brackets = "[[ %s ]]" if isinstance(value, list) else "[%s]"
                yield brackets % " . ".join(self.key(name) for name in path) + self.end()
                yield from self.table(part, path)

    def dotted(self, path: list[str], tree: dict[str, Any]) -> Iterator[str]:
        for key, value in tree.items():
            if value and isinstance(value, dict):
                yield from self.dotted([*path, key], value)
            else:
                yield (
                    ".".join(self.key(name) for name in [*path, key]) + f" = {self.value(value)}{self.end()}"
                )

    def value(self, value: Any, inline: bool = False) -> str:
        if isinstance(value, str):
            self.count += 1
            return self.text(f"<{self.count}>{value}")
        if isinstance(value, list):
            gap = self.random.choice([" ", "\n", " # ]\n\n", "\t"])
            items = [gap + self.value(item, inline) + self.random.choice(["", "\n"]) for item in value]
            return "[" + ",".join(items) + ("," if items and self.random.random() < 0.5 else "") + "]"
        members = (f" {self.key(key)}={self.value(item, True)} " for key, item in value.items())
        return "{" + ",".join(members) + "}"

    def text(self, text: str) -> str:
        styles: list[Callable[[str], str]] = [self.basic]
        if "'" not in text and "\n" not in text:
            styles.append(lambda t: f"'{t}'")
        if "'''" not in text and not text.endswith("'"):
            styles.append(lambda t: f"'''{t}'''")
        styles.append(
            lambda t: '"""' + self.basic(t)[1:-1].replace("\\n", "\n").replace('\\"\\"', '""') + '"""'
        )
        return self.random.choice(styles)(text)

    def basic(self, text: str) -> str:
        escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
        return (
            '"'
            + "".join(escapes.get(c, f"\\U{ord(c):08x}" if ord(c) < 32 or ord(c) == 127 else c) for c in text)
            + '"'
        )

    def key(self, key: str) -> str:
        bare = key and key.isascii() and all(c.isalnum() or c in "-_" for c in key)
        if bare and self.random.random() < 0.7:
            return key
        if key.isprintable() and "'" not in key and self.random.random() < 0.3:
            return f"'{key}'"
        return self.basic(key)

    def blank(self) -> str:
        return self.random.choice(["", "  ", "\t"])

    def end(self) -> str:
        return self.random.choice(["\n", "\r\n", " # a = 1\n", "\n\n", "\t\n# [x]\n"])

    @staticmethod
    def is_tables(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and all(v and isinstance(v, dict) for v in value)


def leaves(data: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(data, str):
        yield keys, data
    for key, value in (
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    ):
        yield from leaves(value, (*keys, key))


@given(tree=DOCUMENTS, seed=st.integers(0, 2**32))
def test_every_leaf_has_the_line_on_which_it_begins(tree: dict[str, Any], seed: int) -> None:
    text = Writer(Random(seed)).document(tree)
    positions = find_positions(text)
    for keys, value in leaves(tomllib.loads(text)):
        marker = value[: value.index(">") + 1]
        assert positions.lines[keys] == text[: text.index(marker)].count("\n") + 1, text
    assert not positions.repeated


@given(text=st.text(alphabet="ab.=[]{}\"'\\#,\n 1", max_size=60))
def test_any_text_is_scanned_and_what_tomllib_reads_is_found(text: str) -> None:
    positions = find_positions(text)
    try:
        data = tomllib.loads(text)
    except ValueError:
        return
    for keys, _ in leaves(data):
        assert keys in positions.lines


@pytest.mark.parametrize(
    ("text", "keys", "line"),
    [
        pytest.param("[a]\n\n[b]\nx = 1", ("b", "x"), 4, id="table"),
        pytest.param("[[a]]\nx=1\n[[a]]\nx=2", ("a", 1, "x"), 4, id="array of tables"),
        pytest.param("[[a]]\n[a.b]\nx=1\n[[a]]\n[a.b]\nx=1", ("a", 1, "b", "x"), 6, id="table below array"),
        pytest.param("a.'b.c'.\"d\" = 1", ("a", "b.c", "d"), 1, id="quoted keys"),
        pytest.param('"\\u0061" = 1', ("a",), 1, id="escaped key"),
        pytest.param("a = [\n 1,\n # no\n 2]", ("a", 1), 4, id="array element"),
        pytest.param('a = """\n]\n"""\nb = 1', ("b",), 4, id="behind multi-line text"),
        pytest.param('a = """x"""""\nb = 1', ("b",), 2, id="quotes at the end of text"),
        pytest.param("a = 1979-05-27 07:32:00\nb = {c = 1}", ("b", "c"), 2, id="behind a date"),
        pytest.param("a = 1", ("a", "b", 0), 1, id="nearest around"),
        pytest.param("a = 1", ("b",), None, id="nowhere"),
    ],
)
def test_a_key_is_found_on_its_line(text: str, keys: Keys, line: int | None) -> None:
    assert find_positions(text).line(keys) == line


@pytest.mark.parametrize(
    ("text", "keys", "lines"),
    [
        pytest.param("a = 1\n\na = 2", ("a",), (1, 3), id="key"),
        pytest.param("[a]\n[b]\n[a]", ("a",), (1, 3), id="table"),
        pytest.param("[[a]]\n[a.b]\n[[a]]\n[a.b]\n[a.b]", ("a", 1, "b"), (4, 5), id="table of an element"),
    ],
)
def test_a_key_that_is_set_twice_is_told(text: str, keys: Keys, lines: tuple[int, int]) -> None:
    assert find_positions(text).repeated == {keys: lines}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a." * 200_000 + "b = 1", id="dotted key"),
        pytest.param("[" + "a." * 200_000 + "b]", id="header"),
        pytest.param("a = " + "[" * 200_000, id="arrays"),
        pytest.param("a = " + "{a = " * 200_000, id="inline tables"),
        pytest.param("x = {" + "'a'.b." * 100_000 + "c = 1}", id="dotted key in an inline table"),
    ],
)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(TooDeepError):
        find_positions("\n" + text)
    assert time.process_time() - started < 2


def test_nesting_up_to_the_limit_is_read() -> None:
    keys = ("a",) * MAX_DEPTH
    assert find_positions("\n" + ".".join(keys) + " = 1").line(keys) == 2
