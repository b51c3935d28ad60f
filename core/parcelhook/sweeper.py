"""Start whatever the ledger says is due, over and over: what a crash, a lost event or a deleted engine left undone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from parcelhook.engine import Engine
from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.states import State

IDLE_SECONDS: Final = 0.25
AFTER_ERROR_SECONDS: Final = 5.0
SEND_STATES: Final = frozenset({State.READY, State.WAITING_LINK})


class Sweeper:
    """Work through the stores in a thread of its own until it is stopped.

    ``looks_every`` says, by store id, how often the store is looked through for what no webhook told.
    """

    def __init__(self, stores: Sequence[Store], engine: Engine, *, looks_every: Callable[[Store], timedelta]) -> None:
        self._stores = stores
        self._engine = engine
        self._looks_every = looks_every
        self._looked_at: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._log = structlog.get_logger("parcelhook.sweeper")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something has come in."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the flow under way, and no other."""
        self._stop.set()
        self._woken.set()
        self._thread.join()

    def sweep(self) -> bool:
        """Do once whatever is due; tell whether there was anything."""
        busy = False
        ledger, now = self._stores[0].ledger, self._stores[0].clock()
        if any(event.due_at is None or event.due_at <= now for event in ledger.inbox.pending(limit=100)):
            busy = bool(self._engine.run("events"))
        for store in self._stores:
            if not self._stop.is_set():
                busy |= self._sweep_store(store)
        return busy

    def _sweep_store(self, store: Store) -> bool:
        last = self._looked_at.get(store.id)
        if last is None or store.clock() - last >= self._looks_every(store):
            self._engine.run("reconcile", store.id)
            self._looked_at[store.id] = store.clock()
        due = store.ledger.shipments.due(store.id)
        if store.ledger.stores.get(store.id).paused:
            due -= SEND_STATES | {State.WAITING_NUMBER}
        polls = any(group.store == store.id for group in store.ledger.parcels.due())
        flows = {
            "book": State.WAITING_NUMBER in due,
            "settle": State.SENDING in due,
            "send": bool(due & SEND_STATES),
            "push": State.CREATED in due,
            "poll": polls,
        }
        busy = False
        for flow, is_due in flows.items():
            if is_due and not self._stop.is_set():
                busy |= bool(self._engine.run(flow, store.id))
        return busy

    def _run(self) -> None:
        while not self._stop.is_set():
            self._woken.clear()
            try:
                wait = 0.0 if self.sweep() else IDLE_SECONDS
            except ParcelhookError as error:
                self._log.warning("sweep failed", error=error.message, what_to_do=error.what_to_do)
                wait = AFTER_ERROR_SECONDS
            except Exception:  # noqa: BLE001 - see below
                # The service goes on: what is due stays due, and the reason is in the log.
                self._log.exception("sweep failed")
                wait = AFTER_ERROR_SECONDS
            if wait:
                self._woken.wait(wait)
