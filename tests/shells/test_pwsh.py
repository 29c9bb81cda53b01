"""PowerShell's renderer, as far as it can be seen without one: what it writes is code that is constant, and quoted data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.env.spec import Set, Spec
from devenv.shell import HookSettings, ShellError, template
from devenv.shells import pwsh
from tests.shells.harness import write_object
from tests.shells.nasty import NASTY

# CharExtensions.IsSingleQuote of PowerShell's parser.
SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"


def read_literal(code: str) -> tuple[str, str]:
    """The text of the string literal that the code begins with, and the code after it (Tokenizer.ScanStringLiteral)."""
    assert code[0] in SINGLE_QUOTES
    found, at = "", 1
    while True:
        letter = code[at]
        if letter in SINGLE_QUOTES:
            if code[at + 1 : at + 2] not in tuple(SINGLE_QUOTES):
                return found, code[at + 1 :]
            at += 1
            letter = code[at]
        found += letter
        at += 1


texts = st.text(
    st.one_of(
        st.sampled_from("'\u2018\u2019\u201a\u201b\"`$(){};#@&|\n\r "),
        st.characters(min_codepoint=1, exclude_categories=["Cs"]),
    )
)


@given(text=texts, after=st.sampled_from(["", " ", ";", ")", "\n"]))
def test_any_text_is_one_literal(text: str, after: str) -> None:
    assert read_literal(pwsh.quote(text) + after) == (text, after)


@pytest.mark.parametrize("value", NASTY.values(), ids=NASTY)
def test_the_table_is_held_or_refused_by_name(value: str) -> None:
    spec = Spec(name="table", variables={"V": (Set(value=value, origin="a test"),)})
    if any("\udc80" <= letter <= "\udcff" for letter in value):
        with pytest.raises(ShellError, match="variable V: PowerShell cannot hold bytes"):
            pwsh.activate(spec)
    else:
        assert read_literal(pwsh.quote(value)) == (value, "")
        assert pwsh.activate(spec)


def test_no_text_of_a_project_is_in_the_code() -> None:
    """But the environment's name in a comment, which is one line of printable text."""
    hostile = "'; touch EVIL; '"
    variables = {f"V{number}": (Set(value=text, origin=hostile),) for number, text in enumerate([hostile])}
    spec = Spec(name="demo", variables=variables, aliases={"a": (hostile,)}, scripts={"s": hostile})
    constant = template("runtime.ps1") + template("activate.ps1")
    written = pwsh.activate(spec).split("\n", 1)[1]
    identity, rest = read_literal(written[len(constant.split("ID")[0]) :])
    assert written == constant.replace("ID", pwsh.quote(identity), 1)
    assert rest and "EVIL" not in "".join([*pwsh.files(spec).values(), pwsh.deactivate(spec)])


def test_aliases_that_differ_in_case_are_refused_by_name() -> None:
    spec = Spec(name="case", aliases={"gs": ("git", "status"), "GS": ("gs",)})
    with pytest.raises(ShellError, match="alias gs: PowerShell cannot hold it beside GS"):
        pwsh.activate(spec)


def test_the_hooks_settings_are_literals() -> None:
    tree, words = "/home/it\u2019s/$(x)", ("/the 'devenv'", "-P")
    code = pwsh.hook(HookSettings(program=words, tree=tree))
    assert read_literal(code.split("Tree = ", 1)[1])[0] == tree
    first, rest = read_literal(code.split("Program = @(", 1)[1])
    assert (first, read_literal(rest.removeprefix(", "))[0]) == words


def test_its_files_end_as_it_wants_them(tmp_path: Path) -> None:
    place = write_object(Spec(name="files"), tmp_path / "spec")
    assert (place / "activate.ps1").read_text() == (place / "activate.pwsh").read_text()
    assert "mode interactive\nargument -NoLogo\n" in (place / "launch.pwsh").read_text()
