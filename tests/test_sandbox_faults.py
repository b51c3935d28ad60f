"""The sandbox misbehaves on order, each call in the way that was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from parcelhook.sandbox import Running, SandboxSettings, running
from sandbox_client import FULFILLMENTS, GUID, LINE, Json, Wix, code_of, ok, until

PLAIN: Json = {"lineItems": [{"id": LINE}]}
WRITES: dict[str, Callable[[Wix, str], httpx.Response]] = {
    "create": lambda wix, order: wix.create(order),
    "bulk-create": lambda wix, order: wix.bulk({"orderId": order, "fulfillments": [PLAIN]}),
}
CALLS: dict[str, Callable[[Wix, str], httpx.Response]] = WRITES | {
    "token": lambda wix, _: wix.token(),
    "update": lambda wix, order: wix.update(order, GUID, status="Ready"),
    "delete": lambda wix, order: wix.delete(order, GUID),
    "list": lambda wix, order: wix.http.get(f"{FULFILLMENTS}/orders/{order}"),
    "list-by-ids": lambda wix, order: wix.list_by_ids([order]),
    "get-order": lambda wix, order: wix.http.get(f"/ecom/v1/orders/{order}"),
    "search-orders": lambda wix, _: wix.search(),
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


def fault(wix: Wix, route: str, **what: object) -> None:
    """Let a fault befall the next call of a route."""
    ok(wix.control("POST", "faults", {"route": route} | what))


@pytest.mark.parametrize("route", CALLS)
def test_every_route_can_be_refused(wix: Wix, route: str) -> None:
    """A refusal befalls as many calls of its route as it was ordered for, and nothing happens."""
    order = wix.order()
    fault(wix, route, times=2, status=503)

    answers = [CALLS[route](wix, order) for _ in range(2)]
    waiting = ok(wix.control("GET", "faults"))["waiting"]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json() == {"message": "", "details": {}}
    assert answers[0].headers["x-wix-request-id"]
    assert waiting == {}
    assert wix.list(order) == []
    assert CALLS[route](wix, order).status_code in {200, 404}


@pytest.mark.parametrize("route", CALLS)
def test_every_route_can_break_its_connection(wix: Wix, route: str) -> None:
    """An untold call gets no answer: to the client the connection is reset."""
    order = wix.order()
    fault(wix, route, effect="untold")

    with pytest.raises(httpx.TransportError):
        CALLS[route](wix, order)

    assert wix.control("GET", "calls").json()[-1]["status"] == 0
    assert CALLS[route](wix, order).status_code in {200, 400, 404}


@pytest.mark.parametrize("route", WRITES)
def test_an_untold_write_happened(wix: Wix, route: str) -> None:
    """What was done before the connection broke is there."""
    order = wix.order()
    fault(wix, route, effect="untold", status=500)

    with pytest.raises(httpx.TransportError):
        WRITES[route](wix, order)

    assert len(wix.list(order)) == 1


@pytest.mark.parametrize("route", WRITES)
def test_a_late_write_happens_after_the_connection_broke(wix: Wix, route: str) -> None:
    """A late write is not there when the connection breaks, and is there a while later, once."""
    order = wix.order()
    fault(wix, route, effect="late", delay=0.2)

    with pytest.raises(httpx.TransportError):
        WRITES[route](wix, order)

    assert wix.list(order) == []
    until(lambda: bool(wix.list(order)))
    assert len(wix.list(order)) == 1


def test_updates_and_deletions_happen_untold_too(wix: Wix) -> None:
    """An update and a deletion whose answer is lost are done."""
    order = wix.order()
    fulfillment = wix.created(order)
    fault(wix, "update", effect="untold")
    fault(wix, "delete", effect="untold")

    with pytest.raises(httpx.TransportError):
        wix.update(order, fulfillment, status="Ready")
    updated = wix.list(order)
    with pytest.raises(httpx.TransportError):
        wix.delete(order, fulfillment)

    assert updated[0]["status"] == "Ready"
    assert wix.list(order) == []


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [("html", None, 200), ("truncated", None, 200), ("empty", None, 500), ("html", 502, 502)],
)
def test_an_unreadable_answer_after_it_happened(wix: Wix, body: str, status: int | None, expected: int) -> None:
    """An untold call may be answered with HTML, half a JSON or an empty system error in place of silence."""
    order = wix.order()
    fault(wix, "create", effect="untold", body=body, status=status)

    answer = wix.create(order)

    assert answer.status_code == expected
    assert body != "html" or answer.headers["content-type"].startswith("text/html")
    assert body != "empty" or answer.json() == {"message": "", "details": {}}
    if body == "truncated":
        with pytest.raises(ValueError, match="Unterminated"):
            answer.json()
    assert len(wix.list(order)) == 1


def test_an_unreadable_refusal(wix: Wix) -> None:
    """A refusal may be HTML too, and then nothing happened."""
    order = wix.order()
    fault(wix, "create", body="html", status=502)

    answer = wix.create(order)

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert wix.list(order) == []


def test_a_refusal_may_say_when_to_come_back(wix: Wix) -> None:
    """A refusal carries Retry-After and an application error's code when asked to."""
    fault(wix, "create", status=429, retry_after=7, code="RESOURCE_EXHAUSTED")
    fault(wix, "create", status=403)
    fault(wix, "token", status=400)

    limited, bare, token = wix.create(wix.order()), wix.create(wix.order()), wix.token()

    assert limited.headers["retry-after"] == "7"
    assert code_of(limited) == "RESOURCE_EXHAUSTED"
    assert (bare.status_code, bare.json()) == (403, {"message": "", "details": {}})
    assert (token.status_code, token.json()["error"]) == (400, "invalid_request")


