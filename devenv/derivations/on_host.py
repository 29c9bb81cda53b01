"""Builds whose programs are this machine's: compilers, make, an interpreter and its headers.

A derivation asks for them by the attribute `devenvHost`. Its sandbox then shows where programs and libraries of a machine
are, read-only, and the interpreter's directory where that lies elsewhere; no home, no settings, no network. What is
built so depends on more than its inputs: it is a compromise for projects that have no root of system packages
(`in_root`), whose results are as good as those of any build on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from devenv.formats.derivation import Derivation

ATTRIBUTE = "devenvHost"

# Where programs and libraries of a machine are, and the links with which some distributions choose between them.
HOST_PATHS = ("/bin", "/etc/alternatives", "/lib", "/lib64", "/usr")


def is_on_host(derivation: Derivation) -> bool:
    """Whether it asks for programs of the machine."""
    return ATTRIBUTE in derivation.env


def host_paths(interpreters: Iterable[str]) -> tuple[str, ...]:
    """What is shown, as sandbox paths; `interpreters` are programs that must be there too, with their libraries."""
    prefixes = {os.path.dirname(os.path.dirname(os.path.realpath(path))) for path in interpreters}
    others = sorted(prefix for prefix in prefixes if not prefix.startswith("/usr") and prefix.count("/") > 1)
    return (*(f"{path}?" for path in HOST_PATHS), *others)
