# Enter what `devenv enter` started this shell for, now that the user's files are read. It stays until the shell ends. The
# prompt shows that this works, so `devenv enter` is told by a note.
source "$__devenv_hook_directory:q/hook_keep.tcsh"
if (-w "$__devenv_hook_tree:q/=shells=") then
    echo "$__devenv_hook_given[3]" >! "$__devenv_hook_tree:q/=shells=/$__devenv_hook_given[2]"
endif
set __devenv_hook_given = ()
