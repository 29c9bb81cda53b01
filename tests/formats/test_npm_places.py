"""Places in node_modules trees, and what goes with an optional package."""

from __future__ import annotations

import pytest

from devenv.formats.npm_places import Edge, climb, command_place, enclosing, optional_set, resolve

A, B = "node_modules/a", "node_modules/b"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("", [""]),
        (A, [A, ""]),
        (f"{A}/{B}", [f"{A}/{B}", A, ""]),
        ("packages/ws", ["packages/ws", "packages", ""]),
        ("node_modules/@s/a", ["node_modules/@s/a", "node_modules/@s", ""]),
        ("../x", ["../x", ".."]),
    ],
)
def test_search_climbs_as_require_does(place: str, found: list[str]) -> None:
    assert list(climb(place)) == found


@pytest.mark.parametrize(
    ("place", "name", "found"),
    [
        (A, "b", f"{A}/{B}"),
        (f"{A}/{B}", "a", A),
        (B, "b", B),
        ("", "c", None),
        ("packages/ws", "b", B),
    ],
)
def test_nearest_place_of_the_name_is_found(place: str, name: str, found: str | None) -> None:
    assert resolve(place, name, {A, B, f"{A}/{B}"}) == found


@pytest.mark.parametrize(
    ("place", "above", "link"),
    [
        (A, "", "node_modules/.bin/x"),
        ("packages/ws/node_modules/@s/a", "packages/ws", "packages/ws/node_modules/.bin/x"),
        (f"{A}/{B}", A, f"{A}/node_modules/.bin/x"),
    ],
)
def test_commands_lie_beside_their_package(place: str, above: str, link: str) -> None:
    assert enclosing(place) == above
    assert command_place(place, "x") == link


@pytest.mark.parametrize(
    ("edges", "gone"),
    [
        (["top?x", "x.y"], "xy"),
        (["top?x", "x.y", "top.y"], "x"),
        (["top?w", "w.x"], "wx"),
        (["top.w", "w?x", "x.y", "y.x"], "xy"),
        (["top?w", "w?x", "x.y", "w.y"], "x"),
        (["top?x", "x.y", "other.y", "top.other"], "x"),
    ],
)
def test_optional_package_goes_with_what_only_it_needs(edges: list[str], gone: str) -> None:
    """Edges are written "from.to", optional ones "from?to"; "top" is the project."""
    inward: dict[str, list[Edge]] = {}
    outward: dict[str, list[Edge]] = {}
    for text in edges:
        source, _, target = text.replace("?", ".").partition(".")
        edge = Edge("" if source == "top" else source, target, "?" in text)
        inward.setdefault(target, []).append(edge)
        outward.setdefault(edge.source, []).append(edge)
    assert optional_set("x", inward, outward, set()) == set(gone)
