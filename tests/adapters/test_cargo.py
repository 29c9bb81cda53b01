from __future__ import annotations

import tomllib
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devenv.adapter import CargoSources, Completions, GitQuery, Options, Plan, RemoteFile, Target
from devenv.adapters import cargo
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash

INDEX = "registry+https://index.test/git-index"
OTHER = "sparse+https://crates.corp.test/index/"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUM = "ab" * 32


def crate(name: str, version: str, source: str | None = None, **more: str) -> str:
    lines = ["[[package]]", f'name = "{name}"', f'version = "{version}"']
    lines += [f'source = "{source}"'] if source is not None else []
    lines += [f'{key} = "{value}"' for key, value in more.items()]
    return "\n".join(lines) + "\n"


REGISTRY = crate("serde", "1.0.2", INDEX, checksum=SUM)


def plan(text: str, completions: Completions | None = None, options: Options | None = None) -> Plan:
    return cargo.plan(
        text,
        path="Cargo.lock",
        target=Target(),
        options=options or Options(),
        completions=completions or {},
        siblings={},
    )


def view(found: Plan) -> CargoSources:
    assert isinstance(found.view, CargoSources)
    return found.view


def answers(found: Plan) -> dict[str, tuple[RemoteFile, ...]]:
    given: dict[str, tuple[RemoteFile, ...]] = {}
    for query in found.queries:
        assert isinstance(query, GitQuery)
        url = f"git+{query.url}#{query.commit}"
        given[query.key] = (RemoteFile(file_name="repo", url=url, hash=Hash.of("sha256", url.encode())),)
    return given


def test_a_crate_of_a_registry_is_a_file_by_its_checksum() -> None:
    (package,) = plan(f"version = 4\n{crate('own', '0.1.0')}{REGISTRY}").packages
    kind, _, path = package.file.url.partition(":")
    assert unquote(kind.partition("+")[2]) == "https://index.test/git-index"
    assert path == f"serde/1.0.2/{SUM}"
    assert (package.name, package.version, package.format) == ("serde", "1.0.2", "crate")
    assert package.file.hash == Hash.from_hex("sha256", SUM)


def test_each_source_has_a_directory_of_its_own() -> None:
    git = f"git+https://git.test/serde?tag=v1#{COMMIT}"
    text = "version = 4\n" + "".join(
        (REGISTRY, crate("serde", "1.0.2", OTHER, checksum="cd" * 32), crate("serde", "1.0.2", git))
    )
    open_plan = plan(text)
    assert [query.key for query in open_plan.queries] == [f"git:https://git.test/serde#{COMMIT}"]
    found = view(plan(text, answers(open_plan)))
    assert {key: list(crates) for key, crates in found.crates.items()} == {
        INDEX: ["serde-1.0.2"],
        OTHER: ["serde-1.0.2"],
        "git+https://git.test/serde?tag=v1": ["serde-1.0.2"],
    }
    assert {source.kind for source in found.sources.values()} == {"registry", "git"}


@pytest.mark.parametrize(
    ("version", "query", "selector"),
    [
        pytest.param(4, "?branch=feat%2Fslash%2Bplus", ("branch", "feat/slash+plus"), id="encoded from 4 on"),
        pytest.param(3, "?branch=feat/slash%2B", ("branch", "feat/slash%2B"), id="as it is before"),
        pytest.param(4, "?rev=abc", ("rev", "abc"), id="rev"),
        pytest.param(4, "?tag=v1.0", ("tag", "v1.0"), id="tag"),
        pytest.param(4, "", None, id="default branch"),
    ],
)
def test_what_selects_a_commit_is_what_cargo_means(
    version: int, query: str, selector: tuple[str, str] | None
) -> None:
    text = f"version = {version}\n{crate('a', '1.0.0', f'git+https://git.test/a{query}#{COMMIT}')}"
    (source,) = view(plan(text)).sources.values()
    assert source.selector == selector
    assert source.url == "https://git.test/a"


def test_one_repository_is_asked_for_once_however_many_crates_it_has() -> None:
    sources = [f"git+https://git.test/a?rev=x#{COMMIT}", f"git+https://git.test/a#{COMMIT}"]
    text = "version = 4\n" + "".join(
        crate(name, "1.0.0", source) for source in sources for name in ("one", "two")
    )
    assert len(plan(text).queries) == 1
    assert len(plan(text, answers(plan(text))).packages) == 2  # selected in two ways, they are the same


