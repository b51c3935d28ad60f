"""Many parcels are shipped in few calls, and each is told apart: what was created, was there, failed, or is open."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from parcelhook.engine import Flow, Json
from parcelhook.flows import Flows
from parcelhook.fulfillment import bulk
from parcelhook.fulfillment.bulk import Result, ship
from parcelhook.fulfillment.files import BadLine, Entry
from parcelhook.fulfillment.intake import Wish
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import State
from parcelhook.wix.fulfillments import BulkResult
from shops import ID, LINE, LINE_2, SETTLE, ProcessDied, Shop

pytest_plugins = ["stores"]


def entry(line: int, order_id: str, number: str, *, carrier: str = "ups", **wish: Any) -> Entry:  # noqa: ANN401 - fields
    """Give what a line of a file says."""
    return Entry(line, Wish(order_id=order_id, carrier=carrier, parcels=((number, None),), source="file", **wish))


def entries(shop: Shop, order_ids: list[str], **wish: Any) -> list[Entry | BadLine]:  # noqa: ANN401 - fields of a wish
    """Give one line for each order, with a number of its own."""
    return [entry(line, order_id, shop.number(), **wish) for line, order_id in enumerate(order_ids, 2)]


def shipped(shop: Shop, lines: list[Entry | BadLine]) -> list[Result]:
    """Ship as the engine would, without the engine."""

    def run(name: str, store: str, ids: list[str]) -> Json:
        assert name in {"send", "settle"}
        assert len(ids) <= 100
        flow: Flow = Flows({ID: shop.store}).by_name()[name]
        return flow(store, ids)

    return ship(shop.store, lines, run=run, sleep=shop.clock.advance)


def states(results: list[Result]) -> Counter[tuple[str, bool]]:
    """Count what became of lines, and whether it was there before."""
    return Counter((result.row.state.value if result.row else "none", result.existed) for result in results)


def test_a_hundred_and_twenty_orders_take_two_calls(shop: Shop) -> None:
    """Orders of all carriers share calls of a hundred, and each makes one fulfillment."""
    order_ids = shop.orders(120)
    lines: list[Entry | BadLine] = [
        entry(line, order_id, shop.number(), carrier=("ups", "royal-mail", "fedex")[line % 3])
        for line, order_id in enumerate(order_ids)
    ]
    shop.calls()

    results = shipped(shop, lines)

    assert states(results) == {("CREATED", False): 120}
    assert [result.line for result in results] == [*range(120)]
    assert [result.order_id for result in results] == order_ids
    assert shop.calls() == {"search-orders": 2, "bulk-create": 2}
    assert all(len(shop.fulfillments(order_id)) == 1 for order_id in order_ids)


def test_the_same_file_again_makes_nothing_new(shop: Shop) -> None:
    """What a file says was done already is found, without a call."""
    order_ids = shop.orders(5)
    lines = entries(shop, order_ids)
    first = shipped(shop, lines)
    shop.calls()

    again = shipped(shop, lines)

    assert states(again) == {("CREATED", True): 5}
    assert [each.row.id for each in again if each.row] == [each.row.id for each in first if each.row]
    assert not shop.calls()
    assert all(len(shop.fulfillments(order_id)) == 1 for order_id in order_ids)


def test_a_bad_line_among_good_ones_is_told(shop: Shop) -> None:
    """A line that cannot be read, or cannot be taken in, fails with its reason, and the others are shipped."""
    first, second, third = shop.orders(3)
    unreadable = BadLine(3, second, "carrier is missing", "Fill it in.")
    lines: list[Entry | BadLine] = [
        entry(2, first, shop.number()),
        unreadable,
        entry(4, second, shop.number(), carrier="no-such-carrier"),
        entry(5, third, shop.number()),
    ]

    results = shipped(shop, lines)

    assert [bool(result.row) for result in results] == [True, False, False, True]
    assert (results[1].line, results[1].error, results[1].what_to_do) == (3, "carrier is missing", "Fill it in.")
    assert "no-such-carrier" in results[2].error
    assert [len(shop.fulfillments(id_)) for id_ in (first, second, third)] == [1, 0, 1]


def test_two_shipments_of_one_order_go_in_separate_calls(shop: Shop) -> None:
    """Whether one bulk call may hold an order twice is nowhere documented, so none does."""
    shop.switch(bulk_same_order_twice="refused")
    twice = shop.order(items=[{"quantity": 1}, {"quantity": 1}])
    others = shop.orders(2)
    lines: list[Entry | BadLine] = [
        entry(2, twice, shop.number(), items={LINE: 1}),
        entry(3, twice, shop.number(), items={LINE_2: 1}),
        *(entry(line, order_id, shop.number()) for line, order_id in enumerate(others, 4)),
    ]
    shop.calls()

    results = shipped(shop, lines)

    assert states(results) == {("CREATED", False): 4}
    assert len(shop.fulfillments(twice)) == 2
    calls = shop.calls()
    assert (calls["bulk-create"], calls["create"]) == (1, 1)


def test_what_is_there_already_is_told_apart(shop: Shop) -> None:
    """A fulfillment a merchant made by hand with the number is found, and counts as existing."""
    there, new, more = shop.orders(3)
    number = shop.number()
    shop.fulfilled_by_hand(there, number)

    results = shipped(shop, [entry(2, there, number), entry(3, new, shop.number()), entry(4, more, shop.number())])

    assert [result.existed for result in results] == [True, False, False]
    assert states(results) == {("CREATED", True): 1, ("CREATED", False): 2}
    assert len(shop.fulfillments(there)) == 1


def test_more_than_an_order_holds_fails_alone(shop: Shop) -> None:
    """A line that asks for too much fails with what remains, before the call, and the others are created."""
    order_ids = shop.orders(3)
    lines = entries(shop, order_ids)
    lines[1] = entry(3, order_ids[1], shop.number(), items={LINE: 100})

    results = shipped(shop, lines)

    assert [result.row.state for result in results if result.row] == [State.CREATED, State.FAILED, State.CREATED]
    assert "remain" in results[1].error
    assert results[1].what_to_do


def test_a_line_wix_refuses_fails_alone(shop: Shop) -> None:
    """What Wix's bulk answer refuses is told apart from what it created, by its index."""
    order_ids = shop.orders(4)
    taken = shop.created(shop.order()).tracking_number
    lines = entries(shop, order_ids)
    lines[2] = entry(4, order_ids[2], taken)

    results = shipped(shop, lines)

    assert states(results) == {("CREATED", False): 3, ("FAILED", False): 1}
    assert "already" in results[2].error
    assert [len(shop.fulfillments(id_)) for id_ in order_ids] == [1, 1, 0, 1]


