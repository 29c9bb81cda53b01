"""Single packages of lockfiles made differently: each kind with real builds, and everything back when the file is gone."""

from __future__ import annotations

import difflib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.devenv import User
from tests.support.registry import Registry, npm_lock, point_clients_at
from tests.support.sandboxes import require_sandboxes
from tests.support.sdists import native_source, sdist, sha256

NPM = 'name = "p"\n[registries]\nnpm = "{}/npm/"\n'
PIP = 'name = "p"\n[packages]\npython = "3"\n[lockfiles]\npip = {{ path = "requirements.txt" }}\n'


class Overridden:
    """A project, somebody who works in it, and a registry of the test's own."""

    def __init__(self, root: Path, user: User, registry: Registry) -> None:
        self.root, self.user, self.registry = root, user, registry
        root.mkdir()
        point_clients_at(registry, user.home)

    def npm(self, **entries: Any) -> None:
        (self.root / "devenv.toml").write_text(NPM.format(self.registry.url))
        (self.root / "package.json").write_text('{"name": "project", "version": "1.0.0"}')
        places = {f"node_modules/{name.replace('__', '/')}": entry for name, entry in entries.items()}
        (self.root / "package-lock.json").write_text(npm_lock(places))

    def pip(self, requirements: str) -> None:
        (self.root / "devenv.toml").write_text(PIP.format(self.registry.url))
        (self.root / "requirements.txt").write_text(requirements)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *words: str, check: bool = True) -> str:
        done = self.user.run(*words, cwd=self.root, check=check)
        return done.stdout + done.stderr if check else done.stderr

    def locked(self) -> str:
        """Lock and compose; the spec's path, which names every derivation's output."""
        self.run("lock")
        self.run("enter", "-c", "true")
        return str((self.root / ".devenv/env").readlink())

    def node(self, code: str) -> str:
        return self.user.run("enter", "--", "node", "-p", code, cwd=self.root).stdout.strip()

    def python(self, code: str) -> str:
        return self.user.run("enter", "--", "python", "-c", code, cwd=self.root).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, user: User, registry: Registry) -> Overridden:
    return Overridden(tmp_path / "project", user, registry)


