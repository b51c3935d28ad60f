"""Serve the web application on loopback, as the service does, over a store of a test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from parcelhook.cli.service import HttpServer
from parcelhook.fulfillment.store import Store
from parcelhook.web.app import make_app
from parcelhook.web.receiver import App


@contextmanager
def serving(
    *stores: Store,
    apps: Sequence[App] = (),
    tokens: Mapping[str, str] | None = None,
    wake: Callable[[], object] = lambda: None,
) -> Iterator[httpx.Client]:
    """Serve stores in a thread and give a client of them."""
    app = make_app(stores, apps=apps, tokens=tokens or {}, wake=wake)
    ready = threading.Event()
    server = HttpServer(app, on_ready=ready.set)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert ready.wait(10)
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
