"""The parameters of an environment: what is declared, what is given, and where their values go.

`${parameter:NAME}` in a value of [env], in a word of an alias, in a function or in a script stands for the value; `$${parameter:NAME}` is
that text itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from devenv.config.model import Config, Parameter, ParameterValue
from devenv.config.positions import Keys
from devenv.config.shapes import did_you_mean, quoted
from devenv.env.spec import Append, Default, Operation, Prepend, Set
from devenv.errors import DevenvError, raise_problems

TYPES = ("text", "int", "bool")
_MARK = re.compile(r"(\$?)\$\{parameter:([^}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_EXPECTED = {"text": "text", "int": "a whole number", "bool": "true or false"}


class ParameterError(DevenvError):
    """A value that was given to a parameter, or is missing."""


# Declarations


def read_parameters(data: Mapping[str, Any], origin: Callable[..., str]) -> dict[str, Parameter]:
    """The table [parameters], which is valid. A bare value is a default that says its type."""
    found = {}
    for name, value in data.items():
        table = value if isinstance(value, dict) else {"default": value}
        found[name] = Parameter(
            type=_type_of(table),
            default=table.get("default"),
            choices=tuple(table.get("choices", ())),
            doc=table.get("doc", ""),
            origin=origin("parameters", name),
        )
    return found


def _type_of(table: Mapping[str, Any]) -> str:
    if "type" in table:
        return str(table["type"])
    sample = table.get("default", next(iter(table.get("choices", ())), ""))
    return "bool" if isinstance(sample, bool) else "int" if isinstance(sample, int) else "text"


def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str | None]]:
    """Defaults and choices that are not of their type; marks that name no parameter: keys, problem, hint."""
    declared = data.get("parameters", {})
    for name, value in declared.items():
        table = value if isinstance(value, dict) else {"default": value}
        kind = _type_of(table)
        for index, choice in enumerate(table.get("choices", ())):
            if not _fits(choice, kind):
                yield (
                    ("parameters", name, "choices", index),
                    f"expected {_EXPECTED[kind]}, as `type` says",
                    None,
                )
        if "default" in table:
            keys: Keys = ("parameters", name, "default") if isinstance(value, dict) else ("parameters", name)
            if not _fits(table["default"], kind):
                yield keys, f"expected {_EXPECTED[kind]}, as `type` says", None
            elif "choices" in table and table["default"] not in table["choices"]:
                yield keys, f"{argument_text(table['default'])} is none of the choices", None
    if "extends" in data or "members" in data:
        return  # a parameter may come from there: `settle` looks again
    for keys, text in _texts(data):
        for escaped, name in _MARK.findall(text):
            if not escaped and name not in declared:
                hint = did_you_mean(name, tuple(declared)) or "declare it under [parameters]"
                yield keys, f"there is no parameter {quoted(name)}", hint


def _fits(value: Any, kind: str) -> bool:
    return type(value) is {"text": str, "int": int, "bool": bool}[kind]


def _texts(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Every text that may hold marks."""
    for table in ("env", "aliases", "functions", "scripts"):
        for name, value in data.get(table, {}).items():
            yield from _texts_in((table, name), value)
    for profile, tables in data.get("profiles", {}).items():
        for keys, text in _texts(tables):
            yield ("profiles", profile, *keys), text


def _texts_in(keys: Keys, value: Any) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, list | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts_in((*keys, key), item)


# Values


