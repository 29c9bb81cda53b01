from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import Editable, Package, SitePackages
from devenv.derivations.builders.compile_tree import compile_tree
from devenv.errors import DevenvError, Problems
from devenv.views.compose import compose
from devenv.views.launchers import (
    EntryPoint,
    console_script,
    parse_entry_point,
    parse_sections,
    shebang,
    with_interpreter,
)
from devenv.views.operations import File, Op, Symlink, Tree, ViewError
from devenv.views.python import manifest_key, site_packages_ops, watched_files
from tests.support.wheels import make_wheel, wheel_package, write_tree

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/python{MINOR}/site-packages"
UV = shutil.which("uv", path=f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}")


@dataclass(frozen=True)
class Python:
    path: str = os.path.realpath(sys.executable)
    version: str = ".".join(map(str, sys.version_info[:3]))


def operations(
    wheels: Mapping[str, str],
    root: Path,
    *,
    packages: tuple[Package, ...] | None = None,
    bytecode: Mapping[str, str] | None = None,
    editables: tuple[Editable, ...] = (),
    project: str = "",
) -> list[Op]:
    """The operations for wheels by name, all of version 1.0 unless `packages` are given."""
    view = SitePackages(
        packages=packages or tuple(wheel_package(name) for name in wheels), editables=editables
    )
    return site_packages_ops(
        view, trees=wheels, bytecode=bytecode or {}, python=Python(), root=str(root), project=project
    )


def composed(wheels: Mapping[str, str], root: Path, **rest: object) -> Path:
    os.makedirs(root.parent, exist_ok=True)
    compose(str(root), operations(wheels, root, **rest), key="test")  # type: ignore[arg-type]
    return root


def compiled(tree: str) -> str:
    target = f"{tree}.bytecode"
    compile_tree(tree, target)
    return target


