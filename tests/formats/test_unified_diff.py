"""Unified diffs: what difflib, diff and git write is read, and applied exactly or not at all."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.unified_diff import DiffError, FileChange, apply_hunks, parse_diff

LINES = st.lists(
    st.sampled_from(["a", "b", "", "+", "-- x", "--- a/x", "@@ -1 +1 @@", "\\ no", " "]), max_size=12
)


def unified(before: list[str], after: list[str], context: int = 3) -> bytes:
    pieces = []
    for line in difflib.unified_diff(before, after, "a/f", "b/f", n=context, lineterm="\n"):
        pieces.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(pieces).encode()


def changed(diff: bytes, data: bytes) -> bytes:
    (change,) = parse_diff(diff)
    return apply_hunks(change.hunks, data)


@given(LINES, LINES, st.booleans(), st.booleans(), st.integers(0, 3))
def test_what_difflib_says_is_what_becomes_of_a_file(
    before: list[str], after: list[str], end: bool, new_end: bool, context: int
) -> None:
    old, new = (
        [*(line + "\n" for line in lines[:-1]), *(line + ("\n" if ends else "") for line in lines[-1:])]
        for lines, ends in ((before, end), (after, new_end))
    )
    diff = unified([line for line in old if line], [line for line in new if line], context)
    if diff:
        assert changed(diff, "".join(old).encode()) == "".join(new).encode()


@given(st.binary(max_size=300) | st.text("-+@ \\1,\nab/", max_size=300).map(str.encode))
def test_any_bytes_give_changes_or_our_error(data: bytes) -> None:
    try:
        found = parse_diff(b"--- a/f\n+++ b/f\n" + data)
    except DiffError:
        return
    assert all(isinstance(change, FileChange) for change in found)


@given(st.binary(max_size=200), LINES, LINES)
def test_hunks_give_bytes_or_our_error_for_any_file(data: bytes, before: list[str], after: list[str]) -> None:
    diff = unified([f"{line}\n" for line in before], [f"{line}\n" for line in after])
    if diff:
        try:
            changed(diff, data)
        except DiffError as error:
            assert error.line is not None


def test_a_hunk_is_found_where_its_lines_have_moved_to() -> None:
    diff = unified(["a\n", "b\n", "c\n"], ["a\n", "B\n", "c\n"])
    assert changed(diff, b"0\n" * 7 + b"a\nb\nc\n") == b"0\n" * 7 + b"a\nB\nc\n"


def test_lines_that_are_nearly_right_are_not_changed() -> None:
    with pytest.raises(DiffError, match="line 3: what it expects is not in the file"):
        changed(unified(["a\n", "b\n"], ["a\n", "c\n"]), b"a\nb \n")


def test_windows_line_ends_belong_to_the_lines() -> None:
    diff = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\r\n+c\r\n b\r\n"
    assert changed(diff, b"a\r\nb\r\n") == b"c\r\nb\r\n"


GIT = b"diff --git a/%b b/%b\n"
DAMAGED = {
    "nothing": (b"hello\n", "no change in unified format"),
    "no hunk": (b"--- a/f\n+++ b/f\nx\n", "no hunk follows"),
    "cut": (b"--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n", "ends in the middle"),
    "numbers": (
        b"--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-a\n-b\n",
        "expected a line|ends in the middle|other numbers",
    ),
    "outside": (b"--- a/../../f\n+++ b/../../f\n@@ -1 +1 @@\n-a\n+b\n", "no path inside a package"),
    "absolute": (b"--- /etc/x\n+++ //etc/x\n@@ -1 +1 @@\n-a\n+b\n", "no path inside a package"),
    "bare": (b"--- f\n+++ f\n@@ -1 +1 @@\n-a\n+b\n", "write a/f"),
    "no file": (b"@@ -1 +1 @@\n-a\n+b\n", "without the names"),
    "binary": (GIT % (b"f", b"f") + b"Binary files a/f and b/f differ\n", "binary file"),
    "git binary": (GIT % (b"f", b"f") + b"index 1..2\nGIT binary patch\n", "binary file"),
    "link": (
        GIT % (b"f", b"f") + b"new file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
        "mode",
    ),
    "nowhere": (b"--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n", "nowhere"),
    "half a rename": (GIT % (b"f", b"g") + b"rename from f\n", "from or to nothing"),
    "silent": (GIT % (b"f", b"f") + b"index 1..2\n", "says nothing"),
}


@pytest.mark.parametrize(("data", "match"), DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_diff_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(DiffError, match=match):
        parse_diff(data)


def test_gits_own_diff_of_all_kinds_of_changes_is_understood(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")

    def run(*words: str) -> bytes:
        own = ["-c", "user.name=t", "-c", "user.email=t@x.test", "-c", "diff.renames=true"]
        done = subprocess.run([str(git), *own, *words], cwd=tmp_path, check=True, capture_output=True)
        return done.stdout

    run("init", "-q")
    for name, text in {
        "kept": "1\n2\n3\n",
        "gone": "x\n",
        "mode": "m\n",
        "old name": "n\n" * 9,
        "bl ank": "b",
    }.items():
        (tmp_path / name).write_text(text)
    run("add", ".")
    run("commit", "-qm", "one")
    (tmp_path / "kept").write_text("1\ntwo\n3\n")
    (tmp_path / "gone").unlink()
    (tmp_path / "mode").chmod(0o755)
    (tmp_path / "old name").rename(tmp_path / "new name")
    (tmp_path / "bl ank").write_text("c")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/né w").write_text("new\n")
    (tmp_path / "empty").write_text("")
    run("add", "-A")
    found = {(each.old, each.new): each for each in parse_diff(b"From: a mail\n\n" + run("diff", "--cached"))}
    assert set(found) == {
        (b"kept", b"kept"),
        (b"gone", None),
        (b"mode", b"mode"),
        (b"old name", b"new name"),
        (b"bl ank", b"bl ank"),
        (None, "dir/né w".encode()),
        (None, b"empty"),
    }
    assert found[b"mode", b"mode"].executable is True
    assert apply_hunks(found[b"kept", b"kept"].hunks, b"1\n2\n3\n") == b"1\ntwo\n3\n"
    assert apply_hunks(found[b"bl ank", b"bl ank"].hunks, b"b") == b"c"
    assert apply_hunks(found[None, "dir/né w".encode()].hunks, b"") == b"new\n"
