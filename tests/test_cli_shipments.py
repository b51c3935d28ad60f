"""``shipments``: what is shipped, how far each is, and all that is known of one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli_shops import LINE, Json, Operator, number
from parcelhook.ledger import Judgement, Ledger
from parcelhook.models import Scan, Status

pytest_plugins = ["cli_stores"]


@pytest.fixture
def shipped(operator: Operator) -> Json:
    """Ship one order, and give what the command said of it."""
    told: Json = operator.json("fulfill", operator.order(quantity=2), "--carrier", "dhl", "--number", number())
    return told


def test_nothing_yet(operator: Operator) -> None:
    """An empty ledger is no error."""
    assert operator.json("shipments") == []
    assert "No shipments yet." in operator.run("shipments").stdout


def test_a_shipment_is_listed_as_fulfill_told_it(operator: Operator, shipped: Json) -> None:
    """Every command describes a shipment alike."""
    (listed,) = operator.json("shipments")

    assert listed == {name: value for name, value in shipped.items() if name != "already_existed"}


def test_a_state_is_asked_for(operator: Operator, shipped: Json) -> None:
    """Only shipments in the state are shown, in whatever case it is written; a state that is none is refused."""
    operator.run("fulfill", operator.order(status="PENDING"), "--carrier", "dhl", "--number", "1234")

    assert [each["tracking_number"] for each in operator.json("shipments", "--state", "failed")] == ["1234"]
    assert [each["shipment_id"] for each in operator.json("shipments", "--state", "CREATED")] == [
        shipped["shipment_id"]
    ]
    assert operator.json("shipments", "--state", "READY") == []
    said = operator.refused("shipments", "--state", "DONE")
    assert "--state DONE" in said
    assert "NEEDS_REVIEW" in said


def test_one_shipment_is_shown_whole(operator: Operator, shipped: Json) -> None:
    """Items, parcels and every scan of the carrier's belong to it."""
    with Ledger.open(operator.ledger_url) as ledger:
        (parcel,) = ledger.shipments.get(shipped["shipment_id"]).parcels
        scan = Scan(
            code="5",
            description="On its way",
            location="Haifa",
            time=datetime(2026, 3, 1, 12, tzinfo=UTC),
            status=Status.IN_TRANSIT,
        )
        ledger.parcels.record(parcel.id, [scan], found=True, judge=lambda _: Judgement(status=Status.IN_TRANSIT))

    shown = operator.json("shipments", "show", shipped["shipment_id"])

    assert shown["items"] == [{"line_item_id": LINE, "quantity": 2}]
    (parcel_shown,) = shown["parcels"]
    assert (parcel_shown["tracking_number"], parcel_shown["status"]) == (shipped["tracking_number"], "in_transit")
    (scan_shown,) = parcel_shown["scans"]
    assert (scan_shown["time"], scan_shown["code"], scan_shown["location"], scan_shown["status"]) == (
        "2026-03-01T12:00:00+00:00",
        "5",
        "Haifa",
        "in_transit",
    )
    told = operator.run("shipments", "show", shipped["shipment_id"]).stdout
    assert shipped["tracking_url"] in told
    assert "On its way" in told


def test_an_unknown_shipment(operator: Operator) -> None:
    """An id that no shipment has is bad input."""
    assert "no shipment has the id nope" in operator.refused("shipments", "show", "nope")


def test_a_number_cannot_drive_the_terminal(operator: Operator, shipped: Json) -> None:
    """What a carrier sends is shown without its control characters."""
    with Ledger.open(operator.ledger_url) as ledger:
        (parcel,) = ledger.shipments.get(shipped["shipment_id"]).parcels
        scan = Scan(code="5", description="\x1b[2Jgone", time=datetime(2026, 3, 1, 12, tzinfo=UTC))
        ledger.parcels.record(parcel.id, [scan], found=True, judge=lambda _: Judgement(status=Status.UNKNOWN))

    told = operator.run("shipments", "show", shipped["shipment_id"]).stdout

    assert "\x1b" not in told
    assert r"\x1b[2Jgone" in told
