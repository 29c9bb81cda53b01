"""Builds recipes phase by phase, with checkpoints between.

Each phase runs in a sandbox of its own over the same build directory, so nothing but files goes from one to the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from devenv.derivations.build_log import BuildLog, log_path
from devenv.derivations.build_root import Scratch
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Node
from devenv.derivations.on_host import HOST_PATHS
from devenv.derivations.outputs import Made
from devenv.derivations.process import BuilderFailed, BuildOptions, Processes, Room, clear, prepare
from devenv.derivations.program import TOP
from devenv.events import Notice, Reporter
from devenv.formats.aterm import byte_order
from devenv.formats.store_path import StorePath, digest_of
from devenv.recipes.checkpoints import Checkpoints, Tree
from devenv.recipes.instantiate import Planned, with_final_digest
from devenv.recipes.kept import Kept, KeptTree
from devenv.recipes.rewriting import replace_digest
from devenv.recipes.snapshots import Damaged, Known
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.store.tree import remove

# What `prepare` writes into the build directory anew each time.
GENERATED = (".attrs.json", ".attrs.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOptions:
    """`recipes` by the path of their derivations. `start`: by recipe, the phase from which all run again.

    `project` is the directory that the recipes belong to.
    """

    project: str
    recipes: Mapping[StorePath, Planned]
    checkpoints: Checkpoints
    start: Mapping[str, str]
    reporter: Reporter


class RecipeFailed(BuilderFailed):
    """A phase ended badly. `recipe` and `phase` say which."""

    def __init__(self, planned: Planned, phase: str, how: str, *, lines: list[str], log: str) -> None:
        name = planned.build.name
        setting = f'system = [NAMES] under [packages] and inputs = ["system"] under [build.{name}]'
        label = f"{planned.build.full_name} (phase {phase})"
        super().__init__(label, how, lines=lines, log=log, kept=None, setting=setting)
        self.recipe = name
        self.phase = phase
        self.place = (
            f"`devenv enter --build {name}` opens a shell where it stopped. Once it is mended, `devenv build {name}` "
            f"goes on from there. The whole log: {log}"
        )
        self.hint = f"{self.advice} {self.place}" if self.advice else self.place


def scratch_node(planned: Planned) -> Node:
    """The node of a recipe with the path at which its output is while phases run."""
    derivation = planned.node.derivation
    outputs = {"out": replace(derivation.outputs["out"], path=planned.scratch)}
    env = {**derivation.env, "out": planned.scratch}
    return replace(planned.node, derivation=replace(derivation, outputs=outputs, env=env))


def recipe_options(planned: Planned, options: BuildOptions) -> BuildOptions:
    """How the phases of one recipe are run."""
    shown = tuple(f"{path}?" for path in HOST_PATHS) if planned.build.host else options.sandbox_paths
    cores = planned.build.cores or options.cores
    return replace(options, sandbox_paths=shown, cores=cores)


def phase_program(room: Room, phase: str) -> Room:
    """`room` with only `phase` to run in it."""
    program = replace(room.program, arguments=(*room.program.arguments, byte_order(phase)))
    return replace(room, program=program)


def restore(
    planned: Planned,
    room: Room,
    checkpoints: Checkpoints,
    keys: tuple[str, ...],
    notice: Callable[[str], None],
) -> tuple[int, list[Known]]:
    """Put the state of the latest of `keys` into `room`: how many phases it is after, and what is known of it.

    Damaged checkpoints are dropped, with a notice. Raises StoreError.
    """
    scratch, out = room.scratch, output_place(planned, room.scratch)
    with explaining("going on from a checkpoint in", scratch.build):
        while (index := checkpoints.latest(keys)) is not None:
            remove(scratch.build)
            try:
                known = checkpoints.restore(keys[index], [scratch.build, out])
                write_generated(room)
                return index + 1, known
            except Damaged as damage:
                phase = planned.phases[index].name
                notice(
                    f"{planned.build.full_name}: the checkpoint after {phase} is damaged ({damage.what}) and dropped"
                )
                checkpoints.drop(keys[index])
                remove(out)
                remove(scratch.build)
                os.mkdir(scratch.build, 0o700)
                write_generated(room)
    return 0, [{}, {}]


def write_generated(room: Room) -> None:
    """The files that a builder finds in its build directory. Raises OSError."""
    for name, contents in room.program.files.items():
        place = os.path.join(room.scratch.build, name)
        with suppress(FileNotFoundError):
            os.unlink(place)
        with open(place, "xb") as file:
            file.write(contents)


def output_place(planned: Planned, scratch: Scratch) -> str:
    """Where the output of a recipe is made."""
    return os.path.join(scratch.store, os.path.basename(planned.scratch))


class RecipeProcesses(Processes):
    """Builds recipes by phases, and other derivations as ever."""

    def __init__(self, store: Store, directory: str, options: BuildOptions, recipes: RecipeOptions) -> None:
        super().__init__(store, directory, options)
        self._recipes = recipes
        self._resumed: set[StorePath] = set()

    def memory_of(self, node: Node) -> int | None:
        # What only went on from a checkpoint took less than it will take again.
        return None if node.path in self._resumed else super().memory_of(node)

    def build(self, node: Node, show: Callable[[str], None]) -> tuple[Made, ...]:
        planned = self._recipes.recipes.get(node.path)
        if planned is None:
            return super().build(node, show)
        with self._working():
            return self._build_recipe(planned, show)

    def _build_recipe(self, planned: Planned, show: Callable[[str], None]) -> tuple[Made, ...]:
        tree = KeptTree(self._store.layout, self._recipes.project, planned.build.name)
        path = f"{self._directory}/{digest_of(planned.node.path)}.build"
        room = prepare(scratch_node(planned), self._store, path, recipe_options(planned, self._options))
        try:
            self._run_phases(planned, room, tree, show)
            made = self._finish(planned, room)
        except BaseException:
            if not self._closed.is_set():  # else who closed this removes the whole directory
                remove(path)
            raise
        with tree.locked():
            tree.forget()
        clear(room.scratch, {each.tree for each in made})
        return made

    def _run_phases(self, planned: Planned, room: Room, tree: KeptTree, show: Callable[[str], None]) -> None:
        checkpoints = self._recipes.checkpoints
        keys = planned.keys(TOP, sandboxed=True) if planned.build.checkpoints else ()
        usable = keys[: self._first(planned)]
        done, known = restore(planned, room, checkpoints, usable, self._notice)
        if done:
            self._resumed.add(planned.node.path)
            show(f"goes on after the phase {planned.phases[done - 1].name}, from a checkpoint")
        log_file = log_path(self._store.layout.log, planned.node.path)
        for index, phase in enumerate(planned.phases[done:], done):
            with explaining("writing the log", log_file):
                log = BuildLog(log_file, show, append=index > done)
                try:
                    how = self._run(planned.node, phase_program(room, phase.name), log)
                finally:
                    log.close()
            if self._closed.is_set():
                raise BuildError(
                    f"cannot build {planned.build.full_name}: stopped", package=planned.build.name
                )
            if how is not None:
                key = keys[index - 1] if index and keys else ""
                with tree.locked():
                    kept = Kept(failed=phase.name, key=key)
                    tree.keep(room.scratch.build, output_place(planned, room.scratch), kept)
                raise RecipeFailed(planned, phase.name, how, lines=log.tail(), log=log.path)
            if keys and index + 1 < len(keys):
                known = self._save(planned, room, keys[index], phase.name, known)

    def _first(self, planned: Planned) -> int:
        """How many phases need not run again, as far as the user says."""
        start = self._recipes.start.get(planned.build.name)
        names = [phase.name for phase in planned.phases]
        return names.index(start) if start is not None else len(names)

    def _save(self, planned: Planned, room: Room, key: str, phase: str, known: list[Known]) -> list[Known]:
        """Keep the state after a phase. Where that fails the build goes on without."""
        trees = (
            Tree(root=room.scratch.build, leave_out=GENERATED),
            Tree(root=output_place(planned, room.scratch)),
        )
        try:
            return self._recipes.checkpoints.save(
                key, trees, known, recipe=planned.build.full_name, phase=phase
            )
        except OSError as error:
            self._notice(
                f"{planned.build.full_name}: no checkpoint is kept after {phase} ({error.strerror or error})"
            )
            return [{}, {}]

    def _finish(self, planned: Planned, room: Room) -> tuple[Made, ...]:
        """The output under its own name."""
        made = output_place(planned, room.scratch)
        final = os.path.join(room.scratch.store, os.path.basename(planned.node.out))
        if os.path.lexists(made):
            replace_digest(made, *with_final_digest(planned))
            with explaining("finishing", made):
                os.rename(made, final)
        return self.measure(planned.node, room)

    def _notice(self, text: str) -> None:
        self._recipes.reporter.event(Notice(text=text))
