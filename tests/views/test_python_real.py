"""Environments of real wheels, from the index that this machine's pip is configured for, compared with uv's."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devenv.adapter import Options, PypiQuery, SitePackages, Target
from devenv.adapters import requirements
from devenv.derivations.builders.compile_tree import compile_tree
from devenv.derivations.builders.wheel import unpack_wheel
from devenv.events import Reporter
from devenv.fetch.download import Download, download
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.fetch.python_index import answer_pypi
from devenv.views.compose import compose
from devenv.views.python import site_packages_ops
from tests.support.pythons import linux_target, uv_program
from tests.views.test_python import SITE, Python, run

pytestmark = pytest.mark.network

EXAMPLE = Path(__file__).parents[2] / "examples/web/requirements.txt"
NAMES = ("numpy", "uvicorn", "click", "h11", "fonttools", "pygments")


def pins() -> str:
    """The pins of some packages: compiled code, console scripts, files below share."""
    text = EXAMPLE.read_text()
    found = [re.search(rf"^{name}==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL) for name in NAMES]
    return "".join(match[0] for match in found if match)


def fetched(view: SitePackages, endpoints: Endpoints, client: Client, folder: Path) -> dict[str, str]:
    """The unpacked wheels by package name."""
    trees = {}
    for package in view.packages:
        target = folder / package.file.file_name
        item = Download(url=endpoints.absolute(package.file.url), hash=package.file.hash, label=package.name)
        download(
            client, item, str(target), part=f"{target}.part", reporter=Reporter(), cancelled=threading.Event()
        )
        trees[package.name] = f"{folder}/{package.name}"
        unpack_wheel(str(target), trees[package.name])
    return trees


def made_by_us(tmp_path: Path, target: Target) -> Path:
    """lock, fetch, unpack, compile and compose, without a store."""
    root, folder = tmp_path / "ours/python", tmp_path / "wheels"
    folder.mkdir()
    root.parent.mkdir()
    endpoints = Endpoints.load(
        project=str(tmp_path), environ=os.environ, registries={}, cache=str(tmp_path / "cache")
    )
    with Client(endpoints) as client:
        arguments = {"path": "requirements.txt", "target": target, "options": Options(), "siblings": {}}
        asked = requirements.plan(pins(), completions={}, **arguments)  # type: ignore[arg-type]
        queries = [query for query in asked.queries if isinstance(query, PypiQuery)]
        answers = answer_pypi(client, endpoints, queries, Reporter())
        made = requirements.plan(pins(), completions=answers, **arguments)  # type: ignore[arg-type]
        assert isinstance(made.view, SitePackages)
        assert {package.name for package in made.view.packages} == set(NAMES)
        trees = fetched(made.view, endpoints, client, folder)
    bytecode = {name: f"{tree}.bytecode" for name, tree in trees.items()}
    for name, tree in trees.items():
        compile_tree(tree, bytecode[name])
    ops = site_packages_ops(
        made.view, trees=trees, bytecode=bytecode, python=Python(), root=str(root), project=str(tmp_path)
    )
    compose(str(root), ops, key="test")
    return root


def made_by_uv(tmp_path: Path) -> Path:
    """What uv makes of the same pins."""
    root, locked = tmp_path / "theirs", tmp_path / "requirements.txt"
    locked.write_text(pins())
    uv = [uv_program(), "--quiet", "--cache-dir", str(tmp_path / "uv-cache")]
    subprocess.run([*uv, "venv", "--python", Python().path, root], check=True)
    environ = {**os.environ, "VIRTUAL_ENV": str(root)}
    subprocess.run([*uv, "pip", "sync", "--require-hashes", locked], check=True, env=environ)
    return root


def files(root: Path) -> dict[str, bytes]:
    """Everything but byte code, the shells' scripts, and what each tool keeps for itself."""
    own = re.compile(
        r"__pycache__|^\.|REQUESTED$|INSTALLER$|RECORD$|pyvenv\.cfg|CACHEDIR\.TAG"
        r"|bin/(activate|deactivate|pydoc|python)|_virtualenv\.(pth|py)$|^lib64"
    )
    found = {}
    for place, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), root)
            if not own.search(path):
                found[path] = Path(root, path).read_bytes()
    return found


def test_the_environment_is_the_one_that_uv_makes(tmp_path: Path) -> None:
    glibc = int(platform.libc_ver()[1].split(".")[1])
    target = linux_target(Python().version, platform.machine(), glibc)
    ours, theirs = made_by_us(tmp_path, target), made_by_uv(tmp_path)
    expected, found = files(theirs), files(ours)
    assert sorted(found) == sorted(expected)
    different = [path for path in expected if found[path] != expected[path] and not path.startswith("bin/")]
    assert different == []
    assert any(path.startswith("share/man") for path in found)
    for path in expected:
        assert os.access(ours / path, os.X_OK) == os.access(theirs / path, os.X_OK), path

    code = "import numpy; print(numpy.arange(4).sum(), numpy.__file__)"
    assert run(ours / "bin/python", "-c", code) == f"6 {ours}/{SITE}/numpy/__init__.py\n"
    assert "uvicorn" in run(ours / "bin/uvicorn", "--version")
    run(Path(uv_program()), "pip", "check", "--no-cache", "--python", str(ours / "bin/python"))
    listed = run(
        Path(sys.executable), "-m", "pip", "--python", str(ours / "bin/python"), "list", "--format", "freeze"
    )
    assert {line.partition("==")[0].lower() for line in listed.split()} == set(NAMES)
