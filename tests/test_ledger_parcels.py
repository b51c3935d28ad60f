"""Parcels: one for each number, asked about once, with a status that the order of reports cannot change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_samples import NOON, FakeClock, wanted
from parcelhook.errors import InputError
from parcelhook.ledger import Judgement, Ledger, NewParcel, NewShipment, ParcelRow, State, moves
from parcelhook.models import Reason, Scan, Status

pytest_plugins = ["ledger_databases"]

WAY = (Status.PRE_TRANSIT, Status.PICKED_UP, Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.DELIVERED)
SCANS = tuple(
    Scan(code=f"{n}", description=status, time=NOON + timedelta(hours=n), status=status) for n, status in enumerate(WAY)
)


def last(scans: tuple[Scan, ...]) -> Judgement:
    """Judge a parcel by its last scan."""
    return Judgement(status=scans[-1].status if scans else Status.UNKNOWN)


def parcel_of(ledger: Ledger, order_id: str = "order-1", number: str = "AC100") -> ParcelRow:
    """Add a shipment and give its parcel."""
    return ledger.shipments.add(wanted(order_id, number))[0].parcels[0]


def test_number_on_two_orders_is_one_parcel(ledger: Ledger) -> None:
    """Two orders in one parcel share it, however its number was typed, each with a link of its own."""
    links = ("https://acme.example/?z=1", "https://acme.example/?z=2")
    one, _ = ledger.shipments.add(wanted("order-1", parcels=(NewParcel(number="AC-100", tracking_url=links[0]),)))
    two, _ = ledger.shipments.add(wanted("order-2", parcels=(NewParcel(number="ac 100", tracking_url=links[1]),)))

    assert one.parcels[0].id == two.parcels[0].id
    assert (one.parcels[0].tracking_url, two.parcels[0].tracking_url) == links
    assert ledger.parcels.shipments_of(one.parcels[0].id) == [one, two]


@pytest.mark.parametrize("new", [wanted("order-2", carrier="other"), wanted("order-2", account="second")])
def test_same_number_elsewhere_is_another_parcel(ledger: Ledger, new: NewShipment) -> None:
    """A number of another carrier or account is another parcel."""
    other, _ = ledger.shipments.add(new)

    assert parcel_of(ledger).id != other.parcels[0].id


def test_number_given_again_months_later(ledger: Ledger, clock: FakeClock) -> None:
    """A number that comes again months after its parcel was delivered is a new parcel; before, it is the old one."""
    first = parcel_of(ledger, "order-1")
    ledger.parcels.record(first.id, SCANS, found=True, judge=last)
    clock.advance(86400 * 10)
    soon = parcel_of(ledger, "order-2")
    clock.advance(86400 * 200)
    later = parcel_of(ledger, "order-3")

    assert soon.id == first.id
    assert (later.id == first.id, later.generation, later.status) == (False, 2, Status.UNKNOWN)
    assert [row.id for row in ledger.parcels.numbered("default", carrier="acme", number_normalised="AC100")] == [
        later.id,
        first.id,
    ]


def test_due_parcels(ledger: Ledger, clock: FakeClock) -> None:
    """Parcels are counted and taken when they are due, once, and are due again after the lease."""
    rows = [parcel_of(ledger, f"order-{n}", f"AC{n}") for n in range(3)]
    ledger.parcels.poll_at([row.id for row in rows[:2]], NOON)
    ledger.parcels.poll_at([rows[2].id], NOON + timedelta(hours=1))

    (group,) = ledger.parcels.due()
    taken = ledger.parcels.take_due(store="default", carrier="acme", lease_seconds=60)

    assert (group.store, group.carrier, group.account, group.count) == ("default", "acme", "", 2)
    assert {row.id for row in taken} == {row.id for row in rows[:2]}
    assert ledger.parcels.take_due(store="default", carrier="acme") == []
    assert ledger.parcels.due() == []
    clock.advance(60)
    assert len(ledger.parcels.take_due(store="default", carrier="acme")) == 2
    assert ledger.parcels.take_due(store="default", carrier="other") == []


def test_report_is_recorded(ledger: Ledger, clock: FakeClock) -> None:
    """A report's scans are kept, judged together, and the parcel is asked about when the judgement says."""
    parcel = parcel_of(ledger)
    judgement = Judgement(status=Status.EXCEPTION, reason=Reason.CUSTOMS, next_poll_at=NOON + timedelta(hours=2))

    recorded = ledger.parcels.record(parcel.id, SCANS[:2], found=True, judge=lambda _: judgement)

    assert (recorded.new_scans, recorded.has_changed) == (2, True)
    assert recorded.parcel == ledger.parcels.get(parcel.id)
    row = recorded.parcel
    assert (row.status, row.reason, row.next_poll_at) == (Status.EXCEPTION, Reason.CUSTOMS, NOON + timedelta(hours=2))
    assert (row.found, row.last_polled_at) == (True, clock.now)
    assert ledger.parcels.scans(parcel.id) == SCANS[:2]


