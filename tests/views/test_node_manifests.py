"""What unpacked packages say of themselves, where their lock does not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.adapter import InstallScripts, ManifestFacts, NodeModules, Package, RemoteFile
from devenv.derivations.builders.npm_tarball import unpack_npm
from devenv.errors import DevenvError
from devenv.events import Event, Notice
from devenv.formats.hashes import Hash
from devenv.formats.npm_manifest import FAILED, MAX_SIZE
from devenv.views.compose import Symlink, Tree
from devenv.views.node import compose_node_modules, node_modules_compositions, node_modules_roots
from devenv.views.node_manifests import Settled, has_scripts, settle
from tests.support.registry import npm_tarball

from .test_node import notices, package

A, B, C, D = (f"node_modules/{name}" for name in "abcd")
LINUX = {"os": "linux", "cpu": "x64", "libc": "glibc"}
MAC = {"os": ["darwin"]}

Contents = Mapping[str, Any]
Make = Callable[..., tuple[NodeModules, dict[str, str]]]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Unpacked packages by place, of (manifest, further files) or a manifest alone; text is written as it is."""

    def make(packages: Contents, **facts: Any) -> tuple[NodeModules, dict[str, str]]:
        trees = {}
        for number, (place, found) in enumerate(packages.items()):
            manifest, files = found if isinstance(found, tuple) else (found, {})
            text = manifest if isinstance(manifest, str) else json.dumps({"version": "1.0.0", **manifest})
            trees[place] = str(tmp_path / str(number))
            for name, content in {"package.json": text, **files}.items():
                path = tmp_path / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        asked = facts.pop("asked", tuple(packages))
        links = facts.pop("links", {})
        known = {place: package(place.rpartition("node_modules/")[2]) for place in packages}
        told = ManifestFacts(platform=LINUX, asked=asked, **facts)
        return NodeModules(packages=known, links=links, manifests=told), trees

    return make


def settled(made: Make, packages: Contents, **facts: Any) -> Settled:
    return settle(*made(packages, **facts))


def kept(made: Make, packages: Contents, **facts: Any) -> str:
    """The last letters of the places that stay."""
    view = settled(made, packages, **facts).view
    assert view.manifests is None
    return "".join(sorted(place[-1] for place in view.packages))


# --- commands ---------------------------------------------------------------------------------------------


def test_commands_are_linked_beside_their_package(made: Make) -> None:
    found = settled(
        made,
        {
            "node_modules/@s/real": {"name": "@s/real", "bin": "./cli.js"},
            "node_modules/alias": {"name": "other", "bin": "x.js"},
            f"{A}/node_modules/b": {"bin": {"two": "bin/two", "three": "bin/three"}},
            "packages/ws/node_modules/c": (
                {"directories": {"bin": "bin"}},
                {"bin/four": "", "bin/.no": "", "bin/d/e": ""},
            ),
        },
    )
    assert found.view.bins == {
        "node_modules/.bin/other": "node_modules/alias/x.js",
        "node_modules/.bin/real": "node_modules/@s/real/cli.js",
        f"{A}/node_modules/.bin/three": f"{A}/node_modules/b/bin/three",
        f"{A}/node_modules/.bin/two": f"{A}/node_modules/b/bin/two",
        "packages/ws/node_modules/.bin/four": "packages/ws/node_modules/c/bin/four",
    }
    assert found.notices == ()


def test_packages_that_another_carries_have_commands_too(made: Make) -> None:
    inner = f"{A}/node_modules/b"
    files = {"node_modules/b/package.json": '{"name": "b", "bin": "b.js"}'}
    assert settled(made, {A: ({}, files)}, bundled=(inner,)).view.bins == {
        f"{A}/node_modules/.bin/b": f"{inner}/b.js"
    }


def test_first_of_packages_with_one_command_gives_it(made: Make) -> None:
    found = settled(made, {B: {"bin": {"same": "b"}}, A: {"bin": {"same": "a"}}})
    assert found.view.bins == {"node_modules/.bin/same": f"{A}/a"}


