"""What moving into a root costs: devenv's ways in beside bubblewrap with the same mounts.

    python bench/entering.py [--runs N] [--base debian/bookworm]

Each runs `true`: by itself, in a root of packages by `devenv fhs`, in a project with system packages by `devenv enter`, by
bubblewrap given the very mounts that devenv makes, by the launcher that `devenv install` writes, and by the interpreter that does
nothing. In turns, medians. Bubblewrap is
one of the packages, from the base; they are fetched when they are missing, which is not counted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from compare import Contestant, alternate, devenv_argv

from devenv.fhs import state as states
from devenv.fhs.mounts import mounts
from devenv.fhs.relocation import relocated
from devenv.foreign.launching import Launch
from devenv.installing.programs import launcher
from devenv.sandbox.spec import Bind, Directory, Mount, Symlink, Tmpfs

PACKAGES = ("bubblewrap", "coreutils")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--base", default="debian/bookworm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as folder:
        contestants = prepare(os.path.realpath(folder), options.base)
        alternate(contestants, options.runs, warmup=3)
    show(contestants)
    return 0


def prepare(folder: str, base: str) -> list[Contestant]:
    environ = dict(os.environ)
    fhs = [*devenv_argv(), "fhs", "--base", base, *PACKAGES]
    printed = subprocess.run(
        [*fhs, "--print-root"], cwd=folder, env=environ, stdout=subprocess.PIPE, check=True
    )
    root = printed.stdout.decode().strip()
    project = f"{folder}/project"
    os.mkdir(project)
    with open(f"{project}/devenv.toml", "w", encoding="utf-8") as file:
        listed = ", ".join(f'"{name}"' for name in PACKAGES)
        file.write(f'name = "bench"\nbase = "{base}"\n[packages]\nsystem = [{listed}]\n')
    for words in (["lock"], ["enter", "--", "true"]):
        subprocess.run([*devenv_argv(), *words], cwd=project, env=environ, check=True)
    state = f"{folder}/state"
    shown = states.root(root)
    states.prepare(state, shown)
    arguments = [word for mount in mounts(states.machine(), shown, state) for word in in_bubblewrap(mount)]
    bubblewrap = [f"{relocated(root)}/usr/bin/bwrap", "--unshare-user", *arguments, "/usr/bin/true"]
    installed = f"{folder}/launcher"
    with open(installed, "wb") as file:
        launch = Launch(root=root, state=state, argv=("/usr/bin/true",), environ=environ)
        file.write(launcher("true", launch, "true").elf())
    os.chmod(installed, 0o755)
    commands = {
        "true": ["/bin/true"],
        "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
        "bubblewrap": bubblewrap,
        "installed launcher": [installed],
        "devenv fhs": [*fhs, "--", "true"],
        "devenv enter": [*devenv_argv(), "enter", "--", "true"],
    }
    return [Contestant(name, argv, project, environ) for name, argv in commands.items()]


def in_bubblewrap(mount: Mount) -> list[str]:
    """A mount as bubblewrap's options say it."""
    if isinstance(mount, Bind):
        kind = "--dev-bind" if mount.target == "/dev" else "--bind" if mount.writable else "--ro-bind"
        return [f"{kind}-try" if mount.optional else kind, mount.source, mount.target]
    if isinstance(mount, Tmpfs):
        return ["--tmpfs", mount.target]
    if isinstance(mount, Symlink):
        return ["--symlink", mount.points_to, mount.target]
    if isinstance(mount, Directory):
        return ["--dir", mount.target]
    raise AssertionError(f"sessions have no mount like {mount.describe()}")


def show(contestants: list[Contestant]) -> None:
    print("entering a root of packages and running `true`, milliseconds")
    medians = {each.name: each.median * 1000 for each in contestants}
    allowed = medians["bubblewrap"] + medians["python -I -S -c pass"]
    for name, value in medians.items():
        line = f"  {name:<24} {value:7.1f}"
        if name == "installed launcher":
            line += f"   {value / medians['bubblewrap']:.2f} of bubblewrap   target <= 1.1"
        if name.startswith("devenv"):
            line += f"   {value / allowed:.2f} of bubblewrap and the interpreter's start   target <= 1"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
