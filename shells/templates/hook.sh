# After each cd: be in the environment of the nearest project. POSIX has no event before a prompt, so news comes with the
# next cd; ksh93 runs a function for its prompt, and has it there. No process is started while nothing changed;
# everything is compared by builtins. What a project's environment is, and when it is out of date, is said by files in the
# user's own state directory, never by the project.

# __devenv_hook: the last status stays as it was.
__devenv_hook() {
    __devenv_hook_status=$?
    if [ "$PWD" != "$__devenv_hook_pwd" ]; then
        __devenv_hook_look moved || :
    elif eval "$__devenv_hook_changed"; then
        __devenv_hook_look || :
    fi
    return "$__devenv_hook_status"
}

# __devenv_hook_look [moved]: find the project, read what is known about it, enter or leave, ask for what is missing.
__devenv_hook_look() {
    case ${1-} in moved) __devenv_hook_asked= ;; esac
    __devenv_hook_pwd=$PWD
    __devenv_hook_find
    if [ -z "$__devenv_hook_found" ]; then
        __devenv_hook_root= __devenv_hook_version=
        __devenv_hook_switch '' ''
        # A devenv.toml may appear here. Above it is looked for when the directory changes.
        __devenv_hook_changed='[ -f devenv.toml ]'
        return 0
    fi
    if [ "$__devenv_hook_found" != "$__devenv_hook_root" ] || [ -z "$__devenv_hook_version" ] ||
        ! [ "$__devenv_hook_tree$__devenv_hook_found/=devenv=/current" -ef "$__devenv_hook_version" ]; then
        __devenv_hook_load "$__devenv_hook_found"
    fi
    __devenv_hook_check "${1-}"
}

