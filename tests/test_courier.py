"""The local courier's plug-in, against the courier itself on loopback and through a real registry."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

import parcelhook
import parcelhook_courier
from parcelhook.contexts import ContextFactory
from parcelhook.errors import (
    CarrierError,
    CarrierRefused,
    CarrierThrottled,
    CarrierUnauthorized,
    CarrierUnavailable,
    CarrierUnreadable,
    ConfigurationError,
)
from parcelhook.fulfillment.linking import tracking_info
from parcelhook.fulfillment.orders import for_plugins, read_orders
from parcelhook.http import HttpLimits
from parcelhook.models import (
    BookedParcel,
    Booking,
    BookingRequest,
    CarrierAnswer,
    Consignee,
    Order,
    Reason,
    Scan,
    Shipment,
    ShipmentItem,
    Status,
    TrackingQuery,
)
from parcelhook.numbers import FormatIndex
from parcelhook.registry import Registry
from parcelhook.sandbox import Running, SandboxSettings, running
from parcelhook.statuses import all_scans, fold, mapped
from parcelhook.wix import ApiKey, OpenGate, WixClient

ID = "courier"
KEY = "key-of-tests"
CONSIGNEE = Consignee(
    name="A Buyer",
    company="Example Ltd",
    address_line="12 Sample Street",
    city="Portland",
    postal_code="97201",
    country="US",
    phone="+15550100123",
    email="buyer@example.com",
)
PERSONAL = ("A Buyer", "Example Ltd", "Sample Street", "Portland", "97201", "5550100123", "buyer@example.com")


@dataclass(frozen=True)
class Courier:
    """A courier on loopback, and a registry whose plug-in talks to it."""

    sandbox: Running
    registry: Registry

    def control(self, path: str, body: JsonValue = None) -> httpx.Response:
        """Tell the sandbox what to do."""
        return httpx.post(f"{self.sandbox.url}/_sandbox/{path}", json=body).raise_for_status()

    def book(self, key: str, consignee: Consignee = CONSIGNEE) -> Booking:
        """Book three pieces."""
        items = (ShipmentItem(line_item_id="1", quantity=1), ShipmentItem(line_item_id="2", quantity=2))
        return self.registry.book(ID, BookingRequest(key=key, order=Order(id="1", consignee=consignee), items=items))

    def book_number(self, key: str) -> str:
        """Book three pieces and give the parcel's number."""
        return self.book(key).parcels[0].tracking_number

    def scans(self, number: str) -> list[Scan]:
        """Ask for one parcel's scans, with what they mean."""
        (report,) = self.registry.track(ID, [TrackingQuery(number=number)])
        return [mapped(parcelhook_courier.carrier, scan) for scan in all_scans(report)]


def registry_of(sandbox: Running, *, key: str = KEY) -> Registry:
    """Give a registry with the courier alone, configured as an operator would."""
    settings = {ID: {"host": f"{sandbox.url}/courier", "key": key}}
    contexts = ContextFactory(settings, limits=HttpLimits(backoff=0.001))
    return Registry(entry_points=(), extra={ID: parcelhook_courier}, contexts=contexts)


@pytest.fixture(scope="module")
def shared() -> Iterator[Courier]:
    """Run one courier for the file; each test books under keys of its own."""
    with running(SandboxSettings(courier_key=KEY, rate_limit=0)) as sandbox, registry_of(sandbox) as registry:
        yield Courier(sandbox, registry)


@pytest.fixture
def courier(shared: Courier) -> Courier:
    """Give the courier without faults of other tests."""
    shared.sandbox.sandbox.faults.clear()
    return shared


def test_the_plugin_is_active_with_all_it_claims(courier: Courier) -> None:
    """Registration refuses a capability without its hook, so active means that all are there."""
    (row,) = courier.registry.plugins()

    assert (row.state, row.carriers, row.reason) == ("active", (ID,), "")
    assert courier.registry.carrier(ID).capabilities == {"book", "track", "link"}


def test_the_plugin_imports_public_names_alone() -> None:
    """An example that used a private door would teach it."""
    modules, names = set(), set()
    for path in Path(parcelhook_courier.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
                names |= {alias.name for alias in node.names if node.module == "parcelhook"}

    assert {module for module in modules if module.startswith("parcelhook.")} == set()
    assert names <= set(parcelhook.__all__)


def test_its_numbers_are_known_by_their_check_digit(courier: Courier) -> None:
    """What the courier prints is identified as its own, and a mistyped digit is not."""
    number = courier.book_number("numbers")
    index = FormatIndex([courier.registry.carrier(ID)])
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)

    assert [found.carrier for found in index.identify(number)] == [ID]
    assert all(found.check_digit is False for found in index.identify(mistyped))


