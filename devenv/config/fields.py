"""The keys of devenv.toml: the one table behind reading it, its schema and its reference.

`docs/devenv.toml.md` explains them to users.
"""

from __future__ import annotations

import re
from typing import Any

from devenv.config.overrides import SHAPE as OVERRIDES
from devenv.config.paths import normal_path
from devenv.config.reserved import COMMANDS, reserved_pattern, why_reserved, why_taken
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
    refuse_path,
)
from devenv.debian.request import BASE_PATTERN, PATTERN

NPM_OMIT = ("dev", "optional", "peer")
TOOLCHAINS = ("node", "npm", "python", "r")


# What no pattern explains well


def _refuse_nul(text: str) -> None:
    if "\0" in text:
        raise Refused("holds a NUL character, which no environment can carry")


def _refuse_variable(name: str) -> None:
    reason = why_reserved(name)
    if reason:
        raise Refused(f"cannot be set by a project: {reason}")
    if not re.fullmatch(VARIABLE, name):
        raise Refused(
            f"{quoted(name)} is no name of a variable",
            "names are letters, digits and _, and do not begin with a digit",
        )


def _refuse_command(name: str) -> None:
    if name in COMMANDS:
        raise Refused("is a word of the shells themselves", "choose another name")
    if "/" in name:
        raise Refused("cannot hold a `/`: it becomes a command")


def _refuse_version(text: str) -> None:
    if re.fullmatch(f"[v=]+{VERSION}", text):
        raise Refused(f"expected {VERSION_EXPECTED}, found {quoted(text)}", f'write "{text.lstrip("v=")}"')
    if re.search(r"[\^~<>=*!|, ]|\.x$|^(latest|lts|node|stable|current)\b", text):
        raise Refused(
            f"expected {VERSION_EXPECTED}, found {quoted(text)}",
            "write the beginning of a version, as much of it as matters; the newest that begins so is used",
        )


def _refuse_path(text: str) -> None:
    refuse_path(text, "a lockfile")


def _refuse_entry(text: str) -> None:
    _refuse_nul(text)
    if not text:
        raise Refused(
            "an empty entry would mean the current directory", 'take it out; "." is the project itself'
        )


def _refuse_separator(text: str) -> None:
    _refuse_nul(text)
    if not text:
        raise Refused("a separator cannot be empty")


def _refuse_alias_text(text: str) -> None:
    _refuse_nul(text)
    try:
        words = split_alias(text)
    except ValueError as error:
        raise Refused(f"cannot split {quoted(text)} into words: {str(error).lower()}") from None
    if not words:
        raise Refused("expected a program and its arguments, found nothing")
    for word in words:
        if word in SHELL_OPERATORS:
            raise Refused(
                f"an alias is one program and its arguments; `{word}` would be an argument",
                "put shell code under [scripts]",
            )
    _refuse_program(words[0])


def _refuse_program(word: str) -> None:
    if not word:
        raise Refused("expected a program and its arguments, found an empty name")


def _refuse_script(text: str) -> None:
    _refuse_nul(text)
    if not text.strip():
        raise Refused("expected the text of a program, found nothing")


def _refuse_registry_name(text: str) -> None:
    if re.fullmatch(REGISTRY, text):
        return
    if not re.match(r"https?://", text):
        raise Refused(
            f"{quoted(text)} is no registry",
            'known are npm, "npm+@scope", pypi, pypi-files, crates, cran, "cran+NAME", bioconductor, debian, '
            "debian-security, and any beginning of a URL, with https://",
        )
    _refuse_url(text)


def _refuse_system_package(text: str) -> None:
    from devenv.debian.errors import DebianError
    from devenv.debian.request import parse_request

    try:
        parse_request(text)
    except DebianError as error:
        raise Refused(f"{error}", error.hint) from None


def _refuse_base(text: str) -> None:
    from devenv.debian.errors import DebianError
    from devenv.debian.family import parse_base

    try:
        parse_base(text)
    except DebianError as error:
        raise Refused(f"{error}", error.hint) from None


