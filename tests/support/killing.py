"""Programs under test that kill themselves at a system call, at the worst moment for what they write."""

from __future__ import annotations


def killed_after(call: str, count: str) -> str:
    """Python that makes the program kill itself right after so many of these calls ("os.rename").

    `count` is an expression for the number, such as "sys.argv[3]".
    """
    return f"""
import os, signal, sys
real, left = {call}, [int({count})]
def killing(*arguments, **options):
    result = real(*arguments, **options)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
{call} = killing
"""
