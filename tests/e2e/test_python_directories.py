"""Python packages that are directories of the project: imported in place by their own backend, or built as wheels."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.adapter import BuildQuery, Editable, Package, Plan, RemoteFile, SitePackages, WheelBuild
from devenv.editable_wheels import compiled_on_import
from devenv.environment.planned import PlannedLockfile
from devenv.formats.hashes import Hash
from devenv.local_projects import with_builds
from devenv.providers.python_host import find_python
from tests.support.devenv import User
from tests.support.registry import Registry, point_clients_at, serve
from tests.support.sandboxes import require_sandboxes
from tests.support.sdists import native_source, write_source

CONFIG = 'name = "directories"\n[packages]\npython = "3"\n'

# Its editable wheels have a version that only the backend knows, and a module that it compiles beside the sources.
EDITABLE = """

def get_requires_for_build_editable(settings=None):
    return []

def build_editable(directory, settings=None, metadata=None):
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "native.so", "native.c"], check=True)
    files = {
        "__editable__.pth": (os.getcwd() + "/lib\\n").encode(),
        "@NAME@-7.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: @NAME@\\nVersion: 7\\n",
        "@NAME@-7.dist-info/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "@NAME@-7.dist-info/entry_points.txt": b"[console_scripts]\\nhello-@NAME@ = in_place:main\\n",
    }
    made = "@NAME@-7-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, made), "w") as wheel:
        record = ""
        for path, data in files.items():
            wheel.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += "%s,sha256=%s,%d\\n" % (path, digest, len(data))
        wheel.writestr("@NAME@-7.dist-info/RECORD", record + "@NAME@-7.dist-info/RECORD,,\\n")
    return made
