# Every environment's file brings these functions; they and their state go when the last environment is left.
#
# What is done is kept in a journal. A step has its environment, kind, name, separator, value, and what was there
# before: a letter, x exported, l global but not exported, u not global but universal, - nothing; s means that
# the step changed nothing, and in the list __devenv_old_INDEX the old value. Leaving undoes the steps of one
# environment. Steps of later environments on the same variables are undone before and done again after, so
# environments can be left in any order.
#
# Values pass through command substitutions only with care, for these split them at newlines.

# __devenv_open ID FILE NEEDED: begin an environment; 1 if this project is in it already. FILE is this file as
# it was sourced; with NEEDED not empty, the directory of the spec object is found from it.
function __devenv_open
    if not set -q __devenv_project[1]; or test -z "$__devenv_project"
        set -g __devenv_project $PWD
        if builtin string match -q -- '*/.devenv/env/*' $argv[2]; or builtin string match -q -- '.devenv/env/*' $argv[2]
            __devenv_directory (builtin string replace -r -- '\.devenv/env/[^/]*$' '' $argv[2] | builtin string collect)/. __devenv_project
        end
    end
    if not builtin string match -q -- '/*' $__devenv_project
        set -g __devenv_project $PWD/$__devenv_project
    end
    if builtin contains -- "$argv[1] $__devenv_project" $__devenv_layers
        return 1
    end
    set -ga __devenv_layers "$argv[1] $__devenv_project"
    if test -n "$argv[3]"; and begin
            not set -q __devenv_spec[1]; or test -z "$__devenv_spec"
        end
        __devenv_directory $argv[2] __devenv_spec
    end
    return 0
end

# __devenv_directory FILE VARIABLE: the directory of a file, without links. FILE may be relative.
function __devenv_directory
    set -l __devenv_file $argv[1]
    if not builtin string match -q -- '/*' $__devenv_file
        set __devenv_file $PWD/$__devenv_file
    end
    set -g $argv[2] (builtin realpath -- (builtin string replace -r -- '/[^/]*$' '/' $__devenv_file | builtin string collect) | builtin string collect)
end

# __devenv_step KIND NAME SEPARATOR VALUE: do a step and note it in the journal.
function __devenv_step
    set -ga __devenv_layer $__devenv_layers[-1]
    set -ga __devenv_kind $argv[1]
    set -ga __devenv_name $argv[2]
    set -ga __devenv_separator $argv[3]
    set -ga __devenv_value $argv[4]
    if test $argv[1] = set; and not set -q $argv[2]
        # By far the most frequent step, so it has a short way.
        set -ga __devenv_target variable-$argv[2]
        set -ga __devenv_state -
        set -gx $argv[2] $argv[4]
        return 0
    end
    set -ga __devenv_state s
    if builtin contains -- $argv[1] alias function program prompt
        set -ga __devenv_target function-$argv[2]
    else
        set -ga __devenv_target variable-$argv[2]
    end
    __devenv_do (builtin count $__devenv_kind)
end

# __devenv_look NAME: __devenv_letter and __devenv_now become the letter and the value of a variable.
function __devenv_look
    set -g __devenv_letter -
    set -g __devenv_now
    set -q $argv[1]; or return 0
    set -g __devenv_now "$$argv[1]"
    if not set -qg $argv[1]
        set -g __devenv_letter u
    else if set -qgx $argv[1]
        set -g __devenv_letter x
    else
        set -g __devenv_letter l
    end
end

# __devenv_put NAME LETTER [VALUE...]
function __devenv_put
    switch $argv[2]
        case x
            set -gx $argv[1] $argv[3..-1]
        case l
            set -gu $argv[1] $argv[3..-1]
        case '*'
            set -eg $argv[1]
    end
    return 0
end

# __devenv_do INDEX: do a step of the journal and note what was there before.
function __devenv_do
    set -l __devenv_k $__devenv_kind[$argv[1]]
    set -l __devenv_n $__devenv_name[$argv[1]]
    set -l __devenv_v $__devenv_value[$argv[1]]
    set -l __devenv_joint $__devenv_separator[$argv[1]]
    set __devenv_state[$argv[1]] s
    if test $__devenv_k = completions
        # fish looks here from now on; what it has read of other directories stays.
        if builtin test -d $__devenv_v
            set -gp $__devenv_n $__devenv_v
            set __devenv_state[$argv[1]] x
        end
        return 0
    end
    if builtin contains -- $__devenv_k alias function program prompt
        __devenv_define $argv[1] $__devenv_k $__devenv_n $__devenv_v
        return 0
    end
    __devenv_look $__devenv_n
    if test -z "$__devenv_now"
        set __devenv_joint ''
    end
    switch $__devenv_k
        case prepend
            set __devenv_v "$__devenv_v$__devenv_joint$__devenv_now"
        case append
            set __devenv_v "$__devenv_now$__devenv_joint$__devenv_v"
        case unset
            test $__devenv_letter = -; and return 0
        case default
            test $__devenv_letter = -; or return 0
    end
    if builtin contains -- $__devenv_letter x l; and not builtin contains -- $__devenv_k prepend append
        set -g __devenv_old_$argv[1] $$__devenv_n
    end
    set __devenv_state[$argv[1]] $__devenv_letter
    if test $__devenv_k != unset
        set -gx $__devenv_n $__devenv_v
    else
        set -eg $__devenv_n
        # A universal variable cannot be removed for one shell, nor kept from its children but by another value.
        set -q $__devenv_n; and set -gx $__devenv_n
    end
    return 0
