"""The machine's interpreters: real ones, asked themselves."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.tags import platform_tags as packaging_platform_tags
from packaging.tags import sys_tags

from devenv.providers import python_host
from devenv.providers.errors import ProviderError
from devenv.providers.python_host import find_python, platform_tags

OWN = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An environment in which no interpreter is found, whatever the machine has."""
    real = python_host._directories

    def without_system(environ: dict[str, str]) -> Iterator[str]:
        return (each for each in real(environ) if each.startswith(str(tmp_path)))

    monkeypatch.setattr(python_host, "_directories", without_system)
    (tmp_path / "bin").mkdir()
    yield {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}


def fake(path: Path, version: str, *, name: str = "cpython", executable: str = "") -> Path:
    """A program that answers as an interpreter of `version` would."""
    minor = version.split(".")[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        f'echo \'{{"executable": "{executable or path}", "version": "{version}", "minor": [{",".join(minor)}],'
        f' "soabi": "cpython-{"".join(minor)}-x", "bits": 64, "libc": "glibc 2.36",'
        f' "markers": {{"implementation_name": "{name}", "platform_machine": "x86_64"}}}}\'\n'
    )
    path.chmod(0o755)
    return path


def test_the_running_interpreter_is_found_with_its_own_tags_and_markers() -> None:
    found = find_python(platform.python_version(), os.environ | {"PATH": os.path.dirname(OWN)})
    assert found.path == OWN
    assert found.target.version == found.version
    theirs = [str(tag) for tag in sys_tags()]
    assert set(found.target.tags) == set(theirs)
    # Versions of packaging disagree on where plain "linux" stands.
    assert [tag for tag in found.target.tags if "-linux_" not in tag] == [
        tag for tag in theirs if "-linux_" not in tag
    ]
    expected = {key: value for key, value in default_environment().items() if key != "extra"}
    assert dict(found.target.markers) == expected


def test_markers_are_complete_for_packaging() -> None:
    found = find_python(MINOR, os.environ)
    text = " and ".join(f'{name} != "x"' for name in sorted(found.target.markers))
    assert Marker(text).evaluate(dict(found.target.markers))


@pytest.mark.parametrize("libc", ["glibc 2.36", "glibc 2.17"])
def test_platform_tags_are_those_of_packaging(libc: str) -> None:
    machine = platform.machine()
    ours = platform_tags(machine, libc)
    theirs = [tag for tag in packaging_platform_tags() if not tag.startswith("linux_")]
    common = [tag for tag in theirs if tag in ours]
    assert len(common) > 1
    assert [tag for tag in ours if tag in theirs] == common
    assert f"linux_{machine}" in ours


@pytest.mark.parametrize("libc", ["", "glibc 1.9", "glibc", "glibc 2", "musl 1.2", "glibc 99999.1", "x\x00"])
def test_odd_libcs_leave_the_plain_platform(libc: str) -> None:
    assert platform_tags("riscv128", libc) == ["linux_riscv128"]


