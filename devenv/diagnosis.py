"""What `devenv doctor` looks at: everything of a machine and a project that devenv stands on, each with its remedy.

Every check looks at one thing, tries it where trying is cheap, and changes nothing that stays.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.project import Project
    from devenv.workplace import Workplace

State = Literal["good", "note", "bad"]

_OLDEST_KERNEL = (5, 3)
_LITTLE_SPACE = 2 << 30  # bytes: less than one environment of some size takes
_FEW_INODES = 50_000  # less than one node_modules of some size takes
_OLD_INDEX = 30 * 86400.0
_HOOK = re.compile(rb"devenv hook")
_RC_FILES = {
    "bash": (".bashrc", ".bash_profile", ".profile"),
    "zsh": (".zshrc", ".zshenv", ".zprofile"),
    "fish": (".config/fish/config.fish", ".config/fish/conf.d"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    state: "good"; "note" where devenv works but could do better; "bad" where something of it does not work
    text: what was found; remedy: what to do, "" where there is nothing to do
    """

    subject: str
    state: State
    text: str
    remedy: str = ""


def diagnose(place: Workplace, project: Project | None) -> Iterator[Finding]:
    """All findings, in order. `project` is looked at if there is one."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("kernel", kernel),
        ("sandboxes", namespaces),
        ("disk", lambda: space(place)),
        ("store", lambda: store(place)),
        ("shell", lambda: shells(place)),
        ("package lists", lambda: indices(place)),
    ]
    if project is not None:
        checks += [("hard links", lambda: links(place, project)), ("project", lambda: declared(project))]
    for subject, check in checks:
        yield from _guarded(subject, check)
    yield from _network(place)


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What fails in a check is a finding, too."""
    try:
        return list(check())
    except DevenvError as error:
        return [Finding(subject=subject, state="bad", text=str(error), remedy=str(error.hint or ""))]
    except OSError as error:
        return [Finding(subject=subject, state="bad", text=str(error))]


def kernel() -> Iterator[Finding]:
    """The kernel's version and architecture."""
    uname = os.uname()
    found = [int(part) for part in re.findall(r"\d+", uname.release)[:2]]
    text = f"Linux {uname.release}, {uname.machine}"
    if tuple(found) < _OLDEST_KERNEL:
        yield Finding(
            subject="kernel", state="bad", text=text, remedy="Sandboxes and roots need Linux 5.3 or newer."
        )
    elif uname.machine not in ("x86_64", "aarch64"):
        yield Finding(
            subject="kernel", state="note", text=f"{text}: an architecture that devenv is not tested on"
        )
    else:
        yield Finding(subject="kernel", state="good", text=text)


def namespaces() -> Iterator[Finding]:
    """Whether this user may make a sandbox: by making one."""
    from devenv.sandbox.probe import probe

    found = probe()
    if found.works:
        yield Finding(subject="sandboxes", state="good", text="user namespaces work")
        return
    remedy = f"{found.remedy} Until then builds fail, and system packages can be used with `devenv enter --no-fhs` only."
    yield Finding(
        subject="sandboxes",
        state="bad",
        text=f"user namespaces do not work: {found.reason}",
        remedy=remedy.strip(),
    )


def space(place: Workplace) -> Iterator[Finding]:
    """Space and inodes where the store is."""
    root = _existing(place.layout.root)
    if not os.access(root, os.W_OK):
        remedy = "Choose another place by --store-dir or DEVENV_STORE_DIR, or make this one writable for you."
        yield Finding(subject="disk", state="bad", text=f"{root} cannot be written to", remedy=remedy)
    found = os.statvfs(root)
    free = found.f_bavail * found.f_frsize
    text = f"{free / (1 << 30):.1f} GiB free at {root}"
    if free < _LITTLE_SPACE:
        remedy = "Make room: `devenv gc --dry-run` says what devenv could delete, `devenv gc --older-than 30d` does."
        yield Finding(subject="disk", state="bad", text=f"only {text}", remedy=remedy)
    elif found.f_files and found.f_favail < _FEW_INODES:
        remedy = "`devenv gc` deletes files that nothing needs; `df -i` shows who has many."
        yield Finding(
            subject="disk", state="bad", text=f"only {found.f_favail} more files fit at {root}", remedy=remedy
        )
    else:
        yield Finding(subject="disk", state="good", text=text)


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def store(place: Workplace) -> Iterator[Finding]:
    """The store's database: whether it opens and is consistent. Contents are `devenv store verify`'s matter."""
    layout = place.layout
    if not os.path.exists(layout.database):
        yield Finding(subject="store", state="good", text=f"none yet; the first command makes {layout.store}")
        return
    from devenv.store.local import Store

    with Store.open(layout) as opened:
        problems = opened.database_complaints()
        objects = len(opened.objects())
    if problems:
        remedy = "`devenv store verify --repair` sets right what it can."
        yield Finding(subject="store", state="bad", text=f"{layout.database}: {problems[0]}", remedy=remedy)
    else:
        yield Finding(subject="store", state="good", text=f"{objects} objects in {layout.store}")


def shells(place: Workplace) -> Iterator[Finding]:
    """Whether the user's shell is known, and has the hook."""
    from devenv.plugins import load_shells

    environ = place.settings.environ
    name, known = os.path.basename(environ.get("SHELL", "")), load_shells()
    if name not in known:
        text = f"{name or 'no login shell is set ($SHELL)'}: environments are entered with bash"
        remedy = f"`devenv enter --shell NAME` takes one of {', '.join(sorted(known))}."
        yield Finding(subject="shell", state="note", text=text, remedy=remedy)
        return
    if _has_hook(environ.get("HOME", ""), name):
        yield Finding(subject="shell", state="good", text=f"{name}, with the hook")
    else:
        remedy = f"Optional: `devenv hook {name}` lets the shell enter projects by itself; `devenv hook --help` says where."
        yield Finding(subject="shell", state="good", text=f"{name}, without the hook", remedy=remedy)


