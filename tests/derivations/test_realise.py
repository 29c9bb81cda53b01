"""Bringing outputs into being: in parallel, over real HTTP, through kills and interruptions."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.adapter import Package
from devenv.derivations import worker, workers
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Node
from devenv.derivations.packages import bytecode_node, link_node, write_node
from devenv.errors import Problems
from devenv.events import Finished, Notice, Planned, Started
from devenv.fetch.errors import FetchError, MismatchError
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.errors import StoreError
from devenv.store.layout import Layout
from devenv.store.local import PathInfo, Store
from devenv.store.tree import remove
from tests.derivations.archives import entry as tar_entry
from tests.derivations.archives import listing, tgz, wheel
from tests.derivations.child import described
from tests.derivations.site import PYTHON, Bench, Site
from tests.support.nix import Nix


def test_packages_byte_code_and_links_become_store_objects(bench: Bench, site: Site, nix: Nix) -> None:
    module = b"def f(): return 1\n"
    unpacked = bench.node(site.wheel("demo", {"demo/__init__.py": module}))
    code = bytecode_node(bench.graph, unpacked, PYTHON)
    left = bench.node(site.npm("left", {"cli.js": b"#!/usr/bin/env node\r\n"}, executables=("cli.js",)))
    links = link_node(bench.graph, "tools", {"bin/left": f"{left.out}/cli.js"}, [left])
    files = write_node(bench.graph, "notes", {"a/b": "text"})
    bench.realise(code, links, files)
    assert listing(unpacked.out)["demo/__init__.py"] == ("-", module)
    assert list(listing(code.out)) == [f"demo/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"]
    assert listing(left.out) == {"cli.js": ("x", b"#!/usr/bin/env node\n")}
    assert listing(links.out) == {"bin/left": ("l", f"{left.out}/cli.js".encode())}
    assert listing(files.out) == {"a/b": ("-", b"text")}
    info = {node: bench.store.info(node.out) for node in (unpacked, code, links, unpacked.inputs[0])}
    assert [value.references if value else None for value in info.values()] == [(), (), (left.out,), ()]
    assert all(value and value.deriver == node.path and value.ultimate for node, value in info.items())
    fetched = info[unpacked.inputs[0]]
    assert fetched is not None
    hash = unpacked.inputs[0].derivation.outputs["out"].fixed_hash
    assert hash is not None
    assert fetched.content_address == f"fixed:{hash.typed_nix32}"
    assert stat.S_IMODE(os.stat(unpacked.inputs[0].out).st_mode) == 0o444
    nix.verify()
    assert nix.store("--query", "--deriver", links.out) == links.path
    assert nix.store("--query", "--outputs", code.path) == code.out
    assert set(nix.store("--query", "--requisites", links.out).split()) == {links.out, left.out}


def test_nothing_is_done_twice(bench: Bench, site: Site) -> None:
    nodes = [bench.node(site.npm(f"p{number}")) for number in range(5)]
    bench.realise(*nodes)
    assert len(site.asked) == 5
    site.asked.clear()
    bench.recorder.events.clear()
    bench.realise(*nodes)
    assert site.asked == []
    assert bench.recorder.events == []


def test_what_was_deleted_is_made_again_from_what_is_there(bench: Bench, site: Site) -> None:
    node = bench.node(site.npm("demo"))
    bench.realise(node)
    before = listing(node.out)
    remove(node.out)
    bench.realise(node)
    assert listing(node.out) == before
    assert len(site.asked) == 1


def test_the_store_is_the_same_whatever_the_number_of_jobs(bench: Bench, site: Site, tmp_path: Path) -> None:
    packages = [
        site.npm(f"p{number}", {f"f{each}": bytes(50 * each) for each in range(9)}) for number in range(12)
    ]
    packages += [site.wheel(f"w{number}") for number in range(3)]

    def targets(bench: Bench) -> list[Node]:
        nodes = [bench.node(package) for package in packages]
        return [*nodes, *(bytecode_node(bench.graph, node, PYTHON) for node in nodes[12:])]

    bench.realise(*targets(bench), jobs=3)
    first = {node.out: bench.store.info(node.out) for node in targets(bench)}
    for path in first:
        remove(path)
    again = Bench(bench.store, site, str(tmp_path))
    again.realise(*targets(again), jobs=1)
    assert {node.out: bench.store.info(node.out) for node in targets(again)} == first


def test_what_happens_is_told(bench: Bench, site: Site) -> None:
    links = tgz([tar_entry("p/l", kind=b"2", link="x"), tar_entry("p/a")])
    node = bench.node(site.publish("npm", "linked", "linked.tgz", links))
    bench.realise(node)
    events = bench.recorder.events
    assert Planned(kind="fetch", count=1) in events
    assert Planned(kind="build", count=1) in events
    assert Started(kind="build", key=node.out, label="linked@1.0") in events
    assert Finished(key=node.out) in events
    assert Notice(text="linked@1.0: 1 link in the tarball left out, as npm does.") in events
    started = [event for event in events if isinstance(event, Started)]
    assert len(started) == len([event for event in events if isinstance(event, Finished)]) == 2


def test_failures_that_do_not_depend_on_each_other_are_reported_together(bench: Bench, site: Site) -> None:
    good = bench.node(site.npm("good"))
    missing = site.npm("missing")
    changed = site.npm("changed")
    hostile = site.publish("npm", "hostile", "hostile.tgz", tgz([tar_entry("p/../../../evil")]))
    wrong = site.publish("wheel", "wrong", "wrong.whl", wheel({"a.py": b""}, record="a.py,sha256=AAAA,0\n"))
    nodes = [bench.node(package) for package in (missing, changed, hostile, wrong)]
    top = link_node(bench.graph, "top", {"x": "/x"}, [*nodes, good])
    del site.files["/missing-1.0.tgz"]
    site.files["/changed-1.0.tgz"] = b"something else"
    with pytest.raises(Problems) as caught:
        bench.realise(top)
    problems = {type(problem): str(problem) for problem in caught.value.problems}
    assert len(caught.value.problems) == 4
    assert "changed@1.0" in problems[MismatchError]
    assert changed.file.hash.sri in problems[MismatchError]
    assert site.url in problems[MismatchError]
    assert any(
        "missing@1.0" in str(problem) for problem in caught.value.problems if isinstance(problem, FetchError)
    )
    built = [str(problem) for problem in caught.value.problems if isinstance(problem, BuildError)]
    assert any("hostile@1.0 from hostile.tgz" in text and "'p/../../../evil'" in text for text in built)
    assert any("wrong 1.0 from wrong.whl" in text and "'a.py'" in text for text in built)
    assert bench.store.is_valid(good.out)
    assert not any(bench.store.is_valid(node.out) for node in [*nodes, top])
    assert not any(os.path.lexists(node.out) for node in [*nodes, top])


def test_a_failure_is_gone_once_its_cause_is(bench: Bench, site: Site) -> None:
    package = site.npm("demo")
    data = site.files.pop("/demo-1.0.tgz")
    with pytest.raises(FetchError, match=r"demo@1\.0"):
        bench.realise(bench.node(package))
    site.files["/demo-1.0.tgz"] = data
    bench.realise(bench.node(package))


def test_builders_that_only_another_program_has_are_refused_by_name(bench: Bench, site: Site) -> None:
    foreign = bench.graph.add(name="foreign", builder="builtin:buildenv", env={})
    other = bench.node(site.npm("demo"))
    with pytest.raises(BuildError, match=r"foreign.*\.drv is built by builtin:buildenv"):
        bench.realise(foreign, other)
    assert bench.store.is_valid(other.out)
    assert os.path.exists(foreign.path)


def test_a_missing_python_is_an_error_that_names_the_package(bench: Bench, site: Site) -> None:
    node = bench.node(site.wheel("demo"))
    with pytest.raises(BuildError, match=r"demo 1\.0 \(byte code\): no Python") as caught:
        bench.realise(bytecode_node(bench.graph, node, PYTHON), pythons={})
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(0, signal.SIGKILL)", "was killed by SIGKILL"),
        ("import sys; sys.exit('out of order')", "ended with status 1\nout of order"),
        ("import os; os.close(1); import time; time.sleep(60)", "was killed by SIGKILL"),
    ],
    ids=["killed", "ended", "hung up"],
)
def test_a_worker_that_dies_is_an_error_that_names_the_package(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    program = f"import sys; sys.stdin.readline(); {code}"
    monkeypatch.setattr(workers, "_PROGRAM", program)
    nodes = [bench.node(site.npm(name)) for name in ("a", "b", "c")]
    with pytest.raises(Problems) as caught:
        bench.realise(*nodes, jobs=1)
    assert len(caught.value.problems) == 3
    for problem, name in zip(caught.value.problems, "abc", strict=True):
        assert f"{name}@1.0" in str(problem)
        assert said in str(problem)


def test_a_defect_in_a_builder_is_not_passed_off_as_the_users_mistake(bench: Bench, site: Site) -> None:
    node = bench.graph.add(name="odd", builder="builtin:devenv-write", env={"files": "no JSON"})
    with pytest.raises(RuntimeError, match=r"odd[\s\S]*Traceback"):
        bench.realise(node)


def test_a_full_disk_stops_everything_with_one_error(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, outputs: object, *, held: object) -> None:
        raise StoreError("the disk is full") from OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "register_outputs", full)
    with pytest.raises(StoreError, match="disk is full"):
        bench.realise(*(bench.node(site.npm(f"p{number}")) for number in range(20)))


def test_one_output_that_cannot_be_registered_does_not_stop_the_others(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [bench.node(site.npm(f"p{number}")) for number in range(8)]
    register = Store.register_outputs

    def refusing(self: Store, outputs: list[tuple[PathInfo, str]], *, held: set[StorePath]) -> None:
        if any(info.path == nodes[3].out for info, _ in outputs):
            raise StoreError("cannot register that")
        register(self, outputs, held=held)

    monkeypatch.setattr(Store, "register_outputs", refusing)
    with pytest.raises(StoreError, match="cannot register that"):
        bench.realise(*nodes)
    assert [bench.store.is_valid(node.out) for node in nodes] == [node is not nodes[3] for node in nodes]


def test_workers_answer_errors_with_their_number(tmp_path: Path) -> None:
    from devenv.derivations.builders.interpreters import Interpreters

    request = (
        b'{"builder": "builtin:devenv-unpack", "label": "x", "env": {"src": "/no/such", "format": "npm"},'
    )
    request += b'"target": "/no/such/out", "candidates": [], "pythons": {}}'
    answer = worker._answer(request, Interpreters())
    assert answer["errno"] == 2
    assert "building x" in answer["error"]
    assert "/no/such" in answer["error"]


def start_child(layout: Layout, site: Site, packages: list[Package]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.derivations.child", layout.root, site.url, described(packages)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "that never happened"
        time.sleep(0.01)


def descendants(process: int) -> set[int]:
    """All processes below `process`."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path("/proc", name, "stat").read_text()
            except OSError:
                continue
            parents[int(name)] = int(text.rpartition(")")[2].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def is_running(process: int) -> bool:
    try:
        return Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Compiles for seconds.
LARGE = {
    f"m{number}.py": b"def f(x):\n" + b"    x = [x, {'a': x}, lambda y: y + x]\n" * 3000
    for number in range(150)
}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "kill"])
def test_killed_in_the_middle_it_leaves_no_process_and_the_next_run_completes(
    bench: Bench, layout: Layout, site: Site, nix: Nix, how: signal.Signals
) -> None:
    packages = [site.npm(f"p{number}") for number in range(30)]
    packages += [site.wheel("large", LARGE), site.npm("slow", {"data": os.urandom(300_000)})]
    site.silent = {"/slow-1.0.tgz"}
    with start_child(layout, site, packages) as child:
        # The worker, its interpreter, and the fork that compiles.
        eventually(lambda: len(descendants(child.pid)) >= 4 and site.stalled.is_set())
        below = descendants(child.pid)
        child.send_signal(how)
        child.wait()
        eventually(lambda: not any(map(is_running, below)), seconds=2)
    site.silent.clear()
    site.going_on.set()
    site.asked.clear()
    nodes = [bench.node(package) for package in packages]
    bench.realise(*nodes)
    assert all(bench.store.is_valid(node.out) for node in nodes)
    assert any(site.ranges), "the download did not go on where it was"
    assert len(site.asked) < len(packages)
    assert os.listdir(layout.downloads) == []
    nix.verify()


