# What fish sources after the user's files when it is started in an environment.
if set -q __devenv_spec[1]
    set -eg __devenv_start
    source "$__devenv_spec/begin.fish"
else if functions -q __devenv_hook_begin
    # The hook in those files has taken it over.
    __devenv_hook_begin
end
