"""What a person sees in a root, as values."""

from __future__ import annotations

import pytest

from devenv.fhs.mounts import Machine, Root, mounts
from devenv.sandbox.mounts import operations
from devenv.sandbox.spec import Bind, Directory, Mount, Symlink, Tmpfs

MACHINE = Machine(
    top=(
        "bin",
        "data",
        "dev",
        "etc",
        "home",
        "lib64",
        "link",
        "opt",
        "proc",
        "run",
        "swapfile",
        "sys",
        "tmp",
        "usr",
        "var",
    ),
    opt=("tool",),
    run=("dbus", "host", "postgresql", "user", "systemd"),
    links={"/bin": "usr/bin", "/lib64": "usr/lib64", "/link": "/data", "/run/systemd": "../x"},
    etc=frozenset({"resolv.conf", "localtime"}),
    fonts=True,
)
ROOT = Root(
    directory="/views/r",
    links={"bin": "usr/bin", "lib": "usr/lib"},
    opt=("vendor",),
    written=("var/lib/postgresql", "var/log/redis"),
    run=("postgresql", "lock/x", "dbus"),
    daemons=("postgresql",),
)


def by_place(machine: Machine = MACHINE, root: Root = ROOT) -> dict[str, Mount]:
    return {mount.target: mount for mount in mounts(machine, root, "/state")}


def test_programs_and_settings_are_the_packages_own_and_cannot_be_changed() -> None:
    found = by_place()
    assert found["/usr"] == Bind("/views/r/usr", "/usr")
    assert found["/etc"] == Bind("/views/r/etc", "/etc")
    assert found["/bin"] == Symlink("/bin", "usr/bin")
    assert found["/var"] == Bind("/views/r/var", "/var")


def test_everything_else_of_the_machine_is_there() -> None:
    found = by_place()
    for place in ("/home", "/data", "/dev", "/proc", "/sys", "/tmp"):
        assert found[place] == Bind(place, place, writable=True)
    assert found["/link"] == Symlink("/link", "/data")
    assert "/swapfile" not in found
    assert found["/run/host/usr"] == Bind("/usr", "/run/host/usr")
    assert found["/run/host/bin"] == Symlink("/run/host/bin", "usr/bin")


def test_both_kinds_of_additional_software_are_there() -> None:
    found = by_place()
    assert found["/opt/tool"] == Bind("/opt/tool", "/opt/tool", writable=True)
    assert found["/opt/vendor"] == Bind("/views/r/opt/vendor", "/opt/vendor")


def test_the_user_and_hosts_are_files_of_the_session() -> None:
    found = by_place()
    assert found["/etc/passwd"] == Bind("/state/etc/passwd", "/etc/passwd")
    assert found["/etc/hosts"] == Bind("/state/etc/hosts", "/etc/hosts", writable=True)
    assert found["/etc/resolv.conf"] == Bind("/etc/resolv.conf", "/etc/resolv.conf", writable=True)
    assert "/etc/machine-id" not in found, "what the machine lacks is not mounted"


def test_what_daemons_write_lies_in_the_state_directory() -> None:
    found = by_place()
    assert found["/var/lib/postgresql"] == Bind(
        "/state/var/lib/postgresql", "/var/lib/postgresql", writable=True
    )
    assert found["/run/postgresql"] == Bind("/state/run/postgresql", "/run/postgresql", writable=True)
    assert found["/usr/local"] == Bind("/state/usr-local", "/usr/local", writable=True)


def test_sockets_of_the_machine_are_there_and_more_can_be_made() -> None:
    found = by_place()
    assert found["/run"] == Tmpfs("/run")
    assert found["/run/dbus"] == Bind("/run/dbus", "/run/dbus", writable=True)
    assert found["/run/lock/x"] == Directory("/run/lock/x")
    assert found["/run/systemd"] == Symlink("/run/systemd", "../x")


@pytest.mark.parametrize("name", ["a b", "new\nline", "it's", 'quo"te', "$(x)", "ünï"])
def test_any_name_at_the_top_of_a_machine_can_be_shown(name: str) -> None:
    machine = Machine(**{**vars(MACHINE), "top": (*MACHINE.top, name)})
    assert by_place(machine)[f"/{name}"] == Bind(f"/{name}", f"/{name}", writable=True)


def test_the_mounts_can_be_put_in_order() -> None:
    done = operations(mounts(MACHINE, ROOT, "/state"), lambda path: not path.startswith("/etc/"))
    places = [operation[1] for operation in done if operation[0] == "bind"]
    assert places.index("usr") < places.index("usr/local")
    assert places.index("etc") < places.index("etc/hosts")
    assert ("lock", "usr", True) in done
