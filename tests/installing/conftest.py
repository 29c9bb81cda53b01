"""The fixture that compiles programs serves here, too."""

from tests.foreign.conftest import compile_c

__all__ = ["compile_c"]
