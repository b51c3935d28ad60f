"""Ship lines of a file to a shop, as the command does, without the command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parcelhook.engine import Json
from parcelhook.flows import Flows
from parcelhook.fulfillment.bulk import Shipping
from parcelhook.fulfillment.files import BadLine, Line
from parcelhook.fulfillment.spool import Result, Spool, spooled
from shops import ID, Shop

Lines = Sequence[Line | BadLine]
TWO_ITEMS = [{"quantity": 2}, {"quantity": 1}]
"""The line items of an order: two of the first, one of the second."""


def line(number: int, order_id: str, tracking_number: str, *, carrier: str = "ups", **row: str) -> Line:
    """Give a line of a file."""
    return Line(number, "", {"order_id": order_id, "carrier": carrier, "tracking_number": tracking_number, **row})


def listed(shop: Shop, order_ids: Sequence[str]) -> list[Line]:
    """Give one line for each order, with a number of its own."""
    return [line(number, order_id, shop.number()) for number, order_id in enumerate(order_ids, 2)]


@dataclass
class Told:
    """What a run told while it went on."""

    counts: list[int] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    pauses: list[tuple[str, datetime]] = field(default_factory=list)


@contextmanager
def ready(shop: Shop, lines: Lines, told: Told | None = None, **changes: Any) -> Iterator[tuple[Shipping, Spool]]:  # noqa: ANN401 - arguments of Shipping
    """Give what ships lines as the engine would, without the engine."""
    told = told or Told()

    def run(name: str, store: str, arguments: list[Any]) -> Json:
        assert name in {"ship", "send", "settle"}
        assert len(arguments) <= 200
        return Flows({ID: shop.store}).by_name()[name](store, arguments)

    given: dict[str, Any] = {
        "run": run,
        "told": told.counts.append,
        "warn": lambda *warning: told.warnings.append(warning),
        "pause": lambda *pause: told.pauses.append(pause),
        "sleep": shop.clock.advance,
        **changes,
    }
    with spooled() as spool:
        spool.take(lines)
        yield Shipping(shop.store, spool, **given), spool


def shipped(shop: Shop, lines: Lines, told: Told | None = None, **changes: Any) -> list[Result]:  # noqa: ANN401 - as ready
    """Ship lines, and give what became of each parcel."""
    with ready(shop, lines, told, **changes) as (shipping, spool):
        shipping.ship()
        return list(spool.results())


def states(results: Sequence[Result]) -> Counter[str]:
    """Count what became of parcels."""
    return Counter("EXISTING" if each.existed and each.state == "CREATED" else each.state for each in results)


def counts(shop: Shop, order_ids: Sequence[str]) -> list[int]:
    """Count the fulfillments of orders at Wix."""
    fulfillments = shop.control("GET", "fulfillments")
    return [len(fulfillments[order_id]) for order_id in order_ids]


def at_wix(shop: Shop, order_id: str) -> dict[str, dict[str, int]]:
    """Give the items of an order's fulfillments at Wix, by number."""
    return {
        each["trackingInfo"]["trackingNumber"]: {item["id"]: item["quantity"] for item in each["lineItems"]}
        for each in shop.fulfillments(order_id)
    }
