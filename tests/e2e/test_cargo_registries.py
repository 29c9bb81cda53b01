"""A Cargo project of a company: private registries with tokens, renamed and replaced ones, repositories, and all kinds of dependencies.

The cargo is that of the system packages. Crates come from servers and repositories of the test's own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cargo_registry import CrateRegistry, serve_crates
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

TOKEN, OTHER_TOKEN = "Bearer sesame", "open-wheat"
TOML = 'name = "corp"\nbase = "debian/trixie"\n[packages]\nsystem = ["cargo", "rustc", "git"]\n'
MANIFEST = """\
[workspace]
members = ["app", "tool"]
[workspace.dependencies]
low = { version = "1", registry = "corp-crates" }
[patch.corp-crates]
patched = { path = "patched" }
"""
APP = """\
[package]
name = "app"
version = "0.1.0"
edition = "2021"
[dependencies]
low = { workspace = true }
macros = { version = "1", registry = "corp-crates" }
linked = { version = "1", registry = "corp-crates" }
patched = { version = "1", registry = "corp-crates" }
other = { version = "2", registry = "git-index" }
renamed = { package = "low", version = "2", registry = "corp-crates" }
mirrored = { version = "1", registry = "old-place" }
beside = { path = "../../beside" }
inner = { git = "@REPO@" }
tagged = { package = "inner", git = "@REPO@", tag = "v1" }
branched = { package = "inner", git = "@REPO@", branch = "next" }
optional = { version = "1", registry = "corp-crates", optional = true }
[target.'cfg(windows)'.dependencies]
windowed = { version = "1", registry = "corp-crates" }
[dev-dependencies]
tested = { version = "1", registry = "corp-crates" }
"""
MAIN = """\
macros::make!();
fn main() {
    println!("{} {} {} {} {}", low::NAME, renamed::NAME, linked::said(), patched::NAME, other::NAME);
    println!("{} {} {} {} {} {}", made(), mirrored::NAME, beside::NAME, inner::name(), tagged::name(), branched::name());
}
#[test]
fn tested() { assert_eq!(tested::NAME, "tested"); }
"""
SAID = "low 1 low 2 from-script patched here other git\nmade mirrored beside inner 3 data inner 1 data inner 2 data\n"
CONFIG = """\
[registries.corp-crates]
index = "sparse+@CORP@/index/"
[registries.git-index]
index = "@GIT@"
[registries.old-place]
index = "sparse+http://127.0.0.1:1/index/"
[source.the-old-place]
registry = "sparse+http://127.0.0.1:1/index/"
replace-with = "the-mirror"
[source.the-mirror]
registry = "sparse+@OPEN@/index/"
[registry]
global-credential-providers = ["cargo:token"]
"""


def named(text: str) -> dict[str, str]:
    return {"src/lib.rs": f'pub const NAME: &str = "{text}";\n'}


def publish(corp: CrateRegistry, other: CrateRegistry, mirror: CrateRegistry) -> None:
    corp.add("low", "1.0.0", named("low 1"))
    corp.add("low", "2.0.0", named("low 2"))
    make = '#[proc_macro]\npub fn make(_: T) -> T { "fn made() -> &\'static str { \\"made\\" }".parse().unwrap() }\n'
    make = f"extern crate proc_macro;\nuse proc_macro::TokenStream as T;\n{make}"
    corp.add("macros", "1.0.0", {"src/lib.rs": make}, more="[lib]\nproc-macro = true")
    script = 'fn main() { println!("cargo:rustc-env=SAID={}-script", std::env::var("DEP_NATIVE_WORD").unwrap()); }\n'
    corp.add(
        "linked",
        "1.0.0",
        {"build.rs": script, "src/lib.rs": 'pub fn said() -> &\'static str { env!("SAID") }\n'},
        {"name": "native-sys", "req": "^1"},
        more='[dependencies]\nnative-sys = { version = "1", registry-index = "sparse+@CORP@/index/" }'.replace(
            "@CORP@", corp.url
        ),
    )
    corp.add(
        "native-sys",
        "1.0.0",
        {"build.rs": 'fn main() { println!("cargo:word=from"); }\n'},
        more='links = "native"',
        links="native",
    )
    for name in ("patched", "optional", "windowed", "tested", "later"):
        corp.add(name, "1.0.0", named(name))
    other.add("other", "2.0.0", named("other git"))
    mirror.add("mirrored", "1.0.0", named("mirrored"))


def git(directory: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "protocol.file.allow=always")
    subprocess.run([program("git"), *identity, *words], cwd=directory, check=True)


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def make_repository(place: Path) -> str:
    """A workspace with an inherited version and a submodule with data, at a tag, a branch and the default branch."""
    data, repository = place / "data", place / "repository"
    write(data, {"word.txt": "data"})
    git(data, "init", "-q")
    git(data, "add", ".")
    git(data, "commit", "-q", "-m", "data")
    crate = '[package]\nname = "inner"\nversion.workspace = true\nedition.workspace = true\n'
    top = '[workspace]\nmembers = ["inner"]\n[workspace.package]\nversion = "0.1.0"\nedition = "2021"\n'
    write(repository, {"Cargo.toml": top, "inner/Cargo.toml": crate})
    git(repository, "init", "-q")
    git(repository, "submodule", "--quiet", "add", data.as_uri(), "inner/data")
    for number, words in ((1, ("tag", "v1")), (2, ("branch", "next")), (3, ())):
        source = f'pub fn name() -> &\'static str {{ concat!("inner {number} ", include_str!("../data/word.txt")) }}\n'
        write(repository, {"inner/src/lib.rs": source})
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", str(number))
        if words:
            git(repository, *words)
    return repository.as_uri()


class Corp:
    """The project, its user and its registries."""

    def __init__(self, base: Path, corp: CrateRegistry, other: CrateRegistry, mirror: CrateRegistry) -> None:
        self.user = User(base / "home")
        self.corp, self.other, self.mirror = corp, other, mirror
        self.project = base / "project"
        publish(corp, other, mirror)
        index = other.write_repository(base / "index")
        repository = make_repository(base)
        package = '[package]\nname = "{}"\nversion = "1.0.0"\nedition = "2021"\n'
        write(base / "beside", {"Cargo.toml": package.format("beside"), **named("beside")})
        config = CONFIG.replace("@CORP@", corp.url).replace("@OPEN@", mirror.url).replace("@GIT@", index)
        files = {
            "devenv.toml": TOML,
            "Cargo.toml": MANIFEST,
            "app/Cargo.toml": APP.replace("@REPO@", repository),
            "app/src/main.rs": MAIN,
            "tool/Cargo.toml": package.format("tool") + "[dependencies]\nlow.workspace = true\n",
            "tool/src/main.rs": 'fn main() { println!("{}", low::NAME) }\n',
            "patched/Cargo.toml": package.format("patched"),
            "patched/src/lib.rs": named("patched here")["src/lib.rs"],
            ".cargo/config.toml": config,
        }
        write(self.project, files)
        # One token by a variable, the other by cargo's own file.
        write(
            self.user.home, {".cargo/credentials.toml": f'[registries.git-index]\ntoken = "{OTHER_TOKEN}"\n'}
        )
        self.user.env["CARGO_REGISTRIES_CORP_CRATES_TOKEN"] = TOKEN
        self.user.env["CARGO_NET_GIT_FETCH_WITH_CLI"] = "true"
        self.user.env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow"}
        self.user.env["GIT_CONFIG_VALUE_0"] = "always"

    def enter(self, line: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.user.run("enter", "-c", line, cwd=self.project, check=check)


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corp]:
    require_sandboxes()
    registries = CrateRegistry(TOKEN), CrateRegistry(OTHER_TOKEN), CrateRegistry()
    with serve_crates(registries[0]), serve_crates(registries[1]), serve_crates(registries[2]):
        found = Corp(tmp_path_factory.mktemp("corp"), *registries)
        found.user.run("lock", cwd=found.project)
        found.enter("cargo generate-lockfile")
        found.user.run("lock", cwd=found.project)
        found.enter("true")
        yield found


def test_everything_is_built_offline_as_it_stands(corp: Corp) -> None:
    before = {name: (corp.project / name).read_bytes() for name in ("Cargo.lock", ".cargo/config.toml")}
    shutil.rmtree(corp.user.home / ".cargo/registry", ignore_errors=True)
    shutil.rmtree(corp.user.home / ".cargo/git", ignore_errors=True)
    asked = len(corp.corp.asked + corp.other.asked + corp.mirror.asked)
    corp.enter("cargo build --offline --locked")
    assert corp.enter("target/debug/app").stdout == SAID
    corp.enter("cargo test --offline --locked -p app && cargo check --offline --locked --all-features")
    assert before == {name: (corp.project / name).read_bytes() for name in before}
    assert len(corp.corp.asked + corp.other.asked + corp.mirror.asked) == asked


def test_the_plan_has_the_packages_that_cargo_lists(corp: Corp) -> None:
    metadata = json.loads(
        corp.enter("cargo metadata --all-features --offline --locked --format-version=1").stdout
    )
    listed = {(p["name"], p["version"]) for p in metadata["packages"] if p["source"] is not None}
    lock = json.loads((corp.project / "devenv.lock").read_text())
    assert {name for name, _ in listed} >= {"low", "windowed", "optional", "tested", "inner", "mirrored"}
    text = corp.user.run("status", "--json", cwd=corp.project).stdout
    assert str(len(metadata["packages"]) - 4) in text and lock


def test_no_token_is_written_anywhere(corp: Corp) -> None:
    places = [corp.project / "devenv.lock", *corp.user.store_root.glob("log/**/*")]
    for path in places:
        if path.is_file():
            assert not re.search(rb"sesame|open-wheat", path.read_bytes()), path


def test_a_missing_token_is_said(corp: Corp, tmp_path: Path) -> None:
    stranger = User(tmp_path / "home")
    stranger.env |= {name: corp.user.env[name] for name in ("GIT_CONFIG_COUNT",) if name in corp.user.env}
    stranger.env |= {key: value for key, value in corp.user.env.items() if key.startswith("GIT_CONFIG")}
    other = tmp_path / "project"
    shutil.copytree(corp.project, other, ignore=shutil.ignore_patterns(".devenv", "target"))
    shutil.copytree(corp.project.parent / "beside", tmp_path / "beside")
    done = stranger.run("enter", "-c", "true", cwd=other, check=False)
    assert done.returncode == 1 and "401" in done.stderr and "CARGO_REGISTRIES_" in done.stderr


CHANGED = ("Cargo.lock", "app/Cargo.toml", "tool/Cargo.toml")


@pytest.fixture
def changing(corp: Corp) -> Iterator[Corp]:
    """Put back afterwards."""
    before = {name: (corp.project / name).read_bytes() for name in CHANGED}
    yield corp
    for name, data in before.items():
        (corp.project / name).write_bytes(data)
    corp.user.run("lock", cwd=corp.project)


def test_cargo_adds_updates_and_installs_as_ever(changing: Corp, tmp_path: Path) -> None:
    add = "cargo add -q -p tool later --registry corp-crates"
    done = changing.enter(
        f"{add} && cargo update -q -p low@1.0.0 && cargo install -q --path tool --root {tmp_path}"
    )
    assert 'name = "later"' in (changing.project / "Cargo.lock").read_text(), done.stderr
    assert (tmp_path / "bin/tool").exists()
    changing.user.run("lock", cwd=changing.project)
    changing.enter("cargo build --offline --locked")


def test_a_dependency_written_by_hand_is_explained(changing: Corp) -> None:
    with (changing.project / "tool/Cargo.toml").open("a") as file:
        file.write('later = { version = "1", registry = "corp-crates" }\n')
    done = changing.enter("cargo build", check=False)
    assert done.returncode and "cargo update --workspace" in done.stderr
    changing.enter("cargo update -q --workspace")
    changing.user.run("lock", cwd=changing.project)
    changing.enter("cargo build --offline --locked")


def test_devenv_adds_a_crate_of_a_private_registry_by_the_projects_own_cargo(changing: Corp) -> None:
    """From outside: this machine need have no cargo."""
    tool = changing.project / "tool"
    before = (tool / "Cargo.toml").read_text()
    changing.user.run("add", "crate:corp-crates/later@1", cwd=tool)
    assert "later" in (changing.project / "Cargo.lock").read_text()
    assert 'later = { version = "1", registry = "corp-crates" }' in (tool / "Cargo.toml").read_text()
    changing.user.run("remove", "crate:later", cwd=tool)
    assert "later" not in (changing.project / "Cargo.lock").read_text()
    assert (tool / "Cargo.toml").read_text() == before
