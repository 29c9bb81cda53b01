"""What an environment is based on, and what belongs to it."""

from __future__ import annotations

from devenv.config.fields.texts import refuse_nul, refuse_source
from devenv.config.shapes import Array, Either, Field, Table, Text

_PLACE = Text(expected="a path in quotes", pattern=r"[^\u0000-\u001f\u007f]+", refuse=refuse_nul)

_INNER = Text(expected="a directory inside", refuse=refuse_source, refused_pattern=r"^[/~]|(^|/)\.\.(/|$)|^$")

_EXTENDED = Table(
    expected="`path` alone, or `git` with a `rev` and a `dir` if need be",
    fields={
        "path": Field(shape=_PLACE, doc="A directory with a devenv.toml, or an environment in the store."),
        "git": Field(
            shape=Text(
                expected="the URL of a git repository in quotes",
                pattern=r"(file|git|https?|ssh)://[^\s@#]*(git@)?[^\s@#]+",
            ),
            doc="The URL of a git repository.",
        ),
        "rev": Field(
            shape=Text(expected="a branch, tag or commit", pattern=r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}"),
            doc="A branch, tag or commit; the default branch without. devenv.lock pins the commit.",
        ),
        "dir": Field(shape=_INNER, doc="The directory of its devenv.toml in the repository."),
    },
    elsewhere={
        "url": "did you mean `git`?",
        "branch": "did you mean `rev`?",
        "tag": "did you mean `rev`?",
        "subdirectory": "did you mean `dir`?",
        "ref": "did you mean `rev`?",
    },
    sets=((("git",), ("rev", "dir")), (("path",), ())),
)

_EXTENDS = Either(shapes=(_PLACE, _EXTENDED), expected="a path in quotes, or a table with `path` or `git`")

FIELDS = {
    "extends": Field(
        shape=Either(
            shapes=(
                _PLACE,
                _EXTENDED,
                Array(items=_EXTENDS, expected="an array of paths or tables", minimum=1),
            ),
            expected="a path in quotes, a table with `path` or `git`, or an array of them",
        ),
        doc="What this environment is based on: directories, git repositories, environments in the store.",
    ),
    "members": Field(
        shape=Array(items=_INNER, expected="an array of directories", minimum=1),
        doc='Directories with a devenv.toml of their own that belong to this environment: ["apps/*"].',
    ),
}
