"""Formats that are text: each a function from an environment to the file's contents.

| format | source |
|---|---|
| dotenv | what shells, python-dotenv, Node.js, the npm package dotenv and compose read alike; they differ in escapes |
| systemd | EnvironmentFile= in systemd.exec(5) |
| github | "Setting an environment variable" and "Adding a system path" of GitHub Actions' workflow commands |
| gitlab | artifacts:reports:dotenv of GitLab CI/CD, which has no quotes and no line breaks |
| nix | `nix print-dev-env --json` |
| jetbrains | run configurations as `.run/*.run.xml`, "Run/debug configurations" in the manuals of the editors |
| direnv | `use` in direnv-stdlib(1) |
| devcontainer | devContainer.base.schema.json of containers.dev |
"""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable, Iterator
from xml.sax.saxutils import quoteattr

from devenv.config.lockfile_names import LOCKFILES, found_by_themselves
from devenv.exporting.steps import BASE_PATH, Exported, ExportError, Step

Writer = Callable[[Exported], str]


def sh(exported: Exported) -> str:
    """A script for POSIX shells to source; it needs nothing of devenv."""
    lines = [f"# The environment {_one_line(exported.name)}, to be sourced by a POSIX shell."]
    lines += [line for step in exported.steps for line in _in_sh(step)]
    for name, words in sorted(exported.aliases.items()):
        lines.append(f"alias {shlex.quote(name)}={shlex.quote(' '.join(map(shlex.quote, words)))}")
    lines += [
        # Quoted, a body cannot end the function before its end.
        f"{name}() {{ eval {shlex.quote(bodies['sh'])}; }}"
        for name, bodies in sorted(exported.functions.items())
        if "sh" in bodies
    ]
    return "".join(f"{line}\n" for line in lines)


def _in_sh(step: Step) -> Iterator[str]:
    name, value = step.name, shlex.quote(step.value)
    separator = shlex.quote(step.separator) if step.separator else ""
    if step.kind == "set":
        yield f"export {name}={value}"
    elif step.kind == "unset":
        yield f"unset {name}"
    elif step.kind == "default":
        yield f'[ "${{{name}+x}}" ] || export {name}={value}'
    elif step.kind == "prepend":
        yield f'if [ "${{{name}:-}}" ]; then export {name}={value}{separator}"${name}"; else export {name}={value}; fi'
    else:
        yield f'if [ "${{{name}:-}}" ]; then export {name}="${name}"{separator}{value}; else export {name}={value}; fi'


# For ~/.config/direnv/lib/devenv.sh; direnv calls it for `use devenv [DIR]`. A lockfile that appears later counts as well.
_DIRENV_LIBRARY = """# Written by `devenv export direnv-lib`: `use devenv [DIR]` in an .envrc.
use_devenv() {{
    local devenv_directory=${{1:-$PWD}} devenv_file devenv_script
    for devenv_file in devenv.toml devenv.lock {lockfiles}; do
        watch_file "$devenv_directory/$devenv_file"
    done
    devenv_script=$(devenv export sh --project "$devenv_directory") || return
    eval "$devenv_script"
}}
"""


def direnv_library() -> str:
    """The function behind `use devenv`, for direnv's library; the same for all projects."""
    names = [name for ecosystem in LOCKFILES for name in found_by_themselves(ecosystem)]
    return _DIRENV_LIBRARY.format(lockfiles=" ".join(names))


def direnv(exported: Exported) -> str:
    """An .envrc that follows the environment."""
    return (
        "# Written by `devenv export direnv`. The library makes the first line unnecessary: docs/exports.md.\n"
        'declare -F use_devenv >/dev/null || eval "$(devenv export direnv-lib)"\n'
        "use devenv\n"
    )


def dotenv(exported: Exported) -> str:
    """NAME=value lines, each value in the quotes that most readers take alike."""
    return "".join(f"{name}={_dotenv_word(value)}\n" for name, value in exported.values().items())


def _dotenv_word(value: str) -> str:
    """Single quotes are literal everywhere, but for a backslash before a quote or another one.

    Bare words are for readers without quotes, such as `docker run --env-file`. What has no form that all read alike is
    escaped as in a shell: `$` too, as many readers expand variables.
    """
    if all(letter.isascii() and (letter.isalnum() or letter in "_./:@%+,=-") for letter in value):
        return value
    if not set(value) & set("\"$`\\\r'") and "\n" in value:
        return '"' + value.replace("\n", "\\n") + '"'
    if "'" not in value and "\r" not in value and "\\\\" not in value and not value.endswith("\\"):
        return f"'{value}'"
    escapes = {"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`", "\n": "\\n", "\r": "\\r"}
    return f'"{_escaped(value, escapes)}"'


def systemd(exported: Exported) -> str:
    """An EnvironmentFile: within double quotes backslashes escape, and nothing is expanded."""
    escapes = {"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"}
    return "".join(f'{name}="{_escaped(value, escapes)}"\n' for name, value in exported.values().items())


def _escaped(value: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(letter, letter) for letter in value)


def github_environment(exported: Exported) -> str:
    """What goes to the file that GITHUB_ENV names; PATH has a file of its own."""
    parts = []
    for name, value in exported.values().items():
        if name == "PATH":
            continue
        mark = f"devenv-{uuid.uuid5(uuid.NAMESPACE_OID, f'{name}={value}')}"
        parts.append(f"{name}<<{mark}\n{value}\n{mark}\n")
    return "".join(parts)


