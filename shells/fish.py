"""fish, from version 3.2 on."""

from __future__ import annotations

from collections.abc import Container, Mapping

from devenv.env.spec import Spec
from devenv.env.steps import lower, spec_id, uses_spec
from devenv.shell import (
    HookSettings,
    Launch,
    ShellError,
    completion_words,
    function_words,
    prompt_label,
    step_words,
    template,
)


def quote(text: str) -> str:
    """Single quotes, inside which only the backslash and the single quote are special (fish: Quotes)."""
    if "\0" in text:
        raise ShellError("fish cannot hold the NUL character")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# fish refuses functions of these names. (fish 3.6, parser_keywords.cpp)
_RESERVED = frozenset(
    (
        *(
            "[",
            "_",
            "and",
            "argparse",
            "begin",
            "break",
            "builtin",
            "case",
            "command",
            "continue",
            "else",
            "end",
        ),
        *("eval", "exec", "for", "function", "if", "not", "or", "read", "return", "set", "status", "string"),
        *("switch", "test", "time", "while"),
    )
)


def alias_command(words: tuple[str, ...], aliases: Container[str]) -> str:
    """What the function that stands for an alias runs: not such a function again, least of all itself."""
    outside = "command " if words[0] in aliases else ""
    return outside + " ".join(quote(word) for word in words)


def activate(spec: Spec) -> str:
    """Raises ShellError for an alias or function that fish cannot have, too."""
    for kind, names in (("alias", spec.aliases), ("function", spec.functions)):
        for name in sorted(_RESERVED & names.keys()):
            raise ShellError(
                f"{kind} {name}: in fish this word is part of the language",
                hint=f"give the {kind} another name, so that it means the same in every shell",
            )
    needed = "spec" if uses_spec(lower(spec)) or spec.functions else ""
    found = (
        *step_words(spec, quote, alias_command),
        *function_words(spec, quote, {"fish": ""}, program=True),
    )
    steps = "".join(f"    __devenv_step {words}\n" for words in found)
    steps += "".join(
        f"    __devenv_step completions fish_complete_path '' {words}/fish/vendor_completions.d\n"
        for words in completion_words(spec, quote)
    )
    return (
        f"# The environment {spec.name}, for fish to source: `devenv_leave` leaves it again.\n"
        + template("runtime.fish")
        + f"\nif __devenv_open {spec_id(spec)} (status filename | string collect) {quote(needed)}\n"
        + steps
        + "end\n"
        + "set -eg __devenv_project\nset -eg __devenv_spec\nset -eg __devenv_pure\ntrue\n"
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the fish that sources this file.\n"
        f"if functions -q __devenv_leave\n    __devenv_leave {spec_id(spec)}\nend\n"
    )


def refuse(message: str) -> str:
    return f"echo {quote(message)} >&2\n"


def files(spec: Spec) -> Mapping[str, str]:
    label = quote(quote(prompt_label(spec)))
    prompt = f"set -q DEVENV_NO_PROMPT[1]; or __devenv_step prompt fish_prompt '' {label}\n"
    begin = 'source "$__devenv_spec/activate.fish"\n' + prompt
    return {"enter.fish": template("enter.fish"), "begin.fish": begin}


def interactive() -> Launch:
    return Launch(
        arguments=("-C", 'source "$__devenv_spec/enter.fish"'),
        pure_arguments=("--no-config",),
        plain_arguments=("-i",),
        files=("/etc/fish/config.fish", "~config/fish/config.fish", "~config/fish/conf.d"),
    )


def command() -> Launch:
    return Launch(
        arguments=("-C", 'source "$__devenv_spec/activate.fish"', "-c", "{line}"),
        pure_arguments=("--no-config",),
    )


def hook(settings: HookSettings) -> str:
    return (
        f"set -g __devenv_hook_tree {quote(settings.tree)}\n"
        f"set -g __devenv_hook_program {' '.join(quote(word) for word in settings.program)}\n"
        + template("hook.fish")
    )
