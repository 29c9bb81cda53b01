"""Derivations: how an output is made, as .drv files say it.

    derivation = "Derive(" outputs "," inputs "," sources "," system "," builder "," args "," env ")"
    outputs    = list of ( name "," path "," hash-algorithm "," hash )    "" for what is absent
    inputs     = list of ( .drv path "," list of output names )
    sources    = list of store paths        system, builder = string
    args       = list of strings            env = list of ( name "," value )

All tokens as in `aterm`. Lists are sorted by bytes without doubles, args excepted. A *fixed* derivation has
one output "out" whose contents' hash is known; another is *input-addressed*: its outputs are named by the
hash of the derivation "modulo" its inputs, in which each input .drv path is replaced by that input's own
modulo hash, so that where a fixed output was fetched from does not matter. After the "Derivation" chapters
of the Nix manual; the values of tests/data were printed by Nix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NoReturn, cast

from devenv.formats import nix32
from devenv.formats.aterm import Reader, byte_order, encode, quote, quote_list
from devenv.formats.errors import FormatError
from devenv.formats.hashes import SIZES, Algorithm, Hash
from devenv.formats.store_path import StoreDir, StorePath, check_name, check_store_path, name_of

DRV_SUFFIX = ".drv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output. `path` is "" before it is known; the other two are "" unless the output is fixed.

    hash_algorithm: "sha256" for the hash of one file's contents, "r:sha256" for that of a NAR, and so on
    hash: base 16
    """

    path: str = ""
    hash_algorithm: str = ""
    hash: str = ""

    @property
    def recursive(self) -> bool:
        """The fixed hash is of the NAR, not of one file's contents."""
        return self.hash_algorithm.startswith("r:")

    @property
    def fixed_hash(self) -> Hash | None:
        """The hash that a fixed output must have, None for an output of another kind."""
        if not self.hash:
            return None
        return Hash.from_hex(cast(Algorithm, self.hash_algorithm.removeprefix("r:")), self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A derivation. `name` is that of its output "out"; the .drv file has ".drv" appended.

    Raises `FormatError` when made of parts that cannot go together.
    """

    name: str
    outputs: Mapping[str, Output]
    input_derivations: Mapping[StorePath, tuple[str, ...]] = field(default_factory=dict)
    input_sources: tuple[StorePath, ...] = ()
    system: str
    builder: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.outputs:
            raise FormatError(f"the derivation {self.name!r} has no outputs")
        for name, output in self.outputs.items():
            check_name(name)
            if output.hash_algorithm or output.hash:
                self._check_fixed(name, output)

    @property
    def fixed(self) -> Output | None:
        """The output of a fixed derivation."""
        output = self.outputs.get("out")
        return output if output is not None and output.hash else None

    def to_aterm(self) -> bytes:
        """The contents of the .drv file. Raises `FormatError` for text that no file can hold."""
        return self._aterm(self.input_derivations)

    def to_json(self) -> dict[str, Any]:
        """What `nix show-derivation` prints for this derivation, keys sorted."""
        return {
            "args": list(self.args),
            "builder": self.builder,
            "env": {name: self.env[name] for name in sorted(self.env, key=byte_order)},
            "inputDrvs": {
                path: sorted(self.input_derivations[path]) for path in sorted(self.input_derivations)
            },
            "inputSrcs": sorted(self.input_sources),
            "outputs": {name: _output_json(self.outputs[name]) for name in sorted(self.outputs)},
            "system": self.system,
        }

    def _aterm(self, inputs: Mapping[StorePath, tuple[str, ...]] | Mapping[str, set[str]]) -> bytes:
        """The file with `inputs` (paths, or hashes in their place) as its input derivations."""
        outputs = ",".join(
            f"({quote(name)},{quote(output.path)},{quote(output.hash_algorithm)},{quote(output.hash)})"
            for name, output in sorted(self.outputs.items())
        )
        drvs = ",".join(
            f"({quote(path)},{quote_list(sorted(set(names), key=byte_order))})"
            for path, names in sorted(inputs.items(), key=lambda item: byte_order(item[0]))
        )
        names = sorted(self.env, key=byte_order)
        env = ",".join([f"({quote(name)},{quote(self.env[name])})" for name in names])
        sources = quote_list(sorted(set(self.input_sources), key=byte_order))
        return encode(
            f"Derive([{outputs}],[{drvs}],{sources},{quote(self.system)},{quote(self.builder)},"
            f"{quote_list(self.args)},[{env}])"
        )

    def _check_fixed(self, name: str, output: Output) -> None:
        algorithm = output.hash_algorithm.removeprefix("r:")
        if algorithm not in SIZES or algorithm == "sha384":
            raise FormatError(
                f"output {name!r} of the derivation {self.name!r} has the unknown hash algorithm "
                f"{output.hash_algorithm!r}"
            )
        if not output.hash:
            return  # "floating": named by what it turns out to contain. Read and written, never made here.
        if name != "out" or len(self.outputs) != 1:
            raise FormatError(
                f"the derivation {self.name!r} has a fixed output {name!r} among "
                f"{', '.join(sorted(self.outputs))}; a fixed output stands alone and is called 'out'"
            )
        if output.hash != Hash.from_hex(cast(Algorithm, algorithm), output.hash).hex:
            raise FormatError(f"the fixed hash {output.hash!r} of {self.name!r} is not in small letters")


@dataclass(frozen=True, slots=True)
class ModuloHash:
    """What stands for a derivation in the hashes of those that use it: one hash for each output.

    All are the same unless the derivation `is_fixed`; then there is one, of what the output contains.
    """

    hashes: Mapping[str, Hash]
    is_fixed: bool

    def of(self, output: str) -> Hash:
        """The hash for `output`. Raises `FormatError` when the derivation has no such output."""
        found = self.hashes.get(output)
        if found is None:
            raise FormatError(
                f"no output {output!r} in a derivation with the outputs {', '.join(sorted(self.hashes))}"
            )
        return found


Lookup = Callable[[StorePath], ModuloHash]


def parse(data: bytes, name: str, store_dir: StoreDir | None = None) -> Derivation:
    """The derivation in the .drv file `data`. `name` is its name, without ".drv" (see `name_of_drv`).

    Paths must lie in `store_dir`; without one, any store's will do. Raises `FormatError`.
    """
    reader = Reader(data, f"the derivation {name!r}")
    check = check_store_path if store_dir is None else store_dir.parse
    reader.expect("Derive(")
    outputs = _parse_outputs(reader, check)
    reader.expect(",")
    drvs = _parse_input_derivations(reader, check)
    reader.expect(",")
    sources = tuple([reader.checked(check) for _ in reader.items()])
    _check_sorted(reader, sources, "input source")
    reader.expect(",")
    system = reader.string()
    reader.expect(",")
    builder = reader.string()
    reader.expect(",")
    args = tuple(reader.strings())
    reader.expect(",")
    env = _parse_env(reader)
    reader.expect(")")
    reader.end()
    return Derivation(
        name=name,
        outputs=outputs,
        input_derivations=drvs,
        input_sources=sources,
        system=system,
        builder=builder,
        args=args,
        env=env,
    )


def parse_outputs(data: bytes, name: str, store_dir: StoreDir | None = None) -> dict[str, Output]:
    """Only the outputs of the .drv file `data`, which stand at its beginning; the rest is not looked at."""
    reader = Reader(data, f"the derivation {name!r}")
    reader.expect("Derive(")
    return _parse_outputs(reader, check_store_path if store_dir is None else store_dir.parse)


def name_of_drv(path: StorePath) -> str:
    """The name of the derivation in the .drv file at `path`. Raises FormatError where it is none."""
    name = name_of(path)
    if not name.endswith(DRV_SUFFIX) or name == DRV_SUFFIX:
        raise FormatError(f"{path} is not a derivation: its name does not end in {DRV_SUFFIX}")
    return name[: -len(DRV_SUFFIX)]


def hash_modulo(derivation: Derivation, lookup: Lookup) -> ModuloHash:
    """The hash that stands for `derivation`, whose output paths are known, in those that use it.

    `lookup` gives the modulo hash of each input derivation. Raises `FormatError` for "floating"
    derivations, which have no such hash before they are built.
    """
    fixed = derivation.fixed
    if fixed is not None:
        if not fixed.path:
            _refuse(derivation, "its output path is not known yet")
        text = f"fixed:out:{fixed.hash_algorithm}:{fixed.hash}:{fixed.path}"
        return ModuloHash({"out": Hash("sha256", sha256(byte_order(text)).digest())}, True)
    if any(output.hash_algorithm for output in derivation.outputs.values()):
        _refuse(derivation, "its outputs are named by their contents once they are built")
    return ModuloHash(dict.fromkeys(derivation.outputs, _masked_hash(derivation, lookup)), False)


def with_output_paths(store_dir: StoreDir, derivation: Derivation, lookup: Lookup) -> Derivation:
    """`derivation` with the paths of its outputs, in `outputs` and, by the outputs' names, in `env`.

    Paths that were there before are replaced. `lookup` as in `hash_modulo`.
    """
    fixed = derivation.fixed
    paths: dict[str, StorePath]
    if fixed is not None and fixed.fixed_hash is not None:
        paths = {"out": store_dir.fixed_path(derivation.name, fixed.fixed_hash, fixed.recursive)}
    else:
        if any(output.hash_algorithm for output in derivation.outputs.values()):
            _refuse(derivation, "its outputs are named by their contents once they are built")
        masked = _with_paths(derivation, dict.fromkeys(derivation.outputs, ""))
        hash = _masked_hash(masked, lookup)
        paths = {name: store_dir.output_path(name, hash, derivation.name) for name in derivation.outputs}
    return _with_paths(derivation, paths)


def drv_path(store_dir: StoreDir, derivation: Derivation, aterm: bytes | None = None) -> StorePath:
    """Where the .drv file lies. `aterm` spares the work of writing it once more."""
    contents = derivation.to_aterm() if aterm is None else aterm
    hash = Hash("sha256", sha256(contents).digest())
    return store_dir.text_path(derivation.name + DRV_SUFFIX, hash, references(derivation))


def references(derivation: Derivation) -> tuple[StorePath, ...]:
    """What the .drv file refers to: input sources and input derivations, sorted."""
    return tuple(sorted({*derivation.input_sources, *derivation.input_derivations}))


def placeholder(output: str) -> str:
    """What stands for the path of `output` inside a derivation until it is known."""
    return "/" + nix32.encode(sha256(byte_order(f"nix-output:{output}")).digest())


def _masked_hash(derivation: Derivation, lookup: Lookup) -> Hash:
    """The hash of the file in which modulo hashes replace the paths of input derivations."""
    inputs: dict[str, set[str]] = {}
    for path, names in derivation.input_derivations.items():
        modulo = lookup(path)
        for name in names:
            inputs.setdefault(modulo.of(name).hex, set()).add(name)
    return Hash("sha256", sha256(derivation._aterm(inputs)).digest())


def _with_paths(derivation: Derivation, paths: Mapping[str, str]) -> Derivation:
    outputs = {name: replace(derivation.outputs[name], path=path) for name, path in paths.items()}
    return replace(derivation, outputs=outputs, env={**derivation.env, **paths})


def _refuse(derivation: Derivation, why: str) -> NoReturn:
    raise FormatError(f"the derivation {derivation.name!r} cannot be hashed: {why}")


def _output_json(output: Output) -> dict[str, str]:
    fields = {"hash": output.hash, "hashAlgo": output.hash_algorithm, "path": output.path}
    return {key: value for key, value in fields.items() if value}


def _parse_outputs(reader: Reader, check: Callable[[str], StorePath]) -> dict[str, Output]:
    outputs: dict[str, Output] = {}
    for _ in reader.items():
        reader.expect("(")
        name = reader.string()
        reader.expect(",")
        path = reader.checked(lambda text: check(text) if text else "")
        reader.expect(",")
        algorithm = reader.string()
        reader.expect(",")
        digest = reader.string()
        reader.expect(")")
        _check_after(reader, outputs, name, "output")
        outputs[name] = Output(path=path, hash_algorithm=algorithm, hash=digest)
    return outputs


def _parse_input_derivations(
    reader: Reader, check: Callable[[str], StorePath]
) -> dict[StorePath, tuple[str, ...]]:
    def check_drv(text: str) -> StorePath:
        path = check(text)
        name_of_drv(path)
        return path

    inputs: dict[StorePath, tuple[str, ...]] = {}
    for _ in reader.items():
        reader.expect("(")
        path = reader.checked(check_drv)
        reader.expect(",")
        names = tuple(reader.strings())
        reader.expect(")")
        _check_sorted(reader, names, "output of an input")
        _check_after(reader, inputs, path, "input derivation")
        inputs[path] = names
    return inputs


def _parse_env(reader: Reader) -> dict[str, str]:
    env: dict[str, str] = {}
    for _ in reader.items():
        reader.expect("(")
        name = reader.string()
        reader.expect(",")
        value = reader.string()
        reader.expect(")")
        _check_after(reader, env, name, "variable")
        env[name] = value
    return env


def _check_after(reader: Reader, before: dict[Any, Any], name: str, what: str) -> None:
    """`name` must come after the last key of `before`."""
    last = next(reversed(before), None)
    if last is not None and byte_order(last) >= byte_order(name):
        reader.fail(f"the {what} {name!r} comes after {last!r}: expected sorted ones without doubles")


def _check_sorted(reader: Reader, names: Iterable[str], what: str) -> None:
    last: bytes | None = None
    for name in names:
        key = byte_order(name)
        if last is not None and last >= key:
            reader.fail(f"the {what} {name!r} is out of order: expected sorted ones without doubles")
        last = key
