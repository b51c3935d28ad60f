"""What an order's shipments cover: nothing twice, nothing left out, and nothing changed that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger_samples import NOON
from parcelhook.fulfillment.coverage import Coverage, cover
from parcelhook.fulfillment.orders import OrderNow
from parcelhook.ledger import ParcelRow, ShipmentParcel, ShipmentRow, State
from parcelhook.models import ShipmentItem, Status
from parcelhook.wix.fulfillments import Fulfillment
from parcelhook.wix.orders import WixOrder

A, B = "line-a", "line-b"
QUANTITIES = st.dictionaries(st.sampled_from((A, B)), st.integers(1, 4), min_size=1)


def shipment(id_: str, state: State, items: Mapping[str, int], **changes: object) -> ShipmentRow:
    """Make a shipment, with a number of its own where its state needs one."""
    parcel = ShipmentParcel(
        **dict.fromkeys(ParcelRow.__dataclass_fields__)  # type: ignore[arg-type]
        | {"number": id_, "number_normalised": id_.upper(), "shipment_id": id_, "position": 0, "tracking_url": ""}
    )
    row = ShipmentRow(
        **dict.fromkeys(ShipmentRow.__dataclass_fields__)  # type: ignore[arg-type]
        | {"id": id_, "state": state, "status": Status.UNKNOWN, "created_at": NOON, "source": "webhook"}
        | {"items": items_of(items), "parcels": () if state is State.WAITING_NUMBER else (parcel,)}
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def items_of(quantities: Mapping[str, int]) -> tuple[ShipmentItem, ...]:
    """Give line items."""
    return tuple(ShipmentItem(line_item_id=id_, quantity=count) for id_, count in quantities.items())


def order(lines: Mapping[str, int], *fulfillments: Fulfillment, **changes: object) -> OrderNow:
    """Make an order of such lines, with its fulfillments."""
    wire = {"id": "order", "status": "APPROVED", "lineItems": [{"id": id_, "quantity": n} for id_, n in lines.items()]}
    return OrderNow(WixOrder.model_validate(wire | changes), fulfillments)


def fulfillment(id_: str, items: Mapping[str, int], number: str = "") -> Fulfillment:
    """Make a fulfillment."""
    lines = [{"id": line, "quantity": count} for line, count in items.items()]
    info = {"trackingNumber": number} if number else None
    return Fulfillment.model_validate({"id": id_, "lineItems": lines, "trackingInfo": info})


def total(coverage: Coverage, waiting: Sequence[ShipmentRow]) -> Counter[str]:
    """Add up what is left to be shipped: what waits, and what nothing covers yet."""
    counted: Counter[str] = Counter(coverage.uncovered)
    for row in waiting:
        for item in coverage.waiting.get(row.id, row.items):
            counted[item.line_item_id] += item.quantity
    return +counted


@given(lines=QUANTITIES, shipped=QUANTITIES, waiting=st.lists(QUANTITIES, max_size=3))
def test_what_waits_and_what_is_new_are_what_remains(
    lines: dict[str, int], shipped: dict[str, int], waiting: list[dict[str, int]]
) -> None:
    """Whatever waited before, afterwards exactly what is not shipped waits or is routed, and stays so."""
    now = order(lines, fulfillment("by-hand", shipped))
    rows = [shipment(f"w{number}", State.WAITING_NUMBER, its) for number, its in enumerate(waiting)]

    coverage = cover(now, rows)

    remains = +Counter({id_: count - shipped.get(id_, 0) for id_, count in lines.items()})
    assert total(coverage, rows) == remains
    after = [replace(row, items=coverage.waiting.get(row.id, row.items)) for row in rows]
    after = [row for row in after if row.items]
    new = [shipment("new", State.WAITING_NUMBER, coverage.uncovered)] if coverage.uncovered else []
    again = cover(now, [*after, *new])
    assert again.fits
    assert not again.uncovered


@given(lines=QUANTITIES, taken=QUANTITIES, state=st.sampled_from((State.READY, State.WAITING_LINK, State.SENDING)))
def test_what_is_on_its_way_is_counted_once(lines: dict[str, int], taken: dict[str, int], state: State) -> None:
    """A shipment covers as much before Wix shows its fulfillment as after, and in between both are one."""
    row = shipment("n1", state, taken)
    before = cover(order(lines), [row])
    between = cover(order(lines, fulfillment("f1", taken, number="N1")), [row])
    bound = replace(row, state=State.CREATED, fulfillment_id="f1")
    after = cover(order(lines, fulfillment("f1", taken, number="N1")), [bound])
    late = cover(order(lines), [bound])

    assert before.uncovered == between.uncovered == after.uncovered == late.uncovered


def test_a_shipment_without_items_takes_all_that_is_left() -> None:
    """What was asked for without naming items covers the whole order."""
    assert cover(order({A: 2, B: 1}), [shipment("n1", State.READY, {})]) == Coverage()


def test_what_waits_without_items_is_told_which() -> None:
    """A waiting shipment that names no items is given those that are left, or none."""
    row = shipment("w", State.WAITING_NUMBER, {})

    assert cover(order({A: 2}), [row]).waiting == {"w": items_of({A: 2})}
    assert cover(order({A: 2}, fulfillment("f", {A: 2})), [row]).waiting == {"w": ()}


def test_a_booked_shipment_fits_is_unfit_or_is_needless() -> None:
    """It is never changed: where it does not fit, that is told, and whether others shipped all of it."""
    row = shipment("b", State.WAITING_LINK, {A: 2})

    assert cover(order({A: 2}), [row], fixed={"b"}) == Coverage()
    assert cover(order({A: 1}), [row], fixed={"b"}).unfit == (row,)
    assert cover(order({B: 1}), [row], fixed={"b"}).unfit == (row,)
    assert cover(order({A: 2}, fulfillment("f", {A: 1})), [row], fixed={"b"}).unfit == (row,)
    assert cover(order({A: 2}, fulfillment("f", {A: 2})), [row], fixed={"b"}).needless == (row,)
    assert cover(order({A: 2}, fulfillmentStatus="FULFILLED"), [row], fixed={"b"}).needless == (row,)


def test_what_is_being_sent_is_never_needless() -> None:
    """Nobody knows yet what became of it."""
    row = shipment("s", State.SENDING, {A: 2})

    assert cover(order({A: 2}, fulfillment("f", {A: 2})), [row]).unfit == (row,)


def test_what_a_person_dropped_or_a_carrier_refused_is_not_asked_for_again() -> None:
    """Nothing of it is routed unasked; what Wix refused is."""
    dropped = shipment("d", State.CANCELED, {A: 1})
    refused = shipment("r", State.FAILED, {A: 1}, parcels=())
    failed = shipment("f", State.FAILED, {A: 1})

    assert cover(order({A: 1}), [dropped], dropped={"d"}) == Coverage()
    assert cover(order({A: 1}), [refused]) == Coverage()
    assert cover(order({A: 1}), [dropped, failed]).uncovered == {A: 1}


def test_a_review_covers_what_it_is_about() -> None:
    """Whatever a person decides, meanwhile nothing of it is shipped otherwise."""
    unsent = shipment("u", State.NEEDS_REVIEW, {A: 1})
    created = shipment("c", State.NEEDS_REVIEW, {B: 1}, fulfillment_id="f")

    assert cover(order({A: 1, B: 1}), [unsent, created]) == Coverage()


def test_a_parcel_under_way_with_more_than_the_order_has() -> None:
    """It is told until it is delivered, or a person has let it stand."""
    row = shipment("c", State.CREATED, {A: 2}, fulfillment_id="f")
    now = order({A: 1}, fulfillment("f", {A: 2}))

    assert cover(now, [row]).excess == (row,)
    assert cover(now, [row], kept={"c"}) == Coverage()
    assert cover(now, [replace(row, status=Status.DELIVERED)]) == Coverage()


def test_an_order_without_line_items_says_nothing() -> None:
    """They were left out of what Wix sent."""
    assert cover(order({}), [shipment("w", State.WAITING_NUMBER, {A: 1})]) == Coverage()


def test_a_deleted_fulfillment_covers_nothing() -> None:
    """What is left of it is shipped anew."""
    row = shipment("x", State.DELETED, {A: 1}, fulfillment_id="f")

    assert cover(order({A: 1}), [row]).uncovered == {A: 1}
