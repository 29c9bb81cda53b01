"""npm's settings: .npmrc files and npm_config_* variables, read as npm reads them.

The format is npm's ini: `key = value` lines, comments from `;` or `#`, values in double quotes are
JSON, `key[] = value` adds to a list, `${NAME}` is a variable of the environment. Sections are legal
and mean nothing to npm. See npm's manual page npmrc(5).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_VARIABLE = re.compile(r"(?<!\\)(\\*)\$\{([^${}?]+)(\?)?\}")
_SECTION = re.compile(r"\[[^\]]*\]\s*")
_LITERALS: Mapping[str, object] = {"true": True, "false": False, "null": None}
_ENV_PREFIX = "npm_config_"

Values = dict[str, object]
# Whether a setting of the project, as it stands in its .npmrc, may have variables put into it.
MayTell = Callable[[str, str], bool]


class Untold:
    """In place of a value that would tell a secret of the user's to whom the project names: the setting as it stands."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str) -> None:
        self.key, self.value = key, value


def telling_settings(text: str) -> list[tuple[str, str]]:
    """The settings, as they stand in a file, that have variables in them and that another machine gets to see."""
    return [(key, value) for key, value in _lines(text) if value is not None and _tells(key, value)]


def _tells(key: str, value: str) -> bool:
    sent = key.startswith(("//", "_")) or key.endswith(("registry", "proxy")) or "${" in key
    return sent and "${" in key + value


def parse_npmrc(text: str, environ: Mapping[str, str], *, hold: bool = False) -> Values:
    """The settings of one file; values are str, bool, None or lists of these. Never raises.

    hold: with an `Untold` for each of the `telling_settings`
    """
    values: Values = {}
    for key, value in _lines(text):
        if hold and value is not None and _tells(key, value):
            values[expand(key, environ)] = Untold(key, value)
        else:
            _put(values, key, True if value is None else _value(value, environ), environ)
    return values


