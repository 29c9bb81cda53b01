"""What a project asks for that only its user can allow: everything by which it decides what code runs.

An environment of toolchains from the user's own registry and of plain variables asks for nothing. What it
asks for is compared as `Item`s with what was allowed in the same directory, so that an update of a package asks for
nothing new; for other directories there is a digest, which also covers the lock, the lockfiles, and the files of the project
that the items name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from devenv.config.lock import Lock
from devenv.config.lock_writing import dump_lock
from devenv.config.model import Config
from devenv.env.spec import PROJECT_MARK, Append, Default, Operation, Prepend, Set, Spec, Unset
from devenv.trust_variables import reach

# "entry": its code runs in every program, or when the environment is entered. "use": when something is called by name.
When = Literal["entry", "use"]

_MOST_FILES = 2000
_MOST_BYTES = 64 * 1024 * 1024
# Fields of a Config that are judged below, or that never run anything when an environment is entered.
_JUDGED = frozenset(
    {
        "env",
        "aliases",
        "scripts",
        "functions",
        "lockfiles",
        "overrides",
        "registries",
        "mirrors",
        "caches",
        "base",
        "system",
    }
)
_BY_NAME = frozenset({"directory", "alias", "function", "script"})
# What these bring is in the other fields by then. A profile is chosen by the user.
_MERGED = ("extends", "members", "chosen", "objects", "root", "trees", "profiles")
_WITHOUT_POWER = frozenset(
    {
        "name",
        "packages",
        "builds",
        "fetches",
        "purifies",
        "origins",
        "parameters",
        "arguments",
        "completions",
        *_MERGED,
    }
)
_OWN_PATH = re.compile(
    r"(?:^|[\s=:;,'\"(])((?:\.{1,2}|\$\{project\}|\$DEVENV_PROJECT|\$\{DEVENV_PROJECT\})(?:/[\w@%+.,=/-]*)?)"
)

# Toolchains whose files are judged one by one, and what may make them come from somebody else.
_TOOLCHAINS = frozenset({"node", "npm"})
_SOURCES = frozenset({"download", "registry", "npmrc", "cache", "extends"})
# Settings by which npm reaches another machine, or believes it.
_NPM_TRANSPORT = frozenset({"proxy", "https-proxy", "noproxy", "ca", "cafile", "strict-ssl", "cert", "key"})
# Where toolchains are published, in the user's own registry: see `devenv.providers.toolchains`.
_PUBLISHED = re.compile(r"npm:(?:node-linux-(?:x64|arm64)|npm)/-/[\w.+-]+\.tgz", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing asked for. `kind` and `name` say what, `value` the content that is allowed."""

    kind: str
    name: str
    value: str
    when: When = "use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """All that a project asks for. `content` is the digest that holds anywhere, None where the files are too many."""

    name: str
    items: tuple[Item, ...]
    content: str | None

    @property
    def on_entry(self) -> tuple[Item, ...]:
        """What deserves a question even when somebody enters on purpose."""
        return tuple(item for item in self.items if item.when == "entry")

    @property
    def by_name(self) -> tuple[Item, ...]:
        """What the repository itself has under names that a prompt, or somebody at it, may call: `git`, `ls`."""
        return tuple(item for item in self.items if item.kind in _BY_NAME and item.when == "use")


def read_request(root: str, config: Config, lock: Lock | None, hashes: Mapping[str, str]) -> Request:
    """What the project at `root` asks for. `hashes`: SHA-256 of the files that its lockfiles consist of."""
    items = tuple(sorted({*_items(config, lock), *_npm_settings(root, lock)}))
    content = _content(root, items, dump_lock(lock) if lock else "", hashes)
    return Request(name=config.name, items=items, content=content)


def _items(config: Config, lock: Lock | None) -> Iterator[Item]:
    for name, operations in config.env.items():
        for operation in operations:
            yield from _variable(name, operation)
    for name, words in config.aliases.items():
        yield Item("alias", name, json.dumps(list(words), ensure_ascii=False))
    for name, text in config.scripts.items():
        yield Item("script", name, text)
    for name, bodies in config.functions.items():
        for shell, text in bodies.items():
            yield Item("function", f"{name} ({shell})", text)
    for lockfile in config.lockfiles:
        yield Item("packages", str(lockfile.path), lockfile.ecosystem)
    for override in config.overrides:
        if facts := override.facts():
            yield Item("override", override.label, json.dumps(facts, sort_keys=True, ensure_ascii=False))
    if config.uses_base:
        wanted = (*config.system, *(["r"] if "r" in config.packages else []))
        yield Item("system", config.base or "", " ".join(wanted))
    if "python" in config.packages and not any(file.ecosystem == "python" for file in config.lockfiles):
        yield Item("packages", ".devenv/python", "python")
    yield from _downloads(config, lock)
    # A setting that this module has never heard of is not thought harmless.
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in _JUDGED | _WITHOUT_POWER and value:
            yield Item("setting", field.name, repr(value), "entry")


def _variable(name: str, operation: Operation) -> Iterator[Item]:
    how = reach(name)
    if isinstance(operation, Unset) or how is None:
        return
    when: When = "entry" if how == "entry" else "use"
    if isinstance(operation, Set | Default):
        yield Item("variable", name, operation.value, when)
        return
    side = "prepend" if isinstance(operation, Prepend) else "append"
    for entry in operation.entries:
        yield Item("directory" if name == "PATH" else side, name, entry, when)


def _downloads(config: Config, lock: Lock | None) -> Iterator[Item]:
    """Whence programs come, where the project says so rather than the user."""
    for key, url in config.registries.items():
        yield Item("registry", key, url)
    for archive, urls in config.mirrors.items():
        yield Item("registry", archive, " ".join(urls))
    for url in config.caches.substituters:
        yield Item("cache", url, "")
    for tree in config.trees:
        yield Item("extends", tree.url, tree.hash.sri)
    for reference in config.objects:
        yield Item("extends", reference.name, os.path.basename(reference.path))
    if config.root is not None:
        yield Item("system", "what it extends", os.path.basename(config.root.recipe.path))
    for tool in lock.toolchains if lock else ():
        for file in tool.files.values():
            if not _PUBLISHED.fullmatch(file.url):
                yield Item("download", f"{tool.name} {tool.version}", file.url)


def _npm_settings(root: str, lock: Lock | None) -> Iterator[Item]:
    """What the project's own .npmrc says about where packages come from and whom to believe."""
    from devenv.fetch.npmrc import local_prefix, parse_npmrc, telling_settings

    try:
        with open(os.path.join(local_prefix(root), ".npmrc"), encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return
    yield from (secret_item(key, value) for key, value in telling_settings(text))
    if lock is None or not (lock.toolchains or lock.lockfiles):
        return
    values = parse_npmrc(text, {})
    for key, value in values.items():
        if key.endswith("registry") or key in _NPM_TRANSPORT:
            yield Item("npmrc", key, str(value))


def secret_item(key: str, value: str) -> Item:
    """A line of the project's .npmrc by which a variable of the user's is sent to another machine."""
    return Item("secret", key, value)


# What needs no answer


def safe_part(spec: Spec, items: Iterable[Item]) -> Spec:
    """What is left of an environment of which nobody allowed `items`: toolchains in the store and plain variables.

    No directory of the project is searched for programs, because what lies there tomorrow is not known today.
    """
    elsewhere = any(item.kind in _SOURCES for item in items)
    kept_packages = tuple(entry for entry in spec.packages if entry.name in _TOOLCHAINS and not elsewhere)
    packages = tuple(f"{package.path}/" for package in kept_packages)
    variables = {}
    for name, operations in spec.variables.items():
        kept = tuple(found for operation in operations for found in _harmless(name, operation, packages))
        if kept:
            variables[name] = kept
    # Made anew: what a spec holds besides is not thought harmless.
    return Spec(name=spec.name, variables=variables, packages=kept_packages)


def _harmless(name: str, operation: Operation, packages: tuple[str, ...]) -> Iterator[Operation]:
    if isinstance(operation, Unset) or reach(name) is None:
        yield operation
    elif name == "PATH" and isinstance(operation, Prepend | Append):
        entries = tuple(entry for entry in operation.entries if entry.startswith(packages or ("\0",)))
        if entries:
            yield replace(operation, entries=entries)


# The digest


def _content(root: str, items: Iterable[Item], lock: str, hashes: Mapping[str, str]) -> str | None:
    files = {}
    for place in sorted({place for item in items for place in _own_places(item)}):
        found = _hash_place(root, place)
        if found is None:
            return None
        files[place] = found
    document = [
        [[item.kind, item.name, item.value] for item in items],
        lock,
        sorted(hashes.items()),
        sorted(files.items()),
    ]
    return hashlib.sha256(json.dumps(document, ensure_ascii=True).encode()).hexdigest()


def _own_places(item: Item) -> Iterator[str]:
    """The project's own files and directories that an item names, as far as its text shows."""
    for match in _OWN_PATH.finditer(item.value):
        text = match[1]
        for mark in (PROJECT_MARK, "${DEVENV_PROJECT}", "$DEVENV_PROJECT"):
            text = text.replace(mark, ".")
        yield os.path.normpath(text)


def _hash_place(root: str, place: str) -> list[tuple[str, str]] | None:
    """Path and SHA-256 of the files at a place; None where they cannot all be read within reason."""
    start = os.path.join(root, place)
    found: list[tuple[str, str]] = []
    size = 0
    for path in _files(start):
        if len(found) >= _MOST_FILES:
            return None
        digest = _hash_file(path, _MOST_BYTES - size)
        if digest is None:
            return None
        found.append((os.path.relpath(path, start), digest[0]))
        size += digest[1]
    return found


def _files(start: str) -> Iterator[str]:
    if not os.path.isdir(start):
        if os.path.lexists(start):
            yield start
        return
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if name not in (".git", ".devenv", "node_modules"))
        yield from (os.path.join(folder, name) for name in sorted(names))


def _hash_file(path: str, most: int) -> tuple[str, int] | None:
    """SHA-256 and size; None for what is no file, or larger than `most` bytes."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "missing", 0
    except OSError:
        return None
    with open(handle, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            return None
        text = file.read(most + 1)
        return (hashlib.sha256(text).hexdigest(), len(text)) if len(text) <= most else None
