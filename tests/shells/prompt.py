"""A real shell with the hook at a terminal, and a stand-in for the program that the hook starts when it must."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect

from devenv.env.spec import Operation, Set, Spec
from devenv.hook_index import Entry, Kind, write_entry
from devenv.shell import HookSettings
from devenv.shells import bash, elvish, fish, nu, pwsh, sh, tcsh, xonsh, zsh
from tests.shells.dialects import DIALECTS, renderer
from tests.shells.harness import base_environ, read_dump, write_object
from tests.support.programs import program

HOOKS = {
    "bash": bash.hook,
    "zsh": zsh.hook,
    "fish": fish.hook,
    "ksh93": sh.hook,
    "mksh": sh.hook,
    "dash": sh.hook,
    "ash": sh.hook,
    "xonsh": xonsh.hook,
    "nu": nu.hook,
    "elvish": elvish.hook,
    "tcsh": tcsh.hook,
    **({"pwsh": pwsh.hook} if "pwsh" in DIALECTS else {}),
}
# Those that have nothing that runs before a prompt.
ONLY_CD = ("dash", "ash", "mksh")
NAMES = tuple(name for name in HOOKS if name not in ONLY_CD)
_RC = {
    "bash": ".bashrc",
    "zsh": ".zshrc",
    "fish": ".config/fish/config.fish",
    "xonsh": ".config/xonsh/rc.xsh",
    "nu": ".config/nushell/config.nu",
    "elvish": ".config/elvish/rc.elv",
    "tcsh": ".tcshrc",
    "pwsh": ".config/powershell/profile.ps1",
}

# fish's own prompt and title start programs.
_PLAIN = {
    "xonsh": "$PROMPT = 'READY> '\n",
    "nu": "$env.config.show_banner = false\n$env.PROMPT_COMMAND = ''\n$env.PROMPT_COMMAND_RIGHT = ''\n",
    "elvish": "set edit:rprompt = { }\n",
    "pwsh": "function prompt { '$ ' }\n",
    "fish": "function fish_prompt; echo -n '$ '; end\nfunction fish_title; end\nset -g fish_greeting\n",
}


# What shows a mark in two parts.
_MARKS = {
    "xonsh": "print('MARK{}' 'DONE')",
    "elvish": "echo MARK{}''DONE",
    "tcsh": "echo MARK{}''DONE",
    "mksh": "echo MARK{}''DONE",  # its printf is a program
    "pwsh": "'MARK{}' + 'DONE'",
}
# A line that does nothing, and starts nothing either.
_NOTHING = {"xonsh": "", "elvish": "nop", "tcsh": ":", "pwsh": "$null"}
# Shells that drop what was typed before they prompt.
_FORGETFUL = ("xonsh",)
# Shells whose line editor says where a prompt ends and an output begins; to them a newline is part of a line.
_TELLING = ("nu",)
_READY = "READY> "


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
        load: str | None = None,
        wrap_cd: bool = False,
        trace: Path | None = None,
        command: Sequence[str] | None = None,
        **environ: str,
    ) -> None:
        self.shell, self.machine = shell, machine
        self.count = 0
        settings = HookSettings(program=(str(machine.program),), tree=str(machine.tree), wrap_cd=wrap_cd)
        file = machine.home / f"hook.{DIALECTS[shell].suffix or shell}"
        file.write_text(HOOKS[shell](settings))
        rc = machine.home / _RC.get(shell, ".shrc")
        dialect = DIALECTS[shell]
        if dialect.renderer == "sh":
            environ["ENV"] = str(rc)
        if load is None:
            load = dialect.source.format(file=renderer(shell).quote(str(file)))
        rc.parent.mkdir(parents=True, exist_ok=True)
        text = f"{_PLAIN.get(shell, '')}{before}\n{load}\n{after}\n"
        if not rc.exists() or rc.read_text() != text:
            rc.write_text(text)
        command = list(command or [program(shell), *(() if shell == "elvish" else ("-i",))])
        if trace is not None:
            calls = "trace=fork,vfork,clone,clone3,execve,execveat"
            command = [
                program("strace"),
                "-f",
                "--seccomp-bpf",
                "-q",
                "-o",
                str(trace),
                "-e",
                calls,
                *command,
            ]
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
        # What is typed waits in the terminal until the shell reads it.
        self.child.delaybeforesend = None
        self.run("true")

    def run(self, line: str) -> str:
        """Send a line and wait until the shell has run it and prompts again; what was shown until then."""
        self.count += 1
        if self.shell in _TELLING:
            return "".join(self._told(part) for part in line.split("\n"))
        # The mark is assembled by the shell, so that the echo of what was typed does not match it.
        shown = ""
        if self.shell in _FORGETFUL:
            for part in line.split("\n"):
                self.child.expect_exact(_READY)
                shown += str(self.child.before)
                self.child.sendline(part)
            self.child.expect_exact(_READY)
            line, shown = "", shown + str(self.child.before)
        mark = _MARKS.get(self.shell, "printf '%s%s\\n' MARK{} DONE").format(self.count)
        self.child.sendline(f"{line}\n{mark}".lstrip("\n"))
        return shown + self._until(f"MARK{self.count}DONE")

    def prompts(self, count: int) -> None:
        """So many prompts, at which nothing is said; changes of directory where nothing runs before a prompt."""
        if self.shell == "tcsh":  # it drops some of what is typed before it prompts
            for _ in range(count // 2):
                self.run(":")
        else:
            line = "cd .\n" if self.shell in ONLY_CD else "\r" if self.shell in _TELLING else "\n"
            self.child.send(line * count)
            self.run(_NOTHING.get(self.shell, "true"))

    def _told(self, line: str) -> str:
        """The same where the shell marks what it shows by escape sequences (OSC 133)."""
        if self.count == 1:
            self._until("\x1b]133;B")
        self.child.send(line + "\r")
        self._until("\x1b]133;C")
        return self._until("\x1b]133;D") + self._until("\x1b]133;B")

    def _until(self, text: str) -> str:
        shown = ""
        # nushell and PowerShell ask the terminal where its cursor is.
        while self.child.expect_exact([text, "\x1b[6n"]):
            shown += str(self.child.before)
            self.child.send("\x1b[1;1R")
        return shown + str(self.child.before)

    def environ(self) -> dict[str, str]:
        """The environment of a child of the shell."""
        file = self.machine.root / f"environ-{self.count}"
        self.run(
            DIALECTS[self.shell].dump.format(env="/usr/bin/env", file=renderer(self.shell).quote(str(file)))
        )
        return read_dump(file)

    def variable(self, name: str) -> str | None:
        return self.environ().get(name)

    def close(self) -> None:
        """At once: shells that are asked take their time, and have nothing of ours to save."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close(force=True)
