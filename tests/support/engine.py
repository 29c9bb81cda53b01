"""A container engine for tests: podman with crun, by an ordinary user, without set-user-id helpers or a daemon.

Podman wants `newuidmap` for more than one user in a container. Ours have one: everything runs in a user namespace in which the
caller is root, and podman is told that it is in one already. All of a call's processes are in a PID namespace of
its own, so nothing outlives it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

_CONTAINERS = """[containers]
cgroups = "disabled"
netns = "none"
cgroupns = "host"
default_sysctls = []
log_driver = "none"

[engine]
conmon_path = ["{conmon}"]
runtime = "crun"
events_logger = "file"
tmp_dir = "{run}/libpod"
lock_type = "file"

[engine.runtimes]
crun = ["{crun}"]
"""
_STORAGE = """[storage]
driver = "vfs"
runroot = "{run}"
graphroot = "{place}/graph"

[storage.options.vfs]
ignore_chown_errors = "true"
"""
# Podman writes to /run and /var/cache whatever its settings; crun refuses a tree of both kinds of control groups.
_INSIDE = """mount -t tmpfs none /run && mount -t tmpfs none /var/cache || exit
[ ! -d /sys/fs/cgroup/unified ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup || exit
exec "$@"
"""


class Engine:
    """An engine whose settings, images and containers lie in `place`, which must not exist.

    run: an empty directory for what is there while it runs; podman takes no longer name of it than 50 characters
    """

    def __init__(self, place: Path, run: str) -> None:
        require_sandboxes()
        self.place = place
        place.mkdir(parents=True)
        settings = place / ".config/containers"
        settings.mkdir(parents=True)
        (place / "tmp").mkdir()
        found = {name: program(name) for name in ("podman", "conmon", "crun")}
        (settings / "containers.conf").write_text(_CONTAINERS.format(run=run, **found))
        (settings / "storage.conf").write_text(_STORAGE.format(place=place, run=run))
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.env = {
            "HOME": str(place),
            "XDG_RUNTIME_DIR": run,
            # The devcontainer CLI names its directory there by the user, who is root for everybody's engine.
            "TMPDIR": str(place / "tmp"),
            "CONTAINERS_CONF": str(settings / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(settings / "storage.conf"),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "_CONTAINERS_USERNS_CONFIGURED": "done",
            "_CONTAINERS_ROOTLESS_UID": str(os.getuid()),
            "_CONTAINERS_ROOTLESS_GID": str(os.getgid()),
        }
        self.program = place / "podman"
        words = [found["podman"], "--root", str(place / "graph"), "--runroot", run]
        self.program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        self.program.chmod(0o755)

    def run(self, *arguments: str) -> str:
        """What podman prints with these arguments; it must succeed."""
        return self.among(str(self.program), *arguments)

    def among(self, *command: str) -> str:
        """What a program prints beside which `self.program` is the engine; it must succeed."""
        namespaces = [program("unshare"), "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
        done = subprocess.run(
            [*namespaces, "--mount-proc", "/bin/sh", "-c", _INSIDE, "sh", *command],
            env=self.env,
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout
