"""Follow what Wix tells by webhook: each event is dealt with once, and its outcome is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from parcelhook.errors import ParcelhookError, ShipmentChanged, WixInvalidRequest, WixNotFound
from parcelhook.fulfillment.cancellation import cancel_order
from parcelhook.fulfillment.echoes import bound_shipments, is_echo, learn, may_lag
from parcelhook.fulfillment.orders import OrderNow, read_orders
from parcelhook.fulfillment.store import Store
from parcelhook.fulfillment.upkeep import follow_order, is_concerned, is_older, judge, may_have_fulfillments
from parcelhook.ledger.inbox import APPROVED, CANCELED, STALE
from parcelhook.ledger.rows import EventRow, ShipmentRow
from parcelhook.wix.fulfillments import OrderFulfillments

FULFILLED: Final = "wix.ecom.v1.fulfillments_updated"
SNAPSHOTS: Final = frozenset({"wix.ecom.v1.order_updated", "wix.ecom.v1.order_payment_status_updated"})
FOLLOWED: Final = SNAPSHOTS | {APPROVED, CANCELED, FULFILLED}
LOOK: Final = "the order is to be read"


def take_events(store: Store, events: Sequence[EventRow]) -> None:
    """Deal with events in the order they came; one that cannot be dealt with now comes again.

    Whether an order is to be read at all is told from what webhooks brought. Those that are, are read together, so that
    a flood of approvals, and the echoes of what we do ourselves, cost few calls. Where they cannot be read, events that
    need no order are dealt with all the same.
    """
    _Batch(store, [event for event in events if not _is_ignored(store, event)]).follow()


def _is_ignored(store: Store, event: EventRow) -> bool:
    """Finish an event that nothing follows from, with the reason."""
    if event.event_type not in FOLLOWED:
        why = "ignored: nothing follows from this event"
    elif not event.order_id:
        why = "ignored: it names no order"
    elif store.ledger.inbox.is_stale(event, kinds=FOLLOWED):
        why = STALE
    else:
        return False
    store.ledger.inbox.finish(event, outcome=why)
    return True


class _Batch:
    """Events that are dealt with together."""

    def __init__(self, store: Store, events: Sequence[EventRow]) -> None:
        self._store = store
        self._events = events
        self._told = store.ledger.inbox.told(store.id, {event.order_id for event in events})
        self._canceled = {event.order_id for event in events if event.event_type == CANCELED}
        self._present: dict[str, OrderFulfillments] = {}
        self._listed: dict[str, OrderFulfillments] = {}
        self._orders: dict[str, OrderNow | ParcelhookError | None] = {}
        self._judged: dict[str, str | None] = {}

    def follow(self) -> None:
        learned = {event.id: self._try(event, self._learn) for event in self._events if event.event_type == FULFILLED}
        rest = [event for event in self._events if learned.get(event.id, "") is not None]
        judged = {event.id: self._try(event, self._judge) for event in rest if event.event_type != CANCELED}
        self._look({event.order_id for event in rest if judged.get(event.id) == LOOK})
        for event in rest:
            outcome = self._try(event, self._follow) if judged.get(event.id, "") is not None else None
            if outcome is not None:
                told = "; ".join(filter(None, (learned.get(event.id), outcome)))
                self._store.ledger.inbox.finish(event, outcome=" ".join(told.split()) or "known already")

    def _try(self, event: EventRow, act: Callable[[EventRow], str]) -> str | None:
        """Do something about an event; None where it could not be done, and the event was put off."""
        try:
            return act(event)
        except ParcelhookError as error:
            self._put_off(event, error.message)
        except Exception as error:  # noqa: BLE001 - one event that cannot be dealt with holds up no other
            structlog.get_logger("parcelhook.events").exception("event not dealt with", event_id=event.id)
            self._put_off(event, f"it could not be dealt with: {type(error).__name__}")
        return None

    def _put_off(self, event: EventRow, why: str) -> None:
        wait = timedelta(seconds=min(600, 5 * 2 ** min(event.attempts, 7)))
        self._store.ledger.inbox.retry(event, due_at=self._store.clock() + wait, detail=" ".join(why.split()))

    def _learn(self, event: EventRow) -> str:
        """Learn what others did to our fulfillments; the event's own list is believed as far as it can be."""
        ours, present = bound_shipments(self._store, event.order_id), _shown(event)
        is_numbered = event.sequence is not None and bool(event.entity_id)
        if present is None or not is_numbered or present.order_id != event.order_id or not is_echo(ours, present):
            present = self._list(event.order_id, is_known=bool(ours))
        self._check_shown(event, ours, present)
        self._present[event.order_id] = present
        return "; ".join(learn(self._store, ours, present))

    def _list(self, order_id: str, *, is_known: bool) -> OrderFulfillments:
        """Give an order's fulfillments as Wix has them now: once for all events of this batch."""
        if order_id not in self._listed:
            try:
                self._listed[order_id] = self._store.wix.list_fulfillments(order_id)
            except (WixNotFound, WixInvalidRequest):
                if is_known:
                    raise
                self._listed[order_id] = OrderFulfillments(order_id=order_id)
        return self._listed[order_id]

    def _check_shown(self, event: EventRow, ours: Sequence[ShipmentRow], present: OrderFulfillments) -> None:
        """Raise ShipmentChanged where Wix may only be late in showing a fulfillment that was just made."""
        at_wix = {fulfillment.id for fulfillment in present.fulfillments}
        for row in ours:
            its = row.fulfillment_id or ""
            if (
                its not in at_wix
                and may_lag(self._store, row)
                and not self._store.ledger.inbox.showed_before(event, its)
            ):
                msg = f"Wix may not show fulfillment {its} yet"
                raise ShipmentChanged(msg)

    def _judge(self, event: EventRow) -> str:
        """Give the outcome of an event after which nothing is to be done about its order, or LOOK."""
        id_ = event.order_id
        if id_ in self._canceled:
            return "" if event.event_type == FULFILLED else "its order was canceled"
        if event.event_type in SNAPSHOTS and (event.sequence is None or not event.entity_id):
            # Nobody can tell whether a later one came before it.
            return LOOK
        if event.event_type == FULFILLED and not is_concerned(self._store, id_, self._told[id_]):
            return ""
        if id_ not in self._judged:
            self._judged[id_] = judge(self._store, id_, self._told[id_], self._present.get(id_))
        verdict = self._judged[id_]
        return LOOK if verdict is None else "" if event.event_type == FULFILLED else verdict

    def _look(self, order_ids: Collection[str]) -> None:
        """Read orders as they are now; one that a webhook showed as it was later, once more by itself."""
        self._orders |= dict.fromkeys(order_ids)
        tried = {id_ for id_ in order_ids if may_have_fulfillments(self._store, id_, self._told[id_])}
        try:
            read = read_orders(self._store.wix, sorted(order_ids), already_tried=tried)
            for id_, now in [*read.items()]:
                if is_older(now.order, self._told[id_]):
                    read |= read_orders(self._store.wix, [id_], already_tried=tried)
        except ParcelhookError as error:
            self._orders |= dict.fromkeys(order_ids, error)
        else:
            self._orders |= read

    def _follow(self, event: EventRow) -> str:
        """Do what follows from an event for its order, and give the outcome; "" where nothing does."""
        id_ = event.order_id
        if event.event_type == CANCELED:
            self._judged.pop(id_, None)
            return cancel_order(self._store, id_)
        if id_ not in self._orders:
            judged = self._judge(event)
            if judged != LOOK:
                return judged
            self._look({id_})
        now = self._orders[id_]
        if isinstance(now, ParcelhookError):
            raise now
        if now is None:
            return "the store has no such order"
        followed = follow_order(self._store, now, told=self._told[id_])
        return followed.done or ("" if event.event_type == FULFILLED else followed.settled)


def _shown(event: EventRow) -> OrderFulfillments | None:
    try:
        return OrderFulfillments.model_validate_json(event.payload)
    except ValidationError:
        return None
