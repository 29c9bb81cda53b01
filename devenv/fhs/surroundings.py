"""Variables by which programs find what a relocated tree of packages has. Pure but for looking what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from glob import escape, glob

# What goes before the user's own entries, where the tree has such a directory; "*" as in a shell.
_LISTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("PATH", ("usr/local/bin", "usr/bin", "usr/sbin", "usr/games")),
    ("PKG_CONFIG_PATH", ("usr/lib/*/pkgconfig", "usr/lib/pkgconfig", "usr/share/pkgconfig")),
    ("LIBRARY_PATH", ("usr/lib/*-linux-gnu*", "usr/lib")),
    ("CMAKE_PREFIX_PATH", ("usr",)),
    ("ACLOCAL_PATH", ("usr/share/aclocal",)),
    ("GI_TYPELIB_PATH", ("usr/lib/*/girepository-1.0",)),
    ("PERL5LIB", ("usr/lib/*/perl5/*", "usr/share/perl5", "usr/lib/*/perl/5.*", "usr/share/perl/5.*",
                  "usr/lib/*/perl-base")),
    ("TERMINFO_DIRS", ("usr/share/terminfo", "usr/lib/terminfo", "lib/terminfo")),
    ("QT_PLUGIN_PATH", ("usr/lib/*/qt5/plugins", "usr/lib/*/qt6/plugins")),
)  # fmt: skip
# What goes behind them: the machine's come first, or are given where the variable is not set.
_DATA: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("XDG_DATA_DIRS", ("usr/share",), "/usr/local/share:/usr/share"),
    ("MANPATH", ("usr/share/man",), ""),
    ("INFOPATH", ("usr/share/info",), ""),
)
# One directory or file each, unless the user has set it.
_SINGLE: tuple[tuple[str, str], ...] = (
    ("GDAL_DATA", "usr/share/gdal"),
    ("PROJ_DATA", "usr/share/proj"),
    ("PROJ_LIB", "usr/share/proj"),
    ("GIT_EXEC_PATH", "usr/lib/git-core"),
    ("GIT_TEMPLATE_DIR", "usr/share/git-core/templates"),
    ("TCL_LIBRARY", "usr/share/tcltk/tcl8.*"),
    ("TK_LIBRARY", "usr/share/tcltk/tk8.*"),
    ("MAGIC", "usr/share/misc/magic.mgc"),
    ("GSETTINGS_SCHEMA_DIR", "usr/share/glib-2.0/schemas"),
    ("VIMRUNTIME", "usr/share/vim/vim[0-9]*"),
    ("R_HOME", "usr/lib/R"),
    ("R_SHARE_DIR", "usr/share/R/share"),
    ("R_INCLUDE_DIR", "usr/share/R/include"),
    ("R_DOC_DIR", "usr/share/R/doc"),
    ("GUILE_LOAD_PATH", "usr/share/guile/*"),
)
# A compiler of the packages knows where its headers are; one of the machine's is told.
_HEADERS = ("usr/include/*-linux-gnu*", "usr/include")


def variables(tree: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the programs, libraries and data of the relocated `tree` to be found."""
    found = dict(environ)
    for name, patterns in _LISTS:
        _put_before(found, name, [*_present(tree, patterns)])
    if not os.path.isdir(f"{tree}/usr/lib/gcc"):
        _put_before(found, "CPATH", [*_present(tree, _HEADERS)])
    for name, patterns, default in _DATA:
        places = [*_present(tree, patterns)]
        if places:  # an empty entry of MANPATH stands for what man would have looked into
            found[name] = ":".join([found.get(name) or default, *places])
    for name, pattern in _SINGLE:
        place = next(_present(tree, (pattern,)), None)
        if place is not None and not found.get(name):
            found[name] = place
    return found


def _put_before(found: dict[str, str], name: str, places: list[str]) -> None:
    if places:
        own = found.get(name)
        found[name] = ":".join([*places, own] if own else places)


def _present(tree: str, patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        yield from sorted(glob(f"{escape(tree)}/{pattern}"))
