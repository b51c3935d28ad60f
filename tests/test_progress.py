"""What carriers say moves shipments on, and Wix is told: the status alone, forward only, only on a change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook import (
    BookingRequest,
    Carrier,
    Consignee,
    Order,
    Reason,
    Scan,
    ShipmentItem,
    Status,
    StatusChange,
    TrackingQuery,
    TrackingReport,
    hookimpl,
)
from parcelhook.errors import CarrierUnavailable
from parcelhook.fulfillment.cancellation import cancel_order
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.ledger import ShipmentRow, State
from parcelhook.registry import Registry
from parcelhook.sandbox import Running
from parcelhook.statuses import FINAL
from parcelhook.tracking.cadence import next_poll_at
from parcelhook.tracking.progress import poll
from parcelhook.tracking.push import push
from shops import LINE, ProcessDied, Shop, registry_of

pytest_plugins = ["stores"]

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = 3600
CONSIGNEE = Consignee(
    name="A Buyer", address_line="12 Sample Street", city="Portland", postal_code="97201", country="US"
)


class Van:
    """A carrier that says of each number what a test wrote down for it."""

    def __init__(self) -> None:
        self.codes: dict[str, list[str]] = {}
        self.failing: set[str] = set()

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier of two parcels a call."""
        carrier = {
            "id": "van",
            "name": "Van",
            "link": "https://van.example/{number}",
            "link_hosts": ["van.example"],
            "batch_size": 2,
            "capabilities": ["track"],
            "statuses": {"go": "in_transit", "lost": {"status": "failure", "reason": "lost"}, "end": "delivered"},
        }
        return [Carrier.model_validate(carrier)]

    @hookimpl
    async def parcelhook_track(self, queries: Sequence[TrackingQuery]) -> list[TrackingReport]:
        """Tell what was written down, and nothing about other numbers."""
        assert len(queries) <= 2
        if self.failing.intersection(query.number for query in queries):
            msg = "the van broke down"
            raise CarrierUnavailable(msg, carrier="van")
        known = [query.number for query in queries if query.number in self.codes]
        return [TrackingReport(number=number, scans=self._scans(number)) for number in known]

    @hookimpl
    def parcelhook_map_status(self, scan: Scan) -> StatusChange | None:
        """Fail for one code."""
        if scan.code == "unbearable":
            raise ValueError(scan.code)
        return None

    def _scans(self, number: str) -> tuple[Scan, ...]:
        return tuple(
            Scan(code=code, time=NOON + timedelta(hours=place)) for place, code in enumerate(self.codes[number])
        )


@pytest.fixture(scope="module")
def van() -> Van:
    """Give the carrier whose answers a test writes."""
    return Van()


@pytest.fixture(scope="module")
def registry(sandbox: Running, van: Van) -> Iterator[Registry]:
    """Load the courier and the van beside the built-in carriers."""
    with registry_of(sandbox, van=van) as loaded:
        yield loaded


def carried(shop: Shop, **wish: Any) -> ShipmentRow:  # noqa: ANN401 - as take
    """Create a fulfillment whose parcel the courier has."""
    order_id = shop.order(quantity=2)
    items = (ShipmentItem(line_item_id=LINE, quantity=1),)
    order = Order(id=order_id, consignee=CONSIGNEE)
    booking = shop.store.registry.book("courier", BookingRequest(key=shop.number(), order=order, items=items))
    return shop.created(order_id, booking.parcels[0].tracking_number, carrier="courier", **wish)


def moved(shop: Shop, row: ShipmentRow, journey: str, step: int) -> ShipmentRow:
    """Move the parcel along a journey, ask the courier, and tell Wix; give the shipment as it is then."""
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": journey, "step": step})
    shop.clock.advance(5 * HOUR)
    poll(shop.store)
    push(shop.store)
    return shop.row(row)


def at_wix(shop: Shop, row: ShipmentRow) -> str | None:
    """Look at the status of a shipment's fulfillment in the store itself."""
    found: dict[str, str | None] = {each["id"]: each.get("status") for each in shop.fulfillments(row.order_id)}
    return found[row.fulfillment_id or ""]


