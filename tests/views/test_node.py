from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv.adapter import NodeModules, Package, RemoteFile
from devenv.events import Event, Notice, Reporter
from devenv.formats.hashes import Hash
from devenv.views.compose import File, Symlink, Tree, ViewError, composed_key
from devenv.views.node import (
    compose_node_modules,
    composed_node_modules,
    node_modules_compositions,
    node_modules_ops,
)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def package(name: str, version: str = "1.0.0") -> Package:
    file = RemoteFile(file_name=f"{name}.tgz", url=f"npm:{name}", hash=Hash.of("sha256", name.encode()))
    return Package(name=name, version=version, format="npm", file=file)


def unpacked(store: Path, name: str, version: str = "1.0.0", **files: str) -> str:
    """An unpacked package as the store has it: an index.js that tells its name and what it requires."""
    path = store / f"{name.replace('/', '-')}-{version}"
    path.mkdir(parents=True)
    texts = {"package_json": json.dumps({"name": name, "version": version, "main": "index.js"}), **files}
    for key, text in texts.items():
        file = path / key.replace("_", ".").replace("..", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o555 if text.startswith("#!") else 0o444)
    for directory, names, found in os.walk(path):
        for entry in [*names, *found]:
            os.utime(os.path.join(directory, entry), (1, 1))
    return str(path)


def requiring(*names: str) -> str:
    inner = ", ".join(f"require('{name}')" for name in names)
    return f"module.exports = [require('./package.json').name + '@' + require('./package.json').version, {inner}];"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "package.json": '{"name": "project", "version": "1.0.0", "workspaces": ["packages/*"]}',
        "packages/ws/package.json": '{"name": "ws", "version": "1.0.0", "main": "index.js"}',
        "packages/ws/index.js": requiring("a"),
        "packages/ws/cli.js": "#!/usr/bin/env node\nconsole.log('ws runs', process.argv[2]);\n",
    }.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    (tmp_path / "project/packages/ws/cli.js").chmod(0o755)
    return tmp_path / "project"


HIDDEN = {
    "name": "project",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "node_modules/@s/b": {"version": "1.0.0", "dependencies": {"a": "1"}},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/c": {"version": "1.0.0", "dependencies": {"a": "2"}},
        "node_modules/c/node_modules/a": {"version": "2.0.0"},
        "node_modules/ws": {"resolved": "packages/ws", "link": True},
        "packages/ws": {"version": "1.0.0", "dependencies": {"a": "3"}},
        "packages/ws/node_modules/a": {"version": "3.0.0"},
    },
}


@pytest.fixture
def trees(tmp_path: Path) -> Mapping[str, str]:
    store = tmp_path / "store"
    bundled = {"node_modules__a__index_js": "module.exports = 'bundled and outdated';"}
    return {
        "node_modules/a": unpacked(store, "a", "1.0.0", index_js=requiring(), cli_js="#!/usr/bin/env node\n"),
        "node_modules/@s/b": unpacked(store, "@s/b", index_js=requiring("a")),
        "node_modules/c": unpacked(store, "c", index_js=requiring("a"), **bundled),
        "node_modules/c/node_modules/a": unpacked(store, "a", "2.0.0", index_js=requiring()),
        "packages/ws/node_modules/a": unpacked(store, "a", "3.0.0", index_js=requiring()),
    }


def view_of(trees: Mapping[str, str], **more: Mapping[str, str]) -> NodeModules:
    links = more.get("links", {"node_modules/ws": "packages/ws"})
    bins = more.get(
        "bins",
        {
            "node_modules/.bin/a": "node_modules/a/cli.js",
            "node_modules/.bin/lost": "node_modules/a/lost.js",
            "node_modules/.bin/ws": "node_modules/ws/cli.js",
            "node_modules/.bin/built-later": "node_modules/ws/dist/later.js",
        },
    )
    packages = {place: package(place.rpartition("node_modules/")[2]) for place in trees}
    return NodeModules(packages=packages, links=links, bins=bins, hidden_lock=json.dumps(HIDDEN))


