"""Builders that are programs: what they see, what becomes of what they make, how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Node
from devenv.derivations.outputs import HashMismatch
from devenv.derivations.process import BuilderFailed
from devenv.errors import Problems
from devenv.events import Finished, Printed, Started
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import scan
from tests.derivations.workshop import SYSTEM, Workshop
from tests.store.test_hostile import in_namespace
from tests.support.nix import Nix
from tests.support.sandboxes import require_sandboxes


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Workshop:
    require_sandboxes()
    return Workshop(store, str(tmp_path))


# What a builder is given


def test_a_builder_has_the_environment_of_nix_and_nothing_of_ours(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    node = shop.node('env -0 > "$out"', env={"PATH": "/usr/bin:/bin", "X": "a\nb", "TMPDIR": "/elsewhere"})
    shop.build(node, cores=3)
    found = dict(each.split("=", 1) for each in shop.text(node).split("\0") if each)
    for unimportant in ("SHLVL", "_", "OLDPWD"):  # the shell's own
        found.pop(unimportant, None)
    assert found == {
        **node.derivation.env,
        "HOME": "/homeless-shelter",
        "NIX_BUILD_CORES": "3",
        "NIX_BUILD_TOP": "/build",
        "NIX_LOG_FD": "2",
        "NIX_STORE": shop.store.layout.store,
        "PWD": "/build",
        "TEMP": "/build",
        "TEMPDIR": "/build",
        "TERM": "xterm-256color",
        "TMP": "/build",
        "TMPDIR": "/build",
    }


def test_a_builder_without_a_path_has_one_that_leads_nowhere(shop: Workshop) -> None:
    node = shop.node('echo "$PATH" > "$out"', env={"PATH": ""})
    bare = shop.graph.add(
        name="bare", builder="/bin/sh", args=["-c", 'echo "$PATH" > "$out"'], system=SYSTEM, env={}
    )
    shop.build(node, bare)
    assert shop.text(bare) == "/path-not-set\n"
    assert shop.text(node) == "\n"


def test_arguments_and_values_arrive_as_they_are(shop: Workshop) -> None:
    nasty = "a 'b' \"c\" \\ $d `e`\tf\n\u00e9 \udcff*"
    node = shop.node('printf %s "$1$V" > "$out"; printf %s "$0" > n', env={"V": nasty})
    other = shop.graph.add(
        name="other",
        builder="/bin/sh",
        args=["-c", 'printf "%s|" "$0" "$@" "$V" > "$out"', nasty, "", nasty],
        system=SYSTEM,
        env={"V": nasty},
    )
    shop.build(node, other)
    raw = os.fsencode(nasty)
    assert Path(other.out).read_bytes() == b"|".join([raw, b"", raw, raw, b""])


def test_placeholders_become_paths(shop: Workshop) -> None:
    from devenv.formats.derivation import placeholder

    node = shop.node(
        f'echo "$V {placeholder("dev")}" > "$out"; touch "$dev"',
        outputs=["out", "dev"],
        env={"V": f"x{placeholder('out')}/y"},
    )
    shop.build(node)
    assert shop.text(node) == f"x{node.out}/y {node.outputs['dev']}\n"


def test_attributes_are_passed_as_files(shop: Workshop) -> None:
    found = shop.output(
        'cat "$bigPath" > "$out"; echo "${big-unset}" >> "$out"; ls -A >> "$out"',
        env={"big": "x" * 200_000, "passAsFile": "big missing"},
    )
    assert found.startswith("x" * 200_000 + "unset\n.attr-")


def test_structured_attributes_are_files(shop: Workshop) -> None:
    attributes = {
        "list": ["a b", "c'd"],
        "object": {"k": "v"},
        "number": 3,
        "no": False,
        "deep": [[1]],
        "bad-name": 1,
        "outputs": ["out"],
    }
    script = (
        '. "$NIX_ATTRS_SH_FILE"; { cat "$NIX_ATTRS_JSON_FILE"; echo; '
        'echo "${list[1]}" "${object[k]}" "$number" "$no" "${deep-unset}"; } > "${outputs[out]}"'
    )
    node = shop.graph.add(
        name="structured",
        builder="/bin/bash",
        args=["-c", f"PATH=/usr/bin:/bin; {script}"],
        system=SYSTEM,
        env={"__json": json.dumps(attributes)},
    )
    shop.build(node)
    text, line = shop.text(node).splitlines()
    assert json.loads(text) == {**attributes, "outputs": {"out": node.out}}
    assert line == "c'd v 3  unset"


def test_the_closure_of_an_input_can_be_described(shop: Workshop) -> None:
    low = shop.store.add_text("low", b"low")
    high = shop.store.add_text("high", b"high", (low,))
    text = shop.output('cat graph > "$out"', sources=[high], env={"exportReferencesGraph": f"graph {high}"})
    expected = sorted([f"{low}\n\n0\n", f"{high}\n\n1\n{low}\n"])
    assert text == "".join(expected)


def test_a_builder_prints_to_a_terminal_that_changes_nothing(shop: Workshop) -> None:
    node = shop.node('test -t 1 && test -t 2 && ! test -t 0 && printf "a\\nb\\r\\n\\tc" && touch "$out"')
    shop.build(node)
    log = Path(
        shop.store.layout.log, "drvs", os.path.basename(node.path)[:2], os.path.basename(node.path)[2:]
    )
    assert log.read_bytes() == b"a\nb\r\n\tc"
    lines = [event.line for event in shop.reporter.events if isinstance(event, Printed)]
    assert lines == ["a", "b", " c"]


# What becomes of what it makes


def test_outputs_are_canonical_and_know_their_references(shop: Workshop) -> None:
    text = shop.store.add_text("text", b"text")
    unused = shop.store.add_text("unused", b"unused")
    tool = shop.node('mkdir -p "$out/bin"; echo x > "$out/bin/tool"; chmod 751 "$out/bin/tool"', "tool")
    node = shop.node(
        f'mkdir "$out"; ln -s {tool.out}/bin "$out/bin"; echo "$out" {text} > "$out/f"; chmod 600 "$out/f"; ls {unused}',
        "user",
        inputs=[tool],
        sources=[text, unused],
    )
    shop.build(node)
    info = shop.store.info(node.out)
    assert info is not None
    assert info.references == tuple(sorted([text, tool.out, node.out]))
    assert (info.deriver, info.ultimate, info.content_address) == (node.path, True, None)
    status = os.stat(f"{tool.out}/bin/tool")
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o555, 1)
    assert os.stat(f"{node.out}/f").st_mode & 0o7777 == 0o444


def test_several_outputs_are_registered_together(shop: Workshop) -> None:
    node = shop.node(
        'mkdir "$lib"; echo "$dev" > "$lib/f"; echo x > "$dev"; echo "$lib" > "$out"',
        outputs=["out", "lib", "dev"],
    )
    user = shop.node(f'cat {node.outputs["lib"]}/f > "$out"', "user", inputs=[(node, ["lib"])])
    shop.build(user)
    references = {name: shop.store.info(path).references for name, path in node.outputs.items()}  # type: ignore[union-attr]
    assert references == {"dev": (), "lib": (node.outputs["dev"],), "out": (node.outputs["lib"],)}
    assert shop.text(user) == node.outputs["dev"] + "\n"


def test_an_output_that_is_there_already_stays_and_the_others_are_made(shop: Workshop, store: Store) -> None:
    node = shop.node('date +%N > "$out"; echo x > "$dev"', outputs=["out", "dev"])
    shop.build(node)
    before = shop.text(node)
    store._database._execute("delete from ValidPaths where path = ?", (node.outputs["dev"],))
    shop.build(node)
    assert shop.text(node) == before
    assert store.is_valid(node.outputs["dev"])


def test_what_is_valid_is_not_built(shop: Workshop) -> None:
    node = shop.node('echo x > "$out"')
    shop.build(node)
    shop.reporter.events.clear()
    shop.build(node)
    assert shop.reporter.events == []


def test_an_output_that_only_one_input_uses_is_enough(shop: Workshop, store: Store) -> None:
    """Of a derivation that was copied here in part, what is there is used."""
    node = shop.node('echo x > "$out"; echo y > "$dev"', outputs=["out", "dev"])
    shop.build(node)
    store._database._execute("delete from ValidPaths where path = ?", (node.outputs["dev"],))
    user = shop.node(f'cat {node.out} > "$out"', "user", inputs=[(node, ["out"])])
    shop.reporter.events.clear()
    shop.build(user)
    assert [event.label for event in shop.reporter.events if isinstance(event, Started)] == ["user"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("true", r"did not make its output 'out' \(/"),
        ('mkdir "$out"; mkfifo "$out/p"', "named pipe"),
        (
            'mkdir "$out"; cd "$out"; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'s\')"',
            "a socket",
        ),
        ('echo "$out2" > "$out"; echo "$out" > "$out2"', "in a circle"),
    ],
    ids=["nothing", "a named pipe", "a socket", "a circle"],
)
def test_outputs_that_cannot_be_in_a_store_are_refused(shop: Workshop, script: str, said: str) -> None:
    outputs = ["out", "out2"] if "out2" in script else ["out"]
    node = shop.node(script, outputs=outputs)
    with pytest.raises(BuildError, match=said):
        shop.build(node)
    assert not any(os.path.lexists(path) for path in node.outputs.values())


HELLO = Hash.of("sha256", b"hello\n")


@pytest.mark.parametrize("recursive", [False, True], ids=["flat", "recursive"])
def test_a_fixed_output_is_registered_when_its_hash_is_right(shop: Workshop, recursive: bool) -> None:
    from devenv.store.tree import file_nar

    hash = file_nar(b"hello\n").nar_hash if recursive else HELLO
    node = shop.node('echo hello > "$out"', fixed=(hash, recursive))
    shop.build(node)
    info = shop.store.info(node.out)
    assert info is not None
    assert info.content_address == f"fixed:{'r:' if recursive else ''}{hash.typed_nix32}"


def test_a_fixed_output_with_another_hash_is_refused(shop: Workshop) -> None:
    node = shop.node('echo goodbye > "$out"', fixed=(HELLO, False))
    with pytest.raises(HashMismatch) as caught:
        shop.build(node)
    found = Hash.of("sha256", b"goodbye\n")
    assert (caught.value.expected, caught.value.found) == (HELLO.sri, found.sri)
    assert HELLO.sri in str(caught.value)
    assert found.sri in str(caught.value)
    assert not os.path.lexists(node.out)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('mkdir "$out"', "no plain file"),
        ('echo hello > "$out"; chmod +x "$out"', "executable"),
        ('ln -s /etc/passwd "$out"', "no plain file"),
    ],
)
def test_a_flat_fixed_output_is_a_plain_file(shop: Workshop, script: str, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        shop.build(shop.node(script, fixed=(HELLO, False)))


def test_a_fixed_output_has_no_references(shop: Workshop) -> None:
    text = shop.store.add_text("text", b"text")
    hash = Hash.of("sha256", f"{text}\n".encode())
    with pytest.raises(BuildError, match="may not refer"):
        shop.build(shop.node(f'echo {text} > "$out"', sources=[text], fixed=(hash, False)))


def test_fixed_outputs_get_the_variables_that_they_ask_for(shop: Workshop) -> None:
    hash = Hash.of("sha256", b"proxy  1\n")
    node = shop.node(
        'echo "$http_proxy" "$no_proxy" "$NIX_OUTPUT_CHECKED" > "$out"',
        fixed=(hash, False),
        env={"impureEnvVars": "http_proxy no_proxy"},
    )
    shop.build(node, environ={"http_proxy": "proxy", "other": "x"})


REFERENCES: list[tuple[dict[str, str], str | None]] = [
    ({"allowedReferences": "TEXT"}, None),
    ({"allowedReferences": ""}, "allowedReferences does not list"),
    ({"disallowedReferences": "TEXT"}, "disallowedReferences forbids"),
    ({"disallowedReferences": "out"}, None),
    ({"allowedRequisites": "TEXT BELOW"}, None),
    ({"allowedRequisites": "TEXT"}, "allowedRequisites does not list"),
    ({"disallowedRequisites": "BELOW"}, "disallowedRequisites forbids"),
    ({"allowedReferences": "lib"}, "neither a store path nor an output"),
]


@pytest.mark.parametrize(("demands", "said"), REFERENCES, ids=[str(each[0]) for each in REFERENCES])
def test_demands_on_references_are_checked(shop: Workshop, demands: dict[str, str], said: str | None) -> None:
    below = shop.store.add_text("below", b"below")
    text = shop.store.add_text("text", b"text", (below,))
    env = {key: value.replace("TEXT", text).replace("BELOW", below) for key, value in demands.items()}
    node = shop.node(f'echo {text} > "$out"', sources=[text], env=env)
    if said is None:
        shop.build(node)
        return
    with pytest.raises(BuildError, match=said):
        shop.build(node)
    assert not os.path.lexists(node.out)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({}, None),
        ({"out": {"maxSize": 1000, "maxClosureSize": 1000, "allowedReferences": []}}, None),
        ({"out": {"maxSize": 100}}, r"is 120 bytes, and may have 100"),
        ({"out": {"maxClosureSize": 100}}, r"has with all that it refers to 120 bytes"),
        ({"out": {"disallowedReferences": [3]}}, "outputChecks are malformed"),
        ({"out": 3}, "outputChecks are malformed"),
        (3, "outputChecks are malformed"),
    ],
    ids=str,
)
def test_demands_in_structured_attributes_are_checked(shop: Workshop, checks: Any, said: str | None) -> None:
    node = shop.graph.add(
        name="structured",
        builder="/bin/bash",
        args=["-c", '. "$NIX_ATTRS_SH_FILE"; echo x > "${outputs[out]}"'],
        system=SYSTEM,
        env={"__json": json.dumps({"outputChecks": checks})},
    )
    if said is None:
        shop.build(node)
        return
    with pytest.raises(BuildError, match=said):
        shop.build(node)


# How it ends


def test_a_failure_shows_the_end_of_the_log_and_names_the_whole(shop: Workshop) -> None:
    node = shop.node(
        'for i in $(seq 200); do echo "line $i"; done; printf "\\033[31mred\\033[0m"; exit 7', "bad"
    )
    other = shop.node('echo x > "$out"', "good")
    with pytest.raises(BuilderFailed, match=r"cannot build bad: its builder ended with status 7") as caught:
        shop.build(node, other)
    message = str(caught.value)
    assert "line 200\n  red" in message
    assert "line 100" not in message
    assert "\x1b" not in message
    assert Path(caught.value.log).read_text().count("line") == 200
    assert caught.value.log in str(caught.value.hint)
    assert shop.store.is_valid(other.out)
    assert any(isinstance(event, Finished) and event.failed for event in shop.reporter.events)


def test_nix_shows_the_log(shop: Workshop, nix: Any) -> None:
    node = shop.node('echo said; touch "$out"')
    shop.build(node)
    assert nix.run("nix", "log", node.path).stdout == "said\n"
    assert nix.store("--read-log", node.path) == "said"


def test_a_builder_killed_by_a_signal_says_so(shop: Workshop) -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGSEGV, signal.SIG_DFL); import ctypes; ctypes.string_at(0)"
    )
    node = shop.graph.add(
        name="crash", builder="/usr/bin/python3", args=["-c", program], system=SYSTEM, env={}
    )
    with pytest.raises(BuilderFailed, match="was killed by SIGSEGV and printed nothing"):
        shop.build(node)


@pytest.mark.parametrize(
    ("builder", "said"),
    [("/no/builder", "No such file"), ("/etc/passwd", "Permission denied")],
)
def test_a_builder_that_cannot_be_started_is_named(shop: Workshop, builder: str, said: str) -> None:
    node = shop.graph.add(name="nothing", builder=builder, env={}, system=SYSTEM)
    with pytest.raises(BuildError, match=rf"cannot build nothing: starting {builder}.*{said}"):
        shop.build(node)


def test_a_failed_build_directory_is_kept_when_asked(shop: Workshop) -> None:
    node = shop.node("echo work > file; exit 1")
    with pytest.raises(BuilderFailed) as caught:
        shop.build(node)
    assert caught.value.kept is None
    assert shop.kept() == []
    with pytest.raises(BuilderFailed) as caught:
        shop.build(node, keep_failed=True)
    assert shop.kept() == [caught.value.kept]
    assert str(caught.value.kept) in str(caught.value.hint)
    assert Path(str(caught.value.kept), "file").read_text() == "work\n"
    with pytest.raises(BuildError) as other:
        shop.build(shop.node("echo nothing > file"), keep_failed=True)
    assert len(shop.kept()) == 2
    assert shop.kept()[1] in str(other.value.hint)


def no_process_has(mark: str) -> bool:
    """Whether the machine has no process with `mark` in its command line, apart from this one."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                if mark.encode() in Path("/proc", name, "cmdline").read_bytes():
                    return False
            except OSError:
                continue
    return True


