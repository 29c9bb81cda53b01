"""The same derivations, built by Nix in its sandbox and by us in ours: the same objects, the same database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.derivations.loading import load_graph
from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.derivations.workshop import Workshop
from tests.store.test_with_nix import objects, rows
from tests.support.nix import Nix
from tests.support.sandboxes import HOST_PATHS, require_sandboxes

# Whatever a builder can see of its surroundings and is the same each time gets into these outputs.
EXPRESSION = r"""
let
  make = name: more: script: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/bash";
    PATH = "/usr/bin:/bin";
    args = [ "-e" "-c" script ];
  } // more);
  text = builtins.toFile "text" "a text\n";
  source = builtins.path { name = "source"; path = ./source; };
  script = builtins.toFile "script" "echo from a file: $0 > $out\n";
in rec {
  surroundings = make "surroundings" { } ''
    set +e
    {
      id; umask; pwd; hostname; cat /proc/sys/kernel/domainname /proc/self/personality
      cat /etc/passwd /etc/group /etc/hosts
      ls -A / /etc | grep -v '^lib64$'; ls -A /build /tmp
      ls -A /dev | grep -v '^kvm$'
      stat -c '%a %u %g %n' /build /tmp /dev/shm $NIX_STORE
      grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapInh|NoNewPrivs|SigIgn|SigBlk):' /proc/self/status
      ulimit -c; echo $$; tail -n +3 /proc/net/dev | wc -l; grep -c : /proc/net/dev
      readlink /dev/fd /dev/stdin /dev/stdout /dev/stderr; test -t 1; test -t 2
      (echo > /dev/tcp/192.0.2.1/9) 2>&1 | grep -o 'Network is unreachable'
      echo $NIX_STORE/*
    } > $out 2>&1
  '';
  environment = derivation {
    name = "environment"; system = builtins.currentSystem; builder = "/usr/bin/python3";
    args = [ "-c" "import os; open(os.environb[b'out'], 'w').write(repr(list(os.environb.items())))" ];
    B = "1"; a = "ä\n"; empty = ""; passAsFile = [ "long" ]; long = "long";
    here = "${builtins.placeholder "out"}/x";
  };
  arguments = make "arguments" { } "tr '\\0' '\\n' < /proc/$$/cmdline > $out; cat /proc/self/mountinfo | wc -l > /dev/null";
  noPath = derivation {
    name = "no-path"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ script ];
  };
  attributes = make "attributes" {
    __structuredAttrs = true; outputs = [ "out" "dev" ];
    n = 3; whole = 2.0; list = [ "a" "it's" 2 true null ]; nested = { a = 1; "b c" = "\\ \"q\" ä"; };
    deep = [ [ 1 ] ]; "bad-name" = 1; yes = true; no = false; nothing = null; emptyList = [ ]; emptySet = { };
    own = builtins.placeholder "dev"; multi = "a\nb";
  } "PATH=/usr/bin:/bin; . /build/.attrs.sh; cat /build/.attrs.sh /build/.attrs.json > \${outputs[out]}; echo x > \${outputs[dev]}";
  several = make "several" { outputs = [ "out" "lib" "doc" ]; } ''
    mkdir -p $lib/lib $out/bin; echo $doc > $lib/lib/l; echo $lib > $out/bin/p; chmod 751 $out/bin/p
    ln -s $out/bin/p $out/link; echo doc > $doc; touch f; ! chmod 4755 f; ! chmod g+s f; ! python3 -c "import os; os.setxattr('f', b'user.x', b'1')"; chmod 755 f; ln $lib/lib/l $lib/lib/m; touch $out/bin
  '';
  user = make "user" { inherit source; } ''
    mkdir $out; cp -r $source $out/copy; echo ${several.lib} ${text} $out > $out/refs; mkdir -m 700 $out/d
    printf x > "$out/a b"; ln -s ../../nowhere $out/dangling
  '';
  link = make "link" { } "ln -s ${several} $out";
  usesLink = make "uses-link" { } "cat ${link}/bin/p > $out; readlink ${link} >> $out";
  graph = make "graph" { exportReferencesGraph = [ "one" user "two" text ]; } "cat one two > $out";
  fixedFlat = make "fixed-flat" {
    outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=";
  } "echo hello > $out";
  fixedRecursive = make "fixed-recursive" {
    outputHashMode = "recursive"; outputHashAlgo = "sha256"; impureEnvVars = [ "HOME" ];
    outputHash = "sha256-cw4VMvWcu3PLbdfoHbfYWV6rSR2EcX+L3FIedSG/iTw=";
  } "mkdir $out; ln -s a $out/b; ls /etc/nsswitch.conf; cat /etc/nsswitch.conf";
  usesFixed = make "uses-fixed" { } "cat ${fixedFlat} > $out";
}
"""


@pytest.fixture
def place() -> Iterator[str]:
    """A directory outside of /tmp, where Nix's sandbox cannot have a store."""
    path = tempfile.mkdtemp(prefix="devenv-test-", dir="/var/tmp")
    yield os.path.realpath(path)
    tree.remove(path)


def nix_build(nix: Nix, drvs: list[str]) -> None:
    """Build with Nix's sandbox. Without root, Nix 2.8 now and then kills a build as short as these; then again."""
    command = (
        "nix-store", "--option", "sandbox", "true", "--option", "sandbox-paths", " ".join(HOST_PATHS),
        "--max-jobs", "1", "--keep-going", "--realise", *drvs,
    )  # fmt: skip
    for _ in range(10):
        done = nix.run(*command, check=False)
        if "signal 9" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr


def instantiate(nix: Nix, place: str) -> list[str]:
    Path(place, "e.nix").write_text(EXPRESSION)
    os.makedirs(f"{place}/source/d", exist_ok=True)
    Path(place, "source/d/f").write_text("contents")
    done = nix.run("nix-instantiate", f"{place}/e.nix")
    return [drv for drv in done.stdout.split() if "!" not in drv] + [
        drv.partition("!")[0] for drv in done.stdout.split() if "!" in drv
    ]


def we_build(layout: Layout, place: str, drvs: list[str]) -> None:
    with Store.open(layout) as store:
        graph, problems = load_graph(store.store_dir, [StorePath(drv) for drv in drvs])
        assert problems == {}
        shop = Workshop(store, place)
        shop.graph = graph
        shop.build(*[graph.nodes[StorePath(drv)] for drv in drvs], environ={})


def difference(layout: Layout, kept: str, name: str) -> str:
    ours, theirs = (Path(each, name) for each in (layout.store, kept))
    if ours.is_file() and theirs.is_file():
        return f"ours:\n{ours.read_text()}\nNix's:\n{theirs.read_text()}"
    return f"{ours} and {theirs}"


def test_we_build_what_nix_builds(place: str) -> None:
    require_sandboxes()
    layout = Layout(f"{place}/root")
    nix = Nix(layout, place)
    drvs = instantiate(nix, place)
    nix_build(nix, drvs)
    expected: dict[str, Any] = {**rows(layout), "objects": objects(layout)}
    os.rename(layout.root, f"{place}/kept")
    assert instantiate(nix, place) == drvs
    we_build(layout, place, drvs)
    for name, listing in expected["objects"].items():
        assert objects(layout).get(name) == listing, difference(layout, f"{place}/kept/store", name)
    assert {**rows(layout), "objects": objects(layout)} == expected
    nix.verify()
    out = nix.store("-q", "--outputs", drvs[0])
    assert nix.store("-q", "--deriver", out.splitlines()[0]) == drvs[0]


def test_nix_and_we_build_on_each_others_outputs(place: str) -> None:
    require_sandboxes()
    layout = Layout(f"{place}/root")
    nix = Nix(layout, place)
    with Store.open(layout) as store:
        shop = Workshop(store, place)
        low = shop.node('echo low > "$out"', "low")
        middle = shop.node(f'cat {low.out} > "$out"; echo "$out" >> "$out"', "middle", inputs=[low])
        high = shop.node(f'cat {middle.out} > "$out"', "high", inputs=[middle])
        shop.build(low)
        store.add_texts(
            [(node.path, node.aterm, tuple(below.path for below in node.inputs)) for node in (middle, high)]
        )
    nix_build(nix, [middle.path])
    with Store.open(layout) as store:
        shop.store = store
        shop.build(high)
        assert shop.text(high) == f"low\n{middle.out}\n"
        info = store.info(middle.out)
        assert info is not None
        assert info.references == (middle.out,)
    nix.verify()
    nix.run("nix-store", "--option", "sandbox", "true", "--option", "sandbox-paths", " ".join(HOST_PATHS),
            "--realise", "--check", high.path)  # fmt: skip
