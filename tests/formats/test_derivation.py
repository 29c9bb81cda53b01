from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats import derivation as drv
from devenv.formats.derivation import Derivation, ModuloHash, Output
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Algorithm, Hash
from devenv.formats.store_path import NAME_CHARACTERS, StoreDir, StorePath
from tests.formats.vectors import PLACEHOLDERS, STORE_DIRS, STORES

STORE = StoreDir("/nix/store")
A = StorePath("/nix/store/gwina1sjk7g95wq6fxc6b7s1hza53h74-a")
B = StorePath("/nix/store/kwwnlr2dbf69w9p9afk8mybzkygl4lhy-b")
A_DRV = StorePath(A + ".drv")
B_DRV = StorePath(B + ".drv")
SHA256 = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"


def cases(kind: str) -> list[Any]:
    """A parameter (store directory, vector) for each derivation of `kind`."""
    return [
        pytest.param(StoreDir(directory), vector, id=f"{directory}-{name}")
        for directory in STORE_DIRS
        for name, vector in STORES[directory][kind].items()
    ]


def parse_vector(store: StoreDir, vector: Mapping[str, Any]) -> Derivation:
    return drv.parse(vector["aterm"].encode(), drv.name_of_drv(vector["drvPath"]), store)


def blank_from_json(vector: Mapping[str, Any]) -> Derivation:
    """The derivation as nix shows it, but as it was before its outputs had paths."""
    shown = vector["show"]
    return Derivation(
        name=drv.name_of_drv(vector["drvPath"]),
        outputs={
            name: Output(hash_algorithm=output.get("hashAlgo", ""), hash=output.get("hash", ""))
            for name, output in shown["outputs"].items()
        },
        input_derivations={path: tuple(names) for path, names in shown["inputDrvs"].items()},
        input_sources=tuple(shown["inputSrcs"]),
        system=shown["system"],
        builder=shown["builder"],
        args=tuple(shown["args"]),
        env={name: "" if name in shown["outputs"] else value for name, value in shown["env"].items()},
    )


@pytest.mark.parametrize(("store", "vector"), cases("derivations") + cases("floating_ca"))
def test_files_of_nix_are_read_and_written_back(store: StoreDir, vector: dict[str, Any]) -> None:
    found = parse_vector(store, vector)
    assert found.to_aterm() == vector["aterm"].encode()
    assert drv.drv_path(store, found) == vector["drvPath"]
    assert drv.drv_path(store, found, vector["aterm"].encode()) == vector["drvPath"]


@pytest.mark.parametrize(("store", "vector"), cases("derivations"))
def test_values_are_what_nix_shows(store: StoreDir, vector: dict[str, Any]) -> None:
    found = parse_vector(store, vector)
    assert found.to_json() == vector["show"]
    assert {name: output.path for name, output in found.outputs.items()} == vector["outputs"]
    assert list(drv.references(found)) == vector["references"]


@pytest.mark.parametrize("directory", STORE_DIRS)
def test_a_graph_made_from_nothing_has_the_paths_that_nix_computes(directory: str) -> None:
    store = StoreDir(directory)
    vectors: dict[str, Any] = STORES[directory]["derivations"]
    by_path = {vector["drvPath"]: vector for vector in vectors.values()}
    hashes: dict[StorePath, ModuloHash] = {}

    def make(vector: dict[str, Any]) -> None:
        for path in vector["show"]["inputDrvs"]:
            if path not in hashes:
                make(by_path[path])
        complete = drv.with_output_paths(store, blank_from_json(vector), hashes.__getitem__)
        assert {name: output.path for name, output in complete.outputs.items()} == vector["outputs"]
        assert complete.env == vector["show"]["env"]
        assert complete.to_aterm() == vector["aterm"].encode()
        path = drv.drv_path(store, complete)
        assert path == vector["drvPath"]
        hashes[path] = drv.hash_modulo(complete, hashes.__getitem__)
        assert hashes[path].is_fixed == (complete.fixed is not None)

    make(vectors["diamond"])
    assert len(hashes) == 5, "the diamond stands on four other derivations"
    for vector in vectors.values():
        make(vector)
    assert vectors["usesFixed"]["outputs"] == vectors["usesFixedMirror"]["outputs"]


