# Be in the environment of the nearest project. No process is started while nothing changed: tcsh itself compares the
# times, in seconds, and the numbers of the files that hook_tcsh.sh has named. The latter compares to the nanosecond. It is
# asked when anything differs, and as long as a file is so young that another change could have the same second.
if ($?__devenv_hook_on) then
    set __devenv_hook_look = 0
    if ("$cwd:q" != "$__devenv_hook_cwd:q" || $__devenv_hook_again) then
        set __devenv_hook_look = 1
    else
        @ __devenv_hook_i = 0
        foreach __devenv_hook_file ($__devenv_hook_files:q)
            @ __devenv_hook_i ++
            if (-e "$__devenv_hook_file:q") then
                if ((-C "$__devenv_hook_file:q") != $__devenv_hook_times[$__devenv_hook_i] || (-I "$__devenv_hook_file:q") != $__devenv_hook_inodes[$__devenv_hook_i]) set __devenv_hook_look = 1
            else if ($__devenv_hook_times[$__devenv_hook_i] != none) then
                set __devenv_hook_look = 1
            endif
        end
        unset __devenv_hook_i __devenv_hook_file
    endif
    if ($__devenv_hook_look) source "$__devenv_hook_directory:q/hook_look.tcsh"
    unset __devenv_hook_look
endif
