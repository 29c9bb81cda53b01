"""Install scripts of npm packages: run in sandboxes, each once, with what they depend on around them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, npm_lock, npm_tarball
from tests.support.sandboxes import require_sandboxes

CONFIG = 'name = "p"\n[registries]\nnpm = "{}/npm/"\n'
WRITE = "require('fs').writeFileSync('made.txt', {})\n"


@pytest.fixture(autouse=True)
def _sandboxes() -> None:
    require_sandboxes()


class Scripted:
    """A project whose packages come from a registry of the test; `manifest` is published with each."""

    def __init__(self, root: Path, registry: Registry, version: int = 3) -> None:
        self.root, self.registry, self.version = root, registry, version
        self.entries: dict[str, dict[str, Any]] = {}
        root.mkdir()

    def add(self, name: str, files: dict[str, str] | None = None, **manifest: Any) -> None:
        kept: dict[str, Any] = {"optional": True} if manifest.pop("optional", False) else {}
        integrity = self.registry.add_npm(name, "1.0.0", files, **manifest)
        shown = {k: v for k, v in manifest.items() if k in ("dependencies", "bin", "optionalDependencies")}
        entry: dict[str, Any] = {"version": "1.0.0", "integrity": integrity, **shown, **kept}
        if "scripts" in manifest or "binding.gyp" in (files or {}):
            entry["hasInstallScript"] = True
        self.entries[f"node_modules/{name}"] = entry

    def write(self, more: str = "", **root: Any) -> None:
        (self.root / "devenv.toml").write_text(CONFIG.format(self.registry.url) + more)
        (self.root / "package.json").write_text(json.dumps({"name": "project", "version": "1.0.0", **root}))
        if self.version == 1:
            found = {}
            for place, entry in self.entries.items():
                values = {k: v for k, v in entry.items() if k in ("version", "integrity", "optional")}
                values["requires"] = entry.get("dependencies", {})
                found[place.removeprefix("node_modules/")] = values
            lock = json.dumps({"lockfileVersion": 1, "requires": True, "dependencies": found})
        else:
            lock = npm_lock(self.entries, **root)
        (self.root / "package-lock.json").write_text(lock)

    def made(self, name: str) -> str:
        return (self.root / f"node_modules/{name}/made.txt").read_text()


@pytest.fixture(params=[3, 1], ids=["v3", "v1"])
def project(tmp_path: Path, registry: Registry, request: pytest.FixtureRequest) -> Scripted:
    return Scripted(tmp_path / "project", registry, request.param)


def enter(user: User, project: Scripted, check: bool = True) -> subprocess.CompletedProcess[str]:
    user.run("lock", cwd=project.root)
    return user.run("enter", "-c", "true", cwd=project.root, check=check)


def test_scripts_see_what_the_package_depends_on(user: User, project: Scripted) -> None:
    """Its dependencies as their own scripts left them, their commands, npm's variables; not the other packages."""
    tool = "#!/usr/bin/env node\nconsole.log('tool', require('fs').readFileSync(__dirname + '/made.txt', 'utf8'))\n"
    project.add(
        "tool", {"t.js": tool, "i.js": WRITE.format("'built'")}, bin="t.js", scripts={"install": "node i.js"}
    )
    project.add("other", {"index.js": "1"})
    script = WRITE.format(
        "JSON.stringify([require('child_process').execSync('tool').toString(), process.env.npm_lifecycle_event, "
        "process.env.npm_package_name, require('fs').readdirSync('..').sort(), process.cwd()])"
    )
    project.add(
        "user",
        {"p.js": script},
        dependencies={"tool": "1"},
        scripts={"preinstall": "echo $npm_lifecycle_event > pre", "postinstall": "node p.js"},
    )
    project.write(dependencies={"user": "1", "other": "1", "tool": "1"})
    enter(user, project)
    said = json.loads(project.made("user"))
    assert said == [
        "tool built\n",
        "postinstall",
        "user",
        [".bin", "tool", "user"],
        "/build/project/node_modules/user",
    ]
    assert (project.root / "node_modules/user/pre").read_text() == "preinstall\n"
    assert os.access(project.root / "node_modules/.bin/tool", os.X_OK)
    assert (project.root / "node_modules/other/index.js").exists()
    requests = len(project.registry.requests)
    again = user.run("enter", "-c", "true", cwd=project.root)
    assert "install" not in again.stderr
    assert len(project.registry.requests) == requests


