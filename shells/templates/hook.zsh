# Before each prompt and after each change of directory: be in the environment of the nearest project. No process is
# started while nothing changed; everything is compared by builtins. What a project's environment is, and when it is out
# of date, is said by files in the user's own state directory, never by the project.

# __devenv_hook: called by zsh, which restores the last status itself.
__devenv_hook() {
    emulate -L zsh
    if [[ $PWD != "$__devenv_hook_pwd" ]] || __devenv_hook_changed; then __devenv_hook_look; fi
}

# __devenv_hook_look: find the project, read what is known about it, enter or leave, ask for what is missing.
__devenv_hook_look() {
    local __devenv_found=$__devenv_hook_root
    integer __devenv_moved=0
    if [[ -n $__devenv_hook_given ]]; then __devenv_hook_begin prompt; fi
    if [[ $PWD != "$__devenv_hook_pwd" ]]; then __devenv_moved=1 __devenv_hook_asked=; fi
    if ((__devenv_moved)) || [[ -z $__devenv_found || ! -f $__devenv_found/devenv.toml ]]; then
        __devenv_hook_find
    fi
    __devenv_hook_pwd=$PWD
    if [[ -z $__devenv_found ]]; then
        __devenv_hook_root= __devenv_hook_version=
        __devenv_hook_switch '' ''
        # A devenv.toml may appear here. Above it is looked for when the directory changes.
        __devenv_hook_changed() { [[ -f devenv.toml ]]; }
        return
    fi
    if [[ $__devenv_found != "$__devenv_hook_root" || -z $__devenv_hook_version ||
        ! $__devenv_hook_current -ef $__devenv_hook_version ]]; then
        __devenv_hook_load $__devenv_found
    fi
    __devenv_hook_check
}

