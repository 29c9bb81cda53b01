"""What sessions keep: the user's lines, hosts, and directories that packages left empty."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.fhs import state


@pytest.fixture
def composed(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for place in (
        "etc",
        "opt/vendor",
        "usr/lib/tmpfiles.d",
        "var/lib/postgresql",
        "var/lib/dpkg/info",
        "var/log/redis",
    ):
        (root / place).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "var/lib/dpkg/status").write_text("x")
    (root / "usr/lib/tmpfiles.d/a.conf").write_text(
        "d /run/screen 0777\nd /var/run/x/y 0755\nD! /run/../etc\nL /run/no\nd /run/user\n# d /run/z\n"
    )
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nother:x:77:77::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    return root


def test_a_root_tells_what_it_is_made_of(composed: Path) -> None:
    found = state.root(str(composed))
    assert found.links == {"bin": "usr/bin"}
    assert found.opt == ("vendor",)
    assert set(found.written) == {"var/lib/postgresql", "var/lib/dpkg/info", "var/log/redis"}
    assert set(found.run) == {"screen", "x/y", "postgresql", "redis", "dpkg"}
    assert set(found.daemons) == {"postgresql", "redis", "dpkg"}


def test_a_root_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(DevenvError, match="entering the root"):
        state.root(str(tmp_path / "gone"))


def test_the_user_is_among_the_users(composed: Path, tmp_path: Path) -> None:
    state.prepare(str(tmp_path / "state"), state.root(str(composed)))
    lines = (tmp_path / "state/etc/passwd").read_text().splitlines()
    mine = [line for line in lines if line.split(":")[2] == str(os.getuid())]
    assert [line.split(":")[0] for line in mine] == [pwd.getpwuid(os.getuid()).pw_name]
    assert "other:x:77:77::/:/bin/sh" in lines
    assert (tmp_path / "state/var/lib/postgresql").is_dir()


def test_hosts_follow_the_machine_and_keep_what_was_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = ["127.0.0.1 localhost\n", "10.0.0.1 old\n"]
    real = state._lines
    monkeypatch.setattr(state, "_lines", lambda path: machine if path == "/etc/hosts" else real(path))
    own = Path(state.refresh_hosts(str(tmp_path)))
    state.add_host(str(tmp_path), "db.test", "127.0.0.9")
    state.add_host(str(tmp_path), "db.test", "127.0.0.10")
    own.write_text(own.read_text().replace("10.0.0.1 old\n", "") + "::1 typed\n")
    machine[:] = ["127.0.0.1 localhost\n", "10.0.0.1 old\n", "10.0.0.2 new\n"]
    state.refresh_hosts(str(tmp_path))
    assert own.read_text().splitlines() == [
        "127.0.0.1 localhost",
        "10.0.0.2 new",
        "127.0.0.10\tdb.test",
        "::1 typed",
    ]


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()


def test_a_state_that_cannot_be_written_is_said(composed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DevenvError, match="where a session in a root keeps its files"):
        state.prepare(str(tmp_path / "file"), state.root(str(composed)))


def test_hosts_that_were_added_can_be_listed_and_removed(tmp_path: Path) -> None:
    place = str(tmp_path)
    state.add_host(place, "db.test", "127.0.0.9")
    state.add_host(place, "six.test", "::1")
    assert state.added_hosts(place) == ["127.0.0.9\tdb.test\n", "::1\tsix.test\n"]
    assert state.remove_host(place, "db.test")
    assert not state.remove_host(place, "db.test")
    assert not state.remove_host(place, "localhost")
    assert state.added_hosts(place) == ["::1\tsix.test\n"]
    assert Path(place, "etc/hosts").read_text() == Path("/etc/hosts").read_text() + "::1\tsix.test\n"


@pytest.mark.parametrize(
    ("name", "address"),
    [("db.test", "1.2.3"), ("db.test", ""), ("a b", "::1"), ("a\nb", "::1"), ("", "::1"), ("a..b", "::1")],
)
def test_what_is_no_host_is_refused(tmp_path: Path, name: str, address: str) -> None:
    with pytest.raises(DevenvError, match="is no"):
        state.add_host(str(tmp_path), name, address)
    assert not (tmp_path / "etc/hosts").exists()
