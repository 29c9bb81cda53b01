"""A Python environment as operations: a tree that Python, pip and uv take for a virtual environment.

::

    bin/python, python3, python3.X     links to the interpreter
    bin/NAME                           scripts of the packages and of their entry points
    pyvenv.cfg                         what makes Python look for packages here (PEP 405)
    lib/python3.X/site-packages        the packages, and lib64 -> lib
    include/site/python3.X/NAME        their headers
    ...                                whatever packages have below "data"

A path that two packages own with the same contents is taken from the first; with different contents it is
an error. Namespace packages merge by themselves, as directories do.
Sources: PEP 376, 405, 420, 610, 627; binary distribution format and recording installed projects
(packaging.python.org).
"""

from __future__ import annotations

import filecmp
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from devenv.adapter import Editable, Package, RemoteFile, SitePackages
from devenv.errors import DevenvError, raise_problems
from devenv.formats.hashes import Hash
from devenv.views.editables import EditableFiles, editable_files, manifests
from devenv.views.isolated import isolated_ops
from devenv.views.launchers import console_script, with_interpreter
from devenv.views.operations import File, Op, Symlink, Tree, ViewError
from devenv.views.wheel_tree import (
    Part,
    WheelTree,
    entry_points,
    read_wheel,
    record_columns,
    recorded,
    render_record,
)

_SELF = "the environment itself"
_SHOWN_PATHS = 3
_INSTALLER = b"devenv\n"
# As in the URL of a directory of the project.
_DIRECTORY = "directory:"


class Interpreter(Protocol):
    """The Python to use: its absolute path and its version ("3.11.2")."""

    @property
    def path(self) -> str: ...
    @property
    def version(self) -> str: ...


def site_packages_ops(
    view: SitePackages,
    *,
    trees: Mapping[str, str],
    bytecode: Mapping[str, str],
    python: Interpreter,
    root: str,
    project: str,
    in_place: Mapping[str, str] | None = None,
) -> list[Op]:
    """What lies where in the environment at `root`, its final absolute path.

    trees: package name -> unpacked wheel, of isolated ones by `tree_key`. bytecode: package name -> its __pycache__ directories.
    project: the directory that editables' paths are relative to. in_place: name of an editable -> its unpacked editable
    wheel, where its backend makes such.
    Reads the wheels and the editables' pyproject.toml. Raises ViewError for packages that own one path with
    different contents, and for wheels that cannot be installed; all problems together.
    """
    environment = _Environment(root, python)
    problems: list[DevenvError] = []
    for package in sorted(view.packages, key=lambda package: package.name):
        try:
            environment.add_wheel(package, trees[package.name], bytecode.get(package.name))
        except OSError as error:
            problems.append(ViewError(f"cannot read {package.name} {package.version}: {error}", root=root))
        except DevenvError as error:
            problems.append(error)
    for editable in sorted(view.editables, key=lambda editable: editable.name):
        try:
            tree = (in_place or {}).get(editable.name)
            if tree is not None:
                environment.add_wheel(_editable_package(editable, project), tree, None)
            else:
                environment.add_editable(editable_files(editable, project))
        except DevenvError as error:
            problems.append(error)
    problems += environment.conflicts()
    isolated: list[Op] = []
    if not problems:
        isolated = isolated_ops(view, trees=trees, site=environment.site, root=root)
    raise_problems(problems, summary=f"{root} cannot be composed:" if len(problems) > 1 else None)
    return [*environment.operations(), *isolated]


def _editable_package(editable: Editable, project: str) -> Package:
    """An editable wheel as a package; its version is in its metadata."""
    directory = os.path.normpath(os.path.join(project, editable.path))
    file = RemoteFile(file_name="", url=f"{_DIRECTORY}{directory}", hash=Hash.of("sha256", b""))
    return Package(name=editable.name, version="", format="wheel", file=file, direct=True)


def pip_ops(view: SitePackages, *, root: str, runner: str) -> list[Op]:
    """`pip` for an environment whose packages do not have it: that of the Python `runner`, told to work in this one.

    Without it the name would lead to a pip of the machine, which installs somewhere else.
    """
    if any(package.name == "pip" for package in view.packages):
        return []
    script = (
        f'#!/bin/sh\nexec {shlex.quote(runner)} -I -m pip --python {shlex.quote(f"{root}/bin/python")} "$@"\n'
    )
    pip = File(dest="bin/pip", contents=script.encode("utf-8", "surrogateescape"), executable=True)
    return [pip, Symlink(dest="bin/pip3", target="pip")]


def watched_files(view: SitePackages, project: str) -> tuple[str, ...]:
    """The files besides wheels that the environment is made of: a change of one asks for composing again."""
    return tuple(path for editable in view.editables for path in manifests(editable, project))


