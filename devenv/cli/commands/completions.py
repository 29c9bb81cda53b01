"""devenv completions"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from devenv.cli.commandline import Place, Word, places
from devenv.cli.context import Context
from devenv.errors import DevenvError

Quote = Callable[[str], str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", help=f"one of {', '.join(WRITERS)}")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.plugins import load_shells

    name = os.path.basename(arguments.shell)
    if name not in WRITERS:
        hint = "xonsh reads bash's" if name == "xonsh" else f"there are some for {', '.join(WRITERS)}"
        raise DevenvError(f"printing completions: there are none for {name!r}", hint=hint)
    sys.stdout.write(WRITERS[name](tuple(places()), load_shells()[name].quote))
    return 0


def bash(found: Sequence[Place], quote: Quote) -> str:
    """A function that knows at which place it is asked; files are offered where nothing else fits."""
    known = "|".join(quote(_path(place.verbs)) for place in found if place.verbs)
    cases = "".join(
        f"    {quote(_path(place.verbs))}) words={quote(_texts(place.words))} options={quote(_texts(place.options))} ;;\n"
        for place in found
    )
    return (
        "_devenv() {\n"
        '    local place= words= options= each current="${COMP_WORDS[COMP_CWORD]}"\n'
        '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do\n'
        "        if [[ $each == -- ]]; then COMPREPLY=(); return; fi\n"
        f'        case "${{place:+$place }}$each" in {known}) place="${{place:+$place }}$each" ;; esac\n'
        "    done\n"
        f'    case "$place" in\n{cases}    esac\n'
        "    if [[ $current == -* ]]; then words=$options; fi\n"
        '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")\n'
        "}\n"
        "complete -o default -o bashdefault -F _devenv devenv\n"
    )


def zsh(found: Sequence[Place], quote: Quote) -> str:
    """A function for a file of the fpath, that makes itself known where the code is evaluated."""
    known = "|".join(quote(_path(place.verbs)) for place in found if place.verbs)
    cases = "".join(
        f"    ({quote(_path(place.verbs))}) verbs=({_described(place.words, quote)})\n"
        f"        options=({_described(place.options, quote)}) ;;\n"
        for place in found
    )
    return (
        "#compdef devenv\n"
        "_devenv() {\n"
        "    local place each\n"
        "    local -a verbs options\n"
        "    for each in ${words[2,CURRENT-1]}; do\n"
        "        if [[ $each == -- ]]; then _normal; return; fi\n"
        f'        case "${{place:+$place }}$each" in ({known}) place="${{place:+$place }}$each" ;; esac\n'
        "    done\n"
        f'    case "$place" in\n{cases}    esac\n'
        "    if [[ $PREFIX == -* ]]; then _describe -o option options; return; fi\n"
        "    if (($#verbs)); then _describe verb verbs; else _files; fi\n"
        "}\n"
        'if [[ $funcstack[1] == _devenv ]]; then _devenv "$@"; else compdef _devenv devenv; fi\n'
    )


def fish(found: Sequence[Place], quote: Quote) -> str:
    """A line for each word, with what it means."""
    lines = ["complete -c devenv -f -n __fish_use_subcommand"]
    for place in found:
        seen = [f"__fish_seen_subcommand_from {verb}" for verb in place.verbs]
        if len(place.verbs) < 2 and place.words:
            below = _texts(place.words)
            if place.verbs:
                seen.append(f"not __fish_seen_subcommand_from {below}")
            else:
                seen.append("__fish_use_subcommand")
        where = f"-n {quote('; and '.join(seen))}"
        for word in place.words:
            lines.append(f"complete -c devenv -f {where} -a {quote(word.text)} -d {quote(word.about)}")
        for option in place.options:
            name = f"-l {option.text[2:]}" if option.text.startswith("--") else f"-s {option.text[1:2]}"
            value = " -r" if option.valued else ""
            lines.append(f"complete -c devenv {where} {name}{value} -d {quote(option.about)}")
    return "".join(f"{line}\n" for line in lines)


def elvish(found: Sequence[Place], quote: Quote) -> str:
    """A map from each place to its words, for rc.elv."""

    def listed(words: Sequence[Word]) -> str:
        return " ".join(quote(word.text) for word in words)

    entries = "".join(
        f"    &{quote(_path(place.verbs))}=[&words=[{listed(place.words)}] &options=[{listed(place.options)}]]\n"
        for place in found
    )
    return (
        "set edit:completion:arg-completer[devenv] = {|@given|\n"
        f"  var places = [\n{entries}  ]\n"
        "  var place = ''\n"
        "  for each $given[1..-1] {\n"
        "    var deeper = $each\n"
        "    if (not-eq $place '') { set deeper = $place' '$each }\n"
        "    if (has-key $places $deeper) { set place = $deeper }\n"
        "  }\n"
        "  all $places[$place][words]\n"
        "  all $places[$place][options]\n"
        "  if (not-eq $place '') { edit:complete-filename $given[-1] }\n"
        "}\n"
    )


def tcsh(found: Sequence[Place], quote: Quote) -> str:
    """tcsh looks at the word before, so verbs below a verb are known, and all options together."""
    top = next(place for place in found if not place.verbs)
    rules = [f"'p/1/({_texts(top.words)})/'"]
    rules += [
        f"'n/{place.verbs[0]}/({_texts(place.words)})/'"
        for place in found
        if len(place.verbs) == 1 and place.words
    ]
    long = {word.text[2:] for place in found for word in place.options if word.text.startswith("--")}
    return f"complete devenv 'c/--/({' '.join(sorted(long))})/' {' '.join(rules)}\n"


def _path(verbs: Sequence[str]) -> str:
    return " ".join(verbs)


def _texts(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _described(words: Sequence[Word], quote: Quote) -> str:
    """As _describe wants them; a colon in a word would end it."""
    return " ".join(
        quote(f"{word.text.replace(':', chr(92) + ':')}:{word.about}" if word.about else word.text)
        for word in words
    )


WRITERS: dict[str, Callable[[Sequence[Place], Quote], str]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
    "elvish": elvish,
    "tcsh": tcsh,
}
