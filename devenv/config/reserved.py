"""Variables and commands that a project must not set, each with the reason that users are told.

A variable here belongs to the shell or to the login session: setting it in every shell that enters a
project breaks that shell or cuts the user off from their own session, and no undoing repairs it.
LANG, LC_* and TZ are the session's too, but a project may well need a certain one, so they are not here.
"""

from __future__ import annotations

# (reason, names, beginnings of names)
_VARIABLES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "the shell keeps it up to date itself",
        (
            *(
                "PWD",
                "OLDPWD",
                "SHLVL",
                "_",
                "IFS",
                "OPTARG",
                "OPTIND",
                "LINENO",
                "RANDOM",
                "SRANDOM",
                "SECONDS",
            ),
            *("COLUMNS", "LINES", "PPID", "UID", "EUID", "GID", "EGID", "GROUPS", "PIPESTATUS", "DIRSTACK"),
            *(
                "SHELLOPTS",
                "BASHOPTS",
                "BASH",
                "BASHPID",
                "HOSTNAME",
                "HOSTTYPE",
                "MACHTYPE",
                "OSTYPE",
                "FUNCNAME",
            ),
            *("CURRENT_FILE", "FILE_PWD", "LAST_EXIT_CODE", "CMD_DURATION_MS", "CMD_DURATION", "NU_VERSION"),
        ),
        ("BASH_", "COMP_", "EPOCH", "ZSH_", "FISH_", "__fish", "fish_"),
    ),
    (
        "in some shells this name is a variable of the shell itself",
        (
            *("argv", "cdpath", "commands", "cwd", "fignore", "fpath", "functions", "histchars", "history"),
            *("home", "hostname", "mailpath", "manpath", "module_path", "options", "path", "pipestatus"),
            *("prompt", "psvar", "shell", "signals", "status", "term", "user", "version", "watch"),
        ),
        (),
    ),
    (
        "the prompt and the history belong to the user",
        ("PS0", "PS1", "PS2", "PS3", "PS4", "RPS1", "RPS2", "RPROMPT", "SAVEHIST"),
        ("PROMPT", "HIST"),
    ),
    (
        "it belongs to the login session",
        (
            *(
                "HOME",
                "USER",
                "LOGNAME",
                "SHELL",
                "TERM",
                "COLORTERM",
                "DISPLAY",
                "XAUTHORITY",
                "XDG_RUNTIME_DIR",
            ),
            *("STY", "WINDOWID", "GPG_TTY"),
        ),
        ("TERM_", "WAYLAND_", "SSH_", "DBUS_", "XDG_SESSION_", "TMUX"),
    ),
    (
        "where temporary files go is decided by the machine, not by the project",
        ("TMPDIR", "TMP", "TEMP", "TEMPDIR"),
        (),
    ),
    (
        "proxies belong to the user's network, not to the project",
        tuple(
            name
            for scheme in ("http", "https", "ftp", "rsync", "all", "no")
            for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
        ),
        (),
    ),
    ("devenv keeps its own state in it", (), ("DEVENV_", "__DEVENV")),
)

# Words that every shell, or one of those that devenv supports, reads as its own grammar, and the builtins
# that a rendered environment needs for being entered and left again.
COMMANDS = frozenset(
    (
        *(
            "if",
            "then",
            "else",
            "elif",
            "elseif",
            "elsif",
            "endif",
            "fi",
            "for",
            "foreach",
            "while",
            "until",
            "do",
        ),
        *("done", "end", "endsw", "case", "esac", "in", "select", "switch", "function", "functions", "begin"),
        *("time", "coproc", "repeat", "not", "and", "or", "def", "fn", "var", "let", "const", "try", "match"),
        *(
            "alias",
            "unalias",
            "builtin",
            "command",
            "eval",
            "exec",
            "exit",
            "export",
            "local",
            "return",
            "set",
        ),
        *("setenv", "source", "test", "unset", "unsetenv", "declare", "typeset", "emulate", "setopt"),
    )
)


# Commands without which a shell, or what devenv has it do, would not work; no function may have their names.
NEEDED = COMMANDS | frozenset(
    (
        *(
            "awk",
            "bind",
            "break",
            "cat",
            "cd",
            "complete",
            "compgen",
            "contains",
            "continue",
            "count",
            "echo",
        ),
        *("env", "false", "hash", "kill", "ls", "math", "mapfile", "path", "print", "printf", "pwd", "read"),
        *(
            "readonly",
            "sh",
            "shift",
            "shopt",
            "sleep",
            "string",
            "trap",
            "true",
            "type",
            "umask",
            "use",
            "wait",
        ),
    )
)


def is_needed(name: str) -> bool:
    """Whether no function may have this name."""
    return name in NEEDED or name.lower().startswith(("devenv_", "__devenv"))


def why_reserved(name: str) -> str | None:
    """Why the variable `name` may not be set, or None when it may."""
    for reason, names, beginnings in _VARIABLES:
        if name in names or name.startswith(beginnings or "\0"):
            return reason
    return None


def reserved_pattern() -> str:
    """A regular expression, ECMA-262 and Python alike, of the variables that `why_reserved` refuses."""
    names = sorted(name for _, names, _ in _VARIABLES for name in names)
    beginnings = sorted(beginning for _, _, found in _VARIABLES for beginning in found)
    return f"^({'|'.join(names)}|({'|'.join(beginnings)}).*)$"


# In builds

# Variables that a builder is given by devenv or sets itself. Attributes become shell variables, too.
_TAKEN_VARIABLES = frozenset(
    (
        *(
            "out",
            "outputs",
            "name",
            "version",
            "system",
            "builder",
            "args",
            "env",
            "inputs",
            "sources",
            "patches",
        ),
        *("HOME", "PATH", "PWD", "OLDPWD", "SHELL", "IFS", "PS1", "PS2", "PS4", "PPID", "OPTARG", "OPTIND"),
        *("TMPDIR", "TEMPDIR", "TMP", "TEMP", "TERM", "LINENO", "ENV", "_"),
    )
)
_TAKEN_PREFIXES = ("NIX_", "DEVENV_", "__", "input_", "BASH_", "LD_")


def why_taken(name: str) -> str | None:
    """Why a recipe cannot use this name for a variable or an attribute."""
    if name in _TAKEN_VARIABLES or name.startswith(_TAKEN_PREFIXES):
        return "it is set by devenv, or by the shell, in every build"
    return None
