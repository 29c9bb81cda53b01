"""What patching costs: `devenv patchelf` and `devenv patch`'s builder beside loops of patchelf.

    python bench/patching.py [--runs N] [--files N] [--large MB] [--patchelf PROGRAM] [--auto-patchelf COMMAND]

In turns, medians: many libraries of this machine given a run path; a large program given a loader and a run path, also one that is small
but has as much appended to it; a tree of libraries made to find each other, by auto-patchelf if that is given (the words that start it), else as
it calls patchelf (each file asked for what it needs, then changed, a process for each), and by the builder of `devenv patch`, all on a copy of
the tree. Every run has fresh files.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from compare import devenv_argv

from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.builders.patch import build
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.store.tree import remove

LOADER = "/lib64/ld-linux-x86-64.so.2"
RUN_PATH = "/a/directory/of/libraries/that/has/a/rather/long/name"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--large", type=int, default=100, help="MB")
    parser.add_argument("--patchelf", default="patchelf")
    parser.add_argument("--auto-patchelf", default="", help="such as 'python3 auto-patchelf.py'")
    options = parser.parse_args()
    compare(options)
    return 0


def compare(options: argparse.Namespace) -> None:
    patchelf = shutil.which(options.patchelf) or sys.exit(f"{options.patchelf} is not on PATH")
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as folder:
        bench = Bench(folder, str(patchelf), options.files, options.large, shlex.split(options.auto_patchelf))
        for _ in range(options.runs):
            bench.many()
            for path in (bench.large, bench.appended, bench.image):
                bench.one(path)
            bench.tree()
        bench.show()


class Bench:
    """`seconds` by the work and by who did it."""

    def __init__(self, folder: str, patchelf: str, count: int, large: int, auto: Sequence[str] = ()) -> None:
        self.folder, self.patchelf, self.auto = folder, patchelf, auto
        self.libraries = libraries(count)
        self.large = f"{folder}/large"
        with open(f"{folder}/contents", "wb") as file:
            file.writelines(os.urandom(1 << 20) for _ in range(large))
        run(["objcopy", "--add-section", f".contents={folder}/contents", "/bin/true", self.large])
        self.appended = self.with_payload("appended", b"")
        self.image = self.with_payload("image", b"hsqs")
        self.seconds: dict[str, dict[str, list[float]]] = {}

    def with_payload(self, name: str, magic: bytes) -> str:
        """A small program with as much behind it, which begins as images of AppImages do, or as nothing known."""
        path = f"{self.folder}/{name}"
        with open(path, "wb") as whole, open("/bin/true", "rb") as program:
            whole.write(program.read() + magic)
            with open(f"{self.folder}/contents", "rb") as contents:
                shutil.copyfileobj(contents, whole, 1 << 20)
        return path

    def timed(self, work: str, who: str, run: Callable[[], object]) -> None:
        began = time.perf_counter()
        run()
        self.seconds.setdefault(work, {}).setdefault(who, []).append(time.perf_counter() - began)

    def fresh(self, files: Sequence[str]) -> list[str]:
        place = f"{self.folder}/files"
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        copies = [f"{place}/{os.path.basename(path)}" for path in files]
        for path, copy in zip(files, copies, strict=True):
            shutil.copyfile(path, copy)
            os.chmod(copy, 0o755)
        return copies

    def many(self) -> None:
        work = f"{len(self.libraries)} libraries"
        for who, words in (("patchelf, a process for each", [self.patchelf]), ("devenv patchelf", None)):
            files = self.fresh(self.libraries)
            if words is None:
                argv = [*devenv_argv(), "patchelf", "--set-rpath", RUN_PATH, *files]
                self.timed(work, who, lambda argv=argv: run(argv))
            else:
                self.timed(
                    work,
                    who,
                    lambda files=files, words=words: [
                        run([*words, "--set-rpath", RUN_PATH, path]) for path in files
                    ],
                )

    def one(self, original: str) -> None:
        kind = {self.large: "", self.appended: ", appended data", self.image: ", an AppImage's image"}[
            original
        ]
        size = f"a program of {os.path.getsize(original) >> 20} MB{kind}"
        options = ["--set-interpreter", f"{RUN_PATH}/ld.so", "--set-rpath", RUN_PATH]
        for who, words in (("patchelf", [self.patchelf]), ("devenv patchelf", [*devenv_argv(), "patchelf"])):
            (path,) = self.fresh([original])
            self.timed(size, who, lambda words=words, path=path: run([*words, *options, path]))

    def tree(self) -> None:
        work = f"a tree of {len(self.libraries)} libraries"
        files = self.fresh(self.libraries)
        if self.auto:
            self.timed(work, "cp, auto-patchelf", self.by_auto_patchelf)
        self.timed(work, "cp, patchelf as auto-patchelf calls it", lambda: self.each_asked(files))
        self.fresh(self.libraries)
        env = {
            "src": f"{self.folder}/files",
            "libraries": json.dumps({"amd64": {}}),
            "loaders": json.dumps({"amd64": LOADER}),
            "interpreters": "{}",
            "out": f"{self.folder}/out",
        }
        job = Job(label="tree", env=env, target=f"{self.folder}/out", pythons={}, interpreters=Interpreters())
        self.timed(work, "devenv patch's builder", lambda: build(job))
        remove(f"{self.folder}/out")

    def by_auto_patchelf(self) -> None:
        """As its hook calls it: what it needs of Nix's binutils are two files that say where loader and C library are."""
        tools, copy = f"{self.folder}/bintools", f"{self.folder}/copy"
        os.makedirs(f"{tools}/nix-support", exist_ok=True)
        os.makedirs(f"{tools}/libc/lib", exist_ok=True)
        for name, text in (("dynamic-linker", LOADER), ("orig-libc", f"{tools}/libc")):
            with open(f"{tools}/nix-support/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        for name in (
            "libc.so.6",
            "libm.so.6",
            "libdl.so.2",
            "libpthread.so.0",
            "librt.so.1",
            "libresolv.so.2",
        ):
            open(f"{tools}/libc/lib/{name}", "w").close()  # only their being there is looked at
        environ = {
            **os.environ,
            "NIX_BINTOOLS": tools,
            "PATH": f"{os.path.dirname(self.patchelf)}:{os.environ['PATH']}",
        }
        run(["cp", "-a", f"{self.folder}/files", copy])
        run([*self.auto, "--paths", copy, "--ignore-missing", "*"], env=environ)
        shutil.rmtree(copy)

    def each_asked(self, files: Sequence[str]) -> None:
        copy = f"{self.folder}/copy"
        run(["cp", "-a", os.path.dirname(files[0]), copy])
        for path in files:
            path = f"{copy}/{os.path.basename(path)}"
            for question in ("--print-needed", "--print-rpath"):
                run([self.patchelf, question, path])
            run([self.patchelf, "--set-rpath", "$ORIGIN", path])
        shutil.rmtree(copy)

    def show(self) -> None:
        for work, by_whom in self.seconds.items():
            print(f"{work}, seconds")
            medians = {who: statistics.median(seconds) for who, seconds in by_whom.items()}
            theirs = next(iter(medians.values()))
            for who, value in medians.items():
                ratio = "" if value == theirs else f"   1/{theirs / value:.1f}"
                print(f"  {who:<40} {value:8.3f}{ratio}")


def libraries(count: int) -> list[str]:
    """Libraries of this machine, one of each name."""
    found: dict[str, str] = {}
    for place, _, names in os.walk("/usr/lib"):
        for name in sorted(names):
            path = f"{place}/{name}"
            if len(found) == count:
                return list(found.values())
            if ".so" in name and name not in found and not os.path.islink(path):
                try:
                    with Elf.open(path) as elf:
                        if elf.has_dynamic and elf.needed:
                            found[name] = path
                except ElfError:
                    continue
    return list(found.values())


def run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=env)


if __name__ == "__main__":
    sys.exit(main())
