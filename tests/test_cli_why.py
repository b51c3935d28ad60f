"""``why``: where an order stands, and everything that happened to it, out of what was kept alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Shell, open_shell
from ledger_samples import ITEMS, NOON, FakeClock, wanted
from parcelhook.cli.why import WIDTH
from parcelhook.fulfillment.create import send
from parcelhook.ledger import InboxEvent, Judgement, Ledger, NewParcel, State, moves
from parcelhook.models import BookedParcel, Booking, Scan, Status
from shops import Shop

pytest_plugins = ["stores", "shop_shell", "ledger_databases"]

LINE = "00000000-0000-0000-0000-000000000001"
PERSON = "Quillon Featherstonehaugh"


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still."""
    return FakeClock()


@pytest.fixture
def kept(sqlite_template: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    """Give a ledger of one store that nothing happened to yet."""
    path = tmp_path / "kept.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with Ledger.open(f"sqlite:///{path}", clock=clock) as ledger:
        ledger.stores.ensure("default", site="site-1")
        yield ledger


@pytest.fixture
def reader(kept: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell on that ledger, whose store cannot be reached."""
    credentials = {"PARCELHOOK_WIX_API_KEY": "key", "PARCELHOOK_WIX_SITE_ID": "site-1"}
    url = {"PARCELHOOK_WIX_URL": "http://127.0.0.1:9", "PARCELHOOK_DATABASE_URL": kept.url}
    return open_shell(tmp_path, monkeypatch, **credentials, **url)


def received(ledger: Ledger, **fields: Any) -> InboxEvent:  # noqa: ANN401 - fields of InboxEvent
    """Let one event come in."""
    event = InboxEvent(
        store="default", id="event-1", event_type="wix.ecom.v1.order_approved", payload="{}", order_id="order-1"
    )
    event = replace(event, **fields)
    ledger.inbox.receive([event])
    return event


def kinds(told: dict[str, Any]) -> list[str]:
    """Give the kinds of a history in its order."""
    return [entry["kind"] for entry in told["history"]]


def timeline(text: str) -> list[str]:
    """Give the entries of a history as people see it, each in one line again and without its time."""
    lines: list[str] = []
    for line in text.partition("What happened (UTC)\n")[2].splitlines():
        if line.startswith(" "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line[21:])
    return lines


def in_order(lines: Sequence[str], *beginnings: str) -> bool:
    """Tell whether lines that begin so are there, one after the other."""
    rest = iter(lines)
    return all(any(line.startswith(beginning) for line in rest) for beginning in beginnings)


def test_the_whole_way_of_an_order(shell: Shell, shop: Shop) -> None:
    """From webhook to fulfillment everything is told in its order, with the request id of each call."""
    order_id = shop.order()
    shop.follow()
    shop.clock.advance(1)
    row = shop.created(order_id, carrier="royal-mail")

    told = shell.json("why", order_id)
    shown = shell.run("why", order_id).stdout

    assert set(told) == {"store", "order_id", "order_number", "shipments", "history"}
    (shipment,) = told["shipments"]
    assert (shipment["state"], shipment["fulfillment_id"]) == ("CREATED", row.fulfillment_id)
    assert (shipment["carrier"], shipment["link_source"], shipment["source"]) == ("royal-mail", "carrier", "cli")
    fields = {"at", "kind", "shipment_id", "detail", "reason", "request_id", "path", "ended_at"}
    assert all(set(entry) == fields for entry in told["history"])
    calls = [entry for entry in told["history"] if entry["kind"] == "call"]
    assert calls
    assert all(entry["request_id"] and entry["ended_at"] for entry in calls)
    assert calls[-1]["path"].endswith("create-fulfillment")
    assert in_order(
        timeline(shown),
        "Webhook came in: order_approved ",
        "Wix was asked to read the order; 200 ok; request id ",
        "Wanted: ",
        "Webhook dealt with: ",
        "About to be sent to Wix: 1 of ",
        f"Wix was asked to create the fulfillment; 200 ok; request id {calls[-1]['request_id']}",
        f"The fulfillment exists: {row.fulfillment_id}",
    )
    assert any("the link is the carrier's own" in line for line in timeline(shown))


def test_where_the_order_stands_comes_first(shell: Shell, shop: Shop) -> None:
    """Each shipment's state, carrier, number, link, fulfillment and status at Wix are told before the history."""
    order_id = shop.order()
    row = shop.created(order_id, carrier="royal-mail")
    number = shop.row(row).order_number

    first, _, _ = shell.run("why", order_id).stdout.partition("What happened (UTC)")

    assert first.startswith(f"Order {number} ({order_id}) of store main\n\nShipment: CREATED\n")
    for text in ("royal-mail", row.tracking_number, row.tracking_url, str(row.fulfillment_id), "no status"):
        assert text in first


def test_an_answer_that_never_came_is_told_plainly(shell: Shell, shop: Shop) -> None:
    """A create without an answer, what is done about it, and the decision that settled it are all told."""
    row = shop.take(shop.order(), carrier="ups")
    shop.fault("create", times=1, effect="untold")
    shop.send(row)
    open_ = shell.run("why", row.order_id).stdout
    shop.settle(row)
    settled = timeline(shell.run("why", row.order_id).stdout)

    assert "Shipment: SENDING" in open_
    assert "a running service looks up after" in open_
    assert in_order(
        settled,
        "Wix was asked to create the fulfillment; the answer never came; whether it was done was not known",
        "What Wix did is not known yet; it will be looked up: ",
        "Wix was asked to list the order's fulfillments; 200 ok",
        f"The fulfillment exists: {shop.row(row).fulfillment_id}; found at Wix after an unclear answer",
    )


def test_one_order_of_a_bulk_call(shell: Shell, shop: Shop) -> None:
    """The one call for many orders is in the history of each, with what it came to for this order."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]
    send(shop.store, [row.id for row in rows])

    told = [shell.json("why", row.order_id) for row in rows]

    bulk = [
        next(entry for entry in each["history"] if "fulfillments, this order's" in entry["detail"]) for each in told
    ]
    assert len({entry["request_id"] for entry in bulk}) == 1
    assert [each["history"][-1]["detail"] for each in told] == [shop.row(row).fulfillment_id for row in rows]
    assert all(rows[0].id not in str(each) for each in told[1:])


def test_by_the_orders_number(shell: Shell, shop: Shop) -> None:
    """The number a merchant sees finds the order as its id does."""
    row = shop.created(shop.order())

    number = shop.row(row).order_number

    assert shell.json("why", number) == shell.json("why", row.order_id)


def test_nothing_is_asked_of_wix(reader: Shell, kept: Ledger) -> None:
    """Where Wix cannot be reached, all that was kept is told."""
    kept.shipments.add(wanted())

    assert kinds(reader.json("why", "order-1")) == ["added"]


def test_an_order_that_only_an_event_tells_of(reader: Shell, kept: Ledger) -> None:
    """An order without a shipment is found by its events, and how far these are is said first."""
    event = received(kept)
    waits = reader.run("why", "order-1").stdout
    kept.inbox.finish(event, outcome="it is not paid")
    done = reader.run("why", "order-1").stdout

    assert "No shipment of it is known.\n\n1 webhook of it is still to be dealt with.\n" in waits
    assert timeline(waits) == ["Webhook came in: order_approved event-1; it is still to be dealt with"]
    assert timeline(done)[-1] == "Webhook dealt with: event-1: it is not paid"
    assert "still to be dealt with" not in done


def test_an_event_that_was_put_off(reader: Shell, kept: Ledger) -> None:
    """Why an event waits, how often it was tried, and when it is tried again are told."""
    event = received(kept)
    kept.inbox.take("default", lease_seconds=60)
    kept.inbox.retry(event, due_at=NOON + timedelta(seconds=10), detail="Wix does not answer")

    (line,) = timeline(reader.run("why", "order-1").stdout)

    assert line.endswith("put off, tried once: Wix does not answer; tried again at 2026-03-02 12:00:10")


def test_an_order_nobody_knows(reader: Shell) -> None:
    """Exit code 2, and what is to be checked."""
    error = reader.json("why", "order-9", code=2)["error"]

    assert "nothing is known of an order order-9" in error["message"]
    for hint in ("--store", "webhooks", "parcelhook doctor"):
        assert hint in error["what_to_do"]


def test_an_order_of_one_of_several_stores(reader: Shell, kept: Ledger) -> None:
    """The only store that knows the order is meant; of several, one must be named; the wrong one says which."""
    kept.stores.ensure("shop", site="site-2")
    kept.shipments.add(wanted(store="shop", order_number="10001"))
    alone = reader.json("why", "order-1")
    elsewhere = reader.json("why", "order-1", "--store", "default", code=2)["error"]
    kept.shipments.add(wanted(order_number="10001"))
    several = [reader.json("why", name, code=2)["error"] for name in ("order-1", "10001")]
    named = reader.json("why", "order-1", "--store", "default")

    assert (alone["store"], alone["shipments"][0]["store"]) == ("shop", "shop")
    assert "in the store default" in elsewhere["message"]
    assert "known in: shop" in elsewhere["what_to_do"]
    assert {error["field"] for error in several} == {"--store"}
    assert all("default, shop" in error["message"] for error in several)
    assert named["store"] == "default"


def test_a_number_that_two_orders_have(reader: Shell, kept: Ledger) -> None:
    """A number that is not unique names the orders that have it."""
    kept.shipments.add_all([wanted("order-1", order_number="7"), wanted("order-2", "AC2", order_number="7")])

    error = reader.json("why", "7", code=2)["error"]

    assert "order-1, order-2" in error["message"]
    assert error["field"] == "ORDER"


def every_state(ledger: Ledger) -> None:
    """Make a shipment in each state that somebody or something is still to act on."""
    ledger.shipments.add_all(
        [
            wanted(number="N1", state=State.WAITING_NUMBER, parcels=(), carrier=""),
            wanted(number="N2", state=State.WAITING_NUMBER, parcels=(), due_at=NOON),
            wanted(number="N3", state=State.WAITING_LINK),
            wanted(number="N4", due_at=NOON),
        ]
    )
    sent = ledger.shipments.add(wanted(number="N8"))[0]
    sent = ledger.shipments.move(moves.sending(sent, send_before=NOON, items=ITEMS))
    made = ledger.shipments.move(moves.created(sent, fulfillment_id="f-1", wix_status="Ready"))
    ledger.shipments.set_status(made.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")
    asked = ledger.shipments.add(wanted(number="N9"))[0]
    ledger.shipments.move(moves.needs_review(asked, reason="two carriers", what_to_do="Choose one of them."))


def test_what_is_to_be_done_next(reader: Shell, kept: Ledger) -> None:
    """Each shipment says who does what about it next."""
    every_state(kept)

    steps = [each["what_to_do"] for each in reader.json("why", "order-1")["shipments"]]
    shown = reader.run("why", "order-1").stdout

    assert steps == [
        "Give its number: parcelhook fulfill order-1 --carrier CARRIER --number NUMBER",
        "Nothing: a running service asks the carrier after 2026-03-02 12:00:00.",
        "Nothing: a running service sends it at once.",
        "Nothing: a running service sends it after 2026-03-02 12:00:00.",
        "Nothing: a running service tells Wix the status at once.",
        "Choose one of them.",
    ]
    assert "Shipment 6 of 6: NEEDS_REVIEW" in shown
    assert "Ready; Fulfilled is still to be told" in shown
    assert "[6] A person is asked to look: two carriers; Choose one of them" in timeline(shown)


def test_what_a_person_is_asked_without_words(reader: Shell, kept: Ledger) -> None:
    """Also where nobody left a hint, a shipment that needs a person says what can be done."""
    failed, asked = (kept.shipments.add(wanted(number=number))[0] for number in ("N1", "N2"))
    kept.shipments.move(moves.failed(failed, error="no"))
    kept.shipments.move(moves.needs_review(asked, reason="why not"))

    steps = [each["what_to_do"] for each in reader.json("why", "order-1")["shipments"]]

    assert "parcelhook fulfill" in steps[0]
    assert steps[1] == f"Decide what becomes of it: parcelhook review resolve {asked.id} --help"


def test_a_paused_store_says_so(reader: Shell, kept: Ledger) -> None:
    """Whoever wonders why nothing is sent reads it at the top."""
    kept.shipments.add(wanted())
    kept.stores.set_paused("default", paused=True)

    assert "The store is paused: nothing is sent.\n" in reader.run("why", "order-1").stdout


def test_bookings_and_scans_are_told(reader: Shell, kept: Ledger, clock: FakeClock) -> None:
    """What the carrier was asked, what it answered, and the raw code of each scan with its status."""
    row, _ = kept.shipments.add(wanted(state=State.WAITING_NUMBER, parcels=()))
    kept.bookings.begin("default", key="key-1", shipment_id=row.id, carrier="acme")
    kept.bookings.finish("default", answer=Booking(key="key-1", parcels=(BookedParcel(tracking_number="AC1"),)))
    row = kept.shipments.move(moves.numbered(row, parcels=(NewParcel(number="AC1"),)))
    row = kept.shipments.move(moves.ready(row, provider="Acme", link_source="wix"))
    row = kept.shipments.move(moves.sending(row, send_before=NOON, items=ITEMS))
    kept.shipments.move(moves.created(row, fulfillment_id="f-1", wix_status=None))
    scan = Scan(code="40/X", time=NOON, status=Status.DELIVERED, description=f"signed by {PERSON}", location=PERSON)
    clock.advance(60)
    for found in (False, True):
        kept.parcels.record(
            row.parcels[0].id,
            [scan] if found else [],
            found=found,
            judge=lambda scans: Judgement(
                status=Status.DELIVERED if scans else Status.UNKNOWN, next_poll_at=None if scans else NOON
            ),
        )
        if not found:
            unknown = " ".join(reader.run("why", "order-1").stdout.split())
    kept.shipments.set_status(row.id, status=Status.DELIVERED)

    shown = reader.run("why", "order-1").stdout

    assert "the carrier was asked 2026-03-02 12:01:00 and does not know it, next 2026-03-02 12:00:00" in unknown
    assert "AC1: delivered; the carrier was asked 2026-03-02 12:01:00\n" in shown
    assert "Wix builds it" in shown
    assert timeline(shown)[1:4] == [
        "Booking: acme is asked to carry it; under the key key-1",
        "Booking: acme booked it",
        "Has its tracking number: AC1",
    ]
    assert timeline(shown)[-2:] == [
        "Scan: acme AC1: code 40/X of 2026-03-02 12:00:00; delivered",
        "The parcel is delivered",
    ]


def test_nothing_of_the_buyer_is_shown(shell: Shell, shop: Shop) -> None:
    """What an event holds is not printed."""
    order_id = shop.order(buyerInfo={"email": "someone@buyer.example"})
    shop.follow()

    text = shell.run("why", order_id).output + str(shell.json("why", order_id))

    assert "order_approved" in text
    assert "someone@" not in text


def test_nothing_of_who_signed_is_shown(reader: Shell, kept: Ledger) -> None:
    """What a carrier says beside a scan's code may hold a name, and is not printed."""
    row, _ = kept.shipments.add(wanted())
    scan = Scan(code="40", time=NOON, description=PERSON, location=PERSON, extra={"signed": PERSON})
    kept.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: Judgement(status=Status.UNKNOWN))

    text = reader.run("why", "order-1").output + str(reader.json("why", "order-1"))

    assert "code 40" in text
    assert PERSON not in text


HOSTILE = "\x1b[2Jred\n2026-01-01 00:00:00  The fulfillment exists: no [bold]\u202e\r\x07" + "long " * 400


def test_hostile_text_drives_no_terminal(reader: Shell, kept: Ledger) -> None:
    """Control characters are shown as such, a line break makes no entry of its own, and a page of text is cut short."""
    row, _ = kept.shipments.add(wanted(order_number="1\x1b[0m"))
    kept.shipments.move(moves.failed(row, error=HOSTILE))
    call = kept.calls.begin("default", operation="create", method="POST", path="/f", order_ids=["order-1"])
    kept.calls.end("default", call, status=400, request_id="\x1b]0;x\x07", outcome="refused")

    shown = reader.run("why", "order-1").stdout

    assert all(character.isprintable() or character == "\n" for character in shown)
    assert [line[:8] for line in timeline(shown)] == ["Wanted: ", "Failed: ", "Wix was "]
    assert "[bold]" in shown
    assert "long ..." in shown
    assert all(len(line) <= WIDTH for line in shown.splitlines())
    assert reader.json("why", "order-1")["shipments"][0]["error"] == HOSTILE


def test_what_is_new_is_told_by_its_own_name(reader: Shell, kept: Ledger) -> None:
    """A decision without words of its own is shown all the same."""
    kept.notices.add("default", kind="set_aside", order_id="order-1", detail="by hand", reason="a gift.")
    kept.notices.add("default", kind="noted", order_id="order-1")

    assert timeline(reader.run("why", "order-1").stdout) == ["Set aside: by hand; a gift", "Noted"]


def test_five_thousand_entries_are_shown_fast(reader: Shell, kept: Ledger) -> None:
    """The history of an order that much happened to is there within seconds."""
    row, _ = kept.shipments.add(wanted())
    scans = [
        Scan(code=str(place), time=NOON + timedelta(seconds=place), status=Status.IN_TRANSIT) for place in range(2500)
    ]
    kept.parcels.record(row.parcels[0].id, scans, found=True, judge=lambda _: Judgement(status=Status.IN_TRANSIT))
    kept.inbox.receive(
        [
            InboxEvent(store="default", id=f"e{place}", event_type="t", payload="{}", order_id="order-1")
            for place in range(2500)
        ]
    )

    began = time.monotonic()
    shown = reader.run("why", "order-1").stdout

    assert len(timeline(shown)) == 5001
    assert time.monotonic() - began < 5
