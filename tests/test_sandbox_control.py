"""The sandbox is controlled, started and stopped as its documentation says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

import parcelhook.sandbox
from parcelhook.sandbox import Running, SandboxSettings, Switches, create_app, running, serve
from sandbox_client import LINE, LINE_2, Json, Wix, ok

READY = {
    "url",
    "app_id",
    "app_secret",
    "instance_id",
    "public_key_file",
    "carriers",
    "order_ids",
    "api_key",
    "site_id",
    "courier_key",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


def test_orders_are_made_by_count(wix: Wix) -> None:
    """Orders come with rising numbers and dates, and are approved and paid."""
    orders = [wix.get_order(order) for order in wix.orders(3)]

    numbers = [int(order["number"]) for order in orders]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert sorted({order["createdDate"] for order in orders}) == [order["createdDate"] for order in orders]
    assert {(order["status"], order["paymentStatus"]) for order in orders} == {("APPROVED", "PAID")}


def test_items_differ_as_asked(wix: Wix) -> None:
    """Each entry of items is merged over a line item of its own; a number asks for so many."""
    items = [
        {"quantity": 4, "refundQuantity": 1},
        {"itemType": {"preset": "DIGITAL"}, "physicalProperties": None, "fulfillerId": "f"},
    ]
    one, other = wix.get_order(wix.orders(1, items=items)[0]), wix.get_order(wix.orders(1, items=3)[0])

    first, second = one["lineItems"]
    assert (first["id"], first["quantity"], first["refundQuantity"]) == (LINE, 4, 1)
    assert (second["id"], second["itemType"], second["fulfillerId"]) == (LINE_2, {"preset": "DIGITAL"}, "f")
    assert "physicalProperties" not in second
    assert len(other["lineItems"]) == 3


def test_orders_differ_as_asked(wix: Wix) -> None:
    """The order given is merged over what is made; a country moves the address there."""
    changes: Json = {
        "country": "CA",
        "archived": True,
        "paymentStatus": "NOT_PAID",
        "shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}},
    }
    order = wix.get_order(wix.order(**changes))

    logistics = order["shippingInfo"]["logistics"]
    assert (order["archived"], order["paymentStatus"]) == (True, "NOT_PAID")
    assert logistics["pickupDetails"] == {"pickupMethod": "STORE_PICKUP"}
    assert logistics["shippingDestination"]["address"]["country"] == "CA"
    assert "subdivision" not in order["recipientInfo"]["address"]


@pytest.mark.parametrize(
    "body",
    [
        {"count": 0},
        {"count": 10_001},
        {"count": "1"},
        {"items": "x"},
        {"items": [5]},
        {"items": []} | {"order": []},
        {"items": [{"quantity": 0}]},
        {"items": [{"quantity": "1"}]},
        {"order": {"status": "SHIPPED"}},
        {"order": {"number": "A-1"}},
        {"order": {"createdDate": "yesterday"}},
        {"order": {"lineItems": []}},
    ],
)
def test_orders_that_make_no_sense_are_refused(wix: Wix, body: Json) -> None:
    """An order no store could have is a 400 with the reason."""
    answer = wix.control("POST", "orders", body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_order_is_edited(wix: Wix) -> None:
    """An edit is merged over the order, moves its updatedDate and derives its fulfillmentStatus anew."""
    order = wix.order()
    wix.created(order)
    line = wix.get_order(order)["lineItems"][0]

    edited = ok(wix.control("PATCH", f"orders/{order}", {"archived": True, "id": "other"}))["order"]
    wix.control("PATCH", f"orders/{order}", {"lineItems": [line | {"quantity": 2}]})
    refused = wix.control("PATCH", f"orders/{order}", {"status": "SHIPPED"})

    assert (edited["archived"], edited["id"]) == (True, order)
    assert wix.get_order(order)["fulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert wix.get_order(order)["status"] == "APPROVED"
    assert refused.status_code == 400


def test_a_manual_mark_stands_without_fulfillments(wix: Wix) -> None:
    """An order marked fulfilled by hand is FULFILLED with an empty list."""
    order = wix.order()
    ok(wix.control("PATCH", f"orders/{order}", {"fulfillmentStatus": "FULFILLED"}))

    assert wix.get_order(order)["fulfillmentStatus"] == "FULFILLED"
    assert wix.list(order) == []


def test_unknown_orders_cannot_be_controlled(wix: Wix) -> None:
    """Editing or canceling an order that is not there is a 404."""
    answers = [wix.control("PATCH", "orders/x", {}), wix.control("POST", "orders/x/cancel")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_calls_are_wix_calls_alone(wix: Wix) -> None:
    """The record holds time, method, path and status of each call of Wix's API, refused ones too, and no control."""
    before = len(wix.control("GET", "calls").json())
    order = wix.order()
    wix.get_order(order)
    wix.create(order, lineItems=[])
    calls = wix.control("GET", "calls").json()[before:]

    assert [(call["method"], call["path"], call["status"]) for call in calls] == [
        ("GET", f"/ecom/v1/orders/{order}", 200),
        ("POST", f"/ecom/v1/fulfillments/orders/{order}/create-fulfillment", 400),
    ]
    assert all(set(call) == {"at", "method", "path", "status"} and call["at"].endswith("Z") for call in calls)


