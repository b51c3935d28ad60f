"""A create whose outcome is open is settled: wait, list, match, and only then go on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parcelhook.fulfillment.create import send
from parcelhook.fulfillment.settle import settle
from parcelhook.fulfillment.store import LEASE_SECONDS, Outcome
from parcelhook.ledger import State
from sandbox_client import until
from shops import LINE, SETTLE, ProcessDied, Shop

pytest_plugins = ["stores"]

UNCLEAR: list[dict[str, Any]] = [
    {"effect": "untold"},
    {"effect": "untold", "body": "html"},
    {"effect": "untold", "body": "truncated"},
    {"effect": "untold", "body": "empty", "status": 500},
    {"status": 500},
    {"status": 502, "body": "html"},
    {"status": 503},
    {"status": 200, "body": "html"},
    {"status": 200, "body": "truncated"},
]


def happened(fault: dict[str, Any]) -> bool:
    """Tell whether a fault leaves a fulfillment behind."""
    return fault.get("effect") == "untold"


@pytest.mark.parametrize("fault", UNCLEAR, ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_an_unclear_answer_is_settled_by_what_wix_has(shop: Shop, fault: dict[str, Any]) -> None:
    """The shipment stays SENDING until it is found at Wix, without a second create, or is known to be absent."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", **fault)

    assert shop.send(row) is Outcome.UNDECIDED
    assert (shop.row(row).state, shop.row(row).ambiguous) == (State.SENDING, 1)
    assert shop.send(row) is None
    assert settle(shop.store) == {}, "the settle time has not passed"

    if happened(fault):
        assert shop.settle(row) is Outcome.CREATED
    else:
        assert shop.settle(row) is Outcome.WAITING
        assert shop.send(row) is Outcome.CREATED
    assert shop.calls()["create"] == (1 if happened(fault) else 2)
    (fulfillment,) = shop.fulfillments(order_id)
    found = shop.row(row)
    assert (found.state, found.fulfillment_id) == (State.CREATED, fulfillment["id"])
    assert found.tracking_url == fulfillment["trackingInfo"]["trackingLink"]


@pytest.mark.parametrize("fault", UNCLEAR, ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_an_unclear_bulk_answer_is_settled_order_by_order(shop: Shop, fault: dict[str, Any]) -> None:
    """After an unclear bulk answer every order is looked up, in one call, before anything is sent again."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]
    ids = [row.id for row in rows]
    shop.fault("bulk-create", **fault)
    assert send(shop.store, ids) == dict.fromkeys(ids, Outcome.UNDECIDED)
    shop.calls()
    shop.clock.advance(SETTLE.total_seconds() + 1)

    outcomes = settle(shop.store)

    assert shop.calls() == {"list-by-ids": 1}
    assert outcomes == dict.fromkeys(ids, Outcome.CREATED if happened(fault) else Outcome.WAITING)
    again = send(shop.store)
    assert again == ({} if happened(fault) else dict.fromkeys(ids, Outcome.CREATED))
    assert [len(shop.fulfillments(row.order_id)) for row in rows] == [1, 1, 1]


def test_a_late_effect_is_waited_for(shop: Shop) -> None:
    """A fulfillment that comes to be after the connection broke is found, not made twice."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", effect="late", delay=0.05)
    assert shop.send(row) is Outcome.UNDECIDED
    assert shop.fulfillments(order_id) == []
    until(lambda: bool(shop.fulfillments(order_id)))

    assert shop.settle(row) is Outcome.CREATED

    assert len(shop.fulfillments(order_id)) == 1
    assert shop.calls()["create"] == 1


def test_an_effect_later_than_the_settle_time_is_still_found(shop: Shop) -> None:
    """What came to be between the look and the second create is found by the second look before it."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", effect="late", delay=0.2)
    assert shop.send(row) is Outcome.UNDECIDED
    assert shop.settle(row) is Outcome.WAITING
    until(lambda: bool(shop.fulfillments(order_id)))

    assert shop.send(row) is Outcome.EXISTING

    assert len(shop.fulfillments(order_id)) == 1
    assert shop.calls()["create"] == 1


def test_an_answer_unclear_twice_asks_a_person(shop: Shop) -> None:
    """Where the second try is unclear too and Wix shows nothing, a person is asked, and nothing more is sent."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", status=500, times=2)
    assert shop.send(row) is Outcome.UNDECIDED
    assert shop.settle(row) is Outcome.WAITING
    assert shop.send(row) is Outcome.UNDECIDED

    assert shop.settle(row) is Outcome.REVIEW

    found = shop.row(row)
    assert (found.state, found.error, bool(found.what_to_do)) == (
        State.NEEDS_REVIEW,
        "Wix's answer was unclear twice, and it does not show the fulfillment",
        True,
    )
    assert (shop.send(row), shop.settle(row)) == (None, None)
    assert shop.fulfillments(order_id) == []


