"""devenv doctor"""

from __future__ import annotations

import argparse
import json
import sys

from devenv.cli.context import Context
from devenv.cli.warm import find_project
from devenv.diagnosis import Finding, diagnose

_MARKS = {"good": "ok  ", "note": "note", "bad": "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    root = find_project(arguments.project or ".")
    place = context.workplace()
    findings = list(diagnose(place, context.project if root is not None else None))
    if arguments.json:
        document = [
            {"subject": each.subject, "state": each.state, "text": each.text, "remedy": each.remedy}
            for each in findings
        ]
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("".join(map(_lines, findings)))
    return 1 if any(each.state == "bad" for each in findings) else 0


def _lines(finding: Finding) -> str:
    remedy = f"      {finding.remedy}\n" if finding.remedy else ""
    return f"{_MARKS[finding.state]}  {finding.subject}: {finding.text}\n{remedy}"
