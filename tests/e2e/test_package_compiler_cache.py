"""What was compiled for a package of a lockfile is not compiled again for it, and is what the compiler alone makes."""

from __future__ import annotations

import difflib
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
BOTH = "cc -g -fPIC -c {0}.c && mv {0}.o {0}.x && /usr/bin/cc -g -fPIC -c {0}.c && cmp {0}.o {0}.x"
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
