# zsh reads this first when it is started in an environment, because ZDOTDIR points here for that moment. From here
# on ZDOTDIR is the user's, so all their other files, the history and caches are found as ever.
if (( ${+__devenv_kept_ZDOTDIR} )); then
    export ZDOTDIR=$__devenv_kept_ZDOTDIR
    unset __devenv_kept_ZDOTDIR
else
    unset ZDOTDIR
fi

# The first prompt is after all files that zsh reads at its start.
__devenv_enter() {
    precmd_functions=("${(@)precmd_functions:#__devenv_enter}")
    unfunction __devenv_enter
    if [[ -n ${__devenv_spec-} ]]; then
        unset __devenv_start
        source "$__devenv_spec/begin.zsh"
    elif ((${+functions[__devenv_hook_begin]})); then
        # The hook in those files has taken it over.
        __devenv_hook_begin
    fi
}
precmd_functions+=(__devenv_enter)

if [[ -n ${__devenv_pure-} ]]; then
    setopt no_rcs
elif [[ -r ${ZDOTDIR:-$HOME}/.zshenv ]]; then
    source "${ZDOTDIR:-$HOME}/.zshenv"
fi
