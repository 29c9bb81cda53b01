"""Packages of R as the archive of Debian's trixie has them: files of it, and the packages they hold."""

from __future__ import annotations

from tests.support.r_repository import DebianFile

# Source packages are the packages as R has them. The archive keeps no source of s2: its binary package is what a
# repository would offer as built for this R.
DEBIAN_R = {
    file.name: file
    for file in (
        DebianFile(
            "class",
            "7.3-23",
            "r/r-cran-class/r-cran-class_7.3-23.orig.tar.gz",
            "4d1adb12eae045f15641516d795177dd1d3074c0a86ac633000507c4822891f1",
        ),
        DebianFile(
            "classInt",
            "0.4-11",
            "r/r-cran-classint/r-cran-classint_0.4-11+dfsg.orig.tar.xz",
            "70b096e9dd046323502b377b776fb6ff76bbc7b9cbde215a21a9be49a49ee91c",
        ),
        DebianFile(
            "DBI",
            "1.2.3",
            "d/dbi/dbi_1.2.3.orig.tar.gz",
            "cf6708a7566a80929f06575aa345fae354714159ed5fab5db14306fc5d0d2dbe",
        ),
        DebianFile(
            "e1071",
            "1.7-16",
            "r/r-cran-e1071/r-cran-e1071_1.7-16.orig.tar.gz",
            "12d565e3033fdb94c96c1e49f1a08202fcfb9e2a804a2e6b8fd204bdd97c3a4f",
        ),
        DebianFile(
            "glue",
            "1.8.0",
            "r/r-cran-glue/r-cran-glue_1.8.0.orig.tar.gz",
            "c86f364ba899b8662f5da3e1a75f43ae081ab04e0d51171d052356e7ee4b72a0",
        ),
        DebianFile(
            "KernSmooth",
            "2.23-26",
            "k/kernsmooth/kernsmooth_2.23-26.orig.tar.gz",
            "b465bdac197f7faa787e625412ae03d1b7c2c134b1c924cfeb775faf9c4da73e",
        ),
        DebianFile(
            "magrittr",
            "2.0.3",
            "r/r-cran-magrittr/r-cran-magrittr_2.0.3.orig.tar.gz",
            "a2bff83f792a1acb801bfe6330bb62724c74d5308832f2cb6a6178336ace55d2",
        ),
        DebianFile(
            "MASS",
            "7.3-65",
            "r/r-cran-mass/r-cran-mass_7.3-65.orig.tar.gz",
            "b07ef1e3c364ce56269b4a8a7759cc9f87c876554f91293437bb578cfe38172f",
        ),
        DebianFile(
            "proxy",
            "0.4-27",
            "r/r-cran-proxy/r-cran-proxy_0.4-27.orig.tar.gz",
            "249991a4c4d70ad139e93f3a24e17f161ad1ec854951813ea192daf79478563f",
        ),
        DebianFile(
            "R6",
            "2.6.1",
            "r/r-cran-r6/r-cran-r6_2.6.1.orig.tar.gz",
            "59c6eba8b1b912eb7e104f65053235604be853425ee67c152ac4e86a1f2073b4",
        ),
        DebianFile(
            "Rcpp",
            "1.0.14",
            "r/rcpp/rcpp_1.0.14.orig.tar.gz",
            "74e84a52efb0e3e2713cdbbef5234b5ae1d44b33d32c3c337993e7fc423a8002",
        ),
        DebianFile(
            "renv",
            "1.1.2",
            "r/r-cran-renv/r-cran-renv_1.1.2.orig.tar.gz",
            "33c9d94c653602225ed345569d1e0fefb9741235e7f4b4096c65f66d37b1bb85",
        ),
        DebianFile(
            "s2",
            "1.1.7",
            "r/r-cran-s2/r-cran-s2_1.1.7-2_amd64.deb",
            "9e091695c4c36236e3229022b6e872d4bc35bbd797183b44bcc647e100027407",
        ),
        DebianFile(
            "sf",
            "1.0-19",
            "r/r-cran-sf/r-cran-sf_1.0-19+dfsg.orig.tar.xz",
            "a42fec48f927b5eb65844fba775743f2bac486fd954c5088caf603c744ddbe14",
        ),
        DebianFile(
            "units",
            "0.8-7",
            "r/r-cran-units/r-cran-units_0.8-7+dfsg.orig.tar.xz",
            "8413f5beb4dbe692f90d1ab4fcce02f2db005cecf0e13a0cfa5bd682cce0b21d",
        ),
        DebianFile(
            "wk",
            "0.9.4",
            "r/r-cran-wk/r-cran-wk_0.9.4.orig.tar.gz",
            "b973dd5fa9aed94efc7ea4027146e804ba54df818a71278d6a5b7df0ae9e348b",
        ),
    )
}
