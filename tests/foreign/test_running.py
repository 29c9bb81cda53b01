"""Starting programs that need no root, and the parts of what happens around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.foreign import drivers
from devenv.foreign.environ import has_locale, variables
from devenv.foreign.explaining import causes, of_status
from devenv.foreign.memory import Memory
from devenv.foreign.openings import features_of
from devenv.foreign.plans import Plan, as_json, from_json
from devenv.foreign.systems import System
from devenv.foreign.tracing import of_calls
from devenv.roots import LocalDeb
from tests.foreign.conftest import Compile
from tests.support.devenv import User

ECHO = """
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
int main(int count, char **words) {
    for (int i = 1; i < count; i++) puts(words[i]);
    if (count > 1 && !strcmp(words[1], "die")) raise(SIGTERM);
    return count > 1 ? atoi(words[1]) : 0;
}
"""


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


def test_words_and_status_are_the_programs_own(user: User, compile_c: Compile, tmp_path: Path) -> None:
    path = str(compile_c("app/echo", ECHO))
    for _ in range(2):  # watched, then as remembered
        done = user.run("run", path, "7", "--", "--base", "a b", cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout) == (7, "7\n--\n--base\na b\n")
    assert user.run("run", path, cwd=tmp_path).returncode == 0
    assert user.run("run", path, "die", cwd=tmp_path, check=False).returncode == -signal.SIGTERM
    assert os.listdir(user.store_root / "state/foreign/plans")


def test_a_plan_is_explained_and_nothing_is_started(user: User, compile_c: Compile, tmp_path: Path) -> None:
    path = compile_c("app/echo", ECHO)
    done = user.run("run", "--explain", str(path), "7", cwd=tmp_path)
    assert f"starts    {path}" in done.stdout and "as it is" in done.stdout


def test_what_changes_is_decided_anew(user: User, compile_c: Compile, tmp_path: Path) -> None:
    path = compile_c("app/echo", ECHO)
    user.run("run", str(path), cwd=tmp_path)
    path.write_text("#!/bin/sh\necho a script now\n")
    path.chmod(0o755)
    assert user.run("run", str(path), cwd=tmp_path).stdout == "a script now\n"


def test_a_file_that_may_not_be_executed_is_said_to_be_so(
    user: User, compile_c: Compile, tmp_path: Path
) -> None:
    path = compile_c("app/echo", ECHO)
    path.chmod(0o644)
    done = user.run("run", str(path), cwd=tmp_path, check=False)
    assert done.returncode == 1 and "chmod +x" in done.stderr


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("\tlibfoo.so.1 => not found", "the library libfoo.so.1 is missing"),
        (
            "./x: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory",
            "the library libatomic.so.1 is missing",
        ),
        (
            "./ls: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by ./ls)",
            "libc.so.6 is too old: ls needs GLIBC_2.38 of it",
        ),
        (
            "./x: symbol lookup error: ./x: undefined symbol: answer, version ANSWER_2",
            "no library has the symbol answer of version ANSWER_2",
        ),
        (
            "Error loading shared library libstdc++.so.6: No such file or directory (needed by ./bun)",
            "the library libstdc++.so.6 is missing, which ./bun needs, built for musl",
        ),
        ("/usr/lib/libGL.so.1: wrong ELF class: ELFCLASS64", "for another word size"),
        ("No usable sandbox! Update your kernel", "user namespaces"),
        ("dlopen(): error loading libfuse.so.2", "FUSE"),
    ],
)
def test_messages_are_translated(message: str, said: str) -> None:
    assert said in " ".join(cause.text for cause in causes(f"something else\n{message}\n"))


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    assert all(cause.text for cause in causes(text))


def test_the_real_loaders_messages_are_understood(compile_c: Compile, tmp_path: Path) -> None:
    compile_c("libs/libgone.so", "int f(void) { return 0; }", "-shared", "-fPIC", "-Wl,-soname,libgone.so.3")
    path = compile_c("main", "int f(void); int main(void) { return f(); }", "-Llibs", "-lgone")
    done = subprocess.run([path], env={"LC_ALL": "C"}, capture_output=True, text=True)
    assert [cause.library for cause in causes(done.stderr)] == ["libgone.so.3"]


def test_a_trace_says_what_was_found_nowhere() -> None:
    trace = [
        '12 openat(AT_FDCWD, "/lib/libGL.so.1", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)',
        '12 openat(AT_FDCWD, "/usr/lib/libGL.so.1", O_RDONLY|O_CLOEXEC) = 3',
        '12 openat(AT_FDCWD, "/usr/lib/libEGL.so.1", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)',
        '12 access("/usr/share/game/data", R_OK) = -1 ENOENT (No such file or directory)',
        '12 newfstatat(AT_FDCWD, "/etc/passwd", {st_mode=S_IFREG|0644}, 0) = 0',
    ]
    found = of_calls(trace)
    assert (found.libraries, found.files) == ({"libEGL.so.1": ""}, ["/usr/share/game/data"])


def test_ends_have_names() -> None:
    assert "status 3" in of_status(3)
    assert "SIGILL" in of_status(-signal.SIGILL) and "processor" in of_status(-signal.SIGILL)


def test_variables_of_this_machines_libraries_stay_outside(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/locale").mkdir(parents=True)
    given = {
        "LD_LIBRARY_PATH": "/usr/lib/x",
        "QT_PLUGIN_PATH": "/home/me/plugins",
        "LANG": "de_DE.UTF-8",
        "LC_TIME": "C",
        "HOME": "/home/me",
    }
    found = variables(str(tmp_path), given)
    assert "LD_LIBRARY_PATH" not in found
    assert (found["QT_PLUGIN_PATH"], found["LANG"], found["LC_TIME"]) == ("/home/me/plugins", "C.UTF-8", "C")
    (tmp_path / "usr/lib/locale/de_DE.utf8").mkdir()
    assert has_locale(str(tmp_path), "de_DE.UTF-8")
    assert variables(str(tmp_path), given)["LANG"] == "de_DE.UTF-8"


def nvidia_machine(root: Path) -> System:
    """A machine with NVIDIA's driver, as its packages lay it out."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00"
    for name in ("libGLX_nvidia.so.0", "libcuda.so.1", "libnvidia-glcore.so.550.1", "libc.so.6"):
        (libraries / name).write_bytes(header)
    for folder, name, library in (
        ("glvnd/egl_vendor.d", "10_nvidia.json", "libEGL_nvidia.so.0"),
        ("vulkan/icd.d", "nvidia_icd.json", "/usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0"),
        ("vulkan/icd.d", "radeon_icd.json", "/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so"),
    ):
        place = root / "usr/share" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(
            json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": library}})
        )

    class Machine(System):
        def all_libraries(self, architecture: str) -> list[tuple[str, str]]:
            names = sorted(os.listdir(libraries))
            return (
                [(name, f"/usr/lib/x86_64-linux-gnu/{name}") for name in names]
                if architecture == "amd64"
                else []
            )

    return Machine(str(root))


