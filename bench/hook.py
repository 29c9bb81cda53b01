"""The prompt hook beside direnv's and mise's: what each costs at a prompt where nothing changed, and on cd.

    python bench/hook.py [--rounds N] [--mise PROGRAM]

Each side runs its own hook function inside one shell, in turns (A B A B); medians of the rounds are quoted in
microseconds a call, and the ratio beside the target of the project's design. Both the time that passes and the time of
the processors (of the shell and its children, less that of one call) are quoted; the latter says more on a busy machine. The
environments are equal: forty variables and two entries of PATH. A project of ours watches two files and looks whether
lockfiles appear, or with --large what a project of npm and Python has: eight files, three of them large.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace

VARIABLES = {f"VARIABLE_{number}": f"value {number}" for number in range(40)}
SHELLS = ("bash", "zsh", "fish", "nu", "elvish", "tcsh")
PROMPTS, MOVES = 300, 40
# A loop for each shell: it prints microseconds a call of its body.
LOOPS = {
    "bash": "s=$EPOCHREALTIME; for ((k=0;k<{count};k++)); do {body}; done; e=$EPOCHREALTIME; "
    "echo TIME $(( (${{e/./}} - ${{s/./}}) / {count} ))",
    "zsh": "zmodload zsh/datetime; s=$EPOCHREALTIME; for ((k=0;k<{count};k++)) do {body}; done; e=$EPOCHREALTIME; "
    "printf 'TIME %d\\n' $(( (e - s) * 1000000 / {count} ))",
    "fish": "set s (date +%s%N); for k in (seq {count}); {body}; end; set e (date +%s%N); "
    'echo TIME (math -s0 "($e - $s) / 1000 / {count}")',
    "nu": "let s = (date now | into int); for k in 1..{count} {{ {body} }}; let e = (date now | into int); "
    "print $'TIME (($e - $s) / 1000 / {count})'",
    "elvish": "time &on-end={{|d| echo TIME (* $d (/ 1000000 {count})) }} {{ for k [(range {count})] {{ {body} }} }}",
    "tcsh": "set s = `date +%s%N`\n@ k = 0\nwhile ($k < {count})\n{body}\n@ k ++\nend\nset e = `date +%s%N`\n"
    "@ d = ($e - $s) / 1000 / {count}\necho TIME $d",
}
PLAIN = {
    "bash": ["--norc", "--noprofile"],
    "zsh": ["-f"],
    "fish": ["--no-config"],
    "nu": ["--no-config-file"],
    "elvish": ["-norc"],
    "tcsh": ["-f"],
}
SEEN = {"nu": "print $'HAS ($env.VARIABLE_7)'", "elvish": "echo HAS $E:VARIABLE_7"}
# How our hook is called where it is no function. A script of elvish's has no editor, so one is made up.
CALLS = {
    "nu": "do --env $env.config.hooks.pre_prompt.0",
    "elvish": "$edit:before-readline[0]",
    "tcsh": "precmd",
}
LOADS = {"elvish": "var edit: = (ns [&before-readline=[] &add-var~={|@_| }])\n"}


class Side:
    """One hook in one shell: `load` defines it, `hook` is what runs before a prompt."""

    def __init__(
        self, name: str, shell: str, load: str, hook: str, project: str, env: dict[str, str]
    ) -> None:
        self.name, self.shell, self.load, self.hook = name, shell, load, hook
        self.project, self.env = project, env
        self.prompts: list[float] = []
        self.moves: list[float] = []
        self.work: list[float] = []

    def measure(self) -> None:
        at = f"cd '{self.project}'; {self.hook}"
        _, least = self._run(at, 1, self.hook)
        passed, work = self._run(at, PROMPTS, self.hook)
        self.prompts.append(passed)
        self.work.append((work - least) / (PROMPTS - 1))
        passed, _ = self._run(self.hook, MOVES, f"{at}; cd /; {self.hook}")
        self.moves.append(passed)

    def _run(self, before: str, count: int, body: str) -> tuple[float, float]:
        """Microseconds that a call of the body took, and of the processors' time for all of it."""
        loop = LOOPS[self.shell].format(count=count, body=body)
        seen = SEEN.get(self.shell, 'echo HAS "$VARIABLE_7"')
        check = f"cd '{self.project}'; {self.hook}; {seen}; cd /; {self.hook}"
        script = os.path.join(self.env["HOME"], f"script.{self.shell}")
        with open(script, "w") as file:
            file.write(f"{self.load}\n{check}\n{before}\n{loop}\n")
        used = processors()
        done = subprocess.run(
            [program(self.shell), *PLAIN[self.shell], script],
            env=self.env,
            cwd="/",
            capture_output=True,
            text=True,
        )
        if done.returncode or "HAS value 7" not in done.stdout:
            raise SystemExit(
                f"{self.name} in {self.shell} does not enter its project:\n{done.stdout}{done.stderr[:2000]}"
            )
        return float(done.stdout.rpartition("TIME ")[2]), processors() - used


