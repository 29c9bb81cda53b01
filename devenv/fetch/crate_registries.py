"""The registries of crates: cargo's own default, what stands for others, and where their files are."""

from __future__ import annotations

import os
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
    from devenv.fetch.crates import CrateFiles


class CrateRegistries:
    """The registries that cargo would use in a project. `template` asks the one with an index where its files are."""

    def __init__(
        self,
        registries: Registries,
        *,
        project: str,
        environ: Mapping[str, str],
        cache: str,
        template: Callable[[str], CrateFiles] | None,
    ) -> None:
        self._registries, self._project, self._environ = registries, project, environ
        self._cache, self._template = cache, template
        self._files: dict[str, CrateFiles] = {}
        self._private: dict[str, str] = {}  # what URLs of a registry's files begin with -> its index

    @cached_property
    def settings(self) -> CargoConfig:
        """cargo's settings."""
        return CargoConfig(project=self._project, environ=self._environ)

    def settings_in(self, directory: str) -> CargoConfig:
        """cargo's settings for a directory of the project."""
        return CargoConfig(project=os.path.join(self._project, directory), environ=self._environ)

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
        if locked not in self._files:
            index = self.index(locked)
            found = self._files[locked] = self._template(index)
            if found.private:
                self._private[found.template.partition("{")[0]] = index
        return crate_url(self._files[locked].template, *parts)

    def token(self, url: str) -> dict[str, str]:
        """cargo's token, as a header, for a private registry's file, or what lies on the host of an index; `{}` for none.

        As with cargo, a registry may have its files on another host, which then gets the token. Of several on one host
        the one counts whose URL is most like this.
        """
        indexes = {
            index.removeprefix("registry+").removeprefix("sparse+"): index
            for index in self.settings.indexes()
        }
        of_host = {place for place in indexes if "://" in place and _is_same_host(place, url)}
        begins = {**{place: indexes[place] for place in of_host}, **self._private}
        for place in sorted(begins, key=lambda place: (not url.startswith(place), -len(place))):
            fits = url.startswith(place) or place in of_host
            if fits and (token := self.settings.token(begins[place], is_default=False)):
                return {"Authorization": token}
        return {}


def _is_same_host(one: str, other: str) -> bool:
    return not one.startswith("file:") and origin(one) == origin(other)
