"""The models refuse what is wrong, cannot be changed, and survive a trip through JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from parcelhook import models
from parcelhook.models import (
    BookedParcel,
    Booking,
    CarrierAnswer,
    Model,
    Scan,
    Shipment,
    ShipmentItem,
    Status,
    StatusChange,
    TrackingReport,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(categories=("L", "N")), max_size=5)
SCANS = st.builds(
    Scan,
    code=TEXTS,
    description=TEXTS,
    time=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    location=TEXTS,
    status=st.sampled_from(Status),
    extra=st.dictionaries(TEXTS, TEXTS, max_size=2),
)
ALL = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, Model)]


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_model_is_frozen_and_knows_its_fields(model: type[BaseModel]) -> None:
    """No model can be changed after it is made, or made with a field it does not have."""
    assert model.model_config["frozen"] is True
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"no_such_field": 1})


def test_a_model_cannot_be_changed() -> None:
    """Assigning to a field is an error."""
    shipment = Shipment(carrier="acme", tracking_number="AC1")

    with pytest.raises(ValidationError, match="Instance is frozen"):
        shipment.tracking_number = "AC2"  # type: ignore[misc]


@pytest.mark.parametrize("quantity", [0, -1, 100_001])
def test_a_quantity_is_one_or_more(quantity: int) -> None:
    """None, less than none and an absurd quantity are refused."""
    with pytest.raises(ValidationError, match="quantity"):
        ShipmentItem(line_item_id="a", quantity=quantity)


def test_a_booking_has_a_parcel() -> None:
    """A booking without a parcel is no booking."""
    with pytest.raises(ValidationError, match="at least 1 item"):
        Booking(key="k", parcels=())
    assert Booking(key="k", parcels=(BookedParcel(tracking_number="AC1"),)).reference == ""


def test_a_time_without_a_zone_is_refused() -> None:
    """A scan's time is an instant, never a wall clock."""
    with pytest.raises(ValidationError, match="timezone"):
        Scan(code="40", time=NOON.replace(tzinfo=None))


def test_a_status_is_one_of_ours() -> None:
    """A status is told by its value, and no other text is one."""
    assert StatusChange.model_validate({"status": "delivered"}).status is Status.DELIVERED
    with pytest.raises(ValidationError):
        StatusChange.model_validate({"status": "arrived"})


def test_not_found_is_an_answer() -> None:
    """A report can say that the carrier does not know the number, and holds no scan then."""
    report = TrackingReport(number="AC1", found=False)

    assert (report.found, report.scans, report.summary) == (False, (), None)


def test_a_body_is_bytes() -> None:
    """A raw answer keeps its body as it came."""
    assert CarrierAnswer(status=404, body=b"\xff\x00").body == b"\xff\x00"


@given(SCANS)
def test_a_scan_survives_json(scan: Scan) -> None:
    """A scan that is written as JSON and read again is the same, and has the same key."""
    again = Scan.model_validate_json(scan.model_dump_json())

    assert again == scan
    assert again.key == scan.key


@given(SCANS)
def test_a_key_does_not_depend_on_what_we_made_of_a_scan(scan: Scan) -> None:
    """One event delivered twice has one key, though the second time its status was mapped and its extras reordered."""
    again = scan.model_copy(
        update={"status": Status.EXCEPTION, "zone_known": False, "extra": dict(reversed(list(scan.extra.items())))}
    )

    assert again.key == scan.key


@given(SCANS, st.sampled_from(["code", "description", "location", "time", "extra"]))
def test_another_event_has_another_key(scan: Scan, field: str) -> None:
    """Two scans that differ in anything the carrier said differ in their key."""
    others: dict[str, object] = {"time": scan.time + timedelta(seconds=1), "extra": {**scan.extra, "further code": "x"}}
    other = scan.model_copy(update={field: others.get(field, f"{getattr(scan, field)}x")})

    assert other.key != scan.key
