"""Programs that come as a directory: what is in it, what made it, and which of its files is to be started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from devenv.foreign.kinds import kind_of
from devenv.foreign.systems import is_for

_MOST = 100_000
_LIBRARY = ("*.so", "*.so.*", "*.node", "*.pyd")
_SKIPPED = frozenset({".git", ".hg", "__pycache__", ".devenv"})
# Directories of many things that have nothing to do with each other.
_SHARED = frozenset({"/", "/tmp", "/usr/bin", "/usr/games", "/usr/local/bin", "/bin", "/opt", "/var/tmp"})  # noqa: S108
_PROGRAMS = frozenset({"bin", "sbin", "bin64", "bin32", "games", "Binaries", "MacOS"})
_DEEPEST = 2  # directories above the only program of another system
_HELPERS = ("*unins*.exe", "*redist*.exe", "*crash*.exe", "*/lib/*.jar", "lib/*.jar")
_FRAMEWORKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Electron", ("resources/app.asar", "resources/electron.asar", "chrome_100_percent.pak")),
    ("Chromium", ("icudtl.dat", "headless_shell", "chrome_crashpad_handler", "nacl_irt_*.nexe")),
    ("Unity", ("UnityPlayer.so", "*_Data/globalgamemanagers")),
    ("Unreal", ("Engine/Binaries/Linux/*",)),
    ("Godot", ("*.pck",)),
    ("Ren'Py", ("renpy/*.py",)),
    ("Java", ("jre/bin/java", "lib/server/libjvm.so", "jre/lib/*/server/libjvm.so", "lib/jvm.cfg", "*.jar")),
    (".NET", ("libhostfxr.so", "libcoreclr.so", "*.runtimeconfig.json", "*.deps.json")),
    ("wheel", ("*.dist-info/WHEEL",)),
    ("npm package", ("package.json",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A directory of a program. files: paths of everything in it, relative, sorted; frameworks: what it was made with
    whole: False where it has so much in it that only a part was looked at
    """

    directory: str
    files: tuple[str, ...]
    frameworks: tuple[str, ...]
    whole: bool = True

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def library_files(self) -> Iterator[str]:
        """Files that are called as libraries are, relative."""
        for name in self.files:
            base = name.rpartition("/")[2]
            if any(fnmatch(base, pattern) for pattern in _LIBRARY):
                yield name

    def libraries(self, architecture: str) -> dict[str, str]:
        """Name -> path of the libraries for an architecture, those nearest to the top first."""
        found: dict[str, str] = {}
        for name in sorted(self.library_files(), key=lambda each: (each.count("/"), each)):
            path = self.path(name)
            if name.rpartition("/")[2] not in found and is_for(path, architecture):
                found[name.rpartition("/")[2]] = path
        return found


def open_bundle(directory: str) -> Bundle:
    files: list[str] = []
    whole = True
    for place, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        relative = os.path.relpath(place, directory)
        prefix = "" if relative == "." else f"{relative}/"
        files += [prefix + name for name in sorted(names)]
        if len(files) > _MOST:
            whole = False
            break
    found = tuple(name for name, marks in _FRAMEWORKS if _has_any(files, marks))
    if "Electron" in found:
        found = tuple(name for name in found if name != "Chromium")
    return Bundle(directory=directory, files=tuple(sorted(files)), frameworks=found, whole=whole)


def _has_any(files: list[str], marks: tuple[str, ...]) -> bool:
    for mark in marks:
        if "*" in mark:
            if any(fnmatch(name, mark) or fnmatch(name, f"*/{mark}") for name in files):
                return True
        elif any(name == mark or name.endswith(f"/{mark}") for name in files):
            return True
    return False


def bundle_of(path: str, home: str) -> Bundle | None:
    """The bundle that a program belongs to: its directory, or the one above `bin`. None where it lies by itself."""
    directory = os.path.dirname(os.path.realpath(path))
    if os.path.basename(directory) in _PROGRAMS:
        directory = os.path.dirname(directory)
        if os.path.basename(directory) == "usr":  # an unpacked package
            directory = os.path.dirname(directory)
    # Above home, or in a folder of downloads, things lie beside each other by chance.
    if directory in _SHARED or f"{home}/".startswith(f"{directory}/") or directory == f"{home}/Downloads":
        return None
    bundle = open_bundle(directory)
    return bundle if bundle.whole else None


def main_program(bundle: Bundle) -> str | None:
    """The file of a bundle that is to be started, relative; None where that is not clear.

    An AppRun; else what a desktop file names; else the only program at the top, in bin, or at all.
    """
    if "AppRun" in bundle.files:
        return "AppRun"
    named = _from_desktop_file(bundle)
    if named is not None:
        return named
    programs = [name for name in bundle.files if _is_program(bundle.path(name))]
    called = os.path.basename(bundle.directory).lower()
    for among in (
        [name for name in programs if "/" not in name],
        [name for name in programs if name.count("/") == 1],
        [name for name in programs if name.split("/")[-2:-1] in (["bin"], ["games"])],
        programs,
    ):
        scripts = [name for name in among if kind_of(bundle.path(name)) == "script"]
        same = [name for name in among if called.startswith(name.rpartition("/")[2].lower().split(".")[0])]
        for few in (among, scripts, same):
            if len(few) == 1:
                return few[0]
    return None if programs else _for_others(bundle, called)


def _for_others(bundle: Bundle, called: str) -> str | None:
    """The one program for Windows, .NET or Java of a bundle: those nearest to the top, without what installs and reports."""
    found = [name for name in bundle.files if fnmatch(name.lower(), "*.exe") or fnmatch(name, "*.jar")]
    found = [name for name in found if not any(fnmatch(name.lower(), each) for each in _HELPERS)]
    least = min((name.count("/") for name in found), default=0)
    top = [name for name in found if name.count("/") == least <= _DEEPEST]
    same = [name for name in top if called.startswith(name.rpartition("/")[2].lower().split(".")[0])]
    few = next((few for few in (top, same) if len(few) == 1), None)
    return few[0] if few and kind_of(bundle.path(few[0])) in ("windows", "dotnet", "dos", "jar") else None


def _is_program(path: str) -> bool:
    name = os.path.basename(path)
    if (
        not os.access(path, os.X_OK)
        or not os.path.isfile(path)
        or any(fnmatch(name, each) for each in _LIBRARY)
    ):
        return False
    if name in (
        "chrome-sandbox",
        "chrome_crashpad_handler",
        "install.sh",
        "uninstall.sh",
        "preinst",
        "postinst",
    ):
        return False
    return kind_of(path) in ("elf", "script", "appimage-2", "appimage-1")


def _from_desktop_file(bundle: Bundle) -> str | None:
    for name in bundle.files:
        if name.endswith(".desktop") and name.count("/") in (0, 3):
            word = _command(bundle.path(name))
            if word is None:
                continue
            for place in (word.lstrip("/"), f"usr/bin/{word}", f"usr/games/{word}", f"bin/{word}"):
                if place in bundle.files and _is_program(bundle.path(place)):
                    return place
    return None


def _command(path: str) -> str | None:
    """The program in the first Exec line of a desktop entry."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, equals, value = line.partition("=")
                if equals and key.strip() == "Exec" and value.split():
                    return value.split()[0].strip("\"'")
    except OSError:
        pass
    return None
