"""From a file to its verdict: recognise, unpack, read what is started and what it brings, ask who has the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from devenv.elf.errors import DamagedElf, ElfError
from devenv.foreign import others
from devenv.foreign.bundles import Bundle, bundle_of, main_program, open_bundle
from devenv.foreign.errors import ForeignError
from devenv.foreign.kinds import kind_of, shebang
from devenv.foreign.loading import Library
from devenv.foreign.needs import Needs, needs_of
from devenv.foreign.program import ALSO_RUNS, Program, read_program
from devenv.foreign.suppliers import Suppliers, base_for, newest
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.systems import System
from devenv.foreign.unpacking import ARCHIVES, unpacked
from devenv.foreign.verdict import HOST, NOTHING, ROOT, WORDS, Missing, Verdict, dotted

_MOST_PROGRAMS = 24  # of a bundle whose launcher is a script


def judge(path: str, around: Surroundings) -> Verdict:
    """The verdict on a file or directory. Raises ForeignError, DamagedElf, and what archives raise."""
    kind = kind_of(path)
    if kind == "directory":
        return _judge_directory(path, path, kind, open_bundle(path), around)
    if kind in ARCHIVES:
        place = unpacked(path, kind, around.cache)
        verdict = _judge_directory(path, place, kind, open_bundle(place), around)
        return _with_declared(verdict, place, around) if kind == "deb" else verdict
    if kind == "elf":
        return _judge_elf(path, around)
    if kind == "script":
        return _judge_script(path, path, kind, bundle_of(path, around.home), around)
    return others.judge_other(path, kind, around.base, around.path)


def _with_declared(verdict: Verdict, place: str, around: Surroundings) -> Verdict:
    """The verdict on a Debian package with what it says that it depends on, which is in its root, too."""
    title, architecture, names = others.declared(verdict.path, place)
    if verdict.route == NOTHING and verdict.architecture is not None:
        return replace(verdict, subject=f"{title}, {verdict.subject}")
    base = verdict.base or around.base
    with around.suppliers(base) as suppliers:
        wanted = architecture if architecture != "all" else around.machine
        found = {suppliers.qualified(name, wanted) or name for name in names}
    return replace(
        verdict,
        subject=verdict.subject.replace(WORDS["deb"], title, 1),
        route=ROOT,
        base=base,
        packages=tuple(sorted({*verdict.packages, *found})),
    )


def _judge_elf(path: str, around: Surroundings) -> Verdict:
    try:
        program = read_program(path)
    except DamagedElf as error:
        raise ForeignError(
            path,
            f"is a damaged ELF file: {error.found}",
            hint="The download may be incomplete: fetch it again, and compare its checksum.",
        ) from error
    bundle = bundle_of(path, around.home) if program.role == "program" and not program.static else None
    return _judge_program(path, "elf", path, program, bundle, around)


def _judge_directory(path: str, place: str, kind: str, bundle: Bundle, around: Surroundings) -> Verdict:
    main = main_program(bundle) if kind != "wheel" else None
    if main is None:
        return _judge_parts(path, kind, bundle, around)
    start = bundle.path(main)
    found = kind_of(start)
    if found == "script":
        return _judge_script(path, start, kind, bundle, around)
    verdict = _judge_program(path, kind, start, read_program(start), bundle, around)
    return replace(
        verdict, subject=f"{WORDS.get(kind, kind)}, {verdict.subject}", frameworks=bundle.frameworks
    )


def _judge_parts(path: str, kind: str, bundle: Bundle, around: Surroundings) -> Verdict:
    """A directory in which nothing is to be started: the native parts of a package, or several programs."""
    parts = list(_readable(bundle.path(name) for name in _elf_files(bundle)))
    runnable = [each for each in parts if each.role == "program"]
    verdict = _judge_natives(path, kind, None, parts, bundle, around)
    if parts:
        verdict = replace(verdict, subject=f"{WORDS.get(kind, kind)}, {verdict.subject}")
    if not runnable:
        return verdict
    names = ", ".join(os.path.relpath(each.path, bundle.directory) for each in runnable[:6])
    return replace(
        verdict, notes=(*verdict.notes, f"it holds several programs; name the one to run: {names}")
    )


def _elf_files(bundle: Bundle) -> list[str]:
    libraries = set(bundle.library_files())
    more = [
        name
        for name in bundle.files
        if name not in libraries
        and os.access(bundle.path(name), os.X_OK)
        and "." not in os.path.basename(name)
    ]
    return [*more[:_MOST_PROGRAMS], *sorted(libraries)]


def _readable(paths: Iterable[str]) -> Iterable[Program]:
    for path in paths:
        try:
            if kind_of(path) == "elf":
                yield read_program(path)
        except (ElfError, ForeignError):
            continue  # something else that is called as a library is


def _judge_script(path: str, script: str, kind: str, bundle: Bundle | None, around: Surroundings) -> Verdict:
    words = list(shebang(script))
    name, here = others.interpreter(words, around.path)
    programs: list[Program] = []
    if bundle is not None:
        programs = [
            each
            for each in _readable(bundle.path(name) for name in _elf_files(bundle))
            if each.role == "program" or not _is_shell(name)
        ]
    verdict = _judge_natives(path, kind, script, programs, bundle, around)
    notes = list(verdict.notes)
    reasons = list(verdict.reasons)
    packages = list(verdict.packages)
    route = verdict.route
    if around.forced and route == HOST:
        route, packages = ROOT, [*packages, *around.packages]
        reasons = ["asked for", *reasons]
    if not here:
        reasons.insert(0, f"its interpreter {name} is not on this machine")
        route = ROOT if route == HOST else route
    base = verdict.base or around.base
    if route == ROOT and not _is_shell(name):
        with around.suppliers(base) as suppliers:
            package = suppliers.program(os.path.basename(name), around.machine)
        if package is None:
            notes.append(f"no package of {base} has the interpreter {name}")
            route = NOTHING if not here else route
        else:
            packages.append(package)
    subject = f"script for {name}" + (f", with {verdict.subject}" if programs else "")
    return replace(
        verdict,
        kind=kind,
        subject=subject if kind in ("script", "directory") else f"{WORDS.get(kind, kind)}, {subject}",
        route=route,
        start=script,
        interpreter=name,
        base=base if route == ROOT else None,
        packages=tuple(dict.fromkeys(packages)) if route == ROOT else (),
        reasons=tuple(each for each in reasons if each != _ALL_HERE or route == HOST),
        notes=tuple(notes),
    )


def _is_shell(name: str) -> bool:
    return os.path.basename(name) in ("sh", "bash", "dash")


_ALL_HERE = "everything it needs is on this machine"


def _judge_natives(
    path: str,
    kind: str,
    start: str | None,
    programs: Sequence[Program],
    bundle: Bundle | None,
    around: Surroundings,
) -> Verdict:
    """A script or package with native parts: the parts for this machine decide, those for others are left aside."""
    fitting = [each for each in programs if _runs_here(each, around.machine)]
    frameworks = bundle.frameworks if bundle is not None else ()
    if not fitting:
        foreign = sorted({each.machine for each in programs})
        if foreign and start is None:
            return _foreign(path, kind, programs[0], around)
        reasons = (_ALL_HERE,)
        return Verdict(
            path=path, kind=kind, subject=f"{WORDS.get(kind, kind)} without native parts", route=HOST, reasons=reasons,
            start=start, frameworks=frameworks,
        )  # fmt: skip
    fitting.sort(key=lambda each: each.role != "program")
    first = fitting[0]
    verdict = _judge_program(path, kind, start or first.path, first, bundle, around, with_it=fitting[1:])
    return replace(verdict, frameworks=frameworks, start=start)


def _runs_here(program: Program, machine: str) -> bool:
    return program.architecture == machine or program.architecture in ALSO_RUNS.get(machine, ())


def _foreign(path: str, kind: str, program: Program, around: Surroundings) -> Verdict:
    order = f"{program.bits}-bit {program.machine}"
    return Verdict(
        path=path,
        kind=kind,
        subject=_subject(program),
        route=NOTHING,
        reasons=(f"it is for another architecture: {order}; this machine is {around.machine}",),
        start=program.path,
        architecture=program.architecture,
        libc=program.libc,
        interpreter=program.interpreter,
        notes=(
            f"look for a download for {around.machine}; the package qemu-user can run programs of other architectures, slowly",
        ),
    )


def _subject(program: Program) -> str:
    what = "static program" if program.static else program.role
    language = f" written in {program.language}" if program.language else ""
    libc = f", {program.libc}" if program.libc else ""
    return f"{what}{language} for {program.machine} ({program.bits}-bit){libc}"


def _judge_program(
    path: str,
    kind: str,
    start: str,
    program: Program,
    bundle: Bundle | None,
    around: Surroundings,
    with_it: Sequence[Program] = (),
) -> Verdict:
    if not _runs_here(program, around.machine):
        return _foreign(path, kind, program, around)
    if program.role in ("object", "core"):
        raise ForeignError(path, f"is no program but an ELF {program.role} file", hint="It cannot be run.")
    found = needs_of(program, bundle, around.host, with_it)
    verdict = Verdict(
        path=path,
        kind=kind,
        subject=_subject(program) + (f", with {len(with_it)} more native files" if with_it else ""),
        route=HOST,
        reasons=(),
        start=start,
        architecture=program.architecture,
        libc=program.libc,
        interpreter=program.interpreter,
        libraries=found.libraries,
        wanted={name: dotted(number) for name, number in newest(found.versions).items()},
        present=_present(found, around.host, program),
        features=tuple(feature.name for feature in found.features),
        frameworks=bundle.frameworks if bundle is not None else (),
        beside=found.beside,
    )
    refused = _cannot_load(program)
    if refused is not None and not around.host.exists("/lib/ld-musl-x86_64.so.1"):
        return replace(verdict, route=NOTHING, reasons=(refused,), notes=("look for the build for glibc",))
    reasons = _why_not_here(program, found, around)
    if not reasons and not around.forced:
        return replace(verdict, reasons=(_ALL_HERE if program.needed else "it needs no libraries",))
    if around.forced:
        reasons = ["asked for", *reasons]
    return _in_root(verdict, program, found, reasons, around)


def _present(found: Needs, host: System, program: Program) -> dict[str, str]:
    """The newest versions that this machine's own libraries define, of the names that are asked for."""
    names = newest(found.versions)
    there: list[str] = []
    if program.libc == "musl":
        return {}
    for library in ("libc.so.6", "libstdc++.so.6"):
        path = host.find(library, program.architecture or "")
        there += host.versions(path) if path else ()
    return {name: dotted(number) for name, number in newest(there).items() if name in names}


