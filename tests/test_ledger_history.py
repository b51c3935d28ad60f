"""What is kept beside the shipments: stores, calls to Wix, notices, and an order's history out of all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from ledger_samples import ITEMS, NOON, FakeClock, wanted
from parcelhook import errors
from parcelhook.errors import InputError, LedgerError
from parcelhook.ledger import InboxEvent, Judgement, Ledger, NewParcel, State, moves, words
from parcelhook.ledger.columns import UtcTime
from parcelhook.ledger.ids import ordered_id
from parcelhook.models import BookedParcel, Booking, Reason, Scan, Status

pytest_plugins = ["ledger_databases"]


def test_store_is_set_up_once(ledger: Ledger, clock: FakeClock) -> None:
    """A store keeps the moment it was first seen, and takes a new URL."""
    first = ledger.stores.get("default")
    clock.advance(60)
    again = ledger.stores.ensure("default", site="site-1", wix_url="https://wix.example")

    assert (first.set_up_at, first.paused, first.reconciled_at) == (NOON, False, None)
    assert (again.set_up_at, again.wix_url) == (NOON, "https://wix.example")
    assert ledger.stores.all() == [again]


def test_store_of_another_site(ledger: Ledger) -> None:
    """A store's name that comes with another site is refused, and both sites are named."""
    with pytest.raises(LedgerError, match=r"site-1.*site-2"):
        ledger.stores.ensure("default", site="site-2")

    assert ledger.stores.get("default").site == "site-1"


def test_store_is_paused_and_looked_through(ledger: Ledger) -> None:
    """A store remembers that it is paused, and how far its orders were looked through."""
    later = NOON + timedelta(hours=1)
    ledger.stores.set_paused("default", paused=True)
    ledger.stores.note_reconciled("default", at=later, poll_cursor=NOON)
    ledger.stores.note_reconciled("default", at=later + timedelta(hours=1))

    store = ledger.stores.get("default")
    assert (store.paused, store.reconciled_at, store.poll_cursor) == (True, later + timedelta(hours=1), NOON)

    ledger.stores.set_paused("default", paused=False)
    assert ledger.stores.get("default").paused is False


def test_unknown_store(ledger: Ledger) -> None:
    """A name no store has is an error of the one who typed it."""
    with pytest.raises(InputError, match="shop"):
        ledger.stores.set_paused("shop", paused=True)


def test_call_is_noted_before_it_leaves(ledger: Ledger, clock: FakeClock) -> None:
    """A call has a row while it is under way, and its answer afterwards."""
    call_id = ledger.calls.begin("default", operation="search orders", method="POST", path="/orders/search")
    (under_way,) = ledger.calls.find("default")
    clock.advance(2)
    ledger.calls.end("default", call_id, status=200, request_id="request-1", outcome="100 orders")
    (ended,) = ledger.calls.find("default")

    assert (under_way.id, under_way.sent_at, under_way.ended_at, under_way.status) == (call_id, NOON, None, None)
    assert (ended.ended_at, ended.status, ended.request_id) == (NOON + timedelta(seconds=2), 200, "request-1")
    assert (ended.operation, ended.method, ended.path, ended.outcome) == (
        "search orders",
        "POST",
        "/orders/search",
        "100 orders",
    )


def test_calls_of_an_order(ledger: Ledger) -> None:
    """A call is found from each order it concerned, named alone or by its shipments."""
    rows = [each.shipment for each in ledger.shipments.add_all([wanted("order-1"), wanted("order-1", "AC2")])]
    bulk = ledger.calls.begin("default", operation="bulk create", method="POST", path="/bulk", shipments=rows)
    read = ledger.calls.begin(
        "default", operation="list", method="POST", path="/list", order_ids=["order-1", "order-2", "order-1"]
    )

    assert [call.id for call in ledger.calls.find("default", order_id="order-1")] == [bulk, read]
    assert [call.id for call in ledger.calls.find("default", order_id="order-2")] == [read]
    assert ledger.calls.find("other") == []


