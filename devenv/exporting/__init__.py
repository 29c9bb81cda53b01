"""The environment in other programs' formats, all from the one spec object."""
