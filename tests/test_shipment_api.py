"""``POST /shipments``: another program brings a number, once, for its own store, and is told what it got wrong."""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ledger_samples import execute
from parcelhook.ledger.states import State
from parcelhook.registry import Registry
from parcelhook.sandbox import Running
from parcelhook.web import body as body_module
from served import serving
from shops import ID, LINE, Shop, opened

pytest_plugins = ["stores"]

TOKEN = "the-token-of-this-store"
OTHER = "other"
OTHER_TOKEN = "the-token-of-another-store"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
NUMBER = "tracking_number"
NEXT_URL = "parcels.1.tracking_url"
WOKEN: list[bool] = []

Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def shop(
    sandbox: Running, registry: Registry, empty_ledger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Give one store for all of these tests; each has orders of its own."""
    path = tmp_path_factory.mktemp("shipments") / "ledger.sqlite"
    shutil.copyfile(empty_ledger, path)
    with opened(sandbox, registry, path=path) as made:
        yield made


@pytest.fixture(scope="module")
def client(shop: Shop) -> Iterator[httpx.Client]:
    """Serve two stores, each with a token of its own."""
    shop.ledger.stores.ensure(OTHER, site="site-of-the-other")
    other = replace(shop.store, id=OTHER)
    with serving(
        shop.store, other, tokens={TOKEN: ID, OTHER_TOKEN: OTHER}, wake=lambda: WOKEN.append(True)
    ) as serviced:
        yield serviced


@pytest.fixture
def post(client: httpx.Client) -> Post:
    """Give what posts a shipment as the store's own program; ``changes`` are to a body that is right."""

    def send(*, token: str = TOKEN, **changes: object) -> httpx.Response:
        body = {"order_id": str(uuid4()), "carrier": "ups", "parcels": [{"tracking_number": number()}]} | changes
        given = {name: value for name, value in body.items() if value is not ...}
        return client.post("/shipments", json=given, headers={"authorization": f"Bearer {token}"})

    WOKEN.clear()
    return send


def number() -> str:
    """Give a tracking number nobody had before."""
    return f"N{uuid4().hex[:12].upper()}"


def answer_text(body: dict[str, Any]) -> str:
    """Give all that a refusal says."""
    return "".join(body.values())


def refusal(answer: httpx.Response, *, status: int = 400) -> dict[str, Any]:
    """Give the body of an answer that must be a refusal."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_shipment_is_written_down(shop: Shop, post: Post) -> None:
    """The answer names the shipment, which is in the ledger then and waits for the worker, who is woken."""
    order_id, its = str(uuid4()), number()
    shop.calls()

    answer = post(order_id=order_id, parcels=[{"tracking_number": its}], items=[{"line_item_id": LINE, "quantity": 2}])

    assert answer.status_code == 202
    (row,) = shop.rows(order_id)
    assert answer.json() == {"shipment_id": row.id, "state": "WAITING_LINK"}
    assert (row.carrier, row.tracking_number, row.source) == ("ups", its, "api")
    assert [(item.line_item_id, item.quantity) for item in row.items] == [(LINE, 2)]
    assert WOKEN
    assert not shop.calls()


def test_several_parcels_are_one_shipment(shop: Shop, post: Post) -> None:
    """All numbers of one body belong to one shipment."""
    order_id, numbers = str(uuid4()), [number(), number()]

    post(order_id=order_id, parcels=[{"tracking_number": its} for its in numbers]).raise_for_status()

    (row,) = shop.rows(order_id)
    assert [parcel.number for parcel in row.parcels] == numbers


@pytest.mark.parametrize("key", ["ours-1", None])
def test_the_same_body_again_answers_the_same(shop: Shop, post: Post, key: str | None) -> None:
    """A program that is not sure sends again, with a key of its own or by the number alone."""
    body = {"order_id": str(uuid4()), "parcels": [{"tracking_number": number()}], "key": key}

    first, second = post(**body), post(**body)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert len(shop.rows(str(body["order_id"]))) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"carrier": "fedex"},
        {"parcels": [{"tracking_number": "OTHER1"}]},
        {"items": [{"line_item_id": LINE, "quantity": 1}]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_key_with_another_body_is_a_conflict(shop: Shop, post: Post, other: dict[str, Any]) -> None:
    """The same key never means two things."""
    body = {"order_id": str(uuid4()), "parcels": [{"tracking_number": number()}], "key": "ours-1"}
    post(**body).raise_for_status()

    answer = post(**{**body, **other})

    assert refusal(answer, status=409)["field"] == "key"
    assert len(shop.rows(str(body["order_id"]))) == 1


def test_an_order_that_waits_gets_its_number(shop: Shop, post: Post) -> None:
    """An approved order waits as one shipment, and the number that comes is that shipment's."""
    order_id = shop.order()
    shop.follow()
    (waiting,) = shop.rows(order_id, State.WAITING_NUMBER)

    answer = post(order_id=order_id)

    assert answer.json() == {"shipment_id": waiting.id, "state": "WAITING_LINK"}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \u00ff"],
)
def test_a_caller_without_a_token_is_refused(shop: Shop, client: httpx.Client, header: str | None) -> None:
    """Without a store's token nothing is read and nothing written."""
    before = len(shop.ledger.shipments.find())
    headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]

    answer = client.post("/shipments", json={"order_id": "1"}, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"error", "field", "what_to_do"}
    assert TOKEN not in answer.text
    assert len(shop.ledger.shipments.find()) == before