def test_history_of_an_order(ledger: Ledger, clock: FakeClock) -> None:
    """Everything that happened to an order is told in the order of time, and nothing of other orders."""
    event = InboxEvent(
        store="default", id="event-1", event_type="wix.ecom.v1.order_approved", payload="{}", order_id="order-1"
    )
    ledger.inbox.receive([event])
    clock.advance(1)
    ledger.notices.add("default", kind="decided", order_id="order-1", detail="acme", reason="rule 1")
    clock.advance(1)
    row, _ = ledger.shipments.add(wanted())
    ledger.shipments.add(wanted("order-2"))
    ledger.inbox.finish(event, outcome="shipment added")
    clock.advance(1)
    row = ledger.shipments.move(moves.sending(row, send_before=NOON, items=ITEMS))
    clock.advance(1)
    call = ledger.calls.begin("default", operation="create", method="POST", path="/f", shipments=[row])
    clock.advance(1)
    ledger.calls.end("default", call, status=400, request_id="request-1", outcome="refused")
    ledger.shipments.move(moves.failed(row, error="no such item", what_to_do="Correct the item."))

    told = ledger.history("default", "order-1")

    assert [entry.kind for entry in told] == [
        "event",
        "decided",
        "added",
        "event_done",
        "sending",
        "call",
        "failed",
    ]
    assert [entry.at for entry in told] == sorted(entry.at for entry in told)
    assert (told[1].detail, told[1].reason) == ("acme", "rule 1")
    assert (told[5].request_id, told[5].reason, told[5].shipment_id) == ("request-1", "400 refused", row.id)
    assert (told[5].detail, told[5].path, told[5].ended_at) == ("create the fulfillment", "POST /f", clock.now)
    assert (told[6].detail, told[6].reason) == ("no such item", "Correct the item.")


def test_call_without_answer_in_history(ledger: Ledger) -> None:
    """A call whose process died is told as one whose answer never came."""
    ledger.calls.begin("default", operation="create", method="POST", path="/f", order_ids=["order-1"])

    (entry,) = ledger.history("default", "order-1")

    assert entry.reason == "the answer never came: the call is under way, or its process died"
    assert (entry.ended_at, entry.request_id) == (None, "")


@pytest.mark.parametrize(
    ("operation", "status", "outcome", "said"),
    [
        ("create", None, "WixNoAnswer", "the answer never came; whether it was done was not known"),
        ("bulk-create", 502, "WixUnavailable", "502 a fault at Wix; whether it was done was not known"),
        ("list", None, "WixNoAnswer", "the answer never came"),
        ("create", 429, "WixRateLimited", "429 too many calls; nothing was done"),
        ("create", 200, "ok", "200 ok"),
    ],
)
def test_what_a_call_came_to_in_history(
    ledger: Ledger, operation: str, status: int | None, outcome: str, said: str
) -> None:
    """An outcome is told in words; only a write may have been done without anybody knowing."""
    call = ledger.calls.begin("default", operation=operation, method="POST", path="/f", order_ids=["order-1"])
    ledger.calls.end("default", call, status=status, request_id="request-1", outcome=outcome)

    assert [entry.reason for entry in ledger.history("default", "order-1")] == [said]


