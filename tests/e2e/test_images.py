"""An environment as an image: read by other tools, loaded and run by an engine, opened as a development container."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.support.devenv import User
from tests.support.engine import Engine
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network
GREETING = 'it\'s "$HOME" `id` \\ me'
CONFIG = f"""name = "My_App"
base = "debian/bookworm"
[packages]
system = ["hello"]
[env]
GREETING = {json.dumps(GREETING)}
PATH = {{ prepend = ["./bin"] }}
[scripts]
hey = "hello; printf %s \\"$GREETING\\""
"""
SAID = f"Hello, world!\n{GREETING}"


class Made(NamedTuple):
    """A project, the image of its environment, and an engine that has loaded it."""

    user: User
    root: Path
    image: Path
    engine: Engine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    require_sandboxes()
    place = tmp_path_factory.mktemp("image")
    user = User(place / "home")
    root = place / "it's a project"
    (root / "bin").mkdir(parents=True)
    (root / "bin/own").write_text("#!/bin/sh\necho own\n")
    (root / "bin/own").chmod(0o755)
    (root / "devenv.toml").write_text(CONFIG)
    user.run("lock", cwd=root)
    user.run("allow", "--yes", cwd=root)
    user.run("export", "oci", "-o", str(place / "image.tar"), cwd=root)
    with TemporaryDirectory(prefix="p") as run:
        engine = Engine(place / "engine", run)
        loaded = engine.run("load", "--input", str(place / "image.tar"))
        assert "localhost/my-app:latest" in loaded
        yield Made(user, root, place / "image.tar", engine)
    # Below the directory of the store nothing may be written, not even by who removes it.
    subprocess.run(["chmod", "-R", "u+w", place], check=True)


def test_the_same_environment_makes_the_same_bytes(made: Made, tmp_path: Path) -> None:
    made.user.run("export", "oci", "-o", str(tmp_path / "again.tar"), cwd=made.root)
    assert (tmp_path / "again.tar").read_bytes() == made.image.read_bytes()


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_both_kinds_of_archives_are_read_by_skopeo(made: Made, transport: str) -> None:
    command = [program("skopeo"), "inspect", "--config", f"{transport}:{made.image}"]
    done = subprocess.run(command, env=made.user.env, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["os"] == "linux"
    assert f"GREETING={GREETING}" in found["config"]["Env"]


def test_umoci_unpacks_what_runs_after_chroot(made: Made, tmp_path: Path) -> None:
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    layout.mkdir()
    subprocess.run(["tar", "-xf", made.image, "-C", layout], check=True)
    unpack = [program("umoci"), "unpack", "--rootless", "--image", f"{layout}:latest", str(bundle)]
    subprocess.run(unpack, env=made.user.env, check=True, capture_output=True)
    config = json.loads((bundle / "config.json").read_text())["process"]
    assert config["cwd"] == str(made.root)
    inside = ["unshare", "--map-root-user", "/usr/sbin/chroot", f"{bundle}/rootfs", "/bin/sh", "-c", "hey"]
    env = dict(line.split("=", 1) for line in config["env"])
    done = subprocess.run(inside, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == SAID


def test_podman_runs_the_image(made: Made) -> None:
    assert made.engine.run("run", "--rm", "my-app", "sh", "-c", "hey; echo; own; pwd") == (
        f"{SAID}\nown\n{made.root}\n"
    )


@pytest.mark.slow
def test_a_dockerfile_is_built_and_run(made: Made, tmp_path: Path) -> None:
    made.user.run("export", "dockerfile", "-o", str(tmp_path / "context"), cwd=made.root)
    made.engine.run(
        "build", "--isolation=chroot", "--layers=false", "--tag", "built", str(tmp_path / "context")
    )
    assert made.engine.run("run", "--rm", "built", "sh", "-c", "hey; echo; own") == f"{SAID}\nown\n"


def test_the_reference_implementation_opens_the_development_container(made: Made) -> None:
    """It reads the file, starts the image with the project mounted, and runs commands in it."""
    (made.root / ".devcontainer").mkdir()
    file = made.root / ".devcontainer/devcontainer.json"
    made.user.run("export", "devcontainer", "-o", str(file), cwd=made.root)
    words = ["--docker-path", str(made.engine.program), "--workspace-folder", str(made.root)]
    command = [program("devcontainer"), "exec", *words, "sh", "-c", "hey; echo; own; pwd; cat mounted"]
    (made.root / "mounted").write_text("from outside\n")
    up = shlex.join([program("devcontainer"), "up", *words])
    shown = made.engine.among("sh", "-c", f"{up} && echo UP && {shlex.join(command)}")
    assert shown.partition("UP\n")[2] == f"{SAID}\nown\n{made.root}\nfrom outside\n"
    assert os.listdir(made.root / ".devcontainer") == ["devcontainer.json"]


def test_who_exports_variables_alone_hears_what_they_lack(made: Made) -> None:
    done = made.user.run("export", "sh", cwd=made.root)
    assert "the system packages are not in this" in done.stderr
    assert made.user.run("export", "devcontainer", cwd=made.root).stderr == ""