def github_path(exported: Exported) -> str:
    """What goes to the file that GITHUB_PATH names: each line comes before those above it."""
    entries = [
        entry for entry in exported.values().get("PATH", "").split(":") if entry not in BASE_PATH.split(":")
    ]
    wrong = [entry for entry in entries if "\n" in entry]
    if wrong:
        raise ExportError(f"PATH has the entry {wrong[0]!r}: GitHub's file cannot hold line breaks")
    return "".join(f"{entry}\n" for entry in reversed(entries))


def github(exported: Exported) -> str:
    """Both, as a step's shell would write them."""
    return f"# >> $GITHUB_ENV\n{github_environment(exported)}# >> $GITHUB_PATH\n{github_path(exported)}"


def gitlab(exported: Exported) -> str:
    """A dotenv report. Raises ExportError for every value that cannot be in one."""
    values = exported.values()
    wrong = [name for name, value in values.items() if "\n" in value or "\r" in value]
    if wrong:
        raise ExportError(
            f"{', '.join(wrong)}: GitLab's dotenv reports cannot hold line breaks",
            hint="Leave these out, or run the job's script by `devenv enter -c`.",
        )
    return "".join(f"{name}={value}\n" for name, value in values.items())


def nix(exported: Exported) -> str:
    """What `nix print-dev-env --json` prints of such an environment."""
    variables = {name: {"type": "exported", "value": value} for name, value in exported.values().items()}
    functions = {
        name: f"{bodies.get('bash', bodies.get('sh', ''))}\n"
        for name, bodies in sorted(exported.functions.items())
        if "bash" in bodies or "sh" in bodies
    }
    return _json({"variables": variables, "bashFunctions": functions})


def vscode(exported: Exported) -> str:
    """settings.json of a workspace: terminals, and the interpreter of the Python view."""
    gone = {step.name: None for step in exported.steps if step.kind == "unset"}
    terminal = {**gone, **_with_old_path(exported, "${env:PATH}")}  # null takes a variable away
    settings: dict[str, object] = {"terminal.integrated.env.linux": dict(sorted(terminal.items()))}
    python = exported.values().get("VIRTUAL_ENV")
    if python is not None:
        settings["python.defaultInterpreterPath"] = f"{python}/bin/python"
    return _json(settings)


# Kinds of run configurations that take variables: type and factory, as the editors' own files have them.
_JETBRAINS = (
    ("PythonConfigurationType", "Python"),
    ("tests", "py.test"),
    ("NodeJSConfigurationType", "Node.js"),
    ("js.build_tools.npm", "npm"),
    ("ShConfigurationType", "Shell Script"),
)


def jetbrains(exported: Exported) -> str:
    """Templates of run configurations: what is created from them has the environment. For `.run/` of the project.

    Raises ExportError for every value that XML 1.0 cannot hold.
    """
    values = exported.values()
    wrong = [name for name, value in values.items() if any(not _in_xml(letter) for letter in value)]
    if wrong:
        raise ExportError(
            f"{', '.join(wrong)}: a file of XML cannot hold control characters",
            hint="Leave these out, or read them from a file of `devenv export dotenv`.",
        )
    envs = "".join(f"      <env name={quoteattr(k)} value={quoteattr(v)} />\n" for k, v in values.items())
    templates = "".join(
        f'  <configuration default="true" type={quoteattr(kind)} factoryName={quoteattr(factory)}>\n'
        f'    <option name="PARENT_ENVS" value="true" />\n    <envs>\n{envs}    </envs>\n  </configuration>\n'
        for kind, factory in _JETBRAINS
    )
    return f'<component name="ProjectRunConfigurationManager">\n{templates}</component>\n'


def _in_xml(letter: str) -> bool:
    """The production Char of XML 1.0."""
    return letter in "\t\n\r" or " " <= letter < "\ud800" or "\ue000" <= letter not in "\ufffe\uffff"


def devcontainer(exported: Exported) -> str:
    """devcontainer.json for the image that `devenv export oci` writes, loaded under the environment's name."""
    return _json(
        {
            "name": exported.name,
            "image": f"{image_name(exported.name)}:latest",
            "workspaceFolder": exported.project,
            "workspaceMount": f"source=${{localWorkspaceFolder}},target={exported.project},type=bind",
            "containerEnv": {k: v for k, v in exported.values().items() if k != "PATH"},
            "remoteEnv": {
                "PATH": _with_old_path(exported, "${containerEnv:PATH}").get("PATH", "${containerEnv:PATH}")
            },
        }
    )


def _with_old_path(exported: Exported, old: str) -> dict[str, str]:
    made = exported.apply({"PATH": old})
    return {name: value for name, value in sorted(made.items()) if name != "PATH" or value != old}


def image_name(name: str) -> str:
    """A repository's name by the grammar of the OCI distribution spec."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return "-".join(part for part in kept.split("-") if part) or "environment"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


WRITERS: dict[str, Writer] = {
    "sh": sh,
    "direnv": direnv,
    "dotenv": dotenv,
    "systemd": systemd,
    "github": github,
    "gitlab": gitlab,
    "nix": nix,
    "vscode": vscode,
    "jetbrains": jetbrains,
    "devcontainer": devcontainer,
}
