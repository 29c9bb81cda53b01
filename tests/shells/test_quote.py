"""A quoted text is that text, in the real shell."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.env.spec import Set, Spec
from devenv.shell import ShellError
from tests.shells.dialects import can_hold, command_word, renderer
from tests.shells.harness import NAMES, Script, base_environ
from tests.shells.nasty import NASTY

# Everything but NUL, bytes that are no UTF-8 as surrogates; the special characters often.
characters = st.one_of(
    st.sampled_from("'\"\\`$!{}()[]<>|&;*?~#=%^ \t\n\r-:@"),
    st.characters(min_codepoint=1, exclude_categories=["Cs"]),
    st.integers(0x80, 0xFF).map(lambda byte: chr(0xDC00 + byte)),
)


def can_be_written(text: str) -> bool:
    """Surrogates that spell valid UTF-8 together are not what decoding gives."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text


texts = st.text(characters, max_size=20).filter(can_be_written)


def echoed(shell: str, words: list[str], folder: Path, *settings: str, locale: str = "C.UTF-8") -> list[str]:
    script = Script(shell, folder)
    script.add(*settings)
    if shell == "pwsh":  # before 7.3 it did not hand all texts to programs as they are
        script.add(*(f"[Console]::Out.Write({command_word(shell, word)} + [char] 0)" for word in words))
    else:
        script.add("/usr/bin/printf '%s\\0' " + " ".join(command_word(shell, word) for word in words))
    done = script.run(base_environ(folder) | {"LC_ALL": locale}, cwd=folder)
    assert (done.returncode, done.stderr) == (0, b"")
    return [part.decode("utf-8", "surrogateescape") for part in done.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("shell", [name for name in NAMES if name != "xonsh"])
@settings(max_examples=15, deadline=None)
@given(words=st.lists(texts, min_size=1, max_size=40))
def test_any_text_survives(shell: str, words: list[str]) -> None:
    words = [word for word in words if can_hold(shell, word)] or ["plain"]
    with tempfile.TemporaryDirectory() as folder:
        assert echoed(shell, words, Path(folder)) == words


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("shell", NAMES)
def test_the_table_survives(shell: str, locale: str, tmp_path: Path) -> None:
    words = [text for text in NASTY.values() if can_hold(shell, text)]
    assert echoed(shell, words, tmp_path, locale=locale) == words


def test_the_table_survives_zsh_that_reads_quotes_differently(tmp_path: Path) -> None:
    words = list(NASTY.values())
    assert echoed("zsh", words, tmp_path, "setopt rc_quotes bang_hist") == words


@pytest.mark.parametrize(
    "shell", [name for name in NAMES if name not in ("xonsh", "nu", "elvish", "tcsh", "pwsh")]
)
def test_the_table_survives_eval(shell: str, tmp_path: Path) -> None:
    quote = renderer(shell).quote
    words = [text for text in NASTY.values() if len(text) < 1000 and can_hold(shell, text)]
    script = Script(shell, tmp_path)
    code = "/usr/bin/printf '%s\\0' " + " ".join(quote(word) for word in words)
    script.add(f"eval {quote(code)}")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert [part.decode("utf-8", "surrogateescape") for part in done.stdout.split(b"\0")[:-1]] == words


@pytest.mark.parametrize("shell", NAMES)
def test_nul_is_refused(shell: str) -> None:
    with pytest.raises(ShellError, match="NUL"):
        renderer(shell).quote("a\0b")


@pytest.mark.parametrize(
    "shell", [name for name in NAMES if name not in ("xonsh", "nu", "elvish", "tcsh", "pwsh")]
)
def test_rendered_code_has_no_syntax_error(shell: str, tmp_path: Path) -> None:
    from tests.support.programs import program

    spec = Spec(name="syntax", variables={"A": (Set(value="it's", origin="a"),)}, scripts={"s": "true"})
    own = renderer(shell)
    texts = {
        "activate": own.activate(spec),
        "deactivate": own.deactivate(spec),
        **own.files(spec),
    }
    for name, text in texts.items():
        file = tmp_path / name.replace("/", "-")
        file.write_text(text)
        done = subprocess.run([program(shell), "-n", str(file)], capture_output=True, text=True)
        # ksh93 remarks on style, too.
        wrong = [line for line in done.stderr.splitlines() if ": warning: " not in line]
        assert (done.returncode, wrong) == (0, []), name