def next_poll(shop: Shop, row: ShipmentRow) -> datetime | None:
    """Give when the shipment's first parcel is due."""
    return shop.row(row).parcels[0].next_poll_at


def test_a_delivery_moves_from_the_first_scan_to_fulfilled(shop: Shop) -> None:
    """Each scan moves the shipment; Wix is told where its own status moves, and Fulfilled at the delivery."""
    row = carried(shop)
    steps = []

    for step in range(1, 7):
        shop.calls()
        after = moved(shop, row, "delivered", step)
        steps.append((after.status.value, at_wix(shop, row), shop.calls()["update"]))

    assert steps == [
        ("pre_transit", "Ready", 1),
        ("picked_up", "In_Delivery", 1),
        ("picked_up", "In_Delivery", 0),
        ("in_transit", "In_Delivery", 0),
        ("out_for_delivery", "In_Delivery", 0),
        ("delivered", "Fulfilled", 1),
    ]
    assert next_poll(shop, row) is None
    assert (shop.row(row).wix_status, shop.row(row).wanted_wix_status) == ("Fulfilled", None)


def test_wix_is_told_the_status_field_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update holds the status and nothing else, so number, provider and link at Wix stay as they are."""
    row, line, bodies = carried(shop), shop.store.wix._exchange._line, []
    before = shop.fulfillments(row.order_id)[0]
    original = line.send

    def noting(operation: str, method: str, path: str, **given: Any) -> Any:  # noqa: ANN401 - passed on
        if operation == "update":
            bodies.append(given["json"])
        return original(operation, method, path, **given)

    monkeypatch.setattr(line, "send", noting)

    moved(shop, row, "delivered", 4)

    assert bodies == [{"fulfillment": {"status": "In_Delivery"}}]
    assert shop.fulfillments(row.order_id) == [{**before, "status": "In_Delivery"}]


def test_what_waits_to_be_told_collapses_to_the_latest(shop: Shop) -> None:
    """However often a parcel moved since Wix was last told, it is told once."""
    row = carried(shop)
    for step in (1, 2, 6):
        shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "delivered", "step": step})
        shop.clock.advance(5 * HOUR)
        poll(shop.store)
    shop.calls()

    assert push(shop.store) == 1

    assert (at_wix(shop, row), shop.calls()["update"]) == ("Fulfilled", 1)
    assert push(shop.store) == 0


def test_fulfilled_is_told_first(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several shipments, those that arrived are told before those under way."""
    told: list[str] = []
    rows = [carried(shop) for _ in range(3)]
    for row, step in zip(rows, (2, 6, 3), strict=True):
        shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "delivered", "step": step})
    poll(shop.store)
    original = shop.store.wix.update_status

    def noting(order_id: str, fulfillment_id: str, status: str) -> object:
        told.append(status)
        return original(order_id, fulfillment_id, status)

    monkeypatch.setattr(shop.store.wix, "update_status", noting)

    assert push(shop.store) == 3

    assert told == ["Fulfilled", "In_Delivery", "In_Delivery"]


def test_a_returned_parcel_needs_a_person(shop: Shop) -> None:
    """What came back is not fulfilled: Wix keeps its status, and a person is asked."""
    row = moved(shop, carried(shop), "returned", 5)
    assert (row.status, row.reason) == (Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT)

    after = moved(shop, row, "returned", 6)

    assert (after.state, after.status) == (State.NEEDS_REVIEW, Status.RETURNED)
    assert after.error == "the parcel is returned"
    assert after.what_to_do
    assert at_wix(shop, row) == "In_Delivery"


def test_a_lost_parcel_names_the_reason(shop: Shop, van: Van) -> None:
    """The review says what the carrier said."""
    row = shop.created(shop.order(), carrier="van")
    van.codes[row.tracking_number] = ["go", "lost"]

    poll(shop.store)

    assert shop.row(row).error == "the parcel is failure (lost)"
    assert next_poll(shop, row) is None


def test_wix_never_moves_back(shop: Shop) -> None:
    """Where a person at Wix was ahead of the carrier, nothing is told until the carrier is ahead again."""
    row = moved(shop, carried(shop), "delivered", 1)
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": "Fulfilled"}})
    shop.follow()
    shop.calls()

    after = moved(shop, row, "delivered", 4)

    assert (after.status, after.wix_status, after.wanted_wix_status) == (Status.IN_TRANSIT, "Fulfilled", None)
    assert not shop.calls()


