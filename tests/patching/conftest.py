"""The fixtures of foreign programs serve here, too."""

from tests.foreign.conftest import around, compile_c

__all__ = ["around", "compile_c"]
