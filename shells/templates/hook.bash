# Before each prompt: be in the environment of the nearest project. No process is started while nothing changed;
# everything is compared by builtins. What a project's environment is, and when it is out of date, is said by files in
# the user's own state directory, never by the project.

# __devenv_hook: called before each prompt, and by cd where it is wrapped. The last status stays as it was.
__devenv_hook() {
    local __devenv_status=$?
    if [ "$PWD" != "$__devenv_hook_pwd" ] || __devenv_hook_changed; then
        __devenv_hook_look || :
    fi
    return "$__devenv_status"
}

# __devenv_hook_look: find the project, read what is known about it, enter or leave, ask for what is missing.
__devenv_hook_look() {
    local IFS=$' \t\n' __devenv_found=$__devenv_hook_root __devenv_checks=() __devenv_moved=
    if [[ -n $__devenv_hook_given ]]; then __devenv_hook_begin prompt; fi
    if [ "$PWD" != "$__devenv_hook_pwd" ]; then __devenv_moved=1 __devenv_hook_asked=; fi
    if [[ -n $__devenv_moved || -z $__devenv_found || ! -f $__devenv_found/devenv.toml ]]; then
        __devenv_hook_find
    fi
    __devenv_hook_pwd=$PWD
    if [[ -z $__devenv_found ]]; then
        __devenv_hook_root= __devenv_hook_version=
        __devenv_hook_switch '' ''
        # A devenv.toml may appear here. Above it is looked for when the directory changes.
        eval '__devenv_hook_changed() { [[ -f devenv.toml ]]; }'
        return 0
    fi
    if [ "$__devenv_found" != "$__devenv_hook_root" ] || [[ -z $__devenv_hook_version ||
        ! $__devenv_hook_tree$__devenv_found/=devenv=/current -ef $__devenv_hook_version ]]; then
        __devenv_hook_load "$__devenv_found"
    fi
    __devenv_hook_check
}

