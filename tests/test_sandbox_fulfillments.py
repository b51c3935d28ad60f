"""The sandbox's six endpoints of Order Fulfillments keep to the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelhook.sandbox import Running, SandboxSettings, running
from sandbox_client import FULFILLMENTS, GUID, LINE, LINE_2, Json, Wix, code_of, ok, violations

LINKS = {
    "fedex": "https://www.fedex.com/apps/fedextrack/?action=track&trackingnumber={}",
    "ups": "https://wwwapps.ups.com/WebTracking/track?track=yes&trackNums={}",
    "usps": "https://tools.usps.com/go/TrackConfirmAction.action?tLabels={}",
    "dhl": "https://www.logistics.dhl/global-en/home/tracking.html?tracking-id={}",
    "canadaPost": "https://www.canadapost.ca/cpotools/apps/track/personal/findByTrackNumber?trackingNumber={}",
}
CUSTOM = {"trackingNumber": "C-1", "shippingProvider": "Acme", "trackingLink": "https://acme.example/C-1"}


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


def test_create_answers_all_fulfillments_and_the_new_id(wix: Wix) -> None:
    """A creation answers every fulfillment of the order and the id of the new one."""
    order = wix.order(quantity=2)
    first = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])

    answer = ok(wix.create(order, lineItems=[{"id": LINE, "quantity": 1}], status="In_Delivery"))

    listed = answer["orderWithFulfillments"]["fulfillments"]
    assert answer["orderWithFulfillments"]["orderId"] == order
    assert [entry["id"] for entry in listed] == [first, answer["fulfillmentId"]]
    assert listed[1]["status"] == "In_Delivery"
    assert listed[1]["createdDate"].endswith("Z")
    assert wix.list(order) == listed


@pytest.mark.parametrize("provider", LINKS)
def test_create_builds_the_links_of_predefined_providers(wix: Wix, provider: str) -> None:
    """Wix builds the link of a predefined provider, with the number unchanged in it."""
    number = f"1234-{provider}"

    answer = ok(wix.create(wix.order(), trackingInfo={"trackingNumber": number, "shippingProvider": provider}))

    tracking = answer["orderWithFulfillments"]["fulfillments"][0]["trackingInfo"]
    assert tracking["trackingLink"] == LINKS[provider].format(number)


def test_create_echoes_a_custom_provider(wix: Wix) -> None:
    """A custom provider's name, number and link come back as they were sent."""
    order = wix.order()
    wix.created(order, trackingInfo=CUSTOM)

    assert wix.list(order)[0]["trackingInfo"] == CUSTOM


def test_create_takes_what_the_sdk_repeats(wix: Wix) -> None:
    """The order id repeated in the body and in the query changes nothing."""
    order = wix.order()
    url = f"{FULFILLMENTS}/orders/{order}/create-fulfillment?orderId={order}"

    body = {"orderId": order, "fulfillment": {"lineItems": [{"id": LINE}]}}

    assert ok(wix.http.post(url, json=body))["orderWithFulfillments"]["orderId"] == order


def test_omitted_quantity_is_what_remains(wix: Wix) -> None:
    """A creation without a quantity takes what is not yet in a fulfillment."""
    order = wix.order(quantity=5)
    wix.created(order, lineItems=[{"id": LINE, "quantity": 2}])
    wix.created(order)

    assert [entry["lineItems"][0]["quantity"] for entry in wix.list(order)] == [2, 3]


@pytest.mark.parametrize("quantity", [None, 1])
def test_nothing_left_is_refused(wix: Wix, quantity: int | None) -> None:
    """A line item that is in fulfillments with all its quantity cannot be fulfilled again."""
    order = wix.order()
    wix.created(order)

    answer = wix.create(order, lineItems=[{"id": LINE, "quantity": quantity}])

    assert answer.status_code == 400
    assert code_of(answer) == "INVALID_ARGUMENT"
    assert len(wix.list(order)) == 1


