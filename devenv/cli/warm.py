"""`devenv enter` when nothing changed: a few stat calls, then the shell.

Imports only what the interpreter has loaded anyway: this path is taken many times a day, and every
module costs milliseconds. Whatever it does not understand it leaves to the full command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence


class Request:
    """What an `enter` command line asks for, in its simple forms."""

    __slots__ = ("directory", "line", "program", "project", "pure", "shell", "system")

    def __init__(self) -> None:
        # `directory` is gone into, `project` only says where to look for devenv.toml.
        self.directory: str | None = None
        self.project: str | None = None
        self.line: str | None = None
        self.program: list[str] | None = None
        self.shell: str | None = None
        self.pure = False
        # The relocated system packages to use instead of moving into their root.
        self.system: str | None = None


def read_request(arguments: Sequence[str]) -> Request | None:
    """The command line as a request, or None when it needs the real parser."""
    request = Request()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            request.program = rest
            return request if rest else None
        if word == "--pure":
            request.pure = True
        elif word in ("-c", "--shell", "--project") and rest:
            setattr(request, {"-c": "line", "--shell": "shell", "--project": "project"}[word], rest.pop(0))
        elif word.startswith("-") or request.directory is not None:
            return None
        else:
            request.directory = word
    return request


def find_project(start: str) -> str | None:
    """The nearest directory at or above `start` that holds a devenv.toml, with links resolved."""
    place = os.path.realpath(start)
    while not os.path.isfile(os.path.join(place, "devenv.toml")):
        parent = os.path.dirname(place)
        if parent == place:
            return None
        place = parent
    return place


def enter(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Become the shell when the environment of this project is known to be current, else return."""
    from devenv.stamp import current_spec, had_shell

    request = read_request(arguments)
    if request is None:
        return
    project = find_project(request.project or request.directory or ".")
    if project is None:
        return
    spec = current_spec(project, environ)
    if spec is None and (request.line is not None or request.program is not None):
        spec = _recalled(project, environ)
    if spec is None or not _has_its_root(spec):
        return
    # A shell that prompts asks for more than a line of the user's own: see `devenv.trusting`.
    if request.line is None and request.program is None and not had_shell(project, spec, environ):
        return
    become(request, spec, project, environ)


def show(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What `devenv env --json` prints where the environment is known to be current; None for what needs the full command."""
    project = find_project(".") if list(arguments) == ["--json"] else None
    if project is None:
        return None
    from devenv.stamp import current_spec

    spec = current_spec(project, environ)
    if spec is None:
        return None
    import json

    try:
        with open(f"{spec}/env.json", encoding="utf-8") as file:
            return json.dumps(json.load(file), indent=2) + "\n"
    except (OSError, ValueError):
        return None


def _recalled(project: str, environ: Mapping[str, str]) -> str | None:
    """The spec of an environment that was entered in another checkout without a word, made in this one."""
    from devenv import known

    key = known.key(project, environ)
    found = known.read(key, environ) if known.was_entered(key, environ) else None
    if found is None or found.notices:
        return None
    if found.later and environ.get("DEVENV_COMPILE", "background") != "never":
        return None  # compiling is started by the full command
    from devenv.events import Reporter
    from devenv.recalling import project_lock, recall
    from devenv.store.layout import Layout

    with project_lock(project):
        layout = Layout.find(None, environ)
        return found.spec if recall(project, found, layout, environ, Reporter()) else None


def _has_its_root(spec: str) -> bool:
    """Whether the root of packages that a spec asks for is composed; a spec without one has what it needs."""
    if not os.path.exists(f"{spec}/root"):
        return True
    from devenv.fhs.entering import root_of

    return os.path.isdir(root_of(spec) or "")


def _surroundings(tree: str, project: str) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """What relocated system packages add to variables."""
    from devenv.fhs.surroundings import variables

    state = {"DEVENV_STATE": f"{project}/.devenv/state"}
    return lambda environ: variables(tree, environ) | state


def _go_into(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        from devenv.errors import DevenvError

        raise DevenvError(f"going into {directory}: {error.strerror}") from error


def become(request: Request, spec: str, project: str, environ: Mapping[str, str]) -> None:
    """Replace this process by the shell or program that the request names."""
    from devenv.env.enter import enter_command
    from devenv.state_home import hook_directory

    if request.directory is not None:
        _go_into(request.directory)
    if request.system is None and os.path.exists(f"{spec}/root"):
        from devenv.fhs import entering

        entering.enter(
            root=entering.root_of(spec) or "",
            spec=spec,
            project=project,
            environ=environ,
            shell=request.shell,
            line=request.line,
            argv=request.program,
            pure=request.pure,
        )
    argv, variables = enter_command(
        shell=request.shell,
        spec=spec,
        project=project,
        environ=environ,
        line=request.line,
        argv=request.program,
        pure=request.pure,
        surroundings=None if request.system is None else _surroundings(request.system, project),
        hooks=hook_directory(environ) if request.line is None else None,
    )
    try:
        os.execvpe(argv[0], argv, variables)  # noqa: S606
    except OSError as error:
        from devenv.errors import DevenvError

        where = "" if "/" in argv[0] else " on the environment's PATH"
        raise DevenvError(f"starting {argv[0]}{where}: {error.strerror}") from error
