"""``status``: how far an order's fulfillments are, and by hand one step further."""

from __future__ import annotations

import pytest

from cli_runs import Shell
from parcelhook.ledger import moves
from parcelhook.models import Status
from shops import LINE, LINE_2, Json, Shop

pytest_plugins = ["stores", "shop_shell"]


def test_an_order_without_fulfillments(shell: Shell, shop: Shop) -> None:
    """An order of which nothing was shipped has an empty list, and people are told so."""
    order_id = shop.order()

    assert shell.json("status", order_id) == {"order_id": order_id, "fulfillments": [], "shipments": []}
    assert shell.run("status", order_id).stdout == "The order has no fulfillments yet.\n"


def test_a_fulfillment_of_ours(shell: Shell, shop: Shop) -> None:
    """A fulfillment is told with Wix's status, ours, and the parcels in it."""
    order_id, number = shop.order(), shop.number()
    row = shop.created(order_id, number)

    (told,) = shell.json("status", order_id)["fulfillments"]

    parcel = {"carrier": "ups", "tracking_number": number, "status": row.status.value, "reason": None}
    assert (told["id"], told["shipment_id"], told["status"]) == (row.fulfillment_id, row.id, row.status.value)
    assert (told["shipping_provider"], told["tracking_number"], told["parcels"]) == ("ups", number, [parcel])
    assert told["wix_status"] == shop.fulfillments(order_id)[0].get("status")
    assert number in told["tracking_url"]
    assert (told["state"], told["line_items"]) == ("CREATED", [{"line_item_id": LINE, "quantity": 1}])
    assert told["differences"] == []


def test_a_fulfillment_of_somebody_else(shell: Shell, shop: Shop) -> None:
    """A fulfillment the merchant made is shown as Wix has it, and nothing is claimed about its parcels."""
    order_id, number = shop.order(), shop.number()
    made = shop.fulfilled_by_hand(order_id, number)

    (told,) = shell.json("status", order_id)["fulfillments"]

    assert (told["id"], told["tracking_number"]) == (made, number)
    assert (told["status"], told["shipment_id"], told["parcels"]) == (None, None, [])
    assert (told["state"], told["differences"]) == (None, [])
    assert shell.run("status", order_id).stdout.splitlines()[1].endswith("not ours")


def test_people_get_a_table(shell: Shell, shop: Shop) -> None:
    """The table has a line for each fulfillment."""
    order_id, number = shop.order(), shop.number()
    row = shop.created(order_id, number)

    lines = shell.run("status", order_id).stdout.splitlines()

    assert lines[0].split()[:3] == ["fulfillment", "at", "Wix"]
    assert str(row.fulfillment_id) in lines[1]
    assert number in lines[1]


def test_what_others_changed_at_wix_is_told(shell: Shell, shop: Shop) -> None:
    """Wix is asked now: a status, number, provider or link that differs is told, with both sides."""
    order_id, number = shop.order(), shop.number()
    row = shop.created(order_id)
    info = {"trackingNumber": number, "shippingProvider": "Acme", "trackingLink": "https://acme.example/1"}
    changes = {"fulfillment": {"status": "Ready", "trackingInfo": info}}
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{order_id}", changes)

    (told,) = shell.json("status", order_id)["fulfillments"]
    text = shell.run("status", order_id).stdout

    assert (told["tracking_number"], told["parcels"][0]["tracking_number"]) == (number, row.tracking_number)
    assert told["differences"] == [
        {"what": "status", "at_wix": "Ready", "here": row.wix_status},
        {"what": "number", "at_wix": number, "here": row.tracking_number},
        {"what": "provider", "at_wix": "Acme", "here": "ups"},
        {"what": "link", "at_wix": "https://acme.example/1", "here": row.tracking_url},
    ]
    assert f"has the number {number} at Wix, and {row.tracking_number} here" in text
    assert f"parcelhook shipments correct {row.id} --number" in text