@pytest.mark.parametrize("has", ["Handed_To_A_Drone", "Fulfilled"])
def test_a_status_that_is_no_step_forward_is_wanted_no_longer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, has: str
) -> None:
    """A status Wix has and this version does not know, or one further on, is left as it is, and not tried for ever."""
    row = carried(shop)
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "delivered", "step": 4})
    poll(shop.store)
    claim = shop.ledger.shipments.claim_pushes

    def another(store: str, *, owner: str, lease_seconds: float) -> list[ShipmentRow]:
        return [replace(each, wix_status=has) for each in claim(store, owner=owner, lease_seconds=lease_seconds)]

    monkeypatch.setattr(shop.ledger.shipments, "claim_pushes", another)
    shop.calls()

    assert push(shop.store) == 0

    assert (shop.row(row).wix_status, shop.row(row).wanted_wix_status) == (has, None)
    assert not shop.calls()
    assert f"Wix has {has} already" in shop.why(row.order_id)


def test_a_slower_parcel_of_several_is_shown(shop: Shop, van: Van) -> None:
    """A shipment of several parcels shows the slowest, and is fulfilled when the last one arrives."""
    order_id, numbers = shop.order(), (shop.number(), shop.number())
    row, _ = take_in(shop.store, Wish(order_id=order_id, carrier="van", parcels=tuple((n, None) for n in numbers)))
    shop.send(row)
    van.codes |= {numbers[0]: ["go", "end"], numbers[1]: ["go"]}
    poll(shop.store)
    assert shop.row(row).status is Status.IN_TRANSIT

    van.codes[numbers[1]] = ["go", "end"]
    shop.clock.advance(5 * HOUR)
    poll(shop.store)
    push(shop.store)

    assert (shop.row(row).status, at_wix(shop, shop.row(row))) == (Status.DELIVERED, "Fulfilled")


def test_codes_nobody_mapped_are_counted(shop: Shop, van: Van) -> None:
    """A code that no table has moves nothing, and is counted with its carrier."""
    rows = [shop.created(shop.order(), carrier="van") for _ in range(3)]
    van.codes |= {row.tracking_number: ["go", "odd"] for row in rows}
    van.codes[rows[2].tracking_number].append("odder")

    progress = poll(shop.store)

    assert progress.unmapped == {"van/odd": 3, "van/odder": 1}
    assert (progress.polled, progress.changed, progress.errors) == (3, 3, [])
    assert {shop.row(row).status for row in rows} == {Status.IN_TRANSIT}


def test_a_carrier_that_fails_leaves_others_alone(shop: Shop, van: Van) -> None:
    """Where one carrier cannot be asked, others are; it is asked again a little later."""
    broken, fine = shop.created(shop.order(), carrier="van"), carried(shop)
    van.failing.add(broken.tracking_number)
    van.codes[broken.tracking_number] = ["go"]

    progress = poll(shop.store)

    assert len(progress.errors) == 1
    assert progress.errors[0].startswith("van: ")
    assert shop.row(fine).status is Status.PRE_TRANSIT
    assert shop.row(broken).status is Status.UNKNOWN
    assert next_poll(shop, broken) == shop.clock() + timedelta(minutes=5)
    van.failing.clear()
    assert poll(shop.store).polled == 0
    shop.clock.advance(5 * 60)
    assert poll(shop.store).polled == 1
    assert shop.row(broken).status is Status.IN_TRANSIT


def test_a_batch_that_fails_leaves_the_next_alone(shop: Shop, van: Van) -> None:
    """A carrier is asked in its own batches, and one that fails is put off by itself."""
    rows = [shop.created(shop.order(), carrier="van") for _ in range(4)]
    van.codes |= {row.tracking_number: ["go"] for row in rows}
    van.failing.add(rows[0].tracking_number)

    progress = poll(shop.store)

    assert (progress.polled, len(progress.errors)) == (4, 1)
    assert progress.changed == 2


