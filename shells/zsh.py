"""zsh, from version 5.1 on."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import lower, spec_id, uses_spec
from devenv.shell import (
    HookSettings,
    Launch,
    completion_words,
    function_words,
    prompt_label,
    step_words,
    template,
)
from devenv.shells import posix

quote = posix.quote

# A body for POSIX shells has their options, until it ends.
_FUNCTIONS = {"zsh": "", "sh": "emulate -L sh\n"}

# The variable's removal is part of the line, as there is no later moment for it.
_RUN_LINE = 'source "$__devenv_spec/activate.zsh"; eval "unset __devenv_line\n$__devenv_line"'


def activate(spec: Spec) -> str:
    needed = "spec" if uses_spec(lower(spec)) else ""
    found = (*step_words(spec, quote, posix.alias_command), *function_words(spec, quote, _FUNCTIONS))
    steps = "".join(f"        __devenv_step {words}\n" for words in found)
    steps += "".join(f"        __devenv_completions {words}\n" for words in completion_words(spec, quote))
    return (
        f"# The environment {spec.name}, for zsh to source: `devenv_leave` leaves it again.\n"
        + template("runtime.zsh")
        + "() {\n"
        # Whatever the user's options are, inside they are zsh's own.
        + "    emulate -LR zsh\n"
        + "    setopt no_multibyte\n"
        + f'    if __devenv_open {spec_id(spec)} "$1" {quote(needed)}; then\n'
        + steps
        + "    fi\n"
        # On the left of || no failure ends a shell that runs under ERR_EXIT.
        + '} "${(%):-%x}" || :\n'
        + 'if (( ${#__devenv_options[@]} )); then setopt "${__devenv_options[@]}"; fi\n'
        + "\\unset __devenv_options __devenv_project __devenv_spec __devenv_pure\n"
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the zsh that sources this file.\n"
        f"if (( ${{+functions[__devenv_leave]}} )); then __devenv_leave {spec_id(spec)} || :; fi\n"
    )


def refuse(message: str) -> str:
    return f"print -ru2 -- {quote(message)}\n"


def files(spec: Spec) -> Mapping[str, str]:
    # In a prompt, % begins an escape; the label holds nothing else that a prompt would expand.
    begin = (
        'source "$__devenv_spec/activate.zsh"\n'
        "() {\n"
        "    emulate -LR zsh\n"
        "    if [[ -z ${DEVENV_NO_PROMPT-} ]]; then "
        f"__devenv_step prompt PS1 '' {quote(prompt_label(spec))}; fi\n"
        "}\n"
    )
    return {"zsh/.zshenv": template("enter.zshenv"), "begin.zsh": begin}


def interactive() -> Launch:
    return Launch(
        arguments=("-i",),
        keep=("ZDOTDIR",),
        environment={"ZDOTDIR": "{spec}/zsh"},
        plain_arguments=("-i",),
        files=(
            "/etc/zsh/zshenv",
            "/etc/zsh/zshrc",
            "/etc/zshenv",
            "/etc/zshrc",
            "~zdot/.zshenv",
            "~zdot/.zshrc",
        ),
    )


def command() -> Launch:
    return Launch(
        arguments=("-c", _RUN_LINE), pure_arguments=("-f",), environment={"__devenv_line": "{line}"}
    )


def hook(settings: HookSettings) -> str:
    return (
        # The first line stands alone, so that aliases are off when the rest is read.
        "__devenv_hook_options=(); for __devenv_i in aliases csh_junkie_quotes; do "
        "if [[ -o $__devenv_i ]]; then __devenv_hook_options+=($__devenv_i); fi; done; "
        "\\unset __devenv_i; unsetopt aliases csh_junkie_quotes\n"
        f"__devenv_hook_tree={quote(settings.tree)}\n"
        f"__devenv_hook_program=({' '.join(quote(word) for word in settings.program)})\n"
        + template("hook.zsh")
    )
