"""What a builder made: checked, made canonical, measured."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from devenv.derivations.errors import BuildError
from devenv.formats.derivation import Derivation, Output
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store.database import PathInfo
from devenv.store.errors import StoreError, shown
from devenv.store.tree import canonicalise, dump, scan

_BLOCK = 1024 * 1024


class HashMismatch(BuildError):
    """A fixed output is not what its derivation says. `expected` and `found` are as SRI."""

    def __init__(self, package: str, expected: Hash, found: Hash) -> None:
        super().__init__(
            f"{package} is not what its derivation says: it should have the hash {expected.sri}, and has {found.sri}",
            package=package,
            hint="If what is fetched has changed for a good reason, correct the hash.",
        )
        self.expected = expected.sri
        self.found = found.sri


@dataclass(frozen=True, slots=True)
class Made:
    """An output: what to register, and the tree that is to be moved there."""

    info: PathInfo
    tree: str


def measure_outputs(
    derivation: Derivation, drv: StorePath, directory: str, candidates: Collection[StorePath], label: str
) -> tuple[Made, ...]:
    """The outputs of `derivation`, made in `directory` under the names that they have in the store.

    `candidates` is what they may refer to, besides each other. Raises BuildError when one is missing or cannot be
    in a store, StoreError when the disk fails.
    """
    paths = {name: StorePath(output.path) for name, output in derivation.outputs.items()}
    trees = {name: f"{directory}/{os.path.basename(path)}" for name, path in paths.items()}
    _require(trees, paths, label)
    everything = {*candidates, *paths.values()}
    made = []
    for name in sorted(paths):
        _canonicalise(trees[name], label)
        address = _check_fixed(derivation.outputs[name], trees[name], label)
        found = scan(trees[name], everything)
        if address is not None and found.references:
            raise BuildError(
                f"cannot build {label}: a fixed output may not refer to store paths, but this one does, to "
                f"{', '.join(found.references)}",
                package=label,
            )
        info = PathInfo(
            path=paths[name],
            nar_hash=found.nar_hash,
            nar_size=found.nar_size,
            references=found.references,
            deriver=drv,
            content_address=address,
            ultimate=True,
        )
        made.append(Made(info, trees[name]))
    order = _order({each.info.path: each.info.references for each in made}, label)
    return tuple(sorted(made, key=lambda each: order.index(each.info.path)))


def _require(trees: Mapping[str, str], paths: Mapping[str, str], label: str) -> None:
    missing = [name for name, tree in trees.items() if not os.path.lexists(tree)]
    if missing:
        listed = " and ".join(f"{name!r} ({paths[name]})" for name in sorted(missing))
        raise BuildError(
            f"cannot build {label}: its builder ended well but did not make its output {listed}",
            package=label,
            hint="A builder must make every path that its environment names as an output, for example $out.",
        )


def _canonicalise(tree: str, label: str) -> None:
    try:
        canonicalise(tree)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise BuildError(f"cannot build {label}: {error}", package=label, hint=error.hint) from error


def _check_fixed(output: Output, tree: str, label: str) -> str | None:
    """The content address of a fixed output, None for another. Raises BuildError, HashMismatch."""
    expected = output.fixed_hash
    if expected is None:
        return None
    found = _nar_hash(tree, expected) if output.recursive else _flat_hash(tree, expected, label)
    if found != expected:
        raise HashMismatch(label, expected, found)
    return f"fixed:{'r:' if output.recursive else ''}{expected.typed_nix32}"


def _nar_hash(tree: str, expected: Hash) -> Hash:
    digest = hashlib.new(expected.algorithm)
    for chunk in dump(tree):
        digest.update(chunk)
    return Hash(expected.algorithm, digest.digest())


def _flat_hash(tree: str, expected: Hash, label: str) -> Hash:
    mode = os.lstat(tree).st_mode
    if not stat.S_ISREG(mode) or mode & stat.S_IXUSR:
        raise BuildError(
            f"cannot build {label}: the hash of its output is that of a file's contents, but {shown(tree)} is "
            f"{'executable' if stat.S_ISREG(mode) else 'no plain file'}",
            package=label,
            hint="Make it a plain file, or use outputHashMode = recursive.",
        )
    digest = hashlib.new(expected.algorithm)
    with open(tree, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return Hash(expected.algorithm, digest.digest())


def _order(references: Mapping[StorePath, Collection[StorePath]], label: str) -> list[StorePath]:
    """The outputs, each after those that it refers to.

    Refuses a circle: none of it could be copied or deleted before the others.
    """
    left = {
        path: {each for each in to if each in references and each != path} for path, to in references.items()
    }
    order: list[StorePath] = []
    while free := [path for path, to in left.items() if not to & left.keys()]:
        for path in free:
            del left[path]
        order += free
    if left:
        raise BuildError(
            f"cannot build {label}: its outputs refer to each other in a circle: {', '.join(sorted(left))}",
            package=label,
            hint="Move what one needs of the other, so that references go in one direction.",
        )
    return order
