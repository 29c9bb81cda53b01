# Every environment's file brings these functions; they and their state go when the last environment is left.
#
# What is done is kept in a journal. A step has its environment, kind, name, separator, value, and what was there
# before: a letter and the old value (of a function, its text), x exported, l of the shell only, - nothing; s means that the step changed
# nothing; of a function also how the shell writes what was made. Leaving undoes the steps of one environment. Steps of later environments on the same variables are
# undone before and done again after, so environments can be left in any order.

if shopt -q expand_aliases; then __devenv_aliases=1; else __devenv_aliases=; fi
shopt -u expand_aliases # the user's aliases must not change what follows

# __devenv_open ID FILE NEEDED: begin an environment; 1 if this project is in it already. FILE is this file as
# it was sourced; with NEEDED not empty, the directory of the spec object is found from it.
__devenv_open() {
    local __devenv_each
    if [ -z "${__devenv_project-}" ]; then
        case $2 in
        .devenv/env/*) __devenv_project=$PWD ;;
        */.devenv/env/*) __devenv_directory "${2%/.devenv/env/*}/" __devenv_project ;;
        *) __devenv_project=$PWD ;;
        esac
    fi
    case $__devenv_project in
    /*) ;;
    *) __devenv_project=$PWD/$__devenv_project ;;
    esac
    for __devenv_each in "${__devenv_layers[@]}"; do
        if [ "$__devenv_each" = "$1 $__devenv_project" ]; then return 1; fi
    done
    __devenv_layers+=("$1 $__devenv_project")
    if [ -z "${__devenv_spec-}" ] && [ -n "$3" ]; then __devenv_directory "$2" __devenv_spec; fi
    return 0
}

# __devenv_directory FILE VARIABLE: the directory of a file, without links. FILE may be relative.
__devenv_directory() {
    local __devenv_dir=$1
    case $__devenv_dir in
    /*) ;;
    *) __devenv_dir=$PWD/$__devenv_dir ;;
    esac
    # The x keeps a newline at the end of the name.
    __devenv_dir=$(builtin cd -P -- "${__devenv_dir%/*}/" >/dev/null && builtin pwd -P && builtin echo x)
    printf -v "$2" %s "${__devenv_dir%$'\n'x}"
}

# __devenv_step KIND NAME SEPARATOR VALUE: do a step and note it in the journal.
__devenv_step() {
    local __devenv_i=$__devenv_count
    __devenv_count=$((__devenv_i + 1))
    __devenv_layer[__devenv_i]=${__devenv_layers[${#__devenv_layers[@]} - 1]}
    __devenv_kind[__devenv_i]=$1
    __devenv_name[__devenv_i]=$2
    __devenv_target[__devenv_i]=variable-$2
    case $1 in
    alias | unalias) __devenv_target[__devenv_i]=alias-$2 ;;
    function) __devenv_target[__devenv_i]=function-$2 ;;
    esac
    __devenv_separator[__devenv_i]=$3
    __devenv_value[__devenv_i]=$4
    if [ "$1" = set ] && [ -z "${!2+x}" ] && export "$2=$4"; then
        __devenv_old[__devenv_i]=- # by far the most frequent step, so it has a short way
    else
        __devenv_do "$__devenv_i"
    fi
}

# __devenv_look KIND NAME: __devenv_now becomes the letter and the value of what is there.
__devenv_look() {
    if [ "$1" = function ]; then
        __devenv_now=-
        if declare -F "$2" >/dev/null; then
            __devenv_now=$(declare -Fp "$2" && declare -f "$2")
            case ${__devenv_now%%$'\n'*} in
            *' -'*x*" $2") __devenv_now=x${__devenv_now#*$'\n'} ;;
            *) __devenv_now=l${__devenv_now#*$'\n'} ;;
            esac
        fi
    elif [ "$1" = alias ] || [ "$1" = unalias ]; then
        if [ -n "${BASH_ALIASES[$2]+x}" ]; then __devenv_now=x${BASH_ALIASES[$2]}; else __devenv_now=-; fi
    elif [ -z "${!2+x}" ]; then
        __devenv_now=-
    else
        case ${!2@a} in
        *x*) __devenv_now=x${!2} ;;
        *) __devenv_now=l${!2} ;;
        esac
    fi
}

# __devenv_put KIND NAME STATE: what __devenv_look then finds; 1 if the variable cannot hold it.
__devenv_put() {
    # A number would be evaluated, commands in its subscripts included.
    case $1 in
    alias | unalias | function) ;;
    *) if [ -n "${!2+x}" ]; then case ${!2@a} in *i*) return 1 ;; esac fi ;;
    esac
    case $1:$3 in
    *alias:-) unalias -- "$2" ;;
    *alias:*) alias -- "$2=${3#?}" ;;
    function:*)
        # Of a readonly function nothing is changed.
        if declare -F "$2" >/dev/null; then unset -f "$2" 2>/dev/null || return 1; fi
        case $3 in
        x*) eval "${3#?}" && export -f "$2" ;;
        l*) eval "${3#?}" ;;
        esac
        ;;
    *:-) unset -v "$2" ;;
    *:x*) export "$2=${3#?}" ;;
    *) export -n "$2=${3#?}" ;;
    esac
}

# __devenv_do INDEX: do a step of the journal and note what was there before.
__devenv_do() {
    local __devenv_now __devenv_then __devenv_rest __devenv_joint=
    local __devenv_k=${__devenv_kind[$1]} __devenv_n=${__devenv_name[$1]} __devenv_v=${__devenv_value[$1]}
    __devenv_look "$__devenv_k" "$__devenv_n"
    __devenv_rest=${__devenv_now#?}
    if [ -n "$__devenv_rest" ]; then __devenv_joint=${__devenv_separator[$1]}; fi
    case $__devenv_k:$__devenv_now in
    unset:* | unalias:*) __devenv_then=- ;;
    function:*) __devenv_then="l$__devenv_n () {"$'\n'"$__devenv_v"$'\n}' ;;
    prepend:*) __devenv_then=x$__devenv_v$__devenv_joint$__devenv_rest ;;
    append:*) __devenv_then=x$__devenv_rest$__devenv_joint$__devenv_v ;;
    prompt:x*) __devenv_then=x$__devenv_v$__devenv_rest ;;
    prompt:l*) __devenv_then=l$__devenv_v$__devenv_rest ;;
    default:- | set:* | alias:*) __devenv_then=x$__devenv_v ;;
    *) __devenv_then=$__devenv_now ;;
    esac
    __devenv_old[$1]=s
    # A text that is no program by itself could end the function before its end, and what follows would run at once.
    if [ "$__devenv_k" = function ] && ! BASH_ENV= "$BASH" -n <<<"$__devenv_v"; then
        __devenv_old[$1]=s
    elif [ "$__devenv_then" != "$__devenv_now" ] && __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_then"; then
        __devenv_old[$1]=$__devenv_now
        if [ "$__devenv_k" = function ]; then
            __devenv_look function "$__devenv_n"
            __devenv_made[$1]=$__devenv_now
        fi
    fi
    if [ "$__devenv_k:${__devenv_old[$1]}" = function:s ]; then
        printf 'devenv: the function %s of the environment is not there\n' "$__devenv_n" >&2
        if ! declare -F "$__devenv_n" >/dev/null; then __devenv_put function "$__devenv_n" "$__devenv_now"; fi
    fi
}

# __devenv_undo INDEX: undo a step of the journal; 1 if what it did, or found done already, is not there any more.
__devenv_undo() {
    local __devenv_now __devenv_rest __devenv_o=${__devenv_old[$1]} __devenv_v=${__devenv_value[$1]}
    local __devenv_k=${__devenv_kind[$1]} __devenv_n=${__devenv_name[$1]}
    __devenv_look "$__devenv_k" "$__devenv_n"
    case $__devenv_o:$__devenv_k:$__devenv_now in
    s:default:-) return 1 ;;
    s:default:* | s:prepend:* | s:append:* | s:prompt:*) return 0 ;;
    esac
    case $__devenv_k in
    prepend | append | prompt)
        if [ "$__devenv_now" = - ]; then return 1; fi
        __devenv_remove "$__devenv_k" "${__devenv_separator[$1]}" "$__devenv_v" || return 1
        case $__devenv_o:$__devenv_rest in
        -:) ;;
        l*) __devenv_o=l$__devenv_rest ;;
        *) __devenv_o=x$__devenv_rest ;;
        esac
        ;;
    function) if [ "$__devenv_now" != "${__devenv_made[$1]-}" ]; then return 1; fi ;;
    unset | unalias) if [ "$__devenv_now" != - ]; then return 1; fi ;;
    *) if [ "$__devenv_now" != "x$__devenv_v" ]; then return 1; fi ;;
    esac
    if [ "$__devenv_o" = s ]; then return 0; fi
    __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_o"
}

# __devenv_remove KIND SEPARATOR ENTRY: __devenv_rest becomes the value of __devenv_now less one ENTRY, the last
# one of KIND append, else the first; 1 if there is none.
__devenv_remove() {
    local __devenv_entry=$2$3$2 __devenv_all=$2${__devenv_now#?}$2 __devenv_before
    if [ "$1" = append ]; then
        __devenv_before=${__devenv_all%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all##*"$__devenv_entry"}
    else
        __devenv_before=${__devenv_all%%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all#*"$__devenv_entry"}
    fi
    if [ "$__devenv_before" = "$__devenv_all" ]; then return 1; fi
    __devenv_rest=$__devenv_before$2$__devenv_rest
    __devenv_rest=${__devenv_rest#"$2"}
    __devenv_rest=${__devenv_rest%"$2"}
}

# __devenv_leave [ID]: leave the environment entered last, or the last one with this ID.
__devenv_leave() {
    local __devenv_i __devenv_j __devenv_left=
    local -a __devenv_again=() __devenv_all=("${!__devenv_kind[@]}")
    local -A __devenv_touched=()
    for ((__devenv_i = ${#__devenv_layers[@]} - 1; __devenv_i >= 0; __devenv_i--)); do
        __devenv_left=${__devenv_layers[__devenv_i]}
        if [ -z "${1-}" ] || [ "${__devenv_left%% *}" = "${1-}" ]; then break; fi
    done
    if [ "$__devenv_i" -lt 0 ]; then return 0; fi
    __devenv_layers=("${__devenv_layers[@]:0:__devenv_i}" "${__devenv_layers[@]:__devenv_i+1}")
    for __devenv_i in "${__devenv_all[@]}"; do
        if [ "${__devenv_layer[__devenv_i]}" != "$__devenv_left" ]; then continue; fi
        __devenv_touched[${__devenv_target[__devenv_i]}]=$__devenv_i
    done
    for ((__devenv_j = ${#__devenv_all[@]} - 1; __devenv_j >= 0; __devenv_j--)); do
        __devenv_i=${__devenv_all[__devenv_j]}
        if [ "${__devenv_layer[__devenv_i]}" = "$__devenv_left" ]; then
            __devenv_undo "$__devenv_i" || :
            __devenv_forget "$__devenv_i"
        elif [ "${__devenv_touched[${__devenv_target[__devenv_i]}]-$__devenv_i}" -lt "$__devenv_i" ]; then
            # What the user has changed since is the user's, and not done again.
            if __devenv_undo "$__devenv_i"; then
                __devenv_again=("$__devenv_i" "${__devenv_again[@]}")
            else
                __devenv_forget "$__devenv_i"
            fi
        fi
    done
    for __devenv_i in "${__devenv_again[@]}"; do __devenv_do "$__devenv_i"; done
    if [ "${#__devenv_layers[@]}" -eq 0 ]; then __devenv_vanish; fi
    return 0
}

# __devenv_forget INDEX: remove a step from the journal.
__devenv_forget() {
    unset -v "__devenv_layer[$1]" "__devenv_kind[$1]" "__devenv_name[$1]" "__devenv_target[$1]"
    unset -v "__devenv_separator[$1]" "__devenv_value[$1]" "__devenv_old[$1]" "__devenv_made[$1]"
}

# __devenv_vanish: remove everything of ours.
__devenv_vanish() {
    unset -v __devenv_layers __devenv_count __devenv_layer __devenv_kind __devenv_name __devenv_target
    unset -v __devenv_separator __devenv_value __devenv_old __devenv_made
    unset -f __devenv_open __devenv_directory __devenv_step __devenv_look __devenv_put __devenv_do
    unset -f __devenv_undo __devenv_remove __devenv_leave __devenv_forget __devenv_vanish devenv_leave
}

# Leave the environment entered last.
devenv_leave() {
    __devenv_leave || :
}

if [ -z "${__devenv_count-}" ]; then
    __devenv_count=0
    __devenv_layers=() __devenv_layer=() __devenv_kind=() __devenv_name=() __devenv_target=()
    __devenv_separator=() __devenv_value=() __devenv_old=() __devenv_made=()
fi
