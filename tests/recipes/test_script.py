"""The builder's text, run by real shells."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.config.builds import PhaseEdit
from devenv.recipes.phases import Phase, order
from devenv.recipes.script import Values, exported, local, phase_text, script, searched, variable_name
from tests.support.programs import program

SHELLS = ("dash", "bash")
NASTY = (
    *(
        "",
        " ",
        "a b",
        "it's",
        '"quoted"',
        "$HOME `id` $(id)",
        "back\\slash\\",
        "new\nline\n",
        "-n",
        "*",
        "ünïcødé",
    ),
    *("!history", "~", "a\tb", "#no", "%s", "';touch x;'"),
)


def build(
    place: Path, values: Values, phases: tuple[Phase, ...], *names: str, shell: str = "dash"
) -> subprocess.CompletedProcess[str]:
    """Run the builder in `place`, with an empty environment."""
    files = {}
    for phase in phases:
        files[phase.name] = str(place / f"{phase.name}.sh")
        Path(files[phase.name]).write_text(phase_text(phase))
    builder = place / "builder.sh"
    builder.write_text(script(values, phases, files))
    top = place / "top"
    top.mkdir(exist_ok=True)
    return subprocess.run(
        [program(shell), str(builder), str(place / "out"), *names],
        cwd=top,
        env={"NIX_BUILD_TOP": str(top), "NIX_STORE": str(place / "store"), "PATH": "/path-not-set"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def phases(**texts: str) -> tuple[Phase, ...]:
    return tuple(Phase(name, run) for name, run in texts.items())


def values(**fields: object) -> Values:
    return Values(name="demo", host=True, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_phase_begins_where_the_last_ended_in_a_shell_of_its_own(tmp_path: Path, shell: str) -> None:
    steps = phases(
        one="mkdir -p a/b; cd a/b; left=behind; export left; umask 077",
        two='pwd; echo "left=${left-nothing}"; cd ..',
        three="pwd; cd /",
        four="pwd",
    )
    done = build(tmp_path, values(), steps, shell=shell)
    assert done.returncode == 0, done.stderr
    top = tmp_path / "top"
    assert done.stdout.splitlines() == [
        "phase: one",
        "phase: two",
        f"{top}/a/b",
        "left=nothing",
        "phase: three",
        f"{top}/a",
        # Outside of the build directory is no place to go on from.
        "phase: four",
        f"{top}/a",
    ]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("text", "status"),
    [("false; echo on", 1), ("exit 3", 3), ("nothing-of-this-name", 127), ("(exit 4); true", 4)],
    ids=["first failure", "exit", "unknown program", "in a subshell"],
)
def test_a_phase_ends_at_its_first_failure_and_so_does_the_build(
    tmp_path: Path, shell: str, text: str, status: int
) -> None:
    done = build(tmp_path, values(), phases(one=text, two="echo two"), shell=shell)
    assert done.returncode == status
    assert "phase: two" not in done.stdout
    assert "on\n" not in done.stdout
    assert (tmp_path / "top/.phases").read_text() == "began one\n"


def test_only_the_phases_that_are_named_run(tmp_path: Path) -> None:
    steps = phases(one="echo 1", two="echo 2", three="echo 3")
    done = build(tmp_path, values(), steps, "three", "one")
    assert done.stdout.splitlines() == ["phase: three", "3", "phase: one", "1"]
    assert (tmp_path / "top/.phases").read_text() == "began three\nended three\nbegan one\nended one\n"


def test_an_unknown_phase_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = build(tmp_path, values(), phases(one="echo 1", two="echo 2"), "tow")
    assert done.returncode == 2
    assert "there is no phase tow; there are one two" in done.stderr


def test_the_message_of_a_mistake_names_the_phase_and_the_line(tmp_path: Path) -> None:
    done = build(tmp_path, values(), phases(one="echo 1\necho 2\nnothing-like-this"))
    assert re.search(rf": 3: {tmp_path}/one\.sh: nothing-like-this: not found", done.stderr)


SHOW = 'for each in $names; do eval "value=\\$$each"; printf "%s\\0" "$value"; done >"$out"'


@pytest.mark.parametrize("shell", SHELLS)
def test_values_arrive_as_they_are(tmp_path: Path, shell: str) -> None:
    attributes = {f"a{index}": value for index, value in enumerate(NASTY)}
    env = {f"E{index}": value for index, value in enumerate(NASTY)}
    names = " ".join((*attributes, *env))
    done = build(
        tmp_path,
        values(attributes={**attributes, "names": names}, env=env),
        phases(one=SHOW, two='env -0 >"$out.env"'),
        shell=shell,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes().decode().split("\0")[:-1] == [*NASTY, *NASTY]
    found = dict(line.split("=", 1) for line in (tmp_path / "out.env").read_text().split("\0")[:-1])
    assert {name: found[name] for name in env} == env
    assert not attributes.keys() & found.keys(), "attributes are no part of the programs' environment"


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(
        st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4
    )
)
def test_a_list_is_read_back_word_by_word(texts: list[str]) -> None:
    words = local(values(attributes={"words": list(texts)}))["words"]
    code = 'eval "set -- $1"; for each do printf "%s\\0" "$each"; done'
    done = subprocess.run(["/bin/sh", "-c", code, "sh", words], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "1"),
        (False, ""),
        (3, "3"),
        (1.5, "1.5"),
        (["a", 1, True], "a 1 1"),
        ([], ""),
        ({"a": 1}, None),
        ([["a"]], None),
        ([{"a": 1}], None),
    ],
)
def test_what_a_variable_can_hold_is_one(value: object, text: str | None) -> None:
    assert local(values(attributes={"x": value})).get("x") == text


@pytest.mark.parametrize(
    ("name", "variable"), [("hello", "hello"), ("npm:@corp/a-b", "npm__corp_a_b"), ("fetch.x", "fetch_x")]
)
def test_inputs_are_variables(name: str, variable: str) -> None:
    assert variable_name(name) == variable
    assert local(values(inputs={name: "/s/x"}))[f"input_{variable}"] == "/s/x"


def test_what_inputs_have_is_found_in_their_order(tmp_path: Path) -> None:
    for name, inner in (("one", "bin"), ("two", "bin"), ("two", "include"), ("two", "lib/pkgconfig")):
        (tmp_path / name / inner).mkdir(parents=True)
    inputs = {name: str(tmp_path / name) for name in ("one", "two", "none")}
    given = values(inputs=inputs)
    show = "".join(
        f'echo "{name}=${{{name}-}}"\n' for name in ("PATH", "CPATH", "LIBRARY_PATH", "PKG_CONFIG_PATH")
    )
    done = build(tmp_path, given, phases(one=show))
    found = dict(line.split("=", 1) for line in done.stdout.splitlines()[1:])
    one, two = tmp_path / "one", tmp_path / "two"
    assert found == {
        "PATH": f"{one}/bin:{two}/bin:/usr/bin:/bin",
        "CPATH": f"{two}/include",
        "LIBRARY_PATH": f"{two}/lib",
        "PKG_CONFIG_PATH": f"{two}/lib/pkgconfig",
    }
    also: Mapping[str, str] = searched(given, os.path.isdir)
    assert {name: also.get(name, "") for name in found} == found


def test_without_the_machine_and_inputs_no_program_is_found(tmp_path: Path) -> None:
    given = Values(name="demo")
    done = build(tmp_path, given, phases(one='echo "$PATH"; ls'))
    assert done.stdout.splitlines() == ["phase: one", "/path-not-set"]
    assert done.returncode == 127
    assert searched(given, os.path.isdir) == {"PATH": "/path-not-set"}


def test_language_time_zone_and_date_are_the_same_everywhere() -> None:
    assert exported(values(env={"TZ": "CET"})) == {
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "315532800",
        "TZ": "CET",
    }


# The default phases


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "project-source"
    tree.mkdir()
    (tree / "hello.txt").write_text("hello\n")
    (tree / "hello.txt").chmod(0o444)
    (tree / "Makefile").write_text(
        "all:\n\tcp hello.txt made.txt\n"
        "check:\n\tgrep -q hello made.txt && echo checked\n"
        "install:\n\tmkdir -p $(prefix)\n\tcp made.txt $(prefix)/\n\techo $(FLAGS) >$(prefix)/flags\n"
    )
    tree.chmod(0o555)
    return tree


def test_the_default_phases_build_what_has_a_makefile(tmp_path: Path, source: Path) -> None:
    program("make")
    given = values(sources=(str(source),), attributes={"make_flags": ["FLAGS=a b"]})
    done = build(tmp_path, given, order({}))
    assert done.returncode == 0, done.stderr
    assert "checked\n" in done.stdout
    assert (tmp_path / "out/made.txt").read_text() == "hello\n"
    assert (tmp_path / "out/flags").read_text() == "a b\n"


def test_configure_is_told_where_the_output_goes(tmp_path: Path, source: Path) -> None:
    source.chmod(0o755)
    (source / "configure").write_text('#!/bin/sh\nfor each do echo "$each"; done >arguments\n')
    (source / "configure").chmod(0o755)
    given = values(sources=(str(source),), attributes={"configure_flags": ["--with=a b"]})
    done = build(tmp_path, given, order({}), "unpack", "configure")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "top/source/arguments").read_text() == f"--prefix={tmp_path}/out\n--with=a b\n"


def test_an_archive_with_one_directory_is_entered(tmp_path: Path) -> None:
    (tmp_path / "demo-1.0").mkdir()
    (tmp_path / "demo-1.0/file").write_text("x")
    archive = tmp_path / "abc-demo-1.0.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", tmp_path, "demo-1.0"], check=True)
    done = build(
        tmp_path,
        values(sources=(str(archive),)),
        phases(**{p.name: p.run for p in order({})[:1]}, see="pwd; ls"),
    )
    assert done.stdout.splitlines()[2:] == [f"{tmp_path}/top/source/demo-1.0", "file"]


def test_a_plain_file_loses_the_digest_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "0c1d2f-words.txt"
    file.write_text("x")
    unpack = order({})[0]
    done = build(tmp_path, values(sources=(str(file),)), (unpack, Phase("see", "ls")))
    assert done.stdout.splitlines()[-1] == "words.txt"


def test_patches_are_applied_in_their_order(tmp_path: Path, source: Path) -> None:
    program("patch")
    patches = []
    for number, (before, after) in enumerate((("hello", "hullo"), ("hullo", "hallo"))):
        file = tmp_path / f"{number}.patch"
        file.write_text(f"--- a/hello.txt\n+++ b/hello.txt\n@@ -1 +1 @@\n-{before}\n+{after}\n")
        patches.append(str(file))
    given = values(sources=(str(source),), patches=tuple(patches))
    done = build(tmp_path, given, order({}), "unpack", "patch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "top/source/hello.txt").read_text() == "hallo\n"


def test_without_a_makefile_installing_asks_for_a_phase(tmp_path: Path) -> None:
    done = build(tmp_path, values(), order({}))
    assert done.returncode == 1
    assert "needs an install phase of its own" in done.stderr


FIXED = {
    "env": ("#!/usr/bin/env tool\nbody\n", "#!{tool}\nbody\n"),
    "env with an argument": ("#! /usr/bin/env tool -x\nbody\n", "#!{tool} -x\nbody\n"),
    "another path": ("#!/opt/x/tool\nbody\n", "#!{tool}\nbody\n"),
    "of the machine": ("#!/bin/sh\nbody\n", "#!/bin/sh\nbody\n"),
    "unknown": ("#!/usr/bin/env nothing-like-this\n", "#!/usr/bin/env nothing-like-this\n"),
    "no program": ("plain\n", "plain\n"),
    "binary": ("\x7fELF\0\1", "\x7fELF\0\1"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_programs_name_the_inputs_that_interpret_them(tmp_path: Path, shell: str) -> None:
    tool = tmp_path / "store/tool/bin/tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("")
    tool.chmod(0o755)
    (tmp_path / "out/bin").mkdir(parents=True)
    for name, (text, _) in FIXED.items():
        (tmp_path / "out/bin" / name).write_text(text)
    (tmp_path / "out/bin/link").symlink_to("env")
    given = values(inputs={"tool": str(tmp_path / "store/tool")})
    done = build(tmp_path, given, order({}), "fixup", shell=shell)
    assert done.returncode == 0, done.stderr
    found = {name: (tmp_path / "out/bin" / name).read_text() for name in FIXED}
    assert found == {name: text.replace("{tool}", str(tool)) for name, (_, text) in FIXED.items()}


def test_equal_values_give_equal_text() -> None:
    edits = {"docs": PhaseEdit(run="x", after=("build",))}
    files = {phase.name: f"/s/{phase.name}" for phase in order(edits)}
    first = values(env={"B": "1", "A": "2"}, attributes=json.loads('{"y": 1, "x": 2}'))
    second = values(env={"A": "2", "B": "1"}, attributes=json.loads('{"x": 2, "y": 1}'))
    assert script(first, order(edits), files) == script(second, order(edits), files)
