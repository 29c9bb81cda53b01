"""R's repositories: what settings say in place of what an renv.lock says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from urllib.parse import unquote

from devenv.fetch.errors import EndpointError
from devenv.fetch.r_config import BIOCONDUCTOR, CRAN_NAMES, RConfig
from devenv.fetch.registries import Registries
from devenv.fetch.urls import with_slash, without_userinfo

_CRAN, _BIOCONDUCTOR = "cran", "bioconductor"


class RRepositories:
    """The repositories of one project. `etc` is where the machine's settings of R are."""

    def __init__(self, registries: Registries, *, project: str, environ: Mapping[str, str], etc: str) -> None:
        self._registries, self._project, self._environ, self._etc = registries, project, environ, etc

    @cached_property
    def settings(self) -> RConfig:
        """R's own settings."""
        return RConfig(project=self._project, environ=self._environ, etc=self._etc)

    def files(self, kind: str, path: str) -> Iterator[str]:
        """Where a package's file can be: an older version lies in the repository's archive.

        `kind`, `path`: the parts of a URL as locks hold it, see `devenv.fetch.endpoints`. Raises `EndpointError`.
        """
        head, mark, name = path.rpartition("src/contrib/")
        package = name.partition("_")[0]
        for base in self._repositories(kind):
            yield self._registries.replaced(base + path)
            if mark and package and "/" not in name:
                yield self._registries.replaced(f"{base}{head}{mark}Archive/{package}/{name}")

    def _repositories(self, kind: str) -> tuple[str, ...]:
        """The roots of a repository, each ending in "/": what settings say in place of the lock's, else the lock's first."""
        if kind == _BIOCONDUCTOR:
            name, url = _BIOCONDUCTOR, ""
            found = [
                self._registries.named.get(_BIOCONDUCTOR) or self.settings.repositories.get(BIOCONDUCTOR)
            ]
        else:
            name, _, quoted_url = kind.partition("+")[2].partition("@")
            name, url = unquote(name), unquote(quoted_url)
            is_cran = name in CRAN_NAMES
            own = self._registries.named.get(f"{_CRAN}+{name}") or (
                self._registries.named.get(_CRAN) if is_cran else None
            )
            own = own or self.settings.override
            known = self.settings.repositories.get("CRAN" if is_cran else name)
            found = [own] if own else [url if "://" in url else None, known]
        urls = tuple(dict.fromkeys(with_slash(without_userinfo(each)[0]) for each in found if each))
        if not urls:
            key = _BIOCONDUCTOR if kind == _BIOCONDUCTOR else f'"{_CRAN}+{name}"' if not is_cran else _CRAN
            raise EndpointError(
                f"Cannot tell where the R repository {name!r} is: neither the lock nor R's settings say it.",
                hint=f'Set `{key} = "https://..."` under [registries] in devenv.toml.',
            )
        return urls
