"""Builds in a root of packages: what they see of it, and what they refuse."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Node
from devenv.derivations.in_root import root_node
from devenv.store.local import Store
from tests.derivations.workshop import Workshop
from tests.support.sandboxes import require_sandboxes

# A package with the machine's shell, the programs that the tests call, and the libraries of all of them.
_PACKAGE = """
mkdir -p $out/usr/bin $out/usr/lib $out/usr/lib64 $out/etc $out/var
for each in $programs; do cp -L $each $out/usr/bin; done
ln -s dash $out/usr/bin/sh
for each in $libraries; do mkdir -p $out/usr${each%/*}; cp -L $each $out/usr${each%/*}; done
echo one-package > $out/etc/mark
"""


def libraries(*programs: str) -> list[str]:
    """What ldd(1) says that the programs are loaded with, as paths below /lib or /lib64."""
    found = set()
    for program in programs:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"(?:=> )?(/\S+) \(0x", said))
    return sorted(path.removeprefix("/usr") for path in found)


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Workshop:
    require_sandboxes()
    if shutil.which("dash") is None:
        pytest.skip("needs dash")
    return Workshop(store, os.fspath(tmp_path))


def root(shop: Workshop) -> Node:
    programs = [path for name in ("dash", "cat", "ls", "id") if (path := shutil.which(name))]
    package = shop.node(
        _PACKAGE, "package", env={"programs": " ".join(programs), "libraries": " ".join(libraries(*programs))}
    )
    changed = shop.node(
        "mkdir -p $out/files/etc; echo set > $out/files/etc/state; : > $out/removed", "changed"
    )
    return root_node(shop.graph, {"package:amd64": package}, changed)


def rooted(shop: Workshop, script: str, inside: Node, *more: Node) -> Node:
    return shop.node(script, inputs=[inside, *more], env={"PATH": "/usr/bin", "devenvRoot": inside.out})


def test_a_build_sees_the_packages_and_what_configuring_changed(shop: Workshop) -> None:
    node = rooted(shop, "cat /etc/mark /etc/state > $out; id -un >> $out; ls /usr/bin >> $out", root(shop))
    shop.build(node)
    assert Path(node.out).read_text().split() == [
        "one-package",
        "set",
        "nixbld",
        "cat",
        "dash",
        "id",
        "ls",
        "sh",
    ]


def test_neither_the_machine_nor_the_packages_own_objects_are_shown(shop: Workshop) -> None:
    inside = root(shop)
    node = rooted(shop, 'ls -d /home /root "$devenvRoot" > $out 2>&1; ls "${out%/*}" >> $out; true', inside)
    shop.build(node)
    said = Path(node.out).read_text()
    assert said.count("No such file") == 3
    assert "package" not in said.replace(str(inside.out), "")
    info = shop.store.info(node.out)
    assert info is not None and inside.out not in info.references


def test_the_root_cannot_be_written_to(shop: Workshop) -> None:
    node = rooted(
        shop, "(: > /usr/bin/new; : > /etc/passwd) 2> $out; (: > /etc/new) 2>> $out; true", root(shop)
    )
    shop.build(node)
    assert Path(node.out).read_text().count("Read-only file system") >= 2


def test_other_inputs_are_there_as_ever(shop: Workshop) -> None:
    other = shop.node("echo other > $out", "other")
    inside = root(shop)
    node = rooted(shop, f"cat {other.out} > $out", inside, other)
    shop.build(node)
    assert Path(node.out).read_text() == "other\n"


def test_a_root_that_is_no_input_is_refused(shop: Workshop) -> None:
    inside = root(shop)
    node = shop.node("echo x > $out", env={"devenvRoot": inside.out})
    shop.build(inside)
    with pytest.raises(BuildError, match="is no output of its inputs"):
        shop.build(node)


def test_an_input_that_is_no_root_is_refused(shop: Workshop) -> None:
    other = shop.node("mkdir $out", "other")
    with pytest.raises(BuildError, match="is no root of packages"):
        shop.build(rooted(shop, "echo x > $out", other))
