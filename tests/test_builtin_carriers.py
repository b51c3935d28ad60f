"""The built-in carriers: what they claim, how their codes read, and that they have no private door."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

import parcelhook
import parcelhook_canada_post
import parcelhook_catalog
import parcelhook_dhl
import parcelhook_fedex
import parcelhook_ups
import parcelhook_usps
from number_samples import CARRIERS, PREDEFINED
from parcelhook import Carrier, Reason, Scan, Status
from parcelhook.links import tracking_link
from parcelhook.statuses import Decision, decide

MODULES = [
    parcelhook_fedex,
    parcelhook_ups,
    parcelhook_usps,
    parcelhook_dhl,
    parcelhook_canada_post,
    parcelhook_catalog,
]
HOOKS = {module.carrier.id: getattr(module, "parcelhook_map_status", None) for module in MODULES[:-1]}
BY_ID = {carrier.id: carrier for carrier in CARRIERS}


def reading(carrier: str, code: str, text: str = "", **extra: str) -> Decision:
    """Decide a scan as the built-in plug-in would, hook included."""
    time = datetime(2026, 11, 18, tzinfo=UTC)
    names = {name.replace("__", "."): value for name, value in extra.items()}
    scan = Scan(code=code, description=text, time=time, extra=names)
    return decide(BY_ID[carrier], scan, ask=HOOKS[carrier])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_plugin_uses_public_names_only(module: ModuleType) -> None:
    """A built-in carrier imports from parcelhook itself what any other author can."""
    assert module.__file__ is not None
    for file in Path(module.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "parcelhook":
                assert node.module == "parcelhook"
                assert {name.name for name in node.names} <= set(parcelhook.__all__)


def test_every_carrier_is_served_once() -> None:
    """76 carriers, each with an id of its own."""
    served = [carrier for module in MODULES for carrier in module.parcelhook_carriers()]

    assert len(served) == 76
    assert {carrier.id for carrier in served} == set(BY_ID)
    assert len(BY_ID) == 76


def test_only_the_predefined_carriers_are_wix_providers() -> None:
    """Wix builds links for these five; every other carrier sends its own."""
    providers = {carrier.id: carrier.wix_provider for carrier in CARRIERS if carrier.wix_provider}

    assert providers == {
        "fedex": "fedex",
        "ups": "ups",
        "usps": "usps",
        "dhl": "dhl",
        "canada-post": "canadaPost",
    }


@pytest.mark.parametrize(
    ("carrier", "batch_size", "host"),
    [
        ("fedex", 30, "https://apis.fedex.com"),
        ("ups", 1, "https://onlinetools.ups.com"),
        ("usps", 35, "https://apis.usps.com"),
        ("dhl", 1, "https://api-eu.dhl.com"),
        ("canada-post", 1, "https://api.canadapost-postescanada.ca"),
    ],
)
def test_how_a_carrier_is_asked(carrier: str, batch_size: int, host: str) -> None:
    """The API's host and how many numbers one call takes."""
    assert (BY_ID[carrier].batch_size, BY_ID[carrier].host) == (batch_size, host)
    assert BY_ID[carrier].time_zone


def test_every_format_has_a_name_of_its_own() -> None:
    """Within a carrier, services and format ids are unique, so that a candidate can be traced to its rule."""
    for carrier in CARRIERS:
        services = [format_.service for format_ in carrier.numbers if not format_.s10]
        ids = [format_.id for format_ in carrier.numbers if not format_.s10]

        assert len(services) == len(set(services))
        assert all(ids)
        assert len(ids) == len(set(ids))


def test_every_format_is_there() -> None:
    """63 shapes, two of which DHL Paket claims as well, and the S10 numbers of 193 countries."""
    shapes = [format_.id for carrier in CARRIERS for format_ in carrier.numbers if not format_.s10]
    countries = [country for carrier in CARRIERS for format_ in carrier.numbers for country in format_.s10]

    assert len(set(shapes)) == 63
    assert len(shapes) == 65
    assert len(set(countries)) == 193
    assert [country for country in sorted(countries) if countries.count(country) > 1] == ["DE", "DE"]


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.id)
def test_every_carrier_has_a_page(carrier: Carrier) -> None:
    """A number gets a link that holds it, or the landing page; only the posts of the world have none in common."""
    link = tracking_link(carrier, "AB123", postal_code="12345", country="NL")

    assert (link is None) == (carrier.id == "s10")
    if link is not None:
        assert ("AB123" in link) == (carrier.id not in {"india-post", "singpost"})


