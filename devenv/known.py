"""What is known of environments that were prepared before: enough to make them in another checkout without planning.

A file `$XDG_STATE_HOME/devenv/known/KEY` for each, JSON as `Known` has it. KEY stands for devenv itself, the store, what decides
which Python is found, and the contents of devenv.toml and devenv.lock; the other files that the environment was made from
are in the record, by hash. `KEY.entered` beside it is there when the environment can be entered by a line without a word:
nothing was asked, nothing is missing. It holds what the answer to the latter depends on.

In the user's own state, like the stamps, so that no repository can bring one along. Light on imports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from devenv.stamp import signature, store_request
from devenv.state_home import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FORMAT = "devenv-known 1"
_MOST = 32  # records that are kept

# What decides where an interpreter is looked for (`providers.python_host`), and what is told to those that stand for others.
_PYTHON_VARIABLES = (
    *("HOME", "PATH", "XDG_DATA_HOME", "PYENV_ROOT", "PYENV_VERSION", "UV_PYTHON_INSTALL_DIR"),
    *("ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR"),
)
# Directories whose own times tell another edition of devenv, or of what is installed beside it: plugins.
_CODE = ("..", ".", "views", "env", "config", "derivations")
# How libraries of the system are found: see ldconfig(8).
_LIBRARIES = "/etc/ld.so.cache"


class Known:
    """One record.

    files: relative path in the project -> its `digest`; python: the interpreter's path and
    signature; objects: store paths that must be valid; bytecode: those among them that nothing refers to; later: byte code that
    was not there; views: what `recalling` composes; notices: lines for people
    """

    __slots__ = (
        "bytecode",
        "files",
        "later",
        "name",
        "notices",
        "objects",
        "python",
        "sources",
        "spec",
        "views",
    )

    def __init__(
        self,
        *,
        name: str,
        spec: str,
        sources: str,
        files: Mapping[str, str],
        python: Sequence[str],
        objects: Sequence[str],
        bytecode: Sequence[str],
        views: Sequence[dict[str, Any]],
        later: Sequence[str],
        notices: Sequence[str],
    ) -> None:
        self.name, self.spec, self.sources = name, spec, sources
        self.files, self.python = files, python
        self.objects, self.bytecode = objects, bytecode
        self.later, self.views, self.notices = later, views, notices

    def fits(self, project: str) -> bool:
        """Whether the files of a project, and the interpreter, are those that it was made from."""
        if self.python and signature(self.python[0]) != self.python[1]:
            return False
        return all(digest(os.path.join(project, name)) == value for name, value in self.files.items())


def digest(path: str) -> str:
    """The SHA-256 of a file's contents, or of a directory's names; "" where there is none that can be read."""
    from hashlib import sha256

    try:
        if os.path.isdir(path):
            return "names " + sha256(b"/".join(sorted(os.listdir(os.fsencode(path))))).hexdigest()
        with open(path, "rb") as file:
            return sha256(file.read()).hexdigest()
    except OSError:
        return ""


def key(project: str, environ: Mapping[str, str]) -> str:
    """The name of the record of a project as it is. Nothing is looked at but devenv.toml and devenv.lock."""
    import sys
    from hashlib import sha256

    code = os.path.dirname(os.path.abspath(__file__))
    parts = [_FORMAT, store_request(environ), sys.executable, sys.version, code]
    parts += [signature(os.path.join(code, name)) for name in _CODE]
    parts += [f"{name}={environ[name]}" for name in _PYTHON_VARIABLES if name in environ]
    parts += [digest(os.path.join(project, name)) for name in ("devenv.toml", "devenv.lock")]
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _path(key: str, environ: Mapping[str, str]) -> str:
    return os.path.join(state_directory(environ), "known", key)


def write(key: str, known: Known, environ: Mapping[str, str]) -> None:
    """Keep a record. Where it cannot be written, the next checkout takes longer, and that is all."""
    import json

    values = {name: getattr(known, name) for name in Known.__slots__}
    path = _path(key, environ)
    text = json.dumps(values, separators=(",", ":"))
    _replace(path, text)
    _forget_old(os.path.dirname(path))


def read(key: str, environ: Mapping[str, str]) -> Known | None:
    """The record with this name, None where there is none that can be read."""
    import json

    try:
        with open(_path(key, environ), encoding="utf-8") as file:
            return Known(**json.load(file))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def note_entered(key: str, allowed: str, environ: Mapping[str, str]) -> None:
    """Record that the environment was entered without a question, a notice or a library that is missing.

    allowed: the file that is there once the user allowed the same content; entering then says so of each checkout
    """
    if os.path.exists(_path(key, environ)):
        _replace(_path(key, environ) + ".entered", f"{signature(_LIBRARIES)}\n{allowed}")


def was_entered(key: str, environ: Mapping[str, str]) -> bool:
    """Whether that is recorded, libraries are still found as they were then, and nothing has been allowed since."""
    try:
        with open(_path(key, environ) + ".entered", encoding="utf-8", errors="surrogateescape") as file:
            libraries, _, allowed = file.read().partition("\n")
    except OSError:
        return False
    return libraries == signature(_LIBRARIES) and not os.path.lexists(allowed)


def _replace(path: str, text: str) -> None:
    aside = f"{path}.{os.getpid()}"
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(aside, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.rename(aside, path)


def _forget_old(folder: str) -> None:
    """Remove the oldest records when there are many."""
    with suppress(OSError), os.scandir(folder) as entries:
        times = {entry.name: entry.stat().st_mtime for entry in entries}
        records = sorted((name for name in times if "." not in name), key=lambda name: times[name])
        for name in records[:-_MOST]:
            for each in (name, f"{name}.entered"):
                with suppress(OSError):
                    os.unlink(os.path.join(folder, each))
