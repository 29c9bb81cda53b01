"""Programs and libraries of this system, patched: other tools find nothing new, and they run as before."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from tests.support.devenv import devenv_program
from tests.support.programs import program

pytestmark = pytest.mark.slow

PROGRAMS, LIBRARIES = 350, 150
RUN_PATH = "/a/rather/long/directory/that/does/not/exist" * 6
# What they would do to the machine, or wait for, is not this test's business.
LEFT_OUT = re.compile(r"kill|halt|reboot|shutdown|login|dbus-|^apt|systemctl|gpg|ssh|Xvfb|Xorg|at-spi")
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """(an unpatched copy, a patched one) of many programs; the patched ones have a loader with a long name."""
    place = tmp_path_factory.mktemp("programs")
    found = list(islice(_dynamic("/usr/bin", interpreter=True), PROGRAMS))
    assert len(found) == PROGRAMS, "this system has too few programs"
    with Elf.open(str(found[0])) as elf:
        loader = elf.interpreter
    link = place / ("loader-" + "l" * 100)
    link.symlink_to(os.path.realpath(loader or ""))
    return _patched(found, place, "--set-interpreter", str(link), "--add-rpath", RUN_PATH)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    found = list(islice(_dynamic("/usr/lib", interpreter=False), LIBRARIES))
    assert len(found) == LIBRARIES, "this system has too few libraries"
    return _patched(found, tmp_path_factory.mktemp("libraries"), "--add-rpath", RUN_PATH)


def _dynamic(directory: str, *, interpreter: bool) -> Iterator[Path]:
    """Dynamic ELF files of this machine below a directory, one of each name, sorted within each folder."""
    with Elf.open("/proc/self/exe") as own:
        machine = own.machine
    seen = set()
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or name in seen or LEFT_OUT.search(name) or not os.access(path, os.R_OK):
                continue
            try:
                with Elf.open(str(path)) as elf:
                    wanted = bool(elf.needed) and (elf.interpreter is not None) is interpreter
                    if wanted and elf.machine == machine:
                        seen.add(name)
                        yield path
            except ElfError:
                continue


def _patched(files: list[Path], place: Path, *options: str) -> list[Pair]:
    """Copies, because some programs look for their files beside themselves: that must not tell the two apart."""
    plain, patched = place / "plain", place / "patched"
    for directory in (plain, patched):
        directory.mkdir()
        for path in files:
            shutil.copyfile(path, directory / path.name)
            (directory / path.name).chmod(0o755)
    command = [devenv_program(), "patchelf", *options, *(str(patched / path.name) for path in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [(plain / path.name, patched / path.name) for path in files]


def told(path: Path, *command: str, cwd: Path) -> tuple[int, list[str], list[str]]:
    """Exit status, lines of output and of complaint of a command on a file; addresses and the file's place left out."""
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": str(cwd), "TERM": "dumb"}
    with subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            return -1, ["(no end)"], []
    return child.returncode, _lines(out, path), _lines(err, path)


def _lines(data: bytes, path: Path) -> list[str]:
    text = data.decode("utf-8", "replace").replace(str(path), "FILE").replace(str(path.parent), "DIR")
    return [re.sub(r"0x[0-9a-f]+|\b\d+\b", "N", line) for line in text.splitlines()]


def differing(pairs: list[Pair], ask: Callable[[Path], object]) -> dict[str, tuple[object, object]]:
    """File -> the two answers, where they differ."""
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda pair: (ask(pair[0]), ask(pair[1])), pairs))
    named = zip((pair[0].name for pair in pairs), answers, strict=True)
    return {name: answer for name, answer in named if answer[0] != answer[1]}


def test_readelf_has_no_new_complaint(programs: list[Pair], libraries: list[Pair], tmp_path: Path) -> None:
    readelf = program("readelf")

    def complaints(path: Path) -> tuple[int, list[str]]:
        status, _, complaints = told(path, readelf, "-aW", str(path), cwd=tmp_path)
        return status, sorted(set(complaints))

    assert differing(programs + libraries, complaints) == {}


def test_elflint_has_no_new_complaint(programs: list[Pair], libraries: list[Pair], tmp_path: Path) -> None:
    elflint = program("eu-elflint")

    def complaints(path: Path) -> list[str]:
        _, out, err = told(path, elflint, "--gnu-ld", str(path), cwd=tmp_path)
        # Sections are numbered in the order of the table, segments likewise; what is wrong with them counts.
        return sorted({re.sub(r"\[ *N\]|\[ *\d+\]", "[N]", line) for line in out + err})

    assert differing(programs + libraries, complaints) == {}


def test_ldd_finds_the_same_libraries_and_symbols(
    programs: list[Pair], libraries: list[Pair], tmp_path: Path
) -> None:
    ldd = program("ldd")

    def found(path: Path) -> tuple[int, set[str]]:
        status, out, err = told(path, ldd, "-r", str(path), cwd=tmp_path)
        names = {line.split(" (N)")[0] for line in out + err if "=>" in line or "ndefined" in line}
        return status, {name for name in names if "loader-" not in name}

    assert differing(programs + libraries, found) == {}


def test_programs_run_as_before(programs: list[Pair], tmp_path: Path) -> None:
    def version(path: Path) -> object:
        return told(path, str(path), "--version", cwd=tmp_path)

    # A program that tells the time, or whose processes write in any order, differs from itself as well.
    pairs = {plain.name: (plain, patched) for plain, patched in programs}
    different = differing(programs, version)
    for _ in range(5):
        different = differing([pairs[name] for name in different], version)
    constant = {name for name in different if version(pairs[name][0]) == version(pairs[name][0])}
    assert {name: told for name, told in different.items() if name in constant} == {}
    succeeded = [told(copy, str(copy), "--version", cwd=tmp_path)[0] for _, copy in programs[::10]]
    assert succeeded.count(0) > len(succeeded) // 2, "hardly any of the programs knows --version"
