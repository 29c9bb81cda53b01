"""What a binary cache says about itself and about each of its objects.

    file  = line*                  line = field ": " value "\\n"

    nix-cache-info      StoreDir, WantMassQuery ("1"), Priority (a number, the lowest is asked first)
    DIGEST.narinfo      StorePath, URL (from the cache's top), Compression, FileHash, FileSize (of what is at URL), NarHash,
                        NarSize, References (base names, separated by blanks), Deriver (base name), Sig (any number of
                        times), CA

Other fields are passed over. A signature is about `fingerprint`: neither the URL nor the deriver are part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devenv.formats.content_address import ContentAddress
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.signing import check_signature
from devenv.formats.store_path import StoreDir, StorePath, digest_of

CACHE_INFO = "nix-cache-info"
INFO_LIMIT = 8 << 20  # bytes of one narinfo: far more than the references of any environment
SIZE_LIMIT = 2**63 - 1
URL_LIMIT = 4096
SIGNATURES_LIMIT = 100  # checking one takes milliseconds
_DEFAULT_COMPRESSION = "bzip2"  # of the first caches, which did not say
_DEFAULT_PRIORITY = 50
_UNKNOWN_DERIVER = "unknown-deriver"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a cache says about itself. `store_dir`: the one that its objects are for."""

    store_dir: str
    want_mass_query: bool = False
    priority: int = _DEFAULT_PRIORITY

    @classmethod
    def parse(cls, text: str) -> CacheInfo:
        """Raises `FormatError`."""
        fields = _fields(text, CACHE_INFO)
        if "StoreDir" not in fields:
            raise FormatError(f"{CACHE_INFO} has no StoreDir")
        priority = _number(fields, "Priority", CACHE_INFO)
        return cls(
            store_dir=fields["StoreDir"][0],
            want_mass_query=fields.get("WantMassQuery", ["0"])[0] == "1",
            priority=_DEFAULT_PRIORITY if priority is None else priority,
        )

    def to_text(self) -> str:
        mass = "WantMassQuery: 1\n" if self.want_mass_query else ""
        return f"StoreDir: {self.store_dir}\n{mass}Priority: {self.priority}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class NarInfo:
    """What a cache says about one object.

    url: of the NAR, relative to the cache, without "..", compressed as `compression` says
    file_hash, file_size: of what is there, in bytes; nar_hash, nar_size: of the NAR
    references: sorted; signatures: sorted
    """

    path: StorePath
    url: str
    compression: str
    file_hash: Hash | None
    file_size: int | None
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...] = ()
    deriver: StorePath | None = None
    signatures: tuple[str, ...] = ()
    content_address: ContentAddress | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.path, self.nar_hash, self.nar_size, self.references)

    def is_self_certifying(self, store_dir: StoreDir) -> bool:
        """Whether the path follows from the claimed contents: then no signature is needed, but the contents are."""
        claim = self.content_address
        return claim is not None and claim.explains(store_dir, self.path, self.references)

    def to_text(self) -> str:
        """With the fields in the order in which Nix writes them."""
        lines = [f"StorePath: {self.path}", f"URL: {self.url}", f"Compression: {self.compression}"]
        if self.file_hash is not None:
            lines.append(f"FileHash: {self.file_hash.typed_nix32}")
        if self.file_size is not None:
            lines.append(f"FileSize: {self.file_size}")
        lines += [f"NarHash: {self.nar_hash.typed_nix32}", f"NarSize: {self.nar_size}"]
        lines.append(f"References: {' '.join(_base_name(path) for path in self.references)}")
        if self.deriver is not None:
            lines.append(f"Deriver: {_base_name(self.deriver)}")
        lines += [f"Sig: {signature}" for signature in self.signatures]
        if self.content_address is not None:
            lines.append(f"CA: {self.content_address}")
        return "\n".join(lines) + "\n"


def fingerprint(path: StorePath, nar_hash: Hash, nar_size: int, references: Iterable[StorePath]) -> str:
    """What is signed: the path and all that its user relies on."""
    return f"1;{path};{nar_hash.typed_nix32};{nar_size};{','.join(sorted(set(references)))}"


