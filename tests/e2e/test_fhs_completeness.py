"""What other FHS environments show to a program, row by row of the table in docs/foreign-binaries.md.

Each row is a script that is run by `devenv run` in one root; it prints what the row promises.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.devenv import User, devenv_program
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network
PACKAGES = (
    "libc6:i386",
    "musl",
    "libglib2.0-bin",
    "gsettings-desktop-schemas",
    "fontconfig",
    "fonts-dejavu-core",
)
RUN = ("run", "--yes", "--base", "debian/bookworm", "--root", *(f"--package={name}" for name in PACKAGES))
DOCUMENT = Path(__file__).parents[2] / "docs/foreign-binaries.md"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> User:
    require_sandboxes()
    return User(tmp_path_factory.mktemp("complete") / "home")


class Inside:
    """Runs scripts in the root, in `folder`."""

    def __init__(self, user: User, folder: Path) -> None:
        self.user = user
        self.folder = folder

    def __call__(self, script: str, **environ: str) -> str:
        path = self.script(script)
        done = self.user.run(*RUN, str(path), cwd=self.folder, **environ)  # type: ignore[arg-type]
        return done.stdout.strip()

    def script(self, text: str) -> Path:
        path = self.folder / "probe"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


@pytest.fixture
def inside(guest: User, tmp_path: Path) -> Inside:
    return Inside(guest, tmp_path)


def machine(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def merged_directories(inside: Inside) -> None:
    assert inside("for each in bin sbin lib lib64; do readlink /$each; done").split() == [
        *("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"),
    ]


def loaders(inside: Inside) -> None:
    script = "for each in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux.so.2 /lib/ld-musl-x86_64.so.1; do test -x $each && echo $each; done"
    assert len(inside(script).split()) == 3


def usual_interpreters(inside: Inside) -> None:
    assert inside("ls /bin/sh /bin/bash /usr/bin/env /usr/bin/perl | wc -l") == "4"


def packages_read_only(inside: Inside) -> None:
    assert inside("touch /usr/x /etc/x /var/lib/dpkg/x 2>&1; true").count("Read-only file system") == 3


def places_to_write(inside: Inside) -> None:
    script = "echo a > /usr/local/bin/probe.$$ && rm /usr/local/bin/probe.$$ && echo b > /var/tmp/p.$$ && rm /var/tmp/p.$$ && echo both"
    assert inside(script) == "both"


def other_directories(inside: Inside) -> None:
    own = {
        "usr",
        "bin",
        "sbin",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "etc",
        "var",
        "run",
        "opt",
        "boot",
        "lost+found",
    }
    tops = {each for each in os.listdir("/") if each not in own and os.path.isdir(f"/{each}")}
    assert tops <= set(inside("ls -a /").split())


def home_and_directory(inside: Inside) -> None:
    folder = inside.folder / "it's a 'new' $folder"
    folder.mkdir()
    path = inside.script('pwd; echo "$HOME"; echo kept > file')
    done = inside.user.run(*RUN, str(path), cwd=folder)
    assert done.stdout.splitlines() == [str(folder), str(inside.user.home)]
    assert (folder / "file").read_text() == "kept\n"


def shared_tmp(inside: Inside) -> None:
    name = inside("mktemp /tmp/devenv-probe.XXXXXX")
    assert os.path.exists(name)
    os.unlink(name)


def devices(inside: Inside) -> None:
    assert set(inside("ls /dev").split()) == set(os.listdir("/dev"))
    assert inside("echo x > /dev/shm/probe.$$ && rm /dev/shm/probe.$$ && echo shared") == "shared"


def processes(inside: Inside) -> None:
    assert (
        int(inside("cat /proc/self/status | grep -c Threads; ls /proc | grep -c '^[0-9]'").split()[1])
        >= len([each for each in os.listdir("/proc") if each.isdigit()]) // 2
    )
    assert inside("ls /sys") == "\n".join(sorted(os.listdir("/sys")))


def input_devices(inside: Inside) -> None:
    for place in ("/dev/input", "/run/udev"):
        there = os.path.isdir(place)
        assert inside(f"test -d {place} && echo there || echo none") == ("there" if there else "none")


def sockets(inside: Inside) -> None:
    """As the sockets of Wayland, PulseAudio, PipeWire and D-Bus are in XDG_RUNTIME_DIR, and X11's in /tmp."""
    path = f"/tmp/devenv-socket-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        try:
            script = f"perl -MIO::Socket::UNIX -e 'print IO::Socket::UNIX->new(Peer => shift) ? q(reached) : $!' {path}"
            assert inside(script) == "reached"
        finally:
            os.unlink(path)
    names = set(inside("ls /run").split())
    assert {each for each in os.listdir("/run") if os.path.isdir(f"/run/{each}") and each != "host"} <= names


