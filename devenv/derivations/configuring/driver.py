"""What runs inside: a shell script that calls the maintainer scripts of a set, and the programs that stand in for others.

Each script is called as dpkg calls it (deb-postinst(5), dpkg(1), section ENVIRONMENT): `postinst configure ""`, in the
order of dependencies. Those that fail are called once more when all others have run, since everything is unpacked
before anything is configured and some expect it otherwise. Then `postinst triggered NAMES` for those whose triggers
were set off meanwhile, and ldconfig. Pure.

    RUN/scripts      number, key, name, architecture, version of a package: one a line, by blanks
    RUN/triggers     trigger, number, key, name, architecture: whom to tell of it
    RUN/activated    trigger: what configuring sets off by itself
    RUN/log/NUMBER   what the scripts of a package said
    RUN/failed       the numbers of those that failed twice
    RUN/running      the keys of the packages that scripts were called for, one a line: the last is at work
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from devenv.derivations.configuring.packages import Package

RUN = "/run/devenv"
DRIVER = f"{RUN}/driver"

ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{RUN}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
    "DPKG_ADMINDIR": "/var/lib/dpkg",
    "DPKG_ROOT": "",
    "DPKG_FORCE": "security-mac,downgrade",
    "DPKG_MAINTSCRIPT_DEBUG": "0",
    "DPKG_MAINTSCRIPT_NAME": "postinst",
    "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1",
    # What honours it gets the time that files in a store have.
    "SOURCE_DATE_EPOCH": "1",
    "FORCE_SOURCE_DATE": "1",  # TeX's formats
    # Python's order of sets, Perl's of hashes.
    "PYTHONHASHSEED": "0",
    "PERL_HASH_SEED": "0",
    "PERL_PERTURB_KEYS": "0",
}

# Programs with nothing to do here: there is no running system, and caches with times in them would differ each time.
_ABSENT = (
    "catman", "deb-systemd-helper", "deb-systemd-invoke", "fc-cache", "initctl", "invoke-rc.d", "ldconfig", "mandb",
    "rc-update", "service", "start-stop-daemon", "systemctl", "systemd-hwdb", "systemd-tmpfiles", "telinit", "udevadm",
    "update-initramfs", "update-rc.d",
)  # fmt: skip

# Packages whose script does what was done when they were unpacked.
_DONE = frozenset({"usrmerge"})

_NOTHING = "#!/bin/sh\nexit 0\n"

_TRIGGER = f"""#!/bin/sh
# Takes note of a trigger; who is interested hears of it at the end.
name=
for word do
    case $word in
    --check-supported | --no-act) exit 0 ;;
    -*) ;;
    *) name=$word ;;
    esac
done
[ -z "$name" ] || printf '%s\\n' "$name" >>{RUN}/activated
"""

_DRIVER = """#!/bin/sh
run=@RUN@

call() { # NUMBER KEY NAME ARCHITECTURE ARGUMENTS...
    number=$1 key=$2 name=$3 architecture=$4
    shift 4
    printf '%s\\n' "$key" >>$run/running
    DPKG_MAINTSCRIPT_PACKAGE=$name DPKG_MAINTSCRIPT_ARCH=$architecture \\
        "/var/lib/dpkg/info/$key.postinst" "$@" </dev/null >>"$run/log/$number" 2>&1
}

configure() { # from a list; the lines of those that fail
    while read -r number key name architecture version; do
        DPKG_RUNNING_VERSION=$version
        export DPKG_RUNNING_VERSION
        call "$number" "$key" "$name" "$architecture" configure '' ||
            printf '%s\\n' "$number $key $name $architecture $version"
    done
}

told() { # from the list of triggers; the lines of who is to be told
    while read -r trigger rest; do
        ! grep -qxF -e "$trigger" $run/activated || printf '%s\\n' "$rest $trigger"
    done
}

: >>$run/activated
configure <$run/scripts >$run/again
while read -r number rest; do
    mv "$run/log/$number" "$run/log/$number.first"
done <$run/again
configure <$run/again >$run/failed

told <$run/triggers >$run/told
while read -r number key name architecture triggers; do
    call "$number" "$key" "$name" "$architecture" triggered "$triggers" ||
        printf '%s\\n' "$number $key $name $architecture -" >>$run/failed
done <$run/told

[ ! -x /usr/sbin/ldconfig ] || /usr/sbin/ldconfig -X
""".replace("@RUN@", RUN)


def files(packages: Sequence[Package]) -> dict[str, tuple[str, bool]]:
    """What lies in RUN: name -> text, and whether it is a program. `packages` are in the order of configuring."""
    numbered = {
        package.key: (number, package) for number, package in enumerate(packages) if _has_script(package)
    }
    scripts = [
        _line(number, package, package.version.split()[0] if package.version else "-")
        for number, package in numbered.values()
    ]
    triggers = [
        f"{name} {_line(number, package)}"
        for number, package in numbered.values()
        for name in package.interests
        if name != "ldconfig"
    ]
    found = {
        "driver": (_DRIVER, True),
        "scripts": ("".join(scripts), False),
        "triggers": ("".join(triggers), False),
        "activated": ("".join(f"{name}\n" for name in _activated(packages)), False),
        "bin/dpkg-trigger": (_TRIGGER, True),
    }
    return found | {f"bin/{name}": (_NOTHING, True) for name in _ABSENT}


def _has_script(package: Package) -> bool:
    return "postinst" in package.scripts and package.name not in _DONE


def _line(number: int, package: Package, *more: str) -> str:
    return " ".join([str(number), package.key, package.name, package.architecture, *more]) + "\n"


def _activated(packages: Iterable[Package]) -> list[str]:
    """Triggers that a package sets off after one who is interested was configured, and so knows nothing of it."""
    interested: set[str] = set()
    found: dict[str, None] = {}
    for package in packages:
        found.update((name, None) for name in package.activates if name in interested and name != "ldconfig")
        interested.update(package.interests)
    return list(found)