def run(program: Path, *args: str, **environ: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **environ}
    done = subprocess.run(
        [program, *args], check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python_run(root: Path, code: str, *args: str) -> str:
    return run(root / "bin/python", "-c", code, *args)


def problems(error: DevenvError) -> list[str]:
    return [str(e) for e in error.problems] if isinstance(error, Problems) else [str(error)]


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "store"
    path.mkdir()
    return str(path)


def greeter(store: str) -> str:
    return make_wheel(
        store,
        "greeter",
        files={
            "greeter/__init__.py": "def main():\n    import sys\n    print('hello', *sys.argv[1:])\n    return 3\n",
            "greeter/cli.py": "class App:\n    @staticmethod\n    def run():\n        print('app')\n\napp = App()\n",
        },
        entry_points="[console_scripts]\ngreet = greeter:main\nGreet2=greeter.cli:app.run [extra]\n"
        "[greeter.plugins]\na/b = x:y\n[gui_scripts]\n# nothing\ngreet-gui = greeter.cli:app.run\n",
    )


# --- the environment as programs see it ---------------------------------------------------------------------


def test_python_imports_from_the_view_and_not_from_the_system(store: str, tmp_path: Path) -> None:
    root = composed({"greeter": greeter(store)}, tmp_path / "project/.devenv/python")
    code = "import sys, json, greeter; print(json.dumps([sys.prefix, greeter.__file__, sys.path]))"
    prefix, file, path = json.loads(python_run(root, code))
    assert prefix == str(root)
    assert file == f"{root}/{SITE}/greeter/__init__.py"
    assert [p for p in path if "-packages" in p] == [f"{root}/{SITE}"]


@pytest.mark.parametrize("name", ["python", "python3", f"python{MINOR}"])
def test_every_name_of_the_interpreter_starts_the_environment(name: str, store: str, tmp_path: Path) -> None:
    root = composed({}, tmp_path / "python")
    assert run(root / "bin" / name, "-c", "import sys; print(sys.prefix)") == f"{root}\n"


def test_console_scripts_run_their_function_and_exit_with_its_result(store: str, tmp_path: Path) -> None:
    root = composed({"greeter": greeter(store)}, tmp_path / "python")
    done = subprocess.run([root / "bin/greet", "a b"], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("hello a b\n", 3)
    assert run(root / "bin/Greet2") == "app\n"
    assert run(root / "bin/greet-gui") == "app\n"
    assert not os.path.exists(root / "bin/a")


@pytest.mark.parametrize(
    "folder",
    ["with blank", "it's", 'say "hi"', "a$HOME`b`", "back\\slash\\x41", "'''", "new\nline", "d" * 150, "ünï"],
    ids=[
        "blank",
        "quote",
        "double quote",
        "dollar",
        "backslash",
        "triple quote",
        "newline",
        "long",
        "accents",
    ],
)
def test_console_scripts_run_wherever_the_project_lies(folder: str, store: str, tmp_path: Path) -> None:
    root = composed({"greeter": greeter(store)}, tmp_path / folder / "python")
    assert run(root / "bin/Greet2") == "app\n"


def test_a_console_script_can_be_imported_without_running(store: str, tmp_path: Path) -> None:
    # multiprocessing's spawn does so in every child.
    root = composed({"greeter": greeter(store)}, tmp_path / "python")
    code = f"import runpy; runpy.run_path({str(root / 'bin/greet')!r}, run_name='__mp_main__'); print('fine')"
    assert python_run(root, code) == "fine\n"


def test_importlib_metadata_sees_files_versions_and_entry_points(store: str, tmp_path: Path) -> None:
    root = composed({"greeter": greeter(store)}, tmp_path / "python")
    code = """
import importlib.metadata as m, json, os
d = m.distribution("greeter")
missing = [str(f) for f in d.files if not os.path.exists(d.locate_file(f))]
groups = sorted({e.group for e in d.entry_points})
print(json.dumps([d.version, missing, groups, d.read_text("INSTALLER"), len(d.files)]))
"""
    version, missing, groups, installer, count = json.loads(python_run(root, code))
    assert (version, missing, installer) == ("1.0", [], "devenv\n")
    assert groups == ["console_scripts", "greeter.plugins", "gui_scripts"]
    assert count == 10  # two modules, three scripts, METADATA WHEEL RECORD INSTALLER entry_points.txt


@pytest.mark.skipif(UV is None, reason="needs uv")
def test_uv_and_pip_list_the_packages_and_find_nothing_missing(store: str, tmp_path: Path) -> None:
    wheels = {
        "greeter": greeter(store),
        "needs-greeter": make_wheel(store, "needs-greeter", requires=("greeter>=1",)),
    }
    project = tmp_path / "project"
    write_tree(
        str(project),
        {
            "pyproject.toml": '[project]\nname = "mine"\nversion = "2.1"\ndependencies = ["greeter"]\n',
            "src/mine.py": "",
        },
    )
    root = composed(
        wheels,
        project / ".devenv/python",
        editables=(Editable(name="mine", path="."),),
        project=str(project),
    )
    python = str(root / "bin/python")
    listed = run(
        Path(str(UV)), "pip", "list", "--python", python, "--format", "json", "--no-cache", "--offline"
    )
    found = {entry["name"]: entry["version"] for entry in json.loads(listed)}
    assert found == {"greeter": "1.0", "needs-greeter": "1.0", "mine": "2.1"}
    run(Path(str(UV)), "pip", "check", "--python", python, "--no-cache", "--offline")
    listed = run(
        Path(sys.executable),
        "-m",
        "pip",
        "--python",
        python,
        "list",
        "--format",
        "json",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    assert {entry["name"]: entry["version"] for entry in json.loads(listed)} == found


# --- RECORD ------------------------------------------------------------------------------------------------


def test_record_lists_every_file_with_its_hash_and_is_sorted(store: str, tmp_path: Path) -> None:
    wheel = make_wheel(
        store,
        "kit",
        files={
            "kit.py": "x = 1\n",
            "kit-1.0.data/data/share/kit/a,b.txt": "data",
            "kit-1.0.data/scripts/tool": "#!python\nprint('tool')\n",
            "kit-1.0.data/headers/kit.h": "int kit;\n",
        },
        entry_points="[console_scripts]\nkit = kit:main\n",
    )
    root = composed({"kit": wheel}, tmp_path / "python")
    text = (root / SITE / "kit-1.0.dist-info/RECORD").read_text()
    rows = list(csv.reader(text.splitlines()))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    expected = {
        "../../../bin/kit",
        "../../../bin/tool",
        f"../../../include/site/python{MINOR}/kit/kit.h",
        "../../../share/kit/a,b.txt",
        "kit-1.0.dist-info/INSTALLER",
        "kit-1.0.dist-info/METADATA",
        "kit-1.0.dist-info/RECORD",
        "kit-1.0.dist-info/WHEEL",
        "kit-1.0.dist-info/entry_points.txt",
        "kit.py",
    }
    assert {row[0] for row in rows} == expected
    for path, digest, size in rows:
        data = (root / SITE / path).read_bytes()
        if path.endswith("/RECORD"):
            assert (digest, size) == ("", "")
            continue
        assert digest == "sha256=" + urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert int(size) == len(data)


@pytest.mark.parametrize(
    "record", [b"", b'"', b"\xff\xfe", b"a\r\nb,c\n,,,,\n" * 3], ids=["empty", "quote", "binary", "odd"]
)
def test_a_wheel_with_a_strange_record_gets_a_whole_one_or_a_clear_error(
    record: bytes, store: str, tmp_path: Path
) -> None:
    wheel = make_wheel(store, "kit", files={"kit.py": ""})
    os.chmod(f"{wheel}/kit-1.0.dist-info/RECORD", 0o644)
    Path(wheel, "kit-1.0.dist-info/RECORD").write_bytes(record)
    try:
        ops = operations({"kit": wheel}, tmp_path / "python")
    except ViewError as error:
        assert "not UTF-8" in str(error)
        return
    made = next(op for op in ops if isinstance(op, File) and op.dest.endswith("RECORD"))
    assert b"kit.py," in made.contents


def test_a_package_named_by_url_says_so_without_credentials(store: str, tmp_path: Path) -> None:
    wheels = {name: make_wheel(store, name, files={f"{name}.py": ""}) for name in ("kit", "plain")}
    direct = wheel_package(
        "kit", direct=True, url="https://user:secret@files.test:8443/kit-1.0-py3-none-any.whl?a=b"
    )
    root = composed(wheels, tmp_path / "python", packages=(direct, wheel_package("plain")))
    found = json.loads((root / SITE / "kit-1.0.dist-info/direct_url.json").read_text())
    assert found == {
        "url": "https://files.test:8443/kit-1.0-py3-none-any.whl?a=b",
        "archive_info": {
            "hash": f"sha256={direct.file.hash.hex}",
            "hashes": {"sha256": direct.file.hash.hex},
        },
    }
    assert not (root / SITE / "plain-1.0.dist-info/direct_url.json").exists()


# --- where files go ----------------------------------------------------------------------------------------


def test_data_directories_go_where_the_specification_says(store: str, tmp_path: Path) -> None:
    wheel = make_wheel(
        store,
        "kit",
        files={
            "top.py": "",
            "kit-1.0.data/purelib/pure.py": "",
            "kit-1.0.data/platlib/pkg/plat.py": "",
            "kit-1.0.data/data/etc/kit.conf": "conf",
            "kit-1.0.data/data/lib64/kit/blob": "blob",
            "kit-1.0.data/headers/sub/kit.h": "h",
            "kit-1.0.data/scripts/native": b"\x7fELF",
        },
    )
    root = composed({"kit": wheel}, tmp_path / "python")
    for path in ("top.py", "pure.py", "pkg/plat.py"):
        assert (root / SITE / path).is_file()
    assert (root / "etc/kit.conf").read_text() == "conf"
    assert (root / "lib/kit/blob").read_text() == "blob"
    assert os.readlink(root / "lib64") == "lib"
    assert (root / f"include/site/python{MINOR}/kit/sub/kit.h").is_file()
    assert os.access(root / "bin/native", os.X_OK)
    assert not list(root.glob("**/*.data"))


def test_python_scripts_of_a_wheel_run_with_the_environments_interpreter(store: str, tmp_path: Path) -> None:
    files = {
        "kit-1.0.data/scripts/tool": "#!python\nimport sys; print(sys.prefix)\n",
        "kit-1.0.data/scripts/wtool": "#!pythonw -u\nimport sys; print(sys.prefix)",
        "kit-1.0.data/scripts/shell": "#!/bin/sh\necho shell\n",
    }
    root = composed({"kit": make_wheel(store, "kit", files=files)}, tmp_path / "python")
    assert run(root / "bin/tool") == run(root / "bin/wtool") == f"{root}\n"
    assert run(root / "bin/shell") == "shell\n"
    tree = next(
        op
        for op in operations({"kit": f"{store}/kit-1.0"}, tmp_path / "python")
        if isinstance(op, Tree) and op.dest == "bin"
    )
    assert tree.skip == {"tool", "wtool"}  # programs are not read into memory


def test_namespace_packages_merge_and_byte_code_is_used(store: str, tmp_path: Path) -> None:
    wheels = {
        "ns-a": make_wheel(
            store, "ns-a", files={"ns/a.py": "x = 1\n", "old/__init__.py": "# shared\n", "old/a.py": ""}
        ),
        "ns-b": make_wheel(
            store, "ns-b", files={"ns/b.py": "y = 2\n", "old/__init__.py": "# shared\n", "old/b.py": ""}
        ),
    }
    bytecode = {name: compiled(tree) for name, tree in wheels.items()}
    # As if the same source had compiled to other bytes, which it may.
    other = next(Path(bytecode["ns-b"], "old/__pycache__").glob("__init__.*"))
    os.chmod(other, 0o644)
    other.write_bytes(other.read_bytes() + b"\0")
    root = composed(wheels, tmp_path / "python", bytecode=bytecode)
    code = "import ns.a, ns.b, old.a, old.b; print(ns.a.__cached__, ns.a.x + ns.b.y)"
    tag = sys.implementation.cache_tag
    assert python_run(root, code) == f"{root}/{SITE}/ns/__pycache__/a.{tag}.pyc 3\n"
    assert sorted(os.listdir(root / SITE / "ns/__pycache__")) == [f"a.{tag}.pyc", f"b.{tag}.pyc"]


def test_byte_code_that_comes_in_a_wheel_is_not_taken(store: str, tmp_path: Path) -> None:
    tag = sys.implementation.cache_tag
    wheel = make_wheel(store, "kit", files={"kit.py": "x = 1\n", f"__pycache__/kit.{tag}.pyc": "stale"})
    root = composed({"kit": wheel}, tmp_path / "python", bytecode={"kit": compiled(wheel)})
    assert python_run(root, "import kit; print(kit.x)") == "1\n"
    assert (root / SITE / f"__pycache__/kit.{tag}.pyc").read_bytes() != b"stale"


# --- ownership ---------------------------------------------------------------------------------------------


def test_two_packages_with_different_contents_at_one_path_are_all_reported(
    store: str, tmp_path: Path
) -> None:
    wheels = {
        "aa": make_wheel(store, "aa", files={"x/one.py": "1", "x/two.py": "1", "x/same.py": "s"}),
        "bb": make_wheel(store, "bb", files={"x/one.py": "2", "x/two.py": "2", "x/same.py": "s"}),
        "cc": make_wheel(store, "cc", files={"x/one.py": "3"}),
    }
    with pytest.raises(Problems) as caught:
        operations(wheels, tmp_path / "python")
    found = "\n".join(problems(caught.value))
    assert f"aa 1.0 and bb 1.0 both have {SITE}/x/one.py, {SITE}/x/two.py, with different contents" in found
    assert f"aa 1.0 and cc 1.0 both have {SITE}/x/one.py" in found
    assert "same.py" not in found


@pytest.mark.parametrize(
    ("files", "entry_points", "word"),
    [
        ({"other": "file"}, "", "other"),
        ({"k-1.0.data/data/pyvenv.cfg": "home = /"}, "", "pyvenv.cfg"),
        ({"k-1.0.data/scripts/python": "#!/bin/sh\n"}, "", "bin/python"),
        ({"k-1.0.data/data/lib64": "file"}, "", "lib64"),
        ({"k-1.0.data/data/bin/python3/x": ""}, "", "bin/python3"),
        ({}, "[console_scripts]\npython3 = k:main\n", "bin/python3"),
        ({}, "[console_scripts]\ntaken = k:main\n", "bin/taken"),
    ],
    ids=[
        "directory and file",
        "pyvenv.cfg",
        "interpreter",
        "lib64",
        "below a link",
        "script python3",
        "script",
    ],
)
def test_a_package_cannot_take_what_is_anothers(
    files: dict[str, str], entry_points: str, word: str, store: str, tmp_path: Path
) -> None:
    wheels = {
        "k": make_wheel(store, "k", files=files, entry_points=entry_points),
        "other": make_wheel(
            store, "other", files={"other/m.py": ""}, entry_points="[console_scripts]\ntaken = other:main\n"
        ),
    }
    with pytest.raises(ViewError, match=f"both have .*{word}"):
        operations(wheels, tmp_path / "python")


def test_the_same_script_from_two_packages_passes(store: str, tmp_path: Path) -> None:
    entry = "[console_scripts]\ntool = shared:main\n"
    wheels = {name: make_wheel(store, name, entry_points=entry) for name in ("aa", "bb")}
    root = composed(wheels, tmp_path / "python")
    assert (root / "bin/tool").is_file()


def test_an_entry_point_wins_over_the_packages_own_script_of_that_name(store: str, tmp_path: Path) -> None:
    wheel = make_wheel(
        store,
        "kit",
        files={
            "kit.py": "def main(): print('entry')\n",
            "kit-1.0.data/scripts/kit": "#!/bin/sh\necho script\n",
        },
        entry_points="[console_scripts]\nkit = kit:main\n",
    )
    assert run(composed({"kit": wheel}, tmp_path / "python") / "bin/kit") == "entry\n"


# --- hostile wheels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("../../evil", "m:f"),
        ("/bin/sh", "m:f"),
        ("..", "m:f"),
        ("", "m:f"),
        ("a\x07b", "m:f"),
        ("x", "m"),
        ("x", "m:"),
        ("x", ":f"),
        ("x", "m:f()"),
        ("x", "m;import os:f"),
        ("x", "m.:f"),
        ("x", "m:f\nimport os"),
    ],
)
def test_an_entry_point_that_no_program_can_be_made_of_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be the name|is not of the form"):
        parse_entry_point(name, value)


def test_bad_entry_points_name_the_package(store: str, tmp_path: Path) -> None:
    wheels = {
        "aa": make_wheel(store, "aa", entry_points="[console_scripts]\n../x = m:f\n"),
        "bb": make_wheel(store, "bb", entry_points="[console_scripts]\nx = nonsense\n"),
    }
    with pytest.raises(Problems) as caught:
        operations(wheels, tmp_path / "python")
    assert [text[:7] for text in problems(caught.value)] == ["aa 1.0:", "bb 1.0:"]


def _break(tree: str, how: str) -> None:
    info = f"{tree}/kit-1.0.dist-info"
    os.chmod(f"{info}/WHEEL", 0o644)
    if how == "no dist-info":
        shutil.rmtree(info)
    elif how == "two dist-infos":
        write_tree(tree, {"other-1.dist-info/METADATA": ""})
    elif how == "newer format":
        Path(info, "WHEEL").write_text("Wheel-Version: 2.0\n")
    elif how == "binary WHEEL":
        Path(info, "WHEEL").write_bytes(b"\xff\x00")
    elif how == "link":
        os.symlink("/etc/passwd", f"{info}/entry_points.txt")
    elif how == "unknown scheme":
        write_tree(tree, {"kit-1.0.data/rootfs/x": ""})
    elif how == "fifo":
        os.mkfifo(f"{info}/entry_points.txt")


@pytest.mark.parametrize(
    "how",
    ["no dist-info", "two dist-infos", "newer format", "binary WHEEL", "link", "unknown scheme", "fifo"],
)
def test_what_is_no_proper_wheel_is_an_error_that_names_the_package(
    how: str, store: str, tmp_path: Path
) -> None:
    tree = make_wheel(store, "kit", files={"kit.py": ""})
    _break(tree, how)
    with pytest.raises(ViewError, match=r"kit 1\.0"):
        operations({"kit": tree}, tmp_path / "python")


def test_a_tree_that_is_missing_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match=r"cannot read kit 1\.0"):
        operations({"kit": str(tmp_path / "gone")}, tmp_path / "python")


