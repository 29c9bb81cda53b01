"""Store paths: their names, and how they are computed from what they name.

    path        = store-dir "/" digest "-" name
    digest      = nix-base-32( fold( sha256( fingerprint ), 20 bytes ) )           32 characters
    fingerprint = type ":sha256:" inner ":" store-dir ":" name

    type                              inner: base 16 of the SHA-256 of
    "text" (":" reference)*           the contents
    "source" (":" reference)* [":self"]   the NAR
    "output:out"                      "fixed:out:" ["r:"] algorithm ":" base 16 ":"     (fixed outputs)
    "output:" output                  the derivation, modulo its fixed inputs

References are sorted full paths. After the "Store path" chapter of the Nix manual; the values of
tests/data were printed by Nix.
"""

from __future__ import annotations

from collections.abc import Iterable

from devenv.formats.errors import StorePathError
from devenv.formats.nix32 import ALPHABET, encode

# Commands that only read paths load this module; what merely computes them is imported where it is used.
# Type checkers know this name also when it does not come from `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NewType

    from devenv.formats.hashes import Hash

    StorePath = NewType("StorePath", str)
else:
    StorePath = str

NAME_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-._?="
NAME_LIMIT = 211
DIGEST_LENGTH = 32

# Room for "-<output>" and ".drv", which derivations append to the names they are given.
_SANITIZED_LIMIT = 200


class StoreDir:
    """The directory that store paths lie in, an absolute normalised path, and part of every digest."""

    __slots__ = ("_encoded", "_prefix", "path")

    path: str
    _prefix: str
    _encoded: bytes

    def __init__(self, path: str) -> None:
        _check_store_dir(path)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "_prefix", path + "/")
        object.__setattr__(self, "_encoded", path.encode("utf-8", "surrogateescape"))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"StoreDir is frozen: {name}")

    def __reduce__(self) -> tuple[type[StoreDir], tuple[str]]:
        return StoreDir, (self.path,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreDir) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"StoreDir({self.path!r})"

    def parse(self, text: str) -> StorePath:
        """`text` as a path directly in this store. Raises `StorePathError`."""
        prefix = self._prefix
        if not text.startswith(prefix):
            raise StorePathError(f"{text!r} is not in the store {self.path}", text=text)
        start = len(prefix)
        _check_base_name(text, start)
        return StorePath(text)

    def join(self, digest: str, name: str) -> StorePath:
        """The path with these two parts. Raises `StorePathError`."""
        return self.parse(f"{self._prefix}{digest}-{name}")

    def text_path(self, name: str, contents_sha256: Hash, references: Iterable[StorePath]) -> StorePath:
        """Where a text with this hash of its contents lies: `builtins.toFile` and .drv files."""
        kind = ":".join(["text", *sorted(set(references))])
        return self._make(kind, _sha256_hex(contents_sha256), name)

    def source_path(
        self,
        name: str,
        nar_sha256: Hash,
        references: Iterable[StorePath] = (),
        self_reference: bool = False,
    ) -> StorePath:
        """Where a tree with this hash of its NAR lies, as `nix-store --add` puts it.

        With `self_reference` the hash is of the NAR in which 32 NUL bytes replace each occurrence of the
        path's own digest, followed by "|" and the decimal offset of each; `references` is without the path.
        """
        kind = ":".join(["source", *sorted(set(references)), *(["self"] if self_reference else [])])
        return self._make(kind, _sha256_hex(nar_sha256), name)

    def fixed_path(self, name: str, hash: Hash, recursive: bool) -> StorePath:
        """Where a fixed output lies: `hash` is of the NAR if `recursive`, else of the one file's contents.

        Raises StorePathError.
        """
        if recursive and hash.algorithm == "sha256":
            return self.source_path(name, hash)
        if hash.algorithm == "sha384":
            raise StorePathError(
                f"no store path can be made of the sha384 hash of {name!r}",
                text=name,
                hint="Nix knows md5, sha1, sha256 and sha512",
            )
        from hashlib import sha256

        inner = f"fixed:out:{'r:' if recursive else ''}{hash.typed_hex}:"
        return self._make("output:out", sha256(inner.encode("ascii")).hexdigest(), name)

    def output_path(self, output: str, drv_hash: Hash, drv_name: str) -> StorePath:
        """Where an input-addressed output of a derivation lies."""
        name = drv_name if output == "out" else f"{drv_name}-{output}"
        return self._make(f"output:{output}", _sha256_hex(drv_hash), name)

    def _make(self, kind: str, inner: str, name: str) -> StorePath:
        from hashlib import sha256

        from devenv.formats.hashes import compress

        check_name(name)
        head = f"{kind}:sha256:{inner}:".encode("utf-8", "surrogateescape")
        fingerprint = b"%b%b:%b" % (head, self._encoded, name.encode("ascii"))
        digest = encode(compress(sha256(fingerprint).digest(), 20))
        return StorePath(f"{self._prefix}{digest}-{name}")


