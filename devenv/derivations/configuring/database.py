"""dpkg's database for a set of packages that are all installed: what its programs and maintainer scripts look up.

Sources: dpkg-query(1), deb-substvars(5) for the order of fields, dpkg's manual of its `status` file. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from devenv.derivations.configuring.packages import Package

STATUS = "var/lib/dpkg/status"
ARCHITECTURES = "var/lib/dpkg/arch"
FORMAT, FORMAT_TEXT = (
    "var/lib/dpkg/info/format",
    "1\n",
)  # files of a package may have its architecture in their names

_FIELDS = (
    "Essential", "Protected", "Priority", "Section", "Installed-Size", "Maintainer", "Architecture", "Multi-Arch",
    "Source", "Version", "Replaces", "Provides", "Depends", "Pre-Depends", "Recommends", "Suggests", "Breaks",
    "Conflicts", "Enhances",
)  # fmt: skip
_LATER_FIELDS = ("Description", "Homepage")

# The contents of a file of the root by its absolute path; None where there is none.
Contents = Callable[[str], bytes | None]


def status(packages: Iterable[Package], contents: Contents) -> str:
    """The file `status`. `contents` is asked for configuration files, whose MD5 dpkg keeps."""
    return "".join(_stanza(package, contents) for package in packages)


def _stanza(package: Package, contents: Contents) -> str:
    lines = [f"Package: {package.name}", "Status: install ok installed"]
    lines += [f"{name}: {package.fields[name.lower()]}" for name in _FIELDS if name.lower() in package.fields]
    conffiles = [(path, contents(path)) for path in package.conffiles]
    known = [(path, data) for path, data in conffiles if data is not None]
    if known:
        lines.append("Conffiles:")
        lines += [f" {path} {hashlib.md5(data, usedforsecurity=False).hexdigest()}" for path, data in known]
    lines += [
        f"{name}: {package.fields[name.lower()]}" for name in _LATER_FIELDS if name.lower() in package.fields
    ]
    return "\n".join(lines) + "\n\n"


def architectures(packages: Iterable[Package], native: str) -> str:
    """The file `arch`: the architecture of the machine, then the foreign ones."""
    foreign = {package.architecture for package in packages} - {native, "all"}
    return "".join(f"{name}\n" for name in (native, *sorted(foreign)))
