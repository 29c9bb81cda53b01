from __future__ import annotations

import json
from dataclasses import replace

import pytest

from devenv.adapter import AdapterError, GitQuery, NodeModules, NpmQuery, Options, Plan, RemoteFile, Target
from devenv.adapters import npm
from devenv.errors import DevenvError, Problems
from devenv.formats.hashes import Hash

from .npm_locks import ARM_MUSL, X64, entry, lock_text, plan, planned, read_lock, sri


def view_of(found: Plan) -> NodeModules:
    assert isinstance(found.view, NodeModules)
    return found.view


# --- real locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "packages", "links", "bins"),
    [
        ("arborist-external-link", 0, 4, 0),
        ("arborist-optional-dep-postinstall-fail", 1, 0, 0),
        ("arborist-two-bundled-deps", 292, 0, 0),
        ("arborist-workspaces-conflicting-versions-virtual", 3, 2, 0),
        ("cachix-devenv-docs", 82, 0, 12),
        ("dream2nix-nextjs", 364, 0, 26),
        ("npm-cli-v3", 1077, 16, 103),
        ("npmlock2nix-in-bundle", 96, 0, 22),
        ("pypi-warehouse", 990, 0, 41),
    ],
)
def test_real_lock_is_planned(name: str, packages: int, links: int, bins: int) -> None:
    found = plan(read_lock(name))
    view = view_of(found)
    assert (len(view.packages), len(view.links), len(view.bins)) == (packages, links, bins)
    assert found.queries == () or name == "arborist-external-link"


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        (
            "arborist-dep-missing-resolved",
            "nothing says which version of completely-broken-witaf",
            "npm install",
        ),
    ],
)
def test_real_lock_is_refused_for_its_reason(name: str, words: str, hint: str) -> None:
    with pytest.raises(DevenvError) as caught:
        plan(read_lock(name))
    assert words in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_all_unusable_entries_are_reported_together() -> None:
    wrong = {f"node_modules/{name}": {"version": "1.0.0", "resolved": "x://y"} for name in "abc"}
    with pytest.raises(Problems) as caught:
        planned(wrong)
    assert len(caught.value.problems) == 3


def test_placeholder_stands_for_the_configured_registry() -> None:
    packages = view_of(plan(read_lock("arborist-testing-bundledeps-sw"))).packages
    urls = {package.file.url for package in packages.values()}
    assert "npm:@isaacs/testing-bundledeps-b/-/testing-bundledeps-b-1.0.0.tgz" in urls


def test_packages_with_install_scripts_are_known_with_what_they_need() -> None:
    found = plan(read_lock("pypi-warehouse"))
    scripts = view_of(found).scripts
    assert found.notices == ()
    assert scripts.places is not None
    assert "node_modules/admin-lte/node_modules/@fortawesome/fontawesome-free" in scripts.places
    assert set(scripts.optional) <= set(scripts.places)
    assert set(scripts.needs) <= set(view_of(found).packages) | set(view_of(found).links)


def test_forbidden_install_scripts_are_named_in_one_notice() -> None:
    found = plan(read_lock("pypi-warehouse"), rules=(("*", False), ("summernote", True)))
    (notice,) = found.notices
    assert notice.startswith("install scripts are not run: @fortawesome/fontawesome-free@5.15.4, ")
    scripts = view_of(found).scripts
    assert scripts.places is not None
    assert {place.rpartition("/")[2] for place in scripts.places} == {"summernote"}


def test_links_that_lead_outside_are_kept_and_noted() -> None:
    found = plan(read_lock("arborist-external-link"))
    assert view_of(found).links["node_modules/j"] == "../i/j"
    assert found.notices[0].startswith("linked from outside the project")


def test_each_package_of_a_plan_is_there_once() -> None:
    found = plan(read_lock("pypi-warehouse"))
    assert len(found.packages) == 925 == len({p.file.hash for p in found.packages})


