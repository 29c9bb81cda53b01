"""R's own settings: which repositories `options(repos)` and RENV_CONFIG_REPOS_OVERRIDE name.

Files are those that R reads when it starts, the last counts: Rprofile.site, then the project's .Rprofile or else the
user's. They are programs; they are searched for the forms in which people write this setting, and never run:

    options(repos = c(CRAN = "https://..."))        options(repos = "https://...")
    r["CRAN"] <- "https://..."                      options(BioC_mirror = "https://...")

Source: ?Startup and ?options of R; renv's `config` for its variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property

# Names that renv takes for one and the same.
CRAN_NAMES = frozenset(("CRAN", "RSPM", "PPM", "P3M"))
BIOCONDUCTOR = "BioC_mirror"
_MAX_BYTES = 1 << 20
_SITES = ("R/Rprofile.site",)
_COMMENT = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|#[^\n]*""")
_URL = r"""["'](https?://[^"'\s]+)["']"""
_VECTOR = re.compile(r"\brepos\s*=\s*(?:c|list)\s*\(([^()]*)\)")
_ALONE = re.compile(rf"\brepos\s*=\s*{_URL}")
_PAIR = re.compile(rf"""["'`]?([A-Za-z][\w.]*)["'`]?\s*=\s*{_URL}""")
_INDEXED = re.compile(rf"""\[\[?\s*["']([A-Za-z][\w.]*)["']\s*\]\]?\s*(?:<-|=)\s*{_URL}""")
_MIRROR = re.compile(rf"\b{BIOCONDUCTOR}\s*=\s*{_URL}")


class RConfig:
    """The settings that hold in the directory `project`. Files that are missing are no error."""

    def __init__(self, *, project: str, environ: Mapping[str, str], etc: str = "/etc") -> None:
        self._project, self._environ, self._etc = project, environ, etc

    @property
    def override(self) -> str | None:
        """The repository that renv is told to use in place of those of a lock."""
        value = self._environ.get("RENV_CONFIG_REPOS_OVERRIDE", "").strip()
        return value if value.startswith(("https://", "http://")) else None

    @cached_property
    def repositories(self) -> Mapping[str, str]:
        """URLs by name; all names of CRAN are "CRAN"."""
        found: dict[str, str] = {}
        for text in self._texts():
            found |= settings(text)
        return found

    def _texts(self) -> Iterator[str]:
        environ = self._environ
        home = environ.get("HOME") or os.path.expanduser("~")
        own = os.path.join(self._project, ".Rprofile")
        user = environ.get("R_PROFILE_USER") or (own if os.path.isfile(own) else f"{home}/.Rprofile")
        sites = [environ["R_PROFILE"]] if environ.get("R_PROFILE") else [f"{self._etc}/{p}" for p in _SITES]
        # A project's own file seldom says it, and hides the user's.
        for path in dict.fromkeys((*sites, f"{home}/.Rprofile", user)):
            text = _read(path)
            if text is not None:
                yield text


def settings(text: str) -> dict[str, str]:
    """The repositories that a profile sets, by name. Pure."""
    plain = _COMMENT.sub(lambda match: match[1] or "", text)
    found: dict[str, str] = {}
    for match in _ALONE.finditer(plain):
        found["CRAN"] = match[1]
    for vector in _VECTOR.finditer(plain):
        found |= {_named(pair[1]): pair[2] for pair in _PAIR.finditer(vector[1])}
    found |= {_named(match[1]): match[2] for match in _INDEXED.finditer(plain)}
    mirrors = [match[1] for match in _MIRROR.finditer(plain)]
    return found | ({BIOCONDUCTOR: mirrors[-1]} if mirrors else {})


def _named(name: str) -> str:
    return "CRAN" if name in CRAN_NAMES else name


def _read(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
