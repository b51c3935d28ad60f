"""Webhooks as Wix signs and nests them.

Source: Wix, "About Webhooks" and "Domain Events".
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias, TypeVar

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from pydantic import BaseModel, BeforeValidator, Field, JsonValue, ValidationError

from parcelhook.errors import ConfigurationError, InvalidWebhook
from parcelhook.models import Model
from parcelhook.wix.fulfillments import OrderFulfillments
from parcelhook.wix.orders import WixOrder
from parcelhook.wix.wire import JsonObject, UtcTime, Wire, places

ReadModel = TypeVar("ReadModel", bound=BaseModel)

LEEWAY: Final = timedelta(hours=72)
"""How long after its end a token is taken: Wix delivers for 48 hours, and need not sign again when it does."""

_SKEW: Final = timedelta(seconds=60)
_TOKEN_CAP: Final = 20_000_000
_BODIES: Final = (
    ("actionEvent", "body"),
    ("updatedEvent", "currentEntity"),
    ("createdEvent", "entity"),
    ("deletedEvent", "deletedEntity"),
)


class WebhookEvent(Model):
    """An event whose signature was checked.

    ``payload`` is the event's body as Wix sent it; ``order`` or ``fulfillments`` are read from it where it holds a
    readable one. ``sequence`` rises per entity. ``app_id`` names the app that caused the event, where one did.
    """

    event_id: str
    event_type: str = ""
    instance_id: str = ""
    entity_fqdn: str = ""
    slug: str = ""
    entity_id: str = ""
    event_time: UtcTime | None = None
    sequence: int | None = None
    identity_type: str = ""
    app_id: str = ""
    payload: JsonObject = Field(default={}, repr=False)
    order: WixOrder | None = Field(default=None, repr=False)
    fulfillments: OrderFulfillments | None = Field(default=None, repr=False)
    restock_all_items: bool = False
    send_order_canceled_email: bool = False


class WebhookVerifier:
    """Check an app's webhooks against its public key: a PEM, or the base64 of one.

    Only RS256 is accepted. A token is taken until ``leeway`` after its end. Raises ConfigurationError for a key that is
    no RSA public key of at least 2048 bits.
    """

    def __init__(
        self,
        public_key: str,
        *,
        leeway: timedelta = LEEWAY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key = _public_key(public_key)
        self._leeway = leeway
        self._clock = clock
        # joserfc heeds the registry's algorithms alone where it is given a registry
        self._registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        self._registry.max_header_length = 8_192
        self._registry.max_payload_length = _TOKEN_CAP

    def verify(self, body: bytes) -> WebhookEvent:
        """Give the event in the body of a request; raise InvalidWebhook, safe to log, for anything else."""
        claims = self._claims(body.strip())
        self._check_times(claims)
        envelope = _unwrap(claims, "data", "the token's data")
        about = _read(_Envelope, envelope)
        identity = _read(_Identity, _unwrap(envelope, "identity", "the identity")) if about.identity else _Identity()
        domain_event = _unwrap(envelope, "data", "the event")
        event, payload = _read(_DomainEvent, domain_event), _payload(domain_event)
        return _read(
            WebhookEvent,
            {
                "event_id": event.id,
                "event_type": about.event_type,
                "instance_id": about.instance_id,
                "entity_fqdn": event.entity_fqdn,
                "slug": event.slug,
                "entity_id": event.entity_id,
                "event_time": _time(event.event_time),
                "sequence": _sequence(event.entity_event_sequence),
                "identity_type": identity.identity_type,
                "app_id": identity.app_id,
                "payload": payload,
                "order": _order(event, payload),
                "fulfillments": _fulfillments(event, payload),
                "restock_all_items": payload.get("restockAllItems") is True,
                "send_order_canceled_email": payload.get("sendOrderCanceledEmail") is True,
            },
        )

    def _claims(self, token: bytes) -> JsonObject:
        try:
            return jwt.decode(token, self._key, algorithms=["RS256"], registry=self._registry).claims
        except JoseError as error:
            reason = error.error
        except Exception as error:  # noqa: BLE001 - a stranger's bytes reach the decoder before any signature counts
            reason = type(error).__name__
        # outside of the handlers: their errors hold the token
        msg = f"a webhook whose signature is not Wix's, or that is none: {reason}"
        raise InvalidWebhook(msg, what_to_do="Check that the configured public key is this app's.")

    def _check_times(self, claims: JsonObject) -> None:
        now = self._clock()
        ends, starts = _seconds(claims, "exp"), _seconds(claims, "nbf")
        if ends is not None and now.timestamp() > ends + self._leeway.total_seconds():
            msg = f"a webhook whose token ended more than {self._leeway} ago"
            raise InvalidWebhook(msg, what_to_do="Check this machine's clock.")
        if starts is not None and now.timestamp() + _SKEW.total_seconds() < starts:
            msg = "a webhook whose token is not valid yet"
            raise InvalidWebhook(msg, what_to_do="Check this machine's clock.")


def _as_text(value: object) -> object:
    return value if isinstance(value, str | int) and not isinstance(value, bool) else ""


_Text: TypeAlias = Annotated[str, BeforeValidator(_as_text)]
"""What an event is not lost over: anything that is no text is as good as absent."""


class _Envelope(Wire):
    event_type: _Text = ""
    instance_id: str = ""
    identity: str = ""


class _Identity(Wire):
    identity_type: _Text = ""
    app_id: _Text = ""


class _DomainEvent(Wire):
    id: str = Field(min_length=1, max_length=200)
    entity_fqdn: _Text = ""
    slug: _Text = ""
    entity_id: _Text = ""
    event_time: _Text = ""
    entity_event_sequence: _Text = ""


def _public_key(text: str) -> RSAKey:
    pem = text.strip().replace("\\n", "\n")
    try:
        if not pem.startswith("-----BEGIN"):
            pem = base64.b64decode("".join(pem.split()), validate=True).decode("ascii")
        with warnings.catch_warnings():
            # joserfc only warns of a key that is too short
            warnings.simplefilter("error", SecurityWarning)
            key = RSAKey.import_key(pem)
    except (ValueError, TypeError, binascii.Error, JoseError, SecurityWarning) as error:
        msg = "the app's public key is no PEM of an RSA key of at least 2048 bits, nor the base64 of one"
        raise ConfigurationError(msg, where="public_key", what_to_do=_COPY_KEY) from error
    if key.is_private:
        msg = "the app's public key is a private key"
        raise ConfigurationError(msg, where="public_key", what_to_do=_COPY_KEY)
    return key


_COPY_KEY = "Copy it from the app's dashboard: Webhooks, Get Public Key."


def _unwrap(holder: JsonObject, name: str, what: str) -> JsonObject:
    """Read the JSON object that a member holds as a string; a member that is an object already is refused."""
    text = holder.get(name)
    if not isinstance(text, str):
        msg = f"a webhook where {what} is no string"
        raise InvalidWebhook(msg)
    value = _parse(text)
    if not isinstance(value, dict):
        msg = f"a webhook where {what} holds no JSON object"
        raise InvalidWebhook(msg)
    return value


def _parse(text: str) -> JsonValue:
    """Parse JSON; None for what is none, as the parser's error holds the whole text."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _read(model: type[ReadModel], data: Mapping[str, object]) -> ReadModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        msg = f"a webhook without a valid {places(error)}"
    raise InvalidWebhook(msg)