def test_a_delay_holds_the_answer_back(wix: Wix) -> None:
    """An answer that is delayed longer than the client waits is a timeout to it, and the call happened."""
    order = wix.order()
    fault(wix, "create", effect="untold", body="empty", delay=0.5)

    with pytest.raises(httpx.ReadTimeout):
        wix.http.post(f"{FULFILLMENTS}/orders/{order}/create-fulfillment", json={"fulfillment": PLAIN}, timeout=0.1)

    assert len(wix.list(order)) == 1


def test_faults_befall_in_order_and_can_be_taken_back(wix: Wix) -> None:
    """Faults queue up by route; clearing forgets those that wait."""
    order = wix.order()
    fault(wix, "get-order", status=500)
    fault(wix, "get-order", status=429)
    fault(wix, "get-order", status=503, times=3)
    statuses = [wix.http.get(f"/ecom/v1/orders/{order}").status_code for _ in range(2)]
    ok(wix.control("DELETE", "faults"))

    assert statuses == [500, 429]
    assert wix.get_order(order)["id"] == order


def test_a_call_that_is_not_admitted_takes_no_fault(wix: Wix) -> None:
    """A call without a token is refused before any fault befalls it."""
    fault(wix, "get-order", status=503)

    refused = wix.http.get(f"/ecom/v1/orders/{wix.order()}", headers={"authorization": "x"})

    assert refused.status_code == 401
    assert ok(wix.control("GET", "faults"))["waiting"] == {"get-order": 1}


def test_a_broken_connection_breaks_no_other(wix: Wix) -> None:
    """Calls on other connections go on while one is broken."""
    order = wix.order()
    fault(wix, "list", effect="untold", delay=0.1)
    errors: list[Exception] = []

    def broken() -> None:
        try:
            wix.list(order)
        except httpx.TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=broken)
    thread.start()
    other = wix.get_order(order)["id"]
    thread.join()

    assert other == order
    assert len(errors) == 1


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"route": "nowhere"},
        {"route": "create", "effect": "sometimes"},
        {"route": "create", "times": 0},
        {"route": "create", "status": 99},
        {"route": "create", "status": "503"},
        {"route": "create", "delay": -1},
        {"route": "create", "delay": "1"},
        {"route": "create", "retry_after": -1},
        {"route": "create", "body": "xml"},
        {"route": "create", "code": 5},
        {"route": "create", "colour": "red"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wix: Wix, what: Json) -> None:
    """An unknown route, effect or field, or a value out of range, is a 400 that says what is wrong."""
    answer = wix.control("POST", "faults", what)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert ok(wix.control("GET", "faults"))["waiting"] == {}
