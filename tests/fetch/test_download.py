"""Downloads against a server that misbehaves."""

from __future__ import annotations

import gzip
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.errors import Problems
from devenv.events import Event, Finished, Progressed, Reporter, Started
from devenv.fetch.download import Download, download, download_first
from devenv.fetch.errors import CancelledError, FetchError, MismatchError
from devenv.fetch.http import Client
from devenv.formats.hashes import Algorithm, Hash
from tests.fetch.server import Server

BODY = random.Random(1).randbytes(300_000)


class Recorder(Reporter):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


class Fetching:
    """Downloads into a directory, with everything at hand that a test wants to see."""

    def __init__(self, client: Client, directory: Path) -> None:
        self.client = client
        self.target, self.part = directory / "file", directory / "file.part"
        self.recorder, self.cancelled = Recorder(), threading.Event()

    def first(self, *urls: str, data: bytes = BODY) -> bytes:
        items = [Download(url=url, hash=Hash.of("sha256", data), label="thing 1.0") for url in urls]
        download_first(
            self.client,
            items,
            str(self.target),
            part=str(self.part),
            reporter=self.recorder,
            cancelled=self.cancelled,
        )
        return self.target.read_bytes()

    def __call__(
        self, url: str, *, size: int | None = None, data: bytes = BODY, algorithm: Algorithm = "sha256"
    ) -> bytes:
        item = Download(url=url, hash=Hash.of(algorithm, data), size=size, label="thing 1.0")
        download(
            self.client,
            item,
            str(self.target),
            part=str(self.part),
            reporter=self.recorder,
            cancelled=self.cancelled,
        )
        return self.target.read_bytes()


@pytest.fixture
def fetching(make_client: Callable[..., Client], tmp_path: Path) -> Fetching:
    return Fetching(make_client(), tmp_path)


NOBODY = "http://127.0.0.1:1/f"


@pytest.mark.parametrize("trick", ["wrong", "missing", "silent", "broken"])
def test_the_next_of_several_places_is_asked_when_one_does_not_have_it(
    server: Server, fetching: Fetching, trick: str
) -> None:
    bad = {
        "wrong": server.page("/wrong", b"another file"),
        "missing": f"{server.url}/nothing",
        "silent": NOBODY,
        "broken": server.page("/broken", BODY, *["cut"] * 9),
    }[trick]
    assert fetching.first(bad, server.page("/f", BODY)) == BODY
    assert sum(isinstance(event, Started) for event in fetching.recorder.events) == 2, "only once each"


def test_who_did_not_answer_is_asked_last_from_then_on(server: Server, fetching: Fetching) -> None:
    good = server.page("/f", BODY)
    for _ in range(3):
        fetching.first(NOBODY, good)
        fetching.target.unlink()
    assert sum(isinstance(event, Started) for event in fetching.recorder.events) == 4


def test_what_no_place_has_is_told_of_each(server: Server, fetching: Fetching) -> None:
    with pytest.raises(Problems) as raised:
        fetching.first(f"{server.url}/nothing", server.page("/wrong", b"another file"))
    assert "/nothing" in str(raised.value) and "not the file that was locked" in str(raised.value)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("size", [None, len(BODY)], ids=["size unknown", "size known"])
def test_a_file_arrives_whole(
    server: Server, fetching: Fetching, algorithm: Algorithm, size: int | None
) -> None:
    assert fetching(server.page("/f", BODY), size=size, algorithm=algorithm) == BODY
    assert not fetching.part.exists()


def test_an_empty_file_arrives(server: Server, fetching: Fetching) -> None:
    assert fetching(server.page("/f", b""), data=b"", size=0) == b""


def test_a_file_without_announced_length_arrives(server: Server, fetching: Fetching) -> None:
    assert fetching(server.page("/f", BODY, "endless")) == BODY


def test_progress_is_reported_from_start_to_end(server: Server, fetching: Fetching) -> None:
    fetching(server.page("/f", BODY), size=len(BODY))
    events = fetching.recorder.events
    assert events[0] == Started(kind="fetch", key=str(fetching.part), label="thing 1.0", size=len(BODY))
    assert events[-1] == Finished(key=str(fetching.part))
    counts = [event.done for event in events if isinstance(event, Progressed)]
    assert counts == sorted(counts)
    assert counts[-1] == len(BODY)
    assert len(counts) < 10, "progress must be throttled"


