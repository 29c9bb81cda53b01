"""What configuring leaves behind that must not be kept: secrets, what belongs to one machine, what differs each time.

Pure: a relative path in, whether to leave it out. Directories stay, as far as they are not caches as a whole.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

# Everything below these, and they themselves as far as configuring made them.
_TREES = (
    "dev", "proc", "run", "sys", "tmp", "var/cache/fontconfig", "var/cache/ldconfig", "var/cache/man", "var/lib/urandom",
    "var/tmp", "root/.cache", "root/.gnupg",
)  # fmt: skip

# Patterns of whole paths, where * is also for slashes.
_PATTERNS = (
    # of one machine
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/hostname",
    "etc/mtab",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    # secrets: keys of servers, certificates that somebody would trust or offer
    "etc/ssh/ssh_host_*",
    "etc/ssl/private/*",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/dropbear/*_host_key",
    "etc/bind/rndc.key",
    "var/lib/samba/private/*",
    "var/cache/debconf/passwords.dat",
    # times
    "var/log/*",
    "var/lib/texmf/*.log",
    # Made with the time or with addresses in them, by programs that cannot do without: TeX makes them again, in the
    # user's own directory, when they are first used.
    "var/lib/texmf/web2c/luahbtex/*.fmt",
    "var/lib/texmf/web2c/luajit*/*.fmt",
    "var/lib/texmf/web2c/luatex/*.fmt",
    "var/lib/texmf/web2c/tex/*.fmt",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/*",
    "var/cache/debconf/*-old",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/*.lock",
    "etc/.pwd.lock",
    # what stood in for programs while scripts ran
    "usr/sbin/policy-rc.d",
)


def is_left_out(path: str, *, is_directory: bool = False) -> bool:
    """Whether what is at `path` in the root is dropped, if it was new or changed."""
    if any(path == tree or path.startswith(tree + "/") for tree in _TREES):
        return True
    return not is_directory and any(fnmatchcase(path, pattern) for pattern in _PATTERNS)


def is_dangling_secret(target: str) -> bool:
    """Whether a link leads to something that is left out, as those by hash to the snakeoil certificate do."""
    return target.rpartition("/")[2] == "ssl-cert-snakeoil.pem"
