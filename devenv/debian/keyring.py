"""The keys that sign archives: those that come with devenv, and those that this machine trusts for the same.

`debian-archive-keyring.asc` beside this module holds the certificates of the package `debian-archive-keyring` 2025.1
without other people's signatures on them (GnuPG's `export-minimal`). The fingerprints say which of them count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from devenv.debian.errors import DebianError
from devenv.formats.errors import FormatError
from devenv.formats.openpgp import SigningKey, read_keyring

# Primary keys of Debian's archive: automatic, security automatic and stable release keys.
FINGERPRINTS = frozenset(
    {
        "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
        "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
        "1F89983E0081FDE018F3CC9673A4F27B8DD47936",
        "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
        "4D64FEC119C2029067D6E791F8D2585B8783D481",
        "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
        "A4285295FC7B1A81600062A9605C66F00D6C9793",
        "AC530D520F2F3269F5E98313A48449044AAD5C5D",
        "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    }
)
_OWN = os.path.join(os.path.dirname(__file__), "debian-archive-keyring.asc")
# Files of the package on machines that have it, by its newer and its older versions' names.
_HOST = (
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
)


def trusted_keys(environ: Mapping[str, str], host: tuple[str, ...] = _HOST) -> tuple[SigningKey, ...]:
    """The keys whose signature makes a suite believable.

    DEVENV_DEBIAN_KEYRING, a keyring's path, stands in for all of them: an archive of one's own is signed by oneself.
    Raises `DebianError` for one that cannot be read.
    """
    named = environ.get("DEVENV_DEBIAN_KEYRING")
    if named:
        return _read(named)
    found = [key for key in _read(_OWN) if key.certificate in FINGERPRINTS]
    # A machine that is newer than this devenv has the keys of newer suites.
    path = next((path for path in host if os.path.exists(path)), None)
    known = {key.key.fingerprint for key in found}
    found += [key for key in (_read(path) if path else ()) if key.key.fingerprint not in known]
    return tuple(found)


def _read(path: str) -> tuple[SigningKey, ...]:
    try:
        with open(path, "rb") as file:
            keys = read_keyring(file.read())
    except OSError as error:
        raise DebianError(f"reading the keyring {path}: {error.strerror}") from error
    except FormatError as error:
        raise DebianError(f"reading the keyring {path}: {error}") from error
    if not keys:
        raise DebianError(f"reading the keyring {path}: there is no key in it that may sign")
    return keys
