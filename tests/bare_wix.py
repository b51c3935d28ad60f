"""A responder that says yes to everything, as fast as Python can: what Wix would be if it did nothing.

It is started as a process of its own, prints its URL, and answers token, Search Orders by id, and bulk create.
``POST /calls`` gives how often each was asked and how many seconds it spent on reads, and begins to count anew.
"""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections import Counter
from typing import Any

NOW = "2026-01-02T03:04:05.000Z"
ITEM = "00000000-0000-0000-0000-000000000001"

counts: Counter[str] = Counter()


def answer(path: str, body: Any) -> Any:  # noqa: ANN401 - JSON
    """Give the answer to a request."""
    if path.endswith("/token"):
        return {"access_token": "bare", "token_type": "Bearer", "expires_in": 14400}
    if path.endswith("/search"):
        ids = body["search"]["filter"]["id"]["$in"]
        return {"orders": [order(its) for its in ids], "metadata": {"count": len(ids), "cursors": {}}}
    if path.endswith("/create-fulfillments"):
        entries = body["ordersWithFulfillments"]
        counts["orders"] += len(entries)
        results = [result(index, entry) for index, entry in enumerate(entries)]
        totals = {"totalSuccesses": len(results), "totalFailures": 0, "undetailedFailures": 0}
        return {"results": results, "bulkActionMetadata": totals}
    told = dict(counts)
    counts.clear()
    return told


def order(its: str) -> dict[str, Any]:
    """Give an order that may be shipped."""
    return {
        "id": its,
        "number": its[-6:],
        "createdDate": NOW,
        "updatedDate": NOW,
        "status": "APPROVED",
        "paymentStatus": "PAID",
        "fulfillmentStatus": "NOT_FULFILLED",
        "archived": False,
        "lineItems": [{"id": ITEM, "quantity": 2, "itemType": {"preset": "PHYSICAL"}}],
    }


def result(index: int, entry: dict[str, Any]) -> dict[str, Any]:
    """Say that an order's fulfillments were created."""
    made = [{"id": str(uuid.uuid4()), "createdDate": NOW, **each} for each in entry["fulfillments"]]
    return {
        "itemMetadata": {"id": entry["orderId"], "originalIndex": index, "success": True},
        "ordersWithFulfillments": {"orderId": entry["orderId"], "fulfillments": made},
    }


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection, one after the other."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            path, length = line.split()[1].decode(), 0
            while (header := stream.readline().strip()) != b"":
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = stream.read(length)
            counts[path.rsplit("/", 1)[-1]] += 1
            text = json.dumps(answer(path, json.loads(body or b"{}"))).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
            connection.sendall(head.encode() + text)


def main() -> None:
    """Serve until the process is ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - the starter reads it
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