def test_every_error_of_wix_has_words() -> None:
    """No call is told by the name of a class."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.WixError)]

    assert set(words.OUTCOMES) == {kind.__name__ for kind in kinds if kind is not errors.WixError}


def test_one_order_of_a_bulk_call(ledger: Ledger) -> None:
    """A call for a hundred orders is told in the history of each, once, and with nothing of the others."""
    ids = [f"order-{number}" for number in range(100)]
    rows = [each.shipment for each in ledger.shipments.add_all([wanted(id_, f"AC{id_}") for id_ in ids])]
    call = ledger.calls.begin("default", operation="bulk-create", method="POST", path="/bulk", order_ids=ids)
    ledger.calls.end("default", call, status=200, request_id="request-1", outcome="ok")

    told = ledger.history("default", "order-7")

    assert [entry.kind for entry in told] == ["added", "call"]
    assert told[0].shipment_id == next(row.id for row in rows if row.order_id == "order-7")
    assert (told[1].request_id, told[1].detail) == ("request-1", words.OPERATIONS["bulk-create"])


def test_who_asked_for_what(ledger: Ledger) -> None:
    """An intent is told with carrier, number, items, who asked and under which key."""
    ledger.shipments.add(wanted(intent_key="key-7", source="file"))
    ledger.shipments.add(wanted("order-2", state=State.WAITING_NUMBER, carrier="", items=(), parcels=()))

    (first,), (second,) = (ledger.history("default", each) for each in ("order-1", "order-2"))

    assert first.detail == "acme, number AC100, 2 of item-1"
    assert first.reason == "asked for by a file, under the key key-7"
    assert second.detail == "no carrier yet, no number yet, all that remains of the order"


def test_an_intent_that_another_replaced(ledger: Ledger) -> None:
    """What was asked for first stays as it was asked for, whatever replaced it."""
    row, _ = ledger.shipments.add(wanted(state=State.FAILED))
    ledger.shipments.move(moves.revised(row, wanted(number="B7", carrier="beta", source="api")))

    first, second = ledger.history("default", "order-1")

    assert (first.kind, first.detail) == ("added", "acme, number AC100, 2 of item-1")
    assert first.reason.endswith("under the key AC100")
    assert (second.kind, second.detail) == ("revised", "beta, number B7, 2 of item-1")
    assert second.reason == "asked for by the API, under the key B7"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("given", "the link was given with the shipment"),
        ("carrier", "the link is the carrier's own"),
        ("wix", "Wix builds the link"),
    ],
)
def test_where_the_link_came_from(ledger: Ledger, source: str, said: str) -> None:
    """The decision about a link tells its source."""
    row, _ = ledger.shipments.add(wanted(state=State.WAITING_LINK))
    ledger.shipments.move(moves.ready(row, provider="Acme", tracking_url="https://a.example", link_source=source))

    assert [entry.reason for entry in ledger.history("default", "order-1")][-1] == said


def test_how_far_an_event_is(ledger: Ledger, clock: FakeClock) -> None:
    """An event that is not finished tells whether it is untouched, under way, or put off with the reason."""
    event = InboxEvent(store="default", id="e", event_type="approved", payload="{}", order_id="order-1")

    def said() -> str:
        return ledger.history("default", "order-1")[0].reason

    ledger.inbox.receive([event])
    untouched = said()
    ledger.inbox.take("default", lease_seconds=60)
    under_way = said()
    ledger.inbox.retry(event, due_at=NOON, detail="Wix is down")
    put_off = said()
    ledger.inbox.take("default", lease_seconds=60)
    ledger.inbox.retry(event, due_at=NOON, detail="Wix is down")
    put_off_twice = said()
    ledger.inbox.finish(event, outcome="done")

    assert (untouched, under_way) == ("it is still to be dealt with", "it is being dealt with")
    assert put_off == "put off, tried once: Wix is down; tried again at 2026-03-02 12:00:00"
    assert put_off_twice.startswith("put off, tried 2 times: Wix is down")
    assert [(entry.detail, entry.reason) for entry in ledger.history("default", "order-1")] == [
        ("approved e", ""),
        ("e: done", "after 2 tries"),
    ]


def test_bookings_in_history(ledger: Ledger, clock: FakeClock) -> None:
    """A booking is told when the carrier is asked, and with what came of it after how many tries."""
    row, _ = ledger.shipments.add(wanted(state=State.WAITING_NUMBER, parcels=()))
    ledger.bookings.begin("default", key="key-1", shipment_id=row.id, carrier="acme")
    asked = ledger.history("default", "order-1")
    clock.advance(1)
    ledger.bookings.again("default", key="key-1")
    again = ledger.history("default", "order-1")
    row = ledger.shipments.move(moves.wait_for_number(row, reason="it does not answer", due_at=NOON))
    clock.advance(1)
    booked = Booking(key="key-1", parcels=(BookedParcel(tracking_number="AC1"),))
    ledger.bookings.finish("default", answer=booked)
    ledger.shipments.move(moves.numbered(row, parcels=(NewParcel(number="AC1"),)))
    told = ledger.history("default", "order-1")

    assert [entry.kind for entry in asked] == ["added", "booking"]
    assert (asked[1].detail, asked[1].reason) == ("acme is asked to carry it", "under the key key-1")
    assert (again[2].detail, again[2].reason) == ("acme is asked, and has not answered yet", "asked 2 times")
    assert [entry.kind for entry in told] == ["added", "booking", "waiting_number", "booking_done", "numbered"]
    assert (told[3].detail, told[3].reason) == ("acme booked it", "asked 2 times")


def test_scans_in_history(ledger: Ledger, clock: FakeClock) -> None:
    """A scan is told with the carrier's raw code and what it gave, when it became known, without its texts."""
    row, _ = ledger.shipments.add(wanted())
    scans = [
        Scan(code="31", time=NOON, status=Status.EXCEPTION, reason=Reason.ADDRESS, description="Mr Q", location="Q St"),
        Scan(code="25", time=NOON, informational=True),
        Scan(code="99", time=NOON),
    ]
    clock.advance(60)
    ledger.parcels.record(
        row.parcels[0].id, scans, found=True, judge=lambda _: Judgement(status=Status.EXCEPTION, reason=Reason.ADDRESS)
    )
    ledger.shipments.set_status(row.id, status=Status.EXCEPTION, reason=Reason.ADDRESS)

    _, *told, status = ledger.history("default", "order-1")

    assert {(entry.detail, entry.reason) for entry in told} == {
        ("acme AC100: code 31 of 2026-03-02 12:00:00", "exception (address)"),
        ("acme AC100: code 25 of 2026-03-02 12:00:00", "says nothing about the status"),
        ("acme AC100: code 99 of 2026-03-02 12:00:00", "no status is known for this code"),
    }
    assert {entry.at for entry in told} == {NOON + timedelta(seconds=60)}
    assert (status.kind, status.reason) == ("exception", "address")
    assert "Mr Q" not in str(told)


