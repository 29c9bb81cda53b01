"""devenv.lock: round trips, lines, damage, staleness."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import Options, RemoteFile
from devenv.config.errors import LockError
from devenv.config.lock import Lock, LockedCrates, LockedLockfile, LockedToolchain
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_staleness import stale_reasons
from devenv.config.lock_writing import dump_lock
from devenv.config.model import Config, LockfileConfig
from devenv.formats.hashes import SIZES, Hash

DIGEST = "0123456789abcdef" * 4


def remote(name: str, size: int | None = 12) -> RemoteFile:
    return RemoteFile(file_name=name, url=f"npm:x/-/{name}", hash=Hash.of("sha512", name.encode()), size=size)


LOCK = Lock(
    requests={"python": "3.11", "node": "17"},
    lockfiles={
        "web/package-lock.json": LockedLockfile(
            ecosystem="npm",
            sha256=DIGEST,
            siblings={"web/package.json": DIGEST[::-1]},
            options=Options(omit=frozenset({"peer", "dev"})),
        ),
        "uv.lock": LockedLockfile(
            ecosystem="python", sha256=DIGEST, options=Options(extras=("b", "a"), groups=("test",))
        ),
        "pylock.toml": LockedLockfile(ecosystem="python", sha256=DIGEST, options=Options(groups=())),
    },
    toolchains=(
        LockedToolchain(name="python", request="3.11", version="3.11.2"),
        LockedToolchain(
            name="node",
            request="17",
            version="17.9.1",
            files={"linux-x86_64": remote("x.tgz"), "linux-aarch64": remote("a.tgz", None)},
        ),
    ),
    files={
        "pypi:b==1": (remote("b-1.whl"), remote("b-1.tar.gz")),
        "npm:a@1": (remote("a-1.tgz"),),
        "pypi:none==1": (),
    },
)

TEXT = f"""\
{{
  "version": 1,
  "requests": {{
    "node": "17",
    "python": "3.11"
  }},
  "lockfiles": {{
    "pylock.toml": {{"ecosystem": "python", "sha256": "{DIGEST}", "groups": []}},
    "uv.lock": {{"ecosystem": "python", "sha256": "{DIGEST}", "extras": ["a", "b"], "groups": ["test"]}},
    "web/package-lock.json": {{"ecosystem": "npm", "sha256": "{DIGEST}", \
"siblings": {{"web/package.json": "{DIGEST[::-1]}"}}, "omit": ["dev", "peer"]}}
  }},
  "toolchains": [
    {{"name": "node", "request": "17", "version": "17.9.1", "files": {{\
"linux-aarch64": {{"file_name": "a.tgz", "url": "npm:x/-/a.tgz", "hash": "HASH a.tgz"}}, \
"linux-x86_64": {{"file_name": "x.tgz", "url": "npm:x/-/x.tgz", "hash": "HASH x.tgz", "size": 12}}}}}},
    {{"name": "python", "request": "3.11", "version": "3.11.2", "files": {{}}}}
  ],
  "files": {{
    "npm:a@1": [{{"file_name": "a-1.tgz", "url": "npm:x/-/a-1.tgz", "hash": "HASH a-1.tgz", "size": 12}}],
    "pypi:b==1": [
      {{"file_name": "b-1.whl", "url": "npm:x/-/b-1.whl", "hash": "HASH b-1.whl", "size": 12}},
      {{"file_name": "b-1.tar.gz", "url": "npm:x/-/b-1.tar.gz", "hash": "HASH b-1.tar.gz", "size": 12}}
    ],
    "pypi:none==1": []
  }}
}}
"""
for _name in ("a.tgz", "x.tgz", "a-1.tgz", "b-1.whl", "b-1.tar.gz"):
    TEXT = TEXT.replace(f'"HASH {_name}"', f'"{Hash.of("sha512", _name.encode()).typed_hex}"')


def test_a_lock_is_written_with_one_entry_on_a_line() -> None:
    assert dump_lock(LOCK) == TEXT


def test_what_was_written_is_read_again() -> None:
    lock = parse_lock(TEXT, "devenv.lock")
    assert dump_lock(lock) == TEXT
    assert lock.files == LOCK.files
    assert lock.requests == LOCK.requests
    assert lock.toolchains == tuple(reversed(LOCK.toolchains))
    assert lock.lockfiles["web/package-lock.json"] == LOCK.lockfiles["web/package-lock.json"]
    assert lock.lockfiles["uv.lock"].options == Options(extras=("a", "b"), groups=("test",))
    assert lock.lockfiles["pylock.toml"].options.groups == ()


def test_an_empty_lock_is_written_and_read() -> None:
    assert parse_lock(dump_lock(Lock()), "devenv.lock") == Lock()
    assert parse_lock('{"version": 1}', "devenv.lock") == Lock()


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
FILE_NAMES = TEXTS.filter(lambda name: name not in ("", ".", "..") and not set(name) & set("/\0"))
HASHES = st.sampled_from(sorted(SIZES)).flatmap(
    lambda name: st.binary(min_size=SIZES[name], max_size=SIZES[name]).map(lambda digest: Hash(name, digest))  # type: ignore[arg-type]
)
FILES = st.builds(
    RemoteFile, file_name=FILE_NAMES, url=TEXTS, hash=HASHES, size=st.none() | st.integers(0, 2**40)
)
PATHS = st.sampled_from(["uv.lock", "a/b.json", "ü/pylock.toml", "x y.txt"])
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
SORTED = st.lists(TEXTS, max_size=2, unique=True).map(lambda items: tuple(sorted(items)))
LOCKS = st.builds(
    Lock,
    requests=st.dictionaries(TEXTS, TEXTS, max_size=3),
    lockfiles=st.dictionaries(
        PATHS,
        st.builds(
            LockedLockfile,
            ecosystem=st.sampled_from(["npm", "python"]),
            sha256=SHA256,
            siblings=st.dictionaries(PATHS, SHA256, max_size=2),
            options=st.builds(
                Options, omit=st.frozensets(TEXTS, max_size=2), extras=SORTED, groups=st.none() | SORTED
            ),
        ),
        max_size=2,
    ),
    toolchains=st.lists(
        st.builds(
            LockedToolchain,
            name=TEXTS,
            request=TEXTS,
            version=TEXTS,
            files=st.dictionaries(TEXTS, FILES, max_size=2),
        ),
        max_size=2,
        unique_by=lambda tool: tool.name,
    ).map(lambda tools: tuple(sorted(tools, key=lambda tool: tool.name))),
    files=st.dictionaries(TEXTS, st.lists(FILES, max_size=2).map(tuple), max_size=3),
)


@given(lock=LOCKS)
def test_every_lock_survives_writing_and_reading(lock: Lock) -> None:
    assert parse_lock(dump_lock(lock), "devenv.lock") == lock


@given(lock=LOCKS, seed=st.randoms(use_true_random=False))
def test_equal_locks_are_written_alike(lock: Lock, seed: Any) -> None:
    def shuffled(found: Any) -> Any:
        items = list(found.items())
        seed.shuffle(items)
        return dict(items)

    tools = list(lock.toolchains)
    seed.shuffle(tools)
    other = replace(
        lock,
        requests=shuffled(lock.requests),
        lockfiles=shuffled(lock.lockfiles),
        files=shuffled(lock.files),
        toolchains=tuple(tools),
    )
    assert dump_lock(other) == dump_lock(lock)


FILE = {"file_name": "x", "url": "npm:x", "hash": f"sha256:{DIGEST}"}
LOCKFILE = {"ecosystem": "npm", "sha256": DIGEST}
TOOLCHAIN = {"name": "node", "request": "17", "version": "17.0.0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"version": None}, "version: expected 1, found null", id="no version"),
        pytest.param({"version": True}, "version: expected 1, found true", id="boolean version"),
        pytest.param({"version": 1.0}, "version: expected 1, found 1.0", id="fractional version"),
        pytest.param({"version": 0}, "version: expected 1, found 0", id="old version"),
        pytest.param({"version": "1"}, 'version: expected 1, found "1"', id="version as text"),
        pytest.param({"extra": 1}, "extra: unknown key", id="unknown key"),
        pytest.param({"requests": []}, "requests: expected an object, found an array", id="requests"),
        pytest.param(
            {"requests": {"node": 17}}, "requests.node: expected text, found a number", id="request"
        ),
        pytest.param({"lockfiles": {"../x": LOCKFILE}}, "lockfiles.../x: expected the path", id="path above"),
        pytest.param({"lockfiles": {"/x": LOCKFILE}}, "lockfiles./x: expected the path", id="absolute path"),
        pytest.param(
            {"lockfiles": {"./x": LOCKFILE}}, "lockfiles../x: expected the path", id="unnormal path"
        ),
        pytest.param({"lockfiles": {"x": {}}}, "lockfiles.x.ecosystem: is missing", id="no ecosystem"),
        pytest.param(
            {"lockfiles": {"x": {**LOCKFILE, "ecosystem": "ruby"}}}, 'found "ruby"', id="unknown ecosystem"
        ),
        pytest.param(
            {"lockfiles": {"x": {**LOCKFILE, "sha256": "zz"}}}, "64 hexadecimal digits", id="digest"
        ),
        pytest.param(
            {"lockfiles": {"x": {**LOCKFILE, "siblings": {"y": DIGEST.upper()}}}},
            "lockfiles.x.siblings.y: expected 64 hexadecimal digits",
            id="digest of a sibling",
        ),
        pytest.param(
            {"lockfiles": {"x": {**LOCKFILE, "siblings": {"../y": DIGEST}}}},
            "the path of a file",
            id="sibling above",
        ),
        pytest.param(
            {"lockfiles": {"x": {**LOCKFILE, "omit": [1]}}}, "lockfiles.x.omit: expected", id="omit"
        ),
        pytest.param({"lockfiles": {"x": {**LOCKFILE, "groups": "a"}}}, "found text", id="groups"),
        pytest.param({"toolchains": {}}, "toolchains: expected an array, found an object", id="toolchains"),
        pytest.param({"toolchains": [{}]}, "toolchains[0].name: is missing", id="toolchain without a name"),
        pytest.param(
            {"toolchains": [{**TOOLCHAIN, "files": {"any": None}}]},
            "toolchains[0].files.any: expected an object, found null",
            id="file of a toolchain",
        ),
        pytest.param({"files": {"k": FILE}}, "files.k: expected an array, found an object", id="files"),
        pytest.param({"files": {"k": ["x"]}}, "files.k[0]: expected an object, found text", id="file"),
        pytest.param(
            {"files": {"k": [{**FILE, "file_name": "a/b"}]}}, "files.k[0].file_name", id="name with a slash"
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "file_name": ".."}]}}, "files.k[0].file_name", id="name above"
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "file_name": "a\0"}]}}, "files.k[0].file_name", id="name with NUL"
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "url": None}]}}, "files.k[0].url: expected text, found null", id="url"
        ),
        pytest.param({"files": {"k": [{**FILE, "size": -1}]}}, "files.k[0].size", id="negative size"),
        pytest.param({"files": {"k": [{**FILE, "size": True}]}}, "found true or false", id="boolean size"),
        pytest.param({"files": {"k": [{**FILE, "size": 1.5}]}}, "files.k[0].size", id="fractional size"),
        pytest.param({"files": {"k": [{**FILE, "hash": "sha256:00"}]}}, "files.k[0].hash", id="short hash"),
        pytest.param(
            {"files": {"k": [{**FILE, "hash": f"crc:{DIGEST}"}]}}, "files.k[0].hash", id="unknown algorithm"
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "hash": f"sha256:{'zz' * 32}"}]}}, "files.k[0].hash", id="no digits"
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "hash": f"sha256:{DIGEST[:-2]}  "}]}},
            "files.k[0].hash",
            id="blanks for digits",
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "hash": f"sha256: {DIGEST}"}]}},
            "files.k[0].hash",
            id="blanks among digits",
        ),
        pytest.param(
            {"files": {"k": [{**FILE, "mode": 1}]}}, "files.k[0].mode: unknown key", id="key of a file"
        ),
    ],
)
def test_damage_is_told_with_its_place(change: dict[str, Any], message: str) -> None:
    text = json.dumps({"version": 1} | change, indent=1)
    with pytest.raises(LockError) as caught:
        parse_lock(text, "some/devenv.lock")
    assert message in caught.value.message
    assert caught.value.message.startswith(f"some/devenv.lock:{caught.value.line}: ")
    assert "devenv lock" in (caught.value.hint or "")


def test_damage_is_told_with_its_line() -> None:
    text = TEXT.replace('"npm:x/-/b-1.tar.gz"', "17")
    with pytest.raises(
        LockError, match=r"^devenv\.lock:20: files\.pypi:b==1\[1\]\.url: expected text"
    ) as caught:
        parse_lock(text, "devenv.lock")
    assert '"pypi:b==1"' in text.splitlines()[(caught.value.line or 0) - 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", r"^l:1: cannot read it: Expecting value \(column 1\)", id="empty"),
        pytest.param(TEXT[: len(TEXT) // 2], r"^l:\d+: cannot read it", id="cut off"),
        pytest.param("[]", "expected an object, found an array", id="array"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        pytest.param('{"version": ' + "1" * 5000 + "}", "cannot read it", id="long number"),
        pytest.param('{"version": 1, "version": 1}', 'the key "version" occurs twice', id="key twice"),
        pytest.param('{"version": 1, "files": {"\\ud800": []}}', "not valid Unicode", id="surrogate"),
        pytest.param('{"version": 1, "files": {"\udc80": []}}', "not valid Unicode", id="undecodable byte"),
        pytest.param("\ufeff{}", "BOM", id="byte order mark"),
        pytest.param('{"version": NaN}', "expected 1", id="not a number"),
    ],
)
def test_text_that_is_no_lock_is_refused(text: str, message: str) -> None:
    with pytest.raises(LockError, match=message):
        parse_lock(text, "l")


def test_an_unfinished_merge_is_recognised() -> None:
    lines = TEXT.splitlines()
    lines[3:4] = ["<<<<<<< HEAD", '    "node": "17",', "=======", '    "node": "18",', ">>>>>>> other"]
    with pytest.raises(LockError, match=r"^devenv\.lock:4: .* unfinished merge") as caught:
        parse_lock("\n".join(lines), "devenv.lock")
    assert "devenv lock" in (caught.value.hint or "")


def test_a_lock_of_a_newer_devenv_is_told_from_a_damaged_one() -> None:
    with pytest.raises(LockError, match="it has version 2; this devenv reads version 1") as caught:
        parse_lock('{"version": 2, "environments": {}}', "devenv.lock")
    assert "newer devenv" in (caught.value.hint or "")


@given(
    at=st.integers(0, len(TEXT) - 1),
    length=st.integers(0, 30),
    put=st.sampled_from(["", "0", '"', "}", "[]", "null,"]),
)
def test_any_damage_gives_our_error_or_a_lock(at: int, length: int, put: str) -> None:
    try:
        lock = parse_lock(TEXT[:at] + put + TEXT[at + length :], "devenv.lock")
    except LockError:
        return
    assert parse_lock(dump_lock(lock), "devenv.lock") == replace(
        lock, toolchains=tuple(sorted(lock.toolchains, key=lambda tool: tool.name))
    )


def test_reading_a_lock_needs_few_modules() -> None:
    code = "import sys; old = set(sys.modules); import devenv.config.lock; print(*set(sys.modules) - old)"
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    loaded = set(run.stdout.split())
    assert "devenv.config.lock" in loaded
    assert not loaded & {"tomllib", "difflib", "urllib.parse", "pathlib", "subprocess", "devenv.config.toml"}


# Staleness

CONFIG = Config(
    packages={"node": "17", "python": "3.11"},
    lockfiles=(
        LockfileConfig(ecosystem="npm", path="web/package-lock.json", omit=frozenset({"dev", "peer"})),
        LockfileConfig(ecosystem="python", path="uv.lock", extras=("a", "b"), groups=("test",)),
        LockfileConfig(ecosystem="python", path="pylock.toml", groups=()),
    ),
)
HASHES_NOW = {
    "web/package-lock.json": DIGEST,
    "web/package.json": DIGEST[::-1],
    "uv.lock": DIGEST,
    "pylock.toml": DIGEST,
}


def test_a_lock_that_fits_is_not_stale() -> None:
    assert stale_reasons(LOCK, CONFIG, HASHES_NOW) == []
    assert stale_reasons(parse_lock(TEXT, "l"), CONFIG, {**HASHES_NOW, "pyproject.toml": DIGEST}) == []


def tuned(**options: Any) -> Config:
    npm, uv, pylock = CONFIG.lockfiles
    return replace(CONFIG, lockfiles=(npm, replace(uv, **options), pylock))


@pytest.mark.parametrize(
    ("config", "hashes", "reasons"),
    [
        pytest.param(
            replace(CONFIG, packages={"node": "18", "python": "3.11"}),
            {},
            ['packages.node is "18", devenv.lock has "17"'],
            id="other version",
        ),
        pytest.param(
            replace(CONFIG, packages={"npm": "9", "python": "3.11"}),
            {},
            ['packages.node is gone, devenv.lock has "17"', 'packages.npm = "9" is new'],
            id="other toolchains",
        ),
        pytest.param(
            CONFIG,
            {"uv.lock": "0" * 64},
            ["uv.lock changed since devenv.lock was written"],
            id="changed lockfile",
        ),
        pytest.param(
            CONFIG,
            {"web/package.json": "0" * 64},
            ["web/package.json changed since devenv.lock was written"],
            id="changed sibling",
        ),
        pytest.param(
            CONFIG,
            {"web/package.json": None},
            ["web/package.json is gone since devenv.lock was written"],
            id="sibling gone",
        ),
        pytest.param(
            replace(
                CONFIG, lockfiles=(LockfileConfig(ecosystem="npm", path="new.json"), *CONFIG.lockfiles[:2])
            ),
            {"new.json": DIGEST},
            ["new.json is new", "pylock.toml is no longer used"],
            id="other lockfiles",
        ),
        pytest.param(
            tuned(extras=(), groups=("docs", "test")),
            {},
            ["options of uv.lock changed (extras: none; groups: docs, test)"],
            id="groups",
        ),
        pytest.param(
            tuned(extras=("b", "a"), groups=None),
            {},
            ["options of uv.lock changed (groups: the defaults)"],
            id="default groups",
        ),
        pytest.param(
            tuned(extras=("b",), groups=()),
            {},
            ["options of uv.lock changed (extras: b; groups: none)"],
            id="no groups",
        ),
        pytest.param(
            replace(
                CONFIG, lockfiles=(replace(CONFIG.lockfiles[0], omit=frozenset()), *CONFIG.lockfiles[1:])
            ),
            {},
            ["options of web/package-lock.json changed (omit: nothing)"],
            id="omit",
        ),
    ],
)
def test_what_changed_is_named(config: Config, hashes: dict[str, str | None], reasons: list[str]) -> None:
    now = {path: digest for path, digest in {**HASHES_NOW, **hashes}.items() if digest is not None}
    assert stale_reasons(LOCK, config, now) == reasons


CRATES = LockedCrates(default="https://index.test/default", index="https://sparse.test/")


@pytest.mark.parametrize(
    "crates", [CRATES, LockedCrates(default="", index=CRATES.index)], ids=["named", "none of the locks'"]
)
def test_the_default_registry_of_crates_is_kept(crates: LockedCrates) -> None:
    assert parse_lock(dump_lock(Lock(crates=crates)), "devenv.lock").crates == crates


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"index": ""}, "crates.index: expected a URL, found", id="no index"),
        pytest.param({"index": "x"}, "crates.index: expected a URL, found", id="index that is no URL"),
        pytest.param({"default": "x"}, "crates.default: expected a URL, found", id="default that is no URL"),
        pytest.param({"default": None}, "crates.default: expected text", id="no default"),
        pytest.param({"more": 1}, "crates.more: unknown key", id="unknown key"),
    ],
)
def test_damage_of_the_default_registry_is_named(changes: dict[str, object], said: str) -> None:
    data = json.loads(dump_lock(Lock(crates=CRATES)))
    data["crates"] |= changes
    with pytest.raises(LockError, match=re.escape(said)):
        parse_lock(json.dumps(data), "devenv.lock")
