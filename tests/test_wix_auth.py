"""An access token is fetched once, renewed before it ends, and renewed once more when Wix refuses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from parcelhook.errors import WixRateLimited, WixUnauthorized, WixUnreachable
from parcelhook.wix import ApiKey, OAuthCredentials, Patience
from parcelhook.wix.auth import Token, TokenSigner
from wix_wire import (
    FULFILLMENT,
    OAUTH,
    ORDER,
    UPS,
    Clock,
    RecordingGate,
    Reply,
    Wire,
    break_connection,
    client_of,
    of_order,
    reply,
    serving,
    token,
)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Run a scripted server."""
    with serving() as running:
        yield running


def tokens_sent(wire: Wire) -> list[str]:
    """Give the Authorization header of every call but those for a token."""
    return [request.headers["authorization"] for request in wire.received]


def test_one_token_serves_many_calls(wire: Wire) -> None:
    """The token is asked for with the app's credentials and sent as it is, without a prefix."""
    with client_of(wire.url, credentials=OAUTH) as client:
        client.list_fulfillments(ORDER)
        client.list_fulfillments(ORDER)

    assert tokens_sent(wire) == ["token-1", "token-1"]
    assert [call.json for call in wire.token_calls] == [
        {
            "grant_type": "client_credentials",
            "client_id": "app-of-tests",
            "client_secret": "the-app-secret",
            "instance_id": "instance-of-tests",
        }
    ]
    assert "authorization" not in wire.token_calls[0].headers


def test_token_call_passes_the_gate(wire: Wire) -> None:
    """A call for a token counts like any other."""
    gate = RecordingGate()
    with client_of(wire.url, credentials=OAUTH, gate=gate) as client:
        client.list_fulfillments(ORDER)

    assert [call[:3] for call in gate.calls] == [
        ("token", "POST", "/oauth2/token"),
        ("list", "GET", f"/ecom/v1/fulfillments/orders/{ORDER}"),
    ]
    assert gate.ends == ["ok", "ok"]


@pytest.mark.parametrize(
    ("life", "later", "tokens"),
    [
        (14_400, 14_400 - 121, 1),
        (14_400, 14_400 - 120, 2),
        (10, 4.9, 1),
        (10, 5, 2),
        (None, 179, 1),
        (None, 181, 2),
    ],
)
def test_token_is_renewed_before_it_ends(wire: Wire, life: float | None, later: float, tokens: int) -> None:
    """Two minutes before its end, or after half a short life, a token is not used any more."""
    clock = Clock()
    wire.token_replies.append(token("token-1", expires_in=life))
    with client_of(wire.url, credentials=OAUTH, clock=clock) as client:
        client.list_fulfillments(ORDER)
        clock.now += later
        client.list_fulfillments(ORDER)

    assert len(wire.token_calls) == tokens
    assert tokens_sent(wire)[-1] == f"token-{tokens}"


def test_refused_token_is_renewed_once_even_for_a_write(wire: Wire) -> None:
    """A 401 did nothing, so the same create goes out again with a new token."""
    wire.replies.extend([reply(401, {}), reply(200, {"fulfillmentId": FULFILLMENT, **of_order()})])
    with client_of(wire.url, credentials=OAUTH) as client:
        created = client.create_fulfillment(ORDER, UPS)

    assert created.fulfillment_id == FULFILLMENT
    assert tokens_sent(wire) == ["token-1", "token-2"]


