"""Overrides applied to the plans of real adapters, one lockfile of each format, and of one that is not ours."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from devenv.adapter import (
    Adapter,
    BuildQuery,
    Completions,
    FileQuery,
    GitQuery,
    NodeModules,
    NpmQuery,
    Options,
    Package,
    Plan,
    PypiQuery,
    PythonTarget,
    Query,
    RemoteFile,
    RLibrary,
    RQuery,
    SitePackages,
    Target,
)
from devenv.config.overrides import Override
from devenv.config.toml import parse_override
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from devenv.lockfiles import Lockfile
from devenv.overrides.choice import known_packages, missing
from devenv.overrides.writing import full_copy
from devenv.plugins import load_adapters

SUM = Hash.of("sha256", b"x")
SRI = Hash.of("sha512", b"x").sri
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TARGET = Target(
    node_version="20.0.0",
    python=PythonTarget(
        version="3.11.2",
        implementation="cpython",
        tags=("cp311-cp311-manylinux_2_17_x86_64", "py3-none-any"),
        markers={
            "python_version": "3.11",
            "python_full_version": "3.11.2",
            "sys_platform": "linux",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_system": "Linux",
            "implementation_name": "cpython",
            "implementation_version": "3.11.2",
            "platform_python_implementation": "CPython",
            "platform_release": "6",
            "platform_version": "1",
        },
    ),
)
WHEEL = f'url = "https://x.test/pkg-1.0-py3-none-any.whl", hash = "sha256:{SUM.hex}"'
LOCKS = {
    "npm": (
        "package-lock.json",
        (
            f'{{"lockfileVersion": 3, "packages": {{"": {{"dependencies": {{"pkg": "1"}}}}, '
            f'"node_modules/pkg": {{"version": "1.0.0", "resolved": "https://x.test/pkg-1.0.0.tgz", "integrity": "{SRI}"}}}}}}'
        ),
    ),
    "pnpm": (
        "pnpm-lock.yaml",
        (
            "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      pkg: {specifier: ^1, version: 1.0.0}\n"
            f"packages:\n  pkg@1.0.0:\n    resolution: {{integrity: {SRI}}}\nsnapshots:\n  pkg@1.0.0: {{}}\n"
        ),
    ),
    "yarn": (
        "yarn.lock",
        (
            '# yarn lockfile v1\n\npkg@^1:\n  version "1.0.0"\n  resolved "https://x.test/pkg-1.0.0.tgz"\n'
            f"  integrity {SRI}\n"
        ),
    ),
    "uv": (
        "uv.lock",
        (
            'version = 1\nrequires-python = ">=3.8"\n[[package]]\nname = "own"\nversion = "0"\nsource = { virtual = "." }\n'
            'dependencies = [{ name = "pkg" }]\n[[package]]\nname = "pkg"\nversion = "1.0"\n'
            f'source = {{ registry = "https://x.test/simple" }}\nwheels = [{{ {WHEEL} }}]\n'
        ),
    ),
    "pylock": (
        "pylock.toml",
        (
            'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "pkg"\nversion = "1.0"\n'
            '[[packages.wheels]]\nurl = "https://x.test/pkg-1.0-py3-none-any.whl"\n'
            f'hashes = {{ sha256 = "{SUM.hex}" }}\n'
        ),
    ),
    "requirements": ("requirements.txt", f"pkg==1.0 --hash=sha256:{SUM.hex}\n"),
    "pipfile": (
        "Pipfile.lock",
        (
            '{"_meta": {"pipfile-spec": 6, "sources": [{"name": "pypi", "url": "https://x.test/simple"}]}, '
            f'"default": {{"pkg": {{"version": "==1.0", "hashes": ["sha256:{SUM.hex}"]}}}}, "develop": {{}}}}'
        ),
    ),
    "poetry": (
        "poetry.lock",
        (
            '[[package]]\nname = "pkg"\nversion = "1.0"\ngroups = ["main"]\noptional = false\npython-versions = "*"\n'
            f'files = [{{file = "pkg-1.0-py3-none-any.whl", hash = "sha256:{SUM.hex}"}}]\n'
            '[metadata]\nlock-version = "2.1"\npython-versions = "*"\ncontent-hash = "x"\n'
        ),
    ),
    "cargo": (
        "Cargo.lock",
        (
            'version = 4\n[[package]]\nname = "pkg"\nversion = "1.0.0"\n'
            f'source = "registry+https://index.test/i"\nchecksum = "{"ab" * 32}"\n'
        ),
    ),
    "renv": (
        "renv.lock",
        (
            '{"R": {"Version": "4.5.0", "Repositories": [{"Name": "CRAN", "URL": "https://cran.test"}]}, "Packages": '
            '{"pkg": {"Package": "pkg", "Version": "1.0", "Source": "Repository", "Repository": "CRAN"}}}'
        ),
    ),
    "pdm": (
        "pdm.lock",
        (
            '[[package]]\nname = "pkg"\nversion = "1.0"\n'
            f'files = [{{file = "pkg-1.0-py3-none-any.whl", hash = "sha256:{SUM.hex}"}}]\n'
        ),
    ),
}
SIBLINGS = {"yarn": {"package.json": '{"dependencies": {"pkg": "^1"}}'}, "pnpm": {"package.json": "{}"}}
KIND = {"npm": "npm", "pnpm": "npm", "yarn": "npm", "cargo": "crate", "renv": "r"}


def adapter_of(name: str) -> Adapter:
    """Of pdm's lockfile it is the one that docs/adapters.md shows."""
    if name != "pdm":
        return load_adapters()[name]
    text = (Path(__file__).parents[2] / "docs/adapters.md").read_text("utf-8")
    module = types.ModuleType("devenv_pdm")
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], module.__dict__)
    sys.modules.pop("devenv_pdm", None)
    return cast(Adapter, module)


