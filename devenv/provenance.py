"""Where a variable, an entry of a search path or a command of a project's environment comes from."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from devenv.departures import departures_of
from devenv.env.describe import entries_at, operation_text, operations
from devenv.env.enter import apply_steps
from devenv.env.spec import PROJECT_VARIABLE, Append, Prepend
from devenv.errors import DevenvError
from devenv.explanation import environment_packages, read_environment
from devenv.fhs.entering import root_of

YOURS = "your own session"
_HASH_LENGTH = 33  # of a store path's name, with the dash
_MOST_BYTES = 4 * 1024 * 1024  # of a list of installed files


@dataclass(frozen=True, slots=True)
class Reason:
    """A thing that is done, or a place that is found, and what brings it about: file and line, package, session."""

    what: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a word is and why it is so. `kind`: variable, entry, alias, function, script, program.

    `reasons` stand in the order in which they are found; `notes` are sentences.
    """

    kind: str
    name: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...] = field(default=())


class Surroundings:
    """The present environment of a project, in a process with these variables. Raises DevenvError where it has none."""

    def __init__(self, project: str | None, environ: Mapping[str, str]) -> None:
        found = read_environment(project) if project is not None else None
        if project is None or found is None:
            raise DevenvError(
                "there is no environment here that could be asked", hint="`devenv enter` makes one"
            )
        self.project = project
        self.environ = environ
        self.place, self.spec = found
        self.operations = operations(self.spec, self.place)
        self.root = root_of(self.place)

    def variable(self, name: str) -> Answer | None:
        """What is done to a variable; None for one that the environment leaves alone and nobody has set."""
        if name == PROJECT_VARIABLE:
            return Answer(
                kind="variable", name=name, reasons=(Reason(f"= {self.project!r}", "every environment"),)
            )
        todo = self.operations.get(name)
        value = self.environ.get(name)
        if todo is None:
            if value is None:
                return None
            return Answer(kind="variable", name=name, reasons=(Reason(f"= {value!r}", YOURS),))
        reasons = tuple(Reason(operation_text(each), each.origin) for each in reversed(todo))
        wrong = departures_of(name, todo, self.project, value)
        notes = tuple(f"in this shell: {each.found}" for each in wrong)
        return Answer(kind="variable", name=name, reasons=reasons, notes=notes[:1])

    def entry(self, path: str) -> Answer | None:
        """Who puts a directory into a list; None where nobody does. `path` may be relative to here or to the project."""
        if "/" not in path and path not in (".", ".."):
            return None
        wanted = {os.path.normpath(path), os.path.abspath(path), os.path.join(self.project, path)}
        wanted = {os.path.normpath(each) for each in wanted}
        reasons = []
        for name, todo in self.operations.items():
            for operation in reversed(todo):
                if isinstance(operation, Prepend | Append):
                    entries = {os.path.normpath(each) for each in entries_at(operation, self.project)}
                    if entries & wanted:
                        side = "in front of" if isinstance(operation, Prepend) else "behind"
                        reasons.append(Reason(f"{side} {name}", operation.origin))
        if not reasons:
            own = self.environ.get("PATH", "").split(":")
            reasons = [Reason("in PATH", YOURS)] if wanted & set(own) else []
        return Answer(kind="entry", name=path, reasons=tuple(reasons)) if reasons else None

    def command(self, name: str) -> Answer | None:
        """What a command's name stands for in the environment, and what of the same name stands behind it."""
        found = [
            Reason(place, self._origin_of(entry, place))
            for entry, place in _programs(name, self._path(), self.root or "")
        ]
        behind = tuple(f"before {each.what} ({each.origin})" for each in found)
        if name in self.spec.aliases:
            words = " ".join(self.spec.aliases[name])
            return Answer(
                kind="alias",
                name=name,
                reasons=(Reason(words, self._declared("aliases", name)),),
                notes=behind,
            )
        if name in self.spec.functions:
            shells = f"for {', '.join(self.spec.functions[name])}"
            reason = Reason(shells, self._declared("functions", name))
            return Answer(kind="function", name=name, reasons=(reason,), notes=behind)
        if name in self.spec.scripts:
            reason = Reason(os.path.join(self.place, "bin", name), self._declared("scripts", name))
            return Answer(kind="script", name=name, reasons=(reason,), notes=behind[1:])
        if found:
            return Answer(kind="program", name=name, reasons=(found[0],), notes=behind[1:])
        return None

    def _declared(self, table: str, name: str) -> str:
        return self.spec.origins.get(f"{table}.{name}", f"[{table}] of devenv.toml")

    def _path(self) -> list[str]:
        inside = apply_steps(self.place, self.project, self.environ)
        return list(dict.fromkeys(filter(None, inside.get("PATH", "").split(":"))))

    def _origin_of(self, entry: str, program: str) -> str:
        for operation in self.operations.get("PATH", ()):
            if isinstance(operation, Prepend | Append) and entry in entries_at(operation, self.project):
                package = self._package_of(program)
                return f"{package}, {operation.origin}" if package else operation.origin
        if self.root is not None and program.startswith(f"{self.root}/"):
            return f"{self._system_package(program.removeprefix(self.root))}, packages.system"
        return YOURS

    def _system_package(self, inside: str) -> str:
        """The package that has a file of the root, as the recipe lists them; it is hard-linked from there."""
        text = _text(self.spec.root or "")
        packages: list[str] = json.loads(text).get("packages", []) if text else []
        for path in packages:
            if os.path.lexists(path + inside) or os.path.lexists(f"{path}/usr{inside}"):
                return os.path.basename(path)[_HASH_LENGTH:]
        return "the configuration of system packages"

    def _package_of(self, program: str) -> str | None:
        """The package that brought a program, as the views show it."""
        real = os.path.realpath(program)
        packages = environment_packages(self.project)
        for package in packages:
            if real.startswith((f"{package.path}/", f"{self.project}/{package.place}/")):
                return f"{package.name} {package.version}"
        inside = [view.root for view in self.spec.views if view.kind == "node_modules"]
        for root in inside:
            base = os.path.normpath(os.path.join(self.project, root))
            owners = [each for each in packages if real.startswith(f"{base}/{each.place}/")]
            if owners:
                owner = max(owners, key=lambda each: len(each.place))
                return f"{owner.name} {owner.version}"
        return _python_owner(program)


def _programs(name: str, path: Sequence[str], root: str) -> Iterator[tuple[str, str]]:
    """Every program of this name, with the entry of PATH that it is in, in the order of finding.

    root: of system packages, whose directories stand before the machine's
    """
    if "/" in name:
        return
    for entry in path:
        place = os.path.join(root + entry if root and os.path.isdir(root + entry) else entry, name)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            yield entry, place


def _text(path: str) -> str:
    """The text of a file of the store, "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _python_owner(program: str) -> str | None:
    """The distribution whose RECORD lists a program of a Python environment, as the core metadata specs have it."""
    folder, name = os.path.split(program)
    pattern = os.path.join(
        glob.escape(os.path.dirname(folder)), "lib/python*/site-packages/*.dist-info/RECORD"
    )
    for record in glob.glob(pattern):
        try:
            with open(record, encoding="utf-8", errors="replace") as file:
                text = file.read(_MOST_BYTES)
        except OSError:
            continue
        if f"/bin/{name}," in text:
            project, _, version = (
                os.path.basename(os.path.dirname(record)).removesuffix(".dist-info").partition("-")
            )
            return f"{project} {version}"
    return None