def _seconds(claims: JsonObject, name: str) -> float | None:
    """Give a time claim, None where it is absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"a webhook whose token has no number as its {name}"
        raise InvalidWebhook(msg)
    return value


def _payload(domain_event: JsonObject) -> JsonObject:
    """Give the one body an event has, an object or its ``AsJson`` string; a deletion may have none."""
    for kind, name in _BODIES:
        holder = domain_event.get(kind)
        if not isinstance(holder, dict):
            continue
        body, text = holder.get(name), holder.get(f"{name}AsJson")
        if body is None and isinstance(text, str):
            body = _parse(text)
        if isinstance(body, dict):
            return body
    return {}


def _order(event: _DomainEvent, payload: JsonObject) -> WixOrder | None:
    """Read the order; None where there is none to read, for then it is asked of Wix by ``entity_id``."""
    if event.entity_fqdn != "wix.ecom.v1.order":
        return None
    try:
        return WixOrder.model_validate(payload.get("order", payload))
    except ValidationError:
        return None


def _fulfillments(event: _DomainEvent, payload: JsonObject) -> OrderFulfillments | None:
    if event.entity_fqdn != "wix.ecom.v1.fulfillments":
        return None
    try:
        return OrderFulfillments.model_validate(payload)
    except ValidationError:
        return None


def _time(text: str) -> datetime | None:
    """Read a time with 3 to 6 fraction digits; None where it is none, for nothing hangs on it."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _sequence(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
