"""A shell in the environment of a build: of a recipe where a phase failed, or of any derivation.

It runs in the sandbox that the build has, with two differences: it keeps the terminal, and it sees the machine's
programs, since the user's shell is one of them; but a build in a root of packages sees only those. Where no sandbox can be made, it runs without.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from devenv.building import Planner
from devenv.derivations.on_host import HOST_PATHS
from devenv.derivations.process import BuildOptions, Room, prepare
from devenv.derivations.program import TOP
from devenv.env.enter import enter_command
from devenv.env.object import render_object
from devenv.env.shell_derivation import find_bash
from devenv.env.spec import Append, Set, Spec
from devenv.errors import DevenvError
from devenv.events import Notice
from devenv.plugins import load_shells
from devenv.project import Project
from devenv.recipes.instantiate import Planned
from devenv.recipes.kept import Kept, KeptTree
from devenv.recipes.running import output_place, recipe_options, restore, scratch_node, write_generated
from devenv.recipes.script import HOST_PATH, PLACE
from devenv.recipes.shell import build_spec, recipe_spec
from devenv.sandbox.spec import Bind, SandboxSpec
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.store.tree import remove
from devenv.values import replaced
from devenv.workplace import Workplace

if TYPE_CHECKING:
    from devenv.formats.store_path import StorePath

SPEC_PLACE = "/devenv"  # where the environment's files are, inside
# Of the user's own variables: which shell, and on what terminal. PATH is for finding the shell only.
_KEPT = frozenset({"SHELL", "PATH", "TERM", "TERMINFO", "COLORTERM", "NO_COLOR", "DEVENV_NO_PROMPT"})
_RC = ".devenv-rc"  # in the build directory: what bash reads first for a derivation of Nix's stdenv


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellRequest:
    """What to start: the user's shell, or `line` in it, or `program`. `shell` is its name, None for the user's own."""

    shell: str | None = None
    line: str | None = None
    program: tuple[str, ...] = ()


def enter_recipe(project: Project, name: str, request: ShellRequest, options: BuildOptions) -> int:
    """Start a shell in the build of a recipe: where its last failure left it, or after its last checkpoint.

    Gives the exit status. Raises RecipeError, BuildError, EnterError, SandboxError, StoreError.
    """
    place = project.workplace
    notice = _notice(place)
    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        planner = Planner(project, store, options)
        everything = planner.plan([name])
        planned = everything[name]
        planner.realise(everything, targets=planned.node.inputs)
        tree = KeptTree(store.layout, project.root, name)
        with store.temporary_directory() as directory, _lasting():
            opened = _options(recipe_options(planned, planner.build_options(everything)))
            room = prepare(scratch_node(planned), store, f"{directory}/room", opened, interactive=True)
            taken = _take(tree, planned, room, planner, notice)
            try:
                spec = recipe_spec(planned, _text(room.program.environment))
                return _run(place, room, spec, request, directory, _left_in(room.scratch.build), notice)
            finally:
                if taken is not None:
                    with tree.locked():
                        # A failure meanwhile left something newer.
                        if tree.find() is None:
                            tree.keep(room.scratch.build, output_place(planned, room.scratch), taken)


def enter_derivation(place: Workplace, drv: StorePath, request: ShellRequest, options: BuildOptions) -> int:
    """Start a shell in the environment of the builder of any derivation, in an empty build directory."""
    from devenv.caching import substitution
    from devenv.derivations.loading import load_graph
    from devenv.derivations.realise import realise
    from devenv.errors import raise_problems
    from devenv.realisation import host_pythons

    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        graph, problems = load_graph(store.store_dir, [drv])
        raise_problems(problems.values())
        node = graph.nodes[drv]
        if node.derivation.builder.startswith("builtin:"):
            raise DevenvError(
                f"entering the build of {drv}: {node.derivation.builder} is part of devenv or Nix, no program with an "
                "environment"
            )
        store.add_temp_roots(drv for drv in graph.nodes)
        realise(
            store,
            graph,
            node.inputs,
            client=place.client,
            pythons=host_pythons(place, graph),
            reporter=place.settings.reporter,
            jobs=place.jobs,
            options=options,
            bring=substitution(place, store),
        )
        with store.temporary_directory() as directory, _lasting():
            room = prepare(node, store, f"{directory}/room", _options(options), interactive=True)
            variables = _text(room.program.environment)
            stdenv = node.derivation.env.get("stdenv", "")
            if stdenv and os.path.isfile(f"{stdenv}/setup"):
                return _run_stdenv(place, room, node.derivation.builder, request, _notice(place))
            spec = build_spec(node.derivation.name, variables)
            return _run(place, room, spec, request, directory, "", _notice(place))


def _notice(place: Workplace) -> Callable[[str], None]:
    return lambda text: place.settings.reporter.event(Notice(text=text))


def _options(options: BuildOptions) -> BuildOptions:
    """The machine's programs can be seen as well: the user's shell is one."""
    shown = tuple(f"{path}?" for path in HOST_PATHS)
    return replace(options, sandbox_paths=(*(options.sandbox_paths or ()), *shown))


def _text(environment: Mapping[bytes, bytes]) -> dict[str, str]:
    return {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}


# The build directory


def _take(
    tree: KeptTree, planned: Planned, room: Room, planner: Planner, notice: Callable[[str], None]
) -> Kept | None:
    """Fill the room with what the last failure left, or else with the last state that is known."""
    keys = planned.keys(TOP, sandboxed=True)
    with tree.locked():
        kept = tree.find()
        if kept is not None and (not kept.key or kept.key in keys):
            with explaining("opening a failed build", tree.path):
                remove(room.scratch.build)
                os.rename(tree.build, room.scratch.build)
                if os.path.lexists(tree.out):
                    os.rename(tree.out, output_place(planned, room.scratch))
                write_generated(room)
            tree.forget()
            notice(f"{planned.build.full_name} is as its phase {kept.failed} left it.")
            return kept
    if kept is not None:
        notice("What the last failure left is of an older version of this recipe, or of its sources.")
    usable = keys if planned.build.checkpoints else ()
    done, _ = restore(planned, room, planner.checkpoints, usable[:-1], notice)
    after = f"after its phase {planned.phases[done - 1].name}" if done else "before its first phase"
    notice(f"{planned.build.full_name} is {after}; what is changed here is not kept.")
    return None


def _left_in(build: str) -> str:
    """Where the last phase ended, below the build directory, as "/source"; "" for the directory itself."""
    with (
        suppress(OSError),
        open(os.path.join(build, PLACE), encoding="utf-8", errors="surrogateescape") as file,
    ):
        place = os.path.normpath("/" + file.readline().rstrip("\n"))
        if os.path.isdir(build + place) and place != "/":
            return place
    return ""


# Starting


def _run(
    place: Workplace,
    room: Room,
    spec: Spec,
    request: ShellRequest,
    directory: str,
    inner: str,
    notice: Callable[[str], None],
) -> int:
    """Start the shell with the environment `spec`, in the directory `inner` of the build."""
    spec = _with_tools(spec)
    sandboxed = _is_possible(notice)
    if not sandboxed:
        spec = _moved(spec, room)
    files = os.path.join(directory, "spec")
    _write_spec(spec, files)
    top = TOP if sandboxed else room.scratch.build
    start = partial(
        enter_command,
        spec=files,
        project=top,
        environ={name: value for name, value in place.settings.environ.items() if name in _KEPT},
        line=request.line,
        argv=request.program,
        pure=True,
    )
    argv, variables = start(shell=request.shell)
    if sandboxed and not request.program and not _is_shown(argv[0], room.sandbox):
        if request.shell is not None:
            raise DevenvError(
                f"starting {argv[0]} in a build: a build cannot see it, only {', '.join(HOST_PATHS)}",
                hint="choose a shell that is installed there, with --shell",
            )
        notice(f"A build cannot see {argv[0]}, so this is bash.")
        argv, variables = start(shell=find_bash())
    argv[0] = _find_program(
        argv[0], variables.get("PATH", ""), top + inner, room.sandbox if sandboxed else None
    )
    if not sandboxed:
        return _run_plainly(argv, variables, top + inner)
    # The files have another place inside.
    argv = [word.replace(files, SPEC_PLACE) for word in argv]
    variables = {name: value.replace(files, SPEC_PLACE) for name, value in variables.items()}
    sandbox = replaced(room.sandbox, mounts=(*room.sandbox.mounts, Bind(files, SPEC_PLACE)))
    return _run_inside(sandbox, argv, variables, top + inner)


def _run_stdenv(
    place: Workplace, room: Room, builder: str, request: ShellRequest, notice: Callable[[str], None]
) -> int:
    """A bash that has read `$stdenv/setup`, as nixpkgs' own builder does: its phases are functions."""
    sandboxed = _is_possible(notice)
    top = TOP if sandboxed else room.scratch.build
    bash = builder if os.path.basename(builder) == "bash" and os.access(builder, os.X_OK) else find_bash()
    with open(os.path.join(room.scratch.build, _RC), "w", encoding="ascii") as file:
        file.write(
            "source \"$stdenv/setup\"\nset +e +u +o pipefail\nPATH=$PATH:/usr/bin:/bin\nPS1='(build) \\w$ '\n"
        )
    rc = f"{top}/{_RC}"
    argv = [bash, "--rcfile", rc, "-i"]
    if request.line is not None:
        argv = [bash, "-c", f'source {rc}; eval "$1"', "bash", request.line]
    elif request.program:
        argv = [bash, "-c", f'source {rc}; "$@"', "bash", *request.program]
    environment = _text(room.program.environment)
    environment["TERM"] = place.settings.environ.get("TERM", "dumb")
    if not sandboxed:
        return _run_plainly(argv, {name: _moved_text(text, room) for name, text in environment.items()}, top)
    return _run_inside(room.sandbox, argv, environment, top)


