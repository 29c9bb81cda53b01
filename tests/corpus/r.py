"""What renv itself reads in a lockfile."""

from __future__ import annotations

import json

# Names and versions of the records, by renv's own reader, for every file that is named.
SCRIPT = """
files <- commandArgs(TRUE)
for (file in files) {
  packages <- renv::lockfile_read(file)$Packages
  records <- vapply(packages, function(r) sprintf('["%s", "%s"]', r$Package, r$Version), "")
  cat(sprintf('{"file": "%s", "packages": [%s]}\\n', file, paste(records, collapse = ", ")))
}
"""


def command(files: list[str]) -> list[str]:
    return ["Rscript", "--vanilla", "-e", SCRIPT, *files]


def listed(output: str) -> dict[str, frozenset[tuple[str, str]]]:
    """The packages by file."""
    rows = [json.loads(line) for line in output.splitlines() if line.startswith('{"file"')]
    return {row["file"]: frozenset((name, version) for name, version in row["packages"]) for row in rows}
