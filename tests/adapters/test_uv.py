from __future__ import annotations

import copy
import os
import random
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Environment
from packaging.pylock import PackageWheel, Pylock
from packaging.tags import parse_tag

from devenv.adapter import (
    BuildQuery,
    Completions,
    GitQuery,
    Options,
    Plan,
    PypiQuery,
    RemoteFile,
    SitePackages,
    Target,
)
from devenv.adapters import uv
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from tests.support.pythons import (
    DATA,
    NO_COMPLETIONS,
    NO_OPTIONS,
    chosen,
    data,
    editables,
    failure,
    linux_target,
    messages,
    uv_program,
)

LINUX = linux_target()
LINUX_312 = linux_target("3.12.4")
HASH = "sha256:" + "ab" * 32


def plan(
    text: str,
    *,
    target: Target = LINUX,
    options: Options = NO_OPTIONS,
    completions: Completions = NO_COMPLETIONS,
    pyproject: str | None = None,
) -> Plan:
    siblings = {} if pyproject is None else {"pyproject.toml": pyproject}
    return uv.plan(
        text, path="uv.lock", target=target, options=options, completions=completions, siblings=siblings
    )


def plan_of(
    folder: str,
    *,
    target: Target = LINUX,
    options: Options = NO_OPTIONS,
    completions: Completions = NO_COMPLETIONS,
) -> Plan:
    """Plan a lockfile of the test data, with its manifest where it has one."""
    has_manifest = os.path.exists(os.path.join(DATA, folder, "pyproject.toml"))
    manifest = data(folder, "pyproject.toml") if has_manifest else None
    text = data(folder, "uv.lock")
    return plan(text, target=target, options=options, pyproject=manifest, completions=completions)


# --- against uv's own walk and packaging's own choice of wheels ---------------------------------------------

TARGETS = {
    "3.11": LINUX,
    "3.12 arm": linux_target("3.12.4", "aarch64"),
    "3.13, old glibc": linux_target("3.13.1", glibc=28),
}
MANIFESTS = {
    "uv-mcp-python-sdk": '[project]\nname = "mcp"\nversion = "0"\nrequires-python = ">=3.10"\n',
    "uv-dependency-groups": '[project]\nname = "dependency-groups"\nversion = "0"\nrequires-python = ">=3.11"\n',
    "uv-multi-pythons": '[project]\nname = "multi-pythons"\nversion = "0"\nrequires-python = ">=3.11"\n',
}


