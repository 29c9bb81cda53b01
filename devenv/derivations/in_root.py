"""Builds whose programs come from a root of distribution packages: compilers, make, an interpreter and its headers.

A derivation names the root by the attribute `devenvRoot`, which is an output of one of its inputs: a tree of links

    packages/<key>   -> the unpacked package, "libgdal32:amd64"
    configured       -> what their maintainer scripts changed

so that one input stands for all packages. Its sandbox then shows the composed root's /usr, /etc, /var and /opt, read-only,
in place of what other builds see of the machine, which is nothing. The packages themselves are not mounted: what is
built knows them by their places in /usr, as on a machine where they are installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import link_node
from devenv.derivations.program import Program, attributes_of
from devenv.env import compiler_cache
from devenv.formats.derivation import Derivation
from devenv.formats.errors import FormatError
from devenv.formats.store_path import StorePath, sanitize_name
from devenv.sandbox.spec import Bind, SandboxSpec
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.values import replaced

ATTRIBUTE = "devenvRoot"
# What to write in devenv.toml so that the root has further packages, with NAMES in it; for people.
SETTING = "devenvSetting"
PACKAGES, CONFIGURED = "packages", "configured"

# Whose cache of compiled objects the builder may use: "pip-numpy".
CACHE = "devenvCache"

# What is shown of it: name inside -> place in the composed root. The links of a merged /usr as mounts of their own.
_SHOWN = {
    "usr": "usr",
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "etc": "etc",
    "var": "var",
    "opt": "opt",
}
# The composed root has empty files for these; programs ask who they are. As in every sandbox of a build.
_USERS = "root:x:0:0::/build:/bin/sh\nnixbld:x:1000:100::/build:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
_GROUPS = "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_FILES = {"passwd": _USERS, "group": _GROUPS, "hosts": _HOSTS}


def root_node(graph: Graph, packages: Mapping[str, Node], configured: Node) -> Node:
    """The input that stands for a root: of unpacked `packages` by their keys, with what configuring them changed."""
    links = {f"{PACKAGES}/{key}": str(node.out) for key, node in packages.items()}
    links[CONFIGURED] = configured.out
    return link_node(graph, "build-root", links, (*packages.values(), configured))


def cached_compilers(root: Node | None, owner: str) -> dict[str, str]:
    """The attributes of a build in `root` whose compilers use a cache; {} where the root has none.

    `owner`: a name for all builds of one package. They share a cache with each other and with nobody else, for what a build lays
    into it wrongly would get into what others make.
    """
    if root is None or f'"{PACKAGES}/ccache:' not in root.derivation.env.get("links", ""):
        return {}
    return {CACHE: sanitize_name(owner), **compiler_cache.package_variables()}


def search_path(path: str, attributes: Mapping[str, str]) -> str:
    """`path` with the compilers that use a cache before all others, if `attributes` are of a build that has one."""
    return f"{compiler_cache.PLACED}:{path}" if CACHE in attributes else path


def cache_owner(derivation: Derivation) -> str | None:
    """Whose cache the builder may use, "" where that is no name; None for one that is no package's."""
    owner = derivation.env.get(CACHE)
    return "" if owner is not None and (owner.startswith(".") or "/" in owner) else owner


def root_of(derivation: Derivation) -> str | None:
    """The path of the root that a derivation is built in, None for one that is built in none. Raises BuildError."""
    attributes = attributes_of(derivation, derivation.name)
    found = derivation.env.get(ATTRIBUTE) if attributes is None else attributes.get(ATTRIBUTE)
    return found if isinstance(found, str) else None


def shown_paths(node: Node, store: Store, scratch: str, label: str) -> tuple[str, ...]:
    """What the sandbox of `node` shows of its root, as sandbox paths. The root is composed where it is not yet.

    `scratch` is a directory of the build's own, for the files by which a machine is known. Raises BuildError, ViewError,
    StoreError.
    """
    from devenv.views.root import compose, root_recipe

    root = root_of(node.derivation)
    if root is None or root not in node.used:
        raise BuildError(
            f"cannot build {label}: its {ATTRIBUTE}, {root}, is no output of its inputs", package=label
        )
    packages, configured = _read(root, store, label)
    recipe = root_recipe(packages, configured)
    # The recipe keeps the composed root, and all that it is made of, from a collection at the same moment.
    store.add_texts([(recipe.path, recipe.text, recipe.references)])
    directory = compose(packages, configured, views_dir=store.layout.views)
    shown = [
        f"/{name}={directory}/{place}"
        for name, place in _SHOWN.items()
        if _is_shown(name, directory, place, store)
    ]
    for name, contents in _FILES.items():
        path = os.path.join(scratch, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(contents)
        shown.append(f"/etc/{name}={path}")
    return tuple(shown)


def with_compiler_cache(
    sandbox: SandboxSpec, program: Program, directory: str
) -> tuple[SandboxSpec, Program]:
    """Show the cache `directory` to a recipe's builder whose root has ccache; it is made if missing. Raises StoreError."""
    root = _composed(sandbox)
    if not compiler_cache.is_in(root):
        return sandbox, program
    with explaining("making the cache of compilers", directory):
        os.makedirs(directory, exist_ok=True)
    variables = _encoded(compiler_cache.build_variables(root)) | dict(program.environment)
    mount = Bind(directory, compiler_cache.INSIDE, writable=True)
    return replaced(sandbox, mounts=(*sandbox.mounts, mount)), replace(program, environment=variables)


def with_package_cache(
    sandbox: SandboxSpec, program: Program, owner: str, project: str
) -> tuple[SandboxSpec, Program]:
    """Show a package's builder the cache of its own in the directory `project`, and what the shells there compiled.

    The latter cannot be written, and nothing of the former gets there. Raises StoreError.
    """
    root = _composed(sandbox)
    own, shell = (
        f"{compiler_cache.packages_directory(project)}/{owner}",
        compiler_cache.shell_directory(project),
    )
    if not compiler_cache.is_in(root):
        return sandbox, program
    with explaining("making the cache of compilers", own):
        os.makedirs(own, exist_ok=True)
        os.makedirs(shell, exist_ok=True)
    variables = {**program.environment, **_encoded(compiler_cache.package_build_variables(root))}
    mounts = (
        Bind(own, compiler_cache.INSIDE, writable=True),
        Bind(shell, compiler_cache.INSIDE_SHELL),
    )
    return replaced(sandbox, mounts=(*sandbox.mounts, *mounts)), replace(program, environment=variables)


def _composed(sandbox: SandboxSpec) -> str:
    """The directory of the root that a sandbox shows."""
    usr = next((each for each in sandbox.mounts if isinstance(each, Bind) and each.target == "/usr"), None)
    return os.path.dirname(usr.source) if usr is not None else ""


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def _is_shown(name: str, directory: str, place: str, store: Store) -> bool:
    """Where the store itself has to be mounted, nothing read-only may lie."""
    return os.path.isdir(os.path.join(directory, place)) and not store.layout.store.startswith(f"/{name}/")


def _read(root: str, store: Store, label: str) -> tuple[list[StorePath], StorePath]:
    """The store paths that the links of a root name."""
    try:
        names = sorted(os.listdir(f"{root}/{PACKAGES}"))
        targets = [os.readlink(f"{root}/{PACKAGES}/{name}") for name in names]
        return [store.store_dir.parse(path) for path in targets], store.store_dir.parse(
            os.readlink(f"{root}/{CONFIGURED}")
        )
    except (OSError, FormatError) as error:
        raise BuildError(
            f"cannot build {label}: its {ATTRIBUTE}, {root}, is no root of packages: {error}", package=label
        ) from error
