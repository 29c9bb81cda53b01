"""Where devenv remembers what no project may tell it. On the way of every entering: imports nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping


def state_directory(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/devenv`, by the XDG base directory specification."""
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        base = os.path.join(home if os.path.isabs(home) else os.path.expanduser("~"), ".local/state")
    return os.path.join(base, "devenv")


def hook_directory(environ: Mapping[str, str]) -> str:
    """What the prompt hook reads: `devenv.hook_index` describes it."""
    return os.path.join(state_directory(environ), "hook")