def _refuse_url(text: str) -> None:
    if any(ord(character) <= 32 or ord(character) == 127 for character in text):
        raise Refused(f"the URL {quoted(text)} holds a blank or control character")
    from urllib.parse import urlsplit  # seldom needed

    try:
        parts = urlsplit(text)
        host, secret = parts.hostname, parts.username or parts.password
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        host, secret, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise Refused(f"expected a URL with https://, found {quoted(text)}")
    if secret:
        raise Refused(
            "holds a user name or password, and this file is for everybody",
            "put them in ~/.netrc, ~/.npmrc or pip's configuration: devenv reads them there",
        )


def _refuse_cache(text: str) -> None:
    if re.match(r"https?://", text):
        _refuse_url(text)
        return
    _refuse_cache_of_user(text)


def _refuse_cache_of_user(text: str) -> None:
    """A user's own file may hold a login."""
    _refuse_nul(text)
    if not re.fullmatch(r"https?://[^/?#\s]+[^?#\s]*|(file://)?/.*", text):
        raise Refused(
            f"expected the URL of a binary cache, found {quoted(text)}",
            'write "https://cache.example.org", or "file:///srv/cache" for a directory',
        )


def _refuse_public_key(text: str) -> None:
    from devenv.formats.errors import FormatError
    from devenv.formats.signing import PublicKey

    try:
        PublicKey.parse(text)
    except FormatError as error:
        raise Refused(
            f"{error}", "`devenv cache key public` prints the public half of a secret key"
        ) from None


def _refuse_source(text: str) -> None:
    try:
        normal_path(text)
    except ValueError as error:
        raise Refused(f"the path {quoted(text)} {error}") from None


