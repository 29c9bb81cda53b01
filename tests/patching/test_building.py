"""The builder that patches a tree: what it makes runs, finds what it needs, and is the same bytes every time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.builders.patch import build
from devenv.elf.elf import Elf
from devenv.formats.store_path import StorePath
from devenv.store.tree import remove, scan
from tests.foreign.conftest import Compile

LEAF = "int leaf(void) { return 40; }"
MIDDLE = "int leaf(void); int middle(void) { return leaf() + 1; }"
OWN = "int own(void) { return 1; }"
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <dlfcn.h>
int middle(void); int own(void);
int main(void) {
    void *opened = dlopen("libopened.so.1", RTLD_NOW);
    printf("%d %s %s\\n", middle() + own(), opened ? "opened" : dlerror(), getenv("LD_LIBRARY_PATH") ? "leaked" : "clean");
    return 0;
}
"""


@pytest.fixture
def tree(compile_c: Compile, tmp_path: Path) -> Path:
    """app/bin/tool needs libmiddle of a "package", which needs libleaf of another, and libown that it brings."""
    shared = ("-shared", "-fPIC")
    compile_c("leaf/libleaf.so.1", LEAF, *shared, "-Wl,-soname,libleaf.so.1")
    # A run path of its own, as some packages' libraries have one, keeps the program's from serving it.
    middle = (
        "-Wl,-soname,libmiddle.so.1",
        "-Wl,-rpath,/nowhere",
        "-Wl,--enable-new-dtags",
        str(tmp_path / "leaf/libleaf.so.1"),
    )
    compile_c("middle/libmiddle.so.1", MIDDLE, *shared, *middle)
    compile_c("middle/libopened.so.1", LEAF, *shared, "-Wl,-soname,libopened.so.1")
    compile_c("app/lib/libown.so", OWN, *shared, "-Wl,-soname,libown.so")
    link = [
        str(tmp_path / "middle/libmiddle.so.1"),
        str(tmp_path / "app/lib/libown.so"),
        "-Wl,--allow-shlib-undefined",
    ]
    compile_c("app/bin/tool", MAIN, *link)
    script = tmp_path / "app/bin/script"
    script.write_text("#!/opt/other/bin/tool -x\nbody\n")
    script.chmod(0o755)
    (tmp_path / "app/damaged.so").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9))
    return tmp_path / "app"


def patched(tree: Path, target: Path) -> tuple[Path, tuple[str, ...]]:
    """Build `target` with the libraries beside the tree and this machine's loader."""
    with Elf.open(str(tree / "bin/tool")) as elf:
        loader = os.path.realpath(elf.interpreter or "")
    top = tree.parent
    libraries = {
        "libleaf.so.1": str(top / "leaf/libleaf.so.1"),
        "libmiddle.so.1": str(top / "middle/libmiddle.so.1"),
        "libopened.so.1": str(top / "middle/libopened.so.1"),
    }
    env = {
        "src": str(tree),
        "libraries": json.dumps({"amd64": libraries}),
        "loaders": json.dumps({"amd64": loader}),
        "interpreters": json.dumps({"bin/script": "bin/tool"}),
        "out": str(target),
    }
    job = Job(label="app", env=env, target=str(target), pythons={}, interpreters=Interpreters())
    return target, build(job)


def test_a_patched_program_finds_what_it_brings_needs_and_opens(tree: Path, tmp_path: Path) -> None:
    before = subprocess.run([tree / "bin/tool"], env={}, capture_output=True, check=False)
    assert before.returncode == 127
    target, notices = patched(tree, tmp_path / "out")
    done = subprocess.run([target / "bin/tool"], env={}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("42 opened clean\n", "")
    assert len(notices) == 1 and notices[0].startswith("damaged.so is left as it is")
    assert (target / "damaged.so").read_bytes() == (tree / "damaged.so").read_bytes()


def test_a_script_gets_the_interpreter_that_the_tree_has(tree: Path, tmp_path: Path) -> None:
    target, _ = patched(tree, tmp_path / "out")
    assert (target / "bin/script").read_text() == f"#!{target}/bin/tool -x\nbody\n"


def test_what_is_made_is_canonical_and_the_same_again(tree: Path, tmp_path: Path) -> None:
    hashes = []
    for _ in range(2):
        target, _ = patched(tree, tmp_path / "out")
        hashes.append(scan(str(target), [StorePath("/s/" + "a" * 32 + "-x")]).nar_hash)
        for place, _, names in os.walk(target):
            for name in names:
                status = os.lstat(os.path.join(place, name))
                assert status.st_mtime == 1
                assert stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) in (0o444, 0o555)
        remove(str(target))
    assert hashes[0] == hashes[1]


def test_the_source_stays_as_it_was(tree: Path, tmp_path: Path) -> None:
    before = scan(str(tree), []).nar_hash
    patched(tree, tmp_path / "out")
    assert scan(str(tree), []).nar_hash == before
