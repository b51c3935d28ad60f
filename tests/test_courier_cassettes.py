"""What the local courier once answered is still understood, byte for byte, without a network.

``PARCELHOOK_RECORD=1 pytest tests/test_courier_cassettes.py`` records the cassettes anew from the sandbox; the files
stay the same as long as neither requests nor answers change.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from pydantic import JsonValue

import parcelhook_courier
from parcelhook.contexts import ContextFactory
from parcelhook.errors import CarrierRefused, CarrierUnauthorized, HookFailed
from parcelhook.fulfillment.linking import tracking_info
from parcelhook.models import BookingRequest, Consignee, Order, Shipment, ShipmentItem, Status, TrackingQuery
from parcelhook.registry import Registry
from parcelhook.sandbox import SandboxSettings, running
from parcelhook.statuses import fold, mapped
from parcelhook.testing.cassettes import cassette, tape
from parcelhook.wix import WIX_URL, ApiKey, NewFulfillment, OpenGate, WixClient

__all__ = ["tape"]

CASSETTES = Path(__file__).parent.parent / "cassettes"
COURIER = CASSETTES / "courier"
RECORDING = bool(os.environ.get("PARCELHOOK_RECORD"))
ID = "courier"
API_URL = "https://api.courier.example"
KEY = "recorded-courier-key"
WIX = ApiKey.model_validate({"key": "recorded-api-key", "site_id": "77777777-7777-4777-8777-777777777777"})
ORDER = "11111111-1111-4111-8111-111111111111"
LINE_ITEM = "00000000-0000-0000-0000-000000000001"
FIXED = {ORDER, LINE_ITEM, WIX.site_id}
NUMBER = "LC100000016"
PAGE = f"https://track.courier.example/track/{NUMBER}?t=page-of-the-parcel"
ADDRESS = Consignee(company="Example Ltd", address_line="12 Sample Street", city="Portland", country="US")
ITEMS = (ShipmentItem(line_item_id=LINE_ITEM, quantity=1),)
REQUEST = BookingRequest(key="shipment-1", order=Order(id=ORDER, consignee=ADDRESS), items=ITEMS)

Tape = Callable[..., AbstractContextManager[None]]
Prepare = Callable[["Prepared"], None]


class Prepared:
    """A sandbox that is being prepared for a recording."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def book(self) -> None:
        """Book the first parcel, whose number is always the same."""
        body = {"reference": "shipment-1", "recipient": {"company": "Example Ltd"}, "items": 1}
        self._http.post("courier/parcels", json=body, headers={"X-Courier-Key": KEY}).raise_for_status()

    def control(self, path: str, body: JsonValue) -> None:
        """Tell the sandbox what to do."""
        self._http.post(f"_sandbox/{path}", json=body).raise_for_status()


class Steady:
    """Rewrite what differs from recording to recording: hosts, ids, tokens, and times, which keep their order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids: dict[str, str] = {}
        self._times: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Rewrite one URL, header or body."""
        text = text.replace(f"{self._url}/courier/track/", "https://track.courier.example/track/")
        text = text.replace(f"{self._url}/courier", API_URL).replace(self._url, WIX_URL)
        text = re.sub(r"(?<=\?t=)[\w-]+", "page-of-the-parcel", text)
        text = re.sub(r"\b\d{10}\.\d{15}\b", "request-1", text)
        text = re.sub(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", self._id, text)
        return re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?=Z|\+02:00)", self._time, text)

    def _id(self, found: re.Match[str]) -> str:
        return (
            found[0]
            if found[0] in FIXED
            else self._ids.setdefault(found[0], f"00000000-0000-4000-8000-{len(self._ids) + 1:012}")
        )

    def _time(self, found: re.Match[str]) -> str:
        moment = datetime(2026, 1, 5, 9) + timedelta(hours=len(self._times))  # noqa: DTZ001 - the offset stays behind it
        return self._times.setdefault(found[0], moment.isoformat(timespec="milliseconds"))


@dataclass(frozen=True)
class Recorded:
    """The courier's registry and a Wix client, whose every call is on a cassette."""

    registry: Registry
    wix: WixClient


