"""The registry that a cargo takes by default, read in its program."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.debian.locked import LockedBase, LockedDeb
from devenv.providers.cargo_base import cargo_of_base, named_index


def deb(name: str) -> LockedDeb:
    return LockedDeb(
        name=name, version="1.85.0", architecture="amd64", path="p", size=1, sha256="0" * 64, archive="debian"
    )


@pytest.mark.parametrize(
    ("names", "found"), [(["cargo", "rustc"], "cargo"), (["rustc", "cargo-doc"], None), ([], None)]
)
def test_the_package_cargo_is_found_by_its_name(names: list[str], found: str | None) -> None:
    base = LockedBase(
        base="debian/trixie",
        architecture="amd64",
        suites=(),
        packages=tuple(deb(name) for name in names),
    )
    package = cargo_of_base(base)
    assert (package.name if package else None) == found


def test_without_a_base_there_is_no_cargo_of_it() -> None:
    assert cargo_of_base(None) is None


@pytest.mark.parametrize(
    ("indexes", "found"),
    [
        pytest.param(
            ["https://a.test/x", "https://index.test/default"], "https://index.test/default", id="one"
        ),
        pytest.param(["https://a.test/x"], "", id="none of them"),
        pytest.param([], "", id="none"),
    ],
)
def test_the_default_index_is_the_one_that_stands_in_the_program(
    tmp_path: Path, indexes: list[str], found: str
) -> None:
    program = tmp_path / "cargo"
    program.write_bytes(b"\x7fELF\0crates-iohttps://index.test/defaultsparse+https://s.test/\0")
    assert named_index(str(program), indexes) == found
