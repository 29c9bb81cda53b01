"""Immutable values for what every start of a shell loads: `dataclasses` takes 15 ms to import, and one more a class.

To type checkers `value` is `dataclass`; while running it makes the same of `frozen=True` classes: construction by
position or name, defaults, equality, hash and repr.
"""

from __future__ import annotations

__all__ = ["replaced", "value"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as value
    from typing import Any, NoReturn, TypeVar

    _Value = TypeVar("_Value")

else:

    def value(*, frozen: bool, kw_only: bool = False, slots: bool = False) -> Callable[[type], type]:
        """Make a class of annotated fields a value. `slots` is for type checkers."""
        return lambda cls: _made(cls, kw_only)


def _made(cls: Any, kw_only: bool) -> Any:
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}

    def __init__(self: Any, *given: object, **named: object) -> None:
        if len(given) > (0 if kw_only else len(names)):
            raise TypeError(f"{cls.__name__}: too many values by position")
        found = {**defaults, **dict(zip(names, given, strict=False)), **named}
        if len(found) != len(names) or not named.keys().isdisjoint(names[: len(given)]):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(names)}, not {', '.join(found)}")
        self.__dict__.update(found)

    def __eq__(self: Any, other: object) -> bool:
        return self.__dict__ == other.__dict__ if other.__class__ is cls else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(tuple(self.__dict__[name] for name in names))

    def __repr__(self: Any) -> str:
        return f"{cls.__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in names)})"

    def __setattr__(self: Any, name: str, _: object) -> NoReturn:
        raise AttributeError(f"{cls.__name__}.{name} cannot be changed: it is a value")

    for method in (__init__, __eq__, __hash__, __repr__, __setattr__):
        setattr(cls, method.__name__, method)
    return cls


def replaced(old: _Value, **changes: object) -> _Value:
    """A value like `old` but for some fields, as `dataclasses.replace` does it for dataclasses."""
    made: _Value = old.__class__(**{**old.__dict__, **changes})
    return made
