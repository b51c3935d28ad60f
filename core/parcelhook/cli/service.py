"""The service: one process that receives and works, until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import uvicorn

from parcelhook.cli.installation import Installation
from parcelhook.fulfillment.store import Store
from parcelhook.sweeper import Sweeper
from parcelhook.web.app import make_app

DRAIN_SECONDS: Final = 10
POLLED_EVERY: Final = timedelta(seconds=60)
LOOKED_THROUGH_EVERY: Final = timedelta(minutes=15)


class Service:
    """Serve the stores of an installation, or one of them."""

    def __init__(self, installation: Installation, *, only: str | None = None) -> None:
        settings = installation.settings
        self._installation = installation
        self._names = [settings.store_name(only)] if only else sorted(settings.stores)
        self._server: _Server | None = None

    def stop(self) -> None:
        """End ``run`` from another thread, once what is under way has ended."""
        if self._server is not None:
            self._server.should_exit = True

    def run(self, listener: socket.socket, *, on_ready: Callable[[str], object]) -> None:
        """Serve on a listening socket until SIGINT or SIGTERM; call ``on_ready`` with the URL once it answers."""
        installation = self._installation
        stores = [installation.store(name) for name in self._names]
        with installation.engine(stores, executor_id=f"service-{socket.gethostname()}") as engine:
            sweeper = Sweeper(stores, engine, looks_every=self._looks_every)
            configured = [installation.settings.stores[name] for name in self._names]
            app = make_app(
                stores,
                verifiers=[
                    installation.verifier(name)
                    for name, store in zip(self._names, configured, strict=True)
                    if store.public_key
                ],
                store_of_instance={
                    store.instance_id: name for name, store in zip(self._names, configured, strict=True)
                },
                tokens={
                    store.token.get_secret_value(): name
                    for name, store in zip(self._names, configured, strict=True)
                    if store.token.get_secret_value()
                },
                wake=sweeper.wake,
            )
            host, port = listener.getsockname()[:2]
            self._server = _Server(app, on_ready=lambda: on_ready(f"http://{host}:{port}"))
            sweeper.start()
            try:
                self._server.run(sockets=[listener])
            finally:
                sweeper.stop()

    def _looks_every(self, store: Store) -> timedelta:
        """Give how often a store is looked through: one without webhooks is polled."""
        if self._installation.settings.stores[store.id].uses_api_key:
            return POLLED_EVERY * store.poll_scale
        return LOOKED_THROUGH_EVERY


class _Server(uvicorn.Server):
    def __init__(self, app: object, *, on_ready: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # type: ignore[arg-type]
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=DRAIN_SECONDS,
                server_header=False,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and tell."""
        await super().startup(sockets)
        self._on_ready()
