"""devenv.toml as text -> Config, or all of its problems."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.errors import ConfigError
from devenv.config.model import FOUND_BY_THEMSELVES, Caches, Config, LockfileConfig, UserConfig
from devenv.config.toml import parse_config, parse_user_config
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Unset
from devenv.errors import Problems


def problems(text: str) -> list[ConfigError]:
    """The problems of a text that has some."""
    try:
        parse_config(text, "devenv.toml")
    except ConfigError as error:
        return [error]
    except Problems as error:
        return [problem for problem in error.problems if isinstance(problem, ConfigError)]
    pytest.fail("no problem was found")


def test_the_file_of_the_design_is_read_whole() -> None:
    text = """\
name = "survey"
[packages]
node = "17"
python = "3.11"
[lockfiles]
npm = { path = "./web/package-lock.json", omit = ["dev"] }
pip = { path = "uv.lock", groups = ["test"], extras = ["a", "a"] }
[env]
DATABASE_URL = "postgres://localhost/survey"
PATH = { prepend = ["./bin"], append = ["/x"] }
EDITOR = { default = "vi" }
LD_PRELOAD = { unset = true }
[aliases]
gs = ["git", "status"]
gl = "git log '--format=%h %s'"
[scripts]
serve = "node server.js"
[registries]
npm = "https://npm.test/"
[functions]
up = "cd .."
down = { fish = "cd $argv", bash = "cd $1" }
[completions]
up = ["src", "--all"]
"""
    assert parse_config(text, "some/devenv.toml") == Config(
        name="survey",
        packages={"node": "17", "python": "3.11"},
        lockfiles=(
            LockfileConfig(ecosystem="npm", path="web/package-lock.json", omit=frozenset({"dev"})),
            LockfileConfig(ecosystem="python", path="uv.lock", groups=("test",), extras=("a",)),
            CARGO,
            R,
        ),
        env={
            "DATABASE_URL": (Set(value="postgres://localhost/survey", origin="devenv.toml:9"),),
            "PATH": (
                Prepend(entries=("./bin",), origin="devenv.toml:10"),
                Append(entries=("/x",), origin="devenv.toml:10"),
            ),
            "EDITOR": (Default(value="vi", origin="devenv.toml:11"),),
            "LD_PRELOAD": (Unset(origin="devenv.toml:12"),),
        },
        aliases={"gs": ("git", "status"), "gl": ("git", "log", "--format=%h %s")},
        scripts={"serve": "node server.js"},
        completions={"up": ("src", "--all")},
        functions={"up": {"sh": "cd .."}, "down": {"bash": "cd $1", "fish": "cd $argv"}},
        registries={"npm": "https://npm.test/"},
        origins={
            "completions.up": "devenv.toml:24",
            "functions.up": "devenv.toml:21",
            "functions.down": "devenv.toml:22",
            "aliases.gs": "devenv.toml:14",
            "aliases.gl": "devenv.toml:15",
            "scripts.serve": "devenv.toml:17",
            "packages.node": "devenv.toml:3",
            "packages.python": "devenv.toml:4",
            "registries.npm": "devenv.toml:19",
        },
    )


@pytest.mark.parametrize("text", ["", "\ufeff", "# nothing\n", "[packages]\n[env]\r\n"])
def test_a_file_that_says_nothing_is_the_default(text: str) -> None:
    assert parse_config(text, "devenv.toml") == Config()
    assert Config().lockfiles == FOUND_BY_THEMSELVES


NPM, PYTHON, CARGO, R = FOUND_BY_THEMSELVES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("npm = false", (PYTHON, CARGO, R), id="npm off"),
        pytest.param("npm = false\npip = false\ncargo = false\nrenv = false", (), id="all off"),
        pytest.param(
            "pip = 'a.lock'", (NPM, LockfileConfig(ecosystem="python", path="a.lock"), CARGO, R), id="path"
        ),
        pytest.param(
            "npm = {omit = ['dev']}",
            (LockfileConfig(ecosystem="npm", omit=frozenset({"dev"})), PYTHON, CARGO, R),
            id="options of what is found",
        ),
        pytest.param(
            "pip = {groups = []}",
            (NPM, LockfileConfig(ecosystem="python", groups=()), CARGO, R),
            id="no groups",
        ),
        pytest.param(
            "npm = ['a/x.json', {path = './b//x.json', omit = ['peer']}]",
            (
                LockfileConfig(ecosystem="npm", path="a/x.json"),
                LockfileConfig(ecosystem="npm", path="b/x.json", omit=frozenset({"peer"})),
                PYTHON,
                CARGO,
                R,
            ),
            id="several",
        ),
    ],
)
def test_lockfiles_are_named_tuned_or_switched_off(text: str, expected: tuple[LockfileConfig, ...]) -> None:
    assert parse_config(f"[lockfiles]\n{text}", "devenv.toml").lockfiles == expected


@pytest.mark.parametrize(
    ("value", "operations"),
    [
        pytest.param("'x'", (Set(value="x", origin="d:2"),), id="text"),
        pytest.param("''", (Set(value="", origin="d:2"),), id="empty text"),
        pytest.param("8080", (Set(value="8080", origin="d:2"),), id="number"),
        pytest.param("0x10", (Set(value="16", origin="d:2"),), id="hexadecimal number"),
        pytest.param("-1", (Set(value="-1", origin="d:2"),), id="negative number"),
        pytest.param("{set = 5}", (Set(value="5", origin="d:2"),), id="set"),
        pytest.param("{default = 5}", (Default(value="5", origin="d:2"),), id="default"),
        pytest.param("{unset = true}", (Unset(origin="d:2"),), id="unset"),
        pytest.param(
            "{append = ['a:b', '${project}/c'], separator = ' '}",
            (Append(entries=("a:b", "${project}/c"), separator=" ", origin="d:2"),),
            id="separator",
        ),
        pytest.param(
            "{append = ['$${project}', '.']}",
            (Append(entries=("$${project}", "."), origin="d:2"),),
            id="tokens",
        ),
    ],
)
def test_a_variable_becomes_operations(value: str, operations: tuple[Operation, ...]) -> None:
    assert parse_config(f"[env]\nX = {value}", "p/d").env == {"X": operations}


def test_origins_name_the_line_of_the_variable() -> None:
    text = '[env]\nA = """\n\n"""\n\n[env.B]\nseparator = ","\nprepend = ["x"]\n'
    found = parse_config(text, "/home/somebody/devenv.toml").env
    assert [found[name][0].origin for name in "AB"] == ["devenv.toml:2", "devenv.toml:6"]


# One line of a file each: where it stands, the key that is told, a part of the message, a part of the hint.
REFUSED = {
    "unknown table": ("", "pakages = {}", "pakages", "unknown key", "`packages`"),
    "key of a table at the top": ("", 'node = "1"', "node", "unknown key", "under [packages]"),
    "name with a slash": ("", 'name = "a/b"', "name", "expected a name", ""),
    "base without a suite": ("", 'base = "debian"', "base", "is no base", "debian/bookworm"),
    "base of another distribution": ("", 'base = "suse/leap"', "base", "does not know", "debian"),
    "extends of two kinds": (
        "",
        'extends = {path = "a", git = "https://x.test/y"}',
        "extends",
        "`path` alone",
        "",
    ),
    "extends by another program": ("", 'extends = {git = "ext::sh -c x"}', "extends.git", "URL of a git", ""),
    "rev like an option": (
        "",
        'extends = {git = "https://x.test/y", rev = "--upload-pack=x"}',
        "extends.rev",
        "branch",
        "",
    ),
    "dir outside": (
        "",
        'extends = {git = "https://x.test/y", dir = "../z"}',
        "extends.dir",
        "must not hold",
        "",
    ),
    "member outside": ("", 'members = ["../x"]', "members[0]", "must not hold", ""),
    "profile with packages": (
        "[profiles.ci]",
        "packages = {}",
        "profiles.ci.packages",
        "unknown key",
        "belong to all",
    ),
    "profile that loses PATH": ("[profiles.ci.env]", 'PATH = "x"', "profiles.ci.env.PATH", "no program", ""),
    "hooks": ("", "hooks = {}", "hooks", "not supported by this version of devenv yet", ""),
    "services": ("", "services = {}", "services", "not supported by this version of devenv yet", ""),
    "tasks": ("", "tasks = {}", "tasks", "not supported by this version of devenv yet", ""),
    "override that is no table": ("[overrides]", 'npm.esbuild = "1"', "overrides.npm.esbuild", "a table", ""),
    "override of a crate's version": (
        "[overrides]",
        'crate.serde = { version = "1" }',
        "overrides.crate.serde.version",
        "unknown key",
        "cargo update",
    ),
    "system packages without a base": (
        "[packages]",
        'system = ["git"]',
        "packages.system",
        "no `base`",
        'base = "debian/bookworm"',
    ),
    "system package that is none": (
        "[packages]",
        'system = ["git git"]',
        "packages.system[0]",
        "is no package: expected a name",
        "",
    ),
    "system packages as text": ("[packages]", 'system = "git"', "packages.system", "expected an array", ""),
    "mirrors of a registry": (
        "[registries]",
        'npm = ["https://a.test/", "https://b.test/"]',
        "registries.npm",
        "found an array",
        "debian",
    ),
    "R without a base": ("[packages]", 'r = "4"', "packages.r", "no `base`", "debian/trixie"),
    "Rust": ("[packages]", 'rust = "1"', "packages.rust", "not supported by this version", ""),
    "table of another type": ("", "packages = 1", "packages", "expected a table, found the number 1", ""),
    "whole number as version": ("[packages]", "node = 17", "packages.node", "found the number 17", '"17"'),
    "number as version": (
        "[packages]",
        "python = 3.10",
        "packages.python",
        "found the number 3.10",
        '"3.10"',
    ),
    "boolean as version": ("[packages]", "node = true", "packages.node", "found true", ""),
    "range as version": (
        "[packages]",
        'node = ">=18"',
        "packages.node",
        "expected a version",
        "the beginning",
    ),
    "caret as version": (
        "[packages]",
        'node = "^18"',
        "packages.node",
        "expected a version",
        "the beginning",
    ),
    "lts as version": ("[packages]", 'node = "lts"', "packages.node", "expected a version", "the beginning"),
    "v before a version": ("[packages]", 'node = "v17"', "packages.node", "expected a version", 'write "17"'),
    "empty version": ("[packages]", 'node = ""', "packages.node", "expected a version", ""),
    "misspelt toolchain": ("[packages]", 'nod = "1"', "packages.nod", "unknown key", "`node`"),
    "unknown toolchain": ("[packages]", 'zig = "1"', "packages.zig", "unknown key", "node, npm, python"),
    "lockfile above": ("[lockfiles]", 'npm = "../a"', "lockfiles.npm", "`..`", ""),
    "absolute lockfile": ("[lockfiles]", 'npm = "/a"', "lockfiles.npm", "relative to the project", ""),
    "lockfile with a newline": ("[lockfiles]", 'npm = "a\\nb"', "lockfiles.npm", "control character", ""),
    "project as lockfile": ("[lockfiles]", 'npm = "./"', "lockfiles.npm", "path of a lockfile", ""),
    "true as lockfile": ("[lockfiles]", "npm = true", "lockfiles.npm", "found true", ""),
    "no lockfiles": ("[lockfiles]", "npm = []", "lockfiles.npm", "found an empty array", ""),
    "yarn as a key": ("[lockfiles]", 'yarn = "yarn.lock"', "lockfiles.yarn", "unknown key", "under `npm`"),
    "uv as a key": ("[lockfiles]", 'uv = "uv.lock"', "lockfiles.uv", "unknown key", "under `pip`"),
    "unknown kind to omit": (
        "[lockfiles]",
        'npm = {omit = ["devel"]}',
        "lockfiles.npm.omit[0]",
        '"dev"',
        "`dev`",
    ),
    "omit for pip": ("[lockfiles]", 'pip = {omit = ["dev"]}', "lockfiles.pip.omit", "unknown key", "`npm`"),
    "groups for npm": (
        "[lockfiles]",
        'npm = {groups = ["x"]}',
        "lockfiles.npm.groups",
        "unknown key",
        "`omit`",
    ),
    "group that is text": (
        "[lockfiles]",
        'pip = {groups = "x"}',
        "lockfiles.pip.groups",
        "an array",
        '["x"]',
    ),
    "odd group": (
        "[lockfiles]",
        'pip = {groups = ["a b"]}',
        "lockfiles.pip.groups[0]",
        "expected a name",
        "",
    ),
    "twice one lockfile": ("[lockfiles]", 'npm = ["a", "./a"]', "lockfiles.npm[1]", "already", ""),
    "one lockfile for both": ("[lockfiles]", 'npm = "a"\npip = "a"', "lockfiles.pip", "already", ""),
    "several without a path": (
        "[lockfiles]",
        "npm = [{omit = []}]",
        "lockfiles.npm[0]",
        "`path` is missing",
        "",
    ),
    "boolean variable": ("[env]", "X = true", "env.X", "found true", 'write "true" or "1"'),
    "number with a point": ("[env]", "X = 1.10", "env.X", "found the number 1.10", '"1.10"'),
    "infinite variable": ("[env]", "X = inf", "env.X", "found the number inf", '"inf"'),
    "date variable": ("[env]", "X = 2020-01-02", "env.X", "found a date", '"2020-01-02"'),
    "array variable": ("[env]", "X = []", "env.X", "found an array", ""),
    "NUL in a value": ("[env]", 'X = "a\\u0000"', "env.X", "NUL", ""),
    "NUL in an entry": ("[env]", 'X = {prepend = ["\\u0000"]}', "env.X.prepend[0]", "NUL", ""),
    "empty entry": ("[env]", 'X = {prepend = [""]}', "env.X.prepend[0]", "current directory", ""),
    "entry with the separator": ("[env]", 'X = {prepend = ["a:b"]}', "env.X.prepend[0]", "separator", ""),
    "no entries": ("[env]", "X = {prepend = []}", "env.X.prepend", "found an empty array", ""),
    "entry without an array": ("[env]", 'X = {prepend = "a"}', "env.X.prepend", "expected an array", '["a"]'),
    "empty separator": (
        "[env]",
        'X = {prepend = ["a"], separator = ""}',
        "env.X.separator",
        "cannot be empty",
        "",
    ),
    "separator alone": ("[env]", 'X = {separator = ","}', "env.X", "only `separator`", ""),
    "empty operation": ("[env]", "X = {}", "env.X", "an empty table", ""),
    "set and unset": ("[env]", 'X = {set = "a", unset = true}', "env.X", "`set` and `unset` together", ""),
    "set with separator": ("[env]", 'X = {set = "a", separator = ","}', "env.X", "together", ""),
    "unset = false": ("[env]", "X = {unset = false}", "env.X.unset", "expected true, found false", ""),
    "unknown operation": ("[env]", 'X = {prefix = "a"}', "env.X.prefix", "unknown key", "`prepend`"),
    "dotted variable": ("[env]", 'X.Y = "a"', "env.X.Y", "unknown key", ""),
    "session's variable": ("[env]", 'HOME = "/"', "env.HOME", "login session", ""),
    "session's family": ("[env]", 'SSH_AUTH_SOCK = "/"', "env.SSH_AUTH_SOCK", "login session", ""),
    "shell's variable": ("[env]", 'PWD = "/"', "env.PWD", "the shell keeps it", ""),
    "zsh's variable": ("[env]", 'path = "/"', "env.path", "a variable of the shell itself", ""),
    "prompt": ("[env]", 'PS1 = "$"', "env.PS1", "the prompt", ""),
    "temporary directory": ("[env]", 'TMPDIR = "/x"', "env.TMPDIR", "the machine", ""),
    "proxy": ("[env]", 'https_proxy = "/x"', "env.https_proxy", "network", ""),
    "devenv's own variable": ("[env]", 'DEVENV_X = "/x"', "env.DEVENV_X", "its own state", ""),
    "PATH as a whole": ("[env]", 'PATH = "/x"', "env.PATH", "no program would be found", "prepend"),
    "name with a dash": ("[env]", 'A-B = "x"', "env.A-B", "is no name of a variable", ""),
    "name with an equals sign": ("[env]", '"A=B" = "x"', 'env."A=B"', "is no name of a variable", ""),
    "name that ends in a newline": ("[env]", '"A\\n" = "x"', 'env."A\\n"', "is no name of a variable", ""),
    "empty name": ("[env]", '"" = "x"', 'env.""', "is no name of a variable", ""),
    "number as alias": ("[aliases]", "a = 1", "aliases.a", "expected an array such as", ""),
    "empty alias": ("[aliases]", "a = []", "aliases.a", "found an empty array", ""),
    "blank alias": ("[aliases]", 'a = " "', "aliases.a", "found nothing", ""),
    "alias of an empty program": ("[aliases]", 'a = ["", "x"]', "aliases.a", "an empty name", ""),
    "alias of an empty word": ("[aliases]", "a = \"'' x\"", "aliases.a", "an empty name", ""),
    "alias with an open quote": ("[aliases]", 'a = "x \'y"', "aliases.a", "no closing quotation", ""),
    "alias with a pipe": ("[aliases]", 'a = "x | y"', "aliases.a", "`|`", "[scripts]"),
    "NUL in an alias": ("[aliases]", 'a = ["x\\u0000"]', "aliases.a[0]", "NUL", ""),
    "alias with a slash": ("[aliases]", '"a/b" = "x"', 'aliases."a/b"', "`/`", ""),
    "alias with a blank": ("[aliases]", '"a b" = "x"', 'aliases."a b"', "expected a command's name", ""),
    "alias like an option": ("[aliases]", '-a = "x"', "aliases.-a", "expected a command's name", ""),
    "alias of a shell's word": (
        "[aliases]",
        'if = "x"',
        "aliases.if",
        "a word of the shells",
        "another name",
    ),
    "script with a slash": ("[scripts]", '"../x" = "x"', 'scripts."../x"', "`/`", ""),
    "script of two dots": ("[scripts]", '".." = "x"', 'scripts.".."', "expected a command's name", ""),
    "blank script": ("[scripts]", 'x = "\\n "', "scripts.x", "found nothing", ""),
    "NUL in a script": ("[scripts]", 'x = "a\\u0000"', "scripts.x", "NUL", ""),
    "array as script": ("[scripts]", 'x = ["a"]', "scripts.x", "expected text in quotes, found an array", ""),
    "function of a shell's word": ("[functions]", 'cd = "x"', "functions.cd", "word of the shells", ""),
    "function of devenv's": ("[functions]", 'devenv_leave = "x"', "functions.devenv_leave", "devenv", ""),
    "function with a dash": ("[functions]", 'a-b = "x"', "functions.a-b", "no function's name", "script"),
    "blank function": ("[functions]", 'x = " "', "functions.x", "found nothing", ""),
    "function for no shell": ("[functions]", "x = {}", "functions.x", "", ""),
    "function for an unknown shell": ("[functions]", 'x = { csh = "a" }', "functions.x.csh", "", ""),
    "completions of nothing": ("[completions]", "x = []", "completions.x", "", ""),
    "completions that are code": (
        "[completions]",
        'x = ["$(id)"]',
        "completions.x[0]",
        "a word of letters",
        "",
    ),
    "completions with a blank": ("[completions]", 'x = ["a b"]', "completions.x[0]", "a word of letters", ""),
    "function and script": (
        "[functions]",
        'x = "a"\n[scripts]\nx = "a"',
        "functions.x",
        "a script of this name",
        "keep one",
    ),
    "function and alias": (
        "[functions]",
        'x = "a"\n[aliases]\nx = "a"',
        "functions.x",
        "an alias of this name",
        "keep one",
    ),
    "script and alias": (
        "[aliases]",
        'x = "a"\n[scripts]\nx = "a"',
        "aliases.x",
        "a script of this name",
        "",
    ),
    "unknown registry": ("[registries]", 'gems = "https://a.test"', "registries.gems", "no registry", "pypi"),
    "registry on disk": ("[registries]", 'npm = "/srv"', "registries.npm", "expected a URL", ""),
    "registry without host": ("[registries]", 'npm = "https:///x"', "registries.npm", "expected a URL", ""),
    "registry with a bad port": ("[registries]", 'npm = "https://a.test:x/"', "registries.npm", "a URL", ""),
    "registry with a blank": ("[registries]", 'npm = "https://a.test/ b"', "registries.npm", "blank", ""),
    "cache with a password": (
        "[caches]",
        'substituters = ["https://u:p@a.test/"]',
        "caches.substituters[0]",
        "password",
        "netrc",
    ),
    "cache of no kind": (
        "[caches]",
        'substituters = ["s3://x"]',
        "caches.substituters[0]",
        "URL",
        "file:///",
    ),
    "cache beside the project": ("[caches]", 'substituters = ["./x"]', "caches.substituters[0]", "URL", ""),
    "one cache as text": ("[caches]", 'substituters = "/x"', "caches.substituters", "array", '["/x"]'),
    "key without a name": ("[caches]", 'trusted-keys = ["abc"]', "caches.trusted-keys[0]", "public key", ""),
    "key too short": ("[caches]", 'trusted-keys = ["k:QUJD"]', "caches.trusted-keys[0]", "32 bytes", ""),
    "key spelled as Nix does": (
        "[caches]",
        "trusted-public-keys = []",
        "caches.trusted-public-keys",
        "unknown key",
        "trusted-keys",
    ),
    "signing key": ("[caches]", 'signing-key = "x"', "caches.signing-key", "unknown key", "config.toml"),
    "password": ("[registries]", 'npm = "https://u:p@a.test/"', "registries.npm", "password", "netrc"),
}


@pytest.mark.parametrize(("table", "line", "key", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_its_place(
    table: str, line: str, key: str, message: str, hint: str
) -> None:
    (problem,) = problems(f"# first\n{table}\n{line}\n")
    assert problem.key == key
    assert problem.line in (3, 4)
    assert str(problem).startswith(f"devenv.toml:{problem.line}: {key}: ")
    assert message in problem.message
    assert hint in (problem.hint or "")


def test_all_problems_are_reported_in_the_order_of_their_lines() -> None:
    text = "[packages]\nnode = 17\npyton = '3'\n[env]\nHOME = 'x'\nX = {}\n[nope]\n"
    assert [(problem.line, problem.key) for problem in problems(text)] == [
        (2, "packages.node"),
        (3, "packages.pyton"),
        (5, "env.HOME"),
        (6, "env.X"),
        (7, "nope"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        pytest.param(
            "a = 1\nnode = v17\n", (2, 8), "    node = v17\n           ^", '= "v17"', id="bare text"
        ),
        pytest.param('a:\t"x"', (1, 2), '    a: "x"\n     ^', "`=`", id="colon"),
        pytest.param("name = 'x", (1, 10), "    name = 'x\n             ^", "", id="open text"),
        pytest.param("a = [1,\n\n", (3, 1), "    \n    ^", "", id="end of the file"),
        pytest.param("[a]\nb=1\n[a]", (3, None), "a: it is set already, on line 1", "", id="table twice"),
        pytest.param("[a]\nb=1\nb=1", (3, None), "a.b: it is set already, on line 2", "", id="key twice"),
        pytest.param("a = 1\na.b = 2", (2, 8), "cannot", "", id="key below a value"),
        pytest.param("x" * 500 + " = ?", (1, 504), " = ?\n    " + " " * 59 + "^", "", id="long line"),
    ],
)
def test_what_is_no_toml_is_shown_with_its_place(
    text: str, place: tuple[int, int | None], message: str, hint: str
) -> None:
    (problem,) = problems(text)
    assert (problem.line, problem.column) == place
    assert str(problem).startswith(":".join(["devenv.toml", *(str(p) for p in place if p)]) + ": ")
    assert message in problem.message
    assert hint in (problem.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a = " + "[" * 100_000, "nested more than 50 deep", id="arrays"),
        pytest.param("a." * 100_000 + "b = 1", "nested more than 50 deep", id="dotted key"),
        pytest.param("# " + "x" * (1 << 20), "larger than 1 MiB", id="size"),
        pytest.param("a = " + "1" * 5000, "", id="number of 5000 digits"),
        pytest.param("\0", "", id="NUL"),
        pytest.param("a = 1\rb = 2", "", id="lone carriage return"),
    ],
)
def test_hostile_text_is_refused_quickly(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert message in problem.message


WORDS = [
    "name",
    "packages",
    "node",
    "env",
    "X",
    "PATH",
    "lockfiles",
    "npm",
    "pip",
    "aliases",
    "functions",
    "scripts",
    "base",
]
PIECES = ["[", "]", "{", "}", "=", ".", ",", '"', "'", "\n", " ", "17", "3.10", "true", "false", '"x"', "'''"]
PIECES += [
    "path",
    "omit",
    "set",
    "unset",
    "prepend",
    "separator",
    "registries",
    '"https://a.test"',
    "\\",
    "\0",
]


@given(pieces=st.lists(st.sampled_from(WORDS + PIECES), max_size=30))
def test_any_text_is_a_config_or_our_error(pieces: list[str]) -> None:
    try:
        assert isinstance(parse_config("".join(pieces), "devenv.toml"), Config)
    except (ConfigError, Problems) as error:
        assert str(error).startswith("devenv.toml")


VALUES = st.recursive(
    st.one_of(
        st.text(alphabet="ab/.$:{}'\"\\\0\n é", max_size=5).map(lambda t: json.dumps(t, ensure_ascii=False)),
        st.sampled_from(["1", "3.10", "true", "false", "inf", "1979-05-27", "07:32:00"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(["path", "omit", "groups", "set", "unset", "default", "prepend", "separator"]),
            inner,
            max_size=2,
        ).map(lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"),
    ),
    max_leaves=5,
)
PLACES = st.sampled_from(
    (
        *("name", "packages", "packages.node", "lockfiles", "lockfiles.npm", "lockfiles.pip", "tasks"),
        *("env", "env.X", "env.PATH", "aliases", "aliases.a", "scripts", "scripts.s", "registries.npm"),
        *("functions", "functions.f", "functions.f.sh"),
    )
)


@given(members=st.dictionaries(PLACES, VALUES, max_size=3))
def test_any_value_in_any_place_is_a_config_or_our_error(members: dict[str, str]) -> None:
    try:
        parse_config("".join(f"{key} = {value}\n" for key, value in members.items()), "devenv.toml")
    except (ConfigError, Problems) as error:
        assert str(error).startswith("devenv.toml")


@given(value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\x7f")))
def test_a_variable_keeps_its_text(value: str) -> None:
    text = f"[env]\nX = {json.dumps(value, ensure_ascii=False)}\n"
    assert parse_config(text, "devenv.toml").env["X"] == (Set(value=value, origin="devenv.toml:2"),)


KEY = "team-1:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
CACHES = f"""\
[caches]
substituters = ["https://cache.test/x", "file:///srv/cache", "/srv/other", "file:///srv/cache"]
trusted-keys = ["{KEY}"]
"""


def test_caches_are_read_in_their_order_each_once() -> None:
    expected = Caches(
        substituters=("https://cache.test/x", "file:///srv/cache", "/srv/other"), trusted_keys=(KEY,)
    )
    assert parse_config(CACHES, "devenv.toml").caches == expected
    assert parse_user_config(CACHES, "config.toml") == UserConfig(caches=expected)


def test_a_users_own_file_may_hold_a_login_and_names_a_key() -> None:
    text = '[caches]\nsubstituters = ["https://u:p@cache.test"]\nsigning-key = "team-1"\n'
    found = parse_user_config(text, "config.toml")
    assert found.caches.substituters == ("https://u:p@cache.test",) and found.signing_key == "team-1"
    assert parse_user_config("", "config.toml") == UserConfig()


@pytest.mark.parametrize("text", ["[packages]", 'name = "x"', '[caches]\nsubstituters = ["x"]', "[caches"])
def test_other_things_in_a_users_file_are_problems_of_that_file(text: str) -> None:
    with pytest.raises((ConfigError, Problems), match=r"config\.toml"):
        parse_user_config(text, "config.toml")


@given(st.text())
def test_any_users_file_is_a_value_or_our_error(text: str) -> None:
    with suppress(ConfigError, Problems):
        parse_user_config(text, "config.toml")
