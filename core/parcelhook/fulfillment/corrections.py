"""Correct a number that was typed wrongly, at Wix and here, or before anything was sent, in the intent alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from parcelhook.errors import InputError, TrackingNumberExists, WixError, WrongState
from parcelhook.fulfillment.cancellation import AFTER_FULFILLMENT
from parcelhook.fulfillment.intake import new_shipment
from parcelhook.fulfillment.linkage import link_of
from parcelhook.fulfillment.linking import TrackingInfo
from parcelhook.fulfillment.matching import watch
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.undertaking import (
    BEGUN,
    check_decided,
    found_after_all,
    is_gone,
    listed,
    note,
    undertake,
)
from parcelhook.fulfillment.wishes import command_for, quoted, wish_of
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import NewShipment, ShipmentParcel, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.numbers import normalise
from parcelhook.statuses import needs_review
from parcelhook.wix.fulfillments import PREDEFINED_PROVIDERS, Fulfillment, OrderFulfillments

OVER: Final = frozenset({State.CANCELED, State.DELETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a shipment is to have: a number, and where they change too, another carrier and the complete link."""

    number: str
    carrier: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Corrected:
    """The shipment as it is now, and whether anything was changed, here or at Wix."""

    row: ShipmentRow
    is_changed: bool


def correct(store: Store, row: ShipmentRow, correction: Correction) -> Corrected:
    """Give a shipment the right number; what was interrupted is finished by the same call again.

    What Wix has is updated first and noted then. A shipment Wix does not have waits with its new number to be sent.
    Raise WrongState or InputError where it cannot be corrected, and Undecided where Wix's answer leaves it open.
    """
    _check_state(row)
    check_decided(store, row)
    new = _new_shipment(store, row, correction)
    row = found_after_all(store, row)
    if _is_known(row, new) and (row.fulfillment_id is None or _is_at_wix(store, row)):
        return Corrected(_without_note(store, row), is_changed=False)
    rivals = rivals_of(store, row, new)
    if row.fulfillment_id is None:
        revised = moves.revised(row, replace(new, items=row.items))
        corrected = store.ledger.shipments.move(renamed(revised, new, rivals))
    else:
        corrected = _correct_at_wix(store, row, new, rivals)
    drop_failed(store, rivals, corrected)
    return Corrected(corrected, is_changed=True)


def _check_state(row: ShipmentRow) -> None:
    if row.state in OVER:
        msg = f"shipment {row.id} is {row.state}: there is nothing to be corrected"
        raise WrongState(msg, field="ID", what_to_do=f"Ship the order anew: {command_for(row)}")
    if not row.parcels and row.state is not State.SENDING:
        msg = f"shipment {row.id} is {row.state} and has no number that could be corrected"
        raise WrongState(msg, field="ID", what_to_do=f"Give the order its number: {command_for(row)}")


def _new_shipment(store: Store, row: ShipmentRow, correction: Correction) -> NewShipment:
    """Give what would be asked for with the right number: checked, and under the key it is found by from then on."""
    first = row.parcels[0]
    carrier = row.carrier if correction.carrier is None else correction.carrier
    if carrier != row.carrier and len(row.parcels) > 1:
        msg = f"shipment {row.id} has {len(row.parcels)} parcels, which one carrier carries"
        hint = f"Delete it (parcelhook shipments delete {row.id}) and ship the order anew."
        raise InputError(msg, field="--carrier", what_to_do=hint)
    wish = wish_of(store, row)
    if correction.url is None and _is_same_parcel(first, carrier=carrier, number=correction.number):
        # Not even the link is to change.
        return new_shipment(store, wish)
    parcels = ((correction.number, correction.url), *wish.parcels[1:])
    return new_shipment(store, replace(wish, carrier=carrier, parcels=parcels))


def _is_same_parcel(parcel: ShipmentParcel, *, carrier: str, number: str) -> bool:
    return (parcel.carrier, parcel.number_normalised) == (carrier, normalise(number))