def exported(folder: str, tmp_path: Path, *args: str) -> Pylock:
    """What uv makes of a lockfile, as a standard one."""
    project = tmp_path / "project"
    shutil.copytree(os.path.join(DATA, folder), project)
    if folder in MANIFESTS:
        (project / "pyproject.toml").write_text(MANIFESTS[folder])
    command = [uv_program(), "export", "--frozen", "--offline", "--no-cache", "--no-header", "--quiet"]
    done = subprocess.run(
        [*command, "--format", "pylock.toml", "--no-emit-project", *args],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    return Pylock.from_dict(tomllib.loads(done.stdout))


def selected(lock: Pylock, target: Target) -> dict[str, tuple[str, str]]:
    """name -> (version, SHA-256) by packaging's own selection; "" for what is not a wheel."""
    assert target.python is not None
    tags = [tag for text in target.python.tags for tag in parse_tag(text)]
    environment = cast("Environment", dict(target.python.markers))
    found = {}
    for package, artifact in lock.select(environment=environment, tags=tags):
        if package.directory is None and package.vcs is None:
            digest = artifact.hashes["sha256"] if isinstance(artifact, PackageWheel) else ""
            found[str(package.name)] = (str(package.version), digest)
    return found


def answered(plan: Callable[[Completions], Plan]) -> Plan:
    """The plan, when all that it asks is answered: that repositories are there, that builds need nothing."""
    known: dict[str, tuple[RemoteFile, ...]] = {}
    while queries := plan(known).queries:
        for query in queries:
            assert query.key not in known
            tree = RemoteFile(file_name="x", url=query.key, hash=Hash.of("sha256", query.key.encode()))
            known[query.key] = (tree,) if isinstance(query, GitQuery) else ()
    return plan(known)


def hashes(plan: Plan) -> dict[str, tuple[str, str]]:
    """name -> (version, SHA-256) of what a plan installs. File names are spelled anew by uv's export."""
    return {package.name: (package.version, package.file.hash.hex) for package in plan.packages}


CASES = [
    ("uv-nanochat", NO_OPTIONS, []),
    ("uv-nanochat", Options(extras=("cpu",)), ["--extra", "cpu"]),
    ("uv-nanochat", Options(extras=("gpu",)), ["--extra", "gpu"]),
    ("uv-nanochat", Options(extras=("gpu",), groups=("dev",)), ["--extra", "gpu", "--group", "dev"]),
    ("uv-mcp-python-sdk", Options(groups=()), ["--no-dev"]),
    (
        "uv-mcp-python-sdk",
        Options(extras=("cli", "rich"), groups=()),
        ["--no-dev", "--extra", "cli", "--extra", "rich"],
    ),
    ("uv-dependency-groups", Options(groups=("group-a",)), ["--no-dev", "--group", "group-a"]),
    ("uv-multi-pythons", NO_OPTIONS, []),
    ("uv-virtual-workspace", NO_OPTIONS, []),
    (
        "uv-virtual-workspace",
        Options(extras=("fast",), groups=("docs",)),
        ["--no-dev", "--extra", "fast", "--group", "docs"],
    ),
]


@pytest.mark.parametrize(("folder", "options", "args"), CASES, ids=lambda value: str(value)[:60])
def test_the_choice_is_that_of_uv_and_packaging(
    folder: str, options: Options, args: list[str], tmp_path: Path
) -> None:
    lock = exported(folder, tmp_path, *args)
    for name, target in TARGETS.items():
        expected = selected(lock, target)
        made = answered(lambda known: plan_of(folder, target=target, options=options, completions=known))  # noqa: B023
        sources = {package for package, (_, digest) in expected.items() if not digest}
        assert {package.name for package in made.packages if package.format == "sdist"} == sources, name
        wheels = {key: value for key, value in expected.items() if key not in sources}
        found = {key: value for key, value in hashes(made).items() if key not in sources}
        assert found == wheels, name
    assert expected


# --- roots, groups, extras ----------------------------------------------------------------------------------


def test_members_that_are_needed_are_imported_in_place() -> None:
    made = plan_of("uv-virtual-workspace")
    assert editables(made) == {"aa": "packages/aa"}
    assert "iniconfig" in chosen(made)
    assert "packaging" in chosen(made)
    assert isinstance(made.view, SitePackages)
    assert [each.in_place for each in made.view.editables] == [True]


def test_workspace_without_members_has_no_packages() -> None:
    found = plan("version = 1\nrevision = 3\nrequires-python = '>=3.9'\n")
    assert isinstance(found.view, SitePackages) and found.view.packages == ()


def test_the_root_decides_not_every_member() -> None:
    made = plan_of("uv-workspace-virtual-root", target=LINUX_312)
    assert editables(made) == {"pkg-a": "packages/pkg-a"}
    assert set(chosen(made)) == {"arpeggio"}


@pytest.mark.parametrize(
    ("groups", "pyproject", "expected"),
    [
        (None, None, {"arpeggio"}),
        (None, "", {"arpeggio"}),
        (None, "[tool.uv]\ndefault-groups = []\n", set()),
        (None, '[tool.uv]\ndefault-groups = ["Group.A"]\n', {"coverage", "urllib3"}),
        (None, '[tool.uv]\ndefault-groups = "all"\n', {"arpeggio", "coverage", "urllib3"}),
        ((), '[tool.uv]\ndefault-groups = "all"\n', set()),
        (("group_a",), None, {"coverage", "urllib3"}),
        (("dev", "group-a"), None, {"arpeggio", "coverage", "urllib3"}),
    ],
)
def test_groups_are_those_asked_for_else_the_defaults(
    groups: tuple[str, ...] | None, pyproject: str | None, expected: set[str]
) -> None:
    text = data("uv-dependency-groups", "uv.lock")
    made = plan(text, options=Options(groups=groups), pyproject=pyproject)
    assert set(chosen(made)) == expected


def test_an_edges_extra_brings_the_extras_dependencies() -> None:
    text = data("uv-dependency-groups", "uv.lock")
    made = plan(text, target=linux_target("3.11.0"), options=Options(groups=("group-a",)))
    assert "tomli" in chosen(made)  # only before 3.11.1, and only for coverage[toml]


def test_unknown_extras_and_groups_are_all_reported_with_a_guess() -> None:
    error = failure(lambda: plan_of("uv-nanochat", options=Options(extras=("gpuu", "x"), groups=("deb",))))
    found = messages(error)
    assert found == [
        "uv.lock: no extra named gpuu, x; it has cpu, gpu",
        "uv.lock: no dependency group named deb; it has dev",
    ]
    hints = [problem.hint for problem in getattr(error, "problems", ())]
    assert hints == ["Did you mean gpu?", "Did you mean dev?"]


# --- conflicts and forks -------------------------------------------------------------------------------------


def test_conflicting_extras_each_get_their_own_version() -> None:
    versions = {
        name: chosen(plan_of("uv-nanochat", options=Options(extras=extras)))["torch"]
        for name, extras in (("none", ()), ("cpu", ("cpu",)), ("gpu", ("gpu",)))
    }
    assert versions == {
        "none": ("2.9.1", "torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl"),
        "cpu": ("2.9.1+cpu", "torch-2.9.1+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"),
        "gpu": ("2.9.1+cu128", "torch-2.9.1+cu128-cp311-cp311-manylinux_2_28_x86_64.whl"),
    }


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        ("uv-nanochat", Options(extras=("cpu", "gpu")), "extra cpu of nanochat and extra gpu of nanochat"),
        (
            "uv-conflicts",
            Options(extras=("extra-b",), groups=("group-c",)),
            "extra extra-b of conflicts and group group-c",
        ),
        (
            "uv-dependency-group-conflicts",
            Options(groups=("group-a", "group-c")),
            "group group-a of .* and group group-c",
        ),
    ],
)
def test_what_is_declared_to_conflict_cannot_be_chosen_together(
    folder: str, options: Options, message: str
) -> None:
    error = failure(lambda: plan_of(folder, target=LINUX_312, options=options))
    assert re.search(message + ".* cannot be installed together", str(error))


