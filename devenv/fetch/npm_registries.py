"""npm's registries: that of a scope, that of everything else, and npm's own default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from urllib.parse import urlunsplit

from devenv.fetch.npmrc import MayTell, NpmConfig
from devenv.fetch.registries import Registries
from devenv.fetch.urls import parsed, with_slash, without_userinfo


class NpmRegistries:
    """The registries that npm would use in a project.

    `from_wheel` gives npm's definitions out of the newest wheel of a package, None where it has none. `may_tell`: which
    settings of the project's .npmrc may hand variables of the user's to hosts that only the project names; None for all.
    """

    def __init__(
        self,
        registries: Registries,
        *,
        project: str,
        environ: Mapping[str, str],
        cache: str,
        from_wheel: Callable[[str], str | None],
        may_tell: MayTell | None = None,
    ) -> None:
        self._registries, self._project, self._environ = registries, project, environ
        self._cache, self._from_wheel, self._may_tell = cache, from_wheel, may_tell

    @cached_property
    def settings(self) -> NpmConfig:
        """npm's settings."""
        may_tell = self._tells if self._may_tell is not None else None
        return NpmConfig(project=self._project, environ=self._environ, may_tell=may_tell)

    def _tells(self, key: str, value: str) -> bool:
        """Whether this setting of the project may hold a variable: its host is one of the user's, or it was allowed."""
        if key.startswith("//") and "${" not in key:
            host = parsed("http:" + key.partition(":_")[0]).netloc
            # Not looked up for this: the way to npm's default may lead over this very question.
            default = self.__dict__.get("default")
            if host in self.settings.hosts_of_the_user() or (default and parsed(default).netloc == host):
                return True
        return self._may_tell is None or self._may_tell(key, value)

    @cached_property
    def default(self) -> str:
        """npm's own default registry, ending in "/"; may need the network on a machine without npm."""
        from devenv.fetch.npm_default import default_registry

        found = default_registry(
            environ=self._environ,
            cache=self._cache,
            from_wheel=self._from_wheel,
        )
        return with_slash(found)

    def configured(self, scope: str | None) -> str | None:
        """The registry that settings name for a scope ("@corp") or for everything else, ending in "/"."""
        if scope:
            named = self._registries.named.get(f"npm+{scope}") or self.settings.text(f"{scope}:registry")
            if named:
                return with_slash(without_userinfo(named)[0])
        found = self._registries.named.get("npm") or self.settings.text("registry")
        return with_slash(without_userinfo(found)[0]) if found else None

    def registry(self, scope: str | None = None) -> str:
        """The registry of a scope ("@corp") or of everything else, ending in "/", no credentials in it."""
        return self._registries.replaced(self.configured(scope) or self.default)

    def scopes(self) -> tuple[str, ...]:
        """Scopes with a registry of their own."""
        found = [key.removesuffix(":registry") for key in self.settings.keys() if key.endswith(":registry")]  # noqa: SIM118
        found += [key.removeprefix("npm+") for key in self._registries.named if key.startswith("npm+@")]
        return tuple(sorted({scope for scope in found if scope.startswith("@")}))

    def all_configured(self) -> tuple[str, ...]:
        """Every registry that settings name."""
        found = [self.configured(scope) for scope in (None, *self.scopes())]
        return tuple(dict.fromkeys(self._registries.replaced(each) for each in found if each))

    def host_replaced(self, url: str) -> str:
        """npm's replace-registry-host: the default registry in a lockfile means the configured one."""
        configured = self.configured(None) if "/-/" in url else None
        rule = self.settings.text("replace-registry-host") or "npmjs" if configured else "never"
        if not configured or rule == "never":
            return url
        parts, registry = parsed(url), parsed(configured)
        if rule == "npmjs":
            # The configured registry's own URLs stay as they are: no need to look the default up.
            if parts.netloc == registry.netloc:
                return url
            rule = parsed(self.default).hostname or ""
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


def _is_below(path: str, base: str) -> bool:
    return not base or path == base or path.startswith(base + "/")
