"""What `devenv init` writes: a devenv.toml for what a directory holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice

from devenv.config.detect import HIDDEN, Detected, detect
from devenv.errors import DevenvError
from devenv.providers.python_host import find_python

# A maintained release line; used only where neither project nor host says which Node it wants.
DEFAULT_NODE = "22"


# A repository's lockfiles lie near its top; looking at everything below could take minutes.
_DEPTH = 3
_MOST_FILES = 20_000
_MOST_TEXT = 64 * 1024 * 1024
_UNSEEN = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})


def describe_directory(directory: str, environ: Mapping[str, str]) -> Detected:
    """Look at a project's directory. Raises DevenvError when it cannot be read."""

    def read(name: str) -> str | None:
        try:
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
                return file.read(_MOST_TEXT)
        except OSError:
            return None

    try:
        os.scandir(directory).close()
    except OSError as error:
        raise DevenvError(f"looking at {directory}: {error.strerror}") from error
    return detect(
        [*islice(_files(directory), _MOST_FILES), *_hidden_lock(directory)],
        read,
        name=os.path.basename(directory) or "project",
        default_node=DEFAULT_NODE,
        default_python=_host_minor(environ),
    )


def _files(directory: str) -> Iterator[str]:
    """Files at most `_DEPTH` directories down, relative; hidden and generated directories are left out."""
    for place, folders, names in os.walk(directory):
        inner = os.path.relpath(place, directory)
        prefix = "" if inner == "." else f"{inner}/"
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _UNSEEN and prefix.count("/") < _DEPTH
        )
        yield from (prefix + name for name in sorted(names))


def _hidden_lock(directory: str) -> list[str]:
    return [HIDDEN] if os.path.isfile(os.path.join(directory, HIDDEN)) else []


def _host_minor(environ: Mapping[str, str]) -> str:
    from devenv.providers.python_host import minor_version

    try:
        return minor_version(find_python(">=3.9", environ).version)
    except DevenvError:
        return "3.11"