def _why_not_here(program: Program, found: Needs, around: Surroundings) -> list[str]:
    reasons = []
    if program.interpreter is not None and not around.host.exists(program.interpreter):
        reasons.append(f"its loader {program.interpreter} is not on this machine")
    required = [each for each in found.libraries if each.soname not in found.optional]
    missing = [each.soname for each in required if each.where == "missing"]
    if missing:
        reasons.append(f"missing here: {_listed(missing)}")
    lacking = newest([version for each in required for version in each.lacking])
    reasons += [
        f"it needs {name} {dotted(number)}, and this machine's is older"
        for name, number in sorted(lacking.items())
    ]
    beside = [each.soname for each in required if each.where == "beside"]
    if beside:
        reasons.append(f"its run path does not lead to what it brings: {_listed(beside)}")
    reasons += [f"it opens libraries for {name} that are not here" for name in found.silent]
    return reasons


def _cannot_load(program: Program) -> str | None:
    """A library serves only programs of its own C library: no root mends that."""
    if program.role != "library" or program.libc != "musl":
        return None
    return "it is a library for programs that are built for musl; those built for glibc, as most are, cannot load it"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _in_root(
    verdict: Verdict, program: Program, found: Needs, reasons: list[str], around: Surroundings
) -> Verdict:
    base = base_for(newest(found.versions), around.base)
    first: tuple[Verdict, int] | None = None
    for candidate in _candidates(base, found):
        with around.suppliers(candidate) as suppliers:
            made = _supplied(verdict, program, found, suppliers, around)
            made = replace(made, notes=(*made.notes, *(f"{each}" for each in suppliers.problems)))
            offline = bool(suppliers.problems)
        lacking = len(made.unsupplied)
        if first is None or lacking < first[1]:
            first = (made, lacking)
        if not lacking or offline:
            break
    if first is None:
        raise AssertionError("there is always a candidate")
    made = first[0]
    if base != around.base and made.base == base:
        reasons = [*reasons, f"{around.base} is too old for it"]
    if made.unsupplied and not any("index" in note for note in made.notes):
        names = _listed([each.soname for each in made.unsupplied])
        musl = program.libc == "musl"
        why = f"no package has {names}" + (" built for musl" if musl else "")
        hint = ("look for a download for glibc",) if musl else ()
        return replace(made, route=NOTHING, reasons=(*reasons, why), notes=(*made.notes, *hint))
    return replace(made, reasons=tuple(reasons))


