"""What waits for a person's decision, the ways out there are, and each of them taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from parcelhook.errors import InputError, Undecided, WrongState
from parcelhook.fulfillment.booking import FIND, LOOK
from parcelhook.fulfillment.cancellation import NOTHING_TO_SHIP, cancel_booking
from parcelhook.fulfillment.corrections import drop_failed, renamed, rivals_of
from parcelhook.fulfillment.deletion import GONE
from parcelhook.fulfillment.intake import new_shipment, take_in
from parcelhook.fulfillment.linking import can_link
from parcelhook.fulfillment.matching import bound, is_bound, watch
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.fulfillment.routing import BOOK
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.undertaking import check_decided, listed
from parcelhook.fulfillment.wishes import wish_of
from parcelhook.ledger import BookingRow, BookingState, Ledger, ShipmentRow, State, moves
from parcelhook.models import ShipmentItem
from parcelhook.numbers import as_given, normalise
from parcelhook.wix.fulfillments import Fulfillment
from parcelhook.wix.orders import WixOrder

ALL: Final = 1_000_000

MEANING: Final = {
    "keep": "what is at Wix stands",
    "delete": "delete the fulfillment at Wix",
    "again": "send it anew; only where Wix does not have it",
    "drop": "nothing is to be shipped; only where Wix does not have it",
}
"""The ways out of a review, by the option that takes them."""


@dataclass(frozen=True, slots=True)
class Review:
    """A shipment that waits for a person: since when, why, what was advised, and the ways out that apply to it."""

    row: ShipmentRow
    since: datetime
    why: str
    what_to_do: str
    ways: tuple[str, ...]


def in_review(ledger: Ledger, *, store: str | None = None) -> list[Review]:
    """Give what waits for a person, the oldest first: shipments, and bookings that stand though nothing is shipped."""
    rows = ledger.shipments.find(store=store, states={State.NEEDS_REVIEW}, limit=ALL)
    asked = ledger.notices.latest(rows, kind="needs_review")
    bookings = {each.shipment_id: each for each in ledger.bookings.find(store=store, state=BookingState.NEEDS_REVIEW)}
    reviews = [
        Review(row, asked[row.id].at if row.id in asked else row.updated_at, row.error, row.what_to_do, ways(row))
        for row in rows
    ]
    alone = bookings.keys() - {row.id for row in rows}
    reviews += [_of_booking(ledger.shipments.get(id_), bookings[id_]) for id_ in alone]
    return sorted(reviews, key=lambda review: (review.since, review.row.id))


def _of_booking(row: ShipmentRow, booking: BookingRow) -> Review:
    why = f"its booking with {booking.carrier} may stand: {booking.error}"
    return Review(row, booking.updated_at, why, booking.what_to_do or LOOK, ("drop",))


def ways(row: ShipmentRow) -> tuple[str, ...]:
    """Give the ways out that may apply to a shipment in review; what Wix has is only known when one is taken."""
    if row.fulfillment_id is not None:
        return ("keep", "delete")
    if row.sent_at is not None:
        return ("keep", "delete", "again", "drop")
    return ("again", "drop")


def check_in_review(store: Store, row: ShipmentRow, *, way: str) -> None:
    """Raise WrongState where no person was asked about a shipment, or Undecided where another process is at it."""
    is_stray = row.state is not State.NEEDS_REVIEW and _booking_in_review(store, row) is not None
    if row.state is not State.NEEDS_REVIEW and not is_stray:
        msg = f"shipment {row.id} is {row.state}, and nobody was asked about it"
        raise WrongState(msg, field="ID", what_to_do="See `parcelhook review list`.")
    if is_stray and way != "drop":
        msg = f"shipment {row.id} is {row.state}; it is its booking that a person was asked about"
        hint = f"Once the carrier has none: parcelhook review resolve {row.id} --drop"
        raise WrongState(msg, field="ID", what_to_do=hint)
    check_decided(store, row)


def keep(store: Store, row: ShipmentRow, *, fulfillment_id: str | None = None) -> ShipmentRow:
    """Let stand what is at Wix; a shipment without a known fulfillment is bound to the one with its number, or named.

    Raise WrongState or InputError where Wix, asked now, shows no such fulfillment, or it is another shipment's.
    """
    present = listed(store, row.order_id)
    wanted = fulfillment_id or row.fulfillment_id
    if row.fulfillment_id is not None and wanted != row.fulfillment_id:
        msg = f"shipment {row.id} is fulfillment {row.fulfillment_id}, not {fulfillment_id}"
        raise InputError(msg, field="--fulfillment", what_to_do="Leave --fulfillment out.")
    found = _chosen(row, present, wanted)
    if row.fulfillment_id is None:
        return _bind(store, row, found)
    kept = store.ledger.shipments.move(moves.kept(row, reason=row.error))
    if found.status != row.wix_status:
        store.ledger.shipments.note_wix_status(row.id, wix_status=found.status)
    return store.ledger.shipments.get(kept.id)


def _chosen(row: ShipmentRow, present: Sequence[Fulfillment], wanted: str | None) -> Fulfillment:
    if wanted is not None:
        found = next((each for each in present if each.id == wanted), None)
    else:
        found = _with_number(row, present)
    if found is not None:
        return found
    what = f"fulfillment {wanted}" if wanted else f"fulfillment with the number {row.tracking_number or '(none)'}"
    others = ", ".join(f"{each.id} ({each.tracking_number or 'no number'})" for each in present)
    has = f"It has: {others}; --fulfillment names one." if others else "It has no fulfillment at all."
    msg = f"Wix shows no {what} on order {row.order_number or row.order_id}"
    offered = " or ".join(f"--{way}" for way in ways(row) if way != "keep")
    raise WrongState(msg, field="--keep", what_to_do=f"{has} Otherwise take {offered}.")


def _with_number(row: ShipmentRow, present: Sequence[Fulfillment]) -> Fulfillment | None:
    return OrderNow(WixOrder(id=row.order_id), tuple(present)).with_number(row.tracking_number)


def _bind(store: Store, row: ShipmentRow, found: Fulfillment) -> ShipmentRow:
    if is_bound(store, row, found):
        msg = f"fulfillment {found.id} is that of another shipment"
        raise WrongState(msg, field="--fulfillment", what_to_do=f"See `parcelhook status {row.order_id}`.")
    items = tuple(ShipmentItem(line_item_id=item.id, quantity=item.quantity or 1) for item in found.line_items)
    move = replace(bound(row, found.id, found, reason=row.error), kind="kept", items=items)
    rivals: list[ShipmentRow] = []
    number = as_given(found.tracking_number) if found.tracking_number else row.tracking_number
    if normalise(number) not in {parcel.number_normalised for parcel in row.parcels} | {""}:
        new = new_shipment(store, replace(wish_of(store, row), parcels=((number, _link(store, row, found)),)))
        rivals = rivals_of(store, row, new)
        move = replace(renamed(move, new, rivals), parcels=new.parcels)
    kept = store.ledger.shipments.move(move)
    drop_failed(store, rivals, kept)
    watch(store, [kept])
    return kept


def _link(store: Store, row: ShipmentRow, found: Fulfillment) -> str | None:
    """Give the link Wix shows, where the carrier could not give one by itself."""
    has_own = can_link(store.registry, store.registry.carrier(row.carrier))
    return None if has_own or found.tracking_info is None else found.tracking_info.link


def again(store: Store, row: ShipmentRow) -> ShipmentRow:
    """Let a shipment be sent, or booked, anew, and give it; raise WrongState where Wix, asked now, has it."""
    reason = "a person who was asked wants it sent anew"
    if not row.parcels:
        is_booked = BOOK in store.registry.hook_names(row.carrier)
        due_at = store.clock() if is_booked else None
        return store.ledger.shipments.move(moves.wait_for_number(row, reason=reason, due_at=due_at))
    present = listed(store, row.order_id)
    _check_absent(store, row, present, way="again")
    if _with_number(row, present) is not None:
        msg = f"the number {row.tracking_number} is on another shipment of this order already"
        raise WrongState(msg, field="--again", what_to_do=f"See `parcelhook status {row.order_id}`, and take --drop.")
    if row.fulfillment_id is None:
        return store.ledger.shipments.move(moves.again(row, reason=reason))
    store.ledger.shipments.move(moves.deleted(row, reason=GONE))
    return take_in(store, wish_of(store, row))[0]


def drop(store: Store, row: ShipmentRow) -> ShipmentRow:
    """Let nothing be shipped, and cancel what was booked; raise WrongState where Wix, asked now, has it."""
    if row.state is State.NEEDS_REVIEW:
        _check_absent(store, row, listed(store, row.order_id), way="drop")
        is_known = row.fulfillment_id is not None
        move = moves.deleted(row, reason=GONE) if is_known else moves.canceled(row, reason=NOTHING_TO_SHIP)
        row = store.ledger.shipments.move(move)
    _close_booking(store, row)
    cancel_booking(store, row)
    return store.ledger.shipments.get(row.id)


def _check_absent(store: Store, row: ShipmentRow, present: Sequence[Fulfillment], *, way: str) -> None:
    its = next((each for each in present if each.id == row.fulfillment_id), None) or _with_number(row, present)
    if its is not None and not is_bound(store, row, its):
        msg = f"Wix has it: fulfillment {its.id}"
        hint = f"parcelhook review resolve {row.id} --keep, or --delete"
        raise WrongState(msg, field=f"--{way}", what_to_do=hint)
    if row.fulfillment_id and row.sent_at and store.clock() < row.sent_at + store.settle:
        msg = f"Wix may not show fulfillment {row.fulfillment_id} yet"
        raise Undecided(msg, what_to_do=f"Run the same command again after {row.sent_at + store.settle:%H:%M:%S} UTC.")


def _booking_in_review(store: Store, row: ShipmentRow) -> BookingRow | None:
    found = store.ledger.bookings.find(store=store.id, shipment_id=row.id, state=BookingState.NEEDS_REVIEW)
    return found[0] if found else None


def _close_booking(store: Store, row: ShipmentRow) -> None:
    """Close a booking that a person was asked about: what the carrier can say goes before what the person does."""
    booking = _booking_in_review(store, row)
    if booking is None:
        return
    if booking.booking is None and FIND in store.registry.hook_names(booking.carrier):
        found = store.registry.find_booking(booking.carrier, booking.key)
        if found is not None:
            # Which is canceled with it.
            store.ledger.bookings.finish(store.id, answer=found)
            return
    store.ledger.bookings.cancel(store.id, key=booking.key)
