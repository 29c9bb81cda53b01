"""Installing and uninstalling: launcher, menu entry, icon, and what keeps the packages."""

from __future__ import annotations

import os
import struct
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.errors import DevenvError
from devenv.installing.desktop import entry_text, quoted, read_entry
from devenv.installing.programs import check_name, default_name, program_in
from tests.foreign.conftest import Compile
from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

SOURCE = """
#include <stdio.h>
#include <gnu/libc-version.h>
int main(int count, char **words) {
    printf("%s", gnu_get_libc_version());
    for (int i = 1; i < count; i++) printf(" <%s>", words[i]);
    puts("");
    return 7;
}
"""
ENTRY = """[Desktop Entry]
Type=Application
Name=The Tool
Name[de]=Das Werkzeug
Exec=AppRun --flag %F
Icon=tool
Categories=Utility;
X-Other=left out
[Desktop Action New]
Name=Another
"""


def png(width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


@pytest.fixture
def bundle(compile_c: Compile, tmp_path: Path) -> Path:
    """An archive as one downloads it: a program, its desktop entry, two icons."""
    compile_c("tool-1.2/AppRun", SOURCE)
    top = tmp_path / "tool-1.2"
    (top / "tool.desktop").write_text(ENTRY)
    (top / "tool.png").write_bytes(png(32))
    (top / "usr/share/icons/hicolor/128x128/apps").mkdir(parents=True)
    (top / "usr/share/icons/hicolor/128x128/apps/tool.png").write_bytes(png(128))
    archive = tmp_path / "Tool-1.2-x86_64.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for path in sorted(top.iterdir()):
            file.add(path, path.name)
    return archive


def test_a_bundle_is_installed_with_its_entry_and_its_largest_icon_and_taken_away(
    user: User, bundle: Path, tmp_path: Path
) -> None:
    done = user.run("install", str(bundle), cwd=tmp_path)
    launcher = user.home / ".local/bin/tool"
    entry = user.home / ".local/share/applications/devenv-tool.desktop"
    icon = user.home / ".local/share/icons/hicolor/128x128/apps/devenv-tool.png"
    assert done.stdout.splitlines() == [str(launcher), str(icon), str(entry)]
    bundle.unlink()  # what an archive held lies beside the launcher
    ran = subprocess.run([launcher, "a b", "*"], capture_output=True, text=True, check=False)
    assert ran.returncode == 7 and ran.stdout.endswith(" <a b> <*>\n")
    text = entry.read_text()
    assert "Name[de]=Das Werkzeug\n" in text and "Icon=devenv-tool\n" in text and "X-Other" not in text
    assert text.count("Exec=") == 1 and text.split("Exec=")[1].split("\n")[0].endswith('/launcher" %F')
    assert icon.read_bytes() == png(128)
    user.run("uninstall", "tool", cwd=tmp_path)
    assert not any(os.path.lexists(path) for path in (launcher, entry, icon))
    assert os.listdir(user.store_root / "state/installed") == []
    again = user.run("uninstall", "tool", cwd=tmp_path, check=False)
    assert again.returncode == 1 and "it is not installed" in again.stderr


def test_what_lies_in_a_directory_of_the_archive_has_its_entry_and_icon(
    user: User, bundle: Path, tmp_path: Path
) -> None:
    top = tmp_path / "tool-1.2"
    (top / "AppRun").rename(top / "tool")
    (top / "tool.desktop").write_text(ENTRY.replace("AppRun", '"/opt/it/tool"'))
    (top / "another.desktop").write_text(ENTRY.replace("AppRun", "another").replace("The Tool", "Another"))
    archive = tmp_path / "other.tar"
    with tarfile.open(archive, "w") as file:
        file.add(top, "tool-1.2")
    for path in (archive, top, top / "tool"):  # an archive, a directory, the program in it
        user.run("install", "--name", "x", str(path), cwd=tmp_path)
        text = (user.home / ".local/share/applications/devenv-x.desktop").read_text()
        assert "Name=The Tool\n" in text and "Icon=devenv-x\n" in text and "Program" not in text
        icon = user.home / ".local/share/icons/hicolor/128x128/apps/devenv-x.png"
        assert icon.read_bytes() == png(128)
        user.run("uninstall", "x", cwd=tmp_path)
        assert not icon.exists()


def test_an_entry_beside_a_program_that_starts_another_is_not_its_own(
    user: User, bundle: Path, tmp_path: Path
) -> None:
    top = tmp_path / "tool-1.2"
    (top / "AppRun").rename(top / "other")
    (top / "tool.desktop").write_text(ENTRY.replace("AppRun", "tool"))
    done = user.run("install", str(top / "other"), cwd=tmp_path)
    assert done.stdout.splitlines() == [str(user.home / ".local/bin/other")]


def test_somebody_elses_program_is_not_replaced(user: User, bundle: Path, tmp_path: Path) -> None:
    other = user.home / ".local/bin/tool"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    done = user.run("install", str(bundle), cwd=tmp_path, check=False)
    assert done.returncode == 1 and "is there already" in done.stderr
    assert other.read_text() == "mine"


def test_installing_again_replaces(user: User, compile_c: Compile, tmp_path: Path) -> None:
    path = compile_c("tool", SOURCE)
    for _ in range(2):
        user.run("install", "--name", "other name", str(path), cwd=tmp_path)
    ran = subprocess.run([user.home / ".local/bin/other name", "x"], capture_output=True, check=False)
    assert ran.returncode == 7


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/d/Editor-1.2-x86_64.AppImage", "editor"),
        ("game_1.0_i386.deb", "game"),
        ("x.tar.gz", "x"),
        ("tool", "tool"),
        ("My Game-v2.zip", "my game"),
    ],
)
def test_names_are_those_of_files_without_versions(path: str, name: str) -> None:
    assert default_name(path) == name


