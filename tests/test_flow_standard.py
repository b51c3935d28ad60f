"""The first flow, as an operator sees it: an order is approved, a standard carrier has its parcel, Wix has the link.

A service in a process of its own hears the signed webhook over HTTP; what reaches Wix is read off the wire.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from branches import Company, company, number
from history_check import history_of, violations
from parcelhook.ledger import Ledger
from parcelhook.ledger.states import State
from processes import Running, wait_for

PROVIDERS = {"fedex": "fedex", "ups": "ups", "usps": "usps", "dhl": "dhl", "canada-post": "canadaPost"}


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Open one store for all of this file; each test has orders of its own."""
    with company(tmp_path_factory.mktemp("standard"), names=["main"]) as made:
        yield made


@pytest.fixture(scope="module")
def service(firm: Company) -> Iterator[Running]:
    """Serve the store from a process of its own."""
    with firm.serve() as served:
        yield served


@pytest.mark.parametrize(("carrier", "provider"), PROVIDERS.items(), ids=PROVIDERS)
def test_a_standard_carriers_parcel_has_wixs_own_link(
    firm: Company, service: Running, carrier: str, provider: str
) -> None:
    """Approved by webhook, numbered by a command: provider and number are sent, and no link, for Wix builds it."""
    assert service.url
    shop, its = firm.one, number()
    order_id = shop.order(quantity=2)
    waiting = firm.until("main", order_id, State.WAITING_NUMBER)
    assert shop.fulfillments(order_id) == []

    made = firm.shell.json("fulfill", order_id, "--carrier", carrier, "--number", its)

    (create,) = shop.tap.about(order_id, "create-fulfillment")
    sent = create.json["fulfillment"]
    assert sent["trackingInfo"] == {"trackingNumber": its, "shippingProvider": provider}
    assert [item["quantity"] for item in sent["lineItems"]] == [2]
    (fulfillment,) = shop.fulfillments(order_id)
    assert its in fulfillment["trackingInfo"]["trackingLink"]
    assert (made["state"], made["shipment_id"]) == ("CREATED", waiting.id)
    assert made["fulfillment_id"] == fulfillment["id"]
    assert made["tracking_url"] == fulfillment["trackingInfo"]["trackingLink"]


def test_what_is_said_again_makes_no_second_fulfillment(firm: Company, service: Running) -> None:
    """The command, the API and the webhook once more: one fulfillment, one create, and everyone hears of the same."""
    shop, its = firm.one, number()
    order_id = shop.order()
    firm.until("main", order_id, State.WAITING_NUMBER)
    made = firm.shell.json("fulfill", order_id, "--carrier", "ups", "--number", its)

    again = firm.shell.json("fulfill", order_id, "--carrier", "ups", "--number", its)
    by_api = shop.ship(service, order_id, its, carrier="ups")
    log = shop.sandbox.sandbox.events.log.values()
    approved = next(event for event in log if event.entity_id == order_id and event.event_type.endswith("approved"))
    shop.control("POST", f"events/{approved.id}/redeliver")
    wait_for(lambda: len(approved.deliveries) == 2 and approved.deliveries[1].delivered, what="it is delivered again")

    assert (again["fulfillment_id"], again["already_existed"]) == (made["fulfillment_id"], True)
    assert (by_api.status_code, by_api.json()["shipment_id"]) == (202, made["shipment_id"])
    assert len(shop.tap.about(order_id, "create-fulfillment")) == len(shop.fulfillments(order_id)) == 1


def test_the_store_has_a_history_without_a_breach(firm: Company, service: Running) -> None:
    """Whatever this file's orders came to: one fulfillment an intent, and every write in the ledger before it left."""
    shop = firm.one
    order_id = shop.order()
    shop.ship(service, order_id, number(), carrier="ups")
    firm.until("main", order_id, State.CREATED)

    with Ledger.open(firm.ledger_url) as ledger:
        assert violations(history_of(shop, ledger, store="main")) == []