def test_a_status_that_is_still_to_be_told(shell: Shell, shop: Shop) -> None:
    """What a carrier reported and Wix does not have yet is told."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    (told,) = shell.json("status", row.order_id)["fulfillments"]

    assert told["differences"] == [{"what": "wanted_status", "at_wix": None, "here": "Fulfilled"}]
    assert "Wix is still to be told Fulfilled" in shell.run("status", row.order_id).stdout


def test_what_is_gone_at_wix_is_told(shell: Shell, shop: Shop) -> None:
    """A shipment whose fulfillment somebody deleted stands beside the fulfillments, with what helps."""
    row = shop.created(shop.order())
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    told = shell.json("status", row.order_id)
    text = shell.run("status", row.order_id).stdout

    assert told["fulfillments"] == []
    assert [each["shipment_id"] for each in told["shipments"]] == [row.id]
    assert told["shipments"][0]["differences"] == [{"what": "state", "at_wix": None, "here": "CREATED"}]
    assert "The order has no fulfillments yet." in text
    assert "Not at Wix:" in text
    assert f"parcelhook shipments delete {row.id}" in text


def test_what_is_deleted_here_and_there_at_wix_is_told(shell: Shell, shop: Shop) -> None:
    """Where Wix has what is noted as deleted, that is told instead of its parts."""
    row = shop.created(shop.order())
    shop.ledger.shipments.move(moves.deleted(row, reason="it seemed so"))

    (told,) = shell.json("status", row.order_id)["fulfillments"]

    assert told["differences"] == [{"what": "state", "at_wix": "present", "here": "DELETED"}]


def test_a_shipment_that_is_not_sent_yet(shell: Shell, shop: Shop) -> None:
    """What waits is shown beside what is at Wix, and is no difference."""
    row = shop.take(shop.order())

    (told,) = shell.json("status", row.order_id)["shipments"]

    assert (told["shipment_id"], told["state"], told["differences"]) == (row.id, "WAITING_LINK", [])
    assert [parcel["tracking_number"] for parcel in told["parcels"]] == [row.tracking_number]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("Ready", "Ready"), ("in_delivery", "In_Delivery"), ("in-transit", "In_Delivery"), ("delivered", "Fulfilled")],
)
def test_a_status_is_set_by_wixs_word_or_ours(shell: Shell, shop: Shop, word: str, meant: str) -> None:
    """Either word moves the fulfillment on at Wix, and the answer shows it there."""
    order_id = shop.order()
    shop.created(order_id)

    (told,) = shell.json("status", order_id, "--set", word)["fulfillments"]

    assert told["wix_status"] == shop.fulfillments(order_id)[0]["status"] == meant


def test_nothing_but_the_status_is_sent(shell: Shell, shop: Shop) -> None:
    """One call sets the status; number, provider, link and line items stay as they were."""
    order_id = shop.order(quantity=2)
    row = shop.created(order_id)
    (before,) = shop.fulfillments(order_id)
    shop.calls()

    shell.json("status", order_id, "--set", "delivered")

    (after,) = shop.fulfillments(order_id)
    assert _without_status(after) == _without_status(before)
    assert after["status"] == "Fulfilled"
    assert shop.calls()["update"] == 1
    assert shop.row(row).wix_status == "Fulfilled"
    assert "Fulfilled was set by hand" in [entry.detail for entry in shop.ledger.history("main", order_id)]


def _without_status(fulfillment: Json) -> Json:
    return {name: value for name, value in fulfillment.items() if name not in {"status", "completed"}}


def test_the_status_it_has_is_not_sent_again(shell: Shell, shop: Shop) -> None:
    """Set twice, a status is sent once."""
    order_id = shop.order()
    shop.created(order_id)
    shell.json("status", order_id, "--set", "Ready")
    shop.calls()

    (told,) = shell.json("status", order_id, "--set", "Ready")["fulfillments"]

    assert told["wix_status"] == "Ready"
    assert shop.calls()["update"] == 0


def test_a_status_never_goes_back(shell: Shell, shop: Shop) -> None:
    """What was delivered cannot be ready again: exit code 2, and nothing is sent."""
    order_id = shop.order()
    shop.created(order_id)
    shell.json("status", order_id, "--set", "delivered")
    shop.calls()

    error = shell.json("status", order_id, "--set", "Ready", code=2)["error"]

    assert (error["type"], error["field"]) == ("WrongState", "--set")
    assert "is Fulfilled and cannot go back to Ready" in error["message"]
    assert shop.calls()["update"] == 0


@pytest.mark.parametrize("word", ["shipped", "returned", "Fulfiled", ""])
def test_a_word_that_is_no_status_is_refused(shell: Shell, shop: Shop, word: str) -> None:
    """A word Wix cannot be told ends with exit code 2 and the words it can, before anything is asked of Wix."""
    order_id = shop.order()
    shop.calls()

    error = shell.json("status", order_id, "--set", word, code=2)["error"]

    assert error["field"] == "--set"
    assert "In_Delivery" in error["what_to_do"]
    assert "delivered" in error["what_to_do"]
    assert not shop.calls()


def test_of_several_fulfillments_one_must_be_named(shell: Shell, shop: Shop) -> None:
    """Two fulfillments need --fulfillment; the one that is named moves on, the other stays."""
    order_id = shop.order(items=2)
    first = shop.created(order_id, items={LINE: 1})
    second = shop.created(order_id, items={LINE_2: 1})

    error = shell.json("status", order_id, "--set", "delivered", code=2)["error"]
    told = shell.json("status", order_id, "--set", "delivered", "--fulfillment", str(second.fulfillment_id))

    assert error["field"] == "--fulfillment"
    assert str(first.fulfillment_id) in error["what_to_do"]
    statuses = {each["id"]: each["wix_status"] for each in told["fulfillments"]}
    assert statuses[second.fulfillment_id] == "Fulfilled"
    assert statuses[first.fulfillment_id] != "Fulfilled"


def test_a_fulfillment_the_order_does_not_have(shell: Shell, shop: Shop) -> None:
    """A fulfillment that is not the order's ends with exit code 2 and the ids it has."""
    order_id = shop.order()
    row = shop.created(order_id)

    error = shell.json("status", order_id, "--set", "delivered", "--fulfillment", "no-such", code=2)["error"]

    assert "has no such fulfillment" in error["message"]
    assert str(row.fulfillment_id) in error["what_to_do"]


def test_setting_a_status_needs_a_fulfillment(shell: Shell, shop: Shop) -> None:
    """Where nothing was shipped, the error says so instead of asking for an id."""
    error = shell.json("status", shop.order(), "--set", "delivered", code=2)["error"]

    assert error["field"] == "ORDER"
    assert "has no fulfillment yet" in error["message"]


def test_a_fulfillment_is_named_to_set_it_alone(shell: Shell, shop: Shop) -> None:
    """--fulfillment without --set would be passed over, and is a usage error."""
    error = shell.json("status", shop.order(), "--fulfillment", "x", code=2)["error"]

    assert "--fulfillment goes with --set" in error["message"]


@pytest.mark.parametrize("status", [404, 400, 428])
def test_an_order_the_store_does_not_have(shell: Shell, shop: Shop, status: int) -> None:
    """An unknown order is a mistake of whoever asks, and the message says where ids are found."""
    shop.switch(unknown_order_status=status)
    error = shell.json("status", "no-such-order", code=2)["error"]

    assert error["field"] == "ORDER"
    assert "parcelhook orders" in error["what_to_do"]
