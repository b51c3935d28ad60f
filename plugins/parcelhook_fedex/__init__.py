"""FedEx: numbers, links and statuses."""

from __future__ import annotations

from parcelhook import Carrier, Scan, StatusChange, hookimpl
from parcelhook_fedex.exceptions import refined

carrier = Carrier.load(__package__)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve FedEx."""
    return [carrier]


@hookimpl
def parcelhook_map_status(scan: Scan) -> StatusChange | None:
    """Let exception code, delay and text refine a coarse code; an unknown one is read by its derivedStatusCode."""
    row = carrier.statuses.get(scan.code) or carrier.statuses.get(scan.extra.get("derivedStatusCode", ""))
    return None if row is None or row.info else refined(row.status, row.reason, scan)
