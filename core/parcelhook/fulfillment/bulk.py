"""Ship many orders at once: sorted by carrier, a hundred a call, each told apart by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, cast

from parcelhook.errors import InputError, ParcelhookError
from parcelhook.fulfillment.intake import new_shipment, wish_as_json
from parcelhook.fulfillment.spool import Spool, Spooled
from parcelhook.fulfillment.store import TO_SEND, Outcome, Store
from parcelhook.ledger.rows import NewShipment, Standing
from parcelhook.ledger.shipments import key_reused
from parcelhook.ledger.states import State
from parcelhook.numbers import Shapes

PATIENCE: Final = timedelta(seconds=30)
"""How long a run waits at its end, beyond the settle time, while nothing of what is open is decided."""

AS_ASKED: Final = frozenset(State) - {State.FAILED, State.NEEDS_REVIEW, State.DELETED}
"""Where something came of a shipment, its key cannot be used for another one."""

LOOK_FOR_WIX_AFTER: Final = timedelta(seconds=30)
"""How long a run waits where Wix did not let it look at orders."""

PER_FLOW: Final = 100
LOOK_AGAIN_AFTER: Final = 0.1
LOOK_AGAIN_AT_MOST: Final = 1.0
_NOTHING: Final[Mapping[str, object]] = {}

Run: TypeAlias = Callable[[str, str, list[Any]], object]


class Shipping:
    """Ship what a spool holds, from one store.

    ``run`` runs a flow of the durable engine. ``told`` is given how many parcels were dealt with, each time some were;
    ``warn`` the line of a number that its carrier does not seem to give; ``pause`` why, and until when, nothing is
    sent. ``is_stopped`` tells that nothing more is to be begun. Whatever happens, the ledger knows what was begun, and
    the same file can be shipped again.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        *,
        run: Run,
        told: Callable[[int], object] = lambda _: None,
        warn: Callable[[int, str], object] = lambda *_: None,
        pause: Callable[[str, datetime], object] = lambda *_: None,
        is_stopped: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._spool = spool
        self._run = run
        self._told = told
        self._warn = warn
        self._pause = pause
        self._is_stopped = is_stopped
        self._sleep = sleep
        self._is_cut_off = False

    def ship(self) -> None:
        """Ship everything in full calls, then see to what was left open, as long as that can be decided soon."""
        recognise(self._store, self._spool, warn=self._warn)
        self._told(self._spool.dealt_with())
        for call in self._spool.calls():
            if self._is_over():
                return
            self._ship(call)
            self._told(len(call))
        self._finish()

    def _is_over(self) -> bool:
        return self._is_cut_off or self._is_stopped()

    def _ship(self, call: Sequence[Spooled]) -> None:
        """Ship the parcels of up to a hundred orders, and wait where Wix takes no calls now."""
        shipped = self._taken_in(call)
        for number, shipment, _, error, what_to_do in shipped:
            if not shipment:
                self._spool.fail(number, error=error, what_to_do=what_to_do)
        bound = {number: shipment for number, shipment, *_ in shipped if shipment}
        self._spool.bind(bound.items())
        outcomes = {shipment: outcome for _, shipment, outcome, *_ in shipped if shipment}
        self._hold_back(outcomes, self._learn(list(dict.fromkeys(bound.values())), outcomes))

    def _taken_in(self, call: Sequence[Spooled]) -> list[tuple[int, str, str | None, str, str]]:
        """Run the flow, again where nothing was taken in for want of a look at the orders; give nothing in the end."""
        tries = 0
        while not self._is_over():
            answer = self._run("ship", self._store.id, [wish_as_json(each.wish) for each in call])
            shipped = [(each.number, *its) for each, its in zip(call, cast("Any", answer), strict=True)]
            put_back = [(outcome, error) for _, shipment, outcome, error, _ in shipped if outcome and not shipment]
            if not put_back:
                return shipped
            for number, _, _, error, what_to_do in shipped:
                self._spool.put_off(number, error=error, what_to_do=what_to_do)
            outcome, error = put_back[0]
            tries += outcome != Outcome.THROTTLED
            self._is_cut_off = outcome == Outcome.FORBIDDEN or tries > 1
            self._wait_until(self._store.clock() + LOOK_FOR_WIX_AFTER, why=error)
        return []

    def _hold_back(self, outcomes: Mapping[str, object], standings: Sequence[Standing]) -> None:
        """Where a whole call was put back, wait and try once more, or as often as Wix's limits make us."""
        tries = 0
        while not self._is_over():
            back = [each for each in standings if each.state is State.READY and each.due_at is not None]
            self._is_cut_off = Outcome.FORBIDDEN in outcomes.values()
            if self._is_cut_off or not back or len(back) < len(standings):
                # Where some went through, the others wait for reasons of their own.
                return
            tries += Outcome.THROTTLED not in outcomes.values()
            if tries > 1:
                self._is_cut_off = True
                return
            self._wait_until(max(each.due_at for each in back if each.due_at), why=back[0].error)
            outcomes, standings = self._run_flow("send", [each.id for each in back])

    def _finish(self) -> None:
        """Let Wix decide what is open, and send what waits, until nothing is left that changes soon."""
        open_, give_up_at = self._spool.under_way(), self._store.clock()
        left = len(open_) + 1
        while open_ and not self._is_over():
            if len(open_) < left:
                left, give_up_at = len(open_), self._store.clock() + self._store.settle + PATIENCE
            standings = [each for chunk in _chunks(open_) for each in self._learn(chunk)]
            now = self._store.clock()
            due = {each.id: each.state for each in standings if _free_at(each, now) <= now}
            for flow, states in (("settle", {State.SENDING}), ("send", TO_SEND)):
                for chunk in _chunks([its for its, state in due.items() if state in states]):
                    self._run_flow(flow, chunk)
            open_ = self._spool.under_way()
            if not open_:
                return
            # Also after something was due: where another worker is at it, looking at once would never end.
            next_at = min((_free_at(each, now) for each in standings), default=give_up_at)
            if next_at > give_up_at or now > give_up_at:
                return
            self._sleep(min(LOOK_AGAIN_AT_MOST, max(LOOK_AGAIN_AFTER, (next_at - now).total_seconds())))

    def _run_flow(self, flow: str, ids: Sequence[str]) -> tuple[Mapping[str, object], list[Standing]]:
        answer = self._run(flow, self._store.id, list(ids))
        outcomes = answer if isinstance(answer, Mapping) else {}
        return outcomes, self._learn(ids, outcomes)

    def _learn(self, ids: Sequence[str], outcomes: Mapping[str, object] = _NOTHING) -> list[Standing]:
        standings = list(self._store.ledger.shipments.standing(ids).values())
        existing = {its for its, outcome in outcomes.items() if outcome == Outcome.EXISTING}
        self._spool.learn(standings, existing=existing)
        return standings

    def _wait_until(self, moment: datetime, *, why: str) -> None:
        if self._is_over():
            return
        self._pause(why, moment)
        while (left := (moment - self._store.clock()).total_seconds()) > 0 and not self._is_over():
            self._sleep(min(left, LOOK_AGAIN_AT_MOST))


