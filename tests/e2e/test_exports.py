"""The environment in other programs' formats, read back by those programs or by independent readers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.support.devenv import User, devenv_program
from tests.support.programs import program

NASTY = {
    "QUOTES": 'it\'s "both"',
    "DOLLAR": "$HOME ${X:-y} `date` $(date)",
    "BACKSLASHES": "\\ \\\\ \\n end\\",
    "TWO_LINES_": "a\nb\n",
    "EMPTY_": "",
    "SPACES": "  a  b ",
    "UNICODE": "Grüße, 世界",
    "HASH": "# no comment; no = end",
    "PERCENT": "%h %% {a,b} * ?",
}


@pytest.fixture
def root(user: User, tmp_path: Path) -> Path:
    place = tmp_path / "it's a project"
    place.mkdir()
    values = "".join(f"{name} = {json.dumps(value)}\n" for name, value in NASTY.items())
    (place / "devenv.toml").write_text(
        f'name = "p"\n[env]\n{values}GIVEN = {{ default = "ours" }}\nGONE = {{ unset = true }}\n'
        'PATH = { prepend = ["./bin"] }\n[aliases]\nhi = ["printf", "%s|", "it\'s", "$x"]\n'
        '[functions]\nshow = "printf \'%s/\' \\"$1\\" it\\\\\'s; return 3"\n'
        'closing = "}\\necho ran\\nnext() {"\n',
        encoding="utf-8",
    )
    user.run("lock", cwd=place)
    user.run("allow", "--yes", cwd=place)
    return place


def exported(user: User, root: Path, kind: str, **env: str) -> str:
    return user.run("export", kind, cwd=root, check=True, timeout=120, **env).stdout


def environment_of(text: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.decode().split("\0") if line)


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_a_shell_that_knows_nothing_of_devenv_has_the_environment(
    user: User, root: Path, tmp_path: Path, shell: str
) -> None:
    script = tmp_path / "environment.sh"
    script.write_text(exported(user, root, "sh"))
    command = [program(shell), "-c", '. "$1"; env -0', shell, str(script)]
    before = {"PATH": "/usr/bin:/bin", "GIVEN": "theirs", "GONE": "x"}
    done = subprocess.run(command, env=before, capture_output=True, check=True)
    found = environment_of(done.stdout)
    assert {name: found.get(name) for name in NASTY} == NASTY
    assert found["GIVEN"] == "theirs"
    assert "GONE" not in found
    assert found["PATH"] == f"{root}/bin:/usr/bin:/bin"


def test_aliases_and_functions_are_in_the_script(user: User, root: Path, tmp_path: Path) -> None:
    script = tmp_path / "environment.sh"
    script.write_text(exported(user, root, "sh"))
    typed = f". {shlex.quote(str(script))}\nhi more\nshow given\necho $?\n"
    done = subprocess.run([program("bash"), "-i"], input=typed, capture_output=True, text=True, check=False)
    assert "it's|$x|more|" in done.stdout
    assert "given/it's/3" in done.stdout
    assert "ran" not in done.stdout


def test_json_says_what_changes_here(user: User, root: Path) -> None:
    found = json.loads(exported(user, root, "json", GONE="x", GIVEN="theirs"))
    assert {name: found[name] for name in NASTY} == NASTY
    assert found["GONE"] is None
    assert "GIVEN" not in found


# No form of these is read alike by all: some keep backslashes before quotes.
ESCAPED = ("QUOTES", "BACKSLASHES")
PARSE_ENV = "console.log(JSON.stringify(require('util').parseEnv(require('fs').readFileSync(0, 'utf8'))))"


def test_a_dotenv_file_is_read_alike_by_shells_and_by_node(user: User, root: Path) -> None:
    text = exported(user, root, "dotenv")
    script = f"set -a\n{text}\nenv -0"
    done = subprocess.run([program("bash"), "-c", script], capture_output=True, check=True)
    by_shell = environment_of(done.stdout) | {"TWO_LINES_": NASTY["TWO_LINES_"]}  # there \\n is no line break
    assert {name: by_shell[name] for name in NASTY} == NASTY
    done = subprocess.run(
        [program("node"), "-e", PARSE_ENV], input=text.encode(), capture_output=True, check=True
    )
    by_node = json.loads(done.stdout)
    assert {name: by_node[name] for name in NASTY if name not in ESCAPED} == {
        name: value for name, value in NASTY.items() if name not in ESCAPED
    }
    assert "\nDEVENV_PROJECT='" not in text, "the path of this project has a quote"
    (root / "devenv.toml").write_text('[env]\nPORT = 8080\nURL = "https://a.test/?b=c"\n')
    user.run("lock", cwd=root)
    lines = exported(user, root, "dotenv").splitlines()
    assert "PORT=8080" in lines, "docker's --env-file knows no quotes"
    assert "URL='https://a.test/?b=c'" in lines


def read_environment_file(text: str) -> dict[str, str]:
    """EnvironmentFile= by the words of systemd.exec(5): double quotes, in which a backslash takes `"`, `\\`, `$`, "`"."""
    found, place = {}, 0
    while place < len(text):
        name, _, _ = text[place:].partition("=")
        place += len(name) + 2
        value = ""
        while text[place] != '"':
            if text[place] == "\\" and text[place + 1] in '"\\`$':
                place += 1
            value += text[place]
            place += 1
        found[name] = value
        place += 2
    return found


def test_an_environment_file_of_systemd(user: User, root: Path) -> None:
    found = read_environment_file(exported(user, root, "systemd"))
    assert {name: found[name] for name in NASTY} == NASTY
    assert found["PATH"].startswith(f"{root}/bin:")


def test_a_workflow_of_github_gets_variables_and_path(user: User, root: Path, tmp_path: Path) -> None:
    files = {"GITHUB_ENV": str(tmp_path / "env"), "GITHUB_PATH": str(tmp_path / "path")}
    assert exported(user, root, "github", **files) == ""
    lines = iter((tmp_path / "env").read_text(encoding="utf-8").split("\n"))
    found = {}
    for line in lines:
        name, mark, end = line.partition("<<")
        if mark:
            found[name] = "\n".join(iter(lambda end=end: next(lines), end))  # type: ignore[misc]
    assert {name: found[name] for name in NASTY} == NASTY
    assert (tmp_path / "path").read_text() == f"{root}/bin\n"


def test_what_a_format_cannot_hold_is_named(user: User, root: Path) -> None:
    done = user.run("export", "gitlab", cwd=root, check=False)
    assert done.returncode == 1
    assert "TWO_LINES_: GitLab's dotenv reports cannot hold line breaks" in done.stderr
    assert done.stdout == ""


def test_a_dockerfile_that_cannot_be_is_not_begun(user: User, root: Path, tmp_path: Path) -> None:
    done = user.run("export", "dockerfile", "-o", str(tmp_path / "context"), cwd=root, check=False)
    assert (done.returncode, "TWO_LINES_: a Dockerfile cannot hold line breaks" in done.stderr) == (1, True)
    assert not (tmp_path / "context").exists()


def with_direnv(user: User, root: Path) -> dict[str, str]:
    """The environment of a program that direnv starts there."""
    beside = os.path.dirname(devenv_program())
    env = user.env | {"PATH": f"{beside}:{user.env['PATH']}"}
    for words in (["allow", "."], ["exec", ".", "env", "-0"]):
        done = subprocess.run([program("direnv"), *words], cwd=root, env=env, capture_output=True, check=True)
    return environment_of(done.stdout)


def test_direnv_follows_the_environment(user: User, root: Path) -> None:
    (root / ".envrc").write_text(exported(user, root, "direnv"))
    found = with_direnv(user, root)
    assert {name: found.get(name) for name in NASTY} == NASTY
    watched = subprocess.run(
        [program("direnv"), "exec", ".", "direnv", "show_dump", found["DIRENV_WATCHES"]],
        cwd=root,
        env=user.env | {"PATH": f"{os.path.dirname(program('direnv'))}:{user.env['PATH']}"},
        capture_output=True,
        check=False,
    )
    shown = watched.stdout + watched.stderr
    assert all(name.encode() in shown for name in ("devenv.toml", "uv.lock")), shown


def test_the_library_of_direnv_serves_all_projects(user: User, root: Path, tmp_path: Path) -> None:
    library = user.home / ".config/direnv/lib"
    library.mkdir(parents=True)
    (library / "devenv.sh").write_text(user.run("export", "direnv-lib", cwd=tmp_path).stdout)
    below = root / "deep er"
    below.mkdir()
    (below / ".envrc").write_text("use devenv ..\n")
    found = with_direnv(user, below)
    assert {name: found.get(name) for name in NASTY} == NASTY
    assert found["DEVENV_PROJECT"] == str(root)


def test_the_form_of_nix_is_that_of_nix(user: User, root: Path) -> None:
    found = json.loads(exported(user, root, "nix"))
    assert found["variables"]["QUOTES"] == {"type": "exported", "value": NASTY["QUOTES"]}
    assert found["bashFunctions"].keys() == {"show", "closing"}


def test_editors_and_containers_read_json(user: User, root: Path) -> None:
    terminal = json.loads(exported(user, root, "vscode"))["terminal.integrated.env.linux"]
    assert terminal["PATH"] == f"{root}/bin:${{env:PATH}}"
    assert terminal["GONE"] is None
    container = json.loads(exported(user, root, "devcontainer"))
    assert container["image"] == "p:latest"
    assert container["containerEnv"]["QUOTES"] == NASTY["QUOTES"]
    assert container["remoteEnv"] == {"PATH": f"{root}/bin:${{containerEnv:PATH}}"}


# The properties that devContainer.base.schema.json has for a container made from an image, as far as they are used, and
# the types of their values. It allows no others.
DEVELOPMENT_CONTAINER: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "dependentRequired": {"workspaceMount": ["workspaceFolder"], "workspaceFolder": ["workspaceMount"]},
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "workspaceFolder": {"type": "string"},
        "workspaceMount": {"type": "string"},
        "containerEnv": {"type": "object", "additionalProperties": {"type": "string"}},
        "remoteEnv": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    },
}


def test_a_development_container_fits_its_schema(user: User, root: Path) -> None:
    found = json.loads(exported(user, root, "devcontainer"))
    jsonschema.validate(found, DEVELOPMENT_CONTAINER, jsonschema.Draft201909Validator)


def test_run_configurations_of_jetbrains_have_the_variables(user: User, root: Path) -> None:
    component = ElementTree.fromstring(exported(user, root, "jetbrains"))
    assert component.attrib == {"name": "ProjectRunConfigurationManager"}
    for configuration in component:
        found = {each.get("name"): each.get("value") for each in configuration.iter("env")}
        assert {name: found.get(name) for name in NASTY} == NASTY
    kinds = {each.get("type") for each in component}
    assert {"PythonConfigurationType", "NodeJSConfigurationType", "ShConfigurationType"} <= kinds
    (root / "devenv.toml").write_text('[env]\nBELL = "\\u0007"\nNUMBER = 1\n')
    done = user.run("export", "jetbrains", cwd=root, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "BELL: a file of XML cannot hold control characters" in done.stderr


def test_files_are_asked_for_where_they_are_needed(user: User, root: Path) -> None:
    done = user.run("export", "oci", cwd=root, check=False)
    assert "Say where: -o PATH" in done.stderr