def users(inside: Inside) -> None:
    name = machine("id", "-un")
    assert inside(f"id -un; getent passwd {name} | cut -d: -f3; getent group root | cut -d: -f1").split() == [
        *(name, str(os.getuid()), "root"),
    ]


def names_of_hosts(inside: Inside) -> None:
    script = "getent hosts localhost | wc -l; cat /etc/resolv.conf; echo; echo --; test -e /etc/nsswitch.conf && echo switch"
    lines = inside(script).splitlines()
    assert int(lines[0]) >= 1 and lines[-1] == "switch"
    if os.path.exists("/etc/resolv.conf"):
        assert Path("/etc/resolv.conf").read_text().strip() in "\n".join(lines)


def identity_and_time(inside: Inside) -> None:
    for name in ("machine-id", "localtime", "hostname"):
        if os.path.exists(f"/etc/{name}") and os.path.getsize(f"/etc/{name}"):
            assert inside(f"cksum < /etc/{name}") == machine("sh", "-c", f"cksum < /etc/{name}")
    if os.path.exists("/usr/share/zoneinfo/Asia/Tokyo"):
        assert inside("TZ=Asia/Tokyo date +%Z") == "JST"


def certificates(inside: Inside) -> None:
    if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        script = 'head -c 3 "$SSL_CERT_FILE" > /dev/null && echo "$SSL_CERT_FILE"'
        assert inside(script, SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt").endswith(
            "ca-certificates.crt"
        )


def fonts(inside: Inside) -> None:
    listed = inside("fc-list : file")
    assert "/usr/share/fonts/truetype/dejavu" in listed
    if list(Path("/usr/share/fonts").rglob("*.ttf")):
        assert "/usr/local/share/fonts" in listed


def icons_and_data(inside: Inside) -> None:
    assert inside('echo "$XDG_DATA_DIRS"; ls -d /run/host/usr/share').endswith(
        "/usr/share:/run/host/usr/share\n/run/host/usr/share"
    )


def locales(inside: Inside) -> None:
    assert inside("locale charmap 2>&1; echo $LANG", LANG="xx_YY.UTF-8") == "UTF-8\nC.UTF-8"


def loader_cache(inside: Inside) -> None:
    found = inside("/sbin/ldconfig -p | grep -c 'libc.so.6'")
    assert int(found) >= 2  # of both word sizes


def schemas(inside: Inside) -> None:
    assert "org.gnome.desktop.interface" in inside("gsettings list-schemas")


def mounts_table(inside: Inside) -> None:
    assert " / " in inside("cat /proc/mounts | head -50")


def own_variables(inside: Inside) -> None:
    given = {"GIO_EXTRA_MODULES": "/usr/lib/x", "LD_LIBRARY_PATH": "/usr/lib/y", "MINE": "kept"}
    assert inside('echo "$GIO_EXTRA_MODULES$LD_LIBRARY_PATH$MINE"', **given) == "kept"


def search_path(inside: Inside) -> None:
    assert {"/usr/bin", "/usr/sbin", "/usr/games", "/usr/local/bin"} <= set(inside('echo "$PATH"').split(":"))


def nested_namespaces(inside: Inside) -> None:
    assert inside("unshare -Urm id -u") == "0"


def no_more_rights(inside: Inside) -> None:
    assert inside(
        "grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status | tr -d '0\\t '"
    ).endswith("CapEff:")


