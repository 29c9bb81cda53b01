"""What devenv.toml's [registries] says: where registries are, and which beginnings of URLs stand for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devenv.fetch.errors import EndpointError
from devenv.fetch.urls import split

_NAMES = frozenset({"npm", "pypi", "pypi-files", "crates", "cran", "bioconductor"})
_FAMILIES = ("npm+@", "cran+")  # with a name behind


class Registries:
    """`named`: URLs by the keys that `devenv.fetch.endpoints` lists; `mirrors`: those of archives, best first."""

    def __init__(
        self, registries: Mapping[str, str], mirrors: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Raises `EndpointError` for a key or a URL that means nothing."""
        prefixes = {key: value for key, value in registries.items() if "://" in key}
        self.named = {key: value for key, value in registries.items() if "://" not in key}
        self.mirrors = dict(mirrors or {})
        self._prefixes = sorted(prefixes.items(), key=lambda item: (-len(item[0]), item[0]))
        for key, value in registries.items():
            _check(key, value)

    def urls(self) -> list[str]:
        """Every URL that something is fetched from on behalf of these settings."""
        return [*self.named.values(), *(new for _, new in self._prefixes)]

    def replaced(self, url: str) -> str:
        """The URL to ask in place of this one; the longest beginning counts."""
        for old, new in self._prefixes:
            if url.startswith(old):
                return new + url[len(old) :]
        return url

    def original(self, url: str) -> str:
        """What `replaced` makes this URL of; itself where that is nothing."""
        for old, new in sorted(self._prefixes, key=lambda item: (-len(item[1]), item[0])):
            if url.startswith(new):
                original = old + url[len(new) :]
                if self.replaced(original) == url:
                    return original
        return url


def _check(key: str, value: str) -> None:
    if not (key in _NAMES or key.startswith(_FAMILIES) or "://" in key):
        raise EndpointError(
            f"Cannot use [registries] {key!r}: it is no registry that devenv knows.",
            hint='Known are npm, "npm+@scope", pypi, pypi-files, crates, cran, "cran+NAME", bioconductor, and the '
            "beginnings of URLs.",
        )
    try:
        split(value.removeprefix("sparse+") if key == "crates" else value)
    except EndpointError as error:
        raise EndpointError(f"Cannot use [registries] {key!r}: {error}") from error
