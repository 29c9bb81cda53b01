# Before each prompt and after each change of directory: be in the environment of the nearest project. No process is
# started while nothing changed; everything is compared by builtins. What a project's environment is, and when it is out
# of date, is said by files in the user's own state directory, never by the project.

# __devenv_hook_listen: define what runs before each prompt. Handlers run in the order of their definition.
function __devenv_hook_listen
    function __devenv_hook --on-event fish_prompt
        test "$PWD" = "$__devenv_hook_pwd"
        and test $__devenv_hook_same
        or __devenv_hook_look
    end
end

# __devenv_hook_settle: called at the first prompt, when the user's file has been read. direnv comes at the prompt, and on
# leaving brings back the whole PATH that it found: it must find it without ours, so ours comes after it.
function __devenv_hook_settle --on-event fish_prompt
    functions -e __devenv_hook_settle
    if functions -q __direnv_export_eval
        __devenv_hook_listen
        __direnv_export_eval
        __devenv_hook # what was defined now is called from the next prompt on
    end
end
__devenv_hook_listen

function __devenv_hook_moved --on-variable PWD
    # Not beside direnv, see above.
    status is-command-substitution
    or functions -q __direnv_export_eval
    or __devenv_hook
end

# __devenv_hook_look: find the project, read what is known about it, enter or leave, ask for what is missing.
function __devenv_hook_look
    set -l __devenv_found $__devenv_hook_root
    set -l __devenv_moved 0
    test -n "$__devenv_hook_given"
    and __devenv_hook_begin prompt
    if test "$PWD" != "$__devenv_hook_pwd"
        set __devenv_moved 1
        set -g __devenv_hook_asked ''
    end
    if test $__devenv_moved = 1; or test -z "$__devenv_found"; or not test -f $__devenv_found/devenv.toml
        set __devenv_found (__devenv_hook_find)
    end
    set -g __devenv_hook_pwd "$PWD"
    if test -z "$__devenv_found"
        set -g __devenv_hook_root ''
        set -g __devenv_hook_version ''
        __devenv_hook_switch '' ''
        # A devenv.toml may appear here. Above it is looked for when the directory changes.
        set -g __devenv_hook_same ! -f devenv.toml
        return
    end
    if test "$__devenv_found" != "$__devenv_hook_root"; or test -z "$__devenv_hook_version"
        __devenv_hook_load $__devenv_found
    else if not test $__devenv_hook_current -ef $__devenv_hook_version
        __devenv_hook_load $__devenv_found
    end
    __devenv_hook_check $__devenv_moved
end

# __devenv_hook_check MOVED: ask for a new version where this one is out of date, and write into __devenv_hook_same the
# operands of `test` that tell whether all is as it was.
function __devenv_hook_check
    set -l __devenv_current ! -e $__devenv_hook_current
    test -n "$__devenv_hook_version"
    and set __devenv_current $__devenv_hook_current -ef $__devenv_hook_version
    set -l __devenv_files $__devenv_hook_often
    test $argv[1] = 1
    and set __devenv_files $__devenv_hook_all
    if test -n "$__devenv_hook_version" -a "$__devenv_hook_asked" != "$__devenv_hook_version"
        if test -z "$__devenv_hook_meant" -o -r "$__devenv_hook_meant/activate.fish"
            if test $__devenv_current $__devenv_files
                set -g __devenv_hook_same $__devenv_current $__devenv_hook_often
                return
            end
        end
    end
    __devenv_hook_ask
    set -g __devenv_hook_same $__devenv_current # only a new version can tell anything new
end

# __devenv_hook_find: prints the nearest directory with a devenv.toml, links resolved as `devenv enter` does.
function __devenv_hook_find
    set -l __devenv_at (builtin pwd -P)
    # What is known is kept in lines, so a name that holds a newline has no place there.
    test (builtin count $__devenv_at) -eq 1
    or return
    while not test -f "$__devenv_at/devenv.toml"
        test -n "$__devenv_at"
        or return
        set __devenv_at (builtin string replace -r -- '/[^/]*$' '' $__devenv_at)
    end
    test -n "$__devenv_at"
    and test "$__devenv_at" != /
    and not builtin string match -q -- '*/=devenv=/*' $__devenv_at/
    and builtin echo -E -- $__devenv_at
