"""Many parcels are shipped in few calls, and each is told apart: what was created, was there, failed, or is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bulk_runs import TWO_ITEMS, Told, at_wix, counts, line, listed, shipped, states
from parcelhook.fulfillment import spool as spools
from parcelhook.fulfillment.files import BadLine, Line
from parcelhook.ledger import State
from parcelhook.wix.fulfillments import BulkResult
from shops import ID, LINE, LINE_2, SETTLE, ProcessDied, Shop

pytest_plugins = ["stores"]

# Calls


def test_orders_of_all_carriers_share_full_calls(shop: Shop) -> None:
    """A hundred orders cost one read and one create, and each makes one fulfillment."""
    order_ids = shop.orders(220)
    lines = [
        line(number, order_id, shop.number(), carrier=("ups", "royal-mail", "fedex")[number % 3])
        for number, order_id in enumerate(order_ids, 2)
    ]
    shop.calls()

    results = shipped(shop, lines)

    assert states(results) == {"CREATED": 220}
    assert [(each.line, each.order_id) for each in results] == [*enumerate(order_ids, 2)]
    assert shop.calls() == {"search-orders": 3, "bulk-create": 3}
    assert counts(shop, order_ids) == [1] * 220


def test_the_same_file_again_makes_nothing_new_and_no_call(shop: Shop) -> None:
    """What a file says was done already is found in the ledger."""
    lines = listed(shop, shop.orders(5))
    first = shipped(shop, lines)
    shop.calls()

    again = shipped(shop, lines)

    assert states(again) == {"EXISTING": 5}
    assert [each.fulfillment_id for each in again] == [each.fulfillment_id for each in first]
    assert not shop.calls()


def test_half_of_a_file_shipped_before_leaves_no_half_empty_calls(shop: Shop) -> None:
    """The calls are filled with what is still to be shipped."""
    order_ids = shop.orders(200)
    lines = listed(shop, order_ids)
    shipped(shop, lines[::2])
    shop.calls()

    results = shipped(shop, lines)

    assert states(results) == {"EXISTING": 100, "CREATED": 100}
    assert shop.calls() == {"search-orders": 1, "bulk-create": 1}
    assert counts(shop, order_ids) == [1] * 200


def test_several_parcels_of_an_order_go_in_one_item_of_one_call(shop: Shop) -> None:
    """Whether one bulk call may hold an order twice is nowhere documented, so none does, and none costs a call more."""
    shop.switch(bulk_same_order_twice="refused")
    order_ids = shop.orders(60, items=TWO_ITEMS)
    lines = [line(n, id_, shop.number(), line_item_id=LINE) for n, id_ in enumerate(order_ids, 2)]
    lines += [line(n + 500, id_, shop.number(), line_item_id=LINE_2) for n, id_ in enumerate(order_ids)]
    shop.calls()

    results = shipped(shop, lines)

    assert states(results) == {"CREATED": 120}
    assert shop.calls()["bulk-create"] == 1
    assert counts(shop, order_ids) == [2] * 60


def test_fulfillments_are_listed_only_where_there_may_be_some(shop: Shop) -> None:
    """Of many orders, those that were shipped in part are listed, together, and no other."""
    order_ids = shop.orders(5, items=[{"quantity": 2}])
    for order_id in order_ids[:2]:
        shop.fulfilled_by_hand(order_id, shop.number())
    shop.calls()

    results = shipped(shop, listed(shop, order_ids))

    assert states(results) == {"CREATED": 5}
    assert shop.calls() == {"search-orders": 1, "list-by-ids": 1, "bulk-create": 1}
    assert [shop.fulfillments(id_)[-1]["lineItems"][0]["quantity"] for id_ in order_ids] == [1, 1, 2, 2, 2]


# What is in a parcel


def test_items_and_quantities_are_shipped_as_they_are_said(shop: Shop) -> None:
    """Part of an item in one parcel, and what remains of all in another, whichever line comes first."""
    first, second = shop.orders(2, items=TWO_ITEMS)
    lines = [
        line(2, first, "NA1"),
        line(3, second, "NB1", line_item_id=LINE, quantity="1"),
        line(4, first, "NA2", line_item_id=LINE, quantity="1"),
        line(5, second, "NB2", line_item_id=LINE, quantity="1"),
        line(6, second, "NB2", line_item_id=LINE_2, quantity="1"),
    ]

    assert states(shipped(shop, lines)) == {"CREATED": 4}

    assert at_wix(shop, first) == {"NA2": {LINE: 1}, "NA1": {LINE: 1, LINE_2: 1}}
    assert at_wix(shop, second) == {"NB1": {LINE: 1}, "NB2": {LINE: 1, LINE_2: 1}}


def test_an_item_without_a_quantity_is_all_that_remains_of_it(shop: Shop) -> None:
    """The other items of the order are left to other parcels."""
    order_id = shop.order(items=TWO_ITEMS)
    number = shop.number()

    assert states(shipped(shop, [line(2, order_id, number, line_item_id=LINE)])) == {"CREATED": 1}

    assert at_wix(shop, order_id) == {number: {LINE: 2}}


def test_several_numbers_under_one_key_are_one_fulfillment(shop: Shop) -> None:
    """The first number is the fulfillment's at Wix, and all of them are the shipment's."""
    order_id, numbers = shop.order(), [shop.number(), shop.number()]

    (result,) = shipped(shop, [line(n, order_id, number, key="k-1") for n, number in enumerate(numbers, 2)])

    assert result.state == "CREATED"
    assert list(at_wix(shop, order_id)) == numbers[:1]
    (row,) = shop.rows(order_id)
    assert [parcel.number for parcel in row.parcels] == numbers


def test_one_parcel_on_two_lines_is_one_shipment(shop: Shop) -> None:
    """A number typed in two ways is one parcel, makes one fulfillment, and the second line is told."""
    order_id = shop.order()

    results = shipped(shop, [line(2, order_id, "AB 12-99"), line(3, order_id, "ab1299")])

    assert [(each.line, each.state) for each in results] == [(2, "CREATED"), (3, "FAILED")]
    assert "line 2 says the same" in results[1].error
    assert list(at_wix(shop, order_id)) == ["AB 12-99"]


def test_one_number_under_two_keys_of_an_order_makes_one_fulfillment(shop: Shop) -> None:
    """A number is one parcel at Wix, whatever keys it was given."""
    order_id, number = shop.order(items=TWO_ITEMS), shop.number()
    lines = [
        line(2, order_id, number, key="k-1", line_item_id=LINE),
        line(3, order_id, number, key="k-2", line_item_id=LINE_2),
    ]

    results = shipped(shop, lines)

    assert "CREATED" not in {each.state for each in results[1:]}
    assert len(shop.fulfillments(order_id)) <= 1
    assert all(each.error for each in results if each.state != "CREATED")


# What cannot be shipped


def test_a_bad_line_among_good_ones_is_told(shop: Shop) -> None:
    """A line that cannot be read, or cannot be taken in, fails with its reason, and the others are shipped."""
    order_ids = shop.orders(6)
    lines: list[Line | BadLine] = [
        line(2, order_ids[0], shop.number()),
        BadLine(3, "", "carrier is missing", "Fill it in.", row={"order_id": order_ids[1]}),
        line(4, order_ids[2], shop.number(), carrier="upss"),
        line(5, order_ids[3], shop.number(), tracking_url="javascript:alert(1)"),
        line(6, order_ids[4], "../../x"),
        line(7, "../orders", shop.number()),
        line(8, order_ids[5], shop.number()),
    ]

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["CREATED", *["FAILED"] * 5, "CREATED"]
    assert (results[1].error, results[1].what_to_do) == ("carrier is missing", "Fill it in.")
    assert "upss" in results[2].error
    assert all(each.what_to_do for each in results[1:6])
    assert counts(shop, order_ids) == [1, 0, 0, 0, 0, 1]


def test_a_parcel_that_cannot_go_holds_back_what_takes_all_that_remains(shop: Shop) -> None:
    """Whether its carrier is unknown or it asks for too much: what it is corrected to must still be there."""
    unknown, too_much, fine = shop.orders(3, items=TWO_ITEMS)
    lines = [
        line(2, unknown, shop.number()),
        line(3, unknown, shop.number(), carrier="upss", line_item_id=LINE),
        line(4, too_much, shop.number()),
        line(5, too_much, shop.number(), line_item_id=LINE, quantity="3"),
        line(6, fine, shop.number()),
    ]

    results = shipped(shop, lines)

    assert [each.state for each in results] == [*["FAILED"] * 4, "CREATED"]
    assert [("what remains for this parcel" in each.error) for each in results[:4]] == [True, False, True, False]
    assert counts(shop, [unknown, too_much]) == [0, 0]

    lines = [replace(each, row={**each.row, "carrier": "ups", "quantity": ""}) for each in lines]
    assert states(shipped(shop, lines)) == {"CREATED": 4, "EXISTING": 1}
    assert counts(shop, [unknown, too_much]) == [2, 2]


def test_a_number_shipped_with_other_contents_is_told_and_holds_back_the_rest(shop: Shop) -> None:
    """What the changed line is meant to say only a person knows; that costs no call."""
    order_id, number = shop.order(items=TWO_ITEMS), shop.number()
    shipped(shop, [line(2, order_id, number, line_item_id=LINE, quantity="1")])
    shop.calls()

    changed = [line(2, order_id, number, line_item_id=LINE, quantity="2"), line(3, order_id, shop.number())]
    results = shipped(shop, changed)

    assert [each.state for each in results] == ["FAILED", "FAILED"]
    assert "with another carrier, link or items" in results[0].error
    assert at_wix(shop, order_id) == {number: {LINE: 1}}
    assert not shop.calls()


def test_an_order_of_another_store_fails_alone(shop: Shop) -> None:
    """An id the store does not know costs its own line and a look, and no other."""
    order_ids = shop.orders(3)
    strange = "99999999-9999-4999-8999-999999999999"

    results = shipped(shop, listed(shop, [order_ids[0], strange, *order_ids[1:]]))

    assert [each.state for each in results] == ["CREATED", "FAILED", "CREATED", "CREATED"]
    assert f"no order {strange}" in results[1].error


@pytest.mark.parametrize("quantity", ["3", "100", "100001", "999999999"])
def test_more_than_an_order_holds_fails_alone(shop: Shop, quantity: str) -> None:
    """A line that asks for too much fails before the call, and the others are created."""
    order_ids = shop.orders(3, items=TWO_ITEMS)
    lines = listed(shop, order_ids)
    lines[1] = line(3, order_ids[1], shop.number(), line_item_id=LINE, quantity=quantity)

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["CREATED", "FAILED", "CREATED"]
    assert quantity in results[1].error
    assert results[1].what_to_do
    assert counts(shop, order_ids) == [1, 0, 1]


def test_a_number_without_its_leading_zeros_is_held_back(shop: Shop) -> None:
    """A spreadsheet takes them off; the whole number is proposed and not taken."""
    spoiled, fine = shop.orders(2)

    results = shipped(
        shop, [line(2, spoiled, "98259791905", carrier="fedex"), line(3, fine, "098259791905", carrier="fedex")]
    )

    assert [each.state for each in results] == ["FAILED", "CREATED"]
    assert "098259791905" in results[0].what_to_do
    assert "ship it by itself if it says 98259791905" in results[0].what_to_do


def test_a_number_unlike_its_carriers_is_a_warning_only(shop: Shop) -> None:
    """Carriers give numbers of new shapes; the line is named, and shipped."""
    told = Told()

    results = shipped(shop, [line(7, shop.order(), "NO-UPS-NUMBER"), line(8, shop.order(), "1Z40A7W90300005016")], told)

    assert states(results) == {"CREATED": 2}
    assert [(number, "does not look like a number of UPS" in text) for number, text in told.warnings] == [(7, True)]


# What Wix has, and what it answers


def test_what_is_there_already_is_told_apart(shop: Shop) -> None:
    """A fulfillment a merchant made by hand with the number is found, and counts as existing."""
    there, new, more = shop.orders(3)
    number = shop.number()
    shop.fulfilled_by_hand(there, number)

    results = shipped(shop, [line(2, there, number), line(3, new, shop.number()), line(4, more, shop.number())])

    assert [each.existed for each in results] == [True, False, False]
    assert states(results) == {"EXISTING": 1, "CREATED": 2}
    assert len(shop.fulfillments(there)) == 1


@pytest.mark.parametrize("told_by", ["code", "generic"])
def test_a_number_of_another_order_is_named_however_wix_says_it(shop: Shop, told_by: str) -> None:
    """Which code a bulk answer gives a known number is nowhere documented; either is looked up, and fails alone."""
    shop.switch(bulk_duplicate=told_by)
    first, *order_ids = shop.orders(4)
    number = shop.created(first).tracking_number
    lines = [line(9, order_ids[0], number), *listed(shop, order_ids[1:])]

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["CREATED", "CREATED", "FAILED"]
    assert f"order {shop.rows(first)[0].order_number}" in results[2].error
    assert counts(shop, order_ids) == [0, 1, 1]


def test_a_failure_wix_only_counts_is_settled_by_listing(shop: Shop) -> None:
    """A failure without a result is not guessed at: it is looked up, sent by itself, and refused with its reason."""
    shop.switch(bulk_detail_threshold=0)
    order_ids = shop.orders(3)
    lines = listed(shop, order_ids)
    lines[1] = line(3, order_ids[1], shop.created(shop.order()).tracking_number)
    shop.calls()

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["CREATED", "FAILED", "CREATED"]
    assert "already" in results[1].error
    assert "Wix does not have it; it is sent again" in shop.why(order_ids[1])
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"]) == (1, 1)


def turned(shop: Shop, monkeypatch: pytest.MonkeyPatch, change: Callable[[BulkResult], BulkResult]) -> None:
    """Let Wix's next bulk answer be another."""
    original = shop.store.wix.bulk_create_fulfillments

    def answer(*arguments: Any) -> BulkResult:  # noqa: ANN401 - passed on
        monkeypatch.setattr(shop.store.wix, "bulk_create_fulfillments", original)
        return change(original(*arguments))

    monkeypatch.setattr(shop.store.wix, "bulk_create_fulfillments", answer)


