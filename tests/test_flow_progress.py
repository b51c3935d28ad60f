"""The fourth flow, as an operator sees it: the carrier's scans move the fulfillment on, until it is at the door.

The bodies that reached Wix are read off the wire: the status field alone, forward only, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from branches import Branch, Company, company
from history_check import history_of, violations
from parcelhook.ledger import Ledger, ShipmentRow
from parcelhook.ledger.states import State
from processes import Running, wait_for

COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier"}}
FAST = "0.00003"
"""Four hours between two looks at a parcel become less than half a second."""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Open one store for all of this file; each test has orders of its own."""
    with company(tmp_path_factory.mktemp("progress"), names=["main"], PARCELHOOK_POLL_SCALE=FAST) as made:
        yield made


@pytest.fixture(scope="module")
def service(firm: Company) -> Iterator[Running]:
    """Serve the store from a process of its own."""
    with firm.serve() as served:
        yield served


@pytest.fixture
def announced(firm: Company, service: Running) -> ShipmentRow:
    """Give a shipment of the courier whose parcel is announced, and whose fulfillment says so."""
    assert service.url
    row = firm.until("main", firm.one.order(**COURIER), State.CREATED)
    wait_for(lambda: status(firm.one, row) == "Ready", what="the parcel is announced")
    return row


def status(shop: Branch, row: ShipmentRow) -> str | None:
    """Give a fulfillment's status at Wix."""
    (fulfillment,) = shop.fulfillments(row.order_id)
    found: str | None = fulfillment.get("status")
    return found


def updates(shop: Branch, row: ShipmentRow) -> list[Any]:
    """Give the bodies of the updates of a fulfillment, as they passed on the wire."""
    assert row.fulfillment_id
    return [each.json for each in shop.tap.about(row.fulfillment_id, row.order_id, method="PATCH")]


def move(shop: Branch, row: ShipmentRow, step: int | None = None, *, journey: str = "delivered") -> None:
    """Let the courier carry a parcel so far, or to the end of its journey."""
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": journey, "step": step})


def kept(firm: Company, row: ShipmentRow) -> ShipmentRow:
    """Read a shipment as the ledger has it now."""
    (found,) = firm.rows("main", row.order_id)
    return found


def asked(firm: Company, row: ShipmentRow) -> None:
    """Wait until the courier was asked about a parcel twice more, so that whatever it said is known."""

    def times() -> int:
        polls = firm.one.tap.about("/courier/parcels/status", method="POST")
        return sum(row.tracking_number in each.json["numbers"] for each in polls)

    before = times()
    wait_for(lambda: times() >= before + 2, what="the courier is asked again")


def test_a_parcels_way_to_the_door_is_told_step_by_step(firm: Company, announced: ShipmentRow) -> None:
    """Collected, at the sorting centre, on the van, delivered: Wix is told what is new to it, the status alone."""
    shop = firm.one
    for step in (2, 4, 5):
        move(shop, announced, step)
        asked(firm, announced)
        assert status(shop, announced) == "In_Delivery"
    move(shop, announced)
    wait_for(lambda: status(shop, announced) == "Fulfilled", what="the parcel is delivered")

    told = updates(shop, announced)

    assert [body["fulfillment"]["status"] for body in told if body["fulfillment"]["status"] != "Ready"] == [
        "In_Delivery",
        "Fulfilled",
    ]
    assert all(body == {"fulfillment": {"status": body["fulfillment"]["status"]}} for body in told)
    listed = firm.shell.json("status", announced.order_id)["fulfillments"]
    assert [(each["id"], each["wix_status"], each["status"]) for each in listed] == [
        (announced.fulfillment_id, "Fulfilled", "delivered")
    ]
    assert shop.tap.about(f"orders/{announced.order_id}", method="GET")


def test_a_delivered_parcel_is_asked_about_no_more(firm: Company, announced: ShipmentRow) -> None:
    """Once it is at the door the courier is left in peace, and Wix hears nothing more."""
    shop = firm.one
    move(shop, announced)
    wait_for(lambda: kept(firm, announced).wix_status == "Fulfilled", what="the parcel is delivered")
    wait_for(lambda: kept(firm, announced).parcels[0].next_poll_at is None, what="nothing more is expected")

    before = len(updates(shop, announced))
    move(shop, announced, 2)
    other = firm.until("main", shop.order(**COURIER), State.CREATED)
    asked(firm, other)

    assert len(updates(shop, announced)) == before
    assert status(shop, announced) == "Fulfilled"


def test_a_status_the_merchant_set_is_followed(firm: Company, announced: ShipmentRow) -> None:
    """A hand that was quicker is believed: what Wix has already is not told again, and the rest goes on from there."""
    shop = firm.one
    path = f"{announced.fulfillment_id}/orders/{announced.order_id}"
    shop.by_hand("PATCH", path, {"fulfillment": {"status": "In_Delivery"}})
    wait_for(lambda: kept(firm, announced).wix_status == "In_Delivery", what="the hand is seen")

    move(shop, announced, 4)
    asked(firm, announced)
    move(shop, announced)
    wait_for(lambda: kept(firm, announced).wix_status == "Fulfilled", what="the parcel is delivered")

    told = [body["fulfillment"]["status"] for body in updates(shop, announced)]
    assert [each for each in told if each != "Ready"] == ["Fulfilled"]


def test_a_merchant_who_went_ahead_is_not_taken_back(firm: Company, announced: ShipmentRow) -> None:
    """Set to Fulfilled by hand while the parcel is on its way: no later scan sets it back."""
    shop = firm.one
    path = f"{announced.fulfillment_id}/orders/{announced.order_id}"
    shop.by_hand("PATCH", path, {"fulfillment": {"status": "Fulfilled"}})
    wait_for(lambda: kept(firm, announced).wix_status == "Fulfilled", what="the hand is seen")
    before = len(updates(shop, announced))

    move(shop, announced, 4)
    wait_for(lambda: kept(firm, announced).status.value == "in_transit", what="the scan is known")
    asked(firm, announced)

    assert len(updates(shop, announced)) == before
    assert status(shop, announced) == "Fulfilled"
    assert kept(firm, announced).wanted_wix_status is None


def test_a_fulfillment_the_merchant_deleted_is_told_nothing(firm: Company, announced: ShipmentRow) -> None:
    """What was deleted by hand stays deleted: it is not made again, and no status is sent after it."""
    shop = firm.one
    shop.by_hand("DELETE", f"{announced.fulfillment_id}/orders/{announced.order_id}")
    wait_for(lambda: kept(firm, announced).state is State.DELETED, what="the deletion is seen")
    before = len(updates(shop, announced))

    move(shop, announced)
    other = firm.until("main", shop.order(**COURIER), State.CREATED)
    asked(firm, other)

    assert len(updates(shop, announced)) == before
    assert shop.fulfillments(announced.order_id) == []


def test_the_store_has_a_history_without_a_breach(firm: Company, announced: ShipmentRow) -> None:
    """At rest, what the ledger says of a fulfillment is what Wix has, and each write was in the ledger before."""
    shop = firm.one
    move(shop, announced)

    def is_at_rest() -> bool:
        with Ledger.open(firm.ledger_url) as ledger:
            return not violations(history_of(shop, ledger, store="main", orders=[announced.order_id]))

    wait_for(lambda: status(shop, announced) == "Fulfilled" and is_at_rest(), what="the store is at rest")