def _lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Keys and values without quotes; the value is None for a key alone."""
    in_section = False
    for line in re.split(r"[\r\n]+", text):
        stripped = line.strip()
        if not stripped or stripped[0] in ";#":
            continue
        if _SECTION.fullmatch(line):
            in_section = True
            continue
        key, mark, value = line.partition("=")
        if key and not in_section:
            yield _bare(key), _bare(value) if mark else None


def _put(values: Values, key: str, value: object, environ: Mapping[str, str]) -> None:
    key = expand(key, environ)
    is_list = key.endswith("[]") and len(key) > 2
    key = key.removesuffix("[]") if is_list else key
    present = values.get(key)
    if isinstance(present, list):
        present.append(value)
    elif is_list:
        values[key] = [value] if key not in values else [present, value]
    else:
        values[key] = value


def _value(bare: str, environ: Mapping[str, str]) -> object:
    return _LITERALS[bare] if bare in _LITERALS else expand(bare, environ)


def _bare(text: str) -> str:
    """One key or value without quotes, comment and escapes."""
    text = text.strip()
    if text and text[0] == text[-1] and text[0] in "\"'":
        inner = text[1:-1] if text[0] == "'" else text
        try:
            found = json.loads(inner)
        except (ValueError, RecursionError):
            return inner
        return found if isinstance(found, str) else inner
    plain, escaped = "", False
    for character in text:
        if escaped:
            plain += character if character in "\\;#" else "\\" + character
            escaped = False
        elif character in ";#":
            break
        elif character == "\\":
            escaped = True
        else:
            plain += character
    return (plain + "\\" * escaped).strip()


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`${NAME}` by its value, as it stands if there is none, `${NAME?}` then by nothing."""

    def replaced(match: re.Match[str]) -> str:
        slashes, name, optional = match.groups()
        if len(slashes) % 2:
            return match.group()[(len(slashes) + 1) // 2 :]
        missing = "" if optional else f"${{{name}}}"
        return slashes[len(slashes) // 2 :] + environ.get(name, missing)

    return _VARIABLE.sub(replaced, text)


class NpmConfig:
    """npm's settings in one directory: environment, then project, user, global and built-in files."""

    def __init__(self, *, project: str, environ: Mapping[str, str], may_tell: MayTell | None = None) -> None:
        """`may_tell` None: variables are put into all settings of the project, as npm does."""
        self._environ = environ
        self._may_tell = may_tell
        self._project: Values = {}
        self._layers: list[Values] = [_from_environment(environ)]
        root = npm_root(environ)
        builtin = self._read(os.path.join(root, "npmrc")) if root else {}
        home = environ.get("HOME") or os.path.expanduser("~")
        project_file = os.path.join(local_prefix(project), ".npmrc")
        user_file = self._text("userconfig", builtin) or os.path.join(home, ".npmrc")
        if os.path.abspath(project_file) != os.path.abspath(user_file):
            project_values = parse_npmrc(_text_of(project_file), environ, hold=may_tell is not None)
            self._project = project_values
            self._layers.append(project_values)
            user_file = self._text("userconfig", builtin) or user_file
        self._layers.append(self._read(user_file))
        global_file = self._text("globalconfig", builtin)
        prefix = self._text("prefix", builtin) or _global_prefix(environ)
        if not global_file and prefix:
            global_file = os.path.join(prefix, "etc/npmrc")
        self._layers += [self._read(global_file) if global_file else {}, builtin]

    def _read(self, path: str) -> Values:
        return parse_npmrc(_text_of(path), self._environ)

    def _text(self, key: str, last: Values) -> str | None:
        found = self.get(key)
        found = last.get(key) if found is None else found
        return os.path.expanduser(found) if isinstance(found, str) else None

    def get(self, key: str) -> object:
        """The value that counts, None if nothing sets the key."""
        for layer in self._layers:
            found = layer.get(key, self)
            if isinstance(found, Untold):
                # Asked as late as this: whose host it is may be found out in the meantime.
                if self._may_tell is None or not self._may_tell(found.key, found.value):
                    continue
                found = _value(found.value, self._environ)
            if found is not self:
                return found
        return None

    def hosts_of_the_user(self) -> set[str]:
        """Hosts that settings other than the project's name as registries or have logins for."""
        from urllib.parse import urlsplit

        found = set()
        for layer in self._layers:
            if layer is self._project:
                continue
            for key, value in layer.items():
                url = key if key.startswith("//") else value if key.endswith("registry") else None
                if isinstance(url, str):
                    found.add(urlsplit(url).netloc.rpartition("@")[2])
        return found - {""}

    def text(self, key: str) -> str | None:
        """The value that counts where it is text and not empty."""
        value = self.get(key)
        return value if isinstance(value, str) and value else None

    def keys(self) -> Iterator[str]:
        """All keys set anywhere, each once, the strongest layer's first."""
        return iter(dict.fromkeys(key for layer in self._layers for key in layer))


def _from_environment(environ: Mapping[str, str]) -> Values:
    values: Values = {}
    for name, value in environ.items():
        if name.lower().startswith(_ENV_PREFIX) and value:
            key = name[len(_ENV_PREFIX) :]
            if not key.startswith("//"):
                key = (key[:1] + key[1:].replace("_", "-")).lower()
            values[key] = _LITERALS.get(value, value)
    return values


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def local_prefix(directory: str) -> str:
    """The directory whose .npmrc counts: where package.json is, or the workspace root above it."""
    found: str | None = None
    for parent in _upwards(os.path.abspath(directory)):
        has_manifest = os.path.isfile(os.path.join(parent, "package.json"))
        if found is None:
            if has_manifest or os.path.isdir(os.path.join(parent, "node_modules")):
                found = parent
        elif has_manifest and _has_workspace(parent, found):
            return parent
    return found or directory


def _upwards(directory: str) -> Iterator[str]:
    while True:
        yield directory
        above = os.path.dirname(directory)
        if above == directory:
            return
        directory = above


def _has_workspace(root: str, directory: str) -> bool:
    from fnmatch import fnmatch

    try:
        manifest: Any = json.loads(_text_of(os.path.join(root, "package.json")))
    except (ValueError, RecursionError):
        return False
    workspaces = manifest.get("workspaces") if isinstance(manifest, dict) else None
    if isinstance(workspaces, dict):
        workspaces = workspaces.get("packages")
    if not isinstance(workspaces, list):
        return False
    relative = os.path.relpath(directory, root)
    patterns = [os.path.normpath(each) for each in workspaces if isinstance(each, str)]
    return any(
        fnmatch(relative, each) and ("**" in each or each.count("/") == relative.count("/"))
        for each in patterns
    )


def npm_root(environ: Mapping[str, str]) -> str | None:
    """The directory of the npm package behind the `npm` on PATH, None where it cannot be told."""
    found = shutil.which("npm", path=environ.get("PATH", os.defpath))
    if found is None:
        return None
    root = os.path.dirname(os.path.dirname(os.path.realpath(found)))
    return root if os.path.isfile(os.path.join(root, "package.json")) else None


def _global_prefix(environ: Mapping[str, str]) -> str | None:
    if environ.get("PREFIX"):
        return environ["PREFIX"]
    node = shutil.which("node", path=environ.get("PATH", os.defpath))
    return os.path.dirname(os.path.dirname(os.path.realpath(node))) if node else None
