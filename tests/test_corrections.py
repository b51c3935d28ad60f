"""A number that was typed wrongly becomes the right one, at Wix and here, however often that is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from history_check import history_of, violations
from parcelhook.errors import (
    HookFailed,
    InputError,
    InvalidTrackingLink,
    InvalidTrackingNumber,
    KeyReused,
    ParcelhookError,
    TrackingNumberExists,
    Undecided,
    UnknownCarrier,
    WixRateLimited,
    WixUnauthorized,
    WrongState,
)
from parcelhook.fulfillment.corrections import Correction, correct
from parcelhook.fulfillment.settle import settle
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import NewParcel, ShipmentRow, State, moves
from parcelhook.models import Status
from parcelhook.tracking.progress import poll
from parcelhook.tracking.push import push
from shops import ID, LINE, LINE_2, SETTLE, Json, ProcessDied, Shop

pytest_plugins = ["stores"]


def corrected(shop: Shop, row: ShipmentRow, number: str, **correction: str) -> ShipmentRow:
    """Correct a shipment's number, which must change something."""
    done = correct(shop.store, shop.row(row), Correction(number=number, **correction))
    assert done.is_changed
    return done.row


def at_wix(shop: Shop, row: ShipmentRow) -> Json:
    """Look at what the one fulfillment of the shipment's order says about its parcel."""
    (fulfillment,) = shop.fulfillments(row.order_id)
    info: Json = fulfillment["trackingInfo"]
    return info


def breaches(shop: Shop, row: ShipmentRow, *, is_touched: bool = False) -> list[str]:
    """Judge all that happened to a shipment's order; one that others wrote to as well is touched."""
    its = [row.order_id]
    return violations(history_of(shop, shop.ledger, store=ID, orders=its), touched=its if is_touched else ())


def at_courier(shop: Shop) -> str:
    """Give the number of a parcel the courier knows."""
    request = {"reference": shop.number(), "recipient": {"name": "Somebody"}, "items": 1}
    return shop.sandbox.sandbox.courier.book(request)[0].number


def kinds(shop: Shop, row: ShipmentRow) -> list[str]:
    """Give what was decided about a shipment."""
    return [entry.kind for entry in shop.ledger.history(ID, row.order_id) if entry.shipment_id == row.id]


def test_number_and_link_change_at_wix_and_here(shop: Shop) -> None:
    """Wix has the right number with the link it builds, in one call, and the ledger has one parcel: the right one."""
    row, right = shop.created(shop.order(quantity=2)), shop.number()
    (before,) = shop.fulfillments(row.order_id)
    shop.calls()

    after = corrected(shop, row, right)

    (fulfillment,) = shop.fulfillments(row.order_id)
    assert shop.calls() == {"update": 1}
    assert fulfillment["lineItems"] == before["lineItems"]
    assert at_wix(shop, row)["trackingNumber"] == right
    assert at_wix(shop, row)["trackingLink"].endswith(right)
    assert [parcel.number for parcel in after.parcels] == [right]
    assert (after.state, after.fulfillment_id) == (State.CREATED, row.fulfillment_id)
    assert after.tracking_url == at_wix(shop, row)["trackingLink"]
    assert (after.error, after.what_to_do, after.claimed_by) == ("", "", None)
    assert breaches(shop, row) == []


def test_the_wish_is_found_by_the_right_number_alone(shop: Shop) -> None:
    """The same wish with the right number finds the shipment; with the wrong one it does not, and makes no other."""
    order_id, wrong, right = shop.order(), shop.number(), shop.number()
    row = corrected(shop, shop.created(order_id, wrong), right)

    found = shop.take(order_id, right)
    other = shop.take(order_id, wrong)

    assert found.id == row.id
    assert other.id != row.id
    assert shop.send(other) is Outcome.NOT_FULFILLABLE
    assert len(shop.fulfillments(order_id)) == 1


@pytest.mark.parametrize("items", [{LINE: 1}, {LINE: 1, LINE_2: 2}, {}], ids=["some", "all", "none named"])
def test_the_wish_is_found_with_the_items_it_named(shop: Shop, items: dict[str, int | None]) -> None:
    """However its items were named, the same command with the right number is the same wish."""
    order_id, right = shop.order(items=[{"quantity": 1}, {"quantity": 2}]), shop.number()
    row = corrected(shop, shop.created(order_id, items=items), right)

    assert shop.take(order_id, right, items=items).id == row.id


