"""[build], [fetch] and [purify]: recipes and what they take from elsewhere."""

from __future__ import annotations

import re

from devenv.config.fields.texts import (
    ENTRY,
    HASH,
    LINE,
    NAME,
    PATH,
    SWITCH,
    URL,
    VALUE,
    VARIABLE,
    refuse_nul,
    refuse_script,
    refuse_source,
    refuse_url,
)
from devenv.config.reserved import why_taken
from devenv.config.shapes import (
    Anything,
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


def _refuse_builder_variable(name: str) -> None:
    if not re.fullmatch(VARIABLE, name):
        raise Refused(
            f"{quoted(name)} is no name of a variable",
            "names are letters, digits and _, and do not begin with a digit",
        )
    if reason := why_taken(name):
        raise Refused(f"cannot be set by a recipe: {reason}", "choose another name")


def _refuse_candidate(text: str) -> None:
    if re.match(r"https?://", text):
        refuse_url(text)
    elif text.startswith("./"):
        refuse_source(text)
    elif not re.fullmatch(f"(fetch|build)\\.({NAME})", text):
        raise Refused(
            f"{quoted(text)} is no candidate",
            'a candidate is a URL, a place in the project ("./data.csv"), "fetch.NAME" or "build.NAME"',
        )


_BUILD_NAME = Text(
    expected="a name of letters, digits and ._+-, at most 100", pattern=NAME, refuse=refuse_nul
)

_PHASE_NAME = Text(
    expected="a phase's name of small letters, digits, _ and -", pattern="[a-z][a-z0-9_-]{0,39}"
)

_PHASE_TEXT = Text(
    expected="the text of a phase", refuse=refuse_script, pattern=r"[^\u0000]*[^\s\u0000][^\u0000]*"
)

_PHASE_NAMES = Array(items=_PHASE_NAME, expected="an array of phases")
_SOURCE = Text(expected="a path in the project", refuse=refuse_source)
_BUILDER_VARIABLE = Text(expected="a variable's name", pattern=VARIABLE, refuse=_refuse_builder_variable)

_PHASE = Either(
    shapes=(
        _PHASE_TEXT,
        Exactly(value=False),
        Table(
            fields={
                "run": Field(shape=_PHASE_TEXT, doc="What it does: text for a POSIX shell."),
                "before": Field(shape=_PHASE_NAMES, doc="Phases that come after it."),
                "after": Field(shape=_PHASE_NAMES, doc="Phases that come before it."),
            },
            elsewhere={"script": "did you mean `run`?", "needs": "did you mean `after`?"},
        ),
    ),
    expected="the text of a phase, a table with `run`, or false",
)

_BUILD = Table(
    fields={
        "version": Field(
            shape=Text(
                expected="a version of letters, digits and ._+-", pattern="[A-Za-z0-9][A-Za-z0-9._+-]{0,59}"
            ),
            doc="Part of the result's name.",
        ),
        "description": Field(shape=LINE, doc="What it is, in a line; changing it builds nothing again."),
        "homepage": Field(shape=URL, doc="Where it is described; changing it builds nothing again."),
        "license": Field(shape=LINE, doc="Its licence; changing it builds nothing again."),
        "sources": Field(
            shape=Array(
                items=Either(
                    shapes=(
                        _SOURCE,
                        Table(
                            fields={
                                "url": Field(shape=URL, doc="Where the file is."),
                                "hash": Field(shape=HASH, doc="The SHA-256 or SHA-512 of the file."),
                            },
                            required=("url", "hash"),
                        ),
                    ),
                    expected="a path in the project, or a table with `url` and `hash`",
                ),
                expected="an array of sources",
            ),
            doc='What is built: paths in the project ("." for all of it), or files by URL and hash.',
        ),
        "exclude": Field(
            shape=Array(items=ENTRY, expected="an array of patterns"),
            doc="Names or paths in `sources` that are left out; `*` stands for anything.",
        ),
        "patches": Field(
            shape=Array(items=PATH, expected="an array of paths"),
            doc="Patches in the project, applied in this order.",
        ),
        "inputs": Field(
            shape=Array(
                items=Text(expected="the name of an input", pattern=r"[A-Za-z0-9@][A-Za-z0-9@._+:/-]{0,199}"),
                expected="an array of names",
            ),
            doc="What it is built with: other builds, system packages, toolchains, packages, fetches.",
        ),
        "host": Field(shape=SWITCH, doc="Programs and libraries of this machine can be used."),
        "shell": Field(
            shape=Text(
                expected='a program of an input, such as "bash/bin/sh"',
                pattern="[^/\\u0000]+(/[^/\\u0000]+)+",
            ),
            doc="The POSIX shell that runs the phases, in an input.",
        ),
        "attributes": Field(
            shape=Names(names=_BUILDER_VARIABLE, values=Anything()),
            doc="Arguments of the phases, as data.",
        ),
        "env": Field(
            shape=Names(
                names=_BUILDER_VARIABLE,
                values=Either(shapes=(VALUE, Whole()), expected="text in quotes"),
            ),
            doc="Variables of the programs that the phases run.",
        ),
        "phases": Field(
            shape=Names(names=_PHASE_NAME, values=_PHASE),
            doc="Phases to replace, to add, or, with false, to leave out.",
        ),
        "cores": Field(
            shape=Whole(expected="a number of processors", minimum=1),
            doc="How many processors it uses.",
        ),
        "memory": Field(
            shape=Either(
                shapes=(
                    Text(expected='a size such as "512M" or "4G"', pattern="[0-9]{1,12}[KMGT]"),
                    Whole(expected="a number of bytes", minimum=1),
                ),
                expected='a size such as "512M" or "4G"',
            ),
            doc="How much memory it needs.",
        ),
        "checkpoints": Field(shape=SWITCH, doc="Whether the state after each phase is kept; true without."),
    },
    elsewhere={
        "name": "the name stands in the table's own name, [build.NAME]",
        "src": "did you mean `sources`?",
        "source": "did you mean `sources`?",
        "build": "phases stand under [build.NAME.phases]",
        "install": "phases stand under [build.NAME.phases]",
        "dependencies": "did you mean `inputs`?",
    },
)

_FETCH = Table(
    fields={
        "url": Field(shape=URL, doc="Where the file is."),
        "hash": Field(shape=HASH, doc="Its hash. Without it the fetch is impure: made anew each time."),
    },
    required=("url",),
)

_PURIFY = Table(
    fields={
        "candidates": Field(
            shape=Array(
                items=Text(
                    expected='a URL, "./PATH", "fetch.NAME" or "build.NAME"', refuse=_refuse_candidate
                ),
                expected="an array of candidates",
                minimum=1,
            ),
            doc="Where it may come from, in this order.",
        ),
        "hash": Field(shape=HASH, doc="What it must be."),
        "recursive": Field(shape=SWITCH, doc="The hash is of a tree's NAR, not of a file's contents."),
    },
    required=("candidates", "hash"),
)

FIELDS = {
    "build": Field(
        shape=Names(names=_BUILD_NAME, values=_BUILD),
        doc="What the project builds, by name.",
    ),
    "fetch": Field(
        shape=Names(names=_BUILD_NAME, values=_FETCH),
        doc="Files from the network, as inputs of builds.",
    ),
    "purify": Field(
        shape=Names(names=_BUILD_NAME, values=_PURIFY),
        doc="Things known by their hash that may come from several places, as inputs of builds.",
    ),
}
