"""The courier's own HTTP API, under ``/courier``."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from parcelhook.sandbox.courier import Courier, CourierRefusal, page
from parcelhook.sandbox.faults import Faults
from parcelhook.sandbox.refusals import Refusal
from parcelhook.sandbox.validation import Json, read_body


class CourierApi:
    """Serve the courier to whoever has its key."""

    def __init__(self, *, courier: Courier, key: str, faults: Faults) -> None:
        self._courier = courier
        self._key = key
        self._faults = faults

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/courier/parcels", self._book, methods=["POST"]),
            Route("/courier/parcels", self._find, methods=["GET"]),
            Route("/courier/parcels/status", self._statuses, methods=["POST"]),
            Route("/courier/parcels/{number}", self._status, methods=["GET"]),
            Route("/courier/parcels/{number}", self._cancel, methods=["DELETE"]),
            Route("/courier/track/{number}", self._page, methods=["GET"]),
        ]

    async def _book(self, request: Request) -> Response:
        body = await self._body(request)

        def book() -> Response:
            parcel, new = self._courier.book(body())
            return JSONResponse(parcel.booking(), status_code=201 if new else 200)

        return await self._serve(request, book, route="courier-book")

    async def _find(self, request: Request) -> Response:
        reference = request.query_params.get("reference", "")

        def find() -> Response:
            if not reference:
                raise CourierRefusal(422, "invalid", "reference must be given")
            return JSONResponse({"parcels": [parcel.booking() for parcel in self._courier.find(reference)]})

        return await self._serve(request, find)

    async def _status(self, request: Request) -> Response:
        number = request.path_params["number"]
        return await self._serve(
            request, lambda: JSONResponse(self._courier.parcel(number).progress()), route="courier-status"
        )

    async def _statuses(self, request: Request) -> Response:
        body = await self._body(request)
        return await self._serve(request, lambda: JSONResponse(self._courier.statuses(body())), route="courier-status")

    async def _cancel(self, request: Request) -> Response:
        number = request.path_params["number"]
        return await self._serve(request, lambda: JSONResponse(self._courier.cancel(number).progress()))

    async def _page(self, request: Request) -> Response:
        try:
            parcel = self._courier.parcel(request.path_params["number"])
        except CourierRefusal:
            parcel = None
        token = request.query_params.get("t", "")
        if parcel is None or not compare_digest(token.encode(), parcel.token.encode()):
            return HTMLResponse("<!DOCTYPE html><title>Not found</title><p>No such parcel.</p>", status_code=404)
        return HTMLResponse(page(parcel))

    async def _body(self, request: Request) -> Callable[[], Json]:
        raw = await request.body()

        def read() -> Json:
            try:
                return read_body(raw)
            except Refusal as refusal:
                raise CourierRefusal(422, "invalid", str(refusal.body["message"])) from refusal

        return read

    async def _serve(self, request: Request, act: Callable[[], Response], *, route: str | None = None) -> Response:
        given = request.headers.get("x-courier-key", "")
        if not compare_digest(given.encode(), self._key.encode()):
            refusal = CourierRefusal(401, "unauthorized", "X-Courier-Key is missing or wrong")
            return JSONResponse(refusal.body(), status_code=refusal.status)

        def perform() -> Response:
            try:
                return act()
            except CourierRefusal as refused:
                return JSONResponse(refused.body(), status_code=refused.status)

        return perform() if route is None else await self._faults.run(route, perform)
