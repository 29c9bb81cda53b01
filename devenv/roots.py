"""Roots of packages: those asked for on the command line, without a project, and what makes any root present."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from devenv.errors import DevenvError
from devenv.store.last_use import mark_used
from devenv.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase, LockedDeb
    from devenv.fhs.plan import RootPlan
    from devenv.store.layout import Layout
    from devenv.store.local import Store
    from devenv.workplace import Workplace

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}


@value(frozen=True, slots=True, kw_only=True)
class LocalDeb:
    """A package file that is in no archive. `sha256` in hexadecimal, `size` in bytes."""

    path: str
    name: str
    version: str
    architecture: str
    sha256: str
    size: int


@value(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `devenv fhs` is asked for. `packages` as people write them, in any order; `files`: package files of one's own."""

    base: str
    packages: tuple[str, ...]
    architecture: str
    files: tuple[LocalDeb, ...] = ()

    @property
    def key(self) -> str:
        """A name for this request."""
        from hashlib import sha256

        asked: list[object] = [self.base, self.architecture, sorted(set(self.packages))]
        if self.files:
            asked.append(sorted(file.sha256 for file in self.files))
        text = json.dumps(asked)
        return sha256(text.encode()).hexdigest()[:32]


def remembered(layout: Layout, wanted: Wanted) -> str | None:
    """The root that this request had before, if it is still there."""
    return remembered_by(layout, link_of(layout, wanted))


def remembered_by(layout: Layout, link: str) -> str | None:
    """The root that `link` keeps, if it is still there."""
    try:
        recipe = os.readlink(link)
    except OSError:
        return None
    root = os.path.join(layout.views, os.path.basename(recipe))
    if not os.path.isdir(root) or not os.path.lexists(recipe):
        return None
    mark_used(link)
    return root


def link_of(layout: Layout, wanted: Wanted) -> str:
    """What keeps the root of this request from being collected."""
    return os.path.join(layout.root, "state", "fhs", wanted.key)


def lock(place: Workplace, wanted: Wanted, *, max_age: float) -> LockedBase:
    """The package files that a request means. Raises what `resolve` does.

    Suites looked at within `max_age` seconds are not asked for again.
    """
    from devenv.debian.base import resolve

    return resolve(
        wanted.base,
        wanted.packages,
        architecture=wanted.architecture,
        cache_dir=place.layout.cache,
        events=place.settings.reporter,
        offline=place.settings.offline,
        client=place.client,
        max_age=max_age,
    )


def make(place: Workplace, wanted: Wanted, *, max_age: float, locked: LockedBase | None = None) -> str:
    """Resolve, fetch, unpack, configure and compose; the root's directory. It is kept until `forget`.

    `locked` is what `lock` gave, if that was asked before. Raises what these do.
    """
    from devenv.debian.base import url_lookup
    from devenv.fhs.plan import derivations
    from devenv.store.local import Store
    from devenv.store.roots import add_indirect_root

    locked = lock(place, wanted, max_age=max_age) if locked is None else locked
    local = {_as_locked(file): file for file in wanted.files}
    # A package of one's own takes the place of the archive's.
    others = [deb for deb in locked.packages if deb.name not in {file.name for file in wanted.files}]
    everything = locked._replace(packages=tuple(sorted([*others, *local])))
    in_archive = url_lookup(place.endpoints, locked)
    plan = derivations(
        everything,
        lambda deb: [f"file://{local[deb].path}"] if deb in local else in_archive(deb),
        place.layout.store_dir,
    )
    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        for file in wanted.files:
            _add_file(store, file)
        realise_root(place, store, plan)
        root = compose_root(place, store, plan)
        add_indirect_root(place.layout, link_of(place.layout, wanted), plan.recipe.path)
    return root


def _as_locked(file: LocalDeb) -> LockedDeb:
    from devenv.debian.locked import LockedDeb

    return LockedDeb(
        name=file.name,
        version=file.version,
        architecture=file.architecture,
        path=file.path,
        size=file.size,
        sha256=file.sha256,
        archive="local",
    )


def _add_file(store: Store, file: LocalDeb) -> None:
    """Put a package file where its fetch would put it, so that nothing is fetched."""
    from devenv.formats.hashes import Hash
    from devenv.formats.store_path import sanitize_name
    from devenv.store import tree as trees

    digest = Hash.from_hex("sha256", file.sha256)
    path = store.store_dir.fixed_path(sanitize_name(os.path.basename(file.path)), digest, False)
    if store.is_valid(path):
        return
    with store.temporary_directory() as directory:
        copy = os.path.join(directory, "file")
        measured = trees.copy_and_scan(file.path, copy, ())
        store.register_output(
            None,
            path,
            copy,
            nar_hash=measured.nar_hash,
            nar_size=measured.nar_size,
            references=(),
            content_address=f"fixed:{digest.typed_nix32}",
        )


def plan_of(place: Workplace, locked: LockedBase) -> RootPlan:
    """The derivations of a locked base. Pure but for the settings that say where mirrors are."""
    from devenv.debian.base import url_lookup
    from devenv.fhs.plan import derivations

    return derivations(locked, url_lookup(place.endpoints, locked), place.layout.store_dir)


def realise_root(place: Workplace, store: Store, plan: RootPlan) -> None:
    """Make the packages of a root and their configuration valid."""
    from devenv.caching import substitution
    from devenv.derivations.realise import realise

    realise(
        store,
        plan.graph,
        plan.targets,
        client=place.client,
        pythons={},
        reporter=place.settings.reporter,
        jobs=place.jobs,
        bring=substitution(place, store),
    )


def compose_root(place: Workplace, store: Store, plan: RootPlan) -> str:
    """The directory of a root whose derivations are realised; its recipe is in the store then."""
    from devenv.views.root import compose

    recipe = plan.recipe
    store.add_texts([(recipe.path, recipe.text, recipe.references)])
    return compose(
        plan.paths, plan.configured.out, views_dir=place.layout.views, events=place.settings.reporter
    )


def forget(layout: Layout, wanted: Wanted) -> None:
    """Let a collection have the root of this request."""
    try:
        os.unlink(link_of(layout, wanted))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DevenvError(f"removing {link_of(layout, wanted)}: {error.strerror}") from error


def state_directory(layout: Layout, project: str | None, base: str) -> str:
    """Where sessions keep what is written: of the project, or one for each base outside of projects."""
    if project is not None:
        return os.path.join(project, ".devenv/state")
    return os.path.join(layout.root, "state", "sessions", base.replace("/", "-"))


def machine_architecture() -> str:
    """The distribution's name for this machine's architecture."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def with_shell(packages: Sequence[str], environ: dict[str, str]) -> tuple[str, ...]:
    """The packages, and that of the user's own shell where it is one that a distribution has."""
    shell = os.path.basename(environ.get("SHELL", ""))
    known = {
        "zsh": "zsh",
        "fish": "fish",
        "tcsh": "tcsh",
        "ksh": "ksh",
        "dash": "dash",
        "xonsh": "xonsh",
        "elvish": "elvish",
    }
    more = known.get(shell)
    return tuple(packages) if more is None or more in packages else (*packages, more)
