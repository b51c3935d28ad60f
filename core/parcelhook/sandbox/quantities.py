"""How much of each line item is in fulfillments, and what follows for the order (Order object, Fulfillment object)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from parcelhook.sandbox.refusals import unpublished
from parcelhook.sandbox.settings import Switches
from parcelhook.sandbox.validation import Json


def fulfilled(fulfillments: Iterable[Json]) -> Counter[str]:
    """Sum the quantities of all fulfillments by line item id."""
    total: Counter[str] = Counter()
    for fulfillment in fulfillments:
        for item in fulfillment["lineItems"]:
            total[item["id"]] += item["quantity"]
    return total


def derive_status(order: Json, fulfillments: Sequence[Json]) -> str:
    """Derive an order's fulfillmentStatus; an order without shipping info counts as fulfilled."""
    if not order.get("shippingInfo"):
        return "FULFILLED"
    if not fulfillments:
        return "NOT_FULFILLED"
    done = fulfilled(fulfillments)
    whole = all(done[line["id"]] >= line["quantity"] for line in order["lineItems"])
    return "FULFILLED" if whole else "PARTIALLY_FULFILLED"


def allocate(order: Json, fulfillments: Sequence[Json], wanted: Sequence[Json], switches: Switches) -> list[Json]:
    """Give the line items of a new fulfillment with their quantities, an omitted one being what remains."""
    ordered = {line["id"]: line["quantity"] for line in order["lineItems"]}
    done = fulfilled(fulfillments)
    allocated = []
    for item in wanted:
        line_id = item["id"]
        if line_id not in ordered:
            raise unpublished(f"line item {line_id} is not in the order", switches.unknown_line_item_status, switches)
        if switches.line_item_split == "refused" and done[line_id]:
            raise unpublished(f"line item {line_id} is in a fulfillment", switches.excess_quantity_status, switches)
        quantity = _quantity(line_id, item.get("quantity"), ordered=ordered, done=done, switches=switches)
        done[line_id] += quantity
        allocated.append({"id": line_id, "quantity": quantity})
    return allocated


def _quantity(
    line_id: str, wanted: int | None, *, ordered: Mapping[str, int], done: Mapping[str, int], switches: Switches
) -> int:
    remaining = ordered[line_id] - done[line_id]
    if remaining < 1 or (wanted is not None and wanted > remaining):
        text = f"line item {line_id} has {max(remaining, 0)} left to fulfill"
        raise unpublished(text, switches.excess_quantity_status, switches)
    return remaining if wanted is None else wanted
