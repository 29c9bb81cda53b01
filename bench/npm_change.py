"""One package of a large npm lock changes: what is fetched and built then, and how long it takes.

    python bench/npm_change.py [COUNT]

Makes a project with COUNT (1,000) packages of a registry on loopback, a tenth of them with install scripts, in a home of its
own; enters it, changes one package that has a script, and enters it again. Prints a row of a table.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.devenv import User
from tests.support.registry import Registry, npm_lock, serve

SCRIPT = {"scripts": {"install": "echo made > made.txt"}}
CHANGED = "node_modules/pkg0"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder, serve(Registry()) as registry:
        root = Path(folder, "project")
        root.mkdir()
        entries = {f"node_modules/pkg{n}": publish(registry, n, "1.0.0") for n in range(count)}
        (root / "devenv.toml").write_text(f'name = "p"\n[registries]\nnpm = "{registry.url}/npm/"\n')
        (root / "package.json").write_text('{"name": "project", "version": "1.0.0"}')
        user = User(Path(folder, "home"))
        first, _ = enter(user, root, registry, entries)
        entries[CHANGED] = publish(registry, 0, "1.0.1")
        changed, fetched = enter(user, root, registry, entries)
        begun = time.monotonic()
        user.run("enter", "-c", "true", cwd=root)
        same = time.monotonic() - begun
    tarballs = [path for path in fetched if path.endswith(".tgz")]
    print("| packages | all of it | one changed | nothing changed | fetched for the change |")
    print("|---|---|---|---|---|")
    print(f"| {count} | {first:.1f} s | {changed:.1f} s | {same:.2f} s | {', '.join(tarballs)} |")


def publish(registry: Registry, number: int, version: str) -> dict[str, object]:
    """A new package's entry in a lock; every tenth has a script."""
    more: dict[str, object] = dict(SCRIPT) if number % 10 == 0 else {}
    name = f"pkg{number}"
    integrity = registry.add_npm(name, version, {"index.js": f"exports.x = {json.dumps(version)}\n"}, **more)
    resolved = f"{registry.url}{registry.tarball_path(name, version)}"
    return {
        "version": version,
        "resolved": resolved,
        "integrity": integrity,
        **({"hasInstallScript": True} if more else {}),
    }


def enter(
    user: User, root: Path, registry: Registry, entries: dict[str, dict[str, object]]
) -> tuple[float, list[str]]:
    """Seconds of `devenv enter` with this lock, and what was requested meanwhile."""
    (root / "package-lock.json").write_text(npm_lock(entries))
    user.run("lock", cwd=root)
    registry.requests.clear()
    begun = time.monotonic()
    done = user.run("enter", "-c", "true", cwd=root)
    seconds = time.monotonic() - begun
    print(" / ".join(done.stderr.splitlines()), file=sys.stderr)
    return seconds, list(registry.requests)


if __name__ == "__main__":
    main()
