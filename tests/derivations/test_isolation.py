"""What a builder cannot reach, tried from inside, each time with something that shows that the attempt is a real one."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from devenv.derivations.graph import Node
from devenv.formats.hashes import Hash
from devenv.store.local import Store
from tests.derivations.workshop import Workshop
from tests.support.sandboxes import HOST_PATHS, require_sandboxes


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Workshop:
    require_sandboxes()
    return Workshop(store, str(tmp_path))


PREAMBLE = """
import os, sys, socket, ctypes
libc = ctypes.CDLL(None, use_errno=True)
said = []
def attempt(what, *arguments):
    try:
        said.append(f"done: {what(*arguments)!r}")
    except OSError as error:
        said.append(error.strerror or error.args[-1])
def write(path):
    with open(path, "a") as file:
        file.write("changed")
"""
END = "\nopen(os.environ['out'], 'w').write('\\n'.join(said) + '\\n')\n"


def attacker(shop: Workshop, code: str, **fields: Any) -> Node:
    """A derivation whose builder runs `code` in Python; `attempt(function, ...)` notes what became of a call."""
    program = PREAMBLE + textwrap.dedent(code) + END
    return shop.node("", builder="/usr/bin/python3", args=["-I", "-c", program], **fields)


def attempts(shop: Workshop, code: str, **fields: Any) -> list[str]:
    options = fields.pop("options", {})
    node = attacker(shop, code, **fields)
    shop.build(node, **options)
    return shop.text(node).splitlines()


@contextmanager
def listening(address: Any, family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A server of the machine that says "reached" to all."""
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        server.settimeout(0.02)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"reached")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stopped.set()
            thread.join()


CONNECT = """
def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
        return client.recv(100)
"""


def test_a_build_has_no_network(shop: Workshop) -> None:
    with listening(("127.0.0.1", 0), socket.AF_INET) as server:
        port = server.getsockname()[1]
        attack = f"attempt(connect, socket.AF_INET, ('127.0.0.1', {port}))"
        assert attempts(
            shop,
            f"{CONNECT}{attack}\nattempt(connect, socket.AF_INET, ('192.0.2.1', 80))\nattempt(os.listdir, '/sys')\n"
            "attempt(lambda: [line.split()[0] for line in open('/proc/net/dev') if ':' in line])\n"
            "attempt(socket.getaddrinfo, 'host.test', 80)",
        ) == [
            "Connection refused",
            "Network is unreachable",
            "No such file or directory",
            "done: ['lo:']",
            "Temporary failure in name resolution",
        ]
        # A fixed output has it: the same attempt succeeds.
        hash = Hash.of("sha256", b"done: b'reached'\n")
        shop.build(attacker(shop, CONNECT + attack, fixed=(hash, False)))


def has_scopes() -> bool:
    """Whether this kernel can keep abstract sockets apart without a network namespace (Landlock, ABI 6)."""
    landlock_create_ruleset, ask_version = 444, 1
    return bool(ctypes.CDLL(None).syscall(landlock_create_ruleset, None, 0, ask_version) >= 6)


def test_a_build_reaches_no_sockets_of_other_programs(shop: Workshop, tmp_path: Path) -> None:
    name = f"devenv-test-{os.getpid()}"
    with listening(f"\0{name}", socket.AF_UNIX):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"\0{name}")
            assert client.recv(100) == b"reached"
        attack = CONNECT + f"attempt(connect, socket.AF_UNIX, '\\0{name}')"
        assert attempts(shop, attack) == ["Connection refused"]
        if has_scopes():  # the network of the machine, but not its abstract sockets
            hash = Hash.of("sha256", b"Operation not permitted\n")
            shop.build(attacker(shop, attack, fixed=(hash, False)))


def test_loopback_works_within_a_build(shop: Workshop) -> None:
    found = attempts(
        shop,
        """
        def talk(family, host):
            with socket.socket(family) as server, socket.socket(family) as client:
                server.bind((host, 0)); server.listen()
                client.connect(server.getsockname())
                server.accept()[0].sendall(b"x")
                return client.recv(1)
        attempt(talk, socket.AF_INET, "127.0.0.1")
        attempt(talk, socket.AF_INET, "localhost")
        """,
    )
    assert found == ["done: b'x'"] * 2


