"""What a build lacked, by what its programs printed: a program, a header, a library, a pkg-config module, a Debian package.

The sentences are those of POSIX shells, gcc and clang, GNU ld and make, autoconf, pkg-config, Node, node-gyp and cmake-js,
Python's build backends, CMake and meson, the crates cc, cmake, pkg-config, prost-build and bindgen, and configure scripts of R
packages, which often name the package themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Program -> the Debian package that has it.
_PACKAGES = {
    **dict.fromkeys(
        (
            *(
                "autoconf",
                "automake",
                "autopoint",
                "bison",
                "bzip2",
                "clang",
                "cmake",
                "cpp",
                "curl",
                "flex",
                "g++",
            ),
            *(
                "gawk",
                "gcc",
                "gettext",
                "gfortran",
                "git",
                "gperf",
                "help2man",
                "libtool",
                "m4",
                "make",
                "meson",
            ),
            *(
                "nasm",
                "patch",
                "perl",
                "pkg-config",
                "pkgconf",
                "protobuf-compiler",
                "rsync",
                "sed",
                "swig",
                "unzip",
            ),
            *("wget", "xz-utils", "yasm", "zip", "cargo", "rustc", "doxygen", "file", "ruby", "nodejs"),
        ),
        "",
    ),
    "c++": "g++",
    "cc": "gcc",
    "python": "python3",
    "python3": "python3",
    "ld": "binutils",
    "ar": "binutils",
    "as": "binutils",
    "autoreconf": "autoconf",
    "aclocal": "automake",
    "libtoolize": "libtool",
    "node": "nodejs",
    "npm": "npm",
    "protoc": "protobuf-compiler",
    "xz": "xz-utils",
    "msgfmt": "gettext",
    "makeinfo": "texinfo",
    "ninja": "ninja-build",
    "javac": "default-jdk-headless",
    "java": "default-jre-headless",
    "pg_config": "libpq-dev",
    "mysql_config": "libmariadb-dev",
    "gdal-config": "libgdal-dev",
    "geos-config": "libgeos-dev",
    "xml2-config": "libxml2-dev",
    "xslt-config": "libxslt1-dev",
    "curl-config": "libcurl4-openssl-dev",
    "gsl-config": "libgsl-dev",
    "nc-config": "libnetcdf-dev",
    "krb5-config": "libkrb5-dev",
    "sdl2-config": "libsdl2-dev",
    "cups-config": "libcups2-dev",
    "mpicc": "libopenmpi-dev",
    "go": "golang-go",
    "Rscript": "r-base-core",
    "x86_64-linux-gnu-gcc": "gcc",
    "aarch64-linux-gnu-gcc": "gcc",
    "x86_64-linux-gnu-g++": "g++",
    "aarch64-linux-gnu-g++": "g++",
}
_NAME = r"([A-Za-z0-9_+][A-Za-z0-9_.+-]*)"
_PROGRAM = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:^|[\s:])(?:sh|dash|bash|/bin/sh)(?:: \d+|: line \d+)?: {_NAME}: (?:command )?not found",
        # A script by its path, and a file that it reads: "a.sh: 3: b.sh: cc: not found".
        rf": (?:line )?\d+: (?:[^\s:]+: )?{_NAME}: (?:command )?not found$",
        rf"^{_NAME}: (?:command )?not found$",
        rf"/usr/bin/env: [‘'\"]?{_NAME}['’\"]?: No such file",
        rf"spawn {_NAME} ENOENT",
        rf"(?:not found|Cannot find|cannot find program): {_NAME}$",
        rf"unable to execute '{_NAME}'",
        rf"command '{_NAME}' failed: No such file",
        rf"g?make(?:\[\d+\])?: {_NAME}: No such file",
        rf"error trying to exec '{_NAME}'",
        rf"No such file or directory: '{_NAME}'",
        rf"linker `{_NAME}` not found",
        rf"Program '?{_NAME}'? not found",
        rf"(?:Error|error): {_NAME} executable not found",
        rf"^is `{_NAME}` not installed\?",
        rf"[Ff]ailed to find tool[.:]? (?:Is `|\"){_NAME}[`\"]",
        rf"^(?:Error: )?(?:Custom \{{[^}}]*\"|.*)?Could not find `{_NAME}`(?: installation|\. If)",
        rf"configure: error: (?:the )?{_NAME} not found or not executable",
        rf"configure: error: {_NAME}(?: program)? (?:was )?not found",
        rf"Did not find (?:\S+ by name|CMake) '{_NAME}'",
        rf"Unknown compiler\(s\): \[\[?'{_NAME}'",
    )
)
_OTHERS = (
    (re.compile(r"Could not find any Python installation"), "program", "python3"),
    (re.compile(r"no acceptable C compiler found"), "program", "cc"),
    (re.compile(r"Java Development Kit \(JDK\) is missing"), "program", "javac"),
    (re.compile(r"[Tt]he pkg-config command could not be (?:found|run)"), "program", "pkg-config"),
    (
        re.compile(r"can't find Rust compiler|Cargo, the Rust package manager, is not installed"),
        "program",
        "cargo",
    ),
    (
        re.compile(r"(?i:cmake)(?: executable)? (?:was |is )?(?i:not found)|CMake must be installed"),
        "program",
        "cmake",
    ),
    (
        re.compile(r"Could not detect Ninja|unable to find a build program corresponding to \"Ninja\""),
        "program",
        "ninja",
    ),
    (re.compile(r"Unable to find libclang"), "library", "clang"),
    (re.compile(r"(?:^|[ :])lib([\w.+-]+?)\.so[.\d]*: cannot open shared object file"), "library", None),
    (re.compile(r"system library `([\w.+-]+)` required by crate `[\w-]+` was not found"), "module", None),
    (re.compile(r"^\* deb: ([a-z0-9][a-z0-9.+-]+)"), "package", None),
    (re.compile(r"No CMAKE_CXX_COMPILER could be found"), "program", "c++"),
    (re.compile(r"No CMAKE_C_COMPILER could be found"), "program", "cc"),
    (
        re.compile(r"fatal error: '?([\w./+-]+\.h(?:pp|xx)?)'?(?: file not found|: No such file)"),
        "header",
        None,
    ),
    (re.compile(r"cannot find -l([\w.+-]+)"), "library", None),
    (re.compile(r"Dependency \"?([\w.+-]+)\"? not found, tried pkgconfig"), "module", None),
    (re.compile(r"No package '([\w.+-]+)' found"), "module", None),
    (re.compile(r"[Pp]ackage '?([\w.+-]+)'?,? (?:required by .*|was )?not found"), "module", None),
)


def missing(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What is missing, each once: ("program" | "header" | "library" | "module" | "package", its name), in the lines' order."""
    found: dict[tuple[str, str], None] = {}
    for line in lines:
        text = re.sub(r"\x1b\[[0-9;]*m", "", line[:2000]).strip()
        for pattern in _PROGRAM:
            match = pattern.search(text)
            if match:
                found["program", match[1]] = None
                break
        else:
            for pattern, kind, name in _OTHERS:
                match = pattern.search(text)
                if match:
                    found[kind, name or match[1]] = None
    return tuple(found)


_NO_NETWORK = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Name or service not known|"
    r"getaddrinfo (?:EAI_AGAIN|ENOTFOUND)|Network is unreachable|dns error"
)


def wants_network(lines: Iterable[str]) -> bool:
    """Whether something tried to reach a server."""
    return any(_NO_NETWORK.search(line) for line in lines)


def missing_tools(lines: Iterable[str]) -> str | None:
    """Sentences about what is missing and which system package has it; None where nothing was recognised."""
    sentences = [_sentence(kind, name) for kind, name in missing(lines)]
    return " ".join(sentences[:5]) or None


def _sentence(kind: str, name: str) -> str:
    if kind == "program" and name in _PACKAGES:
        package = _PACKAGES[name] or name
        return f'The program {name} is missing; the system package {package} has it ([packages] system = ["{package}"]).'
    if kind == "package":
        return f'The system package {name} is missing ([packages] system = ["{name}"]).'
    what, place = {
        "program": ("program", f"bin/{name}"),
        "header": ("header", f"include/{name}"),
        "library": ("library", f"lib{name}.so"),
        "module": ("pkg-config module", f"{name}.pc"),
    }[kind]
    return f"The {what} {name} is missing; `devenv locate {place}` says which system package has it."
