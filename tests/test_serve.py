"""``serve`` as a process: it hears, ships, settles, and is the same service again after it was killed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from parcelhook.ledger import Ledger, ShipmentRow
from parcelhook.ledger.states import State
from processes import GIVE_UP_SECONDS, TOKEN, SandboxProcess, Service, sandbox_process, spawn, wait_for


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Run one store for all of this file; each test has orders and a ledger of its own."""
    with sandbox_process(tmp_path_factory.mktemp("sandbox")) as served:
        yield served


@pytest.fixture
def service(sandbox: SandboxProcess, tmp_path: Path) -> Service:
    """Give a service that was never started."""
    return Service(sandbox, tmp_path, sandbox.variables(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))


@pytest.fixture
def number() -> str:
    """Give a tracking number nobody had before."""
    return str(uuid4().int)[:10]


def kept(service: Service, order_id: str) -> list[ShipmentRow]:
    """Read an order's shipments from the ledger."""
    with Ledger.open(service.variables["PARCELHOOK_DATABASE_URL"]) as ledger:
        return ledger.shipments.find(store="default", order_id=order_id)


def in_state(service: Service, order_id: str, state: State) -> list[ShipmentRow]:
    """Read an order's shipments that are in a state."""
    return [row for row in kept(service, order_id) if row.state is state]


def test_an_approved_order_waits_and_its_number_makes_a_fulfillment(service: Service, number: str) -> None:
    """From the webhook to the fulfillment at Wix and a clean end; the log, all of it, tells no secret and nobody."""
    consignee = {"firstName": "Quillfeather", "lastName": "Zebulon", "phone": "+15550104711"}
    address = {"addressLine": "99 Marzipan Crescent", "city": "Xanthippe", "postalCode": "62701", "country": "US"}
    with service.serve("--debug") as served:
        assert served.ready == {"url": served.url, "role": "all"}
        order_id = service.sandbox.order(
            buyerInfo={"email": "quill@example.com"},
            recipientInfo={"address": address, "contactDetails": consignee},
            shippingInfo={"logistics": {"shippingDestination": {"address": address, "contactDetails": consignee}}},
        )
        wait_for(lambda: in_state(service, order_id, State.WAITING_NUMBER), what="the order waits")
        assert service.sandbox.fulfillments(order_id) == []

        answer = service.ship(served, order_id, number)
        refused = httpx.post(f"{served.url}/shipments", headers={"authorization": "Bearer no-such-token"})

        assert (answer.status_code, refused.status_code) == (202, 401)
        (row,) = wait_for(lambda: in_state(service, order_id, State.CREATED), what="it is created")
        (fulfillment,) = service.sandbox.fulfillments(order_id)
        assert (row.id, row.fulfillment_id) == (answer.json()["shipment_id"], fulfillment["id"])
        assert fulfillment["trackingInfo"]["trackingNumber"] == number
        assert served.end() == 0
    log = served.log.read_text()
    assert [json.loads(line) for line in log.splitlines()]
    ready = service.sandbox.ready
    told = [TOKEN, "no-such-token", ready["app_secret"], ready["api_key"], "Bearer", "quill", "Quillfeather", "Zebulon"]
    assert not [word for word in [*told, "Marzipan", "Xanthippe", "0104711"] if word in log]


