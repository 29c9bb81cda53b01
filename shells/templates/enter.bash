# What bash reads instead of ~/.bashrc when it is started in an environment: that file first, then ours, so that
# nothing in it comes after.
if [ -z "${__devenv_pure-}" ] && [ -r ~/.bashrc ]; then
    source ~/.bashrc
fi
if [ -n "${__devenv_spec-}" ]; then
    unset -v __devenv_start
    source "$__devenv_spec/begin.bash"
elif declare -F __devenv_hook_begin >/dev/null; then
    # The hook in that file has taken it over.
    __devenv_hook_begin
fi
