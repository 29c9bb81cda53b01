"""What every verb gets: the options that all have in common, as the objects they stand for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from devenv.cli.warm import find_project

# Many commands look at the store, or at what was made, alone: what a project is takes longest to load.
if TYPE_CHECKING:
    from devenv.events import Reporter
    from devenv.project import Project
    from devenv.workplace import Settings, Workplace


def _listed(text: str | None) -> tuple[str, ...] | None:
    """The entries of a list with commas, None where it was not given."""
    return None if text is None else tuple(filter(None, (entry.strip() for entry in text.split(","))))


class Context:
    """The surroundings of one command. Closes the progress display when the command ends."""

    def __init__(self, arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
        self.arguments = arguments
        self.environ = environ

    @cached_property
    def reporter(self) -> Reporter:
        from devenv.cli.progress import choose_reporter

        return choose_reporter(sys.stderr, quiet=self.arguments.quiet, verbose=self.arguments.verbose)

    @cached_property
    def settings(self) -> Settings:
        from devenv.workplace import Settings

        return Settings(
            environ=self.environ,
            store_dir=self.arguments.store_dir,
            offline=self.arguments.offline,
            jobs=self.arguments.max_jobs,
            substituters=_listed(self.arguments.substituters),
            trusted_keys=_listed(self.arguments.trusted_keys) or (),
            reporter=self.reporter,
        )

    @property
    def interactive(self) -> bool:
        """May a question be asked?"""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @cached_property
    def project(self) -> Project:
        """The project at or above `--project` or the current directory. Raises NoProject."""
        from devenv.config.parameters import split_given
        from devenv.project import NoProject, Project

        start = self.arguments.project or "."
        root = find_project(start)
        if root is None:
            raise NoProject(
                f"no devenv.toml in {os.path.abspath(start)} or above it",
                hint="`devenv init` writes one for what the directory holds",
            )
        given = split_given(getattr(self.arguments, "set", None) or ())
        profiles = tuple(getattr(self.arguments, "profile", None) or ())
        return Project(root, self.settings, given=given, profiles=profiles)

    def workplace(self) -> Workplace:
        """The project's store and network, or the user's own where there is no project."""
        from devenv.project import Project
        from devenv.workplace import Workplace

        root = find_project(self.arguments.project or ".")
        if root is None:
            return Workplace(os.getcwd(), {}, self.settings)
        return Project(root, self.settings).workplace

    def bare_workplace(self) -> Workplace:
        """The user's own, whatever project this is."""
        from devenv.workplace import Workplace

        return Workplace(os.getcwd(), {}, self.settings)

    def notice(self, text: str) -> None:
        from devenv.events import Notice

        self.reporter.event(Notice(text=text))

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Ask on the terminal; `--yes` answers, and without a terminal it is no."""
        if self.arguments.yes:
            return True
        if not self.interactive:
            return False
        sys.stderr.write(f"{question} [{'Y/n' if default else 'y/N'}] ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip().lower()
        return answer in ("y", "yes") or (default and not answer)

    def close(self) -> None:
        """End the progress display, so that the terminal belongs to what comes next."""
        reporter = self.__dict__.pop("reporter", None)
        close = getattr(reporter, "close", None)
        if close is not None:
            close()
        self.__dict__.pop("settings", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
