# What tcsh's hook has done by /bin/sh when something may have changed: find the project, read what is known about it, tell
# its news, have it looked at where that is out of date. Prints one line of tcsh: what to remember, and which
# environment to be in. The variables __devenv_hook_* are what it remembers so far.
newline='
'

# word TEXT: the text between single quotes.
word() {
    rest=$1 done=
    while case $rest in *\'*) ;; *) false ;; esac do
        done="$done${rest%%\'*}'\\''"
        rest=${rest#*\'}
    done
    printf "'%s'" "$done$rest"
}

# keep NAME TEXT
keep() {
    printf 'set __devenv_hook_%s = ' "$1"
    word "$2"
    printf ';'
}

# watch FILE: it goes to the files that tcsh looks at, and its time, in seconds, and number to the expression that compares
# them. `again` becomes 1 where a change in a moment could not be told by them: the clock that files are stamped by may be late.
watch() {
    files="$files $(word "$1")" count=$((count + 1))
    name="\"\$__devenv_hook_files[$count]:q\""
    if stamp=$(stat -L -c '%Z %i' -- "$1" 2>/dev/null); then
        differs="$differs || (-C $name) != ${stamp% *} || (-I $name) != ${stamp#* }"
        if [ "${stamp% *}" -ge "$((now - 1))" ]; then again=1; fi
    else
        differs="$differs || -e $name"
    fi
}

find_project() {
    root=$(pwd -P && printf x) || root=x
    root=${root%"${newline}x"}
    while [ -n "$root" ] && [ ! -f "$root/devenv.toml" ]; do root=${root%/*}; done
    # What is known is kept in lines, under the directory's own name.
    case $root/ in *"$newline"* | */=devenv=/*) root= ;; esac
}

# check KIND FILE REFERENCE: whether the file is the one that the version was made with.
check() {
    case $1 in
    absent) [ ! -e "$2" ] ;;
    look) [ "$__devenv_hook_moved" = 0 ] || { [ -e "$2" ] && [ ! "$2" -nt "$3" ] && [ ! "$2" -ot "$3" ]; } ;;
    *) [ -e "$2" ] && [ ! "$2" -nt "$3" ] && [ ! "$2" -ot "$3" ] ;;
    esac
}

read_version() {
    spec= stale=
    version=$(cd -P "$place/current" 2>/dev/null && pwd -P) || version=
    if [ -z "$version" ]; then return; fi
    {
        IFS= read -r head && IFS= read -r _ && IFS= read -r project && IFS= read -r _ && IFS= read -r spec &&
            IFS= read -r say && IFS= read -r news || head=
        if [ "$head" != 'devenv-hook 1' ] || [ "$project" != "project $root" ]; then
            version= spec=
            return
        fi
        spec=${spec#spec }
        number=0
        while IFS= read -r line; do
            case $line in look\ *) ;; *) watch "${line#* }" ;; esac
            check "${line%% *}" "${line#* }" "$version/$number" || stale=1
            number=$((number + 1))
        done
    } <"$version/entry"
    if [ "$version" != "$__devenv_hook_told" ]; then
        if [ -n "${say#say }" ]; then printf 'devenv: %s\n' "${say#say }" >&2; fi
        if [ -n "$inside" ] && [ -n "${news#news }" ]; then printf 'devenv: %s\n' "${news#news }" >&2; fi
        __devenv_hook_told=$version
    fi
}

now=$(date +%s)
files= count=0 differs= again=0 version= spec= identity= inside=
if [ "$__devenv_hook_moved" = 1 ]; then __devenv_hook_asked=; fi
find_project
if [ -z "$root" ]; then
    watch "$(pwd -P)/devenv.toml"
else
    place=$__devenv_hook_tree$root/=devenv=
    if [ "$root" = "$__devenv_hook_root" ] && [ -n "$__devenv_hook_version" ]; then inside=1; fi
    read_version
    if [ -n "$spec" ]; then
        if [ -r "$spec/activate.tcsh" ]; then identity=$(cat "$spec/id"); else stale=1; fi
    fi
    wanted=${version:-none}
    if { [ -z "$version" ] || [ -n "$stale" ]; } && [ "$__devenv_hook_asked" != "$wanted" ]; then
        eval "set -- $__devenv_hook_program"
        for name in tree program directory root version moved meant; do unset "__devenv_hook_$name"; done
        unset __devenv_program
        "$@" hook --refresh --project "$root" </dev/null >/dev/null 2>&1 &
        __devenv_hook_asked=$wanted
    fi
    # After that only a new version can tell anything new.
    if [ "$__devenv_hook_asked" = "$wanted" ]; then files= count=0 differs= again=0; fi
    watch "$place/current/entry"
fi
keep root "$root"
keep version "$version"
keep asked "$__devenv_hook_asked"
keep told "$__devenv_hook_told"
keep spec "$spec"
keep identity "$identity"
look='source "$__devenv_hook_directory:q/hook_look.tcsh"'
if [ "$again" = 0 ]; then look="if (\"\$cwd:q\" != \"\$__devenv_hook_cwd:q\"$differs) $look"; fi
printf 'set __devenv_hook_files = (%s);alias __devenv_hook_prompt %s;set __devenv_hook_done = 1\n' "$files" "$(word "$look")"
