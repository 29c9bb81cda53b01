"""Checkpoints: the state after each phase of a build, by a hash of everything that led to it.

    DIRECTORY/lock               held shared by who uses checkpoints, exclusively by who drops some
    DIRECTORY/made/KEY           one checkpoint, text; its time is that of its last use
    DIRECTORY/files/XX/REST      contents of files, by SHA-256

A checkpoint is lines of JSON, each from a line feed to the next:

    {"version": 1, "key", "recipe", "phase", "size": bytes of its files}
    [tree, path, kind, mode, time in ns, size, data]        for each entry of a snapshot; `tree` numbers its root
    {"entries": how many, "sha256": of the lines above}

All of it may be deleted at any time. What is damaged is never used: contents are checked while they are put back.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass

from devenv.recipes.snapshots import Blobs, Damaged, Entry, Known, put_back, take

VERSION = 1
LIMIT = 10 << 30  # bytes, unless the user says otherwise
LIMIT_VARIABLE = "DEVENV_CHECKPOINTS"

_KINDS = ("directory", "file", "link", "hard link", "pipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One of the trees that a checkpoint holds, such as the build directory. `leave_out` are paths in it."""

    root: str
    leave_out: tuple[str, ...] = ()


class Checkpoints:
    """The checkpoints of one store. Methods raise OSError, `restore` also Damaged."""

    def __init__(self, directory: str, limit: int = LIMIT) -> None:
        self._directory = directory
        self._made = os.path.join(directory, "made")
        self._limit = limit
        self._blobs = Blobs(os.path.join(directory, "files"))

    def has(self, key: str) -> bool:
        return os.path.exists(os.path.join(self._made, key))

    def latest(self, keys: Sequence[str]) -> int | None:
        """The place in `keys` of the last one that is there."""
        return next((index for index in reversed(range(len(keys))) if self.has(keys[index])), None)

    def save(
        self, key: str, trees: Sequence[Tree], known: Sequence[Known], *, recipe: str, phase: str
    ) -> list[Known]:
        """Keep the trees as they are. `known` and the result are per tree, what is known of its files."""
        with self._lock(fcntl.LOCK_SH):
            taken = [
                take(tree.root, self._blobs, before, tree.leave_out)
                for tree, before in zip(trees, known, strict=True)
            ]
            sizes = {
                entry.data: entry.size for entries, _ in taken for entry in entries if entry.kind == "file"
            }
            head = {
                "version": VERSION,
                "key": key,
                "recipe": recipe,
                "phase": phase,
                "size": sum(sizes.values()),
            }
            lines = [json.dumps(head)]
            lines += [
                json.dumps((number, *astuple(entry)))
                for number, (entries, _) in enumerate(taken)
                for entry in entries
            ]
            self._write(key, lines)
        return [found for _, found in taken]

    def _write(self, key: str, lines: list[str]) -> None:
        body = "".join(f"{line}\n" for line in lines)
        end = {"entries": len(lines) - 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
        os.makedirs(self._made, exist_ok=True)
        aside = os.path.join(self._made, f".{key}-{os.getpid()}")
        try:
            with open(aside, "w", encoding="ascii") as file:
                file.write(f"{body}{json.dumps(end)}\n")
            os.rename(aside, os.path.join(self._made, key))
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise

    def restore(self, key: str, roots: Sequence[str]) -> list[Known]:
        """Make the trees at `roots`, where nothing is. Raises Damaged; parts may be there then."""
        with self._lock(fcntl.LOCK_SH):
            path = os.path.join(self._made, key)
            try:
                with open(path, encoding="ascii") as file:
                    text = file.read()
            except (OSError, ValueError) as error:
                raise Damaged(f"it cannot be read ({error})") from error
            trees = _parse(text, key, len(roots))
            found = [put_back(entries, root, self._blobs) for entries, root in zip(trees, roots, strict=True)]
            os.utime(path)
        return found

    def drop(self, key: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._made, key))

    def trim(self) -> int:
        """Drop those that were not used for longest until the rest fits the limit: how many.

        Nothing is done while another process uses checkpoints.
        """
        if sum(_size(path) for path in self._by_last_use()) <= self._limit:
            return 0
        try:
            with self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                return self._sweep(self._by_last_use())
        except BlockingIOError:
            return 0

    def _by_last_use(self) -> list[str]:
        try:
            with os.scandir(self._made) as entries:
                found = [(entry.stat().st_mtime_ns, entry.path) for entry in entries]
        except FileNotFoundError:
            return []
        return [path for _, path in sorted(found, reverse=True)]

    def _sweep(self, made: list[str]) -> int:
        kept: dict[str, int] = {}
        dropped = 0
        for path in made:
            kept_with = {**kept, **(_contents(path) or {})}
            if not dropped and sum(kept_with.values()) <= self._limit:
                kept = kept_with
                continue
            dropped += 1
            os.unlink(path)
        for folder, _, names in os.walk(self._blobs.directory):
            for name in names:
                if os.path.basename(folder) + name not in kept:
                    os.unlink(os.path.join(folder, name))
        return dropped

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        os.makedirs(self._directory, exist_ok=True)
        descriptor = os.open(
            os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def limit_from(environ: Mapping[str, str]) -> int:
    """How many bytes checkpoints may take: what the user says ("20G", "0" for none), or `LIMIT`."""
    from devenv.config.builds import read_size

    try:
        return max(read_size(environ[LIMIT_VARIABLE]), 0)
    except (KeyError, ValueError):
        return LIMIT


def _parse(text: str, key: str, trees: int) -> list[list[Entry]]:
    """The entries of each tree. Raises Damaged."""
    body, _, end = text.rstrip("\n").rpartition("\n")
    body += "\n"
    try:
        head, last = json.loads(body.partition("\n")[0]), json.loads(end)
        if last["sha256"] != hashlib.sha256(body.encode()).hexdigest():
            raise Damaged("its text is not what was written")
        if head["version"] != VERSION or head["key"] != key:
            raise Damaged("it is another one")
        found: list[list[Entry]] = [[] for _ in range(trees)]
        for line in body.splitlines()[1:]:
            number, entry = _entry(json.loads(line))
            found[number].append(entry)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Damaged("its text is not what was written") from error
    return found


def _entry(values: list[object]) -> tuple[int, Entry]:
    """Raises ValueError, TypeError."""
    number, path, kind, mode, moment, size, data = values
    if not (type(number) is int and number >= 0 and isinstance(path, str) and isinstance(data, str)):
        raise TypeError
    if not (type(mode) is int and type(moment) is int and type(size) is int and kind in _KINDS):
        raise TypeError
    return number, Entry(path, kind, mode & 0o7777, moment, size, data)  # type: ignore[arg-type]


def _size(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(json.loads(file.readline())["size"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0


def _contents(path: str) -> dict[str, int] | None:
    """The files of a checkpoint and their sizes, None when it is damaged."""
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()[1:-1]
        entries = [_entry(json.loads(line))[1] for line in lines]
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return {entry.data: entry.size for entry in entries if entry.kind == "file"}