def test_an_extra_that_a_dependency_asks_for_counts_as_chosen() -> None:
    text = lock_text(
        package("root", 'editable = "."', dependencies='{ name = "mid", extra = ["fast"] }'),
        package("mid", extras={"fast": '{ name = "leaf", marker = "extra == \'extra-3-mid-fast\'" }'}),
        package("leaf"),
        top="conflicts = [[{ package = 'mid', extra = 'fast' }, { package = 'mid', extra = 'slow' }]]",
    )
    assert set(chosen(plan(text))) == {"mid", "leaf"}


@pytest.mark.parametrize(("release", "version"), [("5.10.65", "2.0.1"), ("5.10.104", "2.0.2"), ("6.1", None)])
def test_edges_markers_choose_among_forks(release: str, version: str | None) -> None:
    target = linux_target("3.12.4")
    assert target.python is not None
    cast("dict[str, str]", target.python.markers)["platform_release"] = release
    found = chosen(plan_of("uv-multi-choice-package", target=target))
    assert found.get("arpeggio", (None,))[0] == version


def test_an_edge_that_leaves_the_version_open_follows_the_forks_markers() -> None:
    fork = "resolution-markers = [\"python_full_version {} '3.12'\"]"
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'),
        package("leaf", version="1.0", more=fork.format("<")),
        package("leaf", version="2.0", more=fork.format(">=")),
    )
    assert chosen(plan(text))["leaf"][0] == "1.0"
    assert chosen(plan(text, target=LINUX_312))["leaf"][0] == "2.0"


def test_two_versions_of_one_name_are_an_error_that_names_both() -> None:
    text = lock_text(
        package(
            "root",
            'virtual = "."',
            dependencies='{ name = "leaf", version = "1.0" }, { name = "leaf", version = "2.0" }',
        ),
        package("leaf", version="1.0"),
        package("leaf", version="2.0"),
    )
    error = str(failure(lambda: plan(text)))
    assert "both leaf 1.0 (registry https://index.test/simple) and leaf 2.0" in error


# --- what is refused -----------------------------------------------------------------------------------------


