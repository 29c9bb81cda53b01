"""Source and binary packages of the Debian-family archive that this machine is configured for, without root."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SOURCES = Path("/etc/apt")


def tools_script() -> ModuleType:
    """The script tools/test-tools as a module: it downloads packages with apt-get."""
    path = Path(__file__).parents[2] / "tools" / "test-tools"
    loader = importlib.machinery.SourceFileLoader("test_tools", str(path))
    spec = importlib.util.spec_from_loader("test_tools", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def unpack_packages(names: list[str], directory: Path) -> Path:
    """Download packages with what they need and this machine lacks, and unpack them below directory/root."""
    if shutil.which("apt-get") is None:
        pytest.skip("this machine has no apt-get")
    root = directory / "root"
    for package in tools_script().download(names, str(directory)):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True, capture_output=True)
    return root


def fetch_source(name: str, directory: Path) -> Path:
    """Download a source package as apt-get source does, and unpack its upstream part; the directory it makes."""
    parts, state = directory / "sources", directory / "source-state"
    for place in (parts, state / "lists" / "partial", state / "cache" / "archives" / "partial"):
        place.mkdir(parents=True)
    _with_sources(parts)
    apt = ["apt-get", "-q", "-y", "-o", "Debug::NoLocking=true", "-o", f"Dir::State={state}"]
    apt += ["-o", f"Dir::Cache={state / 'cache'}", "-o", f"Dir::Log={state}", "-o", "APT::Sandbox::User="]
    apt += ["-o", f"Dir::Etc::sourceparts={parts}", "-o", f"Dir::Etc::sourcelist={directory / 'none'}"]
    for command in (["update"], ["source", "--download-only", name]):
        done = subprocess.run([*apt, *command], cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    archive = next(directory.glob(f"{name}_*.orig.tar.*"))
    subprocess.run(["tar", "-xf", archive], cwd=directory, check=True)
    return next(path for path in directory.iterdir() if path.is_dir() and path.name.startswith(f"{name}-"))


def _with_sources(parts: Path) -> None:
    """This machine's archives, asked for sources as well; those that have none for us are left out."""
    for path in sorted((SOURCES / "sources.list.d").glob("*.sources")):
        text = re.sub(r"(?m)^Types:.*$", "Types: deb-src", path.read_text())
        if "Components:" in text:
            (parts / path.name).write_text(text)
    lists = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.exists():
            text = re.sub(r"(?m)^deb(-src)? ", "deb-src ", path.read_text())
            (parts / (path.stem + ".list")).write_text(text)


def relocate(root: Path, *, folders: list[str]) -> None:
    """Make unpacked scripts find each other below `root`: they have the absolute paths of an installed system."""
    pattern = re.compile(rb"(?<![\w.])/usr/(share/(?:autoconf|automake|aclocal)|bin/(?:m4|auto\w+|aclocal))")
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                data = path.read_bytes()
                if b"\0" not in data[:4096] and b"/usr/" in data:
                    new = pattern.sub(rb"%s/usr/\1" % os.fsencode(root), data).replace(
                        b"'/usr'", b"'%s/usr'" % os.fsencode(root)
                    )
                    path.write_bytes(new)
