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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote, urlunsplit

from devenv.fetch.apt_sources import ARCHIVES, apt_mirrors
from devenv.fetch.cargo_config import CargoConfig
from devenv.fetch.credentials import Credentials
from devenv.fetch.errors import EndpointError
from devenv.fetch.npmrc import MayTell, NpmConfig
from devenv.fetch.pip_config import PipConfig, load_pip_config
from devenv.fetch.r_config import BIOCONDUCTOR, CRAN_NAMES, RConfig
from devenv.fetch.urls import origin, parent, parsed, shown, split, with_slash, without_userinfo

if TYPE_CHECKING:
    from devenv.fetch.cargo_default import DefaultRegistry

_NPM, _PYPI, _PYPI_FILES, _CRATES = "npm", "pypi", "pypi-files", "crates"
_PACKAGES = (".whl", ".tar.gz", ".zip")
_CRAN, _BIOCONDUCTOR, _PROJECT = "cran", "bioconductor", "project"


class WheelText(Protocol):
    """Gives npm's definitions out of the newest wheel of `package`, None where it has none."""

    def __call__(self, endpoints: Endpoints, package: str) -> str | None: ...


class CrateTemplate(Protocol):
    """Asks the crate registry with this index where its files are."""

    def __call__(self, endpoints: Endpoints, index: str) -> str: ...


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
        self._may_tell = may_tell
        self._project, self._environ, self._cache, self._etc = project, environ, cache, etc
        self._wheel_text, self._crate_template = wheel_text, crate_template
        self._templates: dict[str, str] = {}
        prefixes = {key: value for key, value in registries.items() if "://" in key}
        self._named = {key: value for key, value in registries.items() if "://" not in key}
        self._prefixes = sorted(prefixes.items(), key=lambda item: (-len(item[0]), item[0]))
        self._mirrors = dict(mirrors or {})
        for key, value in registries.items():
            _check_registry(key, value)

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

        def crate_template(endpoints: Endpoints, index: str) -> str:
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

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that the settings were read from."""
        return self._environ

    @property
    def cache(self) -> str:
        """The directory where answers may be kept."""
        return self._cache

    @cached_property
    def npm(self) -> NpmConfig:
        """npm's settings."""
        may_tell = self._tells if self._may_tell is not None else None
        return NpmConfig(project=self._project, environ=self._environ, may_tell=may_tell)

    def _tells(self, key: str, value: str) -> bool:
        """Whether this setting of the project may hold a variable: its host is one of the user's, or it was allowed."""
        if key.startswith("//") and "${" not in key:
            host = parsed("http:" + key.partition(":_")[0]).netloc
            # Not looked up for this: the way to npm's default may lead over this very question.
            default = self.__dict__.get("npm_default")
            if host in self.npm.hosts_of_the_user() or (default and parsed(default).netloc == host):
                return True
        return self._may_tell is None or self._may_tell(key, value)

    @cached_property
    def pip(self) -> PipConfig:
        """pip's and uv's settings."""
        return load_pip_config(project=self._project, environ=self._environ, etc=self._etc)

    @cached_property
    def cargo(self) -> CargoConfig:
        """cargo's settings."""
        return CargoConfig(project=self._project, environ=self._environ)

    # Registries

    @cached_property
    def npm_default(self) -> str:
        """npm's own default registry, ending in "/"; may need the network on a machine without npm."""
        from devenv.fetch.npm_default import default_registry

        found = default_registry(
            environ=self._environ,
            cache=self._cache,
            from_wheel=lambda package: self._wheel_text(self, package),
        )
        return with_slash(found)

    def _configured_npm(self, scope: str | None) -> str | None:
        if scope:
            named = self._named.get(f"{_NPM}+{scope}") or self.npm.text(f"{scope}:registry")
            if named:
                return with_slash(without_userinfo(named)[0])
        found = self._named.get(_NPM) or self.npm.text("registry")
        return with_slash(without_userinfo(found)[0]) if found else None

    def npm_registry(self, scope: str | None = None) -> str:
        """The registry of a scope ("@corp") or of everything else, ending in "/", no credentials in it."""
        return self._replaced(self._configured_npm(scope) or self.npm_default)

    def _scopes(self) -> tuple[str, ...]:
        """Scopes with a registry of their own."""
        found = [key.removesuffix(":registry") for key in self.npm.keys() if key.endswith(":registry")]  # noqa: SIM118
        found += [key.removeprefix(f"{_NPM}+") for key in self._named if key.startswith(f"{_NPM}+@")]
        return tuple(sorted({scope for scope in found if scope.startswith("@")}))

    @cached_property
    def _pip_default(self) -> ModuleType:
        return _installed_pip_index()

    def python_indexes(self) -> tuple[str, ...]:
        """Simple-API URLs in the order in which they are asked, none where pip must not use an index."""
        if _PYPI in self._named:
            return (self._replaced(self._named[_PYPI]),)
        if self.pip.no_index:
            return ()
        urls = dict.fromkeys((self._main_index(), *self.pip.extra_index_urls))
        return tuple(self._replaced(without_userinfo(url)[0]) for url in urls)

    def _main_index(self) -> str:
        named = self._named.get(_PYPI) or self.pip.index_url
        return named or str(self._pip_default.PyPI.simple_url)

    def _pypi_base(self) -> str:
        return parent(without_userinfo(self._main_index())[0])

    def _pypi_files_base(self) -> str:
        named = self._named.get(_PYPI_FILES)
        if named:
            return with_slash(named)
        return f"https://{self._pip_default.PyPI.file_storage_domain}/"

    # Archives

    def archive_mirrors(self, archive: str, *, date: str = "") -> tuple[str, ...]:
        """The roots of an archive ("debian") in the order in which they are tried, each ending in "/".

        `date` ("20260110T100203Z") is put for "{date}" in those that keep the past; without it they are left out.
        Raises `EndpointError` where nothing says where the archive is.
        """
        found = []
        for url in self._archive_urls(archive):
            if "{date}" not in url or date:
                plain = without_userinfo(url.replace("{date}", date))[0]
                found.append(self._replaced(with_slash(plain)))
        if not found:
            raise EndpointError(
                f"Cannot tell where the archive {archive!r} is: no setting names a mirror of it, and apt is not "
                "configured for it on this machine.",
                hint=f'Set `{archive} = ["https://..."]` under [registries] in devenv.toml, '
                f"or {_mirror_variable(archive)}.",
            )
        return tuple(dict.fromkeys(found))

    def _archive_urls(self, archive: str) -> tuple[str, ...]:
        named = self._mirrors.get(archive) or self._environ.get(_mirror_variable(archive), "").split()
        return tuple(named) or apt_mirrors(archive, self._etc)

    def candidates(self, url: str) -> tuple[str, ...]:
        """All URLs to try, in this order, for one that may be relative: several for a file of an archive."""
        archive, _, path = url.partition(":")
        if archive in ARCHIVES:
            return tuple(mirror + path for mirror in self.archive_mirrors(archive))
        if archive.startswith(f"{_CRAN}+") or archive == _BIOCONDUCTOR:
            return tuple(self._r_files(archive, path))
        return (self.absolute(url),)

    # R

    @cached_property
    def r(self) -> RConfig:
        """R's own settings."""
        return RConfig(project=self._project, environ=self._environ, etc=self._etc)

    def _r_files(self, kind: str, path: str) -> Iterator[str]:
        """Where a package's file can be: an older version lies in the repository's archive."""
        head, mark, name = path.rpartition("src/contrib/")
        package = name.partition("_")[0]
        for base in self._r_repositories(kind):
            yield self._replaced(base + path)
            if mark and package and "/" not in name:
                yield self._replaced(f"{base}{head}{mark}Archive/{package}/{name}")

    def _r_repositories(self, kind: str) -> tuple[str, ...]:
        """The roots of a repository, each ending in "/": what settings say in place of the lock's, else the lock's first."""
        if kind == _BIOCONDUCTOR:
            name, url = _BIOCONDUCTOR, ""
            found = [self._named.get(_BIOCONDUCTOR) or self.r.repositories.get(BIOCONDUCTOR)]
        else:
            name, _, quoted_url = kind.partition("+")[2].partition("@")
            name, url = unquote(name), unquote(quoted_url)
            is_cran = name in CRAN_NAMES
            own = self._named.get(f"{_CRAN}+{name}") or (self._named.get(_CRAN) if is_cran else None)
            own = own or self.r.override
            known = self.r.repositories.get("CRAN" if is_cran else name)
            found = [own] if own else [url if "://" in url else None, known]
        urls = tuple(dict.fromkeys(with_slash(without_userinfo(each)[0]) for each in found if each))
        if not urls:
            key = _BIOCONDUCTOR if kind == _BIOCONDUCTOR else f'"{_CRAN}+{name}"' if not is_cran else _CRAN
            raise EndpointError(
                f"Cannot tell where the R repository {name!r} is: neither the lock nor R's settings say it.",
                hint=f'Set `{key} = "https://..."` under [registries] in devenv.toml.',
            )
        return urls

    def assume_default_crates(self, found: DefaultRegistry) -> None:
        """Take this for cargo's default registry, without asking the cargo on PATH."""
        self.__dict__["default_crates"] = found

    @cached_property
    def default_crates(self) -> DefaultRegistry:
        """cargo's own default registry."""
        from devenv.fetch.cargo_default import default_registry

        return default_registry(environ=self._environ, cache=self._cache)

    def crate_index(self, locked: str) -> str:
        """The index to ask where a Cargo.lock names `locked`: "sparse+<URL>", or the URL of a git repository."""
        is_default = locked == self.default_crates.locked
        if is_default and _CRATES in self._named:
            named = self._named[_CRATES]
            return named if named.startswith("sparse+") else f"sparse+{named}"
        found = self.cargo.replaced(locked, is_default=is_default).removeprefix("registry+")
        return f"sparse+{self.default_crates.sparse}" if found == self.default_crates.locked else found

    def _crate(self, kind: str, path: str) -> str:
        from devenv.fetch.crates import crate_url

        locked, parts = unquote(kind.partition("+")[2]), path.split("/")
        if len(parts) != 3 or self._crate_template is None:
            raise EndpointError(f"Cannot use the URL {shown(f'{kind}:{path}')!r}: it names no crate.")
        if locked not in self._templates:
            self._templates[locked] = self._crate_template(self, self.crate_index(locked))
        return crate_url(self._templates[locked], *parts)

    # Relative and absolute URLs

    def absolute(self, url: str) -> str:
        """The URL to request. Raises `EndpointError` for a form or a scheme that does not exist."""
        kind, mark, path = url.partition(":")
        is_relative = mark and not path.startswith("//")
        if kind.startswith(f"{_CRATES}+"):
            url = self._crate(kind, path)
        elif kind.startswith(f"{_CRAN}+") or kind == _BIOCONDUCTOR:
            url = next(self._r_files(kind, path))
        elif kind == _PROJECT:
            url = self._project_file(path)
        else:
            url = self._base(kind, url) + path if is_relative else self._host_replaced(url)
        url = self._replaced(url)
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
        if kind == _NPM:
            return self._configured_npm(None) or self.npm_default
        if kind.startswith(f"{_NPM}+@"):
            return self._configured_npm(kind.removeprefix(f"{_NPM}+")) or self.npm_default
        if kind == _PYPI:
            return self._pypi_base()
        if kind == _PYPI_FILES:
            return self._pypi_files_base()
        if kind in ARCHIVES:
            return self.archive_mirrors(kind)[0]
        raise EndpointError(
            f"Cannot use the URL {shown(url)!r}: {kind!r} is neither a registry that devenv knows "
            "nor http, https or file.",
            url=shown(url),
        )

    def _replaced(self, url: str) -> str:
        for old, new in self._prefixes:
            if url.startswith(old):
                return new + url[len(old) :]
        return url

    def _host_replaced(self, url: str) -> str:
        """npm's replace-registry-host: the default registry in a lockfile means the configured one."""
        configured = self._configured_npm(None) if "/-/" in url else None
        rule = self.npm.text("replace-registry-host") or "npmjs" if configured else "never"
        if not configured or rule == "never":
            return url
        parts, registry = parsed(url), parsed(configured)
        if rule == "npmjs":
            # The configured registry's own URLs stay as they are: no need to look the default up.
            if parts.netloc == registry.netloc:
                return url
            rule = parsed(self.npm_default).hostname or ""
        prefix = parsed(rule) if "://" in rule else None
        host = prefix.hostname if prefix else rule
        below = prefix.path.rstrip("/") if prefix else ""
        if (rule != "always" and host != parts.hostname) or not _is_below(parts.path, below):
            return url
        base = registry.path.rstrip("/")
        path = parts.path[len(below) :] if below else parts.path
        if below or not _is_below(path, base):
            path = base + path
        return urlunsplit((registry.scheme, registry.netloc, path, parts.query, ""))

    def relative(self, url: str) -> str:
        """The URL as a lock file holds it: relative where a registry is known to hold it.

        `absolute` undoes it. Credentials are dropped.
        """
        if "://" not in url:
            return url
        url = without_userinfo(url)[0]
        found = self._below_a_registry(url)
        if found is None:
            found = self._below_a_registry(self._host_replaced(url))
        if found is not None:
            return found
        for old, new in sorted(self._prefixes, key=lambda item: (-len(item[1]), item[0])):
            if url.startswith(new):
                original = old + url[len(new) :]
                if self._replaced(original) == url:
                    return original
        return url

    def _below_a_registry(self, url: str) -> str | None:
        for base, form in self._relative_bases(url):
            if url.startswith(base):
                return f"{form}:{url[len(base) :]}"
        return None

    def _relative_bases(self, url: str) -> list[tuple[str, str]]:
        """(base, form) pairs, the one that fits best first."""
        npm = self._configured_npm(None)
        if npm is None and "/-/" in url and url.partition("?")[0].endswith(".tgz"):
            npm = self.npm_default
        bases = [(npm, _NPM)] if npm else []
        for scope in self._scopes():
            own = self._configured_npm(scope)
            if own and own != npm:
                bases.append((own, f"{_NPM}+{scope}"))
        if "/-/" not in url:
            bases += self._python_bases()
        bases = [(self._replaced(base), form) for base, form in bases]
        scope_in_path = {form: f"/{form.partition('+')[2]}/" in url for _, form in bases}
        return sorted(bases, key=lambda item: (-len(item[0]), not scope_in_path[item[1]], item[1]))

    def _python_bases(self) -> list[tuple[str, str]]:
        found = []
        for base, form in ((self._pypi_base, _PYPI), (self._pypi_files_base, _PYPI_FILES)):
            # Without pip there is no default to compare with, and nothing to complain about.
            with suppress(EndpointError):
                found.append((base(), form))
        return found

    # Credentials and certificates

    def credentials(self, url: str) -> dict[str, str]:
        """The `Authorization` header that this URL's host has been given, `{}` for none. Never print it."""
        return self._credentials.header(url) or self._crate_token(url)

    def _crate_token(self, url: str) -> dict[str, str]:
        """cargo's token for a registry whose index lies on the URL's host."""
        for index in self.cargo.indexes():
            place = index.removeprefix("sparse+").removeprefix("registry+")
            if "://" in place and origin(place) == origin(url):
                token = self.cargo.token(index, is_default=False)
                return {"Authorization": token} if token else {}
        return {}

    @cached_property
    def _credentials(self) -> Credentials:
        urls = [*self._named.values(), *(new for _, new in self._prefixes)]
        urls += [self.npm.text(key) or "" for key in self.npm.keys() if key.endswith("registry")]  # noqa: SIM118
        urls += [self.pip.index_url or "", *self.pip.extra_index_urls]
        urls += [url for archive in ARCHIVES for url in self._archive_urls(archive)]
        return Credentials(
            environ=self._environ,
            npm=self.npm,
            npm_registries=self._configured_registries(),
            configured=[url for url in urls if "://" in url],
        )

    def _configured_registries(self) -> tuple[str, ...]:
        found = [self._configured_npm(scope) for scope in (None, *self._scopes())]
        return tuple(dict.fromkeys(self._replaced(each) for each in found if each))

    def ca_files(self) -> tuple[tuple[str, str], ...]:
        """(setting, path) of every file with further trusted certificates."""
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        found = [(name, self._environ.get(name)) for name in names]
        found += [("npm's cafile", self.npm.text("cafile")), ("pip's cert", self.pip.cert)]
        by_path = {os.path.realpath(path): name for name, path in reversed(found) if path}
        return tuple(sorted((name, path) for path, name in by_path.items()))

    def ca_data(self) -> str:
        """Certificates that npm's `ca` setting spells out, in PEM."""
        value = self.npm.get("ca")
        values = value if isinstance(value, list) else [value]
        return "\n".join(each.replace("\\n", "\n") for each in values if isinstance(each, str))

    def verifies(self, url: str) -> bool:
        """Whether the certificate of the URL's host must be right: no, where its ecosystem says so."""
        parts = parsed(url)
        host = parts.hostname or ""
        if host in self.pip.trusted_hosts or parts.netloc in self.pip.trusted_hosts:
            return False
        if self.npm.get("strict-ssl") is False:
            return all(parsed(each).hostname != host for each in self._configured_registries())
        return True


def _mirror_variable(archive: str) -> str:
    return f"DEVENV_{archive.upper().replace('-', '_')}_MIRROR"


def _check_registry(key: str, value: str) -> None:
    known = key in {_NPM, _PYPI, _PYPI_FILES, _CRATES, _CRAN, _BIOCONDUCTOR}
    known = known or key.startswith((f"{_NPM}+@", f"{_CRAN}+")) or "://" in key
    if not known:
        raise EndpointError(
            f"Cannot use [registries] {key!r}: it is no registry that devenv knows.",
            hint='Known are npm, "npm+@scope", pypi, pypi-files, crates, cran, "cran+NAME", bioconductor, and the '
            "beginnings of URLs.",
        )
    try:
        split(value.removeprefix("sparse+") if key == _CRATES else value)
    except EndpointError as error:
        raise EndpointError(f"Cannot use [registries] {key!r}: {error}") from error


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


def _is_below(path: str, base: str) -> bool:
    return not base or path == base or path.startswith(base + "/")
