"""Overrides as files: where they lie, what they may say, what is wrong with them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import Package, RemoteFile
from devenv.config.overrides import KINDS, Override, split_name
from devenv.config.toml import parse_config, parse_override
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from devenv.overrides.listing import about, rows
from devenv.overrides.reading import file_of, watched, with_files
from devenv.overrides.writing import full_copy, quoted, template

EVERYTHING = """
version = "1.2"
source = { git = "https://x.test/r", commit = "0123456789012345678901234567890123456789", directory = "sub" }
patches = ["./a.patch", "b/c.diff"]
environment = { B = "2", A = "" }
isolated = { Other_One = "0.9" }
[build]
from-source = true
requires = ["x<2"]
config-settings = { "--opt" = "v" }
c-flags = ["-O3", "-g"]
ld-flags = ["-lm"]
system = ["libx-dev"]
"""


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_every_field_of_a_file_is_read() -> None:
    found = parse_override("pip", "Some.Name@1.0", EVERYTHING, "devenv.d/pip/x.toml")
    assert found.label == "pip:some-name@1.0"
    assert found.facts() == {
        "build.CFLAGS": "-O3 -g",
        "build.LDFLAGS": "-lm",
        "build.config-settings.--opt": "v",
        "build.from-source": "true",
        "build.requires": "x<2",
        "build.system": "libx-dev",
        "environment.A": '""',
        "environment.B": "2",
        "isolated.other-one": "0.9",
        "patch a.patch": found.facts()["patch a.patch"],
        "patch b/c.diff": found.facts()["patch b/c.diff"],
        "source": "git+https://x.test/r#0123456789012345678901234567890123456789",
        "source.directory": "sub",
        "version": "1.2",
    }


def test_devenv_toml_says_the_same_as_a_file_of_its_own(tmp_path: Path) -> None:
    config = parse_config('[overrides.npm."@a/b@1"]\nversion = "2"\n', "devenv.toml")
    (inline,) = config.overrides
    put(tmp_path, {"devenv.d/npm/@a/b@1.toml": 'version = "2"\n'})
    (own,) = with_files(str(tmp_path), ())
    assert (inline.label, inline.facts()) == (own.label, own.facts()) == ("npm:@a/b@1", {"version": "2"})
    assert inline.origin == "devenv.toml:1"
    assert own.origin == "devenv.d/npm/@a/b@1.toml"
    with pytest.raises(DevenvError, match=r"npm:@a/b@1 is overridden in devenv.toml:1 as well"):
        with_files(str(tmp_path), config.overrides)


def test_a_patch_counts_by_its_contents(tmp_path: Path) -> None:
    put(tmp_path, {"devenv.d/r/sf.toml": 'patches = ["p"]\n', "p": "one"})
    first = with_files(str(tmp_path), ())[0]
    (tmp_path / "p").write_bytes(b"\xff\n")
    second = with_files(str(tmp_path), ())[0]
    assert first.facts() != second.facts()
    assert second.changes.patches[0].text.encode("utf-8", "surrogateescape") == b"\xff\n"
    assert {"devenv.d", "devenv.d/r", "devenv.d/r/sf.toml", "p"} <= set(watched([second]))


WRONG = {
    "kind": ({"devenv.d/nmp/a.toml": ""}, "devenv.d/nmp: no kind of package"),
    "name": ({"devenv.d/pip/a b.toml": ""}, "is no name of a package of the kind pip"),
    "version": ({"devenv.d/npm/a@.toml": ""}, "is no name of a package of the kind npm"),
    "missing patch": ({"devenv.d/npm/a.toml": 'patches = ["x"]'}, "cannot read x: No such file"),
    "patch outside": ({"devenv.d/npm/a.toml": 'patches = ["../x"]'}, "must not hold `..`"),
    "two patches": ({"devenv.d/npm/a.toml": 'patches = ["x", "./x"]', "x": ""}, "named twice"),
    "branch": ({"devenv.d/npm/a.toml": 'source = { git = "https://x.test/r", rev = "main" }'}, "`commit`"),
    "no commit": ({"devenv.d/npm/a.toml": 'source = { git = "https://x.test/r" }'}, "`commit` is missing"),
    "two sources": (
        {"devenv.d/npm/a.toml": 'source = { url = "https://x.test/r", path = "y" }'},
        "`url` and `path`",
    ),
    "password": ({"devenv.d/npm/a.toml": 'source = { url = "https://u:p@x.test/r" }'}, "~/.netrc"),
    "hash": (
        {"devenv.d/npm/a.toml": 'source = { url = "https://x.test/r", hash = "md5-x" }'},
        "expected a hash",
    ),
    "crate": ({"devenv.d/crate/a.toml": 'version = "1"'}, "cargo update -p NAME --precise"),
    "npm args": ({"devenv.d/npm/a.toml": '[build]\nargs = ["x"]'}, "npm_config_NAME"),
    "variable": ({"devenv.d/npm/a.toml": '[environment]\n"A B" = "x"'}, "expected the name of a variable"),
    "no TOML": ({"devenv.d/npm/a.toml": "version = 1.0.0"}, "devenv.d/npm/a.toml:1"),
    "not text": ({"devenv.d/npm/a.toml": "\udcff"}, "not UTF-8"),
}


@pytest.mark.parametrize(("files", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DevenvError) as caught:
        with_files(str(tmp_path), ())
    found = getattr(caught.value, "problems", [caught.value])
    assert message in "\n".join(f"{each} {each.hint}" for each in found)


def test_everything_that_is_wrong_in_all_files_is_said_at_once(tmp_path: Path) -> None:
    put(tmp_path, {"devenv.d/npm/a.toml": "b = 1\nc = 2\n", "devenv.d/r/d.toml": 'patches = ["e", "f"]'})
    with pytest.raises(DevenvError) as caught:
        with_files(str(tmp_path), ())
    assert all(text in str(caught.value) for text in ("a.toml:1: b", "a.toml:2: c", "read e:", "read f:"))


NAMES = st.text("ab@/._-1 é~", min_size=1, max_size=12)


@given(st.sampled_from(sorted(KINDS)), NAMES)
def test_a_name_is_understood_as_it_is_written_or_refused(kind: str, text: str) -> None:
    try:
        name, only = split_name(kind, text)
    except ValueError:
        return
    again = name + (f"@{only}" if only else "")
    assert split_name(kind, again) == (name, only)
    assert ".." not in file_of(kind, again).split("/")


@given(
    st.text(max_size=30).filter(
        lambda text: text.isascii() or text.encode("utf-8", "ignore").decode() == text
    )
)
def test_texts_are_written_as_toml_reads_them(text: str) -> None:
    assert tomllib.loads(f"a = {quoted(text)}") == {"a": text}


FILE = RemoteFile(file_name="a-1.0.tgz", url="npm:a/-/a-1.0.tgz", hash=Hash.of("sha512", b"x"), size=3)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_written_for_people_is_read_again(kind: str) -> None:
    form = {"npm": "npm", "pip": "wheel", "crate": "crate", "r": "r"}[kind]
    package = Package(name="a", version="1.0", format=form, file=FILE)  # type: ignore[arg-type]
    override = Override(kind=kind, name="a")
    text = template(override, [package], "some.lock")
    assert parse_override(kind, "a", text, "x").facts() == {}
    bare = "\n".join(
        line.removeprefix("# ").partition("    #")[0]
        for line in text.split("\n")
        if " = " in line or line.startswith("# [")
    )
    assert parse_override(kind, "a", bare, "x").facts()  # the examples are examples of what can be said
    full = parse_override(kind, "a", full_copy(override, package, "some.lock"), "x")
    assert full.source is not None
    assert (full.source.url, full.source.hash) == (FILE.url, FILE.hash)


def test_a_list_says_what_keeps_an_override_from_counting() -> None:
    made = {name: parse_override("npm", name, 'version = "2"\n', "there") for name in ("a", "b", "c")}
    empty = parse_override("npm", "d", "", "there")
    locked = {"npm:a": {"version": "2"}, "npm:b": {"version": "1"}, "npm:e": {"version": "1"}}
    assert [row.sentence for row in rows([*made.values(), empty], locked)] == [
        "npm:a: version (there, in devenv.lock)",
        "npm:b: version (there, changed since it was locked)",
        "npm:c: version (there, not locked yet)",
        "npm:d (there, says nothing yet)",
        "npm:e (removed since it was locked)",
    ]


@pytest.mark.parametrize("name", ["@s/a", "npm:@s/a@1.0", "@s/a@1.0"])
def test_what_is_asked_about_a_package_names_its_override(name: str) -> None:
    locked = {"npm:@s/a@1.0": {"version": "2"}, "pip:b": {"version": "1"}}
    assert about(name, locked) == ["npm:@s/a@1.0 is overridden: version 2"]
    assert about("b", locked) == ["pip:b is overridden: version 1"]
    assert about("a", locked) == []


PIECES = st.sampled_from(
    [
        "version",
        "source",
        "patches",
        "build",
        "=",
        "[",
        "]",
        "{",
        "}",
        '"1"',
        '"a b"',
        "true",
        "1",
        "\n",
        ".",
        ",",
        "#",
        "url",
    ]
)


@given(st.sampled_from(sorted(KINDS)), st.lists(PIECES | st.text(max_size=3), max_size=25).map(" ".join))
def test_any_text_is_an_override_or_our_error(kind: str, text: str) -> None:
    try:
        found = parse_override(kind, "name", text, "x")
    except DevenvError as error:
        assert str(error).startswith("x:")
        return
    assert all(isinstance(value, str) for value in found.facts().values())
