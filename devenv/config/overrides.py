"""Overrides of single packages: what one says, and the shape in which it says so.

An override stands in a file of its own, `devenv.d/KIND/NAME.toml`, or in devenv.toml as `[overrides.KIND.NAME]`. KIND is what
`devenv add` calls a package's kind; NAME may end in "@VERSION" and then means the package at this locked version only.
docs/overrides.md explains the fields to users.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from devenv.adapter import NO_CHANGES, Changes, Ecosystem, Patch
from devenv.config.paths import normal_path
from devenv.config.shapes import Array, Exactly, Field, Names, Refused, Table, Text, quoted, refuse_path
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash

DIRECTORY = "devenv.d"
KINDS: Mapping[str, Ecosystem] = {"npm": "npm", "pip": "python", "crate": "cargo", "r": "r"}
NAMES = {
    "npm": "(?:@[A-Za-z0-9_.~-]+/)?[A-Za-z0-9_~-][A-Za-z0-9_.~-]*",
    "pip": "[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?",
    "crate": "[A-Za-z0-9][A-Za-z0-9_-]*",
    "r": "[A-Za-z][A-Za-z0-9.]*",
}
_VERSION = r"[0-9A-Za-z][0-9A-Za-z.+!_-]*"
_COMMIT = "[0-9a-f]{40}(?:[0-9a-f]{24})?"
# Key of [build] -> the variable by which make knows the flags.
_FLAGS = {"c-flags": "CFLAGS", "cpp-flags": "CPPFLAGS", "cxx-flags": "CXXFLAGS", "ld-flags": "LDFLAGS"}


class OverrideError(DevenvError):
    """An override cannot be used. `origin` is where it stands."""

    def __init__(self, origin: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{origin}: {problem}", hint=hint)
        self.origin = origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a package comes from instead.

    url: absolute, of a registry as in devenv.lock ("npm:a/-/a-1.tgz"), of the project ("project:a.tgz") or of a repository
        at a commit ("git+https://...#<commit>"); directory: where in a repository the package is, "" for its top
    hash: None where devenv.lock will have it
    """

    url: str
    hash: Hash | None = None
    directory: str = ""

    @property
    def path(self) -> str | None:
        """The file of the project that it is, if it is one."""
        return self.url.removeprefix("project:") if self.url.startswith("project:") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What is different about one package. Empty fields change nothing.

    only: the locked version that is meant, None for all; origin: "devenv.d/npm/a.toml", or "devenv.toml:12"
    patches: of `changes` have no texts before `devenv.overrides.reading` has read them
    isolated: (name, version) of Python packages that this one imports in place of those of the environment
    """

    kind: str
    name: str
    only: str | None = None
    version: str | None = None
    source: Source | None = None
    changes: Changes = NO_CHANGES
    from_source: bool = False
    requires: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    system: tuple[str, ...] = ()
    isolated: tuple[tuple[str, str], ...] = ()
    origin: str = "devenv.toml"

    @property
    def ecosystem(self) -> Ecosystem:
        return KINDS[self.kind]

    @property
    def label(self) -> str:
        """As people name it: "npm:esbuild", "npm:esbuild@0.21.5"."""
        return f"{self.kind}:{self.name}" + (f"@{self.only}" if self.only else "")

    def is_of(self, name: str, version: str) -> bool:
        return self.name == name and self.only in (None, version)

    def facts(self) -> dict[str, str]:
        """What it says, as devenv.lock keeps it: equal for equal overrides, wherever they stand."""
        found = {"version": self.version or ""}
        if self.source is not None:
            found |= {"source": self.source.url, "source.directory": self.source.directory}
            found["source.hash"] = self.source.hash.sri if self.source.hash is not None else ""
        found |= {f"patch {patch.name}": _digest(patch) for patch in self.changes.patches}
        found |= {f"environment.{name}": value or '""' for name, value in self.changes.environment}
        found |= {f"build.{name}": value for name, value in self.changes.flags}
        found["build.args"] = " ".join(map(quoted, self.changes.arguments))
        found["build.from-source"] = "true" if self.from_source else ""
        found["build.requires"] = ", ".join(self.requires)
        found |= {f"build.config-settings.{name}": value or '""' for name, value in self.settings}
        found["build.system"] = ", ".join(self.system)
        found |= {f"isolated.{name}": version for name, version in self.isolated}
        return {key: found[key] for key in sorted(found) if found[key]}


def _digest(patch: Patch) -> str:
    return "sha256:" + Hash.of("sha256", patch.text.encode("utf-8", "surrogateescape")).hex


def normal_name(kind: str, name: str) -> str:
    """A package's name as lockfiles have it: of Python's in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower() if kind == "pip" else name


def split_name(kind: str, text: str) -> tuple[str, str | None]:
    """ "esbuild@0.21.5" -> ("esbuild", "0.21.5"). Raises ValueError, its text fit for "NAME <text>"."""
    match = re.fullmatch(f"({NAMES[kind]})(?:@({_VERSION}))?", text)
    if match is None:
        raise ValueError(f"is no name of a package of the kind {kind}, with @VERSION or without")
    return normal_name(kind, match[1]), match[2]


