"""The command line: see `python -m tests.fuzz --help`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .campaign import Campaign
from .cases import Case
from .judging import Limits, judge, limit_memory
from .seeds import DATA, seeds
from .subjects import all_subjects


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 where something was found."""
    options = _parser().parse_args(arguments)
    limits = Limits(seconds=options.seconds, memory=options.memory << 20)
    if options.replay is not None:
        return _replay(options.replay, limits)
    subjects = all_subjects()
    unknown = sorted(set(options.subject) - set(subjects))
    if unknown:
        print(f"no subject {', '.join(unknown)}; there are {', '.join(sorted(subjects))}", file=sys.stderr)
        return 2
    chosen = {name: subject for name, subject in subjects.items() if name in (options.subject or subjects)}
    began = time.monotonic()
    campaign = Campaign(
        subjects=chosen,
        seeds=seeds(chosen, [DATA, *options.corpus]),
        limits=limits,
        keep=options.keep,
        seed=options.seed if options.seed is not None else int(time.time()),
    )
    campaign.run(options.minutes * 60, options.jobs)
    campaign.report(time.monotonic() - began)
    return 1 if campaign.findings else 0


def _replay(path: Path, limits: Limits) -> int:
    case = Case.from_json(path.read_text("utf-8"))
    subject = all_subjects()[case.subject]
    limit_memory(limits)
    found = judge(subject, case.files, limits)
    print("nothing is found" if found is None else f"{found.key}\n{found.text}")
    return 0 if found is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Feed every parser damaged and hostile input. A value or an error for people must come of each, "
        "in bounded time and memory. Exit status 1 where anything else was found.",
    )
    add = parser.add_argument
    add("--minutes", type=float, default=1.0, metavar="N", help="how long (1)")
    add("--jobs", type=int, default=1, metavar="N", help="processes at once (1)")
    add("--subject", action="append", default=[], metavar="NAME", help="only this parser; can be repeated")
    add("--corpus", action="append", default=[], type=Path, metavar="DIR", help="more files to begin with")
    add("--seed", type=int, metavar="N", help="of the random numbers; by default the time")
    add("--seconds", type=float, default=10.0, metavar="N", help="of processor time for one input (10)")
    add("--memory", type=int, default=512, metavar="MIB", help="for one input (512)")
    add(
        "--keep",
        type=Path,
        default=Path("fuzz-findings"),
        metavar="DIR",
        help="where inputs go that find something",
    )
    add("--replay", type=Path, metavar="FILE", help="run one such input again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