def _is_possible(notice: Callable[[str], None]) -> bool:
    """Whether there can be a sandbox. One line says so where there cannot."""
    from devenv.sandbox.probe import probe

    found = probe()
    if not found.works:
        notice(
            f"This shell is not kept apart from the machine, and has other paths than the build: {found.reason}."
        )
    return found.works


def _with_tools(spec: Spec) -> Spec:
    """Behind what the build finds, the machine's programs: a person needs some to look around."""
    tools = Append(entries=tuple(HOST_PATH.split(":")), origin="devenv enter --build")
    operations = spec.variables.get("PATH", ())
    if any(isinstance(entry, Set) and entry.value.endswith(HOST_PATH) for entry in operations):
        return spec
    return replace(spec, variables={**spec.variables, "PATH": (*operations, tools)})


def _moved(spec: Spec, room: Room) -> Spec:
    """The environment for a place without a sandbox: the build directory and the output where they really are."""
    variables = {
        name: tuple(
            replace(entry, value=_moved_text(entry.value, room)) if isinstance(entry, Set) else entry
            for entry in operations
        )
        for name, operations in spec.variables.items()
    }
    return replace(spec, variables=variables)


def _moved_text(text: str, room: Room) -> str:
    if text == TOP or text.startswith(TOP + "/"):
        return room.scratch.build + text[len(TOP) :]
    return text


