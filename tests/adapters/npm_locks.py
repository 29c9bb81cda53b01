"""npm locks for tests: those of the data directory, and small ones made up on the spot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from devenv.adapter import Options, Plan, RemoteFile, ScriptRules, Target
from devenv.adapters import npm
from devenv.formats.hashes import Hash

DATA = Path(__file__).parent.parent / "data" / "npm"

X64 = Target(machine="x86_64", libc="glibc")
ARM_MUSL = Target(machine="aarch64", libc="musl")


def read_lock(name: str) -> str:
    return (DATA / name / "package-lock.json").read_text()


def sri(text: str, algorithm: str = "sha512") -> str:
    """An integrity value that differs for each `text`."""
    return Hash.of(algorithm, text.encode()).sri  # type: ignore[arg-type]  # of lock's own algorithms


def entry(name: str, version: str = "1.0.0", /, **more: object) -> dict[str, object]:
    """What npm writes for a registry's package."""
    url = f"https://npm.test/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    return {"version": version, "resolved": url, "integrity": sri(f"{name}@{version}"), **more}


def lock_text(packages: Mapping[str, object], **top: object) -> str:
    """A lock of version 3 with these packages, to which the project's own entry is added if it is missing."""
    whole = {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
    return json.dumps({**whole, **top, "packages": {"": {"name": "project"}, **packages}})


def plan(
    text: str,
    *,
    target: Target = X64,
    omit: tuple[str, ...] = (),
    completions: Mapping[str, tuple[RemoteFile, ...]] | None = None,
    siblings: Mapping[str, str] | None = None,
    rules: tuple[tuple[str, bool | str], ...] = (),
    path: str = "package-lock.json",
) -> Plan:
    return npm.plan(
        text,
        path=path,
        target=target,
        options=Options(omit=frozenset(omit), scripts=ScriptRules(rules=rules)),
        completions=completions or {},
        siblings=siblings or {},
    )


def planned(packages: Mapping[str, object], **options: object) -> Plan:
    """The plan of a lock with these packages."""
    return plan(lock_text(packages), **options)  # type: ignore[arg-type]
