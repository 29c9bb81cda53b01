"""The errors of devenv.toml and devenv.lock."""

from __future__ import annotations

from devenv.errors import DevenvError


class ConfigError(DevenvError):
    """devenv.toml says something that devenv cannot use.

    `path`: the file. `line`: counted from 1, None when the whole file is meant. `column`: the same, known
    only where the file is no TOML. `key`: dotted, such as "env.PATH.prepend", or "". The message already
    names all of them.
    """

    def __init__(
        self,
        what: str,
        *,
        path: str,
        line: int | None = None,
        column: int | None = None,
        key: str = "",
        hint: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{place}: {key}: {what}" if key else f"{place}: {what}", hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.key = key


class LockError(DevenvError):
    """devenv.lock is damaged or from another version of devenv. `path` and `line` as in `ConfigError`."""

    def __init__(
        self, what: str, *, path: str, line: int | None = None, hint: str | None = "run `devenv lock`"
    ) -> None:
        super().__init__(f"{path if line is None else f'{path}:{line}'}: {what}", hint=hint)
        self.path = path
        self.line = line
