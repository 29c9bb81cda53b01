"""A development shell of Nix as a devenv.toml: what `nix print-dev-env --json` prints, declared.

Nix tells final values only: PATH and XDG_DATA_DIRS are lists that go before the user's own, as its own shells have it, and every
other exported variable is set. What belongs to the build that the shell was recorded in is left out, as Nix leaves it out when
it prints the shell as bash (its own list, and what each derivation has of itself). Functions of bash come along where they are asked for: a shell
of Nix's own packages has dozens that only its builds call.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from devenv.config.reserved import is_needed, why_reserved
from devenv.errors import DevenvError

_LISTS = ("PATH", "XDG_DATA_DIRS")
# nix/src/nix/develop.cc leaves these out; the second row are variables of the recording shell and of its derivation.
_OF_THE_BUILD = frozenset(
    (
        *(
            "BASHOPTS",
            "EUID",
            "HOME",
            "NIX_BUILD_TOP",
            "NIX_ENFORCE_PURITY",
            "NIX_LOG_FD",
            "NIX_REMOTE",
            "PPID",
        ),
        *(
            "SHELLOPTS",
            "SSL_CERT_FILE",
            "TEMP",
            "TEMPDIR",
            "TERM",
            "TMP",
            "TMPDIR",
            "TZ",
            "UID",
            "NIX_BUILD_CORES",
        ),
        *(
            "SHELL",
            "OLDPWD",
            "PWD",
            "SHLVL",
            "PS4",
            "IFS",
            "LINENO",
            "OPTERR",
            "HOSTTYPE",
            "MACHTYPE",
            "OSTYPE",
        ),
        *(
            "NIX_STORE",
            "builder",
            "out",
            "outputs",
            "system",
            "name",
            "shellHook",
            "_",
            "dontAddDisableDepTrack",
        ),
    )
)
# Where nix's builds have nothing.
_PLACEHOLDERS = frozenset({"/path-not-set", "/homeless-shelter", "/no-such-path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """`values` are set, `lists` go before what the user has, `functions` are bodies of bash; `left_out` says what could not
    come along, and why."""

    values: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]
    functions: Mapping[str, str] = field(default_factory=dict)


def read(text: str, wanted: Collection[str] = ()) -> Imported:
    """Read what `nix print-dev-env --json` printed, with the functions `wanted`, or all by "*".

    Raises DevenvError for anything else, and for a function that is not there.
    """
    document = _document(text)
    values, lists, left_out = {}, {}, []
    for name, value in sorted(_exported(document)):
        if name in _LISTS:
            entries = tuple(entry for entry in value.split(":") if entry and entry not in _PLACEHOLDERS)
            if entries:
                lists[name] = entries
        elif name in _OF_THE_BUILD:
            continue
        elif reason := _reason_against(name, value):
            left_out.append(f"{name}: {reason}")
        else:
            values[name] = value
    functions = _functions(document, wanted, left_out)
    if _value(document, "shellHook"):
        left_out.append("shellHook: it is bash; declare what it does, or put it in [scripts]")
    return Imported(values=values, lists=lists, left_out=tuple(left_out), functions=functions)


def _functions(document: Mapping[str, Any], wanted: Collection[str], left_out: list[str]) -> dict[str, str]:
    """Those that are wanted and can be declared; what is left out is added to `left_out`."""
    there: dict[str, Any] = document.get("bashFunctions") or {}
    missing = sorted(set(wanted) - {"*"} - there.keys())
    if missing:
        raise DevenvError(
            f"there is no function {', '.join(missing)} in this shell",
            hint=f"it has {', '.join(sorted(there)) or 'none'}",
        )
    found, others = {}, []
    for name, body in sorted(there.items()):
        if "*" not in wanted and name not in wanted:
            others.append(name)
        elif not isinstance(body, str) or "\0" in body or not body.strip():
            left_out.append(f"function {name}: it has no body that a shell can hold")
        elif not (name.isascii() and name.isidentifier()) or is_needed(name):
            left_out.append(f"function {name}: no name of a function in every shell")
        else:
            found[name] = body
    if others:
        left_out.append(
            f"{len(others)} functions of bash, {others[0]} among them: --function NAME brings one"
        )
    return found


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_shell(str(error)) from None
    if not isinstance(document, dict) or not isinstance(document.get("variables"), dict):
        raise _no_shell("it has no object `variables`")
    if not isinstance(document.get("bashFunctions", {}), dict):
        raise _no_shell("`bashFunctions` is no object")
    return document


def _no_shell(found: str) -> DevenvError:
    return DevenvError(
        f"this is not what nix print-dev-env --json prints: {found}",
        hint="nix print-dev-env --json .#devShell > shell.json, then devenv import shell.json",
    )


def _exported(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, entry in document["variables"].items():
        if not isinstance(entry, dict):
            raise _no_shell(f"variable {name!r} is no object")
        if entry.get("type") == "exported":
            if not isinstance(entry.get("value"), str):
                raise _no_shell(f"variable {name!r} has no text as its value")
            yield name, entry["value"]


def _value(document: Mapping[str, Any], name: str) -> str:
    entry = document["variables"].get(name)
    found = entry.get("value") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else ""


def _reason_against(name: str, value: str) -> str:
    if not (name.isascii() and name.isidentifier()):
        return "no name of a variable in every shell"
    if "\0" in value:
        return "no shell can hold the NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "no text"
    return why_reserved(name) or ""


def declared(imported: Imported, name: str) -> str:
    """A devenv.toml with the environment `name`."""
    import tomlkit

    document = tomlkit.document()
    document["name"] = name
    environment = tomlkit.table()
    for variable, entries in imported.lists.items():
        entry = tomlkit.inline_table()
        entry["prepend"] = list(entries)
        environment[variable] = entry
    for variable, value in imported.values.items():
        environment[variable] = value
    document["env"] = environment
    if imported.functions:
        functions = tomlkit.table(is_super_table=True)
        for function, body in imported.functions.items():
            bodies = tomlkit.table()
            bodies["bash"] = body
            functions[function] = bodies
        document["functions"] = functions
    return tomlkit.dumps(document)
