"""The hook at the prompt of real shells: where one is decides which environment one is in, at no cost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.env.spec import Prepend
from devenv.hook_index import entry_directory, remove_entry
from tests.shells.dialects import DIALECTS, can_hold
from tests.shells.harness import NEED_PLACE, base_environ
from tests.shells.prompt import NAMES, ONLY_CD, Machine, Prompt
from tests.support.programs import program

Open = Callable[..., Prompt]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


@pytest.fixture
def prompt(machine: Machine) -> Iterator[Open]:
    opened = []

    def start(shell: str, **options: object) -> Prompt:
        opened.append(Prompt(shell, machine, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def slow_ones(names: tuple[str, ...], slow: tuple[str, ...] = ("xonsh",)) -> list[object]:
    """xonsh takes a second for each line."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.fixture(params=slow_ones(NAMES))
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Where one is


def test_a_project_is_entered_and_left_by_going_there(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    (place / "deep/er").mkdir(parents=True)
    at = prompt(shell)
    before = at.environ()
    assert "COLOUR" not in before
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"
    at.run("cd deep/er")
    assert at.variable("COLOUR") == "red"
    at.run(f"cd {machine.root}")
    assert at.environ() == before
    assert machine.asked(0) == []


def test_the_nearest_project_counts(shell: str, machine: Machine, prompt: Open) -> None:
    outer = machine.project("p", COLOUR="red", OUTER="yes")
    inner = machine.project("p/inner", COLOUR="green")
    at = prompt(shell)
    seen = []
    for place in (inner, outer, inner, machine.root, outer):
        at.run(f"cd {place}")
        found = at.environ()
        seen.append((found.get("COLOUR"), found.get("OUTER"), found.get("DEVENV_PROJECT")))
    inside, outside = ("green", None, str(inner)), ("red", "yes", str(outer))
    assert seen == [inside, outside, inside, (None, None, None), outside]


def test_a_shell_that_starts_in_a_project_is_in_it(shell: str, machine: Machine, prompt: Open) -> None:
    machine.project("", COLOUR="red")
    assert prompt(shell).variable("COLOUR") == "red"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "ksh93"])
