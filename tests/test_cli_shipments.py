"""``shipments``: what is shipped and how far each shipment is, as people and programs read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli_runs import Shell
from parcelhook import Scan, Status
from parcelhook.ledger import State, moves
from parcelhook.ledger.parcels import Judgement
from shops import LINE, Shop

pytest_plugins = ["stores", "shop_shell"]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_an_empty_ledger(shell: Shell) -> None:
    """Where nothing was shipped, programs get an empty list and people a sentence."""
    assert shell.json("shipments") == []
    assert shell.run("shipments").stdout == "No shipments yet.\n"


def test_a_shipment_is_told_whole(shell: Shell, shop: Shop) -> None:
    """A shipment comes with its order, its number and link, its state, and how far it is here and at Wix."""
    order_id, number = shop.order(), shop.number()
    row = shop.created(order_id, number)

    (told,) = shell.json("shipments")

    assert told == {
        "shipment_id": row.id,
        "store": "main",
        "order_id": order_id,
        "order_number": row.order_number,
        "state": "CREATED",
        "carrier": "ups",
        "fulfillment_id": shop.fulfillments(order_id)[0]["id"],
        "shipping_provider": "ups",
        "tracking_number": number,
        "tracking_url": row.tracking_url,
        "status": row.status.value,
        "wix_status": row.wix_status,
        "error": "",
        "what_to_do": "",
    }


def test_people_get_a_table(shell: Shell, shop: Shop) -> None:
    """The table has a line for each shipment."""
    row = shop.created(shop.order())

    header, line = shell.run("shipments").stdout.splitlines()

    assert header.split()[:3] == ["shipment", "order", "carrier"]
    assert line.split()[0] == row.id
    assert row.tracking_number in line


@pytest.mark.parametrize("word", ["CREATED", "created"])
def test_shipments_of_one_state(shell: Shell, shop: Shop, word: str) -> None:
    """A state, however it is written, leaves out the others."""
    created = shop.created(shop.order())
    shop.take(shop.order())

    assert [each["shipment_id"] for each in shell.json("shipments", "--state", word)] == [created.id]
    assert shell.json("shipments", "--state", "FAILED") == []


def test_the_latest_come_first(shell: Shell, shop: Shop) -> None:
    """With a limit, the latest shipments are shown."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]

    assert [each["shipment_id"] for each in shell.json("shipments", "--limit", "2")] == [rows[2].id, rows[1].id]


@pytest.mark.parametrize("word", ["SHIPPED", ""])
def test_a_state_that_does_not_exist(shell: Shell, word: str) -> None:
    """A word that is no state ends with exit code 2 and the states there are."""
    error = shell.json("shipments", "--state", word, code=2)["error"]

    assert error["field"] == "--state"
    assert "NEEDS_REVIEW" in error["what_to_do"]


def test_what_is_wrong_with_a_shipment(shell: Shell, shop: Shop) -> None:
    """A shipment that needs a person says why and what to do."""
    row = shop.take(shop.order())
    shop.ledger.shipments.move(moves.needs_review(row, reason="two look alike", what_to_do="Delete one."))

    (told,) = shell.json("shipments", "--state", State.NEEDS_REVIEW)

    assert (told["error"], told["what_to_do"]) == ("two look alike", "Delete one.")
    assert "two look alike" in shell.run("shipments").stdout


def test_one_shipment_with_its_journey(shell: Shell, shop: Shop) -> None:
    """One shipment is shown with its line items, its parcels, and each scan of the carrier's."""
    row = shop.created(shop.order(quantity=2))
    scan = Scan(time=NOON, code="7", description="Out with the courier", location="Portland")
    judgement = Judgement(status=Status.OUT_FOR_DELIVERY, reason=None, next_poll_at=NOON)
    shop.ledger.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: judgement)

    told = shell.json("shipments", "show", row.id)

    assert told["items"] == [{"line_item_id": LINE, "quantity": 2}]
    (parcel,) = told["parcels"]
    assert (parcel["tracking_number"], parcel["status"]) == (row.tracking_number, "out_for_delivery")
    (shown,) = parcel["scans"]
    assert (shown["time"], shown["code"], shown["location"]) == (NOON.isoformat(), "7", "Portland")
    text = shell.run("shipments", "show", row.id).stdout
    assert "2026-03-02 12:00" in text
    assert "Out with the courier" in text


def test_one_shipment_of_which_nothing_is_known(shell: Shell, shop: Shop) -> None:
    """A shipment the carrier has told nothing about is shown as well."""
    row = shop.take(shop.order())

    assert [parcel["scans"] for parcel in shell.json("shipments", "show", row.id)["parcels"]] == [[]]
    assert "The carrier has told nothing yet." in shell.run("shipments", "show", row.id).stdout


def test_what_a_carrier_sends_cannot_drive_the_terminal(shell: Shell, shop: Shop) -> None:
    """A carrier's words are shown without their control characters."""
    row = shop.created(shop.order())
    scan = Scan(time=NOON, code="7", description="\x1b[2Jgone")
    judgement = Judgement(status=Status.UNKNOWN)
    shop.ledger.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: judgement)

    text = shell.run("shipments", "show", row.id).stdout

    assert "\x1b" not in text
    assert r"\x1b[2Jgone" in text


def test_a_shipment_that_does_not_exist(shell: Shell) -> None:
    """An id nobody knows ends with exit code 2."""
    error = shell.json("shipments", "show", "no-such-shipment", code=2)["error"]

    assert "no-such-shipment" in error["message"]


def test_a_store_that_is_not_configured(shell: Shell) -> None:
    """A store nobody configured is no empty list: exit code 2, and the stores there are."""
    error = shell.json("shipments", "--store", "other", code=2)["error"]

    assert (error["field"], error["what_to_do"]) == ("--store", "Configured are: main.")
