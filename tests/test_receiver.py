"""A webhook is answered 200 once it is kept, and nothing that Wix did not sign for this store is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey

from ledger_samples import execute
from parcelhook.fulfillment.events import take_events
from parcelhook.ledger import Ledger
from parcelhook.registry import Registry
from parcelhook.sandbox import Running
from parcelhook.web.receiver import App
from parcelhook.wix import WebhookVerifier
from served import serving
from shops import ID, Shop, opened

pytest_plugins = ["stores"]

KEY = RSAKey.generate_key(2048)
OTHER_KEY = RSAKey.generate_key(2048)
PUBLIC = KEY.as_pem(private=False)
INSTANCE = "instance-of-tests"
OTHER_INSTANCE = "instance-of-another-app"
OTHER = "other"
APPROVED = "wix.ecom.v1.order_approved"


def claims_of(
    *, event_id: str = "", event_type: str = APPROVED, order_id: str = "order-1", instance: str = INSTANCE
) -> dict[str, Any]:
    """Give the claims of an event's token."""
    fqdn, _, slug = event_type.rpartition("_")
    event = {
        "id": event_id or str(uuid4()),
        "entityFqdn": fqdn,
        "slug": slug,
        "entityId": order_id,
        "eventTime": "2026-03-01T13:30:45.872Z",
        "entityEventSequence": "17",
        "actionEvent": {"body": {"order": {"id": order_id, "number": "10108", "status": "APPROVED"}}},
    }
    envelope = {"eventType": event_type, "instanceId": instance, "data": json.dumps(event)}
    return {"data": json.dumps(envelope), "iat": int(time.time()), "exp": int(time.time()) + 300}


def signed(claims: dict[str, Any], *, key: RSAKey = KEY, algorithm: str = "RS256") -> bytes:
    """Sign claims as Wix does."""
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm]).encode()


def spelt(header: dict[str, str], claims: dict[str, Any], *, secret: bytes | None = None) -> bytes:
    """Spell a token no library would make: without a signature, or with an HMAC under a text of one's choice."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = b"" if secret is None else hmac.new(secret, body, hashlib.sha256).digest()
    return body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


def webhook(**event: str) -> bytes:
    """Give the body of a webhook."""
    return signed(claims_of(**event))


def ended(hours: float) -> dict[str, Any]:
    """Give the claims of a token that ended so many hours ago."""
    return claims_of() | {"exp": int(time.time() - hours * 3600)}


def kept(shop: Shop) -> list[tuple[str, ...]]:
    """Read the inbox's rows over a connection of their own: only what is durable is seen."""
    connection = sqlite3.connect(str(sa.make_url(shop.ledger.url).database))
    rows = connection.execute("SELECT store, id, event_type, order_id FROM inbox ORDER BY received_at, id").fetchall()
    connection.close()
    return rows