# --- platforms --------------------------------------------------------------------------------------------


def test_optional_package_that_does_not_fit_goes_with_what_only_it_needs(made: Make) -> None:
    packages = {
        A: {"optionalDependencies": {"b": "1"}, "dependencies": {"d": "1"}},
        B: {**MAC, "dependencies": {"c": "1", "d": "1"}},
        C: {},
        D: {},
        f"{B}/node_modules/x": {},
    }
    optional = (B, C, f"{B}/node_modules/x")
    assert kept(made, packages, asked=(A,), optional=optional) == "ad"
    assert kept(made, packages, asked=(A, C), optional=optional) == "acd"


def test_optional_parent_of_an_optional_dependency_stays(made: Make) -> None:
    packages = {A: {"optionalDependencies": {"b": "1"}}, B: {"optionalDependencies": {"c": "1"}}, C: MAC}
    assert kept(made, packages, asked=(A,), optional=(B, C)) == "ab"


def test_optional_parent_of_a_required_dependency_goes(made: Make) -> None:
    packages = {
        A: {"optionalDependencies": {"b": "1"}},
        B: {"dependencies": {"c": "1"}},
        C: MAC,
        D: {"bin": "d"},
    }
    assert kept(made, packages, asked=(A, D), optional=(B, C)) == "ad"


@pytest.mark.parametrize(
    ("peers", "left"),
    [({"peerDependencies": {"c": "1"}}, "a"), ({"peerDependenciesMeta": {"c": {"optional": True}}}, "ab")],
)
def test_peers_count_as_needs_unless_optional(made: Make, peers: Contents, left: str) -> None:
    packages = {
        A: {"optionalDependencies": {"b": "1", "c": "1"}},
        B: {"peerDependencies": {"c": "1"}, **peers},
        C: MAC,
    }
    assert kept(made, packages, asked=(A,), optional=(B, C)) == left


def test_link_stands_before_a_package_further_up(made: Make) -> None:
    packages = {A: {"dependencies": {"c": "1"}}, C: MAC}
    links = {f"{A}/node_modules/c": "packages/c"}
    assert kept(made, packages, asked=(A,), optional=(C,), links=links) == "a"


def test_required_packages_that_do_not_fit_are_refused_all_at_once(made: Make) -> None:
    with pytest.raises(DevenvError) as caught:
        settled(made, {A: MAC, B: {"cpu": ["arm64"], "name": "@s/b"}, C: {}})
    assert "node_modules/a (a@1.0.0) is required but only for os darwin (here: linux)" in str(caught.value)
    assert "node_modules/b (@s/b@1.0.0) is required but only for cpu arm64 (here: x64)" in str(caught.value)


# --- notices and hostile packages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "files", "expected"),
    [
        ({"scripts": {"postinstall": "x"}}, {}, True),
        ({"scripts": {"test": "x"}}, {}, False),
        ({}, {"binding.gyp": ""}, True),
        ({"gypfile": False}, {"binding.gyp": ""}, False),
        ({"scripts": {"install": "x"}, "os": ["darwin"]}, {}, False),
    ],
    ids=["script", "other-script", "gyp", "no-gyp", "other-platform"],
)
def test_package_says_whether_scripts_are_run(
    tmp_path: Path, manifest: dict[str, Any], files: dict[str, str], expected: bool
) -> None:
    for name, text in {"package.json": json.dumps(manifest), **files}.items():
        (tmp_path / name).write_text(text)
    assert has_scripts(str(tmp_path), {"os": "linux"}) is expected
    assert has_scripts(str(tmp_path / "not-unpacked"), {"os": "linux"}) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"lines": 3}', '{"event": "install", "how": "x", "lines": ["\x1b[2J"]}']
)
def test_damaged_failure_is_still_a_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / FAILED).write_text(text)
    file = RemoteFile(file_name="a.tgz", url="https://registry.test/a.tgz", hash=Hash.of("sha256", b""))
    package = Package(name="a", version="1.0.0", format="npm", file=file)
    view = NodeModules(packages={A: package}, scripts=InstallScripts(places=(A,), optional={A: ()}))
    found = settle(view, {A: str(tmp_path)})
    assert found.view.packages == {}
    assert all(notice.isprintable() for notice in found.notices)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[]", "holds no object"),
        ("[" * 100_000, "not JSON"),
        (" " * (MAX_SIZE + 1), "longer than"),
    ],
)
def test_manifest_that_cannot_be_read_is_noticed(made: Make, text: str, words: str) -> None:
    found = settled(made, {A: text, B: {"bin": "b"}})
    assert set(found.view.packages) == {A, B}
    assert set(found.view.bins) == {"node_modules/.bin/b"}
    (notice,) = found.notices
    assert notice.startswith("node_modules/a: its package.json cannot be read")
    assert words in notice