def test_token_refused_twice_is_an_error(wire: Wire) -> None:
    """After a second 401 the operator is asked."""
    wire.replies.extend([reply(401, {}), reply(401, {})])
    with client_of(wire.url, credentials=OAUTH) as client, pytest.raises(WixUnauthorized) as caught:
        client.create_fulfillment(ORDER, UPS)

    assert caught.value.operation == "create"
    assert tokens_sent(wire) == ["token-1", "token-2"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refused_app_is_unauthorized(wire: Wire, status: int) -> None:
    """However Wix words a refusal of the app, it is one error, and nothing else is sent."""
    wire.token_replies.append(reply(status, {"error": "invalid_client", "error_description": "no such app"}))
    with client_of(wire.url, credentials=OAUTH) as client, pytest.raises(WixUnauthorized) as caught:
        client.create_fulfillment(ORDER, UPS)

    error = caught.value
    assert (error.operation, error.status, error.code) == ("token", status, "invalid_client")
    assert "no such app" in error.message
    assert "instance id" in error.what_to_do
    assert wire.received == []


@pytest.mark.parametrize("fault", [break_connection, reply(503, {}), reply(200, b"<html>"), reply(200, {})])
def test_write_without_a_token_is_not_ambiguous(wire: Wire, fault: Reply) -> None:
    """A token that cannot be had, after three attempts, means that the write was never sent."""
    wire.token_replies.extend([fault] * 3)
    with client_of(wire.url, credentials=OAUTH) as client, pytest.raises(WixUnreachable) as caught:
        client.create_fulfillment(ORDER, UPS)

    assert not caught.value.ambiguous
    assert caught.value.operation == "token"
    assert len(wire.token_calls) == 3
    assert wire.received == []


def test_read_without_a_token_does_not_multiply_the_attempts(wire: Wire) -> None:
    """A read's own attempts are not spent on the token call, which has had its own."""
    wire.token_replies.extend([reply(503, {})] * 9)
    with client_of(wire.url, credentials=OAUTH) as client, pytest.raises(WixUnreachable):
        client.list_fulfillments(ORDER)

    assert len(wire.token_calls) == 3


def test_token_is_fetched_in_spite_of_a_passing_fault(wire: Wire) -> None:
    """Asking for a token is safe to repeat."""
    wire.token_replies.extend([break_connection, token("at-last")])
    with client_of(wire.url, credentials=OAUTH) as client:
        client.list_fulfillments(ORDER)

    assert tokens_sent(wire) == ["at-last"]


def test_throttled_token_call_waits_like_any_other(wire: Wire) -> None:
    """A 429 for a token goes through the gate, and stays a 429 when it does not end."""
    gate = RecordingGate()
    wire.token_replies.extend([reply(429, {})] * 2)
    patience = Patience(throttle_waits=1)
    with (
        client_of(wire.url, credentials=OAUTH, gate=gate, patience=patience) as client,
        pytest.raises(WixRateLimited),
    ):
        client.create_fulfillment(ORDER, UPS)

    assert gate.throttles == [60.0, 60.0]


def test_refusal_of_a_replaced_token_costs_no_new_one() -> None:
    """A 401 that arrives after another thread got a new token leaves that one in use."""
    fetched = iter(["first", "second"])
    signer = TokenSigner(OAUTH, fetch=lambda _: Token(access_token=next(fetched)), monotonic=Clock())
    refused = signer.headers()
    assert signer.renew(refused)
    replaced = signer.headers()

    assert signer.renew(refused)

    assert signer.headers() == replaced == {"authorization": "second"}


def test_threads_share_one_token(wire: Wire) -> None:
    """Eight threads that start without a token, or lose it together, cause one new token each time."""
    start, errors = threading.Barrier(8), list[BaseException]()

    def work() -> None:
        try:
            start.wait(10)
            client.list_fulfillments(ORDER)
        except BaseException as error:
            errors.append(error)
            raise

    with client_of(wire.url, credentials=OAUTH) as client:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        before = len(wire.token_calls)
        wire.replies.append(reply(401, {}))
        client.list_fulfillments(ORDER)

    assert errors == []
    assert before == 1
    assert len(wire.token_calls) == 2


@pytest.mark.parametrize(
    "credentials",
    [
        OAUTH,
        ApiKey.model_validate({"key": "the-api-key", "site_id": "site"}),
    ],
)
def test_credentials_do_not_show_their_secret(credentials: OAuthCredentials | ApiKey) -> None:
    """Neither repr, str nor JSON of credentials holds the secret."""
    shown = f"{credentials!r} {credentials} {credentials.model_dump_json()}"

    assert "the-app-secret" not in shown
    assert "the-api-key" not in shown


@pytest.mark.parametrize("key", ["", " ", "two words", "line\nbreak", "sch\u00f6n"])
def test_key_that_no_header_can_hold_is_refused_unseen(key: str) -> None:
    """It would be refused when it is sent, by an error that shows it."""
    with pytest.raises(ValidationError) as caught:
        ApiKey.model_validate({"key": key, "site_id": "site"})

    assert "printable ASCII" in str(caught.value)
    assert len(key) < 2 or key not in str(caught.value)


def test_key_of_a_file_may_end_in_a_newline() -> None:
    """Files usually do."""
    assert ApiKey.model_validate({"key": "the-key\n", "site_id": "site"}).key.get_secret_value() == "the-key"


def test_token_that_no_header_can_hold_is_none(wire: Wire) -> None:
    """A token endpoint that gives nonsense is as good as none."""
    wire.token_replies.extend([token("new\nline")] * 3)
    with client_of(wire.url, credentials=OAUTH) as client, pytest.raises(WixUnreachable) as caught:
        client.list_fulfillments(ORDER)

    assert "line" not in caught.value.message
