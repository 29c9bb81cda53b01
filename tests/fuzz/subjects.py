"""All parsers of files that others may have written, each with what is made of its value next."""

from __future__ import annotations

import json
import posixpath
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

from devenv.adapter import (
    Adapter,
    BuildQuery,
    CargoSources,
    Completions,
    NodeModules,
    NpmQuery,
    Options,
    Plan,
    PypiQuery,
    Query,
    RemoteFile,
    RQuery,
    ScriptRules,
    Target,
)
from devenv.config import toml
from devenv.config.detect import detect
from devenv.config.lock import Lock
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_writing import dump_lock
from devenv.config.model import Config
from devenv.debian import contents, index
from devenv.debian.release import parse_release
from devenv.derivations import structured_attributes
from devenv.env import spec_json
from devenv.environment.instantiate import Locations, instantiate
from devenv.environment.planned import PlannedLockfile
from devenv.errors import DevenvError
from devenv.formats import deb822, derivation, nar, nar_unpack, narinfo, npm_manifest, unified_diff
from devenv.formats.debian_relations import parse_relations
from devenv.formats.debian_version import version_key
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir
from devenv.plugins import load_adapters
from tests.support.pythons import linux_target

from .cases import Files, Subject

STORE = StoreDir("/nix/store")
_PATH = "project/{}"  # lockfiles lie in a directory, so that there is something above them
_SMALL = 40  # packages; making derivations of more takes longer than it finds
_SYNTAX_OF_ADAPTERS = {
    **dict.fromkeys(("npm", "pipfile", "renv"), "json"),
    **dict.fromkeys(("cargo", "poetry", "pylock", "uv"), "toml"),
    "pnpm": "yaml",
}
_MANIFESTS = ("package.json", "packages/ws/package.json")
_COMPANIONS = {
    **dict.fromkeys(("npm", "pnpm", "yarn"), _MANIFESTS),
    **dict.fromkeys(("poetry", "uv"), ("pyproject.toml",)),
}
_BESIDE = ("package.json", "package-lock.json", "uv.lock", "renv.lock", ".tool-versions", ".nvmrc", ".npmrc")
_OPTIONS = (
    Options(),
    Options(omit=frozenset({"dev", "optional"}), scripts=ScriptRules(rules=(("*", False),))),
    Options(extras=("dev", "all"), groups=("dev", "test")),
    Options(system=("libfoo-dev",)),
)


def all_subjects() -> dict[str, Subject]:
    """By name."""
    found = [*_lockfiles(), *_own_formats(), *_store_formats(), *_archive_formats()]
    return {subject.name: subject for subject in found}


