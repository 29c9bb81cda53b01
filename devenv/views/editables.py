"""Projects that are imported in place and name no build backend: a .pth file, and metadata from what pyproject.toml says.
Sources: pyproject.toml specification, core metadata 2.1, recording installed projects, site.py for .pth.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from devenv.adapter import Editable
from devenv.views.launchers import EntryPoint, parse_entry_point
from devenv.views.operations import ViewError
from devenv.views.wheel_tree import read_text, record_columns, render_record

# A static version when the real one is made by a backend.
_UNKNOWN_VERSION = "0"
_MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg")
# Some installers take a package without this file for a broken one.
_WHEEL = b"Wheel-Version: 1.0\nGenerator: devenv\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditableFiles:
    """What an editable project puts into site-packages (`files`, by path there) and bin."""

    label: str
    files: Mapping[str, bytes]
    scripts: tuple[EntryPoint, ...]


def manifests(editable: Editable, project: str) -> tuple[str, ...]:
    """The files whose change changes the environment."""
    names = _MANIFESTS if editable.build is not None else _MANIFESTS[:1]
    return tuple(os.path.join(project, editable.path, name) for name in names)


def editable_files(editable: Editable, project: str) -> EditableFiles:
    """Read the project at `editable.path`, which is relative to the directory `project`.

    Raises ViewError for a pyproject.toml that cannot be used and for paths that a .pth file cannot hold.
    """
    directory = os.path.normpath(os.path.join(project, editable.path))
    manifest = _manifest(directory, editable.name)
    table = manifest.get("project")
    fields: dict[str, Any] = table if isinstance(table, dict) else {}
    name = _line(fields.get("name")) or editable.name
    version = _line(fields.get("version")) or _UNKNOWN_VERSION
    label = f"{name} {version}"
    stem = f"{_escape(name)}-{_escape(version, keep='.')}.dist-info"
    groups = _entry_point_groups(fields)
    files = {
        f"_devenv_editable_{_escape(name)}.pth": _pth_line(directory, label),
        f"{stem}/METADATA": _metadata(name, version, fields),
        f"{stem}/WHEEL": _WHEEL,
        f"{stem}/INSTALLER": b"devenv\n",
        f"{stem}/direct_url.json": _direct_url(directory),
    }
    if groups:
        files[f"{stem}/entry_points.txt"] = _entry_points_text(groups)
    scripts = _scripts(groups, label)
    rows = [(path, *record_columns(contents)) for path, contents in files.items()]
    files[f"{stem}/RECORD"] = render_record(rows, f"{stem}/RECORD")
    return EditableFiles(label=label, files=files, scripts=scripts)


def _manifest(directory: str, name: str) -> dict[str, Any]:
    path = os.path.join(directory, "pyproject.toml")
    if not os.path.isdir(directory):
        raise ViewError(
            f"{name} is to be imported from {directory}, which is not there",
            hint="The lockfile names it as an editable member of the project.",
        )
    try:
        return tomllib.loads(read_text(path, name))
    except (ValueError, RecursionError) as error:
        raise ViewError(f"{path} is not TOML: {error}") from None


def _escape(text: str, keep: str = "") -> str:
    """For a file name: runs of anything but letters, digits and `keep` become one underscore."""
    return re.sub(rf"[^A-Za-z0-9{re.escape(keep)}]+", "_", text)[:100] or "_"


def _line(value: object) -> str:
    """A value that fits on one line of metadata, else ""."""
    return value.strip() if isinstance(value, str) and value.isprintable() else ""


def _pth_line(directory: str, label: str) -> bytes:
    source = os.path.join(directory, "src")
    path = source if os.path.isdir(source) else directory
    if path != path.rstrip() or any(mark in path for mark in "\n\r\x1a\0\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        raise ViewError(
            f"{label} cannot be imported from {path!r}: the path has characters that Python's .pth files cannot hold",
            hint="Move the project to a directory with an ordinary name.",
        )
    return os.fsencode(path) + b"\n"


def _metadata(name: str, version: str, fields: Mapping[str, Any]) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    summary, python = _line(fields.get("description")), _line(fields.get("requires-python"))
    lines += [f"Summary: {summary}"] if summary else []
    lines += [f"Requires-Python: {python}"] if python else []
    lines += [f"Requires-Dist: {text}" for text in _lines(fields.get("dependencies"))]
    optional = fields.get("optional-dependencies")
    for extra, dependencies in sorted(optional.items()) if isinstance(optional, dict) else ():
        if _line(extra):
            lines.append(f"Provides-Extra: {extra}")
            lines += [f"Requires-Dist: {_with_extra(text, extra)}" for text in _lines(dependencies)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _lines(value: object) -> list[str]:
    return [text for text in map(_line, value) if text] if isinstance(value, list) else []


def _with_extra(requirement: str, extra: str) -> str:
    """The requirement of an extra, as metadata spells it."""
    base, mark, marker = requirement.partition(";")
    condition = f"extra == '{extra}'"
    # After a URL, only a blank separates the marker.
    return (
        f"{base.rstrip()} ; ({marker.strip()}) and {condition}" if mark else f"{base.rstrip()} ; {condition}"
    )


def _direct_url(directory: str) -> bytes:
    url = "file://" + quote(os.fsencode(directory))
    return json.dumps({"dir_info": {"editable": True}, "url": url}, sort_keys=True).encode()


def _entry_point_groups(fields: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    groups = {"console_scripts": fields.get("scripts"), "gui_scripts": fields.get("gui-scripts")}
    others = fields.get("entry-points")
    if isinstance(others, dict):
        groups = {**others, **groups}
    return {
        _line(group): {_line(k): _line(v) for k, v in entries.items() if _line(k) and _line(v)}
        for group, entries in groups.items()
        if isinstance(entries, dict) and entries and _line(group)
    }


def _entry_points_text(groups: Mapping[str, Mapping[str, str]]) -> bytes:
    blocks = []
    for group, entries in sorted(groups.items()):
        blocks.append(
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in sorted(entries.items()))])
        )
    return ("\n\n".join(blocks) + "\n").encode("utf-8", "replace")


def _scripts(groups: Mapping[str, Mapping[str, str]], label: str) -> tuple[EntryPoint, ...]:
    found = []
    for group in ("console_scripts", "gui_scripts"):
        for name, value in sorted(groups.get(group, {}).items()):
            try:
                found.append(parse_entry_point(name, value))
            except ValueError as error:
                raise ViewError(f"{label}: the scripts in its pyproject.toml are wrong: {error}") from None
    return tuple(found)
