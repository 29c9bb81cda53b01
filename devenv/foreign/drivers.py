"""What draws on the screen: the kernel's drivers with the root's Mesa, NVIDIA's own libraries, or the processor.

Mesa speaks to the kernel in a way that does not change, so a root brings its own. NVIDIA's libraries must be of the very
version of the kernel's module: they come from this machine, and the JSON files by which the vendor-neutral loaders (libglvnd's
egl_vendor.d, the Vulkan loader's icd.d) find them are written anew, with bare names in place of this machine's paths.
"""

from __future__ import annotations

import os

from devenv.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devenv.foreign.systems import System

# Whatever NVIDIA's driver packages install; their documentation lists it ("Installed Components").
_NVIDIA = (
    *("libnvidia-*.so.*", "lib*_nvidia.so.*", "libcuda.so.*", "libnvcuvid.so.*", "libnvoptix.so.*"),
    *("libcudadebugger.so.*", "libXNVCtrl.so.*"),
)
_VENDOR_FILES = (
    ("egl_vendor.d", ("/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d")),
    ("icd.d", ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")),
    (
        "egl_external_platform.d",
        ("/usr/share/egl/egl_external_platform.d", "/etc/egl/egl_external_platform.d"),
    ),
)
SOFTWARE = "LIBGL_ALWAYS_SOFTWARE"  # for Mesa; a user who sets it means it
_DRAWING = frozenset({"OpenGL", "Vulkan", "windows", "GTK"})


@value(frozen=True, slots=True, kw_only=True)
class Graphics:
    """What this machine draws with. nvidia: NVIDIA's own driver; render: the render nodes that may be opened"""

    nvidia: bool
    render: tuple[str, ...]


@value(frozen=True, slots=True, kw_only=True)
class Imported:
    """What of this machine's drivers goes into a root.

    links: name -> path inside, of libraries; files: path -> text, of rewritten JSON, relative; environ: variables
    """

    links: Mapping[str, str]
    files: Mapping[str, str]
    environ: Mapping[str, str]


def graphics(root: str = "") -> Graphics:
    """Look at this machine (or at a copy of its /dev and /proc below `root`)."""
    folder = f"{root}/dev/dri"
    nodes = sorted(os.listdir(folder)) if os.access(folder, os.R_OK) else []
    render = tuple(
        f"/dev/dri/{name}"
        for name in nodes
        if name.startswith("renderD") and os.access(f"{root}/dev/dri/{name}", os.R_OK | os.W_OK)
    )
    nvidia = os.path.exists(f"{root}/proc/driver/nvidia/version") and os.path.exists(f"{root}/dev/nvidiactl")
    return Graphics(nvidia=nvidia, render=render)


def describe(found: Graphics) -> str:
    if found.nvidia:
        return "NVIDIA's driver, with this machine's libraries for it"
    if found.render:
        return f"the kernel's driver ({', '.join(found.render)}), with the root's Mesa"
    return "no graphics card that may be used: the processor draws (Mesa's llvmpipe)"


def imported(
    found: Graphics,
    features: Sequence[str],
    architecture: str,
    system: System,
    place: str,
    environ: Mapping[str, str],
) -> Imported:
    """What a program with `features` gets. `place` is where links and files will lie. Pure but for reading `system`."""
    if not _DRAWING.intersection(features):
        return Imported(links={}, files={}, environ={})
    if found.nvidia:
        return _nvidia(architecture, system, place)
    if found.render or SOFTWARE in environ:
        return Imported(links={}, files={}, environ={})
    return Imported(links={}, files={}, environ={SOFTWARE: "1"})


def _nvidia(architecture: str, system: System, place: str) -> Imported:
    from fnmatch import fnmatch

    links = {
        name: inside(path)
        for name, path in system.all_libraries(architecture)
        if any(fnmatch(name, pattern) for pattern in _NVIDIA)
    }
    files: dict[str, str] = {}
    for folder, directories in _VENDOR_FILES:
        for directory in directories:
            files |= _vendor_files(system, directory, folder)
    variables = {"__GLX_VENDOR_LIBRARY_NAME": "nvidia"}
    for folder, name, usual in (
        ("egl_vendor.d", "__EGL_VENDOR_LIBRARY_DIRS", "/usr/share/glvnd/egl_vendor.d"),
        (
            "egl_external_platform.d",
            "__EGL_EXTERNAL_PLATFORM_CONFIG_DIRS",
            "/usr/share/egl/egl_external_platform.d",
        ),
    ):
        if any(path.startswith(f"{folder}/") for path in files):
            variables[name] = f"{place}/{folder}:{usual}"
    icds = sorted(path for path in files if path.startswith("icd.d/"))
    if icds:
        variables["VK_DRIVER_FILES"] = variables["VK_ICD_FILENAMES"] = ":".join(
            f"{place}/{path}" for path in icds
        )
    return Imported(links=links, files=files, environ=variables)


def inside(path: str) -> str:
    """Where a root shows a file of this machine's own system."""
    top = path.split("/")[1] if path.startswith("/") else ""
    return (
        f"/run/host{path}" if top in ("usr", "etc", "opt", "bin", "sbin", "lib", "lib32", "lib64") else path
    )


def _vendor_files(system: System, directory: str, folder: str) -> dict[str, str]:
    found = {}
    place = system.outside(directory)
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
        if "nvidia" in name and name.endswith(".json"):
            try:
                with open(f"{place}/{name}", encoding="utf-8") as file:
                    text = rewritten(file.read())
            except (OSError, UnicodeDecodeError):
                continue
            if text is not None:
                found[f"{folder}/{name}"] = text
    return found


def rewritten(text: str) -> str | None:
    """A vendor's JSON file with its library called by name alone, None where it is no such file."""
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    entry = document.get("ICD") if isinstance(document, dict) else None
    path = entry.get("library_path") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(path, str):
        return None
    entry["library_path"] = os.path.basename(path)
    return json.dumps(document, indent=1) + "\n"


def library_directory(architecture: str) -> str:
    """The name of the directory of links, one for each architecture."""
    from devenv.foreign.program import TRIPLETS

    return f"lib/{TRIPLETS.get(architecture, architecture)}"