def test_the_wish_for_all_of_an_item_keeps_its_hash(shop: Shop) -> None:
    """An item named without a quantity is still that wish after the correction."""
    order_id, right, wrong = shop.order(items=2), shop.number(), shop.number()
    row = shop.take(order_id, wrong, items={LINE: None})
    as_asked = shop.take(order_id, right, items={LINE: None})
    shop.ledger.shipments.move(moves.canceled(as_asked, reason="it was only to be looked at"))

    after = corrected(shop, row, right)

    assert after.body_hash == as_asked.body_hash
    assert (after.intent_key, after.generation) == (right, 2)


def test_a_key_of_its_own_stays(shop: Shop) -> None:
    """Under the caller's key the right number is found, and the wrong one is another body."""
    order_id, wrong, right = shop.order(), shop.number(), shop.number()
    row = corrected(shop, shop.created(order_id, wrong, key="mine-1"), right)

    assert shop.take(order_id, right, key="mine-1").id == row.id
    with pytest.raises(KeyReused):
        shop.take(order_id, wrong, key="mine-1")


def test_what_failed_with_the_right_number_before_is_dropped(shop: Shop) -> None:
    """The right number may have been tried, and failed because the order was shipped with the wrong one."""
    order_id, right = shop.order(), shop.number()
    row, tried = shop.created(order_id), shop.take(order_id, right)
    assert shop.send(tried) is Outcome.NOT_FULFILLABLE

    after = corrected(shop, row, right)

    assert shop.row(tried).state is State.CANCELED
    assert shop.take(order_id, right).id == after.id == row.id
    assert breaches(shop, row) == []


def test_there_and_back_again(shop: Shop) -> None:
    """A correction that was wrong itself is corrected back, as often as it takes."""
    order_id, first, second = shop.order(), shop.number(), shop.number()
    row = shop.created(order_id, first)

    for number in (second, first, second, first):
        row = corrected(shop, row, number)

    assert at_wix(shop, row)["trackingNumber"] == first
    assert shop.take(order_id, first).id == row.id
    assert breaches(shop, row) == []


def test_a_number_that_it_has_already_costs_one_look(shop: Shop) -> None:
    """Where nothing changes, nothing is sent and nothing is written."""
    row = shop.created(shop.order())
    shop.calls()

    done = correct(shop.store, row, Correction(number=f" {row.tracking_number.lower()} "))

    assert (done.is_changed, done.row, shop.row(row)) == (False, row, row)
    assert shop.calls() == {"list": 1}


def test_what_others_changed_at_wix_is_set_right(shop: Shop) -> None:
    """Where Wix has another number than the ledger, the ledger's once more is told to Wix."""
    row = shop.created(shop.order())
    changes = {"fulfillment": {"trackingInfo": {"trackingNumber": shop.number()}}}
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", changes)

    corrected(shop, row, row.tracking_number)

    assert at_wix(shop, row)["trackingNumber"] == row.tracking_number
    assert breaches(shop, row, is_touched=True) == []


def test_another_carrier_goes_with_its_own_provider(shop: Shop) -> None:
    """With the carrier, provider and link change: to the carrier's name and complete link, or to Wix's own."""
    row, right = shop.created(shop.order()), shop.number()

    custom = corrected(shop, row, right, carrier="evri")
    shown = at_wix(shop, row)
    standard = corrected(shop, row, right, carrier="fedex")

    assert shown == {"trackingNumber": right, "shippingProvider": custom.provider, "trackingLink": custom.tracking_url}
    assert (custom.carrier, custom.link_source) == ("evri", "carrier")
    assert right in custom.tracking_url
    assert (standard.carrier, at_wix(shop, row)["shippingProvider"]) == ("fedex", "fedex")
    assert "fedex.com" in standard.tracking_url
    assert breaches(shop, row) == []


def test_a_given_link_goes_under_the_carriers_name(shop: Shop) -> None:
    """A link that is given is used as with a new shipment; the same number without one is left alone."""
    row, right, url = shop.created(shop.order()), shop.number(), "https://www.ups.com/track?tracknum=1"

    after = corrected(shop, row, right, url=url)

    assert at_wix(shop, row) == {"trackingNumber": right, "shippingProvider": "UPS", "trackingLink": url}
    assert (after.tracking_url, after.link_source) == (url, "given")
    assert not correct(shop.store, after, Correction(number=right)).is_changed