def node(project: Path, code: str, directory: str = "") -> str:
    done = subprocess.run(
        ["node", "-e", code], cwd=project / directory, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def notices(events: list[Event]) -> Reporter:
    class Recorder(Reporter):
        def event(self, event: Event) -> None:
            events.append(event)

    return Recorder()


# --- operations -------------------------------------------------------------------------------------------


def test_each_top_directory_is_a_composition_and_the_own_one_last(trees: Mapping[str, str]) -> None:
    compositions = node_modules_compositions(view_of(trees), trees)
    assert list(compositions) == ["packages/ws/node_modules", "node_modules"]
    assert compositions["packages/ws/node_modules"] == [
        Tree(source=trees["packages/ws/node_modules/a"], dest="a")
    ]
    assert node_modules_ops(view_of(trees), trees) == compositions["node_modules"]


def test_operations_are_relative_and_the_hidden_lock_last(trees: Mapping[str, str]) -> None:
    ops = node_modules_ops(view_of(trees), trees)
    assert ops[:4] == [
        Tree(source=trees["node_modules/@s/b"], dest="@s/b"),
        Tree(source=trees["node_modules/a"], dest="a"),
        Tree(source=trees["node_modules/c"], dest="c", skip=frozenset({"node_modules/a"})),
        Tree(source=trees["node_modules/c/node_modules/a"], dest="c/node_modules/a"),
    ]
    assert [op for op in ops if isinstance(op, Symlink)] == [
        Symlink(dest="ws", target="../packages/ws"),
        Symlink(dest=".bin/a", target="../a/cli.js"),
        Symlink(dest=".bin/built-later", target="../ws/dist/later.js"),
        Symlink(dest=".bin/ws", target="../ws/cli.js"),
    ]
    last = ops[-1]
    assert isinstance(last, File)
    assert (last.dest, last.newest) == (".package-lock.json", True)


@pytest.mark.parametrize(
    ("place", "directory", "target"),
    [
        ("node_modules/x", ".", ".."),
        ("node_modules/x", "lib/x", "../lib/x"),
        ("node_modules/@s/x", "lib/x", "../../lib/x"),
        ("node_modules/x", "../x", "../../x"),
        ("node_modules/@s/x", "../../y", "../../../../y"),
        ("packages/a/node_modules/x", "packages/b", "../../b"),
        ("packages/a/node_modules/x", "packages/a", ".."),
        ("node_modules/x", "node_modules/y/lib", "y/lib"),
    ],
)
def test_links_lead_from_their_place_to_their_directory(place: str, directory: str, target: str) -> None:
    view = NodeModules(packages={}, links={place: directory})
    links = [
        op for ops in node_modules_compositions(view, {}).values() for op in ops if isinstance(op, Symlink)
    ]
    assert [link.target for link in links] == [target]


# --- composed trees ---------------------------------------------------------------------------------------


@needs_node
def test_node_finds_the_package_that_the_place_says(project: Path, trees: Mapping[str, str]) -> None:
    compose_node_modules(str(project), view_of(trees), trees, key="k")
    code = "console.log(JSON.stringify(['a', '@s/b', 'c', 'ws'].map((n) => require(n).flat(9))))"
    assert json.loads(node(project, code)) == [
        ["a@1.0.0"],
        ["@s/b@1.0.0", "a@1.0.0"],
        ["c@1.0.0", "a@2.0.0"],
        ["ws@1.0.0", "a@3.0.0"],
    ]
    script = "import('a').then((m) => console.log(m.default.flat()[0]))"
    assert node(project, script) == "a@1.0.0\n"
    assert node(project, script, "packages/ws") == "a@3.0.0\n"


@needs_node
def test_commands_run(project: Path, trees: Mapping[str, str]) -> None:
    compose_node_modules(str(project), view_of(trees), trees, key="k")
    command = project / "node_modules/.bin/ws"
    done = subprocess.run([command, "now"], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "ws runs now\n"


TRUSTED = """
const path = require("node:path");
const modules = require("node:child_process").execFileSync("npm", ["root", "-g"], { encoding: "utf8" }).trim();
const Arborist = require(path.join(modules, "npm/node_modules/@npmcli/arborist"));
new Arborist({ path: process.cwd(), offline: true }).loadActual().then((tree) => {
  console.log(tree.meta.loadedFromDisk && !tree.meta.loadingError ? "trusted" : `${tree.meta.loadingError}`);
});
"""


@needs_npm
def test_npm_believes_the_hidden_lock_after_each_composition(project: Path, trees: Mapping[str, str]) -> None:
    fewer = {place: tree for place, tree in trees.items() if place != "node_modules/@s/b"}
    compose_node_modules(str(project), view_of(trees), trees, key="1")
    assert node(project, TRUSTED) == "trusted\n"
    compose_node_modules(str(project), view_of(fewer), fewer, key="2")
    assert "trusted" not in node(project, TRUSTED)  # the lock of this test still lists what is gone
    compose_node_modules(str(project), view_of(trees), trees, key="3")
    assert node(project, TRUSTED) == "trusted\n"
    (project / "node_modules/new").mkdir()
    assert "trusted" not in node(project, TRUSTED)


def test_all_directories_carry_the_key_and_old_ones_go(project: Path, trees: Mapping[str, str]) -> None:
    assert composed_node_modules(str(project)) is None
    compose_node_modules(str(project), view_of(trees), trees, key="1")
    assert composed_node_modules(str(project)) == "1"
    assert composed_key(str(project / "packages/ws/node_modules")) == "1"
    (project / "packages/ws/node_modules/mine").write_text("m")
    fewer = {place: tree for place, tree in trees.items() if not place.startswith("packages")}
    compose_node_modules(str(project), view_of(fewer), fewer, key="2")
    assert os.listdir(project / "packages/ws/node_modules") == ["mine"]
    assert composed_node_modules(str(project)) == "2"


def test_empty_view_leaves_no_package(project: Path, trees: Mapping[str, str]) -> None:
    compose_node_modules(str(project), view_of(trees), trees, key="1")
    compose_node_modules(str(project), NodeModules(packages={}), {}, key="2")
    assert [name for name in os.listdir(project / "node_modules") if not name.startswith(".")] == []
    assert not (project / "packages/ws/node_modules").exists()


def test_workspace_that_is_not_in_the_project_is_noticed(project: Path, trees: Mapping[str, str]) -> None:
    shutil.rmtree(project / "packages/ws")
    events: list[Event] = []
    compose_node_modules(str(project), view_of(trees), trees, key="1", reporter=notices(events))
    assert [e.text for e in events if isinstance(e, Notice)] == [
        "packages/ws is in the lock but not in the project: nothing is installed there"
    ]
    assert not (project / "packages/ws").exists()


def test_workspace_that_leads_out_of_the_project_is_refused(
    project: Path, trees: Mapping[str, str], tmp_path: Path
) -> None:
    shutil.move(project / "packages/ws", tmp_path / "outside")
    (project / "packages/ws").symlink_to(tmp_path / "outside")
    with pytest.raises(ViewError, match="leads out of"):
        compose_node_modules(str(project), view_of(trees), trees, key="1")
    assert not (tmp_path / "outside/node_modules").exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '["../outside/node_modules"]', '["/outside/node_modules"]', "[" * 9999]
)
def test_damaged_list_of_directories_does_no_harm(
    text: str, project: Path, trees: Mapping[str, str], tmp_path: Path
) -> None:
    outside = tmp_path / "outside/node_modules"
    outside.mkdir(parents=True)
    (outside / ".devenv-view").write_text('{"devenv-view": 1, "complete": true, "key": "x"}\n')
    compose_node_modules(str(project), view_of(trees), trees, key="1")
    (project / "node_modules/.devenv-roots").write_text(text)
    compose_node_modules(str(project), view_of(trees), trees, key="2")
    assert composed_node_modules(str(project)) == "2"
    assert (outside / ".devenv-view").exists()
