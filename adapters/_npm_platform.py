"""Packages for this platform that a lock forgot.

A native package often comes as a family of optional dependencies, one per platform, told apart by words in
their names: "@rollup/rollup-linux-x64-gnu", "@esbuild/darwin-arm64". npm, when it writes a lock over an
existing node_modules, sometimes records only the member of the machine it runs on, or none. On another
platform the dependent then fails when it is run; the lock is known to be wrong before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from devenv.adapter import AdapterError, Target
from devenv.adapters._fields import Faults
from devenv.adapters._npm_lock import Entry
from devenv.adapters._npm_tree import Tree, node_names

_OS = {
    **{
        name: name
        for name in ("aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "sunos", "win32")
    },
    "openharmony": "openharmony",
    "windows": "win32",
    "macos": "darwin",
    "linuxmusl": "linux",
}
_CPU = {
    **{
        n: n
        for n in ("arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32")
    },
    "aarch64": "arm64",
    "amd64": "x64",
    "x86_64": "x64",
    "ppc64le": "ppc64",
    "armv7": "arm",
    "universal": "universal",
}
_LIBC = {
    **dict.fromkeys(("gnu", "glibc", "gnueabihf", "gnueabi"), "glibc"),
    **dict.fromkeys(("musl", "musleabihf", "musleabi", "linuxmusl"), "musl"),
}
_WORD = re.compile(r"x86_64|[a-z0-9]+|[^a-z0-9]+")


def missing_platform_packages(
    tree: Tree, entries: Iterable[Entry], target: Target, omit: frozenset[str]
) -> None:
    """Raise `AdapterError`s for families that have a member for the platform, which the lock lacks."""
    if "optional" in omit:
        return
    faults = Faults()
    for entry in entries:
        if entry.link or not entry.optional_dependencies:
            continue
        for family in _families(entry.optional_dependencies).values():
            wanted = [name for name in family if _is_for(family[name], target)]
            if len(family) > 1 and wanted and not any(tree.resolve(entry.place, name) for name in wanted):
                faults.add(_missing(tree, entry, wanted[0], family))
    faults.report()


Words = tuple[str, str, str | None]


def platform_words(name: str) -> tuple[str, Words] | None:
    """The stem of a platform package's name and its (os, cpu, libc); None for a name without os and cpu."""
    os = cpu = libc = None
    stem = []
    for word in _WORD.findall(name.lower()):
        os, cpu, libc = os or _OS.get(word), cpu or _CPU.get(word), libc or _LIBC.get(word)
        if word not in _OS and word not in _CPU and word not in _LIBC and word.isalnum():
            stem.append(word)
    return ("/".join(stem), (os, cpu, libc)) if os and cpu else None


def _families(names: Iterable[str]) -> dict[str, dict[str, Words]]:
    """Names of one stem together, each with its words."""
    families: dict[str, dict[str, Words]] = {}
    for name in names:
        found = platform_words(name)
        if found:
            families.setdefault(found[0], {})[name] = found[1]
    return families


def _is_for(words: Words, target: Target) -> bool:
    os, cpu, libc = node_names(target)
    return words[:2] == (os, cpu) and words[2] in (None, libc)


def _missing(tree: Tree, entry: Entry, name: str, family: Iterable[str]) -> AdapterError:
    present = [n for n in family if tree.resolve(entry.place, n)]
    others = f"has only {', '.join(present)}" if present else "has none of its kind"
    return tree.lock.fault(
        entry.place,
        "optionalDependencies",
        f"{entry.label} needs {name} on this platform, but the lock {others}: "
        "npm forgot it when it wrote the lock on another system",
        hint="Let npm complete the lock: rm -rf node_modules && npm install --package-lock-only "
        f"(before npm 11 remove {tree.lock.file} as well).",
    )
