"""What an environment sets: variables, aliases, functions, scripts, and the parameters of all these."""

from __future__ import annotations

import re

from devenv.config.fields.texts import ENTRY, TEXT_OR_NUMBER, VALUE, VARIABLE, refuse_nul, refuse_script
from devenv.config.reserved import COMMANDS, NEEDED, is_needed, reserved_pattern, why_reserved
from devenv.config.shapes import (
    Array,
    Either,
    Exactly,
    Field,
    Names,
    Refused,
    Table,
    Text,
    Whole,
    quoted,
)
from devenv.env.spec import FUNCTION_SHELLS

COMMAND = "[A-Za-z0-9_][A-Za-z0-9_.+-]*"
SHELL_OPERATORS = ("|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1")


def _refuse_variable(name: str) -> None:
    reason = why_reserved(name)
    if reason:
        raise Refused(f"cannot be set by a project: {reason}")
    if not re.fullmatch(VARIABLE, name):
        raise Refused(
            f"{quoted(name)} is no name of a variable",
            "names are letters, digits and _, and do not begin with a digit",
        )


def _refuse_command(name: str) -> None:
    if name in COMMANDS:
        raise Refused("is a word of the shells themselves", "choose another name")
    if "/" in name:
        raise Refused("cannot hold a `/`: it becomes a command")


def _refuse_function(name: str) -> None:
    if is_needed(name):
        raise Refused("is a word of the shells themselves or of devenv", "choose another name")
    if not re.fullmatch(VARIABLE, name):
        raise Refused(
            f"{quoted(name)} is no function's name in every shell",
            "names are letters, digits and _; a script or an alias can have others",
        )


def _refuse_separator(text: str) -> None:
    refuse_nul(text)
    if not text:
        raise Refused("a separator cannot be empty")


def _refuse_alias_text(text: str) -> None:
    refuse_nul(text)
    try:
        words = split_alias(text)
    except ValueError as error:
        raise Refused(f"cannot split {quoted(text)} into words: {str(error).lower()}") from None
    if not words:
        raise Refused("expected a program and its arguments, found nothing")
    for word in words:
        if word in SHELL_OPERATORS:
            raise Refused(
                f"an alias is one program and its arguments; `{word}` would be an argument",
                "put shell code under [scripts]",
            )
    _refuse_program(words[0])


def _refuse_program(word: str) -> None:
    if not word:
        raise Refused("expected a program and its arguments, found an empty name")


def split_alias(text: str) -> tuple[str, ...]:
    """Words, by POSIX quoting rules and without expansions. Raises ValueError."""
    import shlex  # seldom needed

    return tuple(shlex.split(text))


_ENTRIES = Array(items=ENTRY, expected="an array of entries", minimum=1)

_OPERATION = Table(
    expected="`set`, `unset` or `default` alone, or `prepend` and `append`, with a `separator` if need be",
    fields={
        "set": Field(shape=TEXT_OR_NUMBER, doc="The value, whatever it was before."),
        "unset": Field(shape=Exactly(value=True), doc="The variable does not exist."),
        "default": Field(shape=TEXT_OR_NUMBER, doc="The value where the user has none."),
        "prepend": Field(shape=_ENTRIES, doc='Entries at the front of a list; "./bin" lies in the project.'),
        "append": Field(shape=_ENTRIES, doc='Entries at the end of a list; "./bin" lies in the project.'),
        "separator": Field(
            shape=Text(pattern="[^\\u0000]+", refuse=_refuse_separator),
            doc='Between entries; ":" by default.',
        ),
    },
    elsewhere={"value": "did you mean `set`?", "prefix": "did you mean `prepend`?"},
    sets=(
        (("set",), ()),
        (("unset",), ()),
        (("default",), ()),
        (("prepend", "append"), ("separator",)),
    ),
)

_ALIAS = Either(
    shapes=(
        Array(
            items=Text(pattern="[^\\u0000]*", refuse=refuse_nul),
            expected="a program and its arguments",
            minimum=1,
        ),
        Text(refuse=_refuse_alias_text, pattern="[^\\u0000]+"),
    ),
    expected='an array such as ["git", "status"]',
)

