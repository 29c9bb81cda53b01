from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from devenv.adapter import Completions, Options, Plan, PypiQuery, RemoteFile, SitePackages
from devenv.adapters import poetry
from devenv.adapters._poetry_constraints import allows
from devenv.errors import DevenvError
from tests.support.pythons import NO_OPTIONS, chosen, data, editables, failure, linux_target, messages

LINUX = linux_target("3.11.7")
HASH = "sha256:" + "ab" * 32
HEAD = '[metadata]\nlock-version = "2.1"\npython-versions = ">=3.9"\ncontent-hash = "x"\n'


def package(name: str, version: str = "1.0", **more: str) -> str:
    """One [[package]] with a wheel; `more` are lines of TOML values."""
    file = f'files = [{{file = "{name}-{version}-py3-none-any.whl", hash = "{HASH}"}}]'
    lines = [
        f'name = "{name}"',
        f'version = "{version}"',
        *(f"{key} = {value}" for key, value in more.items()),
    ]
    return "\n".join(["[[package]]", *lines, *([] if "files" in more else [file]), ""])


def answers(text: str, queries: object) -> Completions:
    """What an index says: the file of each hash, by the name that the lock has."""
    found = {}
    assert isinstance(queries, tuple)
    for query in queries:
        assert isinstance(query, PypiQuery)
        (hash,) = query.hashes
        match = re.search(rf'file = "([^"]*)", hash = "sha256:{hash.hex}"', text)
        assert match is not None
        found[query.key] = (RemoteFile(file_name=match[1], url=f"pypi-files:{match[1]}", hash=hash),)
    return found


def plan(text: str, *, options: Options = NO_OPTIONS, pyproject: str | None = None) -> Plan:
    siblings = {} if pyproject is None else {"pyproject.toml": pyproject}

    def make(completions: Completions) -> Plan:
        return poetry.plan(
            text,
            path="poetry.lock",
            target=LINUX,
            options=options,
            completions=completions,
            siblings=siblings,
        )

    return make(answers(text, make({}).queries))


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@pytest.mark.parametrize(
    ("options", "key"),
    [
        pytest.param(NO_OPTIONS, "default", id="default"),
        pytest.param(Options(groups=("dev", "docs")), "docs", id="optional group"),
        pytest.param(Options(groups=()), "main", id="main only"),
        pytest.param(Options(extras=("cache",)), "cache", id="extra"),
    ],
)
def test_what_poetry_itself_would_install_is_chosen(version: str, options: Options, key: str) -> None:
    # installed.json: what `poetry install --dry-run` of Poetry 1.8.5 and 2.2.1 listed, the latter by the lock's markers.
    folder = f"poetry-{version}"
    expected = json.loads(data(folder, "installed.json"))[key]
    found = plan(data(folder, "poetry.lock"), options=options, pyproject=data(folder, "pyproject.toml"))
    assert sorted(f"{name}=={version}" for name, (version, _) in chosen(found).items()) == expected
    assert not found.queries


def test_the_query_asks_for_the_one_file_that_fits() -> None:
    text = HEAD + package(
        "a",
        files=f'[{{file = "a-1.0.tar.gz", hash = "{HASH}"}}, {{file = "a-1.0-py3-none-any.whl", hash = "sha256:{"cd" * 32}"}}]',
    )
    (query,) = poetry.plan(
        text, path="poetry.lock", target=LINUX, options=NO_OPTIONS, completions={}, siblings={}
    ).queries
    assert isinstance(query, PypiQuery)
    assert [hash.hex for hash in query.hashes] == ["cd" * 32]


def test_another_source_is_asked_by_its_own_index() -> None:
    source = '\n[package.source]\ntype = "legacy"\nurl = "https://index.test/simple"\nreference = "x"\n'
    text = package("a") + source + HEAD
    (query,) = poetry.plan(
        text, path="poetry.lock", target=LINUX, options=NO_OPTIONS, completions={}, siblings={}
    ).queries
    assert isinstance(query, PypiQuery)
    assert query.index == "https://index.test/simple"


@pytest.mark.parametrize("key", ["reference", "resolved_reference"])
def test_the_commit_of_a_repository_is_where_each_version_of_poetry_writes_it(key: str) -> None:
    source = f'\n[package.source]\ntype = "git"\nurl = "https://x.test/a.git"\n{key} = "{"ab" * 20}"\n'
    (query,) = poetry.plan(
        package("a", files="[]") + source + HEAD,
        path="poetry.lock",
        target=LINUX,
        options=NO_OPTIONS,
        completions={},
        siblings={},
    ).queries
    assert query.key == f"git:https://x.test/a.git#{'ab' * 20}"


