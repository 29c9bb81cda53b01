"""What configuring decides without running anything: the order, whom triggers reach, what is left out or made the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.derivations.configuring import driver
from devenv.derivations.configuring.cleaning import is_dangling_secret, is_left_out
from devenv.derivations.configuring.normalising import key_store, octave_packages
from devenv.derivations.configuring.packages import Package, in_order


def package(name: str, architecture: str = "amd64", **more: str) -> Package:
    fields = {field.replace("_", "-"): value for field, value in more.items()}
    several = fields.get("multi-arch") == "same"
    return Package(
        key=f"{name}:{architecture}" if several else name,
        fields={"package": name, "architecture": architecture, "version": "1", **fields},
        scripts=frozenset({"postinst"}),
    )


def keys(*packages: Package) -> list[str]:
    return [each.key for each in in_order(packages)]


ORDERS: list[tuple[str, list[Package], list[str]]] = [
    ("by name where nothing else is said", [package("b"), package("a")], ["a", "b"]),
    ("dependencies first", [package("a", depends="c"), package("b"), package("c", depends="d"), package("d")], ["d", "c", "a", "b"]),
    ("pre-dependencies too", [package("a", pre_depends="b (>= 2)"), package("b")], ["b", "a"]),
    ("all alternatives that are there", [package("a", depends="x | c | b"), package("b"), package("c")], ["c", "b", "a"]),
    ("who provides it", [package("a", depends="mta"), package("m", provides="x, mta (= 1)")], ["m", "a"]),
    ("recommendations do not count", [package("a", recommends="b"), package("b")], ["a", "b"]),
    ("a circle is cut", [package("a", depends="b"), package("b", depends="c"), package("c", depends="a")], ["c", "b", "a"]),
    ("itself is no dependency", [package("a", depends="b", provides="b")], ["a"]),
    (
        "what all scripts need comes first",
        [package("apt"), package("aaa"), package("zip", essential="yes"), package("dash"), package("base-passwd", depends="libc"), package("libc")],
        ["libc", "base-passwd", "dash", "zip", "aaa", "apt"],
    ),
    (
        "of each architecture its own",
        [
            package("a", "i386", depends="lib"),
            package("lib", "amd64", multi_arch="same", depends="slow"),
            package("lib", "i386", multi_arch="same"),
            package("slow"),
        ],
        ["lib:i386", "a", "slow", "lib:amd64"],
    ),
    (
        "of another one where there is no other",
        [package("a", "i386", depends="tool"), package("tool", "amd64", multi_arch="foreign")],
        ["tool", "a"],
    ),
    ("for all", [package("a", "all", depends="b"), package("b", "all")], ["b", "a"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("packages", "expected"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS]
)
def test_the_order_of_configuring(packages: list[Package], expected: list[str]) -> None:
    assert keys(*packages) == expected
    assert keys(*packages[::-1]) == expected, "whatever the order in which they are given"


NAMES = [f"p{number}" for number in range(8)]
graphs = st.fixed_dictionaries({name: st.sets(st.sampled_from(NAMES)) for name in NAMES})


@given(graph=graphs)
def test_every_package_comes_once_and_after_what_it_needs(graph: Mapping[str, set[str]]) -> None:
    found = keys(*(package(name, depends=", ".join(sorted(needs))) for name, needs in graph.items()))
    assert sorted(found) == NAMES
    for name, needs in graph.items():
        for need in needs:
            if not reaches(graph, need, name):
                assert found.index(need) < found.index(name)


def reaches(graph: Mapping[str, set[str]], one: str, other: str) -> bool:
    seen, todo = {one}, [one]
    while todo:
        for each in graph[todo.pop()] - seen:
            seen.add(each)
            todo.append(each)
    return other in seen


def test_a_long_chain_of_dependencies_is_no_problem() -> None:
    chain = [package(f"p{number:05}", depends=f"p{number + 1:05}") for number in range(5000)]
    assert keys(*chain, package("p05000"))[0] == "p05000"


def test_a_package_hears_of_triggers_that_came_after_it_was_configured() -> None:
    interested = Package(
        key="i", fields=package("i").fields, scripts=frozenset({"postinst"}), interests=("x", "ldconfig")
    )
    before = Package(key="b", fields=package("b").fields, activates=("x", "y"))
    after = Package(key="a", fields=package("a").fields, activates=("x", "ldconfig"))
    assert driver.files([before, interested])["activated"] == ("", False)
    found = driver.files([interested, after])
    assert found["activated"] == ("x\n", False)
    assert found["triggers"] == ("x 0 i i amd64\n", False), "ldconfig runs anyway"
    assert found["scripts"] == ("0 i i amd64 1\n", False), "the other has no script"


def test_usrmerge_has_nothing_to_do() -> None:
    assert driver.files([package("usrmerge"), package("x")])["scripts"] == ("1 x x amd64 1\n", False)


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("etc/machine-id", True),
        ("etc/ssh/ssh_host_ed25519_key.pub", True),
        ("etc/ssh/sshd_config", False),
        ("etc/ssl/private/any.key", True),
        ("etc/ssl/certs/ca-certificates.crt", False),
        ("etc/passwd", False),
        ("etc/passwd-", True),
        ("var/log/dpkg.log", True),
        ("var/log/deep/er/x", True),
        ("var/lib/dpkg/status", False),
        ("var/lib/dpkg/status-old", True),
        ("var/lib/dpkg/alternatives/awk", False),
        ("var/cache/debconf/config.dat", False),
        ("var/cache/debconf/passwords.dat", True),
        ("var/cache/ldconfig/aux-cache", True),
        ("var/cachefiles", False),
        ("tmp/x", True),
        ("tmpfiles", False),
        ("usr/share/tmp/x", False),
        ("run/lock/x", True),
        ("var/lib/texmf/web2c/x/latex.log", True),
        ("var/lib/texmf/web2c/pdftex/latex.fmt", False),
        ("var/lib/texmf/web2c/luahbtex/lualatex.fmt", True),
        ("var/lib/texmf/web2c/tex/tex.fmt", True),
    ],
)
def test_what_is_left_out(path: str, left_out: bool) -> None:
    assert is_left_out(path) is left_out


def test_directories_of_secrets_stay() -> None:
    assert not is_left_out("etc/ssl/private/x", is_directory=True)
    assert not is_left_out("var/log/postgresql", is_directory=True)
    assert is_left_out("var/cache/man/de", is_directory=True)
    assert is_dangling_secret("/etc/ssl/certs/ssl-cert-snakeoil.pem") and not is_dangling_secret("other.pem")


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def store(*entries: tuple[str, int], password: str = "changeit", tag: int = 2) -> bytes:
    data = (0xFEEDFEED).to_bytes(4, "big") + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big")
    for alias, time in entries:
        certificate = f"certificate of {alias}".encode()
        data += tag.to_bytes(4, "big") + text(alias) + time.to_bytes(8, "big") + text("X.509")
        data += len(certificate).to_bytes(4, "big") + certificate
    return data + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + data).digest()


def test_key_stores_have_one_time_and_order() -> None:
    one = key_store(store(("b", 1_700_000_000_000), ("a", 1_800_000_000_000)))
    assert one == key_store(store(("a", 5), ("b", 6))) == store(("a", 1000), ("b", 1000))
    assert key_store(store()) == store()


GOOD = store(("a", 5), ("b", 6))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:40],
        store(("a", 5), password="secret"),
        store(("a", 5), tag=1),
        b"\x30\x82" + GOOD[2:],
        GOOD[:8] + b"\xff\xff\xff\xff" + GOOD[12:],
    ],
    ids=["nothing", "short", "long", "half", "a password", "a private key", "another format", "endless"],
)
def test_what_is_no_such_key_store_stays_as_it_is(data: bytes) -> None:
    assert key_store(data) == data


@given(data=st.binary(max_size=200), position=st.integers(0, len(GOOD)))
def test_damaged_key_stores_do_no_harm(data: bytes, position: int) -> None:
    damaged = GOOD[:position] + data
    assert key_store(damaged) == damaged or len(key_store(damaged)) == len(GOOD)


def test_octave_does_not_say_when() -> None:
    made = b"# Created by Octave 7.3.0, Sat Nov 21 08:08:07 2026 UTC <root@localhost>\n# name: x\n"
    assert octave_packages(made) == b"# Created by Octave 7.3.0\n# name: x\n"
    assert octave_packages(b"# name: x\n") == b"# name: x\n"
