"""Canada Post: numbers, links and statuses."""

from __future__ import annotations

from parcelhook import Carrier, hookimpl

carrier = Carrier.load(__package__)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve Canada Post."""
    return [carrier]
