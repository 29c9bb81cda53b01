"""Sources of Python packages: what is unpacked, what is refused, what is said about how they are built."""

from __future__ import annotations

import bz2
import contextlib
import io
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.derivations.builders.sdist import unpack_source
from devenv.derivations.errors import ArchiveError
from tests.support.sdists import sdist

MANIFEST = '[build-system]\nrequires = ["flit_core >=3"]\nbuild-backend = "flit_core.buildapi"\n'
PLAIN = {"pyproject.toml": MANIFEST, "pkg/__init__.py": "x = 1\n"}


def unpacked(tmp_path: Path, archive: bytes, subdirectory: str = "") -> Path:
    (tmp_path / "archive").write_bytes(archive)
    unpack_source(os.fspath(tmp_path / "archive"), os.fspath(tmp_path / "out"), subdirectory)
    return tmp_path / "out"


def tar_of(*members: tarfile.TarInfo) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, text in PLAIN.items():
            member = tarfile.TarInfo(f"kit-1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        for member in members:
            archive.addfile(member)
    return raw.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


def zip_of(files: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"kit-1/{name}", text)
    return raw.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(lambda: sdist(PLAIN), id="gzip"),
        pytest.param(lambda: bz2.compress(tar_of()), id="bzip2"),
        pytest.param(lambda: lzma.compress(tar_of()), id="xz"),
        pytest.param(tar_of, id="tar"),
        pytest.param(lambda: zip_of(PLAIN), id="zip"),
    ],
)
def test_every_kind_of_archive_gives_the_source_and_its_description(
    tmp_path: Path, archive: Callable[[], bytes]
) -> None:
    out = unpacked(tmp_path, archive())
    assert (out / "source/pkg/__init__.py").read_text() == "x = 1\n"
    assert json.loads((out / "build.json").read_text()) == {
        "backend": "flit_core.buildapi",
        "path": [],
        "requires": ["flit_core >=3"],
    }
    assert {path.stat().st_mtime for path in out.rglob("*")} == {1.0}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"setup.py": ""}, (["setuptools >= 40.8.0"], "setuptools.build_meta:__legacy__"), id="setup.py"
        ),
        pytest.param(
            {"pyproject.toml": "[project]\nname = 'x'\n"},
            (["setuptools >= 40.8.0"], "setuptools.build_meta:__legacy__"),
            id="no build-system",
        ),
        pytest.param(
            {"pyproject.toml": "[build-system]\nrequires = ['cython']\n"},
            (["cython"], "setuptools.build_meta:__legacy__"),
            id="no backend",
        ),
        pytest.param(
            {"pyproject.toml": "[build-system]\nbuild-backend = 'own:it'\n"}, ([], "own:it"), id="no requires"
        ),
    ],
)
def test_what_is_not_said_is_as_the_specification_has_it(
    tmp_path: Path, files: dict[str, str], expected: tuple[list[str], str]
) -> None:
    told = json.loads((unpacked(tmp_path, sdist(files)) / "build.json").read_text())
    assert (told["requires"], told["backend"]) == expected


def test_a_project_in_a_subdirectory_and_links_that_stay_inside(tmp_path: Path) -> None:
    files = {f"py/{name}": text for name, text in PLAIN.items()}
    out = unpacked(tmp_path, sdist(files), "py")
    assert json.loads((out / "build.json").read_text())["backend"] == "flit_core.buildapi"
    (tmp_path / "second").mkdir()
    links = tar_of(
        link("kit-1/inner", "pkg/__init__.py"),
        link("kit-1/hard", "kit-1/pkg/__init__.py", tarfile.LNKTYPE),
        link("kit-1/outer", "../../../../etc/passwd"),
        link("kit-1/absolute", "/etc/passwd"),
    )
    source = unpacked(tmp_path / "second", links) / "source"
    assert os.readlink(source / "inner") == "pkg/__init__.py"
    assert (source / "hard").read_text() == "x = 1\n"
    assert not os.path.lexists(source / "outer")
    assert not os.path.lexists(source / "absolute")


@pytest.mark.parametrize(
    ("archive", "subdirectory", "finding"),
    [
        pytest.param(sdist({"README": ""}), "", "neither pyproject.toml nor setup.py", id="no project"),
        pytest.param(sdist({"pyproject.toml": "= ["}), "", "is not TOML", id="no TOML"),
        pytest.param(
            sdist({"pyproject.toml": "[build-system]\nrequires = 3\n"}), "", "no list of texts", id="requires"
        ),
        pytest.param(
            sdist({"pyproject.toml": "[build-system]\nbuild-backend = 3\n"}),
            "",
            "that is no name",
            id="backend",
        ),
        pytest.param(
            sdist({"pyproject.toml": "[build-system]\nbuild-backend = 'x'\nbackend-path = ['../..']\n"}),
            "",
            "leaves the package",
            id="backend outside",
        ),
        pytest.param(sdist(PLAIN), "../x", "leaves the package", id="subdirectory outside"),
        pytest.param(sdist(PLAIN), "missing", "has no directory 'missing'", id="subdirectory missing"),
        pytest.param(sdist({"../../x": ""}), "", "leaves the package", id="path outside"),
        pytest.param(b"no archive at all" * 100, "", "is damaged", id="no archive"),
        pytest.param(bz2.compress(tar_of())[:60], "", "damaged", id="cut off"),
        pytest.param(zip_of(PLAIN)[:-30], "", "zip", id="zip cut off"),
    ],
)
def test_what_cannot_be_a_source_is_refused(
    tmp_path: Path, archive: bytes, subdirectory: str, finding: str
) -> None:
    with pytest.raises(ArchiveError, match=finding):
        unpacked(tmp_path, archive, subdirectory)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_our_error_or_no_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from([sdist(PLAIN), tar_of(), zip_of(PLAIN), lzma.compress(tar_of())]))
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(ArchiveError):
        unpacked(tmp_path_factory.mktemp("damage"), broken)