def test_a_carrier_is_not_asked_before_it_says(shop: Shop) -> None:
    """A carrier that names a time to wait is not asked before."""
    row = carried(shop)
    shop.fault("courier-status", status=429, times=5, retry_after=900)

    poll(shop.store)

    assert next_poll(shop, row) == shop.clock() + timedelta(minutes=15)


def test_a_plugin_that_cannot_read_one_scan_leaves_other_parcels_alone(shop: Shop, van: Van) -> None:
    """A hook that fails over one parcel puts that parcel off, with the error, and no other."""
    bad, good = (shop.created(shop.order(), carrier="van") for _ in range(2))
    van.codes |= {bad.tracking_number: ["go", "unbearable"], good.tracking_number: ["go"]}

    progress = poll(shop.store)

    assert len(progress.errors) == 1
    assert (shop.row(bad).status, shop.row(good).status) == (Status.UNKNOWN, Status.IN_TRANSIT)
    assert next_poll(shop, bad) == shop.clock() + timedelta(minutes=5)


def test_a_parcel_the_carrier_does_not_know_yet_is_asked_about_again(shop: Shop) -> None:
    """Not found is an answer of its own: nothing moves, and the carrier is asked again."""
    row = shop.created(shop.order(), "LC900000013", carrier="van")

    progress = poll(shop.store)

    assert (progress.polled, progress.changed, progress.errors) == (1, 0, [])
    assert shop.row(row).parcels[0].found is False
    assert next_poll(shop, row) == shop.clock() + timedelta(hours=1)


