"""Turn shipments into fulfillments at Wix: link, plan, write down, call, and read the answer.

Every shipment is written down as SENDING before the call leaves. Wix has no idempotency key, so an answer that leaves
the outcome open is never followed by another create, but by ``settle``, which first asks Wix what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from parcelhook.errors import ParcelhookError, TrackingNumberExists, WixError
from parcelhook.fulfillment.answers import after_bulk, after_create, after_failure, look_up_number
from parcelhook.fulfillment.intake import TakenIn, Wish, take_in_all
from parcelhook.fulfillment.linkage import link_all
from parcelhook.fulfillment.planning import Planned, plan_all
from parcelhook.fulfillment.refusals import put_back_outcome
from parcelhook.fulfillment.store import LEASE_SECONDS, TO_SEND, Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.statuses import wix_status
from parcelhook.wix.fulfillments import NewFulfillment

MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Shipped:
    """What became of a wish: its shipment and the outcome, None where another process has it; or what is wrong.

    With an outcome and no shipment, nothing was done about it yet.
    """

    shipment: str
    outcome: Outcome | None
    error: str = ""
    what_to_do: str = ""


def send(store: Store, shipment_ids: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Send up to 100 shipments that are due, or those named, which may be more if they are of at most 100 orders.

    Give what became of each, by shipment id; what another process took over or canceled meanwhile is not in the answer.
    """
    claimed = store.ledger.shipments.claim(
        store.id,
        states=TO_SEND,
        owner=store.owner,
        lease_seconds=LEASE_SECONDS,
        limit=MOST if shipment_ids is None else len(shipment_ids),
        ids=shipment_ids,
    )
    return _send(store, claimed)


def ship(store: Store, wishes: Sequence[Wish]) -> list[Shipped]:
    """Take in what is wanted of up to 100 orders and send it; give what became of each wish, in the order given.

    What is new is held from its first moment, so that no other worker takes a part of what goes in one call.
    """
    try:
        taken = take_in_all(store, wishes, held_for=LEASE_SECONDS)
    except WixError as error:
        # What remains of an item could not be read: nothing was taken in.
        return [Shipped("", put_back_outcome(error), error.message, error.what_to_do)] * len(wishes)
    rows = {each.row.id: each.row for each in taken if isinstance(each, TakenIn)}
    # One that is on its way already, whoever sends it, is not among them.
    to_send = [row for row in rows.values() if row.state in TO_SEND]
    outcomes = _send(store, [row for row in to_send if row.claimed_by == store.owner])
    others = [row.id for row in to_send if row.claimed_by is None]
    outcomes |= send(store, others) if others else {}
    return [_shipped(each, outcomes) for each in taken]


def _send(store: Store, claimed: Sequence[ShipmentRow]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    with store.holding(claimed):
        linked = link_all(store, claimed, outcomes)
        planned = plan_all(store, linked, outcomes)
        send_before = store.clock() + store.send_within
        planned = _written_down(store, planned, send_before=send_before)
        if planned:
            with store.leaving_before(send_before):
                outcomes |= _create(store, planned)
    return outcomes


def _shipped(taken: TakenIn | ParcelhookError, outcomes: Mapping[str, Outcome]) -> Shipped:
    if isinstance(taken, ParcelhookError):
        return Shipped("", None, taken.message, taken.what_to_do)
    was_there = not taken.is_new and taken.row.state is State.CREATED
    return Shipped(taken.row.id, Outcome.EXISTING if was_there else outcomes.get(taken.row.id))


def _written_down(store: Store, planned: Sequence[Planned], *, send_before: datetime) -> list[Planned]:
    """Write down that these are about to be sent; from here on only Wix can say whether they were."""
    sending = [
        moves.sending(each.row, send_before=send_before, items=each.items, order_number=each.now.order.number)
        for each in planned
    ]
    rows = {row.id: row for row in store.ledger.shipments.move_all(sending)}
    # What another worker has taken over in the meantime is not in the answer, and that worker's to send.
    return [replace(each, row=rows[each.row.id]) for each in planned if each.row.id in rows]


def _create(store: Store, planned: Sequence[Planned]) -> dict[str, Outcome]:
    try:
        if len(planned) == 1:
            created = store.wix.create_fulfillment(planned[0].row.order_id, _new_fulfillment(planned[0]))
            return after_create(store, planned[0], created)
        orders = _by_order(planned)
        asked = [(its[0].row.order_id, [_new_fulfillment(each) for each in its]) for its in orders]
        return after_bulk(store, orders, store.wix.bulk_create_fulfillments(asked).items)
    except TrackingNumberExists as error:
        return look_up_number(store, planned[0]) if len(planned) == 1 else after_failure(store, planned, error)
    except WixError as error:
        return after_failure(store, planned, error)


def _by_order(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Put the shipments of one order together: whether a bulk call may name an order twice is nowhere documented."""
    orders: dict[str, list[Planned]] = {}
    for each in planned:
        orders.setdefault(each.row.order_id, []).append(each)
    return list(orders.values())


def _new_fulfillment(planned: Planned) -> NewFulfillment:
    status = wix_status(planned.row.status)
    return NewFulfillment(
        line_items=planned.items,
        tracking_number=planned.row.tracking_number,
        shipping_provider=planned.row.provider,
        tracking_link=planned.row.tracking_url or None,
        status=status.value if status else None,
    )