def test_booking_gives_number_and_complete_link(courier: Courier) -> None:
    """The link is there before any fulfillment is created, and opens the parcel's page."""
    booking = courier.book("link-at-booking")

    (parcel,) = booking.parcels
    assert booking.key == "link-at-booking"
    assert parcel.tracking_url is not None
    assert parcel.tracking_number in httpx.get(parcel.tracking_url).raise_for_status().text


def test_booking_sends_the_address_and_nothing_else_of_the_consignee(courier: Courier) -> None:
    """The courier is told where to go, and neither telephone nor e-mail."""
    number = courier.book_number("address")
    request = courier.sandbox.sandbox.courier.parcel(number).request

    assert request["reference"] == "address"
    assert request["items"] == 3
    assert request["recipient"] == {
        "name": "A Buyer",
        "company": "Example Ltd",
        "address_line": "12 Sample Street",
        "city": "Portland",
        "postal_code": "97201",
        "country": "US",
    }


def test_booking_again_with_the_same_key_gives_the_same_parcel(courier: Courier) -> None:
    """A key books once."""
    assert courier.book("twice") == courier.book("twice")


def test_booking_again_with_other_data_is_refused(courier: Courier) -> None:
    """The courier's code says why, and what was sent is not repeated."""
    courier.book("changed")
    with pytest.raises(CarrierRefused) as caught:
        courier.book("changed", CONSIGNEE.model_copy(update={"city": "Springfield"}))

    assert caught.value.code == "reference_taken"
    assert_nothing_personal(caught.value)


def test_booking_without_an_address_is_refused_before_the_courier_is_asked(courier: Courier) -> None:
    """An order without an address cannot be sent anywhere."""
    with pytest.raises(CarrierRefused, match="no complete address"):
        courier.book("nowhere", Consignee(name="A Buyer", country="US"))

    assert courier.registry.find_booking(ID, "nowhere") is None


def test_interrupted_booking_is_found_again(courier: Courier) -> None:
    """The courier booked, the connection broke: what it left behind is found under the key."""
    courier.control("faults", {"route": "courier-book", "effect": "untold"})
    with pytest.raises(CarrierUnavailable) as caught:
        courier.book("interrupted")

    found = courier.registry.find_booking(ID, "interrupted")
    assert_nothing_personal(caught.value)
    assert found is not None
    assert found == courier.book("interrupted")


def test_booking_that_never_arrived_left_nothing(courier: Courier) -> None:
    """A call that was refused with a fault booked nothing, and the same key books later."""
    courier.control("faults", {"route": "courier-book", "status": 503})
    with pytest.raises(CarrierUnavailable):
        courier.book("refused")

    assert courier.registry.find_booking(ID, "refused") is None
    assert courier.book("refused").parcels


def test_booking_that_is_answered_with_nonsense_is_unreadable(courier: Courier) -> None:
    """A success that cannot be read is an error, and what was booked is found all the same."""
    courier.control("faults", {"route": "courier-book", "effect": "untold", "body": "html"})
    with pytest.raises(CarrierUnreadable):
        courier.book("nonsense")

    assert courier.registry.find_booking(ID, "nonsense") is not None


def test_cancelling_is_done_once_however_often_it_is_asked(courier: Courier) -> None:
    """The parcel is cancelled, and its status says so."""
    booking = courier.book("cancelled")
    courier.registry.cancel_booking(ID, booking)
    courier.registry.cancel_booking(ID, booking)

    assert fold(courier.scans(booking.parcels[0].tracking_number)).status is Status.CANCELLED


def test_collected_parcel_is_not_cancelled(courier: Courier) -> None:
    """The courier refuses, and a person is told what to do."""
    booking = courier.book("collected")
    courier.control(f"parcels/courier/{booking.parcels[0].tracking_number}", {"journey": "delivered", "step": 2})
    with pytest.raises(CarrierRefused) as caught:
        courier.registry.cancel_booking(ID, booking)

    assert caught.value.code == "collected"
    assert caught.value.what_to_do


