"""patchelf's own tests, from Debian's source package, with Debian's patchelf and with ours in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.debian_sources import fetch_source, relocate, unpack_packages
from tests.support.devenv import devenv_program
from tests.support.programs import program

pytestmark = [pytest.mark.network, pytest.mark.slow]

# Each with the reason for which ours may fail where Debian's passes: none so far.
EXPLAINED: dict[str, str] = {}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str]]:
    """The configured sources, Debian's patchelf, and the environment to run `make check` in."""
    place = tmp_path_factory.mktemp("suite")
    root = unpack_packages(["autoconf", "automake", "m4", "patchelf"], place)
    relocate(root, folders=["usr/bin", "usr/share"])
    programs = root / "usr" / "bin"
    for name in ("aclocal", "automake"):
        versioned = next(programs.glob(f"{name}-1.*"))
        if not (programs / name).exists():
            (programs / name).symlink_to(versioned.name)
    modules = next((root / "usr" / "share").glob("automake-1.*"))
    env = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", PERL5LIB=str(modules), LC_ALL="C")
    source = fetch_source("patchelf", place)
    for command in (["sh", "./bootstrap.sh"], ["sh", "./configure"]):
        done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shim = Path(__file__).parent / "patchelf_shim.c"
    subprocess.run([program("gcc"), "-o", source / "src" / "patchelf", shim], check=True)
    return source, programs / "patchelf", env


def results(suite: tuple[Path, Path, dict[str, str]], tested: str, verb: str | None) -> dict[str, str]:
    """Test -> PASS, FAIL or SKIP."""
    source, _, env = suite
    own = {**env, "PATCHELF_UNDER_TEST": tested, **({"PATCHELF_VERB": verb} if verb else {})}
    tests = source / "tests"
    for old in tests.glob("*.trs"):
        old.unlink()
    subprocess.run(["make", "check", "-j2"], cwd=tests, env=own, capture_output=True, check=False)
    shutil.rmtree(tests / "scratch", ignore_errors=True)
    found = {}
    for path in sorted(tests.glob("*.trs")):
        line = next(line for line in path.read_text().splitlines() if line.startswith(":test-result:"))
        found[path.stem] = line.split()[1]
    return found


def test_ours_passes_what_debians_passes(suite: tuple[Path, Path, dict[str, str]]) -> None:
    theirs = results(suite, str(suite[1]), None)
    ours = results(suite, devenv_program(), "patchelf")
    refused = results(suite, "/bin/false", None)
    print(f"\n{'test':<45} patchelf  devenv  /bin/false")
    for name in theirs:
        print(f"{name:<45} {theirs[name]:<9} {ours.get(name, '-'):<7} {refused.get(name, '-')}")
    assert len(theirs) > 30 and list(theirs.values()).count("PASS") > 30
    assert list(refused.values()).count("PASS") < 10, "the suite passes whatever the program does"
    worse = {name for name in theirs if theirs[name] == "PASS" and ours.get(name) != "PASS"}
    assert worse <= set(EXPLAINED)
