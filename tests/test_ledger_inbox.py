"""The inbox: every event kept once, given until it is finished, and never believed out of turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger_samples import NOON, FakeClock
from parcelhook.ledger import InboxEvent, Ledger

pytest_plugins = ["ledger_databases"]

UPDATED = InboxEvent(
    store="default",
    id="event-1",
    event_type="wix.ecom.v1.order_updated",
    payload='{"id": "order-1"}',
    slug="updated",
    entity_fqdn="wix.ecom.v1.order",
    entity_id="order-1",
    order_id="order-1",
    sequence=7,
    event_time=NOON,
)


def test_kept_once(ledger: Ledger) -> None:
    """Of a group, each event is new the first time it is seen, in this group or before."""
    ledger.inbox.receive([UPDATED])

    news = ledger.inbox.receive([UPDATED, replace(UPDATED, id="event-2"), replace(UPDATED, id="event-2")])

    assert news == [False, True, False]
    assert [event.id for event in ledger.inbox.pending(["default"])] == ["event-1", "event-2"]


def test_read_back_as_received(ledger: Ledger, clock: FakeClock) -> None:
    """An event is read back with everything it had, and when it came."""
    ledger.inbox.receive([UPDATED])

    (event,) = ledger.inbox.find(store="default", order_id="order-1")

    assert replace(UPDATED) == InboxEvent(**{name: getattr(event, name) for name in InboxEvent.__dataclass_fields__})
    assert (event.received_at, event.finished_at, event.attempts) == (clock.now, None, 0)


def test_large_group(ledger: Ledger) -> None:
    """A group larger than one statement takes is kept whole."""
    events = [replace(UPDATED, id=f"event-{n:04}") for n in range(1200)]

    assert ledger.inbox.receive(events) == [True] * 1200
    assert len(ledger.inbox.pending(["default"], limit=2000)) == 1200
    assert ledger.inbox.receive([]) == []


def test_taken_until_finished(ledger: Ledger, clock: FakeClock) -> None:
    """An event that is taken is given to nobody else, and again after the lease unless it was finished."""
    ledger.inbox.receive([UPDATED, replace(UPDATED, id="event-2")])

    first, second = ledger.inbox.take("default", lease_seconds=60)
    assert ledger.inbox.take("default", lease_seconds=60) == []

    ledger.inbox.finish(first, outcome="shipped", detail="one shipment")
    clock.advance(61)
    (again,) = ledger.inbox.take("default", lease_seconds=60)
    assert (again.id, again.attempts) == (second.id, 2)


def test_put_off(ledger: Ledger, clock: FakeClock) -> None:
    """An event that cannot be dealt with yet comes again at the moment named, with the reason."""
    ledger.inbox.receive([UPDATED])
    (event,) = ledger.inbox.take("default", lease_seconds=60)
    ledger.inbox.retry(event, due_at=NOON + timedelta(seconds=300), detail="Wix is down")

    clock.advance(61)
    assert ledger.inbox.take("default", lease_seconds=60) == []
    clock.advance(300)
    assert [event.detail for event in ledger.inbox.take("default", lease_seconds=60)] == ["Wix is down"]


def test_replayed(ledger: Ledger) -> None:
    """A finished event is dealt with once more when a person asks for it."""
    ledger.inbox.receive([UPDATED])
    (event,) = ledger.inbox.take("default", lease_seconds=60)
    ledger.inbox.finish(event, outcome="ignored")

    assert ledger.inbox.replay("default", "event-1") is True
    assert ledger.inbox.replay("default", "event-9") is False
    assert len(ledger.inbox.take("default", lease_seconds=60)) == 1


@pytest.mark.parametrize(
    ("event", "is_stale"),
    [
        (replace(UPDATED, id="older", sequence=6), True),
        (replace(UPDATED, id="newer", sequence=8), False),
        (UPDATED, False),
        (replace(UPDATED, id="unnumbered", sequence=None), False),
        (replace(UPDATED, id="another", entity_id="order-2", sequence=6), False),
        (replace(UPDATED, id="elsewhere", entity_fqdn="wix.ecom.v1.fulfillments", sequence=6), False),
        (replace(UPDATED, id="approved", event_type="wix.ecom.v1.order_approved", sequence=6), False),
        (replace(UPDATED, id="canceled", event_type="wix.ecom.v1.order_canceled", sequence=6), False),
    ],
    ids=lambda value: value.id if isinstance(value, InboxEvent) else "",
)
def test_stale_snapshot(ledger: Ledger, event: InboxEvent, is_stale: bool) -> None:  # noqa: FBT001
    """A snapshot is stale once a later one of the same entity came; Approved and Canceled never are."""
    ledger.inbox.receive([UPDATED])

    assert ledger.inbox.is_stale(event) is is_stale


def test_events_of_two_stores(ledger: Ledger) -> None:
    """An event id of one store hides nothing of another."""
    ledger.stores.ensure("other", site="site-2")

    assert ledger.inbox.receive([UPDATED, replace(UPDATED, store="other")]) == [True, True]
    assert [event.store for event in ledger.inbox.find(store="other")] == ["other"]
