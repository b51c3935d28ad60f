"""Control of the sandbox, under ``/_sandbox``: what a test does to the store and what it looks at."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parcelhook.sandbox.courier import CourierRefusal
from parcelhook.sandbox.faults import BODIES, EFFECTS, ROUTES, Fault
from parcelhook.sandbox.orders import make_orders
from parcelhook.sandbox.refusals import Refusal
from parcelhook.sandbox.state import Sandbox
from parcelhook.sandbox.validation import Json

_MAX_AT_ONCE = 10_000
_FAULT_FIELDS = {"route", "times", "status", "effect", "delay", "retry_after", "body", "code"}


class Misuse(Exception):
    """A control call that cannot be understood, with the reason."""

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def control_routes(sandbox: Sandbox) -> list[Route]:
    """List the control routes of one sandbox."""
    return [
        *_store_routes(sandbox),
        *_webhook_routes(sandbox),
        *_behaviour_routes(sandbox),
        _route("GET", "calls", lambda _, __: sandbox.calls.made),
    ]


def _store_routes(sandbox: Sandbox) -> list[Route]:
    def add_orders(_: Request, body: Json) -> object:
        count = _count(body, "count", default=1, maximum=_MAX_AT_ONCE)
        items, order = body.get("items"), body.get("order")
        if not (items is None or isinstance(items, list) or type(items) is int):
            raise Misuse("items must be an array of line items, or how many")
        if not isinstance(order, dict | None):
            raise Misuse("order must be an object")
        try:
            orders = make_orders(sandbox.store.next_number, count=count, items=items, changes=order)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            msg = f"no order can be made of this: {error!r}"
            raise Misuse(msg) from error
        return {"order_ids": sandbox.store.add(orders, identity=sandbox.visitor)}

    def fulfillments(_: Request, __: Json) -> object:
        orders = sandbox.store.orders
        return {order_id: list(stored.fulfillments.value) for order_id, stored in orders.items()}

    def edit(request: Request, body: Json) -> object:
        order_id = request.path_params["order_id"]
        try:
            return {"order": sandbox.store.edit(order_id, body, identity=sandbox.merchant)}
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            msg = f"the order cannot be changed like this: {error!r}"
            raise Misuse(msg) from error

    def cancel(request: Request, _: Json) -> object:
        return {"order": sandbox.store.cancel(request.path_params["order_id"], identity=sandbox.merchant)}

    return [
        _route("POST", "orders", add_orders),
        _route("PATCH", "orders/{order_id}", edit),
        _route("POST", "orders/{order_id}/cancel", cancel),
        _route("GET", "fulfillments", fulfillments),
    ]


def _webhook_routes(sandbox: Sandbox) -> list[Route]:
    def register(_: Request, body: Json) -> object:
        event_types = body.get("events")
        if not isinstance(event_types, list | None):
            raise Misuse("events must be an array of event types")
        sandbox.deliverer.register(_url(body), event_types=event_types)
        return {"webhooks": sandbox.deliverer.registered()}

    def unregister(_: Request, body: Json) -> object:
        sandbox.deliverer.unregister(_url(body))
        return {"webhooks": sandbox.deliverer.registered()}

    def redeliver(request: Request, _: Json) -> object:
        event = sandbox.events.log.get(request.path_params["event_id"])
        if event is None:
            raise Misuse("no event has this id", status=404)
        sandbox.deliverer.send(event)
        return event.summary()

    return [
        _route("POST", "webhooks", register),
        _route("DELETE", "webhooks", unregister),
        _route("GET", "webhooks", lambda _, __: {"webhooks": sandbox.deliverer.registered()}),
        _route("GET", "events", lambda _, __: [event.summary() for event in sandbox.events.log.values()]),
        _route("POST", "events/{event_id}/redeliver", redeliver),
    ]


def _behaviour_routes(sandbox: Sandbox) -> list[Route]:
    def add_fault(_: Request, body: Json) -> object:
        sandbox.faults.add(*_fault(body), times=_count(body, "times", default=1, maximum=_MAX_AT_ONCE))
        return {"waiting": sandbox.faults.waiting()}

    def clear_faults(_: Request, __: Json) -> object:
        sandbox.faults.clear()
        return {"waiting": {}}

    def rate_limit(_: Request, body: Json) -> object:
        sandbox.gate.limiter.per_window = _count(body, "per_minute", default=None, minimum=0)
        return {"per_minute": sandbox.gate.limiter.per_window}

    def change_switches(_: Request, body: Json) -> object:
        try:
            sandbox.panel.change(body)
        except ValueError as error:
            raise Misuse(str(error)) from error
        return sandbox.panel.show()

    def revoke_tokens(_: Request, __: Json) -> object:
        sandbox.gate.revoke()
        return {}

    def move_parcel(request: Request, body: Json) -> object:
        carrier = request.path_params["carrier"]
        if carrier != "courier":
            msg = f"no carrier here is called {carrier!r}; there is courier"
            raise Misuse(msg)
        step = None if body.get("step") is None else _count(body, "step", default=None, minimum=0)
        return sandbox.courier.move(request.path_params["number"], str(body.get("journey")), step).progress()

    return [
        _route("POST", "faults", add_fault),
        _route("GET", "faults", lambda _, __: {"waiting": sandbox.faults.waiting()}),
        _route("DELETE", "faults", clear_faults),
        _route("POST", "rate-limit", rate_limit),
        _route("GET", "switches", lambda _, __: sandbox.panel.show()),
        _route("PATCH", "switches", change_switches),
        _route("POST", "tokens/revoke", revoke_tokens),
        _route("POST", "parcels/{carrier}/{number}", move_parcel),
    ]


def _route(method: str, path: str, act: Callable[[Request, Json], object]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _read(request)
            return JSONResponse(act(request, body))
        except Misuse as misuse:
            return JSONResponse({"error": str(misuse)}, status_code=misuse.status)
        except CourierRefusal as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=refusal.status)
        except Refusal as refusal:
            return JSONResponse({"error": refusal.body["message"]}, status_code=refusal.status)

    handler: Callable[[Request], Awaitable[Response]] = endpoint
    return Route(f"/_sandbox/{path}", handler, methods=[method])


async def _read(request: Request) -> Json:
    raw = await request.body()
    try:
        body: Any = json.loads(raw) if raw else {}
    except ValueError as error:
        raise Misuse("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise Misuse("the body must be a JSON object")
    return body


def _count(body: Json, key: str, *, default: int | None, minimum: int = 1, maximum: int | None = None) -> int:
    value = body.get(key, default)
    if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
        msg = f"{key} must be an integer of at least {minimum}" + (f" and at most {maximum}" if maximum else "")
        raise Misuse(msg)
    return value


def _url(body: Json) -> str:
    url = body.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise Misuse("url must be an http or https URL")
    return url


def _fault(body: Json) -> tuple[str, Fault]:
    unknown = sorted(set(body) - _FAULT_FIELDS)
    if unknown:
        msg = f"a fault has no {', '.join(unknown)}"
        raise Misuse(msg)
    route, effect, answer = body.get("route"), body.get("effect") or "none", body.get("body")
    for name, value, choices in (
        ("route", route, ROUTES),
        ("effect", effect, EFFECTS),
        ("body", answer, (*BODIES, None)),
    ):
        if value not in choices:
            msg = f"{name} must be one of {', '.join(str(choice) for choice in choices if choice)}, not {value!r}"
            raise Misuse(msg)
    delay = body.get("delay") or 0
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0:
        raise Misuse("delay must be a number of seconds")
    status = None if body.get("status") is None else _count(body, "status", default=None, minimum=200, maximum=599)
    retry_after = None if body.get("retry_after") is None else _count(body, "retry_after", default=None, minimum=0)
    code = body.get("code")
    if not isinstance(code, str | None):
        raise Misuse("code must be a string")
    fault = Fault(status=status, effect=effect, delay=delay, retry_after=retry_after, body=answer, code=code)
    return str(route), fault
