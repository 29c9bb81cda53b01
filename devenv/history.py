"""The environments that a project had, and what differs between any two.

An environment can be named as `current` (the one in use), a generation's number, `files` (what the files say now, nothing
is made for it), a directory with another project, or a revision of the project's git repository. `shell`, the variables that
devenv itself was started with, can be compared with any of these.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from devenv.config.parameters import argument_text
from devenv.departures import departures
from devenv.env.describe import operation_text
from devenv.env.spec import Spec
from devenv.errors import DevenvError
from devenv.explanation import read_view_packages
from devenv.fetch.errors import FetchError
from devenv.fetch.revisions import write_revision
from devenv.instantiation import instantiate_project
from devenv.preparation import Prepared, prepare
from devenv.project import CONFIG_NAME, Project
from devenv.store.generations import Generation, Profile, find_profile

SHELL = "shell"


class NoGeneration(DevenvError):
    """A project has no such environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment to compare. `packages`: versions by name, several where several are in it, "npm:react" for instance.

    `place` is its spec object, "" where there is none.
    """

    title: str
    spec: Spec
    packages: Mapping[str, tuple[str, ...]]
    place: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not the same. `kind`: package, parameter, variable, alias, function, completions, script. None: not there."""

    kind: str
    name: str
    before: str | None
    after: str | None


# Generations


def profile_of(project: Project) -> Profile:
    """The project's generations. Raises NoGeneration where it never had an environment."""
    found = find_profile(project.workplace.layout, project.root)
    if found is None or not found.generations:
        raise NoGeneration(f"{project.root} has had no environment yet", hint="`devenv enter` makes one")
    return found


def current_generation(profile: Profile) -> Generation:
    """The one in use."""
    for generation in profile.generations:
        if os.path.basename(generation.link) == profile.current:
            return generation
    return profile.generations[-1]


def find_generation(profile: Profile, number: int | None) -> Generation:
    """The one of this number, or the one before the current. Raises NoGeneration."""
    if number is None:
        current = current_generation(profile)
        older = [each for each in profile.generations if each.number < current.number]
        if not older:
            raise NoGeneration(f"{profile.project} has no environment before the current one")
        return older[-1]
    for generation in profile.generations:
        if generation.number == number:
            return generation
    known = ", ".join(str(each.number) for each in profile.generations)
    raise NoGeneration(f"{profile.project} has no environment {number}", hint=f"there are {known}")


def roll_back(project: Project, number: int | None) -> tuple[Generation, Prepared]:
    """Make an earlier environment the project's own again, until its files change. Raises NoGeneration.

    It is composed from what was kept of its files; its packages are in the store, so nothing is fetched.
    """
    generation = find_generation(profile_of(project), number)
    past = _past(project, generation)
    return generation, prepare(past, back_to=generation)


def _past(project: Project, generation: Generation) -> Project:
    if generation.sources is None or not os.path.isdir(generation.sources):
        raise NoGeneration(
            f"of environment {generation.number} of {project.root} the files were not kept",
            hint="it can be entered by sourcing its activate file: " + generation.target,
        )
    spec = _read_spec(f"generation {generation.number}", generation.target)
    return Project(
        project.root,
        project.settings,
        sources=generation.sources,
        given=_arguments(spec),
        profiles=spec.profiles,
    )


# Any environment


def find_environment(project: Project, name: str) -> Environment:
    """The environment of this name, see above. Raises DevenvError."""
    if name == "files":
        return _planned("the files", project)
    if name == "current" or name.isdecimal():
        profile = profile_of(project)
        found = find_generation(profile, int(name)) if name != "current" else current_generation(profile)
        return _made(f"generation {found.number}", found.target)
    if os.path.isfile(os.path.join(name, CONFIG_NAME)):
        return _planned(name, Project(os.path.realpath(name), project.settings))
    with tempfile.TemporaryDirectory(prefix="devenv-revision-") as folder:
        _check_out(project.root, name, folder, project.settings.environ)
        return _planned(name, Project(project.root, project.settings, sources=folder))


def _planned(title: str, project: Project) -> Environment:
    made, _ = instantiate_project(project)
    texts = [(recipe.kind, recipe.text.decode()) for recipe in made.recipes]
    return Environment(title=title, spec=made.spec, packages=_packages(made.spec, texts))