def test_sources_of_every_kind_are_built_or_imported_in_place() -> None:
    made = answered(lambda known: plan_of("uv-kitchen-sink-a", target=LINUX_312, completions=known))
    assert isinstance(made.view, SitePackages)
    found = {package.name: package.file.url for package in made.view.packages if package.direct}
    commit = "f94a429e17b450ac2d3432f46492416ac2cf58ad"
    assert found.pop("pip").endswith(f"#{commit}")
    assert {name: url.partition(":")[0] for name, url in found.items()} == {
        "arpeggio": "https",
        "attrs": "project",
        "blinker": "https",
        "urllib3": "project",
    }
    assert found["attrs"] == "project:../attrs-23.1.0.tar.gz"
    assert sorted(package.name for package in made.view.packages if package.build) == [
        "attrs",
        "blinker",
        "pip",
    ]
    assert editables(made)["b"] == "../b"


def test_a_wheel_at_a_url_is_taken_and_marked() -> None:
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'),
        package("leaf", 'url = "https://files.test/leaf-1.0-py3-none-any.whl"'),
    )
    made = plan(text)
    assert isinstance(made.view, SitePackages)
    assert [(p.name, p.file.url, p.direct) for p in made.view.packages] == [
        ("leaf", "https://files.test/leaf-1.0-py3-none-any.whl", True)
    ]


def test_no_wheel_for_this_platform_names_package_platform_and_what_there_is() -> None:
    wheels = ["leaf-1.0-cp312-cp312-win_amd64.whl", "leaf-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'), package("leaf", wheels=wheels)
    )
    assert str(failure(lambda: plan(text))) == (
        "uv.lock: package[1]: leaf 1.0 has no wheel for CPython 3.11 on linux x86_64 (glibc 2.36) and no sdist; "
        "wheels there are: cp312-cp312-manylinux_2_17_x86_64, cp312-cp312-win_amd64"
    )


@pytest.mark.parametrize("setting", ["no-binary = true", 'no-binary-package = ["Leaf"]'])
def test_what_is_to_be_built_from_source_needs_an_sdist(setting: str) -> None:
    text = lock_text(package("root", 'virtual = "."', dependencies='{ name = "leaf" }'), package("leaf"))
    error = str(failure(lambda: plan(text, pyproject=f"[tool.uv]\n{setting}\n")))
    assert "leaf 1.0 is to be built from source, and has no sdist" in error


SDIST = 'sdist = {{ url = "https://files.test/leaf-1.0.tar.gz", hash = "sha256:{}" }}'.format("ab" * 32)


def test_settings_say_how_packages_are_built() -> None:
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'),
        package("leaf", more=SDIST),
        top='[manifest]\nbuild-constraints = [{ name = "setuptools", specifier = "<70" }]',
    )
    settings = """
[tool.uv]
no-binary-package = ["leaf"]
no-build-isolation-package = ["Leaf", "unbuilt"]
config-settings = { option = "all" }
[tool.uv.extra-build-dependencies]
leaf = ["one", { requirement = "two", match-runtime = true }]
[tool.uv.config-settings-package]
leaf = { option = "mine" }
"""
    (query,) = plan(text, pyproject=settings).queries
    assert isinstance(query, BuildQuery)
    assert (query.constraints, query.extra) == (("setuptools<70",), ("one", "two"))
    planned = plan(text, pyproject=settings, completions={query.key: ()})
    (made,) = planned.packages
    assert made.build is not None
    assert made.build.settings == (("option", "mine"),)
    (notice,) = planned.notices
    assert "no-build-isolation is not followed for leaf:" in notice


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ('requires-python = ">=3.12"', "needs Python >=3.12, the interpreter has version 3.11.2"),
        ("supported-markers = [\"sys_platform == 'darwin'\"]", "locked only for sys_platform == 'darwin'"),
    ],
)
def test_a_lock_for_another_interpreter_says_so(top: str, message: str) -> None:
    text = lock_text(package("root", 'virtual = "."'), top=top)
    assert message in str(failure(lambda: plan(text)))


def test_a_project_without_a_python_is_asked_for_one() -> None:
    error = failure(lambda: plan_of("uv-nanochat", target=Target()))
    assert "needs a Python interpreter" in str(error)
    assert "[packages]" in str(error.hint)


# --- files ---------------------------------------------------------------------------------------------------


