"""Which package has a file; and packages by words, and toolchains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from devenv.debian.base import OpenBase, open_base
from devenv.debian.browse import describe, search
from devenv.debian.contents import Contents, find_file, open_contents
from devenv.debian.default import STABLE, default_base
from devenv.debian.errors import DebianError, UnknownPackage
from devenv.debian.family import parse_base
from devenv.debian.suites import Places
from devenv.debian.toolchains import find_toolchain, toolchains, upstream
from tests.debian.conftest import MakeSite, Site
from tests.fetch.server import Server
from tests.support.archive import DATE, publish, stanza

AMD64 = """\
bin/sh                                     shells/dash
usr/bin/convert                            graphics/compat
usr/bin/convert-im6.q16                    graphics/imagemagick-6.q16
usr/bin/convert-ly                         doc/lilypond
usr/bin/gdalinfo\tscience/gdal-bin
usr/bin/with a blank                       misc/odd
usr/include/gdal/gdal.h                    libdevel/libgdal-dev
usr/lib/postgresql/15/bin/initdb           database/postgresql-15
lib/x86_64-linux-gnu/libz.so.1             libs/zlib1g
usr/lib/x86_64-linux-gnu/libGL.so.1        libs/libgl1
usr/lib/x86_64-linux-gnu/libGL.so.1.7.0    libs/libgl1
usr/lib/x86_64-linux-gnu/nvidia/libGL.so.1 non-free/libs/nvidia,non-free/libs/nvidia-legacy
usr/lib/x86_64-linux-gnu/pkgconfig/gl.pc   libdevel/libgl-dev
usr/share/doc/libgl1/copyright             libs/libgl1
"""
ALL = """\
usr/share/doc/a/changelog.gz               doc/a
usr/share/doc/b/changelog.gz               doc/b
usr/share/pkgconfig/icons.pc               gnome/icons
usr/games/fortune                          games/fortune
"""


@pytest.fixture
def site(server: Server, make_site: MakeSite) -> Site:
    publish(server, "bookworm", {"amd64": [stanza("a")]}, contents={"amd64": AMD64, "all": ALL})
    return make_site(server.url + "/debian")


@pytest.fixture
def contents(site: Site) -> Iterator[Contents]:
    places = Places(site.client(), site.cache, site.notices)
    with open_contents(places, parse_base("debian/bookworm"), "amd64") as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gdalinfo", ["gdal-bin /usr/bin/gdalinfo"]),
        ("bin/gdalinfo", ["gdal-bin /usr/bin/gdalinfo"]),
        ("/usr/bin/gdalinfo", ["gdal-bin /usr/bin/gdalinfo"]),
        ("/bin/gdalinfo", ["gdal-bin /usr/bin/gdalinfo"]),
        ("usr/bin/gdalinfo", ["gdal-bin /usr/bin/gdalinfo"]),
        ("/bin/sh", ["dash /usr/bin/sh"]),
        ("libz.so.1", ["zlib1g /usr/lib/x86_64-linux-gnu/libz.so.1"]),
        (
            "libGL.so.1",
            [
                "libgl1 /usr/lib/x86_64-linux-gnu/libGL.so.1",
                "nvidia /usr/lib/x86_64-linux-gnu/nvidia/libGL.so.1",
                "nvidia-legacy /usr/lib/x86_64-linux-gnu/nvidia/libGL.so.1",
            ],
        ),
        (
            "libGL.so.1*7*",
            ["libgl1 /usr/lib/x86_64-linux-gnu/libGL.so.1.7.0"],
        ),
        ("gdal/gdal.h", ["libgdal-dev /usr/include/gdal/gdal.h"]),
        ("initdb", ["postgresql-15 /usr/lib/postgresql/15/bin/initdb"]),
        ("gl.pc", ["libgl-dev /usr/lib/x86_64-linux-gnu/pkgconfig/gl.pc"]),
        ("icons.pc", ["icons /usr/share/pkgconfig/icons.pc"]),
        ("fortune", ["fortune /usr/games/fortune"]),
        ("with a blank", ["odd /usr/bin/with a blank"]),
        ("copyright", []),
        ("in/gdalinfo", []),
        ("/bin/convert/", []),
        ("", []),
        ("/", []),
        ("100%", []),
        ("'; DROP TABLE file", []),
    ],
)
def test_files_are_found(contents: Contents, name: str, found: list[str]) -> None:
    assert [f"{each.package} {each.path}" for each in contents.find(name)] == found


def test_programs_of_the_alternatives_system_are_found_by_their_plain_name(contents: Contents) -> None:
    assert [each.package for each in contents.variants("bin/convert")] == ["imagemagick-6.q16"]
    assert contents.variants("[") == []


@pytest.mark.parametrize(
    ("name", "similar"),
    [("convrt", ("convert",)), ("libGL.so", ("libGL.so.1", "libGL.so.1.7.0")), ("zzzzzz", ()), ("", ())],
)
def test_names_that_may_have_been_meant_are_told(
    contents: Contents, name: str, similar: tuple[str, ...]
) -> None:
    assert contents.similar(name) == similar


def test_the_index_says_how_much_it_is_once(site: Site) -> None:
    for _ in range(2):
        find_file("debian/bookworm", "sh", cache_dir=site.cache, events=site.notices, client=site.client())
    told = [text for text in site.notices.texts if "indexed" in text]
    assert [text.partition(" in ")[0] for text in told] == [
        "indexed 14 files of bookworm (main/Contents-amd64)",
        "indexed 2 files of bookworm (main/Contents-all)",
    ]
    assert all(re.search(r" in \d+\.\d s; the index takes 0\.0 MB$", text) for text in told)


def test_a_base_without_contents_says_so(server: Server, make_site: MakeSite) -> None:
    publish(server, "bookworm", {"amd64": [stanza("a")]})
    site = make_site(server.url + "/debian")
    with pytest.raises(DebianError, match="which files it has"):
        find_file("debian/bookworm", "sh", cache_dir=site.cache, events=site.notices, client=site.client())


def test_an_answer_that_cannot_be_renewed_is_still_an_answer(site: Site, server: Server) -> None:
    def find() -> list[str]:
        client = site.client()
        found = find_file(
            "debian/bookworm",
            "gdalinfo",
            cache_dir=site.cache,
            events=site.notices,
            client=client,
            max_age=1e-9,
        )
        return [each.package for each in found]

    assert find() == ["gdal-bin"]
    for page in server.pages.values():
        page.tricks = ["status:503"]
    assert find() == ["gdal-bin"]
    assert any("going on with the bookworm of" in text for text in site.notices.texts)


# Packages by words

PACKAGES = [
    stanza("gdal-bin", Description="Geospatial Data Abstraction Library - Utility programs"),
    stanza("libgdal-dev", Description="Geospatial Data Abstraction Library - Development files"),
    stanza("gdal-doc", Description="Documentation of gdal"),
    stanza("qgis", Description="Geographic information system that uses gdal"),
    stanza("g++", Description="GNU C++ compiler"),
    stanza("gobjc++", Description="GNU Objective-C++ compiler"),
    stanza("under_score".replace("_", "-"), Description="100% of it"),
    stanza("python3.13", "3.13.5-2"),
    stanza("python3.13-venv", "3.13.5-2"),
    stanza("python3.9", "3.9.2-1"),
    stanza("python3", "3.13.5-1"),
    stanza("nodejs", "20.19.2+dfsg-1"),
]


@pytest.fixture
def opened(server: Server, make_site: MakeSite) -> Iterator[OpenBase]:
    publish(server, "bookworm", {"amd64": PACKAGES})
    publish(
        server,
        "bookworm-security",
        {"amd64": [stanza("qgis", "1+deb12u1", Description="uses gdal, repaired")]},
    )
    site = make_site(server.url + "/debian")
    places = Places(site.client(), site.cache, site.notices)
    with open_base(places, parse_base("debian/bookworm"), architectures=["amd64"]) as found:
        yield found


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["gdal"], ["gdal-bin", "libgdal-dev", "gdal-doc", "qgis"]),
        (["GDAL", "GeoSpatial"], ["gdal-bin", "libgdal-dev"]),
        (["c++", "compiler"], ["g++", "gobjc++"]),
        (["libgdal-dev"], ["libgdal-dev"]),
        (["0% of"], ["under-score"]),
    ],
)
def test_packages_are_found_by_words_the_likeliest_first(
    opened: OpenBase, words: list[str], names: list[str]
) -> None:
    assert [match.details.package.name for match in search(opened, words)] == names


def test_of_each_name_the_latest_version_is_found(opened: OpenBase) -> None:
    (match,) = search(opened, ["qgis"])
    assert (match.details.package.version, match.suite) == ("1+deb12u1", "bookworm-security")
    assert [each.details.package.version for each in describe(opened, "qgis", "amd64")] == ["1+deb12u1", "1"]


def test_words_that_nothing_has_get_suggestions(opened: OpenBase) -> None:
    with pytest.raises(UnknownPackage) as caught:
        search(opened, ["gdla"])
    assert "gdal" in caught.value.suggestions
    with pytest.raises(UnknownPackage) as caught:
        describe(opened, "gdal-bni", "amd64")
    assert caught.value.suggestions == ("gdal-bin",)


def test_toolchains_of_a_base_are_told_with_their_packages(opened: OpenBase) -> None:
    assert [(each.name, each.version, each.packages) for each in toolchains(opened)] == [
        ("python", "3.13.5", ("python3.13", "python3.13-venv")),
        ("python", "3.9.2", ("python3.9",)),
        ("node", "20.19.2", ("nodejs", "npm")),
    ]


@pytest.mark.parametrize(
    ("request_", "version"),
    [("3.13", "3.13.5"), ("3.13.5", "3.13.5"), ("3", "3.13.5"), ("3.1", None), ("3.11", None)],
)
def test_a_toolchain_is_found_by_the_beginning_of_its_version(
    opened: OpenBase, request_: str, version: str | None
) -> None:
    found = find_toolchain(opened, "python", request_)
    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    ("version", "plain"),
    [("1:3.11.2-1+b1", "3.11.2"), ("20.19.2+dfsg-1", "20.19.2"), ("4.2", "4.2"), ("x-1", "x")],
)
def test_the_upstream_version_is_what_the_program_itself_says(version: str, plain: str) -> None:
    assert upstream(version) == plain


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "debian/bookworm"),
        ('ID="debian"\nVERSION_CODENAME="trixie"\n', "debian/trixie"),
        ("ID=debian\n", STABLE),
        ("ID=fedora\nVERSION_CODENAME=x\n", STABLE),
        (None, STABLE),
    ],
)
def test_the_machine_s_own_distribution_is_meant_where_none_is_named(
    tmp_path: Path, text: str | None, base: str
) -> None:
    if text is not None:
        (tmp_path / "os-release").write_text(text)
    assert default_base(None, str(tmp_path)) == base
    assert default_base("debian/sid", str(tmp_path)) == "debian/sid"


def test_contents_of_a_new_edition_take_the_place_of_the_old(site: Site, server: Server) -> None:
    def find(name: str) -> list[str]:
        client = site.client()
        found = find_file(
            "debian/bookworm", name, cache_dir=site.cache, events=site.notices, client=client, max_age=0
        )
        return [each.package for each in found]

    assert find("sh") == ["dash"]
    later = DATE + timedelta(days=1)
    publish(
        server,
        "bookworm",
        {"amd64": [stanza("a")]},
        contents={"amd64": "usr/bin/sh shells/bash\n"},
        date=later,
    )
    assert find("sh") == ["bash"]