def test_one_changed_package_reruns_only_its_scripts(user: User, project: Scripted) -> None:
    stamp = {"i.js": WRITE.format("String(process.hrtime.bigint())")}
    for name in ("first", "second"):
        project.add(name, stamp, scripts={"install": "node i.js"})
    project.write(dependencies={"first": "1", "second": "1"})
    enter(user, project)
    before = project.made("first"), project.made("second")
    project.entries["node_modules/second"] |= {
        "integrity": project.registry.add_npm(
            "second", "1.0.1", {"i.js": WRITE.format("'new'")}, scripts={"install": "node i.js"}
        ),
        "version": "1.0.1",
    }
    project.write(dependencies={"first": "1", "second": "1"})
    enter(user, project)
    assert (project.made("first"), project.made("second")) == (before[0], "new")


def test_optional_packages_that_fail_are_left_out_and_named(user: User, project: Scripted) -> None:
    project.add(
        "broken", scripts={"install": "frobnicate --now"}, optional=True, bin="b.js", files={"b.js": ""}
    )
    project.add("fine", {"i.js": WRITE.format("'x'")}, scripts={"install": "node i.js"}, optional=True)
    project.write(optionalDependencies={"broken": "1", "fine": "1"})
    done = enter(user, project)
    assert "left out, because it is optional and its install script failed: broken@1.0.0" in done.stderr
    assert "The program frobnicate is missing" in done.stderr
    names = {path.name for path in (project.root / "node_modules").iterdir()}
    assert {"broken", "fine"} & names == {"fine"}
    assert not (project.root / "node_modules/.bin/broken").exists()
    if project.version == 3:
        hidden = json.loads((project.root / "node_modules/.package-lock.json").read_text())
        assert list(hidden["packages"]) == ["node_modules/fine"]


def test_failure_names_the_tool_and_its_package(user: User, project: Scripted) -> None:
    project.add("broken", scripts={"postinstall": "frobnicate --now"})
    project.add("cobol", scripts={"install": "PATH=/none autopoint"})
    project.add(
        "wants-net",
        {"g.js": "require('http').get('http://registry.test/x')\n"},
        scripts={"install": "node g.js"},
    )
    project.write(dependencies={"broken": "1", "cobol": "1", "wants-net": "1"})
    # No archive is asked which package has a file: what is known without one is said.
    user.env["DEVENV_DEBIAN_MIRROR"] = "http://127.0.0.1:9/"
    done = enter(user, project, check=False)
    assert done.returncode == 1
    assert "broken@1.0.0 (install scripts)" in done.stderr
    assert "The program frobnicate is missing; `devenv locate bin/frobnicate`" in done.stderr
    assert "The program autopoint is missing; the system package autopoint has it" in done.stderr
    assert "The install script of wants-net wants the network" in done.stderr


def test_rules_forbid_scripts(user: User, project: Scripted) -> None:
    for name in ("good", "bad"):
        project.add(name, {"i.js": WRITE.format("'x'")}, scripts={"install": "node i.js"})
    project.write(
        '[lockfiles]\nnpm = { scripts = { "*" = false, good = true } }\n',
        dependencies={"good": "1", "bad": "1"},
    )
    enter(user, project)
    assert project.made("good") == "x"
    assert not (project.root / "node_modules/bad/made.txt").exists()


def test_scripts_with_a_hash_may_use_the_network(user: User, project: Scripted) -> None:
    """Without the right hash the error tells it; with it, what was downloaded is there."""
    get = "require('http').get(process.argv[2], r => r.on('data', d => require('fs').writeFileSync('made.txt', d)))\n"
    project.registry.faults["/download"] = b"from the network"
    command = f"node g.js {project.registry.url}/download"
    project.add("loader", {"g.js": get}, scripts={"install": command})
    rule = '[lockfiles]\nnpm = {{ scripts = {{ loader = "{}" }} }}\n'
    project.write(rule.format("sha256-" + "A" * 43 + "="), dependencies={"loader": "1"})
    done = enter(user, project, check=False)
    assert done.returncode == 1
    found = next(w.strip(".,;") for w in done.stderr.split() if w.startswith("sha256-") and "AAAAAA" not in w)
    project.write(rule.format(found), dependencies={"loader": "1"})
    enter(user, project)
    assert project.made("loader") == "from the network"