@contextmanager
def read_only(ledger: Ledger) -> Iterator[None]:
    """Let the ledger's database refuse every write."""
    engine = ledger._database._engine

    def refuse(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA query_only = 1")

    def allow(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA query_only = 0")

    sa.event.listen(engine, "checkout", refuse)
    sa.event.listen(engine, "checkin", allow)
    yield
    sa.event.remove(engine, "checkout", refuse)
    sa.event.remove(engine, "checkin", allow)


WOKEN: list[bool] = []


@pytest.fixture(scope="module")
def shop(
    sandbox: Running, registry: Registry, empty_ledger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Give one store for all of these tests; what came in is forgotten before each."""
    path = tmp_path_factory.mktemp("receiver") / "ledger.sqlite"
    shutil.copyfile(empty_ledger, path)
    with opened(sandbox, registry, path=path) as made:
        yield made


@pytest.fixture(scope="module")
def wix(shop: Shop) -> Iterator[httpx.Client]:
    """Serve two stores, each of an app of its own, and give a client that posts to them as Wix does."""
    shop.ledger.stores.ensure(OTHER, site=OTHER_INSTANCE)
    apps = [
        App(WebhookVerifier(PUBLIC.decode()), {INSTANCE: ID}),
        App(WebhookVerifier(OTHER_KEY.as_pem(private=False).decode()), {OTHER_INSTANCE: OTHER}),
    ]
    with serving(shop.store, replace(shop.store, id=OTHER), apps=apps, wake=lambda: WOKEN.append(True)) as client:
        yield client


@pytest.fixture(autouse=True)
def woken(shop: Shop) -> list[bool]:
    """Forget what came in before, and keep how often the worker is woken."""
    execute(shop.ledger.url, "DELETE FROM inbox")
    WOKEN.clear()
    return WOKEN


def test_200_means_that_the_event_is_durable(shop: Shop, wix: httpx.Client, woken: list[bool]) -> None:
    """When the answer arrives, the row is in the database, and the worker was woken."""
    answer = wix.post("/webhooks", content=webhook(event_id="e-1"))

    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert kept(shop) == [(ID, "e-1", APPROVED, "order-1")]
    assert woken


def test_nothing_is_done_about_an_event_while_wix_waits(shop: Shop, wix: httpx.Client) -> None:
    """Taking an event in asks Wix nothing and decides nothing."""
    shop.calls()

    wix.post("/webhooks", content=webhook(order_id=shop.order())).raise_for_status()

    (event,) = shop.ledger.inbox.pending([ID])
    assert (event.attempts, event.finished_at) == (0, None)
    assert not shop.calls()
    assert not shop.rows(event.order_id)


def test_the_root_takes_webhooks_too(shop: Shop, wix: httpx.Client) -> None:
    """An app whose webhook URL is the bare host is served as well."""
    assert wix.post("/", content=webhook()).status_code == 200
    assert len(kept(shop)) == 1


def test_an_event_that_comes_again_is_one_row(shop: Shop, wix: httpx.Client) -> None:
    """A repeated event is answered 200 every time, signed anew or not, and kept once."""
    body = webhook(event_id="e-1")

    answers = [wix.post("/webhooks", content=content) for content in (body, body, webhook(event_id="e-1"))]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(kept(shop)) == 1


@pytest.mark.parametrize("hours", [0.5, 48, 71.9])
def test_a_token_is_taken_for_72_hours_after_its_end(shop: Shop, wix: httpx.Client, hours: float) -> None:
    """Wix delivers for 48 hours and need not sign again."""
    assert wix.post("/webhooks", content=signed(ended(hours))).status_code == 200
    assert len(kept(shop)) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(signed(claims_of(), key=RSAKey.generate_key(2048)), id="another key"),
        pytest.param(spelt({"alg": "none"}, claims_of()), id="alg none"),
        pytest.param(spelt({"alg": "HS256"}, claims_of(), secret=PUBLIC), id="HS256 keyed with the public key"),
        pytest.param(signed(claims_of(), algorithm="RS512"), id="RS512"),
        pytest.param(signed(ended(72.1)), id="ended more than 72 hours ago"),
        pytest.param(webhook()[:-7], id="truncated signature"),
        pytest.param(webhook()[:200], id="truncated payload"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="bare JSON"),
        pytest.param(b'{"data": "' + webhook() + b'"}', id="token inside JSON"),
        pytest.param(b"\xff\xfe\x00" * 50, id="bytes"),
    ],
)
def test_what_wix_did_not_sign_is_refused(shop: Shop, wix: httpx.Client, woken: list[bool], body: bytes) -> None:
    """Anything but a valid signature of the app gets 401, leaves no row and wakes nobody."""
    answer = wix.post("/webhooks", content=body)

    assert (answer.status_code, answer.json()["received"]) == (401, False)
    assert kept(shop) == []
    assert not woken


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=400) | st.integers(0, 255).map(lambda byte: webhook()[:-4] + bytes([byte]) * 4))
def test_no_bytes_but_wix_own_are_kept(shop: Shop, wix: httpx.Client, body: bytes) -> None:
    """Whatever a stranger sends is answered 401, and never with a fault of ours."""
    assert wix.post("/webhooks", content=body).status_code == 401
    assert kept(shop) == []


def test_an_unknown_instance_is_not_found(shop: Shop, wix: httpx.Client) -> None:
    """An event of a store that is not configured is answered 404 and not kept."""
    answer = wix.post("/webhooks", content=webhook(instance="unknown"))

    assert answer.status_code == 404
    assert kept(shop) == []


def test_each_app_speaks_for_its_own_stores(shop: Shop, wix: httpx.Client) -> None:
    """What one app signs about another app's store is not that store's event."""
    own = wix.post("/webhooks", content=signed(claims_of(instance=OTHER_INSTANCE, event_id="e-2"), key=OTHER_KEY))
    foreign = wix.post("/webhooks", content=signed(claims_of(instance=INSTANCE), key=OTHER_KEY))

    assert (own.status_code, foreign.status_code) == (200, 404)
    assert [row[:2] for row in kept(shop)] == [(OTHER, "e-2")]


def test_an_unknown_event_type_is_kept_and_ignored(shop: Shop, wix: httpx.Client) -> None:
    """An event nothing follows from is durable like any other, and marked with the reason."""
    wix.post("/webhooks", content=webhook(event_type="wix.stores.v1.product_changed", event_id="e-1"))

    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    (event,) = shop.ledger.inbox.find()
    assert (event.id, event.event_type) == ("e-1", "wix.stores.v1.product_changed")
    assert event.finished_at is not None
    assert event.outcome.startswith("ignored")


def changed(event: dict[str, Any], *, envelope: dict[str, Any] | None = None, **more: str) -> bytes:
    """Give a webhook whose event, and envelope, differ: None takes a member away."""
    claims = claims_of(**more)
    outer = json.loads(claims["data"])
    inner = {**json.loads(outer["data"]), **event}
    inner = {name: value for name, value in inner.items() if value is not None}
    outer = {**outer, "data": json.dumps(inner), **(envelope or {})}
    outer = {name: value for name, value in outer.items() if value is not None}
    return signed(claims | {"data": json.dumps(outer)})


LINE = {"id": "00000000-0000-0000-0000-000000000001", "quantity": 1, "novelty": {"deep": [1, None]}}
ORDER = {"id": "order-1", "number": "10108", "status": "APPROVED", "lineItems": [LINE], "cartId": "x"}


@pytest.mark.parametrize(
    ("event", "envelope"),
    [
        ({"entityId": None}, {}),
        ({"entityEventSequence": None}, {}),
        ({"entityEventSequence": 17}, {}),
        ({"entityEventSequence": "seventeen"}, {}),
        ({"entityEventSequence": "-1"}, {}),
        ({"entityEventSequence": "9" * 30}, {}),
        ({"entityEventSequence": {"value": 17}}, {}),
        ({"eventTime": None}, {}),
        ({"eventTime": "yesterday"}, {}),
        ({"eventTime": 1700000000}, {}),
        ({"eventTime": ["now"]}, {}),
        ({"actionEvent": None}, {}),
        ({"actionEvent": "none"}, {}),
        ({"actionEvent": {"body": None}}, {}),
        ({"actionEvent": {"body": {"order": 7}}}, {}),
        ({"actionEvent": {"body": {"order": ORDER | {"lineItems": "none"}}}}, {}),
        ({"actionEvent": {"body": {"order": ORDER | {"buyerNote": "cut emoji \ud83d"}}}}, {}),
        ({"actionEvent": {"body": {"order": ORDER, "novelty": [{"deep": None}]}}}, {}),
        ({"slug": None}, {}),
        ({"slug": ["approved"]}, {}),
        ({"originatedFrom": {"app": 1}, "triggeredByAnonymizeRequest": "yes", "novelty": [1]}, {}),
        ({}, {"eventType": None}),
        ({}, {"identity": None, "accountInfo": "none", "novelty": {}}),
        ({}, {"identity": json.dumps({"identityType": ["APP"]})}),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_what_is_missing_or_new_in_an_event_loses_nothing(
    shop: Shop, wix: httpx.Client, event: dict[str, Any], envelope: dict[str, Any]
) -> None:
    """A signed event is kept under its order, whatever else it lacks or holds that nobody knows yet."""
    answer = wix.post("/webhooks", content=changed(event, envelope=envelope, event_id="e-1"))

    assert answer.status_code == 200
    assert kept(shop) == [(ID, "e-1", APPROVED, "order-1")]
    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))
    (row,) = shop.ledger.inbox.find()
    assert row.outcome in {"the store has no such order", "it was approved before this store was set up"}


@pytest.mark.parametrize(
    ("event", "envelope", "status"),
    [
        ({"id": None}, {}, 401),
        ({"id": ""}, {}, 401),
        ({"id": {"not": "a text"}}, {}, 401),
        ({"id": "x" * 201}, {}, 401),
        ({}, {"instanceId": None}, 404),
        ({}, {"instanceId": ""}, 404),
        ({}, {"instanceId": [INSTANCE]}, 401),
        ({}, {"data": {"id": "an object"}}, 401),
        ({}, {"data": None}, 401),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_what_names_no_event_or_no_store_is_refused(
    shop: Shop, wix: httpx.Client, event: dict[str, Any], envelope: dict[str, Any], status: int
) -> None:
    """Without an id nothing can be dealt with once, and without an instance nobody knows whose it is."""
    bad = wix.post("/webhooks", content=changed(event, envelope=envelope))
    good = wix.post("/webhooks", content=webhook(event_id="good"))

    assert (bad.status_code, good.status_code) == (status, 200)
    assert bad.json()["error"]
    assert [row[1] for row in kept(shop)] == ["good"]


def test_an_event_that_names_no_order_is_kept_and_ignored(shop: Shop, wix: httpx.Client) -> None:
    """With neither an entity's id nor an order in it, nothing can follow from it."""
    answer = wix.post("/webhooks", content=changed({"entityId": None, "actionEvent": None}, event_id="e-1"))

    take_events(shop.store, shop.ledger.inbox.take(ID, lease_seconds=60))

    assert answer.status_code == 200
    assert [event.outcome for event in shop.ledger.inbox.find()] == ["ignored: it names no order"]


def test_a_ledger_that_cannot_be_written_sends_wix_away(shop: Shop, wix: httpx.Client, woken: list[bool]) -> None:
    """While nothing can be kept Wix is told to come again, and its next try is kept."""
    body = webhook(event_id="e-1")
    with read_only(shop.ledger):
        refused = wix.post("/webhooks", content=body)

    assert refused.status_code == 503
    assert kept(shop) == []
    assert not woken
    assert wix.post("/webhooks", content=body).status_code == 200
    assert len(kept(shop)) == 1


def test_a_refusal_gives_nothing_away(shop: Shop, wix: httpx.Client) -> None:
    """An answer to a stranger holds neither what was sent nor where the ledger is."""
    with read_only(shop.ledger):
        answers = [wix.post("/webhooks", content=body) for body in (webhook(), b"sentinel.of.a-stranger")]

    for answer in answers:
        assert "sentinel" not in answer.text
        assert "sqlite" not in answer.text
        assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/webhooks", "/shipments"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_not_allowed(wix: httpx.Client, method: str, path: str) -> None:
    """Only POST is taken."""
    assert wix.request(method, path).status_code == 405


def answer_to(client: httpx.Client, head: str, *, chunk: bytes = b"", times: int = 0) -> tuple[bytes, int]:
    """Send a head and, while there is no answer, chunks; give the answer up to its end and the chunks it took."""
    url = client.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.02)
        answer, sent = b"", 0
        while not answer and sent < times:
            connection.settimeout(10)
            connection.sendall(chunk)
            sent += 1
            connection.settimeout(0.02)
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
        connection.settimeout(10)
        while more := connection.recv(65_536):
            answer += more
        return answer, sent


def test_a_body_that_says_it_is_too_large_is_not_read(shop: Shop, wix: httpx.Client) -> None:
    """Ten megabytes are refused by their length alone, and the connection is closed."""
    answer, _ = answer_to(wix, "POST /webhooks HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert kept(shop) == []


def test_a_client_that_sends_it_all_sees_the_refusal(shop: Shop, wix: httpx.Client) -> None:
    """A client that sends ten megabytes before it reads gets the answer, and no reset of its connection."""
    for _ in range(5):
        assert wix.post("/webhooks", content=b"x" * 10_000_000).status_code == 413
    assert kept(shop) == []


def test_a_chunked_body_is_cut_off_at_the_cap(shop: Shop, wix: httpx.Client) -> None:
    """A body without a length is refused where it exceeds the cap, however much would follow."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    answer, sent = answer_to(
        wix, "POST /webhooks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", chunk=chunk, times=1000
    )

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 200
    assert kept(shop) == []


def test_a_large_webhook_is_taken(shop: Shop, wix: httpx.Client) -> None:
    """An order of very many line items is well under the cap."""
    claims = claims_of()
    claims["padding"] = "x" * 1_000_000

    assert wix.post("/webhooks", content=signed(claims)).status_code == 200
    assert len(kept(shop)) == 1


def test_events_that_come_at_once_are_all_kept(shop: Shop, wix: httpx.Client, at_once: Any) -> None:  # noqa: ANN401 - a fixture
    """Many deliveries at the same moment are each answered 200 and each kept."""
    answers = at_once(lambda: wix.post("/webhooks", content=webhook()).status_code, times=16)

    assert answers == [200] * 16
    assert len(kept(shop)) == 16


def test_health(shop: Shop, wix: httpx.Client) -> None:
    """The process is alive whatever the ledger does, and ready while the ledger answers."""
    assert (wix.get("/healthz").status_code, wix.get("/readyz").json()) == (200, {"ready": True})

    execute(shop.ledger.url, "ALTER TABLE store RENAME TO gone")
    alive, ready = wix.get("/healthz"), wix.get("/readyz")
    execute(shop.ledger.url, "ALTER TABLE gone RENAME TO store")

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["ready"] is False
