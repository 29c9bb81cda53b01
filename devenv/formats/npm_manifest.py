"""package.json of an npm package: what installing it needs to know.

    { "name", "version", "bin": FILE | { COMMAND: FILE } | [ FILE ], "directories": { "bin": DIRECTORY },
      "os": NAMES, "cpu": NAMES, "libc": NAMES, "scripts": { "install", "preinstall", "postinstall" },
      "dependencies", "devDependencies", "optionalDependencies", "peerDependencies": { NAME: SPEC },
      "peerDependenciesMeta": { NAME: { "optional" } } }
    NAMES = name | "!" name | [ name | "!" name ... ]

The format is described in npm's manual, package.json(5). Published files hold anything; npm passes over what has
not the type that it expects, and so does this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from devenv.formats.errors import FormatError

# A longer one is not read. The longest published ones are some hundred thousand bytes.
MAX_SIZE = 8 << 20

# In place of an optional package whose install script failed: a file with how, JSON of "event", "how" and "lines".
FAILED = ".devenv-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One package.json.

    commands: command -> file, both normal. command_directory: each file in it is a command of its own; None where
    `commands` says it all. install_scripts: whether npm would run a script, a file `binding.gyp` left aside, which
    is built unless `builds_gyp` is false. preparation: the script that builds a package which comes from a repository.
    """

    name: str | None = None
    version: str | None = None
    commands: Mapping[str, str] = field(default_factory=dict)
    command_directory: str | None = None
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()
    install_scripts: bool = False
    builds_gyp: bool = True
    preparation: str | None = None
    dependencies: frozenset[str] = frozenset()
    optional_dependencies: frozenset[str] = frozenset()
    dev_dependencies: frozenset[str] = frozenset()
    peer_dependencies: frozenset[str] = frozenset()
    optional_peers: frozenset[str] = frozenset()

    def all_commands(self, files: Callable[[str], Iterable[str]]) -> Mapping[str, str]:
        """Command -> file. `files` gives the names of the files in a directory of the package."""
        directory = self.command_directory
        if directory is None:
            return self.commands
        names = sorted(name for name in files(directory) if not name.startswith("."))
        return clean_commands({name: f"{directory}/{name}" for name in names}, "")


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Parse a package.json; `name` is the package's where the file does not say it.

    Raises FormatError for what is no JSON object, or longer than MAX_SIZE.
    """
    values = _document(data)
    own_name = _text(values.get("name")) or name
    folder = inside(_text(_table(values.get("directories")).get("bin")) or "")
    value = values.get("bin")
    scripts = _table(values.get("scripts"))
    meta = _table(values.get("peerDependenciesMeta"))
    return Manifest(
        name=own_name,
        version=_text(values.get("version")),
        commands=clean_commands(value, own_name),
        command_directory=folder if folder and folder.isprintable() and not value else None,
        os=_names(values.get("os")),
        cpu=_names(values.get("cpu")),
        libc=_names(values.get("libc")),
        install_scripts=any(scripts.get(kind) for kind in ("preinstall", "install", "postinstall")),
        preparation=next((kind for kind in ("prepare", "prepack") if scripts.get(kind)), None),
        builds_gyp=values.get("gypfile") is not False,
        dependencies=frozenset(_table(values.get("dependencies"))),
        optional_dependencies=frozenset(_table(values.get("optionalDependencies"))),
        dev_dependencies=frozenset(_table(values.get("devDependencies"))),
        peer_dependencies=frozenset(_table(values.get("peerDependencies"))),
        optional_peers=frozenset(n for n, m in meta.items() if isinstance(m, dict) and m.get("optional")),
    )


def _document(data: bytes) -> dict[str, object]:
    import json

    if len(data) > MAX_SIZE:
        raise FormatError(f"package.json is longer than {MAX_SIZE >> 20} MiB")
    try:
        values = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"package.json is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise FormatError("package.json holds no object")
    return values


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> tuple[str, ...]:
    """A platform field. What could not be shown is no platform's name."""
    values = value if isinstance(value, list) else [value]
    return tuple(name if name.isprintable() else "?" for name in values if isinstance(name, str))


def clean_commands(value: object, name: str) -> dict[str, str]:
    """A `bin` field as command -> file, cleaned as npm does (its module npm-normalize-package-bin).

    `name` is the package's, which names its one command. A command is the last part of its name; a file lies inside
    the package whatever its path says.
    """
    if isinstance(value, str):
        value = {name: value}
    elif isinstance(value, list):
        value = {item.rpartition("/")[2]: item for item in value if isinstance(item, str)}
    found = {}
    for command, file in _table(value).items():
        base = command.replace("\\", "/").replace(":", "/").rstrip("/").rpartition("/")[2]
        if isinstance(file, str) and base not in ("", ".", "..") and base.isprintable():
            inner = inside(file)
            if inner and inner.isprintable():
                found[base] = inner
    return found


def inside(path: str) -> str:
    """`path` below a root that `..` cannot leave, without leading slash."""
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def allows(allowed: tuple[str, ...], name: str) -> bool:
    """`!x` forbids x; other names are the only ones allowed; nothing, or just "any", allows all."""
    if not allowed or allowed == ("any",):
        return True
    if f"!{name}" in allowed:
        return False
    return name in allowed or all(text.startswith("!") for text in allowed)


def unfit(fields: Mapping[str, tuple[str, ...]], platform: Mapping[str, str]) -> str | None:
    """What forbids the platform, as "os darwin (here: linux)"; None when nothing does.

    `fields` and `platform` are by "os", "cpu", "libc"; the platform in Node's words.
    """
    wrong = [(key, fields[key], name) for key, name in platform.items() if not allows(fields[key], name)]
    return " and ".join(f"{key} {', '.join(allowed)} (here: {name})" for key, allowed, name in wrong) or None
