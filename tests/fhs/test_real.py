"""Roots of real packages, from the mirrors that this machine is configured for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.debian.base import resolve, url_lookup
from devenv.derivations.realise import realise
from devenv.events import Event, Notice, Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.fhs.plan import derivations
from devenv.formats.hashes import Hash
from devenv.sandbox import enter
from devenv.sandbox.spec import DEVICES, Bind, Directory, Proc, SandboxSpec, Tmpfs
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.views.root import compose
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]


class Notices(Reporter):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.texts.append(event.text)


class Machine:
    """Makes roots, all from one cache of downloads."""

    def __init__(self, place: Path) -> None:
        require_sandboxes()
        self.place = place
        environ = {**os.environ, "HOME": str(place)}
        self.cache = str(place / "cache")
        endpoints = Endpoints.load(project=str(place), environ=environ, registries={}, cache=self.cache)
        self.client = Client(endpoints)

    def root(self, store_name: str, base: str, *packages: str) -> tuple[str, Hash]:
        """The composed root, and the hash of what configuring changed."""
        notices = Notices()
        locked = resolve(
            base, packages, cache_dir=self.cache, events=notices, client=self.client, max_age=3600
        )
        layout = Layout(os.path.realpath(self.place / store_name))
        plan = derivations(locked, url_lookup(self.client.endpoints, locked), layout.store_dir)
        with Store.open(layout) as store:
            realise(
                store,
                plan.graph,
                plan.targets,
                client=self.client,
                pythons={},
                reporter=notices,
                jobs=2,
            )
            root = compose(plan.paths, plan.configured.out, views_dir=layout.views)
            info = store.info(plan.configured.out)
        assert info is not None
        assert not [text for text in notices.texts if "script of" in text], "no script failed"
        return root, info.nar_hash

    def output(self, root: str, script: str) -> str:
        """What `script` prints inside of the root."""
        base = self.place / "empty"
        base.mkdir(exist_ok=True)
        devices = [Tmpfs("/dev"), *(mount for mount in DEVICES if mount != Directory("/dev"))]
        spec = SandboxSpec(
            mounts=(Bind(root, "/"), *devices, Proc(), Tmpfs("/tmp", 0o1777), Tmpfs("/run")), base=str(base)
        )
        ours, theirs = os.pipe()
        with open(ours) as file:
            try:
                environment = {"PATH": "/usr/bin:/usr/sbin:/usr/games", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
                child = enter.run(
                    spec, ["/bin/sh", "-ec", script], environment, "/tmp", stdout=theirs, stderr=theirs
                )
            finally:
                os.close(theirs)
            said = file.read()
        assert os.waitpid(child, 0)[1] == 0, said
        return said


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    found = Machine(tmp_path_factory.mktemp("real"))
    yield found
    found.client.close()


PROGRAM = """
cat > a.cc <<'END'
#include <gdal_priv.h>
#include <iostream>
int main() { GDALAllRegister(); std::cout << (GetGDALDriverManager()->GetDriverCount() > 50); }
END
g++ a.cc $(gdal-config --cflags) $(gdal-config --libs) -lgdal -o a && ./a
"""


def test_r_and_a_program_with_gdal_work_on_bookworm(machine: Machine) -> None:
    root, _ = machine.root("one", "debian/bookworm", "r-base-core", "libgdal-dev", "g++", "make")
    assert machine.output(root, 'Rscript -e "cat(solve(matrix(c(2, 0, 0, 2), 2)))"') == "0.5 0 0 0.5"
    assert machine.output(root, PROGRAM).endswith("1")
    assert machine.output(root, "dpkg --audit; dpkg --search /usr/bin/g++-*").endswith("/usr/bin/g++-12\n")
    assert machine.output(root, "awk 'BEGIN { print 6 * 7 }'; cc --version >/dev/null") == "42\n"
    certificates = machine.output(root, "ls /etc/ssl/certs | wc -l; ls -A /etc/ssl/private /var/log").split()
    assert int(certificates[0]) > 100
    assert Path(root, "etc/machine-id").read_bytes() == b""


def test_the_same_set_has_the_same_bytes_in_another_store(machine: Machine) -> None:
    made = {
        machine.root(name, "debian/trixie", "python3", "libglib2.0-0", "ca-certificates")[1] for name in "ab"
    }
    assert len(made) == 1


def test_a_newer_c_library_than_the_machines_runs(machine: Machine) -> None:
    root, _ = machine.root("a", "debian/trixie", "python3", "libglib2.0-0", "ca-certificates")
    assert machine.output(root, "python3 -c 'import ssl, sys; print(sys.version_info[:2])'") == "(3, 13)\n"
    assert "2.41" in machine.output(root, "/usr/lib/x86_64-linux-gnu/libc.so.6 | head -1")


def test_programs_of_both_architectures_run_side_by_side(machine: Machine) -> None:
    root, _ = machine.root("one", "debian/bookworm", "file", "hello:i386", "zlib1g:i386", "zlib1g")
    said = machine.output(
        root, "hello; file -b /usr/bin/hello; dpkg --print-foreign-architectures; ls /usr/lib"
    )
    assert said.startswith("Hello, world!\nELF 32-bit")
    assert "i386\n" in said and {"i386-linux-gnu", "x86_64-linux-gnu"} <= set(said.split())
