"""Directories of programs: what they were made with, and which file is to be started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.foreign.bundles import main_program, open_bundle
from devenv.foreign.judging import judge
from devenv.foreign.surroundings import Surroundings
from tests.foreign.conftest import Compile

Around = Callable[..., Surroundings]
SCRIPT = "#!/bin/sh\n"


def lay_out(directory: Path, files: dict[str, str]) -> Path:
    """Files by name; those with an interpreter's line are programs."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return directory


@pytest.mark.parametrize(
    ("files", "frameworks", "starts"),
    [
        (
            {"editor": SCRIPT, "resources/app.asar": "", "icudtl.dat": "", "chrome-sandbox": SCRIPT},
            *(("Electron",), "editor"),
        ),
        ({"chrome": SCRIPT, "chrome_crashpad_handler": SCRIPT, "icudtl.dat": ""}, ("Chromium",), "chrome"),
        ({"Game.x86_64": SCRIPT, "Game_Data/globalgamemanagers": "", "UnityPlayer.so": ""}, ("Unity",), "Game.x86_64"),
        ({"game.x86_64": SCRIPT, "game.pck": ""}, ("Godot",), "game.x86_64"),
        ({"Game.sh": SCRIPT, "Engine/Binaries/Linux/x": ""}, ("Unreal",), "Game.sh"),
        ({"game.sh": SCRIPT, "renpy/__init__.py": ""}, ("Ren'Py",), "game.sh"),
        ({"bin/tool": SCRIPT, "jre/bin/java": SCRIPT, "lib/tool.jar": ""}, ("Java",), "bin/tool"),
        ({"tool": SCRIPT, "libhostfxr.so": "", "tool.deps.json": "{}"}, (".NET",), "tool"),
        ({"package.json": "{}", "lib/native.node": ""}, ("npm package",), None),
        ({"AppRun": SCRIPT, "usr/bin/a": SCRIPT, "usr/bin/b": SCRIPT}, (), "AppRun"),
        (
            {"usr/share/applications/x.desktop": "[Desktop Entry]\nExec=b %U\n", "usr/bin/a": SCRIPT, "usr/bin/b": SCRIPT},
            *((), "usr/bin/b"),
        ),
        ({"a": SCRIPT, "b": SCRIPT}, (), None),
        ({}, (), None),
    ],
    ids=[
        *("Electron", "Chromium", "Unity", "Godot", "Unreal", "Ren'Py", "Java", ".NET", "npm", "AppRun", "desktop file"),
        *("two programs", "nothing"),
    ],
)  # fmt: skip
def test_what_made_a_bundle_and_what_starts_it_is_seen(
    files: dict[str, str], frameworks: tuple[str, ...], starts: str | None, tmp_path: Path
) -> None:
    bundle = open_bundle(str(lay_out(tmp_path / "made", files)))
    assert (bundle.frameworks, main_program(bundle)) == (frameworks, starts)


def test_an_electron_bundle_is_judged_by_its_program_and_what_it_brings(
    compile_c: Compile, around: Around, tmp_path: Path
) -> None:
    lay_out(tmp_path / "app", {"resources/app.asar": "", "icudtl.dat": "", "chrome-sandbox": SCRIPT})
    shared = ("-shared", "-fPIC", "-Wl,-soname,libffmpeg.so")
    compile_c("app/libffmpeg.so", "int decode(void) { return 0; }", *shared)
    compile_c(
        "absent/libabsent.so.1",
        "int sign(void) { return 0; }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libabsent.so.1",
    )
    source = "int decode(void); int sign(void); int main(void) { return decode() + sign(); }"
    libraries = [str(tmp_path / "app/libffmpeg.so"), str(tmp_path / "absent/libabsent.so.1")]
    compile_c("app/app", source, *libraries, "-Wl,-rpath,$ORIGIN")
    verdict = judge(str(tmp_path / "app"), around({"libabsent.so.1": "libabsent1", "libc.so.6": "libc6"}))
    assert verdict.frameworks == ("Electron",) and verdict.start == str(tmp_path / "app/app")
    assert {each.soname: each.where for each in verdict.libraries}["libffmpeg.so"] == "bundled"
    assert [(each.soname, each.package) for each in verdict.missing] == [("libabsent.so.1", "libabsent1")]


def test_an_npm_package_is_judged_by_its_native_parts(
    compile_c: Compile, around: Around, tmp_path: Path
) -> None:
    lay_out(tmp_path / "package", {"package.json": "{}"})
    compile_c(
        "absent/libabsent.so.1",
        "int loop(void) { return 0; }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libabsent.so.1",
    )
    source = "int loop(void); int entry(void) { return loop(); }"
    library = str(tmp_path / "absent/libabsent.so.1")
    compile_c("package/build/native.node", source, "-shared", "-fPIC", library)
    verdict = judge(str(tmp_path / "package"), around({"libabsent.so.1": "libabsent1", "libc.so.6": "libc6"}))
    assert verdict.frameworks == ("npm package",) and verdict.start is None
    assert [(each.soname, each.package) for each in verdict.missing] == [("libabsent.so.1", "libabsent1")]
