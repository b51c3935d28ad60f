"""Faults on order: calls that are refused, that happen untold, that happen late, or that answer nonsense."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import HTMLResponse, JSONResponse, Response

from parcelhook.sandbox.refusals import EMPTY
from parcelhook.sandbox.validation import Json
from parcelhook.sandbox.wire import Broken

ROUTES = (
    "token",
    "create",
    "bulk-create",
    "update",
    "delete",
    "list",
    "list-by-ids",
    "get-order",
    "search-orders",
    "courier-book",
    "courier-status",
)
EFFECTS = ("none", "untold", "late")
BODIES = ("html", "truncated", "empty")

_HTML = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>502 Bad gateway</h1></body></html>"
_TRUNCATED = b'{"orderWithFulfillments":{"orderId":"'
_OK = 200
_SERVER_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Say what befalls a call.

    ``none``: refused with ``status`` after ``delay`` seconds, nothing happened. ``untold``: it happened, and after
    ``delay`` seconds the connection breaks. ``late``: the connection breaks, ``delay`` seconds later it happens.
    ``body`` answers something unreadable in place of the refusal or the broken connection.
    """

    status: int | None = None
    effect: str = "none"
    delay: float = 0.0
    retry_after: int | None = None
    body: str | None = None
    code: str | None = None


class Faults:
    """Keep the faults that wait for a call, by route, and let them befall."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {route: deque() for route in ROUTES}
        self._late: set[asyncio.TimerHandle] = set()

    def add(self, route: str, fault: Fault, *, times: int = 1) -> None:
        """Let a fault befall the next calls of a route."""
        self._waiting[route].extend([fault] * times)

    def clear(self) -> None:
        """Forget the faults that have not befallen a call yet."""
        for waiting in self._waiting.values():
            waiting.clear()

    def waiting(self) -> dict[str, int]:
        """Count the faults that wait, by route."""
        return {route: len(waiting) for route, waiting in self._waiting.items() if waiting}

    def close(self) -> None:
        """Call off what would happen late."""
        for handle in self._late:
            handle.cancel()

    async def run(self, route: str, perform: Callable[[], Response]) -> Response:
        """Perform a call, or let the next fault of its route befall it."""
        waiting = self._waiting[route]
        if not waiting:
            return perform()
        fault = waiting.popleft()
        if fault.effect == "late":
            self._later(fault.delay, perform)
            return _nonsense(fault) or Broken()
        if fault.effect == "untold":
            perform()
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.effect == "untold":
            return _nonsense(fault) or Broken()
        return _refusal(fault, oauth=route == "token")

    def _later(self, delay: float, perform: Callable[[], Response]) -> None:
        def act() -> None:
            self._late.discard(handle)
            perform()

        handle = asyncio.get_running_loop().call_later(delay, act)
        self._late.add(handle)


def _nonsense(fault: Fault) -> Response | None:
    status = fault.status or _OK
    if fault.body == "html":
        return HTMLResponse(_HTML, status_code=status)
    if fault.body == "truncated":
        return Response(_TRUNCATED, status_code=status, media_type="application/json")
    if fault.body == "empty":
        return JSONResponse(dict(EMPTY), status_code=fault.status or _SERVER_ERROR)
    return None


def _refusal(fault: Fault, *, oauth: bool) -> Response:
    status = fault.status or 503
    answer = _nonsense(fault) or JSONResponse(_error(fault, status, oauth=oauth), status_code=status)
    answer.status_code = status
    if fault.retry_after is not None:
        answer.headers["retry-after"] = str(fault.retry_after)
    return answer


def _error(fault: Fault, status: int, *, oauth: bool) -> Json:
    if status >= _SERVER_ERROR:
        return dict(EMPTY)
    if oauth:
        return {"error": fault.code or "invalid_request", "error_description": "refused"}
    if fault.code is None:
        return dict(EMPTY)
    error = {"code": fault.code, "description": "refused", "data": {}}
    return {"message": "refused", "details": {"applicationError": error}}