"""
IN_PLACE = (
    "import ctypes, os\n"
    "def main():\n"
    "    where = os.path.dirname(os.path.dirname(__file__))\n"
    "    print(ctypes.CDLL(where + '/native.so').value())\n"
)


def editable_source(name: str, value: int) -> dict[str, str]:
    files = native_source(name, value=value)
    files["tools/own.py"] += EDITABLE.replace("@NAME@", name)
    return files | {"lib/in_place.py": IN_PLACE}


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    require_sandboxes()
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    registry = Registry()
    registry.add_wheel("helper", "1.5")
    with serve(registry):
        point_clients_at(registry, tmp_path / "home")
        yield User(tmp_path / "home")


def project(tmp_path: Path, requirements: str) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text(CONFIG)
    (root / "requirements.txt").write_text(requirements)
    return root


def direct_url(root: Path, name: str) -> dict[str, object]:
    (found,) = root.glob(f".devenv/python/lib/python3.*/site-packages/{name}-*.dist-info/direct_url.json")
    value: dict[str, object] = json.loads(found.read_text())
    return value


def test_an_editable_project_is_made_by_its_own_backend(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "-e ./mine\n")
    write_source(root / "mine", editable_source("mine", 5))
    user.run("lock", cwd=root)
    lock = json.loads((root / "devenv.lock").read_text())["files"]
    (key,) = [key for key in lock if key.startswith("editable:mine")]
    assert [file["file_name"] for file in lock[key]] == ["helper-1.5-py3-none-any.whl"]
    assert user.run("enter", "-c", "hello-mine", cwd=root).stdout == "5\n"
    assert direct_url(root, "mine") == {"dir_info": {"editable": True}, "url": f"file://{root}/mine"}
    listed = user.run("enter", "-c", "python -m importlib.metadata; pip list", cwd=root, check=False).stdout
    assert "mine" in listed and " 7 " in listed
    # Its sources are those of the checkout, and nothing is made again for their sake.
    (root / "mine/lib/in_place.py").write_text("def main(): print('edited')\n")
    done = user.run("enter", "-c", "hello-mine", cwd=root)
    assert (done.stdout, done.stderr) == ("edited\n", "")


def test_a_changed_manifest_makes_an_editable_project_anew(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "-e ./mine\n")
    write_source(root / "mine", editable_source("mine", 5))
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    before = os.listdir(root / ".devenv/editables")
    with (root / "mine/pyproject.toml").open("a") as file:
        file.write('description = "more"\n')
    (root / "mine/native.c").write_text("int value(void) { return 6; }\n")
    # What it says of its build is the same, so the lock fits.
    assert user.run("enter", "-c", "hello-mine", cwd=root).stdout == "6\n"
    after = os.listdir(root / ".devenv/editables")
    assert len(after) == 1 and after != before


def test_other_build_requirements_make_the_lock_stale(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "-e ./mine\n")
    write_source(root / "mine", editable_source("mine", 5))
    user.run("lock", cwd=root)
    manifest = root / "mine/pyproject.toml"
    manifest.write_text(manifest.read_text().replace('["helper"]', '["helper > 1"]'))
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode != 0
    assert "it lacks an answer for editable:mine" in done.stderr


def test_a_directory_is_built_as_a_wheel_and_again_when_it_changes(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "./ext\n")
    write_source(root / "ext", native_source(value=1))
    user.run("lock", cwd=root)
    code = "python -c 'import ext; print(ext.value(), ext.__file__)'"
    value, place = user.run("enter", "-c", f"cd / && {code}", cwd=root).stdout.split()
    assert value == "1" and place.startswith(f"{root}/.devenv/python")
    assert direct_url(root, "ext") == {"dir_info": {}, "url": f"file://{root}/ext"}
    assert not (root / "ext/native.so").exists()
    (root / "ext/native.c").write_text("int value(void) { return 2; }\n")
    assert user.run("enter", "-c", f"cd / && {code}", cwd=root).stdout.startswith("2 ")
    objects = len(list((user.store_root / "store").iterdir()))
    (root / "ext/native.c").write_text("int value(void) { return 1; }\n")
    assert user.run("enter", "-c", f"cd / && {code}", cwd=root).stdout.startswith("1 ")
    assert (
        len(list((user.store_root / "store").iterdir())) <= objects + 2
    )  # what there was is not built again


@pytest.mark.parametrize("together", [True, False], ids=["one repository", "another's directory"])
def test_what_an_editable_build_writes_stays_in_the_repository(
    tmp_path: Path, user: User, together: bool
) -> None:
    """A project that was cloned beside others must not change them, though its lockfile names them."""
    root = project(tmp_path, "-e ../other\n")
    ((tmp_path if together else root) / ".git").mkdir()
    write_source(
        tmp_path / "other", editable_source("other", 5) | {"lib/in_place.py": "def main(): print(6)\n"}
    )
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "hello-other", cwd=root)
    assert done.stdout == "6\n"
    assert (tmp_path / "other/native.so").exists() == together
    assert ("what its build wrote is not kept" in done.stderr) != together


def test_an_editable_build_that_fails_says_why_and_reaches_no_home(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "-e ./mine\n")
    files = editable_source("mine", 5)
    files["tools/own.py"] += "\nassert not os.path.exists(@) or 1 / 0\n".replace(
        "@", repr(str(user.home / ".config"))
    )
    files["native.c"] = "this is no C\n"
    write_source(root / "mine", files)
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "cannot build mine" in done.stderr and "native.c:1" in done.stderr
    assert "ZeroDivisionError" not in done.stderr


def test_a_directory_without_a_backend_is_imported_as_it_lies_there(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "./plain\n")
    write_source(root / "plain", {"pyproject.toml": '[project]\nname = "plain"\n', "plain.py": "x = 3\n"})
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "cd / && python -c 'import plain; print(plain.x)'", cwd=root)
    assert done.stdout == "3\n"
    assert "plain: imported as it lies there; it names no build backend" in done.stderr


C_SOURCE = """
#include <Python.h>
static PyObject *value(PyObject *self, PyObject *unused) { return PyLong_FromLong(77); }
static PyMethodDef methods[] = {{"value", value, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_comp", 0, -1, methods};
PyMODINIT_FUNC PyInit__comp(void) { return PyModule_Create(&module); }
"""
REAL = {
    "comp/setup.py": (
        "from setuptools import setup, Extension\n"
        "setup(name='comp', version='0.4', py_modules=['comp'], ext_modules=[Extension('_comp', ['_comp.c'])])\n"
    ),
    "comp/comp.py": "from _comp import value\n",
    "comp/_comp.c": C_SOURCE,
    "pure/pyproject.toml": (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "pure"\ndynamic = ["version"]\n[tool.hatch.version]\npath = "src/pure/__init__.py"\n'
    ),
    "pure/src/pure/__init__.py": '__version__ = "3.2.1"\n',
    "mesext/pyproject.toml": (
        '[build-system]\nrequires = ["meson-python", "cython", "ninja"]\nbuild-backend = "mesonpy"\n'
        '[project]\nname = "mesext"\nversion = "1.0"\n'
    ),
    "mesext/meson.build": (
        "project('mesext', 'c', 'cython')\npy = import('python').find_installation()\n"
        "py.extension_module('mesext', 'mesext.pyx', install: true)\n"
    ),
    "mesext/mesext.pyx": "def value():\n    return 42\n",
}


@pytest.mark.network
@pytest.mark.slow
def test_real_backends_make_editable_wheels(tmp_path: Path) -> None:
    """setup.py with a module in C, hatchling with a version of its own, meson with Cython."""
    require_sandboxes()
    user = User(tmp_path / "home")
    root = project(tmp_path, "-e ./comp\n-e ./pure\n-e ./mesext\n")
    write_source(root, REAL)
    user.run("lock", cwd=root)
    code = (
        "import comp, mesext, importlib.metadata as m; print(comp.value(), mesext.value(), m.version('pure'))"
    )
    done = user.run("enter", "-c", f'cd / && python -c "{code}"', cwd=root)
    assert done.stdout == "77 42 3.2.1\n"
    assert list((root / "comp").glob("_comp.*.so"))


APPLICATION = """[tool.poetry]
name = "my-app"
version = "1.0"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        ({}, False),
        ({"my_app.py": ""}, True),
        ({"src/my_app/__init__.py": ""}, True),
        ({"my-app/x.py": ""}, False),
    ],
    ids=["no module", "a module", "a package in src", "a directory that is no package"],
)
def test_a_poetry_project_that_has_no_package_is_left_out_and_named(
    tmp_path: Path, files: dict[str, str], installed: bool
) -> None:
    write_source(tmp_path, {"pyproject.toml": APPLICATION, **files})
    view = SitePackages(packages=(), editables=(Editable(name="my-app", path=".", optional=True),))
    entry = PlannedLockfile(path="poetry.lock", directory="", plan=Plan(view=view))
    (made,) = with_builds(os.fspath(tmp_path), [entry], find_python("3", os.environ), {})
    assert bool(made.plan.queries) is installed  # about its build
    assert any("no package my_app" in notice for notice in made.plan.notices) is not installed


