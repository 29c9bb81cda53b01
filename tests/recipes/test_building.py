"""`devenv build` for real: phases in sandboxes, going on after a failure, nothing built twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.derivations.site import Site
from tests.support.devenv import User, devenv_program

pytestmark = pytest.mark.usefixtures("sandboxes")


def write(root: Path, text: str, **files: str) -> None:
    (root / "devenv.toml").write_text(text)
    for name, contents in files.items():
        (root / name).write_text(contents)


def phases_of(done: subprocess.CompletedProcess[str], label: str) -> list[str]:
    """The phases that ran, from what `-v` printed."""
    return re.findall(rf"^{label}> phase: (\S+)$", done.stderr, re.MULTILINE)


def log_of(user: User, root: Path, out: str) -> str:
    return user.run("store", "log", out, cwd=root).stdout


def recipe(install: str = "cat made >$out", *, sleep: float = 0, more: str = "") -> str:
    return f"""
[build.slow]
version = "1.0"
sources = ["input"]
host = true
{more}
[build.slow.phases]
build = "sleep {sleep}; tr a-z A-Z <input >made"
install = '''{install}'''
fixup = false
"""


ALL = ["unpack", "patch", "configure", "build", "check", "install"]


def test_a_recipe_is_built_and_its_result_is_kept(user: User, root: Path) -> None:
    write(root, recipe(), input="hello\n")
    done = user.run("build", "-v", cwd=root)
    out = done.stdout.strip()
    assert Path(out).read_text() == "HELLO\n"
    assert os.readlink(root / ".devenv/builds/slow") == out
    assert out.endswith("-slow-1.0")
    assert phases_of(done, "slow-1.0") == ALL
    assert log_of(user, root, out).splitlines() == [f"phase: {name}" for name in ALL]
    again = user.run("build", "-v", cwd=root)
    assert again.stdout == done.stdout
    assert phases_of(again, "slow-1.0") == []
    user.run("gc", cwd=root)
    assert Path(out).exists()
    user.run("store", "verify", cwd=root)


def test_an_edited_install_phase_runs_alone(user: User, root: Path) -> None:
    write(root, recipe(sleep=3), input="hello\n")
    begun = time.monotonic()
    first = user.run("build", "-v", cwd=root)
    whole = time.monotonic() - begun
    write(root, recipe("cat made made >$out", sleep=3))
    begun = time.monotonic()
    second = user.run("build", "-v", cwd=root)
    assert time.monotonic() - begun < whole - 2, "the build phase was not waited for"
    assert phases_of(second, "slow-1.0") == ["install"]
    assert "goes on after the phase check" in second.stderr
    assert Path(second.stdout.strip()).read_text() == "HELLO\nHELLO\n"
    assert first.stdout != second.stdout


@pytest.mark.slow
def test_twenty_seconds_of_building_are_not_waited_for_twice(user: User, root: Path) -> None:
    write(root, recipe(sleep=20), input="hello\n")
    user.run("build", cwd=root)
    write(root, recipe("cat made made >$out", sleep=20))
    begun = time.monotonic()
    done = user.run("build", cwd=root)
    assert time.monotonic() - begun < 2
    assert Path(done.stdout.strip()).read_text() == "HELLO\nHELLO\n"


CHANGES = {
    "text of a middle phase": (lambda text: text.replace("a-z", "a-y"), {}, ["build", "check", "install"]),
    "source": (lambda text: text, {"input": "other\n"}, ALL),
    "attribute": (lambda text: text.replace("host = true", "host = true\nattributes = {a = 1}"), {}, ALL),
    "description": (lambda text: text.replace("host = true", 'host = true\ndescription = "x"'), {}, []),
    "cores": (lambda text: text.replace("host = true", "host = true\ncores = 1"), {}, []),
}


@pytest.mark.parametrize(("change", "files", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_what_runs_again_is_what_could_notice(
    user: User, root: Path, change: object, files: dict[str, str], expected: list[str]
) -> None:
    write(root, recipe(), input="hello\n")
    user.run("build", cwd=root)
    write(root, change(recipe()), **files)  # type: ignore[operator]
    assert phases_of(user.run("build", "-v", cwd=root), "slow-1.0") == expected


def test_going_on_gives_what_building_anew_gives(user: User, root: Path) -> None:
    """Also where phases wrote down where the output goes: its path is another after each edit."""
    text = """