# --- editables ---------------------------------------------------------------------------------------------

MANIFEST = """
[project]
name = "My.Project"
version = "0.3"
requires-python = ">=3.8"
dependencies = ["greeter>=1; python_version > '3'"]
optional-dependencies.x = ["y @ https://files.test/y.whl", "z"]
scripts.mine = "mine:main"
entry-points."some.group".thing = "mine:thing"
"""


def test_an_editable_project_is_imported_in_place_with_its_scripts(store: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_tree(str(project), {"pyproject.toml": MANIFEST, "src/mine.py": "def main(): print(__file__)\n"})
    view = (Editable(name="my-project", path="."),)
    root = composed(
        {"greeter": greeter(store)}, project / ".devenv/python", editables=view, project=str(project)
    )
    assert run(root / "bin/mine") == f"{project}/src/mine.py\n"
    code = """
import importlib.metadata as m, json
d = m.distribution("my-project")
print(json.dumps([d.version, d.requires, json.loads(d.read_text("direct_url.json")), [str(e.value) for e in d.entry_points]]))
"""
    version, requires, direct, entries = json.loads(python_run(root, code))
    assert version == "0.3"
    assert requires == [
        "greeter>=1; python_version > '3'",
        "y @ https://files.test/y.whl ; extra == 'x'",
        "z ; extra == 'x'",
    ]
    assert direct == {"url": f"file://{project}", "dir_info": {"editable": True}}
    assert sorted(entries) == ["mine:main", "mine:thing"]


def test_an_editable_project_without_a_manifest_or_src_is_still_importable(tmp_path: Path) -> None:
    write_tree(str(tmp_path / "lib dir"), {"flat.py": "x = 5\n"})
    root = composed(
        {}, tmp_path / "python", editables=(Editable(name="flat", path="lib dir"),), project=str(tmp_path)
    )
    code = "import flat, importlib.metadata as m; print(flat.x, m.version('flat'))"
    assert python_run(root, code) == "5 0\n"


@pytest.mark.parametrize(
    ("folder", "manifest", "message"),
    [
        ("gone", None, "is not there"),
        ("new\nline", "", "cannot hold"),
        ("blank ", "", "cannot hold"),
        ("m", "not toml [", "is not TOML"),
        ("m", "[project]\nname = 'x'\nscripts.'../y' = 'a:b'\n", "cannot be the name"),
    ],
    ids=["missing", "newline", "trailing blank", "toml", "script"],
)
def test_an_editable_project_that_cannot_be_used_is_an_error(
    folder: str, manifest: str | None, message: str, tmp_path: Path
) -> None:
    if manifest is not None:
        write_tree(str(tmp_path / folder), {"pyproject.toml": manifest})
    with pytest.raises(ViewError, match=message):
        operations(
            {}, tmp_path / "python", editables=(Editable(name="e", path=folder),), project=str(tmp_path)
        )


@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["name", "version", "dependencies", "scripts", "optional-dependencies", "entry-points"]
        ),
        st.recursive(
            st.text(max_size=8) | st.integers() | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_manifest_gives_operations_inside_the_root_or_our_error(
    fields: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import tomlkit

    directory = tmp_path_factory.mktemp("project")
    (directory / "pyproject.toml").write_text(tomlkit.dumps({"project": fields}), encoding="utf-8")
    try:
        ops = operations(
            {}, directory / "v", editables=(Editable(name="e", path="."),), project=str(directory)
        )
    except DevenvError:
        return
    for op in ops:
        assert not op.dest.startswith("/")
        assert ".." not in op.dest.split("/")


def test_a_changed_manifest_changes_the_key(tmp_path: Path) -> None:
    view = SitePackages(packages=(), editables=(Editable(name="e", path="lib"),))
    assert manifest_key(SitePackages(packages=()), str(tmp_path)) == ""
    keys = [manifest_key(view, str(tmp_path))]
    for contents in ("", "[project]\n"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib/pyproject.toml").write_text(contents)
        keys.append(manifest_key(view, str(tmp_path)))
    (tmp_path / "lib/src").mkdir()
    keys.append(manifest_key(view, str(tmp_path)))
    assert len(set(keys)) == 3  # a missing file says as little as an empty one
    assert watched_files(view, str(tmp_path)) == (str(tmp_path / "lib/pyproject.toml"),)


# --- texts -------------------------------------------------------------------------------------------------


def test_an_ordinary_interpreter_gives_one_shebang_line() -> None:
    assert shebang("/home/me/p/bin/python") == b"#!/home/me/p/bin/python\n"


@given(st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text))
def test_every_script_is_valid_python_whatever_the_path(folder: str) -> None:
    script = console_script(EntryPoint(name="x", module="m", attribute="f"), f"/{folder}/bin/python")
    compile(script, "script", "exec")
    assert script.startswith(b"#!/")
    assert len(script.split(b"\n")[0]) < 127


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b"#!python\nx", b"#!/p\nx"),
        (b"#!pythonw\r\nx", b"#!/p\nx"),
        (b"#!python", b"#!/p\n"),
        (b"#!/usr/bin/python\nx", None),
        (b"", None),
    ],
)
def test_only_the_wheels_placeholder_line_is_replaced(script: bytes, expected: bytes | None) -> None:
    assert with_interpreter(script, "/p") == expected


@given(st.text())
def test_any_entry_points_text_gives_sections_that_are_ours_or_an_error(text: str) -> None:
    for _, name, value in parse_sections(text):
        try:
            entry = parse_entry_point(name, value)
        except ValueError:
            continue
        assert "/" not in entry.name
        compile(console_script(entry, "/p/bin/python"), "script", "exec")


def test_equal_input_gives_equal_operations_in_any_order(store: str, tmp_path: Path) -> None:
    wheels = {"greeter": greeter(store), "kit": make_wheel(store, "kit", files={"kit.py": ""})}
    packages = tuple(wheel_package(name) for name in wheels)
    first = operations(wheels, tmp_path / "v", packages=packages)
    assert first == operations(wheels, tmp_path / "v", packages=packages[::-1])
    assert [op for op in first if isinstance(op, Symlink) and op.dest == "bin/python"] == [
        Symlink(dest="bin/python", target=Python().path)
    ]