def test_the_same_line_twice_in_one_creation_counts_twice(wix: Wix) -> None:
    """A line item named twice in one creation may not exceed the order together."""
    order = wix.order(quantity=3)

    answer = wix.create(order, lineItems=[{"id": LINE, "quantity": 2}, {"id": LINE, "quantity": 2}])

    assert answer.status_code == 400
    assert wix.list(order) == []


def test_fulfillment_status_follows_the_quantities(wix: Wix) -> None:
    """The order's fulfillmentStatus is derived from the summed quantities, and the status field does not move it."""
    order = wix.order(quantity=2)
    seen = [wix.get_order(order)["fulfillmentStatus"]]
    first = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}], status="Fulfilled")
    seen.append(wix.get_order(order)["fulfillmentStatus"])
    second = wix.created(order)
    seen.append(wix.get_order(order)["fulfillmentStatus"])
    for fulfillment in (first, second):
        ok(wix.delete(order, fulfillment))
        seen.append(wix.get_order(order)["fulfillmentStatus"])

    assert seen == ["NOT_FULFILLED", "PARTIALLY_FULFILLED", "FULFILLED", "PARTIALLY_FULFILLED", "NOT_FULFILLED"]


def test_an_order_without_shipping_info_is_fulfilled(wix: Wix) -> None:
    """An order without shipping info is FULFILLED from the start and stays so."""
    order = wix.order(shippingInfo=None)
    before = wix.get_order(order)
    wix.delete(order, wix.created(order, status="Pending"))

    assert "shippingInfo" not in before
    assert before["fulfillmentStatus"] == "FULFILLED"
    assert wix.get_order(order)["fulfillmentStatus"] == "FULFILLED"


LONG = "x" * 101
BROKEN: list[tuple[Json, str, str]] = [
    ({"lineItems": None}, "fulfillment.lineItems", "CUSTOM"),
    ({"lineItems": []}, "fulfillment.lineItems", "CUSTOM"),
    ({"lineItems": {}}, "fulfillment.lineItems", "FORMAT"),
    ({"lineItems": [{"id": LINE}] * 301}, "fulfillment.lineItems", "MAX"),
    ({"lineItems": ["x"]}, "fulfillment.lineItems[0]", "FORMAT"),
    ({"lineItems": [{}]}, "fulfillment.lineItems[0].id", "CUSTOM"),
    ({"lineItems": [{"id": "1"}]}, "fulfillment.lineItems[0].id", "FORMAT"),
    ({"lineItems": [{"id": LINE, "quantity": 0}]}, "fulfillment.lineItems[0].quantity", "CUSTOM"),
    ({"lineItems": [{"id": LINE, "quantity": 100_001}]}, "fulfillment.lineItems[0].quantity", "MAX"),
    ({"lineItems": [{"id": LINE, "quantity": "1"}]}, "fulfillment.lineItems[0].quantity", "FORMAT"),
    ({"lineItems": [{"id": LINE, "quantity": True}]}, "fulfillment.lineItems[0].quantity", "FORMAT"),
    ({"status": "FULFILLED"}, "fulfillment.status", "FORMAT"),
    ({"status": "in_delivery"}, "fulfillment.status", "FORMAT"),
    ({"status": ""}, "fulfillment.status", "CUSTOM"),
    ({"completed": "yes"}, "fulfillment.completed", "FORMAT"),
    ({"trackingInfo": "x"}, "fulfillment.trackingInfo", "FORMAT"),
    ({"trackingInfo": {"trackingNumber": ""}}, "fulfillment.trackingInfo.trackingNumber", "CUSTOM"),
    ({"trackingInfo": {"trackingNumber": LONG}}, "fulfillment.trackingInfo.trackingNumber", "MAX"),
    ({"trackingInfo": {"trackingNumber": 1}}, "fulfillment.trackingInfo.trackingNumber", "FORMAT"),
    ({"trackingInfo": {"shippingProvider": ""}}, "fulfillment.trackingInfo.shippingProvider", "CUSTOM"),
    ({"trackingInfo": {"shippingProvider": LONG}}, "fulfillment.trackingInfo.shippingProvider", "MAX"),
    ({"trackingInfo": {"trackingLink": ""}}, "fulfillment.trackingInfo.trackingLink", "CUSTOM"),
    ({"trackingInfo": CUSTOM | {"trackingLink": "acme"}}, "fulfillment.trackingInfo.trackingLink", "FORMAT"),
    (
        {"trackingInfo": CUSTOM | {"trackingLink": f"https://a.example/{'x' * 2048}"}},
        "fulfillment.trackingInfo.trackingLink",
        "MAX",
    ),
    ({"customInfo": {"fieldsData": {"a": 1}}}, "fulfillment.customInfo.fieldsData", "FORMAT"),
    (
        {"customInfo": {"fieldsData": {str(key): "" for key in range(101)}}},
        "fulfillment.customInfo.fieldsData",
        "MAX",
    ),
]


