"""The service: one process that receives and works, until it is told to stop."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import uvicorn

from parcelhook.cli.installation import Installation, site
from parcelhook.errors import ConfigurationError
from parcelhook.fulfillment.store import Store
from parcelhook.sweeper import Sweeper
from parcelhook.web.app import make_app
from parcelhook.web.receiver import App

DRAIN_SECONDS: Final = 10
POLLED_EVERY: Final = timedelta(seconds=60)
LOOKED_THROUGH_EVERY: Final = timedelta(minutes=15)


class Service:
    """Serve the stores of an installation, or one of them."""

    def __init__(self, installation: Installation, *, only: str | None = None) -> None:
        settings = installation.settings
        self._installation = installation
        self._names = settings.store_names(only)
        # A service of one store carries on that store's flows alone: one beside it may run another's.
        self._executor_id = "-".join(("service", socket.gethostname(), *(self._names if only else ())))
        self._server: HttpServer | None = None

    def stop(self) -> None:
        """End ``run`` from another thread, once what is under way has ended."""
        if self._server is not None:
            self._server.should_exit = True

    def run(self, listener: socket.socket, *, on_ready: Callable[[str], object]) -> None:
        """Serve on a listening socket until SIGINT or SIGTERM; call ``on_ready`` with the URL once it answers."""
        installation = self._installation
        self._check_sites()
        stores = [installation.store(name) for name in self._names]
        apps, tokens = self._apps(), self._tokens()
        with installation.engine(stores, executor_id=self._executor_id) as engine:
            sweeper = Sweeper(stores, engine.run, looks_every=self._looks_every)
            app = make_app(stores, apps=apps, tokens=tokens, wake=sweeper.wake)
            host, port = listener.getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            self._server = HttpServer(app, on_ready=lambda: on_ready(url))
            sweeper.start()
            try:
                self._server.run(sockets=[listener])
            finally:
                sweeper.stop()

    def _check_sites(self) -> None:
        """Raise ConfigurationError where two stores are one site: each would ship the other's orders once more."""
        known: dict[tuple[str, str], str] = {}
        for name in self._names:
            store = self._installation.settings.stores[name]
            other = known.setdefault((store.wix_url, site(store)), name)
            if other != name:
                msg = f"the stores {other} and {name} are the same site at Wix, and both would ship its orders"
                hint = f"Remove one of them, or serve one alone: parcelhook serve --store {other}."
                raise ConfigurationError(msg, where=f"stores.{name}", what_to_do=hint)

    def _apps(self) -> list[App]:
        """Give the apps whose webhooks are taken, each once however many stores it is installed in."""
        stores_of: dict[str, dict[str, str]] = {}
        name_of: dict[str, str] = {}
        for name in self._names:
            store = self._installation.settings.stores[name]
            if store.public_key:
                stores_of.setdefault(store.public_key, {})[store.instance_id] = name
                name_of[store.public_key] = name
        return [App(self._installation.verifier(name_of[key]), stores) for key, stores in stores_of.items()]

    def _tokens(self) -> dict[str, str]:
        """Give the store each token belongs to; raise ConfigurationError for one that would open two stores."""
        tokens: dict[str, str] = {}
        for name in self._names:
            token = self._installation.settings.stores[name].token.get_secret_value()
            other = tokens.setdefault(token, name) if token else name
            if other != name:
                msg = f"the stores {other} and {name} have the same token, so it does not tell which one is meant"
                raise ConfigurationError(msg, where=f"stores.{name}.token", what_to_do="Give each store its own.")
        return tokens

    def _looks_every(self, store: Store) -> timedelta:
        """Give how often a store is looked through: one whose webhooks cannot come, or not be checked, is polled."""
        if not self._installation.settings.stores[store.id].public_key:
            return POLLED_EVERY * store.poll_scale
        return LOOKED_THROUGH_EVERY


class HttpServer(uvicorn.Server):
    """Serve an application over HTTP; ``on_ready`` is called once it answers."""

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

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own way would end the process before the sweeper has finished."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
