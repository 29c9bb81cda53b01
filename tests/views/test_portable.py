from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.views.operations import File, Op, Symlink, Tree
from devenv.views.portable import filled, is_portable, read_back, write_down, write_down_key
from devenv.views.python import pip_ops, site_packages_ops
from devenv.views.wheel_tree import record_columns, render_record
from tests.support.wheels import make_wheel, wheel_package
from tests.views.test_python import Python

_WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
_PATHS = st.lists(
    st.text("abcXYZ019._-", min_size=1, max_size=8).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=5,
).map(lambda parts: "/" + "/".join(parts))


def environment(project: str, words: list[str]) -> list[Op]:
    """Operations as those of a Python environment: scripts that name their place, and a record of them."""
    root = f"{project}/.devenv/python"
    scripts = {f"bin/s{n}": f"#!{root}/bin/python\n{word}\n{root}".encode() for n, word in enumerate(words)}
    record = render_record([(dest, *record_columns(text)) for dest, text in scripts.items()], "RECORD")
    return [
        Tree(source="/store/a", dest="lib", skip=frozenset({"x", "y/z"})),
        Symlink(dest="bin/python", target="/usr/bin/python3"),
        Symlink(dest="bin/self", target=f"{root}/bin/python"),
        File(dest="pyvenv.cfg", contents=f"home = /usr/bin\nprompt = {os.path.basename(project)}\n".encode()),
        *(File(dest=dest, contents=text, executable=True) for dest, text in scripts.items()),
        File(dest="RECORD", contents=record),
        File(dest="bytes", contents=b"\xff\xfe plain", newest=True),
    ]


@given(one=_PATHS, other=_PATHS, words=st.lists(_WORDS, max_size=3))
def test_what_one_checkout_wrote_down_another_reads_as_its_own(
    one: str, other: str, words: list[str]
) -> None:
    rows = write_down(environment(one, words), one)
    if rows is None:  # one of the words names the project by chance
        assert not is_portable(one) or any(one in word for word in [*words, "/store/a", "/usr/bin/python3"])
        return
    found = read_back(json.loads(json.dumps(rows)), other)
    assert found == environment(other, words)


def test_a_real_environment_is_the_same_as_if_it_was_planned_there(tmp_path: Path) -> None:
    entry = "[console_scripts]\nhello = first:main\n"
    wheels = {
        "first": make_wheel(str(tmp_path / "store/first"), "first", entry_points=entry),
        "second": make_wheel(str(tmp_path / "store/second"), "second"),
    }

    def planned(project: str) -> list[Op]:
        from devenv.adapter import SitePackages

        root = f"{project}/.devenv/python"
        view = SitePackages(packages=tuple(wheel_package(name) for name in wheels))
        trees = {name: str(tree) for name, tree in wheels.items()}
        ops = site_packages_ops(view, trees=trees, bytecode={}, python=Python(), root=root, project=project)
        return [*ops, *pip_ops(view, root=root, runner="/usr/bin/python3")]

    rows = write_down(planned("/home/a/one"), "/home/a/one")
    assert rows is not None
    assert read_back(json.loads(json.dumps(rows)), "/srv/other-name") == planned("/srv/other-name")
    key = "recipe " + next(op.line for op in planned("/home/a/one") if op.dest == "bin/pip")
    text = write_down_key(key, planned("/home/a/one"), "/home/a/one")
    assert text is not None
    lines = {op.dest: op.line for op in planned("/srv/other-name")}
    assert filled(text, "/srv/other-name", lines) == "recipe " + lines["bin/pip"]


@pytest.mark.parametrize(
    "project",
    [
        pytest.param("/with a blank", id="blank"),
        pytest.param("/it's", id="quote"),
        pytest.param("/" + "long/" * 20 + "x", id="too long for a first line"),
        pytest.param("/ä", id="letters of other alphabets"),
        pytest.param("/", id="the root"),
    ],
)
def test_paths_that_scripts_would_be_written_for_in_another_way_are_not_portable(project: str) -> None:
    assert not is_portable(project)
    assert write_down(environment(project, ["x"]), project) is None


@pytest.mark.parametrize(
    "text", ["/home/a/one/src on its own", "see /home/a/one"], ids=["a file of the project", "the project"]
)
def test_what_names_the_project_in_another_way_is_of_this_checkout_alone(text: str) -> None:
    project = "/home/a/one"
    assert write_down([File(dest="x.pth", contents=text.encode())], project) is None
    assert write_down([Symlink(dest="x", target=text)], project) is None
    assert write_down_key(text, [], project) is None


@pytest.mark.parametrize(
    "rows",
    [
        [["tree", "a"]],
        [["file", "a", ["x"], "yes", False]],
        [["file", "a", [7], True, False]],
        [["link", "a", [["nowhere"]]]],
        [["file", "a", [[]], True, False]],
        [["link", "a", [None]]],
        [["what", "a"]],
    ],
    ids=str,
)
def test_damaged_rows_are_an_error(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"no operation|no text"):
        read_back(rows, "/p")