@pytest.mark.parametrize(
    "tricks",
    [
        pytest.param(["status:500", "plain"], id="500 once"),
        pytest.param(["status:429", "plain"], id="429 once"),
        pytest.param(["status:503", "status:502", "plain"], id="twice"),
        pytest.param(["reset", "plain"], id="connection reset"),
        pytest.param(["truncated:100000", "plain"], id="cut off, resumed"),
        pytest.param(["truncated:100000", "norange"], id="cut off, ranges ignored"),
        pytest.param(["truncated:100000"] * 2 + ["truncated:99999"] * 2, id="in four pieces"),
    ],
)
def test_passing_failures_are_retried(server: Server, fetching: Fetching, tricks: list[str]) -> None:
    assert fetching(server.page("/f", BODY, *tricks), size=len(BODY)) == BODY


def test_after_a_cut_only_the_rest_is_asked_for(server: Server, fetching: Fetching) -> None:
    fetching(server.page("/f", BODY, "truncated:100000", "plain"))
    first, second = server.asked("/f")
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=100000-"


@pytest.mark.parametrize("kept", [1, 65536, len(BODY) - 1])
def test_a_part_of_an_earlier_run_is_resumed(server: Server, fetching: Fetching, kept: int) -> None:
    fetching.part.write_bytes(BODY[:kept])
    assert fetching(server.page("/f", BODY), size=len(BODY)) == BODY
    assert [each.headers.get("Range") for each in server.asked("/f")] == [f"bytes={kept}-"]


@pytest.mark.parametrize("size", [None, len(BODY)], ids=["size unknown", "size known"])
def test_a_part_that_is_whole_needs_no_bytes(server: Server, fetching: Fetching, size: int | None) -> None:
    fetching.part.write_bytes(BODY)
    assert fetching(server.page("/f", BODY), size=size) == BODY
    assert len(server.asked("/f")) == (0 if size else 1), "416 says that it is whole"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"x" * 1000, id="of another file"),
        pytest.param(b"x" * len(BODY), id="as long as the file"),
        pytest.param(b"x" * (len(BODY) + 5), id="longer than the file"),
        pytest.param(BODY + b"tail", id="the file and more"),
    ],
)
@pytest.mark.parametrize("size", [None, len(BODY)], ids=["size unknown", "size known"])
def test_a_wrong_part_is_fetched_anew_once(
    server: Server, fetching: Fetching, part: bytes, size: int | None
) -> None:
    fetching.part.write_bytes(part)
    assert fetching(server.page("/f", BODY), size=size) == BODY
    assert len(server.asked("/f")) <= 2


def test_another_file_is_refused_and_its_part_deleted(server: Server, fetching: Fetching) -> None:
    fetching.part.write_bytes(b"x" * 1000)
    url = server.page("/f", BODY[:-1] + b"?")
    with pytest.raises(MismatchError) as caught:
        fetching(url)
    message = str(caught.value)
    assert "thing 1.0" in message
    assert url in message
    assert Hash.of("sha256", BODY).sri in message
    assert Hash.of("sha256", BODY[:-1] + b"?").sri in message
    assert not fetching.part.exists()
    assert not fetching.target.exists()
    assert len(server.asked("/f")) == 2, "once resumed, once from zero"
    assert fetching.recorder.events[-1] == Finished(key=str(fetching.part), failed=True)


@pytest.mark.parametrize("trick", ["plain", "endless"])
@pytest.mark.parametrize("size", [len(BODY) - 1, 10], ids=["by one", "by much"])
def test_more_than_announced_stops_at_once(server: Server, fetching: Fetching, trick: str, size: int) -> None:
    with pytest.raises(MismatchError, match=f"{size} bytes"):
        fetching(server.page("/f", BODY, trick), size=size)
    assert not fetching.part.exists()


def test_less_than_announced_is_refused(server: Server, fetching: Fetching) -> None:
    with pytest.raises(MismatchError, match=f"found: +{len(BODY)} bytes"):
        fetching(server.page("/f", BODY), size=len(BODY) + 1)


def test_a_connection_that_always_breaks_is_given_up_and_the_part_kept(
    server: Server, fetching: Fetching
) -> None:
    with pytest.raises(FetchError, match=r"thing 1\.0"):
        fetching(server.page("/f", BODY, "truncated:5000", "truncated:0"), size=len(BODY))
    assert fetching.part.read_bytes() == BODY[:5000]
    assert 3 <= len(server.asked("/f")) <= 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_final_statuses_are_not_retried(server: Server, fetching: Fetching, status: int) -> None:
    with pytest.raises(FetchError, match=rf"thing 1\.0.*{status}"):
        fetching(server.page("/f", BODY, f"status:{status}"))
    assert len(server.asked("/f")) == 1


