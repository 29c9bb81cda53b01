from __future__ import annotations

import random
import tomllib
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Environment
from packaging.pylock import PackageWheel, Pylock
from packaging.tags import parse_tag

from devenv.adapter import GitQuery, Options, Plan, PypiQuery, RemoteFile, SitePackages, Target
from devenv.adapters import pylock
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from tests.support.pythons import (
    NO_COMPLETIONS,
    NO_OPTIONS,
    chosen,
    data,
    editables,
    failure,
    linux_target,
    messages,
)

LINUX = linux_target()
LINUX_312 = linux_target("3.12.4")
DIGEST = "ab" * 32


def plan(
    text: str,
    *,
    target: Target = LINUX,
    options: Options = NO_OPTIONS,
    completions: dict[str, tuple[RemoteFile, ...]] | None = None,
) -> Plan:
    return pylock.plan(
        text,
        path="pylock.toml",
        target=target,
        options=options,
        completions=completions or NO_COMPLETIONS,
        siblings={},
    )


def lock_text(*packages: str, top: str = "") -> str:
    return "\n".join(['lock-version = "1.0"', 'created-by = "test"', top, *packages, ""])


def package(name: str, more: str = "", *, version: str = "1.0", file: str = "") -> str:
    """An entry with one wheel, or with `file` instead of that."""
    url = f"https://files.test/{name.replace('-', '_')}-{version}-py3-none-any.whl"
    files = file or f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{DIGEST}" }} }}]'
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}\n{files}'


# --- against packaging's own selection -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [LINUX, LINUX_312, linux_target("3.12.1", "aarch64")], ids=["3.11", "3.12", "3.12 arm"]
)
@pytest.mark.parametrize("folder", ["pylock-pip-30", "pylock-spec-example"])
def test_the_choice_is_that_of_packaging(folder: str, target: Target) -> None:
    text = data(folder, "pylock.toml")
    assert target.python is not None
    tags = [tag for tag_text in target.python.tags for tag in parse_tag(tag_text)]
    environment = cast("Environment", dict(target.python.markers))
    try:
        selected = list(Pylock.from_dict(tomllib.loads(text)).select(environment=environment, tags=tags))
    except Exception as error:  # noqa: BLE001  # whatever it objects to, we must object as well
        assert messages(failure(lambda: plan(text, target=target))), error
        return
    expected = {
        str(package.name): (str(package.version), artifact.filename)
        for package, artifact in selected
        if isinstance(artifact, PackageWheel)
    }
    assert chosen(plan(text, target=target)) == expected
    assert expected


# --- markers, groups, extras ---------------------------------------------------------------------------------

GROUPED = lock_text(
    package("always"),
    package("on-linux", "marker = \"sys_platform == 'linux'\""),
    package("on-windows", "marker = \"sys_platform == 'win32'\""),
    package("in-dev", "marker = \"'dev' in dependency_groups\""),
    package("in-test", "marker = \"'Test' in dependency_groups or 'all' in extras\""),
    package("not-web", "marker = \"'web' not in extras\""),
    top='extras = ["web", "all"]\ndependency-groups = ["test"]\ndefault-groups = ["dev"]',
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (NO_OPTIONS, {"always", "on-linux", "in-dev", "not-web"}),
        (Options(groups=()), {"always", "on-linux", "not-web"}),
        (Options(groups=("test", "dev")), {"always", "on-linux", "in-test", "in-dev", "not-web"}),
        (Options(groups=(), extras=("Web",)), {"always", "on-linux"}),
        (Options(groups=(), extras=("all",)), {"always", "on-linux", "in-test", "not-web"}),
    ],
)
def test_markers_see_the_chosen_extras_and_groups(options: Options, expected: set[str]) -> None:
    assert set(chosen(plan(GROUPED, options=options))) == expected


def test_unknown_extras_and_groups_are_reported_together() -> None:
    error = failure(lambda: plan(GROUPED, options=Options(extras=("wep",), groups=("x",))))
    assert messages(error) == [
        "pylock.toml: no extra named wep; it has all, web",
        "pylock.toml: no dependency group named x; it has dev, test",
    ]


def test_two_entries_of_one_name_are_an_error_that_names_both() -> None:
    text = lock_text(package("a"), package("A", version="2.0"))
    assert "both a 1.0 (packages[0]) and A 2.0 are selected" in str(failure(lambda: plan(text)))


@pytest.mark.parametrize(
    ("top", "entry", "message"),
    [
        (
            'requires-python = "<3.11"',
            "",
            "the project needs Python <3.11, the interpreter has version 3.11.2",
        ),
        ("environments = [\"sys_platform == 'win32'\"]", "", "it is made only for sys_platform == 'win32'"),
        ("", 'requires-python = ">=3.13"', "a 1.0 needs Python >=3.13"),
    ],
    ids=["requires-python", "environments", "of a package"],
)
def test_a_lock_for_another_interpreter_says_so(top: str, entry: str, message: str) -> None:
    assert message in str(failure(lambda: plan(lock_text(package("a", entry), top=top))))