def test_virtual_environments_lead_to_their_base(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    found = find_python(MINOR, {"HOME": str(tmp_path), "PATH": str(tmp_path / "env/bin")})
    assert not found.path.startswith(str(tmp_path))
    assert subprocess.run(
        [found.path, "-c", "import sys; print(sys.prefix == sys.base_prefix)"],
        capture_output=True, text=True, check=True,
    ).stdout == "True\n"  # fmt: skip


def test_shims_lead_to_what_they_start(elsewhere: dict[str, str], tmp_path: Path) -> None:
    real = fake(tmp_path / ".pyenv/versions/3.12.1/bin/python3.12", "3.12.1")
    fake(tmp_path / "bin/python3", "3.12.1", executable=str(real))
    assert find_python("3.12", elsewhere).path == str(real)


def test_links_are_followed_and_asked_once(elsewhere: dict[str, str], tmp_path: Path) -> None:
    real = fake(tmp_path / "opt/python3.12", "3.12.1")
    for name in ("python", "python3", "python3.12"):
        (tmp_path / "bin" / name).symlink_to(real)
    with pytest.raises(ProviderError) as caught:
        find_python("3.11", elsewhere)
    assert str(caught.value).count(str(real)) == 1


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        ("3.11", "3.11.4"),
        ("3.11.4", "3.11.4"),
        ("3.12", "3.12.7"),
        ("3", "3.11.4"),
        ("*", "3.11.4"),
        (">=3.12", "3.13.0"),
        (">=3.10,<3.11", "3.10.9"),
        ("~=3.12.1", "3.12.7"),
        ("==3.12.*", "3.12.7"),
        ("3.1", None),
        ("3.11.40", None),
        ("3.14", None),
        ("2.7", None),
    ],
)
def test_requests_choose_the_first_that_fits(
    elsewhere: dict[str, str], tmp_path: Path, request_text: str, expected: str | None
) -> None:
    fake(tmp_path / "bin/python3", "3.11.4")
    fake(tmp_path / "bin/python", "2.7.18")
    fake(tmp_path / "bin/python3.13", "3.13.0")
    fake(tmp_path / ".pyenv/versions/3.10.9/bin/python3.10", "3.10.9")
    fake(tmp_path / ".pyenv/versions/3.12.7/bin/python3.12", "3.12.7")
    fake(tmp_path / ".local/share/uv/python/cpython-3.12.1-linux/bin/python3.12", "3.12.1")
    fake(tmp_path / ".local/share/mise/installs/python/3.12.0/bin/python3.12", "3.12.0")
    if expected is None:
        with pytest.raises(ProviderError) as caught:
            find_python(request_text, elsewhere)
        for version in ("3.11.4", "2.7.18", "3.13.0", "3.10.9", "3.12.7", "3.12.1", "3.12.0"):
            assert version in str(caught.value)
    else:
        assert find_python(request_text, elsewhere).version == expected


def test_other_implementations_are_passed_over(elsewhere: dict[str, str], tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", "3.11.4", name="pypy")
    with pytest.raises(ProviderError, match=r"3\.11\.4"):
        find_python("3.11", elsewhere)


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo",
        "echo '[]'",
        "echo '{}'",
        "echo '{\"executable\": 1}'",
        "kill -9 $$",
        'echo \'{"executable": "/x"}\'',
    ],
)
def test_programs_that_answer_nonsense_are_passed_over(
    elsewhere: dict[str, str], tmp_path: Path, script: str
) -> None:
    broken = tmp_path / "bin/python3"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    fake(tmp_path / "bin/python3.12", "3.12.1")
    assert find_python("3", elsewhere).version == "3.12.1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_unreadable_interpreters_are_passed_over(elsewhere: dict[str, str], tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", "3.12.1").chmod(0o311)
    fake(tmp_path / ".pyenv/versions/3.12.0/bin/python3", "3.12.0")
    assert find_python("3.12", elsewhere).version == "3.12.0"


def test_relative_path_entries_are_never_run(
    elsewhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake(tmp_path / "evil/python3", "3.12.1")
    with pytest.raises(ProviderError, match="none"):
        find_python("3.12", elsewhere | {"PATH": "evil:./evil::."})


@pytest.mark.parametrize("text", ["", "latest", "3.x", ">3.", "3.11.2.4", "=>3", "3.11;"])
def test_unreadable_requests_are_our_errors(elsewhere: dict[str, str], text: str) -> None:
    with pytest.raises(ProviderError):
        find_python(text, elsewhere)


def test_flags_of_the_interpreter_are_in_its_tags(elsewhere: dict[str, str], tmp_path: Path) -> None:
    path = fake(tmp_path / "bin/python3.13", "3.13.0")
    path.write_text(path.read_text().replace("cpython-313-x", "cpython-313t-x"))
    tags = find_python("3.13", elsewhere).target.tags
    assert "cp313-cp313t-manylinux_2_36_x86_64" in tags
    assert not any("-cp313-" in tag for tag in tags)