def test_an_interruption_stops_everything_at_once_and_keeps_what_was_downloaded(
    bench: Bench, layout: Layout, site: Site, nix: Nix
) -> None:
    packages = [site.wheel("large", LARGE), site.npm("slow", {"data": os.urandom(300_000)})]
    site.silent = {"/slow-1.0.tgz"}
    with start_child(layout, site, packages) as child:
        eventually(lambda: len(descendants(child.pid)) >= 4 and site.stalled.is_set())
        below = descendants(child.pid)
        child.send_signal(signal.SIGINT)
        assert child.stdout is not None
        assert child.stdout.readline() == "interrupted\n"
        eventually(lambda: not any(map(is_running, below)), seconds=5)
        assert child.wait(10) == 0
    slow = bench.node(packages[1])
    part = f"{layout.downloads}/{digest_of(slow.inputs[0].out)}.part"
    assert 0 < os.path.getsize(part) < 300_000
    site.silent.clear()
    site.going_on.set()
    bench.realise(slow)
    assert len(site.ranges) == 1
    nix.verify()


def test_two_processes_share_the_work_of_one_store(
    bench: Bench, layout: Layout, site: Site, nix: Nix
) -> None:
    packages = [site.npm(f"p{number}") for number in range(40)]
    with start_child(layout, site, packages) as child:
        nodes = [bench.node(package) for package in packages]
        bench.realise(*nodes)
        assert child.wait(30) == 0
    assert all(bench.store.is_valid(node.out) for node in nodes)
    nix.verify()


def test_an_unexpected_error_is_raised_and_not_lost(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("devenv.derivations.realise.canonicalise", broken)
    with pytest.raises(ZeroDivisionError):
        bench.realise(bench.node(site.npm("demo")))