def test_the_best_wheel_is_taken_and_of_equals_the_highest_build() -> None:
    wheels = [
        "leaf-1.0-py3-none-any.whl",
        "leaf-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "leaf-1.0-9-cp311-cp311-manylinux_2_35_x86_64.whl",
        "leaf-1.0-10-cp311-cp311-manylinux_2_35_x86_64.whl",
        "leaf-1.0-cp311-cp311-manylinux_2_39_x86_64.whl",
        "leaf-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "leaf-1.0-CP311-abi3-linux_x86_64.whl",
    ]
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'), package("leaf", wheels=wheels)
    )
    assert chosen(plan(text))["leaf"][1] == "leaf-1.0-10-cp311-cp311-manylinux_2_35_x86_64.whl"


@pytest.mark.parametrize("hash", ["", "md5:" + "ab" * 16])
def test_a_missing_or_weak_hash_is_asked_for(hash: str) -> None:
    line = f', hash = "{hash}"' if hash else ""
    text = lock_text(
        package("root", 'virtual = "."', dependencies='{ name = "leaf" }'), package("leaf", hash=line)
    )
    made = plan(text)
    assert chosen(made) == {}
    (query,) = made.queries
    assert isinstance(query, PypiQuery)
    assert (query.key, query.index) == (
        "pypi:leaf==1.0 of https://index.test/simple",
        "https://index.test/simple",
    )
    name = "leaf-1.0-py3-none-any.whl"
    answer = RemoteFile(file_name=name, url="pypi-files:leaf.whl", hash=Hash.of("sha256", b"leaf"))
    completed = plan(text, completions={query.key: (answer,)})
    assert completed.queries == ()
    assert completed.packages[0].file == answer
    assert f"has a SHA-256 of {name}" in str(failure(lambda: plan(text, completions={query.key: ()})))


def package(
    name: str,
    source: str = 'registry = "https://index.test/simple"',
    *,
    version: str = "1.0",
    dependencies: str = "",
    extras: Mapping[str, str] | None = None,
    wheels: list[str] | None = None,
    hash: str = f', hash = "{HASH}"',
    more: str = "",
) -> str:
    names = [f"{name}-{version}-py3-none-any.whl"] if wheels is None else wheels
    files = "".join(f'{{ url = "https://files.test/{file}"{hash} }}, ' for file in names)
    lines = [f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}', more]
    lines += [f"dependencies = [{dependencies}]", f"wheels = [{files}]"]
    for extra, edges in (extras or {}).items():
        lines.append(f"[package.optional-dependencies]\n{extra} = [{edges}]")
    return "\n".join(lines)


def lock_text(*packages: str, top: str = "") -> str:
    return "\n".join(["version = 1", "revision = 3", top, *packages, ""])


# --- damage --------------------------------------------------------------------------------------------------

DAMAGED: dict[str, tuple[str, str]] = {
    "nothing": ("", "version: is missing"),
    "no toml": ("= 1", "not TOML"),
    "merge conflict": ("<<<<<<< ours\nversion = 1\n", "merge conflict"),
    "version 2": ("version = 2", "format 2 is not known"),
    "version as text": ('version = "1"', "version: expected a whole number, found text"),
    "no project": (
        "version = 1\n[[package]]\nname = 'a'\nversion = '1'\nsource = {registry = 'https://x.test/'}",
        "it has no project",
    ),
    "packages as table": ("version = 1\n[package]\nname = 'a'", "package: expected a list, found a table"),
    "no name": ("version = 1\n[[package]]\nversion = '1'", "package[0].name: is missing"),
    "bad name": ("version = 1\n[[package]]\nname = '../x'\nsource = {virtual='.'}", "is not a package name"),
    "no source": ("version = 1\n[[package]]\nname = 'a'", "package[0].source: is missing"),
    "odd source": (
        "version = 1\n[[package]]\nname = 'a'\nsource = {ftp = 'x'}",
        "none of the sources known here",
    ),
    "missing target": (
        lock_text(package("r", 'virtual = "."', dependencies='{ name = "x" }')),
        "no package of the lockfile can be x",
    ),
    "bad marker": (
        lock_text(package("r", 'virtual = "."', dependencies='{ name = "x", marker = "os is linux" }')),
        "package[0].dependencies[0].marker: cannot evaluate the environment marker 'os is linux'",
    ),
    "deep marker": (
        lock_text(package("r", 'virtual = "."', dependencies=f'{{ name = "x", marker = "{"(" * 5000}" }}')),
        "cannot evaluate the environment marker",
    ),
    "bad requires-python": (
        lock_text(package("r", 'virtual = "."'), top="requires-python = 'new'"),
        "is not a version specifier",
    ),
    "foreign wheel": (
        lock_text(
            package("r", 'virtual = "."', dependencies='{ name = "x" }'),
            package("x", wheels=["y-1.0-py3-none-any.whl"]),
        ),
        "y-1.0-py3-none-any.whl is not a wheel of x 1.0",
    ),
    "other version": (
        lock_text(
            package("r", 'virtual = "."', dependencies='{ name = "x" }'),
            package("x", wheels=["x-1.1-py3-none-any.whl"]),
        ),
        "x-1.1-py3-none-any.whl is not a wheel of x 1.0",
    ),
    "path in a name": (
        lock_text(
            package("r", 'virtual = "."', dependencies='{ name = "x" }'),
            package("x", wheels=["x-1.0-%2F-py3-none-any.whl"]),
        ),
        "impossible name",
    ),
    "bad hash": (
        lock_text(
            package("r", 'virtual = "."', dependencies='{ name = "x" }'),
            package("x", hash=', hash = "sha256:xyz"'),
        ),
        "package[1].wheels[0].hash",
    ),
    "unknown hash": (
        lock_text(
            package("r", 'virtual = "."', dependencies='{ name = "x" }'),
            package("x", hash=', hash = "crc:00"'),
        ),
        "expected a hash such as sha256:",
    ),
    "bad url": (
        lock_text(package("r", 'virtual = "."', dependencies='{ name = "x" }'), package("x")).replace(
            "https://files", "ftp://files"
        ),
        "not an http, https or file URL",
    ),
}


