"""Notes of what a program opens: added, found by us and by others, kept by later edits and by those who strip."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from devenv.cli.commands.patchelf import main
from devenv.elf import edits
from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.notes import dlopen_notes
from devenv.elf.noting import declare
from devenv.elf.planning import plan
from devenv.elf.rewriting import rewrite
from tests.elf.conftest import DYNAMIC, Workshop, run
from tests.elf.handmade import Recipe, build
from tests.elf.test_editing import LONG, Copied, edit, run_path
from tests.elf.test_reading import KINDS
from tests.support.programs import program

WANTED = [(("libsound.so.2", "libsound.so.1"), "recommended"), (("libdraw.so.4",), "required")]
ARGUMENTS = ["--add-dlopen", "libsound.so.2,libsound.so.1", "--add-dlopen", "libdraw.so.4:required"]


def declared(path: Path) -> list[tuple[tuple[str, ...], str]]:
    with Elf.open(str(path)) as elf:
        return sorted(((each.sonames, each.priority) for each in dlopen_notes(elf)), reverse=True)


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_program_runs_and_says_what_it_opens(workshop: Workshop, copied: Copied, name: str) -> None:
    path = copied(name)
    assert main([*ARGUMENTS, "--set-rpath", f"{workshop.libraries}:{LONG}", str(path)]) == 0
    assert declared(path) == WANTED and run(path).stdout == "42\n"
    # Some versions end with 1, because they do not know this type.
    done = subprocess.run([program("readelf"), "-nW", path], capture_output=True, text=True, check=False)
    assert re.search(r"found in: \.note\.dlopen\n.*\n *FDO ", done.stdout)


@pytest.mark.parametrize("command", [["strip"], ["objcopy"], ["eu-strip"]], ids=" ".join)
def test_the_note_stays_whatever_comes_later(workshop: Workshop, copied: Copied, command: list[str]) -> None:
    path = copied("pie")
    assert main([*ARGUMENTS, str(path)]) == 0
    for round in range(3):
        edit(path, run_path(f"{workshop.libraries}:{LONG}/{round}"))
    subprocess.run([program(command[0]), path], check=True)
    edit(path, run_path(f"{workshop.libraries}:{LONG}{LONG}"))
    assert declared(path) == WANTED and run(path).stdout == "42\n"


@pytest.mark.parametrize("sections", [True, False], ids=["sections", "no sections"])
@pytest.mark.parametrize(("bits", "little", "machine"), KINDS)
def test_files_for_any_machine_take_a_note(
    tmp_path: Path, bits: int, little: bool, machine: int, sections: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(build(Recipe(bits=bits, little=little, machine=machine, sections=sections)))
    with Elf.open(str(path)) as elf:
        count = len(elf.sections)
    assert main([*ARGUMENTS, str(path)]) == 0
    edit(path, run_path(LONG), lambda draft: edits.add_needed(draft, ["libmore.so"]))
    assert declared(path) == WANTED
    with Elf.open(str(path)) as elf:
        assert len(elf.sections) == (count + 1 if sections else 0) and elf.runpath == LONG
        if sections:
            assert elf.section_name(elf.sections[-1]) == ".note.dlopen"


def test_what_is_declared_already_changes_nothing_and_more_is_refused(
    copied: Copied, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied("pie")
    assert main([*ARGUMENTS, str(path)]) == 0
    once = path.read_bytes()
    assert main([*ARGUMENTS, str(path)]) == 0 and path.read_bytes() == once
    assert main(["--print-dlopen", str(path)]) == 0
    assert capsys.readouterr().out == "libdraw.so.4:required\nlibsound.so.2,libsound.so.1:recommended\n"
    assert main(["--add-dlopen", "libother.so.1", str(path)]) == 1 and path.read_bytes() == once
    assert ".note.dlopen already" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "libx.so.1:urgent", ",libx.so.1", "libx.so.1:"])
def test_words_that_declare_nothing_are_refused(text: str, copied: Copied) -> None:
    path = copied("pie")
    before = path.read_bytes()
    assert main(["--add-dlopen", text, str(path)]) == (0 if text == "libx.so.1:" else 1)
    assert (path.read_bytes() == before) == (text != "libx.so.1:")


def test_a_payload_stays_at_both_ends_and_an_image_forbids_more_sections(
    workshop: Workshop, copied: Copied
) -> None:
    path = copied("pie")
    payload = bytes(range(1, 256)) * 900
    path.write_bytes(path.read_bytes() + payload)
    assert main([*ARGUMENTS, "--set-rpath", str(workshop.libraries), str(path)]) == 0
    assert path.read_bytes().endswith(payload) and run(path).stdout == "42\n" and declared(path) == WANTED
    image = copied("fixed")
    image.write_bytes(image.read_bytes() + b"hsqs" + payload)
    before = image.read_bytes()
    assert main([*ARGUMENTS, str(image)]) == 1 and image.read_bytes() == before


def test_a_large_file_takes_a_note_where_it_is(workshop: Workshop, copied: Copied) -> None:
    path = copied("pie")
    payload = bytes(40 << 20)[:-1] + b"x"
    path.write_bytes(path.read_bytes() + payload)
    with Elf.open(str(path), whole=True) as elf:
        draft = Draft(elf)
        declare(draft, WANTED)
        edits.set_run_path(draft, str(workshop.libraries))
        rewrite(elf.source, plan(draft))
    assert declared(path) == WANTED and run(path).stdout == "42\n"
