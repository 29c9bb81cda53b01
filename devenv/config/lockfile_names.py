"""What lockfiles are called, by preference: when a directory holds several of one ecosystem, the first counts."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.adapter import Ecosystem

# Those without a "*" are found by themselves in the project's top directory.
LOCKFILES: Mapping[Ecosystem, tuple[str, ...]] = {
    "npm": ("npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock"),
    "python": (
        *("uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml", "requirements.txt"),
        *("pylock.*.toml", "requirements*.txt"),
    ),
    "cargo": ("Cargo.lock",),
    "r": ("renv.lock",),
}


def found_by_themselves(ecosystem: Ecosystem) -> tuple[str, ...]:
    """The names that count without being named in devenv.toml."""
    return tuple(name for name in LOCKFILES[ecosystem] if "*" not in name)