def test_a_token_opens_its_own_store_only(shop: Shop, post: Post) -> None:
    """One order id and key in two stores is two shipments, and neither store learns of the other's."""
    body = {"order_id": str(uuid4()), "parcels": [{"tracking_number": number()}], "key": "ours-1"}

    first, second = post(**body), post(**body, token=OTHER_TOKEN)

    stores = {row.id: row.store for row in shop.ledger.shipments.find(order_id=str(body["order_id"]))}
    assert stores == {first.json()["shipment_id"]: ID, second.json()["shipment_id"]: OTHER}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_id": ...}, "order_id"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "../orders"}, "order_id"),
        ({"order_id": 7}, "order_id"),
        ({"carrier": ...}, "carrier"),
        ({"carrier": "upz"}, "carrier"),
        ({"carrier": "FedEx"}, "carrier"),
        ({"carrier": "x" * 10_000}, "carrier"),
        ({"carrier": "\x00"}, "carrier"),
        ({"parcels": ...}, "parcels"),
        ({"parcels": []}, "parcels"),
        ({"parcels": "1Z"}, "parcels"),
        ({"parcels": [{}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": ""}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": "x" * 101}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": "../1"}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": "1?a=b&c"}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": "1\u202e2"}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": 12345}]}, "parcels.0.tracking_number"),
        ({"parcels": [{"tracking_number": "N1"}, {"tracking_number": "a\nb"}]}, "parcels.1.tracking_number"),
        ({"parcels": [{"tracking_number": "N1", "color": "red"}]}, "parcels.0.color"),
        ({"parcels": [{"tracking_number": "N1", "tracking_url": "http://www.ups.com/"}]}, "parcels.0.tracking_url"),
        ({"parcels": [{"tracking_number": "N1", "tracking_url": "javascript:x"}]}, "parcels.0.tracking_url"),
        ({"parcels": [{"tracking_number": "N1", "tracking_url": "https://evil.example/"}]}, "parcels.0.tracking_url"),
        ({"parcels": [{"tracking_number": "N1"}, {"tracking_number": "N2", "tracking_url": "x"}]}, NEXT_URL),
        ({"items": [{"line_item_id": LINE, "quantity": 0}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": "2"}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": True}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": 1.5}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": -1}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": 10**9}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": 1e9}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": "", "quantity": 1}]}, "items.0.line_item_id"),
        ({"items": [{"line_item_id": "a\x00b", "quantity": 1}]}, "items.0.line_item_id"),
        ({"items": [{"line_item_id": f"L{index}", "quantity": 1} for index in range(1000)]}, "items"),
        ({"parcels": [{"tracking_number": f"N{index}"} for index in range(51)]}, "parcels"),
        ({"items": [{"line_item_id": LINE, "quantity": 1}] * 2}, "items"),
        ({"key": ""}, "key"),
        ({"key": "x" * 201}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"key": "a\x00b"}, "key"),
        ({"key": "a\u200fb"}, "key"),
        ({"key": 7}, "key"),
        ({"store": OTHER}, "store"),
    ],
)
def test_what_is_wrong_is_named(shop: Shop, post: Post, changes: dict[str, Any], field: str) -> None:
    """A body that is not right is refused with the field that is wrong, and leaves nothing behind."""
    before = len(shop.ledger.shipments.find())

    body = refusal(post(**changes))

    assert body["field"] == field
    assert set(body) == {"error", "field", "what_to_do"}
    assert body["what_to_do"]
    assert body["error"].startswith(f"{field}: ")
    assert len(answer_text(body)) < 1000
    assert len(shop.ledger.shipments.find()) == before
    assert not WOKEN


