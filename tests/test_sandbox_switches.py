"""Each switch of the sandbox does what it says in every position; the default is the first one asserted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import count

import httpx
import pytest

from parcelhook.sandbox import Running, SandboxSettings, Switches, running
from sandbox_client import GUID, LINE, LINE_2, Json, Wix, code_of, events_of, ok, opened, receiver, until, violations

ACME = {"shippingProvider": "Acme", "trackingLink": "https://acme.example/1"}
UPS_LINK = "https://wwwapps.ups.com/WebTracking/track?track=yes&trackNums={}"
PLAIN: Json = {"lineItems": [{"id": LINE}]}
_numbers = count(1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0, time_scale=0.0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


@pytest.fixture
def number() -> str:
    """Give a tracking number that no other test uses."""
    return f"SWITCH-{next(_numbers)}"


def tracking(answer: httpx.Response) -> Json:
    """Give the tracking info of the last fulfillment in an answer."""
    info: Json = ok(answer)["orderWithFulfillments"]["fulfillments"][-1].get("trackingInfo", {})
    return info


def test_every_switch_has_a_title() -> None:
    """Each switch names the page of Wix's reference that leaves it open."""
    assert all(": " in switch.metadata["title"] for switch in fields(Switches))


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("site", [409, 409, 409]),
        ("provider", [409, 409, 200]),
        ("order", [409, 200, 200]),
        ("off", [200, 200, 200]),
    ],
)
def test_duplicate_scope(wix: Wix, number: str, scope: str, statuses: list[int]) -> None:
    """A number is unique in the order, on the site by provider, on the whole site, or not at all."""
    wix.switch(duplicate_scope=scope)
    known, other, another = wix.orders(3, items=[{"quantity": 2}])
    ups = {"trackingNumber": number, "shippingProvider": "ups"}
    wix.created(known, lineItems=[{"id": LINE, "quantity": 1}], trackingInfo=ups)

    answers = [
        wix.create(known, trackingInfo=ups),
        wix.create(other, trackingInfo=ups),
        wix.create(another, trackingInfo=ups | {"shippingProvider": "dhl"}),
    ]

    assert [answer.status_code for answer in answers] == statuses


def test_duplicate_scope_inside_one_bulk_item(wix: Wix, number: str) -> None:
    """Two fulfillments of one bulk item may not share a number either."""
    drafts = [{"lineItems": [{"id": line}], "trackingInfo": {"trackingNumber": number}} for line in (LINE, LINE_2)]
    answers = {}
    for scope in ("site", "provider", "order", "off"):
        wix.switch(duplicate_scope=scope)
        order = wix.orders(1, items=2)[0]
        answers[scope] = ok(wix.bulk({"orderId": order, "fulfillments": drafts}))["bulkActionMetadata"][
            "totalSuccesses"
        ]

    assert answers == {"site": 0, "provider": 0, "order": 0, "off": 1}


@pytest.mark.parametrize("shown", [False, True])
def test_duplicate_data(wix: Wix, number: str, *, shown: bool) -> None:
    """The error names the other fulfillment, or nothing."""
    wix.switch(duplicate_data=shown)
    known, other = wix.orders(2)
    fulfillment = wix.created(known, trackingInfo={"trackingNumber": number})

    answer = wix.create(other, trackingInfo={"trackingNumber": number})

    named = {"orderId": known, "fulfillmentId": fulfillment, "trackingNumber": number}
    assert answer.json()["details"]["applicationError"]["data"] == (named if shown else {})