def test_without_a_link_nothing_is_called(shop: Shop) -> None:
    """Where a custom carrier's plug-in gives no link, Wix is not called and nothing is changed."""
    row = shop.created(shop.order())
    shop.calls()

    with pytest.raises(ParcelhookError) as refused:
        correct(shop.store, row, Correction(number="LC100000000", carrier="courier"))

    assert refused.value.exit_code == 5
    assert not isinstance(refused.value, HookFailed)
    assert not shop.calls()
    assert shop.row(row) == row


@pytest.mark.parametrize(
    ("correction", "error"),
    [
        ({"number": ""}, InvalidTrackingNumber),
        ({"number": "1Z\u202e99"}, InvalidTrackingNumber),
        ({"number": "../../x"}, InvalidTrackingNumber),
        ({"number": "1Z99\n1Z98"}, InvalidTrackingNumber),
        ({"number": "A" * 101}, InvalidTrackingNumber),
        ({"number": "OK1", "carrier": "upps"}, UnknownCarrier),
        ({"number": "OK1", "carrier": ""}, UnknownCarrier),
        ({"number": "OK1", "url": "http://www.ups.com/x"}, InvalidTrackingLink),
        ({"number": "OK1", "url": "https://evil.example/x"}, InvalidTrackingLink),
        ({"number": "OK1", "url": ""}, InvalidTrackingLink),
    ],
    ids=str,
)
def test_bad_input_changes_nothing(shop: Shop, correction: dict[str, Any], error: type[InputError]) -> None:
    """Wrong numbers, carriers and links are refused before Wix is called."""
    row = shop.created(shop.order())
    shop.calls()

    with pytest.raises(error):
        correct(shop.store, row, Correction(**correction))

    assert not shop.calls()
    assert shop.row(row) == row


def test_a_delivered_shipment_is_followed_anew(shop: Shop) -> None:
    """The wrong parcel was delivered: the right one is asked about at once, and Wix keeps what it was told."""
    row = shop.created(shop.order(), at_courier(shop), carrier="courier")
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "delivered"})
    poll(shop.store)
    assert push(shop.store) == 1
    assert shop.row(row).status is Status.DELIVERED

    after = corrected(shop, row, at_courier(shop))
    started = (after.status, after.reason, after.wanted_wix_status)
    poll(shop.store)

    assert started == (Status.UNKNOWN, None, None)
    assert shop.row(after).status is Status.PRE_TRANSIT
    assert push(shop.store) == 0
    assert shop.row(after).wix_status == shop.fulfillments(row.order_id)[0]["status"] == "Fulfilled"
    assert breaches(shop, row) == []


def test_a_status_of_the_wrong_parcel_is_told_no_more(shop: Shop) -> None:
    """What Wix was still to be told of the wrong parcel is dropped, and that parcel is asked about no more."""
    row = shop.created(shop.order(), at_courier(shop), carrier="courier")
    shop.ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    after = corrected(shop, row, at_courier(shop))

    assert push(shop.store) == 0
    assert shop.ledger.parcels.get(after.parcels[0].id).next_poll_at is not None
    assert shop.ledger.parcels.get(row.parcels[0].id).next_poll_at is None


def test_the_wrong_parcel_of_two_orders_is_still_followed_for_the_other(shop: Shop) -> None:
    """A number that another order has as well is asked about as before."""
    shop.switch(duplicate_scope="order")
    shared = at_courier(shop)
    row, other = (shop.created(shop.order(), shared, carrier="courier") for _ in range(2))

    corrected(shop, row, at_courier(shop))

    assert shop.row(other).parcels[0].id == row.parcels[0].id
    assert shop.ledger.parcels.get(row.parcels[0].id).next_poll_at is not None


def test_of_several_parcels_the_first_is_corrected(shop: Shop) -> None:
    """Wix shows one number, the first parcel's: that one is corrected, and the others stay."""
    row = shop.created(shop.order())
    two = (row.parcels[0].number, "SECOND2")
    parcels = tuple(NewParcel(number=number) for number in two)
    row = shop.ledger.shipments.move(
        moves.corrected(row, parcels=parcels, carrier="ups", provider="ups", url=row.tracking_url)
    )
    right = shop.number()

    with pytest.raises(InputError, match="2 parcels"):
        correct(shop.store, row, Correction(number=right, carrier="fedex"))
    after = corrected(shop, row, right)

    assert [parcel.number for parcel in after.parcels] == [right, "SECOND2"]