@pytest.mark.parametrize(
    ("carrier", "link"),
    [
        ("ups", "https://www.ups.com/track?loc=en_US&tracknum=AB123"),
        ("royal-mail", "https://www.royalmail.com/track-your-item#/tracking-results/AB123"),
        ("gls-es", "https://gls-group.com/track/AB123"),
        ("postnl", "https://postnl.nl/tracktrace/?B=AB123&D=NL&T=C&L=EN"),
        ("singpost", "https://www.singpost.com/track-items"),
    ],
)
def test_a_page_that_wants_more_than_the_number(carrier: str, link: str) -> None:
    """Without a postal code the landing page is given, and without a language the carrier's first one."""
    assert tracking_link(BY_ID[carrier], "AB123", country="NL") == link


@pytest.mark.parametrize(
    ("carrier", "rows"),
    [
        ("fedex", {"code": 67}),
        ("ups", {"code": 42, "statusCode": 160, "type": 13}),
        ("usps", {"code": 117, "statusCategory": 13}),
        ("dhl", {"code": 5}),
        ("canada-post", {"code": 213}),
    ],
)
def test_the_status_tables_are_complete(carrier: str, rows: dict[str, int]) -> None:
    """Every code the carriers document, and those seen in their answers, has a row."""
    tables = {"code": BY_ID[carrier].statuses, **BY_ID[carrier].status_tables}

    assert {name: len(table) for name, table in tables.items()} == rows


def test_no_catalogue_carrier_has_statuses_or_capabilities() -> None:
    """The catalogue knows numbers and pages alone."""
    assert not any(carrier.statuses or carrier.capabilities for carrier in parcelhook_catalog.carriers)
    assert not any(carrier.wix_provider for carrier in parcelhook_catalog.carriers)
    assert len(PREDEFINED) == 5


@pytest.mark.parametrize(
    ("code", "extra", "text", "status", "reason"),
    [
        ("OD", {"derivedStatusCode": "IT"}, "", Status.OUT_FOR_DELIVERY, None),
        ("Ow", {}, "", Status.IN_TRANSIT, None),
        ("DL", {"exceptionCode": "08"}, "", Status.DELIVERED, None),
        ("HL", {}, "", Status.AVAILABLE_FOR_PICKUP, None),
        ("DE", {}, "Delivery exception", Status.EXCEPTION, Reason.OTHER),
        ("DE", {"exceptionCode": "003"}, "", Status.EXCEPTION, Reason.ADDRESS),
        ("DE", {"exceptionCode": "08"}, "", Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT),
        ("DE", {"exceptionCode": "07"}, "", Status.ATTEMPT_FAILED, Reason.REFUSED),
        ("DE", {"exceptionCode": "07"}, "Customer not available", Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT),
        ("DE", {"exceptionCode": "08"}, "Refused by recipient", Status.ATTEMPT_FAILED, Reason.REFUSED),
        ("DE", {"reason": "15"}, "", Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT),
        ("SE", {"exceptionCode": "A52"}, "", Status.EXCEPTION, Reason.DELAY),
        ("SE", {"exceptionCode": "A47"}, "", Status.IN_TRANSIT, None),
        ("SE", {"exceptionCode": "A47"}, "Ready for pickup", Status.AVAILABLE_FOR_PICKUP, None),
        ("IT", {"delayDetail__status": "DELAYED", "delayDetail__type": "WEATHER"}, "", Status.IN_TRANSIT, "weather"),
        ("IT", {"delayDetail__status": "ON_TIME", "delayDetail__type": "WEATHER"}, "", Status.IN_TRANSIT, None),
        ("DY", {}, "Shipment delayed", Status.EXCEPTION, Reason.DELAY),
        ("ZZ", {"derivedStatusCode": "DL"}, "", Status.DELIVERED, None),
        ("ZZ", {}, "Delivered", Status.UNKNOWN, None),
    ],
)
def test_fedex_codes(code: str, extra: dict[str, str], text: str, status: Status, reason: Reason | None) -> None:
    """The specific code comes first; exception code, delay and text refine what it leaves open."""
    decision = reading("fedex", code, text, **extra)

    assert (decision.status, decision.reason) == (status, reason)


def test_a_changed_delivery_moves_no_fedex_parcel() -> None:
    """DY means delayed, or "delivery updated": the text tells, and the latter says nothing about the status."""
    assert reading("fedex", "DY", "Delivery updated").informational


