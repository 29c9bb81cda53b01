"""The part of devenv.lock that pins system packages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from devenv.config.errors import LockError
from devenv.config.lock import Lock
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_staleness import stale_reasons
from devenv.config.lock_writing import dump_lock
from devenv.config.model import Config
from devenv.debian.locked import LockedBase, LockedDeb, SuiteState

DIGEST = "0123456789abcdef" * 4
DEB = LockedDeb("libc6", "2.36-9", "amd64", "pool/main/g/glibc/libc6_2.36-9_amd64.deb", 12, DIGEST, "debian")
BASE = LockedBase(
    "debian/bookworm",
    "amd64",
    (SuiteState("debian", "bookworm", DIGEST, "2026-01-10T10:02:03Z"),),
    (DEB, DEB._replace(name="zlib1g", version="1:1.2.13")),
)
LOCK = Lock(system=("git", "zlib1g"), base=BASE)
TEXT = f"""\
{{
  "version": 1,
  "requests": {{}},
  "lockfiles": {{}},
  "toolchains": [],
  "files": {{}},
  "base": {{
    "name": "debian/bookworm",
    "architecture": "amd64",
    "requests": [
      "git",
      "zlib1g"
    ],
    "suites": [
      {{"archive": "debian", "suite": "bookworm", "sha256": "{DIGEST}", "date": "2026-01-10T10:02:03Z"}}
    ],
    "packages": [
      {{"name": "libc6", "version": "2.36-9", "architecture": "amd64", \
"path": "pool/main/g/glibc/libc6_2.36-9_amd64.deb", "size": 12, "sha256": "{DIGEST}", "archive": "debian"}},
      {{"name": "zlib1g", "version": "1:1.2.13", "architecture": "amd64", \
"path": "pool/main/g/glibc/libc6_2.36-9_amd64.deb", "size": 12, "sha256": "{DIGEST}", "archive": "debian"}}
    ]
  }}
}}
"""


def test_a_base_is_written_one_package_a_line() -> None:
    assert dump_lock(LOCK) == TEXT


def test_what_was_written_is_read_back() -> None:
    assert parse_lock(TEXT, "devenv.lock") == LOCK


def test_the_order_of_the_requests_changes_nothing() -> None:
    assert dump_lock(replace(LOCK, system=("zlib1g", "git"))) == TEXT


def test_a_lock_from_before_there_were_bases_is_read() -> None:
    old = '{"version": 1, "requests": {}, "lockfiles": {}, "toolchains": [], "files": {}}'
    assert parse_lock(old, "devenv.lock") == Lock()


def deb(**changes: Any) -> dict[str, Any]:
    return {"packages": [{**DEB._asdict(), **changes}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"name": None}, "base.name: expected text, found null", id="no name"),
        pytest.param({"extra": 1}, "base.extra: unknown key", id="unknown key"),
        pytest.param({"suites": {}}, "base.suites: expected an array", id="suites"),
        pytest.param({"suites": [{}]}, "base.suites[0].archive: is missing", id="suite without archive"),
        pytest.param({"packages": "x"}, "base.packages: expected an array", id="packages"),
        pytest.param(deb(size=-1), "base.packages[0].size: expected a number", id="negative size"),
        pytest.param(deb(size=True), "base.packages[0].size: expected a number", id="size that is none"),
        pytest.param(deb(sha256="00"), "base.packages[0].sha256: expected 64", id="short hash"),
        pytest.param(deb(path="../../etc/passwd"), "base.packages[0].path: expected a path", id="path above"),
        pytest.param(deb(path="/etc/passwd"), "base.packages[0].path: expected a path", id="absolute path"),
        pytest.param(deb(name="a/b"), "base.packages[0].name: expected a name", id="name with a slash"),
        pytest.param(deb(name=".."), "base.packages[0].name: expected a name", id="name above"),
        pytest.param(deb(version="1\n2"), "base.packages[0].version: expected a name", id="two lines"),
        pytest.param(deb(architecture=""), "base.packages[0].architecture", id="no architecture"),
        pytest.param(deb(archive="-x"), "base.packages[0].archive", id="archive like an option"),
    ],
)
def test_damage_is_told_with_its_place(changes: dict[str, Any], message: str) -> None:
    data = json.loads(TEXT)
    data["base"].update(changes)
    with pytest.raises(LockError) as caught:
        parse_lock(json.dumps(data), "devenv.lock")
    assert message in str(caught.value)


CONFIG = Config(base="debian/bookworm", system=("zlib1g", "git"))


@pytest.mark.parametrize(
    ("lock", "config", "reasons"),
    [
        pytest.param(LOCK, CONFIG, [], id="fits"),
        pytest.param(Lock(), Config(base="debian/bookworm"), [], id="nothing asked for"),
        pytest.param(Lock(), CONFIG, ["packages.system is new, 2 of debian/bookworm"], id="new"),
        pytest.param(
            LOCK,
            replace(CONFIG, base="debian/trixie"),
            ['base is "debian/trixie", devenv.lock has "debian/bookworm"'],
            id="other base",
        ),
        pytest.param(
            LOCK,
            replace(CONFIG, system=("git", "vim")),
            [
                "packages.system asks for vim, which devenv.lock lacks",
                "packages.system no longer asks for zlib1g",
            ],
            id="other packages",
        ),
        pytest.param(
            LOCK,
            Config(base="debian/bookworm"),
            ["packages.system is gone, devenv.lock has packages of a base"],
            id="no packages any more",
        ),
    ],
)
def test_what_changed_since_is_told(lock: Lock, config: Config, reasons: list[str]) -> None:
    assert stale_reasons(lock, replace(config, lockfiles=()), {}) == reasons
