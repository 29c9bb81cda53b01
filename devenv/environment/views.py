"""The views of an environment, as values that say what they will be made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devenv.adapter import CargoSources, NodeModules, Package, SitePackages
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath

PYTHON_VIEW = ".devenv/python"
NPM_PREFIX = ".devenv/npm"
CARGO_VIEW = ".devenv/cargo"
R_VIEW = ".devenv/r/library"


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoLocks:
    """The Cargo projects of one environment: `locks` are their directories and what each lock means.

    `sources` is the tree of directories that stand for their sources. `around` tells compilers' surroundings apart: a
    name for the system packages, or for having none. `names`: what cargo's configuration calls sources already.
    """

    locks: tuple[tuple[str, CargoSources], ...]
    default_index: str | None
    names: Mapping[str, str]
    sources: StorePath
    around: str

    def files(self) -> dict[str, bytes]:
        """The view's files by their places in it."""
        from devenv.views.cargo import cargo_files

        return cargo_files(
            self.locks,
            sources=self.sources,
            shared=self.shared,
            around=self.around,
            default_index=self.default_index,
            names=self.names,
        )

    @property
    def shared(self) -> str:
        """Where checkouts share what cargo compiled of the sources: a view beside the store, as `Layout` has it."""
        from devenv.store.views import COMPILED

        store, name = os.path.split(self.sources)
        return os.path.join(os.path.dirname(store), "state/views", f"{name}{COMPILED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RPackages:
    """The library of R: `packages` by name, and the directory below the view where R and renv look for them."""

    packages: tuple[Package, ...]
    directory: str


View = NodeModules | SitePackages | CargoLocks | RPackages


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A view as a store object to be: its JSON text names every package it is made of.

    `root` is where the view goes, relative to the project. `view` and `trees` are what the text says, as values:
    `trees` maps a place (npm), a package's name (Python, R) or a crate's key to the object. `bytecode` maps names to the byte
    code of packages; the text leaves it out, because a view without it is complete.
    """

    kind: str
    root: str
    path: StorePath
    text: bytes
    references: tuple[StorePath, ...]
    view: View
    trees: Mapping[str, StorePath]
    bytecode: Mapping[str, StorePath]


def make_recipe(
    store_dir: StoreDir,
    kind: str,
    root: str,
    document: object,
    *,
    references: Iterable[StorePath],
    view: View,
    trees: Mapping[str, StorePath],
    bytecode: Mapping[str, StorePath] | None = None,
) -> Recipe:
    """The recipe with this document as its text. `references` may have doubles."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"
    unique = tuple(sorted(set(references)))
    return Recipe(
        kind=kind,
        root=root,
        path=store_dir.text_path(f"{kind}-view.json", Hash.of("sha256", text), unique),
        text=text,
        references=unique,
        view=view,
        trees=trees,
        bytecode=bytecode or {},
    )
