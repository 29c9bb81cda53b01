"""From a locked base to a root: the derivations, and all of it done with packages from a server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.debian.locked import LockedBase, LockedDeb
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph
from devenv.derivations.realise import realise
from devenv.errors import DevenvError
from devenv.events import Notice
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.fhs.plan import RootPlan, derivations
from devenv.formats.store_path import StoreDir
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.roots import add_indirect_root
from devenv.store.sweep import collect
from devenv.views.root import compose
from tests.derivations.archives import deb, entry
from tests.derivations.site import Recorder, Site, serving
from tests.support.packages import base_deb
from tests.support.sandboxes import require_sandboxes

STORE = StoreDir("/here/store")


def locked(name: str, data: bytes) -> LockedDeb:
    return LockedDeb(
        name=name,
        version="1:2.0~rc1+b2",
        architecture="amd64",
        path=f"pool/main/{name[0]}/{name}/{name}_2.0~rc1+b2_amd64.deb",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        archive="debian",
    )


def base_of(*packages: LockedDeb) -> LockedBase:
    return LockedBase("debian/bookworm", "amd64", (), tuple(sorted(packages)))


ONE, TWO = locked("one", b"1"), locked("two", b"22")


def plan(*packages: LockedDeb, mirror: str = "http://mirror.test") -> RootPlan:
    return derivations(base_of(*packages), lambda package: [f"{mirror}/{package.path}"], STORE)


def test_a_package_is_one_fetch_and_one_tree() -> None:
    made = plan(ONE)
    node = made.packages["one:amd64"]
    (fetch,) = node.inputs
    assert fetch.derivation.env["url"] == f"http://mirror.test/{ONE.path}"
    assert fetch.size == 1 and fetch.label == node.label == "one 1:2.0~rc1+b2"
    assert node.out.endswith("-one-1-2.0-rc1+b2-amd64") or "one-1" in node.out
    assert made.targets == (node, made.configured)


def test_another_mirror_gives_the_same_outputs() -> None:
    here, there = plan(ONE, TWO), plan(ONE, TWO, mirror="file:///mirror")
    assert here.paths == there.paths
    assert here.configured.out == there.configured.out
    assert here.recipe == there.recipe
    assert here.configured.path != there.configured.path, "they are fetched from elsewhere"


def test_the_outputs_say_what_the_set_is() -> None:
    assert plan(ONE, TWO).configured.out == plan(TWO, ONE).configured.out
    assert plan(ONE).configured.out != plan(ONE, TWO).configured.out
    other = locked("one", b"another file")
    assert plan(ONE).paths != plan(other).paths
    moved = ONE._replace(archive="debian-security", path=f"pool/updates/{os.path.basename(ONE.path)}")
    assert plan(moved).paths == plan(ONE).paths, "where the archive has it says nothing of what it is"


def test_all_mirrors_are_in_the_derivation() -> None:
    made = derivations(base_of(ONE), lambda _: ["http://a.test/x", "http://b.test/x"], STORE)
    (fetch,) = made.packages["one:amd64"].inputs
    assert fetch.derivation.env["url"] == "http://a.test/x"
    assert fetch.derivation.env["urls"] == "http://a.test/x http://b.test/x"


def test_a_set_without_packages_or_mirrors_is_an_error() -> None:
    with pytest.raises(BuildError, match="no package of it is locked"):
        plan()
    with pytest.raises(BuildError, match="no mirror of debian is known") as raised:
        derivations(base_of(ONE), lambda _: [], STORE)
    assert "DEVENV_DEBIAN_MIRROR" in str(raised.value.hint)


def test_packages_of_two_bases_are_one_node() -> None:
    graph = Graph(STORE)
    one = derivations(base_of(ONE, TWO), lambda _: ["http://a.test/x"], STORE, graph=graph)
    two = derivations(base_of(ONE), lambda _: ["http://a.test/x"], STORE, graph=graph)
    assert one.packages["one:amd64"] is two.packages["one:amd64"]


class Archive:
    """A server with packages, and a store to bring them into."""

    def __init__(self, site: Site, place: Path) -> None:
        self.site = site
        self.place = place
        self.debs: list[LockedDeb] = []
        self.recorder = Recorder()

    def publish(self, name: str, data: bytes) -> LockedDeb:
        package = locked(name, data)
        self.site.files[f"/{package.path}"] = data
        self.debs.append(package)
        return package

    def plan(self, layout: Layout) -> RootPlan:
        silent = "http://127.0.0.1:1"  # nobody listens there
        return derivations(
            base_of(*self.debs),
            lambda package: [f"{silent}/{package.path}", f"{self.site.url}/{package.path}"],
            layout.store_dir,
        )

    def root(self, name: str) -> tuple[str, Layout, RootPlan]:
        """The composed root, in the store `name`."""
        layout = Layout(os.path.realpath(self.place / name))
        environ = {"HOME": str(self.place), "PATH": ""}
        endpoints = Endpoints.load(
            project=str(self.place), environ=environ, registries={}, cache=str(self.place)
        )
        made = self.plan(layout)
        with Store.open(layout) as store, Client(endpoints) as client:
            realise(
                store,
                made.graph,
                made.targets,
                client=client,
                pythons={},
                reporter=self.recorder,
                jobs=2,
            )
            store.add_texts([(made.recipe.path, made.recipe.text, made.recipe.references)])
            self.hashes = {
                os.path.basename(path).partition("-")[2]: info.nar_hash
                for path in (*made.paths, made.configured.out)
                if (info := store.info(path)) is not None
            }
            add_indirect_root(layout, str(self.place / f"{name}-root"), made.recipe.path)
            found = compose(made.paths, made.configured.out, views_dir=layout.views)
        return found, layout, made


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    require_sandboxes()
    with serving() as site:
        found = Archive(site, tmp_path)
        found.publish("base", base_deb())
        yield found


def test_a_root_is_fetched_unpacked_configured_and_composed(archive: Archive) -> None:
    archive.publish(
        "p",
        deb(
            "p",
            [entry("./bin/p", b"#!/bin/sh\n", mode=0o755), entry("./etc/p.conf", b"old")],
            scripts={"postinst": "#!/bin/sh\necho new >/etc/p.conf; ln -s p /usr/bin/q; echo oh; exit 1\n"},
        ),
    )
    root, layout, made = archive.root("one")
    assert Path(root, "etc/p.conf").read_text() == "new\n"
    assert os.readlink(f"{root}/usr/bin/q") == "p"
    assert os.path.samefile(f"{root}/bin/p", f"{made.packages['p:amd64'].out}/usr/bin/p")
    notices = [event.text for event in archive.recorder.events if isinstance(event, Notice)]
    (notice,) = notices
    assert notice == (
        "configuration of 2 packages of debian/bookworm: the configuration script of p failed; "
        "ln: failed to create symbolic link '/usr/bin/q': File exists; oh."
    )
    # What cargo compiled of an object goes with it, too.
    compiled = os.path.join(layout.views, f"{os.path.basename(made.configured.out)}.compiled")
    os.mkdir(compiled)
    assert collect(layout).views == [] and os.path.isdir(root)
    os.unlink(archive.place / "one-root")
    assert sorted(collect(layout).views) == sorted([root, compiled])
    assert not os.path.exists(made.configured.out)


def test_two_stores_have_the_same_bytes(archive: Archive) -> None:
    script = (
        "#!/bin/sh\nset -e\ncat /etc/d/* >/etc/all; ls -U /etc/d >/dev/null; rm /etc/d/3; touch /etc/now\n"
    )
    files = [entry(f"./etc/d/{number}", b"x" * number) for number in range(20)]
    archive.publish("p", deb("p", files, scripts={"postinst": script}))
    archive.root("one")
    before = archive.hashes
    archive.root("two")
    assert archive.hashes == before and len(before) == 3


def test_a_package_that_is_not_what_was_locked_is_refused(archive: Archive) -> None:
    package = archive.publish("p", deb("p"))
    archive.site.files[f"/{package.path}"] = deb("p", Version="9")
    with pytest.raises(DevenvError, match="not the file that was locked"):
        archive.root("one")


def test_a_file_conflict_names_both_packages(archive: Archive) -> None:
    for name in ("p", "q"):
        archive.publish(name, deb(name, [entry("./etc/x", name.encode())]))
    with pytest.raises(
        DevenvError, match=r"etc/x differs between .*-[pq]-.* and .*-[pq]-.*, which both have it"
    ):
        archive.root("one")
