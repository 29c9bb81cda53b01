"""The builder of a recipe: a program for a POSIX shell, made of the recipe's values. Pure.

    sh SCRIPT OUT [PHASE...]

runs the phases that are named, or all of them, in the directory $NIX_BUILD_TOP. Each runs in a shell of its own, so
that a phase finds the same whether the one before it ran just now or long ago: files, and the directory in which
that one ended, which is kept in `$NIX_BUILD_TOP/.phase`. Which began and which ended is in `.phases` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from devenv.config.builds import Data
from devenv.env.compiler_cache import COMPILERS
from devenv.recipes.phases import Phase

# In the build directory: where the last phase ended, and which phases began and ended.
PLACE = ".phase"
LOG = ".phases"

# Without pinned programs nothing is found, rather than whatever the caller has.
NO_PATH = "/path-not-set"
HOST_PATH = "/usr/bin:/bin"

# Equal inputs are to give equal outputs: no language, time zone or date of the day.
_FIXED = {"LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "315532800"}

# Variable -> directory of an input, for what compilers and shells look for in lists of directories.
_SEARCHED = {
    "PATH": "bin",
    "CPATH": "include",
    "LIBRARY_PATH": "lib",
    "LD_RUN_PATH": "lib",
    "PKG_CONFIG_PATH": "lib/pkgconfig",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What the phases of one recipe are given. Paths are store paths.

    `inputs` are by the name that devenv.toml has for them, in its order. `host`: the machine's programs can be used;
    `in_root`: those of a root of packages.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Data] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    host: bool = False
    in_root: bool = False


def exported(values: Values) -> dict[str, str]:
    """The variables of the programs that phases run, apart from those about directories that inputs have."""
    return {**_FIXED, **values.env}


def local(values: Values) -> dict[str, str]:
    """The variables of the phases themselves: attributes, inputs, sources and patches.

    A list of plain values is one text of quoted words, for `eval "set -- $list"`. What holds tables or lists in lists
    is in $NIX_ATTRS_JSON_FILE only.
    """
    found = {name: text for name, value in values.attributes.items() if (text := _text(value)) is not None}
    found |= {f"input_{variable_name(name)}": path for name, path in values.inputs.items()}
    return found | {"sources": _words(values.sources), "patches": _words(values.patches)}


def variable_name(name: str) -> str:
    """An input's name as the end of a variable's: "npm:@corp/a" -> "npm__corp_a"."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)


def searched(values: Values, is_directory: Callable[[str], bool]) -> dict[str, str]:
    """The lists of directories in which compilers and shells look. `is_directory` asks the machine."""
    found = {}
    for variable, inner in _SEARCHED.items():
        places = [f"{path}/{inner}" for path in values.inputs.values() if is_directory(f"{path}/{inner}")]
        if variable == "PATH":
            places += [HOST_PATH] if values.host or values.in_root else [] if places else [NO_PATH]
        if places:
            found[variable] = ":".join(places)
    return found


def phase_text(phase: Phase) -> str:
    """The file that holds a phase."""
    return phase.run if phase.run.endswith("\n") else phase.run + "\n"


def script(values: Values, phases: Sequence[Phase], files: Mapping[str, str]) -> str:
    """The builder's text. `files` are the paths of the phases' own files, by name."""
    return "".join(f"{line}\n" for line in _lines(values, phases, files))


def _lines(values: Values, phases: Sequence[Phase], files: Mapping[str, str]) -> Iterator[str]:
    yield f"# Builds {values.name}: SCRIPT OUT [PHASE...]. Made by devenv; docs/recipes.md explains it."
    yield "set -e"
    yield "out=$1"
    yield "shift"
    yield ': "${NIX_BUILD_TOP:=$PWD}"'
    yield "export out NIX_BUILD_TOP"
    yield from (f"export {name}={quote(text)}" for name, text in sorted(exported(values).items()))
    yield from (f"{name}={quote(text)}" for name, text in sorted(local(values).items()))
    yield f"PATH={quote('')}"
    yield from _USE
    yield from (f"use {quote(path)}" for path in values.inputs.values())
    yield "unset -f use"
    if values.in_root:
        yield from _CACHED
    if values.host or values.in_root:
        yield f'PATH="${{PATH:+$PATH:}}"{quote(HOST_PATH)}'
    else:
        yield f'PATH="${{PATH:-{NO_PATH}}}"'
    yield "export PATH"
    yield from _RUN
    yield "phase() {"
    yield "    case $1 in"
    yield from (f"    {phase.name}) run {phase.name} {quote(files[phase.name])} ;;" for phase in phases)
    yield "    *)"
    yield f"        printf 'there is no phase %s; there are %s\\n' \"$1\" {quote(' '.join(p.name for p in phases))} >&2"
    yield "        exit 2"
    yield "        ;;"
    yield "    esac"
    yield "}"
    yield "if [ $# -eq 0 ]; then"
    yield f"    set -- {' '.join(phase.name for phase in phases)}"
    yield "fi"
    yield "for each do"
    yield '    phase "$each"'
    yield "done"


def _use_lines() -> Iterator[str]:
    yield "use() {"
    for variable, inner in _SEARCHED.items():
        place = f'"$1/{inner}"'
        yield f'    if [ -d {place} ]; then export {variable}="${{{variable}:+${variable}:}}"{place}; fi'
    yield "}"


_USE = tuple(_use_lines())

# With ccache in the root, its directory before the compilers' own, always: what an object says of its source's place is
# the same with a cache and without. Where nobody shows a cache, it is one of this build.
_CACHED = f"""\
if [ -x /usr/bin/ccache ]; then
    PATH="${{PATH:+$PATH:}}{COMPILERS}"
    export CCACHE_DIR="${{CCACHE_DIR:-/tmp/ccache}}" CCACHE_BASEDIR="$NIX_BUILD_TOP"
fi
""".splitlines()

_RUN = f"""\
run() {{
    printf 'phase: %s\\n' "$1"
    printf 'began %s\\n' "$1" >>"$NIX_BUILD_TOP/{LOG}"
    (
        place=
        if [ -f "$NIX_BUILD_TOP/{PLACE}" ]; then IFS= read -r place <"$NIX_BUILD_TOP/{PLACE}"; fi
        cd "$NIX_BUILD_TOP/$place"
        unset place
        . "$2"
        case $PWD/ in
        "$NIX_BUILD_TOP"/*) printf '%s\\n' "${{PWD#"$NIX_BUILD_TOP"}}" >"$NIX_BUILD_TOP/{PLACE}" ;;
        esac
    )
    printf 'ended %s\\n' "$1" >>"$NIX_BUILD_TOP/{LOG}"
}}
""".splitlines()


# What is the same in all builders.
RUNNER = "\n".join((*_USE, *_CACHED, *_RUN))


def _text(value: Data) -> str | None:
    """A plain value as a variable's text; None for what only JSON can hold. True is "1", false is ""."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        texts = [_text(item) for item in value if not isinstance(item, list | dict)]
        return _words(text for text in texts if text is not None) if len(texts) == len(value) else None
    return None


def _words(texts: Iterable[str]) -> str:
    return " ".join(quote(text) for text in texts)
