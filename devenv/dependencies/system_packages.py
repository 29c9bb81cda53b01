"""`[packages] system` of devenv.toml, changed without touching anything else of what a person has written there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from devenv.dependencies.drivers import Action
from devenv.dependencies.request import Request, RequestError


def change_system(path: str, action: Action, requests: Sequence[Request]) -> None:
    """Add packages to the list in the devenv.toml at `path`, or remove them. Raises RequestError.

    An update changes nothing: `devenv lock --update` chooses new versions of all of a base together.
    """
    if action == "update":
        raise RequestError(
            "packages of the base are updated together", hint="`devenv lock --update` takes its present state"
        )
    with open(path, encoding="utf-8") as file:
        text = file.read()
    changed = changed_text(text, action, [request.text for request in requests])
    if changed == text:
        return
    aside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(aside, "x", encoding="utf-8") as file:
            file.write(changed)
        os.chmod(aside, os.stat(path).st_mode & 0o777)
        os.rename(aside, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(aside)
        raise RequestError(f"writing {path}: {error.strerror}") from error


def changed_text(text: str, action: Action, names: Sequence[str]) -> str:
    """The text of a devenv.toml with `names` in its list of system packages, or without. Comments and order stay."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        if action == "add" and "base" not in document:
            raise RequestError(
                "devenv.toml names no base, so there are no system packages to choose from",
                hint='add base = "debian/stable" at its top',
            )
        packages: Any = document.setdefault("packages", tomlkit.table())
        listed: Any = packages.setdefault("system", tomlkit.array())
        for name in names:
            if action == "add" and name not in listed:
                listed.append(name)
            elif action == "remove":
                if name not in listed:
                    raise RequestError(f"{name} is not among the system packages of devenv.toml")
                listed.remove(name)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise RequestError(f"devenv.toml cannot be changed: {error}") from error
