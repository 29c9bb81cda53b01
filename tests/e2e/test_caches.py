"""Binary caches as users meet them: two machines with one store directory, keys, trust, and what must be refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pexpect
import pytest

from devenv.formats import narinfo
from devenv.formats.store_path import StorePath
from tests.e2e.projects import configure, npm_project, python_project
from tests.support.cache_server import serve_directory
from tests.support.devenv import User, devenv_program
from tests.support.nix import nix_environment
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at, serve

# Makes the machine's own directory appear where the store is on all machines, for this command only.
_MOUNT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


class Machine(User):
    """A user on a machine of its own: another home, another disk, the same store directory."""

    def __init__(self, tmp_path: Path, name: str) -> None:
        super().__init__(tmp_path / name / "home")
        self.disk, self.shared = tmp_path / name / "disk", tmp_path / "opt"
        self.disk.mkdir()
        self.shared.mkdir(exist_ok=True)
        self.env["DEVENV_STORE_DIR"] = str(self.shared / "store")

    def command(self, *words: str) -> list[str]:
        return ["unshare", "-Urm", "sh", "-c", _MOUNT, "sh", str(self.disk), str(self.shared), *words]

    def run(
        self, *arguments: str, cwd: Path, check: bool = True, timeout: float = 300, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return self.start(devenv_program(), *arguments, cwd=cwd, check=check, timeout=timeout, environ=env)

    def start(
        self,
        *words: str,
        cwd: Path,
        check: bool = True,
        timeout: float = 300,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=cwd,
            env=self.env | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(words)} exited {done.returncode}\n{done.stdout}{done.stderr}")
        assert "Traceback" not in done.stderr and "bug in devenv" not in done.stderr, done.stderr
        return done

    def objects(self) -> set[str]:
        """What is in its store, without derivations and the files that a generation was made from."""
        made_here = (".drv", "-sources", ".links")
        return {name for name in os.listdir(self.disk / "store") if not name.endswith(made_here)}

    def settings(self, text: str) -> None:
        place = self.home / ".config/devenv"
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.toml").write_text(text)


class Team:
    """A project that a first machine made and pushed; `registry` is gone by then."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.cache = tmp_path / "cache"
        self.url = f"file://{self.cache}"
        self.first = Machine(tmp_path, "first")
        self.root = tmp_path / "project"
        with serve(Registry()) as registry:
            npm_project(self.root, registry)
            python_project(self.root, registry)
            configure(self.root)
            point_clients_at(registry, self.first.home)
            self.npmrc = (self.first.home / ".npmrc").read_text()
            self.first.run("lock", cwd=self.root)
            self.first.run("enter", "-c", "true", cwd=self.root)
        self.public = self.first.run("cache", "key", "generate", "team-1", cwd=self.root).stdout.strip()
        self.pushed = json.loads(
            self.first.run("cache", "push", self.url, "--key", "team-1", "--json", cwd=self.root).stdout
        )

    def machine(self, name: str, settings: str | None = None) -> tuple[Machine, Path]:
        """Another machine with a checkout, that knows cache and key unless told otherwise."""
        machine = Machine(self.tmp_path, name)
        shutil.copytree(self.first.home / ".config/pip", machine.home / ".config/pip")
        (machine.home / ".npmrc").write_text(self.npmrc)
        machine.settings(
            f'[caches]\nsubstituters = ["{self.url}"]\ntrusted-keys = ["{self.public}"]\n'
            if settings is None
            else settings
        )
        root = self.tmp_path / name / "checkout"
        shutil.copytree(
            self.root, root, symlinks=True, ignore=shutil.ignore_patterns("node_modules", ".devenv")
        )
        return machine, root

    def path_of(self, name: str) -> StorePath:
        return StorePath(next(path for path in self.pushed["written"] if path.endswith(name)))


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    tmp_path = tmp_path_factory.mktemp("team")
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", 'mount --bind "$1" "$1"', "sh", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no mount namespaces for ordinary users here: {done.stderr.strip()}")
    return Team(tmp_path)


def test_an_environment_made_on_one_machine_is_pulled_on_the_other(team: Team) -> None:
    second, root = team.machine("second")
    done = second.run("enter", "-c", "hello0; python -c 'import wheel2; print(wheel2.__version__)'", cwd=root)
    assert done.stdout == "hello from wheel0\n1.0\n"
    done = second.run("enter", "--", program("node"), "-p", "require('pkg2')", cwd=root)
    assert done.stdout == "012\n"
    assert os.readlink(root / ".devenv/env") == os.readlink(team.root / ".devenv/env")
    assert second.objects() == {os.path.basename(path) for path in team.pushed["written"]}
    assert not any(name.endswith((".tgz", ".whl")) for name in second.objects()), "nothing was fetched"
    bytecode = [name for name in second.objects() if name.endswith("-python3.11")]
    assert len(bytecode) == 3