def test_giving_output_paths_twice_changes_nothing() -> None:
    once = drv.with_output_paths(STORE, derivation(), no_inputs)
    assert drv.with_output_paths(STORE, once, no_inputs) == once


@pytest.mark.parametrize("output", PLACEHOLDERS)
def test_placeholders_are_those_of_nix(output: str) -> None:
    assert drv.placeholder(output) == PLACEHOLDERS[output]


def no_inputs(path: StorePath) -> ModuloHash:
    raise AssertionError(f"asked for {path}")


def derivation(**changes: Any) -> Derivation:
    return replace(Derivation(name="x", outputs={"out": Output()}, system="builtin", builder="b"), **changes)


# Bytes decoded as `parse` decodes them: any other text would be another one once it was written and read.
TEXTS = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
NASTY = st.text(alphabet='ab\\"\n\r\t,()[]é', max_size=20)
STRINGS = TEXTS | NASTY
NAMES = st.text(alphabet=NAME_CHARACTERS, min_size=1, max_size=12).map(lambda name: f"x{name}")
PATHS = st.builds(lambda data, name: STORE.source_path(name, Hash.of("sha256", data)), st.binary(), NAMES)
OUTPUT_NAMES = st.lists(NAMES, unique=True, max_size=3).map(lambda names: tuple(sorted(names)))


ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sha1")


@st.composite
def derivations(draw: st.DrawFn) -> Derivation:
    outputs = {
        name: Output(path=draw(PATHS | st.just(""))) for name in sorted({*draw(OUTPUT_NAMES), draw(NAMES)})
    }
    if draw(st.booleans()):
        recursive = draw(st.sampled_from(["", "r:"]))
        algorithm = draw(st.sampled_from(ALGORITHMS))
        digest = Hash.of(algorithm, draw(st.binary())).hex
        outputs = {"out": Output(path=draw(PATHS), hash_algorithm=recursive + algorithm, hash=digest)}
    return Derivation(
        name=draw(NAMES),
        outputs=outputs,
        input_derivations={
            StorePath(path + ".drv"): draw(OUTPUT_NAMES) for path in sorted(draw(st.sets(PATHS, max_size=3)))
        },
        input_sources=tuple(sorted(draw(st.sets(PATHS, max_size=3)))),
        system=draw(STRINGS),
        builder=draw(STRINGS),
        args=tuple(draw(st.lists(STRINGS, max_size=4))),
        env=draw(st.dictionaries(STRINGS, STRINGS, max_size=5)),
    )


@given(derivations())
def test_any_derivation_comes_back_from_its_file(value: Derivation) -> None:
    data = value.to_aterm()
    found = drv.parse(data, value.name, STORE)
    assert found == value
    assert found.to_aterm() == data
    assert drv.parse(data, value.name) == value
    assert drv.parse_outputs(data, value.name, STORE) == value.outputs


@given(derivations(), st.data())
def test_a_damaged_file_is_refused_or_written_back(value: Derivation, data: st.DataObject) -> None:
    aterm = bytearray(value.to_aterm())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(aterm) - 1))
        aterm[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b'"', b"\\", b",", b"\xff"])
        )
    try:
        found = drv.parse(bytes(aterm), "x", STORE)
    except FormatError:
        return
    assert found.to_aterm() == bytes(aterm)


@given(derivations())
def test_the_order_of_the_parts_makes_no_difference(value: Derivation) -> None:
    shuffled = replace(
        value,
        outputs=dict(reversed(list(value.outputs.items()))),
        input_derivations={
            path: names[::-1] for path, names in reversed(list(value.input_derivations.items()))
        },
        input_sources=value.input_sources[::-1],
        env=dict(reversed(list(value.env.items()))),
    )
    assert shuffled.to_aterm() == value.to_aterm()


GOOD = (
    f'Derive([("dev","{B}","",""),("out","{A}","","")],[("{A_DRV}",["dev","out"]),("{B_DRV}",["out"])],'
    f'["{A}","{B}"],"s","b",["z","a"],[("A","1"),("B","2")])'
)


