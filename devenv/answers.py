"""What lockfiles leave open, asked of registries and repositories."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from devenv.adapter import FileQuery, GitQuery, NpmQuery, PypiQuery, Query, RemoteFile, RQuery
from devenv.errors import DevenvError, raise_problems

if TYPE_CHECKING:
    from devenv.workplace import Workplace

Answers = dict[str, tuple[RemoteFile, ...]]


def answer(place: Workplace, queries: list[Query]) -> Answers:
    """The files that each query means, by its key, in the registries' order.

    Raises FetchError or another DevenvError, as Problems for several: one for each kind of registry. A BuildQuery is
    none of theirs, and left out.
    """
    answers: Answers = {}
    problems = []
    for kind, ask in _ASKED.items():
        wanted = [query for query in queries if isinstance(query, kind)]
        try:
            answers |= ask(place, wanted) if wanted else {}
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return answers


def _npm(place: Workplace, queries: list[NpmQuery]) -> Answers:
    from devenv.fetch.npm_registry import answer_npm

    return answer_npm(place.client, place.endpoints, queries, place.settings.reporter)


def _pypi(place: Workplace, queries: list[PypiQuery]) -> Answers:
    from devenv.fetch.python_index import answer_pypi

    return answer_pypi(place.client, place.endpoints, queries, place.settings.reporter)


def _git(place: Workplace, queries: list[GitQuery]) -> Answers:
    from devenv.derivations.git_trees import answer_git
    from devenv.store.local import Store

    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        return answer_git(place.client, queries, store)


def _files(place: Workplace, queries: list[FileQuery]) -> Answers:
    from devenv.providers.file_hashes import answer_files

    return answer_files(place.client, queries, place.settings.reporter)


def _r(place: Workplace, queries: list[RQuery]) -> Answers:
    """The sources come along and stay in the store: there is no other way to know their hashes."""
    from devenv.providers.r_sources import answer_r
    from devenv.store.local import Store

    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        return answer_r(place.client, store, queries, place.settings.reporter)


_ASKED: dict[type[Any], Callable[[Workplace, list[Any]], Answers]] = {
    NpmQuery: _npm,
    PypiQuery: _pypi,
    GitQuery: _git,
    FileQuery: _files,
    RQuery: _r,
}
