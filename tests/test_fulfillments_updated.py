"""What others do to fulfillments is known here, and the echo of what we do ourselves changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from arrivals import UPDATED, arrived, outcome
from parcelhook.fulfillment.booking import book
from parcelhook.fulfillment.cancellation import AFTER_FULFILLMENT
from parcelhook.fulfillment.corrections import Correction, correct
from parcelhook.fulfillment.events import take_events
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import ShipmentRow, State
from parcelhook.models import ShipmentItem, Status
from parcelhook.settings import Rule
from parcelhook.tracking.push import push
from shops import ID, LINE, SETTLE, ProcessDied, Shop

pytest_plugins = ["stores"]


def test_a_status_set_by_hand_is_noted(shop: Shop) -> None:
    """What a merchant sets at Wix is known here, and nothing earlier is told to Wix any more."""
    row = shop.created(shop.order())
    shop.follow()
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": "In_Delivery"}})

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"] == f"fulfillment {row.fulfillment_id} is In_Delivery"
    assert shop.row(row).wix_status == "In_Delivery"


def test_our_own_echo_changes_nothing(shop: Shop) -> None:
    """The event about what we did ourselves finds it known, and asks Wix nothing."""
    row = shop.created(shop.order())
    shop.calls()

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"] == "known already"
    assert shop.row(row) == row
    assert not shop.calls()


def test_an_echo_older_than_the_latest_status_sets_nothing_back(shop: Shop) -> None:
    """An event with an earlier status than the one we told since is checked against Wix itself."""
    row = shop.created(shop.order())
    shop.deliver()
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    assert push(shop.store) == 1
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    assert shop.row(row).wix_status == "In_Delivery"


def test_a_status_set_back_by_hand_is_noted(shop: Shop) -> None:
    """What a merchant sets back at Wix is known here too, where the store lets them."""
    shop.switch(status_sequence="free")
    row = shop.created(shop.order())
    for status in ("Fulfilled", "Ready"):
        shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": status}})
        shop.follow()
        assert shop.row(row).wix_status == status


def test_an_echo_older_than_the_latest_shipment_deletes_nothing(shop: Shop) -> None:
    """An event that does not list what was made since is checked against Wix itself."""
    order_id = shop.order(quantity=2)
    first = shop.created(order_id, items={LINE: 1})
    shop.deliver()
    second = shop.created(order_id, items={LINE: 1})
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    assert [shop.row(row).state for row in (first, second)] == [State.CREATED, State.CREATED]
    assert shop.follow()["fulfillments_updated"] == "known already"


def test_only_a_deleted_fulfillment_is_sent_anew(shop: Shop) -> None:
    """The same wish makes a second fulfillment only after the first was seen deleted."""
    order_id, number = shop.order(), shop.number()
    first = shop.created(order_id, number)
    shop.follow()
    assert shop.send(shop.take(order_id, number)) is None
    shop.by_hand("DELETE", f"{first.fulfillment_id}/orders/{order_id}")

    outcomes = shop.follow()

    assert outcomes["fulfillments_updated"].startswith(f"fulfillment {first.fulfillment_id} was deleted")
    assert shop.row(first).state is State.DELETED
    second = shop.created(order_id, number)
    assert (second.generation, second.id != first.id) == (2, True)
    assert [each["id"] for each in shop.fulfillments(order_id)] == [second.fulfillment_id]


def test_a_fulfillment_made_by_hand_closes_what_waits_for_it(shop: Shop) -> None:
    """What others create is not taken for ours, and nothing waits any more for a number of what they shipped."""
    row = shop.created(shop.order(quantity=2), items={LINE: 1})
    shop.follow()
    (waiting,) = shop.rows(row.order_id, State.WAITING_NUMBER)
    shop.fulfilled_by_hand(row.order_id, shop.number())

    outcomes = shop.follow()

    told = "its waiting shipment was canceled: everything of it was shipped otherwise"
    assert told in outcomes.values()
    assert shop.row(waiting).state is State.CANCELED
    assert shop.row(row) == row


def test_a_part_made_by_hand_reduces_what_waits(shop: Shop) -> None:
    """The shipment that waits holds what is left, and its carrier stays the same."""
    order_id = shop.order(quantity=5)
    shop.store = replace(shop.store, rules=(Rule(carrier="ups"),))
    shop.follow()
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=2)

    outcomes = shop.follow()

    (row,) = shop.rows(order_id)
    assert (row.carrier, row.items) == ("ups", (ShipmentItem(line_item_id=LINE, quantity=3),))
    assert f"its waiting shipment now holds 3 of {LINE}" in outcomes.values()


@pytest.mark.parametrize(("by_hand", "expected"), [(2, State.CANCELED), (1, State.NEEDS_REVIEW)])
def test_what_was_booked_and_shipped_by_hand(shop: Shop, by_hand: int, expected: State) -> None:
    """A booking whose items all went otherwise is canceled; one that went in part is for a person to decide about."""
    order_id = shop.order(quantity=2, shippingInfo={"title": "Local Courier"})
    shop.follow()
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    parcel = shop.sandbox.sandbox.courier.parcel(shop.row(row).tracking_number)
    shop.fulfilled_by_hand(order_id, shop.number(), quantity=by_hand)

    outcomes = shop.follow()

    assert shop.row(row).state is expected
    assert parcel.cancelled is (expected is State.CANCELED)
    if expected is State.CANCELED:
        assert any(told.endswith("the booking with courier was canceled") for told in outcomes.values())
    else:
        assert f"`parcelhook review resolve {row.id} --drop`" in shop.row(row).what_to_do


def test_a_death_before_the_booking_was_canceled_is_made_up_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A booking of a shipment that was dropped does not stand because a process died in between."""
    order_id = shop.order(shippingInfo={"title": "Local Courier"})
    shop.follow()
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    parcel = shop.sandbox.sandbox.courier.parcel(shop.row(row).tracking_number)
    shop.fulfilled_by_hand(order_id, shop.number())

    def die(*_: object) -> None:
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.store.registry, "cancel_booking", die)
        with pytest.raises(ProcessDied):
            shop.follow()
    assert shop.row(row).state is State.CANCELED
    shop.clock.advance(61)

    shop.follow()

    assert parcel.cancelled


