"""What tests write in each shell's own language."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass

from devenv.env.object import Renderer
from devenv.shell import ShellError
from devenv.shells import bash, elvish, fish, nu, pwsh, sh, tcsh, xonsh, zsh
from tests.support.programs import program

RENDERERS: dict[str, Renderer] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
    "sh": sh,
    "xonsh": xonsh,
    "nu": nu,
    "elvish": elvish,
    "tcsh": tcsh,
    "pwsh": pwsh,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`{name}` and `{value}` stand for a variable and a quoted text, `{file}` for a quoted path.

    renderer: whose code the program reads
    suffix: what its files are named by, where that is not the renderer
    word: how a quoted text stands in a command
    plain: arguments without which the program would read the user's files
    local: how a variable of the shell alone is given a value; "" where all are exported
    """

    renderer: str
    suffix: str = ""
    word: str = "{}"
    plain: tuple[str, ...] = ()
    source: str = ". {file}"
    assign: str = "export {name}={value}"
    local: str = "{name}={value}"
    remove: str = "unset {name}"
    dump: str = "{env} -0 >| {file}"
    # Empty where only the environment's own file leaves it.
    leave: str = "devenv_leave"
    programs: bool = False  # aliases are programs here


_POSIX = Dialect(renderer="sh")
DIALECTS: dict[str, Dialect] = {
    "bash": Dialect(renderer="bash", plain=("--norc", "--noprofile"), source="source {file}"),
    "zsh": Dialect(renderer="zsh", plain=("-f",), source="source {file}"),
    "fish": Dialect(
        renderer="fish",
        plain=("--no-config",),
        source="source {file}",
        assign="set -gx {name} {value}",
        local="set -gu {name} {value}",
        remove="set -e {name}",
        dump="{env} -0 > {file}",
    ),
    "dash": _POSIX,
    "ash": _POSIX,
    "ksh93": _POSIX,
    "mksh": _POSIX,
    "xonsh": Dialect(
        renderer="xonsh",
        suffix="xsh",
        word="@({})",
        plain=("--no-rc",),
        source="source @({file})",
        assign="${name} = {value}",
        local="",
        remove="del ${name}",
        dump="{env} -0 > @({file})",
    ),
    "nu": Dialect(
        renderer="nu",
        plain=("--no-config-file",),
        source="source {file}",
        assign="$env.{name} = {value}",
        local="",
        remove="hide-env {name}",
        dump="^{env} -0 o> {file}",
        programs=True,
    ),
    "tcsh": Dialect(
        renderer="tcsh",
        plain=("-f",),
        source="source {file}",
        assign="setenv {name} {value}",
        local="",
        remove="unsetenv {name}",
        dump="{env} -0 >! {file}",
        programs=True,
    ),
    "elvish": Dialect(
        renderer="elvish",
        plain=("-norc",),
        source="eval (slurp < {file})",
        assign="set-env {name} {value}",
        local="",
        remove="unset-env {name}",
        dump="{env} -0 > {file}",
        leave="",
        programs=True,
    ),
}
# No registry has it, so it is tried wherever a machine brings its own.
if shutil.which("pwsh"):
    DIALECTS["pwsh"] = Dialect(
        renderer="pwsh",
        suffix="ps1",
        plain=("-NoProfile", "-File"),
        assign="[Environment]::SetEnvironmentVariable('{name}', {value})",
        local="",
        remove="Remove-Item -LiteralPath 'Env:{name}' -ErrorAction Ignore",
        dump="/bin/sh -c '{env} -0 > $0' {file}",
    )


def renderer(shell: str) -> Renderer:
    """Whose code this program reads."""
    return RENDERERS[DIALECTS[shell].renderer]


@functools.cache
def powershell() -> tuple[str, tuple[int, int]]:
    """The directory that this machine's PowerShell puts on its PATH by itself, and its version."""
    question = "$PSHOME; $PSVersionTable.PSVersion.Major; $PSVersionTable.PSVersion.Minor"
    words = [program("pwsh"), "-NoProfile", "-Command", question]
    home, major, minor = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")[
        :3
    ]
    return home, (int(major), int(minor))


def can_hold(shell: str, text: str) -> bool:
    """Whether the shell has a word for this text; where not, it says so."""
    if shell == "pwsh" and not text and powershell()[1] < (7, 5):
        return False  # what it says where a variable is to be empty has a test of its own
    try:
        renderer(shell).quote(text)
    except ShellError as error:
        assert "cannot hold" in str(error)
        return False
    return True


def command_word(shell: str, text: str) -> str:
    """The text as a word of a command."""
    return DIALECTS[shell].word.format(renderer(shell).quote(text))
