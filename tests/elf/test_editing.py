"""Edits of real programs, which must go on running, and of files for other machines, read by other tools."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.elf import edits
from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError, UnsupportedElf
from devenv.elf.patch import Patch
from devenv.elf.planning import plan
from devenv.elf.renaming import rename_symbols
from devenv.elf.rewriting import LARGE, rewrite
from devenv.elf.versions import needed_by_library
from tests.elf.conftest import DYNAMIC, Workshop, output_of, run
from tests.elf.handmade import Recipe, build
from tests.elf.test_reading import KINDS
from tests.support.programs import program

Copied = Callable[[str], Path]
LONG = "/a/rather/long/directory/name" * 8


def edit(path: Path, *steps: Callable[[Draft], object], output: Path | None = None) -> Patch | None:
    """Perform the steps on one file; what was written."""
    with Elf.open(str(path), whole=True) as elf:
        draft = Draft(elf)
        for step in steps:
            step(draft)
        patch = plan(draft)
        rewrite(elf.source, patch, None if output is None else str(output))
    return patch


def run_path(value: str, force: bool = False) -> Callable[[Draft], None]:
    return lambda draft: edits.set_run_path(draft, value, force_rpath=force)


def interpreter(value: str | Path) -> Callable[[Draft], None]:
    return lambda draft: edits.set_interpreter(draft, str(value))


def own_loader(path: Path, directory: Path) -> Path:
    """A long name for the loader that the program has."""
    with Elf.open(str(path)) as elf:
        loader = elf.interpreter
    assert loader is not None
    link = directory / ("loader-" + "l" * 100)
    if str(link) != loader:
        link.symlink_to(loader)
    return link


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_program_runs_with_a_new_loader_and_a_new_run_path(
    workshop: Workshop, copied: Copied, name: str
) -> None:
    path = copied(name)
    assert run(path).returncode == 127
    loader = own_loader(path, path.parent)
    edit(path, interpreter(loader), run_path(f"{LONG}:{workshop.libraries}"))
    assert run(path).stdout == "42\n"
    assert run(path, "argument").returncode == 7
    with Elf.open(str(path)) as elf:
        assert (elf.interpreter, elf.runpath, elf.rpath) == (
            str(loader),
            f"{LONG}:{workshop.libraries}",
            None,
        )
    loader.unlink()
    with pytest.raises(FileNotFoundError):
        run(path)


@pytest.mark.parametrize("name", DYNAMIC)
@pytest.mark.parametrize("tool", ["strip", "objcopy", "strip --strip-unneeded"])
def test_other_tools_rewrite_a_patched_program_correctly(
    workshop: Workshop, copied: Copied, name: str, tool: str
) -> None:
    path = copied(name)
    edit(path, interpreter(own_loader(path, path.parent)), run_path(f"{LONG}:{workshop.libraries}"))
    output_of(*tool.split(), path)
    output_of("readelf", "-aW", path)
    assert run(path).stdout == "42\n"
    edit(path, run_path(f"{workshop.libraries}:{LONG}:{LONG}"))
    assert run(path).stdout == "42\n"


@pytest.mark.parametrize("name", DYNAMIC)
def test_many_edits_add_one_segment_and_stop_growing(workshop: Workshop, copied: Copied, name: str) -> None:
    path = copied(name)
    with Elf.open(str(path)) as elf:
        before = len(elf.segments)
    sizes = []
    for number in range(28):
        edit(path, run_path(f"/{'x' * (number % 7 * 100)}:{workshop.libraries}"))
        sizes.append(path.stat().st_size)
        assert run(path).stdout == "42\n"
    with Elf.open(str(path)) as elf:
        assert len(elf.segments) == before + 1
    assert len(set(sizes[7:])) == 1


@pytest.mark.parametrize("name", [*DYNAMIC, "libraries/libanswer.so"])
def test_the_same_edit_again_changes_nothing(copied: Copied, name: str) -> None:
    path = copied(name)
    steps = [
        run_path(LONG),
        lambda draft: edits.set_execstack(draft, True),
        lambda draft: edits.add_debug_tag(draft),
        lambda draft: edits.no_default_library_path(draft),
        lambda draft: edits.set_soname(draft, "libother.so.9"),
        lambda draft: edits.remove_needed(draft, ["libm.so.6"]),
    ]
    assert edit(path, *steps) is not None
    once = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    assert edit(path, *steps) is None
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == once


@pytest.mark.parametrize("sections", [True, False], ids=["sections", "no sections"])
@pytest.mark.parametrize("slack", [0, 200], ids=["tight", "roomy"])
@pytest.mark.parametrize("spare", [0, 4])
@pytest.mark.parametrize(("bits", "little", "machine"), KINDS)
def test_files_for_any_machine_are_edited(
    tmp_path: Path, bits: int, little: bool, machine: int, spare: int, slack: int, sections: bool
) -> None:
    recipe = Recipe(bits=bits, little=little, machine=machine, spare=spare, slack=slack, sections=sections)
    path = tmp_path / "file"
    path.write_bytes(build(recipe))
    complaints = _complaints(path)
    for round in range(3):
        edit(
            path,
            interpreter(f"/{'i' * 30}/{round}"),
            run_path(f"{LONG}/{round}"),
            lambda draft: edits.add_needed(draft, [f"libadded{round}.so"]),  # noqa: B023
            lambda draft: edits.replace_needed(draft, {"libc.so.6": "libanotherc.so.99"}),
            lambda draft: edits.rename_version(draft, {"LIBC_1.0": "LIBC_2.0"}),
        )
        with Elf.open(str(path)) as elf:
            assert elf.interpreter == f"/{'i' * 30}/{round}"
            assert elf.runpath == f"{LONG}/{round}"
            assert elf.needed[round + 1 :] == ["libfirst.so.1", "libanotherc.so.99"]
            assert elf.needed[: round + 1] == [f"libadded{n}.so" for n in range(round, -1, -1)]
            assert needed_by_library(elf) == {"libanotherc.so.99": ["LIBC_2.0"]}
            loads = [s for s in elf.segments if s.type == 1]
            assert all(s.vaddr % s.align == s.offset % s.align for s in loads)
            assert [s.vaddr for s in loads] == sorted(s.vaddr for s in loads)
        assert _complaints(path) == complaints


def _complaints(path: Path) -> list[str]:
    done = subprocess.run(
        ["readelf", "-aW", path],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )
    return done.stderr.splitlines()


def test_the_pages_of_a_machine_decide_where_a_segment_goes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for machine, page in ((62, 0x1000), (183, 0x10000), (43, 0x2000)):
        path.write_bytes(build(Recipe(machine=machine)))
        edit(path, run_path(LONG))
        with Elf.open(str(path)) as elf:
            last = max((s for s in elf.segments if s.type == 1), key=lambda s: s.vaddr)
            assert last.align == page


def test_libraries_without_sections_are_edited_and_load(
    workshop: Workshop, copied: Copied, tmp_path: Path
) -> None:
    path = copied("pie")
    data = bytearray(path.read_bytes())
    with Elf.open(str(path)) as elf:
        end = max(s.end for s in elf.segments)
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    path.write_bytes(data[:end])
    for more in ("", ":/more" * 50):
        edit(path, interpreter(own_loader(path, tmp_path)), run_path(f"{workshop.libraries}{more}"))
        assert run(path).stdout == "42\n"


def test_static_programs_have_nothing_to_edit(copied: Copied) -> None:
    path = copied("static")
    before = path.read_bytes()
    with pytest.raises(UnsupportedElf, match=r"cannot find section '.interp'.*statically linked"):
        edit(path, interpreter("/x"))
    with pytest.raises(UnsupportedElf, match=r"cannot find section '.dynamic'"):
        edit(path, run_path("/x"))
    assert path.read_bytes() == before


def test_a_static_pie_takes_a_run_path_and_runs(copied: Copied) -> None:
    path = copied("static-pie")
    edit(path, run_path(LONG), lambda draft: edits.add_needed(draft, [f"lib{n}.so" for n in range(20)]))
    assert run(path).stdout == "42\n"


# Run paths.


def test_run_paths_change_their_kind(copied: Copied) -> None:
    path = copied("old-path")
    kinds = []
    for step in (
        run_path("/a/directory:/and/one"),
        run_path("/new", force=True),
        run_path("/new"),
        lambda draft: edits.add_run_path(draft, "$ORIGIN/x", force_rpath=True),
        edits.remove_run_path,
        run_path(""),
    ):
        edit(path, step)
        with Elf.open(str(path)) as elf:
            kinds.append((elf.rpath, elf.runpath))
    assert kinds == [
        (None, "/a/directory:/and/one"),
        ("/new", None),
        (None, "/new"),
        ("/new:$ORIGIN/x", None),
        (None, None),
        (None, ""),
    ]


def test_an_old_run_path_does_not_stay_in_the_file(copied: Copied) -> None:
    path = copied("old-path")
    edit(path, run_path(LONG))
    assert b"/a/directory" not in path.read_bytes()
    edit(path, edits.remove_run_path)
    assert LONG.encode() not in path.read_bytes()


def test_text_that_something_else_uses_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(build(Recipe(symbols=["alpha", "beta"], needed=["libc.so.6"])))
    edit(path, run_path("alpha"))  # found in the table, as a symbol
    edit(path, run_path(LONG))
    edit(path, run_path("beta"))
    edit(path, edits.remove_run_path)
    assert sorted(output_of("nm", "-D", path).split()[2::3]) == ["alpha@LIBC_1.0", "beta@LIBC_1.0"]


def test_shrinking_keeps_directories_with_the_right_libraries(
    workshop: Workshop, copied: Copied, tmp_path: Path
) -> None:
    path = copied("pie")
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "libanswer.so").write_bytes(build(Recipe(machine=183)))
    again = tmp_path / "again"
    shutil.copytree(workshop.libraries, again)
    full = f"/nowhere:{wrong}:relative:$ORIGIN/x:{workshop.libraries}:{again}"
    edit(path, run_path(full))
    edit(path, edits.shrink_run_path)
    with Elf.open(str(path)) as elf:
        assert elf.runpath == f"relative:$ORIGIN/x:{workshop.libraries}"
    edit(path, run_path(full), lambda draft: edits.shrink_run_path(draft, [str(tmp_path)]))
    with Elf.open(str(path)) as elf:
        assert elf.runpath == f"relative:$ORIGIN/x:{again}"


# Libraries and names.


def test_needed_libraries_are_added_replaced_and_removed(workshop: Workshop, copied: Copied) -> None:
    path = copied("pie")
    library = workshop.libraries / "libanswer.so"
    edit(path, lambda draft: edits.replace_needed(draft, {"libanswer.so": str(library)}))
    assert run(path).stdout == "42\n"
    edit(path, lambda draft: edits.replace_needed(draft, {str(library): "libanswer.so"}))
    assert run(path, LD_LIBRARY_PATH=str(workshop.libraries)).stdout == "42\n"
    edit(path, lambda draft: edits.add_needed(draft, ["libm.so.6"]), run_path(str(workshop.libraries)))
    assert run(path).stdout == "42\n"
    edit(path, lambda draft: edits.remove_needed(draft, ["libanswer.so"]))
    assert "undefined symbol" in run(path, LD_BIND_NOW="1").stderr


def test_a_name_that_ends_the_old_one_needs_no_room(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(build(Recipe(needed=["/opt/x/libz.so.1", "libc.so.6"])))
    size = path.stat().st_size
    edit(path, lambda draft: edits.replace_needed(draft, {"/opt/x/libz.so.1": "libz.so.1"}))
    assert path.stat().st_size == size
    with Elf.open(str(path)) as elf:
        assert elf.needed == ["libz.so.1", "libc.so.6"]


def test_the_c_library_is_replaced_in_the_version_records_too(copied: Copied) -> None:
    path = copied("pie")
    edit(path, lambda draft: edits.replace_needed(draft, {"libc.so.6": "libnone.so.1"}))
    shown = output_of("readelf", "-VW", path)
    assert "File: libnone.so.1" in shown and "libc.so.6" not in shown


@pytest.mark.parametrize("name", ["libraries/libanswer.so", "other-libanswer.so", "both-libanswer.so"])
def test_renamed_symbols_are_found_by_the_loader(workshop: Workshop, tmp_path: Path, name: str) -> None:
    names = {"answer": "renamed_answer_of_another_length", "other": "o"}
    library, program = tmp_path / "libanswer.so", tmp_path / "program"
    shutil.copy2(workshop.directory / name, library)
    shutil.copy2(workshop.directory / "pie", program)

    def rename(draft: Draft) -> None:
        rename_symbols(draft, names)

    edit(library, rename)
    assert "undefined symbol" in run(program, LD_LIBRARY_PATH=str(tmp_path), LD_BIND_NOW="1").stderr
    edit(program, rename)
    assert run(program, LD_LIBRARY_PATH=str(tmp_path), LD_BIND_NOW="1").stdout == "42\n"
    back = {new: old for old, new in names.items()}
    edit(library, lambda draft: rename_symbols(draft, back))
    shown = output_of("nm", "-D", library)
    assert " T answer" in shown and "renamed" not in shown


# Versions.


def test_a_version_that_the_c_library_lacks_can_be_renamed(workshop: Workshop, copied: Copied) -> None:
    path = copied("pie")
    with Elf.open(str(path)) as elf:
        newest = max(needed_by_library(elf)["libc.so.6"], key=lambda v: [int(n) for n in v[6:].split(".")])
    edit(
        path,
        run_path(str(workshop.libraries)),
        lambda draft: edits.rename_version(draft, {newest: "GLIBC_9.99"}),
    )
    assert "`GLIBC_9.99' not found" in run(path).stderr
    edit(path, lambda draft: edits.rename_version(draft, {"GLIBC_9.99": newest}))
    assert run(path).stdout == "42\n"


def test_a_cleared_version_binds_to_any(workshop: Workshop, copied: Copied) -> None:
    path = copied("pie")
    edit(
        path,
        run_path(str(workshop.libraries)),
        lambda draft: edits.clear_symbol_version(draft, ["printf", "__libc_start_main"]),
    )
    shown = output_of("nm", "-D", path)
    assert "__libc_start_main@" not in shown and "__libc_start_main" in shown
    assert run(path).stdout == "42\n"


# Single fields.


def test_the_executable_stack_is_set_and_cleared_to_the_same_bytes(copied: Copied) -> None:
    path = copied("pie")
    before = path.read_bytes()
    for executable, flags in ((True, "RWE"), (False, "RW ")):
        edit(path, lambda draft: edits.set_execstack(draft, executable))  # noqa: B023
        assert f" {flags} " in next(
            line for line in output_of("readelf", "-lW", path).splitlines() if "GNU_STACK" in line
        )
    assert path.read_bytes() == before


def test_a_file_that_says_nothing_of_its_stack_gets_a_header(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for slack in (0, 64):
        path.write_bytes(build(Recipe(slack=slack)))
        edit(path, lambda draft: edits.set_execstack(draft, True))
        with Elf.open(str(path)) as elf:
            assert edits.execstack(Draft(elf)) is True
        output_of("readelf", "-aW", path)


def test_flags_and_tags_are_set(copied: Copied) -> None:
    path = copied("libraries/libanswer.so")
    edit(
        path,
        edits.no_default_library_path,
        edits.add_debug_tag,
        lambda draft: edits.set_os_abi(draft, "freebsd"),
    )
    shown = output_of("readelf", "-hdW", path)
    assert "NODEFLIB" in shown and "(DEBUG)" in shown and "UNIX - FreeBSD" in shown
    with pytest.raises(UnsupportedElf, match="unrecognized OS ABI"):
        edit(path, lambda draft: edits.set_os_abi(draft, "Plan 9"))


def test_what_prelink_promised_goes_with_the_first_edit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(build(Recipe()))
    edit(
        path,
        lambda draft: draft.dynamic.extend([(0x6FFFFDF5, 1), (0x6FFFFDF8, 2)]),
        lambda draft: draft.set_entry(21, 0),
    )
    with Elf.open(str(path)) as elf:
        assert elf.value(0x6FFFFDF5) is None and elf.value(0x6FFFFDF8) is None and elf.value(21) == 0


# The file on disk.


def test_mode_owner_times_and_links_are_those_of_the_file(copied: Copied, tmp_path: Path) -> None:
    path = copied("pie")
    path.chmod(0o4751)
    link = tmp_path / "link"
    link.symlink_to(path.name)
    os.setxattr(path, "user.note", b"kept")
    edit(link, run_path(LONG))
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o4751
    assert os.getxattr(path, "user.note") == b"kept"
    assert [entry.name for entry in tmp_path.iterdir() if "new" in entry.name] == []


def test_a_hard_link_elsewhere_keeps_the_old_contents(copied: Copied, tmp_path: Path) -> None:
    path = copied("pie")
    before = path.read_bytes()
    other = tmp_path / "other"
    os.link(path, other)
    edit(path, run_path(LONG))
    assert other.read_bytes() == before != path.read_bytes()


def test_an_output_file_leaves_the_input_alone(copied: Copied, tmp_path: Path) -> None:
    path = copied("pie")
    before, output = path.read_bytes(), tmp_path / "output"
    edit(path, run_path(LONG), output=output)
    assert path.read_bytes() == before
    assert os.access(output, os.X_OK)
    edit(path, output=tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == before
    edit(path, run_path(LONG), output=Path("/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_refused_and_stays(copied: Copied) -> None:
    path = copied("pie")
    before = path.read_bytes()
    path.chmod(0o555)
    with pytest.raises(ElfError, match=r"not writable|Permission denied"):
        edit(path, run_path(LONG))
    assert path.read_bytes() == before


def test_a_program_that_runs_can_be_patched(copied: Copied, tmp_path: Path) -> None:
    path = tmp_path / "sleep"
    shutil.copy2(program("sleep"), path)
    with subprocess.Popen([path, "60"]) as running:
        edit(path, run_path(LONG))
        assert running.poll() is None
        running.kill()
    with Elf.open(str(path)) as elf:
        assert elf.runpath == LONG


# What follows the ELF part.


def test_what_is_appended_is_found_from_both_ends(workshop: Workshop, copied: Copied) -> None:
    path = copied("pie")
    original = path.stat().st_size
    payload = bytes(range(256)) * 5000 + b"TRAILER!"
    with path.open("ab") as file:
        file.write(payload)
    for more in ("", LONG, "", LONG * 2):
        edit(path, run_path(f"{workshop.libraries}:{more}"))
        data = path.read_bytes()
        assert data.endswith(payload) and data[original : original + len(payload)] == payload
        assert run(path).stdout == "42\n"
    assert path.stat().st_size < original + 2 * len(payload) + 8192


def test_an_appended_image_that_is_found_from_the_start_is_not_repeated(
    workshop: Workshop, copied: Copied
) -> None:
    path = copied("pie")
    original = path.stat().st_size
    payload = b"hsqs" + bytes(range(1, 256)) * 5000
    with path.open("ab") as file:
        file.write(payload)
    number = path.stat().st_ino
    for more in ("", LONG, "", LONG * 2):
        edit(path, run_path(f"{workshop.libraries}:{more}"))
        assert path.read_bytes()[original : original + len(payload)] == payload
        assert run(path).stdout == "42\n"
        with Elf.open(str(path)) as elf:  # where such an image is looked for
            assert elf.shoff + elf.shnum * elf.shentsize == original
    assert path.stat().st_size < original + len(payload) + 8192
    assert path.stat().st_ino == number  # changed where it is


# Large files.


@pytest.fixture
def large(workshop: Workshop, tmp_path: Path) -> Path:
    """The program with as much data as makes a file large, in a section of its own before the headers."""
    filler = tmp_path / "filler"
    with filler.open("wb") as file:
        file.truncate(LARGE)
        file.seek(LARGE // 2)
        file.write(b"in the middle")
    path = tmp_path / "large"
    output_of("objcopy", "--add-section", f".filler={filler}", workshop.directory / "pie", path)
    assert path.stat().st_size > LARGE
    return path


def test_a_large_file_is_changed_where_it_is(workshop: Workshop, large: Path) -> None:
    before = large.stat()
    patch = edit(
        large, interpreter(own_loader(large, large.parent)), run_path(f"{LONG}:{workshop.libraries}")
    )
    assert patch is not None and patch.extends
    after = large.stat()
    assert after.st_size < before.st_size + 8192
    assert run(large).stdout == "42\n"
    output_of("readelf", "-aW", large)


def test_a_large_file_is_correct_after_every_single_write(
    workshop: Workshop, large: Path, tmp_path: Path
) -> None:
    with Elf.open(str(large), whole=True) as elf:
        draft = Draft(elf)
        edits.set_run_path(draft, f"{LONG}:{workshop.libraries}")
        patch = plan(draft)
    assert patch is not None
    with large.open("r+b") as file:
        for at, data in patch.writes:
            file.seek(at)
            file.write(data)
            file.flush()
            copy = tmp_path / "copy"
            shutil.copy(large, copy)
            assert run(copy, LD_LIBRARY_PATH=str(workshop.libraries)).stdout == "42\n"


def test_a_large_file_is_as_it_was_when_the_disk_is_full(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = large.read_bytes()
    with Elf.open(str(large), whole=True) as elf:
        draft = Draft(elf)
        edits.set_run_path(draft, LONG)
        patch = plan(draft)
        assert patch is not None
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        import signal

        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (patch.size - 100, hard))
        try:
            with pytest.raises(ElfError, match="File too large"):
                rewrite(elf.source, patch)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, old)
    assert large.read_bytes() == before
    assert [entry.name for entry in large.parent.iterdir() if "new" in entry.name] == []
