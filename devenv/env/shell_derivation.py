"""The derivation by which nix's own commands enter an environment; see `nix_shell` for what they do with it.

By itself, because it is written for each checkout, where the rest of the environment is known already.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_PROJECT = "DEVENV_PROJECT"  # as `spec.PROJECT_VARIABLE`


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellDerivation:
    """What the derivation `NAME-shell.drv` is made of; its only input is the spec object, as a source."""

    system: str
    builder: str
    args: tuple[str, ...]
    env: dict[str, str]


def shell_derivation(*, spec: str, project: str) -> ShellDerivation:
    """The shell derivation of an environment whose spec object is `spec`.

    Unlike the spec it belongs to one place and one machine: `project` is the absolute directory that relative
    entries are in, and the builder is the machine's own bash, for Nix tells by the builder's base name that it
    can enter a derivation. Realising it gives a file that names the spec. Raises SpecError without a bash.
    """
    return ShellDerivation(
        system=f"{os.uname().machine}-linux",
        builder=find_bash(),
        args=("-c", 'echo "$stdenv" > "$out"'),
        env={"stdenv": spec, "outputs": "out", _PROJECT: project},
    )


def find_bash() -> str:
    """The machine's bash, where every user finds it; else the one on PATH."""
    for path in ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"):
        if os.access(path, os.X_OK):
            return path
    import shutil

    from devenv.env.spec import SpecError

    found = shutil.which("bash")
    if found is None:
        raise SpecError(
            "making the shell derivation: there is no bash on this machine, and nix's shells need one",
            hint="install bash",
        )
    return found
