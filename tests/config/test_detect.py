"""What `devenv init` finds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.detect import Detected, detect
from devenv.config.model import Config, LockfileConfig
from devenv.config.toml import parse_config


def look(files: dict[str, str], name: str = "directory") -> tuple[Detected, Config]:
    """What is found, and that text as it will be read."""
    found = detect(files, files.get, name=name, default_node="22", default_python="3.11.2")
    return found, parse_config(found.text, "devenv.toml")


def manifest(**members: object) -> dict[str, str]:
    return {"package.json": json.dumps(members), "package-lock.json": "{}"}


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"package-lock.json": "{}"}, {"node": "22"}, id="lockfile alone"),
        pytest.param({"npm-shrinkwrap.json": "{}"}, {"node": "22"}, id="shrinkwrap alone"),
        pytest.param({".nvmrc": "# ours\n\nv17.9.1 \n"}, {"node": "17.9.1"}, id=".nvmrc"),
        pytest.param({".nvmrc": "lts/hydrogen"}, {"node": "18"}, id=".nvmrc with a code name"),
        pytest.param({".nvmrc": "lts/*", ".node-version": "16"}, {"node": "16"}, id=".node-version"),
        pytest.param(
            {".nvmrc": "lts/*"} | manifest(engines={"node": "^16"}), {"node": "16"}, id="fall back to engines"
        ),
        pytest.param({".nvmrc": ""} | manifest(), {"node": "22"}, id="empty .nvmrc"),
        pytest.param(
            {".tool-versions": "nodejs 18.1.0 16\npython 3.9.1 # x"},
            {"node": "18.1.0", "python": "3.9"},
            id="both in .tool-versions",
        ),
        pytest.param(
            manifest(volta={"node": "18.17.0", "npm": "9.8.0"}),
            {"node": "18.17.0", "npm": "9.8.0"},
            id="volta",
        ),
        pytest.param(manifest(engines={"node": ">=18 <21"}), {"node": "20"}, id="engines"),
        pytest.param(manifest(engines={"node": 18}), {"node": "22"}, id="engines of another type"),
        pytest.param(
            manifest(packageManager="npm@10.2.3+sha512.abc"),
            {"node": "22", "npm": "10.2.3"},
            id="packageManager",
        ),
        pytest.param({"package.json": "{}"}, {}, id="manifest without a lockfile"),
        pytest.param(
            {"uv.lock": 'version = 1\nrequires-python = ">=3.12"\n[[package]]\n'},
            {"python": "3.12"},
            id="uv.lock",
        ),
        pytest.param(
            {"uv.lock": '[[package]]\nrequires-python = ">=3.12"\n'},
            {"python": "3.11"},
            id="a package's requires-python",
        ),
        pytest.param(
            {".python-version": "3.10.4\n3.9\n", "uv.lock": ""}, {"python": "3.10"}, id=".python-version"
        ),
        pytest.param(
            {".python-version": "pypy3.9", "uv.lock": ""}, {"python": "3.11"}, id="other interpreter"
        ),
        pytest.param(
            {"pyproject.toml": '[project]\nrequires-python = "<3.10"'}, {"python": "3.9"}, id="pyproject.toml"
        ),
        pytest.param(
            {"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.12"'},
            {"python": "3.12"},
            id="poetry",
        ),
        pytest.param({"Pipfile": '[requires]\npython_version = "3.8"'}, {"python": "3.8"}, id="Pipfile"),
        pytest.param({"pylock.toml": 'requires-python = "==3.9.*"\n'}, {"python": "3.9"}, id="pylock.toml"),
        pytest.param({"requirements.txt": "a==1\n"}, {"python": "3.11"}, id="requirements"),
        pytest.param({"renv.lock": '{"R": {"Version": "4.2.2"}}'}, {"r": "4.2"}, id="renv.lock"),
        pytest.param({"renv.lock": '{"R": {"Version": "4.3.1"}}'}, {"r": "4.5"}, id="an R of no release"),
        pytest.param(
            {"renv.lock": '{"R": {"Version": "' + "4" * 5001 + '.1"}}'}, {"r": "4.5"}, id="an R of no number"
        ),
        pytest.param({"renv.lock": "damaged"}, {"r": "4.5"}, id="a damaged renv.lock"),
    ],
)
def test_versions_come_from_where_projects_keep_them(files: dict[str, str], packages: dict[str, str]) -> None:
    _, config = look(files)
    assert config.packages == packages
    assert config.lockfiles == Config().lockfiles


@pytest.mark.parametrize(
    ("files", "lockfiles"),
    [
        pytest.param(["web/package-lock.json"], [("npm", "web/package-lock.json")], id="one below"),
        pytest.param(
            ["b/package-lock.json", "a/npm-shrinkwrap.json", "a/package-lock.json", "c/d/package-lock.json"],
            [("npm", "a/npm-shrinkwrap.json"), ("npm", "b/package-lock.json")],
            id="several of npm",
        ),
        pytest.param(["a/uv.lock", "b/pylock.toml"], [("python", "a/uv.lock")], id="several of Python"),
        pytest.param(["pylock.dev.toml"], [("python", "pylock.dev.toml")], id="named pylock"),
        pytest.param(
            ["requirements-dev.txt", "requirements-a.txt"],
            [("python", "requirements-a.txt")],
            id="requirements of another name",
        ),
        pytest.param(
            ["package-lock.json", "web/package-lock.json", "uv.lock", "requirements.txt"],
            [],
            id="those at the top are found by themselves",
        ),
        pytest.param(
            ["node_modules/a/package-lock.json", "tests/x/uv.lock", ".cache/uv.lock"],
            [],
            id="those of others",
        ),
        pytest.param(
            ["we\nird/uv.lock", "we\udc80ird/package-lock.json", "../uv.lock", "/uv.lock"],
            [],
            id="names that cannot be written",
        ),
        pytest.param(
            ['a "b" \\c/uv.lock', "ü x/package-lock.json"],
            [("npm", "ü x/package-lock.json"), ("python", 'a "b" \\c/uv.lock')],
            id="odd names",
        ),
    ],
)
def test_lockfiles_that_are_not_found_by_themselves_are_named(
    files: list[str], lockfiles: list[tuple[str, str]]
) -> None:
    _, config = look(dict.fromkeys(files, ""))
    expected = [LockfileConfig(ecosystem=ecosystem, path=path) for ecosystem, path in lockfiles]  # type: ignore[arg-type]
    named = {entry.ecosystem for entry in expected}
    expected += [entry for entry in Config().lockfiles if entry.ecosystem not in named]
    assert sorted(config.lockfiles, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize(
    ("files", "note"),
    [
        pytest.param({"bun.lock": ""}, "bun.lock is not supported yet: `npm install", id="bun"),
        pytest.param({"web/bun.lockb": ""}, "web/bun.lockb is not supported yet", id="bun below"),
        pytest.param(
            {"Gemfile.lock": ""},
            "Gemfile.lock is not supported yet: there is no adapter for Ruby; docs/adapters.md says how to write one",
            id="bundler",
        ),
        pytest.param({"go.sum": ""}, "go.sum is not supported yet", id="go"),
        pytest.param(
            {"package.json": "{}"}, "run `npm install --package-lock-only`", id="no lockfile of npm"
        ),
        pytest.param({"pyproject.toml": "[project]\nname='x'"}, "run `uv lock`", id="no lockfile of Python"),
        pytest.param({"package.json": "{"}, "package.json cannot be read: ", id="damaged package.json"),
        pytest.param(
            {"package.json": "[" * 100_000}, "package.json cannot be read: ", id="deep package.json"
        ),
        pytest.param({"pyproject.toml": "["}, "pyproject.toml cannot be read: ", id="damaged pyproject.toml"),
        pytest.param(
            {"pyproject.toml": "a." * 99_999 + "b=1"}, "line 1 is nested too deeply", id="deep pyproject.toml"
        ),
        pytest.param(
            {".nvmrc": "lts/*"}, '.nvmrc asks for node "lts/*", which names no certain version', id="lts"
        ),
        pytest.param(
            {".nvmrc": "18\n"} | manifest(engines={"node": ">=20"}),
            '.nvmrc asks for node 18 and is followed; engines of package.json says ">=20"',
            id="disagreement",
        ),
        pytest.param(
            {".python-version": "3.9", "pyproject.toml": "[project]\nrequires-python='>=3.10'"},
            "asks for python 3.9 and is followed",
            id="disagreement of Python",
        ),
        pytest.param(manifest(), "no file says which node is needed: devenv.toml has 22", id="default node"),
        pytest.param(
            {"uv.lock": ""}, "no file says which python is needed: devenv.toml has 3.11", id="default Python"
        ),
        pytest.param(
            manifest(packageManager="pnpm@9.0.0"),
            'the package manager "pnpm@9.0.0"',
            id="other package manager",
        ),
        pytest.param(
            {"requirements.txt": "a==1 \\\n --hash=sha256:00\n# c\n-r x\nflask>=2 # y\n"},
            'does not pin every package ("flask>=2")',
            id="loose requirements",
        ),
        pytest.param(
            {"uv.lock": "", "requirements.txt": ""},
            "found as well and not used: requirements.txt",
            id="second lockfile",
        ),
    ],
)
def test_what_is_left_out_is_noted(files: dict[str, str], note: str) -> None:
    found, _ = look(files)
    assert any(note in line for line in found.notes), found.notes


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="nothing"),
        pytest.param({".nvmrc": "20"} | manifest(engines={"node": ">=18"}), id="agreement"),
        pytest.param(
            {".nvmrc": "20.1", ".tool-versions": "nodejs 20.1.3"} | manifest(), id="agreement in part"
        ),
        pytest.param(
            {
                ".python-version": "3.12.1",
                "requirements.txt": "a==1 \\\n  --hash=sha256:00 # b>2\nc @ https://x.test/c.whl\n",
            },
            id="pinned requirements",
        ),
    ],
)
def test_there_are_no_notes_where_all_is_well(files: dict[str, str]) -> None:
    assert look(files)[0].notes == ()


@pytest.mark.parametrize(
    ("files", "name"),
    [
        pytest.param({}, "directory", id="directory"),
        pytest.param({"package.json": '{"name": "@corp/My App!"}'}, "My-App", id="scoped"),
        pytest.param({"package.json": '{"name": ["x"]}'}, "directory", id="other type"),
        pytest.param({"package.json": '{"name": "///"}'}, "directory", id="nothing left"),
        pytest.param(
            {"pyproject.toml": '[project]\nname = "survey"', "package.json": '{"name": "web"}'},
            "survey",
            id="two",
        ),
        pytest.param(
            {"pyproject.toml": '[tool.poetry]\nname = "verse"\n', "package.json": '{"name": "j"}'},
            "verse",
            id="poetry",
        ),
    ],
)
def test_the_environment_is_called_like_the_project(files: dict[str, str], name: str) -> None:
    assert look(files)[1].name == name


def test_a_project_with_r_gets_the_release_that_has_that_r() -> None:
    found, config = look({"renv.lock": '{"R": {"Version": "4.2.2"}}'})
    assert config.base == "debian/bookworm" and not found.notes
    found, config = look({"renv.lock": '{"R": {"Version": "4.3.1"}}'})
    assert config.base == "debian/trixie" and "was written with R 4.3.1" in found.notes[0]


def test_a_directory_without_a_usable_name_is_a_project() -> None:
    assert look({}, name="…")[1].name == "project"


def test_without_a_default_the_version_is_left_to_the_user() -> None:
    files = {"package-lock.json": "", "uv.lock": ""}
    found = detect(files, files.get, name="x", default_node="", default_python="")
    assert parse_config(found.text, "devenv.toml").packages == {}
    assert 'no file says which node is needed: write node = "VERSION" under [packages]' in found.notes


def test_the_text_teaches_what_was_found() -> None:
    found, _ = look({".nvmrc": "v20.1\n", "web/package-lock.json": "", "uv.lock": ""})
    assert (
        found.text
        == """\
