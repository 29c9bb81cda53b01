"""Overrides of single packages of lockfiles: read from a project, applied to plans, written for people to edit.

Adapters know nothing of them. They are applied to what an adapter made of a lockfile, and to what it asks.
"""
