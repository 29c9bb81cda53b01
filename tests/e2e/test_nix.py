"""Real nix commands on what devenv made: the store, the environment spec, the shell derivation."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from devenv.store.layout import Layout
from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.nix import nix_environment
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at

NASTY = 'line one\nit\'s "quoted" $HOME `id` \\ ünï→'


class Nix:
    """nix commands with one project's store."""

    def __init__(self, user: User, root: Path, tmp_path: Path) -> None:
        self.root = root
        self.env = nix_environment(Layout.find(None, user.env), tmp_path)

    def run(self, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program(name), *arguments],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{name} {arguments}:\n{done.stdout}{done.stderr}"
        return done


@pytest.fixture
def entered(tmp_path: Path, user: User, registry: Registry) -> tuple[User, Path, Nix]:
    root = tmp_path / "project"
    npm_project(root, registry)
    python_project(root, registry)
    configure(
        root,
        'name = "demo"\n[packages]\npython = "3.11"\n[env]\n'
        f"NASTY = {json.dumps(NASTY)}\n"
        'PLAIN = "x"\nPATH = { prepend = ["./bin"] }\n[aliases]\ngreet = ["echo", "hello there"]\n',
    )
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    return user, root, Nix(user, root, tmp_path)


def test_nix_finds_nothing_wrong_in_the_store(entered: tuple[User, Path, Nix]) -> None:
    _, _, nix = entered
    done = nix.run("nix-store", "--verify", "--check-contents")
    wrong = [line for line in done.stderr.splitlines() if not line.startswith(("reading the", "checking "))]
    assert wrong == []


def test_the_tree_of_the_spec_shows_its_packages(entered: tuple[User, Path, Nix]) -> None:
    _, root, nix = entered
    spec = str((root / ".devenv/env").readlink())
    tree = nix.run("nix-store", "-q", "--tree", spec).stdout
    for name in ("pkg0-1.0.0", "pkg2-1.0.0", "wheel0-1.0", "wheel2-1.0", "demo-env-spec"):
        assert name in tree


def test_collection_keeps_the_environment_until_its_link_is_gone(entered: tuple[User, Path, Nix]) -> None:
    user, root, nix = entered
    spec = (root / ".devenv/env").readlink()
    nix.run("nix-store", "--gc")
    assert spec.is_dir()
    assert user.run("enter", "--offline", "-c", "hello0", cwd=root).stdout == "hello from wheel0\n"
    (root / ".devenv/env").unlink()
    (root / ".devenv/shell.drv").unlink()
    nix.run("nix-store", "--gc")
    assert spec.is_dir(), "the generation keeps it"
    (root / "devenv.toml").unlink()
    user.run("gc", cwd=root)
    assert not spec.exists()


def our_environment(user: User, root: Path) -> dict[str, str]:
    dump = "import os, json; print(json.dumps(dict(os.environ)))"
    found: dict[str, str] = json.loads(user.run("enter", "--", "python", "-c", dump, cwd=root).stdout)
    return found


def our_path(environment: dict[str, str], user: User) -> str:
    """PATH without the part that the user had before."""
    return environment["PATH"].removesuffix(":" + user.env["PATH"])


def test_nix_shell_gives_the_same_environment(entered: tuple[User, Path, Nix]) -> None:
    user, root, nix = entered
    ours = our_environment(user, root)
    dump = "import os, json; print(json.dumps(dict(os.environ)))"
    drv = str((root / ".devenv/shell.drv").readlink())
    done = nix.run("nix-shell", drv, "--run", f"python -c '{dump}'")
    theirs = json.loads(done.stdout)
    # nix-shell itself puts the directory of its bash in front of whatever the environment says.
    shell, _, path = theirs["PATH"].partition(":")
    assert os.listdir(shell) == ["bash"]
    assert path.startswith(our_path(ours, user) + ":")
    for name in ("NASTY", "PLAIN", "VIRTUAL_ENV"):
        assert theirs[name] == ours[name]
    assert nix.run("nix-shell", drv, "--run", "hello0; greet").stdout == "hello from wheel0\nhello there\n"


def test_print_dev_env_gives_the_same_environment(entered: tuple[User, Path, Nix]) -> None:
    user, root, nix = entered
    ours = our_environment(user, root)
    drv = str((root / ".devenv/shell.drv").readlink())
    variables = json.loads(nix.run("nix", "print-dev-env", "--json", drv).stdout)["variables"]
    assert variables["PATH"]["value"].startswith(our_path(ours, user))
    for name in ("NASTY", "PLAIN", "VIRTUAL_ENV"):
        assert variables[name] == {"type": "exported", "value": ours[name]}


def test_a_fetch_derivation_can_be_realised_by_nix(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "project"
    npm_project(root, registry, count=1)
    point_clients_at(registry, user.home)
    shown = json.loads(user.run("convert", "package-lock.json", "--json", "--write", cwd=root).stdout)
    (drv,) = (path for path, d in shown["derivations"].items() if d["builder"] == "builtin:fetchurl")
    nix = Nix(user, root, tmp_path)
    out = nix.run("nix-store", "--realise", drv).stdout.strip()
    assert Path(out).read_bytes() == registry.npm["pkg0"]["1.0.0"]
