"""The client sends what the contract says, tries again only what is safe, and never waits longer than it may."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable

import pytest
from pydantic import JsonValue

from parcelhook.errors import (
    ConfigurationError,
    InputError,
    InvalidTrackingLink,
    WixError,
    WixNoAnswer,
    WixRateLimited,
    WixUnauthorized,
    WixUnavailable,
    WixUnreachable,
    WixUnreadable,
)
from parcelhook.models import ShipmentItem
from parcelhook.wix import NewFulfillment, OpenGate, Patience, WixClient
from parcelhook.wix.transport import HttpLine
from wix_wire import (
    FULFILLMENT,
    KEY,
    LINE_ITEM,
    ORDER,
    OTHER_ORDER,
    UPS,
    Clock,
    RecordingGate,
    Reply,
    Wire,
    application_error,
    break_connection,
    client_of,
    of_order,
    reply,
    serving,
)

CREATED = {"fulfillmentId": FULFILLMENT, **of_order({"id": FULFILLMENT})}
ITEMS = (ShipmentItem(line_item_id=LINE_ITEM, quantity=3),)
ORDER_PATH = f"/ecom/v1/fulfillments/orders/{ORDER}"
ONE_PATH = f"/ecom/v1/fulfillments/{FULFILLMENT}/orders/{ORDER}"

Operation = Callable[[WixClient], object]

OPERATIONS: dict[str, Operation] = {
    "create": lambda client: client.create_fulfillment(ORDER, UPS),
    "bulk-create": lambda client: client.bulk_create_fulfillments([(ORDER, [UPS])]),
    "update": lambda client: client.update_status(ORDER, FULFILLMENT, "Fulfilled"),
    "delete": lambda client: client.delete_fulfillment(ORDER, FULFILLMENT),
    "list": lambda client: client.list_fulfillments(ORDER),
    "list-by-ids": lambda client: client.list_fulfillments_by_ids([ORDER]),
    "get-order": lambda client: client.get_order(ORDER),
    "search-orders": lambda client: list(client.search_orders()),
}
WRITES = ("create", "bulk-create", "update", "delete")
READS = ("list", "list-by-ids", "get-order", "search-orders")
ANSWERS: dict[str, dict[str, JsonValue]] = {
    "create": CREATED,
    "bulk-create": {"results": []},
    "update": of_order(),
    "delete": of_order(),
    "list": of_order(),
    "list-by-ids": {},
    "get-order": {"order": {"id": ORDER}},
    "search-orders": {},
}


def sent(operation: Operation, answer: dict[str, JsonValue]) -> tuple[str, str, JsonValue]:
    """Give method, path and body of what one operation sends."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.append(reply(200, answer))
        operation(client)
    (request,) = wire.received
    assert request.headers["authorization"] == "the-api-key"
    assert request.headers["wix-site-id"] == "site-of-tests"
    return request.method, request.path, request.json


def test_create_of_a_predefined_provider_sends_no_link() -> None:
    """Wix builds the link of its five providers; quantities are always told."""
    new = NewFulfillment(
        line_items=ITEMS,
        tracking_number="TRK-1",
        shipping_provider="canadaPost",
        tracking_link="https://www.canadapost.example/TRK-1",
        status="In_Delivery",
    )

    request = sent(lambda client: client.create_fulfillment(ORDER, new), CREATED)

    assert request == (
        "POST",
        f"{ORDER_PATH}/create-fulfillment",
        {
            "fulfillment": {
                "lineItems": [{"id": LINE_ITEM, "quantity": 3}],
                "trackingInfo": {"trackingNumber": "TRK-1", "shippingProvider": "canadaPost"},
                "status": "In_Delivery",
            }
        },
    )


def test_create_of_a_custom_provider_sends_its_link() -> None:
    """Any other provider's link is sent as it is."""
    link = "https://track.acme.example/parcel/A%2F1"
    new = NewFulfillment(line_items=ITEMS, tracking_number="A/1", shipping_provider="Acme Couriers", tracking_link=link)

    _, _, body = sent(lambda client: client.create_fulfillment(ORDER, new), CREATED)

    assert isinstance(body, dict)
    assert body["fulfillment"] == {
        "lineItems": [{"id": LINE_ITEM, "quantity": 3}],
        "trackingInfo": {"trackingNumber": "A/1", "shippingProvider": "Acme Couriers", "trackingLink": link},
    }


def test_create_without_a_number_sends_no_tracking_info() -> None:
    """An empty trackingInfo would be refused."""
    _, _, body = sent(lambda client: client.create_fulfillment(ORDER, NewFulfillment(line_items=ITEMS)), CREATED)

    assert body == {"fulfillment": {"lineItems": [{"id": LINE_ITEM, "quantity": 3}]}}


