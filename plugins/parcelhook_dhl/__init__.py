"""DHL: numbers, links and statuses."""

from __future__ import annotations

from parcelhook import Carrier, Scan, StatusChange, hookimpl
from parcelhook_dhl.express import meaning

carrier = Carrier.load(__package__)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve DHL."""
    return [carrier]


@hookimpl
def parcelhook_map_status(scan: Scan) -> StatusChange | None:
    """Read the letters of DHL Express, which say more than DHL's five codes."""
    return meaning(scan)
