"""Imports of packages that one package alone sees in another version: the text of a module of Python environments.

It is loaded when an interpreter starts, by a .pth file, from Python 3.7 on, and has nothing but the standard library. What the
modules of a package import is found below a package of its own, `_isolated_for_NAME`, whose path is the directory with the other
versions. That is what the import system can do: modules are known by their whole name, so two of one name can be there
at once only if their names differ. Source: the Python Language Reference, 5, "The import system".
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_import = builtins.__import__
_import_module = importlib.import_module


class _Isolated:
    """The packages that one package imports: `names` of its top-level modules, below `directory`."""

    def __init__(self, owner: str, names: Sequence[str], directory: str) -> None:
        self.owner = owner
        self.names = frozenset(names)
        self.directory = directory
        self.package = "_isolated_for_" + owner.replace("-", "_").replace(".", "_")

    def load(self, name: str, names: Sequence[str] | None) -> Any:
        """The module that `import name` gives, or `from name import names`."""
        if self.package not in sys.modules:
            module = types.ModuleType(self.package)
            module.__path__ = [self.directory]
            sys.modules[self.package] = module
        full = self.package + "." + name
        try:
            found = _import(full, {}, {}, names or (), 0)
        except ImportError as error:
            error.msg = (
                f"{error.msg} (while importing {name} in the version that {self.owner} alone has, under the name {full}: "
                "what knows itself by another name, or cannot be loaded twice, cannot be isolated)"
            )
            raise
        return found if names else sys.modules[self.package + "." + name.partition(".")[0]]


_BY_IMPORTER: dict[str, _Isolated] = {}


def _isolated(name: str, namespace: Mapping[str, Any] | None) -> _Isolated | None:
    """What is meant by a name in a module with this namespace; None for what everybody means."""
    if not namespace:
        return None
    importer = namespace.get("__package__") or namespace.get("__name__") or ""
    found = _BY_IMPORTER.get(importer.partition(".")[0])
    return found if found is not None and name.partition(".")[0] in found.names else None


def _importing(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """In place of `builtins.__import__`."""
    found = _isolated(name, globals) if level == 0 else None
    if found is not None:
        return found.load(name, fromlist)
    return _import(name, globals, locals, fromlist, level)


def _importing_module(name: str, package: str | None = None) -> Any:
    """In place of `importlib.import_module`."""
    found = None if name.startswith(".") else _isolated(name, sys._getframe(1).f_globals)
    if found is not None:
        found.load(name, None)
        return sys.modules[found.package + "." + name]
    return _import_module(name, package)


def install(table: Mapping[str, Mapping[str, Any]]) -> None:
    """`table`: owner -> "importers" and "names", top-level modules, and "directory", relative to this file's."""
    here = os.path.dirname(os.path.abspath(__file__))
    for owner, row in table.items():
        found = _Isolated(owner, row["names"], os.path.normpath(os.path.join(here, row["directory"])))
        for importer in (*row["importers"], found.package):
            _BY_IMPORTER[importer] = found
    builtins.__import__ = _importing
    importlib.import_module = _importing_module