def info_name(path: StorePath) -> str:
    """The name of a path's file in a cache."""
    return f"{digest_of(path)}.narinfo"


def parse(text: str, store_dir: StoreDir, what: str = "a narinfo") -> NarInfo:
    """The value of a narinfo for a store in `store_dir`. `what` is for messages. Raises `FormatError`."""
    fields = _fields(text, what)
    for name in ("StorePath", "URL", "NarHash", "NarSize"):
        if not fields.get(name, [""])[0]:
            raise FormatError(f"{what} has no {name}")
    nar_hash = Hash.parse_typed(fields["NarHash"][0])
    if nar_hash.algorithm != "sha256":
        raise FormatError(f"{what} has a NarHash of the kind {nar_hash.algorithm}, expected sha256")
    nar_size = _number(fields, "NarSize", what)
    if not nar_size:
        raise FormatError(f"{what} has an impossible NarSize of {nar_size}")
    file_hash = fields.get("FileHash", [""])[0]
    deriver = fields.get("Deriver", [""])[0]
    claim = fields.get("CA", [""])[0]
    names = fields.get("References", [""])[0].split()
    return NarInfo(
        path=store_dir.parse(fields["StorePath"][0]),
        url=check_url(fields["URL"][0], what),
        compression=fields.get("Compression", [""])[0] or _DEFAULT_COMPRESSION,
        file_hash=Hash.parse_typed(file_hash) if file_hash else None,
        file_size=_number(fields, "FileSize", what),
        nar_hash=nar_hash,
        nar_size=nar_size,
        references=tuple(sorted({_in_store(name, store_dir) for name in names})),
        deriver=_in_store(deriver, store_dir) if deriver and deriver != _UNKNOWN_DERIVER else None,
        signatures=tuple(sorted({check_signature(signature) for signature in fields.get("Sig", ())})),
        content_address=ContentAddress.parse(claim) if claim else None,
    )


def check_url(url: str, what: str = "a narinfo") -> str:
    """`url`, if it leads to somewhere inside the cache. Raises `FormatError`."""
    from urllib.parse import unquote

    path = url.partition("?")[0]
    parts = unquote(path).split("/")
    odd = any(not "!" <= character <= "~" or character == "\\" for character in url)
    if odd or ":" in parts[0] or "#" in url or len(url) > URL_LIMIT or not _leads_inside(parts):
        raise FormatError(
            f"{what} has the URL {url[:200]!r}, which does not lead to a file inside the cache",
            hint="such a file was made to harm: do not use this cache",
        )
    return url


def _leads_inside(parts: list[str]) -> bool:
    return all(part not in ("", ".", "..") and "\0" not in part for part in parts)


def _in_store(name: str, store_dir: StoreDir) -> StorePath:
    # Old caches name the whole path.
    return store_dir.parse(name if name.startswith("/") else f"{store_dir.path}/{name}")


def _base_name(path: StorePath) -> str:
    return path.rpartition("/")[2]


def _fields(text: str, what: str) -> dict[str, list[str]]:
    """The values of each field. Only `Sig` may occur more than once."""
    if text and not text.endswith("\n"):
        raise FormatError(f"{what} ends in the middle of a line", hint="fetch it again")
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        name, colon, value = line.partition(":")
        if not colon or not name or not line.isprintable():
            raise FormatError(f"{what} has a line that is no field: {line[:100]!r} (line {number})")
        if name in found and name != "Sig":
            raise FormatError(f"{what} has the field {name} twice (line {number})")
        found.setdefault(name, []).append(value.strip(" "))
    if len(found.get("Sig", ())) > SIGNATURES_LIMIT:
        raise FormatError(f"{what} has {len(found['Sig'])} signatures, more than {SIGNATURES_LIMIT}")
    return found


def _number(fields: dict[str, list[str]], name: str, what: str) -> int | None:
    text = fields.get(name, [""])[0]
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20) or int(text) > SIZE_LIMIT:
        raise FormatError(f"{what} has the {name} {text[:100]!r}, expected a number")
    return int(text)
