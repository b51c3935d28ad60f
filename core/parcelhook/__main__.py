"""Run the command line as ``python -m parcelhook``."""

from __future__ import annotations

from parcelhook.cli import main

if __name__ == "__main__":
    main()