def test_a_line_wix_only_counts_is_undecided(shop: Shop) -> None:
    """A failure the bulk answer gives no result for is not guessed at: that line alone stays open."""
    shop.switch(bulk_detail_threshold=0)
    order_ids = shop.orders(3)
    lines = entries(shop, order_ids)
    lines[1] = entry(3, order_ids[1], shop.created(shop.order()).tracking_number)

    results = shipped(shop, lines)

    assert [result.row.state for result in results if result.row] == [State.CREATED, State.SENDING, State.CREATED]
    assert "says nothing about this order" in results[1].error


def test_fulfillments_are_listed_only_where_there_may_be_some(shop: Shop) -> None:
    """Of a hundred orders, those that were shipped in part are listed, together, and no other."""
    order_ids = shop.orders(5, items=[{"quantity": 2}])
    for order_id in order_ids[:2]:
        shop.fulfilled_by_hand(order_id, shop.number())
    shop.calls()

    results = shipped(shop, entries(shop, order_ids))

    assert states(results) == {("CREATED", False): 5}
    assert shop.calls() == {"search-orders": 1, "list-by-ids": 1, "bulk-create": 1}
    assert [shop.fulfillments(id_)[-1]["lineItems"][0]["quantity"] for id_ in order_ids] == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("told_by", ["code", "generic"])
def test_a_number_of_another_order_is_named_however_wix_says_it(shop: Shop, told_by: str) -> None:
    """Which code a bulk answer gives a known number is nowhere documented; either is looked up."""
    shop.switch(bulk_duplicate=told_by)
    first, *order_ids = shop.orders(3)
    number = shop.created(first).tracking_number
    lines: list[Entry | BadLine] = [entry(2, order_ids[0], number), entry(3, order_ids[1], shop.number())]

    results = shipped(shop, lines)

    assert states(results) == {("FAILED", False): 1, ("CREATED", False): 1}
    assert f"order {shop.rows(first)[0].order_number}" in results[0].error


