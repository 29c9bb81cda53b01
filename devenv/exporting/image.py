"""Which files an environment's image is made of: a system, the closure of the spec, the project with its views."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from devenv.exporting.oci import Image, Layer, Part, sorted_parts, write_image, write_layer
from devenv.exporting.steps import Exported, ExportError
from devenv.exporting.text import image_name

if TYPE_CHECKING:
    from devenv.project import Project

# Where the environment has no system packages of its own: what a shell and most prebuilt programs need.
_SYSTEM = ("bash", "coreutils", "ca-certificates", "libstdc++6")
_LEFT_OUT = frozenset({".git", ".hg", ".devenv/state", ".devenv/lock", ".devenv/replaced"})
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}


def system_root(project: Project, exported: Exported) -> str:
    """The directory of the composed root that the image has for a system; made, if need be."""
    from devenv.debian.default import default_base
    from devenv.fhs.entering import root_of
    from devenv.roots import Wanted, machine_architecture, make, remembered

    own = root_of(exported.spec)
    if own is not None:
        return own
    packages = list(_SYSTEM)
    if os.path.lexists(f"{exported.project}/.devenv/python"):
        packages.append("python3")
    place = project.workplace
    wanted = Wanted(
        base=default_base(project.config.base), packages=tuple(packages), architecture=machine_architecture()
    )
    return remembered(place.layout, wanted) or make(place, wanted, max_age=7 * 86400.0)


def layers(project: Project, exported: Exported, folder: str) -> list[Layer]:
    """The layers, written to `folder`. Raises ExportError for what the image would lack."""
    from devenv.store.local import Store
    from devenv.store.objects import closure

    root = system_root(project, exported)
    _check_python(exported, root)
    with Store.open(project.workplace.layout) as store:
        objects = store.objects()
        paths = closure(objects, [store.store_dir.parse(exported.spec)])
        inside = Part(exported.project, exported.project, lambda path: path in _LEFT_OUT)
        system = [Part(root, "/")]
        # What the root is made of is in it: the image needs the files once.
        in_root = (
            closure(objects, [store.store_dir.parse(recipe)]) if (recipe := _recipe(exported)) else set()
        )
        try:
            return [
                write_layer(f"{folder}/system", system, _MODES),
                write_layer(f"{folder}/store", sorted_parts(paths - in_root)),
                write_layer(f"{folder}/project", [inside]),
            ]
        except OSError as error:
            raise ExportError(f"writing a layer of the image: {error}") from error


def _recipe(exported: Exported) -> str | None:
    try:
        with open(os.path.join(exported.spec, "root"), encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except OSError:
        return None


def _check_python(exported: Exported, root: str) -> None:
    """The project's Python is a link to an interpreter, which must be in the image's system."""
    link = f"{exported.project}/.devenv/python/bin/python"
    if not os.path.islink(link):
        return
    target = link
    while os.path.islink(target) and target.startswith(exported.project):
        target = os.path.join(os.path.dirname(target), os.readlink(target))
    if not os.path.exists(f"{root}{os.path.normpath(target)}"):
        raise ExportError(
            f"writing an image: the environment's Python is {target} of this machine, which the image's system has not",
            hint='Take it from a base: base = "debian/bookworm" and python = "3.11" in devenv.toml, then `devenv lock`.',
        )


def write(project: Project, exported: Exported, target: str) -> str:
    """Write the image archive `target`; the digest of its manifest. Raises ExportError."""
    with tempfile.TemporaryDirectory(
        prefix=".devenv-image-", dir=os.path.dirname(os.path.abspath(target))
    ) as folder:
        made = layers(project, exported, folder)
        try:
            return write_image(target, made, _image(exported))
        except OSError as error:
            raise ExportError(f"writing {target}: {error.strerror}") from error


def write_context(project: Project, exported: Exported, directory: str) -> None:
    """Write a Dockerfile and the layers that it adds to a new directory. Raises ExportError."""
    tail = _instructions(_image(exported))
    try:
        os.mkdir(directory)
    except OSError as error:
        raise ExportError(
            f"making {directory}: {error.strerror}", hint="Name a directory that is not there yet."
        ) from error
    made = layers(project, exported, directory)
    lines = ["FROM scratch"]
    for layer in made:
        name = f"{os.path.basename(layer.path)}.tar.gz"
        os.rename(layer.path, f"{directory}/{name}")
        lines.append(f"ADD {name} /")
    with open(f"{directory}/Dockerfile", "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write("".join(f"{line}\n" for line in (*lines, *tail)))


def _instructions(image: Image) -> list[str]:
    """What a Dockerfile says after its layers. Raises ExportError with all variables that it cannot hold."""
    wrong = [name for name, value in sorted(image.variables.items()) if "\n" in value or "\r" in value]
    if wrong:
        raise ExportError(
            f"{', '.join(wrong)}: a Dockerfile cannot hold line breaks", hint="`devenv export oci` can."
        )
    if "\n" in image.directory or "\r" in image.directory:
        raise ExportError(f"{image.directory!r}: a Dockerfile cannot hold line breaks")
    set_all = [f"ENV {name}={_quoted(value)}" for name, value in sorted(image.variables.items())]
    return [*set_all, f"WORKDIR {_quoted(image.directory)}", 'CMD ["/bin/bash"]']


def _quoted(value: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in '\\"$' else letter for letter in value)
    return f'"{escaped}"'


def _image(exported: Exported) -> Image:
    from devenv.exporting.steps import BASE_PATH

    variables = exported.apply({"PATH": BASE_PATH})
    return Image(image_name(exported.name), variables, exported.project, ["/bin/bash"])
