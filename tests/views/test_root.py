"""Roots made of packages: what lies where, what contradicts, what is there when something was interrupted."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from devenv.events import Event, Finished, Planned, Reporter, Started
from devenv.sandbox import enter
from devenv.sandbox.spec import Bind, SandboxSpec
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.roots import add_indirect_root
from devenv.store.sweep import collect
from devenv.views import root
from devenv.views.operations import ViewError
from devenv.views.root import FILE_MOUNT_POINTS, MOUNT_POINTS, compose, root_recipe
from tests.support.sandboxes import require_sandboxes

# Text of a file, or of a link after "-> ".
Tree = Mapping[str, str]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Layout(os.path.realpath(tmp_path / "place"))) as opened:
        yield opened


def add(store: Store, tmp_path: Path, name: str, tree: Tree) -> str:
    source = tmp_path / "sources" / name
    write(source, tree)
    return store.add_tree(name, str(source))


def write(top: Path, tree: Tree) -> None:
    top.mkdir(parents=True)
    for path, text in tree.items():
        place = top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if text == "/":
            place.mkdir()
        elif text.startswith("-> "):
            place.symlink_to(text.removeprefix("-> "))
        else:
            place.write_text(text)


def configured(store: Store, tmp_path: Path, files: Tree, removed: str = "") -> str:
    place = tmp_path / "sources/configured"
    write(place / "files", files)
    (place / "removed").write_text(removed)
    return store.add_tree("configured", str(place))


def contents(top: str) -> dict[str, str]:
    """All files and links, and directories that are empty, without the mount points."""
    found = {}
    for place, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = os.path.join(place, name)
            relative = os.path.relpath(path, top)
            if os.path.islink(path):
                found[relative] = f"-> {os.readlink(path)}"
            elif os.path.isfile(path):
                found[relative] = Path(path).read_text()
            elif not os.listdir(path):
                found[relative] = "/"
    ours = {
        *MOUNT_POINTS,
        *FILE_MOUNT_POINTS,
        "bin",
        "sbin",
        "lib",
        "lib64",
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
    }
    return {
        path: text
        for path, text in found.items()
        if path not in ours or text not in ("", "/", f"-> usr/{path}")
    }


def make(store: Store, paths: list[str], over: str | None = None, events: Reporter | None = None) -> str:
    return compose(paths, over, views_dir=store.layout.views, events=events)


def test_packages_come_together_as_hard_links(store: Store, tmp_path: Path) -> None:
    one = add(store, tmp_path, "one", {"usr/bin/a": "a", "usr/share/doc/one/x": "1", "var/lib/one": "/"})
    two = add(store, tmp_path, "two", {"usr/bin/b": "-> a", "usr/share/doc/two/x": "2", "etc/two.conf": "c"})
    made = make(store, [two, one])
    assert contents(made) == {
        "usr/bin/a": "a",
        "usr/bin/b": "-> a",
        "usr/share/doc/one/x": "1",
        "usr/share/doc/two/x": "2",
        "etc/two.conf": "c",
        "var/lib/one": "/",
    }
    assert os.path.samefile(f"{made}/usr/bin/a", f"{one}/usr/bin/a")
    assert os.path.realpath(f"{made}/bin/a") == f"{made}/usr/bin/a"
    assert {stat.S_IMODE(os.stat(place).st_mode) for place, _, _ in os.walk(made)} == {0o555}


def test_a_root_has_a_place_for_all_that_is_mounted(store: Store, tmp_path: Path) -> None:
    package = add(
        store,
        tmp_path,
        "odd",
        {
            "etc/localtime": "-> /usr/share/zoneinfo/Etc/UTC",
            "usr/share/zoneinfo/Etc/UTC": "TZif",
            "etc/resolv.conf": "-> ../run/resolv.conf",
            "etc/passwd": "root:*",
            "etc/hosts": "-> /etc/../../../../../../../../etc/hostname",
            "run": "-> /tmp",
            "home": "a file",
        },
    )
    made = make(store, [package])
    for path in MOUNT_POINTS:
        assert stat.S_ISDIR(os.lstat(f"{made}/{path}").st_mode), path
    for path in FILE_MOUNT_POINTS:
        assert stat.S_ISREG(os.lstat(f"{made}/{path}").st_mode), path
    assert Path(made, "etc/localtime").read_text() == "TZif", "what the link showed"
    assert Path(made, "etc/passwd").read_text() == "root:*"
    assert Path(made, "etc/resolv.conf").read_text() == ""
    assert Path(made, "etc/hosts").read_text() == "", "never a file of the machine"


def test_configuration_lies_over_the_packages(store: Store, tmp_path: Path) -> None:
    package = add(
        store,
        tmp_path,
        "p",
        {
            "etc/a": "old",
            "etc/b": "-> a",
            "etc/c/d": "gone",
            "etc/e/f": "gone too",
            "usr/x/y": "below",
            "var/run/z": "1",
        },
    )
    over = configured(
        store,
        tmp_path,
        {
            "etc/a": "new",
            "etc/b": "a file now",
            "etc/e": "-> b",
            "usr/x/y": "other",
            "usr/x/z": "more",
            "var/run": "-> /run",
        },
        "etc/c/d\netc/e\nvar/run\nnever/there\n",
    )
    made = make(store, [package], over)
    assert contents(made) == {
        "etc/a": "new",
        "etc/b": "a file now",
        "etc/c": "/",
        "etc/e": "-> b",
        "usr/x/y": "other",
        "usr/x/z": "more",
        "var/run": "-> /run",
    }
    assert Path(package, "etc/a").read_text() == "old"
    assert Path(package, "etc/c/d").exists(), "the store is as it was"


@pytest.mark.parametrize("line", ["../../store", "/etc", "", ".", "etc/../..", "a//b"])
def test_only_what_is_in_the_root_can_be_removed(store: Store, tmp_path: Path, line: str) -> None:
    package = add(store, tmp_path, "p", {"etc/a": "1"})
    with pytest.raises(ViewError, match="no plain relative path"):
        make(store, [package], configured(store, tmp_path, {}, f"{line}\n"))
    assert Path(package, "etc/a").read_text() == "1"


def test_nothing_is_removed_through_a_link(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    package = add(store, tmp_path, "p", {"etc/link": f"-> {outside}"})
    over = configured(store, tmp_path, {"etc/link/precious": "2"}, "etc/link/precious\n")
    make(store, [package], over)
    assert (outside / "precious").read_text() == "1"


def test_the_same_file_in_two_packages_is_fine(store: Store, tmp_path: Path) -> None:
    trees = [{"usr/share/x": "same", "usr/l": "-> x", f"usr/{name}": name} for name in ("a", "b")]
    paths = [add(store, tmp_path, name, tree) for name, tree in zip(("a", "b"), trees, strict=True)]
    assert contents(make(store, paths)) == {
        "usr/share/x": "same",
        "usr/l": "-> x",
        "usr/a": "a",
        "usr/b": "b",
    }


@pytest.mark.parametrize(
    ("mine", "yours"),
    [("1", "2"), ("-> a", "-> b"), ("1", "-> a"), ("/", "1"), ("1", "/")],
    ids=["files", "links", "file and link", "directory and file", "file and directory"],
)
def test_a_conflict_names_both_packages_and_leaves_nothing(
    store: Store, tmp_path: Path, mine: str, yours: str
) -> None:
    paths = [
        add(store, tmp_path, "first-1.0", {"usr/x": mine}),
        add(store, tmp_path, "second-2.0", {"usr/x": yours}),
    ]
    with pytest.raises(ViewError) as raised:
        make(store, paths)
    assert all(path in str(raised.value) for path in paths) and "usr/x" in str(raised.value)
    assert os.listdir(store.layout.views) == []


def test_a_root_is_made_once_and_again_when_it_is_gone(store: Store, tmp_path: Path) -> None:
    seen: list[Event] = []

    class Recorder(Reporter):
        def event(self, event: Event) -> None:
            seen.append(event)

    paths = [add(store, tmp_path, name, {f"usr/{name}": name}) for name in ("a", "b")]
    made = make(store, paths, events=Recorder())
    assert [type(event) for event in seen] == [Planned, Started, Finished]
    assert make(store, paths[::-1], events=Recorder()) == made, "the order says nothing"
    assert len(seen) == 3, "nothing was done"
    os.chmod(made, 0o755)
    os.rename(made, tmp_path / "elsewhere")
    assert contents(make(store, paths, events=Recorder())) == contents(str(tmp_path / "elsewhere"))
    assert make(store, paths[:1]) != made


def test_what_a_killed_maker_left_is_not_taken_for_a_root(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = add(store, tmp_path, "p", {"usr/a": "1", "usr/b": "2"})

    def killed(*_: object) -> None:
        os.unlink(f"{store.layout.views}/{root_recipe([package], None).name}.new/usr/a")
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(root, "_make_file_mount_points", killed)
        patched.setattr(root, "remove", lambda _: None)
        with pytest.raises(SystemExit):
            make(store, [package])
    assert os.listdir(store.layout.views) == [f"{root_recipe([package], None).name}.new"]
    assert contents(make(store, [package])) == {"usr/a": "1", "usr/b": "2"}
    assert len(os.listdir(store.layout.views)) == 1


def test_two_makers_of_one_root_wait_for_each_other(store: Store, tmp_path: Path) -> None:
    package = add(store, tmp_path, "p", {f"usr/share/{number}": "x" for number in range(300)})
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(make(store, [package]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 4
    assert os.listdir(store.layout.views) == [os.path.basename(found[0])]


def test_files_are_copied_where_links_cannot_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = add(store, tmp_path, "p", {"usr/a": "1"})
    os.chmod(f"{package}/usr/a", 0o555)

    def refused(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    made = make(store, [package])
    assert Path(made, "usr/a").read_text() == "1"
    assert not os.path.samefile(f"{made}/usr/a", f"{package}/usr/a")
    assert os.stat(f"{made}/usr/a").st_mode & 0o100


def test_the_recipe_names_everything_and_refers_to_it(store: Store, tmp_path: Path) -> None:
    paths = [add(store, tmp_path, name, {"usr/a": "1"}) for name in ("a", "b")]
    over = configured(store, tmp_path, {})
    recipe = root_recipe(paths, over)
    assert json.loads(recipe.text)["packages"] == sorted(paths)
    assert set(recipe.references) == {*paths, over}
    store.add_texts([(recipe.path, recipe.text, recipe.references)])
    assert os.path.basename(make(store, paths, over)) == os.path.basename(recipe.path) == recipe.name


def test_a_root_lives_as_long_as_its_recipe(tmp_path: Path) -> None:
    layout = Layout(os.path.realpath(tmp_path / "place"))
    with Store.open(layout) as store:
        paths = [add(store, tmp_path, name, {f"usr/{name}": name}) for name in ("kept", "lost")]
        recipes = [root_recipe([path], None) for path in paths]
        store.add_texts([(each.path, each.text, each.references) for each in recipes])
        kept, lost = [make(store, [path]) for path in paths]
        add_indirect_root(layout, str(tmp_path / "link"), recipes[0].path)
        os.mkdir(f"{layout.views}/left-fhs-root.new")
    gone = sorted([lost, f"{layout.views}/left-fhs-root.new"])
    assert sorted(collect(layout, dry_run=True).views) == gone
    assert os.path.isdir(lost)
    assert sorted(collect(layout).views) == gone
    assert os.listdir(layout.views) == [os.path.basename(kept)]
    assert Path(kept, "usr/kept").read_text() == "kept" and os.path.exists(paths[0])
    assert not os.path.exists(paths[1])
    os.unlink(tmp_path / "link")
    assert collect(layout).views == [kept]


def test_a_root_that_a_process_has_mounted_is_kept(tmp_path: Path) -> None:
    require_sandboxes()
    layout = Layout(os.path.realpath(tmp_path / "place"))
    with Store.open(layout) as store:
        package = add(store, tmp_path, "p", {"usr/a": "1"})
        recipe = root_recipe([package], None)
        store.add_texts([(recipe.path, recipe.text, recipe.references)])
        made = make(store, [package])
    (tmp_path / "base").mkdir()
    mounts = (Bind("/", "/"), Bind(f"{made}/usr", "/mnt"))
    spec = SandboxSpec(mounts=mounts, base=str(tmp_path / "base"), uid=None, gid=None)
    ours, theirs = os.pipe()
    child = enter.run(spec, ["/bin/sh", "-c", "read wait"], {}, "/", stdin=ours)
    try:
        assert collect(layout).views == [] and Path(made, "usr/a").exists() and os.path.exists(package)
    finally:
        os.close(ours)
        os.close(theirs)
        os.waitpid(child, 0)
    assert collect(layout).views == [made]


def test_a_root_in_the_making_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(os.path.realpath(tmp_path / "place"))
    seen = []
    with Store.open(layout) as store:
        package = add(store, tmp_path, "p", {"usr/a": "1"})

    def collecting(*_: object) -> None:
        seen.append(collect(layout, dry_run=True).views)

    monkeypatch.setattr(root, "_make_file_mount_points", collecting)
    compose([package], None, views_dir=layout.views)
    assert seen == [[]]