def test_a_later_minor_version_is_used_with_a_notice() -> None:
    made = plan(lock_text(package("a")).replace('"1.0"', '"1.3"', 1))
    assert set(chosen(made)) == {"a"}
    assert "version 1.3" in made.notices[0]


# --- sources -------------------------------------------------------------------------------------------------


def test_files_without_a_name_are_named_by_their_url() -> None:
    file = f'wheels = [{{ url = "https://files.test/x%2By/a-1.0%2Bcpu-py3-none-any.whl?q#f", hashes = {{ sha256 = "{DIGEST}" }} }}]'
    made = plan(lock_text(package("a", file=file)))
    assert chosen(made) == {"a": ("1.0", "a-1.0+cpu-py3-none-any.whl")}
    assert made.packages[0].file.url == "https://files.test/x%2By/a-1.0%2Bcpu-py3-none-any.whl?q"


def test_the_strongest_hash_is_taken() -> None:
    hashes = f'md5 = "{"a" * 32}", sha256 = "{DIGEST}", sha512 = "{"c" * 128}", blake2b = "00"'
    file = f'wheels = [{{ url = "https://files.test/a-1.0-py3-none-any.whl", hashes = {{ {hashes} }}, size = 9 }}]'
    made = plan(lock_text(package("a", file=file)))
    assert (made.packages[0].file.hash.typed_hex, made.packages[0].file.size) == (f"sha512:{'c' * 128}", 9)


def test_a_weak_hash_is_completed_by_the_index() -> None:
    file = f'wheels = [{{ url = "https://files.test/a-1.0-py3-none-any.whl", hashes = {{ md5 = "{"a" * 32}" }} }}]'
    text = lock_text(package("a", 'index = "https://index.test/simple"', file=file))
    (query,) = plan(text).queries
    assert query == PypiQuery(
        name="a", version="1.0", hashes=(Hash.from_hex("md5", "a" * 32),), index="https://index.test/simple"
    )
    answer = RemoteFile(
        file_name="a-1.0-py3-none-any.whl", url="pypi-files:a.whl", hash=Hash.of("sha256", b"")
    )
    assert plan(text, completions={query.key: (answer,)}).packages[0].file == answer


def test_an_archive_that_is_a_wheel_is_a_direct_reference() -> None:
    file = f'archive = {{ url = "https://files.test/a-1.0-py3-none-any.whl", hashes = {{ sha256 = "{DIGEST}" }} }}'
    made = plan(lock_text(package("a", file=file)))
    assert isinstance(made.view, SitePackages)
    assert [(p.name, p.direct) for p in made.view.packages] == [("a", True)]


@pytest.mark.parametrize("marked", [True, False])
def test_directories_are_imported_in_place_where_they_are_editable(marked: bool) -> None:
    said = "editable = true, " if marked else ""
    text = f'[[packages]]\nname = "a"\ndirectory = {{ path = "libs/a", {said}subdirectory = "py" }}'
    made = plan(lock_text(text))
    assert editables(made) == {"a": "libs/a/py"}
    assert isinstance(made.view, SitePackages)
    assert [each.in_place for each in made.view.editables] == [marked]


