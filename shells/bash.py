"""bash, from version 4.4 on."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import lower, spec_id, uses_spec
from devenv.shell import HookSettings, Launch, function_words, prompt_label, step_words, template
from devenv.shells import posix

quote = posix.quote

_FUNCTIONS = {"bash": "", "sh": ""}

# The variable's removal is part of the line, as there is no later moment for it.
_RUN_LINE = 'source "$__devenv_spec/activate.bash"; shopt -s expand_aliases; eval "unset -v __devenv_line\n$__devenv_line"'


def activate(spec: Spec) -> str:
    needed = "spec" if uses_spec(lower(spec)) else ""
    found = (*step_words(spec, quote, posix.alias_command), *function_words(spec, quote, _FUNCTIONS))
    steps = "".join(f"    __devenv_step {words}\n" for words in found)
    return (
        f"# The environment {spec.name}, for bash to source: `devenv_leave` leaves it again.\n"
        + template("runtime.bash")
        # On the left of || no failure ends a shell that runs under `set -e`.
        + f'if __devenv_open {spec_id(spec)} "${{BASH_SOURCE[0]-}}" {quote(needed)}; then {{\n'
        + steps
        + "} || :; fi\n"
        + 'if [ -n "$__devenv_aliases" ]; then shopt -s expand_aliases; fi\n'
        + "\\unset -v __devenv_aliases __devenv_project __devenv_spec __devenv_pure\n"
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the bash that sources this file.\n"
        f"if declare -F __devenv_leave >/dev/null; then __devenv_leave {spec_id(spec)} || :; fi\n"
    )


def refuse(message: str) -> str:
    return f"printf '%s\\n' {quote(message)} >&2\n"


def files(spec: Spec) -> Mapping[str, str]:
    begin = (
        'source "$__devenv_spec/activate.bash"\n'
        'if [ -z "${DEVENV_NO_PROMPT-}" ]; then '
        f"__devenv_step prompt PS1 '' {quote(prompt_label(spec))} || :; fi\n"
    )
    return {"enter.bash": template("enter.bash"), "begin.bash": begin}


def interactive() -> Launch:
    return Launch(
        arguments=("--rcfile", "{spec}/enter.bash", "-i"),
        plain_arguments=("-i",),
        files=("/etc/bash.bashrc", "~/.bashrc", "~/.bash_aliases"),
    )


def command() -> Launch:
    return Launch(arguments=("-c", _RUN_LINE), environment={"__devenv_line": "{line}"})


def hook(settings: HookSettings) -> str:
    # The first line stands alone, so that aliases are off when the rest is read.
    wrapped = template("hook_cd.bash") if settings.wrap_cd else ""
    return (
        "if shopt -q expand_aliases; then __devenv_aliases_were=1; fi; shopt -u expand_aliases\n"
        f"__devenv_hook_tree={quote(settings.tree)}\n"
        f"__devenv_hook_program=({' '.join(quote(word) for word in settings.program)})\n"
        + template("hook.bash")
        + wrapped
    )
