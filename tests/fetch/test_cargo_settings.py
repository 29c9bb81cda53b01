"""Where crates come from: cargo's configuration, its default, and the templates of registries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from devenv.fetch.cargo_config import CargoConfig
from devenv.fetch.cargo_default import default_registry
from devenv.fetch.crates import CrateFiles, crate_url, index_prefix, index_template
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError, FetchError
from tests.fetch.server import Server, make_endpoints

LOCKED = "https://git.test/default-index"
SPARSE = "https://sparse.test/"


def config(tmp_path: Path, project: str = "", home: str = "", **environ: str) -> CargoConfig:
    for folder, text in (("project/.cargo", project), ("home/.cargo", home)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.toml").write_text(text)
    (tmp_path / "project/deep").mkdir()
    return CargoConfig(
        project=str(tmp_path / "project/deep"), environ={"HOME": str(tmp_path / "home"), **environ}
    )


def install_cargo(tmp_path: Path, locked: str = LOCKED, sparse: str = SPARSE) -> str:
    """A cargo that writes locks as the real one does, with the index of the sparse registry in it. Its PATH."""
    folder = tmp_path / "cargo-bin"
    folder.mkdir()
    (folder / "cargo").write_text(
        f"#!/bin/sh\n# sparse+{sparse}\n[ $1 = generate-lockfile ] || exit 1\necho run >> {folder}/runs\n"
        f'printf \'[[package]]\\nname = "other"\\nsource = "registry+{locked}"\\n\' > Cargo.lock\n'
    )
    (folder / "cargo").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_a_replaced_source_leads_to_what_replaces_it(tmp_path: Path) -> None:
    text = '[source.crates-io]\nreplace-with = "a"\n[source.a]\nreplace-with = "b"\n[source.b]\nregistry = "sparse+https://m.test/"\n'
    assert config(tmp_path, home=text).replaced(LOCKED, is_default=True) == "sparse+https://m.test/"


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    near = '[source.crates-io]\nreplace-with = "near"\n[source.near]\nregistry = "https://near.test/"\n'
    far = '[source.crates-io]\nreplace-with = "far"\n[source.far]\nregistry = "https://far.test/"\n'
    assert config(tmp_path, near, far).replaced(LOCKED, is_default=True) == "https://near.test/"


def test_sources_in_a_circle_are_an_error(tmp_path: Path) -> None:
    text = '[source.crates-io]\nreplace-with = "a"\n[source.a]\nreplace-with = "crates-io"\n'
    with pytest.raises(EndpointError, match="replace each other"):
        config(tmp_path, text).replaced(LOCKED, is_default=True)


def test_other_registries_are_known_by_their_index(tmp_path: Path) -> None:
    text = '[source.corp]\nregistry = "https://c.test/index"\nreplace-with = "m"\n[registries.m]\nindex = "sparse+https://m.test/"\n'
    found = config(tmp_path, text)
    assert found.replaced("https://c.test/index", is_default=False) == "sparse+https://m.test/"
    assert found.replaced("https://d.test/index", is_default=False) == "https://d.test/index"


def test_variables_count_more_than_files(tmp_path: Path) -> None:
    text = '[registries.my-corp]\nindex = "https://a.test/"\ntoken = "from-file"\n'
    found = config(
        tmp_path,
        text,
        CARGO_REGISTRIES_MY_CORP_INDEX="https://b.test/",
        CARGO_REGISTRIES_MY_CORP_TOKEN="secret",
    )
    assert found.registry_index("my-corp") == "https://b.test/"
    assert found.token("https://b.test/", is_default=False) == "secret"


def test_a_token_stands_in_the_credentials(tmp_path: Path) -> None:
    found = config(tmp_path, '[registries.corp]\nindex = "sparse+https://corp.test/i/"\n')
    (tmp_path / "home/.cargo/credentials.toml").write_text('[registries.corp]\ntoken = "Bearer x"\n')
    assert found.token("sparse+https://corp.test/i/", is_default=False) == "Bearer x"
    assert found.token("sparse+https://other.test/i/", is_default=False) is None


def test_a_token_goes_to_its_registry_only(tmp_path: Path) -> None:
    (tmp_path / "home/.cargo").mkdir(parents=True)
    (tmp_path / "home/.cargo/config.toml").write_text(
        '[registries.corp]\nindex = "sparse+https://corp.test/i/"\ntoken = "T"\n'
    )
    endpoints = make_endpoints(tmp_path, environ={"HOME": str(tmp_path / "home")})
    assert endpoints.credentials("https://corp.test/dl/a") == {"Authorization": "T"}
    assert endpoints.credentials("https://other.test/dl/a") == {}


CONFIGURED = """
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "vendor"
[source."git+https://git.test/a?tag=v1"]
git = "https://git.test/a"
tag = "v1"
replace-with = "vendored"
[source.mirror]
registry = "sparse+https://corp.test/i/"
"""


@pytest.mark.parametrize(
    ("kind", "url", "selector", "name"),
    [
        ("git", "https://git.test/a", ("tag", "v1"), "git+https://git.test/a?tag=v1"),
        ("git", "https://git.test/a", ("tag", "v2"), None),
        ("git", "https://git.test/a", None, None),
        ("registry", "sparse+https://corp.test/i/", None, "mirror"),
        ("registry", "sparse+https://corp.test/i", None, "mirror"),
        ("registry", "sparse+https://corp.test/", None, None),
    ],
)
def test_a_source_may_have_a_name_already(
    tmp_path: Path, kind: str, url: str, selector: tuple[str, str] | None, name: str | None
) -> None:
    (tmp_path / "part/.cargo").mkdir(parents=True)
    (tmp_path / "part/.cargo/config.toml").write_text(CONFIGURED)
    settings = CargoConfig(project=str(tmp_path / "part"), environ={"HOME": str(tmp_path)})
    assert settings.source_name(kind, url, selector) == name


def test_registries_of_one_host_have_their_own_tokens(tmp_path: Path) -> None:
    (tmp_path / "home/.cargo").mkdir(parents=True)
    (tmp_path / "home/.cargo/config.toml").write_text(
        '[registries.one]\nindex = "sparse+https://corp.test/one/index/"\ntoken = "1"\n'
        '[registries.two]\nindex = "sparse+https://corp.test/two/index/"\ntoken = "2"\n'
    )
    endpoints = make_endpoints(tmp_path, environ={"HOME": str(tmp_path / "home")})
    for name, token in (("one", "1"), ("two", "2")):
        assert endpoints.credentials(f"https://corp.test/{name}/index/config.json") == {
            "Authorization": token
        }


@pytest.mark.parametrize("private", [True, False])
def test_files_on_another_host_get_the_token_if_the_registry_is_private(
    tmp_path: Path, private: bool
) -> None:
    (tmp_path / "home/.cargo").mkdir(parents=True)
    (tmp_path / "home/.cargo/config.toml").write_text(
        '[registries.corp]\nindex = "file:///srv/index"\ntoken = "T"\n'
    )
    endpoints = Endpoints(
        project=str(tmp_path),
        environ={"HOME": str(tmp_path / "home"), "PATH": install_cargo(tmp_path)},
        registries={},
        cache=str(tmp_path / "cache"),
        wheel_text=lambda *_: None,
        crate_template=lambda _, index: CrateFiles("https://files.test/{crate}", private),
    )
    index = quote("registry+file:///srv/index", safe="")
    url = endpoints.absolute(f"crates+{index}:a/1.0.0/{'0' * 64}")
    assert endpoints.credentials(url) == ({"Authorization": "T"} if private else {})
    assert endpoints.credentials("https://other.test/a") == {}


@pytest.mark.parametrize("text", ["[source", "a = 1\n" * 3, "\x00"])
def test_a_file_that_is_no_toml_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(EndpointError, match=r"config\.toml"):
        config(tmp_path, text).registry_index("x")


def test_cargo_itself_says_what_its_default_is(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": install_cargo(tmp_path)}
    for _ in range(3):
        found = default_registry(environ=environ, cache=str(tmp_path / "cache"))
        assert (found.locked, found.sparse) == (LOCKED, SPARSE)
    assert (tmp_path / "cargo-bin/runs").read_text() == "run\n"  # asked once


def test_what_cargo_said_is_remembered_where_it_is_gone(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    default_registry(environ={"HOME": str(tmp_path), "PATH": install_cargo(tmp_path)}, cache=cache)
    assert default_registry(environ={"PATH": str(tmp_path)}, cache=cache).locked == LOCKED


def test_without_cargo_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no cargo on PATH") as caught:
        default_registry(environ={"PATH": str(tmp_path)}, cache=str(tmp_path / "cache"))
    assert "Install cargo" in (caught.value.hint or "")


def test_a_cargo_that_fails_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "cargo").write_text("#!/bin/sh\n# sparse+https://x.test/\necho broken >&2\nexit 3\n")
    (tmp_path / "cargo").chmod(0o755)
    with pytest.raises(EndpointError, match="broken"):
        default_registry(environ={"PATH": f"{tmp_path}:/bin", "HOME": "/"}, cache=str(tmp_path / "c"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("https://d.test/crates", "https://d.test/crates/Ab-c/1.0.0+x/download", id="no marker"),
        pytest.param(
            "https://d.test/{prefix}/{lowerprefix}/{crate}-{version}.crate?{sha256-checksum}",
            "https://d.test/Ab/-c/ab/-c/Ab-c-1.0.0+x.crate?ff",
            id="all markers",
        ),
    ],
)
def test_a_template_becomes_the_url_of_a_crate(template: str, expected: str) -> None:
    assert crate_url(template, "Ab-c", "1.0.0+x", "ff") == expected


@pytest.mark.parametrize(("name", "prefix"), [("a", "1"), ("ab", "2"), ("abc", "3/a"), ("cargo", "ca/rg")])
def test_an_index_has_directories_by_name(name: str, prefix: str) -> None:
    assert index_prefix(name) == prefix


def test_a_registry_says_once_where_its_files_are(tmp_path: Path, server: Server) -> None:
    server.page("/index/config.json", json.dumps({"dl": f"{server.url}/dl"}).encode())
    endpoints = make_endpoints(tmp_path)
    for offline in (False, True):
        assert (
            index_template(endpoints, f"sparse+{server.url}/index/", offline=offline).template
            == f"{server.url}/dl"
        )
    with pytest.raises(FetchError):
        index_template(endpoints, f"sparse+{server.url}/other/", offline=True)


def test_a_registry_without_downloads_is_an_error(tmp_path: Path, server: Server) -> None:
    server.page("/config.json", b"[]")
    with pytest.raises(EndpointError, match="does not say where"):
        index_template(make_endpoints(tmp_path), f"sparse+{server.url}/", offline=False)


def test_the_default_registry_is_asked_by_its_sparse_index(tmp_path: Path) -> None:
    asked = []

    def template(endpoints: Endpoints, index: str) -> CrateFiles:
        asked.append(index)
        return CrateFiles("https://files.test")

    endpoints = Endpoints(
        project=str(tmp_path),
        environ={"HOME": str(tmp_path), "PATH": install_cargo(tmp_path)},
        registries={},
        cache=str(tmp_path / "cache"),
        wheel_text=lambda *_: None,
        crate_template=template,
    )
    for name in ("a", "b"):
        url = f"crates+{quote(LOCKED, safe='')}:{name}/1.0.0/{'0' * 64}"
        assert endpoints.absolute(url) == f"https://files.test/{name}/1.0.0/download"
    assert asked == [f"sparse+{SPARSE}"]


def test_registries_of_the_project_stand_for_the_default(tmp_path: Path) -> None:
    path = install_cargo(tmp_path)
    environ = {"HOME": str(tmp_path), "PATH": path}
    endpoints = make_endpoints(tmp_path, environ=environ, registries={"crates": "sparse+https://mine.test/"})
    assert endpoints.crates.index(LOCKED) == "sparse+https://mine.test/"
    assert os.path.dirname(path.partition(":")[0]) == str(tmp_path)
