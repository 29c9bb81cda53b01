
# History and backslashes must not change what follows; they are the user's again at the end.
if ($?histchars) then
    set __devenv_histchars = "$histchars"
endif
set histchars = ''
if ($?backslash_quote) then
    set __devenv_backslash_quote
    unset backslash_quote
endif
set __devenv_n = '\
'
# A sourced file cannot know where it lies. Without __devenv_spec it is the nearest .devenv/env upwards that holds it.
if (! $?__devenv_spec) then
    set __devenv_at = "$cwd:q"
    while ("$__devenv_at:q" != '')
        if (-r "$__devenv_at:q/.devenv/env/id") then
            if ({ /bin/sh -c 'read -r id <"$1/.devenv/env/id" && [ "$id" = "$2" ]' sh "$__devenv_at:q" "$__devenv_id" }) then
                set __devenv_spec = "$__devenv_at:q/.devenv/env"
                if (! $?__devenv_project) setenv __devenv_project "$__devenv_at:q"
                break
            endif
        endif
        if ("$__devenv_at:q" == '/') break
        set __devenv_at = "$__devenv_at:h:q"
    end
    unset __devenv_at
endif
# What is in the environment already is not read again: double quotes alone do not keep a newline in a variable.
if (! $?__devenv_project) setenv __devenv_project "$cwd:q"
if (! $?__devenv_journal) set __devenv_journal = ()
if ($?__devenv_spec || $?__devenv_home) then
    # An undefined variable is an error even where an `if` of one line is not taken.
    if ($?__devenv_spec) then
        set __devenv_home = "$__devenv_spec"
    endif
    setenv __devenv_home "$__devenv_home"
    setenv __devenv_action $__devenv_action
    setenv __devenv_id "$__devenv_id:q"
    setenv __devenv_program '. "$__devenv_home/tcsh.sh"'
    @ __devenv_i = 0
    foreach __devenv_word ($__devenv_journal:q)
        @ __devenv_i ++
        setenv __devenv_w$__devenv_i "$__devenv_word:q"
    end
    # tcsh expands what stands between backquotes and quotes nothing there, so all of it is handed over by variables. What
    # comes back is one line of quoted words.
    source "$__devenv_home:q/high.tcsh"
    eval "`printenv __devenv_program | /bin/sh`"
    unset __devenv_high
    alias devenv_leave 'set __devenv_action = leave __devenv_id = -; source $__devenv_home:q/change.tcsh'
else if ($__devenv_action == enter) then
    echo 'devenv: where this environment lies cannot be told from here: go to its project, or set __devenv_spec'
endif
if ($#__devenv_journal == 0) then
    unset __devenv_journal __devenv_home
    unalias devenv_leave
endif
unset __devenv_n __devenv_spec __devenv_action __devenv_id __devenv_i __devenv_word
unsetenv __devenv_*
if ($?__devenv_backslash_quote) then
    set backslash_quote
    unset __devenv_backslash_quote
endif
unset histchars
if ($?__devenv_histchars) then
    set histchars = "$__devenv_histchars"
    unset __devenv_histchars
endif
