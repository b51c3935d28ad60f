"""What a list of an order's fulfillments tells: the echo of what we did ourselves, or what others did by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from parcelhook.errors import InvalidTrackingNumber, ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.comparison import compare
from parcelhook.fulfillment.corrections import follow_parcels, renamed, still_asked
from parcelhook.fulfillment.intake import new_shipment
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.wishes import is_keyed, wish_of
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import NewParcel, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.numbers import as_given, normalise
from parcelhook.statuses import forward
from parcelhook.wix.fulfillments import Fulfillment, OrderFulfillments, TrackingInfo

AT_WIX: Final = "changed at Wix"
"""Why a shipment has another number, provider or link than it was sent with."""


def bound_shipments(store: Store, order_id: str) -> list[ShipmentRow]:
    """Give the shipments of an order that have a fulfillment at Wix, also those a person is asked about."""
    states = {State.CREATED, State.NEEDS_REVIEW}
    rows = store.ledger.shipments.find(store=store.id, order_id=order_id, states=states)
    return [row for row in rows if row.fulfillment_id is not None]


def is_echo(ours: Sequence[ShipmentRow], present: OrderFulfillments) -> bool:
    """Tell whether a list says no more than what is known, or that a status is a step further on.

    Anything else may be older than what we did since: whether it is so, only Wix can tell.
    """
    statuses = {fulfillment.id: fulfillment.status for fulfillment in present.fulfillments}
    is_behind = any(_is_behind(row, statuses) for row in ours)
    return not is_behind and not any(_renewed(row, fulfillment) for row, fulfillment in _pairs(ours, present))


def _is_behind(row: ShipmentRow, statuses: Mapping[str, str | None]) -> bool:
    """Tell whether statuses by fulfillment id lack the shipment's, or have one that does not follow on ours."""
    seen = statuses.get(row.fulfillment_id or "")
    return row.fulfillment_id not in statuses or not (seen == row.wix_status or forward(row.wix_status, seen))


def may_lag(store: Store, row: ShipmentRow) -> bool:
    """Tell whether Wix need not show a shipment's fulfillment yet, for it was made a moment ago."""
    return row.sent_at is not None and store.clock() < row.sent_at + store.settle


def learn(store: Store, ours: Sequence[ShipmentRow], present: OrderFulfillments) -> list[str]:
    """Learn what others changed: a status set by hand, another number, a fulfillment deleted; give each in words.

    Raise ShipmentChanged, to be called again, where a change of ours is being made in this very moment.
    """
    listed = {fulfillment.id for fulfillment in present.fulfillments}
    told = []
    for row in ours:
        if row.fulfillment_id not in listed:
            store.ledger.shipments.move(moves.deleted(row, reason="it was deleted at Wix"))
            told.append(f"fulfillment {row.fulfillment_id} was deleted")
    for row, fulfillment in _pairs(ours, present):
        if fulfillment.status != row.wix_status:
            store.ledger.shipments.note_wix_status(row.id, wix_status=fulfillment.status)
            _note_status(store, row, fulfillment.status or "none")
            told.append(f"fulfillment {row.fulfillment_id} is {fulfillment.status}")
        renewed = _renewed(row, fulfillment)
        if renewed:
            _learn_tracking(store, row, fulfillment.tracking_info or TrackingInfo(), has_number="number" in renewed)
            told.append(f"fulfillment {row.fulfillment_id} has another {' and '.join(renewed)}")
    return told


def _note_status(store: Store, row: ShipmentRow, status: str) -> None:
    if row.is_held(store.clock()):
        # It may be we who tell Wix the status in this moment.
        return
    reason = "someone else set it at Wix"
    store.ledger.notices.add(
        store.id, kind="status_seen", order_id=row.order_id, shipment_id=row.id, detail=status, reason=reason
    )


def _pairs(ours: Sequence[ShipmentRow], present: OrderFulfillments) -> list[tuple[ShipmentRow, Fulfillment]]:
    at_wix = {fulfillment.id: fulfillment for fulfillment in present.fulfillments}
    return [(row, at_wix[row.fulfillment_id]) for row in ours if row.fulfillment_id in at_wix]


def _renewed(row: ShipmentRow, fulfillment: Fulfillment) -> list[str]:
    """Name what of number, provider and link is another one at Wix."""
    (compared,) = compare([fulfillment], [row])
    return [
        each.what
        for each in compared.differences
        if each.what in {"provider", "link"}
        or (each.what == "number" and normalise(each.at_wix or "") != normalise(each.here or ""))
    ]


def _learn_tracking(store: Store, row: ShipmentRow, info: TrackingInfo, *, has_number: bool) -> None:
    if row.is_held(store.clock()):
        # Which may be the very change that Wix tells of.
        msg = "its shipment is being dealt with at this moment"
        raise ShipmentChanged(msg)
    carrier = _carrier(store, row, info)
    changes = {"carrier": carrier, "provider": info.provider or "", "tracking_url": info.link or "", "link_source": ""}
    if not has_number and carrier == row.carrier:
        # The parcel is the same one, and as far on its way as it was.
        what = f"{info.provider or 'no provider'}, {info.link or 'no link'}"
        store.ledger.shipments.move(moves.noted(row, kind="corrected", detail=what, reason=AT_WIX, changes=changes))
        return
    moved = store.ledger.shipments.move(_corrected(store, row, info, carrier))
    follow_parcels(store, moved, row.parcels)


def _carrier(store: Store, row: ShipmentRow, info: TrackingInfo) -> str:
    """Give the carrier that Wix shows by its provider, the one known before where no carrier goes by that name."""
    if info.provider in {None, row.provider}:
        return row.carrier
    named = (info.provider or "").casefold()
    carriers = store.registry.carriers()
    found = next(
        (each for each in carriers if named in {(each.wix_provider or "").casefold(), each.name.casefold()}), None
    )
    return found.id if found else row.carrier


def _corrected(store: Store, row: ShipmentRow, info: TrackingInfo, carrier: str) -> Move:
    """Give the move to the number that Wix shows; the shipment is found by it from then on, as it was before."""
    parcels = (
        *_first(info.number),
        *(NewParcel(number=each.number, tracking_url=each.tracking_url) for each in row.parcels[1:]),
    )
    move = moves.corrected(
        row,
        parcels=parcels,
        carrier=carrier,
        provider=info.provider or "",
        url=info.link or "",
        reason=AT_WIX,
    )
    if still_asked(row):
        same = {"error": row.error, "what_to_do": row.what_to_do}
        move = replace(move, to=State.NEEDS_REVIEW, changes={**move.changes, **same})
    if not parcels or is_keyed(row):
        return move
    wish = replace(wish_of(store, row), carrier=carrier, parcels=((parcels[0].number, None),))
    try:
        new = new_shipment(store, wish)
    except ParcelhookError:
        # The carrier has no link of its own, say: the same cannot be asked for without one.
        return move
    rows = store.ledger.shipments.find(store=store.id, order_id=row.order_id)
    return renamed(move, new, [other for other in rows if other.id != row.id])


def _first(number: str | None) -> tuple[NewParcel, ...]:
    """Give the parcel with the number Wix shows; none where it shows none, or one that no carrier can have given."""
    try:
        return (NewParcel(number=as_given(number)),) if number else ()
    except InvalidTrackingNumber:
        return ()