@pytest.mark.parametrize(
    ("code", "extra", "text", "status"),
    [
        ("DL", {"statusCode": "011", "type": "D"}, "", Status.DELIVERED),
        ("DL", {"type": "I"}, "", Status.IN_TRANSIT),
        ("", {"statusCode": "21", "type": "D"}, "", Status.OUT_FOR_DELIVERY),
        ("", {"type": "D"}, "DELIVERED ", Status.DELIVERED),
        ("", {"type": "D"}, "Out for Delivery Today", Status.UNKNOWN),
        ("MV", {"type": "MV"}, "", Status.CANCELLED),
        ("MV", {"type": "M"}, "", Status.PRE_TRANSIT),
        ("", {"statusCode": "144"}, "", Status.AVAILABLE_FOR_PICKUP),
        ("", {"statusCode": "999"}, "Delivered", Status.UNKNOWN),
    ],
)
def test_ups_codes(code: str, extra: dict[str, str], text: str, status: Status) -> None:
    """Three digits decide, then two characters, then the type, whose D alone is never a delivery."""
    assert reading("ups", code, text, **extra).status is status


@pytest.mark.parametrize(
    ("code", "extra", "status", "reason"),
    [
        ("01", {}, Status.DELIVERED, None),
        ("AH", {}, Status.AVAILABLE_FOR_PICKUP, None),
        ("WX", {}, Status.EXCEPTION, Reason.WEATHER),
        ("27", {}, Status.RETURN_TO_SENDER, Reason.RECIPIENT_ABSENT),
        ("", {"statusCategory": "out for delivery "}, Status.OUT_FOR_DELIVERY, None),
        ("", {"statusCategory": "Delivered to Agent"}, Status.AVAILABLE_FOR_PICKUP, None),
        ("ZZ", {}, Status.UNKNOWN, None),
    ],
)
def test_usps_codes(code: str, extra: dict[str, str], status: Status, reason: Reason | None) -> None:
    """Events have codes, the summary has a category."""
    decision = reading("usps", code, **extra)

    assert (decision.status, decision.reason) == (status, reason)


@pytest.mark.parametrize(
    ("code", "extra", "text", "status"),
    [
        ("transit", {}, "The shipment has been loaded onto the delivery vehicle", Status.OUT_FOR_DELIVERY),
        ("transit", {}, "Being prepared for delivery in the delivery depot", Status.IN_TRANSIT),
        ("transit", {}, "Wird zurückgesandt", Status.RETURN_TO_SENDER),
        ("transit", {"status": "OUT FOR DELIVERY"}, "", Status.OUT_FOR_DELIVERY),
        ("failure", {"remark": "Held at customs"}, "", Status.EXCEPTION),
        ("delivered", {}, "Returned to sender, a delivery attempt failed", Status.DELIVERED),
        ("delivered", {"service": "express", "status": "WC"}, "", Status.DELIVERED),
        ("transit", {"service": "express", "status": "WC"}, "", Status.OUT_FOR_DELIVERY),
        ("transit", {"service": "express", "status": "OK"}, "", Status.IN_TRANSIT),
        ("unknown", {"service": "express", "status": "OK"}, "", Status.DELIVERED),
        ("transit", {"service": "parcel-de", "status": "WC"}, "", Status.IN_TRANSIT),
        ("arrived", {}, "The shipment has been successfully delivered", Status.UNKNOWN),
    ],
)
def test_dhl_codes(code: str, extra: dict[str, str], text: str, status: Status) -> None:
    """Five codes are refined by text, Express by its letters; a delivery by neither, and an unknown code not at all."""
    assert reading("dhl", code, text, **extra).status is status


@pytest.mark.parametrize(
    ("code", "text", "status", "informational"),
    [
        ("174", "Item out for delivery", Status.OUT_FOR_DELIVERY, False),
        ("0174", "Returned item out for delivery", Status.RETURN_TO_SENDER, False),
        ("1496", "Delivered", Status.DELIVERED, False),
        ("1496", "Item successfully returned to sender", Status.RETURNED, False),
        ("20", "Signature available", Status.UNKNOWN, True),
        ("1435", "Notice card left", Status.ATTEMPT_FAILED, False),
        ("1400", "Delivered to your door", Status.DELIVERED, False),
        ("9999", "Delivered to your door", Status.UNKNOWN, False),
    ],
)
def test_canada_post_codes(code: str, text: str, status: Status, *, informational: bool) -> None:
    """Identifiers are padded to four digits, the text tells a return, and an unlisted code is never a delivery."""
    decision = reading("canada-post", code, text)

    assert (decision.status, decision.informational) == (status, informational)