def test_nix_finds_nothing_wrong_in_what_was_pulled(team: Team) -> None:
    from devenv.store.layout import Layout

    third, root = team.machine("third")
    third.run("enter", "-c", "true", cwd=root)
    environ = nix_environment(Layout(str(team.tmp_path / "nix-files")), team.tmp_path) | {
        "NIX_STORE_DIR": str(third.shared / "store"),
        "NIX_STATE_DIR": str(third.shared / "state"),
    }
    done = third.start(program("nix-store"), "--verify", "--check-contents", cwd=root, environ=environ)
    assert "error" not in done.stderr and "warning" not in done.stderr
    spec = os.readlink(root / ".devenv/env")
    done = third.start(program("nix-store"), "-q", "--requisites", spec, cwd=root, environ=environ)
    assert set(done.stdout.split()) <= set(team.pushed["written"])


def test_a_closure_is_pulled_by_its_name_alone(team: Team, tmp_path: Path) -> None:
    machine, _ = team.machine("puller")
    spec = os.readlink(team.root / ".devenv/env")
    done = machine.run("cache", "pull", team.url, spec, cwd=tmp_path)
    assert done.stdout == f"{spec}\n"
    assert {os.path.basename(spec), os.path.basename(team.path_of("pkg0-1.0.0"))} <= machine.objects()
    absent = spec[:-3] + "xyz"
    done = machine.run("cache", "pull", team.url, absent, cwd=tmp_path, check=False)
    assert done.returncode == 1 and absent in done.stderr and team.url in done.stderr


def test_the_options_of_a_command_are_enough(team: Team) -> None:
    machine, root = team.machine("options", settings="")
    machine.run("enter", "--substituters", team.url, "--trusted-keys", team.public, "-c", "true", cwd=root)
    assert machine.objects() == {os.path.basename(path) for path in team.pushed["written"]}


def test_a_cache_on_the_web_works_the_same(team: Team) -> None:
    with serve_directory(team.cache) as server:
        machine, root = team.machine(
            "web", f'[caches]\nsubstituters = ["{server.url}"]\ntrusted-keys = ["{team.public}"]\n'
        )
        machine.run("enter", "-c", "true", cwd=root)
        assert machine.objects() == {os.path.basename(path) for path in team.pushed["written"]}
        asked = len(server.requests)
        machine.run("enter", "-c", "true", cwd=root)
        assert len(server.requests) == asked, "nothing is asked when nothing is missing"


def flip_archive(cache: Path, path: StorePath) -> None:
    text = (cache / narinfo.info_name(path)).read_text()
    archive = cache / re.findall("URL: (.*)", text)[0]
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.unlink()  # it may be a hard link
    archive.write_bytes(data)


def edit_info(cache: Path, path: StorePath, pattern: str, new: str) -> None:
    file = cache / narinfo.info_name(path)
    text, count = re.subn(pattern, new, file.read_text(), flags=re.MULTILINE)
    assert count == 1
    file.write_text(text)


