from __future__ import annotations

from collections.abc import Callable

import pytest

from devenv.sandbox.spec import DEVICES, Bind, Mount, Proc, SandboxSpec, Tmpfs
from tests.support.sandboxes import require_sandboxes

# The machine's programs, and places of its own for what they write.
MACHINE: tuple[Mount, ...] = (
    *DEVICES,
    Proc(),
    *(Bind(path, path, optional=True) for path in ("/usr", "/bin", "/lib", "/lib64")),
    Tmpfs("/tmp", 0o1777),
)


@pytest.fixture
def spec() -> Callable[..., SandboxSpec]:
    """Makes a sandbox with the machine's programs, and more or other things."""
    require_sandboxes()

    def make(*mounts: Mount, **fields: object) -> SandboxSpec:
        return SandboxSpec(mounts=(*MACHINE, *mounts), **fields)  # type: ignore[arg-type]

    return make