def _is_known(row: ShipmentRow, new: NewShipment) -> bool:
    """Tell whether the shipment is written down so already."""
    its, first = row.parcels[0], new.parcels[0]
    return _is_same_parcel(its, carrier=new.carrier, number=first.number) and its.tracking_url == first.tracking_url


def _is_at_wix(store: Store, row: ShipmentRow) -> bool:
    """Tell whether Wix shows what the shipment says: where a correction was interrupted, it may not."""
    found = next((each for each in listed(store, row.order_id) if each.id == row.fulfillment_id), None)
    info = found.tracking_info if found else None
    if info is None or (info.number or "").strip() != row.tracking_number:
        return False
    has_link = info.provider in PREDEFINED_PROVIDERS or info.link == row.tracking_url
    return has_link and row.provider in {"", info.provider}


def _without_note(store: Store, row: ShipmentRow) -> ShipmentRow:
    """Forget that another correction was begun, which left nothing at Wix."""
    if not row.error.startswith(BEGUN):
        return row
    reason = "Wix has the number it had before"
    changes = {"error": "", "what_to_do": ""}
    return store.ledger.shipments.move(moves.noted(row, kind="not_correcting", reason=reason, changes=changes))


def rivals_of(store: Store, row: ShipmentRow, new: NewShipment) -> list[ShipmentRow]:
    """Give the other shipments of the order with the number; raise InputError where one of them still stands."""
    rows = store.ledger.shipments.find(store=store.id, order_id=row.order_id, limit=100_000)
    number = new.parcels[0].number_normalised
    others = [other for other in rows if other.id != row.id]
    rivals = [
        other
        for other in others
        if other.intent_key == new.intent_key or number in {parcel.number_normalised for parcel in other.parcels}
    ]
    standing = next((other for other in rivals if other.state not in {*OVER, State.FAILED}), None)
    if standing is not None:
        msg = f"number: shipment {standing.id} of this order has it already, and is {standing.state}"
        hint = f"Check the number; if that shipment is the mistake, parcelhook shipments delete {standing.id} first."
        raise InputError(msg, field="--number", what_to_do=hint)
    return rivals


def renamed(move: Move, new: NewShipment, rivals: Sequence[ShipmentRow]) -> Move:
    """Let a shipment be found by the right number, and by the wrong one no more; a key of its own stays."""
    taken = [rival.generation for rival in rivals if rival.intent_key == new.intent_key]
    changes = {**move.changes, "intent_key": new.intent_key, "body_hash": new.body_hash}
    if new.intent_key != move.row.intent_key:
        changes["generation"] = max(taken, default=0) + 1
    return replace(move, changes=changes)


def _correct_at_wix(store: Store, row: ShipmentRow, new: NewShipment, rivals: Sequence[ShipmentRow]) -> ShipmentRow:
    info = link_of(store, row, new)
    try:
        held, answer = undertake(
            store,
            row,
            lambda: _update(store, row, new, info),
            kind="correcting",
            detail=f"{new.carrier} {new.parcels[0].number} {info.url}".rstrip(),
            command=_command(row, new),
        )
    except WixError as error:
        if not isinstance(error, TrackingNumberExists) and is_gone(store, row, error):
            _note_deleted(store, row)
        raise
    found = next((each for each in answer.fulfillments if each.id == row.fulfillment_id), None)
    corrected = note(store, held, lambda now: _corrected(now, new, info, found, rivals))
    follow_parcels(store, corrected, row.parcels)
    return corrected


