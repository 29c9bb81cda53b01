"""Configuring packages for real, in a sandbox: what scripts can do, what they cannot, and what is kept of it."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from devenv.derivations.builders import configure
from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError
from devenv.derivations.workers import Worker
from devenv.events import Event, Finished, Planned, Started
from devenv.sandbox import enter, syscalls
from devenv.sandbox.errors import SandboxError
from devenv.store.tree import scan
from tests.derivations.archives import Entry, deb, directory, entry, link
from tests.derivations.site import Recorder
from tests.support.packages import base_deb, unpack_data, unpacked
from tests.support.sandboxes import require_sandboxes


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    require_sandboxes()
    place = tmp_path_factory.mktemp("base")
    return unpack_data(place, "base", base_deb())


class Set:
    """A set of packages to configure."""

    def __init__(self, base: str, place: Path) -> None:
        self.place = place
        self.trees = [base]
        self.recorder = Recorder()

    def add(self, name: str, postinst: str = "", entries: Iterable[Entry] = (), **fields: Any) -> str:
        self.trees.append(unpacked(self.place / "trees", name, entries, postinst, **fields))
        return self.trees[-1]

    def configure(self, name: str = "made") -> tuple[str, ...]:
        """What failed. The output is in `made`."""
        job = Job(
            label="the set",
            env={"packages": " ".join(self.trees), "architecture": "amd64"},
            target=str(self.place / name),
            pythons={},
            interpreters=Interpreters(),
            reporter=self.recorder,
        )
        found = configure.build(job)
        assert sorted(os.listdir(self.place / name)) == ["files", "removed"]
        assert not (self.place / f"{name}.configuring").exists()
        return found

    def changed(self, name: str = "made") -> dict[str, str]:
        """New and changed files by path, with their texts; without dpkg's database."""
        top = self.place / name / "files"
        found = {}
        for path in sorted(top.rglob("*")):
            relative = str(path.relative_to(top))
            if path.is_symlink():
                found[relative] = f"-> {path.readlink()}"
            elif path.is_file():
                found[relative] = path.read_text()
            elif not any(path.iterdir()):
                found[relative] = "/"
        return {path: text for path, text in found.items() if not path.startswith("var/lib/dpkg/")}

    def removed(self, name: str = "made") -> list[str]:
        return (self.place / name / "removed").read_text().splitlines()


@pytest.fixture
def packages(base: str, tmp_path: Path) -> Set:
    return Set(base, tmp_path)


def digest(tree: str) -> str:
    return scan(tree, ()).nar_hash.hex


def test_scripts_run_as_dpkg_runs_them(packages: Set) -> None:
    packages.add(
        "p",
        'echo "$0 [$1] [$2] $# $DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_ARCH $DPKG_MAINTSCRIPT_NAME" >/etc/how\n'
        'echo "$DPKG_RUNNING_VERSION $DEBIAN_FRONTEND $LC_ALL $SOURCE_DATE_EPOCH $PWD" >>/etc/how\n'
        "id -u >>/etc/how; read -r nothing || echo no input >>/etc/how",
        Multi_Arch="same",
    )
    assert packages.configure() == ()
    assert packages.changed() == {
        "etc/how": "/var/lib/dpkg/info/p:amd64.postinst [configure] [] 2 p amd64 postinst\n"
        "1.0 noninteractive C.UTF-8 1 /\n0\nno input\n"
    }


def test_the_order_is_that_of_dependencies(packages: Set) -> None:
    for name, needs in {"a": "z (>= 1), virtual", "m": "", "z": "m | nothing", "y": ""}.items():
        more: dict[str, Any] = {"Depends": needs} if needs else {}
        packages.add(
            name, f"echo {name} >>/etc/order", Provides="virtual (= 2)" if name == "y" else "none", **more
        )
    packages.configure()
    assert packages.changed() == {"etc/order": "m\nz\ny\na\n"}


def test_what_looks_for_others_names_comes_last(packages: Set) -> None:
    packages.add("ccache", "ls /etc/alternatives >/etc/found")
    packages.add("gcc", "mkdir -p /etc/alternatives; ln -s gcc /etc/alternatives/cc")
    packages.add("uses-ccache", "touch /etc/alternatives/too-late", Depends="gcc")
    packages.configure()
    assert packages.changed()["etc/found"] == "cc\ntoo-late\n"


