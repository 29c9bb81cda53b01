"""The mirrors of Debian's archives: from devenv.toml, the environment, or what apt is configured for."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.fetch.apt_sources import apt_mirrors
from devenv.fetch.errors import EndpointError
from devenv.fetch.registries import Registries
from devenv.fetch.urls import with_slash, without_userinfo


class Archives:
    """Archives ("debian") by the settings of one project. `etc` is where apt's are."""

    def __init__(self, registries: Registries, environ: Mapping[str, str], etc: str) -> None:
        self._registries, self._environ, self._etc = registries, environ, etc

    def mirrors(self, archive: str, *, date: str = "") -> tuple[str, ...]:
        """The roots of an archive ("debian") in the order in which they are tried, each ending in "/".

        `date` ("20260110T100203Z") is put for "{date}" in those that keep the past; without it they are left out.
        Raises `EndpointError` where nothing says where the archive is.
        """
        found = []
        for url in self.urls(archive):
            if "{date}" not in url or date:
                plain = without_userinfo(url.replace("{date}", date))[0]
                found.append(self._registries.replaced(with_slash(plain)))
        if not found:
            raise EndpointError(
                f"Cannot tell where the archive {archive!r} is: no setting names a mirror of it, and apt is not "
                "configured for it on this machine.",
                hint=f'Set `{archive} = ["https://..."]` under [registries] in devenv.toml, '
                f"or {_mirror_variable(archive)}.",
            )
        return tuple(dict.fromkeys(found))

    def urls(self, archive: str) -> tuple[str, ...]:
        """The mirrors as settings name them, with logins, and "{date}" where they keep the past."""
        named = (
            self._registries.mirrors.get(archive) or self._environ.get(_mirror_variable(archive), "").split()
        )
        return tuple(named) or apt_mirrors(archive, self._etc)


def _mirror_variable(archive: str) -> str:
    return f"DEVENV_{archive.upper().replace('-', '_')}_MIRROR"