def diff(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(lines)


def test_an_npm_package_is_patched_and_back_again(project: Overridden) -> None:
    before = "exports.x = 1\n"
    integrity = project.registry.add_npm("one", "1.0.0", {"index.js": before})
    project.npm(one={"version": "1.0.0", "integrity": integrity})
    first = project.locked()
    path = project.run("override", "one").strip()
    assert path == str(project.root / "devenv.d/npm/one.toml")
    assert project.locked() == first  # everything in it is a comment
    project.write("patches/one.patch", diff("index.js", before, "exports.x = 2\n"))
    Path(path).write_text('patches = ["patches/one.patch"]\n')
    assert "npm:one is overridden now (devenv.d/npm/one.toml)" in project.run(
        "enter", "-c", "true", check=False
    )
    assert "npm:one overridden: patch patches/one.patch" in project.run("lock")
    assert project.node("require('one').x") == "2"
    project.write("patches/one.patch", diff("index.js", before, "exports.x = 3\n"))
    assert "the override of npm:one changed" in project.run("enter", "-c", "true", check=False)
    Path(path).unlink()
    assert project.locked() == first
    assert project.node("require('one').x") == "1"
    assert "overrides" not in json.loads((project.root / "devenv.lock").read_text())


def test_an_npm_package_has_another_version_with_its_commands_and_scripts(project: Overridden) -> None:
    require_sandboxes()
    old = project.registry.add_npm("@s/tool", "1.0.0", {"old.js": "#!/usr/bin/env node\n"}, bin="old.js")
    script = "require('fs').writeFileSync('made.txt', process.env.WANTED + process.env.CFLAGS)"
    project.registry.add_npm(
        "@s/tool",
        "2.0.0",
        {"new.js": "#!/usr/bin/env node\nconsole.log('two')\n", "i.js": script},
        bin={"fresh": "new.js"},
        scripts={"install": "node i.js"},
    )
    project.npm(**{"@s__tool": {"version": "1.0.0", "integrity": old, "bin": {"tool": "old.js"}}})
    first = project.locked()
    project.write(
        "devenv.d/npm/@s/tool.toml",
        'version = "2.0.0"\n[environment]\nWANTED = "it is "\n[build]\nc-flags = ["-O1", "-g"]\n',
    )
    project.locked()
    assert project.user.run("enter", "--", "fresh", cwd=project.root).stdout == "two\n"
    assert not (project.root / "node_modules/.bin/tool").exists()
    assert (project.root / "node_modules/@s/tool/made.txt").read_text() == "it is -O1 -g"
    hidden = json.loads((project.root / "node_modules/.package-lock.json").read_text())
    assert hidden["packages"]["node_modules/@s/tool"]["version"] == "2.0.0"
    assert "npm:@s/tool@2.0.0" in json.loads((project.root / "devenv.lock").read_text())["files"]
    (project.root / "devenv.d/npm/@s/tool.toml").unlink()
    assert project.locked() == first


def test_only_one_of_two_versions_is_meant(project: Overridden) -> None:
    entries = {}
    for place, version in (("one", "1.0.0"), ("two", "1.0.0"), ("two__node_modules__one", "2.0.0")):
        name = place.rpartition("__")[2]
        integrity = project.registry.add_npm(name, version, {"index.js": f"exports.x = '{version}'\n"})
        entries[place] = {"version": version, "integrity": integrity}
    project.npm(**entries)
    project.write("patches/p", diff("index.js", "exports.x = '2.0.0'\n", "exports.x = 'patched'\n"))
    project.write("devenv.d/npm/one@2.0.0.toml", 'patches = ["patches/p"]\n')
    project.locked()
    asked = "require('one').x + require('two/node_modules/one').x"
    assert project.node(asked) == "1.0.0patched"
    project.write("devenv.d/npm/one@3.0.0.toml", 'version = "1.0.0"\n')
    assert "the lockfile has one 1.0.0, 2.0.0, not 3.0.0" in project.run("lock", check=False)


@pytest.fixture
def native(project: Overridden) -> Overridden:
    """A Python project with a package that is built by the C compiler."""
    require_sandboxes()
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    project.registry.add_wheel("helper", "1.5")
    helper = project.registry.add_wheel("helper", "2.0")
    archive = sdist(native_source())
    project.registry.wheels["ext"] = {
        "ext-1.0.tar.gz": archive,
        "ext-2.0.tar.gz": sdist(native_source(version="2.0", value=2), "ext-2.0"),
    }
    project.pip(f"ext==1.0 --hash=sha256:{sha256(archive)}\nhelper==2.0 --hash=sha256:{helper}\n")
    return project


SHOWN = "import ext, importlib.metadata as m; print(m.version('ext'), ext.value(), ext.helper, ext.settings)"


def test_a_python_source_is_patched_and_built_otherwise(native: Overridden) -> None:
    first = native.locked()
    assert native.python(SHOWN) == "1.0 42 2.0 None"
    before = native_source()["native.c"]
    native.write("fix.patch", diff("native.c", before, before.replace("42", "43 + MORE")))
    native.write("devenv.d/pip/Ext.toml", 'patches = ["fix.patch"]\n[build]\nrequires = ["helper<2"]\n')
    native.write(
        "devenv.d/pip/Ext.toml",
        'patches = ["fix.patch"]\n[environment]\nTEST_COMPILER = "cc -DMORE=1"\n'
        '[build]\nrequires = ["helper<2"]\nconfig-settings = { answer = "yes" }\n',
    )
    native.run("lock")
    failed = native.run("enter", "-c", "true", check=False)
    assert "cc -DMORE=1" in failed  # the variable came through: it names one program
    native.write("fix.patch", diff("native.c", before, before.replace("42", "43")))
    toml = (native.root / "devenv.d/pip/Ext.toml").read_text().replace("cc -DMORE=1", "cc")
    native.write("devenv.d/pip/Ext.toml", toml)
    native.locked()
    assert native.python(SHOWN) == "1.0 43 1.5 {'answer': 'yes'}"
    (native.root / "devenv.d/pip/Ext.toml").unlink()
    assert native.locked() == first


def test_another_version_of_a_python_package_is_pinned(native: Overridden) -> None:
    native.locked()
    native.write(
        "devenv.toml", (native.root / "devenv.toml").read_text() + '[overrides.pip.ext]\nversion = "2.0"\n'
    )
    native.locked()
    assert native.python(SHOWN) == "2.0 2 2.0 None"
    files = json.loads((native.root / "devenv.lock").read_text())["files"]
    assert "pypi:ext==2.0" in files
    assert any(key.startswith("build:ext==2.0@") for key in files)
    native.run("enter", "--offline", "-c", "true")


def test_a_wheel_is_patched_in_place_and_says_what_it_cannot_honour(project: Overridden) -> None:
    digest = project.registry.add_wheel("pure", "1.0")
    project.pip(f"pure==1.0 --hash=sha256:{digest}\n")
    first = project.locked()
    project.write("p.diff", diff("pure/__init__.py", "__version__ = '1.0'\n", "__version__ = 'patched'\n"))
    project.write("devenv.d/pip/pure.toml", 'patches = ["p.diff"]\n')
    project.locked()
    assert project.python("import pure; print(pure.__version__)") == "patched"
    (record,) = project.root.glob(".devenv/python/lib/python3*/site-packages/pure-1.0.dist-info/RECORD")
    assert digest not in record.read_text() and "pure/__init__.py,sha256=" in record.read_text()
    project.write(
        "devenv.d/pip/pure.toml", '[environment]\nA = "1"\n[build]\nrequires = ["x"]\nc-flags = ["-O3"]\n'
    )
    said = project.run("lock", check=False)
    assert (
        "pure 1.0 is a wheel, so nothing is built: environment, flags of compilers, requires cannot be honoured"
        in said
    )
    assert "from-source = true" in said
    (project.root / "devenv.d/pip/pure.toml").unlink()
    assert project.locked() == first


def test_all_that_is_wrong_is_said_at_once(project: Overridden) -> None:
    integrity = project.registry.add_npm("left", "1.0.0")
    project.npm(left={"version": "1.0.0", "integrity": integrity})
    project.write("devenv.d/npm/left.toml", 'verison = "1"\npatch = ["x"]\n[build]\nargs = ["x"]\n')
    project.write("devenv.d/npm/absent.toml", 'patches = ["no/such.patch"]\n')
    said = project.run("lock", check=False)
    for text in (
        "devenv.d/npm/left.toml:1: verison: unknown key",
        "did you mean `version`?",
        "devenv.d/npm/left.toml:2: patch: unknown key",
        "devenv.d/npm/left.toml:4: build.args: unknown key",
        "devenv.d/npm/absent.toml: cannot read no/such.patch",
    ):
        assert text in said
    # It can be opened to be mended.
    assert project.run("override", "left").strip() == str(project.root / "devenv.d/npm/left.toml")
    (project.root / "devenv.d/npm/left.toml").unlink()
    project.write("devenv.d/npm/absent.toml", 'version = "1.0.0"\n')
    assert "no lockfile has a package absent of the kind npm" in project.run("lock", check=False)
    (project.root / "devenv.d/npm/absent.toml").unlink()
    project.run("lock")
    assert "did you mean npm:left?" in project.run("override", "leftt", check=False)


def test_a_patch_that_does_not_fit_names_itself_and_the_hunk(project: Overridden) -> None:
    integrity = project.registry.add_npm("one", "1.0.0", {"index.js": "1\n"})
    project.npm(one={"version": "1.0.0", "integrity": integrity})
    project.write("p.diff", diff("index.js", "other\n", "more\n"))
    project.write("devenv.d/npm/one.toml", 'patches = ["p.diff"]\n')
    project.run("lock")
    said = project.run("enter", "-c", "true", check=False)
    assert "cannot patch one@1.0.0 with p.diff: index.js: line 3: what it expects is not in the file" in said


@pytest.mark.parametrize("kind", ["npm", "pip"])
def test_a_full_copy_changes_nothing_until_it_is_edited(native: Overridden, kind: str) -> None:
    if kind == "npm":
        (native.root / "requirements.txt").unlink()
        integrity = native.registry.add_npm("ext", "1.0.0")
        native.npm(ext={"version": "1.0.0", "integrity": integrity})
    first = native.locked()
    path = Path(native.run("override", "--full", f"{kind}:ext").strip())
    assert 'version = "1.0' in path.read_text()
    assert native.locked() == first
    assert "exists already" in native.run("override", "--full", f"{kind}:ext", check=False)
    row = f"{kind}:ext: source, source.hash, version (devenv.d/{kind}/ext.toml, in devenv.lock)"
    assert row in native.run("override", "--list")
    assert f"override   {row}" in native.run("status")
    assert f"{kind}:ext is overridden: source " in native.run("why", "ext")


def test_one_package_imports_another_version_than_all_others(project: Overridden) -> None:
    """By plain imports, from inside the other version, and by importlib; everybody else sees the locked one."""
    registry = project.registry
    lib = {"lib/part.py": "import lib, lib.__init__ as again\nfrom lib import __version__ as version\n"}
    files = {
        "old/__init__.py": (
            "import importlib, lib.part, lib as renamed\nfrom lib import __version__ as seen\nfrom lib.part import version\n"
            "def report(): return seen, version, lib.part.version, renamed.__version__, lib.__name__,"
            " importlib.import_module('lib').__version__\n"
        ),
        "old/__main__.py": "import lib\nprint(lib.__version__)\n",
    }
    hashes = {
        "old": registry.add_wheel("old", "1.0", files),
        "new": registry.add_wheel("new", "1.0", {"new/__init__.py": "import lib\nseen = lib.__version__\n"}),
        "lib": registry.add_wheel("lib", "2.0", lib),
    }
    registry.add_wheel("lib", "1.0", lib)
    project.pip(
        "".join(f"{n}=={'2.0' if n == 'lib' else '1.0'} --hash=sha256:{h}\n" for n, h in hashes.items())
    )
    first = project.locked()
    project.write(
        "devenv.toml",
        (project.root / "devenv.toml").read_text() + '[overrides.pip.old.isolated]\nlib = "1.0"\n',
    )
    project.locked()
    shown = project.python(
        "import old, new, lib; print(*old.report(), new.seen, lib.__version__, lib.__name__)"
    )
    assert shown == "1.0 1.0 1.0 1.0 _isolated_for_old.lib 1.0 2.0 2.0 lib"
    assert project.user.run("enter", "--", "python", "-m", "old", cwd=project.root).stdout == "1.0\n"
    assert "pypi:lib==1.0" in json.loads((project.root / "devenv.lock").read_text())["files"]
    # Where names do not tell packages apart.
    registry.add_wheel("lib", "3.0", {"new/extra.py": ""})
    project.write("devenv.d/pip/new.toml", '[isolated]\nlib = "3.0"\n')
    project.run("lock")
    said = project.run("enter", "-c", "true", check=False)
    assert "lib 3.0 cannot be isolated for new: both have modules in new" in said
    assert "docs/overrides.md" in said
    (project.root / "devenv.d/pip/new.toml").unlink()
    project.write("devenv.toml", (project.root / "devenv.toml").read_text().partition("[overrides")[0])
    assert project.locked() == first
    assert project.python("import old; print(*old.report()[:2])") == "2.0 2.0"
