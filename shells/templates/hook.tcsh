# Read once, by what `devenv hook tcsh` prints: the alias __devenv_hook_prompt runs before each prompt and after each change of
# directory. It is one line, made anew by hook_look.tcsh: one expression of tcsh's own, and that file again where it is true.
if (! $?__devenv_hook_on) then
    set __devenv_hook_on
    set __devenv_hook_cwd = '' __devenv_hook_root = '' __devenv_hook_version = '' __devenv_hook_asked = ''
    # What `devenv enter` hands over to this shell, and to no other: see devenv/env/hooked.py.
    set __devenv_hook_given = () __devenv_hook_held = '' __devenv_hook_held_at = '' __devenv_hook_newest = ''
    if ($?__devenv_start) then
        set __devenv_hook_given = ($__devenv_start)
        if ("$__devenv_hook_given[1]" == "$$") then
            set __devenv_hook_held = "$__devenv_spec:q" __devenv_hook_held_at = "$__devenv_project:q"
        else
            set __devenv_hook_given = ()
        endif
        unsetenv __devenv_start
        unsetenv __devenv_spec
        unsetenv __devenv_project
    endif
    set __devenv_hook_told = '' __devenv_hook_meant = '' __devenv_hook_place = '' __devenv_hook_layer = ''
    set __devenv_hook_files = ()
    alias __devenv_hook_prompt 'source $__devenv_hook_directory:q/hook_look.tcsh'
    # First, so that the others find the environment; but after direnv, which on leaving brings back the whole PATH that it
    # found before it ran at the prompt.
    set __devenv_hook_events = (precmd cwdcmd)
    set __devenv_hook_old = "`alias precmd`"
    if ("$__devenv_hook_old:q" =~ *direnv*) then
        set __devenv_hook_events = ()
        alias precmd "$__devenv_hook_old:q" ';__devenv_hook_prompt'
    endif
    foreach __devenv_hook_event ($__devenv_hook_events)
        set __devenv_hook_old = "`alias $__devenv_hook_event`"
        if ("$__devenv_hook_old:q" == '') then
            alias $__devenv_hook_event __devenv_hook_prompt
        else
            alias $__devenv_hook_event '__devenv_hook_prompt;' "$__devenv_hook_old:q"
        endif
    end
    set __devenv_hook_event = ''
    unset __devenv_hook_event __devenv_hook_events __devenv_hook_old
endif
