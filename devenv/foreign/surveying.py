"""What a tree of programs needs in order to run without a root: from itself, from a set of packages, from further packages.

Further ones are those of the base where the archive's indices say that they have a library.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from devenv.elf.errors import ElfError
from devenv.errors import DevenvError
from devenv.foreign.bundles import Bundle, open_bundle
from devenv.foreign.kinds import kind_of, shebang
from devenv.foreign.others import interpreter
from devenv.foreign.program import LOADERS, Program, read_program
from devenv.foreign.suppliers import Suppliers, base_for, newest
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.unpacking import ARCHIVES, unpacked
from devenv.formats.store_path import sanitize_name

_IMPLIED = frozenset({"libc6", "libgcc-s1"})  # no set is without them


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A library that something in the tree asks for. how: "needed", or by a note or a string "required", "recommended",
    "suggested", "guessed"; package: who has it, None if nobody or if the tree itself has it; bundled: where in the tree
    """

    soname: str
    architecture: str
    how: str
    by: tuple[str, ...]
    bundled: str | None = None
    package: str | None = None

    @property
    def unresolved(self) -> bool:
        return self.bundled is None and self.package is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script of the tree. interpreter: a path, or a name that env(1) looks up on PATH
    place: "host", the path of its interpreter in the tree, or None; package: who has it then
    """

    path: str
    interpreter: str
    place: str | None
    package: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a tree needs. source: the tree; programs: paths of what is patched; left: path -> why a file is left as it is
    added: packages that the set lacks
    """

    source: str
    name: str
    base: str
    programs: tuple[str, ...]
    left: dict[str, str]
    asked: tuple[Asked, ...]
    scripts: tuple[Script, ...]
    packages: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def unresolved(self) -> tuple[Asked, ...]:
        """Libraries without which something does not start."""
        return tuple(each for each in self.asked if each.unresolved and each.how in ("needed", "required"))


@dataclass(slots=True)
class _Names:
    """Who asks for a library, and how."""

    how: str
    by: list[str] = field(default_factory=list)


def survey(path: str, around: Surroundings, packages: Sequence[str], system: Sequence[str] = ()) -> Survey:
    """What the file, archive or directory `path` needs beyond the set `packages`, to which those of `system` belong as long
    as `around.base` is new enough for what is in the tree: they are named as that base has them.

    Raises ForeignError and DebianError.
    """
    kind = kind_of(path)
    source = unpacked(path, kind, around.cache) if kind in ARCHIVES else os.path.realpath(path)
    name = sanitize_name(os.path.basename(os.path.abspath(path)))
    bundle = open_bundle(source) if os.path.isdir(source) else _of_file(source)
    left: dict[str, str] = {}
    programs = list(_dynamic(bundle, around, left))
    if not programs and not left and not any(_scripts_of(bundle)):
        raise DevenvError(f"{path} has no program or library in it, so there is nothing to patch")
    base = base_for(
        newest([v for each in programs for wanted in each.versions.values() for v in wanted]), around.base
    )
    given = sorted({*packages, *(system if base == around.base else ())})
    with around.suppliers(base) as suppliers:
        asked = tuple(_supplied(programs, bundle, suppliers))
        scripts = tuple(_judged(bundle, suppliers, around))
        implied = [_qualified(suppliers, "libc.so.6", each) for each in _architectures(programs)]
        notes = [f"{problem}" for problem in suppliers.problems]
    if system and base != around.base:
        notes.append(
            f"it needs {base}, so the system packages of the project, of {around.base}, do not count"
        )
    wanted = sorted(
        {each.package for each in asked if each.package is not None} | {each for each in implied if each}
    )
    known = {each.partition("=")[0].partition("/")[0] for each in given}
    return Survey(
        source=source,
        name=name,
        base=base,
        programs=tuple(os.path.relpath(each.path, bundle.directory) for each in programs),
        left=left,
        asked=asked,
        scripts=scripts,
        packages=tuple(sorted({*wanted, *given})),
        added=tuple(each for each in wanted if each not in known and each.partition(":")[0] not in _IMPLIED),
        notes=tuple(notes),
    )


def _of_file(path: str) -> Bundle:
    return Bundle(directory=os.path.dirname(path), files=(os.path.basename(path),), frameworks=())


