"""Control files of Debian: stanzas of fields. After deb822(5).

    file   = stanza { blank-line stanza }
    stanza = field { field }
    field  = name ":" value LF { (SP | TAB) more LF }        # name: printable US-ASCII without ":" and blanks

Names are the same in any case; here they are in lower case. A value is given without the blank after the colon, its
further lines keep their first blank. Lines that begin with "#" are comments, and belong to no field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from devenv.formats.errors import FormatError

Stanza = dict[str, str]

_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)")


def parse(text: str) -> list[Stanza]:
    """All stanzas of a file. Raises `FormatError` with the line that is wrong."""
    return list(_stanzas(text))


def parse_one(text: str) -> Stanza:
    """The fields of a file that is a single stanza. Raises `FormatError`."""
    found = parse(text)
    if len(found) != 1:
        raise FormatError(f"expected one stanza of fields, found {len(found)}")
    return found[0]


def _stanzas(text: str) -> Iterator[Stanza]:
    fields: dict[str, list[str]] = {}
    last: list[str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.startswith("#"):
            continue
        if not line.strip(" \t"):
            if fields:
                yield _joined(fields)
            fields, last = {}, None
        elif line[0] in " \t":
            if last is None:
                raise FormatError(f"line {number} continues a field, but none precedes it")
            last.append(line.rstrip(" \t"))
        else:
            name, value = _field(line, number)
            if name in fields:
                raise FormatError(f"line {number} has the field {name!r} a second time in its stanza")
            fields[name] = last = [value]
    if fields:
        yield _joined(fields)


def _field(line: str, number: int) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None or found[1].startswith("-"):
        raise FormatError(f"line {number} is no field: {line[:80]!r}")
    return found[1].lower(), found[2].rstrip(" \t")


def _joined(fields: dict[str, list[str]]) -> Stanza:
    return {name: "\n".join(lines) for name, lines in fields.items()}