@pytest.mark.parametrize("status", [409, 400, 428])
def test_duplicate_update_status(wix: Wix, number: str, status: int) -> None:
    """A known number on update has the status that is set, and the published code."""
    wix.switch(duplicate_update_status=status)
    known, other = wix.orders(2)
    wix.created(known, trackingInfo={"trackingNumber": number})

    answer = wix.update(other, wix.created(other), trackingInfo={"trackingNumber": number})

    assert (answer.status_code, code_of(answer)) == (status, "TRACKING_NUMBER_ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("reported", "code"),
    [("code", "TRACKING_NUMBER_ALREADY_EXISTS"), ("generic", "ALREADY_EXISTS"), ("accepted", None)],
)
def test_bulk_duplicate(wix: Wix, number: str, reported: str, code: str | None) -> None:
    """A known number in a bulk item is reported with its code, with another, or not checked."""
    wix.switch(bulk_duplicate=reported)
    known, other = wix.orders(2)
    wix.created(known, trackingInfo={"trackingNumber": number})
    draft = PLAIN | {"trackingInfo": {"trackingNumber": number}}

    result = ok(wix.bulk({"orderId": other, "fulfillments": [draft]}))["results"][0]["itemMetadata"]

    assert result.get("error", {}).get("code") == code


@pytest.mark.parametrize(("threshold", "detailed"), [(100, 3), (1, 1), (0, 0)])
def test_bulk_detail_threshold(wix: Wix, threshold: int, detailed: int) -> None:
    """Failures past the threshold are counted and have no result."""
    wix.switch(bulk_detail_threshold=threshold)
    order = wix.order()
    items = [{"orderId": f"unknown-{index}", "fulfillments": [PLAIN]} for index in range(3)]

    answer = ok(wix.bulk(*items, {"orderId": order, "fulfillments": [PLAIN]}))

    indexes = [result["itemMetadata"]["originalIndex"] for result in answer["results"]]
    assert indexes == [*range(detailed), 3]
    assert answer["bulkActionMetadata"] == {
        "totalSuccesses": 1,
        "totalFailures": 3,
        "undetailedFailures": 3 - detailed,
    }


@pytest.mark.parametrize(("position", "left"), [("atomic", 0), ("partial", 2)])
def test_bulk_item(wix: Wix, position: str, left: int) -> None:
    """Several fulfillments of a failed item are all undone, or those that could be created stay."""
    wix.switch(bulk_item=position)
    order = wix.orders(1, items=2)[0]
    drafts = [PLAIN, PLAIN, {"lineItems": [{"id": LINE_2}]}]

    answer = ok(wix.bulk({"orderId": order, "fulfillments": drafts}))

    assert answer["results"][0]["itemMetadata"]["success"] is False
    assert len(wix.list(order)) == left


def test_bulk_malformed(wix: Wix) -> None:
    """A malformed item refuses the call, or fails alone."""
    order = wix.order()
    items = ("x", {"orderId": order, "fulfillments": [PLAIN]})
    assert violations(wix.bulk(*items)) == {"ordersWithFulfillments[0]": "FORMAT"}

    wix.switch(bulk_malformed="item")
    results = ok(wix.bulk(*items))["results"]

    assert [result["itemMetadata"]["success"] for result in results] == [False, True]
    assert results[0]["itemMetadata"]["error"]["code"] == "INVALID_ARGUMENT"


def test_bulk_same_order_twice(wix: Wix) -> None:
    """The same order in two items is taken, or refused."""
    item = {"orderId": wix.order(quantity=2), "fulfillments": [{"lineItems": [{"id": LINE, "quantity": 1}]}]}
    assert ok(wix.bulk(item, item))["bulkActionMetadata"]["totalSuccesses"] == 2

    wix.switch(bulk_same_order_twice="refused")

    assert violations(wix.bulk(item, item)) == {"ordersWithFulfillments": "CUSTOM"}


def test_custom_without_link(wix: Wix, number: str) -> None:
    """A custom provider without a link is refused, or taken without one."""
    order, info = wix.order(), {"trackingNumber": number, "shippingProvider": "Acme"}
    assert violations(wix.create(order, trackingInfo=info)) == {"fulfillment.trackingInfo.trackingLink": "CUSTOM"}
    assert wix.list(order) == []

    wix.switch(custom_without_link="accepted")

    assert tracking(wix.create(order, trackingInfo=info)) == info


