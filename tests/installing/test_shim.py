"""The loader for machines without one: in a root that has nothing else, with real programs and the real loader."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

import devenv.installing.shim_code as module
from devenv.elf.elf import Elf
from devenv.errors import DevenvError
from devenv.foreign.program import LOADERS
from devenv.installing.loaders import architecture_of, check_place, place_loader
from devenv.installing.shim import is_shim, shim
from devenv.installing.shim_code import CODE
from devenv.sandbox import enter
from devenv.sandbox.spec import Bind, Directory, Mount, SandboxSpec
from tests.foreign.conftest import Compile
from tests.support import downloads
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the loader is made for x86-64")
USUAL = LOADERS["amd64"]
# Says what it sees, then starts itself once more: a child that needs the loader, too.
SOURCE = r"""
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int part(void);
int main(int count, char **words, char **variables) {
    char path[4096] = {0};
    readlink("/proc/self/exe", path, sizeof path - 1);
    printf("%s part %d, %d words, is %s, entry %s\n", words[0], part(), count, path,
           getauxval(AT_ENTRY) && getauxval(AT_PAGESZ) == 4096 ? "known" : "lost");
    for (char **each = environ; *each; each++) printf("  %s\n", *each);
    if (*variables) {
        while (*variables) variables++;
        for (unsigned long *aux = (unsigned long *)(variables + 1); *aux; aux += 2)
            if (*aux == AT_ENTRY && aux[1] != getauxval(AT_ENTRY)) puts("another entry behind the variables");
    }
    fflush(stdout);
    if (count > 1 && !strcmp(words[1], "child")) return 7;
    if (fork() == 0) {
        execl(path, "child", "child", (char *)0);
        _exit(1);
    }
    int status;
    wait(&status);
    return WEXITSTATUS(status);
}
"""

# Two libraries of packages, and the variable that leads to them.
OPENS = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#define OPENED(name) (dlopen(name, RTLD_NOW) != NULL)
int main(void) {
    printf("%d %d %d\\n", OPENED("libz.so.1"), OPENED("libpopt.so.0"), getenv("LD_LIBRARY_PATH") != NULL);
}
"""


@pytest.fixture
def libraries(compile_c: Compile, tmp_path: Path) -> Path:
    """A directory with the real C library and loader, and with one of the program's own."""
    place = tmp_path / "libraries"
    compile_c("libraries/libpart.so", "int part(void) { return 5; }", "-shared", "-fPIC")
    shutil.copy(os.path.realpath(USUAL), place / "ld.so")
    mapped = Path("/proc/self/maps").read_text()
    (libc,) = {line.split()[-1] for line in mapped.splitlines() if line.endswith("/libc.so.6")}
    shutil.copy(libc, place / "libc.so.6")
    return place


Tool = Callable[..., Path]


@pytest.fixture
def tool(compile_c: Compile, libraries: Path) -> Tool:
    def make(*options: str) -> Path:
        return compile_c("app/tool", SOURCE, "-Llibraries", "-lpart", *options)

    return make


def started(
    root: Path,
    words: list[str],
    environ: dict[str, str],
    tmp_path: Path,
    *,
    loader: bytes | None,
    usual: str = USUAL,
) -> tuple[int, list[str]]:
    """Status and output of a program in a root in which there is `root`, and `loader` where programs look for one."""
    require_sandboxes()
    mounts: list[Mount] = [
        Directory("/proc"),
        Bind("/proc", "/proc"),
        Bind(str(root), str(root)),
        Directory(os.path.dirname(usual)),
    ]
    if loader is not None:
        (tmp_path / "shim").write_bytes(loader)
        (tmp_path / "shim").chmod(0o755)
        mounts.append(Bind(str(tmp_path / "shim"), usual))
    spec = SandboxSpec(mounts=tuple(mounts), processes=False, uid=None, gid=None)
    out = tmp_path / "out"
    with open(out, "w") as file:
        process = enter.run(spec, words, environ, "/", stdout=file.fileno(), stderr=file.fileno())
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return status, out.read_text().splitlines()


def expected(path: Path, name: str, environ: dict[str, str], count: int = 1) -> list[str]:
    return [
        f"{name} part 5, {count} words, is {path}, entry known",
        *(f"  {key}={value}" for key, value in environ.items()),
    ]


@pytest.mark.parametrize(
    ("architecture", "source", "option"),
    [("amd64", "shim_x86_64.S", "-m64"), ("i386", "shim_i386.S", "-m32")],
    ids=["64", "32"],
)
def test_the_code_is_what_the_assembler_makes_of_its_source(
    architecture: str, source: str, option: str, tmp_path: Path
) -> None:
    path = Path(module.__file__).with_name(source)
    files = [str(tmp_path / name) for name in ("o", "code")]
    subprocess.run([program("gcc"), option, "-c", "-x", "assembler", path, "-o", files[0]], check=True)
    subprocess.run([program("objcopy"), "-O", "binary", "-j", ".text", *files], check=True)
    assert (tmp_path / "code").read_bytes() == CODE[architecture]