def _update(store: Store, row: ShipmentRow, new: NewShipment, info: TrackingInfo) -> OrderFulfillments:
    number = new.parcels[0].number
    try:
        return store.wix.update_tracking(
            row.order_id,
            row.fulfillment_id or "",
            tracking_number=number,
            shipping_provider=info.provider,
            tracking_link=info.url or None,
        )
    except TrackingNumberExists as error:
        # An earlier call may have set it on this very fulfillment; whether that counts is nowhere documented.
        present = store.wix.list_fulfillments(row.order_id)
        owner = next((each for each in present.fulfillments if each.tracking_number == number), None)
        if owner is not None and owner.id == row.fulfillment_id:
            return present
        where = f"fulfillment {owner.id} of this order" if owner else _other_order(store, row, new)
        msg = f"the tracking number {number} is on {where} already; nothing was changed"
        hint = "Check the number; one number can be on one fulfillment only."
        raise TrackingNumberExists(
            msg,
            operation=error.operation,
            status=error.status,
            request_id=error.request_id,
            code=error.code,
            what_to_do=hint,
        ) from error


def _other_order(store: Store, row: ShipmentRow, new: NewShipment) -> str:
    number = new.parcels[0].number_normalised
    parcels = store.ledger.parcels.numbered(row.store, carrier=new.carrier, number_normalised=number)
    others = [other for parcel in parcels for other in store.ledger.parcels.shipments_of(parcel.id)]
    names = sorted({other.order_number or other.order_id for other in others if other.order_id != row.order_id})
    return f"order {', '.join(names)}" if names else "another order of the store"


def _note_deleted(store: Store, row: ShipmentRow) -> NoReturn:
    reason = "Wix does not have the fulfillment any more"
    note(store, row, lambda now: moves.deleted(now, reason=reason))
    msg = f"Wix does not have fulfillment {row.fulfillment_id} any more; shipment {row.id} is DELETED now"
    raise WrongState(msg, field="ID", what_to_do=f"Ship the order anew: {command_for(row)}")


def _corrected(
    row: ShipmentRow, new: NewShipment, info: TrackingInfo, found: Fulfillment | None, rivals: Sequence[ShipmentRow]
) -> Move:
    shown = found.tracking_info.link if found and found.tracking_info else None
    move = moves.corrected(
        row,
        parcels=new.parcels,
        carrier=new.carrier,
        provider=info.provider,
        url=info.url or shown or "",
        link_source=info.source,
        reason=f"it was {row.carrier} {row.tracking_number}",
    )
    if still_asked(row):
        same = {"error": row.error, "what_to_do": row.what_to_do}
        move = replace(move, to=State.NEEDS_REVIEW, changes={**move.changes, **same})
    return renamed(move, new, rivals)


def still_asked(row: ShipmentRow) -> bool:
    """Tell whether a person was asked something that another number does not answer: how its parcel ended is one."""
    is_about_the_parcel = needs_review(row.status) and row.error != AFTER_FULFILLMENT
    return row.state is State.NEEDS_REVIEW and not is_about_the_parcel


def follow_parcels(store: Store, row: ShipmentRow, before: Sequence[ShipmentParcel]) -> None:
    """Begin to follow the right parcel, and follow the wrong one no more unless it is another shipment's."""
    kept = {parcel.id for parcel in row.parcels}
    left = [parcel.id for parcel in before if parcel.id not in kept]
    store.ledger.parcels.poll_at([id_ for id_ in left if not store.ledger.parcels.shipments_of(id_)], None)
    watch(store, [row])


def drop_failed(store: Store, rivals: Sequence[ShipmentRow], corrected: ShipmentRow) -> None:
    """Drop what was tried with the right number before, and failed because the order was shipped with the wrong one."""
    failed = [rival for rival in rivals if rival.state is State.FAILED]
    reason = f"its number is that of shipment {corrected.id} now"
    store.ledger.shipments.move_all([moves.canceled(rival, reason=reason) for rival in failed])


def _command(row: ShipmentRow, new: NewShipment) -> str:
    first = new.parcels[0]
    url = f" --url {quoted(first.tracking_url)}" if first.tracking_url else ""
    return f"parcelhook shipments correct {row.id} --number {quoted(first.number)} --carrier {new.carrier}{url}"
