"""Where registries are, as the ecosystems' own settings say; devenv's code names none.

A lock file must not depend on the mirror of whoever wrote it, so URLs inside a registry are written
relative to it:

    npm:<path>           below the npm registry            npm:express/-/express-4.0.0.tgz
    npm+@scope:<path>    below the registry of a scope     npm+@corp:@corp/x/-/x-1.0.0.tgz
    pypi:<path>          below what holds the simple index (the index URL without its last part)
    pypi-files:<path>    on the host where pip's default index keeps its files
    crates+<index, quoted>:<name>/<version>/<sha256>      as the registry with this index, or what stands for it, keeps it
    cran+<name>@<url, quoted>:<path>  in an R repository of that name, which a lock says is at url (either may be empty)
    bioconductor:<path>  in Bioconductor, as R's settings name it
    project:<path>       a file of the project itself
    debian:<path>        in a Debian archive             debian:pool/main/h/hello/hello_2.10-3_amd64.deb
    debian-security:<path>   in the archive of its security fixes

`[registries]` of devenv.toml overrides: keys `npm`, `npm+@scope`, `pypi`, `pypi-files`, `cran`, `cran+NAME`, `bioconductor` and
`crates` name the registry itself, the last by its index; any other key is the beginning of URLs and its value what replaces it. Archives have
mirrors, any number of them: `debian` and `debian-security` there, else DEVENV_DEBIAN_MIRROR and
DEVENV_DEBIAN_SECURITY_MIRROR (URLs with blanks between), else what apt is configured for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from devenv.fetch.apt_sources import ARCHIVES
from devenv.fetch.errors import EndpointError
from devenv.fetch.registries import Registries
from devenv.fetch.urls import parsed, shown, split, without_userinfo

if TYPE_CHECKING:
    from devenv.fetch.archives import Archives
    from devenv.fetch.crate_registries import CrateRegistries
    from devenv.fetch.crates import CrateFiles
    from devenv.fetch.credentials import Credentials
    from devenv.fetch.npm_registries import NpmRegistries
    from devenv.fetch.npmrc import MayTell
    from devenv.fetch.python_indexes import PythonIndexes
    from devenv.fetch.r_repositories import RRepositories

_PACKAGES = (".whl", ".tar.gz", ".zip")


class WheelText(Protocol):
    """Gives npm's definitions out of the newest wheel of `package`, None where it has none."""

    def __call__(self, endpoints: Endpoints, package: str) -> str | None: ...


class CrateTemplate(Protocol):
    """Asks the crate registry with this index where its files are."""

    def __call__(self, endpoints: Endpoints, index: str) -> CrateFiles: ...