def _dynamic(bundle: Bundle, around: Surroundings, left: dict[str, str]) -> Iterator[Program]:
    """The files that can be patched; why others cannot goes to `left`."""
    for name in bundle.files:
        path = bundle.path(name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        try:
            if kind_of(path) not in ("elf", "appimage-1", "appimage-2"):
                continue
            program = read_program(path)
        except DevenvError as error:
            left[name] = error.found if isinstance(error, ElfError) else str(error)
            continue
        reason = _why_left(program, around.machine)
        if reason is None:
            yield program
        elif reason:
            left[name] = reason


def _why_left(program: Program, machine: str) -> str | None:
    """None for what is patched; "" for what needs no word."""
    if program.role in ("object", "core"):
        return ""
    if program.role == "library" and not program.needed:
        return ""
    if program.static:
        return "static: it needs no loader and no libraries"
    if program.libc in ("musl", "bionic"):
        return f"for the C library {program.libc}: no package has libraries for that"
    if program.architecture is None or program.architecture not in LOADERS:
        return f"for {program.machine}: there are no packages for that"
    if program.architecture != machine and (machine, program.architecture) not in (
        ("amd64", "i386"),
        ("arm64", "armhf"),
    ):
        return f"for {program.machine}: this machine does not run that"
    return None


def _architectures(programs: Iterable[Program]) -> list[str]:
    return sorted({each.architecture for each in programs if each.architecture is not None})


def _supplied(programs: Sequence[Program], bundle: Bundle, suppliers: Suppliers) -> Iterator[Asked]:
    for architecture in _architectures(programs):
        brought = bundle.libraries(architecture)
        own = [each for each in programs if each.architecture == architecture]
        for soname, names in _asked_for(own, bundle).items():
            home = brought.get(os.path.basename(soname))
            package = None if home is not None else _qualified(suppliers, soname, architecture)
            if home is None and package is None and names.how == "guessed":
                continue  # a string like a library's name that no package has is just a string
            yield Asked(
                soname=soname,
                architecture=architecture,
                how=names.how,
                by=tuple(dict.fromkeys(names.by)),
                bundled=None if home is None else os.path.relpath(home, bundle.directory),
                package=package,
            )


def _asked_for(programs: Sequence[Program], bundle: Bundle) -> dict[str, _Names]:
    """Soname -> who asks for it. Of alternatives that a note gives, the first stands for all."""
    found: dict[str, _Names] = {}
    for program in programs:
        wanted = [(soname, "needed") for soname in program.needed]
        wanted += [(opening.sonames[0], opening.priority) for opening in program.openings]
        for soname, how in wanted:
            names = found.setdefault(soname, _Names(how))
            names.how = "needed" if how == "needed" else names.how
            names.by.append(os.path.relpath(program.path, bundle.directory))
    return found


def _qualified(suppliers: Suppliers, soname: str, architecture: str) -> str | None:
    package = suppliers.library(soname, architecture)
    return None if package is None else suppliers.qualified(package, architecture)


def _scripts_of(bundle: Bundle) -> Iterator[str]:
    for name in bundle.files:
        path = bundle.path(name)
        if os.access(path, os.X_OK) and os.path.isfile(path) and not os.path.islink(path) and shebang(path):
            yield name


def _judged(bundle: Bundle, suppliers: Suppliers, around: Surroundings) -> Iterator[Script]:
    """Where the interpreters of the scripts are: on this machine, in the tree by the end of their path, or nowhere."""
    for name in _scripts_of(bundle):
        read_by, here = interpreter(shebang(bundle.path(name)), around.path)
        inside = None if here else _inside(read_by, bundle)
        package = None
        if not here and inside is None:
            package = suppliers.program(os.path.basename(read_by), around.machine)
        yield Script(path=name, interpreter=read_by, place="host" if here else inside, package=package)


def _inside(read_by: str, bundle: Bundle) -> str | None:
    """/opt/tool/bin/python of a tree that has bin/python; for a mere name, what the tree has in bin."""
    parts = read_by.strip("/").split("/") if "/" in read_by else ["bin", read_by]
    files = set(bundle.files)
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in files and os.access(bundle.path(end), os.X_OK)), None)
