"""The Wix client: fulfillments and orders of one site.

Source: Wix, "Order Fulfillments" and "Orders" (REST).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

import httpx
from pydantic import JsonValue

from parcelhook import __version__
from parcelhook.errors import ConfigurationError, InputError
from parcelhook.links import is_loopback
from parcelhook.wix.auth import ApiKey, OAuthCredentials
from parcelhook.wix.exchange import Call, Exchange, Patience
from parcelhook.wix.fulfillments import (
    BulkResult,
    CreatedFulfillment,
    NewFulfillment,
    OrderFulfillments,
    bulk_body,
    checked_status,
    tracking_body,
)
from parcelhook.wix.gate import CallGate
from parcelhook.wix.orders import WixOrder
from parcelhook.wix.transport import HttpLine
from parcelhook.wix.wire import JsonObject, checked_id

WIX_URL: Final = "https://www.wixapis.com"
BATCH: Final = 100
"""The orders one bulk call, one list-by-ids and one page of a search may hold."""

_PORTS: Final = 65_536

Sort: TypeAlias = Sequence[tuple[str, Literal["ASC", "DESC"]]]


class WixClient:
    """Speak to one Wix site; safe to use from several threads.

    Every HTTP call passes ``gate`` and ends within ``timeout`` seconds in all. Only reads are tried again by
    themselves, as ``patience`` says; a throttled call of any kind is, for it did nothing. Every failure is a WixError;
    its ``ambiguous`` tells that a write may have happened. An id no Wix store gives is an InputError.
    """

    def __init__(
        self,
        *,
        credentials: OAuthCredentials | ApiKey,
        gate: CallGate,
        base_url: str = WIX_URL,
        timeout: float = 15.0,
        body_cap: int = 20_000_000,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._is_loopback = _check_base_url(base_url)
        self._line = HttpLine(base_url, timeout=timeout, body_cap=body_cap, user_agent=f"parcelhook/{__version__}")
        self._exchange = Exchange(
            self._line, credentials=credentials, gate=gate, patience=patience, monotonic=monotonic, sleep=sleep
        )

    @property
    def is_loopback(self) -> bool:
        """Tell whether this is a store on this very machine, where http links are valid too."""
        return self._is_loopback

    def close(self) -> None:
        """Close all connections."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def create_fulfillment(self, order_id: str, new: NewFulfillment) -> CreatedFulfillment:
        """Create one fulfillment; raise TrackingNumberExists where its number is on one already."""
        checked_id(order_id, field="order_id")

        def read(answer: JsonObject) -> CreatedFulfillment:
            order = _fulfillments_of(order_id)(answer)
            return CreatedFulfillment.model_validate({"fulfillment_id": answer.get("fulfillmentId"), "order": order})

        path = f"/ecom/v1/fulfillments/orders/{order_id}/create-fulfillment"
        return self._exchange.ask(Call("create", "POST", path, (order_id,), {"fulfillment": new.body()}), read)

    def bulk_create_fulfillments(self, orders: Sequence[tuple[str, Sequence[NewFulfillment]]]) -> BulkResult:
        """Create the fulfillments of up to 100 orders, each with one or several, in one call.

        The result tells about each order by its index; an order may occur twice. Orders the answer says nothing sure
        about are in ``missing`` and may have been fulfilled.
        """
        order_ids = _batch([order_id for order_id, _ in orders])

        def read(answer: JsonObject) -> BulkResult:
            results, metadata = answer.get("results"), answer.get("bulkActionMetadata")
            if not isinstance(results, list):
                msg = "results"
                raise ValueError(msg)  # noqa: TRY004 - becomes WixUnreadable
            return BulkResult.read(results, metadata if isinstance(metadata, dict) else {}, order_ids=order_ids)

        path = "/ecom/v1/fulfillments/orders/bulk/create-fulfillments"
        return self._exchange.ask(Call("bulk-create", "POST", path, order_ids, bulk_body(orders)), read)

    def update_status(self, order_id: str, fulfillment_id: str, status: str) -> OrderFulfillments:
        """Set a fulfillment's status, and nothing else: what a request leaves out stays as it is."""
        return self._update(order_id, fulfillment_id, {"status": checked_status(status)})

    def update_tracking(
        self,
        order_id: str,
        fulfillment_id: str,
        *,
        tracking_number: str,
        shipping_provider: str,
        tracking_link: str | None = None,
    ) -> OrderFulfillments:
        """Set a fulfillment's number, provider and link; of a predefined provider, Wix builds the link anew."""
        info = tracking_body(tracking_number, shipping_provider, tracking_link)
        return self._update(order_id, fulfillment_id, {"trackingInfo": info})

    def delete_fulfillment(self, order_id: str, fulfillment_id: str) -> OrderFulfillments:
        """Delete a fulfillment and give those that remain."""
        path = _fulfillment_path(order_id, fulfillment_id)
        return self._exchange.ask(Call("delete", "DELETE", path, (order_id,)), _fulfillments_of(order_id))

    def list_fulfillments(self, order_id: str) -> OrderFulfillments:
        """Give all fulfillments of an order."""
        path = f"/ecom/v1/fulfillments/orders/{checked_id(order_id, field='order_id')}"
        return self._exchange.ask(Call("list", "GET", path, (order_id,), safe=True), _fulfillments_of(order_id))

    def list_fulfillments_by_ids(self, order_ids: Sequence[str]) -> dict[str, OrderFulfillments]:
        """Give all fulfillments of up to 100 orders by order id; an order Wix says nothing about is not in it."""
        asked = _batch(order_ids)

        def read(answer: JsonObject) -> dict[str, OrderFulfillments]:
            orders = [OrderFulfillments.model_validate(each) for each in _list(answer, "ordersWithFulfillments")]
            return {order.order_id: order for order in orders}

        call = Call(
            "list-by-ids", "POST", "/ecom/v1/fulfillments/list-by-ids", asked, {"orderIds": [*asked]}, safe=True
        )
        return self._exchange.ask(call, read)

    def get_order(self, order_id: str) -> WixOrder:
        """Give an order as it is now; raise WixNotFound where the store has none of that id."""
        path = f"/ecom/v1/orders/{checked_id(order_id, field='order_id')}"
        return self._exchange.ask(
            Call("get-order", "GET", path, (order_id,), safe=True),
            lambda answer: WixOrder.model_validate(answer.get("order")),
        )

    def search_orders(
        self,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - Wix's own word
        *,
        sort: Sort = (),
        limit: int = BATCH,
    ) -> Iterator[WixOrder]:
        """Yield the orders a filter matches, fetching pages of ``limit`` orders as they are needed.

        Wix never gives INITIALIZED orders, and PENDING and REJECTED ones only where the filter names their status.
        """
        search: JsonObject = {"filter": dict(filter or {}), "cursorPaging": {"limit": limit}}
        if sort:
            search["sort"] = [{"fieldName": name, "order": order} for name, order in sort]
        seen: set[str] = set()
        while True:
            call = Call("search-orders", "POST", "/ecom/v1/orders/search", body={"search": search}, safe=True)
            orders, cursor = self._exchange.ask(call, lambda answer: _page(answer, seen))
            yield from orders
            if not cursor:
                return
            seen.add(cursor)
            # a cursor holds filter and sort; Wix refuses them beside it
            search = {"cursorPaging": {"limit": limit, "cursor": cursor}}

    def _update(self, order_id: str, fulfillment_id: str, changes: JsonObject) -> OrderFulfillments:
        path = _fulfillment_path(order_id, fulfillment_id)
        call = Call("update", "PATCH", path, (order_id,), {"fulfillment": changes})
        return self._exchange.ask(call, _fulfillments_of(order_id))


