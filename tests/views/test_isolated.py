"""Versions that one Python package alone imports: what lies where, and what imports cannot tell apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv.adapter import SitePackages
from devenv.errors import DevenvError
from devenv.views.isolated import isolated_ops, tree_key
from devenv.views.operations import File, Op, Tree
from tests.support.wheels import make_wheel, wheel_package

SITE = "lib/python3.11/site-packages"


def operations(folder: Path, own: Mapping[str, str], inner: Mapping[str, str]) -> list[Op]:
    """Of packages with one module each; those of `inner` are isolated for "owner"."""
    trees = {name: make_wheel(str(folder / name), name, "1.0", {file: ""}) for name, file in own.items()}
    trees |= {
        tree_key("owner", name): make_wheel(str(folder / f"inner-{name}"), name, "2.0", {file: ""})
        for name, file in inner.items()
    }
    view = SitePackages(
        packages=tuple(wheel_package(name) for name in own),
        isolated={"owner": tuple(wheel_package(name, "2.0") for name in inner)} if inner else {},
    )
    return isolated_ops(view, trees=trees, site=SITE, root="/r")


def test_nothing_is_added_where_nothing_is_isolated(tmp_path: Path) -> None:
    assert operations(tmp_path, {"owner": "owner.py"}, {}) == []


def test_other_versions_lie_beside_site_packages(tmp_path: Path) -> None:
    found = operations(tmp_path, {"owner": "owner.py", "lib": "lib/__init__.py"}, {"lib": "lib/__init__.py"})
    assert [op.dest for op in found if isinstance(op, Tree)] == ["lib/python3.11/isolated/owner"]
    assert [op.dest for op in found if isinstance(op, File)] == [
        f"{SITE}/_devenv_isolated.py",
        f"{SITE}/_devenv_isolated.pth",
    ]


FAULTS = {
    "no modules": ({"owner": "data.txt"}, {"lib": "lib.py"}, "owner, which has no modules"),
    "one namespace": ({"owner": "ns/a.py"}, {"lib": "ns/b.py"}, "both have modules in ns"),
    "shared": (
        {"owner": "ns/a.py", "other": "ns/c.py"},
        {"lib": "lib.py"},
        "other has modules in ns as well",
    ),
}


@pytest.mark.parametrize(("own", "inner", "message"), FAULTS.values(), ids=FAULTS)
def test_what_imports_cannot_tell_apart_is_refused(
    tmp_path: Path, own: dict[str, str], inner: dict[str, str], message: str
) -> None:
    with pytest.raises(DevenvError, match=message) as caught:
        operations(tmp_path, own, inner)
    assert "docs/overrides.md" in str(caught.value.hint)


def test_an_import_that_fails_says_that_it_is_isolated(tmp_path: Path) -> None:
    """As modules do that look themselves up by their plain name."""
    made = operations(tmp_path, {"owner": "owner.py"}, {"lib": "lib.py"})
    text = next(op.contents for op in made if isinstance(op, File) and op.dest.endswith(".py"))
    site = tmp_path / "python" / SITE
    site.mkdir(parents=True)
    (site / "../isolated/owner").mkdir(parents=True)
    (site / "_devenv_isolated.py").write_bytes(text)
    (site / "owner.py").write_text("import lib\n")
    (site / "../isolated/owner/lib.py").write_text("raise ImportError('once only')\n")
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import _devenv_isolated, owner"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: once only (while importing lib in the version that owner alone has" in done.stderr
