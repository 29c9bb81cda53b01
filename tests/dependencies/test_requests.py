"""What is asked for, which commands it becomes, and how files are edited."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.dependencies.drivers import Action, Job, driver_of, edited_requirements
from devenv.dependencies.request import RequestError, parse_requests
from devenv.dependencies.system_packages import changed_text
from devenv.errors import DevenvError


@pytest.mark.parametrize(
    ("text", "name", "passed_on"),
    [
        ("pip:httpx", "httpx", "httpx"),
        ("pip:httpx[http2]>=0.27,<1", "httpx", "httpx[http2]>=0.27,<1"),
        ("npm:@scope/name@^1.2", "@scope/name", "@scope/name@^1.2"),
        ("npm:left-pad", "left-pad", "left-pad"),
        ("crate:serde_json@1", "serde_json", "serde_json@1"),
        ("crate:corp/a@1", "a", "corp/a@1"),
        ("system:libgdal-dev:amd64", "libgdal-dev:amd64", "libgdal-dev:amd64"),
    ],
)
def test_requests_name_a_kind_and_a_package(text: str, name: str, passed_on: str) -> None:
    (request,) = parse_requests([text])
    assert (request.name, request.text) == (name, passed_on)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("httpx", "does not say whose package", "pip:NAME"),
        ("pip:", "does not say whose package", "pip:NAME"),
        ("pypi:httpx", "no kind of package 'pypi'", "did you mean pip:httpx?"),
        ("cargo:serde", "no kind of package 'cargo'", "did you mean crate:serde?"),
        ("npn:x", "no kind of package 'npn'", "did you mean npm:x?"),
        ("npm:--global", "is no package of that kind", ""),
        ("pip:a b", "is no package of that kind", ""),
        ("crate:../x", "is no package of that kind", ""),
        ("pip:x\n-r y", "is no package of that kind", ""),
    ],
)
def test_what_is_no_request_is_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        parse_requests([text])
    assert hint in (caught.value.hint or "")


@given(st.text())
def test_any_text_is_a_request_or_our_error(text: str) -> None:
    try:
        (request,) = parse_requests([text])
    except RequestError:
        return
    assert not request.text.startswith("-")
    assert "\n" not in request.text


def job(action: Action, lockfile: str, *texts: str, group: str | None = None, directory: str = "/") -> Job:
    return Job(
        action=action, requests=parse_requests(texts), directory=directory, lockfile=lockfile, group=group
    )


@pytest.mark.parametrize(
    ("wanted", "commands"),
    [
        (job("add", "uv.lock", "pip:a>=1", group="dev"), ["uv add --no-sync --group dev -- a>=1"]),
        (job("remove", "uv.lock", "pip:a>=1"), ["uv remove --no-sync -- a"]),
        (job("update", "uv.lock"), ["uv lock --upgrade"]),
        (job("update", "uv.lock", "pip:a"), ["uv lock --upgrade-package a"]),
        (job("add", "poetry.lock", "pip:a"), ["poetry add --lock --no-interaction -- a"]),
        (
            job("add", "package-lock.json", "npm:a@1", group="dev"),
            ["npm install --package-lock-only --ignore-scripts --no-audit --no-fund --save-dev -- a@1"],
        ),
        (
            job("update", "package-lock.json"),
            ["npm update --package-lock-only --ignore-scripts --no-audit --no-fund --"],
        ),
        (
            job("add", "pnpm-lock.yaml", "npm:a@1"),
            ["pnpm add --lockfile-only --ignore-scripts a@1"],
        ),
        (job("add", "Cargo.lock", "crate:a@1"), ["cargo add -- a@1", "cargo update --workspace --quiet"]),
        (
            job("add", "Cargo.lock", "crate:corp/a@1", "crate:b", "crate:corp/c"),
            [
                "cargo add --registry corp -- a@1 c",
                "cargo add -- b",
                "cargo update --workspace --quiet",
            ],
        ),
        (
            job("remove", "Cargo.lock", "crate:corp/a"),
            ["cargo remove -- a", "cargo update --workspace --quiet"],
        ),
        (job("update", "Cargo.lock", "crate:a@1"), ["cargo update --package a"]),
    ],
    ids=lambda value: f"{value.action} {value.lockfile}" if isinstance(value, Job) else None,
)
def test_each_lockfile_is_changed_by_its_own_tool(wanted: Job, commands: list[str]) -> None:
    assert [" ".join(step.argv) for step in driver_of(wanted.lockfile)(wanted)] == commands


@pytest.mark.parametrize("name", ["Pipfile.lock", ".package-lock.json", "unknown.lock"])
def test_lockfiles_without_such_a_tool_say_what_to_do(name: str) -> None:
    with pytest.raises(RequestError, match="no tool that changes it") as caught:
        driver_of(name)
    assert "devenv lock" in (caught.value.hint or "")


def test_requirements_are_edited_where_they_stand() -> None:
    text = "# what we use\nFlask==2  # the web\n-r other.in\n\nrequests\n"
    added = edited_requirements(text, job("add", "requirements.txt", "pip:flask>=3", "pip:new"))
    assert added == "# what we use\nflask>=3\n-r other.in\n\nrequests\nnew\n"
    removed = edited_requirements(text, job("remove", "requirements.txt", "pip:Requests"))
    assert removed == "# what we use\nFlask==2  # the web\n-r other.in\n\n"
    with pytest.raises(RequestError, match=r"gone is not in requirements\.in"):
        edited_requirements(text, job("remove", "requirements.txt", "pip:gone"))


def test_a_requirements_file_without_a_source_is_refused(tmp_path: Path) -> None:
    wanted = job("add", "requirements.txt", "pip:a", directory=str(tmp_path))
    with pytest.raises(RequestError, match=r"has no requirements\.in beside it"):
        driver_of(wanted.lockfile)(wanted)


CONFIG = """\
name = "x"   # a name
base = "debian/trixie"

[packages]
# compilers
system = ["gcc"]   # and more

[env]
A = "1"
"""


def test_system_packages_keep_what_a_person_wrote() -> None:
    added = changed_text(CONFIG, "add", ["jq", "gcc"])
    assert added == CONFIG.replace('["gcc"]', '["gcc", "jq"]')
    assert changed_text(added, "remove", ["jq"]) == CONFIG
    fresh = changed_text('base = "debian/trixie"\n', "add", ["jq"])
    assert tomllib.loads(fresh)["packages"] == {"system": ["jq"]}


@pytest.mark.parametrize(
    ("text", "action", "said"),
    [
        ("name = 'x'\n", "add", "names no base"),
        (CONFIG, "remove", "jq is not among"),
        ("base = [", "add", "cannot be changed"),
        ("base = 'x'\npackages = 3\n", "add", "cannot be changed"),
    ],
)
def test_what_cannot_be_changed_is_said(text: str, action: Action, said: str) -> None:
    with pytest.raises(DevenvError, match=said):
        changed_text(text, action, ["jq"])
