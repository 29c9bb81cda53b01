"""Libraries of which a program takes whichever version there is: their names are put together when it runs.

.NET looks for ICU and OpenSSL so. Versions before 5 stop at ICU 70 and OpenSSL 1.1, however new the system's are, and
without ICU no program starts that is not told to do without ("Globalization invariant mode" in .NET's documentation).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple

from devenv.foreign.bundles import Bundle

_MOST_JSON = 1 << 20  # bytes of a configuration that are read
_SHARED = "Microsoft.NETCore.App/"


class Family(NamedTuple):
    """glob: of sonames, ending in ".so.*"; most: the highest version, () for any; vital: nothing starts without"""

    glob: str
    most: tuple[int, ...] = ()
    vital: bool = False

    def version(self, soname: str) -> tuple[int, ...] | None:
        """What stands for the asterisk, as numbers; None for what is not of the family, or too new."""
        if not fnmatchcase(soname, self.glob):
            return None
        parts = soname.rpartition(".so.")[2].split(".")
        if not all(part.isascii() and part.isdigit() for part in parts):
            return None
        found = tuple(int(part) for part in parts)
        return found if not self.most or found[: len(self.most)] <= self.most else None

    def __str__(self) -> str:
        return self.glob + (f" up to {'.'.join(map(str, self.most))}" if self.most else "")


def families_of(bundle: Bundle | None) -> tuple[Family, ...]:
    """Those that a bundle needs and does not bring."""
    if bundle is None or ".NET" not in bundle.frameworks:
        return ()
    old = any(version < 5 for version in _runtimes(bundle))
    found = (
        Family("libicuuc.so.*", (70,) if old else (), vital=not _is_invariant(bundle)),
        Family("libssl.so.*", (1, 1) if old else ()),
    )
    names = [name.rpartition("/")[2] for name in bundle.library_files()]
    return tuple(family for family in found if best(family, names) is None)


def best(family: Family, sonames: Iterable[str]) -> str | None:
    """The name with the highest version of those that are of a family."""
    versions = {name: family.version(name) for name in sonames}
    fitting = {name: version for name, version in versions.items() if version is not None}
    return max(fitting, key=fitting.__getitem__, default=None)


def _runtimes(bundle: Bundle) -> Iterator[int]:
    """The first number of the version of each runtime that a bundle brings."""
    for name in bundle.files:
        before, _, rest = name.rpartition(_SHARED)
        major = rest.partition(".")[0]
        if rest and (not before or before.endswith("/")) and major.isascii() and major.isdigit():
            yield int(major)
    for options in _options(bundle):
        brought = options.get("includedFrameworks")
        for each in brought if isinstance(brought, list) else []:
            major = str(each.get("version", "")).partition(".")[0] if isinstance(each, dict) else ""
            if major.isascii() and major.isdigit():
                yield int(major)


def _is_invariant(bundle: Bundle) -> bool:
    properties = [options.get("configProperties") for options in _options(bundle)]
    return any(
        isinstance(each, dict) and each.get("System.Globalization.Invariant") is True for each in properties
    )


def _options(bundle: Bundle) -> Iterator[dict[str, object]]:
    """What the *.runtimeconfig.json of a bundle say."""
    for name in bundle.files:
        if name.endswith(".runtimeconfig.json"):
            with suppress(OSError, ValueError, RecursionError), open(bundle.path(name), "rb") as file:
                found = json.loads(file.read(_MOST_JSON))
                options = found.get("runtimeOptions") if isinstance(found, dict) else None
                if isinstance(options, dict):
                    yield options
