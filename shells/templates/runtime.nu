# What is to be done is read from the files beside this one; nothing of it is code. `$env.__devenv` holds the state, a
# record, which children do not see: the layers, and a journal of steps. A step has its layer, kind, name, separator,
# value, and what was there before; `same` says that it changed nothing. Leaving undoes the steps of one layer. Steps of
# later layers on the same names are undone before and done again after, so environments can be left in any order.

# The text that a child finds; null where there is none.
def __devenv_look [name: string] {
    let now = $env | get -o $name
    if ($now | describe) starts-with "list" {
        let convert = $env | get -o ENV_CONVERSIONS | default {} | get -o $name | default {} | get -o to_string
        if $convert == null { $now | str join ":" } else { do $convert $now }
    } else if $now == null or ($now | describe) starts-with "closure" {
        null
    } else {
        $now | into string
    }
}

# Make the variables what children are to find, and keep the state. All names are hidden in one place, at the end: nushell
# forgets some that are hidden by one command after another.
def --env __devenv_apply [before: record, after: record, state: record, hidden: list<string>] {
    mut hidden = $hidden
    for name in ($after | columns) {
        let text = $after | get $name
        if $text == ($before | get $name) { continue }
        if $text == null {
            $hidden = $hidden | append $name
            continue
        }
        let convert = $env | get -o ENV_CONVERSIONS | default {} | get -o $name | default {} | get -o from_string
        let value = if $convert != null { do $convert $text } else if $name == "PATH" { $text | split row ":" } else { $text }
        load-env {$name: $value}
    }
    if ($state.layers | is-empty) { $hidden = $hidden | append __devenv } else { $env.__devenv = $state }
    for name in $hidden { hide-env --ignore-errors $name }
}

# A step on variables: both as they are afterwards.
def __devenv_do [step: record, vars: record] {
    let now = $vars | get $step.name
    let then = match $step.kind {
        "unset" => null
        "prepend" => (if ($now | is-empty) { $step.value } else { $step.value + $step.separator + $now })
        "append" => (if ($now | is-empty) { $step.value } else { $now + $step.separator + $step.value })
        "default" => (if $now == null { $step.value } else { $now })
        _ => $step.value
    }
    let step = $step | merge {old: $now, same: ($then == $now)}
    {step: $step, vars: ($vars | upsert $step.name $then)}
}

# A step undone: the variables afterwards, and whether what it did, or found done already, was still there.
def __devenv_undo [step: record, vars: record] {
    let now = $vars | get $step.name
    let back = if $step.same {
        let found = match $step.kind {
            "unset" => ($now == null)
            "default" => ($now != null)
            "set" => ($now == $step.value)
            _ => true
        }
        {found: $found, text: $now}
    } else if $step.kind in [prepend append] {
        if $now == null { {found: false} } else { __devenv_remove $step $now }
    } else {
        {found: ($now == (if $step.kind == "unset" { null } else { $step.value })), text: $step.old}
    }
    if $back.found { {found: true, vars: ($vars | upsert $step.name $back.text)} } else { {found: false, vars: $vars} }
}

# The list less one entry: the last one of kind append, else the first.
def __devenv_remove [step: record, now: string] {
    let entry = $step.separator + $step.value + $step.separator
    let whole = $step.separator + $now + $step.separator
    let at = if $step.kind == "append" { $whole | str index-of --end $entry } else { $whole | str index-of $entry }
    if $at < 0 { return {found: false} }
    let bytes = $whole | encode utf-8
    let tail = $at + ($entry | str length)
    let head = if $at == 0 { "" } else { $bytes | bytes at 0..<$at | decode utf-8 }
    let rest = if $tail >= ($bytes | bytes length) { "" } else { $bytes | bytes at $tail.. | decode utf-8 }
    let joined = $head + $step.separator + $rest
    let size = $step.separator | str length
    let joined = if ($joined | str starts-with $step.separator) { $joined | encode utf-8 | bytes at $size.. | decode utf-8 } else { $joined }
    let joined = if ($joined | str ends-with $step.separator) {
        let last = ($joined | str length) - $size
        if $last == 0 { "" } else { $joined | encode utf-8 | bytes at 0..<$last | decode utf-8 }
    } else { $joined }
    {found: true, text: (if $joined == "" and $step.old == null { null } else { $joined })}
}

