"""elvish, from version 0.18 on. Its code is constant, and reads what to do from the spec object's data."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import spec_id
from devenv.shell import HookSettings, Launch, ShellError, prompt_label, template


def quote(text: str) -> str:
    """Single quotes, in which only the single quote is special and doubled (elvish: language, string)."""
    if "\0" in text:
        raise ShellError("elvish cannot hold the NUL character in a variable")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _double(text)
    return "'" + text.replace("'", "''") + "'"


def _double(text: str) -> str:
    """Code must be UTF-8, so other bytes stand as escapes, between double quotes."""
    found = []
    for byte in text.encode("utf-8", "surrogateescape"):
        plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
        found.append(chr(byte) if plain else f"\\x{byte:02x}")
    return '"' + "".join(found) + '"'


def activate(spec: Spec) -> str:
    return (
        # The first line is what tells that a file is this one.
        f"# {spec_id(spec)} The environment {spec.name}: eval (slurp < activate.elvish)\n"
        + template("runtime.elvish")
        + template("activate.elvish")
        + f"__devenv_main {quote(spec_id(spec))}\n"
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name}: eval (slurp < deactivate.elvish)\n"
        + template("runtime.elvish")
        + f"__devenv_leave {quote(spec_id(spec))}\n"
    )


def refuse(message: str) -> str:
    return f"echo {quote(message)} >&2\n"


def files(spec: Spec) -> Mapping[str, str]:
    label = prompt_label(spec)
    return {"enter.elvish": template("enter.elvish").replace("LABEL", quote(label), 1), "label": label}


def interactive() -> Launch:
    return Launch(
        arguments=("-rc", "{spec}/enter.elvish"), files=("~config/elvish/rc.elv", "~/.elvish/rc.elv")
    )


def command() -> Launch:
    return Launch(arguments=("-norc", "-c", "eval (slurp < $E:__devenv_spec/activate.elvish)\n{line}"))


def hook(settings: HookSettings) -> str:
    program = " ".join(quote(word) for word in settings.program)
    code = template("hook.elvish").replace("TREE", quote(settings.tree)).replace("PROGRAM", program, 1)
    return template("runtime.elvish") + code
