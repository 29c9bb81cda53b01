"""The HTTP client: logins, redirects, proxies, retries, kept answers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devenv.fetch.connections import CONNECTIONS, proxy_for
from devenv.fetch.errors import FetchError, StatusError
from devenv.fetch.http import Client
from devenv.fetch.urls import shown
from tests.fetch.server import Server, make_endpoints

MakeClient = Callable[..., Client]


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_json_is_read(server: Server, make_client: MakeClient) -> None:
    url = server.page("/x", '{"a": [1]}', content_type="application/json")
    assert make_client().get_json(url) == {"a": [1]}


@pytest.mark.parametrize("body", ["", "<html>", "{", "[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_an_error(server: Server, make_client: MakeClient, body: str | bytes) -> None:
    with pytest.raises(FetchError, match="not JSON"):
        make_client().get_json(server.page("/x", body))


def test_compressed_metadata_is_unpacked(server: Server, make_client: MakeClient) -> None:
    assert make_client().get(server.page("/x", "hello", "gzip")).body == b"hello"
    assert server.seen[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("trick", ["status:500", "status:429", "reset", "truncated:3"])
def test_metadata_is_asked_for_again(server: Server, make_client: MakeClient, trick: str) -> None:
    assert make_client().get(server.page("/x", "hello", trick, trick, "plain")).body == b"hello"


def test_patience_ends(server: Server, make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match="503"):
        make_client().get(server.page("/x", "hello", "status:503"))
    assert len(server.seen) == 3


def test_a_silent_server_is_given_up(server: Server, make_client: MakeClient) -> None:
    client = make_client(read_timeout=0.1)
    with pytest.raises(FetchError, match="stopped sending"):
        client.get(server.page("/x", "hello", "stuck:2"))


def test_a_closed_port_is_an_error(make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match=r"Cannot fetch http://127\.0\.0\.1:1/x: no connection"):
        make_client().get("http://127.0.0.1:1/x?secret=1")


def test_a_client_that_works_offline_asks_nobody(server: Server, make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match="offline"):
        make_client(offline=True).get(server.page("/x", "hello"))
    assert server.seen == []


def test_connections_are_reused(server: Server, make_client: MakeClient) -> None:
    client = make_client()
    server.page("/a", "a", "redirect:/b")
    server.page("/b", "b")
    for _ in range(3):
        client.get(server.url + "/a")
        with pytest.raises(StatusError):
            client.get(server.url + "/missing")
    assert len({each.connection for each in server.seen}) == 1


def test_no_more_connections_are_open_than_allowed(server: Server, make_client: MakeClient) -> None:
    client = make_client()
    url = server.page("/x", "hello", "slow:0.03")
    with ThreadPoolExecutor(40) as pool:
        bodies = list(pool.map(lambda _: client.get(url).body, range(60)))
    assert bodies == [b"hello"] * 60
    assert len({each.connection for each in server.seen}) <= CONNECTIONS


def test_a_login_goes_to_its_host_and_not_where_that_redirects(
    server: Server, other_server: Server, make_client: MakeClient
) -> None:
    host = server.url.removeprefix("http:")
    client = make_client(npmrc=f"registry={server.url}/\n{host}/:_authToken=sesame\n")
    server.page("/x", "", f"redirect:{other_server.page('/y', 'hello')}")
    answer = client.get(server.url + "/x")
    assert answer.body == b"hello"
    assert answer.url == other_server.url + "/y"
    assert server.seen[0].headers["Authorization"] == "Bearer sesame"
    assert "Authorization" not in other_server.seen[0].headers


def test_a_login_stays_on_redirects_within_its_host(server: Server, make_client: MakeClient) -> None:
    client = make_client(environ={"PIP_INDEX_URL": server.url.replace("//", "//me:pass@") + "/simple"})
    server.page("/x", "", "redirect:/y")
    server.page("/y", "hello")
    client.get(server.url + "/x")
    assert [each.headers.get("Authorization") for each in server.seen] == [basic("me:pass")] * 2


def test_userinfo_of_a_url_becomes_a_header(server: Server, make_client: MakeClient) -> None:
    server.page("/x", "hello")
    make_client().get(server.url.replace("//", "//me:p%40ss@") + "/x")
    assert server.seen[0].headers["Authorization"] == basic("me:p@ss")


def test_a_login_inside_a_redirect_is_not_used(server: Server, make_client: MakeClient) -> None:
    server.page("/x", "", "redirect:" + server.url.replace("//", "//evil:word@") + "/y")
    server.page("/y", "hello")
    make_client().get(server.url + "/x")
    assert "Authorization" not in server.asked("/y")[0].headers


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://a.test/", "javascript:1", "http://[", "//"])
def test_redirects_to_other_things_than_web_addresses_are_refused(
    server: Server, make_client: MakeClient, target: str
) -> None:
    with pytest.raises(FetchError):
        make_client().get(server.page("/x", "", f"redirect:{target}"))


def test_endless_redirects_end(server: Server, make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match="redirects"):
        make_client().get(server.page("/x", "", "redirect:/x"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:secret@a.test/x?token=secret#secret", "https://a.test/x"),
        ("https://secret@a.test", "https://a.test"),
        ("https://a.test/@scope/x", "https://a.test/@scope/x"),
        ("https://a:secret@b:secret@c.test/x", "https://c.test/x"),
        ("npm:express/-/x.tgz?secret", "npm:express/-/x.tgz"),
    ],
)
def test_shown_urls_hold_no_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_errors_hold_no_secrets(server: Server, make_client: MakeClient) -> None:
    with pytest.raises(FetchError) as caught:
        make_client().get(server.url.replace("//", "//me:secret@") + "/missing?token=secret")
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.url}"


def test_kept_answers_are_revalidated(server: Server, make_client: MakeClient) -> None:
    url = server.page("/x", "one", 'etag:"1"', content_type="text/html")
    first, second = make_client().get(url), make_client().get(url)
    assert first == second
    assert server.seen[1].headers["If-None-Match"] == '"1"'
    server.page("/x", "two", 'etag:"2"')
    assert make_client().get(url).body == b"two"


def test_damaged_kept_answers_are_asked_for_anew(
    server: Server, make_client: MakeClient, tmp_path: Path
) -> None:
    url = server.page("/x", "one", 'etag:"1"')
    make_client().get(url)
    (kept,) = (tmp_path / "cache/http").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", b"{", whole[:-1], whole + b"x", b"[]\n", b'{"url": 1}\n', whole[:20]):
        kept.write_bytes(damaged)
        assert make_client().get(url).body == b"one"
        assert "If-None-Match" not in server.seen[-1].headers


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://a.test/", None),
        ({"https_proxy": "http://p.test:3128"}, "https://a.test/", "http://p.test:3128"),
        ({"HTTPS_PROXY": "http://p.test:3128"}, "https://a.test/", "http://p.test:3128"),
        ({"https_proxy": "http://p.test:3128"}, "http://a.test/", None),
        ({"all_proxy": "p.test:3128"}, "http://a.test/", "http://p.test:3128"),
        ({"https_proxy": "http://p.test", "HTTPS_PROXY": "http://q.test"}, "https://a.test", "http://p.test"),
        ({"all_proxy": "http://p.test", "no_proxy": "*"}, "https://a.test/", None),
        ({"all_proxy": "http://p.test", "no_proxy": "b.test, a.test"}, "https://a.test/", None),
        ({"all_proxy": "http://p.test", "no_proxy": ".a.test"}, "https://x.a.test/", None),
        ({"all_proxy": "http://p.test", "NO_PROXY": "a.test:8080"}, "http://a.test:8080/", None),
        ({"all_proxy": "http://p.test", "NO_PROXY": "a.test:8080"}, "http://a.test/", "http://p.test"),
        ({"all_proxy": "http://p.test", "no_proxy": "test2,a.te"}, "http://a.test/", "http://p.test"),
    ],
)
def test_proxies_come_from_the_environment(environ: dict[str, str], url: str, expected: str | None) -> None:
    assert proxy_for(url, environ) == expected


def test_requests_go_through_the_proxy(server: Server, make_client: MakeClient) -> None:
    client = make_client(environ={"http_proxy": server.url.replace("//", "//me:pass@")})
    server.page("http://a.test/x", "through")
    assert client.get("http://a.test/x").body == b"through"
    assert server.seen[0].headers["Proxy-Authorization"] == basic("me:pass")


def test_an_unusable_proxy_is_an_error(make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match="proxy"):
        make_client(environ={"http_proxy": "socks5://p.test"}).get("http://a.test/x")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
@pytest.mark.parametrize("contents", [None, "no certificate"])
def test_unreadable_certificates_are_errors_that_name_the_setting(
    make_client: MakeClient, tmp_path: Path, name: str, contents: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(FetchError, match=f"{path}.*{name}"):
        make_client(environ={name: str(path)}).get("https://127.0.0.1:1/")


def test_npm_may_name_certificates(make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match=r"/nowhere/ca\.pem.*npm's cafile"):
        make_client(npmrc="cafile=/nowhere/ca.pem").get("https://127.0.0.1:1/")


def test_a_cancelled_client_makes_no_requests(server: Server, tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with Client(make_endpoints(tmp_path), cancelled=cancelled) as client, pytest.raises(FetchError):
        client.get(server.page("/x", "hello"))
    assert server.seen == []