def manifest_key(view: SitePackages, project: str) -> str:
    """A hash of what `watched_files` say, to be part of the view's key; "" when there are none."""
    from hashlib import sha256

    digest = sha256()
    for path in sorted(watched_files(view, project)):
        try:
            with open(path, "rb") as file:
                contents = file.read()
        except OSError:
            contents = b""
        source = os.path.isdir(os.path.join(os.path.dirname(path), "src"))
        digest.update(json.dumps([path, contents.hex(), source]).encode())
    return digest.hexdigest() if view.editables else ""


class _Environment:
    """Collects what the packages bring, and who owns which path."""

    def __init__(self, root: str, python: Interpreter) -> None:
        minor = ".".join(python.version.split(".")[:2])
        self.root = root
        self.site = f"lib/python{minor}/site-packages"
        self.include = f"include/site/python{minor}"
        self.interpreter = f"{root}/bin/python"
        self.trees: list[Tree] = []
        self.files: dict[str, File] = {}
        self.links = [
            Symlink(dest="bin/python", target=python.path),
            Symlink(dest="bin/python3", target="python"),
            Symlink(dest=f"bin/python{minor}", target="python"),
            Symlink(dest="lib64", target="lib"),
        ]
        self._owned: dict[str, tuple[str, str | bytes]] = {}
        self._clashes: dict[tuple[str, str], list[str]] = {}
        for link in self.links:
            self._owned[link.dest] = (_SELF, b"")
        self._file("pyvenv.cfg", _configuration(root, python), _SELF)

    def operations(self) -> list[Op]:
        """All of it, in a stable order."""
        return [*self.links, *self.trees, *(self.files[dest] for dest in sorted(self.files))]

    def add_wheel(self, package: Package, path: str, bytecode: str | None) -> None:
        label = f"{package.name} {package.version}"
        wheel = read_wheel(path, label=label, name=package.name, site=self.site, include=self.include)
        made = dict(self._made_files(package, wheel))
        doubles = {
            inside
            for dest, inside in wheel.files.items()
            if not self._own(dest, label, f"{path}/{inside}", made)
        }
        for dest, contents in made.items():
            self._file(dest, contents, label, executable=dest.startswith("bin/"))
        rewritten = {wheel.files[dest] for dest in made if dest in wheel.files}
        for part in wheel.parts:
            self.trees.append(_tree_of(wheel, part, doubles | rewritten))
            if bytecode is not None and part.dest == self.site:
                self._add_bytecode(part, bytecode, wheel, doubles)

    def add_editable(self, editable: EditableFiles) -> None:
        for path, contents in editable.files.items():
            self._file(f"{self.site}/{path}", contents, editable.label)
        for entry in editable.scripts:
            script = console_script(entry, self.interpreter)
            self._file(f"bin/{entry.name}", script, editable.label, executable=True)

    def _made_files(self, package: Package, wheel: WheelTree) -> Iterator[tuple[str, bytes]]:
        """What an installer writes for a wheel: scripts and the records of the installation."""
        made = {}
        for dest, inside in wheel.files.items():
            if inside.startswith(f"{wheel.scripts}/"):
                script = _rewritten(f"{wheel.path}/{inside}", self.interpreter)
                if script is not None:
                    made[dest] = script
        for entry in entry_points(wheel):
            made[f"bin/{entry.name}"] = console_script(entry, self.interpreter)
        made[f"{wheel.dist_info}/INSTALLER"] = _INSTALLER
        if package.direct:
            made[f"{wheel.dist_info}/direct_url.json"] = _direct_url(package)
        made[f"{wheel.dist_info}/RECORD"] = self._record(wheel, made)
        yield from made.items()

    def _record(self, wheel: WheelTree, made: Mapping[str, bytes]) -> bytes:
        known = recorded(wheel)
        rows = [
            (self._from_site(dest), *known.get(inside, ("", "")))
            for dest, inside in wheel.files.items()
            if dest not in made
        ]
        rows += [(self._from_site(dest), *record_columns(contents)) for dest, contents in made.items()]
        return render_record(rows, self._from_site(f"{wheel.dist_info}/RECORD"))

    def _from_site(self, dest: str) -> str:
        prefix = f"{self.site}/"
        return dest.removeprefix(prefix) if dest.startswith(prefix) else f"../../../{dest}"

    def _add_bytecode(self, part: Part, bytecode: str, wheel: WheelTree, doubles: Iterable[str]) -> None:
        """The byte code of one part, without that of modules which another package owns."""
        source = f"{bytecode}/{part.source}" if part.source else bytecode
        if not os.path.isdir(source):
            return
        skip = set() if part.source else {f"{wheel.stem}.data"}
        for inside in doubles:
            if inside.endswith(".py") and inside.startswith(part.source):
                skip |= _compiled(source, inside[len(part.source) :].lstrip("/"))
        self.trees.append(Tree(source=source, dest=part.dest, skip=frozenset(skip)))

    def _file(self, dest: str, contents: bytes, owner: str, *, executable: bool = False) -> None:
        if self._own(dest, owner, contents, {}):
            self.files[dest] = File(dest=dest, contents=contents, executable=executable)

    def _own(self, dest: str, owner: str, source: str | bytes, made: Mapping[str, bytes]) -> bool:
        """Claim a path; False when it is another's. `source`: a file's path or contents. `made` come later."""
        if dest in made:
            return True
        first = self._owned.setdefault(dest, (owner, source))
        if first == (owner, source):
            return True
        if not _same(first[1], source):
            self._clashes.setdefault((first[0], owner), []).append(dest)
        return False

    def conflicts(self) -> list[DevenvError]:
        """One error for each two owners that cannot agree."""
        above: dict[str, str] = {}
        for dest, (owner, _) in self._owned.items():
            parent = dest.rpartition("/")[0]
            while parent and parent not in above:
                above[parent] = owner
                parent = parent.rpartition("/")[0]
        for dest in self._owned.keys() & above.keys():
            self._clashes.setdefault((self._owned[dest][0], above[dest]), []).append(dest)
        return [
            _conflict(*owners, sorted(paths), self.root) for owners, paths in sorted(self._clashes.items())
        ]


