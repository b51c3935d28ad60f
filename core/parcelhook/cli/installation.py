"""What a configuration describes, made when it is first asked for: plug-ins, ledger, and a client for each store.

Each part is imported when it is made, so that a command that asks for plug-ins alone waits for neither database nor
HTTP.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from parcelhook.errors import ConfigurationError

if TYPE_CHECKING:
    from parcelhook.engine import Engine
    from parcelhook.fulfillment.gate import LedgerGate
    from parcelhook.fulfillment.store import Store as FlowStore
    from parcelhook.ledger import Ledger
    from parcelhook.registry import Registry
    from parcelhook.settings import Settings, Store
    from parcelhook.wix import ApiKey, OAuthCredentials, WixClient
    from parcelhook.wix.webhooks import WebhookVerifier


class Installation:
    """Everything one process works with; close it, or use it in a ``with``.

    A store is named as in the configuration; None means the only one. ``plugins_enabled`` false leaves out installed
    plug-ins, whatever the configuration says; ``extra_plugins`` are those the program brings itself, by name.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        plugins_enabled: bool = True,
        extra_plugins: Mapping[str, object] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._plugins_enabled = plugins_enabled and settings.plugins.enabled
        self._sleep = sleep
        self._extra_plugins = extra_plugins
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._closing = ExitStack()
        self._registries: dict[str, Registry] = {}
        self._clients: dict[str, WixClient] = {}
        self._gates: dict[str, LedgerGate] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close clients, plug-ins and ledger."""
        self._closing.close()

    @cached_property
    def registry(self) -> Registry:
        """Give the plug-ins, with the carriers' common settings."""
        return self._make_registry(store=None)

    @cached_property
    def ledger(self) -> Ledger:
        """Open the ledger."""
        from parcelhook.ledger import Ledger

        return self._closing.enter_context(Ledger.open(self.settings.database_url, clock=self.clock))

    def registry_of(self, store: str | None = None) -> Registry:
        """Give the plug-ins with a store's own accounts; the common ones where it has none."""
        name = self.settings.store_name(store)
        if not self.settings.stores[name].carriers:
            return self.registry
        if name not in self._registries:
            self._registries[name] = self._make_registry(store=name)
        return self._registries[name]

    def gate(self, store: str | None = None) -> LedgerGate:
        """Give the gate that a store's calls pass."""
        from parcelhook.fulfillment.gate import LedgerGate

        name = self.settings.store_name(store)
        if name not in self._gates:
            configured = self.settings.stores[name]
            self._gates[name] = LedgerGate(
                self.ledger,
                store=name,
                site=site(configured),
                per_minute=configured.rate_limit,
                clock=self.clock,
                sleep=self._sleep,
            )
        return self._gates[name]

    def wix(self, store: str | None = None) -> WixClient:
        """Give a store's client; the ledger knows the store from then on.

        Raise LedgerError where the ledger knows another site by this name.
        """
        from parcelhook.wix import WixClient

        name = self.settings.store_name(store)
        if name not in self._clients:
            configured = self.settings.stores[name]
            self.ledger.stores.ensure(name, site=site(configured), wix_url=configured.wix_url)
            client = WixClient(
                credentials=credentials(configured),
                gate=self.gate(name),
                base_url=configured.wix_url,
                sleep=self._sleep,
            )
            self._clients[name] = self._closing.enter_context(client)
        return self._clients[name]

    def store(self, store: str | None = None) -> FlowStore:
        """Give a store as its flows take it: its client, the ledger, the plug-ins, and how it ships."""
        from parcelhook.fulfillment.store import Store as FlowStore

        name = self.settings.store_name(store)
        return FlowStore(
            id=name,
            wix=self.wix(name),
            ledger=self.ledger,
            registry=self.registry_of(name),
            clock=self.clock,
            owner=self._owner,
            settle=timedelta(seconds=self.settings.settle_seconds),
            leaving_before=self.gate(name).leaving_before,
            ship_unpaid=self.settings.stores[name].ship_unpaid,
            rules=self.settings.rules_of(name),
            poll_scale=self.settings.poll_scale,
        )

    def engine(self, stores: Iterable[FlowStore], *, executor_id: str | None = None) -> Engine:
        """Give the durable engine over some stores, to be used in a ``with``; a service has a stable executor id."""
        from parcelhook.engine import Engine
        from parcelhook.flows import Flows

        flows = Flows({store.id: store for store in stores})
        return Engine(self.settings.database_url, executor_id=executor_id or self._owner, flows=flows.by_name())

    def verifier(self, store: str | None = None) -> WebhookVerifier:
        """Give what checks the webhooks of a store's app; raise ConfigurationError where its public key is missing."""
        from parcelhook.wix.webhooks import WebhookVerifier

        name = self.settings.store_name(store)
        public_key = self.settings.stores[name].public_key
        if not public_key:
            msg = f"the store {name} has no public_key, so no webhook of it can be checked"
            hint = "Set public_key (PARCELHOOK_WIX_PUBLIC_KEY); it is in the app's dashboard under Webhooks."
            raise ConfigurationError(msg, where=f"stores.{name}", what_to_do=hint)
        return WebhookVerifier(public_key, clock=self.clock)

    def _make_registry(self, *, store: str | None) -> Registry:
        from parcelhook.contexts import ContextFactory
        from parcelhook.registry import Registry

        settings = self.settings
        accounts = set(settings.carriers) | set(settings.stores[store].carriers if store else ())
        registry = Registry(
            extra=self._extra_plugins,
            carriers_folder=settings.carriers_folder,
            allow=None if settings.plugins.allow is None else frozenset(settings.plugins.allow),
            plugins_enabled=self._plugins_enabled,
            owners=settings.plugins.owners,
            contexts=ContextFactory(
                {carrier: settings.carrier(carrier, store=store) for carrier in accounts}, clock=self.clock
            ),
        )
        return self._closing.enter_context(registry)


def site(store: Store) -> str:
    """Give what Wix counts a store's calls by: its app instance, or its site."""
    return store.site_id if store.uses_api_key else store.instance_id


def credentials(store: Store) -> OAuthCredentials | ApiKey:
    """Give a store's credentials as the client takes them."""
    from parcelhook.wix import ApiKey, OAuthCredentials

    if store.uses_api_key:
        return ApiKey(key=store.api_key, site_id=store.site_id)
    return OAuthCredentials(app_id=store.app_id, app_secret=store.app_secret, instance_id=store.instance_id)