def test_an_answer_is_read_by_index_and_not_by_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order Wix tells its results in, each goes to its own shipment; what it leaves out is undecided."""
    shop.store = replace(shop.store, settle=timedelta(seconds=5))
    turned(shop, monkeypatch, lambda answer: answer.model_copy(update={"items": answer.items[:0:-1]}))
    shop.calls()

    results = shipped(shop, listed(shop, shop.orders(4)))

    assert states(results) == {"CREATED": 4}
    assert [each.fulfillment_id for each in results] == [shop.fulfillments(each.order_id)[0]["id"] for each in results]
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"], calls["list"] + calls["list-by-ids"]) == (1, 0, 1)


def test_a_failure_without_a_reason_is_undecided(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed item without an error may have been made all the same, and is looked up before anything else."""
    blank = {"success": False, "code": "", "description": "", "fulfillments": None}
    turned(
        shop,
        monkeypatch,
        lambda answer: answer.model_copy(
            update={"items": [answer.items[0].model_copy(update=blank), *answer.items[1:]]}
        ),
    )
    order_ids = shop.orders(3)
    shop.calls()

    results = shipped(shop, listed(shop, order_ids))

    assert states(results) == {"CREATED": 3}
    assert "found at Wix after an unclear answer" in shop.why(order_ids[0])
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"], calls["list"]) == (1, 0, 1)
    assert counts(shop, order_ids) == [1, 1, 1]