def test_links_lead_to_the_project_that_they_lead_to(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    (place / "sub").mkdir()
    (machine.root / "link").symlink_to(place / "sub")
    at = prompt(shell)
    at.run(f"cd {machine.root}")
    at.run("cd link")
    found = at.environ()
    assert (found["COLOUR"], found["DEVENV_PROJECT"]) == ("red", str(place))
    # Where the shell believes to be, and to have been, is as before.
    assert f"\n{machine.root}/link" in at.run("echo; pwd").replace("\r", "")
    at.run("cd -")
    assert at.variable("COLOUR") is None
    assert f"\n{machine.root}\n" in at.run("echo; pwd").replace("\r", "")


@pytest.mark.parametrize("shell", slow_ones(tuple(name for name in (*NAMES, *ONLY_CD) if name != "nu")))
def test_cd_is_seen_within_the_line(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt(shell, wrap_cd=True)
    join = ";" if shell in ("elvish", "pwsh") else "&&"
    assert ":red:" in at.run(f"cd {place} {join} /bin/sh -c 'echo :$COLOUR:'")
    assert "::" in at.run(f"cd .. {join} /bin/sh -c 'echo :$COLOUR:'")


def test_bash_without_the_wrapper_sees_it_at_the_next_prompt(machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt("bash")
    assert "<>" in at.run(f"cd {place} && /bin/sh -c 'echo \"<$COLOUR>\"'")
    assert at.variable("COLOUR") == "red"


def test_layers_are_left_in_any_order(shell: str, machine: Machine, prompt: Open) -> None:
    def list_of(entry: str) -> dict[str, tuple[Prepend, ...]]:
        return {"A_PATH": (Prepend(entries=(entry,), origin="a test"),)}

    first, second = machine.project("p"), machine.project("q")
    machine.know(first, operations=list_of("/first"))
    machine.know(second, operations=list_of("/second"))
    by_hand = machine.know(machine.project("r"), operations=list_of("/hand"))
    at = prompt(shell, A_PATH="/mine")
    at.run(f"cd {first}")
    dialect = DIALECTS[shell]
    if dialect.renderer in NEED_PLACE:
        for name, value in (("spec", by_hand), ("project", f"{machine.root}/r")):
            at.run((dialect.local or dialect.assign).format(name=f"__devenv_{name}", value=value))
    at.run(dialect.source.format(file=f"'{by_hand}/activate.{dialect.suffix or dialect.renderer}'"))
    assert at.variable("A_PATH") == "/hand:/first:/mine"
    at.run(f"cd {second}")
    assert at.variable("A_PATH") == "/second:/hand:/mine"
    at.run(dialect.source.format(file=f"'{by_hand}/deactivate.{dialect.suffix or dialect.renderer}'"))
    assert at.variable("A_PATH") == "/second:/mine"
    at.run(f"cd {machine.root}")
    assert at.variable("A_PATH") == "/mine"


def test_who_left_by_hand_stays_out_until_coming_back(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    (place / "sub").mkdir()
    at = prompt(shell)
    at.run(f"cd {place}")
    at.run("devenv_leave")
    at.run("cd sub")
    assert at.variable("COLOUR") is None
    at.run(f"cd {machine.root}")
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"


def test_what_the_user_changed_inside_stays(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red", SHAPE="round")
    at = prompt(shell)
    at.run(f"cd {place}")
    at.run(DIALECTS[shell].assign.format(name="COLOUR", value="'mine'"))
    at.run(f"cd {machine.root}")
    found = at.environ()
    assert (found.get("COLOUR"), found.get("SHAPE")) == ("mine", None)


@pytest.mark.parametrize("shell", ONLY_CD)
def test_without_an_event_before_the_prompt_cd_brings_everything(
    shell: str, machine: Machine, prompt: Open
) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt(shell)
    before = at.environ()
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"
    edit_earlier(place / "devenv.toml")  # by a second: busybox compares no less
    at.run("cd .")
    at.run("cd .")
    assert machine.asked() == [f"hook --refresh --project {place}"]
    machine.know(place, COLOUR="green", news="it is ready")
    assert "devenv: it is ready" in at.run("cd .")
    assert at.variable("COLOUR") == "green"
    at.run(f"cd {machine.root}")
    assert at.environ() == before


# What changes


def edit_later(file: Path) -> None:
    """Another content, at the next time that a shell's own numbers can tell: .NET's count in 100 ns."""
    stamp = file.stat().st_mtime_ns
    later = stamp + (100 if "pwsh" in NAMES else 1)
    file.write_text("# edited\n")
    os.utime(file, ns=(later, later))


def edit_earlier(file: Path) -> None:
    """As `cp -p`, `mv` and `rsync` put an older file in its place."""
    stamp = file.stat().st_mtime_ns
    file.write_text("# older\n")
    os.utime(file, ns=(stamp - 10**9, stamp - 10**9))


CHANGES: dict[str, Callable[[Path], object]] = {
    "an edit in the same second": lambda place: edit_later(place / "devenv.toml"),
    "an older file": lambda place: edit_earlier(place / "devenv.toml"),
    "a file replaced": lambda place: (
        (place / "new").write_text("#"),
        (place / "new").rename(place / "devenv.toml"),
    ),
    "a lockfile appears": lambda place: (place / "uv.lock").write_text(""),
    "a lockfile vanishes": lambda place: (place / "package-lock.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed_once(
    shell: str, machine: Machine, prompt: Open, change: Callable[[Path], object]
) -> None:
    place = machine.project("p", COLOUR="red")
    (place / "package-lock.json").write_text("{}")
    watched = [("watch", place / "package-lock.json"), ("watch", place / "uv.lock")]
    machine.know(place, COLOUR="red", watched=watched)  # type: ignore[arg-type]
    at = prompt(shell)
    at.run(f"cd {place}")
    for _ in range(3):
        at.run("true")
    assert machine.asked(0) == []
    change(place)
    for _ in range(3):
        at.run("true")
    assert machine.asked() == [f"hook --refresh --project {place}"]
    assert at.variable("COLOUR") == "red", "the last environment stays meanwhile"


def test_the_new_environment_comes_at_the_next_prompt_with_one_line(
    shell: str, machine: Machine, prompt: Open
) -> None:
    place = machine.project("p", COLOUR="red", SHAPE="round")
    at = prompt(shell)
    at.run(f"cd {place}")
    machine.know(place, COLOUR="green", news="it is ready", say="something to know")
    shown = at.run("true") + at.run("true")
    assert shown.count("devenv: it is ready") == 1
    assert shown.count("devenv: something to know") == 1
    found = at.environ()
    assert (found["COLOUR"], found.get("SHAPE")) == ("green", None)
    assert "it is ready" not in prompt(shell).run(f"cd {place}"), "no news to who comes later"


def test_times_in_the_future_are_times_like_others(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p")
    future = (4102444800_000000001,) * 2  # the year 2100
    os.utime(place / "devenv.toml", ns=future)
    machine.know(place, COLOUR="red")
    at = prompt(shell)
    at.run(f"cd {place}")
    at.run("true")
    assert at.variable("COLOUR") == "red"
    assert machine.asked(0) == []


def test_what_is_only_looked_at_on_the_way_in_is_seen_then(
    shell: str, machine: Machine, prompt: Open
) -> None:
    place = machine.project("p")
    (place / "journal").write_text("")
    machine.know(place, watched=[("look", place / "journal")])
    at = prompt(shell)
    at.run(f"cd {place}")
    edit_later(place / "journal")
    at.run("true")
    assert machine.asked(0) == []
    at.run("cd ..")
    at.run(f"cd {place}")
    assert len(machine.asked()) == 1


def test_an_unknown_project_is_asked_about_once_and_entered_when_known(
    shell: str, machine: Machine, prompt: Open
) -> None:
    place = machine.project("p", COLOUR="red")
    remove_entry(str(machine.tree), str(place))
    at = prompt(shell)
    at.run(f"cd {place}")
    at.run("true")
    assert machine.asked() == [f"hook --refresh --project {place}"]
    machine.know(place, COLOUR="green")
    at.run("true")
    assert at.variable("COLOUR") == "green"
    assert len(machine.asked()) == 1


def test_an_environment_that_was_collected_is_asked_for(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p")
    environment = machine.know(place, COLOUR="red")
    shutil.rmtree(environment)
    at = prompt(shell)
    shown = at.run(f"cd {place}") + at.run("true")
    assert "No such file" not in shown
    assert len(machine.asked()) == 1


def test_a_project_that_begins_or_ends_here_is_seen(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.root / "p"
    place.mkdir()
    at = prompt(shell)
    at.run(f"cd {place}")
    machine.project("p", COLOUR="red")
    at.run("true")
    assert at.variable("COLOUR") == "red"
    (place / "devenv.toml").unlink()
    at.run("true")
    assert at.variable("COLOUR") is None


# What it costs


def calls(trace: Path) -> tuple[int, int]:
    """Processes and programs that were started. fish has threads for what it shows while one types."""
    begun = [line for line in trace.read_text().splitlines() if "resumed>" not in line]
    programs = sum("execve" in line for line in begun)
    return sum(
        ("fork(" in line or "clone" in line) and "CLONE_THREAD" not in line for line in begun
    ), programs


def settled(trace: Path) -> tuple[int, int]:
    """The calls, when a shell's own start is over: fish begins some of it only while it waits for a key."""
    found = calls(trace)
    for _ in range(20):
        time.sleep(0.5)
        before, found = found, calls(trace)
        if found == before:
            break
    return found


@pytest.mark.parametrize(
    "shell", slow_ones((*NAMES, *ONLY_CD), ("xonsh", "nu", "elvish", "dash", "mksh")), indirect=True
)
@pytest.mark.parametrize("changed", [False, True], ids=["nothing changed", "one file changed"])
def test_a_thousand_prompts_start_no_process(
    shell: str, machine: Machine, prompt: Open, tmp_path: Path, changed: bool
) -> None:
    place = machine.project("p", COLOUR="red")
    for name in ("devenv.lock", "package-lock.json", "uv.lock", "pyproject.toml"):
        (place / name).write_text("")
    files = [
        place / name for name in ("devenv.lock", "package-lock.json", "uv.lock", "pyproject.toml", "absent")
    ]
    machine.know(place, COLOUR="red", watched=[("watch", file) for file in files])
    # What a shell's own start costs is not the hook's: it is done when the trace is read for the first time.
    at = prompt(shell, trace=tmp_path / "trace")
    at.run(f"cd {place}")
    if shell == "tcsh":
        time.sleep(2.1)  # it compares seconds, so it looks closely at files of this and the last one
    at.prompts(2)
    before = settled(tmp_path / "trace")
    if changed:
        # By a second for busybox, which compares no less.
        (edit_earlier if shell in ONLY_CD else edit_later)(place / "uv.lock")
    for _ in range(1 if changed else 20):
        at.prompts(50)
    time.sleep(0.2)
    deadline = time.monotonic() + 10
    while changed and calls(tmp_path / "trace")[1] == before[1] and time.monotonic() < deadline:
        time.sleep(0.1)  # strace writes what it saw when it has the time
    started = tuple(now - then for now, then in zip(calls(tmp_path / "trace"), before, strict=True))
    if changed:
        assert started[1] >= 1, "the trace shows what the hook starts"
    else:
        assert started == (0, 0), [
            line for line in (tmp_path / "trace").read_text().splitlines() if "execve" in line
        ][before[1] :]
    assert at.variable("COLOUR") == "red"


# Names and settings


NAMES_OF_DIRECTORIES = {
    "blanks": "a  b ",
    "single quote": "it's",
    "double quote": 'say "x"',
    "substitution": "$(touch HERE)",
    "backtick": "`touch HERE`",
    "semicolon": "a; touch HERE;",
    "glob": "*[a-z]?",
    "dash": "-n",
    "backslash": "a\\b\\",
    "unicode": "ünïcødé→環",
    "not UTF-8": os.fsdecode(b"a\xff\xfeb"),
    "percent": "%s%n!!",
    "tilde": "~root",
    "brace": "{a,b}",
    "control": "a\x01\tb\x1b[31m",
}


def test_a_directory_of_any_name_is_only_a_directory(shell: str, machine: Machine, prompt: Open) -> None:
    at = prompt(shell)
    names = [name for name in NAMES_OF_DIRECTORIES.values() if can_hold(shell, name)]
    if shell == "nu":  # it takes escape sequences out of every path
        names.remove(NAMES_OF_DIRECTORIES["control"])
    for number, name in enumerate(names):
        place = machine.project(name, COLOUR="red")
        (machine.root / f"to{number}").symlink_to(place)
        at.run(f"cd {machine.root}/to{number}")
        found = at.environ()
        assert (found.get("COLOUR"), found.get("DEVENV_PROJECT")) == ("red", str(place))
        assert len(machine.asked(0)) == number, name
        edit_later(place / "devenv.toml")
        at.run("true")
        assert machine.asked(number + 1)[number:] == [f"hook --refresh --project {place}"]
        at.run("cd /")
        assert at.variable("COLOUR") is None
    assert not list(machine.root.rglob("HERE"))


def test_a_name_that_cannot_be_written_down_is_no_project(shell: str, machine: Machine, prompt: Open) -> None:
    at = prompt(shell)
    for number, name in enumerate(("a\nb", "\n", "a\n$(touch HERE)\n", "=devenv=")):
        place = machine.root / name
        place.mkdir()
        (place / "devenv.toml").write_text("")
        (machine.root / f"to{number}").symlink_to(place)
        at.run(f"cd {machine.root}/to{number}")
        at.run("true")
    assert machine.asked(0) == []
    assert not list(machine.root.rglob("HERE"))


@pytest.mark.parametrize(
    "line", ["set -u", "set -f", "shopt -s nocasematch extglob nullglob", "set -o posix", "IFS=/"]
)
def test_bash_may_be_set_in_any_way(machine: Machine, prompt: Open, line: str) -> None:
    lower, upper = machine.project("p", COLOUR="red"), machine.project("P", COLOUR="green")
    at = prompt("bash", after=line)
    at.run(f"cd {lower}")
    assert at.variable("COLOUR") == "red"
    shown = at.run(f"cd {upper}")
    assert at.variable("COLOUR") == "green"
    assert "unbound" not in shown
    at.run("cd /")
    assert at.variable("COLOUR") is None


@pytest.mark.parametrize(
    "line",
    [
        "setopt sh_word_split ksh_arrays",
        "setopt no_unset",
        "setopt no_glob",
        "emulate sh",
        "setopt err_return",
    ],
)
def test_zsh_may_be_set_in_any_way(machine: Machine, prompt: Open, line: str) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt("zsh", after=line)
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"
    at.run("cd /")
    assert at.variable("COLOUR") is None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "ksh93", "tcsh"])
def test_the_status_of_the_last_command_is_kept(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt(shell)
    status = "$status" if shell in ("fish", "tcsh") else "$?"
    failing = f"cd {place}; /bin/sh -c 'exit 7'"
    at.child.sendline(failing)
    assert "<7>" in at.run(f'echo "<{status}>"')
    at.child.sendline("/bin/sh -c 'exit 9'")
    assert "<9>" in at.run(f'echo "<{status}>"')


COMMANDS = {
    "text": ("PROMPT_COMMAND='seen=$((seen + 1))'", ""),
    "an array": ("PROMPT_COMMAND=('seen=$((seen + 1))' true)", ""),
    "set later": ("", 'PROMPT_COMMAND="$PROMPT_COMMAND;seen=\\$((seen + 1))"'),
    "exported": ("export PROMPT_COMMAND='seen=$((seen + 1))'", ""),
}


@pytest.mark.parametrize(("before", "after"), COMMANDS.values(), ids=COMMANDS)
def test_bash_keeps_the_users_own_prompt_commands(
    machine: Machine, prompt: Open, before: str, after: str
) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt("bash", before=before, after=after)
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"
    shown = at.run('echo "<$((seen > 1))>"') + at.run("/bin/bash --norc -ic 'echo child' 2>&1")
    assert "<1>" in shown
    assert "not found" not in shown


RC_LINES = {
    "bash": 'eval "$(devenv hook bash)"',
    "zsh": 'eval "$(devenv hook zsh)"',
    "fish": "devenv hook fish | source",
    "xonsh": "execx($(devenv hook xonsh))",
    "elvish": "eval (devenv hook elvish | slurp)",
    "tcsh": 'eval "`devenv hook tcsh`"',
    "ksh93": 'eval "$(devenv hook sh)"',
    # Typed once: nushell reads the file at each start.
    "nu": "mkdir $nu.user-autoload-dirs.0; devenv hook nu | save --force $'($nu.user-autoload-dirs.0)/devenv.nu'",
}


@pytest.mark.parametrize("shell", slow_ones(tuple(RC_LINES)))
def test_the_line_for_the_users_file_is_as_documented(shell: str, machine: Machine, prompt: Open) -> None:
    documented = (Path(__file__).parents[2] / "docs/hook.md").read_text()
    assert RC_LINES[shell] in documented
    place = machine.project("p", COLOUR="red")
    commands = machine.root / "commands"
    commands.mkdir()
    (commands / "devenv").write_text(f'#!/bin/sh\nexec {sys.executable} -m devenv "$@"\n')
    (commands / "devenv").chmod(0o755)
    environ = base_environ(machine.home) | {"PATH": f"{commands}:/usr/bin:/bin"}
    load = RC_LINES[shell]
    if shell == "nu":
        subprocess.run([program("nu"), "-c", load], env=environ, check=True, timeout=60)
        load = ""
    at = prompt(shell, load=load, PATH=environ["PATH"])
    at.run(f"cd {place}")
    assert at.variable("COLOUR") == "red"
    at.run("cd /")
    assert at.variable("COLOUR") is None


def test_sourcing_the_hook_again_changes_nothing(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt(shell)
    at.run(f"cd {place}")
    dialect = DIALECTS[shell]
    at.run(dialect.source.format(file=f"'{machine.home}/hook.{dialect.suffix or shell}'"))
    assert at.variable("COLOUR") == "red"
    at.run("cd /")
    assert at.variable("COLOUR") is None


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_aliases_of_the_users_do_not_get_into_the_hook(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.project("p", COLOUR="red")
    words = ("local", "eval", "cd", "case", "return", "unset", "mapfile", "builtin", "emulate")
    before = "\n".join(f"alias {word}='echo ALIASED #'" for word in words)
    at = prompt(shell, before=f"shopt -s expand_aliases\n{before}" if shell == "bash" else before)
    shown = at.run(f"\\cd {place}")
    assert at.variable("COLOUR") == "red"
    assert "ALIASED" not in shown
    assert "ALIASED" in at.run("eval x"), "they are still the user's"


def test_children_see_the_environment_and_nothing_of_the_hook(
    shell: str, machine: Machine, prompt: Open
) -> None:
    place = machine.project("p", COLOUR="red")
    at = prompt(shell)
    before = at.environ()
    at.run(f"cd {place}")
    inside = at.environ()
    assert {name: value for name, value in inside.items() if before.get(name) != value} == {
        "COLOUR": "red",
        "DEVENV_PROJECT": str(place),
    }
    assert not [name for name in inside if name.lower().startswith("__devenv")]


# What a repository brings along


def test_nothing_that_a_repository_brings_is_run(shell: str, machine: Machine, prompt: Open) -> None:
    place = machine.root / "evil"
    poison = f"touch {machine.root}/RAN\n"
    forged = place / ".devenv/env"
    forged.mkdir(parents=True)
    for name in NAMES:
        (forged / f"activate.{name}").write_text(poison)
    (place / "devenv.toml").write_text(poison)
    index = Path(entry_directory(str(place), str(place)))
    for folder in (place / "=devenv=/1", index / "1", place / ".devenv/=devenv=/1"):
        folder.mkdir(parents=True)
        entry = f"devenv-hook 1\nversion 1\nproject {place}\nstate ready\nspec {forged}\nsay \nnews \n"
        (folder / "entry").write_text(entry)
        (folder.parent / "current").symlink_to("1")
    (place / ".devenv/stamp").write_text(f"devenv-stamp 1 {machine.store}\nproject {place}\nspec {forged}\n")
    at = prompt(shell)
    at.run(f"cd {place}")
    at.run("true")
    assert machine.asked() == [f"hook --refresh --project {place}"]
    assert not (machine.root / "RAN").exists()


def test_an_entry_of_another_project_is_not_believed(shell: str, machine: Machine, prompt: Open) -> None:
    place, other = machine.project("p", COLOUR="red"), machine.project("q", COLOUR="green")
    mine, others = (Path(entry_directory(str(machine.tree), str(each))) for each in (place, other))
    shutil.rmtree(mine)
    mine.symlink_to(others)
    at = prompt(shell)
    at.run(f"cd {place}")
    assert at.variable("COLOUR") is None
