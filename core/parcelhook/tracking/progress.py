"""Ask carriers about the parcels that are due, fold what they say, and note what Wix is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from parcelhook.carrier import Carrier
from parcelhook.errors import ParcelhookError, UnknownCarrier
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import Judgement, ParcelRow, State, moves
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.models import Scan, Status, StatusChange, TrackingQuery, TrackingReport
from parcelhook.numbers import normalise
from parcelhook.statuses import ParcelState, all_scans, fold, mapped, needs_review, shipment_status, wix_status
from parcelhook.tracking.cadence import next_poll_at

NO_ANSWER: Final = timedelta(minutes=5)


@dataclass
class Progress:
    """What one look at the carriers came to."""

    polled: int = 0
    changed: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def poll(store: Store) -> Progress:
    """Ask about every parcel of the store that is due, in the carriers' batches."""
    progress = Progress()
    for group in store.ledger.parcels.due():
        if group.store != store.id:
            continue
        try:
            carrier = store.registry.carrier(group.carrier)
        except UnknownCarrier as error:
            progress.errors.append(error.message)
            continue
        for _ in range(0, group.count, carrier.batch_size):
            parcels = store.ledger.parcels.take_due(
                store=store.id, carrier=carrier.id, account=group.account, limit=carrier.batch_size
            )
            if parcels:
                _ask(store, carrier, parcels, progress)
    return progress


def _ask(store: Store, carrier: Carrier, parcels: Sequence[ParcelRow], progress: Progress) -> None:
    queries = tuple(
        TrackingQuery(
            number=parcel.number, ship_date=parcel.ship_date, postal_code=parcel.postal_code, country=parcel.country
        )
        for parcel in parcels
    )
    progress.polled += len(parcels)
    try:
        reports = store.registry.track(carrier.id, queries)
    except ParcelhookError as error:
        progress.errors.append(f"{carrier.id}: {error.message}")
        wait = timedelta(seconds=getattr(error, "retry_after", None) or 0) or NO_ANSWER * store.poll_scale
        store.ledger.parcels.poll_at([parcel.id for parcel in parcels], store.clock() + wait)
        return
    by_number = {normalise(report.number): report for report in reports}
    for parcel in parcels:
        # A carrier that says nothing about a parcel does not know it yet.
        report = by_number.get(parcel.number_normalised) or TrackingReport(number=parcel.number, found=False)
        try:
            note_report(store, carrier, parcel, report, progress)
        except ParcelhookError as error:
            progress.errors.append(f"{carrier.id}: {error.message}")
            store.ledger.parcels.poll_at([parcel.id], store.clock() + NO_ANSWER * store.poll_scale)


def note_report(store: Store, carrier: Carrier, parcel: ParcelRow, report: TrackingReport, progress: Progress) -> None:
    """Keep a report about a parcel, and move the shipments it belongs to.

    A parcel that changed, or came to its end, is due again soon until its shipments know: where the process dies in
    between, the carrier is asked once more.
    """
    now = store.clock()

    def ask(scan: Scan) -> StatusChange | None:
        return store.registry.map_status(carrier.id, scan)

    def judge(scans: tuple[Scan, ...]) -> Judgement:
        state = fold(scans)
        due_at = next_poll_at(state.status, now=now, scale=store.poll_scale)
        if due_at is None or (state.status, state.reason) != (parcel.status, parcel.reason):
            due_at = now + NO_ANSWER * store.poll_scale
        return Judgement(status=state.status, reason=state.reason, next_poll_at=due_at)

    scans = tuple(mapped(carrier, scan, ask=ask) for scan in all_scans(report))
    for scan in scans:
        if scan.status is Status.UNKNOWN and not scan.informational:
            progress.unmapped[f"{carrier.id}/{scan.code}"] = progress.unmapped.get(f"{carrier.id}/{scan.code}", 0) + 1
    recorded = store.ledger.parcels.record(parcel.id, scans, found=report.found, judge=judge)
    progress.changed += recorded.has_changed
    rows = store.ledger.parcels.shipments_of(parcel.id)
    due_at = next_poll_at(recorded.parcel.status, now=now, scale=store.poll_scale)
    moved_on = [_move_on(store, row) for row in rows]
    if all(moved_on) and due_at != recorded.parcel.next_poll_at:
        store.ledger.parcels.poll_at([parcel.id], due_at)


def _move_on(store: Store, row: ShipmentRow) -> bool:
    """Give a shipment the status of its slowest parcel, and note whom to tell: Wix, or a person who must look.

    Give False where another process changed the shipment meanwhile, and it is to be looked at again.
    """
    states = [ParcelState(status=parcel.status, reason=parcel.reason) for parcel in row.parcels]
    status = shipment_status(states)
    reason = next((state.reason for state in states if state.status is status), None)
    has_changed = (status, reason) != (row.status, row.reason)
    if has_changed and needs_review(status) and row.state is State.CREATED:
        text = f"the parcel is {status.value.replace('_', ' ')}" + (f" ({reason.value})" if reason else "")
        what_to_do = "Tell the customer, and send it again or refund it."
        if not store.ledger.shipments.move_all([moves.needs_review(row, reason=text, what_to_do=what_to_do)]):
            return False
    wanted = wix_status(status)
    store.ledger.shipments.set_status(
        row.id, status=status, reason=reason, wanted_wix_status=wanted.value if wanted else None
    )
    return True