@pytest.mark.parametrize("item", ["atomic", "partial"])
def test_a_refused_order_of_several_parcels_is_sent_one_by_one(shop: Shop, item: str) -> None:
    """Which of them was meant the answer does not say: the second time each goes by itself, and the right one fails."""
    shop.switch(bulk_item=item)
    shop.store = replace(shop.store, settle=timedelta(seconds=5))
    known = shop.created(shop.order()).tracking_number
    mixed, fine = shop.order(items=TWO_ITEMS), shop.order()
    good = shop.number()
    lines = [
        line(2, mixed, good, line_item_id=LINE),
        line(3, mixed, known, line_item_id=LINE_2),
        line(4, fine, shop.number()),
    ]
    shop.calls()

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["CREATED", "FAILED", "CREATED"]
    assert "already" in results[1].error
    assert at_wix(shop, mixed) == {good: {LINE: 2}}
    calls = shop.calls()
    assert calls["bulk-create"] == 1
    assert calls["create"] <= 2


def test_only_what_can_succeed_is_sent_again(shop: Shop) -> None:
    """What Wix refused for good is asked about once, however often others are tried again."""
    known = shop.created(shop.order()).tracking_number
    refused, fine = shop.orders(2)
    lines = [line(2, refused, known), line(3, fine, shop.number())]
    shop.calls()

    results = shipped(shop, lines)

    assert [each.state for each in results] == ["FAILED", "CREATED"]
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"]) == (1, 0)