def test_a_build_sees_no_files_of_the_machine_or_its_users(shop: Workshop, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    home = os.path.expanduser("~")
    assert secret.read_text() == "secret"
    found = attempts(
        shop,
        f"""
        for path in {[str(secret), home, "/etc/shadow", "/etc/machine-id", "/etc/resolv.conf", "/var/run", "/run"]!r}:
            attempt(os.stat, path)
        attempt(lambda: sorted(os.listdir("/etc")))
        attempt(os.stat, os.environ["HOME"])
        attempt(os.mkdir, os.environ["HOME"])
        """,
    )
    assert found[:7] == ["No such file or directory"] * 7
    assert found[7:] == [
        "done: ['group', 'hosts', 'passwd']",
        "No such file or directory",
        "Read-only file system",
    ]


def test_a_build_sees_only_the_closure_of_its_inputs(shop: Workshop) -> None:
    low = shop.store.add_text("low", b"low")
    declared = shop.store.add_text("declared", b"declared", (low,))
    undeclared = shop.store.add_text("undeclared", b"undeclared")
    input_drv = shop.node('echo x > "$out"; echo y > "$dev"', "input", outputs=["out", "dev"])
    found = attempts(
        shop,
        f"""
        attempt(lambda: open({declared!r}).read())
        attempt(lambda: open({low!r}).read())
        attempt(lambda: open({undeclared!r}).read())
        attempt(lambda: open({input_drv.path!r}).read())
        attempt(lambda: open({input_drv.outputs["dev"]!r}).read())
        attempt(lambda: sorted(os.listdir(os.environ["NIX_STORE"])))
        """,
        sources=[declared],
        inputs=[(input_drv, ["out"])],
    )
    missing = "No such file or directory"
    assert found[:5] == ["done: 'declared'", "done: 'low'", missing, missing, missing]
    assert found[5] == f"done: {sorted(os.path.basename(path) for path in (declared, low, input_drv.out))}"


def test_a_build_sees_and_reaches_no_other_processes(shop: Workshop) -> None:
    with subprocess.Popen(["sleep", "1000"]) as victim:
        try:
            found = attempts(
                shop,
                f"""
                def call(result):
                    if result < 0:
                        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                    return result
                for pid in ({victim.pid}, {os.getpid()}, {os.getppid()}):
                    attempt(os.stat, f"/proc/{{pid}}")
                    attempt(os.kill, pid, 9)
                    attempt(lambda: call(libc.ptrace(16, pid, 0, 0)))
                    attempt(os.pidfd_open, pid)
                attempt(os.kill, -1, 9)
                attempt(lambda: sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()))
                attempt(os.getppid)
                """,
            )
            assert victim.poll() is None
        finally:
            victim.kill()
    none = "No such process"
    assert found[:12] == ["No such file or directory", none, none, none] * 3
    assert found[12:] == [none, "done: [1]", "done: 0"]


def test_two_builds_do_not_see_each_other(shop: Workshop) -> None:
    """Both listen on one port and leave a file of one name, at the same time."""
    code = """
    import time
    server = socket.socket()
    attempt(server.bind, ("127.0.0.1", 12345))
    attempt(lambda: open("/tmp/name", "x").close())
    attempt(lambda: open("/dev/shm/name", "x").close())
    attempt(lambda: open("name", "x").close())
    attempt(lambda: len([name for name in os.listdir("/proc") if name.isdecimal()]))
    time.sleep(0.5)
    """
    nodes = [attacker(shop, code, name=f"n{number}") for number in range(2)]
    shop.build(*nodes, jobs=2)
    for node in nodes:
        assert shop.text(node).splitlines() == ["done: None"] * 4 + ["done: 1"]


def test_a_build_cannot_change_what_is_not_its_own(shop: Workshop, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "f").write_text("mine")
    input_drv = shop.node('mkdir "$out"; echo x > "$out/f"', "input")
    text = shop.store.add_text("text", b"text")
    found = attempts(
        shop,
        f"""
        for path in ({text!r}, {input_drv.out!r} + "/f", {input_drv.out!r} + "/new", "/shown/new", "/shown/f",
                     "/new", "/etc/passwd", "/etc/new", "/dev/new"):
            attempt(write, path)
        for path in ({text!r}, {input_drv.out!r}, {input_drv.out!r} + "/f"):
            attempt(os.chmod, path, 0o777)
            attempt(os.utime, path)
        attempt(os.rename, {text!r}, "/build/text")
        attempt(os.unlink, {text!r})
        attempt(os.link, {text!r}, "/build/text")
        attempt(os.link, {text!r}, os.environ["out"] + "-link")
        """,
        sources=[text],
        inputs=[input_drv],
        options={"sandbox_paths": (*HOST_PATHS, f"/shown={shown}")},
    )
    reasons = set(found[:15])
    assert reasons <= {"Read-only file system", "Permission denied"}
    across, busy = "Invalid cross-device link", "Device or resource busy"
    assert found[15:] == [across, busy, across, across]
    assert Path(text).read_text() == "text"
    assert os.listdir(input_drv.out) == ["f"]
    assert os.stat(f"{input_drv.out}/f").st_mtime == 1
    assert [(path.name, path.read_text()) for path in shown.iterdir()] == [("f", "mine")]


def test_only_outputs_get_into_the_store(shop: Workshop) -> None:
    before = set(os.listdir(shop.store.layout.store))
    other = shop.node('echo x > "$out"', "other")
    node = shop.node(
        f'echo x > "$out"; echo evil > {other.out}; mkdir "$NIX_STORE/.links"; echo x > "$NIX_STORE/a"'
    )
    shop.build(node)
    added = set(os.listdir(shop.store.layout.store)) - before
    assert added == {os.path.basename(node.path), os.path.basename(node.out)}
    assert not shop.store.is_valid(other.out)


def test_there_is_no_way_out_of_the_root(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tmp = str(tmp_path / "secret").lstrip("/")
    descriptor = os.open("/", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        found = attempts(
            shop,
            f"""
            for root in ("/proc/self/root", "/proc/1/root", "/..", "/proc/self/cwd/../..", "/proc/self/fd/{descriptor}",
                         "/proc/self/fd/0/..", "/proc/self/fd/1/.."):
                attempt(lambda: open(root + "/{tmp}").read())
            attempt(lambda: sorted(os.listdir("/proc/self/fd"))[:-1])
            os.chdir("/")
            attempt(lambda: (os.chdir("../../../.."), os.getcwd())[1])
            attempt(lambda: open("../{tmp}").read())
            attempt(lambda: [line.split()[4] for line in open("/proc/self/mountinfo") if "/old" in line])
            attempt(os.chroot, "/build")
            attempt(os.mknod, "/build/disk", 0o60600, os.makedev(8, 0))
            """,
        )
    finally:
        os.close(descriptor)
    assert not [line for line in found if "secret" in line]
    missing, not_there = "No such file or directory", "Not a directory"
    assert found[:7] == [missing] * 5 + [not_there] * 2
    assert found[7:9] == ["done: ['0', '1', '2']", "done: '/'"]
    assert found[9:11] == [missing, "done: []"]
    assert found[11:] == ["Operation not permitted"] * 2


def test_more_namespaces_give_no_more_rights(shop: Workshop) -> None:
    """A builder may make a user namespace, in which it has all capabilities: over nothing of the outer ones."""
    text = shop.store.add_text("text", b"text")
    found = attempts(
        shop,
        f"""
        def call(result):
            if result < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        attempt(lambda: call(libc.unshare(0x10020000)))
        attempt(lambda: open("/proc/self/uid_map", "w").write("0 1000 1"))
        attempt(lambda: call(libc.mount(None, {text.encode()!r}, None, 32 | 4096, None)))
        attempt(write, {text!r})
        attempt(lambda: call(libc.mount(None, b"/usr", None, 32 | 4096, None)))
        attempt(lambda: call(libc.mount(None, b"/", None, 32, None)))
        attempt(lambda: call(libc.umount2(b"/etc/passwd", 2)))
        attempt(lambda: call(libc.umount2({text.encode()!r}, 2)))
        attempt(lambda: call(libc.sethostname(b"x", 1)))
        attempt(lambda: call(libc.mount(b"x", b"/build", b"tmpfs", 0, None)))
        """,
        sources=[text],
    )
    assert found[:2] == ["done: None", "done: 8"]
    assert found[9] == "done: None"  # a mount of its own
    assert not [line for line in found[2:9] if line.startswith("done")]
    assert Path(text).read_text() == "text"


def test_settings_of_the_machine_cannot_be_changed(shop: Workshop) -> None:
    """Whoever runs devenv as root owns these files, and is the same user in the sandbox."""
    found = attempts(
        shop,
        """
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
                     "/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc/register"):
            attempt(os.open, path, os.O_WRONLY)
        for path in ("/proc/kcore", "/proc/kmsg", "/proc/kpagecount"):
            attempt(lambda: open(path, "rb").read(10))
        """,
    )
    assert not [line for line in found[:5] if line.startswith("done")]
    assert set(found[5:]) <= {
        "Permission denied", "Operation not permitted", "No such file or directory", "done: b''",
    }  # fmt: skip


def test_the_users_keys_are_out_of_reach(shop: Workshop) -> None:
    import platform

    numbers = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(platform.machine())
    if numbers is None:
        pytest.skip("the numbers of the system calls are not known here")
    add_key, keyctl = numbers
    libc = ctypes.CDLL(None, use_errno=True)
    session, join, search = -3, 1, 10
    name = f"devenv-test-{os.getpid()}".encode()
    code = f"attempt(lambda: libc.syscall({keyctl}, {search}, {session}, b'user', {name!r}, 0) >= 0)"
    program = (
        f"import ctypes\nlibc = ctypes.CDLL(None)\nlibc.syscall({keyctl}, {join}, None)\n"
        f"assert libc.syscall({add_key}, b'user', {name!r}, b'secret', 6, {session}) >= 0\n"
        f"assert libc.syscall({keyctl}, {search}, {session}, b'user', {name!r}, 0) >= 0\n"
        "from pathlib import Path\nfrom tests.derivations.test_isolation import attempts, Workshop\n"
        "from devenv.store.layout import Layout\nfrom devenv.store.local import Store\n"
        f"with Store.open(Layout({shop.scratch + '/elsewhere'!r})) as store:\n"
        f"    print(attempts(Workshop(store, {shop.scratch!r}), {code!r}))\n"
    )
    if libc.syscall(keyctl, 0, session, 0, 0, 0) < 0 and ctypes.get_errno() == 38:
        pytest.skip("this kernel has no keys")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.stdout == "['done: False']\n", done.stderr