# The environment of this project. `devenv lock` pins it, `devenv enter` enters it.
# Variables go under [env], short commands under [aliases], programs under [scripts].

name = "directory"

[packages]
node = "20.1"  # .nvmrc: "v20.1"
python = "3.11"  # no file says which: change it as you like

# Found by themselves: uv.lock. [lockfiles] is for choosing others.
[lockfiles]
npm = "web/package-lock.json"
"""
    )


NAMES = st.sampled_from(
    (
        *(
            "package-lock.json",
            "npm-shrinkwrap.json",
            "uv.lock",
            "pylock.toml",
            "pylock.a.toml",
            "poetry.lock",
        ),
        *("requirements.txt", "requirements-x.txt", "yarn.lock", ".nvmrc", ".node-version", ".tool-versions"),
        *(".python-version", "package.json", "pyproject.toml", "Pipfile"),
    )
)
FOLDERS = st.sampled_from(
    ["", "", "web/", "api/x/", "tests/", ".git/", 'q"\\/', "ü\x85\u2028/", "\udc80/", "a\x7f/"]
)
SAYS = st.one_of(
    st.sampled_from(
        ["18", "v20.1.0", "lts/*", "3.11.4", ">=18 <21", ">=3.9,<3.12", "^3.8", "x\ny", '"', "\x7f\x00"]
    ),
    st.text(max_size=6),
)
CONTENTS = st.one_of(
    SAYS,
    SAYS.map(lambda says: json.dumps({"engines": {"node": says}, "volta": {"npm": says}, "name": says})),
    SAYS.map(lambda says: json.dumps({"packageManager": f"npm@{says}", "engines": says})),
    SAYS.map(lambda says: f"[project]\nname = {json.dumps(says)}\nrequires-python = {json.dumps(says)}"),
    SAYS.map(lambda says: f"[requires]\npython_version = {json.dumps(says)}"),
    SAYS.map(lambda says: f"requires-python = {json.dumps(says, ensure_ascii=False)}\n"),
    SAYS.map(lambda says: f"nodejs {says}\npython {says}\n"),
)
PROJECTS = st.dictionaries(st.tuples(FOLDERS, NAMES).map("".join), CONTENTS, max_size=6)


@given(files=PROJECTS, name=st.text(max_size=5))
def test_what_init_writes_can_always_be_read(files: dict[str, str], name: str) -> None:
    found, config = look(files, name=name)
    found.text.encode()
    assert all("\n" not in note for note in found.notes)
    for entry in config.lockfiles:
        assert entry.path is None or entry.path in files


@given(files=PROJECTS)
def test_a_file_that_cannot_be_read_is_as_if_empty_or_absent(files: dict[str, str]) -> None:
    found = detect(files, lambda path: None, name="x", default_node="22", default_python="3.11")
    parse_config(found.text, "devenv.toml")