@pytest.mark.parametrize("effect", ["untold", "late"])
def test_a_broken_connection_is_settled_and_not_repeated(shop: Shop, effect: str) -> None:
    """After an answer that never came the run waits until Wix must have settled, and sends nothing Wix has."""
    order_ids = shop.orders(120)
    shop.fault("bulk-create", effect=effect)
    shop.calls()

    results = shipped(shop, listed(shop, order_ids))

    assert states(results) == {"CREATED": 120}
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"]) == (2, 0)
    assert counts(shop, order_ids) == [1] * 120


def test_one_call_that_fails_leaves_the_next_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one call left undecided is looked up at the end, and sent again where Wix does not have it."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 3)
    shop.fault("bulk-create", status=500)
    order_ids = shop.orders(5)
    shop.calls()

    results = shipped(shop, listed(shop, order_ids))

    assert states(results) == {"CREATED": 5}
    calls = shop.calls()
    assert (calls["bulk-create"], calls["list-by-ids"], calls["create"]) == (3, 2, 0)
    assert counts(shop, order_ids) == [1] * 5


# Where Wix takes no calls


def test_limits_in_the_middle_are_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 429 the run goes on by itself, says until when it waits, and makes nothing twice."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 2)
    order_ids, told = shop.orders(6), Told()
    shop.fault("bulk-create", status=429, times=9)

    results = shipped(shop, listed(shop, order_ids), told)

    assert states(results) == {"CREATED": 6}
    assert told.pauses
    assert all(until > shop.clock() - timedelta(hours=1) and why for why, until in told.pauses)
    assert counts(shop, order_ids) == [1] * 6


