from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.store_path import StorePath
from devenv.store import meter
from devenv.store.meter import Meter, order
from devenv.store.tree import scan

# Names whose order is another in whole paths than by their parts: "." comes before "/", "0" after it.
_NAMES = st.text("a./0Z-\u00e4", min_size=1, max_size=4).map(lambda name: name.replace("/", "_") + "x")
_TREES: st.SearchStrategy[Mapping[str, object]] = st.recursive(
    st.tuples(st.binary(max_size=40), st.booleans()),
    lambda below: st.dictionaries(_NAMES, below, min_size=1, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))  # type: ignore[assignment]
DIGEST = "0123456789abcdfghijklmnpqrsvwxyz"
CANDIDATE = StorePath(f"/s/{DIGEST}-it")


def written(place: Path, tree: Mapping[str, object], above: str = "") -> dict[bytes, tuple[bytes, bool]]:
    """Write a tree; its files by relative path: contents, whether they may be executed."""
    place.mkdir()
    found: dict[bytes, tuple[bytes, bool]] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= written(place / name, value, f"{above}{name}/")
        elif isinstance(value, tuple):
            (place / name).write_bytes(value[0])
            (place / name).chmod(0o555 if value[1] else 0o444)
            found[f"{above}{name}".encode()] = value
    return found


@given(tree=_TREES, chunk=st.integers(1, 100), piece=st.integers(1, 50))
def test_it_says_what_a_scan_of_the_tree_says(
    tmp_path_factory: pytest.TempPathFactory, tree: Mapping[str, object], chunk: int, piece: int
) -> None:
    place = tmp_path_factory.mktemp("meter") / "tree"
    files = written(place, tree)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "_CHUNK", chunk)
        found = Meter([CANDIDATE])
        for path in sorted(files, key=order):
            data, executable = files[path]
            pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
            assert list(found.file(path, len(data), pieces, executable=executable)) == pieces
        assert found.is_used == bool(files)
        assert found.scanned() == scan(str(place), [CANDIDATE])


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_references_are_found_across_pieces(size: int, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    data = b"." * size + DIGEST.encode() + b"end"
    (tmp_path / "tree/file").write_bytes(data)
    found = Meter([CANDIDATE])
    for _ in found.file(b"file", len(data), [data[: size + 7], data[size + 7 :]], executable=False):
        pass
    assert found.scanned().references == (CANDIDATE,)


@pytest.mark.parametrize(("first", "then"), [(b"b", b"a"), (b"a", b"a"), (b"a.b", b"a/b")])
def test_files_out_of_order_are_refused(first: bytes, then: bytes) -> None:
    found = Meter([])
    list(found.file(first, 0, [], executable=False))
    with pytest.raises(ValueError, match="does not come after"):
        list(found.file(then, 0, [], executable=False))
