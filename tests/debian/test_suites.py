"""Archives that are what they should be, and all the ways in which they are not."""

from __future__ import annotations

import errno
import hashlib
import lzma
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from devenv.debian.database import is_whole
from devenv.debian.errors import ArchiveError, DebianError, MissingSuite
from devenv.errors import DevenvError
from devenv.fetch.errors import EndpointError
from tests.debian.conftest import MakeSite, Site, names
from tests.fetch.server import Server
from tests.support.archive import DATE, publish, stanza
from tests.support.openpgp import rsa_key

PACKAGES = {"amd64": [stanza("base", Essential="yes"), stanza("a", Depends="b"), stanza("b", "2")]}
BELOW = "/debian/dists/bookworm/"


@pytest.fixture
def site(server: Server, make_site: MakeSite) -> Site:
    publish(server, "bookworm", PACKAGES)
    return make_site(server.url + "/debian")


def test_a_base_is_resolved_and_pinned(site: Site) -> None:
    locked = site.resolve("a")
    assert names(locked) == ["a 1", "b 2", "base 1"]
    path = "pool/main/a/a/a_1_amd64.deb"
    assert locked.packages[0]._asdict() == {
        "name": "a",
        "version": "1",
        "architecture": "amd64",
        "path": path,
        "size": len(path),
        "sha256": hashlib.sha256(path.encode()).hexdigest(),
        "archive": "debian",
    }
    assert [(state.archive, state.suite, state.date) for state in locked.suites] == [
        ("debian", "bookworm", "2026-01-10T10:02:03Z")
    ]
    assert all("going on without bookworm-" in text for text in site.notices.texts)


def test_updates_and_security_fixes_are_taken(site: Site, server: Server) -> None:
    publish(server, "bookworm-updates", {"amd64": [stanza("b", "2.1")]})
    publish(server, "bookworm-security", {"amd64": [stanza("a", "1+deb12u1", Depends="b")]})
    locked = site.resolve("a")
    assert names(locked) == ["a 1+deb12u1", "b 2.1", "base 1"]
    assert {deb.name: deb.archive for deb in locked.packages} == {
        "a": "debian-security",
        "b": "debian",
        "base": "debian",
    }
    assert [state.suite for state in locked.suites] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert site.notices.texts == []


def test_backports_are_taken_only_where_they_are_asked_for(site: Site, server: Server) -> None:
    publish(server, "bookworm-backports", {"amd64": [stanza("a", "9", Depends="b (>= 9)"), stanza("b", "9")]})
    assert names(site.resolve("a")) == ["a 1", "b 2", "base 1"]
    assert names(site.resolve("b", "a/bookworm-backports")) == ["a 9", "b 9", "base 1"]
    publish(server, "bookworm-backports", {"amd64": [stanza("a", "9", Depends="b"), stanza("b", "9")]})
    assert names(site.resolve("a/bookworm-backports")) == ["a 9", "b 2", "base 1"]


def test_nothing_is_fetched_twice(site: Site, server: Server) -> None:
    site.resolve("a")
    site.resolve("b")
    assert len([each for each in server.seen if "/by-hash/" in each.path]) == 1


def test_what_was_looked_at_lately_is_not_asked_again(site: Site, server: Server) -> None:
    site.resolve("a")
    asked = len(server.asked(BELOW + "InRelease"))
    assert names(site.resolve("a", max_age=3600)) == ["a 1", "b 2", "base 1"]
    assert len(server.asked(BELOW + "InRelease")) == asked


def test_what_was_seen_once_is_there_offline(site: Site) -> None:
    online = site.resolve("a")
    assert site.resolve("a", offline=True) == online


def test_what_was_never_seen_is_not_there_offline(site: Site) -> None:
    with pytest.raises(ArchiveError, match="offline"):
        site.resolve("a", offline=True)


def test_archives_without_files_by_hash_are_read(server: Server, make_site: MakeSite) -> None:
    publish(server, "bookworm", PACKAGES, by_hash=False)
    assert names(make_site(server.url + "/debian").resolve("b")) == ["b 2", "base 1"]


def test_a_local_mirror_is_read(server: Server, make_site: MakeSite, tmp_path: Path) -> None:
    publish(server, "bookworm", PACKAGES)
    for path, page in server.pages.items():
        target = tmp_path / "mirror" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(page.body)
    assert names(make_site(f"file://{tmp_path}/mirror/debian").resolve("b")) == ["b 2", "base 1"]


# Bad signatures, old editions


def test_a_text_that_was_changed_after_it_was_signed_is_refused(site: Site, server: Server) -> None:
    page = server.pages[BELOW + "InRelease"]
    page.body = page.body.replace(b"Origin: Test", b"Origin: Evil")
    with pytest.raises(ArchiveError, match="the text is not the one") as caught:
        site.resolve("a")
    assert "bookworm" in str(caught.value) and server.url in str(caught.value)


