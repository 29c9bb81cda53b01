"""The static program that a launcher is: its code, what it passes on, what it says when something fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import devenv.installing.launcher as module
from devenv.elf.elf import Elf
from devenv.installing.launcher import CODE, KEEP, KEPT, MAY_FAIL, Call, Launcher
from tests.support.programs import program

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="launchers are made for x86-64")
_WRITE, _OPEN, _CLOSE, _MKDIR = 1, 2, 3, 83
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
SHOW = "import os,sys; sys.stdout.buffer.write(b'\\0'.join([*map(os.fsencode,sys.argv[1:]), *(k+b'='+v for k,v in os.environb.items())]))"


def made(path: Path, **fields: object) -> Path:
    """A launcher of Python, or of what the fields say, at the path."""
    given = {
        "calls": (),
        "program": program("python3"),
        "words": ("python3", "-c", SHOW),
        "dropped": (),
        "set": {},
        "path": ("/one", "/two"),
        "failure": "it cannot be started\n",
        **fields,
    }
    path.write_bytes(Launcher(**given).elf())  # type: ignore[arg-type]
    path.chmod(0o755)
    return path


def shown(launcher: Path, *words: str, **environ: str) -> tuple[list[str], dict[str, str]]:
    """Words and variables that the program got."""
    done = subprocess.run([launcher, *words], env=environ, capture_output=True, check=True)
    parts = [os.fsdecode(part) for part in done.stdout.split(b"\0")]
    return parts[: len(words)], dict(part.split("=", 1) for part in parts[len(words) :])


def test_the_code_is_what_the_assembler_makes_of_its_source(tmp_path: Path) -> None:
    source = Path(module.__file__).with_name("launcher_x86_64.S")
    subprocess.run([program("gcc"), "-c", "-x", "assembler", source, "-o", tmp_path / "o"], check=True)
    files = [str(tmp_path / name) for name in ("o", "code")]
    command = [program("objcopy"), "-O", "binary", "-j", ".text", *files]
    subprocess.run(command, check=True)
    assert (tmp_path / "code").read_bytes() == CODE


def test_a_launcher_is_a_static_program(tmp_path: Path) -> None:
    with Elf.open(str(made(tmp_path / "launcher"))) as elf:
        assert elf.interpreter is None and elf.dynamic == []
    done = subprocess.run([program("readelf"), "-lW", tmp_path / "launcher"], capture_output=True, check=True)
    assert done.stderr == b""
    assert b"RWE" not in done.stdout  # nothing is writable and executable


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(TEXTS, max_size=5),
    mine=st.dictionaries(st.from_regex("[A-Z]{1,3}X", fullmatch=True), TEXTS, max_size=4),
    own=st.dictionaries(st.from_regex("[A-Z]{1,3}X", fullmatch=True), TEXTS, max_size=4),
)
def test_words_and_variables_arrive_as_they_are(
    tmp_path: Path, words: list[str], mine: dict[str, str], own: dict[str, str]
) -> None:
    launcher = made(tmp_path / "launcher", set=own, dropped=["LD_LIBRARY_PATH"])
    got, variables = shown(launcher, *words, **mine, LD_LIBRARY_PATH="/leak", PATH="/p")
    variables.pop("LC_CTYPE", None)  # Python's own
    assert got == words
    assert variables == {**mine, **own, "PATH": "/p:/one:/two"}


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/one:/two"),
        ({"PATH": ""}, "/one:/two"),
        ({"PATH": "/a:/b"}, "/a:/b:/one:/two"),
        ({"PATHX": "/x"}, "/one:/two"),
    ],
    ids=["none", "empty", "some", "another variable"],
)
def test_directories_are_added_to_path(tmp_path: Path, environ: dict[str, str], path: str) -> None:
    assert shown(made(tmp_path / "launcher"), **environ)[1]["PATH"] == path


def test_a_dropped_name_drops_no_longer_one(tmp_path: Path) -> None:
    launcher = made(tmp_path / "launcher", dropped=["LD"])
    assert set(shown(launcher, LD="1", LDX="2", L="3")[1]) - {"LC_CTYPE"} == {"LDX", "L", "PATH"}


def test_calls_are_done_in_order_and_a_kept_result_is_passed_on(tmp_path: Path) -> None:
    file = tmp_path / "file"
    calls = [
        Call(number=_MKDIR, arguments=(str(tmp_path), 0o755), flags=MAY_FAIL),
        Call(number=_OPEN, arguments=(str(file), os.O_WRONLY | os.O_CREAT, 0o644), flags=KEEP),
        Call(number=_WRITE, arguments=(KEPT, b"abc", 3)),
        Call(number=_CLOSE, arguments=(KEPT,)),
    ]
    shown(made(tmp_path / "launcher", calls=calls))
    assert file.read_bytes() == b"abc"


def test_the_first_call_that_fails_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    calls = [
        Call(number=_MKDIR, arguments=(str(tmp_path), 0o755), complaint="tool: making it failed\n"),
        Call(number=_MKDIR, arguments=(str(tmp_path / "after"), 0o755), complaint="never\n"),
    ]
    done = subprocess.run(
        [made(tmp_path / "launcher", calls=calls)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (126, "", "tool: making it failed\n")
    assert not (tmp_path / "after").exists()


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    launcher = made(tmp_path / "launcher", program="/no/such/program")
    done = subprocess.run([launcher], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (126, "it cannot be started\n")


def test_the_directory_stays_and_the_status_is_the_programs(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd()); raise SystemExit(7)"
    launcher = made(tmp_path / "launcher", words=("python3", "-c", code))
    done = subprocess.run([launcher], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, f"{tmp_path}\n")


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NUL"):
        made(tmp_path / "launcher", words=("a\0b",))
