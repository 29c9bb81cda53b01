"""Where R repositories are: R's profiles, renv's variables, [registries], and what a lock says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError
from devenv.fetch.r_config import RConfig, settings

PROFILES = {
    "a vector": ('options(repos = c(CRAN = "https://a.test"))', {"CRAN": "https://a.test"}),
    "several": (
        "options(digits=3, repos=c(\n  RSPM = 'https://a.test/x',\n  corp = 'https://c.test'))",
        {"CRAN": "https://a.test/x", "corp": "https://c.test"},
    ),
    "one URL": ('options(repos="https://a.test")', {"CRAN": "https://a.test"}),
    "by index": (
        'local({r <- getOption("repos"); r["CRAN"] <- "https://a.test"; options(repos=r)})',
        {"CRAN": "https://a.test"},
    ),
    "the last": (
        'options(repos = c(CRAN = "https://a.test"))\noptions(repos = c(CRAN = "https://b.test"))',
        {"CRAN": "https://b.test"},
    ),
    "a comment": ('# options(repos = c(CRAN = "https://a.test"))', {}),
    "a mark in a text": ('options(x = "#", repos = c(CRAN = "https://a.test"))', {"CRAN": "https://a.test"}),
    "Bioconductor": ('options(BioC_mirror = "https://b.test")', {"BioC_mirror": "https://b.test"}),
    "a placeholder": ('options(repos = c(CRAN = "@CRAN@"))', {}),
}


@pytest.mark.parametrize("case", PROFILES)
def test_a_profile_is_read_without_running_it(case: str) -> None:
    text, expected = PROFILES[case]
    assert settings(text) == expected


@given(st.text() | st.from_regex(r"(options\(repos ?= ?c\(|[\"'#\\=),]|https://a)*"))
def test_any_text_can_be_a_profile(text: str) -> None:
    assert all("://" in url for url in settings(text).values())


def test_the_users_profile_counts_more_than_the_machines_and_the_projects_more_still(tmp_path: Path) -> None:
    for folder, host in (("etc/R", "site"), ("home", "user"), ("project", "project")):
        (tmp_path / folder).mkdir(parents=True)
        name = "Rprofile.site" if host == "site" else ".Rprofile"
        (tmp_path / folder / name).write_text(
            f'options(repos = c({host} = "https://{host}.test", CRAN = "https://{host}.test"))'
        )
    found = RConfig(
        project=str(tmp_path / "project"), environ={"HOME": str(tmp_path / "home")}, etc=str(tmp_path / "etc")
    ).repositories
    assert found["CRAN"] == "https://project.test"
    assert set(found) == {"CRAN", "site", "user", "project"}


def endpoints(
    tmp_path: Path,
    profile: str = "",
    registries: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Endpoints:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".Rprofile").write_text(profile)
    (tmp_path / "project").mkdir()
    return Endpoints.load(
        project=str(tmp_path / "project"),
        environ={"HOME": str(home), **(environ or {})},
        registries=registries or {},
        cache=str(tmp_path),
        etc=str(tmp_path / "etc"),
    )


def place(name: str, url: str) -> str:
    return f"cran+{quote(name, safe='')}@{quote(url, safe='')}:src/contrib/x_1.0.tar.gz"


def both(root: str) -> tuple[str, str]:
    return f"{root}src/contrib/x_1.0.tar.gz", f"{root}src/contrib/Archive/x/x_1.0.tar.gz"


def test_the_locks_repository_is_asked_first_and_the_users_next(tmp_path: Path) -> None:
    found = endpoints(tmp_path, 'options(repos = c(CRAN = "https://own.test/r"))')
    assert found.candidates(place("RSPM", "https://lock.test")) == (
        *both("https://lock.test/"),
        *both("https://own.test/r/"),
    )
    assert found.candidates(place("CRAN", "")) == both("https://own.test/r/")
    assert found.absolute(place("CRAN", "https://lock.test")) == both("https://lock.test/")[0]


@pytest.mark.parametrize(
    ("name", "registries", "environ"),
    [
        ("CRAN", {"cran": "https://m.test"}, {}),
        ("PPM", {"cran": "https://m.test/"}, {}),
        ("corp", {"cran+corp": "https://m.test"}, {}),
        ("corp", {}, {"RENV_CONFIG_REPOS_OVERRIDE": "https://m.test"}),
    ],
)
def test_settings_stand_for_what_the_lock_says(
    tmp_path: Path, name: str, registries: dict[str, str], environ: dict[str, str]
) -> None:
    found = endpoints(tmp_path, registries=registries, environ=environ)
    assert found.candidates(place(name, "https://lock.test")) == both("https://m.test/")


def test_a_prefix_of_urls_is_replaced(tmp_path: Path) -> None:
    found = endpoints(tmp_path, registries={"https://lock.test/": "https://m.test/r/"})
    assert found.candidates(place("corp", "https://lock.test")) == both("https://m.test/r/")


def test_bioconductor_is_where_settings_say(tmp_path: Path) -> None:
    found = endpoints(tmp_path, 'options(BioC_mirror = "https://bioc.test")')
    path = "packages/3.18/bioc/src/contrib/x_1.0.tar.gz"
    assert found.candidates(f"bioconductor:{path}") == (
        f"https://bioc.test/{path}",
        "https://bioc.test/packages/3.18/bioc/src/contrib/Archive/x/x_1.0.tar.gz",
    )


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        (place("CRAN", ""), 'cran = "https://..."'),
        (place("corp", "@CRAN@"), '"cran+corp" = "https://..."'),
        ("bioconductor:packages/3.18/bioc/src/contrib/x_1.0.tar.gz", 'bioconductor = "https://..."'),
    ],
)
def test_an_unknown_repository_is_an_error_that_says_what_to_write(
    tmp_path: Path, form: str, hint: str
) -> None:
    with pytest.raises(EndpointError) as raised:
        endpoints(tmp_path).candidates(form)
    assert hint in str(raised.value.hint)


def test_a_file_of_the_project_stays_in_it(tmp_path: Path) -> None:
    found = endpoints(tmp_path)
    (tmp_path / "project/a b.tar.gz").write_text("")
    assert found.absolute("project:a b.tar.gz") == f"file://{tmp_path}/project/a%20b.tar.gz"
    (tmp_path / "x-1.whl").write_text("")
    assert found.absolute("project:../x-1.whl") == f"file://{tmp_path}/x-1.whl"
    (tmp_path / "project/link").symlink_to("/etc/passwd")
    (tmp_path / "y.whl").symlink_to("/etc/passwd")
    for path in ("../x", "link", "/etc/passwd", "../y.whl"):
        with pytest.raises(EndpointError, match="is not in the project"):
            found.absolute(f"project:{path}")