def test_scripts_may_do_what_only_root_can(packages: Set) -> None:
    packages.add(
        "p",
        "cat /etc/passwd; touch /etc/owned; chown 5:7 /etc/owned; chown -h daemon: /etc/owned 2>/dev/null || :\n"
        "chmod 4755 /etc/owned; chmod 2755 /etc/owned; mknod /etc/device c 1 3; mkfifo /etc/pipe\n"
        "test -p /etc/pipe; test ! -e /etc/device; echo more >>/usr/share/p/text",
        [entry("./etc/passwd", b"root:x:0:0::/root:/bin/sh\n"), entry("./usr/share/p/text", b"text\n")],
    )
    assert packages.configure() == ()
    assert packages.changed() == {"etc/owned": "", "usr/share/p/text": "text\nmore\n"}
    made = packages.place / "made/files"
    assert (made / "etc/owned").stat().st_mode & 0o7777 == 0o555, "no set-group-id"


def test_nothing_writes_to_the_packages(packages: Set) -> None:
    entries = [entry("./etc/a", b"1"), entry("./etc/b", b"1"), entry("./usr/bin/c", b"1", mode=0o755)]
    tree = packages.add(
        "p", "echo 2 >>/etc/a; chmod 777 /etc/a /usr/bin/c; touch /etc/b; rm /usr/bin/c", entries
    )
    before = digest(tree), os.stat(f"{tree}/etc/a")
    packages.configure()
    after = digest(tree), os.stat(f"{tree}/etc/a")
    assert before[0] == after[0]
    assert (before[1].st_mode, before[1].st_mtime_ns) == (after[1].st_mode, after[1].st_mtime_ns)
    assert packages.changed() == {"etc/a": "12\n"}
    assert packages.removed() == ["usr/bin/c"]


CHANGES: list[tuple[str, list[Entry], str, dict[str, str], list[str]]] = [
    ("what stays the same is not kept", [entry("./etc/a", b"1")], "printf 1 >/etc/x; cp /etc/x /etc/a; rm /etc/x", {}, []),
    ("a program is another file", [entry("./etc/a", b"1")], "chmod 755 /etc/a", {"etc/a": "1"}, []),
    ("links", [link("./etc/l", "a"), link("./etc/m", "a")], "ln -sf b /etc/l; ln -sf a /etc/m", {"etc/l": "-> b"}, []),
    ("empty directories", [directory("./etc/d/")], "mkdir /etc/d/e /var/new", {"etc/d/e": "/", "var/new": "/"}, []),
    ("files that are gone", [entry("./etc/a")], "rm /etc/a", {}, ["etc/a"]),
    ("directories that are gone", [entry("./etc/d/a"), entry("./etc/d/e/b")], "rm -r /etc/d", {}, ["etc/d"]),
    (
        "directories that are made anew",
        [entry("./etc/d/a", b"1"), entry("./etc/d/b", b"1"), entry("./etc/d/e/c", b"1")],
        "rm -r /etc/d; mkdir /etc/d; printf 1 >/etc/d/a; printf 2 >/etc/d/n",
        {"etc/d/n": "2"},
        ["etc/d/b", "etc/d/e"],
    ),
    (
        "directories that are something else now",
        [entry("./etc/d/a", b"1"), entry("./etc/f/a", b"1")],
        "rm -r /etc/d /etc/f; ln -s f /etc/d; printf 2 >/etc/f",
        {"etc/d": "-> f", "etc/f": "2"},
        ["etc/d", "etc/f"],
    ),
    (
        "files that are directories now",
        [entry("./etc/a", b"1")],
        "rm /etc/a; mkdir /etc/a; printf 2 >/etc/a/b",
        {"etc/a/b": "2"},
        ["etc/a"],
    ),
    ("moved", [entry("./etc/d/a", b"1")], "mv /etc/d/a /etc/b; mv /etc/d /etc/e", {"etc/b": "1", "etc/e": "/"}, ["etc/d"]),
    ("odd names", [], "touch '/etc/a b' '/etc/-n' '/etc/*'", {"etc/a b": "", "etc/-n": "", "etc/*": ""}, []),
]  # fmt: skip


