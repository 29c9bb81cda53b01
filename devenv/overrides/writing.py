"""The text of an override's file, for people to edit: with everything that can be said, as comments or as it is now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from devenv.adapter import Package, RemoteFile
from devenv.config.overrides import OVERRIDES, Override
from devenv.config.shapes import Table

_EXAMPLES = {
    "version": 'version = "{version}"',
    "source": 'source = {{ url = "https://example.org/{name}.tar.gz" }}    # or {{ path = "..." }}, {{ git = "...", commit = "..." }}',
    "patches": 'patches = ["patches/{name}.patch"]',
    "environment": '[environment]\n# NAME = "value"',
    "isolated": '[isolated]\n# other-package = "1.0"',
}
_BUILD_EXAMPLES = {
    "from-source": "from-source = true",
    "requires": 'requires = ["setuptools<70"]',
    "config-settings": 'config-settings = {{ "--build-option" = "..." }}',
    "args": 'args = ["--configure-args=..."]',
    "c-flags": 'c-flags = ["-O3"]',
    "cpp-flags": 'cpp-flags = ["-DNAME"]',
    "cxx-flags": 'cxx-flags = ["-O3"]',
    "ld-flags": 'ld-flags = ["-lm"]',
    "system": 'system = ["libfoo-dev"]',
}
_BACK = "# Deleting this file takes all of it back. `devenv lock` makes a change count; docs/overrides.md explains the fields."


def template(override: Override, packages: Sequence[Package], lockfile: str) -> str:
    """Every field as a comment. `packages` are what `lockfile` has of this name."""
    lines = [f"# {override.label} of {lockfile}{_versions(packages)}.", _BACK, ""]
    table = OVERRIDES[override.kind]
    version = packages[0].version if packages else "1.0"

    def shown(text: str) -> list[str]:
        return [
            f"# {line.removeprefix('# ')}"
            for line in text.format(name=_plain(override), version=version).split("\n")
        ]

    for name in ("version", "source", "patches"):
        if name in table.fields:
            lines += [f"# {table.fields[name].doc}", *shown(_EXAMPLES[name]), ""]
    for name in ("environment", "isolated"):
        if name in table.fields:
            lines += [f"# {table.fields[name].doc}", *shown(_EXAMPLES[name]), ""]
    build = _build_table(table)
    if build is not None:
        lines += ["# How it is built.", "# [build]"]
        for name, item in build.fields.items():
            (text,) = shown(_BUILD_EXAMPLES[name])
            lines.append(f"{text}    # {item.doc}")
        lines.append("")
    return "\n".join(lines)


def full_copy(override: Override, package: Package, lockfile: str) -> str:
    """All that a package's plan says, as an override that changes nothing."""
    table = OVERRIDES[override.kind]
    lines = [f"# {override.label} of {lockfile}, as it is.", _BACK, ""]
    if "version" in table.fields:
        lines.append(f"version = {quoted(package.version)}")
    lines += [_source(package), "patches = []", ""]
    build = _build_table(table)
    if "environment" in table.fields:
        lines += ["[environment]", ""]
    if build is not None:
        lines += ["[build]", *_build(package, build), ""]
    if "isolated" in table.fields:
        lines += ["[isolated]", ""]
    return "\n".join(lines)


def _build(package: Package, build: Table) -> Iterator[str]:
    for name, item in build.fields.items():
        if name == "from-source":
            if package.build is None:
                yield "# from-source = true"
            continue
        if name == "requires" and package.build is not None:
            pinned = ", ".join(f"{each.name} {each.version}" for each in package.build.requires)
            yield f"# what it asks for itself, pinned in devenv.lock: {pinned or 'nothing'}"
        if name == "config-settings":
            given = package.build.settings if package.build is not None else ()
            yield f"config-settings = {{ {', '.join(f'{quoted(k)} = {quoted(v)}' for k, v in given)} }}"
            continue
        yield f"{name} = []    # {item.doc}"


def _source(package: Package) -> str:
    file = package.file
    hash = f", hash = {quoted(file.hash.sri)}" if file.hash.algorithm in ("sha256", "sha512") else ""
    return f"source = {{ {_place(file, package)}{hash} }}"


def _place(file: RemoteFile, package: Package) -> str:
    if file.url.startswith("git+"):
        url, _, commit = file.url.removeprefix("git+").rpartition("#")
        inner = package.build.subdirectory if package.build is not None else ""
        place = f", directory = {quoted(inner)}" if inner else ""
        return f"git = {quoted(url)}, commit = {quoted(commit)}{place}"
    if file.url.startswith("project:"):
        return f"path = {quoted(file.url.removeprefix('project:'))}"
    return f"url = {quoted(file.url)}"


def quoted(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _build_table(table: Table) -> Table | None:
    field = table.fields.get("build")
    return field.shape if field is not None and isinstance(field.shape, Table) else None


def _versions(packages: Sequence[Package]) -> str:
    found = ", ".join(sorted({package.version for package in packages}))
    return f", which has {found}" if found else ""


def _plain(override: Override) -> str:
    return override.name.rpartition("/")[2]
