"""What cargo itself lists of a Cargo.lock, whose crates are not there: in their place stand crates that are empty.

Each empty crate needs what the lock says that the real one needs. cargo then resolves the whole project with the
lock as it is (`--locked`), through the very configuration that devenv writes for it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devenv.adapter import CargoSources
from devenv.views.cargo import cargo_files, cargo_ops, crate_key, source_links
from devenv.views.compose import compose

# How every lock names the registry that cargo takes by default.
_DEFAULT = "/crates.io-index"

Crate = dict[str, Any]


def project(lock: Path, view: CargoSources, place: Path) -> Path:
    """A project in `place` that `lock` fits, with devenv's view of sources; the configuration is returned."""
    text = lock.read_text()
    found = tomllib.loads(text)
    crates, unused = [*found.get("package", ())], found.get("patch", {}).get("unused", [])
    trees = _trees([*crates, *unused], view, place / "crates")
    members = [crate for crate in crates if "source" not in crate]
    home = place / "project"
    for crate in members:
        _write(home / crate["name"], _manifest(crate, crates, is_member=True), None)
    listed = ", ".join(json.dumps(crate["name"]) for crate in members)
    lines = ["[workspace]", 'resolver = "2"', f"members = [{listed}]"]
    for number, crate in enumerate(unused):
        lines.append(f"[patch.crates-io.p{number}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in _place(crate).items()]
    (home / "Cargo.toml").write_text("\n".join(lines) + "\n")
    (home / "Cargo.lock").write_text(text)
    root = home / ".devenv/cargo"
    root.parent.mkdir()
    default = next((key.removeprefix("registry+") for key in view.sources if key.endswith(_DEFAULT)), None)
    sources = place / "sources"
    for name, tree in source_links([("", view)], trees).items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).symlink_to(tree)
    files = cargo_files(
        [("", view)], sources=str(sources), shared="/nowhere", around="", default_index=default, names={}
    )
    compose(str(root), cargo_ops(files), key="k")
    return root / "locks/0/config.toml"


def command(config: Path) -> list[str]:
    return ["cargo", "metadata", "--locked", "--offline", "--format-version=1", "--config", str(config)]


def listed(output: str, lock: Path) -> frozenset[tuple[str, str]]:
    """The packages that `cargo metadata` names, but for those of the project itself, and patches that it has no use for."""
    patches = tomllib.loads(lock.read_text()).get("patch", {}).get("unused", ())
    return frozenset((patch["name"], patch["version"]) for patch in patches) | frozenset(
        (package["name"], package["version"])
        for package in json.loads(output)["packages"]
        if package["source"] is not None
    )


def _trees(crates: list[Crate], view: CargoSources, place: Path) -> dict[str, str]:
    found = {}
    for number, crate in enumerate(each for each in crates if "source" in each):
        key = crate["source"].partition("#")[0]
        name = f"{crate['name']}-{crate['version']}"
        package = view.crates[key][name]
        checksum = package.file.hash.hex if package.format == "crate" else None
        tree = place / f"{number}-{name}"
        _write(tree, _manifest(crate, crates, is_member=False), checksum)
        found[crate_key(key, name)] = str(tree)
    return found


def _write(tree: Path, manifest: str, checksum: str | None) -> None:
    (tree / "src").mkdir(parents=True)
    (tree / "src/lib.rs").touch()
    (tree / "Cargo.toml").write_text(manifest)
    (tree / ".cargo-checksum.json").write_text(json.dumps({"files": {}, "package": checksum}))


def _manifest(crate: Crate, crates: list[Crate], *, is_member: bool) -> str:
    lines = [
        "[package]",
        f"name = {json.dumps(crate['name'])}",
        f"version = {json.dumps(crate['version'])}",
        'edition = "2021"',
    ]
    for number, text in enumerate(crate.get("dependencies", ())):
        needed = _meant(text, crates)
        # Members may need each other in circles, as tests do.
        kind = "dev-dependencies" if is_member and "source" not in needed else "dependencies"
        lines.append(f"[{kind}.d{number}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in _place(needed).items()]
    return "\n".join(lines) + "\n"


def _meant(text: str, crates: list[Crate]) -> Crate:
    """The package that "NAME [VERSION [(SOURCE)]]" of a lock names."""
    name, _, rest = text.partition(" ")
    version, _, source = rest.partition(" ")
    found = [
        each
        for each in crates
        if each["name"] == name
        and version in ("", each["version"])
        and source.strip("()").partition("#")[0] in ("", each.get("source", "").partition("#")[0])
    ]
    if len(found) > 1:  # of several that fit, one of the project itself is named by its version alone
        found = [each for each in found if "source" not in each]
    (crate,) = found
    return crate


def _place(crate: Crate) -> Mapping[str, str]:
    """Where a dependency is had from, as Cargo.toml says it."""
    return {"package": crate["name"], "version": f"={crate['version']}", **dict(_source(crate))}


def _source(crate: Crate) -> Iterator[tuple[str, str]]:
    source = crate.get("source", "")
    kind, _, url = source.partition("#")[0].partition("+")
    if not source:
        yield "path", f"../{crate['name']}"
    elif kind == "git":
        from urllib.parse import unquote

        place, _, query = url.partition("?")
        yield "git", place
        if query:
            key, _, value = query.partition("=")
            yield key, unquote(value)
    elif not url.endswith(_DEFAULT):
        yield "registry-index", source.removeprefix("registry+")
