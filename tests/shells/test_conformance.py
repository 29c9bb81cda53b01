"""Every shell does to its environment exactly what the specification of a step says, and undoes exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, Unset
from devenv.shell import ShellError
from devenv.shells import fish
from tests.shells.dialects import DIALECTS, can_hold
from tests.shells.harness import NAMES, Script, applied, base_environ, expected, read_dump, write_object
from tests.shells.nasty import NASTY

ORIGIN = "devenv.toml:1"
POSIX = tuple(name for name, dialect in DIALECTS.items() if dialect.renderer == "sh")
SHORT = {name: value for name, value in NASTY.items() if name != "long"}


def operations(value: str) -> dict[str, tuple[tuple[Operation, ...], tuple[str | None, ...]]]:
    """Kind -> the operations, and what the variable holds before (None: nothing)."""
    entry = value or "entry"
    return {
        "SET": ((Set(value=value, origin=ORIGIN),), (None, value + "x")),
        "UNSET": ((Unset(origin=ORIGIN),), (value,)),
        "DEFAULT": ((Default(value=value, origin=ORIGIN),), (None,)),
        "PREPEND": ((Prepend(entries=(entry,), origin=ORIGIN),), (value,)),
        "APPEND": ((Append(entries=(entry,), origin=ORIGIN),), (value,)),
        "OTHER": ((Prepend(entries=(entry,), separator=" ; ", origin=ORIGIN),), ("a ; b",)),
        "BOTH": (
            (
                Append(entries=(entry,), origin=ORIGIN),
                Prepend(entries=(entry,), origin=ORIGIN),
                Default(value="/d:" + value, origin=ORIGIN),
            ),
            (f"{entry}:/x:{entry}",),
        ),
    }


def whole_table(locale: str, shell: str = "bash") -> tuple[Spec, dict[str, str]]:
    """A spec with every operation on every nasty value that the shell can hold, and what the variables hold before.

    For a locale that knows only ASCII, the values that are not.
    """
    variables, before = edges(shell)
    values = [value for value in SHORT.values() if locale != "C" or not value.isascii()]
    values = [value for value in values if can_hold(shell, value)]
    for index, value in enumerate(values):
        for kind, (found, olds) in operations(value).items():
            for number, old in enumerate(olds):
                if old is not None and not can_hold(shell, old):
                    continue
                name = f"V_{kind}_{index}_{number}"
                variables[name] = found
                if old is not None:
                    before[name] = old
    long = NASTY["long"]
    variables["LONG_SET"] = (Set(value=long, origin=ORIGIN),)
    variables["LONG_LIST"] = (Prepend(entries=("/new",), origin=ORIGIN),)
    before["LONG_LIST"] = long
    variables["MIXED_PATH"] = (Prepend(entries=("./bin", "..", "${project}/x", "./.y"), origin=ORIGIN),)
    variables["PATH"] = (Prepend(entries=("/ours/bin", "./bin"), origin=ORIGIN),)
    return Spec(name="nasty", variables=variables, scripts={"serve": "true"}), before


def edges(shell: str) -> tuple[dict[str, tuple[Operation, ...]], dict[str, str]]:
    """Every operation on a variable that is not there, is empty, or holds the same already."""
    ours: dict[str, tuple[Operation, ...]] = {
        "SET": (Set(value="/a", origin=ORIGIN),),
        "UNSET": (Unset(origin=ORIGIN),),
        "DEFAULT": (Default(value="/a", origin=ORIGIN),),
        "PREPEND": (Prepend(entries=("/a", "/b"), origin=ORIGIN),),
        "APPEND": (Append(entries=("/b", "/a"), origin=ORIGIN),),
        "AROUND": (Prepend(entries=("/a",), origin=ORIGIN), Append(entries=("/a",), origin=ORIGIN)),
        "ON_DEFAULT": (Default(value="/d", origin=ORIGIN), Prepend(entries=("/a",), origin=ORIGIN)),
    }
    olds = (None, "", "/a", "/a:/b:/a", ":/a", "/a:", "::")
    variables, before = {}, {}
    for kind, found in ours.items():
        for number, old in enumerate(olds):
            if old is None or can_hold(shell, old):
                variables[f"E_{kind}_{number}"] = found
            if old is not None:
                before[f"E_{kind}_{number}"] = old
    return variables, before


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("shell", NAMES)
def test_the_whole_table_in_and_out(shell: str, locale: str, tmp_path: Path) -> None:
    spec, before = whole_table(locale, shell)
    project = tmp_path / "it's a $project"
    project.mkdir()
    place = write_object(spec, tmp_path / "spec")
    environ = base_environ(tmp_path, **before) | {"LC_ALL": locale}
    script = Script(shell, tmp_path / "run")
    script.dump()
    script.enter(place, project)
    script.dump()
    script.leave_last()
    script.dump()
    outside, inside, after = script.environments(environ, cwd=tmp_path)
    wanted = expected(shell, spec, outside, project=project, place=place)
    assert {name: (inside.get(name), text) for name, text in wanted.items() if inside.get(name) != text} == {}
    assert inside == wanted
    assert after == outside


@pytest.mark.parametrize("shell", NAMES)
def test_entering_twice_is_entering_once(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="twice", variables={"PATH": (Prepend(entries=("/ours",), origin=ORIGIN),)})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.dump()
    for _ in range(2):
        script.enter(place)
        script.dump()
    script.leave(place)
    script.leave(place)
    script.dump()
    outside, once, twice, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert once["PATH"] == "/ours:/usr/bin:/bin"
    assert twice == once
    assert after == outside


@pytest.mark.parametrize("shell", NAMES)
def test_one_spec_in_two_projects_is_two_environments(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="clones", variables={"PATH": (Prepend(entries=("./bin",), origin=ORIGIN),)})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    for project in (tmp_path / "a", tmp_path / "b"):
        script.enter(place, project)
    script.dump()
    script.leave(place)
    script.dump()
    both, one = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert both["PATH"] == f"{tmp_path}/b/bin:{tmp_path}/a/bin:/usr/bin:/bin"
    assert (both["DEVENV_PROJECT"], one["DEVENV_PROJECT"]) == (f"{tmp_path}/b", f"{tmp_path}/a")
    assert one["PATH"] == f"{tmp_path}/a/bin:/usr/bin:/bin"


@pytest.mark.parametrize("shell", NAMES)
def test_what_the_user_changes_inside_stays(shell: str, tmp_path: Path) -> None:
    spec = Spec(
        name="user",
        variables={
            "SET": (Set(value="ours", origin=ORIGIN),),
            "KEPT": (Set(value="ours", origin=ORIGIN),),
            "GONE": (Set(value="ours", origin=ORIGIN),),
            "UNSET": (Unset(origin=ORIGIN),),
            "DEFAULT": (Default(value="ours", origin=ORIGIN),),
            "LIST": (Prepend(entries=("/a", "/b"), origin=ORIGIN), Append(entries=("/z",), origin=ORIGIN)),
            "EMPTIED": (Prepend(entries=("/a",), origin=ORIGIN),),
        },
    )
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.enter(place)
    for name in ("SET", "UNSET", "DEFAULT"):
        script.assign(name, "mine")
    script.assign("LIST", "/first:/a:/middle:/old:/z:/last")
    script.remove("GONE")
    script.remove("EMPTIED")
    script.leave_last()
    script.dump()
    environ = base_environ(tmp_path, SET="old", KEPT="old", GONE="old", UNSET="old", LIST="/old")
    (after,) = script.environments(environ, cwd=tmp_path)
    found = {name: after[name] for name in (*spec.variables, "DEVENV_PROJECT") if name in after}
    assert found == {
        "SET": "mine",
        "KEPT": "old",
        "UNSET": "mine",
        "DEFAULT": "mine",
        "LIST": "/first:/middle:/old:/last",
    }


@pytest.mark.parametrize("shell", [name for name in NAMES if DIALECTS[name].local])
def test_variables_that_were_not_exported_are_not_exported_after(shell: str, tmp_path: Path) -> None:
    spec = Spec(
        name="local",
        variables={
            "VALUE": (Set(value="ours", origin=ORIGIN),),
            "LIST": (Append(entries=("/z",), origin=ORIGIN),),
            "DROPPED": (Unset(origin=ORIGIN),),
        },
    )
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    for name in spec.variables:
        script.assign(name, "mine", exported=False)
    script.enter(place)
    script.dump()
    script.leave_last()
    script.dump()
    for name in spec.variables:
        script.add(script.dialect.assign.format(name=f"SEEN_{name}", value=f'"${name}"'))
    script.dump()
    inside, after, seen = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert (inside["VALUE"], inside["LIST"]) == ("ours", "mine:/z")
    assert not set(spec.variables) & set(after)
    assert [seen[f"SEEN_{name}"] for name in spec.variables] == ["mine"] * 3


STRICT = {
    "bash": "set -eu -o noclobber -o pipefail; shopt -s nocasematch failglob; IFS=_d0; trap 'exit 9' ERR",
    "zsh": (
        "setopt err_exit no_unset no_clobber ksh_arrays sh_word_split rc_quotes csh_junkie_quotes glob_subst "
        "null_glob ksh_glob warn_create_global typeset_silent no_multibyte extended_glob; IFS=_d0"
    ),
    "fish": "set -g fish_trace",
    "pwsh": "Set-StrictMode -Version Latest; $ErrorActionPreference = 'Stop'; $OFS = '_d0'",
    **dict.fromkeys(POSIX, "set -euCf; IFS=_d0"),
}
ALIASES = {
    "bash": "shopt -s expand_aliases\nalias local=false export=false unset=false printf=false alias=false set=false",
    "zsh": "alias local=false export=false unset=false typeset=false emulate=false; alias -g set=no prepend=no",
    "fish": "function cd; false; end; function ls; false; end; function realpath; false; end",
    "pwsh": "function Set-Alias { exit 9 }; function Remove-Item { exit 9 }; function foreach { exit 9 }",
    **dict.fromkeys(
        POSIX, "alias export=false unset=false printf=false eval=false set=false return=false readonly=false"
    ),
}


@pytest.mark.parametrize("settings", [STRICT, ALIASES], ids=["options", "aliases"])
@pytest.mark.parametrize("shell", NAMES)
def test_the_users_settings_change_nothing(shell: str, settings: dict[str, str], tmp_path: Path) -> None:
    variables: dict[str, tuple[Operation, ...]] = {
        f"V_{index}": (Set(value=value, origin=ORIGIN),)
        for index, value in enumerate(SHORT.values())
        if can_hold(shell, value)
    }
    variables["PATH"] = (Prepend(entries=("/Ours", "./bin"), origin=ORIGIN),)
    variables["EDITOR"] = (Default(value="vi", origin=ORIGIN),)
    variables["AWAY"] = (Unset(origin=ORIGIN),)
    spec = Spec(name="strict", variables=variables, aliases={"gs": ("git", "status")}, scripts={"s": "true"})
    other = Spec(name="other", variables={"PATH": (Prepend(entries=("/other",), origin=ORIGIN),)})
    place, second = write_object(spec, tmp_path / "spec"), write_object(other, tmp_path / "other")
    environ = base_environ(tmp_path, AWAY="x") | {"PATH": "/ours:/usr/bin:/bin"}
    script = Script(shell, tmp_path / "run")
    script.dump()
    script.add(settings.get(shell, ""))
    script.enter(place)
    script.dump()
    script.enter(second)
    script.leave(place)
    script.dump()
    script.leave(second)
    script.dump()
    outside, inside, between, after = script.environments(environ, cwd=tmp_path)
    assert inside == expected(shell, spec, outside, project=tmp_path, place=place)
    assert between == applied(other, outside, project=tmp_path, place=second)
    assert after == outside


# Names only: a value may well be a path of somebody who is, or keeps a checkout that is, called devenv.
NOTHING_LEFT = {
    "bash": "true nothing; compgen -v | grep -i devenv; declare -F | grep devenv; alias | grep gs; true",
    "zsh": "print -rl -- ${(k)parameters} | grep -i devenv; print -rl -- ${(k)functions} | grep devenv; alias | grep gs; true",
    "fish": "set -n | grep -i devenv; functions -a | grep -i devenv; functions -q gs; and echo gs; true",
    **dict.fromkeys(
        POSIX,
        "set | grep -i '^[a-z_]*devenv'; command -v __devenv_do __devenv_unsee devenv_leave; alias | grep gs; true",
    ),
    # What a file of nushell's defines is defined for good.
    "nu": "if '__devenv' in $env { print left }",
    "elvish": "if (not-eq (count $after-chdir) (num 0)) { echo left }",
    "xonsh": "import sys\nprint([n for n in (*sys.modules, *__xonsh__.ctx, *__xonsh__.aliases) if 'devenv' in n or n == 'gs'] or '', end='')",
}


@pytest.mark.parametrize("shell", NOTHING_LEFT)
def test_nothing_of_ours_is_left_behind(shell: str, tmp_path: Path) -> None:
    spec = Spec(
        name="gone",
        variables={"A": (Set(value="1", origin=ORIGIN),), "PATH": (Prepend(entries=("/x",), origin=ORIGIN),)},
        aliases={"gs": ("git", "status")},
        scripts={"s": "true"},
    )
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.enter(place, tmp_path)
    script.leave_last()
    script.add(NOTHING_LEFT[shell])
    script.environments(base_environ(tmp_path, A="0"), cwd=tmp_path)


@pytest.mark.parametrize("shell", NAMES)
def test_children_see_only_what_is_declared(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="quiet", variables={"A": (Set(value="1", origin=ORIGIN),)}, aliases={"gs": ("git",)})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.dump()
    script.enter(place)
    script.dump()
    outside, inside = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert set(inside) - set(outside) == {"A", "DEVENV_PROJECT"}


ALIAS_BEFORE = {
    "bash": "shopt -s expand_aliases\nalias gs='echo mine'",
    "zsh": "alias gs='echo mine'",
    "fish": "function gs; echo mine $argv; end",
    **dict.fromkeys(POSIX, "alias gs='echo mine'"),
    "xonsh": "aliases['gs'] = ['echo', 'mine']",
    "pwsh": "function global:Out-Mine { 'mine ' + $args }; Set-Alias -Name gs -Value Out-Mine -Scope Global",
}
ALIAS_CHANGED = ALIAS_BEFORE | {"fish": "functions -e gs; function gs; echo mine $argv; end"}


@pytest.mark.parametrize("shell", [name for name in NAMES if DIALECTS[name].programs])
def test_aliases_are_programs_where_the_shell_has_no_fitting_ones(shell: str, tmp_path: Path) -> None:
    words = ("printf", "%s\\n", "it's", "$x", "a b", "-n", "*")
    spec = Spec(name="alias", aliases={"gs": words, "printf": ("printf", "<%s>")})
    script = Script(shell, tmp_path / "run")
    script.enter(write_object(spec, tmp_path / "spec"))
    script.add("gs last")
    script.leave_last()
    script.dump()
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "it's\n$x\na b\n-n\n*\nlast\n"
    assert read_dump(tmp_path / "run" / "dump-0")["PATH"] == "/usr/bin:/bin"


@pytest.mark.parametrize("when", ["before", "inside"])
@pytest.mark.parametrize("shell", [name for name in NAMES if not DIALECTS[name].programs])
def test_aliases_run_their_words_and_give_way_to_the_users(shell: str, when: str, tmp_path: Path) -> None:
    words = ("printf", "%s\\n", "it's", "$x", "a b", "-n", "*")
    spec = Spec(name="alias", aliases={"gs": words, "printf": ("printf", "<%s>")})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.add(ALIAS_BEFORE[shell])
    script.enter(place)
    script.add("gs last")
    script.add(ALIAS_CHANGED[shell] if when == "inside" else "true")
    script.leave_last()
    script.add("gs more")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "it's\n$x\na b\n-n\n*\nlast\nmine more\n"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("shell", NAMES)
def test_the_whole_table_as_arguments_of_an_alias(shell: str, locale: str, tmp_path: Path) -> None:
    values = {name: value for name, value in NASTY.items() if can_hold(shell, value)}
    spec = Spec(name="alias", aliases={"show-all": ("/usr/bin/printf", "%s\\0", *values.values())})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    if shell == "bash":
        script.add("shopt -s expand_aliases")
    script.dump()
    script.enter(place)
    script.add("show-all last")
    script.leave_last()
    script.dump()
    done = script.run(base_environ(tmp_path) | {"LC_ALL": locale}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    *shown, last = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    found = dict(zip(values, shown, strict=True))
    assert {name: found[name][:80] for name, value in values.items() if found[name] != value} == {}
    assert last == "last"
    before, after = (read_dump(tmp_path / "run" / f"dump-{number}") for number in range(2))
    assert after == before


@pytest.mark.parametrize("shell", NAMES)
def test_aliases_named_as_builtins_do_not_break_leaving(shell: str, tmp_path: Path) -> None:
    names = ("contains", "count", "math", "printf", "local", "shift", "print", "echo", "cd", "unalias")
    spec = Spec(
        name="builtins",
        variables={"A": (Set(value="1", origin=ORIGIN),), "PATH": (Append(entries=("/x",), origin=ORIGIN),)},
        aliases=dict.fromkeys(names, ("false",)),
    )
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    if shell == "bash":
        script.add("shopt -s expand_aliases")
    script.dump()
    script.enter(place)
    script.enter(place)
    script.leave_last()
    script.dump()
    outside, after = script.environments(base_environ(tmp_path, A="0"), cwd=tmp_path)
    assert after == outside


def test_an_alias_that_fish_cannot_have_is_an_error() -> None:
    spec = Spec(name="words", aliases={"status": ("git", "status")})
    with pytest.raises(ShellError, match="alias status") as caught:
        fish.activate(spec)
    assert caught.value.hint


@pytest.mark.parametrize("shell", NAMES)
def test_sourced_from_a_link_in_the_project(shell: str, tmp_path: Path) -> None:
    spec = Spec(
        name="linked",
        variables={"PATH": (Prepend(entries=("./bin",), origin=ORIGIN),)},
        scripts={"show-place": 'echo "$DEVENV_PROJECT"; pwd'},
    )
    place = write_object(spec, tmp_path / "store" / "spec")
    project = tmp_path / "project"
    inner = project / "deep" / "er"
    inner.mkdir(parents=True)
    (project / ".devenv").mkdir()
    (project / ".devenv" / "env").symlink_to(place)
    script = Script(shell, tmp_path / "run", entered=[place])
    # nushell reads what a script names from the script's directory.
    first = str(project) if shell == "nu" else "../.."
    script.source(f"{first}/.devenv/env/activate.{script.suffix}")
    script.add("show-place")
    script.leave_last()
    script.source(f"{project}/.devenv/env/activate.{script.suffix}")
    script.add("show-place")
    script.dump()
    done = script.run(base_environ(tmp_path), cwd=inner)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [str(project), str(inner)] * 2
    assert read_dump(tmp_path / "run" / "dump-0")["PATH"] == f"{place}/bin:{project}/bin:/usr/bin:/bin"


@pytest.mark.parametrize("names", ["path", "PATH path"])
def test_a_list_that_zsh_keeps_unique_loses_nothing(names: str, tmp_path: Path) -> None:
    spec = Spec(name="unique", variables={"PATH": (Prepend(entries=("/bin", "/new"), origin=ORIGIN),)})
    place = write_object(spec, tmp_path / "spec")
    script = Script("zsh", tmp_path / "run")
    script.add(f"typeset -U {names}")
    script.enter(place)
    script.dump()
    script.leave_last()
    script.dump()
    inside, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert inside["PATH"].startswith("/bin:/new:/usr/bin")
    assert sorted(after["PATH"].split(":")) == ["/bin", "/usr/bin"]


def test_fish_keeps_its_lists_lists_and_its_universal_variables(tmp_path: Path) -> None:
    spec = Spec(
        name="fish",
        variables={
            "PATH": (Prepend(entries=("/ours",), origin=ORIGIN),),
            "MANPATH": (Append(entries=("/man",), origin=ORIGIN),),
            "UNIVERSAL": (Set(value="ours", origin=ORIGIN),),
            "HIDDEN": (Unset(origin=ORIGIN),),
            "GROWN": (Prepend(entries=("/ours",), origin=ORIGIN),),
            "LIST": (Set(value="ours", origin=ORIGIN),),
        },
    )
    place = write_object(spec, tmp_path / "spec")
    script = Script("fish", tmp_path / "run", configured=True)  # else fish has no universal variables
    for name in ("UNIVERSAL", "HIDDEN", "GROWN"):
        script.add(f"set -Ux {name} universal")
    script.add("set -gx LIST a 'b c' d")
    script.dump()
    script.enter(place)
    script.add("set -gx COUNTS (count $PATH) (count $MANPATH) $PATH[1]")
    script.dump()
    script.add("devenv_leave", "set -e COUNTS")
    script.dump()
    script.add(
        "set -gx COUNTS (count $LIST) $LIST[2] (set -qg UNIVERSAL; echo $status) (set -qg HIDDEN; echo $status) "
        "(set -qg GROWN; echo $status) (set -qg MANPATH; echo $status)"
    )
    script.dump()
    outside, inside, after, counts = script.environments(
        base_environ(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config")), cwd=tmp_path
    )
    assert (outside["HIDDEN"], outside["GROWN"]) == ("universal", "universal")
    assert inside["COUNTS"] == "3 1 /ours"
    assert (inside["UNIVERSAL"], inside["GROWN"]) == ("ours", "/ours:universal")
    assert inside["HIDDEN"] == "", "a universal variable can only be hidden by an empty one"
    assert after == outside
    assert counts["COUNTS"] == "3 b c 1 1 1 1"


@pytest.mark.parametrize("shell", ["bash", "zsh", "ksh93", "mksh"])
def test_a_number_of_the_users_is_never_evaluated(shell: str, tmp_path: Path) -> None:
    poison = f"a[$(touch {tmp_path}/RAN)]"
    names = ("MINE", "FUNCNEST") if shell == "zsh" else ("MINE",)
    spec = Spec(
        name="demo", variables={name: (Set(value=poison, origin=ORIGIN),) for name in (*names, "PLAIN")}
    )
    place = write_object(spec, tmp_path / "object")
    script = Script(shell, tmp_path / "run")
    script.add("declare -i MINE=3" if shell == "bash" else "typeset -i MINE=3", "export MINE")
    script.enter(place)
    script.dump()
    script.leave(place)
    script.dump()
    inside, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert (inside["MINE"], inside["PLAIN"]) == ("3", poison)
    assert after["MINE"] == "3"
    assert not (tmp_path / "RAN").exists()


HOSTILE = {
    "command": "$(touch RAN)",
    "backticks": "`touch RAN`",
    "single quote": "'; touch RAN; '",
    "double quote": '"; touch RAN; "',
    "history": "!!touch",
    "blanks": "a  b ",
    "newline": "a\ntouch RAN\n",
    "expression": "({ touch RAN })",
    "braces": "{touch,RAN} ${PATH}",
}


@pytest.mark.parametrize("shell", NAMES)
def test_a_project_of_any_name_is_only_a_directory(shell: str, tmp_path: Path) -> None:
    spec = Spec(name="names", variables={"PATH": (Prepend(entries=("./bin",), origin=ORIGIN),)})
    place = write_object(spec, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    for name in HOSTILE.values():
        script.enter(place, tmp_path / name)
        script.dump()
        script.leave_last()
    script.dump()
    *inside, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert [found["DEVENV_PROJECT"] for found in inside] == [
        f"{tmp_path}/{name}" for name in HOSTILE.values()
    ]
    assert [found["PATH"].split(":/usr/bin")[0] for found in inside] == [
        f"{tmp_path}/{name}/bin" for name in HOSTILE.values()
    ]
    assert (after["PATH"], "DEVENV_PROJECT" in after) == ("/usr/bin:/bin", False)
    assert not list(tmp_path.rglob("RAN"))


@pytest.mark.skipif("pwsh" not in NAMES, reason="no PowerShell on this machine, and no registry has one")
def test_a_powershell_that_cannot_hold_an_empty_value_names_it(tmp_path: Path) -> None:
    place = write_object(
        Spec(name="empty", variables={"EMPTY": (Set(value="", origin=ORIGIN),)}), tmp_path / "spec"
    )
    script = Script("pwsh", tmp_path / "run")
    script.enter(place)
    script.dump()
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    said = b"devenv: PowerShell before 7.5 cannot hold the empty EMPTY, so it does not exist\n"
    found = read_dump(tmp_path / "run" / "dump-0").get("EMPTY")
    assert (found, done.stderr) == (("", b"") if can_hold("pwsh", "") else (None, said))
