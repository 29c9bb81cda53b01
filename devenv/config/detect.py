"""What `devenv init` finds in a project, as the text of a devenv.toml.

Pure: it is given the names of the files that there are, and a function that reads one of them.
"""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from devenv.adapter import Ecosystem
from devenv.config.fields.packages import VERSION
from devenv.config.fields.texts import NAME
from devenv.config.lockfile_names import LOCKFILES, found_by_themselves
from devenv.config.paths import is_normal_path
from devenv.config.positions import TooDeepError, find_positions
from devenv.config.shapes import quoted
from devenv.config.versions import (
    exact_request,
    minor_version,
    node_fits,
    node_request,
    python_fits,
    python_request,
)
from devenv.formats.npm_places import HIDDEN_LOCK, MODULES

# The text of a file by its path, None when it cannot be read.
Read = Callable[[str], str | None]

KEYS: Mapping[Ecosystem, str] = {"npm": "npm", "python": "pip", "cargo": "cargo", "r": "renv"}

_HOW_TO = "docs/adapters.md says how to write one"

# Lockfiles that are known by name, and why or how else.
UNSUPPORTED = {
    "bun.lock": "`npm install --package-lock-only` writes a lockfile that devenv reads",
    "bun.lockb": "`npm install --package-lock-only` writes a lockfile that devenv reads",
    "pdm.lock": "`pdm export -o requirements.txt` writes a lockfile that devenv reads",
    "Gemfile.lock": f"there is no adapter for Ruby; {_HOW_TO}",
    "go.sum": f"there is no adapter for Go; {_HOW_TO}",
    "composer.lock": f"there is no adapter for PHP; {_HOW_TO}",
}

# What npm wrote of an installed tree. It is looked at where there is no lockfile.
HIDDEN = f"{MODULES}/{HIDDEN_LOCK}"

# Lockfiles in these directories belong to something else than the project itself.
_ASIDE = frozenset(
    (
        *("node_modules", "site-packages", "vendor", "third_party", "dist", "build", "target", "__pycache__"),
        *("test", "tests", "testdata", "fixtures", "example", "examples", "venv", "env"),
    )
)

_HEAD = """\
# The environment of this project. `devenv lock` pins it, `devenv enter` enters it.
# Variables go under [env], short commands under [aliases], programs under [scripts].
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """`text` of a devenv.toml that says what was found, and `notes` on what it leaves out, a line each."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Something that a file says about a version. `says` is the file's own text, `range` if it is none."""

    place: str
    says: str
    range: bool = False


@dataclass(slots=True)
class _Findings:
    files: frozenset[str]
    read: Read
    notes: list[str] = field(default_factory=list)
    packages: dict[str, tuple[str, str]] = field(default_factory=dict)  # name: request, comment
    base: str | None = None
    lockfiles: dict[Ecosystem, list[str]] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        found = self.read(path) if path in self.files else None
        return None if found is None else found.removeprefix("\ufeff")

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def detect(
    files: Iterable[str], read: Read, *, name: str, default_node: str, default_python: str
) -> Detected:
    """Look at a project.

    `files` are paths relative to it, of any depth. `name` is for a project that names itself nowhere: its
    directory's. `default_node` and `default_python` are requests for one that names no version.
    """
    found = _Findings(files=frozenset(files), read=read)
    package_json = _json_object(found, "package.json")
    pyproject = _toml_table(found, "pyproject.toml")
    _find_lockfiles(found)
    _find_node(found, package_json, default_node)
    _find_npm(found, package_json)
    _find_python(found, pyproject, default_python)
    _find_r(found)
    _note_missing(found, pyproject)
    title = _project_name(package_json, pyproject, name)
    return Detected(text=_render(found, title), notes=tuple(found.notes))


# Lockfiles


