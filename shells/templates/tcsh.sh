# Prints the code by which tcsh enters or leaves an environment. tcsh cannot cut strings, so this is done outside of it; what
# it works on are the variables that it inherits, and some of its own that tcsh.awk describes.
case ${LC_ALL+x} in x) export __devenv_LC_ALL="$LC_ALL" ;; esac
# Bytes are characters then.
LC_ALL=C
export LC_ALL
# Without links, and with a newline at the end of the name, if there is one.
__devenv_home=$(cd -P "$__devenv_home/" && pwd -P && printf x)
__devenv_home=${__devenv_home%?x}
export __devenv_home
exec awk -f "$__devenv_home/tcsh.awk"
