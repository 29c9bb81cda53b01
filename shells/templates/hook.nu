
# Before each prompt: be in the environment of the nearest project. No process is started while nothing changed. What a
# project's environment is, and when it is out of date, is said by files in the user's own state directory, never by
# the project. `$env.__devenv_hook` holds the state, a record, which children do not see.
const __devenv_hook_tree = TREE
const __devenv_hook_program = PROGRAM

# What the prompt compares: contents of files, times of large ones, whether others are there; all by builtins. `ls` costs
# more than the contents of a small file.
def __devenv_hook_seen [watched: record] {
    try {
        [
            ($watched.absent | path exists)
            ($watched.small | each {|file| open --raw ($file | path expand) | hash sha256 })
            ($watched.large | each {|file| __devenv_hook_time $file })
        ]
    } catch { [] }
}

# The time of the last change, in nanoseconds; 0 where there is no such file.
def __devenv_hook_time [path: string] {
    try { ls --directory ($path | path expand) | get 0.modified | into int } catch { 0 }
}

def __devenv_hook_current [root: string] {
    let link = $__devenv_hook_tree + $root + "/=devenv=/current"
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
    if (__devenv_hook_current $hook.root) != $hook.version { return true }
    if $hook.version == "" { return false }
    # After it was asked, only a new version can tell anything new.
    $hook.asked != $hook.version and (__devenv_hook_seen $hook.often) != $hook.seen
}

# What is known about a project: its version, environment, texts, and the files to watch.
def __devenv_hook_read [root: string] {
    let nothing = {version: "", spec: "", say: "", news: "", watched: [], often: {absent: [], small: [], large: []}}
    let version = __devenv_hook_current $root
    let lines = try { open --raw ($version + "/entry") | decode utf-8 | split row "\n" | drop 1 } catch { [] }
    if ($lines | length) < 7 or $lines.0 != "devenv-hook 1" or $lines.2 != "project " + $root { return $nothing }
    let watched = $lines | skip 7 | enumerate | each {|line|
        let kind = $line.item | split row " " | first
        let path = $line.item | str substring (($kind | str length) + 1)..
        {kind: $kind, path: $path, reference: ($version + "/" + ($line.index | into string))}
    }
    let files = $watched | where kind == "watch" | each {|watch|
        let size = try { ls --directory ($watch.path | path expand) | get 0.size | into int } catch { 0 }
        {path: $watch.path, small: ($size < 65536 and ($watch.path | path expand | path type) == "file")}
    }
    let often = {
        absent: ($watched | where kind == "absent" | each {|watch| $watch.path })
        small: ($files | where small | each {|file| $file.path })
        large: ($files | where not small | each {|file| $file.path })
    }
    {
        version: $version, watched: $watched, often: $often, spec: ($lines.4 | str substring 5..), say: ($lines.5 | str substring 4..),
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

# Leave the environment that this hook entered, and enter this one, if any.
def --env __devenv_hook_switch [spec: string, project: string] {
    let hook = $env.__devenv_hook
    if $spec == $hook.meant and ($spec == "" or $project == $hook.place) { return }
    let identity = if $spec == "" { "" } else { try { open --raw ($spec + "/id") | decode utf-8 | str trim } catch { "" } }
    let enter = if $identity == "" { null } else { {identity: $identity, place: $spec, project: $project} }
    let layers = $env | get -o __devenv | default {layers: []} | get layers
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

# Find the project, read what is known about it, enter or leave, ask for what is missing.
def --env __devenv_hook_look [] {
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
        $env.__devenv_hook = $hook | merge {root: $root, version: $found.version, watched: $found.watched, often: $found.often}
        __devenv_hook_switch $found.spec (if $found.spec == "" { "" } else { $root })
        if $found.version != $hook.told {
            for text in [$found.say (if $inside { $found.news } else { "" })] {
                if $text != "" { print --stderr ("devenv: " + $text) }
            }
            $env.__devenv_hook.told = $found.version
        }
    }
    # Before times are compared: a change in between is noticed at the next prompt.
    $env.__devenv_hook.seen = __devenv_hook_seen $env.__devenv_hook.often
    let hook = $env.__devenv_hook
    let lacking = $hook.meant != "" and not ($hook.meant + "/id" | path exists)
    if $hook.version == "" or $lacking or (__devenv_hook_stale $hook $moved) { __devenv_hook_ask }
}

if "__devenv_hook" not-in $env {
    $env.__devenv_hook = {
        pwd: "", root: "", version: "", watched: [], often: {absent: [], small: [], large: []}, seen: [], asked: "", told: "", meant: "", place: "", layer: ""
    }
    # First, so that the others find the environment.
    $env.config.hooks.pre_prompt = $env.config | get -o hooks.pre_prompt | default [] | prepend {||
        if "__devenv_hook" in $env and ($env.PWD != $env.__devenv_hook.pwd or (__devenv_hook_changed $env.__devenv_hook)) {
            __devenv_hook_look
        }
    }
}
