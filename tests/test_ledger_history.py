"""What is kept beside the shipments: stores, calls to Wix, notices, and an order's history out of all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from ledger_samples import ITEMS, NOON, FakeClock, wanted
from parcelhook.errors import InputError, LedgerError
from parcelhook.ledger import InboxEvent, Ledger, moves
from parcelhook.ledger.columns import UtcTime
from parcelhook.ledger.ids import ordered_id

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
        "event_done",
        "added",
        "sending",
        "call",
        "failed",
    ]
    assert [entry.at for entry in told] == sorted(entry.at for entry in told)
    assert (told[1].detail, told[1].reason) == ("acme", "rule 1")
    assert (told[5].request_id, told[5].reason, told[5].shipment_id) == ("request-1", "400 refused", row.id)
    assert (told[6].detail, told[6].reason) == ("no such item", "Correct the item.")


def test_call_without_answer_in_history(ledger: Ledger) -> None:
    """A call whose process died is told as one without an answer."""
    ledger.calls.begin("default", operation="create", method="POST", path="/f", order_ids=["order-1"])

    assert [entry.reason for entry in ledger.history("default", "order-1")] == ["no answer"]


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
