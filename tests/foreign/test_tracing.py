"""What a program looked for in vain: real programs under the real loader and strace, and logs as these write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.foreign.explaining import causes
from devenv.foreign.running import Started, watch
from devenv.foreign.tracing import Vain, add_loaders, of_calls, traced
from tests.foreign.conftest import Compile
from tests.support.programs import program

# A thread, a child and the program itself look for things; what is there is looked for as well.
OPENS = r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *thread(void *unused) {
    for (int i = 0; i < 200; i++) access("/usr/share/no such/of a thread", R_OK);
    dlopen("libof-thread.so.7", RTLD_NOW);
    return unused;
}
int main(int count, char **words) {
    if (count > 2) return dlopen("libof-child.so.3", RTLD_NOW) != NULL;
    pthread_t other;
    pthread_create(&other, NULL, thread, NULL);
    for (int i = 0; i < 200; i++) access("/etc/no-such-setting", R_OK);
    pthread_join(other, NULL);
    dlopen("libm.so.6", RTLD_NOW);
    dlopen(words[1], RTLD_NOW);
    open("/usr", O_RDONLY);
    fprintf(stderr, "toolkit: \"cannot open display\"\n");
    if (fork() == 0) execl(words[0], words[0], "x", "child", (char *)0);
    wait(NULL);
    return 5;
}
"""


@pytest.fixture
def tool(compile_c: Compile) -> list[str]:
    """The words that start it: its second is a library with a symbol that nobody has."""
    library = compile_c(
        "lib/liblacks.so", "int gone(void); int f(void) { return gone(); }", "-shared", "-fPIC"
    )
    return [str(compile_c("app/tool", OPENS, "-pthread", "-ldl")), str(library)]


def check_libraries(found: Vain, words: list[str]) -> None:
    assert found.libraries == {"libof-thread.so.7": words[0], "libof-child.so.3": words[0]}
    (error,) = found.errors
    assert error.startswith(f"{words[1]}: ")
    assert [cause.text for cause in causes(error)] == ["no library has the symbol gone"]


def test_libraries_files_and_messages_are_seen_of_threads_and_children(tool: list[str]) -> None:
    strace = os.path.dirname(program("strace"))
    environ = {"PATH": f"{os.environ['PATH']}:{strace}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environ["PATH"])
        status, found = traced(Started(argv=tool, environ=environ, launch=None), watch)
    assert status == 5 and found.calls
    check_libraries(found, tool)
    assert sorted(found.files) == ["/etc/no-such-setting", "/usr/share/no such/of a thread"]
    assert found.said.endswith('toolkit: "cannot open display"\n')
    assert "there is no display" in causes(found.said)[0].text


@pytest.mark.parametrize("broken", [False, True], ids=["no strace", "an strace that may not trace"])
def test_without_a_working_strace_libraries_are_seen_all_the_same(
    tool: list[str], broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken:
        (tmp_path / "strace").write_text("#!/bin/sh\necho 'ptrace: Operation not permitted' >&2\nexit 1\n")
        (tmp_path / "strace").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    status, found = traced(Started(argv=tool, environ={"PATH": str(tmp_path)}, launch=None), watch)
    assert status == 5 and not found.calls and not found.files
    check_libraries(found, tool)


def test_calls_that_were_cut_apart_are_put_together() -> None:
    trace = [
        '11 openat(AT_FDCWD, "/etc/one", O_RDONLY <unfinished ...>\n',
        '12 access("/etc/two", R_OK <unfinished ...>\n',
        '13 write(2, "a \\"word\\"\\n\\303\\244", 10) = 10\n',
        "11 <... openat resumed>) = -1 ENOENT (No such file or directory)\n",
        "12 <... access resumed>) = 0\n",
        '14 newfstatat(AT_FDCWD, "/opt/with \\"quotes\\"", 0x7ff, 0) = -1 ENOENT (No such file or directory)\n',
        '15 openat(AT_FDCWD, "/etc/denied", O_RDONLY) = -1 EACCES (Permission denied)\n',
    ]
    found = of_calls(trace)
    assert found.files == ["/etc/one", '/opt/with "quotes"']
    assert found.said.startswith('a "word"\n')


def test_what_is_found_at_last_is_not_missing() -> None:
    log = [
        "   7:\tfile=libGL.so.1 [0];  dynamically loaded by /app/a [0]",
        "   7:\tfind library=libGL.so.1 [0]; searching",
        "   7:\tfile=libz.so.1 [0];  needed by /app/b c [0]",
        "   7:\tfile=libz.so.1 [0];  generating link map",
        "   7:\tfile=/app/x/libGL.so.1 [0];  dynamically loaded by /app/a [0]",
        "   7:\tfile=/app/x/libGL.so.1 [0];  generating link map",
    ]
    found = Vain()
    add_loaders(found, log[:4])
    assert found.libraries == {"libGL.so.1": "/app/a"}
    found = Vain()
    add_loaders(found, log)
    assert found.libraries == {}


@given(st.text(alphabet=st.sampled_from('<>.()"\\=-1 ENOTopenatwri2,/usr\n'), max_size=300))
def test_any_trace_is_read(text: str) -> None:
    of_calls(text.splitlines())
    add_loaders(Vain(), text.splitlines())