def test_the_file_that_the_damaged_ones_are_made_of_is_good() -> None:
    assert drv.parse(GOOD.encode(), "x", STORE).to_aterm() == GOOD.encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("Derive(", "derive(", id="keyword"),
        pytest.param("Derive(", "DrvWithVersion(", id="another-kind"),
        pytest.param("Derive(", " Derive(", id="leading-blank"),
        pytest.param('"2")])', '"2")])\n', id="trailing-newline"),
        pytest.param('"2")])', '"2")])x', id="trailing-bytes"),
        pytest.param('"2")])', '"2")]', id="no-closing"),
        pytest.param('"2")])', '"2"])', id="unclosed-tuple"),
        pytest.param('"2")])', '"2",)])', id="comma-at-the-end-of-a-tuple"),
        pytest.param('"2")])', '"2"),])', id="comma-at-the-end-of-a-list"),
        pytest.param('"2")])', '"2","3")])', id="three-in-a-pair"),
        pytest.param('("B","2")', '("A","2")', id="variable-twice"),
        pytest.param('("A","1")', '("C","1")', id="variables-out-of-order"),
        pytest.param('"dev","out"]', '"out","dev"]', id="names-of-outputs-out-of-order"),
        pytest.param('"dev","out"]', '"out","out"]', id="names-of-outputs-twice"),
        pytest.param(f'["{A}","{B}"]', f'["{B}","{A}"]', id="sources-out-of-order"),
        pytest.param(f'["{A}","{B}"]', f'["{A}","{A}"]', id="source-twice"),
        pytest.param(f'["{A}","{B}"]', f'["{A}/x"]', id="source-inside-a-path"),
        pytest.param(f'["{A}","{B}"]', '["/etc/passwd"]', id="source-outside-the-store"),
        pytest.param(f'["{A}","{B}"]', f'["{A.replace("/nix/", "/tmp/")}"]', id="source-of-another-store"),
        pytest.param(f'("{B_DRV}",["out"])', f'("{A_DRV}",["out"])', id="input-twice"),
        pytest.param(
            f'("{A_DRV}",', f'("{StorePath("/nix/store/z" + A_DRV[12:])}",', id="inputs-out-of-order"
        ),
        pytest.param(f'("{A_DRV}",', f'("{A}",', id="input-is-no-derivation"),
        pytest.param(f'("dev","{B}","","")', f'("out","{B}","","")', id="output-twice"),
        pytest.param(f'("dev","{B}","","")', f'("p","{B}","","")', id="outputs-out-of-order"),
        pytest.param(f'("dev","{B}","","")', f'("","{B}","","")', id="output-without-a-name"),
        pytest.param(f'("dev","{B}","","")', f'("a/b","{B}","","")', id="output-with-a-slash"),
        pytest.param(f'("dev","{B}","","")', '("dev","/bin/sh","","")', id="output-outside-the-store"),
        pytest.param(f'"{B}","",""', f'"{B}","sha256","{SHA256}"', id="fixed-among-others"),
        pytest.param(f'("dev","{B}","",""),("out","{A}","","")', "", id="no-outputs"),
        pytest.param('"s"', "s", id="bare-word"),
        pytest.param('"s"', '"\\s"', id="escape"),
        pytest.param('"s"', '"s\n"', id="raw-newline"),
        pytest.param('"s"', '"s\0"', id="nul"),
        pytest.param('"s",', '"s";', id="separator"),
        pytest.param('"s",', '"s", ', id="blank-between"),
    ],
)
def test_damaged_files_are_refused(old: str, new: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(FormatError):
        drv.parse(GOOD.replace(old, new).encode(), "x", STORE)


def test_a_file_cut_anywhere_is_refused_with_its_place() -> None:
    for size in range(len(GOOD)):
        with pytest.raises(FormatError) as caught:
            drv.parse(GOOD[:size].encode(), "x", STORE)
        assert caught.value.offset is not None
        assert caught.value.offset <= size


def test_outputs_are_read_without_the_rest() -> None:
    whole = drv.parse(GOOD.encode(), "x", STORE).outputs
    rest = GOOD.index("],[")
    assert drv.parse_outputs((GOOD[: rest + 1] + "rubbish").encode(), "x", STORE) == whole
    for size in range(rest):
        with pytest.raises(FormatError):
            drv.parse_outputs(GOOD[:size].encode(), "x", STORE)


def test_the_place_of_a_wrong_path_is_told() -> None:
    data = GOOD.replace(f'["{A}","{B}"]', '["/etc/passwd"]').encode()
    with pytest.raises(FormatError, match="/etc/passwd") as caught:
        drv.parse(data, "x", STORE)
    assert caught.value.offset == data.index(b'"/etc/passwd"')


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "a b"}, id="name"),
        pytest.param({"name": ""}, id="no-name"),
        pytest.param({"outputs": {}}, id="no-outputs"),
        pytest.param({"outputs": {"": Output()}}, id="output-without-a-name"),
        pytest.param({"outputs": {"out": Output(hash=SHA256)}}, id="hash-without-algorithm"),
        pytest.param(
            {"outputs": {"out": Output(hash_algorithm="sha3", hash=SHA256)}}, id="unknown-algorithm"
        ),
        pytest.param({"outputs": {"out": Output(hash_algorithm="r:r:sha256", hash=SHA256)}}, id="r-twice"),
        pytest.param({"outputs": {"out": Output(hash_algorithm="sha384", hash="0" * 96)}}, id="sha384"),
        pytest.param({"outputs": {"out": Output(hash_algorithm="sha1", hash=SHA256)}}, id="size"),
        pytest.param(
            {"outputs": {"out": Output(hash_algorithm="sha256", hash=SHA256.upper())}}, id="capitals"
        ),
        pytest.param({"outputs": {"dev": Output(hash_algorithm="sha256", hash=SHA256)}}, id="fixed-not-out"),
        pytest.param(
            {"outputs": {"dev": Output(), "out": Output(hash_algorithm="sha256", hash=SHA256)}},
            id="fixed-not-alone",
        ),
    ],
)
def test_no_derivation_is_made_of_parts_that_do_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        derivation(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"env": {"A": "\0"}}, id="nul"),
        pytest.param({"env": {"\ud800": ""}}, id="variable-that-has-no-bytes"),
        pytest.param({"args": ("\ud800",)}, id="argument-that-has-no-bytes"),
    ],
)
def test_text_that_no_file_can_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        derivation(**changes).to_aterm()