def test_a_file_at_a_url_needs_no_index() -> None:
    source = '\n[package.source]\ntype = "url"\nurl = "https://x.test/a-1.0-py3-none-any.whl"\n'
    (found,) = plan(package("a") + source + HEAD).packages
    assert (found.file.url, found.direct) == ("https://x.test/a-1.0-py3-none-any.whl", True)


@pytest.mark.parametrize("develop", [True, False])
def test_a_directory_is_imported_in_place_where_it_is_developed(develop: bool) -> None:
    source = '\n[package.source]\ntype = "directory"\nurl = "../lib"\n'
    found = plan(package("lib", develop=str(develop).lower(), files="[]") + source + HEAD)
    assert editables(found) == {"lib": "../lib"}
    assert isinstance(found.view, SitePackages)
    assert [each.in_place for each in found.view.editables] == [develop]


def test_a_marker_may_stand_for_each_group() -> None:
    markers = "{main = \"sys_platform == 'win32'\", dev = \"sys_platform == 'linux'\"}"
    text = HEAD + package("a", groups='["main", "dev"]', markers=markers)
    assert chosen(plan(text)) == {"a": ("1.0", "a-1.0-py3-none-any.whl")}
    assert chosen(plan(text, options=Options(groups=()))) == {}


OLD = '[metadata]\nlock-version = "1.1"\n[metadata.files]\n"A.b" = [{{file = "A_b-1.0-py3-none-any.whl", hash = "{0}"}}]\nc = [{{file = "c-2.0-py3-none-any.whl", hash = "{1}"}}]\n'


def test_an_old_lock_lists_files_apart_and_is_walked() -> None:
    text = (
        '[[package]]\nname = "a-b"\nversion = "1.0"\ncategory = "main"\n[package.dependencies]\nc = {version = "^2", optional = true}\n[package.extras]\nmore = ["c (>=2)"]\n'
        '[[package]]\nname = "c"\nversion = "2.0"\ncategory = "main"\n'
        + OLD.format(HASH, "sha256:" + "cd" * 32)
    )
    plain = '[tool.poetry.dependencies]\npython = "^3.9"\na-b = "*"\n'
    assert list(chosen(plan(text, pyproject=plain))) == ["a-b"]
    with_extra = plain.replace('"*"', '{version = "*", extras = ["more"]}')
    assert list(chosen(plan(text, pyproject=with_extra))) == ["a-b", "c"]


@pytest.mark.parametrize(
    ("text", "pyproject", "said"),
    [
        pytest.param(HEAD.replace("2.1", "3.0"), None, "version '3.0' is not known", id="version"),
        pytest.param("x = 1\n", None, "metadata: is missing", id="no metadata"),
        pytest.param(HEAD.replace("2.1", "2.0"), None, "no pyproject.toml beside it", id="no manifest"),
        pytest.param(
            HEAD + package("a") + package("a", "2.0"), None, "both a 1.0 and 2.0", id="two versions"
        ),
        pytest.param(
            package("a") + '\n[package.source]\ntype = "git"\nurl = "https://x.test/a.git"\n' + HEAD,
            None,
            "a comes from git at '', which is no commit",
            id="git",
        ),
        pytest.param(
            HEAD + package("a", files=f'[{{file = "a-1.0-py2-none-any.whl", hash = "{HASH}"}}]'),
            None,
            "a 1.0 has no wheel for CPython 3.11 on linux x86_64 (glibc 2.36) and no sdist",
            id="no file that fits",
        ),
        pytest.param(
            HEAD.replace("2.1", "2.0") + package("a"),
            '[tool.poetry.dependencies]\nb = "^1"\n',
            "the lock has no b that fits ^1",
            id="stale",
        ),
        pytest.param(
            HEAD.replace("2.1", "2.0") + package("a") + package("a", "2.0"),
            '[tool.poetry.dependencies]\na = "?1"\n',
            "cannot understand the constraint '?1'",
            id="constraint",
        ),
        pytest.param(HEAD + package("a", markers='"what"'), None, "cannot evaluate", id="marker"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, pyproject: str | None, said: str) -> None:
    error = failure(lambda: plan(text, pyproject=pyproject))
    assert any(said in message for message in messages(error))


@pytest.mark.parametrize("options", [Options(extras=("nope",)), Options(groups=("nope",))])
def test_unknown_extras_and_groups_are_said(options: Options) -> None:
    with pytest.raises(DevenvError, match="named nope"):
        plan(HEAD + package("a"), options=options)


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        pytest.param("^1.2.3", ["1.2.3", "1.9"], ["1.2.2", "2.0", "2.0.dev1", "2.0rc1"], id="caret"),
        pytest.param("^0.2.3", ["0.2.3", "0.2.9"], ["0.3"], id="caret below one"),
        pytest.param("^0.0.3", ["0.0.3"], ["0.0.4"], id="caret below a tenth"),
        pytest.param("^0", ["0.5"], ["1.0"], id="caret zero"),
        pytest.param("~1.2.3", ["1.2.3", "1.2.9"], ["1.3"], id="tilde"),
        pytest.param("~1", ["1.9"], ["2.0"], id="short tilde"),
        pytest.param("~=1.4", ["1.5"], ["2.0"], id="compatible"),
        pytest.param("1.2", ["1.2", "1.2.0"], ["1.2.1"], id="exact"),
        pytest.param("1.*", ["1.9"], ["2.0"], id="wildcard"),
        pytest.param("*", ["9"], [], id="anything"),
        pytest.param(">=1, <2", ["1.5"], ["2.0"], id="and"),
        pytest.param(">= 1 < 2", ["1.5"], ["2.0"], id="blanks"),
        pytest.param("<1 || >=2", ["0.5", "2.5"], ["1.5"], id="or"),
        pytest.param("!=1.5", ["1.4"], ["1.5"], id="not"),
    ],
)
def test_constraints_mean_what_poetry_says(constraint: str, inside: list[str], outside: list[str]) -> None:
    assert [version for version in inside if not allows(constraint, version)] == []
    assert [version for version in outside if allows(constraint, version)] == []


