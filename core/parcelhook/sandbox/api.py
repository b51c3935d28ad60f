"""Wix's endpoints: Order Fulfillments, Get Order, Search Orders, Create Access Token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parcelhook.sandbox.faults import Faults
from parcelhook.sandbox.gate import Gate
from parcelhook.sandbox.refusals import Business, Invalid, Refusal
from parcelhook.sandbox.search import Search
from parcelhook.sandbox.settings import Panel
from parcelhook.sandbox.store import Store, StoredOrder
from parcelhook.sandbox.validation import (
    MAX_ORDERS,
    Checker,
    Json,
    JsonValue,
    check_bulk_item,
    check_changes,
    check_fulfillment,
    check_order_ids,
    read_body,
)

_FULFILLMENTS = "/ecom/v1/fulfillments"


@dataclass(frozen=True)
class Call:
    """One admitted call: what its path and body say, and who makes it."""

    path: Mapping[str, str]
    body: Json
    identity: Json


Operation = Callable[[Call], Json]


class WixApi:
    """Serve Wix's endpoints over one store."""

    def __init__(self, *, store: Store, search: Search, gate: Gate, faults: Faults, panel: Panel) -> None:
        self._store = store
        self._search = search
        self._gate = gate
        self._faults = faults
        self._panel = panel

    def routes(self) -> list[Route]:
        """List the routes."""
        order, one = f"{_FULFILLMENTS}/orders/{{order_id}}", f"{_FULFILLMENTS}/{{fulfillment_id}}/orders/{{order_id}}"
        bulk = f"{_FULFILLMENTS}/orders/bulk/create-fulfillments"
        return [
            Route("/oauth2/token", self._token, methods=["POST"]),
            self._route("bulk-create", "POST", bulk, self._bulk_create),
            self._route("create", "POST", f"{order}/create-fulfillment", self._create),
            self._route("list", "GET", order, self._list),
            self._route("list-by-ids", "POST", f"{_FULFILLMENTS}/list-by-ids", self._list_by_ids),
            self._route("update", "PATCH", one, self._update),
            self._route("delete", "DELETE", one, self._delete),
            self._route("search-orders", "POST", "/ecom/v1/orders/search", self._search_orders),
            self._route("get-order", "GET", "/ecom/v1/orders/{order_id}", self._get_order),
        ]

    def _route(self, name: str, method: str, path: str, operation: Operation) -> Route:
        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            try:
                identity = self._gate.admit(request.headers)
            except Refusal as refusal:
                return refusal.response()

            def perform() -> Response:
                return _answer(lambda: operation(Call(request.path_params, read_body(raw), identity)))

            return await self._faults.run(name, perform)

        return Route(path, endpoint, methods=[method])

    async def _token(self, request: Request) -> Response:
        raw = await request.body()

        def perform() -> Response:
            try:
                body = read_body(raw)
            except Refusal:
                # Unreadable is the same as empty here: OAuth's own error says what is missing.
                body = {}
            return _answer(lambda: self._gate.grant(body))

        return await self._faults.run("token", perform)

    def _create(self, call: Call) -> Json:
        checker = self._checker(call)
        draft = call.body.get("fulfillment")
        check_fulfillment(checker, "fulfillment", draft, switches=self._panel.now)
        checker.finish()
        order_id = call.path["order_id"]
        fulfillment_id = self._store.create(order_id, call.body["fulfillment"], identity=call.identity)
        written = self._store.find(order_id).with_fulfillments()
        return {"orderWithFulfillments": written, "fulfillmentId": fulfillment_id}

    def _update(self, call: Call) -> Json:
        checker = self._checker(call)
        check_changes(checker, call.body.get("fulfillment"), switches=self._panel.now)
        checker.finish()
        fulfillment_id, order_id = call.path["fulfillment_id"], call.path["order_id"]
        stored = self._store.update(order_id, fulfillment_id, call.body["fulfillment"], identity=call.identity)
        return {"orderWithFulfillments": stored.with_fulfillments()}

    def _delete(self, call: Call) -> Json:
        self._checker(call).finish()
        fulfillment_id, order_id = call.path["fulfillment_id"], call.path["order_id"]
        stored = self._store.delete(order_id, fulfillment_id, identity=call.identity)
        return {"orderWithFulfillments": stored.with_fulfillments()}

    def _list(self, call: Call) -> Json:
        self._checker(call).finish()
        return {"orderWithFulfillments": self._seen(self._store.find(call.path["order_id"]))}

    def _list_by_ids(self, call: Call) -> Json:
        checker = self._checker(call)
        check_order_ids(checker, call.body.get("orderIds"))
        checker.finish()
        listed: list[Json] = []
        for order_id in dict.fromkeys(call.body["orderIds"]):
            known = order_id in self._store.orders
            if known or self._panel.now.list_unknown_orders == "refused":
                listed.append(self._seen(self._store.find(order_id)))
            elif self._panel.now.list_unknown_orders == "empty":
                listed.append({"orderId": order_id, "fulfillments": []})
        return {"ordersWithFulfillments": listed}

    def _get_order(self, call: Call) -> Json:
        self._checker(call).finish()
        order_id = call.path["order_id"]
        if order_id not in self._store.orders:
            status = self._panel.now.unknown_order_status
            raise Business(status, f"order {order_id} was not found", code="ORDER_NOT_FOUND")
        return {"order": self._store.find(order_id).entity.value}

    def _search_orders(self, call: Call) -> Json:
        return self._search.run(call.body.get("search"))

    def _bulk_create(self, call: Call) -> Json:
        items = self._bulk_items(call)
        switches = self._panel.now
        results: list[Json] = []
        failures = detailed = 0
        for index, item in enumerate(items):
            metadata: Json = {"originalIndex": index, "success": True}
            error = self._bulk_item(item, identity=call.identity)
            if isinstance(item, dict) and isinstance(item.get("orderId"), str):
                metadata = {"id": item["orderId"], **metadata}
            if error is None:
                written = self._store.find(item["orderId"]).with_fulfillments()
                results.append({"itemMetadata": metadata, "ordersWithFulfillments": written})
                continue
            failures += 1
            if detailed < switches.bulk_detail_threshold:
                detailed += 1
                results.append({"itemMetadata": metadata | {"success": False, "error": error}})
        counts = {"totalSuccesses": len(items) - failures, "totalFailures": failures}
        return {"results": results, "bulkActionMetadata": counts | {"undetailedFailures": failures - detailed}}

    def _bulk_items(self, call: Call) -> list[JsonValue]:
        checker = Checker(self._panel.now)
        items = call.body.get("ordersWithFulfillments")
        if not checker.array(items, "ordersWithFulfillments", maximum=MAX_ORDERS):
            checker.finish()
            return []
        if self._panel.now.bulk_malformed == "request":
            for index, item in enumerate(items):
                check_bulk_item(checker, f"ordersWithFulfillments[{index}]", item, switches=self._panel.now)
        if self._panel.now.bulk_same_order_twice == "refused":
            ids = Counter(
                item["orderId"] for item in items if isinstance(item, dict) and isinstance(item.get("orderId"), str)
            )
            if any(count > 1 for count in ids.values()):
                checker.fail("ordersWithFulfillments", "UNIQUE", "has the same order more than once")
        checker.finish()
        return items

    def _bulk_item(self, item: JsonValue, *, identity: Json) -> Json | None:
        switches = self._panel.now
        try:
            checker = Checker(switches)
            check_bulk_item(checker, "orderWithFulfillments", item, switches=switches)
            checker.finish()
            self._store.create_several(item["orderId"], item["fulfillments"], identity=identity)
        except Business as refusal:
            if switches.bulk_duplicate == "generic" and refusal.status == 409:  # noqa: PLR2004
                return refusal.error() | {"code": "ALREADY_EXISTS"}
            return refusal.error()
        except Invalid as refusal:
            return {"code": "INVALID_ARGUMENT", "description": str(refusal.body["message"]), "data": {}}
        return None

    def _checker(self, call: Call) -> Checker:
        checker = Checker(self._panel.now)
        checker.text("orderId", call.path.get("order_id"))
        if "fulfillment_id" in call.path:
            checker.guid("fulfillment.id", call.path["fulfillment_id"])
        return checker

    def _seen(self, stored: StoredOrder) -> Json:
        fulfillments = stored.fulfillments.seen(lag=self._panel.now.list_lag_seconds)
        return {"orderId": stored.entity.value["id"], "fulfillments": list(fulfillments or ())}


def _answer(operation: Callable[[], Json]) -> Response:
    try:
        return JSONResponse(operation())
    except Refusal as refusal:
        return refusal.response()
