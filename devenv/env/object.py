"""The files of the spec object: everything about an environment that anyone needs to enter it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from devenv.env import nix_shell
from devenv.env.launch import Launch, refusal
from devenv.env.launch import dump as dump_launch
from devenv.env.spec import Spec
from devenv.env.steps import dump as dump_steps
from devenv.env.steps import lower, spec_id
from devenv.errors import DevenvError


class RenderError(DevenvError):
    """A shell cannot hold what an environment needs. `devenv.shell.ShellError` is the one that renderers raise."""


class Renderer(Protocol):
    """What is asked of a shell here; `devenv.shell.Shell` says what it means."""

    def quote(self, text: str) -> str: ...
    def activate(self, spec: Spec) -> str: ...
    def deactivate(self, spec: Spec) -> str: ...
    def refuse(self, message: str) -> str: ...
    def files(self, spec: Spec) -> Mapping[str, str]: ...
    def interactive(self) -> Launch: ...
    def command(self) -> Launch: ...


def render_object(spec: Spec, shells: Mapping[str, Renderer]) -> dict[str, tuple[bytes, bool]]:
    """Relative path -> contents and whether executable. The same spec and shells give the same bytes.

    env.json · steps, for entering without a shell · per shell activate.SHELL, deactivate.SHELL, launch.SHELL and
    the files it is started with · root, the recipe of the FHS root if there is one · setup, for nix's shells · bin/ with the scripts ·
    share/ with completions · aliases/ and functions/, which are programs where a shell has none that come and go.
    Where a shell cannot hold a value, its files say so and do nothing else; the other shells are as ever.
    """
    texts = {
        "env.json": spec.to_json(),
        "steps": dump_steps(lower(spec)),
        "id": f"{spec_id(spec)}\n",
    }
    if spec.root is not None:
        texts["root"] = f"{spec.root}\n"
    if "bash" in shells:
        texts["setup"] = nix_shell.setup(spec, shells["bash"].quote)
    for name, shell in shells.items():
        texts.update(_shell_files(spec, name, shell))
    files = {name: (_encode(text), False) for name, text in texts.items()}
    for name, text in spec.scripts.items():
        files[f"bin/{name}"] = (_encode(script(text)), True)
    for place, text in function_programs(spec).items():
        files[place] = (_encode(text), True)
    for place, text in completion_files(spec).items():
        files[place] = (_encode(text), False)
    for name in spec.aliases:
        files[f"aliases/{name}"] = (_encode(alias_program(name, spec)), True)
    return dict(sorted(files.items()))


def _shell_files(spec: Spec, name: str, shell: Renderer) -> dict[str, str]:
    """The files of one shell; those that say what it cannot hold, where that is so."""
    try:
        return {
            f"activate.{name}": shell.activate(spec),
            f"deactivate.{name}": shell.deactivate(spec),
            f"launch.{name}": dump_launch({"interactive": shell.interactive(), "command": shell.command()}),
            **shell.files(spec),
        }
    except RenderError as error:
        message = f"devenv: {name} cannot enter {spec.name}: {error}"
        shown = "".join(letter if " " <= letter <= "~" else "?" for letter in message)
        return {
            f"activate.{name}": shell.refuse(shown),
            f"deactivate.{name}": "",
            f"launch.{name}": refusal(str(error)),
        }


def script(text: str) -> str:
    """A script of the project as a program: it runs in the caller's directory and ends at its first failure.

    The project's directory is in DEVENV_PROJECT, as for everything in the environment.
    """
    return f"#!/bin/sh\nset -e\n{text}" + ("" if text.endswith("\n") else "\n")


def alias_program(name: str, spec: Spec) -> str:
    """An alias as a program, for shells that have no aliases which come and go.

    An alias's first word is never an alias again, so it is looked for outside of this directory.
    """
    first, *rest = (posix_quote(word) for word in spec.aliases[name])
    words = " ".join([*rest, '"$@"'])
    if spec.aliases[name][0] not in spec.aliases:
        return f"#!/bin/sh\nexec {first} {words}\n"
    return (
        f"#!/bin/sh\nfirst={first}\nIFS=:\nset -f\nfor place in $PATH; do\n"
        "    file=${place:-.}/$first\n"
        '    if [ "$place" != "${0%/*}" ] && [ -f "$file" ] && [ -x "$file" ]; then exec "$file" '
        f"{words}; fi\n"
        "done\nprintf '%s: not found\\n' \"$first\" >&2\nexit 127\n"
    )


def completion_files(spec: Spec) -> dict[str, str]:
    """What shells complete the environment's commands by, as packages bring it: words, and files beside them."""
    found = {}
    for name, given in spec.completions.items():
        words = " ".join(given)
        found[f"share/bash-completion/completions/{name}"] = f"complete -o default -W '{words}' -- {name}\n"
        found[f"share/zsh/site-functions/_{name}"] = f"#compdef {name}\ncompadd -- {words}\n_files\n"
        found[f"share/fish/vendor_completions.d/{name}.fish"] = f"complete -c {name} -a '{words}'\n"
    return found


# What runs a program in a shell's language, without the user's own files.
_INTERPRETERS = {"nu": "nu --no-config-file --stdin", "elvish": "elvish -norc", "tcsh": "tcsh -f"}


def function_programs(spec: Spec) -> dict[str, str]:
    """Functions as programs, by their places: for the shells in which none can come and go, in the shell's own language
    or in POSIX shell; and in `functions/sh` for those which can call them but have no body of their own."""
    found = {}
    for name, bodies in spec.functions.items():
        posix = bodies.get("sh")
        if posix is not None:
            found[f"functions/sh/{name}"] = _posix_program(posix)
        for shell, interpreter in _INTERPRETERS.items():
            own = bodies.get(shell)
            if own is not None:
                text = f"def --wrapped main [...args] {{\n{own}\n}}" if shell == "nu" else own
                found[f"functions/{shell}/{name}"] = f"#!/usr/bin/env -S {interpreter}\n{text}\n"
            elif posix is not None:
                found[f"functions/{shell}/{name}"] = _posix_program(posix)
    return found


def _posix_program(body: str) -> str:
    return f'#!/bin/sh\n__devenv_function() {{\n{body}\n}}\n__devenv_function "$@"\n'


def posix_quote(text: str) -> str:
    """A word of POSIX shell text. `devenv.shells.posix` has its own, which zsh reads in any mode."""
    from shlex import quote

    return quote(text)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