# The steps of the file beside this one.
def __devenv_steps [place: string, project: string, layer: string] {
    let whole = {|text: string|
        $text | split row '\\' | each {
            str replace --all '\t' "\t" | str replace --all '\n' "\n" | str replace --all '\p' $project | str replace --all '\s' $place
        } | str join '\'
    }
    let steps = open --raw ($place | path join steps) | decode utf-8 | split row "\n" | where $it != "" | each {|line|
        let words = $line | split row "\t"
        {layer: $layer, kind: $words.0, name: $words.1, separator: (do $whole $words.2), value: (do $whole $words.3)}
    }
    # Nushell has no aliases and functions that come and go, so they are programs.
    $steps ++ ([aliases functions/nu] | each {|each| $place | path join $each } | where {|each| $each | path exists } | each {|each|
        {layer: $layer, kind: prepend, name: PATH, separator: ":", value: $each}
    })
}

# The state and the variables with an environment entered.
def __devenv_entered [found: record, steps: list, layer: string] {
    if $layer in $found.state.layers { return $found }
    let done = $steps | reduce --fold {journal: [], vars: $found.vars} {|step, found|
        let one = __devenv_do $step $found.vars
        {journal: ($found.journal | append $one.step), vars: $one.vars}
    }
    let state = {layers: ($found.state.layers | append $layer), journal: ($found.state.journal ++ $done.journal)}
    {state: $state, vars: $done.vars}
}

# The state and the variables with a layer left: this one, or the last one of this identity, or of any where it is empty.
def __devenv_left [found: record, layer: string] {
    let places = $found.state.layers | enumerate | where {|each|
        $layer == "" or $each.item == $layer or ($each.item | str starts-with ($layer + " "))
    }
    if ($places | is-empty) { return $found }
    let left = $places | last
    let numbered = $found.state.journal | enumerate
    let touched = $numbered | where item.layer == $left.item | reduce --fold {} {|each, found| $found | upsert $each.item.name $each.index }
    let undone = $numbered | reverse | reduce --fold {vars: $found.vars, kept: [], again: []} {|each, found|
        let step = $each.item
        if $step.layer == $left.item {
            $found | upsert vars (__devenv_undo $step $found.vars).vars
        } else if ($touched | get -o $step.name | default $each.index) >= $each.index {
            $found | upsert kept ($found.kept | prepend $each)
        } else {
            # What the user has changed since is the user's, and not done again.
            let one = __devenv_undo $step $found.vars
            if $one.found { {vars: $one.vars, kept: $found.kept, again: ($found.again | prepend $each)} } else { $found }
        }
    }
    let done = $undone.again | reduce --fold {kept: $undone.kept, vars: $undone.vars} {|each, found|
        let one = __devenv_do $each.item $found.vars
        {kept: ($found.kept | append {index: $each.index, item: $one.step}), vars: $one.vars}
    }
    let layers = $found.state.layers | enumerate | where index != $left.index | each {|each| $each.item }
    {state: {layers: $layers, journal: ($done.kept | sort-by index | each {|each| $each.item })}, vars: $done.vars}
}

# Leave the layer LEAVE, or the last one of this identity, unless that is null; then enter ENTER, a record of identity, place
# and project, unless that is null. The names of HIDDEN go as well.
def --env __devenv_change [leave: any, enter: any, hidden: list<string>] {
    let state = $env | get -o __devenv | default {layers: [], journal: []}
    let layer = if $enter == null { "" } else { $enter.identity + " " + $enter.project }
    let steps = if $enter == null { [] } else { __devenv_steps $enter.place $enter.project $layer }
    let before = [...$state.journal ...$steps] | each {|step| $step.name } | uniq | reduce --fold {} {|name, found|
        $found | insert $name (__devenv_look $name)
    }
    let found = {state: $state, vars: $before}
    let found = if $leave == null { $found } else { __devenv_left $found $leave }
    let found = if $enter == null { $found } else { __devenv_entered $found $steps $layer }
    __devenv_apply $before $found.vars $found.state $hidden
}

# Leave the environment entered last.
def --env devenv_leave [] { __devenv_change "" null [] }
