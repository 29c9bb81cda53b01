"""Real Nix, as the referee of our store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from devenv.store.layout import Layout
from devenv.store.nix_environment import prepare, variables
from tests.support.programs import program


def nix_environment(layout: Layout, tmp: str | os.PathLike[str]) -> dict[str, str]:
    """A whole environment in which Nix's commands work on `layout` and see nothing of this user or machine.

    `tmp` becomes the home; caches and temporary files go there as well.
    """
    prepare(layout)
    home = os.path.join(tmp, "nix-home")
    scratch = os.path.join(home, "tmp")
    os.makedirs(scratch, exist_ok=True)
    programs = os.path.dirname(program("nix-store"))
    return {
        **variables(layout),
        "PATH": os.pathsep.join((programs, "/usr/bin", "/bin")),
        "HOME": home,
        "XDG_CACHE_HOME": os.path.join(home, "cache"),
        "XDG_CONFIG_HOME": os.path.join(home, "config"),
        "XDG_DATA_HOME": os.path.join(home, "data"),
        "TMPDIR": scratch,
        "NIX_PATH": "",
        "LC_ALL": "C.UTF-8",
    }


class Nix:
    """Nix's commands, working on one store."""

    def __init__(self, layout: Layout, tmp: str | os.PathLike[str]) -> None:
        self.layout = layout
        self.environment: Mapping[str, str] = nix_environment(layout, tmp)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command such as ("nix-store", "--verify"). It must succeed unless `check` is false."""
        done = subprocess.run(
            [program(command[0]), *command[1:]],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stderr}")
        return done

    def store(self, *arguments: str) -> str:
        """What `nix-store` prints, without the last newline."""
        return self.run("nix-store", *arguments).stdout.rstrip("\n")

    def dump_database(self) -> str:
        return self.store("--dump-db")

    def verify(self) -> None:
        """Everything registered is there, with the right contents."""
        done = self.run("nix-store", "--verify", "--check-contents")
        complaints = [line for line in done.stderr.splitlines() if "error" in line or "warning" in line]
        assert not complaints, done.stderr
