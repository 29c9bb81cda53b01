"""devenv patchelf: the options, output and exit status of the program patchelf.

Reached without the argument parser of the other verbs, which would take longer to start than the work takes.
"""

from __future__ import annotations

import os
import sys

from devenv.elf import edits
from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.notes import dlopen_notes
from devenv.elf.noting import PRIORITIES, declare
from devenv.elf.numbers import PT_DYNAMIC, SHT_NOBITS
from devenv.elf.planning import plan
from devenv.elf.rewriting import rewrite
from devenv.errors import DevenvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from devenv.cli.context import Context

VERSION = "0.19.0"  # the patchelf whose options these are; programs that start patchelf ask

# option -> (what follows it, what it does); the order is that of --help.
OPTIONS: dict[str, tuple[str, str]] = {
    "--set-interpreter": ("FILENAME", "the loader that the kernel is to start"),
    "--page-size": ("SIZE", "align new segments to at least this"),
    "--print-interpreter": ("", ""),
    "--print-os-abi": ("", "EI_OSABI of the header"),
    "--set-os-abi": ("ABI", "by name: System V, Linux, FreeBSD, ..."),
    "--print-soname": ("", "DT_SONAME, nothing if there is none"),
    "--set-soname": ("SONAME", "of a library; programs are left alone"),
    "--set-rpath": ("RPATH", "replace the run path"),
    "--add-rpath": ("RPATH", "append to the run path"),
    "--remove-rpath": ("", ""),
    "--shrink-rpath": ("", "keep only directories where a needed library is found"),
    "--allowed-rpath-prefixes": (
        "PREFIXES",
        "with --shrink-rpath: drop directories that start with none of these",
    ),
    "--print-rpath": ("", ""),
    "--force-rpath": ("", "write DT_RPATH, which goes before LD_LIBRARY_PATH, instead of DT_RUNPATH"),
    "--add-needed": ("LIBRARY", "need one more, first in order"),
    "--remove-needed": ("LIBRARY", ""),
    "--replace-needed": ("LIBRARY NEW_LIBRARY", "also in the records of symbol versions"),
    "--print-needed": ("", ""),
    "--no-default-lib": ("", "do not search the loader's default directories"),
    "--no-sort": ("", "accepted; headers are never sorted"),
    "--clear-symbol-version": ("SYMBOL", "bind it to any version"),
    "--add-debug-tag": ("", "add DT_DEBUG"),
    "--print-execstack": ("", "does it ask for an executable stack?"),
    "--clear-execstack": ("", ""),
    "--set-execstack": ("", ""),
    "--rename-dynamic-symbols": ("NAME_MAP_FILE", "lines of two names: old new"),
    "--rename-symbol-version": ("VERSION NEW_VERSION", "devenv's own: ask for, or define, another version"),
    "--print-dlopen": ("", "devenv's own: what notes say that it opens, as --add-dlopen takes it"),
    "--add-dlopen": (
        "LIBRARIES",
        "devenv's own: note that it opens one of LIBRARY[,LIBRARY...][:required|recommended|suggested]",
    ),
    "--no-clobber-old-sections": ("", "leave old copies of what has moved"),
    "--output": ("FILE", "leave the input alone and write here"),
    "--debug": ("", "say what is done"),
    "--version": ("", ""),
}
ALIASES = {"--interpreter": "--set-interpreter", "-h": "--help"}
FROM_FILE = frozenset(
    [
        "--set-interpreter",
        "--set-os-abi",
        "--set-soname",
        "--set-rpath",
        "--add-rpath",
        "--add-needed",
        "--remove-needed",
        "--clear-symbol-version",
        "--output",
    ]
)


class Refused(DevenvError):
    """The command line makes no sense."""


class Request:
    """What the command line asks for: option -> the arguments of each time it was given, in order."""

    def __init__(self) -> None:
        self.options: dict[str, list[tuple[str, ...]]] = {}
        self.files: list[str] = []

    def __contains__(self, option: str) -> bool:
        return option in self.options

    def last(self, option: str) -> str | None:
        given = self.options.get(option)
        return given[-1][0] if given else None

    def all(self, option: str) -> list[str]:
        """Without repetitions, in the order of the names, whatever their order was: as patchelf has it."""
        return sorted({arguments[0] for arguments in self.options.get(option, [])})

    def pairs(self, option: str) -> dict[str, str]:
        return {arguments[0]: arguments[1] for arguments in self.options.get(option, [])}


def parse(arguments: Sequence[str]) -> Request:
    """Raises Refused. What is no option is a file."""
    request = Request()
    rest = iter(arguments)
    for word in rest:
        option = ALIASES.get(word, word)
        if option not in OPTIONS and option != "--help":
            request.files.append(word)
            continue
        wanted = OPTIONS[option][0].split() if option in OPTIONS else []
        values = [value for value in (next(rest, None) for _ in wanted) if value is not None]
        if len(values) < len(wanted):
            raise Refused(f"missing argument after {word}")
        if option in FROM_FILE:
            values = [_from_file(value) for value in values]
        request.options.setdefault(option, []).append(tuple(values))
    return request


