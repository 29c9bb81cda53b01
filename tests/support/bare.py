"""A machine on which nothing is installed but Python, for devenv: a root of bookworm, entered as `devenv fhs` does it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from devenv.fetch.endpoints import Endpoints
from tests.support.devenv import User, devenv_program

BASE = "debian/bookworm"
_ENTER = ("fhs", "--base", BASE, "bash", "python3", "--")


class BareHost:
    """Runs programs there, by themselves or by the devenv under test. Files and processes are the machine's own."""

    def __init__(self, user: User) -> None:
        self.user = user
        endpoints = Endpoints.load(
            project=str(user.home), environ=os.environ, registries={}, cache=str(user.store_root / "cache")
        )
        # apt is not configured there, as on any machine that is not Debian's.
        mirrors = {name: " ".join(endpoints.archives.mirrors(name)) for name in ("debian", "debian-security")}
        user.env |= {
            "DEVENV_DEBIAN_MIRROR": mirrors["debian"],
            "DEVENV_DEBIAN_SECURITY_MIRROR": mirrors["debian-security"],
        }

    def words(self, *words: str) -> list[str]:
        """The command that runs a command there."""
        return [devenv_program(), *_ENTER, *words]

    def run(self, *words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """What comes of a command, called as from a shell. No status is an error."""
        return subprocess.run(
            self.words("bash", "-c", '"$0" "$@"', *words),
            cwd=cwd,
            env=self.user.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=900,
        )

    def devenv(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        done = self.run(devenv_program(), *arguments, cwd=cwd)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def lacking(self, path: str, *, cwd: Path) -> set[str]:
        """The libraries that the loader there does not find for a program: what ldd(1) asks it."""
        listed = self.run("env", "LD_TRACE_LOADED_OBJECTS=1", path, cwd=cwd).stdout
        return {line.split()[0] for line in listed.splitlines() if line.endswith("=> not found")}
