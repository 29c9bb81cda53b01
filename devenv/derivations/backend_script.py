# ruff: noqa: SIM112 - a derivation's attributes are variables with the names that they have
"""The program that calls a build backend, inside a sandbox: its text is the builder of wheels.

It runs with the project's interpreter, from Python 3.7 on, and has nothing but the standard library. By PEP 517 it
loads the backend that `build.json` of the unpacked source (`devenv.derivations.builders.sdist`) names, in the root of
the project, and has it make a wheel; or asks it what else it needs for that.

Environment: src, out; subdirectory; settings, a JSON object; task, "wheel", "editable", or what one of them needs beside,
"requires" or "requires-editable"; package, its normal name; variables, a JSON object with more of the environment, may be
missing; cargo, a directory with its config.toml, of a package that is written in Rust. For "editable" (PEP 660) there are `directory`, where the project is, and `description`, the text of build.json, in
place of src and subdirectory; a backend without that hook makes nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# 1980-01-01, the earliest time that a zip file can hold.
_TIME = 315532800


def main() -> None:
    top, out, task = os.environ["NIX_BUILD_TOP"], os.environ["out"], os.environ["task"]
    if task == "editable":
        root, description = os.environ["directory"], json.loads(os.environ["description"])
    else:
        root, description = _copied(top)
    _prepare(top)
    os.chdir(root)
    # As the interpreter does with programs in a directory; old setup.py files import their neighbours.
    sys.argv[:] = ["setup.py"]
    sys.path[:0] = [os.path.join(root, each) for each in description["path"]]
    backend = _load(description["backend"])
    settings = json.loads(os.environ["settings"]) or None
    kind = "editable" if task.endswith("editable") else "wheel"
    if task.startswith("requires"):
        hook = getattr(backend, "get_requires_for_build_" + kind, None)
        found = list(hook(settings)) if hook is not None else []
        with open(out, "w", encoding="utf-8") as file:
            json.dump(sorted(found), file)
        return
    os.mkdir(out)
    if kind == "wheel" or hasattr(backend, "build_editable"):
        _check(getattr(backend, "build_" + kind)(out, settings), os.listdir(out))


def _copied(top: str) -> tuple[str, Any]:
    """A copy of the source that may be written, and what is said of its build."""
    with open(os.environ["src"] + "/build.json", encoding="utf-8") as file:
        description = json.load(file)
    source = os.path.join(top, "source")
    shutil.copytree(os.environ["src"] + "/source", source, symlinks=True)
    _make_writable(source)
    return os.path.join(source, os.environ["subdirectory"]), description


def _make_writable(source: str) -> None:
    """A store's files are read-only and from 1970."""
    for folder, names, files in os.walk(source):
        for name in [*names, *files, ""]:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o200)
                os.utime(path, (_TIME, _TIME))


def _prepare(top: str) -> None:
    home = os.path.join(top, "home")
    os.makedirs(home, exist_ok=True)
    os.environ["HOME"] = home
    if "cargo" in os.environ:
        os.environ["CARGO_HOME"] = os.path.join(home, ".cargo")
        os.mkdir(os.environ["CARGO_HOME"])
        shutil.copy(os.environ["cargo"] + "/config.toml", os.environ["CARGO_HOME"])
    cores = os.environ.get("NIX_BUILD_CORES", "1")
    for name in ("CMAKE_BUILD_PARALLEL_LEVEL", "MAX_JOBS", "NPY_NUM_BUILD_JOBS"):
        os.environ.setdefault(name, cores)
    # The compiler that this Python was made with need not be the one that is here.
    for name, config, others in (
        ("CC", "CC", ("cc", "gcc", "clang")),
        ("CXX", "CXX", ("c++", "g++", "clang++")),
    ):
        known = (sysconfig.get_config_var(config) or "").split(" ")[0]
        here = next((each for each in others if shutil.which(each)), None)
        if here is not None and not (known and shutil.which(known)):
            os.environ.setdefault(name, here)
    os.environ.update(json.loads(os.environ.get("variables", "{}")))


def _load(name: str) -> Any:
    module, _, path = name.partition(":")
    backend: Any = importlib.import_module(module)
    for part in path.split(".") if path else ():
        backend = getattr(backend, part)
    return backend


def _check(name: str, made: list[str]) -> None:
    wanted = os.environ["package"]
    found = re.sub(r"[-_.]+", "-", name.split("-")[0]).lower()
    if name not in made or found != wanted:
        sys.exit("the backend made {!r}, and not a wheel of {}".format(", ".join(made), wanted))


def _failed(error: BaseException) -> str:
    """What went wrong, for a log. Of a program that failed, what it printed itself says most."""
    if isinstance(error, (subprocess.CalledProcessError, FileNotFoundError)):
        return f"the build backend failed: {error}"
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()
    return "\n".join(["the build backend failed:", *lines[1:]])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever a backend raises
        sys.exit(_failed(error))