# --- versions of the format -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "lockfileVersion: is missing"),
        ('{"packages": {}}', "lockfileVersion: is missing"),
        ('{"lockfileVersion": 4, "packages": {}}', "version 4 is not known"),
        ('{"lockfileVersion": "3", "packages": {}}', "expected a whole number, found text"),
        ('{"lockfileVersion": true, "packages": {}}', "expected a whole number, found true or false"),
        ('{"lockfileVersion": 3}', "packages: is missing"),
        ('{"lockfileVersion": 3, "packages": []}', "packages: expected a table, found a list"),
        ("[]", "expected a table at the top, found a list"),
        ("", "not JSON: line 1, column 1"),
        ("{", "not JSON"),
        ("[" * 100_000, "JSON that cannot be read"),
        ("<<<<<<< HEAD\n{}\n>>>>>>> other\n", "merge conflict"),
    ],
)
def test_unknown_form_is_refused(text: str, words: str) -> None:
    with pytest.raises(AdapterError) as caught:
        plan(text)
    assert words in str(caught.value)


def test_version_2_is_read_from_its_packages_alone() -> None:
    text = lock_text(
        {"node_modules/a": entry("a")}, lockfileVersion=2, dependencies={"b": {"version": "1.0.0"}}
    )
    assert list(view_of(plan(text)).packages) == ["node_modules/a"]


# --- damaged entries --------------------------------------------------------------------------------------

A = "node_modules/a"


@pytest.mark.parametrize(
    ("packages", "where"),
    [
        ({A: None}, 'packages["node_modules/a"]: expected a table, found null'),
        ({A: entry("a", integrity="sha512-abc")}, 'packages["node_modules/a"].integrity'),
        ({A: entry("a", integrity=5)}, 'packages["node_modules/a"].integrity: expected text, found a number'),
        ({A: entry("a", resolved=["x"])}, 'packages["node_modules/a"].resolved: expected text, found a list'),
        ({A: entry("a", resolved="https:///a.tgz")}, 'packages["node_modules/a"].resolved'),
        ({A: entry("a", resolved="https://npm.test/a b.tgz")}, 'packages["node_modules/a"].resolved'),
        ({A: entry("a", resolved="javascript:alert(1)")}, 'packages["node_modules/a"].resolved'),
        ({A: entry("a", version="../1")}, 'packages["node_modules/a"].version'),
        ({A: entry("a", name="../../etc")}, "packages[\"node_modules/a\"]: '../../etc' is not a name"),
        ({A: entry("a", optional="yes")}, 'packages["node_modules/a"].optional'),
        ({A: entry("a", os=[1])}, 'packages["node_modules/a"].os[0]: expected text, found a number'),
        ({A: entry("a", dependencies={"b": 1})}, 'packages["node_modules/a"].dependencies.b: expected text'),
        ({A: entry("a", bin=7)}, 'packages["node_modules/a"].bin'),
        ({A: {"link": True}}, 'packages["node_modules/a"].resolved: a link must say where it leads'),
        ({A: {"link": True, "resolved": "lib"}}, 'packages["node_modules/a"].resolved: leads to'),
        ({A: {"link": True, "resolved": "/etc"}}, 'packages["node_modules/a"].resolved'),
        ({A: {"link": True, "resolved": "lib/../../x"}}, 'packages["node_modules/a"].resolved'),
        ({A: {}}, 'packages["node_modules/a"]: nothing says which version'),
        ({"/etc/node_modules/a": entry("a")}, "is not a plain relative path"),
        ({"../node_modules/a": entry("a")}, "lies outside the directory of the lock"),
        ({"x/../../node_modules/a": entry("a")}, "is not a plain relative path"),
        ({"node_modules/..": entry("a")}, "is not a plain relative path"),
        ({"node_modules/./a": entry("a")}, "is not a plain relative path"),
        ({"node_modules//a": entry("a")}, "is not a plain relative path"),
        ({"node_modules\\a": entry("a")}, "is not a plain relative path"),
        ({"node_modules/a\n": entry("a")}, "is not a plain relative path"),
        ({"node_modules/": entry("a")}, "is not a plain relative path"),
        ({"node_modules": entry("a")}, "a place must name a package"),
        ({"node_modules/.bin": entry("a")}, "is not a name of a package"),
        ({"node_modules/@s/.bin": entry("a")}, "is not a name of a package"),
        ({"node_modules/@s": entry("a")}, "is not a name of a package"),
        (
            {A: {"link": True, "resolved": "lib"}, "lib": {}, f"{A}/node_modules/b": entry("b")},
            "lies inside the link 'node_modules/a'",
        ),
    ],
)
def test_damage_is_reported_with_its_place(packages: dict[str, object], where: str) -> None:
    with pytest.raises(AdapterError) as caught:
        planned(packages)
    assert where in str(caught.value)
    assert str(caught.value).startswith("package-lock.json: ")


