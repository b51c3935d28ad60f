"""Serve the sandbox: in a thread beside a test, or in the foreground of a command."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from parcelhook.sandbox.app import create_app
from parcelhook.sandbox.settings import SandboxSettings
from parcelhook.sandbox.state import Sandbox
from parcelhook.sandbox.wire import BREAK, reset_connection


@dataclass(frozen=True)
class Running:
    """A sandbox that listens: its URL, what a client needs to know, and, for looking inside, the sandbox itself."""

    url: str
    ready: dict[str, object]
    sandbox: Sandbox


@contextmanager
def running(settings: SandboxSettings) -> Iterator[Running]:
    """Serve a sandbox from a background thread and stop it at the end."""
    listener = _listen(settings)
    server = _Server(settings, listener)
    thread = threading.Thread(target=server.run, name="parcelhook-sandbox", daemon=True)
    thread.start()
    try:
        yield server.wait()
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def serve(settings: SandboxSettings, on_ready: Callable[[dict[str, object]], None]) -> None:
    """Serve a sandbox until SIGINT or SIGTERM; ``on_ready`` is told once when it listens."""
    with _listen(settings) as listener:
        _Server(settings, listener, on_ready=on_ready).run()


class _BreakableProtocol(H11Protocol):
    """Give the application a way to break the connection that it answers on."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        app = cast("ASGIApp", self.app)

        async def with_break(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**(scope.get("extensions") or {}), BREAK: self._break}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = cast("Any", with_break)

    def _break(self) -> None:
        reset_connection(self.transport.get_extra_info("socket"))
        self.transport.abort()


class _Server(uvicorn.Server):
    def __init__(
        self,
        settings: SandboxSettings,
        listener: socket.socket,
        *,
        on_ready: Callable[[dict[str, object]], None] | None = None,
    ) -> None:
        app = create_app(settings)
        super().__init__(
            uvicorn.Config(
                app,
                http=_BreakableProtocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._sandbox: Sandbox = app.state.sandbox
        self._listener = listener
        self._on_ready = on_ready
        self._listening = threading.Event()
        self._running: Running | None = None
        self._failure: BaseException | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        try:
            asyncio.run(self.serve(sockets=sockets or [self._listener]))
        except BaseException as error:
            self._failure = error
            if threading.current_thread() is threading.main_thread():
                raise
        finally:
            self._listening.set()

    def wait(self) -> Running:
        """Wait until the server listens, or raise what kept it from doing so."""
        self._listening.wait()
        if self._running is None:
            msg = "the sandbox did not start"
            raise RuntimeError(msg) from self._failure
        return self._running

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell those who wait."""
        await super().startup(sockets=sockets)
        host, port = self._listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        ready = self._sandbox.ready(url)
        self._running = Running(url, ready, self._sandbox)
        self._listening.set()
        if self._on_ready is not None:
            self._on_ready(ready)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own way would raise the signal once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(settings: SandboxSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        listener.close()
        raise
    return listener