def test_cancelling_what_the_courier_does_not_know_is_no_error(courier: Courier) -> None:
    """There is nothing left to cancel."""
    unknown = Booking(key="none", parcels=(BookedParcel(tracking_number="LC999999990"),))
    courier.registry.cancel_booking(ID, unknown)

    assert courier.registry.stats()[ID, "parcelhook_cancel_booking"].calls


def test_link_of_a_number_is_asked_for(courier: Courier) -> None:
    """A number someone typed gets the courier's own link, as a custom provider."""
    booking = courier.book("typed")
    number = booking.parcels[0].tracking_number
    typed = f"{number[:2].lower()} {number[2:6]}-{number[6:]}"
    shipment = Shipment(carrier=ID, tracking_number=typed)

    info = tracking_info(courier.registry, shipment, allow_loopback=True)
    assert (info.provider, info.url) == ("Local Courier", booking.parcels[0].tracking_url)


@pytest.mark.parametrize("number", ["LC999999990", "LC1/2", "LC?x=1", "status"])
def test_link_of_an_unknown_number_is_an_error(courier: Courier, number: str) -> None:
    """No number, whatever it holds, leads anywhere but to a parcel."""
    with pytest.raises(CarrierError):
        courier.registry.resolve_tracking_url(Shipment(carrier=ID, tracking_number=number))


@pytest.mark.parametrize(
    ("journey", "status"),
    [("delivered", Status.DELIVERED), ("attempt", Status.DELIVERED), ("returned", Status.RETURNED)],
)
def test_journey_ends_in_its_status(courier: Courier, journey: str, status: Status) -> None:
    """Every code of every journey is in the table, and the scans add up."""
    number = courier.book_number(f"journey-{journey}")
    courier.control(f"parcels/courier/{number}", {"journey": journey})
    scans = courier.scans(number)

    assert [scan.code for scan in scans if scan.status is Status.UNKNOWN and not scan.informational] == []
    assert fold(scans).status is status


def test_attempt_says_that_nobody_was_home(courier: Courier) -> None:
    """A failed attempt keeps its reason, and its time is UTC with the courier's own beside it."""
    number = courier.book_number("nobody-home")
    courier.control(f"parcels/courier/{number}", {"journey": "attempt", "step": 5})
    scan = courier.scans(number)[-1]

    assert (scan.code, scan.status, scan.reason) == ("45", Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT)
    assert scan.local_time is not None
    assert (scan.time.utcoffset(), scan.local_time.utcoffset()) == (timedelta(0), timedelta(hours=2))
    assert scan.time == scan.local_time


def test_info_code_leaves_the_status(courier: Courier) -> None:
    """A label that is printed again says nothing about the parcel."""
    number = courier.book_number("label")
    courier.control(f"parcels/courier/{number}", {"journey": "delivered", "step": 3})
    scans = courier.scans(number)

    assert scans[-1].informational
    assert fold(scans).status is Status.PICKED_UP


def test_unknown_number_is_an_answer(courier: Courier) -> None:
    """Not found stands beside what was found, in one call."""
    number = courier.book_number("beside")
    reports = courier.registry.track(ID, [TrackingQuery(number=number), TrackingQuery(number="LC999999990")])

    assert {report.number: report.found for report in reports} == {number: True, "LC999999990": False}


def test_batch_is_as_large_as_the_courier_allows(courier: Courier) -> None:
    """A whole batch is answered in one call, and one number more is what the courier refuses."""
    size = courier.registry.carrier(ID).batch_size
    queries = [TrackingQuery(number=courier.book_number(f"batch-{index}")) for index in range(size)]
    reports = courier.registry.track(ID, queries)
    with pytest.raises(CarrierRefused) as caught:
        courier.registry.track(ID, [*queries, TrackingQuery(number="LC999999990")])

    assert {report.number for report in reports if report.found} == {query.number for query in queries}
    assert caught.value.code == "422"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 503}, CarrierUnavailable),
        ({"status": 429, "retry_after": 7}, CarrierThrottled),
        ({"effect": "untold"}, CarrierUnavailable),
        ({"effect": "untold", "body": "html"}, CarrierUnreadable),
    ],
)
def test_fault_while_tracking_is_told_as_it_is(
    courier: Courier, fault: dict[str, JsonValue], error: type[CarrierError]
) -> None:
    """Each fault is its own error, with carrier and hook."""
    courier.control("faults", {"route": "courier-status", **fault})
    with pytest.raises(error) as caught:
        courier.scans("LC999999990")

    assert (caught.value.carrier, caught.value.operation) == (ID, "parcelhook_track")
    assert caught.value.retry_after == fault.get("retry_after")


