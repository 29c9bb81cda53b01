from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv.store.errors import StoreError
from devenv.store.layout import Layout


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        pytest.param(
            "/opt/x/store", {"DEVENV_STORE_DIR": "/other", "HOME": "/home/u"}, "/opt/x/store", id="option"
        ),
        pytest.param(
            None, {"DEVENV_STORE_DIR": "/opt/y/objects", "HOME": "/home/u"}, "/opt/y/objects", id="variable"
        ),
        pytest.param(None, {"XDG_DATA_HOME": "/data", "HOME": "/home/u"}, "/data/devenv/store", id="XDG"),
        pytest.param(None, {"HOME": "/home/u"}, "/home/u/.local/share/devenv/store", id="home"),
        pytest.param(
            None,
            {"XDG_DATA_HOME": "data", "HOME": "/home/u"},
            "/home/u/.local/share/devenv/store",
            id="relative XDG",
        ),
        pytest.param(
            None,
            {"XDG_DATA_HOME": "", "DEVENV_STORE_DIR": "", "HOME": "/home/u"},
            "/home/u/.local/share/devenv/store",
            id="empty variables",
        ),
        pytest.param("//opt///x/../y/store/", {}, "/opt/y/store", id="not normalised"),
        pytest.param("/home/Anne Müller/store", {}, "/home/Anne Müller/store", id="blank and umlaut"),
    ],
)
def test_the_store_is_found(option: str | None, environ: Mapping[str, str], expected: str) -> None:
    layout = Layout.find(option, environ)
    assert layout.store == expected
    assert layout.root == os.path.dirname(expected)
    assert layout.store_dir.path == expected


def test_the_option_is_relative_to_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Layout.find("here/store", {}).store == os.path.realpath(tmp_path / "here/store")


def test_links_on_the_way_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    layout = Layout.find(f"{tmp_path}/link/devenv/store", {})
    assert layout.root == os.path.realpath(tmp_path / "real/devenv")


def test_without_home_the_account_says_where_it_is() -> None:
    home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    assert Layout.find(None, {}).root == f"{home}/.local/share/devenv"


@pytest.mark.parametrize(
    ("option", "environ", "message"),
    [
        pytest.param("/", {}, "the root directory", id="root"),
        pytest.param("/a:b/store", {}, "the character ':'", id="colon"),
        pytest.param("/a\nb/store", {}, r"the character '\\\\n'", id="newline"),
        pytest.param("/a\udcffb/store", {}, "the character", id="not UTF-8"),
        pytest.param("/a\0b/store", {}, "cannot be the store directory", id="NUL"),
        pytest.param(
            None, {"DEVENV_STORE_DIR": "relative"}, "a different place in each directory", id="relative"
        ),
    ],
)
def test_a_path_that_cannot_be_a_store_is_refused(
    option: str | None, environ: Mapping[str, str], message: str
) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        Layout.find(option, environ)
    assert caught.value.hint
    assert str(caught.value).isprintable()


def test_state_lies_beside_the_store_whatever_its_name() -> None:
    layout = Layout.find("/opt/devenv/objects", {})
    beside = {
        layout.state,
        layout.tmp,
        layout.log,
        layout.cache,
        layout.configuration,
    }
    assert {os.path.dirname(path) for path in beside} == {"/opt/devenv"}
    assert layout.database == "/opt/devenv/state/db/db.sqlite"
    assert layout.downloads == "/opt/devenv/tmp/downloads"


def test_layouts_are_values() -> None:
    assert Layout("/a") == Layout("/a", "/a/store") != Layout("/a", "/a/objects")
    assert len({Layout("/a"), Layout("/a", "/a/store")}) == 1


def test_finding_the_store_imports_nothing_slow() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from devenv.store.layout import Layout; Layout.find(None, {'HOME': '/home/u'})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    tree = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tree, capture_output=True, text=True, check=True
    )
    slow = {
        "re",
        "typing",
        "dataclasses",
        "pathlib",
        "subprocess",
        "sqlite3",
        "hashlib",
        "json",
        "contextlib",
    }
    assert not slow & set(done.stdout.split())
