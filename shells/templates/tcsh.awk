# Variables say what to do: __devenv_action, _id, _home (the spec object) and _project; __devenv_w1, _w2 and so on are the
# journal, cut into pieces, each behind a "_". It is fields with tabs between: the number of layers, the layers, and seven
# fields for each step: layer, kind, name, separator, value, whether it changed something, and what was there before, behind
# "x" or "-" for nothing. Leaving undoes the steps of one layer. Steps of later layers on the same
# names are undone before and done again after, so environments can be left in any order.

function look(name) {
    if (!(name in known)) {
        known[name] = 1
        inherited = name == "LC_ALL" ? "__devenv_LC_ALL" : name
        if (inherited in ENVIRON) now[name] = ENVIRON[inherited]
    }
    return name in now
}

function put(name, there, text) {
    changed[name] = 1
    if (there) now[name] = text
    else delete now[name]
}

function do_step(i,    name, there, old, text, wanted) {
    name = names[i]
    there = look(name)
    old = there ? now[name] : ""
    wanted = 1
    text = values[i]
    if (kinds[i] == "unset") wanted = 0
    else if (kinds[i] == "prepend" && old != "") text = text separators[i] old
    else if (kinds[i] == "append" && old != "") text = old separators[i] text
    else if (kinds[i] == "default" && there) text = old
    olds[i] = (there ? "x" : "-") old
    done[i] = wanted != there || (wanted && text "" != old "")
    if (done[i]) put(name, wanted, text)
}

# Whether what the step did, or found done already, was still there.
function undo_step(i,    name, there, entry, whole, at, found, rest, sep, size) {
    name = names[i]
    there = look(name)
    if (!done[i] && kinds[i] == "set") return there && now[name] "" == values[i] ""
    if (!done[i]) return kinds[i] == "unset" ? !there : kinds[i] != "default" || there
    if (kinds[i] == "prepend" || kinds[i] == "append") {
        if (!there) return 0
        sep = separators[i]
        size = length(sep)
        entry = sep values[i] sep
        whole = sep now[name] sep
        at = index(whole, entry)
        if (!at) return 0
        if (kinds[i] == "append")
            while (found = index(substr(whole, at + 1), entry)) at += found
        rest = substr(whole, 1, at - 1) sep substr(whole, at + length(entry))
        if (substr(rest, 1, size) == sep) rest = substr(rest, size + 1)
        if (length(rest) >= size && substr(rest, length(rest) - size + 1) == sep) rest = substr(rest, 1, length(rest) - size)
        put(name, rest != "" || substr(olds[i], 1, 1) == "x", rest)
        return 1
    }
    if (kinds[i] == "unset" ? there : !there || now[name] "" != values[i] "") return 0
    put(name, substr(olds[i], 1, 1) == "x", substr(olds[i], 2))
    return 1
}

function whole(text,    parts, count, i, result) {
    count = split(text, parts, "\\")
    result = parts[1]
    for (i = 2; i <= count; i++) {
        if (parts[i] == "" && i < count) result = result "\\" parts[++i]
        else if (parts[i] == "") result = result "\\"
        else result = result escapes[substr(parts[i], 1, 1)] substr(parts[i], 2)
    }
    return result
}

function add_step(layer, kind, name, separator, value) {
    count++
    layers_of[count] = layer; kinds[count] = kind; names[count] = name
    separators[count] = separator; values[count] = value
    do_step(count)
}

function enter(    layer, line, words, i, file, functions) {
    layer = identity " " project
    for (i = 1; i <= layer_count; i++) if (layers[i] == layer) return
    layers[++layer_count] = layer
    escapes["p"] = project; escapes["s"] = place
    file = place "/steps"
    while ((getline line < file) > 0) {
        split(line, words, "\t")
        add_step(layer, words[1], words[2], whole(words[3]), whole(words[4]))
    }
    # An alias's words would be read again by tcsh, so they come as programs; functions it has none.
    file = place "/env.json"
    while ((getline line < file) > 0) {
        if (line == "  \"aliases\": {") add_step(layer, "prepend", "PATH", ":", place "/aliases")
        if (line == "  \"functions\": {") functions = 1
        if (line ~ /^  }/) functions = 0
        if (functions && line ~ /^      "(sh|tcsh)": /) {
            add_step(layer, "prepend", "PATH", ":", place "/functions/tcsh")
            return
        }
    }
}

