"""Trees of git repositories, by the git on this machine, with the user's own settings and credentials.

git is asked for one commit, as shallowly as the server allows, and for the submodules that belong to it. What
is left is a plain tree without .git.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from devenv.fetch.errors import EndpointError, FetchError

# Of git's transports those that only fetch: "ext" would run a program that the URL names.
_PROTOCOLS = "file:git:http:https:ssh"
_TIMEOUT_SECONDS = 1800
_LAST_LINES = 5


def checkout(url: str, commit: str, target: str, *, environ: Mapping[str, str]) -> None:
    """Put the tree of `commit`, a whole object name, into the new directory `target`, submodules included.

    Raises `FetchError` for what git cannot do, `EndpointError` when there is no git or the URL is none.
    """
    _check(url, commit)
    os.mkdir(target, 0o755)
    git = _Git(target, environ)
    git.run("init", "--quiet", doing=f"making a repository for {url}")
    doing = f"fetching commit {commit[:12]} of {url}"
    try:
        git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--", url, commit, doing=doing)
    except FetchError:
        # Not every server gives a commit that no branch or tag ends with.
        everything = ("+refs/heads/*:refs/heads-there/*", "+refs/tags/*:refs/tags-there/*")
        git.run("fetch", "--quiet", "--no-tags", "--", url, *everything, doing=doing)
    git.run("checkout", "--quiet", "--detach", commit, doing=f"checking out {commit[:12]} of {url}")
    if os.path.lexists(os.path.join(target, ".gitmodules")):
        # Relative URLs of submodules count from where the repository came from.
        git.run("remote", "add", "origin", "--", url, doing=f"naming {url}")
        update = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
        git.run(*update, doing=f"fetching the submodules of {url} at {commit[:12]}")
    _strip(target)


def resolve_revision(url: str, rev: str, *, environ: Mapping[str, str]) -> str:
    """The commit that a branch, a tag, "HEAD" or a commit's whole name stands for. Raises FetchError, EndpointError."""
    _check(url, "0" * 40)
    if 40 <= len(rev) <= 64 and set(rev) <= set("0123456789abcdef"):
        return rev
    names = [f"refs/tags/{rev}^{{}}", f"refs/tags/{rev}", f"refs/heads/{rev}", rev]
    git = _Git("/", environ)
    answer = git.run("ls-remote", "--", url, *names[1:], names[0], doing=f"looking for {rev} in {url}")
    found = {
        name: commit for commit, _, name in (line.partition("\t") for line in answer.decode().splitlines())
    }
    for name in names:
        if name in found:
            return found[name]
    raise FetchError(f"{url} has no branch or tag {rev}", hint=f"`git ls-remote {url}` lists them")


def checkout_file(url: str, name: str, folder: str, *, environ: Mapping[str, str]) -> bytes:
    """The file `name` of a repository's default branch. `folder` is an empty directory to work in."""
    _check(url, "0" * 40)
    git = _Git(folder, environ)
    git.run("init", "--quiet", doing=f"making a repository for {url}")
    git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--", url, "HEAD", doing=f"fetching {url}")
    return git.run("cat-file", "blob", f"FETCH_HEAD:{name}", doing=f"reading {name} of {url}")


class _Git:
    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self._directory = directory
        # What a surrounding git (a hook, an alias) has set would lead into another repository.
        plain = {key: value for key, value in environ.items() if not key.startswith("GIT_") or key in _KEPT}
        self._environ = {
            **plain,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *arguments: str, doing: str) -> bytes:
        # Line ends as they are committed; no hooks from a template of the user's.
        fixed = [
            "-c",
            "core.autocrlf=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "advice.detachedHead=false",
        ]
        try:
            done = subprocess.run(
                ["git", "-C", self._directory, *fixed, *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise EndpointError(
                f"{doing}: there is no git on this machine",
                hint="Install git: the lockfile names a repository, and git is what can read it.",
            ) from None
        except subprocess.TimeoutExpired:
            raise FetchError(f"{doing}: git did not end within {_TIMEOUT_SECONDS} seconds") from None
        except OSError as error:
            raise FetchError(f"{doing}: {error.strerror}") from error
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
            raise FetchError(
                f"{doing}: git failed: {' / '.join(lines) or f'status {done.returncode}'}",
                hint="Does `git ls-remote` reach it? git's own settings and credentials are used.",
            )
        return done.stdout


_KEPT = frozenset(
    (
        *(
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_SSL_CAINFO",
            "GIT_SSL_NO_VERIFY",
            "GIT_ASKPASS",
            "GIT_PROXY_COMMAND",
        ),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    )
)


def _check(url: str, commit: str) -> None:
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme not in _PROTOCOLS.split(":") or not url.isprintable():
        raise EndpointError(f"Cannot fetch from {url[:200]!r}: it is no URL of a git repository.")
    if not 40 <= len(commit) <= 64 or not set(commit) <= set("0123456789abcdef"):
        raise EndpointError(f"Cannot fetch {commit[:80]!r} from {url}: it is no commit's whole name.")


def _strip(target: str) -> None:
    """Remove .git everywhere: the directory of the repository, and the files in submodules that lead to it."""
    import shutil

    for folder, names, files in os.walk(target):
        if ".git" in names:
            shutil.rmtree(os.path.join(folder, ".git"))
            names.remove(".git")
        if ".git" in files:
            os.unlink(os.path.join(folder, ".git"))