TAMPERED: dict[str, tuple[Callable[[Path, StorePath], object], str]] = {
    "archive": (flip_archive, "refusing {path} from {url}"),
    "narinfo": (
        lambda cache, path: edit_info(cache, path, "^NarSize: .*", "NarSize: 7"),
        "refusing {path} from {url}: its signature by team-1 is not right",
    ),
    "signature": (
        lambda cache, path: edit_info(cache, path, "^(Sig: team-1:)....", r"\1AAAA"),
        "refusing {path} from {url}: its signature by team-1 is not right",
    ),
    "store directory": (
        lambda cache, path: (cache / "nix-cache-info").write_text("StoreDir: /nix/store\n"),
        "is for stores in '/nix/store'",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_tampered_with_is_refused(team: Team, name: str) -> None:
    """With the registry gone nothing can be made instead: it fails, and says what it refused."""
    tamper, words = TAMPERED[name]
    cache = team.tmp_path / f"cache-{name.replace(' ', '-')}"
    shutil.copytree(team.cache, cache)
    victim = team.path_of("pkg1-1.0.0")
    tamper(cache, victim)
    machine, root = team.machine(
        f"tampered-{name.replace(' ', '-')}",
        f'[caches]\nsubstituters = ["file://{cache}"]\ntrusted-keys = ["{team.public}"]\n',
    )
    done = machine.run("enter", "--offline", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert words.format(path=victim, url=f"file://{cache}") in done.stderr, done.stderr
    assert os.path.basename(victim) not in machine.objects()
    strict = machine.run("cache", "pull", f"file://{cache}", victim, cwd=root, check=False)
    assert strict.returncode == 1 and words.format(path=victim, url=f"file://{cache}") in strict.stderr


def test_with_a_registry_what_is_refused_is_made_instead(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    public = user.run("cache", "key", "generate", "mine", cwd=root).stdout.strip()
    cache = tmp_path / "cache"
    pushed = json.loads(
        user.run("cache", "push", f"file://{cache}", "--key", "mine", "--json", cwd=root).stdout
    )
    victim = StorePath(next(path for path in pushed["written"] if path.endswith("pkg1-1.0.0")))
    flip_archive(cache, victim)
    new_store(user, root)
    done = user.run(
        *("enter", "--substituters", f"file://{cache}", "--trusted-keys", public, "-c", "true"), cwd=root
    )
    assert f"refusing {victim}" in done.stderr and "made here instead" in done.stderr
    store = user.store_root / "store"
    assert sum(name.endswith((".tgz", ".whl")) for name in os.listdir(store)) == 1, "only the one was fetched"
    assert os.path.lexists(victim)


def project(tmp_path: Path, user: User, registry: Registry) -> Path:
    root = tmp_path / "project"
    npm_project(root, registry)
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    return root


def new_store(user: User, root: Path) -> None:
    """As if nothing had been made yet."""
    subprocess.run(["chmod", "-R", "u+w", str(user.store_root)], check=True)
    shutil.rmtree(user.store_root)
    for name in ("node_modules", ".devenv"):
        shutil.rmtree(root / name)


# Whom a project may have the user trust


def pushed_project(tmp_path: Path, user: User, registry: Registry) -> tuple[Path, str]:
    """A project whose devenv.toml names a cache and its key, with a store that is empty again."""
    root = project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    public = user.run("cache", "key", "generate", "proj-1", cwd=root).stdout.strip()
    user.run("cache", "push", f"file://{tmp_path}/cache", "--key", "proj-1", cwd=root)
    configure(
        root,
        f'name = "project"\n[caches]\nsubstituters = ["file://{tmp_path}/cache"]\ntrusted-keys = ["{public}"]\n',
    )
    new_store(user, root)
    registry.requests.clear()
    return root, public


def fetched(registry: Registry) -> int:
    return sum(path.endswith(".tgz") for path in registry.requests)


def test_a_key_of_a_project_counts_once_the_user_has_said_so(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root, public = pushed_project(tmp_path, user, registry)
    done = user.run("enter", "-c", "true", cwd=root)
    assert "proj-1" in done.stderr and "devenv cache trust" in done.stderr
    assert fetched(registry) == 3, "whoever wrote devenv.toml cannot put objects into this user's store"
    new_store(user, root)
    registry.requests.clear()
    user.run("cache", "trust", cwd=root)
    assert public in (user.home / ".config/devenv/config.toml").read_text()
    done = user.run("enter", "-c", "true", cwd=root)
    assert fetched(registry) == 0 and "trust" not in done.stderr


@pytest.mark.parametrize(("answer", "fetches"), [("y", 0), ("", 3)])
def test_on_a_terminal_the_question_is_asked(
    tmp_path: Path, user: User, registry: Registry, answer: str, fetches: int
) -> None:
    root, public = pushed_project(tmp_path, user, registry)
    child = pexpect.spawn(
        devenv_program(),
        ["enter", "-c", "echo entered"],
        cwd=str(root),
        env=user.env,
        timeout=60,
        encoding="utf-8",
    )
    child.expect_exact(public)
    child.expect_exact("[y/N]")
    child.sendline(answer)
    child.expect_exact("entered")
    child.expect(pexpect.EOF)
    child.close()
    assert fetched(registry) == fetches


def test_trust_keeps_what_is_in_the_users_file(tmp_path: Path, user: User) -> None:
    place = user.home / ".config/devenv/config.toml"
    place.parent.mkdir(parents=True)
    place.write_text('# mine\n[caches]\nsubstituters = ["https://cache.test"] # fast\n')
    key = "k-1:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    for _ in range(2):
        user.run("cache", "trust", key, cwd=tmp_path)
    text = place.read_text()
    assert "# mine" in text and "# fast" in text and text.count(key) == 1
    done = user.run("cache", "trust", "nonsense", cwd=tmp_path, check=False)
    assert done.returncode == 1 and place.read_text() == text


# Keys


def test_a_secret_key_is_for_its_owner_alone(tmp_path: Path, user: User) -> None:
    os.umask(0o000)
    try:
        made = user.run("cache", "key", "generate", "my-1", cwd=tmp_path)
    finally:
        os.umask(0o022)
    file = user.home / ".config/devenv/keys/my-1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text().partition(":")[2].strip()
    assert secret not in made.stdout + made.stderr
    assert user.run("cache", "key", "public", "my-1", cwd=tmp_path).stdout == made.stdout
    again = user.run("cache", "key", "generate", "my-1", cwd=tmp_path, check=False)
    assert again.returncode == 1 and file.read_text().partition(":")[2].strip() == secret
    file.chmod(0o640)
    refused = user.run("cache", "key", "public", "my-1", cwd=tmp_path, check=False)
    assert refused.returncode == 1 and "0640" in refused.stderr and "chmod 600" in refused.stderr
    file.chmod(0o600)
    file.write_text(f"my-1:{secret[:-8]}\n")
    damaged = user.run("cache", "key", "public", "my-1", cwd=tmp_path, check=False)
    assert damaged.returncode == 1 and secret[:12] not in damaged.stderr


def test_keys_of_nix_are_keys_of_ours_and_the_reverse(tmp_path: Path, user: User) -> None:
    public = user.run("cache", "key", "generate", "x-1", "--output", "mine", cwd=tmp_path).stdout.strip()
    nix = program("nix")
    options = ["--extra-experimental-features", "nix-command"]
    with (tmp_path / "mine").open() as secret:
        done = subprocess.run(
            [nix, *options, "key", "convert-secret-to-public"], stdin=secret, capture_output=True, text=True
        )
    assert done.stdout.strip() == public
    made = subprocess.run(
        [nix, *options, "key", "generate-secret", "--key-name", "y-1"], capture_output=True, text=True
    )
    (tmp_path / "theirs").write_text(made.stdout)
    (tmp_path / "theirs").chmod(0o600)
    assert user.run("cache", "key", "public", "./theirs", cwd=tmp_path).stdout.startswith("y-1:")


BAD_COMMANDS = {
    "no cache": (["pull", "file:///absent", "ABSENT"], "there is no nix-cache-info"),
    "no path": (["pull", "file:///absent", "/etc"], "not in the store"),
    "no url": (["push", "nonsense", "PATH"], "cannot be a binary cache"),
    "no key": (["push", "file:///tmp/x", "PATH", "--key", "absent"], "there is no key"),
    "compression": (["push", "file:///tmp/x", "--compression", "rar"], "rar"),
    "listen": (["serve", "--listen", "here"], "cannot listen"),
    "port": (["serve", "--listen", "127.0.0.1:99999"], "cannot listen"),
    "key name": (["key", "generate", "a b"], "cannot be called"),
    "key path": (["key", "generate", "../x"], "cannot be called"),
    "no project": (["push", "file:///tmp/x"], "no devenv.toml"),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_mistakes_are_sentences(tmp_path: Path, user: User, name: str) -> None:
    words, expected = BAD_COMMANDS[name]
    (tmp_path / "file").write_text("x")
    path = user.run("store", "add", "file", cwd=tmp_path).stdout.strip()
    meant = {"PATH": path, "ABSENT": f"{path}-absent"}
    done = user.run("cache", *(meant.get(word, word) for word in words), cwd=tmp_path, check=False)
    assert done.returncode == 1 and expected in done.stderr, done.stderr


def test_mistakes_in_the_users_file_have_a_line(tmp_path: Path, user: User, registry: Registry) -> None:
    root = project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    place = user.home / ".config/devenv/config.toml"
    place.parent.mkdir(parents=True)
    place.write_text(
        '[caches]\nsubstituters = "https://x.test"\ntrusted-keys = ["nonsense"]\ntrusted_keys = []\n'
    )
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    for line in (2, 3, 4):
        assert f"config.toml:{line}" in done.stderr, done.stderr


def test_a_served_store_is_a_cache_for_a_colleague(team: Team) -> None:
    """Served inside of the first machine's namespace, asked from another's."""
    server = subprocess.Popen(
        team.first.command(devenv_program(), "cache", "serve", "--listen", "127.0.0.1:0", "--key", "team-1"),
        env=team.first.env,
        cwd=team.root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server:
        url = server.stdout.readline().strip()
        machine, root = team.machine(
            "colleague", f'[caches]\nsubstituters = ["{url}"]\ntrusted-keys = ["{team.public}"]\n'
        )
        machine.run("enter", "-c", "true", cwd=root)
        server.terminate()
        assert server.wait(timeout=20) == 0
    assert machine.objects() >= {os.path.basename(path) for path in team.pushed["written"]}
