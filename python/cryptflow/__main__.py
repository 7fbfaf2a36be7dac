"""The `cryptflow` command, in this process.

Parties on this machine are processes that run this file (see `interpreter`), without whatever else an
environment would have an interpreter do.
"""

from __future__ import annotations

import os
import signal
import sys


def interpreter() -> list[str]:
    """What starts this command anew: the interpreter, and this file."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__)]


def main() -> int:
    """Runs the command of `sys.argv`, and returns the exit code."""
    from cryptflow import _native

    # Nothing of Python runs until the command has ended: who interrupts it wants it to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(["cryptflow", *sys.argv[1:]], interpreter())


if __name__ == "__main__":
    if not __package__:
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.exit(main())
