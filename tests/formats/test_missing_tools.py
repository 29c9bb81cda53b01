from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.missing_tools import missing, missing_tools, wants_network


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/bin/sh: 1: cmake: not found", ("program", "cmake")),
        ("sh: line 1: node-gyp: command not found", ("program", "node-gyp")),
        ("bash: swig: command not found", ("program", "swig")),
        ("/x/a-builder.sh: 1: /x/b-build.sh: autopoint: not found", ("program", "autopoint")),
        ("./configure: line 2041: m4: command not found", ("program", "m4")),
        ("/usr/bin/env: ‘python’: No such file or directory", ("program", "python")),
        ("Error: spawn autoreconf ENOENT", ("program", "autoreconf")),
        ("gyp ERR! stack Error: not found: make", ("program", "make")),
        ("make: cc: No such file or directory", ("program", "cc")),
        ("make[1]: g++: No such file or directory", ("program", "g++")),
        ("error: command 'gcc' failed: No such file or directory", ("program", "gcc")),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'pkg-config'", ("program", "pkg-config")),
        ("error: linker `cc` not found", ("program", "cc")),
        ("../meson.build:1:0: ERROR: Program 'cython' not found or not executable", ("program", "cython")),
        ("gyp ERR! find Python Could not find any Python installation to use", ("program", "python3")),
        ("a.c:1:10: fatal error: openssl/ssl.h: No such file or directory", ("header", "openssl/ssl.h")),
        ("a.c:1:10: fatal error: 'zlib.h' file not found", ("header", "zlib.h")),
        ("/usr/bin/ld: cannot find -lpq: No such file or directory", ("library", "pq")),
        ("Package gdal was not found in the pkg-config search path.", ("module", "gdal")),
        (
            "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
            ("program", "x86_64-linux-gnu-gcc"),
        ),
        ('../meson.build:9:0: ERROR: Dependency "libpng" not found, tried pkgconfig', ("module", "libpng")),
        ("No package 'zlib' found", ("module", "zlib")),
        ("../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]", ("program", "cc")),
        ("Package 'libpng', required by 'virtual:world', not found", ("module", "libpng")),
        (
            "../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran'], ['flang']]",
            ("program", "gfortran"),
        ),
        ("Error: pg_config executable not found.", ("program", "pg_config")),
        ("error: can't find Rust compiler", ("program", "cargo")),
        ("  is `cmake` not installed?", ("program", "cmake")),
        ('error occurred in cc-rs: failed to find tool "c++": No such file or directory', ("program", "c++")),
        ("Could not find `protoc`. If `protoc` is installed, try setting `PROTOC`", ("program", "protoc")),
        ('Custom { kind: NotFound, error: "Could not find `protoc`. If `protoc` is', ("program", "protoc")),
        ("The pkg-config command could not be found.", ("program", "pkg-config")),
        ("The system library `alsa` required by crate `alsa-sys` was not found.", ("module", "alsa")),
        ('panicked at lib.rs: Unable to find libclang: "couldn\'t find any valid"', ("library", "clang")),
        ("ImportError: libhdf5.so.310: cannot open shared object file: No such file", ("library", "hdf5")),
        ("configure: error: gdal-config not found or not executable.", ("program", "gdal-config")),
        ("configure: error: gsl-config not found, is GSL installed?", ("program", "gsl-config")),
        ("configure: error: no acceptable C compiler found in $PATH", ("program", "cc")),
        (" * deb: libcurl4-openssl-dev (Debian, Ubuntu, etc)", ("package", "libcurl4-openssl-dev")),
        ("------------------ CMAKE NOT FOUND --------------------", ("program", "cmake")),
        ("ERR! OMG CMake executable is not found. Please use your system's package", ("program", "cmake")),
        ("meson.build:2:0: ERROR: Could not detect Ninja v1.8.2 or newer", ("program", "ninja")),
        (
            "checking Java support... configure: error: Java Development Kit (JDK) is missing",
            ("program", "javac"),
        ),
        ("\x1b[31m/bin/sh: 1: make: not found\x1b[0m", ("program", "make")),
    ],
)
def test_sentences_of_real_programs_are_understood(line: str, expected: tuple[str, str]) -> None:
    assert missing(["something before", line, "something after", line]) == (expected,)


def test_what_wants_the_network_is_told_apart() -> None:
    assert wants_network(["fatal: unable to access 'https://x.test/': Could not resolve host: x.test"])
    assert not wants_network(["all is well"])


@pytest.mark.parametrize(
    "line",
    [
        "404 not found",
        "Error: Cannot find module './x'",
        "warning: not found here",
        "No such file or directory",
    ],
)
def test_other_sentences_are_left_alone(line: str) -> None:
    assert missing_tools([line]) is None


def test_package_is_named_where_it_is_known() -> None:
    assert missing_tools(["sh: 1: c++: not found"]) == (
        'The program c++ is missing; the system package g++ has it ([packages] system = ["g++"]).'
    )
    unknown = missing_tools(["sh: 1: frob: not found"])
    assert (
        unknown == "The program frob is missing; `devenv locate bin/frob` says which system package has it."
    )


@given(st.lists(st.text()))
def test_anything_printed_gives_printable_sentences(lines: list[str]) -> None:
    assert (missing_tools(lines) or "").isprintable()
