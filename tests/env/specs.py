"""Strategies and examples of environment specs."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from devenv.env.spec import (
    FUNCTION_SHELLS,
    Append,
    Default,
    Operation,
    PackageRef,
    Prepend,
    Set,
    Spec,
    Unset,
    ViewRef,
)

STORE = "/opt/store"

# What can be written as bytes: no NUL, and surrogates only as the bytes that are no UTF-8.
characters = st.one_of(
    st.sampled_from("'\"\\`$!{}\t\n\r :/."),
    st.characters(min_codepoint=1, exclude_categories=["Cs"]),
    st.integers(0x80, 0xFF).map(lambda byte: chr(0xDC00 + byte)),
)
texts = st.text(characters, max_size=8)
values = st.one_of(
    texts, st.sampled_from(["${project}", "$${project}/x", "a${project}b${project}", "${project"])
)
origins = st.sampled_from(["devenv.toml:3", "packages.node", "npm"])
separators = st.shared(st.sampled_from([":", ";", " : "]), key="separator")
entries = st.lists(
    st.one_of(values.filter(bool), st.sampled_from(["./bin", ".", "..", "../x", "/usr/bin"])),
    min_size=1,
    max_size=3,
).map(tuple)
firm = st.one_of(
    st.builds(Set, value=values, origin=origins),
    st.builds(Unset, origin=origins),
    st.builds(Default, value=values, origin=origins),
)
list_operations = st.one_of(
    st.builds(Prepend, entries=entries, origin=origins, separator=separators),
    st.builds(Append, entries=entries, origin=origins, separator=separators),
)


def _joined(parts: tuple[Sequence[Operation], Sequence[Operation], int]) -> tuple[Operation, ...]:
    head, rest, position = parts
    return (*rest[:position], *head, *rest[position:])


operations = (
    st.tuples(st.lists(firm, max_size=1), st.lists(list_operations, max_size=2), st.integers(0, 2))
    .map(_joined)
    .filter(bool)
)
variable_names = st.sampled_from(["A", "B", "_x9", "PATH", "XDG_DATA_DIRS"])
command_names = st.sampled_from(["gs", "serve", "a.b", "x-y", "g++", "_"])
words = st.lists(texts.filter(bool), min_size=1, max_size=3).map(tuple)
views = st.builds(
    ViewRef,
    kind=st.sampled_from(["node_modules", "python"]),
    root=st.sampled_from([".", "web", ".devenv/python"]),
    recipe=st.just(f"{STORE}/{'0' * 32}-view.json"),
)
packages = st.builds(
    PackageRef, name=texts, version=texts, path=st.just(f"{STORE}/{'1' * 32}-node-17"), origin=origins
)
specs = st.builds(
    Spec,
    name=st.sampled_from(["demo", "ünïcødé", "two words"]),
    variables=st.dictionaries(variable_names, operations, max_size=3),
    aliases=st.dictionaries(command_names.filter(lambda name: name != "_"), words, max_size=2),
    scripts=st.dictionaries(command_names.filter(lambda name: name != "_"), texts, max_size=2),
    functions=st.dictionaries(
        st.sampled_from(["up", "_down", "f2"]),
        st.dictionaries(st.sampled_from(FUNCTION_SHELLS), texts, min_size=1, max_size=3),
        max_size=2,
    ),
    completions=st.dictionaries(
        command_names,
        st.lists(st.sampled_from(["start", "--port", "a:b", "x/y"]), max_size=2).map(tuple),
        max_size=2,
    ),
    views=st.lists(views, max_size=2).map(tuple),
    packages=st.lists(packages, max_size=2).map(tuple),
    origins=st.dictionaries(st.sampled_from(["aliases.gs", "scripts.serve"]), origins, max_size=2),
    parameters=st.dictionaries(
        st.sampled_from(["port", "mode"]), st.integers(-9, 9) | st.booleans() | texts, max_size=2
    ),
    profiles=st.lists(st.sampled_from(["ci", "local"]), unique=True).map(tuple),
)
