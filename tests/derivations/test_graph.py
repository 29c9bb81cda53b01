"""Derivations of packages: what Nix would have written, and can realise."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devenv.adapter import Package, RemoteFile
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph
from devenv.derivations.packages import bytecode_node, fetch_node, link_node, package_node, write_node
from devenv.formats.derivation import parse
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir
from devenv.store.local import Store
from tests.derivations.site import Bench, Site
from tests.support.nix import Nix

HASH = Hash.of("sha512", b"contents")


def remote(name: str = "left-pad-1.3.0.tgz", hash: Hash = HASH, size: int | None = None) -> RemoteFile:
    return RemoteFile(file_name=name, url=f"npm:{name}", hash=hash, size=size)


def npm(
    name: str = "@scope/left-pad",
    executables: tuple[str, ...] = (),
    hash: Hash = HASH,
    manifests: tuple[str, ...] = (),
) -> Package:
    return Package(
        name=name,
        version="1.3.0",
        format="npm",
        file=remote(hash=hash),
        executables=executables,
        manifests=manifests,
    )


@pytest.fixture
def graph() -> Graph:
    return Graph(StoreDir("/opt/devenv/store"))


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "sha1", "md5"])
def test_a_fetch_is_the_derivation_that_nix_writes(store: Store, nix: Nix, algorithm: str) -> None:
    hash = Hash.of(algorithm, b"contents")  # type: ignore[arg-type]
    url = "https://files.test/left-pad-1.3.0.tgz?a=1&b=%20"
    node = fetch_node(Graph(store.store_dir), remote(hash=hash), url)
    store.add_texts([(node.path, node.aterm, ())])
    expression = (
        f'import <nix/fetchurl.nix> {{ name = "left-pad-1.3.0.tgz"; url = "{url}"; hash = "{hash.sri}"; }}'
    )
    theirs = nix.run("nix-instantiate", "-E", expression).stdout.strip()
    assert theirs == node.path
    assert Path(theirs).read_bytes() == node.aterm


def test_nix_realises_a_fetch_to_the_same_path(bench: Bench, site: Site, nix: Nix) -> None:
    package = site.npm("demo")
    node = fetch_node(bench.graph, package.file, site.url_of(package))
    bench.store.add_texts([(node.path, node.aterm, ())])
    assert nix.store("--realise", node.path) == node.out
    assert Path(node.out).read_bytes() == site.files["/demo-1.0.tgz"]
    assert bench.store.is_valid(node.out)
    bench.realise(node)
    assert len(site.asked) == 1  # what Nix fetched is not fetched again
    nix.verify()


def test_where_a_file_comes_from_does_not_change_what_is_made_of_it(graph: Graph) -> None:
    here = package_node(graph, npm(), "https://here.test/x.tgz")
    there = package_node(graph, npm(), "https://there.test/x.tgz")
    assert here.path != there.path
    assert here.out == there.out
    assert here.inputs[0].out == there.inputs[0].out


def test_what_a_package_is_made_of_changes_its_path(graph: Graph) -> None:
    url = "https://here.test/x.tgz"
    nodes = [
        package_node(graph, npm(), url),
        package_node(graph, npm(executables=("cli.js",)), url),
        package_node(graph, npm(manifests=("",)), url),
        package_node(graph, npm(manifests=("", "node_modules/a")), url),
        package_node(graph, npm(hash=Hash.of("sha512", b"other")), url),
        package_node(graph, npm(name="renamed"), url),
    ]
    assert len({node.out for node in nodes}) == len(nodes)


def test_equal_packages_are_one_node(graph: Graph) -> None:
    first = package_node(graph, npm(executables=("a", "b")), "https://here.test/x.tgz")
    assert package_node(graph, npm(executables=("a", "b")), "https://here.test/x.tgz") is first
    assert package_node(graph, npm(executables=("b", "a")), "https://here.test/x.tgz") is first
    assert list(graph.nodes) == [first.inputs[0].path, first.path]


def test_nodes_read_back_as_what_they_are(graph: Graph) -> None:
    unpacked = package_node(graph, npm(executables=("cli.js",)), "https://here.test/x.tgz")
    nodes = [
        unpacked,
        bytecode_node(graph, unpacked, "3.11"),
        link_node(graph, "node-20", {"bin/x": f"{unpacked.out}/x"}, [unpacked]),
        write_node(graph, "files", {"a": 'quote " \\ \n'}, ["a"]),
    ]
    for node in nodes:
        derivation = parse(node.aterm, node.derivation.name, graph.store_dir)
        assert derivation == node.derivation
        assert derivation.env["out"] == node.out
        assert list(derivation.input_derivations) == [below.path for below in node.inputs]
    assert json.loads(unpacked.derivation.env["executables"]) == ["cli.js"]
    assert unpacked.derivation.env["src"] == unpacked.inputs[0].out


def test_names_are_made_fit_for_a_store(graph: Graph) -> None:
    node = package_node(graph, npm(name="@scope/na me"), "https://here.test/x.tgz")
    assert os.path.basename(node.out).partition("-")[2].replace("-", "").isascii()
    assert node.label == "@scope/na me@1.3.0"


def test_a_hash_that_stores_do_not_have_is_an_error_that_names_the_package(graph: Graph) -> None:
    with pytest.raises(BuildError, match=r"@scope/left-pad@1\.3\.0.*sha384"):
        package_node(graph, npm(hash=Hash.of("sha384", b"")), "https://here.test/x.tgz")
