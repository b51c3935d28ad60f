"""The inbox: every event kept once, given until it is finished, and never believed out of turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger_samples import NOON, FakeClock
from parcelhook.ledger import InboxEvent, Ledger
from parcelhook.ledger.inbox import APPROVED, CANCELED, STALE
from parcelhook.ledger.rows import Told

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
        (replace(UPDATED, id="event-0"), False),
        (replace(UPDATED, id="event-2"), True),
        (replace(UPDATED, id="of-nothing", entity_id="", sequence=6), False),
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


def test_only_what_counts_makes_stale(ledger: Ledger) -> None:
    """A later event of a type that nothing follows from does not hide an earlier one that something does."""
    ledger.inbox.receive([UPDATED, replace(UPDATED, id="event-2", sequence=8, event_type="wix.ecom.v1.order_viewed")])

    assert ledger.inbox.is_stale(UPDATED) is True
    assert ledger.inbox.is_stale(UPDATED, kinds={UPDATED.event_type}) is False


@pytest.mark.parametrize("first", ["event-1", "event-2"])
def test_of_two_with_one_number_the_first_that_is_finished_stands(ledger: Ledger, first: str) -> None:
    """Whichever of the two is dealt with first, the other is stale from then on; one that was stale hides nothing."""
    one, two = UPDATED, replace(UPDATED, id="event-2")
    ledger.inbox.receive([one, two])
    done, other = (one, two) if first == "event-1" else (two, one)
    ledger.inbox.finish(other, outcome=STALE)
    assert ledger.inbox.is_stale(one) is False

    ledger.inbox.finish(done, outcome="it was followed")

    assert ledger.inbox.is_stale(other) is True


def test_an_earlier_snapshot_that_showed_something(ledger: Ledger) -> None:
    """It is known whether something was there before it was missing; without a number nothing is earlier."""
    ledger.inbox.receive([UPDATED])
    later = replace(UPDATED, id="event-2", sequence=8, payload="{}")

    assert ledger.inbox.showed_before(later, "order-1") is True
    assert ledger.inbox.showed_before(later, "order-%") is False
    assert ledger.inbox.showed_before(UPDATED, "order-1") is False
    assert ledger.inbox.showed_before(replace(later, sequence=None), "order-1") is False


def test_what_was_told_of_an_order(ledger: Ledger) -> None:
    """The latest snapshots by their number, and when it was approved and canceled; nothing where nothing came."""
    fulfillments = "wix.ecom.v1.fulfillments"
    ledger.inbox.receive(
        [
            replace(UPDATED, id="e-1", payload="late", sequence=20),
            replace(UPDATED, id="e-2", payload="early", sequence=3, event_type=APPROVED),
            replace(UPDATED, id="e-3", payload="unnumbered", sequence=None),
            replace(UPDATED, id="e-4", payload="listed", entity_fqdn=fulfillments, sequence=1),
            replace(UPDATED, id="e-5", event_type=CANCELED, event_time=None, sequence=None),
        ]
    )

    told = ledger.inbox.told("default", ["order-1", "order-2"])

    assert (told["order-1"].order, told["order-1"].fulfillments) == ("late", "listed")
    assert told["order-1"].happened == {APPROVED: NOON, CANCELED: None}
    assert told["order-2"] == Told(order=None, fulfillments=None, happened={})


def test_events_of_stores_that_are_not_served(ledger: Ledger) -> None:
    """Whoever serves one store sees, and takes, nothing of another."""
    ledger.stores.ensure("other", site="site-2")
    ledger.inbox.receive([UPDATED, replace(UPDATED, store="other", id="event-2")])

    assert [event.id for event in ledger.inbox.pending(["other"])] == ["event-2"]
    assert ledger.inbox.due_stores(["other"]) == {"other"}
    assert ledger.inbox.due_stores([]) == set()
    assert [event.id for event in ledger.inbox.take("other", lease_seconds=60)] == ["event-2"]
    assert ledger.inbox.due_stores(["default", "other"]) == {"default"}


def test_events_of_two_stores(ledger: Ledger) -> None:
    """An event id of one store hides nothing of another."""
    ledger.stores.ensure("other", site="site-2")

    assert ledger.inbox.receive([UPDATED, replace(UPDATED, store="other")]) == [True, True]
    assert [event.store for event in ledger.inbox.find(store="other")] == ["other"]
