"""Log what plug-ins do, and keep out of standard output, which belongs to what a command prints."""

from __future__ import annotations

import sys
from typing import cast

from parcelhook.context import Logger


def logger(**values: str) -> Logger:
    """Give a logger with values bound to it: as structlog is configured, else to standard error."""
    import structlog  # noqa: PLC0415 - few calls log, and the import is slow

    if structlog.is_configured():
        return cast("Logger", structlog.get_logger(**values))
    return cast("Logger", structlog.wrap_logger(structlog.PrintLogger(sys.stderr)).bind(**values))
