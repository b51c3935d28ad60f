"""Every hook is documented by an example that runs, through the registry and against a carrier on loopback."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from textwrap import dedent
from types import ModuleType

import pytest
from pydantic import BaseModel

import parcelhook
from carrier_wire import CarrierServer, Reply, carrier_server
from parcelhook import (
    BookedParcel,
    Booking,
    BookingRequest,
    Carrier,
    CarrierAnswer,
    CarrierPush,
    CarrierRefused,
    Consignee,
    LineItem,
    Notice,
    Order,
    Scan,
    Shipment,
    ShipmentItem,
    Status,
    TrackingQuery,
    TrackingReport,
    hookspecs,
)
from parcelhook.carrier import API_VERSIONS
from parcelhook.contexts import ContextFactory
from parcelhook.implementations import HOOKS, implementations, promise
from parcelhook.registry import Registry

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ASYNC = {
    "parcelhook_resolve_tracking_url",
    "parcelhook_track",
    "parcelhook_book",
    "parcelhook_find_booking",
    "parcelhook_cancel_booking",
}


class Page(BaseModel):
    """The page of one parcel."""

    tracking_page: str


class PageParcel(BaseModel):
    """One parcel of a status page."""

    number: str

    def report(self) -> TrackingReport:
        """Give the parcel as a report."""
        return TrackingReport(number=self.number)


class StatusPage(BaseModel):
    """The carrier's tracking answer."""

    parcels: list[PageParcel]


class AcmeSettings(BaseModel):
    """What the operator configures."""

    push_key: str


def check_signature(push: CarrierPush, *, key: str) -> None:
    """Refuse a push whose signature is not the key itself."""
    if push.headers.get("signature") != key:
        raise CarrierRefused("forged", carrier="acme")


def parse(body: bytes) -> list[TrackingReport]:
    """Read a status page."""
    return [parcel.report() for parcel in StatusPage.model_validate_json(body).parcels]


def booking(key: str, found: list[PageParcel]) -> Booking:
    """Give what was found as a booking."""
    return Booking(key=key, parcels=tuple(BookedParcel(tracking_number=parcel.number) for parcel in found))


