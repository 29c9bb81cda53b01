"""What was compiled for a package of a lockfile is not compiled again for it, and is what the compiler alone makes."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.registry import Registry, npm_lock, point_clients_at, serve
from tests.support.sandboxes import require_sandboxes
from tests.support.sdists import native_source, sdist, sha256

pytestmark = pytest.mark.network

BASE = 'base = "debian/bookworm"\n[packages]\nsystem = ["gcc", "libc6-dev", "diffutils", "nodejs", "ccache"]\npython = "3.11"\n'
ONE, TWO = "int value(void) { return 42; }\n", "int other(void) { return 1; }\n"
# Each object by the cache and, under its absolute path, by the compiler; `cmp` fails where they differ.
CC = "cc -g -fPIC -c {0}.c"
BOTH = CC + " && mv {0}.o {0}.x && /usr/bin/cc -g -fPIC -ffile-prefix-map=$PWD=. -c {0}.c && cmp {0}.o {0}.x"
COMPILE = "require('child_process').execSync(`" + BOTH.format("one") + " && " + BOTH.format("two") + "`)"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with an npm package and a Python package, each with C files, in a root with ccache; its home beside it."""
    require_sandboxes()
    registry = Registry()
    registry.add_wheel("helper", "2.0")
    source = native_source() | {"two.c": TWO}
    source["tools/own.py"] = source["tools/own.py"].replace(
        'subprocess.run([compiler, "-shared", "-fPIC", "-o", "native.so", "native.c"], check=True)',
        f"""subprocess.run({BOTH.format("native")!r} + " && " + {BOTH.format("two")!r}, shell=True, check=True)
    subprocess.run([compiler, "-shared", "-o", "native.so", "native.o", "two.o"], check=True)""",
    )
    archive = sdist(source)
    registry.wheels["ext"] = {"ext-1.0.tar.gz": archive}
    folder = tmp_path_factory.mktemp("cached")
    project = folder / "project"
    project.mkdir()
    files = {"one.c": ONE, "two.c": TWO, "i.js": COMPILE}
    integrity = registry.add_npm("addon", "1.0.0", files, scripts={"install": "node i.js"})
    entry = {"version": "1.0.0", "integrity": integrity, "hasInstallScript": True}
    (project / "ext-1.0.tar.gz").write_bytes(archive)
    (project / "package-lock.json").write_text(npm_lock({"node_modules/addon": entry}))
    (project / "requirements.txt").write_text(f"ext==1.0 --hash=sha256:{sha256(archive)}\n")
    (project / "devenv.toml").write_text(BASE)
    with serve(registry):
        point_clients_at(registry, folder / "home")
        (project / "devenv.toml").write_text(BASE + f'[registries]\nnpm = "{registry.url}/npm/"\n')
        user = User(folder / "home")
        user.run("lock", cwd=project)
        user.run("enter", "-c", "true", cwd=project)
        yield project


def counts(user: User, root: Path, owner: str) -> tuple[int, int]:
    """(hits, misses) of a package's cache since this was asked last."""
    line = f"CCACHE_DIR={root}/.devenv/state/ccache-packages/{owner} ccache"
    text = user.run("enter", "-c", f"{line} --print-stats; {line} --zero-stats >&2", cwd=root).stdout
    found = dict(row.split("\t") for row in text.splitlines())
    return int(found["direct_cache_hit"]) + int(found["preprocessed_cache_hit"]), int(found["cache_miss"])


def shell(root: Path, line: str) -> tuple[int, int]:
    """(hits, misses) of the shells' cache by a command in a shell."""
    line = f"ccache -z >&2; {{ {line}; }} >&2 && ccache --print-stats"
    text = User(root.parent / "home").run("enter", "--offline", "-c", line, cwd=root, check=True).stdout
    found = dict(row.split("\t") for row in text.splitlines())
    return int(found["direct_cache_hit"]) + int(found["preprocessed_cache_hit"]), int(found["cache_miss"])