def lockfile(name: str, *overrides: Override) -> Lockfile:
    path, text = LOCKS[name]
    return Lockfile(
        root="/",
        path=path,
        adapter=adapter_of(name),
        options=Options(),
        text=text,
        siblings=SIBLINGS.get(name, {}),
        overrides=overrides,
    )


def override(name: str, text: str, package: str = "pkg") -> Override:
    return parse_override(KIND.get(name, "pip"), package, text, "there")


def answer(query: Query) -> tuple[RemoteFile, ...]:
    """What registries have: of each version a wheel and an sdist."""
    if isinstance(query, BuildQuery):
        return (RemoteFile(file_name="need-1-py3-none-any.whl", url="https://x.test/need", hash=SUM),)
    if isinstance(query, PypiQuery):
        names = [f"{query.name}-{query.version}{end}" for end in ("-py3-none-any.whl", ".tar.gz")]
        return tuple(RemoteFile(file_name=each, url=f"pypi-files:{each}", hash=SUM) for each in names)
    if isinstance(query, GitQuery):
        return (RemoteFile(file_name="r", url=f"git+{query.url}#{query.commit}", hash=SUM),)
    if isinstance(query, FileQuery):
        return (RemoteFile(file_name=query.file_name, url=query.url, hash=SUM),)
    if isinstance(query, RQuery):
        return (RemoteFile(file_name="s.tar.gz", url=query.places[0], hash=SUM),)
    assert isinstance(query, NpmQuery)
    file = f"{query.name}-{query.version}.tgz"
    return (RemoteFile(file_name=file, url=f"npm:{file}", hash=Hash.of("sha512", file.encode())),)


def settled(found: Lockfile) -> tuple[Plan, Mapping[str, tuple[RemoteFile, ...]]]:
    """The plan without questions, and the answers that it took."""
    known: dict[str, tuple[RemoteFile, ...]] = {}
    for _ in range(6):
        plan = found.plan(TARGET, known)
        if not plan.queries:
            return plan, known
        known |= {query.key: answer(query) for query in plan.queries}
    raise AssertionError(f"no end of questions: {plan.queries}")


def package(found: Lockfile) -> Package:
    (only,) = settled(found)[0].packages
    return only


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_is_different_without_an_override_of_its_package(name: str) -> None:
    other = override(name, "patches = []\n", "other")
    assert settled(lockfile(name, other)) == settled(lockfile(name))


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "cargo"])
def test_another_version_is_asked_for_and_pinned(name: str) -> None:
    plan, known = settled(lockfile(name, override(name, 'version = "2.0.0"\n')))
    (found,) = plan.packages
    assert found.version == "2.0.0"
    assert "2.0.0" in found.file.url
    asked = [key for key in known if "2.0.0" in key]
    assert asked
    assert all("2.0.0" in file.url for key in asked for file in known[key])


@pytest.mark.parametrize("name", LOCKS)
def test_another_source_takes_the_place_of_the_locked_one(name: str) -> None:
    end = {"npm": "tgz", "crate": "crate"}.get(KIND.get(name, "pip"), "tar.gz")
    found = package(lockfile(name, override(name, f'source = {{ path = "vendor/pkg.{end}" }}\n')))
    assert (found.file.url, found.file.hash) == (f"project:vendor/pkg.{end}", SUM)
    again = package(
        lockfile(name, override(name, f'source = {{ git = "https://x.test/r", commit = "{COMMIT}" }}\n'))
    )
    assert again.file.url == f"git+https://x.test/r#{COMMIT}"
    assert again.format == {"npm": "git-npm", "crate": "git-crate", "r": "r"}.get(
        KIND.get(name, "pip"), "sdist"
    )
    assert (again.name, again.version) == (package(lockfile(name)).name, package(lockfile(name)).version)


