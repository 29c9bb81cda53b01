"""Variables by which programs are told to run other code, for judging what a project sets without being asked.

A list can only name what is known, so endings that such names have are in it as well: a name that is caught for
nothing costs one question, a name that is missed costs more. The sources are the manual pages ld.so(8), bash(1),
zshparam(1), environ(7), git(1), less(1), perlrun(1), ruby(1), "Command line and environment" of Python,
"Command-line API" of Node.js, and those of the other programs named here.
"""

from __future__ import annotations

import re
from typing import Literal

Reach = Literal["entry", "tools"]

# Code runs when the environment is entered, or in whatever program is started next.
_ENTRY = re.compile(
    r"LD_\w+|DYLD_\w+|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|MALLOC_\w+|BASH\w*|ENV|ZDOTDIR|FPATH|PROMPT\w*|R?PS\d|RPROMPT\d?"
    r"|PERIOD|PSVAR|NULLCMD|READNULLCMD|MODULE_PATH|CDPATH|FIGNORE|MAIL|MAILPATH|SHELLOPTS|KSH_\w*|fish_\w+|FISH_\w+"
    # Numbers in some shell, which evaluates what is assigned to them, subscripts with commands in them included.
    r"|TMOUT|FUNCNEST|ERRNO|BAUD|DIRSTACKSIZE|KEYTIMEOUT|LISTMAX|LOGCHECK|MAILCHECK|REPORTMEMORY|REPORTTIME|TRY_BLOCK_\w+"
    r"|TTYIDLE|SAVEHIST|OPTIND|ZSH\w*|zle_\w+|ZLE_\w+|WATCH\w*|TIMEFMT|SPROMPT|HISTCHARS|histchars|STTY|precmd\w*|chpwd\w*",
    re.ASCII,
)

# Code runs when a certain program does: an editor, a pager, an interpreter, a compiler.
_TOOLS = re.compile(
    r"PATH|PAGER|EDITOR|VISUAL|BROWSER|SHELL|TERMINFO\w*|TERMCAP|INPUTRC|LESS\w*|LS_OPTIONS|GREP_\w+|MAN\w+"
    r"|GIT_\w+|GH_\w+|HG\w+|SVN_\w+|SSH\w*|SUDO_\w+|GPG\w*|GNUPGHOME|SSLKEYLOGFILE|XDG_\w+|DBUS_\w+|NETRC|HOSTALIASES"
    r"|RES_OPTIONS|LOCALDOMAIN|POSIXLY_CORRECT|NLSPATH|TZDIR|PYTHON\w+|PIP_\w+|UV_\w+|PIPX_\w+|POETRY_\w+|VIRTUAL_ENV|CONDA_\w+"
    r"|NODE_\w+|npm_\w+|NPM_\w+|YARN_\w+|PNPM_\w+|BUN_\w+|DENO_\w+|COREPACK_\w+|PERL\w+|RUBY\w+|GEM_\w+|BUNDLE_\w+|RBENV_\w+"
    r"|R_\w+|JULIA_\w+|JAVA_\w+|_JAVA_\w+|JDK_\w+|JRE_\w+|CLASSPATH|MAVEN_\w+|GRADLE_\w+|SBT_\w+|DOTNET_\w+|CORECLR_\w+"
    r"|COMPlus_\w+|LUA_\w+|LUAROCKS_\w+|PHP\w*|COMPOSER_\w+|GO[A-Z0-9]*|CGO_\w+|CARGO\w*|RUST\w+|CC|CXX|CPP|LD|AR|AS|NM|CPATH"
    r"|C_INCLUDE\w*|CPLUS_\w+|GCC_\w+|COMPILER_PATH|LIBRARY_PATH|MAKE\w*|CMAKE_\w+|PKG_CONFIG\w*|CCACHE_\w+|NINJA_\w+"
    r"|DOCKER_\w+|CONTAINER_\w+|KUBE\w+|HELM_\w+|AWS_\w+|AZURE_\w+|GOOGLE_\w+|CLOUDSDK_\w+|VAULT_\w+|TF_\w+|ANSIBLE_\w+"
    r"|OPENSSL_\w+|SSL_\w+|CURL_\w+|REQUESTS_\w+|GTK\w*|GDK_\w+|QT_\w+|GST_\w+|GIO_\w+|GI_\w+|LIBGL_\w+|VK_\w+|MESA_\w+"
    r"|VIM\w*|NVIM_\w+|EXINIT|EMACS\w*|TMUX\w*|SCREEN\w*|STARSHIP_\w+|ZOXIDE_\w+|_ZO_\w+|FZF_\w+|DIRENV_\w+|MISE_\w+|ASDF_\w+"
    r"|PYENV_\w+|NODENV_\w+|NVM_\w+|VOLTA_\w+|NIX_\w+|GUIX_\w+|PRE_COMMIT_\w+|HUSKY\w*|BUILD_TOOL\w*|DEBUGINFOD_\w+"
    # What the names of others end with.
    r"|\w+(?:PATH|PATHS|DIR|DIRS|HOME|ROOT|PREFIX|RC|INIT|CONFIG|CONF|OPTS|OPTIONS|FLAGS|ARGS|EXEC|EXECUTABLE|BIN|CMD|COMMAND"
    r"|SHELL|PAGER|EDITOR|BROWSER|VIEWER|ASKPASS|WRAPPER|LAUNCHER|RUNNER|HOOKS?|HANDLER|PLUGINS?|MODULES?|EXTENSIONS?|PRELOAD"
    r"|STARTUP|LOADER|LINKER|COMPILER|INTERPRETER|REGISTRY|INDEX_URL|PROXY|CERT|CERTS|CA_FILE|BUNDLE|TRUSTSTORE|SOCK|HOST)",
    re.ASCII,
)

# Known to be only looked at.
_HARMLESS = frozenset(
    (
        *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING"),
        *(
            "NODE_ENV",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "GOMAXPROCS",
            "RAILS_ENV",
            "MAKELEVEL",
            "HOST",
            "AWS_REGION",
        ),
    )
)


def reach(name: str) -> Reach | None:
    """Whose code the variable decides about: "entry", anything that is started; "tools", certain programs; or none's."""
    if name in _HARMLESS:
        return None
    if _ENTRY.fullmatch(name):
        return "entry"
    return "tools" if _TOOLS.fullmatch(name) else None
