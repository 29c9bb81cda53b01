"""From an exception to a message and an exit status. The only place that catches broadly."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping

from devenv.cli.printable import printable_lines
from devenv.errors import DevenvError, Problems

EXPECTED, INTERRUPTED, BUG = 1, 130, 70
# Of the machine, wherever they come up.
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def report_failures(action: Callable[[], int], environ: Mapping[str, str]) -> int:
    """Run `action`; turn what it raises into lines on stderr and a status."""
    try:
        status = action()
        sys.stdout.flush()
        return status
    except DevenvError as error:
        # Messages name files and values of repositories.
        sys.stderr.write(printable_lines(line for text in describe(error) for line in text.split("\n")))
        return EXPECTED
    except KeyboardInterrupt:
        sys.stderr.write("devenv: stopped. What was fetched is kept; the next run goes on from there.\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXPECTED
    except OSError as error:
        if error.errno not in _NO_SPACE:
            return _report_bug(environ)
        sys.stderr.write(
            f"devenv: error: writing {error.filename or 'what was asked for to standard output'}: {error.strerror}\n"
            "  hint: Make room, and run the command again.\n"
        )
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXPECTED
    except MemoryError:
        sys.stderr.write("devenv: error: out of memory\n")
        return EXPECTED
    except Exception:  # noqa: BLE001 - whatever is left is a bug, and this is where bugs end
        return _report_bug(environ)


def describe(error: DevenvError) -> list[str]:
    """The lines that tell a person about an error, hints last, no hint twice."""
    lines, hints = [], []
    for single in _flatten(error):
        first, *rest = single.message.splitlines() or [""]
        lines.append(f"devenv: error: {first}")
        lines.extend(f"  {line}" for line in rest)
        if single.hint and single.hint not in hints:
            hints.append(single.hint)
    return lines + [f"  hint: {hint}" for hint in hints]


def _flatten(error: DevenvError) -> Iterator[DevenvError]:
    if not isinstance(error, Problems):
        yield error
        return
    if error.summary:
        yield DevenvError(error.summary)
    for problem in error.problems:
        yield from _flatten(problem)


def _report_bug(environ: Mapping[str, str]) -> int:
    import platform
    import re
    import tempfile
    import traceback

    text = f"devenv {sys.argv[1:]}\nPython {sys.version}\n{platform.platform()}\n\n{traceback.format_exc()}"
    text = re.sub(r"://[^/@\s]+@", "://", text)  # logins in URLs of the command line
    home = environ.get("HOME", "")
    state = environ.get("XDG_STATE_HOME") or (os.path.join(home, ".local/state") if home else "")
    for folder in (os.path.join(state, "devenv") if state else None, None):
        try:
            if folder:
                os.makedirs(folder, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix="devenv-bug-", suffix=".log", dir=folder)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        sys.stderr.write(f"devenv: this is a bug in devenv. Its record is in {path}\n")
        return BUG
    sys.stderr.write(text)
    return BUG
