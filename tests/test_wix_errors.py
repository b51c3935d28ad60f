"""What Wix answers that is no success becomes one error, with what an operator needs and nothing secret."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from pydantic import JsonValue

from parcelhook.errors import (
    TrackingNumberExists,
    WixConflict,
    WixError,
    WixForbidden,
    WixInvalidRequest,
    WixNotFound,
    WixRateLimited,
    WixUnauthorized,
    WixUnavailable,
    WixUnreadable,
)
from parcelhook.wix import Patience
from wix_wire import KEY, OAUTH, ORDER, UPS, RecordingGate, application_error, client_of, reply, serving

AT_ONCE = Patience(pauses=(), throttle_waits=0)


def refused(answer: bytes) -> WixError:
    """Give the error of a create that is answered so."""
    with serving() as wire, client_of(wire.url, patience=AT_ONCE) as client:
        wire.replies.append(answer)
        with pytest.raises(WixError) as caught:
            client.create_fulfillment(ORDER, UPS)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "ambiguous", "retryable"),
    [
        (302, WixUnreadable, True, True),
        (400, WixInvalidRequest, False, False),
        (401, WixUnauthorized, False, False),
        (403, WixForbidden, False, False),
        (404, WixNotFound, False, False),
        (408, WixUnavailable, True, True),
        (409, WixConflict, False, False),
        (413, WixInvalidRequest, False, False),
        (428, WixInvalidRequest, False, False),
        (429, WixRateLimited, False, True),
        (500, WixUnavailable, True, True),
        (501, WixInvalidRequest, False, False),
        (503, WixUnavailable, True, True),
        (504, WixUnavailable, True, True),
    ],
)
def test_status_decides_the_error(status: int, kind: type[WixError], *, ambiguous: bool, retryable: bool) -> None:
    """Every row of the contract's table is an error of its own, which knows whether a write may have happened."""
    error = refused(reply(status, {"message": "", "details": {}}))

    assert type(error) is kind
    assert (error.status, error.operation, error.request_id) == (status, "create", "request-7")
    assert (error.ambiguous, error.retryable) == (ambiguous, retryable)
    assert error.what_to_do


def test_application_error_gives_its_code_and_description() -> None:
    """A business refusal is told in Wix's words."""
    error = refused(reply(428, application_error("SOME_CODE", "The order is not approved.")))

    assert error.code == "SOME_CODE"
    assert error.message == "create: Wix answered 428: The order is not approved."


@pytest.mark.parametrize("status", [400, 409, 428])
def test_known_tracking_number_has_its_own_error(status: int) -> None:
    """TRACKING_NUMBER_ALREADY_EXISTS is recognised by its code, whichever refusal carries it."""
    error = refused(reply(status, application_error("TRACKING_NUMBER_ALREADY_EXISTS")))

    assert type(error) is TrackingNumberExists
    assert error.status == status


def test_validation_error_names_the_fields() -> None:
    """Each violated field is listed and shown."""
    violations: JsonValue = [
        {"field": "fulfillment.status", "description": "unknown value", "violatedRule": "FORMAT"},
        {"field": "orderId", "description": "too long", "violatedRule": "MAX"},
    ]

    error = refused(reply(400, {"message": "m", "details": {"validationError": {"fieldViolations": violations}}}))

    assert error.fields == ("fulfillment.status", "orderId")
    assert "fulfillment.status: unknown value; orderId: too long" in error.message


def test_bare_403_may_be_throttling_and_says_so() -> None:
    """A 403 without a word is as likely a slowed-down app as a missing permission."""
    bare = refused(reply(403, {"message": "", "details": {}}))
    told = refused(reply(403, {"message": "no permission", "details": {}}))

    assert "too fast" in bare.what_to_do
    assert "too fast" not in told.what_to_do


def test_html_of_a_proxy_is_read_by_its_status_and_not_shown() -> None:
    """A fault without JSON is still that fault."""
    error = refused(reply(502, b"<html><body>Bad gateway at 10.0.0.9</body></html>"))

    assert type(error) is WixUnavailable
    assert error.message == "create: Wix answered 502"


@pytest.mark.parametrize(
    "body", [b"<html></html>", b'{"fulfillmentId": "2', b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000]
)
def test_success_that_is_no_json_object_is_ambiguous(body: bytes) -> None:
    """A 2xx that cannot be read leaves open what happened."""
    error = refused(reply(200, body))

    assert type(error) is WixUnreadable
    assert error.ambiguous


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fulfillmentId": "f"},
        {"orderWithFulfillments": {"orderId": ORDER}},
        {"fulfillmentId": "f", "orderWithFulfillments": {"orderId": "another"}},
        {"fulfillmentId": "f", "orderWithFulfillments": {"orderId": ORDER, "fulfillments": [{}]}},
    ],
)
def test_success_without_what_the_contract_promises_is_ambiguous(body: dict[str, JsonValue]) -> None:
    """A created fulfillment has an id and belongs to the order that was named."""
    error = refused(reply(200, body))

    assert type(error) is WixUnreadable
    assert "lacks" in error.message


@pytest.mark.parametrize("credentials", [KEY, OAUTH])
def test_messages_hold_no_secret_and_no_address(credentials: object) -> None:
    """What Wix repeats of our key, token or a buyer's e-mail address is masked, and its text is one short line."""
    echo = "the-api-key token-1 the-app-secret buyer@example.com\nsecond line \x1b[31m" + "x" * 1_000
    with serving() as wire, client_of(wire.url, credentials=credentials, patience=AT_ONCE) as client:  # type: ignore[arg-type]
        wire.replies.append(reply(400, {"message": echo, "details": {}}))
        with pytest.raises(WixInvalidRequest) as caught:
            client.create_fulfillment(ORDER, UPS)

    shown = caught.value.message
    own = ("the-api-key",) if credentials is KEY else ("token-1", "the-app-secret")
    assert not any(secret in shown for secret in (*own, "buyer@example.com", "\n", "\x1b"))
    assert len(shown) < 400


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", 60.0), ("-3", 60.0), ("9" * 30, 60.0)])
def test_retry_after_is_seconds_or_the_default(header: str, seconds: float) -> None:
    """Wix documents no Retry-After; one that makes sense is heeded."""
    error = refused(reply(429, {}, {"retry-after": header}))

    assert error.retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    """A date that has passed means at once."""
    error = refused(reply(429, {}, {"retry-after": formatdate(0, usegmt=True)}))

    assert error.retry_after == 0.0


def test_every_outcome_is_written_down() -> None:
    """The gate hears how a refused call ended, by the error's name."""
    gate = RecordingGate()
    with serving() as wire, client_of(wire.url, gate=gate, patience=AT_ONCE) as client:
        wire.replies.append(reply(409, application_error("TRACKING_NUMBER_ALREADY_EXISTS")))
        with pytest.raises(TrackingNumberExists):
            client.create_fulfillment(ORDER, UPS)

    path = f"/ecom/v1/fulfillments/orders/{ORDER}/create-fulfillment"
    assert gate.calls == [("create", "POST", path, (ORDER,))]
    assert gate.outcomes == [(1, 409, "request-7", "TrackingNumberExists")]
