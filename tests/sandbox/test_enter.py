"""Programs in sandboxes, started directly: what they are given, and shells for people."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from devenv.sandbox import building, enter, syscalls
from devenv.sandbox.errors import SandboxError
from devenv.sandbox.spec import Bind, Directory, File, SandboxSpec, Symlink
from tests.support.sandboxes import require_sandboxes

Make = Callable[..., SandboxSpec]
TREE = Path(__file__).parents[2]


def status_of(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def output(spec: SandboxSpec, script: str, cwd: str = "/", env: dict[str, str] | None = None) -> str:
    """What `script` prints; it must end well."""
    ours, theirs = os.pipe()
    with open(ours) as file:
        try:
            environment = {"PATH": "/usr/bin:/bin", **(env or {})}
            process = enter.run(
                spec, ["/bin/sh", "-c", script], environment, cwd, stdout=theirs, stderr=theirs
            )
        finally:
            os.close(theirs)
        said = file.read()
    assert status_of(process) == 0, said
    return said


def test_a_program_gets_what_it_is_given_and_nothing_else(spec: Make, tmp_path: Path) -> None:
    left_open = os.open("/", os.O_RDONLY)
    os.set_inheritable(left_open, True)
    (tmp_path / "input").write_text("from a file")
    with (
        open(tmp_path / "input") as stdin,
        open(tmp_path / "out", "w") as stdout,
        open(tmp_path / "err", "w") as stderr,
    ):
        process = enter.run(
            spec(Directory("/work")),
            [
                "/bin/sh",
                "-c",
                'pwd; env; cat; echo "$0 $1"; ls /proc/$$/fd; echo error >&2; exit 3',
                "name",
                "a b",
            ],
            {"PATH": "/usr/bin", "X": "y"},
            "/work",
            stdin=stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        )
        assert status_of(process) == 3
    os.close(left_open)
    lines = (tmp_path / "out").read_text().split("\n")
    assert lines[0] == "/work"
    assert set(lines[1:4]) == {"PATH=/usr/bin", "X=y", "PWD=/work"}
    assert lines[4:] == ["from a filename a b", "0", "1", "2", ""]
    assert (tmp_path / "err").read_text() == "error\n"


def test_descriptors_may_be_given_in_any_order(spec: Make) -> None:
    """Those of the standard streams among them, crosswise."""
    code = (
        "import os, sys; from devenv.sandbox import enter; from tests.sandbox.conftest import MACHINE\n"
        "from devenv.sandbox.spec import SandboxSpec\n"
        "process = enter.run(SandboxSpec(mounts=MACHINE), ['/bin/sh', '-c', 'echo out; echo err >&2'], {}, '/',\n"
        "    stdin=2, stdout=2, stderr=1)\nos.waitpid(process, 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TREE, check=True)
    assert (done.stdout, done.stderr) == ("err\n", "out\n")


def test_the_end_by_a_signal_is_seen(spec: Make) -> None:
    process = enter.run(spec(), ["/bin/sleep", "1000"], {}, "/")
    os.kill(process, signal.SIGKILL)
    assert status_of(process) == -signal.SIGKILL


def test_what_cannot_be_started_is_an_error_and_leaves_nothing(spec: Make) -> None:
    with pytest.raises(SandboxError, match=r"starting /no/program in a sandbox.*No such file"):
        enter.run(spec(), ["/no/program"], {}, "/")
    with pytest.raises(SandboxError, match="entering /no/directory failed: No such file"):
        enter.run(spec(), ["/bin/true"], {}, "/no/directory")
    with pytest.raises(SandboxError, match=r"/no/source does not exist"):
        enter.run(spec(Bind("/no/source", "/x")), ["/bin/true"], {}, "/")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_it_may_be_started_while_other_threads_work(spec: Make) -> None:
    """Who hold the allocator's locks most of the time."""
    stop = threading.Event()

    def allocate() -> None:
        while not stop.is_set():
            bytearray(200_000)
            [bytes(40) for _ in range(1000)]

    threads = [threading.Thread(target=allocate) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        processes = [enter.run(spec(), ["/bin/true"], {}, "/") for _ in range(15)]
        assert [status_of(process) for process in processes] == [0] * 15
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_program_can_be_somebody_else_or_the_same(spec: Make) -> None:
    assert output(spec(), "id -u; id -g; hostname") == "1000\n100\nlocalhost\n"
    assert output(spec(uid=0, gid=0, hostname="other"), "id -u; id -g; hostname") == "0\n0\nother\n"
    same = output(spec(uid=None, gid=None, hostname=None), "id -u; id -g; hostname")
    assert same == f"{os.geteuid()}\n{os.getegid()}\n{os.uname().nodename}\n"


def test_what_is_not_set_apart_is_the_machine_s(spec: Make) -> None:
    mounts = (Bind("/proc", "/proc"),)
    listed = output(
        spec(*mounts, processes=False, network=True), f"ls -d /proc/{os.getpid()}; cat /proc/net/dev"
    )
    assert f"/proc/{os.getpid()}\n" in listed
    apart = output(spec(), "cat /proc/net/dev; ls /proc")
    assert [line.split(":")[0].strip() for line in apart.splitlines() if ":" in line] == ["lo"]
    assert str(os.getpid()) not in apart.split()


def test_the_machine_s_root_can_be_shown_with_other_parts(spec: Make, tmp_path: Path) -> None:
    """As a program of another distribution would be run on top of the machine's own files."""
    require_sandboxes()
    (tmp_path / "writable").mkdir()
    (tmp_path / "hosts").write_text("own\n")
    whole = SandboxSpec(
        mounts=(
            Bind("/", "/"),
            Bind(str(tmp_path / "writable"), str(tmp_path / "writable"), writable=True),
            Bind(str(tmp_path / "hosts"), "/etc/hosts"),
        ),
        processes=False,
        network=True,
        uid=None,
        gid=None,
        hostname=None,
    )
    script = f"cat /etc/hosts; echo x > {tmp_path}/writable/f; ! echo x > {tmp_path}/f; ls /proc/{os.getpid()} | wc -l"
    assert output(whole, script).startswith("own\n")
    assert (tmp_path / "writable/f").read_text() == "x\n"
    assert not (tmp_path / "f").exists()


def test_files_links_and_directories_are_as_described(spec: Make) -> None:
    made = spec(File("/etc/motd", b"hello\n", 0o640), Symlink("/link", "etc/motd"), Directory("/d/e", 0o711))
    said = output(made, "cat /link; readlink /link; stat -c %a /etc/motd /d /d/e; ! touch /d/e/f 2>/dev/null")
    assert said == "hello\netc/motd\n640\n755\n711\n"


def test_a_large_request_arrives(spec: Make) -> None:
    files = [File(f"/many/{number}", b"x" * 1000) for number in range(300)]
    assert output(spec(*files), "cat /many/* | wc -c").strip() == "300000"


def test_a_link_in_a_directory_of_the_machine_leads_no_mount_astray(spec: Make, tmp_path: Path) -> None:
    """Links are resolved against the machine's root until the sandbox is entered."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "elsewhere/d").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "tree/direct").symlink_to(tmp_path / "elsewhere/d")
    for target in ("/x/link/d", "/x/direct"):
        with pytest.raises(SandboxError, match="Too many levels of symbolic links"):
            enter.run(spec(Bind(str(tmp_path / "tree"), "/x"), Bind("/usr", target)), ["/bin/true"], {}, "/")


def test_old_kernels_make_things_read_only_another_way(
    spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(path: str, **_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)

    monkeypatch.setattr(syscalls, "set_mount_attributes", missing)
    for name in ("a b", "scratch/in", "scratch/out"):
        (tmp_path / name).mkdir(parents=True)
    made = spec(
        Bind(str(tmp_path / "a b"), "/a b"),
        Bind(str(tmp_path / "scratch"), "/store", writable=True),
        Bind(str(tmp_path / "a b"), "/store/in"),
    )
    script = "! touch '/a b/x' 2>/dev/null && ! touch /store/in/x /usr/x /x 2>/dev/null && touch /store/out/x /tmp/x"
    output(made, script)
    assert (tmp_path / "scratch/out/x").exists()
    assert list((tmp_path / "a b").iterdir()) == []


def test_mount_points_with_odd_names_are_read(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_bytes(
        b"22 1 8:1 / / rw - ext4 x rw\n23 22 8:1 / /a\\040b\\134\\011\xff rw shared:1 - ext4 x rw\n"
    )
    assert building.mount_points(str(file)) == ["/", "/a b\\\t\udcff"]


CHILD = """
import os, sys
from devenv.sandbox import enter
from devenv.sandbox.spec import SandboxSpec
from tests.sandbox.conftest import MACHINE
spec = SandboxSpec(mounts=MACHINE, new_session=False, init={init})
process = enter.run(spec, {argv!r}, dict(PATH="/usr/bin:/bin", TERM="dumb", PS1="> ", HOME="/"), "/")
print("started", process, flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) & 255)
"""


def spawn(*argv: str, init: bool = False) -> pexpect.spawn[str]:
    code = CHILD.format(argv=list(argv), init=init)
    child = pexpect.spawn(sys.executable, ["-c", code], cwd=str(TREE), encoding="utf-8", timeout=10)
    child.expect("started")
    return child


@pytest.mark.parametrize("init", [False, True], ids=["as process 1", "below process 1"])
def test_a_shell_for_a_person_has_its_terminal_and_job_control(spec: Make, init: bool) -> None:
    child = spawn("/bin/bash", "--norc", "--noprofile", "-i", init=init)
    child.sendline("echo re''ady")  # its prompt may have come before or after the line above
    child.expect("ready")
    child.sendline("sleep 1000")
    time.sleep(0.2)
    child.sendcontrol("z")
    child.expect("Stopped")
    child.sendline("jobs; tty; echo $((40 + 2))")
    child.expect("Stopped.*sleep 1000")
    child.expect("42")
    child.sendline("fg")
    child.expect("sleep 1000")
    time.sleep(0.2)
    child.sendcontrol("c")
    child.sendline("echo $?")
    child.expect("130")
    child.sendline("exit 7")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 7


def test_a_program_below_process_1_can_be_interrupted(spec: Make) -> None:
    child = spawn("/bin/sleep", "1000", init=True)
    time.sleep(0.3)
    child.sendcontrol("c")
    child.expect("KeyboardInterrupt")  # the caller's own; the program ended by the same key
    child.expect(pexpect.EOF)


def test_process_1_of_ours_passes_statuses_on(spec: Make) -> None:
    for script, status in (("exit 4", 4), ("kill -TERM $$", 128 + 15)):
        process = enter.run(spec(init=True), ["/bin/sh", "-c", script], {}, "/")
        assert status_of(process) == status


def test_a_sandbox_dies_with_who_started_it(spec: Make) -> None:
    code = textwrap.dedent(
        """
        import os, sys, time
        from devenv.sandbox import enter
        from devenv.sandbox.spec import SandboxSpec
        from tests.sandbox.conftest import MACHINE
        print(enter.run(SandboxSpec(mounts=MACHINE), ["/bin/sleep", "1000"], {}, "/"), flush=True)
        time.sleep(1000)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=TREE
    ) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        descriptor = os.pidfd_open(process)
        parent.kill()
    with open(descriptor, "rb") as ended:
        import select

        assert select.select([ended], [], [], 10)[0] == [ended]
