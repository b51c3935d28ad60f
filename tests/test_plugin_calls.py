"""Carriers book and choose, and plug-ins are notified, each within what is its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parcelhook import (
    BookedParcel,
    Booking,
    BookingRequest,
    Carrier,
    CarrierRefused,
    InputError,
    LineItem,
    Notice,
    Order,
    Scan,
    ShipmentItem,
    TrackingQuery,
    hookimpl,
)
from parcelhook.errors import HookFailed
from parcelhook.registry import Registry

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SCAN = Scan(code="30", time=NOON)


class Booker:
    """A plug-in that books, chooses and listens."""

    def __init__(self, carrier_id: str = "booker", *, key: str | None = None, choice: object = None) -> None:
        self.id, self.key, self.choice = carrier_id, key, choice
        self.heard: list[str] = []

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id=self.id, name=self.id)]

    @hookimpl
    async def parcelhook_book(self, request: BookingRequest) -> Booking:
        """Book under the key, or another one."""
        return Booking(key=self.key or request.key, parcels=(BookedParcel(tracking_number="N1"),))

    @hookimpl
    def parcelhook_choose_carrier(self, order: Order) -> object:
        """Choose as told."""
        self.heard.append(order.id)
        return self.choice

    @hookimpl
    def parcelhook_notify(self, notice: Notice) -> None:
        """Listen, and fail for one kind."""
        self.heard.append(notice.id)
        if notice.kind == "unbearable":
            raise ValueError(notice.id)


ORDER = Order(id="o1", line_items=(LineItem(id="l1", quantity=2, remaining=2),))
REQUEST = BookingRequest(key="k", order=ORDER, items=(ShipmentItem(line_item_id="l1", quantity=1),))


def test_a_booking_keeps_its_key() -> None:
    """A booking under another key than was asked for is refused, for it could not be found again."""
    with Registry(entry_points=[], extra={"a": Booker("a"), "b": Booker("b", key="other")}) as found:
        assert found.book("a", REQUEST).parcels[0].tracking_number == "N1"
        with pytest.raises(HookFailed, match="another key"):
            found.book("b", REQUEST)


def test_what_a_carrier_cannot_do_is_told() -> None:
    """Asking for a hook that is not implemented is a mistake of the one who asks."""
    with Registry(entry_points=[], extra={"a": Booker("a")}) as found:
        assert "parcelhook_find_booking" not in found.hook_names("a")
        with pytest.raises(InputError, match='carrier "a": a does not implement parcelhook_find_booking'):
            found.find_booking("a", "k")
        with pytest.raises(InputError, match="does not implement parcelhook_track"):
            found.track("a", [TrackingQuery(number="N1")])
        assert found.map_status("a", SCAN) is None


def test_a_plug_in_chooses_its_own_carriers_only() -> None:
    """A choice of another's carrier, of an item that is not there, or of no mapping at all is left out."""
    choices = {
        "own": {"l1": "own"},
        "foreign": {"l1": "own"},
        "no-item": {"l9": "no-item"},
        "rubbish": ["l1"],
        "none": None,
    }
    plugins = {name: Booker(name, choice=choice) for name, choice in choices.items()}

    with Registry(entry_points=[], extra=plugins) as found:
        assert found.choose_carrier(ORDER) == {"own": {"l1": "own"}}
        failed = {plugin for (plugin, _), stats in found.stats().items() if stats.failures}
    assert failed == {"foreign", "no-item", "rubbish"}


class Listener:
    """A plug-in without a carrier, which names one all the same when it fails."""

    @hookimpl
    def parcelhook_notify(self, notice: Notice) -> None:
        """Fail."""
        raise CarrierRefused(notice.id, carrier="of its own")


def test_a_plug_in_may_serve_no_carrier() -> None:
    """One that only listens is active, and what it says of a carrier when it fails is left as it is."""
    with Registry(entry_points=[], extra={"listener": Listener()}) as found:
        (line,) = found.plugins()
        failed = found.notify(Notice(id="n1", kind="delivered", store="s", at=NOON))["listener"]

    assert (line.state, line.carriers, line.hooks) == ("active", (), ("parcelhook_notify",))
    assert isinstance(failed, CarrierRefused)
    assert (failed.carrier, failed.operation) == ("of its own", "parcelhook_notify")


def test_everyone_is_notified_whoever_fails() -> None:
    """A notice reaches every plug-in, failures come back by name, and can be told again to those alone."""
    plugins = {"a": Booker("a"), "b": Booker("b")}

    def notice(number: str, kind: str = "delivered") -> Notice:
        return Notice(id=number, kind=kind, store="s", at=NOON)

    with Registry(entry_points=[], extra=plugins) as found:
        assert found.notify(notice("1")) == {}
        failures = found.notify(notice("2", "unbearable"))
        assert found.notify(notice("3"), plugins={"b"}) == {}
    assert {name: type(error) for name, error in failures.items()} == {"a": HookFailed, "b": HookFailed}
    assert (plugins["a"].heard, plugins["b"].heard) == (["1", "2"], ["1", "2", "3"])
