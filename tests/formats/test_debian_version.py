"""Versions in dpkg's order, with dpkg itself as the referee."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devenv.formats.debian_version import compare, satisfies, version_key
from devenv.formats.errors import FormatError
from tests.support.programs import program

# Each is earlier than the next.
RISING = [
    ("1.0~beta1~svn1245", "1.0~beta1", "1.0", "1.0-1", "1.0a", "1.0+b1", "1.0.1"),
    ("1.2", "1.10", "1.10a", "1.10.1", "2", "1:0", "2:0~"),
    ("1.0-0.1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1", "1.0-2"),
    ("3.6.2+dfsg-1", "3.6.2+dfsg-1+b2", "3.6.3~rc1-1", "3.6.3-1"),
    ("0~", "0", "0a", "0+", "0.0.1"),
]
SAME = [
    ("1.0", "1.00"),
    ("1.0", "0:1.0"),
    ("1.0", "1.0-0"),
    ("1.", "1.0"),
    ("01.001", "1.1"),
    ("1-2-03", "1-2-3"),
]


@pytest.mark.parametrize("row", RISING, ids=lambda row: row[0])
def test_versions_rise(row: tuple[str, ...]) -> None:
    for place, first in enumerate(row):
        for second in row[place + 1 :]:
            assert compare(first, second) == -1, (first, second)
            assert compare(second, first) == 1, (second, first)


@pytest.mark.parametrize(("first", "second"), SAME)
def test_different_spellings_of_a_version_are_the_same(first: str, second: str) -> None:
    assert compare(first, second) == 0
    assert version_key(first) == version_key(second)


PIECE = st.sampled_from(
    ["0", "1", "9", "10", "007", "a", "b", "Z", "~", "~~", "+", ".", "-", "dfsg", "rc", "+b1"]
)
VERSION = st.builds(
    lambda epoch, first, rest: f"{epoch}{first}{''.join(rest)}",
    st.sampled_from(["", "", "0:", "1:", "12:"]),
    st.sampled_from(["0", "1", "2", "10"]),
    st.lists(PIECE, max_size=6),
).filter(lambda text: not text.endswith("-"))


@settings(max_examples=150, deadline=None)
@example("1.0~", "1.0")
@example("1.0-1", "1.0-1~")
@given(VERSION, VERSION)
def test_the_order_is_dpkg_s(first: str, second: str) -> None:
    order = compare(first, second)
    for operator, holds in (("lt", order < 0), ("eq", order == 0)):
        done = subprocess.run(
            [program("dpkg"), "--compare-versions", first, operator, second], capture_output=True
        )
        assert done.returncode in (0, 1), done.stderr
        assert (done.returncode == 0) == holds, (first, operator, second)


@given(VERSION, VERSION, VERSION)
def test_the_order_is_an_order(first: str, second: str, third: str) -> None:
    one, two, three = sorted((first, second, third), key=version_key)
    assert compare(one, two) <= 0 and compare(two, three) <= 0 and compare(one, three) <= 0


@pytest.mark.parametrize(
    ("version", "operator", "wanted", "holds"),
    [
        ("1", "=", "1", True),
        ("1", "=", "2", False),
        ("1", "<<", "1", False),
        ("1", "<=", "1", True),
        ("1~", "<<", "1", True),
        ("2", ">>", "1", True),
        ("1", ">=", "1", True),
        ("1", ">>", "1", False),
    ],
)
def test_relations_hold_or_do_not(version: str, operator: str, wanted: str, holds: bool) -> None:
    assert satisfies(version, operator, wanted) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1-",
        "-1",
        ":1",
        "x:1",
        "1:",
        "1:2:3-é",
        "1 2",
        "1_2",
        "1\n",
        "1/2",
        "1:" + "9" * 5000,
        "9" * 10 + ":1",
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        version_key(text)


@given(st.text(max_size=40))
def test_anything_is_a_version_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        version_key(text)
