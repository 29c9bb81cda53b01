"""What changes which checkpoint: everything that a phase could notice, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from devenv.config.builds import Build, PathSource, PhaseEdit
from devenv.derivations.graph import Graph
from devenv.formats.store_path import StoreDir, StorePath
from devenv.recipes.instantiate import Given, Planned, plan_recipe, scratch_path

STORE = StoreDir("/opt/devenv/store")
DIGEST = "0c1d2f3g4h5i6j7k8l9m0n1p2q3r4s5v"
INPUT = Given(path=StorePath(f"{STORE.path}/{DIGEST}-input"))
OTHER = Given(path=StorePath(f"{STORE.path}/{DIGEST[::-1]}-input"))
SOURCE = Given(path=StorePath(f"{STORE.path}/{DIGEST}-source"))
PATCH = StorePath(f"{STORE.path}/{DIGEST}-fix.patch")

BUILD = Build(
    name="hello",
    version="1.0",
    description="Greets",
    sources=(PathSource(path="src"),),
    inputs=("input",),
    host=True,
    attributes={"flags": ["-g"]},
    env={"CFLAGS": "-O2"},
    phases={
        "docs": PhaseEdit(run="make docs", after=("build",), origin="devenv.toml:9"),
        "install": PhaseEdit(run="make install"),
    },
)
PHASES = ("unpack", "patch", "configure", "build", "docs", "check", "install", "fixup")


def plan(
    build: Build = BUILD, *, given: Given = INPUT, source: Given = SOURCE, patches: tuple[StorePath, ...] = ()
) -> Planned:
    return plan_recipe(
        Graph(STORE), build, inputs={"input": given}, sources=(source,), patches=patches, machine="x86_64"
    )


def keys(planned: Planned, place: str = "/build", *, sandboxed: bool = True) -> tuple[str, ...]:
    return planned.keys(place, sandboxed=sandboxed)


def with_phases(**edits: PhaseEdit) -> Build:
    return replace(BUILD, phases={**BUILD.phases, **edits})


# What changes, and the first phase after which the state is another one ("" for none).
CHANGES: dict[str, tuple[Callable[[], tuple[str, ...]], str]] = {
    "nothing": (lambda: keys(plan()), ""),
    "description": (lambda: keys(plan(replace(BUILD, description="Greets the world"))), ""),
    "homepage": (lambda: keys(plan(replace(BUILD, homepage="https://hello.test/"))), ""),
    "licence": (lambda: keys(plan(replace(BUILD, license="MIT"))), ""),
    "cores": (lambda: keys(plan(replace(BUILD, cores=4))), ""),
    "memory": (lambda: keys(plan(replace(BUILD, memory=1 << 30))), ""),
    "line of the file": (
        lambda: keys(plan(with_phases(docs=replace(BUILD.phases["docs"], origin="devenv.toml:10")))),
        "",
    ),
    "way to say where": (
        lambda: keys(plan(with_phases(docs=PhaseEdit(run="make docs", after=("build",), before=("check",))))),
        "",
    ),
    "name": (lambda: keys(plan(replace(BUILD, name="hullo"))), "unpack"),
    "version": (lambda: keys(plan(replace(BUILD, version="1.1"))), "unpack"),
    "source": (lambda: keys(plan(source=OTHER)), "unpack"),
    "patch": (lambda: keys(plan(patches=(PATCH,))), "unpack"),
    "input": (lambda: keys(plan(given=OTHER)), "unpack"),
    "attribute": (lambda: keys(plan(replace(BUILD, attributes={"flags": ["-O"]}))), "unpack"),
    "attribute that no variable holds": (
        lambda: keys(plan(replace(BUILD, attributes={"flags": ["-g"], "deep": {"a": 1}}))),
        "unpack",
    ),
    "variable": (lambda: keys(plan(replace(BUILD, env={"CFLAGS": "-O3"}))), "unpack"),
    "shell": (lambda: keys(plan(replace(BUILD, shell="input/bin/sh"))), "unpack"),
    "the machine": (lambda: keys(plan(replace(BUILD, host=False, shell="input/bin/sh"))), "unpack"),
    "place": (lambda: keys(plan(), "/elsewhere"), "unpack"),
    "sandbox": (lambda: keys(plan(), sandboxed=False), "unpack"),
    "first phase": (lambda: keys(plan(with_phases(unpack=PhaseEdit(run="true")))), "unpack"),
    "phase in the middle": (lambda: keys(plan(with_phases(build=PhaseEdit(run="ninja")))), "build"),
    "added phase": (
        lambda: keys(plan(with_phases(docs=PhaseEdit(run="make doc", after=("build",))))),
        "docs",
    ),
    "late phase": (lambda: keys(plan(with_phases(install=PhaseEdit(run="make install-all")))), "install"),
    "last phase": (lambda: keys(plan(with_phases(fixup=PhaseEdit(run="true")))), "fixup"),
}


@pytest.mark.parametrize(("change", "first"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_reaches_the_phases_behind_it_and_no_other(
    change: Callable[[], tuple[str, ...]], first: str
) -> None:
    before, after = keys(plan()), change()
    same = PHASES.index(first) if first else len(PHASES)
    assert [old == new for old, new in zip(before, after, strict=True)] == [
        index < same for index in range(len(PHASES))
    ]


def test_moving_a_phase_keeps_what_came_before_it() -> None:
    moved = with_phases(check=PhaseEdit(after=("install",)))
    before, after = keys(plan()), keys(plan(moved))
    assert before[:5] == after[:5]
    assert not set(before[5:]) & set(after[5:])


def test_leaving_a_phase_out_keeps_what_came_before_it() -> None:
    without = replace(BUILD, phases={"install": BUILD.phases["install"]})
    before, after = keys(plan()), keys(plan(without))
    assert before[:4] == after[:4]
    assert not set(before[4:]) & set(after[4:])


# What of these is in the derivation


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"description": "Greets the world"}, True),
        ({"homepage": "https://hello.test/"}, True),
        ({"license": "MIT"}, True),
        ({"cores": 4}, True),
        ({"memory": 1 << 30}, True),
        ({"checkpoints": False}, True),
        ({"version": "1.1"}, False),
        ({"env": {"CFLAGS": "-O3"}}, False),
        ({"attributes": {}}, False),
        ({"phases": {}}, False),
        ({"host": False, "shell": "input/bin/sh"}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_only_about_the_result_is_no_part_of_the_derivation(
    change: dict[str, object], same: bool
) -> None:
    changed = plan(replace(BUILD, **change))  # type: ignore[arg-type]
    assert (changed.node.path == plan().node.path) is same


def test_the_output_stays_where_it_is_while_phases_are_edited() -> None:
    edited = plan(with_phases(install=PhaseEdit(run="other")))
    assert edited.node.out != plan().node.out
    assert edited.scratch == plan().scratch == scratch_path(STORE, "hello-1.0")
    assert edited.scratch not in (edited.node.out, plan().node.out)
    assert len(edited.scratch) == len(edited.node.out)


def test_the_machines_programs_are_an_input_that_can_be_seen() -> None:
    assert "__impureHostDeps" in plan().node.derivation.env["__json"]
    without = plan(replace(BUILD, host=False, shell="input/bin/sh"))
    assert "__impureHostDeps" not in without.node.derivation.env["__json"]
    assert without.node.derivation.builder == f"{INPUT.path}/bin/sh"
