"""Runs rendered environments inside real shells and brings back the environment of their children, byte by byte."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from devenv.env.apply import apply
from devenv.env.object import render_object
from devenv.env.spec import Default, Set, Spec
from devenv.env.steps import dump as dump_steps
from devenv.env.steps import lower
from tests.shells.dialects import DIALECTS, RENDERERS, Dialect, can_hold, powershell
from tests.support.programs import program

NAMES = tuple(DIALECTS)
# Those whose sourced files cannot tell where they are.
NEED_PLACE = ("sh", "elvish", "tcsh")
# What a shell changes by itself from one child to the next; ksh93 tells its children about attributes, nushell how long
# the last line took and how it ended.
_OWN = ("_", "SHLVL", "PWD", "OLDPWD", "A__z", "CMD_DURATION_MS", "LAST_EXIT_CODE")
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


def expected(
    shell: str, spec: Spec, environ: Mapping[str, str], *, project: Path, place: Path
) -> dict[str, str]:
    """The same inside a shell: where aliases and functions are programs, their directories are on PATH."""
    found = applied(spec, environ, project=project, place=place)
    for each in ("aliases", f"functions/{shell}") if DIALECTS[shell].programs else ():
        if (place / each).is_dir():
            found["PATH"] = f"{place}/{each}:{found['PATH']}"
    return found


@dataclass
class Script:
    """Lines for one shell; `environments` are the children's environments at its `dump` lines, in order."""

    shell: str
    place: Path
    lines: list[str] = field(default_factory=list)
    dumps: int = 0
    entered: list[Path] = field(default_factory=list)
    configured: bool = False  # whether the shell reads the user's and the machine's files

    def add(self, *lines: str) -> None:
        self.lines += lines

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.shell]

    @property
    def suffix(self) -> str:
        return self.dialect.suffix or self.dialect.renderer

    def source(self, file: str) -> None:
        self.add(self.dialect.source.format(file=self.quote(file)))

    def enter(self, place: Path, project: Path | None = None) -> None:
        if project is not None:
            self.assign("__devenv_project", str(project), exported=not self.dialect.local)
        if self.dialect.renderer in NEED_PLACE:
            self.assign("__devenv_spec", str(place), exported=not self.dialect.local)
        self.source(str(place / f"activate.{self.suffix}"))
        self.entered.append(place)

    def leave(self, place: Path) -> None:
        self.source(str(place / f"deactivate.{self.suffix}"))

    def leave_last(self) -> None:
        if self.dialect.leave:
            self.add(self.dialect.leave)
        else:
            self.leave(self.entered[-1])

    def assign(self, name: str, value: str, *, exported: bool = True) -> None:
        form = self.dialect.assign if exported else self.dialect.local
        self.add(form.format(name=name, value=self.quote(value)))

    def remove(self, name: str) -> None:
        self.add(self.dialect.remove.format(name=name))

    def dump(self) -> None:
        file = self.quote(str(self.place / f"dump-{self.dumps}"))
        self.add(self.dialect.dump.format(env=_ENV, file=file))
        self.dumps += 1

    def quote(self, text: str) -> str:
        return RENDERERS[self.dialect.renderer].quote(text)

    def run(
        self, environ: Mapping[str, str], *, cwd: Path, flags: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        self.place.mkdir(parents=True, exist_ok=True)
        file = self.place / f"script.{self.suffix}"
        file.write_bytes("\n".join([*self.lines, ""]).encode("utf-8", "surrogateescape"))
        return subprocess.run(
            [program(self.shell), *([] if self.configured else self.dialect.plain), *flags, str(file)],
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
    # What a PowerShell adds by itself.
    if found.pop("PSModulePath", None) is not None:
        found["PATH"] = found["PATH"].replace(f"{powershell()[0]}:", "", 1)
    return found


def held(shell: str, layers: Sequence[Spec], environ: Mapping[str, str]) -> tuple[list[Spec], dict[str, str]]:
    """The same, with another value for every empty one where the shell has no empty variables."""
    if can_hold(shell, ""):
        return list(layers), dict(environ)
    return [_filled(spec) for spec in layers], {name: value or "y" for name, value in environ.items()}


def _filled(spec: Spec) -> Spec:
    variables = {
        name: tuple(
            replace(each, value=each.value or "y") if isinstance(each, (Set, Default)) else each
            for each in found
        )
        for name, found in spec.variables.items()
    }
    return replace(spec, variables=variables)


def base_environ(home: Path, **more: str) -> dict[str, str]:
    """A small environment for a shell to start in. fish sets the user's name whatever it was."""
    name = pwd.getpwuid(os.getuid()).pw_name
    user = {"HOME": str(home), "USER": name, "LOGNAME": name}
    return {**user, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}
