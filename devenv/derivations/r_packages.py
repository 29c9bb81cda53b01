"""R packages as derivations: each built by R CMD INSTALL, in a root that has R and the compilers, into a library of its own.

    $out/<name>     the installed package, as in any library of R

It sees the packages that it needs, and of R's own library what the root has. What would differ from build to build is
fixed: the time in DESCRIPTION, the directory it is built in, the locale. Source: "R Installation and Administration",
6.3; ?INSTALL.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from devenv.adapter import Changes, Package, RLibrary
from devenv.derivations.graph import Graph, Node
from devenv.derivations.in_root import ATTRIBUTE, SETTING, cached_compilers, search_path
from devenv.derivations.packages import UNPACK, fetch_node, git_node, is_git, patches_of
from devenv.formats.store_path import sanitize_name

# Part of each derivation, so that a builder which makes something else gives it another place.
_REVISION = "1"
_SHELL = "/bin/sh"

# $fields are lines for DESCRIPTION, which replace those of the same names; $repository is for one that names none.
# $settings are commands of an override.
_SCRIPT = """
unset devenvRoot
export R_LIBS R_LIBS_USER=/none HOME=/build MAKEFLAGS=-j$NIX_BUILD_CORES
set --
eval "$settings"
mkdir -p "/build/$package" "$out"
if [ -d "$src" ]; then
    cp -R "$src/." "/build/$package" && chmod -R u+w "/build/$package"
else
    tar -x -f "$src" -C "/build/$package" --strip-components=1 --no-same-owner
fi
cd "/build/$package/$directory"
if [ -n "$fields" ]; then
    awk -v names=" $names " '
        /^[ \\t\\r]*$/ { next }
        /^[^ \\t]/ { skip = index(names, " " substr($0, 1, index($0, ":") - 1) " ") }
        !skip' DESCRIPTION > DESCRIPTION.new
    printf '%s\\n' "$fields" >> DESCRIPTION.new
    mv DESCRIPTION.new DESCRIPTION
elif [ -n "$repository" ] && ! grep -q '^Repository:' DESCRIPTION; then
    awk '!/^[ \\t\\r]*$/' DESCRIPTION > DESCRIPTION.new
    printf 'Repository: %s\\n' "$repository" >> DESCRIPTION.new
    mv DESCRIPTION.new DESCRIPTION
fi
R CMD INSTALL --strip --built-timestamp='1970-01-01 00:00:01 UTC' --library="$out" "$@" .
test -f "$out/$package/DESCRIPTION"
"""

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": "1",
}


def r_package_node(
    graph: Graph,
    package: Package,
    source: Node,
    root: Node,
    inputs: Sequence[Node],
    *,
    provenance: Mapping[str, str],
    directory: str,
    machine: str,
) -> Node:
    """The library with just this package. `inputs` are those of the packages that it needs, directly or not.

    `source` is its archive or repository, `directory` its place in that; `provenance` are fields for its DESCRIPTION.
    """
    fields = {key: value for key, value in provenance.items() if key != "Repository"}
    cached = cached_compilers(root, f"r-{package.name}")
    env = {
        **_ENVIRONMENT,
        **cached,
        "PATH": search_path(_ENVIRONMENT["PATH"], cached),
        ATTRIBUTE: root.out,
        SETTING: "renv = { system = [NAMES] } under [lockfiles]",
        "src": source.out,
        "package": package.name,
        "directory": directory,
        "fields": "\n".join(f"{key}: {value}" for key, value in fields.items()),
        "names": " ".join(fields),
        "repository": provenance.get("Repository", ""),
        "R_LIBS": ":".join(node.out for node in inputs),
        "revision": _REVISION,
    }
    if settings := _settings(package.changes):
        env["settings"] = settings
    return graph.add(
        name=sanitize_name(f"r-{package.name}-{package.version}"),
        builder=_SHELL,
        args=("-e", "-c", _SCRIPT),
        system=f"{machine}-linux",
        env=env,
        inputs=(source, root, *inputs),
        label=f"{package.name} {package.version}",
    )


def _settings(changes: Changes) -> str:
    """What an override says, as commands of a shell. Flags go where R has make look for them (?INSTALL, "Makevars")."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in changes.environment]
    if changes.flags:
        rows = [f"{each} += {value}" for name, value in changes.flags for each in _make_names(name)]
        lines.append(f"printf '%s\\n' {shlex.join(rows)} > /build/Makevars")
        lines.append("export R_MAKEVARS_USER=/build/Makevars")
    if changes.arguments:
        lines.append(f"set -- {shlex.join(changes.arguments)}")
    return "\n".join(lines)


def _make_names(name: str) -> tuple[str, ...]:
    """R has flags for each standard of C++."""
    if name != "CXXFLAGS":
        return (name,)
    return (name, *(f"CXX{standard}FLAGS" for standard in ("11", "14", "17", "20", "23")))


def library_nodes(
    graph: Graph,
    library: RLibrary,
    root: Node,
    candidates: Callable[[str], Sequence[str]],
    *,
    machine: str,
) -> dict[str, Node]:
    """The packages of a library by name. `candidates` gives the URLs where a locked file can be, best first."""
    packages = {package.name: package for package in library.packages}
    found: dict[str, Node] = {}
    # What a package needs has fewer inputs than itself, all of them among its own.
    for name in sorted(packages, key=lambda name: (len(library.inputs[name]), name)):
        package = packages[name]
        found[name] = r_package_node(
            graph,
            package,
            _source(graph, package, candidates),
            root,
            [found[each] for each in library.inputs[name] if each in found],
            provenance=library.provenance.get(name, {}),
            directory=library.directories.get(name, ""),
            machine=machine,
        )
    return found


def _source(graph: Graph, package: Package, candidates: Callable[[str], Sequence[str]]) -> Node:
    label = f"{package.name} {package.version}"
    if is_git(package.file.url):
        source = git_node(graph, package.file)
    else:
        first, *others = candidates(package.file.url)
        source = fetch_node(graph, package.file, first, label=label, mirrors=others)
    if not package.changes.patches:
        return source
    return graph.add(
        name=sanitize_name(f"r-{package.name}-{package.version}-source"),
        builder=UNPACK,
        env={"format": "r", "src": source.out, "revision": _REVISION, **patches_of(package.changes)},
        inputs=(source,),
        label=f"{label} (source)",
    )
