"""devenv run"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from devenv.cli.context import Context
from devenv.cli.foreign import add_root_options, surroundings
from devenv.cli.warm import find_project
from devenv.foreign import drivers, starts
from devenv.foreign.explaining import causes, loader_says, of_status
from devenv.foreign.kinds import kind_of
from devenv.foreign.memory import Memory
from devenv.foreign.plans import Plan, as_json, from_json, holds, plan_of
from devenv.foreign.running import Started, become, ready, watch
from devenv.foreign.starts import Entered, Start
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.tracing import traced
from devenv.foreign.verdict import HOST, ROOT
from devenv.roots import link_of
from devenv.sandbox.probe import probe
from devenv.stamp import take_signatures

_MOST_SHOWN = 40
_ATTEMPTS = 3  # each adds what the one before lacked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "devenv run [option...] FILE [ARG...]"
    parser.add_argument("file", metavar="FILE", help="a program, script, AppImage, archive or directory")
    words = parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARG", help="for the program, as they are"
    )
    words.required = False  # so that a missing FILE is the only one that is said to be missing
    add_root_options(parser)
    parser.add_argument(
        "--patched",
        action="store_true",
        help="instead of a root, a patched copy: chosen by itself where namespaces are forbidden",
    )
    parser.add_argument("--explain", action="store_true", help="print how it would be started; start nothing")
    parser.add_argument("--again", action="store_true", help="decide anew, whatever was decided before")
    parser.add_argument(
        "--trace", action="store_true", help="note what it looks for, and say at the end what it did not find"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One command. key: of the plan in the memory; base: as `starts.request` has it

    seen: signatures of the file that is to run, and of what says which base, from before they were read
    """

    arguments: argparse.Namespace
    context: Context
    around: Surroundings
    memory: Memory
    key: str
    base: str
    seen: Mapping[str, str]


def run(arguments: argparse.Namespace, context: Context) -> int:
    seen = starts.witnesses(arguments.file)
    base, deciding = _base(arguments, context)
    around = surroundings(
        context,
        arguments.base,
        forced=arguments.root or bool(arguments.package),
        packages=tuple(arguments.package),
    )
    memory = Memory(os.path.join(context.workplace().layout.root, "state", "foreign"))
    key = memory.key(arguments.file, [around.base, around.machine, str(around.forced), *around.packages])
    plan = None if arguments.again else from_json(memory.plan(key) or {})
    if plan is None or not holds(plan):
        from devenv.foreign.judging import judge

        plan = plan_of(judge(arguments.file, around), around.machine)
    if arguments.trace:
        plan = plan.with_packages(["strace"]) if plan.route == ROOT else plan
    if arguments.explain:
        for line in explained(plan, around):
            print(line)
        return 0
    return _attempts(
        plan,
        _Asked(
            arguments=arguments,
            context=context,
            around=around,
            memory=memory,
            key=key,
            base=base or around.base,
            seen={**seen, **deciding},
        ),
    )


def _base(arguments: argparse.Namespace, context: Context) -> tuple[str, dict[str, str]]:
    """How a start names the base of the project that this is in, and the files that say which; "" where no project does."""
    root = find_project(arguments.project or ".")
    if arguments.base is not None or root is None:
        return "", {}
    own = take_signatures((f"{root}/devenv.toml", f"{root}/devenv.lock"))
    project = context.project
    project.config  # noqa: B018 - reading it finds what it extends
    more = take_signatures(os.path.join(root, name) for name in project.extended)
    return starts.base_of_project(root), own | more


def _attempts(plan: Plan, asked: _Asked) -> int:
    """Start it; where a library was missing after all, add its package and start again. The program's status."""
    arguments, context = asked.arguments, asked.context
    patched = arguments.patched or (plan.route == ROOT and not probe().works)
    for _ in range(_ATTEMPTS):
        started = ready(
            context.workplace(),
            plan,
            asked.around.machine,
            arguments.arguments,
            context.environ,
            partial(agreed, context, plan),
            patched=patched,
        )
        if not arguments.trace:
            asked.memory.keep(asked.key, as_json(plan))
        if plan.proven and not arguments.trace:
            _remember(started, plan, asked)
            context.close()
            sys.stdout.flush()
            become(started)
        context.close()
        status = _traced(started, asked.around, plan) if arguments.trace else watch(started)
        if status == 0 and not arguments.trace:
            asked.memory.keep(asked.key, as_json(replace(plan, proven=True)))
            _remember(started, plan, asked)
        more = _missing_after(status, started, plan, asked.around, context) if status != 0 else []
        if not more:
            return _end(status)
        plan = plan.with_packages(more)
    return _end(status)


