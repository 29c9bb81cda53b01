"""What tests write in each shell's own language."""

from __future__ import annotations

from dataclasses import dataclass

from devenv.env.object import Renderer
from devenv.shells import bash, fish, sh, zsh

RENDERERS: dict[str, Renderer] = {"bash": bash, "zsh": zsh, "fish": fish, "sh": sh}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`{name}` and `{value}` stand for a variable and a quoted text, `{file}` for a quoted path.

    renderer: whose code the program reads, as files named by it
    plain: arguments without which the program would read the user's files
    local: how a variable of the shell alone is given a value; "" where all are exported
    """

    renderer: str
    plain: tuple[str, ...] = ()
    source: str = ". {file}"
    assign: str = "export {name}={value}"
    local: str = "{name}={value}"
    remove: str = "unset {name}"
    dump: str = "{env} -0 >| {file}"
    leave: str = "devenv_leave"


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
}


def renderer(shell: str) -> Renderer:
    """Whose code this program reads."""
    return RENDERERS[DIALECTS[shell].renderer]
