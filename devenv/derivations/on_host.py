"""Builds whose programs are this machine's: compilers, make, an interpreter and its headers.

A derivation asks for them by the attribute `devenvHost`. Its sandbox then shows where programs and libraries of a machine
are, read-only, and the interpreter's directory where that lies elsewhere; no home, no settings, no network. What is
built so depends on more than its inputs: it is a compromise for projects that have no root of system packages
(`in_root`), whose results are as good as those of any build on this machine.
"""

from __future__ import annotations

import os

from devenv.formats.derivation import Derivation

ATTRIBUTE = "devenvHost"

# Where programs and libraries of a machine are, and the links with which some distributions choose between them.
HOST_PATHS = ("/bin", "/etc/alternatives", "/lib", "/lib64", "/usr")


def is_on_host(derivation: Derivation) -> bool:
    """Whether it asks for programs of the machine."""
    return ATTRIBUTE in derivation.env


def host_paths(derivation: Derivation) -> tuple[str, ...]:
    """What is shown, as sandbox paths: of an interpreter that lies elsewhere the three directories that it needs.

    Which interpreter that is, its builder says, a link in an environment that was made for it.
    """
    real = os.path.realpath(derivation.builder)
    prefix = os.path.dirname(os.path.dirname(real))
    store = os.path.dirname(next(iter(derivation.outputs.values())).path)
    is_elsewhere = real != derivation.builder and not real.startswith(("/usr/", f"{store}/"))
    own = [f"{prefix}/{name}?" for name in ("bin", "include", "lib")] if is_elsewhere else []
    return (*(f"{path}?" for path in HOST_PATHS), *own)
