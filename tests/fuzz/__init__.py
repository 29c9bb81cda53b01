"""Damaged and hostile input for every parser: `python -m tests.fuzz --minutes 10 --jobs 2`.

A run goes on with inputs that earlier ones made interesting: what reaches a line of devenv that nothing reached before is
mutated further. What must come of each input is a value or a `DevenvError`, within a time and a memory; anything else is
a finding, made smaller and written to a file that `python -m tests.fuzz --replay FILE` runs again.
"""
