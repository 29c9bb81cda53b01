"""What Nix's own commands need to be told to work on one of our stores."""

from __future__ import annotations

import json
import os
from contextlib import suppress

from devenv.store.errors import explaining
from devenv.store.layout import Layout

_SETTINGS = (
    "experimental-features = nix-command flakes",
    "build-users-group =",  # as root, Nix otherwise asks for a group of its own
    "sandbox = false",
    "substituters =",
    "keep-outputs = false",  # as `devenv gc`, whatever the machine's own settings say
    "keep-derivations = true",
)


def variables(layout: Layout) -> dict[str, str]:
    """Environment variables under which `nix`, `nix-store`, `nix-shell` ... use this store, without a daemon.

    NIX_STORE_DIR is always among them, since inside of a Nix shell NIX_STORE would win. `prepare` writes the one
    file that NIX_CONFIG names.
    """
    settings = (*_SETTINGS, f"flake-registry = {_registry(layout)}")
    return {
        "NIX_STORE_DIR": layout.store,
        "NIX_STATE_DIR": layout.state,
        "NIX_LOG_DIR": layout.log,
        "NIX_CONF_DIR": layout.configuration,
        "NIX_REMOTE": "local",
        "NIX_CONFIG": "\n".join(settings) + "\n",
        "NIX_USER_CONF_FILES": "",
        # nix-shell otherwise looks for one in <nixpkgs>. It puts the shell's directory first on PATH, so that
        # has to be one with nothing else in it.
        "NIX_BUILD_SHELL": _shell(layout),
    }


def prepare(layout: Layout) -> None:
    """Make the files that the variables name. Raises `StoreError`."""
    _write_registry(layout)
    path = _shell(layout)
    with explaining("linking the shell for Nix", path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.islink(path):
            with suppress(FileExistsError):  # made by another process just now
                os.symlink("/bin/bash", path)


def _write_registry(layout: Layout) -> None:
    """The empty flake registry, without which Nix asks the network for one."""
    path = _registry(layout)
    with explaining("writing the flake registry for Nix", path):
        if os.path.exists(path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        aside = f"{path}.tmp-{os.getpid()}"
        with open(aside, "w", encoding="ascii") as file:
            json.dump({"flakes": [], "version": 2}, file)
        os.rename(aside, path)


def _shell(layout: Layout) -> str:
    return os.path.join(layout.configuration, "shell", "bash")


def _registry(layout: Layout) -> str:
    return os.path.join(layout.configuration, "registry.json")
