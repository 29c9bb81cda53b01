"""What the user's own shell files do to an environment: their shell is run under it, and watched.

A shell that is started inside an environment (by an editor, in a tmux pane) reads the user's files after the environment
was set. Here such a shell is started on a terminal of its own, runs what it runs before a first prompt, and writes down
its variables. bash and zsh trace what they execute, and `PS4` makes them write the watched variables before each command,
so the line that changed one is the last before the value changed; fish calls a function for each change. Of the other shells
only the variables afterwards are known.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from devenv.departures import Departure, departures_of
from devenv.env.describe import operations
from devenv.env.enter import apply_steps
from devenv.env.spec import Operation, Spec
from devenv.errors import DevenvError

_LONGEST = 30.0  # seconds that a shell may take to its first prompt
_UNIT, _RECORD = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A departure, and the line of a file that brought it about, None where that could not be told.

    `login`: only in login shells, as ssh and tmux start them.
    """

    departure: Departure
    file: str | None
    line: int | None
    login: bool


@dataclass(frozen=True, slots=True)
class _Change:
    """The value that a variable had after a line of a file was executed, None where it is not known which line."""

    file: str
    line: int | None
    variable: str
    value: str | None


def find_overrides(
    *, shell: str, program: str, spec: Spec, place: str, project: str, environ: Mapping[str, str]
) -> list[Override]:
    """What the user's files override. `shell` is a name, `program` its path, `place` the spec object.

    Raises DevenvError for a shell that cannot be watched, or that does not come to a prompt.
    """
    if shell not in _WATCHERS:
        raise DevenvError(
            f"checking the files of {shell}: devenv cannot watch this shell",
            hint=f"it can watch {', '.join(_WATCHERS)}: choose one with --shell",
        )
    inside = apply_steps(place, project, environ)
    found: list[Override] = []
    for login in (False, True) if _WATCHERS[shell].has_logins else (False,):
        changes, after = _watch(shell, program, spec, place, project, inside, login=login)
        known = {each.departure for each in found}
        for name, todo in sorted(operations(spec, place).items()):
            for departure in departures_of(name, todo, project, after.get(name)):
                if departure not in known:
                    cause = _cause(departure, [c for c in changes if c.variable == name], todo, project)
                    found.append(_override(departure, cause, login, environ.get("HOME", "~")))
    return found


def _override(departure: Departure, cause: _Change | None, login: bool, home: str) -> Override:
    if cause is None or not cause.file:
        return Override(departure=departure, file=None, line=None, login=login)
    file = os.path.join(home, cause.file[2:]) if cause.file.startswith("~/") else cause.file
    line = _only_line_with(file, cause.variable) if cause.line is None else cause.line
    return Override(departure=departure, file=file, line=line, login=login)


def _cause(
    departure: Departure, changes: Sequence[_Change], todo: Sequence[Operation], project: str
) -> _Change | None:
    """The change since which the departure has been there."""
    cause = None
    for change in changes:
        there = departures_of(departure.variable, todo, project, change.value)
        stays = any(each.origin == departure.origin for each in there)
        cause = (cause or change) if stays else None
    return cause


# Running


def _watch(
    shell: str,
    program: str,
    spec: Spec,
    place: str,
    project: str,
    inside: Mapping[str, str],
    *,
    login: bool,
) -> tuple[list[_Change], dict[str, str]]:
    names = sorted(operations(spec, place))
    with tempfile.TemporaryDirectory(prefix="devenv-rc-") as folder:
        dump, trace = os.path.join(folder, "variables"), os.path.join(folder, "trace")
        watcher = _WATCHERS[shell]
        arguments, variables = watcher.prepare(names, folder, inside)
        words = [program, *watcher.words(login, arguments, watcher.prompt, dump)]
        typed = watcher.typed.format(dump=shlex.quote(dump))
        _run(words, {**inside, **variables}, project, trace, typed)
        try:
            with open(dump, encoding="utf-8", errors="surrogateescape") as file:
                after = dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)
        except FileNotFoundError:
            raise DevenvError(
                f"checking the files of {shell}: it ended before its first prompt",
                hint=f"does one of its files start another program? See what `{' '.join(words[:2])}` does",
            ) from None
        with open(trace, encoding="utf-8", errors="surrogateescape") as file:
            return list(watcher.read(file.read(), names)), after