# __devenv_hook_find: __devenv_found becomes the nearest directory with a devenv.toml, or empty. Links are resolved
# as `devenv enter` does, for which bash has only cd.
__devenv_hook_find() {
    local __devenv_at=$PWD
    __devenv_found=
    while [[ -n $__devenv_at ]]; do
        if [[ -L $__devenv_at ]]; then
            __devenv_hook_resolve
            break
        fi
        __devenv_at=${__devenv_at%/*}
    done
    __devenv_at=${__devenv_at:-$PWD}
    while [[ ! -f $__devenv_at/devenv.toml ]]; do
        if [[ -z $__devenv_at || $__devenv_at != /* ]]; then return 0; fi
        __devenv_at=${__devenv_at%/*}
    done
    # What is known is kept in lines, under the directory's own name.
    if [[ $__devenv_at != *$'\n'* && $__devenv_at/ != */=devenv=/* && -n $__devenv_at ]]; then
        __devenv_found=$__devenv_at
    fi
}

# __devenv_hook_resolve: __devenv_at becomes the current directory without links; where the shell is stays.
__devenv_hook_resolve() {
    local __devenv_here=$PWD __devenv_had=${OLDPWD+x} __devenv_old=${OLDPWD-}
    __devenv_at=$PWD
    if [[ . -ef $__devenv_here ]] && builtin cd -P . &>/dev/null; then
        __devenv_at=$PWD
        builtin cd -L "$__devenv_here" &>/dev/null || :
        if [[ -n $__devenv_had ]]; then OLDPWD=$__devenv_old; else unset -v OLDPWD; fi
    fi
    return 0
}

# __devenv_hook_load PROJECT: read the newest version and be in its environment.
__devenv_hook_load() {
    local __devenv_place=$__devenv_hook_tree$1/=devenv= __devenv_lines=() __devenv_inside=
    if [ "$1" = "$__devenv_hook_root" ] && [[ -n $__devenv_hook_version ]]; then __devenv_inside=1; fi
    __devenv_hook_root=$1 __devenv_hook_version= __devenv_hook_watched=()
    if [[ -r $__devenv_place/current/entry ]]; then
        mapfile -t __devenv_lines <"$__devenv_place/current/entry" || :
    fi 2>/dev/null
    if [[ ${__devenv_lines[0]-} != 'devenv-hook 1' ]] || [ "${__devenv_lines[2]-}" != "project $1" ]; then
        __devenv_hook_switch '' ''
        return 0
    fi
    __devenv_hook_version=$__devenv_place/${__devenv_lines[1]#version }
    __devenv_hook_watched=("${__devenv_lines[@]:7}")
    __devenv_hook_switch "${__devenv_lines[4]#spec }" "$1"
    if [[ $__devenv_hook_version != "$__devenv_hook_told" ]]; then
        __devenv_hook_tell "${__devenv_lines[5]#say }"
        if [[ -n $__devenv_inside ]]; then __devenv_hook_tell "${__devenv_lines[6]#news }"; fi
        __devenv_hook_told=$__devenv_hook_version
    fi
    return 0
}

__devenv_hook_tell() {
    if [[ -n $1 ]]; then builtin printf 'devenv: %s\n' "$1" >&2; fi
}

# __devenv_hook_check: ask for a new version where this one is out of date, and define __devenv_hook_changed, which
# says whether to look again although the directory is the same.
__devenv_hook_check() {
    local __devenv_i __devenv_path __devenv_reference __devenv_often= __devenv_all=
    local __devenv_current="$__devenv_hook_tree$__devenv_hook_root/=devenv=/current"
    for __devenv_i in "${!__devenv_hook_watched[@]}"; do
        __devenv_quote __devenv_path "${__devenv_hook_watched[__devenv_i]#* }"
        __devenv_quote __devenv_reference "$__devenv_hook_version/$__devenv_i"
        case ${__devenv_hook_watched[__devenv_i]%% *} in
        absent) __devenv_path="-e $__devenv_path" ;;
        *) __devenv_path="$__devenv_path -nt $__devenv_reference || $__devenv_path -ot $__devenv_reference" ;;
        esac
        __devenv_all+=" || $__devenv_path"
        if [[ ${__devenv_hook_watched[__devenv_i]} != 'look '* ]]; then
            __devenv_often+=" || $__devenv_path"
        fi
    done
    __devenv_quote __devenv_reference "$__devenv_hook_version"
    __devenv_quote __devenv_current "$__devenv_current"
    if [[ -n $__devenv_hook_version ]]; then
        __devenv_current="! $__devenv_current -ef $__devenv_reference"
    else
        __devenv_current="-e $__devenv_current"
    fi
    if [[ -z $__devenv_moved ]]; then __devenv_all=$__devenv_often; fi
    if [[ -z $__devenv_hook_version || $__devenv_hook_asked = "$__devenv_hook_version" ]] || __devenv_hook_lacks || eval "[[ $__devenv_current$__devenv_all ]]"; then
        __devenv_hook_ask
        __devenv_often= # only a new version can tell anything new
    fi
    eval "__devenv_hook_changed() { [[ $__devenv_current$__devenv_often ]]; }"
}

# __devenv_quote VARIABLE TEXT: one word of code that stands for the text.
__devenv_quote() {
    local __devenv_mark="'\\''"
    builtin printf -v "$1" "'%s'" "${2//\'/"$__devenv_mark"}"
}

# __devenv_hook_lacks: whether the environment to be in is gone from the store.
__devenv_hook_lacks() {
    [[ -n $__devenv_hook_meant && ! -r $__devenv_hook_meant/activate.bash ]]
}

# __devenv_hook_ask: have the project looked at in the background, once for each version.
__devenv_hook_ask() {
    if [[ $__devenv_hook_asked = "${__devenv_hook_version:-none}" ]]; then return 0; fi
    __devenv_hook_asked=${__devenv_hook_version:-none}
    ("${__devenv_hook_program[@]}" hook --refresh --project "$__devenv_hook_root" </dev/null &>/dev/null &)
}

# __devenv_hook_switch SPEC PROJECT: leave the environment that this hook entered, and enter this one, if any.
__devenv_hook_switch() {
    if [[ -n $__devenv_hook_held ]] && [ "$2" = "$__devenv_hook_held_at" ]; then
        __devenv_hook_hold "$1"
        set -- '' ''
    fi
    # Names that differ in case differ here, whatever nocasematch says elsewhere.
    if [ "$1" = "$__devenv_hook_meant" ]; then
        if [[ -z $1 ]] || [ "$2" = "$__devenv_hook_place" ]; then return 0; fi
    fi
    if [[ -n $__devenv_hook_layer ]] && declare -F __devenv_leave >/dev/null; then
        __devenv_leave "${__devenv_hook_layer%% *}" "${__devenv_hook_layer#* }" || :
    fi
    __devenv_hook_layer= __devenv_hook_meant=$1 __devenv_hook_place=$2
    if [[ -z $1 || ! -r $1/activate.bash ]]; then return 0; fi
    __devenv_hook_enter "$1" "$2" activate.bash
    __devenv_hook_layer=$__devenv_hook_entered
}

# __devenv_hook_enter SPEC PROJECT FILE: __devenv_hook_entered becomes the layer, empty where it was there already.
__devenv_hook_enter() {
    local __devenv_count_before=0
    __devenv_hook_entered=
    if [[ -n ${__devenv_layers[*]-} ]]; then __devenv_count_before=${#__devenv_layers[@]}; fi
    __devenv_spec=$1 __devenv_project=$2
    source "$1/$3" || :
    if [[ -n ${__devenv_layers[*]-} && ${#__devenv_layers[@]} -gt $__devenv_count_before ]]; then
        __devenv_hook_entered=${__devenv_layers[${#__devenv_layers[@]} - 1]}
    fi
    return 0
}

# __devenv_hook_begin [prompt]: enter what `devenv enter` started this shell for, now that the user's files are read. It
# stays until the shell ends. At a prompt, which shows that this works, `devenv enter` is told by a note.
__devenv_hook_begin() {
    local __devenv_hook_note=$__devenv_hook_tree/=shells=/${__devenv_hook_given%% *} __devenv_hook_mark=${__devenv_hook_given#* }
    if [[ -z $__devenv_hook_held_layer ]]; then
        __devenv_hook_enter "$__devenv_hook_held" "$__devenv_hook_held_at" begin.bash
        __devenv_hook_held_layer=$__devenv_hook_entered
    fi
    if [[ -n ${1-} ]]; then
        # Only now: a prompt shows that the hook is called.
        __devenv_hook_given=
        { builtin printf '%s\n' "$__devenv_hook_mark" >|"$__devenv_hook_note"; } 2>/dev/null || :
    fi
}

# __devenv_hook_hold SPEC: the newest environment of the project that is held is another one. It replaces what it was made
# from, not one with parameters or profiles of its own, nor one that was left, nor in a root of system packages.
__devenv_hook_hold() {
    local __devenv_hook_each __devenv_hook_there=
    if [[ -z $1 ]]; then return 0; fi
    for __devenv_hook_each in "${__devenv_layers[@]}"; do
        if [ "$__devenv_hook_each" = "$__devenv_hook_held_layer" ]; then __devenv_hook_there=1; fi
    done
    if [[ -n $__devenv_hook_there && $__devenv_hook_newest = "$__devenv_hook_held" && $1 != "$__devenv_hook_held" &&
        ! -e $1/root && -r $1/begin.bash ]]; then
        __devenv_leave "${__devenv_hook_held_layer%% *}" "${__devenv_hook_held_layer#* }" || :
        __devenv_hook_enter "$1" "$__devenv_hook_held_at" begin.bash
        __devenv_hook_held=$1 __devenv_hook_held_layer=$__devenv_hook_entered
    fi
    __devenv_hook_newest=$1
}

# __devenv_hook_take: what `devenv enter` hands over to this shell, and to no other. See devenv/env/hooked.py.
__devenv_hook_take() {
    __devenv_hook_given= __devenv_hook_held= __devenv_hook_held_at= __devenv_hook_held_layer= __devenv_hook_newest=
    if [[ -z ${__devenv_start-} ]]; then return 0; fi
    if [[ ${__devenv_start%% *} = "$$" ]]; then
        __devenv_hook_given=${__devenv_start#* } __devenv_hook_held=$__devenv_spec __devenv_hook_held_at=$__devenv_project
    fi
    unset -v __devenv_start __devenv_spec __devenv_project
}

# __devenv_hook_install: run before each prompt. First, so that the others find the environment, and the user's status;
# but after direnv, which on leaving brings back the whole PATH that it found. Children may inherit the variable.
__devenv_hook_install() {
    local __devenv_call='${__devenv_hook_on:+__devenv_hook}' __devenv_i __devenv_put=
    if [[ ${PROMPT_COMMAND@a} != *a* ]]; then
        case ${PROMPT_COMMAND-} in
        *_direnv_hook*) PROMPT_COMMAND=${PROMPT_COMMAND/_direnv_hook/"_direnv_hook;$__devenv_call"} ;;
        *) PROMPT_COMMAND=$__devenv_call${PROMPT_COMMAND:+";$PROMPT_COMMAND"} ;;
        esac
        return 0
    fi
    for __devenv_i in "${!PROMPT_COMMAND[@]}"; do
        if [[ ${PROMPT_COMMAND[__devenv_i]} = *_direnv_hook* ]]; then
            PROMPT_COMMAND[__devenv_i]+=";$__devenv_call" __devenv_put=1
        fi
    done
    if [[ -z $__devenv_put ]]; then PROMPT_COMMAND=("$__devenv_call" "${PROMPT_COMMAND[@]}"); fi
}

__devenv_hook_changed() { false; }
__devenv_hook_pwd= __devenv_hook_asked= __devenv_hook_told=
if [[ -z ${__devenv_hook_on-} ]]; then
    __devenv_hook_on=1 __devenv_hook_root= __devenv_hook_version= __devenv_hook_watched=()
    __devenv_hook_meant= __devenv_hook_place= __devenv_hook_layer=
    __devenv_hook_take
    __devenv_hook_install
fi
if [[ -n ${__devenv_aliases_were-} ]]; then shopt -s expand_aliases; fi
\unset -v __devenv_aliases_were # aliases are the user's again
