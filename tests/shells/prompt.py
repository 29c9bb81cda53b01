"""A real shell with the hook at a terminal, and a stand-in for the program that the hook starts when it must."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect

from devenv.env.spec import Operation, Set, Spec
from devenv.hook_index import Entry, Kind, write_entry
from devenv.shell import HookSettings
from devenv.shells import bash, fish, zsh
from tests.shells.harness import base_environ, read_dump, write_object
from tests.support.programs import program

HOOKS = {"bash": bash.hook, "zsh": zsh.hook, "fish": fish.hook}
NAMES = tuple(HOOKS)
_RC = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}

# fish's own prompt and title start programs.
_PLAIN = {"fish": "function fish_prompt; echo -n '$ '; end\nfunction fish_title; end\nset -g fish_greeting\n"}


class Machine:
    """A home with an index, projects and environments, and what the hook asked to be refreshed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.store = root / "home", root / "store"
        self.tree = self.home / ".local/state/devenv/hook"
        self.log = root / "asked"
        self.program = root / "the devenv"
        self.home.mkdir(parents=True)
        self.program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{self.log}'\n")
        self.program.chmod(0o755)

    def project(self, name: str, **variables: str) -> Path:
        """A project whose environment sets the variables, known to the index and up to date."""
        place = self.root / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "devenv.toml").write_text("# a project\n")
        self.know(place, variables)
        return place

    def know(
        self,
        place: Path,
        variables: Mapping[str, str] | None = None,
        *,
        say: str = "",
        news: str = "",
        watched: Sequence[tuple[Kind, Path]] = (),
        operations: Mapping[str, tuple[Operation, ...]] | None = None,
        **more: str,
    ) -> Path:
        """Write a new version of the project's entry; gives the environment's directory."""
        sets = {
            name: (Set(value=value, origin="a test"),)
            for name, value in {**(variables or {}), **more}.items()
        }
        spec = Spec(name="demo", variables={**sets, **(operations or {})})
        environment = write_object(spec, self.store / f"{time.time_ns()}-env-spec")
        files = [*watched, ("watch", place / "devenv.toml")]
        entry = Entry(
            project=str(place.resolve()),
            state="ready",
            spec=str(environment),
            say=say,
            news=news,
            watched=tuple((kind, str(path)) for kind, path in files),
        )
        write_entry(str(self.tree), entry, mtimes([path for _, path in files]))
        return environment

    def asked(self, wanted: int = 1, seconds: float = 5) -> list[str]:
        """The refreshes that were asked for; waits until there are `wanted`, and a moment for those too many."""
        deadline = time.monotonic() + seconds
        while len(self._lines()) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        return self._lines()

    def _lines(self) -> list[str]:
        if not self.log.exists():
            return []
        return self.log.read_text(errors="surrogateescape").split("\n")[:-1]


def mtimes(paths: Sequence[Path]) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in paths if path.exists()}


class Prompt:
    """An interactive shell. Lines are sent one at a time, each ended by a mark of our own."""

    def __init__(
        self,
        shell: str,
        machine: Machine,
        *,
        before: str = "",
        after: str = "",
        wrap_cd: bool = False,
        trace: Path | None = None,
        **environ: str,
    ) -> None:
        self.shell, self.machine = shell, machine
        self.count = 0
        settings = HookSettings(program=(str(machine.program),), tree=str(machine.tree), wrap_cd=wrap_cd)
        file = machine.home / f"hook.{shell}"
        file.write_text(HOOKS[shell](settings))
        rc = machine.home / _RC[shell]
        rc.parent.mkdir(parents=True, exist_ok=True)
        rc.write_text(f"{_PLAIN.get(shell, '')}{before}\nsource {file}\n{after}\n")
        command = [program(shell), "-i"]
        if trace is not None:
            calls = "trace=fork,vfork,clone,clone3,execve,execveat"
            command = [program("strace"), "-f", "-q", "-o", str(trace), "-e", calls, *command]
        self.child = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(machine.root),
            env={**base_environ(machine.home), "PS1": "$ ", **environ},
            encoding="utf-8",
            codec_errors="surrogateescape",
            timeout=30,
            dimensions=(50, 300),
        )
        self.run("true")

    def run(self, line: str) -> str:
        """Send a line and wait until the shell has run it and prompts again; what was shown until then."""
        self.count += 1
        # The mark is assembled by the shell, so that the echo of what was typed does not match it.
        self.child.sendline(f"{line}\nprintf '%s%s\\n' MARK{self.count} DONE")
        self.child.expect_exact(f"MARK{self.count}DONE")
        return str(self.child.before)

    def environ(self) -> dict[str, str]:
        """The environment of a child of the shell."""
        file = self.machine.root / f"environ-{self.count}"
        self.run(f"/usr/bin/env -0 > {file}")
        return read_dump(file)

    def variable(self, name: str) -> str | None:
        return self.environ().get(name)

    def close(self) -> None:
        self.child.close(force=True)
