"""Only what Wix signed for this app, and nested as it does, becomes an event."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from pydantic import JsonValue

from parcelhook.errors import ConfigurationError, InvalidWebhook
from parcelhook.wix import WebhookVerifier

KEY = RSAKey.generate_key(2048)
OTHER_KEY = RSAKey.generate_key(2048)
OTHER_JWK: JsonValue = json.loads(json.dumps(OTHER_KEY.as_dict(private=False)))
PUBLIC = KEY.as_pem(private=False).decode()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = "11111111-1111-4111-8111-111111111111"

Json = Mapping[str, JsonValue]

APPROVED: Json = {
    "id": "event-1",
    "entityFqdn": "wix.ecom.v1.order",
    "slug": "approved",
    "entityId": ORDER,
    "eventTime": "2022-12-21T13:30:45.872Z",
    "triggeredByAnonymizeRequest": False,
    "originatedFrom": "",
    "entityEventSequence": "17",
    "actionEvent": {"body": {"order": {"id": ORDER, "number": "10108", "status": "APPROVED"}}},
}
IDENTITY: Json = {"identityType": "APP", "appId": "app-of-tests"}


def verifier(key: str = PUBLIC, *, leeway: timedelta | None = None) -> WebhookVerifier:
    """Give a verifier whose clock stands still."""
    if leeway is None:
        return WebhookVerifier(key, clock=lambda: NOW)
    return WebhookVerifier(key, leeway=leeway, clock=lambda: NOW)


def envelope(event: Json = APPROVED, **changes: JsonValue) -> dict[str, JsonValue]:
    """Nest an event as Wix does, but for changes; None leaves a member out."""
    members: dict[str, JsonValue] = {
        "eventType": f"{event.get('entityFqdn')}_{event.get('slug')}",
        "instanceId": "instance-of-tests",
        "data": json.dumps(event),
        "identity": json.dumps(IDENTITY),
        "accountInfo": {"accountId": "a"},
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def claims_of(nested: Json, **claims: JsonValue) -> dict[str, JsonValue]:
    """Give a token's claims."""
    at = int(NOW.timestamp())
    return {"data": json.dumps(nested), "iat": at, "exp": at + 300_000, **claims}


def signed(claims: dict[str, JsonValue], *, key: RSAKey = KEY, algorithm: str = "RS256") -> bytes:
    """Sign claims as Wix does."""
    return jwt.encode({"alg": algorithm, "kid": "k1"}, claims, key, algorithms=[algorithm]).encode()


def webhook(event: Json = APPROVED, **changes: JsonValue) -> bytes:
    """Give the body of a webhook."""
    return signed(claims_of(envelope(event, **changes)))


