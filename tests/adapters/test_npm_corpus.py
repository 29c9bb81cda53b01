"""Every lock of the corpus beside what npm itself reads in it. `pytest -s` shows the table.

DEVENV_CORPUS names a further directory of locks: NAME/package-lock.json, with a package.json beside it or without.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from devenv.adapter import NodeModules, Plan
from devenv.errors import DevenvError

from .npm_locks import DATA, X64, plan
from .test_npm_oracle import run

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")

REFUSED = {
    "arborist-dep-missing-resolved": "nothing says which version of completely-broken-witaf",
    "arborist-install-types": "really-bad-invalid",
}
# Entries that npm drops or mends when it reads: (lock, place).
MENDED = {("arborist-external-link", "node_modules/j")}


def locks() -> list[Path]:
    places = [DATA, *(Path(text) for text in [os.environ.get("DEVENV_CORPUS")] if text)]
    found = {path.name: path for place in places for path in sorted(place.iterdir()) if path.is_dir()}
    return [path for path in found.values() if (path / "package-lock.json").exists()]


def project_of(lock: Path, directory: Path) -> Path:
    """A copy with a package.json: npm reads a lock only in the light of one."""
    directory.mkdir()
    text = (lock / "package-lock.json").read_text()
    (directory / "package-lock.json").write_text(text)
    found = json.loads(text)
    manifest = lock / "package.json"
    asked = {name: values.get("version", "*") for name, values in found.get("dependencies", {}).items()}
    own = {"dependencies": asked} if "packages" not in found else found["packages"].get("", {})
    text = manifest.read_text() if manifest.exists() else json.dumps({"name": "p", "version": "1.0.0", **own})
    (directory / "package.json").write_text(text)
    return directory


def ours(found: Plan) -> dict[str, tuple[str, str | None]]:
    """Place -> name and version of what would be installed, links without version; carried packages are not known."""
    assert isinstance(found.view, NodeModules)
    packages = {place: (p.name, p.version) for place, p in found.view.packages.items()}
    return {**packages, **{place: (place.rpartition("node_modules/")[2], None) for place in found.view.links}}


@pytest.mark.parametrize("lock", locks(), ids=lambda path: path.name)
def test_lock_means_what_npm_reads_in_it(lock: Path, tmp_path: Path) -> None:
    print(f"\n| {lock.name} | {' | '.join(compared(lock, tmp_path))} |", end="")


def compared(lock: Path, tmp_path: Path) -> tuple[str, str]:
    """The version of the lock in the directory `lock`, and what was found. Fails where plan and npm differ."""
    text = (lock / "package-lock.json").read_text()
    version = json.loads(text).get("lockfileVersion", "-")
    siblings = (
        {"package.json": (lock / "package.json").read_text()} if (lock / "package.json").exists() else {}
    )
    try:
        found = plan(text, target=X64, siblings=siblings)
    except DevenvError as error:
        assert REFUSED[lock.name] in str(error)
        return f"v{version}", f"refused: {REFUSED[lock.name]}"
    assert lock.name not in REFUSED
    directory = project_of(lock, tmp_path / "p")
    script = str(Path(__file__).parent / "virtual_tree.js")
    theirs = json.loads(run("node", script, str(directory), directory=directory))
    mine = ours(found)
    wrong = {
        place
        for place in mine
        if tuple(theirs.get(place, ())) != mine[place] and theirs.get(place, [0, 0])[1]
    }
    missing = set(theirs) - set(mine)
    entries = json.loads(text).get("packages", {})
    left_out = {place for place in missing if _is_left_out(place, entries, found, theirs)}
    assert {place for place in wrong if (lock.name, place) not in MENDED} == set()
    assert set(mine) - set(theirs) - {place for name, place in MENDED if name == lock.name} == set()
    assert missing == left_out
    return f"v{version}", (
        f"{len(mine)} installed, {len(left_out)} carried or left out here, {len(found.queries)} to ask, "
        f"npm reads {len(theirs)}"
    )


def _is_left_out(
    place: str, entries: dict[str, dict[str, object]], found: Plan, theirs: dict[str, list[str | None]]
) -> bool:
    """Whether a package that npm reads is rightly not in the plan: carried, for another platform, or to be asked for."""
    entry = entries.get(place, {})
    assert isinstance(found.view, NodeModules)
    facts = found.view.manifests
    carried = bool(entry.get("inBundle")) or (facts is not None and place in facts.bundled)
    empty_peer = bool(entry.get("peer")) and "version" not in entry
    asked = {getattr(query, "name", "") for query in found.queries} | {
        getattr(q, "url", "") for q in found.queries
    }
    resolved = str(entry.get("resolved", ""))
    waiting = theirs[place][0] in asked or any(
        resolved.partition("#")[0].endswith(u[8:]) for u in asked if u[8:]
    )
    return (
        carried
        or empty_peer
        or bool(entry.get("optional"))
        or waiting
        or (facts is not None and bool(found.queries))
    )
