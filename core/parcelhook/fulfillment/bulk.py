"""Ship many orders at once: sorted by provider, a hundred a call, each told apart by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.files import BadLine, Entry
from parcelhook.fulfillment.intake import take_in
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State

PER_CALL: Final = 100
ANOTHER_WORKER_SECONDS: Final = 60.0
SETTLE_PATIENCE: Final = timedelta(seconds=30)

Run = Callable[[str, str, list[str]], object]


@dataclass(slots=True, eq=False)
class Result:
    """What became of one entry: its shipment where there is one, else the error."""

    line: int
    order_id: str
    row: ShipmentRow | None = None
    existed: bool = False
    error: str = ""
    what_to_do: str = ""


def ship(
    store: Store,
    entries: Sequence[Entry | BadLine],
    *,
    run: Run,
    told: Callable[[int], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
) -> list[Result]:
    """Take in entries and send what is ready in full calls; give what became of each, in the order given.

    What an earlier run left open is settled first, where that can be within half a minute. ``run`` runs a flow of the
    durable engine; ``told`` is given how many shipments were dealt with.
    """
    results = [_take_in(store, entry) for entry in entries]
    _tell_repetitions(results)
    _settle(store, results, run=run, sleep=sleep)
    open_ = [result for result in results if result.row is not None and result.row.state is not State.CREATED]
    open_.sort(key=lambda result: (result.row.carrier if result.row else "", result.order_id))
    while batch := _next_call(open_):
        ids = [result.row.id for result in batch if result.row]
        outcomes = run("send", store.id, ids)
        _read_again(store, batch, outcomes if isinstance(outcomes, Mapping) else {})
        told(len(batch))
        dealt_with = set(batch)
        open_ = [result for result in open_ if result not in dealt_with]
    return results


def _take_in(store: Store, entry: Entry | BadLine) -> Result:
    if isinstance(entry, BadLine):
        return Result(entry.line, entry.order_id, error=entry.error, what_to_do=entry.what_to_do)
    try:
        row, is_new = take_in(store, entry.wish)
    except ParcelhookError as error:
        return Result(entry.line, entry.wish.order_id, error=error.message, what_to_do=error.what_to_do)
    return Result(entry.line, entry.wish.order_id, row=row, existed=not is_new and row.state is State.CREATED)


def _tell_repetitions(results: Sequence[Result]) -> None:
    """Note lines whose shipment an earlier line asked for already: it is created once, and counted once."""
    seen: set[str] = set()
    for result in results:
        if result.row is not None:
            result.existed = result.existed or result.row.id in seen
            seen.add(result.row.id)


def _settle(store: Store, results: Sequence[Result], *, run: Run, sleep: Callable[[float], object]) -> None:
    """Let the outcomes be found that an earlier run, or one that died, left open."""
    give_up_at = store.clock() + SETTLE_PATIENCE
    while open_ := [result for result in results if _settles_by(result.row, give_up_at)]:
        due = [result.row.id for result in open_ if result.row and _settles_by(result.row, store.clock())]
        for start in range(0, len(due), PER_CALL):
            run("settle", store.id, due[start : start + PER_CALL])
        for result in open_:
            if result.row is not None:
                result.row = store.ledger.shipments.get(result.row.id)
        if store.clock() >= give_up_at:
            return
        sleep(0.1)


def _settles_by(row: ShipmentRow | None, moment: datetime) -> bool:
    """Tell whether a shipment's outcome is open, nobody will hold it by then, and Wix must have settled."""
    if row is None or row.state is not State.SENDING:
        return False
    is_held = row.claimed_until is not None and row.claimed_until >= moment
    return not is_held and (row.due_at is None or row.due_at <= moment)


def _next_call(open_: Sequence[Result]) -> list[Result]:
    """Give the next hundred shipments, no two of one order: the second goes with the next call."""
    chosen: dict[str, Result] = {}
    for result in open_:
        if len(chosen) < PER_CALL:
            chosen.setdefault(result.order_id, result)
    return list(chosen.values())


def _read_again(store: Store, batch: Sequence[Result], outcomes: Mapping[str, object]) -> None:
    """Read the shipments as they are now; one that a running service took first is waited for."""
    deadline = time.monotonic() + ANOTHER_WORKER_SECONDS
    for result in batch:
        if result.row is None:
            continue
        result.row = store.ledger.shipments.get(result.row.id)
        while result.row.id not in outcomes and _is_under_way(result.row) and time.monotonic() < deadline:
            time.sleep(0.1)
            result.row = store.ledger.shipments.get(result.row.id)
        result.existed = result.existed or outcomes.get(result.row.id) == "existing"
        result.error, result.what_to_do = result.row.error, result.row.what_to_do


def _is_under_way(row: ShipmentRow) -> bool:
    return row.due_at is None and row.state in {State.WAITING_LINK, State.READY, State.SENDING}
