"""The use cases of binary caches: which ones a project or user has, whom they trust, keys, pushing and pulling.

A user's own settings are in `$XDG_CONFIG_HOME/devenv/config.toml`, secret keys beside it in `keys/`. A key that only a
project's devenv.toml names counts once the user has said so: whoever has it can put objects into the store, which
all projects of that user share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devenv.config.model import UserConfig
from devenv.errors import DevenvError
from devenv.events import Notice
from devenv.formats.store_path import StorePath
from devenv.project import CONFIG_NAME, Project
from devenv.workplace import Workplace

if TYPE_CHECKING:
    from devenv.formats.signing import PublicKey, SecretKey, TrustedKeys
    from devenv.store.binary_cache import BinaryCache
    from devenv.store.local import Store
    from devenv.store.misses import Misses
    from devenv.store.pushing import Pushed
    from devenv.store.substitute import Outcome, Substituters

USER_CONFIG_NAME = "config.toml"
_SECRET_KEY_LIMIT = 4096  # bytes


class KeyFileError(DevenvError):
    """A key cannot be read, written or used. `path` is its file. No secret is ever in the message."""

    def __init__(self, message: str, *, path: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


def config_directory(place: Workplace) -> str:
    """Where the user's own settings are."""
    environ = place.settings.environ
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        base = os.path.join(home if os.path.isabs(home) else os.path.expanduser("~"), ".config")
    return os.path.join(base, "devenv")


