"""What uv, pip, poetry and pipenv themselves would install by a lockfile. Nothing is installed, and no index is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from packaging.pylock import Pylock
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from devenv.adapter import Target
from tests.support.pythons import uv_program

if TYPE_CHECKING:
    from packaging.markers import Environment

Packages = frozenset[tuple[str, str]]

# pip's own reader of requirements files, and its word on which of them this interpreter needs.
_PIP = """
import json, sys
from pip._internal.network.session import PipSession
from pip._internal.req import parse_requirements
from pip._internal.req.constructors import install_req_from_parsed_requirement as requirement
found = [requirement(each) for each in parse_requirements(sys.argv[1], PipSession())]
print(json.dumps([[each.name, str(each.specifier)] for each in found if each.req and each.match_markers()]))
"""
# What `poetry install --dry-run` does, for an interpreter that need not be here. poetry refuses a lock that was not made
# for the pyproject.toml beside it, so the lock gets the digest of that.
_POETRY = """
import json, pathlib, re, sys
from cleo.io.buffered_io import BufferedIO
from poetry.factory import Factory
from poetry.installation.installer import Installer
from poetry.repositories.installed_repository import InstalledRepository
from poetry.utils.env import MockEnv
lock = pathlib.Path("poetry.lock")
digest = Factory().create_poetry(pathlib.Path.cwd()).locker._get_content_hash()
lock.write_text(re.sub('(?m)^content-hash = ".*"', f'content-hash = "{digest}"', lock.read_text()))
made = Factory().create_poetry(pathlib.Path.cwd())
markers = json.loads(sys.argv[1])
version = tuple(int(part) for part in markers["python_full_version"].split("."))
env = MockEnv(version, platform="linux", platform_machine=markers["platform_machine"], marker_env=markers)
output = BufferedIO()
installer = Installer(
    output, env, made.package, made.locker, made.pool, made.config, InstalledRepository(), disable_cache=True
)
code = installer.dry_run().run()
print(output.fetch_output() + output.fetch_error())
sys.exit(code)
"""


class Tools:
    """The tools, in a home of the test's own, for the interpreter that runs the tests."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = {**env, "UV_PYTHON": sys.executable}

    def run(self, *words: str, cwd: Path, **env: str) -> str:
        done = subprocess.run(words, cwd=cwd, env=self.env | env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    def tool(self, name: str, *words: str, cwd: Path, **env: str) -> str:
        """A tool of the index that uv is configured for."""
        uvx = os.path.join(os.path.dirname(uv_program()), "uvx")
        return self.run(uvx, "--quiet", "--with", name, *words, cwd=cwd, **env)


def uv_lock(tools: Tools, lock: Path, target: Target) -> Packages:
    """`uv export`, whose markers packaging evaluates."""
    words = ("export", "--frozen", "--offline", "--quiet", "--no-header", "--format=pylock.toml")
    text = tools.run(uv_program(), *words, "--no-emit-workspace", cwd=lock.parent)
    return _selected(Pylock.from_dict(tomllib.loads(text)), target)


def pylock(tools: Tools, lock: Path, target: Target) -> Packages:
    """What packaging selects, which pip asks as well."""
    return _selected(Pylock.from_dict(tomllib.loads(lock.read_text())), target)


def _selected(lock: Pylock, target: Target) -> Packages:
    assert target.python is not None
    chosen = lock.select(
        environment=cast("Environment", dict(target.python.markers)),
        tags=[tag for text in target.python.tags for tag in parse_tag(text)],
    )
    # What is a directory of the project is imported in place; a repository's version is in the repository.
    return frozenset(
        (str(package.name), "" if package.version is None else str(package.version))
        for package, _ in chosen
        if package.directory is None
    )


def requirements(tools: Tools, file: Path, target: Target) -> Packages:
    """What pip itself reads, for the interpreter that runs the tests."""
    found = json.loads(tools.run(sys.executable, "-c", _PIP, file.name, cwd=file.parent))
    return frozenset((canonicalize_name(name), version.removeprefix("==")) for name, version in found)


def pipfile_lock(tools: Tools, lock: Path, target: Target) -> Packages:
    """`pipenv requirements`, read by pip."""
    (lock.parent / "Pipfile").touch()
    for entry in json.loads(lock.read_text())["default"].values():
        if "path" in entry:  # pip looks whether it is there
            (lock.parent / entry["path"]).mkdir(exist_ok=True)
            (lock.parent / entry["path"] / "pyproject.toml").touch()
    text = tools.tool("pipenv", "pipenv", "requirements", "--dev", cwd=lock.parent)
    (lock.parent / "listed.txt").write_text(text)
    return requirements(tools, lock.parent / "listed.txt", target)


def poetry_lock(tools: Tools, lock: Path, target: Target) -> Packages:
    """`poetry install --dry-run`; without the resolver from lock version 2.1 on, which says itself what is needed."""
    assert target.python is not None
    whole = tomllib.loads(lock.read_text())
    version = whole["metadata"]["lock-version"]
    in_place = {each["name"] for each in whole["package"] if _kind(each) == "directory"}
    for each in whole["package"]:
        if _kind(each) in ("directory", "file"):  # poetry looks whether it is there
            _pretend(lock.parent / each["source"]["url"], each)
    said = tools.tool(
        *("poetry", "python", "-c", _POETRY, json.dumps(dict(target.python.markers))),
        cwd=lock.parent,
        POETRY_INSTALLER_RE_RESOLVE=str(version < "2.1").lower(),
    )
    found = re.findall(r"^  - Installing (\S+) \(([^\s)]+)[^)]*\)(.*)$", said, re.MULTILINE)
    return frozenset(
        (canonicalize_name(name), version)
        for name, version, more in found
        if "Skipped" not in more and name not in in_place
    )


def _kind(package: Mapping[str, Any]) -> str | None:
    kind: str | None = package.get("source", {}).get("type")
    return kind


def _pretend(place: Path, package: Mapping[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if _kind(package) == "file":
        place.touch()
        return
    place.mkdir()
    text = f"[project]\nname = {json.dumps(package['name'])}\nversion = {json.dumps(package['version'])}\n"
    (place / "pyproject.toml").write_text(text)


def poetry_manifest(lock: Path) -> str:
    """A pyproject.toml that the lock can be of: it asks for what nothing else asks for, and has all groups."""
    found = tomllib.loads(lock.read_text())
    needed = {canonicalize_name(name) for each in found["package"] for name in each.get("dependencies", ())}
    lines = ["[tool.poetry]", "package-mode = false", "[tool.poetry.dependencies]"]
    lines.append(f"python = {json.dumps(found['metadata']['python-versions'])}")
    names = dict.fromkeys(each["name"] for each in found["package"] if not each.get("optional"))
    lines += [f'{json.dumps(name)} = "*"' for name in names if canonicalize_name(name) not in needed]
    groups = {group for each in found["package"] for group in each.get("groups", ())} - {"main"}
    lines += [f'[tool.poetry.group.{group}.dependencies]\npython = "*"' for group in sorted(groups)]
    return "\n".join(lines) + "\n"


def uv_manifest(lock: Path) -> str:
    """As much of a pyproject.toml as `uv export --frozen` wants to see."""
    found = tomllib.loads(lock.read_text())
    own = [each for each in found["package"] if _is_here(each.get("source", {}))]
    name = own[0]["name"] if own else "project"
    text = f'[project]\nname = {json.dumps(name)}\nversion = "0"\n'
    return (
        text + f"requires-python = {json.dumps(found['requires-python'])}\n"
        if own
        else "[tool.uv.workspace]\n"
    )


def _is_here(source: Mapping[str, Any]) -> bool:
    return "." in (source.get("virtual"), source.get("editable"))


_LISTED: Mapping[str, tuple[str, Callable[[Tools, Path, Target], Packages]]] = {
    "uv.lock": ("uv export", uv_lock),
    "poetry.lock": ("poetry install", poetry_lock),
    "Pipfile.lock": ("pipenv requirements", pipfile_lock),
}


def listed(tools: Tools, lock: Path, target: Target) -> tuple[Packages, str]:
    """What the tool of this kind of lockfile would install, and how that was asked."""
    other = ("packaging", pylock) if lock.suffix == ".toml" else ("pip's reader", requirements)
    how, function = _LISTED.get(lock.name, other)
    return function(tools, lock, target), how


def asked_python(lock: Path) -> str:
    """The versions of Python that a lockfile is for, as a specifier; "" for any."""
    if lock.suffix != ".toml" and lock.name not in ("uv.lock", "poetry.lock"):
        return ""
    found = tomllib.loads(lock.read_text())
    text = str(found.get("requires-python") or found.get("metadata", {}).get("python-versions", ""))
    # poetry's own operators
    if text.startswith("^"):
        return f">={text[1:]}, <4"
    return f"=={text[1:]}.*" if text.startswith("~") and text[1] != "=" else text


def prepared(lock: Path, place: Path) -> Path:
    """A copy of the lockfile's directory in `place`, with a manifest where its tool insists on one."""
    place.mkdir()
    for file in lock.parent.iterdir():
        shutil.copyfile(file, place / file.name)  # not the mode: a corpus may be read-only
    copy = place / lock.name
    manifest = place / "pyproject.toml"
    if not manifest.exists() and lock.name == "uv.lock":
        manifest.write_text(uv_manifest(copy))
    if not manifest.exists() and lock.name == "poetry.lock":
        manifest.write_text(poetry_manifest(copy))
    return copy
