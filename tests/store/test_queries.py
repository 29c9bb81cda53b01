"""Answers about a store, compared with Nix's on the same store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.queries import Queries, asking, find_path
from devenv.store.roots import add_indirect_root
from tests.store.test_sweep import EXPRESSION
from tests.support.nix import Nix


@pytest.fixture
def built(layout: Layout, nix: Nix, tmp_path: Path) -> dict[str, StorePath]:
    (tmp_path / "e.nix").write_text(EXPRESSION)
    found = {}
    for name in ("first", "second", "third"):
        (drv,) = nix.run("nix-instantiate", str(tmp_path / "e.nix"), "-A", name).stdout.split()
        found[f"{name}.drv"] = StorePath(drv)
        found[name] = StorePath(nix.store("--realise", drv))
    add_indirect_root(layout, str(tmp_path / "third-link"), found["third"])
    with Store.open(layout) as store:
        found["text"] = store.add_text("text", b"none of Nix's")
        (tmp_path / "wide").mkdir()
        for name in ("third", "first", "text"):
            (tmp_path / "wide" / name).symlink_to(found[name])
        found["wide"] = store.add_tree("wide", str(tmp_path / "wide"), found.values())
    return found


@pytest.fixture
def queries(layout: Layout, built: dict[str, StorePath]) -> Iterator[Queries]:
    with asking(layout) as opened:
        yield opened


NAMES = ["first", "second", "third", "first.drv", "third.drv", "text", "wide"]
LISTS: dict[str, Callable[[Queries, StorePath], list[StorePath]]] = {
    "--references": lambda queries, path: queries.references([path]),
    "--requisites": lambda queries, path: queries.requisites([path]),
    "--referrers": lambda queries, path: queries.referrers([path]),
    "--referrers-closure": lambda queries, path: queries.referrers_closure([path]),
}


@pytest.mark.parametrize("option", LISTS)
def test_lists_are_those_of_nix_in_its_order(
    nix: Nix, built: dict[str, StorePath], queries: Queries, option: str
) -> None:
    for name in NAMES:
        assert LISTS[option](queries, built[name]) == nix.store("-q", option, built[name]).split(), name


def test_the_requisites_of_derivations_may_include_outputs(
    nix: Nix, built: dict[str, StorePath], queries: Queries
) -> None:
    for name in ("third.drv", "wide"):
        expected = nix.store("-q", "--requisites", "--include-outputs", built[name]).split()
        assert queries.requisites([built[name]], with_outputs=True) == expected


def test_trees_are_drawn_as_by_nix(nix: Nix, built: dict[str, StorePath], queries: Queries) -> None:
    for name in NAMES:
        assert queries.tree(built[name]) == nix.store("-q", "--tree", built[name]).splitlines()


def test_derivers_and_outputs_are_those_of_nix(
    nix: Nix, built: dict[str, StorePath], queries: Queries
) -> None:
    for name in NAMES:
        expected = nix.store("-q", "--deriver", built[name])
        assert (queries.deriver(built[name]) or "unknown-deriver") == expected
    assert list(queries.outputs(built["third.drv"]).values()) == [built["third"]]
    assert nix.store("-q", "--outputs", built["third.drv"]) == built["third"]
    with pytest.raises(DevenvError, match="not a derivation"):
        queries.outputs(built["third"])


def test_roots_are_those_of_nix(
    nix: Nix, built: dict[str, StorePath], queries: Queries, tmp_path: Path
) -> None:
    for name in NAMES:
        expected = nix.store("-q", "--roots", built[name]).splitlines()
        assert [f"{root.link} -> {root.path}" for root in queries.roots([built[name]])] == expected
    assert [root.link for root in queries.roots([built["first.drv"]])] == [str(tmp_path / "third-link")]
    assert [root.link for root in queries.all_roots()] == [str(tmp_path / "third-link")]


def test_what_is_known_of_a_path_is_what_nix_prints(
    nix: Nix, built: dict[str, StorePath], queries: Queries
) -> None:
    paths = queries.all_paths()
    printed = json.loads(nix.run("nix", "path-info", "--json", "-S", "--all").stdout)
    ours = {entry["path"]: entry for entry in (found.to_json() for found in queries.describe(paths))}
    assert len(ours) == len(printed) == len(paths)
    for entry in printed:
        assert without_order(ours[entry["path"]]) == without_order(entry)


def without_order(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "references": sorted(entry["references"])}


def test_signatures_are_told(layout: Layout, nix: Nix, built: dict[str, StorePath], tmp_path: Path) -> None:
    secret = nix.run("nix", "key", "generate-secret", "--key-name", "test-1").stdout
    (tmp_path / "secret").write_text(secret)
    nix.run("nix", "store", "sign", "-k", str(tmp_path / "secret"), built["first"])
    with asking(layout) as queries:
        (described,) = queries.describe([built["first"]])
    (signature,) = described.signatures
    assert signature.startswith("test-1:")
    assert described.to_json()["signatures"] == [signature]


def test_all_paths_that_are_not_there_are_named(layout: Layout, queries: Queries) -> None:
    missing = [StorePath(f"{layout.store}/{number:032d}-x") for number in range(2)]
    for ask in (queries.references, queries.requisites, queries.referrers, queries.describe, queries.roots):
        with pytest.raises(DevenvError) as caught:
            ask(missing)
        assert all(f"{path} is not in the store" in str(caught.value) for path in missing)


def test_asking_where_there_is_no_store_makes_none(layout: Layout) -> None:
    with pytest.raises(DevenvError, match="no store at"), asking(layout):
        pass
    assert not os.path.exists(layout.root)


def test_questions_do_not_wait_for_a_collection(layout: Layout, built: dict[str, StorePath]) -> None:
    from devenv.store.locks import lock, open_lock_file

    descriptor = open_lock_file(layout.gc_lock)
    lock(descriptor, exclusive=True)
    try:
        with asking(layout) as queries:
            assert queries.references([built["wide"]])
    finally:
        os.close(descriptor)


def test_paths_may_be_named_in_several_ways(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/bin/x").touch()
    with Store.open(layout) as store:
        path = store.add_tree("tree", str(tmp_path / "tree"))
        (tmp_path / "link-to-nowhere").symlink_to("/nowhere")
        link = store.add_tree("link", str(tmp_path / "link-to-nowhere"))
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(f"{path}/bin")
    (tmp_path / "linked").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    for text in (
        path,
        f"{path}/bin/x",
        f"{path}/",
        "one",
        f"{tmp_path}/two",
        "linked/one",
        os.path.basename(path),
    ):
        assert find_path(layout, text) == path
    assert find_path(layout, link) == link
    monkeypatch.chdir(layout.store)
    assert find_path(layout, os.path.basename(path)) == path


@pytest.mark.parametrize(
    "text",
    ["", "x", "/", "/etc/passwd", "loop", "a\0b", "x" * 5000, "\udcff\n", ".", "STORE", "STORE/x", "STORE/"],
)
def test_what_is_no_store_path_is_refused(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with Store.open(layout):
        pass
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevenvError) as caught:
        find_path(layout, text.replace("STORE", layout.store))
    assert str(caught.value).isprintable()
