# Enter the environment that is held.
setenv __devenv_spec "$__devenv_hook_held:q"
setenv __devenv_project "$__devenv_hook_held_at:q"
set __devenv_spec = "$__devenv_hook_held:q"
source "$__devenv_hook_held:q/activate.tcsh"
