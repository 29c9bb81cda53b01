"""Manual pages of npm packages: what a package.json may name, and where they end up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import NodeModules, Package, RemoteFile
from devenv.formats.hashes import Hash
from devenv.views.node_pages import manual_pages, page_links

PACKAGE = Package(
    name="tool",
    version="1",
    format="npm",
    file=RemoteFile(file_name="tool.tgz", url="npm:tool/-/tool-1.tgz", hash=Hash.of("sha512", b"")),
)


def unpacked(place: Path, manifest: object) -> Path:
    for name in ("man/tool.1", "man/tool-list.1", "man/format.5", "doc/x.7.gz", "man/README.md"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(".TH X\n")
    (place / "out.1").symlink_to("/etc/hostname")
    (place / "package.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return place


FOUND = {
    "one": ({"man": "./man/tool.1"}, ["man/tool.1"]),
    "several": ({"man": ["man/format.5", "doc/x.7.gz"]}, ["man/format.5", "doc/x.7.gz"]),
    "a directory": (
        {"directories": {"man": "./man"}},
        ["man/format.5", "man/tool-list.1", "man/tool.1"],
    ),
    "files before the directory": ({"man": "doc/x.7.gz", "directories": {"man": "man"}}, ["doc/x.7.gz"]),
    "from its own top": ({"man": "/man/tool.1"}, ["man/tool.1"]),
    "no page": ({"man": ["man/README.md", "man", "", "man/missing.1"]}, []),
    "outside": ({"man": ["../x/man/tool.1", "../../etc/passwd.1", "out.1"]}, []),
    "a directory outside": ({"directories": {"man": "../other"}}, []),
    "other types": ({"man": [1, None, {"a": "b"}, "man/\0.1"], "directories": 1}, []),
    "a number": ({"man": 3}, []),
    "no object": ([], []),
    "no JSON": ("{", []),
    "deep": ("[" * 100_000, []),
}


@pytest.mark.parametrize(("manifest", "pages"), FOUND.values(), ids=FOUND)
def test_pages_are_plain_files_of_the_package(manifest: object, pages: list[str], tmp_path: Path) -> None:
    assert list(manual_pages(str(unpacked(tmp_path / "tool", manifest)))) == pages


def test_a_tree_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert list(manual_pages(str(tmp_path))) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    )
)
def test_any_manifest_is_taken_or_passed_over(value: object) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for manifest in ({"man": value}, {"directories": {"man": value}}, {"directories": value}):
            (Path(folder) / "package.json").write_text(json.dumps(manifest))
            assert list(manual_pages(folder)) == []


def test_only_packages_with_commands_count_and_the_first_of_a_name(tmp_path: Path) -> None:
    places = ("node_modules/b", "node_modules/a", "node_modules/quiet", "node_modules/a/node_modules/inner")
    trees = {
        place: str(unpacked(tmp_path / str(number), {"man": ["man/tool.1"]}))
        for number, place in enumerate(places)
    }
    view = NodeModules(
        packages=dict.fromkeys(places, PACKAGE),
        links={"node_modules/own": "own"},
        bins={
            "node_modules/.bin/b": "node_modules/b/cli.js",
            "node_modules/.bin/a": "node_modules/a/bin/cli.js",
            "node_modules/.bin/own": "own/cli.js",
            "node_modules/a/node_modules/.bin/inner": "node_modules/a/node_modules/inner/cli.js",
        },
    )
    assert page_links(view, trees) == {".man/man1/tool.1": "node_modules/a/man/tool.1"}
