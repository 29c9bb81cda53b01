"""npm's version ranges, against npm's own reader where there is one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.fetch.npmrc import npm_root
from devenv.formats.semver import Range, SemverError, Version

VERSIONS = st.builds(
    Version,
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["a", "beta", "rc"])), max_size=2).map(tuple),
)


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("17", "17.0.0 17.9.1", "16.20.2 18.0.0 17.9.1-rc.1"),
        ("17.9", "17.9.0 17.9.1", "17.8.0 17.10.0"),
        ("17.9.1", "17.9.1", "17.9.0 17.9.2"),
        ("v17.9.1", "17.9.1", "17.9.0"),
        (">=18 <20", "18.0.0 19.9.9", "17.9.9 20.0.0"),
        (">= 18 < 20", "18.0.0 19.9.9", "17.9.9 20.0.0"),
        (">18", "19.0.0", "18.99.0"),
        ("<=18", "18.99.0", "19.0.0"),
        ("", "0.0.0 9.9.9", "1.0.0-a"),
        ("*", "0.0.0 9.9.9", "1.0.0-a"),
        ("^12.13.0 || ^14.15.0 || >=16", "12.22.0 14.15.0 16.0.0 99.0.0", "12.12.9 13.0.0 15.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0", "0.9.9", "1.0.0"),
        ("~1.2", "1.2.9", "1.3.0"),
        ("~1", "1.9.9", "2.0.0"),
        ("1.2 - 2", "1.2.0 2.9.9", "1.1.9 3.0.0"),
        ("1.2.3 - 2.3.4", "2.3.4", "2.3.5"),
        ("1.x", "1.0.0 1.9.9", "2.0.0"),
        (">=1.2.3-beta.2", "1.2.3-beta.4 1.2.3 2.0.0", "1.2.3-beta.1 1.2.4-beta.3"),
        (">1 <1", "", "1.0.0"),
    ],
)
def test_ranges_have_the_versions_they_should(text: str, accepted: str, refused: str) -> None:
    found = Range.parse(text)
    assert [found.accepts(Version.parse(each)) for each in accepted.split()] == [True] * len(accepted.split())
    assert [found.accepts(Version.parse(each)) for each in refused.split()] == [False] * len(refused.split())


@pytest.mark.parametrize(
    "text",
    ["lts", "1.2.3.4", ">=x.1", "1..2", "01.2.3", "1.2.3-01", "=>1", "^^1", "1 -2", "9" * 17, "1" * 5000],
)
def test_what_is_no_range_is_our_error(text: str) -> None:
    with pytest.raises(SemverError):
        Range.parse(text)


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.x", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-a..b", "١.٢.٣"]
)
def test_what_is_no_version_is_our_error(text: str) -> None:
    with pytest.raises(SemverError):
        Version.parse(text)


def test_versions_are_ordered_as_the_specification_says() -> None:
    texts = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10.0 2.0.0"
    expected = [Version.parse(text) for text in texts.split()]
    shuffled = random.Random(3).sample(expected, len(expected))
    assert sorted(shuffled) == expected
    assert " ".join(map(str, expected)) == texts


@given(VERSIONS)
def test_versions_survive_writing_and_reading(version: Version) -> None:
    assert Version.parse(str(version)) == version
    assert Version.parse(f"v{version}+build.5") == version


@given(VERSIONS, VERSIONS, VERSIONS)
def test_versions_are_totally_ordered(a: Version, b: Version, c: Version) -> None:
    assert (a < b) + (b < a) + (a == b) == 1
    if a <= b <= c:
        assert a <= c


@given(VERSIONS, VERSIONS)
def test_operators_agree_with_the_order(version: Version, bound: Version) -> None:
    found = {op: Range.parse(f"{op}{bound}").accepts(version) for op in ("<", "<=", "=", ">", ">=")}
    if not version.prerelease:
        assert found == {
            "<": version < bound,
            "<=": version <= bound,
            "=": version == bound,
            ">": version > bound,
            ">=": version >= bound,
        }


@given(st.text(st.sampled_from("0123 .xX*<>=~^|-+av"), max_size=20))
def test_every_text_is_a_range_or_our_error(text: str) -> None:
    try:
        found = Range.parse(text)
    except SemverError:
        return
    found.accepts(Version(1, 2, 3))


@given(st.lists(VERSIONS), st.sampled_from(["1", "^1.2", ">=0.1 <3", "*", "<0.0.0"]))
def test_the_newest_is_the_highest_accepted(versions: list[Version], text: str) -> None:
    accepted = [version for version in versions if Range.parse(text).accepts(version)]
    assert Range.parse(text).newest(versions) == max(accepted, default=None)


SEMVER = os.path.join(npm_root(os.environ) or "/nowhere", "node_modules/semver")


@pytest.mark.skipif(
    not os.path.isdir(SEMVER) or shutil.which("node") is None, reason="no npm to compare with"
)
def test_npms_reader_agrees() -> None:
    # Seeded, not hypothesis: one start of node for all cases.
    cases = _cases(random.Random(11), 4000)
    program = (
        f"const semver = require({json.dumps(SEMVER)});"
        "const cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map(([range, version]) =>"
        " semver.validRange(range) === null ? null : semver.satisfies(version, range))))"
    )
    done = subprocess.run(
        ["node", "-e", program], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    answers = json.loads(done.stdout)
    assert {True, False, None} == set(answers)
    for (text, version), expected in zip(cases, answers, strict=True):
        try:
            found = Range.parse(text).accepts(Version.parse(version))
        except SemverError:
            found = None
        assert found == expected, (text, version)


def _cases(seeded: random.Random, count: int) -> list[tuple[str, str]]:
    def partial() -> str:
        numbers = [
            seeded.choice(["0", "0", "1", "2", "3", "x", "*", "10"]) for _ in range(seeded.randint(1, 3))
        ]
        tail = seeded.choice(["-0", "-a", "-alpha.1", "-rc.2", "-1.x"]) if seeded.random() < 0.3 else ""
        return seeded.choice(["", "", "v"]) + ".".join(numbers) + (tail if len(numbers) == 3 else "")

    def simple() -> str:
        operators = ["", "", "<", ">", "<=", ">=", "=", "~", "^", "~>"]
        return seeded.choice(operators) + seeded.choice(["", "", " "]) + partial()

    def alternative() -> str:
        if seeded.random() < 0.2:
            return f"{partial()} - {partial()}"
        return " ".join(simple() for _ in range(seeded.choice([0, 1, 1, 1, 2])))

    def version() -> str:
        tails = ["-0", "-a", "-alpha.1", "-alpha.2", "-rc.2", "-rc.10", "-1.x", "-beta", "-1"]
        numbers = ".".join(seeded.choice("0123") for _ in range(3))
        return numbers + (seeded.choice(tails) if seeded.random() < 0.4 else "")

    return [
        ("||".join(alternative() for _ in range(seeded.choice([1, 1, 2]))), version()) for _ in range(count)
    ]
