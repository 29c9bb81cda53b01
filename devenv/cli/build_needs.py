"""Which system packages have what a failed build did not find: put into the error before it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from devenv.derivations.process import BuilderFailed
from devenv.errors import DevenvError, Problems

if TYPE_CHECKING:
    from devenv.cli.context import Context
    from devenv.debian.contents import Found

Missing = tuple[str, str]  # kind and name, see `devenv.formats.missing_tools`

_HEADERS = "/usr/include/"
_KINDS = {"program": "program", "header": "header", "library": "library", "module": "pkg-config module"}


def add_packages(error: DevenvError, context: Context) -> None:
    """Say in the hints of `error` which packages have what is missing, as far as the base's index can be had."""
    failures = [each for each in _flat(error) if isinstance(each, BuilderFailed) and each.missing]
    if not failures:
        return
    wanted = list(dict.fromkeys(each for failure in failures for each in failure.missing))
    base, found = _packages(wanted, context)
    for failure in failures:
        known = {each: found[each] for each in failure.missing if each in found}
        if not known:
            continue
        places = "; ".join(
            f"the {_KINDS[kind]} {name} is in {package}" if kind in _KINDS else f"there is {package}"
            for (kind, name), package in known.items()
        )
        names = ", ".join(f'"{package}"' for package in dict.fromkeys(known.values()))
        failure.hint = (
            f'In {base}, {places}. Builds have it once devenv.toml says base = "{base}", and '
            f"{failure.setting.replace('NAMES', names)}; without a base, once it is installed on this machine. {failure.place}"
        )


def _flat(error: DevenvError) -> Iterator[DevenvError]:
    if isinstance(error, Problems):
        for each in error.problems:
            yield from _flat(each)
    else:
        yield error


def _packages(wanted: list[Missing], context: Context) -> tuple[str, dict[Missing, str]]:
    """The base that is asked, and the package of each thing that it has."""
    from devenv.packages import chosen_where, locate_file

    found: dict[Missing, str] = {}
    base = ""
    try:
        where = chosen_where(None, None, context.project, refresh=False)
        base = where.base
        found |= {missing: missing[1] for missing in wanted if missing[0] == "package"}
        for missing in wanted:
            if missing in found:
                continue
            located = locate_file(context.project.workplace, where, _file_name(missing))
            package = _likeliest(missing, located.found)
            if package is not None:
                found[missing] = package
    except DevenvError:
        pass  # without its index all else can be said
    return base, found


def _file_name(missing: Missing) -> str:
    """What to look for in the index of files."""
    kind, name = missing
    if kind == "program":
        return f"bin/{_COMPILERS.get(name, name)}"
    if kind == "library":
        return f"lib{name}.so"
    return f"{name}.pc" if kind == "module" else name


# What the alternatives system calls so is in no index of files.
_COMPILERS = {"cc": "gcc", "c++": "g++"}


def _likeliest(missing: Missing, found: list[Found]) -> str | None:
    """The package of the file in the usual place whose path is shortest; headers are below /usr/include."""
    usual = [each for each in found if missing[0] != "header" or each.path.startswith(_HEADERS)]
    best = min(
        usual, key=lambda each: (each.path.count("/"), len(each.path), len(each.package)), default=None
    )
    return best.package if best is not None else None
