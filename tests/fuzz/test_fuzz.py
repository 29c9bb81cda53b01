"""The fuzzing command itself: it finds each kind of fault that it is there for, and nothing in a first short run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from devenv.errors import DevenvError
from tests.fuzz.__main__ import main
from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import Case, Files, Subject
from tests.fuzz.judging import Finding, Limits, judge
from tests.fuzz.mutation import TEXTS, mutated
from tests.fuzz.seeds import DATA, seeds
from tests.fuzz.subjects import all_subjects
from tests.fuzz.worker import smaller

ROOT = Path(__file__).parents[2]


def spin(files: Files) -> object:
    while True:
        pass


def sleep(files: Files) -> object:
    time.sleep(3600)
    return None


def swell(files: Files) -> object:
    return bytearray(1 << 30)


def crash(files: Files) -> object:
    return files["absent"]


def vanish(files: Files) -> object:
    os._exit(7)


def refuse(files: Files) -> object:
    raise DevenvError("no")


def refuse_silently(files: Files) -> object:
    raise DevenvError("")


def refuse_unprintably(files: Files) -> object:
    raise DevenvError("\ud800")


FAULTS = {
    "KeyError": crash,
    "took more than 0.2 s": spin,
    "took more than 64 MiB": swell,
    "DevenvError without a message": refuse_silently,
    "DevenvError whose message cannot be printed": refuse_unprintably,
    "the process ended with status 7": vanish,
}


@pytest.mark.parametrize("what", FAULTS)
def test_each_kind_of_fault_is_found_and_kept(what: str, tmp_path: Path) -> None:
    subject = Subject(name="planted", patterns=("x",), parse=FAULTS[what])
    campaign = Campaign(
        subjects={"planted": subject},
        seeds=seeds({"planted": subject}, []),
        limits=Limits(seconds=0.2, memory=64 << 20),
        keep=tmp_path / "kept",
        seed=1,
    )
    campaign.run(0.1, 1)
    (key,) = campaign.findings
    assert what in key
    assert Case.from_json(campaign.findings[key].read_text()).subject == "planted"


def test_a_process_that_is_stuck_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor time does not pass in it, so its own limit says nothing."""
    monkeypatch.setattr("tests.fuzz.campaign._PATIENCE", 0.5)
    subject = Subject(name="planted", patterns=("x",), parse=sleep)
    campaign = Campaign(
        subjects={"planted": subject},
        seeds=seeds({"planted": subject}, []),
        limits=Limits(seconds=0.2),
        keep=tmp_path / "kept",
        seed=1,
    )
    campaign.run(0.1, 1)
    assert list(campaign.findings) == ["planted: the process did not come back"]


def test_errors_and_values_are_no_findings() -> None:
    for parse in (refuse, lambda files: 3):
        subject = Subject(name="planted", patterns=("x",), parse=parse)
        assert judge(subject, {"x": b""}, Limits()) is None


def test_findings_become_small() -> None:
    def parse(files: Files) -> object:
        assert b"bad" not in files["x"]
        return None

    subject = Subject(name="planted", patterns=("x",), parse=parse)
    found = judge(subject, {"x": b"bad"}, Limits())
    assert isinstance(found, Finding)
    large = Case(subject="planted", files={"x": b"good " * 500 + b"bad" + b" good" * 500, "y": b"aside"})
    assert smaller(large, subject, found.key, Limits()).files == {"x": b"bad", "y": b""}


def test_a_reproducer_keeps_every_byte() -> None:
    case = Case(subject="s", files={"x": bytes(range(256)), "é": b""})
    assert Case.from_json(case.to_json()) == case
    assert Case.from_bytes(case.to_bytes()) == case


@pytest.mark.parametrize("syntax", ["json", "toml", "yaml", "text"])
def test_mutants_differ_and_are_as_many_as_asked(syntax: str) -> None:
    data = b'{"a": [1, "two", {"b": null}], "c": true}' if syntax != "toml" else b'a = 1\n[b]\nc = ["x"]\n'
    random = Random(1)
    found = {mutated(data, random, [data], syntax) for _ in range(300)}
    assert len(found) > 200
    assert any(text.encode("utf-8", "surrogatepass") in mutant for text in TEXTS[5:] for mutant in found)


def test_every_parser_has_something_to_begin_with() -> None:
    subjects = all_subjects()
    found = seeds(subjects, [DATA])
    assert {name for name in subjects if len(found[name]) < 2} == set()
    for name, cases in found.items():
        for case in cases[1:]:
            assert judge(subjects[name], case.files, Limits()) is None, case.files.keys()
    for name in ("npm", "pnpm", "yarn", "cargo", "devenv.toml", "devenv.lock", "drv", "nar", "narinfo"):
        taken = [_is_taken(subjects[name], case.files) for case in found[name][1:]]
        assert any(taken), f"{name} refuses all that it begins with"


def _is_taken(subject: Subject, files: Files) -> bool:
    try:
        subject.parse(files)
    except DevenvError:
        return False
    return True


def test_a_short_run_finds_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With numbers that are the same each time: it is the command that is tried here."""
    keep = tmp_path / "kept"
    arguments = [
        "--minutes",
        "0.05",
        "--seed",
        "1",
        "--subject",
        "pnpm",
        "--subject",
        "drv",
        "--keep",
        str(keep),
    ]
    assert main(arguments) == 0
    said = capfd.readouterr().out
    assert "no findings" in said
    assert " drv " in said
    assert not keep.exists()


def test_a_reproducer_is_run_again(tmp_path: Path) -> None:
    """In a process of its own, whose memory is limited."""
    path = tmp_path / "case.json"
    path.write_text(Case(subject="drv", files={"x.drv": b"Derive("}).to_json())
    argv = [sys.executable, "-m", "tests.fuzz", "--replay", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "nothing is found\n"