@contextmanager
def on(tape: Tape, name: str, *, prepare: Prepare = lambda _: None, key: str = KEY) -> Iterator[Recorded]:
    """Play a cassette; to record it, run a sandbox that is prepared for it."""
    with _sandbox(prepare) if RECORDING else nullcontext(WIX_URL) as url:
        settings: dict[str, object] = {"key": key}
        if RECORDING:
            settings["host"] = f"{url}/courier"
        with (
            Registry(
                entry_points=(), extra={ID: parcelhook_courier}, contexts=ContextFactory({ID: settings})
            ) as registry,
            WixClient(base_url=url, credentials=WIX, gate=OpenGate()) as wix,
            tape(COURIER / f"{name}.yaml", redact=["x-courier-key"], rewrite=Steady(url)),
        ):
            yield Recorded(registry, wix)


@contextmanager
def _sandbox(prepare: Prepare) -> Iterator[str]:
    settings = SandboxSettings(courier_key=KEY, api_key=WIX.key.get_secret_value(), site_id=WIX.site_id)
    with running(settings) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        prepare(Prepared(http))
        yield sandbox.url


def booked(sandbox: Prepared) -> None:
    """Prepare a parcel."""
    sandbox.book()


def delivered(sandbox: Prepared) -> None:
    """Prepare a parcel that arrived."""
    sandbox.book()
    sandbox.control(f"parcels/courier/{NUMBER}", {"journey": "delivered"})


def order(sandbox: Prepared) -> None:
    """Prepare an order that waits to be shipped."""
    sandbox.control("orders", {"items": [{"quantity": 1}], "order": {"id": ORDER}})


def is_page(url: str | None) -> bool:
    """Tell whether a link is the parcel's page: on the cassette, or, while it is recorded, in the sandbox."""
    return url == PAGE or (RECORDING and f"/courier/track/{NUMBER}?t=" in (url or ""))


def test_booking(tape: Tape) -> None:
    """A booking gives number and complete link."""
    with on(tape, "book/booked") as recorded:
        (parcel,) = recorded.registry.book(ID, REQUEST).parcels

    assert parcel.tracking_number == NUMBER
    assert is_page(parcel.tracking_url)


def test_booking_refused(tape: Tape) -> None:
    """The reference is taken by a parcel with other data."""
    with on(tape, "book/refused", prepare=booked) as recorded, pytest.raises(CarrierRefused) as caught:
        recorded.registry.book(ID, REQUEST)

    assert caught.value.code == "reference_taken"


def test_booking_found(tape: Tape) -> None:
    """An interrupted booking is found under its key, and another key finds nothing."""
    with on(tape, "book/found", prepare=booked) as recorded:
        found = recorded.registry.find_booking(ID, "shipment-1")
        other = recorded.registry.find_booking(ID, "shipment-2")

    assert found is not None
    assert [parcel.tracking_number for parcel in found.parcels] == [NUMBER]
    assert other is None


def test_link(tape: Tape) -> None:
    """The link of a number is the one the courier gives."""
    with on(tape, "link/known", prepare=booked) as recorded:
        shipment = Shipment(carrier=ID, tracking_number=NUMBER)
        info = tracking_info(recorded.registry, shipment, allow_loopback=RECORDING)

    assert info.provider == "Local Courier"
    assert is_page(info.url)


def test_tracking_of_a_delivered_parcel(tape: Tape) -> None:
    """The scans of a whole journey add up to delivered."""
    with on(tape, "track/delivered", prepare=delivered) as recorded:
        (report,) = recorded.registry.track(ID, [TrackingQuery(number=NUMBER)])

    assert [scan.code for scan in report.scans] == ["10", "20", "25", "30", "40", "50"]
    assert fold(mapped(parcelhook_courier.carrier, scan) for scan in report.scans).status is Status.DELIVERED


def test_tracking_of_an_unknown_parcel(tape: Tape) -> None:
    """Not found is an answer."""
    with on(tape, "track/not-found") as recorded:
        (report,) = recorded.registry.track(ID, [TrackingQuery(number="LC999999990")])

    assert (report.number, report.found, report.scans) == ("LC999999990", False, ())


