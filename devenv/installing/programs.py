"""Installed programs: a launcher on PATH that needs no Python, a desktop entry, an icon, and what keeps their packages.

state/installed/NAME/launcher       a static program, or a shell script where nothing has to be entered
state/installed/NAME/files          what an archive held
state/installed/NAME/root           keeps the packages of its root from being collected
state/installed/NAME/installed.json the files outside of here, to take away again
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from devenv.errors import DevenvError
from devenv.fhs.session import PATHS, find_program, prepared
from devenv.fhs.session import variables as session_variables
from devenv.foreign.bundles import Bundle, bundle_of, open_bundle
from devenv.foreign.environ import MACHINES_OWN
from devenv.foreign.launching import Launch
from devenv.foreign.plans import Plan, package_files
from devenv.foreign.running import Started
from devenv.foreign.systems import System
from devenv.foreign.verdict import Verdict
from devenv.installing.calls import calls
from devenv.installing.desktop import entry_text, find_entry, find_icon
from devenv.installing.launcher import Launcher
from devenv.installing.writing import write
from devenv.sandbox.spec import Bind
from devenv.store.layout import Layout
from devenv.store.roots import add_indirect_root
from devenv.store.tree import remove

_GRAPHICAL = frozenset({"OpenGL", "Vulkan", "windows", "GTK"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a user's programs, menu entries and icons go: the XDG base directories and ~/.local/bin."""

    layout: Layout
    home: str
    programs: str
    data: str

    @classmethod
    def of(cls, layout: Layout, environ: Mapping[str, str]) -> Places:
        home = environ.get("HOME", "/")
        data = environ.get("XDG_DATA_HOME", "")
        data = data if os.path.isabs(data) else f"{home}/.local/share"
        return cls(layout=layout, home=home, programs=f"{home}/.local/bin", data=data)

    def own(self, name: str) -> str:
        return os.path.join(self.layout.root, "state", "installed", name)


def check_name(name: str) -> str:
    """Raises DevenvError for what cannot be the name of a program."""
    if not name or name.startswith((".", "-")) or any(c in name for c in "/\n\0") or name != name.strip():
        raise DevenvError(
            f"{name!r} cannot be the name of an installed program", hint="Give another with --name."
        )
    return name


def default_name(path: str) -> str:
    """Editor-1.2-x86_64.AppImage -> editor."""
    import re

    stem = re.split(
        r"[-_](?=v?\d)|\.(?=AppImage|tar|zip|deb|run|sh$|tgz)", os.path.basename(os.path.abspath(path))
    )[0]
    return check_name(stem.lower())


def own_files(places: Places, name: str, plan: Plan, verdict: Verdict, cache: str) -> Plan:
    """The plan with what an archive held at a place of its own: the cache may be cleared."""
    inside = os.path.join(cache, "foreign")
    if plan.files or not plan.start.startswith(f"{inside}/"):
        return plan
    top = os.path.join(inside, os.path.relpath(plan.start, inside).split("/")[0])
    target = f"{places.own(name)}/files"
    remove(target)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copytree(top, target, symlinks=True)

    def moved(path: str) -> str:
        return target + path[len(top) :] if path.startswith(f"{top}/") else path

    return replace(plan, start=moved(plan.start), beside=tuple(map(moved, plan.beside)))


