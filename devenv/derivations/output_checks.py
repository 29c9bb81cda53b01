"""What a derivation demands of the references and sizes of its outputs.

Attributes allowedReferences, allowedRequisites, disallowedReferences and disallowedRequisites, for all outputs; or, in
structured attributes, `outputChecks` with these and maxSize and maxClosureSize (bytes) for each output. See "Advanced
attributes" in Nix's manual. Values name store paths or outputs of the same derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devenv.derivations.errors import BuildError
from devenv.derivations.program import attributes_of, string_list
from devenv.formats.derivation import Derivation
from devenv.formats.errors import FormatError
from devenv.formats.store_path import StorePath, check_store_path
from devenv.store.database import PathInfo

_LISTS = ("allowedReferences", "allowedRequisites", "disallowedReferences", "disallowedRequisites")

# Everything that some valid paths refer to, themselves included; and what is known of a path.
Closure = Callable[[Iterable[StorePath]], set[StorePath]]
Info = Callable[[StorePath], PathInfo | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """`lists` holds those of _LISTS that are given. With `itself` an output counts among its own requisites."""

    lists: Mapping[str, tuple[str, ...]]
    max_size: int | None = None
    max_closure_size: int | None = None
    itself: bool = False


def check_outputs(
    derivation: Derivation, made: Mapping[str, PathInfo], closure: Closure, info: Info, label: str
) -> None:
    """Raise BuildError when an output is not as its derivation demands. `made` has the outputs by name."""
    paths = {name: each.path for name, each in made.items()}
    infos = {each.path: each for each in made.values()}
    for name, output in sorted(made.items()):
        checks = _checks_of(derivation, name, label)
        if checks is None:
            continue
        requisites = _requisites(output.path, infos, closure)
        for what, values in checks.lists.items():
            named = {_path(value, paths, what, label) for value in values}
            used = set(output.references)
            if what.endswith("Requisites"):
                used = requisites if checks.itself else requisites - {output.path}
            bad = used - named if what.startswith("allowed") else used & named
            if bad:
                raise BuildError(
                    f"cannot build {label}: its output {name!r} refers to {', '.join(sorted(bad))}, which its {what} "
                    f"{'does not list' if what.startswith('allowed') else 'forbids'}",
                    package=label,
                )
        _check_sizes(name, output, checks, requisites, infos, info, label)


def _checks_of(derivation: Derivation, output: str, label: str) -> _Checks | None:
    attributes = attributes_of(derivation, label)
    if attributes is None:
        lists = {name: string_list(derivation, name, label) for name in _LISTS if name in derivation.env}
        return _Checks(lists=lists) if lists else None
    try:
        given: dict[str, Any] = dict(attributes.get("outputChecks", {}).get(output, {}))
        return _Checks(
            lists={name: tuple(map(_text, given[name])) for name in _LISTS if name in given},
            max_size=_size(given.get("maxSize")),
            max_closure_size=_size(given.get("maxClosureSize")),
            itself=not given.get("ignoreSelfRefs", True),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise BuildError(
            f"cannot build {label}: its outputChecks are malformed ({error})", package=label
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _size(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(f"{value!r} is no number of bytes")
    return value


def _path(value: str, outputs: Mapping[str, StorePath], what: str, label: str) -> StorePath:
    if value in outputs:
        return outputs[value]
    try:
        return check_store_path(value)
    except FormatError:
        raise BuildError(
            f"cannot build {label}: its {what} names {value!r}, which is neither a store path nor an output of it",
            package=label,
        ) from None


def _requisites(path: StorePath, infos: Mapping[StorePath, PathInfo], closure: Closure) -> set[StorePath]:
    """What `path` refers to, directly or not, and itself; outputs among it may not be registered yet."""
    own: set[StorePath] = set()
    others: set[StorePath] = set()
    pending = [path]
    while pending:
        each = pending.pop()
        if each not in infos:
            others.add(each)
        elif each not in own:
            own.add(each)
            pending.extend(infos[each].references)
    return own | closure(others)


def _check_sizes(
    name: str,
    output: PathInfo,
    checks: _Checks,
    requisites: set[StorePath],
    infos: Mapping[StorePath, PathInfo],
    info: Info,
    label: str,
) -> None:
    known = [infos.get(path) or info(path) for path in requisites]
    whole = sum(each.nar_size for each in known if each is not None)
    for what, size, limit in (
        ("is", output.nar_size, checks.max_size),
        ("has with all that it refers to", whole, checks.max_closure_size),
    ):
        if limit is not None and size > limit:
            raise BuildError(
                f"cannot build {label}: its output {name!r} {what} {size} bytes, and may have {limit}",
                package=label,
            )