RAW = {
    "nothing": b"",
    "half": b"{",
    "list": b"[]",
    "null": b"null",
    "no-utf-8": b'{"order_id": "\xff"}',
    "utf-16": '{"order_id": "1"}'.encode("utf-16"),
    "half-a-character": b'{"order_id": "\\ud800", "carrier": "ups", "parcels": [{"tracking_number": "1"}]}',
    "deep": b"[" * 500_000,
    "deep-inside": b'{"order_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no-number": b'{"items": [{"line_item_id": "1", "quantity": NaN}]}',
    "infinite": b'{"items": [{"line_item_id": "1", "quantity": -Infinity}]}',
    "many-digits": b'{"order_id": ' + b"9" * 100_000 + b"}",
    "two-values": b"{} {}",
    "multipart": b"--x\r\ncontent-disposition: form-data; name=order_id\r\n\r\n1\r\n--x--",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, raw: bytes) -> None:
    """Whatever is sent, the answer is 400 and says that it is the body."""
    answer = client.post("/shipments", content=raw, headers={"authorization": f"Bearer {TOKEN}"})

    assert refusal(answer)["field"] == "body"
    assert set(answer.json()) == {"error", "field", "what_to_do"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"order_id": "1", "order_id": "2", "carrier": "ups", "parcels": [{"tracking_number": "1"}]}', "order_id"),
        (b'{"order_id": "1", "carrier": "ups", "parcels": [{"tracking_number": "1", "tracking_number": "2"}]}', NUMBER),
    ],
    ids=["outside", "inside"],
)
def test_a_member_that_comes_twice_is_refused(shop: Shop, client: httpx.Client, raw: bytes, field: str) -> None:
    """Nobody knows which of the two is meant, so neither is taken."""
    before = len(shop.ledger.shipments.find())

    answer = client.post("/shipments", content=raw, headers={"authorization": f"Bearer {TOKEN}"})

    assert refusal(answer)["field"] == field
    assert "twice" in answer.json()["error"]
    assert len(shop.ledger.shipments.find()) == before


def test_a_field_that_is_not_known_is_named_and_cut_short(post: Post) -> None:
    """The name of a field is the caller's own, so a refusal repeats no more of it than helps."""
    body = refusal(post(**{"x" * 100_000: 1}))

    assert body["field"].startswith("xxx")
    assert len(answer_text(body)) < 1000


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_the_content_type_does_not_matter(post: Post, client: httpx.Client, kind: str) -> None:
    """What counts is what was sent: curl calls JSON a form unless it is told otherwise."""
    body = {"order_id": str(uuid4()), "carrier": "ups", "parcels": [{"tracking_number": number()}]}
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind}

    answer = client.post("/shipments", content=json.dumps(body), headers=headers)

    assert answer.status_code == 202


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    """More than a megabyte is no shipment, whether it is told beforehand or comes in pieces."""
    headers = {"authorization": f"Bearer {TOKEN}"}

    stated = client.post("/shipments", content=b"x" * 1_100_000, headers=headers)
    in_pieces = client.post("/shipments", content=(b"x" * 50_000 for _ in range(30)), headers=headers)

    assert (stated.status_code, in_pieces.status_code) == (413, 413)
    assert set(stated.json()) == set(in_pieces.json()) == {"error", "field", "what_to_do"}


def test_a_body_that_says_it_is_huge_is_not_waited_for(client: httpx.Client) -> None:
    """A body of a gigabyte is refused before its first byte has come."""
    with raw_request(client, "content-length: 1000000000") as sender:
        assert sender.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_in_pieces_is_taken(shop: Shop, client: httpx.Client) -> None:
    """A caller that does not know the length beforehand sends chunks."""
    order_id = str(uuid4())
    whole = json.dumps({"order_id": order_id, "carrier": "ups", "parcels": [{"tracking_number": number()}]}).encode()

    answer = client.post("/shipments", content=iter([whole[:10], whole[10:]]), headers=AUTHORIZED)

    assert answer.status_code == 202
    assert len(shop.rows(order_id)) == 1


