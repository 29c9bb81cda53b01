
# Before each prompt: be in the environment of the nearest project. No process is started while nothing changed. What a
# project's environment is, and when it is out of date, is said by files in the user's own state directory, never by
# the project. `$env.__devenv_hook` holds the state, a record, which children do not see.
const __devenv_hook_tree = TREE
const __devenv_hook_program = PROGRAM

# Whether what the prompt compares is not as it was: whether files are there, contents of small ones, times of large ones;
# all by builtins. `ls` costs more than the contents of a small file, so one serves all large files of a directory. A
# closure for `each` costs more than either, so here are loops.
def __devenv_hook_differs [often: record] {
    try {
        if true in ($often.absent | path exists) { return true }
        for file in $often.small { if (open --raw $file.path | hash sha256) != $file.seen { return true } }
        for group in $often.large { if (__devenv_hook_times $group.files) != $group.seen { return true } }
        false
    } catch { true }
}

# Times of what a path or a pattern stands for.
def __devenv_hook_times [files: any] { ls --all --directory $files | get modified }

# What the prompt compares, as it is now.
def __devenv_hook_see [watched: list] {
    let sizes = $watched | where kind == "watch" | each {|watch|
        let size = try { ls --directory ($watch.path | path expand) | get 0.size | into int } catch { 0 }
        {path: $watch.path, small: ($size < 32768 and ($watch.path | path expand | path type) == "file")}
    }
    let large = $sizes | where not small | get path | group-by {|path| $path | path dirname } | values | each {|paths| __devenv_hook_pattern $paths } | flatten
    {
        absent: ($watched | where kind == "absent" | get path)
        small: ($sizes | where small | get path | each {|path|
            {path: $path, seen: (try { open --raw $path | hash sha256 } catch { "" })}
        })
        large: ($large | each {|files| {files: $files, seen: (try { __devenv_hook_times $files } catch { [] })} })
    }
}

# For files of one directory one pattern, which may match others too, or themselves where a pattern could not say so.
def __devenv_hook_pattern [paths: list] {
    let names = $paths | path basename
    let folder = $paths.0 | path dirname
    let plain = ($names | all {|name| $name =~ '^[A-Za-z0-9._]{3}' }) and $folder !~ '[\[\]*?{}~\\]' and ($paths | path expand) == $paths
    if not $plain or ($paths | length) == 1 { return ($paths | path expand) }
    let classes = 0..2 | each {|at| "[" + ($names | each {|name| $name | str substring $at..$at } | uniq | str join) + "]" }
    [($folder + "/" + ($classes | str join) + "*" | into glob)]
}

# The time of the last change, in nanoseconds; 0 where there is no such file.
def __devenv_hook_time [path: string] {
    try { ls --directory ($path | path expand) | get 0.modified | into int } catch { 0 }
}

def __devenv_hook_link [root: string] { $__devenv_hook_tree + $root + "/=devenv=/current" }

def __devenv_hook_current [root: string] {
    let link = __devenv_hook_link $root
    if ($link | path exists) { $link | path expand } else { "" }
}

# The nearest directory with a devenv.toml, links resolved; empty if there is none.
def __devenv_hook_find [] {
    mut at = $env.PWD | path expand
    while $at != "/" and ($at + "/devenv.toml" | path expand | path type) != "file" { $at = $at | path dirname }
    # What is known is kept in lines, under the directory's own name.
    if $at == "/" or ($at | str contains "\n") or "=devenv=" in ($at | split row "/") { "" } else { $at }
}

# Whether to look again, although the directory is the same.
def __devenv_hook_changed [hook: record] {
    if $hook.root == "" { return (("devenv.toml" | path type) != null) }
    if ($hook.link | path expand) != $hook.version { return ($hook.version != "" or ($hook.link | path exists)) }
    # After it was asked, only a new version can tell anything new.
    $hook.asked != $hook.version and (__devenv_hook_differs $hook.often)
}

# What is known about a project: its version, environment, texts, and the files to watch.
def __devenv_hook_read [root: string] {
    let nothing = {version: "", spec: "", say: "", news: "", watched: []}
    let version = __devenv_hook_current $root
    let lines = try { open --raw ($version + "/entry") | decode utf-8 | split row "\n" | drop 1 } catch { [] }
    if ($lines | length) < 7 or $lines.0 != "devenv-hook 1" or $lines.2 != "project " + $root { return $nothing }
    let watched = $lines | skip 7 | enumerate | each {|line|
        let kind = $line.item | split row " " | first
        let path = $line.item | str substring (($kind | str length) + 1)..
        {kind: $kind, path: $path, reference: ($version + "/" + ($line.index | into string))}
    }
    {
        version: $version, watched: $watched, spec: ($lines.4 | str substring 5..), say: ($lines.5 | str substring 4..),
        news: ($lines.6 | str substring 5..)
    }
}

