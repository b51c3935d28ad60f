"""Read a ``Retry-After`` header: seconds or an HTTP date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_until_retry(value: str, *, now: datetime | None = None) -> float | None:
    """Give the seconds a ``Retry-After`` header (RFC 9110, 10.2.3) asks to wait, or None where it cannot be read."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds())
