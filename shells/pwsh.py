"""PowerShell, from version 6.2 on. Its code is constant, and reads what to do from the spec object's data.

Tests run it where a machine has a PowerShell, and read it with a grammar of the language everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import spec_id
from devenv.shell import HookSettings, Launch, ShellError, check_variables, prompt_label, template

# The language takes these for single quotes, too. (about_Quoting_Rules, smart quotation marks)
_QUOTES = "'\u2018\u2019\u201a\u201b"


def quote(text: str) -> str:
    """Single quotes, in which only single quotes of any form are special, and doubled (about_Quoting_Rules)."""
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    _check(text)
    return "'" + "".join(letter * 2 if letter in _QUOTES else letter for letter in text) + "'"


def _check(text: str) -> None:
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        raise ShellError("PowerShell cannot hold bytes that are not UTF-8")


def activate(spec: Spec) -> str:
    """Raises ShellError for bytes that are not UTF-8, and for aliases that differ only in case."""
    check_variables(spec, _check)
    _check_aliases(spec)
    return (
        f"# The environment {spec.name}, for PowerShell: `devenv_leave` leaves it again.\n"
        + template("runtime.ps1")
        + template("activate.ps1").replace("ID", quote(spec_id(spec)), 1)
    )


def _check_aliases(spec: Spec) -> None:
    known: dict[str, str] = {}
    for name in sorted(spec.aliases):
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise ShellError(
                f"alias {name}: PowerShell cannot hold it beside {other}, as case does not count"
            )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the PowerShell that reads this file.\n"
        + template("runtime.ps1")
        + f"__devenv_leave {quote(spec_id(spec))}\n"
    )


def refuse(message: str) -> str:
    return f"[Console]::Error.WriteLine({quote(message)})\n"


def files(spec: Spec) -> Mapping[str, str]:
    """PowerShell reads only files of its own suffix."""
    return {
        "activate.ps1": activate(spec),
        "deactivate.ps1": deactivate(spec),
        "enter.ps1": template("enter.ps1").replace("LABEL", quote(prompt_label(spec)), 1),
    }


def interactive() -> Launch:
    return Launch(
        arguments=("-NoLogo", "-NoExit", "-File", "{spec}/enter.ps1"), pure_arguments=("-NoProfile",)
    )


def command() -> Launch:
    line = ". '{spec}/activate.ps1'\n{line}\nif ($null -ne $LASTEXITCODE) { exit $LASTEXITCODE }"
    return Launch(arguments=("-NoLogo", "-NoProfile", "-Command", line))


def hook(settings: HookSettings) -> str:
    """Raises ShellError for a path that is not UTF-8."""
    program = ", ".join(quote(word) for word in settings.program)
    code = template("hook.ps1").replace("TREE", quote(settings.tree), 1).replace("PROGRAM", program, 1)
    return template("runtime.ps1") + code
