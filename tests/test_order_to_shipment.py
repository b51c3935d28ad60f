"""From an approved order to its shipment, as an operator sees it: the service, its plug-ins, and Wix over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from branches import Branch, Company, company, number
from parcelhook.ledger import ShipmentRow
from parcelhook.ledger.states import State
from processes import Running, wait_for

LINE = "00000000-0000-0000-0000-000000000001"
LINE_2 = "00000000-0000-0000-0000-000000000002"
COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier"}}
RULES = """
[[rules]]
country = ["CA"]
carrier = "canada-post"
"""
RIVAL = '''
"""A carrier that wants what is to be quick, and the courier's orders too; it cannot book."""

from parcelhook import Carrier, Order, hookimpl


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve one carrier."""
    return [Carrier(id="rival", name="Rival Express", link="https://rival.example/{number}")]


@hookimpl
def parcelhook_choose_carrier(order: Order) -> dict[str, str] | None:
    """Want orders by their shipping method."""
    if "quick" not in order.shipping_method.casefold():
        return None
    return {item.id: "rival" for item in order.line_items}
'''


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Open one store for all of this file; each test has orders of its own."""
    with company(tmp_path_factory.mktemp("orders"), names=["main"], plugins={"rival": RIVAL}, rules=RULES) as made:
        yield made


@pytest.fixture(scope="module")
def service(firm: Company) -> Iterator[Running]:
    """Serve the store from a process of its own."""
    with firm.serve() as served:
        yield served


def edit(shop: Branch, order_id: str, *lines: dict[str, Any], **changes: object) -> None:
    """Change an order as the merchant does."""
    if lines:
        present = shop.sandbox.sandbox.store.orders[order_id].entity.value["lineItems"][0]
        changes["lineItems"] = [{**present, **line} for line in lines]
    shop.control("PATCH", f"orders/{order_id}", changes)


def waits(firm: Company, order_id: str, **items: int) -> ShipmentRow:
    """Wait until an order's shipment waits for its number with these quantities, by the end of a line item's id."""

    def look() -> list[ShipmentRow]:
        rows = firm.rows("main", order_id, State.WAITING_NUMBER)
        return [row for row in rows if {f"line{each.line_item_id[-1]}": each.quantity for each in row.items} == items]

    return wait_for(look, what=f"order {order_id} waits with {items}")[0]


def listed(firm: Company) -> set[str]:
    """Give the orders that are listed to wait."""
    return {each["order_id"] for each in firm.shell.json("orders", "--waiting")}


def shipped(shop: Branch, order_id: str) -> dict[str, int]:
    """Count what is in fulfillments, by line item."""
    return {item["id"]: item["quantity"] for each in shop.fulfillments(order_id) for item in each["lineItems"]}


def test_an_order_waits_is_listed_and_is_shipped_by_the_number_that_comes(firm: Company, service: Running) -> None:
    """Nobody wants it, a rule names its carrier, or two plug-ins want it: each waits, and a number ships it."""
    shop = firm.one
    nobodys, ruled = shop.order(), shop.order(country="CA")
    wanted = shop.order(shippingInfo={"title": "Quick as can be"})
    disputed = shop.order(shippingInfo={"title": "Local Courier, quick"})
    order_ids = {nobodys, ruled, wanted, disputed}
    rows = {order_id: waits(firm, order_id, line1=1) for order_id in order_ids}

    assert [rows[each].carrier for each in (nobodys, ruled, wanted, disputed)] == ["", "canada-post", "rival", ""]
    assert rows[disputed].error == "waits for a decision: courier and rival both want it"
    assert order_ids <= listed(firm)

    answers = [shop.ship(service, order_id, number(), carrier="rival") for order_id in (wanted, disputed, ruled)]
    shop.ship(service, nobodys, number()).raise_for_status()
    created = {order_id: firm.until("main", order_id, State.CREATED) for order_id in order_ids}

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert {order_id: row.id for order_id, row in created.items()} == {id_: row.id for id_, row in rows.items()}
    assert all(len(shop.fulfillments(order_id)) == 1 for order_id in order_ids)
    wait_for(lambda: not order_ids & listed(firm), what="none of them is listed any more")


def test_what_waits_follows_the_order_and_what_is_shipped_by_hand(firm: Company, service: Running) -> None:
    """Edits, a refund, and a part shipped by hand are all in what is sent in the end, and nothing twice."""
    shop = firm.one
    order_id = shop.order(quantity=4)
    waits(firm, order_id, line1=4)
    edit(shop, order_id, {"quantity": 4, "refundQuantity": 1}, {"id": LINE_2, "quantity": 2})
    waits(firm, order_id, line1=3, line2=2)
    part = {"fulfillment": {"lineItems": [{"id": LINE, "quantity": 1}]}}
    shop.by_hand("POST", f"orders/{order_id}/create-fulfillment", part)
    waits(firm, order_id, line1=2, line2=2)

    shop.ship(service, order_id, number()).raise_for_status()
    row = firm.until("main", order_id, State.CREATED)

    assert {item.line_item_id: item.quantity for item in row.items} == {LINE: 2, LINE_2: 2}
    assert len(shop.fulfillments(order_id)) == 2


def test_what_is_added_to_a_booked_order_is_booked_too(firm: Company, service: Running) -> None:
    """The courier carries what was approved, and what is added later in a parcel of its own, each once."""
    assert service.url
    shop = firm.one
    order_id = shop.order(**COURIER)
    firm.until("main", order_id, State.CREATED)
    edit(shop, order_id, {"quantity": 1}, {"id": LINE_2, "quantity": 2})

    rows = wait_for(lambda: _two(firm.rows("main", order_id, State.CREATED)), what="both are created")

    assert shipped(shop, order_id) == {LINE: 1, LINE_2: 2}
    assert len({row.tracking_number for row in rows}) == 2


def _two(rows: list[ShipmentRow]) -> list[ShipmentRow]:
    return rows if len(rows) == 2 else []


def test_a_number_changed_at_wix_is_the_one_that_is_followed(firm: Company, service: Running) -> None:
    """What a merchant types at Wix is known here, with the reason, within a moment."""
    shop, its = firm.one, number()
    order_id = shop.order()
    shop.ship(service, order_id, number()).raise_for_status()
    row = firm.until("main", order_id, State.CREATED)

    info = {"trackingInfo": {"trackingNumber": its}}
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{order_id}", {"fulfillment": info})

    wait_for(lambda: firm.rows("main", order_id)[0].tracking_number == its, what="the new number is known")
    assert "changed at Wix" in firm.shell.run("why", order_id).stdout


def test_an_order_canceled_after_it_was_booked_leaves_no_booking(firm: Company, service: Running) -> None:
    """Where Wix refuses creations for now, what was booked waits; the cancellation takes both back."""
    assert service.url
    shop = firm.one
    shop.fault("create", "bulk-create", status=429, times=50, retry_after=1)
    order_id = shop.order(**COURIER)
    row = wait_for(
        lambda: [row for row in firm.rows("main", order_id) if row.parcels and row.state is State.READY],
        what="it is booked and not sent",
    )[0]

    shop.control("POST", f"orders/{order_id}/cancel")

    firm.until("main", order_id, State.CANCELED)
    parcel = shop.sandbox.sandbox.courier.parcel(row.tracking_number)
    wait_for(lambda: parcel.cancelled, what="the courier was told")
    shop.control("DELETE", "faults")
    assert shop.fulfillments(order_id) == []
