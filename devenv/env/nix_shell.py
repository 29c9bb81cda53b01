"""Nix's own shells on our environments: the file `setup` of the spec object, and the shell derivation.

`nix develop`, `nix print-dev-env` and `nix-shell` all source `$stdenv/setup` in bash when the derivation's
environment has `stdenv`; nix develop and print-dev-env do so in a builder, record what variables and functions
are there then, and define these in the user's shell. (Nix 2.8: get-env.sh, nix-build.cc.)

What follows from that for `setup`:
- PATH is set outright: in a builder it is a placeholder, and both commands append the user's own by themselves.
- What is exported here is exported there, and only that; functions must not be exported to be recorded.
- A function must not be named as a builtin, for Nix's scripts use these. Such aliases are left out.
- In a builder the user's variables do not exist. A default or an unset cannot depend on them, and lists other
  than PATH and XDG_DATA_DIRS replace the user's in nix develop. Entering with devenv has none of these limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from devenv.env.spec import PROJECT_VARIABLE, Spec
from devenv.env.steps import Place, Step, Text, lower

BASE_PATH = "/usr/bin:/bin"  # where an environment adds nothing; not to set PATH leaves the placeholder in it

Quote = Callable[[str], str]

# Bash Reference Manual, "Shell Builtin Commands"; those that could be the name of an alias.
_BUILTINS = frozenset(
    (
        *(
            "alias",
            "bg",
            "bind",
            "break",
            "builtin",
            "caller",
            "cd",
            "command",
            "compgen",
            "complete",
            "compopt",
        ),
        *(
            "continue",
            "declare",
            "dirs",
            "disown",
            "echo",
            "enable",
            "eval",
            "exec",
            "exit",
            "export",
            "false",
        ),
        *(
            "fc",
            "fg",
            "getopts",
            "hash",
            "help",
            "history",
            "jobs",
            "kill",
            "let",
            "local",
            "logout",
            "mapfile",
        ),
        *(
            "popd",
            "printf",
            "pushd",
            "pwd",
            "read",
            "readarray",
            "readonly",
            "return",
            "set",
            "shift",
            "shopt",
        ),
        *(
            "source",
            "suspend",
            "test",
            "times",
            "trap",
            "true",
            "type",
            "typeset",
            "ulimit",
            "umask",
            "unalias",
        ),
        *("unset", "wait"),
    )
)

# Nix's commands say where the spec object is, the derivation's environment where the project.
_PLACES = {"__devenv_project": '"$DEVENV_PROJECT"', "__devenv_spec": '"$stdenv"'}


def setup(spec: Spec, quote: Quote) -> str:
    """The text of `setup`, for bash; `quote` is bash's."""
    lines = [
        f"# The environment {spec.name}, for nix develop, nix print-dev-env and nix-shell.",
        f"export {PROJECT_VARIABLE}",
    ]
    path: Text = ()
    for step in lower(spec):
        if step.name == "PATH":
            path = _extended(path, step)
        elif step.name != PROJECT_VARIABLE:
            lines.extend(_lines(step, quote))
    lines.append(f"export PATH={_word(path or (BASE_PATH,), quote)}")
    for name, words in sorted(spec.aliases.items()):
        if name in _BUILTINS:
            continue
        command = " ".join(quote(word) for word in words)
        # A function, for aliases are not recorded; `command` keeps it from calling another one, or itself.
        outside = "command " if words[0] in spec.aliases else ""
        lines.append(f'function {name} {{ {outside}{command} "$@"; }}')
    for name, bodies in sorted(spec.functions.items()):
        body = bodies.get("bash", bodies.get("sh"))
        if body is not None and name not in _BUILTINS:
            lines.append(
                f"function {name} {{ eval {quote(body)}; }}"
            )  # it cannot end the function before its end
    return "\n".join(lines) + "\n"


def _extended(path: Text, step: Step) -> Text:
    """PATH, as far as it is known, with the step done to it."""
    if step.kind == "prepend":
        return (*step.value, ":", *path) if path else step.value
    if step.kind == "append":
        return (*path, ":", *step.value) if path else step.value
    return step.value if step.kind == "set" else path


def _lines(step: Step, quote: Quote) -> Iterator[str]:
    name, value, separator = step.name, _word(step.value, quote), quote(step.separator)
    if step.kind == "set":
        yield f"export {name}={value}"
    elif step.kind == "unset":
        yield f"unset -v {name}"
    elif step.kind == "default":
        yield f'if [ -z "${{{name}+x}}" ]; then export {name}={value}; fi'
    else:
        old = f'"${name}"'
        extended = (value, separator, old) if step.kind == "prepend" else (old, separator, value)
        yield f'if [ -n "${{{name}-}}" ]; then export {name}={"".join(extended)}; else export {name}={value}; fi'


def _word(text: Text, quote: Quote) -> str:
    if not text:
        return quote("")
    return "".join(_PLACES[piece.variable] if isinstance(piece, Place) else quote(piece) for piece in text)
