"""How shells are started in an environment, as data: the files launch.SHELL of the spec object.

    launch  = { mode } | "refuse " text LF  why this shell cannot enter the environment
    mode    = "mode " name LF { line }
    line    = "argument " text LF           arguments, in their order
            | "pure-argument " text LF      before them, with --pure
            | "keep " name LF               hand the variable over as __devenv_kept_NAME
            | "set " name " " text LF
            | "plain-argument " text LF     in place of all these, where the user's files bring the hook along
            | "file " text LF               a file that the shell reads then; without any, it is never started so

`\\n` and `\\\\` in a text stand for a newline and a backslash, `{spec}` for the spec object, `{line}` for the
command line to run. A file is absolute, or begins with `~/`, `~config/` for $XDG_CONFIG_HOME or ~/.config, `~zdot/` for $ZDOTDIR
or ~; `$ENV` is the one that this variable names. Imports nothing that takes time: entering reads such a file each time.
"""

from __future__ import annotations

from collections.abc import Mapping


class Launch:
    """How a shell is started in an environment, as data, so that starting it needs no renderer.

    When it starts, `__devenv_spec` and `__devenv_project` are in its environment, `__devenv_pure` too where
    the user's own files must not be read; what it reads first must remove them. `arguments` follow the
    program's name, after `pure_arguments` in the pure case. Variables in `keep` are handed over as
    `__devenv_kept_NAME` before those in `environment` are set. Where the hook is known to be in the user's own
    `files`, `plain_arguments` are all that is needed.
    """

    __slots__ = ("arguments", "environment", "files", "keep", "plain_arguments", "pure_arguments")

    def __init__(
        self,
        *,
        arguments: tuple[str, ...],
        pure_arguments: tuple[str, ...] = (),
        keep: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        plain_arguments: tuple[str, ...] = (),
        files: tuple[str, ...] = (),
    ) -> None:
        self.arguments = arguments
        self.pure_arguments = pure_arguments
        self.keep = keep
        self.environment = environment or {}
        self.plain_arguments = plain_arguments
        self.files = files

    def command(
        self, *, environ: Mapping[str, str], spec: str, line: str | None, pure: bool
    ) -> tuple[list[str], dict[str, str]]:
        """The arguments after the program's name, and `environ` with what the shell is to find in it."""
        variables = dict(environ)
        for name in self.keep:
            if name in environ:
                variables[f"__devenv_kept_{name}"] = environ[name]
        for name, text in self.environment.items():
            variables[name] = _fill(text, spec, line)
        if pure:
            variables["__devenv_pure"] = "1"
        arguments = (*(self.pure_arguments if pure else ()), *self.arguments)
        return [_fill(text, spec, line) for text in arguments], variables


# What each word of a launch file adds to.
_WORDS = {
    "argument": "arguments",
    "pure-argument": "pure_arguments",
    "keep": "keep",
    "plain-argument": "plain_arguments",
    "file": "files",
}


class Refused(ValueError):
    """The shell cannot hold what the environment needs; the text says what."""


def refusal(problem: str) -> str:
    """The text of a launch file for a shell that cannot enter the environment."""
    return f"refuse {_escape(problem)}\n"


def dump(modes: Mapping[str, Launch]) -> str:
    """The text of a launch file."""
    lines = []
    for name, launch in modes.items():
        lines.append(f"mode {name}")
        lines += [f"argument {_escape(text)}" for text in launch.arguments]
        lines += [f"pure-argument {_escape(text)}" for text in launch.pure_arguments]
        lines += [f"keep {variable}" for variable in launch.keep]
        lines += [f"set {variable} {_escape(text)}" for variable, text in launch.environment.items()]
        lines += [f"plain-argument {_escape(text)}" for text in launch.plain_arguments]
        lines += [f"file {_escape(text)}" for text in launch.files]
    return "".join(f"{line}\n" for line in lines)


def load(text: str, mode: str) -> Launch:
    """The launch of one mode. Raises Refused, and ValueError for a text that is no launch file or lacks the mode."""
    words: dict[str, list[str]] = {word: [] for word in _WORDS}
    environment: dict[str, str] = {}
    current = found = ""
    for line in text.split("\n")[:-1]:
        word, _, rest = line.partition(" ")
        if word == "refuse":
            raise Refused(_unescape(rest))
        if word == "mode":
            current = rest
            found = found or (rest if rest == mode else "")
        elif current != mode:
            continue
        elif word in words:
            words[word].append(_unescape(rest))
        elif word == "set":
            name, _, value = rest.partition(" ")
            environment[name] = _unescape(value)
        else:
            raise ValueError(f"unknown word in a launch file: {word!r}")
    if not found:
        raise ValueError(f"a launch file without {mode}")
    return Launch(
        **{field: tuple(words[word]) for word, field in _WORDS.items()},
        environment=environment,
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(text: str) -> str:
    return "\\".join(part.replace("\\n", "\n") for part in text.split("\\\\"))


def _fill(text: str, spec: str, line: str | None) -> str:
    # The line comes last, for it may hold anything.
    return text.replace("{spec}", spec).replace("{line}", line or "") if "{" in text else text