class Endpoints:
    """Registries, credentials and certificates of one project. Cheap to make; all else is lazy."""

    def __init__(
        self,
        *,
        project: str,
        environ: Mapping[str, str],
        registries: Mapping[str, str],
        cache: str,
        wheel_text: WheelText,
        crate_template: CrateTemplate | None = None,
        etc: str = "/etc",
        mirrors: Mapping[str, Sequence[str]] | None = None,
        may_tell: MayTell | None = None,
    ) -> None:
        """Raises `EndpointError` for `registries` that mean nothing."""
        self._project, self._environ, self._cache, self._etc = project, environ, cache, etc
        self._wheel_text, self._crate_template, self._may_tell = wheel_text, crate_template, may_tell
        self._registries = Registries(registries, mirrors)

    @classmethod
    def load(
        cls,
        *,
        project: str,
        environ: Mapping[str, str],
        registries: Mapping[str, str],
        cache: str,
        offline: bool = False,
        etc: str = "/etc",
        mirrors: Mapping[str, Sequence[str]] | None = None,
        may_tell: MayTell | None = None,
    ) -> Endpoints:
        """Endpoints for `project`. `cache` is a directory; `offline` forbids even looking up defaults.

        `mirrors`: URLs by archive ("debian"), from the same table as `registries`. `may_tell`: which settings of the
        project's .npmrc may hand variables of the user's to hosts that only the project names; None for all.
        """

        def wheel_text(endpoints: Endpoints, package: str) -> str | None:
            from devenv.fetch.python_index import npm_definitions_in_wheel

            return npm_definitions_in_wheel(endpoints, package, cache=cache, offline=offline)

        def crate_template(endpoints: Endpoints, index: str) -> CrateFiles:
            from devenv.fetch.crates import index_template

            return index_template(endpoints, index, offline=offline)

        return cls(
            project=project,
            environ=environ,
            registries=registries,
            cache=cache,
            wheel_text=wheel_text,
            crate_template=crate_template,
            etc=etc,
            mirrors=mirrors,
            may_tell=may_tell,
        )

    # Each ecosystem's registries; a project of one kind loads nothing for the others.

    @cached_property
    def archives(self) -> Archives:
        """Debian's archives."""
        from devenv.fetch.archives import Archives

        return Archives(self._registries, self._environ, self._etc)

    @cached_property
    def npm(self) -> NpmRegistries:
        """npm's registries."""
        from devenv.fetch.npm_registries import NpmRegistries

        return NpmRegistries(
            self._registries,
            project=self._project,
            environ=self._environ,
            cache=self._cache,
            from_wheel=lambda package: self._wheel_text(self, package),
            may_tell=self._may_tell,
        )

    @cached_property
    def python(self) -> PythonIndexes:
        """Python's indexes."""
        from devenv.fetch.python_indexes import PythonIndexes

        return PythonIndexes(self._registries, project=self._project, environ=self._environ, etc=self._etc)

    @cached_property
    def r(self) -> RRepositories:
        """R's repositories."""
        from devenv.fetch.r_repositories import RRepositories

        return RRepositories(self._registries, project=self._project, environ=self._environ, etc=self._etc)

    @cached_property
    def crates(self) -> CrateRegistries:
        """Registries of crates."""
        from devenv.fetch.crate_registries import CrateRegistries

        template = self._crate_template
        return CrateRegistries(
            self._registries,
            project=self._project,
            environ=self._environ,
            cache=self._cache,
            template=None if template is None else lambda index: template(self, index),
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that the settings were read from."""
        return self._environ

    @property
    def cache(self) -> str:
        """The directory where answers may be kept."""
        return self._cache

    def candidates(self, url: str) -> tuple[str, ...]:
        """All URLs to try, in this order, for one that may be relative: several for a file of an archive."""
        archive, _, path = url.partition(":")
        if archive in ARCHIVES:
            return tuple(mirror + path for mirror in self.archives.mirrors(archive))
        if _is_of_r(archive):
            return tuple(self.r.files(archive, path))
        return (self.absolute(url),)

    def absolute(self, url: str) -> str:
        """The URL to request. Raises `EndpointError` for a form or a scheme that does not exist."""
        kind, mark, path = url.partition(":")
        is_relative = mark and not path.startswith("//")
        if kind.startswith("crates+"):
            url = self.crates.file(kind, path)
        elif _is_of_r(kind):
            url = next(self.r.files(kind, path))
        elif kind == "project":
            url = self._project_file(path)
        else:
            url = self._base(kind, url) + path if is_relative else self.npm.host_replaced(url)
        url = self._registries.replaced(url)
        split(url)
        return url

    def _project_file(self, path: str) -> str:
        """A file of the project as a URL. Links that lead out of it are followed nowhere.

        A lockfile may name packages beside the project, as it may by an absolute path; what else lies there is not its.
        """
        root = os.path.realpath(self._project)
        real = os.path.realpath(os.path.join(root, path))
        if os.path.normpath(path).startswith("../") and real.endswith(_PACKAGES):
            return f"file://{quote(real)}"
        if not real.startswith(f"{root}/"):
            raise EndpointError(f"Cannot use {path!r}: it is not in the project.")
        return f"file://{quote(real)}"

    def _base(self, kind: str, url: str) -> str:
        if kind == "npm":
            return self.npm.configured(None) or self.npm.default
        if kind.startswith("npm+@"):
            return self.npm.configured(kind.removeprefix("npm+")) or self.npm.default
        if kind == "pypi":
            return self.python.base()
        if kind == "pypi-files":
            return self.python.files_base()
        if kind in ARCHIVES:
            return self.archives.mirrors(kind)[0]
        raise EndpointError(
            f"Cannot use the URL {shown(url)!r}: {kind!r} is neither a registry that devenv knows "
            "nor http, https or file.",
            url=shown(url),
        )

    def relative(self, url: str) -> str:
        """The URL as a lock file holds it: relative where a registry is known to hold it.

        `absolute` undoes it. Credentials are dropped.
        """
        if "://" not in url:
            return url
        url = without_userinfo(url)[0]
        found = self._below_a_registry(url)
        if found is None:
            found = self._below_a_registry(self.npm.host_replaced(url))
        return self._registries.original(url) if found is None else found

    def _below_a_registry(self, url: str) -> str | None:
        for base, form in self._relative_bases(url):
            if url.startswith(base):
                return f"{form}:{url[len(base) :]}"
        return None

    def _relative_bases(self, url: str) -> list[tuple[str, str]]:
        """(base, form) pairs, the one that fits best first."""
        npm = self.npm.configured(None)
        if npm is None and "/-/" in url and url.partition("?")[0].endswith(".tgz"):
            npm = self.npm.default
        bases = [(npm, "npm")] if npm else []
        for scope in self.npm.scopes():
            own = self.npm.configured(scope)
            if own and own != npm:
                bases.append((own, f"npm+{scope}"))
        if "/-/" not in url:
            bases += self._python_bases()
        bases = [(self._registries.replaced(base), form) for base, form in bases]
        scope_in_path = {form: f"/{form.partition('+')[2]}/" in url for _, form in bases}
        return sorted(bases, key=lambda item: (-len(item[0]), not scope_in_path[item[1]], item[1]))

    def _python_bases(self) -> list[tuple[str, str]]:
        found = []
        for base, form in ((self.python.base, "pypi"), (self.python.files_base, "pypi-files")):
            # Without pip there is no default to compare with, and nothing to complain about.
            with suppress(EndpointError):
                found.append((base(), form))
        return found

    def credentials(self, url: str) -> dict[str, str]:
        """The `Authorization` header that this URL's host has been given, `{}` for none. Never print it."""
        return self._credentials.header(url) or self.crates.token(url)

    @cached_property
    def _credentials(self) -> Credentials:
        from devenv.fetch.credentials import Credentials

        npm, pip = self.npm.settings, self.python.settings
        urls = self._registries.urls()
        urls += [npm.text(key) or "" for key in npm.keys() if key.endswith("registry")]  # noqa: SIM118
        urls += [pip.index_url or "", *pip.extra_index_urls]
        urls += [url for archive in ARCHIVES for url in self.archives.urls(archive)]
        return Credentials(
            environ=self._environ,
            npm=npm,
            npm_registries=self.npm.all_configured(),
            configured=[url for url in urls if "://" in url],
        )

    def ca_files(self) -> tuple[tuple[str, str], ...]:
        """(setting, path) of every file with further trusted certificates."""
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        found = [(name, self._environ.get(name)) for name in names]
        found += [
            ("npm's cafile", self.npm.settings.text("cafile")),
            ("pip's cert", self.python.settings.cert),
        ]
        by_path = {os.path.realpath(path): name for name, path in reversed(found) if path}
        return tuple(sorted((name, path) for path, name in by_path.items()))

    def ca_data(self) -> str:
        """Certificates that npm's `ca` setting spells out, in PEM."""
        value = self.npm.settings.get("ca")
        values = value if isinstance(value, list) else [value]
        return "\n".join(each.replace("\\n", "\n") for each in values if isinstance(each, str))

    def verifies(self, url: str) -> bool:
        """Whether the certificate of the URL's host must be right: no, where its ecosystem says so."""
        parts = parsed(url)
        host = parts.hostname or ""
        trusted = self.python.settings.trusted_hosts
        if host in trusted or parts.netloc in trusted:
            return False
        if self.npm.settings.get("strict-ssl") is False:
            return all(parsed(each).hostname != host for each in self.npm.all_configured())
        return True


def _is_of_r(kind: str) -> bool:
    return kind.startswith("cran+") or kind == "bioconductor"
