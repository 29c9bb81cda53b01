"""devenv store verify|optimise: keeping the store sound and small."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from typing import TYPE_CHECKING

from devenv.cli.commands.store_queries import chosen_layout, print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.failures import describe
from devenv.cli.progress import size_text
from devenv.cli.subverbs import Subverb

if TYPE_CHECKING:
    from devenv.repair import Repaired


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repair", action="store_true", help="make damaged objects again, or forget them where that fails"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _verify(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.repair import verify_store
    from devenv.workplace import Workplace

    # Only what is fetched again depends on where this is: a project may name registries of its own.
    place = context.workplace() if arguments.repair else Workplace(os.getcwd(), {}, context.settings)
    done = verify_store(place, repair=arguments.repair)
    context.close()
    if arguments.json:
        print_json(_json(done))
    else:
        print_lines(damage.message for damage in done.verified.damages)
        sys.stderr.write("".join(f"{line}\n" for line in _summary(done, arguments.repair)))
    return 0 if done.is_sound else 1


def _json(done: Repaired) -> dict[str, object]:
    return {
        "checked": done.verified.checked,
        "size": done.verified.size,
        "damages": [dataclasses.asdict(damage) for damage in done.verified.damages],
        "restored": list(done.restored),
        "forgotten": list(done.forgotten),
        "projects": list(done.projects),
        "failures": [failure.message for failure in done.failures],
    }


def _summary(done: Repaired, repair: bool) -> list[str]:
    lines = [line for failure in done.failures for line in describe(failure)]
    lines += [f"devenv: restored {path}" for path in done.restored]
    lines += [f"devenv: forgot {path}" for path in done.forgotten]
    lines += [f"devenv: run `devenv enter` again in {project}" for project in done.projects]
    verified = done.verified
    wrong = len(verified.damages)
    lines.append(
        f"devenv: checked {verified.checked} objects, {size_text(verified.size)}: "
        + (f"{wrong} things are wrong" if wrong > 1 else "1 thing is wrong" if wrong else "all is well")
    )
    if wrong and not repair:
        lines.append("  hint: `devenv store verify --repair` sets right what it can")
    return lines


def _add_optimise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _optimise(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.local import Store
    from devenv.store.optimise import Optimised, optimise

    layout, done = chosen_layout(context), Optimised()
    if os.path.exists(layout.database):
        with Store.open(layout, reporter=context.reporter) as store:
            done = optimise(store, reporter=context.reporter)
    context.close()
    if arguments.json:
        print_json(dataclasses.asdict(done))
    else:
        sys.stderr.write(f"devenv: {size_text(done.freed)} freed by linking {done.linked} files\n")
    return 0


SUBVERBS = (
    Subverb(
        name="verify",
        summary="check that everything registered is there, unchanged",
        run=_verify,
        add_arguments=_add_verify,
        description=(
            "Hashes every object. --repair makes damaged ones again from their derivations, forgets those that it "
            "cannot, with all that refers to them, and says which projects need `devenv enter`."
        ),
    ),
    Subverb(
        name="optimise",
        summary="keep one copy of equal files, by hard links",
        run=_optimise,
        add_arguments=_add_optimise,
    ),
)
