"""Which packages have what is missing, in an archive of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.debian.suites import Places
from devenv.events import Reporter
from devenv.foreign.families import Family
from devenv.foreign.suppliers import RELEASES, Suppliers, base_for, newest, suits, version_of
from tests.debian.conftest import MakeSite, make_site  # noqa: F401  # a fixture
from tests.fetch.conftest import server  # noqa: F401  # a fixture
from tests.fetch.server import Server
from tests.support.archive import publish, stanza

LIBRARIES = """\
usr/bin/tool                               misc/tool-minimal
usr/games/game                             games/game
usr/lib/x86_64-linux-gnu/libGL.so.1        libs/libgl1
usr/lib/x86_64-linux-gnu/gl4es/libGL.so.1  libs/libgl4es0
usr/lib/x86_64-linux-gnu/libsystemd.so.0   libs/libelogind-compat,libs/libsystemd0
usr/lib/x86_64-linux-gnu/libnss3.so        libs/libnss3,libdevel/libnss3-dev
usr/lib/x86_64-linux-gnu/libicuuc.so.67    libs/libicu67
usr/lib/x86_64-linux-gnu/libicuuc.so.72    libs/libicu72
usr/lib/x86_64-linux-gnu/own/libprivate.so.1 libs/owner
lib/i386-linux-gnu/libwrong.so.1           libs/wrong
"""


@pytest.fixture
def suppliers(server: Server, make_site: MakeSite) -> Iterator[Suppliers]:  # noqa: F811
    packages = [stanza("tool"), stanza("tool-minimal"), stanza("libgl1"), stanza("data", architecture="all")]
    i386 = [stanza("libgl1", architecture="i386"), stanza("data", architecture="all")]
    contents = {"amd64": LIBRARIES, "i386": "usr/lib/i386-linux-gnu/libGL.so.1 libs/libgl1\n", "all": ""}
    for suite in ("bookworm", "bookworm-updates"):
        publish(server, suite, {"amd64": packages, "i386": i386}, contents=contents)
    site = make_site(f"{server.url}/debian/")
    places = Places(site.client(), site.cache, Reporter())
    with Suppliers(places, "debian/bookworm", machine="amd64", max_age=0) as opened:
        yield opened


@pytest.mark.parametrize(
    ("soname", "package"),
    [
        ("libGL.so.1", "libgl1"),
        ("libsystemd.so.0", "libsystemd0"),
        ("libnss3.so", "libnss3"),
        ("libprivate.so.1", "owner"),
        ("libwrong.so.1", None),
        ("libnowhere.so.1", None),
        ("lib*.so.1", None),
    ],
)
def test_a_library_leads_to_its_package(suppliers: Suppliers, soname: str, package: str | None) -> None:
    assert suppliers.library(soname, "amd64") == package


def test_libraries_of_other_architectures_have_indices_of_their_own(suppliers: Suppliers) -> None:
    assert suppliers.library("libGL.so.1", "i386") == "libgl1"
    assert suppliers.qualified("libgl1", "i386") == "libgl1:i386"
    assert suppliers.qualified("data", "i386") == "data"
    assert suppliers.qualified("nothing", "i386") is None


def test_of_several_versions_the_newest_is_taken(suppliers: Suppliers) -> None:
    assert suppliers.newest_library(Family("libicuuc.so.*"), "amd64") == "libicu72"
    assert suppliers.newest_library(Family("libicuuc.so.*", (70,)), "amd64") == "libicu67"
    assert suppliers.newest_library(Family("libicuuc.so.*", (60,)), "amd64") is None


def test_a_program_leads_to_the_whole_package(suppliers: Suppliers) -> None:
    assert suppliers.program("tool", "amd64") == "tool"
    assert suppliers.program("game", "amd64") == "game"
    assert suppliers.program("other", "amd64") is None


def test_without_an_archive_nothing_is_known_and_it_is_said(make_site: MakeSite) -> None:  # noqa: F811
    site = make_site("http://127.0.0.1:9/debian/")
    places = Places(site.client(), site.cache, Reporter())
    with Suppliers(places, "debian/bookworm", machine="amd64", max_age=0) as opened:
        assert opened.library("libGL.so.1", "amd64") is None
        assert opened.problems


@pytest.mark.parametrize(
    ("versions", "base"),
    [
        (["GLIBC_2.17"], "debian/bookworm"),
        (["GLIBC_2.36", "GLIBCXX_3.4.30"], "debian/bookworm"),
        (["GLIBC_2.38"], "debian/trixie"),
        (["GLIBCXX_3.4.32"], "debian/trixie"),
        (["GLIBC_2.99"], "debian/sid"),
        (["GLIBC_PRIVATE", "OTHER_9"], "debian/bookworm"),
    ],
)
def test_the_newest_version_decides_the_base(versions: list[str], base: str) -> None:
    assert base_for(newest(versions), "debian/bookworm") == base


@given(st.lists(st.from_regex(r"(GLIBC|GLIBCXX|CXXABI)_[0-9]{1,2}(\.[0-9]{1,2}){1,2}", fullmatch=True)))
def test_the_chosen_base_suits(versions: list[str]) -> None:
    for preferred, _ in RELEASES:
        assert suits(base_for(newest(versions), preferred), newest(versions))


@given(st.text(max_size=40))
def test_any_text_may_be_a_version(text: str) -> None:
    found = version_of(text)
    assert found is None or all(part >= 0 for part in found[1])
