"""Python's package indexes, as devenv.toml, pip's and uv's settings say, or pip's own default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType

from devenv.fetch.errors import EndpointError
from devenv.fetch.pip_config import PipConfig, load_pip_config
from devenv.fetch.registries import Registries
from devenv.fetch.urls import parent, with_slash, without_userinfo


class PythonIndexes:
    """The indexes of one project. `etc` is where the machine's settings of pip are."""

    def __init__(self, registries: Registries, *, project: str, environ: Mapping[str, str], etc: str) -> None:
        self._registries, self._project, self._environ, self._etc = registries, project, environ, etc

    @cached_property
    def settings(self) -> PipConfig:
        """pip's and uv's settings."""
        return load_pip_config(project=self._project, environ=self._environ, etc=self._etc)

    @cached_property
    def _pip_default(self) -> ModuleType:
        return _installed_pip_index()

    def urls(self) -> tuple[str, ...]:
        """Simple-API URLs in the order in which they are asked, none where pip must not use an index."""
        if "pypi" in self._registries.named:
            return (self._registries.replaced(self._registries.named["pypi"]),)
        if self.settings.no_index:
            return ()
        urls = dict.fromkeys((self._main_index(), *self.settings.extra_index_urls))
        return tuple(self._registries.replaced(without_userinfo(url)[0]) for url in urls)

    def _main_index(self) -> str:
        named = self._registries.named.get("pypi") or self.settings.index_url
        return named or str(self._pip_default.PyPI.simple_url)

    def base(self) -> str:
        """What holds the first index, ending in "/"."""
        return parent(without_userinfo(self._main_index())[0])

    def files_base(self) -> str:
        """The host of the files of pip's default index, ending in "/". Raises `EndpointError` without pip."""
        named = self._registries.named.get("pypi-files")
        if named:
            return with_slash(named)
        return f"https://{self._pip_default.PyPI.file_storage_domain}/"


def _installed_pip_index() -> ModuleType:
    """pip's own module that names its index, loaded without the rest of pip."""
    import importlib.util

    try:
        package = importlib.util.find_spec("pip")
        folder = (package.submodule_search_locations or [""])[0] if package else ""
        path = os.path.join(folder, "_internal/models/index.py")
        spec = importlib.util.spec_from_file_location("devenv._pip_index", path)
        if spec is None or spec.loader is None:
            raise ImportError("no loader")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not (module.PyPI.simple_url and module.PyPI.file_storage_domain):
            raise ImportError("no index")
    except (ImportError, OSError, AttributeError) as error:
        raise EndpointError(
            "Cannot tell which Python index to ask: no setting names one, and pip, whose default "
            "would hold, is not installed beside devenv.",
            hint='Install pip, or set `index-url` in pip.conf or `pypi = "https://..."` under [registries].',
        ) from error
    return module
