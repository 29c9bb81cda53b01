"""Tests of devenv.overrides."""
