"""In whatever order webhooks come, however often, and with whatever fields, an order ends as it is at Wix."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arrivals import ORDER_UPDATED, UPDATED, arrived, outcome
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.upkeep import follow_order
from parcelhook.ledger import InboxEvent, State
from parcelhook.ledger.inbox import APPROVED, CANCELED, FULFILLMENTS, ORDER
from parcelhook.settings import Rule
from shops import ID, LINE, LINE_2, Shop

pytest_plugins = ["stores"]

Ends = list[tuple[str, str, dict[str, int]]]
Story = Callable[[Shop], str]


def edited_and_shipped_in_part(shop: Shop) -> str:
    """Let an order grow, and a part of it be shipped by hand."""
    order_id = shop.order(quantity=2)
    shop.edit_lines(order_id, {LINE: 5, LINE_2: 1})
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=2)
    return order_id


def canceled(shop: Shop) -> str:
    """Let the same order be canceled in the end."""
    order_id = edited_and_shipped_in_part(shop)
    shop.cancel(order_id)
    return order_id


def shipped_and_deleted(shop: Shop) -> str:
    """Let what we shipped be deleted by hand."""
    row = shop.created(shop.order(quantity=2))
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")
    return row.order_id


def shipped_renumbered_and_refunded(shop: Shop) -> str:
    """Let a part be shipped, its number be changed by hand, and some of the rest be refunded."""
    row = shop.created(shop.order(quantity=4), items={LINE: 2})
    info = {"trackingNumber": "RENUMBERED", "shippingProvider": "Bicycle Post", "trackingLink": "https://b.example/1"}
    shop.switch(duplicate_scope="off")
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"trackingInfo": info}})
    shop.edit_lines(row.order_id, {LINE: 4}, refundQuantity=1)
    return row.order_id


STORIES: dict[Story, Ends] = {
    edited_and_shipped_in_part: [("WAITING_NUMBER", "", {LINE: 3, LINE_2: 1})],
    canceled: [],
    shipped_and_deleted: [("DELETED", "DELETED", {LINE: 2}), ("WAITING_NUMBER", "", {LINE: 2})],
    shipped_renumbered_and_refunded: [("CREATED", "RENUMBERED", {LINE: 2}), ("WAITING_NUMBER", "", {LINE: 1})],
}


def deal_with(shop: Shop, ids: Sequence[str]) -> None:
    """Let webhooks arrive and deal with all that can be."""
    for event_id in ids:
        shop.told.add(event_id)
        shop.receive(event_id)
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))


def ends(shop: Shop, order_id: str) -> Ends:
    """Give what stands of an order in the end: state, number and items."""
    rows = [row for row in shop.rows(order_id) if row.state is not State.CANCELED]
    found = []
    for row in rows:
        number = row.state.value if row.state is State.DELETED else row.tracking_number
        found.append((row.state.value, number, {item.line_item_id: item.quantity for item in row.items}))
    return sorted(found, key=lambda each: each[0])


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_of_arrival_ends_the_same(shop: Shop, story: Story, data: st.DataObject) -> None:
    """Events may come in any order, by one or together, and some twice: the ledger ends as Wix is."""
    order_id = story(shop)
    told = [event.id for event in shop.sandbox.sandbox.events.log.values() if event.entity_id == order_id]
    arriving = data.draw(st.permutations(told))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(told)), max_size=3)))

    for start, end in zip([0, *cuts], [*cuts, len(told)], strict=True):
        deal_with(shop, [*arriving[start:end], *arriving[start : start + 1]])
    for _ in range(4):
        shop.clock.advance(601)
        deal_with(shop, [])

    assert ends(shop, order_id) == STORIES[story]
    assert shop.ledger.inbox.pending([ID]) == []
    assert all(event.outcome and "\n" not in event.outcome for event in shop.ledger.inbox.find(order_id=order_id))


def test_a_hundred_repetitions_have_one_effect(shop: Shop) -> None:
    """The same webhooks again, a hundred times, cost no call more and change nothing."""
    order_id = edited_and_shipped_in_part(shop)
    shop.follow()
    rows, kept = shop.rows(order_id), shop.ledger.inbox.find(order_id=order_id)
    told = [event.id for event in kept]
    shop.calls()

    for _ in range(100):
        for event_id in told:
            shop.receive(event_id)
    shop.follow()

    assert shop.rows(order_id) == rows
    assert shop.ledger.inbox.find(order_id=order_id) == kept
    assert not shop.calls()


@pytest.mark.parametrize("event_type", [APPROVED, ORDER_UPDATED, UPDATED, CANCELED])
def test_a_hundred_events_without_a_number_cost_few_calls(shop: Shop, event_type: str) -> None:
    """Where nobody can tell which is the latest, Wix decides, once for all that come together."""
    order_id = shop.order()
    shop.follow()
    rows = shop.rows(order_id)
    order = shop.sandbox.sandbox.store.orders[order_id].entity.value
    fqdn = FULFILLMENTS if event_type == UPDATED else ORDER
    body = {"orderId": order_id, "fulfillments": []} if event_type == UPDATED else order
    news = [
        InboxEvent(
            store=ID,
            id=uuid4().hex,
            event_type=event_type,
            payload=json.dumps(body),
            entity_fqdn=fqdn,
            entity_id=order_id,
            order_id=order_id,
            event_time=shop.clock(),
        )
        for _ in range(100)
    ]
    shop.ledger.inbox.receive(news)
    shop.calls()

    shop.follow()

    assert sum(shop.calls().values()) <= 2
    assert shop.rows(order_id) == rows or event_type == CANCELED


def test_events_of_orders_the_store_does_not_have_cost_one_look_each(shop: Shop) -> None:
    """Events of unknown orders are finished, whatever their type, and those beside them are dealt with."""
    unknown = str(uuid4())
    told = [arrived(shop, event_type, unknown) for event_type in (APPROVED, ORDER_UPDATED, UPDATED)]
    told.append(arrived(shop, CANCELED, str(uuid4())))
    order_id = shop.order()
    shop.deliver()
    shop.calls()

    take_events(shop.store, [*told, *shop.ledger.inbox.take(ID, lease_seconds=60)])

    assert [outcome(shop, event).outcome for event in told] == [
        "the store has no such order",
        "the store has no such order",
        "the store has no such order",
        "nothing of it was to be shipped",
    ]
    assert len(shop.rows(order_id)) == 1
    assert sum(shop.calls().values()) <= 4


def test_an_event_without_an_order_is_finished(shop: Shop) -> None:
    """What names no order is ignored with the reason."""
    event = arrived(shop, ORDER_UPDATED, "")

    take_events(shop.store, [event])

    assert outcome(shop, event).outcome == "ignored: it names no order"


def test_an_event_that_breaks_something_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of is put off with its kind, and the events beside it are dealt with."""
    bad, good = shop.orders(2)

    def breaking(store: Any, now: Any, **more: Any) -> object:  # noqa: ANN401 - as follow_order takes them
        if now.order.id == bad:
            raise KeyError(bad)
        return follow_order(store, now, **more)

    monkeypatch.setattr("parcelhook.fulfillment.events.follow_order", breaking)

    shop.follow()

    assert len(shop.rows(good)) == 1
    (waiting,) = shop.ledger.inbox.pending([ID])
    assert (waiting.order_id, waiting.detail) == (bad, "it could not be dealt with: KeyError")