def test_predefined_link(wix: Wix, number: str) -> None:
    """For a predefined provider Wix's link wins, or the caller's."""
    order, link = wix.order(), "https://www.ups.com/other"
    info = {"trackingNumber": number, "shippingProvider": "ups", "trackingLink": link}
    fulfillment = ok(wix.create(order, trackingInfo=info))["fulfillmentId"]
    assert wix.list(order)[0]["trackingInfo"]["trackingLink"] == UPS_LINK.format(number)

    wix.switch(predefined_link="caller")

    assert tracking(wix.update(order, fulfillment, trackingInfo={"trackingLink": link}))["trackingLink"] == link


def test_predefined_without_number(wix: Wix) -> None:
    """A predefined provider without a number has no link, whatever was sent, or is refused."""
    order, info = wix.order(quantity=2), {"shippingProvider": "ups", "trackingLink": "https://www.ups.com/other"}
    one = [{"id": LINE, "quantity": 1}]
    assert tracking(wix.create(order, lineItems=one, trackingInfo=info)) == {"shippingProvider": "ups"}

    wix.switch(predefined_without_number="refused")

    assert violations(wix.create(order, trackingInfo=info)) == {"fulfillment.trackingInfo.trackingNumber": "CUSTOM"}


def test_provider_case(wix: Wix, number: str) -> None:
    """A predefined id matches exactly, or whatever its case."""
    order, info = wix.order(), {"trackingNumber": number, "shippingProvider": "UPS"}
    assert violations(wix.create(order, trackingInfo=info)) == {"fulfillment.trackingInfo.trackingLink": "CUSTOM"}

    wix.switch(provider_case="insensitive")

    assert tracking(wix.create(order, trackingInfo=info)) == info | {"trackingLink": UPS_LINK.format(number)}


@pytest.mark.parametrize(("position", "written"), [("as_is", "{} /x"), ("encoded", "{}%20%2Fx")])
def test_link_number(wix: Wix, number: str, position: str, written: str) -> None:
    """The number goes into the link as it is, or encoded."""
    wix.switch(link_number=position)

    info = tracking(wix.create(wix.order(), trackingInfo={"trackingNumber": f"{number} /x", "shippingProvider": "ups"}))

    assert info["trackingLink"] == UPS_LINK.format(written.format(number))


@pytest.mark.parametrize(("position", "host"), [("samples", "wwwapps.ups.com"), ("current", "www.ups.com")])
def test_link_hosts(wix: Wix, number: str, position: str, host: str) -> None:
    """Links are those of Wix's samples, or those of the carriers' present pages."""
    wix.switch(link_hosts=position)

    info = tracking(wix.create(wix.order(), trackingInfo={"trackingNumber": number, "shippingProvider": "ups"}))

    assert info["trackingLink"].startswith(f"https://{host}/")
    assert number in info["trackingLink"]


def test_line_item_split(wix: Wix) -> None:
    """A line item may be in several fulfillments, or in one only."""
    order, one = wix.order(quantity=3), [{"id": LINE, "quantity": 1}]
    wix.created(order, lineItems=one)
    wix.created(order, lineItems=one)

    wix.switch(line_item_split="refused")

    assert wix.create(order, lineItems=one).status_code == 400
    assert len(wix.list(order)) == 2


@pytest.mark.parametrize("info", [{}, {"trackingNumber": None, "shippingProvider": None}])
def test_empty_tracking_info(wix: Wix, info: Json) -> None:
    """Tracking info that says nothing is refused, or taken."""
    order = wix.order()
    assert violations(wix.create(order, trackingInfo=info)) == {"fulfillment.trackingInfo": "CUSTOM"}

    wix.switch(empty_tracking_info="accepted")

    assert tracking(wix.create(order, trackingInfo=info)) == {}