# Shapes


def _refuse_nul(text: str) -> None:
    if "\0" in text or "\n" in text:
        raise Refused("holds a NUL character or the end of a line")


def _refuse_file(text: str) -> None:
    refuse_path(text, "a file")


def _refuse_url(text: str) -> None:
    if not text.isascii() or not text.isprintable() or any(mark in text for mark in " \"'<>\\^`{|}#"):
        raise Refused(f"the URL {quoted(text)} holds a character that no URL has")
    scheme, mark, rest = text.partition("://")
    if mark and "@" in rest.partition("/")[0] and scheme != "ssh":
        raise Refused("a URL must not hold a name and a password", "put them into ~/.netrc")


def _refuse_hash(text: str) -> None:
    try:
        if text.startswith(("sha256-", "sha512-")):
            Hash.parse_sri(text)
            return
    except DevenvError:
        pass
    raise Refused(
        f"expected a hash such as sha256-..., found {quoted(text)}",
        "leave it out: `devenv lock` finds it, and writes it into devenv.lock",
    )


_VALUE = Text(expected="text in quotes", refuse=_refuse_nul)
_PATH = Text(expected="the path of a file inside the project", refuse=_refuse_file)
_VARIABLE = Text(expected="the name of a variable", pattern="[A-Za-z_][A-Za-z0-9_]*")
_VALUES = Array(items=_VALUE, expected="an array of texts")
_EXACT = Text(expected='a whole version such as "1.26.4"', pattern=_VERSION)
_HASH_FIELD = Field(
    shape=Text(expected="a hash", refuse=_refuse_hash),
    doc="Of the file, or of the repository's tree as a NAR.",
)
_SOURCE = Table(
    expected="one of `url`, `path`, or `git` with `commit`",
    fields={
        "url": Field(
            shape=Text(expected="a URL", refuse=_refuse_url, pattern=r"[a-z][A-Za-z0-9+.@%_-]*:.+"),
            doc="A file: https://..., or as devenv.lock has it.",
        ),
        "path": Field(shape=_PATH, doc="A file inside the project, as `npm pack` and its like make it."),
        "git": Field(
            shape=Text(
                expected="the URL of a repository", refuse=_refuse_url, pattern="(https?|ssh|git|file)://.+"
            ),
            doc="A repository.",
        ),
        "commit": Field(
            shape=Text(expected="the whole name of a commit", pattern=_COMMIT), doc="Which commit of it."
        ),
        "directory": Field(shape=_PATH, doc="Where in it the package is."),
        "hash": _HASH_FIELD,
    },
    elsewhere={
        "rev": "`commit`, with the whole name of one: a branch is something else tomorrow",
        "sha256": '`hash = "sha256-..."`',
    },
    sets=((("url",), ("hash",)), (("path",), ("hash",)), (("git",), ("commit", "directory", "hash"))),
)
_PATCHES = Field(
    shape=Array(items=_PATH, expected="an array of paths"),
    doc="Diffs in unified format, applied as by `patch -p1`.",
)
_ENVIRONMENT = Field(shape=Names(names=_VARIABLE, values=_VALUE), doc="Variables of its build.")
_TEXT_FIELDS = {
    "version": Field(shape=_EXACT, doc="Another version than the locked one."),
    "source": Field(shape=_SOURCE, doc="Where it comes from instead."),
    "patches": _PATCHES,
    "environment": _ENVIRONMENT,
}
_FLAG_FIELDS = {name: Field(shape=_VALUES, doc=f"Added to {variable}.") for name, variable in _FLAGS.items()}
_SYSTEM = Field(
    shape=Array(
        items=Text(expected="a package of the base", pattern="[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?"),
        expected="an array of package names",
    ),
    doc="Packages of the base that it is built with.",
)
_NODE_ARGS = "node-gyp and scripts are told things by variables: environment = { npm_config_NAME = ... }"
_PIP_ARGS = 'what backends are told is config-settings: { "--build-option" = "..." }'
_RUST = "crates are compiled by your cargo, in its own way: see profiles and [env] in .cargo/config.toml"


def _build(fields: Mapping[str, Field], refused: Mapping[str, str]) -> Field:
    return Field(
        shape=Table(
            fields={**fields, **_FLAG_FIELDS, "system": _SYSTEM},
            elsewhere={"flags": "did you mean `c-flags`, `cxx-flags` or `ld-flags`?", **refused},
        ),
        doc="How it is built.",
    )


