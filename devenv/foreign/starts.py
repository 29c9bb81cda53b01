"""Starts that ended well, so that the next of the same kind takes a few stat calls: nothing is read, parsed or looked up.

`state/foreign/starts/KEY` is a sequence of strings, a NUL behind each, for no path, word or variable holds one:

    "devenv-start 1", then for each list its length and its entries:
    request; argv; watched (path, signature, ...); root, link, state, graphics; binds (source, target, ...); variables (name, value, ...)

Whatever a start depended on is among `watched`: the file, what it starts and brings, this machine's ld.so.cache. KEY is a checksum:
the request that stands in the record decides. Light on imports, for it is read on the warm path.
"""

from __future__ import annotations

import os

from devenv.stamp import signature, take_signatures
from devenv.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HEAD = "devenv-start 1"
LIBRARIES = "/etc/ld.so.cache"  # what this machine's loader knows changes with it


@value(frozen=True, slots=True, kw_only=True)
class Entered:
    """The root of a start. link: keeps it from being collected; graphics: what this machine drew with, as `drivers` describes it

    binds: (source, target), shown in it as well, read-only; environ: variables of the drivers
    """

    root: str
    link: str
    state: str
    graphics: str
    binds: tuple[tuple[str, str], ...]
    environ: dict[str, str]


@value(frozen=True, slots=True, kw_only=True)
class Start:
    """What was started. request: what was asked for; argv: before the user's words; watched: path -> signature, as in a stamp"""

    request: tuple[str, ...]
    argv: tuple[str, ...]
    watched: dict[str, str]
    entered: Entered | None


def request(path: str, base: str, packages: Sequence[str], *, root: bool, patched: bool) -> tuple[str, ...]:
    """All of a command line that decides how a file is started. base: a name, or `base_of_project`"""
    return (
        os.path.abspath(path),
        base,
        "root" if root else "",
        "patched" if patched else "",
        *sorted(packages),
    )


def base_of_project(root: str) -> str:
    """What stands for the base that a project's configuration names."""
    return f"of {root}"


def witnesses(path: str) -> dict[str, str]:
    """The signatures of what was asked for: a file, or a directory with what lies at its top."""
    place = os.path.abspath(path)
    try:
        inside = os.listdir(place)
    except OSError:
        inside = []
    return take_signatures((place, *(f"{place}/{name}" for name in inside)))


def keep(directory: str, start: Start) -> None:
    """Remember a start below `directory`. Who cannot write decides again the next time."""
    path = _place(directory, start.request)
    data = os.fsencode("".join(f"{each}\0" for each in _strings(start)))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.{os.getpid()}", "wb") as file:
            file.write(data)
        os.rename(f"{path}.{os.getpid()}", path)
    except OSError:
        return


def current(directory: str, asked: tuple[str, ...]) -> Start | None:
    """The start that this request had before, if nothing that it depends on has changed. Never raises."""
    try:
        with open(_place(directory, asked), "rb") as file:
            start = _start(os.fsdecode(file.read()).split("\0"))
    except (OSError, ValueError, IndexError):
        return None
    if start.request != asked or any(signature(path) != was for path, was in start.watched.items()):
        return None
    return start


def forget(directory: str, asked: tuple[str, ...]) -> None:
    try:
        os.unlink(_place(directory, asked))
    except OSError:
        return


def _place(directory: str, asked: tuple[str, ...]) -> str:
    from binascii import crc32

    words = os.fsencode("\0".join(asked))
    return f"{directory}/starts/{crc32(words):08x}"


def _strings(start: Start) -> Iterator[str]:
    entered = start.entered
    yield _HEAD
    yield from _list(start.request)
    yield from _list(start.argv)
    yield from _list(each for pair in start.watched.items() for each in pair)
    if entered is None:
        yield "0"
        return
    yield from _list((entered.root, entered.link, entered.state, entered.graphics))
    yield from _list(each for pair in entered.binds for each in pair)
    yield from _list(each for pair in entered.environ.items() for each in pair)


def _list(entries: Iterable[str]) -> Iterator[str]:
    found = list(entries)
    yield str(len(found))
    yield from found


def _start(strings: list[str]) -> Start:
    """Raises ValueError and IndexError for what `_strings` did not write."""
    if strings[0] != _HEAD or strings[-1]:
        raise ValueError
    lists: list[list[str]] = []
    at = 1
    while at < len(strings) - 1:
        count = int(strings[at])
        if not 0 <= count < len(strings) - at:
            raise ValueError
        lists.append(strings[at + 1 : at + 1 + count])
        at += 1 + count
    asked, argv, watched, place, *rest = lists
    entered = None
    if place:
        binds, variables = rest
        root, link, state, graphics = place
        entered = Entered(
            root=root, link=link, state=state, graphics=graphics,
            binds=tuple(zip(binds[::2], binds[1::2], strict=True)), environ=_pairs(variables),
        )  # fmt: skip
    return Start(request=tuple(asked), argv=tuple(argv), watched=_pairs(watched), entered=entered)


def _pairs(strings: list[str]) -> dict[str, str]:
    return dict(zip(strings[::2], strings[1::2], strict=True))