def processors() -> float:
    """Microseconds of the processors that this program's children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def write_lockfiles(project: str) -> None:
    """Have the hook watch what a project of npm, uv and Cargo has: six files more, three of them of 200 to 500 KiB."""
    sizes = {"package.json": 2, "pyproject.toml": 2, "Cargo.toml": 1}
    sizes |= {"package-lock.json": 500, "uv.lock": 300, "Cargo.lock": 200}
    for name, size in sizes.items():
        with open(os.path.join(project, name), "wb") as file:
            file.write(os.urandom(size * 1024))


def watch_lockfiles(project: str, env: dict[str, str]) -> None:
    """Such a project would need three registries to be locked; what its hook knows is what is measured."""
    from devenv.hook_index import hook_directory, read_entry, write_entry
    from devenv.hooking import settled_mtimes

    entry = read_entry(hook_directory(env), project)
    if entry is None:
        raise SystemExit(f"no entry for {project}")
    names = ["package.json", "pyproject.toml", "Cargo.toml", "package-lock.json", "uv.lock", "Cargo.lock"]
    paths = [os.path.join(project, name) for name in names]
    watched = [(kind, path) for kind, path in entry.watched if path not in paths]
    watched += [("watch", path) for path in paths]
    mtimes = settled_mtimes([path for kind, path in watched if kind != "absent"])
    write_entry(hook_directory(env), replace(entry, watched=tuple(watched)), mtimes)


def program(name: str) -> str:
    tools = os.environ.get("DEVENV_TEST_TOOLS", "")
    found = shutil.which(name) or shutil.which(name, path=os.path.join(tools, "bin"))
    if found is None:
        raise SystemExit(f"{name} is not there: run tools/test-tools DIRECTORY and set DEVENV_TEST_TOOLS")
    return found


def ours(base: str, env: dict[str, str], shells: list[str], *, large: bool) -> list[Side]:
    project = os.path.join(base, "ours")
    os.makedirs(project + "/bin")
    devenv = os.path.join(os.path.dirname(sys.executable), "devenv")
    with open(project + "/devenv.toml", "w") as file:
        file.write('name = "bench"\n[env]\nPATH = { prepend = ["./bin", "./tools"] }\n')
        file.write("".join(f'{name} = "{value}"\n' for name, value in VARIABLES.items()))
    for words in (["lock"], ["allow", "--yes"], ["hook", "--refresh", "--project", project]):
        subprocess.run([devenv, *words], cwd=project, env=env, check=True, capture_output=True)
    if large:
        write_lockfiles(project)
        watch_lockfiles(project, env)
    sides = []
    for shell in shells:
        text = subprocess.run(
            [devenv, "hook", shell], env=env, check=True, capture_output=True, text=True
        ).stdout
        call = CALLS.get(shell, "__devenv_hook")
        sides.append(Side("devenv", shell, LOADS.get(shell, "") + text, call, project, env))
    return sides


def direnv(base: str, env: dict[str, str], shells: list[str]) -> list[Side]:
    project = os.path.join(base, "direnv")
    os.makedirs(project)
    with open(project + "/.envrc", "w") as file:
        file.write("PATH_add bin\nPATH_add tools\n")
        file.write("".join(f"export {name}='{value}'\n" for name, value in VARIABLES.items()))
    own = program("direnv")
    env = env | {"DIRENV_LOG_FORMAT": ""}
    subprocess.run([own, "allow"], cwd=project, env=env, check=True, capture_output=True)
    calls = {shell: f'eval "$({own} export {shell})"' for shell in ("bash", "zsh")}
    calls["fish"] = f"{own} export fish | source"
    calls["nu"] = f"^'{own}' export json | from json | default {{}} | load-env"
    calls["elvish"] = (
        f"{own} export elvish | from-json | each {{|e| for n [(keys $e)] "
        "{ if (eq $e[$n] $nil) { unset-env $n } else { set-env $n $e[$n] } } }"
    )
    calls["tcsh"] = f"eval `{own} export tcsh`"
    return [Side("direnv", shell, "", calls[shell], project, env) for shell in shells]


def mise(base: str, env: dict[str, str], own: str, shells: list[str]) -> list[Side]:
    project = os.path.join(base, "mise")
    os.makedirs(project)
    with open(project + "/mise.toml", "w") as file:
        file.write('[env]\n_.path = ["./bin", "./tools"]\n')
        file.write("".join(f'{name} = "{value}"\n' for name, value in VARIABLES.items()))
    env = env | {"MISE_TRUSTED_CONFIG_PATHS": base, "__MISE_SHELL": ""}
    sides = []
    # It has nothing for tcsh, and what it has for nushell runs at a prompt only.
    for shell in [name for name in shells if name in ("bash", "zsh", "fish", "elvish")]:
        text = subprocess.run(
            [own, "activate", shell], env=env, check=True, capture_output=True, text=True
        ).stdout
        hook = {
            "fish": f"{own} hook-env -s fish | source",
            "elvish": f"eval ({own} hook-env -s elvish | slurp)",
        }.get(shell, f'eval "$({own} hook-env -s {shell})"')
        sides.append(Side("mise", shell, "" if shell == "elvish" else text, hook, project, env))
    return sides


def show(sides: list[Side]) -> None:
    for shell in dict.fromkeys(side.shell for side in sides):
        group = [side for side in sides if side.shell == shell]
        for title, pick in (
            ("a prompt, nothing changed", "prompts"),
            ("a prompt, nothing changed, time of the processors", "work"),
            ("into the project and out again", "moves"),
        ):
            print(f"\n{shell}: {title}")
            first = statistics.median(getattr(group[0], pick))
            for side in group:
                values = getattr(side, pick)
                middle = statistics.median(values)
                line = f"  {side.name:<8} {middle:9.0f} us  ({min(values):.0f} - {max(values):.0f})"
                if side is not group[0]:
                    line += f"   ours / this = 1/{middle / first:.0f}"
                    line += "   target <= 1/30" if pick != "moves" else ""
                elif pick == "prompts":
                    line += "   target <= 50 us"
                print(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--mise", metavar="PROGRAM", default=shutil.which("mise"), help="default: the one on PATH"
    )
    parser.add_argument("--shells", nargs="+", choices=SHELLS, default=list(SHELLS))
    parser.add_argument(
        "--large", action="store_true", help="a project with a package-lock.json, a uv.lock and a Cargo.lock"
    )
    arguments = parser.parse_args()
    base = tempfile.mkdtemp(prefix="devenv-bench-")
    try:
        env = {"HOME": base, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        sides = [
            *ours(base, env, arguments.shells, large=arguments.large),
            *direnv(base, env, arguments.shells),
        ]
        if arguments.mise:
            sides += mise(base, env, os.path.abspath(arguments.mise), arguments.shells)
        else:
            print("mise is absent")
        for _ in range(arguments.rounds):
            for side in sides:
                side.measure()
        show(sides)
    finally:
        subprocess.run(["chmod", "-R", "u+w", base], check=False)
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
