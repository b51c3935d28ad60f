"""Carriers known by their numbers and pages alone; see ``carriers.toml``."""

from __future__ import annotations

from parcelhook import Carrier, hookimpl

carriers = Carrier.load_all(__package__)


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve every carrier of the catalogue."""
    return list(carriers)
