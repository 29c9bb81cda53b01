"""POSIX shells: dash, the ash of busybox, ksh93, mksh."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.env.spec import Spec
from devenv.env.steps import lower, spec_id, uses_spec
from devenv.shell import HookSettings, Launch, function_words, prompt_label, step_words, template
from devenv.shells import posix

quote = posix.quote

# The variable's removal is part of the line, as there is no later moment for it.
_RUN_LINE = '. "$__devenv_spec/activate.sh"; eval "unset -v __devenv_line\n$__devenv_line"'


def activate(spec: Spec) -> str:
    steps = lower(spec)
    needed = "spec" if uses_spec(steps) else ""
    names = " ".join(sorted({step.name for step in steps}))
    found = (*step_words(spec, quote, posix.alias_command), *function_words(spec, quote, {"sh": ""}))
    lines = "".join(f"    __devenv_step {words}\n" for words in found)
    # The first line is what a shell that looks for this file compares.
    return (
        f"# {spec_id(spec)} The environment {spec.name}, for POSIX shells to source.\n"
        + template("runtime.sh")
        # On the left of || no failure ends a shell that runs under `set -e`.
        + f"if __devenv_open {spec_id(spec)} {quote(needed)} {quote(names)}; then {{\n"
        + lines
        + f"    __devenv_unsee {names}\n"
        + "} || :; fi\n"
        + "__devenv_words_end\n"
        + "\\unset -v __devenv_project __devenv_spec __devenv_pure\n"
        # Where the environment could not be entered, nothing remains.
        + "case $__devenv_layers in *[0-9]*) ;; *) __devenv_vanish ;; esac\n"
    )


def deactivate(spec: Spec) -> str:
    return (
        f"# Leaves the environment {spec.name} in the shell that sources this file.\n"
        f'if [ -n "${{__devenv_count-}}" ]; then __devenv_leave {spec_id(spec)} || :; fi\n'
    )


def refuse(message: str) -> str:
    return f"printf '%s\\n' {quote(message)} >&2\n"


def files(spec: Spec) -> Mapping[str, str]:
    rc = template("enter.sh") + (
        'if [ -z "${DEVENV_NO_PROMPT-}" ]; then __devenv_see PS1; '
        f"__devenv_step prompt PS1 '' {quote(prompt_label(spec))} || :; __devenv_unsee PS1; fi\n"
    )
    return {"enter.sh": rc}


def interactive() -> Launch:
    return Launch(arguments=("-i",), keep=("ENV",), environment={"ENV": "{spec}/enter.sh"})


def command() -> Launch:
    return Launch(arguments=("-c", _RUN_LINE), environment={"__devenv_line": "{line}"})


def hook(settings: HookSettings) -> str:
    return (
        f"__devenv_hook_tree={quote(settings.tree)}\n"
        f"__devenv_hook_program={quote(' '.join(quote(word) for word in settings.program))}\n"
        + template("hook.sh")
    )
