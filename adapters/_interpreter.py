"""The interpreter that packages are chosen for: its markers, its version, its wheel tags.

Sources: the dependency specifiers, version specifiers and platform compatibility tags of the Python
packaging specifications. A wheel's name is (binary distribution format)::

    NAME "-" VERSION ["-" BUILD] "-" PYTHONS "-" ABIS "-" PLATFORMS ".whl"

whose last three parts are alternatives joined by dots. `packaging` does the comparing of versions and
markers; reading thousands of file names is done here, without building objects for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from devenv.adapter import AdapterError, PythonTarget, Target
from devenv.adapters._fields import Table

# Every name that a marker may use, so that none is ever looked up on the machine that plans.
_MARKER_NAMES = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
# A comparison of `extra` with a literal; literals elsewhere are matched first, and left as they are.
_EXTRA = re.compile(r"""(?P<other>"[^"]*"|'[^']*')|\bextra\s*(?P<op>==|!=)\s*(?P<name>"[^"]*"|'[^']*')""")
_BUILD = re.compile(r"([0-9]+)(.*)", re.DOTALL)

Rank = tuple[int, int, str]


class Interpreter:
    """Answers questions about one `PythonTarget`.

    `name` is for people: "CPython 3.11 on linux x86_64 (glibc 2.36)".
    """

    def __init__(self, python: PythonTarget, target: Target, name: str) -> None:
        self.name = name
        self.system = target.system
        self.machine = target.machine
        self.version = python.markers.get("python_full_version") or python.version
        self._markers = dict.fromkeys(_MARKER_NAMES, "") | dict(python.markers)
        self._ranks = {tag.lower(): rank for rank, tag in reversed(list(enumerate(python.tags)))}
        columns = zip(*(tag.split("-") for tag in self._ranks), strict=True)
        self._known = tuple(frozenset(column) for column in columns) or (frozenset[str](),) * 3
        self._answers: dict[tuple[str, frozenset[str], frozenset[str]], bool] = {}

    def holds(
        self,
        marker: str,
        table: Table,
        key: str | None,
        *,
        extras: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
    ) -> bool:
        """Does `marker` hold with these `extras` and dependency groups? `table` and `key` say where it stands.

        `extra == "x"` means that x is among the extras, as `"x" in extras` does.
        Raises `AdapterError` for what is not a marker.
        """
        question = (marker, extras, groups)
        if question not in self._answers:
            try:
                self._answers[question] = self._evaluate(marker, extras, groups)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise table.fault(key, f"cannot evaluate the environment marker {marker[:200]!r}") from None
        return self._answers[question]

    def _evaluate(self, marker: str, extras: frozenset[str], groups: frozenset[str]) -> bool:
        from packaging.markers import Marker

        environment: dict[str, str | AbstractSet[str]] = {
            **self._markers,
            "extras": extras,
            "dependency_groups": groups,
        }
        return Marker(_EXTRA.sub(_as_membership, marker)).evaluate(environment, context="lock_file")

    def applies(
        self,
        table: Table,
        key: str = "marker",
        *,
        extras: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
    ) -> bool:
        """`holds` for the marker that `table` has under `key`; True when it has none."""
        marker = table.text(key)
        return not marker or self.holds(marker, table, key, extras=extras, groups=groups)

    def check_requirement(self, table: Table, key: str, subject: str) -> None:
        """Raise when the specifier under `key`, if any, excludes this interpreter. `subject`: who asks."""
        wanted = table.text(key)
        if not wanted:
            return
        from packaging.specifiers import SpecifierSet

        try:
            fits = SpecifierSet(wanted).contains(self.version, prereleases=True)
        except ValueError:
            raise table.fault(key, f"{wanted[:200]!r} is not a version specifier") from None
        if not fits:
            raise table.fault(
                key,
                f"{subject} needs Python {wanted}, the interpreter has version {self.version}",
                hint=f'Ask for another interpreter in devenv.toml: packages.python = "{_example(wanted)}".',
            )

    def rank(self, file_name: str) -> Rank | None:
        """How well the wheel fits: smaller is better, None when it does not run here."""
        parts = file_name.removesuffix(".whl").lower().rsplit("-", 3)
        if len(parts) != 4 or not file_name.endswith(".whl"):
            return None
        found = [self._ranks[tag] for tag in self._tags(parts[1:]) if tag in self._ranks]
        return (min(found), *_build_order(parts[0])) if found else None

    def _tags(self, parts: Sequence[str]) -> Iterable[str]:
        # Unknown alternatives go first, so that a name of thousands of them stays harmless.
        pythons, abis, platforms = (
            known.intersection(part.split(".")) for known, part in zip(self._known, parts, strict=True)
        )
        return (f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)


def interpreter_of(target: Target, file: str) -> Interpreter:
    """The interpreter of `target`. Raises `AdapterError` about the lockfile `file` when it has none."""
    python = target.python
    if python is None:
        raise AdapterError(
            f"{file}: choosing its packages needs a Python interpreter, and the project names none",
            hint='Add python = "3.11", or the version you use, to [packages] in devenv.toml.',
            file=file,
        )
    short = ".".join(python.version.split(".")[:2])
    name = f"{_implementation(python)} {short} on {target.system} {target.machine} ({_libc(target, python)})"
    return Interpreter(python, target, name)


def _implementation(python: PythonTarget) -> str:
    return {"cpython": "CPython", "pypy": "PyPy"}.get(python.implementation.lower(), python.implementation)


def _libc(target: Target, python: PythonTarget) -> str:
    """ "glibc 2.36": the version is that of the best manylinux or musllinux tag."""
    prefix = "musllinux_" if target.libc == "musl" else "manylinux_"
    versions = []
    for tag in python.tags:
        words = tag.rpartition("-")[2].split("_")
        if (
            tag.rpartition("-")[2].startswith(prefix)
            and len(words) > 3
            and words[1].isdigit()
            and words[2].isdigit()
        ):
            versions.append((int(words[1]), int(words[2])))
    return f"{target.libc} {max(versions)[0]}.{max(versions)[1]}" if versions else target.libc


def _as_membership(match: re.Match[str]) -> str:
    if match["other"] is not None:
        return match["other"]
    return f"{match['name']} {'in' if match['op'] == '==' else 'not in'} extras"


def _build_order(head: str) -> tuple[int, str]:
    """The build number of NAME-VERSION[-BUILD], so that the highest sorts first."""
    parts = head.split("-")
    match = _BUILD.fullmatch(parts[2]) if len(parts) == 3 else None
    if match is None or len(match[1]) > 18:
        return (0, "")
    return (-int(match[1]), match[2])


def _example(specifier: str) -> str:
    """A version for a hint: the first number that a specifier names."""
    found = re.search(r"[0-9]+\.[0-9]+", specifier)
    return found[0] if found else "3.13"
