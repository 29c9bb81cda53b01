"""Compilers of a root that say nothing of where a package was compiled: programs in front of ccache, part of the root.

    usr/lib/ccache-placed/{gcc,c++,...}     links to `ccache-placed`, for those that /usr/lib/ccache has
    usr/lib/ccache-placed/identity          a name for the packages that these compilers consist of

The build of a package unpacks it in a sandbox, `pip`, `R` or `node-gyp` in a shell do it in a temporary directory or in
node_modules. With -g, which Python and R of distributions compile with, an object names that directory and is of no use
elsewhere. So there it is called "." (-ffile-prefix-map, of gcc 8 and clang 10 on), and what lies beside it is named
relative to it (`base_dir` of ccache). A project's own files are compiled as they are: debuggers look for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from devenv.env.compiler_cache import COMPILERS, IDENTITY, PLACED
from devenv.formats.hashes import Hash

# Part of the name of roots with ccache, so that a change of what is made here makes them anew.
COMPILERS_REVISION = 1

# ccache takes no program for a compiler whose name begins as its own, so it finds the compiler behind these.
_PROGRAM = "ccache-placed"
_SCRIPT = b"""\
#!/bin/sh
# The compiler by whose name this is called, through ccache. Written by devenv.
top= compiles=
cache=${XDG_CACHE_HOME:-${HOME-}/.cache} temporary=${TMPDIR:-/tmp}
case $PWD/ in
    */node_modules/*) top=${PWD%%/node_modules/*} ;;
    "${CCACHE_BASEDIR:-/.}"/*) ;;
    "$temporary"/*) top=${PWD#"$temporary"/} top=$temporary/${top%%/*} ;;
    "$cache"/*) top=$cache ;;
esac
for each do
    if [ "$each" = -c ]; then compiles=1; fi
done
if [ -n "$top" ] && [ -n "$compiles" ]; then
    export CCACHE_BASEDIR="$top"
    exec /usr/bin/ccache "${0##*/}" "-ffile-prefix-map=$PWD=." "$@"
fi
exec /usr/bin/ccache "${0##*/}" "$@"
"""
# What decides about the objects that compilers make, but for headers: ccache reads these.
_TOOLCHAIN = (
    "binutils",
    "clang",
    "cpp",
    "g++",
    "gcc",
    "gobjc",
    "libbinutils",
    "libclang",
    "libisl",
    "libllvm",
    "llvm",
)


def has_ccache(paths: Iterable[str]) -> bool:
    """Whether ccache is among these unpacked packages."""
    return any(_name(path).startswith("ccache-") for path in paths)


def identity(paths: Iterable[str]) -> str:
    """A name for the compilers among these unpacked packages: of other versions it is another."""
    found = sorted(os.path.basename(path) for path in paths if _name(path).startswith(_TOOLCHAIN))
    return Hash.of("sha256", "\n".join(found).encode()).nix32


def place_compilers(root: str, paths: Sequence[str]) -> None:
    """Put them into the new root directory `root` of these packages, if it has ccache. Raises OSError."""
    directory = root + PLACED
    if not has_ccache(paths) or not os.path.isdir(root + COMPILERS):
        return
    os.mkdir(directory, 0o755)
    _write(f"{directory}/{_PROGRAM}", _SCRIPT, 0o555)
    _write(f"{directory}/{IDENTITY}", f"{identity(paths)}\n".encode(), 0o444)
    for name in sorted(os.listdir(root + COMPILERS)):
        os.symlink(_PROGRAM, f"{directory}/{name}")


def _name(path: str) -> str:
    """A package's name and version, of its path in the store."""
    return os.path.basename(path).partition("-")[2].lower()


def _write(path: str, contents: bytes, mode: int) -> None:
    with open(path, "xb") as file:
        file.write(contents)
        os.fchmod(file.fileno(), mode)