def test_an_answer_unclear_twice_is_found_where_it_happened(shop: Shop) -> None:
    """The second unclear try is looked for as the first was."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", status=500)
    shop.fault("create", effect="untold")
    shop.send(row)
    shop.settle(row)
    assert shop.send(row) is Outcome.UNDECIDED

    assert shop.settle(row) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 1


def test_wix_that_cannot_be_asked_is_asked_later(shop: Shop) -> None:
    """Where the list cannot be read nothing is decided, and an unclear answer does not count twice for it."""
    row = shop.take(shop.order())
    shop.fault("create", effect="untold")
    shop.send(row)
    shop.fault("list", status=503, times=3)

    assert shop.settle(row) is Outcome.UNDECIDED
    assert shop.row(row).ambiguous == 1

    assert shop.settle(row) is Outcome.CREATED


def test_a_fulfillment_of_another_shipment_is_never_adopted(shop: Shop) -> None:
    """A fulfillment that is bound to one shipment is not taken for another one's, though the number is the same."""
    order_id = shop.order(quantity=2)
    row = shop.take(order_id, items={LINE: 1}, key="first")
    shop.fault("create", status=500)
    assert shop.send(row) is Outcome.UNDECIDED
    shop.created(order_id, row.tracking_number, items={LINE: 1}, key="second")

    assert shop.settle(row) is Outcome.WAITING

    assert shop.row(row).fulfillment_id is None
    assert shop.send(row) is Outcome.REFUSED
    assert len(shop.fulfillments(order_id)) == 1


def test_a_fulfillment_from_before_the_wish_is_never_adopted(shop: Shop) -> None:
    """A fulfillment that was there before the shipment was wanted cannot be what its create made."""
    order_id, number = shop.order(quantity=2), shop.number()
    shop.clock.advance(600)
    row = shop.take(order_id, number, items={LINE: 1})
    shop.fault("create", status=500)
    assert shop.send(row) is Outcome.UNDECIDED
    # Made at the store's own time, which is ten minutes before the wish.
    shop.fulfilled_by_hand(order_id, number, quantity=2)

    assert shop.settle(row) is Outcome.WAITING

    assert shop.row(row).fulfillment_id is None


def test_another_number_on_the_order_is_not_matched(shop: Shop) -> None:
    """A shipment with a number is matched by its number alone, whatever the items."""
    order_id = shop.order(quantity=2)
    row = shop.take(order_id, items={LINE: 1})
    shop.fault("create", status=500)
    shop.send(row)
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=1)

    assert shop.settle(row) is Outcome.WAITING
    assert shop.send(row) is Outcome.CREATED
    assert len(shop.fulfillments(order_id)) == 2


def test_an_order_deleted_meanwhile_fails(shop: Shop) -> None:
    """An order that Wix does not list any more is sent again, and then fails with the reason."""
    order_id = shop.order()
    row = shop.take(order_id)
    shop.fault("create", status=500)
    shop.send(row)
    del shop.sandbox.sandbox.store.orders[order_id]

    assert shop.settle(row) is Outcome.WAITING
    assert shop.send(row) is Outcome.NOT_FULFILLABLE
    assert "has no order" in shop.row(row).error


FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"status": 500},
    "untold": {"effect": "untold"},
    "late": {"effect": "late", "delay": 0.01},
}
ACTS = ("whole", "part", "again", "send", "send", "settle", "dies before", "dies after", *FAULTS)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(ACTS), min_size=3, max_size=14), quantity=st.integers(1, 3))
def test_never_two_fulfillments_for_one_wish_and_never_too_many(shop: Shop, acts: list[str], quantity: int) -> None:
    """Whatever comes in between, a wish has one fulfillment at most, and no more is shipped than was ordered."""
    order_id, number = shop.order(quantity=quantity), shop.number()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for act in ("again", *acts):
            interleave(shop, act, order_id, number, monkeypatch)
    shop.control("DELETE", "faults")
    until(lambda: not shop.sandbox.sandbox.faults._late)
    for _ in range(4):
        settle_all(shop)
        send(shop.store)

    rows, fulfillments = shop.rows(order_id), shop.fulfillments(order_id)
    numbers = [each["trackingInfo"]["trackingNumber"] for each in fulfillments]
    assert len(set(numbers)) == len(numbers)
    assert sum(item["quantity"] for each in fulfillments for item in each["lineItems"]) <= quantity
    created = {row.tracking_number: row.fulfillment_id for row in rows if row.state is State.CREATED}
    unclear = {row.tracking_number for row in rows if row.state is State.NEEDS_REVIEW}
    assert len(set(created.values())) == len(created)
    assert set(created) <= set(numbers) <= set(created) | unclear
    assert {row.state for row in rows} <= {State.CREATED, State.FAILED, State.NEEDS_REVIEW}


def interleave(shop: Shop, act: str, order_id: str, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one thing happen to an order."""
    if act == "again":
        shop.take(order_id, number, items={LINE: 1}, key="first")
    elif act in {"whole", "part"}:
        shop.take(order_id, items={LINE: 1} if act == "part" else None)
    elif act == "send":
        with suppress(ProcessDied):
            send(shop.store)
    elif act == "settle":
        settle_all(shop)
    elif act in FAULTS:
        shop.fault("create", **FAULTS[act])
    else:
        monkeypatch.undo()
        shop.dying(monkeypatch, "create_fulfillment", after=act == "dies after")


def settle_all(shop: Shop) -> None:
    """Take over what a dead worker left, let the settle time pass, and decide."""
    for seconds in (LEASE_SECONDS, SETTLE.total_seconds()):
        shop.clock.advance(seconds + 1)
        settle(replace(shop.store, owner="another"))
