"""pip's and uv's settings: pip.conf files, uv.toml, PIP_* and UV_* variables.

pip: https://pip.pypa.io/en/stable/topics/configuration/ (order of the files, names of the
variables). uv: only what names indexes. Where both speak of the main index, pip's word counts.
"""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.fetch.errors import EndpointError

_SECTIONS = ("global", "install")  # the later one counts more
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipConfig:
    """What is configured. `index_url` None: nothing is, so that pip's own default holds.

    `extra_index_urls` are in the order in which they are asked. URLs may hold credentials.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    no_index: bool = False
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None


def load_pip_config(*, project: str, environ: Mapping[str, str], etc: str = "/etc") -> PipConfig:
    """pip's and uv's settings merged. Raises `EndpointError` for a file that cannot be parsed."""
    pip: dict[str, str] = {}
    for path in pip_files(environ, etc):
        pip.update(read_pip_file(path))
    pip |= _pip_variables(environ)
    uv = _load_uv(project, environ, etc)
    return PipConfig(
        index_url=pip.get("index-url") or uv.index_url,
        extra_index_urls=tuple(
            dict.fromkeys((*pip.get("extra-index-url", "").split(), *uv.extra_index_urls))
        ),
        no_index=pip.get("no-index", "").lower() in _TRUE or uv.no_index,
        find_links=tuple(pip.get("find-links", "").split()),
        trusted_hosts=tuple(pip.get("trusted-host", "").split()),
        cert=pip.get("cert") or None,
        proxy=pip.get("proxy") or None,
    )


def pip_files(environ: Mapping[str, str], etc: str = "/etc") -> Iterator[str]:
    """Paths that pip reads, the weakest first; few of them exist."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = environ.get("HOME") or os.path.expanduser("~")
    for directory in (environ.get("XDG_CONFIG_DIRS") or os.path.join(etc, "xdg")).split(":"):
        yield os.path.join(directory, "pip/pip.conf")
    yield os.path.join(etc, "pip.conf")
    if not (named and os.path.exists(named)):
        yield os.path.join(home, ".pip/pip.conf")
        yield os.path.join(_config_home(environ), "pip/pip.conf")
    if environ.get("VIRTUAL_ENV"):
        yield os.path.join(environ["VIRTUAL_ENV"], "pip.conf")
    if named:
        yield named


def _config_home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    return environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")


def read_pip_file(path: str) -> dict[str, str]:
    """The settings of one file, `{}` if there is none, names with dashes."""
    parser = configparser.RawConfigParser()
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
        return {}
    except (configparser.Error, OSError, ValueError) as error:
        found = str(error).partition("\n")[0]
        raise EndpointError(
            f"Cannot read pip's settings in {path}: {found}", hint="`pip config debug` shows pip's own view."
        ) from error
    found_values: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found_values.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return found_values


def _pip_variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name[4:].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }


def _load_uv(project: str, environ: Mapping[str, str], etc: str) -> PipConfig:
    """uv's indexes: variables, then the project's file, then the user's, then the system's."""
    found = [_from_uv_variables(environ)]
    found += [_from_uv_table(_uv_table(path)) for path in _uv_files(project, environ, etc)]
    return PipConfig(
        index_url=next((each.index_url for each in found if each.index_url), None),
        extra_index_urls=tuple(dict.fromkeys(url for each in found for url in each.extra_index_urls)),
        no_index=any(each.no_index for each in found),
    )


def _uv_files(project: str, environ: Mapping[str, str], etc: str) -> Iterator[str]:
    if environ.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return
    if environ.get("UV_CONFIG_FILE"):
        yield environ["UV_CONFIG_FILE"]
        return
    own = os.path.join(project, "uv.toml")
    yield own if os.path.exists(own) else os.path.join(project, "pyproject.toml")
    yield os.path.join(_config_home(environ), "uv/uv.toml")
    for directory in (environ.get("XDG_CONFIG_DIRS") or os.path.join(etc, "xdg")).split(":"):
        yield os.path.join(directory, "uv/uv.toml")
    yield os.path.join(etc, "uv/uv.toml")


def _uv_table(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            table: Mapping[str, Any] = tomllib.load(file)
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise EndpointError(f"Cannot read uv's settings in {path}: {error}.") from error
    if os.path.basename(path) == "pyproject.toml":
        tool = table.get("tool")
        found = tool.get("uv") if isinstance(tool, dict) else None
        return found if isinstance(found, dict) else {}
    return table


def _from_uv_table(table: Mapping[str, Any]) -> PipConfig:
    indexes = [each for each in _list(table.get("index")) if isinstance(each, dict)]
    named = [each for each in indexes if isinstance(each.get("url"), str)]
    default = [each["url"] for each in named if each.get("default") is True]
    # An explicit index is asked only for packages that name it, and these carry their URLs.
    others = [each["url"] for each in named if not each.get("default") and not each.get("explicit")]
    legacy = table.get("index-url")
    extra = [each for each in _list(table.get("extra-index-url")) if isinstance(each, str)]
    return PipConfig(
        index_url=default[0] if default else legacy if isinstance(legacy, str) else None,
        extra_index_urls=(*others, *extra),
        no_index=table.get("no-index") is True,
    )


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _from_uv_variables(environ: Mapping[str, str]) -> PipConfig:
    default, legacy, indexes, extra, no_index = (environ.get(name, "") for name in _UV_VARIABLES)
    urls = [_with_login(each, environ) for each in (*indexes.split(), *extra.split())]
    main = default or legacy
    return PipConfig(
        index_url=_with_login(main, environ) if main else None,
        extra_index_urls=tuple(urls),
        no_index=no_index.lower() in _TRUE,
    )


def _with_login(index: str, environ: Mapping[str, str]) -> str:
    """The URL of "name=URL" or of a plain URL, with the login that variables hold for the name."""
    from urllib.parse import quote

    name, mark, url = index.partition("=")
    if not mark or "/" in name:
        return index
    stem = "UV_INDEX_" + "".join(c.upper() if c.isalnum() else "_" for c in name)
    user, password = environ.get(stem + "_USERNAME"), environ.get(stem + "_PASSWORD")
    scheme, separator, rest = url.partition("://")
    if not separator or (user is None and password is None):
        return url
    return f"{scheme}://{quote(user or '', safe='')}:{quote(password or '', safe='')}@{rest}"
