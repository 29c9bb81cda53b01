"""What holds for every test."""

from __future__ import annotations

import signal

# A run that a script starts in the background is told to ignore Ctrl-C, and so would be every program under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
