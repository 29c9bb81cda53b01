"""nushell, from version 0.103 on. Its code is constant, and reads what to do from the spec object's data."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import spec_id
from devenv.shell import HookSettings, Launch, ShellError, check_variables, prompt_label, template

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    """A double-quoted string, which is not expanded; nushell's strings are Unicode (nushell book, Working with strings)."""
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    _check(text)
    letters = (
        _NAMED.get(letter) or (letter if " " <= letter != "\x7f" else f"\\u{{{ord(letter):x}}}")
        for letter in text
    )
    return '"' + "".join(letters) + '"'


def _check(text: str) -> None:
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        raise ShellError("nushell cannot hold bytes that are not UTF-8")


def activate(spec: Spec) -> str:
    """Raises ShellError for bytes that are not UTF-8, too."""
    check_variables(spec, _check)
    return (
        f"# The environment {spec.name}, for nushell to source: `devenv_leave` leaves it again.\n"
        + template("runtime.nu")
        + template("activate.nu").replace("ID", quote(spec_id(spec)), 1)
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the nushell that sources this file.\n"
        + template("runtime.nu")
        + f"__devenv_change {quote(spec_id(spec))} null []\n"
    )


def refuse(message: str) -> str:
    return f"print --stderr {quote(message)}\n"


def files(spec: Spec) -> Mapping[str, str]:
    label = prompt_label(spec)
    return {"enter.nu": template("enter.nu").replace("LABEL", quote(label), 1), "label": label}


def interactive() -> Launch:
    return Launch(
        arguments=("--execute", "source r#'{spec}/enter.nu'#"),
        pure_arguments=("--no-config-file",),
        files=("~config/nushell/env.nu", "~config/nushell/config.nu", "~config/nushell/autoload"),
    )


def command() -> Launch:
    return Launch(arguments=("--no-config-file", "-c", "source r#'{spec}/activate.nu'#\n{line}"))


def hook(settings: HookSettings) -> str:
    """nushell reads code only from files, before it runs any of it: the text is for a file that config.nu sources.

    Raises ShellError for a path that is not UTF-8.
    """
    program = " ".join(quote(word) for word in settings.program)
    code = template("hook.nu").replace("TREE", quote(settings.tree), 1).replace("PROGRAM", f"[{program}]", 1)
    return template("runtime.nu") + code
