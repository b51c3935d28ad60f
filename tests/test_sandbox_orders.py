"""The sandbox's Get Order and Search Orders keep to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelhook.sandbox import Running, SandboxSettings, running
from sandbox_client import Json, Wix, code_of, ok, violations


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


def found(wix: Wix, ids: list[str], **condition: object) -> list[int]:
    """Search among some orders and give their places in the list."""
    answer = ok(wix.search(filter={"id": {"$in": ids}} | condition))
    return sorted(ids.index(order["id"]) for order in answer["orders"])


def test_get_order_gives_realistic_fields(wix: Wix) -> None:
    """An order has the REST names an integration reads, with addresses, money and dates as Wix writes them."""
    order = wix.get_order(wix.order(quantity=3))

    destination = order["shippingInfo"]["logistics"]["shippingDestination"]
    line = order["lineItems"][0]
    assert (order["status"], order["paymentStatus"], order["archived"]) == ("APPROVED", "PAID", False)
    assert order["number"].isdigit()
    assert {"addressLine", "city", "country", "postalCode"} <= set(destination["address"])
    assert {"firstName", "lastName", "phone"} <= set(destination["contactDetails"])
    assert order["recipientInfo"]["address"] == destination["address"]
    assert (line["quantity"], line["itemType"], "fulfilledQuantity" in line) == (3, {"preset": "PHYSICAL"}, False)
    assert line["physicalProperties"]["shippable"] is True
    assert order["priceSummary"]["total"]["formattedAmount"] == f"${order['priceSummary']['total']['amount']}"
    assert datetime.fromisoformat(order["createdDate"]).tzinfo is not None


def test_get_order_of_an_unknown_id(wix: Wix) -> None:
    """An unknown order is a 404 with Wix's published code."""
    answer = wix.http.get("/ecom/v1/orders/unknown?id=unknown")

    assert answer.status_code == 404
    assert code_of(answer) == "ORDER_NOT_FOUND"


def test_get_order_returns_initialized_orders(wix: Wix) -> None:
    """Get Order returns what Search Orders never does."""
    order = wix.order(status="INITIALIZED")

    assert wix.get_order(order)["status"] == "INITIALIZED"
    assert found(wix, [order]) == []
    assert found(wix, [order], status="INITIALIZED") == []


def test_pending_and_rejected_need_an_explicit_status(wix: Wix) -> None:
    """Pending and rejected orders are left out unless the filter names the status."""
    ids = [wix.order(status=status) for status in ("APPROVED", "PENDING", "REJECTED", "CANCELED")]

    assert found(wix, ids) == [0, 3]
    assert found(wix, ids, status="PENDING") == [1]
    assert found(wix, ids, status={"$in": ["PENDING", "REJECTED"]}) == [1, 2]
    assert found(wix, ids, **{"$or": [{"status": "REJECTED"}, {"archived": False}]}) == [0, 1, 2, 3]


CONDITIONS: list[tuple[Json, list[int]]] = [
    ({"paymentStatus": "NOT_PAID"}, [1]),
    ({"paymentStatus": {"$eq": "NOT_PAID"}}, [1]),
    ({"paymentStatus": {"$ne": "NOT_PAID"}}, [0, 2]),
    ({"paymentStatus": {"$in": ["NOT_PAID", "PAID"]}}, [0, 1, 2]),
    ({"paymentStatus": {"$nin": ["PAID"]}}, [1]),
    ({"fulfillmentStatus": "FULFILLED"}, [2]),
    ({"archived": True}, [1]),
    ({"archived": {"$ne": True}}, [0, 2]),
    ({"channelInfo.type": "EBAY"}, [2]),
    ({"channelInfo.externalOrderId": "E-7"}, [2]),
    ({"channelInfo.externalOrderId": None}, [0, 1]),
    ({"shippingInfo.title": {"$ne": "Express"}}, [0, 2]),
    ({"shippingInfo.title": {"$startsWith": "Exp"}}, [1]),
    ({"shippingInfo.region.name": "Abroad"}, [1]),
    ({"buyerInfo.email": "buyer@example.com"}, [0]),
    ({"createdDate": {"$gte": "2020-01-02T00:00:00Z", "$lt": "2020-01-03T00:00:00Z"}}, [1]),
    ({"createdDate": {"$gt": "2020-01-02T02:00:00.000+02:00"}}, [2]),
    ({"createdDate": {"$lte": "2020-01-02T00:00:00.000Z"}}, [0, 1]),
    ({"createdDate": "2020-01-03T00:00:00.000000Z"}, [2]),
    ({"number": {"$gt": 900_001}}, [1, 2]),
    ({"number": "900001"}, [0]),
    ({"number": {"$exists": False}}, []),
    ({"$and": [{"archived": False}, {"paymentStatus": "PAID"}]}, [0, 2]),
    ({"$or": [{"archived": True}, {"channelInfo.type": "EBAY"}]}, [1, 2]),
    ({"$not": {"archived": True}}, [0, 2]),
    ({"fulfillmentStatusesAggregate.statuses": {"$hasAll": ["Ready"]}}, [2]),
    ({"fulfillmentStatusesAggregate.statuses": {"$hasAll": ["Ready", "Pending"]}}, []),
    ({"fulfillmentStatusesAggregate.statuses": {"$hasSome": ["Ready", "Pending"]}}, [2]),
]


