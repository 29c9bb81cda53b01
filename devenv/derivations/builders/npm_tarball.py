"""An npm package's tarball, unpacked as npm does it.

npm (pacote, node-tar) drops the first component of every name whatever it is, makes directories only for
the files in them, ignores links, takes `.gitignore` for `.npmignore` unless that came before, forces modes
that can be used, and lets a later member of the same name win. For `bin` targets it sets the executable bit
and mends a first line that ends in CR LF, which the kernel would take for part of the interpreter's name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from devenv.derivations.builders.tar import Member, Stream, Tar
from devenv.derivations.builders.tree import Tree, ceiling, clean, most_members, seal
from devenv.derivations.errors import ArchiveError
from devenv.formats.errors import FormatError
from devenv.formats.npm_manifest import MAX_SIZE, parse_manifest

_SETUID = 0o4000
_LONGEST_SHEBANG = 2048


def unpack_npm(
    archive: str, target: str, executables: Iterable[str], manifests: Iterable[str] = ()
) -> tuple[str, ...]:
    """Unpack the tarball `archive` into the new directory `target`; returns what was left out.

    `executables` are paths inside the package; those it does not have are ignored, as npm does. `manifests` are
    directories inside it, "" for itself, whose package.json names more of them; one that cannot be read names none.
    Raises ArchiveError, OSError.
    """
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        compressed = os.fstat(descriptor).st_size
        tree = Tree(target, ceiling=ceiling(compressed), members=most_members(compressed))
        links = _fill(tree, Tar(Stream(descriptor)))
    finally:
        os.close(descriptor)
    for path in {*executables, *_commands(tree, manifests)}:
        _make_executable(tree, clean(os.fsencode(path)))
    tree.finish()
    if links:
        return (f"{links} link{'s' if links > 1 else ''} in the tarball left out, as npm does",)
    return ()


def npm_of_repository(
    source: str, target: str, executables: Iterable[str], manifests: Iterable[str] = ()
) -> tuple[str, ...]:
    """Copy the package that is the checked-out repository `source`; returns what was left out: nothing.

    npm would pack it: what only that leaves out (tests, settings) stays, and links go, as in tarballs. A package that has to
    be built first is packed after that (`devenv.derivations.npm_scripts`). Raises ArchiveError, OSError.
    """
    names = [os.path.join(place, name) for place, _, files in os.walk(source) for name in files]
    whole = sum(os.lstat(name).st_size for name in names)
    tree = Tree(target, ceiling=ceiling(whole), members=most_members(whole) + len(names))
    for name in sorted(names):
        status = os.lstat(name)
        if stat.S_ISREG(status.st_mode):
            with open(name, "rb") as file:
                chunks = iter(partial(file.read, 1 << 20), b"")
                inner = os.fsencode(os.path.relpath(name, source))
                tree.file(inner, chunks, executable=bool(status.st_mode & 0o100))
    for path in {*executables, *_commands(tree, manifests)}:
        _make_executable(tree, clean(os.fsencode(path)))
    _check_manifest(tree)
    tree.finish()
    return ()


def _check_manifest(tree: Tree) -> None:
    path = clean(b"package.json")
    if not tree.is_file(path):
        raise ArchiveError("has no package.json at its top, so it is no npm package")
    with open(tree.path(path), "rb") as file:
        try:
            parse_manifest(file.read(MAX_SIZE + 1), "package")
        except FormatError as error:
            raise ArchiveError(f"is no npm package: its {error}") from error


def _fill(tree: Tree, tar: Tar) -> int:
    links = 0
    ignores: set[bytes] = set()
    for member in tar:
        path = _place(member)
        tree.expect(path, member.size)
        if member.kind != "file":
            links += member.kind == "link"
            tree.declare(path, link=member.kind == "link")
            continue
        if member.mode & _SETUID:
            raise ArchiveError("is a program with the setuid bit", member=member.name)
        folder, _, base = path.rpartition(b"/")
        if base == b".npmignore":
            ignores.add(folder)
        elif base == b".gitignore":
            if folder in ignores:
                continue
            path = path[: -len(base)] + b".npmignore"
        if path:
            tree.file(path, tar.data(), executable=bool(member.mode & 0o100))
    return links


def _place(member: Member) -> bytes:
    clean(member.name)
    return clean(member.name.partition(b"/")[2].lstrip(b"/"))


def _commands(tree: Tree, directories: Iterable[str]) -> Iterator[str]:
    """The files that commands run, by the package.json of each of the directories."""
    for directory in directories:
        path = clean(os.fsencode(f"{directory}/package.json".lstrip("/")))
        if not tree.is_file(path):
            continue
        above = tree.path(path.removesuffix(b"package.json"))
        with open(tree.path(path), "rb") as file, suppress(FormatError):
            manifest = parse_manifest(file.read(MAX_SIZE + 1), "package")
            for inner in manifest.all_commands(partial(_names_in, above)).values():
                yield f"{directory}/{inner}".lstrip("/")


def _names_in(above: bytes, directory: str) -> list[str]:
    try:
        return os.listdir(os.fsdecode(above) + directory)
    except OSError:
        return []


def _make_executable(tree: Tree, path: bytes) -> None:
    if not tree.is_file(path):
        return
    full = tree.path(path)
    with open(full, "rb") as file:
        start = file.read(_LONGEST_SHEBANG)
        line, newline, rest = start.partition(b"\r\n")
        mend = bool(newline) and line.startswith(b"#!") and len(line) > 2 and b"\n" not in line
        if mend:
            _rewrite(full, line, rest, iter(lambda: file.read(1 << 20), b""))
    seal(full)


def _rewrite(full: bytes, line: bytes, rest: bytes, chunks: Iterator[bytes]) -> None:
    os.unlink(full)  # the open file keeps its contents
    with open(full, "xb") as file:
        file.write(line + b"\n" + rest)
        file.writelines(chunks)
