"""Wix's answers are read leniently where it leaves things out, and strictly where a doubt could ship a parcel twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from parcelhook.models import Consignee, ShipmentItem
from parcelhook.wix import BulkResult, Fulfillment, NewFulfillment, OrderFulfillments, WixOrder

IDS = ("order-0", "order-1", "order-2")

ORDER: JsonValue = {
    "id": "11111111-1111-4111-8111-111111111111",
    "number": "10108",
    "status": "APPROVED",
    "paymentStatus": "PAID",
    "fulfillmentStatus": "NOT_FULFILLED",
    "createdDate": "2025-01-02T03:04:05.678Z",
    "updatedDate": "2025-01-02T05:04:05.678901+02:00",
    "currency": "CAD",
    "weightUnit": "KG",
    "archived": False,
    "imported": True,
    "cartId": "unknown to the contract",
    "channelInfo": {"type": "WEB", "externalOrderId": "ext-1"},
    "lineItems": [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "productName": {"original": "Lamp", "translated": "Lampe"},
            "quantity": 3,
            "itemType": {"preset": "PHYSICAL"},
            "physicalProperties": {"sku": "L-1", "weight": 1.5, "shippable": True},
            "fulfillerId": "99999999-9999-4999-8999-999999999999",
            "refundQuantity": 1,
            "restockQuantity": 0,
        },
        {"id": "00000000-0000-0000-0000-000000000002", "fulfillerId": None, "itemType": {"preset": "NEWER"}},
    ],
    "shippingInfo": {
        "carrierId": "c",
        "code": "express",
        "title": "Express",
        "logistics": {
            "shippingDestination": {
                "address": {
                    "addressLine": "1 Example Street",
                    "city": "Ottawa",
                    "subdivision": "CA-ON",
                    "country": "CA",
                    "postalCode": "K1A 0B1",
                },
                "contactDetails": {"firstName": "Pat", "lastName": "Example", "phone": "+1 555 0100"},
            }
        },
    },
    "recipientInfo": {"address": {"addressLine1": "2 Example Street"}, "contactDetails": {"company": "Example Ltd"}},
}


def test_order_gives_what_an_integration_needs() -> None:
    """Every field is found under its own name, times are in UTC, and unknown keys do not disturb."""
    order = WixOrder.model_validate(ORDER)

    assert (order.number, order.status, order.payment_status) == ("10108", "APPROVED", "PAID")
    assert (order.fulfillment_status, order.currency, order.weight_unit) == ("NOT_FULFILLED", "CAD", "KG")
    assert (order.archived, order.imported, order.channel_info.type) == (False, True, "WEB")
    assert order.created_date == datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert order.updated_date == datetime(2025, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    assert order.updated_date.tzinfo is UTC
    lamp, other = order.line_items
    assert (lamp.name, lamp.quantity, lamp.preset, lamp.sku, lamp.weight) == ("Lamp", 3, "PHYSICAL", "L-1", 1.5)
    assert (lamp.shippable, lamp.refund_quantity, lamp.restock_quantity) == (True, 1, 0)
    assert lamp.fulfiller_id == "99999999-9999-4999-8999-999999999999"
    assert (other.fulfiller_id, other.preset, other.shippable) == (None, "NEWER", None)


def test_consignee_is_the_shipping_destination() -> None:
    """A parcel goes where the shipping info says."""
    assert WixOrder.model_validate(ORDER).consignee == Consignee(
        name="Pat Example",
        address_line="1 Example Street",
        city="Ottawa",
        subdivision="CA-ON",
        postal_code="K1A 0B1",
        country="CA",
        phone="+1 555 0100",
    )


def test_pickup_is_recognised_and_its_place_is_not_the_consignee() -> None:
    """For a pickup the destination is the store's own address, so the recipient counts."""
    assert isinstance(ORDER, dict)
    logistics: JsonValue = {
        "shippingDestination": {"address": {"addressLine": "3 Shop Street"}},
        "pickupDetails": {"pickupMethod": "STORE_PICKUP"},
    }
    order = WixOrder.model_validate({**ORDER, "shippingInfo": {"title": "Pickup", "logistics": logistics}})

    assert order.shipping_info is not None
    assert order.shipping_info.is_pickup
    assert (order.consignee.company, order.consignee.address_line) == ("Example Ltd", "2 Example Street")


def test_street_in_parts_is_joined() -> None:
    """Some countries' addresses come as a street name and a number."""
    address = {"address": {"streetAddress": {"name": "Example Street", "number": "7"}}}

    assert WixOrder.model_validate({"id": "o", "recipientInfo": address}).consignee.address_line == "Example Street 7"


def test_repr_of_an_order_holds_no_personal_data() -> None:
    """What ends in a log by accident names nobody."""
    shown = repr(WixOrder.model_validate(ORDER))

    assert not any(private in shown for private in ("Pat", "Example Street", "555", "K1A"))


@pytest.mark.parametrize("empty", [{}, None])
def test_order_may_lack_everything_but_its_id(empty: JsonValue) -> None:
    """Absent and null are the same."""
    assert isinstance(ORDER, dict)
    sparse = WixOrder.model_validate(
        {"id": "o"} if empty == {} else {name: None for name in ORDER if name != "id"} | {"id": "o"}
    )

    assert sparse.line_items == ()
    assert sparse.shipping_info is None
    assert sparse.consignee == Consignee()
    assert sparse.created_date is None


def test_order_without_an_id_is_none() -> None:
    """An order that cannot be named cannot be fulfilled."""
    with pytest.raises(ValidationError):
        WixOrder.model_validate({"number": "1"})


