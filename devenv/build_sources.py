"""What recipes are made of: files of the project, files from the network, things known by their hash."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from devenv.adapter import RemoteFile
from devenv.config.builds import Build, Fetch, PathSource, Purify, UrlSource
from devenv.derivations.graph import Graph
from devenv.derivations.packages import fetch_node
from devenv.errors import DevenvError
from devenv.events import Notice
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.project import Project
from devenv.recipes.errors import RecipeError
from devenv.recipes.instantiate import Given
from devenv.recipes.sources import SourceTree, add_file, add_source, file_path, source_path

if TYPE_CHECKING:
    from devenv.store.local import Store


class Unknown(DevenvError):
    """What can be known only by doing it. The message says what and why."""


class Sources:
    """Brings sources into the store or, without one, says where they would be.

    `make` builds a recipe by its name, for what is purified from its result. `searched` grows without a store: what
    would be looked for, with a text for people.
    """

    def __init__(
        self, project: Project, store: Store | None, graph: Graph, make: Callable[[str], StorePath]
    ) -> None:
        self._project, self._place = project, project.workplace
        self._store, self._graph, self._make = store, graph, make
        self._fetched: dict[str, Given] = {}
        self._purifying: list[str] = []
        self.searched: dict[StorePath, str] = {}

    def fetch(self, fetch: Fetch) -> Given:
        """The file of a [fetch.NAME]. Raises Unknown, FetchError, StoreError."""
        url = self._place.endpoints.absolute(fetch.url)
        if fetch.hash is not None:
            return self._fetch_known(fetch.url, fetch.hash)
        if self._store is None:
            raise Unknown(
                f"fetch.{fetch.name} has no hash, so it is fetched each time, and what it is decides more"
            )
        if fetch.name not in self._fetched:
            from devenv.recipes.impure import fetch_anew

            reporter = self._project.settings.reporter
            path, hash = fetch_anew(
                fetch, url, client=self._place.client, store=self._store, reporter=reporter
            )
            reporter.event(
                Notice(text=f"fetch.{fetch.name} is impure and was fetched anew: it is {hash.sri} now.")
            )
            self._fetched[fetch.name] = Given(path=path)
        return self._fetched[fetch.name]

    def _fetch_known(self, url: str, hash: str) -> Given:
        from devenv.recipes.impure import file_name

        file = RemoteFile(file_name=file_name(url), url=url, hash=Hash.parse_sri(hash))
        node = fetch_node(self._graph, file, self._place.endpoints.absolute(url))
        return Given(path=node.out, node=node)

    def purify(self, purify: Purify) -> Given:
        """What a [purify.NAME] stands for. Raises RecipeError where no candidate is it."""
        from devenv.recipes.impure import Candidate, purified_path, purify_into

        if self._store is None:
            path = purified_path(purify, self._place.layout.store_dir)
            self.searched[path] = f"purify.{purify.name} is looked for among {', '.join(purify.candidates)}"
            return Given(path=path)
        if purify.name in self._purifying:
            circle = " -> ".join([*self._purifying, purify.name])
            raise RecipeError(
                f"{purify.origin}: purify.{purify.name} needs itself: {circle}", recipe=purify.name
            )
        self._purifying.append(purify.name)
        try:
            candidates = [
                Candidate(text=text, bring=partial(self._bring, text)) for text in purify.candidates
            ]
            return Given(path=purify_into(purify, candidates, self._store))
        finally:
            self._purifying.pop()

    def _bring(self, candidate: str, target: str) -> None:
        """Copy what a candidate gives to the path `target`."""
        from devenv.recipes.impure import copy_of, stream_to

        assert self._store is not None
        kind, _, name = candidate.partition(".")
        if candidate.startswith(("http://", "https://")):
            url = self._place.endpoints.absolute(candidate)
            stream_to(self._place.client, url, target, candidate, self._project.settings.reporter)
        elif candidate.startswith("./"):
            copy_of(os.path.join(self._project.root, candidate))(target)
        elif kind == "fetch":
            fetch = self._project.config.fetches.get(name)
            if fetch is None:
                raise RecipeError(f"there is no [fetch.{name}]")
            url = self._place.endpoints.absolute(fetch.url)
            stream_to(self._place.client, url, target, candidate, self._project.settings.reporter)
        else:
            out = self._make(name)
            info = self._store.info(out)
            if info is not None and info.references:
                raise RecipeError(
                    f"it refers to {', '.join(info.references)}, so it is more than its contents"
                )
            copy_of(out)(target)

    def sources(self, build: Build) -> Iterator[Given]:
        """What a recipe is made of: one tree of the project's files, then each file from the network."""
        paths = tuple(source.path for source in build.sources if isinstance(source, PathSource))
        if paths:
            tree = SourceTree(
                project=self._project.root, paths=paths, exclude=build.exclude, recipe=build.name
            )
            if self._store is None:
                yield Given(path=source_path(tree, self._place.layout.store_dir))
            else:
                yield Given(path=add_source(tree, self._store))
        for source in build.sources:
            if isinstance(source, UrlSource):
                yield self._fetch_known(source.url, source.hash)

    def patch(self, build: Build, path: str) -> StorePath:
        """A patch in the project, as an object."""
        tree = SourceTree(project=self._project.root, paths=(path,), recipe=build.name)
        if self._store is None:
            return file_path(tree, path, self._place.layout.store_dir)
        return add_file(tree, path, self._store)
