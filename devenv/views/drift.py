"""What was installed over an environment by hand: where it is no longer what the lockfiles say.

A Python environment is compared by the metadata directories of its site-packages (PEP 376: NAME-VERSION.dist-info), so that
whatever installed them, pip or uv, is found. Packages that `npm install -g` has put into the project are none of any lockfile.
A library of R holds a link for each package of the lockfile; what is no such link was put there by R or renv.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from devenv.adapter import SitePackages

_MAX_DESCRIPTION = 1 << 16  # bytes; the version is in the first lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One package. `locked` None: no lockfile has it; `found` None: it is gone."""

    view: str
    name: str
    locked: str | None
    found: str | None

    @property
    def sentence(self) -> str:
        if self.locked is None:
            return f"{self.name} {self.found} was installed on top, and is in no lockfile"
        if self.found is None:
            return f"{self.name} {self.locked} was removed"
        return f"{self.name} is {self.found}, and {self.locked} in the lockfile"


def python_drift(root: str, view: SitePackages, shown: str) -> tuple[Drift, ...]:
    """How the environment at `root` differs from `view`; nothing where it is not composed. `shown`: what to call it."""
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for path in glob.glob(os.path.join(glob.escape(root), "lib/python3.*/site-packages/*.dist-info")):
        name, _, version = os.path.basename(path).removesuffix(".dist-info").rpartition("-")
        if name:
            found[canonicalize_name(name)] = version
    if not os.path.isdir(root):
        return ()
    locked = {package.name: package.version for package in view.packages}
    own = {canonicalize_name(editable.name) for editable in view.editables}
    rows = [
        Drift(view=shown, name=name, locked=locked.get(name), found=found.get(name))
        for name in sorted((locked.keys() | found.keys()) - own)
        if not _is_same(locked.get(name), found.get(name))
    ]
    return tuple(rows)


def _is_same(locked: str | None, found: str | None) -> bool:
    """A version that is known only once it is built ("") is any; others may be spelled in several ways."""
    from packaging.version import Version

    if locked is None or found is None:
        return False
    if locked in ("", found):
        return True
    try:
        wanted, there = Version(locked), Version(found)
    except ValueError:  # InvalidVersion, and what int() says of thousands of digits
        return False
    return wanted == there or (wanted.local is None and wanted.public == there.public)


def npm_drift(prefix: str, shown: str) -> tuple[Drift, ...]:
    """The packages that were installed globally into the directory `prefix`, which no lockfile knows."""
    modules = os.path.join(glob.escape(prefix), "lib/node_modules")
    rows = []
    for path in (*glob.glob(f"{modules}/[!@.]*"), *glob.glob(f"{modules}/@*/*")):
        try:
            with open(os.path.join(path, "package.json"), encoding="utf-8") as file:
                version = json.load(file).get("version")
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
        name = os.path.relpath(path, os.path.join(prefix, "lib/node_modules"))
        rows.append(Drift(view=shown, name=name, locked=None, found=str(version)))
    return tuple(sorted(rows, key=lambda row: row.name))


def r_drift(
    library: str, locked: Mapping[str, str], trees: Mapping[str, str], shown: str
) -> tuple[Drift, ...]:
    """How the library of R at the directory `library` differs from `locked`, name -> version; nothing where there is none.

    trees: name -> the store object that its link leads into
    """
    try:
        found = {
            name: os.path.join(library, name) for name in os.listdir(library) if not name.startswith(".")
        }
    except OSError:
        return ()
    rows = []
    for name in sorted(locked.keys() | found.keys()):
        if name not in found:
            rows.append(Drift(view=shown, name=name, locked=locked[name], found=None))
        elif name not in locked or not _leads_to(found[name], f"{trees[name]}/{name}"):
            version = _described_version(found[name])
            if version is not None:  # else what R leaves while it installs: 00LOCK-NAME and the like
                rows.append(Drift(view=shown, name=name, locked=locked.get(name), found=version))
    return tuple(row for row in rows if row.locked != row.found)


def _leads_to(path: str, target: str) -> bool:
    try:
        return os.readlink(path) == target
    except OSError:
        return False


def _described_version(package: str) -> str | None:
    """The version that an installed package of R says it has. See "The DESCRIPTION file" in Writing R Extensions."""
    try:
        with open(os.path.join(package, "DESCRIPTION"), encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_DESCRIPTION).splitlines()
    except OSError:
        return None
    return next(
        (line.removeprefix("Version:").strip() for line in lines if line.startswith("Version:")), None
    )