def test_a_suite_signed_by_somebody_else_is_refused(site: Site, server: Server) -> None:
    publish(server, "bookworm", PACKAGES, key=rsa_key("stranger"))
    with pytest.raises(ArchiveError, match="not trusted"):
        site.resolve("a")


def test_another_suite_in_the_place_of_the_one_asked_for_is_refused(site: Site, server: Server) -> None:
    publish(server, "bookworm", PACKAGES, codename="buster")
    with pytest.raises(ArchiveError, match="it is not bookworm but buster"):
        site.resolve("a")


def test_a_bad_mirror_is_passed_over_for_a_good_one(
    server: Server, other_server: Server, make_site: MakeSite
) -> None:
    publish(server, "bookworm", PACKAGES, key=rsa_key("stranger"))
    publish(other_server, "bookworm", PACKAGES)
    site = make_site(server.url + "/debian", other_server.url + "/debian")
    assert names(site.resolve("b")) == ["b 2", "base 1"]
    assert any("another mirror was asked" in text for text in site.notices.texts)


def test_a_suite_past_its_date_is_used_with_a_warning(site: Site, server: Server) -> None:
    publish(server, "bookworm", PACKAGES, lasts=timedelta(days=7))
    assert names(site.resolve("b")) == ["b 2", "base 1"]
    assert any("valid until 2026-01-17 only" in text for text in site.notices.texts)


def test_an_older_edition_than_one_seen_before_is_not_taken(site: Site, server: Server) -> None:
    publish(server, "bookworm", {"amd64": [stanza("b", "3")]}, date=DATE + timedelta(days=1))
    assert names(site.resolve("b")) == ["b 3"]
    publish(server, "bookworm", {"amd64": [stanza("b", "2")]})
    assert names(site.resolve("b")) == ["b 3"]
    assert any("edition seen before is used" in text for text in site.notices.texts)


# Indices that do not fit


def test_an_index_that_is_not_the_one_signed_is_refused(site: Site, server: Server) -> None:
    for path, page in server.pages.items():
        if "Packages" in path or "by-hash" in path:
            page.body = lzma.compress(b"Package: evil\n" * 20)
    with pytest.raises(ArchiveError, match="do not fit its Release file") as caught:
        site.resolve("a")
    assert "another mirror" in (caught.value.hint or "")
    assert names_in(site.cache) == ["debian-bookworm.InRelease"]


def names_in(cache: str) -> list[str]:
    return sorted(each for each in os.listdir(f"{cache}/debian") if each not in ("partial", "making.lock"))


def test_a_mirror_that_lacks_an_index_is_passed_over_for_another(
    server: Server, other_server: Server, make_site: MakeSite
) -> None:
    publish(server, "bookworm", PACKAGES)
    publish(other_server, "bookworm", PACKAGES)
    for path in [path for path in server.pages if not path.endswith("InRelease")]:
        del server.pages[path]
    site = make_site(server.url + "/debian", other_server.url + "/debian")
    assert names(site.resolve("b")) == ["b 2", "base 1"]


def test_indices_of_a_further_architecture_that_lag_behind_are_done_without(
    site: Site, server: Server
) -> None:
    both = [stanza("lib", "1", each, Multi_Arch="same") for each in ("amd64", "i386")]
    publish(server, "bookworm", {"amd64": both[:1], "i386": both[1:]})
    newer = [stanza("lib", "1+u1", each, Multi_Arch="same") for each in ("amd64", "i386")]
    publish(server, "bookworm-security", {"amd64": newer[:1], "i386": newer[1:]})
    for path in [path for path in server.pages if "security/main/binary-i386" in path]:
        del server.pages[path]
    publish_by_hash = [path for path in server.pages if "security/main/binary-i386" in path]
    assert not publish_by_hash
    # Both are of one version, or they could not be there together.
    assert names(site.resolve("lib", "lib:i386")) == ["lib 1", "lib:i386 1"]
    assert any("without bookworm-security for i386" in text for text in site.notices.texts)


def test_a_database_that_was_damaged_is_made_again(site: Site) -> None:
    before = site.resolve("a")
    (path,) = (f"{site.cache}/debian/{each}" for each in names_in(site.cache) if each.endswith(".sqlite"))
    with open(path, "r+b") as file:
        file.truncate(4096)
    assert not is_whole(path)
    assert site.resolve("a") == before
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))
    assert is_whole(path)
    assert site.resolve("a") == before


