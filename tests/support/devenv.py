"""Running the installed devenv as a user would, in a home of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# How this machine reaches the network: which certificates to trust and which proxies to take.
KEPT = (
    *("LANG", "CI", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)


def devenv_program() -> str:
    """The console script of the environment that runs the tests."""
    path = Path(sys.executable).parent / "devenv"
    if not path.exists():
        pytest.fail(f"devenv is not installed beside {sys.executable}: pip install -e '.[test]'")
    return str(path)


class User:
    """Somebody with an empty home, and devenv on the PATH."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.env = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            # A process in the background would go on after the test that started it.
            "DEVENV_COMPILE": "now",
        }

    @property
    def store_root(self) -> Path:
        return self.home / ".local/share/devenv"

    def run(
        self, *arguments: str, cwd: Path, check: bool = True, timeout: float = 900, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run devenv; a failure that was not asked for shows what was printed."""
        done = subprocess.run(
            [devenv_program(), *arguments],
            cwd=cwd,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            pytest.fail(f"devenv {' '.join(arguments)} exited {done.returncode}\n{done.stdout}{done.stderr}")
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def popen(self, *arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [devenv_program(), *arguments],
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
