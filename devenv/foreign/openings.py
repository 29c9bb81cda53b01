"""Libraries that a program opens by itself, without the loader knowing beforehand: declared in notes, or guessed.

A guess is a string that looks like a library with a version, "libGL.so.1". It may be a left-over, so nothing depends
on it alone: FEATURES says which of them a program that mentions them will hardly do without.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

# Not anchored: strings may follow other bytes without a NUL between.
_NAME = re.compile(rb"lib[A-Za-z0-9_+.-]{1,60}?\.so(?:\.[0-9]{1,6}){1,3}(?=[\0\"'\n ,:;)|]|\Z)")
_MOST = 512
# With the C library anyway, or of no use without more.
_WITH_LIBC = re.compile(
    r"lib(c|m|dl|pthread|rt|resolv|util|nsl|anl|thread_db|crypt|BrokenLocale|nss_[a-z]+|gcc_s)\.so\.\d+"
)


class Opening(NamedTuple):
    """Libraries of which one is opened. priority: "required", "recommended", "suggested" by a note, else "guessed"."""

    sonames: tuple[str, ...]
    priority: str
    feature: str = ""


class Feature(NamedTuple):
    """Something that a program does by libraries it opens.

    marks: whoever mentions one of these does it; any_of: one of these must be there
    libraries, packages: what makes it work, the former by soname, for the names of packages change with releases
    """

    name: str
    marks: frozenset[str]
    any_of: tuple[str, ...]
    libraries: tuple[str, ...]
    packages: tuple[str, ...] = ()


FEATURES = (
    Feature(
        "OpenGL",
        frozenset({"libGL.so.1", "libEGL.so.1", "libGLESv2.so.2", "libOpenGL.so.0", "libGLX.so.0"}),
        ("libGL.so.1", "libEGL.so.1"),
        (
            "libGL.so.1",
            "libEGL.so.1",
            "libGLESv2.so.2",
            "libGLX_mesa.so.0",
            "libEGL_mesa.so.0",
            "libgbm.so.1",
        ),
        ("libgl1-mesa-dri",),
    ),
    Feature(
        "Vulkan",
        frozenset({"libvulkan.so.1"}),
        ("libvulkan.so.1",),
        ("libvulkan.so.1",),
        ("mesa-vulkan-drivers",),
    ),
    Feature(
        "windows",
        frozenset({"libX11.so.6", "libxcb.so.1", "libX11-xcb.so.1"}),
        ("libX11.so.6", "libxcb.so.1", "libwayland-client.so.0"),
        (
            *(
                "libX11.so.6",
                "libXext.so.6",
                "libXcursor.so.1",
                "libXi.so.6",
                "libXrandr.so.2",
                "libXfixes.so.3",
            ),
            *("libXss.so.1", "libXinerama.so.1", "libxkbcommon.so.0", "libwayland-client.so.0"),
        ),
        ("xkb-data",),
    ),
    Feature(
        "video decoding",
        frozenset({"libva.so.2", "libva-drm.so.2", "libvdpau.so.1"}),
        ("libva.so.2", "libvdpau.so.1"),
        ("libva.so.2", "libva-drm.so.2", "libva-x11.so.2", "libvdpau.so.1"),
        ("mesa-va-drivers", "mesa-vdpau-drivers"),
    ),
    Feature(
        "sound",
        frozenset({"libasound.so.2", "libpulse.so.0", "libpulse-simple.so.0", "libopenal.so.1"}),
        ("libasound.so.2", "libpulse.so.0", "libpulse-simple.so.0"),
        ("libasound.so.2", "libpulse.so.0", "libpulse-simple.so.0"),
        ("libasound2-plugins",),
    ),
    Feature(
        "fonts",
        frozenset({"libfontconfig.so.1"}),
        ("libfontconfig.so.1",),
        ("libfontconfig.so.1",),
        ("fontconfig-config", "fonts-dejavu-core"),
    ),
    Feature(
        "GTK",
        frozenset({"libgtk-3.so.0", "libgtk-4.so.1"}),
        ("libgtk-3.so.0", "libgtk-4.so.1"),
        (),
        ("gsettings-desktop-schemas", "shared-mime-info"),
    ),
)
# Without these a program that mentions them starts, shows nothing, and says nothing of it.
VITAL = frozenset({"OpenGL", "windows"})


def features_of(names: Iterable[str]) -> tuple[Feature, ...]:
    """What a program does that needs or mentions the libraries `names`."""
    known = frozenset(names)
    return tuple(feature for feature in FEATURES if feature.marks & known)


def guessed(path: str, known: Collection[str]) -> list[Opening]:
    """Names of libraries among the strings of a file, in order of appearance, those `known` left out. At most 512."""
    names: dict[str, None] = {}
    with suppress(OSError, ValueError):  # empty, or gone meanwhile: then there is nothing to guess
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as data:
                for found in _NAME.finditer(data):
                    names[found[0].decode("ascii")] = None
                    if len(names) >= _MOST:
                        break
        finally:
            os.close(descriptor)
    return [
        Opening((name,), "guessed")
        for name in names
        if name not in known and not _WITH_LIBC.fullmatch(name) and not name.startswith("ld-")
    ]


def is_libc_part(name: str) -> bool:
    """Does the C library itself, or the compiler's runtime that is always with it, have this library?"""
    return _WITH_LIBC.fullmatch(name) is not None or name.startswith(("ld-linux", "ld64.so", "linux-vdso"))
