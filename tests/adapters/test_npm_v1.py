"""Locks of version 1, as npm 5 and 6 wrote them, and older ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.adapter import ManifestFacts, NodeModules, NpmQuery, Plan
from devenv.adapters._npm_lock_v1 import source_kind
from devenv.adapters.npm import included_names
from devenv.errors import DevenvError, Problems

from .npm_locks import entry, lock_text, plan, read_lock, sri
from .test_npm_properties import PLACES, VALUES, check, slots

COMMIT = "0123456789abcdef0123456789abcdef01234567"

A = "node_modules/a"


def text_of(dependencies: Mapping[str, object], **top: object) -> str:
    return json.dumps(
        {"name": "p", "lockfileVersion": 1, "requires": True, **top, "dependencies": dependencies}
    )


def planned(dependencies: Mapping[str, object], **options: Any) -> Plan:
    return plan(text_of(dependencies), **options)


def view_of(found: Plan) -> NodeModules:
    assert isinstance(found.view, NodeModules)
    return found.view


def facts_of(found: Plan) -> ManifestFacts:
    facts = view_of(found).manifests
    assert facts is not None
    return facts


def project(**kinds: object) -> dict[str, str]:
    return {"package.json": json.dumps({"name": "p", **kinds})}


# --- real locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "packages", "bundled", "optional"),
    [
        ("arborist-old-package-lock-with-bins", 1, 0, 0),
        ("npm-cli-v1-2020", 944, 134, 6),
        ("npmlock2nix-native-extensions-v1", 68, 0, 0),
    ],
)
def test_real_lock_is_planned(name: str, packages: int, bundled: int, optional: int) -> None:
    found = plan(read_lock(name))
    facts = facts_of(found)
    assert (len(view_of(found).packages), len(facts.bundled), len(facts.optional)) == (
        packages,
        bundled,
        optional,
    )
    assert found.queries == ()
    assert view_of(found).hidden_lock is None
    assert facts.platform == {"os": "linux", "cpu": "x64", "libc": "glibc"}


def test_damaged_entries_of_a_real_lock_are_reported_with_their_keys() -> None:
    with pytest.raises(Problems) as caught:
        plan(read_lock("arborist-install-types"))
    assert sorted(str(p).partition(": ")[2].partition(": ")[0] for p in caught.value.problems) == [
        'dependencies.abbrev.dependencies["@scope/name"].dependencies["@otherscope/othername"].integrity',
        "dependencies.really-bad-invalid.version",
    ]


def test_every_kind_of_source_is_known() -> None:
    lock = json.loads(read_lock("arborist-install-types"))
    del lock["dependencies"]["really-bad-invalid"], lock["dependencies"]["abbrev"]["dependencies"]
    found = plan(json.dumps(lock))
    files = {package.file.url for package in found.packages}
    assert {"project:once-1.4.0.tgz", "project:rimraf-2.6.3.tgz"} <= files
    assert {query.key.partition(":")[0] for query in found.queries} >= {"git"}
    assert "project:abbrev-1.1.1.tgz" in files  # of two entries one has its hash


# --- entries ----------------------------------------------------------------------------------------------


def test_nesting_is_the_place_of_a_package() -> None:
    view = view_of(planned({"a": {**entry("a"), "dependencies": {"@s/b": entry("@s/b", "2.0.0")}}}))
    assert {place: f"{p.name}@{p.version}" for place, p in view.packages.items()} == {
        A: "a@1.0.0",
        f"{A}/node_modules/@s/b": "@s/b@2.0.0",
    }
    assert view.packages[A].file.url == "https://npm.test/a/-/a-1.0.0.tgz"
    assert view.packages[A].file.hash.sri == sri("a@1.0.0")


def test_alias_carries_the_name_of_the_package() -> None:
    found = planned({"a": {"version": "npm:@s/real@1.2.3-rc.1", "integrity": sri("x")}})
    assert found.queries[0].key == "npm:@s/real@1.2.3-rc.1"
    found = planned({"a": entry("a", "npm:real@1.2.3", resolved="https://npm.test/real/-/real-1.2.3.tgz")})
    package = view_of(found).packages[A]
    assert (package.name, package.version) == ("real", "1.2.3")


def test_tarball_of_a_url_is_asked_for_its_hash_where_there_is_none() -> None:
    url = "https://files.test/x/a-2.0.0.tgz#sha1"
    package = view_of(planned({"a": {"version": url, "integrity": sri("a")}})).packages[A]
    assert (package.file.url, package.version) == ("https://files.test/x/a-2.0.0.tgz", "2.0.0")
    (query,) = planned({"a": {"version": url}}).queries
    assert query.key == "file:https://files.test/x/a-2.0.0.tgz"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1.2.3", "version"),
        ("", "version"),
        ("^1 || ^2", "version"),
        ("latest", "version"),
        ("npm:@s/a@1.0.0", "alias"),
        ("https://h.test/a.tgz", "tarball"),
        ("HTTP://h.test/a", "tarball"),
        ("https://h.test/u/r.git#abc", "git"),
        ("git+ssh://git@h.test/u/r.git#abc", "git"),
        ("git://h.test/u/r", "git"),
        ("git@h.test:u/r.git", "git"),
        ("ssh://git@h.test/u/r", "git"),
        ("github:u/r#abc", "git"),
        ("gitlab:u/r", "git"),
        ("bitbucket:u/r", "git"),
        ("gist:abc", "git"),
        ("u/r#v1", "git"),
        ("file:a.tgz", "file"),
        ("file:../A.TAR.GZ", "file"),
        ("./a.tar", "file"),
        ("file:.", "directory"),
        ("file:packages/a", "directory"),
        ("../a", "directory"),
        ("@s/a", "version"),
        ("/", "directory"),
        ("u/", "version"),
    ],
)
def test_kind_of_a_source_is_told_by_its_form(source: str, kind: str) -> None:
    assert source_kind(source) == kind


@pytest.mark.parametrize(
    ("version", "key"),
    [
        (f"bitbucket:u/r#{COMMIT}", f"git:https://bitbucket.org/u/r.git#{COMMIT}"),
        (f"u/r#{COMMIT}", f"git:https://github.com/u/r.git#{COMMIT}"),
        (f"ssh://git@h.test/u/r#{COMMIT}", f"git:https://h.test/u/r#{COMMIT}"),
        ("./a.tgz", "file:project:a.tgz"),
    ],
)
def test_each_form_of_a_source_is_asked_for(version: str, key: str) -> None:
    assert [query.key for query in planned({"a": {"version": version}}).queries] == [key]


def test_linked_directories_are_links_with_what_lies_in_them() -> None:
    found = planned(
        {
            "ws": {
                "version": "file:./packages/ws",
                "requires": {"a": "1"},
                "dependencies": {"a": entry("a", "2.0.0")},
            },
            "self": {"version": "file:."},
            "a": {"version": "file:node_modules/b"},
            "b": entry("b"),
        }
    )
    view = view_of(found)
    assert view.links == {
        "node_modules/ws": "packages/ws",
        "node_modules/self": ".",
        "node_modules/a": "node_modules/b",
    }
    assert set(view.packages) == {"node_modules/b", "packages/ws/node_modules/a"}
    assert "packages/ws/node_modules/a" in facts_of(found).asked


def test_commands_of_linked_directories_are_in_their_own_manifests() -> None:
    lock = {
        "lockfileVersion": 1,
        "dependencies": {"ws": {"version": "file:packages/ws"}, "x": {"version": "file:../x"}},
    }
    text = json.dumps(lock)
    found_names = included_names(text, "web/package-lock.json")
    assert sorted(found_names) == ["web/packages/ws/package.json", "x/package.json"]
    assert included_names(lock_text({}), "package-lock.json") == []
    assert included_names("{", "package-lock.json") == []
    manifest = json.dumps({"name": "ws", "bin": {"serve": "bin/serve.js"}})
    found = plan(text, siblings={"packages/ws/package.json": manifest, "../x/package.json": "{"})
    assert view_of(found).bins == {"node_modules/.bin/serve": "node_modules/ws/bin/serve.js"}


def test_link_that_leads_outside_is_kept_and_noted() -> None:
    found = planned({"a": {"version": "file:../a"}})
    assert view_of(found).links == {A: "../a"}
    assert found.notices[0].startswith("linked from outside the project")


def test_missing_url_becomes_a_query_with_the_known_hash() -> None:
    found = planned(
        {"a": {"version": "1.0.0", "integrity": sri("a")}, "b": {"version": "1.0.0", "resolved": False}}
    )
    queries = [query for query in found.queries if isinstance(query, NpmQuery)]
    assert [(q.key, q.hash and q.hash.sri) for q in queries] == [
        ("npm:a@1.0.0", sri("a")),
        ("npm:b@1.0.0", None),
    ]


def test_bundled_packages_are_not_fetched_but_their_manifests_count() -> None:
    inner = {
        "version": "1.0.0",
        "bundled": True,
        "dependencies": {"c": {"version": "1.0.0", "bundled": "true"}},
    }
    found = planned({"a": {**entry("a"), "dependencies": {"b": inner}}})
    view = view_of(found)
    assert list(view.packages) == [A]
    assert view.packages[A].manifests == ("", "node_modules/b", "node_modules/b/node_modules/c")
    assert facts_of(found).bundled == (f"{A}/node_modules/b", f"{A}/node_modules/b/node_modules/c")


def test_packages_that_the_project_itself_bundles_are_fetched() -> None:
    found = planned({"a": entry("a", bundled=True)})
    assert view_of(found).packages[A].manifests == ("",)
    assert facts_of(found).bundled == ()


def test_one_tarball_at_two_places_is_one_package() -> None:
    bundling = {**entry("a"), "dependencies": {"b": {"version": "1.0.0", "bundled": True}}}
    found = planned({"a": bundling, "x": {**entry("x"), "dependencies": {"a": entry("a")}}})
    assert [(p.name, p.manifests) for p in found.packages] == [("a", ("", "node_modules/b")), ("x", ("",))]


@pytest.mark.parametrize(
    ("omit", "kept"),
    [((), "abcd"), (("dev",), "ac"), (("optional",), "ab"), (("dev", "optional"), "a"), (("peer",), "abcd")],
)
def test_omitted_kinds_are_left_out(omit: tuple[str, ...], kept: str) -> None:
    flags = {"a": {}, "b": {"dev": True}, "c": {"optional": True}, "d": {"dev": True, "optional": True}}
    found = planned({name: entry(name, **more) for name, more in flags.items()}, omit=omit)
    assert "".join(sorted(p[-1] for p in view_of(found).packages)) == kept
    assert set(facts_of(found).optional) <= set(view_of(found).packages)


# --- the project's package.json ---------------------------------------------------------------------------


def test_project_asks_for_what_its_manifest_names() -> None:
    lock = {name: entry(name) for name in "abcd"}
    siblings = project(dependencies={"a": "1"}, devDependencies={"b": "1"}, optionalDependencies={"c": "1"})
    assert facts_of(planned(lock, siblings=siblings)).asked == (A, "node_modules/b", "node_modules/c")
    assert facts_of(planned(lock)).asked == tuple(f"node_modules/{name}" for name in "abcd")


def test_dependency_that_the_lock_lacks_is_noticed() -> None:
    siblings = project(dependencies={"a": "1", "lost": "2"}, peerDependencies={"p": "1"})
    found = planned({"a": entry("a")}, siblings=siblings)
    assert found.notices == (
        "package.json and package-lock.json disagree about lost: run npm install --package-lock-only",
    )


# --- before version 1 -------------------------------------------------------------------------------------

REGISTRY = "https://npm.test/a/-/a-1.0.0.tgz"


@pytest.mark.parametrize(
    ("values", "query"),
    [
        ({"from": "a@>=1.0.0 <2.0.0", "resolved": REGISTRY}, "npm:a@1.0.0"),
        ({"from": "a@latest", "resolved": REGISTRY}, "npm:a@1.0.0"),
        ({"from": "^1.0.0"}, "npm:a@1.0.0"),
        ({"from": REGISTRY, "resolved": REGISTRY}, f"file:{REGISTRY}"),
        ({"from": f"a@{REGISTRY}", "resolved": REGISTRY}, f"file:{REGISTRY}"),
        ({"from": "u/a", "resolved": "git://h.test/u/a.git#abc"}, None),
        ({"from": "a@git+ssh://git@h.test/u/a.git"}, None),
        ({"from": "@s/a@git@h.test:u/a.git"}, None),
        ({"from": "a-1.0.0.tgz", "resolved": "file:a-1.0.0.tgz"}, "file:project:a-1.0.0.tgz"),
        ({"from": "../a", "resolved": "file:../a"}, False),
    ],
)
def test_shrinkwraps_without_version_are_read(values: Mapping[str, str], query: str | bool | None) -> None:
    text = json.dumps({"name": "p", "dependencies": {"a": {"version": "1.0.0", **values}}})
    if query is None:
        with pytest.raises(DevenvError, match="names no commit of a repository"):
            plan(text)
    elif query:
        assert [q.key for q in plan(text).queries] == [query]
    else:
        assert view_of(plan(text)).links == {A: "../a"}


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dependencies", "where"),
    [
        ([], "dependencies: expected a table, found a list"),
        ({"a": 1}, "dependencies.a: expected a table, found a number"),
        ({"a": None}, "dependencies.a: expected a table, found null"),
        ({"a": {}}, "dependencies.a: nothing says which version of a"),
        ({"a": entry("a", version=1)}, "dependencies.a.version: expected text, found a number"),
        ({"a": entry("a", version="x://y/z")}, "dependencies.a.version: 'x://y/z' is not a version"),
        ({"a": entry("a", version="1\n")}, "dependencies.a.version"),
        ({"a": entry("a", version="npm:1.0.0")}, "dependencies.a: '' is not a name"),
        ({"a": entry("a", version="npm:../x@1.0.0")}, "dependencies.a: '../x' is not a name"),
        ({"a": entry("a", version="npm:x@")}, "dependencies.a.version: '' is not a version"),
        (
            {"a": entry("a", version="file:/etc")},
            "dependencies.a.version: '/etc' is not a plain relative path",
        ),
        ({"a": entry("a", version="file:x\\y")}, "is not a plain relative path"),
        (
            {"a": entry("a", resolved="javascript:1")},
            "dependencies.a.resolved: 'javascript:1' is not the URL",
        ),
        ({"a": entry("a", resolved=["x"])}, "dependencies.a.resolved: expected text, found a list"),
        ({"a": entry("a", integrity="sha512-x")}, "dependencies.a.integrity"),
        ({"a": entry("a", dev="yes")}, "dependencies.a.dev: expected true or false, found text"),
        ({"a": entry("a", requires=["b"])}, "dependencies.a.requires: expected a table, found a list"),
        ({"a": entry("a", requires={"b": 1})}, "dependencies.a.requires.b: expected text"),
        ({"a": entry("a", dependencies=1)}, "dependencies.a.dependencies: expected a table, found a number"),
        (
            {"a": entry("a", dependencies={"..": {}})},
            "dependencies.a.dependencies[\"..\"]: '..' is not a name",
        ),
        ({"../a": entry("a")}, "dependencies[\"../a\"]: '../a' is not a name"),
        ({".bin": entry("a")}, "'.bin' is not a name"),
        ({"": entry("a")}, "'' is not a name"),
        ({"a/b": entry("a")}, "'a/b' is not a name"),
        (
            {"a": {"version": "file:a", "dependencies": {"c": {"version": "file:a/node_modules/c/x"}}}},
            "inside the",
        ),
    ],
)
def test_damage_is_reported_with_its_place(dependencies: Any, where: str) -> None:
    with pytest.raises(DevenvError) as caught:
        planned(dependencies)
    assert where in str(caught.value)


def test_all_damaged_entries_are_reported_at_once() -> None:
    with pytest.raises(Problems) as caught:
        planned({"a": {"version": 1, "dependencies": {"b": 1}}, "..": {}, "c": entry("c", dev=1)})
    assert len(caught.value.problems) == 3


SMALL = json.loads(
    text_of(
        {
            "a": entry(
                "a",
                requires={"b": "1"},
                dependencies={"b": {"version": "1.0.0", "bundled": True}, "c": entry("c", dev=True)},
            ),
            "alias": entry("b", "npm:@s/b@1.0.0", optional=True),
            "ws": {"version": "file:packages/ws", "dependencies": {"a": entry("a", "2.0.0")}},
            "url": {"version": "https://h.test/u-1.0.0.tgz", "integrity": sri("u"), "requires": True},
            "old": {"version": "1.0.0", "from": "old@^1"},
        }
    )
)
SOURCES = st.sampled_from(
    ["file:", "npm:", "npm:@", "git:", "u/r", "file:..", "https://", "https://h.test/x", "@"]
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_lock_with_any_changes_is_planned_or_refused(data: st.DataObject) -> None:
    lock = json.loads(json.dumps(SMALL))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(slots(lock)))
        kind = data.draw(st.sampled_from(["replace", "delete", "rename"]))
        if kind == "replace":
            container[key] = data.draw(VALUES | SOURCES)
        elif kind == "delete":
            del container[key]
        elif isinstance(container, dict):
            container[data.draw(PLACES | st.text(max_size=6))] = container.pop(key)
    check(json.dumps(lock))


def test_the_unchanged_lock_is_planned_or_the_test_above_would_be_idle() -> None:
    found = plan(json.dumps(SMALL))
    assert (len(view_of(found).packages), len(view_of(found).links), len(found.queries)) == (5, 1, 1)
    assert facts_of(found).bundled == (f"{A}/node_modules/b",)


# --- npm's own reading ------------------------------------------------------------------------------------


def npm(*arguments: str, directory: Path) -> str:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "npm_config_offline": "true",
        "npm_config_registry": "https://npm.test/",
        "npm_config_update_notifier": "false",
    }
    done = subprocess.run(
        ["npm", *arguments],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def pairs(dependencies: Mapping[str, Any]) -> set[tuple[str, str]]:
    found = set()
    for name, values in dependencies.items():
        if "version" in values:
            found |= {(name, values["version"])} | pairs(values.get("dependencies", {}))
    return found


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize("name", ["npm-cli-v1-2020", "npmlock2nix-native-extensions-v1"])
def test_npm_lists_the_packages_that_are_planned(name: str, tmp_path: Path) -> None:
    text = read_lock(name)
    asked = {name: values["version"] for name, values in json.loads(text)["dependencies"].items()}
    (tmp_path / "package-lock.json").write_text(text)
    (tmp_path / "package.json").write_text(
        json.dumps({"name": "p", "version": "1.0.0", "dependencies": asked})
    )
    listed = json.loads(npm("ls", "--all", "--json", "--package-lock-only", directory=tmp_path))
    found = plan(text)
    carried = {(place.rpartition("node_modules/")[2], None) for place in facts_of(found).bundled}
    ours = {(place.rpartition("node_modules/")[2], p.version) for place, p in view_of(found).packages.items()}
    theirs = pairs(listed["dependencies"])
    assert ours <= theirs
    assert {name for name, _ in theirs - ours} <= {name for name, _ in carried}
