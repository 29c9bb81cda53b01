# cd reacts at once, for what follows it on the same line. A function of the user's stays.
if ! declare -F cd >/dev/null; then cd() { builtin cd "$@" && __devenv_hook; }; fi
if ! declare -F pushd >/dev/null; then pushd() { builtin pushd "$@" && __devenv_hook; }; fi
if ! declare -F popd >/dev/null; then popd() { builtin popd "$@" && __devenv_hook; }; fi