def test_all_damaged_entries_are_reported_at_once() -> None:
    with pytest.raises(Problems) as caught:
        planned({f"node_modules/{n}": entry(n, integrity="sha1-x") for n in "abc"})
    assert [getattr(p, "key", "") for p in caught.value.problems] == [
        f'packages["node_modules/{n}"].integrity' for n in "abc"
    ]


def test_values_nested_too_deeply_are_refused_at_any_depth() -> None:
    refused = 0
    for depth in (*range(700, 1001, 10), 100_000):
        text = lock_text({A: entry("a", funding="HERE")}).replace('"HERE"', "[" * depth + "]" * depth)
        try:
            plan(text)
        except AdapterError:
            refused += 1
    assert refused > 0


def test_half_a_character_does_not_spoil_the_hidden_lock() -> None:
    view = view_of(planned({A: entry("a", license="\ud800")}))
    assert json.loads((view.hidden_lock or "").encode())["packages"][A]["license"] == "\ud800"


# --- sources ----------------------------------------------------------------------------------------------


def test_url_of_any_host_is_kept_without_its_fragment() -> None:
    found = planned({A: entry("a", resolved="http://mirror.test:8080/x/a-1.0.0.tgz#0123")})
    (package,) = found.packages
    assert package.file == RemoteFile(
        file_name="a-1.0.0.tgz",
        url="http://mirror.test:8080/x/a-1.0.0.tgz",
        hash=Hash.parse_sri(sri("a@1.0.0")),
    )


def test_alias_carries_the_name_of_the_package() -> None:
    (package,) = planned({A: entry("real", name="real")}).packages
    assert package.name == "real"


def test_strongest_of_several_hashes_counts() -> None:
    both = f"{sri('a', 'sha1')} {sri('a', 'sha512')} {sri('a', 'sha256')}"
    (package,) = planned({A: entry("a", integrity=both)}).packages
    assert package.file.hash.algorithm == "sha512"


def test_sha1_is_enough() -> None:
    (package,) = planned({A: entry("a", integrity=sri("a", "sha1"))}).packages
    assert package.file.hash.algorithm == "sha1"


def test_one_tarball_with_weak_and_strong_hash_is_one_package() -> None:
    weak = entry("a", integrity=sri("a@1.0.0", "sha1"))
    found = planned({A: weak, "node_modules/b": entry("b"), "node_modules/b/node_modules/a": entry("a")})
    assert view_of(found).packages[A] == view_of(found).packages["node_modules/b/node_modules/a"]
    assert view_of(found).packages[A].file.hash.algorithm == "sha512"


def test_two_hashes_of_one_url_are_a_contradiction() -> None:
    with pytest.raises(AdapterError, match="two different hashes"):
        planned({A: entry("a"), "node_modules/b/node_modules/a": entry("a", integrity=sri("other"))})


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("resolved", "url"),
    [
        ("https://files.test/a.tgz", "https://files.test/a.tgz"),
        ("file:../lib/a-1.0.0.tgz", "project:lib/a-1.0.0.tgz"),
    ],
)
def test_file_without_a_hash_is_asked_for_once(resolved: str, url: str) -> None:
    packages = {
        "": {"dependencies": {"a": resolved}},
        A: {"version": "1.0.0", "resolved": resolved, "integrity": sri("a")},
    }
    asked = {"path": "web/package-lock.json"}
    (package,) = planned(packages, **asked).packages
    assert (package.file.url, package.file.hash.sri) == (url, sri("a"))
    packages[A] = {"version": "1.0.0", "resolved": resolved}
    (query,) = planned(packages, **asked).queries
    assert query.key == f"file:{url}"
    answer = RemoteFile(file_name="a.tgz", url=url, hash=Hash.of("sha256", b"a"))
    found = planned(packages, completions={query.key: (answer,)}, **asked)
    assert (found.packages[0].file, found.queries) == (answer, ())


