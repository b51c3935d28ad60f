"""What the sandbox of Wix's contract once answered is still understood, without a network.

``PARCELHOOK_RECORD=1 pytest tests/test_wix_cassettes.py`` records the cassettes anew; the files stay the same as long
as neither requests nor answers change.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

from parcelhook.errors import (
    TrackingNumberExists,
    WixNotFound,
    WixUnauthorized,
    WixUnavailable,
    WixUnreadable,
)
from parcelhook.models import ShipmentItem
from parcelhook.sandbox import SandboxSettings, running
from parcelhook.testing.cassettes import cassette, tape
from parcelhook.wix import WIX_URL, ApiKey, NewFulfillment, OAuthCredentials, WixClient
from wix_wire import LINE_ITEM, ORDER, OTHER_ORDER, UPS, Clock, RecordingGate

__all__ = ["tape"]

CASSETTES = Path(__file__).parent.parent / "cassettes"
RECORDING = bool(os.environ.get("PARCELHOOK_RECORD"))
KEY = ApiKey.model_validate({"key": "recorded-api-key", "site_id": "77777777-7777-4777-8777-777777777777"})
APP = OAuthCredentials.model_validate(
    {
        "app_id": "88888888-8888-4888-8888-888888888888",
        "app_secret": "recorded-app-secret",
        "instance_id": "99999999-9999-4999-8999-999999999999",
    }
)
FIXED = {ORDER, OTHER_ORDER, LINE_ITEM, KEY.site_id, APP.instance_id}
UNKNOWN = "44444444-4444-4444-8444-444444444444"
ACME = NewFulfillment(
    line_items=(ShipmentItem(line_item_id=LINE_ITEM, quantity=1),),
    tracking_number="AC123456784",
    shipping_provider="Acme Couriers",
    tracking_link="https://track.acme.example/parcel/AC123456784",
    status="In_Delivery",
)

Tape = Callable[..., AbstractContextManager[None]]
Control = Callable[[str, dict[str, JsonValue]], object]


class Steady:
    """Rewrite what differs from recording to recording: host, made-up ids, times, cursors and request ids."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids: dict[str, str] = {}
        self._cursors: dict[str, str] = {}
        self._requests = 0

    def __call__(self, text: str) -> str:
        """Rewrite one URL, header or body."""
        text = text.replace(self._url, WIX_URL)
        text = re.sub(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", self._id, text)
        text = re.sub(r'(?<="(?:next|prev)":")[^"]+|(?<="cursor":")[^"]+', self._cursor, text)
        text = re.sub(r"\b1\d{9}\.\d{6,}", self._request_id, text)
        return re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "2026-01-05T12:00:00.000Z", text)

    def _id(self, found: re.Match[str]) -> str:
        if found[0] in FIXED or found[0] == UNKNOWN:
            return found[0]
        return self._ids.setdefault(found[0], f"00000000-0000-4000-8000-{len(self._ids) + 1:012}")

    def _request_id(self, _: re.Match[str]) -> str:
        self._requests += 1
        return f"1767614400.{self._requests:015}"

    def _cursor(self, found: re.Match[str]) -> str:
        return self._cursors.setdefault(found[0], f"cursor-{len(self._cursors) + 1}")


def nothing(_: Control) -> None:
    """Prepare nothing."""


def two_orders(control: Control) -> None:
    """Prepare two orders, the second with a fulfillment of its own."""
    for order_id in (ORDER, OTHER_ORDER):
        control("orders", {"items": [{"quantity": 3}], "order": {"id": order_id}})


@contextmanager
def client_on(
    tape: Tape,
    name: str,
    *,
    prepare: Callable[[Control], None] = two_orders,
    credentials: ApiKey | OAuthCredentials = KEY,
) -> Iterator[WixClient]:
    """Give a client whose every call is on a cassette; to record it, run a sandbox prepared for it."""
    with _store(prepare) if RECORDING else nullcontext(WIX_URL) as url:
        clock = Clock()
        with (
            tape(CASSETTES / "wix" / f"{name}.yaml", rewrite=Steady(url)),
            WixClient(
                base_url=url, credentials=credentials, gate=RecordingGate(), monotonic=clock, sleep=clock.sleep
            ) as client,
        ):
            yield client


@contextmanager
def _store(prepare: Callable[[Control], None]) -> Iterator[str]:
    settings = SandboxSettings(
        app_id=APP.app_id,
        app_secret=APP.app_secret.get_secret_value(),
        instance_id=APP.instance_id,
        api_key=KEY.key.get_secret_value(),
        site_id=KEY.site_id,
    )
    with running(settings) as store, httpx.Client(base_url=f"{store.url}/_sandbox/") as http:
        prepare(lambda path, body: http.post(path, json=body).raise_for_status())
        yield store.url


def fault(route: str, **settings: JsonValue) -> Callable[[Control], None]:
    """Prepare two orders and a fault."""

    def prepare(control: Control) -> None:
        two_orders(control)
        control("faults", {"route": route, **settings})

    return prepare