# Whether a file is not the one that the version was made with.
def __devenv_hook_stale [hook: record, moved: bool] {
    $hook.watched | any {|watch|
        if $watch.kind == "look" and not $moved {
            false
        } else if $watch.kind == "absent" {
            $watch.path | path exists
        } else {
            let time = __devenv_hook_time $watch.path
            $time == 0 or $time != (__devenv_hook_time $watch.reference)
        }
    }
}

def __devenv_hook_identity [spec: string] { try { open --raw ($spec + "/id") | decode utf-8 | str trim } catch { "" } }

def __devenv_hook_layers [] { $env | get -o __devenv | default {layers: []} | get layers }

# Enter what `devenv enter` started this shell for, now that the user's files are read. It stays until the shell ends. Where a
# file of the environment has entered it already, it is only remembered.
def --env __devenv_hook_begin [] {
    let hook = $env.__devenv_hook
    let identity = __devenv_hook_identity $hook.held
    let layer = $identity + " " + $hook.held_at
    $env.__devenv_hook = $hook | merge {given: [], held_layer: $layer}
    hide-env --ignore-errors __devenv_start __devenv_spec __devenv_project
    if $layer not-in (__devenv_hook_layers) {
        __devenv_change null {identity: $identity, place: $hook.held, project: $hook.held_at} []
        __devenv_hook_label
    }
    let note = $__devenv_hook_tree + "/=shells=/" + $hook.given.0
    try { ($hook.given.1 + "\n") | save --raw --force $note }
}

# The prompt begins with the name of the environment that is held.
def --env __devenv_hook_label [] {
    if "DEVENV_NO_PROMPT" in $env { return }
    let before = $env | get -o PROMPT_COMMAND
    $env.PROMPT_COMMAND = {||
        let shown = if $before == null { "" } else if ($before | describe) starts-with "closure" { do $before } else { $before }
        let hook = $env | get -o __devenv_hook
        if $hook != null and $hook.held_layer in (__devenv_hook_layers) {
            (open --raw ($hook.held + "/label") | decode utf-8) + $shown
        } else { $shown }
    }
}

# The newest environment of the project that is held: it replaces what it was made from, not one with parameters or
# profiles of its own, nor one that was left, nor in a root of system packages.
def --env __devenv_hook_hold [spec: string] {
    let hook = $env.__devenv_hook
    let identity = __devenv_hook_identity $spec
    let there = $hook.held_layer in (__devenv_hook_layers) and not ($spec + "/root" | path exists)
    if $there and $identity != "" and $hook.newest == $hook.held and $spec != $hook.held {
        __devenv_change $hook.held_layer {identity: $identity, place: $spec, project: $hook.held_at} []
        $env.__devenv_hook = $hook | merge {held: $spec, held_layer: ($identity + " " + $hook.held_at)}
    }
    $env.__devenv_hook.newest = $spec
}

# Leave the environment that this hook entered, and enter this one, if any.
def --env __devenv_hook_switch [given: string, place: string] {
    let held = $env.__devenv_hook.held != "" and $place == $env.__devenv_hook.held_at
    if $held { __devenv_hook_hold $given }
    let spec = if $held { "" } else { $given }
    let project = if $held { "" } else { $place }
    let hook = $env.__devenv_hook
    if $spec == $hook.meant and ($spec == "" or $project == $hook.place) { return }
    let identity = if $spec == "" { "" } else { __devenv_hook_identity $spec }
    let enter = if $identity == "" { null } else { {identity: $identity, place: $spec, project: $project} }
    let layers = __devenv_hook_layers
    let layer = $identity + " " + $project
    let entered = if $enter == null or ($layer in $layers and $layer != $hook.layer) { "" } else { $layer }
    let leave = if $hook.layer == "" { null } else { $hook.layer }
    $env.__devenv_hook = $hook | merge {meant: $spec, place: $project, layer: $entered}
    if $leave != null or $enter != null { __devenv_change $leave $enter [] }
}

