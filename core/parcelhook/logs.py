"""Logs of the service: one JSON object a line on stderr, with ids, and never a secret or a consignee's data."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, level: int = logging.INFO) -> None:
    """Send every log from a level upwards to stderr as JSON; at ``DEBUG``, errors come with their traceback."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if level <= logging.DEBUG else _without_traceback,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _without_traceback(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Name an error's kind and place alone: its text and its frames may hold what must not be shown."""
    if event.pop("exc_info", None):
        error = sys.exc_info()[1]
        frame = error.__traceback__ if error else None
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        event["error"] = type(error).__name__
        event["at"] = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return event
