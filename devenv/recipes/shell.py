"""The environment of a build for a person, as a spec like any other: its variables, and programs to run its phases.

Pure, but for `recipe_variables`, which looks which directories the inputs have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from shlex import quote

from devenv.env.spec import PROJECT_MARK, Set, Spec
from devenv.recipes.instantiate import Planned
from devenv.recipes.phases import Phase
from devenv.recipes.script import LOG, exported, local, searched


def recipe_spec(planned: Planned, environment: Mapping[str, str]) -> Spec:
    """What the phases of a recipe see. `environment` is the builder's own."""
    values = planned.values
    variables = {
        **environment,
        **exported(values),
        **local(values),
        **searched(values, os.path.isdir),
        "out": planned.scratch,
    }
    return build_spec(planned.build.full_name, variables, _scripts(planned))


def build_spec(name: str, variables: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> Spec:
    """The environment of any build. Variables that no shell could have by that name are left out."""
    origin = f"the build of {name}"
    return Spec(
        name=name,
        variables={
            key: (Set(value=value.replace(PROJECT_MARK, "$" + PROJECT_MARK), origin=origin),)
            for key, value in variables.items()
            if key.isascii() and key.isidentifier() and "\0" not in value and not _is_own(key)
        },
        scripts=scripts or {},
    )


def _is_own(name: str) -> bool:
    return name.lower().startswith("__devenv") or name == "DEVENV_PROJECT" or name in ("_", "PWD", "SHLVL")


def _scripts(planned: Planned) -> dict[str, str]:
    names = [phase.name for phase in planned.phases]
    return {
        "phase": _PHASE.format(
            names=quote(" ".join(names)), shell=quote(planned.shell), script=quote(planned.script)
        ),
        "phases": phases_script(planned.phases),
    }


_PHASE = """\
if [ $# -eq 0 ]; then
    printf 'usage: phase NAME...\\nNAME is one of: %s\\n' {names} >&2
    exit 2
fi
cd "$NIX_BUILD_TOP"
exec {shell} {script} "$out" "$@"
"""


def phases_script(phases: Sequence[Phase]) -> str:
    """The program `phases`: each phase with its state, from the record that the builder keeps.

    A phase that began anew makes those behind it "not run". With builtins only: the build may have no programs.
    """
    names = " ".join(phase.name for phase in phases)
    return (
        f'log=$NIX_BUILD_TOP/{LOG}\n[ -e "$log" ] || log=/dev/null\n'
        f"order=' {names} '\nfor each in {names}; do\n"
    ) + (
        "    state='not run'\n"
        "    while read -r word name; do\n"
        '        if [ "$name" = "$each" ]; then\n'
        "            case $word in\n"
        "            began) state=failed ;;\n"
        "            ended) state=done ;;\n"
        "            esac\n"
        '        elif [ "$word" = began ]; then\n'
        '            case ${order%% $each *}" " in\n'
        "            *\" $name \"*) state='not run' ;;\n"
        "            esac\n"
        "        fi\n"
        '    done <"$log"\n'
        '    printf \'%-16s %s\\n\' "$each" "$state"\n'
        "done\n"
    )
