# Something may have changed: hook_tcsh.sh finds out what, and says it as one line of quoted words. The last of them is the
# alias that compares from now on.
if ($?histchars) then
    set __devenv_hook_histchars = "$histchars"
endif
set histchars = ''
if ($#__devenv_hook_given) source "$__devenv_hook_directory:q/hook_begin.tcsh"
setenv __devenv_hook_moved 0
if ("$cwd:q" != "$__devenv_hook_cwd:q") setenv __devenv_hook_moved 1
set __devenv_hook_cwd = "$cwd:q"
foreach __devenv_hook_name (tree program directory root version asked told meant)
    eval 'setenv __devenv_hook_'"$__devenv_hook_name"' "$__devenv_hook_'"$__devenv_hook_name"':q"'
end
setenv __devenv_program '. "$__devenv_hook_directory/hook_tcsh.sh"'
set __devenv_hook_done = 0
# tcsh expands what stands between backquotes and quotes nothing there, so all of it is handed over by variables.
eval "`printenv __devenv_program | /bin/sh`"
unsetenv __devenv_hook_* __devenv_program
set __devenv_hook_target = "$__devenv_hook_root:q"
if ("$__devenv_hook_held:q" != '' && "$__devenv_hook_root:q" == "$__devenv_hook_held_at:q") source "$__devenv_hook_directory:q/hook_hold.tcsh"
if (! $__devenv_hook_done) then
    # devenv has been removed.
    unset __devenv_hook_on
    alias __devenv_hook_prompt :
else if ("$__devenv_hook_spec:q" != "$__devenv_hook_meant:q" || "$__devenv_hook_target:q" != "$__devenv_hook_place:q") then
    if ("$__devenv_hook_layer:q" != '' && $?__devenv_home) then
        set __devenv_action = leave __devenv_id = "$__devenv_hook_layer:q"
        source "$__devenv_home:q/change.tcsh"
    endif
    set __devenv_hook_layer = '' __devenv_hook_meant = "$__devenv_hook_spec:q" __devenv_hook_place = "$__devenv_hook_target:q"
    if ("$__devenv_hook_identity:q" != '') then
        set __devenv_hook_before = ''
        if ($?__devenv_journal) then
            set __devenv_hook_before = "$__devenv_journal:q"
        endif
        setenv __devenv_spec "$__devenv_hook_spec:q"
        setenv __devenv_project "$__devenv_hook_root:q"
        set __devenv_spec = "$__devenv_hook_spec:q"
        source "$__devenv_hook_spec:q/activate.tcsh"
        if ($?__devenv_journal) then
            # What was entered by hand before is not ours to leave.
            if ("$__devenv_journal:q" != "$__devenv_hook_before:q") set __devenv_hook_layer = "$__devenv_hook_identity:q $__devenv_hook_root:q"
        endif
        unset __devenv_hook_before
    endif
endif
unset __devenv_hook_name __devenv_hook_target __devenv_hook_done __devenv_hook_spec __devenv_hook_identity histchars
if ($?__devenv_hook_histchars) then
    set histchars = "$__devenv_hook_histchars"
    unset __devenv_hook_histchars
endif