def _from_file(value: str) -> str:
    """@FILE stands for the file's contents, up to the first NUL: there any name in an ELF file ends."""
    if not value.startswith("@"):
        return value
    try:
        with open(value[1:], encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read().split("\0", 1)[0]
    except (OSError, ValueError) as error:
        raise Refused(f"getting info about '{value[1:]}': {getattr(error, 'strerror', error)}") from error


def check(request: Request) -> None:
    """Raises Refused for what contradicts itself."""
    if not request.files:
        raise Refused("missing filename")
    if "--output" in request and len(request.files) != 1:
        raise Refused("--output option only allowed with single input file")
    if "--set-rpath" in request and "--add-rpath" in request:
        raise Refused("--set-rpath option not allowed with --add-rpath")
    for text in request.all("--add-dlopen"):
        sonames, priority = _opened(text)
        if not all(sonames) or priority not in PRIORITIES:
            raise Refused(f"invalid argument to --add-dlopen: {text}")
    size = request.last("--page-size")
    if size is not None and not (size.isascii() and size.isdigit() and 0 < int(size) <= 1 << 24):
        raise Refused(f"invalid argument to --page-size: {size}")


def usage() -> str:
    width = max(len(f"[{option} {argument}]") for option, (argument, _) in OPTIONS.items())
    lines = [
        f"  {f'[{option} {argument}]' if argument else f'[{option}]':<{width}}  {what}".rstrip()
        for option, (argument, what) in OPTIONS.items()
    ]
    return "\n".join(["syntax: devenv patchelf", *lines, "  FILENAME...", ""])


def main(arguments: Sequence[str]) -> int:
    """Run one command line; the exit status, 0 or 1."""
    if not arguments:
        sys.stderr.write(usage())
        return 1
    try:
        request = parse(arguments)
        if "--help" in request:
            sys.stderr.write(usage())
            return 0
        if "--version" in request:
            sys.stdout.write(f"patchelf {VERSION}\n")
            return 0
        check(request)
        symbols = _symbol_map(request)
    except DevenvError as error:
        return _complain(error)
    complaints = [text for text in _all_files(request, symbols) if text]
    sys.stdout.flush()
    sys.stderr.write("".join(complaints))
    return 1 if complaints else 0


def _all_files(request: Request, symbols: dict[str, str] | None) -> list[str]:
    """A complaint for each file, empty where all went well."""

    def work(path: str) -> str:
        return _one_file(path, request, symbols)

    silent = not any(option.startswith("--print-") or option == "--debug" for option in request.options)
    if len(request.files) > 1 and silent and _are_distinct(request.files):
        from devenv.cli.abreast import map_abreast

        return map_abreast(work, request.files)
    return [work(path) for path in request.files]


def _are_distinct(paths: list[str]) -> bool:
    """Two names of one file must be edited one after the other."""
    found = set()
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            continue
        found.add((status.st_dev, status.st_ino))
    return len(found) == len(paths)


def _complain(error: DevenvError) -> int:
    sys.stderr.write(_complaint(error))
    return 1


def _complaint(error: DevenvError) -> str:
    return f"patchelf: {error}\n" + (f"  hint: {error.hint}\n" if error.hint else "")


def _one_file(path: str, request: Request, symbols: dict[str, str] | None) -> str:
    try:
        with Elf.open(path, whole=not _only_prints(request)) as elf:
            draft = Draft(elf)
            draft.clear_old = "--no-clobber-old-sections" not in request
            draft.page_size = int(request.last("--page-size") or 0)
            for line in _printed(request, elf, draft):
                sys.stdout.write(f"{line}\n")
            _edit(request, draft)
            if symbols is not None:
                from devenv.elf.renaming import rename_symbols

                rename_symbols(draft, symbols)
            patch = plan(draft)
            if "--debug" in request or "PATCHELF_DEBUG" in os.environ:
                sys.stderr.write(_account(path, patch))
            output = request.last("--output")
            if patch is not None or output is not None:
                rewrite(elf.source, patch, output)
    except DevenvError as error:
        return _complaint(error)
    return ""


def _only_prints(request: Request) -> bool:
    return all(option.startswith("--print-") for option in request.options)


def _account(path: str, patch: object) -> str:
    from devenv.elf.patch import Patch

    if not isinstance(patch, Patch):
        return f"patching ELF file '{path}': nothing to change\n"
    lines = [f"patching ELF file '{path}': {patch.size} bytes"]
    lines += [f"  {len(data)} bytes at {at:#x}" for at, data in patch.writes]
    lines += [f"  {size} bytes of {start:#x} again at {to:#x}" for start, size, to in patch.copies]
    return "\n".join([*lines, ""])


def _printed(request: Request, elf: Elf, draft: Draft) -> list[str]:
    """The lines of the --print options, as the file is before any edit."""
    lines = []
    if "--print-interpreter" in request:
        interpreter = elf.interpreter
        if interpreter is None:
            raise draft.unsupported(edits.NO_INTERPRETER)
        lines.append(interpreter)
    if "--print-os-abi" in request:
        lines.append(edits.os_abi_name(elf.os_abi))
    if "--print-soname" in request and elf.soname:
        lines.append(elf.soname)
    if "--print-rpath" in request:
        if not _split(elf):
            draft.require_dynamic()
        lines.append(elf.runpath if elf.runpath is not None else elf.rpath or "")
    if "--print-execstack" in request:
        lines.append("execstack: " + {None: "?", True: "X", False: "-"}[edits.execstack(draft)])
    if "--print-needed" in request:
        draft.require_dynamic()
        lines += elf.needed
    if "--print-dlopen" in request:
        lines += [f"{','.join(each.sonames)}:{each.priority}" for each in dlopen_notes(elf)]
    return lines


def _split(elf: Elf) -> bool:
    """Is this the debugging information of another file? Then it has the sections of that one, without contents."""
    segment = elf.segment(PT_DYNAMIC)
    return segment is not None and any(s.addr == segment.vaddr and s.type == SHT_NOBITS for s in elf.sections)


def _edit(request: Request, draft: Draft) -> None:
    """All edits, in the order in which patchelf does them."""
    abi, soname, interpreter = (request.last(f"--set-{name}") for name in ("os-abi", "soname", "interpreter"))
    if abi is not None:
        edits.set_os_abi(draft, abi)
    if soname is not None:
        edits.set_soname(draft, soname)
    if interpreter:
        edits.set_interpreter(draft, interpreter)
    if "--print-execstack" not in request:
        if "--clear-execstack" in request:
            edits.set_execstack(draft, False)
        elif "--set-execstack" in request:
            edits.set_execstack(draft, True)
    _edit_run_path(request, draft)
    if "--remove-needed" in request:
        edits.remove_needed(draft, request.all("--remove-needed"))
    if "--replace-needed" in request:
        edits.replace_needed(draft, request.pairs("--replace-needed"))
    if "--add-needed" in request:
        edits.add_needed(draft, request.all("--add-needed"))
    if "--clear-symbol-version" in request:
        edits.clear_symbol_version(draft, request.all("--clear-symbol-version"))
    if "--rename-symbol-version" in request:
        edits.rename_version(draft, request.pairs("--rename-symbol-version"))
    if "--no-default-lib" in request:
        edits.no_default_library_path(draft)
    if "--add-debug-tag" in request:
        edits.add_debug_tag(draft)
    if "--add-dlopen" in request:
        declare(draft, [_opened(text) for text in request.all("--add-dlopen")])


def _opened(text: str) -> tuple[tuple[str, ...], str]:
    """LIBRARY[,LIBRARY...][:PRIORITY]"""
    names, _, priority = text.partition(":")
    return tuple(names.split(",")), priority or "recommended"


def _edit_run_path(request: Request, draft: Draft) -> None:
    force = "--force-rpath" in request
    new = request.last("--set-rpath")
    added = request.last("--add-rpath")
    if not (request.options.keys() & {"--shrink-rpath", "--remove-rpath", "--set-rpath", "--add-rpath"}):
        return
    if not draft.elf.has_dynamic and _split(draft.elf):
        return  # a debug file; what it describes has the run path
    if "--shrink-rpath" in request:
        prefixes = (request.last("--allowed-rpath-prefixes") or "").split(":")
        edits.shrink_run_path(draft, [prefix for prefix in prefixes if prefix], force_rpath=force)
    elif "--remove-rpath" in request:
        edits.remove_run_path(draft)
    elif new is not None:
        edits.set_run_path(draft, new, force_rpath=force)
    elif added is not None:
        edits.add_run_path(draft, added, force_rpath=force)


def _symbol_map(request: Request) -> dict[str, str] | None:
    """Old name -> new name, from the file of --rename-dynamic-symbols. Raises Refused for a line that is no pair."""
    path = request.last("--rename-dynamic-symbols")
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise Refused(f"Cannot open map file {path}: {error.strerror}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2:
            raise Refused(f"{path}:{number}: Map file line is missing the second element")
        old, new = words[0], words[1]
        if old in found:
            raise Refused(f"{path}:{number}: Name '{old}' appears twice in the map file")
        if "@" in old + new:
            raise Refused(f"{path}:{number}: Name pair contains version tag: {old} {new}")
        found[old] = new
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """For the manual and completion; the command line itself is read by `main`."""
    for option, (argument, what) in OPTIONS.items():
        if option == "--version":
            continue
        if argument:
            names = tuple(argument.split())
            parser.add_argument(option, action="append", nargs=len(names), metavar=names, help=what)
        else:
            parser.add_argument(option, action="store_true", help=what)
    parser.add_argument("files", nargs="*", metavar="FILENAME")


def run(arguments: argparse.Namespace, context: Context) -> int:
    raise AssertionError("devenv.cli.main hands the words of this verb to `main`")
