"""YAML lockfiles as tables of texts, lists and tables.

Every scalar is text: what "1.10" or "no" would be is for the reader of the field to say. Anchors, aliases and merge keys are
refused, as no tool writes them into a lockfile; so is nesting that no lockfile has. The tree is made of the parser's
events, because its own composer recurses without a limit.
"""

from __future__ import annotations

from devenv.adapter import AdapterError
from devenv.adapters._fields import Table

_DEEPEST = 30


class _Refused(Exception):
    """What a lockfile must not hold, in words; it never leaves this module."""


def parse_yaml(text: str, file: str) -> Table:
    """The last document of a YAML file, which must be a table. Raises `AdapterError`.

    What pnpm says of itself comes in a document before the one of the project.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        document = _document(yaml.parse(text, Loader=loader), yaml)
    except (yaml.YAMLError, _Refused, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error)
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        conflict = any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in text.splitlines())
        raise AdapterError(
            f"{file}: {'it contains merge conflict markers' if conflict else f'it is not the YAML of a lockfile: {problem}{where}'}",
            hint="Let the tool that wrote it write it again.",
            file=file,
        ) from None
    if not isinstance(document, dict):
        raise AdapterError(f"{file}: expected a table, found something else", file=file)
    return Table(document, file=file)


def _document(events: object, yaml: object) -> object:
    """The last value that the events describe. A table's keys must be texts, each once."""
    from yaml import events as kinds

    top: list[object] = []
    stack: list[tuple[object, list[object]]] = []  # a container, and the key that waits for its value
    for event in events:  # type: ignore[attr-defined]
        if isinstance(event, kinds.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Refused("it has anchors or aliases")
        if isinstance(event, kinds.ScalarEvent):
            _put(stack, top, event.value)
        elif isinstance(event, (kinds.MappingStartEvent, kinds.SequenceStartEvent)):
            value: object = {} if isinstance(event, kinds.MappingStartEvent) else []
            _put(stack, top, value)
            stack.append((value, []))
            if len(stack) > _DEEPEST:
                raise _Refused(f"it is nested more than {_DEEPEST} deep")
        elif isinstance(event, (kinds.MappingEndEvent, kinds.SequenceEndEvent)):
            stack.pop()
    if not top or len(top) > 2:
        raise _Refused(f"it holds {len(top) or 'no'} documents")
    return top[-1]


def _put(stack: list[tuple[object, list[object]]], top: list[object], value: object) -> None:
    """Add a value to the innermost container."""
    if not stack:
        top.append(value)
        return
    container, waiting = stack[-1]
    if isinstance(container, list):
        container.append(value)
    elif not waiting:
        if not isinstance(value, str):
            raise _Refused("a key is no text")
        waiting.append(value)
    elif isinstance(container, dict):
        key = waiting.pop()
        if key in container:
            raise _Refused(f"the key {str(key)[:80]!r} occurs twice")
        container[key] = value
