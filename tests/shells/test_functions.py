"""Functions of an environment: defined as they are written, in every shell, and given back to the user afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.env.spec import Set, Spec
from devenv.shell import ShellError
from devenv.shells import fish
from tests.shells.dialects import DIALECTS, can_hold, renderer
from tests.shells.harness import Script, base_environ, expected, read_dump, write_object
from tests.shells.nasty import NASTY
from tests.support.programs import program

ORIGIN = "devenv.toml:1"
POSIX = tuple(name for name, dialect in DIALECTS.items() if dialect.renderer == "sh")
# What is written here in each shell's language is not in PowerShell's.
NAMES = tuple(name for name in DIALECTS if name != "pwsh")
NATIVE = tuple(name for name in NAMES if not DIALECTS[name].programs)
# Those that can tell how a function was written.
SHOWING = tuple(name for name in NATIVE if name not in ("dash", "ash"))

# A function that prints the words `{words}` and then its first argument, each behind a NUL.
OWN = {
    "bash": 'local each\nfor each in {words} "$1"; do printf \'%s\\0\' "$each"; done # nothing more',
    "zsh": 'local each\nfor each in {words} "$1"; do printf \'%s\\0\' "$each"; done # nothing more',
    "fish": "for each in {words} $argv[1]\n    printf '%s\\0' $each\nend # nothing more",
    "sh": 'for each in {words} "$1"; do printf \'%s\\0\' "$each"; done # nothing more',
    "nu": "print --no-newline ([{words} ...$args] | each {{|each| $each + (char nul) }} | str join) # nothing more",
    "elvish": 'for each [{words} $@args] {{ print $each"\\x00" }} # nothing more',
    "tcsh": "/usr/bin/printf '%s\\0' {words} $argv[1]:q # nothing more",
    "xonsh": (
        "import os\nfor each in [{words}, args[0]]:\n"
        "    os.write(1, os.fsencode(each) + b'\\0') # nothing more"
    ),
}
JOINT = {"xonsh": ", "}


def words_of(shell: str, values: list[str]) -> str:
    return JOINT.get(shell, " ").join(renderer(shell).quote(value) for value in values)


def body(shell: str, values: list[str]) -> dict[str, str]:
    own = DIALECTS[shell].renderer
    return {own: OWN[own].format(words=words_of(shell, values))}


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("shell", NAMES)
def test_the_whole_table_in_the_text_of_a_function(shell: str, locale: str, tmp_path: Path) -> None:
    values = {name: value for name, value in NASTY.items() if can_hold(shell, value)}
    spec = Spec(name="functions", functions={"show_all": body(shell, list(values.values()))})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.dump()
    script.enter(place)
    script.dump()
    script.add("show_all last")
    script.leave_last()
    script.dump()
    environ = base_environ(tmp_path) | {"LC_ALL": locale}
    if DIALECTS[shell].programs:  # the program is run by the shell that is on PATH
        environ["PATH"] += f":{os.path.dirname(program(shell))}"
    done = script.run(environ, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    *shown, last = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    found = dict(zip(values, shown, strict=True))
    assert {name: found[name][:80] for name, value in values.items() if found[name] != value} == {}
    assert last == "last"
    before, inside, after = (read_dump(tmp_path / "run" / f"dump-{number}") for number in range(3))
    assert inside == expected(shell, spec, before, project=tmp_path, place=place)
    assert after == before


@pytest.mark.parametrize("shell", NAMES)
def test_a_function_for_posix_shells_serves_all(shell: str, tmp_path: Path) -> None:
    text = 'words=$1\nset -- $words\nprintf \'<%s>\' "$@" "$HELLO"\nreturn 3'
    spec = Spec(
        name="posix",
        variables={"HELLO": (Set(value="it's", origin=ORIGIN),)},
        functions={"split_it": {"sh": text}},
    )
    script = Script(shell, tmp_path / "run")
    script.enter(write_object(spec, tmp_path / "spec"))
    status = {"fish": "echo $status", "tcsh": "echo $status"}
    if shell == "elvish":
        script.add("try { split_it 'a  b' } catch e { echo $e[reason][exit-status] }")
    elif shell == "xonsh":
        script.add("try:\n    split_it 'a  b'\nexcept Exception as error:\n    print(error.returncode)")
    elif shell == "nu":
        script.add("try { ^split_it 'a  b' } catch {|e| print $env.LAST_EXIT_CODE }")
    else:
        script.add("split_it 'a  b'", status.get(shell, "echo $?"))
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.stdout.decode(), done.stderr) == ("<a><b><it's>3\n", b"")


@pytest.mark.parametrize("shell", NATIVE)
def test_a_function_changes_the_shell_that_calls_it(shell: str, tmp_path: Path) -> None:
    text = {"fish": "set -gx MINE changed\nbuiltin cd /", "xonsh": "$MINE = 'changed'\ncd /"}
    own = DIALECTS[shell].renderer
    spec = Spec(name="change", functions={"change_it": {own: text.get(own, "export MINE=changed\ncd /")}})
    script = Script(shell, tmp_path / "run")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("change_it")
    script.dump()
    script.add("/bin/pwd")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"/\n")
    assert read_dump(tmp_path / "run" / "dump-0")["MINE"] == "changed"


MINE = {
    "fish": "function up; echo mine $argv; end",
    "xonsh": "aliases['up'] = lambda args: print('mine', *args)",
    **dict.fromkeys(("bash", "zsh", *POSIX), "up() { echo mine $1; }"),
}
MINE_ANEW = MINE | {"fish": "functions -e up; function up; echo mine $argv; end"}


@pytest.mark.parametrize("when", ["before", "inside"])
@pytest.mark.parametrize("shell", SHOWING)
def test_functions_give_way_to_the_users(shell: str, when: str, tmp_path: Path) -> None:
    spec = Spec(name="own", functions={"up": own_words(shell, "ours")})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    if when == "before":
        script.add(MINE[shell])
    script.enter(place)
    script.add("up 1")
    if when == "inside":
        script.add(MINE_ANEW[shell])
    script.leave_last()
    script.add("up 2")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "ours 1\nmine 2\n"


def own_words(shell: str, word: str) -> dict[str, str]:
    own = DIALECTS[shell].renderer
    return {
        own: {"fish": f"echo {word} $argv", "xonsh": f"print('{word}', *args)"}.get(own, f'echo {word} "$@"')
    }


@pytest.mark.parametrize("shell", [name for name in NATIVE if name not in SHOWING])
def test_a_function_that_could_not_come_back_stays_the_users(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="own", functions={"up": own_words(shell, "ours")})
    script = Script(shell, tmp_path / "run")
    script.add(MINE[shell])
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("up 1")
    script.leave_last()
    script.add("up 2")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"mine 1\nmine 2\n")
    assert b"up stays your function" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", *POSIX])
def test_an_alias_of_the_users_is_away_while_a_function_has_its_name(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="own", functions={"up": own_words(shell, "ours")})
    script = Script(shell, tmp_path / "run")
    script.add("shopt -s expand_aliases" if shell == "bash" else "", "alias up='echo mine'")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("up 1")
    script.leave_last()
    script.add("up 2")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "ours 1\nmine 2\n"


@pytest.mark.parametrize("shell", [name for name in NATIVE if name != "xonsh"])
def test_functions_of_two_environments_come_back_in_order(shell: str, tmp_path: Path) -> None:
    places = [
        write_object(Spec(name=name, functions={"up": own_words(shell, name)}), tmp_path / name)
        for name in ("first", "second")
    ]
    script = Script(shell, tmp_path / "run")
    script.enter(places[0])
    script.enter(places[1])
    script.add("up")
    script.leave(places[0])
    script.add("up")
    script.enter(places[0])
    script.add("up")
    script.leave(places[0])
    script.add("up")
    script.leave(places[1])
    script.add("type up >/dev/null 2>&1 && echo still there; true")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == ["second", "second", "first", "second"]


BROKEN = {"fish": "if true", "xonsh": "if True", **dict.fromkeys(("bash", "zsh", *POSIX), "if\n")}


@pytest.mark.parametrize("shell", [name for name in NATIVE if name != "xonsh"])
def test_one_that_the_shell_cannot_read_leaves_the_rest_as_it_is(shell: str, tmp_path: Path) -> None:
    own = DIALECTS[shell].renderer
    functions = {"up": {own: BROKEN[shell]}, "whole": own_words(shell, "whole")}
    script = Script(shell, tmp_path / "run")
    script.add(MINE[shell] if shell in SHOWING else "")
    script.enter(write_object(Spec(name="broken", functions=functions), tmp_path / "spec"))
    script.add("whole 1", "up 1" if shell in SHOWING else "echo mine 1")
    script.leave_last()
    script.add("up 2" if shell in SHOWING else "echo mine 2")
    script.add("type whole >/dev/null 2>&1 && echo still there; true")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert b"the function up of the environment is not there" in done.stderr
    assert done.stdout.decode() == "whole 1\nmine 1\nmine 2\n"


CLOSING = {
    "fish": "end\necho ran\nfunction next",
    "xonsh": "pass\n)\nprint('ran')\n(",
    "zsh": "}; echo ran; next() {",
    **dict.fromkeys(("bash", *POSIX), "}\necho ran\nnext() {"),
}


@pytest.mark.parametrize("shell", NATIVE)
def test_a_body_that_ends_its_function_runs_nothing(shell: str, tmp_path: Path) -> None:
    own = DIALECTS[shell].renderer
    spec = Spec(name="closing", functions={"up": {own: CLOSING[shell]}, "whole": own_words(shell, "whole")})
    script = Script(shell, tmp_path / "run")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("whole 1")
    script.leave_last()
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert done.stdout.decode() == "whole 1\n"
    assert (b"the function up of the environment is not there" in done.stderr) == (shell != "xonsh")


def test_the_users_aliases_are_not_for_the_words_of_a_function(tmp_path: Path) -> None:
    for shell in ("bash", "zsh"):
        spec = Spec(name="own", functions={"up": own_words(shell, "ours")})
        script = Script(shell, tmp_path / f"run-{shell}")
        script.add("shopt -s expand_aliases" if shell == "bash" else "", "alias echo='echo no'")
        script.enter(write_object(spec, tmp_path / f"spec-{shell}"))
        script.add("up 1")
        assert script.run(base_environ(tmp_path), cwd=tmp_path).stdout == b"ours 1\n"


def test_an_exported_function_of_bash_is_exported_again(tmp_path: Path) -> None:
    spec = Spec(name="own", functions={"up": {"sh": "echo ours"}})
    script = Script("bash", tmp_path / "run")
    script.add("up() { echo mine; }", "export -f up")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.dump()
    script.leave_last()
    script.dump()
    inside, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert "BASH_FUNC_up%%" not in inside
    assert after["BASH_FUNC_up%%"] == "() {  echo mine\n}"


def test_a_readonly_function_of_bash_stays(tmp_path: Path) -> None:
    spec = Spec(name="own", functions={"up": {"sh": "echo ours"}})
    script = Script("bash", tmp_path / "run")
    script.add("up() { echo mine; }", "readonly -f up")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.leave_last()
    script.add("up")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"mine\n")
    assert b"the function up of the environment is not there" in done.stderr


def test_a_function_of_zsh_that_is_not_loaded_yet_is_loaded_afterwards(tmp_path: Path) -> None:
    (tmp_path / "up").write_text("echo mine\n")
    spec = Spec(name="own", functions={"up": {"sh": "echo ours"}})
    script = Script("zsh", tmp_path / "run")
    script.add(f"fpath=({tmp_path} $fpath)", "autoload -Uz up")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("up")
    script.leave_last()
    script.add("up")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"ours\nmine\n")


def test_a_function_that_fish_cannot_have_is_an_error() -> None:
    spec = Spec(name="words", functions={"status": {"sh": "git status"}})
    with pytest.raises(ShellError, match="function status") as caught:
        fish.activate(spec)
    assert caught.value.hint


NOTHING_LEFT = {
    "bash": "compgen -v | grep -i devenv; declare -F | grep -e devenv -e up; true",
    "zsh": "print -rl -- ${(k)parameters} | grep -i devenv; print -rl -- ${(k)functions} | grep -e devenv -e up; true",
    "fish": "set -n | grep -i devenv; functions -a | grep -i devenv; functions -q up; and echo up; true",
    **dict.fromkeys(
        POSIX, "set | grep -i '^[a-z_]*devenv'; command -v __devenv_do __devenv_look_function up; true"
    ),
}


@pytest.mark.parametrize("shell", NOTHING_LEFT)
def test_nothing_of_ours_is_left_behind(shell: str, tmp_path: Path) -> None:
    script = Script(shell, tmp_path / "run")
    script.enter(write_object(Spec(name="own", functions={"up": own_words(shell, "1")}), tmp_path / "spec"))
    script.leave_last()
    script.add(NOTHING_LEFT[shell])
    script.environments(base_environ(tmp_path), cwd=tmp_path)