def user_config(place: Workplace) -> UserConfig:
    """The user's config.toml; an empty one where there is none. Raises ConfigError or Problems."""
    path = os.path.join(config_directory(place), USER_CONFIG_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return UserConfig()
    except UnicodeDecodeError as error:
        raise DevenvError(f"reading {path}: it is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise DevenvError(f"reading {path}: {error.strerror}") from error
    from devenv.config.toml import parse_user_config

    return parse_user_config(text, path)


# Which caches


def substituter_urls(place: Workplace, user: UserConfig) -> tuple[str, ...]:
    """Those of the command line, or else the user's and the project's."""
    if place.settings.substituters is not None:
        return place.settings.substituters
    return tuple(dict.fromkeys((*user.caches.substituters, *place.caches.substituters)))


def untrusted_keys(place: Workplace, user: UserConfig) -> tuple[str, ...]:
    """Keys of the project's devenv.toml that the user does not trust yet."""
    known = {*user.caches.trusted_keys, *place.settings.trusted_keys}
    return tuple(key for key in place.caches.trusted_keys if key not in known)


def trusted(place: Workplace, user: UserConfig) -> TrustedKeys:
    """The keys that the user trusts. Raises FormatError for one on the command line that is none."""
    from devenv.formats.signing import PublicKey, TrustedKeys

    return TrustedKeys(
        PublicKey.parse(key) for key in (*place.settings.trusted_keys, *user.caches.trusted_keys)
    )


def trust_keys(place: Workplace, keys: Sequence[str]) -> str:
    """Write public keys into the user's config.toml; gives its path. What else is in there stays as it is."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    user_config(place)  # it must be right before it is changed
    directory = config_directory(place)
    path = os.path.join(directory, USER_CONFIG_NAME)
    try:
        text = ""
        with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            text = file.read()
        document = tomlkit.parse(text)
        caches = document.setdefault("caches", tomlkit.table())
        listed = caches.setdefault("trusted-keys", tomlkit.array())
        for key in keys:
            if key not in listed:
                listed.append(key)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _write_aside(path, tomlkit.dumps(document), 0o600)
    except (OSError, TOMLKitError) as error:
        raise DevenvError(f"writing {path}: {getattr(error, 'strerror', None) or error}") from error
    return path


def _write_aside(path: str, text: str, mode: int) -> None:
    aside = f"{path}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(aside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise


def open_cache(place: Workplace, url: str) -> BinaryCache:
    """The cache at a URL, for the store of `place`. Nothing is asked yet."""
    from devenv.store.binary_cache import BinaryCache

    return BinaryCache.at(url, place.layout.store_dir, lambda: place.client)


def make_substituters(
    place: Workplace, store: Store, urls: Iterable[str], keys: TrustedKeys, *, strict: bool
) -> Substituters:
    """Those caches, asked on behalf of `store`."""
    from devenv.store.substitute import Substituters

    return Substituters(
        [open_cache(place, url) for url in urls],
        store,
        trusted=keys,
        misses=None if strict else misses(place),
        reporter=place.settings.reporter,
        cancel=place.cancel,
        cancelled=place.cancelled,
        strict=strict,
    )


def misses(place: Workplace) -> Misses:
    """What caches lately did not have, as this store's users remember it."""
    from devenv.store.misses import Misses

    return Misses(os.path.join(place.layout.cache, "cache-misses.sqlite"))


Bring = Callable[[Iterable[StorePath]], set[StorePath]]


def substitution(place: Workplace, store: Store) -> Bring | None:
    """What makes paths valid that a cache has, and gives those that are; None where no cache is configured."""
    user = user_config(place)
    urls = substituter_urls(place, user)
    if not urls:
        return None
    caches = make_substituters(place, store, urls, trusted(place, user), strict=False)
    untold = list(untrusted_keys(place, user))

    def bring(paths: Iterable[StorePath]) -> set[StorePath]:
        wanted = set(paths)
        there = store.valid_paths(wanted)
        if wanted <= there:
            return there
        while untold:
            place.settings.reporter.event(Notice(text=_untrusted_notice(untold.pop())))
        return there | caches.bring(wanted - there).valid

    return bring


def _untrusted_notice(key: str) -> str:
    return (
        f"{CONFIG_NAME} names the key {key.partition(':')[0]}, which you have not trusted yet: what only it signed is "
        "made here instead. `devenv cache trust` trusts it."
    )


# Pulling and pushing


def pull(place: Workplace, url: str, paths: Sequence[str]) -> Outcome:
    """Copy store paths and all that they refer to from one cache. Raises one error for all that cannot be had."""
    from devenv.errors import raise_problems
    from devenv.store.cache_files import CacheError
    from devenv.store.local import Store

    wanted = [place.layout.store_dir.parse(text) for text in paths]
    user = user_config(place)
    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        caches = make_substituters(place, store, [url], trusted(place, user), strict=True)
        found = caches.bring(wanted)
    problems = [found.problems[path] for path in sorted(found.problems)]
    if not problems:
        shown = open_cache(place, url).url
        problems = [
            CacheError(f"{shown} does not have {path}", cache=shown, path=path)
            for path in wanted
            if path not in found.valid
        ]
    raise_problems(problems)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """`keys` name secret keys; none means the one of the user's config.toml, if any. See `Pusher`."""

    compression: str | None = None
    keys: tuple[str, ...] = ()
    derivations: bool = False
    again: bool = False


def push(place: Workplace, url: str, paths: Iterable[StorePath], options: PushOptions) -> Pushed:
    """Copy valid paths and all that they refer to into one cache."""
    from devenv.store.local import Store
    from devenv.store.pushing import Pusher

    cache = open_cache(place, url)
    keys = [read_secret_key(place, name) for name in options.keys or _own_key(place)]
    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        wanted = set(paths)
        if options.derivations:
            wanted |= _derivers(store, wanted)
        pusher = Pusher(
            store,
            cache,
            compression=options.compression,
            keys=keys,
            jobs=place.jobs,
            reporter=place.settings.reporter,
            cancel=place.cancel,
            cancelled=place.cancelled,
        )
        done = pusher.push(wanted, again=options.again)
    misses(place).forget(cache.url)
    return done


def _own_key(place: Workplace) -> tuple[str, ...]:
    key = user_config(place).signing_key
    return (key,) if key is not None else ()


def _derivers(store: Store, paths: Iterable[StorePath]) -> set[StorePath]:
    """The derivations, of those that are there, that `paths` and all below them were made by."""
    infos = (store.info(path) for path in store.closure(paths))
    derivers = {info.deriver for info in infos if info is not None and info.deriver is not None}
    return store.valid_paths(derivers)


def environment_paths(project: Project) -> list[StorePath]:
    """What a project's environment consists of at the top: its spec, its byte code. It must have been prepared."""
    return _linked(project, ("env", "bytecode"))


def derivation_paths(project: Project) -> list[StorePath]:
    """The derivations of a project at the top."""
    return _linked(project, ("shell.drv",))


def _linked(project: Project, names: Iterable[str]) -> list[StorePath]:
    store_dir = project.workplace.layout.store_dir
    found = []
    for name in names:
        with suppress(FileNotFoundError):
            found.append(store_dir.parse(os.readlink(os.path.join(project.root, ".devenv", name))))
    return found


# Keys


def key_path(place: Workplace, name: str) -> str:
    """The file of a secret key: `name` itself if it looks like a path, else one beside the user's settings."""
    if "/" in name:
        return os.path.abspath(name)
    return os.path.join(config_directory(place), "keys", name)


def generate_key(place: Workplace, name: str, output: str | None = None) -> tuple[str, PublicKey]:
    """Write a new secret key, readable by the user alone; gives its path and public half. Never replaces one."""
    from devenv.formats.signing import SecretKey, check_key_name

    path = key_path(place, output if output is not None else check_key_name(name))
    if output is None and "/" in name:
        raise KeyFileError(
            f"a key cannot be called {name!r}", path=path, hint="use --output for the file's place"
        )
    key = SecretKey(name, os.urandom(32))
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        hint = "give the new key another name: signatures of the old one are still about"
        raise KeyFileError(f"there is a key in {path} already", path=path, hint=hint) from None
    except OSError as error:
        raise KeyFileError(f"writing the key {path}: {error.strerror}", path=path) from error
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(key.to_text() + "\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        os.unlink(path)
        raise KeyFileError(f"writing the key {path}: {error.strerror}", path=path) from error
    return path, key.public


def read_secret_key(place: Workplace, name: str) -> SecretKey:
    """A secret key by its name or path. Raises KeyFileError, also where others may read the file."""
    import stat

    from devenv.formats.errors import FormatError
    from devenv.formats.signing import SecretKey

    path = key_path(place, name)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_SECRET_KEY_LIMIT)
    except FileNotFoundError:
        hint = "`devenv cache key generate NAME` makes one"
        raise KeyFileError(f"there is no key {path}", path=path, hint=hint) from None
    except OSError as error:
        raise KeyFileError(f"reading the key {path}: {error.strerror}", path=path) from error
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        raise KeyFileError(
            f"the key {path} can be read by others: its mode is {stat.S_IMODE(status.st_mode):04o}",
            path=path,
            hint=f"chmod 600 {path}",
        )
    try:
        return SecretKey.parse(data.decode("ascii", "replace"))
    except FormatError as error:
        raise KeyFileError(f"reading the key {path}: {error}", path=path, hint=error.hint) from None
