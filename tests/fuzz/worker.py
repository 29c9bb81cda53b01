"""One process of a run: it mutates, judges, makes findings smaller, and tells the run by lines of JSON."""

from __future__ import annotations

import json
import mmap
import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from .cases import Case, Subject
from .judging import Finding, Limits, Lines, judge, limit_memory
from .mutation import mutated

_WATCHED = 0.15  # part of the executions whose lines are looked at, which makes them several times slower
_WATCHED_SIZE = 32 << 10  # bytes
_SHRINKING = 5.0  # seconds
_TELL_EVERY = 2.0  # seconds
_SIZE = 8  # bytes
ROOM = 16 << 20  # bytes, of shared memory


@dataclass(slots=True)
class Worker:
    """`pools`: by subject, what is mutated; `present`: memory shared with the run, which has the input if this one dies."""

    subjects: Mapping[str, Subject]
    pools: dict[str, list[Case]]
    limits: Limits
    random: Random
    present: mmap.mmap
    answers: int
    lines: Lines = field(default_factory=Lines)
    executions: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    grown: int = 0
    told: float = field(default_factory=time.monotonic)

    def run(self, until: float) -> None:
        """Go on until a moment of time.monotonic()."""
        limit_memory(self.limits)
        names = sorted(self.subjects)
        seeds = [case for name in names for case in self.pools[name]]
        while seeds and time.monotonic() < until:
            self._execute(seeds.pop(), watched=True)
            self._tell_sometimes()
        while time.monotonic() < until:
            self.step(self.random.choice(names))
            self._tell_sometimes()
        self.tell()

    def step(self, name: str) -> None:
        """One new input of a subject."""
        pool = self.pools[name]
        # Small ones often: they are quick, and as good at being wrong.
        weights = [1 / (1 + case.size) ** 0.5 for case in pool]
        base = self.random.choices(pool, weights)[0]
        case = self._mutant(base, pool)
        watched = case.size < _WATCHED_SIZE and self.random.random() < _WATCHED
        if self._execute(case, watched=watched) is None and watched and self.lines.taken():
            pool.append(case)
            self.grown += 1

    def _tell_sometimes(self) -> None:
        if time.monotonic() - self.told > _TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        """Say how far it is."""
        self.told = time.monotonic()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        self._answer({"executions": self.executions, "peak": peak, "grown": self.grown})

    def _mutant(self, base: Case, pool: Sequence[Case]) -> Case:
        subject = self.subjects[base.subject]
        main = next(iter(base.files))
        name = main if self.random.random() < 0.85 else self.random.choice(list(base.files))
        others = [case.files[name] for case in self.random.choices(pool, k=3) if name in case.files]
        syntax = subject.syntax if name == main else _syntax(name)
        files = {**base.files, name: mutated(base.files[name], self.random, others, syntax)}
        return Case(subject=base.subject, files=files)

    def _execute(self, case: Case, *, watched: bool = False) -> Finding | None:
        self.executions[case.subject] = self.executions.get(case.subject, 0) + 1
        share(self.present, case)
        subject = self.subjects[case.subject]
        if watched:
            with self.lines.watched():
                found = judge(subject, case.files, self.limits)
        else:
            found = judge(subject, case.files, self.limits)
        if found is not None and found.key not in self.known:
            self.known.add(found.key)
            small = smaller(case, subject, found.key, self.limits)
            self._answer({"key": found.key, "text": found.text, "case": small.to_json()})
        return found

    def _answer(self, message: Mapping[str, object]) -> None:
        os.write(self.answers, json.dumps(message).encode() + b"\n")


def share(present: mmap.mmap, case: Case) -> None:
    """Leave an input in shared memory, its size first: 0 while it is not whole, or does not fit."""
    data = case.to_bytes()
    present[:_SIZE] = bytes(_SIZE)
    if len(data) <= len(present) - _SIZE:
        present[_SIZE : _SIZE + len(data)] = data
        present[:_SIZE] = len(data).to_bytes(_SIZE, "little")


def shared(present: mmap.mmap) -> Case | None:
    """What `share` left there."""
    size = int.from_bytes(present[:_SIZE], "little")
    return Case.from_bytes(present[_SIZE : _SIZE + size]) if size else None


def _syntax(name: str) -> str:
    return {"json": "json", "toml": "toml"}.get(name.rpartition(".")[2], "text")


def smaller(case: Case, subject: Subject, key: str, limits: Limits) -> Case:
    """What is left of an input when all is taken away without which the same is found, as far as time allows."""
    ends = time.monotonic() + _SHRINKING
    for name in case.files:
        size = max(len(case.files[name]) // 2, 1)
        while size and time.monotonic() < ends:
            at = 0
            while at < len(case.files[name]) and time.monotonic() < ends:
                data = case.files[name]
                tried = Case(subject=case.subject, files={**case.files, name: data[:at] + data[at + size :]})
                found = judge(subject, tried.files, limits)
                if found is not None and found.key == key:
                    case = tried
                else:
                    at += size
            size //= 2
    return case