def _check_base_url(base_url: str) -> bool:
    """Tell whether a URL leads to this machine; raise ConfigurationError where it is neither https nor that."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.port is not None and not 0 < url.port < _PORTS:
        msg = f"the Wix URL has the port {url.port}, and there is no such port"
        raise ConfigurationError(msg, where="wix_url", what_to_do=f"Use {WIX_URL}.")
    local = is_loopback(url.host)
    if not url.host or url.userinfo or url.scheme not in ("https", "http") or (url.scheme == "http" and not local):
        msg = "the Wix URL is not https"
        raise ConfigurationError(
            msg, where="wix_url", what_to_do=f"Use {WIX_URL}; http is for a sandbox on this machine only."
        )
    return local


def _fulfillment_path(order_id: str, fulfillment_id: str) -> str:
    checked_id(order_id, field="order_id")
    return f"/ecom/v1/fulfillments/{checked_id(fulfillment_id, field='fulfillment_id')}/orders/{order_id}"


def _fulfillments_of(order_id: str) -> Callable[[JsonObject], OrderFulfillments]:
    """Give the reader of an answer about one order; an answer about another order is none."""

    def read(answer: JsonObject) -> OrderFulfillments:
        order = OrderFulfillments.model_validate(answer.get("orderWithFulfillments"))
        if order.order_id != order_id:
            msg = "orderWithFulfillments.orderId is another order's"
            raise ValueError(msg)
        return order

    return read


def _page(answer: JsonObject, seen: set[str]) -> tuple[list[WixOrder], str]:
    """Read a page of orders and the cursor of the next one, "" after the last."""
    orders = [WixOrder.model_validate(each) for each in _list(answer, "orders")]
    metadata = answer.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    cursors = metadata.get("cursors")
    cursor = cursors.get("next") if isinstance(cursors, dict) else None
    if metadata.get("hasNext") is False or not isinstance(cursor, str) or not cursor:
        return orders, ""
    if cursor in seen:
        msg = "metadata.cursors.next leads back to an earlier page"
        raise ValueError(msg)
    return orders, cursor


def _list(answer: JsonObject, name: str) -> list[JsonValue]:
    """Give a list of the answer; absent is empty, for Wix leaves empty lists out."""
    value = answer.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(name)  # noqa: TRY004 - becomes WixUnreadable
    return value


def _batch(order_ids: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(order_ids) <= BATCH:
        msg = f"one call takes 1 to {BATCH} orders, not {len(order_ids)}"
        raise InputError(msg, field="order_ids")
    return tuple(checked_id(order_id, field="order_id") for order_id in order_ids)