@pytest.mark.parametrize(
    ("resolved", "url"),
    [
        ("git+ssh://git@code.test/u/a.git", "https://code.test/u/a.git"),
        ("git+ssh://git@code.test:u/a.git", "https://code.test/u/a.git"),
        ("git@code.test:u/a.git", "https://code.test/u/a.git"),
        ("git+ssh://me@code.test:22/u/a.git", "ssh://me@code.test:22/u/a.git"),
        ("git+https://code.test/u/a.git", "https://code.test/u/a.git"),
        ("git://code.test/u/a", "git://code.test/u/a"),
        ("git+file:///srv/a", "file:///srv/a"),
        ("github:u/a", "https://github.com/u/a.git"),
        ("https://code.test/a.git", "https://code.test/a.git"),
    ],
)
def test_repository_is_asked_for_its_tree(resolved: str, url: str) -> None:
    packages = {A: {"version": "1.0.0", "resolved": f"{resolved}#{COMMIT}", "integrity": sri("a")}}
    (query,) = planned(packages).queries
    assert query == GitQuery(url=url, commit=COMMIT)
    answer = RemoteFile(file_name="a", url=f"git+{url}#{COMMIT}", hash=Hash.of("sha256", b"tree"))
    (package,) = planned(packages, completions={query.key: (answer,)}).packages
    assert (package.format, package.file) == ("git-npm", answer)


@pytest.mark.parametrize(
    ("resolved", "words"),
    [
        ("git+ssh://git@code.test/a.git#main", "names no commit"),
        ("git+ssh://git@code.test/a.git", "names no commit"),
        (f"git+ssh://git@code.test/a b#{COMMIT}", "is no URL of a repository"),
        (f"gist:{COMMIT}#{COMMIT}", "is no URL of a repository"),
        ("file:../../a.tgz", "is not a file of the project"),
        ("file:/etc/passwd.tgz", "is not a file of the project"),
        ("file:lib/a", "is a directory"),
    ],
)
def test_source_that_cannot_be_had_is_named(resolved: str, words: str) -> None:
    with pytest.raises(AdapterError, match=words) as caught:
        planned({A: {"version": "1.0.0", "resolved": resolved}})
    assert caught.value.key.endswith(".resolved")


@pytest.mark.parametrize(
    ("engines", "kept"),
    [
        ({"node": ">=18"}, True),
        ({"node": ">=24"}, False),
        ({"npm": "1"}, True),
        (["x"], True),
        ({"node": "?"}, False),
    ],
)
def test_optional_package_for_another_node_is_left_out(engines: object, kept: bool) -> None:
    target = replace(X64, node_version="20.1.0")
    packages = {A: entry("a", optional=True, engines=engines), "node_modules/b": entry("b", engines=engines)}
    found = view_of(planned(packages, target=target)).packages
    assert (A in found, "node_modules/b" in found) == (kept, True)
    assert A in view_of(planned(packages)).packages  # the project names no Node


def test_missing_url_becomes_a_query_with_the_known_hash() -> None:
    packages = {
        "node_modules/@s/a": {"version": "1.0.0", "integrity": sri("a")},
        "node_modules/b": {"version": "2.0.0", "name": "real"},
        "node_modules/c": {"version": "3.0.0", "resolved": "https://npm.test/c/-/c-3.0.0.tgz"},
    }
    assert planned(packages).queries == (
        NpmQuery(name="@s/a", version="1.0.0", hash=Hash.parse_sri(sri("a"))),
        NpmQuery(name="c", version="3.0.0"),
        NpmQuery(name="real", version="2.0.0"),
    )
    assert view_of(planned(packages)).packages == {}


def test_completions_answer_queries() -> None:
    answer = RemoteFile(file_name="a.tgz", url="npm:a/-/a-1.0.0.tgz", hash=Hash.parse_sri(sri("a")), size=5)
    packages = {A: {"version": "1.0.0", "integrity": sri("a")}}
    found = planned(packages, completions={"npm:a@1.0.0": (answer,)})
    assert found.queries == ()
    assert [p.file for p in found.packages] == [answer]


