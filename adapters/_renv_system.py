"""SystemRequirements of R packages as packages of a Debian-family base. Pure.

The field is prose ("GDAL (>= 2.0.1), GEOS (>= 3.4.0), PROJ (>= 4.8.0), sqlite3"; "libxml2: libxml2-dev (deb), libxml2-devel
(rpm)"), so it is searched for words. Names of Debian packages in it are taken as they are; of everything else, what is
known here. Source: "Writing R Extensions", 1.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# What to look for, in small letters, and the packages to build against. All that match count.
_LIBRARIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\bgdal\b", ("libgdal-dev", "gdal-bin")),
    (r"\bgeos\b", ("libgeos-dev",)),
    (r"\bproj\b", ("libproj-dev",)),
    (r"\bsqlite ?3?\b", ("libsqlite3-dev",)),
    (r"\budunits", ("libudunits2-dev",)),
    (r"\blibcurl\b|\bcurl\b", ("libcurl4-openssl-dev",)),
    (r"\bopenssl\b|\blibssl\b|\blibcrypto\b", ("libssl-dev",)),
    (r"\blibxml-?2?\b", ("libxml2-dev",)),
    (r"\blibxslt\b", ("libxslt1-dev",)),
    (r"\bicu4c\b|\blibicu\b", ("libicu-dev",)),
    (r"\bfreetype2?\b", ("libfreetype-dev",)),
    (r"\bfontconfig\b", ("libfontconfig-dev",)),
    (r"\bharfbuzz\b", ("libharfbuzz-dev",)),
    (r"\bfribidi\b", ("libfribidi-dev",)),
    (r"\b(lib)?png\b", ("libpng-dev",)),
    (r"\b(lib)?jpeg\b", ("libjpeg-dev",)),
    (r"\b(lib)?tiff\b", ("libtiff-dev",)),
    (r"\b(lib)?webp(mux)?\b", ("libwebp-dev",)),
    (r"\bcairo\b", ("libcairo2-dev",)),
    (r"\bpango\b", ("libpango1.0-dev",)),
    (r"\blibuv\b", ("libuv1-dev",)),
    (r"\bzlib\b", ("zlib1g-dev",)),
    (r"\b(lib)?bz(ip)?2\b", ("libbz2-dev",)),
    (r"\bliblzma\b|\bxz\b", ("liblzma-dev",)),
    (r"\b(lib)?zstd\b", ("libzstd-dev",)),
    (r"\blz4\b", ("liblz4-dev",)),
    (r"\b(lib)?snappy\b", ("libsnappy-dev",)),
    (r"\bbrotli\b", ("libbrotli-dev",)),
    (r"\blibarchive\b", ("libarchive-dev",)),
    (r"\babseil\b", ("libabsl-dev",)),
    (r"\bcmake\b", ("cmake",)),
    (r"\bgsl\b|\bgnu scientific library\b", ("libgsl-dev",)),
    (r"\bgmp\b", ("libgmp-dev",)),
    (r"\bmpfr\b", ("libmpfr-dev",)),
    (r"\bmpc\b", ("libmpc-dev",)),
    (r"\bfftw", ("libfftw3-dev",)),
    (r"\bglpk\b", ("libglpk-dev",)),
    (r"\bnlopt\b", ("libnlopt-dev",)),
    (r"\bjags\b", ("jags",)),
    (r"\bflint\b", ("libflint-dev",)),
    (r"\bboost\b", ("libboost-all-dev",)),
    (r"\b(intel )?tbb\b", ("libtbb-dev",)),
    (r"\bopencl\b", ("ocl-icd-opencl-dev",)),
    (r"\blibgit2\b", ("libgit2-dev",)),
    (r"\blibssh2?\b", ("libssh-dev",)),
    (r"\b(lib)?sodium\b", ("libsodium-dev",)),
    (r"\bgpgme\b", ("libgpgme-dev",)),
    (r"\blibsecret\b", ("libsecret-1-dev",)),
    (r"\bsasl\b", ("libsasl2-dev",)),
    (r"\bv8\b", ("libnode-dev",)),
    (r"\blibpq\b|\bpostgresql\b", ("libpq-dev",)),
    (r"\bmariadb\b|\bmysql\b", ("libmariadb-dev",)),
    (r"\bunixodbc\b|\bodbc\b", ("unixodbc-dev",)),
    (r"\bhiredis\b", ("libhiredis-dev",)),
    (r"\bhdf5\b", ("libhdf5-dev",)),
    (r"\bnetcdf\b", ("libnetcdf-dev",)),
    (r"\bprotobuf\b|\bprotocol buffers\b", ("libprotobuf-dev", "protobuf-compiler", "libprotoc-dev")),
    (r"\bzeromq\b|\bzmq\b|\blibzmq\b", ("libzmq3-dev",)),
    (r"\bimagemagick\b|\bmagick\+\+", ("libmagick++-dev",)),
    (r"\bpoppler\b", ("libpoppler-cpp-dev",)),
    (r"\blibrsvg", ("librsvg2-dev",)),
    (r"\btesseract\b", ("libtesseract-dev", "libleptonica-dev")),
    (r"\bleptonica\b", ("libleptonica-dev",)),
    (r"\bffmpeg\b|\blibavfilter\b", ("libavfilter-dev", "libavcodec-dev", "libavformat-dev")),
    (r"\bopencv\b", ("libopencv-dev",)),
    (r"\bopengl\b|\bglu\b", ("libgl-dev", "libglu1-mesa-dev")),
    (r"\bx11\b", ("libx11-dev",)),
    (r"\bgtk\b", ("libgtk-3-dev",)),
    (r"\btcl/?tk\b", ("tk-dev",)),
    (r"\bcargo\b|\brustc?\b", ("cargo",)),
    (r"\bjava\b|\bjdk\b", ("default-jdk",)),
    (r"\bre2\b", ("libre2-dev",)),
    (r"\bjq\b", ("libjq-dev",)),
    (r"\bredland\b|\blibrdf\b", ("librdf0-dev",)),
    (r"\bquantlib\b", ("libquantlib0-dev",)),
    (r"\bsymphony\b", ("coinor-libsymphony-dev",)),
    (r"\blibyaml\b", ("libyaml-dev",)),
    (r"\bperl\b", ("perl",)),
    (r"\bpython3?\b", ("python3",)),
    (r"\bgettext\b", ("gettext",)),
    (r"\bmpi\b|\bopenmpi\b", ("libopenmpi-dev",)),
    (r"\bsuitesparse\b", ("libsuitesparse-dev",)),
    (r"\beigen3?\b", ("libeigen3-dev",)),
)

# Programs that packages start, but are not built with: whoever wants what they are for asks for them.
_PROGRAMS: tuple[tuple[str, str], ...] = (
    (r"\bpandoc\b", "pandoc"),
    (r"\bxclip\b|\bxsel\b", "xclip"),
    (r"\bghostscript\b", "ghostscript"),
    (r"\bgit\b", "git"),
    (r"\bgraphviz\b", "graphviz"),
    (r"\bchrom(e|ium)\b", "chromium"),
    (r"\bqpdf\b", "qpdf"),
    (r"\b(pdf|xe|lua)?(la)?tex\b", "texlive"),
)

# What R and its compilers bring along, and remarks about other systems.
_AT_HAND = re.compile(
    r"\bgnu make\b|\bc\+\+ ?\d*\b|\bc\d\d\b|\bfortran\b|\bopenmp\b|\bzoneinfo\b|\bblas\b|\blapack\b"
    r"|\bpcre2?\b|\breadline\b|\bpthreads?\b|\bxcode\b|\brtools\b|\bpkg-config\b|\bmake\b|\bbash\b"
)
_DEBIAN_NAME = re.compile(r"\b([a-z0-9][a-z0-9.+-]+)\s*\((?:[^()]*\b)?(?:deb|debian|ubuntu)\b[^()]*\)")
_NONE = re.compile(r"^\W*(none|no)?\W*$")


class Requirements(NamedTuple):
    """What packages of a project ask for: `packages` to have, `programs` that may be wanted, by who asks; `unknown` prose."""

    packages: tuple[str, ...]
    programs: dict[str, tuple[str, ...]]
    unknown: dict[str, str]


def system_packages(texts: Iterable[tuple[str, str]]) -> Requirements:
    """The packages that the SystemRequirements `texts` ask for, given as (R package, text)."""
    packages: set[str] = set()
    programs: dict[str, list[str]] = {}
    unknown = {}
    for name, text in texts:
        plain = " ".join(text.lower().split())
        found = _libraries(plain)
        packages |= found
        asked = [program for pattern, program in _PROGRAMS if re.search(pattern, plain)]
        for program in asked:
            programs.setdefault(program, []).append(name)
        if not (found or asked or _AT_HAND.search(plain) or _NONE.match(plain)):
            unknown[name] = " ".join(text.split())
    return Requirements(
        tuple(sorted(packages)), {key: tuple(programs[key]) for key in sorted(programs)}, unknown
    )


def _libraries(plain: str) -> set[str]:
    # URLs hold words that mean nothing here.
    words = re.sub(r"<?https?://\S+", " ", plain)
    found = {name for name in _DEBIAN_NAME.findall(words) if name.endswith("-dev")}
    words = _DEBIAN_NAME.sub(" ", words)
    return found | {
        package for pattern, packages in _LIBRARIES if re.search(pattern, words) for package in packages
    }