def _run(words: Sequence[str], environ: Mapping[str, str], directory: str, errors: str, typed: str) -> None:
    """Run a shell on a terminal of its own, where `typed` is typed; standard error goes into the file `errors`."""
    control, terminal = os.openpty()
    try:
        with open(errors, "wb") as file:
            process = subprocess.Popen(
                words,
                env=dict(environ),
                cwd=directory,
                stdin=terminal,
                stdout=terminal,
                stderr=file,
                start_new_session=True,
                preexec_fn=_own_terminal,  # noqa: PLW1509 - nothing else runs in this process by now
            )
        os.write(control, typed.encode("utf-8", "surrogateescape"))
        _wait(process, control, words[0])
    finally:
        os.close(control)
        os.close(terminal)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _wait(process: subprocess.Popen[bytes], control: int, program: str) -> None:
    deadline = time.monotonic() + _LONGEST
    while process.poll() is None:
        if select.select([control], [], [], 0.02)[0]:
            os.read(control, 65536)  # nobody looks at it, and a full terminal would stop the shell
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise DevenvError(
                f"checking the files of {program}: it came to no prompt within {_LONGEST:.0f} s",
                hint="does one of its files ask something, or start another program?",
            )


# Watching


def _trace_bash(
    names: Sequence[str], folder: str, inside: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    values = "".join(f"{_UNIT}${{{name}+={_UNIT}}}${{{name}-}}" for name in names)
    return ["-x"], {
        "PS4": f"+{_RECORD}${{BASH_SOURCE}}{_UNIT}${{LINENO}}{_UNIT}${{BASH_SUBSHELL}}{values}{_RECORD}"
    }


def _trace_zsh(
    names: Sequence[str], folder: str, inside: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    # A % in a value would be read as part of the prompt.
    values = "".join(f"{_UNIT}${{{name}+={_UNIT}}}${{{name}//\\%/%%}}" for name in names)
    return ["-x", "-o", "promptsubst"], {
        "PS4": f"+{_RECORD}%x{_UNIT}%I{_UNIT}${{ZSH_SUBSHELL}}{values}{_RECORD}"
    }


def _trace_fish(
    names: Sequence[str], folder: str, inside: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """fish reads files of vendors from $XDG_DATA_DIRS before the user's: that is where its watchers come from."""
    place = os.path.join(folder, "fish/vendor_conf.d")
    os.makedirs(place)
    dirs = inside.get("XDG_DATA_DIRS")
    restore = "set -e XDG_DATA_DIRS" if dirs is None else f"set -gx XDG_DATA_DIRS {_quote_fish(dirs)}"
    lines = [restore]
    for name in names:
        value = f"(string join -- : ${name} | string collect)" if name.endswith("PATH") else f"${name}"
        lines += [
            f"function __devenv_watch_{name} --on-variable {name}",
            f"    printf '%s\\n' '{_RECORD}' (status stack-trace) '{_UNIT}{name}' >&2",
            f"    set -q {name}; and printf '%s' '{_UNIT}' {value} >&2",
            f"    printf '{_RECORD}' >&2",
            "end",
        ]
    with open(os.path.join(place, "00-00-devenv.fish"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return [], {"XDG_DATA_DIRS": f"{folder}:{dirs or '/usr/local/share:/usr/share'}"}


def _elvish_rc(
    names: Sequence[str], folder: str, inside: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """elvish reads one file, and no command beside it: a file that reads the user's, and goes on as `_elvish` says."""
    config = inside.get("XDG_CONFIG_HOME") or os.path.join(inside.get("HOME", "/"), ".config")
    own = _quote_elvish(os.path.join(config, "elvish/rc.elv"))
    lines = ["use path", f"if (path:is-regular &follow-symlink=$true {own}) {{ eval (slurp < {own}) }}"]
    lines += ["for each $edit:before-readline { $each }"]
    lines += [f"e:env -0 > {_quote_elvish(os.path.join(folder, 'variables'))}", "exit"]
    rc = os.path.join(folder, "rc.elv")
    with open(rc, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(lines) + "\n")
    return [rc], {}


def _quote_elvish(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quote_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _read_trace(text: str, names: Sequence[str]) -> Iterator[_Change]:
    """The changes in a trace of bash or zsh, whose records are FILE, LINE, DEPTH and values before the command."""
    before: dict[str, str | None] = {}
    at: tuple[str, int] | None = None
    for record in text.split(_RECORD)[1::2]:
        file, line, depth, *rest = [*record.split(_UNIT), "", ""]
        if depth != "0" or not line.isdecimal():
            continue  # a subshell: what it changes is gone with it
        values = _values(rest, names)
        for name, value in values.items():
            if at is not None and before.get(name) != value:
                yield _Change(at[0], at[1], name, value)
        before, at = values, (file, int(line))


def _values(fields: Sequence[str], names: Sequence[str]) -> dict[str, str | None]:
    """Each variable is "" where it does not exist, else "=" and its value in the field behind."""
    found: dict[str, str | None] = {}
    rest = iter(fields)
    for name in names:
        found[name] = next(rest, None) if next(rest, "") == "=" else None
    return found


def _read_fish(text: str, names: Sequence[str]) -> Iterator[_Change]:
    """The changes that fish's watchers wrote: a stack of calls, the variable's name, and its value if it has one."""
    for record in text.split(_RECORD)[1::2]:
        stack, name, *value = [*record.split(_UNIT), ""]
        calls = re.findall(r"called on line (\d+) of file (.+)", stack)
        if calls:
            line, file = calls[-1]
            if (
                "/share/fish/" in file
            ):  # a function of fish's own, such as fish_add_path; who called it is not in the stack
                file = ""
            name = name.strip()
            # fish 4.0 does not tell the line that an event handler was called from: it says 1.
            known = int(line) if "in event handler" in stack else None
            yield _Change(file, known, name, value[0] if len(value) > 1 else None)


def _only_line_with(file: str, name: str) -> int | None:
    """The number of the line of a file in which fish's `set` names a variable, None unless there is just one."""
    setting = re.compile(rf"\bset\s+(?:-\S+\s+)*{re.escape(name)}\b")
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            found = [number for number, line in enumerate(opened, 1) if setting.search(line)]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


# Arguments by which shells of several families read the user's files, run what they run before a prompt, and dump.


def _posix(login: bool, arguments: Sequence[str], prompt: str, dump: str) -> list[str]:
    line = f"{prompt}\ncommand env -0 > {shlex.quote(dump)}"
    return [*(["-l"] if login else []), "-i", *arguments, "-c", line]


def _nu(login: bool, arguments: Sequence[str], prompt: str, dump: str) -> list[str]:
    return [*(["--login"] if login else []), "--execute", f"^env -0 o> {json.dumps(dump)}; exit"]


def _xonsh(login: bool, arguments: Sequence[str], prompt: str, dump: str) -> list[str]:
    return [*(["-l"] if login else []), "-i", "-c", f"{prompt}\nenv -0 > {dump!r}"]


def _elvish(login: bool, arguments: Sequence[str], prompt: str, dump: str) -> list[str]:
    return ["-rc", *arguments]


def _tcsh(login: bool, arguments: Sequence[str], prompt: str, dump: str) -> list[str]:
    # With a line to run it would have no prompt, which is what files ask for; -l stands alone.
    return ["-l" if login else "-i"]


def _unprepared(
    names: Sequence[str], folder: str, inside: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    return [], {}


def _untraced(text: str, names: Sequence[str]) -> Iterator[_Change]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watcher:
    """How a shell is watched: its arguments and variables, what its trace says, what it runs before a prompt.

    It does not run that by itself where it is given a line. `typed` is typed at its terminal, `{dump}` in it is a file.
    """

    words: Callable[[bool, Sequence[str], str, str], list[str]] = _posix
    typed: str = ""
    has_logins: bool = True
    prepare: Callable[[Sequence[str], str, Mapping[str, str]], tuple[list[str], dict[str, str]]] = _unprepared
    read: Callable[[str, Sequence[str]], Iterator[_Change]] = _untraced
    prompt: str = ":"


_WATCHERS = {
    "bash": _Watcher(
        prepare=_trace_bash,
        read=_read_trace,
        prompt='for __devenv_each in "${PROMPT_COMMAND[@]}"; do eval "$__devenv_each"; done',
    ),
    "zsh": _Watcher(
        prepare=_trace_zsh,
        read=_read_trace,
        prompt="for __devenv_each in precmd $precmd_functions; do "
        '(( $+functions[$__devenv_each] )) && "$__devenv_each"; done',
    ),
    # Their traces do not say which file a line is of.
    **dict.fromkeys(
        ("sh", "dash", "ash", "ksh", "ksh93", "mksh"),
        _Watcher(),
    ),
    "nu": _Watcher(words=_nu),
    "xonsh": _Watcher(words=_xonsh, prompt="events.on_pre_prompt.fire()"),
    "elvish": _Watcher(words=_elvish, has_logins=False, prepare=_elvish_rc),
    "tcsh": _Watcher(words=_tcsh, typed="env -0 > {dump}; exit\n"),
    "fish": _Watcher(prepare=_trace_fish, read=_read_fish, prompt="emit fish_prompt"),
}
