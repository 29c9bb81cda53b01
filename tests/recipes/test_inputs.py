"""What recipes are built with: packages of the environment, and a shell of their own without the machine's."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from tests.e2e.projects import npm_project, python_project
from tests.support.devenv import User
from tests.support.registry import Registry, point_clients_at, serve

pytestmark = pytest.mark.usefixtures("sandboxes")


def test_packages_of_lockfiles_are_inputs(user: User, root: Path) -> None:
    with serve(Registry()) as registry:
        npm_project(root, registry, 2)
        python_project(root, registry, 1)
        point_clients_at(registry, user.home)
        (root / "devenv.toml").write_text(
            """
[packages]
python = "3"
[build.uses]
inputs = ["npm:pkg1", "pip:wheel0"]
host = true
phases.install = "cat $input_npm_pkg1/index.js $input_pip_wheel0/wheel0/__init__.py >$out"
"""
        )
        done = user.run("build", cwd=root, check=False)
        assert done.returncode == 1
        assert "devenv.lock does not exist yet" in done.stderr
        user.run("lock", cwd=root)
        dry = user.run("build", "--dry-run", cwd=root).stdout
        assert "would fetch 2 files" in dry
        entering = user.run("enter", "--dry-run", cwd=root).stdout
        assert "would fetch 3 files" in entering
        assert list(user.store_root.joinpath("store").glob("*-*")) == []
        out = Path(user.run("build", cwd=root).stdout.strip())
    assert "require('pkg0')" in out.read_text()
    assert "hello from wheel0" in out.read_text()


UNKNOWN = {
    "npm:nothing": "of which there is none",
    "ruby": "of which there is none",
    "cargo:serde": "of which there is none",
    "python": "which is this machine's and no store object",
}


@pytest.mark.parametrize(("name", "what"), UNKNOWN.items())
def test_inputs_that_there_are_none_of_are_named(user: User, root: Path, name: str, what: str) -> None:
    (root / "devenv.toml").write_text(f'[build.a]\nhost = true\ninputs = ["{name}"]\n')
    user.run("lock", cwd=root)
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    assert f"devenv.toml:1: a has the input {name}, {what}" in done.stderr


def test_check_reports_recipes_too(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text(
        "[build.a]\nhost = true\nphases.x = {run = 'x', after = ['y']}\n"
        "[build.b]\nhost = true\nphases.z = {run = 'x'}\n"
    )
    user.run("lock", cwd=root)
    done = user.run("check", cwd=root, check=False)
    assert done.returncode == 1
    assert "devenv.toml:3: the recipe a: the phase x comes after y, which is no phase" in done.stderr
    assert "devenv.toml:6: the recipe b: the phase z has no place" in done.stderr


# A shell in the store: dash with its loader and library, started by a static program that knows where they are.
SHELL = """
[build.dash]
sources = ["sh.c"]
host = true
[build.dash.phases]
build = "cc -static -DPLACE=\\"\\\\\\"$out\\\\\\"\\" -o sh sh.c"
install = '''
mkdir -p $out/bin $out/lib
cp sh $out/bin/sh
cp -L /bin/dash $out/lib/
for each in $(ldd /bin/dash | grep -o '/[^ ]*'); do cp -L "$each" $out/lib/; done
mv $out/lib/ld-linux* $out/lib/loader
'''

[build.pure]
inputs = ["dash"]
shell = "dash/bin/sh"
[build.pure.phases]
unpack = false
install = '''
for each in /bin/sh /usr /lib /etc/alternatives; do
    if [ -e "$each" ]; then echo "sees $each" >&2; exit 1; fi
done
echo "$PATH" >"$out"
'''
fixup = false
"""
LAUNCHER = """
#include <string.h>
#include <unistd.h>

int main(int count, char **words)
{
    char *all[count + 4];
    all[0] = PLACE "/lib/loader";
    all[1] = "--library-path";
    all[2] = PLACE "/lib";
    all[3] = PLACE "/lib/dash";
    memcpy(all + 4, words + 1, count * sizeof *words);
    execv(all[0], all);
    return 126;
}
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the shell is taken from a machine with glibc")
def test_without_the_machine_a_recipe_runs_on_its_inputs_alone(user: User, root: Path) -> None:
    for name in ("cc", "ldd"):
        if shutil.which(name, path="/usr/bin:/bin") is None:
            pytest.skip(f"there is no {name} on this machine")
    (root / "sh.c").write_text(LAUNCHER)
    (root / "devenv.toml").write_text(SHELL)
    done = user.run("build", "pure", cwd=root, check=False)
    if "cannot find -lc" in done.stderr:
        pytest.skip("there is no static C library on this machine")
    assert done.returncode == 0, done.stderr
    out = Path(done.stdout.strip())
    (shell,) = user.run("store", "query", "--references", str(out), cwd=root).stdout.split()
    assert out.read_text() == f"{shell}/bin\n"
    done = user.run("enter", "--build", "pure", "-c", 'phase build; echo "$PATH"', cwd=root)
    assert done.stdout.splitlines()[0] == "phase: build"
    assert f"{shell}/bin:/usr/bin:/bin" in done.stdout, (
        "a person has the machine's programs behind those of the build"
    )