def test_bulk_create_sends_one_entry_for_each_order() -> None:
    """The entries stand in the order given, each with the order's fulfillments."""
    items = [(ORDER, [UPS]), (OTHER_ORDER, [NewFulfillment(line_items=ITEMS), UPS])]

    method, path, body = sent(lambda client: client.bulk_create_fulfillments(items), {"results": []})

    assert (method, path) == ("POST", "/ecom/v1/fulfillments/orders/bulk/create-fulfillments")
    ups = {
        "lineItems": [{"id": LINE_ITEM, "quantity": 1}],
        "trackingInfo": {"trackingNumber": "TRK-1", "shippingProvider": "ups"},
    }
    assert body == {
        "ordersWithFulfillments": [
            {"orderId": ORDER, "fulfillments": [ups]},
            {"orderId": OTHER_ORDER, "fulfillments": [{"lineItems": [{"id": LINE_ITEM, "quantity": 3}]}, ups]},
        ]
    }


def test_update_of_a_status_sends_the_status_alone() -> None:
    """What a request leaves out stays as it is, so nothing else may be in it."""
    request = sent(lambda client: client.update_status(ORDER, FULFILLMENT, "Fulfilled"), of_order())

    assert request == ("PATCH", ONE_PATH, {"fulfillment": {"status": "Fulfilled"}})


def test_update_of_tracking_sends_tracking_alone() -> None:
    """Number and provider go together, and a custom one's link with them."""
    request = sent(
        lambda client: client.update_tracking(
            ORDER, FULFILLMENT, tracking_number="N", shipping_provider="Acme", tracking_link="https://acme.example/N"
        ),
        of_order(),
    )

    info = {"trackingNumber": "N", "shippingProvider": "Acme", "trackingLink": "https://acme.example/N"}
    assert request == ("PATCH", ONE_PATH, {"fulfillment": {"trackingInfo": info}})


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("delete", ("DELETE", ONE_PATH, None)),
        ("list", ("GET", ORDER_PATH, None)),
        ("list-by-ids", ("POST", "/ecom/v1/fulfillments/list-by-ids", {"orderIds": [ORDER]})),
        ("get-order", ("GET", f"/ecom/v1/orders/{ORDER}", None)),
    ],
)
def test_simple_operations_send_what_the_contract_says(operation: str, expected: tuple[str, str, JsonValue]) -> None:
    """Verb, path and body are the contract's."""
    assert sent(OPERATIONS[operation], ANSWERS[operation]) == expected


def test_search_follows_the_cursor_and_then_sends_nothing_else() -> None:
    """The first page has filter and sort, every further one the cursor alone; the last one has no next."""
    pages: list[dict[str, JsonValue]] = [
        {"orders": [{"id": "o1"}, {"id": "o2"}], "metadata": {"hasNext": True, "cursors": {"next": "c1"}}},
        {"orders": [{"id": "o3"}], "metadata": {"hasNext": True, "cursors": {"next": "c2"}}},
        {"orders": [{"id": "o4"}], "metadata": {"hasNext": False, "cursors": {"next": "c3"}}},
    ]
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.extend(reply(200, page) for page in pages)
        found = client.search_orders({"status": "APPROVED"}, sort=[("updatedDate", "ASC")], limit=2)
        orders = [order.id for order in found]

    assert orders == ["o1", "o2", "o3", "o4"]
    assert [request.json for request in wire.received] == [
        {
            "search": {
                "filter": {"status": "APPROVED"},
                "sort": [{"fieldName": "updatedDate", "order": "ASC"}],
                "cursorPaging": {"limit": 2},
            }
        },
        {"search": {"cursorPaging": {"limit": 2, "cursor": "c1"}}},
        {"search": {"cursorPaging": {"limit": 2, "cursor": "c2"}}},
    ]