def test_what_is_of_one_moment_is_in_the_order_of_its_causes(ledger: Ledger) -> None:
    """With a clock that stands still, an event precedes its intent, a call its decision, a scan the status it gave."""
    event = InboxEvent(store="default", id="e", event_type="approved", payload="{}", order_id="order-1")
    ledger.inbox.receive([event])
    row, _ = ledger.shipments.add(wanted(state=State.WAITING_NUMBER, parcels=()))
    ledger.inbox.finish(event, outcome="acme is asked to carry it")
    ledger.bookings.begin("default", key="k", shipment_id=row.id, carrier="acme")
    ledger.bookings.finish("default", answer=Booking(key="k", parcels=(BookedParcel(tracking_number="AC1"),)))
    row = ledger.shipments.move(moves.numbered(row, parcels=(NewParcel(number="AC1"),)))
    row = ledger.shipments.move(moves.ready(row, provider="Acme", tracking_url="https://a.example"))
    row = ledger.shipments.move(moves.sending(row, send_before=NOON, items=ITEMS))
    call = ledger.calls.begin("default", operation="create", method="POST", path="/f", order_ids=["order-1"])
    ledger.calls.end("default", call, status=200, request_id="r", outcome="ok")
    row = ledger.shipments.move(moves.created(row, fulfillment_id="f-1", wix_status=None))
    scan = Scan(code="40", time=NOON, status=Status.DELIVERED)
    ledger.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: Judgement(status=Status.DELIVERED))
    ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    assert [entry.kind for entry in ledger.history("default", "order-1")] == [
        "event",
        "added",
        "booking",
        "booking_done",
        "numbered",
        "ready",
        "sending",
        "call",
        "created",
        "scan",
        "delivered",
        "event_done",
    ]


