"""Collections on real stores: what goes, what stays, what Nix says about the same store."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.events import Event, Finished, Notice, Planned, Reporter
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.collect import Policy
from devenv.store.generations import find_profiles, record_generation
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.queries import asking
from devenv.store.root_server import RootServer
from devenv.store.roots import TemporaryRoots, add_indirect_root
from devenv.store.sweep import Collected, Limits, collect, delete_paths
from tests.support.nix import Nix

EXPRESSION = """
let
  sh = name: args: derivation { inherit name; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" args ]; };
  text = builtins.toFile "text" "a text\\n";
in rec {
  first = sh "first" "echo ${text} > $out";
  second = sh "second" "echo $out > $out; : ${first}";
  third = sh "third" "echo ${second} > $out";
}
"""


@pytest.fixture
def built(layout: Layout, nix: Nix, tmp_path: Path) -> dict[str, StorePath]:
    """Derivations and outputs by name. `second` needs `first` only while it is built."""
    (tmp_path / "e.nix").write_text(EXPRESSION)
    found = {}
    for name in ("first", "second", "third"):
        (drv,) = nix.run("nix-instantiate", str(tmp_path / "e.nix"), "-A", name).stdout.split()
        found[f"{name}.drv"] = StorePath(drv)
        found[name] = StorePath(nix.store("--realise", drv))
    return found


def texts(layout: Layout, *names: str, references: tuple[StorePath, ...] = ()) -> list[StorePath]:
    with Store.open(layout) as store:
        return [store.add_text(name, name.encode(), references) for name in names]


def valid(layout: Layout) -> set[StorePath]:
    with asking(layout) as queries:
        found = set(queries.all_paths())
    assert all(map(os.path.lexists, found))
    return found


def dead(layout: Layout) -> set[StorePath]:
    return set(collect(layout, dry_run=True).paths)


def same_as_nix(layout: Layout, nix: Nix, policy: Policy) -> Collected:
    """Our plan, which must be Nix's as well."""
    options = [
        *("--option", "keep-outputs", str(policy.keep_outputs).lower()),
        *("--option", "keep-derivations", str(policy.keep_derivations).lower()),
    ]
    found = collect(layout, dry_run=True, policy=policy)
    assert set(found.paths) == set(nix.store("--gc", "--print-dead", *options).split())
    live = set(map(StorePath, nix.store("--gc", "--print-live", *options).split()))
    assert found.live == len(live & valid(layout))
    return found


POLICIES = [
    Policy(keep_derivations=derivations, keep_outputs=outputs)
    for derivations in (True, False)
    for outputs in (True, False)
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("root", ["first", "second", "third", "third.drv", None])
def test_nix_calls_the_same_paths_dead(
    layout: Layout,
    nix: Nix,
    built: dict[str, StorePath],
    tmp_path: Path,
    root: str | None,
    policy: Policy,
) -> None:
    if root is not None:
        add_indirect_root(layout, str(tmp_path / "rooted"), built[root])
    texts(layout, "loose")
    planned = same_as_nix(layout, nix, policy)
    before = valid(layout)
    done = collect(layout, policy=policy)
    assert done.paths == planned.paths
    assert valid(layout) == before - set(done.paths)
    nix.verify()
    assert nix.store("--gc", "--print-dead").split() == sorted(dead(layout))


def test_without_roots_nothing_is_left(layout: Layout, nix: Nix, built: dict[str, StorePath]) -> None:
    done = collect(layout)
    assert set(done.paths) >= set(built.values())
    assert done.freed > 0
    assert set(os.listdir(layout.store)) <= {".links"}
    assert done.problems == []


def test_a_place_without_a_store_has_no_garbage(layout: Layout) -> None:
    assert collect(layout) == Collected()
    assert not os.path.exists(layout.root)


def test_a_dry_run_changes_nothing(layout: Layout, tmp_path: Path) -> None:
    texts(layout, "a", "b")
    make_leftovers(layout)
    link = tmp_path / "gone"
    add_indirect_root(layout, str(link), texts(layout, "c")[0])
    link.unlink()
    (tmp_path / "project").mkdir()
    record_generation(layout, str(tmp_path / "project"), texts(layout, "d")[0])

    def listing() -> list[str]:
        return sorted(
            os.path.join(directory, name)
            for directory, directories, files in os.walk(layout.root)
            for name in [*directories, *files]
            if "db" not in directory
        )

    before = listing()
    done = collect(layout, dry_run=True, limits=Limits(older_than=0, keep=1))
    assert listing() == before
    assert (len(done.paths), len(done.others), len(done.stale), len(done.generations)) == (4, 5, 1, 1)
    assert done.paths[texts(layout, "a")[0]] == 120
    real = collect(layout, limits=Limits(older_than=0, keep=1))
    assert (real.paths, real.others, real.stale) == (done.paths, done.others, done.stale)
    assert real.generations == done.generations


# Leftovers


def make_leftovers(layout: Layout) -> list[str]:
    """What killed processes and other programs leave in the store directory."""
    half = f"{'0' * 32}-half"
    names = [half, f"{half}.lock", "tmp-foo", ".tmp", "add-99999999-2"]
    for name in names:
        path = Path(layout.store, name)
        if name.endswith("half"):
            (path / "deep").mkdir(parents=True)
            (path / "deep/file").touch(0o444)
            (path / "deep").chmod(0o555)
            path.chmod(0o555)
        else:
            path.touch()
    return names


def test_what_is_not_registered_goes_as_it_does_with_nix(layout: Layout) -> None:
    texts(layout, "a")
    names = make_leftovers(layout)
    Path(layout.store, ".links").mkdir(exist_ok=True)
    Path(layout.store, f"add-{os.getpid()}-1").mkdir()  # some process may be about to fill it
    done = collect(layout)
    assert sorted(map(os.path.basename, done.others)) == sorted(names)
    assert sorted(os.listdir(layout.store)) == [".links", f"add-{os.getpid()}-1"]


def test_what_killed_processes_left_elsewhere_goes(layout: Layout) -> None:
    texts(layout, "a")
    Path(layout.temproots, "99999999-abc").write_bytes(b"x")
    Path(layout.tmp, "99999999-abc").mkdir()
    trash = Path(layout.tmp, "trash-99999999-abc/1/x")
    trash.mkdir(parents=True)
    (trash / "file").write_bytes(b"x" * 10_000)
    trash.chmod(0o555)
    os.makedirs(layout.downloads)
    old, new = Path(layout.downloads, "old.part"), Path(layout.downloads, "new.part")
    for part, days in ((old, 8), (new, 6)):
        part.write_bytes(b"x" * 10_000)
        os.utime(part, (0, time.time() - days * 86400))
    done = collect(layout)
    assert done.freed > 20_000
    assert done.downloads == [str(old)]
    assert os.listdir(layout.temproots) == []
    assert os.listdir(layout.tmp) == ["downloads"]
    assert os.listdir(layout.downloads) == ["new.part"]


def test_deletions_are_told(layout: Layout, tree: StorePath) -> None:
    events: list[Event] = []

    class Recording(Reporter):
        def event(self, event: Event) -> None:
            events.append(event)

    collect(layout, reporter=Recording())
    assert [event.count for event in events if isinstance(event, Planned)] == [1]
    assert [event.failed for event in events if isinstance(event, Finished)] == [False]


def test_very_deep_garbage_goes(layout: Layout) -> None:
    """Deeper than the longest path that a system call takes."""
    texts(layout, "a")
    top = f"{layout.store}/{'0' * 32}-deep"
    os.mkdir(top)
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _ in range(40):
            os.mkdir("x" * 200)
            os.chdir("x" * 200)
        Path("file").touch()
    finally:
        os.fchdir(before)
        os.close(before)
    assert collect(layout).problems == []
    assert os.listdir(layout.store) in ([], [".links"])
    assert os.listdir(layout.tmp) == []


def test_files_with_other_names_free_nothing(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_bytes(os.urandom(100_000))
    with Store.open(layout) as store:
        path = store.add_tree("tree", str(tmp_path / "tree"))
    os.link(f"{path}/file", tmp_path / "view")  # as in a view of a project
    assert collect(layout).freed < 100_000
    assert (tmp_path / "view").stat().st_size == 100_000


def test_unused_links_go_with_the_last_file(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(100_000))
    with Store.open(layout) as store:
        store.add_tree("a", str(tmp_path / "file"))
        add_indirect_root(layout, str(tmp_path / "rooted"), store.add_tree("b", str(tmp_path / "file")))
    nix.store("--optimise")
    assert collect(layout).freed == 0
    assert len(os.listdir(f"{layout.store}/.links")) == 1
    (tmp_path / "rooted").unlink()
    assert collect(layout).freed >= 100_000
    assert os.listdir(f"{layout.store}/.links") == []


# Roots


def test_stale_links_are_removed(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    (path,) = texts(layout, "a")
    link, directory = tmp_path / "link", tmp_path / "directory"
    add_indirect_root(layout, str(link), path)
    add_indirect_root(layout, str(directory), path)
    directory.unlink()
    directory.mkdir()
    assert dead(layout) == set()
    link.unlink()
    (automatic,) = [
        entry.path for entry in os.scandir(f"{layout.gcroots}/auto") if os.readlink(entry.path) == str(link)
    ]
    done = collect(layout)
    assert done.stale == [automatic]
    assert len(os.listdir(f"{layout.gcroots}/auto")) == 1
    assert set(done.paths) == {path}


def test_direct_roots_links_below_and_names_count(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    one, two, three, four = texts(layout, "one", "two", "three", "four")
    places = Path(layout.gcroots, "deep/er")
    places.mkdir(parents=True)
    (places / "link").symlink_to(f"{one}/bin/program")
    (places / os.path.basename(two)).touch()
    (places / "relative").symlink_to(os.path.relpath(three, places))  # textually not in the store: as for Nix
    Path(layout.state, "profiles/mine").symlink_to(four)
    same_as_nix(layout, nix, Policy())


PROCESSES: dict[str, Callable[[str], list[str]]] = {
    "working directory": lambda path: ["sh", "-c", f"cd {path}; echo; exec sleep 60"],
    "open file": lambda path: ["sh", "-c", f"exec 3<{path}/file; echo; exec sleep 60"],
    "environment": lambda path: ["env", f"X=a:{path}/bin:b", "sh", "-c", "echo; exec sleep 60"],
    "program": lambda path: ["sh", "-c", f"echo; exec {path}/sleep 60"],
    "mapped file": lambda path: [
        sys.executable,
        "-c",
        (
            f"import mmap, os, time; f = os.open('{path}/file', os.O_RDONLY);"
            "m = mmap.mmap(f, 0, prot=mmap.PROT_READ); os.close(f); print(flush=True); time.sleep(60)"
        ),
    ],
}


@pytest.fixture
def tree(layout: Layout, tmp_path: Path) -> StorePath:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_bytes(b"x" * mmap.PAGESIZE)
    (tmp_path / "tree/sleep").write_bytes(Path("/bin/sleep").read_bytes())
    (tmp_path / "tree/sleep").chmod(0o755)
    with Store.open(layout) as store:
        return store.add_tree("tree", str(tmp_path / "tree"))


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def start(running: list[subprocess.Popen[bytes]], command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process and wait until it has printed a line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    running.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.parametrize("how", PROCESSES)
def test_what_a_process_uses_stays_while_it_runs(
    layout: Layout, nix: Nix, tree: StorePath, running: list[subprocess.Popen[bytes]], how: str
) -> None:
    process = start(running, PROCESSES[how](tree))
    if how == "program":
        wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe").startswith(tree))
    assert same_as_nix(layout, nix, Policy()).paths == {}
    assert collect(layout).paths == {}
    process.kill()
    process.wait()
    assert set(collect(layout).paths) == {tree}


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_a_file_that_was_replaced_while_mapped_stays(
    layout: Layout, tree: StorePath, running: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    start(running, PROCESSES["mapped file"](tree))
    os.chmod(tree, 0o755)
    (tmp_path / "new").write_bytes(b"x" * mmap.PAGESIZE)
    os.rename(tmp_path / "new", f"{tree}/file")
    os.chmod(tree, 0o555)
    assert collect(layout).paths == {}


def test_what_is_mounted_in_a_sandbox_stays(
    layout: Layout, tree: StorePath, running: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    script = 'mount --bind "$0" "$1" || exit; cd /; echo mounted; exec sleep 60'
    place = tmp_path / "place"
    place.mkdir()
    process = subprocess.Popen(
        ["unshare", "-Urm", "sh", "-c", script, tree, str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    running.append(process)
    assert process.stdout is not None
    if process.stdout.readline() != b"mounted\n":
        pytest.skip("no user namespaces here")
    assert collect(layout).paths == {}
    process.kill()
    process.wait()
    assert set(collect(layout).paths) == {tree}


def test_temporary_roots_of_the_living_count(layout: Layout, nix: Nix) -> None:
    kept, gone = texts(layout, "kept", "gone")
    half = f"{layout.store}/{'1' * 32}-half"
    roots = TemporaryRoots(layout.temproots)
    try:
        roots.add([kept, half])
        for name in (half, f"{half}.lock"):
            Path(name).touch()
        assert same_as_nix(layout, nix, Policy()).others == []
        done = collect(layout)
        assert (set(done.paths), done.others) == ({gone}, [])
        assert Path(f"{half}.lock").exists()
    finally:
        roots.close()
    assert sorted(collect(layout).others) == [half, f"{half}.lock"]


# Limits


def in_generations(layout: Layout, project: Path, count: int) -> list[StorePath]:
    """`count` environments of 10 kB each, replaced a day after one another; the last is in use."""
    project.mkdir()
    (project / "devenv.toml").touch()
    with Store.open(layout) as store:
        paths = [store.add_text(f"env{number}", bytes([number]) * 10_000) for number in range(count)]
        for path in paths:
            record_generation(layout, str(project), path)
    (profile,) = find_profiles(layout)
    for age, generation in enumerate(reversed(profile.generations)):
        moment = time.time() - (age + 0.5) * 86400
        os.utime(generation.link, (moment, moment), follow_symlinks=False)
    return paths


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(), 4),
        (Limits(older_than=1.6 * 86400), 3),  # the second newest came two and a half days ago
        (Limits(keep=2), 2),
        (Limits(older_than=0, keep=3), 3),
        (Limits(max_size=35_000), 3),
        (Limits(max_size=0), 1),
        (Limits(max_size=100_000), 4),
    ],
    ids=str,
)
def test_old_environments_go_when_asked_to(
    layout: Layout, nix: Nix, tmp_path: Path, limits: Limits, left: int
) -> None:
    paths = in_generations(layout, tmp_path / "project", 4)
    planned = collect(layout, limits=limits, dry_run=True)
    done = collect(layout, limits=limits)
    assert planned.paths == done.paths
    assert valid(layout) == set(paths[4 - left :])
    assert len(done.generations) == 4 - left
    nix.verify()


def test_a_size_lets_young_garbage_stay(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        paths = [store.add_text(f"text{number}", bytes([number]) * 10_000) for number in range(4)]
    from contextlib import closing

    from devenv.store.database import Database

    with closing(Database(layout.database)) as database, database._transaction("aging") as connection:
        for number, path in enumerate(paths):
            connection.execute(
                "update ValidPaths set registrationTime = ? where path = ?", (1000 - number, path)
            )
    done = collect(layout, limits=Limits(max_size=25_000))
    assert list(done.paths) == [paths[3], paths[2]]
    assert (done.kept, done.live) == (2, 0)


def test_environments_of_a_project_that_is_gone_are_garbage(layout: Layout, tmp_path: Path) -> None:
    paths = in_generations(layout, tmp_path / "project", 3)
    assert dead(layout) == set()
    (tmp_path / "project/devenv.toml").unlink()
    done = collect(layout)
    assert set(done.paths) == set(paths)
    assert find_profiles(layout) == []


# Others at the same time


class Waiting(Reporter):
    def __init__(self, then: Callable[[], None]) -> None:
        self.texts: list[str] = []
        self._then = then

    def event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.texts.append(event.text)
            self._then()


def test_a_collection_waits_for_open_stores_and_says_for_whom(
    layout: Layout, running: list[subprocess.Popen[bytes]]
) -> None:
    texts(layout, "a")
    program = (
        "import sys; from devenv.store.layout import Layout; from devenv.store.local import Store\n"
        f"with Store.open(Layout({layout.root!r})) as store: print(flush=True); sys.stdin.read()"
    )
    process = start(running, [sys.executable, "-c", program])
    assert process.stdin is not None
    reporter = Waiting(process.stdin.close)
    assert len(collect(layout, reporter=reporter).paths) == 1
    (text,) = reporter.texts
    assert f"process {process.pid}" in text


def test_nix_adds_while_we_collect(
    layout: Layout, nix: Nix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection stands still at its first deletion, and what Nix adds meanwhile stays."""
    texts(layout, *(f"dead{number}" for number in range(300)))
    (tmp_path / "added").write_text("added")
    (tmp_path / "again").write_text("again")
    nix.store("--add", str(tmp_path / "again"))
    added: list[str] = []

    claim = RootServer.claim

    def claim_later(server: RootServer, paths: Iterable[StorePath]) -> list[StorePath]:
        if not added:
            added.append(nix.store("--add", str(tmp_path / "added")))
            added.append(nix.store("--add", str(tmp_path / "again")))
        return claim(server, paths)

    monkeypatch.setattr(RootServer, "claim", claim_later)
    done = collect(layout)
    assert len(done.paths) == 300
    assert valid(layout) == set(map(StorePath, added))
    nix.verify()


# Single paths


def test_single_paths_can_be_deleted(layout: Layout, nix: Nix) -> None:
    low, other = texts(layout, "low", "other")
    (high,) = texts(layout, "high", references=(low,))
    assert set(delete_paths(layout, [high]).paths) == {high}
    assert valid(layout) == {low, other}
    (high,) = texts(layout, "high", references=(low,))
    with pytest.raises(DevenvError, match="high would lack it"):
        delete_paths(layout, [low])
    assert list(delete_paths(layout, [low], with_referrers=True).paths) == [high, low]
    assert valid(layout) == {other}
    nix.verify()


def test_what_is_in_use_is_not_deleted_and_everything_wrong_is_said(layout: Layout, tmp_path: Path) -> None:
    low, loose = texts(layout, "low", "loose")
    (high,) = texts(layout, "high", references=(low,))
    add_indirect_root(layout, str(tmp_path / "rooted"), high)
    missing = StorePath(f"{layout.store}/{'0' * 32}-missing")
    with pytest.raises(DevenvError) as caught:
        delete_paths(layout, [low, loose, missing])
    assert f"{low}: it is in use, by {tmp_path}/rooted" in str(caught.value)
    assert "missing: it is not in the store" in str(caught.value)
    assert valid(layout) == {low, loose, high}


def test_the_hash_of_a_path_is_what_temporary_roots_go_by(layout: Layout) -> None:
    (path,) = texts(layout, "a")
    roots = TemporaryRoots(layout.temproots)
    try:
        roots.add([f"{layout.store}/{digest_of(path)}-another-name"])
        assert collect(layout).paths == {}
        with pytest.raises(DevenvError, match="in use"):
            delete_paths(layout, [path])
    finally:
        roots.close()