@pytest.mark.parametrize("name", LOCKS)
def test_a_hash_that_is_not_that_of_the_source_is_refused(name: str) -> None:
    wrong = Hash.of("sha256", b"other").sri
    text = f'source = {{ git = "https://x.test/r", commit = "{COMMIT}", hash = "{wrong}" }}\n'
    with pytest.raises(DevenvError, match=r"there: source.hash is"):
        settled(lockfile(name, override(name, text)))


@pytest.mark.parametrize("name", LOCKS)
def test_patches_go_with_the_package(name: str) -> None:
    made = override(name, 'patches = ["p.diff"]\n')
    before, after = package(lockfile(name)), package(lockfile(name, made))
    assert [patch.name for patch in after.changes.patches] == ["p.diff"]
    assert (after.file, after.version, after.format) == (before.file, before.version, before.format)


@pytest.mark.parametrize("name", LOCKS)
def test_a_full_copy_means_what_the_lockfile_means(name: str) -> None:
    before = package(lockfile(name))
    bare = override(name, "")
    made = override(name, full_copy(bare, before, "x"))
    assert package(lockfile(name, made)) == before


def test_a_crate_keeps_the_checksum_that_its_lock_has() -> None:
    found = package(lockfile("cargo", override("cargo", 'source = { path = "v/pkg.crate" }\n')))
    assert found.checksum == "ab" * 32
    assert found.format == "crate"


def test_an_r_package_brings_what_its_own_version_needs() -> None:
    view = settled(
        lockfile("renv", override("renv", 'version = "2.0"\n[build]\nargs = ["--no-test-load"]\n'))
    )[0].view
    assert isinstance(view, RLibrary)
    (found,) = view.packages
    assert found.file.url.endswith("src/contrib/pkg_2.0.tar.gz")
    assert found.changes.arguments == ("--no-test-load",)


def test_an_npm_package_of_another_version_says_its_commands_itself() -> None:
    view = settled(lockfile("npm", override("npm", 'version = "2.0.0"\n')))[0].view
    assert isinstance(view, NodeModules)
    assert view.reread == ("node_modules/pkg",)
    assert view.scripts.places == ("node_modules/pkg",)
    assert '"version": "2.0.0"' in str(view.hidden_lock)


def test_a_build_is_asked_about_with_what_it_is_given() -> None:
    text = '[environment]\nA = "1"\n[build]\nfrom-source = true\nrequires = ["x"]\nconfig-settings = { k = "v" }\n'
    plan, known = settled(lockfile("uv", override("uv", text)))
    (found,) = plan.packages
    (key,) = [key for key in known if key.startswith("build:")]
    assert key.startswith("build:pkg==1.0@") and " x changed " in key
    assert found.build is not None
    assert found.build.settings == (("k", "v"),)
    assert found.changes.variables == {"A": "1"}


def test_versions_for_one_package_alone_are_beside_the_environment() -> None:
    plan, known = settled(lockfile("uv", override("uv", '[isolated]\nOther = "0.5"\n')))
    assert isinstance(plan.view, SitePackages)
    assert [each.name for each in plan.view.packages] == ["pkg"]
    assert [(each.name, each.version) for each in plan.view.isolated["pkg"]] == [("other", "0.5")]
    assert "pypi:other==0.5" in known


def test_what_no_lockfile_has_is_said_with_what_may_be_meant() -> None:
    known = known_packages(
        [lockfile("npm").plan_as_locked(TARGET, {}), lockfile("renv").plan_as_locked(TARGET, {})]
    )
    asked = [
        override("npm", "", "pgk"),
        override("uv", ""),
        override("npm", "", "pkg@3.0.0"),
        override("renv", ""),
    ]
    found = [f"{each} {each.hint}" for each in missing(asked, known)]
    assert len(found) == 3
    assert "did you mean npm:pkg?" in found[0]
    assert "did you mean npm:pkg or r:pkg?" in found[1]
    assert "the lockfile has pkg 1.0.0, not 3.0.0" in found[2]


UNANSWERED: Completions = {}


@pytest.mark.parametrize("name", LOCKS)
def test_answers_are_not_asked_for_twice(name: str) -> None:
    text = 'patches = ["p"]\n' if name == "cargo" else 'version = "2.0.0"\npatches = ["p"]\n'
    found = lockfile(name, override(name, text))
    plan, known = settled(found)
    assert found.plan(TARGET, known) == plan
    assert found.plan(TARGET, UNANSWERED).queries or name == "cargo"