def test_link_outlives_a_passing_fault(courier: Courier) -> None:
    """Asking for a page is safe to repeat, so one fault is not even noticed."""
    booking = courier.book("passing")
    courier.control("faults", {"route": "courier-status", "status": 503})
    shipment = Shipment(carrier=ID, tracking_number=booking.parcels[0].tracking_number)

    assert courier.registry.resolve_tracking_url(shipment) == booking.parcels[0].tracking_url


def test_wrong_key_is_refused_and_not_repeated(courier: Courier) -> None:
    """The error names the table to look at, never the key."""
    with registry_of(courier.sandbox, key="a-wrong-key") as registry, pytest.raises(CarrierUnauthorized) as caught:
        registry.track(ID, [TrackingQuery(number="LC999999990")])

    assert "[carriers.courier]" in caught.value.what_to_do
    assert "a-wrong-key" not in f"{caught.value!r} {caught.value.what_to_do}"


def test_missing_key_names_the_setting(courier: Courier) -> None:
    """Without a key nothing is asked, and the variable to set is named."""
    contexts = ContextFactory({ID: {"host": f"{courier.sandbox.url}/courier"}})
    with (
        Registry(entry_points=(), extra={ID: parcelhook_courier}, contexts=contexts) as registry,
        pytest.raises(ConfigurationError) as caught,
    ):
        registry.track(ID, [TrackingQuery(number="LC999999990")])

    assert "PARCELHOOK_CARRIERS__COURIER__KEY" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("title", "chosen"), [("Express with LOCAL courier", True), ("Standard shipping", False), ("", False)]
)
def test_order_that_names_the_courier_is_taken(courier: Courier, title: str, *, chosen: bool) -> None:
    """The shipping method decides, whatever its case."""
    order: JsonValue = {"shippingInfo": {"title": title}}
    (order_id,) = courier.control("orders", {"items": 2, "order": order}).json()["order_ids"]
    ready = courier.sandbox.ready
    key = ApiKey.model_validate({"key": ready["api_key"], "site_id": ready["site_id"]})
    with WixClient(base_url=courier.sandbox.url, credentials=key, gate=OpenGate()) as wix:
        seen = for_plugins(read_orders(wix, [order_id])[order_id], store="shop")

    items = {item.id: ID for item in seen.line_items}
    assert len(items) == 2
    assert courier.registry.choose_carrier(seen) == ({ID: items} if chosen else {})


def test_one_unreadable_parcel_hides_no_other(courier: Courier) -> None:
    """A parcel without its events becomes an error beside the reports, and repeats no value."""
    body = b'{"parcels": [{"number": "LC100000016"}, {"number": "LC100000023", "events": []}], "not_found": ["LC1"]}'
    parsed = courier.registry.parse(ID, CarrierAnswer(status=200, body=body))

    assert [(report.number, report.found) for report in parsed.reports] == [("LC100000023", True), ("LC1", False)]
    assert [(fault.number, fault.message) for fault in parsed.errors] == [("LC100000016", "cannot be read: events")]


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (
            401,
            b'{"error": {"code": "unauthorized", "message": "X-Courier-Key is missing or wrong"}}',
            "unauthorized",
            0,
        ),
        (503, b"<h1>Bad gateway</h1>", "503", 1),
        (429, b"", "429", 1),
    ],
)
def test_refusal_is_parsed_into_an_error(courier: Courier, status: int, body: bytes, code: str, retryable: int) -> None:
    """A raw refusal gives no report, and says whether asking again helps."""
    parsed = courier.registry.parse(ID, CarrierAnswer(status=status, body=body))

    assert parsed.reports == ()
    assert [(fault.code, fault.retryable) for fault in parsed.errors] == [(code, bool(retryable))]


def assert_nothing_personal(error: BaseException) -> None:
    """Check an error and what caused it for anything of the consignee's."""
    told = []
    each: BaseException | None = error
    while each is not None:
        told.append(f"{each!r} {getattr(each, 'what_to_do', '')}")
        each = each.__cause__ or each.__context__

    assert [word for word in PERSONAL if word in " ".join(told)] == []