end

# __devenv_define INDEX KIND NAME CODE: a function in place of the user's, which is kept under another name.
function __devenv_define
    if builtin functions -q $argv[3]
        builtin functions -c $argv[3] __devenv_old_$argv[1]
        builtin functions -e $argv[3]
        set __devenv_state[$argv[1]] x
    else if test $argv[2] = prompt
        return 0
    else
        set __devenv_state[$argv[1]] -
    end
    if test $argv[2] = alias
        eval "function $argv[3] --description 'devenv $argv[1]'
            $argv[4] \$argv
        end"
    else if test $argv[2] = program
        eval "function $argv[3] --description 'devenv $argv[1]'
            "(builtin string escape -- $argv[4] | builtin string collect)" \$argv
        end"
    else if test $argv[2] = function
        # A text that is no program by itself could end the function before its end, and what follows would run at once.
        set -l __devenv_fish (builtin status fish-path | builtin string collect)
        if builtin printf '%s\n' $argv[4] | command $__devenv_fish --no-config --no-execute
            eval "function $argv[3] --description 'devenv $argv[1]'
$argv[4]
end"
        end
        if not builtin functions -q $argv[3]
            echo "devenv: the function $argv[3] of the environment is not there" >&2
            if test $__devenv_state[$argv[1]] = x
                builtin functions -c __devenv_old_$argv[1] $argv[3]
                builtin functions -e __devenv_old_$argv[1]
            end
            set __devenv_state[$argv[1]] s
        end
    else
        eval "function $argv[3] --description 'devenv $argv[1]'
            set -l __devenv_status \$status
            builtin printf %s $argv[4]
            __devenv_return \$__devenv_status
            __devenv_old_$argv[1]
        end"
    end
end

function __devenv_return
    return $argv[1]
end

# __devenv_undo INDEX: undo a step of the journal; 1 if what it did, or found done already, is not there any more.
function __devenv_undo
    set -l __devenv_k $__devenv_kind[$argv[1]]
    set -l __devenv_n $__devenv_name[$argv[1]]
    set -l __devenv_s $__devenv_state[$argv[1]]
    set -l __devenv_was __devenv_old_$argv[1]
    if test $__devenv_k = completions
        test $__devenv_s = x; or return 0
        set -l __devenv_at (builtin contains -i -- $__devenv_value[$argv[1]] $$__devenv_n)
        or return 1
        set -eg "$__devenv_n"'['$__devenv_at']'
        return 0
    end
    if test $__devenv_s = s
        # An unset had nothing to remove, a default found a value.
        __devenv_look $__devenv_n
        switch $__devenv_k
            case unset
                test $__devenv_letter = -
                return
            case default
                test $__devenv_letter != -
                return
        end
        return 0
    end
    if builtin contains -- $__devenv_k alias function program prompt
        __devenv_undefine $argv[1] $__devenv_n $__devenv_s
        return
    end
    __devenv_look $__devenv_n
    switch $__devenv_k
        case prepend append
            test $__devenv_letter = -; and return 1
            __devenv_remove $__devenv_k $__devenv_separator[$argv[1]] $__devenv_value[$argv[1]]; or return 1
            __devenv_put_rest $__devenv_n $__devenv_s
            return 0
        case unset
            if test $__devenv_s = u
                test $__devenv_letter = x -a -z "$__devenv_now"; or return 1
            else
                test $__devenv_letter = -; or return 1
            end
        case '*'
            test $__devenv_letter = x -a "x$__devenv_now" = "x$__devenv_value[$argv[1]]"; or return 1
    end
    __devenv_put $__devenv_n $__devenv_s $$__devenv_was
    return 0
end

# __devenv_put_rest NAME LETTER: what is left of a list when our entry is gone.
function __devenv_put_rest
    if test $argv[2] = -; and test -z "$__devenv_rest"
        set -eg $argv[1]
    else if test $argv[2] = u
        set -eg $argv[1]
        if test "x$$argv[1]" != "x$__devenv_rest"
            set -gx $argv[1] $__devenv_rest
        end
    else if test $argv[2] = l
        set -gu $argv[1] $__devenv_rest
    else
        set -gx $argv[1] $__devenv_rest
    end
end

