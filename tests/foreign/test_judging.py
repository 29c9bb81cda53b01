"""Verdicts on files of every kind, without a network."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.foreign.judging import judge
from devenv.foreign.kinds import kind_of
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.verdict import verdict_json
from tests.foreign.conftest import Compile
from tests.support.programs import program

Around = Callable[..., Surroundings]
MAIN = "int main(void) { return 0; }"


def test_a_program_of_this_machine_runs_as_it_is(compile_c: Compile, around: Around) -> None:
    verdict = judge(str(compile_c("main", MAIN)), around())
    assert (verdict.route, verdict.libc, verdict.architecture) == ("host", "glibc", "amd64")
    assert verdict.wanted["GLIBC"] and verdict.missing == ()


def test_a_static_program_needs_nothing(compile_c: Compile, around: Around) -> None:
    verdict = judge(str(compile_c("main", MAIN, "-static")), around())
    assert (verdict.route, verdict.libraries) == ("host", ())
    assert "static program" in verdict.subject


def missing_library(compile_c: Compile) -> Path:
    options = ("-shared", "-fPIC", "-Wl,-soname,libnowhere.so.7")
    compile_c("libs/libnowhere.so", "int f(void) { return 0; }", *options)
    return compile_c("app/main", "int f(void); int main(void) { return f(); }", "-Llibs", "-lnowhere")


def test_a_missing_library_is_named_with_its_package(compile_c: Compile, around: Around) -> None:
    packages = {"libnowhere.so.7": "libnowhere7", "libc.so.6": "libc6"}
    verdict = judge(str(missing_library(compile_c)), around(packages))
    assert verdict.route == "root"
    assert [(each.soname, each.package, each.required) for each in verdict.missing] == [
        ("libnowhere.so.7", "libnowhere7", True)
    ]
    assert verdict.packages == ("libc6", "libnowhere7")


def test_what_no_package_has_cannot_be_run(compile_c: Compile, around: Around) -> None:
    verdict = judge(str(missing_library(compile_c)), around({"libc.so.6": "libc6"}))
    assert verdict.route == "none"
    assert any("no package has libnowhere.so.7" in reason for reason in verdict.reasons)


def test_a_newer_c_library_leads_to_a_newer_base(compile_c: Compile, around: Around) -> None:
    from devenv.cli.commands.patchelf import main

    path = compile_c("main", MAIN)
    assert main(["--rename-symbol-version", "GLIBC_2.34", "GLIBC_2.38", str(path)]) == 0
    verdict = judge(str(path), around({"libc.so.6": "libc6"}))
    assert (verdict.route, verdict.base, verdict.wanted["GLIBC"]) == ("root", "debian/trixie", "2.38")
    assert any("GLIBC 2.38" in reason for reason in verdict.reasons)


def test_libraries_that_a_program_opens_count(compile_c: Compile, around: Around) -> None:
    source = '#include <stdio.h>\nint main(void) { puts("libGL.so.1"); puts("libX11.so.6"); return 0; }'

    from devenv.foreign.systems import System

    class Plain(System):
        def find(self, soname: str, architecture: str, libc: str = "glibc") -> str | None:
            return (
                None
                if "GL" in soname or "X" in soname or "xcb" in soname or "wayland" in soname
                else super().find(soname, architecture, libc)
            )

    packages = {"libGL.so.1": "libgl1", "libX11.so.6": "libx11-6", "libc.so.6": "libc6"}
    verdict = judge(str(compile_c("main", source)), around(packages, host=Plain()))
    assert verdict.features == ("OpenGL", "windows")
    assert verdict.route == "root"
    assert {"libgl1", "libx11-6", "libgl1-mesa-dri"} <= set(verdict.packages)


@pytest.mark.parametrize(
    ("machine", "bits", "order", "name"),
    [
        (183, 64, "<", "aarch64"),
        (183, 64, ">", "aarch64"),
        (243, 64, "<", "riscv"),
        (243, 32, "<", "riscv"),
        (40, 32, "<", "arm"),
        (40, 32, ">", "arm"),
        (8, 32, "<", "mips"),
        (8, 64, ">", "mips"),
        (20, 32, ">", "powerpc"),
        (21, 64, "<", "powerpc64"),
        (21, 64, ">", "powerpc64"),
        (22, 64, ">", "s390"),
        (43, 64, ">", "sparc"),
        (258, 64, "<", "loongarch"),
        (62, 32, "<", "x86_64"),
        (62, 64, ">", "x86_64"),
        (0x4242, 64, "<", "machine 16962"),
    ],
)
def test_foreign_architectures_are_called_so(
    machine: int, bits: int, order: str, name: str, around: Around, tmp_path: Path
) -> None:
    path = tmp_path / "main"
    path.write_bytes(foreign_program(machine, bits, order))
    verdict = judge(str(path), around())
    assert verdict.route == "none"
    assert f"{bits}-bit {name}" in verdict.reasons[0] and "another architecture" in verdict.reasons[0]


def foreign_program(machine: int, bits: int, order: str) -> bytes:
    """The least that can be loaded: a header and one segment with both."""
    head = b"\x7fELF" + bytes((bits // 32, 1 if order == "<" else 2, 1)) + bytes(9)
    head += struct.pack(f"{order}HHI", 2, machine, 1)
    if bits == 64:
        head += struct.pack(f"{order}QQQIHHHHHH", 0x1000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        return head + struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, 0, 0, 120, 120, 4096)
    head += struct.pack(f"{order}IIIIHHHHHH", 0x1000, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return head + struct.pack(f"{order}IIIIIIII", 1, 0, 0, 0, 84, 84, 5, 4096)


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5])
def test_a_program_that_is_cut_off_is_called_damaged(keep: float, compile_c: Compile, around: Around) -> None:
    path = compile_c("main", MAIN, "-static")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DevenvError, match=r"past file end|cut off"):
        judge(str(path), around())


def tar_of(path: Path, folder: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname="app-1.0")


def zip_of(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, f"app/{file.relative_to(folder)}")


def run_of(path: Path, folder: Path) -> None:
    tar_of(path.with_suffix(".tgz"), folder)
    path.write_bytes(
        b"#!/bin/sh\n# makeself\ntail -n +4 $0 | tar xz\nexit\n" + path.with_suffix(".tgz").read_bytes()
    )


def appimage_2(path: Path, folder: Path) -> None:
    image = path.with_suffix(".squashfs")
    command = [program("mksquashfs"), str(folder), str(image), "-noappend", "-quiet", "-no-progress"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(_runtime(2) + image.read_bytes())


def _runtime(kind: int) -> bytes:
    head = bytearray(120)
    head[:11] = b"\x7fELF\2\1\1\0AI" + bytes((kind,))
    struct.pack_into("<HHI", head, 16, 2, 62, 1)
    struct.pack_into("<QQQIHHHHHH", head, 24, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    struct.pack_into("<IIQQQQQQ", head, 64, 1, 5, 0, 0, 0, 120, 120, 4096)
    return bytes(head)


def appimage_1(path: Path, folder: Path) -> None:
    command = [program("xorriso"), "-as", "mkisofs", "-quiet", "-R", "-o", str(path), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    with open(path, "r+b") as file:
        file.write(_runtime(1))


ARCHIVES = {"tar": tar_of, "zip": zip_of, "run": run_of, "appimage-2": appimage_2, "appimage-1": appimage_1}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_are_looked_into(kind: str, compile_c: Compile, around: Around, tmp_path: Path) -> None:
    compile_c("app/bin/tool", MAIN)
    (tmp_path / "app/share").mkdir()
    (tmp_path / "app/share/data").write_bytes(os.urandom(1000) + bytes(300_000))
    (tmp_path / "app/AppRun").symlink_to("bin/tool")
    if kind in ("tar", "zip", "run"):
        (tmp_path / "app/AppRun").unlink()
    archive = tmp_path / f"thing-{kind}"
    ARCHIVES[kind](archive, tmp_path / "app")
    assert kind_of(str(archive)) == kind
    verdict = judge(str(archive), around())
    assert verdict.route == "host" and verdict.start is not None
    if kind == "run":
        assert (verdict.prefix, verdict.start) == (("/bin/sh",), str(archive))
        return
    assert os.path.realpath(verdict.start).endswith("bin/tool")
    data = os.path.join(os.path.dirname(os.path.realpath(verdict.start)), "../share/data")
    assert Path(data).read_bytes() == (tmp_path / "app/share/data").read_bytes()
    assert subprocess.run([verdict.start]).returncode == 0


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "nocomp"])
def test_a_self_extracting_archive_is_looked_into_and_left_to_itself(
    compression: str, compile_c: Compile, around: Around, tmp_path: Path
) -> None:
    """Made by makeself: its header changes into what it has unpacked, and starts what its maker named."""
    packages = {"libnowhere.so.7": "libnowhere7", "libc.so.6": "libc6"}
    missing_library(compile_c)
    (tmp_path / "app/setup.sh").write_text("#!/bin/sh\nls; echo $#; exit 3\n")
    (tmp_path / "app/setup.sh").chmod(0o755)
    makeself = os.path.realpath(program("makeself"))
    header = os.path.join(os.path.dirname(makeself), "../share/makeself/makeself-header.sh")
    words = [makeself, "--header", header, f"--{compression}", "app", "thing.run", "A thing", "./setup.sh"]
    subprocess.run(["sh", *words], cwd=tmp_path, check=True, capture_output=True)
    verdict = judge(str(tmp_path / "thing.run"), around(packages))
    assert verdict.kind == "run" and [each.package for each in verdict.missing] == ["libnowhere7"]
    unpacker = {"bzip2": {"bzip2"}, "xz": {"xz-utils"}}.get(compression, set())
    assert set(verdict.packages) == {"libc6", "libnowhere7", *unpacker}
    started = [*verdict.prefix, verdict.start or "", "--", "one", "two"]
    done = subprocess.run(started, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[-3:]) == (3, ["main", "setup.sh", "2"])


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_damaged_archives_are_our_error(
    kind: str, keep: float, compile_c: Compile, around: Around, tmp_path: Path
) -> None:
    compile_c("app/AppRun", MAIN)
    (tmp_path / "app/noise").write_bytes(os.urandom(200_000))
    archive = tmp_path / "thing"
    ARCHIVES[kind](archive, tmp_path / "app")
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DevenvError):
        judge(str(archive), around())
    assert (
        not [name for name in os.listdir(tmp_path / "cache/foreign") if name.endswith(".new")]
        if os.path.isdir(tmp_path / "cache/foreign")
        else True
    )


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", "empty", "empty file"),
        (b"hello\n", "text", "text without"),
        (b"\xcf\xfa\xed\xfe" + bytes(60), "macos", "macOS"),
        (b"\xed\xab\xee\xdb" + bytes(60), "rpm", "RPM"),
        (bytes(range(256)), "data", "data of no kind"),
    ],
    ids=["empty", "text", "macos", "rpm", "data"],
)
def test_what_is_no_program_is_called_what_it_is(
    data: bytes, kind: str, said: str, around: Around, tmp_path: Path
) -> None:
    path = tmp_path / "thing"
    path.write_bytes(data)
    verdict = judge(str(path), around())
    assert (verdict.kind, verdict.route) == (kind, "none")
    assert said in verdict.subject


def test_a_script_whose_interpreter_is_missing_gets_its_package(around: Around, tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/usr/bin/env rarelang\n")
    verdict = judge(str(script), around({"rarelang": "rarelang-bin"}))
    assert (verdict.route, verdict.packages) == ("root", ("rarelang-bin",))
    assert "rarelang" in verdict.reasons[0]


def test_a_wheel_is_judged_by_its_native_parts(compile_c: Compile, around: Around, tmp_path: Path) -> None:
    missing_library(compile_c)
    options = ("-shared", "-fPIC", "-Llibs", "-lnowhere")
    compile_c("wheel/pkg/native.so", "int f(void); int g(void) { return f(); }", *options)
    (tmp_path / "wheel/pkg-1.dist-info").mkdir()
    (tmp_path / "wheel/pkg-1.dist-info/WHEEL").write_text("Wheel-Version: 1.0\n")
    path = tmp_path / "pkg-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (tmp_path / "wheel").rglob("*"):
            archive.write(file, str(file.relative_to(tmp_path / "wheel")))
    verdict = judge(str(path), around({"libnowhere.so.7": "libnowhere7", "libc.so.6": "libc6"}))
    assert (verdict.kind, verdict.route) == ("wheel", "root")
    assert [each.package for each in verdict.missing] == ["libnowhere7"]


def test_a_link_to_nothing_and_a_pipe_are_errors(around: Around, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("link", "which is not there"), ("pipe", "neither"), ("none", "no such file")):
        with pytest.raises(DevenvError, match=said):
            judge(str(tmp_path / name), around())


def test_a_verdict_is_json(compile_c: Compile, around: Around) -> None:
    made = json.loads(json.dumps(verdict_json(judge(str(compile_c("main", MAIN)), around()))))
    assert made["route"] == "host" and made["libraries"][0]["soname"] == "libc.so.6"


def test_an_archive_cannot_write_outside(around: Around, tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DevenvError, match=r"\.\."):
        judge(str(path), around())
    assert not list(tmp_path.rglob("escaped"))
