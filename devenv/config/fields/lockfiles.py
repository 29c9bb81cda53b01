"""[lockfiles]: a table for each ecosystem."""

from __future__ import annotations

from devenv.config.fields.packages import SYSTEM_PACKAGE
from devenv.config.fields.texts import HASH, PATH
from devenv.config.shapes import Array, Either, Exactly, Field, Names, Table, Text

NPM_OMIT = ("dev", "optional", "peer")
GROUP = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_PYTHON_LOCKFILES = "lockfiles of Python stand under `pip`, whatever wrote them"
_GROUP = Text(expected="a name in quotes", pattern=GROUP)
_GROUPS = Array(items=_GROUP, expected="an array of names")

_PLACE = Field(shape=PATH, doc="The lockfile, from devenv.toml's directory; found by itself without.")

_NPM_LOCKFILE = Table(
    fields={
        "path": _PLACE,
        "omit": Field(
            shape=Array(
                items=Text(expected='"dev", "optional" or "peer"', choices=NPM_OMIT),
                expected='an array of "dev", "optional" and "peer"',
            ),
            doc="Kinds of dependencies to leave out.",
        ),
        "scripts": Field(
            shape=Either(
                shapes=(
                    Exactly(value=True),
                    Exactly(value=False),
                    Names(
                        names=Text(expected='"*", a package, or "package@version"', pattern=r"[!-~]+"),
                        values=Either(
                            shapes=(Exactly(value=True), Exactly(value=False), HASH),
                            expected="true, false or a hash",
                        ),
                    ),
                ),
                expected="true, false or a table of packages",
            ),
            doc='Install scripts to run: by package, and "*" for the others. With a hash they may use the network.',
        ),
    },
    elsewhere={
        "extras": "extras are for `pip`",
        "groups": "groups are for `pip`; `omit` leaves out npm's kinds of dependencies",
    },
)

_PIP_LOCKFILE = Table(
    fields={
        "path": _PLACE,
        "extras": Field(shape=_GROUPS, doc="The project's extras to install."),
        "groups": Field(shape=_GROUPS, doc="Dependency groups to install; the lockfile's defaults without."),
    },
    elsewhere={"omit": "`omit` is for `npm`; `groups` names the dependency groups to install"},
)

_RENV_LOCKFILE = Table(
    fields={
        "path": _PLACE,
        "system": Field(
            shape=Array(items=SYSTEM_PACKAGE, expected="an array of package names"),
            doc="Packages of the base to build with, besides those that the packages ask for.",
        ),
    },
    elsewhere=dict.fromkeys(("omit", "extras", "groups"), "an renv.lock is installed whole"),
)

_CARGO_LOCKFILE = Table(
    fields={
        "path": _PLACE,
    },
    elsewhere=dict.fromkeys(("omit", "extras", "groups"), "cargo wants every crate that a Cargo.lock names"),
)


def _lockfiles(table: Table) -> Either:
    """A path, a table, several of either, or false."""
    entry = Either(shapes=(PATH, table), expected="a path in quotes or a table")
    return Either(
        shapes=(
            PATH,
            table,
            Array(items=entry, expected="an array of paths or tables", minimum=1),
            Exactly(value=False),
        ),
        expected="a path in quotes, a table, an array of them, or false",
    )


FIELDS = {
    "lockfiles": Field(
        shape=Table(
            fields={
                "npm": Field(
                    shape=_lockfiles(_NPM_LOCKFILE),
                    doc="package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml or yarn.lock.",
                ),
                "pip": Field(
                    shape=_lockfiles(_PIP_LOCKFILE),
                    doc="uv.lock, poetry.lock, Pipfile.lock, pylock.toml or requirements.txt.",
                ),
                "cargo": Field(shape=_lockfiles(_CARGO_LOCKFILE), doc="Cargo.lock."),
                "renv": Field(shape=_lockfiles(_RENV_LOCKFILE), doc="renv.lock."),
            },
            elsewhere={
                **dict.fromkeys(
                    ("python", "uv", "pylock", "requirements", "poetry", "pipfile"), _PYTHON_LOCKFILES
                ),
                **dict.fromkeys(("pnpm", "yarn"), "lockfiles of pnpm and yarn stand under `npm`"),
                "r": "did you mean `renv`?",
            },
        ),
        doc="Lockfiles to use. They are found by themselves; name them only to choose or tune.",
    ),
}
