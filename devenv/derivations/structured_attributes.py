"""Structured attributes: what a derivation with `__json` in its environment gives its builder instead of variables.

Two files in the build directory: `.attrs.json`, the attributes with `outputs` as name -> path, and `.attrs.sh`, those
of them that bash can hold, as `declare` statements. After "Structured attributes" in Nix's manual ("Derivations:
advanced attributes"), and what Nix 2.8 writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from devenv.derivations.errors import BuildError

ATTRIBUTE = "__json"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Attributes = dict[str, Any]


def parse(text: str, label: str) -> Attributes:
    """The attributes in `text`, the value of `__json`. Raises BuildError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildError(
            f"cannot build {label}: its attributes are not JSON ({error})", package=label
        ) from None
    if not isinstance(found, dict):
        raise BuildError(f"cannot build {label}: its attributes are not a JSON object", package=label)
    return found


def as_json(attributes: Attributes, outputs: Mapping[str, str]) -> str:
    """The text of `.attrs.json`: no blanks, keys sorted."""
    whole = {**attributes, "outputs": dict(outputs)}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def as_shell(attributes: Attributes, outputs: Mapping[str, str]) -> str:
    """The text of `.attrs.sh`. Attributes that are no variable's name, or deeper than bash has values, are left out."""
    whole = {**attributes, "outputs": dict(outputs)}
    lines = []
    for name in sorted(whole):
        if _VARIABLE.fullmatch(name):
            line = _declaration(name, whole[name])
            if line is not None:
                lines.append(line + "\n")
    return "".join(lines)


def _declaration(name: str, value: object) -> str | None:
    if isinstance(value, list):
        words = [_word(each) for each in value]
        if None in words:
            return None
        return f"declare -a {name}=({''.join(f'{word} ' for word in words)})"
    if isinstance(value, dict):
        pairs = [(key, _word(value[key])) for key in sorted(value)]
        if any(word is None for _, word in pairs):
            return None
        return f"declare -A {name}=({''.join(f'[{_quote(key)}]={word} ' for key, word in pairs)})"
    word = _word(value)
    return None if word is None else f"declare {name}={word}"


def _word(value: object) -> str | None:
    """A value that is no list, as bash reads it. Fractions are none of bash's."""
    if isinstance(value, str):
        return _quote(value)
    if value is True:
        return "1"
    if value is None or value is False:
        return "''" if value is None else ""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return None


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
