"""The sandbox as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from parcelhook.sandbox.api import WixApi
from parcelhook.sandbox.control import control_routes
from parcelhook.sandbox.courier_api import CourierApi
from parcelhook.sandbox.search import Search
from parcelhook.sandbox.settings import SandboxSettings
from parcelhook.sandbox.state import Sandbox
from parcelhook.sandbox.wire import WixEdge


def create_app(settings: SandboxSettings) -> Starlette:
    """Make the application; its ``state.sandbox`` is the ``Sandbox`` behind it."""
    sandbox = Sandbox(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sandbox.open()
        try:
            yield
        finally:
            await sandbox.close()

    wix = WixApi(
        store=sandbox.store,
        search=Search(sandbox.store, sandbox.panel),
        gate=sandbox.gate,
        faults=sandbox.faults,
        panel=sandbox.panel,
    )
    courier = CourierApi(courier=sandbox.courier, key=settings.courier_key, faults=sandbox.faults)
    app = Starlette(
        routes=[*wix.routes(), *courier.routes(), *control_routes(sandbox)],
        middleware=[Middleware(WixEdge, calls=sandbox.calls)],
        exception_handlers={HTTPException: _no_such_route},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


async def _no_such_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return JSONResponse({"message": "no such route", "details": {}}, status_code=status)
