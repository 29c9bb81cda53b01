"""A project with an renv.lock, whose owner has a repository of R packages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.devenv import User
from tests.support.r_repository import Repository, r_package

CONFIG = 'name = "survey"\nbase = "debian/trixie"\n\n[packages]\nr = "4.5"\n'
# Calls zlib: it is compiled and linked against a library of the system's packages.
ZLIB_CODE = """
#include <zlib.h>
#include <R.h>
#include <Rinternals.h>
SEXP version(void) { return mkString(zlibVersion()); }
"""


class RProject:
    """A directory with devenv.toml and renv.lock."""

    def __init__(self, user: User, root: Path, repository: Repository, config: str = CONFIG) -> None:
        self.user, self.root, self.repository = user, root, repository
        root.mkdir()
        (root / "devenv.toml").write_text(config)

    def write(self, **packages: str | dict[str, str]) -> None:
        """renv.lock, of versions in the repository and of whole records."""
        records = {
            name: {"Package": name, "Version": found, "Source": "Repository", "Repository": "CRAN"}
            if isinstance(found, str)
            else found
            for name, found in packages.items()
        }
        repositories = [{"Name": "CRAN", "URL": self.repository.url}]
        document = {"R": {"Version": "4.5.0", "Repositories": repositories}, "Packages": records}
        (self.root / "renv.lock").write_text(json.dumps(document, indent=2) + "\n")

    def r(self, code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run R in the environment."""
        return self.user.run("enter", "--", "Rscript", "-e", code, cwd=self.root, check=check)


def linked_package(name: str, version: str, code: str, imports: str) -> bytes:
    """A package in C that needs zlib of the system: `zlib()` gives its version."""
    return r_package(
        name,
        version,
        f"{code}\nzlib <- function() .Call('version')",
        {"src/code.c": ZLIB_CODE, "src/Makevars": "PKG_LIBS = -lz\n"},
        Imports=imports,
        SystemRequirements="zlib",
    )