def example(hook: str) -> str:
    """Give the example in a hook's docstring."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    return dedent(text.partition("Example::\n")[2])


@pytest.fixture(scope="module")
def server() -> Iterator[CarrierServer]:
    """Run a carrier that answers what the examples ask."""
    page = json.dumps({"tracking_page": "https://acme.example/t/1", "number": "AC1", "parcels": [{"number": "AC1"}]})
    with carrier_server() as running:
        for path in ("/parcels", "/parcels/AC1", "/status"):
            running.reply(path, Reply(body=page.encode()))
        yield running


@pytest.fixture(scope="module")
def registry(server: CarrierServer) -> Iterator[Registry]:
    """Register all examples together as one plug-in, and nothing else."""
    module = ModuleType("acme_of_examples")
    names = {name: getattr(parcelhook, name) for name in parcelhook.__all__}
    ours = (Page, StatusPage, AcmeSettings, check_signature, parse, booking)
    module.__dict__.update(names | {each.__name__: each for each in ours} | {"Parcel": PageParcel})
    module.__dict__.update({"Parcels": StatusPage, "Sequence": list, "__package__": "acme"})
    module.Carrier = type("Loading", (), {"load": lambda _package: acme()})  # type: ignore[attr-defined]
    for hook in HOOKS:
        code = example(hook).replace("list[Carrier]", "list").replace("print(", "told(")
        exec(compile("from __future__ import annotations\n" + code, hook, "exec"), module.__dict__)  # noqa: S102
    told: list[str] = []
    module.told = told.append  # type: ignore[attr-defined]
    module.heard = told  # type: ignore[attr-defined]
    contexts = ContextFactory({"acme": {"host": server.url, "push_key": "right"}})
    with Registry(entry_points=[], extra={"acme": module}, contexts=contexts) as made:
        yield made


def acme() -> Carrier:
    """Give the carrier of the examples."""
    return Carrier(id="acme", name="Acme", host="https://api.acme.example", settings=AcmeSettings)


def test_there_are_the_hooks_there_should_be() -> None:
    """Names, arguments and kinds of the hooks are part of API version 1 and do not change by accident."""
    assert {name: hook.arguments for name, hook in HOOKS.items()} == {
        "parcelhook_carriers": (),
        "parcelhook_resolve_tracking_url": ("shipment", "context"),
        "parcelhook_map_status": ("scan",),
        "parcelhook_track": ("queries", "context"),
        "parcelhook_parse": ("answer",),
        "parcelhook_receive": ("push", "context"),
        "parcelhook_book": ("request", "context"),
        "parcelhook_find_booking": ("key", "context"),
        "parcelhook_cancel_booking": ("booking", "context"),
        "parcelhook_choose_carrier": ("order",),
        "parcelhook_notify": ("notice",),
    }
    assert {name for name, hook in HOOKS.items() if hook.is_async} == ASYNC
    assert list(API_VERSIONS) == [1]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_promises_a_type(hook: str) -> None:
    """A hook has one imperative sentence, an example of its own, and a return type that can be checked."""
    first = (inspect.getdoc(getattr(hookspecs, hook)) or "").partition("\n\n")[0]

    assert first.split()[0] in {"Give", "Ask", "Turn", "Check", "Book", "Cancel", "Choose", "Be"}
    assert f"def {hook}(" in example(hook)
    assert promise(hook).core_schema["type"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_is_accepted_alone(hook: str) -> None:
    """An author who copies one example into a plug-in has a valid implementation of that hook."""
    module = ModuleType("copied")
    module.__dict__.update({name: getattr(parcelhook, name) for name in parcelhook.__all__})
    source = "from __future__ import annotations\n" + example(hook).replace("Carrier.load(__package__)", "None")

    exec(compile(source, hook, "exec"), module.__dict__)  # noqa: S102 - our own docstring

    assert list(implementations(module, name="copied")) == [hook]


ORDER = Order(
    id="o1", line_items=(LineItem(id="l1", quantity=1, remaining=1),), consignee=Consignee(name="X", country="IL")
)
BOOKED = Booking(key="k", parcels=(BookedParcel(tracking_number="AC1"),))
REQUEST = BookingRequest(key="k", order=ORDER, items=(ShipmentItem(line_item_id="l1", quantity=1),))
CALLS: dict[str, tuple[Callable[[Registry], object], object]] = {
    "parcelhook_carriers": (lambda registry: [carrier.id for carrier in registry.carriers()], ["acme"]),
    "parcelhook_resolve_tracking_url": (
        lambda registry: registry.resolve_tracking_url(Shipment(carrier="acme", tracking_number="AC1")),
        "https://acme.example/t/1",
    ),
    "parcelhook_map_status": (
        lambda registry: (
            getattr(registry.map_status("acme", Scan(code="30", time=NOON, extra={"place": "locker"})), "status", None),
            registry.map_status("acme", Scan(code="30", time=NOON)),
        ),
        (Status.AVAILABLE_FOR_PICKUP, None),
    ),
    "parcelhook_track": (
        lambda registry: registry.track("acme", [TrackingQuery(number="AC1")]),
        (TrackingReport(number="AC1"),),
    ),
    "parcelhook_parse": (
        lambda registry: (
            registry.parse("acme", CarrierAnswer(status=200, body=b'{"parcels":[{"number":"A"}]}')).reports
        ),
        (TrackingReport(number="A"),),
    ),
    "parcelhook_receive": (
        lambda registry: registry.receive(
            "acme", CarrierPush(headers={"signature": "right"}, body=b'{"parcels":[{"number":"A"}]}')
        ),
        (TrackingReport(number="A"),),
    ),
    "parcelhook_book": (lambda registry: registry.book("acme", REQUEST), BOOKED),
    "parcelhook_find_booking": (lambda registry: registry.find_booking("acme", "k"), BOOKED),
    "parcelhook_cancel_booking": (lambda registry: registry.cancel_booking("acme", BOOKED), None),
    "parcelhook_choose_carrier": (lambda registry: registry.choose_carrier(ORDER), {"acme": {"l1": "acme"}}),
    "parcelhook_notify": (
        lambda registry: registry.notify(Notice(id="1", kind="delivered", store="s", at=NOON, order_id="o1")),
        {},
    ),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_runs(registry: Registry, hook: str) -> None:
    """Each example does what its hook promises when it is called the way flows call it."""
    call, expected = CALLS[hook]

    assert call(registry) == expected


def test_a_forged_push_is_refused(registry: Registry) -> None:
    """The example of ``parcelhook_receive`` raises CarrierRefused, which passes with the hook's name."""
    with pytest.raises(CarrierRefused, match="forged") as caught:
        registry.receive("acme", CarrierPush(headers={}, body=b""))
    assert caught.value.operation == "parcelhook_receive"