def test_token_granted(tape: Tape) -> None:
    """One token call precedes the calls it authorises."""
    with client_on(tape, "token/granted", credentials=APP) as client:
        assert client.list_fulfillments(ORDER).fulfillments == ()


def test_token_refused(tape: Tape) -> None:
    """OAuth's own words are read."""
    wrong = APP.model_copy(update={"app_id": "unknown-app"})
    with client_on(tape, "token/refused", credentials=wrong) as client, pytest.raises(WixUnauthorized) as caught:
        client.list_fulfillments(ORDER)

    assert caught.value.code == "invalid_client"


def test_create_with_a_standard_provider(tape: Tape) -> None:
    """Wix builds the link."""
    with client_on(tape, "create/standard-provider") as client:
        created = client.create_fulfillment(ORDER, UPS)

    (made,) = created.order.fulfillments
    assert made.id == created.fulfillment_id
    assert made.tracking_info is not None
    assert made.tracking_info.link is not None
    assert made.tracking_info.link.endswith("TRK-1")


def test_create_with_a_custom_provider(tape: Tape) -> None:
    """Our link comes back, and the status with it."""
    with client_on(tape, "create/custom-provider") as client:
        created = client.create_fulfillment(ORDER, ACME)

    (made,) = created.order.fulfillments
    assert made.tracking_info is not None
    assert made.tracking_info.link == ACME.tracking_link
    assert made.status == "In_Delivery"


def test_create_with_a_known_number(tape: Tape) -> None:
    """The second fulfillment with a number is refused."""
    with client_on(tape, "create/number-exists") as client:
        client.create_fulfillment(ORDER, UPS)
        with pytest.raises(TrackingNumberExists) as caught:
            client.create_fulfillment(OTHER_ORDER, UPS)

    assert (caught.value.status, caught.value.code) == (409, "TRACKING_NUMBER_ALREADY_EXISTS")


def test_create_throttled(tape: Tape) -> None:
    """A 429 is waited out."""
    with client_on(tape, "create/throttled", prepare=fault("create", status=429, retry_after=30)) as client:
        assert client.create_fulfillment(ORDER, UPS).order.order_id == ORDER


def test_create_with_a_fault_at_wix(tape: Tape) -> None:
    """A 5xx has an empty body on purpose."""
    with (
        client_on(tape, "create/server-error", prepare=fault("create", status=503)) as client,
        pytest.raises(WixUnavailable),
    ):
        client.create_fulfillment(ORDER, UPS)


@pytest.mark.parametrize("body", ["html", "truncated"])
def test_create_with_a_malformed_answer(tape: Tape, body: str) -> None:
    """A success that cannot be read is ambiguous: here the fulfillment is there all the same."""
    prepare = fault("create", effect="untold", body=body)
    with client_on(tape, f"create/malformed-{body}", prepare=prepare) as client:
        with pytest.raises(WixUnreadable):
            client.create_fulfillment(ORDER, UPS)
        listed = client.list_fulfillments(ORDER)

    assert [each.tracking_number for each in listed.fulfillments] == ["TRK-1"]


def test_bulk_create_in_part(tape: Tape) -> None:
    """One of three orders is refused."""
    with client_on(tape, "bulk-create/partial") as client:
        result = client.bulk_create_fulfillments([(ORDER, [UPS]), (OTHER_ORDER, [UPS]), (OTHER_ORDER, [ACME])])

    assert [item.success for item in result.items] == [True, False, True]
    assert result.items[1].code == "TRACKING_NUMBER_ALREADY_EXISTS"
    assert (result.total_successes, result.total_failures, result.missing) == (2, 1, ())


def test_update_of_a_status(tape: Tape) -> None:
    """The status alone changes."""
    with client_on(tape, "update/status") as client:
        created = client.create_fulfillment(ORDER, ACME)
        updated = client.update_status(ORDER, created.fulfillment_id, "Fulfilled")

    assert updated.fulfillments == (created.order.fulfillments[0].model_copy(update={"status": "Fulfilled"}),)


def test_list_of_one_order(tape: Tape) -> None:
    """A list tells what a create told."""
    with client_on(tape, "list/one-order") as client:
        created = client.create_fulfillment(ORDER, UPS)
        assert client.list_fulfillments(ORDER) == created.order


def test_list_of_many_orders(tape: Tape) -> None:
    """Orders with, without and unknown are told apart."""
    with client_on(tape, "list-by-ids/two-orders") as client:
        created = client.create_fulfillment(ORDER, UPS)
        listed = client.list_fulfillments_by_ids([ORDER, OTHER_ORDER, UNKNOWN])

    assert listed[ORDER] == created.order
    assert listed[OTHER_ORDER].fulfillments == ()
    assert UNKNOWN not in listed


def test_delete(tape: Tape) -> None:
    """Nothing remains."""
    with client_on(tape, "delete/last-one") as client:
        created = client.create_fulfillment(ORDER, UPS)
        assert client.delete_fulfillment(ORDER, created.fulfillment_id).fulfillments == ()


