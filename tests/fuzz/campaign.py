"""A run: some processes at work, watched from outside, and what they found."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from .cases import Case, Subject
from .judging import Finding, Limits
from .worker import ROOM, Worker, shared

# Of wall time: beyond the limit of an input, for code that no signal reaches; a busy machine may delay any other.
_PATIENCE = 180.0
_LOOK_EVERY = 0.5


@dataclass(slots=True)
class Campaign:
    """`keep`: a directory for inputs that found something, made when there is one."""

    subjects: Mapping[str, Subject]
    seeds: Mapping[str, list[Case]]
    limits: Limits
    keep: Path
    seed: int
    executions: dict[str, int] = field(default_factory=dict)
    findings: dict[str, Path] = field(default_factory=dict)
    peak: int = 0
    grown: int = 0

    def run(self, seconds: float, jobs: int) -> None:
        """Work for so long; what was found is printed as it is found."""
        until = time.monotonic() + seconds
        started = 0
        running: dict[int, _Running] = {}
        while running or time.monotonic() < until:
            while len(running) < jobs and time.monotonic() < until:
                worker = self._start(started, until)
                running[worker.answers] = worker
                started += 1
            ready, _, _ = select.select(list(running), [], [], _LOOK_EVERY)
            for answers in ready:
                if not self._listen(running[answers]):
                    self._end(running.pop(answers))
            for worker in running.values():
                worker.stop_if_stuck(self.limits.seconds + _PATIENCE)

    def _start(self, number: int, until: float) -> _Running:
        present = mmap.mmap(-1, ROOM)
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return _Running(child=child, answers=reading, present=present)
        status = 1
        try:
            os.close(reading)
            pools = {name: list(cases) for name, cases in self.seeds.items()}
            random = Random(f"{self.seed} {number}")
            worker = Worker(
                subjects=self.subjects,
                pools=pools,
                limits=self.limits,
                random=random,
                present=present,
                answers=writing,
                known=set(self.findings),
            )
            worker.run(until)
            status = 0
        finally:
            os._exit(status)

    def _listen(self, worker: _Running) -> bool:
        """Take what a worker says; False when it has ended."""
        data = os.read(worker.answers, 1 << 16)
        worker.heard = time.monotonic()
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line), worker)
        return bool(data)

    def _take(self, message: Mapping[str, Any], worker: _Running) -> None:
        if "key" in message:
            found = Finding(key=message["key"], text=message["text"])
            self._found(found, Case.from_json(message["case"]))
            return
        for name, count in message["executions"].items():
            self.executions[name] = self.executions.get(name, 0) + count - worker.counted.get(name, 0)
        worker.counted = message["executions"]
        self.peak = max(self.peak, message["peak"])
        self.grown += message["grown"] - worker.grown
        worker.grown = message["grown"]

    def _end(self, worker: _Running) -> None:
        """A worker that ended by itself has nothing more to say; one that died died of its input."""
        os.close(worker.answers)
        _, status = os.waitpid(worker.child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            why = "did not come back" if worker.stuck else how
            case = shared(worker.present) or Case(subject="none", files={})
            self._found(Finding(key=f"{case.subject}: the process {why}", text=""), case)
        worker.present.close()

    def _found(self, finding: Finding, case: Case) -> None:
        if finding.key in self.findings:
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{case.subject}-{hashlib.sha256(finding.key.encode()).hexdigest()[:10]}.json"
        path.write_text(case.to_json(), "utf-8")
        self.findings[finding.key] = path
        print(
            f"\n{case.subject}: {finding.key}\n{finding.text}\nreproduce: python -m tests.fuzz --replay {path}"
        )

    def report(self, seconds: float) -> None:
        """The table at the end."""
        total = sum(self.executions.values())
        for name in sorted(self.subjects):
            print(f"{name:>16} {self.executions.get(name, 0):>9,}")
        print(
            f"{'all':>16} {total:>9,} executions in {seconds:.0f} s; {self.grown} inputs reached new lines; "
            f"peak memory of one process {self.peak >> 20} MiB (seed {self.seed})"
        )
        print(f"{len(self.findings)} findings" if self.findings else "no findings")


@dataclass(slots=True)
class _Running:
    """A process at work. It tells something every few seconds, unless it is stuck in one input."""

    child: int
    answers: int
    present: mmap.mmap
    heard: float = field(default_factory=time.monotonic)
    rest: bytes = b""
    counted: Mapping[str, int] = field(default_factory=dict)
    grown: int = 0
    stuck: bool = False

    def stop_if_stuck(self, patience: float) -> None:
        if not self.stuck and time.monotonic() - self.heard > patience:
            self.stuck = True
            os.kill(self.child, signal.SIGKILL)