NATIVE = """#include <node_api.h>
static napi_value answer(napi_env env, napi_callback_info info) {
  napi_value value; napi_create_int32(env, 42, &value); return value;
}
NAPI_MODULE_INIT() { napi_value f; napi_create_function(env, "answer", 6, answer, 0, &f); return f; }
"""


GYP = '{"targets": [{"target_name": "answer", "sources": ["a.c"]}]}'


def test_binding_gyp_is_built_without_being_asked(user: User, project: Scripted) -> None:
    """As npm does, with the headers and the compiler of this machine."""
    node = os.path.realpath("/usr/bin/node")
    if not os.path.exists(os.path.join(os.path.dirname(node), "../include/node/node.h")):
        pytest.skip("this machine's Node has no headers")
    index = "module.exports = require('./build/Release/answer.node')()\n"
    project.add("native", {"binding.gyp": GYP, "a.c": NATIVE, "index.js": index})
    project.write(dependencies={"native": "1"})
    enter(user, project)
    done = user.run("enter", "-c", "node -p \"require('native')\"", cwd=project.root)
    assert done.stdout == "42\n"


@pytest.mark.network
def test_esbuild_and_a_node_gyp_package_are_built(tmp_path: Path, user: User) -> None:
    """Real packages, by the Node that the project asks for, with its own headers."""
    root = tmp_path / "project"
    root.mkdir()
    wanted = {"esbuild": "0.25.0", "cpu-features": "0.0.10"}
    (root / "package.json").write_text(json.dumps({"name": "p", "version": "1.0.0", "dependencies": wanted}))
    env = user.env | {"PATH": os.environ["PATH"]}
    command = [program("npm"), "install", "--package-lock-only", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, timeout=300)
    (root / "devenv.toml").write_text('name = "p"\n[packages]\nnode = "22"\n')
    user.run("lock", cwd=root)
    done = user.run(
        "enter",
        "-c",
        "esbuild --version && node -p \"require('cpu-features')().arch\"",
        cwd=root,
    )
    assert done.stdout.split() == ["0.25.0", {"x86_64": "x86", "aarch64": "aarch64"}[os.uname().machine]]
    with (root / "node_modules/esbuild/bin/esbuild").open("rb") as file:
        assert file.read(4) == b"\x7fELF"  # what its script puts in place of a program in JavaScript


@pytest.mark.network
@pytest.mark.slow
def test_node_gyp_compiles_with_the_system_packages(tmp_path: Path, user: User) -> None:
    """On a machine without compilers: the project's base has them, and this one's are not looked at."""
    root = tmp_path / "project"
    root.mkdir()
    wanted = {"esbuild": "0.25.0", "cpu-features": "0.0.10", "bufferutil": "4.0.9"}
    (root / "package.json").write_text(json.dumps({"name": "p", "version": "1.0.0", "dependencies": wanted}))
    env = user.env | {"PATH": os.environ["PATH"]}
    command = [program("npm"), "install", "--package-lock-only", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, timeout=300)
    (root / "devenv.toml").write_text(
        'name = "p"\nbase = "debian/trixie"\n[packages]\nnode = "22"\nsystem = ["g++", "make", "python3"]\n'
    )
    user.run("lock", cwd=root)
    use = "require('bufferutil').unmask; require('cpu-features')().arch"
    done = user.run("enter", "-c", f'esbuild --version && node -p "{use}"', cwd=root, timeout=1800)
    assert done.stdout.split() == ["0.25.0", {"x86_64": "x86", "aarch64": "aarch64"}[os.uname().machine]]
    (compiled,) = root.glob("node_modules/cpu-features/build/Release/*.node")
    assert b"GCC: (Debian 14" in compiled.read_bytes()


