"""The environment variables of a program in a root: those of the user, without what means this machine's own libraries."""

from __future__ import annotations

import os
from collections.abc import Mapping

# Each names files that belong to another C library than the root's.
MACHINES_OWN = (
    *(
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LIBGL_DRIVERS_PATH",
        "LIBVA_DRIVERS_PATH",
        "VDPAU_DRIVER_PATH",
    ),
    *(
        "GIO_EXTRA_MODULES",
        "GIO_MODULE_DIR",
        "GTK_PATH",
        "GTK_EXE_PREFIX",
        "GTK_DATA_PREFIX",
        "GTK_IM_MODULE_FILE",
    ),
    *(
        "GDK_PIXBUF_MODULE_FILE",
        "GDK_PIXBUF_MODULEDIR",
        "GST_PLUGIN_SYSTEM_PATH",
        "GST_PLUGIN_SYSTEM_PATH_1_0",
    ),
    *("QT_PLUGIN_PATH", "QML2_IMPORT_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "GSETTINGS_SCHEMA_DIR"),
    *("LOCPATH", "LOCALE_ARCHIVE", "GCONV_PATH", "TERMINFO", "ALSA_CONFIG_PATH", "ALSA_PLUGIN_DIR"),
    *("__EGL_VENDOR_LIBRARY_DIRS", "VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LAYER_PATH"),
)
_LOCALES = ("LC_ALL", "LANG")
_ALWAYS_THERE = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8", ""})


def variables(root: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` as it is to be in the root at the directory `root`."""
    found = {name: value for name, value in environ.items() if name not in _machines_own(root, environ)}
    # Icons, themes and types of files that only this machine has are found behind all others.
    places = [part for part in found.get("XDG_DATA_DIRS", "").split(":") if part] or [
        "/usr/local/share",
        "/usr/share",
    ]
    found["XDG_DATA_DIRS"] = ":".join([*places, "/run/host/usr/share"])
    for name in [*_LOCALES, *(name for name in found if name.startswith("LC_") and name != "LC_ALL")]:
        if name in found and not has_locale(root, found[name]):
            found[name] = "C.UTF-8"
    found.setdefault("LANG", "C.UTF-8")
    if not os.path.isdir(f"{root}/usr/share/zoneinfo") and os.path.isdir("/usr/share/zoneinfo"):
        found.setdefault("TZDIR", "/run/host/usr/share/zoneinfo")
    return found


def _machines_own(root: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Those that name a place of this machine's system; one in the user's home is meant to be."""
    return frozenset(
        name
        for name in MACHINES_OWN
        if any(
            part.startswith(("/usr/", "/lib", "/etc/", "/opt/", "/nix/"))
            for part in environ.get(name, "").split(":")
        )
    )


def has_locale(root: str, name: str) -> bool:
    """Does the root's C library know a locale? Its archive is not read: a root that has one was given all."""
    if name in _ALWAYS_THERE:
        return True
    base = f"{root}/usr/lib/locale"
    folded = name.replace(".UTF-8", ".utf8").replace(".utf-8", ".utf8")
    return any(os.path.exists(f"{base}/{each}") for each in (name, folded, "locale-archive"))