def install(
    places: Places, name: str, source: str, started: Started, plan: Plan, verdict: Verdict
) -> list[str]:
    """Write everything; the files outside of the state directory. Raises DevenvError where something else is there."""
    own = places.own(name)
    link = f"{places.programs}/{name}"
    before = installed(places, name)
    if before is None and os.path.lexists(link):
        raise DevenvError(
            f"installing {name}: {link} is there already", hint="Give another name with --name."
        )
    os.makedirs(own, exist_ok=True)
    if started.launch is None:
        words = shlex.join(started.argv)
        data = f'#!/bin/sh\nexec {words} "$@"\n'.encode(errors="surrogateescape")
    else:
        data = launcher(name, started.launch, source).elf()
        recipe = places.layout.store_dir.parse(
            f"{places.layout.store}/{os.path.basename(started.launch.root)}"
        )
        add_indirect_root(places.layout, f"{own}/root", recipe)
    write(f"{own}/launcher", data, 0o755)
    files = [link, *_menu_files(places, name, f"{own}/launcher", plan, verdict)]
    write(f"{own}/installed.json", json.dumps({"source": source, "files": files}).encode(), 0o644)
    os.makedirs(places.programs, exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(link)
    os.symlink(f"{own}/launcher", link)
    for stale in set(before or ()) - set(files):
        with suppress(FileNotFoundError):
            os.unlink(stale)
    return files


def launcher(name: str, launch: Launch, source: str) -> Launcher:
    """What enters the root as `devenv run` does, and becomes the program. Raises DevenvError."""
    machine, release = os.uname().machine, os.uname().release
    if machine != "x86_64" or tuple(int(part) for part in release.split("-")[0].split(".")[:2]) < (5, 12):
        raise DevenvError(
            f"installing {name}: launchers without Python are made for x86-64 and Linux 5.12, this is {machine} and {release}",
            hint=f"`devenv run {shlex.quote(source)}` starts it all the same.",
        )
    inside = session_variables(launch.root, launch.environ)
    changed = {key: value for key, value in inside.items() if os.environ.get(key) != value and key != "PATH"}
    gone = [key for key in os.environ if key not in inside]
    entry = prepared(launch.root, launch.state, [Bind(*bind) for bind in launch.binds])
    program = program_in(launch.root, launch.argv[0], inside["PATH"])
    return Launcher(
        calls=[*calls(entry, name, (launch.root, launch.state, "/dev", "/proc", "/sys"))],
        program=program,
        words=launch.argv,
        dropped=sorted({*MACHINES_OWN, *gone}),
        set=changed,
        path=PATHS,
        failure=f"{name}: {program} cannot be started in its root; `devenv run {source}` says why\n",
    )


def program_in(root: str, word: str, path: str) -> str:
    """The program that a word means, as a path inside: a name alone is looked up on `path`. Raises DevenvError."""
    if "/" in word:
        return word
    inside = System(root)  # links such as those to /etc/alternatives lead to other files of the root
    for directory in path.split(":"):
        if find_program(inside.outside(f"{directory}/{word}"), "") is not None:
            return f"{directory}/{word}"
    raise DevenvError(f"its root has no program {word}")


def _menu_files(places: Places, name: str, program: str, plan: Plan, verdict: Verdict) -> list[str]:
    """The desktop entry and the icon: where the bundle has an entry, or the program makes windows."""
    given: dict[str, str] = {}
    found = None
    bundle = _bundle(places, name, verdict)
    if bundle is not None:
        alone = verdict.kind in ("elf", "script")
        given = find_entry(bundle.directory, bundle.files, plan.start, only=alone)
        if given or not alone:
            found = find_icon(bundle.directory, bundle.files, given.get("Icon", ""))
    if not given and not _GRAPHICAL & set(plan.features):
        return []
    made = []
    icon = None
    if found is not None:
        size, extension, data = found
        icon = f"devenv-{name}"
        made.append(f"{places.data}/icons/hicolor/{size}/apps/{icon}.{extension}")
        write(made[-1], data, 0o644)
    made.append(f"{places.data}/applications/devenv-{name}.desktop")
    write(made[-1], entry_text(program, name, given, icon).encode(), 0o644)
    return made


def _bundle(places: Places, name: str, verdict: Verdict) -> Bundle | None:
    """What came with the program: an archive's files, those of a Debian package, the directory that it lies in."""
    files = f"{places.own(name)}/files"
    if verdict.kind in ("elf", "script"):
        return bundle_of(verdict.path, places.home)
    if os.path.isdir(files):
        return open_bundle(files)
    if verdict.kind == "deb" and verdict.start is not None:
        return open_bundle(package_files(verdict.start))
    return open_bundle(os.path.abspath(verdict.path)) if os.path.isdir(verdict.path) else None


def installed(places: Places, name: str) -> Sequence[str] | None:
    """The files outside of the state directory of an installed program; None if there is no such."""
    try:
        with open(f"{places.own(name)}/installed.json", encoding="utf-8") as file:
            return [str(each) for each in json.load(file)["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def names(places: Places) -> list[str]:
    """All installed programs."""
    try:
        return sorted(os.listdir(os.path.dirname(places.own("x"))))
    except OSError:
        return []


def uninstall(places: Places, name: str) -> None:
    """Take everything away; its packages go with the next collection. Raises DevenvError."""
    files = installed(places, check_name(name))
    if files is None:
        known = ", ".join(names(places)) or "nothing"
        raise DevenvError(f"uninstalling {name}: it is not installed", hint=f"Installed: {known}.")
    for path in files:
        with suppress(FileNotFoundError):
            os.unlink(path)
    remove(places.own(name))
