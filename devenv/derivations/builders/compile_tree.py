"""Compiles the modules of unpacked wheels; run by the interpreter that will import them (3.8 or newer).

Reads requests from standard input, one a line, `["source directory", "target directory"]` in JSON. Answers each
with a line: the number of files written, or `error: ...`.

A byte code file's bytes depend on which objects happen to be shared in the process (marshal marks an
object for reuse when its reference count is not one). So each request is served by a fresh fork of a process
that has compiled nothing, and takes the files in one order; the caller fixes the hash seed.

Format: PEP 552, unchecked hash: magic, flags 1, hash of the source, code. `co_filename` is relative to the
wheel; importing replaces it with the file's real path (importlib.machinery.SourceLoader.get_code).
"""

import sys

if __name__ == "__main__":
    del sys.path[0]  # the modules beside this file are not for import

import importlib.util
import json
import marshal
import os

_HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
_SUFFIX = "." + str(sys.implementation.cache_tag) + ".pyc"


def serve() -> None:
    """Answer requests until standard input ends."""
    while line := sys.stdin.buffer.readline():
        child = os.fork()
        if not child:
            _answer(line)
        _, status = os.waitpid(child, 0)
        if status:
            os.write(1, b"error: the interpreter crashed while compiling (status %d)\n" % status)


def _answer(line: bytes) -> None:
    status = 1
    try:
        source, target = json.loads(line)
        answer = str(compile_tree(source, target))
        os.write(1, answer.encode() + b"\n")
        status = 0
    except OSError as error:
        os.write(1, ("error: " + str(error)).encode("utf-8", "backslashreplace") + b"\n")
        status = 0
    finally:
        os._exit(status)


def compile_tree(source: str, target: str) -> int:
    """Compile all modules below `source` into `__pycache__` directories below the new directory `target`.

    What an installer puts into site-packages is compiled: not NAME.dist-info, of NAME.data only purelib and
    platlib. Files that do not compile (templates, other Pythons' syntax) are left out, and so are packages'
    own test suites, a third of a scientific environment: whoever imports one has Python compile it, in the
    view, as it does for any module.
    """
    os.mkdir(target, 0o755)
    written = 0
    waiting = [""]
    while waiting:
        place = waiting.pop()
        entries = sorted(os.scandir(os.path.join(source, place)), key=lambda entry: entry.name)
        modules = []
        for entry in entries:
            path = os.path.join(place, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if _is_importable(path):
                    waiting.append(path)
            elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
                modules.append(entry.name)
        written += _compile_modules(source, target, place, modules)
    for place, _, _ in os.walk(target):
        os.chmod(place, 0o555)  # noqa: S103 - as everything in a store
        os.utime(place, (1, 1))
    return written


def _is_importable(path: str) -> bool:
    parts = path.split("/")
    if parts[-1] == "__pycache__" or parts[0].endswith(".dist-info"):
        return False
    if len(parts) > 1 and parts[-1] in ("tests", "test"):
        return False
    return not parts[0].endswith(".data") or len(parts) == 1 or parts[1] in ("purelib", "platlib")


def _compile_modules(source: str, target: str, place: str, modules: "list[str]") -> int:
    written = 0
    cache = os.path.join(target, place, "__pycache__")
    for name in modules:
        relative = os.path.join(place, name)
        with open(os.path.join(source, relative), "rb") as file:
            text = file.read()
        try:
            code = compile(text, relative, "exec", dont_inherit=True, optimize=0)
            data = _HEADER + importlib.util.source_hash(text) + marshal.dumps(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, LookupError):
            continue
        if not written:
            os.makedirs(cache, 0o755)
        _write(os.path.join(cache, name[:-3] + _SUFFIX), data)
        written += 1
    return written


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    with open(descriptor, "wb", buffering=0) as file:
        file.write(data)
        os.fchmod(descriptor, 0o444)
        os.utime(descriptor, (1, 1))


if __name__ == "__main__":
    serve()