def _refuse_hash(text: str) -> None:
    from devenv.formats.errors import FormatError
    from devenv.formats.hashes import Hash

    try:
        found = Hash.parse_sri(text)
    except FormatError as error:
        raise Refused(f"{error}", 'a hash is written "sha256-..." in base 64') from None
    if found.algorithm not in ("sha256", "sha512"):
        raise Refused(
            f"a hash of the kind {found.algorithm} is too weak, or not known to stores", "use sha256"
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
        _refuse_url(text)
    elif text.startswith("./"):
        _refuse_source(text)
    elif not re.fullmatch(f"(fetch|build)\\.({NAME})", text):
        raise Refused(
            f"{quoted(text)} is no candidate",
            'a candidate is a URL, a place in the project ("./data.csv"), "fetch.NAME" or "build.NAME"',
        )


def split_alias(text: str) -> tuple[str, ...]:
    """Words, by POSIX quoting rules and without expansions. Raises ValueError."""
    import shlex  # seldom needed

    return tuple(shlex.split(text))


# Texts

VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
COMMAND = "[A-Za-z0-9_][A-Za-z0-9_.+-]*"
VERSION = r"[0-9]+(\.[0-9]+)*(-?[A-Za-z][A-Za-z0-9.-]*)?"
VERSION_EXPECTED = 'a version such as "20" or "3.11"'
NAME = "[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"
GROUP = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
ARCHIVES = ("debian", "debian-security")
REGISTRY = (
    r"npm|npm\+@[A-Za-z0-9._~-]+|pypi|pypi-files|crates|cran|cran\+[A-Za-z0-9._-]+|bioconductor"
    r"|debian|debian-security"
)
SHELL_OPERATORS = ("|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1")

CACHE_URL = "https?://[^@?# ]+|(file://)?/.*"
PUBLIC_KEY = "[!-9;-~]+:[A-Za-z0-9+/]{43}="

_NO_NUL = r"\u0000"
_VERSION = Text(expected=VERSION_EXPECTED, pattern=VERSION, refuse=_refuse_version)
_PATH = Text(expected="the path of a lockfile in quotes", refuse=_refuse_path)
_VALUE = Text(expected="text in quotes", refuse=_refuse_nul, refused_pattern=_NO_NUL)
_ENTRY = Text(expected="text in quotes", pattern="[^\\u0000]+", refuse=_refuse_entry)
_URL = Text(expected="a URL in quotes", pattern="https?://[^@ ]+", refuse=_refuse_url)
_SYSTEM_PACKAGE = Text(
    expected='a package such as "libgdal-dev"', pattern=PATTERN, refuse=_refuse_system_package
)
_GROUP = Text(expected="a name in quotes", pattern=GROUP)
_GROUPS = Array(items=_GROUP, expected="an array of names")

# Tables

_TEXT_OR_NUMBER = Either(shapes=(_VALUE, Whole()), expected="text in quotes")
_ENTRIES = Array(items=_ENTRY, expected="an array of entries", minimum=1)

_OPERATION = Table(
    expected="`set`, `unset` or `default` alone, or `prepend` and `append`, with a `separator` if need be",
    fields={
        "set": Field(shape=_TEXT_OR_NUMBER, doc="The value, whatever it was before."),
        "unset": Field(shape=Exactly(value=True), doc="The variable does not exist."),
        "default": Field(shape=_TEXT_OR_NUMBER, doc="The value where the user has none."),
        "prepend": Field(shape=_ENTRIES, doc='Entries at the front of a list; "./bin" lies in the project.'),
        "append": Field(shape=_ENTRIES, doc='Entries at the end of a list; "./bin" lies in the project.'),
        "separator": Field(
            shape=Text(pattern="[^\\u0000]+", refuse=_refuse_separator),
            doc='Between entries; ":" by default.',
        ),
    },
    elsewhere={"value": "did you mean `set`?", "prefix": "did you mean `prepend`?"},
    sets=(
        (("set",), ()),
        (("unset",), ()),
        (("default",), ()),
        (("prepend", "append"), ("separator",)),
    ),
)

_HASH = Text(
    expected='a hash such as "sha256-..."', refuse=_refuse_hash, pattern="(sha256|sha512)-[A-Za-z0-9+/]+=*"
)

_NPM_LOCKFILE = Table(
    fields={
        "path": Field(
            shape=_PATH, doc="The lockfile, from devenv.toml's directory; found by itself without."
        ),
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
                            shapes=(Exactly(value=True), Exactly(value=False), _HASH),
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
        "path": Field(
            shape=_PATH, doc="The lockfile, from devenv.toml's directory; found by itself without."
        ),
        "extras": Field(shape=_GROUPS, doc="The project's extras to install."),
        "groups": Field(shape=_GROUPS, doc="Dependency groups to install; the lockfile's defaults without."),
    },
    elsewhere={"omit": "`omit` is for `npm`; `groups` names the dependency groups to install"},
)

_RENV_LOCKFILE = Table(
    fields={
        "path": Field(
            shape=_PATH, doc="The lockfile, from devenv.toml's directory; found by itself without."
        ),
        "system": Field(
            shape=Array(items=_SYSTEM_PACKAGE, expected="an array of package names"),
            doc="Packages of the base to build with, besides those that the packages ask for.",
        ),
    },
    elsewhere=dict.fromkeys(("omit", "extras", "groups"), "an renv.lock is installed whole"),
)

_CARGO_LOCKFILE = Table(
    fields={
        "path": Field(
            shape=_PATH, doc="The lockfile, from devenv.toml's directory; found by itself without."
        ),
    },
    elsewhere=dict.fromkeys(("omit", "extras", "groups"), "cargo wants every crate that a Cargo.lock names"),
)


def _lockfiles(table: Table) -> Either:
    """A path, a table, several of either, or false."""
    entry = Either(shapes=(_PATH, table), expected="a path in quotes or a table")
    return Either(
        shapes=(
            _PATH,
            table,
            Array(items=entry, expected="an array of paths or tables", minimum=1),
            Exactly(value=False),
        ),
        expected="a path in quotes, a table, an array of them, or false",
    )


_ALIAS = Either(
    shapes=(
        Array(
            items=Text(pattern="[^\\u0000]*", refuse=_refuse_nul),
            expected="a program and its arguments",
            minimum=1,
        ),
        Text(refuse=_refuse_alias_text, pattern="[^\\u0000]+"),
    ),
    expected='an array such as ["git", "status"]',
)

_COMMAND = Text(
    expected="a command's name of letters, digits and _.+-",
    pattern=COMMAND,
    refuse=_refuse_command,
    refused_pattern=f"^({'|'.join(sorted(COMMANDS))})$",
)

# Parameters

_PARAMETER_VALUE = Either(
    shapes=(_VALUE, Whole(), Exactly(value=True), Exactly(value=False)),
    expected="text in quotes, a whole number, true or false",
)
_PARAMETER = Either(
    shapes=(
        *_PARAMETER_VALUE.shapes,
        Table(
            fields={
                "type": Field(
                    shape=Text(expected='"text", "int" or "bool"', choices=("text", "int", "bool")),
                    doc="What its values are; that of the default without.",
                ),
                "default": Field(
                    shape=_PARAMETER_VALUE, doc="The value where none is given; without, one must be."
                ),
                "choices": Field(
                    shape=Array(items=_PARAMETER_VALUE, expected="an array of values", minimum=1),
                    doc="The only values that it takes.",
                ),
                "doc": Field(
                    shape=Text(expected="one line of text", pattern=r"[^\u0000-\u001f\u007f]*"),
                    doc="What it is, in a line.",
                ),
            },
            elsewhere={
                "description": "did you mean `doc`?",
                "value": "did you mean `default`?",
                "enum": "did you mean `choices`?",
            },
        ),
    ),
    expected='a default, or a table such as {type = "int", default = 8080}',
)

# Composition

_PLACE = Text(expected="a path in quotes", pattern=r"[^\u0000-\u001f\u007f]+", refuse=_refuse_nul)
_INNER = Text(
    expected="a directory inside", refuse=_refuse_source, refused_pattern=r"^[/~]|(^|/)\.\.(/|$)|^$"
)
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

# Builds

_BUILD_NAME = Text(
    expected="a name of letters, digits and ._+-, at most 100", pattern=NAME, refuse=_refuse_nul
)
_PHASE_NAME = Text(
    expected="a phase's name of small letters, digits, _ and -", pattern="[a-z][a-z0-9_-]{0,39}"
)
_PHASE_TEXT = Text(
    expected="the text of a phase", refuse=_refuse_script, pattern=r"[^\u0000]*[^\s\u0000][^\u0000]*"
)
_PHASE_NAMES = Array(items=_PHASE_NAME, expected="an array of phases")
_SOURCE = Text(expected="a path in the project", refuse=_refuse_source)
_LINE = Text(expected="one line of text", pattern=r"[^\u0000-\u001f\u007f]*")
_SWITCH = Either(shapes=(Exactly(value=True), Exactly(value=False)), expected="true or false")
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
        "description": Field(shape=_LINE, doc="What it is, in a line; changing it builds nothing again."),
        "homepage": Field(shape=_URL, doc="Where it is described; changing it builds nothing again."),
        "license": Field(shape=_LINE, doc="Its licence; changing it builds nothing again."),
        "sources": Field(
            shape=Array(
                items=Either(
                    shapes=(
                        _SOURCE,
                        Table(
                            fields={
                                "url": Field(shape=_URL, doc="Where the file is."),
                                "hash": Field(shape=_HASH, doc="The SHA-256 or SHA-512 of the file."),
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
            shape=Array(items=_ENTRY, expected="an array of patterns"),
            doc="Names or paths in `sources` that are left out; `*` stands for anything.",
        ),
        "patches": Field(
            shape=Array(items=_PATH, expected="an array of paths"),
            doc="Patches in the project, applied in this order.",
        ),
        "inputs": Field(
            shape=Array(
                items=Text(expected="the name of an input", pattern=r"[A-Za-z0-9@][A-Za-z0-9@._+:/-]{0,199}"),
                expected="an array of names",
            ),
            doc="What it is built with: other builds, system packages, toolchains, packages, fetches.",
        ),
        "host": Field(shape=_SWITCH, doc="Programs and libraries of this machine can be used."),
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
                values=Either(shapes=(_VALUE, Whole()), expected="text in quotes"),
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
        "checkpoints": Field(shape=_SWITCH, doc="Whether the state after each phase is kept; true without."),
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
        "url": Field(shape=_URL, doc="Where the file is."),
        "hash": Field(shape=_HASH, doc="Its hash. Without it the fetch is impure: made anew each time."),
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
        "hash": Field(shape=_HASH, doc="What it must be."),
        "recursive": Field(shape=_SWITCH, doc="The hash is of a tree's NAR, not of a file's contents."),
    },
    required=("candidates", "hash"),
)

# Caches

_PUBLIC_KEYS = Field(
    shape=Array(
        items=Text(expected="a public key in quotes", pattern=PUBLIC_KEY, refuse=_refuse_public_key),
        expected="an array of public keys",
    ),
    doc="Keys whose signatures count, as NAME:BASE64.",
)


def _caches(url: Text) -> dict[str, Field]:
    return {
        "substituters": Field(
            shape=Array(items=url, expected="an array of URLs"),
            doc="Binary caches that are asked before anything is fetched or built.",
        ),
        "trusted-keys": _PUBLIC_KEYS,
    }


_CACHE_HINTS = {
    "trusted-public-keys": "did you mean `trusted-keys`?",
    "trusted_keys": "did you mean `trusted-keys`?",
    "substituter": "did you mean `substituters`?",
    "urls": "did you mean `substituters`?",
}

_CACHES = Table(
    fields=_caches(Text(expected="a URL in quotes", pattern=CACHE_URL, refuse=_refuse_cache)),
    elsewhere={**_CACHE_HINTS, "signing-key": "it belongs into your own configuration, config.toml"},
)

# What stands in the user's own config.toml.
USER_DOCUMENT = Table(
    fields={
        "caches": Field(
            shape=Table(
                fields={
                    **_caches(Text(expected="a URL in quotes", refuse=_refuse_cache_of_user)),
                    "signing-key": Field(
                        shape=Text(expected="the name or path of a key", pattern="[^\\u0000]+"),
                        doc="The secret key that `devenv cache push` signs with.",
                    ),
                },
                elsewhere=_CACHE_HINTS,
            ),
            doc="Binary caches.",
        ),
    }
)

_PYTHON_LOCKFILES = "lockfiles of Python stand under `pip`, whatever wrote them"

_TABLES: dict[str, Field] = {
    "name": Field(
        shape=Text(expected="a name of letters, digits and ._+-, at most 100", pattern=NAME),
        doc="What the environment is called, in the prompt and in the store.",
    ),
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
    "base": Field(
        shape=Text(expected='a base such as "debian/bookworm"', pattern=BASE_PATTERN, refuse=_refuse_base),
        doc="The distribution that system packages are from.",
    ),
    "packages": Field(
        shape=Table(
            fields={
                "node": Field(shape=_VERSION, doc="Node.js: the newest version that begins so."),
                "npm": Field(shape=_VERSION, doc="npm; chosen to fit node when absent."),
                "python": Field(shape=_VERSION, doc="Python, from this machine."),
                "r": Field(shape=_VERSION, doc="R with compilers, from the base."),
                "system": Field(
                    shape=Array(items=_SYSTEM_PACKAGE, expected="an array of package names"),
                    doc='Packages of the base: ["libgdal-dev", "g++", "libgl1:i386"].',
                ),
            },
            later={
                "rust": "Rust",
            },
            elsewhere={
                "nodejs": "did you mean `node`?",
                "python3": "did you mean `python`?",
                "apt": "did you mean `system`?",
                "debian": "did you mean `system`?",
            },
        ),
        doc="Toolchains, each with the beginning of a version, and packages of the base.",
    ),
    "lockfiles": Field(
        shape=Table(
            fields={
                "npm": Field(
                    shape=_lockfiles(_NPM_LOCKFILE), doc="package-lock.json or npm-shrinkwrap.json."
                ),
                "pip": Field(
                    shape=_lockfiles(_PIP_LOCKFILE),
                    doc="uv.lock, poetry.lock, Pipfile.lock, pylock.toml or requirements.txt.",
                ),
                "cargo": Field(shape=_lockfiles(_CARGO_LOCKFILE), doc="Cargo.lock."),
                "renv": Field(shape=_lockfiles(_RENV_LOCKFILE), doc="renv.lock."),
            },
            later={
                "yarn": "yarn.lock",
                "pnpm": "pnpm-lock.yaml",
            },
            elsewhere=dict.fromkeys(
                ("python", "uv", "pylock", "requirements", "poetry", "pipfile"), _PYTHON_LOCKFILES
            ),
        ),
        doc="Lockfiles to use. They are found by themselves; name them only to choose or tune.",
    ),
    "overrides": Field(
        shape=OVERRIDES,
        doc="What is different about single packages of lockfiles; the same as the files in devenv.d.",
    ),
    "env": Field(
        shape=Names(
            names=Text(
                expected="a variable's name",
                pattern=VARIABLE,
                refuse=_refuse_variable,
                refused_pattern=reserved_pattern(),
            ),
            values=Either(
                shapes=(_VALUE, Whole(), _OPERATION),
                expected='text in quotes, or a table such as {set = "text"}',
            ),
        ),
        doc="Variables.",
    ),
    "aliases": Field(
        shape=Names(names=_COMMAND, values=_ALIAS),
        doc="Short names for a program with arguments.",
    ),
    "scripts": Field(
        shape=Names(
            names=_COMMAND,
            values=Text(refuse=_refuse_script, pattern=r"[^\u0000]*[^\s\u0000][^\u0000]*"),
        ),
        doc="Programs: POSIX sh, or any language with a #! line.",
    ),
    "parameters": Field(
        shape=Names(
            names=Text(
                expected="a parameter's name of letters, digits, _ and -",
                pattern="[A-Za-z][A-Za-z0-9_-]{0,59}",
            ),
            values=_PARAMETER,
        ),
        doc="What `devenv enter --set NAME=VALUE` can give; ${parameter:NAME} stands for it in env, aliases and scripts.",
    ),
    "registries": Field(
        shape=Names(
            names=Text(
                expected="a registry",
                pattern=f"{REGISTRY}|https?://[^@ ]+",
                refuse=_refuse_registry_name,
            ),
            values=Either(
                shapes=(_URL, Array(items=_URL, expected="an array of mirrors", minimum=1)),
                expected="a URL in quotes",
            ),
        ),
        doc="Where registries are, by npm, pypi, pypi-files, debian, debian-security, or by a beginning of URLs to replace.",
    ),
    "caches": Field(shape=_CACHES, doc="Binary caches: what others have built is not built again."),
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

_TABLES["profiles"] = Field(
    shape=Names(
        names=Text(
            expected="a profile's name of letters, digits, _ and -", pattern="[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
        ),
        values=Table(
            fields={name: _TABLES[name] for name in ("env", "aliases", "scripts")},
            elsewhere={
                "packages": "a profile has env, aliases and scripts; packages belong to all",
                "parameters": "parameters belong to all profiles: declare them under [parameters]",
            },
        ),
    ),
    doc="Variables, aliases and scripts that `devenv enter --profile NAME` adds.",
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
