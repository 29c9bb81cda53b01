"""The Python that is among a project's system packages: known from the lock alone, before any of it is here.

What can be installed for it follows from its version and the C library of the same base; where the machine's own
interpreter is asked by running it, this one cannot be yet.
"""

from __future__ import annotations

import os
import re

from devenv.adapter import PythonTarget
from devenv.debian.locked import LockedBase
from devenv.debian.toolchains import upstream
from devenv.providers.python_host import HostPython, platform_tags, wheel_tags

_NAME = re.compile(r"python(3\.\d+)", re.ASCII)
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686"}


def python_of_base(base: LockedBase, request: str) -> str | None:
    """The version of the base's interpreter that fulfils `request` ("3", "3.13", "3.13.5"), None without one."""
    found = []
    for deb in base.packages:
        version = upstream(deb.version)
        fits = version == request or version.startswith(f"{request}.")
        if fits and _NAME.fullmatch(deb.name) and deb.architecture == base.architecture:
            found.append(version)
    return max(found, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], default=None)


def interpreter_of_base(base: LockedBase, version: str) -> HostPython:
    """The interpreter `version`, which `python_of_base` gave, as it is in the root."""
    minor = ".".join(version.split(".")[:2])
    return HostPython(f"/usr/bin/python{minor}", version, _target(base, version, minor), in_root=True)


def _target(base: LockedBase, version: str, minor: str) -> PythonTarget:
    machine = _MACHINES.get(base.architecture, base.architecture)
    uname = os.uname()
    major, small = (int(part) for part in minor.split("."))
    return PythonTarget(
        version=version,
        implementation="cpython",
        tags=wheel_tags(major, small, [f"cp{major}{small}"], platform_tags(machine, _libc(base))),
        markers={
            "implementation_name": "cpython",
            "implementation_version": version,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": uname.release,
            "platform_system": "Linux",
            "platform_version": uname.version,
            "python_full_version": version,
            "python_version": minor,
            "sys_platform": "linux",
        },
    )


def _libc(base: LockedBase) -> str:
    """The base's C library, as `platform_tags` wants it."""
    for deb in base.packages:
        match = re.match(r"2\.\d+", deb.version) if deb.name == "libc6" else None
        if match is not None and deb.architecture == base.architecture:
            return f"glibc {match[0]}"
    return "glibc 2.17"  # what every base has
