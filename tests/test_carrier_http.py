"""A carrier's client keeps to its hosts, its deadline and its cap, and repeats no secret."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from carrier_wire import CarrierServer, Reply, carrier_server
from parcelhook import __version__
from parcelhook.answer import Answer, seconds_until_retry
from parcelhook.carrier import Carrier, Quota
from parcelhook.contexts import ContextFactory
from parcelhook.errors import (
    CarrierError,
    CarrierRefused,
    CarrierThrottled,
    CarrierUnauthorized,
    CarrierUnavailable,
    CarrierUnreadable,
    ConfigurationError,
)
from parcelhook.http import HttpCarrierClient, HttpLimits
from parcelhook.inflate import Inflater, UnknownCoding

ResultT = TypeVar("ResultT")
QUICK = HttpLimits(total=2.0, connect=1.0, backoff=0.001, body=1000)
SECRET = "s3cr3t-value"


class Page(BaseModel):
    """A page as the carrier documents it."""

    number: int


@pytest.fixture(scope="module")
def running() -> Iterator[CarrierServer]:
    """Run one server for the file."""
    with carrier_server() as server:
        yield server


@pytest.fixture
def server(running: CarrierServer) -> CarrierServer:
    """Give the server without memory of other tests."""
    running.asked.clear()
    running.replies.clear()
    return running


def run(
    server: CarrierServer,
    work: Callable[[HttpCarrierClient], Awaitable[ResultT]],
    *,
    limits: HttpLimits = QUICK,
    base: str = "",
    quota: Quota | None = None,
) -> ResultT:
    """Do something with a client bound to the server."""

    async def within() -> ResultT:
        client = HttpCarrierClient("acme", hosts=(server.url + base,), limits=limits, quota=quota)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(within())


def refused(server: CarrierServer, reply: Reply, *, method: str = "post") -> CarrierError:
    """Give the error a reply becomes, for a request that holds secrets everywhere."""
    server.reply("/x", reply)

    async def work(client: HttpCarrierClient) -> object:
        headers = {"authorization": f"Bearer {SECRET}"}
        if method == "get":
            return await client.get("/x", query={"key": SECRET}, headers=headers)
        return await client.post("/x", json={"key": SECRET}, query={"key": SECRET}, headers=headers)

    with pytest.raises(CarrierError) as caught:
        run(server, work)
    return caught.value


def test_get_sends_query_headers_and_our_name(server: CarrierServer) -> None:
    """A path is relative to the base URL, and every call says which parcelhook makes it."""
    server.reply("/v1/parcels/AC1", Reply(body=b'{"number": 7}', headers={"Content-Type": "application/json"}))

    answer = run(server, lambda client: client.get("parcels/AC1", query={"a": 1}, headers={"x-k": "v"}), base="/v1/")

    assert answer.read(Page).number == 7
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.query, asked.headers["x-k"]) == ("GET", "/v1/parcels/AC1", "a=1", "v")
    assert asked.headers["user-agent"] == f"parcelhook/{__version__}"


def test_bodies_are_json_form_or_bytes(server: CarrierServer) -> None:
    """POST and PUT send what they were given, and DELETE sends nothing."""
    server.reply("/x", Reply())

    async def work(client: HttpCarrierClient) -> None:
        await client.post("/x", json={"a": [1]})
        await client.post("/x", form={"grant_type": "client_credentials"})
        await client.put("/x", content=b"<a/>")
        await client.delete("/x")

    run(server, work)

    assert [(each.method, each.body) for each in server.asked] == [
        ("POST", b'{"a":[1]}'),
        ("POST", b"grant_type=client_credentials"),
        ("PUT", b"<a/>"),
        ("DELETE", b""),
    ]


def test_two_bodies_at_once_are_a_mistake(server: CarrierServer) -> None:
    """A call with both JSON and a form is refused before it is sent."""
    with pytest.raises(ValueError, match="one of json, form and content"):
        run(server, lambda client: client.post("/x", json={}, form={}))
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, CarrierRefused, False),
        (401, CarrierUnauthorized, False),
        (403, CarrierUnauthorized, False),
        (404, CarrierRefused, False),
        (429, CarrierThrottled, True),
        (500, CarrierUnavailable, True),
        (503, CarrierUnavailable, True),
        (304, CarrierRefused, False),
    ],
)
def test_a_status_that_is_no_answer_is_raised(
    server: CarrierServer, status: int, kind: type[CarrierError], *, retryable: bool
) -> None:
    """Each status becomes its error, with the status as code, and without a word of what was secret."""
    error = refused(server, Reply(status, body=b"" if status == 304 else SECRET.encode()))

    assert type(error) is kind
    assert (error.carrier, error.code, error.retryable) == ("acme", str(status), retryable)
    assert SECRET not in repr((str(error), error.what_to_do, vars(error)))


def test_an_accepted_status_is_an_answer(server: CarrierServer) -> None:
    """A carrier's own way to say "not found" can be read like any other answer."""
    server.reply("/x", Reply(404, body=b'{"number": 0}'))

    answer = run(server, lambda client: client.get("/x", accept={404}))

    assert (answer.status, answer.read(Page).number) == (404, 0)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_safe_calls_are_tried_again(server: CarrierServer, status: int) -> None:
    """A gateway's fault is gone on the third attempt."""
    server.reply("/x", Reply(status), Reply(status), Reply())

    assert run(server, lambda client: client.get("/x")).status == 200
    assert len(server.asked) == 3