def test_search_asks_for_a_page_only_when_it_is_wanted() -> None:
    """Each page is a call out of the site's budget."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.append(
            reply(200, {"orders": [{"id": "o1"}], "metadata": {"hasNext": True, "cursors": {"next": "c"}}})
        )
        first = next(client.search_orders())

    assert first.id == "o1"
    assert len(wire.received) == 1


def test_search_that_runs_in_circles_is_an_error() -> None:
    """A cursor that comes back would fetch the same pages for ever."""
    page = reply(200, {"orders": [{"id": "o"}], "metadata": {"hasNext": True, "cursors": {"next": "same"}}})
    with serving() as wire, client_of(wire.url, patience=Patience(pauses=())) as client:
        wire.replies.extend([page, page])

        with pytest.raises(WixUnreadable, match="earlier page"):
            list(client.search_orders())


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("fault", [break_connection, reply(503, {}), reply(200, b"<html>"), reply(200, b'{"a')])
def test_reads_are_tried_again(operation: str, fault: Reply) -> None:
    """A read that failed for reasons of its own is sent up to three times, after growing pauses."""
    clock, gate = Clock(), RecordingGate()
    with serving() as wire, client_of(wire.url, clock=clock, gate=gate) as client:
        wire.replies.extend([fault, fault, reply(200, ANSWERS[operation])])
        OPERATIONS[operation](client)

    assert len(wire.received) == 3
    assert [call[0] for call in gate.calls] == [operation] * 3
    assert gate.ends[-1] == "ok"
    assert len(clock.slept) == 2
    assert clock.slept[0] < clock.slept[1]


def test_reads_are_not_tried_for_ever() -> None:
    """The third failure is the caller's."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.extend([reply(500, {})] * 4)

        with pytest.raises(WixUnavailable):
            client.list_fulfillments(ORDER)

    assert len(wire.received) == 3


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("list-by-ids", {"ordersWithFulfillments": {}}),
        ("list-by-ids", {"ordersWithFulfillments": [{}]}),
        ("bulk-create", {"results": {}}),
        ("bulk-create", {}),
        ("get-order", {}),
        ("search-orders", {"orders": "none"}),
        ("search-orders", {"orders": [{"id": "o", "createdDate": "0001-01-01T00:00:00+14:00"}]}),
    ],
)
def test_answer_of_another_shape_is_unreadable(operation: str, answer: dict[str, JsonValue]) -> None:
    """What the contract promises is there, or the answer is as good as none."""
    with serving() as wire, client_of(wire.url, patience=Patience(pauses=())) as client:
        wire.replies.append(reply(200, answer))

        with pytest.raises(WixUnreadable, match="lacks what its contract promises"):
            OPERATIONS[operation](client)


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (break_connection, WixNoAnswer),
        (reply(503, {}), WixUnavailable),
        (reply(200, b"<html>"), WixUnreadable),
        (reply(200, CREATED)[:-5], WixNoAnswer),
    ],
)
def test_writes_are_sent_once(operation: str, fault: Reply, kind: type[WixError]) -> None:
    """Whatever leaves open what happened is handed to the caller, never repeated here."""
    gate = RecordingGate()
    with serving() as wire, client_of(wire.url, gate=gate) as client:
        wire.replies.append(fault)

        with pytest.raises(kind) as caught:
            OPERATIONS[operation](client)

    assert caught.value.ambiguous
    assert len(wire.received) == 1
    assert gate.ends == [kind.__name__]


@pytest.mark.parametrize("operation", WRITES)
def test_connection_never_opened_is_not_ambiguous(operation: str) -> None:
    """Where nobody listens nothing happened, and the caller may send again."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    gate = RecordingGate()
    with client_of(url, gate=gate) as client, pytest.raises(WixUnreachable) as caught:
        OPERATIONS[operation](client)

    assert not caught.value.ambiguous
    assert gate.outcomes == [(1, None, "", "WixUnreachable")]


def trickle(head: bytes, wire: Wire) -> Callable[[socket.socket], None]:
    """Give a reply that sends a head and then a blank at a time, for as long as anyone listens."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while not wire.closing.wait(0.01):
            connection.sendall(b" ")

    return send


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nx-slow: ", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"]
)
def test_server_that_trickles_is_cut_off(head: bytes) -> None:
    """The deadline is for the whole call: a byte now and then, of headers or body, does not extend it."""
    with serving() as wire, client_of(wire.url, timeout=0.3) as client:
        wire.replies.append(trickle(head, wire))

        with pytest.raises(WixNoAnswer, match=r"within 0\.3 s"):
            client.create_fulfillment(ORDER, UPS)


def test_deadline_is_each_calls_own() -> None:
    """A call that ran out of time leaves the next one its full time."""
    with serving() as wire, client_of(wire.url, timeout=0.3) as client:
        wire.replies.extend([trickle(b"", wire), reply(200, CREATED)])
        with pytest.raises(WixNoAnswer):
            client.create_fulfillment(ORDER, UPS)

        created = client.create_fulfillment(ORDER, UPS)

    assert created.fulfillment_id == FULFILLMENT