def status_and_signals(inside: Inside) -> None:
    path = inside.script(
        'case $1 in end) exit 9;; *) trap "exit 7" TERM; echo ready; while :; do sleep 0.1; done;; esac'
    )
    assert inside.user.run(*RUN, str(path), "end", cwd=inside.folder, check=False).returncode == 9
    command = [devenv_program(), *RUN, str(path), "wait"]
    with subprocess.Popen(
        command, env=inside.user.env, cwd=inside.folder, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 7


def ends_with_its_watcher(inside: Inside) -> None:
    path = inside.script("echo $$; exec sleep 1000")
    command = [devenv_program(), *RUN, str(path)]
    with subprocess.Popen(
        command, env=inside.user.env, cwd=inside.folder, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        process = int(child.stdout.readline())
        child.kill()
    for _ in range(100):
        if not os.path.exists(f"/proc/{process}") or ") Z" in Path(f"/proc/{process}/stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the program outlived the devenv that watched it")


def word_sizes(inside: Inside) -> None:
    assert "GLIBC" in inside("/lib/ld-linux.so.2 --version") or "GNU C Library" in inside(
        "/lib/ld-linux.so.2 --version"
    )


def machines_system(inside: Inside) -> None:
    assert inside("ls /run/host/etc/passwd /run/host/usr/bin/env | wc -l") == "2"


def own_libraries(inside: Inside) -> None:
    """A library that only a launcher's LD_LIBRARY_PATH would lead to is found without, and so by nothing else."""
    library = inside.folder / "app/lib/libown.so.1"
    library.parent.mkdir(parents=True)
    compiler = [program("gcc"), "-x", "c", "-", "-o"]
    shared = [*compiler, str(library), "-shared", "-fPIC", "-Wl,-soname,libown.so.1"]
    subprocess.run(shared, input="int own(void) { return 4; }", text=True, check=True)
    path = inside.folder / "app/bin/tool"
    path.parent.mkdir()
    source = """#include <stdio.h>
    #include <stdlib.h>
    int own(void);
    int main(void) { printf("%d %s", own(), getenv("LD_LIBRARY_PATH") ? "leaks" : "clean"); return 0; }"""
    words = [*compiler, str(path), "-x", "none", str(library)]
    subprocess.run(words, input=source, text=True, check=True)
    assert inside.user.run(*RUN, str(path), cwd=inside.folder).stdout == "4 clean"


ROWS: dict[str, Callable[[Inside], None]] = {
    "`/bin`, `/sbin`, `/lib`, `/lib64` as links into `/usr`": merged_directories,
    "loaders at their usual paths: 64 and 32 bit, musl": loaders,
    "`/bin/sh`, `/usr/bin/env`": usual_interpreters,
    "the packages' files, read-only": packages_read_only,
    "`/usr/local`, `/var/tmp` to write to": places_to_write,
    "other top directories of the machine": other_directories,
    "home and current directory, whatever they are called": home_and_directory,
    "`/tmp` shared": shared_tmp,
    "`/dev`, `/dev/shm`": devices,
    "`/proc`, `/sys`": processes,
    "gamepads: `/dev/input`, `/run/udev`": input_devices,
    "sockets of X11, Wayland, sound, D-Bus": sockets,
    "users and groups": users,
    "names of hosts: `resolv.conf`, `hosts`, `nsswitch.conf`": names_of_hosts,
    "`machine-id`, `localtime`, time zones": identity_and_time,
    "certificates": certificates,
    "fonts": fonts,
    "icons, themes, types of files": icons_and_data,
    "locales": locales,
    "`ld.so.cache`": loader_cache,
    "GSettings schemas, compiled": schemas,
    "table of mounts": mounts_table,
    "variables that name the machine's modules left out": own_variables,
    "`PATH` with every usual directory": search_path,
    "namespaces can be made inside": nested_namespaces,
    "no rights that the user has not": no_more_rights,
    "exit status and signals": status_and_signals,
    "ends with what started it": ends_with_its_watcher,
    "32-bit beside 64-bit": word_sizes,
    "the machine's own system": machines_system,
    "libraries found without LD_LIBRARY_PATH": own_libraries,
}
# Tested where no root, or no card, is needed.
ELSEWHERE = {
    "Mesa; without a card, the processor": "tests/foreign/test_running.py::test_the_processor_draws_where_there_is_no_card",
    "NVIDIA's libraries of the machine": "tests/foreign/test_running.py::test_nvidias_libraries_come_from_this_machine",
    "EGL and Vulkan files rewritten": "tests/foreign/test_running.py::test_nvidias_libraries_come_from_this_machine",
    "VA-API and VDPAU": "tests/foreign/test_running.py::test_features_bring_their_drivers",
    "browsers' own sandboxes": "tests/e2e/test_foreign.py::test_a_browser_draws_with_its_own_sandbox_inside",
    "without user namespaces": "tests/e2e/test_foreign.py::test_a_patched_copy_needs_no_namespaces",
    "top directories with blanks in their names": "tests/fhs/test_mounts.py::test_any_name_at_the_top_of_a_machine_can_be_shown",
}


@pytest.mark.parametrize("row", ROWS, ids=[check.__name__ for check in ROWS.values()])
def test_a_program_finds(row: str, inside: Inside) -> None:
    ROWS[row](inside)


def test_every_row_of_the_table_has_its_test() -> None:
    text = DOCUMENT.read_text().partition("## What a root shows")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)[1:]
    assert [row for row in rows if set(row) != {"-"}] == [*ROWS, *ELSEWHERE]
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (DOCUMENT.parents[1] / path).read_text()
