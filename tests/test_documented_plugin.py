"""The plug-in that the documentation shows works as it stands, against a carrier on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carrier_wire import CarrierServer, Reply, carrier_server
from parcelhook import CarrierError, Shipment
from parcelhook.contexts import ContextFactory
from parcelhook.registry import Registry
from plugin_shelf import Shelf, shelf

ACME_TOML = """api = 1
id = "acme"
name = "Acme Couriers"
countries = ["IL"]
link = "https://track.acme.example/parcel/{number}"
host = "https://api.acme.example"

[[numbers]]
service = "Acme Express"
pattern = '(?P<prefix>AC)(?P<serial>\\d{8})(?P<check>\\d)'
check_digit = { algorithm = "mod10_weighted", weights = [3, 1] }

[statuses]
"10" = "pre_transit"
"20" = "in_transit"
"25" = "info"                                       # says nothing about the status
"31" = { status = "exception", reason = "address" }
"40" = "delivered"
"""

ACME_CODE = '''
from pydantic import BaseModel

from parcelhook import Carrier, CarrierContext, Shipment, hookimpl

carrier = Carrier.load(__package__)


class Page(BaseModel):
    tracking_page: str


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    return [carrier]


@hookimpl
async def parcelhook_resolve_tracking_url(shipment: Shipment, context: CarrierContext) -> str | None:
    """Ask Acme for the page: its links hold a token that no template can build."""
    answer = await context.http.get(f"/parcels/{shipment.tracking_number}")
    return answer.read(Page).tracking_page
'''


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Shelf]:
    """Install the plug-in that the documentation shows."""
    with shelf(tmp_path) as made:
        made.install("acme-couriers", ACME_CODE, names="acme", files={"carrier.toml": ACME_TOML})
        yield made


@pytest.fixture
def server() -> Iterator[CarrierServer]:
    """Run Acme's API."""
    with carrier_server() as running:
        yield running


def test_the_plug_in_of_the_documentation_works(acme: Shelf, server: CarrierServer) -> None:
    """Two small files are a carrier: its link comes from its API, and its errors are ours."""
    page = b'{"tracking_page": "https://track.acme.example/parcel/AC123456784?t=1"}'
    server.reply("/parcels/AC123456784", Reply(body=page), Reply(404), Reply(401), Reply(body=b'{"page": 1}'))
    contexts = ContextFactory({"acme": {"host": server.url}})
    shipment = Shipment(carrier="acme", tracking_number="AC123456784")

    with Registry(entry_points=acme.entry_points(), contexts=contexts) as found:
        assert found.carrier("acme").numbers[0].rank == 90
        assert found.resolve_tracking_url(shipment) == "https://track.acme.example/parcel/AC123456784?t=1"
        errors = []
        for _ in range(3):
            with pytest.raises(CarrierError) as caught:
                found.resolve_tracking_url(shipment)
            errors.append((type(caught.value).__name__, caught.value.operation))
    operation = "parcelhook_resolve_tracking_url"
    assert errors == [
        ("CarrierRefused", operation),
        ("CarrierUnauthorized", operation),
        ("CarrierUnreadable", operation),
    ]


def test_a_hung_plug_in_does_not_keep_the_process(acme: Shelf) -> None:
    """A process with a thread stuck in a plug-in ends when it is done."""
    acme.install(
        "stuck-dist",
        """
        import time
        from parcelhook import Carrier, hookimpl

        @hookimpl
        def parcelhook_carriers():
            return [Carrier(id="stuck", name="Stuck")]

        @hookimpl
        def parcelhook_map_status(scan):
            time.sleep(3600)

        @hookimpl
        async def parcelhook_resolve_tracking_url(shipment):
            time.sleep(3600)
        """,
        names="stuck",
    )
    code = """
from datetime import UTC, datetime
from parcelhook import ParcelhookError, Scan, Shipment
from parcelhook.boundary import Limits
from parcelhook.registry import Registry
for ask in (
    lambda found: found.map_status("stuck", Scan(code="1", time=datetime.now(UTC))),
    lambda found: found.resolve_tracking_url(Shipment(carrier="stuck", tracking_number="1")),
):
    with Registry(limits=Limits(call=0.2, blocked=0.05)) as found:
        try:
            ask(found)
        except ParcelhookError as error:
            print(found.plugins()[-1].state, type(error).__name__)
"""
    path = os.pathsep.join([str(acme.folder), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.split() == ["suspended", "HookFailed"] * 2
    assert done.stderr.count("plug-in suspended") == 2
