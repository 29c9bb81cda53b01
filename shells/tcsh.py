"""tcsh, from version 6.20 on. It cannot cut strings, so what is to be done is worked out by awk, from the object's data."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import lower, spec_id
from devenv.shell import HookSettings, Launch, ShellError, template, template_directory
from devenv.shells import posix


def quote(text: str) -> str:
    """Single quotes, in which a newline and the history character need a backslash (tcsh(1), Lexical structure)."""
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    _check(text)
    return "'" + text.replace("'", "'\\''").replace("!", "\\!").replace("\n", "\\\n") + "'"


def _check(text: str) -> None:
    if "\\\n" in text:
        raise ShellError("tcsh cannot hold a backslash before a newline")


def activate(spec: Spec) -> str:
    """Raises ShellError for a backslash before a newline, too."""
    for step in lower(spec):
        for piece in (step.separator, *step.value):
            try:
                _check(piece if isinstance(piece, str) else "")
            except ShellError as error:
                raise ShellError(f"variable {step.name}: {error}") from error
    return (
        f"# The environment {spec.name}, for tcsh to source: `devenv_leave` leaves it again.\n"
        f"set __devenv_action = enter __devenv_id = {spec_id(spec)}\n" + template("change.tcsh")
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the tcsh that sources this file.\n"
        f"set __devenv_action = leave __devenv_id = {spec_id(spec)}\n" + template("change.tcsh")
    )


def refuse(message: str) -> str:
    return f"echo {quote(message)}\n"


def files(spec: Spec) -> Mapping[str, str]:
    return {
        "change.tcsh": template("change.tcsh"),
        "tcsh.sh": template("tcsh.sh"),
        "tcsh.awk": template("tcsh.awk"),
        "high.tcsh": _high_bytes(),
        "tcsh/.tcshrc": template("enter.tcsh"),
    }


def _high_bytes() -> str:
    """Code that makes a list of all bytes above ASCII, in their order."""
    words = " ".join(f"'{chr(0xDC00 + byte)}'" for byte in range(0x80, 0x100))
    return f"set __devenv_high = ({words})\n"


def interactive() -> Launch:
    return Launch(
        arguments=("-i",),
        keep=("HOME",),
        environment={"HOME": "{spec}/tcsh"},
        plain_arguments=("-i",),
        files=("/etc/csh.cshrc", "~/.tcshrc", "~/.cshrc"),
    )


def command() -> Launch:
    return Launch(
        arguments=("-f", "-c", 'source "$__devenv_spec/activate.tcsh"\n{line}'),
    )


def hook(settings: HookSettings) -> str:
    """One line, as `eval` joins lines; what it reads are files of devenv's own, as an alias cannot hold a program.

    Raises ShellError for a path that tcsh cannot hold.
    """
    program = " ".join(posix.quote(word) for word in settings.program)
    given = {"tree": settings.tree, "program": program, "directory": template_directory()}
    for text in given.values():
        if "\n" in text:
            raise ShellError("tcsh cannot hold a newline in the text of its hook")
    sets = "".join(f"set __devenv_hook_{name} = {quote(text)};" for name, text in given.items())
    return sets + 'source "$__devenv_hook_directory:q/hook.tcsh"\n'
