"""From a draft to writes: what fits stays where it is, the rest goes to a segment of its own at the end.

The result is a value; `rewriting` performs it.
"""

from __future__ import annotations

import struct

from devenv.elf.draft import Draft
from devenv.elf.elf import Elf, text
from devenv.elf.errors import ElfError
from devenv.elf.following import follow, stay
from devenv.elf.layout import Layout
from devenv.elf.numbers import DT_STRSZ, PRELINK_TAGS, PT_LOAD, STRING_TAGS
from devenv.elf.patch import Patch, PatchedSource
from devenv.elf.writes import writes_of


def plan(draft: Draft) -> Patch | None:
    """What to write so that the file becomes what the draft says; None if it is that already.

    Raises DamagedElf where the file contradicts itself, UnsupportedElf where there is no room. The result has been read
    again: a file that misleads the planning in a way that nobody thought of is refused, too.
    """
    if not draft.changed:
        return None
    if any(tag in PRELINK_TAGS for tag, _ in draft.dynamic):
        draft.remove_entries(*PRELINK_TAGS)
    wanted = _Meaning(draft)
    try:
        layout = Layout(draft)
        if layout.moving:
            follow(layout)
        stay(layout)
        patch = writes_of(layout)
    except struct.error as error:
        raise draft.elf.damaged("its addresses and sizes contradict each other") from error
    wanted.check(draft.elf, patch)
    return patch


class _Meaning:
    """What a loader makes of a draft, to be found again in the result."""

    def __init__(self, draft: Draft) -> None:
        self.interpreter = draft.elf.interpreter
        if draft.interpreter is not None:
            self.interpreter = text(draft.interpreter)
        self.dynamic = sorted(
            (tag, draft.string(value)) if tag in STRING_TAGS else (tag, b"")
            for tag, value in draft.dynamic
            if tag != DT_STRSZ
        )
        self.types = sorted(s.type for s in draft.segments)

    def check(self, elf: Elf, patch: Patch) -> None:
        try:
            after = Elf(PatchedSource(elf.source, patch))
            after.know_dynamic_place()
            found = _Meaning(Draft(after))
            kept = list(found.types)
            if len(kept) > len(self.types):
                kept.remove(PT_LOAD)
            same = (
                found.interpreter == self.interpreter and found.dynamic == self.dynamic and kept == self.types
            )
        except (ElfError, ValueError) as error:
            raise elf.damaged(f"it cannot be edited: the result would be wrong ({error})") from error
        if not same:
            raise elf.damaged(
                "it cannot be edited: its parts overlap, and the result would be another program"
            )
