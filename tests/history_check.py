"""Judge what happened to a store: its call log and its fulfillments against the ledger, at rest.

    assert violations(history_of(shop, ledger)) == []

``history_of(place, ledger, store=..., orders=..., skip_calls=...)`` reads it. ``place`` is whatever has the sandbox's
``control(method, path)``: a Shop, an Operator, a SandboxProcess. ``orders`` are the only orders to be judged, where
others share the sandbox; ``skip_calls`` leaves out that many calls of the log, made before.

``violations(history, touched=..., may_repeat=...)`` gives a sentence for each breach of these rules, or nothing:

- each intent has one fulfillment at most, and each fulfillment at Wix is bound to one shipment;
- no tracking number is on two fulfillments of the store, but those of ``may_repeat``;
- a created shipment is bound to a fulfillment of its order that exists, with its number and its items;
- no shipment is in SENDING, and none that was deleted still has its fulfillment at Wix;
- the status at Wix is the one the ledger says, and no later one is still to be told;
- every write that reached Wix has a row of its own in the ledger, and no order took more creates than it has intents.

``touched`` are the orders on which a merchant or another app wrote too: there only our own shipments are judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from parcelhook.ledger import CallRow, Ledger, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.numbers import normalise

ALL: Final = 1_000_000
FULFILLMENTS: Final = "/ecom/v1/fulfillments/"
NO_WRITES: Final = ("/list-by-ids", "/search")

Json = dict[str, Any]


class Place(Protocol):
    """A sandbox that can be looked at from outside."""

    def control(self, method: str, path: str) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Work the sandbox's controls."""


@dataclass(frozen=True)
class History:
    """What the store has and was asked, and what the ledger says of it."""

    fulfillments: Mapping[str, Sequence[Json]]
    calls: Sequence[Json]
    shipments: Sequence[ShipmentRow]
    rows: Sequence[CallRow]


def history_of(
    place: Place, ledger: Ledger, *, store: str = "default", orders: Collection[str] | None = None, skip_calls: int = 0
) -> History:
    """Read a store's history from outside, and from the ledger."""
    fulfillments: dict[str, list[Json]] = place.control("GET", "fulfillments")
    calls: list[Json] = place.control("GET", "calls")[skip_calls:]
    shipments = ledger.shipments.find(store=store, limit=ALL)
    judged = set(fulfillments) if orders is None else set(orders)
    if orders is not None:
        calls = [call for call in calls if _order_of(call["path"]) in {*judged, ""}]
        shipments = [row for row in shipments if row.order_id in judged]
    rows = ledger.calls.find(store, limit=ALL)
    return History({order: fulfillments.get(order, []) for order in judged}, calls, shipments, rows)


def violations(history: History, *, touched: Collection[str] = (), may_repeat: Collection[str] = ()) -> list[str]:
    """Give what must not have happened, each in a sentence."""
    return [
        *_unbound(history, touched),
        *_bound_twice(history),
        *_repeated_numbers(history, {normalise(number) for number in may_repeat}),
        *_wrong_states(history),
        *_unlike(history),
        *_unwritten_calls(history, touched),
        *_too_many_creates(history, touched),
    ]


def _unbound(history: History, touched: Collection[str]) -> Iterator[str]:
    """Tell of fulfillments that no intent stands for."""
    bound = {(row.order_id, row.fulfillment_id) for row in history.shipments}
    for order, fulfillment in _all(history):
        if order in touched or (order, fulfillment["id"]) in bound:
            continue
        its = [row for row in history.shipments if row.order_id == order and _number(fulfillment) in _numbers(row)]
        whose = f"; shipment {its[0].id} with its number is {its[0].state}" if its else ""
        yield f"order {order}: no shipment is bound to fulfillment {fulfillment['id']}{whose}"


def _bound_twice(history: History) -> Iterator[str]:
    """Tell of fulfillments that two shipments claim, and of intents that are there twice."""
    bound = Counter((row.order_id, row.fulfillment_id) for row in history.shipments if row.fulfillment_id)
    for (order, fulfillment_id), count in bound.items():
        if count > 1:
            yield f"order {order}: {count} shipments are bound to fulfillment {fulfillment_id}"
    alive = [row for row in history.shipments if row.state not in {State.DELETED, State.CANCELED}]
    for (order, key), count in Counter((row.order_id, row.intent_key) for row in alive).items():
        if count > 1:
            yield f"order {order}: the intent {key} is there {count} times"


