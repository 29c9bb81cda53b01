"""The packages of a root for use from outside of it: programs that find their loader, libraries and files where they lie.

A relocated tree lies beside the root that it is made of, `views_dir/DIGEST-fhs-root.relocated`, and goes when that does.
Its files are hard links to the root's but for

- programs: their interpreter and DT_RPATH name the tree's loader and libraries. DT_RPATH is what loaded libraries look into
  as well, so these need no change unless they have a DT_RUNPATH of their own (ld.so(8));
- executable scripts and pkg-config files: absolute names of files that the tree has lead into it;
- absolute symbolic links, such as those to /etc/alternatives;
- GCC's drivers: a script before each has it take headers and libraries of the tree, and what it links find them.

Names compiled into programs stay what they are; `devenv.fhs.surroundings` has variables for those that obey some.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from devenv.errors import DevenvError
from devenv.events import Finished, Planned, Reporter, Started
from devenv.fhs.session import SessionError
from devenv.store.locks import PathLocks
from devenv.store.tree import remove
from devenv.store.views import RELOCATED

_LARGEST_TEXT = 1 << 20  # bytes of a script that is looked at
_ELF = b"\x7fELF"
_NAMES = re.compile(
    rb"(?:(?<![\w./~}$-])|(?<=-[IL]))/(?:usr|bin|sbin|lib|lib64|etc)(?:/[\w.+@%:=-]+)*(?![\w/])"
)
# Directories whose files are read by programs of theirs as a shell or make reads them.
_READ_AS_TEXT = ("/pkgconfig", "usr/lib/R/etc", "etc/R")
_DRIVER = re.compile(r"usr/bin/([\w.]+-[\w.]+-[\w.]+-(?:gcc|g\+\+|cpp|gfortran|gdc|gccgo|gm2)-\d+)", re.ASCII)
_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux.so.2")
_SPECS = "usr/lib/gcc/relocated.specs"


def relocated(root: str, *, events: Reporter | None = None) -> str:
    """The relocated tree of the composed root `root`, made if it is missing. Raises SessionError.

    The maker of the root keeps its recipe from being collected, and so this.
    """
    tree = f"{root}{RELOCATED}"
    if os.path.isdir(tree):
        return tree
    reporter = events or Reporter()
    key = f"view {tree}"
    reporter.event(Planned(kind="view", count=1))
    reporter.event(Started(kind="view", key=key, label="packages for use outside of their root"))
    failed = True
    try:
        with PathLocks([tree]):
            if not os.path.isdir(tree):
                _make(root, tree)
        failed = False
    except OSError as error:
        raise SessionError(
            f"relocating the packages of {root}: {error.filename or tree}: {error.strerror}",
            hint="There must be space left beside the store." if error.errno == 28 else None,
        ) from error
    finally:
        reporter.event(Finished(key=key, failed=failed))
    return tree


def _make(root: str, tree: str) -> None:
    aside = f"{tree}.new"
    remove(aside)
    try:
        _Relocation(root, aside, tree).fill()
        os.rename(aside, tree)
    except BaseException:
        with suppress(DevenvError):
            remove(aside)
        raise


class _Relocation:
    """Fills `aside` from `root`; what it writes names `tree`, where that will lie."""

    def __init__(self, root: str, aside: str, tree: str) -> None:
        self.root, self.aside, self.tree = root, aside, tree
        self.libraries = ":".join(f"{tree}{place}" for place in library_directories(root))

    def fill(self) -> None:
        stack = [""]
        while stack:
            place = stack.pop()
            os.mkdir(f"{self.aside}/{place}" if place else self.aside, 0o755)
            with os.scandir(f"{self.root}/{place}") as entries:
                for entry in entries:
                    below = f"{place}/{entry.name}" if place else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(below)
                    elif entry.is_symlink():
                        self._link(below)
                    elif entry.is_file(follow_symlinks=False):
                        self._file(below)
        if os.path.isdir(f"{self.aside}/{os.path.dirname(_SPECS)}"):
            self._write(_SPECS, self._specs().encode(), 0o644)

    def _link(self, place: str) -> None:
        target = os.readlink(f"{self.root}/{place}")
        if target.startswith("/") and os.path.lexists(f"{self.root}{target}"):
            target = f"{self.tree}{target}"
        os.symlink(target, f"{self.aside}/{place}")

    def _file(self, place: str) -> None:
        path = f"{self.root}/{place}"
        with open(path, "rb") as file:
            start = file.read(4)
        if start == _ELF and self._patch(place):
            return
        if start[:2] == b"#!" or os.path.dirname(place).endswith(_READ_AS_TEXT):
            status = os.stat(path)
            if status.st_size <= _LARGEST_TEXT:
                self._rewrite(place, stat.S_IMODE(status.st_mode))
                return
        os.link(path, f"{self.aside}/{place}")

    def _patch(self, place: str) -> bool:
        """Whether a program or library had to change. One that cannot be changed is left as it is."""
        from devenv.elf.elf import Elf
        from devenv.elf.errors import ElfError
        from devenv.elf.redirecting import redirect

        path = f"{self.root}/{place}"
        try:
            with Elf.open(path) as elf:
                interpreter, runpath, rpath = elf.interpreter, elf.runpath, elf.rpath
                if not elf.has_dynamic or (interpreter is None and runpath is None):
                    return False
            there = interpreter is not None and os.path.exists(f"{self.root}{interpreter}")
            own = [self._own(entry) for entry in (runpath or rpath or "").split(":") if entry]
            redirect(
                path,
                f"{self.aside}/{self._put_driver(place)}",
                loader=f"{self.tree}{interpreter}" if there else None,
                run_path=":".join([*own, self.libraries]),
                force_rpath=interpreter is not None,
            )
            return True
        except ElfError:
            with suppress(FileNotFoundError):
                os.unlink(f"{self.aside}/{place}")
            return False

    def _own(self, entry: str) -> str:
        return (
            f"{self.tree}{entry}"
            if entry.startswith("/") and os.path.exists(f"{self.root}{entry}")
            else entry
        )

    def _rewrite(self, place: str, mode: int) -> None:
        with open(f"{self.root}/{place}", "rb") as file:
            text = file.read()
        self._write(place, _NAMES.sub(self._inside, text), mode)

    def _inside(self, found: re.Match[bytes]) -> bytes:
        name = found.group()
        if name == b"/etc" or not os.path.lexists(os.fsencode(self.root) + name):
            return name
        return os.fsencode(self.tree) + name

    def _write(self, place: str, data: bytes, mode: int) -> None:
        with open(os.open(f"{self.aside}/{place}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)

    def _put_driver(self, place: str) -> str:
        """Where a program goes: to its place, but for a driver of GCC, whose place a script takes."""
        name = _DRIVER.fullmatch(place)
        if name is None:
            return place
        # In the same directory: a driver finds the rest of GCC relative to its own name.
        real = f"usr/bin/.{name[1]}"
        script = f'#!/bin/sh\nexec "{self.tree}/{real}" "--sysroot={self.tree}" "-specs={self.tree}/{_SPECS}" "$@"\n'
        self._write(place, script.encode(), 0o755)
        return real

    def _specs(self) -> str:
        """What GCC adds to its own options of the linker ("Spec Files" in its manual)."""
        loader = next((name for name in _LOADERS if os.path.exists(f"{self.root}{name}")), None)
        # DT_RPATH: what a library needs is looked for there as well.
        options = ["--disable-new-dtags", *(f"-rpath {place}" for place in self.libraries.split(":"))]
        if loader is not None:
            options.insert(0, f"-dynamic-linker {self.tree}{loader}")
        dynamic = "".join(f"%{{!{option}:" for option in ("static", "static-pie", "r"))
        return f"*link:\n+ {dynamic}{' '.join(options)}{'}' * 3}\n\n"


def library_directories(root: str) -> list[str]:
    """Where the loader of a root looks, as absolute names inside: its configuration, then its default places."""
    found: dict[str, None] = {}
    folder = f"{root}/etc/ld.so.conf.d"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".conf"):
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as file:
                found.update((line.strip(), None) for line in file if line.startswith("/"))
    found.update(dict.fromkeys(("/usr/lib", "/usr/lib64")))
    # /lib is a link to /usr/lib: one name for each place.
    merged = dict.fromkeys(f"/usr{place}" if place.startswith("/lib") else place for place in found)
    return [place for place in merged if os.path.isdir(f"{root}{place}")]