# __devenv_undefine INDEX NAME LETTER: the user's function again, unless they have made another one meanwhile.
function __devenv_undefine
    set -l __devenv_about (builtin functions -Dv $argv[2] 2>/dev/null)
    if test "$__devenv_about[5]" != "devenv $argv[1]"
        builtin functions -e __devenv_old_$argv[1]
        return 1
    end
    builtin functions -e $argv[2]
    if test $argv[3] = x
        builtin functions -c __devenv_old_$argv[1] $argv[2]
        builtin functions -e __devenv_old_$argv[1]
    end
    return 0
end

# __devenv_remove KIND SEPARATOR ENTRY: __devenv_rest becomes __devenv_now less one ENTRY, the last one of KIND
# append, else the first; 1 if there is none.
function __devenv_remove
    # The x keeps newlines at the end, the collecting those within.
    set -l __devenv_separated (builtin string escape --style=regex -- $argv[2]x | builtin string collect)
    set -l __devenv_entry (builtin string escape --style=regex -- $argv[3]x | builtin string collect)
    builtin string match -qr -- '(?s)\A(?<__devenv_separated>.*)x\z' $__devenv_separated
    builtin string match -qr -- '(?s)\A(?<__devenv_entry>.*)x\z' $__devenv_entry
    set -l __devenv_head
    set -l __devenv_tail
    set -l __devenv_between1
    set -l __devenv_between2
    set -l __devenv_before "(?:(?<__devenv_head>.*?)(?<__devenv_between1>$__devenv_separated))??"
    if test $argv[1] = append
        set __devenv_before "(?:(?<__devenv_head>.*)(?<__devenv_between1>$__devenv_separated))?"
    end
    set -l __devenv_after "(?:(?<__devenv_between2>$__devenv_separated)(?<__devenv_tail>.*))?"
    builtin string match -qr -- "(?s)\\A$__devenv_before$__devenv_entry$__devenv_after\\z" "$__devenv_now"; or return 1
    set -g __devenv_rest "$__devenv_head$__devenv_tail"
    if test -n "$__devenv_between1"; and test -n "$__devenv_between2"
        set -g __devenv_rest "$__devenv_head$__devenv_between1$__devenv_tail"
    end
    return 0
end

# __devenv_leave [ID]: leave the environment entered last, or the last one with this ID.
function __devenv_leave
    set -l __devenv_i (builtin count $__devenv_layers)
    while test $__devenv_i -gt 0
        set -q argv[1]; or break
        builtin string match -q -- "$argv[1] *" $__devenv_layers[$__devenv_i]; and break
        set __devenv_i (builtin math $__devenv_i - 1)
    end
    test $__devenv_i -gt 0; or return 0
    set -g __devenv_left $__devenv_layers[$__devenv_i]
    set -e __devenv_layers[$__devenv_i]
    __devenv_unwind
    test (builtin count $__devenv_layers) -gt 0; or __devenv_vanish
    return 0
end

# __devenv_unwind: undo the steps of __devenv_left.
function __devenv_unwind
    set -l __devenv_first (builtin contains -i -- $__devenv_left $__devenv_layer)
    or return 0
    set -l __devenv_touched
    set -l __devenv_i $__devenv_first
    while test $__devenv_i -le (builtin count $__devenv_layer)
        if test "$__devenv_layer[$__devenv_i]" = $__devenv_left
            set -a __devenv_touched $__devenv_target[$__devenv_i]
        end
        set __devenv_i (builtin math $__devenv_i + 1)
    end
    set -l __devenv_again
    set __devenv_i (builtin count $__devenv_layer)
    while test $__devenv_i -ge $__devenv_first
        if test "$__devenv_layer[$__devenv_i]" = $__devenv_left
            __devenv_undo $__devenv_i
            __devenv_forget $__devenv_i
        else if test -n "$__devenv_layer[$__devenv_i]"; and builtin contains -- $__devenv_target[$__devenv_i] $__devenv_touched
            # What the user has changed since is the user's, and not done again.
            if __devenv_undo $__devenv_i
                set -p __devenv_again $__devenv_i
            else
                __devenv_forget $__devenv_i
            end
        end
        set __devenv_i (builtin math $__devenv_i - 1)
    end
    for __devenv_i in $__devenv_again
        __devenv_do $__devenv_i
    end
end

# __devenv_forget INDEX: remove a step from the journal; its number stays taken.
function __devenv_forget
    set __devenv_layer[$argv[1]] ''
    set -eg __devenv_old_$argv[1]
end

# __devenv_vanish: remove everything of ours.
function __devenv_vanish
    set -eg __devenv_layers __devenv_layer __devenv_kind __devenv_name __devenv_target __devenv_separator
    set -eg __devenv_value __devenv_state __devenv_letter __devenv_now __devenv_rest __devenv_left
    builtin functions -e __devenv_open __devenv_directory __devenv_step __devenv_look __devenv_put __devenv_do
    builtin functions -e __devenv_define __devenv_return __devenv_undo __devenv_put_rest __devenv_undefine
    builtin functions -e __devenv_remove __devenv_forget __devenv_leave __devenv_unwind __devenv_vanish devenv_leave
end

function devenv_leave --description 'Leave the environment entered last'
    __devenv_leave
end
