"""The sources of Cargo projects as a view: directories that cargo takes in place of registries and repositories.

    vendor/<number>/<crate>-<version>   -> the store object, for each source of each lock
    locks/<number>/{Cargo.lock,config.toml,directory}
    bin/cargo                           a small program in front of the machine's own cargo

cargo takes no replacement of sources from environment variables, a CARGO_HOME of ours would hide the user's own
settings, logins and programs, and a file in the project's .cargo would be a change of the project. What is left is
`--config`, which bin/cargo adds wherever the Cargo.lock at hand is the one that the directories were made for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from devenv.adapter import CargoSource, CargoSources
from devenv.views.operations import File, Op, Symlink

# What has to see the registries themselves.
_PLAIN_COMMANDS = (
    *(
        "add",
        "update",
        "search",
        "info",
        "publish",
        "login",
        "logout",
        "owner",
        "yank",
        "install",
        "uninstall",
    ),
    *("generate-lockfile", "vendor", "new", "init"),
)

_WRAPPER = """\
#!/bin/sh
# cargo with the crates of this environment in place of its registries and repositories, wherever Cargo.lock is
# the one that they were taken for. Written by devenv. DEVENV_CARGO=plain switches it off.
view=$(CDPATH= cd -- "${0%/*}/.." && pwd -P) || exit 1
old_ifs=$IFS IFS=: real=
set -f
for directory in $PATH; do
    candidate=${directory:-.}/cargo
    if [ -f "$candidate" ] && [ -x "$candidate" ] && ! [ "$candidate" -ef "$view/bin/cargo" ]; then
        real=$candidate
        break
    fi
done
set +f
IFS=$old_ifs
if [ -z "$real" ]; then
    echo "devenv: there is no cargo on PATH; install it (rustup, or your distribution's package cargo)" >&2
    exit 127
fi
toolchain=
case ${1-} in
    +*) toolchain=$1; shift ;;
esac
command= manifest= skip= next=
for word do
    if [ -n "$next" ]; then manifest=$word next=; continue; fi
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
        --) break ;;
        --manifest-path) next=1 ;;
        --manifest-path=*) manifest=${word#*=} ;;
        --config | --color | -Z | -C) [ -n "$command" ] || skip=1 ;;
        -*) ;;
        *) [ -n "$command" ] || command=$word ;;
    esac
done
plain=${DEVENV_CARGO-}
case $command in
    '' | @PLAIN@) plain=plain ;;
esac
config=
if [ "$plain" != plain ]; then
    place=$PWD
    case $manifest in
        '') ;;
        /*) place=${manifest%/*} ;;
        */*) place=$PWD/${manifest%/*} ;;
    esac
    place=$(CDPATH= cd -- "$place" 2>/dev/null && pwd -P) || place=
    while [ -n "$place" ] && ! [ -f "$place/Cargo.lock" ]; do place=${place%/*}; done
    for lock in "$view"/locks/*; do
        if [ -n "$place" ] && cmp -s "$place/Cargo.lock" "$lock/Cargo.lock"; then
            config=$lock/config.toml
            break
        fi
    done
    if [ -z "$config" ] && [ -n "$place" ]; then
        for lock in "$view"/locks/*; do
            if [ "$place" -ef "$view/../../$(cat "$lock/directory")" ]; then
                echo "devenv: Cargo.lock has changed, so cargo asks its registries;" \\
                    '`devenv lock` and `devenv enter` bring the new crates' >&2
            fi
        done
    fi
fi
if [ -n "$config" ]; then set -- --config "$config" "$@"; fi
if [ -n "$toolchain" ]; then set -- "$toolchain" "$@"; fi
exec "$real" "$@"
"""


def cargo_ops(
    views: Sequence[tuple[str, CargoSources]],
    trees: Mapping[str, str],
    *,
    root: str,
    default_index: str | None,
) -> list[Op]:
    """The operations of the view in the directory `root`.

    `views`: each lock's directory relative to the project, and what it means. `trees`: the unpacked crate by
    `crate_key`. `default_index`: the registry that cargo takes by default, as locks name it.
    """
    ops: list[Op] = [File(dest="bin/cargo", contents=_wrapper(), executable=True)]
    numbers: dict[str, int] = {}
    for index, (directory, view) in enumerate(views):
        places = {}
        for key in view.sources:
            number = numbers.setdefault(key, len(numbers))
            places[key] = f"{root}/vendor/{number}"
            ops += _links(key, number, view, trees)
        text = "\n".join(_config(view.sources, places, default_index))
        ops.append(File(dest=f"locks/{index}/Cargo.lock", contents=view.lock.encode()))
        ops.append(File(dest=f"locks/{index}/config.toml", contents=text.encode() + b"\n"))
        ops.append(File(dest=f"locks/{index}/directory", contents=f"{directory or '.'}\n".encode()))
    return list(dict.fromkeys(ops))


def crate_key(source: str, name: str) -> str:
    """The key of a crate's tree: its source as the lock has it, and "NAME-VERSION"."""
    return f"{source} {name}"


def _links(key: str, number: int, view: CargoSources, trees: Mapping[str, str]) -> Iterator[Op]:
    for name in view.crates[key]:
        yield Symlink(dest=f"vendor/{number}/{name}", target=trees[crate_key(key, name)])


def _wrapper() -> bytes:
    return _WRAPPER.replace("@PLAIN@", " | ".join(_PLAIN_COMMANDS)).encode()


def _config(
    sources: Mapping[str, CargoSource], places: Mapping[str, str], default_index: str | None
) -> Iterator[str]:
    """Source replacement as the Cargo Book describes it, a table for each source and for each directory."""
    yield "# Written by devenv: where the crates of Cargo.lock are."
    for number, (key, source) in enumerate(sources.items()):
        if source.kind == "registry" and source.url.removeprefix("registry+") == default_index:
            yield "\n[source.crates-io]"
        else:
            yield f"\n[source.devenv-{number}]"
            place = source.url.removeprefix("registry+")
            yield f"{'git' if source.kind == 'git' else 'registry'} = {json.dumps(place)}"
            if source.selector is not None:
                yield f"{source.selector[0]} = {json.dumps(source.selector[1], ensure_ascii=False)}"
        yield f'replace-with = "devenv-directory-{number}"'
        yield f"\n[source.devenv-directory-{number}]"
        yield f"directory = {json.dumps(places[key], ensure_ascii=False)}"
