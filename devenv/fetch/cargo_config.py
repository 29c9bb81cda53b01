"""cargo's configuration: which index stands for which, and the tokens for them.

`config.toml` files lie in `.cargo` of each directory from the project upwards, then in CARGO_HOME; the nearest
counts. CARGO_REGISTRIES_<NAME>_INDEX and _TOKEN count more. `[source.X] replace-with` leads from one source to another.

Source: the Cargo Book, "Configuration", "Source Replacement", "Registry Authentication".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from devenv.fetch.errors import EndpointError

DEFAULT_SOURCE = "crates-io"
_MAX_BYTES = 1 << 20
_FURTHEST = 16  # steps of replace-with


class CargoConfig:
    """The settings that hold in the directory `project`. Files that are missing are no error."""

    def __init__(self, *, project: str, environ: Mapping[str, str]) -> None:
        self._project, self._environ = project, environ

    @property
    def home(self) -> str:
        """CARGO_HOME."""
        return self._environ.get("CARGO_HOME") or os.path.join(
            self._environ.get("HOME") or os.path.expanduser("~"), ".cargo"
        )

    @cached_property
    def _files(self) -> list[Mapping[str, Any]]:
        """The parsed files, the nearest first."""
        found = [_read_first(os.path.join(folder, ".cargo"), "config") for folder in _above(self._project)]
        return [*found, _read_first(self.home, "config"), _read_first(self.home, "credentials")]

    def _tables(self, section: str, name: str) -> Iterator[Mapping[str, Any]]:
        for file in self._files:
            table = _table(_table(file, section), name)
            if table:
                yield table

    def _value(self, section: str, name: str, key: str) -> str | None:
        for table in self._tables(section, name):
            if isinstance(table.get(key), str):
                return str(table[key])
        return None

    def _names(self, section: str) -> list[str]:
        names = {name for file in self._files for name in _table(file, section)}
        if section == "registries":
            prefix, suffix = "CARGO_REGISTRIES_", "_INDEX"
            for key in self._environ:
                if key.startswith(prefix) and key.endswith(suffix):
                    names.add(key[len(prefix) : -len(suffix)].lower())
        return sorted(names)

    def registry_index(self, name: str) -> str | None:
        """The index of the registry `name`, as it is configured."""
        variable = f"CARGO_REGISTRIES_{name.upper().replace('-', '_')}_INDEX"
        return self._environ.get(variable) or self._value("registries", name, "index")

    def replaced(self, index: str, *, is_default: bool) -> str:
        """The index to ask in place of `index`. Raises `EndpointError` for replacements that go in circles."""
        name = DEFAULT_SOURCE if is_default else self._source_name(index)
        for _ in range(_FURTHEST):
            further = self._value("source", name, "replace-with") if name else None
            if further is None or name is None:
                return (self._index_of(name) if name else None) or index
            name = further
        raise EndpointError(
            f"cargo's configuration replaces the source {index} by sources that replace each other",
            hint="Look at [source] in .cargo/config.toml and in cargo's home.",
        )

    def _source_name(self, index: str) -> str | None:
        for name in self._names("source"):
            if _same(self._value("source", name, "registry"), index):
                return name
        return None

    def source_name(self, kind: str, url: str, selector: tuple[str, str] | None) -> str | None:
        """What the configuration calls a source, None for one that it does not name; cargo takes no second name for one.

        kind: "registry" or "git". url: as a lock has it. selector: ("branch" | "tag" | "rev", its value)
        """
        for name in self._names("source"):
            known = self._value("source", name, kind)
            chosen = [(key, self._value("source", name, key)) for key in ("branch", "tag", "rev")]
            selectors = [each for each in chosen if each[1] is not None]
            if _same(known, url) and (kind == "registry" or selectors == ([selector] if selector else [])):
                return name
        return None

    def _index_of(self, name: str) -> str | None:
        return self._value("source", name, "registry") or self.registry_index(name)

    def token(self, index: str, *, is_default: bool) -> str | None:
        """What cargo sends as `Authorization` to the registry of `index`. Never print it."""
        if is_default:
            found = self._environ.get("CARGO_REGISTRY_TOKEN")
            return found or next(
                (str(t["token"]) for t in map(_registry, self._files) if isinstance(t.get("token"), str)),
                None,
            )
        for name in self._names("registries"):
            if _same(self.registry_index(name), index):
                variable = f"CARGO_REGISTRIES_{name.upper().replace('-', '_')}_TOKEN"
                return self._environ.get(variable) or self._value("registries", name, "token")
        return None

    def indexes(self) -> tuple[str, ...]:
        """All indexes that registries are configured with."""
        found = (self.registry_index(name) for name in self._names("registries"))
        return tuple(index for index in found if index)


def _registry(file: Mapping[str, Any]) -> Mapping[str, Any]:
    return _table(file, "registry")


def _same(one: str | None, other: str) -> bool:
    return one is not None and _place(one) == _place(other)


def _place(index: str) -> str:
    return index.removeprefix("registry+").rstrip("/")


def _above(directory: str) -> Iterator[str]:
    directory = os.path.abspath(directory)
    while True:
        yield directory
        parent = os.path.dirname(directory)
        if parent == directory:
            return
        directory = parent


def _read_first(folder: str, stem: str) -> Mapping[str, Any]:
    """`stem` or `stem.toml` in a directory; of both, cargo takes the one without ending."""
    import tomllib

    for name in (stem, f"{stem}.toml"):
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                return tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise EndpointError(f"reading cargo's settings in {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise EndpointError(
                f"reading cargo's settings in {path}: it is not TOML: {error}", hint="Mend the file."
            ) from error
    return {}


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}
