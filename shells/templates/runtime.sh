# Every environment's file brings these functions; they and their state go when the last environment is left.
#
# What is done is kept in a journal of numbered steps. A step has its layer, kind, name, separator, value, and what was
# there before: a letter and the old value, x exported, l of the shell only, f an alias or function as the shell writes it, -
# nothing; s means that the step changed nothing. Leaving undoes the steps of one layer. Steps of later layers on the
# same names are undone before and done again after, so environments can be left in any order.
#
# POSIX only: no arrays, no local variables. A backslash before a word keeps the user's aliases away from it.

# __devenv_open ID NEEDED NAMES: begin an environment; 1 if this project is in it already. NAMES are the variables that
# it is about. A sourced file cannot know its own place here: without __devenv_spec the nearest .devenv/env upwards
# from the current directory is taken, if it holds this very file.
__devenv_open() {
    if [ -z "${__devenv_project-}" ]; then __devenv_find "$1"; fi
    case $__devenv_project in
    /*) ;;
    *) __devenv_project=$PWD/$__devenv_project ;;
    esac
    if [ -z "${__devenv_spec-}" ] && [ -n "$2" ]; then
        \printf '%s\n' "devenv: where this environment lies cannot be told from here: go to its project, or set __devenv_spec" >&2
        \return 1
    fi
    for __devenv_i in $__devenv_layers; do
        \eval "__devenv_each=\$__devenv_layer_$__devenv_i"
        if [ "$__devenv_each" = "$1 $__devenv_project" ]; then \return 1; fi
    done
    __devenv_last=$((__devenv_last + 1))
    __devenv_layers="$__devenv_layers $__devenv_last"
    \eval "__devenv_layer_$__devenv_last=\$1\ \$__devenv_project"
    __devenv_see $3
    \return 0
}

# __devenv_find ID: __devenv_project and __devenv_spec from the nearest .devenv/env that has this ID.
__devenv_find() {
    __devenv_project=$PWD
    # The x keeps a newline at the end of a name.
    __devenv_each=$(\pwd -P && \printf x)
    __devenv_each=${__devenv_each%?x}
    while :; do
        __devenv_line=
        if [ -r "$__devenv_each/.devenv/env/activate.sh" ]; then
            IFS= \read -r __devenv_line <"$__devenv_each/.devenv/env/activate.sh" || :
        fi
        case $__devenv_line in
        "# $1 "*)
            __devenv_project=${__devenv_each:-/}
            __devenv_spec=$(\command cd -P "$__devenv_each/.devenv/env/" && \pwd -P && \printf x)
            __devenv_spec=${__devenv_spec%?x}
            \return 0
            ;;
        esac
        if [ -z "$__devenv_each" ]; then \return 0; fi
        __devenv_each=${__devenv_each%/*}
    done
}

# __devenv_see NAME...: note which variables a child finds (__devenv_x_NAME is x), which cannot be written to, and which
# are numbers: no builtin of POSIX says so of one variable.
__devenv_see() {
    \eval "$(/bin/sh -c 'for n do eval "case \${$n+x} in x) echo __devenv_x_$n=x ;; *) echo __devenv_x_$n= ;; esac"; done' sh "$@")"
    __devenv_closed="
$(\readonly -p)
$(\typeset -i 2>/dev/null || :)
"
}

# __devenv_step KIND NAME SEPARATOR VALUE: do a step and note it in the journal.
__devenv_step() {
    __devenv_count=$((__devenv_count + 1))
    __devenv_journal="$__devenv_journal $__devenv_count"
    case $1 in
    alias | unalias) __devenv_each=alias-$2 ;;
    function) __devenv_each=function-$2 ;;
    *) __devenv_each=variable-$2 ;;
    esac
    \eval "__devenv_at_$__devenv_count=\$__devenv_last __devenv_kind_$__devenv_count=\$1 __devenv_name_$__devenv_count=\$2
        __devenv_target_$__devenv_count=\$__devenv_each
        __devenv_separator_$__devenv_count=\$3 __devenv_value_$__devenv_count=\$4"
    __devenv_do "$__devenv_count"
}

# __devenv_look KIND NAME: __devenv_now becomes the letter and the value of what is there.
__devenv_look() {
    case $1 in
    function) __devenv_look_function "$2"; \return 0 ;;
    alias | unalias)
        if __devenv_now=$(\alias "$2" 2>/dev/null); then
            __devenv_now=f${__devenv_now#alias }
        else
            __devenv_now=-
        fi
        \return 0
        ;;
    esac
    \eval "__devenv_now=\${$2+x}"
    case $__devenv_now in
    '') __devenv_now=- ;;
    *) \eval "__devenv_now=\${__devenv_x_$2:-l}\$$2" ;;
    esac
}

# __devenv_look_function NAME: f and the function as the shell writes it. Some shells write none: a function of ours is known
# there by its text, with x before it, and one of the user's is u.
__devenv_look_function() {
    __devenv_now=$(\typeset -f "$1" 2>/dev/null) || __devenv_now=
    if [ -n "$__devenv_now" ]; then
        __devenv_now=f$__devenv_now
        \return 0
    fi
    case $(\unalias "$1" 2>/dev/null; \type "$1" 2>/dev/null) in
    "$1 is a"*' function'*) \eval "__devenv_now=\${__devenv_text_$1+x}\${__devenv_text_$1-u}" ;;
    *) __devenv_now=-; \unset -v "__devenv_text_$1" ;;
    esac
}

# __devenv_put_function NAME STATE: 1 if the shell cannot read it, and then nothing is changed.
__devenv_put_function() {
    case $2 in
    -) \unset -f "$1"; \unset -v "__devenv_text_$1"; \return 0 ;;
    f*) \unset -f "$1"; \eval "${2#?}"; \return 0 ;;
    esac
    # An error of syntax ends many shells, so another one is asked first. A text that is no program by itself could end the
    # function before its end, and what follows would run at once.
    /bin/sh -n <<__devenv_end || \return 1
${2#?}
__devenv_end
    (\eval "$1() {
${2#?}
}") || \return 1
    \unset -f "$1"
    \eval "$1() {
${2#?}
}
__devenv_text_$1=\${2#?}"
}

# __devenv_put KIND NAME STATE: what __devenv_look then finds; 1 if the variable cannot hold it.
__devenv_put() {
    case $1:$3 in
    function:*) __devenv_put_function "$2" "$3"; \return ;;
    *alias:-) \unalias "$2"; \return 0 ;;
    *alias:f*) \eval "\\alias ${3#?}"; \return 0 ;;
    alias:*) \alias "$2=${3#?}"; \return 0 ;;
    esac
    # A number would be evaluated, commands in its subscripts included.
    case $__devenv_closed in
    *[!A-Za-z0-9_]"$2"[!A-Za-z0-9_]*) if __devenv_is_closed "$2"; then \return 1; fi ;;
    esac
    case $3 in
    -) \unset -v "$2" ;;
    x*) \export "$2=${3#?}"; \eval "__devenv_x_$2=x" ;;
    *) \unset -v "$2"; \eval "$2=\${3#?} __devenv_x_$2=" ;;
    esac
}

# __devenv_unsee NAME...: forget what __devenv_see noted.
__devenv_unsee() {
    for __devenv_each do \unset -v "__devenv_x_$__devenv_each"; done
}

# __devenv_is_closed NAME: whether the variable is readonly or a number. A line that looks like it may be part of
# another variable's value; then the variable is left alone as well.
__devenv_is_closed() {
    case $__devenv_closed in
    *"
readonly $1="* | *"
readonly $1
"* | *"
$1="* | *"
$1
"* | *"
typeset -r $1"* | *"
declare -"*" $1="*) \return 0 ;;
    esac
    \return 1
}

# __devenv_recall INDEX: the parts of a step as __devenv_k, _n, _s, _v and _o.
__devenv_recall() {
    \eval "__devenv_k=\$__devenv_kind_$1 __devenv_n=\$__devenv_name_$1 __devenv_s=\$__devenv_separator_$1
        __devenv_v=\$__devenv_value_$1 __devenv_o=\${__devenv_old_$1-}"
}

# __devenv_do INDEX: do a step of the journal and note what was there before.
__devenv_do() {
    __devenv_recall "$1"
    __devenv_look "$__devenv_k" "$__devenv_n"
    __devenv_rest=${__devenv_now#?} __devenv_joint=
    if [ -n "$__devenv_rest" ]; then __devenv_joint=$__devenv_s; fi
    case $__devenv_k:$__devenv_now in
    unset:* | unalias:*) __devenv_then=- ;;
    function:u*) __devenv_then=u ;;
    function:*) __devenv_then=x$__devenv_v ;;
    prepend:*) __devenv_then=x$__devenv_v$__devenv_joint$__devenv_rest ;;
    append:*) __devenv_then=x$__devenv_rest$__devenv_joint$__devenv_v ;;
    prompt:x*) __devenv_then=x$__devenv_v$__devenv_rest ;;
    prompt:l*) __devenv_then=l$__devenv_v$__devenv_rest ;;
    default:- | set:* | alias:*) __devenv_then=x$__devenv_v ;;
    *) __devenv_then=$__devenv_now ;;
    esac
    __devenv_o=s
    if [ "$__devenv_then" != "$__devenv_now" ] && __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_then"; then
        __devenv_o=$__devenv_now
    fi
    \eval "__devenv_old_$1=\$__devenv_o"
    case $__devenv_k:$__devenv_o in
    function:s)
        if [ "$__devenv_now" != "$__devenv_then" ]; then
            \echo "devenv: the function $__devenv_n of the environment is not there" >&2
        elif [ "$__devenv_now" = u ]; then
            \echo "devenv: $__devenv_n stays your function, which this shell could not bring back" >&2
        fi
        ;;
    alias:* | function:*)
        __devenv_look "$__devenv_k" "$__devenv_n"
        \eval "__devenv_made_$1=\$__devenv_now"
        ;;
    esac
}

# __devenv_undo INDEX: undo a step of the journal; 1 if what it did, or found done already, is not there any more.
__devenv_undo() {
    __devenv_recall "$1"
    __devenv_look "$__devenv_k" "$__devenv_n"
    case $__devenv_o:$__devenv_k:$__devenv_now in
    s:default:-) \return 1 ;;
    s:default:* | s:prepend:* | s:append:* | s:prompt:*) \return 0 ;;
    esac
    case $__devenv_k in
    prepend | append | prompt)
        case $__devenv_now in -) \return 1 ;; esac
        __devenv_remove "$__devenv_k" "$__devenv_s" "$__devenv_v" || \return 1
        case $__devenv_o:$__devenv_rest in
        -:) ;;
        l*) __devenv_o=l$__devenv_rest ;;
        *) __devenv_o=x$__devenv_rest ;;
        esac
        ;;
    alias | function)
        case $__devenv_o:$__devenv_k in s:function) \return 0 ;; esac
        \eval "__devenv_v=\$__devenv_made_$1"
        if [ "$__devenv_now" != "$__devenv_v" ]; then \return 1; fi
        ;;
    unset | unalias) if [ "$__devenv_now" != - ]; then \return 1; fi ;;
    *) if [ "$__devenv_now" != "x$__devenv_v" ]; then \return 1; fi ;;
    esac
    case $__devenv_o in s) \return 0 ;; esac
    __devenv_put "$__devenv_k" "$__devenv_n" "$__devenv_o"
}

# __devenv_remove KIND SEPARATOR ENTRY: __devenv_rest becomes the value of __devenv_now less one ENTRY, the last
# one of KIND append, else the first; 1 if there is none.
__devenv_remove() {
    __devenv_all=${__devenv_now#?}
    # Mostly the entry is still where it was put, and a search takes long in a long list.
    case $1:$__devenv_all in
    "append:$3" | "prepend:$3") __devenv_rest= && \return 0 ;;
    append:*"$2$3") __devenv_rest=${__devenv_all%"$2$3"} && \return 0 ;;
    prepend:"$3$2"* | prompt:"$3"*) __devenv_rest=${__devenv_all#"$3$2"} && \return 0 ;;
    esac
    __devenv_entry=$2$3$2 __devenv_all=$2$__devenv_all$2
    case $1 in
    append)
        __devenv_head=${__devenv_all%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all##*"$__devenv_entry"}
        ;;
    *)
        __devenv_head=${__devenv_all%%"$__devenv_entry"*}
        __devenv_rest=${__devenv_all#*"$__devenv_entry"}
        ;;
    esac
    if [ "$__devenv_head" = "$__devenv_all" ]; then \return 1; fi
    __devenv_rest=$__devenv_head$2$__devenv_rest
    __devenv_rest=${__devenv_rest#"$2"}
    __devenv_rest=${__devenv_rest%"$2"}
}

# __devenv_leave [ID]: leave the environment entered last, or the last one with this ID.
__devenv_leave() {
    __devenv_left=
    __devenv_words "$__devenv_layers"
    for __devenv_i in $__devenv_list; do
        \eval "__devenv_each=\$__devenv_layer_$__devenv_i"
        case $__devenv_each in "${1-}"*) __devenv_left=$__devenv_i ;; esac
    done
    if [ -n "$__devenv_left" ]; then __devenv_unwind; fi
    __devenv_words_end
    case $__devenv_layers in *[0-9]*) ;; *) __devenv_vanish ;; esac
    \return 0
}

# Lists of numbers are split at blanks, whatever the user's IFS is.
__devenv_words() {
    __devenv_list=$1 __devenv_ifs=${IFS-unset}
    IFS=' '
}

__devenv_words_end() {
    if [ "$__devenv_ifs" = unset ]; then \unset -v IFS; else IFS=$__devenv_ifs; fi
}

# __devenv_unwind: undo the steps of the layer __devenv_left.
__devenv_unwind() {
    __devenv_list= __devenv_names=
    for __devenv_i in $__devenv_layers; do
        if [ "$__devenv_i" != "$__devenv_left" ]; then __devenv_list="$__devenv_list $__devenv_i"; fi
    done
    __devenv_layers=$__devenv_list
    # The last step of this layer on each name, the newest in front; and the journal backwards.
    __devenv_touched=' ' __devenv_list=
    for __devenv_i in $__devenv_journal; do
        \eval "__devenv_each=\$__devenv_at_$__devenv_i __devenv_target=\$__devenv_target_$__devenv_i"
        if [ "$__devenv_each" = "$__devenv_left" ]; then
            __devenv_touched=" $__devenv_target=$__devenv_i$__devenv_touched"
            case $__devenv_target in variable-*) __devenv_names="$__devenv_names ${__devenv_target#*-}" ;; esac
        fi
        __devenv_list="$__devenv_i $__devenv_list"
    done
    __devenv_see $__devenv_names
    __devenv_again= __devenv_journal=
    for __devenv_i in $__devenv_list; do
        \eval "__devenv_each=\$__devenv_at_$__devenv_i __devenv_target=\$__devenv_target_$__devenv_i"
        if [ "$__devenv_each" = "$__devenv_left" ]; then
            __devenv_undo "$__devenv_i" || :
            __devenv_forget "$__devenv_i"
            \continue
        fi
        case $__devenv_touched in
        *" $__devenv_target="*)
            __devenv_each=${__devenv_touched#*" $__devenv_target="}
            if [ "${__devenv_each%% *}" -lt "$__devenv_i" ]; then
                # What the user has changed since is the user's, and not done again.
                if __devenv_undo "$__devenv_i"; then
                    __devenv_again="$__devenv_i $__devenv_again"
                else
                    __devenv_forget "$__devenv_i"
                    \continue
                fi
            fi
            ;;
        esac
        __devenv_journal="$__devenv_i $__devenv_journal"
    done
    for __devenv_i in $__devenv_again; do __devenv_do "$__devenv_i"; done
    __devenv_unsee $__devenv_names
    \unset -v "__devenv_layer_$__devenv_left"
}

# __devenv_forget INDEX: remove what was noted about a step.
__devenv_forget() {
    \unset -v "__devenv_at_$1" "__devenv_kind_$1" "__devenv_name_$1" "__devenv_target_$1" \
        "__devenv_separator_$1" "__devenv_value_$1" "__devenv_old_$1" "__devenv_made_$1"
}

# __devenv_vanish: remove everything of ours.
__devenv_vanish() {
    \unset -v __devenv_layers __devenv_last __devenv_count __devenv_journal __devenv_ifs __devenv_line
    \unset -v __devenv_each __devenv_closed __devenv_i __devenv_k __devenv_n __devenv_s __devenv_v
    \unset -v __devenv_o __devenv_now __devenv_then __devenv_rest __devenv_joint __devenv_entry __devenv_all
    \unset -v __devenv_head __devenv_left __devenv_list __devenv_names __devenv_touched __devenv_target __devenv_again
    \unset -f __devenv_open __devenv_find __devenv_see __devenv_unsee __devenv_step __devenv_look __devenv_put __devenv_is_closed
    \unset -f __devenv_look_function __devenv_put_function __devenv_recall __devenv_do __devenv_undo __devenv_remove __devenv_leave __devenv_words
    \unset -f __devenv_words_end __devenv_unwind __devenv_forget __devenv_vanish devenv_leave
}

# Leave the environment entered last.
devenv_leave() {
    __devenv_leave || :
}

if [ -z "${__devenv_count-}" ]; then
    __devenv_count=0 __devenv_last=0 __devenv_layers= __devenv_journal=
fi
__devenv_words ''
