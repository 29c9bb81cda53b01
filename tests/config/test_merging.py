"""Several devenv.toml as one: the merge is associative, and a conflict names both places."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.merging import MergeError, choose_profiles, merge_configs, moved
from devenv.config.model import Config, LockfileConfig
from devenv.config.toml import parse_config
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Unset
from devenv.errors import DevenvError

ORIGINS = st.sampled_from(["a:1", "b:2", "c:3"])
ENTRIES = st.lists(st.sampled_from(["./x", "../y", "/z"]), min_size=1, max_size=2).map(tuple)


def operations() -> st.SearchStrategy[Operation]:
    values = st.sampled_from(["1", "2"])
    return st.one_of(
        st.builds(Set, value=values, origin=ORIGINS),
        st.builds(Default, value=values, origin=ORIGINS),
        st.builds(Unset, origin=ORIGINS),
        st.builds(Prepend, entries=ENTRIES, origin=ORIGINS),
        st.builds(Append, entries=ENTRIES, origin=ORIGINS),
    )


CONFIGS = st.builds(
    Config,
    name=st.sampled_from(["one", "two"]),
    base=st.none() | st.just("debian/bookworm"),
    packages=st.dictionaries(st.sampled_from(["node", "python"]), st.sampled_from(["3", "4"]), max_size=2),
    system=st.lists(st.sampled_from(["git", "make"]), unique=True).map(tuple),
    lockfiles=st.just(()),
    env=st.dictionaries(st.sampled_from(["A", "B"]), operations().map(lambda each: (each,)), max_size=2),
    aliases=st.dictionaries(st.just("go"), st.sampled_from([("a",), ("b",)]), max_size=1),
)


def merged(*found: Config) -> Config | None:
    """None for a conflict."""
    try:
        return merge_configs(found)
    except DevenvError:
        return None


@given(CONFIGS, CONFIGS, CONFIGS)
def test_it_does_not_matter_through_how_many_files_something_comes(a: Config, b: Config, c: Config) -> None:
    left, right = merged(a, b), merged(b, c)
    whole = merged(a, b, c)
    assert (left and merged(left, c)) == whole or left is None
    assert (right and merged(a, right)) == whole or right is None
    if left is None or right is None:
        assert whole is None, "a conflict between two does not go away with a third"


@given(CONFIGS)
def test_a_configuration_with_itself_is_itself_but_for_its_lists(config: Config) -> None:
    again = merged(config, config)
    assert again is not None
    lists = {name: found for name, found in config.env.items() if isinstance(found[0], Prepend | Append)}
    assert replace(again, env={}) == replace(config, env={})
    assert {name: found for name, found in again.env.items() if name not in lists} == {
        name: found for name, found in config.env.items() if name not in lists
    }


@pytest.mark.parametrize(
    ("place", "entry", "expected"),
    [
        ("../shared", "./bin", "../shared/bin"),
        ("../shared", "../bin", "../bin"),
        ("../p", "./bin", "../p/bin"),
        ("apps/web", "../..", "."),
        ("apps/web", "./bin", "./apps/web/bin"),
        ("apps/web", ".", "./apps/web"),
        ("/store/x-source/py", "./bin", "/store/x-source/py/bin"),
        ("apps/web", "/opt/bin", "/opt/bin"),
        ("apps/web", "${project}/bin", "${project}/bin"),
        ("apps/web", ".hidden", ".hidden"),
    ],
)
def test_entries_keep_their_place(place: str, entry: str, expected: str) -> None:
    config = Config(env={"A": (Prepend(entries=(entry,), origin="x:1"),)})
    assert moved(config, place).env["A"] == (Prepend(entries=(expected,), origin="x:1"),)


def test_lockfiles_of_members_keep_their_place() -> None:
    config = Config(lockfiles=(LockfileConfig(ecosystem="npm", path="web/package-lock.json"),))
    (lockfile,) = moved(config, "apps/shop").lockfiles
    assert lockfile.path == "apps/shop/web/package-lock.json"


def test_a_profile_is_found_first_and_cannot_contradict() -> None:
    text = (
        '[env]\nA = {default = "1"}\nPATH = {prepend = ["./own"]}\nB = "1"\n'
        '[profiles.x.env]\nA = "2"\nPATH = {prepend = ["./x"]}\n[profiles.y.env]\nB = "2"\n'
    )
    config = parse_config(text, "devenv.toml")
    chosen = choose_profiles(config, ["x"])
    assert chosen.env["A"] == (Set(value="2", origin="devenv.toml:6"),)
    assert [each.entries for each in chosen.env["PATH"] if isinstance(each, Prepend)] == [
        ("./own",),
        ("./x",),
    ]
    assert (chosen.name, chosen.lockfiles, chosen.chosen) == (config.name, config.lockfiles, ("x",))
    with pytest.raises(
        MergeError, match=r"devenv\.toml:4 and set '2' by devenv\.toml:9|devenv\.toml:9 and .*:4"
    ):
        choose_profiles(config, ["y"])