def _has_hook(home: str, name: str) -> bool:
    for place in _RC_FILES.get(name, ()):
        path = os.path.join(home, place)
        inside = (
            [os.path.join(path, entry) for entry in sorted(os.listdir(path))]
            if os.path.isdir(path)
            else [path]
        )
        for file in inside:
            try:
                with open(file, "rb") as opened:
                    if _HOOK.search(opened.read(1 << 20)):
                        return True
            except OSError:
                continue
    return False


def indices(place: Workplace) -> Iterator[Finding]:
    """How old what is known of distributions' archives is."""
    folder = os.path.join(place.layout.cache, "debian")
    try:
        with os.scandir(folder) as entries:
            found = {
                entry.name: entry.stat().st_mtime for entry in entries if entry.name.endswith(".InRelease")
            }
    except FileNotFoundError:
        found = {}
    if not found:
        return
    name, oldest = min(found.items(), key=lambda item: item[1])
    days = max(time.time() - oldest, 0.0) / 86400
    text = f"{len(found)} suites, the oldest looked at {days:.0f} days ago"
    if days * 86400 > _OLD_INDEX:
        remedy = "`devenv search --refresh WORD` or `devenv lock --update` asks again."
        label = name.removesuffix(".InRelease")
        yield Finding(subject="package lists", state="note", text=f"{text} ({label})", remedy=remedy)
    else:
        yield Finding(subject="package lists", state="good", text=text)


def links(place: Workplace, project: Project) -> Iterator[Finding]:
    """Whether the project's views can share files with the store."""
    here, there = os.stat(project.root).st_dev, os.stat(_existing(place.layout.root)).st_dev
    if here == there:
        yield Finding(subject="hard links", state="good", text="project and store are on one file system")
    else:
        text = (
            "project and store are on different file systems: node_modules and the like are copies, not links"
        )
        remedy = "To save space and time give --store-dir or DEVENV_STORE_DIR on the project's file system."
        yield Finding(subject="hard links", state="note", text=text, remedy=remedy)


def declared(project: Project) -> Iterator[Finding]:
    """devenv.toml, the lockfiles and devenv.lock."""
    reasons = project.stale_reasons()
    if reasons:
        text = f"devenv.lock is stale: {'; '.join(reasons)}"
        yield Finding(subject="project", state="bad", text=text, remedy="Run `devenv lock`.")
    else:
        yield Finding(subject="project", state="good", text=f"{project.root} is locked")


# The network


def _network(place: Workplace) -> Iterator[Finding]:
    """Registries, mirrors and caches, asked at the same time."""
    if place.settings.offline:
        yield Finding(subject="network", state="note", text="not looked at: --offline")
        return
    checks = [*_registry_checks(place), *_cache_checks(place)]
    with ThreadPoolExecutor(max(len(checks), 1)) as pool:
        yield from pool.map(lambda check: check(), checks)


def _registry_checks(place: Workplace) -> Iterator[Callable[[], Finding]]:
    endpoints = place.endpoints
    named: tuple[tuple[str, Callable[[], tuple[str, ...]]], ...] = (
        ("npm registry", lambda: (endpoints.npm.registry(),)),
        ("Python index", endpoints.python.urls),
        ("Debian mirror", lambda: endpoints.archives.mirrors("debian")),
    )
    for label, urls in named:
        try:
            found = urls()
        except DevenvError as error:
            # Not every machine has a use for each of them.
            unknown = Finding(subject=label, state="note", text=str(error), remedy=str(error.hint or ""))
            yield partial(_same, unknown)
            continue
        yield from (partial(_reached, place, label, url) for url in found)


def _same(finding: Finding) -> Finding:
    return finding


def _reached(place: Workplace, label: str, url: str) -> Finding:
    from devenv.fetch.errors import FetchError, StatusError
    from devenv.fetch.urls import shown

    begun = time.monotonic()
    try:
        with place.client.stream(url):
            pass
    except StatusError as error:
        if error.status >= 500 or error.status in (401, 403, 407):
            return Finding(subject=label, state="bad", text=str(error), remedy=str(error.hint or ""))
    except FetchError as error:
        remedy = str(
            error.hint or "Look at the proxy and certificate settings, and at [registries] in devenv.toml."
        )
        return Finding(subject=label, state="bad", text=str(error), remedy=remedy)
    milliseconds = (time.monotonic() - begun) * 1000
    return Finding(subject=label, state="good", text=f"{shown(url)} answers in {milliseconds:.0f} ms")


def _cache_checks(place: Workplace) -> Iterator[Callable[[], Finding]]:
    from devenv.caching import substituter_urls, user_config

    for url in substituter_urls(place, user_config(place)):
        yield partial(_cache, place, url)


def _cache(place: Workplace, url: str) -> Finding:
    from devenv.caching import open_cache

    try:
        info = open_cache(place, url).info()
    except DevenvError as error:
        remedy = str(error.hint or "Builds go on without it; take it out of the caches if it is gone.")
        return Finding(subject="binary cache", state="bad", text=str(error), remedy=remedy)
    return Finding(subject="binary cache", state="good", text=f"{url} answers, priority {info.priority}")