def _conflict(first: str, second: str, paths: list[str], root: str) -> ViewError:
    more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
    shown = ", ".join(paths[:_SHOWN_PATHS])
    return ViewError(
        f"{first} and {second} both have {shown}{more}, with different contents",
        hint="Only one of the two can be in the environment; leave one out of the lockfile.",
        root=root,
    )


def _same(first: str | bytes, second: str | bytes) -> bool:
    """Are the contents equal? A `str` is the path of a file."""
    if isinstance(first, bytes) and isinstance(second, bytes):
        return first == second
    if isinstance(first, str) and isinstance(second, str):
        try:
            return (
                not os.path.islink(first)
                and not os.path.islink(second)
                and filecmp.cmp(first, second, shallow=False)
            )
        except OSError:
            return False
    contents, path = (first, second) if isinstance(first, bytes) else (second, first)
    return _read(str(path)) == contents


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _rewritten(path: str, interpreter: str) -> bytes | None:
    """A "#!python" script with its interpreter; None for other files, which are not read whole."""
    with open(path, "rb") as file:
        if file.read(8) != b"#!python":
            return None
        file.seek(0)
        return with_interpreter(file.read(), interpreter)


def _tree_of(wheel: WheelTree, part: Part, left_out: Iterable[str]) -> Tree:
    prefix = f"{part.source}/" if part.source else ""
    inside = {path[len(prefix) :] for path in left_out if path.startswith(prefix)}
    return Tree(
        source=f"{wheel.path}/{part.source}" if part.source else wheel.path,
        dest=part.dest,
        skip=part.skip | inside,
    )


def _compiled(bytecode: str, module: str) -> set[str]:
    """The byte code files of a module, relative to the directory `bytecode`."""
    folder, _, name = module.rpartition("/")
    cache = f"{folder}/__pycache__" if folder else "__pycache__"
    start = name.removesuffix(".py") + "."
    try:
        return {f"{cache}/{file}" for file in os.listdir(f"{bytecode}/{cache}") if file.startswith(start)}
    except OSError:
        return set()


def _configuration(root: str, python: Interpreter) -> bytes:
    """pyvenv.cfg. The prompt is the name of the project that the environment lies in."""
    lines = [
        f"home = {os.path.dirname(python.path)}",
        "include-system-site-packages = false",
        f"version = {python.version}",
        f"executable = {python.path}",
    ]
    prompt = os.path.basename(os.path.dirname(os.path.dirname(root)))
    if prompt.isprintable() and prompt:
        lines.append(f"prompt = {prompt}")
    return os.fsencode("\n".join(lines) + "\n")


def _direct_url(package: Package) -> bytes:
    """direct_url.json of a package that was named by its URL, without credentials (PEP 610)."""
    if package.file.url.startswith(_DIRECTORY):
        # Of what was built (an sdist), the directory was but the source.
        how = {"editable": True} if package.format == "wheel" else {}
        url = "file://" + quote(os.fsencode(package.file.url.removeprefix(_DIRECTORY)))
        return json.dumps({"dir_info": how, "url": url}, sort_keys=True).encode()
    subdirectory = package.build.subdirectory if package.build is not None else ""
    more = {"subdirectory": subdirectory} if subdirectory else {}
    if package.file.url.startswith("git+"):
        url, _, commit = package.file.url.removeprefix("git+").rpartition("#")
        parts = urlsplit(url)
        told = {"vcs_info": {"vcs": "git", "commit_id": commit}, "url": _without_login(parts), **more}
        return json.dumps(told, sort_keys=True).encode()
    parts = urlsplit(package.file.url)
    hash = package.file.hash
    info = {"hash": f"{hash.algorithm}={hash.hex}", "hashes": {hash.algorithm: hash.hex}}
    return json.dumps({"archive_info": info, "url": _without_login(parts), **more}, sort_keys=True).encode()


def _without_login(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