def changed(root: Path, kind: str, name: str, file: str, before: str, after: str) -> None:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{file}", f"b/{file}")
    (root / f"{name}.patch").write_text("".join(lines))
    (root / f"devenv.d/{kind}").mkdir(parents=True, exist_ok=True)
    (root / f"devenv.d/{kind}/{name}.toml").write_text(f'patches = ["{name}.patch"]\n')


@pytest.mark.parametrize(
    ("kind", "name", "file"), [("npm", "addon", "one.c"), ("pip", "ext", "native.c")], ids=["npm", "pip"]
)
def test_only_the_file_that_a_patch_changes_is_compiled_again(
    root: Path, kind: str, name: str, file: str
) -> None:
    user = User(root.parent / "home")
    counts(user, root, f"{kind}-{name}")
    changed(root, kind, name, file, ONE, ONE.replace("42", "43"))
    user.run("lock", cwd=root)
    user.run("enter", "--offline", "-c", "true", cwd=root)
    assert counts(user, root, f"{kind}-{name}") == (1, 1)


# As pip compiles it, in a directory of the moment, and as `npm rebuild` does.
COMPILED = {
    "npm": ("addon", "one.c", "cd node_modules/addon && {} " + CC.format("one") + " && " + CC.format("two")),
    "pip": (
        "ext",
        "native.c",
        'cd "$(mktemp -d)" && tar -xf $DEVENV_PROJECT/ext-1.0.tar.gz && cd ext-1.0 && {} '
        + CC.format("native")
        + " && "
        + CC.format("two"),
    ),
}


@pytest.mark.parametrize("kind", COMPILED)
def test_a_shell_does_not_compile_what_a_build_did_and_the_reverse(root: Path, kind: str) -> None:
    name, file, line = COMPILED[kind]
    user = User(root.parent / "home")
    assert shell(root, line.format("")) == (2, 0)
    # What follows is new to both.
    text = (ONE if kind == "npm" else native_source()["native.c"]).replace("42", "77")
    assert shell(root, line.format(f"rm {file} && echo '{text.strip()}' >{file} &&")) == (1, 1)
    counts(user, root, f"{kind}-{name}")
    changed(root, kind, name, file, ONE, ONE.replace("42", "77"))
    user.run("lock", cwd=root)
    user.run("enter", "--offline", "-c", "true", cwd=root)
    assert counts(user, root, f"{kind}-{name}") == (2, 0)


def test_a_shell_compiles_the_projects_own_files_as_they_are(root: Path) -> None:
    """Debuggers look for the directory that an object names."""
    shell(root, "mkdir -p own && cd own && echo 'int own;' >own.c && cc -g -c own.c")
    assert str(root / "own").encode() in (root / "own/own.o").read_bytes()


def test_what_one_package_forges_does_not_get_into_another(root: Path) -> None:
    """An object that a build laid into its cache under the key of a file of another package's."""
    user = User(root.parent / "home")
    line = COMPILED["pip"][2]
    text = native_source()["native.c"].replace("42", "88")
    edit = f"rm native.c && echo '{text.strip()}' >native.c &&"
    shell(root, line.format(edit))
    own, evil = root / ".devenv/state/ccache-shell", root / ".devenv/state/ccache-packages/npm-addon/results"
    newest = sorted((path for path in own.glob("??/*")), key=lambda path: path.stat().st_mtime_ns)[-2:]
    for path in newest:  # the object and the list of its headers, as the package claims to have made them
        (evil / path.parent.name).mkdir(exist_ok=True)
        path.rename(evil / path.parent.name / path.name)
    shutil.rmtree(root / ".devenv/state/ccache")
    user.run("lock", cwd=root)
    shutil.rmtree(user.home / ".local/state/devenv/known")  # so that it is prepared, not remembered
    user.run("enter", "--offline", "-c", "true", cwd=root)
    assert shell(root, line.format(edit)) == (2, 0)  # a shell takes it
    counts(user, root, "pip-ext")
    changed(root, "pip", "ext", "native.c", ONE, ONE.replace("42", "88"))
    user.run("lock", cwd=root)
    user.run("enter", "--offline", "-c", "true", cwd=root)
    assert counts(user, root, "pip-ext") == (1, 1)  # and the build of another package does not