def test_a_body_that_does_not_come_is_not_waited_for_long(
    shop: Shop, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that stops in the middle is told so, and others are served meanwhile."""
    monkeypatch.setattr(body_module, "BODY_SECONDS", 0.3)
    before = len(shop.ledger.shipments.find())
    with raw_request(client, "content-length: 100") as sender:
        sender.sendall(b'{"order_id": "1"')

        assert client.get("/healthz").status_code == 200
        assert sender.recv(100).startswith(b"HTTP/1.1 408")

    assert len(shop.ledger.shipments.find()) == before


@contextmanager
def raw_request(client: httpx.Client, *lines: str) -> Iterator[socket.socket]:
    """Send the head of a request, and give the connection to go on with."""
    port = client.base_url.port
    assert port is not None
    head = ["POST /shipments HTTP/1.1", "host: x", f"authorization: Bearer {TOKEN}", *lines]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall("\r\n".join([*head, "", ""]).encode())
        yield sender


@pytest.mark.parametrize("waits", [False, True], ids=["new", "waited-for"])
def test_fifty_at_once_are_one_shipment(
    shop: Shop, post: Post, at_once: Callable[..., list[httpx.Response]], *, waits: bool
) -> None:
    """However many send the same body at the same moment, each gets the same answer, and there is one shipment."""
    order_id = shop.order() if waits else str(uuid4())
    if waits:
        shop.follow()
    body = {"order_id": order_id, "parcels": [{"tracking_number": number()}], "key": "ours-1"}

    answers = at_once(lambda: post(**body), times=50)

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["shipment_id"] for answer in answers}) == len(shop.rows(order_id)) == 1


def test_one_key_with_two_bodies_at_once_is_one_of_them(
    shop: Shop, post: Post, at_once: Callable[..., list[httpx.Response]]
) -> None:
    """Of two bodies under one key the first wins, and every caller of the other hears of the conflict."""
    order_id, numbers = str(uuid4()), itertools.cycle([number(), number()])

    def act() -> httpx.Response:
        return post(order_id=order_id, parcels=[{"tracking_number": next(numbers)}], key="ours-1")

    answers = at_once(act, times=10)

    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [409] * 5
    assert len(shop.rows(order_id)) == 1


def test_a_token_is_compared_in_constant_time(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store's token is compared in full, also when the first fits: time tells nothing of them."""
    compared: list[bytes] = []
    compare = secrets.compare_digest

    def compare_digest(own: bytes, given: bytes) -> bool:
        compared.append(own)
        return compare(own, given)

    monkeypatch.setattr(secrets, "compare_digest", compare_digest)
    client.post("/shipments", json={}, headers=AUTHORIZED)

    assert set(compared) == {TOKEN.encode(), OTHER_TOKEN.encode()}


def test_a_refusal_repeats_no_secret(post: Post) -> None:
    """A link may hold a caller's token, and a body may hold anything: neither comes back."""
    secret = "s3cret-4711"
    link = f"https://user:{secret}@evil.example/?token={secret}"

    for answer in (
        post(parcels=[{"tracking_number": "N1", "tracking_url": link}]),
        post(parcels=[{"tracking_number": "N1", "note": secret}]),
        post(token_of_ours=secret),
    ):
        assert secret not in answer.text
        assert answer.status_code == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/shipments"), ("DELETE", "/shipments"), ("GET", "/shipments/1")])
def test_there_is_nothing_to_be_read(client: httpx.Client, method: str, path: str) -> None:
    """No shipment is shown by this address, whoever's it is; the refusal is JSON like every other."""
    answer = client.request(method, path, headers=AUTHORIZED)

    assert answer.status_code in {404, 405}
    assert set(answer.json()) == {"error", "field", "what_to_do"}


def test_a_mistake_of_ours_is_told_without_its_details(shop: Shop, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is answered with 500 in the shape of every refusal, and says nothing of the inside."""

    def fail(*_: object, **__: object) -> None:
        msg = "s3cret-4711"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(shop.ledger.shipments, "add_all", fail)
    answer = post()

    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "field", "what_to_do"}
    assert "s3cret" not in answer.text


def test_the_nearest_carrier_is_named(post: Post) -> None:
    """A provider's spelling in place of the carrier's id is met with the id."""
    assert '"canada-post"' in refusal(post(carrier="canadaPost"))["what_to_do"]


def test_a_ledger_that_fails_asks_to_send_again(shop: Shop, post: Post) -> None:
    """While nothing can be written the answer is 503, and tells nothing about the database."""
    execute(shop.ledger.url, "ALTER TABLE shipment_item RENAME TO gone")
    answer = post(items=[{"line_item_id": LINE, "quantity": 1}])
    execute(shop.ledger.url, "ALTER TABLE gone RENAME TO shipment_item")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "sqlite" not in answer.text
    assert set(answer.json()) == {"error", "field", "what_to_do"}
    assert not WOKEN
