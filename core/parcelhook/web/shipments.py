"""``POST /shipments``: another program says that an order's parcel has its number."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Final, NoReturn

import structlog
from pydantic import ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from parcelhook.errors import InputError, KeyReused, ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import ShipmentRow
from parcelhook.links import checked_link
from parcelhook.models import Model
from parcelhook.numbers import as_given
from parcelhook.web.body import TooLarge, TooSlow, read_body
from parcelhook.web.refusals import refusal, unread

BODY_CAP: Final = 1_000_000
RETRY_AFTER: Final = 5
TRIES: Final = 5
CORRECT: Final = "Correct it and send all of it again."

IN_BODY: Final = {
    "order": "order_id",
    "number": "parcels.0.tracking_number",
    "url": "parcels.0.tracking_url",
    "item": "items",
    "quantity": "items",
}
"""Where in the body a wish's field is, for the one who reads an error."""


_Id = Annotated[str, Field(min_length=1, max_length=100)]


class _Strict(Model):
    model_config = ConfigDict(strict=True)


class _Parcel(_Strict):
    tracking_number: Annotated[str, Field(max_length=300)]
    tracking_url: Annotated[str, Field(max_length=4096)] | None = None


class _Item(_Strict):
    line_item_id: Annotated[_Id, Field(pattern="^[!-~]+$")]
    quantity: Annotated[int, Field(ge=1, le=100_000)]


class _Body(_Strict):
    key: Annotated[str, Field(max_length=300)] | None = None
    order_id: _Id
    carrier: _Id
    parcels: Annotated[tuple[_Parcel, ...], Field(min_length=1, max_length=50)]
    items: Annotated[tuple[_Item, ...], Field(max_length=300)] = ()


class ShipmentApi:
    """The endpoint; a caller shows its store's token, and sees and touches nothing of another store."""

    def __init__(self, stores: Mapping[str, Store], *, tokens: Mapping[str, str], wake: Callable[[], object]) -> None:
        self._stores = stores
        self._tokens = tokens
        self._wake = wake
        self._log = structlog.get_logger("parcelhook.shipments")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        store = self._store_of(request.headers.get("authorization", ""))
        if store is None:
            msg, hint = (
                "the bearer token is missing or not a store's",
                "Send Authorization: Bearer and the store's token.",
            )
            return unread(401, msg, field="authorization", what_to_do=hint, headers={"www-authenticate": "Bearer"})
        try:
            body = _read(await read_body(request, cap=BODY_CAP))
        except TooLarge:
            return unread(413, "the body is too large", field="body", what_to_do=f"Send at most {BODY_CAP:,} bytes.")
        except TooSlow:
            return unread(408, "the body did not arrive in time", field="body", what_to_do="Send it in one go.")
        except InputError as error:
            return refusal(400, error.message, field=error.field, what_to_do=error.what_to_do)
        return await run_in_threadpool(self._take_in, store, body)

    def _store_of(self, header: str) -> Store | None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        # Every token is compared, so that the time it takes tells nothing.
        found = [id_ for own, id_ in self._tokens.items() if secrets.compare_digest(own.encode(), token.encode())]
        return self._stores.get(found[0]) if found else None

    def _take_in(self, store: Store, body: _Body) -> Response:
        wish = Wish(
            order_id=body.order_id,
            carrier=body.carrier,
            parcels=tuple((parcel.tracking_number, parcel.tracking_url) for parcel in body.parcels),
            items={item.line_item_id: item.quantity for item in body.items},
            key=body.key,
            source="api",
        )
        try:
            _check_parcels(store, body)
            row, is_new = _written(store, wish)
        except InputError as error:
            status = 409 if isinstance(error, KeyReused) else 400
            field = IN_BODY.get(error.field, error.field)
            message = f"{field}: {error.message.removeprefix(f'{error.field}: ')}"
            return refusal(status, message, field=field, what_to_do=error.what_to_do or CORRECT)
        except ParcelhookError as error:
            self._log.error("shipment not taken in", store=store.id, reason=error.message)
            msg = "the shipment could not be written down"
            return refusal(503, msg, what_to_do="Send it again, the same.", retry_after=RETRY_AFTER)
        self._log.info("shipment taken in", store=store.id, shipment=row.id, new=is_new)
        self._wake()
        return JSONResponse({"shipment_id": row.id, "state": row.state.value}, status_code=202)


def _check_parcels(store: Store, body: _Body) -> None:
    """Raise InputError for a number or link that is wrong, naming which of the parcels has it."""
    carrier = store.registry.carrier(body.carrier)
    for index, parcel in enumerate(body.parcels):
        as_given(parcel.tracking_number, field=f"parcels.{index}.tracking_number")
        if parcel.tracking_url is not None:
            field = f"parcels.{index}.tracking_url"
            checked_link(parcel.tracking_url, carrier=carrier, allow_loopback=store.wix.is_loopback, field=field)


def _read(raw: bytes) -> _Body:
    """Read a body; raise InputError that says which member is wrong, and shows no value."""
    try:
        json.loads(raw, object_pairs_hook=_once, parse_constant=_refuse_constant)
        body = _Body.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        msg = f"{field}: {first['msg']}"
        raise InputError(msg, field=field, what_to_do=CORRECT) from None
    except (ValueError, RecursionError):
        msg = "body: it is no JSON"
        raise InputError(msg, field="body", what_to_do="Send one JSON object, in UTF-8.") from None
    for item in [id_ for id_, count in Counter(item.line_item_id for item in body.items).items() if count > 1]:
        # The sum of the two may be meant, or the one instead of the other.
        msg = f"items: the line item {item} is there twice"
        raise InputError(msg, field="items", what_to_do="Send it once, with the quantity in all.")
    return body


def _once(members: list[tuple[str, object]]) -> dict[str, object]:
    """Give an object; raise InputError for a member that comes twice, for nobody knows which one is meant."""
    for name in [name for name, count in Counter(name for name, _ in members).items() if count > 1]:
        msg = f"{name}: is there twice"
        raise InputError(msg, field=name, what_to_do="Send each member once.")
    return dict(members)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _written(store: Store, wish: Wish) -> tuple[ShipmentRow, bool]:
    """Take a wish in; where another process moved its shipment meanwhile, look at it again."""
    for _ in range(TRIES):
        with suppress(ShipmentChanged):
            return take_in(store, wish)
    return take_in(store, wish)
