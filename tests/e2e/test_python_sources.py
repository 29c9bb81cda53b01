"""Python packages that have to be built: from archives and repositories, with build requirements from an index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.registry import Registry, point_clients_at, serve, wheel
from tests.support.sandboxes import require_sandboxes
from tests.support.sdists import native_source, sdist, sha256, write_source

CONFIG = 'name = "sources"\n[packages]\npython = "3"\n[lockfiles]\npip = { path = "requirements.txt" }\n'


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An index with one package, which builds need."""
    require_sandboxes()
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    found = Registry()
    found.add_wheel("helper", "1.5")
    found.add_wheel("helper", "2.0")
    with serve(found):
        yield found


@pytest.fixture
def user(tmp_path: Path, registry: Registry) -> User:
    home = tmp_path / "home"
    point_clients_at(registry, home)
    return User(home)


def project(tmp_path: Path, requirements: str) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text(CONFIG)
    (root / "requirements.txt").write_text(requirements)
    return root


def said(user: User, root: Path, code: str) -> str:
    return user.run("enter", "-c", f'python -c "{code}"', cwd=root).stdout.strip()


def test_an_sdist_is_built_with_what_its_build_requires(tmp_path: Path, user: User) -> None:
    archive = sdist(native_source())
    root = project(tmp_path, f"./dist/ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "dist").mkdir()
    (root / "dist/ext-1.0.tar.gz").write_bytes(archive)
    user.run("lock", cwd=root)
    lock = json.loads((root / "devenv.lock").read_text())
    (key,) = [key for key in lock["files"] if key.startswith("build:ext")]
    assert [file["file_name"] for file in lock["files"][key]] == ["helper-2.0-py3-none-any.whl"]
    assert said(user, root, "import ext; print(ext.value(), ext.helper, ext.settings)") == "42 2.0 None"
    user.run("lock", cwd=root)
    assert json.loads((root / "devenv.lock").read_text()) == lock


def test_of_a_hundred_packages_only_the_changed_one_is_fetched_and_built(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    lines = {
        f"pkg{n}": f"pkg{n}==1.0 --hash=sha256:{registry.add_wheel(f'pkg{n}', '1.0')}" for n in range(100)
    }
    for version in ("1.0", "1.1"):
        digest = registry.add_sdist("pkg0", version, native_source("pkg0", version))
        lines["pkg0"] = f"pkg0=={version} --hash=sha256:{digest}"
        if version == "1.0":
            root = project(tmp_path, "\n".join(lines.values()) + "\n")
        else:
            (root / "requirements.txt").write_text("\n".join(lines.values()) + "\n")
        user.run("lock", cwd=root)
        objects = set((user.store_root / "store").glob("*"))
        registry.requests.clear()
        done = user.run("enter", "-c", "true", cwd=root)
    # The source was unpacked when it was locked; what is left are the wheel, its files and their byte code.
    assert not [path for path in registry.requests if path.startswith("/files/")]
    assert "building 3 packages" in done.stderr
    made = {path.name[33:] for path in set((user.store_root / "store").glob("*")) - objects}
    packages = {name for name in made if not name.endswith((".drv", ".json", "-bytecode"))}
    assert all("pkg0" in name for name in packages if "pkg" in name), packages
    assert said(user, root, "import pkg0; print(pkg0.value())") == "42"


def test_a_local_wheel_needs_no_hash_and_may_lie_beside_the_project(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = project(tmp_path, "./dist/one-1.0-py3-none-any.whl\n../two-1.0-py3-none-any.whl\n")
    (root / "dist").mkdir()
    for place in (root / "dist/one-1.0-py3-none-any.whl", tmp_path / "two-1.0-py3-none-any.whl"):
        place.write_bytes(wheel(place.name[:3], "1.0", {f"{place.name[:3]}/__init__.py": "x = 1\n"})[1])
    user.run("lock", cwd=root)
    assert said(user, root, "import one, two; print(one.x + two.x)") == "2"
    # Another file under the same name is another package, once it is locked.
    (root / "dist/one-1.0-py3-none-any.whl").write_bytes(
        wheel("one", "1.0", {"one/__init__.py": "x = 5\n"})[1]
    )
    user.run("lock", cwd=root)
    assert said(user, root, "import one, two; print(one.x + two.x)") == "6"


def test_a_repository_is_built_and_says_where_it_is_from(tmp_path: Path, user: User) -> None:
    repository = tmp_path / "repository"
    write_source(repository / "python", native_source(value=7))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@x.test", "-C", os.fspath(repository)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    commit = done.stdout.strip()
    root = project(tmp_path, f"ext @ git+file://{repository}@{commit}#subdirectory=python\n")
    user.run("lock", cwd=root)
    repository.rename(tmp_path / "gone")  # it was fetched when it was locked, and is not fetched again
    assert said(user, root, "import ext; print(ext.value())") == "7"
    (found,) = root.glob(".devenv/python/lib/python3.*/site-packages/ext-1.0.dist-info/direct_url.json")
    told = json.loads(found.read_text())
    assert told["vcs_info"] == {"vcs": "git", "commit_id": commit}
    assert (told["url"], told["subdirectory"]) == (f"file://{repository}", "python")


def test_a_build_that_fails_shows_the_end_of_its_log(tmp_path: Path, user: User) -> None:
    files = native_source() | {"native.c": "this is no C\n"}
    archive = sdist(files)
    root = project(tmp_path, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "cannot build ext" in done.stderr
    assert "native.c:1:1: error" in done.stderr or "unknown type name" in done.stderr
    assert "The whole log: " in done.stderr


def test_a_tool_that_a_build_does_not_find_is_named(tmp_path: Path, user: User) -> None:
    archive = sdist(native_source(compiler="no-such-compiler"))
    root = project(tmp_path, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    user.run("lock", cwd=root)
    done = user.run("enter", "--offline", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "The program no-such-compiler is missing" in done.stderr


@pytest.mark.network
def test_the_package_that_has_the_missing_tool_is_named(tmp_path: Path, user: User) -> None:
    """Against the real index of a distribution."""
    archive = sdist(native_source(compiler="xlsx2csv"))  # which no machine that builds anything has
    root = project(tmp_path, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "devenv.toml").write_text('base = "debian/bookworm"\n' + CONFIG)
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert "the program xlsx2csv is in xlsx2csv" in done.stderr
    assert 'system = ["xlsx2csv"]' in done.stderr


def test_what_is_installed_on_top_stays_in_the_project_and_is_shown(tmp_path: Path, user: User) -> None:
    root = project(tmp_path, "helper==1.5\n")
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    assert json.loads(user.run("status", "--json", cwd=root).stdout)["drift"] == []
    objects = {path.name for path in (user.store_root / "store").iterdir()}
    index = (user.home / ".config/pip/pip.conf").read_text().split()[-1]
    user.run("enter", "-c", f"uv pip install --quiet --index-url {index} helper==2.0", cwd=root)
    assert said(user, root, "import helper; print(helper.__version__)") == "2.0"
    status = user.run("status", cwd=root).stdout
    assert "drift      .devenv/python: helper is 2.0, and 1.5 in the lockfile" in status
    user.run("enter", "-c", "pip uninstall --quiet --yes helper", cwd=root)
    assert "helper 1.5 was removed" in user.run("status", cwd=root).stdout
    user.run("enter", "-c", "pip install --quiet helper==2.0", cwd=root)
    assert said(user, root, "import helper; print(helper.__version__)") == "2.0"
    # The store is as it was.
    assert {path.name for path in (user.store_root / "store").iterdir()} == objects
    user.run("store", "verify", cwd=root)


def test_build_requirements_that_no_index_has_are_named(tmp_path: Path, user: User) -> None:
    files = native_source()
    files["pyproject.toml"] = files["pyproject.toml"].replace(
        '["helper"]', '["helper", "nowhere-to-be-found"]'
    )
    archive = sdist(files)
    root = project(tmp_path, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1
    assert "the build of ext requires helper, nowhere-to-be-found, which cannot be resolved" in done.stderr


def test_sources_that_cannot_be_built_are_refused(tmp_path: Path, user: User) -> None:
    archive = sdist({"README": "nothing here\n"})
    root = project(tmp_path, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}\n")
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1
    assert "has neither pyproject.toml nor setup.py" in done.stderr


MESON = {
    "pyproject.toml": '[build-system]\nrequires = ["meson-python", "cython"]\nbuild-backend = "mesonpy"\n'
    '[project]\nname = "ext"\nversion = "1.0"\n',
    "meson.build": "project('ext', 'c', 'cython')\npy = import('python').find_installation()\n"
    "py.extension_module('ext', 'ext.pyx', install: true)\n",
    "ext.pyx": "cdef int twice(int x):\n    return 2 * x\ndef value():\n    return twice(21)\n",
}


@pytest.mark.network
@pytest.mark.slow
def test_real_sources_that_need_a_compiler_cython_and_meson(tmp_path: Path) -> None:
    require_sandboxes()
    user = User(tmp_path / "home")
    archive = sdist(MESON)
    lines = [
        "markupsafe==2.1.5 --hash=sha256:d283d37a890ba4c1ae73ffadf8046435c76e7bc2247bbb63c00bd1a709c6544b",
        "pyyaml==6.0.2 --hash=sha256:d584d9ec91ad65861cc08d42e834324ef890a082e591037abe114850ff7bbc3e",
    ]
    root = project(tmp_path, "\n".join([*lines, f"./ext-1.0.tar.gz --hash=sha256:{sha256(archive)}"]) + "\n")
    (root / "ext-1.0.tar.gz").write_bytes(archive)
    user.run("lock", cwd=root)
    built = json.loads((root / "devenv.lock").read_text())["files"]
    names = {
        file["file_name"].partition("-")[0]
        for key in built
        if key.startswith("build:")
        for file in built[key]
    }
    assert {"setuptools", "meson_python", "cython"} <= names
    code = "import markupsafe._speedups, yaml, ext; print(ext.value())"
    assert said(user, root, code) == "42"


IN_ROOT = """name = "real"
base = "debian/bookworm"
[packages]
python = "3.11"
system = ["g++", "pkg-config", "libcairo2-dev", "python3-dev"]
"""
SDISTS = {
    "pycairo==1.27.0": "5cb21e7a00a2afcafea7f14390235be33497a2cce53a98a19389492a60628430",
    "cymem==2.0.11": "efe49a349d4a518be6b6c6b255d4a80f740a341544bde1a807707c058b88d0bd",
    "msgpack==1.1.0": "dd432ccc2c72b914e4cb77afce64aab761c1137cc698be3984eee260bcb2896e",
}


@pytest.mark.network
@pytest.mark.slow
def test_real_sdists_are_built_with_compilers_and_libraries_of_system_packages(tmp_path: Path) -> None:
    """pycairo by meson with a library of the system, cymem by Cython with C++, msgpack by Cython with C."""
    require_sandboxes()
    user = User(tmp_path / "home")
    lines = ["--no-binary :all:", *(f"{pin} --hash=sha256:{digest}" for pin, digest in SDISTS.items())]
    root = project(tmp_path, "\n".join(lines) + "\n")
    (root / "devenv.toml").write_text(IN_ROOT)
    user.run("lock", cwd=root)
    code = (
        "import cairo, cymem.cymem, msgpack._cmsgpack as m; "
        "print(cairo.cairo_version_string(), m.Unpacker.__module__, cairo._cairo.__file__)"
    )
    version, module, file = said(user, root, code).split()
    assert version.startswith("1.") and module == "msgpack._cmsgpack"
    assert file.startswith(str(root / ".devenv/python"))


RUST = """name = "rust"
base = "debian/trixie"
[packages]
python = "3.13"
system = ["cargo", "rustc", "gcc", "python3-dev"]
"""
RUST_SDISTS = {
    "rpds-py==0.22.3": "e32fee8ab45d3c2db6da19a5323bc3362237c8b653c70194414b892fd06a080d",
    "bcrypt==4.2.1": "6765386e3ab87f569b276988742039baab087b2cdb01e809d74e74503c2faafe",
}


@pytest.mark.network
@pytest.mark.slow
def test_real_sdists_are_compiled_of_the_crates_that_their_own_locks_name(tmp_path: Path) -> None:
    """rpds-py by maturin, bcrypt by setuptools-rust, whose Cargo.lock lies deeper."""
    require_sandboxes()
    user = User(tmp_path / "home")
    lines = ["--no-binary :all:", *(f"{pin} --hash=sha256:{digest}" for pin, digest in RUST_SDISTS.items())]
    root = project(tmp_path, "\n".join(lines) + "\n")
    (root / "devenv.toml").write_text(RUST.replace('"cargo", "rustc", ', ""))
    done = user.run("lock", cwd=root, check=False)
    for pin in RUST_SDISTS:
        said_of = f"{pin.replace('==', ' ')} is written in Rust: its build runs cargo and rustc"
        assert said_of in done.stderr
    (root / "devenv.toml").write_text(RUST)
    user.run("lock", cwd=root)
    files = json.loads((root / "devenv.lock").read_text())["files"]
    crates = {file["crate"].split(" ")[0] for each in files.values() for file in each if "crate" in file}
    assert {"rpds", "pyo3", "bcrypt"} <= crates
    code = "import rpds, bcrypt; print(len(rpds.List([1, 2])), bcrypt.checkpw(b'x', bcrypt.hashpw(b'x', bcrypt.gensalt(4))))"
    assert said(user, root, code) == "2 True"
