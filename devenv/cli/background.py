"""Work that nobody should wait for: started apart from the shell that takes this process's place."""

from __future__ import annotations

import os
import sys

from devenv.cli.context import Context
from devenv.project import Project


def start_compiling(project: Project, context: Context) -> None:
    """Make byte code in a process of its own, which outlives this one and writes to .devenv/compile.log.

    Forked twice: the shell that this process becomes must not find a child that it did not start. Failing to
    start is no error, as Python compiles what it imports by itself.
    """
    arguments = [sys.executable, "-P", "-m", "devenv", "compile", "--background", "--project", project.root]
    if context.arguments.store_dir:
        arguments += ["--store-dir", context.arguments.store_dir]
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            os.chdir(project.root)
            log = os.open(".devenv/compile.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (log, 1), (log, 2)):
                os.dup2(source, target)
            os.nice(19)
            os.execve(arguments[0], arguments, dict(context.environ))  # noqa: S606
    finally:
        os._exit(0)
