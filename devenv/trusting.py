"""What a project asks for, and whether it has it: the use cases of trust."""

from __future__ import annotations

import os

from devenv.config.parameters import defaults
from devenv.project import Project
from devenv.trust import Trust, Untrusted
from devenv.trust_request import Item, Request, read_request


def project_request(project: Project) -> Request:
    """What the project asks for now. Raises what is wrong with its files."""
    hashes: dict[str, str] = {}
    for lockfile in project.lockfiles:
        hashes.update(lockfile.hashes())
    # Defaults are the project's word. What is given to a parameter is the user's own.
    return read_request(project.root, defaults(project.config), project.lock, hashes)


def is_trusted(project: Project, trust: Trust, request: Request) -> bool:
    """Whether all of it may be entered without a word, programs in the project's directories included.

    Content that was allowed elsewhere counts where devenv itself is going to make those directories: had the repository
    brought them along, what is in them would be nobody's promise.
    """
    root = project.root
    if trust.verdict(root, request) != "allowed":
        return False
    if trust.is_place(root, request):
        return True
    if not request.items or any(
        os.path.lexists(os.path.join(root, place)) for place in _made_places(project)
    ):
        return False
    trust.allow(root, request)
    return True


def _made_places(project: Project) -> list[str]:
    """Directories that devenv makes in a project, as far as they can hold programs."""
    places = [".devenv"]
    for lockfile in project.config.lockfiles:
        if lockfile.ecosystem == "npm":
            places.append(os.path.join(os.path.dirname(str(lockfile.path)), "node_modules"))
    return places


def require_entry(
    project: Project, trust: Trust, request: Request, *, shell: bool = False
) -> tuple[Item, ...]:
    """What must be asked before somebody enters on purpose. Raises Untrusted where it was denied.

    shell: a shell will prompt in there, and prompts run programs by their names
    """
    wanted = (*request.on_entry, *(request.by_name if shell else ()))
    if not wanted:
        return ()
    verdict = trust.verdict(project.root, request, wanted)
    if verdict == "denied":
        raise Untrusted(
            f"{project.root} was denied what it wants to run",
            items=wanted,
            hint="`devenv allow` shows it and allows it",
        )
    known = set(trust.allowed_here(project.root))
    return () if verdict == "allowed" else tuple(item for item in wanted if item not in known)