def _find_lockfiles(found: _Findings) -> None:
    paths = sorted(path for path in found.files if is_normal_path(path) and _is_encodable(path))
    for ecosystem, patterns in LOCKFILES.items():
        chosen: dict[str, str] = {}
        for path in paths:
            folder, _, _ = path.rpartition("/")
            if not _is_aside(folder):
                best = _preferred([chosen.get(folder, path), path], patterns)
                if best is not None:
                    chosen[folder] = best
        found.lockfiles[ecosystem] = _nearest(found, ecosystem, chosen)
        _note_others(found, paths, patterns, found.lockfiles[ecosystem])
    if not found.lockfiles["npm"] and HIDDEN in found.files:
        found.lockfiles["npm"] = [HIDDEN]
        found.note(f"package.json has no lockfile: {HIDDEN}, which says what is installed, serves as one")
    for path in paths:
        folder, _, base = path.rpartition("/")
        if base in UNSUPPORTED and not _is_aside(folder):
            found.note(f"{path} is not supported yet: {UNSUPPORTED[base]}")


def _is_encodable(path: str) -> bool:
    """A name that is not UTF-8 arrives with surrogates, and no TOML file can hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _is_aside(folder: str) -> bool:
    return any(part in _ASIDE or part.startswith(".") for part in folder.split("/") if part)


def _rank(path: str, patterns: tuple[str, ...]) -> int | None:
    base = path.rpartition("/")[2]
    ranks = (rank for rank, pattern in enumerate(patterns) if fnmatch.fnmatchcase(base, pattern))
    return next(ranks, None)


def _preferred(paths: list[str], patterns: tuple[str, ...]) -> str | None:
    ranked = [(rank, path) for path in paths for rank in [_rank(path, patterns)] if rank is not None]
    return min(ranked)[1] if ranked else None


def _nearest(found: _Findings, ecosystem: Ecosystem, chosen: Mapping[str, str]) -> list[str]:
    """The lockfile of the top directory, or else those that lie least deep.

    Of Python only one: two lockfiles are one environment, and it is not for us to mix them.
    """
    if not chosen:
        return []
    depth = min(path.count("/") for path in chosen.values())
    nearest = sorted(path for path in chosen.values() if path.count("/") == depth)
    return nearest[:1] if ecosystem == "python" else nearest


def _note_others(found: _Findings, paths: list[str], patterns: tuple[str, ...], chosen: list[str]) -> None:
    others = [
        path
        for path in paths
        if path not in chosen and _rank(path, patterns) is not None and not _is_aside(path.rpartition("/")[0])
    ]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        found.note(f"found as well and not used: {', '.join(others[:5])}{more}; [lockfiles] can name them")


def _note_missing(found: _Findings, pyproject: Mapping[str, Any]) -> None:
    """Manifests without a lockfile, and lockfiles that lock nothing."""
    if "package.json" in found.files and not found.lockfiles["npm"]:
        found.note("package.json has no lockfile: run `npm install --package-lock-only` to write one")
    if pyproject.get("project") and not found.lockfiles["python"]:
        found.note("pyproject.toml has no lockfile: run `uv lock` to write one")
    for path in found.lockfiles["python"]:
        text = found.text(path) if path.endswith(".txt") else None
        loose = next(_unpinned(text), None) if text else None
        if loose is not None:
            found.note(
                f"{path} does not pin every package ({quoted(loose)}): "
                f"`uv pip compile --generate-hashes` makes one that does"
            )


def _unpinned(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        if (
            requirement
            and not requirement.startswith("-")
            and "==" not in requirement
            and "@" not in requirement
        ):
            yield requirement


# Node and npm


def _find_node(found: _Findings, package_json: Mapping[str, Any], default: str) -> None:
    sources = list(_node_sources(found, package_json))
    if not sources and not found.lockfiles["npm"]:
        return
    _choose(
        found,
        "node",
        sources,
        default,
        convert=lambda source: (
            node_request(source.says, default) if source.range else exact_request(source.says)
        ),
        fits=lambda request, source: (
            node_fits(request, source.says) if source.range else _agrees(request, exact_request(source.says))
        ),
    )


def _node_sources(found: _Findings, package_json: Mapping[str, Any]) -> Iterator[_Source]:
    for path in (".nvmrc", ".node-version"):
        for line in _words_of_lines(found.text(path))[:1]:
            yield _Source(place=path, says=line[0])
    yield from _tool_versions(found, ("nodejs", "node"))
    volta, engines = _mapping(package_json, "volta"), _mapping(package_json, "engines")
    if isinstance(volta.get("node"), str):
        yield _Source(place="volta of package.json", says=volta["node"])
    if isinstance(engines.get("node"), str):
        yield _Source(place="engines of package.json", says=engines["node"], range=True)


def _find_npm(found: _Findings, package_json: Mapping[str, Any]) -> None:
    """npm's version, where the project insists on one; otherwise it comes with node."""
    manager = package_json.get("packageManager")
    volta = _mapping(package_json, "volta").get("npm")
    if isinstance(manager, str):
        name, _, version = manager.partition("@")
        request = exact_request(version.partition("+")[0])
        if name == "npm" and request:
            found.packages["npm"] = request, "packageManager of package.json"
        else:
            found.note(f"package.json names the package manager {quoted(manager)}: devenv brings npm")
    elif isinstance(volta, str) and exact_request(volta):
        found.packages["npm"] = exact_request(volta) or "", "volta of package.json"