def test_the_number_that_was_booked_is_ours_also_where_a_merchant_typed_it(shop: Shop) -> None:
    """A fulfillment made by hand with the booked number is the shipment's own, and cancels nothing."""
    order_id = shop.order(shippingInfo={"title": "Local Courier"})
    shop.follow()
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    made = shop.fulfilled_by_hand(order_id, shop.row(row).tracking_number)

    shop.follow()

    assert shop.row(row).state is State.WAITING_LINK
    assert shop.send(row) is Outcome.EXISTING
    assert shop.row(row).fulfillment_id == made


def changed(shop: Shop, row: ShipmentRow, **info: str | None) -> dict[str, str]:
    """Change the tracking of a fulfillment as a merchant does, and give what came of the webhooks."""
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"trackingInfo": info}})
    return shop.follow()


def test_a_number_changed_by_hand_is_followed_from_then_on(shop: Shop) -> None:
    """The ledger knows the new number, the shipment is found by it, and its progress starts anew."""
    row, number = shop.created(shop.order()), shop.number()
    shop.follow()
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT)

    outcomes = changed(shop, row, trackingNumber=number)

    after = shop.row(row)
    assert (after.state, after.tracking_number, after.carrier, after.status) == ("CREATED", number, "ups", "unknown")
    assert number in after.tracking_url
    assert outcomes["fulfillments_updated"] == f"fulfillment {row.fulfillment_id} has another number and link"
    assert "changed at Wix" in shop.why(row.order_id)
    assert shop.take(row.order_id, number).id == row.id


def test_another_provider_is_another_carrier(shop: Shop) -> None:
    """A parcel that went by another carrier after all is asked about there."""
    row, number = shop.created(shop.order()), shop.number()
    shop.follow()

    changed(shop, row, trackingNumber=number, shippingProvider="fedex")

    after = shop.row(row)
    assert (after.carrier, after.provider, after.parcels[0].carrier) == ("fedex", "fedex", "fedex")


def test_a_provider_nobody_serves_keeps_the_carrier(shop: Shop) -> None:
    """Provider and link are as the merchant wrote them; the parcel is the one it was."""
    row = shop.created(shop.order())
    shop.follow()
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT)

    changed(shop, row, shippingProvider="Bicycle Post", trackingLink="https://bicycles.example/p/1")

    after = shop.row(row)
    assert (after.carrier, after.provider, after.tracking_url) == (
        "ups",
        "Bicycle Post",
        "https://bicycles.example/p/1",
    )
    assert (after.status, after.parcels[0].id) == (Status.IN_TRANSIT, row.parcels[0].id)


def test_a_number_that_is_changed_asks_wix_once_and_its_echo_nothing(shop: Shop) -> None:
    """Whether a list is newer than what we did, only Wix can tell; what is known then is not asked again."""
    row = shop.created(shop.order())
    shop.follow()
    shop.calls()

    changed(shop, row, trackingNumber=shop.number())
    first = shop.calls()
    (event, *_) = [each for each in shop.ledger.inbox.find(order_id=row.order_id) if each.event_type == UPDATED]
    shop.ledger.inbox.replay(ID, event.id)
    shop.follow()

    assert first == {"update": 1, "list": 1}
    assert not shop.calls()


def test_our_own_correction_is_no_change_by_hand(shop: Shop) -> None:
    """The echo of a number that was corrected here finds it known, in whatever order the echoes come."""
    row = shop.created(shop.order())
    old = shop.deliver()
    correct(shop.store, row, Correction(number=shop.number()))
    after = shop.row(row)

    take_events(shop.store, old)
    shop.follow()

    assert shop.row(row) == after
    assert "changed at Wix" not in shop.why(row.order_id)