def test_fulfillment_is_read_as_wix_sends_it() -> None:
    """Number, provider and link come out of trackingInfo, and status may be absent."""
    order = OrderFulfillments.model_validate(
        {
            "orderId": "o",
            "fulfillments": [
                {
                    "id": "f1",
                    "createdDate": "2025-01-02T03:04:05.678Z",
                    "lineItems": [{"id": "l", "quantity": 2}],
                    "trackingInfo": {"trackingNumber": "N", "shippingProvider": "ups", "trackingLink": "https://u"},
                    "status": "In_Delivery",
                    "completed": False,
                },
                {"id": "f2", "trackingInfo": None, "customInfo": {"fieldsData": {"a": "b"}}},
            ],
        }
    )

    first, second = order.fulfillments
    assert first.tracking_info is not None
    assert (first.tracking_number, first.tracking_info.provider, first.tracking_info.link) == ("N", "ups", "https://u")
    assert (first.status, first.completed, first.line_items[0].quantity) == ("In_Delivery", False, 2)
    assert (second.tracking_number, second.status, second.completed, second.line_items) == (None, None, None, ())


def result(index: JsonValue, *, success: JsonValue = True, **more: JsonValue) -> dict[str, JsonValue]:
    """Give one result of a bulk call, as Wix nests it."""
    order: dict[str, JsonValue] = {"orderId": f"order-{index}", "fulfillments": [{"id": f"f-{index}"}]}
    metadata: dict[str, JsonValue] = {"id": f"order-{index}", "originalIndex": index, "success": success, **more}
    return {"itemMetadata": metadata, **({"ordersWithFulfillments": order} if success is True else {})}


def test_bulk_result_is_read_by_original_index() -> None:
    """Results may come in any order; a failure keeps its code and words."""
    failure = result(
        0, success=False, error={"code": "TRACKING_NUMBER_ALREADY_EXISTS", "description": "known", "data": {}}
    )
    metadata: dict[str, JsonValue] = {"totalSuccesses": 1, "totalFailures": 1, "undetailedFailures": 0}

    read = BulkResult.read([result(2), failure], metadata, order_ids=IDS)

    failed, created = read.items
    assert (failed.original_index, failed.order_id, failed.success) == (0, "order-0", False)
    assert (failed.code, failed.description) == ("TRACKING_NUMBER_ALREADY_EXISTS", "known")
    assert (created.original_index, created.order_id, created.success) == (2, "order-2", True)
    assert created.fulfillments == OrderFulfillments(order_id="order-2", fulfillments=(Fulfillment(id="f-2"),))
    assert read.missing == (1,)
    assert (read.total_successes, read.total_failures, read.undetailed_failures) == (1, 1, 0)


@pytest.mark.parametrize(
    "doubtful",
    [
        [],
        [result(3)],
        [result(-1)],
        [result(None)],
        [result("one")],
        [result(1, success=None)],
        [result(1, id="order-2")],
        [result(1), result(1, success=False)],
        [{}],
        [None],
        ["order-1"],
        [{"itemMetadata": {"originalIndex": 1, "success": True}, "ordersWithFulfillments": {"orderId": "order-2"}}],
    ],
)
def test_doubtful_result_is_missing(doubtful: list[JsonValue]) -> None:
    """What does not say beyond doubt which order it is about, and what became of it, decides nothing."""
    read = BulkResult.read([result(0), *doubtful, result(2)], {}, order_ids=IDS)

    assert [item.original_index for item in read.items] == [0, 2]
    assert read.missing == (1,)


def test_same_order_may_stand_in_a_bulk_call_twice() -> None:
    """The index tells the two apart, not the id."""
    twice: list[JsonValue] = [
        {"itemMetadata": {"id": "order-0", "originalIndex": 1, "success": False}},
        {"itemMetadata": {"id": "order-0", "originalIndex": 0, "success": True}},
    ]

    read = BulkResult.read(twice, {"undetailedFailures": 1}, order_ids=("order-0", "order-0"))

    assert [item.success for item in read.items] == [True, False]
    assert read.undetailed_failures == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["itemMetadata", "originalIndex", "success", "id", "ordersWithFulfillments", "error"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(results=st.lists(JSON, max_size=6), metadata=st.dictionaries(st.text(max_size=5), JSON, max_size=3))
def test_every_order_of_a_bulk_call_is_either_told_or_missing(
    results: list[JsonValue], metadata: dict[str, JsonValue]
) -> None:
    """No answer, however odd, loses an index or decides one twice."""
    read = BulkResult.read(results, metadata, order_ids=IDS)

    assert sorted([*(item.original_index for item in read.items), *read.missing]) == [0, 1, 2]


@given(
    quantities=st.lists(st.integers(1, 100_000), min_size=1, max_size=5),
    number=st.text(min_size=1, max_size=100) | st.none(),
    provider=st.sampled_from(["fedex", "ups", "usps", "dhl", "canadaPost", "Acme"]),
)
def test_every_new_fulfillment_tells_its_quantities(quantities: list[int], number: str | None, provider: str) -> None:
    """A request never relies on Wix's defaults, and holds tracking info exactly where there is a number."""
    new = NewFulfillment(
        line_items=tuple(ShipmentItem(line_item_id=f"l{at}", quantity=each) for at, each in enumerate(quantities)),
        tracking_number=number,
        shipping_provider=provider,
        tracking_link="https://track.example/1",
    )

    body = new.body()

    assert body["lineItems"] == [{"id": f"l{at}", "quantity": each} for at, each in enumerate(quantities)]
    info = body.get("trackingInfo")
    assert (info is not None) == (number is not None)
    if isinstance(info, dict):
        assert ("trackingLink" in info) == (provider == "Acme")