def recognise(store: Store, spool: Spool, *, warn: Callable[[int, str], object] = lambda *_: None) -> None:
    """Find what cannot be shipped as it is, and what was shipped already, without a call."""
    check = _Check(store, warn)
    for chunk in spool.waiting():
        news: dict[int, NewShipment] = {}
        for each in chunk:
            try:
                news[each.number] = check(each)
            except ParcelhookError as error:
                spool.fail(each.number, error=error.message, what_to_do=error.what_to_do)
        order_ids = {new.order_id for new in news.values()}
        rows = store.ledger.shipments.find(store=store.id, order_ids=order_ids, states=AS_ASKED, limit=100_000)
        asked = {(row.order_id, row.intent_key): row for row in rows}
        found = {number: asked.get((new.order_id, new.intent_key)) for number, new in news.items()}
        created: dict[int, str] = {}
        for number, row in found.items():
            if row is not None and row.body_hash != news[number].body_hash:
                reused = key_reused(news[number])
                spool.fail(number, error=reused.message, what_to_do=reused.what_to_do)
            elif row is not None and row.state is State.CREATED:
                created[number] = row.id
        spool.bind(created.items())
        existing = list(created.values())
        spool.learn(store.ledger.shipments.standing(existing).values(), existing=existing)
    spool.sort()


class _Check:
    """Check parcels by themselves: carrier, link, and whether the number can be the carrier's."""

    def __init__(self, store: Store, warn: Callable[[int, str], object]) -> None:
        self._store = store
        self._warn = warn
        self._shapes: dict[str, Shapes] = {}

    def __call__(self, each: Spooled) -> NewShipment:
        """Give what is to be shipped; raise InputError for a number that has probably lost its leading zeros."""
        new = new_shipment(self._store, each.wish)
        carrier = self._store.registry.carrier(new.carrier)
        shapes = self._shapes.get(carrier.id) or self._shapes.setdefault(carrier.id, Shapes(carrier))
        for parcel in new.parcels:
            if shapes.accept(parcel.number):
                continue
            whole = shapes.zeros_missing(parcel.number)
            if whole is not None:
                msg = f"{parcel.number} is no number of {carrier.name}, and {whole} is: a spreadsheet takes zeros off"
                what_to_do = f"Write {whole} if the label says so; ship it by itself if it says {parcel.number}."
                raise InputError(msg, field="tracking_number", what_to_do=what_to_do)
            self._warn(each.number, f"{parcel.number} does not look like a number of {carrier.name}")
        return new


def _free_at(each: Standing, now: datetime) -> datetime:
    """Give when something can be done about a shipment: nobody holds it then, and it is due."""
    return max(filter(None, (now, each.due_at, each.claimed_until)))


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + PER_FLOW] for start in range(0, len(ids), PER_FLOW)]