def test_a_question_stays_open_where_the_number_is_changed(shop: Shop) -> None:
    """Another number is no answer to whether a canceled order's parcel is to arrive."""
    row, number = shop.created(shop.order()), shop.number()
    shop.cancel(row.order_id)
    shop.follow()

    changed(shop, row, trackingNumber=number)

    after = shop.row(row)
    assert (after.state, after.error, after.tracking_number) == ("NEEDS_REVIEW", AFTER_FULFILLMENT, number)


def test_two_snapshots_with_one_number_are_dealt_with_once(shop: Shop) -> None:
    """What a second webhook under the same number says was dealt with before."""
    row = shop.created(shop.order())
    shop.follow()
    listed = shop.store.wix.list_fulfillments(row.order_id).model_dump_json(by_alias=True)
    events = [arrived(shop, UPDATED, row.order_id, sequence=70, payload=listed) for _ in range(3)]

    take_events(shop.store, events)

    ends = sorted(outcome(shop, event).outcome for event in events)
    assert ends == ["ignored: a later snapshot of it has arrived"] * 2 + ["known already"]


@pytest.mark.parametrize("lists", ["nothing", "another order"])
def test_a_list_without_a_sequence_is_decided_by_wix(shop: Shop, lists: str) -> None:
    """Of what carries no number, or tells of another order, nobody knows how old it is: Wix is asked, and decides."""
    row = shop.created(shop.order())
    shop.follow()
    shop.calls()
    payload = json.dumps({"orderId": row.order_id if lists == "nothing" else "another", "fulfillments": []})

    take_events(shop.store, [arrived(shop, UPDATED, row.order_id, payload=payload)])

    assert shop.calls() == {"list": 1}
    assert shop.row(row) == row


def test_a_fulfillment_wix_may_not_show_yet_is_not_taken_for_deleted(shop: Shop) -> None:
    """Where its list lags behind, and no webhook showed it before, the event waits until Wix must have settled."""
    row = shop.created(shop.order())
    payload = json.dumps({"orderId": row.order_id, "fulfillments": []})
    event = arrived(shop, UPDATED, row.order_id, sequence=99, payload=payload)
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    take_events(shop.store, [event])

    assert shop.row(row).state is State.CREATED
    assert "may not show" in outcome(shop, event).detail
    shop.clock.advance(SETTLE.total_seconds() + 1)
    take_events(shop.store, [event])
    assert shop.row(row).state is State.DELETED


def test_what_was_booked_is_not_booked_again_after_its_fulfillment_was_deleted(shop: Shop) -> None:
    """The parcel of a deleted fulfillment may be under way: what is left waits for a person."""
    order_id = shop.order(shippingInfo={"title": "Local Courier"})
    shop.follow()
    (row,) = shop.rows(order_id)
    book(shop.store, [row.id])
    assert shop.send(row) is Outcome.CREATED
    shop.follow()
    shop.by_hand("DELETE", f"{shop.row(row).fulfillment_id}/orders/{order_id}")

    shop.follow()

    first, second = shop.rows(order_id)
    assert (first.state, second.state, second.due_at) == (State.DELETED, State.WAITING_NUMBER, None)


def test_a_list_of_an_order_nobody_knows_costs_no_call(shop: Shop) -> None:
    """What others fulfill of orders that are not ours is known already."""
    order_id = shop.order(createdDate=(shop.clock() - timedelta(days=3)).isoformat())
    shop.fulfilled_by_hand(order_id, shop.number())
    events = [event for event in shop.deliver() if event.event_type == UPDATED and event.order_id == order_id]
    shop.calls()

    take_events(shop.store, events)

    assert not shop.calls()


@pytest.mark.parametrize("payload", ["{}", "[]", '{"orderId": 7, "fulfillments": "none"}', "null", "{not json"])
def test_a_payload_that_cannot_be_read_deletes_nothing(shop: Shop, payload: str) -> None:
    """Where an event does not hold what it should, Wix is asked, and nothing is deleted for it."""
    row = shop.created(shop.order())
    event = arrived(shop, UPDATED, row.order_id, payload=payload)

    take_events(shop.store, [event])

    assert outcome(shop, event).finished_at is not None
    assert shop.row(row).state is State.CREATED


def test_a_stale_snapshot_is_ignored(shop: Shop) -> None:
    """Of two snapshots only the later is believed, in whatever order they arrive."""
    row = shop.created(shop.order())
    listed = shop.store.wix.list_fulfillments(row.order_id).model_copy(update={"fulfillments": ()})
    arrived(shop, UPDATED, row.order_id, sequence=100, payload="{}")
    stale = arrived(shop, UPDATED, row.order_id, sequence=99, payload=listed.model_dump_json(by_alias=True))

    take_events(shop.store, [stale])

    assert outcome(shop, stale).outcome == "ignored: a later snapshot of it has arrived"
    assert shop.row(row).state is State.CREATED
