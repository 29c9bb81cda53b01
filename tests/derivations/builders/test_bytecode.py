"""Byte code: for the interpreter that will read it, in the right places, the same every time."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.derivations.builders import bytecode
from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError
from tests.derivations.archives import listing

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SUFFIX = f".{sys.implementation.cache_tag}.pyc"

# Names and constants that occur in the compiler's own process, in other modules and in sets: whatever could
# differ from one run to the next.
TRICKY = '''
import os, sys, json
names = {"alpha", "beta", "gamma", "path", "self", "os", "json", "rare_name_in_here"}
def f(self, path, *, rare_name_in_here=(1, 2.5, "alpha", b"x", None, ...)):
    """Doc."""
    return path in {"alpha", "beta", "gamma"} and [self for self in names if self not in ("path", "os")]
class C:
    rare_name_in_here: int = 3
    def g(self): return lambda source, target: (source, target, "rare_name_in_here", "source")
'''


@pytest.fixture
def interpreters() -> Iterator[Interpreters]:
    running = Interpreters()
    yield running
    running.close()


def write(root: Path, files: dict[str, str | bytes]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(root)


def compiled(
    tmp_path: Path, interpreters: Interpreters, source: str, name: str = "out"
) -> dict[str, tuple[str, bytes]]:
    target = tmp_path / name
    bytecode.build(
        Job(
            label="demo 1.0",
            env={"src": source, "python": VERSION},
            target=str(target),
            pythons={VERSION: sys.executable},
            interpreters=interpreters,
        )
    )
    return listing(target)


def test_only_what_goes_into_site_packages_is_compiled(tmp_path: Path, interpreters: Interpreters) -> None:
    source = write(
        tmp_path / "wheel",
        {
            "top.py": "",
            "pkg/__init__.py": "",
            "pkg/sub/mod.py": "x = 1",
            "pkg/not-a-module.py": "",
            "pkg/data.txt": "",
            "pkg/tests/test_mod.py": "",
            "pkg/sub/test/deep/more.py": "",
            "tests/only_at_the_top.py": "",
            "pkg/__pycache__/stale.py": "",
            "demo-1.0.dist-info/x.py": "",
            "demo-1.0.data/purelib/pure.py": "",
            "demo-1.0.data/platlib/p/plat.py": "",
            "demo-1.0.data/scripts/script.py": "",
            "demo-1.0.data/data/share/x.py": "",
        },
    )
    os.symlink("top.py", tmp_path / "wheel/link.py")
    assert set(compiled(tmp_path, interpreters, source)) == {
        f"{place}{SUFFIX}"
        for place in (
            "__pycache__/top",
            "pkg/__pycache__/__init__",
            "pkg/sub/__pycache__/mod",
            "pkg/__pycache__/not-a-module",
            "tests/__pycache__/only_at_the_top",
            "demo-1.0.data/purelib/__pycache__/pure",
            "demo-1.0.data/platlib/p/__pycache__/plat",
        )
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("print 'two'", id="Python 2"),
        pytest.param("x = {{ cookiecutter }} %", id="template"),
        pytest.param(b"x = '\xff'", id="not UTF-8"),
        pytest.param(b"x = 1\0", id="NUL"),
        pytest.param("# coding: no-such\n", id="unknown encoding"),
        pytest.param("(" * 3000, id="deep brackets"),
        pytest.param("x = " + "-" * 200_000 + "1", id="deep expression"),
    ],
)
def test_what_does_not_compile_is_left_out(
    tmp_path: Path, interpreters: Interpreters, text: str | bytes
) -> None:
    source = write(tmp_path / "wheel", {"bad.py": text, "good.py": "'\\d'  # warns"})
    assert set(compiled(tmp_path, interpreters, source)) == {f"__pycache__/good{SUFFIX}"}


def test_a_wheel_without_modules_gives_an_empty_tree(tmp_path: Path, interpreters: Interpreters) -> None:
    source = write(tmp_path / "wheel", {"demo-1.0.dist-info/METADATA": ""})
    assert compiled(tmp_path, interpreters, source) == {}


def test_python_uses_it_without_asking_whether_the_source_changed(
    tmp_path: Path, interpreters: Interpreters
) -> None:
    source = write(
        tmp_path / "wheel", {"mod.py": "def where(): return where.__code__.co_filename\nvalue = 1\n"}
    )
    compiled(tmp_path, interpreters, source)
    environment = tmp_path / "env"
    environment.mkdir()
    (environment / "mod.py").write_text("value = 2\n")
    (environment / "__pycache__").symlink_to(tmp_path / "out" / "__pycache__")
    said = subprocess.run(
        [sys.executable, "-c", "import mod; print(mod.value, mod.where())"],
        cwd=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["1", str(environment / "mod.py")]


def test_the_code_is_what_python_itself_would_compile(tmp_path: Path, interpreters: Interpreters) -> None:
    source = write(tmp_path / "wheel", {"mod.py": TRICKY})
    ((_, ours),) = compiled(tmp_path, interpreters, source).values()
    py_compile.compile(
        f"{source}/mod.py",
        cfile=str(tmp_path / "theirs"),
        dfile="mod.py",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        doraise=True,
    )
    theirs = (tmp_path / "theirs").read_bytes()
    assert ours[:16] == theirs[:16]
    import marshal

    assert marshal.loads(ours[16:]) == marshal.loads(theirs[16:])


def test_two_builds_give_the_same_bytes_whatever_came_before(
    tmp_path: Path, interpreters: Interpreters, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = {
        f"lib/{name}": Path(os.__file__).with_name(name).read_bytes()
        for name in ("argparse.py", "dataclasses.py", "typing.py", "tarfile.py")
    }
    source = write(
        tmp_path / "wheel", {"mod.py": TRICKY, "latin.py": b"# coding: latin-1\nx = '\xe4'\n", **library}
    )
    other = write(tmp_path / "other", {"a.py": TRICKY * 3, "b.py": "rare_name_in_here = 'source'\n"})
    first = compiled(tmp_path, interpreters, source, "first")
    compiled(tmp_path, interpreters, other, "between")
    assert compiled(tmp_path, interpreters, source, "second") == first
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    monkeypatch.setenv("LC_ALL", "C")
    anew = Interpreters()
    try:
        elsewhere = write(tmp_path / "quite/another/place", {"w.py": ""})
        compiled(tmp_path, anew, elsewhere, "third")
        moved = write(tmp_path / "moved-to-a-longer-place", {"mod.py": TRICKY})
        os.rename(f"{source}/lib", f"{moved}/lib")
        os.rename(f"{source}/latin.py", f"{moved}/latin.py")
        assert compiled(tmp_path, anew, moved, "fourth") == first
    finally:
        anew.close()


def test_a_missing_interpreter_is_an_error_that_names_the_version(
    tmp_path: Path, interpreters: Interpreters
) -> None:
    job = Job(
        label="demo 1.0",
        env={"src": str(tmp_path), "python": "3.99"},
        target=str(tmp_path / "out"),
        pythons={},
        interpreters=interpreters,
    )
    with pytest.raises(BuildError, match=r"demo 1\.0.*Python 3\.99"):
        bytecode.build(job)


@pytest.mark.parametrize("path", ["/no/such/python", "/bin/false"], ids=["missing", "broken"])
def test_an_interpreter_that_does_not_work_is_an_error(
    tmp_path: Path, interpreters: Interpreters, path: str
) -> None:
    with pytest.raises(BuildError, match=path):
        interpreters.compile(path, str(tmp_path), str(tmp_path / "out"))


def test_an_interpreter_that_died_is_started_again(tmp_path: Path, interpreters: Interpreters) -> None:
    source = write(tmp_path / "wheel", {"mod.py": ""})
    compiled(tmp_path, interpreters, source)
    (process,) = interpreters._running.values()
    process.kill()
    process.wait()
    with pytest.raises(BuildError):
        compiled(tmp_path, interpreters, source, "second")
    assert compiled(tmp_path, interpreters, source, "third")
