"""Pins of the git repositories that a project extends, for devenv.lock."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from devenv.config.lock import LockedTree
from devenv.config.model import Extended
from devenv.config.toml import parse_config
from devenv.errors import DevenvError
from devenv.extending import NAME, ExtendsError

if TYPE_CHECKING:
    from devenv.fetch.http import Client


class Pins:
    """What is pinned already and stays so, and what is asked for now. `found` are those that are used."""

    def __init__(self, client: Callable[[], Client], before: Sequence[LockedTree], *, update: bool) -> None:
        self._client = client
        self._known = {} if update else {(tree.url, tree.rev, tree.directory): tree for tree in before}
        self.found: dict[tuple[str, str, str], LockedTree] = {}

    def pin(self, extended: Extended) -> LockedTree:
        """Raises FetchError, and ExtendsError where the directory has no devenv.toml."""
        key = (str(extended.git), extended.rev, extended.directory)
        tree = self.found.get(key) or self._known.get(key) or self._ask(extended)
        self.found[key] = tree
        return tree

    def _ask(self, extended: Extended) -> LockedTree:
        from devenv.derivations.git_trees import look_into
        from devenv.fetch.errors import FetchError
        from devenv.fetch.git import resolve_revision

        url = str(extended.git)
        client = self._client()
        if client.offline:
            raise FetchError(f"Cannot ask {url} for {extended.rev}: --offline forbids it.")
        same = [tree for key, tree in {**self._known, **self.found}.items() if key[:2] == (url, extended.rev)]
        environ = client.endpoints.environ
        commit = same[0].commit if same else resolve_revision(url, extended.rev, environ=environ)
        file, texts = look_into(client, url, commit, partial(_texts, extended.directory))
        if not texts:
            place = posixpath.join(extended.directory, NAME)
            raise ExtendsError(
                f"{extended.origin}: commit {commit[:12]} of {url} has no {place}",
                hint="`dir` says where in a repository it lies",
            )
        return LockedTree(
            url=url,
            rev=extended.rev,
            directory=extended.directory,
            commit=commit,
            hash=file.hash,
            files=texts,
        )


def _texts(directory: str, tree: str) -> dict[str, str]:
    """The devenv.toml of a directory and those that it extends by paths, as far as they are in the tree."""
    from devenv.derivations.git_trees import text_in

    found: dict[str, str] = {}
    waiting = [directory]
    while waiting:
        place = posixpath.normpath(waiting.pop() or ".")
        name = posixpath.normpath(posixpath.join(place, NAME))
        text = None if name.startswith(("/", "..")) or name in found else text_in(tree, name)
        if text is None:
            continue
        found[name] = text
        try:
            config = parse_config(text, name)
        except DevenvError:
            continue  # said with its place when it is read
        waiting += [posixpath.join(place, each.path) for each in config.extends if each.path is not None]
    return found
