"""Plugins: adapters and shells, found through entry points, the built-in ones like any other."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from devenv.adapter import Adapter
from devenv.errors import DevenvError
from devenv.shell import Shell


class PluginError(DevenvError):
    """A plugin cannot be loaded, or is none. `group` and `name` say which entry point."""

    def __init__(self, group: str, name: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"loading the plugin {name!r} of {group}: {problem}", hint=hint)
        self.group = group
        self.name = name


def load_adapters() -> dict[str, Adapter]:
    """Every installed adapter by its entry point's name."""
    return {entry.name: _load(entry, ("ecosystem", "patterns", "plan")) for entry in _entries("adapters")}


def load_shells() -> dict[str, Shell]:
    """Every installed shell renderer by its entry point's name."""
    return {
        entry.name: _load(entry, ("activate", "deactivate", "quote", "refuse"))
        for entry in _entries("shells")
    }


def _entries(kind: str) -> list[EntryPoint]:
    group = f"devenv.{kind}"
    found = sorted(entry_points(group=group), key=lambda entry: entry.name)
    if not found:
        raise DevenvError(
            f"no {kind} are registered: devenv is not installed, only on the import path",
            hint="install it: `pip install .` in its checkout",
        )
    return found


def _load(entry: EntryPoint, required: tuple[str, ...]) -> Any:
    owner = entry.dist.name if entry.dist else "an unknown distribution"
    try:
        plugin = entry.load()
    except Exception as error:
        raise PluginError(
            entry.group, entry.name, f"{type(error).__name__}: {error}", f"it belongs to {owner}"
        ) from error
    missing = [name for name in required if not hasattr(plugin, name)]
    if missing:
        raise PluginError(entry.group, entry.name, f"it lacks {', '.join(missing)}", f"it belongs to {owner}")
    return plugin