@pytest.fixture(scope="module")
def varied(sandbox: Running) -> list[str]:
    """Make three orders that differ in everything that can be filtered."""
    with Wix(sandbox) as wix:
        ids = [
            wix.order(number="900001", createdDate="2020-01-01T00:00:00Z", buyerInfo={"email": "buyer@example.com"}),
            wix.order(
                number="900002",
                createdDate="2020-01-02T00:00:00Z",
                paymentStatus="NOT_PAID",
                archived=True,
                shippingInfo={"title": "Express", "region": {"name": "Abroad"}},
            ),
            wix.order(
                number="900003",
                createdDate="2020-01-03T00:00:00Z",
                channelInfo={"type": "EBAY", "externalOrderId": "E-7"},
            ),
        ]
        wix.created(ids[2], status="Ready")
    return ids


@pytest.mark.parametrize(("condition", "places"), CONDITIONS)
def test_filters(wix: Wix, varied: list[str], condition: Json, places: list[int]) -> None:
    """Every filterable field takes its operators."""
    assert found(wix, varied, **condition) == places


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"lineItems": []}, "lineItems"),
        ({"channelInfo": {"type": "WEB"}}, "channelInfo"),
        ({"status": "approved"}, "status.$eq"),
        ({"status": {"$gt": "A"}}, "status.$gt"),
        ({"status": {"$regex": "A"}}, "status.$regex"),
        ({"status": {"$in": "APPROVED"}}, "status.$in"),
        ({"status": {}}, "status"),
        ({"archived": "true"}, "archived.$eq"),
        ({"archived": {"$in": [True]}}, "archived.$in"),
        ({"createdDate": {"$gt": "yesterday"}}, "createdDate.$gt"),
        ({"createdDate": {"$gt": "2024-01-01T00:00:00"}}, "createdDate.$gt"),
        ({"createdDate": {"$gt": 5}}, "createdDate.$gt"),
        ({"number": {"$gt": "x"}}, "number.$gt"),
        ({"number": {"$gt": True}}, "number.$gt"),
        ({"number": {"$exists": 1}}, "number.$exists"),
        ({"$or": []}, "$or"),
        ({"$and": [5]}, "$and[0]"),
        ({"fulfillmentStatusesAggregate.statuses": "Ready"}, "fulfillmentStatusesAggregate.statuses.$eq"),
    ],
)
def test_filters_that_are_refused(wix: Wix, condition: Json, field: str) -> None:
    """Unknown fields, operators that do not fit and operands of the wrong type are validation errors."""
    assert set(violations(wix.search(filter=condition))) == {f"search.filter.{field}"}


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ({"filter": []}, "search.filter"),
        ({"sort": "x"}, "search.sort"),
        ({"sort": [{"fieldName": "createdDate"}] * 5}, "search.sort"),
        ({"sort": [{"fieldName": "lineItems"}]}, "search.sort[0].fieldName"),
        ({"sort": [{"order": "ASC"}]}, "search.sort[0].fieldName"),
        ({"sort": ["createdDate"]}, "search.sort[0]"),
        ({"sort": [{"fieldName": "createdDate", "order": "asc"}]}, "search.sort[0].order"),
        ({"cursorPaging": []}, "search.cursorPaging"),
        ({"cursorPaging": {"limit": 101}}, "search.cursorPaging.limit"),
        ({"cursorPaging": {"limit": 0}}, "search.cursorPaging.limit"),
        ({"cursorPaging": {"limit": "5"}}, "search.cursorPaging.limit"),
        ({"cursorPaging": {"cursor": "x" * 16_001}}, "search.cursorPaging.cursor"),
        ({"cursorPaging": {"cursor": "forged"}}, "search.cursorPaging.cursor"),
        ({"cursorPaging": {"cursor": "e30="}}, "search.cursorPaging.cursor"),
    ],
)
def test_searches_that_are_refused(wix: Wix, search: Json, field: str) -> None:
    """The limits of sorting and paging are validation errors."""
    assert set(violations(wix.search(**search))) == {field}