def test_a_booking_that_was_canceled_follows_from_the_cancellation(ledger: Ledger) -> None:
    """The end of a booking is told after the shipment's."""
    row, _ = ledger.shipments.add(wanted(state=State.WAITING_NUMBER, parcels=()))
    ledger.bookings.begin("default", key="k", shipment_id=row.id, carrier="acme")
    ledger.bookings.fail("default", key="k", error="no such street", what_to_do="Ask the buyer.")
    failed = ledger.history("default", "order-1")[-1]
    ledger.shipments.move(moves.canceled(row, reason="the order was canceled"))
    ledger.bookings.cancel("default", key="k")

    assert (failed.detail, failed.reason) == ("acme booked nothing", "no such street; Ask the buyer.")
    assert [entry.kind for entry in ledger.history("default", "order-1")][-2:] == ["canceled", "booking_done"]


def test_stores_that_know_an_order(ledger: Ledger) -> None:
    """An order is known where a shipment, an event, a decision or a call is about it."""
    for name in ("by-event", "by-notice", "by-call", "not-at-all"):
        ledger.stores.ensure(name, site=name)
    ledger.shipments.add(wanted(order_number="10007"))
    event = InboxEvent(store="by-event", id="e", event_type="approved", payload="{}", order_id="order-1")
    ledger.inbox.receive([event, replace(event, store="default")])
    ledger.notices.add("by-notice", kind="decided", order_id="order-1")
    ledger.calls.begin("by-call", operation="list", method="GET", path="/f", order_ids=["order-1"])

    assert ledger.stores_of_order("order-1") == ["by-call", "by-event", "by-notice", "default"]
    assert ledger.stores_of_order("order-2") == []
    assert ledger.orders_numbered("10007") == [("default", "order-1")]
    assert ledger.orders_numbered("") == []
    assert ledger.stores_of_event("e") == ["by-event", "default"]
    assert ledger.stores_of_event("f") == []


def test_notices_until_told(ledger: Ledger) -> None:
    """Notices are given in their order, again and again, until they were told."""
    for number in range(3):
        ledger.notices.add("default", kind=f"kind-{number}", order_id="order-1")

    first = ledger.notices.untold(limit=2)
    assert [notice.kind for notice in first] == ["kind-0", "kind-1"]
    assert ledger.notices.untold(limit=2) == first

    ledger.notices.told(first)
    assert [notice.kind for notice in ledger.notices.untold()] == ["kind-2"]
    ledger.notices.told([])
    assert len(ledger.history("default", "order-1")) == 3


def test_notice_of_a_shipment(ledger: Ledger) -> None:
    """A notice about a shipment names order, carrier and number."""
    row, _ = ledger.shipments.add(wanted())

    (notice,) = ledger.notices.untold()

    assert (notice.kind, notice.at, notice.store) == ("added", NOON, "default")
    assert (notice.order_id, notice.shipment_id, notice.carrier) == ("order-1", row.id, "acme")
    assert notice.tracking_number == "AC100"


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
def test_times_come_back_in_utc(ledger: Ledger, zone: timezone) -> None:
    """A time in any zone is read back as the same moment in UTC."""
    at = datetime(2026, 3, 2, 12, 0, 0, 1, tzinfo=UTC)

    ledger.stores.note_reconciled("default", at=at.astimezone(zone))

    read = ledger.stores.get("default").reconciled_at
    assert read == at
    assert read is not None
    assert read.tzinfo is UTC


@given(st.lists(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)), min_size=2))  # noqa: DTZ001
def test_stored_times_sort_as_time_does(times: list[datetime]) -> None:
    """What SQLite stores of times sorts as the times do, and is read back as it was."""
    column, dialect = UtcTime(), sqlite.dialect()
    stored = [str(column.process_bind_param(each, dialect)) for each in times]

    assert sorted(stored) == [str(column.process_bind_param(each, dialect)) for each in sorted(times)]
    assert [column.process_result_value(each, dialect) for each in stored] == times


def test_ids_sort_as_they_were_made() -> None:
    """An id sorts after every one made before it."""
    ids = [ordered_id() for _ in range(1000)]

    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {32}
