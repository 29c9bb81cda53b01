"""devenv patchelf as patchelf's users call it: options, output, exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import devenv
from devenv.cli.commands import patchelf
from devenv.cli.dispatch import main
from tests.elf.conftest import Workshop, run
from tests.elf.handmade import Recipe, build
from tests.support.devenv import devenv_program

Copied = Callable[[str], Path]


def call(*arguments: str | Path, **kept: str) -> subprocess.CompletedProcess[str]:
    command = [devenv_program(), "patchelf", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **kept}
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libthing.so"
    path.write_bytes(
        build(Recipe(soname="libthing.so.1", runpath="/a:/b", needed=["libone.so", "libtwo.so"]))
    )
    return path


@pytest.mark.parametrize(
    ("option", "printed"),
    [
        ("--print-interpreter", "/lib/ld.so.1\n"),
        ("--print-os-abi", "System V\n"),
        ("--print-soname", "libthing.so.1\n"),
        ("--print-rpath", "/a:/b\n"),
        ("--print-needed", "libone.so\nlibtwo.so\n"),
        ("--print-execstack", "execstack: ?\n"),
    ],
)
def test_facts_are_printed_one_a_line(library: Path, option: str, printed: str) -> None:
    done = call(option, library)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_prints_show_the_file_before_the_edits_of_the_same_call(library: Path) -> None:
    done = call("--print-rpath", "--set-rpath", "/new", "--print-needed", "--add-needed", "libz.so", library)
    assert done.stdout == "/a:/b\nlibone.so\nlibtwo.so\n"
    assert call("--print-rpath", "--print-needed", library).stdout == "/new\nlibz.so\nlibone.so\nlibtwo.so\n"


def test_several_operations_on_several_files_in_one_call(
    workshop: Workshop, copied: Copied, tmp_path: Path
) -> None:
    paths = [copied("pie"), copied("fixed")]
    done = call(
        *("--set-rpath", "/nowhere", "--replace-needed", "libanswer.so", workshop.libraries / "libanswer.so"),
        *(
            "--add-needed",
            "libm.so.6",
            "--remove-needed",
            "libnone.so",
            "--no-default-lib",
            "--add-debug-tag",
        ),
        *paths,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for path in paths:
        needed = call("--print-needed", path).stdout.split()
        assert needed == ["libm.so.6", str(workshop.libraries / "libanswer.so"), "libc.so.6"]


def test_added_libraries_come_in_the_order_of_their_names_before_the_others(library: Path) -> None:
    call("--add-needed", "libz.so", "--add-needed", "liba.so", "--add-needed", "libz.so", library)
    assert call("--print-needed", library).stdout.split() == ["liba.so", "libz.so", "libone.so", "libtwo.so"]


def test_an_argument_may_come_from_a_file(library: Path, tmp_path: Path) -> None:
    (tmp_path / "path").write_text("/from/a/file")
    assert call("--set-rpath", f"@{tmp_path}/path", library).returncode == 0
    assert call("--print-rpath", library).stdout == "/from/a/file\n"
    done = call("--set-rpath", f"@{tmp_path}/missing", library)
    assert (done.returncode, done.stderr) == (
        1,
        f"patchelf: getting info about '{tmp_path}/missing': No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--print-rpath"], "missing filename"),
        (["--set-rpath"], "missing argument after --set-rpath"),
        (["--replace-needed", "libone.so"], "missing argument after --replace-needed"),
        (
            ["--set-rpath", "/a", "--add-rpath", "/b", "FILE"],
            "--set-rpath option not allowed with --add-rpath",
        ),
        (["--output", "/dev/null", "FILE", "FILE"], "--output option only allowed with single input file"),
        (["--page-size", "many", "FILE"], "invalid argument to --page-size"),
        (["--no-such-option", "FILE"], "--no-such-option: cannot be read: No such file or directory"),
        (["--rename-dynamic-symbols", "/dev/null/x", "FILE"], "Cannot open map file"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    library: Path, arguments: list[str], words: str
) -> None:
    before = library.read_bytes()
    done = call(*(library if word == "FILE" else word for word in arguments))
    assert done.returncode == 1
    assert done.stderr.startswith("patchelf: ") and words in done.stderr
    assert library.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\n", "missing the second element"),
        ("a b\na c\n", "appears twice"),
        ("a@V b\n", "contains version tag"),
    ],
)
def test_a_wrong_map_of_symbols_is_refused_with_its_line(
    library: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "map").write_text(text)
    done = call("--rename-dynamic-symbols", tmp_path / "map", library)
    assert done.returncode == 1 and words in done.stderr and f"{tmp_path}/map:" in done.stderr


def test_a_file_that_fails_does_not_keep_the_others_from_their_edits(library: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    done = call("--set-rpath", "/new", script, library)
    assert done.returncode == 1
    assert done.stderr == f"patchelf: {script}: not an ELF executable\n"
    assert call("--print-rpath", library).stdout == "/new\n"


def test_a_static_program_is_said_to_be_static(copied: Copied) -> None:
    done = call("--print-interpreter", copied("static"))
    assert done.returncode == 1
    assert "cannot find section '.interp'. The input file is most likely statically linked" in done.stderr


def test_help_and_version_are_for_people_and_for_programs() -> None:
    assert (call("--version").stdout, call("--version").returncode) == ("patchelf 0.19.0\n", 0)
    done = call("--help")
    assert done.returncode == 0 and "--set-interpreter FILENAME" in done.stderr
    assert call().returncode == 1
    assert all(option in done.stderr for option in patchelf.OPTIONS)


def test_the_general_entry_reaches_the_same_code(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["patchelf", "--print-soname", str(library)]) == 0
    assert capsys.readouterr().out == "libthing.so.1\n"


def test_debug_tells_each_write(library: Path) -> None:
    assert "bytes at 0x" in call("--set-rpath", "/long" * 50, library, PATCHELF_DEBUG="1").stderr
    assert "nothing to change" in call("--debug", "--set-rpath", "/long" * 50, library).stderr


def test_little_is_imported() -> None:
    """Start-up is most of the time that one call takes."""
    root = str(Path(next(iter(devenv.__path__))).parent)
    code = "import sys; before = set(sys.modules); import devenv.cli.commands.patchelf; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {root!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"re", "typing", "dataclasses", "argparse", "pathlib", "subprocess", "json", "tempfile", "enum"}
    assert not heavy & set(done.stdout.split())


def test_the_old_copies_of_what_moved_are_cleared_unless_told_otherwise(copied: Copied) -> None:
    for options, copies in ((["--no-clobber-old-sections"], 2), ([], 1)):
        path = copied("pie")
        call("--set-rpath", "/long" * 50, *options, path)
        assert path.read_bytes().count(b"\0libanswer.so\0") == copies
        assert "libanswer.so" in run(path).stderr