def test_an_input_must_have_the_output_that_is_used() -> None:
    value = derivation(input_derivations={A_DRV: ("dev",)})
    modulo = ModuloHash({"out": Hash.of("sha256", b"")}, is_fixed=False)
    with pytest.raises(FormatError, match="dev"):
        drv.with_output_paths(STORE, value, lambda path: modulo)


def test_inputs_of_equal_hash_count_once_with_all_their_outputs() -> None:
    modulo = ModuloHash(dict.fromkeys(("dev", "out"), Hash.of("sha256", b"")), is_fixed=False)
    two = derivation(input_derivations={A_DRV: ("dev",), B_DRV: ("out",)})
    one = derivation(input_derivations={A_DRV: ("dev", "out")})
    assert drv.hash_modulo(two, lambda path: modulo) == drv.hash_modulo(one, lambda path: modulo)


def test_a_derivation_named_by_its_contents_has_no_paths_before_it_is_built() -> None:
    floating = derivation(outputs={"out": Output(hash_algorithm="r:sha256")})
    with pytest.raises(FormatError, match="contents"):
        drv.with_output_paths(STORE, floating, no_inputs)
    with pytest.raises(FormatError, match="contents"):
        drv.hash_modulo(floating, no_inputs)


def test_a_fixed_derivation_has_no_hash_before_it_has_its_path() -> None:
    fixed = derivation(outputs={"out": Output(hash_algorithm="sha256", hash=SHA256)})
    with pytest.raises(FormatError, match="path"):
        drv.hash_modulo(fixed, no_inputs)
    complete = drv.with_output_paths(STORE, fixed, no_inputs)
    assert drv.hash_modulo(complete, no_inputs).is_fixed


@pytest.mark.parametrize("path", [A, StorePath(f"/nix/store/{A[11:43]}-.drv")], ids=["none", "only"])
def test_a_path_without_the_suffix_names_no_derivation(path: StorePath) -> None:
    with pytest.raises(FormatError, match="drv"):
        drv.name_of_drv(path)
    assert drv.name_of_drv(A_DRV) == "a"