_COMMAND = Text(
    expected="a command's name of letters, digits and _.+-",
    pattern=COMMAND,
    refuse=_refuse_command,
    refused_pattern=f"^({'|'.join(sorted(COMMANDS))})$",
)

_CODE = Text(refuse=refuse_script, pattern=r"[^\u0000]*[^\s\u0000][^\u0000]*")

_FUNCTION = Text(
    expected="a function's name of letters, digits and _",
    pattern=VARIABLE,
    refuse=_refuse_function,
    refused_pattern=f"^({'|'.join(sorted(NEEDED))}|([Dd][Ee][Vv][Ee][Nn][Vv]_|__[Dd][Ee][Vv][Ee][Nn][Vv]).*)$",
)

_LANGUAGES = {
    "sh": "POSIX shells: for them, for bash and zsh without their own, and as a program for the others"
}
_BODIES = Table(
    expected="a table of bodies by shell",
    fields={
        shell: Field(shape=_CODE, doc=f"The body in the language of {_LANGUAGES.get(shell, shell)}.")
        for shell in FUNCTION_SHELLS
    },
    sets=((FUNCTION_SHELLS, ()),),
)

_PARAMETER_VALUE = Either(
    shapes=(VALUE, Whole(), Exactly(value=True), Exactly(value=False)),
    expected="text in quotes, a whole number, true or false",
)

_PARAMETER = Either(
    shapes=(
        *_PARAMETER_VALUE.shapes,
        Table(
            fields={
                "type": Field(
                    shape=Text(expected='"text", "int" or "bool"', choices=("text", "int", "bool")),
                    doc="What its values are; that of the default without.",
                ),
                "default": Field(
                    shape=_PARAMETER_VALUE, doc="The value where none is given; without, one must be."
                ),
                "choices": Field(
                    shape=Array(items=_PARAMETER_VALUE, expected="an array of values", minimum=1),
                    doc="The only values that it takes.",
                ),
                "doc": Field(
                    shape=Text(expected="one line of text", pattern=r"[^\u0000-\u001f\u007f]*"),
                    doc="What it is, in a line.",
                ),
            },
            elsewhere={
                "description": "did you mean `doc`?",
                "value": "did you mean `default`?",
                "enum": "did you mean `choices`?",
            },
        ),
    ),
    expected='a default, or a table such as {type = "int", default = 8080}',
)

FIELDS = {
    "env": Field(
        shape=Names(
            names=Text(
                expected="a variable's name",
                pattern=VARIABLE,
                refuse=_refuse_variable,
                refused_pattern=reserved_pattern(),
            ),
            values=Either(
                shapes=(VALUE, Whole(), _OPERATION),
                expected='text in quotes, or a table such as {set = "text"}',
            ),
        ),
        doc="Variables.",
    ),
    "aliases": Field(
        shape=Names(names=_COMMAND, values=_ALIAS),
        doc="Short names for a program with arguments.",
    ),
    "scripts": Field(
        shape=Names(
            names=_COMMAND,
            values=_CODE,
        ),
        doc="Programs: POSIX sh, or any language with a #! line.",
    ),
    "functions": Field(
        shape=Names(names=_FUNCTION, values=Either(shapes=(_CODE, _BODIES), expected="shell code in quotes")),
        doc="Functions of the shell: POSIX sh, or a table of bodies by shell.",
    ),
    "completions": Field(
        shape=Names(
            names=_COMMAND,
            values=Array(
                items=Text(
                    expected="a word of letters, digits and -_.:/+@%,", pattern="[A-Za-z0-9_.:/+@%,-]+"
                ),
                expected="an array of words",
                minimum=1,
            ),
        ),
        doc="Words that shells offer behind a command, one of the project's for instance.",
    ),
    "parameters": Field(
        shape=Names(
            names=Text(
                expected="a parameter's name of letters, digits, _ and -",
                pattern="[A-Za-z][A-Za-z0-9_-]{0,59}",
            ),
            values=_PARAMETER,
        ),
        doc="What `devenv enter --set NAME=VALUE` can give; ${parameter:NAME} stands for it in env, aliases, functions and scripts.",
    ),
}
