"""devenv store realise and log, on derivations that Nix wrote."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from devenv.store.layout import Layout
from tests.support.devenv import User
from tests.support.nix import Nix
from tests.support.sandboxes import HOST_PATHS, require_sandboxes

SHOWN = [word for path in HOST_PATHS for word in ("--sandbox-path", path)]


def write(user: User, name: str, script: str, more: str = "") -> str:
    """The path of a derivation that nix-instantiate writes to the user's store."""
    expression = (
        f'derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh"; {more} '
        f"PATH = \"/usr/bin:/bin\"; args = [ \"-c\" ''{script}'' ]; }}"
    )
    nix = Nix(Layout(str(user.store_root)), user.home)
    return nix.run("nix-instantiate", "-E", expression).stdout.strip().partition("!")[0]


@pytest.fixture
def builder(user: User) -> User:
    require_sandboxes()
    return user


def test_a_derivation_that_nix_wrote_is_built(builder: User, tmp_path: Path) -> None:
    drv = write(
        builder, "hello", "echo said; echo hello > $out; echo dev > $dev", 'outputs = [ "out" "dev" ];'
    )
    done = builder.run("store", "realise", drv, *SHOWN, cwd=tmp_path)
    dev, out = done.stdout.split()
    assert (Path(out).read_text(), Path(dev).read_text()) == ("hello\n", "dev\n")
    assert builder.run("store", "realise", os.path.basename(drv), cwd=tmp_path).stdout == done.stdout
    assert builder.run("store", "log", out, drv, cwd=tmp_path).stdout == "said\nsaid\n"
    assert builder.run("store", "verify", cwd=tmp_path).returncode == 0
    assert "hello> said" in builder.run("store", "realise", write(builder, "hello", "echo said; touch $out"), *SHOWN,
                                        "--verbose", cwd=tmp_path).stderr  # fmt: skip


def test_a_failure_says_where_to_look(builder: User, tmp_path: Path) -> None:
    drv = write(builder, "bad", "echo work > file; echo reason; exit 3")
    done = builder.run("store", "realise", drv, *SHOWN, "--keep-failed", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "cannot build bad: its builder ended with status 3. The last it printed:" in done.stderr
    assert "reason" in done.stderr
    kept = done.stderr.partition("Its build directory is kept: ")[2].split()[0]
    assert Path(kept, "file").read_text() == "work\n"
    log = done.stderr.partition("The whole log: ")[2].split()[0].rstrip(".")
    assert Path(f"{log}.drv" if not log.endswith(".drv") else log).read_text() == "reason\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--timeout", "0.3"), "took longer than 0.3 s"),
        (("--max-silent-time", "0.3"), "printed nothing for 0.3 s"),
    ],
    ids=["time", "silence"],
)
def test_limits_are_given_on_the_command_line(
    builder: User, tmp_path: Path, arguments: tuple[str, str], said: str
) -> None:
    drv = write(builder, "long", "sleep 1000")
    done = builder.run("store", "realise", drv, *SHOWN, *arguments, cwd=tmp_path, check=False)
    assert (done.returncode, said in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [("--timeout", "-1"), ("--max-memory", "2X"), ("--max-memory", "0"), ("--max-silent-time", "soon")],
    ids=" ".join,
)
def test_limits_that_are_none_are_refused(user: User, tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = user.run("store", "realise", "x.drv", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert arguments[1] in done.stderr


def test_what_is_no_derivation_is_refused(builder: User, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    path = builder.run("store", "add", "file", cwd=tmp_path).stdout.strip()
    done = builder.run("store", "realise", path, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "only derivations can be built" in done.stderr
    done = builder.run("store", "log", path, cwd=tmp_path, check=False)
    assert "was not built here" in done.stderr


def test_ctrl_c_ends_a_build_at_once(builder: User, tmp_path: Path) -> None:
    drv = write(builder, "long", "echo begun; trap true INT TERM; sleep 1000; sleep 1000")
    log = builder.store_root / "log/drvs" / os.path.basename(drv)[:2] / os.path.basename(drv)[2:]
    with builder.popen("store", "realise", drv, *SHOWN, cwd=tmp_path) as process:
        deadline = time.monotonic() + 20
        while not (log.exists() and log.read_text() == "begun\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        assert time.monotonic() - began < 3
    assert process.returncode in (130, -signal.SIGINT)
    assert [name for name in os.listdir(builder.store_root / "tmp") if name[0].isdigit()] == []
