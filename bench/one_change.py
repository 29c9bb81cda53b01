"""One package of a large lock changes: what is fetched and built then, and how long it takes.

    python bench/one_change.py [npm | python] [COUNT]

Makes a project with COUNT packages (1,000 of npm, 100 of Python) of a registry on loopback, in a home of its own. A tenth of
them are built: npm's have install scripts, Python's are sdists that call the C compiler. Enters it, changes one package
that is built, and enters it again. Prints a row of a table: seconds by the clock, and of processors, which says more where others
use the machine as well.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.devenv import User
from tests.support.registry import Registry, npm_lock, point_clients_at, serve
from tests.support.sdists import native_source

SCRIPT = {"scripts": {"install": "echo made > made.txt"}}
# From the versions of the packages to the text of a lockfile.
Lock = Callable[[dict[int, str]], str]


def npm_project(root: Path, registry: Registry) -> tuple[str, Lock]:
    """The name of the lockfile, and what makes its text."""
    (root / "devenv.toml").write_text(f'name = "p"\n[registries]\nnpm = "{registry.url}/npm/"\n')
    (root / "package.json").write_text('{"name": "project", "version": "1.0.0"}')

    @cache
    def entry(number: int, version: str) -> dict[str, object]:
        more: dict[str, object] = dict(SCRIPT) if number % 10 == 0 else {}
        name = f"pkg{number}"
        code = {"index.js": f"exports.x = {json.dumps(version)}\n"}
        integrity = registry.add_npm(name, version, code, **more)
        found = {
            "version": version,
            "resolved": f"{registry.url}{registry.tarball_path(name, version)}",
            "integrity": integrity,
        }
        return {**found, "hasInstallScript": True} if more else {**found}

    def lock(versions: dict[int, str]) -> str:
        return npm_lock({f"node_modules/pkg{n}": entry(n, version) for n, version in versions.items()})

    return "package-lock.json", lock


def python_project(root: Path, registry: Registry) -> tuple[str, Lock]:
    """As `npm_project`."""
    (root / "devenv.toml").write_text('name = "p"\n[packages]\npython = "3"\n')
    registry.add_wheel("helper", "1.0")

    @cache
    def line(number: int, version: str) -> str:
        name = f"pkg{number}"
        if number % 10 == 0:
            digest = registry.add_sdist(name, version, native_source(name, version, value=number))
        else:
            digest = registry.add_wheel(name, version)
        return f"{name}=={version} --hash=sha256:{digest}\n"

    def lock(versions: dict[int, str]) -> str:
        return "".join(line(n, version) for n, version in versions.items())

    return "requirements.txt", lock


KINDS = {"npm": (npm_project, 1000, ".tgz"), "python": (python_project, 100, (".whl", ".tar.gz"))}


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "npm"
    prepare, usual, ends = KINDS[kind]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else usual
    with tempfile.TemporaryDirectory() as folder, serve(Registry()) as registry:
        root, user = Path(folder, "project"), User(Path(folder, "home"))
        root.mkdir()
        point_clients_at(registry, user.home)
        name, lock = prepare(root, registry)
        versions = dict.fromkeys(range(count), "1.0.0")
        first, _ = enter(user, root / name, lock(versions), registry)
        changed, fetched = enter(user, root / name, lock(versions | {0: "1.0.1"}), registry)
        same = timed(user, root)[0]
    files = [path.rpartition("/")[2] for path in fetched if path.endswith(ends)]
    print("| packages | all of it | one changed | nothing changed | fetched for the change |")
    print("|---|---|---|---|---|")
    print(f"| {count} {kind} | {first} | {changed} | {same} | {', '.join(files)} |")


def enter(user: User, lockfile: Path, text: str, registry: Registry) -> tuple[str, list[str]]:
    """The time of `devenv enter` with this lockfile, and what was requested for it, locking included."""
    lockfile.write_text(text)
    registry.requests.clear()
    user.run("lock", cwd=lockfile.parent)
    seconds, said = timed(user, lockfile.parent)
    print(" / ".join(said.splitlines()), file=sys.stderr)
    return seconds, list(registry.requests)


def timed(user: User, root: Path) -> tuple[str, str]:
    """The time of `devenv enter` and what it said."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = user.run("enter", "-c", "true", cwd=root)
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{seconds:.2f} s ({processors:.2f} s)", done.stderr


if __name__ == "__main__":
    main()