def forged(header: Json, claims: Json, signature: bytes = b"") -> bytes:
    """Spell a token no library would make."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def test_event_is_unwrapped() -> None:
    """All three layers of strings are read into one event."""
    event = verifier().verify(webhook())

    assert (event.event_id, event.event_type) == ("event-1", "wix.ecom.v1.order_approved")
    assert (event.instance_id, event.entity_fqdn, event.slug) == (
        "instance-of-tests",
        "wix.ecom.v1.order",
        "approved",
    )
    assert (event.entity_id, event.sequence) == (ORDER, 17)
    assert event.event_time == datetime(2022, 12, 21, 13, 30, 45, 872_000, tzinfo=UTC)
    assert (event.identity_type, event.app_id) == ("APP", "app-of-tests")
    assert event.payload == {"order": {"id": ORDER, "number": "10108", "status": "APPROVED"}}
    assert event.order is not None
    assert (event.order.id, event.order.status) == (ORDER, "APPROVED")
    assert event.fulfillments is None
    assert not event.restock_all_items


@pytest.mark.parametrize(
    "body",
    [
        {"actionEvent": {"body": {"order": {"id": ORDER}}}},
        {"actionEvent": {"bodyAsJson": json.dumps({"order": {"id": ORDER}})}},
        {"createdEvent": {"entity": {"id": ORDER}}},
        {"createdEvent": {"entityAsJson": json.dumps({"id": ORDER})}},
        {"updatedEvent": {"currentEntity": {"id": ORDER}}},
        {"updatedEvent": {"currentEntityAsJson": json.dumps({"id": ORDER})}},
    ],
)
def test_order_is_found_in_every_kind_of_event(body: Json) -> None:
    """Action, created and updated events hold the order in places of their own, as an object or as JSON."""
    event = verifier().verify(webhook({"id": "e", "entityFqdn": "wix.ecom.v1.order", "slug": "x", **body}))

    assert event.order is not None
    assert event.order.id == ORDER


def test_fulfillments_updated_gives_all_fulfillments() -> None:
    """The whole list comes with every change."""
    entity: JsonValue = {"orderId": ORDER, "fulfillments": [{"id": "f", "status": "Ready"}]}
    event = verifier().verify(
        webhook(
            {
                "id": "e",
                "entityFqdn": "wix.ecom.v1.fulfillments",
                "slug": "updated",
                "updatedEvent": {"currentEntity": entity},
            }
        )
    )

    assert event.order is None
    assert event.fulfillments is not None
    assert event.fulfillments.order_id == ORDER
    assert event.fulfillments.fulfillments[0].status == "Ready"


def test_cancellation_tells_its_choices() -> None:
    """Order Canceled says whether items are restocked and the buyer is told."""
    body: JsonValue = {"order": {"id": ORDER}, "restockAllItems": True, "sendOrderCanceledEmail": True}
    event = verifier().verify(webhook({**APPROVED, "slug": "canceled", "actionEvent": {"body": body}}))

    assert event.restock_all_items
    assert event.send_order_canceled_email


@pytest.mark.parametrize(
    ("text", "microsecond"), [("2022-12-21T13:30:45.129908Z", 129_908), ("2022-12-21T13:30:45.12990Z", 129_900)]
)
def test_event_time_may_have_up_to_six_digits(text: str, microsecond: int) -> None:
    """Wix sends 3 to 6 fraction digits."""
    event = verifier().verify(webhook({**APPROVED, "eventTime": text}))

    assert event.event_time == datetime(2022, 12, 21, 13, 30, 45, microsecond, tzinfo=UTC)


def test_nothing_but_the_event_id_is_needed() -> None:
    """Missing optional members, identity among them, are no reason to lose an event."""
    event = verifier().verify(webhook({"id": "e"}, identity=None, eventType=None, instanceId=None))

    assert event.event_id == "e"
    assert (event.event_type, event.instance_id, event.identity_type) == ("", "", "")
    assert (event.event_time, event.sequence, event.order, event.payload) == (None, None, None, {})


@pytest.mark.parametrize(
    "oddity",
    [
        {"eventTime": "yesterday"},
        {"eventTime": "0001-01-01T00:00:00+14:00"},
        {"entityEventSequence": "seventeen"},
        {"entityEventSequence": "9" * 30},
        {"entityEventSequence": None},
        {"actionEvent": {"body": {"order": {"number": "no id"}}}},
        {"actionEvent": "x"},
        {"actionEvent": {"bodyAsJson": "{"}},
        {"entityFqdn": "wix.ecom.v1.fulfillments", "actionEvent": {"body": {"orderWithFulfillments": "x"}}},
        {"somethingNew": {"deep": [1, 2]}},
    ],
)
def test_oddity_does_not_lose_the_event(oddity: Json) -> None:
    """What is not understood is left out; the order is asked of Wix by its id then."""
    event = verifier().verify(webhook({**APPROVED, **oddity}))

    assert (event.event_id, event.entity_id) == ("event-1", ORDER)
    assert event.fulfillments is None


@pytest.mark.parametrize("around", [b"\n", b"\r\n", b"  \n\t"])
def test_blanks_around_the_token_do_not_matter(around: bytes) -> None:
    """Wix's own SDK accepts a newline after the token."""
    assert verifier().verify(around + webhook() + around).event_id == "event-1"


def test_other_headers_and_claims_do_not_matter() -> None:
    """A foreign issuer or audience, and a header parameter of Wix's own, are accepted."""
    claims = claims_of(envelope(), iss="somebody", aud="somebody else")
    token = jwt.encode({"alg": "RS256", "typ": "JWT", "wix-own": "x", "kid": "k" * 600}, claims, KEY, registry=_lax())

    assert verifier().verify(token.encode()).event_id == "event-1"


