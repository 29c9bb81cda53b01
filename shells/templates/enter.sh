# What a POSIX shell reads by ENV when it is started in an environment: the user's own file first, then ours, so that
# nothing in it comes after.
if [ -n "${__devenv_kept_ENV+x}" ]; then
    export ENV="$__devenv_kept_ENV"
else
    unset ENV
fi
unset __devenv_kept_ENV
if [ -z "${__devenv_pure-}" ]; then
    if [ -n "${ENV-}" ]; then
        # POSIX has the value expanded before the file is read.
        eval "__devenv_line=$ENV" 2>/dev/null || __devenv_line=$ENV
    elif [ -n "${KSH_VERSION-}" ]; then
        # What Korn shells read by themselves when ENV does not exist.
        case $KSH_VERSION in
        *MIRBSD* | *LEGACY*) __devenv_line=$HOME/.mkshrc ;;
        *) __devenv_line=$HOME/.kshrc ;;
        esac
    else
        __devenv_line=
    fi
    if [ -r "$__devenv_line" ]; then . "$__devenv_line"; fi
    unset __devenv_line
fi
. "$__devenv_spec/activate.sh"