@pytest.mark.parametrize("name", ["", ".x", "-x", "a/b", "a\nb", " a"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(DevenvError, match="cannot be the name"):
        check_name(name)


@given(st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), min_size=1))
def test_a_quoted_path_is_read_back_by_the_rules_of_the_specification(path: str) -> None:
    line = quoted("/" + path)
    string = line.replace("\\\\", "\0").replace("\0", "\\")  # escapes of strings: only \\ occurs
    assert string[0] == string[-1] == '"'
    word, inner = "", iter(string[1:-1])
    for c in inner:
        word += next(inner) if c == "\\" else c
    assert word.replace("%%", "%") == "/" + path


def test_a_program_is_found_behind_links_that_hold_inside(tmp_path: Path) -> None:
    """As Debian's wine is: /usr/bin/wine -> /etc/alternatives/wine -> /usr/bin/wine-stable."""
    for name in ("usr/bin", "etc/alternatives"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr/bin/tool").symlink_to("/etc/alternatives/tool")
    (tmp_path / "etc/alternatives/tool").symlink_to("/usr/bin/tool-1")
    with pytest.raises(DevenvError, match="no program tool"):
        program_in(str(tmp_path), "tool", "/bin:/usr/bin")
    (tmp_path / "usr/bin/tool-1").write_text("#!/bin/sh\n")
    (tmp_path / "usr/bin/tool-1").chmod(0o755)
    assert program_in(str(tmp_path), "tool", "/bin:/usr/bin") == "/usr/bin/tool"
    assert program_in(str(tmp_path), "/opt/x", "/bin") == "/opt/x"


def test_an_entry_says_one_program_and_no_other_groups() -> None:
    text = entry_text("/l", "tool", read_entry(ENTRY), None)
    assert text.count("[") == 2  # the group, and one localized name
    assert "Another" not in text and "Icon" not in text


@pytest.mark.network
def test_a_launcher_enters_its_root_without_python_and_survives_a_collection(
    user: User, compile_c: Compile, tmp_path: Path
) -> None:
    require_sandboxes()
    path = compile_c("tool", SOURCE)
    words = ("install", "--yes", "--root", "--base", "debian/trixie", str(path))
    user.run(*words, cwd=tmp_path)
    launcher = user.home / ".local/bin/tool"
    for _ in range(2):
        # Nothing of the machine's is on PATH: no Python could be found.
        ran = subprocess.run(
            [launcher, "a b"],
            env={"PATH": "/none", "LD_LIBRARY_PATH": "/leak"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (7, "2.41 <a b>\n", "")
        user.run("gc", cwd=tmp_path)
    user.run("uninstall", "tool", cwd=tmp_path)
    assert not launcher.exists()