def test_a_store_takes_its_own_events_only(shop: Shop) -> None:
    """Of two services on one ledger, each deals with the events of the stores it serves."""
    shop.ledger.stores.ensure("other", site="another-site")
    event = InboxEvent(store="other", id="event-1", event_type=APPROVED, payload="{}", order_id="x", entity_id="x")
    shop.ledger.inbox.receive([event])

    shop.follow()

    assert shop.ledger.inbox.due_stores([ID]) == set()
    assert shop.ledger.inbox.due_stores(["other", ID]) == {"other"}
    assert [each.attempts for each in shop.ledger.inbox.pending(["other"])] == [0]


@pytest.mark.parametrize("does", ["edit", "cancel", "fulfill"])
def test_what_happens_between_plan_and_call(shop: Shop, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """An order that changes while its create is on its way ends as it is at Wix, and never shipped twice."""
    order_id = shop.order(quantity=2)
    row = shop.take(order_id, items={LINE: 2})
    create = shop.store.wix.create_fulfillment
    acts: dict[str, Callable[[], object]] = {
        "edit": lambda: shop.edit_lines(order_id, {LINE: 1}),
        "cancel": lambda: shop.cancel(order_id),
        "fulfill": lambda: shop.fulfilled_by_hand(order_id, shop.number(), quantity=2),
    }

    def acting(*arguments: Any) -> object:  # noqa: ANN401 - as the client takes them
        acts[does]()
        return create(*arguments)

    monkeypatch.setattr(shop.store.wix, "create_fulfillment", acting)

    shop.send(row)
    shop.follow()

    assert shop.row(row).state in {State.FAILED, State.CANCELED}
    expected = {"edit": [{LINE: 1}], "cancel": [], "fulfill": []}
    waiting = [
        {item.line_item_id: item.quantity for item in each.items} for each in shop.rows(order_id, State.WAITING_NUMBER)
    ]
    assert waiting == expected[does]
    assert sum(len(each["lineItems"]) for each in shop.fulfillments(order_id)) == (does == "fulfill")


def test_rules_are_tried_in_their_order_also_for_what_is_added(shop: Shop) -> None:
    """The first rule that matches what is new wins, whatever carried the rest."""
    shop.store = replace(shop.store, rules=(Rule(carrier="usps", max_weight_kg=1), Rule(carrier="fedex")))
    order_id = shop.order(items=[{"quantity": 1, "physicalProperties": {"weight": 9}}])
    shop.follow()
    shop.edit_lines(order_id, {LINE: 1, LINE_2: 1}, physicalProperties={"weight": 0.5})

    shop.follow()

    assert [row.carrier for row in shop.rows(order_id)] == ["fedex", "usps"]