def test_both_info_arms(wix: Wix, number: str) -> None:
    """Tracking info and custom info together are refused, or one of them wins."""
    order = wix.order(quantity=3)
    both: Json = {"trackingInfo": {"trackingNumber": number}, "customInfo": {"fieldsData": {"a": "b"}}}
    assert violations(wix.create(order, **both)) == {"fulfillment": "CUSTOM"}

    wix.switch(both_info_arms="tracking")
    fulfillment = wix.created(order, **both)
    with_tracking = wix.list(order)[0]
    wix.switch(both_info_arms="custom")
    ok(wix.update(order, fulfillment, **both))

    assert ("trackingInfo" in with_tracking, "customInfo" in with_tracking) == (True, False)
    assert ("trackingInfo" in wix.list(order)[0], "customInfo" in wix.list(order)[0]) == (False, True)


@pytest.mark.parametrize("status", [404, 400, 428])
def test_unknown_order_status(wix: Wix, status: int) -> None:
    """An unknown order has the status that is set, on reads and writes."""
    wix.switch(unknown_order_status=status)
    get_order = wix.http.get("/ecom/v1/orders/unknown")

    assert (wix.create("unknown").status_code, get_order.status_code) == (status, status)
    assert code_of(get_order) == "ORDER_NOT_FOUND"


@pytest.mark.parametrize(
    ("status", "code"), [(428, "FAILED_PRECONDITION"), (400, "INVALID_ARGUMENT"), (409, "ALREADY_EXISTS")]
)
def test_order_not_approved_status(wix: Wix, status: int, code: str) -> None:
    """An order that is not approved has the status that is set."""
    wix.switch(order_not_approved_status=status)

    answer = wix.create(wix.order(status="CANCELED"))

    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize("status", [400, 404, 428])
def test_unknown_line_item_status(wix: Wix, status: int) -> None:
    """An unknown line item has the status that is set."""
    wix.switch(unknown_line_item_status=status)

    assert wix.create(wix.order(), lineItems=[{"id": LINE_2}]).status_code == status


@pytest.mark.parametrize("status", [400, 409, 428])
def test_excess_quantity_status(wix: Wix, status: int) -> None:
    """More than what remains has the status that is set."""
    wix.switch(excess_quantity_status=status)

    assert wix.create(wix.order(), lineItems=[{"id": LINE, "quantity": 2}]).status_code == status


@pytest.mark.parametrize("status", [404, 400])
def test_unknown_fulfillment_status(wix: Wix, status: int) -> None:
    """An unknown fulfillment has the status that is set, on update and deletion."""
    wix.switch(unknown_fulfillment_status=status)
    order = wix.order()

    assert wix.update(order, GUID, status="Ready").status_code == status
    assert wix.delete(order, GUID).status_code == status


@pytest.mark.parametrize("status", [400, 428])
def test_missing_field_status(wix: Wix, status: int) -> None:
    """A required field that is missing has the status that is set; other violations stay 400."""
    wix.switch(missing_field_status=status)
    order = wix.order()

    assert wix.create(order, lineItems=[]).status_code == status
    assert wix.create(order, status="x").status_code == 400


def test_unpublished_code(wix: Wix) -> None:
    """A refusal without a published code has a standard one, or no application error at all."""
    assert code_of(wix.create("unknown")) == "NOT_FOUND"

    wix.switch(unpublished_code="absent")
    answer = wix.create("unknown")
    bulk = ok(wix.bulk({"orderId": "unknown", "fulfillments": [PLAIN]}))

    assert (answer.status_code, answer.json()["details"]) == (404, {})
    assert answer.json()["message"]
    assert bulk["results"][0]["itemMetadata"]["error"]["code"] == ""