def test_a_wrong_range_is_refused(server: Server, fetching: Fetching) -> None:
    fetching.part.write_bytes(BODY[:100])
    with pytest.raises(FetchError, match="another part"):
        fetching(server.page("/f", BODY, "wrongrange"))


def test_bytes_are_hashed_as_served_whatever_their_encoding(server: Server, fetching: Fetching) -> None:
    packed = gzip.compress(BODY, mtime=0)
    assert fetching(server.page("/f", BODY, "gzip"), data=packed, size=len(packed)) == packed
    assert server.asked("/f")[0].headers["Accept-Encoding"] == "identity"


def test_local_files_are_copied(fetching: Fetching, tmp_path: Path) -> None:
    (tmp_path / "with space").write_bytes(BODY)
    assert fetching(f"file://{tmp_path}/with%20space", size=len(BODY)) == BODY


@pytest.mark.parametrize(
    "url",
    ["file:///nowhere/at/all", "file://elsewhere.test/etc/passwd", "file:///proc/self/mem", "file:///%00"],
)
def test_local_files_that_cannot_be_read_are_errors(fetching: Fetching, url: str) -> None:
    with pytest.raises(FetchError, match=r"thing 1\.0"):
        fetching(url)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a directory"])
def test_what_is_no_plain_file_is_neither_waited_for_nor_read(
    fetching: Fetching, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a-1.0.tar.gz"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(FetchError, match=r"it is (no plain file|a directory)"):
        fetching(path.as_uri())


@pytest.mark.parametrize("url", ["ftp://a.test/f", "https://", "http://[::1", "http://a.test:99999/f", "x"])
def test_unusable_urls_are_errors(fetching: Fetching, url: str) -> None:
    with pytest.raises(FetchError):
        fetching(url)


def test_a_part_that_is_a_link_is_not_followed(server: Server, fetching: Fetching, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    fetching.part.symlink_to(tmp_path / "precious")
    with pytest.raises(FetchError):
        fetching(server.page("/f", BODY))
    assert (tmp_path / "precious").read_bytes() == b"mine"


@pytest.mark.parametrize("trick", ["stuck:1000", "stuck:"], ids=["in the body", "before the head"])
@pytest.mark.parametrize("how", ["client", "event"])
def test_cancelling_stops_a_thread_that_waits(
    server: Server, fetching: Fetching, trick: str, how: str
) -> None:
    url = server.page("/f", BODY, trick)
    errors: list[Exception] = []

    def work() -> None:
        try:
            fetching(url)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not server.asked("/f"):
        time.sleep(0.005)
    time.sleep(0.05)
    began = time.monotonic()
    fetching.client.cancel() if how == "client" else fetching.client.cancelled.set()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 2
    assert isinstance(errors[0], CancelledError)


def test_what_arrived_before_cancelling_is_kept(server: Server, fetching: Fetching) -> None:
    url = server.page("/f", BODY, "stuck:200000", "plain")

    def cancel_when_some_is_there() -> None:
        while not fetching.part.exists() or fetching.part.stat().st_size < 131072:
            time.sleep(0.01)
        fetching.client.cancel()

    threading.Thread(target=cancel_when_some_is_there, daemon=True).start()
    with pytest.raises(CancelledError):
        fetching(url)
    kept = fetching.part.stat().st_size
    assert kept >= 131072
    assert fetching.part.read_bytes() == BODY[:kept]


def test_a_set_event_stops_before_anything_is_written(server: Server, fetching: Fetching) -> None:
    fetching.cancelled.set()
    with pytest.raises(CancelledError):
        fetching(server.page("/f", BODY))
    assert fetching.part.stat().st_size == 0


def test_two_downloads_with_one_part_take_turns(server: Server, fetching: Fetching, tmp_path: Path) -> None:
    url = server.page("/f", BODY, "slow:0.1")
    item = Download(url=url, hash=Hash.of("sha256", BODY), label="thing 1.0")

    def work(name: str) -> None:
        download(
            fetching.client,
            item,
            str(tmp_path / name),
            part=str(fetching.part),
            reporter=Reporter(),
            cancelled=threading.Event(),
        )

    threads = [threading.Thread(target=work, args=(f"copy-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [(tmp_path / f"copy-{number}").read_bytes() == BODY for number in range(4)] == [True] * 4


def test_a_directory_that_cannot_be_written_is_an_error(server: Server, fetching: Fetching) -> None:
    fetching.part = Path("/nonexistent/part")
    with pytest.raises(FetchError, match=r"thing 1\.0"):
        fetching(server.page("/f", BODY))


def test_no_file_descriptors_stay_open(server: Server, fetching: Fetching) -> None:
    fetching(server.page("/f", BODY))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        fetching(server.page("/f", BODY))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