def committed(source: Path, user: User) -> str:
    """The commit of all that is in a directory."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.test")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "one")):
        subprocess.run(["git", "-C", str(source), *command], check=True, env=user.env)
    argv = ["git", "-C", str(source), "rev-parse", "HEAD"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_packages_of_repositories_are_prepared_and_packed(
    tmp_path: Path, user: User, project: Scripted
) -> None:
    """As npm does: among the devDependencies of their own lock, and what `npm pack` takes is the package."""
    compiler = "#!/usr/bin/env node\nrequire('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/cli.js', '#!/usr/bin/env node\\nconsole.log(' + JSON.stringify(process.argv[2] + require('made')) + ')\\n')\n"
    inner = Scripted(tmp_path / "source", project.registry)
    inner.add("compiler", {"c.js": compiler}, bin="c.js")
    inner.add(
        "made",
        {"i.js": "require('fs').writeFileSync('index.js', 'module.exports = 1')"},
        scripts={"install": "node i.js"},
    )
    manifest: dict[str, Any] = {
        "name": "grown",
        "version": "2.0.0",
        "bin": "dist/cli.js",
        "files": ["dist"],
        "scripts": {"prepare": "compiler dist"},
        "devDependencies": {"compiler": "1", "made": "1"},
    }
    for name in ("compiler", "made"):
        resolved = project.registry.url + project.registry.tarball_path(name, "1.0.0")
        inner.entries[f"node_modules/{name}"]["resolved"] = resolved
    (inner.root / "package.json").write_text(json.dumps(manifest))
    (inner.root / "package-lock.json").write_text(npm_lock(inner.entries, **manifest))
    (inner.root / "test.js").write_text("")
    commit = committed(inner.root, user)
    url = f"git+file://{inner.root}#{commit}"
    entry = {"version": "2.0.0", "resolved": url, "bin": {"grown": "dist/cli.js"}}
    if project.version == 1:
        entry = {"version": url, "from": url}
    project.entries = {"node_modules/grown": entry}
    project.write(dependencies={"grown": "*"})
    enter(user, project)
    done = user.run("enter", "-c", "grown", cwd=project.root)
    assert done.stdout == "dist1\n"
    assert {path.name for path in (project.root / "node_modules/grown").iterdir()} == {"package.json", "dist"}
    rule = "[lockfiles]\nnpm = { scripts = { grown = false } }\n"
    project.write(rule, dependencies={"grown": "*"})
    said = enter(user, project).stderr
    assert " is not built, so it is as its repository has it: [lockfiles] of devenv.toml forbids it" in said
    assert (project.root / "node_modules/grown/test.js").exists()


def test_packages_from_repositories_and_files_are_installed(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    """A commit of a repository with a script of its own, and a tarball of the project without a hash."""
    source = tmp_path / "source"
    source.mkdir()
    manifest: dict[str, Any] = {
        "name": "grown",
        "version": "2.0.0",
        "bin": "cli.js",
        "scripts": {"install": "echo > made.txt"},
    }
    (source / "package.json").write_text(
        json.dumps(
            {**manifest, "scripts": {**manifest["scripts"], "prepare": "x"}, "dependencies": {"a": "1"}}
        )
    )
    (source / "cli.js").write_text("#!/usr/bin/env node\nconsole.log('grown')\n")
    commit = committed(source, user)
    project = Scripted(tmp_path / "project", registry)
    (project.root / "lib").mkdir()
    (project.root / "lib/packed.tgz").write_bytes(npm_tarball("packed", "3.0.0", {"index.js": "1"}))
    project.entries = {
        "node_modules/grown": {
            "version": "2.0.0",
            "resolved": f"git+file://{source}#{commit}",
            "hasInstallScript": True,
            "bin": {"grown": "cli.js"},
        },
        "node_modules/packed": {"version": "3.0.0", "resolved": "file:lib/packed.tgz"},
    }
    project.write(dependencies={"grown": "*", "packed": "*"})
    user.run("lock", cwd=project.root)
    done = user.run("enter", "-c", "grown", cwd=project.root)
    assert done.stdout == "grown\n"
    assert (
        "grown@2.0.0 is not built, so it is as its repository has it: its repository has no lockfile"
        in done.stderr
    )
    assert (project.root / "node_modules/grown/made.txt").exists()
    assert (project.root / "node_modules/packed/index.js").read_text() == "1"
    (project.root / "lib/packed.tgz").write_bytes(npm_tarball("packed", "3.0.1", {"index.js": "2"}))
    assert "file:project:lib/packed.tgz" in (project.root / "devenv.lock").read_text()