@pytest.mark.parametrize(("text", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_reported_with_its_place(text: str, message: str) -> None:
    error = failure(lambda: plan(text))
    assert message in str(error)
    assert str(error).startswith("uv.lock")


def test_several_damaged_packages_are_reported_together() -> None:
    text = lock_text("[[package]]\nname = 1", "[[package]]\nname = 'b'", package("r", 'virtual = "."'))
    assert messages(failure(lambda: plan(text))) == [
        "uv.lock: package[0].name: expected text, found a number",
        "uv.lock: package[1].source: is missing",
    ]


def test_a_wheel_name_of_endless_alternatives_takes_no_time() -> None:
    many = ".".join(f"a{n}" for n in range(3000))
    text = lock_text(
        package("r", 'virtual = "."', dependencies='{ name = "x" }'),
        package("x", wheels=[f"x-1.0-{many}-{many}-{many}.whl"]),
    )
    assert "has no wheel" in str(failure(lambda: plan(text)))


REAL = [
    "uv-kitchen-sink-a",
    "uv-conflicts",
    "uv-dependency-groups",
    "uv-multi-choice-package",
    "uv-virtual-workspace",
]


def planned_or_refused(text: str, target: Target = LINUX_312) -> None:
    for options in (NO_OPTIONS, Options(groups=(), extras=("extra-a",))):
        try:
            assert isinstance(plan(text, target=target, options=options), Plan)
        except DevenvError as error:
            assert str(error)


@pytest.mark.parametrize("folder", REAL)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_real_lock_with_mutated_text_gives_a_plan_or_our_error(folder: str, seed: int) -> None:
    chance = random.Random(seed)
    lines = data(folder, "uv.lock").splitlines(keepends=True)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines))
        other = chance.choice(lines)
        cut = chance.randrange(len(lines[place]) + 1)
        lines[place] = chance.choice(
            [
                "",
                other,
                lines[place] + other,
                lines[place][:cut] + chance.choice("\"{}[]='\0\\9") + lines[place][cut:],
            ]
        )
    planned_or_refused("".join(lines))


VALUES: list[Any] = [
    "",
    "x",
    "0",
    7,
    True,
    1.5,
    [],
    [[]],
    [1],
    {},
    {"name": "x"},
    {"registry": "x"},
    {"virtual": "."},
    "../..",
    "a\nb",
]


@pytest.mark.parametrize("folder", REAL)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_real_lock_with_replaced_values_gives_a_plan_or_our_error(folder: str, seed: int) -> None:
    import tomlkit

    chance = random.Random(seed)
    top: Any = tomllib.loads(data(folder, "uv.lock"))
    for _ in range(chance.randint(1, 3)):
        node = top
        while True:
            keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.8:
                node = node[key]
                continue
            node[key] = copy.deepcopy(chance.choice(VALUES))
            break
    planned_or_refused(tomlkit.dumps(top))