def test_attempts_end(server: CarrierServer) -> None:
    """A fault that stays is reported after three attempts."""
    error = refused(server, Reply(503), method="get")

    assert (type(error), len(server.asked)) == (CarrierUnavailable, 3)


@pytest.mark.parametrize(("status", "method"), [(500, "get"), (404, "get"), (429, "get"), (503, "post")])
def test_what_cannot_help_is_not_tried_again(server: CarrierServer, status: int, method: str) -> None:
    """Neither a POST, nor a refusal, nor a throttle that names no time is sent twice."""
    refused(server, Reply(status), method=method)

    assert len(server.asked) == 1


def test_a_short_retry_after_is_waited_for(server: CarrierServer) -> None:
    """A throttle of no seconds is waited out, one of an hour is reported with its seconds."""
    server.reply("/x", Reply(429, headers={"retry-after": "0"}), Reply())
    assert run(server, lambda client: client.get("/x")).status == 200

    error = refused(server, Reply(429, headers={"retry-after": "3600"}), method="get")
    assert (type(error), error.retry_after) == (CarrierThrottled, 3600.0)


def test_a_broken_connection_is_tried_again(server: CarrierServer) -> None:
    """An answer that breaks off is asked for again when that is safe."""
    broken = Reply(headers={"content-length": "50"}, breaks=True)
    server.reply("/x", broken, Reply())
    assert run(server, lambda client: client.get("/x")).status == 200

    error = refused(server, broken)
    assert (type(error), error.code) == (CarrierUnavailable, "")
    assert "the connection broke" in error.message


def test_the_deadline_covers_all_attempts(server: CarrierServer) -> None:
    """A carrier that never answers is given up at the total deadline, which is no httpx error."""
    server.reply("/x", Reply(delay=30))

    with pytest.raises(CarrierUnavailable, match=r"no answer within 0\.1 s"):
        run(server, lambda client: client.get("/x"), limits=HttpLimits(total=0.1))


