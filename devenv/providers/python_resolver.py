"""Python's own resolvers: requirements in, the files of a set of packages that fulfils them out.

uv is asked where it is installed, since it resolves for any version of Python and for all machines at once; else the
interpreter's pip, for itself. Both only read metadata: nothing is built or run. Indexes are those of the project and the user.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from devenv.adapter import RemoteFile
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from devenv.providers.errors import ProviderError

if TYPE_CHECKING:
    from devenv.fetch.endpoints import Endpoints
    from devenv.providers.python_host import HostPython

_TIMEOUT = 600  # seconds
_SHOWN_LINES = 12
_ALGORITHMS = ("sha512", "sha256")
# Settings that would make a resolver look elsewhere, or at less than all.
_UNSET = re.compile(
    r"(PIP_(REQUIRE|TARGET|USER|PREFIX|NO_BINARY|ONLY_BINARY|REQUIREMENT|CONSTRAINT)|UV_(NO_BINARY|EXCLUDE|CONSTRAINT|OVERRIDE)|VIRTUAL_ENV|PYTHON)"
)


class Resolver:
    """Resolves for one interpreter; equal requirements once."""

    def __init__(self, endpoints: Endpoints, python: HostPython, *, offline: bool = False) -> None:
        self._endpoints = endpoints
        self._offline = offline
        self._python = python
        self._uv = find_uv()
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[RemoteFile, ...]] = {}

    def resolve(
        self, requirements: Sequence[str], *, constraints: Sequence[str] = (), purpose: str
    ) -> tuple[RemoteFile, ...]:
        """The wheels of all packages that are needed, sorted; several of one where machines differ.

        `purpose` is for messages. Raises ProviderError with what the resolver says.
        """
        key = (tuple(sorted(set(requirements))), tuple(sorted(constraints)))
        if not key[0]:
            return ()
        if key not in self._known:
            found = self._ask_uv(key, purpose) if self._uv else self._ask_pip(key, purpose)
            self._known[key] = tuple(sorted(found, key=lambda file: file.file_name))
        return self._known[key]

    def _ask_uv(self, key: tuple[tuple[str, ...], tuple[str, ...]], purpose: str) -> list[RemoteFile]:
        minor = ".".join(self._python.version.split(".")[:2])
        argv = [
            *(str(self._uv), "pip", "compile", "-", "--format", "pylock.toml", "--universal", "--no-build"),
            *("--python-version", minor, "--python", sys.executable, "--no-header", "--no-progress"),
            *("--no-config", "--no-annotate"),
        ]
        said = self._run(argv, key, purpose)
        try:
            return list(self._from_pylock(tomllib.loads(said)))
        except (ValueError, TypeError, KeyError) as error:
            raise self._unusable("uv", purpose, error) from error

    def _ask_pip(self, key: tuple[tuple[str, ...], tuple[str, ...]], purpose: str) -> list[RemoteFile]:
        if self._python.in_root:
            raise ProviderError(
                f"resolving the requirements of {purpose}: they are for a Python of the system packages, which pip "
                "cannot do from outside",
                tool="python",
                request=purpose,
                hint="Install uv: `pip install uv`, or as its own documentation says.",
            )
        argv = [
            *(sys.executable, "-m", "pip", "--python", self._python.path, "install", "--dry-run", "--quiet"),
            *("--ignore-installed", "--only-binary", ":all:", "--report", "-", "-r", "/dev/stdin"),
            *("--disable-pip-version-check", "--no-input"),
        ]
        said = self._run(argv, key, purpose)
        try:
            return list(self._from_report(json.loads(said)))
        except (ValueError, TypeError, KeyError) as error:
            raise self._unusable("pip", purpose, error) from error

    def _run(self, argv: list[str], key: tuple[tuple[str, ...], tuple[str, ...]], purpose: str) -> str:
        """What the program printed. Raises ProviderError when it fails."""
        import tempfile

        requirements, constraints = key
        if self._offline:
            raise ProviderError(
                f"resolving the requirements of {purpose}: --offline forbids to ask for them",
                tool="python",
                request=purpose,
            )
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as limits:
            limits.write("\n".join(constraints) + "\n")
            limits.flush()
            more = ["--constraint", limits.name] if constraints else []
            try:
                done = subprocess.run(
                    [*argv, *more],
                    input="\n".join(requirements) + "\n",
                    capture_output=True,
                    text=True,
                    env=self._environment(),
                    cwd="/",
                    timeout=_TIMEOUT,
                    check=False,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise ProviderError(
                    f"resolving the requirements of {purpose}: {argv[0]}: {error}",
                    tool="python",
                    request=purpose,
                ) from error
        if done.returncode:
            lines = "".join(f"\n  {line}" for line in done.stderr.strip().splitlines()[-_SHOWN_LINES:])
            raise ProviderError(
                f"{purpose} requires {', '.join(requirements)[:400]}, which cannot be resolved:{lines}",
                tool="python",
                request=purpose,
                hint="Build requirements are taken as wheels, from the indexes of pip's or uv's configuration.",
            )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """The user's, with the indexes that this project has."""
        environ = {k: v for k, v in self._endpoints.environ.items() if not _UNSET.match(k)}
        indexes = [self._with_login(url) for url in self._endpoints.python.urls()]
        if not indexes:
            return {**environ, "PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"}
        # uv takes the first index that has a package, and asks its default one last.
        named = {"PIP_INDEX_URL": indexes[0], "UV_DEFAULT_INDEX": indexes[-1]}
        if indexes[1:]:
            named |= {"PIP_EXTRA_INDEX_URL": " ".join(indexes[1:]), "UV_INDEX": " ".join(indexes[:-1])}
        cert = self._endpoints.python.settings.cert
        if cert and "SSL_CERT_FILE" not in environ:
            named["SSL_CERT_FILE"] = cert
        if self._endpoints.python.settings.find_links:
            named["UV_FIND_LINKS"] = ",".join(self._endpoints.python.settings.find_links)
        return environ | named

    def _with_login(self, url: str) -> str:
        """The URL with the user's name and password, as far as these are what authorizes."""
        kind, _, secret = self._endpoints.credentials(url).get("authorization", "").partition(" ")
        parts = urlsplit(url)
        if kind.lower() != "basic" or "@" in parts.netloc:
            return url
        user, _, password = base64.b64decode(secret).decode("utf-8", "replace").partition(":")
        return parts._replace(netloc=f"{quote(user, '')}:{quote(password, '')}@{parts.netloc}").geturl()

    def _from_pylock(self, document: Mapping[str, Any]) -> Iterator[RemoteFile]:
        from packaging.markers import Marker

        for package in document.get("packages", ()):
            marker = package.get("marker")
            if marker and not Marker(marker).evaluate(dict(self._python.target.markers)):
                continue
            wheels = package.get("wheels", ())
            if not wheels:
                raise ValueError(f"{package['name']} has no wheel")
            for wheel in wheels:
                url = wheel.get("url") or "file://" + quote(wheel["path"])
                yield self._file(url, wheel["hashes"], wheel.get("size"))

    def _from_report(self, report: Mapping[str, Any]) -> Iterator[RemoteFile]:
        for entry in report["install"]:
            info = entry["download_info"]
            archive = info["archive_info"]
            old = dict([archive["hash"].split("=", 1)]) if archive.get("hash") else {}
            yield self._file(info["url"], archive.get("hashes") or old, None)

    def _file(self, url: str, hashes: Mapping[str, str], size: int | None) -> RemoteFile:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        algorithm = next((each for each in _ALGORITHMS if each in hashes), None)
        if algorithm is None or not name.endswith(".whl"):
            raise ValueError(f"{name} has no SHA-256, or is no wheel")
        hash = Hash.from_hex(algorithm, hashes[algorithm])  # type: ignore[arg-type]
        plain = url.partition("#")[0]
        return RemoteFile(file_name=name, url=self._endpoints.relative(plain), hash=hash, size=size)

    def _unusable(self, tool: str, purpose: str, error: BaseException) -> DevenvError:
        return ProviderError(
            f"resolving the requirements of {purpose}: {tool}'s answer cannot be used: {error}",
            tool="python",
            request=purpose,
        )


def find_uv() -> str | None:
    """uv, on PATH or installed beside devenv; None where it is not."""
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    return shutil.which("uv") or (beside if os.access(beside, os.X_OK) else None)
