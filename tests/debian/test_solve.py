"""What a set of packages needs, by dpkg's rules; and why it cannot be had."""

from __future__ import annotations

import pytest

from devenv.debian.errors import DebianError, UnknownPackage, Unsolvable
from devenv.errors import DevenvError, Problems
from tests.debian.conftest import MakeSite, names
from tests.fetch.server import Server
from tests.support.archive import publish, stanza

# name: (indices, what is asked for, what is chosen)
CASES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "dependencies of dependencies": (
        [stanza("a", Depends="b"), stanza("b", Pre_Depends="c"), stanza("c"), stanza("d")],
        ["a"],
        ["a 1", "b 1", "c 1"],
    ),
    "a circle": ([stanza("a", Depends="b"), stanza("b", Depends="a")], ["a"], ["a 1", "b 1"]),
    "the first alternative": (
        [stanza("a", Depends="b | c"), stanza("b"), stanza("c")],
        ["a"],
        ["a 1", "b 1"],
    ),
    "the alternative that was asked for": (
        [stanza("a", Depends="b | c"), stanza("b"), stanza("c")],
        ["a", "c"],
        ["a 1", "c 1"],
    ),
    "an alternative in place of one that does not exist": (
        [stanza("a", Depends="b (>= 2) | x | c"), stanza("b"), stanza("c")],
        ["a"],
        ["a 1", "c 1"],
    ),
    "an alternative in place of one that conflicts": (
        [stanza("a", Depends="b | c"), stanza("b", Conflicts="a"), stanza("c")],
        ["a"],
        ["a 1", "c 1"],
    ),
    "an alternative in place of one that breaks": (
        [stanza("a", Depends="d, b | c"), stanza("b"), stanza("c"), stanza("d", Breaks="b (<< 2)")],
        ["a"],
        ["a 1", "c 1", "d 1"],
    ),
    "no recommendations": ([stanza("a", Recommends="b"), stanza("b")], ["a"], ["a 1"]),
    "the latest version": ([stanza("a"), stanza("a", "1.10"), stanza("a", "1.9")], ["a"], ["a 1.10"]),
    "the version that another needs": (
        [stanza("a", Depends="b (= 1)"), stanza("b", "1"), stanza("b", "2")],
        ["a"],
        ["a 1", "b 1"],
    ),
    "the version that another needs, chosen already in another": (
        [stanza("a", Depends="b"), stanza("c", Depends="b (<< 2)"), stanza("b", "1"), stanza("b", "2")],
        ["a", "c"],
        ["a 1", "b 1", "c 1"],
    ),
    "the version that was asked for": ([stanza("a"), stanza("a", "2")], ["a=1"], ["a 1"]),
    "a provider": ([stanza("a", Depends="v"), stanza("b", Provides="v")], ["a"], ["a 1", "b 1"]),
    "the real package before a provider": (
        [stanza("a", Depends="v"), stanza("b", Provides="v"), stanza("v")],
        ["a"],
        ["a 1", "v 1"],
    ),
    "the more important provider": (
        [
            stanza("a", Depends="v"),
            stanza("b", Provides="v"),
            stanza("c", Provides="v", Priority="required"),
        ],
        ["a"],
        ["a 1", "c 1"],
    ),
    "a provider with a version": (
        [
            stanza("a", Depends="v (>= 2)"),
            stanza("b", Provides="v"),
            stanza("c", Provides="v (= 1)"),
            stanza("d", Provides="v (= 2)"),
        ],
        ["a"],
        ["a 1", "d 1"],
    ),
    "a name that one package provides": ([stanza("b", Provides="v")], ["v"], ["b 1"]),
    "Essential packages and what they need": (
        [stanza("a"), stanza("e", Essential="yes", Depends="f"), stanza("f")],
        ["a"],
        ["a 1", "e 1", "f 1"],
    ),
    "a package that conflicts with a name that it provides itself": (
        [stanza("a", Provides="v", Conflicts="v")],
        ["a"],
        ["a 1"],
    ),
    "versioned conflicts that do not apply": (
        [stanza("a", Depends="b", Conflicts="b (<< 1), v (= 1)"), stanza("b", Provides="v")],
        ["a"],
        ["a 1", "b 1"],
    ),
    "the older of two where the newer cannot be had": (
        [stanza("a", "1"), stanza("a", "2", Depends="gone")],
        ["a"],
        ["a 1"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_set_is_chosen(server: Server, make_site: MakeSite, name: str) -> None:
    packages, asked, chosen = CASES[name]
    publish(server, "bookworm", {"amd64": packages})
    assert names(make_site(server.url + "/debian").resolve(*asked)) == chosen


def i386(name: str, version: str = "1", **fields: str) -> str:
    return stanza(name, version, "i386", **fields)


# name: (amd64, i386, what is asked for, what is chosen)
FOREIGN: dict[str, tuple[list[str], list[str], list[str], list[str]]] = {
    "a library of the same architecture": (
        [stanza("lib", Multi_Arch="same")],
        [i386("a", Depends="lib"), i386("lib", Multi_Arch="same")],
        ["a:i386"],
        ["a:i386 1", "lib:i386 1"],
    ),
    "a library of both": (
        [stanza("b", Depends="lib"), stanza("lib", Multi_Arch="same")],
        [i386("a", Depends="lib"), i386("lib", Multi_Arch="same")],
        ["a:i386", "b"],
        ["a:i386 1", "b 1", "lib 1", "lib:i386 1"],
    ),
    "a tool of the base's own": (
        [stanza("tool", Multi_Arch="foreign")],
        [i386("a", Depends="tool"), i386("tool", Multi_Arch="foreign")],
        ["a:i386"],
        ["a:i386 1", "tool 1"],
    ),
    "a package of any architecture": (
        [stanza("tool", Multi_Arch="allowed")],
        [i386("a", Depends="tool:any"), i386("tool", Multi_Arch="allowed")],
        ["a:i386"],
        ["a:i386 1", "tool 1"],
    ),
    "the very architecture of a package that could be another": (
        [stanza("tool", Multi_Arch="allowed")],
        [i386("a", Depends="tool"), i386("tool", Multi_Arch="allowed")],
        ["a:i386"],
        ["a:i386 1", "tool:i386 1"],
    ),
    "a package for all of them": (
        [stanza("data", "1", "all", Multi_Arch="foreign")],
        [i386("a", Depends="data"), stanza("data", "1", "all", Multi_Arch="foreign")],
        ["a:i386"],
        ["a:i386 1", "data 1"],
    ),
    "twins that conflict with a name that both provide": (
        [stanza("lib", Multi_Arch="same", Provides="v", Conflicts="v")],
        [i386("lib", Multi_Arch="same", Provides="v", Conflicts="v")],
        ["lib", "lib:i386"],
        ["lib 1", "lib:i386 1"],
    ),
    "the version that there is of both": (
        [stanza("lib", Multi_Arch="same"), stanza("lib", "2", Multi_Arch="same")],
        [i386("lib", Multi_Arch="same")],
        ["lib", "lib:i386"],
        ["lib 1", "lib:i386 1"],
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_set_for_two_architectures_is_chosen(server: Server, make_site: MakeSite, name: str) -> None:
    amd64, foreign, asked, chosen = FOREIGN[name]
    publish(server, "bookworm", {"amd64": amd64, "i386": foreign})
    assert names(make_site(server.url + "/debian").resolve(*asked)) == chosen


# name: (index, what is asked for, what the message has)
UNSOLVABLE: dict[str, tuple[list[str], list[str], list[str]]] = {
    "nothing of the name": (
        [stanza("a", Depends="b"), stanza("b", Depends="x | y")],
        ["a"],
        ["b 1 needs x | y", "there is no x", "b is needed by a"],
    ),
    "no version": (
        [stanza("a", Depends="b (>= 2)"), stanza("b", "1.5")],
        ["a"],
        ["a 1 needs b (>= 2)", "there is b 1.5"],
    ),
    "conflict": (
        [stanza("a", Depends="c"), stanza("b"), stanza("c", Conflicts="b")],
        ["a", "b"],
        ["c 1 conflicts with b", "b 1 is needed too", "c is needed by a"],
    ),
    "conflict with a provided name": (
        [stanza("a", Conflicts="mta", Provides="mta"), stanza("b", Conflicts="mta", Provides="mta")],
        ["a", "b"],
        ["conflicts with mta"],
    ),
    "two versions of one": (
        [stanza("a", "1"), stanza("a", "2")],
        ["a=1", "a=2"],
        ["both a 1 and a 2 are asked for"],
    ),
}


@pytest.mark.parametrize("name", UNSOLVABLE)
def test_what_cannot_be_had_says_why(server: Server, make_site: MakeSite, name: str) -> None:
    packages, asked, parts = UNSOLVABLE[name]
    publish(server, "bookworm", {"amd64": packages})
    with pytest.raises(Problems) as caught:
        make_site(server.url + "/debian").resolve(*asked)
    assert isinstance(caught.value.problems[0], Unsolvable)
    for part in ("debian/bookworm cannot satisfy", *parts):
        assert part in str(caught.value)


def test_a_foreign_package_that_is_not_made_for_it_cannot_lie_beside(
    server: Server, make_site: MakeSite
) -> None:
    publish(server, "bookworm", {"amd64": [stanza("a")], "i386": [i386("a")]})
    with pytest.raises(DevenvError, match="cannot be there for amd64 and i386 at once"):
        make_site(server.url + "/debian").resolve("a", "a:i386")


def test_all_packages_that_cannot_be_had_are_told_at_once(server: Server, make_site: MakeSite) -> None:
    publish(server, "bookworm", {"amd64": [stanza("a", Depends="x"), stanza("b", Depends="y"), stanza("c")]})
    with pytest.raises(Problems) as caught:
        make_site(server.url + "/debian").resolve("a", "b", "c")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("asked", "suggestions"),
    [
        ("libgdal-deb", ("libgdal-dev",)),
        ("LibGdal-Dev", ("libgdal-dev",)),
        ("gdl-bin", ("gdal-bin",)),
        ("gdal", ("gdal-bin", "libgdal-dev")),
        ("mta", ("exim", "postfix")),
        ("quite-another", ()),
    ],
)
def test_misspelt_names_get_suggestions(
    server: Server, make_site: MakeSite, asked: str, suggestions: tuple[str, ...]
) -> None:
    known = [
        stanza("libgdal-dev"),
        stanza("gdal-bin"),
        stanza("exim", Provides="mta"),
        stanza("postfix", Provides="mta"),
    ]
    publish(server, "bookworm", {"amd64": known})
    with pytest.raises(UnknownPackage) as caught:
        make_site(server.url + "/debian").resolve(asked)
    assert caught.value.suggestions == suggestions
    assert repr(asked) in str(caught.value) and caught.value.hint


def test_all_misspelt_names_are_told_at_once(server: Server, make_site: MakeSite) -> None:
    publish(server, "bookworm", {"amd64": [stanza("git")]})
    with pytest.raises(Problems) as caught:
        make_site(server.url + "/debian").resolve("gitt", "git", "vmi")
    assert [problem.name for problem in caught.value.problems if isinstance(problem, UnknownPackage)] == [
        "gitt",
        "vmi",
    ]


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "-x", "a:", "a:b:c", "a=", "a/", "a\n", "a;b", "a" * 10 + "(>= 1)"]
)
def test_what_is_no_package_is_refused(make_site: MakeSite, text: str) -> None:
    with pytest.raises(DebianError, match="is no package"):
        make_site("http://127.0.0.1:9/").resolve(text)


@pytest.mark.parametrize(
    "base", ["", "debian", "debian/", "/bookworm", "debian/../x", "Debian/Bookworm", "suse/leap"]
)
def test_what_is_no_base_is_refused(make_site: MakeSite, base: str) -> None:
    with pytest.raises(DebianError, match="base"):
        make_site("http://127.0.0.1:9/").resolve("a", base=base)


def test_a_suite_of_another_base_is_refused(server: Server, make_site: MakeSite) -> None:
    publish(server, "bookworm", {"amd64": [stanza("a")]})
    with pytest.raises(DebianError, match="no suite of debian/bookworm"):
        make_site(server.url + "/debian").resolve("a/trixie-backports")


def test_versions_that_were_locked_stay_as_long_as_the_archive_has_them(
    server: Server, make_site: MakeSite
) -> None:
    site = make_site(server.url + "/debian")
    publish(server, "bookworm", {"amd64": [stanza("a", Depends="b"), stanza("b")]})
    kept = site.resolve("a")
    publish(server, "bookworm-security", {"amd64": [stanza("b", "2"), stanza("c", Depends="b")]})
    assert names(site.resolve("a", "c", kept=kept)) == ["a 1", "b 1", "c 1"]
    assert names(site.resolve("a", "c")) == ["a 1", "b 2", "c 1"]
    publish(server, "bookworm", {"amd64": [stanza("a", Depends="b")]})
    assert names(site.resolve("a", "c", kept=kept)) == ["a 1", "b 2", "c 1"]


def test_versions_that_were_locked_give_way_where_they_are_in_the_way(
    server: Server, make_site: MakeSite
) -> None:
    site = make_site(server.url + "/debian")
    publish(server, "bookworm", {"amd64": [stanza("b")]})
    kept = site.resolve("b")
    publish(server, "bookworm", {"amd64": [stanza("b"), stanza("b", "2"), stanza("c", Depends="b (>= 2)")]})
    assert names(site.resolve("b", "c", kept=kept)) == ["b 2", "c 1"]


def test_equal_questions_have_equal_answers(server: Server, make_site: MakeSite) -> None:
    publish(
        server,
        "bookworm",
        {"amd64": [stanza(name, Depends="v") for name in "cab"] + [stanza("x", Provides="v")]},
    )
    site = make_site(server.url + "/debian")
    assert site.resolve("c", "a", "b") == site.resolve("b", "c", "a", "a")
