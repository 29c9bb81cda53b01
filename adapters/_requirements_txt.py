"""The grammar of requirements files, as pip reads them (pip documentation, "Requirements File Format").

::

    FILE         lines; one ending in "\\" goes on in the next; "#" starts a comment, at the beginning of a
                 line or after a blank
    LINE         REQUIREMENT PER-LINE-OPTION* | OPTION+
    REQUIREMENT  a dependency specifier (NAME[EXTRAS] SPECIFIERS ; MARKER, NAME @ URL ; MARKER) | URL | PATH
    PER-LINE     --hash ALGORITHM:HEX | --config-settings X | --global-option X
    OPTION       -r FILE | -c FILE (relative to the file that names them) | -e X | -i URL | ...

Included files are other texts by name; nothing is read from disk. `${NAME}` stands for an environment
variable: what contains one is left as it is here, and judged by the reader.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from devenv.adapter import AdapterError
from devenv.adapters._fields import Faults, Table
from devenv.adapters._project_names import MANIFESTS

_COMMENT = re.compile(r"(^|\s+)#.*$")
VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")

_SHORT = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
_WITH_VALUE = frozenset(
    {
        *_SHORT.values(),
        "--pypi-url",
        "--extra-index-url",
        "--trusted-host",
        "--no-binary",
        "--only-binary",
        "--use-feature",
        "--hash",
        "--config-settings",
        "--config-setting",
        "--global-option",
    }
)
_FLAGS = frozenset({"--no-index", "--pre", "--prefer-binary", "--require-hashes"})
_PER_LINE = frozenset({"--hash", "--config-settings", "--config-setting", "--global-option"})
_INCLUDES = ("--requirement", "--constraint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One requirement: its text without options, and the values of its --hash options."""

    file: str
    line: int
    text: str
    hashes: tuple[str, ...] = ()

    @property
    def where(self) -> Table:
        """This line as a place for errors."""
        return Table({}, file=f"{self.file}:{self.line}")

    def fault(self, problem: str, hint: str | None = None) -> AdapterError:
        """An error about this line."""
        return _fault(self.file, self.line, problem, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option on a line of its own, under its long name; `value` is "" for flags."""

    file: str
    line: int
    name: str
    value: str = ""

    def fault(self, problem: str, hint: str | None = None) -> AdapterError:
        """An error about this line."""
        return _fault(self.file, self.line, problem, hint)


@dataclass(slots=True, kw_only=True)
class Parsed:
    """A requirements file together with what it includes, in reading order."""

    requirements: list[Entry] = field(default_factory=list)
    constraints: list[Entry] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)


def _fault(file: str, line: int, problem: str, hint: str | None = None) -> AdapterError:
    return AdapterError(f"{file}:{line}: {problem}", hint=hint, file=file, key=f"line {line}")


def parse(text: str, path: str, siblings: Mapping[str, str]) -> Parsed:
    """Read the file and all that it includes. Raises every fault of grammar together.

    `siblings`: the texts of other files by name relative to this file's directory.
    """
    reader = _Reader(posixpath.dirname(path), siblings)
    name = posixpath.basename(path)
    reader.read(text, name, (name,), constraint=False)
    reader.faults.report(f"{path} cannot be read:")
    return reader.parsed


def included_names(text: str, name: str) -> tuple[str, ...]:
    """The files that a requirements file named `name` includes, relative to the same directory as `name`."""
    if posixpath.basename(name) in MANIFESTS:  # of a directory that one of them names
        return ()
    found = []
    for number, line in _logical_lines(text):
        try:
            options = _options(_words(line, name, number), name, number) if line.startswith("-") else []
        except AdapterError:
            continue
        found += [_place(name, option.value) for option in options if option.name in _INCLUDES]
        places = [option.value for option in options if option.name == "--editable"]
        places += [] if line.startswith("-") else [line]
        directories = [_bare(place) for place in places if is_directory(place)]
        found += [_place(name, f"{place}/{manifest}") for place in directories for manifest in MANIFESTS]
    return tuple(dict.fromkeys(found))


# What means more to a shell's splitting than itself; it knows fewer blanks than Python.
_QUOTING = "\"'\\\v\f\x1c\x1d\x1e\x1f"
_FILES = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")


def _bare(place: str) -> str:
    """A path without extras, marker and URL scheme, normal. As pip has it, relative to the working directory."""
    path = place.partition(";")[0].strip().removeprefix("file://").removeprefix("file:")
    return posixpath.normpath(path.partition("[")[0].partition("#")[0].strip())


def _is_path(text: str) -> bool:
    plain = text.startswith(("./", "../", "/", "file:")) or _bare(text) in (".", "..")
    return plain or ("/" in _bare(text) and "://" not in text and "@" not in text)


def is_file(text: str) -> bool:
    """Whether a requirement is the path of a wheel or of an sdist."""
    return _bare(text).endswith(_FILES) and "://" not in text and "@" not in text


def is_directory(text: str) -> bool:
    """Whether a requirement is the path of a directory."""
    return _is_path(text) and not _bare(text).endswith(_FILES)


def directory_of(entry: Entry) -> str:
    """The directory that a requirement names, as pip has it: relative to where the lockfile is."""
    return _bare(entry.text)


def editable_entries(parsed: Parsed) -> list[Entry]:
    """What stands behind -e, as requirements."""
    return [
        Entry(file=option.file, line=option.line, text=option.value)
        for option in parsed.options
        if option.name == "--editable"
    ]


def _place(including: str, included: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(including), included))


class _Reader:
    def __init__(self, directory: str, siblings: Mapping[str, str]) -> None:
        self.directory = directory
        self.siblings = siblings
        self.parsed = Parsed()
        self.faults = Faults()

    def read(self, text: str, name: str, stack: tuple[str, ...], *, constraint: bool) -> None:
        file = posixpath.normpath(posixpath.join(self.directory, name))
        entries = self.parsed.constraints if constraint else self.parsed.requirements
        for number, line in _logical_lines(text):
            with self.faults.caught():
                if not line.startswith("-"):
                    entries.append(_entry(line, file, number))
                    continue
                for option in _options(_words(line, file, number), file, number):
                    if option.name in _INCLUDES:
                        self._include(option, name, stack, constraint=constraint)
                    else:
                        self.parsed.options.append(option)

    def _include(self, option: Option, name: str, stack: tuple[str, ...], *, constraint: bool) -> None:
        place = _place(name, option.value)
        if "://" in option.value:
            raise option.fault(f"includes {option.value[:200]!r}; only files of the project can be included")
        if place in stack:
            raise option.fault(f"includes {place!r}, which includes this file")
        text = self.siblings.get(place)
        if text is None:
            raise option.fault(
                f"includes {place[:200]!r}, which is not there",
                "Included files are looked for in the project, relative to the file that names them.",
            )
        self.read(text, place, (*stack, place), constraint=constraint or option.name == "--constraint")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined at their continuations, without comments and blank ones, with the number of the first."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        is_comment = _COMMENT.match(line) is not None
        start = start if parts else number
        if line.endswith("\\") and not is_comment:
            parts.append(line[:-1])
            continue
        # A comment in the middle ends the continuation, and is one only after a blank.
        parts.append(f" {line}" if is_comment else line)
        yield from _uncommented(start, "".join(parts))
        parts = []
    yield from _uncommented(start, "".join(parts))


def _uncommented(number: int, line: str) -> Iterator[tuple[int, str]]:
    stripped = _COMMENT.sub("", line).strip()
    if stripped:
        yield number, stripped


def _entry(line: str, file: str, number: int) -> Entry:
    """Options begin at the first word that starts with a dash."""
    words = line.split(" ")
    cut = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    hashes = []
    for option in _options(_words(" ".join(words[cut:]), file, number), file, number):
        if option.name not in _PER_LINE:
            raise option.fault(f"{option.name} cannot stand behind a requirement")
        if option.name == "--hash":
            hashes.append(option.value)
    return Entry(file=file, line=number, text=" ".join(words[:cut]).strip(), hashes=tuple(hashes))


def _words(line: str, file: str, number: int) -> list[str]:
    if not any(mark in line for mark in _QUOTING) and line.isascii():
        return line.split()  # a hundred times as fast, and locks have thousands of hashes
    try:
        return shlex.split(line)
    except ValueError as error:
        raise _fault(file, number, f"cannot split {line[:200]!r} into words: {error}") from None


def _options(words: list[str], file: str, line: int) -> list[Option]:
    found = []
    rest = iter(words)
    for word in rest:
        name, mark, value = word.partition("=")
        if word[:2] in _SHORT:
            # "-rFILE" and "-r FILE", and "-r=FILE" is a file named "=FILE", as for every getopt.
            name, mark, value = _SHORT[word[:2]], word[2:], word[2:]
        if name in _WITH_VALUE:
            value = value if mark else next(rest, "")
            if not value:
                raise _fault(file, line, f"{name} needs a value")
        elif name not in _FLAGS or mark:
            raise _fault(file, line, f"{word[:200]!r} is not an option known here")
        found.append(Option(file=file, line=line, name=name, value=value))
    return found