def test_nvidias_libraries_come_from_this_machine(tmp_path: Path) -> None:
    system = nvidia_machine(tmp_path)
    card = drivers.Graphics(nvidia=True, render=())
    found = drivers.imported(card, ("OpenGL",), "amd64", system, "/state", {})
    assert set(found.links) == {"libGLX_nvidia.so.0", "libcuda.so.1", "libnvidia-glcore.so.550.1"}
    assert found.links["libcuda.so.1"] == "/run/host/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    assert set(found.files) == {"egl_vendor.d/10_nvidia.json", "icd.d/nvidia_icd.json"}
    assert json.loads(found.files["icd.d/nvidia_icd.json"])["ICD"]["library_path"] == "libGLX_nvidia.so.0"
    assert found.environ["VK_DRIVER_FILES"] == "/state/icd.d/nvidia_icd.json"
    assert found.environ["__EGL_VENDOR_LIBRARY_DIRS"].split(":")[0] == "/state/egl_vendor.d"


@pytest.mark.parametrize(
    ("render", "features", "environ"),
    [
        ((), ("OpenGL",), {"LIBGL_ALWAYS_SOFTWARE": "1"}),
        (("/dev/dri/renderD128",), ("OpenGL",), {}),
        ((), ("sound",), {}),
    ],
    ids=["no card", "card", "no graphics"],
)
def test_the_processor_draws_where_there_is_no_card(
    render: tuple[str, ...], features: tuple[str, ...], environ: dict[str, str]
) -> None:
    card = drivers.Graphics(nvidia=False, render=render)
    assert drivers.imported(card, features, "amd64", System(), "/state", {}).environ == environ


def test_features_bring_their_drivers() -> None:
    found = {
        feature.name: feature for feature in features_of(["libva.so.2", "libvdpau.so.1", "libvulkan.so.1"])
    }
    assert {"mesa-va-drivers", "mesa-vdpau-drivers"} <= set(found["video decoding"].packages)
    assert "mesa-vulkan-drivers" in found["Vulkan"].packages


@given(st.text(max_size=200))
def test_any_vendor_file_is_read(text: str) -> None:
    drivers.rewritten(text)


def test_a_plan_is_kept_by_contents_and_place(tmp_path: Path) -> None:
    memory = Memory(str(tmp_path / "memory"))
    file = tmp_path / "a"
    file.write_text("one")
    first = memory.key(str(file), ["x"])
    assert memory.key(str(file), ["x"]) == first != memory.key(str(file), ["y"])
    file.write_text("two")
    assert memory.key(str(file), ["x"]) != first
    plan = Plan(
        route="root", start="/a", prefix=(), architecture="amd64", libc="glibc", base="debian/bookworm", packages=("x",),
        files=(LocalDeb(path="/a", name="n", version="1", architecture="all", sha256="0" * 64, size=1),), features=(),
        beside=(), reasons=("because",),
    )  # fmt: skip
    memory.keep(first, as_json(plan))
    assert from_json(memory.plan(first) or {}) == plan
    (tmp_path / "memory/plans" / f"{first}.json").write_text("{ damaged")
    assert memory.plan(first) is None