[build.whole]
host = true
[build.whole.phases]
build = "echo prefix=$out >config; mkdir bin; echo \\"echo at $out\\" >bin/tool"
install = "mkdir $out; cp -R config bin $out/; ln -s $out/bin/tool $out/link; NUMBER"
"""
    write(root, text.replace("NUMBER", "echo 1 >$out/n"))
    first = Path(user.run("build", cwd=root).stdout.strip())
    write(root, text.replace("NUMBER", "echo 2 >$out/n"))
    second = Path(user.run("build", cwd=root).stdout.strip())
    anew = Path(user.run("build", "--from", "unpack", cwd=root).stdout.strip())
    assert anew == second != first
    for out in (first, second):
        assert (out / "config").read_text() == f"prefix={out}\n"
        assert os.readlink(out / "link") == f"{out}/bin/tool"
    user.run("gc", cwd=root)
    assert not first.exists(), "nothing refers to what came before"
    info = json.loads(user.run("store", "path-info", "--json", str(second), cwd=root).stdout)
    assert "scratch" not in json.dumps(info)
    user.run("store", "verify", cwd=root)


def test_a_failure_says_the_phase_and_mending_it_goes_on_from_there(user: User, root: Path) -> None:
    write(root, recipe("echo about to fail; nothing-of-this-name", sleep=1), input="hello\n")
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    assert "cannot build slow-1.0 (phase install): its builder ended with status 127" in done.stderr
    assert "about to fail" in done.stderr
    assert "devenv enter --build slow" in done.stderr
    write(root, recipe(sleep=1))
    assert phases_of(user.run("build", "-v", cwd=root), "slow-1.0") == ["install"]


@pytest.mark.parametrize(
    ("start", "expected"), [("build", ALL[3:]), ("unpack", ALL), ("install", ["install"])]
)
def test_from_a_phase_on_all_runs_again(user: User, root: Path, start: str, expected: list[str]) -> None:
    write(root, recipe(), input="hello\n")
    first = user.run("build", cwd=root)
    done = user.run("build", "-v", "--from", start, "slow", cwd=root)
    assert phases_of(done, "slow-1.0") == expected
    assert done.stdout == first.stdout


def test_a_result_that_is_another_each_time_is_reported(user: User, root: Path) -> None:
    write(root, recipe("date +%N >$out"), input="hello\n")
    first = Path(user.run("build", cwd=root).stdout.strip())
    text = first.read_text()
    done = user.run("build", "--from", "install", cwd=root)
    assert "slow-1.0 came out different from before" in done.stderr
    assert first.read_text() == text


def test_damaged_checkpoints_are_passed_over_with_a_notice(user: User, root: Path) -> None:
    write(root, recipe(), input="hello\n")
    user.run("build", cwd=root)
    checkpoints = user.store_root / "cache/checkpoints"
    made = [path for path in (checkpoints / "made").iterdir() if '"check"' in path.read_text().split("\n")[0]]
    made[0].write_text(made[0].read_text()[:-40])
    write(root, recipe("cat made made >$out"))
    done = user.run("build", "-v", cwd=root)
    assert (
        "the checkpoint after check is damaged (its text is not what was written) and dropped" in done.stderr
    )
    assert phases_of(done, "slow-1.0") == ["check", "install"]
    for blob in (checkpoints / "files").glob("*/*"):
        blob.chmod(0o600)
        blob.write_bytes(b"")
    write(root, recipe("cat made made made >$out"))
    done = user.run("build", "-v", cwd=root)
    assert phases_of(done, "slow-1.0") == ALL
    assert Path(done.stdout.strip()).read_text() == "HELLO\n" * 3


def test_without_room_for_checkpoints_builds_go_well(user: User, root: Path) -> None:
    write(root, recipe(), input="hello\n")
    user.run("build", cwd=root, DEVENV_CHECKPOINTS="0")
    assert not any((user.store_root / "cache/checkpoints/made").iterdir())
    (user.store_root / "cache/checkpoints/made").rmdir()
    (user.store_root / "cache/checkpoints/made").write_text("in the way")
    write(root, recipe("cat made made >$out"))
    done = user.run("build", cwd=root)
    assert "no checkpoint is kept after unpack" in done.stderr


def test_a_recipe_without_checkpoints_leaves_none(user: User, root: Path) -> None:
    write(root, recipe(more="checkpoints = false"), input="hello\n")
    user.run("build", cwd=root)
    assert not (user.store_root / "cache/checkpoints/made").exists()


def test_recipes_are_inputs_of_each_other(user: User, root: Path) -> None:
    write(
        root,
        """
