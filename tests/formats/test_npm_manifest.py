"""package.json: published ones hold anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.errors import FormatError
from devenv.formats.npm_manifest import MAX_SIZE, Manifest, inside, parse_manifest, unfit

LINUX = {"os": "linux", "cpu": "x64", "libc": "glibc"}


def parse(value: Any) -> Manifest:
    return parse_manifest(json.dumps(value).encode(), "given")


def commands(manifest: Manifest, *names: str) -> dict[str, str]:
    return dict(manifest.all_commands(lambda directory: names))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "@s/a", "bin": "./cli.js"}, {"a": "cli.js"}),
        ({"bin": "cli.js"}, {"given": "cli.js"}),
        ({"name": 7, "bin": "cli.js"}, {"given": "cli.js"}),
        ({"bin": {"x": "/bin/../../x.js", "../y": "y", "z": 1}}, {"x": "x.js", "y": "y"}),
        ({"bin": {"x": "..", "..": "x", "": "x", "\n": "x", "n": "\u0000"}}, {}),
        ({"bin": ["bin/one", 2]}, {"one": "bin/one"}),
        ({"bin": 3}, {}),
        ({"bin": None, "directories": None}, {}),
        ({"directories": {"bin": "./bin/"}}, {"do": "bin/do", "it.js": "bin/it.js"}),
        ({"directories": {"bin": "../.."}}, {}),
        ({"directories": {"bin": "b\u0000"}}, {}),
        ({"directories": {"bin": "\ud800"}}, {}),
        ({"directories": {"bin": ["bin"]}}, {}),
        ({"bin": {}, "directories": {"bin": "bin"}}, {"do": "bin/do", "it.js": "bin/it.js"}),
        ({"bin": {"a": "b"}, "directories": {"bin": "bin"}}, {"a": "b"}),
    ],
)
def test_commands_are_what_npm_makes_of_them(value: Any, expected: dict[str, str]) -> None:
    assert commands(parse(value), "do", ".hidden", "it.js") == expected


def test_fields_of_the_wrong_type_say_nothing() -> None:
    keys = ("os", "cpu", "libc", "scripts", "dependencies", "peerDependencies", "peerDependenciesMeta")
    for value in (7, "x", [1, None], {"a": 1}, True):
        manifest = parse(dict.fromkeys(keys, value))
        assert not manifest.install_scripts
        assert not manifest.optional_peers
        assert manifest.dependencies == manifest.peer_dependencies == ({"a"} if value == {"a": 1} else set())
        assert manifest.os == (("x",) if value == "x" else ())


def test_dependencies_of_each_kind_are_kept_apart() -> None:
    meta = {"p": {"optional": True}, "q": {"optional": False}, "r": 1}
    found = parse(
        {
            "dependencies": {"d": "1"},
            "optionalDependencies": {"o": "1"},
            "peerDependencies": {"p": "1", "q": "1"},
            "peerDependenciesMeta": meta,
        }
    )
    assert (*found.dependencies, *found.optional_dependencies) == ("d", "o")
    assert (found.peer_dependencies, *found.optional_peers) == ({"p", "q"}, "p")


@pytest.mark.parametrize(
    ("value", "scripts", "gyp"),
    [
        ({"scripts": {"test": "x"}}, False, True),
        ({"scripts": {"postinstall": "x"}}, True, True),
        ({"scripts": {"install": ""}, "gypfile": False}, False, False),
    ],
)
def test_what_npm_would_run_is_known(value: Any, scripts: bool, gyp: bool) -> None:
    manifest = parse(value)
    assert (manifest.install_scripts, manifest.builds_gyp) == (scripts, gyp)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, None),
        ({"os": "linux"}, None),
        ({"os": ["darwin"]}, "os darwin (here: linux)"),
        ({"os": ["!win32"], "cpu": ["!x64"]}, "cpu !x64 (here: x64)"),
        ({"os": ["\u001b[31m"]}, "os ? (here: linux)"),
        ({"os": "darwin", "libc": ["musl"]}, "os darwin (here: linux) and libc musl (here: glibc)"),
        ({"cpu": ["any"]}, None),
    ],
)
def test_platform_that_does_not_fit_is_named(fields: Any, words: str | None) -> None:
    found = parse(fields)
    assert unfit({"os": found.os, "cpu": found.cpu, "libc": found.libc}, LINUX) == words


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n": ' + b"9" * 10_000 + b"}",
        b" " * (MAX_SIZE + 1),
    ],
    ids=["empty", "cut", "list", "text", "deep", "deep-objects", "number", "long"],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"package\.json"):
        parse_manifest(data, "x")


def test_byte_order_mark_and_broken_characters_are_passed_over() -> None:
    assert parse_manifest(b'\xef\xbb\xbf{"name": "a", "description": "\xff", "bin": "x"}', "").commands == {
        "a": "x"
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "bin", "directories", "os", "cpu", "scripts", "dependencies", "version"])


@given(st.dictionaries(KEYS, JSON | st.fixed_dictionaries({"bin": JSON})))
def test_commands_of_any_manifest_stay_inside(value: dict[str, Any]) -> None:
    for command, file in commands(parse(value), "a", "\udc80").items():
        assert command not in ("", ".", "..")
        assert "/" not in command
        assert not {"", ".", ".."} & set(file.split("/"))
        assert f"{command}{file}".isprintable()


@given(st.binary())
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    try:
        parse_manifest(data, "x")
    except FormatError as error:
        assert str(error)


@given(st.text(alphabet="ab./\\"))
def test_inside_gives_a_plain_path(path: str) -> None:
    found = inside(path)
    assert inside(found) == found
    assert found == "" or not {"", ".", ".."} & set(found.split("/"))
