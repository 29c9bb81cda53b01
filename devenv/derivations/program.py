"""What a derivation's builder is given: its arguments, its environment, files in its build directory. Pure.

As Nix 2.8 does it, to the byte: what a builder sees can get into what it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from devenv.derivations import structured_attributes
from devenv.derivations.errors import BuildError
from devenv.formats import nix32
from devenv.formats.aterm import byte_order
from devenv.formats.derivation import Derivation, placeholder

TOP = "/build"  # the build directory, as the builder sees it

_DIRECTORY_VARIABLES = ("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD")

# The text that describes the closure of some store paths to a builder.
GraphText = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`path` is started with `arguments`, its name first. `files` lie in TOP: name -> contents."""

    path: str
    arguments: tuple[bytes, ...]
    environment: Mapping[bytes, bytes]
    files: Mapping[str, bytes]


def program(
    derivation: Derivation,
    *,
    store_dir: str,
    cores: int,
    environ: Mapping[str, str],
    graph_text: GraphText,
    label: str,
) -> Program:
    """How to start the builder of `derivation`.

    `environ` is the caller's environment, from which fixed derivations may ask for variables (`impureEnvVars`).
    `graph_text` is called for `exportReferencesGraph`. Raises BuildError.
    """
    outputs = {name: output.path for name, output in derivation.outputs.items()}
    filled = _Filled(outputs)
    variables = {
        "PATH": "/path-not-set",
        "HOME": "/homeless-shelter",  # a program that minds its home must notice that there is none
        "NIX_STORE": store_dir,
        "NIX_BUILD_CORES": str(cores),
    }
    attributes = attributes_of(derivation, label)
    files: dict[str, bytes] = {}
    if attributes is None:
        files = _files(derivation, filled, graph_text, label)
        variables |= _attribute_variables(derivation, filled)
    else:
        files = _structured_files(attributes, outputs, filled, label)
    variables |= dict.fromkeys(_DIRECTORY_VARIABLES, TOP)
    if attributes is not None:
        variables |= {"NIX_ATTRS_JSON_FILE": f"{TOP}/.attrs.json", "NIX_ATTRS_SH_FILE": f"{TOP}/.attrs.sh"}
    if derivation.fixed is not None:
        variables["NIX_OUTPUT_CHECKED"] = "1"
        variables |= {name: environ.get(name, "") for name in string_list(derivation, "impureEnvVars", label)}
    variables |= {"NIX_LOG_FD": "2", "TERM": "xterm-256color"}
    builder = filled(derivation.builder)
    return Program(
        path=builder,
        arguments=tuple(
            byte_order(text) for text in (builder.rpartition("/")[2], *map(filled, derivation.args))
        ),
        environment=dict(sorted((byte_order(name), byte_order(value)) for name, value in variables.items())),
        files=files,
    )


class _Filled:
    """Text with the paths of the outputs in the place of their placeholders."""

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._paths = {placeholder(name): path for name, path in outputs.items()}

    def __call__(self, text: str) -> str:
        for mark, path in self._paths.items():
            if mark in text:
                text = text.replace(mark, path)
        return text


def attributes_of(derivation: Derivation, label: str) -> structured_attributes.Attributes | None:
    """The structured attributes, None when the derivation's environment is its attributes."""
    text = derivation.env.get(structured_attributes.ATTRIBUTE)
    return None if text is None else structured_attributes.parse(text, label)


def string_list(derivation: Derivation, name: str, label: str) -> tuple[str, ...]:
    """The attribute `name` as a list of strings, () when it is missing. Raises BuildError for another kind."""
    attributes = attributes_of(derivation, label)
    if attributes is None:
        return tuple(derivation.env.get(name, "").split())
    value = attributes.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BuildError(
            f"cannot build {label}: its attribute {name} is not a list of strings", package=label
        )
    return tuple(value)


def flag(derivation: Derivation, name: str, label: str) -> bool:
    """Whether the attribute `name` is true."""
    attributes = attributes_of(derivation, label)
    return derivation.env.get(name) == "1" if attributes is None else attributes.get(name) is True


def _passed_as_file(derivation: Derivation) -> set[str]:
    return set(derivation.env.get("passAsFile", "").split())


def _file_name(attribute: str) -> str:
    return ".attr-" + nix32.encode(sha256(byte_order(attribute)).digest())


def _attribute_variables(derivation: Derivation, filled: _Filled) -> dict[str, str]:
    as_files = _passed_as_file(derivation)
    found = {}
    for name, value in derivation.env.items():
        if name in as_files:
            found[f"{name}Path"] = f"{TOP}/{_file_name(name)}"
        else:
            found[name] = filled(value)
    return found


def _files(derivation: Derivation, filled: _Filled, graph_text: GraphText, label: str) -> dict[str, bytes]:
    files = {
        _file_name(name): byte_order(filled(derivation.env[name]))
        for name in _passed_as_file(derivation)
        if name in derivation.env
    }
    words = derivation.env.get("exportReferencesGraph", "").split()
    if len(words) % 2:
        raise BuildError(
            f"cannot build {label}: its exportReferencesGraph is no list of pairs of a file name and a store path",
            package=label,
        )
    for name, path in zip(words[::2], words[1::2], strict=True):
        if "/" in name or name in (".", ".."):
            raise BuildError(
                f"cannot build {label}: {name!r} in its exportReferencesGraph is no file name", package=label
            )
        files[name] = graph_text(path).encode()
    return files


def _structured_files(
    attributes: structured_attributes.Attributes, outputs: Mapping[str, str], filled: _Filled, label: str
) -> dict[str, bytes]:
    if "exportReferencesGraph" in attributes:
        raise BuildError(
            f"cannot build {label}: exportReferencesGraph together with structured attributes is not supported",
            package=label,
            hint="Without __structuredAttrs it is.",
        )
    return {
        ".attrs.json": byte_order(filled(structured_attributes.as_json(attributes, outputs))),
        ".attrs.sh": byte_order(filled(structured_attributes.as_shell(attributes, outputs))),
    }


def references_text(closure: Mapping[str, Iterable[str]]) -> str:
    """What `exportReferencesGraph` writes for a closure: path -> references.

    Each path, an empty line (where a deriver could be), the number of its references, these; all sorted.
    """
    lines = []
    for path in sorted(closure):
        references = sorted(closure[path])
        lines += [path, "", str(len(references)), *references]
    return "".join(f"{line}\n" for line in lines)