# Python


def _find_python(found: _Findings, pyproject: Mapping[str, Any], default: str) -> None:
    sources = list(_python_sources(found, pyproject))
    if not sources and not found.lockfiles["python"]:
        return
    default = minor_version(default) or default
    _choose(
        found,
        "python",
        sources,
        default,
        convert=lambda source: (
            python_request(source.says, default) if source.range else minor_version(source.says)
        ),
        fits=lambda request, source: (
            python_fits(request, source.says)
            if source.range
            else _agrees(request, minor_version(source.says))
        ),
    )


def _python_sources(found: _Findings, pyproject: Mapping[str, Any]) -> Iterator[_Source]:
    for line in _words_of_lines(found.text(".python-version"))[:1]:
        yield _Source(place=".python-version", says=line[0])
    yield from _tool_versions(found, ("python",))
    requires = _mapping(pyproject, "project").get("requires-python")
    if isinstance(requires, str):
        yield _Source(place="pyproject.toml", says=requires, range=True)
    poetry = _mapping(_mapping(_mapping(pyproject, "tool"), "poetry"), "dependencies").get("python")
    if isinstance(poetry, str):
        yield _Source(place="pyproject.toml", says=poetry, range=True)
    for path in found.lockfiles["python"]:
        if path.endswith(("uv.lock", ".toml")):
            yield from _lock_requires_python(found, path)
    wanted = _mapping(_toml_table(found, "Pipfile"), "requires")
    version = wanted.get("python_full_version") or wanted.get("python_version")
    if isinstance(version, str):
        yield _Source(place="Pipfile", says=version)


def _lock_requires_python(found: _Findings, path: str) -> Iterator[_Source]:
    """The line of uv.lock or pylock.toml before the first table: they are long, and this needs no parser."""
    head = f"\n{found.text(path) or ''}".partition("\n[")[0]
    match = re.search(r'^requires-python\s*=\s*"([^"\\\n]*)"', head, re.MULTILINE)
    if match:
        yield _Source(place=path, says=match[1], range=True)


# R

# Which release of a distribution has which R: there is one in each.
_R_OF_BASES = (((4, 0), "debian/bullseye"), ((4, 2), "debian/bookworm"), ((4, 5), "debian/trixie"))


def _find_r(found: _Findings) -> None:
    """The release whose R is the one of renv.lock, or else the next newer one: packages are built anew for it."""
    for path in found.lockfiles["r"][:1]:
        says = _mapping(_json_object(found, path), "R").get("Version")
        match = re.match(r"(\d{1,9})\.(\d{1,9})", says) if isinstance(says, str) else None
        wanted = (int(match[1]), int(match[2])) if match is not None else _R_OF_BASES[-1][0]
        newer = [entry for entry in _R_OF_BASES if entry[0] >= wanted] or [_R_OF_BASES[-1]]
        version, found.base = newer[0]
        request = f"{version[0]}.{version[1]}"
        found.packages["r"] = request, f"{path}: {quoted(says) if isinstance(says, str) else 'no version'}"
        if version != wanted:
            found.note(
                f"{path} was written with R {says}; {found.base} has {request}, for which its packages are built"
            )


# Versions