def test_violated_rule(wix: Wix) -> None:
    """Only published values of violatedRule are sent, or the name of the rule."""
    order, info = wix.order(), {"trackingNumber": ""}
    field = "fulfillment.trackingInfo.trackingNumber"
    assert violations(wix.create(order, trackingInfo=info)) == {field: "CUSTOM"}

    wix.switch(violated_rule="detailed")

    assert violations(wix.create(order, trackingInfo=info)) == {field: "MIN_LENGTH"}


@pytest.mark.parametrize(("position", "status"), [("absent", None), ("Pending", "Pending")])
def test_default_status(wix: Wix, position: str, status: str | None) -> None:
    """A fulfillment made without a status has none, or is Pending."""
    wix.switch(default_status=position)
    order = wix.order()
    wix.created(order)

    assert wix.list(order)[0].get("status") == status


@pytest.mark.parametrize(
    ("position", "allowed"),
    [
        ("forward", [True, True, True, False]),
        ("stepwise", [True, False, True, False]),
        ("free", [True, True, True, True]),
    ],
)
def test_status_sequence(wix: Wix, position: str, allowed: list[bool]) -> None:
    """Status moves forward only, step by step, or freely; repeating it is always allowed."""
    wix.switch(status_sequence=position)
    moves = [("Pending", "Accepted"), ("Pending", "In_Delivery"), ("Ready", "Ready"), ("Ready", "Pending")]
    outcomes = []
    for before, after in moves:
        order = wix.order()
        fulfillment = wix.created(order, status=before)
        answer = wix.update(order, fulfillment, status=after)
        outcomes.append(answer.status_code == 200)
        assert wix.list(order)[0]["status"] == (after if answer.status_code == 200 else before)

    assert outcomes == allowed


@pytest.mark.parametrize(("position", "status"), [("none", "Ready"), ("status", "Fulfilled")])
def test_completed_effect(wix: Wix, position: str, status: str) -> None:
    """Completed has no effect, or makes the fulfillment Fulfilled."""
    wix.switch(completed_effect=position)
    order = wix.order()
    ok(wix.update(order, wix.created(order, status="Ready"), completed=True, status="Ready"))

    assert wix.list(order)[0]["status"] == status


def test_patch_line_items(wix: Wix) -> None:
    """Line items in an update are refused, or ignored."""
    order = wix.order(quantity=2)
    fulfillment = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])
    changes: Json = {"lineItems": [{"id": LINE, "quantity": 2}], "status": "Ready"}
    assert violations(wix.update(order, fulfillment, **changes)) == {"fulfillment.lineItems": "CUSTOM"}

    wix.switch(patch_line_items="ignored")
    ok(wix.update(order, fulfillment, **changes))

    assert wix.list(order)[0]["lineItems"] == [{"id": LINE, "quantity": 1}]
    assert wix.list(order)[0]["status"] == "Ready"


@pytest.mark.parametrize("position", ["regenerated", "cleared"])
def test_null_link(wix: Wix, number: str, position: str) -> None:
    """A cleared link of a predefined provider is built again, or gone."""
    wix.switch(null_link=position)
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo={"trackingNumber": number, "shippingProvider": "ups"})

    info = tracking(wix.update(order, fulfillment, trackingInfo={"trackingLink": None}))

    assert info.get("trackingLink") == (UPS_LINK.format(number) if position == "regenerated" else None)


def test_list_unknown_orders(wix: Wix) -> None:
    """Unknown orders are left out, listed empty, or refused."""
    order = wix.order()
    known = {"orderId": order, "fulfillments": []}
    assert ok(wix.list_by_ids([order, "unknown"])) == {"ordersWithFulfillments": [known]}

    wix.switch(list_unknown_orders="empty")
    empty = ok(wix.list_by_ids([order, "unknown"]))
    wix.switch(list_unknown_orders="refused")

    assert empty == {"ordersWithFulfillments": [known, {"orderId": "unknown", "fulfillments": []}]}
    assert wix.list_by_ids([order, "unknown"]).status_code == 404