def test_no_connection_is_unavailable() -> None:
    """A closed port is told apart from an answer that does not come, and holds no trace of the request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(CarrierUnavailable, match="no connection") as caught:
        run(CarrierServer(closed), lambda client: client.get("/x"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/x",
        "http://127.0.0.1:1/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1@elsewhere.example/x",
        "/../admin",
        "/parcels/%2E%2e",
    ],
)
def test_a_call_never_leaves_the_carrier(server: CarrierServer, url: str) -> None:
    """Another host, port or scheme, a user in the URL and a climbing path are refused before anything is sent."""
    with pytest.raises(CarrierRefused, match="leads away"):
        run(server, lambda client: client.get(url))
    assert server.asked == []


def test_a_path_cannot_become_a_host(server: CarrierServer) -> None:
    """Whatever a path begins with, it stays a path."""
    with pytest.raises(CarrierRefused, match="status 404"):
        run(server, lambda client: client.get("@elsewhere.example"))
    assert server.asked[0].path == "/@elsewhere.example"


def test_a_path_that_makes_no_url_is_refused(server: CarrierServer) -> None:
    """A tracking number with a control character in it reaches nobody, and is not repeated."""
    with pytest.raises(CarrierRefused, match="GET: the path makes no valid URL"):
        run(server, lambda client: client.get(f"/parcels/{SECRET}\x00"))
    assert server.asked == []


def test_a_redirect_on_the_same_host_is_followed(server: CarrierServer) -> None:
    """A redirect, relative or not, leads to the answer."""
    server.reply("/x", Reply(302, headers={"location": "/y"}))
    server.reply("/y", Reply(307, headers={"location": f"{server.url}/z"}))
    server.reply("/z", Reply(body=b'{"number": 1}'))

    assert run(server, lambda client: client.get("/x")).read(Page).number == 1


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "http://127.0.0.1:1/", "//elsewhere.example/"])
def test_a_redirect_to_another_host_is_refused(server: CarrierServer, target: str) -> None:
    """A carrier cannot send us, and our credentials, elsewhere."""
    error = refused(server, Reply(302, headers={"location": target}), method="get")

    assert (type(error), len(server.asked)) == (CarrierRefused, 1)


def test_redirects_end(server: CarrierServer) -> None:
    """A page that leads to itself is left after five steps."""
    error = refused(server, Reply(302, headers={"location": "/x"}), method="get")

    assert "more than 5 redirects" in error.message


def test_a_body_is_cut_at_the_cap(server: CarrierServer) -> None:
    """An endless answer is cut while it arrives."""
    server.reply("/x", Reply(body=[b"x" * 600] * 2))

    with pytest.raises(CarrierUnreadable, match="larger than 1000 bytes"):
        run(server, lambda client: client.get("/x"))


def test_a_gzip_bomb_is_cut_at_the_cap(server: CarrierServer) -> None:
    """A small answer that unfolds into megabytes is cut where it passes the cap."""
    server.reply("/x", Reply(body=gzip.compress(b"0" * 50_000_000), headers={"content-encoding": "gzip"}))

    with pytest.raises(CarrierUnreadable, match="larger than 1000 bytes"):
        run(server, lambda client: client.get("/x"))


def test_a_gzipped_answer_is_read(server: CarrierServer) -> None:
    """Compression is asked for and undone."""
    server.reply("/x", Reply(body=gzip.compress(b'{"number": 3}'), headers={"content-encoding": "gzip"}))

    answer = run(server, lambda client: client.get("/x"))

    assert answer.read(Page).number == 3
    assert server.asked[0].headers["accept-encoding"] == "gzip"


@given(st.binary(max_size=500), st.integers(1, 40))
def test_pieces_make_up_the_body(body: bytes, size: int) -> None:
    """However a compressed body is cut into pieces, and if it has several members, the whole comes out."""
    packed = gzip.compress(body) + gzip.compress(body)
    inflater = Inflater("gzip", cap=1000)

    for start in range(0, len(packed), size):
        inflater.feed(packed[start : start + size])

    assert inflater.done() == body * 2


@pytest.mark.parametrize(
    ("coding", "body"),
    [("br", b"x"), ("gzip", b"no gzip at all"), ("gzip", gzip.compress(b"x" * 90, mtime=0)[:-9])],
    ids=["unknown", "nonsense", "cut"],  # the bytes hold the time, which is another one for each process
)
def test_what_cannot_be_unpacked_is_told(coding: str, body: bytes) -> None:
    """An unknown coding, rubbish and a body without its end are errors."""
    with pytest.raises(UnknownCoding):
        _unpacked(coding, body)


def _unpacked(coding: str, body: bytes) -> bytes:
    inflater = Inflater(coding, cap=1000)
    inflater.feed(body)
    return inflater.done()


def test_an_unexpected_shape_names_fields_and_no_values() -> None:
    """What does not fit the model is told by path, never by value."""
    body = f'{{"number": "{SECRET}", "{"x"}": 1}}'.encode()

    with pytest.raises(CarrierUnreadable) as caught:
        Answer(200, {}, body, "GET api.acme.example/x", "acme").read(Page)
    assert "GET api.acme.example/x: the answer is no Page: number: " in caught.value.message
    assert SECRET not in repr((caught.value.message, caught.value.__cause__, caught.value.__context__))


def test_text_goes_by_the_charset() -> None:
    """A body is decoded as it says, as UTF-8 where it says nothing or nonsense, and is not in the repr."""
    latin = Answer(200, {"content-type": "text/xml; charset=iso-8859-1"}, "é".encode("latin-1"), "GET x", "acme")
    nonsense = Answer(200, {"content-type": "text/xml; charset=klingon"}, "é".encode(), "GET x", "acme")

    assert (latin.text, nonsense.text) == ("é", "é")
    assert "é" not in repr(latin)


def test_a_quota_is_kept(server: CarrierServer) -> None:
    """The call over the quota is not sent, and says when it may be."""
    server.reply("/x", Reply())

    async def work(client: HttpCarrierClient) -> None:
        await client.get("/x")
        await client.get("/x")
        await client.get("/x")

    with pytest.raises(CarrierThrottled, match="over 2 calls in 60 s") as caught:
        run(server, work, quota=Quota(calls=2, seconds=60))
    assert len(server.asked) == 2
    assert 0 < (caught.value.retry_after or 0) <= 60


def test_a_quota_is_free_again_after_its_window(server: CarrierServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls older than the window do not count any more."""
    now = [1000.0]
    monkeypatch.setattr("parcelhook.http.monotonic", lambda: now[0])
    server.reply("/x", Reply())

    async def work(client: HttpCarrierClient) -> None:
        await client.get("/x")
        now[0] += 60
        await client.get("/x")

    run(server, work, quota=Quota(calls=1, seconds=60))
    assert len(server.asked) == 2