def digest_of(path: StorePath) -> str:
    """The 32 characters by which references to `path` are found."""
    start = path.rfind("/") + 1
    return path[start : start + DIGEST_LENGTH]


def name_of(path: StorePath) -> str:
    """What follows the digest and its "-"."""
    return path[path.rfind("/") + DIGEST_LENGTH + 2 :]


def check_name(name: str) -> str:
    """`name` itself if it can be the name of a store path, else `StorePathError`."""
    if not name or len(name) > NAME_LIMIT or name.strip(NAME_CHARACTERS) or name[0] == ".":
        _refuse_name(name)
    return name


def sanitize_name(text: str) -> str:
    """A valid store name that resembles `text`: "@babel/core-7.0" becomes "babel-core-7.0".

    At most 200 characters, so that a derivation can append its own. Different texts may give one name.
    """
    clean = "".join(c if c in NAME_CHARACTERS else " " for c in text[: 4 * NAME_LIMIT])
    joined = "-".join(clean.split())
    return joined.lstrip(".-")[:_SANITIZED_LIMIT] or "unnamed"


def check_store_path(text: str) -> StorePath:
    """`text` as a path in a store that is not known here. Raises `StorePathError`."""
    slash = text.rfind("/")
    if slash < 1 or text[0] != "/":
        raise StorePathError(f"{text!r} is not an absolute store path", text=text)
    _check_base_name(text, slash + 1)
    return StorePath(text)


def _check_base_name(text: str, start: int) -> None:
    dash = start + DIGEST_LENGTH
    if text[dash : dash + 1] != "-" or text[start:dash].strip(ALPHABET):
        raise StorePathError(
            f"{text!r} is not a store path: no {DIGEST_LENGTH} characters of hash and a dash", text=text
        )
    check_name(text[dash + 1 :])


def _refuse_name(name: str) -> None:
    if not name:
        raise StorePathError("a store path needs a name, found an empty one", text=name)
    if len(name) > NAME_LIMIT:
        raise StorePathError(
            f"the name {name[:40]!r}... has {len(name)} characters, a store path allows {NAME_LIMIT}",
            text=name,
        )
    bad = sorted(set(name) - set(NAME_CHARACTERS))
    if bad:
        raise StorePathError(
            f"the name {name!r} has characters that a store path cannot have: {' '.join(map(repr, bad))}",
            text=name,
            hint="allowed are ASCII letters, digits and + - . _ ? =",
        )
    # "." and ".." are directories, and later Nix reserves what begins with them and a dash.
    if name in (".", "..") or name.startswith((".-", "..-")):
        raise StorePathError(f"a store path cannot have the name {name!r}", text=name)


def _check_store_dir(path: str) -> None:
    parts = path.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]):
        raise StorePathError(f"the store directory {path!r} is not an absolute, normalised path", text=path)
    if "\0" in path or "\n" in path or ":" in path:
        raise StorePathError(
            f"the store directory {path!r} has a character that PATH or Nix cannot hold", text=path
        )


def _sha256_hex(value: Hash) -> str:
    if value.algorithm != "sha256":
        raise StorePathError(f"store paths are made of sha256 hashes, found {value.sri}", text=value.sri)
    return value.digest.hex()
