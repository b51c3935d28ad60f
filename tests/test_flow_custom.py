"""The second flow, as an operator sees it: the carrier's plug-in gives number and link before Wix hears of anything.

What happened when is read off the wire: the courier and Wix stand behind one tap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from branches import Branch, Company, company, number
from history_check import history_of, violations
from parcelhook.ledger import Ledger
from parcelhook.ledger.states import State
from processes import Running, wait_for

COURIER: dict[str, Any] = {"shippingInfo": {"title": "Local Courier"}}
PAGE = "https://track.fickle.example/p/"
FICKLE = '''
"""A carrier whose links are as the number says, and good once a file says that all is well."""

from pathlib import Path

from parcelhook import Carrier, CarrierUnavailable, Shipment, hookimpl

LINKS = {
    "HTTP": "http://track.fickle.example/p/1",
    "HOST": "https://elsewhere.example/p/1",
    "TEXT": "see the paper in the parcel",
    "NONE": None,
}


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    """Serve one carrier without a template."""
    fields = {"id": "fickle", "name": "Fickle Post", "link_hosts": ["track.fickle.example"], "capabilities": ["link"]}
    return [Carrier.model_validate(fields)]


@hookimpl
async def parcelhook_resolve_tracking_url(shipment: Shipment) -> str | None:
    """Give the link, or what stands in its place."""
    if Path("all-is-well").exists():
        return f"https://track.fickle.example/p/{shipment.tracking_number}"
    kind = shipment.tracking_number[:4]
    if kind == "DOWN":
        raise CarrierUnavailable("the fickle post is closed", carrier="fickle")
    if kind == "BUGS":
        raise ZeroDivisionError
    return LINKS[kind]
'''


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Open one store for all of this file; each test has orders of its own."""
    with company(tmp_path_factory.mktemp("custom"), names=["main"], plugins={"fickle": FICKLE}) as made:
        yield made


@pytest.fixture(scope="module")
def service(firm: Company) -> Iterator[Running]:
    """Serve the store from a process of its own."""
    with firm.serve() as served:
        yield served


def creates(shop: Branch, order_id: str) -> int:
    """Count the calls that were to create a fulfillment of an order, one by one or with others."""
    one_by_one = shop.tap.about(order_id, "create-fulfillment")
    bulk = [each for each in shop.tap.about("bulk/create") if order_id in each.body.decode()]
    return len(one_by_one) + len(bulk)


def test_number_and_link_are_there_before_wix_is_called(firm: Company, service: Running) -> None:
    """The courier books, gives number and page, and only then a fulfillment is created, under the courier's name."""
    assert service.url
    shop = firm.one
    order_id = shop.order(quantity=3, **COURIER)

    row = firm.until("main", order_id, State.CREATED)

    its = row.tracking_number
    (booked,) = [
        each for each in shop.tap.about("/courier/parcels", method="POST") if its and row.intent_key in str(each.json)
    ]
    (create,) = shop.tap.about(order_id, "create-fulfillment")
    passed = list(shop.tap.passed)
    assert passed.index(booked) < passed.index(create)
    assert all(passed.index(each) < passed.index(create) for each in shop.tap.about(f"/courier/parcels/{its}"))
    info = create.json["fulfillment"]["trackingInfo"]
    assert (info["trackingNumber"], info["shippingProvider"]) == (its, "Local Courier")
    assert httpx.get(info["trackingLink"]).status_code == 200
    (fulfillment,) = shop.fulfillments(order_id)
    assert (fulfillment["id"], fulfillment["trackingInfo"]) == (row.fulfillment_id, info)
    assert [item["quantity"] for item in fulfillment["lineItems"]] == [3]


@pytest.mark.parametrize("kind", ["HTTP", "HOST", "TEXT", "NONE", "DOWN", "BUGS"])
def test_without_a_valid_link_wix_is_not_called(firm: Company, service: Running, kind: str) -> None:
    """The shipment waits, whatever is wrong with the link; asked for again when all is well, it is created, once."""
    shop, its = firm.one, f"{kind}{number()}"
    order_id = shop.order()
    shop.ship(service, order_id, its, carrier="fickle").raise_for_status()

    waiting = wait_for(
        lambda: [row for row in firm.rows("main", order_id, State.WAITING_LINK) if row.error],
        what="the link is refused",
    )

    assert [row.tracking_url for row in waiting] == [""]
    assert creates(shop, order_id) == 0
    assert shop.fulfillments(order_id) == []

    well = firm.shell.write("all-is-well", "")
    try:
        shop.ship(service, order_id, its, carrier="fickle").raise_for_status()
        row = firm.until("main", order_id, State.CREATED)
    finally:
        well.unlink()

    (fulfillment,) = shop.fulfillments(order_id)
    assert row.fulfillment_id == fulfillment["id"]
    assert fulfillment["trackingInfo"] == {
        "trackingNumber": its,
        "shippingProvider": "Fickle Post",
        "trackingLink": f"{PAGE}{its}",
    }
    assert creates(shop, order_id) == 1


def test_the_store_has_a_history_without_a_breach(firm: Company, service: Running) -> None:
    """Whatever this file's orders came to: one fulfillment an intent, and every write in the ledger before it left."""
    assert service.url
    shop = firm.one
    firm.until("main", shop.order(**COURIER), State.CREATED)

    def is_at_rest() -> bool:
        with Ledger.open(firm.ledger_url) as ledger:
            return violations(history_of(shop, ledger, store="main")) == []

    wait_for(is_at_rest, what="the store is at rest")
