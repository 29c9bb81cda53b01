"""The Python interpreters of this machine: real ones, never shims or virtual environments.

Each candidate is asked once, by running it; nothing is concluded from where it lies.
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from devenv.adapter import PythonTarget
from devenv.providers.errors import ProviderError
from devenv.providers.python_answers import remembered

_NAME = re.compile(r"python(?:3(?:\.(\d+))?)?", re.ASCII)
_PREFIX = re.compile(r"\d+(?:\.\d+){0,2}", re.ASCII)
_TIMEOUT = 20  # seconds; the first start on a cold disk is slow
# What shims need to find their interpreter.
_PASSED_ON = ("HOME", "PATH", "PYENV_ROOT", "PYENV_VERSION", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR")

# Understood by every Python since 2.7, which is how old ones get a place in the error message.
# Markers: https://packaging.python.org/specifications/dependency-specifiers/#environment-markers
_QUESTION = """
import json, os, platform, struct, sys, sysconfig
def version(info):
    text = "%d.%d.%d" % info[:3]
    return text if info[3] == "final" else text + info[3][0] + str(info[4])
implementation = getattr(sys, "implementation", None)
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, OSError, ValueError):
    libc = ""
print(json.dumps({
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "version": version(sys.version_info),
    "minor": sys.version_info[:2],
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "bits": struct.calcsize("P") * 8,
    "libc": libc,
    "markers": {
        "implementation_name": implementation.name if implementation else "cpython",
        "implementation_version": version(implementation.version) if implementation else "0",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
}))
"""


@dataclass(frozen=True, slots=True)
class HostPython:
    """An interpreter: the real path of its program, its full version, what it can install.

    `in_root`: it is among the project's system packages, so the path is one in their root.
    """

    path: str
    version: str
    target: PythonTarget
    in_root: bool = False


def find_python(request: str, environ: Mapping[str, str]) -> HostPython:
    """The first interpreter that fulfils `request` ("3.11", "3.11.2", ">=3.10,<3.13", "*" for any).

    On PATH `python3` and `python` come before the versioned names, then the usual directories and
    what pyenv, uv, mise and asdf have installed, new versions first. Raises `ProviderError` with those found.
    """
    accepts = _acceptance(request)
    passed_on = tuple((name, environ[name]) for name in _PASSED_ON if name in environ)
    seen: set[str] = set()
    found: list[tuple[str, str]] = []
    for candidate in _candidates(environ):
        answer = _asked(candidate, passed_on, environ)
        if answer is None or answer["executable"] in seen:
            continue
        seen.add(answer["executable"])
        if _is_supported(answer) and accepts(answer["version"]):
            return _host_python(answer)
        found.append((answer["version"], answer["executable"]))
    raise _none_found(request, found)


def _acceptance(request: str) -> Callable[[str], bool]:
    """Whether a version fulfils the request, as a function."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = request.strip()
    if _PREFIX.fullmatch(text):
        return lambda version: version == text or version.startswith(text + ".")
    try:
        specifiers = SpecifierSet("" if text == "*" else text)
    except InvalidSpecifier as error:
        raise ProviderError(
            f"Cannot read the Python version {request!r}.",
            tool="python",
            request=request,
            hint='Write it as "3.11", "3.11.2" or ">=3.10,<3.13".',
        ) from error
    return lambda version: specifiers.contains(version, prereleases=False)


def _is_supported(answer: Mapping[str, Any]) -> bool:
    return bool(answer["minor"][0] == 3 and answer["markers"]["implementation_name"] == "cpython")


def _none_found(request: str, found: Sequence[tuple[str, str]]) -> ProviderError:
    lines = "".join(f"\n  {version:<8} {path}" for version, path in found) or "\n  none"
    wanted = request if _PREFIX.fullmatch(request.strip()) else f'"{request}"'
    return ProviderError(
        f"No CPython {wanted} was found on this machine. Found:{lines}",
        tool="python",
        request=request,
        hint=f"Install one (the distribution's package, `uv python install {request.strip()}`, pyenv), "
        "or change `python` under [packages].",
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    """Paths that may be interpreters, each real path once, those of other users left out."""
    seen: set[str] = set()
    for directory in _directories(environ):
        for path in _interpreters_in(directory):
            real = os.path.realpath(path)
            if real not in seen and os.path.isfile(real) and os.access(real, os.R_OK | os.X_OK):
                seen.add(real)
                yield path


def _directories(environ: Mapping[str, str]) -> Iterator[str]:
    # A relative entry of PATH means whatever project one is in: nothing to run unasked.
    yield from (each for each in environ.get("PATH", "").split(":") if os.path.isabs(each))
    yield from ("/usr/local/bin", "/usr/bin")
    home = environ.get("HOME") or os.path.expanduser("~")
    data = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")
    roots = (
        os.path.join(environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv"), "versions"),
        environ.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv/python"),
        os.path.join(environ.get("MISE_DATA_DIR") or os.path.join(data, "mise"), "installs/python"),
        os.path.join(environ.get("ASDF_DATA_DIR") or os.path.join(home, ".asdf"), "installs/python"),
    )
    for root in roots:
        yield from sorted(glob.glob(os.path.join(glob.escape(root), "*/bin")), key=_by_numbers, reverse=True)


def _by_numbers(path: str) -> tuple[list[int], str]:
    return [int(digits) for digits in re.findall(r"[0-9]{1,9}", path)], path


def _interpreters_in(directory: str) -> Iterator[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return
    fits = [match for match in map(_NAME.fullmatch, names) if match]
    # python3, python, then python3.13, python3.12, ...
    fits.sort(key=lambda match: (int(match.group(1) or 10**6), len(match.group())), reverse=True)
    yield from (os.path.join(directory, match.group()) for match in fits)


def _asked(
    path: str, passed_on: tuple[tuple[str, str], ...], environ: Mapping[str, str]
) -> dict[str, Any] | None:
    """The interpreter's answers, "executable" made real; None for what is no usable interpreter."""
    answer = remembered(path, passed_on, environ, lambda: _ask(path, passed_on))
    if answer is None or not _is_whole(answer):
        return None
    real = os.path.realpath(answer["executable"])
    if not (os.path.isfile(real) and os.access(real, os.R_OK | os.X_OK)):
        return None
    if os.path.exists(os.path.join(os.path.dirname(os.path.dirname(real)), "pyvenv.cfg")):
        return None  # a virtual environment made of copies: its base is found elsewhere
    return {**answer, "executable": real}


@lru_cache(maxsize=256)
def _ask(path: str, passed_on: tuple[tuple[str, str], ...]) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _QUESTION],
            env=dict(passed_on),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, RecursionError):
        return None
    return answer if _is_whole(answer) else None


def _is_whole(answer: Mapping[str, Any]) -> bool:
    try:
        named = isinstance(answer["markers"]["implementation_name"], str) and bool(answer["executable"])
        return named and isinstance(answer["version"], str) and len(answer["minor"]) == 2
    except (KeyError, TypeError):
        return False


def _host_python(answer: Mapping[str, Any]) -> HostPython:
    machine = _machine(answer)
    platforms = platform_tags(machine, answer["libc"])
    target = PythonTarget(
        version=answer["version"],
        implementation=answer["markers"]["implementation_name"],
        tags=_tags_of(answer, platforms),
        markers=answer["markers"],
    )
    return HostPython(answer["executable"], answer["version"], target)


def _machine(answer: Mapping[str, Any]) -> str:
    """The machine that the interpreter was built for; uname tells the kernel's."""
    machine: str = answer["markers"]["platform_machine"]
    if answer["bits"] == 32:
        return {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine)
    return machine


def _tags_of(answer: Mapping[str, Any], platforms: Sequence[str]) -> tuple[str, ...]:
    major, minor = answer["minor"]
    # SOABI: "cpython-311-x86_64-linux-gnu", with flags after the number ("37m", "313t", "312d").
    flags = answer["soabi"].split("-")[1:2] or [f"{major}{minor}"]
    abis = [f"cp{flags[0]}"]
    if abis[0].endswith("d"):
        abis.append(abis[0][:-1])  # a debug build loads what a release build does
    return wheel_tags(major, minor, abis, platforms)


def wheel_tags(major: int, minor: int, abis: Sequence[str], platforms: Sequence[str]) -> tuple[str, ...]:
    """The wheel tags of a CPython, best first."""
    from packaging.tags import compatible_tags, cpython_tags

    own = cpython_tags(python_version=(major, minor), abis=abis, platforms=platforms)
    others = compatible_tags(
        python_version=(major, minor), interpreter=f"cp{major}{minor}", platforms=platforms
    )
    return tuple(dict.fromkeys(str(tag) for tag in (*own, *others)))


_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def platform_tags(machine: str, libc: str) -> list[str]:
    """Wheel platforms for a machine, best first. `libc`: "glibc 2.36", or "" where it is musl.

    https://packaging.python.org/specifications/platform-compatibility-tags/
    """
    found = [f"linux_{machine}"]
    glibc = re.fullmatch(r"glibc (\d{1,3})\.(\d{1,3})(?:\..*)?", libc)
    if glibc and glibc.group(1) == "2":
        oldest = 5 if machine in {"x86_64", "i686"} else 17
        for minor in range(int(glibc.group(2)), oldest - 1, -1):
            found.append(f"manylinux_2_{minor}_{machine}")
            if minor in _OLD_NAMES:
                found.append(f"{_OLD_NAMES[minor]}_{machine}")
    elif not glibc:
        found += [f"musllinux_1_{minor}_{machine}" for minor in range(_musl_minor(machine), -1, -1)]
    return found


def _musl_minor(machine: str) -> int:
    """The minor version of musl 1.x, -1 where there is none: its loader says it when run."""
    loader = f"/lib/ld-musl-{machine}.so.1"
    try:
        done = subprocess.run([loader], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return -1
    found = re.search(rb"Version 1\.(\d{1,3})", done.stderr)
    return int(found.group(1)) if found else -1


def minor_version(version: str) -> str:
    """ "3.11.2" -> "3.11" """
    return ".".join(version.split(".")[:2])