def without_overlays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that does not know them."""
    mount = syscalls.mount

    def refusing(source: str | None, target: str, kind: str | None = None, *rest: Any) -> None:
        if kind == "overlay":
            raise OSError(22, "Invalid argument")
        mount(source, target, kind, *rest)

    monkeypatch.setattr(syscalls, "mount", refusing)


@pytest.mark.parametrize("overlays", [True, False], ids=["overlay", "copy"])
@pytest.mark.parametrize(
    ("entries", "script", "changed", "removed"),
    [case[1:] for case in CHANGES],
    ids=[case[0] for case in CHANGES],
)
def test_just_what_changed_is_kept(
    packages: Set,
    monkeypatch: pytest.MonkeyPatch,
    overlays: bool,
    entries: list[Entry],
    script: str,
    changed: dict[str, str],
    removed: list[str],
) -> None:
    if not overlays:
        without_overlays(monkeypatch)
    packages.add("p", script, entries)
    assert packages.configure() == ()
    assert packages.changed() == changed
    assert packages.removed() == removed


def test_the_same_comes_out_with_and_without_overlays(packages: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(f"./etc/d/{number}", b"x") for number in range(50)]
    packages.add("p", "for n in 1 2 3; do rm /etc/d/$n; done; cat /etc/d/* >/etc/all; mkdir /srv/p", entries)
    packages.configure("one")
    packages.configure("two")
    without_overlays(monkeypatch)
    packages.configure("three")
    assert len({digest(str(packages.place / name)) for name in ("one", "two", "three")}) == 1


def test_secrets_and_what_differs_each_time_are_left_out(packages: Set) -> None:
    packages.add(
        "p",
        "mkdir -p /etc/ssh /etc/ssl/private /etc/ssl/certs /var/log/p /var/cache/man /run/p /tmp/p /root/.cache\n"
        "echo key >/etc/ssh/ssh_host_rsa_key; echo key >/etc/ssl/private/ssl-cert-snakeoil.key\n"
        "echo key >/etc/ssl/certs/ssl-cert-snakeoil.pem; ln -s ssl-cert-snakeoil.pem /etc/ssl/certs/abc.0\n"
        "echo id >/etc/machine-id; echo now >/var/log/p/log; echo now >/var/cache/man/index; echo x >/root/.cache/x\n"
        "echo x >/etc/passwd-; echo x >/run/p/x; echo x >/tmp/p/x; echo kept >/etc/ssh/sshd_config",
    )
    assert packages.configure() == ()
    changed = packages.changed()
    assert {path for path, text in changed.items() if text != "/"} == {"etc/ssh/sshd_config"}
    assert not any("policy-rc.d" in path for path in changed), "what stood in for a program"


def test_a_script_that_fails_has_a_second_try(packages: Set) -> None:
    packages.add("a", "echo tried >>/etc/a; grep -q . /etc/b; echo done >>/etc/a")
    packages.add("b", "echo b >/etc/b")
    assert packages.configure() == ()
    assert packages.changed() == {"etc/a": "tried\ntried\ndone\n", "etc/b": "b\n"}


def test_what_fails_twice_is_told_with_what_it_said_and_stops_nobody_else(packages: Set) -> None:
    packages.add("bad", "echo trying; echo no such thing >&2; exit 3")
    packages.add("needs-bad", "echo x >/etc/x", Depends="bad")
    (failure,) = packages.configure()
    assert "bad" in failure and "trying; no such thing" in failure
    assert packages.changed() == {"etc/x": "x\n"}


def test_triggers_reach_who_is_interested(packages: Set) -> None:
    packages.add("cache", 'echo "$*" >>/etc/told', triggers="interest-noawait my-cache\ninterest other\n")
    packages.add("early", "dpkg-trigger --no-await my-cache", Depends="cache")
    packages.add(
        "late", "echo x >/etc/late", triggers="# a comment\nactivate-noawait other\n", Depends="cache"
    )
    packages.add("silent", "dpkg-trigger nobody", Depends="cache")
    assert packages.configure() == ()
    told = packages.changed()["etc/told"].splitlines()
    assert told[0] == "configure " and sorted(told[1:]) == ["triggered my-cache", "triggered other"]


def test_services_and_caches_are_not_touched(packages: Set) -> None:
    packages.add(
        "p",
        "invoke-rc.d p start; systemctl enable p; update-rc.d p defaults; deb-systemd-helper x; fc-cache -s; ldconfig\n"
        "if /usr/sbin/policy-rc.d p start; then exit 1; else echo $? >/etc/policy; fi",
    )
    assert packages.configure() == ()
    assert packages.changed() == {"etc/policy": "101\n"}


def test_dpkg_finds_all_packages_installed(packages: Set) -> None:
    packages.add("p", "", [entry("./etc/p.conf", b"c")], Depends="base", Essential="yes")
    packages.add("q", Architecture="i386", Multi_Arch="same")
    packages.configure()
    database = packages.place / "made/files/var/lib/dpkg"
    status = (database / "status").read_text()
    assert [line for line in status.splitlines() if line.startswith("Package:")] == [
        "Package: base",
        "Package: p",
        "Package: q",
    ]
    assert status.count("Status: install ok installed\n") == 3 and "\nDepends: base\n" in status
    assert (database / "arch").read_text() == "amd64\ni386\n"
    assert (database / "info/format").read_text() == "1\n"


def test_configuration_files_are_in_the_database(packages: Set) -> None:
    data = deb("p", [entry("./etc/p.conf", b"c")], files={"conffiles": "/etc/p.conf\n/etc/missing\n"})
    packages.trees.append(unpack_data(packages.place / "trees", "p", data))
    packages.configure()
    status = (packages.place / "made/files/var/lib/dpkg/status").read_text()
    assert f"Conffiles:\n /etc/p.conf {hashlib.md5(b'c').hexdigest()}\n" in status
    assert "missing" not in status


def test_scripts_see_nothing_of_the_machine(packages: Set, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("precious")
    secret.chmod(0o666)
    packages.add(
        "p",
        f"for path in {secret} {tmp_path} /home/* /srv/* /etc/ssl /sys/kernel; do\n"
        'if [ -e "$path" ]; then echo "$path" >>/etc/seen; fi; done\n'
        f"echo evil >{secret} || :; ls /dev >/etc/devices; ls -d /proc/[0-9]* >/etc/processes",
    )
    packages.configure()
    changed = packages.changed()
    assert "etc/seen" not in changed
    assert secret.read_text() == "precious"
    assert set(changed["etc/devices"].split()) == {
        *(
            "fd",
            "full",
            "null",
            "ptmx",
            "pts",
            "random",
            "shm",
            "stderr",
            "stdin",
            "stdout",
            "tty",
            "urandom",
            "zero",
        )
    }
    assert len(changed["etc/processes"].split()) < 5, "only its own"


def test_scripts_have_no_network(packages: Set) -> None:
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.2)
        packages.add(
            "p",
            f"if bash -c ': </dev/tcp/127.0.0.1/{port}' 2>/dev/null; then echo reached >/etc/x; fi\n"
            "cat /proc/net/dev >/etc/net",
        )
        packages.configure()
        with pytest.raises(TimeoutError):
            server.accept()
            reached.set()
    changed = packages.changed()
    assert "etc/x" not in changed and not reached.is_set()
    assert [line.split(":")[0].strip() for line in changed["etc/net"].splitlines()[2:]] == ["lo"]


def test_nothing_that_scripts_start_outlives_them(packages: Set) -> None:
    packages.add("p", "sleep 4321 >/dev/null 2>&1 &")
    packages.configure()
    assert not runs(b"sleep\x004321")


def request(packages: Set) -> dict[str, Any]:
    """What a worker is sent."""
    return {
        "builder": "builtin:devenv-configure",
        "label": "the set",
        "env": {"packages": " ".join(packages.trees), "architecture": "amd64"},
        "target": str(packages.place / "made"),
        "candidates": [],
        "pythons": {},
    }


def test_nothing_goes_on_when_devenv_is_killed(packages: Set) -> None:
    packages.add("p", "sleep 5432")
    worker = Worker(str(packages.place / "log"))
    worker.send(request(packages))
    wait_until(lambda: runs(b"sleep\x005432"))
    worker.close()
    wait_until(lambda: not runs(b"sleep\x005432"))


# What is told of it meanwhile


def told(recorder: Recorder) -> list[str]:
    """Planned counts, what began, and what ended."""
    names: dict[str, str] = {}
    found = []
    for event in recorder.events:
        if isinstance(event, Planned):
            found.append(f"{event.count} planned")
        elif isinstance(event, Started):
            names[event.key] = event.label
            found.append(f"started {event.label}")
        elif isinstance(event, Finished):
            found.append(f"{'failed' if event.failed else 'finished'} {names.pop(event.key)}")
    assert not names
    return found


def test_each_package_is_told_of_when_its_turn_comes(packages: Set) -> None:
    packages.add("a", "sleep 0.3")
    packages.add("b", "test -e /etc/once || { touch /etc/once; exit 1; }")
    packages.add("no-script")
    packages.configure()
    assert told(packages.recorder) == [
        "2 planned",
        *("started a", "started b", "finished a"),
        *("started b", "finished b"),  # what fails is called again
        "finished b",
    ]


def test_it_is_told_while_the_scripts_run(packages: Set) -> None:
    """And what had begun in a worker that dies is told to have failed, or a bar would never end."""
    packages.add("a", "sleep 0")
    packages.add("b", "sleep 6543")
    worker = Worker(str(packages.place / "log"))
    worker.send(request(packages))

    class Killing(Recorder):
        def event(self, event: Event) -> None:
            super().event(event)
            if isinstance(event, Finished):
                worker.kill()

    recorder = Killing()
    with pytest.raises(BuildError, match="stopped"):
        worker.receive("the set", recorder)
    worker.close()
    assert told(recorder) == ["2 planned", "started a", "started b", "finished a", "failed b"]


def test_a_worker_goes_on_after_it_told_of_steps(packages: Set) -> None:
    packages.add("a", "exit 0")
    worker = Worker(str(packages.place / "log"))
    for number in range(2):
        recorder = Recorder()
        worker.send(request(packages) | {"target": str(packages.place / f"made{number}")})
        assert worker.receive("the set", recorder)["nar_size"] > 0
        assert told(recorder) == ["1 planned", "started a", "finished a"]
    worker.close()


def wait_until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.02)


def runs(words: bytes) -> bool:
    """Whether there is a process with such a command line, NULs between its words."""
    return any(
        words in command(Path(f"/proc/{name}/cmdline")) for name in os.listdir("/proc") if name.isdecimal()
    )


def command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_script_that_waits_for_ever_is_named_and_ended(
    packages: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configure, "_LONGEST", 1.0)
    packages.add("stuck", "sleep 8765")
    with pytest.raises(BuildError, match="the scripts of stuck did not end"):
        packages.configure()
    assert os.listdir(packages.place) == ["trees"], "all is cleaned up"


def test_a_set_without_a_shell_is_an_error(tmp_path: Path) -> None:
    require_sandboxes()
    packages = Set(unpacked(tmp_path / "trees", "p", postinst="exit 0"), tmp_path)
    with pytest.raises(BuildError, match="cannot configure the set") as raised:
        packages.configure()
    assert "/bin/sh" in str(raised.value)


def test_without_sandboxes_the_reason_is_told(packages: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> int:
        raise SandboxError("starting /bin/sh: user namespaces do not work here", hint="Have them allowed.")

    monkeypatch.setattr(enter, "run", refused)
    packages.add("p", "exit 0")
    with pytest.raises(BuildError, match="user namespaces do not work here") as raised:
        packages.configure()
    assert raised.value.hint == "Have them allowed."


@pytest.mark.parametrize(
    ("add", "said"),
    [
        pytest.param(lambda packages: [packages.add("p", entries=[entry("./etc/x", b"1")]), packages.add("q", entries=[entry("./etc/x", b"2")])], "etc/x differs between .*/[pq] and .*/[pq], which", id="conflict"),
        pytest.param(lambda packages: packages.trees.append(packages.trees[0] + "/../base/../base"), "base: it is there twice", id="twice"),
    ],
)  # fmt: skip
def test_packages_that_contradict_each_other_are_named(
    packages: Set, add: Callable[[Set], object], said: str
) -> None:
    add(packages)
    with pytest.raises(BuildError, match=said):
        packages.configure()