def test_a_store_with_an_api_key_is_looked_through(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """No webhook comes for an API key: the service asks for new orders, and follows a canceled one."""
    variables = sandbox.variables(f"sqlite:///{tmp_path / 'ledger.sqlite'}", with_key=True)
    service = Service(sandbox, tmp_path, {**variables, "PARCELHOOK_POLL_SCALE": "0.005"})
    with service.serve(webhooks=False):
        order_id = sandbox.order()
        wait_for(lambda: in_state(service, order_id, State.WAITING_NUMBER), what="the order is found")
        sandbox.control("POST", f"orders/{order_id}/cancel")

        wait_for(lambda: in_state(service, order_id, State.CANCELED), what="its cancellation is found")

    assert len(kept(service, order_id)) == 1


@pytest.mark.parametrize(
    ("fault", "creates"), [({"effect": "untold"}, 1), ({"effect": "none", "status": 503}, 2)], ids=["made", "not-made"]
)
def test_an_undecided_create_is_settled(service: Service, number: str, fault: dict[str, object], creates: int) -> None:
    """Where Wix's answer is lost, Wix is asked what it has before anything is sent again."""
    order_id = service.sandbox.order()
    with service.serve() as served:
        service.sandbox.fault("create", **fault)
        service.ship(served, order_id, number)

        (row,) = wait_for(lambda: in_state(service, order_id, State.CREATED), what="it is settled")

    assert [each["id"] for each in service.sandbox.fulfillments(order_id)] == [row.fulfillment_id]
    assert service.sandbox.creates(order_id) == creates


@pytest.mark.parametrize("effect", ["untold", "none"])
def test_a_service_killed_while_it_creates_ends_with_one_fulfillment(
    service: Service, number: str, effect: str
) -> None:
    """Killed between call and answer, whether or not Wix made it: the next service ends with exactly one."""
    order_id = service.sandbox.order()
    with service.serve() as served:
        service.sandbox.fault("create", effect=effect, delay=20)
        service.ship(served, order_id, number)
        wait_for(lambda: not service.sandbox.faults(), what="the call is under way")
        assert in_state(service, order_id, State.SENDING)
        served.kill()

    with service.serve() as served:
        (row,) = wait_for(lambda: in_state(service, order_id, State.CREATED), what="it is settled")
        assert served.end() == 0

    assert [each["id"] for each in service.sandbox.fulfillments(order_id)] == [row.fulfillment_id]


def test_a_service_told_to_stop_ends_what_is_under_way(service: Service, number: str) -> None:
    """SIGTERM while Wix's answer is awaited: the service waits for it, and leaves nothing that is not written down."""
    service.variables["PARCELHOOK_SETTLE_SECONDS"] = "60"
    order_id = service.sandbox.order()
    with service.serve() as served:
        service.sandbox.fault("create", effect="untold", delay=1)
        service.ship(served, order_id, number)
        wait_for(lambda: not service.sandbox.faults(), what="the call is under way")

        assert served.end() == 0

    (row,) = in_state(service, order_id, State.SENDING)
    assert row.claimed_by is None
    assert row.due_at is not None
    assert len(service.sandbox.fulfillments(order_id)) == 1


def test_what_came_in_before_a_kill_is_shipped_after_it(service: Service, number: str) -> None:
    """A shipment that was answered with 202 is shipped, even if the service dies in the same moment."""
    order_id = service.sandbox.order()
    with service.serve() as served:
        answer = service.ship(served, order_id, number)
        served.kill()
    assert answer.status_code == 202

    with service.serve():
        wait_for(lambda: in_state(service, order_id, State.CREATED), what="it is created")

    assert len(service.sandbox.fulfillments(order_id)) == 1


def test_two_commands_at_once_create_one_fulfillment(service: Service, number: str) -> None:
    """Two processes told the same order and number at the same moment agree on one fulfillment."""
    order_id = service.sandbox.order()
    command = ["fulfill", order_id, "--carrier", "dhl", "--number", number, "--json"]
    outs = [service.folder / f"{index}.out" for index in range(2)]
    processes = [spawn(*command, variables=service.variables, out=out, log=out.with_suffix(".log")) for out in outs]
    try:
        codes = [process.wait(GIVE_UP_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()

    assert codes == [0, 0], [out.with_suffix(".log").read_text() for out in outs]
    told = {json.loads(out.read_text())["fulfillment_id"] for out in outs}
    assert told == {each["id"] for each in service.sandbox.fulfillments(order_id)}
    assert len(told) == service.sandbox.creates(order_id) == 1


def test_a_port_in_use_is_told(service: Service) -> None:
    """A port that is taken ends the service with what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        result = service.run("serve", "--port", str(port))

    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in result.stderr
    assert "Name another --port" in result.stderr


def test_without_a_store_there_is_nothing_to_serve(service: Service) -> None:
    """Without a store the service ends as misconfigured, and says what to write."""
    service.variables = {"PARCELHOOK_DATABASE_URL": service.variables["PARCELHOOK_DATABASE_URL"]}

    result = service.run("serve", "--json")

    assert result.returncode == 6
    assert "no store is configured" in json.loads(result.stdout)["error"]["message"]
