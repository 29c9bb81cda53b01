"""The registries of crates: cargo's own default, what stands for others, and where their files are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from devenv.fetch.cargo_config import CargoConfig
from devenv.fetch.errors import EndpointError
from devenv.fetch.registries import Registries
from devenv.fetch.urls import origin, shown

if TYPE_CHECKING:
    from devenv.fetch.cargo_default import DefaultRegistry


class CrateRegistries:
    """The registries that cargo would use in a project. `template` asks the one with an index where its files are."""

    def __init__(
        self,
        registries: Registries,
        *,
        project: str,
        environ: Mapping[str, str],
        cache: str,
        template: Callable[[str], str] | None,
    ) -> None:
        self._registries, self._project, self._environ = registries, project, environ
        self._cache, self._template = cache, template
        self._templates: dict[str, str] = {}

    @cached_property
    def settings(self) -> CargoConfig:
        """cargo's settings."""
        return CargoConfig(project=self._project, environ=self._environ)

    def assume_default(self, found: DefaultRegistry) -> None:
        """Take this for cargo's default registry, without asking the cargo on PATH."""
        self.__dict__["default"] = found

    @cached_property
    def default(self) -> DefaultRegistry:
        """cargo's own default registry."""
        from devenv.fetch.cargo_default import default_registry

        return default_registry(environ=self._environ, cache=self._cache)

    def index(self, locked: str) -> str:
        """The index to ask where a Cargo.lock names `locked`: "sparse+<URL>", or the URL of a git repository."""
        is_default = locked == self.default.locked
        if is_default and "crates" in self._registries.named:
            named = self._registries.named["crates"]
            return named if named.startswith("sparse+") else f"sparse+{named}"
        found = self.settings.replaced(locked, is_default=is_default).removeprefix("registry+")
        return f"sparse+{self.default.sparse}" if found == self.default.locked else found

    def file(self, kind: str, path: str) -> str:
        """The URL of a crate; `kind` and `path` as in a lock. Raises `EndpointError`."""
        from devenv.fetch.crates import crate_url

        locked, parts = unquote(kind.partition("+")[2]), path.split("/")
        if len(parts) != 3 or self._template is None:
            raise EndpointError(f"Cannot use the URL {shown(f'{kind}:{path}')!r}: it names no crate.")
        if locked not in self._templates:
            self._templates[locked] = self._template(self.index(locked))
        return crate_url(self._templates[locked], *parts)

    def token(self, url: str) -> dict[str, str]:
        """cargo's token, as a header, for a registry whose index lies on the URL's host; `{}` for none."""
        for index in self.settings.indexes():
            place = index.removeprefix("sparse+").removeprefix("registry+")
            if "://" in place and origin(place) == origin(url):
                token = self.settings.token(index, is_default=False)
                return {"Authorization": token} if token else {}
        return {}