def test_missing_manifests_are_noticed(made: Make) -> None:
    view, trees = made({A: {}}, bundled=(f"{A}/node_modules/gone", "node_modules/elsewhere"))
    os.unlink(f"{trees[A]}/package.json")
    assert settle(view, trees).notices == tuple(
        f"{place} has no package.json, so no commands of it are linked"
        for place in (A, f"{A}/node_modules/gone")
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {}, optional={"bin": JSON, "directories": st.fixed_dictionaries({"bin": JSON}), "name": JSON}
    )
)
def test_commands_of_any_manifest_stay_inside(made: Make, manifest: Contents) -> None:
    for place, file in settled(made, {A: manifest}).view.bins.items():
        assert place.startswith("node_modules/.bin/")
        assert place.count("/") == 2
        assert file.startswith(f"{A}/")
        assert not {"", ".", ".."} & set(file.split("/"))


# --- composition ------------------------------------------------------------------------------------------


def test_directories_to_compose_are_known_without_the_packages(made: Make) -> None:
    view, trees = made(
        {A: {"bin": "a.js"}, "packages/ws/node_modules/b": MAC}, optional=("packages/ws/node_modules/b",)
    )
    roots = node_modules_roots(view)
    assert roots == ("packages/ws/node_modules", "node_modules")
    compositions = node_modules_compositions(view, trees)
    assert tuple(compositions) == roots
    assert compositions["packages/ws/node_modules"] == []
    own = compositions["node_modules"]
    assert [op for op in own if isinstance(op, Tree)] == [Tree(source=trees[A], dest="a")]
    assert not [op for op in own if isinstance(op, Symlink)]  # the file that the command runs is not there


def test_commands_of_unpacked_tarballs_run(tmp_path: Path) -> None:
    script = "#!/bin/sh\r\necho ran $1\n"
    files = {
        "cli.sh": script,
        "node_modules/in/package.json": '{"name": "in", "bin": "i.sh"}',
        "node_modules/in/i.sh": script,
    }
    (tmp_path / "a.tgz").write_bytes(npm_tarball("a", "1.0.0", files, bin={"a": "cli.sh"}))
    unpack_npm(str(tmp_path / "a.tgz"), str(tmp_path / "tree"), (), ("", "node_modules/in"))
    facts = ManifestFacts(platform=LINUX, bundled=(f"{A}/node_modules/in",), asked=(A,))
    view = NodeModules(packages={A: package("a")}, manifests=facts)
    (tmp_path / "p").mkdir()
    events: list[Event] = []
    compose_node_modules(
        str(tmp_path / "p"), view, {A: str(tmp_path / "tree")}, key="1", reporter=notices(events)
    )
    assert not [event for event in events if isinstance(event, Notice)]
    for command in ("node_modules/.bin/a", f"{A}/node_modules/.bin/in"):
        done = subprocess.run([tmp_path / "p" / command, "here"], capture_output=True, text=True, check=True)
        assert done.stdout == "ran here\n"