@pytest.mark.parametrize("is_told", [False, True], ids=["before the call", "after the answer"])
def test_a_death_is_finished_by_the_same_command(shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_told: bool) -> None:
    """A process that dies between row and call, or before it noted the answer, leaves what the next one finishes."""
    order_id, wrong, right = shop.order(), shop.number(), shop.number()
    row = shop.created(order_id, wrong)
    shop.dying(monkeypatch, "update_tracking", after=is_told)
    with pytest.raises(ProcessDied):
        correct(shop.store, row, Correction(number=right))
    left = shop.row(row)
    assert left.error.startswith("begun and not finished")
    assert left.what_to_do == f"parcelhook shipments correct {row.id} --number {right} --carrier ups"
    assert at_wix(shop, row)["trackingNumber"] == (right if is_told else wrong)
    other = replace(shop.store, owner="other")
    with pytest.raises(Undecided, match="dealt with at this moment"):
        correct(other, left, Correction(number=right))

    heir = shop.next_worker()
    after = corrected(heir, row, right)

    assert at_wix(shop, row)["trackingNumber"] == after.tracking_number == right
    assert (after.error, after.what_to_do) == ("", "")
    assert kinds(shop, row)[-3:] == ["correcting", "correcting", "corrected"]
    assert breaches(shop, row) == []


@pytest.mark.parametrize(
    "fault",
    [{"effect": "untold"}, {"status": 503}, {"effect": "untold", "body": "truncated"}],
    ids=["lost answer", "fault at Wix", "unreadable"],
)
def test_an_unclear_answer_is_finished_by_the_same_command(shop: Shop, fault: Json) -> None:
    """Whether Wix has the number is open: nothing is noted, and the same again decides."""
    row, right = shop.created(shop.order()), shop.number()
    shop.fault("update", **fault)

    with pytest.raises(Undecided) as undecided:
        correct(shop.store, row, Correction(number=right))
    left = shop.row(row)
    after = corrected(shop, row, right)

    assert undecided.value.exit_code == 4
    assert f"parcelhook shipments correct {row.id} --number {right}" in undecided.value.what_to_do
    assert (left.tracking_number, left.claimed_by) == (row.tracking_number, None)
    assert at_wix(shop, row)["trackingNumber"] == after.tracking_number == right
    assert breaches(shop, row) == []


def test_a_number_wix_has_on_this_very_fulfillment_is_no_conflict(shop: Shop) -> None:
    """Where Wix refuses what an unseen call has set already, the fulfillment itself decides."""
    row, right = shop.created(shop.order()), shop.number()
    shop.fault("update", effect="untold")
    with pytest.raises(Undecided):
        correct(shop.store, row, Correction(number=right))
    shop.fault("update", status=409, code="TRACKING_NUMBER_ALREADY_EXISTS")

    after = corrected(shop, row, right)

    assert at_wix(shop, row)["trackingNumber"] == after.tracking_number == right