def test_answer_with_another_hash_than_the_lock_is_refused() -> None:
    answer = RemoteFile(file_name="a.tgz", url="npm:a/-/a-1.0.0.tgz", hash=Hash.parse_sri(sri("other")))
    with pytest.raises(AdapterError, match="has another hash") as caught:
        planned({A: {"version": "1.0.0", "integrity": sri("a")}}, completions={"npm:a@1.0.0": (answer,)})
    assert caught.value.hint == "Run devenv lock."


def test_optional_peer_that_was_never_installed_is_passed_over() -> None:
    found = planned({A: {"optional": True, "peer": True}, "node_modules/b": entry("b")})
    assert list(view_of(found).packages) == ["node_modules/b"]
    assert A not in json.loads(view_of(found).hidden_lock or "")["packages"]


# --- bundles, links, workspaces ---------------------------------------------------------------------------


def test_bundled_packages_are_not_fetched_but_listed_and_runnable() -> None:
    packages = {
        A: entry("a", bundleDependencies=["b"]),
        f"{A}/node_modules/b": {"version": "1.0.0", "inBundle": True, "bin": {"b": "./cli.js"}},
        f"{A}/node_modules/c": {"version": "1.0.0", "inBundle": True},
        f"{A}/node_modules/c/node_modules/d": {"version": "1.0.0", "inBundle": True, "bin": "d.js"},
        f"{A}/node_modules/e": entry("e"),
    }
    view = view_of(planned(packages))
    assert list(view.packages) == [A, f"{A}/node_modules/e"]
    assert view.packages[A].executables == (
        "node_modules/b/cli.js",
        "node_modules/c/node_modules/d/d.js",
    )
    assert view.bins[f"{A}/node_modules/.bin/b"] == f"{A}/node_modules/b/cli.js"
    assert f"{A}/node_modules/c/node_modules/d" in json.loads(view.hidden_lock or "")["packages"]


def test_packages_that_the_project_itself_bundles_are_fetched() -> None:
    packages = {
        "": {"bundleDependencies": ["a"], "dependencies": {"a": "1"}},
        A: entry("a", inBundle=True),
        f"{A}/node_modules/b": entry("b", inBundle=True),
    }
    assert list(view_of(planned(packages)).packages) == [A, f"{A}/node_modules/b"]


def test_workspaces_are_links_and_have_places_of_their_own() -> None:
    packages = {
        "": {"workspaces": ["packages/*"]},
        "node_modules/ws": {"resolved": "packages/ws", "link": True},
        "packages/ws": {"version": "1.0.0", "bin": {"ws": "cli.js"}, "dependencies": {"a": "1"}},
        "packages/ws/node_modules/a": entry("a", bin="a.js"),
        "packages/gone/node_modules/b": entry("b"),
    }
    view = view_of(planned(packages))
    assert view.links == {"node_modules/ws": "packages/ws"}
    assert list(view.packages) == ["packages/ws/node_modules/a"]
    assert view.bins == {
        "node_modules/.bin/ws": "node_modules/ws/cli.js",
        "packages/ws/node_modules/.bin/a": "packages/ws/node_modules/a/a.js",
    }


def test_link_to_the_project_itself_is_kept() -> None:
    view = view_of(
        planned({"": {"bin": {"me": "cli.js"}}, "node_modules/me": {"resolved": "", "link": True}})
    )
    assert view.links == {"node_modules/me": "."}
    assert view.bins == {"node_modules/.bin/me": "node_modules/me/cli.js"}


@pytest.mark.parametrize(
    ("bin", "commands"),
    [
        ("cli.js", {"a": "cli.js"}),
        ({"x": "./bin/x.js", "y": "/bin/y.js"}, {"x": "bin/x.js", "y": "bin/y.js"}),
        ({"../../evil": "../../../etc/passwd"}, {"evil": "etc/passwd"}),
        ({"c:\\evil": "b\\x.js"}, {"evil": "b/x.js"}),
        (["bin/one", "bin/two"], {"one": "bin/one", "two": "bin/two"}),
        ({"x": 5, "..": "y", "": "z", "w": ".."}, {}),
        ({}, {}),
        ("", {}),
        (None, {}),
    ],
)
def test_commands_are_cleaned_as_npm_does(bin: object, commands: dict[str, str]) -> None:
    view = view_of(planned({A: entry("a", bin=bin)}))
    assert view.bins == {f"node_modules/.bin/{c}": f"{A}/{file}" for c, file in commands.items()}
    assert view.packages[A].executables == tuple(sorted(commands.values()))