def _repeated_numbers(history: History, may_repeat: Collection[str]) -> Iterator[str]:
    places = defaultdict(list)
    for order, fulfillment in _all(history):
        places[_number(fulfillment)].append(order)
    for number, orders in places.items():
        if number and number not in may_repeat and len(orders) > 1:
            yield f"the number {number} is on {len(orders)} fulfillments, of the orders {', '.join(orders)}"


def _wrong_states(history: History) -> Iterator[str]:
    at_wix = {(order, fulfillment["id"]) for order, fulfillment in _all(history)}
    for row in history.shipments:
        exists = (row.order_id, row.fulfillment_id) in at_wix
        if row.state is State.SENDING:
            yield f"order {row.order_id}: shipment {row.id} is stuck in SENDING"
        elif row.state is State.CREATED and not exists:
            yield f"order {row.order_id}: shipment {row.id} is created, and Wix has no fulfillment {row.fulfillment_id}"
        elif row.state is State.DELETED and exists:
            yield f"order {row.order_id}: shipment {row.id} is deleted, and Wix still has its fulfillment"
        if row.state is State.CREATED and row.wanted_wix_status:
            yield f"order {row.order_id}: shipment {row.id} is still to be told as {row.wanted_wix_status}"


def _unlike(history: History) -> Iterator[str]:
    """Tell of fulfillments that are not what the shipment bound to them says."""
    at_wix = {(order, fulfillment["id"]): fulfillment for order, fulfillment in _all(history)}
    for row in history.shipments:
        found = at_wix.get((row.order_id, row.fulfillment_id))
        if found is None or row.state is State.DELETED:
            continue
        numbers, items = _numbers(row), {item.line_item_id: item.quantity for item in row.items}
        compared: list[tuple[str, object, object]] = [
            ("number", _number(found), numbers[0] if numbers else ""),
            ("status", found.get("status"), row.wix_status),
            ("items", {item["id"]: item.get("quantity", 1) for item in found["lineItems"]}, items),
        ]
        for what, seen, said in compared:
            if seen != said:
                yield f"order {row.order_id}: the {what} of fulfillment {row.fulfillment_id} is {seen}, not {said}"


def _unwritten_calls(history: History, touched: Collection[str]) -> Iterator[str]:
    """Tell of writes that reached Wix more often than the ledger says that they were to leave."""
    written = Counter((row.method, row.path) for row in history.rows)
    made = Counter((str(call["method"]), str(call["path"])) for call in history.calls if _is_write(call))
    for (method, path), count in made.items():
        if count > written[method, path] and _order_of(path) not in touched:
            yield f"{method} {path} reached Wix {count} times, and the ledger has {written[method, path]} rows of it"


def _too_many_creates(history: History, touched: Collection[str]) -> Iterator[str]:
    """Tell of orders whose creates by themselves were accepted more often than there are intents."""
    accepted = Counter(
        _order_of(call["path"])
        for call in history.calls
        if str(call["path"]).endswith("/create-fulfillment") and call["status"] == 200
    )
    intents = Counter(row.order_id for row in history.shipments if row.fulfillment_id)
    for order, count in accepted.items():
        if count > intents[order] and order not in touched:
            yield f"order {order}: Wix accepted {count} creates for {intents[order]} intents"


def _all(history: History) -> Iterator[tuple[str, Json]]:
    for order, fulfillments in history.fulfillments.items():
        for fulfillment in fulfillments:
            yield order, fulfillment


def _number(fulfillment: Json) -> str:
    return normalise(fulfillment.get("trackingInfo", {}).get("trackingNumber") or "")


def _numbers(row: ShipmentRow) -> list[str]:
    return [parcel.number_normalised for parcel in row.parcels]


def _is_write(call: Json) -> bool:
    path = str(call["path"])
    return call["method"] != "GET" and path.startswith(FULFILLMENTS) and not path.endswith(NO_WRITES)


def _order_of(path: str) -> str:
    """Give the order that a path names, or nothing."""
    parts = path.removeprefix(FULFILLMENTS).split("/") if path.startswith(FULFILLMENTS) else []
    named = parts[parts.index("orders") + 1] if "orders" in parts[:-1] else ""
    return "" if named == "bulk" else named
