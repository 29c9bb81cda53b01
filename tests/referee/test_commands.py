"""Nix's own commands and devenv's on one store that has a project in it: what the one says, the other must say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.formats.derivation import name_of_drv, parse
from devenv.formats.store_path import StoreDir, StorePath
from devenv.store.layout import Layout
from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.nix import Nix
from tests.support.registry import Registry, point_clients_at, serve
from tests.support.sandboxes import HOST_PATHS, require_sandboxes

SHOWN = [word for path in HOST_PATHS for word in ("--sandbox-path", path)]


class Scene:
    """A user with an entered project, and Nix on the same store."""

    def __init__(self, folder: Path) -> None:
        self.user = User(folder / "home")
        self.root = folder / "project"
        with serve(Registry()) as registry:
            npm_project(self.root, registry)
            python_project(self.root, registry)
            configure(self.root)
            point_clients_at(registry, self.user.home)
            self.user.run("lock", cwd=self.root)
            self.user.run("enter", "-c", "true", cwd=self.root)
        self.layout = Layout(str(self.user.store_root))
        self.nix = Nix(self.layout, folder)
        self.spec = os.readlink(self.root / ".devenv/env")
        self.drv = os.readlink(self.root / ".devenv/shell.drv")

    def ours(self, *arguments: str) -> str:
        return self.user.run(*arguments, cwd=self.root).stdout

    def ours_json(self, *arguments: str) -> Any:
        return json.loads(self.ours(*arguments, "--json"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield Scene(tmp_path_factory.mktemp("referee"))


@pytest.fixture
def own_scene(tmp_path: Path) -> Scene:
    """For tests that change the store."""
    return Scene(tmp_path)


@pytest.mark.parametrize("which", ["references", "requisites", "referrers", "referrers-closure", "deriver"])
@pytest.mark.parametrize("of", ["spec", "package"])
def test_queries_give_the_same_paths(scene: Scene, which: str, of: str) -> None:
    path = scene.spec
    if of == "package":
        path = next(
            p for p in scene.nix.store("-q", "--requisites", path).split() if p.endswith("-pkg0-1.0.0")
        )
    theirs = scene.nix.store("-q", f"--{which}", path).split()
    ours = scene.ours("store", "query", f"--{which}", path).split()
    assert sorted(ours) == sorted(theirs)


def test_outputs_of_a_derivation_are_the_same(scene: Scene) -> None:
    assert (
        scene.ours("store", "query", "--outputs", scene.drv).split()
        == scene.nix.store("-q", "--outputs", scene.drv).split()
    )


def test_the_tree_shows_the_same_objects_at_the_same_depth(scene: Scene) -> None:
    def levels(text: str) -> list[tuple[int, str]]:
        return [
            (line.index(scene.layout.store), line.split(scene.layout.store)[1].split()[0])
            for line in text.splitlines()
        ]

    theirs = levels(scene.nix.store("-q", "--tree", scene.spec))
    ours = levels(scene.ours("store", "query", "--tree", scene.spec))
    assert sorted(name for _, name in ours) == sorted(name for _, name in theirs)
    assert sorted(level // 4 for level, _ in ours) == sorted(level // 4 for level, _ in theirs)


def test_path_info_has_the_same_sizes_hashes_and_signatures(scene: Scene) -> None:
    theirs = {
        each["path"]: each
        for each in json.loads(scene.nix.run("nix", "path-info", "-rsS", "--json", scene.spec).stdout)
    }
    ours = {each["path"]: each for each in scene.ours_json("store", "path-info", "-r", scene.spec)}
    assert set(ours) == set(theirs)
    for path, info in theirs.items():
        found = ours[path]
        assert found["narHash"] == info["narHash"]
        assert found["narSize"] == info["narSize"]
        assert found["closureSize"] == info["closureSize"]
        assert sorted(found["references"]) == sorted(info["references"])
        assert found.get("ca") == info.get("ca")


def test_a_person_reads_the_same_sizes(scene: Scene) -> None:
    """nix path-info -rsSh prints path, size and closure size, rounded; ours has the same order of size."""
    theirs = [
        line.split() for line in scene.nix.run("nix", "path-info", "-rsSh", scene.spec).stdout.splitlines()
    ]
    ours = scene.ours("store", "path-info", "-r", scene.spec)
    assert {words[0] for words in theirs} == {
        word for line in ours.splitlines() for word in line.split() if word.startswith(scene.layout.store)
    }


def test_show_derivation_is_what_we_wrote(scene: Scene) -> None:
    shown = json.loads(scene.nix.run("nix", "show-derivation", "-r", scene.drv).stdout)
    for path, theirs in shown.items():
        ours = parse(Path(path).read_bytes(), name_of_drv(StorePath(path)), StoreDir(scene.layout.store))
        assert theirs["builder"] == ours.builder
        assert theirs["system"] == ours.system
        assert theirs["args"] == list(ours.args)
        assert theirs["env"] == dict(ours.env)
        assert {name: output["path"] for name, output in theirs["outputs"].items()} == {
            name: output.path for name, output in ours.outputs.items()
        }
        assert {drv: sorted(names) for drv, names in theirs["inputDrvs"].items()} == {
            drv: sorted(names) for drv, names in ours.input_derivations.items()
        }


def test_both_find_nothing_wrong(scene: Scene) -> None:
    scene.nix.verify()
    assert scene.user.run("store", "verify", cwd=scene.root).returncode == 0


def test_both_name_the_damaged_object(own_scene: Scene) -> None:
    paths = own_scene.nix.store("-q", "--requisites", own_scene.spec).split()
    victim = next(path for path in paths if path.endswith("-pkg0-1.0.0"))
    file = next(Path(victim).rglob("package.json"))
    file.chmod(0o644)
    file.write_text("{}")
    theirs = own_scene.nix.run("nix-store", "--verify", "--check-contents", check=False)
    ours = own_scene.user.run("store", "verify", cwd=own_scene.root, check=False)
    assert ours.returncode == 1
    named = [path for path in paths if path in theirs.stderr and "modified" in theirs.stderr]
    assert named == [victim]
    assert [path for path in paths if path in ours.stdout + ours.stderr] == [victim]


def test_both_call_the_same_things_dead(own_scene: Scene) -> None:
    scene = own_scene
    for number in range(3):
        (scene.root / f"x{number}").write_text(str(number))
        scene.ours("store", "add", f"x{number}")
    # What nix counts as a root beyond ours: nothing that runs uses this store.
    theirs = set(scene.nix.store("--gc", "--print-dead").split())
    ours = {each["path"] for each in scene.ours_json("gc", "--dry-run")["paths"]}
    assert ours == theirs
    assert len(ours) >= 3


def test_collections_take_turns_and_leave_the_same(own_scene: Scene) -> None:
    scene = own_scene
    live = set(scene.nix.store("--gc", "--print-live").split())
    for turn in range(4):
        (scene.root / "x").write_text(str(turn))
        added = scene.ours("store", "add", "x").strip()
        theirs = scene.nix.store("--add", str(scene.root / "devenv.toml"))
        if turn % 2:
            scene.ours("gc")
        else:
            scene.nix.run("nix-store", "--gc")
        assert not os.path.lexists(added)
        assert not os.path.lexists(theirs)
        scene.nix.verify()
    assert set(scene.nix.store("--gc", "--print-live").split()) == {
        path for path in live if os.path.lexists(path)
    }
    assert scene.ours("enter", "--offline", "-c", "hello0") == "hello from wheel0\n"


def test_a_signed_cache_goes_both_ways(own_scene: Scene, tmp_path: Path) -> None:
    scene = own_scene
    key = scene.ours("cache", "key", "generate", "referee-1").strip()
    cache = f"file://{tmp_path}/ours"
    scene.ours("cache", "push", cache, scene.spec, "--key", "referee-1")
    secret = next((scene.user.home / ".config/devenv/keys").glob("referee-1*"))
    theirs = f"file://{tmp_path}/theirs?secret-key={secret}"
    scene.nix.run("nix", "copy", "--to", theirs, scene.spec)
    closure = set(scene.nix.store("-q", "--requisites", scene.spec).split())
    take_out(scene, closure)
    trusted = ("--option", "trusted-public-keys", key)
    scene.nix.run("nix", "copy", "--from", cache, scene.spec, *trusted)
    assert all(os.path.lexists(path) for path in closure)
    scene.nix.verify()
    take_out(scene, closure)
    scene.ours("cache", "pull", f"file://{tmp_path}/theirs", scene.spec, "--trusted-keys", key)
    assert all(os.path.lexists(path) for path in closure)
    scene.nix.verify()


def take_out(scene: Scene, closure: set[str]) -> None:
    """Delete the environment from the store, so that it has to come from elsewhere."""
    shutil.rmtree(scene.root / ".devenv", ignore_errors=True)
    profiles = Path(scene.layout.root) / "state/profiles"
    if profiles.exists():
        shutil.rmtree(profiles)
    scene.nix.run("nix-store", "--gc")
    assert not any(os.path.lexists(path) for path in closure)


BUILDER = (
    'derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; '
    'outputs = [ "out" "dev" ]; args = [ "-c" "echo hi > $out; echo $out > $dev" ]; }'
)


def test_a_derivation_gives_the_same_built_by_either(own_scene: Scene) -> None:
    require_sandboxes()
    scene = own_scene
    drv = scene.nix.run("nix-instantiate", "-E", BUILDER).stdout.strip().partition("!")[0]
    scene.ours("store", "realise", drv, *SHOWN)
    info = "narHash", "narSize", "references"
    outputs = scene.nix.store("-q", "--outputs", drv).split()

    def registered() -> list[list[Any]]:
        shown = json.loads(scene.nix.run("nix", "path-info", "--json", *outputs).stdout)
        return [[each[name] for name in info] for each in sorted(shown, key=lambda each: str(each["path"]))]

    ours = registered()
    scene.nix.run("nix-store", "--delete", *outputs)
    scene.nix.run("nix-store", "--realise", drv, "--option", "sandbox", "false")
    assert registered() == ours


def test_nix_shell_develop_and_print_dev_env_enter_what_we_wrote(scene: Scene) -> None:
    """Each gives the variables that `devenv enter` gives."""
    dump = "import os, json; print(json.dumps(dict(os.environ)))"
    ours = json.loads(scene.ours("enter", "--", "python", "-c", dump))
    by_shell = json.loads(scene.nix.run("nix-shell", scene.drv, "--run", f"python -c '{dump}'").stdout)
    by_develop = json.loads(scene.nix.run("nix", "develop", scene.drv, "-c", "python", "-c", dump).stdout)
    printed = json.loads(scene.nix.run("nix", "print-dev-env", "--json", scene.drv).stdout)["variables"]
    assert ours["VIRTUAL_ENV"]
    assert by_shell["VIRTUAL_ENV"] == by_develop["VIRTUAL_ENV"] == ours["VIRTUAL_ENV"]
    assert printed["VIRTUAL_ENV"]["value"] == ours["VIRTUAL_ENV"]
    own_part = ours["PATH"].removesuffix(":" + scene.user.env["PATH"])
    assert own_part in by_shell["PATH"] and own_part in by_develop["PATH"]
    assert own_part in printed["PATH"]["value"]