def test_wrong_key(tape: Tape) -> None:
    """The courier refuses the account."""
    with on(tape, "auth/refused", key="recorded-wrong-key") as recorded, pytest.raises(CarrierUnauthorized) as caught:
        recorded.registry.track(ID, [TrackingQuery(number=NUMBER)])

    assert caught.value.code == "401"


def test_url_comes_before_create_fulfillment(tape: Tape) -> None:
    """The courier has given the complete link by the time Wix is told, and Wix is told exactly that link."""
    with on(tape, "fulfill/url_then_create", prepare=order) as recorded:
        (parcel,) = recorded.registry.book(ID, REQUEST).parcels
        info = tracking_info(
            recorded.registry,
            Shipment(carrier=ID, tracking_number=parcel.tracking_number, order_id=ORDER, items=ITEMS),
            given_url=parcel.tracking_url or "",
            allow_loopback=RECORDING,
        )
        fulfillment = NewFulfillment(
            line_items=ITEMS,
            tracking_number=parcel.tracking_number,
            shipping_provider=info.provider,
            tracking_link=info.url,
        )
        created = recorded.wix.create_fulfillment(ORDER, fulfillment)

    booking, create = calls("fulfill/url_then_create")
    assert [booking.host, create.host] == ["api.courier.example", urlsplit(WIX_URL).hostname]
    assert (create.method, create.path) == ("POST", f"/ecom/v1/fulfillments/orders/{ORDER}/create-fulfillment")
    assert create.sent["fulfillment"]["trackingInfo"] == {
        "trackingNumber": booking.answered["number"],
        "shippingProvider": "Local Courier",
        "trackingLink": booking.answered["tracking_page"],
    }
    assert booking.answered["tracking_page"] == PAGE
    assert created.order.fulfillments[0].tracking_number == NUMBER


def test_replay_refuses_another_body() -> None:
    """Another booking is another request, though method and path are the same."""
    from vcr.errors import CannotOverwriteExistingCassetteException  # noqa: PLC0415 - slow to import

    other = REQUEST.model_copy(update={"key": "shipment-2"})
    contexts = ContextFactory({ID: {"key": KEY}})
    with (
        Registry(entry_points=(), extra={ID: parcelhook_courier}, contexts=contexts) as registry,
        pytest.raises(HookFailed) as caught,
        cassette(COURIER / "book" / "booked.yaml"),
    ):
        registry.book(ID, other)

    assert isinstance(caught.value.__cause__, CannotOverwriteExistingCassetteException)


def test_every_cassette_of_the_courier_is_played() -> None:
    """No cassette is left behind when its test goes."""
    source = Path(__file__).read_text(encoding="utf-8")
    names = {str(path.relative_to(COURIER).with_suffix("")) for path in COURIER.rglob("*.yaml")}

    assert names == set(re.findall(r'with on\(tape, "([^"]+)"', source))


def test_no_cassette_holds_the_courier_key_or_a_page_token() -> None:
    """Keys are redacted, and the only token is made up."""
    text = "".join(path.read_text(encoding="utf-8") for path in COURIER.rglob("*.yaml"))

    assert "recorded-" not in text
    assert "x-courier-key:\n      - REDACTED" in text
    assert set(re.findall(r"\?t=([\w-]+)", text)) == {"page-of-the-parcel"}


@dataclass(frozen=True)
class Call:
    """One call of a cassette, as the file has it."""

    method: str
    host: str
    path: str
    sent: dict[str, Any]
    answered: dict[str, Any]


def calls(name: str) -> list[Call]:
    """Read the calls of a cassette in their order."""
    interactions = yaml.safe_load((COURIER / f"{name}.yaml").read_text(encoding="utf-8"))["interactions"]
    return [
        Call(
            method=each["request"]["method"],
            host=urlsplit(each["request"]["uri"]).hostname or "",
            path=urlsplit(each["request"]["uri"]).path,
            sent=json.loads(each["request"]["body"]),
            answered=json.loads(each["response"]["body"]["string"]),
        )
        for each in interactions
    ]