@pytest.mark.parametrize(
    ("requires", "said"),
    [(("setuptools", "cython"), ""), (("meson-python",), "ninja."), (("cython", "meson-python"), "cython.")],
)
def test_what_compiles_on_import_says_what_it_needs_on_path(requires: tuple[str, ...], said: str) -> None:
    file = RemoteFile(file_name="x.whl", url="pypi-files:x.whl", hash=Hash.of("sha256", b""))
    wheels = (Package(name=name, version="1", format="wheel", file=file) for name in requires)
    notices = compiled_on_import(Editable(name="ext", path=".", build=WheelBuild(requires=tuple(wheels))))
    assert bool(notices) is bool(said)
    assert all(said in notice for notice in notices)


def test_settings_of_uv_count_for_the_builds_of_directories(tmp_path: Path) -> None:
    write_source(tmp_path / "lib", {"setup.py": ""})
    editable = Editable(name="lib", path="lib", in_place=False, constraints=("a<2",), extra=("b",))
    view = SitePackages(packages=(), editables=(editable,))
    entry = PlannedLockfile(path="uv.lock", directory="", plan=Plan(view=view))
    (made,) = with_builds(os.fspath(tmp_path), [entry], find_python("3", os.environ), {})
    (query,) = made.plan.queries
    assert isinstance(query, BuildQuery)
    assert (query.constraints, query.extra) == (("a<2",), ("b",))