end

# __devenv_hook_load PROJECT: read the newest version and be in its environment.
function __devenv_hook_load
    set -l __devenv_place $__devenv_hook_tree$argv[1]/=devenv=
    set -l __devenv_inside 0
    set -l __devenv_lines
    set -l __devenv_line
    if test "$argv[1]" = "$__devenv_hook_root"; and test -n "$__devenv_hook_version"
        set __devenv_inside 1
    end
    set -g __devenv_hook_root $argv[1]
    set -g __devenv_hook_version ''
    set -g __devenv_hook_current $__devenv_place/current
    set -g __devenv_hook_all
    set -g __devenv_hook_often
    if test -r $__devenv_place/current/entry
        while builtin read -l __devenv_line
            set -a __devenv_lines "$__devenv_line"
        end <$__devenv_place/current/entry
    end 2>/dev/null
    if test "$__devenv_lines[1]" != 'devenv-hook 1'; or test "$__devenv_lines[3]" != "project $argv[1]"
        __devenv_hook_switch '' ''
        return
    end
    set -g __devenv_hook_version $__devenv_place/(builtin string replace 'version ' '' -- $__devenv_lines[2])
    __devenv_hook_watch $__devenv_lines[8..-1]
    __devenv_hook_switch (builtin string replace -r '^spec ' '' -- $__devenv_lines[5]) $argv[1]
    if test "$__devenv_hook_version" != "$__devenv_hook_told"
        __devenv_hook_tell (builtin string replace -r '^say ' '' -- $__devenv_lines[6])
        test $__devenv_inside = 1
        and __devenv_hook_tell (builtin string replace -r '^news ' '' -- $__devenv_lines[7])
        set -g __devenv_hook_told $__devenv_hook_version
    end
end

# __devenv_hook_watch LINE...: write down how to see whether these files are as they were.
function __devenv_hook_watch
    set -l __devenv_number 0
    for __devenv_line in $argv
        set -l __devenv_file (builtin string replace -r -- '^[a-z]+ ' '' $__devenv_line)
        set -l __devenv_mark $__devenv_hook_version/$__devenv_number
        set -l __devenv_test -a ! $__devenv_file -nt $__devenv_mark -a ! $__devenv_file -ot $__devenv_mark
        if builtin string match -q -- 'absent *' $__devenv_line
            set __devenv_test -a ! -e $__devenv_file
        end
        set -ga __devenv_hook_all $__devenv_test
        builtin string match -q -- 'look *' $__devenv_line
        or set -ga __devenv_hook_often $__devenv_test
        set __devenv_number (builtin math $__devenv_number + 1)
    end
end

function __devenv_hook_tell
    test -n "$argv[1]"
    and builtin printf 'devenv: %s\n' $argv[1] >&2
end

# __devenv_hook_ask: have the project looked at in the background, once for each version.
function __devenv_hook_ask
    set -l __devenv_version $__devenv_hook_version
    test -n "$__devenv_version"
    or set __devenv_version none
    test "$__devenv_hook_asked" = $__devenv_version
    and return
    set -g __devenv_hook_asked $__devenv_version
    command $__devenv_hook_program hook --refresh --project $__devenv_hook_root </dev/null >/dev/null 2>&1 &
    disown $last_pid 2>/dev/null
end

# __devenv_hook_switch SPEC PROJECT: leave the environment that this hook entered, and enter this one, if any.
function __devenv_hook_switch
    if test -n "$__devenv_hook_held"; and test "$argv[2]" = "$__devenv_hook_held_at"
        __devenv_hook_hold $argv[1]
        set argv '' ''
    end
    if test "$argv[1]" = "$__devenv_hook_meant"; and test "$argv[2]" = "$__devenv_hook_place" -o -z "$argv[1]"
        return
    end
    if test -n "$__devenv_hook_layer"; and functions -q __devenv_leave
        __devenv_leave (builtin string split -m 1 ' ' -- $__devenv_hook_layer)
    end
    set -g __devenv_hook_layer ''
    set -g __devenv_hook_meant "$argv[1]"
    set -g __devenv_hook_place "$argv[2]"
    test -n "$argv[1]"; and test -r $argv[1]/activate.fish
    or return
    __devenv_hook_enter $argv activate.fish
    set -g __devenv_hook_layer $__devenv_hook_entered
