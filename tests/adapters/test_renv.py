from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.adapter import AdapterError, Completions, Options, Plan, RemoteFile, RLibrary, RQuery, Target
from devenv.adapters import renv
from devenv.adapters._renv_system import system_packages
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash

DATA = Path(__file__).parents[1] / "data/renv"
LOCKS = sorted(DATA.glob("*.lock"))
CRAN = [{"Name": "CRAN", "URL": "https://cran.test"}]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUM = Hash.of("sha256", b"")


def record(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    return {"Package": name, "Version": version, "Source": "Repository", "Repository": "CRAN", **more}


def lock(*records: Mapping[str, Any], repositories: Any = CRAN, **more: Any) -> str:
    packages = {each["Package"]: each for each in records}
    return json.dumps({"R": {"Version": "4.5.0", "Repositories": repositories}, "Packages": packages, **more})


def plan(text: str, completions: Completions | None = None, options: Options | None = None) -> Plan:
    return renv.plan(
        text,
        path="renv.lock",
        target=Target(),
        options=options or Options(),
        completions=completions or {},
        siblings={},
    )


def queries(text: str) -> dict[str, RQuery]:
    return {query.name: query for query in plan(text).queries if isinstance(query, RQuery)}


def places(text: str, name: str = "x") -> list[str]:
    return [unquote(place) for place in queries(text)[name].places]


def answers(text: str, needs: Mapping[str, str] | None = None, **system: str) -> Completions:
    """An answer to every question of a lock. `needs`: by package, names with blanks between."""
    found = {}
    for name, query in queries(text).items():
        wanted = tuple((needs or {}).get(name, "").split())
        file = RemoteFile(
            file_name=f"{name}.tar.gz",
            url=query.places[0],
            hash=SUM,
            needs=wanted,
            system=system.get(name, ""),
        )
        found[query.key] = (file,)
    return found


def library(found: Plan) -> RLibrary:
    assert isinstance(found.view, RLibrary)
    return found.view


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_real_lock_becomes_the_packages_of_its_records(path: Path) -> None:
    text = path.read_text()
    records = json.loads(text)["Packages"]
    wanted = {(name, entry["Version"]) for name, entry in records.items()}
    assert {(query.name, query.version) for query in queries(text).values()} == wanted
    needs = {
        name: " ".join(
            each.split("(")[0].strip()
            for field in ("Requirements", "Depends", "Imports", "LinkingTo")
            for each in entry.get(field, ())
        )
        for name, entry in records.items()
    }
    found = plan(text, answers(text, needs))
    assert not found.queries
    assert {(package.name, package.version) for package in found.packages} == wanted


def test_a_package_is_looked_for_in_the_repository_that_its_record_names() -> None:
    repositories = [*CRAN, {"Name": "corp", "URL": "https://r.corp.test/repo"}]
    text = lock(record("x", Repository="corp"), record("y"), repositories=repositories)
    assert places(text) == ["cran+corp@https://r.corp.test/repo:src/contrib/x_1.0.tar.gz"]
    assert places(text, "y") == ["cran+CRAN@https://cran.test:src/contrib/y_1.0.tar.gz"]


@pytest.mark.parametrize("name", ["RSPM", "PPM", "P3M", "elsewhere", None])
def test_a_repository_that_the_lock_does_not_list_leads_to_those_that_it_lists(name: str | None) -> None:
    entry = record("x")
    entry["Repository"] = name
    assert places(lock(entry))[0] == "cran+CRAN@https://cran.test:src/contrib/x_1.0.tar.gz"


def test_a_url_can_stand_in_place_of_a_repositorys_name() -> None:
    text = lock(record("x", Repository="https://one.test/cran"))
    assert places(text) == ["cran+@https://one.test/cran:src/contrib/x_1.0.tar.gz"]


def test_very_old_locks_have_repositories_as_an_object() -> None:
    text = lock(record("x"), repositories={"CRAN": "https://cran.test"})
    assert places(text) == ["cran+CRAN@https://cran.test:src/contrib/x_1.0.tar.gz"]


def test_bioconductor_is_asked_by_its_release() -> None:
    entry = record("x", Source="Bioconductor", Repository=None)
    text = lock(entry, repositories=[], Bioconductor={"Version": "3.18"})
    assert places(text)[0] == "bioconductor:packages/3.18/bioc/src/contrib/x_1.0.tar.gz"
    named = [{"Name": "BioCsoft", "URL": "https://bioc.test/3.18/bioc"}]
    assert places(lock(entry, repositories=named)) == [
        "cran+BioCsoft@https://bioc.test/3.18/bioc:src/contrib/x_1.0.tar.gz"
    ]


REMOTES = {
    "github": (
        {
            "Source": "GitHub",
            "RemoteType": "github",
            "RemoteHost": "api.forge.test",
            "RemoteUsername": "me",
            "RemoteRepo": "rx",
            "RemoteSha": COMMIT,
        },
        f"git+https://forge.test/me/rx#{COMMIT}",
    ),
    "an installation of one's own": (
        {
            "Source": "GitHub",
            "RemoteHost": "forge.corp.test/api/v3",
            "RemoteUsername": "me",
            "RemoteRepo": "rx",
            "RemoteSha": COMMIT,
        },
        f"git+https://forge.corp.test/me/rx#{COMMIT}",
    ),
    "gitlab": (
        {
            "Source": "GitLab",
            "RemoteHost": "lab.test",
            "RemoteUsername": "group/sub",
            "RemoteRepo": "rx",
            "RemoteSha": COMMIT,
        },
        f"git+https://lab.test/group/sub/rx#{COMMIT}",
    ),
    "git": (
        {"Source": "git2r", "RemoteUrl": "https://git.test/rx.git", "RemoteSha": COMMIT},
        f"git+https://git.test/rx.git#{COMMIT}",
    ),
    "git by ssh": (
        {"Source": "git", "RemoteUrl": "git@git.test:me/rx.git", "RemoteSha": COMMIT},
        f"git+ssh://git@git.test/me/rx.git#{COMMIT}",
    ),
    "url": (
        {"Source": "URL", "RemoteUrl": "https://files.test/x_1.0.tar.gz"},
        "https://files.test/x_1.0.tar.gz",
    ),
}


@pytest.mark.parametrize("case", REMOTES)
def test_a_remote_is_where_its_record_says(case: str) -> None:
    fields, place = REMOTES[case]
    assert places(lock(record("x", **fields))) == [place]


def test_a_local_package_is_looked_for_in_the_project() -> None:
    found = places(lock(record("x", Source="Local", RemoteUrl="./vendor/x_1.0.tar.gz")))
    assert found[0] == "project:renv/cellar/x_1.0.tar.gz"
    assert found[-1] == "project:vendor/x_1.0.tar.gz"
    absolute = places(lock(record("x", Source="/home/me/x_1.0.tar.gz")))
    assert all(place.startswith("project:renv/") for place in absolute)


def test_a_package_in_a_directory_of_a_repository_is_built_there() -> None:
    fields = {**REMOTES["git"][0], "RemoteSubdir": "r/pkg"}
    text = lock(record("x", **fields))
    assert queries(text)["x"].directory == "r/pkg"
    assert library(plan(text, answers(text))).directories == {"x": "r/pkg"}


def test_each_package_is_built_with_all_that_it_needs() -> None:
    text = lock(record("a"), record("b"), record("c"), record("d"))
    found = library(plan(text, answers(text, {"a": "R methods b", "b": "c utils", "d": "c"})))
    assert found.inputs == {"a": ("b", "c"), "b": ("c",), "c": (), "d": ("c",)}


def test_records_of_what_is_part_of_r_are_no_packages() -> None:
    assert list(queries(lock(record("methods"), record("x")))) == ["x"]


def test_a_recommended_package_that_is_locked_is_built_and_others_are_those_of_the_base() -> None:
    text = lock(record("class"), record("x"))
    given = answers(text, {"class": "MASS", "x": "class"})
    found = plan(text, given)
    assert {package.name for package in found.packages} == {"class", "x"}
    assert found.system == ("r-recommended",)


def test_packages_for_windows_are_left_out_and_named() -> None:
    found = plan(lock(record("x"), record("w", OS_type="windows")))
    assert [query.key for query in found.queries] == ["r:x@1.0 CRAN"]
    assert "w left out" in found.notices[0]


def test_missing_packages_are_all_named() -> None:
    text = lock(record("a"), record("b"))
    with pytest.raises(DevenvError) as raised:
        plan(text, answers(text, {"a": "gone lost", "b": "gone"}))
    assert "a, b cannot be built: gone is not in the lock" in str(raised.value)
    assert "a cannot be built: lost" in str(raised.value)


def test_packages_that_need_each_other_are_an_error() -> None:
    text = lock(record("a"), record("b"))
    with pytest.raises(AdapterError, match="a -> b -> a"):
        plan(text, answers(text, {"a": "b", "b": "a"}))


def test_renv_recognises_where_a_package_came_from() -> None:
    fields = REMOTES["github"][0] | {"RemoteRef": "main"}
    text = lock(record("x", **fields), record("y"))
    found = library(plan(text, answers(text))).provenance
    assert found["x"]["RemoteType"] == "github"
    assert found["x"]["RemoteSha"] == found["x"]["GithubSHA1"] == COMMIT
    assert found["x"]["GithubRef"] == "main"
    assert found["y"] == {"Repository": "CRAN"}


SYSTEM = {
    "GDAL (>= 2.0.1), GEOS (>= 3.4.0), PROJ (>= 4.8.0), sqlite3": (
        "gdal-bin libgdal-dev libgeos-dev libproj-dev libsqlite3-dev"
    ),
    "udunits-2": "libudunits2-dev",
    "libxml2: libxml2-dev (deb), libxml2-devel (rpm)": "libxml2-dev",
    "libcurl (>= 7.73): libcurl-devel (rpm) or libcurl4-openssl-dev (deb)": "libcurl4-openssl-dev",
    "cmake, OpenSSL >= 1.0.1, Abseil >= 20230802.0": "cmake libabsl-dev libssl-dev",
    "fontconfig, freetype2": "libfontconfig-dev libfreetype-dev",
    "freetype2, libpng, libtiff, libjpeg, libwebp, libwebpmux": (
        "libfreetype-dev libjpeg-dev libpng-dev libtiff-dev libwebp-dev"
    ),
    "ICU4C (>= 61, optional)": "libicu-dev",
    "libfoo: libfoo-dev (deb)": "libfoo-dev",
    "GNU make": "",
    "C++17": "",
    "see https://gdal.test/openssl for curl": "libcurl4-openssl-dev",
}


@pytest.mark.parametrize("text", SYSTEM)
def test_system_requirements_are_packages_of_the_base(text: str) -> None:
    found = system_packages([("x", text)])
    assert found.packages == tuple(SYSTEM[text].split())
    assert not found.unknown


def test_programs_and_unknown_requirements_are_asked_for() -> None:
    text = lock(record("a"), record("b"))
    found = plan(text, answers(text, a="pandoc (>= 1.14)", b="the quux library"))
    assert found.system == ()
    assert found.notices[0].startswith("a can use pandoc: if that is wanted")
    assert "b asks for 'the quux library'" in found.notices[1]


DAMAGED = {
    "not JSON": ("{", "not JSON"),
    "a merge": ("<<<<<<< ours\n{}", "merge conflict"),
    "a list": ("[]", "expected a table at the top"),
    "nothing": ("{}", "has no 'R'"),
    "no packages": ('{"R": {}}', "has no 'Packages'"),
    "a record that is none": (lock().replace('"Packages": {}', '"Packages": {"x": 1}'), "expected a table"),
    "a name that leaves": (lock(record("../x")), "is no name of an R package"),
    "a version that leaves": (lock(record("x", "1/../..")), "is no version of an R package"),
    "no commit": (lock(record("x", Source="git", RemoteUrl="https://g.test/x")), "has no RemoteSha"),
    "a short commit": (
        lock(record("x", Source="git", RemoteUrl="https://g.test/x", RemoteSha="abc")),
        "no whole name of a commit",
    ),
    "a host that is none": (
        lock(record("x", **{**REMOTES["github"][0], "RemoteHost": "a b"})),
        "is no URL",
    ),
    "a program of git's": (
        lock(record("x", Source="git", RemoteUrl="ext::sh -c x", RemoteSha=COMMIT)),
        "is no URL",
    ),
    "a directory that leaves": (
        lock(record("x", **{**REMOTES["git"][0], "RemoteSubdir": "../.."})),
        "is no directory",
    ),
    "an unknown source": (lock(record("x", Source="magic")), "comes from 'magic'"),
    "no repository": (lock(record("x", Repository=None), repositories=[]), "names no repository at all"),
    "half a character": (lock(record("x", Repository="\ud800")), "not valid Unicode"),
    "repositories of numbers": (lock(record("x"), repositories=[1]), "expected a table"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_lock_is_refused_with_the_reason(case: str) -> None:
    text, reason = DAMAGED[case]
    with pytest.raises(DevenvError) as raised:
        plan(text)
    assert reason in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DevenvError) as raised:
        plan(lock(record("x", Source="magic"), record("y", Source="git"), record("z")))
    assert "x 1.0 comes from 'magic'" in str(raised.value) and "y 1.0 comes from git" in str(raised.value)


def test_options_of_other_formats_are_refused() -> None:
    with pytest.raises(AdapterError, match="knows no groups"):
        plan(lock(record("x")), options=Options(groups=("test",)))


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
words = st.sampled_from(
    [
        "CRAN",
        "Repository",
        "GitHub",
        "git",
        "URL",
        "Local",
        "Bioconductor",
        COMMIT,
        "https://x.test/a",
        "1.0",
        "x",
        "../x",
        "windows",
        "",
    ]
)
FIELDS = [
    "Package",
    "Version",
    "Source",
    "Repository",
    "RemoteSha",
    "RemoteUrl",
    "RemoteHost",
    "RemoteRepo",
    "RemoteUsername",
    "RemoteSubdir",
    "OS_type",
    "Hash",
]
records = st.dictionaries(st.sampled_from(FIELDS), words | values, max_size=9)
documents = st.fixed_dictionaries(
    {},
    optional={
        "R": values | st.fixed_dictionaries({"Version": words, "Repositories": values | st.just(CRAN)}),
        "Bioconductor": values,
        "Packages": values | st.dictionaries(words, records | values, max_size=4),
    },
)


@given(documents)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_document_is_a_plan_or_our_error(document: dict[str, Any]) -> None:
    try:
        found = plan(json.dumps(document))
    except DevenvError:
        return
    for query in found.queries:
        assert isinstance(query, RQuery) and query.places and "/" not in query.name + query.version


@given(st.text())
def test_any_text_is_a_plan_or_our_error(text: str) -> None:
    with suppress(DevenvError):
        plan(text)


@given(st.text())
def test_any_requirement_can_be_read(text: str) -> None:
    found = system_packages([("x", text)])
    assert list(found.packages) == sorted(set(found.packages))
