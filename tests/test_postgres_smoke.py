"""What works on a ledger that is a file works on PostgreSQL, told by the URL alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from parcelhook.ledger import Ledger
from parcelhook.ledger.states import State
from processes import SandboxProcess, Service, sandbox_process, wait_for

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Run one store for all of this file."""
    with sandbox_process(tmp_path_factory.mktemp("sandbox")) as served:
        yield served


@pytest.fixture
def service(sandbox: SandboxProcess, tmp_path: Path, postgres_url: str) -> Service:
    """Give a service on a database of its own, which is empty."""
    return Service(sandbox, tmp_path, sandbox.variables(postgres_url))


def test_fulfill_twice_creates_once(service: Service) -> None:
    """The command makes its tables, creates the fulfillment, and finds it the second time."""
    order_id = service.sandbox.order()
    command = ["fulfill", order_id, "--carrier", "dhl", "--number", "3000000126", "--json"]

    first, second = service.run(*command), service.run(*command)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [json.loads(each.stdout)["already_existed"] for each in (first, second)] == [False, True]
    assert len(service.sandbox.fulfillments(order_id)) == service.sandbox.creates(order_id) == 1


def test_the_service_hears_a_webhook_and_ships(service: Service, postgres_url: str) -> None:
    """The service takes an approval and a number, creates the fulfillment, and ends cleanly."""
    with service.serve() as served, Ledger.open(postgres_url) as ledger:
        order_id = service.sandbox.order()

        def states() -> list[State]:
            return [row.state for row in ledger.shipments.find(store="default", order_id=order_id)]

        wait_for(lambda: states() == [State.WAITING_NUMBER], what="the order waits")
        assert service.ship(served, order_id, "3000000137").status_code == 202
        wait_for(lambda: states() == [State.CREATED], what="it is created")
        assert served.end() == 0

    assert len(service.sandbox.fulfillments(order_id)) == 1
