"""Logs of the service: one JSON object a line on stderr, with ids, and never a secret or a consignee's data."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

HANDLER: Final = "parcelhook"
"""The name of our handler of Python's own logging, so that it can be replaced."""


def configure(*, level: int = logging.INFO) -> None:
    """Send every log from a level upwards to stderr as JSON; at ``DEBUG``, errors come with their traceback.

    What libraries log comes the same way, from ``WARNING`` upwards: below that they tell URLs and queries.
    """
    processors: tuple[structlog.typing.Processor, ...] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_traceback if level <= logging.DEBUG else _without_traceback,
    )
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _take_in_libraries(processors, level=max(level, logging.WARNING))


def _take_in_libraries(processors: tuple[structlog.typing.Processor, ...], *, level: int) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=(*processors, _named),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(HANDLER)
    handler.setLevel(level)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for former in [each for each in root.handlers if each.name == HANDLER]:
        root.removeHandler(former)
    root.addHandler(handler)


def _named(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Tell which library it was."""
    event["logger"] = event["_record"].name
    return event


_with_traceback: Final = structlog.processors.ExceptionRenderer(
    # Local variables hold tokens and addresses.
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def _without_traceback(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Name an error's kind and place alone: its text and its frames may hold what must not be shown."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    frame = error.__traceback__ if error else None
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    event["error"] = type(error).__name__
    event["at"] = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return event
