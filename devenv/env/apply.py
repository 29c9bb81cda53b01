"""Apply an environment to a mapping of variables, without any shell: for `enter -- PROGRAM`.

Does to the variables exactly what the rendered shell code does. Imports nothing: it is on the way of every
program that is started in an environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_ESCAPES = {"t": "\t", "n": "\n", "\\": "\\"}


def apply(steps: str, environ: Mapping[str, str], *, project: str, spec: str) -> dict[str, str]:
    """`environ` with the environment entered. `steps` is the text of the spec object's file `steps`.

    `project` and `spec` are absolute directories. Raises ValueError for a text that is no such file.
    """
    found = dict(environ)
    for kind, name, separator, value in read(steps, project=project, spec=spec):
        change(found, kind, name, separator, value)
    return found


def read(steps: str, *, project: str, spec: str) -> Iterator[tuple[str, str, str, str]]:
    """The steps in a text, complete: kind, name, separator and value of each. Raises ValueError as `apply` does."""
    places = {**_ESCAPES, "p": project, "s": spec}
    for line in steps.split("\n")[:-1]:
        kind, name, separator, value = line.split("\t")
        yield kind, name, _unescape(separator, places), _unescape(value, places)


def change(environ: dict[str, str], kind: str, name: str, separator: str, value: str) -> None:
    """Do one step to `environ` itself. Raises ValueError for an unknown kind."""
    before = environ.get(name)
    if kind == "set" or (kind == "default" and before is None):
        environ[name] = value
    elif kind == "unset":
        environ.pop(name, None)
    elif kind == "prepend":
        environ[name] = f"{value}{separator}{before}" if before else value
    elif kind == "append":
        environ[name] = f"{before}{separator}{value}" if before else value
    elif kind != "default":
        raise ValueError(f"unknown kind of step: {kind!r}")


def _unescape(text: str, places: Mapping[str, str]) -> str:
    if "\\" not in text:
        return text
    first, *rest = text.split("\\")
    found = [first]
    parts = iter(rest)
    for part in parts:
        if part:
            found.append(_place(part[0], places) + part[1:])
        else:  # two backslashes: the part after the second is literal
            found.append("\\" + next(parts, ""))
    return "".join(found)


def _place(letter: str, places: Mapping[str, str]) -> str:
    if letter not in places:
        raise ValueError(f"unknown escape: \\{letter}")
    return places[letter]