@pytest.mark.parametrize(("fulfillment", "field", "rule"), BROKEN)
def test_create_refuses_what_breaks_the_schema(wix: Wix, fulfillment: Json, field: str, rule: str) -> None:
    """Each limit of the schema is checked, answered with its field and rule, and nothing is written."""
    order = wix.order()

    answer = wix.create(order, **fulfillment)

    assert violations(answer) == {field: rule}
    assert wix.list(order) == []


@pytest.mark.parametrize(
    "fulfillment",
    [
        {"lineItems": [{"id": LINE}] * 2},
        {"trackingInfo": None, "status": None, "completed": None, "customInfo": None},
        {"trackingInfo": {"trackingNumber": "x" * 100, "trackingLink": None}},
        {"trackingInfo": {"trackingNumber": "n-http", "trackingLink": "http://127.0.0.1:8000/track/1?t=a%20b#c"}},
        {"trackingInfo": {"shippingProvider": "x" * 100, "trackingLink": f"https://a.example/{'x' * 2030}"}},
        {"customInfo": {"fieldsData": {str(key): "" for key in range(100)}}},
        {"completed": False},
    ],
)
def test_create_takes_what_just_fits(wix: Wix, fulfillment: Json) -> None:
    """What reaches a limit and does not cross it is taken, and null counts as absent."""
    order = wix.order()
    if len(fulfillment.get("lineItems", [])) == 2:
        order = wix.orders(1, items=[{"quantity": 1}, {"quantity": 1}])[0]
        fulfillment = {"lineItems": [{"id": LINE}, {"id": LINE_2}]}

    assert ok(wix.create(order, **fulfillment))["fulfillmentId"]
    assert None not in wix.list(order)[0].values()


@pytest.mark.parametrize(
    "link",
    [
        "https://",
        "ftp://acme.example/1",
        "javascript:alert(1)",
        "https://acme.example/a b",
        "https://acme.example/\n",
        "https://user@acme.example/",
        "https://-acme.example/",
        "https://acme..example/",
        "https://acme.example:port/",
        "https://[::1",
        "//acme.example/1",
    ],
)
def test_create_refuses_what_is_no_web_url(wix: Wix, link: str) -> None:
    """A trackingLink must be an http or https URL with a host."""
    answer = wix.create(wix.order(), trackingInfo=CUSTOM | {"trackingLink": link})

    assert violations(answer) == {"fulfillment.trackingInfo.trackingLink": "FORMAT"}


def test_all_violations_are_told_together(wix: Wix) -> None:
    """One answer names every field that breaks a rule."""
    answer = wix.create(wix.order(), lineItems=[], status="x", trackingInfo={"trackingNumber": ""})

    assert set(violations(answer)) == {
        "fulfillment.lineItems",
        "fulfillment.status",
        "fulfillment.trackingInfo.trackingNumber",
    }


