"""xonsh, from version 0.16 on. Its code is Python, and reads what to do from the spec object's data."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import spec_id
from devenv.shell import HookSettings, Launch, ShellError, prompt_label, template

# One name, removed at once: a sourced file shares the user's variables.
_RUN_LINE = (
    '__devenv_done = __import__("runpy").run_path($__devenv_spec + "/line.py"); del __devenv_done\n{line}'
)


def quote(text: str) -> str:
    """A string of Python's, in ASCII. In a command it stands as `@(...)`."""
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    return ascii(text)


def activate(spec: Spec) -> str:
    comment = f"# The environment {spec.name}, for xonsh to source: `devenv_leave` leaves it again.\n"
    return comment + _source(spec, "enter")


def deactivate(spec: Spec) -> str:
    comment = f"# Leaves the environment {spec.name} in the xonsh that sources this file.\n"
    return comment + _source(spec, "leave")


def _source(spec: Spec, action: str) -> str:
    given = {"ID": spec_id(spec), "ACTION": action, "PROJECT": "", "LABEL": ""}
    return (
        '__devenv_done = (lambda os, file: __import__("runpy").run_path(os.path.join(os.path.dirname('
        f'os.path.realpath(file)), "runtime.xonsh"), {{**{given!r}, "FILE": os.path.abspath(file)}}))'
        '(__import__("os"), __file__)\ndel __devenv_done\n'
    )


def refuse(message: str) -> str:
    return f"print({quote(message)}, file=__import__('sys').stderr)\n"


def files(spec: Spec) -> Mapping[str, str]:
    """`source` wants files of xonsh's own suffix."""
    settings = f"ID = {spec_id(spec)!r}\nLABEL = {quote(prompt_label(spec))}\n"
    return {
        "activate.xsh": activate(spec),
        "deactivate.xsh": deactivate(spec),
        "runtime.xonsh": template("runtime.xonsh"),
        "enter.xsh": settings + template("enter.xsh"),
        "line.py": settings + template("line.xonsh"),
        "label": prompt_label(spec),
    }


def interactive() -> Launch:
    return Launch(
        arguments=("-i",),
        keep=("XONSHRC",),
        environment={"XONSHRC": "{spec}/enter.xsh"},
        plain_arguments=("-i",),
        files=("/etc/xonsh/xonshrc", "~config/xonsh/rc.xsh", "~config/xonsh/rc.d", "~/.xonshrc"),
    )


def command() -> Launch:
    return Launch(arguments=("--no-rc", "-c", _RUN_LINE))


def hook(settings: HookSettings) -> str:
    given = ascii((settings.tree, list(settings.program)))
    return template("hook.xonsh").replace("SETTINGS", given, 1)