NUMBERS = st.lists(st.integers(0, 20), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))


@given(NUMBERS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS)
def test_constraints_of_pep_440_mean_the_same(bound: str, operator: str, version: str) -> None:
    assert allows(operator + bound, version) == SpecifierSet(operator + bound).contains(version)


@given(st.text(st.sampled_from("^~*=<>!|,. 019ax"), max_size=12))
def test_any_constraint_is_answered_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert allows(text, "1.2.3") in (True, False)


@given(
    st.lists(
        st.sampled_from([*package("a").splitlines(True), *HEAD.splitlines(True), '"', "[", "groups = 3\n"])
    )
)
def test_damaged_locks_are_our_errors_or_plans(pieces: list[str]) -> None:
    try:
        poetry.plan(
            "".join(pieces), path="poetry.lock", target=LINUX, options=NO_OPTIONS, completions={}, siblings={}
        )
    except DevenvError as error:
        assert str(error)


def test_plugin_may_need_the_project_itself_and_what_old_poetry_did_not_lock() -> None:
    needs = '[package.dependencies]\ntool = ">=1"\nsetuptools = "*"\n'
    text = package("plugin") + needs + '[metadata]\nlock-version = "1.1"\n'
    pyproject = '[tool.poetry]\nname = "Tool"\n[tool.poetry.dependencies]\nplugin = "*"\n'
    found = plan(text, pyproject=pyproject)
    assert list(chosen(found)) == ["plugin"]
    (notice,) = found.notices
    assert "setuptools is not in it" in notice
    with pytest.raises(DevenvError, match="the lock has no tool that fits >=1"):
        plan(text, pyproject=pyproject.replace("Tool", "other"))


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ('[tool.poetry]\nname = "My.App"\n', ["my-app"]),
        ('[project]\nname = "app"\n', ["app"]),
        ('[project]\nname = "app"\n[tool.poetry]\npackage-mode = false\n', []),
        ("[tool.poetry]\npackage-mode = false\n", []),
        ("", []),
    ],
    ids=["poetry's name", "project's name", "no package of either", "no package", "nameless"],
)
def test_the_project_itself_is_installed_in_place(manifest: str, expected: list[str]) -> None:
    view = plan(HEAD, pyproject=manifest).view
    assert isinstance(view, SitePackages)
    assert [(each.name, each.path, each.in_place) for each in view.editables] == [
        (name, ".", True) for name in expected
    ]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [("win32", False), ("!=win32", True), ("darwin || linux", True), ("==darwin", False), ("!=linux", False)],
)
def test_dependencies_for_other_platforms_are_left_out(constraint: str, expected: bool) -> None:
    lock = HEAD.replace("2.1", "2.0") + package("one")
    manifest = f'[tool.poetry.dependencies]\none = {{version = "*", platform = "{constraint}"}}\n'
    assert bool(plan(lock, pyproject=manifest).packages) is expected
