"""Starts that are remembered whole: what is kept, what makes them void, and that they cost next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.cli.warm_run import read_line
from devenv.foreign import starts
from devenv.foreign.starts import Entered, Start
from tests.foreign.conftest import Compile
from tests.support.devenv import User

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
STARTS = st.builds(
    Start,
    request=st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    argv=st.lists(TEXT, max_size=4).map(tuple),
    watched=st.just({"/nowhere/at/all": "-"}),
    entered=st.none()
    | st.builds(
        Entered,
        root=TEXT,
        link=TEXT,
        state=TEXT,
        graphics=TEXT,
        binds=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
        environ=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=STARTS)
def test_what_is_kept_is_read_back(tmp_path: Path, start: Start) -> None:
    starts.keep(str(tmp_path), start)
    assert starts.current(str(tmp_path), start.request) == start
    assert starts.current(str(tmp_path), (*start.request, "more")) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60), keep_head=st.booleans())
def test_a_damaged_record_is_none(tmp_path: Path, data: bytes, keep_head: bool) -> None:
    start = Start(request=("x",), argv=("/bin/true",), watched={}, entered=None)
    starts.keep(str(tmp_path), start)
    (path,) = (tmp_path / "starts").iterdir()
    whole = path.read_bytes()
    path.write_bytes((whole[:14] if keep_head else b"") + data)
    found = starts.current(str(tmp_path), ("x",))
    assert found is None or found.request == ("x",)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert starts.current(str(tmp_path), ("x",)) is None


@pytest.mark.parametrize(
    ("words", "file", "rest"),
    [
        (["./x", "-a", "--", "--base"], "./x", ["-a", "--", "--base"]),
        (["--base", "debian/trixie", "-y", "--root", "x"], "x", []),
        (["--package", "p", "--patched", "--quiet", "x", "x"], "x", ["x"]),
    ],
    ids=["words of the program", "options", "more options"],
)
def test_simple_lines_are_read(words: list[str], file: str, rest: list[str]) -> None:
    line = read_line(words)
    assert line is not None and (line.file, line.words) == (file, rest)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--base"],
        ["--", "x"],
        ["--explain", "x"],
        ["--trace", "x"],
        ["--again", "x"],
        ["--base=b", "x"],
        [""],
    ],
    ids=repr,
)
def test_all_other_lines_are_left_to_the_full_command(words: list[str]) -> None:
    assert read_line(words) is None


MAIN = """
#include <stdio.h>
#include <string.h>
int part(void);
int main(int count, char **words) {
    const char *slash = strrchr(words[0], '/');
    printf("%s %d\\n", slash ? slash + 1 : words[0], part());
    return 0;
}
"""


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


@pytest.fixture
def tool(compile_c: Compile, tmp_path: Path) -> Path:
    """A program with a library beside it."""
    compile_c("app/libpart.so", "int part(void) { return 1; }", "-shared", "-fPIC")
    return compile_c("app/tool", MAIN, "-Lapp", "-lpart", "-Wl,-rpath,$ORIGIN")


def modules_of(user: User, *words: str, cwd: Path | None = None) -> set[str]:
    """The modules of devenv that a command loads until it becomes the program."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "devenv", *words],
        env={**user.env, "PYTHONPATH": os.getcwd()},
        cwd=cwd or user.home,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


def test_the_second_start_loads_neither_parser_nor_verdict(user: User, tool: Path) -> None:
    first = modules_of(user, "run", str(tool), "word")
    assert {"argparse", "devenv.foreign.judging"} <= first
    second = modules_of(user, "run", str(tool), "another")
    assert "devenv.foreign.starts" in second
    assert not {"argparse", "json", "hashlib", "devenv.foreign.judging", "devenv.project"} & second


def test_a_changed_file_or_library_is_judged_again(
    user: User, tool: Path, compile_c: Compile, tmp_path: Path
) -> None:
    for _ in range(2):
        assert user.run("run", str(tool), cwd=tmp_path).stdout == "tool 1\n"
    compile_c("app/libpart.so", "int part(void) { return 2; }", "-shared", "-fPIC")
    assert "devenv.foreign.judging" in modules_of(user, "run", str(tool))
    assert "devenv.foreign.judging" not in modules_of(user, "run", str(tool))
    os.unlink(tool)
    tool.write_text("#!/bin/sh\necho a script now\n")
    tool.chmod(0o755)
    assert user.run("run", str(tool), cwd=tmp_path).stdout == "a script now\n"


def test_a_program_is_called_by_the_name_it_was_asked_for(user: User, tool: Path, tmp_path: Path) -> None:
    (tool.parent / "alias").symlink_to("tool")
    for _ in range(2):
        for name in ("tool", "alias"):
            assert user.run("run", str(tool.parent / name), cwd=tmp_path).stdout == f"{name} 1\n"


def test_a_directory_is_asked_for_again_when_something_in_it_changes(
    user: User, tool: Path, tmp_path: Path
) -> None:
    folder = tool.parent
    for _ in range(2):
        assert user.run("run", str(folder), cwd=tmp_path).stdout == "tool 1\n"
    (folder / "AppRun").write_text("#!/bin/sh\necho started by AppRun\n")
    (folder / "AppRun").chmod(0o755)
    assert user.run("run", str(folder), cwd=tmp_path).stdout == "started by AppRun\n"


def test_in_a_project_its_files_decide_as_well(user: User, tool: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "devenv.toml").write_text('name = "p"\nbase = "debian/bookworm"\n')
    words = ("run", str(tool))
    assert "devenv.foreign.judging" in modules_of(user, *words, cwd=project)
    assert "argparse" not in modules_of(user, *words, cwd=project)
    assert "argparse" in modules_of(user, *words, cwd=tmp_path)  # that is another base
    (project / "devenv.toml").write_text('name = "p"\nbase = "debian/trixie"\n')
    assert "argparse" in modules_of(user, *words, cwd=project)
    assert "argparse" not in modules_of(user, *words, cwd=project)


def test_a_missing_file_is_what_is_missing(user: User, tmp_path: Path) -> None:
    done = user.run("run", cwd=tmp_path, check=False)
    assert done.returncode == 2 and "FILE [ARG...]" in done.stderr and "required: FILE\n" in done.stderr
