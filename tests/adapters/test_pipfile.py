from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import Completions, FileQuery, Options, Plan, PypiQuery, RemoteFile
from devenv.adapters import pipfile
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from tests.support.pythons import NO_OPTIONS, chosen, data, editables, failure, linux_target, messages

LINUX = linux_target("3.11.7")
HASH = "sha256:" + "ab" * 32
ENTRY = {"hashes": [HASH], "version": "==1.0", "index": "corp"}
SOURCES = [
    {"name": "corp", "url": "https://index.test/simple"},
    {"name": "secret", "url": "https://$U@x.test/"},
]


def lock(**categories: Any) -> str:
    return json.dumps({"_meta": {"pipfile-spec": 6, "sources": SOURCES}, **categories})


def plan(text: str, options: Options = NO_OPTIONS, completions: Completions | None = None) -> Plan:
    return pipfile.plan(
        text, path="Pipfile.lock", target=LINUX, options=options, completions=completions or {}, siblings={}
    )


def answered(text: str, options: Options = NO_OPTIONS) -> Plan:
    """The plan with one wheel for each query."""
    answers = {}
    for query in plan(text, options).queries:
        assert isinstance(query, PypiQuery)
        name = f"{query.name.replace('-', '_')}-{query.version}-py3-none-any.whl"
        answers[query.key] = (RemoteFile(file_name=name, url=f"pypi-files:{name}", hash=query.hashes[0]),)
    return plan(text, options, answers)


def names(found: Plan) -> list[str]:
    return [query.name for query in found.queries if isinstance(query, PypiQuery)]


@pytest.mark.parametrize(
    ("groups", "categories"),
    [
        pytest.param(None, ("default", "develop"), id="default"),
        pytest.param((), ("default",), id="none"),
        pytest.param(("docs",), ("default", "docs"), id="another"),
    ],
)
def test_categories_are_chosen_as_groups(groups: tuple[str, ...] | None, categories: tuple[str, ...]) -> None:
    text = data("pipfile", "Pipfile.lock")
    raw = json.loads(text)
    # pywin32-like entries aside, no marker of this lock excludes CPython 3.11 on Linux.
    expected = {
        name
        for category in categories
        for name, entry in raw[category].items()
        if "win32" not in entry.get("markers", "") and "< '3.11'" not in entry.get("markers", "")
    }
    found = answered(text, Options(groups=groups))
    assert set(chosen(found)) | set(editables(found)) == expected
    assert set(editables(found)) == {
        name for name in expected if raw["default"].get(name, {}).get("editable")
    }
    assert not found.queries


def test_markers_are_obeyed() -> None:
    entry = {**ENTRY, "markers": "sys_platform == 'win32'"}
    assert names(plan(lock(default={"a": entry, "b": ENTRY}))) == ["b"]


def test_the_named_source_is_asked() -> None:
    (query,) = plan(lock(default={"a": ENTRY})).queries
    assert isinstance(query, PypiQuery)
    assert (query.index, query.version) == ("https://index.test/simple", "1.0")


def test_a_source_with_a_variable_is_left_to_the_users_settings() -> None:
    (query,) = plan(lock(default={"a": {**ENTRY, "index": "secret"}})).queries
    assert isinstance(query, PypiQuery)
    assert query.index is None


def test_editable_directories_are_imported_in_place() -> None:
    found = plan(lock(default={"a": {"path": "./lib", "editable": True}}))
    assert editables(found) == {"a": "./lib"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{}", "_meta: is missing", id="no meta"),
        pytest.param(json.dumps({"_meta": {"pipfile-spec": 7}}), "version 7 is not known", id="spec"),
        pytest.param(lock(default={"a": {**ENTRY, "version": "*"}}), "no pinned version", id="version"),
        pytest.param(lock(default={"a": {**ENTRY, "hashes": []}}), "a has no hash", id="hash"),
        pytest.param(lock(default={"a": {**ENTRY, "hashes": ["x"]}}), "expected a hash", id="bad hash"),
        pytest.param(
            lock(default={"a": {"git": "https://x.test/a", "ref": "b"}}),
            "git at 'b', which is no commit",
            id="git",
        ),
        pytest.param(lock(default={"a": {"hg": "https://x.test/a"}}), "only git is known", id="mercurial"),
        pytest.param(lock(default={"a b": ENTRY}), "is not a package name", id="name"),
        pytest.param(lock(default=[]), "expected a table", id="type"),
        pytest.param("{", "not JSON", id="json"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, said: str) -> None:
    assert any(said in message for message in messages(failure(lambda: plan(text))))


def test_of_two_versions_the_one_of_the_later_category_counts_and_is_named() -> None:
    text = lock(
        default={"a": ENTRY}, develop={"a": {**ENTRY, "version": "==2.0", "hashes": ["sha256:" + "cd" * 32]}}
    )
    found = answered(text)
    assert {name: version for name, (version, _) in chosen(found).items()} == {"a": "2.0"}
    assert found.notices == ("Pipfile.lock: develop.a is 2.0, in place of 1.0 of another category",)


def test_lock_of_the_first_pipenvs_is_read() -> None:
    text = lock(default={"a": ENTRY}).replace('"pipfile-spec": 6', '"pipfile-spec": 2')
    assert list(chosen(answered(text))) == ["a"]


@pytest.mark.parametrize("options", [Options(groups=("nope",)), Options(extras=("x",))])
def test_unknown_categories_and_extras_are_said(options: Options) -> None:
    with pytest.raises(DevenvError, match=r"Pipfile\.lock"):
        plan(lock(default={}), options)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*ENTRY, "_meta", "default", "pipfile-spec", "sources", "a"]), inner
            )
        ),
        max_leaves=15,
    )
)
def test_any_json_is_a_plan_or_our_error(value: object) -> None:
    try:
        plan(json.dumps(value))
    except DevenvError as error:
        assert str(error)


def test_the_hash_of_a_local_file_is_asked_for() -> None:
    (query,) = plan(lock(default={"a": {"path": "./a-1-py3-none-any.whl"}})).queries
    assert query.key == "file:project:a-1-py3-none-any.whl"


@pytest.mark.parametrize("key", ["file", "path"])
@pytest.mark.parametrize("found", ["ab", "cd", "ef"])
def test_of_the_hashes_of_a_release_one_must_be_that_of_the_named_file(key: str, found: str) -> None:
    """pipenv lists all files of a release for a file of it that is given by its place."""
    name = "a-1.0-py3-none-any.whl"
    place = f"https://files.test/{name}" if key == "file" else f"./{name}"
    text = lock(default={"a": {key: place, "hashes": ["sha256:" + "ab" * 32, "sha256:" + "cd" * 32]}})
    (query,) = plan(text).queries
    assert isinstance(query, FileQuery)
    file = RemoteFile(file_name=name, url=query.url, hash=Hash.from_hex("sha256", found * 32))
    answers = {query.key: (file,)}
    if found == "ef":
        with pytest.raises(DevenvError, match="which is none of those of the lockfile"):
            plan(text, completions=answers)
    else:
        assert plan(text, completions=answers).packages[0].file.hash == file.hash


def test_unknown_extras_and_categories_are_said_at_once() -> None:
    error = failure(lambda: plan(lock(default={}), Options(extras=("x",), groups=("nope",))))
    assert len(messages(error)) == 2