def test_what_cannot_be_installed_is_refused_at_once() -> None:
    sdist = f'{{ url = "https://files.test/x.tar.gz", hashes = {{ sha256 = "{DIGEST}" }} }}'
    text = lock_text(
        package("a", file=f"sdist = {sdist}"),
        package("c", file='vcs = { type = "git", url = "https://git.test/c", commit-id = "abc" }'),
        package("d", file='vcs = { type = "hg", url = "https://hg.test/c", commit-id = "abc" }'),
        package(
            "f",
            file=f'wheels = [{{ name = "f-1.0-cp27-cp27m-win32.whl", url = "https://x.test/f", hashes = {{ sha256 = "{DIGEST}" }} }}]',
        ),
    )
    found = messages(failure(lambda: plan(text)))
    assert [line.partition(": ")[2].partition(": ")[0] for line in found] == [
        "packages[0]",
        "packages[1].vcs",
        "packages[2].vcs.type",
        "packages[3]",
    ]
    assert found[0].endswith("x.tar.gz is not an sdist of a 1.0")
    assert found[3].endswith(
        "f 1.0 has no wheel for CPython 3.11 on linux x86_64 (glibc 2.36) and no sdist; "
        "wheels there are: cp27-cp27m-win32"
    )


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_what_has_to_be_built_is_asked_about_and_then_built() -> None:
    sdist = f'{{ url = "https://files.test/a-1.0.tar.gz", hashes = {{ sha256 = "{DIGEST}" }} }}'
    archive = f'{{ path = "dist/any.zip", subdirectory = "sub", hashes = {{ sha256 = "{DIGEST}" }} }}'
    vcs = f'{{ type = "git", url = "https://git.test/c", commit-id = "{COMMIT}", subdirectory = "py" }}'
    text = lock_text(
        package("a", file=f"sdist = {sdist}"),
        package("b", file=f"archive = {archive}"),
        package("c", file=f"vcs = {vcs}"),
        package("d", file='directory = { path = "libs/d" }'),
    )
    repository = RemoteFile(
        file_name="c", url=f"git+https://git.test/c#{COMMIT}", hash=Hash.of("sha256", b"tree")
    )
    answers: dict[str, tuple[RemoteFile, ...]] = {}
    seen = []
    while open_queries := plan(text, completions=answers).queries:
        seen += [type(query).__name__ for query in open_queries]
        for query in open_queries:
            answers[query.key] = (repository,) if isinstance(query, GitQuery) else ()
    assert sorted(seen) == ["BuildQuery", "BuildQuery", "BuildQuery", "GitQuery"]
    made = plan(text, completions=answers)
    assert isinstance(made.view, SitePackages)
    found = {
        p.name: (p.format, p.file.url, p.direct, p.build.subdirectory) for p in made.view.packages if p.build
    }
    assert found == {
        "a": ("sdist", "https://files.test/a-1.0.tar.gz", False, ""),
        "b": ("sdist", "project:dist/any.zip", True, "sub"),
        "c": ("sdist", f"git+https://git.test/c#{COMMIT}", True, "py"),
    }
    assert [editable.path for editable in made.view.editables] == ["libs/d/."]


# --- damage --------------------------------------------------------------------------------------------------

FILE = f'{{ url = "https://files.test/a-1.0-py3-none-any.whl", hashes = {{ sha256 = "{DIGEST}" }} }}'
DAMAGED: dict[str, tuple[str, str]] = {
    "nothing": ("", "lock-version: is missing"),
    "another version": ('lock-version = "2.0"', "version '2.0' is not known here"),
    "packages as text": (lock_text(top='packages = "x"'), "packages: expected a list, found text"),
    "no name": (lock_text("[[packages]]\nversion = '1'"), "packages[0].name: is missing"),
    "no source": (lock_text("[[packages]]\nname = 'a'"), "exactly one source (vcs, directory, archive, or files), it has none"),
    "two sources": (lock_text(package("a", file=f"sdist = {FILE}\narchive = {FILE}")), "it has archive, sdist or wheels"),
    "no hashes": (lock_text(package("a", file='wheels = [{ url = "https://f.test/a-1.0-py3-none-any.whl" }]')), "has no hash"),
    "bad hash": (lock_text(package("a", file=f"wheels = [{FILE}]").replace(DIGEST, "zz")), "packages[0].wheels[0].hashes"),
    "number as hash": (lock_text(package("a", file=f"wheels = [{FILE}]").replace(f'"{DIGEST}"', "1")), "expected text, found a number"),
    "neither url nor path": (lock_text(package("a", file=f'wheels = [{{ name = "a-1.0-py3-none-any.whl", hashes = {{ sha256 = "{DIGEST}" }} }}]')), "neither url nor path"),
    "foreign wheel": (lock_text(package("b", file=f"wheels = [{FILE}]")), "a-1.0-py3-none-any.whl is not a wheel of b 1.0"),
    "bad marker": (lock_text(package("a", "marker = 'x'")), "packages[0].marker: cannot evaluate"),
    "set on the left": (lock_text(package("a", "marker = \"extras in 'x'\"")), "packages[0].marker: cannot evaluate"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_reported_with_its_place(text: str, message: str) -> None:
    error = str(failure(lambda: plan(text)))
    assert message in error
    assert error.startswith("pylock.toml: ")


@pytest.mark.parametrize("folder", ["pylock-pip-30", "pylock-spec-example"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_real_lock_with_mutated_text_gives_a_plan_or_our_error(folder: str, seed: int) -> None:
    chance = random.Random(seed)
    lines = data(folder, "pylock.toml").splitlines(keepends=True)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines))
        cut = chance.randrange(len(lines[place]) + 1)
        broken = lines[place][:cut] + chance.choice("\"{}[]='\0\\9") + lines[place][cut:]
        lines[place] = chance.choice(["", chance.choice(lines), lines[place] * 2, broken])
    try:
        assert isinstance(plan("".join(lines), target=LINUX_312), Plan)
    except DevenvError as error:
        assert "pylock.toml" in str(error)
