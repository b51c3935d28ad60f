"""The service's HTTP side: Wix's webhooks, shipments by API, and health."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parcelhook.errors import LedgerError
from parcelhook.fulfillment.store import Store
from parcelhook.web.receiver import App, Receiver
from parcelhook.web.refusals import internal_error, no_such_route
from parcelhook.web.shipments import ShipmentApi


def make_app(
    stores: Sequence[Store],
    *,
    apps: Sequence[App],
    tokens: Mapping[str, str],
    wake: Callable[[], object],
) -> Starlette:
    """Make the application.

    ``apps`` are those whose webhooks are taken. ``tokens`` gives the store a bearer token belongs to. ``wake`` is
    called when something has come in.
    """
    ledger = stores[0].ledger
    receiver = Receiver(ledger, apps=apps, wake=wake)
    shipments = ShipmentApi({store.id: store for store in stores}, tokens=tokens, wake=wake)

    async def alive(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_: Request) -> Response:
        try:
            await run_in_threadpool(ledger.stores.all)
        except LedgerError as error:
            return JSONResponse({"ready": False, "error": error.message}, status_code=503)
        return JSONResponse({"ready": True})

    return Starlette(
        exception_handlers={HTTPException: no_such_route, Exception: internal_error},
        routes=[
            Route("/", receiver, methods=["POST"]),
            Route("/webhooks", receiver, methods=["POST"]),
            Route("/shipments", shipments, methods=["POST"]),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ],
    )
