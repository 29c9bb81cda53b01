"""The small program in front of cargo, as text for a POSIX shell: it is `bin/cargo` of a view of Cargo's sources.

It adds `--config` where the Cargo.lock at hand is the one that the view was made for. And it shares what cargo compiled of
that lock: a target directory that is not there yet begins as a copy of what others compiled, and what is new in it
afterwards is copied back. Only crates from registries and repositories take part; their sources are store objects, by
which the directory is named, so that it holds nothing else. cargo's own fingerprints decide whether something fits.

    SHARED/<compiler>/<profile>/{.fingerprint,build,deps}

as in target; <compiler> is the SHA-256 of what is around it (system packages) and of `rustc -vV`.
"""

from __future__ import annotations

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

_PROGRAM = """\
#!/bin/sh
# cargo with the crates of this environment in place of its registries and repositories, wherever Cargo.lock is
# the one that they were taken for. Written by devenv. DEVENV_CARGO=plain switches it off, DEVENV_CARGO=unshared only the
# sharing of what is compiled.
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
command= manifest= skip= next= alone=
for word do
    if [ -n "$next" ]; then manifest=$word next=; continue; fi
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
        --) break ;;
        --manifest-path) next=1 ;;
        --manifest-path=*) manifest=${word#*=} ;;
        # Programs that ask so may end cargo at any time; what lies elsewhere than in target is not shared.
        --message-format* | --target-dir*) alone=1 ;;
        --config | --color | -Z | -C) [ -n "$command" ] || skip=1 ;;
        -*) ;;
        *) [ -n "$command" ] || command=$word ;;
    esac
done
plain=${DEVENV_CARGO-}
case $command in
    '' | @PLAIN@) plain=plain ;;
esac
# In a sandbox nobody has a home.
[ -z "${NIX_BUILD_TOP-}" ] || export CARGO_HOME="${CARGO_HOME:-$NIX_BUILD_TOP/.cargo}"
place=$PWD
case $manifest in
    '') ;;
    /*) place=${manifest%/*} ;;
    */*) place=$PWD/${manifest%/*} ;;
esac
place=$(CDPATH= cd -- "$place" 2>/dev/null && pwd -P) || place=
while [ -n "$place" ] && ! [ -f "$place/Cargo.lock" ]; do place=${place%/*}; done
target=${CARGO_TARGET_DIR:-${CARGO_BUILD_TARGET_DIR:-$place/target}}
# Build scripts copy files of crates, which are read-only in the store, and write over the copies when they run again.
if [ -n "$place" ] && [ -d "$target" ]; then
    chmod -R u+w "$target"/*/build/*/out "$target"/*/*/build/*/out 2>/dev/null
fi
config=
if [ "$plain" != plain ]; then
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

# A copy of the directory $1 as the new directory $target.
begin() {
    [ -d "$1" ] && ! [ -e "$target" ] || return 0
    flock -s "$1" cp -a --reflink=auto "$1" "$target.$$" && mv -T "$target.$$" "$target" || rm -rf "$target.$$"
}

# Copies to directory $1 of what is complete in $target and not there. A unit's fingerprint comes last.
keep() {
    crates=" $(tr '\\n' ' ' <"$lock/crates")"
    for profile in "$target"/*/.fingerprint "$target"/*/*/.fingerprint; do
        [ -d "$profile" ] || continue
        profile=${profile%/.fingerprint}
        to=$1${profile#"$target"} hashes=' '
        set -- "$1"
        for unit in "$profile"/.fingerprint/*-*; do
            name=${unit##*/}
            case $crates in *" ${name%-*} "*) ;; *) continue ;; esac
            [ -e "$to/.fingerprint/$name" ] && continue
            [ -e "$shared/$compiler${profile#"$target"}/.fingerprint/$name" ] && continue
            for json in "$unit"/*.json; do
                [ -e "$json" ] || continue
                set -- "$@" "$name"
                hashes="$hashes${name##*-} "
                break
            done
        done
        [ $# -gt 1 ] || continue
        mkdir -p "$to/.fingerprint" "$to/build" "$to/deps" || return
        copy "$profile" "$to" "$@"
    done
}

# The units $4... of the profile $1, whose hashes are $hashes, to the profile $2 of the directory $3.
copy() (
    profile=$1 to=$2 shared=$3
    shift 3
    names=$*
    set --
    for file in "$profile"/deps/*; do
        hash=${file##*-}
        case $hashes in *" ${hash%%.*} "*) set -- "$@" "$file" ;; esac
    done
    exec 9<"$shared" && flock 9 || exit
    [ $# -eq 0 ] || cp -a --reflink=auto "$@" "$to/deps" || exit
    for part in build .fingerprint; do
        set --
        for name in $names; do [ ! -d "$profile/$part/$name" ] || set -- "$@" "$profile/$part/$name"; done
        [ $# -eq 0 ] || cp -a --reflink=auto "$@" "$to/$part" || exit
    done
)

case $command in
    build | b | check | c | test | t | bench | clippy | rustc) both=1 ;;
    run | r) both= ;;
    *) alone=1 ;;
esac
home=${CARGO_HOME:-${HOME-}/.cargo}
if [ -n "$config" ] && grep -qs -e target-dir -e build-dir "$place"/.cargo/config "$place"/.cargo/config.toml "$home"/config "$home"/config.toml; then
    alone=1
fi
if [ -z "$config" ] || [ -n "$alone" ] || [ -n "$plain" ] || ! command -v flock >/dev/null; then
    exec "$real" "$@"
fi
compiler=$({ cat "$lock/around"; "${RUSTC:-rustc}" ${toolchain:+"$toolchain"} -vV 2>/dev/null; } | sha256sum)
compiler=${compiler%% *}
shared=$(cat "$lock/shared")
# What sandboxed builds compiled is for this project only, and they cannot add to what others have.
built=${DEVENV_CARGO_BUILT:-$view/../state/cargo}/${shared##*/}
shared=${DEVENV_CARGO_SHARED:-$shared}
begin "$shared/$compiler" 2>/dev/null
begin "$built/$compiler" 2>/dev/null
# Build scripts copy files of crates, which are read-only here, and write over the copies when they run again.
chmod -R u+w "$target"/*/build/*/out "$target"/*/*/build/*/out 2>/dev/null || :
[ -n "$both" ] || exec "$real" "$@"
status=0
"$real" "$@" || status=$?
# 101 is any error of cargo's: is it that Cargo.toml asks for what the lock does not have?
if [ "$status" -eq 101 ] && ! "$real" ${toolchain:+"$toolchain"} --config "$config" metadata --locked --offline \
    --format-version=1 --manifest-path "$place/Cargo.toml" >/dev/null 2>&1; then
    echo "devenv: cargo sees the crates of Cargo.lock only, and Cargo.toml asks for others;" \
        '`cargo update --workspace` locks them, or `DEVENV_CARGO=plain cargo ...` asks the registries this once' >&2
fi
to=$shared/$compiler
[ -z "${DEVENV_CARGO_BUILT-}" ] || to=$built/$compiler
if mkdir -p "$to" 2>/dev/null; then keep "$to" 2>/dev/null; fi
exit $status
"""


def cargo_program() -> bytes:
    """The text of `bin/cargo`."""
    return _PROGRAM.replace("@PLAIN@", " | ".join(_PLAIN_COMMANDS)).encode()