# Have the project looked at in the background, once for each version.
def --env __devenv_hook_ask [] {
    let hook = $env.__devenv_hook
    let version = if $hook.version == "" { "none" } else { $hook.version }
    if $hook.asked == $version { return }
    $env.__devenv_hook.asked = $version
    ^/bin/sh -c '"$@" </dev/null >/dev/null 2>&1 &' sh ...$__devenv_hook_program hook --refresh --project $hook.root
}

# direnv on leaving brings back the whole PATH that it found, so it must find it without ours, which comes after it. Seen once,
# at the first prompt, when all of the user's files have been read.
def --env __devenv_hook_settle [] {
    let hooks = $env.config.hooks.pre_prompt
    let texts = $hooks | each {|hook| try { view source $hook } catch { try { view source $hook.code } catch { "" } } }
    let places = $texts | enumerate
    let theirs = $places | where item =~ direnv | get index
    let ours = $places | where item =~ __devenv_hook_look | get index
    if ($theirs | is-empty) or ($ours | is-empty) or ($theirs | last) < $ours.0 { return }
    let last = $theirs | last
    let own = $hooks | get $ours.0
    let others = $hooks | drop nth $ours.0
    $env.config.hooks.pre_prompt = ($others | first $last) ++ [$own] ++ ($others | skip $last)
    # This comes from the next prompt on. Here direnv comes before ours, and once again in vain.
    do --env ($hooks | get $last)
}

# Find the project, read what is known about it, enter or leave, ask for what is missing.
def --env __devenv_hook_look [] {
    if $env.__devenv_hook.pwd == "" { __devenv_hook_settle }
    if $env.__devenv_hook.given != [] { __devenv_hook_begin }
    let moved = $env.PWD != $env.__devenv_hook.pwd
    if $moved { $env.__devenv_hook = $env.__devenv_hook | merge {pwd: $env.PWD, asked: ""} }
    let hook = $env.__devenv_hook
    let root = __devenv_hook_find
    let inside = $root == $hook.root and $hook.version != ""
    if $root == "" {
        $env.__devenv_hook = $hook | merge {root: "", version: "", watched: []}
        __devenv_hook_switch "" ""
        return
    }
    if not $inside or (__devenv_hook_current $root) != $hook.version {
        let found = __devenv_hook_read $root
        $env.__devenv_hook = $hook | merge {
            root: $root, version: $found.version, watched: $found.watched, link: (__devenv_hook_link $root)
        }
        __devenv_hook_switch $found.spec (if $found.spec == "" { "" } else { $root })
        if $found.version != $hook.told {
            for text in [$found.say (if $inside { $found.news } else { "" })] {
                if $text != "" { print --stderr ("devenv: " + $text) }
            }
            $env.__devenv_hook.told = $found.version
        }
    }
    # Before times are compared: a change in between is noticed at the next prompt.
    $env.__devenv_hook.often = __devenv_hook_see $env.__devenv_hook.watched
    let hook = $env.__devenv_hook
    let lacking = $hook.meant != "" and not ($hook.meant + "/id" | path exists)
    if $hook.version == "" or $lacking or (__devenv_hook_stale $hook $moved) { __devenv_hook_ask }
}

if "__devenv_hook" not-in $env {
    $env.__devenv_hook = {
        pwd: "", root: "", link: "", version: "", watched: [], often: {absent: [], small: [], large: []}
        asked: "", told: "", meant: "", place: "", layer: ""
        given: [], held: "", held_at: "", held_layer: "", newest: ""
    }
    # What `devenv enter` hands over to this shell, and to no other: see devenv/env/hooked.py.
    let start = $env | get -o __devenv_start | default "" | split row " "
    if ($start | length) == 3 and $start.0 == ($nu.pid | into string) {
        $env.__devenv_hook = $env.__devenv_hook | merge {
            given: ($start | skip 1), held: $env.__devenv_spec, held_at: $env.__devenv_project
        }
    } else if $start != [""] {
        hide-env --ignore-errors __devenv_start __devenv_spec __devenv_project
    }
    # First, so that the others find the environment.
    $env.config.hooks.pre_prompt = $env.config | get -o hooks.pre_prompt | default [] | prepend {||
        let hook = $env.__devenv_hook?
        if $hook != null and ($env.PWD != $hook.pwd or (__devenv_hook_changed $hook)) { __devenv_hook_look }
    }
}