def test_list_lag_seconds(wix: Wix) -> None:
    """Lists see a write at once, or late; the write itself answers the truth."""
    order = wix.order(quantity=2)
    first = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])
    at_once = [entry["id"] for entry in wix.list(order)]

    wix.switch(list_lag_seconds=60.0)
    answer = ok(wix.create(order))
    late = [entry["id"] for entry in wix.list(order)]
    wix.switch(list_lag_seconds=0.01)
    until(lambda: len(wix.list(order)) == 2)

    assert (at_once, late) == ([first], [first])
    assert len(answer["orderWithFulfillments"]["fulfillments"]) == 2


def test_search_lag_seconds(wix: Wix) -> None:
    """Searches see a new or changed order at once, or late; Get Order does at once."""
    old = wix.order()
    wix.switch(search_lag_seconds=60.0)
    new = wix.order()
    wix.control("PATCH", f"orders/{old}", {"archived": True})
    condition = {"id": {"$in": [old, new]}}
    late = ok(wix.search(filter=condition))["orders"]
    wix.switch(search_lag_seconds=0.01)
    until(lambda: len(ok(wix.search(filter=condition))["orders"]) == 2)
    wix.switch(search_lag_seconds=0.0)

    assert [(entry["id"], entry["archived"]) for entry in late] == [(old, False)]
    assert wix.get_order(old)["archived"] is True
    assert [entry["archived"] for entry in ok(wix.search(filter=condition))["orders"]] == [False, True]


@pytest.mark.parametrize(("position", "told"), [("status", [1, 0, 1]), ("always", [1, 1, 1]), ("never", [0, 0, 0])])
def test_order_updated_by_fulfillment(wix: Wix, position: str, told: list[int]) -> None:
    """A fulfillment touches its order when the order's status moves, always, or never."""
    wix.switch(order_updated_by_fulfillment=position)
    order = wix.order(quantity=2)

    def updates() -> int:
        log = wix.control("GET", "events").json()
        return sum(event["entityId"] == order and event["eventType"].endswith("order_updated") for event in log)

    seen = []
    fulfillment = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])
    seen.append(updates())
    ok(wix.update(order, fulfillment, status="Ready"))
    seen.append(updates() - sum(seen))
    ok(wix.create(order))
    seen.append(updates() - sum(seen))

    assert seen == told
    assert wix.get_order(order)["fulfillmentStatus"] == "FULFILLED"


def one_webhook(wix: Wix) -> tuple[Json, Json, str]:
    """Send one webhook and give its claims, its envelope and its content type."""
    with receiver() as inbox:
        wix.control("POST", "webhooks", {"url": inbox.url})
        wix.order(status="PENDING")
        until(lambda: len(inbox.bodies) == 1)
        claims = opened(inbox.bodies[0], wix.ready["public_key_file"])
        envelope = events_of(inbox, wix.ready)[0]
        wix.control("DELETE", "webhooks", {"url": inbox.url})
    return claims, envelope, inbox.content_types[0]


def test_webhook_content_type_lifetime_and_identity(wix: Wix) -> None:
    """The content type, the token's lifetime and the identity are as set."""
    before = one_webhook(wix)

    wix.switch(webhook_content_type="application/jwt", webhook_lifetime_seconds=-5, event_identity="absent")
    claims, envelope, content_type = one_webhook(wix)

    assert before[0]["exp"] - before[0]["iat"] == 300_000
    assert "identity" in before[1]
    assert before[2] == "text/plain"
    assert claims["exp"] - claims["iat"] == -5
    assert "identity" not in envelope
    assert content_type == "application/jwt"


