"""From a locked base to the derivations of a root: fetch and unpack each package, configure the set. Pure.

What a package unpacks to depends on its bytes alone: another mirror is another derivation with the same output. What the
set is configured to depends on the packages in it, in whichever order they are locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from devenv.adapter import RemoteFile
from devenv.debian.locked import LockedBase, LockedDeb
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import CONFIGURE, DEB, fetch_node
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, sanitize_name
from devenv.views.root import RootParts, RootRecipe, root_recipe

# Part of each derivation, so that a builder which makes something else gives it another place.
_UNPACK_REVISION = "1"
_CONFIGURE_REVISION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootPlan:
    """What has to be realised for a root, and what it is composed of then.

    graph: all derivations; targets: what to realise of it
    packages: the unpacked packages by their keys ("libgdal32:amd64"); configured: what their scripts changed
    """

    graph: Graph
    packages: dict[str, Node]
    configured: Node

    @property
    def targets(self) -> tuple[Node, ...]:
        return (*self.packages.values(), self.configured)

    @property
    def paths(self) -> tuple[StorePath, ...]:
        """The unpacked packages in the store, for `views.root.compose`."""
        return tuple(sorted(node.out for node in self.packages.values()))

    @property
    def recipe(self) -> RootRecipe:
        """What keeps the root and all of this from being collected, once it is in the store and has a root there."""
        return root_recipe(self.paths, self.configured.out)

    @property
    def parts(self) -> RootParts:
        return RootParts(recipe=self.recipe, paths=self.paths, configured=self.configured.out)


def derivations(
    base: LockedBase,
    urls: Callable[[LockedDeb], Sequence[str]],
    store_dir: StoreDir,
    *,
    graph: Graph | None = None,
) -> RootPlan:
    """The derivations of all packages of `base`, and of their configuration.

    `urls` says where a package can be had, best first. They are added to `graph`, if one is given. Raises BuildError.
    """
    made = Graph(store_dir) if graph is None else graph
    packages = {deb.key: package_node(made, deb, urls(deb)) for deb in base.packages}
    if not packages:
        raise BuildError(
            f"cannot make a root of {base.base}: no package of it is locked", hint="Run `devenv lock`."
        )
    return RootPlan(graph=made, packages=packages, configured=_configured_node(made, base, packages))


def without(base: LockedBase, keys: Iterable[str]) -> LockedBase:
    """The base without the packages of these keys."""
    outside = set(keys)
    return base._replace(packages=tuple(deb for deb in base.packages if deb.key not in outside))


def package_node(graph: Graph, deb: LockedDeb, urls: Sequence[str]) -> Node:
    """The unpacked tree of one package."""
    label = f"{deb.name} {deb.version}"
    if not urls:
        raise BuildError(
            f"cannot fetch {label}: no mirror of {deb.archive} is known",
            package=label,
            hint='Name one in devenv.toml: [registries] debian = "URL", or set DEVENV_DEBIAN_MIRROR.',
        )
    file = RemoteFile(
        file_name=deb.path.rpartition("/")[2],
        url=deb.path,
        hash=Hash.from_hex("sha256", deb.sha256),
        size=deb.size,
    )
    archive = fetch_node(graph, file, urls[0], label=label, mirrors=tuple(urls[1:]))
    return graph.add(
        name=sanitize_name(f"{deb.name}-{deb.version}-{deb.architecture}"),
        builder=DEB,
        env={"src": archive.out, "revision": _UNPACK_REVISION},
        inputs=(archive,),
        label=label,
    )


def _configured_node(graph: Graph, base: LockedBase, packages: dict[str, Node]) -> Node:
    """Large sets have long lists, and large derivations: nothing else depends on this one."""
    paths = sorted(node.out for node in packages.values())
    return graph.add(
        name=sanitize_name(f"{base.base}-configuration".replace("/", "-")),
        builder=CONFIGURE,
        env={"packages": " ".join(paths), "architecture": base.architecture, "revision": _CONFIGURE_REVISION},
        inputs=packages.values(),
        label=f"configuration of {len(packages)} packages of {base.base}",
    )