def _choose(
    found: _Findings,
    tool: str,
    sources: list[_Source],
    default: str,
    *,
    convert: Callable[[_Source], str | None],
    fits: Callable[[str, _Source], bool],
) -> None:
    """The first source that can be understood wins; the others are noted where they disagree."""
    chosen: _Source | None = None
    request: str | None = None
    for source in sources:
        if request is None:
            request, chosen = convert(source), source
            if request is None:
                found.note(
                    f"{source.place} asks for {tool} {quoted(source.says)}, which names no certain version"
                )
        elif not fits(request, source):
            found.note(
                f"{chosen.place if chosen else ''} asks for {tool} {request} and is followed; "
                f"{source.place} says {quoted(source.says)}"
            )
    if request is not None and chosen is not None:
        found.packages[tool] = request, f"{chosen.place}: {quoted(chosen.says)}"
    elif default and re.fullmatch(VERSION, default):
        found.packages[tool] = default, "no file says which: change it as you like"
        found.note(f"no file says which {tool} is needed: devenv.toml has {default}, change it as you like")
    else:
        found.note(f'no file says which {tool} is needed: write {tool} = "VERSION" under [packages]')


def _agrees(request: str, other: str | None) -> bool:
    """Does one of two requests begin with the other? An unknown one says nothing against it."""
    return other is None or f"{request}.".startswith(f"{other}.") or f"{other}.".startswith(f"{request}.")


def _tool_versions(found: _Findings, names: tuple[str, ...]) -> Iterator[_Source]:
    for words in _words_of_lines(found.text(".tool-versions")):
        if words[0] in names and len(words) > 1:
            yield _Source(place=".tool-versions", says=words[1])


def _words_of_lines(text: str | None) -> list[list[str]]:
    """The words of each line that has any, comments left out."""
    lines = (re.sub(r"(^|\s)#.*", "", line).split() for line in (text or "").splitlines())
    return [words for words in lines if words]


# Manifests


def _json_object(found: _Findings, path: str) -> Mapping[str, Any]:
    text = found.text(path)
    try:
        data = json.loads(text) if text is not None else {}
    except (ValueError, RecursionError) as error:
        found.note(f"{path} cannot be read: {_first_line(error)}")
        return {}
    return data if isinstance(data, dict) else {}


def _toml_table(found: _Findings, path: str) -> Mapping[str, Any]:
    text = found.text(path)
    try:
        if text is None:
            return {}
        find_positions(text)
        return tomllib.loads(text)
    except TooDeepError as error:
        found.note(f"{path} cannot be read: line {error.line} is nested too deeply")
    except (ValueError, RecursionError) as error:
        found.note(f"{path} cannot be read: {_first_line(error)}")
    return {}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _project_name(package_json: Mapping[str, Any], pyproject: Mapping[str, Any], directory: str) -> str:
    poetry = _mapping(_mapping(pyproject, "tool"), "poetry")
    named = (_mapping(pyproject, "project"), poetry, package_json)
    for name in (*(table.get("name") for table in named), directory):
        if isinstance(name, str):
            plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", name.rpartition("/")[2]).strip("-._+")[:100]
            if re.fullmatch(NAME, plain):
                return plain
    return "project"


# Text


def _render(found: _Findings, name: str) -> str:
    base = f'base = "{found.base}"\n' if found.base is not None else ""
    parts = [f'{_HEAD}\nname = "{name}"\n{base}', _render_packages(found), _render_lockfiles(found)]
    return "\n".join(part for part in parts if part)


def _render_packages(found: _Findings) -> str:
    lines = [f'{tool} = "{request}"  # {why}\n' for tool, (request, why) in sorted(found.packages.items())]
    return "".join(["[packages]\n", *lines]) if lines else ""


def _render_lockfiles(found: _Findings) -> str:
    lines, by_itself = [], []
    for ecosystem, paths in found.lockfiles.items():
        names = found_by_themselves(ecosystem)
        if len(paths) == 1 and paths[0] in names:
            by_itself.append(paths[0])
        elif paths:
            shown = ", ".join(_toml_text(path) for path in paths)
            lines.append(f"{KEYS[ecosystem]} = {shown if len(paths) == 1 else f'[{shown}]'}\n")
    text = (
        f"# Found by themselves: {', '.join(by_itself)}. [lockfiles] is for choosing others.\n"
        if by_itself
        else ""
    )
    return text + "".join(["[lockfiles]\n", *lines] if lines else [])


def _toml_text(text: str) -> str:
    """A basic string. JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=False)
