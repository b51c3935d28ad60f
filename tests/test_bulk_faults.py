"""Whatever befalls the calls of a run, and however often it dies, the same file ends with each parcel shipped once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from bulk_runs import TWO_ITEMS, at_wix, line, shipped, states
from history_check import history_of, violations
from parcelhook.fulfillment import spool as spools
from parcelhook.fulfillment.files import Line
from parcelhook.fulfillment.spool import Result
from shops import ID, LINE, LINE_2, ProcessDied, Shop

pytest_plugins = ["stores"]

RUNS_AT_MOST = 40
ENDS = {"CREATED", "EXISTING", "NEEDS_REVIEW"}
"""How a parcel may end; a person is asked where Wix's answer was unclear twice, and it does not have it."""

READS = ("search-orders", "list-by-ids", "list", "get-order")
FAULTS: tuple[dict[str, Any], ...] = (
    {"effect": "untold"},
    {"effect": "untold", "body": "truncated"},
    {"effect": "late"},
    {"status": 500},
    {"status": 503, "retry_after": 1},
    {"status": 429, "times": 5},
    {"status": 403},
    {"status": 200, "body": "html"},
)
SWITCHES: tuple[dict[str, Any], ...] = (
    {},
    {"bulk_item": "partial", "bulk_same_order_twice": "refused"},
    {"bulk_detail_threshold": 0},
    {"search_lag_seconds": 0.05, "list_lag_seconds": 0.05},
)


PARCELS: list[list[dict[str, str]]] = [
    [{}],
    [{"line_item_id": LINE, "quantity": "1"}, {}],
    [{"line_item_id": LINE}, {"line_item_id": LINE_2, "quantity": "1"}],
]


def a_file(shop: Shop, random: Random) -> tuple[list[str], list[Line]]:
    """Give orders, and lines that ship all of each: in one parcel, in two, in two that say it, or by one key."""
    order_ids = shop.orders(24, items=TWO_ITEMS)
    rows: list[tuple[str, dict[str, str]]] = []
    for order_id in order_ids:
        rows += [
            (order_id, row) for row in random.choice([*PARCELS, [{"key": f"k-{order_id}"}, {"key": f"k-{order_id}"}]])
        ]
    random.shuffle(rows)
    return order_ids, [line(place, order_id, shop.number(), **row) for place, (order_id, row) in enumerate(rows, 2)]


def befall(shop: Shop, random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something befall the next calls, and now and then the process."""
    for _ in range(random.randint(1, 3)):
        route = random.choice(["bulk-create", "bulk-create", "create", *READS])
        shop.fault(route, **random.choice(FAULTS))
    if random.random() < 0.4:
        call = random.choice(["bulk_create_fulfillments", "create_fulfillment", "search_orders"])
        shop.dying(monkeypatch, call, after=random.random() < 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_every_parcel_is_shipped_once_in_the_end(shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Runs follow each other until one finds everything shipped, and the history has no breach."""
    random = Random(seed)  # noqa: S311 - a repeatable choice, no secret
    monkeypatch.setattr(spools, "ORDERS_PER_CALL", 5)
    order_ids, lines = a_file(shop, random)
    shop.switch(**SWITCHES[seed % len(SWITCHES)])
    shop.store = replace(shop.store, settle=timedelta(seconds=5))
    skip = shop.calls_before

    for run in range(RUNS_AT_MOST):
        shop.control("DELETE", "faults")
        if run < 6:
            befall(shop, random, monkeypatch)
        results: list[Result] = []
        with suppress(ProcessDied):
            results = shipped(shop, lines)
        if results and set(states(results)) <= ENDS:
            break
        shop.store = replace(shop.store, owner=f"worker-{run}")
        shop.clock.advance(random.choice([0, 1, 7, 40]))

    assert set(states(results)) <= ENDS, [each for each in results if each.error][:3]
    asked = {each.order_id for each in results if each.state == "NEEDS_REVIEW"}
    assert len(asked) < len(order_ids) / 2
    history = history_of(shop, shop.ledger, store=ID, orders=order_ids, skip_calls=skip)
    assert violations(history) == []
    for order_id in {*order_ids} - asked:
        total: Counter[str] = Counter()
        for items in at_wix(shop, order_id).values():
            total.update(items)
        assert total == {LINE: 2, LINE_2: 1}
