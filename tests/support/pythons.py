"""Targets that do not depend on the machine, and the data of the Python adapters' tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from packaging.tags import compatible_tags, cpython_tags

from devenv.adapter import Completions, Options, Plan, PythonTarget, SitePackages, Target
from devenv.errors import DevenvError, Problems
from tests.support.programs import program

DATA = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "python")


def linux_target(version: str = "3.11.2", machine: str = "x86_64", glibc: int = 36) -> Target:
    """CPython on Linux with glibc 2.`glibc`."""
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    platforms = []
    for minor in range(glibc, 4 if machine == "x86_64" else 16, -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        platforms += [f"{legacy[minor]}_{machine}"] if minor in legacy else []
    platforms.append(f"linux_{machine}")
    numbers = tuple(int(part) for part in version.split(".")[:2])
    interpreter = f"cp{numbers[0]}{numbers[1]}"
    tags = [
        *cpython_tags(numbers, platforms=platforms),
        *compatible_tags(numbers, interpreter=interpreter, platforms=platforms),
    ]
    return Target(
        machine=machine,
        python=PythonTarget(
            version=version,
            implementation="cpython",
            tags=tuple(str(tag) for tag in tags),
            markers={
                "implementation_name": "cpython",
                "implementation_version": version,
                "os_name": "posix",
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_release": "6.1.0",
                "platform_system": "Linux",
                "platform_version": "#1 SMP",
                "python_full_version": version,
                "python_version": ".".join(version.split(".")[:2]),
                "sys_platform": "linux",
            },
        ),
    )


def data(*names: str) -> str:
    """The text of a file of the tests' data."""
    with open(os.path.join(DATA, *names), encoding="utf-8") as file:
        return file.read()


def chosen(plan: Plan) -> dict[str, tuple[str, str]]:
    """name -> (version, file name) of what a plan installs."""
    assert isinstance(plan.view, SitePackages)
    return {package.name: (package.version, package.file.file_name) for package in plan.view.packages}


def editables(plan: Plan) -> dict[str, str]:
    """name -> directory of what a plan imports in place."""
    assert isinstance(plan.view, SitePackages)
    return {editable.name: editable.path for editable in plan.view.editables}


def messages(error: DevenvError) -> list[str]:
    """What an error says, one text for each problem."""
    return [str(problem) for problem in (error.problems if isinstance(error, Problems) else (error,))]


def failure(plan: Callable[[], object]) -> DevenvError:
    """The error that planning ends with."""
    try:
        plan()
    except DevenvError as error:
        return error
    raise AssertionError("planning did not fail")


def uv_program() -> str:
    """uv, which tests compare with; the test is skipped where it is missing."""
    return shutil.which("uv", path=os.path.dirname(sys.executable)) or program("uv")


NO_COMPLETIONS: Completions = {}
NO_OPTIONS = Options()