# __devenv_hook_find: __devenv_hook_found becomes the nearest directory with a devenv.toml, links resolved, or empty.
__devenv_hook_find() {
    __devenv_hook_found= __devenv_hook_at=$PWD
    # Resolving takes another process in POSIX, so it is done where there is a link.
    while [ -n "$__devenv_hook_at" ]; do
        if [ -L "$__devenv_hook_at" ]; then break; fi
        __devenv_hook_at=${__devenv_hook_at%/*}
    done
    if [ -n "$__devenv_hook_at" ]; then
        __devenv_hook_at=$(pwd -P && printf x)
        __devenv_hook_at=${__devenv_hook_at%?x}
    else
        __devenv_hook_at=$PWD
    fi
    while [ -n "$__devenv_hook_at" ] && ! [ -f "$__devenv_hook_at/devenv.toml" ]; do
        __devenv_hook_at=${__devenv_hook_at%/*}
    done
    # What is known is kept in lines, under the directory's own name.
    case $__devenv_hook_at/ in
    *'
'* | */=devenv=/* | [!/]*) ;;
    *) __devenv_hook_found=$__devenv_hook_at ;;
    esac
}

# __devenv_hook_load PROJECT: read the newest version and be in its environment.
__devenv_hook_load() {
    __devenv_hook_dir=$__devenv_hook_tree$1/=devenv= __devenv_hook_inside=
    if [ "$1" = "$__devenv_hook_root" ] && [ -n "$__devenv_hook_version" ]; then __devenv_hook_inside=1; fi
    __devenv_hook_root=$1 __devenv_hook_version= __devenv_hook_often= __devenv_hook_all= __devenv_hook_line=0
    __devenv_hook_head= __devenv_hook_named= __devenv_hook_spec= __devenv_hook_say= __devenv_hook_news=
    if [ -r "$__devenv_hook_dir/current/entry" ]; then
        while IFS= read -r __devenv_hook_text; do
            __devenv_hook_take "$__devenv_hook_text"
            __devenv_hook_line=$((__devenv_hook_line + 1))
        done <"$__devenv_hook_dir/current/entry"
    fi
    if [ "$__devenv_hook_head" != 'devenv-hook 1' ] || [ "$__devenv_hook_named" != "$1" ]; then
        __devenv_hook_version=
        __devenv_hook_switch '' ''
        return 0
    fi
    __devenv_hook_switch "$__devenv_hook_spec" "$1"
    if [ "$__devenv_hook_version" != "$__devenv_hook_told" ]; then
        __devenv_hook_tell "$__devenv_hook_say"
        if [ -n "$__devenv_hook_inside" ]; then __devenv_hook_tell "$__devenv_hook_news"; fi
        __devenv_hook_told=$__devenv_hook_version
    fi
}

# __devenv_hook_take LINE: one line of an entry, the one that __devenv_hook_line counts.
__devenv_hook_take() {
    case $__devenv_hook_line in
    0) __devenv_hook_head=$1 ;;
    1) __devenv_hook_version=$__devenv_hook_dir/${1#version } ;;
    2) __devenv_hook_named=${1#project } ;;
    3) ;;
    4) __devenv_hook_spec=${1#spec } ;;
    5) __devenv_hook_say=${1#say } ;;
    6) __devenv_hook_news=${1#news } ;;
    *)
        __devenv_hook_quote "${1#* }"
        __devenv_hook_path=$__devenv_hook_quoted
        __devenv_hook_quote "$__devenv_hook_version/$((__devenv_hook_line - 7))"
        case $1 in
        absent*) __devenv_hook_test=" || [ -e $__devenv_hook_path ]" ;;
        *) __devenv_hook_test=" || [ $__devenv_hook_path -nt $__devenv_hook_quoted ] || [ $__devenv_hook_path -ot $__devenv_hook_quoted ]" ;;
        esac
        __devenv_hook_all=$__devenv_hook_all$__devenv_hook_test
        case $1 in look*) ;; *) __devenv_hook_often=$__devenv_hook_often$__devenv_hook_test ;; esac
        ;;
    esac
}

# __devenv_hook_quote TEXT: __devenv_hook_quoted becomes one word of code that stands for the text.
__devenv_hook_quote() {
    __devenv_hook_quoted= __devenv_hook_rest=$1
    while :; do
        case $__devenv_hook_rest in
        *"'"*)
            __devenv_hook_quoted=$__devenv_hook_quoted${__devenv_hook_rest%%"'"*}"'\\''"
            __devenv_hook_rest=${__devenv_hook_rest#*"'"}
            ;;
        *) break ;;
        esac
    done
    __devenv_hook_quoted="'$__devenv_hook_quoted$__devenv_hook_rest'"
}

__devenv_hook_tell() {
    if [ -n "$1" ]; then printf 'devenv: %s\n' "$1" >&2; fi
}

# __devenv_hook_check [moved]: ask for a new version where this one is out of date, and write into __devenv_hook_changed
# the code that says whether to look again although the directory is the same.
__devenv_hook_check() {
    __devenv_hook_quote "$__devenv_hook_tree$__devenv_hook_root/=devenv=/current"
    __devenv_hook_path=$__devenv_hook_quoted
    if [ -n "$__devenv_hook_version" ]; then
        __devenv_hook_quote "$__devenv_hook_version"
        __devenv_hook_changed="! [ $__devenv_hook_path -ef $__devenv_hook_quoted ]"
    else
        __devenv_hook_changed="[ -e $__devenv_hook_path ]"
    fi
    case ${1-} in moved) __devenv_hook_test=$__devenv_hook_all ;; *) __devenv_hook_test=$__devenv_hook_often ;; esac
    if [ -z "$__devenv_hook_version" ] || [ "$__devenv_hook_asked" = "$__devenv_hook_version" ] ||
        { [ -n "$__devenv_hook_meant" ] && ! [ -r "$__devenv_hook_meant/activate.sh" ]; } ||
        eval "$__devenv_hook_changed$__devenv_hook_test"; then
        __devenv_hook_ask
    else
        # Once asked, only a new version can tell anything new.
        __devenv_hook_changed=$__devenv_hook_changed$__devenv_hook_often
    fi
}

# __devenv_hook_ask: have the project looked at in the background, once for each version.
__devenv_hook_ask() {
    if [ "$__devenv_hook_asked" = "${__devenv_hook_version:-none}" ]; then return 0; fi
    __devenv_hook_asked=${__devenv_hook_version:-none}
    (eval "$__devenv_hook_program hook --refresh --project \"\$__devenv_hook_root\"" </dev/null >/dev/null 2>&1 &)
}

# __devenv_hook_switch SPEC PROJECT: leave the environment that this hook entered, and enter this one, if any.
__devenv_hook_switch() {
    if [ "$1" = "$__devenv_hook_meant" ]; then
        if [ -z "$1" ] || [ "$2" = "$__devenv_hook_place" ]; then return 0; fi
    fi
    if [ -n "$__devenv_hook_layer" ] && [ -n "${__devenv_count-}" ]; then __devenv_leave "$__devenv_hook_layer" || :; fi
    __devenv_hook_layer= __devenv_hook_meant=$1 __devenv_hook_place=$2
    if [ -z "$1" ] || ! [ -r "$1/activate.sh" ]; then return 0; fi
    __devenv_hook_before=${__devenv_layers-}
    __devenv_spec=$1 __devenv_project=$2
    . "$1/activate.sh" || :
    if [ "${__devenv_layers-}" != "$__devenv_hook_before" ] && IFS= read -r __devenv_hook_text <"$1/id"; then
        __devenv_hook_layer="$__devenv_hook_text $2"
    fi
}

# cd reacts on the same line, unless the user has a function of this name.
__devenv_hook_wrap() {
    case $(command -V cd 2>/dev/null) in *function*) return 0 ;; esac
    eval 'cd() { command cd "$@" && __devenv_hook; }'
}

if [ -z "${__devenv_hook_on-}" ]; then
    __devenv_hook_on=1 __devenv_hook_root= __devenv_hook_version= __devenv_hook_told= __devenv_hook_asked=
    __devenv_hook_meant= __devenv_hook_place= __devenv_hook_layer=
    __devenv_hook_wrap
    if [ -n "${KSH_VERSION-}" ]; then
        case $KSH_VERSION in
        *93*) PS1='${ __devenv_hook >&2; }'${PS1-} ;;
        esac
    fi
fi
__devenv_hook_pwd= __devenv_hook_changed=false
# Where `devenv enter` starts this shell, it enters first, and what it enters stays.
if [ -z "${__devenv_spec-}" ]; then __devenv_hook; fi
