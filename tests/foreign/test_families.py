"""Libraries of which any version will do, or none that is too new."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.cli.commands.patchelf import main
from devenv.foreign.bundles import open_bundle
from devenv.foreign.families import Family, best, families_of
from devenv.foreign.judging import judge
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.systems import System
from tests.foreign.conftest import Compile, Shelf

Around = Callable[..., Surroundings]
ICU, SSL = "libicuuc.so.*", "libssl.so.*"


@pytest.mark.parametrize(
    ("family", "chosen"),
    [
        (Family(ICU), "libicuuc.so.100"),
        (Family(ICU, (70,)), "libicuuc.so.70.1"),
        (Family(ICU, (66,)), None),
        (Family(SSL, (1, 1)), "libssl.so.1.1"),
        (Family(SSL), "libssl.so.3"),
    ],
    ids=str,
)
def test_the_highest_version_that_fits_is_chosen(family: Family, chosen: str | None) -> None:
    names = ["libicuuc.so.67", "libicuuc.so.70.1", "libicuuc.so.100", "libicuuc.so", "libssl.so.1.1"]
    assert best(family, [*names, "libssl.so.3", "libicuuc.so.x", "libicuuc.so.²"]) == chosen


@given(st.text(max_size=20))
def test_any_name_has_a_version_or_none(text: str) -> None:
    found = Family("lib*.so.*").version(f"libx.so.{text}")
    assert found is None or ".".join(map(str, found)) or text


def configuration(**fields: object) -> str:
    return json.dumps({"runtimeOptions": fields})


@pytest.mark.parametrize(
    ("files", "families"),
    [
        ({"shared/Microsoft.NETCore.App/3.1.23/x": ""}, {Family(ICU, (70,), True), Family(SSL, (1, 1))}),
        ({"shared/Microsoft.NETCore.App/8.0.1/x": ""}, {Family(ICU, (), True), Family(SSL)}),
        (
            {"a.runtimeconfig.json": configuration(includedFrameworks=[{"version": "3.1.0"}])},
            {Family(ICU, (70,), True), Family(SSL, (1, 1))},
        ),
        (
            {"a.runtimeconfig.json": configuration(configProperties={"System.Globalization.Invariant": True})},
            {Family(ICU), Family(SSL)},
        ),
        ({"libicuuc.so.68": ""}, {Family(SSL)}),
        ({"a.runtimeconfig.json": "[" * 100_000}, {Family(ICU, (), True), Family(SSL)}),
        ({"a.runtimeconfig.json": '{"runtimeOptions": {"includedFrameworks": [3]}}'}, {Family(ICU, (), True), Family(SSL)}),
    ],
    ids=["old", "new", "old, of its own", "invariant", "brings ICU", "damaged", "odd"],
)  # fmt: skip
def test_what_dotnet_looks_for_is_known_by_its_version(
    files: dict[str, str], families: set[Family], tmp_path: Path
) -> None:
    for name, text in {"libcoreclr.so": "", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert set(families_of(open_bundle(str(tmp_path)))) == families


def test_a_library_that_is_too_new_leads_to_an_older_base(
    compile_c: Compile, around: Around, tmp_path: Path
) -> None:
    tool = compile_c("net/tool", "int main(void) { return 0; }")
    assert main(["--rename-symbol-version", "GLIBC_2.34", "GLIBC_2.17", str(tool)]) == 0
    (tmp_path / "net/libcoreclr.so").write_text("")
    (tmp_path / "net/shared/Microsoft.NETCore.App/3.1.23").mkdir(parents=True)
    (tmp_path / "net/shared/Microsoft.NETCore.App/3.1.23/x").write_text("")
    shelves = {
        "debian/bookworm": {"libc.so.6": "libc6", "libicuuc.so.72": "libicu72", "libssl.so.3": "libssl3"},
        "debian/bullseye": {"libc.so.6": "libc6", "libicuuc.so.67": "libicu67"},
    }

    class WithoutIcu(System):
        def all_libraries(self, architecture: str) -> list[tuple[str, str]]:
            return [("libicuuc.so.72", "/usr/lib/libicuuc.so.72")]

    surroundings = around(host=WithoutIcu(), suppliers=lambda base: Shelf(base, shelves.get(base, {})))
    verdict = judge(str(tool), surroundings)
    assert (verdict.route, verdict.base) == ("root", "debian/bullseye")
    assert "libicu67" in verdict.packages
    assert any("libicuuc.so.* up to 70" in reason for reason in verdict.reasons)