def _lax() -> JWSRegistry:
    return JWSRegistry(algorithms=["RS256"], strict_check_header=False)


def test_large_order_is_accepted() -> None:
    """300 line items with their texts are far more than a usual token."""
    lines: list[JsonValue] = [{"id": f"l{at}", "productName": {"original": "x" * 1_500}} for at in range(300)]
    event = verifier().verify(
        webhook({**APPROVED, "actionEvent": {"body": {"order": {"id": ORDER, "lineItems": lines}}}})
    )

    assert event.order is not None
    assert len(event.order.line_items) == 300


@pytest.mark.parametrize(
    "key",
    [
        PUBLIC,
        f"\n{PUBLIC}\n",
        PUBLIC.replace("\n", "\\n"),
        base64.b64encode(PUBLIC.encode()).decode(),
        base64.encodebytes(PUBLIC.encode()).decode(),
    ],
)
def test_public_key_may_be_pem_or_base64_of_it(key: str) -> None:
    """Wix's dashboard gives either; environment variables escape line ends."""
    assert verifier(key).verify(webhook()).event_id == "event-1"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no key",
        "aGVsbG8=",
        PUBLIC[:200],
        KEY.as_pem(private=True).decode(),
        ECKey.generate_key("P-256").as_pem(private=False).decode(),
    ],
)
def test_public_key_that_is_none_is_a_configuration_error(key: str) -> None:
    """A wrong key is told at the start, without showing it."""
    with pytest.raises(ConfigurationError) as caught:
        WebhookVerifier(key)

    assert caught.value.where == "public_key"
    assert "BEGIN" not in caught.value.message


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_short_public_key_is_a_configuration_error() -> None:
    """A key under 2048 bits proves nothing."""
    with pytest.raises(ConfigurationError, match="2048"):
        WebhookVerifier(RSAKey.generate_key(1024).as_pem(private=False).decode())


def with_hmac(header: Json, claims: Json) -> bytes:
    """Sign with the public key's text as a shared secret: the classic confusion of algorithms."""
    unsigned = forged(header, claims).rpartition(b".")[0]
    digest = hmac.new(PUBLIC.encode(), unsigned, hashlib.sha256).digest()
    return unsigned + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")


GOOD = webhook()
CLAIMS = claims_of(envelope())
NOW_SECONDS = int(NOW.timestamp())

FORGERIES: dict[str, bytes] = {
    "other key": signed(CLAIMS, key=OTHER_KEY),
    "RS512 with the right key": signed(CLAIMS, algorithm="RS512"),
    "PS256 with the right key": signed(CLAIMS, algorithm="PS256"),
    "no signature": GOOD.rpartition(b".")[0] + b".",
    "alg none": forged({"alg": "none"}, CLAIMS),
    "alg None": forged({"alg": None}, CLAIMS),
    "alg an object": forged({"alg": {}}, CLAIMS),
    "no alg": forged({"typ": "JWT"}, CLAIMS),
    "HS256 with the public key": with_hmac({"alg": "HS256"}, CLAIMS),
    "header a list": forged(["alg"], CLAIMS),  # type: ignore[arg-type]
    "header too deep": base64.urlsafe_b64encode(b'{"alg":' + b"[" * 5_000) + b".e30.e30",
    "key in the header": forged(
        {"alg": "RS256", "jwk": json.loads(json.dumps(OTHER_KEY.as_dict(private=False)))}, CLAIMS
    ),
    "unknown critical header": forged({"alg": "RS256", "crit": ["unheard-of"]}, CLAIMS),
    "truncated": GOOD[:-20],
    "cut in the payload": GOOD[:200],
    "four parts": GOOD + b".e30",
    "not a token": b"hello",
    "JSON": b'{"data": "{}"}',
    "empty": b"",
    "not text": bytes(range(256)),
    "claims a list": jws.serialize_compact({"alg": "RS256"}, b"[1]", KEY).encode(),
    "claims too deep": jws.serialize_compact({"alg": "RS256"}, b"[" * 100_000, KEY).encode(),
    "ended long ago": signed(claims_of(envelope(), exp=NOW_SECONDS - 72 * 3_600 - 1)),
    "exp a text": signed(claims_of(envelope(), exp="tomorrow")),
    "exp true": signed(claims_of(envelope(), exp=True)),
    "exp not a number": signed(claims_of(envelope(), exp=float("nan"))),
    "not valid yet": signed(claims_of(envelope(), nbf=NOW_SECONDS + 3_600)),
    "data an object": signed({**CLAIMS, "data": envelope()}),
    "data missing": signed({"iat": 1}),
    "data no JSON": signed({**CLAIMS, "data": "{"}),
    "data too deep": signed({**CLAIMS, "data": "[" * 100_000}),
    "data a JSON text": signed({**CLAIMS, "data": '"x"'}),
    "event an object": webhook(data=dict(APPROVED)),
    "event missing": webhook(data=None),
    "event a JSON list": webhook(data="[]"),
    "identity an object": webhook(identity=dict(IDENTITY)),
    "identity no JSON": webhook(identity="me"),
    "no event id": webhook({"entityFqdn": "wix.ecom.v1.order"}),
    "empty event id": webhook({**APPROVED, "id": ""}),
    "event id null": webhook({**APPROVED, "id": None}),
    "event id an object": webhook({**APPROVED, "id": {}}),
}