[build.tool]
host = true
[build.tool.phases]
install = "mkdir -p $out/bin; printf '#!/bin/sh\\\\necho tool: $1\\\\n' >$out/bin/tool; chmod +x $out/bin/tool"
[build.data]
host = true
inputs = ["tool"]
[build.data.phases]
install = "tool greets >$out; echo $input_tool >>$out"
""",
    )
    data = Path(user.run("build", "data", cwd=root).stdout.strip())
    greeting, path = data.read_text().splitlines()
    assert greeting.startswith("tool: ")
    references = user.run("store", "query", "--references", str(data), cwd=root).stdout.split()
    assert path in references
    assert not (root / ".devenv/builds/tool").exists(), "it was not asked for"


def test_files_come_by_url_and_hash_and_are_unpacked(
    user: User, root: Path, site: Site, tmp_path: Path
) -> None:
    import base64
    import hashlib
    import tarfile

    (tmp_path / "greet-1").mkdir()
    (tmp_path / "greet-1/greeting").write_text("hi\n")
    with tarfile.open(tmp_path / "greet.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "greet-1", "greet-1")
    data = (tmp_path / "greet.tar.gz").read_bytes()
    site.files["/greet-1.tar.gz"] = data
    hash = "sha256-" + base64.b64encode(hashlib.sha256(data).digest()).decode()
    write(
        root,
        f"""
[build.greet]
sources = [{{ url = "{site.url}/greet-1.tar.gz", hash = "{hash}" }}]
host = true
phases.install = "cat greeting >$out"
""",
    )
    dry = user.run("build", "--dry-run", cwd=root)
    assert "would fetch 1 file" in dry.stdout
    assert site.asked == []
    assert Path(user.run("build", cwd=root).stdout.strip()).read_text() == "hi\n"


def test_a_build_cannot_reach_what_it_does_not_declare(user: User, root: Path) -> None:
    (user.home / "secret").write_text("x")
    other = user.run("store", "add", str(user.home / "secret"), cwd=root).stdout.strip()
    script = f"""
for each in {user.home}/secret {root}/devenv.toml {other} /etc/hostname; do
    if [ -e "$each" ]; then echo "sees $each"; fi