def test_connection_that_took_all_the_time_is_not_ambiguous() -> None:
    """When the time is over before a byte was sent, nothing happened."""
    moments = iter([0.0, 1.0, 20.0])
    with serving() as wire:
        line = HttpLine(wire.url, timeout=15, body_cap=1, user_agent="tests", monotonic=lambda: next(moments))
        with pytest.raises(WixUnreachable):
            line.send("create", "POST", "/", json={}, headers={})
        line.close()

    assert wire.received == []


def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wix is reached through HTTPS_PROXY; one that cannot connect is as if nobody had listened."""
    with serving() as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        proxy.replies.append(reply(502, b""))
        with client_of("https://www.wixapis.com") as client, pytest.raises(WixUnreachable):
            client.create_fulfillment(ORDER, UPS)

    (request,) = proxy.received
    assert (request.method, request.path) == ("CONNECT", "www.wixapis.com:443")
    assert "authorization" not in request.headers


def test_store_on_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox is not looked for behind the proxy of the environment."""
    with serving() as wire, serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with client_of(wire.url) as client:
            client.list_fulfillments(ORDER)

    assert len(wire.received) == 1
    assert proxy.received == []


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
def test_answer_over_the_cap_is_not_read(encode: Callable[[bytes], bytes]) -> None:
    """The cap counts what a body unpacks to."""
    encoding = {"content-encoding": "gzip"} if encode is gzip.compress else {}
    with serving() as wire, client_of(wire.url, body_cap=1_000) as client:
        wire.replies.append(reply(200, encode(b'"' + b"x" * 5_000 + b'"'), encoding))

        with pytest.raises(WixUnreadable, match="larger than 1,000 bytes"):
            client.create_fulfillment(ORDER, UPS)


def test_redirect_is_refused() -> None:
    """Nothing is sent to where an answer points, least of all the key."""
    with serving() as wire, serving() as elsewhere, client_of(wire.url) as client:
        wire.replies.append(reply(307, {}, {"location": elsewhere.url}))

        with pytest.raises(WixUnreadable):
            client.create_fulfillment(ORDER, UPS)

    assert elsewhere.received == []


def test_cookies_are_not_kept() -> None:
    """No call depends on what an earlier one left behind."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.append(reply(200, of_order(), {"set-cookie": "seen=1; Path=/"}))
        client.list_fulfillments(ORDER)
        client.list_fulfillments(ORDER)

    assert "cookie" not in wire.received[1].headers


def test_consistency_header_is_sent_back() -> None:
    """X-Wix-Consistent of any answer goes with every later call, until another replaces it."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.extend(
            [
                reply(200, CREATED, {"x-wix-consistent": "first"}),
                reply(200, of_order()),
                reply(404, {}, {"x-wix-consistent": "second"}),
                reply(200, of_order()),
            ]
        )
        client.create_fulfillment(ORDER, UPS)
        client.list_fulfillments(ORDER)
        with pytest.raises(WixError):
            client.update_status(ORDER, FULFILLMENT, "Ready")
        client.list_fulfillments(ORDER)

    assert [request.headers.get("x-wix-consistent") for request in wire.received] == [None, "first", "first", "second"]


@pytest.mark.parametrize("operation", ["create", "list"])
def test_throttled_call_is_sent_again_after_the_gates_wait(operation: str) -> None:
    """A 429 did nothing: reads and writes alike wait through the gate and are sent again."""
    gate = RecordingGate()
    with serving() as wire, client_of(wire.url, gate=gate) as client:
        wire.replies.extend([reply(429, {}), reply(429, {}, {"retry-after": "5"}), reply(200, ANSWERS[operation])])
        OPERATIONS[operation](client)

    assert gate.throttles == [60.0, 5.0]
    assert gate.ends == ["WixRateLimited", "WixRateLimited", "ok"]


@pytest.mark.parametrize(("retry_after", "calls"), [("10", 4), ("200", 2), ("900", 1)])
def test_throttled_call_is_given_up_in_the_end(retry_after: str, calls: int) -> None:
    """Three waits, or 300 seconds of them, are enough; the gate hears of the last one too."""
    gate = RecordingGate()
    with serving() as wire, client_of(wire.url, gate=gate) as client:
        wire.replies.extend([reply(429, {}, {"retry-after": retry_after})] * calls)

        with pytest.raises(WixRateLimited) as caught:
            client.create_fulfillment(ORDER, UPS)

    assert len(wire.received) == calls
    assert gate.throttles == [float(retry_after)] * calls
    assert caught.value.retry_after == float(retry_after)
    assert not caught.value.ambiguous


