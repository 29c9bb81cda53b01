"""The tables [build.NAME], [fetch.NAME] and [purify.NAME]."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from devenv.config.builds import Build, Fetch, PathSource, PhaseEdit, Purify, UrlSource, read_size
from devenv.config.schema import schema
from devenv.config.toml import parse_config
from devenv.errors import DevenvError
from tests.config.test_schema import to_toml
from tests.config.test_toml import problems

HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

WHOLE = f"""\
[build.hello]
version = "1.0"
description = "Greets"
homepage = "https://hello.test/"
license = "MIT"
sources = ["./src", {{ url = "https://files.test/a.tar.gz", hash = "{HASH}" }}]
exclude = ["*.o"]
patches = ["fix.patch"]
inputs = ["greet", "node", "fetch.words", "greet"]
shell = "greet/bin/sh"
attributes = {{ flags = ["-g", "-O2"], ratio = 1.5, deep = {{ a = [[1]] }} }}
env = {{ CFLAGS = "-O2", LEVEL = 3 }}
cores = 4
memory = "2G"
checkpoints = false
[build.hello.phases]
check = false
build = "make"
docs = {{ run = "make docs", after = ["build"] }}
[fetch.words]
url = "https://files.test/words"
[purify.model]
candidates = ["./model", "fetch.words"]
hash = "{HASH}"
recursive = true
"""


def test_every_key_is_read() -> None:
    config = parse_config(WHOLE, "some/devenv.toml")
    assert config.builds == {
        "hello": Build(
            name="hello",
            version="1.0",
            description="Greets",
            homepage="https://hello.test/",
            license="MIT",
            sources=(PathSource(path="src"), UrlSource(url="https://files.test/a.tar.gz", hash=HASH)),
            exclude=("*.o",),
            patches=("fix.patch",),
            inputs=("greet", "node", "fetch.words"),
            shell="greet/bin/sh",
            attributes={"flags": ["-g", "-O2"], "ratio": 1.5, "deep": {"a": [[1]]}},
            env={"CFLAGS": "-O2", "LEVEL": "3"},
            phases={
                "check": PhaseEdit(removed=True, origin="devenv.toml:17"),
                "build": PhaseEdit(run="make", origin="devenv.toml:18"),
                "docs": PhaseEdit(run="make docs", after=("build",), origin="devenv.toml:19"),
            },
            cores=4,
            memory=2 << 30,
            checkpoints=False,
            origin="devenv.toml:1",
        )
    }
    assert config.fetches == {
        "words": Fetch(name="words", url="https://files.test/words", origin="devenv.toml:20")
    }
    assert config.purifies == {
        "model": Purify(
            name="model",
            candidates=("./model", "fetch.words"),
            hash=HASH,
            recursive=True,
            origin="devenv.toml:22",
        )
    }


def test_the_whole_example_fits_the_schema() -> None:
    Draft7Validator(schema()).validate(tomllib.loads(WHOLE))


@pytest.mark.parametrize(
    ("name", "full"), [('version = "2"', "x-2"), ("", "x")], ids=["with a version", "without one"]
)
def test_the_version_is_part_of_the_name(name: str, full: str) -> None:
    assert parse_config(f"[build.x]\nhost = true\n{name}", "devenv.toml").builds["x"].full_name == full


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("4G", 4 << 30), ("1K", 1024), ("7", 7), ("1T", 1 << 40)]
)
def test_sizes_are_in_powers_of_1024(text: str, size: int) -> None:
    assert read_size(text) == size


REFUSED = {
    "no shell": ("[build.x]", "version = '1'", "build.x", "no shell"),
    "shell of no input": ("[build.x]", "shell = 'bash/bin/sh'", "build.x.shell", "of no input"),
    "shell without a path": ("[build.x]", "shell = 'bash'", "build.x.shell", "expected"),
    "bad name": ("[build.'a b']", "host = true", 'build."a b"', "expected a name"),
    "typo": ("[build.x]", "host = true\nsrc = 'a'", "build.x.src", "unknown key"),
    "source above": ("[build.x]", "host = true\nsources = ['../a']", "build.x.sources[0]", "must not hold"),
    "absolute source": ("[build.x]", "host = true\nsources = ['/etc']", "build.x.sources[0]", "relative"),
    "url without hash": (
        *("[build.x]", "host = true\nsources = [{url = 'https://a.test/x'}]"),
        *("build.x.sources[0]", "`hash` is missing"),
    ),
    "weak hash": (
        *("[fetch.x]", "url = 'https://a.test/x'\nhash = 'md5-1B2M2Y8AsgTpgAmY7PhCfg=='"),
        *("fetch.x.hash", "too weak"),
    ),
    "no hash at all": ("[fetch.x]", "url = 'https://a.test/x'\nhash = 'abc'", "fetch.x.hash", "abc"),
    "password": ("[fetch.x]", "url = 'https://u:p@a.test/x'", "fetch.x.url", "password"),
    "no candidates": ("[purify.x]", f"candidates = []\nhash = '{HASH}'", "purify.x.candidates", "empty"),
    "odd candidate": (
        *("[purify.x]", f"candidates = ['data']\nhash = '{HASH}'"),
        *("purify.x.candidates[0]", "no candidate"),
    ),
    "path candidate above": (
        *("[purify.x]", f"candidates = ['./../data']\nhash = '{HASH}'"),
        *("purify.x.candidates[0]", "must not hold"),
    ),
    "phase with a bad name": (
        *("[build.x]", "host = true\nphases = {'Do It' = 'make'}"),
        *('build.x.phases."Do It"', "a phase's name"),
    ),
    "phase that is true": (
        "[build.x]",
        "host = true\nphases = {check = true}",
        "build.x.phases.check",
        "true",
    ),
    "empty phase": ("[build.x]", "host = true\nphases = {check = ' '}", "build.x.phases.check", "nothing"),
    "variable of devenv's": (
        "[build.x]",
        "host = true\nenv = {out = '/x'}",
        "build.x.env.out",
        "set by devenv",
    ),
    "variable of Nix's": (
        *("[build.x]", "host = true\nenv = {NIX_STORE = '/x'}"),
        *("build.x.env.NIX_STORE", "set by devenv"),
    ),
    "attribute of Nix's": (
        *("[build.x]", "host = true\nattributes = {__noChroot = true}"),
        *("build.x.attributes.__noChroot", "set by devenv"),
    ),
    "attribute and variable": (
        *("[build.x]", "host = true\nattributes = {A = 1}\nenv = {A = 'b'}"),
        *("build.x.attributes.A", "of this name"),
    ),
    "date as attribute": (
        *("[build.x]", "host = true\nattributes = {when = 2024-01-01}"),
        *("build.x.attributes.when", "a date"),
    ),
    "infinite attribute": (
        *("[build.x]", "host = true\nattributes = {a = [inf]}"),
        *("build.x.attributes.a[0]", "finite"),
    ),
    "enormous attribute": (
        *("[build.x]", "host = true\nattributes = {a = 99999999999999999999}"),
        *("build.x.attributes.a", "64 bits"),
    ),
    "no cores": ("[build.x]", "host = true\ncores = 0", "build.x.cores", "number of processors"),
    "memory without unit": ("[build.x]", "host = true\nmemory = '512'", "build.x.memory", "512M"),
    "tiny memory": ("[build.x]", "host = true\nmemory = '1K'", "build.x.memory", "less than one megabyte"),
    "two-line description": (
        *("[build.x]", 'host = true\ndescription = "a\\nb"'),
        *("build.x.description", "one line"),
    ),
}


@pytest.mark.parametrize(("table", "line", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_mistakes_are_refused_with_their_key(table: str, line: str, key: str, what: str) -> None:
    (problem,) = problems(f"{table}\n{line}\n")
    assert problem.key == key
    assert what in str(problem)
    assert problem.line is not None


DATA = st.recursive(
    st.one_of(
        st.text(max_size=3),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=DATA)
def test_attributes_are_the_same_in_json_as_in_toml(data: Any) -> None:
    text = f"[build.x]\nhost = true\nattributes = {{ a = {to_toml(data)} }}\n"
    try:
        found = parse_config(text, "devenv.toml").builds["x"].attributes["a"]
    except DevenvError:
        assert "\\u0000" in json.dumps(data)
        return
    assert json.dumps(found, sort_keys=True) == json.dumps(data, sort_keys=True)
