"""Real nix enters our environments: nix-shell, nix develop and nix print-dev-env on the shell derivation."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from devenv.derivations.graph import Graph
from devenv.env.nix_shell import setup
from devenv.env.object import render_object
from devenv.env.shell_derivation import shell_derivation
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, Unset
from devenv.formats.derivation import references
from devenv.shells import bash, fish, zsh
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.shells.nasty import NASTY
from tests.support.nix import Nix

ORIGIN = "a test"
# nix 2.8 reads the variables back through JSON that it writes itself, and escapes only some control characters
# and no bytes; a carriage return does not come through the text that `Nix.run` returns.
LEFT_OUT = ("marks", "long", "control", "vertical", "carriage-return")
VALUES = {
    f"V_{index}": value
    for index, (name, value) in enumerate(NASTY.items())
    if name not in LEFT_OUT and not any("\udc80" <= letter <= "\udcff" for letter in value)
}
DUMP = "/usr/bin/env -0"


def demo_spec() -> Spec:
    variables: dict[str, tuple[Operation, ...]] = {
        name: (Set(value=value, origin=ORIGIN),) for name, value in VALUES.items()
    }
    return Spec(
        name="demo",
        variables=variables
        | {
            "PATH": (
                Prepend(entries=("/ours/bin", "./bin"), origin=ORIGIN),
                Append(entries=("/last",), origin=ORIGIN),
            ),
            "VIEW": (Set(value="${project}/.devenv/view", origin=ORIGIN),),
            "EDITOR": (Default(value="vi", origin=ORIGIN),),
            "AWAY": (Unset(origin=ORIGIN),),
            "XDG_DATA_DIRS": (Prepend(entries=("/ours/share", "./share"), origin=ORIGIN),),
            "EXTRA_DIRS": (Append(entries=("/ours/x",), separator=";", origin=ORIGIN),),
        },
        aliases={
            "greet": ("printf", "%s-%s\\n", "it's", "$x"),
            "printf": ("printf", "<%s>"),
            "ls": ("ls", "-a"),
        },
        scripts={"show-place": 'echo "$DEVENV_PROJECT"'},
    )


class Entered:
    """A store with the spec object and its shell derivation, and nix to look at them."""

    def __init__(self, root: Path) -> None:
        self.project = root / "it's a $project"
        self.project.mkdir()
        layout = Layout.find(str(root / "nix" / "store"), {"HOME": str(root)})
        spec = demo_spec()
        with Store.open(layout) as store:
            with store.temporary_directory() as folder:
                tree = os.path.join(folder, "tree")
                for name, (contents, executable) in render_object(
                    spec, {"bash": bash, "zsh": zsh, "fish": fish}
                ).items():
                    file = Path(tree, name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(contents)
                    file.chmod(0o555 if executable else 0o444)
                self.spec = store.adopt_tree("demo-env-spec", tree, ())
            values = shell_derivation(spec=self.spec, project=str(self.project))
            node = Graph(store.store_dir).add(
                name="demo-shell",
                system=values.system,
                builder=values.builder,
                args=values.args,
                env=values.env,
                sources=(self.spec,),
            )
            store.add_texts([(node.path, node.aterm, references(node.derivation))])
        self.drv, self.out = node.path, node.out
        self.nix = Nix(layout, root)
        self.nix.environment = {**self.nix.environment, "AWAY": "here", "EDITOR": "emacs"}

    def dump(self, *command: str) -> dict[str, str]:
        text = self.nix.run(*command).stdout
        return dict(entry.split("=", 1) for entry in text.split("\0")[:-1])


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> Entered:
    return Entered(tmp_path_factory.mktemp("nix"))


def check_common(found: dict[str, str], entered: Entered) -> None:
    """What holds in every one of nix's shells."""
    assert {name: found.get(name) for name in VALUES} == VALUES
    assert found["VIEW"] == f"{entered.project}/.devenv/view"
    assert found["DEVENV_PROJECT"] == str(entered.project)
    assert found["XDG_DATA_DIRS"].startswith(f"/ours/share:{entered.project}/share")
    assert found["EXTRA_DIRS"] == "/ours/x"
    path = found["PATH"].split(":")
    ours = [f"{entered.spec}/bin", "/ours/bin", f"{entered.project}/bin", "/last"]
    assert path[path.index(ours[0]) :][:4] == ours
    assert "/path-not-set" not in path
    assert not [name for name in found if name.startswith("__devenv")]


def test_nix_shell_runs_in_the_environment(entered: Entered) -> None:
    found = entered.dump("nix-shell", entered.drv, "--run", DUMP)
    check_common(found, entered)
    assert "AWAY" not in found
    assert found["EDITOR"] == "emacs"
    done = entered.nix.run("nix-shell", entered.drv, "--run", "greet; show-place")
    assert done.stdout == f"it's-$x\n{entered.project}\n"


def test_nix_shell_pure(entered: Entered) -> None:
    found = entered.dump("nix-shell", "--pure", entered.drv, "--run", DUMP)
    check_common(found, entered)
    assert found["EDITOR"] == "vi"


def test_nix_develop_runs_in_the_environment(entered: Entered) -> None:
    found = entered.dump("nix", "develop", entered.drv, "--command", "/usr/bin/env", "-0")
    check_common(found, entered)


def test_print_dev_env_can_be_sourced(entered: Entered, tmp_path: Path) -> None:
    code = tmp_path / "env.sh"
    code.write_text(entered.nix.run("nix", "print-dev-env", entered.drv).stdout)
    done = subprocess.run(
        ["/bin/bash", "-c", f'source "$0"; {DUMP}; greet', str(code)],
        env=dict(entered.nix.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    *entries, last = done.stdout.split("\0")
    check_common(dict(entry.split("=", 1) for entry in entries), entered)
    assert last == "it's-$x\n"


def test_print_dev_env_as_json(entered: Entered) -> None:
    found = json.loads(entered.nix.run("nix", "print-dev-env", "--json", entered.drv).stdout)
    exported = {
        name: entry["value"] for name, entry in found["variables"].items() if entry["type"] == "exported"
    }
    check_common(exported, entered)
    assert set(found["bashFunctions"]) == {"greet", "ls"}


def test_the_derivation_builds_and_names_the_spec(entered: Entered) -> None:
    assert entered.nix.store("--realise", entered.drv) == entered.out
    assert Path(entered.out).read_text() == f"{entered.spec}\n"
    assert entered.nix.store("-q", "--references", entered.out) == entered.spec
    assert entered.spec in entered.nix.store("-q", "--tree", entered.drv)


def test_an_environment_that_adds_nothing_still_has_a_path() -> None:
    text = setup(Spec(name="bare"), bash.quote)
    done = subprocess.run(
        ["/bin/bash", "-euc", 'eval "$0"; echo "$PATH"', text],
        env={"PATH": "/path-not-set"},
        capture_output=True,
    )
    assert done.stdout == b"/usr/bin:/bin\n"
