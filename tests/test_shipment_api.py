"""``POST /shipments``: another program brings a number, once, for its own store, and is told what it got wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
from served import serving
from shops import ID, LINE, Shop, opened

pytest_plugins = ["stores"]

TOKEN = "the-token-of-this-store"
OTHER = "other"
OTHER_TOKEN = "the-token-of-another-store"
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
        ({"items": [{"line_item_id": LINE, "quantity": 0}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": "2"}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": True}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE, "quantity": 1.5}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": LINE}]}, "items.0.quantity"),
        ({"items": [{"line_item_id": "", "quantity": 1}]}, "items.0.line_item_id"),
        ({"items": [{"line_item_id": LINE, "quantity": 1}] * 2}, "items"),
        ({"key": ""}, "key"),
        ({"key": "x" * 201}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"store": OTHER}, "store"),
    ],
)
def test_what_is_wrong_is_named(shop: Shop, post: Post, changes: dict[str, Any], field: str) -> None:
    """A body that is not right is refused with the field that is wrong, and leaves nothing behind."""
    before = len(shop.ledger.shipments.find())

    body = refusal(post(**changes))

    assert body["field"] == field
    assert body["error"].startswith(f"{field}: ")
    assert len(shop.ledger.shipments.find()) == before
    assert not WOKEN


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000], ids=lambda raw: str(raw[:3]))
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, raw: bytes) -> None:
    """Whatever is sent, the answer is 400 and says that it is the body."""
    answer = client.post("/shipments", content=raw, headers={"authorization": f"Bearer {TOKEN}"})

    assert refusal(answer)["field"] == "body"


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    """More than a megabyte is no shipment."""
    answer = client.post("/shipments", content=b"x" * 1_100_000, headers={"authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 413


def test_the_nearest_carrier_is_named(post: Post) -> None:
    """A provider's spelling in place of the carrier's id is met with the id."""
    assert '"canada-post"' in refusal(post(carrier="canadaPost"))["what_to_do"]


def test_a_ledger_that_fails_asks_to_send_again(shop: Shop, post: Post) -> None:
    """While nothing can be written the answer is 503, and tells nothing about the database."""
    execute(shop.ledger.url, "ALTER TABLE shipment_item RENAME TO gone")
    answer = post(items=[{"line_item_id": LINE, "quantity": 1}])
    execute(shop.ledger.url, "ALTER TABLE gone RENAME TO shipment_item")

    assert answer.status_code == 503
    assert "sqlite" not in answer.text
    assert not WOKEN
