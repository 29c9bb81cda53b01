"""Verdicts on programs that other programs run: those for Windows, DOS, .NET and Java."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.cli.commands.patchelf import main
from devenv.foreign.judging import judge
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.windows import portable
from tests.foreign.conftest import Compile
from tests.foreign.test_judging import foreign_program

Around = Callable[..., Surroundings]
I386, AMD64, ARM64 = 0x14C, 0x8664, 0xAA64
DLL = 0x2002


def windows_program(machine: int, *, flags: int = 2, managed: bool = False) -> bytes:
    """As much of a PE file as says what it is."""
    wide = machine != I386
    head = bytearray(512)
    head[:2], head[60] = b"MZ", 64
    head[64:68] = b"PE\0\0"
    struct.pack_into("<HHIIIHH", head, 68, machine, 1, 0, 0, 0, 240 if wide else 224, flags)
    struct.pack_into("<H", head, 88, 0x20B if wide else 0x10B)
    if managed:
        struct.pack_into("<II", head, 88 + (112 if wide else 96) + 8 * 14, 0x2000, 72)
    return bytes(head)


@pytest.mark.parametrize(
    ("data", "name", "kind", "prefix", "packages"),
    [
        (windows_program(I386), "setup.exe", "windows", ("wine",), ("wine", "wine32:i386")),
        (windows_program(AMD64), "setup.exe", "windows", ("wine",), ("wine", "wine64")),
        (b"MZ" + bytes(58) + b"\x40\0\0\0NE" + bytes(64), "old.exe", "windows", ("wine",), ("wine", "wine32:i386")),
        (windows_program(AMD64, managed=True), "tool.exe", "dotnet", ("mono",), ("mono-runtime",)),
        (windows_program(I386, flags=DLL, managed=True), "tool.dll", "dotnet", ("mono",), ("mono-runtime",)),
        (b"MZ" + bytes(62), "game.exe", "dos", ("dosbox",), ("dosbox",)),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
            *("setup.msi", "msi", ("wine", "msiexec", "/i"), ("wine", "wine32:i386", "wine64")),
        ),
    ],
    ids=["32-bit", "64-bit", "16-bit", "managed", "managed library", "DOS", "installer"],
)  # fmt: skip
def test_what_runs_a_program_is_said_and_offered(
    data: bytes, name: str, kind: str, prefix: tuple[str, ...], packages: tuple[str, ...], around: Around, tmp_path: Path
) -> None:  # fmt: skip
    path = tmp_path / name
    path.write_bytes(data)
    verdict = judge(str(path), around(path="/nonexistent"))
    assert (verdict.kind, verdict.route, verdict.prefix) == (kind, "root", prefix)
    assert verdict.packages == packages
    assert any("Proton" in note for note in verdict.notes) == ("wine" in prefix)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (windows_program(AMD64, flags=DLL), "library for Windows"),
        (windows_program(ARM64), "another processor"),
        (windows_program(0x1234), "another processor"),
    ],
    ids=["library", "arm64", "unknown machine"],
)
def test_what_wine_cannot_run_is_refused(data: bytes, said: str, around: Around, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_bytes(data)
    verdict = judge(str(path), around(path="/nonexistent"))
    assert verdict.route == "none" and said in verdict.reasons[0]


def test_programs_for_newer_net_are_not_handed_to_mono(around: Around, tmp_path: Path) -> None:
    path = tmp_path / "tool.dll"
    path.write_bytes(windows_program(AMD64, flags=DLL, managed=True))
    (tmp_path / "tool.runtimeconfig.json").write_text("{}")
    verdict = judge(str(path), around(path="/nonexistent"))
    assert (verdict.route, verdict.prefix) == ("none", ("dotnet",))
    (tmp_path / "dotnet").write_text("#!/bin/sh\n")
    (tmp_path / "dotnet").chmod(0o755)
    assert judge(str(path), around(path=str(tmp_path))).route == "host"


def test_a_zip_with_one_program_for_windows_starts_that(around: Around, tmp_path: Path) -> None:
    path = tmp_path / "game.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("game/Game.exe", windows_program(AMD64))
        archive.writestr("game/unins000.exe", windows_program(I386))
        archive.writestr("game/engine.dll", windows_program(AMD64, flags=DLL))
    verdict = judge(str(path), around(path="/nonexistent"))
    assert (verdict.kind, verdict.route, verdict.prefix) == ("zip", "root", ("wine",))
    assert verdict.start is not None and verdict.start.endswith("game/Game.exe")
    assert verdict.subject == "zip archive, program for Windows"


def test_a_jar_is_handed_to_java(around: Around, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tool.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Tool\n")
    verdict = judge(str(tmp_path / "tool.jar"), around(path="/nonexistent"))
    assert (verdict.prefix, verdict.packages) == (("java", "-jar"), ("default-jre",))
    within = judge(str(tmp_path), around(path="/nonexistent"))
    assert within.start == str(tmp_path / "tool.jar") and within.frameworks == ("Java",)


def test_the_libraries_in_a_jar_count(compile_c: Compile, around: Around, tmp_path: Path) -> None:
    """As database drivers have it: one for each system, unpacked when it runs."""
    shared = ("-shared", "-fPIC")
    compile_c("absent/libabsent.so.1", "int f(void) { return 0; }", *shared, "-Wl,-soname,libabsent.so.1")
    library = str(tmp_path / "absent/libabsent.so.1")
    native = compile_c("native.so", "int f(void); int g(void) { return f(); }", *shared, library)
    musl = compile_c("musl.so", "int f(void); int g(void) { return f(); }", *shared, library)
    assert main(["--replace-needed", "libc.so.6", "libc.musl-x86_64.so.1", str(musl)]) == 0
    with zipfile.ZipFile(tmp_path / "driver.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Tool\n")
        archive.write(musl, "org/a/Linux-Musl/x86_64/libdriver.so")
        archive.write(native, "org/driver/Linux/x86_64/libdriver.so")
        archive.writestr("org/driver/Linux/arm64/libdriver.so", foreign_program(183, 64, "<"))
        archive.writestr("org/driver/Windows/x86_64/driver.dll", windows_program(AMD64, flags=DLL))
    packages = {"libabsent.so.1": "libabsent1", "libc.so.6": "libc6"}
    verdict = judge(str(tmp_path / "driver.jar"), around(packages, path="/nonexistent"))
    assert (verdict.kind, verdict.route, verdict.prefix) == ("jar", "root", ("java", "-jar"))
    assert verdict.start == str(tmp_path / "driver.jar")
    assert {"default-jre", "libabsent1"} <= set(verdict.packages)
    assert [(each.soname, each.package) for each in verdict.missing] == [("libabsent.so.1", "libabsent1")]
    nobody = judge(str(tmp_path / "driver.jar"), around({"libc.so.6": "libc6"}, path="/nonexistent"))
    assert nobody.route == "root" and any("no package has libabsent.so.1" in note for note in nobody.notes)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_behind_mz_are_read(data: bytes, at: int) -> None:
    portable(b"MZ" + data)
    head = bytearray(b"MZ" + bytes(62) + data)
    struct.pack_into("<I", head, 60, at)
    found = portable(bytes(head))
    assert found is None or bytes(head[at : at + 2]) in (b"PE", b"NE")