function leave(    left, i, last, touched, again, total) {
    for (i = 1; i <= layer_count; i++)
        if (identity == "" || layers[i] == identity || index(layers[i], identity " ") == 1) left = i
    if (!left) return
    gone = layers[left]
    for (i = left; i < layer_count; i++) layers[i] = layers[i + 1]
    layer_count--
    for (i = 1; i <= count; i++) if (layers_of[i] == gone) touched[names[i]] = i
    for (i = count; i > 0; i--) {
        if (layers_of[i] == gone) {
            undo_step(i)
            removed[i] = 1
        } else if (names[i] in touched && touched[names[i]] < i) {
            # What the user has changed since is the user's, and not done again.
            if (undo_step(i)) again[i] = 1
            else removed[i] = 1
        }
    }
    for (i = 1; i <= count; i++) if (i in again) do_step(i)
}

function quote(text,    parts, size, i, result) {
    size = split(text, parts, "'")
    for (i = 1; i <= size; i++) result = result (i > 1 ? "'\\''" : "") parts[i]
    size = split(result, parts, "\n")
    result = ""
    for (i = 1; i <= size; i++) result = result (i > 1 ? "'\"$__devenv_n:q\"'" : "") parts[i]
    return "'" ascii(result) "'"
}

# tcsh loses bytes of what it reads from a program where they are no characters of its locale, so these come from a list.
function ascii(text,    size, i, letter, result) {
    if (text !~ /[^\001-\177]/) return text
    size = length(text)
    for (i = 1; i <= size; i++) {
        letter = substr(text, i, 1)
        result = result (letter in high ? "'\"$__devenv_high[" high[letter] "]:q\"'" : letter)
    }
    return result
}

function next_field() { return whole(fields[++at]) }

function field(text,    parts, size, i) {
    size = split(text, parts, "\\")
    text = parts[1]
    for (i = 2; i <= size; i++) text = text "\\\\" parts[i]
    size = split(text, parts, "\n")
    text = parts[1]
    for (i = 2; i <= size; i++) text = text "\\n" parts[i]
    size = split(text, parts, "\t")
    text = parts[1]
    for (i = 2; i <= size; i++) text = text "\\t" parts[i]
    journal = journal text "\t"
}

BEGIN {
    action = ENVIRON["__devenv_action"]; place = ENVIRON["__devenv_home"]; project = ENVIRON["__devenv_project"]
    identity = ENVIRON["__devenv_id"] == "-" ? "" : ENVIRON["__devenv_id"]
    escapes["t"] = "\t"; escapes["n"] = "\n"
    for (i = 128; i < 256; i++) high[sprintf("%c", i)] = i - 127
    while (("__devenv_w" ++pieces) in ENVIRON) journal = journal substr(ENVIRON["__devenv_w" pieces], 2)
    field_count = split(journal, fields, "\t")
    journal = ""
    layer_count = next_field() + 0
    for (i = 1; i <= layer_count; i++) layers[i] = next_field()
    while (at + 7 <= field_count) {
        count++
        layers_of[count] = next_field(); kinds[count] = next_field(); names[count] = next_field()
        separators[count] = next_field(); values[count] = next_field(); done[count] = next_field() + 0
        olds[count] = next_field()
    }
    if (action == "enter") enter()
    else leave()
    for (name in changed) {
        if (name in now) printf "setenv %s %s;", name, quote(now[name])
        else printf "unsetenv %s;", name
    }
    printf "set __devenv_journal = ("
    if (layer_count) {
        field(layer_count)
        for (i = 1; i <= layer_count; i++) field(layers[i])
        for (i = 1; i <= count; i++) {
            if (i in removed) continue
            field(layers_of[i]); field(kinds[i]); field(names[i]); field(separators[i]); field(values[i])
            field(done[i]); field(olds[i])
        }
        # One variable holds less than 128 KiB.
        for (i = 1; i <= length(journal); i += 50000) printf " %s", quote("_" substr(journal, i, 50000))
    }
    print ")"
}
