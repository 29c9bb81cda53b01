"""Which libraries the loader would find: compared with the real one."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.foreign.loading import libraries
from devenv.foreign.program import read_program
from devenv.foreign.systems import System, parse_cache
from tests.foreign.conftest import Compile

LIBRARY = "int answer(void) { return 42; }"
MIDDLE = "int answer(void); int middle(void) { return answer(); }"
MAIN = '#include <stdio.h>\nint middle(void); int main(void) { printf("%d\\n", middle()); return 0; }'


@pytest.fixture(params=["-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"], ids=["runpath", "rpath"])
def chain(request: pytest.FixtureRequest, compile_c: Compile, tmp_path: Path) -> Path:
    """bin/main with a run path to ../lib/libmiddle.so, which needs libanswer.so there and says not where."""
    compile_c("lib/libanswer.so", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libanswer.so")
    options = ("-shared", "-fPIC", "-Wl,-soname,libmiddle.so", "-Llib", "-lanswer")
    compile_c("lib/libmiddle.so", MIDDLE, *options)
    path = "-Wl,-rpath,$ORIGIN/../lib"
    more = ("-Llib", "-lmiddle", "-Wl,-rpath-link,lib", request.param, path)
    return compile_c("bin/main", MAIN, *more)


def runs(path: Path) -> bool:
    return subprocess.run([path], env={}, capture_output=True).returncode == 0


def test_what_is_found_is_what_the_real_loader_finds(chain: Path) -> None:
    found = {each.soname: each for each in libraries(read_program(str(chain)), System(), {})}
    assert found["libmiddle.so"].where == "bundled"
    # A DT_RUNPATH is not inherited, a DT_RPATH is.
    assert (found["libanswer.so"].where == "bundled") == runs(chain)
    assert found["libc.so.6"].where == "system"
    assert os.path.samefile(found["libc.so.6"].path or "", "/lib/x86_64-linux-gnu/libc.so.6")


def test_a_library_that_only_a_launcher_leads_to_lies_beside(chain: Path, tmp_path: Path) -> None:
    bundle = {"libanswer.so": str(tmp_path / "lib/libanswer.so")}
    found = {each.soname: each for each in libraries(read_program(str(chain)), System(), bundle)}
    assert found["libanswer.so"].where == ("bundled" if runs(chain) else "beside")


def test_a_library_for_another_architecture_is_passed_over(chain: Path, tmp_path: Path) -> None:
    library = tmp_path / "lib/libmiddle.so"
    data = bytearray(library.read_bytes())
    data[18:20] = struct.pack("<H", 183)
    library.write_bytes(data)
    found = {each.soname: each.where for each in libraries(read_program(str(chain)), System(), {})}
    assert found["libmiddle.so"] == "missing"
    assert not runs(chain)


def test_versions_that_the_system_lacks_are_named(compile_c: Compile, tmp_path: Path) -> None:
    program = compile_c("main", MAIN.replace("middle()", "1"))
    patched = tmp_path / "patched"
    shutil.copy(program, patched)
    from devenv.cli.commands.patchelf import main

    wanted = read_program(str(program)).versions["libc.so.6"][0]
    assert main(["--rename-symbol-version", wanted, "GLIBC_2.99", str(patched)]) == 0
    found = {each.soname: each for each in libraries(read_program(str(patched)), System(), {})}
    assert found["libc.so.6"].lacking == ("GLIBC_2.99",)


def test_this_machines_cache_leads_to_what_ldconfig_prints() -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    assert ldconfig is not None
    printed = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    with open("/etc/ld.so.cache", "rb") as file:
        cache = parse_cache(file.read())
    pairs = {(name, path) for name, paths in cache.items() for path in paths}
    lines = [line.split() for line in printed.splitlines() if "=>" in line]
    assert pairs == {(words[0], words[-1]) for words in lines}


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_a_damaged_cache_gives_something(data: bytes, count: int) -> None:
    made = parse_cache(b"glibc-ld.so.cache1.1" + struct.pack("<I", count) + data)
    assert all(isinstance(path, str) for paths in made.values() for path in paths)
