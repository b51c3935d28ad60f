"""A call about one carrier costs the same with one plug-in and with two hundred."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import pytest

from parcelhook import Carrier, Scan, Shipment, Status, StatusChange, hookimpl
from parcelhook.registry import Registry

SCAN = Scan(code="40", time=datetime(2026, 5, 1, tzinfo=UTC))
MANY = 200
ROUNDS = 40


class Plugin:
    """A plug-in that serves one carrier and implements a plain hook and an async one."""

    def __init__(self, carrier_id: str) -> None:
        self.carrier = Carrier(id=carrier_id, name=carrier_id)

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [self.carrier]

    @hookimpl
    def parcelhook_map_status(self) -> StatusChange:
        """Say that everything arrived."""
        return StatusChange(status=Status.DELIVERED)

    @hookimpl
    async def parcelhook_resolve_tracking_url(self, shipment: Shipment) -> str:
        """Give a link at once."""
        return f"https://acme.example/{shipment.tracking_number}"


def _registry(plugins: int) -> Registry:
    names = ["acme", *(f"other-{number}" for number in range(1, plugins))]
    found = Registry(entry_points=[], extra={name: Plugin(name) for name in names})
    assert len(found.carriers()) == plugins
    return found


def _map_status(found: Registry) -> object:
    return found.map_status("acme", SCAN)


def _link(found: Registry) -> object:
    return found.resolve_tracking_url(Shipment(carrier="acme", tracking_number="AC1"))


def _carrier(found: Registry) -> object:
    return found.carrier("acme")


def _seconds(call: Callable[[Registry], object], found: Registry, calls: int) -> float:
    started = perf_counter()
    for _ in range(calls):
        call(found)
    return perf_counter() - started


@pytest.mark.benchmark
@pytest.mark.parametrize(("call", "calls"), [(_map_status, 100), (_link, 100), (_carrier, 5000)])
def test_a_call_does_not_pay_for_other_plug_ins(call: Callable[[Registry], object], calls: int) -> None:
    """The fastest of many interleaved rounds differs by no more than noise; the aim is a tenth."""
    with _registry(1) as few, _registry(MANY) as many:
        rounds = [(_seconds(call, few, calls), _seconds(call, many, calls)) for _ in range(ROUNDS)]
    one, all_of_them = (min(times) / calls * 1e6 for times in zip(*rounds, strict=True))
    ratio = all_of_them / one
    print(f"\n{call.__name__}: 1 plug-in {one:.2f} us, {MANY} plug-ins {all_of_them:.2f} us, ratio {ratio:.3f}")  # noqa: T201 - its purpose

    # Every call passing through 200 plug-ins would cost many times as much.
    assert ratio < 1.25
