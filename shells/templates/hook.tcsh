# Read once, by what `devenv hook tcsh` prints: hook_prompt.tcsh before each prompt and after each change of directory. An
# alias is one line, and one that fails in itself is removed by tcsh, so all that these do is to read that file.
if (! $?__devenv_hook_on) then
    set __devenv_hook_on
    set __devenv_hook_cwd = '' __devenv_hook_root = '' __devenv_hook_version = '' __devenv_hook_asked = ''
    set __devenv_hook_told = '' __devenv_hook_meant = '' __devenv_hook_place = '' __devenv_hook_layer = ''
    set __devenv_hook_files = () __devenv_hook_times = () __devenv_hook_inodes = () __devenv_hook_again = 0
    # First, so that the others find the environment; but after direnv, which on leaving brings back the whole PATH that it
    # found before it ran at the prompt.
    set __devenv_hook_events = (precmd cwdcmd)
    set __devenv_hook_old = "`alias precmd`"
    if ("$__devenv_hook_old:q" =~ *direnv*) then
        set __devenv_hook_events = ()
        alias precmd "$__devenv_hook_old:q" ';source $__devenv_hook_directory:q/hook_prompt.tcsh'
    endif
    foreach __devenv_hook_event ($__devenv_hook_events)
        set __devenv_hook_old = "`alias $__devenv_hook_event`"
        if ("$__devenv_hook_old:q" == '') then
            alias $__devenv_hook_event 'source $__devenv_hook_directory:q/hook_prompt.tcsh'
        else
            alias $__devenv_hook_event 'source $__devenv_hook_directory:q/hook_prompt.tcsh;' "$__devenv_hook_old:q"
        endif
    end
    set __devenv_hook_event = ''
    unset __devenv_hook_event __devenv_hook_events __devenv_hook_old
endif