def test_a_missing_fulfillment_is_a_missing_field(wix: Wix) -> None:
    """Create and update need their fulfillment; the rule that is violated is named."""
    order = wix.order()
    path = f"{FULFILLMENTS}/orders/{order}/create-fulfillment"

    answer = wix.http.post(path, json={})

    violation = answer.json()["details"]["validationError"]["fieldViolations"][0]
    assert violation["field"] == "fulfillment"
    assert violation["ruleName"] == "REQUIRED"
    assert violations(wix.http.patch(f"{FULFILLMENTS}/{GUID}/orders/{order}", json={})) == {"fulfillment": "CUSTOM"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(wix: Wix, body: bytes) -> None:
    """What cannot be read is a 400, however it is broken."""
    answer = wix.http.post(f"{FULFILLMENTS}/orders/{wix.order()}/create-fulfillment", content=body)

    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("status", ["INITIALIZED", "PENDING", "REJECTED", "CANCELED"])
def test_only_an_approved_order_can_be_fulfilled(wix: Wix, status: str) -> None:
    """An order of any other status is a precondition that is missing."""
    order = wix.order(status=status)

    answer = wix.create(order)

    assert answer.status_code == 428
    assert code_of(answer) == "FAILED_PRECONDITION"
    assert wix.list(order) == []


def test_unpaid_orders_can_be_fulfilled(wix: Wix) -> None:
    """Payment is not required by the API."""
    assert ok(wix.create(wix.order(paymentStatus="NOT_PAID")))["fulfillmentId"]


def test_unknown_orders_items_and_fulfillments_are_refused(wix: Wix) -> None:
    """What the store does not know is refused with a standard code."""
    order = wix.order()
    answers = [
        wix.create("unknown"),
        wix.http.get(f"{FULFILLMENTS}/orders/unknown"),
        wix.update("unknown", GUID, status="Ready"),
        wix.update(order, GUID, status="Ready"),
        wix.delete("unknown", GUID),
        wix.delete(order, GUID),
        wix.create(order, lineItems=[{"id": LINE_2}]),
    ]

    assert [answer.status_code for answer in answers] == [404] * 6 + [400]
    assert {code_of(answer) for answer in answers[:6]} == {"NOT_FOUND"}


def test_path_ids_are_checked(wix: Wix) -> None:
    """An order id has at most 100 characters and a fulfillment id is a GUID."""
    assert violations(wix.create("x" * 101)) == {"orderId": "MAX"}
    assert violations(wix.http.get(f"{FULFILLMENTS}/orders/{'x' * 101}")) == {"orderId": "MAX"}
    assert violations(wix.delete(wix.order(), "x")) == {"fulfillment.id": "FORMAT"}


def test_a_known_number_is_refused(wix: Wix) -> None:
    """A tracking number that is on a fulfillment is a 409 with Wix's published code, and nothing is written."""
    order = wix.order(quantity=2)
    tracking = {"trackingNumber": "DUP-1", "shippingProvider": "ups"}
    wix.created(order, lineItems=[{"id": LINE, "quantity": 1}], trackingInfo=tracking)

    answer = wix.create(order, trackingInfo=tracking)

    assert answer.status_code == 409
    assert code_of(answer) == "TRACKING_NUMBER_ALREADY_EXISTS"
    assert len(wix.list(order)) == 1


def test_a_number_is_free_again_after_its_fulfillment_is_gone(wix: Wix) -> None:
    """Deleting a fulfillment, or giving it another number, frees the number."""
    one, other = wix.orders(2)
    fulfillment = wix.created(one, trackingInfo={"trackingNumber": "FREE-1"})
    ok(wix.update(one, fulfillment, trackingInfo={"trackingNumber": "FREE-2"}))
    moved = wix.created(other, trackingInfo={"trackingNumber": "FREE-1"})
    ok(wix.delete(other, moved))

    assert ok(wix.create(other, trackingInfo={"trackingNumber": "FREE-1"}))["fulfillmentId"] != moved


def test_update_merges_inside_tracking_info(wix: Wix) -> None:
    """A new number alone keeps the provider, and Wix builds the link again."""
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo={"trackingNumber": "M-1", "shippingProvider": "usps"}, status="Ready")

    answer = ok(wix.update(order, fulfillment, trackingInfo={"trackingNumber": "M-2"}))

    changed = answer["orderWithFulfillments"]["fulfillments"][0]
    assert changed["trackingInfo"] == {
        "trackingNumber": "M-2",
        "shippingProvider": "usps",
        "trackingLink": LINKS["usps"].format("M-2"),
    }
    assert changed["status"] == "Ready"


