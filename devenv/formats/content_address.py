"""The claim that a store path follows from its contents, as the database and narinfo files have it.

    claim = "text:" hash | "fixed:" ["r:"] hash                       hash as in "sha256:" nix-base-32

"text" hashes the contents of a file, "fixed" too, "fixed:r" the NAR. A path with such a claim needs no signature: who
has its contents and references can compute it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, name_of

Method = Literal["text", "flat", "recursive"]

_PREFIXES: dict[Method, str] = {"text": "text:", "recursive": "fixed:r:", "flat": "fixed:"}


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """`method`: what is hashed. For a recursive one with references to itself, see `StoreDir.source_path`."""

    method: Method
    hash: Hash

    @classmethod
    def parse(cls, text: str) -> ContentAddress:
        """Raises `FormatError`."""
        for method, prefix in _PREFIXES.items():
            if text.startswith(prefix):
                hash = Hash.parse_typed(text[len(prefix) :])
                if hash.algorithm == "sha384" or (method == "text" and hash.algorithm != "sha256"):
                    break
                return cls(method, hash)
        raise FormatError(
            f"expected a content address such as text:sha256:..., fixed:sha256:... or fixed:r:sha256:..., found "
            f"{text[:200]!r}"
        )

    def __str__(self) -> str:
        return _PREFIXES[self.method] + self.hash.typed_nix32

    def path(
        self, store_dir: StoreDir, name: str, references: Collection[StorePath], refers_to_itself: bool
    ) -> StorePath:
        """Where an object of that name lies; `references` are without itself. Raises `FormatError` if nowhere."""
        recursive_sha256 = self.method == "recursive" and self.hash.algorithm == "sha256"
        if recursive_sha256:
            return store_dir.source_path(name, self.hash, references, refers_to_itself)
        if refers_to_itself or (references and self.method != "text"):
            raise FormatError(f"an object with the content address {self} cannot have these references")
        if self.method == "text":
            return store_dir.text_path(name, self.hash, references)
        return store_dir.fixed_path(name, self.hash, self.method == "recursive")

    def explains(self, store_dir: StoreDir, path: StorePath, references: Collection[StorePath]) -> bool:
        """Whether `path` is what this claim and these references make it."""
        others = [reference for reference in references if reference != path]
        try:
            return self.path(store_dir, name_of(path), others, len(others) < len(references)) == path
        except FormatError:
            return False