def test_order_found(tape: Tape) -> None:
    """An order has all that shipping it needs."""
    with client_on(tape, "get-order/found") as client:
        order = client.get_order(ORDER)

    assert (order.id, order.status, order.line_items[0].quantity) == (ORDER, "APPROVED", 3)
    assert order.consignee.city


def test_order_not_found(tape: Tape) -> None:
    """The one published error of Get Order."""
    with client_on(tape, "get-order/not-found") as client, pytest.raises(WixNotFound) as caught:
        client.get_order(UNKNOWN)

    assert caught.value.code == "ORDER_NOT_FOUND"


def test_search_over_two_pages(tape: Tape) -> None:
    """The cursor of the first page fetches the second."""
    with client_on(tape, "search-orders/two-pages") as client:
        found = list(client.search_orders({"status": "APPROVED"}, sort=[("number", "ASC")], limit=1))

    assert [order.id for order in found] == [ORDER, OTHER_ORDER]


def test_replay_refuses_what_is_not_recorded() -> None:
    """Another body is another request, though method and path are the same."""
    from vcr.errors import CannotOverwriteExistingCassetteException  # noqa: PLC0415 - slow to import

    with (
        pytest.raises(CannotOverwriteExistingCassetteException),
        cassette(CASSETTES / "wix" / "create" / "standard-provider.yaml"),
        WixClient(credentials=KEY, gate=RecordingGate()) as client,
    ):
        client.create_fulfillment(ORDER, ACME)


def test_replay_has_no_network() -> None:
    """While a cassette plays, not even this machine can be connected to."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ConnectionRefusedError, match="cassette"),
        cassette(CASSETTES / "wix" / "create" / "standard-provider.yaml"),
    ):
        socket.create_connection(server.getsockname())


def test_replay_complains_of_a_call_that_was_not_made() -> None:
    """A cassette that tells of more than the test does is out of date."""
    with (
        pytest.raises(AssertionError, match="1 recorded calls were not made"),
        cassette(CASSETTES / "wix" / "create" / "standard-provider.yaml"),
    ):
        pass


def test_recording_keeps_no_secret(tmp_path: Path) -> None:
    """Secrets in headers, query, forms and JSON, ours and the service's, are replaced by a word."""
    with running(SandboxSettings()) as store:
        ready = {name: str(store.ready[name]) for name in ("app_id", "app_secret", "instance_id")}
        asked = {"grant_type": "client_credentials", "instance_id": ready["instance_id"]}
        secrets = {"client_id": ready["app_id"], "client_secret": ready["app_secret"]}
        with cassette(tmp_path / "new.yaml", record=True, redact=["Instance_Id"]), httpx.Client() as http:
            answer = http.post(f"{store.url}/oauth2/token?apikey=in-query", json={**asked, **secrets})
            http.post(store.url, data={"password": "in-form"}, headers={"Authorization": "Bearer in-header"})
    recorded = (tmp_path / "new.yaml").read_text(encoding="utf-8")

    hidden = (*ready.values(), answer.json()["access_token"], "in-query", "in-form", "in-header")
    assert not any(secret in recorded for secret in hidden)
    assert recorded.count("REDACTED") == 7
    assert "client_credentials" in recorded


FORBIDDEN = {
    "a bearer token": r"(?i)\b(?:bearer|basic) [\w+/=.-]{8,}",
    "a token": r"\beyJ[\w-]{10,}|OauthNG|IST\.",
    "an e-mail address": r"[\w.+-]+@(?!example\.(?:com|org|net)\b)(?![\w.-]+\.example\b)[\w-]+\.[\w.]+",
    "a host of the recording": r"127\.0\.0\.1|localhost|\[::1\]",
    "a private key": r"PRIVATE KEY",
    "a secret": r"recorded-(?:api-key|app-secret)",
}
SECRET_VALUE = re.compile(
    r'(?i)["\']?(?:authorization|client_secret|access_token|refresh_token|api_?key|x-api-key|dhl-api-key|password|'
    r'set-cookie|cookie)["\']?\s*:\s*(?:\n\s*-\s*)?["\']?(?!REDACTED)[\w.+/=-]{3,}'
)


@pytest.mark.parametrize("path", sorted(CASSETTES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CASSETTES)))
def test_cassette_holds_no_secret_and_nobodys_data(path: Path) -> None:
    """No cassette, of Wix or of a carrier, holds a token, a key, a real address or where it was recorded."""
    text = path.read_text(encoding="utf-8")

    found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)]
    assert found == []
    assert SECRET_VALUE.search(text) is None
    assert text.startswith("interactions:\n- request:")


@pytest.mark.skipif(RECORDING, reason="the cassettes are being made")
def test_every_cassette_of_wix_is_played() -> None:
    """No cassette is left behind when its test goes."""
    source = Path(__file__).read_text(encoding="utf-8")
    names = {str(path.relative_to(CASSETTES / "wix").with_suffix("")) for path in (CASSETTES / "wix").rglob("*.yaml")}

    played = set(re.findall(r'client_on\(tape, f?"([^"]+)"', source))
    played = {name.replace("{body}", body) for name in played for body in ("html", "truncated")}
    assert names == played