def test_update_of_the_status_alone_leaves_the_rest(wix: Wix) -> None:
    """An update with the status field alone changes nothing else, and the repeated ids are taken."""
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo=CUSTOM | {"trackingNumber": "S-1"})
    before = wix.list(order)[0]
    body = {"fulfillment": {"status": "Fulfilled", "id": fulfillment}, "orderId": order}

    answer = ok(wix.http.patch(f"{FULFILLMENTS}/{fulfillment}/orders/{order}", json=body))

    assert answer["orderWithFulfillments"]["fulfillments"] == [before | {"status": "Fulfilled"}]
    assert wix.get_order(order)["fulfillmentStatus"] == "FULFILLED"


def test_update_answers_all_fulfillments(wix: Wix) -> None:
    """An update and a deletion answer everything that the order has."""
    order = wix.order(quantity=2)
    first = wix.created(order, lineItems=[{"id": LINE, "quantity": 1}])
    second = wix.created(order)

    updated = ok(wix.update(order, first, status="Ready"))["orderWithFulfillments"]
    left = ok(wix.delete(order, first))["orderWithFulfillments"]
    empty = ok(wix.delete(order, second))["orderWithFulfillments"]

    assert [entry["id"] for entry in updated["fulfillments"]] == [first, second]
    assert [entry["id"] for entry in left["fulfillments"]] == [second]
    assert empty == {"orderId": order, "fulfillments": []}


def test_update_clears_with_null(wix: Wix) -> None:
    """Null clears a field, a member of trackingInfo, or all of it."""
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo=CUSTOM | {"trackingNumber": "N-1"}, status="Ready", completed=True)

    ok(wix.update(order, fulfillment, status=None, completed=None, trackingInfo={"trackingNumber": None}))
    without_number = wix.list(order)[0]
    ok(wix.update(order, fulfillment, trackingInfo=None))

    assert "status" not in without_number
    assert "completed" not in without_number
    assert "trackingNumber" not in without_number["trackingInfo"]
    assert "trackingInfo" not in wix.list(order)[0]


def test_update_changes_the_arm_of_the_oneof(wix: Wix) -> None:
    """Custom info takes the place of tracking info, and the other way round."""
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo={"trackingNumber": "ARM-1"})

    ok(wix.update(order, fulfillment, customInfo={"fieldsData": {"id": "7"}}))
    custom = wix.list(order)[0]
    ok(wix.update(order, fulfillment, trackingInfo={"trackingNumber": "ARM-2"}))

    assert custom["customInfo"] == {"fieldsData": {"id": "7"}}
    assert "trackingInfo" not in custom
    assert "customInfo" not in wix.list(order)[0]


def test_a_link_wix_built_does_not_outlive_its_provider(wix: Wix) -> None:
    """Changing to a custom provider needs a link: the one Wix built belonged to the other."""
    order = wix.order()
    fulfillment = wix.created(order, trackingInfo={"trackingNumber": "P-1", "shippingProvider": "dhl"})

    refused = wix.update(order, fulfillment, trackingInfo={"shippingProvider": "Acme"})
    link = "https://acme.example/P-1"
    ok(wix.update(order, fulfillment, trackingInfo={"shippingProvider": "Acme", "trackingLink": link}))

    assert violations(refused) == {"fulfillment.trackingInfo.trackingLink": "CUSTOM"}
    assert wix.list(order)[0]["trackingInfo"]["trackingLink"] == link


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "fulfilled"},
        {"trackingInfo": {"trackingNumber": ""}},
        {"trackingInfo": {"trackingLink": "x"}},
        {"lineItems": [{"id": LINE}]},
        {"completed": 1},
    ],
)
def test_a_refused_update_changes_nothing(wix: Wix, changes: Json) -> None:
    """An update that breaks the schema leaves the fulfillment as it was."""
    order = wix.order()
    fulfillment = wix.created(order, status="Ready")
    before = wix.list(order)

    assert violations(wix.update(order, fulfillment, **changes))
    assert wix.list(order) == before