def test_a_change_of_mind_after_an_interruption(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back to the number it had is nothing to be done where Wix never heard of the other, and leaves no trace."""
    row = shop.created(shop.order())
    shop.dying(monkeypatch, "update_tracking", after=False)
    with pytest.raises(ProcessDied):
        correct(shop.store, row, Correction(number=shop.number()))

    done = correct(shop.next_worker().store, shop.row(row), Correction(number=row.tracking_number))

    assert not done.is_changed
    assert (shop.row(row).error, shop.row(row).what_to_do) == ("", "")


@pytest.mark.parametrize("status", [409, 400])
def test_a_number_on_another_order_is_refused_by_name(shop: Shop, status: int) -> None:
    """Wix's refusal names the order that has the number, and everything is as it was."""
    shop.switch(duplicate_update_status=status)
    other, row = shop.created(shop.order()), shop.created(shop.order())

    with pytest.raises(TrackingNumberExists, match=f"order {other.order_number} already") as refused:
        correct(shop.store, row, Correction(number=other.tracking_number))

    after = shop.row(row)
    assert refused.value.exit_code == 4
    assert (after.tracking_number, after.error, after.what_to_do, after.claimed_by) == (
        row.tracking_number,
        "",
        "",
        None,
    )
    assert kinds(shop, row)[-2:] == ["correcting", "not_correcting"]
    assert breaches(shop, row) == []


def test_a_number_on_a_fulfillment_made_by_hand_is_refused(shop: Shop) -> None:
    """The fulfillment of this order that has the number is named."""
    order_id, number = shop.order(quantity=2), shop.number()
    row = shop.created(order_id, items={LINE: 1})
    by_hand = shop.fulfilled_by_hand(order_id, number)

    with pytest.raises(TrackingNumberExists, match=by_hand):
        correct(shop.store, row, Correction(number=number))

    assert shop.row(row).tracking_number == row.tracking_number


def test_a_number_of_another_shipment_of_the_order_is_refused(shop: Shop) -> None:
    """Two shipments of one order do not get one number; Wix is not called."""
    order_id = shop.order(quantity=2)
    row, other = (shop.created(order_id, items={LINE: 1}) for _ in range(2))
    shop.calls()

    with pytest.raises(InputError, match=other.id) as refused:
        correct(shop.store, row, Correction(number=other.tracking_number))

    assert f"parcelhook shipments delete {other.id}" in refused.value.what_to_do
    assert not shop.calls()


@pytest.mark.parametrize("status", [404, 400])
def test_a_fulfillment_that_is_gone_is_noted_as_deleted(shop: Shop, status: int) -> None:
    """Where Wix has the fulfillment no more, the shipment is DELETED, and the hint ships the order anew."""
    shop.switch(unknown_fulfillment_status=status)
    row = shop.created(shop.order())
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    with pytest.raises(WrongState, match="any more") as refused:
        correct(shop.store, row, Correction(number=shop.number()))

    assert shop.row(row).state is State.DELETED
    assert f"parcelhook fulfill {row.order_id} --carrier ups" in refused.value.what_to_do


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"status": 429, "times": 9}, WixRateLimited), ({"status": 401, "times": 9}, WixUnauthorized)],
    ids=["throttled", "credentials"],
)
def test_a_clear_refusal_leaves_everything_as_it_was(shop: Shop, fault: Json, error: type[Exception]) -> None:
    """Where nothing happened at Wix, nothing is changed here, not even a status that is still to be told."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    shop.fault("update", **fault)

    with pytest.raises(error):
        correct(shop.store, shop.row(row), Correction(number=shop.number()))

    after = shop.row(row)
    assert (after.tracking_number, after.error, after.claimed_by) == (row.tracking_number, "", None)
    assert (after.status, after.wanted_wix_status) == (Status.IN_TRANSIT, "In_Delivery")


def test_no_status_is_told_while_a_number_is_corrected(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipment is held during the call, so that no other worker tells Wix of the wrong parcel meanwhile."""
    row, told = shop.created(shop.order()), []
    original = shop.store.wix.update_tracking
    shop.ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    def meanwhile(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        told.append(push(replace(shop.store, owner="other")))
        return original(*arguments, **keywords)

    monkeypatch.setattr(shop.store.wix, "update_tracking", meanwhile)
    corrected(shop, row, shop.number())

    assert told == [0]
    assert shop.fulfillments(row.order_id)[0].get("status") is None


def test_a_cancellation_during_the_call_is_not_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that is canceled meanwhile stays a question for a person; the number is corrected all the same."""
    row, right = shop.created(shop.order()), shop.number()
    shop.follow()
    original = shop.store.wix.update_tracking

    def meanwhile(*arguments: Any, **keywords: Any) -> object:  # noqa: ANN401 - passed on
        shop.cancel(row.order_id)
        shop.follow()
        return original(*arguments, **keywords)

    monkeypatch.setattr(shop.store.wix, "update_tracking", meanwhile)
    after = corrected(shop, row, right)

    assert (after.state, after.tracking_number) == (State.NEEDS_REVIEW, right)
    assert "canceled after its fulfillment" in after.error
    assert f"parcelhook review resolve {row.id} --keep" in after.what_to_do


def test_of_several_at_once_one_wins(shop: Shop, at_once: Callable[..., list[Any]]) -> None:
    """However many correct it at the same moment, Wix and the ledger agree in the end, and nobody is told a lie."""
    row, rights = shop.created(shop.order()), [shop.number() for _ in range(4)]
    left = list(rights)

    def act() -> str:
        right = left.pop()
        store = replace(shop.store, owner=f"owner of {right}")
        try:
            return correct(store, row, Correction(number=right)).row.tracking_number
        except Undecided:
            return ""

    numbers = at_once(act, times=4)

    (winner,) = set(numbers) - {""}
    assert winner == shop.row(row).tracking_number == at_wix(shop, row)["trackingNumber"]
    assert breaches(shop, row) == []


def test_a_review_of_the_wrong_parcel_ends_with_it(shop: Shop) -> None:
    """The wrong parcel came back, and a person was asked: with the right number there is nothing to ask."""
    row = shop.created(shop.order(), at_courier(shop), carrier="courier")
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "returned"})
    poll(shop.store)
    assert shop.row(row).state is State.NEEDS_REVIEW

    after = corrected(shop, row, at_courier(shop))

    assert (after.state, after.status, after.error) == (State.CREATED, Status.UNKNOWN, "")


def waiting(shop: Shop, state: str) -> ShipmentRow:
    """Give a shipment that Wix does not have."""
    order_id = shop.order(quantity=2)
    if state == "FAILED":
        row = shop.take(order_id, items={LINE: 3})
        assert shop.send(row) is Outcome.NOT_FULFILLABLE
    elif state == "READY":
        row = shop.take(order_id)
        shop.fault("create", status=429, times=9)
        shop.send(row)
        shop.control("DELETE", "faults")
    else:
        row = shop.take(order_id)
    if state == "NEEDS_REVIEW":
        shop.ledger.shipments.move(moves.needs_review(row, reason="no link"))
    assert shop.row(row).state is State(state)
    return shop.row(row)


@pytest.mark.parametrize("state", ["WAITING_LINK", "READY", "FAILED", "NEEDS_REVIEW"])
def test_before_anything_was_sent_the_intent_is_corrected(shop: Shop, state: str) -> None:
    """What Wix does not have is changed here alone, and is sent with the right number and its link."""
    row, right = waiting(shop, state), shop.number()
    shop.calls()

    after = corrected(shop, row, right, carrier="fedex")

    assert "update" not in shop.calls()
    assert (after.state, after.tracking_number, after.carrier, after.items) == (
        State.WAITING_LINK,
        right,
        "fedex",
        row.items,
    )
    if state != "FAILED":
        assert shop.send(after) is Outcome.CREATED
        assert at_wix(shop, row)["trackingNumber"] == right
        assert shop.take(row.order_id, right, carrier="fedex").id == row.id
        assert breaches(shop, row) == []


def test_what_was_sent_unseen_is_corrected_at_wix(shop: Shop) -> None:
    """A person was asked because Wix did not show it; where Wix has it after all, it is found, and corrected there."""
    row = shop.take(shop.order())
    for _ in range(2):
        shop.fault("create", status=503)
        shop.send(row)
        shop.settle(row)
    row = shop.row(row)
    assert row.state is State.NEEDS_REVIEW
    shop.fulfilled_by_hand(row.order_id, row.tracking_number)

    after = corrected(shop, row, shop.number())

    assert after.state is State.CREATED
    assert at_wix(shop, row)["trackingNumber"] == after.tracking_number
    assert breaches(shop, row, is_touched=True) == []


def test_while_sending_nothing_is_corrected(shop: Shop) -> None:
    """An open outcome is decided first; then the same command works."""
    row, right = shop.take(shop.order()), shop.number()
    shop.fault("create", effect="untold")
    assert shop.send(row) is Outcome.UNDECIDED

    with pytest.raises(Undecided, match="not decided yet") as undecided:
        correct(shop.store, shop.row(row), Correction(number=right))
    shop.clock.advance(SETTLE.total_seconds() + 1)
    settle(shop.store, [row.id])
    after = corrected(shop, row, right)

    assert "UTC" in undecided.value.what_to_do
    assert at_wix(shop, row)["trackingNumber"] == after.tracking_number == right


@pytest.mark.parametrize("state", [State.CANCELED, State.DELETED])
def test_what_is_over_is_shipped_anew(shop: Shop, state: State) -> None:
    """A shipment that was canceled or deleted is not corrected; the hint is the command that ships the order."""
    if state is State.CANCELED:
        row = shop.ledger.shipments.move(moves.canceled(shop.take(shop.order()), reason="no more"))
    else:
        row = shop.ledger.shipments.move(moves.deleted(shop.created(shop.order()), reason="gone"))

    with pytest.raises(WrongState, match=state.value) as refused:
        correct(shop.store, row, Correction(number=shop.number()))

    assert f"parcelhook fulfill {row.order_id} --carrier ups --number {row.tracking_number}" in refused.value.what_to_do


def test_without_a_number_there_is_nothing_to_correct(shop: Shop) -> None:
    """An order that waits for its number is given it by fulfill."""
    order_id = shop.order()
    shop.follow()
    (row,) = shop.rows(order_id)

    with pytest.raises(WrongState, match="no number") as refused:
        correct(shop.store, row, Correction(number=shop.number()))

    assert f"parcelhook fulfill {order_id} --carrier CARRIER --number NUMBER" in refused.value.what_to_do
