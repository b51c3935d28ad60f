"""When a carrier is asked about a parcel again: often when something is about to happen, never when all is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from parcelhook.models import Status

INTERVALS: Final[Mapping[Status, timedelta | None]] = {
    Status.UNKNOWN: timedelta(hours=1),
    Status.PRE_TRANSIT: timedelta(hours=1),
    Status.PICKED_UP: timedelta(hours=4),
    Status.IN_TRANSIT: timedelta(hours=4),
    Status.OUT_FOR_DELIVERY: timedelta(minutes=20),
    Status.ATTEMPT_FAILED: timedelta(hours=2),
    Status.AVAILABLE_FOR_PICKUP: timedelta(hours=4),
    Status.EXCEPTION: timedelta(hours=2),
    Status.RETURN_TO_SENDER: timedelta(hours=4),
    Status.RETURNED: None,
    Status.DELIVERED: None,
    Status.FAILURE: None,
    Status.CANCELLED: None,
}
"""How long a status holds before it is worth asking again; None means that nothing more is expected."""


def next_poll_at(status: Status, *, now: datetime, scale: float = 1.0) -> datetime | None:
    """Give the time to ask again, or None for never; ``scale`` stretches or shortens every interval."""
    interval = INTERVALS[status]
    return None if interval is None else now + interval * scale