def test_an_answer_is_read_by_index_and_not_by_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order Wix tells its results in, each goes to its own shipment; what it leaves out is undecided."""
    original = shop.store.wix.bulk_create_fulfillments

    def turned_round(*arguments: Any) -> BulkResult:  # noqa: ANN401 - passed on
        answer = original(*arguments)
        return answer.model_copy(update={"items": answer.items[:0:-1]})

    monkeypatch.setattr(shop.store.wix, "bulk_create_fulfillments", turned_round)
    results = shipped(shop, entries(shop, shop.orders(4)))

    assert states(results) == {("SENDING", False): 1, ("CREATED", False): 3}
    for result in results:
        assert result.row is not None
        (fulfillment,) = shop.fulfillments(result.order_id)
        assert result.row.fulfillment_id in {fulfillment["id"], None}
        assert shop.settle(result.row) is (None if result.row.fulfillment_id else Outcome.CREATED)


def test_a_call_whose_outcome_is_open_leaves_its_lines_undecided(shop: Shop) -> None:
    """After an answer that never came, nothing is sent again; another run of the file finds what there is."""
    order_ids = shop.orders(3)
    lines = entries(shop, order_ids)
    shop.fault("bulk-create", effect="untold")

    results = shipped(shop, lines)

    assert states(results) == {("SENDING", False): 3}
    assert all(result.error for result in results)
    for result in results:
        assert result.row is not None
        shop.settle(result.row)
    assert states(shipped(shop, lines)) == {("CREATED", True): 3}
    assert [len(shop.fulfillments(id_)) for id_ in order_ids] == [1, 1, 1]


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "before its answer was recorded"])
def test_a_run_that_died_is_carried_on_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """The next run waits for the dead one's claims to end, looks what Wix has, and sends what it does not have."""
    shop.store = replace(shop.store, settle=timedelta(seconds=5))
    order_ids = shop.orders(3)
    lines = entries(shop, order_ids)
    shop.dying(monkeypatch, "bulk_create_fulfillments", after=after)
    with pytest.raises(ProcessDied):
        shipped(shop, lines)
    shop.store = replace(shop.store, owner="next")
    shop.calls()

    results = shipped(shop, lines)

    assert {result.row.state for result in results if result.row} == {State.CREATED}
    assert shop.calls()["bulk-create"] == (0 if after else 1)
    assert [len(shop.fulfillments(id_)) for id_ in order_ids] == [1, 1, 1]


def test_what_settles_later_is_left_to_a_later_run(shop: Shop) -> None:
    """An outcome that cannot be known within half a minute is told as open, without waiting for it."""
    lines = entries(shop, shop.orders(2))
    shop.fault("bulk-create", effect="untold")
    shipped(shop, lines)
    before = shop.clock()

    assert states(shipped(shop, lines)) == {("SENDING", False): 2}
    assert shop.clock() == before

    shop.clock.advance(SETTLE.total_seconds())
    assert [result.row.state for result in shipped(shop, lines) if result.row] == [State.CREATED] * 2


def test_one_call_that_fails_leaves_the_next_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one call leaves undecided does not keep the next from being made."""
    monkeypatch.setattr(bulk, "PER_CALL", 3)
    lines = entries(shop, shop.orders(4))
    shop.fault("bulk-create", status=500)

    results = shipped(shop, lines)

    assert states(results) == {("SENDING", False): 3, ("CREATED", False): 1}


def test_a_refused_call_is_put_off(shop: Shop) -> None:
    """Where Wix takes no calls at the moment the lines wait with the reason, and the next run sends them."""
    lines = entries(shop, shop.orders(2))
    shop.fault("bulk-create", status=429, times=9)

    results = shipped(shop, lines)

    assert states(results) == {("READY", False): 2}
    assert all(result.error for result in results)
    shop.control("DELETE", "faults")
    shop.clock.advance(61)
    assert states(shipped(shop, lines)) == {("CREATED", False): 2}


def test_one_parcel_on_two_lines_is_one_shipment(shop: Shop) -> None:
    """A number typed in two ways is one parcel, and makes one fulfillment."""
    order_id = shop.order()

    results = shipped(shop, [entry(2, order_id, "AB 12-99"), entry(3, order_id, "ab1299")])

    assert len({result.row.id for result in results if result.row}) == 1
    assert states(results) == {("CREATED", False): 1, ("CREATED", True): 1}
    assert len(shop.fulfillments(order_id)) == 1


def test_what_a_service_sends_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipment that a running service took first is read again until it is known what became of it."""
    (line,) = entries(shop, shop.orders(1))
    looks: list[float] = []

    def meanwhile(seconds: float) -> None:
        looks.append(seconds)
        (row,) = shop.ledger.shipments.find(store=ID)
        shop.send(row)

    monkeypatch.setattr("parcelhook.fulfillment.bulk.time.sleep", meanwhile)

    (result,) = ship(shop.store, [line], run=lambda *_: {})

    assert len(looks) == 1
    assert states([result]) == {("CREATED", False): 1}


def test_how_far_it_is_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each call it is told how many shipments were dealt with."""
    monkeypatch.setattr(bulk, "PER_CALL", 2)
    told: list[int] = []
    flows = Flows({ID: shop.store})

    ship(shop.store, entries(shop, shop.orders(3)), run=lambda _, store, ids: flows.send(store, ids), told=told.append)

    assert told == [2, 1]


def test_another_worker_makes_nothing_twice(shop: Shop) -> None:
    """Two processes that ship one file make each fulfillment once."""
    order_ids = shop.orders(4)
    lines = entries(shop, order_ids)
    shipped(shop, lines[:2])

    other = replace(shop, store=replace(shop.store, owner="other"))

    assert states(shipped(other, lines)) == {("CREATED", True): 2, ("CREATED", False): 2}
    assert [len(shop.fulfillments(id_)) for id_ in order_ids] == [1, 1, 1, 1]