_ELSEWHERE = {"env": "did you mean `environment`?", "patch": "did you mean `patches`?"}
OVERRIDES: Mapping[str, Table] = {
    "npm": Table(
        fields={**_TEXT_FIELDS, "build": _build({}, {"args": _NODE_ARGS})},
        elsewhere={
            **_ELSEWHERE,
            "scripts": "whether install scripts run is said under [lockfiles.npm.scripts] of devenv.toml",
            "isolated": "node_modules keeps versions apart by itself",
        },
    ),
    "pip": Table(
        fields={
            **_TEXT_FIELDS,
            "build": _build(
                {
                    "from-source": Field(
                        shape=Exactly(value=True), doc="Build it even where there is a wheel."
                    ),
                    "requires": Field(shape=_VALUES, doc="Requirements of the build, besides its own."),
                    "config-settings": Field(
                        shape=Names(names=_VALUE, values=_VALUE), doc="As pip's --config-settings."
                    ),
                },
                {"args": _PIP_ARGS},
            ),
            "isolated": Field(
                shape=Names(names=Text(expected="a package", pattern=NAMES["pip"]), values=_EXACT),
                doc="Versions of packages that it alone imports.",
            ),
        },
        elsewhere=_ELSEWHERE,
    ),
    "crate": Table(
        fields={"source": _TEXT_FIELDS["source"], "patches": _PATCHES},
        elsewhere={
            "version": "cargo compares crates with Cargo.lock: cargo update -p NAME --precise VERSION",
            "environment": _RUST,
            "build": _RUST,
        },
    ),
    "r": Table(
        fields={
            **_TEXT_FIELDS,
            "build": _build({"args": Field(shape=_VALUES, doc="Arguments of R CMD INSTALL.")}, {}),
        },
        elsewhere=_ELSEWHERE,
    ),
}
SHAPE = Table(
    fields={
        kind: Field(
            shape=Names(
                names=Text(expected=f"a package of {kind}", pattern=f"{NAMES[kind]}(@{_VERSION})?"),
                values=table,
            ),
            doc=f"Overrides of single packages of {kind}, by name.",
        )
        for kind, table in OVERRIDES.items()
    },
    elsewhere={
        "python": "did you mean `pip`?",
        "cargo": "did you mean `crate`?",
        "renv": "did you mean `r`?",
        "cran": "did you mean `r`?",
    },
)

Contradiction = tuple[tuple[str | int, ...], str, str | None]


def contradictions(data: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Problems between values of one override that are right one by one: keys, what is wrong, hint."""
    source = data.get("source", {})
    if "git" in source and "commit" not in source:
        yield ("source",), "`commit` is missing, without which it is something else tomorrow", None
    names = data.get("patches", ())
    for index, name in enumerate(names):
        if normal_path(name) in map(normal_path, names[:index]):
            yield ("patches", index), f"{quoted(name)} is named twice", None


def contradictions_of_all(data: Mapping[str, Any]) -> Iterator[Contradiction]:
    """The same of a whole [overrides] table."""
    for kind, table in data.items():
        seen: dict[tuple[str, str | None], str] = {}
        for text, override in table.items():
            first = seen.setdefault(split_name(kind, text), text)
            if first != text:
                yield (kind, text), f"the same package as {quoted(first)}", None
            for keys, what, hint in contradictions(override):
                yield (kind, text, *keys), what, hint


def read_override(kind: str, text: str, data: Mapping[str, Any], origin: str) -> Override:
    """The value of a table that has the shape of an override. `text` is the package's name, with "@VERSION" or without."""
    name, only = split_name(kind, text)
    build = data.get("build", {})
    flags = [(variable, " ".join(build[key])) for key, variable in _FLAGS.items() if build.get(key)]
    return Override(
        kind=kind,
        name=name,
        only=only,
        version=data.get("version"),
        source=_source(data["source"]) if "source" in data else None,
        changes=Changes(
            patches=tuple(Patch(name=normal_path(each), text="") for each in data.get("patches", ())),
            environment=tuple(sorted(data.get("environment", {}).items())),
            arguments=tuple(build.get("args", ())),
            flags=tuple(flags),
        ),
        from_source=build.get("from-source", False),
        requires=tuple(build.get("requires", ())),
        settings=tuple(sorted(build.get("config-settings", {}).items())),
        system=tuple(dict.fromkeys(build.get("system", ()))),
        isolated=tuple(sorted((normal_name("pip", each), v) for each, v in data.get("isolated", {}).items())),
        origin=origin,
    )


def _source(data: Mapping[str, Any]) -> Source:
    hash = Hash.parse_sri(data["hash"]) if "hash" in data else None
    if "path" in data:
        return Source(url=f"project:{normal_path(data['path'])}", hash=hash)
    if "url" in data:
        return Source(url=data["url"], hash=hash)
    directory = normal_path(data["directory"]) if "directory" in data else ""
    return Source(url=f"git+{data['git']}#{data['commit']}", hash=hash, directory=directory)


def read_overrides(data: Mapping[str, Any], origin: Callable[..., str]) -> tuple[Override, ...]:
    """The overrides of a whole [overrides] table; `origin` gives the place of keys."""
    return tuple(
        read_override(kind, text, table, origin(kind, text))
        for kind, tables in data.items()
        for text, table in tables.items()
    )


def moved(override: Override, place: str) -> Override:
    """An override of the directory `place`, relative to the project, as the project itself would write it."""

    def inside(path: str) -> str:
        return posixpath.normpath(posixpath.join(place, path))

    patches = tuple(replace(each, name=inside(each.name)) for each in override.changes.patches)
    source = override.source
    if source is not None and source.path is not None:
        source = replace(source, url=f"project:{inside(source.path)}")
    return replace(override, source=source, changes=replace(override.changes, patches=patches))
