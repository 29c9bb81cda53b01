"""Small projects whose packages come from a registry of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.registry import Registry, npm_lock


def npm_project(root: Path, registry: Registry, count: int = 3, **extra: Any) -> dict[str, dict[str, Any]]:
    """`count` npm packages, each requiring the one before; returns the lock's entries."""
    root.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict[str, Any]] = {}
    for number in range(count):
        name = f"pkg{number}"
        before = f"require('pkg{number - 1}') + " if number else ""
        integrity = registry.add_npm(name, "1.0.0", {"index.js": f"module.exports = {before}'{number}'\n"})
        entries[f"node_modules/{name}"] = {"version": "1.0.0", "integrity": integrity, **extra}
    (root / "package.json").write_text('{"name": "project", "version": "1.0.0"}')
    (root / "package-lock.json").write_text(npm_lock(entries))
    return entries


def python_project(root: Path, registry: Registry, count: int = 3) -> None:
    """`count` pure wheels, the first with a console script."""
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        entry = "[console_scripts]\nhello0 = wheel0:main\n" if number == 0 else ""
        files = (
            {"wheel0/__init__.py": "def main():\n    print('hello from wheel0')\n"} if number == 0 else None
        )
        digest = registry.add_wheel(f"wheel{number}", "1.0", files, entry)
        lines.append(f"wheel{number}==1.0 --hash=sha256:{digest}")
    (root / "requirements.txt").write_text("\n".join(lines) + "\n")


def configure(root: Path, text: str = "") -> None:
    (root / "devenv.toml").write_text(text or 'name = "project"\n\n[packages]\npython = "3.11"\n')