@pytest.mark.parametrize("place", ["before the shipment knew", "before the review"])
def test_a_death_between_scan_and_shipment_loses_nothing(
    shop: Shop, van: Van, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A parcel's end that was kept while its shipment did not learn of it yet is learned after a new start."""
    row = shop.created(shop.order(), carrier="van")
    van.codes[row.tracking_number] = ["go", "lost"]
    call = "set_status" if place == "before the shipment knew" else "move_all"

    def die(*_: object, **__: object) -> None:
        raise ProcessDied

    with monkeypatch.context() as patched:
        patched.setattr(shop.ledger.shipments, call, die)
        with pytest.raises(ProcessDied):
            poll(shop.store)
    shop.clock.advance(6 * 60)

    poll(shop.store)

    assert (shop.row(row).state, shop.row(row).status) == (State.NEEDS_REVIEW, Status.FAILURE)
    assert next_poll(shop, row) is None


@pytest.mark.parametrize("status", [404, 400])
def test_a_fulfillment_deleted_at_wix_is_noted(shop: Shop, status: int) -> None:
    """Whichever status Wix says it with, a fulfillment that is gone makes its shipment DELETED."""
    shop.switch(unknown_fulfillment_status=status)
    row = carried(shop)
    shop.by_hand("DELETE", f"{row.fulfillment_id}/orders/{row.order_id}")

    after = moved(shop, row, "delivered", 6)

    assert after.state is State.DELETED
    assert push(shop.store) == 0


def test_a_status_set_by_hand_that_no_webhook_told_is_learned(shop: Shop) -> None:
    """Where Wix refuses a step back, its present status is looked up once, and the step is not tried again."""
    row = carried(shop)
    shop.by_hand("PATCH", f"{row.fulfillment_id}/orders/{row.order_id}", {"fulfillment": {"status": "Fulfilled"}})

    after = moved(shop, row, "delivered", 4)

    assert (after.wix_status, after.wanted_wix_status) == ("Fulfilled", None)
    assert after.state is State.CREATED


def test_what_wix_did_not_take_is_told_later(shop: Shop) -> None:
    """A status that could not be told waits, longer each time, and others are told meanwhile."""
    row, other = carried(shop), carried(shop)
    for each in (row, other):
        shop.control("POST", f"parcels/courier/{each.tracking_number}", {"journey": "delivered", "step": 6})
    poll(shop.store)
    shop.fault("update", status=503)

    assert push(shop.store) == 1

    (waiting,) = (each for each in (shop.row(row), shop.row(other)) if each.wanted_wix_status)
    assert (waiting.state, bool(waiting.error)) == (State.CREATED, True)
    assert waiting.due_at is not None
    assert waiting.due_at > shop.clock()
    assert push(shop.store) == 0
    shop.clock.advance(61)
    assert push(shop.store) == 1
    assert (at_wix(shop, row), at_wix(shop, other)) == ("Fulfilled", "Fulfilled")
    assert (shop.row(waiting).error, shop.row(waiting).wanted_wix_status) == ("", None)


def test_a_shipment_reviewed_while_wix_is_told_stays_reviewed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process moves a shipment during the call, its move stands, and what Wix took is noted."""
    row, other = carried(shop), carried(shop)
    for each in (row, other):
        shop.control("POST", f"parcels/courier/{each.tracking_number}", {"journey": "delivered", "step": 4})
    poll(shop.store)
    original = shop.store.wix.update_status

    def meddling(order_id: str, fulfillment_id: str, status: str) -> object:
        answer = original(order_id, fulfillment_id, status)
        if order_id == row.order_id:
            cancel_order(shop.store, row.order_id)
        return answer

    monkeypatch.setattr(shop.store.wix, "update_status", meddling)

    assert push(shop.store) == 2

    assert (shop.row(row).state, shop.row(row).wix_status) == (State.NEEDS_REVIEW, "In_Delivery")
    assert at_wix(shop, other) == "In_Delivery"
    assert "the shipment was changed meanwhile" in shop.why(row.order_id)


def test_one_process_tells_wix(shop: Shop, at_once: Any) -> None:  # noqa: ANN401 - the fixture's function
    """Several processes that tell Wix at the same moment tell it once."""
    row = carried(shop)
    shop.control("POST", f"parcels/courier/{row.tracking_number}", {"journey": "delivered", "step": 6})
    poll(shop.store)
    shop.calls()

    told = at_once(lambda: push(shop.store), times=4)

    assert (sum(told), shop.calls()["update"]) == (1, 1)


@given(st.sampled_from(Status), st.floats(0.01, 100), st.floats(1.01, 10))
def test_a_greater_scale_asks_later_and_an_end_is_never_asked_about(status: Status, scale: float, more: float) -> None:
    """A final status is asked about no more, and any other the later the greater the scale is."""
    at, later = next_poll_at(status, now=NOON, scale=scale), next_poll_at(status, now=NOON, scale=scale * more)

    assert (at is None) == (status in FINAL)
    assert (at is None) == (later is None)
    assert at is None or later is None or NOON < at < later


@pytest.mark.parametrize(
    ("status", "minutes"),
    [(Status.OUT_FOR_DELIVERY, 20), (Status.PRE_TRANSIT, 60), (Status.IN_TRANSIT, 240), (Status.UNKNOWN, 60)],
)
def test_a_parcel_is_asked_about_the_more_often_the_nearer_it_is(status: Status, minutes: int) -> None:
    """Minutes while it is out for delivery, hours while it travels."""
    assert next_poll_at(status, now=NOON) == NOON + timedelta(minutes=minutes)


def test_the_store_says_how_often_carriers_are_asked(shop: Shop) -> None:
    """The store's scale stretches every interval."""
    shop.store = replace(shop.store, poll_scale=2.5)
    row = carried(shop)

    poll(shop.store)

    assert next_poll(shop, row) == shop.clock() + timedelta(hours=2.5)


def test_another_stores_parcels_are_not_asked_about(shop: Shop) -> None:
    """A look at one store's parcels leaves those of others."""
    row = carried(shop)
    shop.calls()

    progress = poll(replace(shop.store, id="another"))

    assert progress.polled == 0
    assert next_poll(shop, row) is not None


def test_a_carrier_whose_plugin_is_gone_is_told(shop: Shop, registry: Registry) -> None:
    """Parcels of a carrier that no plug-in serves any more are named as an error, and others are asked about."""
    gone, fine = shop.created(shop.order(), carrier="van"), carried(shop)
    with registry_of(shop.sandbox) as fewer:
        progress = poll(replace(shop.store, registry=fewer))

    assert "van" in json.dumps(progress.errors)
    assert (shop.row(gone).status, shop.row(fine).status) == (Status.UNKNOWN, Status.PRE_TRANSIT)
    assert registry.carrier("van").name == "Van"