def _remember(started: Started, plan: Plan, asked: _Asked) -> None:
    """Keep what the next start of this kind needs to know, see `devenv.cli.warm_run`."""
    arguments, around, launch = asked.arguments, asked.around, started.launch
    if drivers.SOFTWARE in asked.context.environ:
        return  # it changes what drivers are told, and only here
    entered = None
    if launch is not None:
        entered = Entered(
            root=launch.root,
            link=link_of(asked.context.workplace().layout, plan.wanted(around.machine)),
            state=launch.state,
            graphics=drivers.describe(drivers.graphics()),
            binds=tuple((source, target) for source, target, _ in launch.binds),
            environ=dict(started.drawing),
        )
    argv = started.argv if launch is None else launch.argv
    made = (*started.made, *(source for source, _ in (entered.binds if entered is not None else ())))
    start = Start(
        request=starts.request(
            arguments.file, asked.base, around.packages, root=arguments.root, patched=arguments.patched
        ),
        argv=tuple(argv[: len(argv) - len(arguments.arguments)]),
        watched={**asked.seen, **plan.watched, **take_signatures((starts.LIBRARIES, *made))},
        entered=entered,
    )
    starts.keep(asked.memory.directory, start)


def agreed(context: Context, plan: Plan, count: int, size: int) -> bool:
    if not context.arguments.quiet:
        context.notice(f"{', '.join(plan.packages)} of {plan.base}: {'; '.join(plan.reasons)}")
    context.close()
    return context.confirm(f"{count} packages, {size / 1e6:.0f} MB to fetch at most. Go on?")


def _end(status: int) -> int:
    """End as the program did: a signal ends this process, too, so that whoever waits for it sees the same."""
    if status < 0:
        sys.stdout.flush()
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
        return 128 - status
    return status


def _missing_after(
    status: int, started: Started, plan: Plan, around: Surroundings, context: Context
) -> list[str]:
    """Explain a failure on stderr; the packages to add and try again with."""
    if status > 0 and status not in (126, 127) and plan.proven:
        return []
    program = started.launch.argv[0] if started.launch is not None else started.argv[0]
    if started.launch is None and kind_of(program) != "elf":
        return []
    found = causes(loader_says(started.launch, program, started.environ))
    if not found and status in range(1, 126):
        if sys.stderr.isatty():  # it ran, and has said itself what it did not like; or has not
            sys.stderr.write(
                "devenv: if it should not have ended so, `devenv run --trace` says what it did not find\n"
            )
        return []
    sys.stderr.write(f"devenv: {os.path.basename(program)} failed: {of_status(status)}\n")
    packages: list[str] = []
    for cause in found:
        package = _supplier(cause.library, plan, around) if cause.library else None
        sys.stderr.write(f"  {cause.text}" + (f": the package {package} has it\n" if package else "\n"))
        if package is not None and package not in plan.packages:
            packages.append(package)
    if not found:
        sys.stderr.write("  hint: `devenv run --trace` says what it looked for and did not find\n")
    if packages and plan.route == ROOT and context.confirm("Add them and start again?"):
        return packages
    return []


def _supplier(soname: str, plan: Plan, around: Surroundings) -> str | None:
    if plan.libc == "musl":
        return None
    with around.suppliers(plan.base or around.base) as suppliers:
        package = suppliers.library(soname, plan.architecture)
        return suppliers.qualified(package, plan.architecture) if package is not None else None


def _traced(started: Started, around: Surroundings, plan: Plan) -> int:
    """Run it, and say at the end what it looked for in vain."""
    status, found = traced(started, watch)
    says = [f"devenv: {of_status(status)}"]
    for error in found.errors:
        says += [f"  {cause.text}, for {error.partition(': ')[0]}" for cause in causes(error)]
    says += [f"  {cause.text}" for cause in causes(found.said)]
    if found.libraries or found.files:
        says.append("it looked in vain for")
    for name, by in found.libraries.items():
        package = _supplier(os.path.basename(name), plan, around)
        asker = f", which {by} asks for" if by else ""
        says.append(f"  {name}{asker}" + (f": the package {package} has it" if package else ""))
    says += [f"  {path}" for path in found.files[:_MOST_SHOWN]]
    if len(found.files) > _MOST_SHOWN:
        says.append(f"  and {len(found.files) - _MOST_SHOWN} files more")
    if not found.calls:
        says.append("  hint: with the program strace on this machine, or --root, files are looked at, too")
    sys.stderr.write("\n".join(says) + "\n")
    return status


def explained(plan: Plan, around: Surroundings) -> Iterator[str]:
    """The plan for people."""
    yield f"starts    {shlex.join([*plan.prefix, plan.start])}"
    yield f"how       {'as it is' if plan.route == HOST else f'in a root of {plan.base}'}"
    for reason in plan.reasons:
        yield f"because   {reason}"
    if plan.route == HOST:
        return
    for file in plan.files:
        yield f"installs  {file.name} {file.version}, from {file.path}"
    yield f"packages  {' '.join(plan.packages)}"
    for directory in plan.beside:
        yield f"libraries {directory}"
    if plan.features:
        yield f"graphics  {drivers.describe(drivers.graphics())}"
    yield "shows     your files, devices, network, sockets of display, sound and D-Bus; this machine's system at /run/host"
    yield "writes    your files; not the packages, nor anything of this machine that you could not write anyway"