def test_update_to_a_known_number_is_refused(wix: Wix) -> None:
    """Another fulfillment's number is refused on update too; the own one is not."""
    one, other = wix.orders(2)
    wix.created(one, trackingInfo={"trackingNumber": "U-1"})
    fulfillment = wix.created(other, trackingInfo={"trackingNumber": "U-2"})

    refused = wix.update(other, fulfillment, trackingInfo={"trackingNumber": "U-1"})

    assert refused.status_code == 409
    assert code_of(refused) == "TRACKING_NUMBER_ALREADY_EXISTS"
    assert ok(wix.update(other, fulfillment, trackingInfo={"trackingNumber": "U-2"}))
    assert wix.list(other)[0]["trackingInfo"] == {"trackingNumber": "U-2"}


def test_list_by_ids(wix: Wix) -> None:
    """Several orders are listed at once, those without fulfillments with an empty list."""
    one, other = wix.orders(2)
    fulfillment = wix.created(one)

    listed = ok(wix.list_by_ids([one, other]))["ordersWithFulfillments"]

    assert [entry["orderId"] for entry in listed] == [one, other]
    assert [[part["id"] for part in entry["fulfillments"]] for entry in listed] == [[fulfillment], []]


@pytest.mark.parametrize(("ids", "rule"), [([], "CUSTOM"), (None, "CUSTOM"), (["x"] * 101, "MAX"), ("x", "FORMAT")])
def test_list_by_ids_takes_1_to_100(wix: Wix, ids: object, rule: str) -> None:
    """The ids are an array of 1 to 100."""
    assert violations(wix.list_by_ids(ids)) == {"orderIds": rule}


def test_list_by_ids_checks_each_id(wix: Wix) -> None:
    """An id is a string of 1 to 100 characters; a hundred ids are not too many."""
    assert violations(wix.list_by_ids(["x", "", 5])) == {"orderIds[1]": "CUSTOM", "orderIds[2]": "FORMAT"}
    assert ok(wix.list_by_ids(["x"] * 100)) == {"ordersWithFulfillments": []}


def test_every_answer_has_a_request_id(wix: Wix) -> None:
    """Successes, refusals and unknown paths all carry their own x-wix-request-id, and every body is JSON."""
    order = wix.order()
    answers = [
        wix.create(order),
        wix.create(order),
        wix.create("unknown"),
        wix.http.get("/ecom/v1/nowhere"),
        wix.http.put(f"/ecom/v1/orders/{order}"),
        wix.token(),
        wix.http.get(f"/ecom/v1/orders/{order}", headers={"authorization": ""}),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 404, 404, 405, 200, 401]
    assert len({answer.headers["x-wix-request-id"] for answer in answers}) == len(answers)
    assert all(answer.json() for answer in answers)


@settings(max_examples=15, deadline=None)
@given(ordered=st.integers(1, 6), wanted=st.lists(st.one_of(st.none(), st.integers(1, 6)), max_size=5))
def test_never_more_than_ordered(sandbox: Running, ordered: int, wanted: list[int | None]) -> None:
    """Whatever is asked for, the fulfillments never hold more than was ordered, and the status says how much."""
    with Wix(sandbox) as wix:
        order = wix.order(quantity=ordered)
        for quantity in wanted:
            wix.create(order, lineItems=[{"id": LINE, "quantity": quantity}])
        total = sum(entry["lineItems"][0]["quantity"] for entry in wix.list(order))
        status = wix.get_order(order)["fulfillmentStatus"]

    assert total <= ordered
    assert status == ("NOT_FULFILLED" if total == 0 else "FULFILLED" if total == ordered else "PARTIALLY_FULFILLED")
