# The newest environment of the project that is held: it replaces what it was made from, not one with parameters or
# profiles of its own, nor one that was left, nor in a root of system packages. Nothing else is to be entered here.
if ("$__devenv_hook_identity:q" != '') then
    if ($?__devenv_journal && "$__devenv_hook_newest:q" == "$__devenv_hook_held:q" && "$__devenv_hook_spec:q" != "$__devenv_hook_held:q" && ! -e "$__devenv_hook_spec:q/root") then
        source "$__devenv_hook_held:q/deactivate.tcsh"
        set __devenv_hook_held = "$__devenv_hook_spec:q"
        source "$__devenv_hook_directory:q/hook_keep.tcsh"
    endif
    set __devenv_hook_newest = "$__devenv_hook_spec:q"
endif
set __devenv_hook_spec = '' __devenv_hook_identity = '' __devenv_hook_target = ''