def test_the_first_version_keeps_checksums_apart() -> None:
    text = (
        crate("own", "0.1.0")
        + crate("serde", "1.0.2", INDEX)
        + f'[metadata]\n"checksum serde 1.0.2 ({INDEX})" = "{SUM}"\n"checksum own 0.1.0 (x)" = "<none>"\n'
    )
    (package,) = plan(text).packages
    assert package.file.hash.hex == SUM


def test_a_very_old_lock_has_its_own_package_apart() -> None:
    text = f'[root]\nname = "own"\nversion = "0.1.0"\n{REGISTRY}'
    assert [package.name for package in plan(text).packages] == ["serde"]


def test_patches_that_nothing_uses_are_said() -> None:
    (notice,) = plan(f'version = 4\n{REGISTRY}[[patch.unused]]\nname = "x"\nversion = "1.0.0"\n').notices
    assert "patches that no package uses" in notice


def test_patches_that_nothing_uses_are_there_for_cargo_to_look_at() -> None:
    unused = f'[[patch.unused]]\nname = "x"\nversion = "1.0.0"\nsource = "git+https://git.test/x#{COMMIT}"\n'
    (query,) = plan(f"version = 4\n{REGISTRY}{unused}").queries
    assert isinstance(query, GitQuery) and query.url == "https://git.test/x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("version = 5\n", "Cargo.lock: version: version 5 is not known here", id="newer"),
        pytest.param(
            "version = 4\n" + crate("a", "1.0.0", INDEX), "a 1.0.0 comes from a registry, and", id="bare"
        ),
        pytest.param("version = 4\n" + REGISTRY.replace(SUM, "zz"), "'zz' is no SHA-256", id="checksum"),
        pytest.param("version = 4\n" + crate("../x", "1.0.0"), "'../x' is no name", id="name"),
        pytest.param("version = 4\n" + crate("x", "1/0"), "'1/0' is no version", id="version"),
        pytest.param("version = 4\n" + crate("x", "1.0.0", "path+y"), "neither a registry nor", id="source"),
        pytest.param(
            "version = 4\n" + crate("x", "1.0.0", "git+https://g.test/x"), "names no commit", id="commit"
        ),
        pytest.param(
            "version = 4\n" + crate("x", "1.0.0", f"git+--upload-pack=x#{COMMIT}"),
            "no URL of a rep",
            id="option",
        ),
        pytest.param(
            "version = 4\n" + crate("x", "1.0.0", f"git+https://g.test/x?path=y#{COMMIT}"),
            "selects",
            id="selector",
        ),
        pytest.param("version = 4\n" + REGISTRY + REGISTRY, "stands there twice", id="twice"),
        pytest.param("<<<<<<< ours\nversion = 4\n", "merge conflict", id="conflict"),
        pytest.param('package = "x"\n', "expected a list, found text", id="type"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, said: str) -> None:
    with pytest.raises(DevenvError, match=r"Cargo\.lock") as caught:
        plan(text)
    assert said in str(caught.value)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(DevenvError) as caught:
        plan("version = 4\n" + crate("a", "1.0.0", INDEX) + crate("b", "1.0.0", INDEX))
    assert "a 1.0.0" in str(caught.value)
    assert "b 1.0.0" in str(caught.value)


def test_options_of_other_lockfiles_are_refused() -> None:
    with pytest.raises(DevenvError, match="no extras"):
        plan(f"version = 4\n{REGISTRY}", options=Options(extras=("x",)))


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
VERSIONS = st.from_regex(
    r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-[a-z0-9.]{1,6})?(\+[a-z0-9.]{1,6})?", fullmatch=True
)


@given(st.dictionaries(st.tuples(NAMES, VERSIONS), st.binary(min_size=32, max_size=32), max_size=8))
def test_a_lock_of_registries_gives_exactly_its_crates(crates: dict[tuple[str, str], bytes]) -> None:
    text = "version = 4\n" + "".join(
        crate(name, version, INDEX, checksum=digest.hex()) for (name, version), digest in crates.items()
    )
    found = {(p.name, p.version): p.file.hash.digest for p in plan(text).packages}
    assert found == crates
    assert len(tomllib.loads(text).get("package", [])) == len(found)


@given(
    st.lists(
        st.sampled_from([*REGISTRY.splitlines(keepends=True), "version = 4\n", "[metadata]\n", "]", '"', "="])
    )
)
@example(["version = 4\n", "[[package]]\n"])
@settings(max_examples=200)
def test_damaged_locks_are_our_errors_or_plans(pieces: list[str]) -> None:
    try:
        plan("".join(pieces))
    except DevenvError as error:
        assert str(error)
