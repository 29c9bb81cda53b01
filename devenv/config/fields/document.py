"""The keys of devenv.toml: the one table behind reading it, its schema and its reference.

`docs/devenv.toml.md` explains them to users. Each module beside this one has the fields of one subject.
"""

from __future__ import annotations

from typing import Any

from devenv.config.fields import builds, caches, composition, environment, lockfiles, packages, registries
from devenv.config.fields.texts import NAME
from devenv.config.overrides import SHAPE as OVERRIDES
from devenv.config.shapes import Field, Names, Table, Text

_TABLES: dict[str, Field] = {
    "name": Field(
        shape=Text(expected="a name of letters, digits and ._+-, at most 100", pattern=NAME),
        doc="What the environment is called, in the prompt and in the store.",
    ),
    **composition.FIELDS,
    **packages.FIELDS,
    **lockfiles.FIELDS,
    "overrides": Field(
        shape=OVERRIDES,
        doc="What is different about single packages of lockfiles; the same as the files in devenv.d.",
    ),
    **environment.FIELDS,
    **registries.FIELDS,
    **caches.FIELDS,
    **builds.FIELDS,
}

_TABLES["profiles"] = Field(
    shape=Names(
        names=Text(
            expected="a profile's name of letters, digits, _ and -", pattern="[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
        ),
        values=Table(
            fields={name: _TABLES[name] for name in ("env", "aliases", "functions", "scripts")},
            elsewhere={
                "packages": "a profile has env, aliases, functions and scripts; packages belong to all",
                "parameters": "parameters belong to all profiles: declare them under [parameters]",
            },
        ),
    ),
    doc="Variables, aliases, functions and scripts that `devenv enter --profile NAME` adds.",
)


def _homes() -> dict[str, str]:
    """Keys of the tables, for those who write one of them at the top: `node = "20"`."""
    homes: dict[str, str] = {}
    for table, item in _TABLES.items():
        if isinstance(item.shape, Table):
            for name in item.shape.fields:
                homes.setdefault(name, f"it belongs under [{table}]")
    return homes


DOCUMENT = Table(
    fields=_TABLES,
    later={
        "hooks": "running code on entry",
        "services": "services",
        "tasks": "tasks",
    },
    elsewhere={
        **_homes(),
        "environment": "did you mean `env`?",
        "variables": "did you mean `env`?",
        "tools": "did you mean `packages`?",
        "builds": "did you mean `build`?",
        "recipes": "did you mean `build`?",
        "from": "did you mean `base`?",
    },
)


def fields_of(table: Table, prefix: str = "") -> dict[str, Field]:
    """Every key that the table knows, dotted, for documentation and completion."""
    found: dict[str, Any] = {}
    for name, item in table.fields.items():
        found[f"{prefix}{name}"] = item
        if isinstance(item.shape, Table):
            found.update(fields_of(item.shape, f"{prefix}{name}."))
    return found