def test_a_client_outlives_its_loop(server: CarrierServer) -> None:
    """The same client works in one loop after the other."""
    server.reply("/x", Reply())
    client = HttpCarrierClient("acme", hosts=(server.url,), limits=QUICK)

    async def once() -> int:
        try:
            return (await client.get("/x")).status
        finally:
            await client.aclose()

    assert [asyncio.run(once()), asyncio.run(once())] == [200, 200]


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), (" 7 ", 7.0), ("", None), ("soon", None), ("-1", None)])
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    """Seconds are read, everything else is no time."""
    assert seconds_until_retry(value) == seconds


def test_retry_after_as_a_date() -> None:
    """A date is turned into the seconds until then, and one that has passed into none."""
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    assert seconds_until_retry(format_datetime(now + timedelta(seconds=90), usegmt=True), now=now) == 90
    assert seconds_until_retry(format_datetime(now - timedelta(days=1), usegmt=True), now=now) == 0


ACME = Carrier(id="acme-post", name="Acme", host="https://api.acme.example", test_host="https://test.acme.example")


@pytest.mark.parametrize(
    "host", ["http://api.acme.example", "ftp://127.0.0.1", "https://", "https://u@acme.example", 7, "http://10.0.0.1"]
)
def test_a_configured_host_is_https_or_this_machine(host: object) -> None:
    """A host that is neither is a configuration error that names the setting both ways."""
    context = ContextFactory({"acme-post": {"host": host}}).context(ACME, plugin="acme")

    with pytest.raises(ConfigurationError, match=r"\[carriers.acme-post\] host: must be") as caught:
        _ = context.http
    assert "PARCELHOOK_CARRIERS__ACME_POST__HOST" in caught.value.what_to_do


def test_a_configured_host_is_the_only_one(server: CarrierServer) -> None:
    """With a host of the operator's, nothing goes to the carrier's own."""
    server.reply("/x", Reply())
    context = ContextFactory({"acme-post": {"host": server.url}}).context(ACME, plugin="acme")

    async def work() -> int:
        try:
            with pytest.raises(CarrierRefused, match="leads away"):
                await context.http.get("https://api.acme.example/x")
            return (await context.http.get("/x")).status
        finally:
            await context.aclose()

    assert asyncio.run(work()) == 200


def test_a_carrier_without_a_host_is_told() -> None:
    """A call needs a host, and the error says where to set it."""
    client = HttpCarrierClient("acme", hosts=(), limits=QUICK)

    with pytest.raises(CarrierRefused, match="has no API host") as caught:
        asyncio.run(client.get("/x"))
    assert caught.value.what_to_do == "Set host in [carriers.acme]."


def test_httpx_is_imported_by_the_first_call_only() -> None:
    """Making registry, context and client costs no import of httpx, nor of structlog."""
    code = (
        "import sys; import parcelhook.registry, parcelhook.http, parcelhook.contexts; "
        "parcelhook.http.HttpCarrierClient('a', hosts=(), limits=parcelhook.http.HttpLimits()); "
        "print([name for name in ('httpx', 'structlog', 'anyio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
