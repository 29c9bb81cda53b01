"""The tables [build.NAME], [fetch.NAME] and [purify.NAME] of devenv.toml, as values.

`devenv.config.toml` makes them, so each value is right by itself. What they say together (that phases can be put
in an order, that inputs exist) is for `devenv.recipes` to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from devenv.config.paths import normal_path
from devenv.config.positions import Keys
from devenv.config.shapes import Literal, quoted

# What an attribute may be: everything that both TOML and JSON can say.
Data = str | int | float | bool | list["Data"] | dict[str, "Data"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSource:
    """A file or directory of the project; `path` is relative to it, "." is the project itself."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource:
    """A file from the network, known by its hash, an SRI text."""

    url: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEdit:
    """What a recipe says of one phase. `run` None leaves a default phase's text as it is.

    `before` and `after` name other phases; None where the key is missing. `removed`: the phase does not run.
    `origin` is "devenv.toml:LINE".
    """

    run: str | None = None
    before: tuple[str, ...] | None = None
    after: tuple[str, ...] | None = None
    removed: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One [build.NAME].

    `description`, `homepage` and `license` are about the result and no part of its derivation; `cores` and
    `memory` (bytes) say what it needs and are none either. `attributes` are arguments of the phases, `env` is the
    environment of the programs that they run. `shell` is "INPUT/path" or None for /bin/sh, which takes `host` or the
    input "system". `exclude` are patterns of names or paths below `sources` that are left out.
    """

    name: str
    version: str = ""
    description: str = ""
    homepage: str = ""
    license: str = ""
    sources: tuple[PathSource | UrlSource, ...] = ()
    exclude: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    host: bool = False
    shell: str | None = None
    attributes: Mapping[str, Data] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    phases: Mapping[str, PhaseEdit] = field(default_factory=dict)
    cores: int | None = None
    memory: int | None = None
    checkpoints: bool = True
    origin: str = ""

    @property
    def full_name(self) -> str:
        """What its derivation is called."""
        return f"{self.name}-{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One [fetch.NAME]: a file from the network. Without `hash`, an SRI text, it is impure."""

    name: str
    url: str
    hash: str | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purify:
    """One [purify.NAME]: the first of `candidates` that has `hash`.

    A candidate is a URL, a place in the project ("./data.csv"), "fetch.NAME" or "build.NAME". `recursive`: the
    hash is that of a tree's NAR, not of one file's contents.
    """

    name: str
    candidates: tuple[str, ...]
    hash: str
    recursive: bool = False
    origin: str = ""


# The input that stands for the root of the system packages, unless a recipe has that name.
SYSTEM = "system"
# The one that stands for the crates of the project's Cargo.lock, with the cargo that takes them.
CARGO = "cargo"

Origin = Callable[..., str]


def read_builds(data: Mapping[str, Any], origin: Origin) -> dict[str, Build]:
    """The table `build`. `origin` gives "FILE:LINE" for keys."""
    return {name: _build(name, table, origin) for name, table in data.items()}


def read_fetches(data: Mapping[str, Any], origin: Origin) -> dict[str, Fetch]:
    return {
        name: Fetch(name=name, url=table["url"], hash=table.get("hash"), origin=origin("fetch", name))
        for name, table in data.items()
    }


def read_purifies(data: Mapping[str, Any], origin: Origin) -> dict[str, Purify]:
    return {
        name: Purify(
            name=name,
            candidates=tuple(table["candidates"]),
            hash=table["hash"],
            recursive=table.get("recursive", False),
            origin=origin("purify", name),
        )
        for name, table in data.items()
    }


def _build(name: str, table: Mapping[str, Any], origin: Origin) -> Build:
    memory = table.get("memory")
    return Build(
        name=name,
        version=table.get("version", ""),
        description=table.get("description", ""),
        homepage=table.get("homepage", ""),
        license=table.get("license", ""),
        sources=tuple(_source(entry) for entry in table.get("sources", ())),
        exclude=tuple(table.get("exclude", ())),
        patches=tuple(normal_path(path) for path in table.get("patches", ())),
        inputs=tuple(dict.fromkeys(table.get("inputs", ()))),
        host=table.get("host", False),
        shell=table.get("shell"),
        attributes={key: plain(value) for key, value in table.get("attributes", {}).items()},
        env={key: str(value) for key, value in table.get("env", {}).items()},
        phases={
            key: _phase(value, origin("build", name, "phases", key))
            for key, value in table.get("phases", {}).items()
        },
        cores=table.get("cores"),
        memory=None if memory is None else read_size(memory),
        checkpoints=table.get("checkpoints", True),
        origin=origin("build", name),
    )


def _source(entry: str | Mapping[str, str]) -> PathSource | UrlSource:
    if isinstance(entry, str):
        return PathSource(path=normal_path(entry))
    return UrlSource(url=entry["url"], hash=entry["hash"])


def _phase(value: Any, origin: str) -> PhaseEdit:
    if value is False:
        return PhaseEdit(removed=True, origin=origin)
    if isinstance(value, str):
        return PhaseEdit(run=value, origin=origin)
    return PhaseEdit(
        run=value.get("run"),
        before=tuple(value["before"]) if "before" in value else None,
        after=tuple(value["after"]) if "after" in value else None,
        origin=origin,
    )


def plain(value: Any) -> Data:
    """A value of the document as JSON has it: floats without the memory of how they were written."""
    if isinstance(value, Literal):
        return float(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    found: Data = value
    return found


def read_size(text: str | int) -> int:
    """ "512M" -> bytes. Raises ValueError."""
    if isinstance(text, int):
        return text
    number, unit = text.rstrip("KMGT"), text[-1:] if text[-1:] in "KMGT" else ""
    return int(number) * _UNITS[unit]


def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str | None]]:
    """Problems between values that are right one by one, as `devenv.config.toml` reports them."""
    for name, table in data.get("build", {}).items():
        for key in table.get("attributes", {}):
            if key in table.get("env", {}):
                yield ("build", name, "attributes", key), "there is a variable of this name under `env`", None
        in_root = SYSTEM in table.get("inputs", ()) and SYSTEM not in data["build"]
        if in_root and table.get("host", False):
            hint = "leave out one of them: both say what /usr is"
            yield ("build", name, "host"), f"{quoted(SYSTEM)} is among its inputs", hint
        if not in_root and not table.get("host", False) and "shell" not in table:
            hint = (
                f"the input {quoted(SYSTEM)} has that of the system packages, `host = true` lets it use this machine's; "
                'or name one of an input: shell = "INPUT/bin/sh"'
            )
            yield ("build", name), "there is no shell for its phases", hint
        shell = table.get("shell")
        if shell is not None and shell.partition("/")[0] not in table.get("inputs", ()):
            hint = "it begins with the name of one of the recipe's `inputs`"
            yield ("build", name, "shell"), f"{quoted(shell)} is of no input", hint
        if table.get("memory") is not None and read_size(table["memory"]) < 1 << 20:
            yield ("build", name, "memory"), "less than one megabyte", 'write "512M" or "4G"'
