"""``POST /shipments``: another program says that an order's parcel has its number."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final

import structlog
from pydantic import ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from parcelhook.errors import InputError, KeyReused, ParcelhookError
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.fulfillment.store import Store
from parcelhook.models import Model
from parcelhook.numbers import as_given
from parcelhook.web.body import HangUp, TooLarge, read_body

BODY_CAP: Final = 1_000_000

IN_BODY: Final = {
    "order": "order_id",
    "number": "parcels.0.tracking_number",
    "url": "parcels.0.tracking_url",
    "item": "items",
    "quantity": "items",
}
"""Where in the body a wish's field is, for the one who reads an error."""


class _Strict(Model):
    model_config = ConfigDict(strict=True)


class _Parcel(_Strict):
    tracking_number: str
    tracking_url: str | None = None


class _Item(_Strict):
    line_item_id: Annotated[str, Field(min_length=1, max_length=100)]
    quantity: Annotated[int, Field(ge=1, le=100_000)]


class _Body(_Strict):
    key: str | None = None
    order_id: str
    carrier: str
    parcels: Annotated[tuple[_Parcel, ...], Field(min_length=1, max_length=50)]
    items: tuple[_Item, ...] = ()


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
            refusal = {"error": "the bearer token is missing or not a store's", "field": "authorization"}
            return HangUp(refusal, status_code=401, headers={"www-authenticate": "Bearer"})
        try:
            body = _Body.model_validate_json(await read_body(request, cap=BODY_CAP))
        except TooLarge:
            return HangUp({"error": "the body is too large", "field": "body"}, status_code=413)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            return _refusal(400, f"{field}: {first['msg']}", field=field)
        twice = _said_twice(item.line_item_id for item in body.items)
        if twice is not None:
            return _refusal(400, f"items: the line item {twice} is there twice", field="items")
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
            _check_numbers(body)
            row, is_new = take_in(store, wish)
        except InputError as error:
            status = 409 if isinstance(error, KeyReused) else 400
            field = IN_BODY.get(error.field, error.field)
            message = f"{field}: {error.message.removeprefix(f'{error.field}: ')}"
            return _refusal(status, message, field=field, what_to_do=error.what_to_do)
        except ParcelhookError as error:
            self._log.error("shipment not taken in", store=store.id, reason=error.message)
            return _refusal(503, "the shipment could not be written down; send it again")
        self._log.info("shipment taken in", store=store.id, shipment=row.id, new=is_new)
        self._wake()
        return JSONResponse({"shipment_id": row.id, "state": row.state.value}, status_code=202)


def _check_numbers(body: _Body) -> None:
    """Raise InvalidTrackingNumber, naming which of the parcels has it."""
    for index, parcel in enumerate(body.parcels):
        as_given(parcel.tracking_number, field=f"parcels.{index}.tracking_number")


def _said_twice(ids: Iterable[str]) -> str | None:
    """Give an id that comes twice: the sum of the two may be meant, or the one instead of the other."""
    return next((id_ for id_, count in Counter(ids).items() if count > 1), None)


def _refusal(status: int, reason: str, *, field: str = "", what_to_do: str = "") -> Response:
    body = {"error": reason, "field": field, "what_to_do": what_to_do}
    return JSONResponse({name: value for name, value in body.items() if value}, status_code=status)
