# Every environment's file brings these functions; they and their state go when the last environment is left.
#
# What is done is kept in a journal. A step has its environment, kind, name, separator, value, and what was there
# before: a letter and the old value (of a function, its body), x exported, l of the shell only, - nothing; s means that the step changed
# nothing; of a function also how the shell writes what was made. Leaving undoes the steps of one environment. Steps of later environments on the same variables are
# undone before and done again after, so environments can be left in any order.

# The user's aliases, the global ones above all, must not change what follows, nor csh's rule that a newline ends
# a quoted text.
__devenv_options=()
if [[ -o aliases ]]; then __devenv_options+=(aliases); fi
if [[ -o csh_junkie_quotes ]]; then __devenv_options+=(csh_junkie_quotes); fi
unsetopt aliases csh_junkie_quotes

# __devenv_open ID FILE NEEDED: begin an environment; 1 if this project is in it already. FILE is this file as
# it was sourced; with NEEDED not empty, the directory of the spec object is found from it.
__devenv_open() {
    local __devenv_each
    if [[ -z ${__devenv_project-} ]]; then
        case $2 in
        (*/.devenv/env/*) __devenv_project=${${2%/.devenv/env/*}:A} ;;
        (*) __devenv_project=$PWD ;;
        esac
    fi
    if [[ $__devenv_project != /* ]]; then __devenv_project=$PWD/$__devenv_project; fi
    for __devenv_each in "${__devenv_layers[@]}"; do
        if [[ $__devenv_each == "$1 $__devenv_project" ]]; then return 1; fi
    done
    __devenv_layers+=("$1 $__devenv_project")
    if [[ -z ${__devenv_spec-} && -n $3 ]]; then __devenv_spec=${2:A:h}; fi
    return 0
}

# __devenv_step KIND NAME SEPARATOR VALUE: do a step and note it in the journal.
__devenv_step() {
    local __devenv_i=$__devenv_count
    __devenv_count=$((__devenv_i + 1))
    __devenv_layer[$__devenv_i]=$__devenv_layers[-1]
    __devenv_kind[$__devenv_i]=$1
    __devenv_name[$__devenv_i]=$2
    __devenv_target[$__devenv_i]=variable-$2
    case $1 in
    (alias | unalias) __devenv_target[$__devenv_i]=alias-$2 ;;
    (function | completion | entry) __devenv_target[$__devenv_i]=$1-$2 ;;
    esac
    __devenv_separator[$__devenv_i]=$3
    __devenv_value[$__devenv_i]=$4
    if [[ $1 == set ]] && ((!${(P)+2})) && typeset -gx -- "$2=$4"; then
        __devenv_old[$__devenv_i]=- # by far the most frequent step, so it has a short way
    else
        __devenv_do $__devenv_i
    fi
}

# __devenv_completions DIRECTORY: find the completions in a directory of data, and after compinit know them at once.
__devenv_completions() {
    local __devenv_dir __devenv_file __devenv_line __devenv_word
    for __devenv_dir in "$1"/zsh/{vendor-completions,site-functions}; do
        if [[ ! -d $__devenv_dir ]]; then continue; fi
        __devenv_step entry fpath '' "$__devenv_dir"
        if ((!${+functions[compdef]})); then continue; fi
        for __devenv_file in "$__devenv_dir"/_*(N.,N@); do
            IFS= read -r __devenv_line <"$__devenv_file" || continue
            if [[ $__devenv_line != '#compdef '* || ${__devenv_file:t} == *[^a-zA-Z0-9_.+-]* ]]; then continue; fi
            __devenv_step function "${__devenv_file:t}" '' 'builtin autoload -XUz'
            for __devenv_word in ${=__devenv_line#\#compdef}; do
                if [[ $__devenv_word == -[pPkKN] ]]; then break; fi
                if [[ $__devenv_word == *[^a-zA-Z0-9_.+-]* || $__devenv_word == -* ]]; then continue; fi
                __devenv_step completion "$__devenv_word" '' "${__devenv_file:t}"
            done
        done
    done
}

# __devenv_look KIND NAME: __devenv_now becomes the letter and the value of what is there.
__devenv_look() {
    __devenv_now=-
    if [[ $1 == function ]]; then
        if ((${+functions[$2]})); then __devenv_now=l${functions[$2]}; fi
    elif [[ $1 == completion ]]; then
        if ((${+_comps[$2]})); then __devenv_now=l${_comps[$2]}; fi
    elif [[ $1 == (alias|unalias) ]]; then
        if ((${+aliases[$2]})); then __devenv_now=x${aliases[$2]}; fi
    elif ((${(P)+2})); then
        # Those of zsh's own that stand for a list, such as MANPATH, are always there.
        case ${(Pt)2}:${(P)2} in
        (*export*) __devenv_now=x${(P)2} ;;
        (*special*:) ;;
        (*) __devenv_now=l${(P)2} ;;
        esac
    fi
}

# __devenv_put KIND NAME STATE: what __devenv_look then finds; 1 if the variable cannot hold it.
__devenv_put() {
    # A number would be evaluated, commands in its subscripts included.
    if [[ $1 != (alias|unalias|function|completion) && ${(Pt)2} == (integer|float)* ]]; then return 1; fi
    case $1:$3 in
    (*alias:-) unalias -- "$2" ;;
    (*alias:*) alias -- "$2=${3#?}" ;;
    (completion:-) unset "_comps[$2]" ;;
    (completion:*) _comps[$2]=${3#?} ;;
    (function:-) unfunction -- "$2" ;;
    (function:*)
        # The user's aliases are not for its words.
        setopt local_options no_aliases interactive_comments
        # What is assigned can be nothing but a body; but bytes of it change, so that only checks.
        functions[__devenv_body]=${3#?}
        if ((!${+functions[__devenv_body]})); then return 1; fi
        unfunction __devenv_body
        if ((${+functions[$2]})); then unfunction -- "$2"; fi
        eval "$2 () {"$'\n'"${3#?}"$'\n}'
        ;;
    (*:-) if [[ ${(Pt)2} == *special* ]]; then typeset -g +x -- "$2="; else unset -v -- "$2"; fi ;;
    (*:x*) typeset -gx -- "$2=${3#?}" ;;
    (*) typeset -g +x -- "$2=${3#?}" ;;
    esac
}

# __devenv_do INDEX: do a step of the journal and note what was there before.
__devenv_do() {
    local __devenv_now __devenv_before __devenv_then __devenv_rest __devenv_joint=
    local __devenv_k=$__devenv_kind[$1] __devenv_n=$__devenv_name[$1] __devenv_v=$__devenv_value[$1]
    if [[ $__devenv_k == entry ]]; then
        fpath=("$__devenv_v" "${fpath[@]}")
        __devenv_old[$1]=-
        return 0
    fi
    __devenv_look "$__devenv_k" "$__devenv_n"
    __devenv_rest=${__devenv_now#?}
    if [[ -n $__devenv_rest ]]; then __devenv_joint=$__devenv_separator[$1]; fi
    case $__devenv_k:$__devenv_now in
    (unset:* | unalias:*) __devenv_then=- ;;
    (function:* | completion:*) __devenv_then=l$__devenv_v ;;
    (prepend:*) __devenv_then=x$__devenv_v$__devenv_joint$__devenv_rest ;;
    (append:*) __devenv_then=x$__devenv_rest$__devenv_joint$__devenv_v ;;
    (prompt:x*) __devenv_then=x$__devenv_v$__devenv_rest ;;
    (prompt:l*) __devenv_then=l$__devenv_v$__devenv_rest ;;
    (default:- | set:* | alias:*) __devenv_then=x$__devenv_v ;;
    (*) __devenv_then=$__devenv_now ;;
    esac
    __devenv_old[$1]=s
    if [[ $__devenv_then != "$__devenv_now" ]] && __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_then"; then
        __devenv_before=$__devenv_now
        __devenv_look "$__devenv_k" "$__devenv_n"
        # A list that the user keeps free of duplicates (typeset -U) had the entry: it moved, and remains.
        if [[ $__devenv_k == function ]]; then __devenv_made[$1]=$__devenv_now; fi
        if [[ $__devenv_now == "$__devenv_then" || $__devenv_k == function ]]; then __devenv_old[$1]=$__devenv_before; fi
    elif [[ $__devenv_k == function && $__devenv_then != "$__devenv_now" ]]; then
        print -ru2 -- "devenv: the function $__devenv_n of the environment is not there"
    fi
}

# __devenv_undo INDEX: undo a step of the journal; 1 if what it did, or found done already, is not there any more.
__devenv_undo() {
    local __devenv_now __devenv_rest __devenv_o=$__devenv_old[$1] __devenv_v=$__devenv_value[$1]
    local __devenv_k=$__devenv_kind[$1] __devenv_n=$__devenv_name[$1]
    if [[ $__devenv_k == entry ]]; then
        if ((!${fpath[(Ie)$__devenv_v]})); then return 1; fi
        fpath[${fpath[(ie)$__devenv_v]}]=()
        return 0
    fi
    __devenv_look "$__devenv_k" "$__devenv_n"
    case $__devenv_o:$__devenv_k:$__devenv_now in
    (s:default:-) return 1 ;;
    (s:default:* | s:prepend:* | s:append:* | s:prompt:*) return 0 ;;
    esac
    case $__devenv_k in
    (prepend | append | prompt)
        if [[ $__devenv_now == - ]]; then return 1; fi
        __devenv_remove "$__devenv_k" "$__devenv_separator[$1]" "$__devenv_v" || return 1
        case $__devenv_o:$__devenv_rest in
        (-:) ;;
        (l*) __devenv_o=l$__devenv_rest ;;
        (*) __devenv_o=x$__devenv_rest ;;
        esac
        ;;
    (function)
        if [[ $__devenv_o == s ]]; then return 0; fi
        # One that is loaded when it is called has another body afterwards.
        if [[ $__devenv_now == - ]]; then return 1; fi
        if [[ $__devenv_v != 'builtin autoload '* && $__devenv_now != "${__devenv_made[$1]-}" ]]; then return 1; fi
        ;;
    (unset | unalias) if [[ $__devenv_now != - ]]; then return 1; fi ;;
    (completion) if [[ $__devenv_now != "l$__devenv_v" ]]; then return 1; fi ;;
    (*) if [[ $__devenv_now != "x$__devenv_v" ]]; then return 1; fi ;;
    esac
    if [[ $__devenv_o == s ]]; then return 0; fi
    __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_o"
}

# __devenv_remove KIND SEPARATOR ENTRY: __devenv_rest becomes the value of __devenv_now less one ENTRY, the last
# one of KIND append, else the first; 1 if there is none.
__devenv_remove() {
    local __devenv_entry=$2$3$2 __devenv_all=$2${__devenv_now#?}$2 __devenv_head
    if [[ $1 == append ]]; then
        __devenv_head=${__devenv_all%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all##*"$__devenv_entry"}
    else
        __devenv_head=${__devenv_all%%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all#*"$__devenv_entry"}
    fi
    if [[ $__devenv_head == "$__devenv_all" ]]; then return 1; fi
    __devenv_rest=$__devenv_head$2$__devenv_rest
    __devenv_rest=${__devenv_rest#"$2"}
    __devenv_rest=${__devenv_rest%"$2"}
}

# __devenv_leave [ID]: leave the environment entered last, or the last one with this ID.
__devenv_leave() {
    emulate -LR zsh
    setopt no_multibyte
    local __devenv_i __devenv_t __devenv_left=
    local -a __devenv_again
    local -A __devenv_touched
    for ((__devenv_i = $#__devenv_layers; __devenv_i > 0; __devenv_i--)); do
        __devenv_left=$__devenv_layers[__devenv_i]
        if [[ -z ${1-} || ${__devenv_left%% *} == "$1" ]]; then break; fi
    done
    if ((__devenv_i == 0)); then return 0; fi
    __devenv_layers[__devenv_i]=()
    for __devenv_i in "${(@k)__devenv_layer}"; do
        if [[ $__devenv_layer[$__devenv_i] != "$__devenv_left" ]]; then continue; fi
        __devenv_t=$__devenv_target[$__devenv_i]
        __devenv_touched[$__devenv_t]=$__devenv_i
    done
    for ((__devenv_i = __devenv_count - 1; __devenv_i >= 0; __devenv_i--)); do
        if ((!${+__devenv_layer[$__devenv_i]})); then continue; fi
        __devenv_t=$__devenv_target[$__devenv_i]
        if [[ $__devenv_layer[$__devenv_i] == "$__devenv_left" ]]; then
            __devenv_undo $__devenv_i
            __devenv_forget $__devenv_i
        elif ((${__devenv_touched[$__devenv_t]:-$__devenv_i} < __devenv_i)); then
            # What the user has changed since is the user's, and not done again.
            if __devenv_undo $__devenv_i; then
                __devenv_again=($__devenv_i $__devenv_again)
            else
                __devenv_forget $__devenv_i
            fi
        fi
    done
    for __devenv_i in $__devenv_again; do __devenv_do $__devenv_i; done
    if (($#__devenv_layers == 0)); then __devenv_vanish; fi
    return 0
}

# __devenv_forget INDEX: remove a step from the journal.
__devenv_forget() {
    unset "__devenv_layer[$1]" "__devenv_kind[$1]" "__devenv_name[$1]" "__devenv_target[$1]"
    unset "__devenv_separator[$1]" "__devenv_value[$1]" "__devenv_old[$1]" "__devenv_made[$1]"
}

# __devenv_vanish: remove everything of ours.
__devenv_vanish() {
    unset __devenv_layers __devenv_count __devenv_layer __devenv_kind __devenv_name __devenv_target
    unset __devenv_separator __devenv_value __devenv_old __devenv_made
    unfunction __devenv_open __devenv_completions __devenv_step __devenv_look __devenv_put __devenv_do
    unfunction __devenv_undo __devenv_remove __devenv_leave __devenv_forget __devenv_vanish devenv_leave
}

# Leave the environment entered last.
devenv_leave() {
    __devenv_leave || :
}

if [[ -z ${__devenv_count-} ]]; then
    __devenv_count=0
    typeset -ga __devenv_layers
    typeset -gA __devenv_layer __devenv_kind __devenv_name __devenv_target
    typeset -gA __devenv_separator __devenv_value __devenv_old __devenv_made
fi
