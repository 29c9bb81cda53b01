"""What one cache of compiled objects saves: `make` in a shell of the project, and the build of its recipe in a sandbox.

    python bench/compilers.py [--runs N] [--files N] [--base debian/bookworm]

Some C++ files with headers of the standard library, compiled with -O2. Each is measured with an empty cache, and with one that
the other has filled; and the build without ccache among its packages. Then the same files as a Python package of a lockfile: compiled in a
shell and built, each first and after the other; and with one file patched by an override, with ccache and without. The packages are fetched when they are missing, which is not counted. In turns,
medians.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compare import devenv_argv

MAKEFILE = """
OBJECTS := $(patsubst src/%.cc,%.o,$(wildcard src/*.cc))
program: $(OBJECTS)
	g++ -o $@ $^
%.o: src/%.cc
	g++ -O2 -c -o $@ $<
clean:
	rm -f *.o program
"""
TOML = """
base = "{base}"
[packages]
system = [{packages}]
[build.program]
sources = ["src", "Makefile"]
inputs = ["system"]
checkpoints = false
phases.install = 'cp program "$out"'
"""
FILE = """#include <map>
#include <regex>
#include <string>
int number{number}(const std::string &text) {{
    std::map<std::string, int> found;
    std::regex pattern("a+{number}");
    for (std::sregex_iterator each(text.begin(), text.end(), pattern), end; each != end; ++each)
        found[each->str()]++;
    return found.size();
}}
"""
PACKAGE_TOML = """
base = "{base}"
[packages]
python = "3"
system = [{packages}]
[lockfiles]
pip = {{ path = "requirements.txt" }}
"""
PYPROJECT = """[build-system]
requires = []
build-backend = "own"
backend-path = ["."]
[project]
name = "ext"
version = "1.0"
"""
BACKEND = """import glob, os, subprocess, zipfile
def build_wheel(directory, settings=None, metadata=None):
    for each in sorted(glob.glob("src/*.cc")):
        subprocess.run(["g++", "-O2", "-fPIC", "-c", each], check=True)
    subprocess.run(["g++", "-shared", "-o", "native.so", *sorted(glob.glob("*.o"))], check=True)
    info, made = "ext-1.0.dist-info/", "ext-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, made), "w") as wheel:
        wheel.write("native.so", "ext/native.so")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: ext\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return made
"""
PATCH = """--- a/src/main.cc
+++ b/src/main.cc
@@ -1 +1 @@
-int main() {{}}
+int number() {{ return {number}; }}
"""
PACKAGE = "package, one file patched"
UNPACKED, BUILT = "source unpacked in a shell", "package of a lockfile"
# As pip does it.
COMPILE = """
cd "$(mktemp -d)" && tar -xf "$DEVENV_PROJECT/source.tar.gz" && cd ext-1.0
for each in src/*.cc; do g++ -O2 -fPIC -c "$each" || exit; done
"""
MAKE, BUILD, PLAIN = "make in the shell", "build in the sandbox", "build without ccache"
EMPTY, FILLED, NONE = "empty cache", "filled by the other", "without ccache"


def source_archive(files: int, edition: int) -> bytes:
    """The package's sdist; each edition has other files."""
    numbers = range(edition * files, (edition + 1) * files)
    texts = {f"src/file{number}.cc": FILE.format(number=number) for number in numbers}
    texts |= {"src/main.cc": "int main() {}\n", "pyproject.toml": PYPROJECT, "own.py": BACKEND}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"ext-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


class Bench:
    """`seconds` by what was measured and the state of the cache."""

    def __init__(self, folder: str, base: str, files: int) -> None:
        self.cached = self._project(f"{folder}/cached", base, files, ("g++", "make", "ccache"))
        self.plain = self._project(f"{folder}/plain", base, files, ("g++", "make"))
        self.packages = {
            FILLED: self._package(f"{folder}/package", base, files, ("g++", "ccache")),
            NONE: self._package(f"{folder}/package-plain", base, files, ("g++",)),
        }
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.caches = self.editions = 0
        self.folder = folder

    def _project(self, place: str, base: str, files: int, packages: tuple[str, ...]) -> str:
        os.makedirs(f"{place}/src")
        listed = ", ".join(f'"{name}"' for name in packages)
        texts = {"Makefile": MAKEFILE, "devenv.toml": TOML.format(base=base, packages=listed)}
        texts |= {f"src/file{number}.cc": FILE.format(number=number) for number in range(files)}
        texts["src/main.cc"] = "int main() {}\n"
        for name, text in texts.items():
            with open(f"{place}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        self._run(place, "", "lock")
        self._run(place, "", "build")
        self._run(place, "", "enter", "--", "true")
        return place

    def _package(self, place: str, base: str, files: int, packages: tuple[str, ...]) -> str:
        """A project with a Python package that is built of these files, built once."""
        os.makedirs(f"{place}/devenv.d/pip")
        self._publish(place, source_archive(files, 0))
        listed = ", ".join(f'"{name}"' for name in packages)
        for name, text in {
            "devenv.toml": PACKAGE_TOML.format(base=base, packages=listed),
            "devenv.d/pip/ext.toml": 'patches = ["ext.patch"]\n',
        }.items():
            with open(f"{place}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        self._patched(place, -1)
        return place

    def _publish(self, place: str, data: bytes) -> None:
        """Make this archive the package."""
        with open(f"{place}/ext-1.0.tar.gz", "wb") as file:
            file.write(data)
        with open(f"{place}/requirements.txt", "w", encoding="utf-8") as listed:
            listed.write(f"./ext-1.0.tar.gz --hash=sha256:{hashlib.sha256(data).hexdigest()}\n")

    def _shared(self, files: int) -> None:
        """A source compiled in a shell, then its package built; and another edition of it the other way round."""
        project = self.packages[FILLED]
        for order in ((UNPACKED, BUILT), (BUILT, UNPACKED)):
            self.editions += 1
            data = source_archive(files, self.editions)
            with open(f"{project}/source.tar.gz", "wb") as file:
                file.write(data)
            for what, state in zip(order, (EMPTY, FILLED), strict=True):
                if what == BUILT:
                    self._publish(project, data)
                self._measured(what, state, project)

    def _measured(self, what: str, state: str, project: str) -> None:
        if what == UNPACKED:
            seconds = self._run(project, "", "enter", "-c", COMPILE)
        else:
            seconds = self._patched(project, 0)
        self.seconds.setdefault((what, state), []).append(seconds)

    def _patched(self, project: str, number: int) -> float:
        """The seconds that the environment takes with another patch. Locking is not counted."""
        with open(f"{project}/ext.patch", "w", encoding="utf-8") as file:
            file.write(PATCH.format(number=number))
        self._run(project, "", "lock")
        return self._run(project, "", "enter", "--", "true")

    def _run(self, project: str, cache: str, *words: str) -> float:
        environ = dict(os.environ) | ({"CCACHE_DIR": cache} if cache else {})
        began = time.perf_counter()
        subprocess.run(
            [*devenv_argv(), *words], cwd=project, env=environ, stdout=subprocess.DEVNULL, check=True
        )
        return time.perf_counter() - began

    def _timed(self, what: str, state: str, project: str, cache: str) -> None:
        if what == MAKE:
            self._run(project, cache, "enter", "--", "make", "-s", "clean")
            words = ("enter", "--", "make", "-s")
        else:
            words = ("build", "-q", "--from", "unpack")
        self.seconds.setdefault((what, state), []).append(self._run(project, cache, *words))

    def once(self, files: int) -> None:
        self._shared(files)
        for state, project in self.packages.items():
            self.seconds.setdefault((PACKAGE, state), []).append(self._patched(project, self.caches))
        self._timed(PLAIN, "", self.plain, "")
        for first, second in ((MAKE, BUILD), (BUILD, MAKE)):
            self.caches += 1
            cache = f"{self.folder}/cache-{self.caches}"
            self._timed(first, EMPTY, self.cached, cache)
            self._timed(second, FILLED, self.cached, cache)

    def show(self, files: int) -> None:
        print(f"{files} C++ files, seconds")
        for (what, state), seconds in sorted(self.seconds.items()):
            print(f"  {what:<26} {state:<20} {statistics.median(seconds):7.2f}")
        patched = [statistics.median(self.seconds[PACKAGE, state]) for state in (FILLED, NONE)]
        print(f"  {PACKAGE}: {patched[0] / patched[1]:.2f} of the time without ccache   target <= 0.5")
        for what in (BUILD, MAKE, BUILT, UNPACKED):
            ratio = statistics.median(self.seconds[what, FILLED]) / statistics.median(
                self.seconds[what, EMPTY]
            )
            print(f"  {what}: {ratio:.2f} of the time with an empty cache   target <= 0.25")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--base", default="debian/bookworm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as folder:
        bench = Bench(os.path.realpath(folder), options.base, options.files)
        for _ in range(options.runs):
            bench.once(options.files)
        bench.show(options.files)
    return 0


if __name__ == "__main__":
    sys.exit(main())
