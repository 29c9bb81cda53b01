from __future__ import annotations

import os
import subprocess
from pathlib import Path

from devenv.formats.store_path import StorePath, digest_of
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.why import Step, explain, files_naming
from tests.support.nix import Nix


def test_every_kind_of_place_is_found(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        text = store.add_text("text", b"a text")
        digest = digest_of(text)
        top = tmp_path / "tree"
        (top / f"named-{digest}").mkdir(parents=True)
        (top / f"named-{digest}" / "plain").write_text("nothing")
        (top / "link").symlink_to(f"{text}/x")
        (top / "sub").mkdir()
        (top / "sub/binary").write_bytes(
            os.urandom(1024 * 1024 - 16) + digest.encode() + b"\0"
        )  # on two blocks
        (top / "sub/other").write_text(digest[:-1])
        (top / os.fsdecode(b"\xff\n")).write_text(f"x{text}")
        path = store.add_tree("tree", str(top), [text])
        assert store.info(path).references == (text,)  # type: ignore[union-attr]
        assert list(files_naming(path, text)) == [
            "link",
            f"named-{digest}",
            "sub/binary",
            os.fsdecode(b"\xff\n"),
        ]
        user = store.add_text("user", text.encode(), (text,))
        assert list(files_naming(user, text)) == [""]


def test_chains_are_as_short_as_those_of_nix(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    def tree(store: Store, name: str, *references: StorePath) -> StorePath:
        (tmp_path / name).mkdir()
        for number, reference in enumerate(references):
            (tmp_path / name / f"to{number}").write_text(reference)
        return store.add_tree(name, str(tmp_path / name), references)

    with Store.open(layout) as store:
        end = tree(store, "end")
        left, right = tree(store, "left", end), tree(store, "right", end)
        detour = tree(store, "detour", left)
        start = tree(store, "start", detour, right, left)
        chains = explain(store.objects(), start, end)
    assert {chain[1].path: chain for chain in chains} == {
        right: (Step(start, ("to1",)), Step(right, ("to0",)), Step(end, ())),
        left: (Step(start, ("to2",)), Step(left, ("to0",)), Step(end, ())),
    }
    printed = subprocess.run(
        ["nix", "why-depends", start, end],
        env=dict(nix.environment),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert start in printed and end in printed and "detour" not in printed
    assert (left in printed) != (right in printed)  # Nix shows one of them
    with Store.open(layout) as store:
        assert explain(store.objects(), end, start) == []
        assert explain(store.objects(), start, start) == [(Step(start, ()),)]
        assert len(explain(store.objects(), start, end, limit=1)) == 1


def test_a_reference_that_no_file_holds_is_told_without_one(layout: Layout) -> None:
    with Store.open(layout) as store:
        text = store.add_text("text", b"a text")
        user = store.add_text("user", b"does not name it", (text,))
        ((first, last),) = explain(store.objects(), user, text)
        assert (first.files, last) == ((), Step(text, ()))