def test_many_at_once_make_a_database_once(site: Site, server: Server) -> None:
    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = list(pool.map(lambda _: site.resolve("a"), range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert len([each for each in server.seen if "/by-hash/" in each.path]) == 1


def test_databases_of_earlier_editions_go(site: Site, server: Server) -> None:
    site.resolve("b")
    publish(server, "bookworm", {"amd64": [stanza("b", "3")]}, date=DATE + timedelta(days=1))
    site.resolve("b")
    assert len([each for each in names_in(site.cache) if each.startswith("packages-")]) == 1


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (stanza("a", Filename="../../etc/passwd"), "lies outside the archive"),
        (stanza("a", Filename="/etc/passwd"), "lies outside the archive"),
        (stanza("a", SHA256="00"), "its name or its hash is none"),
        (stanza("a", Size="many"), "invalid literal"),
        (stanza("a", Provides="b c"), "no relation"),
        ("Package: a\n", "describes the package a wrongly"),
    ],
    ids=[
        "path above",
        "absolute path",
        "short hash",
        "size that is none",
        "relation that is none",
        "no fields",
    ],
)
def test_an_index_that_makes_no_sense_is_our_error(
    server: Server, make_site: MakeSite, index: str, message: str
) -> None:
    publish(server, "bookworm", {"amd64": [index]})
    with pytest.raises(DebianError, match=message):
        make_site(server.url + "/debian").resolve("a")


@pytest.mark.parametrize("field", ["Depends", "Conflicts"])
def test_a_relation_that_makes_no_sense_is_our_error(server: Server, make_site: MakeSite, field: str) -> None:
    publish(server, "bookworm", {"amd64": [stanza("a", **{field: "b c"}), stanza("d", Version="x y")]})
    site = make_site(server.url + "/debian")
    with pytest.raises(DevenvError, match="no relation"):
        site.resolve("a")
    with pytest.raises(DevenvError, match="no version"):
        site.resolve("d")


def test_an_index_larger_than_it_says_is_our_error(
    server: Server, make_site: MakeSite, tmp_path: Path
) -> None:
    from devenv.debian.suites import plain_chunks
    from devenv.formats.errors import FormatError

    bomb = tmp_path / "x.xz"
    bomb.write_bytes(lzma.compress(b"\0" * (8 << 20)))
    with pytest.raises(FormatError, match="larger than"):
        list(plain_chunks(str(bomb), 1000))


# Mirrors that are not there


def test_a_mirror_that_is_down_is_passed_over_for_the_next(
    server: Server, other_server: Server, make_site: MakeSite
) -> None:
    publish(other_server, "bookworm", PACKAGES)
    for path in (*other_server.pages,):
        server.page(path, b"", "status:503")
    site = make_site("http://127.0.0.1:9/debian", server.url + "/debian", other_server.url + "/debian")
    assert names(site.resolve("b")) == ["b 2", "base 1"]


def test_when_no_mirror_is_there_all_are_named(make_site: MakeSite) -> None:
    with pytest.raises(ArchiveError) as caught:
        make_site("http://127.0.0.1:9/one", "http://127.0.0.1:9/two").resolve("b")
    assert "9/one" in str(caught.value) and "9/two" in str(caught.value)
    assert "DEVENV_DEBIAN_MIRROR" in (caught.value.hint or "")


def test_a_mirror_that_was_silent_once_is_asked_last(
    server: Server, other_server: Server, make_site: MakeSite
) -> None:
    for suite in ("bookworm", "bookworm-updates", "bookworm-security"):
        publish(other_server, suite, PACKAGES if suite == "bookworm" else {"amd64": []})
    server.page(BELOW + "InRelease", b"", "status:503")
    make_site(server.url + "/debian", other_server.url + "/debian").resolve("b")
    assert [each.path for each in server.seen] == [BELOW + "InRelease"]


def test_a_suite_that_no_mirror_has_is_told_apart_from_mirrors_that_are_down(site: Site) -> None:
    with pytest.raises(MissingSuite, match="there is no suite bookwurm") as caught:
        site.resolve("b", base="debian/bookwurm")
    assert caught.value.hint


def test_where_nothing_says_where_the_archive_is_what_to_set_is_told(make_site: MakeSite) -> None:
    with pytest.raises(EndpointError) as caught:
        make_site().resolve("b", DEVENV_DEBIAN_MIRROR="", DEVENV_DEBIAN_SECURITY_MIRROR="")
    assert "DEVENV_DEBIAN_MIRROR" in (caught.value.hint or "")


def test_an_architecture_that_a_suite_lacks_is_told_with_those_it_has(site: Site) -> None:
    with pytest.raises(DebianError, match="'riscv64'") as caught:
        site.resolve("b:riscv64")
    assert "amd64" in (caught.value.hint or "")


def test_a_full_disk_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("devenv.debian.database.os.replace", full)
    with pytest.raises(DebianError, match="No space left on device") as caught:
        site.resolve("b")
    assert "free some space" in (caught.value.hint or "")
    assert not [each for each in names_in(site.cache) if "sqlite" in each]


def test_a_cache_that_cannot_be_written_to_is_told(site: Site) -> None:
    Path(site.cache).mkdir(exist_ok=True)
    Path(site.cache, "debian").write_text("")
    with pytest.raises(DebianError, match="writing"):
        site.resolve("b")


def test_a_keyring_that_is_none_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("x")
    with pytest.raises(DebianError, match="reading the keyring"):
        site.resolve("b", DEVENV_DEBIAN_KEYRING=str(tmp_path / "none"))