def test_fulfillments_are_shown_by_order(wix: Wix) -> None:
    """The control shows every order's fulfillments, without a call of Wix's."""
    one, other = wix.orders(2)
    fulfillment = wix.created(one)

    shown = wix.control("GET", "fulfillments").json()

    assert [entry["id"] for entry in shown[one]] == [fulfillment]
    assert shown[other] == []


def test_switches_are_shown_and_set(wix: Wix) -> None:
    """All switches are shown by name; setting some leaves the others."""
    before = ok(wix.control("GET", "switches"))
    after = ok(wix.control("PATCH", "switches", {"default_status": "Pending", "list_lag_seconds": 1}))

    assert before == {switch.name: switch.default for switch in fields(Switches)}
    assert after == before | {"default_status": "Pending", "list_lag_seconds": 1}


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ({"weather": "fair"}, "weather"),
        ({"default_status": "Ready"}, "Pending"),
        ({"duplicate_data": "yes"}, "bool"),
        ({"duplicate_update_status": "409"}, "409"),
        ({"duplicate_update_status": True}, "409"),
        ({"bulk_detail_threshold": 1.5}, "int"),
        ({"webhook_content_type": 5}, "str"),
        ({"list_lag_seconds": "1"}, "float"),
    ],
)
def test_switches_that_make_no_sense_are_refused(wix: Wix, switches: Json, reason: str) -> None:
    """An unknown switch or a bad value is a 400 that says so, and no other switch of the call is set."""
    answer = wix.control("PATCH", "switches", {"duplicate_scope": "off"} | switches)

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert ok(wix.control("GET", "switches"))["duplicate_scope"] == "site"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "webhooks", {}),
        ("POST", "webhooks", {"url": "ftp://127.0.0.1/"}),
        ("POST", "webhooks", {"url": "http://127.0.0.1/", "events": "all"}),
        ("POST", "rate-limit", {}),
        ("POST", "rate-limit", {"per_minute": -1}),
    ],
)
def test_control_is_checked(wix: Wix, method: str, path: str, body: Json) -> None:
    """A control call that cannot be understood is a 400 with the reason."""
    answer = wix.control(method, path, body)

    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_control_reads_json_objects(wix: Wix, content: bytes) -> None:
    """A body that is no JSON object is a 400."""
    assert wix.http.post("/_sandbox/orders", content=content).status_code == 400


def test_ready_tells_what_a_client_needs() -> None:
    """The ready information names every id and secret, the key file, the courier and the first orders."""
    settings = SandboxSettings(orders=3, app_id="an-app", courier_key="a-key")
    with running(settings) as sandbox:
        ready = sandbox.ready
        key_file = Path(str(ready["public_key_file"]))
        there = key_file.exists()
        listening = httpx.get(f"{sandbox.url}/_sandbox/calls").json()

    assert set(ready) == READY
    assert ready["url"] == sandbox.url
    assert (ready["app_id"], ready["courier_key"]) == ("an-app", "a-key")
    assert ready["carriers"] == {"courier": f"{sandbox.url}/courier"}
    assert isinstance(ready["order_ids"], list)
    assert len(ready["order_ids"]) == 3
    assert (there, key_file.exists()) == (True, False)
    assert listening == []


def test_the_key_file_goes_where_it_is_told(tmp_path: Path) -> None:
    """A given key file is written there and stays."""
    path = tmp_path / "key.pem"
    with running(SandboxSettings(public_key_file=path)) as sandbox:
        assert sandbox.ready["public_key_file"] == str(path)

    assert path.read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_a_taken_port_is_an_error() -> None:
    """A port that another holds raises, at once."""
    with running(SandboxSettings()) as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"), running(SandboxSettings(port=port)):
            pass