def _candidates(base: str, found: Needs) -> list[str]:
    """The base; then older ones that are new enough: they may still have a library that later ones dropped."""
    from devenv.foreign.suppliers import RELEASES, suits

    names = [name for name, _ in RELEASES]
    older = names[: names.index(base)] if base in names else []
    wanted = newest(found.versions)
    return [base, *(name for name in reversed(older) if suits(name, wanted))]


def _supplied(
    verdict: Verdict, program: Program, found: Needs, suppliers: Suppliers, around: Surroundings
) -> Verdict:
    """The verdict with packages of one base. A root replaces the whole system, so all that is the system's is asked for."""
    architecture = program.architecture or around.machine
    packages: dict[str, None] = {}
    missing: list[Missing] = []

    def add(package: str | None) -> str | None:
        full = suppliers.qualified(package, architecture) if package is not None else None
        if full is not None:
            packages[full] = None
        return full

    if program.libc == "musl":
        add("musl")
    elif program.interpreter is not None and architecture != around.machine:
        add(suppliers.library("libc.so.6", architecture))
    for each in found.libraries:
        if each.where in ("bundled", "beside") or (program.libc == "musl" and _is_musl_libc(each)):
            continue
        package = None if program.libc == "musl" else add(suppliers.library(each.soname, architecture))
        if each.where == "missing" or package is None:
            required = each.soname not in found.optional
            missing.append(Missing(soname=each.soname, package=package, required=required, by=each.by))
    for soname in found.opened if program.libc != "musl" else ():
        guess = suppliers.library(soname, architecture)
        # A string that looks like a library may be anything: daemons and plug-ins are not added for it.
        package = add(guess) if guess is not None and guess.startswith("lib") else None
        if around.host.find(soname, architecture) is None and package is not None:
            missing.append(Missing(soname=soname, package=package, required=False, by=(program.path,)))
    for feature in found.features:
        for soname in feature.libraries:
            add(suppliers.library(soname, architecture))
        for name in feature.packages:
            add(name)
    for pattern in found.patterns:
        add(suppliers.newest_library(pattern, architecture))
    missing.sort(key=lambda each: (not each.required, each.soname))
    return replace(
        verdict,
        route=ROOT,
        base=suppliers.base,
        packages=tuple(sorted({*packages, *around.packages})),
        missing=tuple(missing),
    )


def _is_musl_libc(library: Library) -> bool:
    return library.soname.startswith(("libc.musl-", "ld-musl-")) or library.soname == "libc.so"
