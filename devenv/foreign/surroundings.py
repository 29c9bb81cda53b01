"""What a verdict depends on besides the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from devenv.foreign.suppliers import Suppliers
    from devenv.foreign.systems import System


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A machine, the base that it prefers, and the archives that it asks.

    machine: the distributions' name of this machine's architecture; base: the preferred one; home, cache: directories
    suppliers: opens the indices of a base; forced: never on the host; packages: also wanted in a root
    """

    machine: str
    base: str
    home: str
    cache: str
    suppliers: Callable[[str], Suppliers]
    host: System
    path: str = "/usr/local/bin:/usr/bin:/bin"
    forced: bool = False
    packages: tuple[str, ...] = ()
