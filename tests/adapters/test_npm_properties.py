"""Whatever is in a lock, planning gives a plan or one of our errors, and nothing leaves the project."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.adapter import NodeModules
from devenv.errors import DevenvError

from .npm_locks import entry, lock_text, plan, read_lock

SMALL = json.loads(
    lock_text(
        {
            "": {
                "workspaces": ["packages/*"],
                "dependencies": {"a": "1"},
                "optionalDependencies": {"n": "1"},
            },
            "node_modules/a": entry(
                "a", bin={"a": "a.js"}, dependencies={"b": "1"}, bundleDependencies=["b"]
            ),
            "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": True, "bin": "b.js"},
            "node_modules/@s/n": entry("@s/n", optional=True, os=["!linux"], cpu=["x64"]),
            "node_modules/n": entry(
                "n", optional=True, optionalDependencies={"n-linux-x64": "1", "@s/n": "1"}
            ),
            "node_modules/ws": {"resolved": "packages/ws", "link": True},
            "node_modules/q": {"version": "1.0.0", "name": "other", "peer": True},
            "packages/ws": {"version": "1.0.0", "peerDependencies": {"a": "1"}},
            "packages/ws/node_modules/a": entry("a", "2.0.0", hasInstallScript=True),
        }
    )
)
DOCS = json.loads(read_lock("cachix-devenv-docs"))

PATHS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "\\",
        "node_modules",
        "node_modules/",
        "@",
        "@/",
        ".bin",
        "ü",
        "\n",
        "\0",
        "a",
        "a/b",
        "x:y",
    ]
)
PLACES = st.lists(PATHS, min_size=1, max_size=6).map("/".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | PLACES | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | PLACES, inner, max_size=3)
    ),
    max_leaves=6,
)


def check(text: str) -> None:
    try:
        view = plan(text).view
    except DevenvError as error:
        assert str(error)
        return
    assert isinstance(view, NodeModules)
    for place in (*view.packages, *view.links, *view.bins):
        parts = place.split("/")
        assert "node_modules" in parts
        assert not {"", ".", ".."} & set(parts)
        assert place.isprintable()
    for file in view.bins.values():
        assert ".." not in file.split("/")
    for package in view.packages.values():
        assert all(".." not in path.split("/") and not path.startswith("/") for path in package.executables)


def slots(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a parsed lock where a value stands: (container, key)."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((value, key))
        found.extend(slots(inner))
    return found


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_lock_with_any_changes_is_planned_or_refused(data: st.DataObject) -> None:
    lock = json.loads(json.dumps(SMALL))
    for _ in range(data.draw(st.integers(1, 3))):
        places = slots(lock)
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        kind = data.draw(st.sampled_from(["replace", "delete", "rename"]))
        if kind == "replace":
            container[key] = data.draw(VALUES)
        elif kind == "delete":
            del container[key]
        elif isinstance(container, dict):
            container[data.draw(PLACES | st.text(max_size=6))] = container.pop(key)
    check(json.dumps(lock))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_real_lock_with_one_change_is_planned_or_refused(data: st.DataObject) -> None:
    lock = json.loads(json.dumps(DOCS))
    places = slots(lock)
    container, key = places[data.draw(st.integers(0, len(places) - 1))]
    container[key] = data.draw(VALUES)
    check(json.dumps(lock))


@settings(max_examples=100, deadline=None)
@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_planned_or_refused(text: str) -> None:
    check(text)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2000), st.integers(0, 200), st.text(max_size=5))
def test_cut_and_pasted_text_is_planned_or_refused(start: int, length: int, inserted: str) -> None:
    text = json.dumps(SMALL)
    check(text[:start] + inserted + text[start + length :])


def test_the_unchanged_lock_is_planned_or_the_tests_above_would_be_idle() -> None:
    view = plan(json.dumps(SMALL)).view
    assert isinstance(view, NodeModules)
    assert len(view.packages) == 3
