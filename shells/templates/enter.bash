# What bash reads instead of ~/.bashrc when it is started in an environment: that file first, then ours, so that
# nothing in it comes after.
if [ -z "${__devenv_pure-}" ] && [ -r ~/.bashrc ]; then
    source ~/.bashrc
fi
source "$__devenv_spec/activate.bash"
