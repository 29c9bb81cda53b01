"""The interpreter of a base, known from the lock alone; the machine's own Python is the referee."""

from __future__ import annotations

import os
import platform

import pytest

from devenv.debian.locked import LockedBase, LockedDeb
from devenv.providers.python_base import interpreter_of_base, python_of_base
from devenv.providers.python_host import find_python


def base(*packages: tuple[str, str], architecture: str = "amd64") -> LockedBase:
    debs = tuple(
        LockedDeb(name, version, architecture, f"pool/{name}.deb", 1, "0" * 64, "debian")
        for name, version in packages
    )
    return LockedBase("debian/test", architecture, (), debs)


TRIXIE = base(("libc6", "2.41-12"), ("python3.13", "3.13.5-2+deb13u1"), ("python3.13-minimal", "3.13.5-2"))


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        ("3.13", "3.13.5"),
        ("3.13.5", "3.13.5"),
        ("3", "3.13.5"),
        ("3.1", None),
        ("3.12", None),
        ("3.13.4", None),
    ],
)
def test_a_request_is_fulfilled_by_the_base_or_not(request_: str, version: str | None) -> None:
    assert python_of_base(TRIXIE, request_) == version


def test_another_architectures_python_is_not_meant() -> None:
    foreign = TRIXIE.packages[1]._replace(architecture="i386")
    assert python_of_base(TRIXIE._replace(packages=(foreign,)), "3.13") is None


def test_it_lies_in_the_root_and_takes_what_its_library_allows() -> None:
    found = interpreter_of_base(TRIXIE, "3.13.5")
    assert (found.path, found.in_root) == ("/usr/bin/python3.13", True)
    assert found.target.tags[1] == "cp313-cp313-manylinux_2_41_x86_64"
    assert "cp313-cp313-manylinux2014_x86_64" in found.target.tags
    assert "py3-none-any" in found.target.tags
    assert found.target.markers["python_full_version"] == "3.13.5"


def test_the_machines_own_python_would_take_the_same() -> None:
    if os.uname().machine != "x86_64" or platform.libc_ver()[0] != "glibc":
        pytest.skip("the tags of this machine are others")
    host = find_python("*", os.environ)
    minor = ".".join(host.version.split(".")[:2])
    same = base(("libc6", f"{platform.libc_ver()[1]}-1"), (f"python{minor}", f"{host.version}-1"))
    found = interpreter_of_base(same, host.version)
    assert found.target.tags == host.target.tags
    assert dict(found.target.markers) == dict(host.target.markers)
