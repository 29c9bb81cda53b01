"""Fetches without a hash, and things that are known by their hash alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from devenv.store.tree import dump
from tests.derivations.site import Site
from tests.support.devenv import User

pytestmark = pytest.mark.usefixtures("sandboxes")


def sri(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}-" + base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


RIGHT, WRONG = b"the right one\n", b"another one\n"


def reads(name: str, more: str = "") -> str:
    """A recipe whose result is what its input is."""
    variable = name.replace(".", "_").replace("-", "_")
    return f"""
[build.reads]
inputs = ["{name}"]
host = true
phases.install = "cp -R $input_{variable} $out"
{more}
"""


def test_a_fetch_without_a_hash_is_made_anew_each_time(user: User, root: Path, site: Site) -> None:
    (root / "devenv.toml").write_text(reads("fetch.today", f'[fetch.today]\nurl = "{site.url}/today.csv"'))
    outs = []
    for data in (b"one", b"one", b"two"):
        site.files["/today.csv"] = data
        done = user.run("build", cwd=root)
        assert f"fetch.today is impure and was fetched anew: it is {sri(data)} now." in done.stderr
        assert Path(done.stdout.strip()).read_bytes() == data
        outs.append(done.stdout)
    assert site.asked == ["/today.csv"] * 3
    assert outs[0] == outs[1] != outs[2], "what is made of it depends on nothing but its contents"


def test_what_depends_on_an_impure_fetch_cannot_be_foreseen(user: User, root: Path, site: Site) -> None:
    (root / "devenv.toml").write_text(
        reads("fetch.today", f'[fetch.today]\nurl = "{site.url}/today.csv"')
        + '[build.more]\ninputs = ["reads"]\nhost = true\n[build.other]\nhost = true\n'
    )
    done = user.run("build", "--dry-run", cwd=root)
    assert "cannot be known before: reads: fetch.today has no hash" in done.stdout
    assert "cannot be known before: more: it needs reads: fetch.today" in done.stdout
    assert "would build 1 thing\n  other\n" in done.stdout
    assert site.asked == []


def test_offline_an_impure_fetch_is_an_error_even_if_it_was_made(user: User, root: Path, site: Site) -> None:
    site.files["/today.csv"] = b"one"
    (root / "devenv.toml").write_text(reads("fetch.today", f'[fetch.today]\nurl = "{site.url}/today.csv"'))
    user.run("build", cwd=root)
    done = user.run("build", "--offline", cwd=root, check=False)
    assert done.returncode == 1
    assert "offline" in done.stderr


def test_a_fetch_with_a_hash_is_made_once(user: User, root: Path, site: Site) -> None:
    site.files["/words.txt"] = RIGHT
    table = f'[fetch.words]\nurl = "{site.url}/words.txt"\nhash = "{sri(RIGHT, "sha512")}"'
    (root / "devenv.toml").write_text(reads("fetch.words", table))
    out = user.run("build", cwd=root).stdout
    assert Path(out.strip()).read_bytes() == RIGHT
    assert user.run("build", "--offline", cwd=root).stdout == out
    assert site.asked == ["/words.txt"]


def test_a_fetch_that_is_something_else_is_refused(user: User, root: Path, site: Site) -> None:
    site.files["/words.txt"] = WRONG
    table = f'[fetch.words]\nurl = "{site.url}/words.txt"\nhash = "{sri(RIGHT)}"'
    (root / "devenv.toml").write_text(reads("fetch.words", table))
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    assert sri(WRONG) in done.stderr or hashlib.sha256(WRONG).hexdigest() in done.stderr
    assert "would build 1 thing" in user.run("build", "-n", cwd=root).stdout


def test_a_fetch_that_fails_says_of_what(user: User, root: Path, site: Site) -> None:
    (root / "devenv.toml").write_text(reads("fetch.today", f'[fetch.today]\nurl = "{site.url}/today.csv"'))
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    assert f"{site.url}/today.csv" in done.stderr
    assert "404" in done.stderr


# Purify


def purify(*candidates: str, hash: str = "", more: str = "") -> str:
    hash = hash or sri(RIGHT)
    return reads(
        "purify.thing", f'{more}\n[purify.thing]\ncandidates = {json.dumps(candidates)}\nhash = "{hash}"'
    )


def test_the_first_candidate_that_fits_is_taken(user: User, root: Path, site: Site) -> None:
    site.files |= {"/wrong": WRONG, "/right": RIGHT, "/never": RIGHT}
    (root / "local").write_bytes(WRONG)
    (root / "devenv.toml").write_text(
        purify("./gone", "./local", f"{site.url}/wrong", f"{site.url}/right", f"{site.url}/never")
    )
    out = Path(user.run("build", cwd=root).stdout.strip())
    assert out.read_bytes() == RIGHT
    assert site.asked == ["/wrong", "/right"]
    site.files.clear()
    assert user.run("build", "--offline", cwd=root).stdout.strip() == str(out), "now it is there"


def test_the_place_of_a_candidate_does_not_matter(user: User, root: Path, site: Site) -> None:
    site.files["/right"] = RIGHT
    (root / "local").write_bytes(RIGHT)
    (root / "devenv.toml").write_text(purify("./local"))
    first = user.run("build", cwd=root).stdout
    (root / "devenv.toml").write_text(purify(f"{site.url}/right"))
    assert user.run("build", cwd=root).stdout == first
    assert site.asked == []


def test_when_none_fits_it_says_what_each_gave(user: User, root: Path, site: Site) -> None:
    site.files["/wrong"] = WRONG
    (root / "directory").mkdir()
    (root / "devenv.toml").write_text(
        purify(
            "./gone", "./directory", f"{site.url}/wrong", f"{site.url}/404", "fetch.nothing", "fetch.other"
        )
        + f'[fetch.other]\nurl = "{site.url}/wrong"\n'
    )
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert f"no candidate has the hash {sri(RIGHT)}" in done.stderr
    assert any("./gone: there is no " in line for line in lines)
    assert any("./directory: it is a directory" in line for line in lines)
    assert any(f"{site.url}/wrong: has {sri(WRONG)}" in line for line in lines)
    assert any(f"{site.url}/404: " in line and "404" in line for line in lines)
    assert any("fetch.nothing: there is no [fetch.nothing]" in line for line in lines)
    assert any(f"fetch.other: has {sri(WRONG)}" in line for line in lines)
    assert not any((user.store_root / "store").glob("*thing*"))


def test_a_directory_is_known_by_its_nar(user: User, root: Path) -> None:
    (root / "data/inner").mkdir(parents=True)
    (root / "data/inner/run").write_text("#!/bin/sh\n")
    (root / "data/inner/run").chmod(0o755)
    digest = hashlib.sha256(b"".join(dump(str(root / "data")))).digest()
    hash = "sha256-" + base64.b64encode(digest).decode()
    (root / "devenv.toml").write_text(purify("./data", hash=hash) + "recursive = true\n")
    out = Path(user.run("build", cwd=root).stdout.strip())
    assert os.access(out / "inner/run", os.X_OK)


BUILDS = """
[build.makes]
host = true
phases.install = "printf 'the right one\\\\n' >$out"
[build.refers]
host = true
phases.install = "mkdir $out; echo $out >$out/self"
[build.fails]
host = true
phases.install = "exit 1"
"""


def test_what_a_recipe_makes_can_be_a_candidate(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text(purify("build.fails", "build.refers", "build.makes", more=BUILDS))
    out = user.run("build", "reads", cwd=root).stdout.strip()
    assert Path(out).read_bytes() == RIGHT
    # It came from there, but nothing shows that: another candidate would have done.
    (root / "devenv.toml").write_text(purify("./local"))
    (root / "local").write_bytes(RIGHT)
    assert user.run("build", cwd=root).stdout.strip() == out


def test_what_refers_to_the_store_is_more_than_its_contents(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text(purify("build.refers", "build.fails", more=BUILDS))
    done = user.run("build", "reads", cwd=root, check=False)
    assert "build.refers: it refers to" in done.stderr
    assert "build.fails: cannot build fails (phase install)" in done.stderr


def test_what_needs_itself_is_refused(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text(purify("build.reads"))
    done = user.run("build", cwd=root, check=False)
    assert done.returncode == 1
    assert "purify.thing needs itself" in done.stderr


def test_what_would_be_looked_for_is_foreseen(user: User, root: Path) -> None:
    (root / "local").write_bytes(RIGHT)
    (root / "devenv.toml").write_text(purify("./local"))
    done = user.run("build", "--dry-run", cwd=root)
    assert "cannot be known before: purify.thing is looked for among ./local" in done.stdout
    user.run("build", cwd=root)
    assert "purify" not in user.run("build", "--dry-run", cwd=root).stdout


def test_the_store_is_sound_after_all_that(user: User, root: Path, site: Site) -> None:
    site.files["/today"] = b"now"
    (root / "local").write_bytes(RIGHT)
    (root / "devenv.toml").write_text(
        purify("./local")
        + f'[fetch.today]\nurl = "{site.url}/today"\n[build.too]\ninputs = ["fetch.today"]\nhost = true\n'
        "phases.install = 'cp $input_fetch_today $out'\n"
    )
    user.run("build", cwd=root)
    user.run("store", "verify", cwd=root)