def split_given(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as on a command line. Raises ParameterError, or Problems of several."""
    found: dict[str, str] = {}
    problems = []
    for word in given:
        name, sign, value = word.partition("=")
        if not sign or not name:
            problems.append(ParameterError(f"expected NAME=VALUE, found {quoted(word)}"))
        elif found.setdefault(name, value) != value:
            problems.append(
                ParameterError(f"parameter {name} is given {quoted(found[name])} and {quoted(value)}")
            )
    raise_problems(problems)
    return found


def settle(config: Config, given: Mapping[str, str]) -> Config:
    """The configuration with every parameter's value in its place, and `arguments` saying which.

    Raises ParameterError, or Problems of all that are unknown, wrong or missing.
    """
    problems: list[DevenvError] = [*_unknown_marks(config)]
    for name in given:
        if name not in config.parameters:
            known = ", ".join(config.parameters) or "none"
            hint = did_you_mean(name, tuple(config.parameters)) or f"declared under [parameters]: {known}"
            problems.append(ParameterError(f"there is no parameter {quoted(name)}", hint=hint))
    values: dict[str, ParameterValue] = {}
    for name, parameter in config.parameters.items():
        try:
            values[name] = _value(name, parameter, given.get(name))
        except ParameterError as error:
            problems.append(error)
    raise_problems(problems)
    return fill(config, values)


def _unknown_marks(config: Config) -> Iterator[ParameterError]:
    """Marks that name no parameter, neither of the file's own nor of what it extends."""
    texts = [(config.origins.get(key, key), text) for key, text in _codes(config)]
    for name, words in config.aliases.items():
        texts += [(config.origins.get(f"aliases.{name}", name), word) for word in words]
    for operations in config.env.values():
        for operation in operations:
            if isinstance(operation, Prepend | Append):
                texts += [(operation.origin, entry) for entry in operation.entries]
            elif isinstance(operation, Set | Default):
                texts.append((operation.origin, operation.value))
    for origin, text in texts:
        for escaped, name in _MARK.findall(text):
            if not escaped and name not in config.parameters:
                hint = did_you_mean(name, tuple(config.parameters)) or "declare it under [parameters]"
                yield ParameterError(f"{origin}: there is no parameter {quoted(name)}", hint=hint)


def defaults(config: Config) -> Config:
    """The configuration with those values in their places that are known without anybody's word."""
    known = {name: each.default for name, each in config.parameters.items() if each.default is not None}
    return fill(config, known)


def _value(name: str, parameter: Parameter, given: str | None) -> ParameterValue:
    about = f"parameter {name} ({parameter.origin})"
    if given is None:
        if parameter.default is None:
            raise ParameterError(
                f"{about} has no value{f': {parameter.doc}' if parameter.doc else ''}",
                hint=f"give it one: devenv enter --set {name}=VALUE",
            )
        return parameter.default
    value = _parsed(parameter.type, given)
    if value is None:
        raise ParameterError(f"{about}: expected {_EXPECTED[parameter.type]}, found {quoted(given)}")
    if parameter.choices and value not in parameter.choices:
        choices = ", ".join(argument_text(choice) for choice in parameter.choices)
        raise ParameterError(f"{about}: expected one of {choices}, found {quoted(given)}")
    return value


def _parsed(kind: str, text: str) -> ParameterValue | None:
    if kind == "bool":
        return {"true": True, "false": False}.get(text)
    if kind == "int":
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
    return None if "\0" in text else text


def argument_text(value: ParameterValue) -> str:
    """A value as it stands in the environment, and as it is given."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# Places


def fill(config: Config, values: Mapping[str, ParameterValue]) -> Config:
    """Put values where marks stand. A mark of a parameter without a value stays. Raises ParameterError, or Problems."""
    texts = {name: argument_text(value) for name, value in values.items()}
    raise_problems([*_script_problems(config, texts), *_entry_problems(config, texts)])
    return replace(
        config,
        env={
            name: tuple(_filled_operation(each, texts) for each in found)
            for name, found in config.env.items()
        },
        aliases={
            name: tuple(_filled(word, texts) for word in words) for name, words in config.aliases.items()
        },
        scripts={name: _filled(script, texts) for name, script in config.scripts.items()},
        functions={
            name: {shell: _filled(body, texts) for shell, body in bodies.items()}
            for name, bodies in config.functions.items()
        },
        arguments=dict(values),
    )


def _script_problems(config: Config, texts: Mapping[str, str]) -> Iterator[ParameterError]:
    """Scripts and functions are code, in any language: what would be more than one plain word of it is not put there."""
    for key, text in _codes(config):
        kind, name_of = key.split(".", 1)
        for name in sorted({name for escaped, name in _MARK.findall(text) if not escaped} & texts.keys()):
            if not _PLAIN.fullmatch(texts[name]):
                yield ParameterError(
                    f"{kind[:-1]} {name_of} ({config.origins.get(key, 'devenv.toml')}): the value "
                    f"{quoted(texts[name])} of parameter {name} cannot stand in code as it is",
                    hint=f'let a variable carry it: NAME = "${{parameter:{name}}}" under [env], and "$NAME" in the {kind[:-1]}',
                )


def _codes(config: Config) -> Iterator[tuple[str, str]]:
    """The texts of scripts and functions, each with the key of its origin."""
    for name, text in config.scripts.items():
        yield f"scripts.{name}", text
    for name, bodies in config.functions.items():
        for body in bodies.values():
            yield f"functions.{name}", body


def _entry_problems(config: Config, texts: Mapping[str, str]) -> Iterator[ParameterError]:
    for variable, found in config.env.items():
        for operation in found:
            if not isinstance(operation, Prepend | Append):
                continue
            for entry in operation.entries:
                for name in sorted({name for escaped, name in _MARK.findall(entry) if not escaped}):
                    if operation.separator in texts.get(name, ""):
                        yield ParameterError(
                            f"{variable} ({operation.origin}): the value {quoted(texts[name])} of parameter {name} "
                            "holds the separator of the list"
                        )


def without_marks(text: str) -> str:
    """A text without what stands for parameters."""
    return _MARK.sub("", text)


def _filled(text: str, texts: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else texts.get(match[2], match[0])

    return _MARK.sub(value, text)


def _filled_operation(operation: Operation, texts: Mapping[str, str]) -> Operation:
    if isinstance(operation, Set | Default):
        return replace(operation, value=_filled(operation.value, texts))
    if isinstance(operation, Prepend | Append):
        return replace(operation, entries=tuple(_filled(entry, texts) for entry in operation.entries))
    return operation
