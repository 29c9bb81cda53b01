"""What tests that make sandboxes need of the machine."""

from __future__ import annotations

import os

import pytest

from devenv.sandbox.probe import probe

# Enough of this machine for its own programs, in the words of Nix's setting `sandbox-paths`.
HOST_PATHS = ("/bin", "/lib", "/lib64?", "/usr")


def require_sandboxes() -> None:
    """Skip the test where there can be none, saying why; under CI it fails."""
    found = probe()
    if not found.works:
        reason = f"no sandboxes on this machine: {found.reason}. {found.remedy}"
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(reason)
        pytest.skip(reason)