# __devenv_hook_check: ask for a new version where this one is out of date, and define __devenv_hook_changed, which
# says whether to look again although the directory is the same.
__devenv_hook_check() {
    local __devenv_often __devenv_all __devenv_line __devenv_file __devenv_mark __devenv_test
    local __devenv_current=${(qq)__devenv_hook_current}
    integer __devenv_i=0
    for __devenv_line in "${(@)__devenv_hook_watched}"; do
        __devenv_file=${(qq)__devenv_line#* } __devenv_mark=${(qq):-$__devenv_hook_version/$__devenv_i}
        case $__devenv_line in
        (absent *) __devenv_test=" || -e $__devenv_file" ;;
        (*)
            # Where a file is gone, it is neither newer nor older.
            __devenv_test=" || $__devenv_file -nt $__devenv_mark || $__devenv_file -ot $__devenv_mark || ! -e $__devenv_file"
            ;;
        esac
        __devenv_all+=$__devenv_test
        if [[ $__devenv_line != look\ * ]]; then __devenv_often+=$__devenv_test; fi
        __devenv_i+=1
    done
    if [[ -n $__devenv_hook_version ]]; then
        __devenv_current="! $__devenv_current -ef ${(qq)__devenv_hook_version}"
    else
        __devenv_current="-e $__devenv_current"
    fi
    if ((!__devenv_moved)); then __devenv_all=$__devenv_often; fi
    eval "__devenv_hook_changed() { [[ $__devenv_current$__devenv_all ]]; }"
    if [[ $__devenv_hook_asked == "${__devenv_hook_version:-none}" || -z $__devenv_hook_version ]] ||
        [[ -n $__devenv_hook_meant && ! -r $__devenv_hook_meant/activate.zsh ]] || __devenv_hook_changed; then
        __devenv_hook_ask
        __devenv_often= # only a new version can tell anything new
    fi
    eval "__devenv_hook_changed() { [[ $__devenv_current$__devenv_often ]]; }"
}

# __devenv_hook_find: __devenv_found becomes the nearest directory with a devenv.toml, links resolved as `devenv enter`
# does, or empty.
__devenv_hook_find() {
    local __devenv_at=${PWD:A}
    while [[ $__devenv_at != / && ! -f $__devenv_at/devenv.toml ]]; do __devenv_at=${__devenv_at:h}; done
    __devenv_found=
    # What is known is kept in lines, under the directory's own name.
    if [[ $__devenv_at == /?* && $__devenv_at != *$'\n'* && $__devenv_at/ != */=devenv=/* ]]; then
        __devenv_found=$__devenv_at
    fi
}

# __devenv_hook_load PROJECT: read the newest version and be in its environment.
__devenv_hook_load() {
    local __devenv_place=$__devenv_hook_tree$1/=devenv= __devenv_line
    local -a __devenv_lines
    integer __devenv_inside=0
    if [[ $1 == "$__devenv_hook_root" && -n $__devenv_hook_version ]]; then __devenv_inside=1; fi
    __devenv_hook_root=$1 __devenv_hook_version= __devenv_hook_current=$__devenv_place/current
    __devenv_hook_watched=()
    if [[ -r $__devenv_place/current/entry ]]; then
        while IFS= read -r __devenv_line; do __devenv_lines+=("$__devenv_line"); done <$__devenv_place/current/entry
    fi 2>/dev/null
    if [[ $__devenv_lines[1] != 'devenv-hook 1' || $__devenv_lines[3] != "project $1" ]]; then
        __devenv_hook_switch '' ''
        return
    fi
    __devenv_hook_version=$__devenv_place/${__devenv_lines[2]#version }
    __devenv_hook_watched=("${(@)__devenv_lines[8,-1]}")
    __devenv_hook_switch "${__devenv_lines[5]#spec }" $1
    if [[ $__devenv_hook_version != "$__devenv_hook_told" ]]; then
        __devenv_hook_tell "${__devenv_lines[6]#say }"
        if ((__devenv_inside)); then __devenv_hook_tell "${__devenv_lines[7]#news }"; fi
        __devenv_hook_told=$__devenv_hook_version
    fi
}

__devenv_hook_tell() {
    if [[ -n $1 ]]; then print -ru2 -- "devenv: $1"; fi
}

# __devenv_hook_ask: have the project looked at in the background, once for each version.
__devenv_hook_ask() {
    if [[ $__devenv_hook_asked == "${__devenv_hook_version:-none}" ]]; then return; fi
    __devenv_hook_asked=${__devenv_hook_version:-none}
    "${(@)__devenv_hook_program}" hook --refresh --project $__devenv_hook_root </dev/null &>/dev/null &!
}

# __devenv_hook_switch SPEC PROJECT: leave the environment that this hook entered, and enter this one, if any.
__devenv_hook_switch() {
    if [[ -n $__devenv_hook_held && $2 == "$__devenv_hook_held_at" ]]; then
        __devenv_hook_hold $1
        set -- '' ''
    fi
    if [[ $1 == "$__devenv_hook_meant" && ($2 == "$__devenv_hook_place" || -z $1) ]]; then return; fi
    if [[ -n $__devenv_hook_layer ]] && ((${+functions[__devenv_leave]})); then
        __devenv_leave "${__devenv_hook_layer%% *}" "${__devenv_hook_layer#* }" || :
    fi
    __devenv_hook_layer= __devenv_hook_meant=$1 __devenv_hook_place=$2
    if [[ -z $1 || ! -r $1/activate.zsh ]]; then return; fi
    __devenv_hook_enter $1 $2 activate.zsh
    __devenv_hook_layer=$__devenv_hook_entered
}

# __devenv_hook_enter SPEC PROJECT FILE: __devenv_hook_entered becomes the layer, empty where it was there already.
__devenv_hook_enter() {
    local __devenv_hook_before=$#__devenv_layers
    typeset -g __devenv_spec=$1 __devenv_project=$2 __devenv_hook_entered=
    source $1/$3 || :
    if (($#__devenv_layers > __devenv_hook_before)); then __devenv_hook_entered=$__devenv_layers[-1]; fi
}

# __devenv_hook_begin [prompt]: enter what `devenv enter` started this shell for, now that the user's files are read. It
# stays until the shell ends. At a prompt, which shows that this works, `devenv enter` is told by a note.
__devenv_hook_begin() {
    emulate -L zsh
    local __devenv_hook_note=$__devenv_hook_tree/=shells=/${__devenv_hook_given%% *}
    local __devenv_hook_mark=${__devenv_hook_given#* }
    if [[ -z $__devenv_hook_held_layer ]]; then
        __devenv_hook_enter $__devenv_hook_held $__devenv_hook_held_at begin.zsh
        __devenv_hook_held_layer=$__devenv_hook_entered
    fi
    if [[ -n $1 ]]; then
        __devenv_hook_given=
        { print -r -- $__devenv_hook_mark >|$__devenv_hook_note } 2>/dev/null
    fi
    return 0
}

# __devenv_hook_hold SPEC: the newest environment of the project that is held is another one. It replaces what it was made
# from, not one with parameters or profiles of its own, nor one that was left, nor in a root of system packages.
__devenv_hook_hold() {
    if [[ -z $1 ]]; then return; fi
    if [[ $__devenv_hook_newest == "$__devenv_hook_held" && $1 != "$__devenv_hook_held" && ! -e $1/root && -r $1/begin.zsh ]] &&
        ((${__devenv_layers[(Ie)$__devenv_hook_held_layer]})); then
        __devenv_leave "${__devenv_hook_held_layer%% *}" "${__devenv_hook_held_layer#* }" || :
        __devenv_hook_enter $1 $__devenv_hook_held_at begin.zsh
        __devenv_hook_held=$1 __devenv_hook_held_layer=$__devenv_hook_entered
    fi
    __devenv_hook_newest=$1
}

# __devenv_hook_take: what `devenv enter` hands over to this shell, and to no other. See devenv/env/hooked.py.
__devenv_hook_take() {
    typeset -g __devenv_hook_given= __devenv_hook_held= __devenv_hook_held_at= __devenv_hook_held_layer= __devenv_hook_newest=
    if [[ -z ${__devenv_start-} ]]; then return; fi
    if [[ ${__devenv_start%% *} == "$$" ]]; then
        __devenv_hook_given=${__devenv_start#* } __devenv_hook_held=$__devenv_spec __devenv_hook_held_at=$__devenv_project
    fi
    unset __devenv_start __devenv_spec __devenv_project
}

__devenv_hook_changed() { false; }
typeset -g __devenv_hook_pwd= __devenv_hook_asked= __devenv_hook_told=
if [[ -z ${__devenv_hook_on-} ]]; then
    typeset -g __devenv_hook_on=1 __devenv_hook_root= __devenv_hook_version= __devenv_hook_current=
    typeset -ga __devenv_hook_watched
    typeset -g __devenv_hook_meant= __devenv_hook_place= __devenv_hook_layer=
    __devenv_hook_take
    # First, so that the others find the environment; but after direnv, which on leaving brings back the whole PATH
    # that it found.
    typeset -ga precmd_functions chpwd_functions
    () {
        emulate -L zsh
        local __devenv_list
        integer __devenv_at
        for __devenv_list in precmd_functions chpwd_functions; do
            __devenv_at=${${(P)__devenv_list}[(I)_direnv_hook]}
            set -A $__devenv_list ${${(P)__devenv_list}[1,__devenv_at]} __devenv_hook ${${(P)__devenv_list}[__devenv_at+1,-1]}
        done
    }
fi
if ((${#__devenv_hook_options})); then setopt $__devenv_hook_options; fi
\unset __devenv_hook_options # aliases are the user's again
