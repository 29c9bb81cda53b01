"""Programs and libraries that a real compiler makes, once for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.programs import program

LIBRARY = """
int counter;
int answer(void) { return 40 + counter; }
int other(void) { return 2; }
"""
APPLICATION = """
#include <stdio.h>
int answer(void);
int other(void);
int main(int argc, char **argv) { printf("%d\\n", answer() + other()); return argc > 1 ? 7 : 0; }
"""


class Workshop:
    """`application` prints 42, given the directory `libraries` with libanswer.so."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.libraries = directory / "libraries"
        self.libraries.mkdir()
        self._sources = {"library.c": LIBRARY, "application.c": APPLICATION}
        for name, text in self._sources.items():
            (directory / name).write_text(text)

    def compile(self, name: str, *arguments: str) -> Path:
        target = self.directory / name
        command = [program("gcc"), "-O1", "-o", str(target), *arguments]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)
        return target


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("elf"))
    shared = ("-shared", "-fPIC", "library.c", "-Wl,-soname,libanswer.so")
    made.compile("libraries/libanswer.so", *shared)
    made.compile("other-libanswer.so", *shared, "-Wl,--hash-style=sysv")
    made.compile("both-libanswer.so", *shared, "-Wl,--hash-style=both")
    link = ("application.c", "-Llibraries", "-lanswer")
    made.compile("pie", *link, "-pie", "-fPIE")
    made.compile("fixed", *link, "-no-pie", "-fno-pie")
    made.compile("packed", *link, "-Wl,-z,noseparate-code", "-Wl,-z,max-page-size=0x10000")
    made.compile("no-spare", *link, "-Wl,-z,norelro", "-Wl,-z,now", "-Wl,--spare-dynamic-tags=0")
    made.compile("old-path", *link, "-Wl,--disable-new-dtags", "-Wl,-rpath,/a/directory:/and/one")
    made.compile("static", "-static", "application.c", "library.c")
    made.compile("static-pie", "-static-pie", "-fPIE", "application.c", "library.c")
    return made


DYNAMIC = ("pie", "fixed", "packed", "no-spare", "old-path")


@pytest.fixture
def copied(workshop: Workshop, tmp_path: Path) -> Callable[[str], Path]:
    """A copy to change, by the name in the workshop."""

    def copy(name: str) -> Path:
        target = tmp_path / Path(name).name
        shutil.copy2(workshop.directory / name, target)
        return target

    return copy


def run(path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"], **environ}
    return subprocess.run([path, *arguments], env=env, capture_output=True, text=True, check=False)


def output_of(*command: str | Path) -> str:
    """What a program prints; it must succeed and complain of nothing."""
    env = dict(os.environ, LC_ALL="C")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.stderr}{done.stdout}"
    return done.stdout
