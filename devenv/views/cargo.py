"""The sources of Cargo projects as a view: directories that cargo takes in place of registries and repositories.

    locks/<number>/{Cargo.lock,config.toml,directory,crates,shared,around}
    bin/cargo                           a small program in front of the machine's own cargo

The directories are a store object, `<source>/<crate>-<version>` -> the crate's own object: what cargo compiles tells
sources apart by their paths, and these are the same in all checkouts and in sandboxes.

cargo takes no replacement of sources from environment variables, a CARGO_HOME of ours would hide the user's own
settings, logins and programs, and a file in the project's .cargo would be a change of the project. What is left is
`--config`, which bin/cargo adds wherever the Cargo.lock at hand is the one that the directories were made for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from devenv.adapter import CargoSource, CargoSources
from devenv.views.cargo_program import cargo_program
from devenv.views.operations import File, Op

PROGRAM = "bin/cargo"


def cargo_ops(files: Mapping[str, bytes]) -> list[Op]:
    """The operations of a view with these files."""
    return [File(dest=name, contents=files[name], executable=name == PROGRAM) for name in sorted(files)]


def cargo_files(
    views: Sequence[tuple[str, CargoSources]],
    *,
    sources: str,
    shared: str,
    around: str,
    default_index: str | None,
    names: Mapping[str, str],
) -> dict[str, bytes]:
    """The files of the view by their places.

    `views`: each lock's directory relative to the project, and what it means. `sources`: the directory of `source_links`.
    `shared`: where what cargo compiles of them is shared, an absolute path; `around`: a name for what compilers find
    around them. `default_index`: the registry that cargo takes by default, as locks name it. `names`: those that sources have
    in cargo's configuration already.
    """
    files = {PROGRAM: cargo_program()}
    numbers = _numbers(views)
    for index, (directory, view) in enumerate(views):
        places = {key: f"{sources}/{numbers[key]}" for key in view.sources}
        texts = {
            "Cargo.lock": view.lock,
            "config.toml": source_replacement(view.sources, places, default_index, names),
            "directory": f"{directory or '.'}\n",
            "crates": "".join(f"{name}\n" for name in _foreign_names(view)),
            "shared": f"{shared}\n",
            "around": f"{around}\n",
        }
        files |= {f"locks/{index}/{name}": text.encode() for name, text in texts.items()}
    return files


def source_links(views: Sequence[tuple[str, CargoSources]], trees: Mapping[str, str]) -> dict[str, str]:
    """The links of the directories that stand for sources. `trees`: the unpacked crate by `crate_key`."""
    numbers = _numbers(views)
    return {
        f"{numbers[key]}/{name}": trees[crate_key(key, name)]
        for _, view in views
        for key in view.sources
        for name in view.crates[key]
    }


def _numbers(views: Sequence[tuple[str, CargoSources]]) -> dict[str, int]:
    keys = dict.fromkeys(key for _, view in views for key in view.sources)
    return {key: number for number, key in enumerate(keys)}


def _foreign_names(view: CargoSources) -> list[str]:
    """The names of crates, but for those that the project's own packages have, too."""
    import tomllib

    own = {each["name"] for each in tomllib.loads(view.lock).get("package", ()) if "source" not in each}
    return sorted({package.name for package in view.packages} - own)


def crate_key(source: str, name: str) -> str:
    """The key of a crate's tree: its source as the lock has it, and "NAME-VERSION"."""
    return f"{source} {name}"


def source_replacement(
    sources: Mapping[str, CargoSource],
    places: Mapping[str, str],
    default_index: str | None,
    names: Mapping[str, str],
) -> str:
    """The config.toml by which cargo takes the directories `places` for `sources`.

    `names`: what the user's configuration calls a source, by its URL.
    """
    return "\n".join(_config(sources, places, default_index, names)) + "\n"


def _config(
    sources: Mapping[str, CargoSource],
    places: Mapping[str, str],
    default_index: str | None,
    names: Mapping[str, str],
) -> Iterator[str]:
    """Source replacement as the Cargo Book describes it, a table for each source and for each directory.

    cargo takes no second name for a source, so one that the user's configuration has a name for keeps it: what is said
    here counts more than that.
    """
    yield "# Written by devenv: where the crates of Cargo.lock are."
    for number, (key, source) in enumerate(sources.items()):
        if source.kind == "registry" and source.url.removeprefix("registry+") == default_index:
            yield "\n[source.crates-io]"
        else:
            yield f"\n[source.{json.dumps(names.get(key, f'devenv-{number}'), ensure_ascii=False)}]"
            place = source.url.removeprefix("registry+")
            yield f"{'git' if source.kind == 'git' else 'registry'} = {json.dumps(place)}"
            if source.selector is not None:
                yield f"{source.selector[0]} = {json.dumps(source.selector[1], ensure_ascii=False)}"
        yield f'replace-with = "devenv-directory-{number}"'
        yield f"\n[source.devenv-directory-{number}]"
        yield f"directory = {json.dumps(places[key], ensure_ascii=False)}"
