"""Take in Wix's webhooks: check the signature, keep the event durably, and only then answer 200."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from parcelhook.errors import InvalidWebhook, LedgerError
from parcelhook.ledger import InboxEvent, Ledger
from parcelhook.web.body import HangUp, TooLarge, TooSlow, read_body
from parcelhook.wix.webhooks import WebhookEvent, WebhookVerifier

BODY_CAP: Final = 2_000_000
"""An order of 300 line items, signed, is well under half a megabyte."""


@dataclass(frozen=True, slots=True)
class App:
    """A Wix app: what checks its webhooks, and the store behind each of its instances."""

    verifier: WebhookVerifier
    stores: Mapping[str, str]


class Receiver:
    """The endpoint Wix calls; it answers within Wix's 1,250 ms, for it does nothing but verify and write one row.

    200 means that the event is kept, or was before. A signature that is not Wix's gets 401 and no row, a body that is
    too large 413, one that does not arrive 408, and 503 means that Wix should try again. An app speaks for its own
    instances only: what it signs about another app's store is an event of no store.

    An event of an instance that is not configured gets 404 and no row. Wix sends again whatever was not answered with
    200, for two days: by then the store may be configured, or another service behind this address may take it.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        apps: Sequence[App],
        wake: Callable[[], object],
    ) -> None:
        self._ledger = ledger
        self._apps = tuple(apps)
        self._wake = wake
        self._log = structlog.get_logger("parcelhook.receiver")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            body = await read_body(request, cap=BODY_CAP)
            return await run_in_threadpool(self._keep, body)
        except TooLarge:
            return HangUp({"received": False, "error": "the body is too large to be a webhook"}, status_code=413)
        except TooSlow:
            return HangUp({"received": False, "error": "the body did not arrive in time"}, status_code=408)

    def _keep(self, body: bytes) -> Response:
        try:
            event, stores = self._verified(body)
        except InvalidWebhook as error:
            self._log.warning("webhook refused", reason=error.message)
            return _refusal(401, error.message)
        store = stores.get(event.instance_id) if event.instance_id else None
        if store is None:
            self._log.warning("webhook of an unknown store", instance=event.instance_id, event_id=event.event_id)
            return _refusal(404, "no store with this app instance is configured")
        try:
            (is_new,) = self._ledger.inbox.receive([_row(store, event)])
        except LedgerError as error:
            self._log.error("webhook not kept", event_id=event.event_id, reason=error.message)
            return _refusal(503, "the event could not be kept; send it again")
        self._log.info("webhook kept", store=store, event_id=event.event_id, type=event.event_type, new=is_new)
        self._wake()
        return JSONResponse({"received": True})

    def _verified(self, body: bytes) -> tuple[WebhookEvent, Mapping[str, str]]:
        """Give the event and the stores of the app that signed it."""
        refusal = InvalidWebhook("no store of this service gets webhooks")
        for app in self._apps:
            try:
                return app.verifier.verify(body), app.stores
            except InvalidWebhook as error:
                refusal = error
        raise refusal


def _row(store: str, event: WebhookEvent) -> InboxEvent:
    """Give the inbox's row; what Wix left out is taken from where it stands as well."""
    order_id = event.order.id if event.order else event.fulfillments.order_id if event.fulfillments else ""
    return InboxEvent(
        store=store,
        id=event.event_id,
        event_type=event.event_type or f"{event.entity_fqdn}_{event.slug}",
        payload=json.dumps(event.payload),
        slug=event.slug,
        entity_fqdn=event.entity_fqdn,
        entity_id=event.entity_id or order_id,
        order_id=event.entity_id or order_id,
        sequence=event.sequence,
        event_time=event.event_time,
    )


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"received": False, "error": reason}, status_code=status)
