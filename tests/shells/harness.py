"""Runs rendered environments inside real shells and brings back the environment of their children, byte by byte."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devenv.env.apply import apply
from devenv.env.object import Renderer, render_object
from devenv.env.spec import Spec
from devenv.env.steps import dump as dump_steps
from devenv.env.steps import lower
from devenv.shells import bash, fish, zsh
from tests.support.programs import program

RENDERERS: dict[str, Renderer] = {"bash": bash, "zsh": zsh, "fish": fish}
NAMES = tuple(RENDERERS)
_PLAIN = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}
# What a shell changes by itself from one child to the next.
_OWN = ("_", "SHLVL", "PWD", "OLDPWD")
_ENV = shutil.which("env") or "/usr/bin/env"


def write_object(spec: Spec, place: Path) -> Path:
    """The spec object as a directory, as the store would hold it."""
    for name, (contents, executable) in render_object(spec, RENDERERS).items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents)
        file.chmod(0o555 if executable else 0o444)
    return place


def applied(spec: Spec, environ: Mapping[str, str], *, project: Path, place: Path) -> dict[str, str]:
    """The environment with the spec entered, as it is without any shell."""
    return apply(dump_steps(lower(spec)), environ, project=str(project), spec=str(place))


@dataclass
class Script:
    """Lines for one shell; `environments` are the children's environments at its `dump` lines, in order."""

    shell: str
    place: Path
    lines: list[str] = field(default_factory=list)
    dumps: int = 0
    configured: bool = False  # whether the shell reads the user's and the machine's files

    def add(self, *lines: str) -> None:
        self.lines += lines

    def enter(self, place: Path, project: Path | None = None) -> None:
        if project is not None:
            self.assign("__devenv_project", str(project), exported=False)
        self.add(f"source {self.quote(str(place / f'activate.{self.shell}'))}")

    def leave(self, place: Path) -> None:
        self.add(f"source {self.quote(str(place / f'deactivate.{self.shell}'))}")

    def assign(self, name: str, value: str, *, exported: bool = True) -> None:
        if self.shell == "fish":
            self.add(f"set -g{'x' if exported else 'u'} {name} {self.quote(value)}")
        else:
            self.add(f"{'export ' if exported else ''}{name}={self.quote(value)}")

    def remove(self, name: str) -> None:
        self.add(f"set -e {name}" if self.shell == "fish" else f"unset {name}")

    def dump(self) -> None:
        clobber = ">" if self.shell == "fish" else ">|"
        self.add(f"{_ENV} -0 {clobber} {self.quote(str(self.place / f'dump-{self.dumps}'))}")
        self.dumps += 1

    def quote(self, text: str) -> str:
        return RENDERERS[self.shell].quote(text)

    def run(
        self, environ: Mapping[str, str], *, cwd: Path, flags: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        self.place.mkdir(parents=True, exist_ok=True)
        file = self.place / f"script.{self.shell}"
        file.write_bytes("\n".join([*self.lines, ""]).encode("utf-8", "surrogateescape"))
        return subprocess.run(
            [program(self.shell), *([] if self.configured else _PLAIN[self.shell]), *flags, str(file)],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )

    def environments(
        self, environ: Mapping[str, str], *, cwd: Path, flags: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """Run the script, which must succeed in silence, and read what it dumped."""
        done = self.run(environ, cwd=cwd, flags=flags)
        assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
        return [read_dump(self.place / f"dump-{index}") for index in range(self.dumps)]


def read_dump(file: Path) -> dict[str, str]:
    found = {}
    for entry in file.read_bytes().split(b"\0")[:-1]:
        name, _, value = os.fsdecode(entry).partition("=")
        if name not in _OWN:
            found[name] = value
    return found


def base_environ(home: Path, **more: str) -> dict[str, str]:
    """A small environment for a shell to start in. fish sets the user's name whatever it was."""
    name = pwd.getpwuid(os.getuid()).pw_name
    user = {"HOME": str(home), "USER": name, "LOGNAME": name}
    return {**user, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}