def test_open_gate_waits_before_the_next_call() -> None:
    """Without a ledger the client's own gate keeps a throttled site's calls back."""
    clock = Clock()
    gate = OpenGate(monotonic=clock, sleep=clock.sleep)

    gate.throttled(60)
    clock.now += 20
    gate.before("list", "GET", "/", ())
    gate.before("list", "GET", "/", ())

    assert clock.slept == [40.0]


def test_gate_that_refuses_keeps_the_call_from_being_made() -> None:
    """What cannot be written down is not sent."""

    class Closed(RecordingGate):
        def before(self, *_: object) -> int:
            msg = "the ledger cannot be written"
            raise ConfigurationError(msg)

    with serving() as wire, client_of(wire.url, gate=Closed()) as client, pytest.raises(ConfigurationError):
        client.create_fulfillment(ORDER, UPS)

    assert wire.received == []


def test_refused_key_is_not_tried_again() -> None:
    """A key does not expire, so a 401 stays one."""
    with serving() as wire, client_of(wire.url) as client:
        wire.replies.append(reply(401, application_error("UNAUTHENTICATED")))

        with pytest.raises(WixUnauthorized):
            client.get_order(ORDER)

    assert len(wire.received) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://www.wixapis.com",
        "http://10.0.0.1:80",
        "ftp://localhost",
        "www.wixapis.com",
        "https://user:word@www.wixapis.com",
        "https://www.wixapis.com:port",
        "http://[::1",
        "",
    ],
)
def test_url_must_be_https_or_this_machine(url: str) -> None:
    """Keys and addresses never travel in the clear."""
    with pytest.raises(ConfigurationError, match="not https"):
        WixClient(base_url=url, credentials=KEY, gate=OpenGate())


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_port_that_cannot_be_is_told(port: int) -> None:
    """A mistyped port is the configuration's fault, and not the network's."""
    with pytest.raises(ConfigurationError, match=f"port {port}"):
        WixClient(base_url=f"http://127.0.0.1:{port}", credentials=KEY, gate=OpenGate())


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("https://www.wixapis.com", False),
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("https://localhost.example.com", False),
    ],
)
def test_client_knows_whether_it_speaks_to_this_machine(url: str, *, is_loopback: bool) -> None:
    """Only a store on this machine may have http links."""
    with WixClient(base_url=url, credentials=KEY, gate=OpenGate()) as client:
        assert client.is_loopback is is_loopback


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a?b", "ä", "x" * 101, "a b", "a\n"])
def test_id_that_would_change_the_path_is_refused(bad: str) -> None:
    """An id goes into a path, so it may hold nothing that means something there."""
    with serving() as wire, client_of(wire.url) as client:
        for call in (
            lambda: client.get_order(bad),
            lambda: client.list_fulfillments(bad),
            lambda: client.create_fulfillment(bad, UPS),
            lambda: client.update_status(ORDER, bad, "Ready"),
            lambda: client.delete_fulfillment(bad, FULFILLMENT),
            lambda: client.list_fulfillments_by_ids([bad]),
            lambda: client.bulk_create_fulfillments([(bad, [UPS])]),
        ):
            with pytest.raises(InputError):
                call()

    assert wire.received == []


@pytest.mark.parametrize("count", [0, 101])
def test_batches_are_1_to_100(count: int) -> None:
    """Wix takes no more than 100 orders in a call."""
    with serving() as wire, client_of(wire.url) as client:
        with pytest.raises(InputError):
            client.list_fulfillments_by_ids([ORDER] * count)
        with pytest.raises(InputError):
            client.bulk_create_fulfillments([(ORDER, [UPS])] * count)

    assert wire.received == []


@pytest.mark.parametrize("status", ["", "fulfilled", "InDelivery", "SHIPPED"])
def test_status_wix_would_refuse_is_refused_here(status: str) -> None:
    """The five statuses are case-sensitive."""
    with serving() as wire, client_of(wire.url) as client, pytest.raises(InputError, match="not a status Wix knows"):
        client.update_status(ORDER, FULFILLMENT, status)
    with pytest.raises(InputError):
        NewFulfillment(line_items=ITEMS, status=status)

    assert wire.received == []


def test_custom_provider_without_a_link_is_refused_here() -> None:
    """The consignee would get a number and nowhere to follow it."""
    with pytest.raises(InvalidTrackingLink):
        NewFulfillment(line_items=ITEMS, tracking_number="N", shipping_provider="FedEx")


def test_number_without_a_provider_is_refused_here() -> None:
    """A number says nothing without its provider."""
    with pytest.raises(InputError, match="shipping provider"):
        NewFulfillment(line_items=ITEMS, tracking_number="N")
