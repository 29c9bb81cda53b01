"""Whatever is wrong: one clear error, exit status 1, project and store as they were."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.registry import Registry, npm_lock, point_clients_at


def snapshot(root: Path) -> dict[str, str]:
    """Every file of the project outside .devenv, by content."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".devenv" not in path.parts
    }


def store_objects(user: User) -> set[str]:
    store = user.store_root / "store"
    return {name for name in os.listdir(store) if not name.endswith((".drv", ".lock")) and name != ".links"}


def hostile_tarball(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, mode
    return member


def publish(registry: Registry, root: Path, name: str, data: bytes) -> None:
    """Replace package `name` by these bytes, with a lock that agrees with them."""
    registry.npm[name] = {"1.0.0": data}
    lock = json.loads((root / "package-lock.json").read_text())
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    lock["packages"][f"node_modules/{name}"]["integrity"] = integrity
    (root / "package-lock.json").write_text(json.dumps(lock))


def wrong_hash(registry: Registry, root: Path) -> None:
    registry.faults[registry.tarball_path("pkg1", "1.0.0")] = b"something else"


def truncated(registry: Registry, root: Path) -> None:
    registry.truncated.add(registry.tarball_path("pkg1", "1.0.0"))


def oversized(registry: Registry, root: Path) -> None:
    path = registry.tarball_path("pkg1", "1.0.0")
    found = registry.respond(path)
    assert found is not None
    registry.faults[path] = found[1] + b"x" * 100_000


def leaves_its_directory(registry: Registry, root: Path) -> None:
    publish(registry, root, "pkg1", hostile_tarball(entry("package/../../../escaped"), b"out"))


def absolute_member(registry: Registry, root: Path) -> None:
    publish(registry, root, "pkg1", hostile_tarball(entry("package//../../etc/x"), b"out"))


def device(registry: Registry, root: Path) -> None:
    publish(registry, root, "pkg1", hostile_tarball(entry("package/dev", tarfile.CHRTYPE)))


def not_an_archive(registry: Registry, root: Path) -> None:
    publish(registry, root, "pkg1", b"this is no tarball")


ARCHIVE_CASES = {
    "wrong hash": (wrong_hash, ["pkg1", "expected", "found", "http://127.0.0.1"]),
    "truncated download": (truncated, ["pkg1"]),
    "oversized download": (oversized, ["pkg1"]),
    "member leaves its directory": (leaves_its_directory, ["pkg1", "escaped"]),
    "absolute member": (absolute_member, ["pkg1"]),
    "device member": (device, ["pkg1", "dev"]),
    "not an archive": (not_an_archive, ["pkg1"]),
}


@pytest.mark.parametrize(("break_it", "words"), ARCHIVE_CASES.values(), ids=ARCHIVE_CASES.keys())
def test_a_bad_package_changes_nothing(
    tmp_path: Path,
    user: User,
    registry: Registry,
    break_it: Callable[[Registry, Path], None],
    words: list[str],
) -> None:
    root = tmp_path / "project"
    npm_project(root, registry, count=1)
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    before_view = snapshot(root / "node_modules")
    npm_project(root, registry, count=2)
    break_it(registry, root)
    user.run("lock", cwd=root)
    before = snapshot(root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert snapshot(root) == before
    assert snapshot(root / "node_modules") == before_view
    assert not any("pkg1-1.0.0" in name and not name.endswith(".tgz") for name in store_objects(user))
    assert not list(tmp_path.rglob("escaped"))
    # With the fault gone, the same command goes through: nothing broken was kept.
    registry.faults.clear()
    registry.truncated.clear()
    npm_project(root, registry, count=2)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "test -f node_modules/pkg1/index.js", cwd=root)


def test_two_packages_owning_one_file_are_both_named(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "project"
    python_project(root, registry, count=1)
    lines = []
    for name in ("alpha", "beta"):
        digest = registry.add_wheel(name, "1.0", {"shared/thing.py": f"owner = {name!r}\n"})
        lines.append(f"{name}==1.0 --hash=sha256:{digest}")
    (root / "requirements.txt").write_text("\n".join(lines) + "\n")
    configure(root)
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    for word in ("alpha", "beta", "shared/thing.py"):
        assert word in done.stderr


def test_a_required_package_for_another_platform_is_refused(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = tmp_path / "project"
    npm_project(root, registry, count=1, os=["win32"])
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1
    assert "pkg0" in done.stderr
    assert "win32" in done.stderr


def test_a_wheel_for_another_platform_only_is_refused(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "project"
    python_project(root, registry, count=1)
    data = registry.wheels["wheel0"].pop("wheel0-1.0-py3-none-any.whl")
    registry.wheels["wheel0"]["wheel0-1.0-cp311-cp311-win_amd64.whl"] = data
    configure(root)
    point_clients_at(registry, user.home)
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1
    assert "wheel0" in done.stderr
    assert "win_amd64" in done.stderr


LOCKS = {
    "unknown npm version": ("package-lock.json", '{"lockfileVersion": 99, "packages": {}}', "99"),
    "npm json damage": ("package-lock.json", '{"lockfileVersion": 3, "packages": {', "package-lock.json"),
    "place that escapes": (
        "package-lock.json",
        npm_lock({"node_modules/../../evil": {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}}),
        "evil",
    ),
    "unknown uv version": ("uv.lock", 'version = 7\nrequires-python = ">=3.11"\n', "7"),
    "uv toml damage": ("uv.lock", "version = = 1\n", "uv.lock"),
    "unknown pylock version": (
        "pylock.toml",
        'lock-version = "9.0"\ncreated-by = "x"\npackages = []\n',
        "9.0",
    ),
    "requirements without versions": ("requirements.txt", "flask\n", "flask"),
    "not utf-8": ("package-lock.json", b"\xff\xfe{}", "UTF-8"),
}


@pytest.mark.parametrize(("name", "text", "word"), LOCKS.values(), ids=LOCKS.keys())
def test_a_bad_lockfile_is_named(
    tmp_path: Path, user: User, registry: Registry, name: str, text: str | bytes, word: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    configure(root)
    point_clients_at(registry, user.home)
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1, done.stderr
    assert name in done.stderr
    assert word in done.stderr
    assert not (root / "devenv.lock").exists()


def test_all_mistakes_of_devenv_toml_are_reported_at_once(tmp_path: Path, user: User) -> None:
    root = tmp_path / "project"
    root.mkdir()
    configure(root, 'nam = "x"\n[packages]\nnode = 17\n[env]\nHOME = "/x"\n')
    done = user.run("check", cwd=root, check=False)
    assert done.returncode == 1
    for place in ("devenv.toml:1", "devenv.toml:3", "devenv.toml:5"):
        assert place in done.stderr
    assert "name" in done.stderr


def test_an_unwritable_store_is_an_error(tmp_path: Path, user: User, registry: Registry) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the suite runs as an ordinary user in CI")
    root = tmp_path / "project"
    npm_project(root, registry)
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    data = user.home / ".local/share/devenv"
    data.mkdir(parents=True, exist_ok=True)
    for folder in [*data.rglob("*"), data]:
        if folder.is_dir():
            folder.chmod(0o555)
    try:
        done = user.run("enter", "-c", "true", cwd=root, check=False)
    finally:
        for folder in [data, *data.rglob("*")]:
            if folder.is_dir():
                folder.chmod(0o755)
    assert done.returncode == 1
    assert str(data) in done.stderr
    assert not (root / "node_modules").exists()
    user.run("enter", "-c", "true", cwd=root)


def test_a_full_disk_is_an_error_and_the_next_run_goes_on(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespaces, "true"], capture_output=True).returncode:
        pytest.skip("this kernel does not let users make mount namespaces")
    root = tmp_path / "project"
    npm_project(root, registry, count=1)
    big = registry.add_npm("big", "1.0.0", {"blob.js": base64.b64encode(os.urandom(3_000_000)).decode()})
    (root / "package-lock.json").write_text(
        npm_lock({"node_modules/big": {"version": "1.0.0", "integrity": big}})
    )
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    from tests.support.devenv import devenv_program

    script = """
        set -e
        mount -t tmpfs -o size=24m tmpfs "$1"
        head -c 22M /dev/zero > "$1/filler"
        "$2" enter -c true && exit 99 || echo "first: $?"
        rm "$1/filler"
        "$2" enter -c 'test -f node_modules/big/blob.js' && echo "second: $?"
    """
    mounted = user.home / ".local/share/devenv"
    mounted.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*namespaces, "sh", "-c", script, "sh", str(mounted), devenv_program()],
        cwd=root,
        env=user.env,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.split("\n")[:2] == ["first: 1", "second: 0"], done.stdout + done.stderr
    assert "No space left" in done.stderr
