"""UPS: numbers, links and statuses."""

from __future__ import annotations

from parcelhook import Carrier, Scan, Status, StatusChange, hookimpl

carrier = Carrier.load(__package__)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve UPS."""
    return [carrier]


@hookimpl
def parcelhook_map_status(scan: Scan) -> StatusChange | None:
    """Take type D for delivered where the text says no less: Track Alert uses it for parcels on their way, too."""
    delivered = scan.extra.get("type") == "D" and scan.description.strip(" .").casefold() == "delivered"
    return StatusChange(status=Status.DELIVERED) if delivered else None