def eventually(condition: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def mark() -> str:
    """A number of seconds to sleep that no other process sleeps."""
    return f"3{os.getpid()}{time.monotonic_ns() % 10**6:06}"


STUBBORN = "trap '' TERM INT HUP; (setsid sleep {0} &) ; sleep {0} & "


def test_a_build_that_takes_too_long_is_ended_with_all_its_processes(shop: Workshop) -> None:
    number = mark()
    node = shop.node(f"{STUBBORN.format(number)} while :; do echo still; sleep 0.1; done")
    with pytest.raises(BuilderFailed, match=r"took longer than 0\.7 s, its time limit"):
        shop.build(node, timeout=0.7, silence=30)
    assert no_process_has(number)


def test_a_build_that_is_silent_for_too_long_is_ended(shop: Workshop) -> None:
    number = mark()
    node = shop.node(f"for i in 1 2 3 4; do echo $i; sleep 0.2; done; exec sleep {number}")
    with pytest.raises(BuilderFailed, match=r"printed nothing for 0\.5 s") as caught:
        shop.build(node, timeout=30, silence=0.5)
    assert "\n  4" in str(caught.value)
    assert no_process_has(number)


def test_a_build_that_closes_its_output_is_waited_for(shop: Workshop) -> None:
    node = shop.node('exec >/dev/null 2>&1; sleep 0.3; echo x > "$out"')
    shop.build(node)
    assert shop.text(node) == "x\n"


def test_what_a_builder_leaves_running_ends_with_it(shop: Workshop) -> None:
    number = mark()
    shop.build(shop.node(f'(setsid sleep {number} >/dev/null 2>&1 &); touch "$out"'))
    assert no_process_has(number)


def test_the_memory_of_a_process_can_be_limited(shop: Workshop) -> None:
    node = shop.node("python3 -c \"x = 'x' * (1 << 30)\"")
    with pytest.raises(BuilderFailed, match="MemoryError"):
        shop.build(node, memory=512 << 20)


def test_independent_failures_are_reported_together(shop: Workshop) -> None:
    nodes = [shop.node("exit 1", f"bad-{number}") for number in range(3)]
    top = shop.node('touch "$out"', "top", inputs=nodes)
    with pytest.raises(Problems) as caught:
        shop.build(top)
    assert len(caught.value.problems) == 3


def test_log_lines_come_while_the_builder_runs(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    event = shop.reporter.event

    def stamp(each: Any) -> None:
        if isinstance(each, Printed):
            times.append(time.monotonic())
        event(each)

    monkeypatch.setattr(shop.reporter, "event", stamp)
    shop.build(shop.node('echo a; sleep 0.5; echo b; touch "$out"'))
    assert times[1] - times[0] > 0.3


# What is refused


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"system": "m68k-linux"}, r"it is for m68k-linux, and this machine is"),
        ({"env": {"__noChroot": "1"}}, "__noChroot"),
        ({"env": {"requiredSystemFeatures": "big-parallel quantum"}}, "it needs quantum of the machine"),
        ({"env": {"__impureHostDeps": "/usr/bin /opt/x"}}, "it wants /opt/x of this machine"),
        ({"env": {"exportReferencesGraph": "a"}}, "no list of pairs"),
        ({"env": {"exportReferencesGraph": "../a /x"}}, "no file name"),
        ({"env": {"exportReferencesGraph": "a /x"}}, "exportReferencesGraph"),
        ({"env": {"__json": "{"}}, "not JSON"),
        ({"env": {"__json": "[1]"}}, "not a JSON object"),
        ({"env": {"__json": '{"exportReferencesGraph": {}}'}}, "not supported"),
    ],
    ids=str,
)
def test_what_cannot_be_built_here_is_refused_with_a_reason(
    shop: Workshop, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(BuildError, match=said):
        shop.build(shop.node('touch "$out"', **fields))


def test_paths_of_the_machine_are_there_only_when_shown(shop: Workshop) -> None:
    shop.build(shop.node('touch "$out"', env={"__impureHostDeps": "/usr/bin"}))
    with pytest.raises(BuildError, match="starting /bin/sh"):
        shop.build(shop.node('touch "$out"; :'), sandbox_paths=())


def test_a_machine_without_user_namespaces_is_explained(
    shop: Workshop, tmp_path: Path, layout: Layout
) -> None:
    program = (
        "import sys\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "from tests.derivations.workshop import Workshop\n"
        "from devenv.store.layout import Layout\nfrom devenv.store.local import Store\n"
        "from devenv.errors import DevenvError\n"
        "with Store.open(Layout(sys.argv[1])) as store:\n"
        "    shop = Workshop(store, sys.argv[1])\n"
        "    try:\n"
        "        shop.build(shop.node('touch $out'))\n"
        "    except DevenvError as error:\n"
        "        print(type(error).__name__, error, error.hint)\n"
    )
    done = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", program, str(tmp_path / "elsewhere")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith("BuildError cannot build made: "), done.stderr
    assert "user.max_user_namespaces is 0" in done.stdout
    assert "sysctl -w user.max_user_namespaces=" in done.stdout


FULL = """
import os, sys
from tests.derivations.workshop import Workshop
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import scan
from devenv.errors import DevenvError
with Store.open(Layout(sys.argv[1])) as store:
    shop = Workshop(store, sys.argv[1])
    for name, script in (("log", "head -c 9000000 /dev/zero; touch $out"), ("out", "head -c 9000000 /dev/zero > $out")):
        try:
            shop.build(shop.node(script, name))
        except DevenvError as error:
            print(type(error).__name__, error, error.hint)
        for directory, _, files in os.walk(store.layout.log):
            for file in files:
                os.unlink(f"{directory}/{file}")
    small = shop.node("echo small > $out", "small")
    shop.build(small)
    print(shop.text(small), sorted(name.partition("-")[2] for name in os.listdir(store.layout.store)))
"""


def test_a_full_disk_is_an_error_and_spoils_nothing(tmp_path: Path) -> None:
    require_sandboxes()
    (tmp_path / "disk").mkdir()
    disk = str((tmp_path / "disk").resolve())
    done = in_namespace(Path(disk), "size=4m", sys.executable, "-c", FULL, disk)
    assert done.returncode == 0, done.stderr
    log, out, *last = done.stdout.split("\n", 2)
    assert log.startswith("StoreError writing the log ")
    assert "No space left on device" in log
    assert "Free some space" in log
    assert "No space left on device" in out  # for the builder's own message about it there is none, either
    assert last[0].endswith("small\n ['log.drv', 'out.drv', 'small', 'small.drv']\n")


# Ends from outside

CHILD = """
import sys
from tests.derivations.workshop import Workshop
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import scan
with Store.open(Layout(sys.argv[1])) as store:
    shop = Workshop(store, sys.argv[1])
    shop.build(*[shop.node(sys.argv[2] + f" # {number}", f"n{number}") for number in range(3)])
"""


@contextmanager
def started(layout: Layout, script: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that builds `script` in `layout`, three times with different names."""
    command = [sys.executable, "-c", CHILD, layout.root, script]
    tree = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tree, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_when_devenv_ends_so_do_its_builds(layout: Layout, number: int) -> None:
    require_sandboxes()
    sleep = mark()
    with started(layout, f"{STUBBORN.format(sleep)} wait") as process:
        assert eventually(lambda: not no_process_has(f"sleep\0{sleep}"))
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=10)
        assert eventually(lambda: no_process_has(sleep))
        assert process.returncode == -number
        assert number == signal.SIGKILL or said.rstrip().endswith("KeyboardInterrupt")
    with Store.open(layout):  # which removes what a killed one left
        left = [name for name in os.listdir(layout.tmp) if name.split("-")[0].isdecimal()]
        assert left == []
        # The file of a lock that nobody holds does no harm; Nix leaves it as well.
        assert [name for name in os.listdir(layout.store) if not name.endswith((".drv", ".lock"))] == []


def helper_of(pid: int) -> int | None:
    """The process that the sandboxes of `pid` are made by."""
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            if b"sandbox.zygote" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def test_when_the_helper_is_killed_the_builds_fail_and_end(layout: Layout) -> None:
    require_sandboxes()
    sleep = mark()
    with started(layout, f"{STUBBORN.format(sleep)} wait") as process:
        assert eventually(lambda: not no_process_has(f"sleep\0{sleep}"))
        first = helper_of(process.pid)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        # Two builds have failed by now; the third gets a new helper.
        assert eventually(lambda: helper_of(process.pid) not in (None, first))
        second = helper_of(process.pid)
        assert second is not None
        os.kill(second, signal.SIGKILL)
        _, said = process.communicate(timeout=10)
        assert said.count("the process that watches over it was killed") == 3
        assert eventually(lambda: no_process_has(sleep))


def test_a_build_that_was_cut_off_is_built_again(layout: Layout, shop: Workshop) -> None:
    script = 'echo x > "$out"; sleep 1'
    with started(layout, script):
        assert eventually(lambda: os.path.isdir(f"{layout.log}/drvs"))
    node = shop.node(f"{script} # 0", "n0")
    assert os.path.exists(node.path)
    assert not os.path.lexists(node.out)
    shop.build(node)
    assert shop.text(node) == "x\n"


GRAPH = """
import sys
from tests.derivations.test_process import layers
from tests.derivations.workshop import Workshop
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import scan
with Store.open(Layout(sys.argv[1])) as store:
    shop = Workshop(store, sys.argv[1])
    shop.build(*layers(shop))
"""


def layers(shop: Workshop) -> list[Node]:
    """Four layers of three derivations with two outputs each, which refer to those below and to each other."""
    below: list[Node] = []
    for layer in range(4):
        below = [
            shop.node(
                f'echo {" ".join(node.outputs["lib"] for node in below)} > "$lib"; mkdir "$out"; '
                f'head -c 200000 /dev/urandom > "$out/f"; ln -s "$lib" "$out/lib"',
                f"n{layer}{number}",
                outputs=["out", "lib"],
                inputs=[(node, ["lib"]) for node in below],
            )
            for number in range(3)
        ]
    return below


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_registers_nothing_wrong(
    layout: Layout, tmp_path: Path, nix: Nix, kills: int
) -> None:
    require_sandboxes()
    random = Random(kills)
    command = [sys.executable, "-c", GRAPH, layout.root]
    for _ in range(kills):
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], start_new_session=True) as process:
            time.sleep(random.uniform(0.1, 0.6))
            process.kill()
        with Store.open(layout) as store:  # every registered path is there and as registered
            for name in os.listdir(layout.store):
                path = StorePath(f"{layout.store}/{name}")
                info = None if name == ".links" or name.endswith(".lock") else store.info(path)
                assert info is None or scan(path, ()).nar_hash == info.nar_hash
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)
    nix.verify()
    with Store.open(layout) as store:
        shop = Workshop(store, str(tmp_path))
        for node in layers(shop):
            assert len(store.closure([node.out])) == len({node.out, *store.closure([node.outputs["lib"]])})
