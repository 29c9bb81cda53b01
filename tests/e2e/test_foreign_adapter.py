"""Adapters of other packages: the one in docs/adapters.md, installed by pip beside devenv, reads a lockfile of pdm."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.registry import Registry, point_clients_at

DOCUMENT = Path(__file__).parents[2] / "docs/adapters.md"


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """The directory where pip has installed the documented example, to be on the import path."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    name = "devenv_pdm-1.0"
    wheel = tmp_path / f"{name}-py3-none-any.whl"
    files = {
        "devenv_pdm.py": code,
        f"{name}.dist-info/METADATA": "Metadata-Version: 2.1\nName: devenv-pdm\nVersion: 1.0\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": "[devenv.adapters]\npdm = devenv_pdm\n",
        f"{name}.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    place = tmp_path / "plugins"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(place),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return place


def test_an_adapter_of_another_package_works_like_ours(
    user: User, registry: Registry, plugins: Path, tmp_path: Path
) -> None:
    root = tmp_path / "p"
    root.mkdir()
    code = "def main():\n    print('by pdm')\n"
    digest = registry.add_wheel("wheel0", "1.0", {"wheel0/__init__.py": code})
    (file,) = registry.wheels["wheel0"]
    (root / "pdm.lock").write_text(
        f'[[package]]\nname = "wheel0"\nversion = "1.0"\nfiles = [{{file = "{file}", hash = "sha256:{digest}"}}]\n'
    )
    (root / "devenv.toml").write_text(
        'name = "p"\n[packages]\npython = "3"\n[lockfiles]\npip = { path = "pdm.lock" }\n'
    )
    point_clients_at(registry, user.home)
    path = str(plugins)
    user.run("lock", cwd=root, check=True, timeout=120, PYTHONPATH=path)
    line = "python -c 'import wheel0; wheel0.main()'"
    done = user.run("enter", "-c", line, cwd=root, check=True, timeout=120, PYTHONPATH=path)
    assert done.stdout == "by pdm\n"
    shown = user.run("convert", "pdm.lock", cwd=root, check=True, timeout=120, PYTHONPATH=path).stdout
    assert "wheel0" in shown


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Gemfile.lock", "there is no adapter for Ruby"),
        ("go.sum", "there is no adapter for Go"),
        ("composer.lock", "there is no adapter for PHP"),
        ("other.lock", "no adapter knows this kind of lockfile"),
    ],
)
def test_what_is_not_supported_is_named_with_the_way(
    user: User, tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / name).write_text("x")
    done = user.run("convert", name, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"{name}: {problem}" in done.stderr
    assert "docs/adapters.md" in done.stderr
