"""PowerShell's renderer, read by another's grammar of the language, that of editors: what it writes is a program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from devenv.env.spec import Set, Spec
from devenv.shell import HookSettings
from devenv.shells import pwsh
from tests.shells.nasty import NASTY

PARSER = Parser(Language(tree_sitter_powershell.language()))
SPEC = Spec(
    name="it's $(demo)",
    variables={
        f"V{number}": (Set(value=value, origin="a test"),)
        for number, value in enumerate(NASTY.values())
        if not any("\udc80" <= letter <= "\udcff" for letter in value)
    },
    aliases={"gs": ("git", "status", "it's", "$(x)")},
)
SETTINGS = HookSettings(program=("/the 'devenv'", "-P"), tree="/home/it\u2019s/$(x)")


def faults(code: str) -> list[str]:
    """What the grammar does not understand, with its line."""
    source = code.encode()

    def found(node: Node) -> Iterator[str]:
        if node.is_error or node.is_missing:
            text = source[node.start_byte : node.end_byte][:80].decode(errors="replace")
            yield f"line {node.start_point.row + 1}: {text}"
            return
        for child in node.children:
            yield from found(child)

    return list(found(PARSER.parse(source).root_node))


CODE = {
    **pwsh.files(SPEC),
    "activate": pwsh.activate(SPEC),
    "deactivate": pwsh.deactivate(SPEC),
    "hook": pwsh.hook(SETTINGS),
    "refuse": pwsh.refuse("it's not so: $(x)\n`y`"),
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_what_is_written_is_a_program(code: str) -> None:
    assert faults(code) == []


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_the_grammar_sees_a_quote_too_many(code: str) -> None:
    assert faults(code + "\n$x = 'open\n") != []


@given(text=st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"])))
def test_any_text_is_one_argument(text: str) -> None:
    code = f"Write-Output {pwsh.quote(text)}; exit 3"
    assert faults(code) == []
    (statements,) = PARSER.parse(code.encode()).root_node.children
    assert [child.type for child in statements.named_children].count("pipeline") == 1