@pytest.mark.parametrize("body", FORGERIES.values(), ids=FORGERIES.keys())
def test_forgery_is_refused_with_a_message_fit_for_a_log(body: bytes) -> None:
    """Whatever is wrong is an InvalidWebhook that holds nothing of the webhook and no other error."""
    with pytest.raises(InvalidWebhook) as caught:
        verifier().verify(body)

    error = caught.value
    assert error.message.startswith("a webhook w")
    assert len(error.message) < 200
    assert error.message.isprintable()
    assert not any(part in error.message for part in (ORDER, "10108", "app-of-tests"))
    assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW_SECONDS - 72 * 3_600},
        {"exp": NOW_SECONDS - 3_600},
        {"exp": None},
        {"nbf": NOW_SECONDS + 30},
        {"nbf": NOW_SECONDS - 1},
        {"iat": NOW_SECONDS + 10_000},
    ],
)
def test_late_delivery_is_accepted(claims: Json) -> None:
    """Wix delivers for 48 hours and need not sign again, so a token is taken for 72 hours after its end."""
    body = signed({name: value for name, value in {**CLAIMS, **claims}.items() if value is not None})

    assert verifier().verify(body).event_id == "event-1"


def test_leeway_can_be_set() -> None:
    """An operator may be stricter."""
    body = signed(claims_of(envelope(), exp=NOW_SECONDS - 61))

    with pytest.raises(InvalidWebhook, match="0:01:00"):
        verifier(leeway=timedelta(minutes=1)).verify(body)


@given(body=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(body: bytes) -> None:
    """No bytes make the verifier raise anything else, or believe them."""
    with pytest.raises(InvalidWebhook):
        verifier().verify(body)


@given(data=st.data())
def test_mutated_token_is_refused(data: st.DataObject) -> None:
    """A token with any byte of its header, payload or separators changed is no webhook."""
    end = GOOD.rindex(b".") + 1
    at = data.draw(st.integers(0, end - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != GOOD[at]))
    mutated = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    cut = data.draw(st.integers(0, len(GOOD) - 2))

    for body in (mutated, GOOD[:cut], GOOD[: cut + 1] + GOOD):
        with pytest.raises(InvalidWebhook):
            verifier().verify(body)


TEXT = st.text(max_size=8)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [*APPROVED, "updatedEvent", "createdEvent"]
EVENTS = st.dictionaries(st.sampled_from(MEMBERS), ANY, max_size=6).map(lambda changes: {**APPROVED, **changes})


@given(event=EVENTS, identity=ANY, times=st.fixed_dictionaries({}, optional={"exp": ANY, "nbf": ANY}))
def test_signed_oddity_is_an_event_or_refused(
    event: dict[str, JsonValue], identity: JsonValue, times: dict[str, JsonValue]
) -> None:
    """Whatever Wix may sign one day is read or refused, and nothing else happens."""
    body = signed({**claims_of(envelope(event, identity=identity)), **times})

    with suppress(InvalidWebhook):
        assert verifier().verify(body).event_id == str(event["id"])