def test_scoped_package_with_one_command_gives_it_the_short_name() -> None:
    view = view_of(planned({"node_modules/@s/a": entry("@s/a", bin="x.js")}))
    assert view.bins == {"node_modules/.bin/a": "node_modules/@s/a/x.js"}


# --- platforms and omitting -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "target", "kept"),
    [
        ({}, X64, True),
        ({"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]}, X64, True),
        ({"os": ["linux"], "cpu": ["x64"], "libc": ["musl"]}, X64, False),
        ({"cpu": ["arm64"]}, X64, False),
        ({"cpu": ["arm64"], "libc": ["musl"]}, ARM_MUSL, True),
        ({"os": "linux"}, X64, True),
        ({"os": ["darwin", "win32"]}, X64, False),
        ({"os": ["!win32"]}, X64, True),
        ({"os": ["!linux"]}, X64, False),
        ({"os": ["!win32", "linux"]}, X64, True),
        ({"os": ["!win32", "darwin"]}, X64, False),
        ({"os": ["any"]}, X64, True),
        ({"cpu": ["arm"]}, Target(machine="armv7l"), True),
        ({"cpu": ["ia32"]}, Target(machine="i686"), True),
        ({"cpu": ["riscv64"]}, Target(machine="riscv64"), True),
    ],
)
def test_platform_fields_choose(fields: dict[str, object], target: Target, kept: bool) -> None:
    packages = {"": {"optionalDependencies": {"a": "1"}}, A: entry("a", optional=True, **fields)}
    assert (A in view_of(planned(packages, target=target)).packages) is kept


def test_required_packages_that_do_not_fit_are_errors_all_at_once() -> None:
    packages = {A: entry("a", os=["darwin"]), "node_modules/b": entry("b", cpu=["arm64"], os=["!linux"])}
    with pytest.raises(Problems) as caught:
        planned(packages)
    first, second = caught.value.problems
    assert "a@1.0.0 is required but only for os darwin (here: linux)" in str(first)
    assert "os !linux (here: linux) and cpu arm64 (here: x64)" in str(second)


def test_required_package_that_does_not_fit_may_be_omitted() -> None:
    assert planned({A: entry("a", os=["darwin"], dev=True)}, omit=("dev",)).packages == ()


def test_what_only_a_skipped_package_needs_is_skipped_too() -> None:
    packages = {
        "": {"optionalDependencies": {"top": "1"}, "dependencies": {"app": "1"}},
        "node_modules/top": entry("top", optional=True, dependencies={"native": "1", "shared": "1"}),
        "node_modules/native": entry("native", optional=True, os=["darwin"], dependencies={"deep": "1"}),
        "node_modules/deep": entry("deep", optional=True, dependencies={"native": "1"}),
        "node_modules/shared": entry("shared"),
        "node_modules/app": entry("app", dependencies={"shared": "1"}),
    }
    assert list(view_of(planned(packages)).packages) == ["node_modules/shared", "node_modules/app"]


def test_what_another_optional_package_needs_too_stays() -> None:
    packages = {
        "": {"optionalDependencies": {"mac": "1", "any": "1"}},
        "node_modules/mac": entry("mac", optional=True, os=["darwin"], dependencies={"shared": "1"}),
        "node_modules/any": entry("any", optional=True, dependencies={"shared": "1"}),
        "node_modules/shared": entry("shared", optional=True),
    }
    assert list(view_of(planned(packages)).packages) == ["node_modules/any", "node_modules/shared"]


@pytest.mark.parametrize(
    ("omit", "kept"),
    [
        ((), "abcde"),
        (("dev",), "abde"),
        (("optional",), "acde"),
        (("peer",), "abce"),
        (("dev", "optional"), "ad"),
        (("dev", "optional", "peer"), "a"),
    ],
)
def test_omitted_kinds_are_left_out(omit: tuple[str, ...], kept: str) -> None:
    flags = {
        "a": {},
        "b": {"optional": True},
        "c": {"dev": True},
        "d": {"peer": True},
        "e": {"devOptional": True},
    }
    packages = {f"node_modules/{n}": entry(n, **fields) for n, fields in flags.items()}
    found = view_of(planned(packages, omit=omit)).packages
    assert "".join(place[-1] for place in found) == kept


def test_unknown_kind_to_omit_is_refused() -> None:
    with pytest.raises(AdapterError, match="no dependency type bogus"):
        planned({}, omit=("bogus",))


def test_options_of_other_formats_are_refused() -> None:
    with pytest.raises(AdapterError, match="npm has no extras and no groups"):
        npm.plan(
            lock_text({}),
            path="package-lock.json",
            target=X64,
            options=Options(extras=("x",), groups=("y",)),
            completions={},
            siblings={},
        )


# --- platform packages that the lock forgot ---------------------------------------------------------------

ROLLUP = {
    f"@rollup/rollup-{tail}": "4.0.0"
    for tail in ("darwin-arm64", "linux-x64-gnu", "linux-x64-musl", "linux-arm64-musl", "win32-x64-msvc")
}


def rollup_lock(*present: str) -> dict[str, object]:
    members = {
        f"node_modules/@rollup/rollup-{tail}": entry(f"@rollup/rollup-{tail}", optional=True)
        for tail in present
    }
    return {"node_modules/rollup": entry("rollup", "4.0.0", optionalDependencies=ROLLUP), **members}


@pytest.mark.parametrize("present", [(), ("darwin-arm64",), ("linux-x64-musl", "win32-x64-msvc")])
def test_forgotten_platform_package_is_named_with_its_dependent(present: tuple[str, ...]) -> None:
    with pytest.raises(AdapterError) as caught:
        planned(rollup_lock(*present))
    assert "rollup@4.0.0 needs @rollup/rollup-linux-x64-gnu on this platform" in str(caught.value)
    assert "rm -rf node_modules && npm install --package-lock-only" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("present", "target", "omit"),
    [
        (("linux-x64-gnu",), X64, ()),
        (("linux-x64-gnu", "darwin-arm64"), X64, ()),
        (("linux-arm64-musl",), ARM_MUSL, ()),
        (("darwin-arm64",), X64, ("optional",)),
        (("darwin-arm64",), Target(machine="s390x"), ()),
    ],
    ids=["only ours", "several", "musl", "omitted", "no member for the platform"],
)
def test_lock_with_the_right_member_passes(
    present: tuple[str, ...], target: Target, omit: tuple[str, ...]
) -> None:
    planned(rollup_lock(*present), target=target, omit=omit)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("@esbuild/linux-x64", "@esbuild/darwin-x64"), "@esbuild/linux-x64"),
        (
            ("@img/sharp-linux-x64", "@img/sharp-linuxmusl-x64", "@img/sharp-darwin-x64"),
            "@img/sharp-linux-x64",
        ),
        (("@next/swc-linux-x64-gnu", "@next/swc-darwin-x64"), "@next/swc-linux-x64-gnu"),
        (("turbo-linux-64", "turbo-darwin-64"), None),
        (("fsevents", "chokidar"), None),
        (("only-linux-x64",), None),
        (("a-linux-arm64", "a-darwin-x64"), None),
    ],
)
def test_families_are_told_by_the_words_of_their_names(names: tuple[str, ...], missing: str | None) -> None:
    packages = {A: entry("a", optionalDependencies=dict.fromkeys(names, "1"))}
    if missing is None:
        planned(packages)
    else:
        with pytest.raises(AdapterError, match=missing):
            planned(packages)


# --- package.json beside the lock -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "notices"),
    [
        ({"dependencies": {"a": "^1"}}, 0),
        ({"dependencies": {"a": "^2"}}, 1),
        ({"dependencies": {"a": "^1", "b": "1"}}, 1),
        ({}, 1),
    ],
)
def test_manifest_that_asks_for_something_else_is_noticed(manifest: dict[str, object], notices: int) -> None:
    text = lock_text({"": {"dependencies": {"a": "^1"}}, A: entry("a")})
    found = plan(text, siblings={"package.json": json.dumps(manifest)})
    assert len(found.notices) == notices


def test_shrinkwrap_comes_before_the_lock() -> None:
    assert npm.patterns[:2] == ("npm-shrinkwrap.json", "package-lock.json")
