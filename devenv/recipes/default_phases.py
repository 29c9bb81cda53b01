"""What the default phases do: texts for a POSIX shell.

A text runs with `set -e` in a shell of its own, in the directory where the phase before it ended. Everything
that it may use is explained in docs/recipes.md.
"""

from __future__ import annotations

UNPACK = """\
mkdir source
cd source
eval "set -- $sources"
for each do
    case $each in
    *.tar | *.tar.* | *.tgz | *.tbz2 | *.txz) tar -xf "$each" ;;
    *.zip) unzip -q "$each" ;;
    *)
        if [ -d "$each" ]; then
            cp -Rp "$each/." .
        else
            name=${each##*/}
            cp -p "$each" "${name#*-}"
        fi
        ;;
    esac
    chmod -R u+w .
done
# An archive holds one directory, as a rule.
case $#,$1 in
1,*.tar | 1,*.tar.* | 1,*.tgz | 1,*.tbz2 | 1,*.txz | 1,*.zip)
    set -- *
    if [ $# -eq 1 ] && [ -d "$1" ]; then
        cd "$1"
    fi
    ;;
esac
"""

PATCH = """\
eval "set -- $patches"
for each do
    printf 'applying %s\\n' "$each"
    patch -p1 -i "$each"
done
"""

CONFIGURE = """\
if [ -x ./configure ]; then
    eval "./configure --prefix=\\"\\$out\\" ${configure_flags-}"
fi
"""

BUILD = """\
if [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; then
    eval "make -j\\"\\${NIX_BUILD_CORES:-1}\\" ${make_flags-}"
fi
"""

CHECK = """\
if [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; then
    if eval "make -n check ${make_flags-}" >/dev/null 2>&1; then
        eval "make check ${make_flags-}"
    fi
fi
"""

INSTALL = """\
if [ -e Makefile ] || [ -e makefile ] || [ -e GNUmakefile ]; then
    eval "make install \\"prefix=\\$out\\" \\"PREFIX=\\$out\\" ${make_flags-}"
else
    echo 'there is no Makefile: this recipe needs an install phase of its own' >&2
    exit 1
fi
"""

# Programs that a pinned input interprets name it by its whole path from here on.
FIXUP = """\
if [ -d "$out/bin" ]; then
    for each in "$out"/bin/*; do
        [ -f "$each" ] && [ ! -L "$each" ] && [ "$(head -c 2 "$each")" = '#!' ] || continue
        read -r line <"$each"
        set -f
        set -- ${line#??}
        set +f
        if [ "${1##*/}" = env ] && [ $# -gt 1 ]; then
            shift
        fi
        program=$(command -v "${1##*/}") || continue
        shift
        case $program in
        "$NIX_STORE"/*)
            {
                printf '#!%s\n' "$program${*:+ $*}"
                tail -n +2 "$each"
            } >"$each.fixed"
            cat "$each.fixed" >"$each"
            rm "$each.fixed"
            ;;
        esac
    done
fi
"""

DEFAULTS = {
    "unpack": UNPACK,
    "patch": PATCH,
    "configure": CONFIGURE,
    "build": BUILD,
    "check": CHECK,
    "install": INSTALL,
    "fixup": FIXUP,
}
