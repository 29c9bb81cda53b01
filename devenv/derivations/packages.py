"""The derivations that a locked package becomes.

A file is fetched by a derivation that Nix can realise as well (`builtin:fetchurl`, as its own `fetchurl.nix`
writes it). Unpacking, byte code and trees of links are builders of our own, which run inside devenv.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from devenv.adapter import Changes, Package, RemoteFile
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.formats.store_path import sanitize_name

FETCH = "builtin:fetchurl"
FETCH_GIT = "builtin:devenv-fetchgit"
UNPACK = "builtin:devenv-unpack"
BYTECODE = "builtin:devenv-bytecode"
LINK = "builtin:devenv-link"
WRITE = "builtin:devenv-write"
VENV = "builtin:devenv-venv"
DEB = "builtin:devenv-deb"
CONFIGURE = "builtin:devenv-configure"
PATCH = "builtin:devenv-patch"

# Part of each derivation, so that a builder which makes something else gives it another place.
_REVISION = "1"


def fetch_node(
    graph: Graph, file: RemoteFile, absolute_url: str, *, label: str = "", mirrors: Sequence[str] = ()
) -> Node:
    """The fetch of `file` from `absolute_url`, or else from one of `mirrors`, which are tried in their order.

    Raises BuildError for a hash that a store cannot use.
    """
    key = (FETCH, file, absolute_url, *mirrors)
    if key in graph.made:
        return graph.made[key]
    if file.hash.algorithm == "sha384":
        raise BuildError(
            f"cannot fetch {label or file.file_name}: its only known hash is of the kind sha384, which Nix stores do "
            "not have",
            package=label,
            hint="Lock it with sha256 or sha512: most tools write both.",
        )
    node = graph.add(
        name=sanitize_name(file.file_name),
        builder=FETCH,
        env={
            "executable": "",
            "impureEnvVars": "http_proxy https_proxy ftp_proxy all_proxy no_proxy",
            "outputHash": file.hash.sri,
            "outputHashAlgo": "",
            "outputHashMode": "flat",
            "preferLocalBuild": "1",
            "unpack": "",
            "url": absolute_url,
            "urls": " ".join((absolute_url, *mirrors)),
        },
        fixed=(file.hash, False),
        label=label or file.file_name,
        size=file.size,
    )
    return graph.made.setdefault(key, node)


def is_git(url: str) -> bool:
    """Whether a locked file is a repository at a commit, which no registry's settings say anything about."""
    return url.startswith("git+")


def git_node(graph: Graph, file: RemoteFile) -> Node:
    """A repository's tree at a commit; `file.url` is "git+<url>#<commit>", `file.hash` that of the tree as a NAR."""
    url, _, commit = file.url.removeprefix("git+").rpartition("#")
    return graph.add(
        name=sanitize_name(file.file_name),
        builder=FETCH_GIT,
        env={
            "outputHash": file.hash.sri,
            "outputHashAlgo": "",
            "outputHashMode": "recursive",
            "url": url,
            "rev": commit,
        },
        fixed=(file.hash, True),
        label=f"{file.file_name} at {commit[:12]}",
    )


def package_node(graph: Graph, package: Package, absolute_url: str) -> Node:
    """The unpacked tree of `package`, whose file is at `absolute_url`."""
    key = (UNPACK, package, absolute_url)
    if key in graph.made:
        return graph.made[key]
    label = (
        f"{package.name}@{package.version}"
        if package.format in ("npm", "git-npm")
        else f"{package.name} {package.version}"
    )
    if is_git(package.file.url):
        archive = git_node(graph, package.file)
    else:
        archive = fetch_node(graph, package.file, absolute_url, label=label)
    env = {"format": package.format, "src": archive.out, "revision": _REVISION}
    if package.format == "crate":
        env["checksum"] = package.file.hash.hex if package.checksum is None else package.checksum
    if package.format == "git-crate":
        env |= {"crate": package.name, "version": package.version}
        if package.checksum:
            env["checksum"] = package.checksum
    if package.executables:
        env["executables"] = json.dumps(sorted(set(package.executables)))
    if package.manifests:
        env["manifests"] = json.dumps(sorted(set(package.manifests)))
    env |= patches_of(package.changes)
    node = graph.add(
        name=sanitize_name(f"{package.name}-{package.version}"),
        builder=UNPACK,
        env=env,
        inputs=(archive,),
        label=label,
    )
    return graph.made.setdefault(key, node)


def patches_of(changes: Changes) -> dict[str, str]:
    """The attribute by which `builtin:devenv-unpack` knows patches; nothing where there are none."""
    if not changes.patches:
        return {}
    return {"patches": json.dumps([{"name": each.name, "text": each.text} for each in changes.patches])}


def bytecode_node(graph: Graph, unpacked: Node, python_version: str) -> Node:
    """The byte code of the unpacked wheel `unpacked` for Python `python_version` ("3.11")."""
    return graph.add(
        name=f"{unpacked.derivation.name}-python{python_version}",
        builder=BYTECODE,
        env={"src": unpacked.out, "python": python_version, "revision": _REVISION},
        inputs=(unpacked,),
        label=f"{unpacked.label} (byte code)",
    )


def link_node(graph: Graph, name: str, links: Mapping[str, str], inputs: Iterable[Node]) -> Node:
    """A tree of symbolic links: relative path -> absolute target. `inputs` hold the targets."""
    return graph.add(
        name=sanitize_name(name),
        builder=LINK,
        env={"links": json.dumps(dict(links), sort_keys=True), "revision": _REVISION},
        inputs=inputs,
        label=name,
    )


def write_node(
    graph: Graph,
    name: str,
    files: Mapping[str, str],
    executables: Iterable[str] = (),
    inputs: Iterable[Node] = (),
) -> Node:
    """A tree of small files: relative path -> text. `executables` are the programs among them, `inputs` what texts name."""
    env = {"files": json.dumps(dict(files), sort_keys=True), "revision": _REVISION}
    if programs := sorted(set(executables)):
        env["executables"] = json.dumps(programs)
    return graph.add(name=sanitize_name(name), builder=WRITE, env=env, inputs=inputs, label=name)
