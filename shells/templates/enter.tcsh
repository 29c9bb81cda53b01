# tcsh reads this when it is started in an environment, because HOME points here for that moment: it has no option for
# another file. From here on HOME is the user's.
setenv HOME "$__devenv_kept_HOME"
set home = "$HOME"
unsetenv __devenv_kept_HOME
if (! $?__devenv_pure) then
    if (-r ~/.tcshrc) then
        source ~/.tcshrc
    else if (-r ~/.cshrc) then
        source ~/.cshrc
    endif
endif
# Where the hook is in that file, it has taken this over.
if ($?__devenv_spec) then
    unsetenv __devenv_start
    source "$__devenv_spec/activate.tcsh"
endif