def _write_spec(spec: Spec, directory: str) -> None:
    with explaining("writing the environment of the build to", directory):
        for name, (contents, executable) in render_object(spec, load_shells()).items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(contents)
            os.chmod(path, 0o555 if executable else 0o444)


def _outside(path: str, sandbox: SandboxSpec | None) -> str:
    """Where a path of the build is on the machine; a root of packages, say, has a /usr of its own."""
    best = None
    for mount in sandbox.mounts if sandbox is not None else ():
        if isinstance(mount, Bind) and f"{path}/".startswith(f"{mount.target}/"):
            best = mount if best is None or len(mount.target) >= len(best.target) else best
    return path if best is None else best.source + path[len(best.target) :]


def _is_shown(program: str, sandbox: SandboxSpec) -> bool:
    outside = _outside(program, sandbox)
    if outside != program:
        return os.path.lexists(outside)
    return os.path.realpath(program).startswith(tuple(f"{shown}/" for shown in HOST_PATHS))


def _find_program(wanted: str, path: str, directory: str, sandbox: SandboxSpec | None) -> str:
    """A program by its name, as it is called inside."""
    if "/" in wanted:
        return wanted
    for place in path.split(":"):
        found = os.path.join(directory, place, wanted)
        outside = _outside(found, sandbox)
        # A link may lead elsewhere inside than here.
        is_program = os.path.isfile(outside) and os.access(outside, os.X_OK)
        if place and (is_program or (outside != found and os.path.islink(outside))):
            return found
    raise DevenvError(
        f"starting {wanted}: there is no such program on the PATH of the build, which is {path}"
    )


def _run_inside(sandbox: SandboxSpec, argv: Sequence[str], environment: Mapping[str, str], cwd: str) -> int:
    from devenv.sandbox import enter

    with _deaf():
        child = enter.run(sandbox, list(argv), dict(environment), cwd)
        return _status(os.waitpid(child, 0)[1])


def _run_plainly(argv: Sequence[str], environment: Mapping[str, str], cwd: str) -> int:
    import subprocess

    with _deaf():
        try:
            status = subprocess.run(list(argv), env=dict(environment), cwd=cwd, check=False).returncode
        except OSError as error:
            raise DevenvError(f"starting {argv[0]}: {error.strerror}") from error
    return status if status >= 0 else 128 - status


def _status(wait_status: int) -> int:
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C and Ctrl-\\ are for the shell, which is in the foreground with us."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _lasting() -> Iterator[None]:
    """A closed terminal ends the shell; what it was about is put away before devenv ends too."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