def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path) -> None:
    """What keeps a sandbox from starting is raised to the one who wanted it."""
    settings = SandboxSettings(public_key_file=tmp_path / "missing" / "key.pem")

    with pytest.raises(RuntimeError, match="did not start"), running(settings):
        pass


def test_it_stops_with_a_webhook_on_its_way() -> None:
    """Stopping waits for no retry and no late call."""
    before = set(threading.enumerate())
    with running(SandboxSettings(orders=1)) as sandbox, Wix(sandbox) as wix:
        wix.control("POST", "webhooks", {"url": "http://127.0.0.1:1/"})
        wix.order()
        wix.control("POST", "faults", {"route": "get-order", "effect": "late", "delay": 3600})
        with pytest.raises(httpx.TransportError):
            wix.http.get("/ecom/v1/orders/x")
        during = set(threading.enumerate()) - before

    assert len(during) == 1
    assert not [thread for thread in during if thread.is_alive()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_on_a_signal(number: signal.Signals) -> None:
    """In the foreground it tells once when it listens, and a signal ends it with success."""
    program = (
        "import json; from parcelhook.sandbox import SandboxSettings, serve;"
        "serve(SandboxSettings(orders=2), lambda ready: print(json.dumps(ready), flush=True)); print('done')"
    )
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        answer = httpx.get(f"{ready['url']}/_sandbox/fulfillments").json()
        process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read()

    assert list(answer) == ready["order_ids"]
    assert (rest, errors, process.returncode) == ("done\n", "", 0)


def test_serve_raises_what_keeps_it_from_starting(tmp_path: Path) -> None:
    """In the foreground a failure to start is not swallowed."""
    settings = SandboxSettings(public_key_file=tmp_path / "missing" / "key.pem")

    with pytest.raises(SystemExit):
        serve(settings, lambda _: None)


def test_an_internal_failure_is_an_empty_system_error(
    wix: Wix, sandbox: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure of the sandbox itself answers as Wix's system errors do and goes to the log."""
    order = wix.order()
    stored = sandbox.sandbox.store.orders[order]
    whole = stored.fulfillments.value
    object.__setattr__(stored.fulfillments, "value", None)

    answer = wix.http.post(
        f"/ecom/v1/fulfillments/orders/{order}/create-fulfillment", json={"fulfillment": {"lineItems": [{"id": LINE}]}}
    )
    stored.fulfillments.value = whole

    assert (answer.status_code, answer.json()) == (500, {"message": "", "details": {}})
    assert answer.headers["x-wix-request-id"]
    assert "create-fulfillment" in caplog.text


def test_the_application_runs_under_any_server() -> None:
    """The application alone answers through any ASGI transport, but for broken connections."""
    app = create_app(SandboxSettings())

    async def ask() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.example") as client:
            return (await client.get("/ecom/v1/orders/x")).status_code

    assert asyncio.run(ask()) == 401


def test_it_stays_fast_with_ten_thousand_orders(wix: Wix) -> None:
    """Ten thousand orders are made in one call, and a page of them is found."""
    ids = wix.orders(10_000, order={"channelInfo": {"type": "AMAZON"}})
    page = ok(wix.search(filter={"channelInfo.type": "AMAZON"}))

    assert len(set(ids)) == 10_000
    assert [order["id"] for order in page["orders"]] == ids[:-101:-1]


def test_public_names() -> None:
    """The package exports what it says, and nothing of it is imported before it is asked for."""
    code = (
        "import sys, parcelhook.sandbox; before = 'starlette' in sys.modules or 'uvicorn' in sys.modules;"
        "parcelhook.sandbox.SandboxSettings(); print(before, 'uvicorn' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout

    assert all(getattr(parcelhook.sandbox, name) for name in parcelhook.sandbox.__all__)
    assert parcelhook.sandbox.__all__ == sorted(parcelhook.sandbox.__all__)
    assert printed.split() == ["False", "False"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = parcelhook.sandbox.nothing


def test_it_shares_no_code_with_the_client() -> None:
    """No module of the sandbox imports anything of parcelhook's but the sandbox itself."""
    folder = Path(parcelhook.sandbox.__file__).parent
    imports = [
        line
        for module in folder.glob("*.py")
        for line in module.read_text().splitlines()
        if line.strip().startswith(("from parcelhook", "import parcelhook"))
    ]

    assert imports
    assert all("parcelhook.sandbox" in line for line in imports)
