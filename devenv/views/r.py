"""A library of R as a view: one directory with a link for each package, as renv itself makes them from its cache.

    <directory>/<package>   -> the package in the store, below the root, for "R-4.5/x86_64-pc-linux-gnu"

The directory is a real one of the project, so that install.packages() and renv::install() put what they make beside the
links, or in the place of one.
"""

from __future__ import annotations

from collections.abc import Mapping

from devenv.views.operations import Op, Symlink


def library_ops(trees: Mapping[str, str], directory: str) -> list[Op]:
    """The operations of the view. `trees`: the library of each package by its name."""
    return [Symlink(dest=f"{directory}/{name}", target=f"{trees[name]}/{name}") for name in sorted(trees)]