def test_wix_down_from_the_start_ends_after_one_wait(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half done: what was tried waits, the rest was not begun, and the same file goes on later."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 2)
    order_ids, told = shop.orders(6), Told()
    lines = listed(shop, order_ids)
    shop.fault("search-orders", status=503, times=1000)
    shop.calls()

    results = shipped(shop, lines, told)

    assert states(results) == {"READY": 2, "": 4}
    assert len(told.pauses) == 1
    assert all(each.error for each in results[:2])
    assert not {"bulk-create", "create"} & set(shop.calls())
    shop.control("DELETE", "faults")
    assert states(shipped(shop, lines)) == {"CREATED": 6}
    assert counts(shop, order_ids) == [1] * 6


def test_refused_credentials_end_the_run_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No flood of calls that will all be refused, and no wait."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 2)
    told = Told()
    shop.fault("search-orders", status=403, times=1000)
    shop.calls()

    results = shipped(shop, listed(shop, shop.orders(20)), told)

    assert states(results) == {"READY": 2, "": 18}
    assert not told.pauses
    assert shop.calls().total() <= 3


@pytest.mark.parametrize(
    ("status", "state", "pauses"), [(403, "", 0), (503, "", 1), (429, "CREATED", 1)], ids=["refused", "down", "limit"]
)
def test_what_remains_of_an_item_cannot_be_read(shop: Shop, status: int, state: str, pauses: int) -> None:
    """Nothing is taken in then: the run waits as it does elsewhere, or ends, and says why nothing was done."""
    order_ids, told = shop.orders(2), Told()
    lines = [line(n, order_id, shop.number(), line_item_id=LINE) for n, order_id in enumerate(order_ids, 2)]
    shop.fault("search-orders", status=status, times=5 if status == 429 else 1000)

    results = shipped(shop, lines, told)

    assert states(results) == {state: 2}
    assert len(told.pauses) == pauses
    assert all(each.error for each in results if not each.state)
    shop.control("DELETE", "faults")
    assert {each.state for each in shipped(shop, lines)} == {"CREATED"}


def test_a_run_that_is_stopped_begins_no_other_call(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call under way is finished, the rest was not begun, and the same file goes on there."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 2)
    told = Told()
    lines = listed(shop, shop.orders(6))

    results = shipped(shop, lines, told, is_stopped=lambda: sum(told.counts) >= 2)

    assert states(results) == {"CREATED": 2, "": 4}
    assert states(shipped(shop, lines)) == {"EXISTING": 2, "CREATED": 4}


# Beside other workers


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "before its answer was recorded"])
@pytest.mark.parametrize("item", ["", LINE], ids=["all of the order", "all of an item"])
def test_a_run_that_died_is_carried_on_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, item: str, *, after: bool
) -> None:
    """The next run waits for the dead one's claims to end, looks what Wix has, and sends what it does not have."""
    shop.store = replace(shop.store, settle=timedelta(seconds=5))
    order_ids = shop.orders(3)
    lines = [line(n, order_id, shop.number(), line_item_id=item) for n, order_id in enumerate(order_ids, 2)]
    shop.dying(monkeypatch, "bulk_create_fulfillments", after=after)
    with pytest.raises(ProcessDied):
        shipped(shop, lines)
    shop.store = replace(shop.store, owner="next")
    shop.calls()

    results = shipped(shop, lines)

    assert {each.state for each in results} == {"CREATED"}
    assert shop.calls()["bulk-create"] == (0 if after else 1)
    assert counts(shop, order_ids) == [1, 1, 1]


