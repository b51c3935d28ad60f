"""Give shipments their provider and link before anything is sent; without a valid link a shipment waits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Final

from parcelhook.errors import CarrierRefused, ParcelhookError, UnknownCarrier
from parcelhook.fulfillment.linking import LINK, TrackingInfo, tracking_info
from parcelhook.fulfillment.store import Outcome, Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import NewShipment, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import Shipment

TRIES: Final = 5
ASKED_AT_ONCE: Final = 8


def link_all(store: Store, rows: Sequence[ShipmentRow], outcomes: dict[str, Outcome]) -> list[ShipmentRow]:
    """Give those of the shipments that can be sent, with provider and link; ``outcomes`` tells about the others.

    Carriers' hooks are asked a few at a time, and their answers kept before anything is sent. A link that needs no
    hook is written down with the sending.
    """
    infos = _infos(store, [row for row in rows if row.state is State.WAITING_LINK])
    linked: dict[str, ShipmentRow] = {}
    decided: list[tuple[Move, Outcome | None]] = []
    for row in rows:
        info = infos.get(row.id)
        if info is None:
            linked[row.id] = row
        elif isinstance(info, ParcelhookError):
            decided.append(_without_link(store, row, info))
        elif _asks(store, row):
            decided.append((_ready(row, info), None))
        else:
            linked[row.id] = row.changed(
                provider=info.provider, tracking_url=info.url, link_source=info.source, attempts=0, ambiguous=0
            )
    moved = {row.id: row for row in store.ledger.shipments.move_all([move for move, _ in decided])}
    outcomes |= {move.row.id: outcome for move, outcome in decided if outcome and move.row.id in moved}
    linked |= {its: row for its, row in moved.items() if row.state is State.READY}
    return [linked[row.id] for row in rows if row.id in linked]


def _infos(store: Store, rows: Sequence[ShipmentRow]) -> dict[str, TrackingInfo | ParcelhookError]:
    if not any(_asks(store, row) for row in rows):
        return {row.id: _info(store, row) for row in rows}
    with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="link") as pool:
        infos = pool.map(lambda row: _info(store, row), rows)
        return dict(zip((row.id for row in rows), infos, strict=True))


def link_of(store: Store, row: ShipmentRow, intent: ShipmentRow | NewShipment) -> TrackingInfo:
    """Give provider and link that a shipment has with the carrier and number of an intent, its own or another.

    Raise InvalidTrackingLink or CarrierError as ``tracking_info`` does.
    """
    first = intent.parcels[0]
    shipment = Shipment(
        carrier=intent.carrier,
        tracking_number=first.number,
        store=row.store,
        order_id=row.order_id,
        order_number=row.order_number,
        items=row.items,
        postal_code=row.postal_code,
        country=row.country,
    )
    local = store.wix.is_loopback
    return tracking_info(store.registry, shipment, given_url=first.tracking_url, allow_loopback=local)


def _info(store: Store, row: ShipmentRow) -> TrackingInfo | ParcelhookError:
    try:
        return link_of(store, row, row)
    except ParcelhookError as error:
        return error


def _asks(store: Store, row: ShipmentRow) -> bool:
    try:
        return LINK in store.registry.hook_names(row.carrier)
    except UnknownCarrier:
        return False


def _ready(row: ShipmentRow, info: TrackingInfo) -> Move:
    move = moves.ready(row, provider=info.provider, tracking_url=info.url, link_source=info.source)
    return replace(move, keeps_claim=True)


def _without_link(store: Store, row: ShipmentRow, error: ParcelhookError) -> tuple[Move, Outcome]:
    """Ask the hook again a few times, whatever was wrong with its answer, then a person."""
    is_final = isinstance(error, CarrierRefused) or not _asks(store, row)
    if not is_final and row.attempts < TRIES:
        wait = getattr(error, "retry_after", None) or 5 * 4**row.attempts
        due_at = store.clock() + timedelta(seconds=wait)
        return moves.wait_for_link(row, reason=error.message, due_at=due_at), Outcome.WAITING
    hint = error.what_to_do or "Give the complete link with --url, or mend the plug-in, and run the same command again."
    return moves.needs_review(row, reason=error.message, what_to_do=hint), Outcome.REVIEW
