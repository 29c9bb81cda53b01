"""What a tree needs: from itself, from packages, from nobody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.cli.commands.patchelf import main
from devenv.errors import DevenvError
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.surveying import survey
from tests.foreign.conftest import Compile
from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

Around = Callable[..., Surroundings]
NEEDY = "int there(void); int gone(void); int main(void) { return there() + gone(); }"
OPENING = 'const char name[] = "libopened.so.3"; int main(void) { return name[0]; }'


@pytest.fixture
def app(compile_c: Compile, tmp_path: Path) -> Path:
    shared = ("-shared", "-fPIC")
    compile_c("app/lib/libthere.so.1", "int there(void) { return 0; }", *shared, "-Wl,-soname,libthere.so.1")
    compile_c("libgone.so.1", "int gone(void) { return 0; }", *shared, "-Wl,-soname,libgone.so.1")
    libraries = [str(tmp_path / "app/lib/libthere.so.1"), str(tmp_path / "libgone.so.1")]
    compile_c("app/bin/tool", NEEDY, *libraries)
    compile_c("app/bin/opener", OPENING)
    compile_c("app/bin/static", "int main(void) { return 0; }", "-static")
    return tmp_path / "app"


def test_libraries_come_from_the_tree_or_a_package(app: Path, around: Around) -> None:
    packages = {"libc.so.6": "libc6", "libgone.so.1": "libgone1", "libopened.so.3": "libopened3"}
    found = survey(str(app), around(packages), [])
    by_name = {each.soname: each for each in found.asked}
    assert by_name["libthere.so.1"].bundled == "lib/libthere.so.1"
    assert by_name["libgone.so.1"].package == "libgone1"
    assert by_name["libopened.so.3"].how == "guessed"
    assert by_name["libgone.so.1"].by == ("bin/tool",)
    assert found.added == ("libgone1", "libopened3")
    assert found.unresolved == ()
    assert found.left == {"bin/static": "static: it needs no loader and no libraries"}


def test_what_the_set_has_is_not_added(app: Path, around: Around) -> None:
    packages = {"libc.so.6": "libc6", "libgone.so.1": "libgone1"}
    assert survey(str(app), around(packages), ["libgone1=1.2"]).added == ()


def test_what_nobody_has_is_unresolved_unless_it_was_only_guessed(app: Path, around: Around) -> None:
    found = survey(str(app), around({"libc.so.6": "libc6"}), [])
    assert [each.soname for each in found.unresolved] == ["libgone.so.1"]
    assert "libopened.so.3" not in {each.soname for each in found.asked}


def test_the_packages_of_the_project_are_in_the_set_where_its_base_is_new_enough(
    app: Path, around: Around
) -> None:
    packages = {"libc.so.6": "libc6", "libgone.so.1": "libgone1", "libopened.so.3": "libopened3"}
    found = survey(str(app), around(packages), [], ["libgone1", "curl"])
    assert found.added == ("libopened3",)
    assert {"libgone1", "curl"} <= set(found.packages)
    assert main(["--rename-symbol-version", "GLIBC_2.34", "GLIBC_2.38", str(app / "bin/opener")]) == 0
    newer = survey(str(app), around(packages), [], ["libgone1", "curl"])
    assert newer.base == "debian/trixie" and "curl" not in newer.packages
    assert any("do not count" in note for note in newer.notes)


@pytest.mark.parametrize(
    ("line", "place", "package"),
    [
        ("#!/bin/sh", "host", None),
        ("#!/usr/bin/env -S sh -e", "host", None),
        ("#!/usr/bin/env tool", "bin/tool", None),
        ("#!/usr/bin/env no-such-shell", None, "nsh"),
        ("#!/opt/app/bin/tool", "bin/tool", None),
        ("#!/usr/bin/no-such-shell", None, "nsh"),
        ("#!/usr/bin/unheard-of", None, None),
    ],
)
def test_interpreters_of_scripts_are_on_any_machine_in_the_tree_in_a_package_or_nowhere(
    app: Path, around: Around, line: str, place: str | None, package: str | None
) -> None:
    script = app / "start"
    script.write_text(f"{line}\n")
    script.chmod(0o755)
    packages = {"libc.so.6": "libc6", "no-such-shell": "nsh"}
    (found,) = survey(str(app), around(packages), []).scripts
    assert (found.place, found.package) == (place, package)


def test_a_directory_without_programs_is_said_to_have_none(tmp_path: Path, around: Around) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DevenvError, match="nothing to patch"):
        survey(str(tmp_path / "empty"), around(), [])


@pytest.mark.network
def test_a_program_is_patched_into_the_store_and_kept(compile_c: Compile, tmp_path: Path) -> None:
    user = User(tmp_path / "home")
    program = compile_c("tool", '#include <stdio.h>\nint main(void) { puts("here"); return 3; }')
    done = user.run("patch", "--base", "debian/trixie", "--add", "--json", str(program), cwd=tmp_path)
    told = json.loads(done.stdout)
    patched = Path(told["path"])
    ran = subprocess.run([patched / "bin/tool"], env={}, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, "here\n")
    references = user.run("store", "query", "--references", str(patched), cwd=tmp_path).stdout
    assert "libc6" in references
    user.run("gc", cwd=tmp_path)
    assert (patched / "bin/tool").exists()
    assert subprocess.run([patched / "bin/tool"], env={}, capture_output=True, check=False).returncode == 3


@pytest.mark.network
def test_packages_of_the_project_are_not_asked_about(compile_c: Compile, tmp_path: Path) -> None:
    user = User(tmp_path / "home")
    source = "const char *zlibVersion(void)"
    options = ("-shared", "-fPIC", "-Wl,-soname,libz.so.1")
    library = compile_c("stub/libz.so.1", f'{source} {{ return ""; }}', *options)
    program = compile_c("tool", f"{source}; int main(void) {{ return zlibVersion()[0] - 48; }}", str(library))
    (tmp_path / "devenv.toml").write_text('base = "debian/trixie"\n[packages]\nsystem = ["zlib1g"]\n')
    path = user.run("patch", str(program), cwd=tmp_path).stdout.split()[-1]
    assert subprocess.run([f"{path}/bin/tool"], env={}, check=False).returncode == 1
    (tmp_path / "devenv.toml").write_text('base = "debian/trixie"\n')
    done = user.run("patch", str(program), cwd=tmp_path, check=False)
    assert done.returncode == 1 and "needed of debian/trixie: zlib1g\n" in done.stdout


@pytest.mark.network
def test_a_patched_program_runs_where_the_machine_has_no_loader(compile_c: Compile, tmp_path: Path) -> None:
    require_sandboxes()
    user = User(tmp_path / "home")
    program = compile_c("tool", '#include <stdio.h>\nint main(void) { puts("here"); return 3; }')
    user.run("patch", "--add", "--root", "copy", str(program), cwd=tmp_path)
    hidden = 'mount -t tmpfs none /usr/lib; "$1"; "$2/bin/tool"'
    words = ["unshare", "-rm", "sh", "-c", hidden, "sh", str(program), str(tmp_path / "copy")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "here\n")
    assert "not found" in done.stderr  # the program itself has no loader there
