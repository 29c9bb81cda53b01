"""Which libraries of the system Python packages need in vain."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from devenv.foreign.environments import missing_libraries


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A package with an extension module that needs one library of its own and one that nobody has."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    site = tmp_path / "site"
    (site / "kit/_libs").mkdir(parents=True)
    (tmp_path / "empty.c").write_text("int empty(void) { return 0; }\n")

    def library(path: Path, soname: str, *needs: Path) -> Path:
        options = ["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{soname}"]
        subprocess.run(["cc", *options, "-o", path, tmp_path / "empty.c", *needs], check=True)
        return path

    own = library(site / "kit/_libs/libown-1a2b.so.1", "libown-1a2b.so.1")
    gone = library(tmp_path / "libgone.so.7", "libgone.so.7")
    host = library(tmp_path / "libhost.so.2", "libhost.so.2")
    library(site / "kit/fast.so", "fast.so", own, gone, host)
    library(site / "single.cpython-311.so", "single.so", gone)
    (site / "kit/text.so").write_text("no library at all\n")
    (site / "kit/cut.so").write_bytes((site / "kit/fast.so").read_bytes()[:100])
    return site


def test_what_neither_the_packages_nor_the_system_have_is_named(site: Path) -> None:
    found = missing_libraries(str(site), lambda name: name == "libhost.so.2")
    assert found == {"libgone.so.7": ("kit", "single")}


def test_nothing_is_missing_where_the_system_has_all(site: Path) -> None:
    assert missing_libraries(str(site), lambda name: True) == {}
