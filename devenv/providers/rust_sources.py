"""What a Python package that is written in Rust is compiled of: the crates that the Cargo.lock in its source names.

A build has no network, so cargo must find all crates in place. Which Cargo.lock counts, the backend's settings say (maturin's
manifest-path, setuptools-rust's ext-modules), or else all that belong to manifests in the source do. Of a source without one
cargo itself makes it, from a copy, and devenv.lock pins the crates that it chose: the build has no others to choose among.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devenv.adapter import Adapter, CargoSources, GitQuery, Options, RemoteFile, Target
from devenv.crate_files import files_of
from devenv.errors import DevenvError
from devenv.providers.errors import ProviderError

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase

_BACKENDS = frozenset({"maturin", "setuptools-rust"})
_MANIFEST, _LOCK = "Cargo.toml", "Cargo.lock"
_MOST_BYTES = 16 << 20
_TIMEOUT = 300  # seconds; the first look at a registry may be slow
# Where crates lie that the package itself is not made of.
_PASSED_OVER = frozenset(
    (
        "bench",
        "benches",
        "examples",
        "fuzz",
        "node_modules",
        "target",
        "test",
        "test-crates",
        "tests",
        "vendor",
    )
)
# What has a program of this name among Debian's packages.
_CARGO_PACKAGES = frozenset({"cargo", "cargo-mozilla"})
_HOST_PATH = "/usr/local/bin:/usr/bin:/bin"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)")

Answers = Mapping[str, tuple[RemoteFile, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RustReader:
    """Reads Cargo.lock files: by the adapter for these, whose questions about repositories `ask` answers.

    `environ` is that of the user, whose cargo makes a missing Cargo.lock.
    """

    adapter: Adapter
    ask: Callable[[Sequence[GitQuery]], Answers]
    environ: Mapping[str, str]
    offline: bool = False

    def crates(self, source: str, subdirectory: str, label: str) -> tuple[RemoteFile, ...]:
        """All that cargo needs to compile the package in `subdirectory` of the unpacked `source`, sorted.

        `label` is for messages. Raises ProviderError, and what reading a Cargo.lock raises.
        """
        found: dict[str, RemoteFile] = {}
        for manifest in _manifests(source, subdirectory):
            lock = _lock_of(source, manifest)
            text = self._made(source, manifest, label) if lock is None else _read(lock, label)
            place = os.path.relpath(lock or manifest, source)
            found |= {file.crate: file for file in files_of(self._view(text, f"{label}: {place}"))}
        return tuple(found[key] for key in sorted(found))

    def _view(self, text: str, path: str) -> CargoSources:
        def planned(answers: Answers) -> Any:
            return self.adapter.plan(
                text, path=path, target=Target(), options=Options(), completions=answers, siblings={}
            )

        plan = planned({})
        if plan.queries:
            plan = planned(self.ask([query for query in plan.queries if isinstance(query, GitQuery)]))
        assert isinstance(plan.view, CargoSources)
        return plan.view

    def _made(self, source: str, manifest: str, label: str) -> str:
        """The Cargo.lock that cargo makes, in a copy without the source's own settings for cargo, which name programs."""
        cargo = shutil.which("cargo", path=self.environ.get("PATH", os.defpath))
        place = os.path.relpath(manifest, source)
        if cargo is None or self.offline:
            why = (
                "--offline forbids to ask for it"
                if self.offline
                else "there is no cargo on PATH to choose it"
            )
            raise _fault(
                label,
                f"its source has no {_LOCK} beside {place}, so nothing fixes its crates, and {why}",
                _ADD,
            )
        with tempfile.TemporaryDirectory(prefix="devenv-cargo-") as folder:
            copy = os.path.join(folder, "source")
            shutil.copytree(
                source, copy, ignore=shutil.ignore_patterns(".cargo", "rust-toolchain*"), symlinks=True
            )
            for inside, _, _ in os.walk(copy):
                os.chmod(inside, 0o700)
            self._run(
                [cargo, "generate-lockfile", "--manifest-path", os.path.join(copy, place)], label, folder
            )
            lock = _lock_of(copy, os.path.join(copy, place))
            if lock is None:
                raise _fault(label, f"cargo made no {_LOCK} for {place}", _ADD)
            return _read(lock, label)

    def _run(self, argv: list[str], label: str, folder: str) -> None:
        # Only crates that the compiler at hand can compile, as far as they say what they need.
        environ = {**self.environ, "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback"}
        try:
            subprocess.run(
                argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=True
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip()[-1500:]
            raise _fault(
                label, f"its source has no {_LOCK}, and cargo can make none:\n{said}", _ADD
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise _fault(
                label, f"its source has no {_LOCK}, and running cargo failed: {error}", _ADD
            ) from error


_ADD = f"`devenv override NAME` can add a {_LOCK} by a patch; or run `devenv lock` where cargo is on PATH, for it to choose crates."


def check_cargo(label: str, base: LockedBase | None) -> None:
    """Raise ProviderError where the build of a package sees no cargo: in the root of `base`, or on this machine."""
    if base is not None:
        if any(deb.name in _CARGO_PACKAGES for deb in base.packages):
            return
        where, hint = "the project's system packages", ""
    else:
        if shutil.which("cargo", path=_HOST_PATH) and shutil.which("rustc", path=_HOST_PATH):
            return
        where = "what builds see of this machine, /usr"
        hint = (
            ' and base = "debian/trixie", or another distribution whose Python the project takes, at its top'
        )
    raise _fault(
        label,
        f"its build runs cargo and rustc, which are not among {where}",
        f'Write system = ["cargo", "rustc", "gcc", "python3-dev"] into [packages] of devenv.toml{hint}.',
    )


def locks(directory: str) -> Iterator[str]:
    """The texts of the Cargo.lock files of a project's directory, as far as they can be read."""
    for manifest in _manifests(directory, ""):
        path = _lock_of(directory, manifest)
        if path is not None:
            with open(path, encoding="utf-8", errors="replace") as file:
                yield file.read(_MOST_BYTES)


def is_rust(requires: Iterable[str]) -> bool:
    """Whether what a build requires says that it compiles Rust."""
    names = {match[1].lower().replace("_", "-") for text in requires if (match := _REQUIREMENT.match(text))}
    return not _BACKENDS.isdisjoint(names)


def _manifests(source: str, subdirectory: str) -> list[str]:
    """The Cargo.toml files that a package is compiled by, each workspace's once."""
    project = os.path.normpath(os.path.join(source, subdirectory))
    named = [os.path.normpath(os.path.join(project, place)) for place in _named(project)]
    found = [path for path in named if _is_inside(path, source) and os.path.isfile(path)]
    unique: dict[str, str] = {}
    for path in found or _found(project):
        unique.setdefault(_lock_of(source, path) or path, path)
    return list(unique.values())


def _named(project: str) -> Iterator[str]:
    """What pyproject.toml says of maturin, or of setuptools-rust."""
    try:
        with open(os.path.join(project, "pyproject.toml"), "rb") as file:
            tool = tomllib.load(file).get("tool", {})
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(tool, dict):
        return
    maturin, setuptools = tool.get("maturin"), tool.get("setuptools-rust")
    place = maturin.get("manifest-path") if isinstance(maturin, dict) else None
    yield place if isinstance(place, str) else _MANIFEST
    modules = setuptools.get("ext-modules") if isinstance(setuptools, dict) else None
    for module in modules if isinstance(modules, list) else ():
        path = module.get("path", _MANIFEST) if isinstance(module, dict) else None
        if isinstance(path, str):
            yield path


def _found(project: str) -> Iterator[str]:
    """Every manifest but those below another one."""
    for folder, names, files in os.walk(project):
        if _MANIFEST in files:
            yield os.path.join(folder, _MANIFEST)
            names.clear()
        names[:] = sorted(name for name in names if name not in _PASSED_OVER and not name.startswith("."))


def _lock_of(source: str, manifest: str) -> str | None:
    """The Cargo.lock of a manifest: beside it, or beside that of its workspace."""
    folder = os.path.dirname(manifest)
    while _is_inside(folder, source):
        path = os.path.join(folder, _LOCK)
        if os.path.isfile(path) and not os.path.islink(path):
            return path
        folder = os.path.dirname(folder)
    return None


def _is_inside(path: str, source: str) -> bool:
    return path == source or path.startswith(source + "/")


def _read(path: str, label: str) -> str:
    with open(path, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    try:
        if len(data) <= _MOST_BYTES:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise _fault(label, f"the {_LOCK} in its source is no text, or larger than {_MOST_BYTES >> 20} MiB", None)


def _fault(label: str, problem: str, hint: str | None) -> DevenvError:
    return ProviderError(f"{label} is written in Rust: {problem}", tool="cargo", request=label, hint=hint)