def _read_spec(title: str, target: str) -> Spec:
    try:
        with open(os.path.join(target, "env.json"), encoding="utf-8") as file:
            return Spec.from_json(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(title, error) from error


def arguments_of(generation: Generation) -> dict[str, str]:
    """The values of parameters that a generation was made with, as texts. Raises NoGeneration."""
    spec = _read_spec(f"generation {generation.number}", generation.target)
    return _arguments(spec)


def profiles_of(generation: Generation) -> tuple[str, ...]:
    """The profiles that a generation was made with. Raises NoGeneration."""
    return _read_spec(f"generation {generation.number}", generation.target).profiles


def _made(title: str, target: str) -> Environment:
    spec = _read_spec(title, target)
    texts = []
    try:
        for view in spec.views:
            with open(view.recipe, encoding="utf-8") as file:
                texts.append((view.kind, file.read()))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(title, error) from error
    return Environment(title=title, spec=spec, packages=_packages(spec, texts), place=target)


def _unreadable(title: str, error: Exception) -> NoGeneration:
    return NoGeneration(f"reading {title}: {error}", hint="`devenv store verify` checks the store")


def _packages(spec: Spec, recipes: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {package.name: {package.version} for package in spec.packages}
    for kind, text in recipes:
        ecosystem = {"node_modules": "npm"}.get(kind, kind)
        for package in read_view_packages(text):
            found.setdefault(f"{ecosystem}:{package.name}", set()).add(package.version)
        if kind == "cargo":
            for path in json.loads(text).get("crates", {}).values():
                found.setdefault(f"cargo:{path.rpartition('/')[2][33:]}", set()).add("")
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _check_out(root: str, revision: str, folder: str, environ: Mapping[str, str]) -> None:
    """The files of the project at a revision, in `folder`. Raises DevenvError."""
    if revision.startswith("-"):
        raise DevenvError(f"{revision!r} names no environment: {_NAMES}")
    try:
        write_revision(root, revision, folder, environ=environ)
    except FetchError as error:
        raise DevenvError(
            f"{revision!r} names no environment: {_NAMES}", hint=f"git says: {error}"
        ) from error


_NAMES = (
    "current, files, shell, the number of a generation, a directory with a devenv.toml, or a revision of git"
)


# Differences


def differences(before: Environment, after: Environment) -> list[Difference]:
    """What is not the same, in order of kind and name."""
    found: list[Difference] = []
    found += _compared("package", _versions(before), _versions(after))
    found += _compared("parameter", _arguments(before.spec), _arguments(after.spec))
    found += _compared("variable", _variables(before.spec), _variables(after.spec))
    found += _compared("alias", _words(before.spec.aliases), _words(after.spec.aliases))
    found += _compared("function", _functions(before.spec), _functions(after.spec))
    found += _compared("completions", _words(before.spec.completions), _words(after.spec.completions))
    found += _compared("script", before.spec.scripts, after.spec.scripts)
    return found


def compare(project: Project, before: str, after: str) -> list[Difference]:
    """What differs between two environments of these names. Raises DevenvError."""
    if SHELL not in (before, after):
        return differences(find_environment(project, before), find_environment(project, after))
    if before == after:
        raise DevenvError("the shell is compared with itself", hint="devenv diff shell current")
    environment = find_environment(project, after if before == SHELL else before)
    found = departures(environment.spec, environment.place, project.root, project.settings.environ)
    return [
        Difference("variable", each.variable, each.found, each.expected)
        if before == SHELL
        else Difference("variable", each.variable, each.expected, each.found)
        for each in found
    ]


def _compared(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(kind, name, before.get(name), after.get(name))


def _versions(environment: Environment) -> dict[str, str]:
    return {name: ", ".join(filter(None, found)) for name, found in environment.packages.items()}


def _arguments(spec: Spec) -> dict[str, str]:
    return {name: argument_text(value) for name, value in spec.parameters.items()}


def _words(found: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: json.dumps(list(words), ensure_ascii=False) for name, words in found.items()}


def _functions(spec: Spec) -> dict[str, str]:
    return {
        f"{name} ({shell})": body for name, bodies in spec.functions.items() for shell, body in bodies.items()
    }


def _variables(spec: Spec) -> dict[str, str]:
    """What is done to each variable, without the hashes of packages, whose versions are compared by themselves."""
    paths = {package.path: package.name for package in spec.packages}
    found = {}
    for name, operations in spec.variables.items():
        text = "; ".join(operation_text(operation) for operation in operations)
        for path, package in paths.items():
            text = text.replace(path, f"<{package}>")
        found[name] = text
    return found
