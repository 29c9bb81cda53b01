"""The root that a builder sees, as mounts, and the directories of the machine that these show.

scratch/store   the store directory inside: a mount point for each input, and what the builder makes
scratch/build   /build, its working directory        scratch/tmp   /tmp        scratch/root   empty
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from devenv.derivations.errors import BuildError
from devenv.derivations.program import TOP
from devenv.sandbox.mounts import is_inside
from devenv.sandbox.spec import DEVICES, Bind, File, Mount, Proc, SandboxSpec, Symlink, root_guards

# As Nix has them: names of users can get into what is built.
_USERS = (
    "root:x:0:0:Nix build user:/build:/noshell\n"
    "nixbld:x:1000:100:Nix build user:/build:/noshell\n"
    "nobody:x:65534:65534:Nobody:/:/noshell\n"
)
_GROUPS = "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_NSSWITCH = "hosts: files dns\nservices: files\n"

# What a program needs of the machine to use its network. The last three are where distributions keep certificates.
_NETWORK_FILES = (
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/hosts",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)

_STATIC_SHELLS = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/bin/busybox.static")


@dataclass(frozen=True, slots=True)
class Scratch:
    """The directories of one build, below `path`."""

    path: str

    @property
    def store(self) -> str:
        return f"{self.path}/store"

    @property
    def build(self) -> str:
        return f"{self.path}/build"

    @property
    def tmp(self) -> str:
        return f"{self.path}/tmp"  # noqa: S108

    @property
    def root(self) -> str:
        return f"{self.path}/root"

    def make(self) -> None:
        """Make them. Raises OSError."""
        for path, mode in (
            (self.path, 0o700),
            (self.store, 0o1775),
            (self.build, 0o700),
            (self.tmp, 0o1777),
            (self.root, 0o700),
        ):
            os.mkdir(path)
            os.chmod(path, mode)


def make_mount_points(scratch: Scratch, store_dir: str, inputs: Iterable[str]) -> list[str]:
    """Where each input will be mounted, below `scratch.store`. Those that are links are copied, not mounted.

    The paths to mount. Raises OSError.
    """
    make_in_writable(scratch, store_dir)
    file = ""  # a link to one empty file is made faster than another one
    mounted = []
    for path in inputs:
        point = f"{scratch.store}/{os.path.basename(path)}"
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(path), point)
            continue
        if stat.S_ISDIR(mode):
            os.mkdir(point, 0o555)
        elif file:
            os.link(file, point)
        else:
            file = point
            os.close(os.open(point, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        mounted.append(path)
    return mounted


def make_in_writable(scratch: Scratch, path: str) -> None:
    """The directory at which `path` is mounted, where that lies in one that the builder may write. Raises OSError."""
    for inside, outside in (("/tmp", scratch.tmp), (TOP, scratch.build)):  # noqa: S108
        if is_inside(path, inside):
            os.makedirs(outside + path[len(inside) :], exist_ok=True)


def build_sandbox(
    scratch: Scratch,
    *,
    store_dir: str,
    inputs: Iterable[str],
    sandbox_paths: Iterable[str] = (),
    network: bool = False,
    devices: Collection[str] = (),
    memory: int | None = None,
    persona: int = 0,
    interactive: bool = False,
) -> SandboxSpec:
    """The sandbox of a build. `inputs` are the store paths to mount, `devices` names in /dev besides the usual.

    `sandbox_paths` as Nix writes them: PATH, PATH=SOURCE, either with a "?" at its end if it may be missing.
    An interactive one keeps its terminal, for a person to look around in.
    """
    extra = [parse_sandbox_path(text) for text in sandbox_paths]
    own: list[Mount] = [
        *DEVICES,
        *(Bind(f"/dev/{name}", f"/dev/{name}", writable=True) for name in devices),
        Proc(),
        *(root_guards(os.path.exists) if os.geteuid() == 0 else ()),
        File("/etc/passwd", _USERS.encode()),
        File("/etc/group", _GROUPS.encode()),
        File("/etc/hosts", _HOSTS.encode()),
        *(_network_mounts() if network else ()),
        Bind(scratch.build, TOP, writable=True),
        Bind(scratch.tmp, "/tmp", writable=True),  # noqa: S108
        Bind(scratch.store, store_dir, writable=True),
    ]
    shown = [mount.target for mount in extra]
    return SandboxSpec(
        mounts=(
            *(mount for mount in own if not _is_made_inside(mount, shown)),
            *extra,
            *(Bind(path, path) for path in inputs),
        ),
        network=network,
        abstract_sockets=False,
        memory=memory,
        persona=persona,
        plain_files=True,
        base=scratch.root,
        new_session=not interactive,
        init=interactive,
    )


def _is_made_inside(mount: Mount, directories: Iterable[str]) -> bool:
    """A directory that the caller shows has its own idea of what is in it."""
    return isinstance(mount, File | Symlink) and any(is_inside(mount.target, each) for each in directories)


def _network_mounts() -> tuple[Mount, ...]:
    # The real paths: resolv.conf is often a link to somewhere that is not shown.
    files = (Bind(os.path.realpath(path), path) for path in _NETWORK_FILES if os.path.isfile(path))
    return (File("/etc/nsswitch.conf", _NSSWITCH.encode()), *files)


def parse_sandbox_path(text: str) -> Bind:
    """One entry of Nix's setting `sandbox-paths`."""
    optional = text.endswith("?")
    target, _, source = text.removesuffix("?").partition("=")
    return Bind(source or target, os.path.normpath(target), optional=optional)


def default_sandbox_paths(shells: Iterable[str] = _STATIC_SHELLS) -> tuple[str, ...]:
    """A /bin/sh for builders, where the machine has one that needs nothing else: a static busybox."""
    for path in shells:
        if is_static(path):
            return (f"/bin/sh={path}",)
    return ()


def is_static(path: str) -> bool:
    """Whether a file is a program that needs no loader and no libraries: ELF without PT_INTERP, see elf(5)."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:4] != b"\x7fELF":
                return False
            wide = head[4] == 2
            order: Literal["little", "big"] = "little" if head[5] == 1 else "big"

            def number(data: bytes, start: int, size: int) -> int:
                return int.from_bytes(data[start : start + size], order)

            table = number(head, 32, 8) if wide else number(head, 28, 4)
            size, count = (
                (number(head, 54, 2), number(head, 56, 2))
                if wide
                else (number(head, 42, 2), number(head, 44, 2))
            )
            file.seek(table)
            segments = file.read(size * count)
    except OSError:
        return False
    interpreter = 3
    return all(number(segments, size * index, 4) != interpreter for index in range(count))


def check_impure_paths(wanted: Iterable[str], sandbox_paths: Iterable[str], label: str) -> None:
    """Refuse a derivation that wants paths of the machine (`__impureHostDeps`) which the caller does not show."""
    shown = [parse_sandbox_path(text).target for text in sandbox_paths]
    missing = sorted(
        path for path in wanted if not any(path == each or is_inside(path, each) for each in shown)
    )
    if missing:
        raise BuildError(
            f"cannot build {label}: it wants {', '.join(missing)} of this machine (__impureHostDeps), which sandboxes "
            "do not show",
            package=label,
            hint="Show them to all builds, as sandbox paths, if what is built may depend on this machine.",
        )