def _text(data: bytes) -> str:
    """As files of projects are read: an error is one for people."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"it is not UTF-8 text: {error}") from None


def _main(files: Files) -> bytes:
    return next(iter(files.values()))


# Lockfiles


def _lockfiles() -> Iterator[Subject]:
    target = linux_target()
    for name, adapter in load_adapters().items():
        patterns = adapter.patterns
        if name == "npm":
            patterns = (*patterns, ".package-lock.json")
        yield Subject(
            name=name,
            patterns=patterns,
            parse=_planner(adapter, target),
            syntax=_SYNTAX_OF_ADAPTERS.get(name, "text"),
            companions=_COMPANIONS.get(name, ()),
        )


def _planner(adapter: Adapter, target: Target) -> Callable[[Files], object]:
    """Plans, answers what the plan asks, plans again, and makes derivations of what came out."""

    def parse(files: Files) -> object:
        texts = {name: _text(data) for name, data in files.items()}
        name, text = next(iter(texts.items()))
        siblings = {each: texts[each] for each in texts if each != name}
        options = _OPTIONS[zlib.crc32(text.encode()) % len(_OPTIONS)]
        included = getattr(adapter, "included_names", None)
        if included is not None:
            list(included(text, name))
        answers: dict[str, tuple[RemoteFile, ...]] = {}
        plan = _plan(adapter, text, name, target, options, answers, siblings)
        for _ in range(3):
            asked = [query for query in plan.queries if query.key not in answers]
            if not asked:
                break
            answers |= {query.key: _answer(query) for query in asked}
            plan = _plan(adapter, text, name, target, options, answers, siblings)
        _check_places(plan)
        if len(plan.packages) <= _SMALL:
            _derivations(name, plan)
        return plan

    return parse


def _plan(
    adapter: Adapter,
    text: str,
    name: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: dict[str, str],
) -> Plan:
    return adapter.plan(
        text,
        path=_PATH.format(name),
        target=target,
        options=options,
        completions=completions,
        siblings=siblings,
    )


def _answer(query: Query) -> tuple[RemoteFile, ...]:
    """What a registry might say."""
    digest = Hash.of("sha256", query.key.encode("utf-8", "replace"))
    if isinstance(query, NpmQuery):
        known = query.hash or digest
        return (RemoteFile(file_name="a.tgz", url="npm:a/-/a.tgz", hash=known),)
    if isinstance(query, PypiQuery):
        name = query.name.replace("-", "_")
        hashes = query.hashes or (digest,)
        wheel = f"{name}-{query.version}-py3-none-any.whl"
        return (RemoteFile(file_name=wheel, url=f"pypi-files:{wheel}", hash=hashes[0]),)
    if isinstance(query, RQuery):
        return (RemoteFile(file_name="a.tar.gz", url="cran:a.tar.gz", hash=digest, system="GDAL (>= 2)"),)
    if isinstance(query, BuildQuery):
        return ()
    return (RemoteFile(file_name="a.tar.gz", url=f"https://files.test/{digest.hex}.tar.gz", hash=digest),)


def _check_places(plan: Plan) -> None:
    """Nothing of a view lies outside of its directory, wherever a lock says it does."""
    view = plan.view
    if not isinstance(view, NodeModules):
        return
    for place in (*view.packages, *view.links, *view.bins):
        assert not posixpath.isabs(place), place
        assert ".." not in place.split("/"), place
        assert "\0" not in place, place


def _derivations(name: str, plan: Plan) -> None:
    if not isinstance(plan.view, NodeModules | CargoSources):
        return
    instantiate(
        config=Config(name="project"),
        lock=Lock(),
        lockfiles=(PlannedLockfile(path=name, directory="", plan=plan),),
        python=None,
        store_dir=STORE,
        locations=Locations(
            absolute=lambda url: url,
            candidates=lambda url: (url,),
            cargo_index=lambda: "sparse+https://crates.test/index/",
            cargo_source_name=lambda directory, source: None,
            base_urls=lambda deb: [],
        ),
        platform="linux-x86_64",
    )


# devenv's own


def _own_formats() -> list[Subject]:
    return [
        Subject(name="devenv.toml", patterns=("devenv.toml",), parse=_config, syntax="toml"),
        Subject(
            name="config.toml",
            patterns=("config.toml",),
            parse=lambda files: toml.parse_user_config(_text(_main(files)), "config.toml"),
            syntax="toml",
        ),
        Subject(name="devenv.lock", patterns=("devenv.lock",), parse=_lock, syntax="json"),
        Subject(name="env.json", patterns=("env.json",), parse=_spec, syntax="json"),
        Subject(name="patch", patterns=("*.patch",), parse=_patch),
        Subject(name="init", patterns=("pyproject.toml",), parse=_init, syntax="toml", companions=_BESIDE),
    ]


def _config(files: Files) -> object:
    return toml.parse_config(_text(_main(files)), "devenv.toml")


def _patch(files: Files) -> object:
    """A diff, and whether its hunks fit a text that is made of its own lines."""
    data = _main(files)
    changes = unified_diff.parse_diff(data)
    lines = b"".join(line[1:] + b"\n" for line in data.split(b"\n") if line[:1] in (b" ", b"-"))
    for change in changes:
        with suppress(DevenvError):
            unified_diff.apply_hunks(change.hunks, lines)
    return changes


def _init(files: Files) -> object:
    """What `devenv init` would write for a project with such files can be read."""
    texts = {name: data.decode("utf-8", "replace") for name, data in files.items()}
    found = detect(texts, texts.get, name="project", default_node="22", default_python="3.11")
    toml.parse_config(found.text, "devenv.toml")
    return found


def _lock(files: Files) -> object:
    """What is read is written again, and is the same then."""
    found = parse_lock(_text(_main(files)), "devenv.lock")
    text = dump_lock(found)
    assert dump_lock(parse_lock(text, "devenv.lock")) == text
    return found


def _spec(files: Files) -> object:
    found = spec_json.load(_text(_main(files)))
    assert spec_json.load(spec_json.dump(found)) == found
    return found


# Nix's


def _store_formats() -> list[Subject]:
    return [
        Subject(name="drv", patterns=("*.drv",), parse=_derivation),
        Subject(name="nar", patterns=("*.nar",), parse=_nar),
        Subject(name="narinfo", patterns=("*.narinfo",), parse=_narinfo),
        Subject(
            name="nix-cache-info",
            patterns=("nix-cache-info",),
            parse=lambda files: narinfo.CacheInfo.parse(_text(_main(files))),
        ),
        Subject(name="attributes", patterns=("attrs.json",), parse=_attributes, syntax="json"),
    ]


def _derivation(files: Files) -> object:
    data = _main(files)
    found = derivation.parse(data, "fuzzed", STORE)
    assert found.to_aterm() == data
    json.dumps(found.to_json())
    return found


class _Nowhere:
    """Takes what an archive holds."""

    def __init__(self) -> None:
        self.depth = 0

    def file(self, name: bytes, executable: bool, data: bytes) -> None:
        assert b"/" not in name

    def large_file(self, name: bytes, executable: bool, pieces: Iterator[bytes]) -> None:
        for _ in pieces:
            pass

    def symlink(self, name: bytes, target: bytes) -> None:
        assert b"/" not in name

    def enter(self, name: bytes) -> None:
        assert b"/" not in name
        self.depth += 1

    def leave(self) -> None:
        self.depth -= 1


def _nar(files: Files) -> object:
    """Both readers, one of them with cuts in places that its input chooses, agree."""
    data = _main(files)
    cut = zlib.crc32(data) % (len(data) + 1)
    sink = _Nowhere()
    problem: DevenvError | None = None
    try:
        nar_unpack.unpack([data[:cut], data[cut:]], sink)
    except DevenvError as error:
        problem = error
    try:
        events = list(nar.read([data[:cut], data[cut:]]))
    except DevenvError:
        assert problem is not None, "one reader refused what the other took"
        raise
    assert problem is None, f"one reader refused what the other took: {problem}"
    assert b"".join(nar.write(events)) == data
    assert sink.depth == 0
    return events


def _narinfo(files: Files) -> object:
    found = narinfo.parse(_text(_main(files)), STORE)
    assert narinfo.parse(found.to_text(), STORE).fingerprint == found.fingerprint
    return found


def _attributes(files: Files) -> object:
    found = structured_attributes.parse(_text(_main(files)), "fuzzed")
    structured_attributes.as_shell(found, {"out": "/nix/store/x"})
    return structured_attributes.as_json(found, {})


# Debian's, and manifests in packages


def _archive_formats() -> list[Subject]:
    return [
        Subject(name="package.json", patterns=("package.json",), parse=_manifest, syntax="json"),
        Subject(name="control", patterns=("control", "DESCRIPTION"), parse=_control),
        Subject(
            name="Release", patterns=("Release",), parse=lambda files: parse_release(_text(_main(files)))
        ),
        Subject(name="Packages", patterns=("Packages",), parse=_packages),
        Subject(name="Contents", patterns=("Contents-*",), parse=_contents),
    ]


def _manifest(files: Files) -> object:
    return npm_manifest.parse_manifest(_main(files), "fuzzed")


def _control(files: Files) -> object:
    found = deb822.parse(_text(_main(files)))
    for stanza in found:
        for value in stanza.values():
            try:
                parse_relations(value)
                version_key(value)
            except DevenvError:
                continue
    return found


def _packages(files: Files) -> object:
    with sqlite3.connect(":memory:") as database:
        database.executescript(index._SCHEMA)
        index._fill(database, _halves(_main(files)), what="Packages")
    database.close()
    return None


def _contents(files: Files) -> object:
    with sqlite3.connect(":memory:") as database:
        database.executescript(contents._SCHEMA)
        found = contents._fill(database, _halves(_main(files)))
    database.close()
    return found


def _halves(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]
