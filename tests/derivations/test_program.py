"""Structured attributes and logs, as text: read by bash, by Python, by terminals."""

from __future__ import annotations

import json
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.derivations.build_log import BuildLog, log_path, printable
from devenv.derivations.errors import BuildError
from devenv.derivations.program import flag, program, references_text, string_list
from devenv.derivations.structured_attributes import as_json, as_shell, parse
from devenv.formats.derivation import Derivation, Output

texts = st.text(
    st.characters(exclude_characters="\0", categories=["L", "N", "P", "S", "Z", "Cc"]), max_size=12
)
names = st.text(string.ascii_letters + "_-", min_size=1, max_size=6)
# Bash has no empty keys, and takes these two for all keys when they are read.
keys = texts.filter(lambda text: text not in ("", "@", "*"))
scalars = st.one_of(
    texts, st.booleans(), st.none(), st.integers(-(2**60), 2**60), st.sampled_from([1.5, 2.0, float("inf")])
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(keys, scalars, max_size=3),
    st.lists(st.lists(scalars, max_size=2), max_size=2),
)


def word(value: object) -> str | None:
    """What bash should have for a value; None for what it cannot have."""
    if isinstance(value, bool) or value is None:
        return "1" if value else ""
    if isinstance(value, str):
        return value
    assert isinstance(value, int | float)
    return str(int(value)) if float(value).is_integer() else None


def expected(value: object) -> list[str] | None:
    if isinstance(value, list):
        # As with Nix, what is false is no word of a list.
        words = [None if isinstance(each, list) else word(each) for each in value if each is not False]
    elif isinstance(value, dict):
        words = [each for key in sorted(value) for each in (key, word(value[key]))]
    else:
        words = [word(value)]
    return None if None in words else [each for each in words if each is not None]


READ = """
for name in "$@"; do
    printf '%s\\0' "$name"
    case "$(declare -p "$name" 2>/dev/null)" in
        '') printf 'missing\\0' ;;
        'declare -A'*) declare -n table=$name
            for key in "${!table[@]}"; do printf '%s\\0%s\\0' "$key" "${table[$key]}"; done; unset -n table ;;
        'declare -a'*) declare -n list=$name; printf '%s\\0' "${list[@]}"; unset -n list ;;
        *) printf '%s\\0' "${!name}" ;;
    esac
    printf 'end of the value 5d1f\\0'
done
"""


@given(st.dictionaries(names.map("v_{}".format), values, max_size=5))
@settings(max_examples=60, deadline=None)
def test_bash_reads_the_values_that_were_written(attributes: dict[str, Any]) -> None:
    shell = as_shell(attributes, {"out": "/o"})
    readable = [name for name in attributes if "-" not in name]
    done = subprocess.run(
        ["bash", "-c", f"{shell}{READ}", "bash", *readable, "outputs"],
        capture_output=True,
        env={"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.stderr == b""
    found = done.stdout.decode().split("\0end of the value 5d1f\0")[:-1]
    for name, text in zip([*readable, "outputs"], found, strict=True):
        value = {"out": "/o"} if name == "outputs" else attributes[name]
        wanted = expected(value)
        _, *words = text.split("\0")
        if wanted == []:
            assert words in ([""], [])  # printf prints once in any case
        elif isinstance(value, dict) and wanted is not None:
            pairs = zip(words[::2], words[1::2], strict=True)
            assert sorted(pairs) == sorted(zip(wanted[::2], wanted[1::2], strict=True))
        else:
            assert words == (["missing"] if wanted is None else wanted)


@given(st.dictionaries(texts, values, max_size=5))
def test_json_says_the_same_and_the_outputs(attributes: dict[str, Any]) -> None:
    text = as_json(attributes, {"out": "/o"})
    assert json.loads(text) == {**attributes, "outputs": {"out": "/o"}}
    assert as_json(dict(reversed(attributes.items())), {"out": "/o"}) == text


@given(st.one_of(st.text(max_size=30), values.map(json.dumps), st.just("[" * 100_000)))
def test_attributes_are_an_object_or_an_error(text: str) -> None:
    try:
        assert isinstance(parse(text, "p"), dict)
    except BuildError as error:
        assert "cannot build p" in str(error)


def derivation(**env: str) -> Derivation:
    path = "/nix/store/00000000000000000000000000000000-x"
    return Derivation(name="x", outputs={"out": Output(path=path)}, system="s", builder="/b/name", env=env)


def test_lists_and_flags_are_found_wherever_attributes_are() -> None:
    structured = derivation(__json='{"l": ["a b", "c"], "yes": true, "no": "1", "bad": [1]}', l="x")
    assert string_list(structured, "l", "p") == ("a b", "c")
    assert string_list(structured, "missing", "p") == ()
    assert (flag(structured, "yes", "p"), flag(structured, "no", "p")) == (True, False)
    with pytest.raises(BuildError, match="bad is not a list of strings"):
        string_list(structured, "bad", "p")
    plain = derivation(l=" a  b\n", yes="1", no="")
    assert string_list(plain, "l", "p") == ("a", "b")
    assert (flag(plain, "yes", "p"), flag(plain, "no", "p")) == (True, False)


def test_equal_derivations_give_equal_programs() -> None:
    """In whatever order their parts are."""
    env = {"b": "1", "a": "2", "passAsFile": "a b"}
    made = [
        program(
            derivation(**dict(items)),
            store_dir="/nix/store",
            cores=1,
            environ={},
            graph_text=lambda _: "",
            label="x",
        )
        for items in (list(env.items()), list(reversed(env.items())))
    ]
    assert list(made[0].environment.items()) == list(made[1].environment.items())
    assert made[0].files == made[1].files
    assert made[0].arguments == (b"name",)


def test_a_closure_is_written_in_order() -> None:
    assert references_text({"/b": ["/b", "/a"], "/a": []}) == "/a\n\n0\n/b\n\n2\n/a\n/b\n"


@given(st.binary(max_size=60))
def test_nothing_that_is_printed_commands_a_terminal(line: bytes) -> None:
    assert printable(line).isprintable()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"plain \xc3\xa4", "plain \u00e4"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"10%\r50%\r100%\r", "100%"),
        (b"\x1b]0;title\x07text", "text"),
        (b"tab\there", "tab here"),
        (b"\xff\x00", "\N{REPLACEMENT CHARACTER}?".replace("\N{REPLACEMENT CHARACTER}", "\ufffd")),
        (b"x" * 5000, "x" * 2000),
    ],
    ids=["text", "colours", "progress", "title", "tab", "no text", "long"],
)
def test_lines_are_made_fit_for_people(line: bytes, expected: str) -> None:
    assert printable(line) == expected


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_a_log_has_all_bytes_and_whole_lines(chunks: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = log_path(place, "/nix/store/abcdef-x.drv")
        assert path == f"{place}/drvs/ab/cdef-x.drv"
        shown: list[str] = []
        log = BuildLog(path, shown.append)
        for chunk in chunks:
            log.feed(chunk)
        log.close()
        whole = b"".join(chunks)
        assert Path(path).read_bytes() == whole
        lines = whole.split(b"\n")
        lines = lines if lines[-1] else lines[:-1]
        assert shown == [printable(line) for line in lines]
        assert log.tail() == shown[-25:]
