"""The registry that cargo uses when nobody configures one, as the cargo client itself has it.

devenv names no registry. A Cargo.lock names the default registry by the URL of its old git index, and the client
holds that of the sparse index which it asks in its place: the first is what cargo writes into a lock of a project
made for the purpose, the second stands in the program.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from devenv.fetch.errors import EndpointError

_REMEMBERED = "cargo-default-registry.json"
_SPARSE = re.compile(rb"sparse\+(https://[A-Za-z0-9.-]+/)")
_LOCKED = re.compile(r'^source = "registry\+([^"]+)"$', re.MULTILINE)
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class DefaultRegistry:
    """`locked`: the index as a Cargo.lock names it. `sparse`: the index that is asked, ending in "/"."""

    locked: str
    sparse: str


def default_registry(*, environ: Mapping[str, str], cache: str) -> DefaultRegistry:
    """What the cargo on PATH takes by default; remembered in the directory `cache` for machines without it.

    Raises `EndpointError` when there is no cargo and there never was one.
    """
    import shutil

    cargo = shutil.which("cargo", path=environ.get("PATH", os.defpath))
    known = _remembered(cache)
    if cargo is None:
        if known is not None:
            return known[1]
        raise EndpointError(
            "Cannot tell which crate registry to ask: there is no cargo on PATH whose default would hold.",
            hint="Install cargo (Debian: `apt install cargo`, or rustup), or add it to [packages] system of "
            "devenv.toml and run devenv inside that environment.",
        )
    stamp = _stamp(cargo)
    if known is not None and known[0] == stamp:
        return known[1]
    program = _program(cargo, environ)
    found = DefaultRegistry(locked=_locked_index(cargo, environ), sparse=sparse_index(program))
    _remember(cache, stamp, found)
    return found


def _stamp(path: str) -> list[object]:
    found = os.stat(path)
    return [os.path.realpath(path), found.st_size, found.st_mtime_ns]


def _program(cargo: str, environ: Mapping[str, str]) -> str:
    """The client itself, where `cargo` is the proxy of a toolchain manager."""
    rustup = os.path.join(os.path.dirname(os.path.realpath(cargo)), "rustup")
    if os.path.basename(os.path.realpath(cargo)) != "rustup" and not os.path.exists(rustup):
        return cargo
    answer = _run([rustup, "which", "cargo"], environ, "/").strip()
    return answer if os.path.isfile(answer) else cargo


def _locked_index(cargo: str, environ: Mapping[str, str]) -> str:
    """Lock a project with one dependency, taken from a directory in place of the default registry."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="devenv-cargo-") as folder:
        manifest = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2018"\n'
        checksum = json.dumps({"files": {}, "package": "0" * 64})
        files = {
            "one/Cargo.toml": manifest.format("one") + '[dependencies]\nother = "0.1.0"\n',
            "one/src/lib.rs": "",
            "crates/other-0.1.0/Cargo.toml": manifest.format("other"),
            "crates/other-0.1.0/src/lib.rs": "",
            "crates/other-0.1.0/.cargo-checksum.json": checksum,
            "one/.cargo/config.toml": '[source.crates-io]\nreplace-with = "here"\n'
            f"[source.here]\ndirectory = {json.dumps(os.path.join(folder, 'crates'))}\n",
        }
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        # A home of its own: the user's settings may replace the default.
        own = {**environ, "CARGO_HOME": os.path.join(folder, "home"), "CARGO_NET_OFFLINE": "true"}
        own.setdefault("RUSTUP_HOME", os.path.join(environ.get("HOME", "/"), ".rustup"))
        _run([cargo, "generate-lockfile"], own, os.path.join(folder, "one"))
        with open(os.path.join(folder, "one/Cargo.lock"), encoding="utf-8") as file:
            found = _LOCKED.search(file.read())
    if found is None:
        raise EndpointError(
            f"Cannot tell which crate registry {cargo} takes by default: its lock names none."
        )
    return found[1]


def sparse_index(program: str) -> str:
    """The sparse index that stands in a cargo's program, ending in "/". Raises `EndpointError` if it has none."""
    import mmap

    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        match = _SPARSE.search(data)
        found = match[1].decode() if match is not None else None
        del match  # it holds on to the map
    if found is None:
        raise EndpointError(
            f"Cannot tell which crate registry {program} asks: it is older than sparse indexes (cargo 1.68).",
            hint='Use a newer cargo, or set `crates = "sparse+https://..."` under [registries] in devenv.toml.',
        )
    return found


def _run(command: list[str], environ: Mapping[str, str], directory: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise EndpointError(
            f"Asking {command[0]} for its default registry failed: {' / '.join(last)}"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise EndpointError(f"Asking {command[0]} for its default registry failed: {error}") from error
    return done.stdout.decode("utf-8", "replace")


def _remembered(cache: str) -> tuple[list[object], DefaultRegistry] | None:
    try:
        with open(os.path.join(cache, _REMEMBERED), encoding="utf-8") as file:
            found = json.load(file)
        stamp, locked, sparse = found["stamp"], found["locked"], found["sparse"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    if not (isinstance(stamp, list) and isinstance(locked, str) and isinstance(sparse, str)):
        return None
    return stamp, DefaultRegistry(locked=locked, sparse=sparse)


def _remember(cache: str, stamp: list[object], found: DefaultRegistry) -> None:
    temporary = os.path.join(cache, f"{_REMEMBERED}.{os.getpid()}")
    os.makedirs(cache, exist_ok=True)
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"stamp": stamp, "locked": found.locked, "sparse": found.sparse}, file)
    os.replace(temporary, os.path.join(cache, _REMEMBERED))
