"""Which wheels fit an interpreter, of files that an index or a resolver gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from devenv.adapter import Package, RemoteFile


def best_wheels(files: Iterable[RemoteFile], tags: Sequence[str]) -> tuple[Package, ...]:
    """Of each package among `files` the wheel that fits best, by name. `tags` are an interpreter's, best first.

    What is no wheel, or fits not at all, is passed over.
    """
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    ranks: Mapping[str, int] = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
    best: dict[str, tuple[int, RemoteFile]] = {}
    for file in files:
        try:
            named = [str(tag) for tag in parse_wheel_filename(file.file_name)[3]]
        except InvalidWheelFilename:
            continue
        rank = min((ranks[tag] for tag in named if tag in ranks), default=None)
        name = canonicalize_name(file.file_name.partition("-")[0])
        if rank is not None and (name not in best or rank < best[name][0]):
            best[name] = (rank, file)
    return tuple(
        Package(name=name, version=file.file_name.split("-")[1], format="wheel", file=file)
        for name, (_, file) in sorted(best.items())
    )
