"""Replaces the digest of a store path in a finished tree by another of the same length.

In contents, in the targets of links and in names, wherever the bytes occur; what is compressed keeps the old one.
"""

from __future__ import annotations

import mmap
import os
import stat

from devenv.store.errors import explaining


def replace_digest(tree: str, old: bytes, new: bytes) -> None:
    """Rewrite `tree` in place. Modes of what is rewritten may change. Raises StoreError."""
    if len(old) != len(new):
        raise ValueError("digests of different lengths")
    with explaining("rewriting", tree):
        _rewrite(os.fsencode(tree), old, new)


def _rewrite(top: bytes, old: bytes, new: bytes) -> None:
    found = [top]
    for path in found:  # grows meanwhile; a directory comes before what is in it
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            if mode & 0o700 != 0o700:
                os.chmod(path, stat.S_IMODE(mode) | 0o700)
            found.extend(os.path.join(path, name) for name in os.listdir(path))
        elif stat.S_ISLNK(mode):
            _relink(path, old, new)
        elif stat.S_ISREG(mode):
            _replace_in_file(path, mode, old, new)
    # Names last, and from below, so that the paths above stay right meanwhile.
    for path in reversed(found[1:]):
        directory, name = os.path.split(path)
        if old in name:
            os.rename(path, os.path.join(directory, name.replace(old, new)))


def _relink(path: bytes, old: bytes, new: bytes) -> None:
    target = os.readlink(path)
    if old in target:
        os.unlink(path)
        os.symlink(target.replace(old, new), path)


def _replace_in_file(path: bytes, mode: int, old: bytes, new: bytes) -> None:
    if mode & 0o600 != 0o600:
        os.chmod(path, stat.S_IMODE(mode) | 0o600)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        if size >= len(old):
            with mmap.mmap(descriptor, size) as contents:
                _replace(contents, old, new)
    finally:
        os.close(descriptor)


def _replace(contents: mmap.mmap, old: bytes, new: bytes) -> None:
    position = contents.find(old)
    while position >= 0:
        contents[position : position + len(new)] = new
        position = contents.find(old, position + len(new))