def test_what_settles_later_is_left_to_a_later_run(shop: Shop) -> None:
    """An outcome that cannot be known within half a minute is told as open, without waiting for it."""
    shop.store, told = replace(shop.store, settle=SETTLE * 10), Told()
    lines = listed(shop, shop.orders(2))
    shop.fault("bulk-create", effect="untold")
    shipped(shop, lines, told, is_stopped=lambda: sum(told.counts) > 0)
    shop.store = replace(shop.store, settle=timedelta(seconds=1))
    before = shop.clock()

    open_ = shipped(shop, lines)

    assert states(open_) == {"SENDING": 2}
    assert all(each.error for each in open_)
    assert shop.clock() - before < timedelta(seconds=1)
    shop.clock.advance(SETTLE.total_seconds() * 10)
    assert {each.state for each in shipped(shop, lines)} == {"CREATED"}


def test_what_another_worker_holds_is_waited_for(shop: Shop) -> None:
    """A shipment that a running service took first is read again until it is known what became of it."""
    (only,) = listed(shop, shop.orders(1))
    row = shop.take(only.row["order_id"], only.row["tracking_number"])
    (held,) = shop.ledger.shipments.claim(ID, states={State.WAITING_LINK}, owner="service", lease_seconds=6, limit=1)
    assert held.id == row.id
    looks: list[float] = []

    def meanwhile(seconds: float) -> None:
        looks.append(seconds)
        shop.clock.advance(7)
        assert replace(shop, store=replace(shop.store, owner="service")).send(row)

    (result,) = shipped(shop, [only], sleep=meanwhile)

    assert len(looks) == 1
    assert result.state == "CREATED"


def test_another_worker_makes_nothing_twice(shop: Shop) -> None:
    """Two processes that ship one file make each fulfillment once."""
    order_ids = shop.orders(4)
    lines = listed(shop, order_ids)
    shipped(shop, lines[:2])
    other = replace(shop, store=replace(shop.store, owner="other"))

    assert states(shipped(other, lines)) == {"EXISTING": 2, "CREATED": 2}

    assert counts(shop, order_ids) == [1] * 4


def test_how_far_it_is_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each call it is told how many parcels were dealt with, bad lines and known parcels first."""
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 2)
    lines = listed(shop, shop.orders(5))
    shipped(shop, lines[:1])
    told = Told()

    shipped(shop, [*lines, BadLine(9, "", "it is bad", "Mend it.")], told)

    assert told.counts == [2, 2, 2]
