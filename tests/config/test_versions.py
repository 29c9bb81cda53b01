"""What projects write about versions -> requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.fields.packages import VERSION
from devenv.config.versions import (
    exact_request,
    minor_version,
    node_fits,
    node_request,
    python_fits,
    python_request,
)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("v17.9.1", "17.9.1"),
        ("17", "17"),
        (" 18.2\n", "18.2"),
        ("node-20.1.0", "20.1.0"),
        ("latest:18", "18"),
        ("lts/Iron", "20"),
        ("lts/*", None),
        ("lts/unheard-of", None),
        ("node", None),
        ("stable", None),
        ("", None),
        ("18.x", None),
        ("1٨", None),
        ("1.2.3.4", None),
    ],
)
def test_a_version_file_is_a_request(text: str, request_: str | None) -> None:
    assert exact_request(text) == request_


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (">=18", "22"),
        ("*", "22"),
        ("", "22"),
        ("x", "22"),
        ("latest", "22"),
        ("^18.12.0 || >=20", "22"),
        (">= 14.17.0", "22"),
        (">=16.0.0-rc.1", "22"),
        ("22.x", "22"),
        ("18.x", "18"),
        ("18", "18"),
        ("v18", "18"),
        ("18.*.*", "18"),
        ("^18.12.0", "18"),
        ("~18.2", "18.2"),
        ("~> 18.2.1", "18.2"),
        ("18.12.1", "18.12.1"),
        ("=18.12", "18.12"),
        ("^0.10.3", "0.10"),
        ("^0.0.3", "0.0.3"),
        (">=16 <21", "20"),
        (">=16 <=20", "20"),
        ("16 - 20", "20"),
        ("<18.5", "18.4"),
        ("<18.5.3", "18.5.2"),
        ("<= 18.5.3", "18.5.3"),
        (">22", "23"),
        (">23.1", "23"),
        ("^12 || ^14", "14"),
        ("^14 || <1 >2", "14"),
        (">20 <20", None),
        ("lts/*", None),
        (">=18 foo", None),
        (">=", None),
        ("18.2.3.4", None),
        ("git://x", None),
    ],
)
def test_a_range_is_satisfied_by_the_default_or_by_its_newest_series(text: str, request_: str | None) -> None:
    assert node_request(text, "22") == request_
    if request_ is not None:
        assert node_fits(request_, text)


def test_a_range_can_do_without_a_default() -> None:
    assert node_request(">=18", "") == "18"


@pytest.mark.parametrize(
    ("request_", "text", "fits"),
    [("18", ">=18.12", True), ("18", "<18", False), ("18.1", "^18.2", False), ("18", "no range", True)],
)
def test_a_request_fits_a_range_or_not(request_: str, text: str, fits: bool) -> None:
    assert node_fits(request_, text) is fits


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (">=3.10", "3.11"),
        ("", "3.11"),
        ("*", "3.11"),
        ("<3.11", "3.10"),
        ("==3.9.*", "3.9"),
        ("==3.11.4", "3.11"),
        ("3.9", "3.9"),
        ("3", "3.11"),
        ("^3.8", "3.11"),
        ("^3.12", "3.12"),
        ("~3.9", "3.9"),
        ("~=3.12.0", "3.12"),
        (">=3.12,<4", "3.12"),
        ("!=3.11.*", "3.12"),
        ("<3", None),
        ("==2.7.*", None),
        ("nonsense", None),
    ],
)
def test_specifiers_are_satisfied_by_the_nearest_minor_version(text: str, request_: str | None) -> None:
    assert python_request(text, "3.11.2") == request_
    if request_ is not None:
        assert python_fits(request_, text)


def test_a_minor_version_may_contradict_specifiers() -> None:
    assert not python_fits("3.9", ">=3.10")
    assert python_fits("3.9", "nonsense")


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("3.11.4", "3.11"),
        ("3.11", "3.11"),
        ("python-3.12.1", "3.12"),
        ("cpython-3.12", "3.12"),
        ("pypy3.9-7.3", None),
        ("system", None),
        ("3", None),
        ("2.7", None),
    ],
)
def test_of_a_python_version_the_minor_one_is_asked_for(text: str, request_: str | None) -> None:
    assert minor_version(text) == request_


RANGES = st.lists(
    st.sampled_from([*"0189.^~<>=|x*- v,!", "||", ">=", "18", "3.11", "lts/", "٣", "²"]), max_size=12
)


@given(pieces=RANGES, default=st.sampled_from(["22", "3.11", "18.1.2", "", "x"]))
def test_any_text_gives_a_request_that_devenv_toml_takes_or_none(pieces: list[str], default: str) -> None:
    text = "".join(pieces)
    for found in (
        exact_request(text),
        node_request(text, default),
        minor_version(text),
        python_request(text, default),
    ):
        assert found is None or found == default or re.fullmatch(VERSION, found)
    assert isinstance(node_fits("18", text), bool)
    assert isinstance(python_fits("3.11", text), bool)