def test_report_that_says_nothing_new(ledger: Ledger) -> None:
    """The same scans again change nothing, and a number not found yet is an answer of its own."""
    parcel = parcel_of(ledger)
    ledger.parcels.record(parcel.id, SCANS, found=True, judge=last)

    again = ledger.parcels.record(parcel.id, [*SCANS, SCANS[0]], found=True, judge=last)
    missing = ledger.parcels.record(parcel.id, [], found=False, judge=last)

    assert (again.new_scans, again.has_changed) == (0, False)
    assert (missing.parcel.found, missing.parcel.status) == (False, Status.DELIVERED)
    assert ledger.parcels.scans(parcel.id) == SCANS


def test_scan_is_read_back_whole(ledger: Ledger) -> None:
    """Everything a carrier said of a scan is read back, its local time and further codes included."""
    scan = Scan(
        code="D",
        description="Delivered é " * 400,
        time=NOON,
        local_time=NOON.replace(tzinfo=None) + timedelta(hours=2),
        zone_known=False,
        location="Haifa",
        status=Status.DELIVERED,
        informational=True,
        extra={"type": "011"},
    )
    parcel = parcel_of(ledger)

    ledger.parcels.record(parcel.id, [scan], found=True, judge=last)

    assert ledger.parcels.scans(parcel.id) == (scan,)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(SCANS), cut=st.integers(0, len(SCANS)))
def test_order_of_reports_does_not_matter(ledger: Ledger, order: list[Scan], cut: int) -> None:
    """In whatever order and portions scans come, the parcel ends with the same scans and status."""
    number = f"AC{len(ledger.shipments.find())}"
    parcel = parcel_of(ledger, f"order-{number}", number)

    for portion in (order[:cut], order[cut:]):
        recorded = ledger.parcels.record(parcel.id, portion, found=True, judge=last)

    assert ledger.parcels.scans(parcel.id) == SCANS
    assert recorded.parcel.status is Status.DELIVERED


def test_reports_at_once(ledger: Ledger) -> None:
    """Reports that are recorded at the same moment are judged one after the other, and none is lost."""
    parcel = parcel_of(ledger)

    with ThreadPoolExecutor(5) as pool:
        recorded = list(
            pool.map(lambda scan: ledger.parcels.record(parcel.id, [scan], found=True, judge=last), reversed(SCANS))
        )

    assert sum(each.new_scans for each in recorded) == len(SCANS)
    assert ledger.parcels.get(parcel.id).status is Status.DELIVERED


def test_parcels_of_a_booking(ledger: Ledger) -> None:
    """A shipment that gets its numbers later has them in their order, with where and when it goes."""
    row, _ = ledger.shipments.add(wanted(parcels=(), state=State.WAITING_NUMBER, postal_code="1", country="IL"))
    numbers = (NewParcel(number="AC2", ship_date=date(2026, 3, 2)), NewParcel(number="AC1"))

    row = ledger.shipments.move(moves.numbered(row, parcels=numbers))

    assert [parcel.number for parcel in row.parcels] == ["AC2", "AC1"]
    first = row.parcels[0]
    assert (first.ship_date, first.postal_code, first.country, first.found) == (date(2026, 3, 2), "1", "IL", None)


def test_unknown_parcel(ledger: Ledger) -> None:
    """An id that no parcel has is an error of the one who typed it."""
    with pytest.raises(InputError, match="no-such-id"):
        ledger.parcels.get("no-such-id")
