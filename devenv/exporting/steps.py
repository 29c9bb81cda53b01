"""The steps of a spec object as values, and what they make of variables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from devenv.env.apply import change
from devenv.env.apply import read as read_steps
from devenv.errors import DevenvError

# What a machine has that nobody set up: files that are read elsewhere cannot count on more.
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ExportError(DevenvError):
    """An environment cannot be written in a format. The message names the variable."""


class Step(NamedTuple):
    """One change: `kind` is set, unset, default, prepend or append; `separator` is empty but for lists."""

    kind: str
    name: str
    separator: str
    value: str


class Exported(NamedTuple):
    """What is exported: the environment's name, its project directory and spec object, and what it does."""

    name: str
    project: str
    spec: str
    steps: tuple[Step, ...]
    aliases: Mapping[str, tuple[str, ...]]
    functions: Mapping[str, Mapping[str, str]]

    def apply(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` in the environment."""
        found = dict(environ)
        for step in self.steps:
            change(found, step.kind, step.name, step.separator, step.value)
        return found

    def values(self) -> dict[str, str]:
        """The variables of the environment on a machine that has nothing but a PATH."""
        made = self.apply({"PATH": BASE_PATH})
        return {name: value for name, value in sorted(made.items()) if name != "PATH" or value != BASE_PATH}


def read(spec: str, project: str) -> Exported:
    """The environment whose spec object is `spec`. Raises ExportError."""
    from devenv.env.spec import Spec

    try:
        with open(os.path.join(spec, "env.json"), encoding="utf-8") as file:
            known = Spec.from_json(file.read())
        with open(
            os.path.join(spec, "steps"), encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            steps = tuple(Step(*step) for step in read_steps(file.read(), project=project, spec=spec))
    except (OSError, ValueError) as error:
        raise ExportError(
            f"reading the environment {spec}: {error}", hint="`devenv enter -c true` makes it again."
        ) from error
    return Exported(
        name=known.name,
        project=project,
        spec=spec,
        steps=steps,
        aliases=known.aliases,
        functions=known.functions,
    )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """What differs, by name: the new value, None for what is gone."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield name, after.get(name)
