"""From a file to its verdict: recognise, unpack, read what is started and what it brings, ask who has the rest."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace

from devenv.elf.errors import DamagedElf, ElfError
from devenv.foreign import others
from devenv.foreign.bundles import Bundle, bundle_of, main_program, open_bundle
from devenv.foreign.errors import ForeignError
from devenv.foreign.families import best
from devenv.foreign.kinds import HEAD, compression_of, kind_of, shebang
from devenv.foreign.needs import Needs, needs_of
from devenv.foreign.program import ALSO_RUNS, Program, read_program
from devenv.foreign.suppliers import newest
from devenv.foreign.supplying import in_root, listed
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.systems import System
from devenv.foreign.unpacking import ARCHIVES, archive_offset, unpacked
from devenv.foreign.verdict import HOST, NOTHING, ROOT, WORDS, Verdict, dotted

# What a root may lack that a self-extracting script calls.
_UNPACKERS = {"bzip2": "bzip2", "xz": "xz-utils", "zstd": "zstd"}
_MOST_PROGRAMS = 24  # of a bundle whose launcher is a script


def judge(path: str, around: Surroundings) -> Verdict:
    """The verdict on a file or directory. Raises ForeignError, DamagedElf, and what archives raise."""
    kind = kind_of(path)
    if kind == "directory":
        return _judge_directory(path, path, kind, open_bundle(path), around)
    if kind in ARCHIVES:
        place = unpacked(path, kind, around.cache)
        verdict = _judge_directory(path, place, kind, open_bundle(place), around)
        if kind == "deb":
            return _with_declared(verdict, place, around)
        return _unpacks_itself(verdict, path) if kind == "run" else verdict
    if kind == "elf":
        return _judge_elf(path, around)
    if kind == "jar":
        return _judge_jar(path, around)
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


def _unpacks_itself(verdict: Verdict, path: str) -> Verdict:
    """The verdict on a self-extracting script: it is started itself, because it knows where to and what comes then."""
    if verdict.route == NOTHING:
        return verdict
    with open(path, "rb") as file:
        file.seek(archive_offset(path))
        tool = _UNPACKERS.get(compression_of(file.read(HEAD)))
    more = (tool,) if tool is not None and verdict.route == ROOT else ()
    words = shebang(path) or ("/bin/sh",)
    packages = tuple(dict.fromkeys((*verdict.packages, *more)))
    return replace(verdict, start=path, prefix=words, packages=packages)


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
    if found != "elf" and not found.startswith("appimage"):
        verdict = others.judge_other(start, found, around.base, around.path)
        subject = f"{WORDS.get(kind, kind)}, {verdict.subject}"
        return replace(verdict, path=path, kind=kind, subject=subject, frameworks=bundle.frameworks)
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


def _judge_jar(path: str, around: Surroundings) -> Verdict:
    """Java runs it; the libraries that it has in it, and unpacks when it runs, need what they need."""
    verdict = others.judge_other(path, "jar", around.base, around.path)
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith(".so") for name in archive.namelist()):
            return verdict
    bundle = open_bundle(unpacked(path, "jar", around.cache))
    parts = list(_readable(bundle.path(name) for name in bundle.library_files()))
    natives = _judge_natives(path, "jar", path, parts, bundle, around)
    verdict = replace(
        verdict, subject=f"{verdict.subject}, with {natives.subject}", libraries=natives.libraries
    )
    if natives.route == NOTHING:  # it may do without them
        return replace(verdict, notes=(*verdict.notes, *natives.reasons), missing=natives.missing)
    if natives.route == HOST:
        return verdict
    # A root has no Java, whoever has one outside.
    packages = dict.fromkeys((*others.JAVA.packages, *natives.packages))
    return replace(
        natives, subject=verdict.subject, start=path, prefix=verdict.prefix, packages=tuple(packages)
    )


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
        package = _reader(name, base, around)
        packages += [package] if package is not None else []
        if package is None:
            notes.append(f"no package of {base} has the interpreter {name}")
            route = route if here else NOTHING
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


def _reader(name: str, base: str, around: Surroundings) -> str | None:
    """The package that has the interpreter of a script."""
    with around.suppliers(base) as suppliers:
        return suppliers.program(os.path.basename(name), around.machine)


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
    # Packages bring their parts twice, for glibc and for musl.
    fitting.sort(key=lambda each: (each.libc == "musl", each.role != "program"))
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
    return in_root(verdict, program, found, reasons, around)


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
        reasons.append(f"missing here: {listed(missing)}")
    lacking = newest([version for each in required for version in each.lacking])
    reasons += [
        f"it needs {name} {dotted(number)}, and this machine's is older"
        for name, number in sorted(lacking.items())
    ]
    beside = [each.soname for each in required if each.where == "beside"]
    if beside:
        reasons.append(f"its run path does not lead to what it brings: {listed(beside)}")
    reasons += [f"it opens libraries for {name} that are not here" for name in found.silent]
    vital = [family for family in found.families if family.vital]
    names = [name for name, _ in around.host.all_libraries(program.architecture or "")] if vital else []
    reasons += [f"it opens {family}, which is not here" for family in vital if best(family, names) is None]
    return reasons


def _cannot_load(program: Program) -> str | None:
    """A library serves only programs of its own C library: no root mends that."""
    if program.role != "library" or program.libc != "musl":
        return None
    return "it is a library for programs that are built for musl; those built for glibc, as most are, cannot load it"