@pytest.mark.parametrize(("position", "attempts"), [("200", 2), ("2xx", 1)])
def test_webhook_success(wix: Wix, position: str, attempts: int) -> None:
    """Only 200 is success, or every 2xx."""
    wix.switch(webhook_success=position)
    with receiver() as inbox:
        inbox.answers = [204]
        wix.control("POST", "webhooks", {"url": inbox.url})
        wix.order(status="PENDING")
        until(lambda: wix.control("GET", "events").json()[-1]["deliveries"][0]["delivered"])
        wix.control("DELETE", "webhooks", {"url": inbox.url})

    assert len(inbox.bodies) == attempts


@pytest.mark.parametrize("again", [False, True])
def test_webhook_signed_again(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a table's case
    """A retry carries the same token, or a fresh one with the same data."""
    clock = count(1_700_000_000, 60)
    real = time.time
    settings = SandboxSettings(rate_limit=0, time_scale=0.0, switches=Switches(webhook_signed_again=again))
    with receiver() as inbox, running(settings) as sandbox, Wix(sandbox) as wix:
        inbox.answers = [500]
        monkeypatch.setattr("parcelhook.sandbox.webhooks.time.time", lambda: next(clock))
        wix.control("POST", "webhooks", {"url": inbox.url})
        wix.order(status="PENDING")
        until(lambda: len(inbox.bodies) == 2)
        monkeypatch.setattr("parcelhook.sandbox.webhooks.time.time", real)
        first, second = (opened(token, wix.ready["public_key_file"]) for token in inbox.bodies)

    assert (first["iat"] != second["iat"]) is again
    assert first["data"] == second["data"]


def limited(wix: Wix, **switches: object) -> httpx.Response:
    """Call once over the limit."""
    wix.switch(**switches)
    wix.control("POST", "rate-limit", {"per_minute": 1})
    wix.search()
    answer = wix.search()
    wix.control("POST", "rate-limit", {"per_minute": 0})
    return answer


def test_rate_limit_body_and_retry_after(wix: Wix) -> None:
    """A 429 has an application error and no Retry-After, or no body to speak of and a Retry-After."""
    plain = limited(wix)
    other = limited(wix, rate_limit_body="empty", rate_limit_retry_after=True)

    assert (plain.status_code, code_of(plain), "retry-after" in plain.headers) == (429, "RESOURCE_EXHAUSTED", False)
    assert (other.status_code, other.json()) == (429, {"message": "", "details": {}})
    assert 1 <= int(other.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("position", "statuses"), [("own", [200, 200, 429]), ("shared", [200, 429, 429]), ("none", [200, 200, 200])]
)
def test_api_key_rate_limit(position: str, statuses: list[int]) -> None:
    """An API key has a limit of its own, shares the app's, or has none."""
    settings = SandboxSettings(rate_limit=1, switches=Switches(api_key_rate_limit=position))  # type: ignore[arg-type]
    with running(settings) as sandbox, Wix(sandbox) as wix:
        key = {"authorization": str(wix.ready["api_key"]), "wix-site-id": str(wix.ready["site_id"])}
        seen = [
            wix.http.post("/ecom/v1/orders/search", json={}, headers=headers).status_code for headers in ({}, key, key)
        ]

    assert seen == statuses


@pytest.mark.parametrize("status", [401, 400, 403])
def test_token_refusal_status_and_body(wix: Wix, status: int) -> None:
    """An unknown client has the status that is set, in the style of the IETF or of Wix."""
    wix.switch(token_refusal_status=status)
    ietf = wix.token(client_id="x")
    wix.switch(token_refusal_body="wix")
    bare = wix.token(client_id="x")

    assert (ietf.status_code, ietf.json()["error"]) == (status, "invalid_client")
    assert (bare.status_code, set(bare.json())) == (status, {"message", "details"})


def test_switches_can_be_set_from_the_start() -> None:
    """The settings' switches are in force when the sandbox starts."""
    with running(SandboxSettings(switches=Switches(default_status="Pending"))) as sandbox, Wix(sandbox) as wix:
        order = wix.order()
        wix.created(order, trackingInfo=ACME)
        status = wix.list(order)[0]["status"]

    assert status == "Pending"
