"""The mirrors that apt is configured for on this machine. After sources.list(5).

/etc/apt/sources.list and sources.list.d/*.list hold lines `deb [options] URI SUITE COMPONENT...`,
sources.list.d/*.sources hold stanzas with Types, URIs, Suites and Enabled. A mirror of one suite of an archive has the
others as well, so what is wanted of them is only where archives are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from devenv.fetch.errors import EndpointError
from devenv.fetch.urls import split
from devenv.formats.deb822 import parse
from devenv.formats.errors import FormatError

# Suites of Debian by name and by state. What an unknown one belongs to, nothing here can tell.
_SUITES = frozenset(
    {
        *("experimental", "oldoldstable", "oldstable", "rc-buggy", "sid", "stable", "testing", "unstable"),
        *("buster", "bullseye", "bookworm", "trixie", "forky", "duke"),
    }
)
_SECURITY = ("-security", "/updates")
_POCKETS = ("-updates", "-backports", "-backports-sloppy", "-proposed-updates")
_LIST_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)")
_MIRROR_FILE = "mirror+file:"

ARCHIVES = ("debian", "debian-security")


def apt_mirrors(archive: str, etc: str = "/etc") -> tuple[str, ...]:
    """URLs of an archive's roots ("debian", "debian-security") in the order of the files; none without apt."""
    found = [
        url
        for uri, suite in _entries(os.path.join(etc, "apt"))
        if _archive_of(suite) == archive
        for url in _urls(uri)
    ]
    return tuple(dict.fromkeys(url.rstrip("/") + "/" for url in found))


def _archive_of(suite: str) -> str | None:
    suite = suite.rstrip("/")
    for ending in _SECURITY:
        if suite.removesuffix(ending) in _SUITES and suite.endswith(ending):
            return "debian-security"
    plain = next((suite.removesuffix(pocket) for pocket in _POCKETS if suite.endswith(pocket)), suite)
    return "debian" if plain in _SUITES else None


def _entries(apt: str) -> Iterator[tuple[str, str]]:
    """(URI, suite) of everything that is switched on."""
    parts = os.path.join(apt, "sources.list.d")
    try:
        names = sorted(os.listdir(parts))
    except OSError:
        names = []
    for path in (os.path.join(apt, "sources.list"), *(os.path.join(parts, name) for name in names)):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        if path.endswith(".list"):
            yield from _list_entries(text)
        elif path.endswith(".sources"):
            yield from _stanza_entries(text)


def _list_entries(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        found = _LIST_LINE.match(line.strip())
        if found:
            yield found[1], found[2]


def _stanza_entries(text: str) -> Iterator[tuple[str, str]]:
    try:
        stanzas = parse(text)
    except FormatError:
        return  # apt itself tells whoever wrote the file
    for stanza in stanzas:
        off = stanza.get("enabled", "yes").lower() in ("no", "false", "without", "off", "disable")
        if off or "deb" not in stanza.get("types", "").split():
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield uri, suite


def _urls(uri: str) -> list[str]:
    if uri.startswith(_MIRROR_FILE):
        path = uri.removeprefix(_MIRROR_FILE)
        try:
            with open("/" + path.lstrip("/"), encoding="utf-8", errors="replace") as file:
                return [each for line in file for each in line.split()[:1] if _is_url(each)]
        except OSError:
            return []
    uri = re.sub(r"^file:/+", "file:///", uri)
    return [uri] if _is_url(uri) else []


def _is_url(text: str) -> bool:
    """Whether it is something to ask: apt knows ways that devenv does not, such as cdrom and tor."""
    try:
        split(text)
    except EndpointError:
        return False
    return True
