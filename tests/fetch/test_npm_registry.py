"""What the npm registry answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import NpmQuery
from devenv.errors import DevenvError, Problems
from devenv.events import Reporter
from devenv.fetch.errors import FetchError, MismatchError
from devenv.fetch.http import Client
from devenv.fetch.npm_registry import Published, answer_npm, package_url, versions
from devenv.formats.hashes import Hash
from tests.fetch.server import Server, make_endpoints

SHA512, SHA1 = Hash.of("sha512", b"a"), Hash.of("sha1", b"a")


def manifest(server: Server, version: str = "1.0.0", **dist: Any) -> dict[str, Any]:
    found = {"tarball": f"{server.url}/npm/a/-/a-{version}.tgz", "integrity": SHA512.sri, "shasum": SHA1.hex}
    return {
        "name": "a",
        "version": version,
        "dist": {key: value for key, value in (found | dist).items() if value is not None},
    }


@pytest.fixture
def client(server: Server, make_client: Callable[..., Client]) -> Client:
    return make_client(npmrc=f"registry={server.url}/npm\n@corp:registry={server.url}/corp\n")


def ask(client: Client, *queries: NpmQuery) -> dict[str, Any]:
    return answer_npm(client, client.endpoints, queries, Reporter())


QUERY = NpmQuery(name="a", version="1.0.0")


def test_a_version_is_answered_by_its_manifest(server: Server, client: Client) -> None:
    server.page("/npm/a/1.0.0", json.dumps(manifest(server)))
    ((key, (file,)),) = ask(client, QUERY).items()
    assert key == "npm:a@1.0.0"
    assert (file.url, file.hash, file.file_name) == ("npm:a/-/a-1.0.0.tgz", SHA512, "a-1.0.0.tgz")
    assert client.endpoints.absolute(file.url) == f"{server.url}/npm/a/-/a-1.0.0.tgz"


@pytest.mark.parametrize("status", [404, 405])
def test_registries_without_manifests_are_asked_for_all_versions(
    server: Server, client: Client, status: int
) -> None:
    server.page("/npm/a/1.0.0", "", f"status:{status}")
    server.page("/npm/a", json.dumps({"versions": {"1.0.0": manifest(server)}}))
    assert ask(client, QUERY)["npm:a@1.0.0"][0].hash == SHA512


def test_scoped_packages_are_asked_of_their_registry(server: Server, client: Client) -> None:
    found = manifest(server, tarball=f"{server.url}/corp/@corp/a/-/a-1.0.0.tgz")
    server.page("/corp/@corp%2Fa/1.0.0", json.dumps(found))
    (file,) = ask(client, NpmQuery(name="@corp/a", version="1.0.0"))["npm:@corp/a@1.0.0"]
    assert file.url == "npm+@corp:@corp/a/-/a-1.0.0.tgz"


@pytest.mark.parametrize(
    ("known", "said", "expected"),
    [
        pytest.param(None, {"integrity": None}, SHA1, id="only a shasum"),
        pytest.param(None, {"integrity": f"{SHA1.sri} {SHA512.sri}"}, SHA512, id="strongest of several"),
        pytest.param(SHA1, {}, SHA512, id="weak and right: made strong"),
        pytest.param(SHA512, {}, SHA512, id="strong and right"),
        pytest.param(SHA1, {"shasum": None}, SHA1, id="nothing to compare"),
        pytest.param(Hash.of("sha384", b"a"), {}, Hash.of("sha384", b"a"), id="other algorithm"),
    ],
)
def test_the_strongest_trustworthy_hash_is_taken(
    server: Server, client: Client, known: Hash | None, said: dict[str, Any], expected: Hash
) -> None:
    server.page("/npm/a/1.0.0", json.dumps(manifest(server, **said)))
    (file,) = ask(client, NpmQuery(name="a", version="1.0.0", hash=known))["npm:a@1.0.0"]
    assert file.hash == expected


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_a_hash_that_the_registry_contradicts_is_an_error(
    server: Server, client: Client, algorithm: Any
) -> None:
    server.page("/npm/a/1.0.0", json.dumps(manifest(server)))
    other = Hash.of(algorithm, b"other")
    with pytest.raises(MismatchError, match=r"a@1\.0\.0") as caught:
        ask(client, NpmQuery(name="a", version="1.0.0", hash=other))
    assert caught.value.expected == other.sri


def test_all_unknown_packages_are_reported_together(server: Server, client: Client) -> None:
    server.page("/npm/a/1.0.0", json.dumps(manifest(server)))
    queries = [QUERY, *(NpmQuery(name=name, version="2.0.0") for name in ("x", "@corp/y"))]
    with pytest.raises(Problems) as caught:
        ask(client, *queries)
    text = str(caught.value)
    assert "x@2.0.0" in text
    assert "@corp/y@2.0.0" in text
    assert server.url in text
    assert "a@1.0.0" not in text


def test_many_queries_are_answered(server: Server, client: Client) -> None:
    for number in range(60):
        server.page(f"/npm/a/{number}.0.0", json.dumps(manifest(server, f"{number}.0.0")))
    found = ask(client, *(NpmQuery(name="a", version=f"{number}.0.0") for number in range(60)))
    assert [files[0].file_name for files in found.values()] == [f"a-{n}.0.0.tgz" for n in range(60)]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "@/x", "a b", ".x", "@a/b/c", "a\n", "@a/", "@a/.."])
def test_names_that_are_none_are_never_asked(server: Server, client: Client, name: str) -> None:
    with pytest.raises(FetchError):
        ask(client, NpmQuery(name=name, version="1.0.0"))
    assert server.seen == []


@given(st.text(max_size=20))
def test_no_name_leaves_the_registry(name: str) -> None:
    endpoints = make_endpoints_once()
    try:
        url = package_url(endpoints, name)
    except FetchError:
        return
    rest = url.removeprefix("https://r.test/")
    assert rest != url
    assert "/" not in rest
    assert "?" not in rest


def make_endpoints_once() -> Any:
    from devenv.fetch.endpoints import Endpoints

    return Endpoints.load(
        project="/nowhere",
        environ={"HOME": "/nowhere", "PATH": "", "npm_config_registry": "https://r.test/"},
        registries={},
        cache="/nowhere",
    )


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "{}",
        '{"version": 1, "dist": {}}',
        '{"version": "1.0.0", "dist": []}',
        '{"version": "1.0.0", "dist": {"tarball": 5}}',
        '{"version": "1.0.0", "dist": {"tarball": "https://x.test/a.tgz"}}',
        '{"version": "1.0.0", "dist": {"tarball": "http://[", "shasum": "' + SHA1.hex + '"}}',
        '{"version": "1.0.0", "dist": {"tarball": "https://x.test/a.tgz", "integrity": "sha512-x"}}',
        '{"version": "1.0.0", "dist": {"tarball": "https://x.test/a.tgz", "shasum": "xyz"}}',
    ],
)
def test_damaged_manifests_are_our_errors(server: Server, client: Client, body: str) -> None:
    server.page("/npm/a/1.0.0", body)
    server.page("/npm/a", body)
    with pytest.raises(DevenvError):
        ask(client, QUERY)
    with pytest.raises(DevenvError):
        versions(client, client.endpoints, "a")


def test_all_versions_of_a_package_are_listed(server: Server, client: Client) -> None:
    old = manifest(server, "1.0.0") | {"deprecated": "use 2", "engines": {"node": ">=4", "bad": 1}}
    server.page("/npm/a", json.dumps({"versions": {"1.0.0": old, "2.0.0": manifest(server, "2.0.0")}}))
    first, second = versions(client, client.endpoints, "a")
    assert isinstance(first, Published)
    assert (first.version, first.engines, first.deprecated) == ("1.0.0", {"node": ">=4"}, True)
    assert (second.version, second.engines, second.deprecated) == ("2.0.0", {}, False)


def test_an_unknown_package_has_no_versions(server: Server, client: Client) -> None:
    with pytest.raises(FetchError, match="knows no package 'x'"):
        versions(client, client.endpoints, "x")


@pytest.mark.network
def test_the_configured_registry_answers(tmp_path: Path) -> None:
    import os

    from devenv.fetch.endpoints import Endpoints

    endpoints = Endpoints.load(
        project=str(tmp_path), environ=os.environ, registries={}, cache=str(tmp_path / "cache")
    )
    with Client(endpoints) as client:
        (file,) = ask(client, NpmQuery(name="left-pad", version="1.3.0"))["npm:left-pad@1.3.0"]
    assert file.url == "npm:left-pad/-/left-pad-1.3.0.tgz"
    assert file.hash.algorithm == "sha512"


def test_the_fixture_settings_are_alone(tmp_path: Path) -> None:
    assert make_endpoints(tmp_path, npmrc="registry=https://r.test").npm.registry("@x") == "https://r.test/"
