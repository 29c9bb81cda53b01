"""Mirrors as apt is told them, and as devenv is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv.fetch.apt_sources import apt_mirrors
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError

# name: (files below /etc/apt, mirrors of debian, mirrors of debian-security)
CASES: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "one-line style": (
        {
            "sources.list": "# deb https://old.test/debian bookworm main\n"
            "deb https://a.test/debian bookworm main\n"
            "deb [arch=amd64 signed-by=/x.gpg] https://a.test/debian/ bookworm-updates main contrib\n"
            "deb-src https://src.test/debian bookworm main\n"
            "deb https://sec.test/debian-security bookworm-security main\n"
        },
        ["https://a.test/debian/"],
        ["https://sec.test/debian-security/"],
    ),
    "deb822 style": (
        {
            "sources.list.d/debian.sources": "Types: deb deb-src\nURIs: https://a.test/d https://b.test/d\n"
            "Suites: trixie trixie-updates\nComponents: main\n\n"
            "Types: deb\nURIs: https://s.test/s\nSuites: trixie-security\n\n"
            "Types: deb\nURIs: https://off.test/\nSuites: trixie\nEnabled: no\n\n"
            "Types: deb-src\nURIs: https://src.test/\nSuites: trixie\n"
        },
        ["https://a.test/d/", "https://b.test/d/"],
        ["https://s.test/s/"],
    ),
    "archives of others": (
        {
            "sources.list.d/node.list": "deb https://node.test/ nodistro main\n",
            "sources.list.d/cloud.list": "deb https://cloud.test/apt cloud-sdk-bookworm main\n",
            "sources.list.d/notes.txt": "deb https://a.test/debian bookworm main\n",
        },
        [],
        [],
    ),
    "old name of security": (
        {"sources.list": "deb https://s.test/ bullseye/updates main\n"},
        [],
        ["https://s.test/"],
    ),
    "ways that devenv does not know": (
        {
            "sources.list": "deb cdrom:[Debian]/ bookworm main\ndeb tor+http://x.test/ bookworm main\n"
            "deb http://[::1 bookworm main\ndeb file:/srv/mirror bookworm main\n"
        },
        ["file:///srv/mirror/"],
        [],
    ),
    "damaged": ({"sources.list.d/x.sources": " no field\n", "sources.list": "\xff\n"}, [], []),
    "nothing": ({}, [], []),
}


def write(etc: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = etc / "apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")


@pytest.mark.parametrize("name", CASES)
def test_mirrors_are_read_from_apt_s_sources(tmp_path: Path, name: str) -> None:
    files, debian, security = CASES[name]
    write(tmp_path, files)
    assert list(apt_mirrors("debian", str(tmp_path))) == debian
    assert list(apt_mirrors("debian-security", str(tmp_path))) == security


def test_a_file_of_mirrors_is_read(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("https://a.test/debian\tpriority:1\nhttps://b.test/debian\n\n")
    write(tmp_path, {"sources.list": f"deb mirror+file:{mirrors} bookworm main\n"})
    assert apt_mirrors("debian", str(tmp_path)) == ("https://a.test/debian/", "https://b.test/debian/")


def endpoints(
    tmp_path: Path, environ: Mapping[str, str], mirrors: Mapping[str, list[str]] | None = None
) -> Endpoints:
    return Endpoints.load(
        project=str(tmp_path),
        environ={"HOME": str(tmp_path), **environ},
        registries={},
        cache=str(tmp_path),
        etc=str(tmp_path),
        mirrors=mirrors,
    )


def test_the_project_comes_before_the_environment_and_that_before_apt(tmp_path: Path) -> None:
    write(tmp_path, {"sources.list": "deb https://apt.test/debian bookworm main\n"})
    environ = {"DEVENV_DEBIAN_MIRROR": "https://one.test/debian https://two.test/debian/"}
    assert endpoints(tmp_path, {}).archives.mirrors("debian") == ("https://apt.test/debian/",)
    assert endpoints(tmp_path, environ).archives.mirrors("debian") == (
        "https://one.test/debian/",
        "https://two.test/debian/",
    )
    named = {"debian": ["https://own.test/debian"]}
    assert endpoints(tmp_path, environ, named).archives.mirrors("debian") == ("https://own.test/debian/",)


def test_without_any_mirror_what_to_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(EndpointError) as caught:
        endpoints(tmp_path, {}).archives.mirrors("debian-security")
    assert "DEVENV_DEBIAN_SECURITY_MIRROR" in (caught.value.hint or "")


def test_archives_of_the_past_are_asked_for_a_moment(tmp_path: Path) -> None:
    found = endpoints(tmp_path, {"DEVENV_DEBIAN_MIRROR": "https://a.test/ https://past.test/{date}/"})
    assert found.archives.mirrors("debian") == ("https://a.test/",)
    assert found.archives.mirrors("debian", date="20260110T100203Z") == (
        "https://a.test/",
        "https://past.test/20260110T100203Z/",
    )


def test_a_relative_url_leads_to_every_mirror(tmp_path: Path) -> None:
    found = endpoints(tmp_path, {"DEVENV_DEBIAN_MIRROR": "https://a.test/ https://b.test/x/"})
    assert found.candidates("debian:pool/a.deb") == (
        "https://a.test/pool/a.deb",
        "https://b.test/x/pool/a.deb",
    )
    assert found.absolute("debian:pool/a.deb") == "https://a.test/pool/a.deb"
    assert found.candidates("https://c.test/x") == ("https://c.test/x",)


def test_a_login_in_a_mirror_s_url_is_sent_and_not_shown(tmp_path: Path) -> None:
    found = endpoints(tmp_path, {"DEVENV_DEBIAN_MIRROR": "https://me:secret@a.test/debian"})
    (mirror,) = found.archives.mirrors("debian")
    assert mirror == "https://a.test/debian/"
    assert found.credentials(mirror + "x")["Authorization"].startswith("Basic ")
    assert found.credentials("https://other.test/x") == {}
