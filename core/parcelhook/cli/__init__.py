"""The command line: each command imports what it needs when it runs, so that ``--help`` costs next to nothing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line with the arguments of this process, and end the process with its exit code."""
    try:
        from parcelhook.cli.group import parcelhook

        parcelhook.main()
    except KeyboardInterrupt:
        sys.exit(130)