@pytest.mark.parametrize("architecture", ["amd64", "i386"])
def test_it_is_a_file_that_a_kernel_loads_anywhere(architecture: str, tmp_path: Path) -> None:
    path = tmp_path / "shim"
    path.write_bytes(shim("/ld.so", ["/a"] * 300, architecture))
    with Elf.open(str(path)) as elf:
        assert elf.interpreter is None and elf.dynamic == []
    done = subprocess.run([program("readelf"), "-lW", path], capture_output=True, check=True)
    assert done.stderr == b"" and b"DYN" in done.stdout and b"RWE" not in done.stdout
    assert is_shim(path.read_bytes()) and not is_shim(Path(os.path.realpath(USUAL)).read_bytes()[:65536])


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "usual": {"A": "1", "SHLVL": "2", "PATH": "/bin"},
    "own path": {"A": "1", "LD_LIBRARY_PATH": "/users/own", "Z": ""},
    "empty path": {"LD_LIBRARY_PATH": "", "A": "1"},
    "last": {"LD_BIND_NOW": "1", "LAST": "one"},
    "only the loader's": {"LD_BIND_NOW": "1"},
    "none": {},
}


@pytest.mark.parametrize("options", [(), ("-no-pie",)], ids=["PIE", "fixed address"])
def test_a_plain_program_and_its_child_run_and_see_no_variable_of_it(
    tool: Tool, libraries: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tool(*options)
    words = [str(path), "a b"]
    alone, _ = started(tmp_path, [str(libraries / "ld.so"), "--list", str(path)], {}, tmp_path, loader=None)
    assert alone != 0  # its library is in no directory that its loader knows
    loader = shim(str(libraries / "ld.so"), [str(libraries)])
    for environ in ENVIRONMENTS.values():
        status, said = started(tmp_path, words, environ, tmp_path, loader=loader)
        assert said == [*expected(path, str(path), environ, 2), *expected(path, "child", environ, 2)]
        assert status == 7


def test_without_it_the_same_program_cannot_be_started(tool: Tool, tmp_path: Path) -> None:
    from devenv.sandbox.errors import SandboxError

    with pytest.raises(SandboxError, match="No such file"):
        started(tmp_path, [str(tool())], {}, tmp_path, loader=None)


def test_variables_name_loader_and_libraries(tool: Tool, libraries: Path, tmp_path: Path) -> None:
    path = tool()
    for prefix, suffix in product(["DEVENV_LD", "NIX_LD"], ["", "_x86_64_linux"]):
        environ = {
            f"{prefix}{suffix}": str(libraries / "ld.so"),
            f"{prefix}_LIBRARY_PATH{suffix}": str(libraries),
            "X": "y",
        }
        status, said = started(tmp_path, [str(path)], environ, tmp_path, loader=shim())
        assert said == [*expected(path, str(path), environ), *expected(path, "child", environ, 2)]
        assert status == 7


def test_ours_come_before_nix_and_an_empty_one_is_none(tool: Tool, libraries: Path, tmp_path: Path) -> None:
    path = tool()
    environ = {
        "NIX_LD": "/wrong",
        "DEVENV_LD": str(libraries / "ld.so"),
        "DEVENV_LD_x86_64_linux": "",
        "NIX_LD_LIBRARY_PATH": "/wrong",
        "DEVENV_LD_LIBRARY_PATH": str(libraries),
    }
    status, _ = started(tmp_path, [str(path)], environ, tmp_path, loader=shim("/wrong", ["/wrong"]))
    assert status == 7


@pytest.mark.parametrize(
    ("name", "environ", "said"),
    [
        ("", {}, "does not know the real one"),
        ("/no/such/loader", {}, "/no/such/loader cannot be loaded"),
        ("", {"DEVENV_LD": "/no/such"}, "/no/such cannot be loaded"),
        ("tool", {}, "cannot be loaded"),
        ("text", {}, "cannot be loaded"),
        ("cut", {}, "cannot be loaded"),
    ],
    ids=["none", "missing", "missing by a variable", "a program", "a text", "cut off"],
)
def test_what_is_wrong_with_the_real_loader_is_said(
    tool: Tool, libraries: Path, name: str, environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    path = tool()
    (tmp_path / "text").write_text("#!/bin/sh\n" * 100)
    (tmp_path / "cut").write_bytes((libraries / "ld.so").read_bytes()[:100])
    real = str({"tool": path, "text": tmp_path / "text", "cut": tmp_path / "cut"}.get(name, name))
    status, lines = started(tmp_path, [str(path)], environ, tmp_path, loader=shim(real))
    assert status == 127 and said in lines[0] and "hint: " in lines[1]


def test_started_by_itself_it_is_the_real_loader(tool: Tool, libraries: Path, tmp_path: Path) -> None:
    path = tool()
    loader = shim(str(libraries / "ld.so"), [str(libraries)])
    environ = {"LD_TRACE_LOADED_OBJECTS": "1"}
    _, said = started(tmp_path, [USUAL, str(path)], environ, tmp_path, loader=loader)
    assert any(f"libpart.so => {libraries}/libpart.so" in line for line in said), said


def test_it_adds_few_system_calls_to_those_of_the_real_loader(
    tool: Tool, libraries: Path, tmp_path: Path
) -> None:
    strace = program("strace")
    (tmp_path / "shim").write_bytes(shim(str(libraries / "ld.so"), [str(libraries)]))
    (tmp_path / "shim").chmod(0o755)
    direct = tool(f"-Wl,-dynamic-linker,{libraries}/ld.so", f"-Wl,-rpath,{libraries}")
    counts = []
    for path in (direct, None):
        words = [str(path or tool(f"-Wl,-dynamic-linker,{tmp_path}/shim")), "child"]
        log = tmp_path / "log"
        subprocess.run([strace, "-o", log, *words], env={"X": "y"}, stdout=subprocess.DEVNULL, check=False)
        counts.append(len(log.read_text().splitlines()))
    assert counts[1] - counts[0] < 20, counts


@pytest.mark.parametrize("library", ["a:b", "a\0b"])
def test_what_cannot_be_written_into_it_is_refused(library: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        shim("/ld.so", [library])
    with pytest.raises(ValueError, match="room"):
        shim("/ld.so", ["/x" * 100] * 300)


def test_a_place_with_another_loader_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "ld.so"
    other.write_bytes(b"\x7fELF another")
    with pytest.raises(DevenvError, match="another is there already"):
        check_place(str(other))
    with pytest.raises(DevenvError, match="is a directory"):
        check_place(str(tmp_path))
    place_loader(str(tmp_path / "new/ld.so"), "", ())
    assert check_place(str(tmp_path / "new/ld.so")) == str(tmp_path / "new/ld.so")


def test_loaders_are_installed_listed_and_removed(libraries: Path, tool: Tool, tmp_path: Path) -> None:
    user = User(tmp_path / "home")
    place = tmp_path / "root/ld-linux-x86-64.so.2"
    words = ("--loader", str(libraries / "ld.so"), "--library-path", str(libraries))
    done = user.run("loader", "install", *words, str(place), cwd=tmp_path)
    assert done.stdout == f"{place}\n" == user.run("loader", "list", cwd=tmp_path).stdout
    path = tool(f"-Wl,-dynamic-linker,{place}")
    ran = subprocess.run([path], env={"X": "y"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 7 and "LD_" not in ran.stdout
    user.run("loader", "remove", str(place), cwd=tmp_path)
    assert not place.exists() and user.run("loader", "list", cwd=tmp_path).stdout == ""
    again = user.run("loader", "remove", str(place), cwd=tmp_path, check=False)
    assert again.returncode == 1 and "none was installed there" in again.stderr


@pytest.mark.slow
@pytest.mark.network
def test_a_loader_with_packages_runs_programs_in_a_root_without_any_and_survives_a_collection(
    compile_c: Compile, tmp_path: Path
) -> None:
    require_sandboxes()
    user = User(tmp_path / "home")
    place = tmp_path / "ld-linux-x86-64.so.2"
    user.run(
        "loader", "install", "--base", "debian/bookworm", "--package", "libpopt0", str(place), cwd=tmp_path
    )
    path = compile_c("app/tool", OPENS)
    for _ in range(2):
        status, said = started(tmp_path, [str(path)], {}, tmp_path, loader=place.read_bytes())
        assert status == 0 and said == ["1 1 0"], said
        user.run("gc", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("environ", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_32_bit_programs_and_their_children_run_and_see_no_variable_of_it(
    environ: dict[str, str], packages_32: Path, tmp_path: Path
) -> None:
    libraries = next(packages_32.rglob("i386-linux-gnu/ld-linux.so.2")).parent
    busybox = next(packages_32.rglob("bin/busybox"))
    loader = shim(str(libraries / "ld-linux.so.2"), [str(libraries)], "i386")
    for words in ([str(busybox), "env"], [str(busybox), "env", str(busybox), "env"]):
        status, said = started(packages_32, words, environ, tmp_path, loader=loader, usual=LOADERS["i386"])
        assert (status, said) == (0, [f"{key}={value}" for key, value in environ.items()])


@pytest.fixture(scope="module")
def packages_32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C library and a program of 32 bits, as files."""
    folder = tmp_path_factory.mktemp("i386")
    for name in ("libc6", "busybox"):
        cache = folder / "cache"
        downloads.unpacked_deb(name, folder / name, cache, base="debian/bookworm", architecture="i386")
    return folder


def test_the_name_says_which_programs_it_is_for() -> None:
    assert architecture_of("/lib/ld-linux.so.2") == "i386"
    assert architecture_of(LOADERS["amd64"]) == architecture_of("/opt/ld.so") == "amd64"