def test_four_sort_entries_are_not_too_many(wix: Wix, varied: list[str]) -> None:
    """Up to four criteria sort, ascending unless told otherwise, absent values first."""
    sort: list[Json] = [
        {"fieldName": "channelInfo.externalOrderId", "order": "DESC"},
        {"fieldName": "archived"},
        {"fieldName": "paymentStatus", "order": "ASC"},
        {"fieldName": "number", "order": "DESC"},
    ]

    answer = ok(wix.search(filter={"id": {"$in": varied}}, sort=sort))

    assert [varied.index(order["id"]) for order in answer["orders"]] == [2, 0, 1]


def test_newest_first_by_default(wix: Wix, varied: list[str]) -> None:
    """Without a sort the newest order comes first, and without anything a hundred orders come."""
    answer = ok(wix.search(filter={"id": {"$in": varied}}))
    wix.orders(101)
    plain = ok(wix.http.post("/ecom/v1/orders/search", json={}))

    dates = [order["createdDate"] for order in plain["orders"]]
    assert [order["id"] for order in answer["orders"]] == varied[::-1]
    assert len(dates) == 100
    assert dates == sorted(dates, reverse=True)
    assert plain["metadata"]["count"] == 100
    assert plain["metadata"]["hasNext"] is True


def test_a_cursor_carries_filter_and_sort(wix: Wix) -> None:
    """The next page needs the cursor alone, and the one before is found again."""
    ids = wix.orders(5)
    sort = [{"fieldName": "number", "order": "ASC"}]
    first = ok(wix.search(filter={"id": {"$in": ids}}, sort=sort, cursorPaging={"limit": 2}))
    second = ok(wix.search(cursorPaging={"limit": 2, "cursor": first["metadata"]["cursors"]["next"]}))
    back = ok(wix.search(cursorPaging={"limit": 2, "cursor": second["metadata"]["cursors"]["prev"]}))

    assert [order["id"] for order in second["orders"]] == ids[2:4]
    assert back["orders"] == first["orders"]
    assert "prev" not in back["metadata"]["cursors"]


def test_a_cursor_comes_alone(wix: Wix) -> None:
    """A filter or sort beside a cursor is refused."""
    ids = wix.orders(2)
    first = ok(wix.search(filter={"id": {"$in": ids}}, cursorPaging={"limit": 1}))
    paging = {"cursor": first["metadata"]["cursors"]["next"]}

    assert violations(wix.search(cursorPaging=paging, filter={"archived": False})) == {"search": "CUSTOM"}
    assert violations(wix.search(cursorPaging=paging, sort=[{"fieldName": "id"}])) == {"search": "CUSTOM"}


def test_paging_stands_while_orders_arrive(wix: Wix) -> None:
    """Orders that arrive between two pages neither hide nor repeat others."""
    ids = wix.orders(4, order={"channelInfo": {"type": "POS"}})
    condition = {"channelInfo.type": "POS"}
    page = ok(wix.search(filter=condition, cursorPaging={"limit": 2}))
    wix.orders(2, order={"channelInfo": {"type": "POS"}})
    rest = ok(wix.search(cursorPaging={"cursor": page["metadata"]["cursors"]["next"]}))

    assert [order["id"] for order in page["orders"] + rest["orders"]] == ids[::-1]


@settings(max_examples=15, deadline=None)
@given(limit=st.integers(1, 9), descending=st.booleans(), name=st.sampled_from(["createdDate", "paymentStatus", "id"]))
def test_pages_partition_the_result(sandbox: Running, limit: int, *, descending: bool, name: str) -> None:
    """Page after page gives every order once, in the order of one long page."""
    with Wix(sandbox) as wix:
        ids = wix.orders(4) + wix.orders(4, order={"paymentStatus": "NOT_PAID"})
        search: Json = {
            "filter": {"id": {"$in": ids}},
            "sort": [{"fieldName": name, "order": "DESC" if descending else "ASC"}],
        }
        whole = [order["id"] for order in ok(wix.search(**search))["orders"]]
        paged: list[Any] = []
        page = ok(wix.search(**search, cursorPaging={"limit": limit}))
        paged += page["orders"]
        while page["metadata"]["hasNext"]:
            page = ok(wix.search(cursorPaging={"limit": limit, "cursor": page["metadata"]["cursors"]["next"]}))
            paged += page["orders"]

    assert [order["id"] for order in paged] == whole
    assert sorted(whole) == sorted(ids)


def test_updated_date_moves_with_the_order(wix: Wix) -> None:
    """A store that polls finds what changed since it last looked."""
    order = wix.order()
    created = wix.get_order(order)
    since = datetime.fromisoformat(created["updatedDate"]) - timedelta(milliseconds=1)
    wix.created(order)

    changed = wix.get_order(order)

    assert changed["updatedDate"] >= created["updatedDate"]
    assert changed["createdDate"] == created["createdDate"]
    assert found(wix, [order], updatedDate={"$gt": since.isoformat()}) == [0]