end

# __devenv_hook_enter SPEC PROJECT FILE: __devenv_hook_entered becomes the layer, empty where it was there already.
function __devenv_hook_enter
    set -l __devenv_hook_before (builtin count $__devenv_layers)
    set -g __devenv_hook_entered ''
    set -g __devenv_spec $argv[1]
    set -g __devenv_project $argv[2]
    source $argv[1]/$argv[3]
    if test (builtin count $__devenv_layers) -gt $__devenv_hook_before
        set -g __devenv_hook_entered $__devenv_layers[-1]
    end
end

# __devenv_hook_begin [prompt]: enter what `devenv enter` started this shell for, now that the user's files are read. It
# stays until the shell ends. At a prompt, which shows that this works, `devenv enter` is told by a note.
function __devenv_hook_begin
    set -l __devenv_hook_words (builtin string split -m 1 ' ' -- $__devenv_hook_given)
    if test -z "$__devenv_hook_held_layer"
        __devenv_hook_enter $__devenv_hook_held $__devenv_hook_held_at begin.fish
        set -g __devenv_hook_held_layer $__devenv_hook_entered
    end
    if test -n "$argv[1]"
        set -g __devenv_hook_given ''
        test -w $__devenv_hook_tree/=shells=
        and builtin echo $__devenv_hook_words[2] >$__devenv_hook_tree/=shells=/$__devenv_hook_words[1]
    end
end

# __devenv_hook_hold SPEC: the newest environment of the project that is held is another one. It replaces what it was made
# from, not one with parameters or profiles of its own, nor one that was left, nor in a root of system packages.
function __devenv_hook_hold
    test -n "$argv[1]"
    or return
    if test "$__devenv_hook_newest" = "$__devenv_hook_held" -a "$argv[1]" != "$__devenv_hook_held"
        if builtin contains -- "$__devenv_hook_held_layer" $__devenv_layers; and not test -e $argv[1]/root; and test -r $argv[1]/begin.fish
            __devenv_leave (builtin string split -m 1 ' ' -- $__devenv_hook_held_layer)
            __devenv_hook_enter $argv[1] $__devenv_hook_held_at begin.fish
            set -g __devenv_hook_held $argv[1]
            set -g __devenv_hook_held_layer $__devenv_hook_entered
        end
    end
    set -g __devenv_hook_newest $argv[1]
end

# __devenv_hook_take: what `devenv enter` hands over to this shell, and to no other. See devenv/env/hooked.py.
function __devenv_hook_take
    for __devenv_hook_name in given held held_at held_layer newest
        set -g __devenv_hook_$__devenv_hook_name ''
    end
    set -q __devenv_start[1]
    or return
    set -l __devenv_hook_words (builtin string split -m 1 ' ' -- $__devenv_start)
    if test "$__devenv_hook_words[1]" = $fish_pid
        set -g __devenv_hook_given $__devenv_hook_words[2]
        set -g __devenv_hook_held $__devenv_spec
        set -g __devenv_hook_held_at $__devenv_project
    end
    set -eg __devenv_start
    set -eg __devenv_spec
    set -eg __devenv_project
end

set -g __devenv_hook_pwd ''
set -g __devenv_hook_asked ''
set -g __devenv_hook_told ''
if not set -q __devenv_hook_on
    set -g __devenv_hook_on 1
    set -g __devenv_hook_root ''
    set -g __devenv_hook_version ''
    set -g __devenv_hook_current ''
    set -g __devenv_hook_all
    set -g __devenv_hook_often
    set -g __devenv_hook_same -n ''
    set -g __devenv_hook_meant ''
    set -g __devenv_hook_place ''
    set -g __devenv_hook_layer ''
    __devenv_hook_take
end