done >$out
cat /proc/net/route 2>/dev/null | tail -n +2 >>$out; echo end >>$out
"""
    write(root, recipe(script), input="x")
    assert Path(user.run("build", cwd=root).stdout.strip()).read_text() == "end\n"


# Going on


TWO = """
[build.bad]
host = true
phases.install = "exit 1"
[build.needs]
host = true
inputs = ["bad"]
phases.install = "echo x >$out"
[build.good]
host = true
phases.build = "sleep 0.5"
phases.install = "echo x >$out"
[build.later]
host = true
inputs = ["good"]
phases.install = "echo x >$out"
"""


@pytest.mark.parametrize("going_on", [True, False])
def test_what_does_not_need_what_failed_is_built_if_asked(user: User, root: Path, going_on: bool) -> None:
    write(root, TWO)
    done = user.run(
        "build", "--max-jobs", "2", *(["--keep-going"] if going_on else []), cwd=root, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("devenv: error:") == 1
    left = user.run("build", "--dry-run", cwd=root).stdout
    assert ("later" in left) is not going_on
    assert "bad" in left
    assert "needs" in left


def test_two_that_ask_build_once(user: User, root: Path) -> None:
    write(root, recipe("sleep 2; cat made >$out; date +%s%N >>$out"), input="hello\n")
    command = [devenv_program(), "build", "-v"]
    running = [
        subprocess.Popen(
            command, cwd=root, env=user.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=120) for each in running]
    assert [each.returncode for each in running] == [0, 0]
    assert said[0][0] == said[1][0]
    assert sorted(err.count("phase: install") for _, err in said) == [0, 1]
    assert sum("another process is building it; waiting for that" in err for _, err in said) == 1


def test_a_killed_build_goes_on_from_its_last_checkpoint(user: User, root: Path) -> None:
    write(root, recipe("sleep 60; cat made >$out"), input="hello\n")
    with subprocess.Popen(
        [devenv_program(), "build", "-v"],
        cwd=root,
        env=user.env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "phase: install" in line:
                break
        os.killpg(running.pid, signal.SIGKILL)
    write(root, recipe())
    done = user.run("build", "-v", cwd=root)
    assert phases_of(done, "slow-1.0") == ["install"]
    user.run("store", "verify", cwd=root)
    left = [name for name in os.listdir(user.store_root / "tmp") if name.partition("-")[0].isdecimal()]
    assert left == []


# Before anything is done


def test_a_dry_run_says_what_lies_ahead_and_writes_nothing(user: User, root: Path) -> None:
    write(root, recipe(sleep=1), input="hello\n")
    done = user.run("build", "--dry-run", cwd=root)
    assert done.stdout == "would build 1 thing\n  slow-1.0\n"
    assert not user.store_root.exists()
    assert not (root / ".devenv").exists()
    user.run("build", cwd=root)
    assert user.run("build", "-n", cwd=root).stdout == "nothing to do: everything is there\n"
    write(root, recipe("cat made made >$out", sleep=1))
    done = user.run("build", "--dry-run", cwd=root)
    assert re.fullmatch(
        r"would build 1 thing; 1 of them took [1-9][\d.]* s before\n  slow-1.0 \([1-9][\d.]* s\)\n",
        done.stdout,
    )
    found = json.loads(user.run("build", "--dry-run", "--json", cwd=root).stdout)
    assert found["fetches"] == []
    assert found["builds"][0]["label"] == "slow-1.0"
    assert found["builds"][0]["seconds"] > 1


MISTAKES = {
    "no recipes": ("", (), "devenv.toml says nothing to build", "[build.NAME]"),
    "typo": ("[build.hello]\nhost = true", ("hallo",), "there is no recipe hallo", "did you mean hello?"),
    "unknown phase": ("[build.a]\nhost = true", ("--from", "instal"), "has no phase instal", "it has unpack"),
    "unknown input": (
        "[build.a]\nhost = true\ninputs = ['fetch.b']",
        (),
        "has the input fetch.b, and there is no [fetch.b]",
        "",
    ),
    "python": ("[build.a]\nhost = true\ninputs = ['python']\n[packages]\npython = '3'", (), "python", ""),
    "circle": (
        "[build.a]\nhost = true\ninputs = ['b']\n[build.b]\nhost = true\ninputs = ['a']",
        (),
        "recipes are inputs of each other: a -> b -> a",
        "take out",
    ),
    "itself": ("[build.a]\nhost = true\ninputs = ['a']", (), "inputs of each other: a -> a", ""),
    "circle of phases": (
        "[build.a]\nhost = true\n[build.a.phases.x]\nrun='x'\nbefore=['build']\nafter=['install']",
        (),
        "phases wait for each other",
        "",
    ),
    "no source": (
        "[build.a]\nhost = true\nsources = ['nothing']",
        (),
        "there is no nothing in the project",
        "",
    ),
    "both kinds": (
        "[build.a]\nhost = true",
        ("a", "./b.drv"),
        "both recipes (a) and derivations",
        "one kind",
    ),
    "no derivation": ("[build.a]\nhost = true", ("./b.drv",), "b.drv", ""),
}


@pytest.mark.parametrize(("text", "arguments", "what", "hint"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_explained(
    user: User, root: Path, text: str, arguments: tuple[str, ...], what: str, hint: str
) -> None:
    write(root, text)
    done = user.run("build", *arguments, cwd=root, check=False)
    assert done.returncode == 1
    assert what in done.stderr
    assert hint in done.stderr


def test_no_output_is_an_error_with_the_reason(user: User, root: Path) -> None:
    write(root, recipe("true"), input="x")
    done = user.run("build", cwd=root, check=False)
    assert "did not make its output 'out'" in done.stderr


def test_what_a_build_is_told_of_processors_is_declared(user: User, root: Path) -> None:
    write(root, recipe("echo $NIX_BUILD_CORES >$out", more="cores = 1"), input="x")
    assert Path(user.run("build", cwd=root).stdout.strip()).read_text() == "1\n"


def test_attributes_are_data_for_programs(user: User, root: Path) -> None:
    script = f"{sys.executable if sys.executable.startswith('/usr') else 'python3'} -c 'import json, os; "
    script += 'print(json.dumps(json.load(open(os.environ["NIX_ATTRS_JSON_FILE"])), sort_keys=True))\' >$out'
    write(
        root,
        recipe(script, more="attributes = { deep = { list = [1, [2.5, true]] }, text = 'x' }"),
        input="x",
    )
    found = json.loads(Path(user.run("build", cwd=root).stdout.strip()).read_text())
    assert found["deep"] == {"list": [1, [2.5, True]]}
    assert found["text"] == "x"
    assert found["version"] == "1.0"
    assert found["outputs"].keys() == {"out"}
