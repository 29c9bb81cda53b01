"""Control files and the relations in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.deb822 import parse, parse_one
from devenv.formats.debian_relations import Relation, parse_relations, show_group
from devenv.formats.errors import FormatError


def test_stanzas_are_separated_by_blank_lines() -> None:
    text = "Package: a\nVersion:1\n\n \n\nPackage: b\nDescription: short\n long\n .\n longer\n"
    assert parse(text) == [
        {"package": "a", "version": "1"},
        {"package": "b", "description": "short\n long\n .\n longer"},
    ]


def test_comments_and_carriage_returns_are_passed_over() -> None:
    assert parse_one("# first\r\nTypes: deb\r\n# between\r\nURIs:\r\n https://a.test/\r\n") == {
        "types": "deb",
        "uris": "\n https://a.test/",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" more\n", "line 1 continues a field"),
        ("A: 1\n\n more\n", "line 3 continues a field"),
        ("A: 1\nA: 2\n", "line 2 has the field 'a' a second time"),
        ("A: 1\na: 2\n", "a second time"),
        ("no field\n", "line 1 is no field"),
        (": x\n", "line 1 is no field"),
        ("-A: x\n", "line 1 is no field"),
        ("Ä: x\n", "line 1 is no field"),
    ],
)
def test_what_is_no_stanza_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(text)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("A: 1\n\nA: 2\n", 2)])
def test_one_stanza_is_not_several(text: str, count: int) -> None:
    with pytest.raises(FormatError, match=f"found {count}"):
        parse_one(text)


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,9}", fullmatch=True)
VALUES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20).map(str.strip)


@given(st.lists(st.dictionaries(NAMES.map(str.lower), VALUES, min_size=1, max_size=5), max_size=4))
def test_what_is_written_is_read_back(stanzas: list[dict[str, str]]) -> None:
    text = "\n".join("".join(f"{name}: {value}\n" for name, value in each.items()) for each in stanzas)
    assert parse(text) == stanzas


@given(st.text(max_size=200))
def test_anything_is_stanzas_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        parse(text)


def test_relations_are_groups_of_alternatives() -> None:
    text = (
        "libc6 (>= 2.34), default-mta | mail-transport-agent,\n python3:any (<< 3.12), a(=1:2~3-4) , x:i386,"
    )
    assert parse_relations(text) == (
        (Relation("libc6", "", ">=", "2.34"),),
        (Relation("default-mta"), Relation("mail-transport-agent")),
        (Relation("python3", "any", "<<", "3.12"),),
        (Relation("a", "", "=", "1:2~3-4"),),
        (Relation("x", "i386"),),
    )


@pytest.mark.parametrize(("old", "new"), [("<", "<="), (">", ">=")])
def test_old_operators_mean_what_they_meant(old: str, new: str) -> None:
    assert parse_relations(f"a ({old} 1)") == ((Relation("a", "", new, "1"),),)


def test_no_relations_are_none() -> None:
    assert parse_relations("") == parse_relations(" ") == ()


@pytest.mark.parametrize(
    "text", ["a b", "a (1)", "a (>= )", "a (>= 1", "(>= 1)", "a | ", "a [amd64]", "-a", "a:(= 1)"]
)
def test_what_is_no_relation_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="no relation"):
        parse_relations(text)


RELATION = st.builds(
    lambda name, architecture, version: Relation(name, architecture, *(version or ("", ""))),
    st.sampled_from(["a", "libstdc++6", "g++", "python3.11"]),
    st.sampled_from(["", "any", "i386"]),
    st.none() | st.tuples(st.sampled_from(["<<", "<=", "=", ">=", ">>"]), st.sampled_from(["1", "2:3~rc-1"])),
)


@given(st.lists(st.lists(RELATION, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple))
def test_relations_that_are_shown_are_read_back(groups: tuple[tuple[Relation, ...], ...]) -> None:
    assert parse_relations(", ".join(map(show_group, groups))) == groups


@given(st.text(max_size=80))
def test_anything_is_relations_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        parse_relations(text)
