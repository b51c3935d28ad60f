"""Take a shipment back: delete its fulfillment at Wix, or drop what was never sent, and cancel its booking."""

from __future__ import annotations

from dataclasses import dataclass

from parcelhook.errors import CarrierError, WixError
from parcelhook.fulfillment.cancellation import BY_HAND, cancel_booking
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.undertaking import check_decided, found_after_all, is_gone, note, undertake
from parcelhook.ledger import moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State

GONE = "Wix did not have the fulfillment any more"


@dataclass(frozen=True, slots=True)
class Deleted:
    """The shipment as it is now, and in words what was done about it and its booking."""

    row: ShipmentRow
    told: str


def delete(store: Store, row: ShipmentRow) -> Deleted:
    """Delete a shipment, at Wix too where Wix has it; again it does nothing but what an interruption left undone.

    Raise Undecided where Wix's answer leaves it open, or nobody knows yet whether Wix has it: the same call decides
    later. Raise CarrierError where the shipment is gone and its booking could not be canceled yet.
    """
    check_decided(store, row)
    if row.state in {State.CANCELED, State.DELETED}:
        told = f"It was {row.state} before."
    else:
        row = found_after_all(store, row)
        row, told = _drop(store, row) if row.fulfillment_id is None else _delete_at_wix(store, row)
    try:
        booking = cancel_booking(store, row)
    except CarrierError as error:
        error.what_to_do = error.what_to_do or (
            f"Shipment {row.id} is {row.state}; run the same command again to cancel its booking."
        )
        raise
    return Deleted(row, f"{told} {booking[:1].upper()}{booking[1:]}.".removesuffix(" .") if booking else told)


def _drop(store: Store, row: ShipmentRow) -> tuple[ShipmentRow, str]:
    return store.ledger.shipments.move(moves.canceled(row, reason=BY_HAND)), "Wix never had it: it is CANCELED."


def _delete_at_wix(store: Store, row: ShipmentRow) -> tuple[ShipmentRow, str]:
    fulfillment_id, reason = row.fulfillment_id or "", BY_HAND
    try:
        row, _ = undertake(
            store,
            row,
            lambda: store.wix.delete_fulfillment(row.order_id, fulfillment_id),
            kind="deleting",
            detail=fulfillment_id,
            command=f"parcelhook shipments delete {row.id}",
        )
    except WixError as error:
        if not is_gone(store, row, error):
            raise
        row, reason = store.ledger.shipments.get(row.id), GONE
    # Wix's own webhook about it may have come first.
    present = store.ledger.shipments.get(row.id)
    if present.state is not State.DELETED:
        present = note(store, present, lambda now: moves.deleted(now, reason=reason))
    told = "was deleted" if reason == BY_HAND else "was gone from Wix already"
    return present, f"Fulfillment {fulfillment_id} {told}."
